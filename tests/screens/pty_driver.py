"""A program in a terminal of its own: what a person types goes in, and what they would see comes out.

The terminal is a real pseudo-terminal; the picture of it is made by pyte from the bytes that were sent.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyte

ROOT = Path(__file__).resolve().parents[2]
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>=][\d;]*[a-zA-Z]")
_OTHER_SCREEN = re.compile(rb"\x1b\[\?1049h.*?\x1b\[\?1049l", re.DOTALL)
_MODE = re.compile(rb"\x1b\[\?([\d;]+)([hl])")
_ORDINARY = {7, 25}
"""Modes that are on in a terminal nobody has touched: lines wrap, the cursor shows."""


class Terminal:
    """One program in a terminal; use it in a ``with``, which ends what is still running."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        size: tuple[int, int] = (80, 24),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        before: Callable[[], None] | None = None,
        streams: Mapping[str, Any] | None = None,
    ) -> None:
        """``size`` is columns × rows; ``before`` runs in the child; ``streams`` replace stdin, stdout or stderr."""
        self.sent = b""
        """Every byte the program wrote so far."""
        self._master, slave = os.openpty()
        self.size = size
        self.resize(*size)
        self.attributes_before = termios.tcgetattr(slave)

        def prepare() -> None:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            if before is not None:
                before()

        self.process = subprocess.Popen(
            list(arguments),
            **{"stdin": slave, "stdout": slave, "stderr": slave, **(streams or {})},
            cwd=cwd,
            env=dict(env) if env is not None else None,
            # The terminal becomes its own only from inside, and no thread of ours runs yet.
            preexec_fn=prepare,  # noqa: PLW1509
            close_fds=True,
        )
        self._slave = slave

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        for descriptor in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    # --- what a person does -------------------------------------------------------------------------------

    def send(self, keys: str | bytes) -> None:
        """Types; escape sequences as the terminal would send them."""
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, columns: int, rows: int) -> None:
        """Makes the window another size."""
        self.size = (columns, rows)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self) -> None:
        """Drops the line: the terminal is gone."""
        os.close(self._slave)
        os.close(self._master)

    def signal(self, number: int) -> None:
        """Signals the program itself."""
        self.process.send_signal(number)

    # --- what they see ------------------------------------------------------------------------------------

    def read(self, quiet: float = 0.0, at_most: float = 5.0) -> bytes:
        """Takes in what is sent until it has been quiet for so many seconds; returns what came."""
        began, until = len(self.sent), time.monotonic() + at_most
        while select.select([self._master], [], [], quiet)[0] and time.monotonic() < until:
            try:
                chunk = os.read(self._master, 65536)
            except OSError:
                break
            if not chunk:
                break
            self.sent += chunk
        return self.sent[began:]

    def wait_for(self, text: str, seconds: float = 20.0) -> str:
        """Reads until the picture holds ``text``; returns the picture. Fails with it where that never happens."""
        return self.wait_until(lambda shown: text in shown, seconds, repr(text))

    def wait_until(self, true: Callable[[str], bool], seconds: float = 20.0, what: str = "it") -> str:
        """Reads until the picture satisfies a test."""
        until = time.monotonic() + seconds
        while not true(shown := self.text()):
            ended = self.process.poll() is not None
            self.read(0.02)
            if (ended and not self.read(0.1)) or time.monotonic() > until:
                if true(shown := self.text()):
                    break
                raise AssertionError(f"{what} never showed (exit {self.process.poll()}):\n{shown}")
        return shown

    def text(self) -> str:
        """The picture as lines of text."""
        # pyte has one screen: the other one begins empty, and what is on it goes with it.
        _, other, after = self.sent.rpartition(b"\x1b[?1049h")
        if other and b"\x1b[?1049l" in after:
            seen = _OTHER_SCREEN.sub(b"", self.sent)
        else:
            seen = after if other else self.sent
        screen = pyte.Screen(*self.size)
        pyte.ByteStream(screen).feed(_UNKNOWN_TO_PYTE.sub(b"", seen))
        return "\n".join(line.rstrip() for line in screen.display).rstrip()

    def ended(self, seconds: float = 10.0) -> int:
        """The exit code, as a shell tells it; reads on meanwhile, so that the program is not held up."""
        until = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError, ValueError):
                self.read(0.02)
            time.sleep(0.005)
        with contextlib.suppress(OSError, ValueError):
            self.read(0.05)
        code = self.process.poll()
        assert code is not None, f"still running after {seconds} s:\n{self.text()}"
        return code if code >= 0 else 128 - code

    def modes(self) -> set[int]:
        """The private modes that are on: 1049 the other screen, 1000 the mouse, 25 the cursor …"""
        on = set(_ORDINARY)
        for numbers, kind in _MODE.findall(self.sent):
            for number in map(int, numbers.split(b";")):
                (on.add if kind == b"h" else on.discard)(number)
        return on

    def is_as_before(self) -> bool:
        """Whether the terminal is left as it was found: its attributes, its modes, its key protocol."""
        keys = self.sent.count(b"\x1b[>") == self.sent.count(b"\x1b[<u")
        return self.modes() == _ORDINARY and keys and self.attributes() == self.attributes_before

    def attributes(self) -> list[Any]:
        """What ``stty`` would say."""
        return termios.tcgetattr(self._slave)


def python(code: str, *arguments: str) -> list[str]:
    """The command that runs a piece of Python with the project in reach."""
    return [sys.executable, "-c", code, *arguments]


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a user's terminal has in its environment; ``home`` keeps their folders apart."""
    kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        **more,
    }
