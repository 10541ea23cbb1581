"""Ordered steps that share no event, folded on sorted keys: the latest feasible entry, by search, step by step.

It is the method of :mod:`queries.kernels.funnel` without putting the events in one order: an event of a step is
read after those of earlier steps at its time, so the side of the search is the rule for equal times. Of events
of one step at one time none is before another in anything that is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from queries.kernels.funnel import Folded
from queries.kernels.ordering import Bools, Ints
from queries.kernels.rule import Rule
from queries.kernels.standing import entry_stands

Side = Literal["left", "right"]
Lane = tuple[Ints, Ints]
"""Events that do a step in some chain, and the latest entry of each: keys."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The keys of each step's events, ascending: ``person << time_bits | milliseconds since base``."""

    keys: Sequence[Ints]
    base: int
    time_bits: int

    def person(self, keys: Ints) -> Ints:
        """The people of keys."""
        return keys >> self.time_bits

    def time(self, keys: Ints) -> Ints:
        """The times of keys, ms."""
        return (keys & ((1 << self.time_bits) - 1)) + self.base

    def is_same(self, keys: Ints, others: Ints) -> Bools:
        """Whether keys are of the same people as others."""
        return (keys ^ others) < 1 << self.time_bits

    def firsts(self, keys: Ints) -> Ints:
        """Where each person's keys begin."""
        new = ~self.is_same(keys[1:], keys[:-1])
        return np.flatnonzero(np.concatenate(([True], new))[: len(keys)])

    def lasts(self, keys: Ints) -> Ints:
        """Where each person's keys end."""
        new = ~self.is_same(keys[1:], keys[:-1])
        return np.flatnonzero(np.concatenate((new, [True]))[: len(keys)])

    def of(self, people: Ints) -> Steps:
        """The events of some people, ascending."""
        return replace(self, keys=[self._of(keys, people) for keys in self.keys])

    def _of(self, keys: Ints, people: Ints) -> Ints:
        start = np.searchsorted(keys, people << self.time_bits)
        end = np.searchsorted(keys, (people << self.time_bits) | ((1 << self.time_bits) - 1), side="right")
        length = end - start
        behind = np.cumsum(length)
        places: Ints = np.repeat(start - behind + length, length) + np.arange(length.sum())
        return keys[places]

    def inside(self, keys: Ints, rule: Rule) -> Ints:
        """The keys in the rule's range."""
        if rule.entry_from is None and rule.entry_to is None:
            return keys
        time = self.time(keys)
        kept = np.ones(len(keys), bool)
        if rule.entry_from is not None:
            kept &= time >= rule.entry_from
        if rule.entry_to is not None:
            kept &= time < rule.entry_to
        return keys[kept]


@dataclass(frozen=True, slots=True)
class _Reach:
    """By person with an entry, ascending: the deepest level and the latest entry that first reaches it."""

    person: Ints
    level: Ints
    entry: Ints
    lanes: list[Lane]
    """One a step, up to the deepest."""


def fold_steps(events: Steps, rule: Rule) -> Folded:
    """The fold of a block of whole people under a rule of ordered steps, windows of steps and the like aside."""
    tied_events, tied = _equal_times(events)
    if rule.range == "whole":
        events = replace(events, keys=[events.inside(keys, rule) for keys in events.keys])
    entries = events.inside(events.keys[0], rule)
    first = entries[events.firsts(entries)]
    if rule.entry == "every":
        reached = _attempts(events, rule, entries)
        level = (reached >= 0).sum(axis=0)
        is_open = _open_attempts(events, rule, reached, level)
        strict = _strict_attempts(events, rule, reached[0], level, tied)
    else:
        reach = _levels(events, rule, first if rule.entry == "first" else entries)
        level = reach.level
        reached = _follow(events, rule, reach.entry, level)
        is_open = _open(events, rule, reach)
        strict = _strict_levels(events, rule, reach, tied)
    person = events.person(reached[0])
    return Folded(
        person=person,
        level=level,
        open=is_open,
        reached=np.where(reached >= 0, events.time(reached), -1),
        value=np.full(len(level), -1, np.int64),
        strict_level=strict,
        tied_events=tied_events,
        skipped=np.zeros(len(level), np.int64),
        first_entry=events.time(first[np.searchsorted(events.person(first), person)]),
        held=np.full(len(level), -1, np.int64),
        removed=np.empty(0, np.int64),
    )


def _equal_times(events: Steps) -> tuple[int, Ints]:
    """How many events share person and time with another, and whose they are, ascending."""
    # The largest lane is searched, never sorted: most of the events may be there.
    *others, largest = sorted(events.keys, key=len)
    rest = np.sort(np.concatenate(others)) if others else largest[:0]
    twice = [lane[1:][lane[1:] == lane[:-1]] for lane in (rest, largest)]
    if len(largest):
        found = np.minimum(np.searchsorted(largest, rest), len(largest) - 1)
        twice.append(rest[largest[found] == rest])
    keys = np.unique(np.concatenate(twice))
    count = sum(
        int((np.searchsorted(lane, keys, side="right") - np.searchsorted(lane, keys)).sum())
        for lane in (rest, largest)
    )
    return count, np.unique(events.person(keys))


