"""The funnel: where people drop out on the way through given steps, and who they are.

The rule built here is the default one: steps in order with other events allowed between, any entry, one
window from step 1, inclusive; the fold is :mod:`queries.kernels.funnel`. Other rules have their options and
their place in the request, and are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from queries import ranges
from queries.expression import compile_condition, compile_value
from queries.funnel_table import LAYOUT, FunnelTable, parse_cell, value_column
from queries.kernels import funnel as kernel
from queries.kernels.ordering import Events, Packing
from queries.question import EVERYTHING, Columns, Data, Note, QuestionError, Result, Scope
from queries.quoting import quote_literal
from queries.scope import Within, meta, out_of_range, shown_value
from queries.steps import Step, parse_step
from queries.suggest import hint

Ints = NDArray[np.int64]

MOST_STEPS = 30
DAY = 86_400_000

PACKED_FACTOR = 4
"""A packed event costs at most a quarter of an unpacked one."""

TIES = {
    "fine": "e.fine",
    "sequence": "coalesce(e.sequence, -9223372036854775807) AS sequence",
    "place": "e.place",
}
"""What orders a person's events of equal time, most significant first; a missing sequence comes first."""

_SELECTED = "-- One row for each event that matches a step; the funnel folds each person's in reading order."

_LATER: tuple[tuple[str, str], ...] = (
    ("step_window", "--step-window"),
    ("order", "--order"),
    ("entry", "--entry"),
    ("ties", "--ties"),
    ("tolerance", "--tolerance"),
    ("exclude", "--exclude"),
    ("exclusion", "--exclusion"),
    ("hold", "--hold"),
    ("optional", "--optional"),
    ("range", "--range"),
    ("at", "--at"),
    ("trend", "--trend"),
    ("since", "--since"),
    ("mature", "--mature"),
    ("peer", "--as"),
)
"""Fields whose value is kept at its default until the rule behind it is built, with their options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelRequest:
    """A funnel, whole: validated when made, so that a request that exists can be asked.

    Raises :class:`QuestionError` for impossible steps and for rules not built yet.
    """

    steps: tuple[Step, ...]
    window: int | None = 7 * DAY
    """Milliseconds from step 1, inclusive; None for no limit."""
    scope: Scope = EVERYTHING
    step_window: tuple[str, ...] = ()
    order: str = "ordered"
    entry: str = "any"
    ties: str = "order"
    tolerance: str | None = None
    exclude: tuple[str, ...] = ()
    exclusion: str = "drop"
    hold: str | None = None
    optional: tuple[int, ...] = ()
    range: str = "entry"
    at: str = "first"
    trend: str | None = None
    since: str | None = None
    mature: bool = False
    peer: str | None = None

    def __post_init__(self) -> None:
        if not self.steps:
            raise QuestionError("a funnel needs a step", "add --step EVENT, once for each step")
        if len(self.steps) > MOST_STEPS:
            raise QuestionError(f"{len(self.steps)} steps; at most {MOST_STEPS} can be asked at once")
        defaults = {field.name: field.default for field in fields(self)}
        for name, option in _LATER:
            value = getattr(self, name)
            if value != defaults[name]:
                shown = "" if value is True else f" {value[0] if isinstance(value, tuple) else value}"
                raise QuestionError(
                    f"{option}{shown} is a rule this version does not have yet",
                    "it answers: ordered steps, any entry, one window from step 1, ties in order",
                )

    @property
    def report(self) -> str:
        """The question's name in the registry."""
        return "funnel"

    def check_cell(self, cell: str) -> None:
        """Raises :class:`QuestionError` for a cell that a funnel of these steps cannot have."""
        parse_cell(cell, len(self.steps))

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        out = [self.report]
        for step in self.steps:
            out += ["--step", str(step)]
        if self.window != 7 * DAY:
            out += ["--window", ranges.format_duration(self.window)]
        return out + self.scope.arguments()

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the funnel, as JSON carries it: durations and steps as they are written."""
        return {
            "steps": [str(step) for step in self.steps],
            "window": ranges.format_duration(self.window),
            "order": self.order,
            "entry": self.entry,
            "ties": self.ties,
            "range": self.range,
            "at": self.at,
            **self.scope.to_dict(),
        }


def request(steps: Sequence[str], window: str, scope: Scope, **rules: object) -> FunnelRequest:
    """A request from texts as people write them; ``rules`` are the request's other fields."""
    return FunnelRequest(
        steps=tuple(parse_step(step) for step in steps),
        window=ranges.parse_duration(window),
        scope=scope,
        **rules,  # type: ignore[arg-type]
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """The request against the data at hand."""

    request: FunnelRequest
    within: Within
    as_of: int
    select: str
    breakdown: str | None
    """The statement that numbers the breakdown's values, if one was asked."""

    @property
    def statements(self) -> tuple[str, ...]:
        """The SQL in the order it is asked."""
        select = f"{_SELECTED}\n{self.select}"
        if self.breakdown is None:
            return (select,)
        return (f"CREATE OR REPLACE TABLE breakdown_values AS\n{self.breakdown}", select)


def answer(request: FunnelRequest, data: Data) -> Result:
    """Asks the funnel: select the matching events, fold them per person, sum up."""
    survey = data.survey()
    plan = _plan(request, data)
    values: list[str] | None = None
    if plan.breakdown is not None:
        data.progress(None, "values of the breakdown")
        data.remember("breakdown_values", plan.breakdown)
        found = data.fetch("SELECT breakdown_value FROM breakdown_values ORDER BY breakdown_code")
        values = [shown_value(row[0], request.scope.by, data) for row in found]
    data.progress(None, "events of the funnel")
    folded, seen = _fold(plan, data, values)
    data.progress(None, "counting")
    table = FunnelTable(tuple(str(step) for step in request.steps), folded, values, request.scope.top)
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
        layout=LAYOUT if values is None else (value_column(str(request.scope.by)), *LAYOUT),
        rule=_rule(request),
        people=table,
        sql=plan.statements,
    )


