"""Stores that are built unasked: only where a question shows that it pays, and nothing of the question changes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from queries.question import Scope
from tests.driver import ROOT, Command
from tests.in_process import in_process
from workbench.commands import asking
from workbench.errors import QueryFailed
from workbench.runner import Task
from workbench.store import background, records, watching
from workbench.store.background import build, is_building, pays, start, state, why_not
from workbench.store.folder import store_folder
from workbench.store.records import Record
from workbench.store.watching import take_in
from workbench.workspace import Workspace, load

TOML = '[[source]]\nname = "shop"\npath = "data"\n'
LINES = ("2026-03-01T10:00:00Z,view,u1", "2026-03-01T10:05:00Z,order,u1", "2026-03-02T10:00:00Z,view,u2")
FUNNEL = ("funnel", "--step", "view", "--step", "order")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in which stores may be built; whatever this process starts has a home of its own."""
    folder = tmp_path / "shop"
    (folder / "data").mkdir(parents=True)
    (folder / "workbench.toml").write_text(TOML, "utf-8")
    (folder / "data" / "a.csv").write_text("\n".join(("ts,event,user_id", *LINES)) + "\n", "utf-8")
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "user"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("WORKBENCH_STORE", raising=False)
    return folder


@pytest.fixture
def space(home: Path) -> Workspace:
    return load(home)


@pytest.fixture
def children() -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """What this process started; all of it has ended when the test has."""
    background._children.clear()
    yield background._children
    for child in background._children.values():
        child.kill()
        child.wait(10)
    background._children.clear()


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[Workspace]:
    """Workspaces for which a process would have been started."""
    found: list[Workspace] = []

    def spawn(workspace: Workspace) -> bool:
        found.append(workspace)
        return True

    monkeypatch.setattr(background, "_spawn", spawn)
    return found


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    run = in_process(home.parent / "user", monkeypatch, capsys)
    return lambda *arguments: run(*arguments, cwd=home)


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def asked(**changes: Any) -> Any:
    """A dataset as far as it says whether a store would have paid."""
    numbers = {"path": "files", "lanes_bytes": 0, "rows_in_files": 5_000_000, "seconds": 3.0}
    scope = {key: changes.pop(key) for key in ("as_of", "unit") if key in changes}
    return SimpleNamespace(scope=Scope(**scope), stats=lambda: {**numbers, **changes})


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, True),
        ({"seconds": 0.1}, True),
        ({"seconds": 0.1, "rows_in_files": 1_000_000}, True),
        ({"seconds": 0.1, "rows_in_files": 999_999}, False),
        ({"seconds": 1.1, "rows_in_files": 10}, True),
        ({"path": "store"}, False),
        ({"path": "lanes"}, False),
        ({"path": "lanes", "lanes_bytes": 8}, True),
        ({"as_of": "2026-03-01"}, False),
        ({"unit": "raw"}, False),
    ],
)
def test_it_pays_where_a_slow_question_read_files(changes: dict[str, object], wanted: bool) -> None:
    assert pays(asked(**changes)) is wanted


# --- when none is started ---------------------------------------------------------------------------------


def test_one_is_started_where_nothing_is_against_it(space: Workspace, spawned: list[Workspace]) -> None:
    assert state(space) == "none"
    assert why_not(space) is None
    assert start(space) is True
    assert spawned == [space]


def refused(space: Workspace, spawned: list[Workspace], why: str) -> None:
    assert why in str(why_not(space))
    assert start(space) is False
    assert spawned == []


