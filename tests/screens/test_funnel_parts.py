"""The Funnel screen's pure parts: options as texts, steps that move, completion, groups side by side, charts."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.funnel_request import FunnelRequest, from_dict
from queries.question import Note, Result, Row, Shown
from screens import funnel_completion as completion
from screens.funnel_chart import LEAST, View, bars, beside, chart, converting, times, trend, warnings
from screens.funnel_options import (
    OPTIONS,
    WINDOWS,
    is_default,
    packed,
    rearranged,
    split,
    stepped,
    text_of,
    told,
    value_of,
)
from screens.funnel_rows import Groups, counted, group_of, measure_of, phrase, step_name
from screens.funnel_sides import Sides
from tests.screens.forms import DEMO, HOSTILE, NAMES, random_funnel
from workbench.glyphs import ASCII, UNICODE
from workbench.text import width
from workbench.widgets.prompt import Completion

STEPS = ["view", "add", "checkout", "order"]


def made(**saved: object) -> FunnelRequest:
    return from_dict({"steps": STEPS, **saved})


# --- options ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [DEMO, HOSTILE], ids=["demo", "hostile"])
def test_every_option_reads_back_from_its_text(words: Any) -> None:
    for seed in range(300):
        saved = random_funnel(random.Random(seed), words).to_dict()
        for key in OPTIONS:
            again = from_dict({**saved, key: value_of(key, text_of(key, saved))})
            assert again == from_dict(saved), (key, saved[key], text_of(key, saved))


def test_an_empty_text_is_the_default_of_every_option() -> None:
    defaults = made().to_dict()
    for key in OPTIONS:
        assert value_of(key, "") == defaults[key], key
        assert key == "window" or is_default(key, defaults), key


def test_every_choice_can_be_asked_but_for_what_needs_another_option() -> None:
    needs: dict[tuple[str, str], dict[str, object]] = {
        ("compare", "previous"): {"last": "7d"},
        ("exclusion", "remove"): {"exclude": ["x"]},
    }
    for key, option in OPTIONS.items():
        for choice in option.choices:
            request = made(**needs.get((key, choice), {}), **{key: value_of(key, choice)})
            assert text_of(key, request.to_dict()) == choice


def test_every_key_of_a_saved_funnel_is_a_field_or_the_frames() -> None:
    of_the_frame = {"steps", "data", "mapping", "from", "to", "last", "as_of", "tz", "session_gap"}
    assert set(made().to_dict()) == set(OPTIONS) | of_the_frame


@pytest.mark.parametrize(("key", "text"), [("top", "many"), ("optional", "two"), ("mature", "perhaps")])
def test_what_is_no_value_is_refused_by_name(key: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        value_of(key, text)


@pytest.mark.parametrize("name", NAMES)
def test_exclusions_of_any_names_stand_in_one_line(name: str) -> None:
    from queries.steps import Step

    excluded = [str(Step((name,))), "other: x = 'a;b'", f"{Step((name, 'y'))}@1:2"]
    request = made(exclude=excluded)
    text = text_of("exclude", request.to_dict())
    assert made(exclude=value_of("exclude", text)).exclude == request.exclude


def test_choices_are_stepped_through_and_end() -> None:
    assert [stepped("window", one, 1) for one in WINDOWS] == [*WINDOWS[1:], None]
    assert [stepped("window", one, -1) for one in WINDOWS] == [None, *WINDOWS[:-1]]
    assert (stepped("window", "5d", 1), stepped("window", "5d", -1)) == ("7d", "3d")
    assert (stepped("window", "90d", 1), stepped("window", "90d", -1)) == ("none", "60d")
    assert (stepped("window", "5m", -1), stepped("window", "5m", 1)) == (None, "30m")
    assert (stepped("top", "7", 1), stepped("top", "7", -1), stepped("top", "99", 1)) == ("10", "5", None)
    assert (stepped("tolerance", "5s", 1), stepped("tolerance", "5s", -1)) == ("10s", "2s")
    assert stepped("compare", "previous", 1, ["keen"]) == "keen"
    assert stepped("at", "step:2", 1) == "first"
    assert stepped("where", "none", 1) is None


# --- the short form ------------------------------------------------------------------------------------------------


def test_the_short_form_tells_what_is_not_as_usual_and_how_much_had_no_room() -> None:
    assert told(made(), 78, 2, UNICODE) == ["view → add → checkout → order", "window 7d"]
    request = made(by="channel", trend="week", order="strict", mature=True, window="3d", since="first")
    assert told(request, 78, 1, ASCII) == [
        "view -> add -> checkout -> order",
        "window 3d  by channel  trend week  order strict  times since first  mature yes",
    ]
    assert told(request, 40, 1, UNICODE)[1:] == ["window 3d  by channel  trend week  … +3"]
    assert told(request, 40, 2, UNICODE)[1:] == [
        "window 3d  by channel  trend week",
        "order strict  times since first  … +1",
    ]


@given(
    st.lists(st.text("ab支 ", min_size=1, max_size=30), max_size=12), st.integers(20, 60), st.integers(1, 3)
)
def test_parts_fit_their_lines_and_none_goes_unsaid(parts: list[str], cells: int, lines: int) -> None:
    out = packed(parts, cells, lines, UNICODE)
    assert len(out) <= lines
    assert all(width(line) <= cells for line in out)
    if sum(width(part) + 2 for part in parts) <= cells:
        assert out == (["  ".join(parts)] if parts else [])
    elif all(width(part) <= cells for part in parts) and "+" not in "".join(out):
        assert "".join("".join(out).split()) == "".join("".join(parts).split())


# --- steps that move -----------------------------------------------------------------------------------------------


def after(request: FunnelRequest, order: list[int | None]) -> tuple[FunnelRequest, list[str]]:
    steps = ["new" if old is None else str(request.steps[old]) for old in order]
    saved, lost = rearranged(request, steps, order)
    return from_dict(saved), lost


def test_options_follow_their_steps() -> None:
    request = made(optional=[2], step_windows={"3": "1h"}, exclude=["x@2:3", "y"], at="step:3")
    moved, lost = after(request, [0, None, 1, 2, 3])
    assert (moved.optional, moved.step_windows, moved.at, lost) == ((3,), {4: 3_600_000}, "step:4", [])
    assert [str(one) for one in moved.exclude] == ["x@3:4", "y"]
    moved, lost = after(request, [0, 2, 1, 3])
    assert (moved.optional, moved.step_windows, moved.at, lost) == ((3,), {2: 3_600_000}, "step:2", [])
    assert [str(one) for one in moved.exclude] == ["x@2:3", "y"]


def test_what_a_change_makes_impossible_is_left_out_and_said() -> None:
    request = made(
        optional=[2, 3], step_windows={"3": "1h"}, exclude=["x@2:3"], exclusion="remove", at="step:3"
    )
    moved, lost = after(request, [0, 1, 3])
    assert (moved.optional, dict(moved.step_windows), moved.exclude, moved.exclusion) == (
        (2,),
        {},
        (),
        "drop",
    )
    assert moved.at == "first"
    assert lost == ["optional 3", "step window 3=1h", "exclude x@2:3", "value at step:3"]
    moved, lost = after(request, [1, 2, 3])
    assert (moved.optional, lost) == ((2,), ["optional 2"])
    moved, lost = after(made(exclude=["x"], exclusion="remove"), [1])
    assert (len(moved.steps), moved.exclude, lost) == (1, (), ["exclude x"])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(0, 9))
def test_moving_a_step_and_moving_it_back_is_the_same_funnel(seed: int, place: int) -> None:
    request = random_funnel(random.Random(seed), DEMO)
    count = len(request.steps)
    at = place % count
    assert after(request, list(range(count))) == (request, [])
    if at + 1 < count:
        order: list[int | None] = list(range(count))
        order[at], order[at + 1] = order[at + 1], order[at]
        saved, lost = rearranged(request, [str(request.steps[int(str(old))]) for old in order], order)
        if not lost:
            moved = from_dict(saved)
            assert after(moved, order)[0] == request


# --- completion --------------------------------------------------------------------------------------------------

EVENTS = [("product_view", "9"), ("x: y", "3"), ('say "so"', "2"), ("a|b", "1")]
PROPERTIES = [("reason", "text"), ("odd name", "text"), ("platform", "text")]


def values(wanted: completion.Wanted) -> list[tuple[str, str]]:
    known = {("reason", ()): ["coupon", "it's"], ("reason", ("login",)): ["login"], ("odd name", ()): ["x"]}
    return [(value, "1") for value in known.get((wanted.name, wanted.events), ())]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", ["product_view", '"x: y"', '"say ""so"""', '"a|b"']),
        ("VIEW", ["product_view"]),
        ("x", ['"x: y"']),
        ('"a|', ['"a|b"']),
        ("other|prod", ["other|product_view"]),
        ('"a|b"|prod', ['"a|b"|product_view']),
        ("view: rea", ["view: reason"]),
        ("view: odd", ['view: "odd name"']),
        ('view: "odd', ['view: "odd name"']),
        ('"x: y": plat', ['"x: y": platform']),
        ("login: reason = ", ["login: reason = 'login'"]),
        ("login: reason <> 'l", ["login: reason <> 'login'"]),
        ("login: reason in ('login', '", ["login: reason in ('login', 'login'"]),
        ("login: reason = 'zzz", []),
        ("view: reason = 'plat", []),
        ("view: reason = 'a' and plat", ["view: reason = 'a' and platform"]),
        ("view: amount > 5", []),
        ("view: ", []),
    ],
)
def test_a_step_completes(text: str, first: list[str]) -> None:
    found = [one.text for one in completion.step(text, EVENTS, PROPERTIES, values)]
    assert found[: len(first)] == first
    assert bool(found) == bool(first)


