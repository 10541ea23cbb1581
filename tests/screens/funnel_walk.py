"""Walking the Funnel screen in tests: questions asked, fields and cells taken in hand, the command's answer beside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

from queries.funnel import answer
from queries.funnel_request import FunnelRequest, from_dict
from queries.question import Result
from screens.funnel import FunnelScreen
from tests.screens.driver import Driver
from workbench.dataset import Dataset, opened
from workbench.demo import write_demo
from workbench.runner import Task

STEPS = ["product_view", "add_to_cart", "checkout", "order_paid"]


def write_shop(folder: Path) -> Path:
    """A small demo with a segment of its own: ``app``."""
    write_demo(folder, events=20_000)
    segments = folder / "segments"
    segments.mkdir(exist_ok=True)
    (segments / "app.toml").write_text("schema = 1\nrule = \"platform = 'app'\"\n", "utf-8")
    return folder


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
    if frame(d).pane:
        await d.press("e")
    form: Any = frame(d).query_one("#form")
    form.go_to(name)
    assert form.current().name == name


async def to_cell(d: Driver, row: int, key: str) -> None:
    """Puts the cursor on a cell of the table."""
    grid = frame(d).grid
    grid.go_to(row, key)
    await d.settled()
    assert (grid.cursor_row, grid.cursor_key) == (row, key)


def run(walk: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(walk())  # type: ignore[arg-type]


def said(d: Driver) -> str:
    """The status line."""
    return d.lines()[-2].strip()
