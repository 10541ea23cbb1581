"""How long the screens take on a real terminal: the first picture, and another screen after its keys."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

_ROWS, _COLUMNS = 40, 120
_QUIET_SECONDS = 0.7
_LONGEST_SECONDS = 60.0


class Painted:
    """A program on a terminal of its own; what it sends is only looked at."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.began = time.perf_counter()
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            tree = str(Path(__file__).resolve().parent.parent)
            environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": tree}
            os.execve(sys.executable, [sys.executable, "-m", "workbench", *arguments], environment)
        size = struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    def until(self, text: bytes) -> float:
        """Seconds since the start or the last keys until it sends ``text``."""
        sent = b""
        while text not in sent:
            if time.perf_counter() - self.began > _LONGEST_SECONDS:
                raise RuntimeError(f"{text!r} was not painted in {_LONGEST_SECONDS:g} s")
            sent += self._read(0.05)
        return time.perf_counter() - self.began

    def quiet(self) -> None:
        """Waits until nothing more comes."""
        while self._read(_QUIET_SECONDS):
            pass

    def press(self, keys: bytes) -> None:
        """Sends keys, from which time runs anew."""
        self.began = time.perf_counter()
        os.write(self._terminal, keys)

    def end(self) -> None:
        """Ends the program."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)

    def _read(self, seconds: float) -> bytes:
        ready, _, _ = select.select([self._terminal], [], [], seconds)
        return os.read(self._terminal, 65_536) if ready else b""


def painted(folder: Path) -> tuple[float, float]:
    """Seconds to the first picture of a workspace, and from there, at rest, to the funnel's screen."""
    screen = Painted(["-C", str(folder)])
    try:
        first = screen.until("overview ·".encode())
        screen.quiet()
        screen.press(b"gf")
        return first, screen.until("funnel ·".encode())
    finally:
        screen.end()
