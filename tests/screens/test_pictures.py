"""Four pictures, for what text cannot hold: colours, and how the parts of a screen stand out from each other.

`pytest tests/screens/test_pictures.py --snapshot-update` draws them anew; look at them before they are kept.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot

from queries.saved import request_of
from tests.screens.driver import Driver
from workbench import session
from workbench.app import WorkbenchApp

Compare = Callable[..., bool]
SIZE = (100, 30)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty people over ten days, in a folder whose name does not change; nothing of this machine around it."""
    folder = tmp_path / "shop"
    (folder / "data").mkdir(parents=True)
    lines = ["ts,event,user_id,channel"]
    for person in range(40):
        at, channel = (
            f"2026-03-{1 + person % 10:02}T{8 + person % 9:02}:{person:02}",
            ("app", "网页")[person % 2],
        )
        names = ["view", *["add"] * (person % 2 == 0), *["pay"] * (person % 6 == 0)]
        lines += [
            f"{at}:{20 * number:02}Z,{name},u{person:02},{channel}" for number, name in enumerate(names)
        ]
    (folder / "data" / "e.csv").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "workbench.toml").write_text(
        'schema = 1\ntimezone = "UTC"\n[[source]]\nname = "app"\npath = "data/*.csv"\n'
        '[roles]\nview = "view"\nadd = "add"\norder = "pay"\n',
        "utf-8",
    )
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("NO_COLOR", "TMUX", "WORKBENCH_ASCII", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    # What an answer cost stands in the status line.
    monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=time.sleep))
    monkeypatch.chdir(folder)
    return folder


def walked(walk: Callable[[Driver], Awaitable[None]]) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """The walk to a picture."""

    async def run_before(pilot: Pilot[Any]) -> None:
        d = Driver(pilot.app, pilot)  # type: ignore[arg-type]
        await d.settled()
        await walk(d)
        # Once more, for what is drawn only when the screen has its size.
        await d.settled()
        assert d.app.trail[-1].answer is not None, d.text()

    return run_before


async def overview(d: Driver) -> None:
    await d.press("tab")


async def funnel(d: Driver) -> None:
    d.app.open_screen("funnel", request_of("funnel", {"steps": ["view", "add", "pay"], "window": "7d"}))
    await d.settled()
    await d.press("j", "l", "l")


async def palette(d: Driver) -> None:
    await funnel(d)
    await d.press(":")
    await d.type("re")
    await d.press("down")


async def edited(d: Driver) -> None:
    d.app.open_screen("user", request_of("user", {"user": "u00"}))
    await d.settled()
    await d.press("j", "space", "*")
    await d.paste("amount >")
    await d.press("enter")


@pytest.mark.parametrize("walk", [overview, funnel, palette, edited], ids=lambda walk: walk.__name__)
def test_the_picture_is_as_it_was(
    walk: Callable[[Driver], Awaitable[None]], shop: Path, snap_compare: Compare
) -> None:
    assert snap_compare(WorkbenchApp(), terminal_size=SIZE, run_before=walked(walk))
