"""A damaged store never gives a wrong number: opening finds it, or the question is asked of the files, with a note."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kill_import import Shop, asked, imported
from queries.funnel import answer, request
from queries.question import Scope
from workbench import dataset as dataset_module
from workbench.dataset import Dataset
from workbench.limits import limits
from workbench.runner import Task
from workbench.session import Session
from workbench.store.folder import StoreFolder, remove, store_folder
from workbench.store.seals import seal
from workbench.verifying import VerifyRequest
from workbench.verifying import check as verified

KINDS = ("truncated", "emptied", "flipped", "deleted", "replaced")
NAMES = ("view", "cart", "order")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop whose store has two runs, the first with dead people."""
    shop = Shop(tmp_path_factory.mktemp("written"), random.Random(5))
    imported(shop.workspace)
    for _ in range(2):
        shop.add()
        imported(shop.workspace)
    return shop


@pytest.fixture
def shop(written: Shop, tmp_path: Path) -> Iterator[Shop]:
    """The same with a store of its own: damage is done to copies."""
    root = store_folder(written.workspace).root
    safe = tmp_path / "safe"
    root.rename(safe)
    shutil.copytree(safe, root)
    reseal(StoreFolder(root))
    yield written
    shutil.rmtree(root, ignore_errors=True)
    safe.rename(root)


def reseal(folder: StoreFolder) -> None:
    """Makes marks that of files as they are now, as if nobody had touched them since they were written."""
    for place in folder.root.glob("g*"):
        seal(place)


def parts(folder: StoreFolder) -> list[str]:
    """All files of a store that its manifest names."""
    manifest = folder.load()
    assert manifest is not None
    return sorted(manifest.sizes)


