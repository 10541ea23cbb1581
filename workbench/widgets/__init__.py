"""What the screens are made of: each widget shows what it is given and knows no question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from workbench.keys import Keymap


class Keyed(Protocol):
    """What palette, help and footer need of a screen."""

    keymap: Keymap

    def why_not(self, name: str) -> str | None:
        """Why an action cannot be done now; None where it can."""
        ...

    def hints(self) -> Sequence[str]:
        """The names of the actions that the footer shows, the most useful first."""
        ...

    def typing(self) -> tuple[tuple[str, str, str], ...]:
        """What the footer says while something is typed: name, key and label; empty while nothing is."""
        ...

    def rule_text(self) -> str:
        """What is computed here, in words."""
        ...
