"""The funnel by day, week and month through the front door, against the brute-force oracle and the calendar."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from queries.funnel import answer, request
from queries.funnel_request import FunnelRequest
from queries.question import PeopleRequest, QuestionError, Result, Row, Scope
from queries.ranges import iso, parse_start, zone
from tests.driver import Command
from tests.oracles.funnel import Answer, Event, Options, funnel, random_users, rows_of
from tests.queries.test_funnel_rules import asked, name_of, random_options, write
from workbench.dataset import Dataset, opened
from workbench.runner import Task

MINUTE = 60_000
DAY = 1440 * MINUTE
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS_WEEKS = 360
MONTHS = 1440
"""A minute of the random rules becomes six hours, or a day: the rules only compare times."""
CASES = [
    (1, "day", "Asia/Shanghai", "2026-02-27T22:00"),
    (2, "day", "America/New_York", "2026-03-06T05:00"),
    (3, "day", "Europe/Berlin", "2025-10-23T19:00"),
    (4, "day", "Australia/Lord_Howe", "2026-04-02T12:00"),
    (5, "week", "America/New_York", "2026-03-04T05:00"),
    (6, "week", "Asia/Kolkata", "2025-12-30T18:30"),
    (7, "week", "Europe/Berlin", "2026-03-25T23:30"),
    (8, "month", "Asia/Shanghai", "2025-12-31T15:00"),
    (9, "month", "America/New_York", "2026-02-10T04:59"),
    (10, "month", "Asia/Kolkata", "2026-01-31T18:29"),
]
"""Seed, unit, zone, and when (UTC) the random times begin: beside a change of clocks, a year, a month."""


def stretched(events: Iterable[Event], options: Options, by: int) -> tuple[list[Event], Options]:
    """The same small world, slower: every time and span is ``by`` times as long."""

    def longer(ms: int | None) -> int | None:
        return None if ms is None else ms * by

    slow = replace(
        options,
        window=longer(options.window),
        step_windows={step: ms * by for step, ms in options.step_windows.items()},
        tolerance=options.tolerance * by,
        range_start=longer(options.range_start),
        range_end=longer(options.range_end),
        as_of=longer(options.as_of),
    )
    return [replace(event, ts=event.ts * by) for event in events], slow


def period_of(unit: str, ms: int, name: str) -> str:
    """The first date of a moment's period, from the calendar alone."""
    day = (EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(name)).date()
    if unit == "week":
        day = date.fromisocalendar(*day.isocalendar()[:2], 1)
    return day.strftime("%Y-%m-01" if unit == "month" else "%Y-%m-%d")


def neighbours(unit: str, low: int, high: int, name: str) -> list[str]:
    """The names of all periods from one moment's to another's: six hours miss no day."""
    return list(dict.fromkeys(period_of(unit, ms, name) for ms in [*range(low, high, 6 * 60 * MINUTE), high]))


def counts(rows: Iterable[Row]) -> list[tuple[object, ...]]:
    return [(row["users"], row["dropped"], row["open"], row["skipped"]) for row in rows]


def expected(answers: Iterable[Answer]) -> list[tuple[object, ...]]:
    return [(row.n, row.dropped, row.open, row.skipped) for row in rows_of(list(answers), 3)]


def rows_where(result: Result, **wanted: object) -> list[Row]:
    return [row for row in result.rows if all(row[key] == value for key, value in wanted.items())]


def people(dataset: Dataset, result: Result, asking: FunnelRequest, cell: str) -> set[str]:
    listed = [str(row["user"]) for row in dataset.people_of(result, PeopleRequest(asking, cell)).rows]
    assert len(set(listed)) == len(listed)
    return set(listed)


