"""The funnel beside the period before, and beside a segment: counts, differences, notes and the names of cells."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import pytest

from queries.funnel import answer, request
from queries.funnel_request import FunnelRequest
from queries.question import PeopleRequest, QuestionError, Result, Row, Scope
from queries.ranges import parse_start, zone
from tests.driver import Command
from tests.oracles.funnel import Answer, Event, funnel, random_users, rows_of
from tests.queries.test_funnel_rules import MINUTE, asked, name_of, random_options, write
from workbench.dataset import Dataset, opened
from workbench.runner import Task

HOUR = 60 * MINUTE
DAY = 24 * HOUR
UTC = zone("UTC")
DIFFERENCE = ("difference", "difference_low", "difference_high", "p_value", "verdict")
WHO = ("breakdown", "period", "is_total", "is_other", "step")


def told(asking: FunnelRequest) -> Result:
    return answer(asking, opened(asking.scope, Task()))


def counts(rows: Iterable[Row]) -> list[tuple[object, ...]]:
    return [(row["users"], row["dropped"], row["open"], row["skipped"]) for row in rows]


def expected(answers: Iterable[Answer], steps: int = 3) -> list[tuple[object, ...]]:
    return [(row.n, row.dropped, row.open, row.skipped) for row in rows_of(list(answers), steps)]


def rows_where(result: Result, **wanted: object) -> list[Row]:
    return [row for row in result.rows if all(row[key] == value for key, value in wanted.items())]


def alone(rows: Iterable[Row], cohort: str | None) -> dict[tuple[object, ...], dict[str, object]]:
    """A cohort's rows as a plain answer would have them, by what they are of; those of nobody left out."""
    dropped = ("cohort", *DIFFERENCE)
    return {
        tuple(row[key] for key in WHO): {key: value for key, value in row.items() if key not in dropped}
        for row in rows
        if row["cohort"] == cohort and (row["is_total"] or has_people(rows, row))
    }


def has_people(rows: Iterable[Row], of: Row) -> bool:
    same = ("cohort", "breakdown", "period", "is_total", "is_other")
    first = next(row for row in rows if row["step"] == 1 and all(row[key] == of[key] for key in same))
    return bool(first["users"])


def members(dataset: Dataset, result: Result, asking: FunnelRequest, cell: str) -> set[str]:
    return {str(row["user"]) for row in dataset.people_of(result, PeopleRequest(asking, cell)).rows}


# --- differences, from their definitions --------------------------------------------------------------------

Z = NormalDist().inv_cdf(0.975)


def score_interval(k: int, n: int) -> tuple[float, float]:
    """Wilson: the rates that a test at 95 % would not refuse, as roots of (p − k/n)² = z² p (1 − p) / n."""
    rate = k / n
    a, b, c = 1 + Z * Z / n, -(2 * rate + Z * Z / n), rate * rate
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def newcombe(k1: int, n1: int, k2: int, n2: int) -> tuple[float, float, float]:
    (l1, u1), (l2, u2) = score_interval(k1, n1), score_interval(k2, n2)
    p1, p2 = k1 / n1, k2 / n2
    return (
        p1 - p2,
        p1 - p2 - math.sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2),
        p1 - p2 + math.sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2),
    )


def z_test(k1: int, n1: int, k2: int, n2: int) -> float:
    pooled = (k1 + k2) / (n1 + n2)
    if pooled in (0, 1):
        return 1.0
    z = (k1 / n1 - k2 / n2) / math.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    return math.erfc(abs(z) / math.sqrt(2))


def step_up(ps: Sequence[float]) -> list[float]:
    """Benjamini–Hochberg: for each p the least m·q/rank over the qs at or above it, at most 1."""
    ascending = sorted(ps)
    many = len(ps)
    return [min(1.0, *(many * q / rank for rank, q in enumerate(ascending, 1) if q >= p)) for p in ps]


