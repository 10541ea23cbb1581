"""Copying: tmux where there is one, else the terminal, else a file; and it never fails loudly."""

from __future__ import annotations

import os
import stat
from base64 import b64decode
from pathlib import Path

import pytest

from workbench import clipboard
from workbench.clipboard import MAXIMUM, copy

LONGEST = MAXIMUM // 4 * 3


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("TMUX", raising=False)
    return tmp_path


def fake_tmux(home: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    tools = home / "tools"
    tools.mkdir()
    program = tools / "tmux"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")


def sent(written: list[str]) -> str:
    (sequence,) = written
    assert sequence.startswith("\x1b]52;c;") and sequence.endswith("\x07")
    return b64decode(sequence[7:-1]).decode()


def test_the_terminal_gets_it() -> None:
    written: list[str] = []
    assert copy("支付 [/x]\x1b\n", written.append) == "copied"
    assert sent(written) == "支付 [/x]\x1b\n"


def test_tmux_gets_it_as_it_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tmux(home, monkeypatch, f'echo "$@" > {home}/arguments; cat > {home}/got')
    written: list[str] = []
    text = "支付\n" * 100_000
    assert copy(text, written.append) == "copied (tmux)"
    assert written == []
    assert (home / "got").read_text() == text
    assert (home / "arguments").read_text() == "load-buffer -w -\n"


@pytest.mark.parametrize("script", ["exit 1", "exec <&-; exit 1", "kill -9 $$", "exec sleep 20"])
def test_where_tmux_fails_the_terminal_gets_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(clipboard, "PATIENCE", 0.2)
    fake_tmux(home, monkeypatch, script)
    written: list[str] = []
    assert copy("x" * 50_000, written.append) == "copied"
    assert sent(written) == "x" * 50_000


def test_where_tmux_is_missing_the_terminal_gets_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMUX", "/tmp/gone,1,0")
    monkeypatch.setenv("PATH", str(home))
    written: list[str] = []
    assert copy("a", written.append) == "copied"
    assert sent(written) == "a"


def test_what_is_too_long_becomes_a_file_for_this_user(home: Path) -> None:
    written: list[str] = []
    assert copy("x" * LONGEST, written.append) == "copied"
    written.clear()
    assert LONGEST % 3 == 0
    said = copy("y" * (LONGEST + 1), written.append)
    path = home / "state" / "workbench" / "copied.txt"
    assert said == f"too long for the terminal: written to {path}" and written == []
    assert path.read_text() == "y" * (LONGEST + 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    copy("z" * (LONGEST + 1), written.append)
    assert path.read_text()[0] == "z" and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_is_said(home: Path) -> None:
    (home / "state").write_text("no folder")
    said = copy("y" * (LONGEST + 1), lambda sequence: None)
    assert said.startswith("too long for the terminal: and ") and "cannot be written: " in said


def test_nothing_and_what_is_no_text() -> None:
    written: list[str] = []
    assert copy("", written.append) == "nothing to copy" and written == []
    assert copy("a\ud800b", written.append) == "copied"
    assert sent(written) == "a?b"