class Case:
    """A random world, asked by a period, and what the oracle says of it."""

    def __init__(self, folder: Path, number: int, case: tuple[int, str, str, str]) -> None:
        seed, self.unit, self.tz, begin = case
        rng = random.Random(100 * seed + number)
        plain = random_options(rng)
        some = [event for mine in random_users(rng, plain, users=12) for event in mine]
        factor = MONTHS if self.unit == "month" else DAYS_WEEKS
        self.events, self.options = stretched(some, plain, factor)
        self.start = parse_start(begin + "Z", zone("UTC"))
        names = sorted({name_of(event) for event in self.events})
        where = folder / str(number)
        write(where, self.events, self.start)
        self.by = "colour" if number % 2 else None
        self.request = asked(
            self.options, names, where, self.by, start=self.start, tz=self.tz, trend=self.unit
        )
        self.dataset = opened(self.request.scope, Task())
        self.result = answer(self.request, self.dataset)
        self.as_of = self.options.as_of or 0
        known = [event for event in self.events if event.ts <= self.as_of]
        self.answers = [one for one in funnel(known, self.options).answers if one.level]

    def period(self, one: Answer) -> str:
        assert one.entry_ts is not None
        return period_of(self.unit, self.start + one.entry_ts, self.tz)

    def periods(self) -> list[str]:
        """The periods that must be there: from the range or the data's beginning to its end or as-of."""
        first = min(event.ts for event in self.events)
        low = first if self.options.range_start is None else max(first, self.options.range_start)
        high = self.as_of if self.options.range_end is None else min(self.as_of, self.options.range_end - 1)
        return neighbours(self.unit, self.start + low, self.start + max(low, high), self.tz)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1]}-{case[2]}-{case[0]}")
def test_the_rows_of_each_period_equal_the_oracle(tmp_path: Path, case: tuple[int, str, str, str]) -> None:
    for number in range(4):
        one = Case(tmp_path, number, case)
        periods = one.periods()
        seen = [row["period"] for row in one.result.rows if row["is_total"] and row["step"] == 1]
        assert seen == [None, *periods], one.options
        assert {one.period(a) for a in one.answers} <= set(periods)
        parts: list[object] = [None, *sorted({str(a.value) for a in one.answers if a.value is not None})]
        for name in [None, *periods]:
            mine = [a for a in one.answers if name is None or one.period(a) == name]
            total = rows_where(one.result, period=name, is_total=True)
            assert counts(total) == expected(mine), (one.options, name)
            for value in parts if one.by else []:
                found = rows_where(one.result, period=name, is_total=False, breakdown=value)
                of_value = expected(a for a in mine if a.value == value)
                # People without a value get a row only where there are some.
                assert counts(found) == of_value or (value is None and not found), (one.options, name, value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1]}-{case[2]}-{case[0]}")
def test_the_periods_add_up_to_the_row_without_one(tmp_path: Path, case: tuple[int, str, str, str]) -> None:
    for number in (4, 5):
        one = Case(tmp_path, number, case)
        wholes = [row for row in one.result.rows if row["period"] is None]
        assert len(wholes) >= 3
        for whole in wholes:
            same = {key: whole[key] for key in ("step", "breakdown", "is_total", "is_other", "cohort")}
            parts = [row for row in rows_where(one.result, **same) if row["period"] is not None]
            assert len(parts) == len(one.periods())
            for key in ("users", "dropped", "open", "skipped"):
                assert sum(int(str(row[key])) for row in parts) == whole[key], (one.options, key)


@pytest.mark.parametrize("case", CASES[1::3], ids=lambda case: f"{case[1]}-{case[2]}-{case[0]}")
def test_the_people_of_a_period_are_exactly_its_own(tmp_path: Path, case: tuple[int, str, str, str]) -> None:
    for number in (6, 7):
        one = Case(tmp_path, number, case)
        for name in one.periods():
            mine = [a for a in one.answers if one.period(a) == name]
            for step in (1, 2, 3):
                wanted = {f"u{a.user}" for a in mine if a.level >= step}
                assert people(one.dataset, one.result, one.request, f"reached:{step}@{name}") == wanted
            for value in sorted({a.value for a in mine}, key=str) if one.by else []:
                shown = "(none)" if value is None else value
                for status in ("dropped", "open"):
                    wanted = {
                        f"u{a.user}" for a in mine if (a.value, a.level, a.status) == (value, 1, status)
                    }
                    cell = f"{status}:1@{shown}@{name}"
                    assert people(one.dataset, one.result, one.request, cell) == wanted, cell


