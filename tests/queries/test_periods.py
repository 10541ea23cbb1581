"""Holds days, weeks and months in zones, what cuts them, and the range before a range."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.periods import UNITS, Periods, Unit, following, start_of
from queries.question import QuestionError
from queries.ranges import Range, before, date_start, iso, parse_start, resolve, zone

HOUR = 3_600_000
DAY = 24 * HOUR
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMES = ("Asia/Shanghai", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
"""Without and with changing clocks, by a whole hour and by half of one."""
SHANGHAI, BERLIN, NEW_YORK = zone("Asia/Shanghai"), zone("Europe/Berlin"), zone("America/New_York")

moments = st.integers(min_value=1_500_000_000_000, max_value=1_900_000_000_000)
dates = st.dates(min_value=date(1990, 1, 1), max_value=date(2090, 1, 1))


def name_of(unit: str, ms: int, name: str) -> str:
    """The first date of a moment's period, from the calendar alone."""
    day = (EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(name)).date()
    if unit == "week":
        year, week, _ = day.isocalendar()
        day = date.fromisocalendar(year, week, 1)
    return day.strftime("%Y-%m-01" if unit == "month" else "%Y-%m-%d")


def at(text: str, tz: ZoneInfo) -> int:
    return parse_start(text, tz)


# --- the calendar -----------------------------------------------------------------------------------------


@given(dates, st.sampled_from(UNITS))
def test_a_period_begins_on_its_first_day_and_the_next_follows_it(day: date, unit: Unit) -> None:
    first = start_of(unit, day)
    after = following(unit, first)
    assert first <= day < after
    assert start_of(unit, first) == first
    assert start_of(unit, after - timedelta(days=1)) == first
    assert start_of(unit, after) == after
    lengths = {"day": {1}, "week": {7}, "month": {28, 29, 30, 31}}[unit]
    assert (after - first).days in lengths


@given(dates)
def test_weeks_begin_on_monday(day: date) -> None:
    assert start_of("week", day).isoweekday() == 1


@given(moments, st.integers(0, 100 * DAY), st.sampled_from(UNITS), st.sampled_from(NAMES), st.data())
def test_each_moment_lies_in_the_period_the_calendar_says(
    low: int, length: int, unit: Unit, name: str, data: st.DataObject
) -> None:
    high = low + length
    periods = Periods.covering(unit, Range(), low, high, zone(name))
    some = data.draw(st.lists(st.integers(low, high), min_size=1, max_size=20))
    places = periods.of(np.array([low, high, *some], np.int64))
    assert [periods.names[place] for place in places] == [
        name_of(unit, ms, name) for ms in (low, high, *some)
    ]
    assert (places[0], places[1]) == (0, len(periods.names) - 1)


@given(moments, st.integers(0, 400 * DAY), st.sampled_from(UNITS), st.sampled_from(NAMES))
def test_periods_are_neighbours_each_from_where_the_last_one_ends(
    low: int, length: int, unit: Unit, name: str
) -> None:
    periods = Periods.covering(unit, Range(), low, low + length, zone(name))
    days = [date.fromisoformat(one) for one in periods.names]
    assert days[1:] == [following(unit, day) for day in days[:-1]]
    assert periods.bounds[0] <= low
    assert low + length < periods.bounds[-1]
    assert len(periods.bounds) == len(days) + 1
    for day, bound in zip(days, periods.bounds, strict=False):
        assert iso(int(bound), zone(name))[:10] == day.isoformat()


def test_days_of_23_and_25_hours_and_of_half_an_hour_less() -> None:
    cases = {
        ("America/New_York", "2026-03-08"): 23,
        ("America/New_York", "2026-11-01"): 25,
        ("Europe/Berlin", "2026-03-29"): 23,
        ("Australia/Lord_Howe", "2026-04-05"): 24.5,
        ("Australia/Lord_Howe", "2026-10-04"): 23.5,
        ("Asia/Kolkata", "2026-03-29"): 24,
    }
    for (name, day), hours in cases.items():
        start = at(day, zone(name))
        periods = Periods.covering("day", Range(), start, start, zone(name))
        assert periods.names == (day,)
        assert np.diff(periods.bounds).tolist() == [hours * HOUR]
    spring = Periods.covering(
        "week", Range(), at("2026-03-08", NEW_YORK), at("2026-03-08", NEW_YORK), NEW_YORK
    )
    assert (spring.names, np.diff(spring.bounds).tolist()) == (("2026-03-02",), [7 * DAY - HOUR])


