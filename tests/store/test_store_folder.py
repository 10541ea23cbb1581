"""A store's folder: one manifest or the other, whole; files that stay while they are read; nothing left behind."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from workbench.errors import Changed, QueryFailed
from workbench.store import manifest as texts
from workbench.store.folder import StoreFolder, Writing, remove, retire, stores
from workbench.store.manifest import FORMAT, Manifest, Run, StoredFile, load, signature
from workbench.workspace import Ids, Keeping, Money, Sessions, Source, Take, TimeFormat, Valid, Workspace

ROOT = Path(__file__).resolve().parents[2]
SIGNATURE = "0123456789abcdef"
FILE = StoredFile(
    number=3,
    source="客户 日志",
    relative="day=1/caf\udce9 \ud83d\ude00 \N{GRINNING FACE}\x00\n\u2028.parquet",
    identity="/x/caf\udce9\x001",
    plan="p",
    rows=10,
    aside={"without-time": 1, "without-id": 0},
    lost=MappingProxyType({"price": 2}),
    first=-1,
    last=2**62,
    future=None,
)


def manifest_of(*folders: str, name: str = SIGNATURE) -> Manifest:
    """One with a run in each folder, and people, combinations and lanes in the last."""
    last = folders[-1]
    return Manifest(
        signature=name,
        generation=int(last[1:]),
        next_number=4,
        columns=("amount", "商品"),
        kinds=("money", "text"),
        wanted=("商品",),
        has_fine=False,
        has_sequence=True,
        ids=("user_id", "device_id"),
        files=(FILE, replace(FILE, number=0, future=5, first=None, last=None)),
        runs=tuple(Run(each, f"run-{place}.parquet", 20, None, 0) for place, each in enumerate(folders)),
        combos=f"{last}/combos.parquet",
        people=f"{last}/people.parquet",
        lanes=f"{last}/lanes",
        no_lanes=None,
        rows=20,
        people_count=5,
        codes=7,
        combo_codes=9,
        first=1,
        last=2,
        other={"a\udcff": "items"},
        damaged={"b": "not Parquet"},
        sizes={},
        made="2026-03-01T10:00:00Z",
    )


def fill(folder: Path, place: int = 0, size: int = 10) -> None:
    (folder / "lanes").mkdir()
    names = (
        f"run-{place}.parquet",
        "combos.parquet",
        "people.parquet",
        "lanes/lanes.bin",
        "lanes/lanes.json",
    )
    for number, name in enumerate(names):
        (folder / name).write_bytes(b"x" * (size + number))


def commit(writing: Writing) -> Manifest:
    """A new generation that takes the place of the last."""
    folder = writing.new_generation()
    fill(folder)
    return writing.commit(manifest_of(folder.name))


@pytest.fixture
def store(tmp_path: Path) -> StoreFolder:
    return StoreFolder(tmp_path / "cache" / "store" / SIGNATURE)


@pytest.fixture
def made(store: StoreFolder) -> Manifest:
    """The first manifest of the store."""
    with store.writing() as writing:
        return commit(writing)


def generations(store: StoreFolder) -> list[str]:
    return sorted(path.name for path in store.root.iterdir() if path.is_dir())


def rewritten(raw: bytes, change: Callable[[dict[str, Any]], None], format: int = FORMAT) -> bytes:
    """The text with something changed and a right checksum, as only somebody who means it would write it."""
    body = json.loads(raw.decode("utf-8", "surrogatepass"))["manifest"]
    change(body)
    said = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return b'{"format":%d,"check":"%s","manifest":%s}' % (format, texts._check(said).encode(), said)


@contextmanager
def another(code: str, store: StoreFolder) -> Iterator[subprocess.Popen[str]]:
    """Another process that has come to its ``print``, and goes on with a line of input."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom workbench.store.folder import StoreFolder\n"
        f"store = StoreFolder(Path({str(store.root)!r}))\n{code}"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline().strip() == "ready"
        yield process
    finally:
        process.kill()
        process.communicate()


