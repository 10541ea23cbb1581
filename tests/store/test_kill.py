"""Fault 92: whatever moment an import is killed at, the store is the old one or the new one, and answers are right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.kill_import import COMMITTED, Soak
from workbench.store.folder import store_folder


@pytest.fixture
def soak(tmp_path: Path) -> Iterator[Soak]:
    one = Soak(tmp_path, seed=3)
    yield one
    one.close()


def test_fault_092_an_import_killed_anywhere_leaves_a_whole_store_and_right_answers(soak: Soak) -> None:
    steps, seconds = soak.measured()
    assert steps > 40
    # The renaming that makes a store is the last; what is killed before it never is.
    assert soak.round(at=1, only="replace")
    assert soak.round(at=1, only="rename")
    assert soak.counts["seen"] == {"the old": 2}
    assert soak.round(at=1, only=COMMITTED)
    assert soak.counts["seen"] == {"the old": 2, "the new": 1}
    for number in range(1, 12, 3):
        assert soak.round(at=number, only="fsync")
    # How many steps there are depends on what changed.
    for number in range(5):
        soak.round(at=1 + number * (steps - 2) // 4)
    for number in range(4):
        soak.round(after=seconds * (number + soak.rng.random()) / 4)
    assert soak.kills >= 10
    assert soak.counts["seen"]["the old"] >= 6 and set(soak.counts["seen"]) == {"the old", "the new"}


def test_fault_092_the_first_import_killed_leaves_no_store_and_nothing_behind(soak: Soak) -> None:
    folder = store_folder(soak.shop.workspace)
    for at in (5, 40):
        with folder.writing() as writing:
            writing.drop()
        folder.clean()
        assert folder.reading() is None
        assert soak.run(at=at)["killed"]
        assert folder.reading() is None
        soak.check_answers(paths=("files", "lanes", "lanes"))
        soak.run()
        soak.check_done(soak.shop.named())


def test_fault_108_a_reader_goes_on_while_imports_are_killed_around_it(soak: Soak) -> None:
    with store_folder(soak.shop.workspace).reading() or pytest.fail("no store") as reading:
        before = soak.rows_of(reading.manifest)
        for at in (20, 45):
            soak.shop.change()
            assert soak.run(at=at)["killed"]
            assert reading.damage() is None
        soak.run()
        assert reading.damage() is None and soak.rows_of(reading.manifest) == before
    soak.check_done(soak.shop.named())
