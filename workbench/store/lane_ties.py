"""Which events of a store share person and time: found as lanes are written, between parts only where those can meet.

A *tie* is a key that two or more events have, whatever their names. Within events that come in order they are equal
neighbours; two parts of a store have common ones only where people and times of both overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from mmap import MADV_DONTNEED, mmap

import numpy as np

from queries.kernels.ordering import Bools, Ints, distinct

_BLOCK_KEYS = 1 << 18
"""Keys that are compared at once."""
_MOST_BITS = 63
_SEARCHED = 8
"""A key is looked for in a lane where that is for less than one in so many keys."""

Span = tuple[int, int]
"""The first and the last of some times, ms."""


@dataclass(frozen=True, slots=True)
class Part:
    """Lanes with keys of one kind, as ties are looked for among them."""

    keys: Ints
    """Lane after lane, each ascending and none empty."""
    starts: Sequence[int]
    """Of the lanes, and the number of all keys."""
    base: int
    time_bits: int
    span: Span
    """All times lie within."""
    dead: Ints | None = None
    """People, ascending, whose keys are void."""

    @property
    def people(self) -> Span:
        """The least and the greatest code."""
        starts = np.asarray(self.starts)
        first, last = self.keys[starts[:-1]].min(), self.keys[starts[1:] - 1].max()
        return int(first) >> self.time_bits, int(last) >> self.time_bits

    @property
    def lanes(self) -> list[Ints]:
        """One after the other."""
        return [self.keys[start:end] for start, end in pairwise(self.starts)]


def repeated(keys: Ints) -> Ints:
    """The keys that ascending keys have more than once, each once."""
    found: Ints = keys[1:][keys[1:] == keys[:-1]]
    return found[np.concatenate(([True], found[1:] != found[:-1]))] if len(found) else found


def ties(parts: Sequence[Part], base: int, time_bits: int, block_keys: int = _BLOCK_KEYS) -> Ints:
    """All ties of some parts, as keys of this base and bits: ascending, each once."""
    return _compared([part for part in parts if len(part.keys)], {}, base, time_bits, block_keys)


def ties_between(parts: Sequence[Part], base: int, time_bits: int, block_keys: int = _BLOCK_KEYS) -> Ints:
    """The keys that events of different parts share, and maybe others that events of one share.

    Keys of this base and bits, ascending, each once. It costs little where times or people of the parts hardly overlap.
    """
    parts = [part for part in parts if len(part.keys)]
    people = [part.people for part in parts]
    for part in parts:
        forget(part.keys)
    found = []
    windows: dict[int, list[Span]] = {}
    for pair in combinations(range(len(parts)), 2):
        few, many = sorted((parts[one] for one in pair), key=lambda part: len(part.keys))
        times = _overlap(few.span, many.span)
        both = _overlap(*(people[one] for one in pair))
        if times[0] > times[1] or both[0] > both[1]:
            continue
        near = _near(few, many, times, both, block_keys)
        if near is None:
            for one in pair:
                windows.setdefault(one, []).append(times)
        elif len(near):
            found.append(_rebased(_common(near, few, many), few.base, few.time_bits, base, time_bits))
    if windows:
        meeting = [parts[one] for one in windows]
        found.append(_compared(meeting, dict(enumerate(windows.values())), base, time_bits, block_keys))
    return distinct(np.concatenate(found)) if found else np.empty(0, np.int64)


def _overlap(one: Span, other: Span) -> Span:
    return max(one[0], other[0]), min(one[1], other[1])


def _near(few: Part, many: Part, times: Span, people: Span, block_keys: int) -> Ints | None:
    """The keys of one part within times and people of another, ascending; None where they are not few beside it."""
    most = len(many.keys) // (_SEARCHED * (len(many.starts) - 1))
    found: list[Ints] = []
    for start in range(0, len(few.keys), block_keys):
        keys = _within(few.keys[start : start + block_keys], few, [times])
        person = keys >> few.time_bits
        stays = (person >= people[0]) & (person <= people[1])
        for dead in (few.dead, many.dead):
            if dead is not None and len(dead):
                stays &= ~is_among(person, dead)
        found.append(keys[stays])
        most -= len(found[-1])
        if most < 0:
            break
    forget(few.keys)
    return None if most < 0 else distinct(np.concatenate(found))


def _common(near: Ints, few: Part, many: Part) -> Ints:
    """Which keys of one part another has too."""
    asked = _rebased(near, few.base, few.time_bits, many.base, many.time_bits)
    is_there = np.zeros(len(near), bool)
    for lane in many.lanes:
        is_there |= is_among(asked, lane)
    forget(many.keys)
    return near[is_there]


def _compared(
    parts: Sequence[Part], windows: dict[int, list[Span]], base: int, time_bits: int, block_keys: int
) -> Ints:
    """The ties of parts among the keys in the windows of each, or of all where none are given."""
    of = [(part, lane) for part in parts for lane in part.lanes]
    ends = np.cumsum([0, *(len(part.starts) - 1 for part in parts)]).tolist()
    found = []
    for slices in people_blocks([lane for _, lane in of], [part.time_bits for part, _ in of], block_keys):
        some = []
        for place, part in enumerate(parts):
            own = range(ends[place], ends[place + 1])
            keys = np.concatenate([of[one][1][slices[one]] for one in own])
            if windows:
                keys = _within(keys, part, windows[place])
            if part.dead is not None and len(part.dead):
                keys = keys[~is_among(keys >> part.time_bits, part.dead)]
            some.append(_rebased(keys, part.base, part.time_bits, base, time_bits))
            forget(part.keys)
        found.append(repeated(np.sort(np.concatenate(some))))
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _within(keys: Ints, part: Part, windows: Sequence[Span]) -> Ints:
    """The keys with times in one of some windows."""
    offset = keys & ((1 << part.time_bits) - 1)
    stays = np.zeros(len(keys), bool)
    for low, high in windows:
        stays |= (offset >= low - part.base) & (offset <= high - part.base)
    return keys[stays]


def _rebased(keys: Ints, base: int, time_bits: int, new_base: int, new_bits: int) -> Ints:
    """Keys of one kind as keys of another that holds them."""
    if (base, time_bits) == (new_base, new_bits):
        return keys
    return ((keys >> time_bits) << new_bits) | ((keys & ((1 << time_bits) - 1)) + (base - new_base))


def forget(keys: Ints) -> None:
    """Lets go what was read of mapped keys: until then it counts as memory of this process."""
    mapped = keys.base
    while isinstance(mapped, np.ndarray):
        mapped = mapped.base
    if isinstance(mapped, mmap):
        mapped.madvise(MADV_DONTNEED)


# --- ascending keys ---------------------------------------------------------------------------------------


def people_blocks(
    lanes: Sequence[Ints], time_bits: Sequence[int], block_keys: int
) -> Iterator[tuple[slice, ...]]:
    """Slices of all lanes for one run of people after the other, of about ``block_keys`` keys or one person more."""
    stride = max(block_keys // (2 * max(len(lanes), 1)), 1)
    sampled = []
    for lane, bits in zip(lanes, time_bits, strict=True):
        sampled.append(lane[::stride] >> bits)
        forget(lane)
    every = np.sort(np.concatenate(sampled)) if sampled else np.empty(0, np.int64)
    people = np.unique(every[:: max(block_keys // (2 * stride), 1)])
    bounds = [
        [0, *_begins(lane, people[1:], bits), len(lane)] for lane, bits in zip(lanes, time_bits, strict=True)
    ]
    for ends in pairwise(zip(*bounds, strict=True)):
        yield tuple(slice(start, end) for start, end in zip(*ends, strict=True))


def _begins(lane: Ints, people: Ints, time_bits: int) -> list[int]:
    """Where the keys of each of some people begin in a lane, or would."""
    held = people[: np.searchsorted(people, 1 << (_MOST_BITS - time_bits))]
    found = np.searchsorted(lane, held << time_bits).tolist()
    forget(lane)
    return [*found, *[len(lane)] * (len(people) - len(held))]


def doomed_of(keys: Ints, dead: Ints | None, time_bits: int) -> Bools | None:
    """Which of ascending keys are of dead people; None for none."""
    if dead is None or not len(dead) or not len(keys):
        return None
    first, last = int(keys[0]) >> time_bits, int(keys[-1]) >> time_bits
    near = dead[np.searchsorted(dead, first) : np.searchsorted(dead, last, side="right")]
    if not len(near):
        return None
    # The few are looked for among the many.
    if len(near) > len(keys) // 8:
        return is_among(keys >> time_bits, near)
    start = np.searchsorted(keys, near << time_bits)
    end = np.searchsorted(keys, (near << time_bits) | ((1 << time_bits) - 1), side="right")
    length = end - start
    doomed = np.zeros(len(keys), bool)
    doomed[np.repeat(start - np.cumsum(length) + length, length) + np.arange(length.sum())] = True
    return doomed


def is_among(values: Ints, some: Ints) -> Bools:
    """Whether each of ``values`` is among some, ascending and not none."""
    found: Bools = some[np.minimum(np.searchsorted(some, values), len(some) - 1)] == values
    return found
