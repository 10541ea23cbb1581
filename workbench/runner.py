"""Runs one piece of work on a thread while the main thread watches for signals, the clock and progress.

DuckDB does not come back reliably from a signal while the main thread is inside it, so the main thread never
is: it waits in short steps, and asks through :class:`Task`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import ClassVar, Generic, Literal, NoReturn, Protocol, TypeVar

from workbench.errors import Cancelled, TimedOut

T = TypeVar("T")
Reason = Literal["cancelled", "timeout"]

STEP_SECONDS = 0.05
GRACE_SECONDS = 3.0
"""How long work that was asked to stop may take before the process ends without it."""
SAME_STROKE_SECONDS = 0.2
"""Signals closer than this are one wish: ``timeout`` and shells signal a process and then its group."""
PIPE_CLOSED = 141


class Interrupted(Cancelled):
    """Stopped by a signal; ``exit_code`` is 128 plus ``signal_number``."""

    signal_number: ClassVar[int] = signal.SIGINT


class Terminated(Interrupted):
    """Stopped by SIGTERM."""

    exit_code = 128 + signal.SIGTERM
    signal_number = signal.SIGTERM


class HungUp(Interrupted):
    """Stopped by SIGHUP: the terminal went away."""

    exit_code = 128 + signal.SIGHUP
    signal_number = signal.SIGHUP


_SIGNALS: dict[int, tuple[type[Interrupted], str]] = {
    signal.SIGINT: (Interrupted, "interrupted"),
    signal.SIGTERM: (Terminated, "terminated"),
    signal.SIGHUP: (HungUp, "the terminal was closed"),
}


class Executing(Protocol):
    """What a task needs of a cursor that runs a query."""

    def interrupt(self) -> None: ...

    def query_progress(self) -> float: ...


class Task:
    """The one handle for cancel and progress that travels beside a question; every method is thread-safe."""

    def __init__(self, timeout_seconds: float | None = None) -> None:
        self.timeout_seconds = timeout_seconds
        # Reentrant: the garbage collector may drop an answer, and so release its cursor, at any line.
        self._lock = threading.RLock()
        self._cursors: list[Executing] = []
        self._reason: Reason | None = None
        self._reported: tuple[float | None, str] = (None, "")
        self._started = time.monotonic()
        self._nagging = False

    @property
    def reason(self) -> Reason | None:
        """Why the work should stop, None while it should not; the first reason stays."""
        return self._reason

    @property
    def progress(self) -> float | None:
        """The fraction last reported, 0 to 1, or None when nobody knows."""
        return self._reported[0]

    @property
    def what(self) -> str:
        """What is being done, as last reported."""
        return self._reported[1]

    @property
    def elapsed(self) -> float:
        """Seconds since the task was made."""
        return time.monotonic() - self._started

    @property
    def engine_progress(self) -> float | None:
        """How far the engine says it is with the newest running query, 0 to 1, or None."""
        with self._lock:
            for cursor in reversed(self._cursors):
                percent = cursor.query_progress()
                if percent >= 0:
                    return min(percent / 100.0, 1.0)
        return None

    def report(self, fraction: float | None, what: str) -> None:
        """Says how far the work is; ``fraction`` is cut to 0 … 1, None where it is not known."""
        self._reported = (None if fraction is None else min(max(fraction, 0.0), 1.0), what)

    def check(self) -> None:
        """Raises :class:`Cancelled` or :class:`TimedOut` once the task was cancelled."""
        if self._reason == "timeout":
            after = "" if self.timeout_seconds is None else f" after {self.timeout_seconds:g} s"
            raise TimedOut(f"stopped{after}: the time was up", "raise --timeout, or ask for a shorter range")
        if self._reason == "cancelled":
            raise Cancelled("cancelled")

    def cancel(self, reason: Reason = "cancelled") -> None:
        """Asks the work to stop: sets the flag, interrupts the cursors that run for it."""
        with self._lock:
            if self._reason is None:
                self._reason = reason
            start = bool(self._cursors) and not self._nagging
            self._nagging = self._nagging or start
        if start:
            threading.Thread(target=self._interrupt_until_released, daemon=True).start()

    def interrupt(self) -> None:
        """Interrupts, once, the cursors that run now, without cancelling the task."""
        with self._lock:
            for cursor in self._cursors:
                cursor.interrupt()

    def _interrupt_until_released(self) -> None:
        # An interrupt that falls between the check of the flag and the start of the query is lost, so one
        # is not enough; an answer that nobody reads on is no reason to go on for ever.
        until = time.monotonic() + GRACE_SECONDS
        while self._cursors and time.monotonic() < until:
            self.interrupt()
            time.sleep(0.01)
        self._nagging = False

    def register(self, cursor: Executing) -> None:
        """From now on ``cancel`` interrupts this cursor; check the flag after this, not before."""
        with self._lock:
            self._cursors.append(cursor)

    def release(self, cursor: Executing) -> None:
        """The cursor has nothing to interrupt any more and may be closed."""
        with self._lock, suppress(ValueError):
            self._cursors.remove(cursor)


class _Caught:
    """Which signal arrived, kept by handlers that do nothing else."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._at = 0.0

    def handle(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.number is None:
            self.number, self._at = number, now
        elif now - self._at > SAME_STROKE_SECONDS:
            os._exit(128 + number)


@contextmanager
def _listening() -> Iterator[_Caught]:
    caught = _Caught()
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            # Under nohup, or in the background of a script, a signal is ignored on purpose.
            if signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, caught.handle)
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            # None: set by something other than Python, which cannot be given back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


