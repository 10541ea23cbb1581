"""Holds the brute-force oracle to cases worked out on paper, so that kernels may be held to the oracle."""

from __future__ import annotations

import itertools
import random
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.oracles.funnel import (
    Answer,
    Event,
    Options,
    Row,
    funnel,
    random_users,
    reading_order,
    user_answer,
    user_answers,
)

MINUTE = 60_000
FIXTURE = Path(__file__).parents[2] / "fixtures" / "funnel_cases.toml"
CASES = tomllib.loads(FIXTURE.read_text(encoding="utf-8"))["case"]
UNITS = {"s": 1000, "m": MINUTE}


def milliseconds(time: int | str) -> int:
    """A bare number is minutes; text is a number with a unit."""
    return time * MINUTE if isinstance(time, int) else int(time[:-1]) * UNITS[time[-1]]


def duration(text: str) -> int | None:
    return None if text == "none" else milliseconds(text)


def worked(case: dict[str, Any], given: dict[str, Any]) -> tuple[list[Event], Options]:
    """A fixture's events and rules as the oracle takes them."""
    names: list[str] = case["steps"]
    excluded: list[str] = given.get("exclude", [])
    events = [
        Event(
            user=1,
            ts=milliseconds(time),
            sequence=sequence,
            steps=frozenset(step for step, step_name in enumerate(names, start=1) if step_name == name),
            excludes=frozenset(index for index, excluder in enumerate(excluded) if excluder == name),
        )
        for sequence, (name, time) in enumerate(case["events"])
    ]
    options = Options(
        steps=len(names),
        window=duration(given.get("window", case["window"])),
        order=given.get("order", "ordered"),
        entry=given.get("entry", "any"),
        ties=given.get("ties", "order"),
        tolerance=duration(given.get("tolerance", "0s")) or 0,
        step_windows={int(step): milliseconds(time) for step, time in given.get("step_windows", {}).items()},
        exclusions=tuple((1, len(names)) for _ in excluded),
        exclusion=given.get("exclusion", "drop"),
    )
    return events, options


EXPECTATIONS = [
    pytest.param(case, expected, id=f"{case['id']}-{number}")
    for case in CASES
    for number, expected in enumerate(case["expect"])
]


@pytest.mark.parametrize(("case", "expected"), EXPECTATIONS)
def test_worked_case(case: dict[str, Any], expected: dict[str, Any]) -> None:
    events, options = worked(case, expected.get("options", {}))
    answer = user_answer(events, options)
    assert answer.level == expected["level"]
    assert (answer.status == "removed") is expected.get("removed", False)
    assert (answer.status == "converted") is ("seconds" in expected)
    if "seconds" in expected:
        assert answer.since_entry(answer.level) == expected["seconds"] * 1000


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_worked_case_under_strictly_increasing_times(case: dict[str, Any]) -> None:
    given = case["expect"][0].get("options", {})
    answer = user_answer(*worked(case, given))
    assert answer.level_if_strict_ties == case.get("strict_level", answer.level)


def test_worked_cases_are_all_there() -> None:
    numbers = ["1", "2", "3", "4", "5", "6", "7", "7b", "7c", "8", "9", "9b", "9c"]
    numbers += ["10", "11", "13", "14", "15", "16"]
    assert [case["id"] for case in CASES] == [f"L{number}" for number in numbers]


def told(
    text: str, steps: tuple[str, ...] = ("A", "B", "C"), excluders: str = "X", user: int = 1
) -> list[Event]:
    """``"A0=red B10 X15"``: letters, minutes, values; an event does the steps whose text holds its letter.

    The value is the held property too.
    """
    events = []
    for sequence, word in enumerate(text.split()):
        letter, time, value = re.fullmatch(r"(\w)(\d+)(?:=(\w+))?", word).groups()  # type: ignore[union-attr]
        events.append(
            Event(
                user=user,
                ts=int(time) * MINUTE,
                sequence=sequence,
                steps=frozenset(step for step, names in enumerate(steps, start=1) if letter in names),
                excludes=frozenset(index for index, name in enumerate(excluders) if name == letter),
                value=value,
                held=value,
            )
        )
    return events


def rules(steps: int = 3, window: int | None = 60, **given: Any) -> Options:
    """Rules with every time in minutes."""
    for name in ("range_start", "range_end", "as_of", "tolerance"):
        if name in given:
            given[name] *= MINUTE
    if "step_windows" in given:
        given["step_windows"] = {step: time * MINUTE for step, time in given["step_windows"].items()}
    return Options(steps=steps, window=None if window is None else window * MINUTE, **given)


