"""The last line of a screen: the few keys that are worth the most here."""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget

from workbench.text import clean, clip, width
from workbench.widgets import Keyed

MOST = 7
"""Hints at once."""
_GAP = 2
_LAST = "help"
"""The way to all the others: the last to go where the line is too narrow."""


class Footer(Widget, inherit_bindings=False):
    """At most seven hints, as ``key label``; what does not fit is left out from the end."""

    DEFAULT_CSS = """
    Footer { height: 1; width: 100%; background: $panel; color: $foreground; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._hints: tuple[tuple[str, str, str], ...] = ()

    def show(self, frame: Keyed) -> None:
        """Takes the hints of a screen; nothing is drawn, nor sent, where they are those there are."""
        named = [(name, frame.keymap.named(name)) for name in dict.fromkeys(frame.hints())]
        hints = tuple(
            (name, clean(frame.keymap.key_of(name)), clean(action.label))
            for name, action in named
            if action is not None
        )[:MOST]
        hints = frame.typing() or hints
        if hints != self._hints:
            self._hints = hints
            self.refresh()

    def render(self) -> Text:
        """The line."""
        text = Text(" ", no_wrap=True, end="")
        for at, (_, key, label) in enumerate(fitting(self._hints, self.size.width - 2)):
            text.append((" " * _GAP) if at else "")
            text.append(key, "bold")
            text.append(f" {clip(label, max(self.size.width - width(key) - 3, 1))}")
        return text


def fitting(hints: tuple[tuple[str, str, str], ...], cells: int) -> list[tuple[str, str, str]]:
    """The hints (name, key, label) that fit, help among them where there is room for it."""
    kept = list(hints)
    while (
        len(kept) > 1 and sum(width(key) + 1 + width(label) + _GAP for _, key, label in kept) - _GAP > cells
    ):
        del kept[-2 if kept[-1][0] == _LAST else -1]
    return kept
