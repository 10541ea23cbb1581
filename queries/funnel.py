"""The funnel: where people drop out on the way through given steps, and who they are.

Select, fold, summary: the select yields the events that the rule reads, as integers; the fold is
:mod:`queries.kernels.funnel`; the summary is :mod:`queries.funnel_table`. The rule's options stand in
:mod:`queries.funnel_request`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from queries import peers, ranges
from queries.expression import compile_value
from queries.funnel_fold import TIES, fold_selected
from queries.funnel_groups import Cohort
from queries.funnel_request import CURRENT, OTHERS, PREVIOUS, FunnelRequest, request
from queries.funnel_table import FunnelTable
from queries.kernels.funnel import Folded
from queries.kernels.rule import Rule
from queries.periods import Periods
from queries.question import Data, Members, Note, QuestionError, Result
from queries.scope import Within, meta, out_of_range, shown_value
from queries.steps import matches
from queries.suggest import hint

__all__ = ["FunnelRequest", "answer", "request", "statements"]

OURS = "workbench"
"""What our own rule is called beside those of peers."""
_SELECTED = "-- One row for each event the rule reads; the funnel folds each person's in reading order."


@dataclass(frozen=True, slots=True)
class _Side:
    """One funnel to be folded: the question's, or another to set beside it."""

    cohort: str | None
    request: FunnelRequest
    within: Within


@dataclass(frozen=True, slots=True)
class _Plan:
    """A side against the data at hand."""

    rule: Rule
    packed: bool
    """Whether the select gives each event's one step, so that events can be packed."""
    select: str
    tables: tuple[tuple[str, str], ...]
    """Tables the select joins, with their statements: values and their codes."""

    @property
    def statements(self) -> tuple[str, ...]:
        """The SQL in the order it is asked."""
        made = (f"CREATE OR REPLACE TABLE {name} AS\n{sql}" for name, sql in self.tables)
        return (*made, f"{_SELECTED}\n{self.select}")


@dataclass(frozen=True, slots=True)
class _Fold:
    """A side, folded."""

    side: _Side
    folded: Folded
    values: list[str] | None
    """The breakdown's values in the order of their codes."""
    seen: int
    """The bits of the steps that some event matched."""
    statements: tuple[str, ...]


def answer(request: FunnelRequest, data: Data) -> Result:
    """Asks the funnel: select the matching events, fold them per person, sum up."""
    survey = data.survey()
    sides = _sides(request, data)
    folds = [_fold(side, data) for side in sides]
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
            *_never_seen(request, data, folds[0].seen, survey.people),
            *_unlike(sides, cohorts, data),
            *_unknown(request, segment),
            *_under_peers(request, sides, table),
            *table.notes(),
        ),
        meta=meta(data, within, counts),
        layout=table.layout,
        rule=_rule(request, sides[0].request),
        people=table,
        sql=tuple(statement for fold in folds for statement in fold.statements),
    )


def statements(request: FunnelRequest, data: Data) -> tuple[str, ...]:
    """The SQL the funnel asks, in order, without asking it."""
    return tuple(one for side in _sides(request, data) for one in _plan(side, data).statements)


# --- sides ------------------------------------------------------------------------------------------------


def _sides(request: FunnelRequest, data: Data) -> list[_Side]:
    """The funnels of a question: its own, beside it the period before or the same under peers' rules."""
    within = Within.of(request.scope, data)
    if request.peer == peers.EVERY:
        others = peers.under_every(request)
        return [
            _Side(OURS, replace(request, peer=None), within),
            *(_Side(name, one, within) for name, one in others.items() if isinstance(one, FunnelRequest)),
        ]
    asked = request if request.peer is None else peers.under(request, request.peer)
    if request.compare != PREVIOUS:
        return [_Side(None, asked, within)]
    before = ranges.before(within.range, ranges.zone(data.timezone))
    return [_Side(CURRENT, asked, within), _Side(PREVIOUS, asked, replace(within, range=before))]


def _fold(side: _Side, data: Data) -> _Fold:
    plan = _plan(side, data)
    by = side.request.scope.by
    for name, sql in plan.tables:
        data.progress(None, "values of the properties")
        data.remember(name, sql)
    values: list[str] | None = None
    if by is not None:
        found = data.fetch("SELECT breakdown_value FROM breakdown_values ORDER BY breakdown_code")
        values = [shown_value(row[0], by, data) for row in found]
    data.progress(None, "events of the funnel")
    codes = None if values is None else len(values)
    folded, seen = fold_selected(data, plan.select, plan.rule, packed=plan.packed, values=codes)
    folded = replace(folded, open=folded.open & data.running(folded.person))
    return _Fold(side, folded, values, seen, plan.statements)


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


