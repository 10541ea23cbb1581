"""The demo's evening of 21:37, found in the screens by keyboard alone: the very keys of the README's tour."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from tests.screens.driver import driver
from workbench.demo import write_demo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pictures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_pictures", ROOT / "docs" / "make_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by its name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("story") / "shop"
    write_demo(folder)
    return folder


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 50)])
def test_the_forced_login_is_found_by_the_keys_of_the_tour(
    shop: Path, pictures: ModuleType, size: tuple[int, int]
) -> None:
    truths = tomllib.loads((shop / "truths.toml").read_text("utf-8"))["truth"]
    (truth,) = (one for one in truths if one["id"] == "forced-login")
    planted = sorted(truth["expected_ids"])
    seen: dict[str, list[str]] = {}

    async def walk() -> None:
        async with driver(shop, size=size) as d:
            for stop in pictures.tour():
                await d.press(*stop.keys)
                if stop.picture is not None:
                    seen[stop.picture.stem] = d.lines()
                if stop.picture is not None and stop.picture.stem == "steps":
                    assert int(d.app.trail[-1].grid.cell_text()) == len(planted) == 25
            assert d.app.trail[-1].question == "user"
            await d.press("q")
            assert d.lines()[0].strip().startswith("people who dropped after step 4")

    asyncio.run(walk())
    assert "what to look at" in "\n".join(seen["overview"])
    assert seen["funnel"][1].strip() == "product_view → add_to_cart → checkout → order_paid"
    prompts = next(line for line in seen["explain"] if "login_prompt" in line)
    assert re.search(r"118 +17\.5 %", prompts)
    wanted = "add_to_cart → view_cart → coupon_apply → login_prompt: reason = 'coupon' → order_paid"
    assert seen["steps"][1].strip()[:70] == wanted[:70]
    assert seen["steps"][2].strip() == "window 1d"
    shown = [name for name in planted if any(name in line for line in seen["people"])]
    assert len(shown) == min(len(planted), size[1] - 5)
    assert shown[0] in seen["user"][0]
    told = " ".join(line.strip() for line in seen["user"])
    assert re.search(r"! cart lost: \d pieces worth [\d,.]+; last known \S+ 21:54:", told)
    assert re.search(r"left \S+ 21:56:\d\d at login_prompt; the identity changed", told)


def test_the_pictures_of_the_tour_are_there(pictures: ModuleType) -> None:
    shown = [stop.picture for stop in pictures.tour() if stop.picture is not None]
    assert len(shown) >= 6
    for picture in shown:
        text = picture.read_text("utf-8")
        assert text.startswith("<svg")
        assert "workbench" in text