# --- small worlds -------------------------------------------------------------------------------------------


def world(folder: Path, tz: str, times: Iterable[tuple[str, int, int]]) -> Path:
    """Events at local times: (time, user, step)."""
    where = zone(tz)
    events = [
        Event(user, parse_start(time, where), place, frozenset({step}), value="red")
        for place, (time, user, step) in enumerate(times)
    ]
    write(folder, events, 0)
    return folder


def ask(
    folder: Path, tz: str, unit: str | None, scope: dict[str, str] | None = None, **rules: object
) -> Result:
    wanted = request(
        ["e1", "e2"],
        "none",
        Scope(data=(str(folder),), tz=tz, **(scope or {})),  # type: ignore[arg-type]
        trend=unit,
        **rules,
    )
    return answer(wanted, opened(wanted.scope, Task()))


def marks(result: Result) -> list[tuple[object, object, object]]:
    """Period, people at step 1 and the mark, of the rows by period."""
    return [
        (row["period"], row["users"], row["is_incomplete"])
        for row in result.rows
        if row["step"] == 1 and row["period"] is not None
    ]


def incomplete(result: Result) -> list[tuple[str, int | None]]:
    return [(note.text, note.count) for note in result.notes if note.code == "incomplete-period"]


MARCH = (
    ("2026-03-02T00:00", 1, 1), ("2026-03-04T09:00", 2, 1), ("2026-03-08T23:59:59.999", 3, 1),
    ("2026-03-09T00:00", 4, 1), ("2026-03-25T10:00", 5, 1), ("2026-03-26T10:00", 5, 2),
)  # fmt: skip


@pytest.mark.parametrize("tz", ["America/New_York", "Asia/Shanghai", "Asia/Kolkata"])
def test_weeks_begin_on_monday_at_midnight_of_the_zone_and_empty_ones_are_there(
    tmp_path: Path, tz: str
) -> None:
    result = ask(world(tmp_path / "d", tz, MARCH), tz, "week")
    assert marks(result) == [
        ("2026-03-02", 3, False),
        ("2026-03-09", 1, False),
        ("2026-03-16", 0, False),
        ("2026-03-23", 1, True),
    ]
    assert incomplete(result) == [("cut by the range or the end of the data: the week of 2026-03-23", 1)]
    whole = rows_where(result, period=None)
    assert counts(whole) == [(5, 0, 4, 0), (1, 0, 0, 0)]
    assert not any(row["is_incomplete"] for row in whole)
    empty = rows_where(result, period="2026-03-16")
    assert [(row["users"], row["rate_from_first"]) for row in empty] == [(0, None), (0, None)]


def test_the_same_moments_fall_into_other_days_of_another_zone(tmp_path: Path) -> None:
    folder = world(tmp_path / "d", "UTC", [("2026-03-01T15:59", 1, 1), ("2026-03-01T16:00", 2, 1)])
    for tz, days in {
        "UTC": [("2026-03-01", 2)],
        "Asia/Shanghai": [("2026-03-01", 1), ("2026-03-02", 1)],
        "Asia/Kolkata": [("2026-03-01", 2)],
    }.items():
        assert [mark[:2] for mark in marks(ask(folder, tz, "day"))] == days


def test_a_range_from_mid_week_marks_the_first_week_and_the_last_one_not_over(tmp_path: Path) -> None:
    tz = "America/New_York"
    folder = world(tmp_path / "d", tz, MARCH)
    result = ask(folder, tz, "week", {"since": "2026-03-04"})
    assert marks(result) == [
        ("2026-03-02", 2, True),
        ("2026-03-09", 1, False),
        ("2026-03-16", 0, False),
        ("2026-03-23", 1, True),
    ]
    ((text, count),) = incomplete(result)
    assert (count, "2026-03-02 and of 2026-03-23" in text) == (2, True)
    whole = ask(folder, tz, "week", {"since": "2026-03-02", "until": "2026-03-15"})
    assert [mark[2] for mark in marks(whole)] == [False, False]
    assert incomplete(whole) == []
    over = ask(folder, tz, "week", {"as_of": "2026-03-29"})
    assert marks(over)[-1] == ("2026-03-23", 1, False)


