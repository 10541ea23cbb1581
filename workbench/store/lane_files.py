"""Lanes on disk: written in one pass, merged in blocks, mapped to be read, so that memory never bounds a store.

``lanes.bin`` holds the keys of every event name as little-endian int64, one name after the other in the order of
names, each ascending; ``lanes.json`` says where each begins. A file is written once and never changed.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from queries.kernels.lanes import PERSON_BITS, TIME_BITS, Lanes, fits, key
from queries.kernels.ordering import Bools, Ints
from workbench.errors import Damaged

KEYS_FILE = "lanes.bin"
INDEX_FILE = "lanes.json"
BLOCK_KEYS = 1 << 18
"""Keys worked on at once: few enough for the cache."""

_DAY_MS = 86_400_000
_MOST_BITS = 63
_ZEROS = bytes(1 << 16)
_KEY = np.dtype("<i8")
_MOST_NAMES = 1 << 16
"""Names merged at once: their numbers sort by counting."""

Batch = tuple[Ints, Ints, Ints]
"""Person, time and number of the name of some events."""
Progress = Callable[[int], None]
"""Told how many events are done so far."""


@dataclass(frozen=True, slots=True)
class LaneIndex:
    """Which lanes a file holds, and where."""

    base: int
    """The time of offset 0, ms."""
    time_bits: int
    person_bits: int
    names: tuple[str, ...]
    """Ascending, each with at least one key."""
    starts: tuple[int, ...]
    """The place of each name's first key, and the number of all keys."""

    def __post_init__(self) -> None:
        if min(self.time_bits, self.person_bits) < 1 or self.time_bits + self.person_bits > _MOST_BITS:
            raise ValueError("keys of lanes cannot be as wide as that")

    def holds(self, codes: int, first: int, last: int) -> bool:
        """Whether keys like these hold codes below ``codes`` and times in ``[first, last]``."""
        return self.base <= first and _fits(codes, self.base, last, self.time_bits, self.person_bits)


@dataclass(frozen=True, slots=True)
class OpenLanes:
    """Lanes that are mapped: they take memory only while it is free."""

    index: LaneIndex
    keys: Ints
    """Of all names, one after the other; read only."""

    @property
    def bytes(self) -> int:
        """What the keys take on disk."""
        return self.keys.nbytes

    def of(self, names: Iterable[str]) -> Lanes:
        """The lanes of some names; one that no event has is empty."""
        found = {name: self._lane(name) for name in names}
        return Lanes(self.index.base, found, self.index.time_bits)

    def _lane(self, name: str) -> Ints:
        place = bisect_left(self.index.names, name)
        if place == len(self.index.names) or self.index.names[place] != name:
            return self.keys[:0]
        return self.keys[self.index.starts[place] : self.index.starts[place + 1]]


def widths(
    codes: int, first: int, last: int, *, time_bits: int = TIME_BITS, person_bits: int = PERSON_BITS
) -> tuple[int, int, int] | None:
    """Base, bits of times and bits of people for codes below ``codes`` and times in ``[first, last]``, ms.

    The usual bits where they do; else times get what their span needs and one bit to grow, people the rest. None
    where all the bits together do not hold both.
    """
    base = first // _DAY_MS * _DAY_MS
    if _fits(codes, base, last, time_bits, person_bits):
        return base, time_bits, person_bits
    needed = max((last - base).bit_length(), 1)
    spare = time_bits + person_bits - needed - max(codes.bit_length(), 1)
    if spare < 0:
        return None
    needed += min(spare, 1)
    return base, needed, time_bits + person_bits - needed


def _fits(codes: int, first: int, last: int, time_bits: int, person_bits: int) -> bool:
    return fits(codes, first, last, time_bits=time_bits, person_bits=person_bits)


