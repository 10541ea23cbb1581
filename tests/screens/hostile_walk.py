"""A walk over every screen and all that can lie over one, and what holds for each picture on the way."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable

from rich.cells import cell_len

from queries.saved import request_of
from tests.screens.driver import Driver
from tests.screens.forms import quick as sent
from workbench.glyphs import PLAIN
from workbench.text import width
from workbench.widgets.box import Popup

Look = Callable[[str], Awaitable[None]]
ABOVE = {
    "palette": ":", "help": "?", "go": "g", "range": "t", "history": "H", "reports": "o", "quit": "Q", "details": "p",
    "sql": "x", "break down": "b ch down", "find": "/ x", "filter": "f x", "export": "w", "save report": "W",
    "own range": "t G-up-enter", "the last": "t G-enter",
}  # fmt: skip
"""What lies over a screen, and the keys to it; blanks where the screen has to come first."""


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
            assert widget.region.y > 0
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


async def quick(d: Driver, *keys: str) -> None:
    """Presses keys all at once, and waits for what the screen in front asks."""
    await sent(d, *keys)
    await answered(d)


async def answered(d: Driver) -> None:
    """Waits until the screen in front has an answer, or says why not: it asks only once it is drawn."""
    for _ in range(100):
        frame = d.app.trail[-1]
        if frame.request is None or frame.answer is not None or frame._said[1] == "error":
            return
        await d.settled()


async def everywhere(d: Driver, look: Look) -> None:
    """Walks over every screen, and what can lie over it."""
    await look("overview")
    await quick(d, "tab")
    await look("overview, what to look at")
    await quick(d, "enter")
    await look("behind what to look at")
    for name in ("events", "properties", "check", "identity", "users"):
        d.app.open_screen(name)
        await answered(d)
        await look(name)
        assert d.app.trail[-1].answer is not None, name
        await quick(d, "e")
        await look(f"{name}, its form")
        await quick(d, "escape", "G", "$")
        await look(f"{name}, its last cell")
    d.app.open_screen("funnel")
    await answered(d)
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
    await answered(d)
    await look("explain")
    assert d.app.trail[-1].question == "explain", f"{d.app.trail[-1]._said} {d.app.screen}\n{d.text()}"
    await quick(d, "p")
    await look("explain, a row")
    await quick(d, "escape")
    await quick(d, "q")
    await answered(d)
    await quick(d, "enter")
    await answered(d)
    await look("user")
    assert d.app.trail[-1].question == "user"
    for keys in (("enter",), ("v",), ("v",), ("E",), ("e",), ("*",)):
        await quick(d, *keys)
        await look(f"user {keys}")
        await quick(d, "escape")
    d.app.open_screen("user", request_of("user", {"user": "[/red]", "kind": "user_id"}))
    await answered(d)
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