def check_differences(result: Result, target: str, base: str) -> int:
    """Every row against the definitions; gives how many rows are told apart."""
    compared: list[tuple[Row, tuple[int, int, int, int]]] = []
    by_place = {(row["cohort"], *(row[key] for key in WHO)): row for row in result.rows}
    for row in result.rows:
        where = tuple(row[key] for key in WHO)
        other = by_place.get((base, *where))
        one = by_place[row["cohort"], *where[:-1], 1]
        if row["cohort"] != target or row["step"] == 1 or other is None:
            assert [row[key] for key in DIFFERENCE] == [None] * 5
            continue
        first = by_place[base, *where[:-1], 1]
        sizes = tuple(int(str(r["users"])) for r in (row, one, other, first))
        if not (sizes[1] and sizes[3]):
            assert [row[key] for key in DIFFERENCE] == [None] * 5
            continue
        compared.append((row, (sizes[0], sizes[1], sizes[2], sizes[3])))
    adjusted = step_up([z_test(*sizes) for _, sizes in compared])
    apart = 0
    for (row, sizes), p in zip(compared, adjusted, strict=True):
        got = [float(str(row[key])) for key in DIFFERENCE[:-1]]
        assert got == pytest.approx([*newcombe(*sizes), p], rel=1e-9, abs=1e-12), sizes
        word = "not distinguishable" if p >= 0.05 else ("higher" if got[0] > 0 else "lower")
        assert row["verdict"] == word
        apart += word != "not distinguishable"
    return apart


def test_the_definitions_give_the_published_numbers() -> None:
    # Newcombe 1998, table II: 56/70 − 48/80 by method 10 is 0.2000, 0.0524 to 0.3339.
    assert newcombe(56, 70, 48, 80) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert step_up([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])


# --- the period before --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_both_periods_equal_the_oracle_and_the_plain_question(tmp_path: Path, seed: int) -> None:
    rng = random.Random(7000 + seed)
    for number in range(2):
        low = rng.choice((12, 16, 20)) * MINUTE
        length = rng.choice((5, 10, 20)) * MINUTE
        options = replace(random_options(rng), range_start=low, range_end=low + length)
        events = [event for mine in random_users(rng, options, users=12) for event in mine]
        names = sorted({name_of(event) for event in events})
        folder = tmp_path / str(number)
        write(folder, events)
        by = "colour" if number else None
        wanted = asked(options, names, folder, by, compare="previous")
        result = told(wanted)
        before = replace(options, range_start=low - length, range_end=low)
        known = [event for event in events if event.ts <= (options.as_of or 0)]
        groups = {(row["breakdown"], row["is_total"]) for row in result.rows}
        for cohort, rules in (("current", options), ("previous", before)):
            answers = funnel(known, rules).answers
            assert counts(rows_where(result, cohort=cohort, is_total=True)) == expected(answers), rules
            for value, is_total in groups:
                mine = [one for one in answers if one.level and (is_total or one.value == value)]
                rows = rows_where(result, cohort=cohort, is_total=is_total, breakdown=value)
                assert counts(rows) == expected(mine), (rules, value)
            plain = told(asked(rules, names, folder, by))
            assert alone(result.rows, cohort) == alone(plain.rows, None)
            if cohort == "current":
                assert result.totals == plain.totals
        check_differences(result, "current", "previous")


@pytest.mark.parametrize(
    ("tz", "scope", "previous"),
    [
        ("America/New_York", {"last": "7d"}, ("2026-02-28", "2026-03-06")),
        ("America/New_York", {"since": "2026-03-08", "until": "2026-03-08"}, ("2026-03-07", "2026-03-07")),
        ("America/New_York", {"since": "2026-03-09", "until": "2026-03-10"}, ("2026-03-07", "2026-03-08")),
        ("Asia/Kolkata", {"last": "1w"}, ("2026-02-28", "2026-03-06")),
        ("Asia/Shanghai", {"last": "2d", "as_of": "2026-03-10"}, ("2026-03-07", "2026-03-08")),
    ],
)
def test_previous_is_the_same_question_over_the_dates_before(
    tmp_path: Path, tz: str, scope: dict[str, str], previous: tuple[str, str]
) -> None:
    where = zone(tz)
    start = parse_start("2026-02-20", where)
    events = [
        Event(number, start + number * 2 * HOUR, number * 3 + step, frozenset({step}))
        for number in range(12 * 21)
        for step in (1, 2)[: 1 + number % 2]
    ]
    events = [event for event in events if event.ts < parse_start("2026-03-13T15:00", where)]
    write(tmp_path / "d", events, 0)

    def plain(compare: str | None = None, **bounds: str) -> Result:
        asking = Scope(data=(str(tmp_path / "d"),), tz=tz, **bounds)  # type: ignore[arg-type]
        return told(request(["e1", "e2"], "1d", asking, compare=compare))

    both = plain("previous", **scope)
    as_of = {key: value for key, value in scope.items() if key == "as_of"}
    assert alone(both.rows, "current") == alone(plain(**scope).rows, None)
    earlier = plain(since=previous[0], until=previous[1], **as_of)
    assert alone(both.rows, "previous") == alone(earlier.rows, None)
    assert int(str(earlier.rows[0]["users"])) > 0


