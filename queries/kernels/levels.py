"""How deep each unit comes: the latest feasible entry carried forward, level by level, for a block at once.

Three ways, each exact where it is taken, of the same kind: an event of step k is given the latest entry that
reached level k−1 in an event it may follow, and keeps it when all windows hold.

- *carried* (no step windows, no exclusions): a later entry dominates an earlier one, so a running maximum
  of entries is all. Steps left out and every rule about equal times only change which maximum is read.
- *linked* (step windows or exclusions): the latest event of step k−1 dominates earlier ones, as it has the
  latest entry, the most of its step window left and the fewest events behind it that might exclude.
- *next* (strict order): the event just before is the only one to follow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queries.kernels.block import Block, firsts
from queries.kernels.ordering import Ints
from queries.kernels.rule import Rule

Lane = tuple[Ints, Ints]
"""Events that do a step in some chain, ascending, and the latest entry of each: places of the block."""


@dataclass(frozen=True, slots=True)
class Deepest:
    """Each unit's deepest level, the event where it is first reached and the latest entry that does so."""

    level: Ints
    """0 for a unit without entry."""
    entry: Ints
    moment: Ints
    lanes: list[Lane]
    """One a step, up to the deepest."""


@dataclass(frozen=True, slots=True)
class Follows:
    """Which events may follow which, their windows aside: always a run of the unit's events."""

    before: Ints
    """For each event the place behind the last one it may follow."""
    _after: Ints | None

    @classmethod
    def of(cls, block: Block, rule: Rule) -> Follows:
        """Read later; at a later time; or at most the tolerance earlier."""
        everywhere = np.arange(len(block.ts))
        if rule.ties == "strict":
            return cls(block.same_time(first=True), block.same_time(first=False))
        if rule.tolerance and len(block.ts):
            latest = block.shifted(everywhere, rule.tolerance, past=True)
            return cls(latest, block.shifted(everywhere, -rule.tolerance, past=False))
        return cls(everywhere, None)

    def after(self, places: Ints) -> Ints:
        """For each of some events the first place that may follow it."""
        return places + 1 if self._after is None else self._after[places]


def is_vectorised(rule: Rule) -> bool:
    """Whether a whole block is folded at once under ``any`` and ``first``."""
    if rule.order == "strict":
        return not rule.optional
    if not rule.step_windows and not rule.exclusions:
        return True
    return not rule.optional and not (rule.tolerance and rule.exclusions)


def is_linked(rule: Rule) -> bool:
    """Whether the ordered rule needs the event of the step before, not only its entry."""
    return bool(rule.step_windows or rule.exclusions)


def levels(block: Block, rule: Rule, follows: Follows) -> Deepest:
    """The deepest levels of a block's units, entry ``any`` or ``first``."""
    lane = block.first_entries() if rule.entry == "first" else block.entering
    if rule.order == "strict":
        lanes = _next(block, rule, lane)
    elif is_linked(rule):
        lanes = _linked(block, rule, lane, follows)
    else:
        lanes = _carried(block, rule, lane, follows)
    level = np.zeros(block.units, np.int64)
    counted = np.zeros(block.units, np.int64)
    moment = np.zeros(block.units, np.int64)
    for step, (lane, entry) in enumerate(lanes, start=1):
        whose = block.unit[lane]
        first = firsts(whose)
        whose = whose[first]
        level[whose] = step
        counted[whose] = entry[first]
        moment[whose] = lane[first]
    return Deepest(level, counted, moment, lanes)


def _carried(block: Block, rule: Rule, lane: Ints, follows: Follows) -> list[Lane]:
    carried = np.empty(len(block.ts) + 1, np.int64)
    entry = lane
    lanes = [(lane, entry)]
    for step in range(2, rule.steps + 1):
        # A step that may be left out hands on what the steps before it reached.
        if step - 1 in rule.optional:
            carried[lane + 1] = np.maximum(carried[lane + 1], entry)
        else:
            carried.fill(-1)
            carried[lane + 1] = entry
        np.maximum.accumulate(carried, out=carried)
        lane = block.lane(step)
        entry = carried[follows.before[lane]]
        kept = entry >= 0
        kept &= block.unit[entry] == block.unit[lane]
        if rule.window is not None:
            kept &= block.ts[lane] - block.ts[entry] <= rule.window
        lane, entry = lane[kept], entry[kept]
        lanes.append((lane, entry))
        if not len(lane) and not rule.optional:
            break
    return lanes


def _linked(block: Block, rule: Rule, lane: Ints, follows: Follows) -> list[Lane]:
    entry = lane
    lanes = [(lane, entry)]
    for step in range(2, rule.steps + 1):
        if not len(lane):
            break
        here = block.lane(step)
        found = np.searchsorted(lane, follows.before[here]) - 1
        link = lane[found]
        kept = (found >= 0) & (block.unit[link] == block.unit[here])
        kept &= is_allowed(block, rule, step - 1, link, here)
        if rule.window is not None:
            kept &= block.ts[here] - block.ts[entry[found]] <= rule.window
        lane, entry = here[kept], entry[found[kept]]
        lanes.append((lane, entry))
    return lanes


def _next(block: Block, rule: Rule, lane: Ints) -> list[Lane]:
    entry = lane
    lanes = [(lane, entry)]
    entry_of = np.empty(len(block.ts), np.int64)
    for step in range(2, rule.steps + 1):
        if not len(lane):
            break
        entry_of.fill(-1)
        entry_of[lane] = entry
        here = block.lane(step)
        here = here[here > 0]
        entry = entry_of[here - 1]
        kept = (entry >= 0) & (block.unit[entry] == block.unit[here])
        kept &= block.ts[here] - block.ts[here - 1] >= rule.gap
        if rule.window is not None:
            kept &= block.ts[here] - block.ts[entry] <= rule.window
        if step in rule.step_windows:
            kept &= block.ts[here] - block.ts[here - 1] <= rule.step_windows[step]
        lane, entry = here[kept], entry[kept]
        lanes.append((lane, entry))
    return lanes


def is_allowed(block: Block, rule: Rule, step: int, link: Ints, following: Ints) -> Ints:
    """Whether events of the next step keep its window and no event between ``step`` and them excludes."""
    allowed = np.ones(len(link), bool)
    if step + 1 in rule.step_windows:
        allowed &= block.ts[following] - block.ts[link] <= rule.step_windows[step + 1]
    excluding = block.excluding(rule.spans(step))
    if excluding is not None:
        allowed &= excluding[following] <= excluding[link + 1]
    return allowed