def test_every_completed_name_is_that_event() -> None:
    from queries.steps import parse_step

    events = [(name, "") for name in NAMES]
    for one, (name, _) in zip(completion.step("", events, (), values), events, strict=True):
        assert parse_step(one.text).events == (name,)


def test_conditions_rules_and_exclusions_complete() -> None:
    def texts(found: list[Completion]) -> list[str]:
        return [one.text for one in found]

    assert texts(completion.condition("reason = 'i", PROPERTIES, values)) == ["reason = 'it''s'"]
    assert texts(completion.condition('"odd name" = ', PROPERTIES, values)) == ["\"odd name\" = 'x'"]
    assert texts(completion.rule("did('prod", EVENTS, PROPERTIES, values)) == ["did('product_view'"]
    assert texts(completion.rule("did('a') = 0 and rea", EVENTS, PROPERTIES, values)) == [
        "did('a') = 0 and reason"
    ]
    assert texts(completion.exclusions("a: x = 'b;c'; prod", EVENTS, PROPERTIES, values)) == [
        "a: x = 'b;c'; product_view"
    ]
    assert completion.Wanted("x", ("it's", "b")).where == "event in ('it''s', 'b')"
    assert completion.Wanted("x").where is None


def test_a_list_is_cut_outside_quotes_alone() -> None:
    assert split("it's; b: x = 'c;d'; \"e;f\"", ";") == ["it's", "b: x = 'c;d'", '"e;f"']