def minutes(answer: Answer) -> list[int | None]:
    return [None if ts is None else ts // MINUTE for ts in answer.step_times]


@pytest.mark.parametrize(
    ("text", "given", "level", "times"),
    [
        ("A0 B5 B10 C20", {}, 3, [0, 5, 20]),
        ("A0 A3 B5 B10 C20", {}, 3, [3, 5, 20]),
        ("A0 B5 A10 B15 C20 C25", {}, 3, [10, 15, 20]),
        ("A0 B50 A55 B58 C110", {}, 3, [55, 58, 110]),
        ("A0 B5 B15 C20", {"step_windows": {3: 10}}, 3, [0, 15, 20]),
        ("A0 B11 C20", {"step_windows": {2: 10}}, 1, [0]),
        ("A0 B10 C20", {"step_windows": {2: 10, 3: 10}}, 3, [0, 10, 20]),
        ("A0 A200 B900 C9000", {"window": None}, 3, [200, 900, 9000]),
        ("A0 A200 B900 C9000", {"window": None, "entry": "first"}, 3, [0, 900, 9000]),
        ("A0 B10 C20", {"as_of": 19}, 2, [0, 10]),
        ("A5 A12 B30 C90", {"range_start": 10, "range_end": 20}, 2, [12, 30]),
        ("A12 B19 C20", {"range_start": 12, "range_end": 20, "range": "whole"}, 2, [12, 19]),
        ("A20 B30", {"range_start": 10, "range_end": 20}, 0, []),
        ("B0 C5", {}, 0, []),
        ("A0 B5 X7 B10 C20", {"exclusions": ((2, 3),)}, 3, [0, 10, 20]),
        ("A0 B5 X7 C20", {"exclusions": ((2, 3),)}, 2, [0, 5]),
        ("A0 X3 B5 C20", {"exclusions": ((2, 3),)}, 3, [0, 5, 20]),
        ("A0 B5 X7 C20", {"exclusions": ((1, 2),)}, 3, [0, 5, 20]),
        ("A0 X0 B0 C0", {"exclusions": ((1, 3),)}, 3, [0, 0, 0]),
        ("A0 C20", {"optional": frozenset({2})}, 3, [0, None, 20]),
        ("A0 B5 C20", {"optional": frozenset({2})}, 3, [0, 5, 20]),
        ("A0 C10 B15 C20", {"optional": frozenset({2})}, 3, [0, None, 10]),
        ("A0 B5", {"optional": frozenset({2})}, 2, [0, 5]),
        ("A0 B5 A10 C20", {"optional": frozenset({2})}, 3, [10, None, 20]),
        ("A0 X5 A10 B11 C12", {"order": "strict"}, 3, [10, 11, 12]),
        ("A0 B1 A10 B11 C12", {"order": "strict", "entry": "first"}, 2, [0, 1]),
        ("C0 A5 B10", {"order": "any"}, 3, [0, 5, 10]),
        ("C0 A5 B61 C65", {"order": "any"}, 3, [5, 61, 65]),
        ("A0 A10 A20", {"order": "any"}, 1, [0]),
        ("C0 A5 X7 B10", {"order": "any", "exclusions": ((1, 3),)}, 2, [0, 5]),
        ("C0 A5 B10", {"order": "any", "range_start": 5, "range_end": 50}, 2, [5, 10]),
        ("B0 A1 C5", {"tolerance": 1}, 3, [1, 0, 5]),
        ("B0 A2 C5", {"tolerance": 1}, 1, [2]),
    ],
)
def test_level_and_step_times(text: str, given: dict[str, Any], level: int, times: list[int | None]) -> None:
    answer = user_answer(told(text), rules(**given))
    assert answer.level == level
    assert minutes(answer) == times


def test_a_negative_time_counts_as_zero() -> None:
    answer = user_answer(told("B0 A1 C5"), rules(tolerance=1))
    assert [answer.since_entry(step) for step in (1, 2, 3)] == [0, 0, 4 * MINUTE]
    assert [answer.since_previous(step) for step in (1, 2, 3)] == [None, 0, 5 * MINUTE]


@pytest.mark.parametrize(
    ("text", "level", "strictly"),
    [("A0 A0", 2, 1), ("A0 A0 A0", 3, 1), ("A0 A0 A1", 3, 2), ("A0", 1, 1)],
)
def test_a_step_repeated_takes_distinct_events(text: str, level: int, strictly: int) -> None:
    answer = user_answer(told(text, ("A", "A", "A")), rules())
    assert (answer.level, answer.level_if_strict_ties) == (level, strictly)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("B0", 1),
        ("B0 B10", 2),
        ("A0 B0", 2),
        ("B0 A0", 1),
        ("B0 C0", 2),
        ("C0 B0", 2),
        ("C0 A1", 1),
    ],
)
def test_events_of_several_steps_are_read_by_their_first(text: str, level: int) -> None:
    """Step 1 is A or B, step 2 is B or C: a tied B is read beside A by sequence, and before C."""
    assert user_answer(told(text, ("AB", "BC")), rules(2)).level == level


