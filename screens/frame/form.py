"""The question as a short form: a line or two while it is not in hand, a field a line while it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.widgets import Static

from workbench.text import clean, clip, width

if TYPE_CHECKING:
    from workbench.app import WorkbenchApp


@dataclass(frozen=True, slots=True)
class Field:
    """One part of a question."""

    name: str
    """Stable; actions on the field in hand go by it."""
    label: str
    text: str
    """The value as people read it; cleaned when drawn."""
    edit: Callable[[], None] | None = None
    is_default: bool = False
    """Left out of the short form."""


class Form(Static):
    """Draws the fields; the frame moves and edits."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._fields: Sequence[Field] = ()
        self._short: Sequence[str] = ()
        self._active = False
        self.place = 0
        """The field in hand."""

    def put(self, fields: Sequence[Field], short: Sequence[str], *, active: bool) -> None:
        """Shows these fields."""
        self._fields, self._short, self._active = fields, short, active
        self.place = min(self.place, max(len(fields) - 1, 0))
        self._draw()

    def move(self, rows: int) -> None:
        """Takes another field in hand."""
        self.place = min(max(self.place + rows, 0), max(len(self._fields) - 1, 0))
        self._draw()

    def current(self) -> Field | None:
        """The field in hand."""
        return self._fields[self.place] if self._fields else None

    def go_to(self, name: str) -> None:
        """Takes the field of a name in hand."""
        for place, field in enumerate(self._fields):
            if field.name == name:
                self.place = place
        self._draw()

    def _draw(self) -> None:
        app = cast("WorkbenchApp", self.app)
        cells = app.size.width
        if not self._active:
            lines = [Text(f" {clip(clean(line), cells - 2)}") for line in self._short if line]
        else:
            labels = max((width(field.label) for field in self._fields), default=0)
            first, seen = self._visible()
            lines = [
                self._line(field, labels, cells, in_hand=place == self.place)
                for place, field in enumerate(seen, first)
            ]
        self.set_class(not lines, "hidden")
        self.update(Text("\n").join(lines))

    def _visible(self) -> tuple[int, Sequence[Field]]:
        """The fields around the one in hand that half of the terminal has room for, and the place of the first."""
        room = max(self.app.size.height // 2 - 1, 3)
        first = min(max(self.place - room // 2, 0), max(len(self._fields) - room, 0))
        return first, self._fields[first : first + room]

    def _line(self, field: Field, labels: int, cells: int, *, in_hand: bool) -> Text:
        app = cast("WorkbenchApp", self.app)
        point = app.glyphs.point if in_hand else " " * width(app.glyphs.point)
        label = f"{point} {field.label}{' ' * (labels - width(field.label))}  "
        text = clip(clean(field.text), max(cells - width(label) - 2, 1))
        return Text.assemble((f"{label}", "bold" if in_hand else ""), (text, "reverse" if in_hand else ""))
