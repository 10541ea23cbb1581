"""Sessions by silence against brute force, against the SQL of the same rule, and in blocks of any size."""

from __future__ import annotations

import time
from itertools import pairwise

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.kernels import sessions as kernel
from queries.kernels.lanes import key
from queries.kernels.ordering import Ints, cut
from queries.units import SessionRule, gap_events_sql
from tests.oracles import sessions as oracle

TIME_BITS = 4
"""So few that a person's last key and the next one's first lie close."""
BASE = 1_700_000_000_000
CAMPAIGNS = ("", "a", "b")
EVENTS = st.lists(
    st.builds(oracle.Event, st.integers(0, 4), st.integers(0, 12), st.sampled_from(CAMPAIGNS)), max_size=30
).map(lambda events: sorted(events, key=lambda event: (event.person, event.ts)))
GAPS = st.integers(0, 5)


def arrays(events: list[oracle.Event]) -> tuple[Ints, Ints, Ints]:
    """Person, time and campaign code."""
    columns = [(one.person, one.ts + BASE, CAMPAIGNS.index(one.campaign) - 1) for one in events]
    person, ts, campaign = np.array(columns, np.int64).reshape(-1, 3).T
    return person, ts, campaign


@settings(max_examples=400, deadline=None)
@given(EVENTS, GAPS, st.booleans())
def test_sessions_and_spans_are_those_of_brute_force(
    events: list[oracle.Event], gap: int, by_campaign: bool
) -> None:
    person, ts, campaign = arrays(events)
    expected = oracle.sessions(events, gap, cut_on_campaign=by_campaign)
    found = kernel.sessions(person, ts, gap, campaign=campaign if by_campaign else None)
    whose = {place: number for number, one in enumerate(expected) for place in one.events}
    assert found.number.tolist() == [whose[place] for place in range(len(events))]
    assert np.flatnonzero(found.begins).tolist() == [one.events[0] for one in expected]
    spans = kernel.spans(person, ts, found)
    assert spans.person.tolist() == [one.person for one in expected]
    assert spans.first.tolist() == [events[one.events[0]].ts + BASE for one in expected]
    assert spans.last.tolist() == [events[one.events[-1]].ts + BASE for one in expected]
    assert spans.events.tolist() == [len(one.events) for one in expected]


@settings(max_examples=200, deadline=None)
@given(EVENTS, GAPS, st.integers(1, 8))
def test_blocks_of_people_and_keys_give_the_same(events: list[oracle.Event], gap: int, size: int) -> None:
    person, ts, campaign = arrays(events)
    whole = kernel.sessions(person, ts, gap, campaign=campaign)
    offset, numbers = 100, []
    for block in cut(person, size):
        part = kernel.sessions(person[block], ts[block], gap, campaign=campaign[block], offset=offset)
        offset += len(kernel.spans(person[block], ts[block], part).events)
        numbers += part.number.tolist()
    assert numbers == (whole.number + 100).tolist()
    by_gap = kernel.sessions(person, ts, gap, offset=7)
    keyed, spans = kernel.sessions_of_keys(
        key(person, ts, BASE - 1, TIME_BITS), TIME_BITS, BASE - 1, gap, offset=7
    )
    assert np.array_equal(keyed.number, by_gap.number)
    assert np.array_equal(keyed.begins, by_gap.begins)
    expected = kernel.spans(person, ts, by_gap)
    for name in ("person", "first", "last", "events"):
        assert np.array_equal(getattr(spans, name), getattr(expected, name))


@pytest.mark.parametrize("by_campaign", [False, True])
def test_the_rule_is_that_of_the_statement(by_campaign: bool) -> None:
    rng = np.random.default_rng(5)
    person = np.sort(rng.integers(0, 40, 2000))
    ts = BASE + rng.integers(0, 300, 2000)
    order = np.lexsort((ts, person))
    person, ts, campaign = person[order], ts[order], rng.integers(-1, 3, 2000)
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE base (place BIGINT, person BIGINT, ts BIGINT, campaign TEXT, source_index INTEGER)"
    )
    names = [
        None if code < 0 and place % 2 else ("", "x", "y", "z")[code + 1]
        for place, code in enumerate(campaign)
    ]
    connection.executemany(
        "INSERT INTO base VALUES (?, ?, ?, ?, 0)",
        list(zip(range(2000), person.tolist(), ts.tolist(), names, strict=True)),
    )
    rule = SessionRule(gap=6, cut_on_campaign=by_campaign)
    statement = gap_events_sql("base", rule, ["place"], "TRUE", True)
    rows = connection.execute(f"SELECT person, number FROM ({statement}) ORDER BY place").fetchall()
    numbers = {pair: number for number, pair in enumerate(sorted(set(rows)))}
    found = kernel.sessions(person, ts, 6, campaign=campaign if by_campaign else None)
    assert found.number.tolist() == [numbers[row] for row in rows]
    assert 200 < len(numbers) < 1900


def test_a_silence_of_just_the_gap_ends_nothing_and_the_first_campaign_cuts() -> None:
    person = np.zeros(6, np.int64)
    ts = np.array([0, 30, 61, 61, 62, 63], np.int64)
    campaign = np.array([-1, -1, -1, 4, -1, 4], np.int64)
    assert kernel.sessions(person, ts, 30).number.tolist() == [0, 0, 1, 1, 1, 1]
    assert kernel.sessions(person, ts, 31, campaign=campaign).number.tolist() == [0, 0, 0, 1, 1, 1]


def test_no_event_is_no_session() -> None:
    none = np.empty(0, np.int64)
    found = kernel.sessions(none, none, 5, campaign=none, offset=3)
    assert (found.number.tolist(), kernel.spans(none, none, found).events.tolist()) == ([], [])
    assert len(kernel.sessions_of_keys(none, TIME_BITS, 0, 5)[1].events) == 0


def test_one_person_of_100_000_events_is_no_slower_than_many() -> None:
    ts = np.cumsum(np.random.default_rng(1).integers(0, 100, 100_000))
    started = time.process_time()
    found = kernel.sessions(np.zeros(100_000, np.int64), ts, 90, campaign=ts % 3 - 1)
    assert time.process_time() - started < 1
    spans = kernel.spans(np.zeros(100_000, np.int64), ts, found)
    assert spans.events.sum() == 100_000
    assert all(one <= other for one, other in pairwise(spans.first.tolist()))
