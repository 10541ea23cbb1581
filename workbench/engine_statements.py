"""Which statements the engine runs at all, and which file a COPY among them would write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from workbench.engine_errors import FAULTS, translate
from workbench.errors import QueryFailed
from workbench.one_line import one_line

_QUERIES = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
CHANGES = {
    duckdb.StatementType.CREATE,
    duckdb.StatementType.DROP,
    duckdb.StatementType.ALTER,
    duckdb.StatementType.INSERT,
    duckdb.StatementType.UPDATE,
    duckdb.StatementType.DELETE,
    duckdb.StatementType.COPY,
}
"""What changes the in-memory catalog, or writes a file."""


def parse(sql: str) -> list[duckdb.Statement]:
    """The statements of a text; raises :class:`QueryFailed` for what DuckDB cannot read."""
    try:
        sql.encode()
        return duckdb.extract_statements(sql)
    except UnicodeEncodeError as error:
        raise QueryFailed(f"the text of a query is not Unicode: {one_line(sql)}") from error
    except FAULTS as error:
        raise translate(error) from error


def parse_query(sql: str) -> duckdb.Statement:
    """The one SELECT (or EXPLAIN) of a text; raises :class:`QueryFailed` for anything else."""
    statements = parse(sql)
    if len(statements) != 1 or statements[0].type not in _QUERIES:
        raise QueryFailed(f"one SELECT is run here, not: {one_line(sql)}")
    return statements[0]


def copy_target(sql: str, parameters: Mapping[str, object]) -> Path | None:
    """The file a COPY writes, links followed; None for COPY … FROM. Raises where it is no plain literal."""
    raw = sql.encode()
    tokens = duckdb.tokenize(sql)
    ends = [offset for offset, _ in tokens[1:]] + [len(raw)]
    words = [
        raw[offset:end].decode().strip()
        for (offset, kind), end in zip(tokens, ends, strict=True)
        if kind is not duckdb.token_type.comment
    ]
    depth = 0
    for position, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        if depth == 0 and word.upper() == "FROM":
            return None
        if depth == 0 and word.upper() == "TO":
            return _target(words[position + 1 :], parameters)
    raise QueryFailed(f"COPY without a target: {one_line(sql)}")


def _target(words: Sequence[str], parameters: Mapping[str, object]) -> Path:
    named = words[:1] == ["$"] and len(words) > 1
    value: object = None
    if named:
        value = parameters.get(words[1])
    elif words and len(words[0]) > 2 and words[0][0] == words[0][-1] == "'":
        value = words[0][1:-1].replace("''", "'")
    after = words[2:3] if named else words[1:2]
    if not isinstance(value, str) or after not in ([], ["("], [";"]):
        raise QueryFailed("the target of a COPY is one string or $name")
    return Path(value).resolve()
