"""The funnel as a fold: each person's matching events in reading order → how far they came, and when.

The method: carry, for each level, the *latest feasible entry* over the events read before. An event of
step k inherits the latest entry that reached level k−1 earlier, and keeps it when it lies inside the window.
A later entry dominates an earlier one, so one entry a level is exact. Here the carrying is a running maximum
over positions, done for a whole block of people at once; a block is a run of whole people, so blocks can be
folded in any order, on any thread, and their results laid side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

BLOCK_EVENTS = 1 << 17
"""Events folded at once: small enough for the processor's cache."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The default rule: ordered steps, any entry, one window from step 1, inclusive. Times in ms."""

    steps: int
    window: int | None
    """None: no limit."""
    as_of: int
    entry_from: int | None = None
    entry_to: int | None = None
    """Step 1 counts inside ``[entry_from, entry_to)``."""


@dataclass(frozen=True, slots=True)
class Events:
    """Matching events as equally long arrays, in any order.

    ``steps`` has bit k−1 set where the event matches step k (never 0). ``ties`` are the columns that order
    a person's events of equal time and equal first step, most significant first. ``value`` is the code of
    the breakdown's value, −1 for none.
    """

    person: Ints
    ts: Ints
    steps: Ints
    ties: tuple[Ints, ...] = ()
    value: Ints | None = None


@dataclass(frozen=True, slots=True)
class Folded:
    """One entry a person who entered, ascending by person: the fold's mergeable result."""

    person: Ints
    level: Ints
    """Deepest step reached, from 1."""
    open: Bools
    """Short of the last step, with a window that still runs at *as of*."""
    reached: Ints
    """``(steps, people)``: time of each step of the counted attempt, ms; −1 where not reached."""
    value: Ints
    """The breakdown's code at step 1 of the counted attempt; −1 for none."""
    strict_level: Ints
    """The level were equal times not in order: 0 where no entry reaches anything."""
    tied_events: int
    """Matching events that share person and time with another."""


def first_step(steps: Ints) -> Ints:
    """The lowest set bit of each mask: what orders events of equal time."""
    return steps & -steps


def reading_order(events: Events) -> Events:
    """The events by person, time, first step matched, then ``ties``.

    Everything that orders them is packed into one integer where it fits, since one sort of integers beats a
    sort by several keys; where it does not, the sort is by several keys, and only runs of equal person and
    time are sorted again.
    """
    if len(events.ts) == 0:
        return events
    packed = _packed_order(events)
    if packed is not None:
        return packed
    base = int(events.ts.min())
    time_bits = (int(events.ts.max()) - base).bit_length()
    if time_bits + int(events.person.max()).bit_length() <= 62:
        key = (events.person << time_bits) | (events.ts - base)
        order = np.argsort(key)
        key = key[order]
        same = key[1:] == key[:-1]
    else:
        order = np.lexsort((events.ts, events.person))
        person, ts = events.person[order], events.ts[order]
        same = (person[1:] == person[:-1]) & (ts[1:] == ts[:-1])
    if same.any():
        order = _settle_ties(events, order, same)
    return Events(
        events.person[order],
        events.ts[order],
        events.steps[order],
        value=None if events.value is None else events.value[order],
    )


def _packed_order(events: Events) -> Events | None:
    """Person, time, step and value as one sorted integer, or None where that would not be exact.

    It is exact when every event matches one step, for then events of equal person, time and step differ in
    nothing that counts, unless two of step 1 differ in value.
    """
    if np.any(events.steps & (events.steps - 1)):
        return None
    base = int(events.ts.min())
    time_bits = (int(events.ts.max()) - base).bit_length()
    step_bits = int(events.steps.max()).bit_length()
    value_bits = 0 if events.value is None else (int(events.value.max()) + 1).bit_length()
    if int(events.person.max()).bit_length() + time_bits + step_bits + value_bits > 62:
        return None
    packed = (events.person << (time_bits + step_bits)) | ((events.ts - base) << step_bits) | events.steps
    if events.value is not None:
        packed = (packed << value_bits) | np.where(events.steps == 1, events.value + 1, 0)
    packed.sort()
    value = None
    if events.value is not None:
        value = (packed & ((1 << value_bits) - 1)) - 1
        packed >>= value_bits
        if np.any((packed[1:] == packed[:-1]) & (value[1:] != value[:-1])):
            return None
    return Events(
        packed >> (time_bits + step_bits),
        ((packed >> step_bits) & ((1 << time_bits) - 1)) + base,
        packed & ((1 << step_bits) - 1),
        value=value,
    )


