"""The table of every screen: a cell cursor over any number of rows, of which only those in sight are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from workbench.glyphs import UNICODE, Glyphs
from workbench.widgets import grid_drawing
from workbench.widgets.grid_columns import LEFT, Extra
from workbench.widgets.grid_view import HEADER, View

if TYPE_CHECKING:
    from queries.question import Page, Row, Shown
    from workbench.tables import Table

__all__ = ["Extra", "Grid"]


class _OfGrid(Message):
    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid

    @property
    def control(self) -> Grid:
        """The grid it is about."""
        return self.grid


class Grid(Widget, can_focus=False):
    """A table of an answer. It takes no keys: the screen calls its methods.

    Rows are named by their places in the table shown; marks are the rows' own numbers, which stay under any
    sort and filter.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "grid--header",
        "grid--section",
        "grid--remark",
        "grid--cursor",
        "grid--resting",
        "grid--mark",
        "grid--empty",
    }
    DEFAULT_CSS = """
    Grid { height: 1fr; width: 1fr; }
    Grid > .grid--header { text-style: bold; }
    Grid > .grid--section { text-style: bold; }
    Grid > .grid--cursor { text-style: reverse; }
    Grid > .grid--resting { text-style: underline; }
    """

    class Moved(_OfGrid):
        """The cursor stands elsewhere, or on another table, or was clicked on."""

    class Picked(_OfGrid):
        """A cell was clicked twice: what enter does is meant."""

    def __init__(
        self, *, id: str | None = None, classes: str | None = None, empty: str = "(no rows)"
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.marks: set[int] = set()
        """The numbers of the marked rows (:meth:`workbench.tables.Table.number`)."""
        self._view = View()
        self._empty = empty
        self._stale = False
        self._in_hand = True
        self._looks: grid_drawing.Looks | None = None

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
        if self.table is None or not table.is_of(self.table):
            self.marks.clear()
        signs = {}
        if table.sort is not None:
            way = self._glyphs.down if table.sort.descending else self._glyphs.up
            signs[table.sort.key] = f" {way}"
        self._view.put(table, extras, page, signs, keep=keep_cursor)
        self.refresh(layout=self.styles.is_auto_height)
        self._tell(self.Moved(self))

    def rearrange(self, table: Table) -> None:
        """Shows the same answer's rows otherwise: sorted, filtered, or more of them."""
        self.show(table, extras=self._view.extras, page=self._view.page)

    @property
    def table(self) -> Table | None:
        """The table shown."""
        return self._view.table

    @property
    def empty(self) -> str:
        """What is said where there is no row."""
        return self._empty

    @empty.setter
    def empty(self, text: str) -> None:
        if text != self._empty:
            self._empty = text
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

    @property
    def in_hand(self) -> bool:
        """Whether the keys move in this grid; else its cursor is only underlined."""
        return self._in_hand

    @in_hand.setter
    def in_hand(self, value: bool) -> None:
        if value != self._in_hand:
            self._in_hand = value
            self._refresh_cursor(self._view.row, self._view.column)

    # The cursor

    @property
    def cursor_row(self) -> int:
        """The row under the cursor, from 0."""
        return self._view.row

    @property
    def cursor_key(self) -> str | None:
        """The key of the column under the cursor."""
        shown = self.cursor_column
        return None if shown is None else shown.key

    @property
    def cursor_column(self) -> Shown | None:
        """The column under the cursor."""
        columns = self._view.columns.all
        return columns[self._view.column].shown if self._view.column < len(columns) else None

    def current_row(self) -> Row | None:
        """The row under the cursor, every key; None where there is none."""
        table = self._view.table
        return table.row(self._view.row) if table is not None and len(table) else None

    def cell_text(self) -> str:
        """The text of the cell under the cursor, whole."""
        from workbench.table_shown import whole

        row, shown = self.current_row(), self.cursor_column
        return "" if row is None or shown is None else whole(row, shown)

    def move(self, rows: int, columns: int = 0) -> None:
        """Moves the cursor by rows and columns, as far as there are any."""
        numbers = self._view.columns.selectable
        if numbers:
            at = numbers.index(self._view.column) + columns
            self._go(self._view.row + rows, numbers[min(max(at, 0), len(numbers) - 1)])

    def go_to(self, row: int, key: str | None = None) -> None:
        """Puts the cursor on a row, and on the column of a key where there is one."""
        number = self._view.columns.number(key)
        self._go(row, self._view.column if number is None else number)

    def top(self) -> None:
        """To the first row."""
        self.go_to(0)

    def bottom(self) -> None:
        """To the last row."""
        self.go_to(self._view.rows - 1)

    def page(self, step: int) -> None:
        """A page down (1) or up (-1)."""
        self._leap(step * max(self._view.body, 1))

    def half(self, step: int) -> None:
        """Half a page down (1) or up (-1)."""
        self._leap(step * max(self._view.body // 2, 1))

    def line_start(self) -> None:
        """To the first column."""
        self.move(0, -len(self._view.columns.all))

    def line_end(self) -> None:
        """To the last column."""
        self.move(0, len(self._view.columns.all))

    # Marks

    def toggle_mark(self) -> None:
        """Marks the row under the cursor, or takes its mark away."""
        if self._view.table is not None and self._view.rows:
            self.marks ^= {self._view.table.number(self._view.row)}
            self._refresh_cells(self._view.row, 0, LEFT)

    def clear_marks(self) -> None:
        """Takes all marks away."""
        if self.marks:
            self.marks.clear()
            self.refresh()

    def marked_rows(self) -> list[Row]:
        """The marked rows in the order of the answer, hidden by a filter or not."""
        table = self._view.table
        return [] if table is None else [table.numbered(number) for number in sorted(self.marks)]

    # Events

    def on_resize(self, event: events.Resize) -> None:
        """Fits columns and remarks to the new size."""
        self._view.resize(*self.size)
        self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Turns the page without moving the cursor."""
        self._scroll(1, event)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Turns the page back without moving the cursor."""
        self._scroll(-1, event)

    def on_click(self, event: events.Click) -> None:
        """Puts the cursor on the cell; a second click picks it."""
        offset = event.get_content_offset(self)
        row = None if offset is None else self._view.row_at(offset.y)
        if offset is None or row is None:
            return
        event.stop()
        if not self._go(row, self._view.column_at(offset.x)):
            self._tell(self.Moved(self))
        if event.chain == 2:
            self._tell(self.Picked(self))

    # Drawing

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as the table has, where the height is left to it."""
        lines = self._view.lines
        return HEADER + max(self._view.rows if lines is None else len(lines), 1)

    def render_line(self, y: int) -> Strip:
        """One line, from the rows in sight alone."""
        assert self._looks is not None
        segments = grid_drawing.line(self._view, y, self._looks, self.marks, self._empty)
        return Strip(segments, self.size.width)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines in sight, in the looks of the moment."""
        self._looks = self._look()
        return super().render_lines(crop)

    def _look(self) -> grid_drawing.Looks:
        base = self.rich_style + Style(dim=True) if self._stale else self.rich_style

        def of(name: str) -> Style:
            return base + self.get_component_rich_style(f"grid--{name}", partial=True)

        return grid_drawing.Looks(
            base=base,
            header=of("header"),
            section=of("section"),
            remark=of("remark"),
            cursor=of("cursor" if self._in_hand else "resting"),
            mark=of("mark"),
            empty=of("empty"),
            glyphs=self._glyphs,
            console=self.app.console,
        )

    @property
    def _glyphs(self) -> Glyphs:
        found = getattr(self.app, "glyphs", UNICODE) if self.is_attached else UNICODE
        return found if isinstance(found, Glyphs) else UNICODE

    def _go(self, row: int, column: int) -> bool:
        was = self._view.row, self._view.column
        is_elsewhere = self._view.go(row, column)
        now = self._view.row, self._view.column
        if is_elsewhere:
            self.refresh()
        elif was != now:
            self._refresh_cursor(*was)
            self._refresh_cursor(*now)
        if was != now:
            self._tell(self.Moved(self))
        return was != now

    def _leap(self, lines: int) -> None:
        row = self._view.row_after(lines)
        if self._view.scroll(lines):
            self.refresh()
        self._go(row, self._view.column)

    def _scroll(self, way: int, event: events.MouseEvent) -> None:
        event.stop()
        if self._view.scroll(way * max(round(self.app.scroll_sensitivity_y), 1)):
            self.refresh()

    def _refresh_cursor(self, row: int, column: int) -> None:
        for one in self._view.placed:
            if one.number == column:
                self._refresh_cells(row, one.x, one.cells)

    def _refresh_cells(self, row: int, x: int, cells: int) -> None:
        y = self._view.line_of(row)
        if y is not None:
            self.refresh(Region(x, y, cells, 1))

    def _tell(self, message: Message) -> None:
        if self.is_mounted:
            self.post_message(message)
