"""Which funnels are folded from lanes: those without a filter over all events or a breakdown by no one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from queries.expression import Compiled, compile_condition, compile_value
from queries.funnel_request import FunnelRequest
from queries.funnel_sides import Side
from queries.kernels.lane_values import Over, ValuedLane
from queries.kernels.lanes import Funnel, Lanes, condition, condition_of
from queries.kernels.lanes_fold import is_supported
from queries.kernels.rule import Rule
from queries.question import Data
from queries.scope import Within
from queries.steps import Step, matches

_MANY_SIDES = 3
"""So many funnels over the same events pay for reading them once for all."""


def lane_funnel(request: FunnelRequest, within: Within, rule: Rule, data: Data) -> Funnel | None:
    """A funnel as lanes are asked for it; None where it reads what they have not: other columns, every event."""
    steps = [*request.steps, *(one.step for one in request.exclude)]
    if not is_supported(rule) or not all(_is_apart(step, steps) for step in steps):
        return None
    if within.where is not None or (request.scope.by is not None and _step_of_value(rule) is None):
        return None
    names = [_names(step, data) for step in steps]
    start, end = within.range.start, within.range.end
    # The bounds of the select, which reads as much: equal times are counted among its events.
    return Funnel(
        rule,
        tuple(names[: len(request.steps)]),
        tuple(names[len(request.steps) :]),
        low=None if start is None else start - request.tolerance * (len(request.steps) - 1),
        high=None if end is None or request.window is None else end + request.window,
    )


def _names(step: Step, data: Data) -> tuple[str, ...]:
    """The lanes of a step's events."""
    if step.condition is None:
        return step.events
    return (condition(matches(step, data.schema, data.timezone)),)


def _is_apart(step: Step, steps: Sequence[Step]) -> bool:
    """Whether no event of a step with a condition can match another step: it would be in two lanes."""
    if any(condition_of(name) is not None for name in step.events):
        return False
    if step.condition is None:
        return True
    return not any(one is not step and set(one.events) & set(step.events) for one in steps)


def _step_of_value(rule: Rule) -> int | None:
    """The one step, from 0, of which the breakdown reads the event; None where it is no one step."""
    if rule.order != "ordered":
        return None
    if rule.at == "first":
        return 0
    return int(rule.at.removeprefix("step:")) - 1 if rule.at.startswith("step:") else None


def values_of(request: FunnelRequest, asked: Funnel, data: Data) -> tuple[int, ValuedLane] | None:
    """The step, from 0, whose event has the breakdown's value, and its events with theirs; None where not to be had."""
    at = _step_of_value(asked.rule)
    if at is None or request.scope.by is None:
        return None
    step = request.steps[at]
    value = compile_value(request.scope.by, data.schema, timezone=data.timezone)
    text = f"CAST({value.sql} AS VARCHAR)"
    test = _test(step, data)
    over = _over(step, replace(value, sql=text)) if test is not None or step.condition is None else None
    valued = data.valued_lane(matches(step, data.schema, data.timezone), text, over, test)
    return None if valued is None else (at, valued)


def _test(step: Step, data: Data) -> Over | None:
    """The condition of a step, where it has one that reads properties."""
    if step.condition is None:
        return None
    return _over(step, compile_condition(step.condition, data.schema, timezone=data.timezone))


def _over(step: Step, asked: Compiled) -> Over | None:
    return Over(step.events, tuple(sorted(asked.columns)), asked.sql) if asked.columns else None


def lanes_of(sides: Sequence[Side], data: Data) -> Lanes | None:
    """The lanes that the sides of a question read, where the data has them or making them pays."""
    as_of = data.survey().as_of or 0
    asked = [
        lane_funnel(
            side.request,
            side.within,
            side.request.rule(as_of, side.within.range.start, side.within.range.end),
            data,
        )
        for side in sides
    ]
    funnels = [one for one in asked if one is not None]
    names = list(dict.fromkeys(name for one in funnels for name in one.names))
    all_time = any(one.low is None and one.high is None for one in funnels)
    tests = {
        _names(step, data)[0]: test
        for side in sides
        for step in (*side.request.steps, *(one.step for one in side.request.exclude))
        if (test := _test(step, data)) is not None
    }
    return data.lanes(names, tests, make=all_time or len(funnels) >= _MANY_SIDES)
