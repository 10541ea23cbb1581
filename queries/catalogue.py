"""The catalogue: which events and properties there are, how often, from whom, since when, with which values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from queries import ranges
from queries.expression import compile_value
from queries.question import EVERYTHING, Column, Data, QuestionError, Result, Row, Scope, Shown
from queries.quoting import quote_identifier
from queries.saved import SCOPE_KEYS, Saved
from queries.scope import Within, meta, out_of_range, shown_value

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


def _no_cells(report: str, cell: str) -> QuestionError:
    return QuestionError(f"--users {cell}: {report} has no cells with people")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsRequest:
    """Every event name in scope."""

    scope: Scope = EVERYTHING

    @property
    def report(self) -> str:
        """The question's name in the registry."""
        return "events"

    def check_cell(self, cell: str) -> None:
        """A catalogue has no cells with people."""
        raise _no_cells(self.report, cell)

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        return [self.report, *self.scope.arguments()]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question, as JSON carries it."""
        return self.scope.to_dict()


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertiesRequest:
    """Every property in scope, or the values of one."""

    name: str | None = None
    scope: Scope = EVERYTHING

    @property
    def report(self) -> str:
        """The question's name in the registry."""
        return "properties"

    def check_cell(self, cell: str) -> None:
        """A catalogue has no cells with people."""
        raise _no_cells(self.report, cell)

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        # A name may begin with a dash: it stands behind everything that could be an option.
        name = [] if self.name is None else ["--", self.name] if self.name.startswith("-") else [self.name]
        return [self.report, *self.scope.arguments(), *name]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question, as JSON carries it."""
        return {"name": self.name, **self.scope.to_dict()}


def events_from_dict(saved: Mapping[str, object]) -> EventsRequest:
    """The request that ``to_dict`` gave; raises :class:`QuestionError` for what is none."""
    return EventsRequest(scope=Saved(saved, SCOPE_KEYS).scope())


def properties_from_dict(saved: Mapping[str, object]) -> PropertiesRequest:
    """The request that ``to_dict`` gave; raises :class:`QuestionError` for what is none."""
    found = Saved(saved, ("name", *SCOPE_KEYS))
    return PropertiesRequest(name=found.text("name"), scope=found.scope())


def answer(request: EventsRequest | PropertiesRequest, data: Data) -> Result:
    """Counts names, properties or the values of one property; exact, over everything in scope."""
    within = Within.of(request.scope, data)
    counts = within.counts(data)
    asked = _Asked(data, within)
    if isinstance(request, EventsRequest):
        rows, layout = asked.events(counts[0]), _EVENT_LAYOUT
        rule = f"every event name in scope; times in {data.timezone}"
    elif request.name is not None:
        rows, layout = asked.values(request.name, counts[0], request.scope.top), _VALUE_LAYOUT
        rule = (
            f"values of {request.name} in scope, the most frequent; --top says how many, the rest is (other), "
            f"events without one (none); times in {data.timezone}"
        )
    else:
        rows, layout = asked.properties(counts[0]), _PROPERTY_LAYOUT
        rule = "every property of the events in scope; `workbench properties NAME` lists the values of one"
    return Result(
        report=request.report,
        request=request,
        rows=rows,
        totals={"events": counts[0], "users": counts[1]},
        notes=(*data.survey().notes, *out_of_range(data, within, counts)),
        meta=meta(data, within, counts),
        layout=layout,
        rule=rule,
        sql=tuple(asked.statements),
    )


def event_counts(data: Data) -> list[tuple[str, int]]:
    """Event names with how many events each has, the most frequent first: what completion offers."""
    found = data.fetch(
        "SELECT event, count(*) FROM source_events WHERE event <> '' GROUP BY event ORDER BY count(*) DESC, event"
    )
    return [(str(event), int(str(count))) for event, count in found]


def statements(request: EventsRequest | PropertiesRequest, data: Data) -> tuple[str, ...]:
    """The SQL the question asks, in order; what is asked may depend on the columns found, so it is asked."""
    return answer(request, data).sql


class _Asked:
    """The statements of one question, kept as they are asked."""

    def __init__(self, data: Data, within: Within) -> None:
        self._data = data
        conditions = within.conditions()
        self._where = "WHERE " + " AND ".join(conditions) if conditions else ""
        self._zone = ranges.zone(data.timezone)
        self.statements: list[str] = []

    def _fetch(self, sql: str) -> list[tuple[object, ...]]:
        self.statements.append(sql)
        return self._data.fetch(sql)

    def _time(self, ms: object) -> str | None:
        return ranges.iso(ms, self._zone) if isinstance(ms, int) else None

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
        examples = [shown_value(row[0], column.name, self._data) for row in found]
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
            f"WITH keys AS (\n  SELECT unnest(json_keys({name})) AS key, {name} AS held, person, ts "
            f"FROM events {self._where}\n), filled AS (\n"
            "  SELECT key, person, ts,\n"
            "    json_extract_string(held, '$.\"' || replace(key, '\"', '\\\"') || '\"') AS value FROM keys\n)\n"
            "SELECT key, count(value), count(DISTINCT value), count(DISTINCT CASE WHEN value IS NOT NULL "
            "THEN person END), min(CASE WHEN value IS NOT NULL THEN ts END), "
            "max(CASE WHEN value IS NOT NULL THEN ts END)\n"
            "FROM filled GROUP BY key ORDER BY count(value) DESC, key"
        )
        return [
            self._row(Column(_path(column.name, str(key)), "json", canonical=False), total, counts, [])
            for key, *counts in found
        ]

    def values(self, name: str, total: int, top: int) -> list[Row]:
        """One row a value of a property, the most frequent first; the rest is Other, missing is null."""
        value = compile_value(name, self._data.schema, timezone=self._data.timezone).sql
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
                "value": None if shown is None else shown_value(shown, name, self._data),
                "is_other": place == top + 1,
                "events": _int(count),
                "share": _int(count) / total if total else None,
                "users": _int(users),
                "first_seen": self._time(first),
                "last_seen": self._time(last),
            }
            for place, shown, count, users, first, last in found
        ]


def _path(column: str, key: str) -> str:
    """A key of a JSON property as conditions name it."""
    plain = key.isascii() and key.isidentifier()
    return f"{column}.{key}" if plain else f"{column}.{quote_identifier(key)}"


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
