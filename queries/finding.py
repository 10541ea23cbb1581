"""Whom an id or a condition names: one person, or the several who share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queries import people
from queries.expression import compile_condition
from queries.material import Inspected
from queries.question import QuestionError
from queries.quoting import quote_identifier, quote_literal
from queries.scope import Within
from queries.suggest import ask, shown

if TYPE_CHECKING:
    from queries.one_person import Sessioned

MOST_NAMED = 8
"""Candidates an error names."""


@dataclass(frozen=True, slots=True)
class Known:
    """A combination of raw ids on events, in order of trust, and who it names."""

    events: int
    """How many have it."""
    raw: tuple[str | None, ...]
    clean: tuple[str | None, ...]
    """The same, junk left out."""
    person: int | None = None
    key: str | None = None
    """As :mod:`queries.people` has it."""
    shared: int | None = None
    """The place of the id that decides, where several people share it."""
    number: int = 0

    @property
    def deciding(self) -> int:
        """The place of the id that decides: those before it are junk."""
        return next(place for place, value in enumerate(self.clean) if value is not None)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody by code, with their own id."""

    code: int
    kind: str
    name: str
    near: Sequence[Known] | None = None
    """Their combinations and those beside them, where they are known."""


def by_id(name: str, kind: str | None, data: Sessioned, asked: list[str]) -> Person:
    """The person whom an id names: who has it as their own, else the one person it is linked to.

    ``asked`` gets the statements. Raises QuestionError for an id nobody has, junk, and one that several share.
    """
    data.survey()
    kinds = data.schema.ids
    if kind is not None and kind not in kinds:
        raise QuestionError(f"--kind {shown(kind)}: the data has no such ids", f"it has {', '.join(kinds)}")
    sql = _named_sql(name, kind, data)
    asked.append(sql)
    near = data.neighbours(name)
    if near is None:
        found = [
            (Person(int(str(code)), str(its), str(own)), bool(is_own))
            for code, its, own, is_own in data.fetch(sql)
        ]
    else:
        found = _found(name, kind, kinds, near)
    owners = [person for person, is_own in found if is_own]
    named = owners or [person for person, _ in found]
    if len(named) == 1:
        return named[0]
    if named:
        raise _shared(name, named)
    raise _unknown(name, data)


def _found(
    name: str, kind: str | None, kinds: Sequence[str], near: Sequence[Known]
) -> list[tuple[Person, bool]]:
    """The people on whose events an id stands, and whether it is their own."""
    keys = {
        one.person: str(one.key)
        for one in near
        if one.person is not None
        and any(id == name and kind in (None, its) for its, id in zip(kinds, one.clean, strict=True))
    }
    found = [Person(code, kinds[int(key[:2])], key[2:], near) for code, key in keys.items()]
    found.sort(key=lambda one: one.name)
    found.sort(key=lambda one: one.kind, reverse=True)
    return [(one, one.name == name and kind in (None, one.kind)) for one in found]


def _named_sql(name: str, kind: str | None, data: Inspected) -> str:
    """The same as SQL."""
    wanted = quote_literal(name)
    junk = people.cleaned("id", data.material().junk)
    kinds = data.schema.ids if kind is None else (kind,)
    carried = " OR ".join(f"{quote_identifier(one)} = {wanted}" for one in kinds)
    of_kind = "" if kind is None else f" AND people.kind = {quote_literal(kind)}"
    return (
        # Whose own it is stands among them: a key is the id of a combination.
        f"WITH named AS (\n  SELECT DISTINCT person FROM raw_people\n"
        f"  WHERE person IS NOT NULL AND ({carried})\n)\n"
        f"SELECT people.person, people.kind, people.id, people.id = {wanted}{of_kind} AS own\n"
        "FROM named JOIN people ON people.person = named.person\n"
        f"WHERE (SELECT {junk} FROM (SELECT {wanted} AS id)) IS NOT NULL\n"
        f"ORDER BY people.kind DESC, people.id LIMIT {10 * MOST_NAMED}"
    )


def _shared(name: str, named: Sequence[Person]) -> QuestionError:
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    listed = ", ".join(f"{shown(person.name)} ({person.kind})" for person in named[:MOST_NAMED])
    same = {person.name for person in named} == {name}
    return QuestionError(
        f"{shown(name)} names {len(named)} people: {listed}{more}",
        "say which kind of id it is: --kind KIND" if same else "ask for one of them by their own id",
    )


def _unknown(name: str, data: Inspected) -> QuestionError:
    wanted = quote_literal(name)
    clean = people.cleaned("id", data.material().junk)
    if data.fetch(f"SELECT {clean} FROM (SELECT {wanted} AS id)") == [(None,)]:
        return QuestionError(
            f"{shown(name)} is no id of anybody: it counts as junk", "[ids] in workbench.toml says what is"
        )
    near = data.fetch(
        f"SELECT id FROM people WHERE lower(id) = lower(trim({wanted})) OR starts_with(id, trim({wanted}))\n"
        "ORDER BY length(id), id LIMIT 3"
    )
    return QuestionError(
        f"nobody in the data has the id {shown(name)}",
        ask([str(one) for (one,) in near]) if near else "`--find \"PROPERTY = 'VALUE'\"` looks for an event",
    )


def by_event(condition: str, data: Inspected, within: Within, asked: list[str]) -> list[int]:
    """The codes of the people with an event in scope for which a condition is true, ascending.

    Raises QuestionError where nobody has one.
    """
    sql = people_with_sql(compile_condition(condition, data.schema, timezone=data.timezone).sql, within)
    asked.append(sql)
    codes = [int(code) for batch in data.stream(sql) for code in batch["person"].tolist()]
    if not codes:
        raise QuestionError(
            f"nobody has an event with {shown(condition)}", "`workbench properties` lists what there is"
        )
    return sorted(codes)


def people_with_sql(condition: str, within: Within) -> str:
    """The people with an event in scope under a condition: ``person``, each once."""
    conditions = " AND ".join([*within.conditions(), f"({condition})"])
    return f"SELECT DISTINCT person FROM events WHERE {conditions}"


def person_of(code: int, data: Sessioned) -> Person:
    """Somebody by code."""
    ((kind, name),) = data.fetch(f"SELECT kind, id FROM people WHERE person = {code}")
    return Person(code, str(kind), str(name), data.neighbours(str(name)))
