"""When a person was active: counts by day, hour and minute in the data's zone, and the spans one looks into.

Counts come by quarter of an hour (:mod:`queries.seen`), so that a bot with millions of events is drawn as fast as
anybody. Hours are hours of real time counted from the day's beginning, so that the hour a change of the clocks
repeats is two bins and the one it skips is none; days are those of the zone, 23 to 25 hours long.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

from queries import ranges
from queries.clock import Clock
from queries.seen import BUCKET, Bucket

Unit = Literal["year", "month", "week", "day", "hour", "minute"]
HOUR, MINUTE = 3_600_000, 60_000
LONGEST_SILENCES = 10
"""The silences that are told apart from the common ones."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Quarter:
    """A quarter of an hour with an event; ``start`` is UTC ms."""

    start: int
    events: int
    shown: int
    """Of the events, those the timeline shows."""


@dataclass(frozen=True, slots=True)
class Bin:
    """One column of a histogram: half-open, UTC ms."""

    start: int
    end: int
    label: str
    events: int = 0
    shown: int = 0


@dataclass(frozen=True, slots=True)
class Activity:
    """Neighbouring bins of one unit, oldest first."""

    unit: Unit
    bins: tuple[Bin, ...]

    def place_of(self, ms: int) -> int | None:
        """The place of the bin that holds a moment."""
        place = bisect_right([one.start for one in self.bins], ms) - 1
        return place if place >= 0 and ms < self.bins[place].end else None


@dataclass(frozen=True, slots=True)
class Span:
    """A day or an hour one looks into: half-open, UTC ms."""

    unit: Literal["day", "hour"]
    start: int
    end: int