def test_a_period_ends_one_millisecond_before_the_next() -> None:
    start = at("2026-03-09", NEW_YORK)
    periods = Periods.covering("week", Range(), start - 1, start, NEW_YORK)
    assert periods.names == ("2026-03-02", "2026-03-09")
    assert periods.of(np.array([start - 1, start], np.int64)).tolist() == [0, 1]


# --- which periods there are, and which are cut -------------------------------------------------------------


def periods_of(unit: Unit, since: str | None, until: str | None, first: str, as_of: str) -> Periods:
    within = resolve(since, until, None, None, BERLIN)
    return Periods.covering(unit, within, at(first, BERLIN), at(as_of, BERLIN), BERLIN)


def cut(periods: Periods) -> list[str]:
    return [periods.names[place] for place in sorted(periods.incomplete)]


def test_without_a_range_only_a_period_not_over_is_cut() -> None:
    # The data begin on a Wednesday: what came before is not known to be missing.
    periods = periods_of("week", None, None, "2026-03-04", "2026-03-18T12:00")
    assert periods.names == ("2026-03-02", "2026-03-09", "2026-03-16")
    assert cut(periods) == ["2026-03-16"]


def test_a_range_cuts_its_first_and_last_week() -> None:
    periods = periods_of("week", "2026-03-04", "2026-03-18", "2026-01-01", "2026-06-01")
    assert periods.names == ("2026-03-02", "2026-03-09", "2026-03-16")
    assert cut(periods) == ["2026-03-02", "2026-03-16"]


def test_a_range_of_whole_weeks_cuts_none() -> None:
    periods = periods_of("week", "2026-03-02", "2026-03-15", "2026-01-01", "2026-06-01")
    assert (periods.names, cut(periods)) == (("2026-03-02", "2026-03-09"), [])


def test_a_period_is_over_with_its_last_millisecond() -> None:
    for as_of, expected in (("2026-03-29T23:59:59.998", ["2026-03-29"]), ("2026-03-29T23:59:59.999", [])):
        periods = periods_of("day", None, None, "2026-03-29T10:00", as_of)
        assert (periods.names, cut(periods)) == (("2026-03-29",), expected)


def test_a_range_past_the_newest_event_ends_with_the_period_of_that_event() -> None:
    periods = periods_of("month", "2026-03-01", "2026-12-31", "2026-01-01", "2026-05-20")
    assert (periods.names, cut(periods)) == (("2026-03-01", "2026-04-01", "2026-05-01"), ["2026-05-01"])


def test_one_period_may_be_cut_on_both_sides() -> None:
    periods = periods_of("month", "2026-03-04", "2026-03-18", "2026-01-01", "2026-06-01")
    assert (periods.names, cut(periods)) == (("2026-03-01",), ["2026-03-01"])


def test_a_range_before_all_data_names_no_period_outside_it() -> None:
    periods = periods_of("day", "2020-01-01", "2020-01-31", "2026-03-04", "2026-03-18")
    assert all("2020-01-01" <= name <= "2020-01-31" for name in periods.names), periods.names


# --- the range before ---------------------------------------------------------------------------------------


def iso_of(span: Range, tz: ZoneInfo) -> tuple[str, str]:
    assert span.start is not None
    assert span.end is not None
    return iso(span.start, tz)[:16], iso(span.end, tz)[:16]


