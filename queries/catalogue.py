"""The catalogue: which events and properties there are, how often, from whom, since when, with which values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from queries import ranges
from queries.expression import compile_condition, compile_value
from queries.question import EVERYTHING, Column, Data, Result, Row, Scope, Shown

EXAMPLES = 5

_EVENT_LAYOUT = (
    Shown("event", "event"),
    Shown("role", "role"),
    Shown("events", "events", "integer"),
    Shown("share", "share", "rate"),
    Shown("users", "users", "integer"),
    Shown("first_seen", "first seen", "time"),
    Shown("last_seen", "last seen", "time"),
)
_PROPERTY_LAYOUT = (
    Shown("property", "property"),
    Shown("kind", "kind"),
    Shown("filled", "filled", "integer"),
    Shown("filled_rate", "of events", "rate"),
    Shown("users", "users", "integer"),
    Shown("distinct", "values", "integer"),
    Shown("examples", "most frequent"),
)
_VALUE_LAYOUT = (
    Shown("property", "property"),
    Shown("value", "value", words=(("is_other", "(other)"),), null="(none)"),
    Shown("events", "events", "integer"),
    Shown("share", "share", "rate"),
    Shown("users", "users", "integer"),
    Shown("first_seen", "first seen", "time"),
    Shown("last_seen", "last seen", "time"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsRequest:
    """Every event name in scope."""

    scope: Scope = EVERYTHING

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        return ["events", *self.scope.arguments()]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question, as JSON carries it."""
        return self.scope.to_dict()


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertiesRequest:
    """Every property in scope, or the values of one."""

    name: str | None = None
    scope: Scope = EVERYTHING

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        return ["properties", *([] if self.name is None else [self.name]), *self.scope.arguments()]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question, as JSON carries it."""
        return {"name": self.name, **self.scope.to_dict()}


def answer(request: EventsRequest | PropertiesRequest, data: Data) -> Result:
    """Counts names, properties or the values of one property; exact, over everything in scope."""
    scope = request.scope
    zone = ranges.zone(data.timezone)
    survey = data.survey()
    within = ranges.resolve(scope.since, scope.until, scope.last, survey.as_of, zone)
    limits = []
    if within.start is not None:
        limits.append(f"ts >= {within.start}")
    if within.end is not None:
        limits.append(f"ts < {within.end}")
    if scope.where is not None:
        limits.append(f"({compile_condition(scope.where, data.schema, timezone=data.timezone).sql})")
    where = "WHERE " + " AND ".join(limits) if limits else ""
    asked = _Asked(data, where)
    totals = asked.totals()
    if isinstance(request, EventsRequest):
        rows, layout, rule = (
            asked.events(totals[0]),
            _EVENT_LAYOUT,
            f"every event name in scope; times in {data.timezone}",
        )
    elif request.name is not None:
        rows, layout = asked.values(request.name, totals[0], scope.top), _VALUE_LAYOUT
        rule = (
            f"values of {request.name} in scope, the most frequent; --top says how many, the rest is (other), "
            f"events without one (none); times in {data.timezone}"
        )
    else:
        rows, layout, rule = (
            asked.properties(totals[0]),
            _PROPERTY_LAYOUT,
            "every property of the events in scope; `workbench properties NAME` lists the values of one",
        )
    return Result(
        report="events" if isinstance(request, EventsRequest) else "properties",
        request=request,
        rows=rows,
        totals={"events": totals[0], "users": totals[1]},
        notes=survey.notes,
        meta={
            "as_of": None if survey.as_of is None else ranges.iso(survey.as_of, zone),
            "timezone": data.timezone,
            "from": None if within.start is None else ranges.iso(within.start, zone),
            "to": None if within.end is None else ranges.iso(within.end, zone),
            "rows_in_scope": totals[0],
            "users": totals[1],
            "source": list(survey.sources),
        },
        layout=layout,
        rule=rule,
        sql=tuple(asked.statements),
    )


def statements(request: EventsRequest | PropertiesRequest, data: Data) -> tuple[str, ...]:
    """The SQL the question asks, in order; what is asked may depend on the columns found, so it is asked."""
    return answer(request, data).sql


class _Asked:
    """The statements of one question, kept as they are asked."""

    def __init__(self, data: Data, where: str) -> None:
        self._data = data
        self._where = where
        self._zone = ranges.zone(data.timezone)
        self.statements: list[str] = []

    def _fetch(self, sql: str) -> list[tuple[object, ...]]:
        self.statements.append(sql)
        return self._data.fetch(sql)

    def _time(self, ms: object) -> str | None:
        return ranges.iso(ms, self._zone) if isinstance(ms, int) else None

    def totals(self) -> tuple[int, int]:
        """Events and people in scope."""
        if not self._where:
            survey = self._data.survey()
            return survey.rows, survey.people
        found = self._fetch(f"SELECT count(*), count(DISTINCT person) FROM events {self._where}")[0]
        return _int(found[0]), _int(found[1])

    def events(self, total: int) -> list[Row]:
        """One row an event name, the most frequent first."""
        roles = _role_names(self._data.schema.roles)
        found = self._fetch(
            "SELECT event, count(*) AS events, count(DISTINCT person) AS users, min(ts), max(ts)\n"
            f"FROM events {self._where}\nGROUP BY event\nORDER BY events DESC, event"
        )
        return [
            {
                "event": event,
                "role": roles.get(str(event)),
                "events": _int(count),
                "share": _int(count) / total if total else None,
                "users": _int(users),
                "first_seen": self._time(first),
                "last_seen": self._time(last),
            }
            for event, count, users, first, last in found
        ]

    def properties(self, total: int) -> list[Row]:
        """One row a property; the keys of a JSON property follow it."""
        rows: list[Row] = []
        columns = list(self._data.schema.columns.values())
        for place, column in enumerate(columns):
            self._data.progress(place / len(columns), column.name)
            rows.append(self._property(column, total))
            if column.kind == "json":
                rows += self._keys(column, total)
        return rows

    def _property(self, column: Column, total: int) -> Row:
        value = compile_value(column.name, self._data.schema).sql
        counts = self._fetch(
            f"WITH filled AS (\n  SELECT {value} AS value, person, ts FROM events {self._where}\n)\n"
            "SELECT count(*), count(DISTINCT value), count(DISTINCT person), min(ts), max(ts)\n"
            "FROM filled WHERE value IS NOT NULL"
        )[0]
        found = self._fetch(
            f"WITH filled AS (\n  SELECT {value} AS value FROM events {self._where}\n)\n"
            "SELECT CAST(value AS VARCHAR) AS example, count(*) AS events\n"
            f"FROM filled WHERE value IS NOT NULL\nGROUP BY value ORDER BY events DESC, example LIMIT {EXAMPLES}"
        )
        examples = [str(row[0]) for row in found]
        if column.kind == "time":
            examples = [ranges.iso(int(example), self._zone) for example in examples]
        return self._row(column, total, counts, examples)

    def _row(self, column: Column, total: int, counts: Sequence[object], examples: Sequence[str]) -> Row:
        filled, distinct, users, first, last = counts
        return {
            "property": column.name,
            "kind": column.kind,
            "canonical": column.canonical,
            "filled": _int(filled),
            "filled_rate": _int(filled) / total if total else None,
            "distinct": None if distinct is None else _int(distinct),
            "users": _int(users),
            "first_seen": self._time(first),
            "last_seen": self._time(last),
            "examples": list(examples),
        }

    def _keys(self, column: Column, total: int) -> list[Row]:
        name = compile_value(column.name, self._data.schema).sql
        found = self._fetch(
            f"WITH keys AS (\n  SELECT unnest(json_keys({name})) AS key, person, ts FROM events {self._where}\n)\n"
            "SELECT key, count(*), NULL, count(DISTINCT person), min(ts), max(ts)\n"
            "FROM keys GROUP BY key ORDER BY count(*) DESC, key"
        )
        return [
            self._row(Column(f"{column.name}.{key}", "json", canonical=False), total, counts, [])
            for key, *counts in found
        ]

    def values(self, name: str, total: int, top: int) -> list[Row]:
        """One row a value of a property, the most frequent first; the rest is Other, missing is null."""
        value = compile_value(name, self._data.schema).sql
        found = self._fetch(
            f"WITH valued AS (\n  SELECT CAST({value} AS VARCHAR) AS value, person, ts FROM events {self._where}\n"
            "), ranked AS (\n"
            "  SELECT value, row_number() OVER (ORDER BY count(*) DESC, value) AS place\n"
            "  FROM valued WHERE value IS NOT NULL GROUP BY value\n)\n"
            f"SELECT CASE WHEN place <= {top} THEN place WHEN place > {top} THEN {top + 1} ELSE {top + 2} END AS row,\n"
            f"  min(CASE WHEN place <= {top} THEN valued.value END),\n"
            "  count(*), count(DISTINCT person), min(ts), max(ts)\n"
            "FROM valued LEFT JOIN ranked ON ranked.value = valued.value\n"
            "GROUP BY row\nORDER BY row"
        )
        return [
            {
                "property": name,
                "value": shown,
                "is_other": place == top + 1,
                "events": _int(count),
                "share": _int(count) / total if total else None,
                "users": _int(users),
                "first_seen": self._time(first),
                "last_seen": self._time(last),
            }
            for place, shown, count, users, first, last in found
        ]


def _role_names(roles: object) -> dict[str, str]:
    """Event name → the role it has, where a role names it."""
    from queries.steps import parse_step

    found: dict[str, str] = {}
    if isinstance(roles, dict):
        for role, text in roles.items():
            for event in parse_step(str(text)).events:
                found.setdefault(event, str(role))
    return found


def _int(value: object) -> int:
    return value if isinstance(value, int) else int(str(value))
