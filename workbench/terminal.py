"""Keeps the terminal whole: whether it can show screens at all, and that it is as it was however the program ends.

The toolkit restores the terminal when it ends by itself. A signal, a closed line, an output that no longer
drains, or a fault in a screen must not leave it raw, deaf or spinning either.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from workbench.runner import GRACE_SECONDS, SAME_STROKE_SECONDS

if TYPE_CHECKING:
    from textual.app import App

HINT = "the command line answers the same questions: `workbench --help` lists them"

_PLAIN = ("", "dumb", "unknown")
"""What ``TERM`` is where no escape sequence is understood."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_LOOK_SECONDS = 0.25
"""Between two looks whether the terminal is still there; well under the 2 s in which a dropped line must end."""
_HANG_UP_GRACE_SECONDS = 1.0
_MODES_OFF = b"".join(
    [
        *(b"\x1b[?%dl" % mode for mode in (1000, 1002, 1003, 1006, 1015, 1016, 1004, 2004, 2048, 2026)),
        b"\x1b[<u\x1b[0m\x1b[?7h\x1b[?1049l\x1b[?25h",
    ]
)
"""Mouse, focus, paste, resize and synchronised reports off, key protocol off, then the ordinary screen and cursor."""


def present() -> bool:
    """Whether a person sits at both ends: input, output, and standard error, which screens are drawn on."""
    return all(_is_terminal(stream) for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__))


def unfit() -> str | None:
    """Why this terminal cannot show screens, in one line; None where it can. :data:`HINT` says what else there is."""
    names = (("input", sys.__stdin__), ("output", sys.__stdout__), ("error", sys.__stderr__))
    for name, stream in names:
        if not _is_terminal(stream):
            return f"screens need a terminal, and standard {name} is none"
    term = os.environ.get("TERM", "")
    if term.lower() in _PLAIN:
        return f"screens need a terminal that TERM names, and it is {term or 'empty'}"
    return None


def prepare(*, low_bandwidth: bool = False) -> None:
    """Sets what the toolkit reads from the environment; to be called before it is imported.

    ``low_bandwidth`` halves what a repaint sends: 16 colours. Nothing is ever animated.
    """
    os.environ["TEXTUAL_ANIMATIONS"] = "none"
    os.environ["TEXTUAL_SMOOTH_SCROLL"] = "0"
    if low_bandwidth:
        os.environ["TEXTUAL_COLOR_SYSTEM"] = "standard"
    # A shell that exports them freezes the size: the terminal's own is right, also after it changes.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    # Whatever the locale says, a terminal of today reads UTF-8; what it has no sign for is the glyphs' matter.
    for stream in (sys.__stderr__, sys.__stdout__):
        if stream is not None and (stream.encoding or "").lower().replace("-", "") != "utf8":
            with suppress(AttributeError, ValueError, OSError):
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def guard(app: App[Any]) -> None:
    """Draws everything anew when the program comes back to the foreground; call it when the app is mounted."""
    if app.is_headless:
        return
    app.app_resume_signal.subscribe(app, lambda _: _draw_anew(app))
    stop, go_on = signal.getsignal(signal.SIGTSTP), signal.getsignal(signal.SIGCONT)
    driver = app._driver
    if driver is None or not callable(stop) or not callable(go_on):
        return
    given_back = False

    def stopping(number: int, frame: FrameType | None) -> None:
        nonlocal given_back
        given_back = True
        stop(number, frame)

    def going_on(number: int, frame: FrameType | None) -> None:
        nonlocal given_back
        if not given_back:
            # Stopped from outside, without a word: the toolkit would take the terminal a second time.
            driver.suspend_application_mode()
            app.call_later(_draw_anew, app)
        given_back = False
        go_on(number, frame)

    signal.signal(signal.SIGTSTP, stopping)
    signal.signal(signal.SIGCONT, going_on)


def run(app: App[Any], *, mouse: bool = True) -> int:
    """Runs the app to its end and returns its exit code, 128 + n after signal n, 129 when the terminal has gone.

    Raises what a screen or worker raised, once the terminal is as it was.
    """
    keeper = _Keeper(app)
    _take_any_bytes()
    # A loop of our own: asyncio.run would wait for threads that are still inside the engine.
    loop = asyncio.new_event_loop()
    try:
        with keeper.keeping(loop):
            app.run(loop=loop, mouse=mouse)
    finally:
        loop.close()
    if keeper.error is not None:
        raise keeper.error
    return app.return_code or 0


