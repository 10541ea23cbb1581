"""Values as small numbers, each standing for one of few: what a column of a lane is on disk and in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from queries.kernels.ordering import Bools, Ints
from workbench.store.arrow_numbers import nulls_of, values_of

MOST_TEXTS = 65_535
MOST_NUMBERS = 1 << 18
"""A property with more values among the events of one name is read otherwise."""

_WIDE = 1 << 22
"""Whole numbers no further apart than this are counted, not sorted."""

Codes = NDArray[np.unsignedinteger[Any]]
Value = str | int | float


@dataclass(frozen=True, slots=True)
class LaneColumn:
    """A property of all events of one name, in the order of their lane."""

    codes: Codes
    """0 for none, else one more than the place among the values."""
    values: tuple[Value, ...]
    """Each once, as the column holds it."""
    kind: str
    """Its SQL type."""


NO_COLUMN = LaneColumn(np.empty(0, np.uint8), (), "")
"""Stands for the column of a property that cannot have one."""


@dataclass(frozen=True, slots=True)
class Table:
    """Properties of all events of one name together, in the order of their lane."""

    codes: Codes
    values: Mapping[str, Sequence[Value | None]]
    """By property, of each code."""
    kinds: Mapping[str, str]
    count: int
    """How many codes there are."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a property's values, as they are read."""

    numbers: NDArray[Any]
    """Codes of text, 0 for none; else numbers, floating point by its bits."""
    missing: Bools | None = None
    """Which of the numbers are none."""


@dataclass(frozen=True, slots=True)
class Coded:
    """All values of a property, piece by piece, as codes of one numbering."""

    codes: list[Codes]
    values: tuple[Value, ...]
    kind: str


class Gathered:
    """The values of one property among the events of one name, as several threads come upon them."""

    def __init__(self) -> None:
        self.is_lost = False
        """Whether they are of no type or of too many values to have codes."""
        self._type: pa.DataType | None = None
        self._codes: dict[str, int] = {}
        self._newest: tuple[pa.Array, Ints] | None = None
        """A dictionary, and the codes of its values as far as they came up; −1 for others."""
        self._lock = Lock()

    def take(self, column: pa.Array, rows: Ints) -> Piece | None:
        """The values of some rows; None where they are lost."""
        is_text = pa.types.is_dictionary(column.type)
        kind = column.type.value_type if is_text else column.type
        with self._lock:
            self._type = self._type or kind
            self.is_lost = self.is_lost or str(kind) not in _KINDS or kind != self._type
        if self.is_lost:
            return None
        missing = nulls_of(column.indices if is_text else column)
        missing = None if missing is None else missing[rows]
        if is_text:
            return self._texts(values_of(column.indices)[rows], column.dictionary, missing)
        numbers = values_of(column)[rows]
        return Piece(numbers.view(np.int64) if numbers.dtype == np.float64 else numbers, missing)

    def _texts(self, local: NDArray[Any], dictionary: pa.Array, missing: Bools | None) -> Piece | None:
        there = local if missing is None else local[~missing]
        with self._lock:
            if self._newest is None or not self._newest[0].equals(dictionary):
                self._newest = dictionary, np.full(len(dictionary), -1, np.int64)
            own = self._newest[1]
            new = np.flatnonzero((np.bincount(there, minlength=len(own)) > 0) & (own < 0))
            for place in new.tolist():
                own[place] = self._codes.setdefault(dictionary[place].as_py(), len(self._codes) + 1)
            self.is_lost = self.is_lost or len(self._codes) > MOST_TEXTS
        if self.is_lost:
            return None
        if missing is None:
            return Piece(own[local].astype(np.uint16))
        codes = np.zeros(len(local), np.uint16)
        codes[~missing] = own[there]
        return Piece(codes)

    def coded(self, pieces: Sequence[Piece | None]) -> Coded | None:
        """The pieces with codes in the order of the values; None where they are lost."""
        found = [piece for piece in pieces if piece is not None]
        if self.is_lost or self._type is None or len(found) < len(pieces):
            return None
        kind = _KINDS[str(self._type)]
        if kind != "VARCHAR":
            return _of_numbers(found, kind)
        texts = sorted(self._codes)
        own = np.zeros(len(texts) + 1, np.min_scalar_type(len(texts)))
        own[[self._codes[text] for text in texts]] = np.arange(1, len(own))
        return Coded([own[piece.numbers] for piece in found], tuple(texts), kind)


_KINDS = {"string": "VARCHAR", "int32": "INTEGER", "int64": "BIGINT", "double": "DOUBLE"}
"""The types of columns that have codes, in Arrow's words and in SQL's."""


def _of_numbers(pieces: Sequence[Piece], kind: str) -> Coded | None:
    """Numbers as codes; None where they are too many."""
    there = [piece.numbers if piece.missing is None else piece.numbers[~piece.missing] for piece in pieces]
    distinct = _distinct([some for some in there if len(some)])
    if len(distinct) > MOST_NUMBERS:
        return None
    codes = []
    for piece, some in zip(pieces, there, strict=True):
        own = (_place(some, distinct) + 1).astype(np.min_scalar_type(len(distinct)))
        if piece.missing is not None:
            every = np.zeros(len(piece.numbers), own.dtype)
            every[~piece.missing] = own
            own = every
        codes.append(own)
    values = distinct.view(np.float64) if kind == "DOUBLE" else distinct
    return Coded(codes, tuple(values.tolist()), kind)


def joined(columns: Mapping[str, LaneColumn]) -> Table | None:
    """Columns of one lane as one, its codes standing for what they have together; None where that is too much."""
    kinds = {name: column.kind for name, column in columns.items()}
    every = {name: (None, *column.values) for name, column in columns.items()}
    if len(columns) == 1:
        ((name, column),) = columns.items()
        return Table(column.codes, every, kinds, len(every[name]))
    shape = [len(values) for values in every.values()]
    if math.prod(shape) > _WIDE:
        return None
    codes = np.ravel_multi_index([column.codes for column in columns.values()], shape)
    found = _distinct([codes] if len(codes) else [])
    if len(found) > MOST_NUMBERS:
        return None
    places = np.unravel_index(found, shape)
    values = {
        name: [values[place] for place in some.tolist()]
        for (name, values), some in zip(every.items(), places, strict=True)
    }
    own = _place(codes, found).astype(np.min_scalar_type(max(len(found) - 1, 0)))
    return Table(own, values, kinds, len(found))


def _is_narrow(low: int, high: int) -> bool:
    return high - low < _WIDE


def _distinct(some: Sequence[Ints]) -> Ints:
    """Every number once, ascending."""
    if not some:
        return np.empty(0, np.int64)
    low, high = min(int(part.min()) for part in some), max(int(part.max()) for part in some)
    if not _is_narrow(low, high):
        return np.unique(np.concatenate([np.unique(part) for part in some])).astype(np.int64)
    seen = np.zeros(high - low + 1, bool)
    for part in some:
        seen[part - low] = True
    return np.flatnonzero(seen) + low


def _place(numbers: Ints, distinct: Ints) -> Ints:
    """The place of each number among all there are."""
    if not len(distinct) or not _is_narrow(int(distinct[0]), int(distinct[-1])):
        return np.searchsorted(distinct, numbers)
    low = int(distinct[0])
    table = np.zeros(int(distinct[-1]) - low + 1, np.int64)
    table[distinct - low] = np.arange(len(distinct))
    places: Ints = table[numbers - low]
    return places
