"""Reads durations, moments, ranges and zones as people type them, so that one place says when a day begins.

Moments are UTC milliseconds as int; days are those of the zone. Zones come from the ``tzdata`` package
alone, never from the machine, so that a day begins at the same moment everywhere. A local time that a
change of the clocks skips is read with the offset before the change (02:30 becomes 03:30); one that comes
twice is the second of the two: the rule by which the engine reads the same text in an export.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo

from queries.question import QuestionError
from queries.suggest import ask, did_you_mean, shown

SECOND = 1000
DAY = 86_400 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)

_UNITS = {"w": 7 * DAY, "d": DAY, "h": 3600 * SECOND, "m": 60 * SECOND, "s": SECOND, "ms": 1}
_DURATION = re.compile(r"(?:[0-9]{1,15}(?:ms|[smhdw]))+")
_PART = re.compile(r"([0-9]+)(ms|[smhdw])")
_LONGEST = 36_525 * DAY
_FORM = "write a number and a unit of ms s m h d w, like 30m, 7d or 1d12h"

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,30}))?)?"
    r" ?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?",
    re.IGNORECASE,
)
_FIRST_YEAR, _LAST_YEAR = 1900, 9998
_NO_ZONE_OF_ITS_OWN = dict.fromkeys(("beijing", "peking", "shenzhen", "guangzhou"), "Asia/Shanghai")


def parse_duration(text: str) -> int | None:
    """A duration in milliseconds: ``500ms 30s 2m 6h 7d 2w``, larger first (``1d12h``); ``none`` is None.

    A day is 24 h. Raises QuestionError for anything else, for units out of order and for more than 100 years.
    """
    if text.strip() == "none":
        return None
    return sum(number * _UNITS[unit] for number, unit in _duration_parts(text))


def format_duration(ms: int | None) -> str:
    """The one canonical text of a duration: the largest unit up to days that leaves no rest.

    ``7d``, ``90m``, ``1500ms``, ``0s``, ``none``; weeks are written as days; ``parse_duration`` reads it.
    """
    if ms is None:
        return "none"
    if ms < 0:
        raise ValueError("a duration is not negative")
    if ms == 0:
        return "0s"
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if ms % _UNITS[unit] == 0)
    return f"{ms // _UNITS[unit]}{unit}"


def duration(seconds: int | float) -> str:
    """Seconds as the two largest units that matter: ``4.2s``, ``3m 12s``, ``2h 5m``, ``3d 4h``."""
    if seconds < 0:
        return "-" + duration(-seconds)
    if 0 < seconds < 1 and (thousandths := round(seconds * 1000)) < 1000:
        return f"{thousandths}ms"
    tenths = round(seconds * 10)
    if tenths < 600:
        return f"{tenths // 10}s" if tenths % 10 == 0 else f"{tenths / 10}s"
    if (whole := round(seconds)) < 3600:
        return _two(whole, 60, "m", "s")
    if (minutes := round(seconds / 60)) < 1440:
        return _two(minutes, 60, "h", "m")
    return _two(round(seconds / 3600), 24, "d", "h")


def _two(value: int, size: int, large: str, small: str) -> str:
    many, rest = divmod(value, size)
    return f"{many:,}{large} {rest}{small}" if rest else f"{many:,}{large}"


def _duration_parts(text: str) -> list[tuple[int, str]]:
    word = text.strip()
    if len(word) > 64 or not _DURATION.fullmatch(word):
        raise QuestionError(f"no duration: {shown(text)}", _FORM)
    parts = [(int(number), unit) for number, unit in _PART.findall(word)]
    sizes = [_UNITS[unit] for _, unit in parts]
    if any(after >= before for before, after in pairwise(sizes)):
        raise QuestionError(f"no duration: {shown(text)}", "each unit once, larger ones first, like 1d12h")
    if sum(number * _UNITS[unit] for number, unit in parts) > _LONGEST:
        raise QuestionError(f"longer than 100 years: {shown(text)}", "write none for no limit")
    return parts


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name; raises QuestionError with the nearest names for an unknown one."""
    known = _zone_names()
    if name in known:
        source = files("tzdata").joinpath("zoneinfo", *name.split("/"))
        with source.open("rb") as stream:
            return ZoneInfo.from_file(stream, key=name)
    city = re.split(r"[/ ]", name.strip())[-1]
    if city.casefold() == "cst":
        near = ["Asia/Shanghai", "America/Chicago"]
    elif city.casefold() in _NO_ZONE_OF_ITS_OWN:
        near = [_NO_ZONE_OF_ITS_OWN[city.casefold()]]
    else:
        near = did_you_mean(name, known) or did_you_mean(city, known)
    raise QuestionError(
        f"unknown time zone {shown(name)}",
        ask(near) if near else "write an IANA name such as Asia/Shanghai, Europe/Berlin or UTC",
    )


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


