"""What a failure of DuckDB, Arrow or the disk means to the user: its kind of error, one line, and a hint."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import duckdb

from workbench.errors import (
    Cancelled,
    Changed,
    Damaged,
    EngineDied,
    NoData,
    QueryFailed,
    TimedOut,
    UsageError,
    WorkbenchError,
)
from workbench.limits import SPILL_VARIABLE
from workbench.one_line import one_line
from workbench.runner import Task

FAULTS = (duckdb.Error, OSError, RuntimeError, MemoryError, UnicodeError, ValueError)
"""What a query may raise: Arrow hands DuckDB's errors on as OSError or ValueError, with their text alone."""

_MEMORY_HINT = "ask for a narrower range, exclude bots, or raise --memory"
_DAMAGED_HINT = "copy the file again from its source, or leave it out"


@dataclass(frozen=True, slots=True)
class _Rule:
    """One row of the error map: DuckDB's own kind and words, and what they mean to the user."""

    kinds: tuple[str, ...]
    words: str
    error: type[WorkbenchError]
    message: str
    """``{path}`` is the file, ``{line}`` the first line of DuckDB's text."""
    hint: str | None


_PATTERN_FAULTS = (
    r"^Invalid Input Error: (missing [\])]|unexpected \)|trailing \\|invalid (escape sequence|character class|"
    r"repetition size|perl operator|named capture|capture group)|bad repetition operator|"
    r"no argument for repetition)"
)
"""How RE2 begins to say what is wrong with a pattern."""

# In reading order, the first that matches; kinds keep a value quoted in an error from passing for its words.
_FILE = ("IO", "Invalid Input", "")
_RULES = tuple(
    _Rule(*row)
    for row in (
        (("Binder", "Parser", "Catalog", "Syntax"), "", QueryFailed, "the query: {line}", None),
        (
            ("Invalid Input",),
            _PATTERN_FAULTS,
            UsageError,
            "not a regular expression: {line}",
            "patterns are those of RE2: no look-around, no back references",
        ),
        (
            ("Out of Memory",),
            "max_temp_directory_size|temporary directory|offload",
            QueryFailed,
            "the question needs more memory and spill space than it may use",
            _MEMORY_HINT,
        ),
        (
            ("Out of Memory",),
            "",
            QueryFailed,
            "the question needs more memory than it may use",
            _MEMORY_HINT,
        ),
        (
            ("Permission",),
            "",
            QueryFailed,
            "the engine may not touch {path}",
            "it reads the folders of the data alone, and no network",
        ),
        (
            ("Connection",),
            "different configuration",
            QueryFailed,
            "the engine was opened twice: {line}",
            "this is a fault of the program, please report it",
        ),
        (
            ("IO",),
            r'No space left|errno\\?":\\?"28',
            QueryFailed,
            "the disk is full: {path}; nothing was changed",
            f"free some space, or set {SPILL_VARIABLE} to a folder on another disk",
        ),
        (
            ("IO",),
            "Too many open files",
            QueryFailed,
            "more files are open at once than the system allows: {path}",
            "raise the limit, as with `ulimit -n 1024`, or give --threads 1",
        ),
        (
            ("IO",),
            "No files found that match",
            NoData,
            "no data files at {path}",
            "check the path; a folder that may not be read looks empty",
        ),
        (
            ("IO",),
            "Could not set lock|Conflicting lock",
            Changed,
            "{path} is open in another process{holder}",
            "close it there, or try again later",
        ),
        (("IO",), "Permission denied", NoData, "{path}: permission denied{owner}", "ask its owner for it"),
        (
            ("IO",),
            "No such file or directory|Could not read enough bytes|Stale file handle",
            Changed,
            "{path} changed while it was read",
            "run it again; files should be put in place by renaming, not written in place",
        ),
        (
            _FILE,
            "too small to be a Parquet|No magic bytes found|Footer length error",
            Damaged,
            "{path} is incomplete (still being written?) or not Parquet",
            _DAMAGED_HINT,
        ),
        (_FILE, "is encrypted", NoData, "{path} is encrypted", "decrypt it first, or leave it out"),
        (
            ("Invalid Input", "Conversion"),
            "schema mismatch in glob|Error while reading file",
            NoData,
            "{line}",
            "files of one source must agree on the columns and types that are read",
        ),
        (
            _FILE,
            "Snappy|[Dd]ecompress|Invalid string encoding|ZSTD|GZIP|Failed to read|Malformed Parquet|"
            "Corrupt database|Input/output error",
            Damaged,
            "{path} is damaged: {line}",
            _DAMAGED_HINT,
        ),
        # Damage that only Parquet's own layers notice comes without a kind, its words about bytes.
        (("",), "", Damaged, "{path} is damaged: {line}", _DAMAGED_HINT),
    )
)
_QUOTED_PATH = re.compile(
    r"""(["'])(?=[^"'\n]*[/.])(?P<quoted>[^"'\n]+)\1|file: (?P<bare>/[^\n]*?), attempted"""
)


