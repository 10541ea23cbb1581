"""A store as an open dataset reads it: whether it is that of the files just listed, its relations, its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from queries.quoting import quote_identifier, quote_literal
from workbench.planner import IDS_SCHEMA, SCHEMA
from workbench.sources.relation import Relation
from workbench.sources.snapshot import SourceFiles
from workbench.store import runs
from workbench.store.folder import Reading, StoreFolder, store_folder
from workbench.store.manifest import Manifest
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.store.lane_files import OpenLanes

Statement = tuple[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Footing:
    """What a survey has to know of everything: whom there is, how many events, and what was set aside."""

    people: int
    codes: int
    rows: int
    """Events that somebody did."""
    first: int | None
    last: int | None
    aside: Mapping[str, int]
    """Rows that are no valid events, by reason."""
    lost: Sequence[tuple[str, str, int]]
    """Source, column, and how many of its values could not be read."""
    newest: Mapping[str, int]
    """The newest valid event of each source that has one."""


class StoredEvents:
    """The store of one listing; its folders stay as long as this is held."""

    def __init__(self, folder: StoreFolder, reading: Reading) -> None:
        self._folder, self._reading = folder, reading
        self.manifest: Manifest = reading.manifest
        self._lanes: OpenLanes | None = None

    @property
    def root(self) -> Path:
        """The folder that the engine must be allowed to read."""
        return self._folder.root

    def is_of(self, sources: Sequence[SourceFiles], relation: Relation, until: int) -> bool:
        """Whether it holds exactly the events of these files; ``until`` is when a time is too late, UTC ms."""
        manifest = self.manifest
        listed = {file.listed.identity for source in sources for file in source.files}
        read = {(file.listed.identity, file.source, file.plan) for file in relation.files}
        return (
            {(file.identity, file.source, file.plan) for file in manifest.files} == read
            and listed - {identity for identity, _, _ in read} == set(manifest.other)
            and all(file.future is None or file.future >= until for file in manifest.files)
            and manifest.ids == relation.ids
            and manifest.has_fine == relation.has_fine
            and manifest.has_sequence == relation.has_sequence
            and set(zip(manifest.columns, manifest.kinds, strict=True))
            <= {(column.name, column.kind) for column in relation.columns}
        )

    # --- relations ------------------------------------------------------------------------------------------

    def relations(self, relation: Relation) -> Iterator[Statement]:
        """Statements, with their parameters, that make people, combinations and the runs known to an engine."""
        ids = ", ".join(quote_identifier(name) for name in relation.ids)
        cleaned = ", ".join(f"c{place}" for place in range(len(relation.ids)))
        combos = f"read_parquet({self._path(self.manifest.combos)})"
        yield (
            "CREATE OR REPLACE VIEW people AS\nSELECT person, kind, id, key\n"
            f"FROM read_parquet({self._path(self.manifest.people)})",
            {},
        )
        yield (
            f"CREATE OR REPLACE VIEW linked_ids AS\nSELECT {ids}, {cleaned}, raw_events, key, shared FROM {combos}",
            {},
        )
        yield (
            f"CREATE OR REPLACE VIEW raw_people AS\nSELECT {ids}, person FROM {combos} WHERE key IS NOT NULL",
            {},
        )
        stored = []
        for place, run in enumerate(self.manifest.runs):
            dead = None
            if run.dead is not None:
                import numpy as np

                dead = f"dead_{place}"
                yield runs.dead_table(dead), {"codes": np.load(self.root / run.dead).tolist()}
            stored.append(runs.Stored(self.root / run.folder / run.name, dead))
        names = tuple(name for name in relation.fixed if name != "ts_given") + self.manifest.columns
        yield f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}", {}
        yield f"CREATE SCHEMA IF NOT EXISTS {IDS_SCHEMA}", {}
        rows = runs.rows_of(stored, names)
        yield f"CREATE OR REPLACE VIEW {SCHEMA}.stored AS\n{rows}", {}
        yield (
            "CREATE OR REPLACE VIEW shared_events AS\n"
            f"SELECT {self._place(relation)} AS place, stored.person FROM {SCHEMA}.stored AS stored\n"
            f"WHERE combo IN (SELECT combo FROM {combos} WHERE shared IS NOT NULL)",
            {},
        )

    def events_sql(self, relation: Relation, *, ids: bool) -> str:
        """The relation of all valid events with their person, from the runs, with the raw ids or without."""
        names = [name for name in relation.fixed if name != "ts_given"]
        listed = [
            f"{self._place(relation)} AS place" if name == "place" else f"stored.{quote_identifier(name)}"
            for name in (*names, *self.manifest.columns)
        ]
        if not ids:
            return f"SELECT {', '.join(listed)}, stored.person FROM {SCHEMA}.stored AS stored"
        raw = ", ".join(f"combos.{quote_identifier(name)}" for name in relation.ids)
        return (
            f"SELECT {', '.join(listed)}, stored.person, {raw} FROM {SCHEMA}.stored AS stored\n"
            f"JOIN (SELECT combo AS its_combo, * EXCLUDE (combo, person) "
            f"FROM read_parquet({self._path(self.manifest.combos)})) AS combos ON combos.its_combo = stored.combo"
        )

    def _place(self, relation: Relation) -> str:
        """The place of an event in this listing, from its place in the store."""
        number_of = {(file.source, file.identity): file.number for file in self.manifest.files}
        ordinals = {number_of[file.source, file.listed.identity]: file.ordinal for file in relation.files}
        return runs.renumbered([ordinals.get(number, -1) for number in range(max(ordinals, default=-1) + 1)])

    def _path(self, inside: str) -> str:
        from glob import escape

        return quote_literal(escape(str(self.root / inside)))

    @property
    def has_every_row(self) -> bool:
        """Whether no row of the files was set aside: then its events are all there is."""
        return not any(any(file.aside.values()) for file in self.manifest.files)

    # --- numbers --------------------------------------------------------------------------------------------

    def footing(self, relation: Relation) -> Footing:
        """What the manifest says of everything."""
        aside: Counter[str] = Counter()
        lost: Counter[tuple[str, str]] = Counter()
        newest: dict[str, int] = {}
        for file in self.manifest.files:
            aside.update(file.aside)
            lost.update({(file.source, column): count for column, count in file.lost.items()})
            if file.last is not None:
                newest[file.source] = max(newest.get(file.source, file.last), file.last)
        order = {name: place for place, name in enumerate(relation.sources)}
        return Footing(
            people=self.manifest.people_count,
            codes=self.manifest.codes,
            rows=self.manifest.rows,
            first=self.manifest.first,
            last=self.manifest.last,
            aside=aside,
            lost=[
                (source, column, count)
                for (source, column), count in sorted(
                    lost.items(), key=lambda one: (order[one[0][0]], one[0][1])
                )
            ],
            newest=dict(sorted(newest.items(), key=lambda one: order[one[0]])),
        )

    def lost(self) -> str | None:
        """Which of its files is damaged, after reading them all: then it is taken away. None where none is."""
        path = self._reading.damage()
        if path is not None:
            self._reading.give_up()
        return path

    def lanes(self) -> OpenLanes | None:
        """Its lanes, where it has any."""
        if self._lanes is None and self.manifest.lanes is not None:
            from workbench.store.lane_files import open_lanes

            self._lanes = open_lanes(self.root / self.manifest.lanes)
        return self._lanes


def find_store(workspace: Workspace) -> StoredEvents | None:
    """The store of a workspace, whatever files it is of; None where there is none to read."""
    folder = store_folder(workspace)
    reading = folder.reading()
    return None if reading is None else StoredEvents(folder, reading)
