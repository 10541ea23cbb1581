"""Rows of an answer held as Arrow columns, so that a million of them cost no Python objects.

Every value comes back as the JSON of the row has it: a column whose values Arrow has one type for is that
type, numbers of several types and decimals are text that is read as numbers again, and what is nested or of
several kinds is JSON text.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Literal

from queries.lazy_rows import listed
from workbench.values import plain

if TYPE_CHECKING:
    import pyarrow as pa

    from queries.lazy_rows import Values
    from queries.question import Row

Kind = Literal["nothing", "integer", "number", "boolean", "text", "numeric", "decimal", "json", "given"]
"""What a column holds; ``given`` is whatever type Arrow data came with."""

BATCH = 16_384

_SIMPLE: Mapping[type, Kind] = {int: "integer", float: "number", bool: "boolean", str: "text"}
_NUMERIC = frozenset({"integer", "number", "numeric"})


@dataclass(frozen=True, slots=True)
class Rows:
    """Immutable rows: batches of equal columns, each column of one kind."""

    keys: tuple[str, ...]
    kinds: tuple[Kind, ...]
    batches: tuple[pa.RecordBatch, ...]
    starts: tuple[int, ...]
    """The number of the first row of each batch, then the number of all rows."""

    def __len__(self) -> int:
        return self.starts[-1]

    def row(self, number: int) -> dict[str, object]:
        """One row with every key."""
        if not 0 <= number < len(self):
            raise IndexError(f"row {number} of {len(self)}")
        at = bisect_right(self.starts, number) - 1
        batch, place = self.batches[at], number - self.starts[at]
        return {
            key: _decoded(batch.column(index)[place].as_py(), kind)
            for index, (key, kind) in enumerate(zip(self.keys, self.kinds, strict=True))
        }

    def value(self, number: int, key: str) -> object:
        """One value of one row."""
        at = bisect_right(self.starts, number) - 1
        index = self.keys.index(key)
        return _decoded(self.batches[at].column(index)[number - self.starts[at]].as_py(), self.kinds[index])

    def kind(self, key: str) -> Kind | None:
        """What a column holds; None where no row has it."""
        return self.kinds[self.keys.index(key)] if key in self.keys else None

    def column(self, key: str) -> pa.ChunkedArray:
        """A column as it is held."""
        import pyarrow as pa

        index = self.keys.index(key)
        arrays = [batch.column(index) for batch in self.batches]
        return pa.chunked_array(arrays, type=arrays[0].type if arrays else pa.null())

    def values(self, key: str) -> Iterator[object]:
        """The values of a column, one after the other."""
        index, kind = self.keys.index(key), self.kind(key)
        assert kind is not None
        for batch in self.batches:
            for value in batch.column(index).to_pylist():
                yield _decoded(value, kind)

    def extended(self, rows: Iterable[Row]) -> Rows:
        """These rows and more after them; what is held already is not copied, unless a column's kind changes."""
        parts = [*self._parts(), *_encoded(rows, self.keys)]
        return _joined(parts, self.keys)

    def _parts(self) -> Iterator[_Part]:
        for batch in self.batches:
            columns = {
                key: (kind, batch.column(index))
                for index, (key, kind) in enumerate(zip(self.keys, self.kinds, strict=True))
            }
            yield _Part(batch.num_rows, columns)


def rows_of(rows: Iterable[Row], keys: Sequence[str]) -> Rows:
    """Rows as columns, in the order in which rows bring their keys; of ``keys`` those no row has come last."""
    return _joined(list(_encoded(rows)), tuple(keys))


def rows_of_columns(batches: Iterable[Mapping[str, Values]], keys: Sequence[str]) -> Rows:
    """As :func:`rows_of`, of rows that come as columns: numbers and text in bulk are never looked at one by one."""
    parts = []
    for batch in batches:
        columns = {key: _bulk(values) for key, values in batch.items()}
        parts.append(_Part(len(next(iter(batch.values()), ())), columns))
    return _joined(parts, tuple(keys))


def _bulk(values: Values) -> tuple[Kind, pa.Array]:
    """A column of numpy's integers as it is; any other as the values it holds."""
    import pyarrow as pa

    kind = getattr(getattr(values, "dtype", None), "kind", None)
    if kind in ("i", "u"):
        return "integer", pa.array(values, pa.int64())
    return _column(list(listed(values)))


def rows_of_arrow(table: pa.Table) -> Rows:
    """Arrow data, copied only where a type is not one of ours.

    Times finer than microseconds are cut there, as Python has none.
    """
    import pyarrow as pa

    found = [_kept(column) for column in table.columns]
    arrays = [array for _, array in found]
    batches = tuple(pa.Table.from_arrays(arrays, names=table.column_names).to_batches())
    starts = _starts(batch.num_rows for batch in batches)
    return Rows(tuple(table.column_names), tuple(kind for kind, _ in found), batches, starts)


def _kept(column: pa.ChunkedArray) -> tuple[Kind, pa.ChunkedArray]:
    import pyarrow as pa
    from pyarrow import types

    given = column.type
    if types.is_integer(given) and given != pa.uint64():
        return "integer", column.cast(pa.int64())
    if types.is_floating(given):
        return "number", _as_json(column.cast(pa.float64()))
    if types.is_boolean(given):
        return "boolean", column
    if types.is_string(given) or types.is_large_string(given):
        return "text", column.cast(pa.string())
    if types.is_null(given):
        return "nothing", column
    if types.is_timestamp(given) and given.unit == "ns":
        return "given", column.cast(pa.timestamp("us", tz=given.tz), safe=False)
    return "given", column


