"""Peers' rules: what our options make of a funnel, held to each product's documented rule by brute force.

A person is a list of ``(event, ms)``. The brute forces write every chain out and share nothing with the fold.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from queries import peers
from queries.funnel_request import DAY, FunnelRequest, request
from queries.kernels.funnel import Folded, fold
from queries.kernels.ordering import Events
from queries.question import QuestionError, Scope
from queries.ranges import format_duration, parse_duration

ROOT = Path(__file__).parents[2]
CASES = {
    case["id"]: case
    for case in tomllib.loads((ROOT / "fixtures" / "funnel_cases.toml").read_text("utf-8"))["case"]
}
PAGE = (ROOT / "docs" / "peers.md").read_text("utf-8")
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
Person = Sequence[tuple[str, int]]
Follows = Callable[[int, int, int], bool]
"""Of the times of the entry, of the step before, and of an event: whether it may do the next step."""


def funnel(steps: str = "A B C", window: int = 60 * MINUTE, **rules: object) -> FunnelRequest:
    return request(steps.split(), format_duration(window), Scope(), **rules)


def events_of(asked: FunnelRequest, people: Iterable[Person]) -> Events:
    rows = [
        (
            person,
            ts,
            sum(1 << place for place, step in enumerate(asked.steps) if name in step.events),
            sum(1 << place for place, one in enumerate(asked.exclude) if name in one.step.events),
            row,
        )
        for person, mine in enumerate(people)
        for row, (name, ts) in enumerate(mine)
    ]
    person, ts, steps, excludes, row = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    return Events(person, ts, steps, (row,), excludes=excludes)


def counted(
    asked: FunnelRequest, people: Sequence[Person], start: int | None = None, end: int | None = None
) -> Folded:
    events = events_of(asked, people)
    return fold(events, asked.rule(int(events.ts.max()), start, end))


def levels(asked: FunnelRequest, people: Sequence[Person], *range_: int | None) -> list[int]:
    """Each person's deepest step; 0 for who is in no row."""
    folded = counted(asked, people, *range_)
    found = dict(zip(folded.person.tolist(), folded.level.tolist(), strict=True))
    return [found.get(person, 0) for person in range(len(people))]


def deepest(
    asked: FunnelRequest,
    mine: Person,
    follows: Follows,
    *,
    reuse: bool = False,
    first_only: bool = False,
) -> int:
    """The longest chain from any step 1 (or the first), every one written out."""
    best = 0
    entries = sorted((ts, row) for row, (name, ts) in enumerate(mine) if name in asked.steps[0].events)
    todo = [(1, row, row, frozenset({row})) for _, row in entries[: 1 if first_only else None]]
    while todo:
        step, entry, before, used = todo.pop()
        best = max(best, step)
        if step == len(asked.steps):
            return step
        for row, (name, ts) in enumerate(mine):
            may = name in asked.steps[step].events and (reuse or row not in used)
            if may and follows(mine[entry][1], mine[before][1], ts):
                todo.append((step + 1, entry, row, used | {row}))
    return best


def in_order(window: int, early: int = 0) -> Follows:
    return lambda entry, before, ts: ts >= before - early and ts - entry <= window


def by_grain(window: int, grain: int) -> Follows:
    """Times count in whole grains; ``window`` in grains."""

    def follows(entry: int, before: int, ts: int) -> bool:
        return ts // grain >= before // grain and ts // grain - entry // grain <= window

    return follows


def random_people(
    seed: int, people: int, tick: int, span: int, names: str = "AABBCCX", most: int = 8
) -> list[Person]:
    """People with many ties and repeats; times are multiples of ``tick`` below ``span`` ticks."""
    rng = random.Random(seed)
    return [
        [(rng.choice(names), tick * rng.randrange(span)) for _ in range(rng.randint(1, most))]
        for _ in range(people)
    ]


def share_apart(one: Sequence[int], other: Sequence[int]) -> float:
    return sum(left != right for left, right in zip(one, other, strict=True)) / len(one)


# --- the request ------------------------------------------------------------------------------------------


