"""What the terminal shows already: of every picture only the cells that differ from it are sent.

The toolkit sends a whole picture when a popup opens, closes or another screen comes to the front, most of
them more than once; of a changed line it sends all from its widget's left edge on. Over a slow connection
that is what there is to wait for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

from rich.cells import get_character_cell_size
from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.geometry import Offset
from textual.screen import Screen
from textual.strip import Strip


class Look(NamedTuple):
    """How a cell looks, in the terminal's codes."""

    codes: str
    blank: str
    """Those of them that show where nothing stands in the cell."""


Cell = tuple[str, Look]
"""What stands in a cell, and its look; the second half of a wide sign stands empty."""

_PLAIN = Look("", "")
_UNKNOWN: Cell = ("", Look("?", "?"))
_NEAR = 4
"""Unchanged cells between two changed ones that are cheaper to send than to skip."""


class Shown:
    """The cells of the terminal as they were last sent."""

    def __init__(self) -> None:
        self._rows: list[list[Cell]] = []

    def forget(self) -> None:
        """Takes nothing for granted: what is drawn next is sent, changed or not."""
        self._rows = []

    def changes(self, update: LayoutUpdate | ChopsUpdate, colours: ColorSystem) -> str:
        """What makes the terminal show an update; empty where it does already."""
        writing = _Writing()
        for x, y, cells in _pieces(update, colours):
            for start, end in self._differing(x, y, cells):
                writing.write(x + start, y, cells[start:end])
        return writing.text()

    def _differing(self, x: int, y: int, cells: list[Cell]) -> list[tuple[int, int]]:
        """The runs of some cells from ``x`` on that the terminal does not show; it will have been told of them."""
        self._rows.extend([] for _ in range(y + 1 - len(self._rows)))
        row, end = self._rows[y], x + len(cells)
        row.extend([_UNKNOWN] * (end - len(row)))
        before = row[x:end]
        if before == cells:
            return []
        row[x:end] = cells
        runs: list[tuple[int, int]] = []
        for at in (at for at, (was, now) in enumerate(zip(before, cells, strict=True)) if was != now):
            start, stop = at, at + 1
            # A wide sign is sent whole.
            while start and not cells[start][0]:
                start -= 1
            while stop < len(cells) and not cells[stop][0]:
                stop += 1
            if runs and start - runs[-1][1] <= _NEAR:
                start = runs.pop()[0]
            runs.append((start, stop))
        return runs


class _Writing:
    """Cells as the terminal is told of them: a look is named where it changes, a blank goes with its neighbour's."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._look = _PLAIN

    def write(self, x: int, y: int, cells: Sequence[Cell]) -> None:
        """Puts cells where they belong."""
        self._out.append(f"\x1b[{y + 1};{x + 1}H")
        blanks, bare = 0, _PLAIN
        for sign, look in (*cells, ("", _PLAIN)):
            if sign == " " and (not blanks or look == bare):
                blanks, bare = blanks + 1, look
                continue
            if blanks:
                if self._look.blank != bare.codes:
                    self._turn(look if sign and look.blank == bare.codes else bare)
                self._out.append(" " * blanks)
                blanks, bare = (1, look) if sign == " " else (0, _PLAIN)
            if sign and sign != " ":
                self._turn(look)
                self._out.append(sign)

    def text(self) -> str:
        """All of it, the terminal's look as it was found."""
        self._turn(_PLAIN)
        return "".join(self._out)

    def _turn(self, look: Look) -> None:
        if look.codes != self._look.codes:
            self._out.append(f"\x1b[0;{look.codes}m" if look.codes else "\x1b[0m")
        self._look = look


class _Written(CompositorUpdate):
    """A piece of a picture as it goes to the terminal."""

    def __init__(self, text: str) -> None:
        self._text = text

    def render_segments(self, console: Console) -> str:
        """The text as it is."""
        return self._text


class SendsChanges(App[None], inherit_bindings=False):
    """An app that sends what changed, and everything after the terminal may have lost it."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = Shown()
        self._cursor = Offset(0, 0)

    def redraw(self) -> None:
        """Sends the whole picture again, whatever else wrote on the terminal."""
        self._shown.forget()
        if self.screen_stack:
            self.screen.refresh()

    def on_resize(self) -> None:
        """A terminal of another size shows who knows what, and so does one that was given back to us."""
        self.redraw()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        is_sent = self.is_running and not self.is_headless and self._driver is not None
        if isinstance(renderable, LayoutUpdate | ChopsUpdate) and is_sent and not self._batch_count:
            colours = self.console._color_system or ColorSystem.TRUECOLOR
            text = self._shown.changes(renderable, colours)
            is_news = bool(text) or self._cursor != self.cursor_position
            self._cursor = self.cursor_position
            super()._display(screen, cast("RenderableType", _Written(text)) if is_news else None)
        else:
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
            if strip is None or x >= last or end <= first:
                continue
            cells = _cells(strip, colours)
            room = last - x
            while 0 < room < len(cells) and not cells[room][0]:
                room -= 1
            yield x, y, cells[:room]


def _cells(strip: Strip, colours: ColorSystem) -> list[Cell]:
    cells: list[Cell] = []
    for text, style, control in strip:
        if control or not text:
            continue
        look, blank = _looks(style, colours) if style else (_PLAIN, _PLAIN)
        if text.isascii():
            cells += [(sign, blank if sign == " " else look) for sign in text]
        else:
            cells += _wide(text, look, blank)
    return cells


def _wide(text: str, look: Look, blank: Look) -> list[Cell]:
    cells: list[Cell] = []
    for sign in text:
        room = get_character_cell_size(sign)
        if room:
            cells += [(sign, blank if sign == " " else look), *[("", look)] * (room - 1)]
        elif cells:
            cells[-1] = (cells[-1][0] + sign, look)
    # Where several signs make one, only the whole has the width that the rest of the line counts on.
    whole = Segment(text).cell_length
    return cells if len(cells) == whole else [(text, look), *[("", look)] * (whole - 1)]


@lru_cache(maxsize=4096)
def _looks(style: Style, colours: ColorSystem) -> tuple[Look, Look]:
    """The look of a sign in a style, and that of a blank: its colour shows only where it is lined or reversed."""
    codes = Strip.render_ansi(style, colours)
    is_lined = style.reverse or style.underline or style.underline2 or style.strike or style.overline
    blank = codes if is_lined else Strip.render_ansi(Style(bgcolor=style.bgcolor), colours)
    return Look(codes, blank), Look(blank, blank)
