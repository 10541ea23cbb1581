"""The only writer of standard error: notes, errors, progress and statistics, none of which may ever fail."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TextIO

from workbench.errors import UsageError, WorkbenchError
from workbench.text import clean, clip
from workbench.values import plain

if TYPE_CHECKING:
    import click

    from queries.question import Note, QuestionError

LINE = 500
"""The longest message, in characters: engines quote whole lines of data."""

PROGRESS_SECONDS = 0.25
"""Between two looks of the progress line: four a second, which a slow SSH line carries too."""

_MARKS = {"info": "·", "warning": "!"}
_ERASE = "\r\x1b[K"


class Working(Protocol):
    """What progress is read from; fractions are from 0 to 1, None where nobody knows."""

    @property
    def progress(self) -> float | None: ...

    @property
    def engine_progress(self) -> float | None: ...

    @property
    def what(self) -> str: ...


class Diagnostics:
    """What is said beside the data, cleaned; safe to call from any thread.

    Without a ``stream`` it is the standard error of the moment; where that is closed or full, nothing is
    said.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()
        self._drawn_at = clock()
        self._drawn = False

    def note(self, note: Note) -> None:
        """One line: the mark of its level, its text, and its count where the text does not say it."""
        text = clean(note.text, LINE)
        if note.count is not None and not _says(text, note.count):
            text = f"{text} ({note.count:,})"
        self._line(f"{_MARKS[note.level]} {text}")

    def error(self, error: WorkbenchError | QuestionError, *, as_json: bool = False) -> None:
        """What went wrong and what to do; one JSON object for those who read the data as JSON.

        An error without a message (the reader of a pipe has gone) is silent.
        """
        code, exit_code = UsageError.code, UsageError.exit_code
        if isinstance(error, WorkbenchError):
            code, exit_code = error.code, error.exit_code
        if error.message:
            self._failure(code, exit_code, error.message, error.hint, as_json)
        else:
            self.end_progress()

    def usage_error(self, error: click.ClickException, *, as_json: bool = False) -> None:
        """A command line that could not be read, with the way to its help."""
        context: click.Context | None = getattr(error, "ctx", None)
        hint = None if context is None else f"{context.command_path} --help says what there is"
        message = " ".join(error.format_message().split())
        if message.startswith("Got unexpected extra argument"):
            # Most often the shell has put the files in the place of a pattern.
            hint = "quote a pattern, or name its folder: --data 'exports/*.parquet'"
            if context is not None and any(
                "--step" in parameter.opts for parameter in context.command.params
            ):
                hint = f"write --step before each step; {hint}"
        self._failure(UsageError.code, UsageError.exit_code, message, hint, as_json)

    def stats(self, stats: Mapping[str, object]) -> None:
        """What differs from run to run (timing, path taken, versions), as one JSON line."""
        self._json(stats)

    def progress(self, work: Working) -> None:
        """Rewrites the one progress line, at most four times a second, and on a terminal only.

        What the work says of itself goes before what the engine says of the running query.
        """
        stream = self._target()
        if stream is None or not _is_terminal(stream):
            return
        with self._lock:
            now = self._clock()
            if now - self._drawn_at < PROGRESS_SECONDS:
                return
            self._drawn_at = now
            fraction = work.progress if work.progress is not None else work.engine_progress
            share = "" if fraction is None else f"{min(max(fraction, 0.0), 1.0):4.0%}  "
            # One cell stays free: in the last one some terminals begin a new line.
            line = clip(share + clean(work.what), shutil.get_terminal_size().columns - 1)
            self._drawn = True
            self._write(stream, _ERASE + line)

    def end_progress(self) -> None:
        """Erases the progress line, as everything written after it does by itself."""
        stream = self._target()
        if stream is not None:
            with self._lock:
                self._erase(stream)

    def _failure(self, code: str, exit_code: int, message: str, hint: str | None, as_json: bool) -> None:
        message = clean(message, LINE)
        hint = clean(hint, LINE) if hint else None
        if as_json:
            told = {"code": code, "message": message, "hint": hint, "exit_code": exit_code}
            self._json({"error": told})
        else:
            self._line(f"workbench: {message}" + (f"\nhint: {hint}" if hint else ""))

    def _line(self, text: str) -> None:
        stream = self._target()
        if stream is not None:
            with self._lock:
                self._erase(stream)
                self._write(stream, text + "\n")

    def _json(self, value: Mapping[str, object]) -> None:
        # ASCII, so that no terminal escape, line separator or encoding can come between.
        self._line(json.dumps(plain(value), allow_nan=False))

    def _target(self) -> TextIO | None:
        stream = self._stream if self._stream is not None else sys.stderr
        return None if stream is None or stream.closed else stream

    def _erase(self, stream: TextIO) -> None:
        if self._drawn:
            self._drawn = False
            self._write(stream, _ERASE)

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        with suppress(OSError, ValueError):
            stream.write(_encodable(text, stream.encoding or "utf-8"))
            stream.flush()


def _encodable(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        ours = text.replace("·", "-").replace("…", "...").replace("–", "-")
        return ours.encode(encoding, "backslashreplace").decode(encoding)
    return text


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    except ValueError:
        return False


def _says(text: str, count: int) -> bool:
    numbers = re.findall(r"\d[\d,]*", text)
    return str(count) in [number.replace(",", "") for number in numbers]


# One voice a process: whoever writes a line also erases the progress line that another one drew.
_shared = Diagnostics()

note = _shared.note
error = _shared.error
usage_error = _shared.usage_error
stats = _shared.stats
progress = _shared.progress
end_progress = _shared.end_progress
