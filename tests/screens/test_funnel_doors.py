"""Every figure of the Funnel screen is a door to exactly the people it counts."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from queries.question import PeopleRequest
from tests.screens.driver import driver
from tests.screens.funnel_walk import (
    ask,
    asked,
    made,
    run,
    said,
    to_cell,
    write,
    write_shop,
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("funnel") / "shop")


DOORS: list[dict[str, Any]] = [
    {},
    {"by": "channel", "top": 2, "trend": "month", "last": "60d"},
    {"compare": "previous", "last": "30d", "by": "platform"},
    {"compare": "app", "trend": "month"},
    {"as": "all"},
]
FIGURES = {
    "users": "users", "ci_from_previous_low": "users", "dropped": "dropped", "open": "open", "event": "users",
    "breakdown": "users", "difference": "users",
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
            data, result = asked(shop, made(**saved))
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
                rows = screen.answer.result.rows if screen.answer else ()
                row = next(one for one in rows if one["step"] == 2 and one["cohort"] == cohort)
                door = screen.door()
                assert door is not None and door.cell == f"reached:2@{cohort}"
                await d.press("enter")
                people = d.app.trail[-1].answer
                assert people is not None and len(people.result.rows) == row["users"]
                await d.press("q")
            assert screen.looks == "sides"
            assert f"{row['users']}  " in d.line("2  add_to_cart")
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
            assert re.match(rf"saved {figure} people as (segment )?lost_carts", said(d)), said(d)
            await d.press("q")
        assert (shop / "segments" / "lost_carts.toml").exists()
        async with driver(shop) as d:
            screen = await ask(d, compare="lost_carts")
            assert screen.answer is not None
            first = next(row for row in screen.answer.result.rows if row["cohort"] == "lost_carts")
            assert str(first["users"]) == figure
        (shop / "segments" / "lost_carts.toml").unlink()

    run(walk)


EXPLAINED: list[tuple[dict[str, Any], int, dict[str, Any]]] = [
    ({}, 0, {}),
    ({"as": "all"}, 0, {}),
    ({"as": "all"}, 12, {"as": "mixpanel"}),
    ({"compare": "previous", "last": "30d"}, 0, {"last": "30d"}),
    ({"compare": "app"}, 4, {"compare": "app"}),
]
"""What is asked, the row in hand, and the one funnel that is explained."""


def test_explain_opens_on_who_stopped(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop, size=(160, 50)) as d:
            for number, (saved, row, explained) in enumerate(EXPLAINED):
                key = ("dropped", "open")[number % 2]
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