@dataclass(frozen=True, slots=True)
class Range:
    """A half-open range ``[start, end)`` of UTC milliseconds; None leaves a side open."""

    start: int | None = None
    end: int | None = None


def resolve(
    since: str | None, until: str | None, last: str | None, as_of_ms: int | None, tz: ZoneInfo
) -> Range:
    """The range that ``--from``, ``--to`` and ``--last`` name, in UTC milliseconds.

    A bare date is that day in the zone, and as ``until`` is taken in whole; a date-time without an offset is
    read in the zone, fractions of a second floored to milliseconds. ``last`` in days and weeks is calendar
    days that end with as-of's day, that day included (dates are counted, one the zone skipped too); in
    smaller units, or mixed with them, it is rolling and takes in as-of. Without an as-of there are no events,
    and ``last`` bounds nothing. Raises QuestionError for an unreadable or empty range.
    """
    if last is not None:
        if since is not None or until is not None:
            raise QuestionError("--last and --from or --to name two ranges", "give one of them")
        return _last(last, as_of_ms, tz)
    start = None if since is None else parse_start(since, tz)
    end = None if until is None else _end_of(until, "--to", tz)
    if start is not None and end is not None and start >= end:
        raise QuestionError(
            f"--from {shown(since or '')} is not before the end of --to {shown(until or '')}",
            "a range holds what is at or after --from and before --to; a bare date as --to is taken in whole",
        )
    return Range(start, end)


def before(within: Range, tz: ZoneInfo) -> Range:
    """The range of the same length that ends where this one begins.

    Whole days are counted as dates, so that a day of 23 hours comes before one of 24. Raises QuestionError
    where a side is open.
    """
    if within.start is None or within.end is None:
        raise QuestionError(
            "there is no period before one without a beginning or an end",
            "give --last 7d, or --from and --to",
        )
    first, end = day_of(within.start, tz), day_of(within.end, tz)
    if (end - first).days > (first - date(_FIRST_YEAR, 1, 1)).days:
        raise QuestionError(f"the period before would begin before {_FIRST_YEAR}", "give a shorter range")
    if date_start(first, tz) == within.start and date_start(end, tz) == within.end:
        return Range(date_start(first - (end - first), tz), within.start)
    return Range(2 * within.start - within.end, within.start)


def parse_moment(text: str, tz: ZoneInfo, option: str = "--as-of") -> int:
    """The moment that an ``--as-of`` names, in UTC milliseconds; a bare date is the last ms of that day."""
    if _DATE.fullmatch(text.strip()):
        return _end_of(text, option, tz) - 1
    return parse_start(text, tz, option)


def parse_start(text: str, tz: ZoneInfo, option: str = "--from") -> int:
    """The moment a date or date-time begins, in UTC milliseconds; a bare date is the start of that day.

    ``option`` names in errors what was being read. Raises QuestionError.
    """
    day = _read_date(text, option)
    return _read_moment(text, option, tz) if day is None else date_start(day, tz)


