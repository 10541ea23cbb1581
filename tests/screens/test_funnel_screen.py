"""The Funnel screen's figures, bars and charts: all of them the command's, at every size."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from screens.funnel_rows import value_name
from tests.screens.driver import Driver, driver
from tests.screens.funnel_walk import (
    STEPS,
    ask,
    asked,
    made,
    run,
    to_cell,
    write,
    write_shop,
)
from workbench.output.cells import cell
from workbench.text import width


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("funnel") / "shop")


SIZES = [(80, 24), (60, 15), (160, 50)]
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
            for saved in ASKED if size == SIZES[0] else ASKED[1::3]:
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
                drawn = [line for line in d.lines() if re.match(r" *(\d +)?[a-z_]+ +█", line)]
                assert len(drawn) == 4
                solid = [line.count("█") for line in drawn]
                for one, row in zip(solid, rows, strict=True):
                    assert abs(one - solid[0] * float(str(row["rate_from_first"]))) <= 1
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
            screen.grid.bottom()
            await d.settled()
            last = screen.grid.current_row()
            assert last is not None
            legend = d.line("• (all)  × ")
            assert legend.split("×")[1].strip().startswith(value_name(last))

    run(walk)


def test_warnings_stand_whole_under_the_table(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            await ask(d, steps=["product_view", "add_to_basket_by_mistake", "order_paid"])
            assert "! no event is named 'add_to_basket_by_mistake' (step 2)" in " ".join(d.text().split())

    run(walk)


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
