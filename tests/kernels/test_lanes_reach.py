"""How far people come, looked at where it is decided, against looking at every event; and who has equal times."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import numpy as np
import pytest

from queries.kernels.lanes_reach import Reach, reach, reach_of_all
from queries.kernels.lanes_steps import Steps
from queries.kernels.rule import Rule

BITS = 10


def steps_of(seed: int, most: int, ties: str = "none") -> Steps:
    """Random lanes, each of its own size, some empty; ``ties``: all that are shared, and some that are not."""
    rng = np.random.default_rng(seed)
    people, times = rng.integers(1, 12), int(rng.choice((20, 300, 1000)))
    lanes = [
        np.sort((rng.integers(0, people, size) << BITS) | rng.integers(0, times, size))
        for size in rng.integers(0, most, rng.integers(1, 6)) * (rng.random() > 0.1)
    ]
    every = np.concatenate(lanes)
    keys, counts = np.unique(every, return_counts=True)
    known = np.union1d(keys[counts > 1], rng.choice(keys, 3)) if len(keys) else keys
    return Steps(lanes, 0, BITS, known if ties == "some" else None)


@pytest.mark.parametrize(
    ("few", "searches"),
    [(0, 0), (0, 2000), (0, 5000), (0, 10**6), (1, 2000), (4, 10**6), (3, None), (10**9, 0)],
)
def test_people_come_as_far_wherever_one_looks(few: float, searches: int | None) -> None:
    levels: Counter[int] = Counter()
    for seed in range(250):
        events = steps_of(seed, most=(8, 40, 200)[seed % 3])
        window = (None, 3, 30, 300)[seed % 4]
        rule = Rule(len(events.keys), window, 1 << BITS, ties=("order", "strict")[seed % 2])
        entries = events.keys[0][seed % 5 // 4 :: 1 + seed % 3]
        found, _ = reach(events, rule, entries, few=few, searches=searches)
        whole = reach_of_all(events, rule, entries)
        for field in fields(Reach):
            assert np.array_equal(getattr(found, field.name), getattr(whole, field.name)), (seed, field.name)
        levels.update(whole.level.tolist())
    assert len(levels) == 5
    assert min(levels.values()) > 20


def test_equal_times_are_the_same_whether_or_not_they_are_known() -> None:
    shared = []
    for seed in range(300):
        count = Counter(np.concatenate(steps_of(seed, 60).keys).tolist())
        tied = {key: times for key, times in count.items() if times > 1}
        expected = (sum(tied.values()), sorted({key >> BITS for key in tied}))
        for ties in ("none", "some"):
            number, people = steps_of(seed, 60, ties).equal_times()
            assert (number, people.tolist()) == expected
        known = steps_of(seed, 60, "some")
        assert known.ties is not None
        shared.append(4 * len(known.ties) * len(known.keys) <= len(np.concatenate(known.keys)))
        shared[-1] &= len(tied) > 0
    assert 20 < sum(shared) < 280
