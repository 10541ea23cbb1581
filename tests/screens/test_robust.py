"""Every screen and every popup over a hostile shop, at every size: rows 69 to 73, 98 and 100 of the faults."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path

import pytest

from screens.base import LEAST
from tests.screens import hostile
from tests.screens.driver import Driver, driver
from tests.screens.hostile_walk import everywhere, stands

SIZES = [(60, 15), (80, 24), (160, 50)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile.write(tmp_path_factory.mktemp("robust"))


@pytest.mark.parametrize("size", [(60, 15), (160, 50)], ids=str)
def test_fault_069_070_071_072_073_every_screen_stands_at_every_size(
    shop: Path, size: tuple[int, int]
) -> None:
    async def walk() -> list[str]:
        seen: list[str] = []

        async def look(where: str) -> None:
            await stands(d, where)
            seen.append(d.text())

        async with driver(shop, size=size) as d:
            await everywhere(d, look)
        return seen

    seen = "\n".join(asyncio.run(walk()))
    for shown in ("␛[31mpay", "[/red]", "[@click=app.quit", "下单了蔻驰", "␛]0;PWNED␇", "␛[31mRED"):
        assert shown in seen
    if size[1] >= 50:
        for shown in (
            "nul␀nul",
            "two␊lines␍cr␉tab␈bs",
            "CN👨👩👧👍",
            "한한",
            "aPWNEDb",
            "zalgo\u0335 ",
            "\ufffd31mC1",
        ):
            assert shown in seen


def test_the_start_screen_over_hostile_names(tmp_path: Path) -> None:
    for name in ("a [red]\x1b[31m.csv", "b\u202e\n下.csv", "[@click=app.quit].csv", "n" * 240 + ".csv"):
        (tmp_path / name).write_text("ts,event,user_id\n2026-03-01T00:00:00Z,view,u1\n", "utf-8")

    async def walk() -> None:
        for size in SIZES:
            async with driver(tmp_path, size=size) as d:
                await stands(d, "start")
                assert "␛[31m.csv" in d.text()
                for keys in ((":",), ("?",), ("Q",), ("G",)):
                    await d.press(*keys)
                    await stands(d, f"start {keys}")
                    await d.press("escape")
                await d.press("g", "g", "down", "down", "enter")
                await stands(d, "overview of a file")
                assert d.app.trail[-1].answer is not None, d.text()

    asyncio.run(walk())


# --- sizes ------------------------------------------------------------------------------------------------------

SMALL = "the terminal is too small"


@pytest.mark.parametrize("opened", ["overview", "funnel", "user", "check"])
def test_fault_098_too_small_says_so_and_nothing_is_lost(shop: Path, opened: str) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            d.app.open_screen(opened)
            await d.settled()
            await d.press("escape")
            whole = rested(d)
            for columns, rows in ((59, 15), (60, 14), (59, 14), (20, 5), (1, 1), (300, 14), (59, 100)):
                await d.resize(columns, rows)
                assert len(d.lines()) == rows
                said = " ".join(" ".join(d.lines()).split())
                assert (SMALL in said) == (columns >= 20), f"{columns}x{rows}: {said}"
                if columns >= 20:
                    assert f"{LEAST[0]}x{LEAST[1]}" in said
                await d.press("j", "k")
            await d.resize(60, 15)
            await stands(d, "the least size")
            assert SMALL not in d.text()
            await d.resize(80, 24)
            assert rested(d) == whole

    asyncio.run(walk())


def rested(d: Driver) -> str:
    """The picture without what a run costs, which the status line tells."""
    return re.sub(r"\d+\.\d\d s", "-", d.text())


def test_fault_098_a_storm_of_sizes(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            d.app.open_screen("funnel")
            await d.settled()
            for opened in (
                (),
                (":",),
                ("escape", "?"),
                ("escape", "p"),
                ("escape", "a", *"vie"),
                ("escape", "Q"),
            ):
                await d.press(*opened)
                for columns, rows in (
                    (200, 60),
                    (1, 1),
                    (20, 5),
                    (80, 3),
                    (5, 90),
                    (61, 15),
                    (300, 100),
                    (60, 15),
                    (2, 2),
                    (80, 24),
                ):
                    await d._pilot.resize_terminal(columns, rows)
                await d.settled()
                await stands(d, f"after the storm {opened}")
                await d.resize(20, 5)
                await d.resize(80, 24)
            await d.press("n")
            assert d.app.trail[-1].answer is not None

    asyncio.run(walk())


# --- without colour -----------------------------------------------------------------------------------------------


def test_fault_100_state_is_told_without_colour(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            d.app.open_screen("users")
            await d.settled()
            await d.press("space")
            assert d.lines()[3].startswith("●"), "a mark is a sign"
            await d.press("s")
            assert "▼" in d.lines()[2] or "▲" in d.lines()[2], "the sorted column has a sign"
            await d.press("e")
            assert sum("▸" in line for line in d.lines()) == 1, "the field in hand has a sign"
            await d.press("e", "ctrl+u")
            await d.paste("nowhere_to_be_found = 1")
            await d.press("enter")
            d.line("! ")  # what is wrong says so
            await d.press("escape", "escape", ":")
            assert sum(" ▸ " in line for line in d.lines()) == 1, "the line in hand has a sign"
            await d.type("compare")
            assert "! not on this screen" in d.text(), "what cannot be done has a sign"
            await d.press("escape", "Q")
            assert "▸ y" in d.text()
            await d.press("right")
            assert "▸ n" in d.text()
            await d.press("escape")
            d.app.open_screen("overview")
            await d.settled()
            first = cursors(d)
            assert set(first) == {"reverse", "underline"}
            assert first["reverse"] < first["underline"], "the cursor of the pane in hand is a block"
            await d.press("tab")
            assert cursors(d) == {"reverse": first["underline"], "underline": first["reverse"]}

    asyncio.run(walk())


def cursors(d: Driver) -> dict[str, int]:
    """On which line each kind of cursor stands, colours aside."""
    found = {}
    for y, strip in enumerate(d.app.screen._compositor.render_strips()):
        for segment in strip:
            if segment.style is not None and segment.text.strip():
                found |= {name: y for name in ("reverse", "underline") if getattr(segment.style, name)}
    return found


def test_fault_100_a_question_that_runs_is_told_in_words(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            d.app.open_screen("users")
            await d.settled()
            frame, answer = d.app.trail[-1], d.app.session.answer
            hold = threading.Event()

            def held(*args: object, **named: object) -> object:
                hold.wait(10)
                return answer(*args, **named)  # type: ignore[arg-type]

            d.app.session.answer = held  # type: ignore[method-assign, assignment]
            frame.do_run()
            await d._pilot.pause(0.4)
            shown, stale = d.text(), frame.grid.stale
            hold.set()
            await d.settled()
            assert stale
            assert "running" in shown
            assert "esc cancels" in shown
            assert "running" not in d.text()

    asyncio.run(walk())