def test_the_peers_stand_in_one_order_and_say_why_in_one_line() -> None:
    assert list(peers.PEERS) == ["clickhouse", "posthog", "mixpanel", "amplitude", "growingio"]
    for name, peer in peers.PEERS.items():
        assert peer.name == name
        for line in (peer.why, peer.not_imitated, *peer.differs.values(), *peer.instead.values()):
            assert line and line == line.strip() and "\n" not in line and len(line) <= 100


@pytest.mark.parametrize(
    ("peer", "options"),
    [
        ("clickhouse", {"range": "whole"}),
        ("posthog", {"range": "whole"}),
        ("mixpanel", {"entry": "first", "tolerance": 2 * SECOND}),
        ("amplitude", {"tolerance": 500}),
    ],
)
def test_a_peer_changes_what_decides_and_nothing_else(peer: str, options: dict[str, object]) -> None:
    asked = request(
        ["A", "B"],
        "3d",
        Scope(by="channel", where="amount > 1", since="2026-03-01"),
        at="last",
        since="first",
    )
    assert peers.under(asked, peer) == replace(asked, **options)


def test_growingio_ends_a_period_of_days_half_a_day_early() -> None:
    asked = funnel(window=7 * DAY)
    assert peers.under(asked, "growingio") == replace(asked, window=7 * DAY - 12 * HOUR, tolerance=18 * HOUR)


def test_the_tolerance_goes_where_no_fold_allows_it() -> None:
    assert peers.under(funnel("A A", 7 * DAY), "growingio").tolerance == 0
    assert peers.under(funnel("A|B B"), "mixpanel").tolerance == 0
    assert peers.under(funnel(order="strict"), "amplitude").tolerance == 0
    assert peers.under(funnel(order="any"), "mixpanel").tolerance == 0


def test_exclusions_are_each_peers_own() -> None:
    asked = funnel(exclude=("X@1:2",))
    assert peers.under(asked, "posthog").exclusion == "remove"
    assert peers.under(asked, "amplitude").exclusion == "remove"
    assert peers.under(asked, "mixpanel").exclusion == "drop"
    assert peers.under(replace(asked, exclusion="remove"), "posthog").exclusion == "remove"


def test_an_option_the_peer_offers_is_kept() -> None:
    assert peers.under(funnel(entry="every"), "mixpanel").entry == "every"
    assert peers.under(funnel(ties="strict"), "clickhouse").ties == "strict"
    assert peers.under(funnel(hold="cart"), "amplitude").hold == "cart"
    assert peers.under(funnel(optional=(2,)), "posthog").optional == (2,)
    assert peers.under(funnel(tolerance="2s"), "mixpanel").tolerance == 2 * SECOND


@pytest.mark.parametrize(
    ("peer", "rules", "message", "said"),
    [
        ("clickhouse", {"hold": "cart"}, "ClickHouse windowFunnel has no --hold", "--as"),
        ("clickhouse", {"order": "strict"}, "ClickHouse windowFunnel has no --order strict", "repeat"),
        ("clickhouse", {"exclude": ("X",)}, "ClickHouse windowFunnel has no --exclude", "exclusions"),
        ("clickhouse", {"entry": "first"}, "ClickHouse windowFunnel has no --entry first", "--as"),
        ("posthog", {"step_window": ("2=1h",)}, "PostHog funnel has no --step-window", "--as"),
        ("mixpanel", {"hold": "cart"}, "Mixpanel funnel, uniques has no --hold", "first entry"),
        ("mixpanel", {"order": "strict"}, "Mixpanel funnel, uniques has no --order strict", "any order"),
        ("mixpanel", {"tolerance": "5s"}, "Mixpanel funnel, uniques has no --tolerance 5s", "--as"),
        ("mixpanel", {"range": "whole"}, "Mixpanel funnel, uniques has no --range whole", "--as"),
        ("amplitude", {"optional": (2,)}, "Amplitude funnel, uniques has no --optional", "two funnels"),
        ("growingio", {"ties": "strict"}, "GrowingIO 漏斗分析 has no --ties strict", "--as"),
        ("posthog", {"mature": True}, "PostHog funnel has no --mature", "--as"),
    ],
)
def test_an_option_the_peer_lacks_is_refused_by_name(
    peer: str, rules: dict[str, object], message: str, said: str
) -> None:
    with pytest.raises(QuestionError) as refused:
        peers.under(funnel(window=DAY, **rules), peer)
    assert refused.value.message == message
    assert said in (refused.value.hint or "")


