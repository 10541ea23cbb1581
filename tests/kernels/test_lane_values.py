"""The value of the event that does a step, against looking for it among all events."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from queries.kernels.funnel import Folded
from queries.kernels.lane_values import ValuedLane, valued_lane, with_values
from queries.kernels.lanes import Lanes, key

BASE = 1_000
TEXTS = (None, "a", "b", "a")
"""By code: one value may have two."""
CODES = {"a": 0, "b": 1}

Event = tuple[int, int, int]
"""Person, time, code."""
EVENTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, len(TEXTS) - 1)), min_size=1, max_size=20
)


def lane_of(events: list[Event], cuts: int) -> ValuedLane:
    """The events in several pieces, in any order."""
    pieces = [np.array(piece, np.int64) for piece in np.array_split(np.array(events, np.int64), cuts)]
    keys = [key(piece[:, 0], piece[:, 1] + BASE, BASE) for piece in pieces]
    return valued_lane(keys, [piece[:, 2] for piece in pieces], TEXTS)


def entries(times: dict[int, int]) -> Folded:
    """One entry a person, at a time each; −1 where the step was not reached."""
    person = np.array(sorted(times), np.int64)
    reached = np.array([[times[one] for one in person.tolist()]], np.int64)
    none = np.zeros(len(person), np.int64)
    return Folded(person, none, none > 0, reached, none, none, 0, none, none, none, none)


@given(EVENTS, st.integers(1, 3), st.data())
def test_the_value_is_that_of_the_event_and_doubt_is_named(
    events: list[Event], cuts: int, data: st.DataObject
) -> None:
    values: dict[tuple[int, int], set[int]] = defaultdict(set)
    for person, ts, code in events:
        values[person, ts].add(CODES.get(str(TEXTS[code]), -1))
    times = {person: ts + BASE for person, ts in data.draw(st.permutations(sorted(values)))}
    skipped = data.draw(st.sets(st.sampled_from(sorted(times))))
    times |= dict.fromkeys(skipped, -1)
    lanes = Lanes(BASE, {})
    folded, doubtful = with_values(entries(times), lanes, lane_of(events, cuts), 0, CODES.__getitem__)
    seen = {person: {-1} if ts < 0 else values[person, ts - BASE] for person, ts in times.items()}
    assert doubtful.tolist() == sorted(person for person, some in seen.items() if len(some) > 1)
    for person, value in zip(folded.person.tolist(), folded.value.tolist(), strict=True):
        assert value in seen[person]
