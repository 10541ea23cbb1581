"""One person's events by quarter of an hour, and the sessions they make: what a timeline is laid out on.

Sessions by a gap of at least a bucket's width are exact from each bucket's first and last event, so that they cost
one grouping and no sort. A shorter gap, and sessions cut where a campaign begins, take the events in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, reduce
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from queries import people
from queries.one_person import OnePerson, Sessioned
from queries.person_events import Events
from queries.person_visits import Named, named_sessions, own_sessions, seen, session_numbers, sources_seen
from queries.quoting import quote_identifier
from queries.seen import BUCKET, Bucket, Seen, Session, Sessions, Span
from queries.units import SessionRule, gap_events_sql, raw_id_sql, sources_with_sessions_sql


class Visits:
    """Counts the events and the sessions of one person; ``asked`` gets the statements."""

    def __init__(self, one: OnePerson, events: Events | None, data: Sessioned, asked: list[str]) -> None:
        """``events`` are all of the person's, None where they are too many to be held."""
        self._one, self._events, self._data, self._asked = one, events, data, asked
        self._rule: SessionRule = data.session_rule()
        self._own_sources: frozenset[int] = frozenset()
        self._named: Named = ([], np.empty(0, np.int64))

    @property
    def rule(self) -> SessionRule:
        """The rule in force."""
        return self._rule

    @property
    def needs_order(self) -> bool:
        """Whether sessions take the events in order."""
        return needs_order(self._rule, self._data)

    def _fetch(self, sql: str) -> list[tuple[object, ...]]:
        self._asked.append(self._one.pasted(sql))
        return self._data.fetch(sql)

    def seen(self, shown: str) -> Seen:
        """Every event of the person, counted by quarter of an hour, source and ids; ``shown`` is a condition."""
        if self._events is not None:
            self._own_sources = self._sources(*sources_seen(self._events))
            self._named = named_sessions(self._events, self._own_sources)
            return seen(self._events, self._own_sources)
        has, kinds = self._data.schema.columns, self._data.schema.ids
        raw = ", ".join(quote_identifier(name) for name in kinds)
        junk = self._data.material().junk
        clean = ", ".join(people.cleaned(name, junk) for name in kinds)
        with_session = "count(*) FILTER (WHERE session_id <> '')" if "session_id" in has else "0"
        said = "channel <> ''" if "channel" in has else "FALSE"
        rows = self._fetch(
            "SELECT quarter, source_index, events, first_ts, last_ts, shown_events, with_session,\n"
            f"  channel_from, channel_to, {clean}\nFROM (\n"
            f"  SELECT ts // {BUCKET} AS quarter, source_index, count(*) AS events, min(ts) AS first_ts,\n"
            f"    max(ts) AS last_ts, count(*) FILTER (WHERE {shown}) AS shown_events,\n"
            f"    {with_session} AS with_session, min(ts) FILTER (WHERE {said}) AS channel_from,\n"
            f"    max(ts) FILTER (WHERE {said}) AS channel_to, {raw}\n"
            f"  FROM {self._one.base}\n  GROUP BY ts // {BUCKET}, source_index, {raw}\n)\nORDER BY quarter"
        )
        with_ids = {source for _, source, _, _, _, _, with_session, *_ in rows if with_session}
        self._own_sources = self._sources(
            {int(str(row[1])) for row in rows}, {int(str(one)) for one in with_ids}
        )
        ids: dict[tuple[int, str], Span] = {}
        for row in rows:
            span = Span(*(int(str(value)) for value in row[2:5]))
            for place, value in enumerate(row[9:]):
                if value is not None:
                    key = place, str(value)
                    ids[key] = span if key not in ids else ids[key].with_(span)
        return Seen(
            tuple(self._bucket(list(group)) for _, group in groupby(rows, key=lambda row: row[0])), ids
        )

    def _bucket(self, rows: Sequence[Sequence[object]]) -> Bucket:
        spans = [Span(*(int(str(value)) for value in row[2:5])) for row in rows]
        gapped = [span for span, row in zip(spans, rows, strict=True) if row[1] not in self._own_sources]
        said = [int(str(value)) for row in rows for value in row[7:9] if value is not None]
        return Bucket(
            all=reduce(Span.with_, spans),
            shown=sum(int(str(row[5])) for row in rows),
            gapped=reduce(Span.with_, gapped) if gapped else None,
            channel=(min(said), max(said)) if said else None,
        )

    def _sources(self, there: set[int], with_ids: set[int]) -> frozenset[int]:
        """The sources with session ids; what the person's own events do not show, all events do."""
        if not self._rule.own or "session_id" not in self._data.schema.columns:
            return frozenset()
        return frozenset(
            source
            for source in sorted(there)
            if source in with_ids
            or self._fetch(f"SELECT 1 FROM events WHERE source_index = {source} AND session_id <> '' LIMIT 1")
        )

    @property
    def _gapped(self) -> str:
        if not self._own_sources:
            return "TRUE"
        return f"source_index NOT IN ({', '.join(map(str, sorted(self._own_sources)))})"

    def sessions(self, buckets: Sequence[Bucket]) -> Sessions:
        """Every session of the person. Where events in order are needed ``user_gap_events`` numbers them."""
        by_gap = self._in_order() if self.needs_order else _merged(buckets, self._rule.gap)
        own: list[tuple[int, int, int, str | None, str | None]] = []
        if self._events is not None:
            own = own_sessions(self._named, self._events)
        elif self._own_sources:
            own = [
                (int(str(first)), int(str(last)), int(str(events)), str(raw_id), str(name))
                for raw_id, name, first, last, events in self._fetch(
                    f"SELECT {raw_id_sql(self._data.schema.ids)}, session_id, min(ts), max(ts), count(*)\n"
                    f"FROM {self._one.base} e\nWHERE session_id <> '' AND NOT ({self._gapped})\nGROUP BY ALL"
                )
            ]
        found = sorted(
            [*own, *((first, last, events, None, None) for first, last, events in by_gap)],
            key=lambda one: (one[0], one[1], one[3] or "", one[4] or ""),
        )
        numbered = tuple(
            Session(number, raw_id, name, first, last, events)
            for number, (first, last, events, raw_id, name) in enumerate(found, 1)
        )
        gaps = tuple(session for session in numbered if session.id is None)
        return Sessions(
            all=numbered,
            own_sources=self._own_sources,
            by_id={(str(one.raw_id), one.id): one for one in numbered if one.id is not None},
            by_gap=gaps,
            starts=tuple(one.first for one in gaps),
            numbered=self.needs_order,
        )

    def numbers(self, events: Events, sessions: Sessions) -> NDArray[np.int64]:
        """The number of the session of each of the person's events, 0 for none."""
        return session_numbers(self._named, events, sessions, self.among_gaps)

    @cached_property
    def among_gaps(self) -> dict[object, int]:
        """By an event's place its session among those by gap, where that takes the events in order."""
        if not self.needs_order:
            return {}
        rows = self._fetch("SELECT place, number FROM user_gap_events")
        return {place: int(str(number)) for place, number in rows}

    def _in_order(self) -> list[tuple[int, int, int]]:
        has_campaign = "campaign" in self._data.schema.columns
        sql = gap_events_sql(self._one.base, self._rule, self._data.schema.order, self._gapped, has_campaign)
        self._asked.append(f"CREATE OR REPLACE TABLE user_gap_events AS\n{self._one.pasted(sql)}")
        self._data.remember("user_gap_events", sql)
        rows = self._fetch(
            "SELECT min(ts), max(ts), count(*) FROM user_gap_events GROUP BY number ORDER BY number"
        )
        return [(int(str(first)), int(str(last)), int(str(events))) for first, last, events in rows]


