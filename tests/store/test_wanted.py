"""Columns that a question missed are kept by the next import; answers are the same before and after."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queries import funnel, user
from queries.question import Scope
from queries.user import UserRequest
from workbench.dataset import Dataset, opened
from workbench.runner import Task
from workbench.store.folder import store_folder
from workbench.store.updating import update_store
from workbench.store.wanted import EVERY, MOST, path_of, want, wanted
from workbench.workspace import Workspace, chosen


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace of one file, with a property that no store keeps of itself."""
    rng = random.Random(3)
    rows = [
        {
            "ts": 1_772_000_000_000 + 1000 * number,
            "event": rng.choice(["view", "cart", "order"]),
            "user_id": f"u{rng.randrange(20)}",
            "value": rng.randrange(5),
        }
        for number in range(400)
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["ts"] = pa.array(columns["ts"], pa.timestamp("ms", tz="UTC"))
    (tmp_path / "events").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "events" / "a.parquet")
    (tmp_path / "workbench.toml").write_text('[[source]]\nname = "shop"\npath = "events/*.parquet"\n')
    monkeypatch.chdir(tmp_path)
    return chosen((), None)


def reached(dataset: Dataset) -> list[object]:
    """How many came how far by a condition on the property."""
    asked = funnel.request(("view: value = 3", "cart: value > 1"), "1h", dataset.scope)
    return [row["users"] for row in funnel.answer(asked, dataset).rows]


def test_a_column_that_was_missed_is_kept_by_the_next_import(shop: Workspace) -> None:
    before = reached(opened(Scope(), Task()))
    assert update_store(shop, Task()).manifest.columns == ()
    dataset = opened(Scope(), Task())
    missed = reached(dataset)
    assert dataset._read_files
    assert wanted(store_folder(shop).root) == {"value"}
    done = update_store(shop, Task())
    assert (done.manifest.columns, done.is_whole) == (("value",), True)
    dataset = opened(Scope(), Task())
    after = reached(dataset)
    assert not dataset._read_files
    assert before == missed == after
    # Nothing more is wanted, and nothing is read again.
    done = update_store(shop, Task())
    assert (done.new_files, done.is_whole) == (0, False)


def test_a_timeline_wants_every_column(shop: Workspace) -> None:
    update_store(shop, Task())
    asked = UserRequest(user="u7")
    dataset = opened(Scope(), Task())
    missed = [dict(row) for row in user.answer(asked, dataset).rows]
    assert dataset.by_person is None
    assert wanted(store_folder(shop).root) == {EVERY}
    update_store(shop, Task())
    dataset = opened(Scope(), Task())
    assert dataset.by_person == "events"
    assert [dict(row) for row in user.answer(asked, dataset).rows] == missed
    assert missed


def test_wishes_are_few_and_never_in_the_way(tmp_path: Path) -> None:
    root = tmp_path / "cache" / "store"
    want(root, {"a", "商品", 'quote"'})
    want(root, {"a"})
    assert wanted(root) == {"a", "商品", 'quote"'}
    want(root, {f"column {number}" for number in range(MOST)})
    assert wanted(root) == {"a", "商品", 'quote"'}
    for broken in (b"", b"{", b'{"a": 1}', b"\xff", b"[" * 100_000):
        path_of(root).write_bytes(broken)
        assert wanted(root) == frozenset()
    # A folder in the place of the file: nothing can be remembered.
    path_of(root).unlink()
    path_of(root).mkdir()
    want(root, {"a"})
    assert wanted(root) == frozenset()