def test_a_day_of_23_hours_holds_its_own_and_no_hour_of_the_next(tmp_path: Path) -> None:
    tz = "America/New_York"
    times = [
        (f"2026-03-0{day}T{hour}", user, 1)
        for user, (day, hour) in enumerate(
            [(7, "23:59"), (8, "00:00"), (8, "23:59"), (9, "00:00"), (9, "00:59")]
        )
    ]
    assert [mark[:2] for mark in marks(ask(world(tmp_path / "d", tz, times), tz, "day"))] == [
        ("2026-03-07", 1),
        ("2026-03-08", 2),
        ("2026-03-09", 2),
    ]


def test_without_a_trend_rows_have_no_period_and_no_mark(tmp_path: Path) -> None:
    result = ask(world(tmp_path / "d", "UTC", MARCH), "UTC", None)
    assert [(row["period"], row["is_incomplete"]) for row in result.rows] == [(None, False)] * 2
    assert incomplete(result) == []
    assert "period" not in [column.key for column in result.layout]


def test_a_trend_after_the_data_counts_nobody_and_says_where_the_data_are(tmp_path: Path) -> None:
    folder = world(tmp_path / "d", "UTC", MARCH)
    result = ask(folder, "UTC", "day", {"since": "2027-01-01"})
    assert [row["users"] for row in rows_where(result, period=None)] == [0, 0]
    assert all(row["period"] >= "2027" for row in result.rows if isinstance(row["period"], str))
    assert "out-of-range" in [note.code for note in result.notes]


def test_a_range_before_the_data_shows_no_period_of_the_data(tmp_path: Path) -> None:
    folder = world(tmp_path / "d", "UTC", MARCH)
    result = ask(folder, "UTC", "month", {"since": "2020-01-01", "until": "2020-01-31"})
    assert {row["period"] for row in result.rows} <= {None, "2020-01-01"}


def test_each_attempt_counts_in_the_period_of_its_own_step_1(tmp_path: Path) -> None:
    times = [("2026-03-02T10:00", 1, 1), ("2026-03-02T11:00", 1, 2), ("2026-03-04T10:00", 1, 1)]
    result = ask(world(tmp_path / "d", "UTC", times), "UTC", "day", entry="every")
    assert [mark[:2] for mark in marks(result)] == [("2026-03-02", 1), ("2026-03-03", 0), ("2026-03-04", 1)]
    assert result.totals["users"] == 1


def test_the_counted_attempt_not_the_first_one_names_the_period(tmp_path: Path) -> None:
    # The second attempt goes deeper within the window, so it is the one that counts.
    times = [("2026-03-01T10:00", 1, 1), ("2026-03-09T10:00", 1, 1), ("2026-03-09T11:00", 1, 2)]
    wanted = request(
        ["e1", "e2"], "1d", Scope(data=(str(world(tmp_path / "d", "UTC", times)),), tz="UTC"), trend="day"
    )
    result = answer(wanted, opened(wanted.scope, Task()))
    assert {row["period"]: row["users"] for row in result.rows if row["step"] == 2 and row["users"]} == {
        None: 1,
        "2026-03-09": 1,
    }
    assert marks(result)[0] == ("2026-03-01", 0, False)


# --- the names of cells -------------------------------------------------------------------------------------


def users(*places: int) -> set[str]:
    return {f"u{place}" for place in places}


def two_days(folder: Path, values: Sequence[str | None]) -> Callable[[str], set[str]]:
    """User N with value N on the 2nd of March, user 50 + N with it on the 3rd; gives the people of a row."""
    start = parse_start("2026-03-02T08:00", zone("UTC"))
    events = [Event(user, start, user, frozenset({1}), value=value) for user, value in enumerate(values)]
    write(folder, [*events, *(replace(one, ts=one.ts + DAY, user=one.user + 50) for one in events)], 0)
    wanted = request(["e1"], "none", Scope(data=(str(folder),), tz="UTC", by="colour", top=50), trend="day")
    dataset = opened(wanted.scope, Task())
    result = answer(wanted, dataset)
    return lambda row: people(dataset, result, wanted, f"reached:1@{row}")


