"""``workbench import`` and ``workbench cache``: what they do, what they say, and what they never take away."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from tests.driver import ROOT, Command
from tests.in_process import in_process
from workbench import schemas
from workbench.commands.import_ import _share
from workbench.errors import Cancelled, Changed, QueryFailed
from workbench.runner import Task
from workbench.store import background, watching
from workbench.store.folder import StoreFolder, store_folder
from workbench.store.records import Record, read
from workbench.store.telling import size_text
from workbench.store.watching import Taken, Watcher, take_in
from workbench.workspace import Workspace, load

TOML = '[[source]]\nname = "shop"\npath = "data"\n'
Rows = Sequence[tuple[str, str, str]]


def put(home: Path, name: str, rows: Rows, header: str = "ts,event,user_id") -> Path:
    """A file of events: day of March 2026, event, user."""
    lines = [f"2026-03-{day}T10:00:00Z,{event},{user}" for day, event, user in rows]
    path = home / "data" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n", "utf-8")
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "workbench.toml").write_text(TOML, "utf-8")
    put(folder, "a.csv", [("01", "view", "u1"), ("01", "order", "u1"), ("02", "view", "u2")])
    put(folder, "b.csv", [("03", "view", "u3")])
    return folder


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Commands in the test's process, in the workspace."""
    run = in_process(home.parent / "user", monkeypatch, capsys)
    return lambda *arguments: run(*arguments, cwd=home)


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


# --- import -----------------------------------------------------------------------------------------------


def test_an_import_says_what_came_changed_and_went(home: Path, here: Command) -> None:
    first = here("import")
    assert first.code == 0, first.err
    assert re.match(r"2 files read, 4 rows, in [\d.]+m?s\n", first.out)
    assert "the store holds 4 events of 3 people from 2 files" in first.out

    again = here("import")
    assert again.out.splitlines()[0] == "nothing new"

    put(home, "c.csv", [("04", "view", "u4"), ("04", "view", "u1")])
    assert here("import").out.startswith("1 file read, 2 rows, in ")

    put(home, "b.csv", [("03", "view", "u3"), ("03", "order", "u3")])
    (home / "data" / "a.csv").unlink()
    out = here("import").out
    assert "1 file changed and read again: data/b.csv\n" in out
    assert "1 file gone: data/a.csv\n" in out
    assert "the store holds 4 events of 3 people from 2 files" in out


def test_only_a_changed_file_without_affected_people(home: Path, here: Command) -> None:
    here("import")
    put(home, "b.csv", [("03", "view", "u3"), ("03", "order", "u3")])
    changed = here("import")
    assert changed.code == 0, changed.err
    assert "1 file changed and read again: data/b.csv\n" in changed.out


def test_only_so_many_files_are_named(home: Path, here: Command) -> None:
    for number in range(8):
        put(home, f"x{number}.csv", [("05", "view", "u9")])
    for number in range(40):
        put(home, f"y{number}.csv", [("05", "view", f"v{number}")])
    here("import")
    for number in range(8):
        (home / "data" / f"x{number}.csv").unlink()
    assert (
        "8 files gone: data/x0.csv, data/x1.csv, data/x2.csv, data/x3.csv, data/x4.csv and 3 more\n"
        in here("import").out
    )


def test_whose_identity_changed_is_counted(home: Path, here: Command) -> None:
    header = "ts,event,user_id,anonymous_id"
    many = [("01", "view", f"v{number},e{number}") for number in range(20)]
    put(home, "a.csv", [*many, ("01", "view", ",d1"), ("01", "cart", ",d1"), ("02", "view", ",d2")], header)
    (home / "data" / "b.csv").unlink()
    here("import")
    put(home, "b.csv", [("03", "login", "u1,d1")], header)
    out = here("import").out
    assert re.search(r"the new files changed who 1 person is: 2 of their events were sorted again\n", out)
    total = here("import", "--json").json["totals"]
    assert total["users"] == 22


def test_all_makes_it_anew(home: Path, here: Command) -> None:
    before = here("import", "--json").json["totals"]
    assert "everything was read again\n" in here("import", "--all").out
    after = here("import", "--all", "--json").json["totals"]
    assert (before["new_files"], after["new_files"]) == (2, 2)
    assert after["everything_read"] is True
    assert here("import", "--json").json["totals"]["up_to_date"] is True


