"""Explaining a funnel: every claim about a person and a cell is held to the brute-force oracle."""

from __future__ import annotations

import random
import shlex
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from queries.explain import ExplainRequest, answer, from_dict
from queries.explain_misses import Ground, misses
from queries.explain_person import Told, effects
from queries.explain_reasons import REASONS
from queries.funnel import answer as funnel_answer
from queries.funnel_request import Exclusion, FunnelRequest
from queries.kernels.explain import EFFECTS
from queries.question import Result
from queries.ranges import Range, iso, parse_duration, zone
from queries.saved import request_of as request_of_report
from queries.steps import Step
from tests.driver import Command, Ran
from tests.in_process import in_process
from tests.kernels.against_oracle import as_arrays, options_with, people_of, random_names
from tests.oracles.funnel import Answer, Event, Options, random_users, user_answers
from tests.queries.test_funnel_rules import START, asked, name_of, random_options, write
from workbench.dataset import Dataset, opened
from workbench.demo import SMALLEST, write_demo
from workbench.runner import Task
from workbench.schemas import load

UTC = zone("UTC")
SEEDS = range(6)


def deepest(events: list[Event], options: Options) -> tuple[int, str, list[Answer]]:
    """Level and status of the deepest of what counts of a person, and all of it."""
    answers = list(user_answers(events, options)) if events else []
    counted = [one for one in answers if one.level]
    if not counted:
        return 0, "removed" if any(one.status == "removed" for one in answers) else "none", []
    level = max(one.level for one in counted)
    statuses = {one.status for one in counted if one.level == level}
    return level, next(one for one in ("converted", "open", "dropped") if one in statuses), counted


def changed(options: Options, miss: dict[str, object]) -> Options | None:
    """The options with what a miss says changed; None where it takes an exclusion out of the events too."""
    change, value = miss["change"], str(miss["value"])
    if change in ("ties", "exclusion", "entry", "range", "order"):
        return replace(options, **{str(change): value})  # type: ignore[arg-type]
    if change in ("window", "tolerance"):
        return replace(options, **{str(change): parse_duration(value)})  # type: ignore[arg-type]
    if change == "step-window":
        step, _, span = value.partition("=")
        return replace(options, step_windows={**options.step_windows, int(step): parse_duration(span) or 0})
    if change == "hold":
        return replace(options, hold=False)
    if change == "from-to":
        return replace(options, range_start=None, range_end=None)
    assert change == "exclude"
    return replace(options, exclusions=(), exclusion="drop")


def a_bit_less(options: Options, miss: dict[str, object]) -> Options | None:
    """The options a millisecond short of a miss that is a duration."""
    made = changed(options, miss)
    assert made is not None
    if miss["change"] == "window":
        return replace(made, window=(made.window or 0) - 1)
    if miss["change"] == "tolerance":
        return replace(made, tolerance=made.tolerance - 1)
    if miss["change"] == "step-window":
        step = int(str(miss["value"]).partition("=")[0])
        return replace(made, step_windows={**made.step_windows, step: made.step_windows[step] - 1})
    return None


def without_exclusions(events: list[Event]) -> list[Event]:
    return [replace(event, excludes=frozenset()) for event in events]


