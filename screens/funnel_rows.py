"""The rows of a funnel's answer by the group they are of, and what groups and figures are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import cast

from queries.funnel_groups import NONE, OTHER
from queries.funnel_request import FunnelRequest
from queries.question import Row, Shown
from workbench.output.cells import cell

Group = tuple[object, ...]
"""What tells the rows of one funnel from those of another: value, period, side."""

_NAMED = ("breakdown", "period", "cohort")
ALL = "(all)"
"""What the table calls a group that takes in all values, periods or people."""
MEASURES: Mapping[str, str | None] = {"dropped": "dropped", "open": "open", "skipped": None}
"""Columns whose people are not those who reached the step; None: ``--users`` has no name for them."""
_WHO = {"reached": "reached", "dropped": "dropped after", "open": "may still go on from"}


def group_of(row: Row) -> Group:
    """The group of a row."""
    return tuple(row[key] for key in ("breakdown", "is_total", "is_other", "period", "cohort"))


class Groups:
    """The rows of an answer by group, in their order, and the shares that bars show."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self._by: dict[Group, list[Row]] = {}
        for row in rows:
            self._by.setdefault(group_of(row), []).append(row)
        self._waiting: dict[Group, list[int]] = {}

    @property
    def all(self) -> list[Group]:
        """Every group, in the order of the answer."""
        return list(self._by)

    def of(self, group: Group) -> list[Row]:
        """The rows of a group, a row a step; none of one that there is not."""
        return self._by.get(group, [])

    def first(self) -> Group | None:
        """The group of the whole; None without rows."""
        return next(iter(self._by), None)

    def share(self, row: Row) -> float | None:
        """The part of step 1 that came so far; None where nobody came to step 1."""
        return cast("float | None", row["rate_from_first"])

    def waiting(self, row: Row) -> float:
        """The part of step 1 that stands at an earlier step and may still come."""
        group = group_of(row)
        if group not in self._waiting:
            self._waiting[group] = list(accumulate((_int(one["open"]) for one in self._by[group]), initial=0))
        entered = _int(self._by[group][0]["users"])
        return self._waiting[group][_int(row["step"]) - 1] / entered if entered else 0.0

    @property
    def any_waiting(self) -> bool:
        """Whether somebody may still come anywhere."""
        return any(row["open"] for row in self.rows)


def called(row: Row, layout: Mapping[str, Shown]) -> str:
    """Which group a row is of, as the table says it; empty where there is but one."""
    parts = [cell(row, layout[key]) for key in _NAMED if key in layout]
    return " ".join(part for part in parts if part != ALL) or (ALL if parts else "")


def value_name(row: Row) -> str:
    """The breakdown's value of a row."""
    if row["is_total"]:
        return ALL
    return OTHER if row["is_other"] else NONE if row["breakdown"] is None else str(row["breakdown"])


def step_name(row: Row) -> str:
    """What a row's step is called; in any order it is a number of steps."""
    if row["event"] is not None:
        return str(row["event"])
    return "1 step or more" if row["step"] == 1 else f"{row['step']} steps or more"


def counted(request: FunnelRequest) -> str:
    """What the figures count, in a word or a few."""
    return str(request).partition("; ")[0]


def measure_of(key: str) -> str | None:
    """Which of a row's people stand behind a column; None: nobody that can be listed."""
    return MEASURES.get(key, "reached")


def phrase(row: Row, measure: str, request: FunnelRequest) -> str:
    """Who stands behind a figure, to be read after *people*."""
    of = counted(request)
    who = "who" if of in ("people", "raw ids") else f"of the {of} that"
    step = f"step {row['step']}" + (f" {row['event']}" if row["event"] is not None else "")
    if row["event"] is None:
        step = step_name(row) if measure == "reached" else step_name(row).removesuffix(" or more")
    if row["event"] is None and measure == "reached":
        what = "did"
    else:
        what = _WHO[measure]
    value = [] if row["is_total"] else [value_name(row)]
    rest = [*value, *(str(row[key]) for key in ("period", "cohort") if row[key] is not None)]
    return f"{who} {what} {step}" + (f" ({', '.join(rest)})" if rest else "")


def _int(value: object) -> int:
    return int(str(value))
