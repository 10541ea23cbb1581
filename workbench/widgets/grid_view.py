"""What of a table is in sight and where the cursor stands, without a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.widgets.grid_columns import Columns, Extra, Placed
from workbench.widgets.grid_lines import Lines

if TYPE_CHECKING:
    from queries.question import Page
    from workbench.tables import Table

HEADER = 1
SAMPLE = 200
"""Rows that decide how wide a column is at first."""
KEPT = 2000
"""Rows whose cells are kept as texts."""


class View:
    """A window of so many cells and lines over a table, the header among the lines, and the cursor in it."""

    def __init__(self) -> None:
        self.table: Table | None = None
        self.page: Page | None = None
        self.extras: tuple[Extra, ...] = ()
        self.columns = Columns((), (), {})
        self.lines: Lines | None = None
        """None until the size is known."""
        self.placed: list[Placed] = []
        self.row = 0
        self.column = 0
        self.first = 0
        """The leftmost column that is not held by naming the rows."""
        self.top = 0
        """The first line in sight below the header."""
        self.width = 0
        self.height = 0
        self._texts: dict[int, list[str]] = {}

    @property
    def rows(self) -> int:
        """The rows of the table."""
        return 0 if self.table is None else len(self.table)

    @property
    def body(self) -> int:
        """The lines below the header."""
        return max(self.height - HEADER, 0)

    @property
    def below(self) -> int:
        """The last line that may be the first in sight."""
        return max((0 if self.lines is None else len(self.lines)) - self.body, 0)

    def put(
        self, table: Table, extras: Sequence[Extra], page: Page | None, signs: dict[str, str], *, keep: bool
    ) -> None:
        """Takes another table; with ``keep`` the cursor stays: on its row, or else at its place."""
        before, place = self.table, self.row
        key = self.columns.all[self.column].key if self.columns.all else None
        is_same = before is not None and table.is_of(before)
        if before is not None and is_same and table.sort == before.sort and place < len(before):
            place = table.place(before.number(place)) or 0
        self.table, self.extras, self.page = table, tuple(extras), page
        self._texts = {}
        self.columns = Columns(table.columns, self.extras, signs)
        self.columns.see(table.texts(0, SAMPLE))
        self.row = min(place, max(len(table) - 1, 0)) if keep else 0
        self.top = self.top if keep else 0
        self.first = self.first if keep and is_same else 0
        kept = self.columns.number(key) if keep else None
        self.column = kept if kept is not None else next(iter(self.columns.selectable), 0)
        self.lines = None
        self.settle()

    def resize(self, width: int, height: int) -> None:
        """Takes another size."""
        self.width, self.height = width, height
        self.lines = None
        self.settle()

    def settle(self) -> None:
        """Brings lines, columns and what is in sight into accord with table, size and cursor."""
        if self.table is None or not self.width:
            # Where the columns stood before is nowhere now: other ones may have taken their place.
            self.placed = []
            return
        if self.lines is None:
            self.lines = Lines(self.table, self.page, self.width)
        self.columns.lay_out(self.width)
        self._keep_in_sight()
        self._see()

    def go(self, row: int, column: int) -> bool:
        """Puts the cursor there, as far as the table goes; whether other lines or columns are in sight now."""
        self.row, self.column = min(max(row, 0), max(self.rows - 1, 0)), column
        before = self.top, self.first
        self._keep_in_sight()
        if before == (self.top, self.first):
            return False
        self._see()
        return True

    def scroll(self, lines: int) -> bool:
        """Turns the window by lines, the cursor staying where it is; whether it could."""
        before, self.top = self.top, min(max(self.top + lines, 0), self.below)
        if self.top == before:
            return False
        self._see()
        return True

    def row_after(self, lines: int) -> int:
        """The row that stands so many lines from the cursor's, another one in any case."""
        if self.lines is None or not self.rows:
            return self.row
        line = min(max(self.lines.line_of(self.row) + lines, 0), len(self.lines) - 1)
        row, _ = self.lines.at(line)
        return row if row != self.row else row + (1 if lines > 0 else -1)

    def row_at(self, y: int) -> int | None:
        """The row whose cells, headings or remarks a line of the window shows."""
        line = y - HEADER + self.top
        if self.lines is None or y < HEADER or line >= len(self.lines):
            return None
        return self.lines.at(line)[0]

    def column_at(self, x: int) -> int:
        """The column at a cell of the window, or the one the cursor is in."""
        hit = [one.number for one in self.placed if one.x <= x]
        return hit[-1] if hit and self.columns.all[hit[-1]].shown is not None else self.column

    def line_of(self, row: int) -> int | None:
        """The line of the window that a row's cells are on; None where it is out of sight."""
        if self.lines is None or not 0 <= row < self.rows:
            return None
        y = self.lines.line_of(row) - self.top + HEADER
        return y if HEADER <= y < self.height else None

    def texts(self, row: int) -> list[str]:
        """The cells of a row."""
        assert self.table is not None
        if row not in self._texts:
            if len(self._texts) >= KEPT:
                self._texts.clear()
            self._texts[row] = self.table.texts(row, row + 1)[0]
        return self._texts[row]

    def _keep_in_sight(self) -> None:
        self.first = self.columns.first_for(self.column, self.first) if self.columns.all else 0
        if self.lines is None or not self.rows:
            self.top = 0
            return
        start, stop = self.lines.span(self.row)
        if stop - start > self.body:
            start = self.lines.line_of(self.row)
            stop = start + 1
        self.top = max(min(self.top, start), stop - self.body)
        self.top = max(min(self.top, self.below), 0)

    def _see(self) -> None:
        """Makes the rows in sight and gives their columns the room they need."""
        if self.lines is not None and self.rows and self.body:
            first, _ = self.lines.at(self.top)
            last, _ = self.lines.at(min(self.top + self.body, len(self.lines)) - 1)
            if self.columns.see([self.texts(row) for row in range(first, last + 1)]):
                self.columns.lay_out(self.width)
                self.first = self.columns.first_for(self.column, self.first)
        self.placed = self.columns.placed(self.first)