# --- rows, sides, charts -----------------------------------------------------------------------------------------

LAYOUT = (
    Shown("step", "#", "integer", names=True), Shown("event", "step", names=True), Shown("users", "n", "integer"),
    Shown("rate_from_first", "% of 1", "percent"),
    Shown("ci_from_first_low", "95 %", "interval", high="ci_from_first_high"),
)  # fmt: skip
BY = Shown(
    "breakdown", "channel", names=True, words=(("is_total", "(all)"), ("is_other", "(other)")), null="(none)"
)
PERIOD = Shown("period", "week", names=True, null="(all)")
TIMES = (
    "seconds_from_entry_p25",
    "seconds_from_entry_median",
    "seconds_from_entry_p75",
    "seconds_from_entry_p90",
)


def row(step: int, users: int, of: int, waiting: int = 0, **more: object) -> dict[str, object]:
    rate = users / of if of else None
    return {
        "step": step, "event": STEPS[step - 1], "breakdown": None, "period": None, "cohort": None, "is_total": True,
        "is_other": False, "is_incomplete": False, "users": users, "rate_from_first": rate, "ci_from_first_low": rate,
        "ci_from_first_high": rate, "open": waiting, "difference": None, **dict.fromkeys(TIMES, 60.0 * step), **more,
    }  # fmt: skip


def group(*counts: int, waiting: int = 0, **more: object) -> list[Row]:
    return [row(step, users, counts[0], waiting, **more) for step, users in enumerate(counts, 1)]


def view(
    rows: list[Row], *, layout: tuple[Shown, ...] = LAYOUT, notes: tuple[Note, ...] = (), **saved: Any
) -> View:
    bins = [
        {"from_seconds": place * 60, "to_seconds": place * 60 + 60, "users": 5 - place} for place in range(5)
    ]
    totals = {"histogram": bins, "seconds_to_convert_median": 90.0}
    request = made(**saved)
    result = Result("funnel", request, rows, totals, notes, {}, layout, "", None)
    groups = Groups(rows)
    return View(result, groups, groups.first(), UNICODE, ascii_only=False, with_bars=True)