READER = "held = store.reading()\nprint('ready', flush=True)\nsys.stdin.readline()\nheld.close()"
WRITER = (
    "with store.writing() as writing:\n"
    "    folder = writing.new_generation()\n    (folder / 'run-0.parquet').write_bytes(b'x' * 1000)\n"
    "    print('ready', flush=True)\n    sys.stdin.readline()"
)


def go_on(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=20)
    assert process.returncode == 0


# --- the text ---------------------------------------------------------------------------------------------


def test_a_manifest_is_read_back_exactly() -> None:
    manifest = replace(manifest_of("g000001", "g000002"), sizes=sizes("g000001", "g000002"))
    raw = manifest.to_json()
    back = load(raw)
    assert back == manifest
    assert back is not None and back.files[0].relative == FILE.relative
    assert back.to_json() == raw
    assert json.loads(raw.decode("utf-8", "surrogatepass"))["format"] == FORMAT
    assert back.folders == {"g000001", "g000002"}


def sizes(*folders: str) -> dict[str, int]:
    last = folders[-1]
    runs = {f"{each}/run-{place}.parquet": 1 for place, each in enumerate(folders)}
    names = ("combos.parquet", "people.parquet", "lanes/lanes.bin")
    return runs | {f"{last}/{name}": 1 for name in names}


def test_every_truncation_and_every_flipped_byte_is_no_manifest() -> None:
    raw = replace(manifest_of("g000001"), sizes=sizes("g000001")).to_json()
    assert load(raw) is not None
    assert [end for end in range(len(raw)) if load(raw[:end]) is not None] == []
    damaged = (raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in range(len(raw)))
    assert [at for at, text in enumerate(damaged) if load(text) is not None] == []
    assert load(raw + b"\n") is None and load(b"[" * 100_000) is None and load(b"\xff") is None


def _deep(body: dict[str, Any]) -> None:
    body["other"] = {"a": {"b": "c"}}


WRONG: dict[str, Callable[[dict[str, Any]], None]] = {
    "unknown field": lambda body: body.update(more=1),
    "missing field": lambda body: body.pop("made"),
    "unknown field of a file": lambda body: body["files"][0].update(more=1),
    "missing field of a run": lambda body: body["runs"][0].pop("dead"),
    "text for a number": lambda body: body.update(rows="20"),
    "float for a number": lambda body: body.update(rows=20.0),
    "truth for a number": lambda body: body.update(rows=True),
    "number for a truth": lambda body: body.update(has_fine=0),
    "null for a number": lambda body: body.update(rows=None),
    "too large a number": lambda body: body.update(last=2**63),
    "rows below zero": lambda body: body["files"][0].update(rows=-1),
    "list for a mapping": lambda body: body.update(other=[]),
    "mapping for a list": lambda body: body.update(ids={}),
    "text for a list": lambda body: body.update(ids="user_id"),
    "nested mapping": _deep,
    "a file's number twice": lambda body: body["files"][0].update(number=0),
    "a number yet to be given": lambda body: body.update(next_number=3),
    "numbers beyond a place": lambda body: body.update(next_number=2**23 + 1),
    "more dead than rows": lambda body: body["runs"][0].update(dead_rows=21),
    "a run without a size": lambda body: body["sizes"].pop("g000001/run-0.parquet"),
    "lanes without a size": lambda body: body["sizes"].pop("g000001/lanes/lanes.bin"),
}
BAD_PATHS = (
    "../g000001/a",
    "g000001/../../a",
    "g000001/..",
    "/etc/passwd",
    "g000001",
    "g000001/",
    "g000001//a",
    "g000001/.hidden",
    "g000001/a\n",
    "g000001/a\x00",
    "a/b",
    "g1/a",
    "\u0660g000001/a",
    "g00000\u0661/a",
    "",
)


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_what_no_manifest_says_is_none(change: Callable[[dict[str, Any]], None]) -> None:
    raw = replace(manifest_of("g000001"), sizes=sizes("g000001")).to_json()
    assert load(rewritten(raw, lambda body: None)) is not None
    assert load(rewritten(raw, change)) is None


def test_another_format_is_none() -> None:
    raw = replace(manifest_of("g000001"), sizes=sizes("g000001")).to_json()
    assert load(rewritten(raw, lambda body: None, FORMAT + 1)) is None