def test_mixpanel_refuses_who_is_excluded_being_left_out() -> None:
    with pytest.raises(QuestionError, match="Mixpanel funnel, uniques has no --exclusion remove"):
        peers.under(funnel(exclude=("X",), exclusion="remove"), "mixpanel")


@pytest.mark.parametrize(
    ("peer", "window", "message"),
    [
        ("growingio", 90 * MINUTE, "counts its window in whole days"),
        ("growingio", 0, "counts its window in whole days"),
        ("growingio", 91 * DAY, "no window longer than 90d"),
        ("mixpanel", 367 * DAY, "no window longer than 366d"),
        ("amplitude", 1_500, "counts its window in whole seconds"),
    ],
)
def test_a_window_the_peer_cannot_have_is_refused(peer: str, window: int, message: str) -> None:
    with pytest.raises(QuestionError, match=message):
        peers.under(funnel(window=window), peer)


@pytest.mark.parametrize("peer", list(peers.PEERS))
def test_every_peer_has_a_window(peer: str) -> None:
    with pytest.raises(QuestionError, match="always has a window"):
        peers.under(replace(funnel(), window=None), peer)


def test_an_unknown_peer_is_named_with_the_nearest() -> None:
    with pytest.raises(QuestionError) as refused:
        peers.under(funnel(), "mixpannel")
    assert refused.value.message == "--as mixpannel"
    assert "mixpanel" in (refused.value.hint or "")


def test_all_peers_side_by_side_say_which_cannot() -> None:
    asked = peers.under_every(funnel(exclude=("X",)))
    assert list(asked) == list(peers.PEERS)
    refused = {name: one.message for name, one in asked.items() if isinstance(one, QuestionError)}
    assert refused == {
        "clickhouse": "ClickHouse windowFunnel has no --exclude",
        "growingio": "GrowingIO 漏斗分析 has no --exclude",
    }
    assert asked["mixpanel"] == peers.under(funnel(exclude=("X",)), "mixpanel")


def test_what_is_approximated_is_said_where_it_matters() -> None:
    assert peers.approximated(funnel(), "clickhouse") is None
    assert peers.approximated(funnel(), "posthog") is None
    assert peers.approximated(funnel(), "mixpanel") is None
    assert "one event does one step here" in str(peers.approximated(funnel("A A"), "clickhouse"))
    assert "half a second" in str(peers.approximated(funnel(), "amplitude"))
    assert "18 h" in str(peers.approximated(funnel(window=DAY), "growingio"))
    assert "repeat" in str(peers.approximated(funnel(order="strict"), "posthog"))
    assert peers.described(funnel(), "posthog") == (
        "PostHog funnel: a range cuts off the later steps too; who is excluded leaves the funnel"
    )
    assert peers.described(funnel("A A"), "clickhouse").endswith(
        ". Approximated: one event does one step here, so some come further there"
    )


# --- ClickHouse -------------------------------------------------------------------------------------------


def window_funnel(asked: FunnelRequest, people: Sequence[Person], mode: str = "") -> list[int]:
    """What ClickHouse itself answers."""
    chdb = pytest.importorskip("chdb")
    rows = ",".join(f"({who},'{name}',{ts})" for who, mine in enumerate(people) for name, ts in mine)
    steps = ", ".join(
        "event IN (" + ", ".join(f"'{name}'" for name in step.events) + ")" for step in asked.steps
    )
    parameters = f"{asked.window}{mode and f', {mode!r}'}"
    sql = (
        f"SELECT windowFunnel({parameters})(ts, {steps}) "
        f"FROM values('person UInt32, event String, ts UInt64', {rows}) GROUP BY person ORDER BY person"
    )
    return [int(line) for line in str(chdb.query(sql, "TSV")).split()]


