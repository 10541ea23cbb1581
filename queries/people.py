"""Who is one person: raw ids of several kinds → people, by a rule that never guesses.

The rule here: ``user_id`` names the person. An id of another kind (a device, a phone) that was seen with
exactly one ``user_id`` belongs to that person, events before the login too. Where it was seen with none or
with several, events that carry it alone count as a person of its own, named by that id. Ids that everybody
shares by accident (empty, ``null``, zeros …) name nobody and join nothing.
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
    """Every combination of raw ids that a valid event carries; ``valid`` None where all events are."""
    names = ", ".join(quote_identifier(name) for name in ids)
    return f"SELECT DISTINCT {names}\nFROM source_events" + ("" if valid is None else f"\nWHERE {valid}")


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
    """Each combination in ``raw_ids`` with its person's kind and id: the rule of this module.

    ``unit`` is ``user`` (the rule) or ``raw`` (the most trusted id on the event, nothing linked). Kind and id
    are NULL where every id is junk. ``ids`` come in order of trust; ``user_id`` names the person wherever it stands.
    """
    clean = ",\n    ".join(f"{cleaned(name, junk)} AS c{i}" for i, name in enumerate(ids))
    raw = ", ".join(quote_identifier(name) for name in ids)
    qualified = ", ".join(f"clean_ids.{quote_identifier(name)}" for name in ids)
    with_parts = [f"clean_ids AS (\n  SELECT {raw},\n    {clean}\n  FROM raw_ids\n)"]
    joins: list[str] = []
    choices: list[tuple[str, str]] = []
    others = list(range(len(ids)))
    if unit == "user" and "user_id" in ids:
        user = ids.index("user_id")
        choices.append(("'user_id'", f"c{user}"))
        others = [i for i in range(len(ids)) if i != user]
        for i in others:
            with_parts.append(
                f"owner_{i} AS (  -- ids seen with exactly one user\n"
                f"  SELECT c{i} AS id, min(c{user}) AS user_id FROM clean_ids\n"
                f"  WHERE c{user} IS NOT NULL AND c{i} IS NOT NULL\n"
                f"  GROUP BY c{i} HAVING min(c{user}) = max(c{user})\n)"
            )
            joins.append(f"LEFT JOIN owner_{i} ON owner_{i}.id = c{i}")
            choices.append(("'user_id'", f"owner_{i}.user_id"))
    choices += [(quote_literal(ids[i]), f"c{i}") for i in others]
    kind = "CASE " + " ".join(f"WHEN {value} IS NOT NULL THEN {name}" for name, value in choices) + " END"
    person = "coalesce(" + ", ".join(value for _, value in choices) + ")"
    return (
        "WITH "
        + ",\n".join(with_parts)
        + f"\nSELECT {qualified}, {kind} AS kind, {person} AS id\nFROM clean_ids "
        + "\n".join(joins)
    )


PEOPLE_SQL = """SELECT CAST(row_number() OVER () - 1 AS INTEGER) AS person, kind, id
FROM (SELECT DISTINCT kind, id FROM linked_ids WHERE id IS NOT NULL)"""
"""People with their codes: dense from 0, in no order that means anything."""


def joined_on(ids: Sequence[str], left: str, right: str) -> str:
    """The condition that finds an event's combination of raw ids again; missing ids are alike."""
    if len(ids) == 1:
        # A plain equality where one id decides: a missing id names nobody anyway.
        return f"{left}.{quote_identifier(ids[0])} = {right}.{quote_identifier(ids[0])}"
    return " AND ".join(
        f"{left}.{quote_identifier(name)} IS NOT DISTINCT FROM {right}.{quote_identifier(name)}"
        for name in ids
    )


NAMELESS_SQL = "SELECT count(*) FROM linked_ids WHERE id IS NULL"
"""Combinations of raw ids that name nobody."""


def raw_people_sql(ids: Sequence[str]) -> str:
    """Each combination of raw ids with the code of its person."""
    names = ", ".join(f"linked_ids.{quote_identifier(name)}" for name in ids)
    return (
        f"SELECT {names}, people.person\nFROM linked_ids\n"
        "JOIN people ON people.kind = linked_ids.kind AND people.id = linked_ids.id"
    )


def events_sql(ids: Sequence[str], valid: str | None) -> str:
    """The relation questions read: valid events with the code of their person."""
    return (
        "SELECT source_events.*, raw_people.person\nFROM source_events\n"
        f"JOIN raw_people ON {joined_on(ids, 'source_events', 'raw_people')}"
        + ("" if valid is None else f"\nWHERE {valid}")
    )


def members_sql(ids: Sequence[str], junk: Sequence[str]) -> str:
    """The people whom the ids of ``segment_ids`` (``id``, ``kind`` or NULL for any) name: ``person``, ``listed``.

    ``listed`` is the place of the id in the list. A person's own id names that person; an id linked to exactly
    one person names them too, one of several only itself. Junk ids name nobody.
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