def test_none_where_it_is_turned_off(
    space: Workspace, spawned: list[Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(replace(space, store=replace(space.store, build="never")), spawned, "never")
    refused(replace(space, file=None), spawned, "no workbench.toml")
    refused(replace(space, dedup="row"), spawned, "dedup")
    monkeypatch.setenv("WORKBENCH_STORE", "off")
    refused(space, spawned, "WORKBENCH_STORE")


def test_none_where_there_is_no_room(
    space: Workspace, spawned: list[Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (space.root / "data" / "a.csv").stat().st_size
    refused(replace(space, store=replace(space.store, quota=size - 1)), spawned, "quota")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(0, 0, 2 * size - 1))
    refused(space, spawned, "too little room")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(0, 0, 2 * size))
    assert start(space) is True


def test_none_in_a_cache_that_cannot_be_written(
    space: Workspace, spawned: list[Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, how: False)
    refused(space, spawned, "cannot be written")


def test_none_where_it_is_up_to_date(space: Workspace, spawned: list[Workspace]) -> None:
    take_in(space, Task())
    assert state(space) == "ready"
    refused(space, spawned, "up to date")
    (space.root / "data" / "b.csv").write_text("ts,event,user_id\n2026-03-03T10:00:00Z,view,u3\n", "utf-8")
    assert state(space) == "stale"
    assert start(space) is True


def test_a_file_with_times_that_are_valid_by_now_is_no_longer_of_the_store(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (space.root / "data" / "b.csv").write_text("ts,event,user_id\n2099-03-03T10:00:00Z,view,u3\n", "utf-8")
    take_in(space, Task())
    assert state(space) == "ready"
    monkeypatch.setattr("workbench.survey.valid_times", lambda workspace: (0, 4_200_000_000_000))
    assert state(space) == "stale"


def test_how_it_stands_is_told_without_the_engine(space: Workspace) -> None:
    take_in(space, Task())
    script = (
        "import sys\nfrom pathlib import Path\nfrom workbench.store.background import state\n"
        "from workbench.workspace import load\nprint(state(load(Path(sys.argv[1]))))\n"
        "print({'duckdb', 'numpy', 'pyarrow', 'textual'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(space.root)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert ran.stdout == "ready\nset()\n"


def test_none_for_an_hour_after_one_failed(space: Workspace, spawned: list[Workspace]) -> None:
    root = store_folder(space).root
    records.write(root, Record("failed", time.time() - 3_500, os.getpid(), why="the disk is full"))
    refused(space, spawned, "the last time it failed: the disk is full")
    records.write(root, Record("failed", time.time() - 3_700, os.getpid(), why="the disk is full"))
    assert start(space) is True


def test_none_where_one_was_killed(space: Workspace, spawned: list[Workspace]) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    records.write(store_folder(space).root, Record("began", time.time(), ended.pid))
    assert state(space) == "none"
    refused(space, spawned, "it was ended")


def test_none_where_one_has_just_begun(space: Workspace, spawned: list[Workspace]) -> None:
    records.write(store_folder(space).root, Record("began", time.time(), os.getppid()))
    assert state(space) == "building"
    refused(space, spawned, "being built")


def test_what_the_system_refuses_is_no_failure(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> object:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert start(space) is False
    monkeypatch.setattr("shutil.disk_usage", refuse)
    assert start(space) is False


# --- after a question -------------------------------------------------------------------------------------


def test_a_question_that_pays_starts_one_and_says_so_on_a_terminal(
    here: Command, space: Workspace, spawned: list[Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = here(*FUNNEL)
    assert spawned == []
    monkeypatch.setattr(background, "LEAST_ROWS", 3)
    piped = here(*FUNNEL)
    assert spawned == [space]
    assert (piped.code, piped.out, piped.err) == (0, quiet.out, quiet.err)
    monkeypatch.setattr(asking, "_is_terminal", lambda: True)
    said = here(*FUNNEL)
    assert said.out == quiet.out
    assert said.err == f"{quiet.err}· {background.TOLD}\n"
    monkeypatch.setattr(background, "_spawn", lambda workspace: False)
    assert here(*FUNNEL).err == quiet.err


def test_what_is_no_answer_starts_none(
    here: Command, spawned: list[Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "LEAST_ROWS", 1)
    here(*FUNNEL, "--sql")
    here(*FUNNEL, "--as-of", "2026-03-02")
    here("funnel", "--step", "vieww")
    here("doctor")
    here("cache")
    assert here(*FUNNEL, "--data", "data").code == 0
    monkeypatch.setenv("WORKBENCH_STORE", "off")
    here(*FUNNEL)
    assert spawned == []


def test_a_pipeline_goes_as_without_it(
    here: Command, home: Path, spawned: list[Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "data" / "b.csv").write_text("ts,event,user_id\nsoon,view,u9\n", "utf-8")
    before = [here(*FUNNEL, "--strict"), here(*FUNNEL, "--json"), here(*FUNNEL, "--fail-if", "users >= 1")]
    monkeypatch.setattr(background, "LEAST_ROWS", 1)
    after = [here(*FUNNEL, "--strict"), here(*FUNNEL, "--json"), here(*FUNNEL, "--fail-if", "users >= 1")]
    assert before == after
    assert [ran.code for ran in after] == [3, 0, 5]


# --- the process ------------------------------------------------------------------------------------------


def test_from_a_question_to_a_store(
    here: Command,
    space: Workspace,
    children: dict[str, subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = here(*FUNNEL, "--json").json
    monkeypatch.setattr(background, "LEAST_ROWS", 3)
    # A module of that name in the folder of the data would be somebody else's program.
    (space.root / "click.py").write_text("raise SystemExit(77)", "utf-8")
    (space.root / "workbench.py").write_text("raise SystemExit(78)", "utf-8")
    monkeypatch.setenv("PYTHONPATH", f".{os.pathsep}{ROOT}")
    here(*FUNNEL)
    (child,) = children.values()
    assert state(space) == "building"
    assert start(space) is False
    if Path(f"/proc/{child.pid}/stat").exists():
        assert os.getsid(child.pid) == child.pid
    assert child.wait(60) == 0
    assert state(space) == "ready"
    record = records.read(store_folder(space).root)
    assert record is not None
    assert (record.state, record.pid) == ("done", child.pid)
    ran = here(*FUNNEL, "--json", "--stats")
    stored = json.loads(ran.out)
    assert json.loads(ran.err.splitlines()[-1])["path"] in ("lanes", "store")
    assert (stored["rows"], stored["totals"]) == (files["rows"], files["totals"])


def test_one_that_is_killed_leaves_nothing_locked(
    space: Workspace, children: dict[str, subprocess.Popen[bytes]], spawned_slowly: Path
) -> None:
    assert start(space) is True
    (child,) = children.values()
    root = store_folder(space).root
    wait_for(lambda: background.is_locked(store_folder(space)))
    assert state(space) == "building"
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    assert state(space) == "none"
    assert "it was ended" in str(why_not(space))
    taken = take_in(space, Task())
    assert taken.imported.manifest.rows == 3
    assert state(space) == "ready"
    assert not list(root.glob(".new-*"))


@pytest.fixture
def spawned_slowly(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The process takes the lock and then its time: a module of its own is put before the import."""
    slow = (
        "import sys, time; sys.path.append(sys.argv.pop(1))\n"
        "from workbench.store import importing\n"
        "importing._imported = lambda *arguments: time.sleep(60)\n"
        "from workbench.cli import main; main()"
    )
    monkeypatch.setattr(background, "_PROGRAM", slow)
    return home


def test_the_process_is_nice_and_takes_half_of_the_threads(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Any] = []
    monkeypatch.setattr(background, "take_in", lambda *arguments, **named: taken.append(named))
    monkeypatch.setattr("workbench.limits._cores", lambda: 8)
    build(space, Task(), memory=None, threads=None)
    build(space, Task(), memory="100MB", threads=3)
    assert taken == [{"memory": None, "threads": 2}, {"memory": "100MB", "threads": 3}]
    script = "import os\nfrom workbench.store.background import step_back\nstep_back()\nprint(os.nice(0))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ran.stdout == "19\n"


def test_a_second_process_ends_well_and_at_once(
    space: Workspace, workbench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "take_in", lambda *arguments, **named: pytest.fail("it ran"))
    folder = store_folder(space)
    with folder.writing():
        ran = workbench("import", "--background", cwd=space.root)
        assert (ran.code, ran.out, ran.err) == (0, "", "")
        build(space, Task(), memory=None, threads=None)
    assert records.read(folder.root) is None


def test_why_one_failed_is_kept(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **named: object) -> object:
        assert is_building(space) is False
        raise QueryFailed("the disk is full: /x")

    monkeypatch.setattr(background, "take_in", fail)
    with pytest.raises(QueryFailed):
        build(space, Task(), memory=None, threads=None)
    assert "the disk is full: /x" in str(why_not(space))
    monkeypatch.setattr(background, "take_in", watching.take_in)
    build(space, Task(), memory=None, threads=None)
    assert state(space) == "ready"


def test_two_instances_answer_while_one_imports(space: Workspace, here: Command) -> None:
    """Whoever reads has a whole generation, before and after; the store may even be deleted between."""
    take_in(space, Task())
    reading = store_folder(space).reading()
    assert reading is not None
    with reading:
        (space.root / "data" / "b.csv").write_text(
            "ts,event,user_id\n2026-03-03T10:00:00Z,view,u3\n", "utf-8"
        )
        take_in(space, Task())
        assert here(*FUNNEL, "--json").json["rows"][0]["users"] == 3
        assert all(reading.path(path).exists() for path in reading.manifest.sizes)
    shutil.rmtree(store_folder(space).root)
    assert here(*FUNNEL, "--json").json["rows"][0]["users"] == 3
