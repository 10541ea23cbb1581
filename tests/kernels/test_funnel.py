"""The kernel against the worked cases and against the brute-force oracle on random people."""

from __future__ import annotations

import os
import random
import tomllib
from pathlib import Path

import numpy as np
import pytest

from queries.kernels.funnel import Folded, Rule, fold, fold_packed
from queries.kernels.ordering import Events, Packing
from queries.ranges import parse_duration
from tests.oracles.funnel import Event, Options, random_users, user_answer

CASES = tomllib.loads((Path(__file__).parents[2] / "fixtures" / "funnel_cases.toml").read_text("utf-8"))[
    "case"
]
PEOPLE = int(os.environ.get("WORKBENCH_ORACLE_PEOPLE", "6000"))
"""Random people compared; raise it for a soak."""

VALUES = {None: -1, "red": 0, "green": 1, "blue": 2}


def as_arrays(events: list[Event]) -> Events:
    matching = [event for event in events if event.steps]
    columns = [
        np.array(column, np.int64)
        for column in (
            [event.user for event in matching],
            [event.ts for event in matching],
            [sum(1 << (step - 1) for step in event.steps) for event in matching],
            [event.sequence for event in matching],
            [VALUES[event.value] for event in matching],  # type: ignore[index]
        )
    ]
    return Events(columns[0], columns[1], columns[2], (columns[3],), columns[4])


def duration(value: float | str) -> int:
    return int(value * 60_000) if isinstance(value, int | float) else parse_duration(value) or 0


DEFAULT_CASES = [(case, expect) for case in CASES for expect in case["expect"] if not expect.get("options")]


@pytest.mark.parametrize(("case", "expect"), DEFAULT_CASES, ids=[case["id"] for case, _ in DEFAULT_CASES])
def test_worked_case(case: dict, expect: dict) -> None:
    events = [
        Event(0, duration(when), row, frozenset(i for i, step in enumerate(case["steps"], 1) if step == name))
        for row, (name, when) in enumerate(case["events"])
    ]
    newest = max(event.ts for event in events)
    window = None if case["window"] == "none" else duration(case["window"])
    folded = fold(as_arrays(events), Rule(len(case["steps"]), window, newest))
    assert folded.level.tolist() == [expect["level"]]
    if "seconds" in expect:
        assert (folded.reached[-1] - folded.reached[0]).tolist() == [expect["seconds"] * 1000]
    assert folded.strict_level.tolist() == [case.get("strict_level", expect["level"])]


def test_there_is_a_default_case_for_most_letters() -> None:
    assert len(DEFAULT_CASES) >= 14


def random_options(rng: random.Random) -> Options:
    window = rng.choice((None, 600_000, 3_600_000, 0))
    start = rng.choice((None, None, 120_000))
    end = rng.choice((None, None, 900_000))
    return Options(
        steps=rng.randint(1, 5),
        window=window,
        range_start=start,
        range_end=end,
        as_of=rng.choice((1_600_000, 2_500_000, 9_000_000)),
    )


def check(folded: Folded, events: list[list[Event]], options: Options) -> None:
    names = {code: value for value, code in VALUES.items()}
    got = {int(person): place for place, person in enumerate(folded.person)}
    for mine in events:
        known = [event for event in mine if options.as_of is None or event.ts <= options.as_of]
        if not known:
            continue
        answer = user_answer(known, options)
        user = mine[0].user
        if answer.level == 0:
            assert user not in got
            continue
        place = got[user]
        assert folded.level[place] == answer.level
        assert bool(folded.open[place]) == (answer.status == "open")
        times = folded.reached[: answer.level, place].tolist()
        assert times == list(answer.step_times)[: answer.level]
        assert (folded.reached[answer.level :, place] == -1).all()
        assert names[int(folded.value[place])] == answer.value
        assert folded.strict_level[place] == answer.level_if_strict_ties


@pytest.mark.parametrize("seed", range(12))
def test_kernel_equals_brute_force_whatever_blocks_threads_and_order(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        options = random_options(rng)
        people = list(random_users(rng, options, users=max(PEOPLE // 120, 1)))
        everything = [
            event
            for person in people
            for event in person
            if options.as_of is None or event.ts <= options.as_of
        ]
        rng.shuffle(everything)
        rule = Rule(options.steps, options.window, options.as_of or 0, options.range_start, options.range_end)
        folded = fold(
            as_arrays(everything), rule, threads=rng.choice((1, 2)), block_events=rng.choice((1, 7, 1 << 17))
        )
        check(folded, people, options)


@pytest.mark.parametrize("seed", range(12))
def test_packed_events_fold_to_the_same(seed: int) -> None:
    rng = random.Random(1000 + seed)
    folded_packed = 0
    for _ in range(10):
        options = random_options(rng)
        people = list(random_users(rng, options, users=20))
        one_step = [
            Event(event.user, event.ts, event.sequence, frozenset(sorted(event.steps)[:1]), value=event.value)
            for person in people
            for event in person
        ]
        # Some without any two values at one moment, so that the packed way answers.
        if rng.random() < 0.7:
            one_step = [Event(e.user, e.ts, e.sequence, e.steps, value="red") for e in one_step]
        rng.shuffle(one_step)
        rule = Rule(options.steps, options.window, options.as_of or 0, options.range_start, options.range_end)
        events = as_arrays(one_step)
        whole = fold(events, rule)
        if not len(events.ts):
            continue
        packing = Packing.fitting(20, int(events.ts.min()), int(events.ts.max()), options.steps, len(VALUES))
        assert packing is not None
        packed = packing.pack(
            events.person, events.ts, np.log2(events.steps).astype(np.int64) + 1, events.value
        )
        again = fold_packed(
            packed, packing, rule, threads=rng.choice((1, 2)), block_events=rng.choice((1, 7, 500))
        )
        if again is None:
            moments = {}
            for event in one_step:
                if 1 in event.steps:
                    moments.setdefault((event.user, event.ts), set()).add(event.value)
            assert any(len(values) > 1 for values in moments.values())
            continue
        folded_packed += 1
        for name in ("person", "level", "open", "reached", "value", "strict_level"):
            assert (getattr(again, name) == getattr(whole, name)).all(), name
        assert again.tied_events == whole.tied_events
    assert folded_packed >= 3


def test_a_packing_that_does_not_fit_is_none() -> None:
    assert Packing.fitting(1 << 27, 0, (1 << 36) - 1, 2, None) is None
    fits = Packing.fitting((1 << 20) - 1, 0, (1 << 36) - 1, 30, None)
    assert fits is not None
    assert fits.person_shift == 41


def test_times_wider_than_the_packed_key_take_the_other_sort() -> None:
    far = 1 << 60
    events = Events(
        np.array([1 << 40, 5, 1 << 40, 5], np.int64),
        np.array([far, 0, 3, 10], np.int64),
        np.array([2, 1, 1, 2], np.int64),
    )
    folded = fold(events, Rule(2, None, far))
    assert folded.person.tolist() == [5, 1 << 40]
    assert folded.level.tolist() == [2, 2]
    assert folded.reached.tolist() == [[0, 3], [10, far]]


def test_no_events_is_no_people() -> None:
    none = np.empty(0, np.int64)
    folded = fold(Events(none, none, none), Rule(3, 1000, 0))
    assert folded.person.tolist() == []
    assert folded.reached.shape == (3, 0)