@pytest.mark.parametrize("path", BAD_PATHS, ids=repr)
def test_a_path_out_of_the_store_is_refused(path: str) -> None:
    raw = replace(manifest_of("g000001"), sizes=sizes("g000001")).to_json()
    changes: list[Callable[[dict[str, Any]], None]] = [
        lambda body: (body.update(combos=path), body["sizes"].update({path: 1})),
        lambda body: (body.update(people=path), body["sizes"].update({path: 1})),
        lambda body: (body["runs"][0].update(dead=path), body["sizes"].update({path: 1})),
        lambda body: body["sizes"].update({path: 1}),
    ]
    if path != "g000001":
        # That is a folder of generations, and may be one's name, but no file.
        changes += [
            lambda body: body["runs"][0].update(folder=path),
            lambda body: (body["runs"][0].update(name=path), body["sizes"].update({f"g000001/{path}": 1})),
            lambda body: (body.update(lanes=path), body["sizes"].update({f"{path}/lanes.bin": 1})),
        ]
    assert [load(rewritten(raw, change)) for change in changes] == [None] * len(changes)


# --- what is there ----------------------------------------------------------------------------------------


def test_a_store_is_read_back(store: StoreFolder, made: Manifest) -> None:
    assert store.load() == made
    assert made.sizes == {f"g000001/{name}": size for name, size in zip(FILES, range(10, 15), strict=True)}
    assert store.size() >= sum(made.sizes.values()) + len(made.to_json())
    with store.reading() or pytest.fail("no store") as reading:
        assert reading.manifest == made
        assert reading.path(made.combos).stat().st_size == 11


FILES = ("run-0.parquet", "combos.parquet", "people.parquet", "lanes/lanes.bin", "lanes/lanes.json")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", ["gone", "shorter", "longer", "link", "folder"])
def test_a_missing_or_other_file_is_no_store(
    store: StoreFolder, made: Manifest, name: str, harm: str, tmp_path: Path
) -> None:
    path = store.root / "g000001" / name
    content = path.read_bytes()
    path.unlink()
    if harm == "folder":
        path.mkdir()
    elif harm == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        path.symlink_to(tmp_path / "elsewhere")
    elif harm != "gone":
        path.write_bytes(content[:-1] if harm == "shorter" else content + b"x")
    assert store.load() is None and store.reading() is None


@pytest.mark.parametrize("part", ["", "g000001", "g000001/lanes", "manifest.json"])
def test_a_link_on_the_way_is_no_store(store: StoreFolder, made: Manifest, part: str, tmp_path: Path) -> None:
    path = store.root / part
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    assert store.load() is None and store.reading() is None
    store.clean()
    assert len(list((tmp_path / "cache").rglob("*"))) > 1 and (tmp_path / "moved").exists()


def test_no_store_another_signature_and_a_pipe_are_none(store: StoreFolder, made: Manifest) -> None:
    assert StoreFolder(store.root.parent / "nothing").load() is None
    store.root.rename(store.root.with_name("f00d"))
    moved = StoreFolder(store.root.with_name("f00d"))
    assert moved.load() is None and moved.reading() is None
    (moved.root / "manifest.json").unlink()
    os.mkfifo(moved.root / "manifest.json")
    assert moved.load() is None and moved.reading() is None


def test_folders_are_private(store: StoreFolder, made: Manifest) -> None:
    assert store.root.stat().st_mode & 0o77 == 0
    assert (store.root / "g000001").stat().st_mode & 0o77 == 0
    assert (store.root / "manifest.json").stat().st_mode & 0o77 == 0


# --- commits ----------------------------------------------------------------------------------------------

CALLS = ("fsync", "replace", "rename", "mkdir", "unlink", "open", "rmdir", "ftruncate")


def breaking(at: int, stop: Callable[[], None], patch: pytest.MonkeyPatch) -> list[str]:
    """From now on the ``at``-th call of the system that writes is the last; what was called."""
    called: list[str] = []

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            called.append(name)
            if len(called) == at:
                stop()
            return real(*arguments, **options)

        return call

    for name in CALLS:
        patch.setattr(os, name, wrap(name, getattr(os, name)))
    return called


