"""From the fold's result to the funnel's table: rows with their rates and times, totals, people behind cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from queries import statistics
from queries.funnel_groups import NONE, OTHER, Cohort, Group, group_of, groups
from queries.kernels.funnel import Folded
from queries.kernels.ordering import distinct
from queries.question import Note, QuestionError, Row, Shown

Ints = NDArray[np.int64]


def value_column(name: str) -> Shown:
    """The column of a breakdown by a property."""
    return Shown("breakdown", name, names=True, words=(("is_total", "(all)"), ("is_other", OTHER)), null=NONE)


def period_column(unit: str) -> Shown:
    """The column of a trend by day, week or month."""
    words = (("is_incomplete", "incomplete"),)
    return Shown("period", unit, names=True, null="(all)", marks=words)


COHORT_COLUMN = Shown("cohort", "cohort", names=True, null="(all)")
DIFFERENCE_COLUMNS = (
    Shown("difference", "diff %", "percent"),
    Shown("difference_low", "95 %", "interval", high="difference_high"),
    Shown("p_value", "p", "number"),
    Shown("verdict", "verdict"),
)

LAYOUT = (
    Shown("step", "#", "integer", names=True),
    Shown("event", "step", names=True),
    Shown("users", "n", "integer"),
    Shown("rate_from_first", "% of 1", "percent"),
    Shown("ci_from_first_low", "95 %", "interval", high="ci_from_first_high"),
    Shown("rate_from_previous", "% prev", "percent"),
    Shown("ci_from_previous_low", "95 %", "interval", high="ci_from_previous_high"),
    Shown("dropped", "dropped", "integer"),
    Shown("open", "open", "integer"),
    Shown("seconds_from_previous_median", "median", "seconds"),
)
SKIPPED_COLUMN = Shown("skipped", "skipped", "integer")

_DATED = re.compile(r"(?:^|@)\d{4}-\d\d-\d\d$")
"""Values that a trend's row may be called by."""
HISTOGRAM_BINS = 20
_NICE_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