def test_reading_order_puts_events_of_no_step_last_and_ignores_the_range() -> None:
    events = told("X1 C1 B1 B1 A1 A0")
    assert [event.sequence for event in reading_order(events)] == [5, 4, 2, 3, 1, 0]


@pytest.mark.parametrize(
    ("text", "as_of", "given", "level", "is_open"),
    [
        ("A0 B10", 60, {}, 2, True),
        ("A0 B10", 61, {}, 2, False),
        ("A0 B10 A70", 100, {}, 2, True),
        ("A0 B10 A70", 131, {}, 2, False),
        ("A0 B10 A70", 100, {"entry": "first"}, 2, False),
        ("A0 B10", 10_000, {"window": None}, 2, True),
        ("A0 B10 C20", 20, {}, 3, False),
        ("B0", 1, {}, 0, False),
        ("A0 X5", 30, {"exclusions": ((1, 3),)}, 1, False),
        ("A0 X5", 30, {"exclusions": ((2, 3),)}, 1, True),
        ("A0 B5 X7", 30, {"exclusions": ((2, 3),)}, 2, True),
        ("A0 B5 X7", 30, {"exclusions": ((1, 3),)}, 2, False),
        ("A0 B10", 30, {"order": "strict"}, 2, True),
        ("A0 B10 X20", 30, {"order": "strict"}, 2, False),
        ("A0 B10 A20", 30, {"order": "strict"}, 2, True),
        ("A0", 39, {"range_end": 40, "range": "whole"}, 1, True),
        ("A0", 40, {"range_end": 40, "range": "whole"}, 1, False),
        ("A0", 40, {"range_end": 40}, 1, True),
        ("A0 A50", 70, {"range_end": 40}, 1, False),
        ("A0 B10", 30, {"step_windows": {3: 20}}, 2, True),
        ("A0 B10", 31, {"step_windows": {3: 20}}, 2, True),
        ("A0 B10", 31, {"step_windows": {2: 20, 3: 20}}, 2, False),
        ("A0 B10", 60, {"ties": "strict"}, 2, True),
        ("A0 B10 A70", 130, {}, 2, True),
        ("A0 B10 A70", 130, {"ties": "strict"}, 2, False),
        ("A0 B10 A70", 129, {"ties": "strict"}, 2, True),
        ("B0 A10", 60, {"order": "any"}, 2, True),
        ("B0 A10", 71, {"order": "any"}, 2, False),
        ("B0 A10 X11", 12, {"order": "any", "exclusions": ((1, 3),)}, 2, False),
    ],
)
def test_open_at_as_of(text: str, as_of: int, given: dict[str, Any], level: int, is_open: bool) -> None:
    """``A70`` at 130, strictly increasing: of B and C, both missing, only one could still come by 130.

    ``A0 B10`` at 31 with 20 min to step 3 alone: another B could come, and C 20 min after it.
    """
    answer = user_answer(told(text), rules(as_of=as_of, **given))
    assert (answer.level, answer.open) == (level, is_open)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        ("first", "green"),
        ("last", "blue"),
        ("step:2", "blue"),
        ("step:3", None),
        ("user-first", "red"),
        ("user-last", "grey"),
    ],
)
def test_breakdown_value(at: str, value: str | None) -> None:
    """Two tied entries: the one read later counts. The user's own values look past range and window."""
    events = told("A0=red A0=green B5=blue A90=grey")
    assert user_answer(events, rules(at=at, range_end=60)).value == value


def test_breakdown_at_a_tied_entry_follows_the_reading_order() -> None:
    assert user_answer(told("B0 A0=red A0=green"), rules(2)).value == "green"
    assert user_answer(told("B0 A0=red A0"), rules(2)).value is None
    assert user_answer(told("A0=red A0=green B5"), rules(2, entry="first")).value == "red"
    assert user_answer(told("A0=red B0=green"), rules(2, order="any")).value == "green"


