"""The lanes of a store after an import: the old ones without the affected people, and those of the new runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workbench.store import lane_files
from workbench.store.arrow_numbers import values_of, whole
from workbench.store.lane_files import Batch, LaneIndex, OpenLanes
from workbench.store.lane_merging import merge
from workbench.store.manifest import Manifest, Run
from workbench.store.plan import Plan
from workbench.store.sorting import Group, Ordered
from workbench.store.work import Work

Ints = NDArray[np.int64]

_PART_ROWS = 4_000_000
"""Rows of which lanes are made at once before they are merged: held in memory."""
_DAY_MS = 86_400_000
_Widths = tuple[int, int, int]
"""Base, bits of times, bits of people."""


class LaneParts:
    """The lanes of each new run, written beside it with the order in which it is."""

    def __init__(self, work: Work, before: Manifest | None, plan: Plan, codes: int, folder: Path) -> None:
        self._work, self._codes, self._folder = work, codes, folder
        self.old = None
        if before is not None and before.lanes is not None:
            self.old = lane_files.open_lanes(work.store.root / before.lanes)
        proofs = [work.proof(ordinal) for ordinal in plan.ordinals]
        times = [time for proof in proofs if proof is not None for time in (proof.first, proof.last)]
        if before is not None:
            times += [time for time in (before.first, before.last) if time is not None]
        self._likely = None
        if times:
            # As all lanes will be, so that merging them moves no key.
            known = [] if self.old is None else [self.old.index]
            self._likely = _widths(work, codes, min(times), max(times), known)
        # Fresh memory costs more than what is done in it.
        self._spare: list[Ints] = []
        self._spans: list[tuple[int, int]] = []
        self.paths: dict[str, Path] = {}
        """By name of the run; not of one that lanes cannot hold."""

    def listen(self, run: Run, events: Ordered, groups: Iterator[Group]) -> None:
        """Takes the events of a run; what :class:`Sorting` tells."""
        self._spans.append((events.first, events.last))
        widths = self._likely
        if widths is None or not LaneIndex(*widths, (), (0,)).holds(self._codes, events.first, events.last):
            widths = _widths(self._work, self._codes, events.first, events.last, [])
        if widths is None:
            for _ in groups:
                pass
            return
        base, time_bits, person_bits = widths
        path = self._folder / f"lanes-of-{run.name}"
        path.mkdir()
        total = int(events.counts.sum())
        scratch = self._spare.pop() if self._spare else np.empty(0, np.int64)
        if len(scratch) < total:
            scratch = np.empty(max(total, self._work.rules.chunk_rows * 5 // 8), np.int64)
        lane_files.write(
            *(path, groups, events.names, events.counts.tolist(), base),
            time_bits=time_bits,
            person_bits=person_bits,
            scratch=scratch,
        )
        self._spare.append(scratch)
        self.paths[run.name] = path

    @property
    def span(self) -> tuple[int, int] | None:
        """The first and the last time of all, ms; None where there are no events."""
        if not self._spans:
            return None
        return min(first for first, _ in self._spans), max(last for _, last in self._spans)

    def done(self) -> None:
        """No more runs will come: what is held for them goes."""
        self._spare.clear()

    def drop(self) -> None:
        """Deletes them."""
        for path in self.paths.values():
            shutil.rmtree(path)
        self.paths.clear()


def with_lanes(
    work: Work, before: Manifest | None, manifest: Manifest, folder: Path, made: LaneParts
) -> Manifest:
    """The manifest with its lanes in a folder, or with why there are none; ``affected_people`` is the engine's."""
    if manifest.first is None or manifest.last is None:
        return replace(manifest, no_lanes="there are no events")
    # Lanes that were refused before are made of everything.
    anew = before is not None and made.old is None
    made_of = [] if anew else [lane_files.open_lanes(part) for part in made.paths.values()]
    likely = [one.index for one in (made.old, *made_of) if one is not None]
    widths = _widths(work, manifest.codes, manifest.first, manifest.last, likely)
    if widths is None or anew:
        made.drop()
    if widths is None:
        days = (manifest.last - manifest.first) // _DAY_MS
        reason = f"{manifest.codes:,} people over {days:,} days are more than a lane's keys hold"
        return replace(manifest, no_lanes=reason)
    work.task.report(None, "import: lanes")
    parts = _read_parts(work, manifest.runs, folder, widths) if anew else list(made.paths.values())
    target = folder / "lanes"
    if made.old is None and len(parts) == 1:
        parts[0].rename(target)
    else:
        _merge(work, parts, made.old, target, widths)
    return replace(manifest, lanes=f"{folder.name}/{target.name}")


