"""A question's scope against the data at hand: its range, its filter as SQL, and what a result says of both."""

from __future__ import annotations

from dataclasses import dataclass

from queries import ranges
from queries.expression import compile_condition
from queries.question import Data, Note, Scope


@dataclass(frozen=True, slots=True)
class Within:
    """Which events are in scope."""

    range: ranges.Range
    where: str | None
    """The filter as SQL over ``events``."""

    @classmethod
    def of(cls, scope: Scope, data: Data) -> Within:
        """The scope's range in UTC ms against the data's as-of and zone, and its filter, compiled."""
        zone = ranges.zone(data.timezone)
        within = ranges.resolve(scope.since, scope.until, scope.last, data.survey().as_of, zone)
        if scope.where is None:
            return cls(within, None)
        return cls(within, compile_condition(scope.where, data.schema, timezone=data.timezone).sql)

    def conditions(self, after: int | None = 0, before: int = 0) -> list[str]:
        """The scope as SQL conditions.

        Events up to ``before`` ms ahead of the range and ``after`` ms past it too, None for all of them.
        """
        found: list[str] = []
        if self.range.start is not None:
            found.append(f"ts >= {self.range.start - before}")
        if self.range.end is not None and after is not None:
            found.append(f"ts < {self.range.end + after}")
        if self.where is not None:
            found.append(f"({self.where})")
        return found

    def counts(self, data: Data) -> tuple[int, int]:
        """Events and people in scope."""
        conditions = self.conditions()
        if not conditions:
            survey = data.survey()
            return survey.rows, survey.people
        ((rows, people),) = data.fetch(
            "SELECT count(*), count(DISTINCT person) FROM events WHERE " + " AND ".join(conditions)
        )
        return int(str(rows)), int(str(people))


def meta(data: Data, within: Within, counts: tuple[int, int]) -> dict[str, object]:
    """What every result says of the data it was asked of; ``counts`` are events and people in scope."""
    survey, zone = data.survey(), ranges.zone(data.timezone)

    def time(ms: int | None) -> str | None:
        return None if ms is None else ranges.iso(ms, zone)

    return {
        "as_of": time(survey.as_of),
        "timezone": data.timezone,
        "from": time(within.range.start),
        "to": time(within.range.end),
        "rows_in_scope": counts[0],
        "users": counts[1],
        "source": list(survey.sources),
    }


def shown_value(value: object, name: str | None, data: Data) -> str:
    """A property's value as results carry it: times as ISO 8601 in the data's zone, anything else as text."""
    column = next(
        (
            column
            for known, column in data.schema.columns.items()
            if known.casefold() == (name or "").casefold()
        ),
        None,
    )
    if column is not None and column.kind == "time":
        return ranges.iso(int(str(value)), ranges.zone(data.timezone))
    return str(value)


def out_of_range(data: Data, within: Within, counts: tuple[int, int]) -> list[Note]:
    """Where the range holds no event: what it was, and what there is."""
    survey, zone = data.survey(), ranges.zone(data.timezone)
    bounds = (within.range.start, within.range.end)
    if counts[0] or bounds == (None, None) or survey.first is None or survey.last is None:
        return []
    start, end = ("the beginning" if ms is None else ranges.iso(ms, zone) for ms in bounds)
    text = (
        f"no event in scope from {start} to {'the end' if bounds[1] is None else end}; "
        f"the data runs from {ranges.iso(survey.first, zone)} to {ranges.iso(survey.last, zone)}"
    )
    return [Note("out-of-range", text, "warning")]
