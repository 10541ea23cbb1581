"""The demo's truths through the front door: every one that a report of today can find is found, no decoy is."""

from __future__ import annotations

import shlex
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.driver import Command
from workbench.demo import SMALLEST, write_demo

EVENTS = 60_000
"""Of the shop in which truths are sought that hold there; for the others a larger one is written."""
WAITS_FOR = {
    "report attribution",
    "report campaign",
    "report lifecycle",
    "report live",
    "report products",
    "report referrals",
    "report retention",
    "report search",
}
"""All that truths may wait for, as each says itself; nothing else may be left out of today's proof."""
Found = dict[str, Any]


def planted(folder: Path) -> dict[str, Found]:
    return {
        truth["id"]: truth for truth in tomllib.loads((folder / "truths.toml").read_text("utf-8"))["truth"]
    }


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Truths are named by the smallest shop: what is planted does not hang on the size, only how much."""
    if not {"found", "waiting"} & set(metafunc.fixturenames):
        return
    with tempfile.TemporaryDirectory() as folder:
        write_demo(Path(folder), events=SMALLEST)
        truths = planted(Path(folder))
    if "found" in metafunc.fixturenames:
        metafunc.parametrize("found", [name for name, truth in truths.items() if "waits" not in truth])
    else:
        metafunc.parametrize("waiting", [name for name, truth in truths.items() if "waits" in truth])


@pytest.fixture(scope="module")
def shop_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Found]]:
    """The folder in which a truth holds, and the truth there; a folder a size is written once."""
    root = tmp_path_factory.mktemp("shops")

    def written(events: int) -> Path:
        folder = root / str(events)
        if not folder.exists():
            write_demo(folder, events=events)
        return folder

    def of(name: str) -> tuple[Path, Found]:
        folder = written(EVENTS)
        smallest = planted(folder)[name]["smallest_events"]
        folder = folder if smallest <= EVENTS else written(smallest)
        return folder, planted(folder)[name]

    return of


def test_truths_wait_for_nothing_but_what_is_named_here(
    shop_for: Callable[[str], tuple[Path, Found]],
) -> None:
    folder, _ = shop_for("events")
    assert {truth["waits"] for truth in planted(folder).values() if "waits" in truth} == WAITS_FOR


def test_truth_is_found(
    workbench: Command, shop_for: Callable[[str], tuple[Path, Found]], found: str
) -> None:
    folder, truth = shop_for(found)
    program, *arguments = shlex.split(truth["command"])
    assert program == "workbench"
    if "expected_ids" in truth:
        people = workbench("-C", str(folder), *arguments).users
        assert people == sorted(truth["expected_ids"])
        for decoy in truth.get("decoy", []):
            assert set(people).isdisjoint(decoy.get("ids", []))
        return
    answer = workbench("-C", str(folder), *arguments, "--json").json
    assert truth["expected"]
    for expected in truth["expected"]:
        rows = answer["rows"] if expected["row"] else [answer["totals"]]
        row = {key: None if value == "null" else value for key, value in expected["row"].items()}
        matching = [one for one in rows if all(one.get(key) == value for key, value in row.items())]
        # A breakdown repeats the steps; a row that names no value means the total.
        matching = [one for one in matching if one.get("is_total", True)] or matching
        assert len(matching) == 1
        got, value = matching[0][expected["key"]], expected["value"]
        if value == "null":
            assert got is None
        else:
            assert abs(got - value) <= truth["tolerance"] * max(1, abs(value))


def test_what_waits_is_refused_by_name(
    workbench: Command, shop_for: Callable[[str], tuple[Path, Found]], waiting: str
) -> None:
    folder, truth = shop_for(waiting)
    kind, name = truth["waits"].split()
    asked = shlex.split(truth["command"])[1:]
    assert asked[0] == name if kind == "report" else f"--{kind} {name}" in truth["command"]
    ran = workbench("-C", str(folder), *asked)
    assert ran.code == 2
    assert ran.out == ""
    assert "yet" in ran.err or "no command" in ran.err
