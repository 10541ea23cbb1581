"""Lines of which only the changed cells are sent: a cursor move costs the same at any column.

Textual sends a changed line from the widget's left edge up to the last changed cell. Over a slow connection
that is most of what a move costs, so a changed line here skips what stands on the screen already. Where
Textual asks for a line in any other way it gets all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip


class PartialLine(Strip):
    """A line that, cut after the last of some changed cells, begins with the first of them."""

    __slots__ = ["_changed"]

    def __init__(self, line: Strip, changed: Mapping[int, int]) -> None:
        """``changed`` gives the first cell of each run of changed ones, by the cell after its last."""
        super().__init__(line, line.cell_length)
        self._changed = changed

    def crop(self, start: int, end: int | None = None) -> Strip:
        """The cells between two places; the cursor skips those that have not changed."""
        skipped = self._changed.get(end, 0) if start == 0 and end is not None else 0
        if not skipped:
            return super().crop(start, end)
        rest = super().crop(skipped, end)
        return Strip([Segment(f"\x1b[{skipped}C"), *rest], skipped + rest.cell_length)


def partial(lines: list[Strip], changed: Iterable[Region]) -> list[Strip]:
    """The lines of a widget, those with changed cells as partial ones."""
    runs: dict[int, dict[int, int]] = {}
    for region in sorted(changed, key=lambda one: (one.y, one.x)):
        found = runs.setdefault(region.y, {})
        start, end = region.x, region.right
        last = max(found, default=-1)
        # Textual sends runs that touch as one.
        if found and start <= last:
            start, end = found.pop(last), max(last, end)
        found[end] = start
    return [PartialLine(line, runs[y]) if y in runs else line for y, line in enumerate(lines)]