def import_again(store: StoreFolder) -> None:
    with store.writing() as writing:
        commit(writing)


def steps(store: StoreFolder) -> int:
    """How many calls an import makes."""
    with pytest.MonkeyPatch.context() as patch:
        called = breaking(0, lambda: None, patch)
        import_again(store)
    assert {"fsync", "replace", "rename", "mkdir"} <= set(called)
    return len(called)


def test_fault_092_an_import_killed_at_any_step_leaves_the_old_store_or_the_new(
    store: StoreFolder, made: Manifest
) -> None:
    seen = set()
    for at in range(1, steps(store) + 1):
        old = store.load()
        assert old is not None
        child = os.fork()
        if not child:
            breaking(at, lambda: os.kill(os.getpid(), signal.SIGKILL), pytest.MonkeyPatch())
            import_again(store)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        now = store.load()
        assert now is not None and now.generation >= old.generation
        seen.add(now == old)
        with store.reading() or pytest.fail("no store") as reading:
            assert reading.manifest == now
        # The next import takes away what was left, and nothing else.
        with store.writing():
            assert store.load() == now
            assert generations(store) == sorted(now.folders)
            assert not [path for path in store.root.iterdir() if path.suffix == ".tmp"]
    assert seen == {True, False}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_fault_084_a_disk_full_at_any_step_leaves_the_old_store_or_the_new(
    store: StoreFolder, made: Manifest, number: int
) -> None:
    refused = 0
    for at in range(1, steps(store) + 1):
        old = store.load()
        assert old is not None

        def refuse() -> None:
            raise OSError(number, os.strerror(number))

        with pytest.MonkeyPatch.context() as patch:
            called = breaking(at, refuse, patch)
            try:
                import_again(store)
            except QueryFailed as error:
                refused += 1
                assert error.hint and str(store.root) in error.message
                assert ("disk is full" in error.message) == (number == errno.ENOSPC)
            except OSError:
                # The import's own folder inside its generation, that of the lanes.
                assert number == errno.EIO and called[at - 2 : at] == ["rename", "mkdir"]
        now = store.load()
        assert now is not None
        # What a failed import wrote is given back to the disk at once, unless the deleting itself failed.
        if called[at - 1] in ("fsync", "replace", "mkdir"):
            assert generations(store) == sorted(now.folders)
        with store.writing():
            pass
        assert generations(store) == sorted(now.folders)
        assert not list(store.root.glob("*.tmp"))
    assert refused >= 15


