"""Numbers between Arrow and numpy, by their buffers: Arrow's own ways there load pandas wherever it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Bools = NDArray[np.bool_]


def dtype_of(kind: pa.DataType) -> np.dtype[Any] | None:
    """numpy's type for integers and floating point; None for any other type."""
    if pa.types.is_floating(kind):
        return np.dtype(f"f{kind.bit_width // 8}")
    if pa.types.is_integer(kind):
        return np.dtype(f"{'i' if pa.types.is_signed_integer(kind) else 'u'}{kind.bit_width // 8}")
    return None


def values_of(array: pa.Array) -> NDArray[Any]:
    """The numbers of an array, without a copy; anything where it has NULL. Raises TypeError where it has no numbers."""
    dtype = dtype_of(array.type)
    if dtype is None:
        raise TypeError(f"an array of {array.type} holds no numbers")
    if not len(array):
        return np.empty(0, dtype)
    return np.frombuffer(array.buffers()[1], dtype)[array.offset : array.offset + len(array)]


def nulls_of(array: pa.Array) -> Bools | None:
    """Where an array of any type has NULL; None where it has none."""
    if not array.null_count:
        return None
    bits = np.frombuffer(array.buffers()[0], np.uint8)
    valid = np.unpackbits(bits, count=array.offset + len(array), bitorder="little")
    missing: Bools = valid[array.offset :] == 0
    return missing


def array_of(values: NDArray[Any], is_null: Bools | None = None) -> pa.Array:
    """An Arrow array on the memory of numbers, with NULL where ``is_null``."""
    values = np.ascontiguousarray(values)
    valid = None if is_null is None else pa.py_buffer(np.packbits(~is_null, bitorder="little"))
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(values)])


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece, of text with one dictionary."""
    if column.num_chunks == 1:
        return column.chunk(0)
    whole = column.unify_dictionaries().combine_chunks()
    return whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole
