"""Who is one person: raw ids of several kinds → people, by a rule that never guesses.

Kinds of ids stand in order of trust, a login first, a device last. The most trusted id on an event decides. An
id that was seen beside exactly one more trusted person belongs to that person, on events before and without
that person's own id too. One that was seen beside several (a family's device) belongs to none for good: its
events count for the first of them up to the second one's first event, and from then on for whoever was seen on
it last. It lends itself to no third id, so people are never merged through it. One that was seen beside none
is a person of its own. Ids that everybody shares by accident (empty, ``null``, zeros …) name nobody and join
nothing.

A *key* is a person before people are numbered: two digits for the kind's place in the order, then the id; the
empty text where it takes the time of the event to tell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from queries.quoting import quote_identifier, quote_literal

JUNK_IDS = (
    "null",
    "nil",
    "none",
    "undefined",
    "unknown",
    "anonymous",
    "nan",
    "n/a",
    "-1",
    "(null)",
    "[object object]",
)
"""Texts that are no id, compared without case and outer blanks; so are the empty text and runs of zeros
(with or without dashes, as in an all-zero advertising id)."""


def raw_ids_sql(ids: Sequence[str], valid: str | None) -> str:
    """Every combination of raw ids that a valid event carries, and how many do; ``valid`` None where all events are."""
    names = ", ".join(quote_identifier(name) for name in ids)
    where = "" if valid is None else f"\nWHERE {valid}"
    return f"SELECT {names}, count(*) AS raw_events\nFROM source_events{where}\nGROUP BY {names}"


def cleaned(name: str, junk: Sequence[str]) -> str:
    """SQL for a raw id, NULL where it is junk: a word of the list or nothing but zeros, dashes and points.

    One pattern, since it is eight times as fast as the same in functions of text.
    """
    column = quote_identifier(name)
    # What people leave around an id: tabs, no-break and ideographic blanks too.
    blanks = "[\\s\u00a0\u3000]*"
    words = "|".join(re.escape(word) for word in junk)
    pattern = quote_literal(f"(?i){blanks}({words}|[0.-]*){blanks}")
    return f"CASE WHEN regexp_full_match({column}, {pattern}) THEN NULL ELSE {column} END"


def linked_sql(ids: Sequence[str], junk: Sequence[str], *, unit: str) -> str:
    """Each combination in ``raw_ids`` with its ids cleaned (``c0`` … in order of trust), its events and its ``key``.

    ``unit`` is ``user`` (the rule of this module) or ``raw`` (the most trusted id on the event, nothing linked).
    The key is NULL where every id is junk; where it is empty, ``shared`` is the place of the kind of the id
    that several people share.
    """
    clean = ",\n    ".join(f"{cleaned(name, junk)} AS c{i}" for i, name in enumerate(ids))
    raw = ", ".join(quote_identifier(name) for name in ids)
    columns = ", ".join((raw, *(f"c{i}" for i in range(len(ids))), "raw_events"))
    parts = [
        f"clean_ids AS (\n  SELECT {raw}, raw_events,\n    {clean}\n  FROM raw_ids\n)",
        f"linked_0 AS (\n  SELECT {columns}, {_key(0)} AS key, NULL::INTEGER AS shared FROM clean_ids\n)",
    ]
    for i in range(1, len(ids)):
        before = f"linked_{i - 1}"
        if unit == "raw":
            parts.append(
                f"linked_{i} AS (\n  SELECT {columns}, coalesce(key, {_key(i)}) AS key, shared FROM {before}\n)"
            )
            continue
        parts += [
            f"beside_{i} AS (  -- ids of this kind with the first and the last of the people they were seen beside\n"
            f"  SELECT c{i} AS id, min(key) AS low, max(key) AS high FROM {before}\n"
            f"  WHERE c{i} IS NOT NULL AND key <> '' GROUP BY c{i}\n)",
            f"linked_{i} AS (\n"
            f"  SELECT {columns},\n"
            f"    CASE WHEN key IS NOT NULL OR c{i} IS NULL THEN key WHEN low IS NULL THEN {_key(i)}\n"
            f"      WHEN low = high THEN low ELSE '' END AS key,\n"
            f"    CASE WHEN key IS NULL AND low <> high THEN {i} ELSE shared END AS shared\n"
            f"  FROM {before} LEFT JOIN beside_{i} ON beside_{i}.id = c{i}\n)",
        ]
    return "WITH " + ",\n".join(parts) + f"\nSELECT {columns}, key, shared FROM linked_{len(ids) - 1}"


def _key(place: int) -> str:
    return f"'{place:02d}' || c{place}"


def people_sql(ids: Sequence[str]) -> str:
    """People with their codes: dense from 0, in no order that means anything."""
    kinds = ", ".join(quote_literal(name) for name in ids)
    return (
        "SELECT CAST(row_number() OVER () - 1 AS INTEGER) AS person,\n"
        f"  list_extract([{kinds}], CAST(left(key, 2) AS INTEGER) + 1) AS kind, substr(key, 3) AS id, key\n"
        "FROM (SELECT DISTINCT key FROM linked_ids WHERE key <> '')"
    )


def joined_on(ids: Sequence[str], left: str, right: str) -> str:
    """The condition that finds an event's combination of raw ids again; missing ids are alike."""
    if len(ids) == 1:
        # A plain equality where one id decides: a missing id names nobody anyway.
        return f"{left}.{quote_identifier(ids[0])} = {right}.{quote_identifier(ids[0])}"
    return " AND ".join(
        f"{left}.{quote_identifier(name)} IS NOT DISTINCT FROM {right}.{quote_identifier(name)}"
        for name in ids
    )


