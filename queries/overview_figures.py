"""The key figures of an overview: what each is made of, counted for a range, the period before it, and by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from queries import ranges
from queries.one_person import Sessioned
from queries.overview_request import Figure
from queries.periods import Periods
from queries.profile import orders_sql
from queries.question import QuestionError
from queries.scope import Within
from queries.seen import BUCKET
from queries.steps import matches, parse_step
from queries.units import raw_id_sql, sources_with_sessions_sql
from queries.visits import needs_order

DAYS = 31
"""The newest days of the range whose values are listed."""

Counts = Mapping[str, int | None]
"""What figures are made of, by name: counts, and money in minor units."""
Number = int | float | None


@dataclass(frozen=True, slots=True)
class Spans:
    """The range, the period before it, and the days whose values are listed; UTC ms."""

    now: ranges.Range
    before: ranges.Range | None
    """None where the data does not cover it."""
    days: Periods | None
    """None where there is no event at all."""


def spans(within: ranges.Range, data: Sessioned) -> Spans:
    """What is counted for a range, as far as the data goes."""
    survey, tz = data.survey(), ranges.zone(data.timezone)
    if survey.first is None or survey.as_of is None:
        return Spans(within, None, None)
    oldest = ranges.day_start(survey.first, tz)
    start = oldest if within.start is None else max(within.start, oldest)
    newest = survey.as_of if within.end is None else min(within.end - 1, survey.as_of)
    before = _before(within, survey.first, survey.as_of, tz)
    if newest < start:
        return Spans(within, before, None)
    # Days are counted back as dates: one of 23 hours is a day too.
    first = ranges.date_start(ranges.day_of(newest, tz) - timedelta(days=DAYS - 1), tz)
    listed = ranges.Range(max(first, start), within.end)
    return Spans(within, before, Periods.covering("day", listed, survey.first, survey.as_of, tz))


def _before(within: ranges.Range, first: int, as_of: int, tz: ZoneInfo) -> ranges.Range | None:
    """The period before, None where the data does not reach back to its beginning.

    It is as long as the part of the range that *as of* leaves: a running day is set against the same hours.
    """
    start = within.start
    if start is None or not first < start <= as_of:
        return None
    end = within.end
    if end is None:
        end = ranges.date_start(ranges.day_of(as_of, tz) + timedelta(days=1), tz)
    try:
        found = ranges.before(ranges.Range(start, end), tz)
    except QuestionError:
        return None
    assert found.start is not None
    is_days = all(ranges.day_start(ms, tz) == ms for ms in (start, end))
    if found.start < (ranges.day_start(first, tz) if is_days else first):
        return None
    if as_of + 1 >= end:
        return found
    if not is_days:
        return ranges.Range(found.start, found.start + as_of + 1 - start)
    days = ranges.day_of(end, tz) - ranges.day_of(start, tz)
    day = ranges.day_of(as_of, tz) - days
    hours = as_of + 1 - ranges.day_start(as_of, tz)
    day_end = ranges.date_start(day + timedelta(days=1), tz)
    return ranges.Range(found.start, min(ranges.date_start(day, tz) + hours, day_end))


class Counting:
    """The counts of one overview; every statement is kept as it is asked."""

    def __init__(self, data: Sessioned, within: Within, spans: Spans, asked: list[str]) -> None:
        self._data, self._within, self._spans, self._asked = data, within, spans, asked
        self._roles = {
            role: f"coalesce(({matches(parse_step(data.schema.roles[role]), data.schema, data.timezone)}), FALSE)"
            for role in ("order", "refund", "search")
            if role in data.schema.roles
        }

    def _fetch(self, sql: str) -> list[tuple[object, ...]]:
        self._asked.append(sql)
        return self._data.fetch(sql)

    def lacking(self, figure: Figure) -> str | None:
        """Why a figure cannot be told, or None."""
        if figure.role is not None and figure.role not in self._roles:
            return f"the role {figure.role} is not mapped"
        if figure.column is not None and figure.column not in self._data.schema.columns:
            return f"there is no column {figure.column}"
        return None

    # --- SQL ----------------------------------------------------------------------------------------------

    def marked(self, events: str = "events", more: str = "", where: str = "") -> str:
        """The events of the range (``part`` 1) and of the period before it (0), with the place of their day."""
        has = self._data.schema.columns
        flags = [f"{self._roles.get(role, 'FALSE')} AS is_{role}" for role in ("order", "refund", "search")]
        columns = [
            name if name in has else f"NULL::{kind} AS {name}"
            for name, kind in (
                ("order_id", "VARCHAR"), ("amount", "BIGINT"), ("refund_amount", "BIGINT"), ("result_count", "BIGINT"),
            )
        ]  # fmt: skip
        parts = [f"{self._part} AS part", f"{self._day} AS day", "person", *flags, *columns]
        return f"SELECT {', '.join(parts)}{more}\nFROM {events} WHERE {where}{self._inside}"

    @property
    def _part(self) -> str:
        before = self._spans.before
        return "1" if before is None else f"CASE WHEN ts < {self._spans.now.start} THEN 0 ELSE 1 END"

    @property
    def _inside(self) -> str:
        """The range or the period before it, and the filter."""
        now, before = self._spans.now, self._spans.before
        parts = [*Within(now, None).conditions()]
        if before is not None:
            parts = [f"(({' AND '.join(parts)}) OR ({' AND '.join(Within(before, None).conditions())}))"]
        if self._within.where is not None:
            parts.append(f"({self._within.where})")
        return " AND ".join(parts) or "TRUE"

    @property
    def _day(self) -> str:
        return "-1" if self._spans.days is None else day_sql(self._spans.days.bounds.tolist())

    # --- counting -----------------------------------------------------------------------------------------

    def totals(self) -> tuple[Counts, Counts]:
        """The counts of the range, and of the period before it."""
        found = self._counted("part", self.marked())
        sessions = self._sessions()
        return tuple(found.get(part, _NOTHING) | {"sessions": sessions[part]} for part in (1, 0))  # type: ignore[return-value]

    def by_day(self) -> list[Counts]:
        """The counts of each of the days listed."""
        if self._spans.days is None:
            return []
        # Said of times themselves, so that files of other days are not read.
        first, *_, end = self._spans.days.bounds.tolist()
        first = max(first, self._spans.now.start or first)
        found = self._counted("day", self.marked(where=f"ts >= {first} AND ts < {end} AND "))
        sessions = {
            int(str(day)): int(str(count))
            for day, count in self._fetch(
                "SELECT day, count(*) FROM overview_sessions WHERE part = 1 AND day >= 0 GROUP BY day ORDER BY day"
            )
        }
        return [
            found.get(day, _NOTHING) | {"sessions": sessions.get(day, 0)}
            for day in range(len(self._spans.days.names))
        ]

    def _counted(self, key: str, marked: str) -> dict[int, dict[str, int | None]]:
        orders = orders_sql("is_order", has_ids=True)
        rows = self._fetch(
            f"WITH marked AS (\n{marked}\n)\n"
            f"SELECT {key}, count(*) AS events, count(DISTINCT person) AS people,\n"
            f"  {orders} AS orders,\n"
            "  count(DISTINCT CASE WHEN is_order THEN person END) AS buyers,\n"
            f"  {_money('amount', 'is_order')} AS revenue,\n"
            f"  {_money('refund_amount', 'is_refund')} AS refunds,\n"
            "  count(*) FILTER (WHERE is_search) AS searches,\n"
            "  count(*) FILTER (WHERE is_search AND result_count IS NOT NULL) AS counted,\n"
            "  count(*) FILTER (WHERE is_search AND result_count = 0) AS empty\n"
            f"FROM marked GROUP BY {key} ORDER BY {key}"
        )
        return {
            int(str(place)): {
                name: None if value is None else int(str(value))
                for name, value in zip(_COUNTED, values, strict=True)
            }
            for place, *values in rows
        }

    def _sessions(self) -> dict[int, int]:
        """Sessions with an event in the range, and in the period before; ``overview_sessions`` has them by day."""
        rule = self._data.session_rule()
        if needs_order(rule, self._data):
            self._data.define_sessions()
            sql = (
                "SELECT DISTINCT part, day, session_code AS number, NULL AS raw_id, NULL AS session_id, 0 AS person\n"
                f"FROM (\n{self.marked('session_events', ', session_code')}\n)"
            )
        else:
            sql = self._grouped_sessions(rule.gap, own=rule.own)
        self._asked.append(f"CREATE OR REPLACE TABLE overview_sessions AS\n{sql}")
        self._data.remember("overview_sessions", sql)
        rows = self._fetch(
            "SELECT part, count(*) FROM (\n  SELECT DISTINCT part, person, number, raw_id, session_id "
            "FROM overview_sessions\n)\nGROUP BY part ORDER BY part"
        )
        return {1: 0, 0: 0} | {int(str(part)): int(str(count)) for part, count in rows}

    def _grouped_sessions(self, gap: int, *, own: bool) -> str:
        """Each session once a part and day: the export's by their ids, others by gap from quarters of an hour."""
        sources: list[int] = []
        if own and "session_id" in self._data.schema.columns:
            sources = [int(str(place)) for (place,) in self._fetch(sources_with_sessions_sql("events"))]
        gapped = f"source_index NOT IN ({', '.join(map(str, sources))})" if sources else "TRUE"
        inside = f"coalesce({self._inside}, FALSE)"
        order = "PARTITION BY person ORDER BY quarter, first_ts, last_ts"
        earlier = f"{order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
        parts = [
            "SELECT DISTINCT part, day, number, NULL AS raw_id, NULL AS session_id, person FROM (\n"
            f"  SELECT part, day, inside, person, sum(begins) OVER ({order}\n"
            "      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS number FROM (\n"
            "    SELECT *,\n"
            f"      CASE WHEN coalesce(first_ts - max(last_ts) OVER ({earlier}) > {gap}, TRUE)"
            " THEN 1 ELSE 0 END AS begins\n"
            f"    FROM (\n      SELECT person, ts // {BUCKET} AS quarter, {inside} AS inside,\n"
            f"        CASE WHEN {inside} THEN {self._part} END AS part,\n"
            f"        CASE WHEN {inside} THEN {self._day} END AS day,\n"
            "        min(ts) AS first_ts, max(ts) AS last_ts\n"
            f"      FROM events WHERE {gapped}\n      GROUP BY ALL\n    )\n  )\n)\nWHERE inside"
        ]
        if sources:
            raw_id = raw_id_sql(self._data.schema.ids)
            named = self.marked("events e", f", {raw_id} AS raw_id, session_id, source_index")
            parts.append(
                "SELECT DISTINCT part, day, NULL AS number, raw_id, session_id, person\n"
                f"FROM (\n{named}\n)\nWHERE session_id <> '' AND NOT ({gapped})"
            )
        return "\nUNION ALL\n".join(parts)

    def people(self, figure: Figure, part: int) -> NDArray[np.int64]:
        """The people behind a figure in the range (1) or the period before it (0), ascending."""
        sql = f"SELECT DISTINCT person FROM (\n{self.marked()}\n) WHERE part = {part} AND {figure.behind}"
        parts = [batch["person"].astype(np.int64) for batch in self._data.stream(sql)]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def value(figure: Figure, counts: Counts, decimals: int) -> Number:
    """A figure from its counts: a whole number, money in major units, or a fraction; null where it has no base."""
    first = counts[figure.of[0]]
    unit: int = 10**decimals if figure.unit == "money" else 1
    if first is None:
        return None
    if len(figure.of) == 2:
        base = counts[figure.of[1]]
        return first / (base * unit) if base else None
    return first / unit if unit > 1 else first


