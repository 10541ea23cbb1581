"""When a person was active: bins, spans and silences against plain counting, over days with a change of the clocks."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from queries import activity, ranges
from queries.activity import HOUR, Quarter, Span
from queries.seen import BUCKET

BERLIN, SHANGHAI = ranges.zone("Europe/Berlin"), ranges.zone("Asia/Shanghai")


def ms(text: str) -> int:
    return activity.moment(text)


def counted(times: list[int]) -> tuple[Quarter, ...]:
    found = Counter(at // BUCKET * BUCKET for at in times)
    return tuple(Quarter(start, n, n // 2) for start, n in sorted(found.items()))


def drawn(seed: int, start: str, days: float, count: int) -> list[int]:
    rng = random.Random(seed)
    return sorted(ms(start) + rng.randrange(int(days * ranges.DAY)) for _ in range(count))


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "Asia/Shanghai", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]
)
@pytest.mark.parametrize(
    ("days", "most", "unit"), [(20, 70, "day"), (200, 70, "week"), (900, 70, "month"), (900, 10, "year")]
)
def test_the_overview_counts_every_event_once_in_its_local_period(
    name: str, days: int, most: int, unit: str
) -> None:
    zone = ranges.zone(name)
    times = drawn(1, "2024-03-20T00:00:00+00:00", days, 500)
    got = activity.overview(counted(times), zone, most)
    assert got.unit == unit
    assert len(got.bins) <= most
    assert sum(one.events for one in got.bins) == 500

    def period(at: int) -> str:
        day = datetime.fromtimestamp(at / 1000, zone).date()
        if unit == "week":
            day -= timedelta(days=day.weekday())
        text = day.isoformat()
        return {"day": text[5:], "week": text[5:], "month": text[:7], "year": text[:4]}[unit]

    expected = Counter(map(period, times))
    bins: Counter[str] = Counter()
    for one in got.bins:
        bins[one.label] += one.events
    assert bins == expected
    places = [got.place_of(at) for at in times]
    assert Counter(places) == Counter({n: one.events for n, one in enumerate(got.bins) if one.events})


def test_fault_055_a_day_with_a_change_of_the_clocks_has_its_own_hours() -> None:
    autumn = activity.nearer(None, ms("2026-10-25T12:00:00+01:00"), BERLIN)
    assert autumn is not None
    times = [
        ms("2026-10-25T02:10:00+02:00"),
        ms("2026-10-25T02:20:00+02:00"),
        ms("2026-10-25T02:10:00+01:00"),
    ]
    got = activity.of_day(counted(times), autumn, BERLIN)
    assert len(got.bins) == 25
    assert [(one.label, one.events) for one in got.bins if one.events] == [
        ("02:00+02:00", 2),
        ("02:00+01:00", 1),
    ]
    spring = activity.nearer(None, ms("2026-03-29T12:00:00+02:00"), BERLIN)
    assert spring is not None
    labels = [one.label for one in activity.of_day((), spring, BERLIN).bins]
    assert len(labels) == 23
    assert labels[1:3] == ["01:00+01:00", "03:00+02:00"]
    plain = activity.nearer(None, ms("2026-05-06T12:00:00+08:00"), SHANGHAI)
    assert plain is not None
    assert [one.label for one in activity.of_day((), plain, SHANGHAI).bins][:2] == ["00:00", "01:00"]


def test_hours_and_minutes_count_what_lies_in_them() -> None:
    times = drawn(2, "2026-05-01T00:00:00+08:00", 10, 4_000)
    at = ms("2026-05-06T21:37:00+08:00")
    day = activity.nearer(None, at, SHANGHAI)
    assert day is not None
    hours = activity.of_day(counted(times), day, SHANGHAI)
    local = [datetime.fromtimestamp(one / 1000, SHANGHAI) for one in times]
    mine = [one for one in local if one.date().isoformat() == "2026-05-06"]
    assert [one.events for one in hours.bins] == [sum(one.hour == h for one in mine) for h in range(24)]
    hour = activity.nearer(day, at, SHANGHAI)
    assert hour is not None
    inside = [one for one in times if hour.start <= one < hour.end]
    minutes = activity.of_hour(inside, hour, SHANGHAI)
    assert (minutes.bins[0].label, minutes.bins[-1].label, len(minutes.bins)) == ("21:00", "21:59", 60)
    assert [one.events for one in minutes.bins] == [
        sum(one.hour == 21 and one.minute == m for one in mine) for m in range(60)
    ]


def test_a_span_goes_nearer_farther_and_along() -> None:
    at = ms("2026-05-06T21:37:00+08:00")
    day = activity.nearer(None, at, SHANGHAI)
    assert day == Span("day", ms("2026-05-06T00:00:00+08:00"), ms("2026-05-07T00:00:00+08:00"))
    hour = activity.nearer(day, at, SHANGHAI)
    assert hour == Span("hour", ms("2026-05-06T21:00:00+08:00"), ms("2026-05-06T22:00:00+08:00"))
    assert activity.nearer(hour, at, SHANGHAI) == hour
    assert activity.farther(hour, SHANGHAI) == day
    assert activity.farther(day, SHANGHAI) is None
    assert activity.moved(hour, at + 25 * HOUR, SHANGHAI).start == ms("2026-05-07T22:00:00+08:00")
    assert activity.named(hour, SHANGHAI) == "2026-05-06 21:00–22:00"


@pytest.mark.parametrize("name", ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"])
def test_the_options_of_a_span_hold_exactly_it(name: str) -> None:
    zone: ZoneInfo = ranges.zone(name)
    for at in drawn(3, "2026-01-01T00:00:00+00:00", 365, 200):
        day = activity.nearer(None, at, zone)
        hour = activity.nearer(day, at, zone)
        for span in (day, hour):
            assert span is not None
            assert span.start <= at < span.end
            since, until = activity.options(span, zone)
            assert ranges.resolve(since, until, None, None, zone) == ranges.Range(span.start, span.end)


def test_the_longest_silences_are_told_from_common_ones() -> None:
    start = datetime(2026, 5, 1, tzinfo=UTC)

    def session(hours: float, length: float) -> dict[str, object]:
        first = start + timedelta(hours=hours)
        return {
            "first_seen": first.isoformat(timespec="milliseconds"),
            "last_seen": (first + timedelta(hours=length)).isoformat(timespec="milliseconds"),
        }

    sessions = [session(0, 5), session(1, 1), session(5.25, 0), session(8, 1), session(30, 1)]
    found = activity.silences(sessions, 1800)
    assert found == [21 * 3600, 2.75 * 3600]
    assert activity.long_silence(found, 1800) == 2.75 * 3600
    assert activity.long_silence([float(n) for n in range(100, 0, -1)], 1) == 91
    assert activity.long_silence([], 1800) == 1800
