"""What is counted besides people: sessions, orders, values of a property – each belongs to one person.

A session is the export's own where a source has ids – the pair of raw id and session id, since two devices may
use one number –, else it ends where a person does nothing for longer than a gap, or where another campaign
begins. An event without a session id, in a source that has them, is in no session: the back office's refund.

The SQL reads ``base``: the valid events with the code of their person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from queries import ranges
from queries.quoting import quote_identifier

GAP = 30 * 60_000
"""How long a session may be silent, ms."""

Statement = tuple[str, str, str]
"""``VIEW`` or ``TABLE``, its name, the SQL behind it."""


@dataclass(frozen=True, slots=True)
class SessionRule:
    """How events become sessions."""

    gap: int = GAP
    """ms; a longer silence ends a session."""
    cut_on_campaign: bool = False
    own: bool = True
    """Whether the export's session ids are used where there are some."""

    def __str__(self) -> str:
        cut = ", or when another campaign begins" if self.cut_on_campaign else ""
        by_gap = f"one ends after more than {ranges.format_duration(self.gap)} of nothing{cut}"
        return f"the export's where it has ids, else {by_gap}" if self.own else by_gap


def sources_with_sessions_sql(base: str) -> str:
    """The sources that have session ids: ``source_index``."""
    return f"SELECT DISTINCT source_index FROM {base} WHERE session_id <> '' ORDER BY source_index"


def session_statements(
    base: str,
    rule: SessionRule,
    ids: Sequence[str],
    order: Sequence[str],
    own: Sequence[int],
    *,
    campaign: bool,
) -> list[Statement]:
    """The relations ``sessions`` and ``session_events``, in the order they are made.

    ``sessions``: ``session`` from 0, ``person``, ``raw_id`` and ``session_id`` of the export's, ``first`` and
    ``last`` (UTC ms), ``events``. ``session_events``: the events in a session, with its ``session_code``.
    ``ids`` are the id columns in order of trust, ``order`` the columns that order events of equal time, ``own``
    the sources with session ids, ``campaign`` whether events have one.
    """
    has_own = rule.own and bool(own)
    gapped = f"source_index NOT IN ({', '.join(map(str, own))})" if has_own else "TRUE"
    raw_id = raw_id_sql(ids)
    by_id = (
        f"SELECT person, {raw_id} AS raw_id, session_id, NULL::BIGINT AS number,\n"
        f"  min(ts) AS first, max(ts) AS last, count(*) AS events\nFROM {base} e\n"
        "WHERE session_id <> ''\nGROUP BY ALL"
    )
    by_gap = (
        "SELECT person, NULL AS raw_id, NULL AS session_id, number,\n"
        "  min(ts) AS first, max(ts) AS last, count(*) AS events\nFROM gap_events\nGROUP BY person, number"
    )
    parts = ([by_id] if has_own else []) + [by_gap]
    joined = "\nUNION ALL\n".join(parts)
    found_by_id = (
        "LEFT JOIN sessions own ON own.person = e.person AND own.session_id = e.session_id\n"
        f"  AND own.raw_id = {raw_id}\n"
        if has_own
        else ""
    )
    session = "coalesce(own.session, gapped.session)" if has_own else "gapped.session"
    return [
        ("TABLE", "gap_events", gap_events_sql(base, rule, order, gapped, campaign)),
        (
            "TABLE",
            "sessions",
            # By what a session is, not by how it was found: of several that are as good the first one is shown.
            "SELECT CAST(row_number() OVER (ORDER BY person, first, last, raw_id, session_id, number) - 1 AS INTEGER)\n"
            f"  AS session, *\nFROM (\n{joined}\n)",
        ),
        (
            "VIEW",
            "session_events",
            f"SELECT e.*, {session} AS session_code\nFROM {base} e\n{found_by_id}"
            "LEFT JOIN gap_events ON gap_events.place = e.place\n"
            "LEFT JOIN sessions gapped ON gapped.person = gap_events.person AND gapped.number = gap_events.number\n"
            f"WHERE {session} IS NOT NULL",
        ),
    ]


def raw_id_sql(ids: Sequence[str]) -> str:
    """The raw id that tells two sessions of one number apart, of the event ``e``; ``ids`` in order of trust."""
    return "coalesce(" + ", ".join(f"e.{quote_identifier(name)}" for name in reversed(ids)) + ")"


def gap_events_sql(base: str, rule: SessionRule, order: Sequence[str], where: str, campaign: bool) -> str:
    """Each event's session by the gap: ``place``, ``person``, ``ts``, and ``number`` from 1 for each person."""
    ties = ", ".join(order)
    window = f"PARTITION BY person ORDER BY ts, {ties}"
    before = f"{window} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    cut = (
        f"\n      OR (campaign <> '' AND campaign IS DISTINCT FROM\n"
        f"        last_value(nullif(campaign, '') IGNORE NULLS) OVER ({before}))"
        if rule.cut_on_campaign and campaign
        else ""
    )
    return (
        "WITH begun AS (  -- whether a session begins with the event\n"
        f"  SELECT person, ts, {ties},\n"
        f"    CASE WHEN coalesce(ts - lag(ts) OVER ({window}) > {rule.gap}, TRUE){cut}\n"
        "      THEN 1 ELSE 0 END AS begins\n"
        f"  FROM {base}\n  WHERE {where}\n)\n"
        "SELECT place, person, ts, CAST(sum(begins) OVER (\n"
        f"    {window} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS BIGINT) AS number\nFROM begun"
    )


def session_units(running_from: int) -> tuple[Statement, ...]:
    """Sessions as what is counted: ``units`` and, as ``events``, those of each.

    ``units``: ``unit`` from 0, ``owner`` the person, ``running`` whether more may come, as it may of a session
    whose last event is at ``running_from`` (UTC ms) or later.
    """
    return (
        (
            "TABLE",
            "units",
            f"SELECT session AS unit, person AS owner, last >= {running_from} AS running FROM sessions",
        ),
        ("VIEW", "events", "SELECT * REPLACE (session_code AS person) FROM session_events"),
    )


def value_units(base: str, value: str) -> tuple[Statement, ...]:
    """A person's values of a property as what is counted; ``value`` is its SQL, text or NULL."""
    return (
        (
            "TABLE",
            "units",
            "SELECT CAST(row_number() OVER (ORDER BY person, value) - 1 AS INTEGER) AS unit, person AS owner,\n"
            "  TRUE AS running, value\n"
            f"FROM (SELECT DISTINCT person, {value} AS value FROM {base})\nWHERE value <> ''",
        ),
        (
            "VIEW",
            "events",
            # The value reads columns of the events by name alone: none of the units' may be called like a property.
            f"SELECT e.* REPLACE (named.session_code AS person)\nFROM {base} e\nJOIN (\n"
            "  SELECT unit AS session_code, owner AS person, value AS breakdown_value FROM units\n"
            f") AS named ON named.person = e.person AND named.breakdown_value = {value}",
        ),
    )