@dataclass(frozen=True, slots=True)
class _Part:
    """The columns of some rows, before all rows agree on the kinds."""

    length: int
    columns: dict[str, tuple[Kind, pa.Array]]


def _encoded(rows: Iterable[Row], keys: Sequence[str] = ()) -> Iterator[_Part]:
    left = iter(rows)
    found: dict[str, None] = dict.fromkeys(keys)
    while batch := list(islice(left, BATCH)):
        for row in batch:
            # Rows of an answer mostly share their keys; comparing views is quicker than merging each.
            if row.keys() - found.keys():
                found.update(dict.fromkeys(row))
        yield _Part(len(batch), {key: _column([row.get(key) for row in batch]) for key in found})


def _joined(parts: Sequence[_Part], keys: Sequence[str]) -> Rows:
    import pyarrow as pa

    every = tuple(dict.fromkeys([*(key for part in parts for key in part.columns), *keys]))
    kinds = {key: _common([part.columns[key][0] for part in parts if key in part.columns]) for key in every}
    schema = pa.schema([(key, _type(kinds[key], key, parts)) for key in every])
    batches = tuple(
        pa.RecordBatch.from_arrays(
            [_as(part, key, kinds[key], schema.field(index).type) for index, key in enumerate(every)],
            schema=schema,
        )
        for part in parts
        if part.length
    )
    starts = _starts(batch.num_rows for batch in batches)
    return Rows(every, tuple(kinds[key] for key in every), batches, starts)


def _starts(lengths: Iterable[int]) -> tuple[int, ...]:
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + length)
    return tuple(starts)


def _column(values: list[object]) -> tuple[Kind, pa.Array]:
    """Values as one Arrow array, and of which kind they are."""
    import pyarrow as pa

    types = set(map(type, values)) - {type(None)}
    if types == {Decimal}:
        return "decimal", pa.array([None if value is None else str(value) for value in values], pa.string())
    if not types <= _SIMPLE.keys():
        values = [plain(value) for value in values]
        types = set(map(type, values)) - {type(None)}
    if not types:
        return "nothing", pa.nulls(len(values))
    kind = _SIMPLE.get(types.pop(), "json") if len(types) == 1 else _of_several(types)
    try:
        if kind == "number":
            return kind, _as_json(pa.array(values, pa.float64()))
        if kind in ("integer", "boolean", "text"):
            return kind, pa.array(values, _types()[kind])
    except (OverflowError, UnicodeEncodeError, pa.ArrowInvalid):
        # An integer beyond 64 bits, or text with half a surrogate pair.
        kind = "numeric" if kind == "integer" else "json"
    return kind, _texts(values, kind)


def _as_json(numbers: pa.Array) -> pa.Array:
    """Numbers as JSON has them: no infinities, and minus zero is zero."""
    import pyarrow.compute as pc

    return pc.add(pc.if_else(pc.is_finite(numbers), numbers, None), 0.0)


def _of_several(types: set[type]) -> Kind:
    return "numeric" if types == {int, float} else "json"


def _texts(values: Iterable[object], kind: Kind) -> pa.Array:
    import pyarrow as pa

    return pa.array([None if value is None else _text(value, kind) for value in values], pa.string())


def _text(value: object, kind: Kind) -> str:
    if kind == "decimal":
        return str(value)
    text = json.dumps(plain(value), ensure_ascii=False)
    return text if text.isascii() or _is_valid(text) else json.dumps(value)


def _is_valid(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decoded(value: object, kind: Kind) -> object:
    if value is None:
        return None
    if kind in ("json", "numeric"):
        return json.loads(str(value))
    if kind == "decimal":
        return Decimal(str(value))
    return plain(value) if kind == "given" and not isinstance(value, Decimal) else value


def _common(kinds: Sequence[Kind]) -> Kind:
    """The kind that holds values of all of them."""
    found = set(kinds) - {"nothing"}
    if not found:
        return "nothing"
    if len(found) == 1:
        return found.pop()
    return "numeric" if found <= _NUMERIC else "json"


def _as(part: _Part, key: str, kind: Kind, arrow_type: pa.DataType) -> pa.Array:
    import pyarrow as pa

    own, array = part.columns.get(key, ("nothing", None))
    if array is None:
        return pa.nulls(part.length, arrow_type)
    if own == kind:
        return array
    if own == "nothing":
        return array.cast(arrow_type)
    return _texts((_decoded(value, own) for value in array.to_pylist()), kind)


def _type(kind: Kind, key: str, parts: Sequence[_Part]) -> pa.DataType:
    if kind == "given":
        return next(part.columns[key][1].type for part in parts if part.columns[key][0] == "given")
    return _types()[kind]


def _types() -> Mapping[Kind, pa.DataType]:
    import pyarrow as pa

    text = pa.string()
    return {
        "nothing": pa.null(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "text": text,
        "numeric": text,
        "decimal": text,
        "json": text,
    }
