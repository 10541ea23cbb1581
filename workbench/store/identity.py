"""Who is who after an import: known combinations of ids and new ones, linked again only where that can matter.

The rule is that of :mod:`queries.people`; here people keep their codes from import to import, and it is told
whose events of before may be somebody else's now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from queries import people
from queries.quoting import quote_identifier, quote_literal
from workbench.engine import Engine
from workbench.runner import Task

COMBOS_FILE = "combos.parquet"
PEOPLE_FILE = "people.parquet"

# Nearly every id is there once: a dictionary only costs. Small groups: one person is looked for at a time.
_FILE = "(FORMAT parquet, COMPRESSION lz4, DICTIONARY_SIZE_LIMIT 1, ROW_GROUP_SIZE 16384)"
_HELPERS = ("arrived", "fresh", "near", "linked_ids", "changed", "named", "relinked", "gone", "stirred")


@dataclass(frozen=True, slots=True)
class Relinked:
    """What an import did to people."""

    people: int
    """How many there are, with at least one event each."""
    codes: int
    """One more than the greatest code that any of them ever had."""
    combos: int
    """One more than the greatest code that any combination of raw ids ever had."""
    affected: NDArray[np.int64]
    """Ascending codes of people, old and new, some of whose known events may have come from or gone to another."""
    moved: int
    """Combinations known before that are somebody else's now, or that time decides now or did."""
    shared: bool
    """Whether time decides whose the events of some combination are."""


@dataclass(frozen=True, slots=True)
class _Linking:
    """One run of it. Tables on the way are read by name; a *place* is that of a kind in the order of trust."""

    engine: Engine
    task: Task | None
    ids: tuple[str, ...]
    junk: tuple[str, ...]
    recount: bool
    first_combo: int = 0
    """The least code of a combination that was not known."""
    first_code: int = 0

    @property
    def names(self) -> str:
        """The raw ids, as a list in SQL."""
        return ", ".join(quote_identifier(name) for name in self.ids)

    @property
    def cleaned(self) -> str:
        """The cleaned ids, as a list in SQL."""
        return ", ".join(f"c{place}" for place in range(len(self.ids)))

    def run(self, sql: str, **parameters: object) -> None:
        self.engine.execute(sql, parameters, self.task)

    def number(self, sql: str) -> int:
        ((value,),) = self.engine.fetch(sql, None, self.task)
        return int(str(value))


def relink(
    engine: Engine,
    task: Task | None,
    *,
    ids: Sequence[str],
    junk: Sequence[str],
    counted: str,
    old: Path | None,
    recount: bool,
    codes_before: int = 0,
    combos_before: int = 0,
) -> Relinked:
    """Links the ids of new events to people; makes ``combos``, ``people`` and ``touched``.

    ``counted`` is a query of the raw ``ids`` (VARCHAR, most trusted first), a row for each valid event: of the
    new files, or of all that remain where ``recount`` is true. ``old`` is the last generation's combinations,
    with its people in the same folder; None where there is none. ``codes_before`` and ``combos_before`` are
    what the last run gave as ``codes`` and ``combos``: no code is ever given twice.

    ``combos`` has ``combo``, the raw ids, ``c0`` …, ``raw_events``, ``key``, ``shared``, ``person`` (NULL where
    time decides or nobody is named); ``people`` has ``person``, ``kind``, ``id``, ``key``, as their files do;
    ``touched`` has each ``combo`` that ``counted`` has. Raises :class:`WorkbenchError`.
    """
    linking = _Linking(engine, task, tuple(ids), tuple(junk), recount)
    _load(linking, old)
    linking = _Linking(
        *(engine, task, tuple(ids), tuple(junk), recount),
        max(combos_before, linking.number("SELECT coalesce(max(combo) + 1, 0) FROM combos")),
        max(codes_before, linking.number("SELECT coalesce(max(person) + 1, 0) FROM people")),
    )
    _count(linking, counted)
    _choose(linking, everything=recount or old is None)
    _link(linking)
    fresh = linking.number("SELECT count(*) FROM fresh")
    added = _number_people(linking)
    _settle(linking)
    affected = _affected(linking)
    moved = linking.number("SELECT count(*) FROM relinked WHERE known")
    for name in _HELPERS:
        linking.run(f"DROP TABLE IF EXISTS {name}")
    return Relinked(
        people=linking.number("SELECT count(*) FROM people"),
        codes=linking.first_code + added,
        combos=linking.first_combo + fresh,
        affected=affected,
        moved=moved,
        shared=bool(linking.number("SELECT count(shared) FROM combos")),
    )


def _load(linking: _Linking, old: Path | None) -> None:
    """Makes ``combos`` and ``people`` as they were."""
    raw = ", ".join(f"{quote_identifier(name)} VARCHAR" for name in linking.ids)
    clean = ", ".join(f"c{place} VARCHAR" for place in range(len(linking.ids)))
    linking.run(
        f"CREATE OR REPLACE TABLE combos (combo INTEGER, {raw}, {clean}, raw_events BIGINT, key VARCHAR,"
        " shared INTEGER, person INTEGER)"
    )
    linking.run("CREATE OR REPLACE TABLE people (person INTEGER, kind VARCHAR, id VARCHAR, key VARCHAR)")
    if old is None:
        return
    for table, path in (("combos", old), ("people", old.with_name(PEOPLE_FILE))):
        linking.run(f"INSERT INTO {table} BY NAME FROM read_parquet($path)", path=escape(str(path)))


