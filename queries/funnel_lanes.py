"""Which funnels are folded from lanes: those of bare event names, without a breakdown or a filter."""

from __future__ import annotations

from collections.abc import Sequence

from queries.funnel_request import FunnelRequest
from queries.funnel_sides import Side
from queries.kernels.lanes import Funnel, Lanes
from queries.kernels.lanes_fold import is_supported
from queries.kernels.rule import Rule
from queries.question import Data
from queries.scope import Within

_MANY_SIDES = 3
"""So many funnels over the same events pay for reading them once for all."""


def lane_funnel(request: FunnelRequest, within: Within, rule: Rule) -> Funnel | None:
    """A funnel as lanes are asked for it; None where it reads what they have not: properties, every event."""
    steps = (*request.steps, *(one.step for one in request.exclude))
    if any(step.condition is not None for step in steps) or not is_supported(rule):
        return None
    if request.scope.by is not None or within.where is not None:
        return None
    start, end = within.range.start, within.range.end
    # The bounds of the select, which reads as much: equal times are counted among its events.
    return Funnel(
        rule,
        tuple(step.events for step in request.steps),
        tuple(one.step.events for one in request.exclude),
        low=None if start is None else start - request.tolerance * (len(request.steps) - 1),
        high=None if end is None or request.window is None else end + request.window,
    )


def lanes_of(sides: Sequence[Side], data: Data) -> Lanes | None:
    """The lanes that the sides of a question read, where the data has them or making them pays."""
    as_of = data.survey().as_of or 0
    asked = [
        lane_funnel(
            side.request,
            side.within,
            side.request.rule(as_of, side.within.range.start, side.within.range.end),
        )
        for side in sides
    ]
    funnels = [one for one in asked if one is not None]
    names = list(dict.fromkeys(name for one in funnels for name in one.names))
    all_time = any(one.low is None and one.high is None for one in funnels)
    return data.lanes(names, make=all_time or len(funnels) >= _MANY_SIDES)
