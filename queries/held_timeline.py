"""The rows of a person whose events are in memory: exact whatever was skipped, only what is shown read whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np

from queries import ranges, timeline
from queries.lazy_rows import LazyRows
from queries.passing import Passing
from queries.person_events import Events
from queries.question import Row
from queries.records import Reader, Record
from queries.timeline import Fold, Order

PAGE = 200
"""Rows that are read whole for the first page, in whole days."""


@dataclass(frozen=True, slots=True)
class Day:
    """The events of a day by their places, the end exclusive."""

    number: int
    start: int
    end: int
    shown: int


class HeldTimeline(LazyRows):
    """The rows shown, made as they are read."""

    def __init__(
        self, events: Events, reader: Reader, fold: Fold, passing: Passing,
        records: Callable[[int, int], list[Record] | None], order: Order, zone: ZoneInfo,
    ) -> None:  # fmt: skip
        """``fold`` is before all events; ``records`` gives those between two places, None where they are to be read."""
        self._events, self._reader, self._order = events, reader, order
        self._fold, self._passing, self._known = fold, passing, records
        self._days = _days(events, zone)
        self._states: list[Fold] = []
        self._read: dict[int, list[Record]] = {}

    def __len__(self) -> int:
        return int(self._events.shown.sum())

    def __iter__(self) -> Iterator[Row]:
        if not self._states:
            self._states = self._passing.states(self._fold, [day.start for day in self._days])
        for days in self._batches():
            begin, end = min(day.start for day in days), max(day.end for day in days)
            if begin not in self._read:
                self._read[begin] = self._records(begin, end)
            for day in days:
                records = self._read[begin][day.start - begin : day.end - begin]
                yield from timeline.arranged(
                    self._rows(self._states[day.number].copy(), records), self._order
                )

    def _batches(self) -> list[list[Day]]:
        """Days with rows, in the order they are shown, cut into those that are read at once: a page first."""
        shown = [day for day in self._days if day.shown]
        found: list[list[Day]] = [[]]
        rows = events = 0
        for day in reversed(shown) if self._order.newest_days else shown:
            most_rows, most = (
                (PAGE, timeline.FIRST_STRETCH) if len(found) == 1 else (len(self), timeline.STRETCH)
            )
            if rows >= most_rows or events >= most:
                found.append([])
                rows = events = 0
            found[-1].append(day)
            rows, events = rows + day.shown, events + day.end - day.start
        return [days for days in found if days]

    def _records(self, start: int, end: int) -> list[Record]:
        known = self._known(start, end)
        if known is not None:
            return known
        times = self._events.ts
        read = list(self._reader.records(int(times[start]), int(times[end - 1]) + 1))
        if len(read) != end - start:
            raise ValueError("a person's events changed while they were read")
        return read

    def _rows(self, fold: Fold, records: Sequence[Record]) -> Iterator[Row]:
        for record in records:
            row = fold.row(record, *self._reader.told(record))
            if record.shown:
                yield row


def _days(events: Events, zone: ZoneInfo) -> list[Day]:
    """The days there are, oldest first."""
    shown = np.concatenate([np.zeros(1, np.int64), np.cumsum(events.shown)])
    found: list[Day] = []
    start = 0
    while start < len(events):
        following = ranges.day_of(int(events.ts[start]), zone) + timedelta(days=1)
        end = int(np.searchsorted(events.ts, ranges.date_start(following, zone)))
        found.append(Day(len(found), start, end, int(shown[end] - shown[start])))
        start = end
    return found