def _count(linking: _Linking, counted: str) -> None:
    """Makes ``arrived``, ``touched``, ``gone``, and ``fresh`` of what was not known; ``combos`` get their events."""
    names = linking.names
    own = ", ".join(f"arrived.{quote_identifier(name)}" for name in linking.ids)
    same = " AND ".join(
        f"arrived.{quote_identifier(name)} IS NOT DISTINCT FROM combos.{quote_identifier(name)}"
        for name in linking.ids
    )
    linking.run(
        "CREATE OR REPLACE TABLE arrived AS\n"
        f"WITH arrived AS (\n  SELECT {names}, count(*) AS raw_events FROM (\n{counted}\n) GROUP BY {names}\n)\n"
        f"SELECT combos.combo, {own}, arrived.raw_events FROM arrived LEFT JOIN combos ON {same}"
    )
    clean = ", ".join(
        f"{people.cleaned(name, linking.junk)} AS c{place}" for place, name in enumerate(linking.ids)
    )
    linking.run(
        "CREATE OR REPLACE TABLE fresh AS\n"
        f"SELECT CAST({linking.first_combo} + row_number() OVER () - 1 AS INTEGER) AS combo, {names}, {clean},\n"
        "  raw_events FROM arrived WHERE combo IS NULL"
    )
    linking.run(
        "CREATE OR REPLACE TABLE touched AS\n"
        "SELECT combo FROM arrived WHERE combo IS NOT NULL UNION ALL SELECT combo FROM fresh"
    )
    left = "NOT EXISTS (FROM touched WHERE touched.combo = combos.combo)" if linking.recount else "FALSE"
    linking.run(f"CREATE OR REPLACE TABLE gone AS SELECT person FROM combos WHERE {left}")
    if linking.recount:
        linking.run(
            "CREATE OR REPLACE TABLE combos AS\n"
            "SELECT combos.* REPLACE (arrived.raw_events AS raw_events)\n"
            "FROM combos JOIN arrived ON arrived.combo = combos.combo"
        )
        return
    linking.run(
        "UPDATE combos SET raw_events = combos.raw_events + arrived.raw_events FROM arrived"
        " WHERE arrived.combo = combos.combo"
    )


def _choose(linking: _Linking, *, everything: bool) -> None:
    """Makes ``raw_ids``: all whose person may be another now, and all on whom those depend.

    Who decides depends only on more trusted ids: a combination on those that share its most trusted id and
    have a more trusted one beside it. So what is new is followed down the kinds, and what it takes up them.
    """
    # The rule hands the number beside the ids on as it is: their code, so that no ids are joined again.
    handed = f"SELECT {linking.names}, combo AS raw_events FROM"
    if everything:
        linking.run(f"CREATE OR REPLACE VIEW raw_ids AS\n{handed} combos UNION ALL {handed} fresh")
        return
    columns = f"combo, {linking.names}, {linking.cleaned}"
    linking.run(f"CREATE OR REPLACE TABLE near AS SELECT {columns} FROM fresh")
    places = range(1, len(linking.ids))
    for place in places:
        linking.run(
            f"INSERT INTO near SELECT {columns} FROM combos WHERE {_decides(place)}\n"
            f"  AND c{place} IN (SELECT c{place} FROM near WHERE c{place} IS NOT NULL AND {_trusted(place)})"
        )
    for place in reversed(places):
        linking.run(
            f"INSERT INTO near SELECT {columns} FROM combos WHERE {_trusted(place)}\n"
            f"  AND c{place} IN (SELECT c{place} FROM near WHERE {_decides(place)})\n"
            "  AND NOT EXISTS (FROM near WHERE near.combo = combos.combo)"
        )
    linking.run(f"CREATE OR REPLACE VIEW raw_ids AS {handed} near")


def _decides(place: int) -> str:
    """That the id of this place is the most trusted one that names somebody."""
    return " AND ".join([*(f"c{one} IS NULL" for one in range(place)), f"c{place} IS NOT NULL"])


def _trusted(place: int) -> str:
    """That there is an id more trusted than that of this place."""
    return f"coalesce({', '.join(f'c{one}' for one in range(place))}, NULL) IS NOT NULL"


def _link(linking: _Linking) -> None:
    """Makes ``changed``: what is new, and what is known and has another key now, beside what was known of it."""
    rule = people.linked_sql(linking.ids, linking.junk, unit="user")
    linking.run(f"CREATE OR REPLACE TABLE linked_ids AS\n{rule}")
    linking.run("DROP VIEW raw_ids")
    linking.run(
        "CREATE OR REPLACE TABLE changed AS\n"
        "SELECT linked_ids.raw_events AS combo, linked_ids.key, linked_ids.shared,\n"
        "  combos.combo IS NOT NULL AS known, combos.person AS person_before\n"
        "FROM linked_ids LEFT JOIN combos ON combos.combo = linked_ids.raw_events\n"
        "WHERE combos.combo IS NULL OR linked_ids.key IS DISTINCT FROM combos.key"
    )


