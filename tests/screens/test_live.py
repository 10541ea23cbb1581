"""Files that come in while the program is open, and the store that is made behind it: on pictures of plain text."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from queries.catalogue import events_from_dict as events_request
from queries.question import Scope
from tests.screens.driver import Driver, driver
from tests.screens.pty_driver import Terminal, environment, python
from workbench import app, live
from workbench.dataset import Dataset
from workbench.errors import UsageError
from workbench.live import Settling, StoreLook, Watcher, is_wanted, listing
from workbench.runner import Task
from workbench.session import Answer, Session
from workbench.store.updating import update_store
from workbench.workspace import Workspace, load

LOOK = 0.1
PATIENCE = 20.0
OFTEN = """
from workbench import live
live.LOOK_SECONDS = 0.2
from workbench import app
app.FIRST_SECONDS = 60.0
from workbench.cli import main
main()
"""


def rows(hour: int, count: int, day: int = 1) -> str:
    lines = [
        f"2026-03-{day:02}T{hour:02}:{number:02}:00,{'paid' if number % 5 == 0 else 'view'},u{hour}-{number}"
        for number in range(count)
    ]
    return "\n".join(["ts,event,user_id", *lines]) + "\n"


def put(path: Path, text: str) -> None:
    """As exports are to be put in place: by renaming."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, "utf-8")
    new.replace(path)


def shop(folder: Path, *more: str) -> Path:
    """A workspace over the folder ``in``, with 20 events; ``more`` sources beside it are folders of one event."""
    for name in ("in", *more):
        (folder / name).mkdir(parents=True)
    put(folder / "in" / "a.csv", rows(12, 20))
    for name in more:
        put(folder / name / "a.csv", rows(12, 1))
    sources = "".join(
        f'[[source]]\nname = "{name}"\npath = "{name}/*.csv"\n[source.map]\n'
        'ts = "ts"\nevent = "event"\nuser_id = "user_id"\n'
        for name in ("in", *more)
    )
    (folder / "workbench.toml").write_text(
        f'schema = 1\ntimezone = "UTC"\n{sources}[roles]\norder = "paid"\n', "utf-8"
    )
    return folder


class Imports:
    """Stands in for the imports beside the program: each ends when it is let."""

    def __init__(self) -> None:
        self.starts: list[Workspace] = []
        self.starts_on: Callable[[Workspace], bool] = lambda workspace: True
        self.now = "none"
        self.paths: list[object] = []
        """Where each answer found its events, as it came."""
        self.asked_on: set[str] = set()

    LEAST_SECONDS = 1.0

    def pays(self, dataset: Dataset) -> bool:
        return dataset.stats()["path"] == "files"

    def start(self, workspace: Workspace) -> bool:
        self.asked_on.add(threading.current_thread().name)
        if not self.starts_on(workspace):
            return False
        self.starts.append(workspace)
        self.now = "building"
        return True

    def state(self, workspace: Workspace) -> str:
        return self.now

    def end(self) -> None:
        """The import is through."""
        update_store(self.starts[-1], Task(), memory="200MB", threads=1)
        self.now = "ready"


@pytest.fixture(autouse=True)
def imports(monkeypatch: pytest.MonkeyPatch) -> Imports:
    """Nothing is imported beside the program unless a test says so; looks are taken often."""
    found = Imports()
    found.starts_on = lambda workspace: False
    monkeypatch.setitem(sys.modules, "workbench.store.background", found)
    monkeypatch.setenv("WORKBENCH_LIVE", "on")
    monkeypatch.setattr(live, "LOOK_SECONDS", LOOK)
    monkeypatch.setattr(live, "STORE_SECONDS", 0.05)
    real = app.WorkbenchApp.answered

    def answered(self: app.WorkbenchApp, answer: Answer) -> None:
        found.paths.append(answer.dataset.stats()["path"])
        real(self, answer)

    monkeypatch.setattr(app.WorkbenchApp, "answered", answered)
    # A machine that is busy reads a few rows as slowly as another one many.
    monkeypatch.setattr(app, "REFRESHED_SECONDS", 60.0)
    monkeypatch.setattr(app, "FIRST_SECONDS", 60.0)
    return found


def seen(folder: Path, look: Callable[[Driver], Coroutine[Any, Any, None]], **settings: Any) -> None:
    async def run() -> None:
        async with driver(folder, **settings) as d:
            await look(d)

    asyncio.run(run())