def statements(request: FunnelRequest, data: Data) -> tuple[str, ...]:
    """The SQL the funnel asks, in order, without asking it."""
    return _plan(request, data).statements


# --- select -----------------------------------------------------------------------------------------------


def _plan(request: FunnelRequest, data: Data) -> _Plan:
    scope, schema, survey = request.scope, data.schema, data.survey()
    within = Within.of(scope, data)
    matches = [_matches(step, data) for step in request.steps]
    columns = ["e.person", "e.ts", _steps(request.steps, matches)]
    if scope.by is not None or _share_events(request.steps):
        columns += [TIES[name] for name in schema.order]
    source, breakdown = "events e", None
    if scope.by is not None:
        value = compile_value(scope.by, schema).sql
        first_step = " AND ".join([f"({matches[0]})", *within.conditions()])
        breakdown = (
            "SELECT row_number() OVER (ORDER BY breakdown_value) - 1 AS breakdown_code, breakdown_value\n"
            f"FROM (SELECT DISTINCT CAST({value} AS VARCHAR) AS breakdown_value FROM events WHERE {first_step})\n"
            "WHERE breakdown_value IS NOT NULL"
        )
        columns.append("coalesce(b.breakdown_code, -1) AS breakdown_code")
        source = f"events e\nLEFT JOIN breakdown_values b ON b.breakdown_value = CAST({value} AS VARCHAR)"
    # Later steps may fall a window after the range.
    limits = within.conditions(after=request.window)
    filters = "\n  AND ".join(["(" + " OR ".join(f"({match})" for match in matches) + ")", *limits])
    select = "SELECT " + ", ".join(columns) + f"\nFROM {source}\nWHERE {filters}"
    return _Plan(request, within, 0 if survey.as_of is None else survey.as_of, select, breakdown)


def _share_events(steps: Sequence[Step]) -> bool:
    """Whether one event may match two steps: only then, or for a breakdown, the export's order counts."""
    names = [name for step in steps for name in step.events]
    return len(set(names)) < len(names)


def _matches(step: Step, data: Data) -> str:
    names = " OR ".join(f"event = {quote_literal(name)}" for name in step.events)
    if step.condition is None:
        return names
    condition = compile_condition(step.condition, data.schema, timezone=data.timezone).sql
    return f"({names}) AND ({condition})"


def _steps(steps: Sequence[Step], matches: Sequence[str]) -> str:
    """Which steps an event matches: the number of the one, or where it may match several, bit k−1 for each
    step k, as a sum, which every engine has."""
    if not _share_events(steps):
        cases = " ".join(f"WHEN {match} THEN {number}" for number, match in enumerate(matches, 1))
        return f"CASE {cases} END AS step"
    parts = [f"CASE WHEN {match} THEN {1 << place} ELSE 0 END" for place, match in enumerate(matches)]
    return "\n  + ".join(parts) + " AS steps"


# --- fold -------------------------------------------------------------------------------------------------


def _fold(plan: _Plan, data: Data, values: list[str] | None) -> tuple[kernel.Folded, int]:
    """The fold over all matching events, and the bits of the steps any event matched.

    They are taken in any order while they fit the budget; past it they are read ordered by person (the
    engine sorts on disk) and folded piece by piece.
    """
    rule = kernel.Rule(
        steps=len(plan.request.steps),
        window=plan.request.window,
        as_of=plan.as_of,
        entry_from=plan.within.range.start,
        entry_to=plan.within.range.end,
    )
    packed = _fold_packed(plan, data, rule, values)
    if packed is not None:
        return packed
    batches: list[Events] = []
    held = 0
    for batch in data.stream(plan.select):
        batches.append(_events(batch))
        held += len(batches[-1].ts)
        if held > data.row_budget:
            break
    else:
        events = _together(batches)
        return kernel.fold(events, rule, threads=data.threads), _seen(events)
    del batches
    parts: list[kernel.Folded] = []
    seen = 0
    for events in _whole_people(data, plan.select + "\nORDER BY e.person"):
        parts.append(kernel.fold(events, rule, threads=data.threads))
        seen |= _seen(events)
    return kernel.merge(parts, rule.steps), seen


