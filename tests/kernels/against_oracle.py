"""Random rules of a funnel and random people, and a fold of them held to the brute-force oracle."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np

from queries.kernels.funnel import Folded, Rule, fold
from queries.kernels.ordering import Events
from tests.oracles.funnel import Answer, Event, Options, random_users, user_answers

PEOPLE = 3
"""People a random rule is asked of."""
TICK = 60_000
VALUES = {None: -1, "red": 0, "green": 1, "blue": 2}
NAMES = {code: value for value, code in VALUES.items()}
Given = dict[str, Any]


def ranged(rng: random.Random, steps: int) -> tuple[tuple[int, int], ...]:
    spans = [(i, j) for i in range(1, steps) for j in range(i + 1, steps + 1) if (i, j) != (1, steps)]
    return tuple(rng.sample(spans, rng.choice((1, 1, 2))))


def some(rng: random.Random, steps: range) -> list[int]:
    return rng.sample(steps, rng.randint(1, len(steps)))


FEATURES: dict[str, Callable[[random.Random, int], Given]] = {
    "order strict": lambda rng, steps: {"order": "strict"},
    "order any": lambda rng, steps: {"order": "any"},
    "entry first": lambda rng, steps: {"entry": "first"},
    "entry every": lambda rng, steps: {"entry": "every"},
    "ties strict": lambda rng, steps: {"ties": "strict"},
    "tolerance": lambda rng, steps: {"tolerance": rng.choice((1, TICK, 3 * TICK))},
    "window": lambda rng, steps: {"window": rng.choice((0, 5 * TICK, 10 * TICK, 20 * TICK))},
    "step windows": lambda rng, steps: {
        "step_windows": {
            k: rng.choice((0, 0, TICK, 2 * TICK, 4 * TICK)) for k in some(rng, range(2, steps + 1))
        }
    },
    "exclusion": lambda rng, steps: {"exclusions": ((1, steps),) * rng.choice((1, 1, 2))},
    "exclusion I:J": lambda rng, steps: {"exclusions": ranged(rng, steps)},
    "remove": lambda rng, steps: {"exclusion": "remove"},
    "hold": lambda rng, steps: {"hold": True},
    "optional": lambda rng, steps: {"optional": frozenset(some(rng, range(2, steps)))},
    "range whole": lambda rng, steps: {"range": "whole"},
    "from": lambda rng, steps: {"range_start": rng.choice((TICK, 2 * TICK, 5 * TICK))},
    "to": lambda rng, steps: {"range_end": rng.randrange(3, 16) * TICK},
    "at last": lambda rng, steps: {"at": "last"},
    "at step": lambda rng, steps: {"at": f"step:{rng.randint(1, steps)}"},
    "at user-first": lambda rng, steps: {"at": "user-first"},
    "at user-last": lambda rng, steps: {"at": "user-last"},
    "as of": lambda rng, steps: {"as_of": rng.randrange(2, 27) * TICK + rng.choice((0, 0, 0, 1))},
}
"""One value of an option that is not its default; the fewest steps it needs are in :data:`FEWEST`."""
FEWEST = {"exclusion I:J": 3, "optional": 3, "exclusion": 2, "step windows": 2}
ONE_FIELD = [
    {"order strict", "order any"},
    {"entry first", "entry every"},
    {"exclusion", "exclusion I:J"},
    {"at last", "at step", "at user-first", "at user-last"},
]
REFUSED = {
    frozenset(pair)
    for pair in [
        ("order any", "ties strict"),
        ("order any", "tolerance"),
        ("order any", "step windows"),
        ("order any", "optional"),
        ("order any", "exclusion I:J"),
        ("tolerance", "ties strict"),
        ("tolerance", "order strict"),
    ]
}
PAIRS = [
    frozenset(pair)
    for pair in itertools.combinations(FEATURES, 2)
    if not any(set(pair) <= names for names in ONE_FIELD)
]


def options_with(rng: random.Random, names: frozenset[str], fewest: int = 1) -> Options:
    steps = rng.choice((1, 2, 2, 3, 3, 3, 4))
    steps = max(steps, fewest)
    steps = max([steps, *(FEWEST.get(name, 1) for name in names)])
    if "exclusion I:J" in names:
        steps = max(steps, 3)
    given: Given = {"as_of": 30 * TICK}
    for name in sorted(names):
        given |= FEATURES[name](rng, steps)
    if "remove" in names and "exclusions" not in given and steps > 1:
        given["exclusions"] = ((1, steps),)
    return Options(steps, **{"window": None, **given})


def random_names(rng: random.Random) -> frozenset[str]:
    density = rng.choice((0.1, 0.25, 0.45))
    names = {name for name in FEATURES if rng.random() < density}
    if rng.random() < 0.6:
        names.add("as of")
    for clash in ONE_FIELD:
        both = sorted(names & clash)
        names -= set(rng.sample(both, max(len(both) - 1, 0)))
    while any(pair <= names for pair in REFUSED):
        names.discard(rng.choice(sorted(names)))
    return frozenset(names)


def rule_of(options: Options) -> Rule:
    given = {field.name: getattr(options, field.name) for field in fields(Options)}
    given["entry_from"] = given.pop("range_start")
    given["entry_to"] = given.pop("range_end")
    return Rule(**given)


def as_arrays(events: list[Event]) -> Events:
    def column(values: list[int]) -> np.ndarray:
        return np.array(values, np.int64)

    return Events(
        person=column([event.user for event in events]),
        ts=column([event.ts for event in events]),
        steps=column([sum(1 << (step - 1) for step in event.steps) for event in events]),
        ties=(column([event.sequence for event in events]),),
        value=column([VALUES[event.value] for event in events]),  # type: ignore[index]
        excludes=column([sum(1 << bit for bit in event.excludes) for event in events]),
        held=column([-1 if event.held is None else int(str(event.held)) for event in events]),
    )


def told(answer: Answer, options: Options) -> tuple[object, ...]:
    """An answer as the kernel's fields have it."""
    times = [-1 if ts is None else ts for ts in answer.step_times]
    return (
        answer.user,
        answer.held if options.hold else -1,
        answer.level,
        answer.status == "open",
        times + [-1] * (options.steps - answer.level),
        sum(1 << step for step, ts in enumerate(answer.step_times) if ts is None),
        answer.value,
        -1 if answer.level_if_strict_ties is None else answer.level_if_strict_ties,
        answer.first_entry_ts,
    )


