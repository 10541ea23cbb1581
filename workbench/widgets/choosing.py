"""A list over a screen of which one line is picked, narrowed by typing where it is long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.geometry import Offset

from queries.suggest import fold as folded
from workbench.glyphs import Glyphs
from workbench.text import clean, clip, pad, width
from workbench.widgets.box import Line, Popup

LONGEST = 200
"""Characters of a filter."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of a list."""

    value: str
    label: str
    detail: str = ""
    why_not: str | None = None
    """Why it cannot be picked now."""
    key: str = ""
    """The key that does the same without the list, shown before the label."""


class Choose(Popup[str | None]):
    """A list of which one line is picked; None when it was closed. With ``filtering``, typing narrows it."""

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice],
        *,
        filtering: bool = False,
        empty: str = "nothing to choose from",
        current: str | None = None,
    ) -> None:
        """``current`` is the value the cursor begins on."""
        super().__init__(title)
        self._all = [_shown(choice) for choice in choices]
        self._found = list(range(len(self._all)))
        self._filtering = filtering
        self._empty = clean(empty)
        self._typed = ""
        self._at = next((at for at, choice in enumerate(self._all) if choice.value == current), 0)
        self._first = 0
        keys = max((width(choice.key) for choice in self._all), default=0)
        self._key_cells = keys + 2 if keys else 0
        self._label_cells = 0

    @property
    def current(self) -> Choice | None:
        """The line under the cursor."""
        return self._all[self._found[self._at]] if self._found else None

    def wanted(self, most: int) -> tuple[int, int]:
        """As long as the longest line, as high as there are choices."""
        labels = max((width(choice.label) for choice in self._all), default=0)
        details = max((width(_aside(choice, self.glyphs)) for choice in self._all), default=0)
        room = most - 2 - self._key_cells
        # A label may take all of a line that it alone stands in, else what leaves room for a few words.
        self._label_cells = min(labels, room if not details else max(room - details - 2, room * 55 // 100))
        cells = 2 + self._key_cells + self._label_cells + (details + 2 if details else 0)
        least = max(width(self._hint()), width(self._empty)) + 8
        return max(cells, least), int(self._filtering) + max(len(self._all), 1) + 1

    def fitted(self) -> None:
        """Keeps the cursor in sight, and the terminal's own where the next character goes."""
        self._first = self._first_row()
        self.call_after_refresh(self._point)

    def line(self, y: int) -> Line:
        """The filter, the choices in sight, and a word about the one under the cursor.

        The word is why it cannot be picked, or what did not fit beside it, or else the keys.
        """
        y -= int(self._filtering)
        if y < 0:
            return self._typed_line()
        if y == self._page:
            return self._foot_line()
        at = self._first + y
        if not self._found and y == 0:
            return [("no line holds all of this" if self._all else self._empty, "dim")]
        return self._choice_line(at) if at < len(self._found) else []

    def do(self, name: str) -> None:
        """Moves, or picks."""
        last = len(self._found) - 1
        half = max(self._page // 2, 1)
        steps = {
            "down": 1, "up": -1, "next_pane": 1, "previous_pane": -1, "half_down": half, "half_up": -half,
            "page_down": self._page, "page_up": -self._page, "go": -last, "top": -last, "line_start": -last,
            "bottom": last, "line_end": last,
        }  # fmt: skip
        if name == "enter":
            self._pick()
        elif name in steps:
            self._move(steps[name])

    def press(self, key: str, character: str | None) -> None:
        """While it filters, what is typed is the filter's; the arrows, enter and esc stay."""
        if not self._filtering:
            super().press(key, character)
        elif character is not None:
            self._filter(self._typed + character)
        elif key in ("backspace", "ctrl+h"):
            self._filter(self._typed[:-1])
        elif key == "ctrl+w":
            self._filter(self._typed.rstrip().rpartition(" ")[0])
        elif key == "ctrl+u":
            self._filter("")
        elif key in ("ctrl+n", "ctrl+p"):
            self.do("down" if key == "ctrl+n" else "up")
        else:
            super().press(key, None)

    def on_paste(self, event: events.Paste) -> None:
        """Pasted text filters too, as one line."""
        event.stop()
        if self._filtering:
            self._filter(self._typed + " ".join(event.text[: 4 * LONGEST].split()))

    def close(self) -> None:
        """Nothing was picked."""
        self.leave(None)

    def clicked(self, y: int) -> None:
        """Picks the line."""
        at = self._first + y - int(self._filtering)
        if 0 <= y - int(self._filtering) < self._page and at < len(self._found):
            self._move(at - self._at)
            self._pick()

    @property
    def _page(self) -> int:
        """Rows of choices in sight."""
        return max(self.rows - int(self._filtering) - 1, 1)

    @property
    def _detail_cells(self) -> int:
        return max(self.cells - 4 - self._key_cells - self._label_cells, 0)

    def _first_row(self) -> int:
        lowest = max(len(self._found) - self._page, 0)
        return min(max(min(self._first, self._at), self._at - self._page + 1), lowest)

    def _pick(self) -> None:
        choice = self.current
        if choice is not None and choice.why_not is None:
            self.leave(choice.value)

    def _move(self, step: int) -> None:
        before, first = self._at, self._first
        self._at = max(min(self._at + step, len(self._found) - 1), 0)
        self._first = self._first_row()
        if self._first != first:
            self.body.refresh()
        elif self._at != before:
            top = int(self._filtering) - first
            self.body.redraw((before + top, self._at + top, self.rows - 1))

    def _filter(self, text: str) -> None:
        self._typed = text[:LONGEST]
        words = folded(self._typed).split()
        ranked = [
            (rank, at) for at, choice in enumerate(self._all) if (rank := _rank(choice, words)) is not None
        ]
        self._found = [at for _, at in sorted(ranked)]
        self._at = self._first = 0
        self.body.refresh()
        self._point()

    def _point(self) -> None:
        """An input method opens its list of characters where the terminal's cursor is."""
        if self._filtering and self.is_attached:
            before = min(2 + width(clean(self._typed)), self.cells - 1)
            self.app.cursor_position = self.body.region.offset + Offset(before, 0)

    def _hint(self) -> str:
        sign = self.glyphs.dot
        return f"enter picks {sign} esc closes" + (f" {sign} type to filter" if self._filtering else "")

    def _typed_line(self) -> Line:
        typed = clean(self._typed)
        while width(typed) > max(self.cells - 3, 0):
            typed = typed[1:]
        return [("/ ", "key"), (typed, "title"), (" ", "cursor")]

    def _foot_line(self) -> Line:
        choice = self.current
        many = len(self._found)
        place = f"{self._at + 1}/{many}" if many > self._page or many < len(self._all) else ""
        if choice is not None and choice.why_not is not None:
            return self.foot(f"{self.glyphs.bad} {choice.why_not}", "why", place)
        if choice is not None and width(choice.detail) > self._detail_cells:
            return self.foot(choice.detail, "dim", place)
        return self.foot(self._hint(), "dim", place)

    def _choice_line(self, at: int) -> Line:
        choice = self._all[self._found[at]]
        here = at == self._at
        sign = self.glyphs.point if here else " "
        key = pad(choice.key, self._key_cells)
        label = pad(choice.label, self._label_cells)
        rest = clip(_aside(choice, self.glyphs), self._detail_cells)
        if here:
            return [(pad(f"{sign} {key}{label}  {rest}", self.cells), "cursor")]
        look = "dim" if choice.why_not is not None else ""
        return [(f"{sign} ", ""), (key, "dim" if look else "key"), (label, look), (f"  {rest}", "dim")]


def _shown(choice: Choice) -> Choice:
    why = None if choice.why_not is None else clean(choice.why_not)
    return Choice(choice.value, clean(choice.label), clean(choice.detail), why, clean(choice.key))


def _aside(choice: Choice, glyphs: Glyphs) -> str:
    """What stands beside the label; the sign says that it cannot be picked."""
    return choice.detail if choice.why_not is None else f"{glyphs.bad} {choice.why_not}"


def _rank(choice: Choice, words: Sequence[str]) -> int | None:
    """How near a choice is to what was typed, 0 the nearest; None where it does not hold every word."""
    label = folded(choice.label)
    text = f"{label} {folded(choice.detail)} {folded(choice.value)}"
    if not words:
        return 0
    if len(words) == 1 and words[0] == folded(choice.key):
        return 0
    if not all(word in text for word in words):
        return None
    if label.startswith(words[0]):
        return 1
    return 2 if all(word in label for word in words) else 3
