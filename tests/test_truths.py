"""The demo's truths through the front door: every one that a report of today can find is found, no decoy is."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.driver import Command
from workbench.demo import write_demo

EVENTS = 60_000
WAITING = {
    "many-visits-few-orders": "unit session",
    "cart-loss-web": "unit session",
    "payment-failure": "unit session",
    "missing-brand": "report search",
    "assists-seldom-closes": "report attribution",
    "costs": "report attribution",
    "identity": "report identity",
}
"""Truths whose report or rule is not built: each says what it waits for."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop") / "demo"
    write_demo(folder, events=EVENTS)
    return folder


def truths() -> Iterator[str]:
    yield from (
        "events",
        "forced-login",
        "forced-login-count",
        "missing-brand-searchers",
        "repurchase",
        "refunds",
    )


def planted(shop: Path) -> dict[str, dict[str, Any]]:
    return {truth["id"]: truth for truth in tomllib.loads((shop / "truths.toml").read_text("utf-8"))["truth"]}


def test_each_truth_is_found_or_known_to_wait(shop: Path) -> None:
    assert set(planted(shop)) == {*truths(), *WAITING}


@pytest.mark.parametrize("name", truths())
def test_truth_is_found(workbench: Command, shop: Path, name: str) -> None:
    truth = planted(shop)[name]
    assert truth["smallest_events"] <= EVENTS
    program, *arguments = shlex.split(truth["command"])
    assert program == "workbench"
    if "expected_ids" in truth:
        found = workbench("-C", str(shop), *arguments).users
        assert found == sorted(truth["expected_ids"])
        for decoy in truth.get("decoy", []):
            assert set(found).isdisjoint(decoy.get("ids", []))
        return
    answer = workbench("-C", str(shop), *arguments, "--json").json
    for expected in truth["expected"]:
        rows = answer["rows"] if expected["row"] else [answer["totals"]]
        matching = [
            row for row in rows if all(row.get(key) == value for key, value in expected["row"].items())
        ]
        # A breakdown repeats the steps; a row that names no value means the total.
        matching = [row for row in matching if row.get("is_total", True)] or matching
        assert len(matching) == 1
        assert abs(matching[0][expected["key"]] - expected["value"]) <= truth["tolerance"]


@pytest.mark.parametrize("name", sorted(WAITING))
def test_what_waits_is_refused_by_name(workbench: Command, shop: Path, name: str) -> None:
    truth = planted(shop)[name]
    ran = workbench("-C", str(shop), *shlex.split(truth["command"])[1:])
    assert ran.code == 2
    assert ran.out == ""
    assert "yet" in ran.err or "no command" in ran.err