def _settle_ties(events: Events, order: Ints, same: Bools) -> Ints:
    """Sorts each run of equal person and time by first step matched, then by ``ties``."""
    tied = np.concatenate(([False], same)) | np.concatenate((same, [False]))
    places = np.flatnonzero(tied)
    run = np.concatenate(([0], np.cumsum(~same)))[places]
    rows = order[places]
    keys = [column[rows] for column in reversed(events.ties)]
    settled = np.lexsort((*keys, first_step(events.steps[rows]), run))
    order = order.copy()
    order[places] = rows[settled]
    return order


def cut(person: Ints, block_events: int = BLOCK_EVENTS) -> Iterator[slice]:
    """Slices of about ``block_events`` events over an ascending ``person``, never through a person."""
    start, count = 0, len(person)
    while start < count:
        end = min(start + block_events, count)
        if end < count:
            last = person[end - 1]
            end = int(np.searchsorted(person, last, side="right"))
        yield slice(start, end)
        start = end


def fold(events: Events, rule: Rule, *, threads: int = 1, block_events: int = BLOCK_EVENTS) -> Folded:
    """Folds events (any order) to one result a person; the same whatever the order, blocks and threads."""
    ordered = reading_order(events)

    def one(block: slice) -> Folded:
        return _fold_block(
            ordered.person[block],
            ordered.ts[block],
            ordered.steps[block],
            None if ordered.value is None else ordered.value[block],
            rule,
        )

    blocks = list(cut(ordered.person, block_events))
    if threads > 1 and len(blocks) > 1:
        with ThreadPoolExecutor(threads) as pool:
            return merge(list(pool.map(one, blocks)), rule.steps)
    return merge([one(block) for block in blocks], rule.steps)


def merge(parts: list[Folded], steps: int) -> Folded:
    """Lays results of disjoint people side by side, ascending by person."""
    if not parts:
        none = np.empty(0, np.int64)
        return Folded(none, none, none.astype(bool), np.empty((steps, 0), np.int64), none, none, 0)
    person = np.concatenate([part.person for part in parts])
    order: Ints | slice = slice(None) if (np.diff(person) > 0).all() else np.argsort(person)
    return Folded(
        person[order],
        np.concatenate([part.level for part in parts])[order],
        np.concatenate([part.open for part in parts])[order],
        np.concatenate([part.reached for part in parts], axis=1)[:, order],
        np.concatenate([part.value for part in parts])[order],
        np.concatenate([part.strict_level for part in parts])[order],
        sum(part.tied_events for part in parts),
    )


def _fold_block(person: Ints, ts: Ints, steps: Ints, value: Ints | None, rule: Rule) -> Folded:
    starts = np.concatenate(([True], person[1:] != person[:-1]))
    index = np.cumsum(starts) - 1
    before = np.arange(len(ts))
    level, entry, last_entry = _levels(index, ts, steps, rule, before)
    entered = np.flatnonzero(level)
    level, entry, last_entry = level[entered], entry[entered], last_entry[entered]

    tied_events, strict = 0, level
    before_ties = _before_equal_times(index, ts)
    tied = before_ties != before
    if tied.any():
        tied |= np.concatenate((tied[1:], [False]))
        tied_events = int(tied.sum())
        strict = _strict_levels(index, ts, steps, rule, before_ties, tied, entered, level)
    still_running = (
        np.ones(len(entered), bool) if rule.window is None else rule.as_of - ts[last_entry] <= rule.window
    )
    return Folded(
        person=person[entry],
        level=level,
        open=(level < rule.steps) & still_running,
        reached=_step_times(ts, steps, entry, level, rule.steps),
        value=np.full(len(entered), -1, np.int64) if value is None else value[entry],
        strict_level=strict,
        tied_events=tied_events,
    )


