"""The funnel as a fold: each person's matching events in reading order → how far they came, and when.

The method: carry, for each level, the *latest feasible entry* over the events read before. An event of
step k inherits the latest entry that reached level k−1 earlier, and keeps it when it lies inside the window.
A later entry dominates an earlier one, so one entry a level is exact. Here the carrying is a running maximum
over positions, done for a whole block of people at once; a block is a run of whole people, so blocks can be
folded in any order, on any thread, and their results laid side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from queries.kernels.ordering import BLOCK_EVENTS, Bools, Events, Ints, Packing, cut, reading_order


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


def fold(events: Events, rule: Rule, *, threads: int = 1, block_events: int = BLOCK_EVENTS) -> Folded:
    """Folds events (any order) to one result a person; the same whatever the order, blocks and threads."""
    ordered = reading_order(events)

    def one(block: slice) -> Folded:
        value = None if ordered.value is None else ordered.value[block]
        return _fold_block(ordered.person[block], ordered.ts[block], ordered.steps[block], value, rule)

    return _fold_all(one, cut(ordered.person, block_events), rule, threads)


def fold_packed(
    packed: Ints, packing: Packing, rule: Rule, *, threads: int = 1, block_events: int = BLOCK_EVENTS
) -> Folded | None:
    """The same from packed events, which it sorts in place; None where only the export's order decides."""
    packed.sort()
    if not packing.settled(packed):
        return None

    def one(block: slice) -> Folded:
        events = packing.unpack(packed[block])
        return _fold_block(events.person, events.ts, events.steps, events.value, rule)

    return _fold_all(one, packing.blocks(packed, block_events), rule, threads)


def _fold_all(one: Callable[[slice], Folded], blocks: Iterable[slice], rule: Rule, threads: int) -> Folded:
    if threads == 1:
        return merge([one(block) for block in blocks], rule.steps)
    with ThreadPoolExecutor(threads) as pool:
        return merge(list(pool.map(one, blocks)), rule.steps)


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
