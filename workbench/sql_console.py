"""Free SQL over the events: tables as an analyst expects them, one SELECT, read-only, locked in.

The tables are views of their own over those that questions read: times are TIMESTAMP WITH TIME ZONE and the
session is in the workspace's zone, money is DECIMAL in major units, JSON is JSON. The text passes
:mod:`workbench.sql_gate`, is wrapped as a sub-query, and runs in a transaction that can only read, on a cursor
of the hardened engine; its rows are spooled before the first one is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import duckdb

from queries import scope as scopes
from queries.question import Note, QuestionError, Result, Row, Scope, Shown
from queries.quoting import quote_identifier, quote_literal
from queries.suggest import hint
from workbench.dataset import Dataset
from workbench.engine_errors import FAULTS, kind_of, translate
from workbench.errors import QueryFailed, UsageError
from workbench.limits import default_limits
from workbench.one_line import one_line
from workbench.runner import Task
from workbench.sources.canonical import ITEM_COLUMNS
from workbench.sql_gate import Accepted, accept, place
from workbench.sql_rows import Answered, Spool, columns, selected

SHOWN_ROWS = 1000
"""Rows of a table, which people read, where nobody says how many."""
UNITS = ("user", "raw")

_SCHEMA = "console"
_TEXT_KINDS = frozenset(
    {
        "Binder", "Parser", "Catalog", "Syntax", "Conversion", "Invalid Input", "Out of Range",
        "Mismatch Type", "Invalid Type", "Not implemented", "Expression", "Constraint",
    }
)  # fmt: skip
"""DuckDB's kinds of error that are about the text."""


@dataclass(frozen=True, slots=True)
class SqlRequest:
    """One text of SQL over a scope's data."""

    text: str
    scope: Scope
    explain: bool = False

    @property
    def report(self) -> str:
        """The report's name."""
        return "sql"

    def check_cell(self, cell: str) -> None:
        """Rows of SQL have no cells with people."""
        raise QuestionError(f"--users {cell}: rows of SQL have no cells with people")

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        text = ["--", self.text] if self.text.startswith("-") else [self.text]
        return ["sql", *self.scope.arguments(), *(["--explain"] if self.explain else []), *text]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question."""
        scope = self.scope.to_dict()
        told = {key: scope[key] for key in ("data", "mapping", "as_of", "tz", "unit", "session_gap")}
        return {"sql": self.text, "explain": self.explain, **told}


def answer(request: SqlRequest, dataset: Dataset, task: Task, *, limit: int | None) -> Result:
    """The rows of the text, the first ``limit`` of them alone; None: all.

    Raises :class:`QueryFailed` for a text that is refused or wrong, with the place where there is one.
    """
    views = tables(dataset)
    accepted = _accepted(request, dataset, views)
    _define(dataset, views, accepted)
    with dataset.engine.reading(_SCHEMA, dataset.timezone, task) as cursor:
        console = _Console(cursor, request.text, accepted, tuple(_names(dataset)))
        if request.explain:
            return _result(request, dataset, console.plan(), _PLAN)
        task.report(None, "running the SQL")
        answered = console.columns()
        query = _wrapped(accepted, selected(answered), None if limit is None else limit + 1)
        with console.worded(query):
            reader = cursor.sql(query).to_arrow_reader()
            rows = Spool(answered, reader, default_limits().spill_bytes, task)
    notes: list[Note] = []
    if limit is not None and len(rows) > limit:
        text = f"the first {limit:,} rows; there are more: --limit N, or another --format for all of them"
        notes.append(Note("limit", text, "warning"))
        rows = rows.cut(limit)
    layout = tuple(_shown(column) for column in answered)
    result = _result(request, dataset, rows, layout)
    types = [{"name": column.name, "type": column.type} for column in answered]
    return replace(result, meta={**result.meta, "columns": types}, notes=(*dataset.survey().notes, *notes))


def statements(request: SqlRequest, dataset: Dataset) -> list[str]:
    """The SQL from the tables of questions to the rows, ready to paste behind what made those tables."""
    views = tables(dataset)
    accepted = _accepted(request, dataset, views)
    return [
        *_define(dataset, views, accepted),
        f"SET schema = '{_SCHEMA}'",
        f"SET TimeZone = {quote_literal(dataset.timezone)}",
        ("EXPLAIN " if request.explain else "") + accepted.sql,
    ]


def tables(dataset: Dataset) -> Mapping[str, str]:
    """The console's tables by name, as SQL over those that questions read."""
    if dataset.scope.unit not in UNITS:
        raise QuestionError(
            f"--unit {dataset.scope.unit}: SQL counts for itself", f"it has: {', '.join(UNITS)}"
        )
    decimals = dataset.schema.money_decimals
    order = dataset.schema.order
    fine = " + fine // 1000" if "fine" in order else ""
    kinds = {name: column.kind for name, column in dataset.schema.columns.items() if name != "ts"}
    has_user = any(name.casefold() == "user" for name in kinds)
    found = [
        "numbered.number AS person",
        *([] if has_user else ['numbered.id AS "user"']),
        f"make_timestamptz(ts * 1000{fine}) AS ts",
        *(_column("events", name, kind, decimals) for name, kind in kinds.items()),
        *(name for name in order if name != "fine"),
    ]
    views = {
        "events": f"SELECT {_listed(found)}\nFROM main.events\n{_numbered('events')}",
        "people": (
            'SELECT numbered.number AS person, numbered.id AS "user", numbered.kind,\n'
            "  make_timestamptz(first_ts * 1000) AS first_seen,\n"
            "  make_timestamptz(last_ts * 1000) AS last_seen, seen.events\n"
            "FROM (\n  SELECT person, min(ts) AS first_ts, max(ts) AS last_ts, count(*) AS events\n"
            f"  FROM main.events GROUP BY person\n) AS seen\n{_numbered('seen')}"
        ),
        "sessions": (
            "SELECT row_number() OVER (ORDER BY first_ts, numbered.number, raw_id, session_id) - 1 AS session,\n"
            '  numbered.number AS person, numbered.id AS "user", raw_id, session_id,\n'
            '  make_timestamptz(first_ts * 1000) AS "first", make_timestamptz(last_ts * 1000) AS "last", events\n'
            'FROM (SELECT * RENAME ("first" AS first_ts, "last" AS last_ts) FROM main.sessions) AS held\n'
            + _numbered("held")
        ),
    }
    if dataset.has_items:
        items = [_column("items", name, kind, decimals) for name, kind in ITEM_COLUMNS.items()]
        views["items"] = f"SELECT {_listed(items)}\nFROM main.items"
    return views