def test_its_json_is_as_its_schema_says(home: Path, here: Command) -> None:
    validator = jsonschema.Draft202012Validator(schemas.load("import"))
    here("import")
    put(home, "b.csv", [("05", "view", "u3")])
    put(home, "c.csv", [("05", "view", "u3")])
    (home / "data" / "d.parquet").write_bytes(b"PAR1 no")
    (home / "data" / "a.csv").unlink()
    answer = here("import", "--json").json
    validator.validate(answer)
    assert [(row["change"], row["file"]) for row in answer["rows"]] == [
        ("changed", "data/b.csv"),
        ("gone", "data/a.csv"),
        ("new", "data/c.csv"),
        ("unread", "data/d.parquet"),
    ]
    totals = answer["totals"]
    assert (totals["new_files"], totals["gone_files"], totals["changed_files"]) == (2, 2, 1)
    assert (totals["new_rows"], totals["rows"], totals["users"]) == (2, 2, 1)
    assert answer["meta"]["as_of"] == "2026-03-05T10:00:00.000+00:00"


def test_a_file_that_cannot_be_read_is_named_and_no_news_twice(home: Path, here: Command) -> None:
    (home / "data" / "bad.parquet").write_bytes(b"\0\1\2 no Parquet")
    assert "1 file not readable, or not whole yet: data/bad.parquet\n" in here("import").out
    assert background.state(load(home)) == "ready"
    assert here("import").out.startswith("nothing new\n")


def test_a_name_can_do_nothing_to_a_terminal(home: Path, here: Command) -> None:
    put(home, "\x1b[31mred.csv", [("05", "view", "u5")])
    here("import")
    (home / "data" / "\x1b[31mred.csv").unlink()
    out = here("import").out
    assert "\x1b" not in out
    assert "red.csv" in out


def test_duplicates_left_out_have_no_store(home: Path, here: Command) -> None:
    (home / "workbench.toml").write_text(TOML + '[dedup]\nrule = "row"\n', "utf-8")
    ran = here("import")
    assert ran.code == 2
    assert "[dedup]" in ran.err


def test_wrong_spans_are_usage(home: Path, here: Command) -> None:
    for option in (("--wait", "soon"), ("--watch", "none"), ("--watch", "1 parsec"), ("--timeout", "x")):
        assert here("import", *option).code == 2, option


def test_without_a_workspace_there_is_nothing_to_import(workbench: Command, tmp_path: Path) -> None:
    ran = workbench("import", cwd=tmp_path)
    assert ran.code == 3
    assert "no workbench.toml" in ran.err


def test_bare_paths_have_a_store_when_asked_for(home: Path, here: Command) -> None:
    assert here("import", "--data", str(home / "data")).out.startswith("2 files read")
    stats = json.loads(here("events", "--data", str(home / "data"), "--stats").err.splitlines()[-1])
    assert stats["path"] == "store"


@pytest.fixture
def importing(home: Path) -> Iterator[StoreFolder]:
    """Somebody else who imports, for as long as the test runs."""
    folder = store_folder(load(home))
    folder.root.mkdir(parents=True)
    script = (
        "import fcntl, os, sys, time\n"
        "lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "lock.write(f'{os.getpid()}\\n'); lock.flush(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder.root / "lock")], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield folder
        process.kill()


def test_a_second_import_says_who_imports_or_waits(
    home: Path, here: Command, importing: StoreFolder, request: pytest.FixtureRequest
) -> None:
    pid = (importing.root / "lock").read_text().strip()
    ran = here("import")
    assert ran.code == 6
    assert f"another import is running: process {pid}" in ran.err
    # Questions are answered meanwhile, and nothing is begun beside it.
    assert here("events", "--json").json["totals"]["users"] == 3
    assert background.why_not(load(home)) is not None
    began = time.monotonic()
    assert here("import", "--wait", "400ms").code == 6
    assert time.monotonic() - began >= 0.4
    # Whoever held it is killed: the lock goes with it.
    os.kill(int(pid), signal.SIGKILL)
    assert here("import", "--wait", "5s").code == 0
    assert background.state(load(home)) == "ready"


