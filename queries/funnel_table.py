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
from queries.funnel_times import histogram, times_of_steps, times_to_convert
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
        rows = _rows(cohort.folded, group.places)
        level = cohort.folded.level[rows]
        skipped = cohort.folded.skipped[rows]
        stood = np.bincount(level, minlength=self._steps + 1)
        counts = [*np.cumsum(stood[:0:-1])[::-1].tolist(), 0]
        still = np.bincount(level[cohort.folded.open[rows]], minlength=self._steps + 1).tolist()
        # In any order a row is a number of steps, not one of them.
        named = cohort.request.order != "any"
        times = times_of_steps(cohort, rows)
        for step, event in enumerate(cohort.request.steps, start=1):
            n, still_open = counts[step - 1], still[step]
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
                "skipped": int((skipped >> (step - 1) & 1 != 0).sum()) if cohort.request.optional else 0,
                **next(times),
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

    def totals(self) -> dict[str, object]:
        """People who entered and converted, the rate with its interval, the time to convert; of the first cohort.

        ``entered`` and ``converted`` are of the unit (people, attempts, held values), ``users`` of people.
        """
        folded, places = self._cohorts[0].folded, self._cohorts[0].places
        entered, rows = len(places), _rows(folded, places)
        done = folded.level[rows] == self._steps
        is_open = folded.open[rows]
        converted = int(done.sum())
        interval = statistics.wilson(converted, entered)
        seconds = times_to_convert(self._cohorts[0], places[done])
        several = self._steps > 1
        return {
            "users": _how_many(self._owners(folded.person[rows])),
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


def _rows(folded: Folded, places: Ints) -> Ints | slice:
    """Some of the fold's entries, to be read: all of them need no gathering."""
    return slice(None) if len(places) == len(folded.level) else places


def _how_many(people: Ints) -> int:
    """How many people there are among codes."""
    if (people[1:] >= people[:-1]).all():
        return int((people[1:] != people[:-1]).sum()) + bool(len(people))
    return len(distinct(people))


def _rate(name: str, k: int, n: int | None) -> dict[str, float | None]:
    interval = None if n is None else statistics.wilson(k, n)
    return {
        f"rate_{name}": k / n if n else None,
        f"ci_{name}_low": None if interval is None else interval[0],
        f"ci_{name}_high": None if interval is None else interval[1],
    }


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
