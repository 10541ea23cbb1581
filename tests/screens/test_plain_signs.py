"""ASCII mode on every screen, and a terminal that does not read UTF-8: rows 100 and 101 of the faults."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.screens import hostile
from tests.screens.driver import driver
from tests.screens.hostile_walk import everywhere, stands


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile.write(tmp_path_factory.mktemp("robust"))


def test_fault_101_plain_signs_everywhere(shop: Path) -> None:
    async def walk() -> str:
        seen: list[str] = []

        async def look(where: str) -> None:
            await stands(d, where, ascii_only=True)
            seen.append(d.text())

        async with driver(shop, ascii_only=True) as d:
            await everywhere(d, look)
        return "\n".join(seen)

    seen = asyncio.run(walk())
    # The data keeps its characters, and SQL and names of products theirs; nothing else is left.
    assert "下单了蔻驰" in seen
    data = "下单了蔻驰属性大🇨🇳👨👩👧👍한❤�" + "".join(map(chr, range(0x2400, 0x2422)))
    ours = [
        line
        for line in seen.splitlines()
        if not re.sub("[" + data + "\u0300-\u036f漏斗分析½¥\xa0\u3000]", "", line).isascii()
    ]
    assert not ours, ours


def test_fault_101_a_terminal_without_utf8_gets_ascii_alone(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.ISO-8859-1")

    async def walk() -> str:
        seen: list[str] = []

        async def look(where: str) -> None:
            await stands(d, where)
            seen.append(d.text())
            assert d.text().isascii(), f"{where}:\n{d.text()}"

        async with driver(shop, ascii_only=None) as d:
            await everywhere(d, look)
            d.app.open_screen("funnel")
            await d.settled()
            await d.press("a")
            await d.paste("下单é")
            await look("what is typed")
            assert d.app.trail[-1].prompt.value == "下单é"
            # What is written for others has its characters.
            await d.press("escape", "w", "ctrl+u")
            await d.paste("out.md")
            await d.press("enter")
            assert "wrote" in d.text()
        return "\n".join(seen)

    seen = asyncio.run(walk())
    assert r"\u4e0b\u5355\u4e86\u853b\u9a70" in seen
    assert r"\u241b[31mpay" in seen
    assert "␛\\[31mpay" in (shop / "out.md").read_text("utf-8")
    (shop / "out.md").unlink()
