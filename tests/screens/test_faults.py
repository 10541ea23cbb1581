"""What may go wrong while somebody works in the screens: rows 19, 97, 103, 104 and 105 of the faults."""

from __future__ import annotations

import asyncio
import importlib
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from queries import QUESTIONS
from queries.saved import request_of
from screens.base import Frame
from tests.screens.driver import Driver, driver
from tests.screens.forms import quick
from tests.screens.pty_driver import Terminal, environment, python
from workbench.app import screen_class
from workbench.keys import FREE, GLOBAL
from workbench.widgets.popup import Popup
from workbench.widgets.prompt import MAXIMUM


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace of 300 people who view, of whom every second adds and every third pays."""
    rows: list[tuple[str, str, str]] = []
    for person in range(300):
        at = f"2026-03-{1 + person % 20:02}T10:{person % 60:02}"
        rows.append((f"{at}:00Z", "view", f"u{person:03}"))
        rows += [(f"{at}:20Z", "add", f"u{person:03}")] * (person % 2 == 0)
        rows += [(f"{at}:40Z", "pay", f"u{person:03}")] * (person % 3 == 0)
    for name, suffix in (("data", "parquet"), ("staged", "csv")):
        (tmp_path / name).mkdir()
        write = {"parquet": pq.write_table, "csv": pa_csv.write_csv}[suffix]
        columns = dict(zip(("ts", "event", "user_id"), map(list, zip(*rows, strict=True)), strict=True))
        write(pa.table(columns), tmp_path / name / f"e.{suffix}")
    (tmp_path / "workbench.toml").write_text(
        'schema = 1\n[[source]]\nname = "s"\npath = "data/*.parquet"\n'
        '[roles]\nview = "view"\nadd = "add"\norder = "pay"\n'
    )
    return tmp_path


def play(folder: Path, walk: Callable[[Driver], Any], **settings: Any) -> None:
    async def played() -> None:
        async with driver(folder, **settings) as d:
            await walk(d)

    asyncio.run(played())


def rows(d: Driver) -> list[list[str]]:
    """What the table in hand shows."""
    table = d.app.trail[-1].grid.table
    assert table is not None
    return table.texts(0, len(table))


# --- 19: the files go ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["overview", "funnel", "events", "properties", "check", "identity", "users", "user"]
)
def test_fault_019_the_last_answer_stays_when_all_files_vanish(shop: Path, tmp_path: Path, name: str) -> None:
    async def walk(d: Driver) -> None:
        request = request_of("user", {"user": "u000"}) if name == "user" else None
        d.app.open_screen(name, request)
        await d.settled()
        frame = d.app.trail[-1]
        before = rows(d)
        assert before or name == "check"
        shutil.move(shop / "data", tmp_path / "gone")
        # What was kept of the files may still answer the same; listing them anew cannot.
        await d.press("r")
        assert rows(d) == before
        answer = frame.answer
        await d.press("R")
        assert rows(d) == before
        assert frame.answer is answer
        assert not frame.grid.stale
        said = d.lines()[-2]
        assert said.startswith(" ! "), d.text()
        assert "data" in said
        assert "this is a fault" not in said
        await d.press("j", "G", "p")
        assert isinstance(d.app.screen, Popup) or not before
        await d.press("escape")
        shutil.move(tmp_path / "gone", shop / "data")
        await d.press("R")
        assert frame.answer is not answer
        assert rows(d) == before
        assert " ! " not in d.lines()[-2][:4]

    play(shop, walk)


def test_fault_019_people_behind_a_figure_when_the_files_are_gone(shop: Path, tmp_path: Path) -> None:
    async def walk(d: Driver) -> None:
        d.app.open_screen("funnel")
        await d.settled()
        shutil.move(shop / "data", tmp_path / "gone")
        await d.press("enter")
        assert d.app.trail[-1].title_text().startswith("people")
        # Either they were counted already, or the line says what is missing.
        assert rows(d) if d.app.trail[-1].answer is not None else d.lines()[-2].startswith(" ! ")
        await d.press("q")
        assert rows(d)

    play(shop, walk)


# --- 97: a crash --------------------------------------------------------------------------------------------------


def test_fault_097_a_fault_on_the_worker_is_one_line_and_the_screen_goes_on(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def walk(d: Driver) -> None:
        d.app.open_screen("events")
        await d.settled()
        before = rows(d)

        def broken(*args: object, **named: object) -> object:
            raise ZeroDivisionError("-".join(("value", "of", "a", "person")))

        with monkeypatch.context() as patched:
            patched.setattr(d.app.session, "answer", broken)
            await d.press("r")
        assert "fault of workbench: ZeroDivisionError" in d.text()
        assert "value-of-a-person" not in d.text()
        assert rows(d) == before
        (log,) = (shop / ".home").rglob("last-fault.txt")
        assert "value-of-a-person" not in log.read_text("utf-8")
        assert log.stat().st_mode & 0o777 == 0o600
        await d.press("r")
        assert "fault of workbench" not in d.text()
        assert rows(d) == before

    play(shop, walk)


BROKEN = """
import sys
from screens.base import Frame
def show(self, answer):
    raise ZeroDivisionError("value-of-a-person")
