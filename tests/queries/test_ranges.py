"""Holds durations, ranges, moments and days in zones, days of 23 and 25 hours among them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.question import QuestionError
from queries.ranges import (
    Range,
    date_start,
    day_of,
    day_start,
    format_duration,
    iso,
    parse_duration,
    parse_moment,
    resolve,
    zone,
)
from queries.suggest import did_you_mean, hint

HOUR = 3_600_000
DAY = 24 * HOUR
SHANGHAI, BERLIN, NEW_YORK = zone("Asia/Shanghai"), zone("Europe/Berlin"), zone("America/New_York")
KOLKATA, APIA, UTC_ZONE = zone("Asia/Kolkata"), zone("Pacific/Apia"), zone("UTC")
ZONES = [
    SHANGHAI,
    BERLIN,
    NEW_YORK,
    KOLKATA,
    APIA,
    UTC_ZONE,
    zone("America/St_Johns"),
    zone("America/Havana"),
]


def utc(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        milliseconds=1
    )


@pytest.mark.parametrize(
    ("text", "ms", "canonical"),
    [
        ("500ms", 500, "500ms"),
        ("30s", 30_000, "30s"),
        ("2m", 120_000, "2m"),
        ("6h", 6 * HOUR, "6h"),
        ("7d", 7 * DAY, "7d"),
        ("2w", 14 * DAY, "14d"),
        ("1d12h", 36 * HOUR, "36h"),
        ("90m", 90 * 60_000, "90m"),
        ("120m", 120 * 60_000, "2h"),
        ("1m500ms", 60_500, "60500ms"),
        ("0s", 0, "0s"),
        (" 7d ", 7 * DAY, "7d"),
        ("none", None, "none"),
    ],
)
def test_durations_are_read_and_written(text: str, ms: int | None, canonical: str) -> None:
    assert parse_duration(text) == ms
    assert format_duration(ms) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "d",
        "7 d",
        "-7d",
        "1.5h",
        "7D",
        "7days",
        "12h1d",
        "1d1d",
        "None",
        "7d\n2h",
        "٧d",
        "9" * 5000 + "d",
    ],
)
def test_what_is_no_duration_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(QuestionError) as caught:
        parse_duration(text)
    assert "\n" not in caught.value.message and len(caught.value.message) < 120
    assert caught.value.hint


def test_a_duration_has_an_upper_end() -> None:
    assert parse_duration("36525d") == 36_525 * DAY
    with pytest.raises(QuestionError, match="longer than 100 years"):
        parse_duration("36526d")


@given(st.integers(0, 36_525 * DAY))
def test_durations_round_trip(ms: int) -> None:
    assert parse_duration(format_duration(ms)) == ms


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_question_error(text: str) -> None:
    try:
        ms = parse_duration(text)
    except QuestionError:
        return
    assert ms is None or ms >= 0


@pytest.mark.parametrize(
    ("name", "hint_"),
    [
        ("Europe/Berln", '"Europe/Berlin"'),
        ("asia/shanghai", 'did you mean "Asia/Shanghai"?'),
        ("shanghai", 'did you mean "Asia/Shanghai"?'),
        ("Asia/Beijing", 'did you mean "Asia/Shanghai"?'),
        ("New York", '"America/New_York"'),
        ("", "IANA name"),
        ("localtime", "IANA name"),
        ("/etc/localtime", "IANA name"),
        ("America", "America/"),
        ("Asia/Shanghai\0", "Asia/Shanghai"),
    ],
)
def test_fault_058_unknown_zone_suggests_names(name: str, hint_: str) -> None:
    with pytest.raises(QuestionError, match="unknown time zone") as caught:
        zone(name)
    assert caught.value.hint is not None and hint_ in caught.value.hint


def test_zone_is_read_once() -> None:
    assert zone("Asia/Shanghai") is SHANGHAI
    assert SHANGHAI.key == "Asia/Shanghai"


def test_bare_dates_are_days_of_the_zone() -> None:
    found = resolve("2026-03-01", "2026-03-02", None, None, SHANGHAI)
    assert found == Range(utc("2026-02-28T16:00"), utc("2026-03-02T16:00"))


def test_one_date_as_both_ends_is_that_day() -> None:
    found = resolve("2026-03-01", "2026-03-01", None, None, UTC_ZONE)
    assert found == Range(utc("2026-03-01"), utc("2026-03-02"))


def test_sides_left_out_stay_open() -> None:
    assert resolve(None, None, None, 0, UTC_ZONE) == Range(None, None)
    assert resolve("2026-03-01", None, None, None, UTC_ZONE) == Range(utc("2026-03-01"), None)
    assert resolve(None, "2026-03-01T10:00", None, None, UTC_ZONE) == Range(None, utc("2026-03-01T10:00"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T09:30", "2026-03-01T01:30"),
        ("2026-03-01 09:30:15", "2026-03-01T01:30:15"),
        ("2026-03-01T09:30:15.1239", "2026-03-01T01:30:15.123"),
        ("2026-03-01T09:30:15,5", "2026-03-01T01:30:15.500"),
        ("2026-03-01T09:30Z", "2026-03-01T09:30"),
        ("2026-03-01T09:30:00+05:30", "2026-03-01T04:00"),
        ("2026-03-01T09:30-0800", "2026-03-01T17:30"),
        ("2026-03-01T09:30+02", "2026-03-01T07:30"),
        ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999"),
    ],
)
def test_moments_with_and_without_offset(text: str, expected: str) -> None:
    assert resolve(text, None, None, None, SHANGHAI).start == utc(expected)
    assert parse_moment(text, SHANGHAI) == utc(expected)


def test_a_bare_date_as_of_is_its_last_millisecond() -> None:
    assert parse_moment("2026-03-01", SHANGHAI) == utc("2026-03-01T16:00") - 1


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2026-3-1", "2026-02-29", "2026-13-01", "0000-01-01", "9999-12-31",
        "2026-03-01T24:00", "2026-03-01T09:30:60", "2026-03-01T09:30+25:00", "2026-03-01T09:30+08:75",
        "20260301", "2026-03-01T", "２０２６-03-01", "2026-03-01\x1b[2J", "1" * 100_000,
    ],
)  # fmt: skip
def test_unreadable_moments_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(QuestionError) as caught:
        resolve(text, None, None, None, UTC_ZONE)
    assert caught.value.message.startswith("--from ") and caught.value.message.isprintable()
    assert len(caught.value.message) < 160
    with pytest.raises(QuestionError, match="--as-of"):
        parse_moment(text, UTC_ZONE)


def test_two_ranges_at_once_are_refused() -> None:
    for since, until in (("2026-03-01", None), (None, "2026-03-01")):
        with pytest.raises(QuestionError, match="two ranges"):
            resolve(since, until, "7d", 0, UTC_ZONE)


def test_a_range_that_holds_nothing_is_refused() -> None:
    with pytest.raises(QuestionError, match="not before"):
        resolve("2026-03-02", "2026-03-01", None, None, UTC_ZONE)
    with pytest.raises(QuestionError, match="not before"):
        resolve("2026-03-01T10:00", "2026-03-01T10:00", None, None, UTC_ZONE)
    with pytest.raises(QuestionError, match="holds nothing"):
        resolve(None, None, "0d", 0, UTC_ZONE)
    with pytest.raises(QuestionError, match="no duration"):
        resolve(None, None, "none", 0, UTC_ZONE)


def test_last_in_days_is_calendar_days_ending_with_the_day_of_as_of() -> None:
    as_of = utc("2026-03-07T15:59:59.999")  # the last millisecond of March 7 in Shanghai
    week = Range(utc("2026-02-28T16:00"), utc("2026-03-07T16:00"))
    assert resolve(None, None, "7d", as_of, SHANGHAI) == week
    assert resolve(None, None, "1w", as_of, SHANGHAI) == week
    assert resolve(None, None, "7d", as_of + 1, SHANGHAI) == Range(week.start + DAY, week.end + DAY)  # type: ignore[operator]
    assert resolve(None, None, "1d", utc("2026-03-29T12:00"), BERLIN) == Range(
        utc("2026-03-28T23:00"), utc("2026-03-29T22:00")
    )


def test_last_in_hours_rolls_and_takes_in_as_of() -> None:
    assert resolve(None, None, "6h", 10 * HOUR, SHANGHAI) == Range(4 * HOUR + 1, 10 * HOUR + 1)
    assert resolve(None, None, "30m", HOUR, SHANGHAI) == Range(HOUR // 2 + 1, HOUR + 1)
    assert resolve(None, None, "1d12h", 2 * DAY, SHANGHAI) == Range(DAY // 2 + 1, 2 * DAY + 1)


def test_last_without_any_event_bounds_nothing() -> None:
    assert resolve(None, None, "7d", None, UTC_ZONE) == Range(None, None)


def test_fault_055_skipped_hour_is_read_with_the_offset_before() -> None:
    assert resolve("2026-03-29T02:30", None, None, None, BERLIN).start == utc("2026-03-29T01:30")
    assert iso(utc("2026-03-29T01:30"), BERLIN) == "2026-03-29T03:30:00.000+02:00"


def test_fault_055_hour_that_comes_twice_is_the_second() -> None:
    assert resolve("2026-10-25T02:30", None, None, None, BERLIN).start == utc("2026-10-25T01:30")
    assert iso(utc("2026-10-25T00:30"), BERLIN) == "2026-10-25T02:30:00.000+02:00"
    assert iso(utc("2026-10-25T01:30"), BERLIN) == "2026-10-25T02:30:00.000+01:00"


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-07-01", 24)])
def test_fault_055_days_are_23_or_25_hours_long(day: str, hours: int) -> None:
    found = resolve(day, day, None, None, NEW_YORK)
    assert found.start is not None and found.end is not None
    assert found.end - found.start == hours * HOUR
    assert day_start(found.end - 1, NEW_YORK) == found.start
    assert day_start(found.end, NEW_YORK) == found.end


def test_fault_055_midnight_that_is_skipped_begins_at_the_change() -> None:
    sao_paulo = zone("America/Sao_Paulo")
    assert iso(date_start(date(2018, 11, 4), sao_paulo), sao_paulo) == "2018-11-04T01:00:00.000-02:00"


def test_fault_056_leap_day_and_year_end() -> None:
    assert resolve("2024-02-29", "2024-02-29", None, None, UTC_ZONE) == Range(
        utc("2024-02-29"), utc("2024-03-01")
    )
    assert resolve(None, None, "1d", utc("2026-12-31T23:59:59.999"), UTC_ZONE) == Range(
        utc("2026-12-31"), utc("2027-01-01")
    )


def test_fault_057_half_hour_zone_has_its_own_day_edges() -> None:
    assert resolve("2026-03-01", "2026-03-01", None, None, KOLKATA) == Range(
        utc("2026-02-28T18:30"), utc("2026-03-01T18:30")
    )
    assert iso(0, KOLKATA) == "1970-01-01T05:30:00.000+05:30"


def test_fault_057_day_that_the_date_line_took_is_empty() -> None:
    with pytest.raises(QuestionError, match="not before"):
        resolve("2011-12-30", "2011-12-30", None, None, APIA)
    around = resolve("2011-12-29", "2011-12-31", None, None, APIA)
    assert around == Range(utc("2011-12-29T10:00"), utc("2011-12-31T10:00"))
    assert day_of(utc("2011-12-30T09:59:59.999"), APIA) == date(2011, 12, 29)
    assert day_of(utc("2011-12-30T10:00"), APIA) == date(2011, 12, 31)


def test_iso_always_has_milliseconds_and_offset() -> None:
    assert iso(utc("2026-03-01T01:30"), SHANGHAI) == "2026-03-01T09:30:00.000+08:00"
    assert iso(-1, UTC_ZONE) == "1969-12-31T23:59:59.999+00:00"


@given(st.integers(utc("1960-01-01"), utc("2100-01-01")), st.sampled_from(ZONES))
def test_iso_reads_back(ms: int, tz: object) -> None:
    assert parse_moment(iso(ms, tz), UTC_ZONE) == ms  # type: ignore[arg-type]


@given(st.integers(utc("1970-01-01"), utc("2030-01-01")), st.sampled_from(ZONES))
def test_days_hold_their_moments_and_never_overlap(ms: int, tz: object) -> None:
    start = day_start(ms, tz)  # type: ignore[arg-type]
    after = date_start(day_of(ms, tz) + timedelta(days=1), tz)  # type: ignore[arg-type]
    assert start <= ms < after
    assert 23 * HOUR - HOUR <= after - start <= 26 * HOUR


@given(st.text(max_size=40))
def test_any_text_is_a_moment_or_a_question_error(text: str) -> None:
    try:
        found = parse_moment(text, BERLIN)
    except QuestionError as error:
        assert error.message.isprintable()
        return
    assert isinstance(found, int)


def test_suggestions_ignore_case_and_width() -> None:
    assert did_you_mean("ＣＨＡＮＮＥＬ", ["channel", "channels", "campaign"]) == ["channel"]
    assert did_you_mean("chanel", ["campaign", "channel"]) == ["channel"]
    assert did_you_mean("zzz", ["campaign", "channel"]) == []
    assert did_you_mean("", ["campaign"]) == []


def test_the_hint_is_one_printable_line() -> None:
    assert hint("chanel", ["channel", "channe"]) == 'did you mean "channel" or "channe"?'
    assert hint("zzz", ["channel"]) is None
    line = hint("a\nb", ["a\nb\x1b[2J"])
    assert line is None or line.isprintable()
    assert hint("abc\x1b", ["abc\x1b"]) == 'did you mean "abc\N{REPLACEMENT CHARACTER}"?'


def test_a_time_that_comes_twice_or_never_is_read_as_the_engine_reads_it() -> None:
    con = duckdb.connect()
    for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"):
        for text in (
            "2025-10-26 02:30:00",
            "2025-03-30 02:30:00",
            "2025-11-02 01:30:00",
            "2025-04-06 01:45:00",
        ):
            engine = con.execute(f"SELECT epoch_ms(timezone('{name}', TIMESTAMP '{text}'))").fetchall()[0][0]
            assert parse_moment(text, zone(name)) == engine