def _read_parts(work: Work, runs: Sequence[Run], folder: Path, widths: _Widths) -> list[Path]:
    """Lanes of runs that were there before, read from their files."""
    parts = []
    for place, some in enumerate(_grouped(runs)):
        part = folder / f"lanes-{place}"
        part.mkdir()
        _write(work, some, part, widths)
        parts.append(part)
    return parts


def _widths(work: Work, codes: int, first: int, last: int, likely: Sequence[LaneIndex]) -> _Widths | None:
    """How keys are made: as they are already where that does; None where none hold these people and times."""
    for index in likely:
        if index.holds(codes, first, last):
            return index.base, index.time_bits, index.person_bits
    bits = {"time_bits": work.rules.time_bits, "person_bits": work.rules.person_bits}
    return lane_files.widths(codes, first, last, **bits)


def _grouped(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Runs in their order, so many at once as have few enough rows."""
    some: list[Run] = []
    for run in runs:
        if some and sum(one.rows for one in some) + run.rows > _PART_ROWS:
            yield some
            some = []
        some.append(run)
    if some:
        yield some


def _merge(work: Work, parts: Sequence[Path], old: OpenLanes | None, target: Path, widths: _Widths) -> None:
    """Makes one of the lanes of parts, which go, and of old ones."""
    base, time_bits, person_bits = widths
    target.mkdir()
    opened = [lane_files.open_lanes(part) for part in parts]
    dead: list[Ints | None] = [None] * len(opened)
    if old is not None:
        opened, dead = [old, *opened], [affected(work), *dead]
    merge(target, opened, dead, base=base, time_bits=time_bits, person_bits=person_bits)
    for part in parts:
        shutil.rmtree(part)


def affected(work: Work) -> Ints:
    """The codes of the affected people, ascending."""
    found = work.engine.columns("SELECT affected_person AS code FROM affected_people ORDER BY code")
    return found["code"].astype(np.int64)


def _write(work: Work, runs: Sequence[Run], target: Path, widths: _Widths) -> None:
    """The lanes of some runs, without the dead."""
    base, time_bits, person_bits = widths
    counts: dict[str, int] = {}
    for _, _, code, names in _events(work, runs):
        for name, count in zip(names, np.bincount(code, minlength=len(names)).tolist(), strict=True):
            counts[name] = counts.get(name, 0) + count
    names = sorted(counts)
    place_of = {name: place for place, name in enumerate(names)}
    lane_files.write(
        target,
        _numbered(work, runs, place_of),
        names,
        [counts[name] for name in names],
        base,
        time_bits=time_bits,
        person_bits=person_bits,
    )


def _numbered(work: Work, runs: Sequence[Run], place_of: dict[str, int]) -> Iterator[Batch]:
    """Person, time and number of the name of all events."""
    for person, ts, code, names in _events(work, runs):
        places = np.array([place_of[name] for name in names], np.int64)
        yield person, ts, places[code]


def _events(work: Work, runs: Sequence[Run]) -> Iterator[tuple[Ints, Ints, Ints, list[str]]]:
    """Person, time and code of all events, a row group at once, and the names that its codes stand for."""
    for run in runs:
        dead = None if run.dead is None else np.load(work.store.root / run.dead)
        with pq.ParquetFile(work.path(run.folder, run.name), read_dictionary=["event"]) as file:
            for group in range(file.num_row_groups):
                work.task.check()
                table = file.read_row_group(group, columns=["person", "ts", "event"], use_threads=False)
                person, ts, event = (whole(table[name]) for name in ("person", "ts", "event"))
                person, ts = values_of(person).astype(np.int64), values_of(ts)
                code = values_of(event.indices).astype(np.int64)
                if dead is not None:
                    alive = ~np.isin(person, dead)
                    person, ts, code = person[alive], ts[alive], code[alive]
                if len(person):
                    yield person, ts, code, event.dictionary.to_pylist()
