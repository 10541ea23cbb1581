"""Every screen and every popup over a hostile shop, at every size: rows 69 to 73, 98, 100 and 101 of the faults."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import unicodedata
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from queries.saved import request_of
from screens.base import LEAST
from tests.screens import hostile
from tests.screens.driver import Driver, driver
from tests.screens.forms import quick
from tests.screens.pty_driver import Terminal, environment
from workbench.glyphs import PLAIN
from workbench.text import width
from workbench.widgets.box import Popup

SIZES = [(60, 15), (80, 24), (160, 50)]
Look = Callable[[str], Awaitable[None]]
ABOVE = {
    "palette": ":", "help": "?", "go": "g", "range": "t", "history": "H", "reports": "o", "quit": "Q", "details": "p",
    "sql": "x", "break down": "b ch down", "find": "/ x", "filter": "f x", "export": "w", "save report": "W",
    "own range": "t G-up-enter", "the last": "t G-enter",
}  # fmt: skip
"""What lies over a screen, and the keys to it; blanks where the screen has to come first."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile.write(tmp_path_factory.mktemp("robust"))


def looked(d: Driver, where: str, *, ascii_only: bool = False) -> None:
    """What holds for every picture: exactly as wide as the terminal, nothing in it that could do anything to it."""
    columns, rows = d.app.size
    strips = d.app.screen._compositor.render_strips()
    assert len(strips) == rows, where
    for strip in strips:
        text = strip.text
        # Two libraries of widths: Textual's lays out, wcwidth is nearer to what terminals do.
        assert cell_len(text) == width(text) == columns, f"{where}: {text!r}"
        odd = {
            char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        }
        assert not odd, f"{where}: {odd!r} in {text!r}"
        if ascii_only:
            assert not set(text) & set(PLAIN), f"{where}: {text!r}"
    if isinstance(d.app.screen, Popup):
        box = d.app.screen.body.region
        assert d.app.screen.region.contains_region(box.grow((1, 2, 1, 2))), f"{where}: {box}"
        for y in range(d.app.screen.rows):
            line = "".join(text for text, _ in d.app.screen.line(y))
            assert width(line) <= d.app.screen.cells, f"{where}: {line!r}"
        return
    frame = d.app.trail[-1]
    assert d.app.screen is frame, where
    assert "fault of workbench" not in frame._said[0], f"{where}: {frame._said}"
    for name, y in (("#title", 0), ("#status", rows - 2), ("#footer", rows - 1)):
        region = frame.query_one(name).region
        assert (region.x, region.y, region.width, region.height) == (0, y, columns, 1), (
            f"{where}: {name} {region}"
        )
    for widget in frame.query("#body, #body > *, #form, #prompt").results():
        if widget.display and widget.region:
            assert 0 < widget.region.y
            assert widget.region.bottom <= rows - 2, f"{where}: {widget} at {widget.region}"
    for widget in frame.query("#prompt > *, #form").results():
        # Whatever is asked is seen whole.
        if widget.display and frame.prompt.active and widget.id != "form":
            assert widget.region.height >= min(widget.virtual_size.height, 1), f"{where}: {widget}"
    assert d.lines()[0].strip(), where
    assert d.lines()[-1].strip(), where


async def stands(d: Driver, where: str, *, ascii_only: bool = False) -> None:
    """Looks as soon as everything is laid out."""
    for _ in range(20):
        try:
            looked(d, where, ascii_only=ascii_only)
        except AssertionError:
            await d.settled()
        else:
            return
    looked(d, where, ascii_only=ascii_only)