# --- select -----------------------------------------------------------------------------------------------


def _plan(side: _Side, data: Data) -> _Plan:
    request, within = side.request, side.within
    scope, schema = request.scope, data.schema
    rule = request.rule(data.survey().as_of or 0, within.range.start, within.range.end)
    steps = [matches(step, schema, data.timezone) for step in request.steps]
    excludes = [matches(one.step, schema, data.timezone) for one in request.exclude]
    packed = rule.packable and not request.shares_events
    columns = ["e.person", "e.ts", _number(steps) if packed else f"{bits(steps)} AS steps"]
    columns += [f"{bits(excludes)} AS excludes"] if excludes else []
    if scope.by is not None or not packed:
        columns += [TIES[name] for name in schema.order]
    wanted = [f"({match})" for match in (*steps, *excludes)]
    values = {
        name: f"CAST({compile_value(asked, schema).sql} AS VARCHAR)"
        for name, asked in (("breakdown", scope.by), ("held", request.hold))
        if asked is not None
    }
    anywhere = rule.at.startswith("user-") and "breakdown" in values
    if anywhere:
        # A person's first or last value lies anywhere in the data, in range or not, at any event.
        wanted.append(f"{values['breakdown']} IS NOT NULL")
        filters = [] if within.where is None else [f"({within.where})"]
    else:
        # Later steps may fall a window after the range, and a tolerance each ahead of it.
        filters = within.conditions(after=request.window, before=request.tolerance * (len(request.steps) - 1))
    if rule.order != "strict":
        filters = ["(" + " OR ".join(wanted) + ")", *filters]
    where = "\nWHERE " + "\n  AND ".join(filters) if filters else ""
    source = "events e"
    for name, value in values.items():
        source += f"\nLEFT JOIN {name}_values ON {name}_values.{name}_value = {value}"
        columns.append(f"coalesce({name}_values.{name}_code, -1) AS {name}_code")
    return _Plan(
        rule=rule,
        packed=packed,
        select="SELECT " + ", ".join(columns) + f"\nFROM {source}{where}",
        tables=tuple((f"{name}_values", numbered(name, value, where)) for name, value in values.items()),
    )


def numbered(name: str, value: str, where: str) -> str:
    """The distinct values of a property among the funnel's events, with codes from 0 in their order."""
    return (
        f"SELECT row_number() OVER (ORDER BY {name}_value) - 1 AS {name}_code, {name}_value\n"
        f"FROM (SELECT DISTINCT {value} AS {name}_value FROM events{where})\nWHERE {name}_value IS NOT NULL"
    )


def _number(matches: Sequence[str]) -> str:
    """The number of the one step an event matches, where none matches two."""
    cases = " ".join(f"WHEN {match} THEN {number}" for number, match in enumerate(matches, 1))
    return f"CASE {cases} END AS step"


def bits(matches: Sequence[str]) -> str:
    """Bit k−1 for each condition k that holds, as a sum, which every engine has."""
    return "\n  + ".join(
        f"CASE WHEN {match} THEN {1 << place} ELSE 0 END" for place, match in enumerate(matches)
    )


# --- words ------------------------------------------------------------------------------------------------


def _never_seen(request: FunnelRequest, data: Data, seen: int, people: int) -> list[Note]:
    """Names that no event has, with what they may have been meant to be, and steps that no event matched."""
    steps = [(f"step {place}", step) for place, step in enumerate(request.steps, 1)]
    steps += [("--exclude", one.step) for one in request.exclude]
    missing = [place for place in range(1, len(request.steps) + 1) if not seen >> (place - 1) & 1]
    if not people or not (missing or request.exclude or any(len(step.events) > 1 for _, step in steps)):
        return []
    known = [str(row[0]) for row in data.fetch("SELECT DISTINCT event FROM events")]
    unit = request.scope.unit
    of_unit = "" if unit in ("user", "raw") else f" with a value of {unit}"
    of_unit += "" if request.scope.who is None else " of these people"
    notes = []
    for where, step in steps:
        for name in step.events:
            if name not in known:
                near = hint(name, known)
                text = f"no event{of_unit} is named {name!r} ({where})" + (f"; {near}" if near else "")
                notes.append(Note("step-never-seen", text, "warning"))
    for place in missing:
        if any(name in known for name in request.steps[place - 1].events):
            text = f"step {place}, {request.steps[place - 1]}, matches no event in scope"
            notes.append(Note("step-never-seen", text, "warning"))
    return notes