def damage(path: Path, kind: str) -> None:
    raw = bytearray(path.read_bytes())
    if kind == "truncated":
        os.truncate(path, len(raw) // 2)
    elif kind == "emptied":
        os.truncate(path, 0)
    elif kind == "deleted":
        path.unlink()
    elif kind == "replaced":
        path.unlink()
        path.write_bytes(bytes(len(raw)))
    else:
        for place in range(len(raw) // 2, len(raw) // 2 + 8):
            raw[place % len(raw)] ^= 0x55
        with path.open("r+b") as file:
            file.write(raw)


@pytest.fixture(scope="module")
def plain(written: Shop, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the files say."""
    return asked(replace(written.workspace, cache=tmp_path_factory.mktemp("none")))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_of_a_store_is_found_when_it_is_opened(shop: Shop, plain: Any, kind: str) -> None:
    folder = store_folder(shop.workspace)
    assert asked(shop.workspace) == (plain, ["store", "lanes", "lanes"])
    names = parts(folder)
    assert {Path(name).name for name in names} >= {
        "combos.parquet",
        "people.parquet",
        "lanes.bin",
        "lanes.json",
        "run-0.parquet",
        "dead-0.npy",
    }
    for name in [*names, "manifest.json", f"{names[0][:7]}/seal.json"]:
        kept = (folder.root / name).read_bytes()
        damage(folder.root / name, kind)
        assert folder.reading() is None, name
        assert folder.load() is None, name
        (folder.root / name).write_bytes(kept)
        reseal(folder)
    assert folder.load() is not None
    damage(folder.root / names[-1], kind)
    assert asked(shop.workspace) == (plain, ["files", "lanes", "lanes"])
    imported(shop.workspace)
    assert asked(shop.workspace) == (plain, ["store", "lanes", "lanes"])


def test_what_a_disk_damages_without_a_mark_is_found_by_reading_all_and_never_built_upon(shop: Shop) -> None:
    folder = store_folder(shop.workspace)
    for name in parts(folder):
        path = folder.root / name
        kept, safe = path.read_bytes(), {one: one.read_bytes() for one in folder.root.glob("g*/seal.json")}
        damage(path, "flipped")
        forge_marks(folder, safe)
        with folder.reading() or pytest.fail("the marks are right") as reading:
            assert reading.damage() == name
        assert folder.load() is None
        path.write_bytes(kept)
        reseal(folder)
    assert folder.load() is not None


def test_verify_reads_the_store_and_takes_a_damaged_one_away(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def told() -> list[str]:
        result, _ = verified(VerifyRequest(Scope()), shop.workspace, Task())
        return [note.text for note in result.notes if note.code == "store-damaged"]

    folder = store_folder(shop.workspace)
    name = next(name for name in parts(folder) if name.endswith("run-0.parquet"))
    assert told() == []
    safe = {one: one.read_bytes() for one in folder.root.glob("g*/seal.json")}
    damage(folder.root / name, "flipped")
    forge_marks(folder, safe)
    (text,) = told()
    assert name in text
    assert folder.reading() is None
    assert told() == []


def forge_marks(folder: StoreFolder, seals: dict[Path, bytes]) -> None:
    """Marks as they are now beside the hashes of before: what a failing disk leaves."""
    import json

    reseal(folder)
    for path, raw in seals.items():
        before, now = json.loads(raw), json.loads(path.read_bytes())
        path.write_text(json.dumps({name: [*now[name][:4], before[name][4]] for name in now}))


def broken_while_read(shop: Shop, name: str, harm: Callable[[Path], None]) -> tuple[Any, Dataset]:
    """A question during which a file of the store is harmed, after the store was opened."""
    folder = store_folder(shop.workspace)
    real = StoreFolder.reading
    done: list[str] = []

    def reading(self: StoreFolder) -> Any:
        found = real(self)
        if not done and found is not None:
            harm(folder.root / name)
            done.append(name)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoreFolder, "reading", reading)
        patch.setattr(dataset_module, "chosen", lambda *_: shop.workspace)

        def ask(dataset: Dataset) -> Any:
            rows = dataset.survey().people
            found = answer(request(NAMES, "3d", dataset.scope), dataset)
            events = dataset.fetch(
                "SELECT event, count(*), sum(ts), count(DISTINCT person) FROM events GROUP BY 1 ORDER BY 1"
            )
            ids = dataset.fetch("SELECT kind, id FROM people ORDER BY ALL")
            return rows, list(found.rows), events, ids, [note.code for note in found.notes]

        data, said = dataset_module.asked(Scope(), Task(), ask, memory="200MB", threads=1)
    assert done
    return said, data


def zeroed(path: Path) -> None:
    """As after a crash of the machine: the size is right, the content is not there."""
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("harm", [Path.unlink, zeroed])
def test_a_store_damaged_while_a_question_runs_is_dropped_and_the_files_are_read(
    shop: Shop, harm: Callable[[Path], None]
) -> None:
    folder = store_folder(shop.workspace)
    right, data = broken_while_read(shop, "manifest.json", lambda path: None)
    assert data.stats()["path"] != "files" and "store-damaged" not in right[-1]
    names = [name for name in parts(folder) if not name.endswith("lanes.bin")]
    assert len(names) >= 6
    for name in names:
        kept, text = (folder.root / name).read_bytes(), (folder.root / "manifest.json").read_bytes()
        said, data = broken_while_read(shop, name, harm)
        assert said[:-1] == right[:-1], name
        assert said[-1] == [*right[-1], "store-damaged"], name
        assert name in next(note.text for note in data.survey().notes if note.code == "store-damaged")
        # It is gone until the next import.
        assert not (folder.root / "manifest.json").exists()
        (folder.root / name).write_bytes(kept)
        (folder.root / "manifest.json").write_bytes(text)
        reseal(folder)


def test_missing_lanes_are_read_from_the_files_instead(shop: Shop) -> None:
    folder = store_folder(shop.workspace)
    manifest = folder.load()
    assert manifest is not None
    right, _ = broken_while_read(shop, "manifest.json", lambda path: None)
    said, _ = broken_while_read(shop, f"{manifest.lanes}/lanes.bin", Path.unlink)
    assert said[:-1] == right[:-1] and said[-1] == [*right[-1], "store-damaged"]
    assert folder.reading() is None


def test_a_store_that_others_lock_or_made_anew_is_not_taken_away(shop: Shop) -> None:
    folder = store_folder(shop.workspace)
    with folder.reading() or pytest.fail("no store") as reading:
        with folder.writing():
            reading.give_up()
            assert (folder.root / "manifest.json").exists()
        shop.add()
        imported(shop.workspace)
        reading.give_up()
        assert folder.reading() is not None
    (shop.folder / sorted(shop.files)[-1]).unlink()
    del shop.files[sorted(shop.files)[-1]]


def test_a_kept_dataset_outlives_its_store(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "chosen", lambda *_: shop.workspace)
    folder = store_folder(shop.workspace)
    session = Session(lambda call: call())
    asks = request(NAMES, "3d", Scope())
    sql = "SELECT event, count(*), sum(ts) FROM events WHERE channel = $channel GROUP BY 1 ORDER BY 1"

    def ask(dataset: Dataset) -> Any:
        dataset.survey()
        return dataset.fetch(sql, {"channel": "app"}), list(answer(asks, dataset).rows)

    try:
        kept, right = session.over(Scope(), Task(), ask)
        assert kept.stats()["path"] == "lanes"
        # `cache clear` of another process leaves a store that is held.
        assert not remove(folder.root)
        assert session.over(Scope(), Task(), ask) == (kept, right)
        shutil.rmtree(folder.root)
        again, said = session.over(Scope(), Task(), ask)
        assert said == right and again is not kept
        assert again.stats()["path"] != "store"
        assert session.over(Scope(), Task(), ask) == (again, right)
    finally:
        session.close()


def test_a_failure_that_is_not_the_stores_is_told_as_it_was(shop: Shop) -> None:
    data = Dataset(shop.workspace, Scope(), Task(), limits("200MB", 1))
    data.survey()
    with pytest.raises(Exception, match="nothing_like_it"):
        data.fetch("SELECT nothing_like_it FROM events")
    assert data.find_lost_store() is None
    assert store_folder(shop.workspace).reading() is not None
    data.engine.close()
