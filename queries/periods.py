"""Days, weeks and months of a zone, so that one place says which period a moment lies in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, cast
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from queries import ranges
from queries.question import QuestionError

Ints = NDArray[np.int64]
Unit = Literal["day", "week", "month"]
UNITS = ("day", "week", "month")
MOST = 4_000
"""Periods of an answer: ten years of days."""


@dataclass(frozen=True, slots=True)
class Periods:
    """Neighbouring periods, oldest first; times are UTC ms."""

    names: tuple[str, ...]
    """The first date of each, as ``2026-03-02``; weeks begin on Monday."""
    bounds: Ints
    """When each begins, and when the last one ends: one more than there are names."""
    incomplete: frozenset[int]
    """Places of those that are not wholly inside what was asked and is known."""

    @classmethod
    def covering(cls, unit: str, within: ranges.Range, first: int, as_of: int, tz: ZoneInfo) -> Periods:
        """The periods from the range's start (or the ``first`` event) to its end (or *as of*).

        A period that the range cuts, or that was not over at *as of*, is incomplete.
        """
        low = first if within.start is None else within.start
        high = max(low, as_of if within.end is None else min(within.end - 1, max(as_of, low)))
        day = start_of(cast(Unit, unit), ranges.day_of(low, tz))
        last = ranges.day_of(high, tz)
        days = [day]
        while (day := following(cast(Unit, unit), day)) <= last:
            days.append(day)
            if len(days) > MOST:
                raise QuestionError(
                    f"more than {MOST:,} periods from {days[0]} on",
                    f"give --from, or a longer --trend than {unit}",
                )
        bounds = np.array([ranges.date_start(one, tz) for one in (*days, day)], np.int64)
        known_to = as_of + 1 if within.end is None else min(within.end, as_of + 1)
        cut = {
            place
            for place in range(len(days))
            if bounds[place + 1] > known_to or (within.start is not None and bounds[place] < within.start)
        }
        return cls(tuple(one.isoformat() for one in days), bounds, frozenset(cut))

    def of(self, ts: Ints) -> Ints:
        """The place of each moment's period; moments lie inside the first and the last one."""
        places: Ints = np.clip(np.searchsorted(self.bounds, ts, side="right") - 1, 0, len(self.names) - 1)
        return places


def start_of(unit: Unit, day: date) -> date:
    """The first day of the day's period."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def following(unit: Unit, first: date) -> date:
    """The first day of the period after the one that begins on ``first``."""
    if unit == "month":
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=7 if unit == "week" else 1)
