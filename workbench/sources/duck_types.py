"""Reads DuckDB's type names and reaches into nested columns: one path works on JSON text and structs."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from queries.question import ColumnKind

_INTEGERS = frozenset(["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"])
_WIDE = frozenset(["UBIGINT", "HUGEINT", "UHUGEINT"])
_TIMES = frozenset(
    (
        "TIMESTAMP",
        "TIMESTAMP_S",
        "TIMESTAMP_MS",
        "TIMESTAMP_NS",
        "TIMESTAMP WITH TIME ZONE",
        "TIMESTAMPTZ",
        "TIMESTAMPTZ_NS",
    )
)
_NOTHING = frozenset(('"NULL"', "NULL"))
_FIELD = re.compile(r'\s*("(?:[^"]|"")*"|[^\s(),]+)\s+')


def quote(name: str) -> str:
    """A name as SQL writes it; safe for any text."""
    return '"' + name.replace("\0", "").replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it; safe for any text."""
    return "'" + text.replace("\0", "").replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Typed:
    """A SQL expression and the DuckDB type it has."""

    sql: str
    type: str


def is_nested(type_: str) -> bool:
    """Whether a type holds others: JSON counts."""
    return (
        type_ == "JSON" or type_.endswith("]") or type_.startswith(("STRUCT(", "MAP(", "UNION(", "VARIANT"))
    )


def is_integer(type_: str) -> bool:
    """Whether a type is a whole number, of any width."""
    return type_ in _INTEGERS or type_ in _WIDE


def is_number(type_: str) -> bool:
    """Whether a type is a number."""
    return is_integer(type_) or type_ in ("DOUBLE", "FLOAT") or type_.startswith("DECIMAL(")


def is_time(type_: str) -> bool:
    """Whether a type is a moment, with or without zone; a DATE is not."""
    return type_ in _TIMES


def is_nothing(type_: str) -> bool:
    """Whether a column's type says that it never held a value."""
    return type_ in _NOTHING


def kind_of_type(type_: str) -> ColumnKind | None:
    """The kind of a property; None for a column that never held a value."""
    if is_nothing(type_):
        return None
    if is_nested(type_):
        return "json"
    if is_time(type_):
        return "time"
    if type_ == "BOOLEAN":
        return "boolean"
    if type_ in _INTEGERS:
        return "integer"
    return "number" if is_number(type_) else "text"


def fields_of(type_: str) -> dict[str, str] | None:
    """Name → type of a struct's fields; None for any other type."""
    if not type_.startswith("STRUCT(") or not type_.endswith(")"):
        return None
    fields: dict[str, str] = {}
    for part in _split(type_[len("STRUCT(") : -1]):
        found = _FIELD.match(part)
        if found is None:
            return None
        name = found[1]
        if name.startswith('"'):
            name = name[1:-1].replace('""', '"')
        fields[name] = part[found.end() :].strip()
    return fields


def reach(column: Typed, path: Sequence[str]) -> Typed | None:
    """What lies under a column along a path; None where the type says that nothing does.

    JSON text gives VARCHAR, NULL where the text is not JSON or the path leads nowhere; a struct gives its
    field's own type. Names of fields are matched exactly, else without case.
    """
    if not path:
        return column
    if column.type in ("JSON", "VARCHAR"):
        pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
        return Typed(f"TRY(json_extract_string({column.sql}, {literal(pointer)}))", "VARCHAR")
    if column.type.startswith("MAP("):
        parts = _split(column.type[len("MAP(") : -1])
        if len(parts) != 2 or parts[0].strip() != "VARCHAR":
            return None
        return reach(Typed(f"{column.sql}[{literal(path[0])}]", parts[1].strip()), path[1:])
    fields = fields_of(column.type)
    if fields is None:
        return None
    name = match(path[0], fields)
    if name is None:
        return None
    return reach(Typed(f"struct_extract({column.sql}, {literal(name)})", fields[name]), path[1:])


def match(name: str, names: Collection[str]) -> str | None:
    """The name among others that is meant: the same, else the same without case."""
    if name in names:
        return name
    folded = name.casefold()
    return next((other for other in names if other.casefold() == folded), None)


def length(column: Typed) -> str:
    """The SQL for how many elements a list or JSON array has; NULL where it is none."""
    if column.type in ("JSON", "VARCHAR"):
        return f"TRY(CASE WHEN json_type({column.sql}) = 'ARRAY' THEN json_array_length({column.sql}) END)"
    return f"len({column.sql})" if column.type.endswith("]") else "NULL"


def text(column: Typed) -> str:
    """The SQL for a value as VARCHAR; whole floats lose their ``.0``, JSON text its quotes."""
    if column.type == "VARCHAR":
        return column.sql
    if column.type in ("DOUBLE", "FLOAT"):
        whole = f"CASE WHEN {column.sql} = trunc({column.sql}) THEN TRY_CAST({column.sql} AS BIGINT) END"
        return f"coalesce(CAST({whole} AS VARCHAR), CAST({column.sql} AS VARCHAR))"
    if column.type == "JSON":
        return f"coalesce(TRY(json_extract_string({column.sql}, '$')), CAST({column.sql} AS VARCHAR))"
    if is_nested(column.type):
        return json_text(column)
    return f"CAST({column.sql} AS VARCHAR)"


def json_text(column: Typed) -> str:
    """The SQL for a nested value as JSON text."""
    if column.type in ("JSON", "VARCHAR"):
        return f"CAST({column.sql} AS VARCHAR)"
    return f"CAST(to_json({column.sql}) AS VARCHAR)"


def integer(column: Typed) -> str:
    """The SQL for a value as BIGINT, half away from zero; NULL where it is no number of that size."""
    if column.type == "BIGINT":
        return column.sql
    if column.type in ("DOUBLE", "FLOAT"):
        return f"TRY_CAST(round({column.sql}) AS BIGINT)"
    if is_number(column.type) or column.type in ("VARCHAR", "BOOLEAN"):
        return f"TRY_CAST({column.sql} AS BIGINT)"
    return f"TRY_CAST({text(column)} AS BIGINT)"


def money(column: Typed, decimals: int, *, minor: bool) -> str:
    """The SQL for an amount as BIGINT minor units, half away from zero; NULL where it is none.

    ``minor`` says that the values are minor units already. A float is read as the decimal it prints as, up to
    four digits below the minor unit, so that 1.005 is a half and not a little less.
    """
    scale = 0 if minor else decimals
    factor = 10**scale
    if column.type in ("DOUBLE", "FLOAT"):
        scaled = f"CAST({column.sql} AS DOUBLE) * {factor}::DOUBLE"
        return f"TRY_CAST(round(round({scaled}, 4)) AS BIGINT)"
    value = column.sql if is_number(column.type) or column.type == "VARCHAR" else text(column)
    return f"TRY_CAST(TRY_CAST({value} AS DECIMAL(24, {scale})) * {factor} AS BIGINT)"


def _split(text_: str) -> list[str]:
    """The parts between top-level commas."""
    parts, depth, start, quoted = [], 0, 0, False
    for index, char in enumerate(text_):
        if char == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text_[start:index])
            start = index + 1
    return [*parts, text_[start:]]
