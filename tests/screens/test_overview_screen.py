"""The Overview screen on pictures of plain text: its figures, its doors, its ranges, and terminals of all sizes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.screens.driver import Driver, driver

ROLES = '[roles]\norder = "paid"\nrefund = "refund"\nsearch = "search"\n'
BEGIN = datetime(2026, 3, 1, 12)


def workspace(folder: Path, roles: str = ROLES, event: str = "view") -> Path:
    """28 days: ten views a day, an order every second day; one event doubles on the last whole day."""
    rows = ["ts,event,user_id,amount,result_count,refund_amount"]
    for day in range(28):
        at = (BEGIN + timedelta(days=day)).isoformat()
        rows += [f'{at},"{event}",u{number},,,' for number in range(300 if day == 26 else 100)]
        rows += [f"{at},search,u{day},,{day % 2},"]
        rows += [f"{at},paid,u{day},12.50,,"] if day % 2 else [f"{at},refund,u{day},,,1.25"]
    rows += ["2026-03-28T12:30:00,,u1,,,"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "e.csv").write_text("\n".join(rows) + "\n", "utf-8")
    (folder / "workbench.toml").write_text(
        'schema = 1\n[[source]]\nname = "shop"\npath = "e.csv"\n[source.map]\n'
        + "".join(f'{name} = "{name}"\n' for name in rows[0].split(","))
        + roles,
        "utf-8",
    )
    return folder


def seen(folder: Path, look: Callable[[Driver], Coroutine[Any, Any, None]], **settings: Any) -> None:
    async def run() -> None:
        async with driver(folder, **settings) as d:
            await look(d)

    asyncio.run(run())


def row(d: Driver, figure: str) -> list[str]:
    """The words of a figure's row."""
    return next(line.split() for line in d.lines() if line.startswith(f" {figure} "))


def test_at_80_by_24_everything_is_in_sight(tmp_path: Path) -> None:
    async def look(d: Driver) -> None:
        text = d.text()
        assert " shop 3,056 rows, 1 file" in text
        assert "2026-03-01 12:00 to 2026-03-28 12:00 · as of 2026-03-28 12:00 · UTC" in text
        assert "300 people of 300 ids · ! 1 warning, 1 set aside" in text
        assert row(d, "events")[1] == "3,056" and row(d, "orders")[1] == "14"
        assert row(d, "revenue")[1] == "175.00" and row(d, "refunds")[1] == "17.50"
        assert row(d, "conversion")[1:3] == ["4.7", "%"] and row(d, "no_result_rate")[1:3] == ["50.0", "%"]
        ticks = row(d, "events")[2]
        assert len(ticks) == 28 and ticks[26] == "█" and set(ticks[:26]) == {"▃"}
        looks = d.lines()[d.lines().index(" what to look at") :]
        assert looks[1:4] == [
            " 1 rows without an event name set aside",
            " 2026-03-28 is known up to 12:00",
            ' "view" rose by 200 % on 2026-03-27: 300, 100 on 2026-03-26',
        ]

    seen(workspace(tmp_path), look)


def test_more_and_less_go_through_the_ranges_with_the_period_before(tmp_path: Path) -> None:
    async def look(d: Driver) -> None:
        assert "before" not in d.line("figure")
        await d.press(">", ">")
        assert "last 7d" in d.lines()[0]
        # 7 × 102 and the 200 more; before it 7 × 102.
        assert row(d, "events")[1:6] == ["914", "714", "▲", "28.0", "%"]
        assert row(d, "people")[1:6] == ["300", "100", "▲", "200.0", "%"]
        await d.press("<")
        assert "last 1d" in d.lines()[0]
        assert row(d, "events")[1:6] == ["102", "302", "▼", "66.2", "%"]
        await d.press("<", "<")
        assert "last 30d" in d.lines()[0] and "before" not in d.line("figure")
        await d.press("u")
        assert "all time" in d.lines()[0]

    seen(workspace(tmp_path), look)


