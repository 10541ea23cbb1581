"""Every rule of the funnel's kernel, and every pair that may stand together, against the brute-force oracle."""

from __future__ import annotations

import itertools
import os
import random
import re
import tomllib
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from queries.kernels import ways
from queries.kernels.funnel import Folded, Rule, fold, fold_packed, merge, refusals
from queries.kernels.ordering import Events, Packing
from queries.ranges import parse_duration
from tests.kernels.against_oracle import (
    FEATURES,
    PAIRS,
    REFUSED,
    TICK,
    VALUES,
    Given,
    as_arrays,
    compare,
    options_with,
    people_of,
    random_names,
    rule_of,
)
from tests.oracles.funnel import Event, Options

SETS = int(os.environ.get("WORKBENCH_ORACLE_RULES", "3600"))
"""Random option sets compared, three people each; raise it for a soak, with another seed. A soak says on
standard output what it compared (``pytest -s``)."""
SEED = int(os.environ.get("WORKBENCH_ORACLE_SEED", "0"))
SEEDS = 8
CASES = tomllib.loads((Path(__file__).parents[2] / "fixtures" / "funnel_cases.toml").read_text("utf-8"))[
    "case"
]


def test_pairs_are_refused_as_written_and_no_others() -> None:
    rng = random.Random(3)
    for pair in PAIRS:
        for _ in range(5):
            why = refusals(rule_of(options_with(rng, pair)))
            assert (why is not None) == (pair in REFUSED), (pair, why)
    assert len(PAIRS) - len(REFUSED) == 194


