"""The gate of free SQL: one SELECT over the console's own tables gets through, and nothing else.

DuckDB's own parser reads the text; what it understood is looked through node by node. Tables are those the
console names, table functions those that make rows of nothing, and nothing reads the machine's clock, so
the same text gives the same rows on any day. What gets through is still run wrapped, read-only and locked in
(:mod:`workbench.sql_console`): the gate is the first wall, not the only one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from queries.suggest import hint, shown
from workbench.engine_statements import parse
from workbench.errors import QueryFailed
from workbench.one_line import one_line

LONGEST = 1_000_000
"""Bytes of a text."""

TABLE_FUNCTIONS = ("range", "generate_series", "unnest", "json_each", "json_tree")
"""What may stand in FROM besides tables: rows made of nothing but their arguments."""

_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "CTE_NODE", "RECURSIVE_CTE_NODE"})
_CLOCK = frozenset(
    {
        "now", "today", "ago", "current_date", "current_time", "current_timestamp", "localtime",
        "localtimestamp", "current_localtime", "current_localtimestamp", "get_current_time",
        "get_current_timestamp", "transaction_timestamp", "uuidv7", "pg_postmaster_start_time",
        "pg_conf_load_time",
    }
)  # fmt: skip
_CLOCK_WORDS = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
"""Those that need no brackets."""
_IDLE = frozenset({"sleep_ms", "pg_sleep", "write_log", "nextval", "currval", "setval"})
_KINDS = {
    duckdb.StatementType.EXPLAIN: ("EXPLAIN", "--explain shows the plan of a SELECT without running it"),
    duckdb.StatementType.MULTI: (
        "PIVOT without its values",
        "name them: PIVOT events ON channel IN ('app', 'web') USING count(*)",
    ),
}
_ONE = "write one SELECT; the console reads, and changes nothing"


@dataclass(frozen=True, slots=True)
class Accepted:
    """What got through the gate."""

    sql: str
    """One SELECT, without its semicolon."""
    offset: int
    """The byte of the text it begins with."""
    tables: frozenset[str]
    """The tables it names, in lower case."""


def accept(text: str, serialize: Callable[[str], str], tables: Sequence[str]) -> Accepted:
    """The one SELECT of a text.

    ``serialize`` is DuckDB's ``json_serialize_sql``, ``tables`` the names there are. Raises
    :class:`QueryFailed`, with the place where there is one, for anything else.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise QueryFailed(f"the query: not Unicode: {one_line(text)}") from error
    if size > LONGEST:
        raise QueryFailed(
            f"the query: {size:,} bytes; {LONGEST:,} are the most", "make it a saved file of data"
        )
    if "\0" in text:
        raise QueryFailed("the query: it holds a NUL character", "write chr(0) where one is meant")
    try:
        tree = json.loads(serialize(text))
    except RecursionError as error:
        raise _too_deep() from error
    if tree["error"]:
        raise _unreadable(text, tree)
    statements = parse(text)
    if len(statements) != 1 or len(tree["statements"]) != 1:
        what = "nothing to run" if not statements else f"{len(statements)} statements"
        raise QueryFailed(f"the query: {what}", _ONE)
    if statements[0].type is not duckdb.StatementType.SELECT:
        raise _not_a_select(statements[0])
    if _lists_tables(tree):
        return Accepted(_TABLES, 0, frozenset(tables))
    _check(text, tree, tables)
    named = {
        str(node.get("table_name")).casefold() for node in _nodes(tree) if node.get("type") == "BASE_TABLE"
    }
    start, end = _bounds(text)
    return Accepted(text.encode()[start:end].decode(), start, frozenset(named))


def _bounds(text: str) -> tuple[int, int]:
    """From which byte of a text to which its one statement goes, without the semicolons and what follows them."""
    raw = text.encode()
    start: int | None = None
    for offset, kind in duckdb.tokenize(text):
        separates = kind is duckdb.token_type.operator and raw[offset : offset + 1] == b";"
        if start is not None and separates:
            return start, offset
        if start is None and not separates and kind is not duckdb.token_type.comment:
            start = offset
    return start or 0, len(raw)


_TABLES = """SELECT table_name AS "table", column_name AS "column", data_type AS "type"
FROM duckdb_columns() WHERE schema_name = current_schema() ORDER BY table_name, column_index"""
"""What SHOW TABLES means here."""


def place(text: str, offset: int) -> str:
    """Where a byte of a text stands, in words; empty for one that is not in it."""
    raw = text.encode()
    if not 0 <= offset <= len(raw):
        return ""
    before = raw[:offset].decode(errors="ignore")
    return f" (line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))})"


