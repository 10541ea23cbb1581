"""Rows that are sorted together, as columns that fill batch by batch and are then taken from in any order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.store.arrow_numbers import array_of


class Numbers:
    """A column of numbers as it fills: written where it stays, so that the engine's batches can go."""

    def __init__(self, dtype: np.dtype[Any], capacity: int, null: int | None = None) -> None:
        """``null`` is the value that stands for none."""
        # Memory that is not written to costs nothing.
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
        mask = None if self._is_null is None else self._is_null[: self._rows]
        if self._null is not None:
            mask = self.whole() == self._null
        self._is_null = None
        self._array = array_of(self.whole(), mask)

    def take(self, some: NDArray[np.intp]) -> pa.Array:
        """Some of them, once it is closed."""
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

    def take(self, some: NDArray[np.intp]) -> pa.Array:
        """Some of it, once it is closed."""
        return self._pieces[0].take(array_of(some))


AnyColumn = Numbers | Objects


@dataclass(slots=True)
class Chunk:
    """Rows that are sorted together."""

    columns: dict[str, AnyColumn] = field(default_factory=dict)
    rows: int = 0
    size: int = 0
