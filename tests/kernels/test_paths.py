"""Paths against brute force under every rule, in blocks of any size; their totals, and the people behind them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.kernels import paths as kernel
from queries.kernels.ordering import Ints, cut
from queries.kernels.paths import ANCHOR, END, PathRule, Paths, Tally, behind, follow, merge
from tests.oracles import paths as oracle

CODES = st.integers(-1, 4)
EVENTS = st.lists(
    st.builds(oracle.Event, st.integers(0, 2), st.integers(0, 12), CODES, st.integers(-1, 1)), max_size=40
).map(lambda events: sorted(events, key=lambda event: (event.person, event.ts)))
OPTIONS = st.builds(
    oracle.Options,
    anchors=st.frozensets(st.integers(0, 5), max_size=3),
    steps=st.integers(1, 4),
    look=st.sampled_from(("after", "before")),
    which=st.sampled_from(("first", "every", "last")),
    window=st.none() | st.integers(0, 5),
    collapse=st.booleans(),
    kept=st.none() | st.frozensets(st.integers(0, 5), max_size=4),
    others=st.sampled_from(("other", "skip")),
)


def rule_of(options: oracle.Options) -> PathRule:
    return PathRule(**asdict(options))


def arrays(events: list[oracle.Event]) -> tuple[Ints, Ints, Ints, Ints]:
    columns = [(one.person, one.ts, one.code, one.session) for one in events]
    person, ts, code, session = np.array(columns, np.int64).reshape(-1, 4).T
    return person, ts, code, session


def same(one: Paths | Tally, other: Paths | Tally) -> bool:
    for field in fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        equal = same(mine, theirs) if isinstance(mine, Tally) else np.array_equal(mine, theirs)
        if not equal:
            return False
    return True


def rows_of(tally: Tally) -> list[tuple[tuple[int, ...], tuple[int, int]]]:
    return [
        ((step, *codes), (occurrences, people))
        for step, codes, occurrences, people in zip(
            tally.step.tolist(),
            tally.codes.tolist(),
            tally.occurrences.tolist(),
            tally.people.tolist(),
            strict=True,
        )
    ]


def ordered(found: dict[object, tuple[int, int]]) -> list[tuple[object, tuple[int, int]]]:
    return sorted(found.items(), key=lambda row: (row[0][0], -row[1][0], row[0]))  # type: ignore[index]


@settings(max_examples=1200, deadline=None)
@given(EVENTS, OPTIONS, st.booleans())
def test_every_rule_equals_brute_force(
    events: list[oracle.Event], options: oracle.Options, in_sessions: bool
) -> None:
    if not in_sessions:
        events = [oracle.Event(one.person, one.ts, one.code, 0) for one in events]
    person, ts, code, session = arrays(events)
    found = follow(person, ts, code, rule_of(options), session=session if in_sessions else None, offset=10)
    expected = oracle.followed(events, options)
    assert [tuple(row) for row in found.codes[found.path].tolist()] == [one.path for one in expected]
    assert found.person.tolist() == [one.person for one in expected]
    assert found.place.tolist() == [one.place + 10 for one in expected]
    counted = oracle.counted([(one.path, one.person) for one in expected])
    paths = zip(
        map(tuple, found.codes.tolist()), found.occurrences.tolist(), found.people.tolist(), strict=True
    )
    assert list(paths) == sorted(
        ((path, *counts) for path, counts in counted.items()),
        key=lambda row: (-row[1], row[0]),
    )
    assert rows_of(found.nodes) == ordered(oracle.nodes(expected))
    assert rows_of(found.edges) == ordered(oracle.edges(expected))


@settings(max_examples=300, deadline=None)
@given(EVENTS, OPTIONS, st.booleans(), st.integers(1, 12))
def test_blocks_of_people_merge_to_the_whole(
    events: list[oracle.Event], options: oracle.Options, in_sessions: bool, size: int
) -> None:
    person, ts, code, session = arrays(events)
    rule = rule_of(options)
    sessions = session if in_sessions else None
    whole = follow(person, ts, code, rule, session=sessions)
    parts = [
        follow(
            person[block],
            ts[block],
            code[block],
            rule,
            session=None if sessions is None else sessions[block],
            offset=block.start,
        )
        for block in cut(person, size)
    ]
    assert same(merge(parts, rule.steps), whole)
    half = len(parts) // 2
    halves = [merge(parts[:half], rule.steps), merge(parts[half:], rule.steps)]
    assert same(merge(halves, rule.steps), whole)


def crowd(events: int, people: int, codes: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Person, time, code and session of many events, some codes far more frequent than others."""
    rng = np.random.default_rng(3)
    person = np.sort(rng.integers(0, people, events))
    ts = np.sort(rng.integers(0, 1000, events))
    ts = ts[np.lexsort((ts, person))]
    code = (codes * rng.random(events) ** 3).astype(np.int64)
    return person, ts, code, person * 4 + ts // 250