def test_bars_add_up_who_may_still_come() -> None:
    groups = Groups(group(100, 40, 20, waiting=10))
    assert [groups.waiting(one) for one in groups.rows] == [0.0, 0.1, 0.2]
    drawn = bars(view(group(100, 40, 20, waiting=10)), 50)
    assert drawn[0] == "share of step 1: ░ may still come"
    # 50 cells less the label, the figure and what is between: 33, of which 40 % and 20 % are solid.
    assert [line.count("█") for line in drawn[1:]] == [33, 13, 6]
    # With the shade it is 50 % and 40 %.
    assert [len(line[9:42].rstrip()) for line in drawn[1:]] == [33, 16, 13]
    assert all(width(line) == 50 for line in drawn[1:])
    assert bars(view(group(100, 40)), 50)[0] == "share of step 1"


def test_bars_of_nobody_are_none() -> None:
    assert bars(view(group(0, 0)), 50) == []


@pytest.mark.parametrize(("cells", "rows"), [(58, 5), (58, 9), (78, 11), (78, 18), (158, 40), (158, 12)])
@pytest.mark.parametrize("saved", [{}, {"trend": "week"}, {"as": "all"}, {"as": "posthog"}], ids=str)
def test_charts_fit_their_room(cells: int, rows: int, saved: dict[str, Any]) -> None:
    weeks = (
        [one for week in ("2026-03-02", "2026-03-09") for one in group(50, 20, 10, 5, period=week)]
        if "trend" in saved
        else []
    )
    notes = (Note("peer", "x" * 200, count=3), Note("step-never-seen", "odd " * 60, "warning"))
    drawn = chart(view([*group(100, 40, 20, 10, waiting=5), *weeks], notes=notes, **saved), cells, rows)
    assert drawn
    assert len(drawn) <= rows
    assert all(width(line) <= cells for line in drawn)


def test_a_histogram_says_whose_times_and_of_what() -> None:
    shown = view(
        group(9, 5, 4, 3, cohort="workbench"), layout=(Shown("cohort", "cohort", names=True), *LAYOUT)
    )
    assert converting(shown, 70, 9)[0] == "time to convert: workbench, 15 people, median 1m 30s"
    drawn = converting(view(group(9, 5), unit="session", entry="every"), 70, 9)
    assert drawn[0] == "time to convert: 15 attempts of sessions, median 1m 30s"
    assert len(drawn) == 9
    assert converting(view(group(9, 5)), 70, LEAST - 1) == []


def test_times_are_those_of_the_rows() -> None:
    drawn = times(view(group(9, 5, 4)), 60, 10)
    assert [line.split() for line in drawn[1:]] == [
        ["25", "%", "median", "75", "%", "90", "%"], ["add", *["2m"] * 4], ["checkout", *["3m"] * 4],
    ]  # fmt: skip
    assert times(view(group(9)), 60, 10) == []


def test_a_trend_of_one_period_is_a_bar_and_of_more_a_curve() -> None:
    one = view([*group(100, 40), *group(100, 40, period="2026-03-02")], layout=(PERIOD, *LAYOUT), trend="week",
               steps=STEPS[:2])  # fmt: skip
    title, line = trend(one, 60, 8)
    assert title == "add, % of step 1 by week"
    assert line.startswith("(all) ") and line.endswith(" 40.0 %")
    assert line.count("█") == round(0.4 * (60 - 5 - 10))
    weeks = [
        *group(100, 40),
        *group(50, 10, period="2026-03-02"),
        *group(50, 30, period="2026-03-09", is_incomplete=True),
    ]
    drawn = trend(view(weeks, layout=(PERIOD, *LAYOUT), trend="week", steps=STEPS[:2]), 60, 8)
    assert drawn[0] == "add, % of step 1 by week: not whole: 2026-03-09"
    assert "2026-03-02" in drawn[-1] and drawn[1].lstrip().startswith("60")


