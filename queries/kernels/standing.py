"""Who is open: short of the last step, with a chain that events still to come could take past their level.

Events to come are imagined at *as of* or later, a millisecond apart when times must increase. Of the chains
that stand at one step, the one whose event is latest has the latest entry and the most of every window left.
"""

from __future__ import annotations

import numpy as np

from queries.kernels.block import NEVER, Block, lasts
from queries.kernels.levels import Lane
from queries.kernels.ordering import Bools, Ints
from queries.kernels.rule import Rule


def open_units(block: Block, rule: Rule, level: Ints, lanes: list[Lane]) -> Bools:
    """For each unit whether it is open, entry ``any`` or ``first``."""
    if not (rule.gap or rule.step_windows or rule.exclusions or rule.order == "strict"):
        # An entry alone stands as well as any chain of it.
        found = np.zeros(block.units, bool)
        lane = lanes[0][0]
        lane = lane[lasts(block.unit[lane])]
        found[block.unit[lane]] = entry_stands(rule, block.ts[lane])
        return found & (level < rule.steps)
    found = np.zeros(block.units, bool)
    ends = block.ends()
    for step, (lane, entry) in enumerate(lanes[: rule.steps - 1], start=1):
        _stand_at(block, rule, level, ends, step, (lane, entry), found)
        if rule.gap:
            # At as of itself the next event is a millisecond later, and that may be too late.
            earlier = block.ts[lane] < rule.as_of
            _stand_at(block, rule, level, ends, step, (lane[earlier], entry[earlier]), found)
    return found


def entry_stands(rule: Rule, entry_ts: Ints, now: Ints | int | None = None) -> Bools:
    """Whether the total window of entries, and the range under ``whole``, take in ``now`` (*as of*)."""
    now = rule.as_of if now is None else now
    stands = np.ones(len(entry_ts), bool)
    if rule.window is not None:
        stands &= now - entry_ts <= rule.window
    if rule.range == "whole" and rule.entry_to is not None:
        stands &= np.asarray(now < rule.entry_to)
    return stands


def _stand_at(
    block: Block, rule: Rule, level: Ints, ends: Ints, step: int, chains: Lane, found: Bools
) -> None:
    """Marks the units whose latest chain at ``step`` could go past their level."""
    last = lasts(block.unit[chains[0]])
    place, entry = chains[0][last], chains[1][last]
    unit = block.unit[place]
    deepest = level[unit]
    first = np.maximum(rule.as_of, block.ts[place] + rule.gap)
    events = _events_needed(rule, step)[deepest]
    stands = (deepest < rule.steps) & (deepest >= step) & (deepest < _stuck_from(rule, step))
    stands &= entry_stands(rule, block.ts[entry], first + rule.gap * (events - 1))
    if step + 1 in rule.step_windows:
        stands &= first - block.ts[place] <= rule.step_windows[step + 1]
    excluding = block.excluding(rule.spans(step))
    if excluding is not None:
        stands &= excluding[ends[unit]] <= excluding[place + 1]
    if rule.order == "strict":
        stands &= place + 1 == ends[unit]
    found[unit[stands]] = True


def _events_needed(rule: Rule, step: int) -> Ints:
    """For each level the fewest events that take a chain from ``step`` past it."""
    needed = np.ones(rule.steps + 1, np.int64)
    reached, events = step, 0
    while reached < rule.steps:
        events += 1
        furthest = max(rule.next_steps(reached))
        needed[reached:furthest] = events
        reached = furthest
    return needed


def _stuck_from(rule: Rule, step: int) -> int:
    """The first level that a chain at ``step`` cannot pass as a later step window leaves no millisecond."""
    stuck = [
        later - 1 for later, window in rule.step_windows.items() if later > step + 1 and window < rule.gap
    ]
    return min(stuck, default=NEVER)
