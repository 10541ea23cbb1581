"""Which rule is folded which way, and the few units that must be read one by one.

A block at once, measured on one core with 4 steps at 4 to 12 million events a second, the sort of unsorted
events included: ``ordered`` steps with any rule for equal times, a tolerance, or optional steps; step windows
and exclusions without optional steps (and exclusions without tolerance); ``strict`` order without optional
steps; ``every`` without step windows, exclusions and optional steps; ``any`` order where no event matches two
steps and none that excludes matches one. ``first``, ``hold``, ``whole`` and the places of the breakdown change
none of this.

Event by event in Python, at 0.2 to 1.4 million events a second: optional steps beside step windows, exclusions
or strict order; ``every`` beside step windows, exclusions or optional steps; ``any`` order for the people whose
events are shared; whether ``remove`` leaves a unit out, for units with an excluding event after their last
entry (over all events 3 million a second). The work is linear in a unit's events, but for ``remove`` and
shared events in any order, which look at each entry's window. A tolerance beside exclusions, or beside step
windows with ``every`` or optional steps, goes the same speed for units of a few dozen events and grows with
entries times the square of the events in a window (:mod:`queries.kernels.tolerant`).

Whatever a rule says, units without an excluding event keep the rule without exclusions, and under ``every``
units with one entry keep that of ``first``; so only the rest is ever read event by event. Python's lists are
made for one unit at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from queries.kernels.any_order import fill, is_plain
from queries.kernels.attempts import attempts, is_in_rounds
from queries.kernels.block import Block, Counted, firsts, lasts, together
from queries.kernels.filling import is_hit_any, replay_any
from queries.kernels.levels import Follows, is_vectorised, levels
from queries.kernels.ordering import Bools, Ints, distinct
from queries.kernels.places import places
from queries.kernels.replay import Attempt, is_hit, replay
from queries.kernels.rule import Rule, strictly
from queries.kernels.standing import open_units
from queries.kernels.sweep import Plan, UnitEvents
from queries.kernels.tolerant import all_hit_tolerant, replay_tolerant

AllHit = Callable[[UnitEvents, list[int]], bool]
Replay = Callable[[UnitEvents], list[Attempt]]


def judge(block: Block, rule: Rule) -> tuple[Counted, Ints]:
    """What counts of a block's units, and under ``remove`` the units left out."""
    if not block.units:
        return together([], rule.steps), np.empty(0, np.int64)
    if rule.order == "any":
        counted, hit = _in_any_order(block, rule)
    else:
        counted = _count(block, rule)
        hit = np.zeros(len(counted.unit), bool)
        if rule.exclusion == "remove" and rule.exclusions:
            hit = _hit(block, rule, counted)
    if rule.exclusion != "remove" or not hit.any():
        return counted, np.empty(0, np.int64)
    return counted.rows(~hit), distinct(counted.unit[hit])


def _count(block: Block, rule: Rule) -> Counted:
    if rule.entry == "every":
        if is_in_rounds(rule):
            return attempts(block, rule)
    elif is_vectorised(rule):
        return _at_once(block, rule)
    parts = []
    rest = np.ones(block.units, bool)
    if rule.exclusions:
        excluding = _having(
            block, np.flatnonzero(block.excludes != 0) if block.excludes is not None else None
        )
        parts.append(_some(block, rest & ~excluding, replace(rule, exclusions=())))
        rest &= excluding
    if rule.entry == "every":
        once = np.bincount(block.unit[block.entering], minlength=block.units) <= 1
        parts.append(_some(block, rest & once, replace(rule, entry="first")))
        rest &= ~once
    return together([*parts, _one_by_one(block, rule, rest)], rule.steps)


def _at_once(block: Block, rule: Rule) -> Counted:
    """A whole block under ``any`` or ``first``."""
    follows = Follows.of(block, rule)
    reach = levels(block, rule, follows)
    rows = np.flatnonzero(reach.level)
    level = reach.level[rows]
    found, skipped = places(block, rule, follows, reach.entry[rows], level, reach.moment[rows])
    return Counted(
        unit=rows,
        level=level,
        places=found,
        skipped=skipped,
        open=open_units(block, rule, reach.level, reach.lanes)[rows],
        strict_level=_strict_levels(block, rule, rows, level),
    )


def _strict_levels(block: Block, rule: Rule, rows: Ints, level: Ints) -> Ints:
    """Levels of the same entries under strictly increasing times, folded anew only where times are equal."""
    stricter = strictly(rule)
    if stricter is None:
        return np.full(len(rows), -1, np.int64)
    if block.tied is None or rule.ties == "strict":
        return level
    tied = block.tied
    some, _ = block.only(tied)
    again = levels(some, stricter, Follows.of(some, stricter)).level
    renumbered = np.cumsum(tied) - 1
    chosen = tied[rows]
    strict = level.copy()
    strict[chosen] = again[renumbered[rows[chosen]]]
    return strict


def _some(block: Block, units: Bools, rule: Rule) -> Counted:
    """What counts of some units."""
    if not units.any():
        return together([], rule.steps)
    part, kept = block.only(units)
    return _count(part, rule).moved(np.flatnonzero(units), kept)