def _levels(index: Ints, ts: Ints, steps: Ints, rule: Rule, before: Ints) -> tuple[Ints, Ints, Ints]:
    """Each person's deepest level, the position of its counted entry, and of their last entry.

    ``index`` numbers the block's people from 0; ``before[p]`` says how many events may come before event p
    in a chain: p itself, or the events at earlier times.
    """
    people = int(index[-1]) + 1 if len(index) else 0
    level = np.zeros(people, np.int64)
    counted = np.zeros(people, np.int64)
    last_entry = np.zeros(people, np.int64)
    entering = (steps & 1) != 0
    if rule.entry_from is not None:
        entering &= ts >= rule.entry_from
    if rule.entry_to is not None:
        entering &= ts < rule.entry_to
    lane = np.flatnonzero(entering)
    entry = lane
    last_entry[index[lane]] = lane
    carried = np.empty(len(ts) + 1, np.int64)
    for step in range(1, rule.steps + 1):
        if step > 1:
            carried.fill(-1)
            carried[lane + 1] = entry
            np.maximum.accumulate(carried, out=carried)
            lane = np.flatnonzero(steps & (1 << (step - 1)))
            entry = carried[before[lane]]
            kept = entry >= 0
            kept &= index[entry] == index[lane]
            if rule.window is not None:
                kept &= ts[lane] - ts[entry] <= rule.window
            lane, entry = lane[kept], entry[kept]
        if not len(lane):
            break
        whose = index[lane]
        first = np.flatnonzero(np.concatenate(([True], whose[1:] != whose[:-1])))
        level[whose[first]] = step
        counted[whose[first]] = entry[first]
    return level, counted, last_entry


def _step_times(ts: Ints, steps: Ints, entry: Ints, level: Ints, count: int) -> Ints:
    """From each counted entry forward, every step as early as it can come: ``(steps, people)`` times."""
    reached = np.full((count, len(entry)), -1, np.int64)
    reached[0] = ts[entry]
    place = entry.copy()
    for step in range(2, count + 1):
        going = np.flatnonzero(level >= step)
        if not len(going):
            break
        lane = np.flatnonzero(steps & (1 << (step - 1)))
        place[going] = lane[np.searchsorted(lane, place[going], side="right")]
        reached[step - 1, going] = ts[place[going]]
    return reached


def _before_equal_times(index: Ints, ts: Ints) -> Ints:
    """For each event the position of the first event of the same person and time."""
    new = np.concatenate(([True], (index[1:] != index[:-1]) | (ts[1:] != ts[:-1])))
    return np.maximum.accumulate(np.where(new, np.arange(len(ts)), 0))


def _strict_levels(
    index: Ints,
    ts: Ints,
    steps: Ints,
    rule: Rule,
    before: Ints,
    tied: Bools,
    entered: Ints,
    level: Ints,
) -> Ints:
    """Levels under strictly increasing times: folded anew only for people who have events of equal times."""
    concerned = np.zeros(int(index[-1]) + 1, bool)
    concerned[index[tied]] = True
    keep = np.flatnonzero(concerned[index])
    shift = np.cumsum(np.concatenate(([0], concerned[index]))).astype(np.int64)
    renumbered = np.cumsum(concerned) - 1
    again, _, _ = _levels(renumbered[index[keep]], ts[keep], steps[keep], rule, shift[before[keep]])
    strict = level.copy()
    chosen = concerned[entered]
    strict[chosen] = again[renumbered[entered[chosen]]]
    return strict