async def until(d: Driver, true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, d.text()
        await asyncio.sleep(0.02)
        await d._pilot.pause()
    await d.settled()


async def looks(d: Driver, count: int = 5) -> None:
    """Waits for so many looks at the sources."""
    await asyncio.sleep(count * LOOK)
    await d.settled()


def figure(d: Driver, name: str) -> str:
    return next(line.split()[1] for line in d.lines() if line.startswith(f" {name} "))


def views(d: Driver) -> str:
    return d.line(" view ").split()[2]


def status(d: Driver) -> str:
    return d.lines()[-2]


# --- files ------------------------------------------------------------------------------------------------------


def test_a_file_that_appears_is_in_the_numbers_without_a_key(tmp_path: Path) -> None:
    async def look(d: Driver) -> None:
        assert figure(d, "events") == "20" and "as of 2026-03-01 12:19" in status(d)
        await d.press("j", "j", "l")
        before = d.app.trail[-1].grid.cursor_row, d.app.trail[-1].grid.cursor_key
        put(tmp_path / "in" / "b.csv", rows(14, 11))
        put(tmp_path / "in" / "c.csv", rows(15, 3))
        await until(d, lambda: figure(d, "events") == "34")
        assert " in 34 rows, 2 files" not in d.text() and " in 34 rows, 3 files" in d.text()
        assert "+2 files, +14 events, as of 15:02" in status(d)
        assert (d.app.trail[-1].grid.cursor_row, d.app.trail[-1].grid.cursor_key) == before
        await d.press("j")
        assert "as of 2026-03-01 15:02" in status(d)

    seen(shop(tmp_path), look)


def test_files_that_change_and_go_are_said(tmp_path: Path) -> None:
    shop(tmp_path)
    put(tmp_path / "in" / "b.csv", rows(14, 11))

    async def look(d: Driver) -> None:
        put(tmp_path / "in" / "a.csv", rows(12, 25))
        await until(d, lambda: "1 file changed, +5 events, as of 14:10" in status(d))
        (tmp_path / "in" / "b.csv").unlink()
        await until(d, lambda: "-1 file, -11 events, as of 12:24" in status(d))
        assert figure(d, "events") == "25"

    seen(tmp_path, look)


def test_the_first_file_of_an_empty_folder_is_the_first_answer(tmp_path: Path) -> None:
    (shop(tmp_path) / "in" / "a.csv").unlink()

    async def look(d: Driver) -> None:
        assert "no data" in d.text()
        put(tmp_path / "in" / "a.csv", rows(12, 7))
        await until(d, lambda: " events " in d.text() and figure(d, "events") == "7")

    seen(tmp_path, look)


def test_a_file_that_grows_waits(tmp_path: Path) -> None:
    async def look(d: Driver) -> None:
        lines = rows(14, 12).splitlines(keepends=True)
        with (tmp_path / "in" / "b.csv").open("w", encoding="utf-8") as file:
            for line in lines:
                file.write(line)
                file.flush()
                await asyncio.sleep(LOOK * 0.6)
                assert figure(d, "events") == "20"
        await until(d, lambda: "+1 file, +12 events" in status(d))

    seen(shop(tmp_path), look)


def test_a_line_being_typed_a_box_and_marked_rows_go_first(tmp_path: Path) -> None:
    async def look(d: Driver) -> None:
        for number, (opens, closes) in enumerate(
            ((("/", "x"), ("escape",)), (("?",), ("q",)), (("g",), ("escape",)), (("space",), ("escape",)))
        ):
            await d.press(*opens)
            put(tmp_path / "in" / f"w{number}.csv", rows(14 + number, 3))
            await until(d, lambda: d.app.trail[-1].is_behind)
            await looks(d, 2)
            await d.press("down" if opens != ("space",) else "j")
            answer = d.app.trail[-1].answer
            assert answer is not None and answer.result.totals["events"] == 20 + 3 * number
            await d.press(*closes)
            await until(d, lambda: not d.app.trail[-1].is_behind)
            assert figure(d, "events") == str(23 + 3 * number)

    seen(shop(tmp_path), look)


def test_a_sort_and_a_filter_stay(tmp_path: Path) -> None:
    async def look(d: Driver) -> None:
        await d.press("6", "f", *"u12", "enter", "s")
        assert "by user, largest first" in status(d)
        first = next(line.split()[0] for line in d.lines() if line.startswith(" u1"))
        put(tmp_path / "in" / "b.csv", rows(14, 11))
        await until(d, lambda: "+1 file, +11 events" in status(d))
        await d.press("j")
        assert '20 of 31 rows hold "u12"; by user, largest first' in status(d)
        assert next(line.split()[0] for line in d.lines() if line.startswith(" u1")) == first

    seen(shop(tmp_path), look)


def test_screens_on_the_way_back_ask_again_when_one_returns_to_them(tmp_path: Path) -> None:
    async def look(d: Driver) -> None:
        await d.press("enter")
        assert "people events" in d.lines()[0] and "20 rows" in d.text()
        put(tmp_path / "in" / "b.csv", rows(14, 11))
        await until(d, lambda: d.app.trail[-1].answer.table.total == 31)  # type: ignore[union-attr]
        assert d.app.trail[0].is_behind
        opened = d.app.trail[-1].answer.dataset  # type: ignore[union-attr]
        await d.press("q")
        assert figure(d, "events") == "31" and not d.app.trail[0].is_behind
        assert d.app.trail[0].answer.dataset is opened

    seen(shop(tmp_path), look)


def test_where_reading_took_long_files_are_only_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "REFRESHED_SECONDS", 0.0)

    async def look(d: Driver) -> None:
        # Of the first time nobody knows yet how long it takes.
        put(tmp_path / "in" / "b.csv", rows(14, 11))
        await until(d, lambda: figure(d, "events") == "31")
        put(tmp_path / "in" / "c.csv", rows(15, 11))
        await until(d, lambda: "new files: R asks again" in status(d))
        assert figure(d, "events") == "31"
        await d.press("R")
        assert figure(d, "events") == "42"

    seen(shop(tmp_path), look)


