"""Lanes on disk: written in one pass, some events at once, and mapped to be read: memory never bounds a store.

``lanes.bin`` holds the keys of every event name as little-endian int64, one name after the other in the order of
names, each ascending; ``ties.bin``, where there are any, those that two or more events have, whatever their names;
``lanes.json`` says where each name begins. A file is written once and never changed.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from queries.kernels.lanes import PERSON_BITS, TIME_BITS, Lanes, fits, key
from queries.kernels.ordering import Ints, distinct
from workbench.errors import Damaged
from workbench.store.lane_ties import Part, repeated, ties

KEYS_FILE = "lanes.bin"
TIES_FILE = "ties.bin"
INDEX_FILE = "lanes.json"
BLOCK_KEYS = 1 << 18
"""Keys worked on at once: few enough for the cache."""

_WRITTEN_KEYS = 61_440
"""Keys laid out at once: half of a group of rows, in which they come as a rule."""
_DAY_MS = 86_400_000
_MOST_BITS = 63
_KEY = np.dtype("<i8")

Integers = NDArray[np.integer[Any]]
Batch = tuple[Integers, Integers, Integers]
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
    ties: int = -1
    """How many keys two or more events have; -1 where nobody looked."""
    first: int = 0
    """All times lie between this and ``last``, ms, where somebody looked."""
    last: int = 0

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
    ties: Ints | None = None
    """The keys that two or more events have, ascending, each once; read only. None where nobody looked."""

    @property
    def bytes(self) -> int:
        """What the keys take on disk."""
        return self.keys.nbytes

    def of(self, names: Iterable[str]) -> Lanes:
        """The lanes of some names; one that no event has is empty."""
        found = {name: self._lane(name) for name in names}
        return Lanes(self.index.base, found, self.index.time_bits, self.ties)

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
        keys = _mapped(folder / KEYS_FILE, index.starts[-1])
        tied = None if index.ties < 0 else _mapped(folder / TIES_FILE, index.ties)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Damaged(
            f"The lanes in {folder} are damaged: {reason}", "import again: the store is made anew"
        ) from error
    return OpenLanes(index, keys, tied)


def _mapped(path: Path, count: int) -> Ints:
    """So many keys of a file; OSError or ValueError where it holds others."""
    if not count and path.name == TIES_FILE:
        return np.empty(0, _KEY)
    size = path.stat().st_size
    if size != count * _KEY.itemsize:
        raise ValueError(f"{path.name} has {size} bytes, not {count * _KEY.itemsize}")
    # An empty file cannot be mapped.
    return np.memmap(path, _KEY, "r").view(np.ndarray) if size else np.empty(0, _KEY)


def _index(read: dict[str, object]) -> LaneIndex:
    """An index as read; ValueError, KeyError or TypeError where it cannot be one."""
    index = LaneIndex(**read)  # type: ignore[arg-type]
    index = replace(index, names=tuple(index.names), starts=tuple(index.starts))
    numbers = (index.base, index.time_bits, index.person_bits, *index.starts)
    numbers = (*numbers, index.ties, index.first, index.last)
    if not all(type(number) is int for number in numbers) or not all(type(n) is str for n in index.names):
        raise ValueError(f"{INDEX_FILE} holds values of other types")
    if len(index.starts) != len(index.names) + 1 or index.starts[0] != 0:
        raise ValueError(f"{INDEX_FILE} does not say where each name begins")
    if any(start >= end for start, end in pairwise(index.starts)):
        raise ValueError(f"{INDEX_FILE} has names without keys")
    if any(name >= following for name, following in pairwise(index.names)):
        raise ValueError(f"{INDEX_FILE} has names out of order")
    return index


def save(folder: Path, index: LaneIndex, tied: Ints) -> LaneIndex:
    """Writes the index of lanes, and beside it their ties; with their number."""
    if len(tied):
        with created(folder / TIES_FILE) as file:
            file.write(np.ascontiguousarray(tied, _KEY).data)
    index = replace(index, ties=len(tied))
    (folder / INDEX_FILE).write_text(json.dumps(asdict(index)), "ascii")
    return index


@contextmanager
def created(path: Path) -> Iterator[BinaryIO]:
    """A new file, which is there only if it was written to the end."""
    with path.open("xb+") as file:
        done = False
        try:
            yield file
            # What is still held back may find the disk full too.
            file.flush()
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
    scratch: Ints | None = None,
) -> LaneIndex:
    """Writes the lanes of events, in one pass; quickest where they come by person and time.

    ``counts``: how many events of each name will come. The keys are held until all have come: in ``scratch``,
    where there is room for so many. Raises ValueError where other events come than announced, or such as keys do
    not hold; FileExistsError where lanes are there.
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
    with created(folder / KEYS_FILE) as file:
        # Writing to a mapped file costs more than writing a file.
        out = np.empty(total, _KEY) if scratch is None else scratch[:total]
        seen = _scatter(out, batches, index, running, running + sizes, progress)
        if not seen.ascends:
            _sort_lanes(out, index.starts)
        file.write(out.data)
    index = replace(index, first=seen.first, last=seen.last)
    return save(folder, index, seen.ties if seen.ascends else all_ties([OpenLanes(index, out)], index))


