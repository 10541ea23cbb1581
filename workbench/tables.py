"""The rows of an answer as a screen shows them: sorted, filtered and searched over all rows, drawn a page at a time.

A :class:`Table` never changes and never copies its data: sorting and filtering make another table that reads
the same columns in another order. pyarrow, numpy and duckdb are loaded by the first table, never by importing
this module; tables are made, sorted, filtered and searched on the worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from queries.lazy_rows import ColumnRows
from workbench.output.cells import cell
from workbench.table_rows import Rows, rows_of, rows_of_arrow, rows_of_columns

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from queries.question import Row, Shown


@dataclass(frozen=True, slots=True)
class Sort:
    """By which column the rows are sorted."""

    key: str
    descending: bool


class Table:
    """An answer's rows, some or all of them, in some order. Make one with :meth:`of_rows` or :meth:`of_arrow`."""

    def __init__(
        self,
        columns: Sequence[Shown],
        rows: Rows,
        total: int | None = None,
        *,
        sort: Sort | None = None,
        filter_text: str = "",
        base: Table | None = None,
        remarks: str | None = None,
    ) -> None:
        self.columns = tuple(columns)
        self.sort = sort
        """By what the rows are sorted; None: in the order of the answer."""
        self.filter_text = filter_text
        """What every row in sight shows somewhere; empty: all rows are in sight."""
        self.remarks = remarks
        """The key of texts that stand under their row: they are found too."""
        self._rows = rows
        self._total = total
        self._base = base
        self._searched: tuple[str, NDArray[np.int64]] | None = None

    @classmethod
    def of_rows(
        cls,
        columns: Sequence[Shown],
        rows: Iterable[Row],
        *,
        total: int | None = None,
        remarks: str | None = None,
    ) -> Table:
        """Rows of an answer, read once. ``total`` is how many it has, where these are only its first."""
        keys = [shown.key for shown in columns]
        read = rows_of_columns(rows.columns(), keys) if isinstance(rows, ColumnRows) else rows_of(rows, keys)
        return cls(columns, read, total, remarks=remarks)

    @classmethod
    def of_arrow(cls, columns: Sequence[Shown], data: pa.Table, *, total: int | None = None) -> Table:
        """An answer that is Arrow data already."""
        return cls(columns, rows_of_arrow(data), total)

    def extended(self, rows: Iterable[Row]) -> Table:
        """This table and more rows of the same answer, under the same sort and filter."""
        base = Table(self.columns, self._rows.extended(rows), self._total, remarks=self.remarks)
        return base._seen_as(self.sort, self.filter_text)

    def __len__(self) -> int:
        return len(self._rows) if self._order is None else len(self._order)

    @property
    def loaded(self) -> int:
        """The rows that are here, whatever the filter hides."""
        return len(self._rows)

    @property
    def total(self) -> int:
        """The rows of the whole answer, here or not, whatever the filter hides."""
        return len(self._rows) if self._total is None else max(self._total, len(self._rows))

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key of the rows, the shown ones first."""
        return self._rows.keys

    def number(self, place: int) -> int:
        """The number of the row at a place in the order of the answer: stays its own under any sort and filter."""
        if not 0 <= place < len(self):
            raise IndexError(f"row {place} of {len(self)}")
        return place if self._order is None else int(self._order[place])

    def place(self, number: int) -> int | None:
        """Where the row of a number stands now; None where it is not in sight."""
        if self._order is None:
            return number if 0 <= number < len(self) else None
        found = (self._order == number).nonzero()[0]
        return int(found[0]) if len(found) else None

    def is_of(self, other: Table) -> bool:
        """Whether both show rows of one answer, so that their numbers mean the same rows."""
        return self._root is other._root or self._rows is other._rows

    def row(self, place: int) -> dict[str, object]:
        """A row with every key, its nested values as they were."""
        return self._rows.row(self.number(place))

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[dict[str, object]]:
        """The rows from ``start`` to before ``stop``, made one at a time."""
        return map(self.row, range(start, len(self) if stop is None else min(stop, len(self))))

    def numbered(self, number: int) -> dict[str, object]:
        """The row of a number, in sight or not."""
        return self._rows.row(number)

    def lists(self, key: str) -> Iterator[tuple[int, list[object]]]:
        """The places of the rows whose value under a key is a list that is not empty, with the lists."""
        from workbench.table_search import listed

        return listed(self._rows, key, self._order)

    def texts(self, start: int, stop: int) -> list[list[str]]:
        """The cells of the rows from ``start`` to before ``stop``, cleaned, as tables show them."""
        return [[cell(row, shown) for shown in self.columns] for row in self.rows(max(start, 0), stop)]

    def sorted(self, key: str | None, descending: bool = False) -> Table:
        """The same rows by a key: stable, null last in both directions; None: in the order of the answer."""
        return self._seen_as(None if key is None else Sort(key, descending), self.filter_text)

    def filtered(self, text: str) -> Table:
        """The rows of the whole table that show a text, capitals or not, in the order of this one.

        The text takes the place of the one before; an empty one shows all rows again.
        """
        return self._seen_as(self.sort, text)

    def find(self, text: str, start: int, step: int = 1) -> int | None:
        """The place of the first row that shows a text, from ``start`` on and then round the other end.

        ``step`` is 1 for down and -1 for up. None where no row shows it.
        """
        import numpy as np

        found = self._places(text)
        if not text or not len(found):
            return None
        if step > 0:
            at = int(np.searchsorted(found, start, "left"))
            return int(found[at if at < len(found) else 0])
        return int(found[int(np.searchsorted(found, start, "right")) - 1])

    def found(self, text: str) -> int:
        """How many rows in sight show a text."""
        return len(self._places(text)) if text else 0

    def key_runs(self, *keys: str) -> NDArray[np.int64]:
        """The places where a run of rows alike in all the keys begins."""
        from workbench.table_search import runs

        return runs(self._rows, keys, self._order)

    @cached_property
    def _order(self) -> NDArray[np.int64] | None:
        """The numbers of the rows in sight, in order; None for all of them as they are."""
        if self._base is None:
            return None
        from workbench.table_search import order

        if self.filter_text:
            # Sorted first and then thinned out: the order of all rows is there for the next filter.
            everything = self._base._seen_as(self.sort, "")
            kept = self._base._mask(self.filter_text)
            return (
                kept.nonzero()[0] if everything._order is None else everything._order[kept[everything._order]]
            )
        assert self.sort is not None
        kinds = {shown.kind for shown in self.columns if shown.key == self.sort.key}
        is_time = not kinds.isdisjoint(("time", "clock"))
        return order(self._rows, self.sort.key, self.sort.descending, is_time=is_time)

    @property
    def _root(self) -> Table:
        return self if self._base is None else self._base

    def _seen_as(self, sort: Sort | None, filter_text: str) -> Table:
        if sort == self.sort and filter_text == self.filter_text:
            return self
        root = self._root
        if sort is None and not filter_text:
            return root
        table = Table(
            self.columns,
            self._rows,
            self._total,
            sort=sort,
            filter_text=filter_text,
            base=root,
            remarks=self.remarks,
        )
        # Made here, on the worker, and not at the first paint.
        _ = table._order
        return table

    def _places(self, text: str) -> NDArray[np.int64]:
        if self._searched is None or self._searched[0] != text:
            mask = self._root._mask(text)
            places = (mask if self._order is None else mask[self._order]).nonzero()[0]
            self._searched = text, places
        return self._searched[1]

    def _mask(self, text: str) -> NDArray[np.bool_]:
        from workbench.table_search import matches

        return matches(self._rows, self.columns, text, self.remarks)
