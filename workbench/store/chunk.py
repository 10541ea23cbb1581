"""Rows that are sorted together, as columns that fill batch by batch and are then taken from in any order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.store.arrow_numbers import array_of, values_of


class Numbers:
    """A column of numbers as it fills: written where it stays, so that the engine's batches can go."""

    def __init__(self, dtype: np.dtype[Any], capacity: int, null: int | None = None) -> None:
        """``null`` is the value that stands for none."""
        # Memory that is not written to costs nothing, and writing to it the first time a good deal.
        self.values: NDArray[Any] = np.empty(capacity, dtype)
        self._is_null: NDArray[np.bool_] | None = None
        self._null = null
        self._rows = 0

    def add(self, values: NDArray[Any], is_null: NDArray[np.bool_] | None = None) -> int:
        """Appends values; returns their bytes."""
        end = self._rows + len(values)
        self.values[self._rows : end] = values
        if is_null is not None:
            if self._is_null is None:
                self._is_null = np.zeros(len(self.values), bool)
            self._is_null[self._rows : end] = is_null
        self._rows = end
        return values.nbytes

    def whole(self) -> NDArray[Any]:
        """All values so far."""
        return self.values[: self._rows]

    def close(self) -> None:
        """Makes of it what :meth:`take` takes from."""
        self._array = array_of(self.whole())

    def clear(self) -> None:
        """Begins anew, in the same memory."""
        self._rows = 0
        self._is_null = None

    def take(self, some: NDArray[np.intp]) -> pa.Array:
        """Some of them, once it is closed."""
        # Arrow is slow where there may be NULL.
        if self._null is not None:
            values = self.values.take(some)
            return array_of(values, values == self._null)
        if self._is_null is not None:
            return array_of(self.values.take(some), self._is_null.take(some))
        return self._array.take(array_of(some))


class Objects:
    """A column of anything else, as Arrow holds it."""

    def __init__(self) -> None:
        self._pieces: list[pa.Array] = []

    def add(self, piece: pa.Array) -> int:
        """Appends an array; returns its bytes."""
        # A copy: the engine's own buffers are several times as large as what they hold.
        self._pieces.append(pa.concat_arrays([piece, piece.slice(0, 0)]))
        return int(piece.nbytes)

    def close(self) -> None:
        """Makes one array of all."""
        whole = pa.chunked_array(self._pieces).combine_chunks()
        self._pieces = [whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole]

    def clear(self) -> None:
        """Begins anew."""
        self._pieces = []

    def take(self, some: NDArray[np.intp]) -> pa.Array:
        """Some of it, once it is closed."""
        return self._pieces[0].take(array_of(some))

    def encoded(self) -> tuple[list[Any], NDArray[Any]]:
        """The values that differ, and the code of each row's, once it is closed; it must have no NULL."""
        whole = self._pieces[0].dictionary_encode()
        return whole.dictionary.to_pylist(), values_of(whole.indices)


AnyColumn = Numbers | Objects


@dataclass(slots=True)
class Chunk:
    """Rows that are sorted together."""

    columns: dict[str, AnyColumn] = field(default_factory=dict)
    rows: int = 0
    size: int = 0

    def clear(self) -> None:
        """Begins anew, with the same columns."""
        self.rows = self.size = 0
        for column in self.columns.values():
            column.clear()