def _in_any_order(block: Block, rule: Rule) -> tuple[Counted, Bools]:
    plain = is_plain(block)
    if plain.all():
        return fill(block, rule)
    part, kept = block.only(plain)
    counted, hit = fill(part, rule)
    counted = counted.moved(np.flatnonzero(plain), kept)
    odd = _one_by_one(block, rule, ~plain)
    hit_units = np.zeros(block.units, bool)
    hit_units[counted.unit[hit]] = True
    if rule.exclusion == "remove":
        hit_units[odd.unit[_all_hit(block, rule, odd)]] = True
    whole = together([counted, odd], rule.steps)
    return whole, hit_units[whole.unit]


def _having(block: Block, places: Ints | None) -> Bools:
    """The units of some events."""
    having = np.zeros(block.units, bool)
    if places is not None:
        having[block.unit[places]] = True
    return having


def _one_by_one(block: Block, rule: Rule, units: Bools) -> Counted:
    """What counts of some units, each read event by event."""
    one = _replay_of(rule)
    rows: list[tuple[int, int, Attempt]] = []
    for unit, start, events in _events_of(block, np.flatnonzero(units)):
        rows.extend((unit, start, attempt) for attempt in one(events))
    if not rows:
        return together([], rule.steps)
    starts = np.array([start for _, start, _ in rows], np.int64)
    found = np.array([attempt.places for _, _, attempt in rows], np.int64).T
    return Counted(
        unit=np.array([unit for unit, _, _ in rows], np.int64),
        level=np.array([attempt.level for _, _, attempt in rows], np.int64),
        places=np.where(found >= 0, found + starts, -1),
        skipped=np.array([attempt.skipped for _, _, attempt in rows], np.int64),
        open=np.array([attempt.open for _, _, attempt in rows], bool),
        strict_level=np.array([attempt.strict_level for _, _, attempt in rows], np.int64),
    )


def _replay_of(rule: Rule) -> Replay:
    if rule.order == "any":
        return partial(replay_any, rule=rule)
    if rule.tolerance:
        return partial(replay_tolerant, rule=rule)
    return partial(replay, plan=Plan(rule))


def _all_hit_of(rule: Rule) -> AllHit:
    if rule.order == "any":
        return lambda unit, entries: all(is_hit_any(unit, rule, entry) for entry in reversed(entries))
    if rule.tolerance:
        return lambda unit, entries: all_hit_tolerant(unit, rule, entries)
    plan = Plan(rule)
    return lambda unit, entries: all(is_hit(unit, plan, entry) for entry in reversed(entries))


def _hit(block: Block, rule: Rule, counted: Counted) -> Bools:
    """The rows of units all of whose entries an exclusion hits."""
    if block.excludes is None:
        return np.zeros(len(counted.unit), bool)
    excluding = np.flatnonzero(block.excludes != 0)
    final = np.full(block.units, -1, np.int64)
    last = lasts(block.unit[excluding])
    final[block.unit[excluding[last]]] = excluding[last]
    # An entry with no excluding event behind it is not hit.
    entries = block.entering if rule.entry == "any" else counted.places[0]
    entries = entries[lasts(block.unit[entries])]
    suspects = np.zeros(block.units, bool)
    suspects[block.unit[entries]] = entries < final[block.unit[entries]]
    return _all_hit(block, rule, counted, suspects)


def _all_hit(block: Block, rule: Rule, counted: Counted, suspects: Bools | None = None) -> Bools:
    """The rows of units all of whose entries are hit, asked one by one, the latest first."""
    all_hit = _all_hit_of(rule)
    if not len(counted.unit):
        return np.zeros(0, bool)
    begin = firsts(counted.unit)
    runs = dict(zip(counted.unit[begin].tolist(), np.split(counted.places[0], begin[1:]), strict=True))
    chosen = [unit for unit in runs if suspects is None or suspects[unit]]
    hit = np.zeros(block.units, bool)
    for unit, start, events in _events_of(block, np.array(chosen, np.int64)):
        entries = events.entering
        if rule.entry != "any":
            entries = (runs[unit] - start).tolist()
        hit[unit] = all_hit(events, entries)
    return hit[counted.unit]


def _events_of(block: Block, units: Ints) -> Iterator[tuple[int, int, UnitEvents]]:
    """Of each unit its number, the place where its events begin, and the events."""
    ends = block.ends()
    starts = np.concatenate(([0], ends[:-1]))
    entry_ends = np.searchsorted(block.entering, ends)
    entry_starts = np.searchsorted(block.entering, starts)
    matched: dict[int, list[int]] = {}
    for unit in units.tolist():
        start, end = int(starts[unit]), int(ends[unit])
        masks = block.steps[start:end].tolist()
        for mask in masks:
            if mask not in matched:
                matched[mask] = [step for step in range(mask.bit_length(), 0, -1) if mask >> (step - 1) & 1]
        excludes = None if block.excludes is None else block.excludes[start:end].tolist()
        entering = block.entering[entry_starts[unit] : entry_ends[unit]] - start
        yield (
            unit,
            start,
            UnitEvents(
                ts=block.ts[start:end].tolist(),
                steps=[matched[mask] for mask in masks],
                excludes=excludes or [0] * (end - start),
                entering=entering.tolist(),
                tied=block.tied is not None and bool(block.tied[unit]),
            ),
        )