def test_a_cache_that_cannot_be_written_is_said(
    home: Path, here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    here("import")
    put(home, "c.csv", [("04", "view", "u4")])

    def refuse(*arguments: object, **named: object) -> object:
        raise PermissionError(13, "Permission denied", str(home / ".workbench" / "store"))

    monkeypatch.setattr("workbench.store.updating.prepare_cache", refuse)
    ran = here("import")
    assert ran.code == 1
    assert "cannot write the store" in ran.err
    assert "permission denied" in ran.err


def test_stores_of_other_settings_go_by_quota(home: Path, here: Command) -> None:
    here("import")
    old = store_folder(load(home)).root
    (home / "workbench.toml").write_text(TOML + '[ids]\njunk = ["x"]\n', "utf-8")
    here("import")
    assert old.is_dir()
    (home / "workbench.toml").write_text(TOML + '[ids]\njunk = ["y"]\n[store]\nquota = "0.001MB"\n', "utf-8")
    assert "2 stores of other settings deleted: " in here("import").out
    assert not old.exists()
    assert not old.with_suffix(".json").exists()
    assert [each.name for each in old.parent.iterdir() if each.is_dir()] == [
        store_folder(load(home)).root.name
    ]


def test_progress_never_goes_back_and_ends_within_the_whole() -> None:
    task = Task()
    shares = []
    for what, fraction in (
        ("listing files", None),
        ("reading a.csv", 0.5),
        ("import: who is who", None),
        ("import: sorting 0 of 9 rows", 0.0),
        ("import: sorting 5 of 9 rows", 0.55),
        ("import: what is no event", None),
        ("import: lanes", None),
        ("import: merging runs", 0.5),
    ):
        task.report(fraction, what)
        shares.append(_share(task))
    assert None not in shares
    assert shares == sorted(shares)  # type: ignore[type-var]
    assert 0 <= shares[0] <= shares[-1] <= 1  # type: ignore[operator]
    task.report(0.5, "something else")
    assert _share(task) is None


# --- watching ---------------------------------------------------------------------------------------------


class Watched:
    """A watcher in a process of its own, and the lines it prints."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.log = home.parent / "watch.out"
        environment = {
            **os.environ,
            "HOME": str(home.parent),
            "XDG_CACHE_HOME": str(home.parent / "cache"),
            "PYTHONPATH": str(ROOT),
        }
        with self.log.open("wb") as out, (home.parent / "watch.err").open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workbench", "-C", str(home), "import", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def lines(self) -> list[str]:
        return [line for line in self.log.read_text("utf-8").split("\n")[:-1] if line]

    @property
    def errors(self) -> str:
        return self.log.with_suffix(".err").read_text("utf-8")

    def ticks(self) -> int:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_watcher_takes_in_what_comes_and_ends_when_told(
    home: Path, number: signal.Signals, code: int
) -> None:
    watcher = Watched(home, "--watch", "200ms", "--json")
    try:
        wait_for(lambda: len(watcher.lines) == 1)
        put(home, "c.csv", [("04", "view", "u4")])
        wait_for(lambda: len(watcher.lines) == 2)
        line: dict[str, Any] = json.loads(watcher.lines[1])
        assert (line["new_files"], line["rows"]) == (1, 5)
        assert line["as_of"] == "2026-03-04T10:00:00.000+00:00"
        if number == signal.SIGTERM:
            before = watcher.ticks()
            time.sleep(1.0)
            assert watcher.ticks() - before <= 0.2 * os.sysconf("SC_CLK_TCK")
            assert len(watcher.lines) == 2
    finally:
        watcher.process.send_signal(number)
    assert watcher.process.wait(10) == code
    assert background.state(load(home)) == "ready"
    assert "Traceback" not in watcher.errors


def test_a_killed_watcher_leaves_a_store_that_works(home: Path, here: Command) -> None:
    watcher = Watched(home, "--watch", "200ms")
    try:
        wait_for(lambda: len(watcher.lines) == 1)
        assert re.match(
            r"\d{4}-\S+ 2 files read, 4 rows, in \S+; as of 2026-03-03T10:00:00.000\+00:00$", watcher.lines[0]
        )
        put(home, "c.csv", [("04", "view", "u4")])
        # In the middle of looking, importing, or behind it: any moment must do.
        time.sleep(0.5)
    finally:
        watcher.process.kill()
        watcher.process.wait(10)
    put(home, "d.csv", [("05", "view", "u5")])
    assert here("import").code == 0
    assert here("events", "--json").json["totals"]["users"] == 5
    assert background.state(load(home)) == "ready"


class Scripted:
    """A watcher over a real folder whose rounds go as a script says."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.task = Task()
        self.workspace = load(home)
        self.told: list[Taken] = []
        self.complaints: list[str] = []
        self.tries: list[int] = []
        self.failures: list[Exception] = []
        self.looks = 0
        self.on_look: Callable[[int], None] = lambda look: None
        self._monkeypatch = monkeypatch

    def take(self, task: Task, is_first: bool) -> Taken:
        self.tries.append(self.looks)
        if self.failures:
            raise self.failures.pop(0)
        return take_in(self.workspace, task)

    def run(self, looks: int) -> None:
        watcher = Watcher(
            self.workspace,
            0.01,
            self.take,
            tell=self.told.append,
            complain=lambda error: self.complaints.append(error.message),
        )

        def sleep(task: Task) -> None:
            self.looks += 1
            if self.looks == looks:
                task.cancel()
            self.on_look(self.looks)
            task.check()

        self._monkeypatch.setattr(watcher, "_sleep", sleep)
        with pytest.raises(Cancelled):
            watcher.run(self.task)


def test_files_that_still_change_are_waited_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Scripted(home, monkeypatch)

    def grow(look: int) -> None:
        if 2 <= look <= 5:
            put(home, "c.csv", [("04", "view", f"u{number}") for number in range(look)])

    watched.on_look = grow
    watched.run(10)
    # Changed after looks 2 to 5: look 6 (the fifth, from 0) sees the last change, and the next one that it stays.
    assert watched.tries == [0, 6]
    assert [taken.imported.new_rows for taken in watched.told] == [4, 5]


def stop_clock(monkeypatch: pytest.MonkeyPatch, clock: Callable[[], float]) -> None:
    """A clock of the watcher's own."""
    own = SimpleNamespace(monotonic=clock, time=time.time, sleep=time.sleep)
    monkeypatch.setattr(watching, "time", own)


def test_what_fails_is_said_once_and_tried_again_later(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    stop_clock(monkeypatch, lambda: clock[0])
    watched = Scripted(home, monkeypatch)
    watched.failures = [QueryFailed("the disk is full"), QueryFailed("the disk is full"), Changed("busy")]

    def tick(look: int) -> None:
        clock[0] += 0.01

    watched.on_look = tick
    watched.run(30)
    assert watched.complaints == ["the disk is full", "busy"]
    # Pauses of one, two and four looks, at least.
    gaps = [later - earlier for earlier, later in zip(watched.tries, watched.tries[1:], strict=False)]
    assert len(gaps) == 3
    assert gaps[0] >= 1
    assert gaps[0] < gaps[1] < gaps[2]
    assert len(watched.told) == 1


def test_what_fails_is_tried_at_once_over_other_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Scripted(home, monkeypatch)
    stop_clock(monkeypatch, lambda: 0.0)
    watched.failures = [QueryFailed("damaged")]

    def come(look: int) -> None:
        if look == 5:
            put(home, "c.csv", [("04", "view", "u4")])

    watched.on_look = come
    watched.run(9)
    assert watched.tries == [0, 6]
    assert watched.told[0].imported.manifest.rows == 5


def test_a_folder_that_becomes_empty_ends_no_watch(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Scripted(home, monkeypatch)

    def empty(look: int) -> None:
        if look == 2:
            for path in (home / "data").iterdir():
                path.unlink()
        if look == 8:
            put(home, "n.csv", [("06", "view", "u6")])

    watched.on_look = empty
    watched.run(14)
    assert watched.complaints == [f"no data at {home / 'data'}"]
    assert watched.told[-1].imported.manifest.rows == 1


# --- the cache --------------------------------------------------------------------------------------------


def test_the_cache_says_how_the_store_stands(home: Path, here: Command) -> None:
    validator = jsonschema.Draft202012Validator(schemas.load("cache"))
    nothing = here("cache", "--json").json
    validator.validate(nothing)
    assert (nothing["totals"]["state"], nothing["rows"]) == ("none", [])

    here("import")
    ready = here("cache", "--json").json
    validator.validate(ready)
    totals = ready["totals"]
    assert (totals["state"], totals["files"], totals["rows"], totals["users"]) == ("ready", 2, 4, 3)
    root = store_folder(load(home)).root
    assert totals["bytes"] == sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    assert totals["staged_files"] == len(list((home / ".workbench" / "staged").iterdir())) == 2

    put(home, "b.csv", [("05", "view", "u3")])
    put(home, "c.csv", [("05", "view", "u3")])
    stale = here("cache", "--json").json["totals"]
    assert (stale["state"], stale["new_files"], stale["gone_files"]) == ("stale", 2, 1)
    text = here("cache").out
    assert "out of date: 2 files new (data/b.csv, data/c.csv), 1 file gone or changed (data/b.csv)" in text

    here("import")
    assert here("cache", "--json").json["totals"]["void_rows"] >= 0
    assert "up to date" in here("cache").out


def test_void_rows_are_counted(home: Path, here: Command) -> None:
    put(home, "a.csv", [("01", "view", f"v{number}") for number in range(40)])
    here("import")
    put(home, "b.csv", [("03", "view", "u3"), ("04", "view", "u3")])
    here("import")
    totals = here("cache", "--json").json["totals"]
    assert (totals["rows"], totals["void_rows"], totals["runs"]) == (42, 1, 2)
    assert "42 events (and 1 void row) of 41 people" in here("cache").out


def test_clear_deletes_the_current_store_alone(home: Path, here: Command) -> None:
    validator = jsonschema.Draft202012Validator(schemas.load("cache"))
    here("import")
    other = store_folder(load(home)).root
    (home / "workbench.toml").write_text(TOML + '[ids]\njunk = ["x"]\n', "utf-8")
    here("import")
    own = store_folder(load(home)).root
    answer = here("cache", "clear", "--json").json
    validator.validate(answer)
    assert [(row["name"], row["state"]) for row in answer["rows"]] == [(own.name, "deleted")]
    assert (own.exists(), other.exists()) == (False, True)
    assert read(own) is None
    assert here("events", "--json").json["totals"]["users"] == 3
    here("cache", "clear", "--all")
    assert not other.exists()
    assert (home / ".workbench" / "staged").is_dir()


def test_clear_takes_nothing_that_is_read_or_written(home: Path, here: Command) -> None:
    here("import")
    folder = store_folder(load(home))
    reading = folder.reading()
    assert reading is not None
    with reading:
        ran = here("cache", "clear")
        assert ran.code == 6
        assert "kept: somebody reads or writes it" in ran.out
        assert folder.load() is not None
    with (folder.root / "lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert here("cache", "clear").code == 6
        assert here("cache", "--json").json["totals"]["state"] == "building"
    assert here("cache", "clear").code == 0
    assert not folder.root.exists()


def test_staged_copies_go_when_asked_for_and_nobody_has_them_open(home: Path, here: Command) -> None:
    here("import")
    staged = home / ".workbench" / "staged"
    (staged / ".work-now").mkdir()
    one, *others = sorted(staged.glob("*.parquet"))
    with one.open("rb"):
        ran = here("cache", "clear", "--staged")
        assert ran.code == 6
        assert set(staged.iterdir()) == {one, staged / ".work-now"}
        assert others
    os.utime(staged / ".work-now", (1, 1))
    assert here("cache", "clear", "--staged").code == 0
    assert list(staged.iterdir()) == []
    assert here("events", "--json").json["totals"]["users"] == 3


@pytest.mark.parametrize("arguments", [["--all"], ["--staged"], ["wipe"], ["--sql"], ["--save", "x"]])
def test_what_the_cache_cannot_do_is_usage(home: Path, here: Command, arguments: list[str]) -> None:
    assert here("cache", *arguments).code == 2


def test_a_damaged_store_is_listed_and_can_be_deleted(home: Path, here: Command) -> None:
    here("import")
    root = store_folder(load(home)).root
    (root / "manifest.json").write_bytes(b"{")
    answer = here("cache", "--json").json
    assert (answer["totals"]["state"], answer["rows"][0]["state"]) == ("none", "current, not readable")
    assert here("cache", "clear").code == 0
    assert not root.exists()


def test_the_file_of_settings_says_quota_and_build(home: Path) -> None:
    def under(text: str) -> Workspace:
        (home / "workbench.toml").write_text(f"{TOML}[store]\n{text}\n", "utf-8")
        return load(home)

    assert (load(home).store.build, load(home).store.quota) == ("auto", 20_000_000_000)
    assert under('build = "never"').store.build == "never"
    for text, size in (("500MB", 500_000_000), ("1.5 GB", 1_500_000_000), ("2tb", 2_000_000_000_000)):
        assert under(f'quota = "{text}"').store.quota == size
    for wrong in ('quota = "many"', "quota = 5", 'build = "often"', 'size = "1GB"', 'quota = "-1GB"'):
        with pytest.raises(Exception, match=r"workbench\.toml:\d+:\d+: "):
            under(wrong)


def test_sizes_for_people() -> None:
    assert [size_text(size) for size in (0, 999, 45_100, 2_500_000, 1_240_000_000)] == [
        "0 B",
        "999 B",
        "45 kB",
        "2 MB",
        "1.2 GB",
    ]


def test_a_record_that_is_none_is_none(tmp_path: Path) -> None:
    root = tmp_path / "abc"
    for text in (
        b"",
        b"{",
        b"[]",
        b'{"state":"x","when":1,"pid":1,"listing":"","why":""}',
        b'{"state":"done"}',
    ):
        root.with_name("abc.json").write_bytes(text)
        assert read(root) is None
    assert Record("done", 1.0, 1).listing == ""