@pytest.mark.parametrize("name", FEATURES)
def test_every_pair_of_rules_equals_brute_force(name: str) -> None:
    rng = random.Random(f"{SEED} {name}")
    pairs = [pair for pair in PAIRS if name in pair and pair not in REFUSED]
    for pair in [frozenset((name,)), *pairs]:
        for _ in range(max(1, SETS // 1200)):
            options = options_with(rng, pair)
            compare(rng, options, people_of(rng, options))


CLOSE = [
    ("tolerance", "optional", "window"),
    ("tolerance", "step windows", "window"),
    ("tolerance", "exclusion I:J", "optional"),
    ("optional", "exclusion I:J", "window"),
    ("optional", "step windows", "window"),
    ("optional", "ties strict", "window", "as of"),
    ("step windows", "ties strict", "as of"),
    ("range whole", "to", "ties strict", "as of"),
    ("range whole", "to", "as of"),
    ("order strict", "optional"),
    ("tolerance", "exclusion", "remove"),
    ("tolerance", "exclusion I:J", "entry every"),
    ("tolerance", "optional", "entry every", "window"),
]
"""Rules that bear on each other where few random people come."""


@pytest.mark.parametrize("names", CLOSE, ids=" + ".join)
def test_rules_that_bear_on_each_other_equal_brute_force(names: tuple[str, ...]) -> None:
    rng = random.Random(f"close {SEED} {names}")
    for _ in range(SETS // 40):
        options = options_with(rng, frozenset(names), fewest=rng.choice((3, 4, 5)))
        compare(rng, options, people_of(rng, options))


def person(text: str, names: str = "ABCDE") -> list[Event]:
    """``"A0 C10 BD10 Xx5"``: capitals are steps, small letters exclusions, the number is the tick."""
    events = []
    for row, word in enumerate(text.split()):
        letters, when = re.fullmatch(r"([A-Za-z]+)(\d+)", word).groups()  # type: ignore[union-attr]
        steps = frozenset(names.index(letter) + 1 for letter in letters if letter in names)
        excludes = frozenset("xyz".index(letter) for letter in letters if letter in "xyz")
        events.append(Event(0, int(when) * TICK, row, steps, excludes, value="red"))
    return events


@pytest.mark.parametrize(
    ("text", "given", "times", "is_open"),
    [
        # C12 is past the window though D9 may still come after it.
        (
            "A0 C12 D9",
            {"steps": 4, "window": 10, "tolerance": 3, "optional": frozenset({2, 3})},
            [0, -1, -1, 9],
            False,
        ),
        # In strict order B and D share an event; A to B would pass over C.
        (
            "A0 C1 BD2 E3",
            {"steps": 5, "window": None, "order": "strict", "optional": frozenset({2, 3, 4})},
            [0, -1, 1, 2, 3],
            False,
        ),
        # The C at 7 has the later entry, that at 9 has it not: X forbids what stands at A.
        (
            "A0 B5 A6 C7 x8 C9 D16",
            {"steps": 4, "window": 10, "optional": frozenset({2}), "exclusions": ((1, 2),)},
            [6, -1, 7, 16],
            False,
        ),
        # What is to come must be a millisecond later than an event at as of, and may then be too late.
        ("A0 B30", {"steps": 3, "window": 30, "ties": "strict"}, [0, 30, -1], False),
        ("A0 B29", {"steps": 3, "window": 30, "ties": "strict"}, [0, 29, -1], True),
        ("A0 B29 B30", {"steps": 3, "window": 30, "ties": "strict"}, [0, 29, -1], True),
        ("A0", {"steps": 3, "window": 30, "ties": "strict"}, [0, -1, -1], True),
        (
            "A0 B29",
            {"steps": 4, "window": 30, "ties": "strict", "optional": frozenset({3})},
            [0, 29, -1, -1],
            True,
        ),
        (
            "A29 B0",
            {"steps": 3, "window": None, "ties": "strict", "step_windows": {3: 0}},
            [29, -1, -1],
            True,
        ),
        # Another B may come with a C at once; where times must increase, none can.
        ("A29 B29", {"steps": 3, "window": None, "step_windows": {3: 0}}, [29, 29, -1], True),
        # The later entry may go on to C at once, leaving B out.
        (
            "A0 B1 A25",
            {"steps": 3, "window": 5, "ties": "strict", "optional": frozenset({2})},
            [0, 1, -1],
            True,
        ),
        (
            "A0 B29 A30",
            {"steps": 3, "window": None, "ties": "strict", "step_windows": {3: 0}},
            [0, 29, -1],
            False,
        ),
        ("A29", {"steps": 2, "window": None, "range": "whole", "range_end": 30}, [29, -1], False),
        ("A29", {"steps": 2, "window": None, "range": "whole", "range_end": 31}, [29, -1], True),
    ],
)
def test_told_cases(text: str, given: Given, times: list[int], is_open: bool) -> None:
    """Ticks; *as of* is tick 30. The expected answers are worked out by hand, and brute force agrees."""
    scaled: Given = {"as_of": 30 * TICK, **given}
    for name in ("window", "tolerance", "range_end"):
        if scaled.get(name) is not None:
            scaled[name] *= TICK
    if "step_windows" in scaled:
        scaled["step_windows"] = {step: limit * TICK for step, limit in scaled["step_windows"].items()}
    options = Options(**scaled)
    compare(random.Random(1), options, [person(text)])
    folded = fold(as_arrays(person(text)), rule_of(options))
    assert folded.reached[:, 0].tolist() == [time if time < 0 else time * TICK for time in times]
    assert folded.open.tolist() == [is_open]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_rules_equal_brute_force(seed: int) -> None:
    rng = random.Random(1000 * SEED + seed)
    seen: Counter[str] = Counter()
    pairs: Counter[frozenset[str]] = Counter()
    people = 0
    for _ in range(SETS // SEEDS):
        names = random_names(rng)
        options = options_with(rng, names)
        users = people_of(rng, options)
        people += sum(map(bool, users))
        seen += compare(rng, options, users)
        pairs.update(frozenset(pair) for pair in itertools.combinations(sorted(names), 2))
    assert set(seen) == {"none", "removed", "dropped", "open", "converted"}
    fewest = min(pairs[pair] for pair in PAIRS if pair not in REFUSED)
    print(
        f"{SETS // SEEDS} option sets, {people} people, {dict(seen)}, {len(pairs)} pairs, each {fewest} times"
    )


def duration(value: float | str) -> int:
    return int(value * TICK) if isinstance(value, int | float) else parse_duration(value) or 0


@pytest.mark.parametrize(
    ("case", "expect"),
    [
        pytest.param(case, expect, id=f"{case['id']}-{number}")
        for case in CASES
        for number, expect in enumerate(case["expect"])
    ],
)
def test_worked_case(case: Given, expect: Given) -> None:
    given = expect.get("options", {})
    excluded = given.get("exclude", [])
    window = given.get("window", case["window"])
    rule = Rule(
        steps=len(case["steps"]),
        window=None if window == "none" else duration(window),
        as_of=max(duration(when) for _, when in case["events"]),
        order=given.get("order", "ordered"),
        entry=given.get("entry", "any"),
        ties=given.get("ties", "order"),
        tolerance=duration(given.get("tolerance", 0)),
        step_windows={int(step): duration(limit) for step, limit in given.get("step_windows", {}).items()},
        exclusions=tuple((1, len(case["steps"])) for _ in excluded),
        exclusion=given.get("exclusion", "drop"),
    )
    events = [
        Event(
            user=0,
            ts=duration(when),
            sequence=row,
            steps=frozenset(k for k, step in enumerate(case["steps"], 1) if step == name),
            excludes=frozenset(bit for bit, excluder in enumerate(excluded) if excluder == name),
        )
        for row, (name, when) in enumerate(case["events"])
    ]
    folded = fold(as_arrays(events), rule)
    removed = expect.get("removed", False)
    assert folded.level.tolist() == ([] if removed else [expect["level"]])
    assert folded.removed.tolist() == ([0] if removed else [])
    if "seconds" in expect:
        seconds = np.maximum(folded.reached[-1] - folded.reached[0], 0)
        assert seconds.tolist() == [expect["seconds"] * 1000]


@pytest.mark.parametrize("name", FEATURES)
def test_blocks_threads_order_and_merging_change_nothing(name: str) -> None:
    rng = random.Random(f"same {name}")
    options = options_with(rng, frozenset((name, "exclusion") if name == "remove" else (name,)))
    people = people_of(rng, options, users=60)
    rule = rule_of(options)
    events = [event for person in people for event in person]
    whole = fold(as_arrays(events), rule)
    assert len(whole.person) > 10
    rng.shuffle(events)
    halves = [fold(as_arrays([event for event in events if event.user % 2 == half]), rule) for half in (1, 0)]
    for again in (
        fold(as_arrays(events), rule, threads=2, block_events=50),
        fold(as_arrays(events), rule, block_events=1),
        merge(halves, rule.steps),
    ):
        for field in fields(Folded):
            assert np.array_equal(getattr(again, field.name), getattr(whole, field.name)), field.name


@pytest.mark.parametrize("seed", range(6))
def test_packed_events_fold_to_the_same_under_every_rule_they_hold(seed: int) -> None:
    rng = random.Random(f"packed {seed}")
    packed_ways = 0
    for _ in range(40):
        options = options_with(rng, random_names(rng))
        rule = rule_of(options)
        events = [
            Event(event.user, event.ts, event.sequence, frozenset(sorted(event.steps)[:1]), value=event.value)
            for person in people_of(rng, options, users=6)
            for event in person
            if event.steps
        ]
        moments = {(event.user, event.ts, event.steps): event for event in events}
        arrays = as_arrays(list(moments.values()))
        if not len(arrays.ts):
            continue
        first, last = int(arrays.ts.min()), int(arrays.ts.max())
        every = rule.reads_every_value
        packing = Packing.fitting(6, first, last, rule.steps, len(VALUES), every_value=every)
        assert packing is not None
        step = np.log2(arrays.steps).astype(np.int64) + 1
        again = fold_packed(packing.pack(arrays.person, arrays.ts, step, arrays.value), packing, rule)
        if not rule.packable:
            assert again is None
            continue
        whole = fold(arrays, rule)
        assert again is not None
        packed_ways += 1
        for field in fields(Folded):
            assert np.array_equal(getattr(again, field.name), getattr(whole, field.name)), field.name
    assert packed_ways > 5


@pytest.mark.parametrize("given", [{"at": "last"}, {"order": "any"}])
def test_packed_events_without_the_values_of_later_steps_are_not_read_there(given: Given) -> None:
    packing = Packing.fitting(1, 0, 10, 2, 3)
    assert packing is not None
    one = np.zeros(1, np.int64)
    assert fold_packed(packing.pack(one, one, one + 1, one), packing, Rule(2, None, 10, **given)) is None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"steps": 0}, "a funnel has 1 to 62 steps"),
        ({"window": -1}, "a window or tolerance cannot be negative"),
        ({"step_windows": {2: -1}}, "a window or tolerance cannot be negative"),
        ({"step_windows": {1: 5}}, "a step window belongs to step 2 or a later one"),
        ({"step_windows": {4: 5}}, "a step window belongs to step 2 or a later one"),
        ({"optional": frozenset({1})}, "the first and the last step cannot be optional"),
        ({"optional": frozenset({3})}, "the first and the last step cannot be optional"),
        ({"exclusions": ((2, 2),)}, "an exclusion reaches from a step to a later one"),
        ({"exclusions": ((1, 4),)}, "an exclusion reaches from a step to a later one"),
        ({"exclusions": ((1, 2),) * 63}, "at most 62 exclusions can be asked at once"),
        ({"at": "step:4"}, "there is no step:4 to read the breakdown at"),
        ({"at": "entry"}, "there is no entry to read the breakdown at"),
        ({"order": "any", "tolerance": 1}, "a tolerance cannot be asked of steps in any order"),
        (
            {"order": "any", "optional": frozenset({2})},
            "optional steps cannot be asked of steps in any order",
        ),
        ({"order": "strict", "tolerance": 1}, "a tolerance cannot stand beside strict order"),
        ({"ties": "strict", "tolerance": 1}, "a tolerance cannot stand beside strictly increasing times"),
    ],
)
def test_a_rule_that_cannot_be_asked_says_why(given: Given, why: str) -> None:
    rule = Rule(**{"steps": 3, "window": None, "as_of": 0, **given})
    assert refusals(rule) == why
    none = np.empty(0, np.int64)
    with pytest.raises(ValueError, match=why[:20]):
        fold(Events(none, none, none), rule)