async def everywhere(d: Driver, look: Look) -> None:
    """Walks over every screen, and what can lie over it."""
    await look("overview")
    await quick(d, "tab")
    await look("overview, what to look at")
    await quick(d, "enter")
    await look("behind what to look at")
    for name in ("events", "properties", "check", "identity", "users"):
        d.app.open_screen(name)
        await d.settled()
        await look(name)
        assert d.app.trail[-1].answer is not None, name
        await quick(d, "e")
        await look(f"{name}, its form")
        await quick(d, "escape", "G", "$")
        await look(f"{name}, its last cell")
    d.app.open_screen("funnel")
    await d.settled()
    await look("funnel")
    funnel = d.app.trail[-1]
    await above(d, look)
    await quick(d, "v")
    await look("funnel, chart")
    await quick(d, "v", "T")
    await look("funnel, trend")
    await quick(d, "T", "T", "T", "c")
    await look("what to compare with")
    await quick(d, "escape")
    await quick(d, "b", *"channel", "enter")
    assert funnel.request.scope.by == "channel"
    await look("funnel, breakdown")
    await quick(d, "v")
    await look("funnel, side by side")
    await quick(d, "v", "u", "P")
    await look("funnel, peers")
    await quick(d, "P", "a", "down")
    await look("funnel, a step with completions")
    await quick(d, "down", "down", "down", "down", "down", "down", "down")
    await look("funnel, a completion further down")
    await quick(d, "escape", "e")
    await look("funnel, its form")
    await quick(d, "G", "escape")
    await quick(d, "enter")
    await look("people")
    await quick(d, "space", "s", "S")
    await look("people, saved as")
    await quick(d, "escape")
    await quick(d, "E")
    await d.settled()
    await look("explain")
    assert d.app.trail[-1].question == "explain"
    await quick(d, "p")
    await look("explain, a row")
    await quick(d, "escape")
    await quick(d, "q")
    await d.settled()
    await quick(d, "enter")
    await d.settled()
    await look("user")
    assert d.app.trail[-1].question == "user"
    for keys in (("enter",), ("v",), ("v",), ("E",), ("e",), ("*",)):
        await quick(d, *keys)
        await look(f"user {keys}")
        await quick(d, "escape")
    d.app.open_screen("user", request_of("user", {"user": "[/red]", "kind": "user_id"}))
    await d.settled()
    await look("user by id")


async def above(d: Driver, look: Look) -> None:
    """Every popup and prompt over the screen in front."""
    for name, keys in ABOVE.items():
        for part in keys.split():
            await quick(d, *(part.split("-") if "-" in part or part == "down" else part))
        await look(name)
        assert isinstance(d.app.screen, Popup) or d.app.trail[-1].prompt.active, name
        if name in ("palette", "help", "details", "sql", "history"):
            await quick(d, "pagedown", "down")
            await look(f"{name}, further down")
        await quick(d, "escape")
        assert not isinstance(d.app.screen, Popup), name


@pytest.mark.parametrize("size", SIZES, ids=str)
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


def test_fault_101_plain_signs_everywhere(shop: Path) -> None:
    async def walk() -> str:
        seen: list[str] = []

        async def look(where: str) -> None:
            await stands(d, where, ascii_only=True)
            seen.append(d.text())

        async with driver(shop, ascii_only=True) as d:
            await everywhere(d, look)
        return "\n".join(seen)

    seen = asyncio.run(walk())
    # The data keeps its characters, and SQL and names of products theirs; nothing else is left.
    assert "下单了蔻驰" in seen
    data = "下单了蔻驰属性大🇨🇳👨👩👧👍한❤�" + "".join(map(chr, range(0x2400, 0x2422)))
    ours = [
        line
        for line in seen.splitlines()
        if not re.sub("[" + data + "\u0300-\u036f漏斗分析½¥\xa0\u3000]", "", line).isascii()
    ]
    assert not ours, ours


