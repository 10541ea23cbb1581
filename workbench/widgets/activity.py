"""A person's activity as a histogram of a few rows: exact eighths, and a sign under the bin of the row in hand.

What the timeline shows is drawn solid, the rest of the person's events shaded, so that a filter or a span can be seen
without colour.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from queries.activity import Activity, Bin
from workbench.glyphs import UNICODE, Glyphs
from workbench.text import clean, clip, pad, width

WIDEST = 6
"""Cells of a column at most: a day of one event need not be a wall."""

_STEPS: dict[str, tuple[int, ...]] = {
    "year": (1, 2, 5, 10),
    "month": (1, 2, 3, 6, 12),
    "week": (1, 2, 4, 13, 26),
    "day": (1, 2, 7, 14, 28),
    "hour": (1, 2, 3, 6, 12),
    "minute": (1, 2, 5, 10, 15, 30),
}
"""Every how many bins a label may stand."""


def column_cells(bins: int, cells: int) -> int:
    """The cells of each of so many columns in a room."""
    return max(1, min(WIDEST, cells // max(bins, 1)))


def room_for(cells: int, most: int) -> int:
    """The cells beside the scale, whose top is ``most``."""
    return max(1, cells - len(f"{most:,}") - 2)


def bars(activity: Activity, cells: int, rows: int, glyphs: Glyphs) -> list[str]:
    """The columns over a scale whose top is the largest bin, top row first, each line of exactly ``cells``."""
    most = max((one.events for one in activity.bins), default=0)
    if not most or rows < 1:
        return [pad("", cells)] * max(rows, 0)
    room = room_for(cells, most)
    each = column_cells(len(activity.bins), room)
    scale = len(f"{most:,}")
    lines: list[str] = []
    for row in reversed(range(rows)):
        label = f"{most:,}" if row == rows - 1 else "0" if row == 0 and rows > 1 else ""
        drawn = "".join(_cell(one, most, row, rows, glyphs) * max(each - 1, 1) + " " * (each > 1)
                        for one in activity.bins)  # fmt: skip
        lines.append(pad(f"{label:>{scale}} {drawn}", cells))
    return lines


def _cell(one: Bin, most: int, row: int, rows: int, glyphs: Glyphs) -> str:
    """One cell of a column, ``row`` counted from the bottom."""
    steps = len(glyphs.ticks)
    solid = _level(one.shown, most, rows * steps) - row * steps
    whole = _level(one.events, most, rows * steps) - row * steps
    if solid > 0:
        return glyphs.ticks[min(solid, steps) - 1]
    # A shade fills its cell: it stands for a half or more of it, and for whatever there is at the bottom.
    return glyphs.shade if whole * 2 >= steps or (whole > 0 and row == 0) else " "


def _level(count: int, most: int, steps: int) -> int:
    """Of so many steps those that a count fills; whatever is there fills one."""
    return 0 if count <= 0 else max(1, round(count * steps / most))


def axis(activity: Activity, cells: int, glyphs: Glyphs, place: int | None = None) -> str:
    """The labels under the columns, as many as there is room for, and the sign under the bin ``place``."""
    most = max((one.events for one in activity.bins), default=0)
    if not most:
        return pad("", cells)
    each, left = column_cells(len(activity.bins), room_for(cells, most)), len(f"{most:,}") + 1
    line = [" "] * cells
    room = max(width(one.label) for one in activity.bins) + 2
    step = next((one for one in _STEPS[activity.unit] if one * each >= room), -(-room // each))
    for number, one in list(enumerate(activity.bins))[::step]:
        at, size = left + number * each, width(one.label)
        if at + size <= cells:
            line[at : at + size] = one.label
    if place is not None and left + place * each < cells:
        _point(line, left + place * each, glyphs)
    return "".join(line)


def _point(line: list[str], at: int, glyphs: Glyphs) -> None:
    """Puts the sign in, and takes away the label it would stand in."""
    start, end = at, at
    while start > 0 and line[start] != " ":
        start -= 1
    while end < len(line) and line[end] != " ":
        end += 1
    if line[at] != " ":
        line[start:end] = " " * (end - start)
    line[at] = glyphs.up


def caption(activity: Activity, what: str, cells: int, glyphs: Glyphs) -> str:
    """What the columns are, in one line."""
    bins = activity.bins
    if not bins:
        return pad("no activity", cells)
    events, shown = sum(one.events for one in bins), sum(one.shown for one in bins)
    parts = [
        f"events by {activity.unit}",
        what,
        f"{events:,}" + ("" if shown == events else f", {shown:,} shown"),
    ]
    line = f" {glyphs.dot} ".join(clean(part) for part in parts if part)
    return pad(clip(line.replace("–", "-") if glyphs.more.isascii() else line, cells), cells)


class ActivityChart(Widget, inherit_bindings=False):
    """The histogram; moving the sign sends one line and no more."""

    DEFAULT_CSS = "ActivityChart { height: 4; width: 100%; }"
    can_focus = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._activity = Activity("day", ())
        self._what = ""
        self._place: int | None = None
        self._lines: list[str] | None = None

    @property
    def _glyphs(self) -> Glyphs:
        found = getattr(self.app, "glyphs", None)
        return found if isinstance(found, Glyphs) else UNICODE

    def put(self, activity: Activity, what: str, place: int | None) -> None:
        """Shows other counts; ``what`` says of which time they are."""
        self._activity, self._what, self._place, self._lines = activity, what, place, None
        self.refresh()

    def point(self, place: int | None) -> None:
        """Moves the sign under another bin."""
        if place == self._place:
            return
        self._place, self._lines = place, None
        last = self.size.height - 1
        self.refresh(Region(0, last, self.size.width, 1))

    def notify_style_update(self) -> None:
        """Another theme draws anew."""
        self._lines = None
        super().notify_style_update()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """A caption, the columns, the labels."""
        return 4

    def on_resize(self) -> None:
        """Another width has other columns."""
        self._lines = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the histogram."""
        lines = self._drawn()
        text = lines[y] if y < len(lines) else ""
        cells = self.size.width
        return Strip([Segment(pad(text, cells), self.rich_style)], cells)

    def _drawn(self) -> Sequence[str]:
        if self._lines is None:
            cells, rows = self.size.width, self.size.height
            glyphs = self._glyphs
            self._lines = [
                caption(self._activity, self._what, cells, glyphs),
                *bars(self._activity, cells, rows - 2, glyphs),
                axis(self._activity, cells, glyphs, self._place),
            ]
        return self._lines
