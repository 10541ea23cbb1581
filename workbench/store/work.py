"""What the steps of one import share: the engine with its tables, the relation, the store, and the rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from queries.kernels.lanes import PERSON_BITS, TIME_BITS
from queries.quoting import quote_identifier
from workbench.engine import Engine
from workbench.runner import Task
from workbench.sources.relation import Certain, Relation
from workbench.sources.snapshot import SourceFiles
from workbench.store import runs
from workbench.store.folder import StoreFolder
from workbench.store.manifest import Manifest
from workbench.store.runs import Layout

CHUNK_ROWS = 4_000_000
"""Rows that are sorted at once: what keeps an import within a gigabyte."""

_MOST_PROVED = 2_000
"""Past so many files their footers cost more than a pass over two columns."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides which rows are events of somebody, besides the relation itself."""

    junk: tuple[str, ...]
    valid: tuple[int, int]
    """UTC ms: from (inclusive), to (exclusive)."""
    time_bits: int = TIME_BITS
    person_bits: int = PERSON_BITS
    chunk_rows: int = CHUNK_ROWS


@dataclass(frozen=True, slots=True)
class Work:
    """One import as its steps see it; the engine's tables are named in their docstrings."""

    engine: Engine
    task: Task
    relation: Relation
    sources: Sequence[SourceFiles]
    rules: Rules
    signature: str
    store: StoreFolder
    layout: Layout
    damaged: Mapping[str, str]
    wishes: Collection[str] = ()
    """Columns that questions missed (:mod:`workbench.store.wanted`)."""
    _proofs: dict[int, Certain] = field(default_factory=dict)

    # --- what is valid --------------------------------------------------------------------------------------

    def prove(self, ordinals: Collection[int]) -> None:
        """Looks into the footers of files for what they prove of all their rows."""
        low, high = self.rules.valid
        if len(ordinals) > _MOST_PROVED:
            return
        for ordinal, proof in self.relation.certain_files(ordinals).items():
            if proof is not None and low <= proof.first and proof.last < high:
                self._proofs[ordinal] = proof

    def proof(self, ordinal: int) -> Certain | None:
        """What is proved of a file whose rows are all valid."""
        return self._proofs.get(ordinal)

    def are_valid(self, ordinals: Collection[int]) -> bool:
        """Whether all rows of these files are proved to be valid."""
        return all(ordinal in self._proofs for ordinal in ordinals)

    def valid(self, alias: str = "") -> str:
        """The condition of valid rows, as SQL; their columns are those of ``alias`` where one is given."""
        low, high = self.rules.valid
        of = f"{alias}." if alias else ""
        return f"{of}ts >= {low} AND {of}ts < {high} AND {of}event <> ''"

    # --- the engine -----------------------------------------------------------------------------------------

    def execute(self, sql: str, **parameters: object) -> None:
        """Runs statements that change the engine's tables."""
        self.engine.execute(sql, parameters, self.task)

    def fetch(self, sql: str) -> list[tuple[object, ...]]:
        """A small answer."""
        return self.engine.fetch(sql, task=self.task)

    def integers(self, sql: str) -> list[tuple[int | None, ...]]:
        """A small answer of integers."""
        return [tuple(None if one is None else int(str(one)) for one in row) for row in self.fetch(sql)]

    def count(self, sql: str) -> int:
        """An answer of one integer."""
        ((count,),) = self.integers(sql)
        return count or 0

    def define(self, name: str, parts: Sequence[str]) -> None:
        """Makes a view of the rows of several queries."""
        self.execute(f"CREATE OR REPLACE VIEW {name} AS\n" + "\nUNION ALL\n".join(parts))

    def define_alive(self, manifest: Manifest) -> None:
        """Makes ``alive``, the rows of a store that are not void, and ``dead_K`` for run K where it has dead."""
        stored = []
        for place, run in enumerate(manifest.runs):
            dead = None
            if run.dead is not None:
                dead = f"dead_{place}"
                self.execute(runs.dead_table(dead), codes=np.load(self.store.root / run.dead).tolist())
            stored.append(runs.Stored(self.store.root / run.folder / run.name, dead))
        names = self.layout.names
        # What is not there has no columns either: nothing of the relation has all of them.
        none = (
            f"SELECT 0 AS person, 0 AS combo, {', '.join(map(quote_identifier, names))}\n"
            f"FROM (\n{self.relation.part([])}\n) LIMIT 0"
        )
        self.execute(f"CREATE OR REPLACE VIEW alive AS\n{runs.rows_of(stored, names) if stored else none}")

    def path(self, folder: str, name: str) -> Path:
        """A file of a generation."""
        return self.store.root / folder / name