def test_clickhouse_is_exact_where_no_event_matches_two_steps() -> None:
    people = random_people(1, 1_500, 5 * MINUTE, 30)
    asked = funnel("A B C")
    ours = levels(peers.under(asked, "clickhouse"), people)
    assert ours == [deepest(asked, mine, in_order(60 * MINUTE), reuse=True) for mine in people]
    assert Counter(ours).keys() == {0, 1, 2, 3}
    assert ours == window_funnel(asked, people)


def test_clickhouse_lets_one_event_do_two_steps_and_strict_once_does_not() -> None:
    people = random_people(2, 1_500, 5 * MINUTE, 30)
    asked = funnel("A|B B|C C")
    ours = levels(peers.under(asked, "clickhouse"), people)
    theirs = [deepest(asked, mine, in_order(60 * MINUTE), reuse=True) for mine in people]
    assert all(mine <= other for mine, other in zip(ours, theirs, strict=True))
    assert 0.35 < share_apart(ours, theirs) < 0.4
    assert theirs == window_funnel(asked, people)
    apart = [[(name, ts + row) for row, (name, ts) in enumerate(mine)] for mine in people]
    assert levels(asked, apart) == window_funnel(asked, apart, "strict_once")


def test_clickhouse_cuts_later_steps_off_at_the_ranges_end() -> None:
    people = random_people(3, 500, 5 * MINUTE, 30)
    asked, start, end = funnel(), 20 * MINUTE, 90 * MINUTE
    inside = [[event for event in mine if start <= event[1] < end] for mine in people]
    theirs = [deepest(asked, mine, in_order(60 * MINUTE), reuse=True) for mine in inside]
    assert levels(peers.under(asked, "clickhouse"), people, start, end) == theirs
    assert levels(asked, people, start, end) != theirs


def test_clickhouse_strict_increase_hides_chains_only_where_times_tie() -> None:
    people = random_people(4, 1_500, 5 * MINUTE, 30)
    asked = funnel(ties="strict")
    ours = levels(peers.under(asked, "clickhouse"), people)
    theirs = window_funnel(asked, people, "strict_increase")
    assert all(mine >= other for mine, other in zip(ours, theirs, strict=True))
    assert 0 < share_apart(ours, theirs) < 0.05
    apart = [[(name, ts + row) for row, (name, ts) in enumerate(mine)] for mine in people]
    assert levels(asked, apart) == window_funnel(asked, apart, "strict_increase")


# --- PostHog ----------------------------------------------------------------------------------------------


def test_posthog_is_exact_in_order_and_in_any_order() -> None:
    people = random_people(5, 1_000, 5 * MINUTE, 30)
    asked = funnel()
    assert levels(peers.under(asked, "posthog"), people) == [
        deepest(asked, mine, in_order(60 * MINUTE)) for mine in people
    ]
    wanted = {"A", "B", "C"}
    assert levels(peers.under(funnel(order="any"), "posthog"), people) == [
        max(len(wanted & {name for name, ts in mine if 0 <= ts - start <= 60 * MINUTE}) for _, start in mine)
        for mine in people
    ]


def posthog_strict(asked: FunnelRequest, mine: Person, *, repeats: bool) -> int:
    """The next event does the next step, or (``repeats``) the step just done again."""
    ordered = sorted(mine, key=lambda event: event[1])
    best = 0
    for start, (name, entry) in enumerate(ordered):
        step = 1 if name in asked.steps[0].events else 0
        for name, ts in ordered[start + 1 :] if step else ():
            if step < len(asked.steps) and name in asked.steps[step].events and ts - entry <= 60 * MINUTE:
                step += 1
            elif not (repeats and name in asked.steps[step - 1].events):
                break
        best = max(best, step)
    return best


def test_posthog_strict_order_differs_by_repeats_alone() -> None:
    people = [
        [(name, 7 * MINUTE * row) for row, (name, _) in enumerate(mine)]
        for mine in random_people(6, 1_500, 1, 9, "AABBCCCX")
    ]
    asked = funnel(order="strict")
    ours = levels(peers.under(asked, "posthog"), people)
    assert ours == [posthog_strict(asked, mine, repeats=False) for mine in people]
    theirs = [posthog_strict(asked, mine, repeats=True) for mine in people]
    assert all(mine <= other for mine, other in zip(ours, theirs, strict=True))
    assert 0 < share_apart(ours, theirs) < 0.15