def _numbered(relation: str) -> str:
    """Joins people under numbers that are the same in every run; codes of questions are not."""
    return (
        "JOIN (\n  SELECT person, kind, id, row_number() OVER (ORDER BY kind DESC, id) - 1 AS number\n"
        f"  FROM main.people\n) AS numbered ON numbered.person = {relation}.person"
    )


def _listed(parts: list[str]) -> str:
    return ",\n  ".join(parts)


def _column(relation: str, name: str, kind: str, decimals: int) -> str:
    """A column as it is called in expressions, in the type an analyst expects."""
    own = quote_identifier(name)
    column = f"{relation}.{own}"
    match kind:
        case "time":
            # Any number may stand in a property; a time of no calendar is no reason to fail.
            return f"TRY(make_timestamptz({column} * 1000)) AS {own}"
        case "money":
            major = f"CAST({column} AS DECIMAL(19, 0))"
            unit = f"CAST('{10**-decimals:.{decimals}f}' AS DECIMAL({decimals + 1}, {decimals}))"
            return f"{major}{f' * {unit}' if decimals else ''} AS {own}"
        case "json":
            return f"TRY_CAST({column} AS JSON) AS {own}"
    return column


def _names(dataset: Dataset) -> Iterator[str]:
    """What a column may have been meant to be."""
    yield from dataset.schema.columns
    yield from ("person", "user", "kind", "first_seen", "last_seen", "events", "session", "first", "last")
    yield from ITEM_COLUMNS


def _accepted(request: SqlRequest, dataset: Dataset, views: Mapping[str, str]) -> Accepted:
    def serialize(text: str) -> str:
        ((serialized,),) = dataset.fetch("SELECT CAST(json_serialize_sql($sql) AS VARCHAR)", {"sql": text})
        return str(serialized)

    return accept(request.text, serialize, sorted(views))