def test_enter_opens_the_people_behind_a_figure_and_behind_the_one_before(tmp_path: Path) -> None:
    async def look(d: Driver) -> None:
        await d.press(">", "j", "j", "j", "j", "enter")
        # The 28th has the one order of u27; the 27th none.
        assert "people orders" in d.lines()[0]
        assert [line.split()[0] for line in d.lines() if line.startswith(" u")] == ["user", "u27"]
        await d.press("q", "k", "k", "k", "k", "l", "l", "enter")
        assert "people events before" in d.lines()[0]
        assert "300 rows" in d.text()

    seen(workspace(tmp_path), look)


def test_enter_on_what_to_look_at_opens_the_question_that_shows_it(tmp_path: Path) -> None:
    async def look(d: Driver) -> None:
        copied: list[str] = []
        d.app.copy_text = copied.append  # type: ignore[assignment,method-assign]
        await d.press("tab")
        assert "workbench check --only missing-events" in d.lines()[-2]
        await d.press("j", "j", "Y")
        assert copied == [
            "workbench funnel --step view --window none --entry every --trend day --from 2026-03-01 --to 2026-03-28"
        ]
        await d.press("enter")
        assert d.lines()[0].startswith(" funnel") and "2026-03-01 to 2026-03-28" in d.lines()[0]
        await d.press("q", "k", "k", "enter")
        assert d.lines()[0].startswith(" check") and "missing-events" in d.text()
        await d.press("0")
        assert d.lines()[0].startswith(" overview")

    seen(workspace(tmp_path), look)


def test_a_figure_that_cannot_be_told_says_why(tmp_path: Path) -> None:
    async def look(d: Driver) -> None:
        assert row(d, "orders") == ["orders", "–"]
        await d.press("j", "j", "j", "j", "enter")
        assert "the role order is not mapped" in d.lines()[-2]
        await d.press("s")
        assert "each has its own unit" in d.lines()[-2]
        await d.press("b")
        assert "not broken down" in d.lines()[-2]
        assert d.lines()[0].startswith(" overview")

    seen(workspace(tmp_path, roles=""), look)


def test_names_of_the_data_are_harmless(tmp_path: Path) -> None:
    async def look(d: Driver) -> None:
        assert "[red]x[/]" in d.text() and "\x1b" not in d.text() and "\u202e" not in d.text()
        await d.press("tab", "j", "j")
        assert "[red]x[/]" in d.lines()[-2]

    seen(workspace(tmp_path, event="[red]x[/]\u202e\x1b[2J"), look)


@pytest.mark.parametrize("size", [(60, 15), (100, 30), (200, 50)])
def test_other_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    async def look(d: Driver) -> None:
        assert row(d, "events")[1] == "3,056" and "what to look at" in d.text()
        assert "! 1 warning" in d.text()
        await d.press(">", ">")
        assert row(d, "events")[1:4] == ["914", "714", "▲"] or size[0] < 80
        await d.press("j", "j", "j", "j", "j", "j", "j", "j", "j")
        assert row(d, "no_result_rate")
        await d.resize(80, 24)
        assert row(d, "events")[1:4] == ["914", "714", "▲"] and len(row(d, "events")[-1]) == 7

    seen(workspace(tmp_path), look, size=size)


def test_plain_signs_where_the_terminal_has_no_others(tmp_path: Path) -> None:
    async def look(d: Driver) -> None:
        await d.press(">", ">")
        assert "\n".join(d.lines()[:-2]).isascii()
        assert row(d, "people")[1:5] == ["300", "100", "^", "200.0"]
        assert "1 set aside" in d.text()

    seen(workspace(tmp_path), look, ascii_only=True)


def test_an_export_without_an_event(tmp_path: Path) -> None:
    async def look(d: Driver) -> None:
        assert row(d, "events") == ["events", "0"] and row(d, "conversion") == ["conversion", "–"]
        await d.press("j", "j", "j", "enter")
        assert "nothing in scope" in d.lines()[-2]

    folder = workspace(tmp_path)
    (folder / "e.csv").write_text("ts,event,user_id,amount,result_count,refund_amount\n2026-03-01,view,,,,\n")
    seen(folder, look)