# --- Mixpanel ---------------------------------------------------------------------------------------------


def test_mixpanel_uniques_are_exact_without_exclusions() -> None:
    people = random_people(7, 1_500, SECOND, 70, most=7)
    asked = funnel(window=MINUTE)
    theirs = [deepest(asked, mine, in_order(MINUTE, 2 * SECOND), first_only=True) for mine in people]
    assert levels(peers.under(asked, "mixpanel"), people) == theirs
    assert share_apart(levels(asked, people), theirs) > 0.02


def attempts(asked: FunnelRequest, mine: Person, window: int) -> list[int]:
    """A user enters again after converting, running out of time, or meeting the exclusion X."""
    done: list[int] = []
    step, entry = 0, 0
    for name, ts in sorted(mine, key=lambda event: event[1]):
        if step and (ts - entry > window or name == "X"):
            done.append(step)
            step = 0
        if not step and name == "A":
            step, entry = 1, ts
        elif step and name in asked.steps[step].events:
            step += 1
        if step == len(asked.steps):
            done.append(step)
            step = 0
    return sorted(done + ([step] if step else []))


def test_mixpanel_totals_are_every_attempt() -> None:
    people = [
        [(name, ts + 3 * SECOND * row) for row, (name, ts) in enumerate(mine)]
        for mine in random_people(8, 1_000, 5 * MINUTE, 40)
    ]
    asked = funnel(entry="every", exclude=("X",))
    folded = counted(peers.under(asked, "mixpanel"), people)
    ours: dict[int, list[int]] = {person: [] for person in range(len(people))}
    for person, level in zip(folded.person.tolist(), folded.level.tolist(), strict=True):
        ours[person].append(level)
    assert [sorted(mine) for mine in ours.values()] == [attempts(asked, mine, 60 * MINUTE) for mine in people]


def test_mixpanel_takes_each_steps_first_event_beside_an_exclusion() -> None:
    redeemed: Person = [
        ("A", 0),
        ("B", 10 * MINUTE),
        ("X", 12 * MINUTE),
        ("B", 14 * MINUTE),
        ("C", 20 * MINUTE),
    ]
    asked = funnel(exclude=("X@2:3",))
    assert levels(peers.under(asked, "mixpanel"), [redeemed]) == [3]
    assert "first event" in str(peers.approximated(asked, "mixpanel"))


# --- Amplitude --------------------------------------------------------------------------------------------


def test_amplitude_is_exact_where_times_are_whole_seconds() -> None:
    people = random_people(9, 1_500, SECOND, 70, most=7)
    asked = funnel(window=MINUTE)
    assert levels(peers.under(asked, "amplitude"), people) == [
        deepest(asked, mine, by_grain(60, SECOND)) for mine in people
    ]


def test_amplitude_between_seconds_is_near() -> None:
    people = random_people(10, 1_500, 100, 100, most=7)
    asked = funnel(window=MINUTE)
    theirs = [deepest(asked, mine, by_grain(60, SECOND)) for mine in people]
    ours = levels(peers.under(asked, "amplitude"), people)
    assert 0 < share_apart(ours, theirs) < 0.02 < share_apart(levels(asked, people), theirs)


def test_amplitude_exact_order_is_ours() -> None:
    people = [
        [(name, 7 * MINUTE * row) for row, (name, _) in enumerate(mine)]
        for mine in random_people(11, 1_000, 1, 9, "AABBCCCX")
    ]
    asked = funnel(order="strict")
    assert levels(peers.under(asked, "amplitude"), people) == [
        posthog_strict(asked, mine, repeats=False) for mine in people
    ]


# --- GrowingIO --------------------------------------------------------------------------------------------


