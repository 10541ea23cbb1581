"""Whoever is found by hashes of ids is whom everybody's ids name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queries.question import QuestionError, Scope
from queries.user import UserRequest, answer
from workbench import person_rows
from workbench.dataset import Dataset, opened
from workbench.runner import Task
from workbench.store.folder import store_folder
from workbench.store.updating import update_store
from workbench.store.wanted import EVERY, want
from workbench.workspace import chosen

ROWS = (
    ("u1", "d1", "s1"), (None, "d1", "s1"), ("u1", "tablet", "s2"), ("u2", "tablet", "s3"), (None, "tablet", "s4"),
    ("null", "lone", "s5"), ("42", "d4", "s6"), ("u5", "42", "s7"), (None, "it's {place}", "s8"), ("u6", None, "s9"),
)  # fmt: skip
IDS = sorted({id for user, device, _ in ROWS for id in (user, device) if id} | {"nobody"})


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """One with a store of all columns, over people of whom some share a device."""
    users, devices, sessions = (list(column) for column in zip(*ROWS, strict=True))
    times = pa.array(
        [1_772_000_000_000 + 60_000 * place for place in range(len(ROWS))], pa.timestamp("ms", tz="UTC")
    )
    columns = {"ts": times, "event": ["view"] * len(ROWS), "user_id": users, "anonymous_id": devices}
    (tmp_path / "events").mkdir()
    pq.write_table(pa.table({**columns, "session_id": sessions}), tmp_path / "events" / "a.parquet")
    (tmp_path / "workbench.toml").write_text('[[source]]\nname = "shop"\npath = "events/*.parquet"\n')
    monkeypatch.chdir(tmp_path)
    want(store_folder(chosen((), None)).root, {EVERY})
    update_store(chosen((), None), Task())
    return opened(Scope(), Task())


def told(dataset: Dataset, id: str, kind: str | None) -> Any:
    """The rows and the ids of whom an id names, or why it names nobody."""
    try:
        got = answer(UserRequest(user=id, kind=kind), dataset)
    except QuestionError as error:
        return error.message
    return [dict(row) for row in got.rows], got.totals["profile"], got.totals["ids"]


def test_an_id_names_the_same_people_with_and_without_hashes(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [(id, kind) for id in IDS for kind in (None, "user_id", "anonymous_id")]
    found = [told(dataset, *one) for one in asked]
    assert dataset.by_person is not None
    monkeypatch.setattr(person_rows, "_MOST_NEAR", -1)
    assert dataset.neighbours("u1") is None
    assert found == [told(dataset, *one) for one in asked]
    monkeypatch.undo()
    shared = dict(zip(asked, found, strict=True))
    assert "names 2 people" in str(shared["tablet", None])
    # A device of two people, with the events between them, is told as such of either.
    assert {one["id"]: one["people"] for one in shared["u1", None][2]} == {"u1": 1, "d1": 1, "tablet": 2}
