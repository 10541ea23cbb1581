"""The DuckDB type names of a Parquet file's columns, told from its footer alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

MAX_DECIMAL_DIGITS = 38
"""DuckDB reads wider decimals as DOUBLE."""

_PHYSICAL = {
    "BOOLEAN": "BOOLEAN",
    "INT32": "INTEGER",
    "INT64": "BIGINT",
    "INT96": "TIMESTAMP",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "BYTE_ARRAY": "BLOB",
    "FIXED_LEN_BYTE_ARRAY": "BLOB",
}
_LOGICAL = {
    "String": "VARCHAR",
    "Enum": "VARCHAR",
    "Date": "DATE",
    "JSON": "JSON",
    "UUID": "UUID",
    "Interval": "INTERVAL",
    "Float16": "FLOAT",
    "Null": '"NULL"',
}
_INTEGERS = {8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}


class BadColumns(ValueError):
    """Column names that no engine can tell apart, or that are none."""


def columns_of(schema: pq.ParquetSchema) -> tuple[tuple[str, str], ...]:
    """Name and DuckDB type of each column, in file order; names inside ``STRUCT(…)`` are always quoted.

    Raises :class:`BadColumns` for names that are empty or differ by case only.
    """
    leaves = (_leaf(schema.column(index)) for index in range(len(schema.names)))
    fields = list(schema.to_arrow_schema())
    check_names([field.name for field in fields])
    return tuple((field.name, _named(field.type, leaves)) for field in fields)


def millis_of(schema: pq.ParquetSchema) -> frozenset[str]:
    """The columns of moments, not those inside others, that are written in milliseconds."""
    columns = [schema.column(index) for index in range(len(schema.names))]
    logical = {one.path: json.loads(one.logical_type.to_json()) for one in columns}
    return frozenset(
        path
        for path, kind in logical.items()
        if kind["Type"] == "Timestamp" and kind["timeUnit"] == "milliseconds"
    )


def check_names(names: Sequence[str]) -> None:
    """Raises :class:`BadColumns` for names that are empty or equal but for the case of ASCII letters."""
    seen: dict[bytes, str] = {}
    for name in names:
        if not name:
            raise BadColumns("a column without a name")
        # DuckDB folds ASCII only, and so does bytes.lower.
        other = seen.setdefault(name.encode().lower(), name)
        if other is not name:
            raise BadColumns(f"columns that differ by case only: {_plain(other)}, {_plain(name)}")
    if len(seen) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise BadColumns(f"two columns of the same name: {_plain(double)}")


def _plain(name: str) -> str:
    return " ".join(name.split())[:60]


def _named(kind: pa.DataType, leaves: Iterator[str]) -> str:
    """The name of a type; takes as many leaves as the type holds."""
    if isinstance(kind, pa.StructType):
        fields = list(kind)
        check_names([field.name for field in fields])
        inner = ", ".join(f"{_quoted(field.name)} {_named(field.type, leaves)}" for field in fields)
        return f"STRUCT({inner})"
    if isinstance(kind, pa.MapType):
        return f"MAP({_named(kind.key_type, leaves)}, {_named(kind.item_type, leaves)})"
    if isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        return f"{_named(kind.value_type, leaves)}[]"
    return next(leaves)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _leaf(column: pq.ColumnSchema) -> str:
    if column.physical_type == "INT96":
        return "TIMESTAMP"
    logical = json.loads(column.logical_type.to_json())
    name = logical["Type"]
    if name == "Timestamp":
        nanos = logical["timeUnit"] == "nanoseconds"
        if logical["isAdjustedToUTC"]:
            return "TIMESTAMPTZ_NS" if nanos else "TIMESTAMP WITH TIME ZONE"
        return "TIMESTAMP_NS" if nanos else "TIMESTAMP"
    if name == "Time":
        if logical["isAdjustedToUTC"]:
            return "TIME WITH TIME ZONE"
        return "TIME_NS" if logical["timeUnit"] == "nanoseconds" else "TIME"
    if name == "Int":
        return ("" if logical["isSigned"] else "U") + _INTEGERS[logical["bitWidth"]]
    if name == "Decimal":
        precision, scale = logical["precision"], logical["scale"]
        return f"DECIMAL({precision},{scale})" if precision <= MAX_DECIMAL_DIGITS else "DOUBLE"
    return _LOGICAL.get(name) or _PHYSICAL[column.physical_type]