def open_lanes(folder: Path) -> OpenLanes:
    """Maps the lanes of a folder, reading no more than their index.

    Raises Damaged where they are not there, or not what the index says.
    """
    try:
        index = _index(json.loads((folder / INDEX_FILE).read_bytes()))
        size = (folder / KEYS_FILE).stat().st_size
        if size != index.starts[-1] * _KEY.itemsize:
            raise ValueError(f"{KEYS_FILE} has {size} bytes, not {index.starts[-1] * _KEY.itemsize}")
        # An empty file cannot be mapped.
        keys = np.memmap(folder / KEYS_FILE, _KEY, "r") if size else np.empty(0, _KEY)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Damaged(
            f"The lanes in {folder} are damaged: {reason}", "import again: the store is made anew"
        ) from error
    return OpenLanes(index, keys.view(np.ndarray))


def _index(read: dict[str, object]) -> LaneIndex:
    """An index as read; ValueError, KeyError or TypeError where it cannot be one."""
    index = LaneIndex(**read)  # type: ignore[arg-type]
    index = LaneIndex(index.base, index.time_bits, index.person_bits, tuple(index.names), tuple(index.starts))
    numbers = (index.base, index.time_bits, index.person_bits, *index.starts)
    if not all(type(number) is int for number in numbers) or not all(type(n) is str for n in index.names):
        raise ValueError(f"{INDEX_FILE} holds values of other types")
    if len(index.starts) != len(index.names) + 1 or index.starts[0] != 0:
        raise ValueError(f"{INDEX_FILE} does not say where each name begins")
    if any(start >= end for start, end in pairwise(index.starts)):
        raise ValueError(f"{INDEX_FILE} has names without keys")
    if any(name >= following for name, following in pairwise(index.names)):
        raise ValueError(f"{INDEX_FILE} has names out of order")
    return index


def _save(folder: Path, index: LaneIndex) -> None:
    (folder / INDEX_FILE).write_text(json.dumps(asdict(index)), "ascii")


@contextmanager
def _created(path: Path) -> Iterator[BinaryIO]:
    """A new file, which is there only if it was written to the end."""
    with path.open("xb+") as file:
        done = False
        try:
            yield file
            done = True
        finally:
            if not done:
                path.unlink()


def write(
    folder: Path,
    batches: Iterable[Batch],
    names: Sequence[str],
    counts: Sequence[int],
    base: int,
    *,
    time_bits: int = TIME_BITS,
    person_bits: int = PERSON_BITS,
    progress: Progress | None = None,
) -> LaneIndex:
    """Writes the lanes of events, in one pass; quickest where they come by person and time.

    ``counts``: how many events of each name will come. Memory is bounded by the largest batch. Raises ValueError
    where other events come than announced, or such as keys do not hold; FileExistsError where lanes are there.
    """
    if len(set(names)) < len(names):
        raise ValueError("names of lanes come twice")
    order = sorted((place for place, count in enumerate(counts) if count), key=names.__getitem__)
    sizes = np.asarray(counts, np.int64)
    ends = np.cumsum(sizes[order])
    running = np.zeros(len(names), np.int64)
    running[order] = ends - sizes[order]
    total = int(ends[-1]) if order else 0
    kept = tuple(names[place] for place in order)
    index = LaneIndex(base, time_bits, person_bits, kept, (0, *ends.tolist()))
    with _created(folder / KEYS_FILE) as file:
        if total:
            _reserve(file, total * _KEY.itemsize)
        # An empty file cannot be mapped.
        out = np.memmap(file, _KEY, "r+", shape=(total,)).view(np.ndarray) if total else np.empty(0, _KEY)
        ascends = _scatter(out, batches, index, running, running + sizes, progress)
        if not ascends:
            _sort_lanes(out, index.starts)
    _save(folder, index)
    return index


