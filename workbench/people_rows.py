"""Lists of people as rows of a result, their ids read when they are written: millions need no list."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from queries.lazy_rows import LazyRows
from queries.question import Row


class PeopleRows(LazyRows):
    """One row a person, ``user`` and the ``kind`` of id, in the order ``ids_of`` gives."""

    def __init__(
        self, ids_of: Callable[[NDArray[np.int64]], Iterator[tuple[str, str]]], codes: NDArray[np.int64]
    ) -> None:
        self._ids_of = ids_of
        self._codes = codes

    def __len__(self) -> int:
        return len(self._codes)

    def __iter__(self) -> Iterator[Row]:
        for name, kind in self._ids_of(self._codes):
            yield {"user": name, "kind": kind}
