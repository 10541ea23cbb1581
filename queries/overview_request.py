"""The overview as asked, and the figures that it has: what is needed before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from queries.question import EVERYTHING, QuestionError, Scope
from queries.saved import SCOPE_KEYS, Saved
from queries.suggest import hint, shown

PREVIOUS = "@previous"
"""Behind a figure's name: that of the period before."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One key figure."""

    name: str
    unit: str
    """``events``, ``people``, ``sessions``, ``orders``, ``searches``, ``money`` or ``rate``."""
    of: tuple[str, ...]
    """The count, or numerator and denominator."""
    behind: str = "TRUE"
    """Whose people are behind it, as a condition over marked events."""
    role: str | None = None
    column: str | None = None
    """Needed in the data."""


FIGURES = (
    Figure("events", "events", ("events",)),
    Figure("people", "people", ("people",)),
    Figure("sessions", "sessions", ("sessions",)),
    Figure("conversion", "rate", ("buyers", "people"), "is_order", "order"),
    Figure("orders", "orders", ("orders",), "is_order", "order"),
    Figure("revenue", "money", ("revenue",), "is_order", "order", "amount"),
    Figure("order_value", "money", ("revenue", "orders"), "is_order", "order", "amount"),
    Figure("refunds", "money", ("refunds",), "is_refund", "refund", "refund_amount"),
    Figure("searches", "searches", ("searches",), "is_search", "search"),
    Figure(
        "no_result_rate", "rate", ("empty", "counted"), "is_search AND result_count = 0", "search", "result_count"
    ),
)  # fmt: skip
NAMES = tuple(figure.name for figure in FIGURES)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewRequest:
    """The key figures of a scope, and of the data as a whole."""

    scope: Scope = EVERYTHING

    def __post_init__(self) -> None:
        if self.scope.by is not None:
            raise QuestionError("--by: the overview is not broken down", "funnel, events and properties are")
        if self.scope.unit not in ("user", "raw"):
            raise QuestionError(f"--unit {self.scope.unit}: the overview knows user and raw")

    @property
    def report(self) -> str:
        """The question's name in the registry."""
        return "overview"

    def check_cell(self, cell: str) -> None:
        """A cell is a figure's name, with ``@previous`` behind it for the period before."""
        parse_cell(cell)

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        return [self.report, *self.scope.arguments()]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question, as JSON carries it."""
        return self.scope.to_dict()


def from_dict(saved: Mapping[str, object]) -> OverviewRequest:
    """The request that ``to_dict`` gave; raises :class:`QuestionError` for what is none."""
    return OverviewRequest(scope=Saved(saved, SCOPE_KEYS).scope())


def parse_cell(cell: str) -> tuple[Figure, bool]:
    name = cell.removesuffix(PREVIOUS)
    for figure in FIGURES:
        if figure.name == name:
            return figure, cell != name
    near = hint(name, NAMES) or f"there are {', '.join(NAMES)}"
    raise QuestionError(f"--users {shown(cell)} names no figure", near)