def test_tolerance_is_refused_where_an_event_matches_two_steps() -> None:
    rule = Rule(2, None, 10, tolerance=1)
    assert refusals(rule) is None
    assert (
        refusals(rule, shared_events=True)
        == "a tolerance cannot stand beside an event that matches two steps"
    )
    zero = np.zeros(1, np.int64)
    with pytest.raises(ValueError, match="two steps"):
        fold(Events(zero, zero, zero + 3), rule)


@pytest.mark.parametrize("hold", [False, True])
def test_events_of_no_step_alone_are_nobody(hold: bool) -> None:
    rule = Rule(3, 5, 10, tolerance=1, optional=frozenset({2}), hold=hold)
    zero = np.zeros(4, np.int64)
    folded = fold(Events(zero, zero, zero, held=zero - 1), rule)
    assert (folded.person.tolist(), folded.reached.shape, folded.tied_events) == ([], (3, 0), 0)


def test_events_of_no_step_tie_with_nothing() -> None:
    zero = np.zeros(3, np.int64)
    steps = np.array([0, 1, 0])
    assert fold(Events(zero, zero, steps), Rule(2, None, 0)).tied_events == 0


def test_times_too_far_apart_for_one_key_are_searched_person_by_person() -> None:
    far = 1 << 60
    person = np.array([0, 0, 0, 1, 1, 1], np.int64)
    ts = np.array([0, 5, far, -far, 3, 4], np.int64)
    steps = np.array([2, 1, 4, 1, 4, 2], np.int64)
    folded = fold(Events(person, ts, steps), Rule(3, None, far, tolerance=5))
    assert folded.reached.T.tolist() == [[5, 0, far], [-far, 4, 3]]
    attempts = fold(Events(person, ts, steps), Rule(3, 9, far, tolerance=5, entry="every"))
    assert attempts.level.tolist() == [2, 1]