def needs_order(rule: SessionRule, data: Sessioned) -> bool:
    """Whether sessions take the events in order; else their quarters of an hour tell."""
    return rule.gap < BUCKET or (rule.cut_on_campaign and "campaign" in data.schema.columns)


def counted_sql(rule: SessionRule, data: Sessioned, inside: str, chosen: str) -> str:
    """How many sessions with an event in scope each person has: ``person``, ``sessions``.

    ``inside`` is the scope as a condition, ``chosen`` one over people. A session holds an event or more whether in
    scope or not.
    """
    own: list[int] = []
    if rule.own and "session_id" in data.schema.columns:
        own = [int(str(place)) for (place,) in data.fetch(sources_with_sessions_sql("events"))]
    gapped = f"source_index NOT IN ({', '.join(map(str, own))})" if own else "TRUE"
    order = "PARTITION BY person ORDER BY quarter"
    by_gap = (
        "  SELECT person, number FROM (\n"
        f"    SELECT person, inside, sum(begins) OVER ({order}) AS number FROM (\n"
        "      SELECT person, quarter, inside,\n"
        f"        CASE WHEN coalesce(first_ts - lag(last_ts) OVER ({order}) > {rule.gap}, TRUE)"
        " THEN 1 ELSE 0 END AS begins\n"
        f"      FROM (\n        SELECT person, ts // {BUCKET} AS quarter, min(ts) AS first_ts, max(ts) AS last_ts,\n"
        f"          bool_or(coalesce({inside}, FALSE)) AS inside\n"
        f"        FROM events WHERE {gapped} AND {chosen} GROUP BY person, ts // {BUCKET}\n      )\n    )\n  )\n"
        "  WHERE inside GROUP BY person, number"
    )
    parts = [f"SELECT person, count(*) AS sessions FROM (\n{by_gap}\n) GROUP BY person"]
    if own:
        parts.append(
            "SELECT person, count(*) AS sessions FROM (\n"
            f"  SELECT person, {raw_id_sql(data.schema.ids)} AS raw_id, session_id FROM events e\n"
            f"  WHERE session_id <> '' AND NOT ({gapped}) AND ({inside}) AND {chosen} GROUP BY ALL\n) GROUP BY person"
        )
    both = "\nUNION ALL\n".join(parts)
    return f"SELECT person, CAST(sum(sessions) AS BIGINT) AS sessions FROM (\n{both}\n) GROUP BY person"


def _merged(buckets: Sequence[Bucket], gap: int) -> list[tuple[int, int, int]]:
    """First, last and number of events of each session by gap."""
    found: list[tuple[int, int, int]] = []
    for bucket in buckets:
        span = bucket.gapped
        if span is None:
            continue
        if found and span.first - found[-1][1] <= gap:
            first, _, events = found[-1]
            found[-1] = (first, span.last, events + span.events)
        else:
            found.append((span.first, span.last, span.events))
    return found