def test_warnings_are_told_whole_or_counted() -> None:
    notes = tuple(Note("x", f"warning {number} " + "long " * 20, "warning") for number in range(5))
    drawn = warnings(view(group(1), notes=notes), 60)
    assert [line[:11] for line in drawn if line[0] == "!"] == [f"! warning {number}" for number in range(3)]
    assert drawn[-1] == "  and 2 more: ? tells them"
    assert all(width(line) <= 60 for line in drawn)


def test_blocks_stand_beside_each_other() -> None:
    assert beside(["a", "支付支付支付"], ["x"], 6) == ["a     x", "支付…"]


def test_sides_are_the_values_with_figures_under_each_other() -> None:
    rows = [*group(100, 40), *group(60, 9, breakdown="app", is_total=False), *group(40, 31, is_total=False)]
    sides = Sides(Groups(rows), (BY, *LAYOUT))
    assert [shown.heading for shown in sides.columns] == ["#", "step", "(all)", "app", "(none)"]
    assert [line["side:1"] for line in sides.rows] == [
        "60  100.0 %  [100.0–100.0]",
        " 9   15.0 %    [15.0–15.0]",
    ]
    found = sides.row_of("side:2", 2)
    assert found is not None and found["users"] == 31
    found = sides.row_of("event", 1)
    assert found is not None and found["users"] == 100


def test_sides_leave_periods_out_unless_nothing_else_differs() -> None:
    weeks = [*group(9, 4), *group(5, 2, period="2026-03-02"), *group(4, 2, period="2026-03-09")]
    assert [shown.heading for shown in Sides(Groups(weeks), (PERIOD, *LAYOUT)).columns][2:] == [
        "(all)", "2026-03-02", "2026-03-09",
    ]  # fmt: skip
    apart = [{**one, "breakdown": "app", "is_total": False} for one in weeks]
    assert len(Sides(Groups([*weeks, *apart]), (BY, PERIOD, *LAYOUT)).all) == 2


def test_a_compared_side_has_its_difference_beside_it() -> None:
    interval = Shown("difference_low", "95 %", "interval", high="difference_high")
    layout = (*LAYOUT, Shown("difference", "diff %", "percent"), interval, Shown("verdict", "verdict"))
    told_so: dict[str, Any] = {
        "difference": 0.1,
        "difference_low": -0.1,
        "difference_high": 0.3,
        "verdict": "higher",
    }
    target = [row(1, 10, 10, cohort="current"), row(2, 5, 10, cohort="current", **told_so)]
    sides = Sides(Groups([*target, *group(10, 4, cohort="previous")]), (Shown("cohort", "cohort"), *layout))
    assert [shown.heading for shown in sides.columns][2:] == ["current", "difference", "previous"]
    assert sides.rows[1]["difference:0"] == "10.0 % [-10.0 to 30.0] higher"
    assert "difference:0" not in sides.rows[0]
    found = sides.row_of("difference:0", 2)
    assert found is not None and found["cohort"] == "current"


@pytest.mark.parametrize(
    ("saved", "measure", "wanted"),
    [
        ({}, "reached", "who reached step 2 add (app)"),
        ({}, "dropped", "who dropped after step 2 add (app)"),
        ({"unit": "session"}, "reached", "of the sessions that reached step 2 add (app)"),
        ({"entry": "every"}, "open", "of the attempts of people that may still go on from step 2 add (app)"),
    ],
)
def test_a_figure_says_whose_it_is(saved: dict[str, Any], measure: str, wanted: str) -> None:
    assert phrase(row(2, 5, 9, breakdown="app", is_total=False), measure, made(**saved)) == wanted


def test_a_row_in_any_order_is_a_number_of_steps() -> None:
    request = made(order="any")
    second = row(2, 5, 9, event=None)
    assert step_name(second) == "2 steps or more"
    assert phrase(second, "reached", request) == "who did 2 steps or more"
    assert phrase(second, "dropped", request) == "who dropped after 2 steps"
    assert phrase(row(1, 5, 9, event=None), "open", request) == "who may still go on from 1 step"


def test_rows_of_nobody_and_of_others_are_named() -> None:
    assert phrase(row(1, 5, 9, is_total=False), "reached", made()).endswith("((none))")
    assert phrase(row(1, 5, 9, is_total=False, is_other=True), "reached", made()).endswith("((other))")
    assert measure_of("skipped") is None
    assert measure_of("rate_from_previous") == "reached"
    assert counted(made(hold="channel")) == "people with one channel throughout"
    assert group_of(row(1, 5, 9)) == group_of(row(2, 3, 9))
