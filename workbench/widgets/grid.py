"""The table of every screen: a cell cursor over any number of rows, of which only those in sight are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from workbench.glyphs import UNICODE, Glyphs
from workbench.text import NULL, clean, clip, pad
from workbench.widgets.grid_columns import LEFT, Columns, Extra, Placed
from workbench.widgets.grid_lines import Lines

if TYPE_CHECKING:
    from queries.question import Page, Row, Shown
    from workbench.tables import Table

__all__ = ["Extra", "Grid"]

HEADER = 1
SAMPLE = 200
"""Rows that decide how wide a column is at first."""
KEPT = 2000
"""Rows whose cells are kept as texts."""


class Grid(Widget, can_focus=False):
    """A table of an answer. It takes no keys: the screen calls its methods.

    All places of rows are places in the table shown; marks are the rows' own numbers, which stay under any
    sort and filter.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "grid--header",
        "grid--section",
        "grid--remark",
        "grid--cursor",
        "grid--mark",
        "grid--empty",
    }
    DEFAULT_CSS = """
    Grid { height: 1fr; width: 1fr; }
    Grid > .grid--header { text-style: bold; }
    Grid > .grid--section { text-style: bold; }
    Grid > .grid--cursor { text-style: reverse; }
    """

    class Moved(Message):
        """The cursor stands elsewhere, or on another table."""

        def __init__(self, grid: Grid) -> None:
            super().__init__()
            self.grid = grid

        @property
        def control(self) -> Grid:
            return self.grid

    class Picked(Message):
        """A cell was clicked twice: what enter does is meant."""

        def __init__(self, grid: Grid) -> None:
            super().__init__()
            self.grid = grid

        @property
        def control(self) -> Grid:
            return self.grid

    def __init__(
        self, *, id: str | None = None, classes: str | None = None, empty: str = "(no rows)"
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.marks: set[int] = set()
        """The numbers of the marked rows (:meth:`workbench.tables.Table.number`)."""
        self._shown: Table | None = None
        self._page: Page | None = None
        self._extras: tuple[Extra, ...] = ()
        self._empty = empty
        self._stale = False
        self._columns = Columns((), (), {})
        self._placed: list[Placed] = []
        self._lines: Lines | None = None
        self._cells_of: dict[int, list[str]] = {}
        self._at_row = 0
        self._at_column = 0
        self._first = 0
        self._top = 0

    # What is shown

    def show(
        self,
        table: Table,
        *,
        extras: Sequence[Extra] = (),
        page: Page | None = None,
        keep_cursor: bool = True,
    ) -> None:
        """Shows a table in the place of the one before.

        The cursor stays in its column; it stays on its row where the table shows rows of the same answer in
        the same order, else at its place. ``page`` gives section headings and remarks.
        """
        before, key, place, top = self._shown, self.cursor_key, self._at_row, self._top
        is_same = before is not None and table.is_of(before)
        if not is_same:
            self.marks.clear()
        elif before is not None and keep_cursor and table.sort == before.sort and place < len(before):
            place = table.place(before.number(place)) or 0
        self._shown, self._page, self._extras = table, page, tuple(extras)
        self._cells_of = {}
        sign = (
            ""
            if table.sort is None
            else f" {self._glyphs.down if table.sort.descending else self._glyphs.up}"
        )
        signs = {} if table.sort is None else {table.sort.key: sign}
        self._columns = Columns(table.columns, self._extras, signs)
        self._columns.see(table.texts(0, SAMPLE))
        self._at_row = min(place, max(len(table) - 1, 0)) if keep_cursor else 0
        self._top = top if keep_cursor else 0
        self._first = self._first if keep_cursor and is_same else 0
        kept = self._columns.number(key) if keep_cursor else None
        self._at_column = kept if kept is not None else next(iter(self._columns.selectable), 0)
        self._lines = None
        self._settle()
        self.refresh()
        self._tell(self.Moved(self))

    def arrange(self, table: Table) -> None:
        """Shows other rows, or another order, of the answer that is shown, drawn as before."""
        self.show(table, extras=self._extras, page=self._page)

    @property
    def table(self) -> Table | None:
        """The table shown."""
        return self._shown

    @property
    def empty(self) -> str:
        """What is said where there is no row."""
        return self._empty

    @empty.setter
    def empty(self, text: str) -> None:
        self._empty = text
        if not self._rows:
            self.refresh()

    @property
    def stale(self) -> bool:
        """Whether the table answers a question before the one that is running: dim, the cursor still moving."""
        return self._stale

    @stale.setter
    def stale(self, value: bool) -> None:
        if value != self._stale:
            self._stale = value
            self.refresh()

    # The cursor

    @property
    def cursor_row(self) -> int:
        """The row under the cursor, from 0."""
        return self._at_row

    @property
    def cursor_key(self) -> str | None:
        """The key of the column under the cursor."""
        shown = self.cursor_column
        return None if shown is None else shown.key

    @property
    def cursor_column(self) -> Shown | None:
        """The column under the cursor."""
        columns = self._columns.all
        return columns[self._at_column].shown if self._at_column < len(columns) else None

    def current_row(self) -> Row | None:
        """The row under the cursor, every key; None where there is none."""
        return self._shown.row(self._at_row) if self._shown is not None and self._rows else None

    def cell_text(self) -> str:
        """The text of the cell under the cursor, whole."""
        from workbench.table_shown import whole

        row, shown = self.current_row(), self.cursor_column
        return "" if row is None or shown is None else whole(row, shown)

    def move(self, rows: int, columns: int = 0) -> None:
        """Moves the cursor by rows and columns, as far as there are any."""
        numbers = self._columns.selectable
        if not numbers:
            return
        at = numbers.index(self._at_column) + columns
        self._go(self._at_row + rows, numbers[min(max(at, 0), len(numbers) - 1)])

    def go_to(self, row: int, key: str | None = None) -> None:
        """Puts the cursor on a row, and on the column of a key where there is one."""
        number = self._columns.number(key)
        self._go(row, self._at_column if number is None else number)

    def top(self) -> None:
        """To the first row."""
        self.go_to(0)

    def bottom(self) -> None:
        """To the last row."""
        self.go_to(self._rows - 1)

    def page(self, step: int) -> None:
        """A page down (1) or up (-1)."""
        self._leap(step * max(self._body, 1))

    def half(self, step: int) -> None:
        """Half a page down (1) or up (-1)."""
        self._leap(step * max(self._body // 2, 1))

    def line_start(self) -> None:
        """To the first column."""
        self.move(0, -len(self._columns.all))

    def line_end(self) -> None:
        """To the last column."""
        self.move(0, len(self._columns.all))

    # Marks

    def toggle_mark(self) -> None:
        """Marks the row under the cursor, or takes its mark away."""
        if self._shown is None or not self._rows:
            return
        self.marks ^= {self._shown.number(self._at_row)}
        self._refresh_cells(self._at_row, 0, LEFT)

    def clear_marks(self) -> None:
        """Takes all marks away."""
        if self.marks:
            self.marks.clear()
            self.refresh()

    def marked_rows(self) -> list[Row]:
        """The marked rows in the order of the answer, hidden by a filter or not."""
        return [] if self._shown is None else [self._shown.numbered(number) for number in sorted(self.marks)]

    # Events

    def on_resize(self, event: events.Resize) -> None:
        """Fits columns and remarks to the new size."""
        self._lines = None
        self._settle()
        self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Turns the page without moving the cursor."""
        self._scroll_by(round(self.app.scroll_sensitivity_y) or 1)
        event.stop()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Turns the page back without moving the cursor."""
        self._scroll_by(-(round(self.app.scroll_sensitivity_y) or 1))
        event.stop()

    def on_click(self, event: events.Click) -> None:
        """Puts the cursor on the cell; a second click picks it."""
        offset = event.get_content_offset(self)
        if offset is None or self._lines is None:
            return
        event.stop()
        line = offset.y - HEADER + self._top
        if not 0 <= line < len(self._lines) or offset.y < HEADER:
            return
        row, _ = self._lines.at(line)
        hit = [
            one.number for one in self._placed if one.x <= offset.x and self._columns.all[one.number].shown
        ]
        was = self._at_row, self._at_column
        self._go(row, hit[-1] if hit else self._at_column)
        if event.chain == 2:
            self._tell(self.Picked(self))
        elif was == (self._at_row, self._at_column):
            self._tell(self.Moved(self))

    # Drawing

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as the table has, where the height is left to it."""
        return HEADER + max(len(self._lines) if self._lines is not None else self._rows, 1)

    def render_line(self, y: int) -> Strip:
        """One line, from the rows in sight alone."""
        base = self.rich_style
        if self._stale:
            base += Style(dim=True)
        room = self.size.width
        return Strip(_filled(self._segments(y, base, room), room, base), room)

    def _segments(self, y: int, base: Style, room: int) -> list[Segment]:
        if self._shown is None or self._lines is None or not self._rows:
            is_headed = self._shown is not None and bool(self._columns.all)
            if is_headed and y == 0:
                return self._header(base, room)
            texts = self._empty.splitlines()
            line = y - (2 if is_headed else 0)
            text = clip(" " * LEFT + clean(texts[line]), room) if 0 <= line < len(texts) else ""
            return [Segment(text, base + self._style("empty"))]
        if y < HEADER:
            return self._header(base, room)
        line = y - HEADER + self._top
        if line >= len(self._lines):
            return []
        row, below = self._lines.at(line)
        if below < 0:
            text = " " * LEFT + self._lines.heading(row, -below)
            return [Segment(self._plain(text), base + self._style("section"))]
        if below > 0:
            return [Segment(self._plain(self._lines.remark(row, below)), base + self._style("remark"))]
        return self._row_segments(row, base)

    def _header(self, base: Style, room: int) -> list[Segment]:
        style = base + self._style("header")
        text = self._glyphs.more[:1] if self._first > 0 else " " * LEFT
        at = LEFT
        for one in self._placed:
            column = self._columns.all[one.number]
            text += " " * (one.x - at) + pad(column.heading, one.cells, column.align)
            at = one.x + one.cells
        if self._columns.hidden_right(self._placed):
            text = clip(pad(text, room) + " ", room)
        return [Segment(self._plain(text), style)]

    def _row_segments(self, row: int, base: Style) -> list[Segment]:
        assert self._shown is not None
        is_marked = self._shown.number(row) in self.marks
        out = [Segment(pad(self._glyphs.mark, LEFT), base + self._style("mark"))] if is_marked else []
        text, at = ("", LEFT) if is_marked else (" " * LEFT, LEFT)
        cells = self._texts(row)
        for one in self._placed:
            column = self._columns.all[one.number]
            text += " " * (one.x - at)
            at = one.x + one.cells
            if column.extra is not None:
                out += [Segment(text, base), *self._drawn(column.extra, row, one.cells, base)]
                text = ""
                continue
            part = self._plain(pad(cells[column.index], one.cells, column.align))
            if row == self._at_row and one.number == self._at_column:
                out += [Segment(text, base), Segment(part, base + self._style("cursor"))]
                text = ""
            else:
                text += part
        return [*out, Segment(text, base)]

    def _drawn(self, extra: Extra, row: int, cells: int, base: Style) -> list[Segment]:
        assert self._shown is not None
        text = extra.render(self._shown.row(row), cells)
        plain = clean(text.plain)
        if plain != text.plain:
            text = Text(plain)
        text.truncate(cells, pad=True)
        parts = text.render(self.app.console, end="")
        return [Segment(part.text, base + part.style if part.style else base) for part in parts]

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"grid--{name}", partial=True)

    def _plain(self, text: str) -> str:
        if self._glyphs.more == UNICODE.more or text.isascii():
            return text
        return text.replace(UNICODE.more, self._glyphs.more).replace(NULL, "-")

    @property
    def _glyphs(self) -> Glyphs:
        found = getattr(self.app, "glyphs", UNICODE) if self.is_attached else UNICODE
        return found if isinstance(found, Glyphs) else UNICODE

    # Where things are

    @property
    def _rows(self) -> int:
        return 0 if self._shown is None else len(self._shown)

    @property
    def _body(self) -> int:
        return max(self.size.height - HEADER, 0)

    def _texts(self, row: int) -> list[str]:
        assert self._shown is not None
        if row not in self._cells_of:
            if len(self._cells_of) >= KEPT:
                self._cells_of.clear()
            self._cells_of[row] = self._shown.texts(row, row + 1)[0]
        return self._cells_of[row]

    def _settle(self) -> None:
        """Brings lines, columns and what is in sight into accord with table, size and cursor."""
        if self._shown is None or not self.size.width:
            return
        if self._lines is None:
            self._lines = Lines(self._shown, self._page, self.size.width - LEFT)
        self._columns.lay_out(self.size.width)
        self._keep_in_sight()
        self._see()

    def _keep_in_sight(self) -> None:
        self._first = self._columns.first_for(self._at_column, self._first) if self._columns.all else 0
        if self._lines is None or not self._rows:
            self._top = 0
            return
        start, stop = self._lines.span(self._at_row)
        if stop - start > self._body:
            start = self._lines.line_of(self._at_row)
            stop = start + 1
        self._top = max(min(self._top, start), stop - self._body)
        self._top = max(min(self._top, len(self._lines) - self._body), 0)

    def _see(self) -> None:
        """Makes the rows in sight and gives their columns the room they need."""
        if self._lines is not None and self._rows and self._body:
            first, _ = self._lines.at(self._top)
            last, _ = self._lines.at(min(self._top + self._body, len(self._lines)) - 1)
            if self._columns.see([self._texts(row) for row in range(first, last + 1)]):
                self._columns.lay_out(self.size.width)
                self._first = self._columns.first_for(self._at_column, self._first)
        self._placed = self._columns.placed(self._first)

    def _go(self, row: int, column: int) -> None:
        row = min(max(row, 0), max(self._rows - 1, 0))
        was = self._at_row, self._at_column
        view = self._top, self._first
        self._at_row, self._at_column = row, column
        self._keep_in_sight()
        if view != (self._top, self._first):
            self._see()
            self.refresh()
        elif was != (row, column):
            self._refresh_cursor(*was)
            self._refresh_cursor(row, column)
        if was != (row, column):
            self._tell(self.Moved(self))

    def _leap(self, lines: int) -> None:
        if self._lines is None or not self._rows:
            return
        line = min(max(self._lines.line_of(self._at_row) + lines, 0), len(self._lines) - 1)
        row, _ = self._lines.at(line)
        if row == self._at_row:
            row += 1 if lines > 0 else -1
        top = self._top
        self._top = min(max(top + lines, 0), max(len(self._lines) - self._body, 0))
        if self._top != top:
            self._see()
            self.refresh()
        self._go(row, self._at_column)

    def _scroll_by(self, lines: int) -> None:
        if self._lines is None:
            return
        top = min(max(self._top + lines, 0), max(len(self._lines) - self._body, 0))
        if top != self._top:
            self._top = top
            self._see()
            self.refresh()

    def _refresh_cursor(self, row: int, column: int) -> None:
        for one in self._placed:
            if one.number == column:
                self._refresh_cells(row, one.x, one.cells)

    def _refresh_cells(self, row: int, x: int, cells: int) -> None:
        if self._lines is not None:
            y = self._lines.line_of(row) - self._top + HEADER
            if HEADER <= y < self.size.height:
                self.refresh(Region(x, y, cells, 1))

    def _tell(self, message: Message) -> None:
        if self.is_mounted:
            self.post_message(message)


def _filled(segments: list[Segment], room: int, style: Style) -> list[Segment]:
    from workbench.text import width

    used = sum(width(segment.text) for segment in segments)
    filled = [segment for segment in segments if segment.text]
    return [*filled, Segment(" " * (room - used), style)] if used < room else filled
