"""Every attempt of every unit, in rounds: the next attempt of all units that have one is followed at once.

An attempt takes each step as early as it can from its one entry. It is over with its last step, or at its
window's end; the next begins at the first entry after that.
"""

from __future__ import annotations

import numpy as np

from queries.kernels.block import Block, Counted
from queries.kernels.levels import Follows
from queries.kernels.ordering import Bools, Ints
from queries.kernels.rule import Rule, strictly
from queries.kernels.standing import entry_stands


def is_in_rounds(rule: Rule) -> bool:
    """Whether attempts end only by their last step or their window, and the earliest event is never wrong."""
    return not (rule.step_windows or rule.exclusions or rule.optional or rule.order == "any")


def attempts(block: Block, rule: Rule) -> Counted:
    """All attempts, by unit and entry."""
    follows = Follows.of(block, rule)
    lanes = [block.lane(step) for step in range(1, rule.steps + 1)]
    found = []
    start = block.first_entries()
    while len(start):
        place = _follow(block, rule, follows, lanes, start)
        found.append(place)
        start = next_starts(block, rule, start, np.where(place[-1] >= 0, place.max(axis=0), -1))
    places = np.concatenate(found, axis=1) if found else np.empty((rule.steps, 0), np.int64)
    places = places[:, np.argsort(places[0])]
    level = (places >= 0).sum(axis=0)
    unit = block.unit[places[0]]
    return Counted(
        unit=unit,
        level=level,
        places=places,
        skipped=np.zeros(len(unit), np.int64),
        open=_open(block, rule, places, level),
        strict_level=_strict_levels(block, rule, lanes, places, level),
    )


def next_starts(block: Block, rule: Rule, start: Ints, completed: Ints, cut: Ints | None = None) -> Ints:
    """The first entries after attempts from ``start``: after the event that ``completed`` them (−1: none
    did), at the event that ``cut`` them, or after their window."""
    bound = np.full(len(start), len(block.ts), np.int64)
    if rule.window is not None:
        bound = block.shifted(start, rule.window, past=True)
    if cut is not None:
        bound = np.minimum(bound, cut)
    bound = np.where(completed >= 0, completed + 1, bound)
    found = np.searchsorted(block.entering, bound)
    there = np.flatnonzero(found < len(block.entering))
    following: Ints = block.entering[found[there]]
    return following[np.equal(block.unit[following], block.unit[start[there]])]


def _follow(block: Block, rule: Rule, follows: Follows, lanes: list[Ints], start: Ints) -> Ints:
    """``(steps, attempts)`` places, −1 from the first step that is not reached on."""
    places = np.full((rule.steps, len(start)), -1, np.int64)
    places[0] = start
    going = np.arange(len(start))
    for step in range(2, rule.steps + 1):
        lane, before = lanes[step - 1], places[step - 2, going]
        if not len(lane):
            break
        at = np.searchsorted(lane, follows.after(before))
        place = lane[np.minimum(at, len(lane) - 1)]
        kept = (at < len(lane)) & (block.unit[place] == block.unit[before])
        if rule.order == "strict":
            kept &= place == before + 1
        if rule.window is not None:
            kept &= block.ts[place] - block.ts[start[going]] <= rule.window
        going = going[kept]
        places[step - 1, going] = place[kept]
    return places


def _open(block: Block, rule: Rule, places: Ints, level: Ints) -> Bools:
    last = places[level - 1, np.arange(len(level))]
    come = np.maximum(rule.as_of, block.ts[last] + rule.gap)
    stands = (level < rule.steps) & entry_stands(rule, block.ts[places[0]], come)
    if rule.order == "strict":
        stands &= last + 1 == block.ends()[block.unit[last]]
    return stands


def _strict_levels(block: Block, rule: Rule, lanes: list[Ints], places: Ints, level: Ints) -> Ints:
    """The levels of the same entries under strictly increasing times."""
    stricter = strictly(rule)
    if stricter is None:
        return np.full(len(level), -1, np.int64)
    strict = level.copy()
    if block.tied is not None and rule.ties != "strict":
        tied = np.flatnonzero(block.tied[block.unit[places[0]]])
        again = _follow(block, stricter, Follows.of(block, stricter), lanes, places[0, tied])
        strict[tied] = (again >= 0).sum(axis=0)
    return strict