def _take_any_bytes() -> None:
    """Has bytes that are no UTF-8 typed or pasted as U+FFFD, over which the toolkit would end with a traceback."""
    from textual.drivers import linux_driver

    def lenient(encoding: str) -> Callable[[], codecs.IncrementalDecoder]:
        return partial(codecs.getincrementaldecoder(encoding), errors="replace")

    linux_driver.getincrementaldecoder = lenient  # type: ignore[assignment, attr-defined]


class _Keeper:
    """Watches over one run of an app."""

    def __init__(self, app: App[Any]) -> None:
        self.app = app
        self.error: BaseException | None = None
        """What ended the app, if it was a fault."""
        self._input = sys.__stdin__.fileno() if sys.__stdin__ is not None else 0
        self._before = termios.tcgetattr(self._input)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._code: int | None = None
        self._asked_at = 0.0
        self._gone = False
        self._ended = threading.Event()

    @contextmanager
    def keeping(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Signals, faults and the terminal are looked after inside."""
        self._loop = loop
        # The toolkit's own handler prints the values of every local variable, which are people's data.
        self.app._handle_exception = self._crashed  # type: ignore[method-assign]
        previous = {number: signal.getsignal(number) for number in (*_SIGNALS, signal.SIGPIPE)}
        # A pipe to a helper program that ends early is an error where it is written, not the end of everything.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        for number in _SIGNALS:
            # Under nohup a signal is ignored on purpose.
            if previous[number] is not signal.SIG_IGN:
                signal.signal(number, self._caught)
        watch = threading.Thread(target=self._watch, name="workbench-terminal", daemon=True)
        watch.start()
        try:
            yield
        finally:
            self._ended.set()
            watch.join()
            self._cook()
            for number, handler in previous.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    # --- reasons to end -----------------------------------------------------------------------------------

    def _caught(self, number: int, _frame: FrameType | None) -> None:
        if self._code is None:
            self._end(128 + number)
        elif time.monotonic() - self._asked_at > SAME_STROKE_SECONDS:
            self._leave()

    def _crashed(self, error: Exception) -> None:
        if self.error is None:
            # A failed worker is wrapped, without the traceback of what failed.
            self.error = getattr(error, "error", None) or error
        self.app.exit(return_code=1)

    def _end(self, code: int) -> None:
        """Asks the app to end; from any thread, and from a signal handler."""
        self._code, self._asked_at = code, time.monotonic()
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(lambda: self.app.exit(return_code=code))

    # --- the watch, on a thread of its own: the loop may be stuck in a write that never ends -----------------

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            if not self._gone and self._hung_up():
                self._gone = True
                if self._code is None:
                    self._end(128 + signal.SIGHUP)
            if self._code is None and self.app.return_code is not None:
                self._code, self._asked_at = self.app.return_code, time.monotonic()
            grace = _HANG_UP_GRACE_SECONDS if self._gone else GRACE_SECONDS
            if self._code is not None and time.monotonic() - self._asked_at > grace:
                self._leave()

    def _hung_up(self) -> bool:
        try:
            termios.tcgetattr(self._input)
        except termios.error:
            return True
        return False

    def _leave(self) -> NoReturn:
        """Ends the process without the app, the terminal as it was as far as it still listens."""
        self._cook()
        if not self._gone:
            _write_within(2, _MODES_OFF, seconds=1.0)
        os._exit(self._code or 0)

    def _cook(self) -> None:
        # The toolkit gives back what it found, which is raw where it was continued without having been stopped.
        with suppress(termios.error):
            termios.tcsetattr(self._input, termios.TCSANOW, self._before)


def _write_within(descriptor: int, data: bytes, seconds: float) -> None:
    """Writes to a terminal that may have stopped to listen; what it does not take in time is dropped."""
    until = time.monotonic() + seconds
    with suppress(OSError):
        blocking = os.get_blocking(descriptor)
        os.set_blocking(descriptor, False)
        try:
            while data and (left := until - time.monotonic()) > 0:
                if select.select([], [descriptor], [], left)[1]:
                    data = data[os.write(descriptor, data) :]
        finally:
            # The shell shares it.
            os.set_blocking(descriptor, blocking)


def _draw_anew(app: App[Any]) -> None:
    app.call_later(app.screen.refresh, layout=True)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False
