"""The events of one person, found by their raw ids: equalities that reach down to the scan of the files.

The relation ``events`` of all questions joins every event with its person; to read one person's through it costs
a pass over everything. The combinations of raw ids that are this person's say the same as equalities.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from queries.finding import Known, Person
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
MOST_APART = 20
"""Past so many conditions their files are not looked for first."""


class Sessioned(Inspected, Protocol):
    """Data that also says how events become sessions."""

    def session_rule(self) -> SessionRule:
        """The rule in force."""
        ...

    @property
    def by_person(self) -> str | None:
        """The relation of everybody's events in which one person's are found without reading the others'."""
        ...

    def neighbours(self, id: str) -> Sequence[Known] | None:
        """The combinations of the people on whose events an id stands, and all that carry an id of theirs.

        None where ``linked_ids`` is to be asked.
        """
        ...

    def rows_of_files(self, files: frozenset[int]) -> str | None:
        """``source_events`` of some files alone, by their numbers in ``place``, to stand after FROM.

        None where it takes the others to know their rows.
        """
        ...

    def events_of(self, person: int, known: Sequence[Known]) -> str:
        """One person's part of :attr:`by_person`, to stand after FROM; ``known`` has all their combinations."""
        ...

    def define_sessions(self) -> Note:
        """Makes ``sessions`` and ``session_events`` of everybody; says by which rule."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one person that one condition over raw ids finds; no row is in two parts."""

    condition: str
    is_shared: bool = False
    """Whether time decides of whom the events are."""
    files: frozenset[int] | None = None
    """The files where such rows lie; None: any."""

    def among(self, files: frozenset[int]) -> Part:
        """Those in some files."""
        return replace(self, files=files if self.files is None else self.files & files)


@dataclass(frozen=True, slots=True)
class OnePerson:
    """A person's events as SQL."""

    person: Person
    rows: str
    """A select of them and, from files, of their rows that are no valid events."""
    kept: str
    """The condition that takes those in scope."""
    known: tuple[Known, ...]
    """All combinations of raw ids that they have, and maybe others."""
    most: int
    """How many valid events they may be."""
    is_counted: bool
    """Whether there are no other rows."""
    named: str | None = None
    """The select for whoever reads it elsewhere: codes are no two readers' alike."""
    parts: tuple[Part, ...] = ()
    """Of files: what finds the rows."""

    @property
    def base(self) -> str:
        """The relation to read from, in brackets; it has the columns of ``events`` and ``person``."""
        return f"(\nSELECT * FROM (\n{self.rows}\n)\nWHERE {self.kept}\n)"

    def rows_of_files(self, files: frozenset[int], data: Sessioned) -> str | None:
        """The select over some files alone; None where it takes all, or nothing is read of files."""
        if not self.parts or data.rows_of_files(files) is None:
            return None
        return _rows_sql(self.person, [part.among(files) for part in self.parts], data)

    def pasted(self, sql: str) -> str:
        """A statement over these rows, ready to paste."""
        return sql if self.named is None else sql.replace(self.rows, self.named)


def one_person(person: Person, data: Sessioned, where: str | None, asked: list[str]) -> OnePerson:
    """Says how the person's events are read; ``where`` is the scope's filter as SQL."""
    if data.by_person is not None:
        return _sorted_out(person, data, data.by_person, where, asked)
    own, shared, most = _combinations(person, data, asked)
    ids = data.schema.ids
    parts = [Part(condition) for condition in _own_conditions(person, own, ids, data, asked)]
    parts += [Part(condition, is_shared=True) for condition in _conditions(shared, ids, data, asked)]
    everywhere = _rows_sql(person, parts, data)
    parts = _with_files(parts, data)
    rows = _rows_sql(person, parts, data)
    return OnePerson(
        person,
        rows,
        _valid(data) + ("" if where is None else f" AND ({where})"),
        (*own, *shared),
        most,
        is_counted=not any(note.sets_aside for note in data.survey().notes),
        named=None if rows == everywhere else everywhere,
        parts=tuple(parts),
    )


