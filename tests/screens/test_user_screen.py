"""The User screen as people drive it, over an export of a few people whose every event is known."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from queries import activity, explain, gutter, user
from queries.activity import Activity, Bin
from queries.funnel_request import FunnelRequest, parse_exclusion
from queries.question import Result, Scope
from queries.steps import parse_step
from queries.user import UserRequest
from screens import user_form, user_state
from screens.user_funnel import step_text, window_over
from tests.driver import Command
from tests.screens.driver import Driver, driver
from workbench.dataset import Dataset
from workbench.glyphs import ASCII, UNICODE
from workbench.limits import limits
from workbench.runner import Task
from workbench.text import width
from workbench.widgets import activity as chart
from workbench.workspace import load

EVENTS: tuple[tuple[str, str, str | None, str, dict[str, object]], ...] = (
    # time of day in Shanghai, event, person, device, session, and more
    ("05-01 10:00:00", "view", "u1", "d1", {"product_id": "p1"}),
    ("05-01 10:05:00", "add", "u1", "d1", {"product_id": "p1", "price": 10}),
    ("05-01 10:20:00", "order", "u1", "d1", {"order_id": "o1", "amount": "10.00"}),
    ("05-03 09:00:00", "view", "u1", "d1", {"product_id": "p2"}),
    ("05-03 09:01:00", "view", "u1", "d1", {"product_id": "p3"}),
    ("05-03 11:30:00", "add", "u1", "d1", {"product_id": "p3", "price": 5}),
    ("05-10 21:37:00", "view", "u1", "d1", {"product_id": "p1"}),
    ("05-10 21:38:10", "add", "u1", "d1", {"product_id": "p1", "price": 7}),
    ("05-10 21:56:00", "login", None, "d1", {}),
    ("05-10 23:10:00", "view", "u1", "d1", {"product_id": "p4"}),
    ("05-10 12:00:00", "view", "u2", "d2", {"product_id": "p1"}),
    ("05-10 12:30:00", "order", "u2", "d2", {"order_id": "o2", "amount": "99.00"}),
    ("05-10 13:00:00", "[/red]\x1b]0;x\x07", "u3", "d3", {"product_id": "[bold]p\x1b[31m"}),
)
TOML = """schema = 1
timezone = "Asia/Shanghai"
[[source]]
name = "e"
path = "data"
[source.map]
ts = "ts"
event = "event"
user_id = "user_id"
anonymous_id = "anonymous_id"
product_id = "product_id"
order_id = "order_id"
amount = "amount"
[roles]
add = "add"
order = "order"
"""
U1 = UserRequest(user="u1")
FUNNEL = FunnelRequest(
    steps=(parse_step("view"), parse_step("add"), parse_step("order")), window=60 * 60 * 1000
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "data").mkdir(parents=True)
    rows = [
        {
            "ts": f"2026-{ts}+08:00".replace(" ", "T"),
            "event": event,
            "user_id": user,
            "anonymous_id": device,
            **more,
        }
        for ts, event, user, device, more in EVENTS
    ]
    (folder / "data" / "e.ndjson").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (folder / "workbench.toml").write_text(TOML)
    return folder


def drive(
    shop: Path,
    steps: Callable[[Driver], Awaitable[None]],
    request: UserRequest | None = U1,
    **settings: Any,
) -> None:
    async def run() -> None:
        async with driver(shop, start="user", request=request, **settings) as d:
            await steps(d)

    asyncio.run(run())


def screen(d: Driver) -> Any:
    return d.app.trail[-1]


def in_hand(d: Driver) -> str:
    """Time of the event under the cursor, without the year."""
    return str(screen(d).grid.current_row()["ts"])[5:19].replace("T", " ")


def times(d: Driver) -> list[str]:
    return [str(row["ts"])[5:19].replace("T", " ") for row in screen(d).table.rows()]


MINE = [ts for ts, _, user, device, _ in EVENTS if device == "d1"]


# --- whom -----------------------------------------------------------------------------------------------------


def test_opened_with_nothing_it_asks_for_an_id_and_opens_the_person(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        assert "Give any id of theirs" in d.text()
        assert screen(d).prompt.active
        await d.type("d1")
        await d.press("enter")
        assert d.lines()[0].startswith(" user u1")
        assert "u1 (user_id)" in d.text()
        assert "10 events on 3 days" in d.text()
        assert [d.text().index(day) for day in ("2026-05-10 Sun", "2026-05-03 Sun")] == sorted(
            d.text().index(day) for day in ("2026-05-10 Sun", "2026-05-03 Sun")
        )
        assert "session 4: 21:37–21:56, 3 events, 7d 10h after the last" in d.text()
        assert len(times(d)) == len(MINE)

    drive(shop, steps, None)


def test_a_condition_finds_one_person_or_lists_several_to_choose_from(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        await d.type("order_id = 'o2'")
        await d.press("enter")
        assert d.lines()[0].startswith(" user u2")
        await d.press("a")
        await d.press("ctrl+u")
        await d.type("product_id = 'p1'")
        await d.press("enter")
        assert "2 people have such an event" in d.text()
        assert [row["user"] for row in screen(d).table.rows()] == ["u1", "u2"]
        assert "enter opens a person" in screen(d).why_not("next_session")
        assert screen(d).people_answer() is not None
        await d.press("enter")
        assert d.lines()[0].startswith(" user u1")
        await d.press("u")
        assert "2 people have such an event" in d.text()

    drive(shop, steps, None)


def test_nobody_has_the_id_and_the_person_before_stays(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        await d.press("a")
        await d.press("ctrl+u")
        await d.type("nobody")
        await d.press("enter")
        assert 'nobody in the data has the id "nobody"' in d.lines()[-2]
        assert len(times(d)) == len(MINE)

    drive(shop, steps)


@pytest.mark.parametrize(
    ("text", "user", "kind", "find"),
    [
        ("u1", "u1", None, None),
        (" u1 ", "u1", None, None),
        ("YWJj==", "YWJj==", None, None),
        ("a < ", "a <", None, None),
        ("order_id = 'o1'", None, None, "order_id = 'o1'"),
        ("amount >= 10 AND city IS NULL", None, None, "amount >= 10 AND city IS NULL"),
        ("-- a=b", "a=b", None, None),
        ("-5", "-5", None, None),
        ("--kind anonymous_id d 1", "d 1", "anonymous_id", None),
    ],
)
def test_a_text_is_an_id_or_a_condition(
    text: str, user: str | None, kind: str | None, find: str | None
) -> None:
    got = user_form.whom(text, None, Scope())
    assert (got.user, got.kind, got.find) == (user, kind, find)
    assert user_form.whom(user_form.who_text(got), None, got.scope) == got


# --- spans ----------------------------------------------------------------------------------------------------


def test_zoom_goes_to_the_day_and_the_hour_in_hand_and_the_command_gives_the_same_rows(
    shop: Path, workbench: Command
) -> None:
    found: list[tuple[str, list[str]]] = []

    async def steps(d: Driver) -> None:
        await d.press("j")
        assert in_hand(d) == "05-10 21:38:10"
        assert "events by day · 2026-05-01 to 2026-05-10 · 10" in d.text()
        await d.press("+")
        assert times(d) == ["05-10 21:37:00", "05-10 21:38:10", "05-10 21:56:00", "05-10 23:10:00"]
        assert in_hand(d) == "05-10 21:38:10"
        assert "events by hour · 2026-05-10 Sun · 4" in d.text()
        found.append((screen(d).command(), times(d)))
        await d.press("+")
        assert times(d) == ["05-10 21:37:00", "05-10 21:38:10", "05-10 21:56:00"]
        assert "events by minute · 2026-05-10 21:00–22:00 · 3" in d.text()
        found.append((screen(d).command(), times(d)))
        await d.press("-")
        assert "events by hour" in d.text()
        assert in_hand(d) == "05-10 21:38:10"
        await d.press("X")
        assert "events by day" in d.text()
        assert (len(times(d)), in_hand(d)) == (len(MINE), "05-10 21:38:10")
        await d.press("X")
        assert "no day or hour is chosen" in d.lines()[-2]

    drive(shop, steps)
    for command, shown in found:
        got = workbench(*shlex.split(command)[1:], "--json", cwd=shop).json
        assert [row["ts"][5:19].replace("T", " ") for row in got["rows"]] == shown


def test_a_span_keeps_the_range_around_it(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        await d.press("+")
        assert times(d) == [ts for ts in MINE if ts.startswith("05-03")]
        await d.press("u")
        assert len(times(d)) == 6
        await d.press("U", "X")
        assert screen(d).request.scope.until == "2026-05-05"
        assert len(times(d)) == 6

    drive(shop, steps, UserRequest(user="u1", scope=Scope(until="2026-05-05")))


def test_the_next_session_past_a_span_moves_it(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        await d.press("+", ".")
        assert in_hand(d) == "05-10 23:10:00"
        await d.press(".")
        assert times(d) == [ts for ts in MINE if ts.startswith("05-03")]
        await d.press(",")
        assert in_hand(d) == "05-10 23:10:00"

    drive(shop, steps)


# --- moves ----------------------------------------------------------------------------------------------------


async def walked(d: Driver, *keys: str) -> list[str]:
    found = []
    for key in keys:
        await d.press(key)
        found.append(in_hand(d))
    return found


def test_sessions_and_silences_are_walked_in_the_order_shown(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        assert in_hand(d) == "05-10 21:37:00"
        assert await walked(d, ".", ".", ".", ".", ".") == [
            "05-10 23:10:00", "05-03 09:00:00", "05-03 11:30:00", "05-01 10:00:00", "05-01 10:00:00",
        ]  # fmt: skip
        assert "no further session" in d.lines()[-2]
        assert await walked(d, ",", ",") == ["05-03 11:30:00", "05-03 09:00:00"]
        assert await walked(d, ")", ")", "(") == ["05-03 11:30:00", "05-03 11:30:00", "05-03 09:00:00"]
        assert "silence of 1d 23h before this, number 2 by length of 4" in d.lines()[-2]

    drive(shop, steps)


def test_matches_are_walked_of_a_condition_or_of_the_text_looked_for(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        await d.press("*")
        await d.type("product_id = 'p1'")
        await d.press("enter")
        assert "4 match" in d.lines()[-2]
        assert in_hand(d) == "05-10 21:37:00"
        assert await walked(d, "}", "}", "}", "}", "{") == [
            "05-10 21:38:10", "05-01 10:00:00", "05-01 10:05:00", "05-01 10:05:00", "05-01 10:00:00",
        ]  # fmt: skip
        await d.press("*", "ctrl+u", "enter", "/")
        await d.type("login")
        await d.press("enter")
        assert in_hand(d) == "05-10 21:56:00"
        await d.press("g", "g", "}")
        assert in_hand(d) == "05-10 21:56:00"

    drive(shop, steps)


# --- marks and funnels ------------------------------------------------------------------------------------------


def test_two_marked_events_tell_the_time_between_and_make_a_funnel(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        await d.press("F")
        assert "m marks two events first" in d.lines()[-2]
        await d.press("m", "j", "j", "m")
        assert "view 05-10 21:37:00 → login 05-10 21:56:00: 19m" in d.text()
        assert sum("●" in line for line in d.lines()) == 3
        await d.press("E")
        assert "converted: all 2 steps" in d.text()
        await d.press("escape", "F")
        made = screen(d).request
        assert isinstance(made, FunnelRequest)
        assert [str(step) for step in made.steps] == ["view", "login"]
        assert made.window == 30 * 60 * 1000
        await d.press("q", "m", "j", "m")
        assert "view 05-10 21:37:00 → view 05-10 23:10:00: 1h 33m" in d.text()

    drive(shop, steps)


@pytest.mark.parametrize(
    ("apart", "window"),
    [(0, 60_000), (60_000, 60_000), (60_001, 300_000), (90 * 86_400_000 + 1, 91 * 86_400_000)],
)
def test_the_window_covers_the_time_between(apart: int, window: int) -> None:
    assert window_over(apart) == window


def test_a_long_timeline_is_read_on_at_its_end(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_state, "ALL_ROWS", 8)
    monkeypatch.setattr(user_state, "FIRST_ROWS", 4)

    async def steps(d: Driver) -> None:
        assert "4 of 10 rows" in d.lines()[-2]
        await d.press("j", "j")
        assert len(times(d)) == 4
        await d.press("j")
        assert len(times(d)) == len(MINE)
        assert in_hand(d) == "05-10 23:10:00"

    drive(shop, steps)


def test_opened_from_a_funnel_a_gutter_tells_the_steps_and_e_why(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        d.app.open_screen("user", UserRequest(user="u1"), funnel=FUNNEL)
        await d.settled()
        assert "funnel view → add → order: converted: all 3 steps" in d.text()
        assert in_hand(d) == "05-01 10:20:00"
        for sign, at in (("1✓", "10:00:00"), ("2✓", "10:05:00"), ("3✓", "10:20:00")):
            assert d.line(at).split()[:2] == [sign, at]
        assert await walked(d, "{", "{", "{") == ["05-01 10:05:00", "05-01 10:00:00", "05-03 11:30:00"]
        assert "2·" in d.line("11:30:00")
        await d.press("enter")
        assert "matches step 2" in d.text()
        assert "ignored: the last step is done" in d.text()
        await d.press("escape", "E")
        text = d.text()
        assert "converted: all 3 steps" in text
        assert "the attempt that counts" in text
        await d.press("escape", "g", "g")
        assert "1·" in d.line("21:37:00")

    drive(shop, steps)


def test_without_a_funnel_explain_says_what_it_needs(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        await d.press("E")
        assert "opened without a funnel" in d.lines()[-2]

    drive(shop, steps)


# --- the form ---------------------------------------------------------------------------------------------------


def test_the_form_filters_turns_and_empties(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        await d.press("tab", "j", "e")
        await d.type("view|lo")
        assert "login" in d.text()
        await d.press("tab")
        await d.press("enter")
        assert screen(d).request.events == ("view", "login")
        assert len(times(d)) == 6
        await d.press("j", "e")
        await d.type("product_id = 'p1'")
        await d.press("enter")
        assert times(d) == ["05-10 21:37:00", "05-01 10:00:00"]
        await d.press("d")
        await d.press("k", "d")
        assert len(times(d)) == len(MINE)
        await d.press("escape", "O")
        assert times(d) == sorted(MINE)
        assert shlex.split(screen(d).command())[1:] == ["user", "--oldest", "u1"]

    drive(shop, steps)


def test_around_shows_the_events_near_a_time(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        await d.press("tab", "j", "j", "j", "e")
        assert screen(d).prompt.value == "2026-05-10 21:37:00"
        await d.press("enter", "escape")
        assert screen(d).request.around == "2026-05-10 21:37:00"
        assert "who u1 · around 2026-05-10 21:37:00" in d.text()

    drive(shop, steps)


# --- looks ------------------------------------------------------------------------------------------------------


def test_views_give_the_whole_profile_or_the_timeline_alone(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        assert "coupons" not in d.text()
        await d.press("v")
        assert "coupons" in d.text()
        assert "events by" not in d.text()
        await d.press("v")
        assert "10 events on 3 days" not in d.text()
        assert "21:37:00" in d.text()
        await d.press("v")
        assert "events by day" in d.text()

    drive(shop, steps)


def test_a_profile_too_long_for_the_screen_is_read_in_a_box(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        await d.press("v", "G")
        assert "coupons" in d.text()
        await d.press("escape")
        assert "events by" not in d.text()

    drive(shop, steps, size=(60, 15))


@pytest.mark.parametrize(("size", "rows"), [((60, 15), 3), ((80, 24), 5), ((160, 50), 10)])
def test_every_size_has_form_profile_histogram_and_timeline(
    shop: Path, size: tuple[int, int], rows: int
) -> None:
    async def steps(d: Driver) -> None:
        assert "who u1" in d.text()
        assert "u1 (user_id) · 2026-05-01 to 2026-05-10: 10 events" in d.text()
        assert "events by day" in d.text()
        assert sum(ts[6:] in d.text() for ts in MINE) >= rows
        assert all(width(line) <= size[0] for line in d.lines())

    drive(shop, steps, size=size)


def test_plain_signs_alone_where_the_terminal_has_no_others(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        await d.press("m")
        d.app.open_screen("user", UserRequest(user="u2"), funnel=FUNNEL)
        await d.settled()
        assert "1ok" in d.text()
        head = d.lines()[3:10]
        assert "events by hour" in "\n".join(head)
        assert all(line.isascii() for line in head), "\n".join(head)

    drive(shop, steps, ascii_only=True)


def test_hostile_names_are_shown_and_do_nothing(shop: Path) -> None:
    async def steps(d: Driver) -> None:
        assert "[/red]␛]0;x␇" in d.text()
        await d.press("enter")
        assert "[bold]p␛[31m" in d.text()
        await d.press("escape", "m")
        assert "[/red]␛]0;x␇ 05-10 13:00:00" in d.text()
        assert "\x1b" not in d.text()

    drive(shop, steps, UserRequest(user="u3"))


# --- what the screen is made of -----------------------------------------------------------------------------------


def over(shop: Path, question: Callable[[Dataset], Result]) -> Result:
    return question(Dataset(load(shop / "workbench.toml"), Scope(), Task(), limits(None, None)))


def test_the_activity_of_the_totals_is_of_all_events_and_says_which_are_shown(shop: Path) -> None:
    request = UserRequest(user="u1", events=("view",), scope=Scope(since="2026-05-02"))
    got = over(shop, lambda dataset: user.answer(request, dataset))
    quarters = activity.quarters(got.totals["activity"])
    assert [(one.events, one.shown) for one in quarters] == [
        (2, 0), (1, 0), (2, 2), (1, 0), (2, 1), (1, 0), (1, 1),
    ]  # fmt: skip
    assert sum(one.shown for one in quarters) == len(got.rows)
    assert got.totals["session_gap_seconds"] == 1800


def test_the_gutter_tells_what_counts_what_does_not_and_what_ends_an_entry(shop: Path) -> None:
    funnel = FunnelRequest(
        steps=(parse_step("view"), parse_step("add"), parse_step("order")),
        exclude=(parse_exclusion("login"),),
        scope=Scope(since="2026-05-10"),
    )
    got = over(
        shop, lambda dataset: explain.answer(explain.ExplainRequest(funnel=funnel, user="u1"), dataset)
    )
    told = gutter.gutter(got.rows, got.totals)
    by_time = {ts[5:16].replace("T", " "): step_text(one, UNICODE) for (ts, _), one in told.items()}
    assert by_time["05-10 21:37"] == "1✓"
    assert by_time["05-10 21:38"] == "2✓"
    assert by_time["05-10 21:56"] == "!"
    assert by_time["05-10 23:10"] == "1·"
    assert by_time["05-01 10:20"] == "3·"
    assert gutter.deepest(told) == ("2026-05-10T21:38:10.000+08:00", "add")
    assert gutter.deepest({}) is None


# --- the histogram ------------------------------------------------------------------------------------------------


def bins(events: Sequence[int], shown: Sequence[int] | None = None) -> Activity:
    return Activity(
        "hour",
        tuple(
            Bin(n, n + 1, f"{n:02}:00", count, count if shown is None else shown[n])
            for n, count in enumerate(events)
        ),
    )


def test_columns_are_exact_to_an_eighth_and_one_event_is_never_nothing() -> None:
    assert chart.bars(bins([16, 8, 1, 0, 16]), 19, 2, UNICODE) == [
        "16 ██          ██  ",
        " 0 ██ ██ ▁▁    ██  ",
    ]
    tall = chart.bars(bins([1000] + [1] * 3), 30, 4, ASCII)
    assert tall[-1].count("_") == 3 * 4


def test_what_is_not_shown_is_shaded() -> None:
    top, bottom = chart.bars(bins([8, 8, 8], [8, 4, 0]), 18, 2, UNICODE)
    assert top.split() == ["8", "████", "░░░░", "░░░░"]
    assert bottom.split() == ["0", "████", "████", "░░░░"]


def test_the_sign_stands_under_its_bin() -> None:
    drawn = bins([3] * 24)
    line = chart.axis(drawn, 80, UNICODE, 7)
    each = chart.column_cells(24, chart.room_for(80, 3))
    assert line.index("▲") == 2 + 7 * each
    assert width(line) == 80
    assert chart.axis(bins([0]), 10, UNICODE).strip() == ""