def rows(folded: Folded) -> list[tuple[object, ...]]:
    return [
        (
            int(folded.person[row]),
            int(folded.held[row]),
            int(folded.level[row]),
            bool(folded.open[row]),
            folded.reached[:, row].tolist(),
            int(folded.skipped[row]),
            NAMES[int(folded.value[row])],
            int(folded.strict_level[row]),
            int(folded.first_entry[row]),
        )
        for row in range(len(folded.person))
    ]


def people_of(rng: random.Random, options: Options, users: int = PEOPLE) -> list[list[Event]]:
    """Random people whose times lie on whole ticks or beside them, up to *as of*."""
    scaled = replace(options, window=10 * TICK)
    people = random_users(rng, scaled, users=users, most_events=rng.choice((4, 7, 9)))
    return [[event for event in person if event.ts <= (options.as_of or 0)] for person in people]


def compare(rng: random.Random, options: Options, people: list[list[Event]]) -> Counter[str]:
    """Holds a fold, over shuffled events, of some blocks and threads, to the oracle; counts what came out."""
    answers = [answer for person in people if person for answer in user_answers(person, options)]
    events = [event for person in people for event in person]
    rng.shuffle(events)
    folded = fold(
        as_arrays(events),
        rule_of(options),
        threads=2 if rng.random() < 0.02 else 1,
        block_events=rng.choice((1, 12, 1 << 17)),
    )
    expected = [told(answer, options) for answer in answers if answer.level]
    expected.sort(key=lambda row: (row[0], row[1]))
    assert rows(folded) == expected, (options, people)
    removed = sorted(answer.user for answer in answers if answer.status == "removed")
    assert folded.removed.tolist() == removed, (options, people)
    return Counter(answer.status for answer in answers)
