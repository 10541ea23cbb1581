"""The Funnel screen by its keys: every figure the command's, every cell a door to exactly its people."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from queries.funnel import answer
from queries.funnel_request import FunnelRequest, from_dict
from queries.question import PeopleRequest, Result
from screens.funnel import FunnelScreen
from screens.funnel_options import OPTIONS
from tests.screens.driver import Driver, driver
from tests.screens.forms import write_hostile
from workbench.dataset import Dataset, opened
from workbench.demo import write_demo
from workbench.output.cells import cell
from workbench.runner import Task
from workbench.text import width

STEPS = ["product_view", "add_to_cart", "checkout", "order_paid"]
SIZES = [(80, 24), (60, 15), (160, 50)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("funnel") / "shop"
    write_demo(folder, events=20_000)
    segments = folder / "segments"
    segments.mkdir(exist_ok=True)
    (segments / "app.toml").write_text("schema = 1\nrule = \"platform = 'app'\"\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hostile(tmp_path_factory.mktemp("funnel") / "odd")


def made(**saved: object) -> FunnelRequest:
    return from_dict({"steps": STEPS, **saved})


def asked(folder: Path, request: FunnelRequest) -> tuple[Dataset, Result]:
    """The question as the command asks it, without a screen."""
    with chdir(folder):
        data = opened(request.scope, Task())
        return data, answer(request, data)


def frame(d: Driver) -> FunnelScreen:
    found = d.app.trail[-1]
    assert isinstance(found, FunnelScreen), d.text()
    return found


async def ask(d: Driver, **saved: object) -> FunnelScreen:
    """Opens the screen on a funnel."""
    d.app.open_screen("funnel", made(**saved))
    await d.settled()
    return frame(d)


async def write(d: Driver, text: str) -> None:
    """Replaces what stands in the prompt, and commits it."""
    await d.press("ctrl+e", "ctrl+u")
    await d.paste(text)
    await d.press("enter")


async def to_field(d: Driver, name: str) -> None:
    """Takes a field of the form in hand."""
    screen = frame(d)
    if screen.pane:
        await d.press("e")
    names = [field.name for field in screen.form()]
    form: Any = screen.query_one("#form")
    steps = names.index(name) - form.place
    if steps:
        await d.press(*(["j" if steps > 0 else "k"] * abs(steps)))


async def to_cell(d: Driver, row: int, key: str) -> None:
    """Puts the cursor on a cell of the table, by keys."""
    grid = frame(d).grid
    await d.press("g", "g", *["j"] * row)
    await d.press("home")
    for _ in range(30):
        if grid.cursor_key == key:
            return
        await d.press("l")
    raise AssertionError(f"no column {key}")


def run(walk: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(walk())  # type: ignore[arg-type]


def said(d: Driver) -> str:
    """The status line."""
    return d.lines()[-2].strip()


# --- the figures ---------------------------------------------------------------------------------------------------

ASKED: list[dict[str, Any]] = [
    {},
    {"by": "channel", "top": 3},
    {"by": "channel", "top": 40},
    {"trend": "week"},
    {"trend": "month", "from": "2026-03-01", "to": "2026-03-31"},
    {"compare": "previous", "last": "30d"},
    {"compare": "app", "by": "channel", "top": 2},
    {"as": "all"},
    {"as": "mixpanel", "by": "platform"},
    {"order": "any"},
    {"optional": [2, 3]},
    {"entry": "every", "unit": "session"},
    {"mature": True, "window": "1d"},
    {"steps": STEPS[:1]},
    {"steps": (STEPS * 8)[:30]},
    {"steps": ["no_such_event", "order_paid"]},
    {"from": "2020-01-01", "to": "2020-01-02"},
    {"hold": "platform"},
    {"steps": ["product_view|" + "x" * 70, "order_paid: amount > 1 and platform in ('app', 'web', 'mini')"]},
]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_figure_on_the_screen_is_the_commands(shop: Path, size: tuple[int, int]) -> None:
    async def walk() -> None:
        async with driver(shop, size=size) as d:
            for saved in ASKED:
                screen = await ask(d, **saved)
                _, result = asked(shop, made(**saved))
                table = screen.grid.table
                assert table is not None and screen.answer is not None, d.text()
                assert [dict(row) for row in screen.answer.result.rows] == [dict(row) for row in result.rows]
                wanted = [[cell(row, shown) for shown in result.layout] for row in result.rows]
                assert table.texts(0, len(table)) == wanted, saved
                in_picture(d, wanted, saved)
                assert all(width(line) <= size[0] for line in d.lines())

    run(walk)


def in_picture(d: Driver, wanted: list[list[str]], saved: dict[str, Any]) -> None:
    """The first rows stand under each other, with as many of their cells as the width has room for."""
    lines = d.lines()
    top = next(place for place, line in enumerate(lines) if re.search(r"# +step ", line))
    for line, row in zip(lines[top + 1 : top + 3], wanted, strict=False):
        seen = re.sub(r"[█▏▎▍▌▋▊▉░]", " ", line).split()
        texts = " ".join(row).split()
        if "…" not in lines[top]:
            assert seen == texts, (saved, line)
        elif "…" not in line:
            assert seen == texts[: len(seen)] and len(seen) > 3, (saved, line)


def test_bars_in_the_table_and_below_show_the_same_shares(shop: Path) -> None:
    async def walk() -> None:
        for size in SIZES:
            async with driver(shop, size=size) as d:
                screen = await ask(d)
                rows = [dict(row) for row in screen.answer.result.rows] if screen.answer else []
                drawn = [line for line in d.lines() if "█" in line and any(step in line for step in STEPS)]
                assert len(drawn) == 4
                solid = [line.count("█") for line in drawn]
                assert [round(one / solid[0], 1) for one in solid] == [
                    round(float(str(row["rate_from_first"])), 1) for row in rows
                ]
                assert any("░ may still come" in line for line in d.lines())

    run(walk)


def test_the_histogram_and_the_times_stand_under_the_table(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop, size=(160, 50)) as d:
            screen = await ask(d)
            assert screen.answer is not None
            totals, rows = screen.answer.result.totals, screen.answer.result.rows
            assert f"time to convert: {totals['converted']} people, median" in d.text()
            shown = d.line("time to convert").index("time from step 1")
            assert "25 %  median" in d.text()
            assert cell(rows[3], screen.answer.result.layout[-1]) in d.text()
            table = next(
                place for place, line in enumerate(d.lines()) if "order_paid " in line and "█" in line
            )
            assert "time to convert" in d.lines()[table + 2], "the chart stands right below a short table"
            assert shown > 70
            screen = await ask(d, trend="week", by="channel")
            line = d.line("order_paid, % of step 1 by week: (all)")
            assert "time to convert: (all)" in line
            await d.press("G")
            last = screen.grid.current_row()
            assert last is not None
            assert f"• (all)  × {last['breakdown'] or '(other)'}" in d.text()

    run(walk)


def test_warnings_stand_whole_under_the_table(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            await ask(d, steps=["product_view", "add_to_basket_by_mistake", "order_paid"])
            assert "! no event is named 'add_to_basket_by_mistake' (step 2)" in " ".join(d.text().split())

    run(walk)


# --- doors ------------------------------------------------------------------------------------------

DOORS: list[dict[str, Any]] = [
    {},
    {"by": "channel", "top": 2},
    {"by": "channel", "top": 2, "trend": "month", "last": "60d"},
    {"compare": "previous", "last": "30d", "by": "platform"},
    {"compare": "app", "trend": "month"},
    {"as": "all"},
    {"optional": [2]},
]
FIGURES = {
    "users": "users", "rate_from_first": "users", "ci_from_previous_low": "users", "dropped": "dropped",
    "open": "open", "seconds_from_previous_median": "users", "event": "users", "breakdown": "users",
    "difference": "users", "verdict": "users",
}  # fmt: skip


@pytest.mark.parametrize("saved", DOORS, ids=lambda saved: " ".join(saved) or "plain")
def test_behind_every_figure_are_as_many_people(shop: Path, saved: dict[str, Any]) -> None:
    rng = random.Random(str(saved))

    async def walk() -> None:
        async with driver(shop, size=(160, 50)) as d:
            screen = await ask(d, **saved)
            assert screen.answer is not None
            keys = {shown.key for shown in screen.answer.result.layout}
            rows = screen.answer.result.rows
            for key in sorted(keys & set(FIGURES)):
                place = rng.randrange(min(len(rows), 40))
                screen.grid.go_to(place, key)
                door = screen.door()
                await d.press("enter")
                people = d.app.trail[-1]
                assert people is not screen, (key, d.text())
                assert people.answer is not None and door is not None, d.text()
                assert len(people.answer.result.rows) == rows[place][FIGURES[key]], (key, place, door)
                assert d.lines()[0].strip().startswith(f"people {door.title}"[:120])
                data, result = asked(shop, made(**saved))
                same = data.people_of(result, PeopleRequest(made(**saved), door.cell)).rows
                assert {row["user"] for row in people.answer.result.rows} == {row["user"] for row in same}
                await d.press("q")

    run(walk)


def test_side_by_side_every_figure_is_a_door(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop, size=(160, 50)) as d:
            screen = await ask(d, compare="previous", last="30d")
            await d.press("v")
            assert screen.looks == "sides"
            table = screen.grid.table
            assert table is not None
            assert [shown.heading for shown in table.columns] == [
                "#",
                "step",
                "current",
                "difference",
                "previous",
            ]
            for key, cohort in (("side:0", "current"), ("difference:0", "current"), ("side:1", "previous")):
                await to_cell(d, 1, key)
                (row,) = (
                    (one for one in screen.answer.result.rows if one["step"] == 2 and one["cohort"] == cohort)
                    if screen.answer
                    else ()
                )
                door = screen.door()
                assert door is not None and door.cell == f"reached:2@{cohort}"
                await d.press("enter")
                people = d.app.trail[-1].answer
                assert people is not None and len(people.result.rows) == row["users"]
                await d.press("q")
            assert screen.looks == "sides"
            assert f"{row['users']}" in d.line("add_to_cart")
            await d.press("s")
            assert "the steps stand in their order" in said(d)

    run(walk)


def test_sessions_lead_to_the_people_behind_them(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d, unit="session", entry="every")
            await to_cell(d, 1, "users")
            figure = int(screen.grid.cell_text().replace(",", ""))
            await d.press("enter")
            people = d.app.trail[-1].answer
            assert people is not None and 0 < len(people.result.rows) <= figure
            assert "of the attempts of sessions that reached step 2 add_to_cart" in d.lines()[0]

    run(walk)


def test_who_left_a_step_out_is_not_taken_for_who_passed_it(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop, size=(160, 50)) as d:
            screen = await ask(d, optional=[2])
            await to_cell(d, 1, "skipped")
            assert screen.door() is None
            await d.press("enter")
            assert d.app.trail[-1] is screen
            assert "not listed" in said(d)

    run(walk)


def test_the_people_of_a_figure_are_saved_by_name(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d)
            await to_cell(d, 1, "dropped")
            figure = screen.grid.cell_text()
            await d.press("S")
            await write(d, "lost_carts")
            assert f"saved {figure} people as lost_carts" in said(d)
            await d.press("q")
        assert (shop / "segments" / "lost_carts.toml").exists()
        async with driver(shop) as d:
            screen = await ask(d, compare="lost_carts")
            assert screen.answer is not None
            first = next(row for row in screen.answer.result.rows if row["cohort"] == "lost_carts")
            assert str(first["users"]) == figure
        (shop / "segments" / "lost_carts.toml").unlink()

    run(walk)


@pytest.mark.parametrize(
    ("saved", "row", "explained"),
    [
        ({}, 0, {}),
        ({"as": "all"}, 0, {}),
        ({"as": "all"}, 12, {"as": "mixpanel"}),
        ({"compare": "previous", "last": "30d"}, 0, {"last": "30d"}),
        ({"compare": "app"}, 4, {"compare": "app"}),
    ],
)
@pytest.mark.parametrize("key", ["dropped", "open"])
def test_explain_opens_on_who_stopped(
    shop: Path, saved: dict[str, Any], row: int, explained: dict[str, Any], key: str
) -> None:
    async def walk() -> None:
        async with driver(shop, size=(160, 50)) as d:
            screen = await ask(d, **saved)
            await to_cell(d, row, key)
            assert "E explain" in d.lines()[-1]
            figure = int(screen.grid.cell_text().replace(",", ""))
            await d.press("E")
            told = d.app.trail[-1]
            assert told.question == "explain", d.text()
            request: Any = told.request
            assert request.funnel == made(**explained)
            assert request.cell.startswith(f"{key}:1")
            assert told.answer is not None, d.text()
            reasons = [one for one in told.answer.result.rows if one["kind"] == "reason"]
            assert sum(int(str(one["users"])) for one in reasons) == figure

    run(walk)


def test_what_cannot_be_explained_says_why(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop, size=(160, 50)) as d:
            screen = await ask(d, compare="previous", last="30d")
            for row, key, why in (
                (0, "users", "put the cursor on a figure under dropped or open"),
                (5, "dropped", "one funnel is explained at a time"),
                (3, "dropped", "nobody stopped there"),
            ):
                await to_cell(d, row, key)
                await d.press("E")
                assert d.app.trail[-1] is screen
                assert why in said(d), d.text()

    run(walk)


# --- steps ------------------------------------------------------------------------------------------


def test_steps_are_added_moved_renamed_and_conditioned_in_place(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d, steps=["product_view", "order_paid"])
            await d.press("a")
            await d.type("add_to")
            assert re.search(r"▸ add_to_cart +\d", d.text()), d.text()
            await d.press("tab", "enter")
            assert steps(screen) == ["product_view", "add_to_cart", "order_paid"]
            await to_field(d, "step:1")
            await d.press("J")
            assert steps(screen) == ["product_view", "order_paid", "add_to_cart"]
            await d.press("K")
            await d.press("e")
            await d.paste(": platform = ")
            await d.settled()
            await d.press("'")
            assert "platform = 'app'" in d.text(), "the values of the property are offered"
            await d.paste("app'")
            await d.press("enter")
            assert steps(screen) == ["product_view", "add_to_cart: platform = 'app'", "order_paid"]
            await d.press("D")
            assert steps(screen)[1] == steps(screen)[2]
            await d.press("d", "u", "u")
            assert steps(screen) == ["product_view", "add_to_cart: platform = 'app'", "order_paid"]
            assert "add_to_cart: platform = 'app'" in d.text()

    run(walk)


def steps(screen: FunnelScreen) -> list[str]:
    assert screen.asked is not None
    return [str(step) for step in screen.asked.steps]


def test_names_complete_with_their_counts_quoted_where_they_must_be(odd: Path) -> None:
    async def walk() -> None:
        async with driver(odd) as d:
            screen = await ask(d, steps=["view"])
            await d.press("a")
            await d.type("x")
            assert re.search(r'"x: y" +\d+', d.text()), d.text()
            await d.press("tab", "enter")
            assert screen.asked is not None
            assert screen.asked.steps[1].events == ("x: y",)
            await d.press("a")
            await d.type("view: odd")
            await d.press("tab")
            assert screen.prompt.value == 'view: "odd name"'
            await d.press("escape", "b")
            await d.type("odd")
            await d.press("tab", "enter")
            assert screen.asked.scope.by == "odd name"
            assert "odd name" in d.text()
            figures = [row for row in screen.answer.result.rows if row["step"] == 1] if screen.answer else []
            assert sum(int(str(row["users"])) for row in figures[1:]) == figures[0]["users"]

    run(walk)


def test_options_stay_with_their_steps_and_what_cannot_is_said(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d, optional=[2, 3], step_windows={"3": "1h"})
            await to_field(d, "step:0")
            await d.press("a")
            await write(d, "session_start")
            assert screen.asked is not None
            assert screen.asked.optional == (3, 4) and dict(screen.asked.step_windows) == {4: 3_600_000}
            await to_field(d, "step:3")
            await d.press("d")
            assert screen.asked.optional == (3,) and not screen.asked.step_windows
            assert said(d).startswith("! left out: optional 4, step window 4=1h; u undoes")
            await d.press("u")
            assert screen.asked.optional == (3, 4)

    run(walk)


def test_a_step_that_is_none_is_refused_in_the_prompt(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d, steps=["product_view"])
            before = screen.request
            for text, why in (
                ("", "lacks an event name"),
                ('"open', "opens a quote"),
                ("a:", "ends after the colon"),
            ):
                await d.press("a")
                await write(d, text)
                assert screen.prompt.active and why in d.text(), d.text()
                await d.press("escape")
                assert screen.request == before
            await d.press("d")
            assert "a funnel needs a step" in said(d)
            screen = await ask(d, steps=(STEPS * 8)[:30])
            await d.press("a")
            await write(d, "order_paid")
            assert "at most 30 can be asked" in d.text()

    run(walk)


# --- options ------------------------------------------------------------------------------------------


def test_every_option_is_edited_stepped_and_put_back(shop: Path) -> None:
    written = {
        "window": "2h", "by": "channel", "compare": "app", "trend": "week", "as": "posthog", "top": "4",
        "step_windows": "2=1h 3=30m", "order": "strict", "entry": "first", "ties": "strict", "tolerance": "2s",
        "exclude": "login; login_prompt: reason = 'a;b'@1:2", "hold": "platform", "optional": "2 3",
        "range": "whole", "at": "step:2", "since": "first", "mature": "yes", "where": "platform = 'app'",
        "who": "did('login') > 0", "unit": "session",
    }  # fmt: skip

    async def walk() -> None:
        async with driver(shop, size=(100, 40)) as d:
            screen = await ask(d)
            defaults = made()
            for key in OPTIONS:
                await to_field(d, key)
                if key in written:
                    await d.press("e")
                    await write(d, written[key])
                    field = next(one for one in screen.form() if one.name == key)
                    assert (field.text, screen.prompt.active) == (written[key], False), (key, d.text())
                    assert screen.request == screen.answer.request if screen.answer else False
                    await d.press("d")
                    assert screen.request == defaults, key
                if OPTIONS[key].choices and key not in ("exclusion", "compare"):
                    now = next(one for one in screen.form() if one.name == key).text
                    place = OPTIONS[key].choices.index(now)
                    is_last = place + 1 == len(OPTIONS[key].choices)
                    await d.press("<" if is_last else ">")
                    wanted = OPTIONS[key].choices[place - 1 if is_last else place + 1]
                    assert next(one for one in screen.form() if one.name == key).text == wanted
                    await d.press("d")
                    assert screen.request == defaults, key
                elif not OPTIONS[key].choices:
                    await d.press(">")
                    assert "edited with e" in said(d)

    run(walk)


def test_what_cannot_be_asked_says_so_in_one_line(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d)
            before = screen.request
            await to_field(d, "compare")
            await d.press(">")
            assert screen.request == before
            assert re.search(r"! .*(range|--from|--last)", said(d)), said(d)
            assert "…" not in said(d), said(d)
            await to_field(d, "exclusion")
            await d.press(">")
            assert "needs an --exclude" in said(d) and screen.request == before
            for key, text, why in (("top", "many", "a number is wanted"), ("mature", "perhaps", "yes or no")):
                await to_field(d, key)
                await d.press("e")
                await write(d, text)
                assert screen.prompt.active and why in d.text()
                await d.press("escape")

    run(walk)


def test_a_question_that_fails_leaves_the_form_at_its_answer(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d)
            before = screen.request
            await d.press("b")
            await write(d, "no_such_property")
            assert screen.request == before
            assert said(d).startswith("!") and "no_such_property" in said(d)
            await d.press("X")
            await write(d, "platform = ")
            assert screen.request == before and said(d).startswith("!")

    run(walk)


def test_rules_and_filters_complete(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d)
            await d.press("X")
            await d.type("platf")
            await d.press("tab")
            assert screen.prompt.value == "platform"
            await d.paste(" = ")
            await d.settled()
            assert "platform = 'app'" in d.text()
            await d.paste("'app'")
            await d.press("enter")
            assert screen.asked is not None and screen.asked.scope.where == "platform = 'app'"
            assert screen.pane == 1
            await d.press("A")
            await d.paste("did('order_p")
            assert "did('order_paid'" in d.text()
            await d.press("tab")
            await d.paste(") = 0")
            await d.press("enter")
            assert screen.asked.scope.who == "did('order_paid') = 0"
            rows = screen.answer.result.rows if screen.answer else []
            assert rows[-1]["users"] == 0 and int(str(rows[0]["users"])) > 0

    run(walk)


# --- looks ------------------------------------------------------------------------------------------


def test_what_is_filtered_and_sorted_stays_so_on_the_way_back(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d, by="channel")
            await d.press("f")
            await write(d, "add_to_cart")
            await to_cell(d, 0, "users")
            await d.press("s")

            def shown() -> list[object]:
                table = screen.grid.table
                assert table is not None
                return [row["users"] for row in table.rows()]

            kept = shown()
            assert kept == sorted(kept, key=lambda users: -int(str(users)))
            assert len(kept) < len(screen.answer.result.rows if screen.answer else ())
            await d.press("enter")
            await d.press("q")
            assert shown() == kept
            await d.resize(160, 50)
            assert shown() == kept
            await d.press("v", "v")
            assert screen.looks == "chart" and shown() == kept
            await d.press("escape")
            assert len(shown()) == len(screen.answer.result.rows if screen.answer else ())

    run(walk)


def test_a_cursor_move_inside_a_group_draws_no_chart(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            screen = await ask(d, by="channel")
            drawn = screen._drawn
            await d.press("j")
            assert screen._drawn is drawn
            await d.press("j", "j", "j")
            assert screen._drawn is not drawn
            assert "share of step 1: direct" in d.text()

    run(walk)


def test_plain_signs_alone_where_the_terminal_has_no_others(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop, ascii_only=True, size=(160, 50)) as d:
            for saved in ({}, {"trend": "week"}, {"by": "channel"}):
                await ask(d, **saved)
                drawn = re.sub("[–…]", "", d.text())
                assert drawn.isascii(), [line for line in drawn.splitlines() if not line.isascii()]
                assert "####" in drawn

    run(walk)


def test_the_footer_offers_what_is_worth_it_here(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            await ask(d)
            assert "v view" not in d.lines()[-1]
            await ask(d, by="channel")
            assert "v view" in d.lines()[-1]
            await to_cell(d, 0, "dropped")
            assert "E explain" in d.lines()[-1]
            await d.press("home")
            assert "E explain" not in d.lines()[-1]

    run(walk)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Copies go nowhere."""
    monkeypatch.delenv("TMUX", raising=False)
    yield
