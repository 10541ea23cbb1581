"""The one input line of the screens, so that every edit completes, checks, commits and reverts alike.

Hidden while nothing is asked. A frame puts it above its status line and sends it the keys that were typed before
the focus had moved (:meth:`Prompt.take`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from workbench.glyphs import UNICODE, Glyphs
from workbench.text import REPLACED, clean, clip, harmless, width

MAXIMUM = 4096
"""Characters that can be typed and pasted; a value given may be longer and can be shortened."""
SHOWN = 6
"""Completions in sight."""

_EDITING = {
    "left": "cursor_left",
    "ctrl+b": "cursor_left",
    "right": "cursor_right",
    "ctrl+f": "cursor_right",
    "ctrl+left": "cursor_left_word",
    "ctrl+right": "cursor_right_word",
    "home": "home",
    "ctrl+a": "home",
    "end": "end",
    "ctrl+e": "end",
    "backspace": "delete_left",
    "ctrl+h": "delete_left",
    "delete": "delete_right",
    "ctrl+d": "delete_right",
    "ctrl+w": "delete_left_word",
    "ctrl+u": "delete_left_all",
    "ctrl+k": "delete_right_all",
}
_PASSED = frozenset({"ctrl+c", "ctrl+z"})
"""Keys that are the frame's in both modes: cancel the run, suspend."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One way to go on."""

    text: str
    """The whole new value."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    value: str
    done: Callable[[str], None]
    complete: Callable[[str], Sequence[Completion]] | None
    check: Callable[[str], str | None] | None
    next: Callable[[], None] | None
    previous: Callable[[], None] | None
    hint: str
    label: str
    names: bool


def visible(value: str) -> str:
    """A value as the line shows it: harmless like cleaned text, but a character for every character.

    What an edit takes away is then what the cursor stands on, and a value that was not touched stays as it was.
    """
    if value.isascii() and value.isprintable():
        return value
    out: list[str] = []
    free = False
    for char in value:
        if unicodedata.category(char) in ("Mn", "Me"):
            # A second mark on a base, or one without a base, would run into the lines around.
            out.append(char if free else REPLACED)
            free = False
            continue
        out.append(_seen(char))
        free = True
    return "".join(out)


@lru_cache(maxsize=8192)
def _seen(char: str) -> str:
    seen = harmless(char)
    return seen if len(seen) == 1 else REPLACED


def one_line(text: str) -> tuple[str, str]:
    """Pasted text as one line without control characters, and a word about what was changed ("" for nothing)."""
    lines = [line.strip("\t") for line in text.splitlines()]
    several = len(lines) > 1
    if several:
        lines = [line.strip() for line in lines if line.strip()]
    joined = " ".join(lines).replace("\t", " ")
    kept = "".join(char for char in joined if unicodedata.category(char) not in ("Cc", "Cs"))
    words = [f"{len(lines):,} lines pasted as one"] if several and len(lines) > 1 else []
    if len(kept) < len(joined):
        words.append("control characters left out")
    return kept, ", ".join(words)


class _Line(Input, inherit_bindings=False):
    """The text being edited; its keys go through the prompt, so that no screen sees them first."""

    def __init__(self) -> None:
        super().__init__(compact=True, select_on_focus=False)
        self.cursor_blink = False
        # Only while something is asked: a hidden line would be found by whoever looks for one to focus.
        self.can_focus = False
        self.cut = False
        """Whether the last edit did not fit in whole."""

    @property
    def prompt(self) -> Prompt:
        """Where it stands."""
        return next(each for each in self.ancestors if isinstance(each, Prompt))

    async def _on_key(self, event: events.Key) -> None:
        event.prevent_default()
        if self.prompt.take(event.key, event.character if event.is_printable else None):
            event.stop()

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        self.prompt.paste(event.text)

    @property
    def _value(self) -> Text:
        return Text(visible(self.value), no_wrap=True, overflow="ignore", end="")

    def _position_to_cell(self, position: int) -> int:
        return cell_len(visible(self.value)[:position])

    def replace(self, text: str, start: int, end: int) -> None:
        """Puts as much of the text as there is room for in the place of what stands between."""
        start, end = sorted((max(0, start), min(len(self.value), end)))
        room = max(0, MAXIMUM - (len(self.value) - (end - start)))
        self.cut = len(text) > room
        super().replace(text[:room], start, end)


class Prompt(Widget, inherit_bindings=False):
    """Asks for one line of text: ``ask`` shows it, enter and tab commit, esc reverts."""

    DEFAULT_CSS = """
    Prompt { display: none; height: auto; layout: vertical; background: $surface; }
    Prompt > Static { width: 100%; height: auto; content-align: left bottom; color: $text-muted; }
    Prompt > Static.error { color: $text-error; }
    Prompt > Horizontal { height: 1; }
    Prompt > Horizontal > Static { width: auto; height: 1; text-style: bold; }
    Prompt > Horizontal > Input { width: 1fr; }
    """

    class Turned(Message):
        """It was shown or hidden."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._above = Static("", markup=False)
        self._label = Static("", markup=False)
        self._line = _Line()
        self._asked: _Asked | None = None
        self._last: tuple[_Asked, str] | None = None
        """What was asked before, and what was committed."""
        self._found: list[Completion] = []
        self._chosen: int | None = None
        """The highlighted completion."""
        self._typed: str | None = None
        """What was typed before the arrows chose a completion; None while they have not."""
        self._word = ""
        self._wrong = False
        self._rows = 0

    def compose(self) -> ComposeResult:
        """Completions and a word above the line."""
        yield self._above
        with Horizontal():
            yield self._label
            yield self._line

    @property
    def active(self) -> bool:
        """Whether something is being asked."""
        return self._asked is not None

    @property
    def value(self) -> str:
        """The text as it stands."""
        return self._line.value

    def ask(
        self,
        label: str,
        value: str = "",
        *,
        complete: Callable[[str], Sequence[Completion]] | None = None,
        check: Callable[[str], str | None] | None = None,
        done: Callable[[str], None],
        next: Callable[[], None] | None = None,
        previous: Callable[[], None] | None = None,
        hint: str = "",
        names: bool = False,
    ) -> None:
        """Shows the line with ``value`` in it; whatever was asked before is reverted.

        With ``names`` what is wanted is one of the completions: enter takes the highlighted one where the text is
        none of them.

        ``check`` says in a line why a value cannot be; ``done`` gets the one that can. After it tab calls
        ``next`` and shift+tab ``previous``. ``complete`` is called at every edit, so it has to be quick.
        """
        self._asked = _Asked(value, done, complete, check, next, previous, hint, label, names)
        self._word, self._wrong, self._rows, self._typed = "", False, 0, None
        self.display = True
        self.post_message(self.Turned())
        self._label.update(Text(clip(clean(label), max(self.app.size.width * 2 // 5, 8)) + " ", no_wrap=True))
        self._line.value = value
        self._line.cursor_position = len(value)
        # At once, not by a message: the next key may already be on its way.
        self._line.can_focus = True
        self.screen.set_focus(self._line, scroll_visible=False)
        self._complete(touched=False)

    def again(self, why: str) -> None:
        """Asks once more what was committed last, as it was written, and says why it cannot be."""
        last = self._last
        if last is None or self.active:
            return
        asked, value = last
        self.ask(
            asked.label, value, complete=asked.complete, check=asked.check, done=asked.done, next=asked.next,
            previous=asked.previous, hint=asked.hint, names=asked.names,
        )  # fmt: skip
        self._found, self._chosen = [], None
        self._word, self._wrong = why, True
        self._draw()

    def revert(self) -> None:
        """Hides the line; nothing has changed."""
        self._asked = None
        self._found = []
        if self.screen.focused is self._line:
            self.screen.set_focus(None)
        self._line.can_focus = False
        self.display = False
        self.post_message(self.Turned())

    def take(self, key: str, character: str | None) -> bool:
        """What a key means to the line; False for one that is the frame's, as every key is when nothing is asked."""
        if self._asked is None or key in _PASSED:
            return False
        if key == "escape":
            self.revert()
        elif key == "enter":
            if self._asked.names and self._typed is None and self._chosen is not None:
                known = [each.text for each in self._found]
                self._put(self.value if self.value in known else known[self._chosen])
            self._commit(None)
        elif key == "tab":
            self._tab(self._asked)
        elif key == "shift+tab":
            self._commit(self._asked.previous)
        elif key in ("up", "down"):
            self._choose(1 if key == "down" else -1)
        elif key in _EDITING:
            before = self._line.value
            getattr(self._line, f"action_{_EDITING[key]}")()
            if self._line.value != before:
                self._complete(touched=True)
        elif character is not None:
            self._insert(character, "")
        return True

    def paste(self, text: str) -> None:
        """Puts text in at the cursor, as one line; says what was changed of it."""
        if self._asked is not None:
            self._insert(*one_line(text))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Nobody else need hear of it."""
        event.stop()

    def on_resize(self) -> None:
        """Completions are clipped to the width."""
        if self.active:
            self._draw()

    def _insert(self, text: str, word: str) -> None:
        line = self._line
        line.replace(text, *line.selection)
        cut = f"cut to {MAXIMUM:,} characters" if line.cut else ""
        self._complete(touched=True, word=", ".join(filter(None, (word, cut))))

    def _tab(self, asked: _Asked) -> None:
        if self._chosen is None or (self._typed is None and self._found[self._chosen].text == self.value):
            self._commit(asked.next)
            return
        self._put(self._found[self._chosen].text)
        self._complete(touched=True)

    def _commit(self, then: Callable[[], None] | None) -> None:
        asked = self._asked
        if asked is None:
            return
        value = self.value
        wrong = asked.check(value) if asked.check else None
        if wrong is not None:
            self._word, self._wrong = wrong, True
            self._draw()
            return
        self._last = asked, value
        self.revert()
        asked.done(value)
        if then is not None:
            then()

    def _choose(self, step: int) -> None:
        if not self._found:
            return
        if self._typed is None:
            self._typed = self.value
        at = (-1 if self._chosen is None else self._chosen) + step
        at = max(-1, min(at, len(self._found) - 1))
        self._chosen = None if at < 0 else at
        self._put(self._typed if at < 0 else self._found[at].text)
        self._word, self._wrong = "", False
        self._draw()

    def _put(self, value: str) -> None:
        self._line.value = value
        self._line.cursor_position = len(value)

    def _complete(self, *, touched: bool, word: str = "") -> None:
        """Looks for completions anew. One is highlighted once something was typed: tab walks over fields untouched."""
        assert self._asked is not None
        self._word, self._wrong, self._typed = word, False, None
        self._found = list(self._asked.complete(self.value)) if self._asked.complete else []
        same = (at for at, each in enumerate(self._found) if each.text == self.value)
        self._chosen = next(same, 0 if self._found else None) if touched else None
        self._draw()

    def _draw(self) -> None:
        assert self._asked is not None
        glyphs = self._glyphs
        cells = max(self.size.width or self.app.size.width, 20)
        first = max(0, (self._chosen or 0) - SHOWN + 1)
        seen = self._found[first : first + SHOWN]
        lines = _rows(seen, None if self._chosen is None else self._chosen - first, cells, glyphs)
        count = (
            f"{first + 1}-{first + len(seen)} of {len(self._found):,}" if len(seen) < len(self._found) else ""
        )
        sign = f"{glyphs.bad} " if self._wrong else ""
        words = f" {glyphs.dot} ".join(filter(None, (clean(self._word or self._asked.hint, 400), count)))
        if words:
            lines.append(Text(sign + words))
        # It grows and does not shrink while asked: the answer above moves, and is sent, as seldom as can be.
        self._rows = max(self._rows, len(lines))
        self._above.styles.min_height = self._rows
        self._above.set_class(self._wrong, "error")
        self._above.update(Text("\n").join(lines))
        self._above.display = self._rows > 0

    @property
    def _glyphs(self) -> Glyphs:
        found = getattr(self.app, "glyphs", None)
        return found if isinstance(found, Glyphs) else UNICODE


def _rows(seen: Sequence[Completion], chosen: int | None, cells: int, glyphs: Glyphs) -> list[Text]:
    texts = [clean(each.text) for each in seen]
    room = cells - 4
    column = min(max(map(width, texts), default=0), room)
    rows: list[Text] = []
    for at, (each, text) in enumerate(zip(seen, texts, strict=True)):
        sign = glyphs.point if at == chosen else " "
        shown = _end_of(text, room, glyphs)
        row = Text(f"{sign} {shown}", no_wrap=True, style="bold reverse" if at == chosen else "")
        left = room - column - 2
        if each.detail and left > 3:
            row.append(" " * (column - width(shown) + 2) + clip(clean(each.detail), left))
        rows.append(row)
    return rows


def _end_of(text: str, cells: int, glyphs: Glyphs) -> str:
    """The end is where completions differ."""
    if width(text) <= cells:
        return text
    used = 1
    for at in range(len(text) - 1, -1, -1):
        used += width(text[at])
        if used > cells:
            return glyphs.more + text[at + 1 :]
    return text
