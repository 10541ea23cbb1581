"""Which entries of a fold make which rows: the whole, each value of a breakdown, each period, each cohort."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from queries.kernels.funnel import Folded
from queries.periods import Periods
from queries.question import QuestionError
from queries.suggest import hint

if TYPE_CHECKING:
    from queries.funnel_request import FunnelRequest

Ints = NDArray[np.int64]

NONE = "(none)"
OTHER = "(other)"
"""How a cell's ``@VALUE`` names people without a value, and those of the values past the top."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Entries that get rows of their own: everybody, or one side of a comparison."""

    name: str | None
    request: FunnelRequest
    folded: Folded
    places: Ints
    """Which of the fold's entries belong to it."""
    periods: Periods | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The people of one block of rows: a value, in a period, of a cohort."""

    cohort: int
    part: int
    """Place of the value among the rows of a breakdown; −1 for the total."""
    period: int
    """Place of the period; −1 for all of them."""
    places: Ints
    value: str | None = None
    is_other: bool = False
    period_name: str | None = None

    @property
    def is_total(self) -> bool:
        """Whether it takes in every value of the breakdown."""
        return self.part < 0


def groups(cohorts: Sequence[Cohort], values: Sequence[str] | None, top: int) -> list[Group]:
    """Every group that gets rows, in their order: values, in them periods, in them cohorts.

    ``values`` are the breakdown's values in the order of their codes, None without a breakdown; the ``top`` of
    them by people at step 1 (equal ones by name) get rows, the rest is Other, people without a value are a
    part of their own. The first group is the whole of the first cohort.
    """
    parts, names = _parts(cohorts, values, top)
    count = len(names)
    found: dict[tuple[int, int, int], Group] = {}
    longest = max(0 if cohort.periods is None else len(cohort.periods.names) for cohort in cohorts)
    for number, cohort in enumerate(cohorts):
        part = parts[number]
        period = np.zeros(len(cohort.places), np.int64)
        periods = () if cohort.periods is None else cohort.periods.names
        if cohort.periods is not None:
            period = cohort.periods.of(cohort.folded.reached[0, cohort.places])
        # Each way to cut the cohort, once: by nothing, by value, by period, by both.
        found[number, -1, -1] = Group(number, -1, -1, cohort.places)
        for place, mine in enumerate(_split(cohort.places, part, count)):
            found[number, place, -1] = Group(number, place, -1, mine, *names[place])
        for at, mine in enumerate(_split(cohort.places, period, len(periods))):
            found[number, -1, at] = Group(number, -1, at, mine, period_name=periods[at])
        both = _split(cohort.places, part * len(periods) + period, count * len(periods))
        for at, mine in enumerate(both):
            place, when = divmod(at, len(periods))
            found[number, place, when] = Group(number, place, when, mine, *names[place], periods[when])
    return [
        found[number, place, when]
        for place in range(-1, count)
        for when in range(-1, longest)
        for number in range(len(cohorts))
        if (number, place, when) in found
    ]


def _parts(
    cohorts: Sequence[Cohort], values: Sequence[str] | None, top: int
) -> tuple[list[Ints], list[tuple[str | None, bool]]]:
    """For each cohort the part of each entry, and each part's value and whether it is Other."""
    if values is None:
        return [np.zeros(len(cohort.places), np.int64) for cohort in cohorts], []
    codes = [cohort.folded.value[cohort.places] for cohort in cohorts]
    sizes = sum((np.bincount(code[code >= 0], minlength=len(values)) for code in codes), np.int64(0))
    ranked = sorted(
        (-int(size), values[place], place) for place, size in enumerate(np.atleast_1d(sizes)) if size
    )
    names: list[tuple[str | None, bool]] = [(value, False) for _, value, _ in ranked[:top]]
    # One longer than the values, so that −1, no value, is the last.
    part_of = np.full(len(values) + 1, len(names), np.int64)
    for part, (_, _, place) in enumerate(ranked[:top]):
        part_of[place] = part
    if len(ranked) > top:
        names.append((None, True))
    part_of[-1] = len(names)
    if any((code < 0).any() for code in codes):
        names.append((None, False))
    return [part_of[code] for code in codes], names


def _split(places: Ints, key: Ints, count: int) -> Iterator[Ints]:
    """The places of each key from 0 on, in their order."""
    if not count:
        return
    # Numbers of few bits are sorted by counting.
    few = bool(len(key)) and int(key.min()) >= 0 and int(key.max()) <= count
    order = np.argsort(key.astype(np.min_scalar_type(count)) if few else key, kind="stable")
    bounds = np.searchsorted(key[order], np.arange(count + 1))
    for low, high in pairwise(bounds):
        yield places[order[low:high]]


def group_of(cell: str | None, found: Sequence[Group], cohorts: Sequence[Cohort]) -> Group:
    """The group that a cell's ``@VALUE`` names; the first for none.

    What follows ``@`` is the row's value, period and cohort, as far as it has them, joined by ``@``; the first
    cohort need not be said. A value in double quotes is always a value; without them it is one where no other
    row has that name. Raises :class:`QuestionError` for none such.
    """
    if cell is None:
        return found[0]
    named: dict[str, Group] = {}
    # Whoever comes first keeps a name: full ones before short ones, quoted values and rows without one before
    # values as they are.
    for quoted in (True, False):
        for short in (False, True):
            for group in found:
                name = _name(group, cohorts, quoted=quoted, short=short)
                # Only an empty value is named by nothing.
                if name or group.value == "":
                    named.setdefault(name, group)
    if cell in named:
        return named[cell]
    names = (
        _name(group, cohorts, quoted=False, short=True) or _name(group, cohorts, quoted=False, short=False)
        for group in found
    )
    rows = list(dict.fromkeys(name for name in names if name))
    if not rows:
        raise QuestionError(
            f"@{cell} names a row of a breakdown, a trend or a comparison, and there is none",
            "add --by PROPERTY, --trend or --compare",
        )
    listed = ", ".join(rows[:12]) + (", …" if len(rows) > 12 else "")
    raise QuestionError(f"the answer has no row {cell!r}", hint(cell, rows) or f"rows: {listed}")


def _name(group: Group, cohorts: Sequence[Cohort], *, quoted: bool, short: bool) -> str:
    """What a group is called; ``short``: without the cohort where it is the first."""
    value = [] if group.is_total else [OTHER if group.is_other else NONE]
    if group.value is not None:
        value = ['"' + group.value + '"' if quoted else group.value]
    rest = _qualifiers(group, cohorts)
    if short and not group.cohort:
        rest = rest[: group.period >= 0]
    return "@".join((*value, *rest))


def _qualifiers(group: Group, cohorts: Sequence[Cohort]) -> list[str]:
    cohort = cohorts[group.cohort].name
    return [name for name in (group.period_name, cohort) if name is not None]