def asked_in(folder: Path, rng: random.Random) -> tuple[Options, list[list[Event]], FunnelRequest, Dataset]:
    """Random rules and people, written; times up to *as of*."""
    options = random_options(rng)
    options = replace(options, exclusions=options.exclusions[:1])
    people = list(random_users(rng, options, users=10))
    events = [event for mine in people for event in mine]
    write(folder, events)
    request = asked(options, sorted({name_of(event) for event in events}), folder, None)
    known = [[event for event in mine if event.ts <= (options.as_of or 0)] for mine in people]
    return options, known, request, opened(request.scope, Task())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_person_is_told_as_the_oracle_counts_them_and_misses_are_true(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for number in range(4):
        options, people, request, dataset = asked_in(tmp_path / str(number), rng)
        for user, events in enumerate(people):
            if not events:
                continue
            found = answer(ExplainRequest(funnel=request, user=f"u{user}"), dataset)
            check_person(found, events, options)


def check_person(found: Result, events: list[Event], options: Options) -> None:
    level, status, counted = deepest(events, options)
    totals = found.totals
    context = (options, events)
    assert (totals["level"], totals["status"]) == (level, status), context
    attempts = totals["attempts"]
    assert isinstance(attempts, list)
    told = Counter((one["level"], one["status"], tuple(one["times"])) for one in attempts)
    wanted = Counter(
        (
            one.level,
            one.status,
            tuple(None if ts is None else iso(START + ts, UTC) for ts in one.step_times)
            + (None,) * (options.steps - one.level),
        )
        for one in counted
    )
    assert told == wanted, context
    if not any(one.status == "removed" for one in user_answers(events, options)):
        assert max(map(step_of, found.rows), default=0) == level, (context, found.rows)
    for row in found.rows:
        limit = row["limit_seconds"]
        if row["effect"] == "after-window":
            assert float(str(row["since_entry_seconds"])) > float(str(limit)), context
        if row["effect"] == "after-step-window":
            assert float(str(row["since_previous_seconds"])) > float(str(limit)), context
        assert row["effect"] != "blocked" or options.exclusions, (context, row)
        assert (row["effect"], row["step"]) != ("no-entry", 1), (context, row)
    misses = totals["near_misses"]
    assert isinstance(misses, list)
    assert totals["nearest_miss"] == (misses[0] if misses else None)
    for miss in misses:
        other = changed(options, miss)
        assert other is not None
        mine = without_exclusions(events) if miss["change"] == "exclude" else events
        assert deepest(mine, other)[:2] == (miss["level"], miss["status"]), (context, miss)
        assert int(miss["level"]) > level
        less = a_bit_less(options, miss)
        if less is not None:
            assert deepest(mine, less)[0] <= level, (context, miss)


# --- every option, without files ---------------------------------------------------------------------------


def request_of(options: Options) -> FunnelRequest:
    """The request of some options over steps ``s1`` … and exclusions ``x0`` …, its range aside."""
    return FunnelRequest(
        steps=tuple(Step((f"s{step}",)) for step in range(1, options.steps + 1)),
        window=options.window,
        step_windows=options.step_windows,
        order=options.order,
        entry=options.entry,
        ties=options.ties,
        tolerance=options.tolerance,
        exclude=tuple(
            Exclusion(Step((f"x{bit}",)), first, last) for bit, (first, last) in enumerate(options.exclusions)
        ),
        exclusion=options.exclusion if options.exclusions else "drop",
        hold="held" if options.hold else None,
        optional=tuple(sorted(options.optional)),
        range=options.range,
    )


def one_exclusion_less(
    events: list[Event], options: Options, miss: dict[str, object]
) -> tuple[list[Event], Options]:
    """Events and options without the exclusion that a miss names, or without any."""
    if miss["value"] is None:
        return without_exclusions(events), replace(options, exclusions=(), exclusion="drop")
    bit = int(str(miss["value"])[1:].partition("@")[0])
    left = tuple(span for place, span in enumerate(options.exclusions) if place != bit)
    mine = [
        replace(event, excludes=frozenset(one - (one > bit) for one in event.excludes if one != bit))
        for event in events
    ]
    return mine, replace(options, exclusions=left, exclusion=options.exclusion if left else "drop")


@pytest.mark.parametrize("seed", range(120))
def test_under_every_option_the_trace_and_the_misses_are_the_oracles(seed: int) -> None:
    rng = random.Random(seed)
    options = options_with(rng, random_names(rng))
    request = request_of(options)
    ground = Ground(
        options.as_of or 0,
        Range(options.range_start, options.range_end),
        lambda units: np.ones(len(units), bool),
    )
    for events in people_of(rng, options):
        if not events:
            continue
        level = deepest(events, options)[0]
        told = Told.of(as_arrays(events), dict.fromkeys(("event", "held", "session"), [None] * len(events)))
        folded = ground.folded(request, told.events)
        rows = effects(request, ground, told, folded, UTC)
        assert not any((row["effect"], row["step"]) == ("no-entry", 1) for row in rows), (options, events)
        if not len(folded.removed):
            assert max((step_of(row) for row in rows), default=0) == level, (options, events)
        found = [miss.to_dict() for miss in misses(request, told.events, ground)]
        for miss in found:
            mine, other = events, options
            if miss["change"] == "exclude":
                mine, other = one_exclusion_less(events, options, miss)
            else:
                made = changed(options, miss)
                assert made is not None
                other = made
            assert deepest(mine, other)[:2] == (miss["level"], miss["status"]), (options, events, miss)
            less = None if miss["change"] == "exclude" else a_bit_less(options, miss)
            assert less is None or deepest(mine, less)[0] <= level, (options, events, miss)
        said = {(miss["change"], miss["value"]) for miss in found}
        for change, value, other in switched(options):
            further = deepest(events, other)[0] > level
            assert ((change, value) in said) == further, (options, events, change)
        free = replace(options, window=None)
        if options.window is not None and deepest(events, free)[0] > level and options.entry != "every":
            assert "window" in {miss["change"] for miss in found}, (options, events)


def switched(options: Options) -> list[tuple[str, str | None, Options]]:
    """The changes that are one way or another, where the oracle does not refuse them."""
    possible = [
        (options.ties == "strict", "ties", "order", replace(options, ties="order")),
        (options.exclusion == "remove", "exclusion", "drop", replace(options, exclusion="drop")),
        (options.entry != "any", "entry", "any", replace(options, entry="any")),
        (options.range == "whole", "range", "entry", replace(options, range="entry")),
        (options.hold, "hold", None, replace(options, hold=False)),
        (options.order == "strict", "order", "ordered", replace(options, order="ordered")),
        (options.order != "any", "order", "any", replace(options, order="any")),
    ]
    found = []
    for given, change, value, other in possible:
        try:
            other.check()
        except ValueError:
            continue
        if given:
            found.append((change, value, other))
    return found


def step_of(row: Mapping[str, object]) -> int:
    return {"enters": 1, "reaches": int(str(row["step"] or 0))}.get(str(row["effect"]), 0)


# --- cells ------------------------------------------------------------------------------------------------


def relaxations(options: Options) -> list[tuple[str, Options]]:
    """The reasons' rules said once more, in their order; any order is asked apart."""
    plain = options.order == "ordered" and options.ties == "order"
    found = [
        (bool(options.exclusions), "excluded", replace(options, exclusions=(), exclusion="drop")),
        (options.ties == "strict", "equal-times", replace(options, ties="order")),
        (plain and options.tolerance < 5000, "moments-before", replace(options, tolerance=5000)),
        (options.order == "strict", "other-between", replace(options, order="ordered")),
        (bool(options.step_windows), "after-step-window", replace(options, step_windows={})),
        (options.window is not None, "after-window", replace(options, window=None)),
        (options.hold, "other-value", replace(options, hold=False)),
        (options.entry != "any", "later-entry", replace(options, entry="any")),
        (options.range == "whole", "outside-range", replace(options, range="entry")),
        (
            (options.range_start, options.range_end) != (None, None),
            "outside-range",
            replace(options, range_start=None, range_end=None),
        ),
    ]
    return [(reason, other) for given, reason, other in found if given]


def reason_of(events: list[Event], options: Options, level: int, *, shares: bool) -> str:
    """Why a person stands at a level, by the oracle."""

    def past(other: Options, mine: list[Event] = events) -> int:
        return sum(one.level > level for one in user_answers(mine, other))

    now = past(options)
    following = [*options.next_steps(level)]
    later = [event.ts for event in events if event.steps & set(following)]
    if options.order != "any" and not later:
        return "never"
    for reason, other in relaxations(options):
        if reason == "moments-before" and shares:
            continue
        if past(other, without_exclusions(events) if reason == "excluded" else events) > now:
            return reason
    if options.order != "any":
        wanted = [step for step in range(1, max(following) + 1) if step not in options.optional]
        renumbered = [
            replace(event, steps=frozenset(wanted.index(step) + 1 for step in event.steps if step in wanted))
            for event in events
        ]
        anyhow = replace(
            options, steps=len(wanted), order="any", entry="any", ties="order", tolerance=0, step_windows={},
            optional=frozenset(), exclusion="drop", exclusions=((1, len(wanted)),) * len(options.exclusions),
            at="first",
        )  # fmt: skip
        if not now and any(one.level == len(wanted) for one in user_answers(renumbered, anyhow)):
            return "other-order"
    if now:
        return "elsewhere"
    if options.order == "any":
        freely = Options(steps=options.steps, window=None, order="any", as_of=options.as_of)
        return "several" if past(freely, without_exclusions(events)) else "never"
    stopped = max(one.step_times[-1] or 0 for one in user_answers(events, options) if one.level == level)
    return "only-before" if max(later) < stopped else "several"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cells_reasons_are_the_oracles_and_add_up(tmp_path: Path, seed: int) -> None:
    rng = random.Random(1000 + seed)
    for number in range(3):
        _, people, request, dataset = given = asked_in(tmp_path / str(number), rng)
        options = given[0]
        counted = funnel_answer(request, dataset)
        assert counted.people is not None
        for measure in ("dropped", "open"):
            for level in (1, 2):
                cell = f"{measure}:{level}"
                found = answer(ExplainRequest(funnel=request, cell=cell), dataset)
                assert found.people is not None
                mine = [name for name, _ in dataset.ids_of(counted.people.codes(cell))]
                wanted = {
                    name: reason_of(people[int(name[1:])], options, level, shares=request.shares_events)
                    for name in mine
                }
                rows = {row["name"]: row["users"] for row in found.rows if row["kind"] == "reason"}
                assert rows == Counter(wanted.values()), (options, level, people)
                assert sum(int(str(users)) for users in rows.values()) == len(mine) == found.totals["users"]
                for reason in rows:
                    door = [name for name, _ in dataset.ids_of(found.people.codes(f"reason:{reason}"))]
                    assert sorted(door) == sorted(name for name, why in wanted.items() if why == reason)


# --- by hand ----------------------------------------------------------------------------------------------

SHOP = """ts,event,user_id,anonymous_id
2026-03-01T10:00:00Z,view,u1,d1
2026-03-01T10:02:00Z,cart,u1,d1
2026-03-01T10:30:00Z,help,u1,d1
2026-03-01T11:00:00.001Z,paid,u1,d1
2026-03-01T12:00:00Z,view,u2,d2
2026-03-01T12:01:00Z,view,u2,d2
2026-03-01T12:01:30Z,paid,u2,d2
2026-03-01T12:02:00Z,cart,u2,d2
2026-03-01T13:00:00Z,view,u3,tablet
2026-03-01T13:01:00Z,cart,u3,tablet
2026-03-01T13:02:00Z,help,u3,tablet
2026-03-01T13:03:00Z,paid,u3,tablet
2026-03-01T14:00:00Z,view,u4,tablet
2026-03-01T14:00:01Z,paid,u4,tablet
2026-03-01T14:00:04Z,cart,u4,tablet
2026-03-01T15:00:00Z,view,u5,
2026-03-01T15:00:01Z,cart,u5,
2026-03-01T15:00:02Z,logout,u5,
2026-03-09T00:00:00Z,view,u9,
"""
ASK = ("--step", "view", "--step", "cart", "--step", "paid", "--window", "1h")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "e.csv").write_text(SHOP)
    (tmp_path / "workbench.toml").write_text(
        'schema = 1\n[[source]]\nname = "e"\npath = "data"\n[source.map]\nts = "ts"\nevent = "event"\n'
        'user_id = "user_id"\nanonymous_id = "anonymous_id"\n'
    )
    return tmp_path


