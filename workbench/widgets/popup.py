"""The boxes over a screen: a list to choose from, a text to read, a question to answer."""

from __future__ import annotations

from workbench.keys import fold
from workbench.text import clean, width
from workbench.widgets.box import Line, Popup
from workbench.widgets.choosing import Choice, Choose
from workbench.widgets.wrapping import wrapped

__all__ = ["Choice", "Choose", "Confirm", "Panel", "Popup"]


class Panel(Popup[None]):
    """A text to read: SQL, notes, a row's values. ``y`` copies it whole, as it is."""

    def __init__(self, title: str, text: str, *, copy: bool = True, copies: str | None = None) -> None:
        """``copies`` is what ``y`` copies, where it is not the text as it stands."""
        super().__init__(title)
        self._text = text if copies is None else copies
        self._copy = copy
        self._shown = [clean(line, 65_536) for line in text.expandtabs(4).splitlines()] or [""]
        self._lines: list[str] = []
        self._first = 0
        self._said = ""

    def wanted(self, most: int) -> tuple[int, int]:
        """As wide as its longest line, as high as its lines when folded."""
        longest = max(map(width, self._shown))
        cells = min(max(longest, width(self._hint()) + 20), most)
        self._lines = [part for line in self._shown for part in wrapped(line, cells)]
        return cells, len(self._lines) + 1

    def fitted(self) -> None:
        """Folded for this width, begun where there is something to see."""
        self._scroll(0)

    def line(self, y: int) -> Line:
        """The text in sight, and a word about the keys."""
        if y == self._page:
            many = len(self._lines)
            last = min(self._first + self._page, many)
            place = f"{self._first + 1}-{last} of {many}" if many > self._page else ""
            return self.foot(self._said or self._hint(), "" if self._said else "dim", place)
        at = self._first + y
        return [(self._lines[at], "")] if at < len(self._lines) else []

    def do(self, name: str) -> None:
        """Scrolls, copies, or closes."""
        many = len(self._lines)
        half = max(self._page // 2, 1)
        steps = {
            "down": 1, "up": -1, "half_down": half, "half_up": -half, "page_down": self._page,
            "page_up": -self._page, "mark": self._page, "go": -many, "top": -many, "line_start": -many,
            "bottom": many, "line_end": many,
        }  # fmt: skip
        if name == "enter":
            self.close()
        elif name in ("copy_cell", "copy_command") and self._copy:
            self._copied()
        elif name in steps:
            self._scroll(steps[name])

    def close(self) -> None:
        """It was read."""
        self.leave(None)

    @property
    def _page(self) -> int:
        return max(self.rows - 1, 1)

    def _hint(self) -> str:
        copies = f"{self.keymap.key_of('copy_cell')} copies {self.glyphs.dot} " if self._copy else ""
        return f"{copies}esc closes"

    def _scroll(self, step: int) -> None:
        first = max(min(self._first + step, len(self._lines) - self._page), 0)
        if first != self._first:
            self._first, self._said = first, ""
            self.body.refresh()

    def _copied(self) -> None:
        copy = getattr(self.app, "copy_text", self.app.copy_to_clipboard)
        said = copy(self._text)
        # A program that says nothing back has said it in its own status line.
        self._said = clean(said) if isinstance(said, str) else ""
        self.body.redraw((self.rows - 1,))


class Confirm(Popup[bool]):
    """A question answered by yes or no: ``y``, ``n``, or enter on the one under the cursor; closing it is no."""

    def __init__(self, question: str, yes: str = "yes", no: str = "no") -> None:
        super().__init__()
        self._question = [clean(line) for line in question.splitlines()] or [""]
        self._words = (clean(yes), clean(no))
        self._lines: list[str] = []
        self._yes = True

    def wanted(self, most: int) -> tuple[int, int]:
        """The question, a gap, the two answers."""
        longest = max(width(line) for line in (*self._question, "  ".join(self._answers())))
        cells = min(longest, most)
        self._lines = [part for line in self._question for part in wrapped(line, cells)]
        return cells, len(self._lines) + 2

    def line(self, y: int) -> Line:
        """A line of the question, or the answers, which stay in sight however long the question is."""
        if y == self.rows - 1:
            yes, no = self._answers()
            return [(yes, "cursor" if self._yes else ""), ("  ", ""), (no, "" if self._yes else "cursor")]
        if y == self.rows - 2:
            return []
        return [(self._lines[y], "")] if y < len(self._lines) else []

    def press(self, key: str, character: str | None) -> None:
        """``y`` and ``n`` answer, whatever they mean elsewhere."""
        letter = fold(character).lower() if character is not None else ""
        if letter in ("y", "n"):
            self.leave(letter == "y")
        else:
            super().press(key, character)

    def do(self, name: str) -> None:
        """Goes to the other answer, or gives the one under the cursor."""
        if name == "enter":
            self.leave(self._yes)
        elif name in ("left", "up", "right", "down", "next_pane", "previous_pane"):
            self._yes = name in ("left", "up") or (name.endswith("pane") and not self._yes)
            self.body.redraw((self.rows - 1,))

    def close(self) -> None:
        """No."""
        self.leave(False)

    def _answers(self) -> tuple[str, str]:
        yes, no = self._words
        point = self.glyphs.point
        signs = (point, " ") if self._yes else (" ", point)
        return f"{signs[0]} y {yes} ", f"{signs[1]} n {no} "