def date_start(day: date, tz: ZoneInfo) -> int:
    """The moment a date begins in the zone, in UTC ms; a date the zone skipped begins and ends at one moment.

    Where midnight is skipped the day begins at the change of the clocks.
    """
    return _ms(datetime(day.year, day.month, day.day, tzinfo=tz))


def day_of(ms: int, tz: ZoneInfo) -> date:
    """The date of a moment (UTC ms) in the zone: the latest one that has begun by then.

    Where clocks go back over midnight the hour that comes twice belongs to the day already begun, so that
    days never overlap. Raises OverflowError outside the years 1 to 9999.
    """
    day = (_EPOCH + ms * _MS).astimezone(tz).date()
    following = day + timedelta(days=1)
    return following if date_start(following, tz) <= ms else day


def day_start(ms: int, tz: ZoneInfo) -> int:
    """The moment the day of a moment began in the zone; both UTC ms."""
    return date_start(day_of(ms, tz), tz)


def iso(ms: int, tz: ZoneInfo) -> str:
    """A moment (UTC ms) as ISO 8601 in the zone, always with milliseconds and offset.

    ``2026-03-01T09:30:00.000+08:00``; UTC is ``+00:00``. Raises OverflowError outside the years 1 to 9999.
    """
    return (_EPOCH + ms * _MS).astimezone(tz).isoformat(timespec="milliseconds")


def _last(text: str, as_of_ms: int | None, tz: ZoneInfo) -> Range:
    parts = _duration_parts(text)
    length = sum(number * _UNITS[unit] for number, unit in parts)
    if length == 0:
        raise QuestionError(f"--last {shown(text)} holds nothing", "like --last 7d")
    if as_of_ms is None:
        return Range()
    if all(unit in ("d", "w") for _, unit in parts):
        newest = day_of(as_of_ms, tz)
        oldest = newest - timedelta(days=length // DAY - 1)
        return Range(date_start(oldest, tz), date_start(newest + timedelta(days=1), tz))
    return Range(as_of_ms + 1 - length, as_of_ms + 1)


def _end_of(text: str, option: str, tz: ZoneInfo) -> int:
    day = _read_date(text, option)
    return _read_moment(text, option, tz) if day is None else date_start(day + timedelta(days=1), tz)


def _read_date(text: str, option: str) -> date | None:
    found = _DATE.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day = (int(part) for part in found.groups())
    _check_year(year, text, option)
    try:
        return date(year, month, day)
    except ValueError as error:
        raise QuestionError(f"{option} {shown(text)}: no such date", str(error)) from None


def _read_moment(text: str, option: str, tz: ZoneInfo) -> int:
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        raise QuestionError(
            f"{option} {shown(text)} is neither a date nor a time",
            "write 2026-03-01, 2026-03-01T09:30 or 2026-03-01T09:30:00+08:00",
        )
    *numbers, fraction, offset = found.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in numbers)
    _check_year(year, text, option)
    try:
        where = tz if offset is None else _offset(offset)
        local = datetime(year, month, day, hour, minute, second, tzinfo=where)
        whole = max(_ms(local), _ms(local.replace(fold=1)))
    except ValueError as error:
        raise QuestionError(f"{option} {shown(text)}: no such time", str(error)) from None
    return whole + int((fraction or "0")[:3].ljust(3, "0"))


def _check_year(year: int, text: str, option: str) -> None:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise QuestionError(
            f"{option} {shown(text)}: the year is not between {_FIRST_YEAR} and {_LAST_YEAR}",
            f"leave {option} out for no limit",
        )


def _offset(text: str) -> timezone:
    if text in ("Z", "z"):
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    if int(digits[2:]) > 59:
        raise ValueError("minutes of an offset must be in 0..59")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-size if text[0] == "-" else size)


def _ms(moment: datetime) -> int:
    # Subtracting an aware datetime of another zone counts real time; whole milliseconds stay integers.
    return (moment - _EPOCH) // _MS