@pytest.mark.parametrize(
    ("text", "given", "attempts"),
    [
        ("A0 B5 A10 A20 B30", {}, [[0, 5], [10, 30]]),
        ("A0 A60 A61", {}, [[0], [61]]),
        ("A0 X5 A10 B20", {"exclusions": ((1, 2),)}, [[0], [10, 20]]),
        ("A0 A10 B20", {"exclusions": ((1, 2),)}, [[0, 20]]),
        ("A0 A21 B30", {"window": None, "step_windows": {2: 20}}, [[0], [21, 30]]),
        ("A0 X5 A10 B20", {"order": "strict"}, [[0]]),
        ("A0 B5 B6 A7", {"order": "any"}, [[0, 5], [6, 7]]),
    ],
)
def test_every_entry_counts_attempts(text: str, given: dict[str, Any], attempts: list[list[int]]) -> None:
    found = user_answers(told(text, ("A", "B")), rules(2, entry="every", **given))
    assert [minutes(answer) for answer in found] == attempts


def test_an_attempt_of_a_repeated_step_uses_its_last_event_up() -> None:
    found = user_answers(told("A0 A10 A20", ("A", "A")), rules(2, entry="every"))
    assert [minutes(answer) for answer in found] == [[0, 10], [20]]


def test_a_step_1_that_excludes_ends_an_attempt_and_starts_one() -> None:
    events = told("A0 A10 B20", ("A", "B"), excluders="A")
    found = user_answers(events, rules(2, entry="every", exclusions=((1, 2),)))
    assert [minutes(answer) for answer in found] == [[0], [10, 20]]


@pytest.mark.parametrize(
    ("text", "given", "status"),
    [
        ("A0 X5", {}, "removed"),
        ("A0 X60", {}, "removed"),
        ("A0 X61", {}, "dropped"),
        ("A0 B5 C6 X7", {}, "converted"),
        ("A0 B5 X7", {}, "removed"),
        ("A0 X5 A10 X15", {}, "removed"),
        ("A0 X5 A10 X71", {}, "dropped"),
        ("A0 X5 A10 B15", {"entry": "first"}, "removed"),
        ("A0 B5 X7", {"exclusions": ((1, 2),)}, "dropped"),
        ("A0 X7", {"exclusions": ((2, 3),)}, "dropped"),
        ("A0 B5 X7 B8 C9", {"exclusions": ((2, 3),)}, "removed"),
        ("A0 X21", {"step_windows": {2: 20}}, "dropped"),
        ("B0 X5 A10 C11", {"order": "any", "as_of": 90}, "dropped"),
        ("B0 X5 A10 X11", {"order": "any"}, "removed"),
        ("B0 C1", {}, "none"),
    ],
)
def test_remove(text: str, given: dict[str, Any], status: str) -> None:
    """Dropped here is short of the last step with no window running: *as of* is 90 min unless given."""
    given = {"exclusions": ((1, 3),), "exclusion": "remove", "as_of": 90, **given}
    assert user_answer(told(text), rules(**given)).status == status


def test_hold_judges_each_value_alone() -> None:
    events = told("A0=x A1=y B5=y X6=z B7 C8=x C9=y")
    held = rules(hold=True, exclusions=((1, 3),), as_of=90)
    found = {answer.held: minutes(answer) for answer in user_answers(events, held)}
    assert found == {"x": [0], "y": [1, 5, 9], "z": []}
    strict = {answer.held: answer.level for answer in user_answers(events, replace(held, order="strict"))}
    assert strict == {"x": 1, "y": 3, "z": 0}


def test_rows_balance_and_say_who_is_open() -> None:
    events = [
        *told("A0 B10 C20", user=1),
        *told("A0 B10", user=2),
        *told("A50 B55", user=3),
        *told("A0", user=4),
        *told("C0 B0 A0", user=5),
        *told("B0", user=6),
    ]
    answer = funnel(events, rules(as_of=100))
    assert answer.rows == (Row(1, 5, 1, 0, 0), Row(2, 4, 1, 1, 0), Row(3, 2, 0, 0, 0))
    assert answer.differ_under_strict_ties == 1


def test_optional_steps_count_who_left_them_out() -> None:
    events = [*told("A0 C20", user=1), *told("A0 B5 C20", user=2), *told("A0", user=3)]
    answer = funnel(events, rules(optional=frozenset({2}), as_of=90))
    assert [(row.n, row.skipped) for row in answer.rows] == [(3, 0), (2, 1), (2, 0)]


