"""Which line of a grid holds which row, where headings stand between rows and remarks under them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from workbench.text import clean, clip, width

if TYPE_CHECKING:
    from queries.question import Page, Section
    from workbench.tables import Table

INDENT = "  "


class Lines:
    """The lines of a table without its header: one a row, and those that a page adds, in so many cells.

    Headings stand only over rows in the order of the answer: under another sort their runs mean nothing.
    """

    def __init__(self, table: Table, page: Page | None, cells: int) -> None:
        self._table = table
        self._cells = max(cells, 20)
        self._sections: Sequence[Section] = () if page is None or table.sort is not None else page.sections
        self._below = None if page is None else page.below
        self._remarks: dict[int, list[str]] = {}
        """The lines under each row that has some."""
        self._starts: Sequence[int] | None = None
        """The first line of each row, then the number of lines; None: one line a row."""
        self._heads: Sequence[int] = ()
        """How many headings stand above each row."""
        if len(table) and (self._sections or self._below is not None):
            self._count()

    def __len__(self) -> int:
        return len(self._table) if self._starts is None else int(self._starts[-1])

    def line_of(self, row: int) -> int:
        """The line of a row's cells."""
        return row if self._starts is None else int(self._starts[row]) + int(self._heads[row])

    def span(self, row: int) -> tuple[int, int]:
        """The first line of a row with its headings, and the line after its last remark."""
        if self._starts is None:
            return row, row + 1
        return int(self._starts[row]), int(self._starts[row + 1])

    def at(self, line: int) -> tuple[int, int]:
        """The row that a line belongs to, and how far below the row's cells it is: negative for a heading."""
        if self._starts is None:
            return line, 0
        row = bisect_right(self._starts, line) - 1
        return row, line - self.line_of(row)

    def heading(self, row: int, above: int) -> str:
        """The heading so many lines above a row: 1 is the innermost."""
        depth = len(self._sections) - above
        section = self._sections[depth]
        text = clean(section.heading(self._table.row(row).get(section.key)))
        return clip(INDENT * depth + text, self._cells)

    def remark(self, row: int, below: int) -> str:
        """The line of remarks so many lines below a row, from 1."""
        return self._remarks[row][below - 1]

    def _count(self) -> None:
        import numpy as np

        heads = np.zeros(len(self._table), np.int64)
        keys: list[str] = []
        for section in self._sections:
            keys.append(section.key)
            heads[self._table.key_runs(*keys)] += 1
        heights = heads + 1
        for row, texts in () if self._below is None else self._table.lists(self._below):
            self._remarks[row] = [line for text in texts for line in self._wrapped(clean(text))]
            heights[row] += len(self._remarks[row])
        self._heads = heads  # type: ignore[assignment]
        self._starts = np.concatenate(([0], np.cumsum(heights)))  # type: ignore[assignment]

    def _wrapped(self, text: str) -> list[str]:
        lead = INDENT * 2
        room = self._cells - len(lead) - 2
        wide = width(text)
        if wide <= room:
            return [f"{lead}! {text}"]
        # Wide characters count for two.
        parts = wrap(text, room if wide == len(text) else max(room * len(text) // wide, 10))
        return [
            clip(f"{lead}{'  ' if number else '! '}{part}", self._cells) for number, part in enumerate(parts)
        ]