def _define(dataset: Dataset, views: Mapping[str, str], accepted: Accepted) -> list[str]:
    """Makes the views that the text names, and what they need; the statements."""
    dataset.survey()
    if "sessions" in accepted.tables:
        dataset.define_sessions()
    made = [f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}"]
    made += [
        f"CREATE OR REPLACE VIEW {_SCHEMA}.{name} AS\n{sql}"
        for name, sql in views.items()
        if name in accepted.tables
    ]
    for statement in made:
        dataset.engine.execute(statement)
    return made


def _wrapped(accepted: Accepted, select: str, limit: int | None) -> str:
    # The line break ends a comment at the end of the text.
    return f"SELECT {select} FROM (\n{accepted.sql}\n)" + ("" if limit is None else f" LIMIT {limit}")


@dataclass(frozen=True, slots=True)
class _Console:
    """One accepted text on its cursor; errors are worded for those who wrote the text."""

    cursor: duckdb.DuckDBPyConnection
    text: str
    accepted: Accepted
    names: tuple[str, ...]

    def columns(self) -> tuple[Answered, ...]:
        query = f"DESCRIBE {_wrapped(self.accepted, '*', None)}"
        with self.worded(query):
            return columns(self.cursor.execute(query).fetchall())

    def plan(self) -> list[Row]:
        query = f"EXPLAIN {_wrapped(self.accepted, '*', None)}"
        with self.worded(query):
            plans = self.cursor.execute(query).fetchall()
        lines = [line for _, plan in plans for line in str(plan).splitlines()]
        return [{"line": number, "plan": line} for number, line in enumerate(lines, start=1)]

    @contextmanager
    def worded(self, query: str) -> Iterator[None]:
        """Turns what is wrong with the text into one line with its place; leaves other faults to the engine."""
        try:
            yield
        except FAULTS as error:
            kind, told = kind_of(error), _told(error)
            message = str(told.get("exception_message", ""))
            if not message:
                raise
            # With its plain text, since it is the words that say what happened.
            plain = type(error)(f"{kind} Error: {message}")
            if kind not in _TEXT_KINDS or not isinstance(translate(plain), QueryFailed | UsageError):
                raise plain from error
            first, _, rest = message.strip().partition("\n")
            before = len(query[: query.index("(\n") + 2].encode())
            position = str(told.get("position", ""))
            at = int(position) - before if position.isdecimal() else -1
            inside = 0 <= at <= len(self.accepted.sql.encode())
            where = place(self.text, at + self.accepted.offset) if inside else ""
            raise QueryFailed(f"the query: {one_line(first)}{where}", self._hint(first, rest)) from error

    def _hint(self, first: str, rest: str) -> str | None:
        column = re.match(r'(?:Referenced column|.* does not have a column named) "(?P<name>[^"]*)"', first)
        if column and (near := hint(column["name"], self.names)):
            return near
        if first.startswith("Malformed JSON"):
            return "a key of JSON is JSON; its text is written properties->>'key'"
        words = " ".join(rest.split()).rstrip()
        return one_line(words[:1].lower() + words[1:]) if words else None


def _told(error: Exception) -> Mapping[str, object]:
    """What DuckDB says of an error as JSON; empty where it says it otherwise."""
    _, _, text = str(error).partition(": ")
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _shown(column: Answered) -> Shown:
    if column.is_moment:
        return Shown(column.name, column.name, "time")
    if column.is_nested:
        return Shown(column.name, column.name, "json")
    return Shown(column.name, column.name, "exact" if column.is_number else "text")


_PLAN = (Shown("line", "line", "integer"), Shown("plan", "plan"))


def _result(
    request: SqlRequest, dataset: Dataset, rows: Spool | list[Row], layout: tuple[Shown, ...]
) -> Result:
    within = scopes.Within.of(request.scope, dataset)
    return Result(
        report="sql",
        request=request,
        rows=rows,
        totals={"rows": len(rows)},
        notes=(),
        meta=scopes.meta(dataset, within, within.counts(dataset)),
        layout=layout,
    )
