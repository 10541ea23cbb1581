"""Rows of a result that are made as they are read, so that millions need no list."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, overload

from queries.question import Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Values: TypeAlias = "Sequence[object] | NDArray[np.generic]"
"""One key's values of some rows; None is missing."""


class LazyRows(Sequence[Row]):
    """A sequence of rows of which a length and one way through are known; any place is reached by going there."""

    @abstractmethod
    def __iter__(self) -> Iterator[Row]: ...

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if index == 0:
            for row in self:
                return row
        return list(self)[index]


class ColumnRows(LazyRows):
    """Lazy rows that are read as columns: a face that wants columns is spared millions of rows."""

    @abstractmethod
    def columns(self) -> Iterator[Mapping[str, Values]]:
        """The rows in order, a batch at a time: equally long values by key."""

    def __iter__(self) -> Iterator[Row]:
        for batch in self.columns():
            for row in zip(*map(listed, batch.values()), strict=True):
                yield dict(zip(batch, row, strict=True))


def listed(values: Values) -> Sequence[object]:
    """Values as Python's own."""
    return values if isinstance(values, list) else values.tolist()  # type: ignore[union-attr]
