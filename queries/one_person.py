"""The events of one person, found by their raw ids: equalities that reach down to the scan of the files.

The relation ``events`` of all questions joins every event with its person; to read one person's through it costs
a pass over everything. The combinations of raw ids that are this person's say the same as equalities.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from queries.finding import Person
from queries.material import Inspected
from queries.question import Note
from queries.quoting import quote_identifier, quote_literal
from queries.units import SessionRule

LIGHT = 50_000
"""Events of a person that are held in memory; of more, each statement reads the files again."""
FEW = 3
"""Ids of one kind that are written as equalities; past them a scan joins their list, which costs it more."""


MOST_TRIED = 50
"""Past so many ids of a person no shorter way to their events is looked for."""


class Sessioned(Inspected, Protocol):
    """Data that also says how events become sessions."""

    def session_rule(self) -> SessionRule:
        """The rule in force."""
        ...

    @property
    def by_person(self) -> str | None:
        """The relation of everybody's events in which one person's are found without reading the others'."""
        ...

    def define_sessions(self) -> Note:
        """Makes ``sessions`` and ``session_events`` of everybody; says by which rule."""
        ...


@dataclass(frozen=True, slots=True)
class Combination:
    """Raw ids of an event, in order of trust, and the place of the one that decides: those before it are junk."""

    raw: tuple[str | None, ...]
    deciding: int


@dataclass(frozen=True, slots=True)
class OnePerson:
    """A person's events as SQL."""

    person: Person
    base: str
    """The relation to read from, in brackets: over a table, or the scan itself."""
    is_light: bool


def one_person(person: Person, data: Sessioned, where: str | None, asked: list[str]) -> OnePerson:
    """Reads the person's events into the table ``user_events``, or says how to read them where they are many.

    ``where`` is the scope's filter as SQL. The relation has the columns of ``events`` and ``person``.
    """
    if data.by_person is not None:
        return _sorted_out(person, data, data.by_person, where, asked)
    own, shared, most = _combinations(person, data, asked)
    rows = _rows_sql(person, own, shared, data, asked)
    kept = _valid(data) + ("" if where is None else f" AND ({where})")
    # A LIMIT costs as much again as the scan, for the order of rows it keeps; where every row is a valid event it
    # is known without one how many there are at most.
    counted = not any(note.sets_aside for note in data.survey().notes)
    # Validity is asked of the few rows afterwards: a scan that asks for times reads them all.
    limited = rows if counted and most <= LIGHT else f"{rows}\nLIMIT {LIGHT + 1}"
    if not counted or most <= LIGHT:
        # In the order of the files: a table that keeps the order in which rows come costs a fifth more.
        limited = f"SELECT * FROM (\n{limited}\n)\nORDER BY place"
        data.remember("user_events", limited)
    if not counted:
        ((count,),) = data.fetch("SELECT count(*) FROM user_events")
        most = int(str(count))
    if most <= LIGHT:
        asked.append(f"CREATE OR REPLACE TABLE user_events AS\n{limited}")
        return OnePerson(person, f"(\n  SELECT * FROM user_events WHERE {kept}\n)", True)
    data.remember("user_events", f"{rows}\nLIMIT 0")
    return OnePerson(person, f"(\nSELECT * FROM (\n{rows}\n)\nWHERE {kept}\n)", False)


def _sorted_out(
    person: Person, data: Sessioned, events: str, where: str | None, asked: list[str]
) -> OnePerson:
    """The same where events lie by person."""
    rows = f"SELECT * FROM {events} WHERE person = {person.code}"
    kept = "TRUE" if where is None else where
    ((count,),) = data.fetch(f"SELECT count(*) FROM {events} WHERE person = {person.code}")
    if int(str(count)) > LIGHT:
        data.remember("user_events", f"{rows}\nLIMIT 0")
        return OnePerson(person, f"(\nSELECT * FROM (\n{rows}\n)\nWHERE {kept}\n)", False)
    data.remember("user_events", f"{rows}\nORDER BY place")
    # Codes are no two readers' alike: whoever pastes it has others.
    named = f"(SELECT person FROM people WHERE key = {_key(person, data.schema.ids)})"
    asked.append(
        f"CREATE OR REPLACE TABLE user_events AS\nSELECT * FROM events WHERE person = {named}\nORDER BY place"
    )
    return OnePerson(person, f"(\n  SELECT * FROM user_events WHERE {kept}\n)", True)


def _valid(data: Inspected) -> str:
    """Which rows are valid events, as the survey says."""
    as_of, (low, high) = data.survey().as_of, data.material().valid
    last = high - 1 if as_of is None else min(as_of, high - 1)
    return f"ts >= {low} AND ts <= {last} AND event <> ''"


