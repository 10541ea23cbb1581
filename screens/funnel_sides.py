"""The funnel side by side: a row a step, a column a value, a period or a side of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from queries.question import Row, Shown
from screens.funnel_rows import ALL, Group, Groups, called
from workbench.output.cells import cell
from workbench.text import pad, width

_SIDE, _DIFFERENCE = "side:", "difference:"


class Sides:
    """The groups that stand side by side, and the table they make."""

    def __init__(self, groups: Groups, layout: Sequence[Shown]) -> None:
        self._groups = groups
        self._layout = {shown.key: shown for shown in layout}
        self.all = _beside(groups)

    @property
    def are_several(self) -> bool:
        """Whether there is anything to set side by side."""
        return len(self.all) > 1

    @property
    def columns(self) -> list[Shown]:
        """The step, then a column a side; behind the side that is compared, its difference."""
        out = [self._layout["step"], self._layout["event"]]
        for place, side in enumerate(self.all):
            rows = self._groups.of(side)
            out.append(Shown(f"{_SIDE}{place}", called(rows[0], self._layout) or ALL, "exact"))
            if any(row.get("difference") is not None for row in rows):
                out.append(Shown(f"{_DIFFERENCE}{place}", "difference", "exact"))
        return out

    @property
    def rows(self) -> list[dict[str, object]]:
        """How many, the share of step 1 and its interval; a row a step."""
        made: list[dict[str, object]] = [
            {"step": row["step"], "event": row["event"]} for row in self._groups.of(self.all[0])
        ]
        for number, side in enumerate(self.all):
            rows = self._groups.of(side)
            figures = _aligned([_figure(row, self._layout) for row in rows])
            for line, row, figure in zip(made, rows, figures, strict=True):
                line[f"{_SIDE}{number}"] = figure
                if row.get("difference") is not None:
                    line[f"{_DIFFERENCE}{number}"] = _difference(row, self._layout)
        return made

    def row_of(self, key: str, step: int) -> Row | None:
        """The row of the answer that a cell shows; that of the first side under the columns that name the step."""
        head, _, place = key.rpartition(":")
        number = int(place) if f"{head}:" in (_SIDE, _DIFFERENCE) else 0
        return next((row for row in self._groups.of(self.all[number]) if row["step"] == step), None)


def _beside(groups: Groups) -> list[Group]:
    """All groups, those of single periods only where nothing else tells them apart: too many stand beside none."""
    whole = [group for group in groups.all if groups.of(group)[0]["period"] is None]
    return whole if len(whole) > 1 else groups.all


def _figure(row: Row, layout: Mapping[str, Shown]) -> tuple[str, str, str]:
    keys = ("users", "rate_from_first", "ci_from_first_low")
    count, rate, interval = (cell(row, layout[key]) for key in keys)
    return (count, "", "") if row["rate_from_first"] is None else (count, f"{rate} %", f"[{interval}]")


def _aligned(figures: Sequence[tuple[str, str, str]]) -> list[str]:
    """Figures of one column with their parts under each other."""
    sizes = [max(map(width, parts)) for parts in zip(*figures, strict=True)]
    return [
        "  ".join(pad(part, size, "right") for part, size in zip(figure, sizes, strict=True) if size)
        for figure in figures
    ]


def _difference(row: Row, layout: Mapping[str, Shown]) -> str:
    keys = ("difference", "difference_low", "verdict")
    difference, interval, verdict = (cell(row, layout[key]) for key in keys)
    return f"{difference} % [{interval}] {verdict}"
