"""A grid's lines as styled pieces of text; what the data holds is text here and never markup."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from workbench.glyphs import UNICODE, Glyphs
from workbench.text import NULL, clean, clip, pad, width
from workbench.widgets.grid_columns import LEFT, Extra, Placed
from workbench.widgets.grid_view import HEADER, View


@dataclass(frozen=True, slots=True)
class Looks:
    """How the parts of a grid look."""

    base: Style
    header: Style
    section: Style
    remark: Style
    cursor: Style
    mark: Style
    empty: Style
    glyphs: Glyphs
    console: Console
    """What turns a screen's own texts into pieces."""


def line(view: View, y: int, looks: Looks, marks: Set[int], empty: str) -> list[Segment]:
    """One line of the window, at least as wide as it."""
    segments = [segment for segment in _line(view, y, looks, marks, empty) if segment.text]
    used = sum(width(segment.text) for segment in segments)
    if used < view.width:
        segments.append(Segment(" " * (view.width - used), looks.base))
    return segments


def _line(view: View, y: int, looks: Looks, marks: Set[int], empty: str) -> list[Segment]:
    headed = HEADER if view.columns.all else 0
    if y < headed:
        return [Segment(_plain(_header(view, looks.glyphs), looks.glyphs), looks.header)]
    if not view.rows or view.lines is None:
        # Under a header the words stand apart from it.
        return [Segment(_words(empty, y - 2 * headed, view.width), looks.empty)]
    at = y - HEADER + view.top
    if at >= len(view.lines):
        return []
    row, below = view.lines.at(at)
    if below:
        text = " " * LEFT + view.lines.heading(row, -below) if below < 0 else view.lines.remark(row, below)
        style = looks.section if below < 0 else looks.remark
        return [Segment(_plain(clip(text, view.width), looks.glyphs), style)]
    return _row(view, row, looks, marks)


def _words(text: str, number: int, room: int) -> str:
    lines = text.splitlines()
    return clip(" " * LEFT + clean(lines[number]), room) if 0 <= number < len(lines) else ""


def _header(view: View, glyphs: Glyphs) -> str:
    text, at = glyphs.more[:LEFT] if view.first > 0 else " " * LEFT, LEFT
    for one in view.placed:
        column = view.columns.all[one.number]
        text += " " * (one.x - at) + pad(column.heading, one.cells, column.align)
        at = one.x + one.cells
    if view.columns.hidden_right(view.placed):
        # One cell too many, so that the sign of more stands at the edge.
        text = clip(pad(text, view.width) + " ", view.width)
    return text


def _row(view: View, row: int, looks: Looks, marks: Set[int]) -> list[Segment]:
    assert view.table is not None
    is_marked = bool(marks) and view.table.number(row) in marks
    out = [Segment(pad(looks.glyphs.mark, LEFT), looks.mark)] if is_marked else []
    text, at = "" if is_marked else " " * LEFT, LEFT
    cells = view.texts(row)
    for one in view.placed:
        column = view.columns.all[one.number]
        text += " " * (one.x - at)
        at = one.x + one.cells
        if column.extra is not None:
            out += [Segment(text, looks.base), *_drawn(view, column.extra, row, one, looks)]
            text = ""
            continue
        part = _plain(pad(cells[column.index], one.cells, column.align), looks.glyphs)
        if row == view.row and one.number == view.column:
            out += [Segment(text, looks.base), Segment(part, looks.cursor)]
            text = ""
        else:
            text += part
    return [*out, Segment(text, looks.base)]


def _drawn(view: View, extra: Extra, row: int, placed: Placed, looks: Looks) -> list[Segment]:
    assert view.table is not None
    text = extra.render(view.table.row(row), placed.cells)
    plain = clean(text.plain)
    if plain != text.plain:
        text = Text(plain)
    if width(plain) > placed.cells:
        text = Text(clip(plain, placed.cells))
    parts = text.render(looks.console, end="")
    segments = [Segment(part.text, looks.base + part.style if part.style else looks.base) for part in parts]
    return [*segments, Segment(" " * (placed.cells - width(text.plain)), looks.base)]


def _plain(text: str, glyphs: Glyphs) -> str:
    """Text with the signs that cells are written with in their plain forms, where those are asked for."""
    if glyphs.more == UNICODE.more or text.isascii():
        return text
    return text.replace(UNICODE.more, glyphs.more).replace(NULL, "-")