def _rows_sql(
    person: Person,
    own: Sequence[Combination],
    shared: Sequence[Combination],
    data: Inspected,
    asked: list[str],
) -> str:
    """The person's rows, valid or not."""
    ids = data.schema.ids
    branches = [
        f"SELECT e.*, {person.code} AS person FROM source_events e\nWHERE {condition}"
        for condition in _own_conditions(person, own, ids, data, asked)
    ]
    branches += [
        f"SELECT e.*, {person.code} AS person FROM source_events e\n"
        f"JOIN shared_events ON shared_events.place = e.place AND shared_events.person = {person.code}\n"
        f"WHERE {condition}"
        for condition in _conditions(shared, ids, data, asked)
    ]
    return "\nUNION ALL\n".join(branches or ["SELECT e.*, 0 AS person FROM source_events e WHERE FALSE"])


def _key(person: Person, ids: Sequence[str]) -> str:
    return quote_literal(f"{ids.index(person.kind):02d}{person.name}")


def _combinations(
    person: Person, data: Inspected, asked: list[str]
) -> tuple[list[Combination], list[Combination], int]:
    """The combinations that are always this person's; those decided by an id that they share, where time tells
    whose an event is; and how many events may be the person's at most."""
    ids = data.schema.ids
    key = _key(person, ids)
    mine = " OR ".join(
        f"(shared = {place} AND c{place} IN (SELECT c{place} FROM linked_ids WHERE key = {key}))"
        for place in range(1, len(ids))
    )
    raw = ", ".join(quote_identifier(name) for name in ids)
    clean = ", ".join(f"c{place}" for place in range(len(ids)))
    # Own first: they are their own whatever else could be said of them.
    sql = (
        f"SELECT coalesce(key = {key}, FALSE) AS own, max(raw_events), {raw}, {clean}\nFROM linked_ids\n"
        f"WHERE key = {key} OR (shared IS NOT NULL AND ({mine or 'FALSE'}))\nGROUP BY ALL"
    )
    asked.append(sql)
    own: list[Combination] = []
    shared: list[Combination] = []
    most = 0
    for is_own, events, *row in data.fetch(sql):
        values = tuple(None if value is None else str(value) for value in row[: len(ids)])
        deciding = next(place for place, value in enumerate(row[len(ids) :]) if value is not None)
        (own if is_own else shared).append(Combination(values, deciding))
        most += int(str(events))
    return own, shared, most


def _own_conditions(
    person: Person, own: Sequence[Combination], ids: Sequence[str], data: Inspected, asked: list[str]
) -> list[str]:
    """Conditions for the events that are always this person's: as few as can be, each costs a scan.

    An id that nobody else has finds the events with and without a more trusted one at once.
    """
    plain = _conditions(own, ids, data, asked)
    best = plain
    values = {(place, value) for one in own for place, value in enumerate(one.raw) if value is not None}
    if len(plain) == 1 or len(values) > MOST_TRIED:
        return plain
    for place, value in sorted(values):
        rest = [one for one in own if one.raw[place] != value]
        fewest = 1 + len({(one.raw[: one.deciding], one.raw[one.deciding]) for one in rest})
        if fewest >= len(best) or not _is_only(person, ids, place, value, data, asked):
            continue
        others = _conditions(rest, ids, data, asked)
        name = f"e.{quote_identifier(ids[place])}"
        apart = [f"{one} AND {name} IS DISTINCT FROM {quote_literal(value)}" for one in others]
        best = [_equal(ids[place], value), *apart]
    return best


def _is_only(
    person: Person, ids: Sequence[str], place: int, value: str, data: Inspected, asked: list[str]
) -> bool:
    """Whether an id is on events of this person alone."""
    sql = (
        f"SELECT 1 FROM linked_ids WHERE {quote_identifier(ids[place])} = {quote_literal(value)}\n"
        f"AND key IS DISTINCT FROM {_key(person, ids)} LIMIT 1"
    )
    asked.append(sql)
    return not data.fetch(sql)


def _conditions(
    combinations: Sequence[Combination], ids: Sequence[str], data: Inspected, asked: list[str]
) -> list[str]:
    """Conditions over raw ids, disjoint, that hold for exactly these combinations, whatever less trusted ids say."""
    found: dict[tuple[str | None, ...], set[str]] = defaultdict(set)
    for one in combinations:
        found[one.raw[: one.deciding]].add(str(one.raw[one.deciding]))
    out: list[str] = []
    for number, (before, values) in enumerate(sorted(found.items(), key=lambda one: repr(one[0]))):
        prefix = [
            f"e.{quote_identifier(name)} IS NULL" if value is None else _equal(name, value)
            for name, value in zip(ids, before, strict=False)
        ]
        name = ids[len(before)]
        if len(values) <= FEW:
            out += [" AND ".join([_equal(name, value), *prefix]) for value in sorted(values)]
            continue
        table = f"user_ids_{len(asked)}_{number}"
        listed = ", ".join(quote_literal(value) for value in sorted(values))
        statement = f"SELECT unnest([{listed}]) AS id"
        data.remember(table, statement)
        asked.append(f"CREATE OR REPLACE TABLE {table} AS\n{statement}")
        out.append(" AND ".join([f"e.{quote_identifier(name)} IN (SELECT id FROM {table})", *prefix]))
    return out


def _equal(name: str, value: str) -> str:
    return f"e.{quote_identifier(name)} = {quote_literal(value)}"
