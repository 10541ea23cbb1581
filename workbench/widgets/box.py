"""The box over a screen that every popup is: its place, its size, its border, and the keys of Browse."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, TypeVar

from rich.segment import Segment
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region, Size
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget

from workbench.glyphs import ASCII, UNICODE, Glyphs
from workbench.keys import Keymap, one_character
from workbench.text import clean, clip, pad, width

T = TypeVar("T")
Line = Sequence[tuple[str, str]]
"""Cleaned texts, each with its look: "", ``cursor``, ``dim``, ``key``, ``why`` or ``title``."""

SHARE = 0.9
"""Of the terminal, at most."""
_CLOSING = frozenset({"escape", "back", "cancel"})
_BORDER, _PADDING = 2, 2


class _Body(Widget, inherit_bindings=False):
    """Draws the popup's lines; a move of the cursor draws two of them anew, not all."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"cursor", "dim", "key", "why", "title"}
    DEFAULT_CSS = """
    _Body { width: 100%; height: 100%; }
    _Body > .cursor { background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold; }
    _Body > .dim { color: $text-muted; }
    _Body > .key { color: $text-accent; text-style: bold; }
    _Body > .why { color: $text-warning; }
    _Body > .title { text-style: bold; }
    """

    def __init__(self, popup: Popup[T]) -> None:
        super().__init__()
        self._popup = popup

    def render_line(self, y: int) -> Strip:
        """One line, as wide as the box."""
        base = self.rich_style
        segments = [
            Segment(text, base + self.get_component_rich_style(look, partial=True) if look else base)
            for text, look in self._popup.line(y)
        ]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def redraw(self, rows: Sequence[int]) -> None:
        """Draws some lines anew."""
        self.refresh(*(Region(0, row, self.size.width, 1) for row in rows))

    def on_click(self, event: events.Click) -> None:
        """A click is the popup's."""
        event.stop()
        self._popup.clicked(event.y)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves as the arrows do."""
        event.stop()
        self._popup.do("down")

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves as the arrows do."""
        event.stop()
        self._popup.do("up")


class Popup(ModalScreen[T], inherit_bindings=False):
    """A box in the middle, at most nine tenths of the terminal; it takes every key while it is there.

    A kind of popup says what it wants (:meth:`wanted`), what its lines are (:meth:`line`), what actions do
    (:meth:`do`) and what closing it means (:meth:`close`).
    """

    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    Popup { align: center middle; background: transparent; }
    Popup > #box { border: round $primary; padding: 0 1; background: $panel; border-title-style: bold; }
    Popup > #box.ascii { border: ascii $primary; }
    """

    def __init__(self, title: str = "") -> None:
        super().__init__()
        self._title = clean(title)
        self._left = False
        self.cells = 0
        """Of a line."""
        self.rows = 0
        """Lines there are."""
        self.body = _Body(self)
        self._box = Vertical(id="box")
        self._fitted = Size(0, 0)

    @cached_property
    def keymap(self) -> Keymap:
        """The keys of the screen it stands over, as the user has them; else those that ship."""
        below = (vars(screen).get("keymap") for screen in reversed(self.app.screen_stack))
        return next((keymap for keymap in below if isinstance(keymap, Keymap)), None) or Keymap()

    @property
    def glyphs(self) -> Glyphs:
        """The signs of this terminal."""
        known = getattr(self.app, "glyphs", None)
        return known if isinstance(known, Glyphs) else UNICODE

    def wanted(self, most: int) -> tuple[int, int]:
        """Cells and rows it would fill, no line longer than ``most``."""
        raise NotImplementedError

    def line(self, y: int) -> Line:
        """One of its lines."""
        raise NotImplementedError

    def do(self, name: str) -> None:
        """Does an action of :data:`workbench.keys.GLOBAL`; most mean nothing here."""

    def close(self) -> None:
        """Leaves without a choice."""
        raise NotImplementedError

    def clicked(self, y: int) -> None:
        """A line was clicked."""

    def compose(self) -> ComposeResult:
        """The box and what is in it."""
        self._box.set_class(self.glyphs == ASCII, "ascii")
        with self._box:
            yield self.body

    def on_mount(self) -> None:
        """Takes its size."""
        self._fit()

    def on_resize(self) -> None:
        """Takes another size."""
        if self.app.size != self._fitted:
            self._fit()

    def on_key(self, event: events.Key) -> None:
        """Every key is the popup's, known or not."""
        event.stop()
        event.prevent_default()
        if self._left:
            # Typed before the box was gone: it is meant for what comes next.
            self.app.screen.post_message(events.Key(event.key, event.character))
        else:
            self.press(event.key, one_character(event.character))

    def press(self, key: str, character: str | None) -> None:
        """What a key means."""
        action = self.keymap.action(key, character)
        if action is None:
            return
        if action.name in _CLOSING:
            self.close()
        elif action.name == "suspend":
            self.app.action_suspend_process()
        else:
            self.do(action.name)

    def leave(self, value: T) -> None:
        """Goes away with an answer."""
        self._left = True
        self.dismiss(value)

    def _fit(self) -> None:
        self._fitted = self.app.size
        across, down = self._fitted
        frame = _BORDER + _PADDING
        most = max(int(across * SHARE) - frame, 1)
        titled = clip(self._title, most)
        cells, rows = self.wanted(most)
        self.cells = min(max(cells, width(titled) + 2), most)
        self.rows = max(min(rows, int(down * SHARE) - _BORDER), 1)
        box = self._box
        box.styles.width, box.styles.height = self.cells + frame, self.rows + _BORDER
        box.border_title = Content(clip(self._title, self.cells)) if self._title.strip() else None
        self.fitted()
        self.body.refresh()

    def fitted(self) -> None:
        """Its size is known, or another one."""

    def foot(self, said: str, look: str, place: str) -> Line:
        """The last line: a word on the left, a place on the right."""
        room = self.cells - width(place) - (1 if place else 0)
        return [(pad(said, max(room, 0)), look), (f" {place}" if place else "", "dim")]