def test_fault_101_a_terminal_without_utf8_gets_ascii_alone(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.ISO-8859-1")

    async def walk() -> str:
        seen: list[str] = []

        async def look(where: str) -> None:
            await stands(d, where)
            seen.append(d.text())
            assert d.text().isascii(), f"{where}:\n{d.text()}"

        async with driver(shop, ascii_only=None) as d:
            await everywhere(d, look)
            d.app.open_screen("funnel")
            await d.settled()
            await d.press("a")
            await d.paste("下单é")
            await look("what is typed")
            assert d.app.trail[-1].prompt.value == "下单é"
            # What is written for others has its characters.
            await d.press("escape", "w", "ctrl+u")
            await d.paste("out.md")
            await d.press("enter")
            assert "wrote" in d.text()
        return "\n".join(seen)

    seen = asyncio.run(walk())
    assert r"\u4e0b\u5355\u4e86\u853b\u9a70" in seen
    assert r"\u241b[31mpay" in seen
    assert "␛\\[31mpay" in (shop / "out.md").read_text("utf-8")
    (shop / "out.md").unlink()


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
            await d.type("redo")
            assert "! nothing to redo" in d.text(), "what cannot be done has a sign"
            await d.press("escape", "Q")
            assert "▸ y" in d.text()
            await d.press("right")
            assert "▸ n" in d.text()
            await d.press("escape")
            d.app.open_screen("overview")
            await d.settled()
            assert cursor_styles(d) == {"reverse"}
            await d.press("tab")
            assert cursor_styles(d) == {"reverse", "underline"}, (
                "the cursor of the pane not in hand is no block"
            )

    asyncio.run(walk())


def cursor_styles(d: Driver) -> set[str]:
    """How cursors are drawn, colours aside."""
    found = set()
    for strip in d.app.screen._compositor.render_strips():
        for segment in strip:
            if segment.style is not None and segment.text.strip():
                found |= {name for name in ("reverse", "underline") if getattr(segment.style, name)}
    return found


def test_fault_100_a_question_that_runs_is_told_in_words(shop: Path) -> None:
    async def walk() -> None:
        async with driver(shop) as d:
            d.app.open_screen("users")
            await d.settled()
            frame, answer = d.app.trail[-1], d.app.session.answer
            import threading

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


# --- in a terminal ------------------------------------------------------------------------------------------------


def started(shop: Path, home: Path, **env: str) -> Terminal:
    home.mkdir(exist_ok=True)
    around = {name: value for name, value in environment(home, **env).items() if value}
    return Terminal([sys.executable, "-m", "workbench"], size=(100, 30), env=around, cwd=shop)


def walked(terminal: Terminal) -> list[str]:
    """From the overview to a person and back, and out."""
    shown = [terminal.wait_for("what to look at")]
    for keys, wanted in (
        ("gf", "time to convert"), ("\r", "people who reached"), ("\r", "who --kind"), ("\r", "properties"), ("\x1b", ""),
        ("q", "people who reached"), ("o", "saved reports"), ("\x1b", ""), (":", "enter picks"), ("\x1b", ""), ("gd", "severity"),
        ("gb", ""), ("0", "what to look at"), ("=", ""),
    ):  # fmt: skip
        terminal.send(keys)
        terminal.read(0.2, 2)
        if wanted:
            shown.append(terminal.wait_for(wanted))
    terminal.send("Q")
    shown.append(terminal.wait_for("Quit workbench?"))
    terminal.send("y")
    assert terminal.ended() == 0
    assert terminal.is_as_before()
    return shown


def test_fault_069_071_nothing_of_the_data_works_on_the_terminal(shop: Path, tmp_path: Path) -> None:
    with started(shop, tmp_path / "home") as terminal:
        shown = walked(terminal)
        assert "PWNED" in "".join(shown)
        for bytes_ in hostile.FORBIDDEN:
            assert bytes_ not in terminal.sent, bytes_
        assert b"\x07" not in terminal.sent
        assert "␛]0;PWNED␇".encode() in terminal.sent


@pytest.mark.parametrize(
    ("name", "env"),
    [
        ("no colour", {"NO_COLOR": "1"}),
        ("16 colours", {"TERM": "xterm", "COLORTERM": ""}),
        ("C locale", {"LC_ALL": "C", "LANG": ""}),
        ("POSIX", {"LC_ALL": "POSIX"}),
        ("latin-1 streams", {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_fault_100_101_the_same_picture_in_every_terminal(
    shop: Path, tmp_path: Path, name: str, env: dict[str, str]
) -> None:
    with started(shop, tmp_path / "home", **env) as terminal:
        terminal.wait_for("what to look at")
        terminal.send("gf")
        shown = terminal.wait_for("time to convert")
        assert "view → ␛[31mpay" in shown
        assert "people who" not in shown
        terminal.send("\r")
        assert "people who" in terminal.wait_for("下单了蔻驰")
        if name == "no colour":
            colours = set(re.findall(rb"38;2;(\d+);(\d+);(\d+)", terminal.sent))
            assert all(red == green == blue for red, green, blue in colours)
        if name == "16 colours":
            assert b"38;2;" not in terminal.sent
            assert b"38;5;" not in terminal.sent


@pytest.mark.parametrize(
    "env",
    [{"LC_ALL": "de_DE.ISO-8859-1"}, {"LC_ALL": "zh_CN.GB18030"}],
    ids=str,
)
def test_fault_101_a_terminal_of_another_encoding_gets_ascii_alone(
    shop: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    with started(shop, tmp_path / "home", **env) as terminal:
        terminal.wait_for("what to look at")
        terminal.send("gf")
        assert "view -> \\u241b[31mpay" in terminal.wait_for("time to convert")
        # Bytes that are no UTF-8, as such a terminal sends them, are keys of nobody.
        terminal.send(b"\xe9\xc3")
        terminal.read(0.3, 1)
        terminal.send("Q")
        terminal.wait_for("Quit workbench?")
        terminal.send("y")
        assert terminal.ended() == 0
        assert all(byte < 0x80 for byte in terminal.sent), [byte for byte in terminal.sent if byte >= 0x80][
            :20
        ]
