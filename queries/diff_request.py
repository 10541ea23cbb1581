"""The comparison of two answers as asked: two files, the data at hand, and which of the moved are listed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from queries.question import EVERYTHING, QuestionError, Scope
from queries.suggest import hint

LISTS = ("moved", "data", "definition", "both", "identity")
"""Those who moved: all of them, or by cause."""
OUT = "none"
"""How a cell names people who are not in the funnel."""
_MOVE = re.compile(rf"(\d{{1,2}}|{OUT}):(\d{{1,2}}|{OUT})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffRequest:
    """Two JSON answers of one report; ``scope`` names other data than they do."""

    a: str
    b: str
    no_data: bool = False
    """Only what the files say; nothing is asked again."""
    scope: Scope = EVERYTHING

    @property
    def report(self) -> str:
        """The report's name."""
        return "diff"

    def check_cell(self, cell: str) -> None:
        """Raises :class:`QuestionError` for what names nobody who moved."""
        parse_cell(cell)
        if self.no_data:
            raise QuestionError("--users needs the data, and --no-data leaves it", "leave one of them out")

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        files = [f"./{file}" if file.startswith("-") else file for file in (self.a, self.b)]
        return [self.report, *files, *self.scope.arguments(), *(["--no-data"] if self.no_data else [])]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the comparison, as JSON carries it."""
        return {
            "a": self.a,
            "b": self.b,
            "no_data": self.no_data,
            "data": list(self.scope.data),
            "mapping": self.scope.mapping,
        }


@dataclass(frozen=True, slots=True)
class Cell:
    """Some of those who moved: by cause, or from a step to another (0: not in the funnel)."""

    because: str | None = None
    move: tuple[int, int] | None = None


def parse_cell(text: str) -> Cell:
    """Reads ``moved``, a cause, or ``FROM:TO`` with steps or ``none``; raises :class:`QuestionError`."""
    if text in LISTS:
        return Cell(because=None if text == "moved" else text)
    found = _MOVE.fullmatch(text)
    if found is None:
        raise QuestionError(
            f"--users {text[:60]!r} names nobody who moved",
            hint(text, LISTS)
            or "write moved, data, definition, both, identity, or FROM:TO like 2:3 or none:1",
        )
    first, last = (0 if one == OUT else int(one) for one in found.groups())
    return Cell(move=(first, last))