def test_totals_reconcile_and_every_cell_has_its_people() -> None:
    person, ts, code, session = crowd(6000, 150, 9)
    rule = PathRule(frozenset({1, 2}), 3, collapse=True, kept=frozenset({0, 3, 4}), window=90)
    found = follow(person, ts, code, rule, session=session)
    occurrences = len(found.person)
    assert found.occurrences.sum() == occurrences > 500
    assert rows_of(found.nodes)[0] == ((0, ANCHOR), (occurrences, len(np.unique(found.person))))
    out: Counter[tuple[int, int]] = Counter()
    into: Counter[tuple[int, int]] = Counter()
    for (step, source, target), (count, people) in rows_of(found.edges):
        out[step, source] += count
        into[step + 1, target] += count
        cell = (*[None] * (step - 1), source, target) if step else (target,)
        whose, places = behind(found, cell)
        assert (len(places), len(set(whose.tolist()))) == (count, people)
        assert set(code[places].tolist()) <= rule.anchors
    ended = 0
    for step in range(rule.steps + 1):
        at = {codes[0]: counts for (where, *codes), counts in rows_of(found.nodes) if where == step}
        ended += into[step, END]
        assert sum(count for count, _ in at.values()) + ended == occurrences
        for one, (count, people) in at.items():
            assert step == rule.steps or out[step, one] == count
            if step:
                assert into[step, one] == count
                whose, places = behind(found, (*[None] * (step - 1), one))
                assert (len(places), len(set(whose.tolist()))) == (count, people)
    order = list(zip((-found.occurrences).tolist(), found.codes.tolist(), strict=True))
    assert order == sorted(order)
    for path, count, people in zip(found.codes, found.occurrences, found.people, strict=True):
        whose, places = behind(found, path.tolist())
        assert (len(places), len(np.unique(whose))) == (count, people)


def test_codes_too_wide_for_one_key_are_ranked_all_the_same() -> None:
    person, ts, code, session = crowd(3000, 40, 6)
    rule = PathRule(frozenset({1}), 8)
    narrow = follow(person, ts, code, rule, session=session)
    for wide in (np.array([0, 1, 1 << 20, 1 << 40, 1 << 61, (1 << 63) - 1]), np.arange(6) * 100_003 + 1):
        moved = follow(person, ts, wide[code], PathRule(frozenset({int(wide[1])}), 8), session=session)
        assert np.array_equal(moved.codes, np.where(narrow.codes >= 0, wide[narrow.codes], narrow.codes))
        for name in ("occurrences", "people", "person", "place", "path"):
            assert np.array_equal(getattr(moved, name), getattr(narrow, name))


def test_a_repeated_page_is_one_visit_and_its_window_runs_from_where_it_is_left() -> None:
    """A at 0, 50 and 100, B at 105, C at 170; A again long after."""
    ts = np.array([0, 50, 100, 105, 170, 900], np.int64)
    code, person = np.array([0, 0, 0, 1, 2, 0], np.int64), np.zeros(6, np.int64)

    def told(window: int = 60, **rule: object) -> list[tuple[int, list[int]]]:
        found = follow(person, ts, code, PathRule(frozenset({0}), 2, window=window, **rule))  # type: ignore[arg-type]
        return list(zip(found.place.tolist(), found.codes[found.path].tolist(), strict=True))

    assert told() == [(0, [0, END]), (1, [0, 1]), (2, [1, END]), (5, [END, END])]
    assert told(collapse=True) == [(2, [1, END]), (5, [END, END])]
    assert told(collapse=True, window=50) == [(2, [1, END]), (5, [END, END])]
    assert told(collapse=True, window=49) == [
        (0, [END, END]),
        (1, [END, END]),
        (2, [1, END]),
        (5, [END, END]),
    ]
    assert told(collapse=True, which="last") == [(5, [END, END])]
    back = follow(person, ts, code, PathRule(frozenset({1}), 2, look="before", window=60, collapse=True))
    assert back.codes.tolist() == [[0, END]]


def test_sessions_that_overlap_are_read_apart_and_events_in_none_are_passed_over() -> None:
    person = np.zeros(6, np.int64)
    code = np.array([0, 0, 1, 9, 2, 3], np.int64)
    session = np.array([1, 0, 0, -1, 1, 0], np.int64)
    found = follow(person, np.arange(6), code, PathRule(frozenset({0}), 2), session=session)
    assert found.place.tolist() == [1, 0]
    assert found.codes[found.path].tolist() == [[1, 3], [2, END]]


def test_nobody_has_no_path() -> None:
    none = np.empty(0, np.int64)
    found = follow(none, none, none, PathRule(frozenset({1}), 3, collapse=True), session=none)
    assert found.codes.shape == (0, 3)
    assert found.edges.codes.shape == (0, 2)
    assert same(merge([], 3), found)
    assert same(merge([found, found], 3), found)
    unanchored = follow(*crowd(100, 5, 4)[:3], PathRule(frozenset(), 3))
    assert same(unanchored, found)


def test_what_cannot_be_is_refused() -> None:
    none = np.empty(0, np.int64)
    with pytest.raises(ValueError, match="one step or more"):
        follow(none, none, none, PathRule(frozenset({1}), 0))
    with pytest.raises(ValueError, match="2 steps"):
        behind(merge([], 2), (1, 2, 3))


@pytest.mark.parametrize("look", ["after", "before"])
def test_one_person_of_100_000_events_is_no_slower_than_many(look: str) -> None:
    rng = np.random.default_rng(1)
    ts, code = np.cumsum(rng.integers(0, 9, 100_000)), rng.integers(0, 20, 100_000)
    rule = PathRule(frozenset(range(10)), 3, look=look, window=500, collapse=True)  # type: ignore[arg-type]
    started = time.process_time()
    found = follow(np.zeros(100_000, np.int64), ts, code, rule)
    assert time.process_time() - started < 1
    assert found.occurrences.sum() > 40_000
    assert set(found.people.tolist()) == {1}


def test_the_constants_are_those_of_the_oracle() -> None:
    assert (kernel.END, kernel.OTHER, kernel.ANCHOR) == (oracle.END, oracle.OTHER, oracle.ANCHOR)
