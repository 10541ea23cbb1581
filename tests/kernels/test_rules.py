"""Every rule of the funnel's kernel, and every pair that may stand together, against the brute-force oracle."""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from queries.kernels.funnel import Folded, Rule, fold, fold_packed, merge, refusals
from queries.kernels.ordering import Events, Packing
from tests.oracles.funnel import Answer, Event, Options, random_users, user_answers

SETS = int(os.environ.get("WORKBENCH_ORACLE_RULES", "2000"))
"""Random option sets compared, three people each; raise it for a soak."""
SEED = int(os.environ.get("WORKBENCH_ORACLE_SEED", "0"))
SEEDS = 8
PEOPLE = 3

TICK = 60_000
VALUES = {None: -1, "red": 0, "green": 1, "blue": 2}
NAMES = {code: value for value, code in VALUES.items()}

FIELDS = (
    "order",
    "entry",
    "ties",
    "tolerance",
    "window",
    "step_windows",
    "exclusions",
    "exclusion",
    "hold",
    "optional",
    "range",
    "range_start",
    "range_end",
    "at",
    "as_of",
)


def choices(rng: random.Random, steps: int) -> dict[str, object]:
    """One draw for each field, the default half the time."""
    later = range(2, steps + 1)
    spans = [(first, last) for first in range(1, steps) for last in range(first + 1, steps + 1)]
    some = rng.sample(spans, min(len(spans), rng.choice((1, 1, 2)))) if rng.random() < 0.6 else [(1, steps)]
    drawn: dict[str, object] = {
        "order": rng.choice(("strict", "any")),
        "entry": rng.choice(("first", "every")),
        "ties": "strict",
        "tolerance": rng.choice((1, TICK, 3 * TICK)),
        "window": rng.choice((0, 5 * TICK, 20 * TICK)),
        "step_windows": {
            step: rng.choice((0, TICK, 4 * TICK)) for step in later if rng.random() < 0.6
        },
        "exclusions": tuple(some) if spans else (),
        "exclusion": "remove",
        "hold": True,
        "optional": frozenset(step for step in range(2, steps) if rng.random() < 0.6),
        "range": "whole",
        "range_start": rng.choice((TICK, 2 * TICK, 5 * TICK)),
        "range_end": rng.choice((3 * TICK, 8 * TICK, 15 * TICK)),
        "at": rng.choice(("last", f"step:{rng.randint(1, steps)}", "user-first", "user-last")),
        "as_of": rng.choice((6 * TICK, 14 * TICK, 26 * TICK)),
    }
    return drawn


def rule_of(options: Options) -> Rule:
    assert options.as_of is not None
    return Rule(
        steps=options.steps,
        window=options.window,
        as_of=options.as_of,
        entry_from=options.range_start,
        entry_to=options.range_end,
        order=options.order,
        entry=options.entry,
        step_windows=options.step_windows,
        ties=options.ties,
        tolerance=options.tolerance,
        exclusions=options.exclusions,
        exclusion=options.exclusion,
        hold=options.hold,
        optional=options.optional,
        range=options.range,
        at=options.at,
    )


def is_refused(options: Options) -> bool:
    try:
        options.check()
    except ValueError:
        return True
    return False


def random_options(rng: random.Random, chosen: frozenset[str] | None = None) -> Options:
    """A valid option set; ``chosen`` names the fields that are not at their default."""
    while True:
        steps = rng.choice((1, 2, 2, 3, 3, 3, 4))
        drawn = choices(rng, steps)
        kept = chosen
        if kept is None:
            density = rng.choice((0.15, 0.3, 0.5))
            kept = frozenset(name for name in FIELDS if rng.random() < density)
        given = {name: value for name, value in drawn.items() if name in kept}
        if "exclusion" in kept and "exclusions" not in kept:
            given["exclusions"] = drawn["exclusions"]
        options = replace(Options(steps, None, as_of=30 * TICK), **given)  # type: ignore[arg-type]
        refused = is_refused(options)
        assert (refusals(rule_of(options)) is not None) == refused
        if not refused:
            return options


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
        held=column([-1 if event.held is None else int(event.held) for event in events]),  # type: ignore[call-overload]
    )


def told(answer: Answer, options: Options) -> tuple[object, ...]:
    """An answer as the kernel's fields have it."""
    times = [-1 if ts is None else ts for ts in answer.step_times]
    skipped = sum(1 << step for step, ts in enumerate(answer.step_times) if ts is None)
    strict = -1 if answer.level_if_strict_ties is None else answer.level_if_strict_ties
    return (
        answer.user,
        answer.held if options.hold else -1,
        answer.level,
        answer.status == "open",
        times + [-1] * (options.steps - answer.level),
        skipped,
        answer.value,
        strict,
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


def known(people: list[list[Event]], options: Options) -> list[list[Event]]:
    assert options.as_of is not None
    return [[event for event in person if event.ts <= options.as_of] for person in people]


def compare(rng: random.Random, options: Options, people: list[list[Event]]) -> Counter[str]:
    """Holds a fold, over shuffled events, of some blocks and threads, to the oracle; counts what came out."""
    people = known(people, options)
    answers = [answer for person in people if person for answer in user_answers(person, options)]
    events = [event for person in people for event in person]
    rng.shuffle(events)
    folded = fold(
        as_arrays(events),
        rule_of(options),
        threads=rng.choice((1, 1, 1, 2)),
        block_events=rng.choice((1, 12, 1 << 17)),
    )
    expected = [told(answer, options) for answer in answers if answer.level]
    expected.sort(key=lambda row: (row[0], row[1]))
    assert rows(folded) == expected, (options, people)
    removed = sorted(answer.user for answer in answers if answer.status == "removed")
    assert folded.removed.tolist() == removed, (options, people)
    return Counter(answer.status for answer in answers)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_rules_equal_brute_force(seed: int) -> None:
    rng = random.Random(1000 * SEED + seed)
    seen: Counter[str] = Counter()
    for _ in range(SETS // SEEDS):
        options = random_options(rng)
        seen += compare(rng, options, people_of(rng, options))
    assert set(seen) == {"none", "removed", "dropped", "open", "converted"}


def people_of(rng: random.Random, options: Options, users: int = PEOPLE) -> list[list[Event]]:
    scaled = replace(options, window=10 * TICK)
    return list(random_users(rng, scaled, users=users, most_events=rng.choice((4, 7, 9))))
