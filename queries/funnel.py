"""The funnel: where people drop out on the way through given steps, and who they are.

Select, fold, summary: the select yields the events that the rule reads, as integers; the fold is
:mod:`queries.kernels.funnel`; the summary is :mod:`queries.funnel_table`. The rule's options stand in
:mod:`queries.funnel_request`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from queries.expression import compile_condition, compile_value
from queries.funnel_fold import TIES, fold_selected
from queries.funnel_request import FunnelRequest, request
from queries.funnel_table import FunnelTable, value_column
from queries.kernels.rule import Rule
from queries.question import Data, Note, Result
from queries.quoting import quote_literal
from queries.scope import Within, meta, out_of_range, shown_value
from queries.steps import Step
from queries.suggest import hint

__all__ = ["FunnelRequest", "answer", "request", "statements"]

_SELECTED = "-- One row for each event the rule reads; the funnel folds each person's in reading order."


@dataclass(frozen=True, slots=True)
class _Plan:
    """The request against the data at hand."""

    within: Within
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


def answer(request: FunnelRequest, data: Data) -> Result:
    """Asks the funnel: select the matching events, fold them per person, sum up."""
    survey = data.survey()
    plan = _plan(request, data)
    for name, sql in plan.tables:
        data.progress(None, "values of the properties")
        data.remember(name, sql)
    values: list[str] | None = None
    if request.scope.by is not None:
        found = data.fetch("SELECT breakdown_value FROM breakdown_values ORDER BY breakdown_code")
        values = [shown_value(row[0], request.scope.by, data) for row in found]
    data.progress(None, "events of the funnel")
    codes = None if values is None else len(values)
    folded, seen = fold_selected(data, plan.select, plan.rule, packed=plan.packed, values=codes)
    data.progress(None, "counting")
    table = FunnelTable(request, folded, values)
    counts = plan.within.counts(data)
    return Result(
        report=request.report,
        request=request,
        rows=table.rows(),
        totals=table.totals(),
        notes=(
            *survey.notes,
            *out_of_range(data, plan.within, counts),
            *_never_seen(request, data, seen, survey.people),
            *table.notes(),
        ),
        meta=meta(data, plan.within, counts),
        layout=table.layout if values is None else (value_column(str(request.scope.by)), *table.layout),
        rule=_rule(request),
        people=table,
        sql=plan.statements,
    )


def statements(request: FunnelRequest, data: Data) -> tuple[str, ...]:
    """The SQL the funnel asks, in order, without asking it."""
    return _plan(request, data).statements


# --- select -----------------------------------------------------------------------------------------------


def _plan(request: FunnelRequest, data: Data) -> _Plan:
    scope, schema = request.scope, data.schema
    within = Within.of(scope, data)
    rule = request.rule(data.survey().as_of or 0, within.range.start, within.range.end)
    matches = [_matches(step, data) for step in request.steps]
    excludes = [_matches(one.step, data) for one in request.exclude]
    packed = rule.packable and not request.shares_events
    columns = ["e.person", "e.ts", _number(matches) if packed else f"{_bits(matches)} AS steps"]
    columns += [f"{_bits(excludes)} AS excludes"] if excludes else []
    if scope.by is not None or not packed:
        columns += [TIES[name] for name in schema.order]
    wanted = [f"({match})" for match in (*matches, *excludes)]
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
        # Later steps may fall a window after the range.
        filters = within.conditions(after=request.window)
    if rule.order != "strict":
        filters = ["(" + " OR ".join(wanted) + ")", *filters]
    where = "\nWHERE " + "\n  AND ".join(filters) if filters else ""
    source = "events e"
    for name, value in values.items():
        source += f"\nLEFT JOIN {name}_values ON {name}_values.{name}_value = {value}"
        columns.append(f"coalesce({name}_values.{name}_code, -1) AS {name}_code")
    return _Plan(
        within=within,
        rule=rule,
        packed=packed,
        select="SELECT " + ", ".join(columns) + f"\nFROM {source}{where}",
        tables=tuple((f"{name}_values", _numbered(name, value, where)) for name, value in values.items()),
    )


def _numbered(name: str, value: str, where: str) -> str:
    """The distinct values of a property among the funnel's events, with codes from 0 in their order."""
    return (
        f"SELECT row_number() OVER (ORDER BY {name}_value) - 1 AS {name}_code, {name}_value\n"
        f"FROM (SELECT DISTINCT {value} AS {name}_value FROM events{where})\nWHERE {name}_value IS NOT NULL"
    )


def _matches(step: Step, data: Data) -> str:
    names = " OR ".join(f"event = {quote_literal(name)}" for name in step.events)
    if step.condition is None:
        return names
    condition = compile_condition(step.condition, data.schema, timezone=data.timezone).sql
    return f"({names}) AND ({condition})"


def _number(matches: Sequence[str]) -> str:
    """The number of the one step an event matches, where none matches two."""
    cases = " ".join(f"WHEN {match} THEN {number}" for number, match in enumerate(matches, 1))
    return f"CASE {cases} END AS step"


def _bits(matches: Sequence[str]) -> str:
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
    notes = []
    for where, step in steps:
        for name in step.events:
            if name not in known:
                near = hint(name, known)
                text = f"no event is named {name!r} ({where})" + (f"; {near}" if near else "")
                notes.append(Note("step-never-seen", text, "warning"))
    for place in missing:
        if any(name in known for name in request.steps[place - 1].events):
            text = f"step {place}, {request.steps[place - 1]}, matches no event in scope"
            notes.append(Note("step-never-seen", text, "warning"))
    return notes


def _rule(request: FunnelRequest) -> str:
    """The rule in words and what the columns are, as they stand under every answer."""
    where = {
        "first": "that of step 1 of the counted attempt",
        "last": "that of its last step reached",
        "user-first": "the person's first",
        "user-last": "the person's last",
    }.get(request.at, f"that of {request.at} of the counted attempt")
    breakdown = "" if request.scope.by is None else f"; {request.scope.by} is {where}"
    return (
        f"{request}. Columns: how many, % of step 1 and of the step before with 95 % intervals, "
        f"dropped and still open here, median time from the step before{breakdown}"
    )
