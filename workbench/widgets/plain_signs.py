"""The last look at every line on its way to a terminal that has few signs: ours in their plain form."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from workbench.glyphs import PLAIN

_TABLE = str.maketrans(PLAIN)


class PlainSigns(LineFilter):
    """Puts an ASCII character in the place of each sign, so that no line becomes wider or narrower.

    Other characters are the data's, and stay; ``strict`` is for a terminal that does not read UTF-8: whatever was not
    escaped before, as what is being typed, becomes question marks.
    """

    def __init__(self, *, strict: bool = False) -> None:
        super().__init__()
        self._strict = strict

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same line in plain signs."""
        return [
            segment if segment.text.isascii() else segment._replace(text=self.plain(segment.text))
            for segment in segments
        ]

    def plain(self, text: str) -> str:
        """The same text in plain signs, in as many cells."""
        drawn = text.translate(_TABLE)
        if not self._strict or drawn.isascii():
            return drawn
        return "".join(char if char.isascii() else "?" * cell_len(char) for char in drawn)