@pytest.fixture
def explain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path
) -> Command:
    run = in_process(tmp_path / "home", monkeypatch, capsys)
    return lambda *arguments: run("explain", "funnel", *ASK, *arguments, cwd=shop)


def validated(ran: Ran) -> dict[str, Any]:
    found = ran.json
    Draft202012Validator(load("explain")).validate(found)
    return found


def test_each_event_says_what_it_did_and_the_window_missed_is_exact(explain: Command) -> None:
    found = validated(explain("u1", "--json"))
    assert [(row["event"], row["effect"], row["reason"]) for row in found["rows"]] == [
        ("view", "enters", "step 1: an entry"),
        ("cart", "reaches", "step 2, 2m after step 1"),
        ("paid", "after-window", "step 3 ignored: 1h1ms after step 1, limit 1h"),
    ]
    late = found["rows"][2]
    assert (late["limit_seconds"], late["since_entry_seconds"], late["since_previous_seconds"]) == (
        3600.0,
        3600.001,
        3480.001,
    )
    assert found["totals"]["nearest_miss"] == {
        "change": "window",
        "option": "--window",
        "value": "1h1ms",
        "level": 3,
        "status": "converted",
    }
    assert (found["totals"]["level"], found["totals"]["status"], found["totals"]["open"]) == (
        2,
        "dropped",
        False,
    )
    texts = [note["text"] for note in found["notes"] if note["code"] in ("standing", "nearest-miss")]
    assert texts == [
        "stands at step 2 of 3, cart: dropped",
        "with --window 1h1ms they would be converted",
    ]