def test_previous_of_six_hours_is_the_six_hours_before(tmp_path: Path) -> None:
    as_of = parse_start("2026-03-08T09:30", zone("America/New_York"))
    # One a quarter of an hour, back from as-of over the change of the clocks.
    events = [Event(place, as_of - place * 15 * MINUTE, 500 - place, frozenset({1})) for place in range(200)]
    write(tmp_path / "d", events, 0)
    scope = Scope(data=(str(tmp_path / "d"),), tz="America/New_York", last="6h")
    asking = request(["e1"], "1d", scope, compare="previous")
    dataset = opened(scope, Task())
    result = answer(asking, dataset)
    assert [(row["cohort"], row["users"]) for row in result.rows] == [("current", 24), ("previous", 24)]
    assert members(dataset, result, asking, "reached:1@current") == {f"u{place}" for place in range(24)}
    assert members(dataset, result, asking, "reached:1") == {f"u{place}" for place in range(24)}
    assert members(dataset, result, asking, "reached:1@previous") == {f"u{p}" for p in range(24, 48)}


@pytest.mark.parametrize("scope", [{}, {"since": "2026-03-01"}, {"until": "2026-03-01"}], ids=str)
def test_a_comparison_without_a_beginning_or_an_end_is_refused(tmp_path: Path, scope: dict[str, str]) -> None:
    write(tmp_path / "d", [Event(1, 0, 0, frozenset({1}))])
    where = Scope(data=(str(tmp_path / "d"),), **scope)  # type: ignore[arg-type]
    with pytest.raises(QuestionError) as raised:
        told(request(["e1"], "1d", where, compare="previous"))
    assert "--last 7d" in (raised.value.hint or "")


# --- a world large enough to tell rates apart ---------------------------------------------------------------

FIRST, TURN = parse_start("2026-03-02", UTC), parse_start("2026-03-09", UTC)
RATES = {
    ("red", 0): 0.30, ("red", 1): 0.55, ("green", 0): 0.5, ("green", 1): 0.5,
    ("blue", 0): 0.7, ("blue", 1): 0.35, (None, 0): 0.5, (None, 1): 0.6,
}  # fmt: skip


def large(folder: Path) -> Path:
    """Two weeks: 900 people, whose rate of going on depends on colour and week; one in nine comes in both."""
    rng = random.Random(5)
    events: list[Event] = []
    for user in range(900):
        colour = rng.choice(("red", "red", "green", "blue", None))
        for week in (0, 1) if user % 9 == 0 else (user % 2,):
            ts = FIRST + week * 7 * DAY + rng.randrange(6 * DAY)
            events.append(Event(user, ts, len(events), frozenset({1}), value=colour))
            for step in (2, 3):
                if rng.random() > RATES[colour, week]:
                    break
                events.append(Event(user, ts + step * HOUR, len(events), frozenset({step}), value=colour))
    write(folder, [*events, Event(9999, TURN + 9 * DAY, len(events), frozenset())], 0)
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return large(tmp_path_factory.mktemp("large") / "d")


def weeks(world: Path, **more: object) -> FunnelRequest:
    scope = Scope(
        data=(str(world),), tz="UTC", since="2026-03-09", until="2026-03-15", by="colour",
        top=int(str(more.pop("top", 10))),
    )  # fmt: skip
    return request(["e1", "e2", "e3"], "1d", scope, **more)


