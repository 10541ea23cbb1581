"""The list of screens behind ``g``: the next letter opens one."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.keys import one_letter
from workbench.widgets.popup import Choice, Choose

TOP = "top"
"""What is left with where the second key is that of the first: to the first row."""


class GoTo(Choose):
    """Screens with their letters; the arrows and enter choose too, esc takes the pending key back."""

    def __init__(self, screens: Sequence[tuple[str, str, str]], go: str) -> None:
        """``screens`` are name, letter (may be empty) and what each answers; ``go`` is the key that led here."""
        choices = [Choice(name, name, told, key=letter) for name, letter, told in screens]
        super().__init__("go to", [*choices, Choice(TOP, "first row", "", key=go)])
        self._letters = {letter: name for name, letter, _ in screens if letter}
        self._go = go

    def press(self, key: str, character: str | None) -> None:
        """A letter opens its screen; letters go before keys that move."""
        letter = one_letter({*self._letters, self._go}, character)
        if letter is None:
            super().press(key, character)
        else:
            self.leave(TOP if letter == self._go else self._letters[letter])