@pytest.mark.parametrize(
    "given",
    [
        {"tolerance": 1, "ties": "strict"},
        {"tolerance": 1, "order": "strict"},
        {"order": "any", "optional": frozenset({2})},
        {"order": "any", "step_windows": {2: 5}},
        {"order": "any", "exclusions": ((1, 2),)},
        {"optional": frozenset({3})},
        {"exclusions": ((2, 2),)},
    ],
)
def test_rules_that_cannot_stand_together_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="refused"):
        user_answers(told("A0"), rules(**given))


def test_tolerance_is_refused_where_an_event_matches_two_steps() -> None:
    with pytest.raises(ValueError, match="two steps"):
        user_answers(told("A0", ("A", "A")), rules(2, tolerance=1))


def level_by_combinations(events: list[Event], options: Options) -> int:
    """The default rules once more, with nothing shared: runs of k events in reading order that fit."""
    read = reading_order(events)
    return max(
        (
            size
            for size in range(1, options.steps + 1)
            for run in itertools.combinations(read, size)
            if all(step in event.steps for step, event in enumerate(run, start=1))
            and options.in_range(run[0].ts)
            and (options.window is None or run[-1].ts - run[0].ts <= options.window)
        ),
        default=0,
    )


@pytest.mark.parametrize("window", [None, 60])
def test_random_levels_agree_with_plain_combinations(window: int | None) -> None:
    rng = random.Random(11)
    options = rules(3, window, range_start=6, range_end=70)
    levels = []
    for events in random_users(rng, options, users=300):
        answer = user_answer(events, options)
        levels.append(answer.level)
        assert answer.level == level_by_combinations(events, options)
    assert set(levels) == {0, 1, 2, 3}


def random_rules(rng: random.Random) -> Options:
    """Rules that may stand together, most of them default."""
    any_order, tolerance = rng.random() < 0.2, 0
    if not any_order and rng.random() < 0.2:
        tolerance = rng.choice((1, 6))
    whole = [(1, 3)] if any_order else [(1, 3), (1, 2), (2, 3)]
    return rules(
        3,
        rng.choice((None, 20, 60)),
        order="any"
        if any_order
        else rng.choice(("ordered", "ordered", "ordered" if tolerance else "strict")),
        entry=rng.choice(("any", "any", "first", "every")),
        ties="order" if any_order or tolerance else rng.choice(("order", "order", "strict")),
        tolerance=tolerance,
        step_windows={} if any_order else rng.choice(({}, {}, {2: 12}, {3: 6})),
        exclusions=tuple(rng.sample(whole, rng.choice((0, 0, 1)))),
        exclusion=rng.choice(("drop", "remove")),
        hold=rng.random() < 0.1,
        optional=frozenset() if any_order else rng.choice((frozenset(), frozenset(), frozenset({2}))),
        range=rng.choice(("entry", "entry", "whole")),
        range_start=rng.choice((0, 6)),
        range_end=rng.choice((30, 1000)),
    )


def test_random_rules_keep_the_books() -> None:
    """Rows add up, breakdowns are disjoint, and the order events come in changes nothing."""
    rng = random.Random(5)
    seen = set()
    for _ in range(120):
        options = random_rules(rng)
        events = [event for user in random_users(rng, options, users=6, most_events=7) for event in user]
        answer = funnel(events, options)
        seen |= {unit.status for unit in answer.answers}
        for row, after in itertools.pairwise(answer.rows):
            assert row.n == row.dropped + row.open + after.n
        assert (answer.rows[-1].dropped, answer.rows[-1].open) == (0, 0)
        parts = list(answer.rows_by_value().values())
        for step, row in enumerate(answer.rows):
            assert sum(part[step].n for part in parts) == row.n
        again = funnel(rng.sample(events, len(events)), options)
        assert sorted(again.answers, key=repr) == sorted(answer.answers, key=repr)
    assert seen == {"none", "removed", "dropped", "open", "converted"}


def test_random_counted_attempts_are_chains_of_their_rules() -> None:
    rng = random.Random(7)
    options = rules()
    for events in random_users(rng, options, users=200):
        answer = user_answer(events, options)
        read = reading_order(events)
        positions = [read.index(event) for event in answer.chain if event]
        assert positions == sorted(set(positions))
        assert all(event and step in event.steps for step, event in enumerate(answer.chain, start=1))
        assert answer.level == 0 or (answer.since_entry(answer.level) or 0) <= 60 * MINUTE
        assert user_answer(events, replace(options, entry="first")).level <= answer.level
        assert user_answer(events, replace(options, order="strict")).level <= answer.level
        assert user_answer(events, replace(options, order="any")).level >= answer.level
        assert user_answer(events, replace(options, ties="strict")).level == answer.level_if_strict_ties
