"""Funnels inside a session, as a topic counts them while rows pass by: what comes next, and in what time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.demo.draws import Bools, Ints
from workbench.demo.rows import Part


def chained(part: Part, steps: Sequence[Bools], within: int) -> list[Ints]:
    """For each step the rows of the first that a chain of that length starts from.

    ``steps`` say which rows satisfy each; a chain stays in one session and ends at most ``within`` milliseconds
    after its start, each step at the first row that can be it. Sessions of a person are more than half an hour
    apart, so up to that long no chain of a person is missed. Nothing outside sessions.
    """
    begins = np.flatnonzero(steps[0]).astype(np.int64) if len(part.first) else np.zeros(0, dtype=np.int64)
    levels, at = [begins], begins
    for step in steps[1:]:
        target = np.flatnonzero(step).astype(np.int64)
        if not len(target) or not len(at):
            return [*levels, *[np.zeros(0, dtype=np.int64)] * (len(steps) - len(levels))]
        place = np.searchsorted(target, at, side="right")
        found = target[np.minimum(place, len(target) - 1)]
        timely = part.rows.ts[found] - part.rows.ts[begins] <= within
        reached = (place < len(target)) & (part.session[found] == part.session[at]) & timely
        begins, at = begins[reached], found[reached]
        levels.append(begins)
    return levels