def test_all_files_are_on_the_disk_before_the_manifest_is_renamed(
    store: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, put = os.fsync, os.replace

    def synced(number: int) -> None:
        done.append(os.path.relpath(os.readlink(f"/proc/self/fd/{number}"), store.root))
        fsync(number)

    def replaced(source: Any, target: Any) -> None:
        done.append("renamed")
        put(source, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("the names of open files are not told here")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    import_again(store)
    before = done[: done.index("renamed")]
    assert {f"g000001/{name}" for name in FILES} | {
        "g000001",
        "g000001/lanes",
        ".",
        "manifest.json.tmp",
    } <= set(before)
    assert before[-1] == "manifest.json.tmp" and done[-2:] == ["renamed", "."]


def test_what_could_not_be_read_back_is_not_committed(store: StoreFolder, made: Manifest) -> None:
    with store.writing() as writing:
        folder = writing.new_generation()
        fill(folder)
        good = manifest_of(folder.name)
        for bad in (
            replace(good, signature="f00d"),
            replace(good, rows=-1),
            replace(good, sizes={f"{folder.name}/combos.parquet": 11}),
        ):
            with pytest.raises(ValueError, match="read back"):
                writing.commit(bad)
        with pytest.raises(QueryFailed):
            writing.commit(replace(good, people=f"{folder.name}/other.parquet"))
        (folder / "people.parquet").unlink()
        wrong = {f"{folder.name}/{name}": 10 + place for place, name in enumerate(FILES)}
        with pytest.raises(QueryFailed, match="missing"):
            writing.commit(replace(good, sizes=wrong))
    assert store.load() == made and generations(store) == ["g000001"]


def test_an_import_that_fails_or_is_left_changes_nothing(store: StoreFolder, made: Manifest) -> None:
    with pytest.raises(KeyboardInterrupt), store.writing() as writing:
        fill(writing.new_generation())
        raise KeyboardInterrupt
    assert store.load() == made and generations(store) == ["g000001"]


def test_fault_084_what_the_disk_refuses_to_an_import_itself_is_said_in_words(
    store: StoreFolder, made: Manifest
) -> None:
    with pytest.raises(QueryFailed, match="disk is full"), store.writing() as writing:
        fill(writing.new_generation())
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(QueryFailed, match="no such file"), store.writing() as writing:
        (writing.new_generation() / "missing" / "run.parquet").write_bytes(b"")
    with pytest.raises(FileNotFoundError), store.writing():
        (store.root.parent / "missing").read_bytes()
    assert store.load() == made and generations(store) == ["g000001"]


def test_older_runs_stay_as_long_as_they_are_named(store: StoreFolder, made: Manifest) -> None:
    with store.writing() as writing:
        folder = writing.new_generation()
        fill(folder, 1)
        assert folder.name == "g000002"
        second = writing.commit(manifest_of("g000001", "g000002"))
    assert store.load() == second and generations(store) == ["g000001", "g000002"]
    with store.writing() as writing:
        third = commit(writing)
        assert third.folders == {"g000003"}
    assert store.load() == third and generations(store) == ["g000003"]


def test_two_generations_and_two_commits_of_one_import(store: StoreFolder) -> None:
    with store.writing() as writing:
        first = writing.new_generation()
        second = writing.new_generation()
        assert [first.name, second.name] == ["g000001", "g000002"]
        fill(first)
        store.clean()
        assert first.is_dir() and second.is_dir()
        writing.commit(manifest_of(first.name))
        assert generations(store) == ["g000001"]
        assert commit(writing).folders == {"g000002"}
    assert generations(store) == ["g000002"]


def test_a_damaged_store_is_dropped(store: StoreFolder, made: Manifest) -> None:
    with store.writing() as writing:
        writing.drop()
        assert store.load() is None and store.reading() is None
        writing.drop()
        again = commit(writing)
    assert store.load() == again and again.folders == {"g000002"}


# --- several at once --------------------------------------------------------------------------------------


def test_fault_106_a_second_import_is_told_who_holds_the_store(store: StoreFolder, made: Manifest) -> None:
    with another(WRITER, store) as process:
        with pytest.raises(Changed) as told, store.writing():
            pass
        assert told.value.message == f"another import is running: process {process.pid}" and told.value.hint
        # Meanwhile questions are answered, from the whole generation before, and nothing is cleaned away.
        with store.reading() or pytest.fail("no store") as reading:
            assert reading.manifest == made
        store.clean()
        assert generations(store) == ["g000001", "g000002"]
        go_on(process)
    with store.writing() as writing:
        assert generations(store) == ["g000001"]
        assert commit(writing).generation == 2


def test_fault_106_a_second_import_waits_as_long_as_it_is_told(store: StoreFolder, made: Manifest) -> None:
    with another(WRITER, store) as process:
        before = time.monotonic()
        with pytest.raises(Changed), store.writing(wait=0.5):
            pass
        assert time.monotonic() - before >= 0.5
        timer = threading.Timer(0.3, lambda: process.communicate("\n"))
        timer.start()
        with store.writing(wait=20) as writing:
            commit(writing)
        timer.join()


def test_a_second_import_in_another_thread_is_refused(store: StoreFolder) -> None:
    with store.writing(), pytest.raises(Changed, match="another import is running"), store.writing():
        pass
    with store.writing():
        pass


def test_fault_107_readers_keep_their_files_through_two_later_imports(
    store: StoreFolder, made: Manifest
) -> None:
    with another(READER, store) as first, another(READER, store) as second:
        for _ in range(2):
            with store.writing() as writing:
                now = commit(writing)
            assert generations(store) == ["g000001", *sorted(now.folders)]
        assert made.generation + 2 == now.generation
        here = store.reading() or pytest.fail("no store")
        assert here.manifest == now
        go_on(first)
        store.clean()
        assert "g000001" in generations(store)
        assert (store.root / made.combos).stat().st_size == made.sizes[made.combos]
        go_on(second)
        # The last one that closes takes away what only it kept.
        assert generations(store) == sorted(now.folders)
        here.close()
        here.close()
        assert generations(store) == sorted(now.folders)


def test_fault_108_what_a_killed_import_held_is_free_and_swept(store: StoreFolder, made: Manifest) -> None:
    with another(WRITER, store) as process:
        process.kill()
        process.wait()
        (store.root / "manifest.json.tmp").write_bytes(b"{")
        (store.root / ".new-1-1").mkdir()
        (store.root / "g000009").mkdir()
        assert store.load() == made
        with store.writing() as writing:
            assert generations(store) == ["g000001"]
            assert not (store.root / "manifest.json.tmp").exists()
            commit(writing)
    assert generations(store) == ["g000002"]


def test_fault_108_what_a_killed_reader_held_is_free(store: StoreFolder, made: Manifest) -> None:
    with another(READER, store) as process:
        import_again(store)
        assert generations(store) == ["g000001", "g000002"]
        process.kill()
        process.wait()
        store.clean()
    assert generations(store) == ["g000002"]


def test_readers_always_meet_a_whole_generation_while_imports_follow_each_other(store: StoreFolder) -> None:
    import_again(store)
    stop, wrong, read = threading.Event(), [], []

    def look() -> None:
        while not stop.is_set():
            reading = store.reading()
            if reading is None:
                wrong.append("no store")
                continue
            with reading:
                time.sleep(random.random() / 200)
                for path, size in reading.manifest.sizes.items():
                    if not reading.path(path).exists() or reading.path(path).stat().st_size != size:
                        wrong.append(path)
                read.append(reading.manifest.generation)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        import_again(store)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == [] and len(set(read)) > 5
    store.clean()
    assert len(generations(store)) == 1


def test_a_reader_whose_manifest_changes_before_it_holds_it_reads_the_new_one(
    store: StoreFolder, made: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, times = fcntl.flock, []

    def late(file: Any, how: int) -> None:
        if how & fcntl.LOCK_SH and not times:
            times.append(1)
            import_again(store)
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with store.reading() or pytest.fail("no store") as reading:
        assert reading.manifest.folders == {"g000002"} and reading.manifest != made
        assert generations(store) == ["g000002"]


def test_a_folder_committed_while_it_was_about_to_be_cleaned_stays(
    store: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock
    with store.writing() as writing:
        folder = writing.new_generation()
        fill(folder)
        found = []

        def late(file: Any, how: int) -> None:
            if how & fcntl.LOCK_EX and not found:
                found.append(1)
                writing.commit(manifest_of(folder.name))
            real(file, how)

        monkeypatch.setattr(fcntl, "flock", late)
        store.clean()
    assert found and store.load() is not None


def test_a_manifest_that_cannot_be_read_just_now_cleans_nothing(
    store: StoreFolder, made: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith("manifest.json"):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    store.clean()
    assert store.load() is None and store.reading() is None
    monkeypatch.undo()
    assert store.load() == made


# --- folders that refuse ----------------------------------------------------------------------------------


def test_a_store_without_leases_or_rights_to_write_is_read(
    store: StoreFolder, made: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def read_only(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT) or str(path).endswith("lease"):
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", read_only)
    with store.reading() or pytest.fail("no store") as reading:
        assert reading.manifest == made
    store.clean()
    with pytest.raises(QueryFailed, match="read-only"), store.writing():
        pass
    assert not remove(store.root) and store.load() == made


def test_without_locks_stores_are_read_and_made_and_only_what_is_old_is_cleaned(
    store: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Any, how: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    import_again(store)
    import_again(store)
    assert generations(store) == ["g000001", "g000002"]
    with store.reading() or pytest.fail("no store") as reading:
        assert reading.manifest.folders == {"g000002"}
    old = time.time() - 2 * 86_400
    os.utime(store.root / "g000001", (old, old))
    os.utime(store.root / "g000002", (old, old))
    store.clean()
    assert generations(store) == ["g000002"] and store.load() is not None
    assert not remove(store.root)


def test_a_store_that_is_a_link_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / SIGNATURE).symlink_to(tmp_path / "elsewhere")
    linked = StoreFolder(tmp_path / "store" / SIGNATURE)
    with pytest.raises(QueryFailed, match="link"), linked.writing():
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == [] and not remove(linked.root)


# --- several stores ---------------------------------------------------------------------------------------


def at(cache: Path, name: str, days: float = 0, size: int = 1000) -> StoreFolder:
    """A store of so many bytes, last used so many days ago."""
    store = StoreFolder(cache / "store" / name)
    with store.writing() as writing:
        folder = writing.new_generation()
        fill(folder, size=size)
        writing.commit(manifest_of(folder.name, name=name))
    used = time.time() - days * 86_400
    for path in (store.root / "lock", store.root / "manifest.json", store.root):
        os.utime(path, (used, used))
    return store


def names(cache: Path) -> list[str]:
    return [store.root.name for store in stores(cache)]


def test_stores_unused_for_a_week_go_but_never_the_kept_or_a_held_one(tmp_path: Path) -> None:
    assert stores(tmp_path) == [] and retire(tmp_path, "aa") == ()
    at(tmp_path, "aa", 30), at(tmp_path, "bb", 6.9), at(tmp_path, "cc", 7.1)
    read, written = at(tmp_path, "dd", 8), at(tmp_path, "ee", 9)
    (tmp_path / "store" / "notes").mkdir()
    reading = read._held(read.load() or pytest.fail("no store"))
    with written.writing():
        os.utime(written.root / "lock", (0, 0))
        os.utime(written.root, (0, 0))
        assert time.time() - written.used() > 8 * 86_400
        assert retire(tmp_path, "aa") == ("cc",)
    assert names(tmp_path) == ["aa", "bb", "dd", "ee"] and (tmp_path / "store" / "notes").is_dir()
    assert all(store.load() for store in stores(tmp_path))
    assert reading is not None
    for lease in reading:
        lease.close()
    assert retire(tmp_path, "aa") == ("dd", "ee")


def test_reading_counts_as_use(tmp_path: Path) -> None:
    store = at(tmp_path, "bb", 30)
    with store.reading() or pytest.fail("no store"):
        pass
    assert time.time() - store.used() < 60 and retire(tmp_path, "aa") == ()


def test_over_the_quota_the_longest_unused_go_first(tmp_path: Path) -> None:
    for days, name in enumerate(("aa", "bb", "cc", "dd")):
        at(tmp_path, name, days)
    one = StoreFolder(tmp_path / "store" / "bb").size()
    assert retire(tmp_path, "aa", quota=4 * one + 100) == ()
    assert retire(tmp_path, "aa", quota=3 * one + 100) == ("dd",)
    assert retire(tmp_path, "dd", quota=one) == ("bb", "cc") or names(tmp_path) == ["aa"]
    assert retire(tmp_path, "aa", quota=0) == () and names(tmp_path) == ["aa"]


def test_a_store_is_removed_whole_unless_it_is_held(store: StoreFolder, made: Manifest) -> None:
    with another(READER, store) as process:
        assert not remove(store.root) and store.load() == made
        go_on(process)
    with store.writing():
        assert not remove(store.root) and store.load() == made
    (store.root / "stray").write_text("x")
    assert remove(store.root) and not store.root.exists()
    assert remove(store.root)
    with store.writing() as writing:
        commit(writing)
    assert store.load() is not None


# --- signatures -------------------------------------------------------------------------------------------

SOURCE = Source(
    name="s", patterns=("a/*.parquet", "caf\udce9"), map={"ts": Take(("t",)), "event": Take(("e",))}
)
SPACE = Workspace(root=Path("/a"), cache=Path("/a/c"), sources=(SOURCE,))


def under(**changes: Any) -> Workspace:
    return replace(SPACE, sources=(replace(SOURCE, **changes),))


OTHERS = {
    "name": under(name="t"),
    "patterns": under(patterns=("a/*.parquet",)),
    "patterns cut otherwise": under(patterns=("a/*.parquetcaf\udce9",)),
    "tables": under(tables=("t",)),
    "kind": under(kind="items"),
    "shape": under(shape="ga4"),
    "encoding": under(encoding="gb18030"),
    "zone": under(zone="Asia/Shanghai"),
    "event": under(event=Take(constant="x")),
    "event by name": under(event=Take(("x",))),
    "event by file": under(event=Take(file=True)),
    "map": under(map={"ts": Take(("u",)), "event": Take(("e",))}),
    "time unit": under(time=TimeFormat(unit="s")),
    "time pattern": under(time=TimeFormat(pattern="%Y")),
    "money unit": under(money_unit="minor"),
    "money decimal": under(money_decimal=","),
    "another source": replace(SPACE, sources=(SOURCE, replace(SOURCE, name="t"))),
    "order of sources": replace(SPACE, sources=(replace(SOURCE, name="t"), SOURCE)),
    "timezone": replace(SPACE, timezone="Asia/Shanghai"),
    "trust": replace(SPACE, ids=Ids(trust=("user_id",))),
    "junk": replace(SPACE, ids=Ids(junk=("user_id",))),
    "currency": replace(SPACE, money=Money("USD")),
    "decimals": replace(SPACE, money=Money(decimals_by_currency={"CNY": 3})),
    "dedup": replace(SPACE, dedup="row"),
    "since": replace(SPACE, valid=Valid(since="2020-01-01")),
    "until": replace(SPACE, valid=Valid(until="2020-01-01")),
}
SAME = {
    "root": replace(SPACE, root=Path("/b")),
    "cache": replace(SPACE, cache=Path("/b")),
    "file": replace(SPACE, file=Path("/b/workbench.toml")),
    "roles": replace(SPACE, roles={"order": "x"}),
    "sessions": replace(SPACE, sessions=Sessions("5m", True)),
    "store": replace(SPACE, store=Keeping("never", 1)),
}


def test_every_setting_that_makes_events_is_in_the_signature() -> None:
    signatures = [signature(SPACE), *map(signature, OTHERS.values()), signature(SPACE, "other")]
    assert len(set(signatures)) == len(signatures)
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in signatures)
    assert {name: signature(each) for name, each in SAME.items()} == dict.fromkeys(SAME, signature(SPACE))


def test_every_setting_there_is_was_thought_of() -> None:
    changed = [each for each in OTHERS.values() if each.sources[0] is not SOURCE]
    seen = {
        part.name for part in fields(Source) for one in changed if _differs(one.sources[0], SOURCE, part.name)
    }
    assert seen == {part.name for part in fields(Source)}
    all_of = (*OTHERS.values(), *SAME.values())
    seen = {part.name for part in fields(Workspace) for one in all_of if _differs(one, SPACE, part.name)}
    assert seen == {part.name for part in fields(Workspace)}


def _differs(one: object, other: object, name: str) -> bool:
    return bool(getattr(one, name) != getattr(other, name))


def test_a_signature_depends_on_the_format_alone_besides(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signature(SPACE)
    monkeypatch.setattr(texts, "FORMAT", FORMAT + 1)
    assert signature(SPACE) != before


@pytest.mark.parametrize("seed", ["0", "1"])
def test_a_signature_is_the_same_in_every_process(seed: str) -> None:
    code = (
        "from pathlib import Path\nfrom workbench.store.manifest import signature\n"
        "from workbench.workspace import Source, Take, Workspace\n"
        "source = Source(name='s', patterns=('a/*.parquet', 'caf\\udce9'), "
        "map={'ts': Take(('t',)), 'event': Take(('e',))})\n"
        "print(signature(Workspace(root=Path('/z'), cache=Path('/y'), sources=(source,))))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == signature(SPACE)


def test_opening_a_store_loads_nothing_heavy(store: StoreFolder, made: Manifest) -> None:
    code = "assert store.reading() is not None\nprint('ready', *sys.modules, file=sys.stderr)"
    script = (
        "import sys\nfrom pathlib import Path\nfrom workbench.store.folder import StoreFolder\n"
        f"store = StoreFolder(Path({str(store.root)!r}))\n{code}"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in run.stderr.split()}
    assert "workbench" in loaded
    assert loaded & {"duckdb", "pyarrow", "numpy", "textual", "click", "sqlglot"} == set()