def _unlike(sides: Sequence[_Side], cohorts: Sequence[Cohort], data: Data) -> list[Note]:
    """What stands in the way of comparing like with like: periods cut short, people still on their way."""
    notes = []
    survey, zone = data.survey(), ranges.zone(data.timezone)
    for cohort in cohorts[:1]:
        if cohort.periods is not None and cohort.periods.incomplete:
            cut = [cohort.periods.names[place] for place in sorted(cohort.periods.incomplete)]
            which = " and of ".join(cut)
            text = f"cut by the range or the end of the data: the {cohort.request.trend} of {which}"
            notes.append(Note("incomplete-period", text, count=len(cut)))
    if sides[-1].cohort != PREVIOUS or survey.first is None or survey.as_of is None:
        return notes
    current, before = sides[0].within.range, sides[-1].within.range
    if current.end is not None and current.end > survey.as_of + 1:
        text = f"the current period is not over: it ends at {ranges.iso(current.end, zone)}"
        notes.append(Note("incomplete-period", text, "warning"))
    if before.start is not None and before.start < survey.first:
        text = f"the previous period is not all in the data, which begin at {ranges.iso(survey.first, zone)}"
        notes.append(Note("incomplete-period", text, "warning"))
    still_open = int(cohorts[0].folded.open.sum())
    if still_open:
        text = f"{still_open:,} of the current period may still go on; --mature compares only who cannot"
        notes.append(Note("comparison-open", text, count=still_open))
    return notes


def _unknown(request: FunnelRequest, segment: Members | None) -> list[Note]:
    """Ids of a segment that are not in the data."""
    if segment is None or not segment.unknown:
        return []
    text = f"{segment.unknown:,} of the {segment.listed:,} ids of {request.compare} are nobody's in the data"
    return [Note("segment-ids-unknown", text, "warning", segment.unknown)]


def _under_peers(request: FunnelRequest, sides: Sequence[_Side], table: FunnelTable) -> list[Note]:
    """Why each peer's figures are not ours, and for how many people it makes a difference."""
    if request.peer is None:
        return []
    if request.peer != peers.EVERY:
        return [Note("peer", peers.described(request, request.peer))]
    notes = []
    cohorts = {side.cohort: place for place, side in enumerate(sides)}
    for name, asked in peers.under_every(request).items():
        if isinstance(asked, QuestionError):
            notes.append(Note("peer-not-asked", f"{name} is left out: {asked.message}", "warning"))
            continue
        count = table.standing_elsewhere(cohorts[name])
        people = "1 person stands" if count == 1 else f"{count:,} people stand"
        notes.append(Note("peer", f"{people} elsewhere under {peers.described(request, name)}", count=count))
    return notes


def _rule(request: FunnelRequest, first: FunnelRequest) -> str:
    """The rule in words and what the columns are, as they stand under every answer.

    ``first`` is the funnel that was folded first: the one asked, or under a peer's rule.
    """
    where = {
        "first": "that of step 1 of the counted attempt",
        "last": "that of its last step reached",
        "user-first": "the person's first",
        "user-last": "the person's last",
    }.get(request.at, f"that of {request.at} of the counted attempt")
    breakdown = "" if request.scope.by is None else f"; {request.scope.by} is {where}"
    trend = "" if request.trend is None else f"; the {request.trend} is that of step 1 of the counted attempt"
    return (
        f"{first}. Columns: how many, % of step 1 and of the step before with 95 % intervals, "
        f"dropped and still open here, median time from the step before{breakdown}{trend}{_comparison(request)}"
    )


def _comparison(request: FunnelRequest) -> str:
    """How the sides are told apart and set against each other."""
    if request.peer is not None:
        whose = "each product's rule" if request.peer == peers.EVERY else f"{request.peer}'s rule"
        told = f"; {whose} as near as these options come, see the notes"
    else:
        told = ""
    if request.compare is None:
        return told
    sides = (
        "current is the range asked, previous the same length before it; who is in both counts in both"
        if request.compare == PREVIOUS
        else f"{request.compare} against {OTHERS}"
    )
    return (
        f"{told}; {sides}; difference of the rates from step 1 with Newcombe's 95 % interval, "
        "p of two proportions, corrected over the rows (Benjamini–Hochberg)"
    )
