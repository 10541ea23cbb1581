"""The times of a funnel's steps against sorting every one of them."""

from __future__ import annotations

import numpy as np
import pytest

from queries.funnel import request
from queries.funnel_groups import Cohort
from queries.funnel_times import times_of_steps, times_to_convert
from queries.kernels.funnel import Folded
from queries.question import Scope
from queries.statistics import quantile_seconds

STEPS = ("a", "b", "c", "d")


def cohort_of(seed: int, *, since: str, optional: bool) -> Cohort:
    """Random attempts: in order, or with steps left out where that is allowed."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 40))
    level = rng.integers(1, 5, count)
    times = 100 + np.cumsum(rng.integers(0, int(rng.choice((3, 5000))), (4, count)), axis=0)
    reached = np.where(np.arange(1, 5)[:, None] <= level, times, -1)
    if optional:
        left_out = (rng.random(count) < 0.4) & (level > 2)
        reached[1, left_out] = -1
    none = np.zeros(count, np.int64)
    first = reached[0] - rng.integers(0, 50, count)
    folded = Folded(np.arange(count), level, none > 0, reached, none, level, 0, none, first, none, none[:0])
    asked = request(STEPS, "7d", Scope(), since=since, optional=(2,) if optional else ())
    return Cohort(None, asked, folded, np.arange(count))


@pytest.mark.parametrize("since", ["entry", "first"])
@pytest.mark.parametrize("optional", [False, True])
def test_quantiles_equal_those_of_all_times_in_order(since: str, optional: bool) -> None:
    for seed in range(60):
        cohort = cohort_of(seed, since=since, optional=optional)
        folded = cohort.folded
        some = np.flatnonzero(folded.person % 3 > 0)
        for rows, chosen in ((slice(None), folded.person), (some, some)):
            found = list(times_of_steps(cohort, rows))
            assert set(found[0].values()) == {None}
            for step in range(1, 4):
                done = [row for row in chosen.tolist() if folded.reached[step, row] >= 0]
                start = folded.reached[0] if since == "entry" else folded.first_entry
                entry = sorted(int(folded.reached[step, row] - start[row]) for row in done)
                previous = sorted(
                    int(folded.reached[step, row] - folded.reached[:step, row].max()) for row in done
                )
                assert list(found[step].values()) == [
                    *(quantile_seconds(entry, *part) for part in ((1, 2), (1, 4), (3, 4), (9, 10))),
                    quantile_seconds(previous, 1, 2),
                ]
            converted = chosen[folded.level[chosen] == 4]
            start = folded.reached[0] if since == "entry" else folded.first_entry
            assert times_to_convert(cohort, converted).tolist() == sorted(
                (folded.reached[3] - start)[converted].tolist()
            )