def _number_people(linking: _Linking) -> int:
    """Makes ``relinked``, which is ``changed`` with people; gives new ones their codes, and says how many they are."""
    kinds = ", ".join(quote_literal(name) for name in linking.ids)
    linking.run(
        "CREATE OR REPLACE TABLE named AS SELECT person, key FROM people\n"
        "WHERE key IN (SELECT key FROM changed WHERE key <> '')"
    )
    known = linking.number("SELECT count(*) FROM named")
    linking.run(
        "INSERT INTO named\n"
        f"SELECT CAST({linking.first_code} + row_number() OVER (ORDER BY min(combo)) - 1 AS INTEGER), key\n"
        "FROM changed WHERE key <> '' AND NOT EXISTS (FROM named WHERE named.key = changed.key) GROUP BY key"
    )
    linking.run(
        "INSERT INTO people SELECT person,\n"
        f"  list_extract([{kinds}], CAST(left(key, 2) AS INTEGER) + 1), substr(key, 3), key\n"
        f"FROM named WHERE person >= {linking.first_code}"
    )
    linking.run(
        "CREATE OR REPLACE TABLE relinked AS\n"
        "SELECT changed.*, named.person FROM changed LEFT JOIN named ON named.key = changed.key"
    )
    return linking.number("SELECT count(*) FROM named") - known


def _settle(linking: _Linking) -> None:
    """Writes the new keys and people into ``combos``; takes from ``people`` those who have none left."""
    linking.run(
        "UPDATE combos SET key = relinked.key, shared = relinked.shared, person = relinked.person\n"
        "FROM relinked WHERE relinked.combo = combos.combo"
    )
    raw = ", ".join(f"fresh.{quote_identifier(name)}" for name in linking.ids)
    clean = ", ".join(f"fresh.c{place}" for place in range(len(linking.ids)))
    linking.run(
        f"INSERT INTO combos SELECT fresh.combo, {raw}, {clean}, fresh.raw_events, relinked.key,\n"
        "  relinked.shared, relinked.person FROM fresh JOIN relinked ON relinked.combo = fresh.combo"
    )
    # Whoever has no combination left was known by one that changed or went.
    linking.run(
        "DELETE FROM people WHERE person IN (\n"
        "  SELECT person_before FROM relinked UNION ALL SELECT person FROM gone)\n"
        "AND NOT EXISTS (FROM combos WHERE combos.person = people.person)"
    )


def _affected(linking: _Linking) -> NDArray[np.int64]:
    """Who may have lost or won known events.

    Those are the people of combinations that changed or went; and where time decides, everybody who was seen
    with an id beside which something changed, or somebody was seen again. Where time decides no more, whoever
    had such events is among the former, or has them all now.
    """
    if not linking.first_combo:
        return np.empty(0, np.int64)
    clean = ", ".join(f"combos.c{place}" for place in range(len(linking.ids)))
    linking.run(
        "CREATE OR REPLACE TABLE stirred AS\n"
        # An event that names nobody for certain changes nothing for those around it.
        f"SELECT {linking.cleaned} FROM combos\n"
        "WHERE person IS NOT NULL AND combo IN (SELECT combo FROM touched)\n"
        f"UNION ALL SELECT {clean} FROM combos JOIN relinked ON relinked.combo = combos.combo AND known"
    )
    parts = [
        "SELECT person FROM relinked WHERE known",
        "SELECT person_before FROM relinked",
        "SELECT person FROM gone",
    ]
    for place in _shared_places(linking):
        own = f"c{place}"
        parts.append(
            f"SELECT person FROM combos WHERE {own} IN (\n"
            f"  SELECT {own} FROM combos WHERE shared = {place} AND combo < {linking.first_combo}\n"
            f"    AND {own} IN (SELECT {own} FROM stirred))"
        )
    every = "\nUNION ALL ".join(parts)
    sql = (
        f"SELECT DISTINCT CAST(person AS BIGINT) AS person FROM (\n{every}\n)\n"
        "WHERE person IS NOT NULL ORDER BY person"
    )
    return linking.engine.columns(sql, None, linking.task)["person"].astype(np.int64)


def _shared_places(linking: _Linking) -> list[int]:
    """The places of the kinds of which some combination's deciding id is shared."""
    found = linking.engine.fetch(
        "SELECT DISTINCT shared FROM combos WHERE shared IS NOT NULL ORDER BY shared", None, linking.task
    )
    return [int(str(place)) for (place,) in found]


def write_people(engine: Engine, task: Task | None, folder: Path) -> None:
    """Writes ``combos`` and ``people`` as they are now to their files in a folder; raises :class:`WorkbenchError`."""
    engine.execute(f"COPY combos TO $target {_FILE}", {"target": str(folder / COMBOS_FILE)}, task)
    ordered = "(FROM people ORDER BY person)"
    engine.execute(f"COPY {ordered} TO $target {_FILE}", {"target": str(folder / PEOPLE_FILE)}, task)
