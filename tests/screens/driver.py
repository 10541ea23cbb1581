"""The screens as tests drive them: keys go in, a picture of plain text comes out, without a terminal.

``async with driver(workspace) as d: await d.press("j", "enter"); assert "…" in d.text()``, inside ``asyncio.run``.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, chdir
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from workbench.app import WorkbenchApp

PATIENCE_SECONDS = 20.0


class Driver:
    """One open program."""

    def __init__(self, app: WorkbenchApp, pilot: Pilot[Any]) -> None:
        self.app = app
        self._pilot = pilot

    async def press(self, *keys: str) -> None:
        """Presses keys, named as Textual names them, or single characters as they are; then settles."""
        await self._pilot.press(*keys)
        await self.settled()

    async def start(self, *keys: str) -> None:
        """Presses keys and does not wait for what they set going."""
        await self._pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Types text, a key a character."""
        await self.press(*("space" if character == " " else character for character in text))

    async def paste(self, text: str) -> None:
        """Pastes, as a terminal with bracketed paste does."""
        from textual import events

        self.app.post_message(events.Paste(text))
        await self.settled()

    async def resize(self, columns: int, rows: int) -> None:
        """Makes the terminal another size."""
        await self._pilot.resize_terminal(columns, rows)
        await self.settled()

    async def settled(self) -> None:
        """Waits until nothing is asked and nothing is left to draw."""
        until = time.monotonic() + PATIENCE_SECONDS
        quiet = 0
        while quiet < 2:
            await self._pilot.pause()
            quiet = quiet + 1 if self.app.session.idle else 0
            if not quiet:
                assert time.monotonic() < until, f"never settled:\n{self.text()}"
                await asyncio.sleep(0.01)

    def text(self) -> str:
        """The picture: a line of text for each row of the terminal."""
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The rows of the terminal, without the spaces at their ends; popups stand on top of what is below."""
        strips = self.app.screen._compositor.render_strips()
        return [strip.text.rstrip() for strip in strips]

    def line(self, containing: str) -> str:
        """The first row that holds a text."""
        for line in self.lines():
            if containing in line:
                return line
        raise AssertionError(f"no line holds {containing!r}:\n{self.text()}")


@asynccontextmanager
async def driver(
    folder: Path,
    paths: Sequence[str] = (),
    *,
    size: tuple[int, int] = (80, 24),
    ascii_only: bool = False,
    **settings: Any,
) -> AsyncIterator[Driver]:
    """Opens the program as in ``folder``, over its workspace or over ``paths``, and waits for the first answer.

    The user's own folders (history, settings, caches) are inside ``folder``, apart from those of the machine.
    """
    homes = {name: str(folder / ".home") for name in ("HOME", *(f"XDG_{kind}_HOME" for kind in _KINDS))}
    before = {name: os.environ.get(name) for name in homes}
    os.environ.update(homes)
    try:
        with chdir(folder):
            app = WorkbenchApp(paths, ascii_only=ascii_only, **settings)
            async with app.run_test(size=size) as pilot:
                driven = Driver(app, pilot)
                await driven.settled()
                yield driven
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


_KINDS = ("CACHE", "STATE", "CONFIG", "DATA")