def _scatter(
    out: Ints,
    batches: Iterable[Batch],
    index: LaneIndex,
    running: Ints,
    ends: Ints,
    progress: Progress | None,
) -> _Seen:
    """Lays every event to its lane, behind the last; what was seen of them on the way."""
    seen, done = _Seen(), 0
    # What is done once a name in every block must not outweigh what is done once an event.
    for person, ts, code in _blocks(batches, max(_WRITTEN_KEYS, 4 * len(running))):
        keys = keys_of(person, ts, index)
        if code.min() < 0 or code.max() >= len(running):
            raise ValueError("an event has a name that was not announced")
        counts = np.bincount(code, minlength=len(running))
        if (counts > ends - running).any():
            raise ValueError("more events of a name than announced")
        seen.add(keys, ts)
        rows = _by_lane(code, len(running))
        block, start = keys[rows], 0
        for lane in np.flatnonzero(counts).tolist():
            count = int(counts[lane])
            out[running[lane] : running[lane] + count] = block[start : start + count]
            start += count
        running += counts
        done += len(keys)
        if progress is not None:
            progress(done)
    if (running < ends).any():
        raise ValueError("fewer events of a name than announced")
    return seen


class _Seen:
    """What is seen of keys as they come."""

    def __init__(self) -> None:
        self.ascends = True
        self.first = self.last = 0
        self._before = -1
        self._ties: list[Ints] = []

    def add(self, keys: Ints, ts: Ints) -> None:
        """Looks at some more keys and their times."""
        first, last = int(ts.min()), int(ts.max())
        self.first, self.last = (
            (first, last) if self._before < 0 else (min(first, self.first), max(last, self.last))
        )
        self.ascends = self.ascends and self._before <= keys[0] and bool((keys[1:] >= keys[:-1]).all())
        if self.ascends:
            self._ties += [keys[:1][keys[:1] == self._before], repeated(keys)]
        self._before = int(keys[-1])

    @property
    def ties(self) -> Ints:
        """The keys that came more than once, where all ascend."""
        return distinct(np.concatenate(self._ties)) if self._ties else np.empty(0, np.int64)


def all_ties(parts: Sequence[OpenLanes], target: LaneIndex) -> Ints:
    """The ties of some lanes, as keys of another index, found by looking at every key."""
    return ties([tied_part(part) for part in parts], target.base, target.time_bits)


def tied_part(lanes: OpenLanes, dead: Ints | None = None) -> Part:
    """Lanes as ties are looked for among them."""
    index = lanes.index
    span = (index.first, index.last)
    return Part(lanes.keys, index.starts, index.base, index.time_bits, span, dead)


def _blocks(batches: Iterable[Batch], size: int) -> Iterator[tuple[Ints, Ints, Ints]]:
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


def _concatenated(batches: Sequence[Batch]) -> tuple[Ints, Ints, Ints]:
    person, ts, code = (
        (columns[0] if len(columns) == 1 else np.concatenate(columns)).astype(np.int64, copy=False)
        for columns in zip(*batches, strict=True)
    )
    return person, ts, code


def keys_of(person: Ints, ts: Ints, index: LaneIndex) -> Ints:
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