class _Worker(threading.Thread, Generic[T]):
    """The thread of the work; a daemon, so that work that cannot be stopped does not keep the process."""

    def __init__(self, work: Callable[[Task], T], task: Task) -> None:
        super().__init__(name="workbench-work", daemon=True)
        self._work = work
        self._task = task
        self.answer: list[T] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.answer.append(self._work(self._task))
        except BaseException as error:  # noqa: BLE001 - carried to the main thread and raised there
            self.error = error


def run(
    work: Callable[[Task], T],
    *,
    timeout_seconds: float | None = None,
    on_progress: Callable[[Task], None] | None = None,
) -> T:
    """Runs ``work`` on a thread of its own and returns its answer, or raises what it raised.

    ``on_progress`` is called on the calling thread about every 50 ms. SIGINT, SIGTERM and SIGHUP cancel the
    task and raise :class:`Interrupted` (exit code 128 + n); a second signal ends the process at once. Work
    that does not stop within 3 s of being asked is left behind and the process ends with that exit code,
    4 after a timeout. Called from another thread than the main one, signals are left alone.
    """
    task = Task(timeout_seconds)
    worker = _Worker(work, task)
    with _listening() as caught:
        worker.start()
        try:
            _watch(worker, task, caught, on_progress)
        finally:
            if worker.is_alive():
                task.cancel()
    if caught.number is not None:
        kind, words = _SIGNALS[caught.number]
        raise kind(words) from worker.error
    if worker.error is not None:
        raise worker.error
    return worker.answer[0]


def _watch(
    worker: _Worker[T], task: Task, caught: _Caught, on_progress: Callable[[Task], None] | None
) -> None:
    asked: float | None = None
    while True:
        worker.join(STEP_SECONDS)
        if not worker.is_alive():
            return
        overdue = task.timeout_seconds is not None and task.elapsed >= task.timeout_seconds
        if asked is None and (caught.number is not None or overdue):
            task.cancel("cancelled" if caught.number is not None else "timeout")
            asked = time.monotonic()
        if asked is not None and time.monotonic() - asked > GRACE_SECONDS:
            code = TimedOut.exit_code if caught.number is None else 128 + caught.number
            _last_words("workbench: the engine did not stop in time and was left behind")
            os._exit(code)
        if on_progress is not None:
            on_progress(task)


def finish(code: int) -> NoReturn:
    """Flushes stdout and stderr and ends the process with ``code``, past the interpreter's shutdown.

    The shutdown can hang on a thread that is still inside the engine. An answer that cannot be written turns
    0 into 141 when the reader of the pipe went away, and into 1 with one line on stderr otherwise; another
    code is kept, since it says what went wrong first.
    """
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            code = code or PIPE_CLOSED
        except (OSError, ValueError) as error:
            # ValueError: somebody closed the stream, and what it held with it.
            reason = error.strerror if isinstance(error, OSError) else None
            _last_words(f"workbench: could not write the answer: {reason or error}")
            code = code or 1
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
    os._exit(code)


def _last_words(line: str) -> None:
    # Straight to the descriptor: the process ends here, and Python's own stream may be the one that fails.
    with suppress(OSError):
        os.write(2, (line + "\n").encode())
