"""Limits of a store: keys that are too narrow, disks that are full or refuse, and imports that meet."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kill_import import MEMORY, START, Shop, asked, imported
from workbench.errors import Changed, QueryFailed
from workbench.runner import Task
from workbench.store.folder import store_folder
from workbench.store.importing import Imported, Rules
from workbench.store.lane_files import open_lanes
from workbench.store.locks import store_lock
from workbench.store.manifest import Manifest
from workbench.store.updating import update_store
from workbench.survey import junk_ids, valid_times

ROOT = Path(__file__).parents[2]
SPAN_BITS = 31
"""20 days, as the shop's files have them, are 1.7 thousand million milliseconds."""
LANES = ["store", "lanes", "lanes"]
NO_LANES = ["store", "store", "store"]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop", random.Random(11))


def with_bits(shop: Shop, time_bits: int, person_bits: int, *, anew: bool = False) -> Imported:
    """An import whose keys have so many bits."""
    workspace = shop.workspace
    rules = Rules(junk_ids(workspace), valid_times(workspace), time_bits, person_bits)
    return update_store(workspace, Task(), memory=MEMORY, threads=1, anew=anew, rules=rules)


def plain(shop: Shop, tmp_path: Path) -> Any:
    """What the files say."""
    return asked(replace(shop.workspace, cache=tmp_path / "none"))[0]


def bits(shop: Shop, manifest: Manifest) -> tuple[int, int, int]:
    assert manifest.lanes is not None
    index = open_lanes(store_folder(shop.workspace).root / manifest.lanes).index
    return index.base, index.time_bits, index.person_bits


def stretch(shop: Shop, days: int, *, more_people: int = 0) -> None:
    """A file with one event so many days later, or earlier; and of so many people whom nobody saw before."""
    name = f"{shop.made:05d}.parquet"
    shop.made += 1
    ids = range(10_000 + shop.made * 1000, 10_000 + shop.made * 1000 + max(more_people, 1))
    rows = [
        {
            "ts": START + days * 86_400_000,
            "event": "cart",
            "user_id": f"u{one}",
            "anonymous_id": None,
            "channel": "app",
        }
        for one in ids
    ]
    rows.append({**rows[0], "user_id": "u1", "event": "view"})
    shop.put(name, rows)


# --- keys -------------------------------------------------------------------------------------------------


def test_times_get_the_bits_that_people_do_not_need(shop: Shop, tmp_path: Path) -> None:
    manifest = with_bits(shop, 20, 24).manifest
    assert bits(shop, manifest)[1:] == (SPAN_BITS + 1, 44 - SPAN_BITS - 1)
    assert asked(shop.workspace) == (plain(shop, tmp_path), LANES)


def test_people_and_days_beyond_all_bits_are_refused_lanes_and_answered_from_the_runs(
    shop: Shop, tmp_path: Path
) -> None:
    # 300 people need 9 bits.
    manifest = with_bits(shop, 20, 18).manifest
    assert manifest.lanes is None
    assert manifest.no_lanes == f"{manifest.codes:,} people over 19 days are more than a lane's keys hold"
    right = plain(shop, tmp_path)
    assert asked(shop.workspace) == (right, ["store", "lanes", "lanes"])
    shop.add()
    again = with_bits(shop, 20, 18)
    assert again.manifest.lanes is None and not again.is_whole
    assert asked(shop.workspace)[0] == plain(shop, tmp_path)
    # With room again they are made of all runs.
    shop.add()
    roomy = with_bits(shop, 20, 24)
    assert roomy.manifest.no_lanes is None and not roomy.is_whole and len(roomy.manifest.runs) > 1
    assert asked(shop.workspace) == (plain(shop, tmp_path), LANES)


@pytest.mark.parametrize("days", [-40, 40])
def test_files_over_a_longer_time_give_lanes_another_base_or_wider_times(
    shop: Shop, tmp_path: Path, days: int
) -> None:
    first_base, first_bits, _ = bits(shop, with_bits(shop, SPAN_BITS, 20).manifest)
    stretch(shop, days)
    later = with_bits(shop, SPAN_BITS, 20)
    assert not later.is_whole
    base, time_bits, person_bits = bits(shop, later.manifest)
    assert base <= START + min(days, 0) * 86_400_000 and (base < first_base) is (days < 0)
    assert time_bits > first_bits and time_bits + person_bits == SPAN_BITS + 20
    assert asked(shop.workspace) == (plain(shop, tmp_path), LANES)
    # And back again, once the file is gone.
    name = sorted(shop.files)[-1]
    (shop.folder / name).unlink()
    del shop.files[name]
    with_bits(shop, SPAN_BITS, 20)
    assert asked(shop.workspace) == (plain(shop, tmp_path), LANES)


def test_more_people_than_keys_hold_end_the_lanes_and_nothing_else(shop: Shop, tmp_path: Path) -> None:
    assert with_bits(shop, SPAN_BITS, 9).manifest.lanes is not None
    assert asked(shop.workspace)[1] == LANES
    stretch(shop, 3, more_people=300)
    later = with_bits(shop, SPAN_BITS, 9)
    assert later.manifest.lanes is None and later.manifest.no_lanes is not None and not later.is_whole
    found, paths = asked(shop.workspace)
    assert found == plain(shop, tmp_path) and paths[0] == "store"


def test_a_funnel_without_lanes_is_counted_from_the_runs(
    shop: Shop, tmp_path: Path, monkeypatch: Any
) -> None:
    from workbench.lanes import LaneCache

    with_bits(shop, 20, 18)
    monkeypatch.setattr(LaneCache, "of", lambda *_, **__: None)
    assert asked(shop.workspace) == (plain(shop, tmp_path), NO_LANES)


