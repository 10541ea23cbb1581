"""What the terminal shows already: of every picture only the cells that differ from it are sent.

The toolkit sends a whole picture when a popup opens, closes or another screen comes to the front, most of
them more than once; a changed line it sends from its widget's left edge on. Over a slow connection that is
all there is to wait for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import get_character_cell_size
from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.segment import Segment
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.geometry import Offset
from textual.screen import Screen
from textual.strip import Strip

Cell = tuple[str, str]
"""What stands in a cell, and its look as the terminal's codes; the second half of a wide sign stands empty."""

_UNKNOWN: Cell = ("", "?")
_NEAR = 4
"""Unchanged cells between two changed ones that are cheaper to send than to skip."""


class Sent(CompositorUpdate):
    """A piece of a picture as it goes to the terminal."""

    def __init__(self, text: str) -> None:
        self.text = text

    def render_segments(self, console: Console) -> str:
        """The text as it is."""
        return self.text


class Shown:
    """The cells of the terminal as they were last sent."""

    def __init__(self) -> None:
        self._rows: list[list[Cell]] = []

    def forget(self) -> None:
        """Takes nothing for granted: what is drawn next is sent, changed or not."""
        self._rows = []

    def changes(self, update: LayoutUpdate | ChopsUpdate, colours: ColorSystem) -> str:
        """What makes the terminal show an update; empty where it does already."""
        out: list[str] = []
        look = ""
        for x, y, cells in _pieces(update, colours):
            for start, end in self._differing(x, y, cells):
                out.append(f"\x1b[{y + 1};{start + 1}H")
                for text, wanted in cells[start - x : end - x]:
                    if wanted != look:
                        out.append(f"\x1b[0;{wanted}m" if wanted else "\x1b[0m")
                        look = wanted
                    out.append(text)
        if look:
            out.append("\x1b[0m")
        return "".join(out)

    def _differing(self, x: int, y: int, cells: Sequence[Cell]) -> Sequence[tuple[int, int]]:
        """The runs of cells from ``x`` on that the terminal does not show; it will have been told of them."""
        while len(self._rows) <= y:
            self._rows.append([])
        row = self._rows[y]
        end = x + len(cells)
        if len(row) < end:
            row.extend([_UNKNOWN] * (end - len(row)))
        before = row[x:end]
        if before == cells:
            return ()
        row[x:end] = cells
        runs: list[tuple[int, int]] = []
        for at, (was, now) in enumerate(zip(before, cells, strict=True)):
            if was == now:
                continue
            start, stop = at, at + 1
            # A wide sign is sent whole.
            while start and not cells[start][0]:
                start -= 1
            while stop < len(cells) and not cells[stop][0]:
                stop += 1
            if runs and start - runs[-1][1] <= _NEAR:
                runs[-1] = (runs[-1][0], max(stop, runs[-1][1]))
            else:
                runs.append((start, stop))
        return [(x + start, x + stop) for start, stop in runs]


class SendsChanges(App[None], inherit_bindings=False):
    """An app that sends what changed, and everything after the terminal may have lost it."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = Shown()
        self._cursor = Offset(0, 0)

    def redraw(self) -> None:
        """Sends the whole picture again, for whatever else wrote on the terminal."""
        self._shown.forget()
        if self.screen_stack:
            self.screen.refresh()

    def on_resize(self) -> None:
        """A terminal of another size shows who knows what, and so does one that comes back to us."""
        self.redraw()

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        draws = self.is_running and not self.is_headless and self._driver is not None
        if isinstance(renderable, LayoutUpdate | ChopsUpdate) and draws and not self._batch_count:
            colours = self.console._color_system or ColorSystem.TRUECOLOR
            text = self._shown.changes(renderable, colours)
            renderable = Sent(text) if text or self._cursor != self.cursor_position else None
            self._cursor = self.cursor_position
        super()._display(screen, renderable)


def _pieces(
    update: LayoutUpdate | ChopsUpdate, colours: ColorSystem
) -> Iterator[tuple[int, int, list[Cell]]]:
    """The parts of lines that an update is made of: column, row, cells."""
    if isinstance(update, LayoutUpdate):
        for y, strips in enumerate(update.strips, update.region.y):
            yield update.region.x, y, [cell for strip in strips for cell in _cells(strip, colours)]
        return
    for y, first, last in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x < last and end > first:
                cells = _cells(strip, colours)
                yield x, y, cells[: last - x - (x + len(cells) > last and not cells[last - x][0])]


def _cells(strip: Strip, colours: ColorSystem) -> list[Cell]:
    cells: list[Cell] = []
    for text, style, control in strip:
        if control or not text:
            continue
        look = Strip.render_ansi(style, colours) if style else ""
        if text.isascii():
            cells += [(sign, look) for sign in text]
        else:
            cells += _wide(text, look)
    return cells


def _wide(text: str, look: str) -> Iterable[Cell]:
    cells: list[Cell] = []
    for sign in text:
        cells_of_sign = get_character_cell_size(sign)
        if cells_of_sign:
            cells.append((sign, look))
            cells += [("", look)] * (cells_of_sign - 1)
        elif cells:
            cells[-1] = (cells[-1][0] + sign, look)
    # Where several signs make one, only the whole has the width that the rest of the line counts on.
    whole = Segment(text).cell_length
    return cells if len(cells) == whole else [(text, look), *[("", look)] * (whole - 1)]