def _levels(events: Steps, rule: Rule, entries: Ints) -> _Reach:
    """The deepest levels, any of the entries counting."""
    side: Side = "left" if rule.gap else "right"
    first = entries[events.firsts(entries)]
    person, entry_of, level = events.person(first), first.copy(), np.ones(len(first), np.int64)
    keys, entry = entries, entries
    lanes = [(keys, entry)]
    for step in range(2, rule.steps + 1):
        if not len(keys):
            break
        here = events.keys[step - 1]
        found = np.searchsorted(keys, here, side=side) - 1
        latest = entry[found]
        kept = (found >= 0) & events.is_same(latest, here)
        if rule.window is not None:
            kept &= here - latest <= rule.window
        keys, entry = here[kept], latest[kept]
        lanes.append((keys, entry))
        begin = events.firsts(keys)
        rows = np.searchsorted(person, events.person(keys[begin]))
        level[rows] = step
        entry_of[rows] = entry[begin]
    return _Reach(person, level, entry_of, lanes)


def _follow(events: Steps, rule: Rule, entry: Ints, level: Ints | None = None) -> Ints:
    """``(steps, entries)`` keys: each step as early as it can from its entry, −1 from the first that fails.

    ``level``: how far each is known to come, and no window need be asked.
    """
    side: Side = "right" if rule.gap else "left"
    reached = np.full((rule.steps, len(entry)), -1, np.int64)
    reached[0] = entry
    going = np.arange(len(entry))
    for step in range(2, rule.steps + 1):
        here = events.keys[step - 1]
        if level is not None:
            going = going[level[going] >= step]
        if not len(going) or not len(here):
            break
        found = np.searchsorted(here, reached[step - 2, going], side=side)
        there = here[np.minimum(found, len(here) - 1)]
        if level is None:
            kept = (found < len(here)) & events.is_same(there, entry[going])
            if rule.window is not None:
                kept &= there - entry[going] <= rule.window
            going, there = going[kept], there[kept]
        reached[step - 1, going] = there
    return reached


def _strict_levels(events: Steps, rule: Rule, reach: _Reach, tied: Ints) -> Ints:
    """Levels of the same entries under strictly increasing times, folded anew only where times are equal."""
    if rule.ties == "strict" or not len(tied):
        return reach.level
    some, stricter = events.of(tied), replace(rule, ties="strict")
    entries = some.inside(some.keys[0], rule)
    if rule.entry == "first":
        entries = entries[some.firsts(entries)]
    again = _levels(some, stricter, entries)
    strict = reach.level.copy()
    strict[np.searchsorted(reach.person, again.person)] = again.level
    return strict


def _open(events: Steps, rule: Rule, reach: _Reach) -> Bools:
    """Short of the last step, with a chain that events from *as of* on could take further."""
    found = np.zeros(len(reach.person), bool)
    if not rule.gap:
        # An entry alone stands as well as any chain of it.
        entries = reach.lanes[0][0]
        found[:] = entry_stands(rule, events.time(entries[events.lasts(entries)]))
        return found & (reach.level < rule.steps)
    for step, (keys, entry) in enumerate(reach.lanes[: rule.steps - 1], start=1):
        # At as of itself the next event is a millisecond later, and that may be too late.
        earlier = events.time(keys) < rule.as_of
        for lane in ((keys, entry), (keys[earlier], entry[earlier])):
            last = events.lasts(lane[0])
            time, begun = events.time(lane[0][last]), events.time(lane[1][last])
            rows = np.searchsorted(reach.person, events.person(lane[0][last]))
            level = reach.level[rows]
            # To come past the level takes the steps up to it and one more, a millisecond apart.
            now = np.maximum(rule.as_of, time + rule.gap) + rule.gap * (level - step)
            found[rows[(level < rule.steps) & entry_stands(rule, begun, now)]] = True
    return found


def _attempts(events: Steps, rule: Rule, entries: Ints) -> Ints:
    """The keys of every attempt, in rounds: the next attempt of all people who have one is followed at once."""
    if rule.steps == 1:
        return entries[None, :]
    found = []
    start = entries[events.firsts(entries)]
    while len(start):
        reached = _follow(events, rule, start)
        found.append(reached)
        done = reached[-1] >= 0
        over = reached[-1]
        if rule.window is None:
            start, over = start[done], over[done]
        else:
            end = start | ((1 << events.time_bits) - 1)
            over = np.where(done, over, np.minimum(start + min(rule.window, 1 << events.time_bits), end))
        following = np.searchsorted(entries, over, side="right")
        there = np.flatnonzero(following < len(entries))
        after = entries[following[there]]
        start = after[events.is_same(after, start[there])]
    if not found:
        return np.empty((rule.steps, 0), np.int64)
    whole = np.concatenate(found, axis=1)
    return whole[:, np.argsort(whole[0])]


def _open_attempts(events: Steps, rule: Rule, reached: Ints, level: Ints) -> Bools:
    last = events.time(reached[level - 1, np.arange(len(level))])
    come = np.maximum(rule.as_of, last + rule.gap)
    return (level < rule.steps) & entry_stands(rule, events.time(reached[0]), come)


def _strict_attempts(events: Steps, rule: Rule, entry: Ints, level: Ints, tied: Ints) -> Ints:
    if rule.ties == "strict" or not len(tied):
        return level
    chosen = np.flatnonzero(np.isin(events.person(entry), tied))
    again = _follow(events, replace(rule, ties="strict"), entry[chosen])
    strict = level.copy()
    strict[chosen] = (again >= 0).sum(axis=0)
    return strict
