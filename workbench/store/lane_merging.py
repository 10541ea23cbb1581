"""Makes one file of lanes of several, in blocks, so that memory never bounds how many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from queries.kernels.lanes import PERSON_BITS, TIME_BITS
from queries.kernels.ordering import Ints, distinct
from workbench.store.lane_files import (
    BLOCK_KEYS,
    KEYS_FILE,
    LaneIndex,
    OpenLanes,
    Progress,
    created,
    keys_of,
    save,
    tied_part,
)
from workbench.store.lane_ties import doomed_of, forget, is_among, people_blocks, ties, ties_between

_KEY = np.dtype("<i8")
_MOST_NAMES = 1 << 16
"""Names merged at once: their numbers sort by counting."""


def merge(
    folder: Path,
    parts: Sequence[OpenLanes],
    dead_of: Sequence[Ints | None],
    *,
    base: int,
    time_bits: int = TIME_BITS,
    person_bits: int = PERSON_BITS,
    progress: Progress | None = None,
    block_keys: int = BLOCK_KEYS,
) -> LaneIndex:
    """Writes the union of several files of lanes, about ``block_keys`` keys at once.

    ``dead_of``: for each part the people, ascending, whose keys in it are left out. Parts may have another base and
    other bits than the result. Raises ValueError where the keys of the result do not hold those of a part;
    FileExistsError where lanes are there.
    """
    names = sorted(set().union(*(part.index.names for part in parts)))
    bounds = [_bounds(part.index, names) for part in parts]
    merging = _Merging(LaneIndex(base, time_bits, person_bits, (), (0,)), parts, dead_of, block_keys)
    sizes = np.zeros(len(names), np.int64)
    ends = sum(bounds, np.zeros(len(names) + 1, np.int64))
    with created(folder / KEYS_FILE) as file:
        for first, behind in _groups(ends, block_keys):
            slices = [bound[first : behind + 1] for bound in bounds]
            if behind - first == 1:
                for keys in merging.of_one(slices):
                    sizes[first] += len(keys)
                    file.write(keys.data)
            else:
                keys, sizes[first:behind] = merging.of_many(slices)
                file.write(keys.data)
            if progress is not None:
                progress(int(ends[behind]))
    kept = np.flatnonzero(sizes)
    starts = (0, *np.cumsum(sizes[kept]).tolist())
    spans = [(part.index.first, part.index.last) for part in parts if len(part.keys)]
    index = LaneIndex(
        *(base, time_bits, person_bits, tuple(names[place] for place in kept), starts),
        first=min((first for first, _ in spans), default=0),
        last=max((last for _, last in spans), default=0),
    )
    return save(folder, index, _ties(merging, index))


def _ties(merging: _Merging, index: LaneIndex) -> Ints:
    """The ties of the result: those of the parts, without the dead, and those of events of different parts."""
    parts = list(zip(merging.parts, merging.dead_of, strict=True))
    tied = [tied_part(part, dead) for part, dead in parts]
    if any(part.ties is None for part, _ in parts):
        return ties(tied, index.base, index.time_bits, merging.block_keys)
    found = [ties_between(tied, index.base, index.time_bits, merging.block_keys)]
    for part, dead in parts:
        own = part.ties if part.ties is not None else np.empty(0, np.int64)
        doomed = doomed_of(own, dead, part.index.time_bits)
        found.append(merging.rebased(own if doomed is None else own[~doomed], part.index))
    return distinct(np.concatenate(found))


def _bounds(index: LaneIndex, names: Sequence[str]) -> Ints:
    """Where the lanes of ``names``, of which a file has some, begin in it; and the end."""
    sizes = dict(zip(index.names, np.diff(index.starts).tolist(), strict=True))
    return np.cumsum([0, *(sizes.get(name, 0) for name in names)])


def _groups(ends: Ints, block_keys: int) -> Iterator[tuple[int, int]]:
    """Runs of names, first and behind the last: one name, or so many as have ``block_keys`` keys together."""
    first = 0
    while first < len(ends) - 1:
        full = int(np.searchsorted(ends, ends[first] + block_keys, side="right")) - 1
        behind = min(max(full, first + 1), first + _MOST_NAMES)
        yield first, behind
        first = behind


@dataclass(frozen=True, slots=True)
class _Merging:
    """What the blocks of one merge share."""

    target: LaneIndex
    parts: Sequence[OpenLanes]
    dead_of: Sequence[Ints | None]
    block_keys: int

    def of_one(self, bounds: Sequence[Ints]) -> Iterator[Ints]:
        """The keys of one name, in blocks."""
        lanes = [part.keys[start:end] for part, (start, end) in zip(self.parts, bounds, strict=True)]
        bits = [part.index.time_bits for part in self.parts]
        for slices in people_blocks(lanes, bits, self.block_keys):
            found = []
            for part, dead, lane, some in zip(self.parts, self.dead_of, lanes, slices, strict=True):
                keys = lane[some]
                doomed = doomed_of(keys, dead, part.index.time_bits)
                found.append(self.rebased(keys if doomed is None else keys[~doomed], part.index))
            yield _sorted(found)
            for part in self.parts:
                forget(part.keys)

    def of_many(self, bounds: Sequence[Ints]) -> tuple[Ints, Ints]:
        """The keys of several names, one after the other, and how many each has."""
        found, lanes = [], []
        for part, dead, starts in zip(self.parts, self.dead_of, bounds, strict=True):
            keys = part.keys[starts[0] : starts[-1]]
            lane = np.repeat(np.arange(len(starts) - 1, dtype=np.uint16), np.diff(starts))
            if dead is not None and len(dead):
                alive = ~is_among(keys >> part.index.time_bits, dead)
                keys, lane = keys[alive], lane[alive]
            if len(keys):
                found.append(self.rebased(keys, part.index))
                lanes.append(lane)
        for part in self.parts:
            forget(part.keys)
        counts = np.bincount(np.concatenate(lanes), minlength=len(bounds[0]) - 1) if lanes else 0
        keys = np.concatenate(found) if found else np.empty(0, _KEY)
        if len(found) > 1:
            keys = keys[np.lexsort((keys, np.concatenate(lanes)))]
        return keys, np.asarray(counts)

    def rebased(self, keys: Ints, index: LaneIndex) -> Ints:
        """Keys of a part as keys of the result."""
        same = (index.base, index.time_bits) == (self.target.base, self.target.time_bits)
        if not len(keys) or (same and index.person_bits <= self.target.person_bits):
            return keys
        offset = keys & ((1 << index.time_bits) - 1)
        return keys_of(keys >> index.time_bits, offset + index.base, self.target)


def _sorted(keys: Sequence[Ints]) -> Ints:
    """Ascending arrays as one."""
    some = [part for part in keys if len(part)]
    if len(some) == 1:
        return some[0]
    # The stable sort merges runs, in about one pass over the keys.
    return np.sort(np.concatenate(some) if some else np.empty(0, _KEY), kind="stable")