def test_nothing_counts_after_the_last_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path
) -> None:
    run = in_process(tmp_path / "home", monkeypatch, capsys)
    two = ("--step", "view", "--step", "paid")
    found = run("explain", "funnel", *two, "u2", "--json", cwd=shop).json
    assert [row["effect"] for row in found["rows"]] == ["enters", "enters", "reaches"]
    assert found["totals"]["attempt"]["seconds_from_entry"] == [0.0, 30.0]
    assert (found["totals"]["status"], found["totals"]["near_misses"]) == ("converted", [])
    again = run("explain", "funnel", "--step", "view", "u2", "--json", cwd=shop).json
    assert [row["effect"] for row in again["rows"]] == ["enters", "done"]
    every = run("explain", "funnel", "--step", "view", "--entry", "every", "u2", "--json", cwd=shop).json
    assert [row["reason"] for row in every["rows"]] == ["step 1: an entry", "step 1: a new attempt"]
    assert len(every["totals"]["attempts"]) == 2


def test_a_saved_explanation_is_asked_again(explain: Command, shop: Path) -> None:
    first = explain("--users", "dropped:2", "--save", "why", "--json").json
    saved = tomllib.loads((shop / "reports" / "why.toml").read_text("utf-8"))
    assert (saved["report"], saved["request"]["cell"]) == ("explain", "dropped:2")
    assert request_of_report("explain", saved["request"]).to_dict() == first["request"]