def listed(buckets: Sequence[Bucket], clock: Clock) -> list[dict[str, object]]:
    """The quarters as an answer's totals carry them."""
    return [
        {
            "ts": clock.iso(bucket.all.first // BUCKET * BUCKET),
            "events": bucket.all.events,
            "shown": bucket.shown,
        }
        for bucket in buckets
    ]


def quarters(values: object) -> tuple[Quarter, ...]:
    """The quarters that :func:`listed` gave."""
    if not isinstance(values, list):
        return ()
    return tuple(
        Quarter(moment(str(one["ts"])), int(str(one["events"])), int(str(one["shown"]))) for one in values
    )


def moment(text: str) -> int:
    """UTC ms of a time as rows carry it, ISO 8601 with its offset."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MS


# --- histograms -------------------------------------------------------------------------------------------


def overview(found: Sequence[Quarter], zone: ZoneInfo, most: int) -> Activity:
    """Everything there is, by the finest of day, week, month and year that takes at most ``most`` columns.

    Where not even years fit, the last ones do.
    """
    if not found:
        return Activity("day", ())
    first, last = (ranges.day_of(one.start, zone) for one in (found[0], found[-1]))
    units: tuple[Unit, ...] = ("day", "week", "month", "year")
    for unit in units:
        starts = _periods(unit, first, last, most + 1)
        if len(starts) <= most:
            break
    starts = starts[-most:]
    bounds = [ranges.date_start(day, zone) for day in (*starts, _next(unit, starts[-1]))]
    labels = [_date_label(unit, day) for day in starts]
    return Activity(unit, _counted(bounds, labels, found))


def of_day(found: Sequence[Quarter], day: Span, zone: ZoneInfo) -> Activity:
    """The hours of a day; where the clocks change in it, labels say the offset."""
    bounds = [*range(day.start, day.end, HOUR), day.end]
    changes = ranges.iso(day.start, zone)[23:] != ranges.iso(day.end - 1, zone)[23:]
    labels = [_clock(ms, zone, offset=changes) for ms in bounds[:-1]]
    return Activity("hour", _counted(bounds, labels, found))


def of_hour(times: Sequence[int], hour: Span, zone: ZoneInfo) -> Activity:
    """The minutes of an hour, from the times of the events shown; every event counted is shown."""
    bounds = [*range(hour.start, hour.end, MINUTE), hour.end]
    singles = [Quarter(ms, 1, 1) for ms in sorted(times)]
    labels = [_clock(ms, zone) for ms in bounds[:-1]]
    return Activity("minute", _counted(bounds, labels, singles))


def _counted(bounds: Sequence[int], labels: Sequence[str], found: Sequence[Quarter]) -> tuple[Bin, ...]:
    starts = [one.start for one in found]
    made: list[Bin] = []
    for (start, end), label in zip(pairwise(bounds), labels, strict=True):
        inside = found[bisect_left(starts, start) : bisect_left(starts, end)]
        made.append(
            Bin(start, end, label, sum(one.events for one in inside), sum(one.shown for one in inside))
        )
    return tuple(made)


def _periods(unit: Unit, first: date, last: date, most: int) -> list[date]:
    """The first days of the periods from one day to another; past ``most`` the later ones are left out."""
    day = first
    if unit == "week":
        day = first - timedelta(days=first.weekday())
    elif unit != "day":
        day = first.replace(day=1) if unit == "month" else first.replace(month=1, day=1)
    found: list[date] = []
    while day <= last and (len(found) < most or unit == "year"):
        found.append(day)
        day = _next(unit, day)
    return found


def _next(unit: Unit, first: date) -> date:
    if unit == "year":
        return date(first.year + 1, 1, 1)
    if unit == "month":
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=7 if unit == "week" else 1)


def _date_label(unit: Unit, day: date) -> str:
    text = day.isoformat()
    return text[:4] if unit == "year" else text[:7] if unit == "month" else text[5:]


def _clock(ms: int, zone: ZoneInfo, *, offset: bool = False) -> str:
    text = ranges.iso(ms, zone)
    return text[11:16] + (text[23:] if offset else "")


# --- spans ------------------------------------------------------------------------------------------------


def nearer(span: Span | None, at: int, zone: ZoneInfo) -> Span | None:
    """One step into the time around a moment: its day, then its hour; an hour is the nearest."""
    if span is not None and span.unit == "hour":
        return span
    start = ranges.day_start(at, zone)
    end = ranges.date_start(ranges.day_of(at, zone) + timedelta(days=1), zone)
    if span is None:
        return Span("day", start, end)
    begins = start + (at - start) // HOUR * HOUR
    return Span("hour", begins, min(begins + HOUR, end))


def farther(span: Span | None, zone: ZoneInfo) -> Span | None:
    """One step out: the hour's day, then everything."""
    if span is None or span.unit == "day":
        return None
    return nearer(None, span.start, zone)


def moved(span: Span, at: int, zone: ZoneInfo) -> Span:
    """The span of the same unit that holds another moment."""
    day = nearer(None, at, zone)
    assert day is not None
    if span.unit == "day":
        return day
    hour = nearer(day, at, zone)
    assert hour is not None
    return hour


def options(span: Span, zone: ZoneInfo) -> tuple[str, str]:
    """``--from`` and ``--to`` of a span: a day as its date, an hour by its two ends."""
    if span.unit == "day":
        day = ranges.day_of(span.start, zone).isoformat()
        return day, day
    first, end = (ranges.iso(ms, zone) for ms in (span.start, span.end))
    return first[:16] + first[23:], end[:16] + end[23:]


def named(span: Span, zone: ZoneInfo) -> str:
    """The span in words: ``2026-05-06 Wed`` or ``2026-05-06 21:00–22:00``."""
    day = ranges.day_of(span.start, zone)
    if span.unit == "day":
        return f"{day.isoformat()} {day:%a}"
    ends = (_clock(ms, zone) for ms in (span.start, span.end))
    return f"{day.isoformat()} {'–'.join(ends)}"


# --- silences ---------------------------------------------------------------------------------------------


def silences(sessions: Sequence[Mapping[str, object]], gap_seconds: float) -> list[float]:
    """The silences between sessions that are longer than the gap, the longest first, in seconds."""
    found: list[float] = []
    until: int | None = None
    for one in sessions:
        first, last = moment(str(one["first_seen"])), moment(str(one["last_seen"]))
        if until is not None and (first - until) / 1000 > gap_seconds:
            found.append((first - until) / 1000)
        until = last if until is None else max(until, last)
    return sorted(found, reverse=True)


def long_silence(found: Sequence[float], gap_seconds: float) -> float:
    """From how many seconds on a silence is one of the person's longest."""
    longest = found[:LONGEST_SILENCES]
    return longest[-1] if longest else gap_seconds