def test_a_source_that_is_late_is_named_before_other_warnings(tmp_path: Path) -> None:
    shop(tmp_path, "tills")
    put(tmp_path / "tills" / "a.csv", rows(12, 1) + "2026-03-01T12:00:00,,u1\n")

    async def look(d: Driver) -> None:
        assert "1 rows without an event name set aside" in status(d)
        put(tmp_path / "in" / "b.csv", rows(15, 11))
        late = "source tills ends 2026-03-01T12:00:00.000+00:00, 3 hours before the newest event"
        await until(d, lambda: f"+1 file, +11 events, as of 15:10 · ! {late}" in status(d))
        await d.press("j")
        assert late in status(d)

    seen(tmp_path, look, size=(160, 40))


@pytest.mark.parametrize("how", ["environment", "settings"])
def test_it_can_be_turned_off(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "environment":
        monkeypatch.setenv("WORKBENCH_LIVE", "off")
    else:
        monkeypatch.delenv("WORKBENCH_LIVE")
        settings = tmp_path / ".home" / "workbench" / "config.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text("[live]\nrefresh = false\n", "utf-8")

    async def look(d: Driver) -> None:
        put(tmp_path / "in" / "b.csv", rows(14, 11))
        await looks(d, 8)
        assert figure(d, "events") == "20" and "new" not in status(d)
        assert "workbench-live" not in {thread.name for thread in threading.enumerate()}
        await d.press("R")
        assert figure(d, "events") == "31"

    seen(shop(tmp_path), look)


def test_the_environment_goes_before_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text("[live]\nrefresh = false\n", "utf-8")
    assert is_wanted(settings)
    monkeypatch.delenv("WORKBENCH_LIVE")
    assert not is_wanted(settings)
    settings.write_text('[keys]\nsort = ["S"]\n', "utf-8")
    assert is_wanted(settings)
    settings.write_text('[live]\nrefresh = "no"\n', "utf-8")
    with pytest.raises(UsageError, match="refresh must be true or false"):
        is_wanted(settings)


def test_a_program_at_rest_sends_nothing_and_costs_next_to_nothing(tmp_path: Path) -> None:
    shop(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    off = environment(home, WORKBENCH_STORE="off")
    with Terminal(python(OFTEN), env=off, cwd=tmp_path) as terminal:
        terminal.wait_until(lambda shown: " s · as of" in shown and "running" not in shown)
        terminal.read(0.5)
        before = _cpu_seconds(terminal.process.pid)
        # As many looks as there are in five minutes.
        assert terminal.read(12, at_most=12) == b""
        taken = _cpu_seconds(terminal.process.pid) - before
        print(f"{taken:.2f} s of the processor for 60 looks")
        assert taken < 1.2
        put(tmp_path / "in" / "b.csv", rows(14, 11))
        terminal.wait_for("+1 file, +11 events")


def _cpu_seconds(process: int) -> float:
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


# --- listings ---------------------------------------------------------------------------------------------------


def test_a_listing_names_data_files_and_opens_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop(tmp_path)
    odd = tmp_path / "in" / "b.odd"
    put(odd, rows(14, 3))
    (tmp_path / "in" / "c.csv.part").write_text("x")
    toml = tmp_path / "workbench.toml"
    toml.write_text(toml.read_text().replace('"in/*.csv"', '["in", "in/b.odd", "nowhere/*.csv"]'), "utf-8")
    workspace = load(toml)
    monkeypatch.setattr("builtins.open", _refused)
    monkeypatch.setattr(os, "open", _refused)
    monkeypatch.setattr("pathlib.Path.open", _refused)
    found = listing(workspace)
    monkeypatch.undo()
    assert set(found) == {str(tmp_path / "in" / name) for name in ("a.csv", "b.odd")}
    assert found[str(odd)][:2] == (odd.stat().st_size, odd.stat().st_mtime_ns)


def _refused(*_: object, **__: object) -> None:
    raise AssertionError("a file was opened")


def test_a_change_is_one_once_two_looks_agree() -> None:
    one = Settling({"a": (1,)})
    assert not one.has_changed({"a": (1,)})
    assert [one.has_changed({"a": (1,), "b": (size,)}) for size in (1, 2, 3, 3, 3)] == [False] * 3 + [
        True,
        False,
    ]
    assert [one.has_changed(now) for now in ({"b": (3,)}, {"b": (3,)}, {"b": (3,)})] == [False, True, False]
    # Gone and back as it was.
    assert [one.has_changed(now) for now in ({}, {"b": (3,)}, {"b": (3,)})] == [False] * 3


def test_a_file_that_never_rests_holds_up_the_others_not_for_ever() -> None:
    one = Settling({})
    told = [one.has_changed({"log": (size,), "a": (1,)}) for size in range(3 * live.MOST_WAITS)]
    assert told.count(True) == 1 and told.index(True) == live.MOST_WAITS - 1
    # At rest it is a change of its own.
    size = 3 * live.MOST_WAITS - 1
    assert [one.has_changed({"log": (size,), "a": (1,)}) for _ in range(2)] == [True, False]


# --- the store --------------------------------------------------------------------------------------------------


def test_the_store_is_begun_behind_the_first_answer_and_said_once(tmp_path: Path, imports: Imports) -> None:
    imports.starts_on = lambda workspace: True

    async def look(d: Driver) -> None:
        assert "making the store (a fast copy) behind; `workbench cache` shows it" in status(d)
        await d.press("0", "R", "8")
        assert len(imports.starts) == 1 and "fast copy" not in status(d)
        assert imports.asked_on == {"workbench-session"}
        assert imports.paths[-1:] == ["files"]
        before, answer = d.text(), d.app.trail[-1].answer
        imports.end()
        await looks(d)
        assert d.text() == before and d.app.trail[-1].answer is answer
        await d.press("r")
        assert imports.paths[-1:] == ["store"] and views(d) == "16"

    seen(shop(tmp_path), look)


def test_with_a_store_new_files_are_imported_first(tmp_path: Path, imports: Imports) -> None:
    shop(tmp_path)
    update_store(load(tmp_path), Task(), memory="200MB", threads=1)
    imports.now = "ready"
    imports.starts_on = lambda workspace: True

    async def look(d: Driver) -> None:
        assert imports.paths[-1:] == ["store"] and not imports.starts and views(d) == "16"
        put(tmp_path / "in" / "b.csv", rows(14, 11))
        await until(d, lambda: bool(imports.starts))
        await looks(d)
        assert views(d) == "16" and imports.asked_on == {"workbench-live"}
        imports.end()
        await until(d, lambda: "+1 file, +11 events, as of 14:10" in status(d))
        assert imports.paths[-1:] == ["store"] and views(d) == "24"

    seen(tmp_path, look, start="events")


class Told:
    """A watcher stepped by hand."""

    def __init__(self, imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
        self.heard: list[bool] = []
        self.faults: list[BaseException] = []
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.watcher = Watcher(Scope, self.heard.append, self.faults.append, lambda: imports)

    def steps(self, count: int = 2) -> list[bool]:
        for _ in range(count):
            self.watcher.step()
            self.now += LOOK * 1.01
        return self.heard


@pytest.fixture
def told(tmp_path: Path, imports: Imports, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    shop(tmp_path)
    with chdir(tmp_path):
        yield Told(imports, monkeypatch)


def test_an_import_that_fails_leaves_the_files(tmp_path: Path, told: Told, imports: Imports) -> None:
    update_store(load(tmp_path), Task(), memory="200MB", threads=1)
    imports.starts_on = lambda workspace: True
    told.steps()
    put(tmp_path / "in" / "b.csv", rows(14, 11))
    assert told.steps(8) == [] and len(imports.starts) == 1
    imports.now = "stale"
    assert told.steps() == [False]
    assert told.steps(5) == [False]


def test_an_import_that_ends_behind_the_files_is_followed_by_another(
    tmp_path: Path, told: Told, imports: Imports
) -> None:
    update_store(load(tmp_path), Task(), memory="200MB", threads=1)
    imports.starts_on = lambda workspace: True
    told.steps()
    put(tmp_path / "in" / "b.csv", rows(14, 11))
    told.steps(4)
    imports.end()
    imports.now = "stale"
    assert told.steps(1) == [] and len(imports.starts) == 2
    put(tmp_path / "in" / "c.csv", rows(15, 11))
    imports.end()
    assert told.steps(1) == [True]


def test_files_that_come_while_the_store_is_made_wait_for_it(
    tmp_path: Path, told: Told, imports: Imports
) -> None:
    told.steps()
    put(tmp_path / "in" / "b.csv", rows(14, 11))
    imports.now = "building"
    assert told.steps(9) == []
    imports.starts.append(load(tmp_path))
    imports.end()
    assert told.steps(1) == [True]


def test_settings_half_written_and_folders_that_go_are_looked_at_again(tmp_path: Path, told: Told) -> None:
    told.steps()
    toml = tmp_path / "workbench.toml"
    whole = toml.read_text("utf-8")
    toml.write_text(whole[: len(whole) // 2] + "[[", "utf-8")
    told.steps()
    toml.write_text(whole, "utf-8")
    put(tmp_path / "in" / "b.csv", rows(14, 11))
    assert told.steps() == [False]
    (tmp_path / "in").rename(tmp_path / "out")
    assert told.steps() == [False, False]


def test_many_files_are_listed_less_often(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []

    def listed(workspace: Workspace) -> live.Listing:
        calls.append(told.now)
        return {}

    monkeypatch.setattr(live, "listing", listed)
    told.steps(10)
    assert len(calls) == 10
    calls.clear()
    monkeypatch.setattr(live, "MANY_FILES", -1)
    monkeypatch.setattr(live, "MANY_SECONDS", 5 * LOOK)
    told.steps(20)
    assert len(calls) == 4


def test_a_fault_of_the_watcher_is_told_and_ends_it(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "listing", lambda workspace: 1 // 0)
    told.watcher._run()
    assert [type(error) for error in told.faults] == [ZeroDivisionError]


def test_a_dataset_is_opened_again_for_the_store_of_its_own_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STORE_SECONDS", 0.0)
    shop(tmp_path)
    workspace = load(tmp_path)
    with chdir(tmp_path):
        session = Session(lambda call: None)
        try:
            _three_answers(session, workspace, tmp_path)
        finally:
            session.close()


def _three_answers(session: Session, workspace: Workspace, folder: Path) -> None:
    request = events_request({})
    first = session.answer(request, Task())
    assert session.answer(request, Task()).dataset is first.dataset
    put(folder / "in" / "b.csv", rows(14, 11))
    update_store(workspace, Task(), memory="200MB", threads=1)
    # Of other files than those it listed: its numbers stay what they were until somebody asks for the new ones.
    assert session.answer(request, Task()).dataset is first.dataset
    (folder / "in" / "b.csv").unlink()
    update_store(workspace, Task(), memory="200MB", threads=1)
    second = session.answer(request, Task())
    assert second.dataset is not first.dataset and second.dataset.stats()["path"] == "store"
    assert second.result.rows == first.result.rows
    assert session.answer(request, Task()).dataset is second.dataset
    session.renew()
    third = session.answer(request, Task())
    assert third.dataset is not second.dataset
    assert session.answer(request, Task()).dataset is third.dataset


def test_where_no_store_serves_none_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STORE_SECONDS", 0.0)
    shop(tmp_path)
    with chdir(tmp_path):
        looked = [StoreLook(scope) for scope in (Scope(), Scope(as_of="2026-03-01"), Scope(unit="raw"))]
        update_store(load(tmp_path), Task(), memory="200MB", threads=1)
        session = Session(lambda call: None)
        try:
            dataset = session.answer(events_request({}), Task()).dataset
        finally:
            session.close()
        assert [look.has_come(dataset) for look in looked] == [True, False, False]
        assert not StoreLook(Scope(data=(str(tmp_path / "nowhere"),), mapping="none")).has_come(
            SimpleNamespace()  # type: ignore[arg-type]
        )
