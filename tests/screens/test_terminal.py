"""However the program ends, the terminal is as it was, and the exit code says why."""

from __future__ import annotations

import re
import resource
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.screens.pty_driver import Terminal, environment, python

TINY = """
import sys, threading, time
import click
from workbench import cli, terminal
terminal.prepare(low_bandwidth="slow" in sys.argv)
from textual.app import App
from textual.widgets import Static

class Broken(Static):
    def render(self):
        raise ValueError("value-of-a-person")

class Tiny(App):
    BINDINGS = [(key, name, "") for key, name in dict(
        z="suspend_process", x="crash", w="work", q="quit", b="leave_work", f="flood").items()]
    def compose(self):
        if "compose" in sys.argv:
            raise ValueError("value-of-a-person")
        if "render" in sys.argv:
            yield Broken()
        yield Static("first line\\nHELLO \\u4f60\\u597d \\u2503", markup=False)
    def on_mount(self):
        terminal.guard(self)
        if "mount" in sys.argv:
            raise ValueError("value-of-a-person")
    def action_crash(self):
        secret = "value-of-a-person"
        raise ValueError(secret)
    def action_work(self):
        self.run_worker(lambda: int("value-of-a-person"), thread=True)
    def action_leave_work(self):
        self.run_worker(lambda: time.sleep(30), thread=True)
        self.set_timer(0.1, self.exit)
    def action_flood(self):
        while True:
            self._driver.write("x" * 1000)

@click.command()
@click.argument("rest", nargs=-1)
def command(rest):
    return terminal.run(Tiny(), mouse="slow" not in rest)
cli.cli = command
cli.main()
"""
PICTURE = "HELLO 你好 ┃"


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Terminal]:
    """A small program on its screen, drawn and with the modes of a screen on."""
    with Terminal(python(TINY), env=environment(tmp_path)) as terminal:
        terminal.wait_for(PICTURE)
        assert terminal.modes() >= {1049, 1000, 2004}
        assert not terminal.is_as_before()
        yield terminal


def test_quitting_leaves_the_terminal_whole(tiny: Terminal) -> None:
    tiny.send("q")
    assert tiny.ended() == 0
    assert tiny.is_as_before()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131), (signal.SIGINT, 130)],
)
def test_fault_094_a_signal_leaves_the_terminal_whole(tiny: Terminal, number: int, code: int) -> None:
    tiny.signal(number)
    assert tiny.ended() == code
    assert tiny.is_as_before()


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.2, 0.3, 0.4])
def test_fault_094_a_signal_while_it_starts(tmp_path: Path, delay: float) -> None:
    with Terminal(python(TINY), env=environment(tmp_path)) as terminal:
        time.sleep(delay)
        terminal.signal(signal.SIGTERM)
        assert terminal.ended() == 143
        assert terminal.is_as_before()


def test_fault_094_a_terminal_that_takes_nothing_any_more(tiny: Terminal) -> None:
    tiny.send("f")
    time.sleep(0.5)
    tiny.signal(signal.SIGTERM)
    # Nobody reads: the program is stuck in its output, and yet ends.
    assert tiny.process.wait(6) == 143
    assert tiny.attributes() == tiny.attributes_before


@pytest.mark.parametrize("ignored", [False, True], ids=["hang-up", "nohup"])
def test_fault_095_a_dropped_line_ends_the_program(tmp_path: Path, ignored: bool) -> None:
    def nohup() -> None:
        if ignored:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with Terminal(python(TINY), env=environment(tmp_path), before=nohup) as terminal:
        terminal.wait_for(PICTURE)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        terminal.hang_up()
        assert terminal.process.wait(2) == 129
        assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - spent < 3


def test_fault_096_suspended_and_back(tiny: Terminal) -> None:
    tiny.send("z")
    _wait_for_state(tiny, "T")
    tiny.read(0.2)
    assert tiny.is_as_before(), "the shell gets its terminal back"
    tiny.sent = b""
    tiny.signal(signal.SIGCONT)
    tiny.wait_for(PICTURE)
    tiny.wait_for("first line")  # all of it is drawn anew
    tiny.send("q")
    assert tiny.ended() == 0
    assert tiny.is_as_before()


