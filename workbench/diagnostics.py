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
from typing import TYPE_CHECKING, TextIO

from workbench.errors import UsageError, WorkbenchError
from workbench.output.values import plain
from workbench.text import clean, clip

if TYPE_CHECKING:
    from queries.question import Note, QuestionError

LINE = 500
"""The longest message, in characters: engines quote whole lines of data."""

PROGRESS_SECONDS = 0.25

_MARKS = {"info": "·", "warning": "!"}
_ERASE = "\r\x1b[K"


class Diagnostics:
    """What is said beside the data, cleaned; safe to call from any thread.

    ``as_json`` writes errors as one JSON object a line, for those who read the data as JSON. Without a
    ``stream`` it is the standard error of the moment; where that is closed or full, nothing is said.
    """

    def __init__(
        self,
        *,
        as_json: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.as_json = as_json
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

    def error(self, error: WorkbenchError | QuestionError) -> int:
        """Says what went wrong and what to do, and gives the exit code; an error without words is silent."""
        code, exit_code = UsageError.code, UsageError.exit_code
        if isinstance(error, WorkbenchError):
            code, exit_code = error.code, error.exit_code
        message = clean(error.message, LINE)
        hint = None if error.hint is None else clean(error.hint, LINE)
        if not message:
            self.end_progress()
        elif self.as_json:
            told = {"code": code, "message": message, "hint": hint, "exit_code": exit_code}
            self._json({"error": told})
        else:
            self._line(f"Error: {message}" + (f"\nHint: {hint}" if hint else ""))
        return exit_code

    def stats(self, stats: Mapping[str, object]) -> None:
        """What differs from run to run (timing, path taken, versions), as one JSON line."""
        self._json(stats)

    def progress(self, fraction: float | None, what: str) -> None:
        """Rewrites the one progress line, at most four times a second, and on a terminal only.

        ``fraction`` is from 0 to 1, or None where nobody knows.
        """
        stream = self._target()
        if stream is None or not _is_terminal(stream):
            return
        with self._lock:
            now = self._clock()
            if now - self._drawn_at < PROGRESS_SECONDS:
                return
            self._drawn_at = now
            share = "" if fraction is None else f"{min(max(fraction, 0.0), 1.0):4.0%} "
            # One cell stays free: in the last one some terminals begin a new line.
            line = clip(share + clean(what), shutil.get_terminal_size().columns - 1)
            self._drawn = True
            self._write(stream, _ERASE + line)

    def end_progress(self) -> None:
        """Erases the progress line; whoever wrote one calls it before the answer is written."""
        stream = self._target()
        if stream is not None:
            with self._lock:
                self._erase(stream)

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
            stream.write(_encodable(text, stream.encoding))
            stream.flush()


def _encodable(text: str, encoding: str | None) -> str:
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        ours = text.replace("·", "-").replace("…", "...").replace("–", "-")
        return ours.encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")
    return text


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    except ValueError:
        return False


def _says(text: str, count: int) -> bool:
    numbers = re.findall(r"\d[\d,]*", text)
    return str(count) in [number.replace(",", "") for number in numbers]
