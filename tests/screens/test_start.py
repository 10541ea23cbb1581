"""The first start, without a workspace: what is offered, what is taught, and that each offer opens."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.screens.driver import driver
from workbench.nearby import Nearby, nearby, size

ROWS = "ts,event,user_id\n2026-03-01T10:00:00Z,a,u1\n2026-03-01T10:05:00Z,b,u1\n"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a file, a folder of files, and what is no data."""
    (tmp_path / "tills.csv").write_text(ROWS)
    for name in ("a.csv", "b.jsonl", "deep/er/c.csv", ".hidden.csv", "readme.md"):
        path = tmp_path / "exports" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ROWS)
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_data_files_nearby(here: Path) -> None:
    bytes_ = len(ROWS)
    assert nearby(here) == [
        Nearby("tills.csv", 1, bytes_, ("CSV",), True),
        Nearby("exports/", 3, 3 * bytes_, ("CSV", "JSON"), True),
    ]


def test_looking_for_files_ends_in_time(here: Path) -> None:
    hurried = {each.path: each.told() for each in nearby(here, seconds=-1)}
    assert hurried["tills.csv"] == "CSV, 69 bytes"
    assert hurried["exports/"] == hurried["empty/"] == "not looked into: there is too much here"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_folders_that_cannot_be_read_are_left_out(here: Path) -> None:
    (here / "exports").chmod(0)
    try:
        assert [each.path for each in nearby(here)] == ["tills.csv"]
    finally:
        (here / "exports").chmod(0o700)


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (123_456, "123 kB"),
        (34_000_000, "34.0 MB"),
        (2e15, "2,000.0 TB"),
    ],
)
def test_sizes_as_people_read_them(count: int, told: str) -> None:
    assert size(count) == told


def test_it_offers_what_is_there(here: Path) -> None:
    async def run() -> None:
        async with driver(here) as d:
            shown = d.text()
            assert "the demo shop" in shown
            assert "tills.csv" in shown and "CSV, 69 bytes" in shown
            assert "3 files, CSV and JSON, 207 bytes" in d.line("exports/")
            assert "empty" not in shown and "readme" not in shown

    asyncio.run(run())


def test_five_keys_are_ticked_off_as_they_are_tried(here: Path) -> None:
    async def run() -> None:
        async with driver(here) as d:
            assert d.text().count("✓") == 0
            await d.press("j")
            assert d.line("down and up").startswith(" ✓ j k")
            assert d.line("tills.csv").startswith(" ▸")
            await d.press("question_mark")
            assert "choose what to open" in d.text()
            await d.press("escape")
            assert "✓ ?" in d.text()
            await d.press(":")
            await d.press("escape")
            await d.press("q")
            assert "Quit" in d.text()
            await d.press("n")
            assert d.text().count("✓") == 4
            await d.press("x")
            assert "nothing is open yet" in d.text()

    asyncio.run(run())


def test_files_open_as_they_lie(here: Path) -> None:
    async def run() -> None:
        async with driver(here) as d:
            await d.press("j", "enter")
            assert d.app.scope.data == ("tills.csv",)
            assert "tills.csv" in d.lines()[0]
            # Back leads to the offers, and nothing of what was open stays.
            await d.press("q")
            assert "what shall be opened" in d.text()
            assert d.app.scope.data == ()
            assert len(d.app.trail) == 1
            await d.press("enter" if "tills" in d.line("▸") else "j", "enter")
            assert "tills.csv" in d.lines()[0]

    asyncio.run(run())


def test_the_demo_is_written_and_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.start.DEMO_EVENTS", 5_000)

    async def run() -> None:
        async with driver(tmp_path) as d:
            assert "no data files here" in d.text()
            await d.press("enter")
            assert (tmp_path / "workbench-demo" / "workbench.toml").exists()
            assert d.app.workspace == tmp_path / "workbench-demo" / "workbench.toml"
            assert "workbench-demo" in d.lines()[0]

        async with driver(tmp_path) as d:
            assert "as it was written" in d.line("the demo shop")

    asyncio.run(run())


def test_writing_the_demo_can_be_stopped(tmp_path: Path) -> None:
    async def run() -> None:
        async with driver(tmp_path) as d:
            await d.start("enter")
            await d.press("escape")
            assert "cancelled" in d.text()
            assert not (tmp_path / "workbench-demo").exists()

    asyncio.run(run())


@pytest.mark.parametrize("columns_rows", [(60, 15), (80, 24), (200, 50)])
def test_it_fits(here: Path, columns_rows: tuple[int, int]) -> None:
    for number in range(40):
        (here / f"file-{number:02}.csv").write_text(ROWS)

    async def run() -> None:
        async with driver(here, size=columns_rows) as d:
            assert "every action by name" in d.text()
            await d.press("G")
            assert d.line("exports/").startswith(" ▸")
            assert all(len(line) <= columns_rows[0] for line in d.lines())

    asyncio.run(run())


def test_hostile_names_do_nothing(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2J[red]b[x].csv").write_text(ROWS)

    async def run() -> None:
        async with driver(tmp_path) as d:
            assert "a␛[2J[red]b[x].csv" in d.text()

    asyncio.run(run())


def test_fault_100_without_unicode_the_same_is_said(here: Path) -> None:
    async def run() -> None:
        async with driver(here, ascii_only=True) as d:
            await d.press("j")
            assert d.line("tills.csv").startswith(" >")
            assert d.line("down and up").startswith(" ok j k")
            assert d.text().isascii()

    asyncio.run(run())
