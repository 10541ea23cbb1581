"""What was asked is found again, newest first, whatever happens to the file it stands in."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from queries.question import EVERYTHING, PeopleRequest, Request
from queries.saved import request_of
from workbench import history
from workbench.history import KEPT, SPARE, past, recent, remember
from workbench.sql_console import SqlRequest

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "workbench" / "history"


def funnel(*steps: str, **scope: object) -> Request:
    return request_of("funnel", {"steps": list(steps), **scope})


def the_file(state: Path) -> Path:
    (path,) = state.glob("*.jsonl")
    return path


def test_questions_come_back_newest_first_and_once(tmp_path: Path) -> None:
    first, second = funnel("a", "b: amount > 1"), funnel("支付", "b", where="x = '\x1b'")
    for minutes, request in enumerate((first, second, first)):
        assert remember(tmp_path, request, now=NOW + timedelta(minutes=minutes)) is None
    found = recent(tmp_path)
    assert [asked.request for asked in found] == [first, second]
    assert [asked.when for asked in found] == ["2026-03-01T12:02:00+00:00", "2026-03-01T12:01:00+00:00"]
    assert found[0].report == "funnel" and found[0].title.startswith("a → b: amount > 1")


def test_people_of_a_cell_come_back(tmp_path: Path) -> None:
    request = PeopleRequest(funnel("a", "b"), "dropped:1")
    remember(tmp_path, request)
    assert [asked.request for asked in recent(tmp_path)] == [request]


def test_each_workspace_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    remember(here, funnel("here", "b"))
    assert recent(there) == []
    (tmp_path / "link").symlink_to(here)
    assert len(recent(tmp_path / "link")) == 1
    monkeypatch.chdir(there)
    remember(None, funnel("bare", "b"))
    assert len(recent(None)) == 1 and len(recent(here)) == 1
    monkeypatch.chdir(here)
    assert [asked.title for asked in recent(None)] == [recent(here)[0].title]


def test_nothing_was_asked_yet(tmp_path: Path) -> None:
    assert past(tmp_path) == history.Past([])


def test_times_are_utc(tmp_path: Path) -> None:
    remember(tmp_path, funnel("a", "b"), now=datetime(2026, 3, 1, 8, tzinfo=timezone(timedelta(hours=8))))
    assert recent(tmp_path)[0].when == "2026-03-01T00:00:00+00:00"


def test_what_cannot_be_read_is_skipped_and_counted(tmp_path: Path, state: Path) -> None:
    remember(tmp_path, funnel("a", "b"))
    path = the_file(state)
    good = path.read_bytes()
    line = json.loads(good)
    damaged: list[object] = [
        [],
        1,
        {**line, "report": "no such"},
        {**line, "request": {"steps": ["a"], "unknown": 1}},
        {**line, "request": {"steps": 7}},
        {**line, "request": []},
        {**line, "title": None},
        {**line, "when": 3},
        {"when": "x"},
    ]
    lines = [json.dumps(one).encode() for one in damaged]
    lines += [b"\xff\xfe", b"{", b"[" * 100_000, b'{"when": NaN}', b"\x00" * 40]
    path.write_bytes(b"\n".join([*lines, b"", good]))
    found = past(tmp_path)
    assert [asked.request for asked in found.asked] == [funnel("a", "b")]
    assert found.unreadable == len(lines) and found.problem is None


def test_a_line_cut_off_takes_no_other_with_it(tmp_path: Path, state: Path) -> None:
    remember(tmp_path, funnel("a", "b"))
    path = the_file(state)
    path.write_bytes(path.read_bytes()[:-20])
    remember(tmp_path, funnel("c", "d"))
    found = past(tmp_path)
    assert [asked.request for asked in found.asked] == [funnel("c", "d")] and found.unreadable == 1


def test_the_oldest_go_and_the_file_stays_small(tmp_path: Path, state: Path) -> None:
    for at in range(KEPT + SPARE + 20):
        remember(tmp_path, funnel(f"step_{at}", "b"))
    found = recent(tmp_path)
    assert len(found) == KEPT
    assert found[0].request == funnel(f"step_{KEPT + SPARE + 19}", "b")
    assert len(the_file(state).read_bytes().splitlines()) == KEPT + 19
    assert os.listdir(state) == [the_file(state).name]
    for _ in range(SPARE + 1):
        remember(tmp_path, funnel("again", "b"))
    assert len(recent(tmp_path)) == KEPT


def test_files_are_for_this_user_alone(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT", 2)
    monkeypatch.setattr(history, "SPARE", 1)
    for at in range(9):
        remember(tmp_path, funnel(f"s{at}", "b"))
        assert stat.S_IMODE(the_file(state).stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


@pytest.mark.parametrize("broken", ["a file for a folder", "a folder for a file"])
def test_a_state_folder_that_takes_nothing_is_said(tmp_path: Path, state: Path, broken: str) -> None:
    if broken == "a file for a folder":
        state.parent.mkdir(parents=True)
        state.write_text("")
    else:
        remember(tmp_path, funnel("a", "b"))
        path = the_file(state)
        path.unlink()
        path.mkdir()
    said = remember(tmp_path, funnel("a", "b"))
    assert said is not None and said.startswith("not remembered: ") and "\n" not in said
    found = past(tmp_path)
    assert found.asked == [] and found.problem is not None
    assert found.problem.startswith("what was asked cannot be read: ")


def test_a_read_only_state_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    said = remember(tmp_path, funnel("a", "b"))
    assert said is not None and said.endswith("read-only file system") and recent(tmp_path) == []


def test_what_cannot_be_asked_again_is_not_remembered(tmp_path: Path, state: Path) -> None:
    assert remember(tmp_path, SqlRequest("select 1", EVERYTHING)) is None
    assert not state.exists()


def _ask(root: str, name: str) -> None:
    for at in range(40):
        assert remember(Path(root), funnel(f"{name}_{at}", "b")) is None


def test_two_sessions_lose_nothing_of_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    sessions = [context.Process(target=_ask, args=(str(tmp_path), name)) for name in ("x", "y")]
    for session in sessions:
        session.start()
    for session in sessions:
        session.join(30)
        assert session.exitcode == 0
    found = past(tmp_path)
    assert len(found.asked) == 80 and found.unreadable == 0