def _fold_packed(
    plan: _Plan, data: Data, rule: kernel.Rule, values: list[str] | None
) -> tuple[kernel.Folded, int] | None:
    """The fold over events packed as they come; None where the export's order counts or they do not fit."""
    survey = data.survey()
    if _share_events(plan.request.steps) or survey.first is None or survey.last is None:
        return None
    codes = None if values is None else len(values)
    packing = Packing.fitting(survey.people, survey.first, survey.last, rule.steps, codes)
    if packing is None:
        return None
    pieces: list[Ints] = []
    held = seen = 0
    for batch in data.stream(plan.select):
        columns = _integers(batch)
        pieces.append(
            packing.pack(columns["person"], columns["ts"], columns["step"], columns.get("breakdown_code"))
        )
        seen |= sum(1 << int(step) - 1 for step in np.flatnonzero(np.bincount(columns["step"])))
        held += len(columns["ts"])
        if held > data.row_budget * PACKED_FACTOR:
            return None
    together = np.concatenate(pieces) if pieces else np.empty(0, np.int64)
    pieces.clear()
    folded = kernel.fold_packed(together, packing, rule, threads=data.threads)
    return None if folded is None else (folded, seen)


def _whole_people(data: Data, sql: str) -> Iterator[Events]:
    """Batches of a query ordered by person, recut so that no person is in two."""
    rest: list[Events] = []
    for batch in data.stream(sql):
        events = _events(batch)
        last = int(np.searchsorted(events.person, events.person[-1], side="left"))
        if last:
            yield _together([*rest, _part(events, slice(0, last))])
            rest = []
        elif rest and rest[-1].person[-1] != events.person[0]:
            yield _together(rest)
            rest = []
        rest.append(_part(events, slice(last, None)))
    if rest:
        yield _together(rest)


def _part(events: Events, rows: slice) -> Events:
    return Events(
        events.person[rows],
        events.ts[rows],
        events.steps[rows],
        tuple(column[rows] for column in events.ties),
        None if events.value is None else events.value[rows],
    )


def _seen(events: Events) -> int:
    """The bits of all steps that some event matched."""
    return int(np.bitwise_or.reduce(events.steps)) if len(events.steps) else 0


def _integers(batch: Columns) -> dict[str, Ints]:
    return {name: np.asarray(column).astype(np.int64, copy=False) for name, column in batch.items()}


def _events(batch: Columns) -> Events:
    columns = _integers(batch)
    return Events(
        columns["person"],
        columns["ts"],
        columns["steps"] if "steps" in columns else np.left_shift(1, columns["step"] - 1),
        tuple(columns[name] for name in TIES if name in columns),
        columns.get("breakdown_code"),
    )


def _together(batches: Sequence[Events]) -> Events:
    if not batches:
        none = np.empty(0, np.int64)
        return Events(none, none, none)
    return Events(
        np.concatenate([batch.person for batch in batches]),
        np.concatenate([batch.ts for batch in batches]),
        np.concatenate([batch.steps for batch in batches]),
        tuple(np.concatenate(columns) for columns in zip(*(batch.ties for batch in batches), strict=True)),
        None
        if batches[0].value is None
        else np.concatenate([batch.value for batch in batches if batch.value is not None]),
    )


# --- words ------------------------------------------------------------------------------------------------


def _never_seen(request: FunnelRequest, data: Data, seen: int, people: int) -> list[Note]:
    """Names that no event has, with what they may have been meant to be, and steps that no event matched."""
    every = [(place, name) for place, step in enumerate(request.steps, 1) for name in step.events]
    missing = [place for place in range(1, len(request.steps) + 1) if not seen >> (place - 1) & 1]
    alternatives = any(len(step.events) > 1 for step in request.steps)
    if not people or not (missing or alternatives):
        return []
    known = [str(row[0]) for row in data.fetch("SELECT DISTINCT event FROM events")]
    notes = []
    for place, name in every:
        if name not in known:
            near = hint(name, known)
            text = f"no event is named {name!r} (step {place})" + (f"; {near}" if near else "")
            notes.append(Note("step-never-seen", text, "warning"))
    for place in missing:
        if any(name in known for name in request.steps[place - 1].events):
            text = f"step {place}, {request.steps[place - 1]}, matches no event in scope"
            notes.append(Note("step-never-seen", text, "warning"))
    return notes


def _rule(request: FunnelRequest) -> str:
    """The rule in words, as it stands under every answer."""
    window = (
        "no window"
        if request.window is None
        else f"within {ranges.format_duration(request.window)} of step 1, inclusive"
    )
    unit = {"user": "people", "raw": "raw ids"}.get(request.scope.unit, request.scope.unit)
    return (
        f"{unit}; steps in order, other events between allowed; {window}; any step 1 in range may start; "
        "equal times count as in order. Columns: people, % of step 1 and of the step before with 95 % intervals, "
        "dropped and still open here, median time from the step before"
        + (
            ""
            if request.scope.by is None
            else f"; {request.scope.by} is that of step 1 of the counted attempt"
        )
    )