@pytest.mark.parametrize(
    ("tz", "since", "until", "expected"),
    [
        # The clocks go forward on the 8th of March, and back on the 1st of November.
        (NEW_YORK, "2026-03-08", "2026-03-08", ("2026-03-07T00:00", "2026-03-08T00:00")),
        (NEW_YORK, "2026-03-09", "2026-03-09", ("2026-03-08T00:00", "2026-03-09T00:00")),
        (NEW_YORK, "2026-03-09", "2026-03-15", ("2026-03-02T00:00", "2026-03-09T00:00")),
        (NEW_YORK, "2026-10-31", "2026-11-01", ("2026-10-29T00:00", "2026-10-31T00:00")),
        (NEW_YORK, "2026-11-02", "2026-11-02", ("2026-11-01T00:00", "2026-11-02T00:00")),
        (BERLIN, "2026-03-30", "2026-04-05", ("2026-03-23T00:00", "2026-03-30T00:00")),
        (SHANGHAI, "2026-03-01", "2026-03-31", ("2026-01-29T00:00", "2026-03-01T00:00")),
        # Not whole days: hours are hours.
        (NEW_YORK, "2026-03-08T12:00", "2026-03-08T18:00", ("2026-03-08T06:00", "2026-03-08T12:00")),
        (NEW_YORK, "2026-03-08T06:00", "2026-03-08T12:00", ("2026-03-07T23:00", "2026-03-08T06:00")),
        (NEW_YORK, "2026-03-08", "2026-03-08T12:00", ("2026-03-07T13:00", "2026-03-08T00:00")),
    ],
)
def test_before_counts_whole_days_as_dates_and_hours_as_time(
    tz: ZoneInfo, since: str, until: str, expected: tuple[str, str]
) -> None:
    assert iso_of(before(resolve(since, until, None, None, tz), tz), tz) == expected


def test_before_the_last_seven_days_are_the_seven_days_before() -> None:
    as_of = at("2026-03-10T15:30", NEW_YORK)
    week = resolve(None, None, "7d", as_of, NEW_YORK)
    assert iso_of(week, NEW_YORK) == ("2026-03-04T00:00", "2026-03-11T00:00")
    assert iso_of(before(week, NEW_YORK), NEW_YORK) == ("2026-02-25T00:00", "2026-03-04T00:00")
    hours = resolve(None, None, "6h", as_of, NEW_YORK)
    earlier = before(hours, NEW_YORK)
    assert hours == Range(as_of + 1 - 6 * HOUR, as_of + 1)
    assert earlier == Range(as_of + 1 - 12 * HOUR, as_of + 1 - 6 * HOUR)


@given(dates, st.integers(1, 400), st.sampled_from(NAMES))
def test_before_whole_days_is_as_many_dates(day: date, days: int, name: str) -> None:
    tz = zone(name)
    span = Range(date_start(day, tz), date_start(day + timedelta(days=days), tz))
    assert before(span, tz) == Range(date_start(day - timedelta(days=days), tz), span.start)


@given(moments, st.integers(1, 30 * DAY), st.sampled_from(NAMES))
def test_before_other_ranges_is_as_long_and_ends_where_they_begin(start: int, length: int, name: str) -> None:
    tz = zone(name)
    earlier = before(Range(start, start + length), tz)
    assert earlier.end == start
    assert earlier.start is not None
    # Whole days aside, which are dates and may be an hour off.
    assert abs(start - earlier.start - length) in ({0} if length % DAY else {0, HOUR, HOUR // 2})


@pytest.mark.parametrize(
    ("since", "until"), [(None, None), ("2026-03-01", None), (None, "2026-03-01")], ids=str
)
def test_before_an_open_side_there_is_nothing(since: str | None, until: str | None) -> None:
    with pytest.raises(QuestionError) as raised:
        before(resolve(since, until, None, None, BERLIN), BERLIN)
    assert "--last 7d" in (raised.value.hint or "")
    assert "--from" in (raised.value.hint or "")


def test_before_the_longest_range_there_is_no_crash() -> None:
    whole = resolve("1900-01-01", "9998-12-31", None, None, BERLIN)
    try:
        earlier = before(whole, BERLIN)
    except QuestionError as error:
        assert error.hint
    else:
        assert earlier.end == whole.start