def _sorted_out(
    person: Person, data: Sessioned, events: str, where: str | None, asked: list[str]
) -> OnePerson:
    """The same where events lie by person."""
    rows = f"SELECT * FROM {events} WHERE person = {person.code}"
    if person.near is None:
        own, shared, most = _combinations(person, data, asked)
        known = [*own, *shared]
    else:
        known = _near(person, person.near)
        most = sum(one.events for one in known)
        rows = f"SELECT * FROM {data.events_of(person.code, known)}"
    if most > LIGHT:
        # Events of an id that several share are not all theirs.
        ((count,),) = data.fetch(f"SELECT count(*) FROM {events} WHERE person = {person.code}")
        most = int(str(count))
    named = f"(SELECT person FROM people WHERE key = {_key(person, data.schema.ids)})"
    return OnePerson(
        person,
        rows,
        "TRUE" if where is None else f"({where})",
        tuple(known),
        most,
        is_counted=True,
        named=f"SELECT * FROM {events} WHERE person = {named}",
    )


def _valid(data: Inspected) -> str:
    """Which rows are valid events, as the survey says."""
    as_of, (low, high) = data.survey().as_of, data.material().valid
    last = high - 1 if as_of is None else min(as_of, high - 1)
    return f"ts >= {low} AND ts <= {last} AND event <> ''"


def _rows_sql(person: Person, parts: Sequence[Part], data: Sessioned) -> str:
    """The rows of some parts, valid or not."""
    branches = []
    for part in parts:
        source = "source_events" if part.files is None else data.rows_of_files(part.files)
        mine = "shared_events.place = e.place AND shared_events.person"
        join = f"JOIN shared_events ON {mine} = {person.code}\n" if part.is_shared else ""
        if part.files is None or part.files:
            branches.append(
                f"SELECT e.*, {person.code} AS person FROM {source} e\n{join}WHERE {part.condition}"
            )
    return "\nUNION ALL\n".join(branches or ["SELECT e.*, 0 AS person FROM source_events e WHERE FALSE"])


def _with_files(parts: Sequence[Part], data: Sessioned) -> list[Part]:
    """The parts with their files, where looking for those pays.

    The first has the rows of a person's most trusted id, in many files as a rule. Those of the others, of a device
    before its login, lie in few: one pass over the ids finds them in less time than each pass over all columns takes.
    """
    first, rest = list(parts[:1]), parts[1:]
    if not rest or len(rest) > MOST_APART or any(" IN (" in one.condition for one in rest):
        return list(parts)
    cases = " ".join(f"WHEN {one.condition} THEN {place}" for place, one in enumerate(rest))
    among = " OR ".join(f"({one.condition})" for one in rest)
    found = data.fetch(f"SELECT DISTINCT CASE {cases} END, e.place >> 40 FROM source_events e WHERE {among}")
    files: list[set[int]] = [set() for _ in rest]
    for place, file in found:
        files[int(str(place))].add(int(str(file)))
    known = [replace(one, files=frozenset(some)) for one, some in zip(rest, files, strict=True)]
    if any(one.files and data.rows_of_files(one.files) is None for one in known):
        return list(parts)
    return [*first, *known]


def _key(person: Person, ids: Sequence[str]) -> str:
    return quote_literal(f"{ids.index(person.kind):02d}{person.name}")


def _combinations(person: Person, data: Sessioned, asked: list[str]) -> tuple[list[Known], list[Known], int]:
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
    own: list[Known] = []
    shared: list[Known] = []
    for is_own, events, *row in data.fetch(sql):
        values = tuple(None if value is None else str(value) for value in row)
        one = Known(int(str(events)), values[: len(ids)], values[len(ids) :])
        (own if is_own else shared).append(one)
    return own, shared, sum(one.events for one in (*own, *shared))


def _near(person: Person, near: Sequence[Known]) -> list[Known]:
    """The same from what stands beside the person's ids: own and shared ones."""
    own = [one for one in near if one.person == person.code]
    ids = {(place, id) for one in own for place, id in enumerate(one.clean) if id is not None}
    return own + [
        one for one in near if one.shared is not None and (one.shared, one.clean[one.shared]) in ids
    ]


def _own_conditions(
    person: Person, own: Sequence[Known], ids: Sequence[str], data: Inspected, asked: list[str]
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
    combinations: Sequence[Known], ids: Sequence[str], data: Inspected, asked: list[str]
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
