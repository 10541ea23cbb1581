"""Where each step of the counted attempts was done: a second search, forward from the counted entry.

Between the counted entry and the moment its level is reached, each step is taken as early as it can, step 2
first. Without step windows and exclusions the earliest event is never wrong; with them, and where steps may
be left out, only events are looked at from which the moment can still be reached, found from the back.
"""

from __future__ import annotations

import numpy as np

from queries.kernels.block import Block
from queries.kernels.levels import Follows, is_allowed, is_linked
from queries.kernels.ordering import Ints
from queries.kernels.rule import Rule


def places(
    block: Block, rule: Rule, follows: Follows, entry: Ints, level: Ints, moment: Ints
) -> tuple[Ints, Ints]:
    """``(steps, rows)`` places, −1 where there is none, and the bits of the steps left out."""
    none = np.zeros(len(entry), np.int64)
    if rule.order == "strict":
        step = np.arange(rule.steps)[:, None]
        return np.where(step < level, entry + step, -1), none
    if rule.optional:
        return _with_skips(block, rule, follows, entry, level, moment)
    if is_linked(rule):
        return _linked(block, rule, follows, entry, level, moment), none
    return _earliest(block, rule, follows, entry, level), none


def _earliest(block: Block, rule: Rule, follows: Follows, entry: Ints, level: Ints) -> Ints:
    found = np.full((rule.steps, len(entry)), -1, np.int64)
    found[0] = entry
    place = entry.copy()
    for step in range(2, rule.steps + 1):
        going = np.flatnonzero(level >= step)
        if not len(going):
            break
        lane = block.lane(step)
        place[going] = lane[np.searchsorted(lane, follows.after(place[going]))]
        found[step - 1, going] = place[going]
    return found


def _with_skips(
    block: Block, rule: Rule, follows: Follows, entry: Ints, level: Ints, moment: Ints
) -> tuple[Ints, Ints]:
    """Done before left out, as long as the moment stays in reach."""
    bounds = _bounds(block, rule, follows, entry, level, moment)
    found = np.full((rule.steps, len(entry)), -1, np.int64)
    found[0] = entry
    skipped = np.zeros(len(entry), np.int64)
    place = entry.copy()
    for step in range(2, rule.steps + 1):
        lane = np.append(block.lane(step), len(block.ts))
        candidate = lane[np.searchsorted(lane, follows.after(place))]
        done = (level > step) & (candidate < bounds[step - 1])
        skipped[(level > step) & ~done] |= 1 << (step - 1)
        place[done] = candidate[done]
        done |= level == step
        place[level == step] = moment[level == step]
        found[step - 1, done] = place[done]
    return found, skipped


def _bounds(block: Block, rule: Rule, follows: Follows, entry: Ints, level: Ints, moment: Ints) -> Ints:
    """``(steps, rows)``: done before this place, a step leaves the way on to the moment."""
    bounds = np.full((rule.steps, len(entry)), -1, np.int64)
    latest = np.full((rule.steps + 1, len(entry)), -1, np.int64)
    limit = None
    if rule.tolerance and rule.window is not None:
        limit = block.shifted(entry, rule.window, past=True)
    for step in range(rule.steps, 1, -1):
        bound = bounds[step - 1]
        for following in rule.next_steps(step):
            there = latest[following] >= 0
            bound[there] = np.maximum(bound[there], follows.before[latest[following][there]])
        if limit is not None:
            np.minimum(bound, limit, out=bound)
        lane = block.lane(step)
        behind = np.searchsorted(lane, bound) - 1
        there = (level > step) & (behind >= 0)
        latest[step, there] = lane[behind[there]]
        latest[step, level == step] = moment[level == step]
    return bounds


def _linked(block: Block, rule: Rule, follows: Follows, entry: Ints, level: Ints, moment: Ints) -> Ints:
    """From the back the events from which the moment can be reached, then forward the earliest of them.

    None of those lies past the total window: it would be later than the event of a chain that keeps it.
    """
    unit_level = np.zeros(block.units, np.int64)
    unit_level[block.unit[entry]] = level
    lanes = [np.empty(0, np.int64)] * (rule.steps + 2)
    for step in range(rule.steps, 1, -1):
        here = block.lane(step)
        here = here[unit_level[block.unit[here]] > step]
        after = lanes[step + 1]
        if len(here) and len(after):
            onward = np.searchsorted(after, follows.after(here))
            link = after[np.minimum(onward, len(after) - 1)]
            kept = (onward < len(after)) & (block.unit[link] == block.unit[here])
            kept &= is_allowed(block, rule, step, here, link)
            here = here[kept]
        else:
            here = here[:0]
        lanes[step] = np.union1d(here, moment[level == step])
    found = np.full((rule.steps, len(entry)), -1, np.int64)
    found[0] = entry
    for step in range(2, rule.steps + 1):
        going = np.flatnonzero(level >= step)
        if not len(going):
            break
        lane = lanes[step]
        found[step - 1, going] = lane[np.searchsorted(lane, follows.after(found[step - 2, going]))]
    return found
