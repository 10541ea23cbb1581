"""How wide a grid's columns are, and which of them stand side by side in so many cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.output.cells import align
from workbench.text import Align, clean, width

if TYPE_CHECKING:
    from rich.text import Text

    from queries.question import Row, Shown

LEFT = 1
"""Cells left of the first column: a mark's place, and the sign of columns gone that way."""
CAP = 40
"""Cells of a wide column, until all others have their room."""
MOST = 400
SLIVER = 6
"""A text shows at least so many cells at the right edge, or its column is left for later."""


@dataclass(frozen=True, slots=True)
class Extra:
    """A column that a screen draws itself, such as bars; the cursor passes over it.

    ``render`` gets a row and the cells to fill. ``before`` is the key of the column at its right; None: the
    last. One that is not kept goes away where the columns have no room beside it.
    """

    key: str
    heading: str
    cells: int
    render: Callable[[Row, int], Text]
    before: str | None = None
    keep: bool = False


@dataclass(slots=True)
class Column:
    """One column in the making: it grows with the texts that are seen."""

    key: str
    heading: str
    align: Align
    shown: Shown | None
    extra: Extra | None
    index: int
    """Its place among the table's columns; -1 for an extra."""
    natural: int
    cells: int = 0
    here: bool = True


@dataclass(frozen=True, slots=True)
class Placed:
    """A column in sight: from which cell, how many."""

    number: int
    x: int
    cells: int


class Columns:
    """All columns of a grid, in order, with the extras between them."""

    def __init__(self, shown: Sequence[Shown], extras: Sequence[Extra], signs: Mapping[str, str]) -> None:
        """``signs`` are put behind a heading: the way of the sort."""
        self.all: list[Column] = []
        for index, one in enumerate(shown):
            self.all += [_extra(extra) for extra in extras if extra.before == one.key]
            heading = clean(one.heading) + signs.get(one.key, "")
            self.all.append(Column(one.key, heading, align(one), one, None, index, width(heading)))
        known = {one.key for one in shown}
        self.all += [_extra(extra) for extra in extras if extra.before not in known]
        self._names = [
            number for number, column in enumerate(self.all) if column.shown and column.shown.names
        ]
        if not self._names:
            self._names = [number for number, column in enumerate(self.all) if column.shown][:1]
        self._gap = 2
        self._room = 0

    @property
    def selectable(self) -> list[int]:
        """The columns that the cursor stands on."""
        return [number for number, column in enumerate(self.all) if column.shown is not None]

    def number(self, key: str | None) -> int | None:
        """The place of a column that the cursor can stand on; None where there is none of that key."""
        return next((number for number in self.selectable if self.all[number].key == key), None)

    def see(self, texts: Sequence[Sequence[str]]) -> bool:
        """Makes room for the cells of rows, up to the caps; says whether a column grew."""
        grown = False
        for column in self.all:
            if column.shown is not None and texts:
                widest = min(max(width(cells[column.index]) for cells in texts), MOST)
                grown |= widest > column.natural
                column.natural = max(column.natural, widest)
        return grown

    def lay_out(self, room: int) -> None:
        """Gives each column its cells, so that they fill at most ``room`` where that is possible."""
        self._room = room
        for column in self.all:
            column.here = True
            column.cells = min(column.natural, CAP) if column.extra is None else column.natural
        for column in reversed(self.all):
            if self._wide(1) > room and column.extra is not None and not column.extra.keep:
                column.here = False
        self._gap = 2 if self._wide(2) <= room else 1
        spare = room - self._wide(self._gap)
        for column in self.all:
            if column.here and spare > 0 and column.natural > column.cells:
                more = min(spare, column.natural - column.cells)
                column.cells += more
                spare -= more

    def placed(self, first: int) -> list[Placed]:
        """The columns in sight where ``first`` is the leftmost but for those that name a row."""
        out: list[Placed] = []
        x = LEFT
        pinned = self._pinned(first)
        for number in (*pinned, *range(first, len(self.all))):
            column = self.all[number]
            if not column.here:
                continue
            left, cells = self._room - x, column.cells
            if cells > left:
                is_text = column.extra is None and column.align == "left"
                only = number not in pinned and len(out) == len(pinned)
                if left < 1 or not (only or (is_text and left >= SLIVER)):
                    break
                cells = left
            out.append(Placed(number, x, cells))
            x += cells + self._gap
        return out

    def first_for(self, cursor: int, first: int) -> int:
        """The leftmost column that must be so that the cursor's is whole in sight, near ``first``."""
        first = min(first, cursor)
        while first < cursor:
            placed = self.placed(first)
            if any(one.number == cursor and one.cells == self.all[cursor].cells for one in placed):
                break
            first += 1
        return first

    def hidden_right(self, placed: Sequence[Placed]) -> bool:
        """Whether a column is out of sight at the right."""
        last = max((number for number, column in enumerate(self.all) if column.here), default=-1)
        return bool(placed) and placed[-1].number < last

    def _pinned(self, first: int) -> list[int]:
        names = [number for number in self._names if number < first]
        # Names may take half the room, or the columns they name are out of sight for ever.
        while names and sum(self.all[number].cells + self._gap for number in names) > self._room // 2:
            names.pop()
        return names

    def _wide(self, gap: int) -> int:
        here = [column.cells for column in self.all if column.here]
        return LEFT + sum(here) + gap * (len(here) - 1)


def _extra(extra: Extra) -> Column:
    return Column(extra.key, clean(extra.heading), "left", None, extra, -1, extra.cells)