class FunnelTable:
    """The funnel's rows, totals and notes, and the way back from a cell to its people.

    ``cohorts`` are the sides of a comparison, or the one whole; ``compared`` names the places of two of them
    whose rates are set against each other. ``values`` are the breakdown's values in the order of their codes,
    None without a breakdown. ``owners`` gives the people of units, where other than people are counted.
    """

    def __init__(
        self,
        cohorts: Sequence[Cohort],
        values: Sequence[str] | None,
        compared: tuple[int, int] | None = None,
        owners: Callable[[Ints], Ints] = lambda units: units,
    ) -> None:
        self._cohorts = cohorts
        self._request = cohorts[0].request
        self._compared = compared
        self._owners = owners
        self._steps = len(self._request.steps)
        self._since = [_since(one.folded, first=one.request.since == "first") for one in cohorts]
        self._groups = groups(cohorts, values, self._request.scope.top)

    @property
    def layout(self) -> tuple[Shown, ...]:
        """The columns a table shows."""
        request = self._request
        return (
            *((value_column(request.scope.by),) if request.scope.by is not None else ()),
            *((period_column(request.trend),) if request.trend is not None else ()),
            *((COHORT_COLUMN,) if len(self._cohorts) > 1 else ()),
            *LAYOUT[:-1],
            *((SKIPPED_COLUMN,) if request.optional else ()),
            *LAYOUT[-1:],
            *(DIFFERENCE_COLUMNS if self._compared is not None else ()),
        )

    def rows(self) -> list[Row]:
        """One row a step and group, the total first."""
        rows = [row for group in self._groups for row in self._group_rows(group)]
        return self._with_differences(rows)

    def _group_rows(self, group: Group) -> Iterator[dict[str, object]]:
        cohort = self._cohorts[group.cohort]
        level = cohort.folded.level[group.places]
        is_open = cohort.folded.open[group.places]
        skipped = cohort.folded.skipped[group.places]
        counts = [int((level >= step).sum()) for step in range(1, self._steps + 2)]
        # In any order a row is a number of steps, not one of them.
        named = cohort.request.order != "any"
        for step, event in enumerate(cohort.request.steps, start=1):
            n = counts[step - 1]
            still_open = int((is_open & (level == step)).sum())
            yield {
                "step": step,
                "event": str(event) if named else None,
                "breakdown": group.value,
                "period": group.period_name,
                "cohort": cohort.name,
                "is_total": group.is_total,
                "is_other": group.is_other,
                "is_incomplete": cohort.periods is not None and group.period in cohort.periods.incomplete,
                "users": n,
                **_rate("from_first", n, counts[0]),
                **_rate("from_previous", n, counts[step - 2] if step > 1 else None),
                "dropped": n - counts[step] - still_open if step < self._steps else 0,
                "open": still_open,
                "skipped": int((skipped >> (step - 1) & 1 != 0).sum()),
                **self._times(group, step),
            }

    def _with_differences(self, rows: list[dict[str, object]]) -> list[Row]:
        """Under a comparison the rows with the difference of each rate from step 1, corrected for being many."""
        if self._compared is None:
            return [*rows]
        target, base = self._compared
        counts = {
            (group.cohort, group.part, group.period): [
                cast("int", row["users"]) for row in rows[place * self._steps : (place + 1) * self._steps]
            ]
            for place, group in enumerate(self._groups)
        }
        found: list[tuple[float, float, float] | None] = []
        ps: list[float | None] = []
        for group in self._groups:
            mine = counts[group.cohort, group.part, group.period]
            other = counts.get((base, group.part, group.period), [0] * self._steps)
            for step in range(self._steps):
                sizes = (mine[step], mine[0], other[step], other[0])
                is_asked = group.cohort == target and step > 0
                found.append(statistics.newcombe(*sizes) if is_asked else None)
                ps.append(statistics.two_proportions(*sizes) if is_asked else None)
        out: list[Row] = []
        for row, interval, p in zip(rows, found, statistics.benjamini_hochberg(ps), strict=True):
            difference, low, high = (None, None, None) if interval is None else interval
            word = None if difference is None else statistics.verdict(p, difference)
            out.append(
                row
                | {"difference": difference, "difference_low": low, "difference_high": high}
                | {"p_value": p, "verdict": word}
            )
        return out

    def _times(self, group: Group, step: int) -> dict[str, object]:
        """Exact quantiles of the counted attempts that did the step, in seconds."""
        blank = step == 1
        reached = self._cohorts[group.cohort].folded.reached
        there = group.places[reached[step - 1, group.places] >= 0]
        entry = np.sort(self._since[group.cohort][step - 1, there])
        previous = np.sort(_since_previous(reached[:step, there]))
        return {
            "seconds_from_entry_median": None if blank else statistics.quantile_seconds(entry, 1, 2),
            "seconds_from_entry_p25": None if blank else statistics.quantile_seconds(entry, 1, 4),
            "seconds_from_entry_p75": None if blank else statistics.quantile_seconds(entry, 3, 4),
            "seconds_from_entry_p90": None if blank else statistics.quantile_seconds(entry, 9, 10),
            "seconds_from_previous_median": None if blank else statistics.quantile_seconds(previous, 1, 2),
        }

    def totals(self) -> dict[str, object]:
        """People who entered and converted, the rate with its interval, the time to convert; of the first cohort.

        ``entered`` and ``converted`` are of the unit (people, attempts, held values), ``users`` of people.
        """
        folded, places = self._cohorts[0].folded, self._cohorts[0].places
        entered = len(places)
        done = folded.level[places] == self._steps
        is_open = folded.open[places]
        converted = int(done.sum())
        interval = statistics.wilson(converted, entered)
        seconds = np.sort(self._since[0][-1, places[done]])
        several = self._steps > 1
        return {
            "users": len(distinct(self._owners(folded.person[places]))),
            "entered": entered,
            "converted": converted,
            "conversion_rate": converted / entered if entered else None,
            "ci_low": None if interval is None else interval[0],
            "ci_high": None if interval is None else interval[1],
            "dropped": int((~is_open & ~done).sum()),
            "open": int(is_open.sum()),
            "removed": len(distinct(folded.removed)),
            "seconds_to_convert_median": statistics.quantile_seconds(seconds, 1, 2) if several else None,
            "histogram": histogram(seconds) if several else [],
        }

    def notes(self) -> list[Note]:
        """Equal times, people left out and small numbers, counted."""
        notes = []
        folded = self._cohorts[0].folded
        if folded.tied_events:
            text = f"{folded.tied_events:,} matching events share person and millisecond with another"
            notes.append(Note("equal-times", text, count=folded.tied_events))
            known = folded.strict_level >= 0
            differ = int((folded.level != folded.strict_level)[known].sum())
            if self._request.ties == "order" and known.any():
                text = f"{differ:,} would stand at another step if times had to increase"
                notes.append(Note("strict-times-differ", text, count=differ))
        if len(folded.removed):
            left_out = len(distinct(folded.removed))
            text = f"{left_out:,} left out by --exclusion remove: they are in no row"
            notes.append(Note("removed", text, count=left_out))
        if 0 < len(folded.level) < statistics.SMALL:
            text = f"only {len(folded.level)} entered: rates of fewer than {statistics.SMALL} say little"
            notes.append(Note("small-sample", text, count=len(folded.level)))
        return notes

    def codes(self, cell: str) -> Ints:
        """The people of a cell, ascending. Raises :class:`QuestionError` for a cell the table lacks."""
        found = parse_cell(cell, self._steps)
        group = group_of(found.value, self._groups, self._cohorts)
        folded, places = self._cohorts[group.cohort].folded, group.places
        level = folded.level[places]
        chosen = level >= found.step
        if found.measure in ("dropped", "open"):
            is_open = folded.open[places]
            chosen = (
                (level == found.step) & (is_open == (found.measure == "open")) & (found.step < self._steps)
            )
        people: Ints = distinct(self._owners(folded.person[places[chosen]]))
        return people

    def standing(self, cohort: int = 0) -> tuple[Ints, Ints]:
        """The people of a cohort, ascending, and the deepest step of each, from 1."""
        folded, places = self._cohorts[cohort].folded, self._cohorts[cohort].places
        person, level = self._owners(folded.person[places]), folded.level[places]
        order = np.argsort(person, kind="stable")
        people, first = np.unique(person[order], return_index=True)
        return people, np.maximum.reduceat(level[order], first) if len(people) else level

    def standing_elsewhere(self, cohort: int) -> int:
        """How many people have another deepest step in a cohort than in the first, being in one alone included."""
        sides = [self.standing(0), self.standing(cohort)]
        level = np.zeros(
            (2, max((int(people[-1]) + 1 for people, _ in sides if len(people)), default=0)), np.int64
        )
        for side, (people, deepest) in enumerate(sides):
            level[side, people] = deepest
        return int((level[0] != level[1]).sum())


