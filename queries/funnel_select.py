"""The funnel's select: the events its rule reads, as columns of integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from queries.expression import compile_value
from queries.funnel_fold import TIES
from queries.funnel_request import FunnelRequest
from queries.kernels.rule import Rule
from queries.question import Data
from queries.scope import Within
from queries.steps import matches

_SELECTED = "-- One row for each event the rule reads; the funnel folds each person's in reading order."


@dataclass(frozen=True, slots=True)
class Select:
    """A funnel's rule and select against the data at hand."""

    rule: Rule
    packed: bool
    """Whether the select gives each event's one step, so that events can be packed."""
    sql: str
    tables: tuple[tuple[str, str], ...]
    """Tables the select joins, with their statements: values and their codes."""

    @property
    def statements(self) -> tuple[str, ...]:
        """The SQL in the order it is asked."""
        made = (f"CREATE OR REPLACE TABLE {name} AS\n{sql}" for name, sql in self.tables)
        return (*made, f"{_SELECTED}\n{self.sql}")


def select_of(request: FunnelRequest, within: Within, data: Data) -> Select:
    """The select of a funnel within a scope.

    It yields what :func:`queries.funnel_fold.fold_selected` takes; raises :class:`QuestionError` for a condition or
    property that cannot be.
    """
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
        name: f"CAST({compile_value(asked, schema, timezone=data.timezone).sql} AS VARCHAR)"
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
    return Select(
        rule=rule,
        packed=packed,
        sql="SELECT " + ", ".join(columns) + f"\nFROM {source}{where}",
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