def test_order_tolerance_exclusion_and_repeats_are_told(explain: Command) -> None:
    found = explain("u2", "--json").json
    assert [(row["effect"], row["reason"]) for row in found["rows"]] == [
        ("enters", "step 1: an entry"),
        ("enters", "repeats step 1: a new entry, later than the one before"),
        ("not-yet", "step 3 ignored: step 2 not done yet"),
        ("reaches", "step 2, 1m after step 1"),
    ]
    assert [(miss["option"], miss["value"]) for miss in found["totals"]["near_misses"]] == [
        ("--tolerance", "30s"),
        ("--order", "any"),
    ]
    found = explain("u4", "--json").json
    assert found["totals"]["nearest_miss"]["option"] == "--tolerance"
    assert found["totals"]["nearest_miss"]["value"] == "3s"
    found = explain("u3", "--exclude", "help", "--json").json
    assert [(row["effect"], row["reason"]) for row in found["rows"]] == [
        ("enters", "step 1: an entry"),
        ("reaches", "step 2, 1m after step 1"),
        ("excludes", "excludes the entry of 2026-03-01 13:00:00, which stood at step 2: help"),
        ("no-entry", "step 3 ignored: no live step 1 before it"),
    ]
    assert found["totals"]["nearest_miss"]["option"] == "without --exclude"
    assert found["totals"]["nearest_miss"]["value"] == "help"
    found = explain("u1", "--order", "strict", "--window", "2h", "--json").json
    assert ("breaks", "another event than step 3: breaks strict order") in [
        (row["effect"], row["reason"]) for row in found["rows"]
    ]
    assert found["totals"]["nearest_miss"]["value"] == "ordered"