def _unreadable(text: str, tree: Mapping[str, object]) -> QueryFailed:
    if tree.get("error_type") != "parser":
        statements = parse(text)
        if len(statements) != 1:
            return QueryFailed(f"the query: {len(statements)} statements", _ONE)
        return _not_a_select(statements[0])
    message = str(tree.get("error_message")).splitlines()[0]
    if "expression depth" in message:
        return _too_deep()
    position = str(tree.get("position", ""))
    where = place(text, int(position)) if position.isdecimal() else ""
    return QueryFailed(f"the query: {one_line(message)}{where}")


def _not_a_select(statement: duckdb.Statement) -> QueryFailed:
    name, advice = _KINDS.get(statement.type, (statement.type.name, _ONE))
    return QueryFailed(f"the query: {name} is not run here", advice)


def _too_deep() -> QueryFailed:
    return QueryFailed("the query: nested too deeply", "some 300 operations inside one another are the most")


def _lists_tables(tree: Mapping[str, object]) -> bool:
    """Whether the text is SHOW TABLES, in any of its forms."""
    shows = [node for node in _nodes(tree) if node.get("type") == "SHOW_REF"]
    names = {str(node.get("table_name")).strip('"') for node in shows if node.get("query") is None}
    return len(shows) == 1 and bool(names & {"tables", "__show_tables_expanded"})


def _nodes(tree: object) -> Iterator[Mapping[str, object]]:
    """Every object of a tree, in no order; no recursion, since texts may be deep."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _check(text: str, tree: Mapping[str, object], tables: Sequence[str]) -> None:
    named: set[str] = set()
    for node in _nodes(tree):
        for one in _entries(node.get("cte_map")):
            named.add(str(one.get("key")).casefold())
    # A name that is a word cannot be a file.
    known = {name.casefold() for name in tables} | {name for name in named if name.isidentifier()}
    for node in _nodes(tree):
        where = _where(text, node)
        match node.get("type"):
            case "BASE_TABLE":
                _check_table(node, known, tables, where)
            case "TABLE_FUNCTION":
                _check_source(node, tables, where)
            case "SHOW_REF" if node.get("query") is None:
                raise QueryFailed(
                    "the query: of SHOW there is SHOW TABLES", "DESCRIBE events lists its columns"
                )
            case "FUNCTION":
                _check_function(node, where)
            case "COLUMN_REF":
                names = node.get("column_names")
                if isinstance(names, list) and len(names) == 1 and str(names[0]).casefold() in _CLOCK_WORDS:
                    raise _clock(str(names[0]), where)
            case "VALUE_PARAMETER":
                raise QueryFailed(f"the query: a parameter{where}", "write the value itself")
            case kind if "cte_map" in node and kind not in _QUERIES:
                raise QueryFailed("the query: it changes data", _ONE)


def _entries(cte_map: object) -> Iterator[Mapping[str, object]]:
    entries = cte_map.get("map") if isinstance(cte_map, dict) else None
    yield from entries if isinstance(entries, list) else ()


def _where(text: str, node: Mapping[str, object]) -> str:
    location = node.get("query_location")
    return place(text, location) if isinstance(location, int) else ""


def _check_table(node: Mapping[str, object], known: set[str], tables: Sequence[str], where: str) -> None:
    name = str(node.get("table_name"))
    path = [str(part) for part in (node.get("catalog_name"), node.get("schema_name")) if part]
    if not path and name.casefold() in known:
        return
    raise QueryFailed(
        f"the query: there is no table {shown('.'.join([*path, name]))}{where}",
        hint(name, tables) or _there(tables),
    )


def _check_source(node: Mapping[str, object], tables: Sequence[str], where: str) -> None:
    function = node.get("function")
    name = str(function.get("function_name")) if isinstance(function, dict) else ""
    if name.casefold() not in TABLE_FUNCTIONS:
        raise QueryFailed(
            f"the query: {shown(name)} is not read from here{where}",
            f"{_there(tables)}; of functions {', '.join(TABLE_FUNCTIONS)}; files are named with --data",
        )


def _check_function(node: Mapping[str, object], where: str) -> None:
    name = str(node.get("function_name")).casefold()
    arguments = node.get("arguments")
    alone = name == "age" and isinstance(arguments, list) and len(arguments) == 1
    if name in _CLOCK or alone:
        raise _clock(name, where)
    if name in _IDLE:
        raise QueryFailed(f"the query: {name} is not run here{where}", _ONE)


def _clock(name: str, where: str) -> QueryFailed:
    return QueryFailed(
        f"the query: {one_line(name)} reads this machine's clock{where}",
        "the data's own is (SELECT max(ts) FROM events); --as-of sets it",
    )


def _there(tables: Sequence[str]) -> str:
    return f"the tables: {', '.join(tables)}"