def day_sql(bounds: Sequence[int]) -> str:
    """The place of a moment's day, in SQL, -1 before the first; ``bounds`` as of :class:`queries.periods.Periods`.

    Days of 24 hours in a run are one division.
    """
    runs: list[tuple[int, int]] = []
    for place in range(len(bounds) - 1):
        is_usual = bounds[place + 1] - bounds[place] == ranges.DAY
        if not (runs and is_usual and bounds[place] - bounds[place - 1] == ranges.DAY):
            runs.append((place, bounds[place]))
    cases = [f"WHEN ts < {bounds[0]} THEN -1"]
    for number, (place, begins) in enumerate(runs):
        ends_at = runs[number + 1][0] if number + 1 < len(runs) else len(bounds) - 1
        many = ends_at - place > 1
        own = f"{place} + (ts - {begins}) // {ranges.DAY}" if many else str(place)
        cases.append(f"WHEN ts < {bounds[ends_at]} THEN {own}")
    return f"CASE {' '.join(cases)} ELSE -1 END"


def _money(column: str, condition: str) -> str:
    """The sum of what such events carry; 0 without such events, null where they carry nothing."""
    return (
        f"CASE WHEN count(*) FILTER (WHERE {condition}) = 0 THEN 0 ELSE\n"
        f"    CAST(sum({column}) FILTER (WHERE {condition}) AS BIGINT) END"
    )


_COUNTED = (
    "events", "people", "orders", "buyers", "revenue", "refunds", "searches", "counted", "empty",
)  # fmt: skip
_NOTHING: dict[str, int | None] = dict.fromkeys(_COUNTED, 0)