def test_steps_left_out_held_values_and_the_range_are_told(explain: Command) -> None:
    found = explain("u2", "--optional", "2", "--json").json
    assert [(row["effect"], row["reason"]) for row in found["rows"]][2] == (
        "reaches",
        "step 3, 30s after step 1, step 2 left out",
    )
    held = explain("u1", "--hold", "anonymous_id", "--window", "2h", "--json").json
    assert [(row["held"], row["effect"]) for row in held["rows"]] == [
        ("d1", "enters"),
        ("d1", "reaches"),
        ("d1", "reaches"),
    ]
    other = explain("u1", "--hold", "event", "--window", "2h", "--json").json
    assert [row["reason"] for row in other["rows"]] == [
        "step 1: an entry",
        "step 2 ignored: no live step 1 before it with this event",
        "step 3 ignored: no live step 1 before it with this event",
    ]
    assert other["totals"]["nearest_miss"]["option"] == "without --hold"
    outside = explain("u1", "--from", "2026-03-01T10:01:00", "--json").json
    assert outside["rows"][0]["reason"] == "step 1 ignored: outside the range"
    assert outside["totals"]["nearest_miss"]["option"] == "without --from, --to and --last"
    assert (outside["totals"]["level"], outside["totals"]["status"], outside["totals"]["attempt"]) == (
        0,
        "none",
        None,
    )


def test_a_cell_has_one_reason_a_person_and_doors_to_them(explain: Command) -> None:
    found = validated(explain("--users", "dropped:2", "--json"))
    assert found["totals"] == {
        "users": 4,
        "cell": "dropped:2",
        "level": 2,
        "reasons": {"after-window": 1, "never": 1, "other-order": 1, "moments-before": 1},
    }
    following = [(row["place"], row["name"], row["users"]) for row in found["rows"] if row["kind"] == "next"]
    assert following == [
        (1, "help", 1),
        (1, "logout", 1),
        (1, "(none)", 2),
        (2, "paid", 1),
        (2, "(none)", 3),
        (3, "(none)", 4),
    ]
    logout = next(row for row in found["rows"] if row["name"] == "logout")
    assert (logout["seconds_median"], logout["share"]) == (1.0, 0.25)

    def people(door: str) -> list[str]:
        return explain("--users", "dropped:2", "--users", door).users

    assert people("reason:after-window") == ["u1"]
    assert people("reason:never") == ["u5"]
    assert people("reason:other-order") == ["u2"]
    assert people("reason:moments-before") == ["u4"]
    assert people("next:1:logout") == ["u5"]
    assert people("next:1:(none)") == ["u2", "u4"]
    assert people("next:2:paid") == ["u1"]
    assert explain("--users", "open:1", "--json").json["totals"]["reasons"] == {"never": 1}


def test_people_past_the_memory_are_read_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, request, dataset = asked_in(tmp_path / "x", random.Random(3))
    whole = [
        answer(ExplainRequest(funnel=request, cell=f"dropped:{level}"), dataset).rows for level in (1, 2)
    ]
    assert sum(len(rows) for rows in whole) > 4
    monkeypatch.setattr(Dataset, "row_budget", property(lambda self: 3))
    pieces = [
        answer(ExplainRequest(funnel=request, cell=f"dropped:{level}"), dataset).rows for level in (1, 2)
    ]
    assert pieces == whole


def test_events_without_a_row_of_their_own_are_other_and_add_up(explain: Command) -> None:
    found = explain("--users", "dropped:2", "--top", "1", "--json").json
    first = [(row["name"], row["users"]) for row in found["rows"] if row["place"] == 1]
    assert first == [("help", 1), ("(other)", 1), ("(none)", 2)]
    assert explain("--users", "dropped:2", "--top", "1", "--users", "next:1:(other)").users == ["u5"]


