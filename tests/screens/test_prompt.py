"""The input line: what keys do to it, what it shows, and what hostile text cannot do to it."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Static

from workbench.glyphs import ASCII, UNICODE, Glyphs
from workbench.widgets.prompt import MAXIMUM, Completion, Prompt, one_line, visible

NAMES = ("order_paid", "order_created", "order_refunded", "page_view")


class Line(App[None]):
    """A prompt above a status line, and a log of what reached the frame."""

    def __init__(self, glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self.glyphs = glyphs
        self.done: list[str] = []
        self.keys: list[str] = []
        self.walked: list[str] = []
        self.prompt = Prompt()

    def compose(self) -> ComposeResult:
        yield Static("body", id="body")
        yield self.prompt
        yield Static("status", id="status")

    def on_key(self, event: events.Key) -> None:
        # As a frame does: keys that had set out before the focus moved are the line's.
        if not self.prompt.take(event.key, event.character if event.is_printable else None):
            self.keys.append(event.key)

    def grid(self) -> list[str]:
        strips = self.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    def text(self) -> str:
        return "\n".join(self.grid()).rstrip()


def complete(value: str) -> list[Completion]:
    return [Completion(name, "event") for name in NAMES if value in name]


def run(
    play: Callable[[Line, Pilot[None]], Awaitable[None]],
    size: tuple[int, int] = (60, 15),
    glyphs: Glyphs = UNICODE,
) -> None:
    async def go() -> None:
        app = Line(glyphs)
        async with app.run_test(size=size) as pilot:
            await play(app, pilot)

    asyncio.run(go())


def test_nothing_is_shown_and_no_key_taken_while_nothing_is_asked() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        await pilot.press("j", "enter", "tab")
        assert app.keys == ["j", "enter", "tab"]
        assert app.text() == "body\nstatus"
        assert app.focused is None

    run(play)


def test_enter_commits_and_gives_the_keys_back() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask("window", "7", done=app.done.append, hint="7d, 2h, none")
        await pilot.press("d")
        assert app.text().splitlines() == ["body", "7d, 2h, none", "window 7d", "status"]
        await pilot.press("enter", "j")
        assert app.done == ["7d"] and app.keys == ["j"]
        assert not app.prompt.active and app.focused is None
        assert app.text() == "body\nstatus"

    run(play)


def test_keys_typed_before_the_focus_moved_are_the_lines() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask("name", done=app.done.append)
        app.set_focus(None)
        await pilot.press("q", "7", "enter")
        assert app.done == ["q7"] and app.keys == []

    run(play)


def test_escape_reverts_and_commits_nothing() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask("name", "kept", done=app.done.append, complete=complete)
        await pilot.press("x", "y", "escape")
        assert app.done == [] and not app.prompt.active and app.keys == []
        app.prompt.ask("name", "kept", done=app.done.append)
        await pilot.press("enter")
        assert app.done == ["kept"]

    run(play)


def test_cancel_and_suspend_reach_the_frame() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask("name", "a", done=app.done.append)
        await pilot.press("ctrl+c", "ctrl+z", "pagedown", "f5")
        assert app.keys == ["ctrl+c", "ctrl+z"] and app.prompt.active and app.prompt.value == "a"

    run(play)


def test_tab_takes_the_completion_and_commits_when_there_is_none_to_take() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask(
            "step", done=app.done.append, complete=complete, next=lambda: app.walked.append("next")
        )
        await pilot.press("p", "a", "g", "tab")
        assert app.prompt.value == "page_view" and app.prompt.active and app.done == []
        await pilot.press("tab")
        assert app.done == ["page_view"] and app.walked == ["next"]

    run(play)


def test_tab_walks_over_fields_that_were_not_touched() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        def ask() -> None:
            app.prompt.ask(
                "by",
                done=app.done.append,
                complete=complete,
                next=lambda: app.walked.append("next"),
                previous=lambda: app.walked.append("previous"),
            )

        ask()
        await pilot.pause()
        assert "order_paid" in app.text()
        await pilot.press("tab")
        ask()
        await pilot.press("shift+tab")
        assert app.done == ["", ""] and app.walked == ["next", "previous"]

    run(play)


def test_the_next_field_may_ask_at_once() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask(
            "one",
            done=app.done.append,
            next=lambda: app.prompt.ask("two", done=app.done.append),
        )
        await pilot.press("1", "tab", "2", "enter")
        assert app.done == ["1", "2"] and not app.prompt.active

    run(play)


def test_up_and_down_choose_and_come_back_to_what_was_typed() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask("step", done=app.done.append, complete=complete)
        await pilot.press("o", "r")
        assert app.text().splitlines()[2:5] == [
            "▸ order_paid      event",
            "  order_created   event",
            "  order_refunded  event",
        ]
        await pilot.press("down", "down", "down", "down")
        assert app.prompt.value == "order_refunded"
        await pilot.press("up")
        assert app.prompt.value == "order_created" and "▸ order_created" in app.text()
        await pilot.press("up", "up", "up")
        assert app.prompt.value == "or"
        await pilot.press("down", "down", "enter")
        assert app.done == ["order_created"]

    run(play)


def test_six_completions_are_in_sight_and_the_rest_is_counted() -> None:
    names = [f"event_{at:02d}" for at in range(30)]

    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask("step", done=app.done.append, complete=lambda value: [Completion(n) for n in names])
        await pilot.press("x")
        lines = app.text().splitlines()
        assert [line.strip() for line in lines[1:8]] == ["▸ event_00", *(names[1:6]), "1-6 of 30"]
        await pilot.press(*["down"] * 7)
        lines = app.text().splitlines()
        assert [line.strip() for line in lines[1:8]] == [*names[2:7], "▸ event_07", "3-8 of 30"]
        assert lines[8].strip() == "step event_07"

    run(play)


def test_what_check_says_is_shown_until_the_next_edit() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask(
            "window",
            "7x",
            done=app.done.append,
            check=lambda value: None if value.endswith("d") else f"no window: {value}",
            hint="7d",
        )
        await pilot.press("enter")
        assert "! no window: 7x" in app.text() and app.prompt.active and app.done == []
        await pilot.press("backspace")
        assert "no window" not in app.text() and "7d" in app.text()
        await pilot.press("d", "enter")
        assert app.done == ["7d"]

    run(play)


def test_the_lines_above_do_not_shrink_while_asked() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask("step", done=app.done.append, complete=complete)
        await pilot.press("o")
        at = app.grid().index("step o")
        await pilot.press("x")
        assert app.grid().index("step ox") == at
        assert "order" not in app.text()

    run(play)


def test_editing_keys_edit() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask("e", "order_paid: amount > 1", done=app.done.append)
        await pilot.press("ctrl+a", "delete", "X", "end", "backspace", "5", "left", "4", "home", "ctrl+d")
        assert app.prompt.value == "rder_paid: amount > 45"
        await pilot.press("end", "ctrl+w", "ctrl+w", "7", "ctrl+left", "ctrl+k")
        assert app.prompt.value == "rder_paid: "
        await pilot.press("ctrl+u", "支", "付", "enter")
        assert app.done == ["支付"]

    run(play)


def test_fault_103_a_paste_of_a_megabyte_with_newlines_is_one_capped_line() -> None:
    text = "first line\r\n\tsecond\x1b[31m\n" + "0123456789\n" * 100_000

    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask("name", done=app.done.append)
        await pilot.pause()
        app.post_message(events.Paste(text))
        await pilot.pause()
        assert app.prompt.value.startswith("first line second[31m 0123456789 0123456789")
        assert len(app.prompt.value) == MAXIMUM
        said = " ".join(app.text().split())
        assert "100,002 lines pasted as one" in said and "cut to 4,096 characters" in said
        assert app.prompt.active and app.done == []
        await pilot.press("z")
        assert len(app.prompt.value) == MAXIMUM and "cut to 4,096" in app.text()
        await pilot.press("backspace", "z", "enter")
        assert app.done[0].endswith("z") and "\n" not in app.done[0]

    run(play)


def test_a_paste_of_one_line_says_nothing() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask("name", "ab", done=app.done.append)
        await pilot.press("left")
        app.post_message(events.Paste(" order  paid \n"))
        await pilot.pause()
        assert app.prompt.value == "a order  paid b"
        assert app.text().splitlines() == ["body", "name a order  paid b", "status"]

    run(play)


HOSTILE = (
    "\x1b]0;owned\x07",
    "[/red]",
    "a\nb",
    "\u202etxt.exe",
    "é\u0301\u0301\u0301",
    "\x9b2J",
    "👩‍👩‍👧",
    "[link=x]y",
)


def longer(text: str, value: str) -> list[Completion]:
    return [Completion(value + text, text)]


def refused(text: str, value: str) -> str | None:
    return text if value.endswith("!") else None


def test_hostile_completions_values_and_errors_are_harmless_and_stay_what_they_are() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        for text in HOSTILE:
            app.prompt.ask(
                text,
                text,
                done=app.done.append,
                complete=partial(longer, text),
                check=partial(refused, text),
                hint=text,
            )
            await pilot.press("!", "enter")
            for row in app.grid():
                assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in row), row
            await pilot.press("backspace", "enter")
        assert app.done == list(HOSTILE)

    run(play)


def test_long_completions_show_their_ends_and_the_screen_keeps_its_width() -> None:
    texts = ["x" * 5000, "order_paid: " + "amount > 100 AND " * 10 + "channel", "支付" * 100]

    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask(
            "step" * 40, done=app.done.append, complete=lambda value: [Completion(t, "d" * 90) for t in texts]
        )
        await pilot.press("o")
        lines = app.grid()
        assert any(line.endswith("AND channel") and "…" in line for line in lines)
        assert len([line for line in lines if line.startswith("stepstep")]) == 1
        assert any(line.endswith(" o") for line in lines)
        assert app.grid().index("status") == 5

    run(play, glyphs=UNICODE)


def test_plain_signs() -> None:
    async def play(app: Line, pilot: Pilot[None]) -> None:
        app.prompt.ask("step", done=app.done.append, complete=complete, hint="a step")
        await pilot.press("o")
        assert app.text().isascii() and "> order_paid" in app.text()

    run(play, glyphs=ASCII)


@given(st.text())
def test_what_is_visible_is_a_character_for_every_character_and_harmless(value: str) -> None:
    seen = visible(value)
    assert len(seen) == len(value)
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp") for char in seen)
    assert visible(seen) == seen


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    line, _ = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in line)