def translate(exc: Exception, files: Sequence[Path] = (), task: Task | None = None) -> WorkbenchError:
    """What a failure below means to the user: an error with its exit code, one line, and a hint.

    ``files`` are those the query read; the one that is meant is named when the text says it, or when there is
    no other. An interrupt, and anything after it, becomes the reason for which ``task`` was cancelled.
    """
    if isinstance(exc, WorkbenchError):
        return exc
    stopped = _stopped(exc, task)
    if stopped is not None:
        return stopped
    path = _path(exc, files)
    if isinstance(exc, MemoryError):
        return QueryFailed("the question needs more memory than there is", _MEMORY_HINT)
    if isinstance(exc, UnicodeDecodeError):
        # The text of DuckDB's own error quotes bytes of the file.
        return Damaged(f"{path} is damaged: it holds bytes that are no text", _DAMAGED_HINT)
    kind, text = kind_of(exc), str(exc)
    if kind in ("INTERNAL", "FATAL"):
        message = one_line(f"the engine failed inside on {path}: {_first_line(text)}")
        return EngineDied(message, "run it again; if it fails again, leave that file out")
    if "No files found that match" in text and any(escape(str(file)) in text for file in files):
        # It was listed, so it was there.
        return Changed(one_line(f"{path} is gone since it was listed"), "run it again")
    for rule in _RULES:
        if kind in rule.kinds and re.search(rule.words, text):
            message = rule.message.format(
                path=path, line=_first_line(text), holder=_holder(text), owner=_owner(exc, files)
            )
            return rule.error(one_line(message), rule.hint)
    return QueryFailed(_first_line(text) or type(exc).__name__)


def _stopped(exc: Exception, task: Task | None) -> WorkbenchError | None:
    if task is not None and task.reason is not None:
        try:
            task.check()
        except WorkbenchError as stopped:
            return stopped
    text = str(exc)
    if "exceeded maximum execution time" in text and kind_of(exc) == "INTERRUPT":
        return TimedOut("stopped: the time was up", "raise --timeout, or ask for a shorter range")
    if kind_of(exc) == "INTERRUPT" or text == "Query interrupted":
        return Cancelled("cancelled")
    return None


def kind_of(exc: BaseException) -> str:
    """DuckDB's name for the kind of an error, as its text begins; "" for those that come without."""
    match = re.match(r"([A-Za-z][A-Za-z ]{1,30}) Error: ", str(exc))
    if match:
        return match[1]
    if isinstance(exc, OSError) and exc.errno is not None:
        return "IO"
    return "" if type(exc) in (duckdb.Error, OSError) else type(exc).__name__


def _location(exc: BaseException, files: Sequence[Path]) -> str | None:
    text = str(exc)
    said = [str(file) for file in files if str(file) in text]
    if said:
        return max(said, key=len)
    if isinstance(exc, OSError) and isinstance(exc.filename, str):
        return exc.filename
    match = _QUOTED_PATH.search(text)
    if match:
        return match["quoted"] or match["bare"]
    return str(files[0]) if len(files) == 1 else None


def _path(exc: BaseException, files: Sequence[Path]) -> str:
    location = _location(exc, files)
    return "a data file" if location is None else one_line(location)


def _owner(exc: BaseException, files: Sequence[Path]) -> str:
    location = _location(exc, files)
    try:
        status = Path(location or "").stat()
    except (OSError, ValueError):
        return ""
    return f" (owner {status.st_uid}, mode {stat.S_IMODE(status.st_mode):04o})"


def _holder(text: str) -> str:
    match = re.search(r"PID (\d+)", text)
    return f" (PID {match[1]})" if match else ""


def _first_line(text: str) -> str:
    """DuckDB's text without its kind, its stack trace and its picture of the query; the place in words."""
    line, _, rest = text.partition("\n")
    line = re.sub(r"^[A-Za-z][A-Za-z ]{1,30} Error: ", "", line)
    place = re.search(r"^(LINE (\d+): )(.*)\n( *)\^", rest, re.MULTILINE)
    if place and not place[3].startswith("..."):
        line += f" (line {place[2]}, column {len(place[4]) - len(place[1]) + 1})"
    return one_line(line)