def _reserve(file: BinaryIO, size: int) -> None:
    """Takes the room on disk: a full one must be an error here, not a signal when the mapping is written."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for place in range(0, size, len(_ZEROS)):
        file.write(_ZEROS[: size - place])
    file.flush()


def _scatter(
    out: Ints,
    batches: Iterable[Batch],
    index: LaneIndex,
    running: Ints,
    ends: Ints,
    progress: Progress | None,
) -> bool:
    """Lays every event to its lane, behind the last; whether all lanes are ascending."""
    ascends, before, done = True, -1, 0
    # What is done once a name in every block must not outweigh what is done once an event.
    for person, ts, code in _blocks(batches, max(BLOCK_KEYS, 4 * len(running))):
        keys = _keys(person, ts, index)
        if code.min() < 0 or code.max() >= len(running):
            raise ValueError("an event has a name that was not announced")
        counts = np.bincount(code, minlength=len(running))
        if (counts > ends - running).any():
            raise ValueError("more events of a name than announced")
        ascends = ascends and before <= keys[0] and bool((keys[1:] >= keys[:-1]).all())
        before = keys[-1]
        rows = _by_lane(code, len(running))
        # A key's place is its place in the sorted block, moved by as much as its lane is.
        moved = running - (np.cumsum(counts) - counts)
        out[np.arange(len(rows)) + np.repeat(moved, counts)] = keys[rows]
        running += counts
        done += len(keys)
        if progress is not None:
            progress(done)
    if (running < ends).any():
        raise ValueError("fewer events of a name than announced")
    return ascends


def _blocks(batches: Iterable[Batch], size: int) -> Iterator[Batch]:
    """The events of batches of any size, about ``size`` at once, never none."""
    waiting: list[Batch] = []
    count = 0
    for batch in batches:
        if len({len(column) for column in batch}) > 1:
            raise ValueError("columns of a batch differ in length")
        for start in range(0, len(batch[0]), size):
            person, ts, code = (column[start : start + size] for column in batch)
            waiting.append((person, ts, code))
            count += len(person)
            if count >= size:
                yield _concatenated(waiting)
                waiting, count = [], 0
    if waiting:
        yield _concatenated(waiting)


def _concatenated(batches: Sequence[Batch]) -> Batch:
    person, ts, code = (
        np.concatenate(columns).astype(np.int64, copy=False) for columns in zip(*batches, strict=True)
    )
    return person, ts, code


def _keys(person: Ints, ts: Ints, index: LaneIndex) -> Ints:
    """Events as keys; ValueError where they do not hold one."""
    if ts.min() < index.base or int(ts.max()) - index.base >= 1 << index.time_bits:
        raise ValueError("the time of an event is out of the range of the keys")
    if person.min() < 0 or int(person.max()) >= 1 << index.person_bits:
        raise ValueError("the code of a person is too wide for the keys")
    return key(person, ts, index.base, index.time_bits)


def _by_lane(code: Ints, lanes: int) -> Ints:
    """The order by lane, stable: by counting, which takes codes of 16 bits."""
    if lanes <= 1 << 16:
        return np.argsort(code.astype(np.min_scalar_type(lanes - 1)), kind="stable")
    return np.lexsort(((code & 0xFFFF).astype(np.uint16), (code >> 16).astype(np.uint16)))


def _sort_lanes(out: Ints, starts: Sequence[int]) -> None:
    """Sorts, in place, the lanes that are not ascending."""
    begins = np.array(starts)
    for start in range(0, len(out), BLOCK_KEYS):
        block = out[start : start + BLOCK_KEYS + 1]
        drops = np.flatnonzero(block[1:] < block[:-1]) + start
        lanes = np.searchsorted(begins, drops, side="right") - 1
        # From one lane to the next any key may follow.
        for lane in np.unique(lanes[drops + 1 < begins[lanes + 1]]):
            out[begins[lane] : begins[lane + 1]].sort()


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
    with _created(folder / KEYS_FILE) as file:
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
    index = LaneIndex(base, time_bits, person_bits, tuple(names[place] for place in kept), starts)
    _save(folder, index)
    return index


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
        for slices in _cut(lanes, bits, self.block_keys):
            found = []
            for part, dead, lane, some in zip(self.parts, self.dead_of, lanes, slices, strict=True):
                keys = lane[some]
                doomed = _doomed(keys, dead, part.index.time_bits)
                found.append(self._rebased(keys if doomed is None else keys[~doomed], part.index))
            yield _sorted(found)

    def of_many(self, bounds: Sequence[Ints]) -> tuple[Ints, Ints]:
        """The keys of several names, one after the other, and how many each has."""
        found, lanes = [], []
        for part, dead, starts in zip(self.parts, self.dead_of, bounds, strict=True):
            keys = part.keys[starts[0] : starts[-1]]
            lane = np.repeat(np.arange(len(starts) - 1, dtype=np.uint16), np.diff(starts))
            if dead is not None and len(dead):
                alive = ~_is_among(keys >> part.index.time_bits, dead)
                keys, lane = keys[alive], lane[alive]
            if len(keys):
                found.append(self._rebased(keys, part.index))
                lanes.append(lane)
        counts = np.bincount(np.concatenate(lanes), minlength=len(bounds[0]) - 1) if lanes else 0
        keys = np.concatenate(found) if found else np.empty(0, _KEY)
        if len(found) > 1:
            keys = keys[np.lexsort((keys, np.concatenate(lanes)))]
        return keys, np.asarray(counts)

    def _rebased(self, keys: Ints, index: LaneIndex) -> Ints:
        """Keys of a part as keys of the result."""
        same = (index.base, index.time_bits) == (self.target.base, self.target.time_bits)
        if not len(keys) or (same and index.person_bits <= self.target.person_bits):
            return keys
        offset = keys & ((1 << index.time_bits) - 1)
        return _keys(keys >> index.time_bits, offset + index.base, self.target)


def _cut(lanes: Sequence[Ints], time_bits: Sequence[int], block_keys: int) -> Iterator[tuple[slice, ...]]:
    """Slices of all lanes for one run of people after the other, of about ``block_keys`` keys or one person more."""
    stride = max(block_keys // (2 * len(lanes)), 1)
    sampled = [lane[::stride] >> bits for lane, bits in zip(lanes, time_bits, strict=True)]
    people = np.unique(np.sort(np.concatenate(sampled))[:: max(block_keys // (2 * stride), 1)])
    bounds = [
        np.concatenate(([0], np.searchsorted(lane, people[1:] << bits), [len(lane)])).tolist()
        for lane, bits in zip(lanes, time_bits, strict=True)
    ]
    for ends in pairwise(zip(*bounds, strict=True)):
        yield tuple(slice(start, end) for start, end in zip(*ends, strict=True))


def _doomed(keys: Ints, dead: Ints | None, time_bits: int) -> Bools | None:
    """Which of ascending keys are of dead people; None for none."""
    if dead is None or not len(dead) or not len(keys):
        return None
    first, last = int(keys[0]) >> time_bits, int(keys[-1]) >> time_bits
    near = dead[np.searchsorted(dead, first) : np.searchsorted(dead, last, side="right")]
    if not len(near):
        return None
    # The few are looked for among the many.
    if len(near) > len(keys) // 8:
        return _is_among(keys >> time_bits, near)
    start = np.searchsorted(keys, near << time_bits)
    end = np.searchsorted(keys, (near << time_bits) | ((1 << time_bits) - 1), side="right")
    length = end - start
    doomed = np.zeros(len(keys), bool)
    doomed[np.repeat(start - np.cumsum(length) + length, length) + np.arange(length.sum())] = True
    return doomed


def _is_among(people: Ints, some: Ints) -> Bools:
    """Whether each of ``people`` is among some, ascending and not none."""
    found: Bools = some[np.minimum(np.searchsorted(some, people), len(some) - 1)] == people
    return found


def _sorted(keys: Sequence[Ints]) -> Ints:
    """Ascending arrays as one."""
    some = [part for part in keys if len(part)]
    if len(some) == 1:
        return some[0]
    # The stable sort merges runs, in about one pass over the keys.
    return np.sort(np.concatenate(some) if some else np.empty(0, _KEY), kind="stable")