def test_a_value_that_looks_like_a_period_is_named_in_quotes(tmp_path: Path) -> None:
    values = ("2026-03-02", "a@2026-03-02", "a", "(none)", 'say "hi"', "", None, "x@y")
    of = two_days(tmp_path / "d", values)
    assert of("2026-03-02") == users(*range(len(values)))
    assert of('"2026-03-02"') == users(0, 50)
    assert of("2026-03-02@2026-03-02") == users(0)
    assert of('"2026-03-02"@2026-03-03') == users(50)
    assert of('"a@2026-03-02"') == users(1, 51)
    assert of('"a"@2026-03-02') == users(2)
    assert of("a@2026-03-03") == users(52)
    assert of("a@2026-03-02@2026-03-03") == users(51)
    assert of('"(none)"') == users(3, 53)
    assert of("(none)") == users(6, 56)
    assert of("(none)@2026-03-03") == users(56)
    assert of('say "hi"@2026-03-02') == users(4)
    assert of('"say "hi""') == users(4, 54)
    assert of("") == users(5, 55)
    assert of('""@2026-03-03') == users(55)
    assert of("x@y@2026-03-02") == users(7)
    assert of('"x@y"') == users(7, 57)


def test_a_value_and_the_same_in_quotes_of_its_own_both_have_a_name(tmp_path: Path) -> None:
    of = two_days(tmp_path / "d", ("2026-03-02", '"2026-03-02"'))
    assert of("2026-03-02") == users(0, 1)
    assert of('"2026-03-02"') == users(0, 50)
    assert of('""2026-03-02""') == users(1, 51)


def test_an_unknown_row_says_what_may_have_been_meant(tmp_path: Path) -> None:
    result = ask(world(tmp_path / "d", "UTC", MARCH), "UTC", "week")
    assert result.people is not None
    with pytest.raises(QuestionError) as near:
        result.people.codes("reached:1@2026-03-61")
    assert "did you mean" in (near.value.hint or "")
    assert "2026-03-16" in (near.value.hint or "")
    with pytest.raises(QuestionError) as far:
        result.people.codes("reached:1@zzz")
    assert "2026-03-02, 2026-03-09" in (far.value.hint or "")


# --- the command line ---------------------------------------------------------------------------------------


def test_the_command_line_marks_incomplete_periods_and_lists_their_people(
    workbench: Command, tmp_path: Path
) -> None:
    from jsonschema import Draft202012Validator

    from workbench.schemas import load

    folder = world(tmp_path / "d", "Asia/Kolkata", MARCH)
    asking = (
        "funnel", "--data", str(folder), "--step", "e1", "--step", "e2", "--window", "none",
        "--tz", "Asia/Kolkata", "--trend", "week", "--by", "colour",
    )  # fmt: skip
    found = workbench(*asking, "--json").json
    Draft202012Validator(load("funnel")).validate(found)
    assert found["request"]["trend"] == "week"
    assert {row["period"] for row in found["rows"] if row["is_incomplete"]} == {"2026-03-23"}
    shown = workbench(*asking).out
    assert shown.count("2026-03-23") == 4
    assert shown.count("2026-03-23 (incomplete)") == 4
    assert "2026-03-09 (" not in shown
    assert workbench(*asking, "--users", "converted@red@2026-03-23").users == ["u5"]
    unknown = workbench(*asking, "--users", "converted@red@2026-03-24", "--json")
    assert (unknown.code, unknown.out) == (2, "")
    assert "did you mean" in json.loads(unknown.err.splitlines()[-1])["error"]["hint"]


def test_iso_names_agree_with_the_zone_of_meta(tmp_path: Path) -> None:
    result = ask(world(tmp_path / "d", "Asia/Shanghai", MARCH), "Asia/Shanghai", "day")
    assert result.meta["timezone"] == "Asia/Shanghai"
    assert marks(result)[-1][0] == str(result.meta["as_of"])[:10]
    assert (
        iso(parse_start("2026-03-26T10:00", zone("Asia/Shanghai")), zone("Asia/Shanghai"))
        == result.meta["as_of"]
    )
