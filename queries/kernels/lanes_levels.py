"""Ordered steps that share no event, folded on sorted keys: the latest feasible entry, by search, step by step.

It is the method of :mod:`queries.kernels.funnel` without putting the events in one order: an event of a step is
read after those of earlier steps at its time, so the side of the search is the rule for equal times. Of events
of one step at one time none is before another in anything that is counted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from queries.kernels.funnel import Folded
from queries.kernels.lanes_reach import Chains, Reach, Side, reach
from queries.kernels.lanes_steps import Steps
from queries.kernels.ordering import Bools, Ints
from queries.kernels.rule import Rule
from queries.kernels.standing import entry_stands


def fold_steps(events: Steps, rule: Rule) -> Folded:
    """The fold of a block of whole people under a rule of ordered steps, windows of steps and the like aside."""
    tied_events, tied = events.equal_times()
    if rule.range == "whole":
        events = replace(events, keys=[events.inside(keys, rule) for keys in events.keys])
    entries = events.inside(events.keys[0], rule)
    if rule.entry == "every":
        first = entries[events.firsts(entries)]
        attempts = _attempts(events, rule, entries, first)
        person = events.person(attempts[0])
        level = (attempts >= 0).sum(axis=0)
        reached = np.where(attempts >= 0, events.time(attempts), -1)
        is_open = _open_attempts(events, rule, attempts, level)
        strict = _strict_attempts(events, rule, attempts[0], level, tied)
        first = first[events.person(first).searchsorted(person)]
    else:
        if rule.entry == "first":
            entries = entries[events.firsts(entries)]
        found, chains = reach(events, rule, entries)
        person, level, first = found.person, found.level, chains.first
        reached = _times(events, rule, found)
        is_open = _open(chains, found)
        strict = _strict_levels(events, rule, found, tied)
    none = np.broadcast_to(np.int64(-1), level.shape)
    return Folded(
        person=person,
        level=level,
        open=is_open,
        reached=reached,
        value=none,
        strict_level=strict,
        tied_events=tied_events,
        skipped=np.broadcast_to(np.int64(0), level.shape),
        first_entry=events.time(first),
        held=none,
        removed=np.empty(0, np.int64),
    )


def _times(events: Steps, rule: Rule, found: Reach) -> Ints:
    """``(steps, people)``: when each step is done, as early as it can from the entry, ms; −1 past the level."""
    side: Side = "right" if rule.gap else "left"
    reached = np.full((rule.steps, len(found.level)), -1, np.int64)
    reached[0] = events.time(found.entry)
    # The first event to which a chain comes in time is the first that its entry comes to.
    reached[found.level - 1, np.arange(len(found.level))] = events.time(found.last)
    going = (found.level > 2).nonzero()[0]
    keys = found.entry[going]
    for step in range(2, rule.steps):
        here = events.keys[step - 1]
        keys = here[here.searchsorted(keys, side)]
        reached[step - 1, going] = events.time(keys)
        deeper = found.level[going] > step + 1
        going, keys = going[deeper], keys[deeper]
    return reached


def _follow(events: Steps, rule: Rule, entry: Ints) -> Ints:
    """``(steps, entries)`` keys: each step as early as it can from its entry, −1 from the first that fails."""
    side: Side = "right" if rule.gap else "left"
    reached = np.full((rule.steps, len(entry)), -1, np.int64)
    reached[0] = entry
    going = np.arange(len(entry))
    for step in range(2, rule.steps + 1):
        here = events.keys[step - 1]
        if not len(going) or not len(here):
            break
        found = np.searchsorted(here, reached[step - 2, going], side=side)
        there = here[np.minimum(found, len(here) - 1)]
        kept = (found < len(here)) & events.is_same(there, entry[going])
        if rule.window is not None:
            kept &= there - entry[going] <= rule.window
        going, there = going[kept], there[kept]
        reached[step - 1, going] = there
    return reached


def _strict_levels(events: Steps, rule: Rule, found: Reach, tied: Ints) -> Ints:
    """Levels of the same entries under strictly increasing times, folded anew only where times are equal."""
    if rule.ties == "strict" or not len(tied):
        return found.level
    some, stricter = events.of(tied), replace(rule, ties="strict")
    entries = some.inside(some.keys[0], rule)
    if rule.entry == "first":
        entries = entries[some.firsts(entries)]
    again, _ = reach(some, stricter, entries)
    strict = found.level.copy()
    strict[np.searchsorted(found.person, again.person)] = again.level
    return strict


def _open(chains: Chains, found: Reach) -> Bools:
    """Short of the last step, with a chain that events from *as of* on could take further."""
    events, rule = chains.events, chains.rule
    is_open = np.zeros(len(found.person), bool)
    # An entry alone stands as well as any chain of it, unless times must increase.
    rows = ((found.level < rule.steps) & entry_stands(rule, events.time(chains.last))).nonzero()[0]
    if not rule.gap:
        is_open[rows] = True
        return is_open
    start = found.person[rows] << events.time_bits
    span = (1 << events.time_bits) - 1
    # At as of itself the next event is a millisecond later, and that may be too late.
    for until in (span, min(rule.as_of - events.base - 1, span)):
        for step in range(1, rule.steps):
            kept, keys = chains.latest(step, start, until)
            entry = keys if step == 1 else chains.behind(step, keys)
            comes = events.is_same(entry, keys) & chains.in_time(keys, entry)
            mine = rows[kept][comes]
            # To come past the level takes the steps up to it and one more, a millisecond apart.
            now = np.maximum(rule.as_of, events.time(keys[comes]) + rule.gap)
            now += rule.gap * (found.level[mine] - step)
            is_open[mine[entry_stands(rule, events.time(entry[comes]), now)]] = True
    return is_open


def _attempts(events: Steps, rule: Rule, entries: Ints, start: Ints) -> Ints:
    """The keys of every attempt, in rounds: the next attempt of all people who have one is followed at once."""
    if rule.steps == 1:
        return entries[None, :]
    found = []
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
