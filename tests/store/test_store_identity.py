"""Import after import: people as if all were linked at once, codes that stay, and nobody's change untold."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queries import people
from queries.quoting import quote_identifier, quote_literal
from workbench.engine import Engine
from workbench.limits import Limits
from workbench.store.identity import Relinked, relink, write_people

KINDS = ("user_id", "ids.phone", "anonymous_id")
"""In order of trust."""
JUNK = (*people.JUNK_IDS, "nobody")
JUNK_HERE = {"", "null", "0", "000-00", "nobody"}
"""Those among the values of these tests."""

Ids = tuple[str | None, ...]
Event = tuple[int, int, Ids]
"""Time, a number of its own that breaks ties, ids."""
Person = tuple[str, str]
Key = TypeVar("Key")


def people_by_hand(events: Sequence[Event]) -> dict[int, Person]:
    """The person of each event by its number, event by event, from the rule as it is written."""
    kinds = KINDS[-len(events[0][2]) :] if events else ()
    clean = [
        (
            number,
            [
                (kind, name)
                for kind, name in zip(kinds, ids, strict=True)
                if name is not None and name.strip().lower() not in JUNK_HERE
            ],
        )
        for _, number, ids in sorted(events)
    ]

    def users(own: Person) -> list[tuple[int, Person]]:
        """Who was seen with an id, for certain, and where in the order."""
        return [
            (place, person)
            for place, (_, ids) in enumerate(clean)
            if own in ids[1:] and (person := settled(ids[0])) is not None
        ]

    memory: dict[Person, Person | None] = {}

    def settled(own: Person) -> Person | None:
        if own not in memory:
            found = {person for _, person in users(own)}
            memory[own] = own if not found else found.pop() if len(found) == 1 else None
        return memory[own]

    answer: dict[int, Person] = {}
    for place, (number, ids) in enumerate(clean):
        if not ids:
            continue
        person = settled(ids[0])
        if person is None:
            seen = users(ids[0])
            before = [one for at, one in seen if at <= place]
            person = before[-1] if before else seen[0][1]
        answer[number] = person
    return answer


@dataclass
class Imports:
    """A store's identity over several imports, and the events of its files."""

    engine: Engine
    folder: Path
    kinds: tuple[str, ...] = KINDS
    files: list[list[Event]] = field(default_factory=list)
    last: Relinked | None = None
    old: Path | None = None
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def add(
        self, rows: Sequence[tuple[int, Ids]], *, without: Sequence[int] = (), recount: bool = False
    ) -> Relinked:
        """Imports a file of rows (time, ids), with some older files gone."""
        file = [(at, next(self.numbers), ids) for at, ids in rows]
        self.files = [one for place, one in enumerate(self.files) if place not in without] + [file]
        recount = recount or bool(without)
        folder = self.folder / f"g{next(self.numbers):06}"
        folder.mkdir()
        self.last = relink(
            self.engine,
            None,
            ids=self.kinds,
            junk=JUNK,
            counted=self.query(self.events if recount else file),
            old=self.old,
            recount=recount,
            codes_before=self.last.codes if self.last else 0,
            combos_before=self.last.combos if self.last else 0,
        )
        write_people(self.engine, None, folder)
        self.old = folder / "combos.parquet"
        return self.last

    @property
    def events(self) -> list[Event]:
        return [event for file in self.files for event in file]

    def query(self, events: Sequence[Event]) -> str:
        """Events as the query of their ids."""
        names = [quote_identifier(name) for name in self.kinds]
        rows = [
            ", ".join(
                f"CAST({quote_literal(one)} AS VARCHAR) AS {name}"
                for one, name in zip(ids, names, strict=True)
            )
            for _, _, ids in events
        ]
        nothing = ", ".join(f"CAST(NULL AS VARCHAR) AS {name}" for name in names)
        return "\nUNION ALL ".join([*(f"SELECT {row}" for row in rows), f"SELECT {nothing} WHERE FALSE"])

    def combos(self) -> dict[Ids, tuple[object, ...]]:
        """Raw ids → combo, cleaned ids, events, key, shared, person."""
        found = self.engine.fetch("FROM combos")
        width = len(self.kinds)
        rows = {tuple(row[1 : 1 + width]): (row[0], *row[1 + width :]) for row in found}
        assert len(rows) == len(found)
        return rows  # type: ignore[return-value]

    def codes(self) -> dict[Person, int]:
        """The codes of people."""
        found = self.engine.fetch("SELECT kind, id, person FROM people")
        codes = {(str(kind), str(name)): int(str(code)) for kind, name, code in found}
        assert len(set(codes.values())) == len(found)
        return codes

    def linked_at_once(self) -> dict[Ids, tuple[object, ...]]:
        """Raw ids → cleaned ids, events, key, shared, of everything there is."""
        names = ", ".join(quote_identifier(name) for name in self.kinds)
        self.engine.execute(
            "CREATE OR REPLACE TABLE raw_ids AS\n"
            f"SELECT {names}, count(*) AS raw_events FROM ({self.query(self.events)}) GROUP BY {names}"
        )
        found = self.engine.fetch(people.linked_sql(self.kinds, JUNK, unit="user"))
        self.engine.execute("DROP TABLE raw_ids")
        width = len(self.kinds)
        return {tuple(row[:width]): tuple(row[width:]) for row in found}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    few = Limits(1 << 30, threads=1)
    with Engine([], writable=[tmp_path_factory.getbasetemp()], limits=few) as engine:
        yield engine