def test_fault_096_stopped_from_outside(tiny: Terminal) -> None:
    tiny.signal(signal.SIGSTOP)
    _wait_for_state(tiny, "T")
    tiny.sent = b""
    tiny.signal(signal.SIGCONT)
    tiny.wait_for(PICTURE)
    tiny.wait_for("first line")
    began = time.monotonic()
    tiny.send("q")
    assert tiny.ended() == 0
    assert time.monotonic() - began < 1
    assert tiny.modes() == {7, 25}
    assert tiny.attributes() == tiny.attributes_before


@pytest.mark.parametrize(
    ("key", "kind"), [("x", "ValueError"), ("w", "ValueError")], ids=["screen", "worker"]
)
def test_fault_097_a_crash_is_two_lines_and_a_log_without_values(
    tiny: Terminal, tmp_path: Path, key: str, kind: str
) -> None:
    tiny.send(key)
    assert tiny.ended() == 1
    assert tiny.is_as_before()
    said = re.sub(r"\x1b\[[?<]?[\d;]*[a-z]", "", tiny.sent.rpartition(b"\x1b[?1049l")[2].decode())
    log = tmp_path / ".local/state/workbench/last-fault.txt"
    assert said.split("\r\n") == [
        f"workbench: this is a fault of workbench: {kind}",
        f"hint: please report it with {log}; it holds no data",
        "",
    ]
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    written = log.read_text()
    assert "Traceback" not in written and kind in written and "File" in written
    assert "value-of-a-person" not in tiny.sent.decode() + written.replace('secret = "value-of-a-person"', "")


@pytest.mark.parametrize("where", ["compose", "mount", "render"])
def test_fault_097_a_crash_before_the_first_picture(tmp_path: Path, where: str) -> None:
    with Terminal(python(TINY, where), env=environment(tmp_path)) as terminal:
        assert terminal.ended() == 1
        assert terminal.is_as_before()
        assert "workbench: this is a fault of workbench: ValueError" in terminal.text()
        assert b"value-of-a-person" not in terminal.sent


def test_quitting_does_not_wait_for_work(tiny: Terminal) -> None:
    began = time.monotonic()
    tiny.send("b")
    assert tiny.ended() == 0
    assert time.monotonic() - began < 1
    assert tiny.is_as_before()


@pytest.mark.parametrize(
    "names",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX"},
        {"LC_ALL": "en_US.ISO-8859-1"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
    ],
    ids=lambda names: ",".join(f"{name}={value}" for name, value in names.items()),
)
def test_fault_101_text_is_utf_8_whatever_the_locale(tmp_path: Path, names: dict[str, str]) -> None:
    with Terminal(python(TINY), env=environment(tmp_path, **names)) as terminal:
        terminal.wait_for(PICTURE)


def test_fault_102_an_environment_with_nothing_but_term(tmp_path: Path) -> None:
    env = {"TERM": "xterm", "PYTHONPATH": environment(tmp_path)["PYTHONPATH"]}
    with Terminal(python(TINY), env=env) as terminal:
        terminal.wait_for(PICTURE)
        terminal.send("q")
        assert terminal.ended() == 0


def test_an_exported_size_does_not_freeze_the_window(tmp_path: Path) -> None:
    with Terminal(python(TINY), env=environment(tmp_path, COLUMNS="5", LINES="3")) as terminal:
        terminal.wait_for(PICTURE)


def test_a_slow_line_is_sent_less(tmp_path: Path) -> None:
    sent = []
    for arguments in ([], ["slow"]):
        with Terminal(python(TINY, *arguments), env=environment(tmp_path)) as terminal:
            terminal.wait_for(PICTURE)
            terminal.read(0.2)
            sent.append(terminal)
    usual, slow = sent
    assert b"\x1b[38;2;" in usual.sent and b"\x1b[38;2;" not in slow.sent
    assert 1003 not in slow.modes() and 1003 in usual.modes()
    assert len(slow.sent) < len(usual.sent)


def test_an_idle_screen_sends_nothing(tiny: Terminal) -> None:
    tiny.read(0.3)
    assert tiny.read(2.0) == b""


def _wait_for_state(terminal: Terminal, state: str) -> None:
    until = time.monotonic() + 5
    shown = ""
    while shown != state:
        assert time.monotonic() < until
        terminal.read(0.02)
        shown = subprocess.run(
            ["ps", "-o", "state=", "-p", str(terminal.process.pid)], capture_output=True, text=True
        ).stdout.strip()[:1]