def shoppers(seed: int, people: int, earliest: float) -> list[Person]:
    """People active on one to three days of twenty, from an hour of the day on, most in the evening."""
    rng = random.Random(seed)
    made: list[Person] = []
    for _ in range(people):
        days = [rng.randrange(20) for _ in range(rng.randint(1, 3))]
        made.append(
            [
                (rng.choice("ABC"), int(rng.choice(days) * DAY + rng.triangular(earliest, 24, 20) * HOUR))
                for _ in range(rng.randint(1, 7))
            ]
        )
    return made


@pytest.mark.parametrize(
    ("days", "earliest", "most"), [(1, 8, 0.004), (7, 8, 0.004), (1, 0, 0.03), (7, 0, 0.03)]
)
def test_growingio_is_near(days: int, earliest: float, most: float) -> None:
    people = shoppers(12, 4_000, earliest)
    asked = funnel(window=days * DAY)
    theirs = [deepest(asked, mine, by_grain(days - 1, DAY)) for mine in people]
    assert share_apart(levels(peers.under(asked, "growingio"), people), theirs) < most
    assert 0.2 < share_apart(levels(asked, people), theirs) < 0.26


def test_growingio_counts_days_and_not_hours() -> None:
    late: Person = [("A", 23 * HOUR), ("B", DAY + HOUR)]
    reverse: Person = [("B", 9 * HOUR), ("A", 20 * HOUR)]
    day_before: Person = [("B", 9 * HOUR), ("A", DAY + 20 * HOUR)]
    asked = peers.under(funnel("A B", DAY), "growingio")
    assert levels(asked, [reverse, day_before]) == [2, 1]
    # The two hours over midnight are two days there; here they pass, which is the approximation.
    assert levels(asked, [late]) == [2]
    assert deepest(asked, late, by_grain(0, DAY)) == 1


# --- the table of docs/peers.md ---------------------------------------------------------------------------

ROWS = re.findall(r"^\| (L\w+)(?: ([\w ]+))? \| (.+) \|$", PAGE, re.M)


def case_events(case: dict) -> Person:
    return [
        (name, int(when * MINUTE) if isinstance(when, int | float) else parse_duration(when) or 0)
        for name, when in case["events"]
    ]


def case_funnel(case: dict, options: str, peer: str | None) -> FunnelRequest:
    wanted = {"strict": {"order": "strict"}, "without X": {"exclude": ("X",)}, "": {}}[options]
    window = DAY if peer == "growingio" else parse_duration(case["window"]) or 0
    return funnel(" ".join(case["steps"]), window, **wanted)


def cell(case: dict, options: str, peer: str | None) -> str:
    """Ours without a peer; the imitated level, and in brackets the peer's own where it is another."""
    asked, mine = case_funnel(case, options, peer), case_events(case)
    if peer is None:
        return str(levels(asked, [mine])[0])
    try:
        imitated = levels(peers.under(asked, peer), [mine])[0]
    except QuestionError:
        return "n/a"
    theirs = imitated
    if peer == "clickhouse":
        theirs = deepest(asked, mine, in_order(asked.window or 0), reuse=True)
    elif peer == "posthog" and options == "strict":
        theirs = posthog_strict(asked, mine, repeats=True)
    elif peer == "amplitude" and not options:
        theirs = deepest(asked, mine, by_grain(3600, SECOND))
    elif peer == "growingio":
        theirs = deepest(asked, mine, by_grain(0, DAY))
    return str(imitated) if theirs == imitated else f"{imitated} ({theirs})"


@pytest.mark.parametrize(("case", "options", "cells"), ROWS, ids=[" ".join(row[:2]).strip() for row in ROWS])
def test_the_reference_cases_under_every_peer(case: str, options: str, cells: str) -> None:
    found = [text.strip() for text in cells.split("|")][1:]
    assert found == [cell(CASES[case], options, peer) for peer in (None, *peers.PEERS)]


def test_the_table_has_every_reference_case() -> None:
    assert {row[0] for row in ROWS} == set(CASES)


def test_the_page_says_each_peers_lines() -> None:
    flat = " ".join(PAGE.split())
    for peer in peers.PEERS.values():
        assert peer.title in flat
        for line in (peer.why, *peer.differs.values()):
            assert line in flat, line
