"""From the fold's result to the funnel's table: rows with their rates and times, totals, people behind cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from queries import statistics
from queries.kernels.funnel import Folded
from queries.question import Note, QuestionError, Row, Shown
from queries.suggest import hint

if TYPE_CHECKING:
    from queries.funnel_request import FunnelRequest

Ints = NDArray[np.int64]

NONE = "(none)"
OTHER = "(other)"
"""How a cell's ``@VALUE`` names people without a value, and those of the values past the top."""


def value_column(name: str) -> Shown:
    """The column of a breakdown by a property."""
    return Shown("breakdown", name, names=True, words=(("is_total", "(all)"), ("is_other", OTHER)), null=NONE)


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

HISTOGRAM_BINS = 20
_NICE_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


@dataclass(frozen=True, slots=True)
class _Group:
    """The people of one row of the breakdown, as places in the fold's result."""

    value: str | None
    places: Ints
    is_total: bool = False
    is_other: bool = False


class FunnelTable:
    """The funnel's rows, totals and notes, and the way back from a cell to its people.

    ``values`` are the breakdown's values in the order of their codes, None without a breakdown; the ``top`` of
    them by people at step 1 (equal ones by name) get rows, the rest is Other, people without a value are a row
    of their own.
    """

    def __init__(self, request: FunnelRequest, folded: Folded, values: Sequence[str] | None) -> None:
        self._request = request
        # In any order a row is a number of steps, not one of them.
        self._steps = [None if request.order == "any" else str(step) for step in request.steps]
        self._folded = folded
        self._since = _since(folded, first=request.since == "first")
        self._groups = [_Group(None, np.arange(len(folded.value)), is_total=True)]
        if values is not None:
            self._groups += self._split(values, request.scope.top)

    @property
    def layout(self) -> tuple[Shown, ...]:
        """The columns a table shows."""
        return (*LAYOUT[:-1], SKIPPED_COLUMN, LAYOUT[-1]) if self._request.optional else LAYOUT

    def _split(self, values: Sequence[str], top: int) -> Iterator[_Group]:
        code = self._folded.value
        sizes = np.bincount(code[code >= 0], minlength=len(values))
        ranked = sorted((-int(size), values[place], place) for place, size in enumerate(sizes) if size)
        for _, value, place in ranked[:top]:
            yield _Group(value, np.flatnonzero(code == place))
        if len(ranked) > top:
            rest = np.zeros(len(values) + 1, bool)
            rest[[place for _, _, place in ranked[top:]]] = True
            yield _Group(None, np.flatnonzero(rest[code]), is_other=True)
        none = np.flatnonzero(code < 0)
        if len(none):
            yield _Group(None, none)

    def rows(self) -> list[Row]:
        """One row a step and group, the total first."""
        return [row for group in self._groups for row in self._group_rows(group)]

    def _group_rows(self, group: _Group) -> Iterator[Row]:
        level = self._folded.level[group.places]
        is_open = self._folded.open[group.places]
        counts = [int((level >= step).sum()) for step in range(1, len(self._steps) + 2)]
        for step, event in enumerate(self._steps, start=1):
            n = counts[step - 1]
            still_open = int((is_open & (level == step)).sum())
            yield {
                "step": step,
                "event": event,
                "breakdown": group.value,
                "period": None,
                "cohort": None,
                "is_total": group.is_total,
                "is_other": group.is_other,
                "users": n,
                **_rate("from_first", n, counts[0]),
                **_rate("from_previous", n, counts[step - 2] if step > 1 else None),
                "dropped": n - counts[step] - still_open if step < len(self._steps) else 0,
                "open": still_open,
                "skipped": int(((self._folded.skipped[group.places] >> (step - 1) & 1) != 0).sum()),
                **self._times(group, step),
            }

    def _times(self, group: _Group, step: int) -> dict[str, object]:
        """Exact quantiles of the counted attempts that did the step, in seconds."""
        blank = step == 1
        there = group.places[self._folded.reached[step - 1, group.places] >= 0]
        entry = np.sort(self._since[step - 1, there])
        previous = np.sort(_since_previous(self._folded.reached[:step, there]))
        return {
            "seconds_from_entry_median": None if blank else statistics.quantile_seconds(entry, 1, 2),
            "seconds_from_entry_p25": None if blank else statistics.quantile_seconds(entry, 1, 4),
            "seconds_from_entry_p75": None if blank else statistics.quantile_seconds(entry, 3, 4),
            "seconds_from_entry_p90": None if blank else statistics.quantile_seconds(entry, 9, 10),
            "seconds_from_previous_median": None if blank else statistics.quantile_seconds(previous, 1, 2),
        }

    def totals(self) -> dict[str, object]:
        """People who entered and converted, the rate with its interval, the time to convert.

        ``entered`` and ``converted`` are of the unit (people, attempts, held values), ``users`` of people.
        """
        entered = len(self._folded.level)
        done = self._folded.level == len(self._steps)
        converted = int(done.sum())
        interval = statistics.wilson(converted, entered)
        seconds = np.sort(self._since[-1, done])
        several = len(self._steps) > 1
        return {
            "users": len(np.unique(self._folded.person)),
            "entered": entered,
            "converted": converted,
            "conversion_rate": converted / entered if entered else None,
            "ci_low": None if interval is None else interval[0],
            "ci_high": None if interval is None else interval[1],
            "dropped": int((~self._folded.open & ~done).sum()),
            "open": int(self._folded.open.sum()),
            "removed": len(np.unique(self._folded.removed)),
            "seconds_to_convert_median": statistics.quantile_seconds(seconds, 1, 2) if several else None,
            "histogram": histogram(seconds) if several else [],
        }

    def notes(self) -> list[Note]:
        """Equal times, people left out and small numbers, counted."""
        notes = []
        folded = self._folded
        if folded.tied_events:
            text = f"{folded.tied_events:,} matching events share person and millisecond with another"
            notes.append(Note("equal-times", text, count=folded.tied_events))
            known = folded.strict_level >= 0
            differ = int((folded.level != folded.strict_level)[known].sum())
            if self._request.ties == "order" and known.any():
                text = f"{differ:,} would stand at another step if times had to increase"
                notes.append(Note("strict-times-differ", text, count=differ))
        if len(folded.removed):
            left_out = len(np.unique(folded.removed))
            text = f"{left_out:,} left out by --exclusion remove: they are in no row"
            notes.append(Note("removed", text, count=left_out))
        if 0 < len(folded.level) < statistics.SMALL:
            text = f"only {len(folded.level)} entered: rates of fewer than {statistics.SMALL} say little"
            notes.append(Note("small-sample", text, count=len(folded.level)))
        return notes

    def codes(self, cell: str) -> Ints:
        """The people of a cell, ascending. Raises :class:`QuestionError` for a cell the table lacks."""
        last = len(self._steps)
        found = parse_cell(cell, last)
        places = self._group(found.value).places
        level = self._folded.level[places]
        chosen = level >= found.step
        if found.measure in ("dropped", "open"):
            is_open = self._folded.open[places]
            chosen = (level == found.step) & (is_open == (found.measure == "open")) & (found.step < last)
        people: Ints = np.unique(self._folded.person[places[chosen]])
        return people

    def _group(self, value: str | None) -> _Group:
        if value is None:
            return self._groups[0]
        rows = self._groups[1:]
        wanted = value
        if value in (NONE, OTHER):
            found = [group for group in rows if group.value is None and group.is_other == (value == OTHER)]
        else:
            if len(value) > 1 and value[0] == value[-1] == '"':
                wanted = value[1:-1]
            found = [group for group in rows if group.value == wanted]
        if found:
            return found[0]
        names = [_cell_value(group) for group in rows]
        if not names:
            raise QuestionError(
                f"@{value} names a breakdown's row, and there is no breakdown", "add --by PROPERTY"
            )
        raise QuestionError(
            f"the breakdown has no row {value!r}", hint(wanted, names) or f"rows: {', '.join(names)}"
        )


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


def _cell_value(group: _Group) -> str:
    """How ``@VALUE`` names a group; a real value that looks like our own words stands in double quotes."""
    if group.value is None:
        return OTHER if group.is_other else NONE
    return f'"{group.value}"' if group.value in (NONE, OTHER) else group.value


@dataclass(frozen=True, slots=True)
class Cell:
    """A place in the funnel's table that has people behind it."""

    measure: str
    step: int
    value: str | None
    """A breakdown's row, when not the total."""


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