@pytest.fixture
def imports(engine: Engine, tmp_path: Path) -> Imports:
    return Imports(engine, tmp_path)


users = st.sampled_from([None, None, None, "u1", "u2", "u3", "NULL"])
phones = st.sampled_from([None, None, "p1", "p2", "p1", "u1", ""])
devices = st.sampled_from([None, "d1", "d1", "d2", "d3", "u1", "p1", " d1", "Nobody"])
rows = st.tuples(st.integers(0, 9), st.tuples(users, phones, devices))
files = st.lists(rows, max_size=7)
steps = st.lists(
    st.tuples(files, st.sets(st.integers(0, 3), max_size=2), st.booleans()), min_size=2, max_size=4
)


@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, width=st.integers(1, 3), recounted=st.booleans())
def test_imports_one_after_the_other_equal_one_of_everything(
    engine: Engine,
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[list[tuple[int, Ids]], set[int], bool]],
    width: int,
    recounted: bool,
) -> None:
    imports = Imports(engine, tmp_path_factory.mktemp("s"), KINDS[-width:])
    combos: dict[Ids, tuple[object, ...]] = {}
    codes: dict[Person, int] = {}
    persons: dict[int, Person] = {}
    before = Relinked(0, 0, 0, None, 0, False)  # type: ignore[arg-type]
    for file, without, some in steps:
        gone = sorted(without) if recounted and some else []
        after = imports.add([(at, ids[-width:]) for at, ids in file], without=gone)
        old_combos, combos = combos, imports.combos()
        old_codes, codes = codes, imports.codes()
        old_persons, persons = persons, people_by_hand(imports.events)
        _check_state(imports, after, combos, codes, persons)
        _check_codes(before, after, old_combos, combos, old_codes, codes)
        kept = combos.keys() & old_combos.keys()
        assert after.moved == sum(combos[ids][-3] != old_combos[ids][-3] for ids in kept)
        affected = set(after.affected.tolist())
        for number in persons.keys() & old_persons.keys():
            if persons[number] != old_persons[number]:
                assert {old_codes[old_persons[number]], codes[persons[number]]} <= affected
        before = after


def _check_state(
    imports: Imports,
    after: Relinked,
    combos: dict[Ids, tuple[object, ...]],
    codes: dict[Person, int],
    persons: dict[int, Person],
) -> None:
    """That tables and files say what everything at once says."""
    at_once = imports.linked_at_once()
    assert {ids: row[1:-1] for ids, row in combos.items()} == at_once
    assert set(codes) == set(persons.values())
    assert after.people == len(codes)
    for _, number, ids in imports.events:
        *_, shared, person = combos[ids]
        assert person == (None if shared is not None or number not in persons else codes[persons[number]])
    assert after.shared == any(row[-2] is not None for row in combos.values())
    for table, path in (
        ("combos", imports.old),
        ("people", imports.old and imports.old.with_name("people.parquet")),
    ):
        kept = imports.engine.fetch("FROM read_parquet($path)", {"path": str(path)})
        assert sorted(kept, key=str) == sorted(imports.engine.fetch(f"FROM {table}"), key=str)
        if table == "people":
            assert kept == sorted(kept)


def _check_codes(
    before: Relinked,
    after: Relinked,
    old_combos: dict[Ids, tuple[object, ...]],
    combos: dict[Ids, tuple[object, ...]],
    old_codes: dict[Person, int],
    codes: dict[Person, int],
) -> None:
    """That who is still there has the code of before, and who is new one that nobody had."""
    of_combos = {ids: int(str(row[0])) for ids, row in combos.items()}
    old_of_combos = {ids: int(str(row[0])) for ids, row in old_combos.items()}
    _check_numbering(before.codes, after.codes, old_codes, codes)
    _check_numbering(before.combos, after.combos, old_of_combos, of_combos)