# --- disks ------------------------------------------------------------------------------------------------


def limited(shop: Shop, most_bytes: int) -> tuple[int, str]:
    """An import in a process whose files may not grow beyond a size; what it said."""
    script = (
        "import sys\nfrom benchmarks.kill_import import imported\nfrom workbench.errors import WorkbenchError\n"
        "from workbench.workspace import load\nfrom pathlib import Path\n"
        f"try: imported(load(Path({str(shop.folder)!r})))\n"
        "except WorkbenchError as error: print(f'{error.message} ({error.hint})'); sys.exit(error.exit_code)"
    )

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=limit,
        timeout=60,
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.returncode, ran.stdout.strip()


@pytest.mark.parametrize("most_bytes", [100, 3000, 6000])
def test_fault_084_files_that_cannot_grow_leave_the_store_as_it_was(
    shop: Shop, tmp_path: Path, most_bytes: int
) -> None:
    imported(shop.workspace)
    folder = store_folder(shop.workspace)
    before, there = folder.load(), {path.name for path in folder.root.iterdir()}
    shop.add()
    code, said = limited(shop, most_bytes)
    assert code == 1, said
    assert len(said.splitlines()) == 1 and said.endswith(")"), said
    assert folder.load() == before
    assert {path.name for path in folder.root.iterdir()} == there
    assert asked(shop.workspace)[0] == plain(shop, tmp_path)
    imported(shop.workspace)
    assert asked(shop.workspace) == (plain(shop, tmp_path), LANES)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no disk may be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_fault_084_a_full_disk_is_said_in_a_line_and_changes_nothing(
    shop: Shop, tmp_path: Path, small_disk: Path
) -> None:
    workspace = replace(shop.workspace, cache=small_disk / "cache")
    imported(workspace)
    folder = store_folder(workspace)
    before = folder.load()
    assert before is not None
    shop.add()
    free = os.statvfs(small_disk).f_bavail * 4096
    refused = 0
    for left in range(0, 40_000, 4096):
        (small_disk / "big").write_bytes(bytes(max(free - left, 0)))
        try:
            imported(workspace)
        except QueryFailed as error:
            refused += 1
            assert "full" in error.message and "\n" not in error.message and error.hint, error.message
            assert folder.load() == before
        else:
            break
        finally:
            (small_disk / "big").unlink()
        assert {path.name for path in folder.root.iterdir()} == before.folders | {"lock", "manifest.json"}
        assert asked(workspace)[0] == plain(shop, tmp_path)
    assert refused >= 3
    imported(workspace)
    assert asked(workspace) == (plain(shop, tmp_path), LANES)


def test_fault_107_a_cache_that_may_not_be_written_is_read_and_refuses_imports(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported(shop.workspace)
    workspace = shop.workspace
    mounted = subprocess.run(
        ["mount", "--bind", "-o", "ro", str(workspace.cache), str(workspace.cache)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("no disk may be mounted here")
    try:
        assert asked(workspace) == (plain(shop, tmp_path), LANES)
        shop.add()
        assert asked(workspace)[0] == plain(shop, tmp_path)
        with pytest.raises(QueryFailed, match=r"cannot write the store .*: read-only file system"):
            imported(workspace)
        assert asked(workspace)[0] == plain(shop, tmp_path)
    finally:
        subprocess.run(["umount", "-l", str(workspace.cache)], check=True)
    imported(workspace)
    assert asked(workspace) == (plain(shop, tmp_path), LANES)


# --- imports that meet ------------------------------------------------------------------------------------


def test_fault_106_a_second_import_says_who_has_the_store_and_questions_go_on(
    shop: Shop, tmp_path: Path
) -> None:
    imported(shop.workspace)
    shop.add()
    lock = store_lock(store_folder(shop.workspace).root, 0, make=False)
    assert lock is not None
    with lock:
        with pytest.raises(Changed, match="another import is running") as refused:
            imported(shop.workspace)
        assert refused.value.exit_code == 6 and refused.value.hint is not None
        assert asked(shop.workspace)[0] == plain(shop, tmp_path)
    imported(shop.workspace)
    assert asked(shop.workspace) == (plain(shop, tmp_path), LANES)


def test_fault_106_imports_at_once_wait_for_each_other_and_the_later_has_nothing_to_do(
    shop: Shop, tmp_path: Path
) -> None:
    done: list[Imported] = []

    def run() -> None:
        done.append(update_store(shop.workspace, Task(), memory=MEMORY, threads=1, wait=30))

    both = [threading.Thread(target=run) for _ in range(3)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(one.new_files for one in done) == [0, 0, 4]
    assert len({one.manifest.generation for one in done}) == 1
    assert asked(shop.workspace) == (plain(shop, tmp_path), LANES)


def test_older_generations_keep_what_is_read_of_them_alone(shop: Shop) -> None:
    imported(shop.workspace)
    folder = store_folder(shop.workspace)
    with folder.reading() or pytest.fail("no store") as before:
        shop.add()
        later = imported(shop.workspace)
        assert len(later.folders) == 2
        # Somebody still reads what the older manifest names.
        assert before.damage() is None and (folder.root / before.manifest.combos).exists()
    first = min(later.folders)
    there = {path.relative_to(folder.root).as_posix() for path in (folder.root / first).rglob("*")}
    named = {path for path in later.sizes if path.startswith(first)}
    assert there == named | {f"{first}/lease", f"{first}/seal.json"}
    # A folder without a lease is left as it is.
    (folder.root / first / "lease").unlink()
    (folder.root / first / "stray").touch()
    shop.add()
    assert imported(shop.workspace).folders >= later.folders
    assert (folder.root / first / "stray").exists()
