"""Answers as Parquet, with types found in the values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from workbench import SEMANTICS_VERSION
from workbench.output.documents import command_line
from workbench.output.streams import Sink
from workbench.values import Plain, plain

if TYPE_CHECKING:
    import pyarrow as pa

    from queries.question import Result, Row

BATCH = 65_536
_INT64 = 2**63
_DIGITS_38 = 10**38


def write_parquet(result: Result, rows: Sequence[Row], columns: Sequence[str], sink: Sink) -> None:
    """Writes every key of the rows, read twice: once for the types, once for the values.

    Integers are int64 (decimal(38) or text beyond), times with an offset are UTC timestamps in microseconds,
    what is nested or of several kinds is JSON text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    times = {shown.key for shown in result.layout if shown.kind == "time"}
    kinds = _kinds(rows, columns, times)
    schema = pa.schema(
        [pa.field(name, _type(kinds[name], pa)) for name in columns],
        metadata={
            "workbench.command": command_line(result.request).encode("utf-8", "backslashreplace"),
            "workbench.semantics_version": SEMANTICS_VERSION,
        },
    )
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for batch in _batches(rows):
            arrays = [
                pa.array([_value(row.get(name), kinds[name]) for row in batch], type=schema.field(name).type)
                for name in columns
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


def _kinds(rows: Iterable[Row], columns: Sequence[str], times: set[str]) -> Mapping[str, str]:
    found: dict[str, set[str]] = {name: set() for name in columns}
    for row in rows:
        for name, kinds in found.items():
            kinds.add(_kind(plain(row.get(name)), name in times))
    return {name: _common(kinds - {"null"}) for name, kinds in found.items()}


def _kind(value: Plain, time: bool) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        if -_INT64 <= value < _INT64:
            return "integer"
        return "large" if abs(value) < _DIGITS_38 else "json"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "time" if time and _moment(value) else "text"
    return "json"


def _common(kinds: set[str]) -> str:
    if not kinds:
        return "text"
    if len(kinds) == 1:
        return kinds.pop()
    if kinds <= {"integer", "large"}:
        return "large"
    if kinds <= {"integer", "number"}:
        return "number"
    return "text" if kinds <= {"text", "time"} else "json"


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _value(value: object, kind: str) -> object:
    value = plain(value)
    if value is None:
        return None
    if kind == "large" and isinstance(value, int):
        return Decimal(value)
    if kind == "number" and isinstance(value, int):
        return float(value)
    if kind == "time":
        return _moment(str(value))
    if kind == "json":
        return json.dumps(value)
    # Arrow takes valid UTF-8 only.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _type(kind: str, arrow: pa) -> pa.DataType:
    return {
        "boolean": arrow.bool_(),
        "integer": arrow.int64(),
        "large": arrow.decimal128(38, 0),
        "number": arrow.float64(),
        "time": arrow.timestamp("us", tz="UTC"),
    }.get(kind, arrow.string())
