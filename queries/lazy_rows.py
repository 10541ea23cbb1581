"""Rows of a result that are made as they are read, so that millions need no list."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import overload

from queries.question import Row


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