def longer_people(rng: random.Random, steps: int, exclusions: int, shared: bool) -> Events:
    """People with up to 60 events, past what can be written out, many at equal times."""
    parts = []
    for person in range(12):
        count = rng.randint(1, 60)
        span = rng.choice((10, 60, 300))
        for sequence in range(count):
            matched = rng.sample(range(steps), min(steps, rng.choice((0, 1, 1, 1, 1, 2 if shared else 1))))
            parts.append(
                (
                    person,
                    TICK // 10 * rng.randrange(span),
                    sum(1 << bit for bit in matched),
                    sequence,
                    rng.randint(-1, 2),
                    sum(1 << bit for bit in range(exclusions) if rng.random() < 0.05),
                    rng.choice((-1, 0, 0, 0, 1)),
                )
            )
    person, ts, bits, sequence, value, excludes, held = np.array(parts, np.int64).T
    return Events(person, ts, bits, (sequence,), value, excludes, held)


@pytest.mark.parametrize("seed", range(6))
def test_every_way_gives_the_same_for_longer_people(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block at once and event by event, each held to brute force on short people, agree on long ones."""
    rng = random.Random(f"long {SEED} {seed}")
    for _ in range(max(1, SETS // 160)):
        options = options_with(rng, random_names(rng))
        rule = rule_of(options)
        everything = longer_people(rng, rule.steps, len(rule.exclusions), shared=not rule.tolerance)
        past = everything.ts <= rule.as_of
        events = replace(everything.at(past), ties=tuple(column[past] for column in everything.ties))
        whole = fold(events, rule)
        with monkeypatch.context() as patch:
            patch.setattr(ways, "is_vectorised", lambda rule: False)
            patch.setattr(ways, "is_in_rounds", lambda rule: False)
            patch.setattr(ways, "is_plain", lambda block: np.zeros(block.units, bool))
            one_by_one = fold(events, rule)
        for field in fields(Folded):
            assert np.array_equal(getattr(one_by_one, field.name), getattr(whole, field.name)), (
                rule,
                field.name,
            )


def test_an_attempt_lasts_until_the_last_of_its_events_is_read() -> None:
    """The step read last is B, though C is the last step: the A between them starts nothing."""
    options = Options(3, None, as_of=30 * TICK, entry="every", tolerance=3 * TICK, exclusions=((1, 2),))
    events = person("A0 C2 A3 B4 x9")
    compare(random.Random(1), options, [events])
    folded = fold(as_arrays(events), rule_of(options))
    assert (folded.reached // TICK).T.tolist() == [[0, 4, 2]]