def test_differences_intervals_and_corrected_p_are_those_of_the_definitions(world: Path) -> None:
    result = told(weeks(world, compare="previous"))
    assert check_differences(result, "current", "previous") >= 4
    words = {row["breakdown"]: row["verdict"] for row in rows_where(result, cohort="current", step=3)}
    assert (words["red"], words["blue"], words["green"]) == ("higher", "lower", "not distinguishable")
    assert {row["verdict"] for row in result.rows} >= {"higher", "lower", "not distinguishable", None}


def test_differences_only_stand_from_step_2_in_rows_of_current(world: Path) -> None:
    result = told(weeks(world, compare="previous"))
    filled = [row for row in result.rows if row["difference"] is not None]
    assert {(row["cohort"], row["step"]) for row in filled} == {("current", 2), ("current", 3)}
    assert len(filled) == 2 * len({(row["breakdown"], row["is_total"]) for row in result.rows})
    plain = told(weeks(world))
    assert not any(key in row for row in plain.rows for key in DIFFERENCE)


def test_a_breakdown_has_the_same_values_in_both_cohorts_and_adds_up(world: Path) -> None:
    for top in (2, 10):
        result = told(weeks(world, compare="previous", top=top))
        names = {
            cohort: [
                (row["breakdown"], row["is_other"])
                for row in rows_where(result, cohort=cohort, step=1, is_total=False)
            ]
            for cohort in ("current", "previous")
        }
        assert names["current"] == names["previous"]
        # Three colours and none; or two, the rest and none.
        assert len(names["current"]) == 4
        assert any(is_other for _, is_other in names["current"]) == (top == 2)
        for whole in rows_where(result, is_total=True):
            parts = rows_where(result, is_total=False, cohort=whole["cohort"], step=whole["step"])
            for key in ("users", "dropped", "open", "skipped"):
                assert sum(int(str(row[key])) for row in parts) == whole[key]


def test_a_trend_of_two_periods_compares_day_by_day(world: Path) -> None:
    result = told(weeks(world, compare="previous", trend="day"))
    days = {
        cohort: [row["period"] for row in rows_where(result, cohort=cohort, step=1, is_total=True)]
        for cohort in ("current", "previous")
    }
    assert days == {
        "current": [None, *(f"2026-03-{day:02}" for day in range(9, 16))],
        "previous": [None, *(f"2026-03-{day:02}" for day in range(2, 9))],
    }
    for place in range(1, 8):
        now, then = (
            [int(str(r["users"])) for r in rows_where(result, cohort=c, period=days[c][place], is_total=True)]
            for c in ("current", "previous")
        )
        rows = rows_where(result, cohort="current", period=days["current"][place], is_total=True)
        if now[0] and then[0]:
            assert rows[1]["difference"] == pytest.approx(now[1] / now[0] - then[1] / then[0])
        else:
            assert rows[1]["difference"] is None