Frame.show = show
from workbench.cli import main
main()
"""


def test_fault_097_a_fault_in_a_screen_ends_in_one_line(shop: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with Terminal(python(BROKEN), env=environment(home), cwd=shop) as terminal:
        terminal.wait_for("what to look at")
        terminal.send("6")
        assert terminal.ended() == 1
        assert terminal.is_as_before()
        assert b"value-of-a-person" not in terminal.sent
        said = terminal.text()
        assert "fault of workbench: ZeroDivisionError" in said
        assert "Traceback" not in said
        # A message and a hint; a long path takes lines of the terminal.
        assert re.findall("^(workbench|hint): ", said, re.MULTILINE) == ["workbench", "hint"]


# --- 103: pasting -------------------------------------------------------------------------------------------------

PASTED = "a\x1b[31mb\r\nc\td\n\x00e"
PROMPTS: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    "filter": ("users", (("f",),)),
    "find": ("users", (("/",),)),
    "break down": ("funnel", (("b",),)),
    "export": ("users", (("w",),)),
    "save report": ("users", (("W",),)),
    "save people": ("users", (("S",),)),
    "the last": ("users", (("t",), ("G", "enter"))),
    "from, to": ("users", (("t",), ("G", "up", "enter"))),
    "step": ("funnel", (("a",),)),
    "where": ("funnel", (("X",),)),
    "who": ("funnel", (("A",),)),
    "window": ("funnel", (("e",), ("j", "j", "j", "e"))),
    "option": ("funnel", (("e",), ("G", "e"))),
    "field": ("events", (("e",), ("e",))),
    "person": ("user", (("e",), ("e",))),
    "match": ("user", (("*",),)),
}  # fmt: skip


def test_fault_103_pastes_become_one_short_line_in_every_prompt(shop: Path) -> None:
    async def walk(d: Driver) -> None:
        for name, (screen, groups) in PROMPTS.items():
            d.app.open_screen(screen, request_of("user", {"user": "u000"}) if screen == "user" else None)
            await d.settled()
            for keys in groups:
                await quick(d, *keys)
                await d.settled()
            prompt = d.app.trail[-1].prompt
            assert prompt.active, f"{name}:\n{d.text()}"
            await quick(d, "ctrl+u")
            await d.paste(PASTED)
            assert prompt.value.replace("[31m", "") == "ab c d e", f"{name}: {prompt.value!r}"
            assert "pasted as one" in d.text(), f"{name}:\n{d.text()}"
            began = time.monotonic()
            await d.paste("大x\n" * 250_000)
            assert len(prompt.value) == MAXIMUM, name
            assert time.monotonic() - began < 3, name
            assert "\n" not in prompt.value
            assert f"cut to {MAXIMUM:,} characters" in d.text(), f"{name}:\n{d.text()}"
            await quick(d, "escape")
            assert not prompt.active
            await quick(d, "escape")

    play(shop, walk)


def test_fault_103_pastes_into_lists_that_filter_and_into_no_prompt_at_all(shop: Path) -> None:
    async def walk(d: Driver) -> None:
        await d.press(":")
        await d.paste("expo\nrt" * 100_000)
        assert isinstance(d.app.screen, Popup)
        await d.press("escape")
        before = d.text()
        # Nothing is asked: what is pasted is not taken for keys.
        await d.paste("QqQ\ny\n")
        assert d.text() == before

    play(shop, walk)


def test_fault_103_a_bracketed_paste_through_the_terminal(shop: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with Terminal([sys.executable, "-m", "workbench"], env=environment(home), cwd=shop) as terminal:
        terminal.wait_for("what to look at")
        terminal.send("gf")
        terminal.wait_for("300   100.0")
        terminal.send("a")
        terminal.wait_for("step 2")
        terminal.send(b"\x1b[200~view\r\n\tadd\nQy\x1b[201~")
        terminal.wait_for("pasted as one")
        terminal.send("\x1b")
        terminal.read(0.3, 1)
        terminal.send("Q")
        terminal.wait_for("Quit workbench?")
        terminal.send("y")
        assert terminal.ended() == 0


# --- 104: floods --------------------------------------------------------------------------------------------------


def test_fault_104_a_flood_of_arrows_ends_where_it_should(shop: Path) -> None:
    async def walk(d: Driver) -> None:
        d.app.open_screen("users")
        await d.settled()
        grid = d.app.trail[-1].grid
        began = time.monotonic()
        await quick(d, *["down"] * 2_000)
        assert grid.cursor_row == 299
        assert "300/300" in d.text()
        await quick(d, *["up"] * 400, *["down"] * 7)
        assert grid.cursor_row == 7
        assert time.monotonic() - began < 15

    play(shop, walk)


def test_fault_104_a_flood_of_changes_asks_one_question_at_a_time(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def walk(d: Driver) -> None:
        d.app.open_screen("funnel")
        await d.settled()
        frame, session = d.app.trail[-1], d.app.session
        first, asked, most, answer = frame.request, 0, 0, session.answer
        running = 0

        def counted(*args: Any, **named: Any) -> Any:
            nonlocal asked, most, running
            asked, running = asked + 1, running + 1
            most = max(most, running)
            try:
                time.sleep(0.05)
                return answer(*args, **named)
            finally:
                running -= 1

        monkeypatch.setattr(session, "answer", counted)
        await quick(d, *["<"] * 100, *[">"] * 97)
        assert most == 1
        assert 1 <= asked < 100, "an older question is forgotten when a newer one comes"
        assert frame.answer is not None
        assert frame.answer.request == frame.request
        assert not frame.grid.stale
        # The window of a week goes down to the first of all, and from there up as often as it was pressed.
        assert frame.form()[len(frame.request.steps)].text == "none"
        await quick(d, *["u"] * 300)
        assert frame.request == first
        assert frame.answer.request == first

    play(shop, walk)


def test_keys_that_arrive_together_go_where_each_belongs(shop: Path) -> None:
    async def walk(d: Driver) -> None:
        await quick(d, "g", "f")
        assert d.app.trail[-1].question == "funnel"
        assert not d.app.trail[-1].prompt.active
        await d.settled()
        await quick(d, "t", "G", "enter", *"3d", "enter")
        assert d.app.trail[-1].request.scope.last == "3d"
        await quick(d, ":", *"trend", "enter")
        assert d.app.trail[-1].request.trend == "day"
        await quick(d, "Q", "n", "t", "escape", "G")
        assert d.app.screen is d.app.trail[-1]

    play(shop, walk)


# --- 105: by keyboard alone -----------------------------------------------------------------------------------------


def screens() -> list[type[Frame]]:
    names = ["start", "overview", "people", *QUESTIONS]
    return list(dict.fromkeys(screen_class(name) for name in names))


@pytest.mark.parametrize("screen", screens(), ids=lambda screen: screen.__name__)
def test_fault_105_every_action_has_a_plain_key_and_is_in_the_palette(screen: type[Frame]) -> None:
    keymap = (
        screen.keymap
        if hasattr(screen, "keymap")
        else importlib.import_module("workbench.keys").Keymap(screen.local_actions)
    )
    taken: dict[str, str] = {}
    for action in keymap.actions:
        main = action.keys[0]
        plain = len(main) == 1 or main in ("enter", "tab", "escape", "space", "go go")
        assert plain, f"{action.name}: {main} is no plain key"
        assert main not in taken, f"{action.name} and {taken[main]}: {main}"
        taken[main] = action.name
        assert action.label
        assert action.help
    for action in screen.local_actions:
        assert action.keys[0] in FREE, f"{screen.__name__} rebinds {action.keys[0]}"
        assert hasattr(screen, f"do_{action.name}"), f"{screen.__name__} does not do {action.name}"
    known = {action.name for action in (*GLOBAL, *screen.local_actions)}
    assert set(screen.hinted) <= known


def test_fault_105_the_mouse_is_never_needed(shop: Path) -> None:
    """Every pane is reached by tab, every row and column by keys; clicks do nothing that keys do not."""

    async def walk(d: Driver) -> None:
        for name in ("overview", "funnel", "users", "user"):
            d.app.open_screen(name, request_of("user", {"user": "u000"}) if name == "user" else None)
            await d.settled()
            frame = d.app.trail[-1]
            seen = set()
            for _ in range(len(frame.grids()) + 1):
                seen.add(frame.pane)
                await quick(d, "tab")
            assert seen >= set(range(1, len(frame.grids()) + 1)), name
            await quick(d, *["tab"] * (0 if frame.pane else 1))
            keys = set()
            await quick(d, "@")
            for _ in range(30):
                keys.add(frame.grid.cursor_key)
                await quick(d, "l")
            assert frame.grid.table is not None
            assert {column.key for column in frame.grid.table.columns} <= keys or len(keys) >= 2, name
            for action in frame.keymap.actions:
                # Each can be done, or says why not.
                why = frame.why_not(action.name)
                assert why or hasattr(frame, f"do_{action.name}") or action.name.startswith("pin_"), (
                    f"{name}: {action.name}"
                )

    play(shop, walk, size=(160, 50))
