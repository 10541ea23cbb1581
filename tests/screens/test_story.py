"""The demo's evening of 21:37, found in the screens by keyboard alone: the walk of the README's tour."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path

import pytest
from tests.screens.driver import driver

from workbench.demo import write_demo


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("story") / "shop"
    write_demo(folder, events=50_000)
    return folder


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_the_forced_login_is_found_by_keyboard_alone(shop: Path, size: tuple[int, int]) -> None:
    truths = tomllib.loads((shop / "truths.toml").read_text("utf-8"))["truth"]
    (truth,) = (one for one in truths if one["id"] == "forced-login")
    planted = sorted(truth["expected_ids"])

    async def walk() -> None:
        async with driver(shop, size=size) as d:
            # Overview → funnel of the shop's own roles → who dropped after the cart, and what they did instead.
            await d.press("1")
            assert "product_view → add_to_cart → checkout → order_paid" in d.text()
            await d.press("j", "$", "h", "h", "E")
            assert "login_prompt" in d.line("login_prompt")
            await d.press("q")
            # The suspicion as steps of its own: back in the funnel the cursor stands on add_to_cart.
            for text in ("view_c", "coupon_a", "login_p"):
                await d.press("a")
                await d.type(text)
                await d.press("tab")
                if text == "login_p":
                    await d.type(": reason = 'coupon'")
                await d.press("enter", "j")
            await d.press("j", "d", "k", "k", "k", "k", "k", "d")
            wanted = "add_to_cart → view_cart → coupon_apply → login_prompt: reason = 'coupon' → order_paid"
            assert d.line("add_to_cart →").strip().startswith(wanted[:70])
            await d.press("<", "<", "<")
            assert "window 1d" in d.text()
            # The people who dropped after the prompt, one of them, and where the cart went.
            await d.press("g", "g", "j", "j", "j", "$", "h", "h")
            assert int(d.app.trail[-1].grid.cell_text()) == len(planted)
            await d.press("enter")
            shown = [name for name in planted if any(name in line for line in d.lines())]
            assert len(shown) == min(len(planted), size[1] - 6)
            await d.press("enter")
            assert shown[0] in d.lines()[0]
            # The timeline opens where the funnel stopped; what came after stands above it, newest day first.
            assert re.search(r"21:56:\d\d .* login_prompt", d.text())
            await d.press("g", "g")
            told = " ".join(line.strip() for line in d.lines())
            assert re.search(r"! cart lost: \d pieces worth [\d,.]+; last known \S+ 21:54:", told)
            assert re.search(r"left \S+ 21:56:\d\d at login_prompt; the identity changed", told)
            # q leads back to the people.
            await d.press("q")
            assert d.lines()[0].strip().startswith("people who dropped after step 4")

    asyncio.run(walk())