def test_days_before_the_data_do_not_shift_the_days_compared(tmp_path: Path) -> None:
    # The data begin on the third day of the previous week; who enters in it and when is the same.
    days = (4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    events = [
        Event(100 * day + user, parse_start(f"2026-03-{day:02}T09:00", UTC) + step, 0, frozenset({step}))
        for day in days
        for user in range(10)
        for step in ((1, 2) if user < (day - 2) % 7 else (1,))
    ]
    write(tmp_path / "d", [replace(e, sequence=p) for p, e in enumerate(events)], 0)
    scope = Scope(data=(str(tmp_path / "d"),), tz="UTC", since="2026-03-09", until="2026-03-15")
    result = told(request(["e1", "e2"], "1h", scope, compare="previous", trend="day"))
    differences = {
        row["period"]: row["difference"]
        for row in rows_where(result, cohort="current", step=2)
        if row["period"]
    }
    assert differences == {
        "2026-03-09": None,
        "2026-03-10": None,
        **{f"2026-03-{day}": pytest.approx(0.0) for day in range(11, 16)},
    }


# --- notes --------------------------------------------------------------------------------------------------


def notes_of(result: Result, code: str) -> list[tuple[str, str]]:
    return [(note.level, note.text) for note in result.notes if note.code == code]


def hours(folder: Path) -> Path:
    """Somebody at step 1 each hour from the 2nd of March, noon, to the 12th, noon; who is even goes on."""
    first = parse_start("2026-03-02T12:00", UTC)
    events = [
        Event(hour, first + hour * HOUR, 2 * hour + step, frozenset({step}))
        for hour in range(241)
        for step in ((1, 2) if hour % 2 == 0 else (1,))
    ]
    write(folder, events, 0)
    return folder


@pytest.mark.parametrize(
    ("since", "until", "incomplete", "still_open"),
    [
        ("2026-03-07", "2026-03-08", [], 0),
        # As-of is noon of the 12th: who entered a day before or later and did not go on may still.
        ("2026-03-10", "2026-03-11", [], 6),
        ("2026-03-11", "2026-03-12", ["current"], 12),
        ("2026-03-06", "2026-03-09", ["previous"], 0),
        ("2026-03-12", "2026-03-31", ["current", "previous"], 6),
    ],
)
def test_what_stands_in_the_way_of_comparing_is_said(
    tmp_path: Path, since: str, until: str, incomplete: list[str], still_open: int
) -> None:
    scope = Scope(data=(str(hours(tmp_path / "d")),), tz="UTC", since=since, until=until)
    result = told(request(["e1", "e2"], "1d", scope, compare="previous"))
    found = notes_of(result, "incomplete-period")
    assert [next(w for w in ("current", "previous") if f"the {w} period" in text) for _, text in found] == (
        incomplete
    )
    assert all(level == "warning" for level, _ in found)
    current = rows_where(result, cohort="current", step=1)[0]
    assert current["open"] == still_open
    counted = [note.count for note in result.notes if note.code == "comparison-open"]
    assert counted == ([still_open] if still_open else [])
    assert all("--mature" in text for _, text in notes_of(result, "comparison-open"))


def test_mature_compares_only_who_cannot_go_on(tmp_path: Path) -> None:
    scope = Scope(data=(str(hours(tmp_path / "d")),), tz="UTC", last="2d")
    result = told(request(["e1", "e2"], "1d", scope, compare="previous", mature=True))
    assert notes_of(result, "comparison-open") == []
    assert [row["open"] for row in result.rows] == [0] * 4
    plain = told(request(["e1", "e2"], "1d", scope, mature=True))
    assert alone(result.rows, "current") == alone(plain.rows, None)


# --- a segment ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_segment_and_the_others_are_everybody(tmp_path: Path, seed: int) -> None:
    rng = random.Random(8000 + seed)
    for number in (0, 2):
        options = random_options(rng)
        events = [event for mine in random_users(rng, options, users=14) for event in mine]
        names = sorted({name_of(event) for event in events})
        folder = tmp_path / str(number)
        write(folder, events)
        inside = {user for user in range(14) if rng.random() < 0.5}
        listed = tmp_path / f"some{number}.txt"
        listed.write_text("".join(f"u{user}\n" for user in sorted(inside)))
        by = "colour" if number else None
        trend = "day" if number == 2 else None
        name = str(listed)
        asking = asked(options, names, folder, by, compare=name, trend=trend)
        result = told(asking)
        known = [event for event in events if event.ts <= (options.as_of or 0)]
        answers = [one for one in funnel(known, options).answers if one.level]
        assert list(dict.fromkeys(row["cohort"] for row in result.rows)) == [None, name, "(others)"]
        groups = {(row["breakdown"], row["is_total"]) for row in result.rows}
        for cohort, of in (
            (None, answers),
            (name, [one for one in answers if one.user in inside]),
            ("(others)", [one for one in answers if one.user not in inside]),
        ):
            for value, is_total in groups:
                mine = [one for one in of if is_total or one.value == value]
                rows = rows_where(result, cohort=cohort, breakdown=value, is_total=is_total, period=None)
                assert counts(rows) == expected(mine), (options, cohort, value)
        for whole in rows_where(result, cohort=None):
            same = {key: whole[key] for key in WHO}
            parts = [r for r in rows_where(result, **same) if r["cohort"] is not None]
            assert len(parts) == 2
            for key in ("users", "dropped", "open", "skipped"):
                assert sum(int(str(row[key])) for row in parts) == whole[key]
        plain = told(asked(options, names, folder, by, trend=trend))
        assert alone(result.rows, None) == alone(plain.rows, None)
        assert result.totals == plain.totals
        check_differences(result, name, "(others)")


def test_a_segments_differences_are_those_of_the_definitions(world: Path, tmp_path: Path) -> None:
    listed = tmp_path / "loyal.txt"
    dataset = opened(Scope(data=(str(world),), tz="UTC"), Task())
    asking = request(["e1", "e2", "e3"], "1d", Scope(data=(str(world),), tz="UTC"))
    converted = members(dataset, answer(asking, dataset), asking, "converted")
    listed.write_text("\n".join(sorted(converted)[::2]))
    result = told(weeks(world, compare=str(listed)))
    assert check_differences(result, str(listed), "(others)") >= 2
    total = rows_where(result, cohort=str(listed), is_total=True)
    assert total[1]["verdict"] == "higher"


def test_attempts_of_one_person_are_all_in_the_segment(tmp_path: Path) -> None:
    times = [(user, hour, step) for user in (1, 2) for hour in (0, 5, 10) for step in (1, 2)]
    events = [
        Event(user, hour * HOUR + step, place, frozenset({step}))
        for place, (user, hour, step) in enumerate(times)
    ]
    write(tmp_path / "d", events)
    (tmp_path / "s.txt").write_text("u2\n")
    scope = Scope(data=(str(tmp_path / "d"),))
    result = told(request(["e1", "e2"], "1h", scope, entry="every", compare=str(tmp_path / "s.txt")))
    assert [(row["step"], row["users"]) for row in result.rows] == [
        (1, 6), (2, 6), (1, 3), (2, 3), (1, 3), (2, 3),
    ]  # fmt: skip


# --- the names of cells -------------------------------------------------------------------------------------


def two_days(folder: Path, values: Sequence[str | None]) -> Scope:
    """User N with value N on the 3rd of March, user 50 + N with it on the 2nd."""
    start = parse_start("2026-03-03T08:00", UTC)
    events = [Event(user, start, user, frozenset({1}), value=value) for user, value in enumerate(values)]
    write(folder, [*events, *(replace(one, ts=one.ts - DAY, user=one.user + 50) for one in events)], 0)
    return Scope(data=(str(folder),), tz="UTC", since="2026-03-03", until="2026-03-03", by="colour", top=50)


def users(*places: int) -> set[str]:
    return {f"u{place}" for place in places}


VALUES = ("previous", "a@previous", "a", "(none)", 'say "hi"', None, "current", "(other)", "@", "")


@pytest.fixture(scope="module")
def named_rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Result, FunnelRequest]:
    scope = two_days(tmp_path_factory.mktemp("named") / "d", VALUES)
    asking = request(["e1"], "1d", scope, compare="previous")
    dataset = opened(scope, Task())
    return dataset, answer(asking, dataset), asking


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("current", users(*range(10))),
        ("previous", users(*range(50, 60))),
        ('"previous"', users(0)),
        ("previous@previous", users(50)),
        ("previous@current", users(0)),
        ('"previous"@previous', users(50)),
        ('"a@previous"', users(1)),
        ("a", users(2)),
        ("a@current", users(2)),
        ('"a"@previous', users(52)),
        ("a@previous@previous", users(51)),
        ('"(none)"', users(3)),
        ("(none)", users(5)),
        ('"(none)"@previous', users(53)),
        ("(none)@previous", users(55)),
        ('say "hi"', users(4)),
        ('say "hi"@previous', users(54)),
        ('"say "hi""@previous', users(54)),
        ('"current"', users(6)),
        ("current@previous", users(56)),
        ('"(other)"@previous', users(57)),
        ("@", users(8)),
        ("@@previous", users(58)),
        ('"@"@previous', users(58)),
        ("", users(9)),
        ('""', users(9)),
        ('""@previous', users(59)),
    ],
)
def test_every_row_has_a_name(
    named_rows: tuple[Dataset, Result, FunnelRequest], row: str, expected: set[str]
) -> None:
    assert members(*named_rows, f"reached:1@{row}") == expected