def _check_numbering(least: int, most: int, old: Mapping[Key, int], new: Mapping[Key, int]) -> None:
    assert {one: new[one] for one in new.keys() & old.keys()} == {
        one: old[one] for one in new.keys() & old.keys()
    }
    assert sorted(new[one] for one in new.keys() - old.keys()) == list(range(least, most))


def test_a_day_of_new_people_affects_nobody(imports: Imports) -> None:
    imports.add([(1, ("u1", None, "d1")), (2, (None, None, "d1")), (3, (None, "p2", None))])
    after = imports.add([(4, ("u3", None, "d3")), (5, (None, None, "d3")), (6, (None, None, "d4"))])
    assert (after.affected.tolist(), after.moved, after.people) == ([], 0, 4)


def test_more_of_known_people_affects_nobody(imports: Imports) -> None:
    first = [(1, ("u1", None, "d1")), (2, (None, None, "d1")), (3, ("u2", None, "d2"))]
    imports.add(first)
    after = imports.add([*first, (4, ("u1", None, "d9"))])
    assert (after.affected.tolist(), after.moved, after.people) == ([], 0, 2)
    assert [row[-4] for row in imports.combos().values()] == [2, 2, 2, 1]


def test_a_login_affects_the_device_and_the_person_alone(imports: Imports) -> None:
    imports.add([(1, ("u1", None, "d1")), (2, (None, None, "d2")), (3, (None, None, "d3"))])
    codes = imports.codes()
    after = imports.add([(4, ("u1", None, "d2"))])
    assert after.affected.tolist() == sorted([codes["user_id", "u1"], codes["anonymous_id", "d2"]])
    assert (after.moved, after.people, after.codes) == (1, 2, 3)


def test_a_late_file_gives_events_of_a_family_device_to_a_new_person(imports: Imports) -> None:
    imports.add(
        [(1, ("u1", None, "d1")), (5, (None, None, "d1")), (7, ("u2", None, "d1")), (8, ("u9", None, "d9"))]
    )
    codes = imports.codes()
    after = imports.add([(4, ("u3", None, "d1"))])
    codes |= imports.codes()
    assert {codes["user_id", "u1"], codes["user_id", "u3"]} <= set(after.affected.tolist())
    assert codes["user_id", "u9"] not in after.affected
    assert after.moved == 0


def test_events_on_a_family_device_that_name_nobody_affect_nobody(imports: Imports) -> None:
    family = [(1, ("u1", None, "d1")), (5, (None, None, "d1")), (7, ("u2", None, "d1"))]
    imports.add(family)
    after = imports.add([(9, (None, None, "d1"))])
    assert (after.affected.tolist(), after.moved, after.shared) == ([], 0, True)


def test_a_phone_that_becomes_shared_gives_the_events_of_its_device_to_people_not_seen_today(
    imports: Imports,
) -> None:
    imports.add(
        [
            (1, ("u2", None, "d1")),
            (2, (None, "p1", "d1")),
            (3, (None, None, "d1")),
            (4, ("u3", None, "d1")),
        ]
    )
    codes = imports.codes()
    # The event of 3 was p1's. Now p1 is nobody for good, and it is u2's.
    after = imports.add([(5, ("u4", "p1", None)), (6, ("u5", "p1", None))])
    assert {codes["user_id", "u2"], codes["ids.phone", "p1"]} <= set(after.affected.tolist())
    assert after.moved == 1


def test_what_is_new_takes_the_person_behind_a_phone_that_was_not_seen_today(imports: Imports) -> None:
    imports.add([(1, ("u1", "p1", None)), (2, (None, "p1", "d1"))])
    codes = imports.codes()
    after = imports.add([(3, (None, None, "d1"))])
    assert {row[-1] for row in imports.combos().values()} == {codes["user_id", "u1"]}
    assert (after.people, after.moved, after.affected.tolist()) == (1, 0, [])


def test_a_family_device_without_events_of_its_own_affects_nobody(imports: Imports) -> None:
    imports.add([(1, ("u1", None, "d1")), (7, ("u2", None, "d1"))])
    after = imports.add([(5, (None, None, "d1")), (9, ("u2", None, "d1"))])
    assert (after.affected.tolist(), after.shared) == ([], True)


def test_a_code_is_never_given_twice(imports: Imports) -> None:
    imports.add([(1, ("u1", None, "d1"))])
    imports.add([(1, ("u2", None, "d2"))])
    gone = imports.codes()["user_id", "u2"]
    after = imports.add([], without=[1])
    assert (after.people, after.affected.tolist()) == (1, [gone])
    after = imports.add([(1, ("u2", None, "d2"))])
    assert imports.codes()["user_id", "u2"] == gone + 1
    assert (after.codes, after.combos) == (3, 3)