def test_a_person_is_found_by_any_id_and_a_shared_one_names_its_people(explain: Command) -> None:
    assert explain("d1", "--json").json["totals"]["user"] == "u1"
    assert explain("anonymous_id:d1", "--json").json["totals"]["user"] == "u1"
    shared = explain("tablet")
    assert shared.code == 2
    assert '2 people share the id "tablet"' in shared.err
    assert 'ask for one of "u3", "u4"' in shared.err
    nobody = explain("u77")
    assert (nobody.code, 'nobody in the data has the id "u77"' in nobody.err) == (2, True)
    assert validated(explain("u1", "--from", "2026-03-02", "--json"))["totals"]["status"] == "none"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nobody to explain"),
        (("u1", "--users", "dropped:1"), "at once"),
        (("--users", "reached:1"), "nobody stopped there"),
        (("--users", "dropped:3"), "nobody stopped there"),
        (("--users", "dropped:1", "--users", "dropped:2"), "names 2 cells"),
        (("--users", "reason:never"), "reasons are those of a cell"),
        (("--users", "dropped:1", "--users", "reason:nevr"), "names no reason"),
        (("--users", "dropped:1", "--users", "next:9:x"), "names no row"),
        (("--users", "dropped:2", "--users", "next:1:logut"), "no event is named"),
        (("u1", "--as", "all"), "one funnel is explained at a time"),
        (("u1", "--compare", "previous"), "one funnel is explained at a time"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_a_line(
    explain: Command, arguments: tuple[str, ...], message: str
) -> None:
    ran = explain(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_other_units_rules_and_rows_are_explained_too(explain: Command) -> None:
    sessions = validated(explain("u1", "--unit", "session", "--json"))["totals"]
    assert sorted((one["level"], one["status"]) for one in sessions["attempts"]) == [(2, "dropped")]
    assert validated(explain("u1", "--as", "clickhouse", "--json"))["totals"]["level"] == 2
    found = validated(explain("--unit", "session", "--by", "event", "--users", "dropped:2@view", "--json"))
    assert sum(found["totals"]["reasons"].values()) == found["totals"]["users"] == 4


def test_the_question_is_said_whole(explain: Command) -> None:
    found = explain("--users", "dropped:2", "--json").json
    assert found["command"] == (
        "workbench explain funnel --step view --step cart --step paid --window 1h --users dropped:2"
    )
    assert from_dict(found["request"]).to_dict() == found["request"]
    request = ExplainRequest(funnel=from_dict(found["request"]).funnel, user="-odd")
    assert request.arguments()[-2:] == ["--", "-odd"]
    sql = explain("--users", "dropped:2", "--sql")
    assert (sql.code, "event_names" in sql.out, "SELECT" in sql.out) == (0, True, True)
    assert "person IN (" in explain("u1", "--sql").out
    assert explain("u1").out.splitlines()[0].split()[:3] == ["time", "event", "matches"]


def test_effects_and_reasons_are_those_of_the_schema() -> None:
    person, cell = load("explain")["anyOf"]  # type: ignore[misc]
    effects = person["properties"]["rows"]["items"]["properties"]["effect"]["enum"]
    assert effects == [*EFFECTS, "no-value"]
    assert cell["properties"]["totals"]["properties"]["reasons"]["propertyNames"]["enum"] == list(REASONS)


def test_the_forced_login_is_among_what_its_cell_did_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_demo(tmp_path / "shop", events=SMALLEST)
    truths = tomllib.loads((tmp_path / "shop" / "truths.toml").read_text("utf-8"))["truth"]
    truth = next(one for one in truths if one["id"] == "forced-login")
    asked_for = shlex.split(truth["command"])
    planted = sorted(truth["expected_ids"])
    run = in_process(tmp_path / "home", monkeypatch, capsys)
    found = run("explain", *asked_for[1:], "--json", cwd=tmp_path / "shop").json
    assert found["totals"]["users"] == len(planted)
    assert found["totals"]["reasons"] == {"never": len(planted)}
    login = next(row for row in found["rows"] if row["kind"] == "next" and row["name"] == "login")
    assert login["users"] == len(planted)
    assert 2.5 * 3600 < login["seconds_median"] < 3.5 * 3600
    door = f"next:{login['place']}:login"
    assert sorted(run("explain", *asked_for[1:], "--users", door, cwd=tmp_path / "shop").users) == planted
    back = next(row for row in found["rows"] if row["kind"] == "next" and row["name"] == "view_cart")
    assert (back["users"], back["place"]) == (len(planted), login["place"] + 1)
