"""Makes the pictures of the README's tour from the program itself: ``python docs/make_pictures.py``.

Writes the demo into a temporary folder, walks the tour with the keys the README names, and saves a picture of
the screen after each.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import chdir
from pathlib import Path

FOLDER = Path(__file__).parent / "pictures"
SIZE = (100, 30)
STEP = "login_prompt: reason = 'coupon'"
TOUR: tuple[tuple[str | None, tuple[str, ...]], ...] = (
    ("overview", ()),
    ("funnel", ("1",)),
    ("explain", ("j", "$", "h", "h", "E")),
    (None, ("q", "a", *"view_cart", "enter", "j", "a", *"coupon_apply", "enter", "j")),
    (None, ("a", *STEP, "enter", "j", "j", "d", "k", "k", "k", "k", "k", "d", "<", "<", "<")),
    ("steps", ("g", "g", "j", "j", "j", "$", "h", "h")),
    ("people", ("enter",)),
    ("user", ("enter", "g", "g")),
)
"""A picture's name, None for none, and the keys pressed before it is taken."""


async def walk(shop: Path) -> None:
    """Walks the tour."""
    from workbench.app import WorkbenchApp

    with chdir(shop):
        app = WorkbenchApp()
        async with app.run_test(size=SIZE) as pilot:
            for name, keys in (("", ()), *TOUR):
                for key in keys:
                    await pilot.press({" ": "space"}.get(key, key))
                    while not app.session.idle:
                        await pilot.pause(0.02)
                while not app.session.idle:
                    await pilot.pause(0.02)
                await pilot.pause()
                if name:
                    # The text alone tells whether a picture changed: ids of styles are numbered anew each time.
                    (FOLDER / f"{name}.svg").write_text(app.export_screenshot(title="workbench"), "utf-8")


def main() -> None:
    """Makes all pictures anew."""
    os.environ.pop("NO_COLOR", None)
    from workbench.demo import write_demo

    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        shop = Path(place) / "shop"
        os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = place
        write_demo(shop)
        asyncio.run(walk(shop))


if __name__ == "__main__":
    main()