def _since(folded: Folded, *, first: bool) -> Ints:
    """``(steps, entries)``: ms from the entry (or the first step 1 in range) to each step; −1 where not done.

    A step that a tolerance lets come before the entry counts as at once.
    """
    start = folded.first_entry if first else folded.reached[0]
    return np.where(folded.reached < 0, -1, np.maximum(folded.reached - start, 0))


def _since_previous(reached: Ints) -> Ints:
    """ms from the step done before to the last step given, for entries that did it; skipped steps passed over."""
    before = reached[0]
    for step in range(1, len(reached) - 1):
        before = np.where(reached[step] >= 0, reached[step], before)
    times: Ints = np.maximum(reached[-1] - before, 0)
    return times


def _rate(name: str, k: int, n: int | None) -> dict[str, float | None]:
    interval = None if n is None else statistics.wilson(k, n)
    return {
        f"rate_{name}": k / n if n else None,
        f"ci_{name}_low": None if interval is None else interval[0],
        f"ci_{name}_high": None if interval is None else interval[1],
    }


def histogram(milliseconds: Ints) -> list[dict[str, int]]:
    """Equal bins of a round width over ascending times; ``[from, to)`` in seconds, people counted.

    The width is the smallest round one that needs at most :data:`HISTOGRAM_BINS` bins, whole days past a day.
    """
    if not len(milliseconds):
        return []
    longest = int(milliseconds[-1]) // 1000 + 1
    width = next((w for w in _NICE_SECONDS if w * HISTOGRAM_BINS >= longest), 0)
    if not width:
        width = -(-longest // (HISTOGRAM_BINS * 86400)) * 86400
    counts = np.bincount(milliseconds // (1000 * width))
    return [
        {"from_seconds": place * width, "to_seconds": (place + 1) * width, "users": int(count)}
        for place, count in enumerate(counts)
    ]


@dataclass(frozen=True, slots=True)
class Cell:
    """A place in the funnel's table that has people behind it."""

    measure: str
    step: int
    value: str | None
    """A breakdown's row, when not the total."""


def cell_of(row: Row, measure: str) -> str:
    """How ``--users`` names the people that a row counts: ``reached``, ``dropped`` or ``open`` at its step."""
    value = None if row["is_total"] else OTHER if row["is_other"] else row["breakdown"]
    rest = [str(row[key]) for key in ("period", "cohort") if row[key] is not None]
    if value is None:
        own = [] if row["is_total"] else [NONE]
    else:
        text = str(value)
        # In quotes it is a value, whatever else has that name: a period, a side of a comparison.
        beside = bool(rest) or "difference" in row or _DATED.search(text) is not None
        plain = row["is_other"] or (not beside and text[:1] not in ("", "(", '"'))
        own = [text if plain else f'"{text}"']
    return "@".join([f"{measure}:{row['step']}", *own, *rest])


def parse_cell(text: str, steps: int) -> Cell:
    """Reads ``reached:K``, ``dropped:K``, ``open:K`` or ``converted``, each with an optional ``@VALUE``.

    Raises :class:`QuestionError` for anything else, and for a step that is not among the ``steps``.
    """
    head, mark, value = text.partition("@")
    measure, _, step = head.partition(":")
    chosen = value if mark else None
    if measure == "converted" and not step:
        return Cell(measure, steps, chosen)
    if measure not in ("reached", "dropped", "open") or not (step.isascii() and step.isdigit()):
        raise QuestionError(
            f"--users {text[:60]!r} names no cell",
            "write reached:K, dropped:K, open:K or converted, with @VALUE for a breakdown's row",
        )
    if len(step) > 3 or not 1 <= int(step) <= steps:
        raise QuestionError(
            f"--users {measure}:{step[:20]}: the funnel has steps 1 to {steps}",
            "like --users dropped:1 or --users converted",
        )
    return Cell(measure, int(step), chosen)