NAMELESS_SQL = "SELECT count(*) FROM linked_ids WHERE key IS NULL"
"""Combinations of raw ids that name nobody."""

SHARED_SQL = "SELECT DISTINCT shared FROM linked_ids WHERE shared IS NOT NULL ORDER BY shared"
"""The places of the kinds of which some event's deciding id is shared."""


def raw_people_sql(ids: Sequence[str]) -> str:
    """Each combination of raw ids that names somebody, with the code of its person; NULL where time decides."""
    names = ", ".join(f"linked_ids.{quote_identifier(name)}" for name in ids)
    return (
        f"SELECT {names}, people.person\nFROM linked_ids\nLEFT JOIN people ON people.key = linked_ids.key\n"
        "WHERE linked_ids.key IS NOT NULL"
    )


def shared_events_sql(
    ids: Sequence[str], shared: Sequence[int], order: Sequence[str], valid: str | None
) -> str:
    """The place and the person of each event whose deciding id is shared: whoever was seen on it last.

    ``shared`` are the places of the kinds concerned, ``order`` the columns that order events of equal time.
    """
    ties = ", ".join(f"source_events.{name}" for name in order)
    parts = []
    for i in shared:
        window = (
            f"PARTITION BY linked_ids.c{i} ORDER BY source_events.ts, {ties} ROWS BETWEEN UNBOUNDED PRECEDING"
        )
        parts.append(
            "SELECT source_events.place, coalesce(\n"
            f"    last_value(people.person IGNORE NULLS) OVER ({window} AND CURRENT ROW),\n"
            f"    first_value(people.person IGNORE NULLS) OVER ({window} AND UNBOUNDED FOLLOWING)\n"
            "  ) AS person\nFROM source_events\n"
            f"JOIN linked_ids ON {joined_on(ids, 'source_events', 'linked_ids')}\n"
            f"LEFT JOIN people ON people.key = linked_ids.key\n"
            f"WHERE linked_ids.c{i} IN (SELECT c{i} FROM linked_ids WHERE shared = {i})"
            + ("" if valid is None else f" AND {valid}")
            + f"\nQUALIFY linked_ids.shared = {i}"
        )
    return "\nUNION ALL\n".join(parts)


def events_sql(ids: Sequence[str], valid: str | None, *, shared: bool) -> str:
    """The relation questions read: valid events with the code of their person.

    ``shared`` says that some events' people stand in ``shared_events``.
    """
    person = "coalesce(raw_people.person, shared_events.person)" if shared else "raw_people.person"
    return (
        f"SELECT source_events.*, {person} AS person\nFROM source_events\n"
        f"JOIN raw_people ON {joined_on(ids, 'source_events', 'raw_people')}"
        + (
            # An event that is settled looks for no place.
            "\nLEFT JOIN shared_events ON shared_events.place ="
            " CASE WHEN raw_people.person IS NULL THEN source_events.place END"
            if shared
            else ""
        )
        + ("" if valid is None else f"\nWHERE {valid}")
    )


def members_sql(ids: Sequence[str], junk: Sequence[str]) -> str:
    """The people whom the ids of ``segment_ids`` (``id``, ``kind`` or NULL for any) name: ``person``, ``listed``.

    ``listed`` is the place of the id in the list. A person's own id names that person; an id linked to exactly
    one person names them too, one that several share nobody. Junk ids name nobody.
    """
    parts = [
        "SELECT listed, person FROM wanted\n"
        "JOIN people ON people.id = wanted.id AND coalesce(wanted.kind, people.kind) = people.kind"
    ]
    parts += [
        "SELECT listed, min(person) AS person FROM wanted\n"
        f"JOIN raw_people ON raw_people.{quote_identifier(name)} = wanted.id\n"
        f"WHERE coalesce(wanted.kind, {quote_literal(name)}) = {quote_literal(name)}\n"
        "GROUP BY listed HAVING min(person) = max(person)"
        for name in ids
    ]
    return (
        f"WITH wanted AS (\n  SELECT listed, kind, {cleaned('id', junk)} AS id FROM segment_ids\n)\n"
        + "\nUNION\n".join(parts)
    )


def named_sql(ids: Sequence[str], junk: Sequence[str]) -> str:
    """The people whom the ids of ``segment_ids`` name: ``person``, and ``own`` where the id is their own.

    Unlike :func:`members_sql` it tells everybody who was seen with an id that several share.
    """
    parts = [
        "SELECT person, TRUE AS own FROM wanted\n"
        "JOIN people ON people.id = wanted.id AND coalesce(wanted.kind, people.kind) = people.kind"
    ]
    parts += [
        "SELECT person, FALSE AS own FROM wanted\n"
        f"JOIN raw_people ON raw_people.{quote_identifier(name)} = wanted.id\n"
        f"WHERE coalesce(wanted.kind, {quote_literal(name)}) = {quote_literal(name)} AND person IS NOT NULL"
        for name in ids
    ]
    return (
        f"WITH wanted AS (\n  SELECT kind, {cleaned('id', junk)} AS id FROM segment_ids\n)\n"
        + "\nUNION\n".join(parts)
    )
