"""The funnel: where people drop out on the way through given steps, and who they are.

Select, fold, summary: the select (:mod:`queries.funnel_select`) yields the events that the rule reads, as integers, or
lanes give them without reading (:mod:`queries.funnel_lanes`); the fold is :mod:`queries.kernels.funnel`; the summary is
:mod:`queries.funnel_table`. The rule's options stand in
:mod:`queries.funnel_request`, what may stand beside a funnel in :mod:`queries.funnel_sides`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from queries import ranges
from queries.funnel_fold import FromLanes, fold_lanes, fold_selected
from queries.funnel_groups import Cohort
from queries.funnel_lanes import lane_funnel, lanes_of, values_of
from queries.funnel_request import OTHERS, PREVIOUS, FunnelRequest, request
from queries.funnel_select import Select, select_of
from queries.funnel_sides import Side, never_seen, rule_of, sides_of, under_peers, unknown_ids, unlike
from queries.funnel_table import FunnelTable
from queries.kernels.funnel import Folded
from queries.kernels.lanes import Lanes
from queries.periods import Periods
from queries.question import Data, Members, Result
from queries.scope import meta, out_of_range, shown_value

__all__ = ["FunnelRequest", "answer", "request", "statements"]


@dataclass(frozen=True, slots=True)
class _Fold:
    """A side, folded."""

    side: Side
    folded: Folded
    values: list[str] | None
    """The breakdown's values in the order of their codes."""
    seen: int
    """The bits of the steps that some event matched."""
    statements: tuple[str, ...]


def answer(request: FunnelRequest, data: Data) -> Result:
    """Asks the funnel: select the matching events, fold them per person, sum up."""
    survey = data.survey()
    sides = sides_of(request, data)
    lanes = lanes_of(sides, data)
    folds = [_fold(side, data, lanes) for side in sides]
    data.progress(None, "counting")
    segment = None if request.compare in (None, PREVIOUS) else data.members(str(request.compare))
    cohorts, values = _cohorts(folds, data, segment)
    compared = None if request.compare is None else (len(cohorts) - 2, len(cohorts) - 1)
    table = FunnelTable(cohorts, values, compared, data.owners)
    within = sides[0].within
    counts = within.counts(data)
    return Result(
        report=request.report,
        request=request,
        rows=table.rows(),
        totals=table.totals(),
        notes=(
            *survey.notes,
            *out_of_range(data, within, counts),
            *never_seen(request, data, folds[0].seen, survey.people),
            *unlike(sides, cohorts, data),
            *unknown_ids(request, segment),
            *under_peers(request, sides, table),
            *table.notes(),
        ),
        meta=meta(data, within, counts),
        layout=table.layout,
        rule=rule_of(request, sides[0].request),
        people=table,
        sql=tuple(statement for fold in folds for statement in fold.statements),
    )


def statements(request: FunnelRequest, data: Data) -> tuple[str, ...]:
    """The SQL the funnel asks, in order, without asking it."""
    return tuple(
        one
        for side in sides_of(request, data)
        for one in select_of(side.request, side.within, data).statements
    )


def _fold(side: Side, data: Data, lanes: Lanes | None) -> _Fold:
    select = select_of(side.request, side.within, data)
    by = side.request.scope.by
    values = cache(lambda: _values(select, data, by))
    asked = lane_funnel(side.request, side.within, select.rule, data)
    data.progress(None, "events of the funnel")
    found = None
    if lanes is not None and asked is not None:
        valued = None if by is None else values_of(side.request, asked, data)
        given = FromLanes(lanes, asked, valued)
        found = fold_lanes(data, select.sql, given, None if by is None else values)
    if found is None:
        named = values()
        count = None if by is None else len(named)
        found = fold_selected(data, select.sql, select.rule, packed=select.packed, values=count)
    else:
        named = given.values
    folded, seen = found
    shown = None if by is None else [shown_value(value, by, data) for value in named]
    folded = replace(folded, open=folded.open & data.running(folded.person))
    return _Fold(side, folded, shown, seen, select.statements)


def _values(select: Select, data: Data, by: str | None) -> list[str]:
    """Makes the tables that a select joins; the breakdown's values in the order of their codes."""
    for name, sql in select.tables:
        data.progress(None, "values of the properties")
        data.remember(name, sql)
    if by is None:
        return []
    found = data.fetch("SELECT breakdown_value FROM breakdown_values ORDER BY breakdown_code")
    return [str(value) for (value,) in found]


def _cohorts(
    folds: Sequence[_Fold], data: Data, segment: Members | None
) -> tuple[list[Cohort], list[str] | None]:
    """The sides as groups of entries, with one numbering of the breakdown's values for all of them."""
    request = folds[0].side.request
    values: list[str] | None = None
    if folds[0].values is not None:
        values = sorted({value for fold in folds for value in fold.values or ()})
    cohorts = [_cohort(fold, values, data) for fold in folds]
    if segment is not None:
        (everybody,) = cohorts
        inside = np.isin(data.owners(everybody.folded.person), segment.codes)
        for name, which in ((request.compare, inside), (OTHERS, ~inside)):
            cohorts.append(replace(everybody, name=name, places=np.flatnonzero(which)))
    return cohorts, values


def _cohort(fold: _Fold, values: Sequence[str] | None, data: Data) -> Cohort:
    folded, side = fold.folded, fold.side
    if values is not None and fold.values is not None and values != fold.values:
        places = {value: place for place, value in enumerate(values)}
        renumbered = np.array([*(places[value] for value in fold.values), -1], np.int64)
        folded = replace(folded, value=renumbered[folded.value])
    survey, periods = data.survey(), None
    if side.request.trend is not None and survey.first is not None and survey.as_of is not None:
        zone = ranges.zone(data.timezone)
        periods = Periods.covering(side.request.trend, side.within.range, survey.first, survey.as_of, zone)
    return Cohort(side.cohort, side.request, folded, np.arange(len(folded.level)), periods)