def test_people_of_previous_by_value_and_period(world: Path) -> None:
    asking = weeks(world, compare="previous", trend="day")
    dataset = opened(asking.scope, Task())
    result = answer(asking, dataset)
    for row in result.rows:
        value = ["(none)" if row["breakdown"] is None else str(row["breakdown"])] * (not row["is_total"])
        period = [str(row["period"])] * (row["period"] is not None)
        name = "@".join((*value, *period, str(row["cohort"])))
        assert result.people is not None
        for measure, key in (("reached", "users"), ("dropped", "dropped"), ("open", "open")):
            codes = result.people.codes(f"{measure}:{row['step']}@{name}")
            assert len(codes) == row[key], (measure, name)


def test_the_sides_of_a_segment_named_like_a_period_have_names(tmp_path: Path) -> None:
    scope = two_days(tmp_path / "w", ("x", "y", "z"))
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "2026-03-03.toml").write_text('schema = 1\nids = ["u1"]\n')
    (tmp_path / "workbench.toml").write_text('schema = 1\n[[source]]\nname = "e"\npath = "w/*.parquet"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        asking = request(["e1"], "1d", replace(scope, data=(), by=None), compare="2026-03-03", trend="day")
        result = told(asking)
    assert result.people is not None
    found = {
        (row["period"], row["cohort"]): len(result.people.codes(f"reached:1@{name}"))
        for name, row in {
            "2026-03-03@(others)": rows_where(result, period="2026-03-03", cohort="(others)")[0],
            "2026-03-03@2026-03-03": rows_where(result, period="2026-03-03", cohort="2026-03-03")[0],
            "(others)": rows_where(result, period=None, cohort="(others)")[0],
        }.items()
    }
    assert found == {("2026-03-03", "(others)"): 2, ("2026-03-03", "2026-03-03"): 1, (None, "(others)"): 2}


def test_an_unknown_row_says_what_may_have_been_meant(tmp_path: Path) -> None:
    scope = two_days(tmp_path / "d", ("ads", "mail"))
    result = told(request(["e1"], "1d", scope, compare="previous"))
    assert result.people is not None
    for row, near in {"previuos": "previous", "adz": "ads", "mail@previos": "mail@previous"}.items():
        with pytest.raises(QuestionError) as raised:
            result.people.codes(f"reached:1@{row}")
        assert "did you mean" in (raised.value.hint or "")
        assert near in (raised.value.hint or "")
    with pytest.raises(QuestionError, match="no row") as far:
        result.people.codes("reached:1@zzzzzz")
    assert "current, previous" in (far.value.hint or "")
    plain = told(request(["e1"], "1d", replace(scope, by=None)))
    assert plain.people is not None
    with pytest.raises(QuestionError, match="there is none") as none:
        plain.people.codes("reached:1@previous")
    assert "--compare" in (none.value.hint or "")


# --- the command line ---------------------------------------------------------------------------------------


def test_the_command_line_compares(workbench: Command, world: Path) -> None:
    from jsonschema import Draft202012Validator

    from workbench.schemas import load

    asking = (
        "funnel", "--data", str(world), "--step", "e1", "--step", "e2", "--step", "e3", "--window", "1d",
        "--tz", "UTC", "--from", "2026-03-09", "--to", "2026-03-15", "--compare", "previous",
    )  # fmt: skip
    found = workbench(*asking, "--by", "colour", "--json").json
    Draft202012Validator(load("funnel")).validate(found)
    assert found["request"]["compare"] == "previous"
    assert [row["cohort"] for row in found["rows"][:6]] == ["current"] * 3 + ["previous"] * 3
    shown = workbench(*asking)
    assert shown.code == 0, shown.err
    assert shown.out.count("not distinguishable") == 2
    assert "who is in both counts in both" in " ".join(shown.out.split())
    total = [row for row in found["rows"] if row["is_total"] and row["cohort"] == "previous"]
    assert len(workbench(*asking, "--users", "converted@previous").users) == total[2]["users"]
    sql = workbench(*asking, "--sql").out
    assert sql.count("-- One row for each event") == 2
