"""Steps in any order, for a block at once: of every entry, where each other step first comes inside its window.

An entry's level is how many steps have an event inside its window, its moment the last of their earliest
events. This holds where no event matches two steps and none that excludes matches one; units with other
events are left to :mod:`queries.kernels.filling`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queries.kernels.attempts import next_starts
from queries.kernels.block import NEVER, Block, Counted, firsts, lasts
from queries.kernels.ordering import Bools, Ints
from queries.kernels.rule import Rule
from queries.kernels.standing import entry_stands


@dataclass(frozen=True, slots=True)
class _Reach:
    """For each entry what the events from its time on fill."""

    level: Ints
    moment: Ints
    places: Ints
    """``(steps, entries)``: the earliest place of each step, NEVER where there is none."""
    cut: Ints
    """The first excluding event read after it, NEVER without one."""


def is_plain(block: Block) -> Bools:
    """The units of which no event matches two steps and none that excludes matches one."""
    odd = (block.steps & (block.steps - 1)) != 0
    if block.excludes is not None:
        odd |= (block.excludes != 0) & (block.steps != 0)
    plain = np.ones(block.units, bool)
    plain[block.unit[odd]] = False
    return plain


def fill(block: Block, rule: Rule) -> tuple[Counted, Bools]:
    """What counts, and of each row whether an exclusion hit all its entries."""
    reach = _reach(block, rule)
    hit = np.zeros(len(block.entering), bool)
    ahead = reach.cut != NEVER
    if rule.window is not None:
        ahead[ahead] = block.ts[reach.cut[ahead]] - block.ts[block.entering[ahead]] <= rule.window
    hit |= ahead & (reach.level < rule.steps)
    unit = block.unit[block.entering]
    if rule.entry == "every":
        chosen = _starts(block, rule, reach)
        row_hit = hit[chosen]
        whose = np.zeros(block.units, bool)
        whose[unit[chosen[~row_hit]]] = True
        row_hit = ~whose[unit[chosen]]
        standing = chosen
    elif rule.entry == "first":
        chosen = standing = firsts(unit)
        row_hit = hit[chosen]
    else:
        chosen, standing = _best(reach, unit), lasts(unit)
        row_hit = np.logical_and.reduceat(hit, firsts(unit)) if len(unit) else hit
    level = reach.level[chosen]
    stands = entry_stands(rule, block.ts[block.entering[standing]]) & (reach.cut[standing] == NEVER)
    counted = Counted(
        unit=unit[chosen],
        level=level,
        places=_in_order(block, reach, chosen),
        skipped=np.zeros(len(chosen), np.int64),
        open=stands & (level < rule.steps),
        strict_level=np.full(len(chosen), -1, np.int64),
    )
    return counted, row_hit


def _reach(block: Block, rule: Rule) -> _Reach:
    entries = block.entering
    unit, ts = block.unit[entries], block.ts[entries]
    start = block.same_time(first=True)[entries] if len(entries) else entries
    cut = np.full(len(entries), NEVER)
    if block.excludes is not None:
        excluding = np.flatnonzero(block.excludes != 0)
        cut = _first_from(block, excluding, entries + 1, unit)
    places = np.full((rule.steps, len(entries)), NEVER)
    for step in range(1, rule.steps + 1):
        lane = block.lane(step)
        found = _first_from(block, lane, start, unit)
        found[found > cut] = NEVER
        if rule.window is not None:
            there = np.flatnonzero(found != NEVER)
            found[there[block.ts[found[there]] - ts[there] > rule.window]] = NEVER
        own = (block.steps[entries] & (1 << (step - 1))) != 0
        places[step - 1] = np.where(own, entries, found)
    filled = places != NEVER
    return _Reach(filled.sum(axis=0), np.where(filled, places, -1).max(axis=0), places, cut)


def _first_from(block: Block, lane: Ints, start: Ints, unit: Ints) -> Ints:
    """The first place of a lane at or behind ``start`` in the same unit; NEVER without one."""
    found = np.full(len(start), NEVER)
    at = np.searchsorted(lane, start)
    there = np.flatnonzero(at < len(lane))
    place = lane[at[there]]
    same = block.unit[place] == unit[there]
    found[there[same]] = place[same]
    return found


def _best(reach: _Reach, unit: Ints) -> Ints:
    """Of each unit the latest of the entries that reach its deepest level first."""
    if not len(unit):
        return unit
    begin = firsts(unit)
    runs = np.diff(np.append(begin, len(unit)))
    deepest = np.maximum.reduceat(reach.level, begin)
    moment = np.where(reach.level == np.repeat(deepest, runs), reach.moment, NEVER)
    soonest = np.minimum.reduceat(moment, begin)
    chosen = np.where(moment == np.repeat(soonest, runs), np.arange(len(unit)), -1)
    return np.maximum.reduceat(chosen, begin)


def _starts(block: Block, rule: Rule, reach: _Reach) -> Ints:
    """The entries that begin attempts, ascending, as positions among the entries."""
    found = []
    start = np.searchsorted(block.entering, block.first_entries())
    while len(start):
        found.append(start)
        completed = np.where(reach.level[start] == rule.steps, reach.moment[start], -1)
        following = next_starts(block, rule, block.entering[start], completed, reach.cut[start])
        start = np.searchsorted(block.entering, following)
    return np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)


def _in_order(block: Block, reach: _Reach, chosen: Ints) -> Ints:
    """``(steps, rows)``: the entry's place, then those of the other events as they are read, then −1."""
    entry = block.entering[chosen]
    places = reach.places[:, chosen]
    places[places == entry] = -1
    places.sort(axis=0)
    places[0] = entry
    places[places == NEVER] = -1
    return places
