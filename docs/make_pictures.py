"""Makes the pictures of the README's tour from the program itself: ``python docs/make_pictures.py``.

Writes the demo into a temporary folder, walks the tour with the keys the README names, and saves a picture of
the screen after each.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from workbench.app import WorkbenchApp

ROOT = Path(__file__).resolve().parents[1]
SIZE = (100, 30)
BEGIN, END = "<!-- tour -->", "<!-- /tour -->"
NAMED = ("enter", "tab", "esc", "space")
"""What stands in backticks and is a key, beside single characters; anything longer is typed."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A line of the tour: the keys pressed, as they are pressed, and the picture taken after them."""

    keys: tuple[str, ...]
    picture: Path | None


def tour() -> list[Stop]:
    """The tour as the README tells it."""
    text = (ROOT / "README.md").read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    stops = []
    for line in text.strip().splitlines()[2:]:
        keys, _, picture = (part.strip() for part in line.strip("|").split("|"))
        pressed = [key for item in re.findall("`([^`]+)`", keys) for key in _pressed(item)]
        found = re.search(r"\((.+)\)", picture)
        stops.append(Stop(tuple(pressed), ROOT / found[1] if found else None))
    return stops


def _pressed(item: str) -> list[str]:
    if item in NAMED or len(item) == 1:
        return [{"esc": "escape"}.get(item, item)]
    return ["space" if character == " " else character for character in item]


async def walk(shop: Path) -> None:
    """Walks the tour."""
    from workbench.app import WorkbenchApp

    with chdir(shop):
        app = WorkbenchApp()
        async with app.run_test(size=SIZE) as pilot:
            for stop in tour():
                for key in stop.keys:
                    await pilot.press(key)
                    await settled(app, pilot)
                await settled(app, pilot)
                if stop.picture is not None:
                    stop.picture.write_text(app.export_screenshot(title="workbench"), "utf-8")


async def settled(app: WorkbenchApp, pilot: Pilot[None]) -> None:
    """Waits until nothing runs and all is drawn."""
    for _ in range(2):
        await pilot.pause()
        while not app.session.idle:
            await pilot.pause(0.02)


def main() -> None:
    """Makes all pictures anew."""
    os.environ.pop("NO_COLOR", None)
    from workbench.demo import write_demo

    for stop in tour():
        if stop.picture is not None:
            stop.picture.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        shop = Path(place) / "shop"
        os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = place
        write_demo(shop)
        asyncio.run(walk(shop))


if __name__ == "__main__":
    main()
