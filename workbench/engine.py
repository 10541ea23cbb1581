"""One hardened in-memory DuckDB for every front door: what it may use and touch, and what its errors mean.

The file is long because these three are one promise: a query reads the folders it was given, inside its
limits, stops when asked, and fails in words. It is read in that order: limits, spill, engine, errors.

The connection has no extensions, no network, no view of Python's variables and a locked configuration; it
reads the given folders alone and lives in UTC. Each query runs on a cursor of its own, so threads may ask at
once; no lock is held while DuckDB executes.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import duckdb
import numpy as np
import platformdirs
from numpy.typing import NDArray

from workbench.errors import Cancelled, Changed, NoData, QueryFailed, TimedOut, UsageError, WorkbenchError
from workbench.runner import Task

if TYPE_CHECKING:
    from pyarrow import RecordBatch, Schema

__all__ = ["Batches", "Engine", "Limits", "Task", "default_limits", "limits", "translate"]

Parameters = Mapping[str, object] | None
Columns = dict[str, NDArray[np.generic]]

SPILL_VARIABLE = "WORKBENCH_SPILL"
BATCH_ROWS = 1 << 18

_GIB = 1 << 30
_LEAST_MEMORY = 64 << 20
_UNITS = {"": 1, "B": 1}
for _power, _letter in enumerate("KMGT", start=1):
    _UNITS |= {_letter: 1000**_power, f"{_letter}B": 1000**_power, f"{_letter}IB": 1024**_power}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process may take of a shared host."""

    memory_bytes: int
    threads: int
    spill_bytes: int = 16 * _GIB
    """What sorting and joining may write to disk when memory does not do."""


def default_limits() -> Limits:
    """A quarter of the control group's (or host's) memory, at most 4 GB; half its cores, but two of two."""
    cores = _cores()
    memory = min(_host_memory() // 4, 4_000_000_000)
    return Limits(max(memory, _LEAST_MEMORY), cores if cores <= 2 else max(cores // 2, 2))


def limits(memory: str | None, threads: int | None) -> Limits:
    """The default limits with ``--memory`` (``512MB``, ``2GiB``) and ``--threads`` in their place.

    Raises :class:`UsageError` for a size that cannot be read, under 64 MiB, or for less than one thread.
    """
    default = default_limits()
    if threads is not None and threads < 1:
        raise UsageError(f"--threads {threads}: at least one thread is needed", "try --threads 2")
    return Limits(
        default.memory_bytes if memory is None else _parse_size(memory),
        default.threads if threads is None else threads,
    )


def _parse_size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([A-Za-z]*)", text.strip(), re.ASCII)
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise UsageError(f"--memory {_one_line(text)}: not a size", "write it like 512MB or 2GB")
    size = int(float(match[1]) * unit)
    if size < _LEAST_MEMORY:
        raise UsageError(f"--memory {_one_line(text)}: too little to work with", "give at least 64MiB")
    return size


def _cores() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for text in _control_group("cpu.max"):
        quota, _, period = text.partition(" ")
        if quota.isdecimal() and period.isdecimal():
            usable = min(usable, max(int(quota) // int(period), 1))
    return usable


def _host_memory() -> int:
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        memory = 8 * _GIB
    bounds = _control_group("memory.max", "memory/memory.limit_in_bytes")
    return min([memory, *(int(text) for text in bounds if text.isdecimal())])


def _control_group(name: str, first_version: str | None = None) -> list[str]:
    """What the process's control group and its parents say in the file ``name``; empty without one."""
    top = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    own = next((line[3:] for line in lines if line.startswith("0::")), "/")
    folder = top / own.lstrip("/")
    files = [parent / name for parent in (folder, *folder.parents) if parent.is_relative_to(top)]
    if first_version is not None:
        files.append(top / first_version)
    found = []
    for file in files:
        try:
            found.append(file.read_text().strip())
        except OSError:
            continue
    return found


def spill_folder() -> Path:
    """The user's folder for what does not fit into memory: absolute, made if need be, mode 0700, writable.

    One for all processes of a user, since DuckDB clears away what a killed process left in its folder.
    Raises :class:`WorkbenchError` that names the folder and the variable to change.
    """
    named = os.environ.get(SPILL_VARIABLE)
    cache = Path(platformdirs.user_cache_dir("workbench"))
    if named:
        folder = Path(named).expanduser().absolute() / f"workbench-{os.geteuid()}"
    elif cache.is_absolute():
        folder = cache / "spill"
    else:
        folder = Path(tempfile.gettempdir()) / f"workbench-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _claim(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise QueryFailed(
            f"cannot write to the spill folder {_one_line(str(folder))}: {error.strerror or error}",
            f"set {SPILL_VARIABLE} to a folder you may write to",
        ) from error
    return folder.resolve()


def _claim(folder: Path) -> None:
    # In a shared place such as /tmp somebody else may have made the folder first, to read along.
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(1, "it is not a folder of yours")
    if stat.S_IMODE(status.st_mode) != 0o700:
        folder.chmod(0o700)


class Engine:
    """An in-memory DuckDB that reads ``folders``, writes to ``writable``, and reaches nothing else.

    Parameters of queries are DuckDB's ``$name``. All methods may be called from several threads at once; they
    raise :class:`WorkbenchError` alone, :class:`Cancelled` or :class:`TimedOut` when ``task`` was cancelled.
    ``files`` are the data files behind the queries: with them an error can name the damaged one.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        writable: Sequence[Path] = (),
        limits: Limits | None = None,
        files: Sequence[Path] = (),
    ) -> None:
        self._writable = tuple(folder.resolve() for folder in writable)
        self._files = tuple(files)
        # Reentrant: the garbage collector may drop an answer, and so release its cursor, at any line.
        self._lock = threading.RLock()
        self._all = Task()
        self._open_cursors = 0
        self._closed: str | None = None
        try:
            self._connection = _connect([*folders, *writable], limits or default_limits())
        except _FAULTS as error:
            raise translate(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fetch(
        self, sql: str, parameters: Parameters = None, task: Task | None = None
    ) -> list[tuple[object, ...]]:
        """A small answer, whole."""
        with self._cursor(task) as cursor:
            return cursor.execute(_query(sql), dict(parameters or {})).fetchall()

    def arrow(
        self,
        sql: str,
        parameters: Parameters = None,
        task: Task | None = None,
        batch_rows: int = BATCH_ROWS,
    ) -> Batches:
        """An answer of any size as Arrow record batches of at most ``batch_rows`` rows, as they come."""
        return Batches(self, sql, parameters, task, batch_rows)

    def stream(
        self,
        sql: str,
        parameters: Parameters = None,
        task: Task | None = None,
        batch_rows: int = BATCH_ROWS,
    ) -> Iterator[Columns]:
        """An answer of any size as numpy columns, in bounded memory; no batch at all for no rows.

        Numbers without NULL come in their own dtype, without a copy and so read-only. NULL in floating
        point is NaN, in times NaT; text is an object array of ``str`` and ``None``, and so is any other type
        (a boolean with NULL: True, False, None). An integer column with NULL raises :class:`QueryFailed`,
        since numpy has no honest form for it: say ``coalesce``. ``sum()`` of integers is HUGEINT: cast it.
        """
        with self.arrow(sql, parameters, task, batch_rows) as batches:
            for batch in batches:
                yield _columns(batch)

    def columns(self, sql: str, parameters: Parameters = None, task: Task | None = None) -> Columns:
        """An answer known to fit, whole, in the form of :meth:`stream`; empty arrays for no rows."""
        with self.arrow(sql, parameters, task) as batches:
            parts = [_columns(batch) for batch in batches]
            names = batches.schema.names
            empty = {} if parts else _columns(batches.schema.empty_table())
        return empty or {name: np.concatenate([part[name] for part in parts]) for name in names}

    def execute(self, sql: str, parameters: Parameters = None, task: Task | None = None) -> None:
        """Runs statements that change the in-memory catalog, or ``COPY (…) TO`` a file under ``writable``.

        Views and tables are seen by every later query. With ``parameters`` there is one statement. Raises
        :class:`QueryFailed` for any other kind of statement, and for a target outside the writable folders.
        """
        for statement in _parse(sql):
            if statement.type not in _CHANGES:
                raise QueryFailed(f"a statement of this kind is not run here: {_one_line(statement.query)}")
            if statement.type is duckdb.StatementType.COPY:
                self._check_target(statement.query, parameters)
            with self._cursor(task) as cursor:
                # The answer is drained: an error may come as late as the last row.
                cursor.execute(statement, dict(parameters or {})).fetchall()

    def interrupt_all(self) -> None:
        """Interrupts every query that runs now; each raises :class:`Cancelled` in its own thread."""
        self._all.interrupt()

    def close(self) -> None:
        """Interrupts what runs and lets go of everything; later queries raise :class:`QueryFailed`."""
        self._close("the engine was closed")

    def _close(self, why: str) -> None:
        with self._lock:
            if self._closed is not None:
                return
            self._closed = why
        self._all.cancel()
        self._let_go()

    def _let_go(self) -> None:
        # DuckDB refuses to close under a running query: whoever is last closes.
        with self._lock:
            if self._closed is not None and self._open_cursors == 0:
                self._connection.close()

    def _check_target(self, sql: str, parameters: Parameters) -> None:
        target = _copy_target(sql, parameters or {})
        if target is not None and not any(target.is_relative_to(folder) for folder in self._writable):
            raise QueryFailed(f"the engine may not write to {_one_line(str(target))}")

    def _open(self, task: Task | None) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._closed is not None:
                raise QueryFailed(self._closed, "run it again")
            cursor = self._connection.cursor()
            # Both are settings of a cursor alone. Without the first there is no progress to ask for, and
            # without the second DuckDB draws its own bar on stdout after two seconds.
            cursor.execute("SET enable_progress_bar = true")
            cursor.execute("SET enable_progress_bar_print = false")
            self._open_cursors += 1
        self._all.register(cursor)
        if task is not None:
            task.register(cursor)
        return cursor

    def _release(self, cursor: duckdb.DuckDBPyConnection, task: Task | None) -> None:
        # Out of the lists first: nobody may interrupt a cursor that is closed.
        if task is not None:
            task.release(cursor)
        self._all.release(cursor)
        cursor.close()
        with self._lock:
            self._open_cursors -= 1
        self._let_go()

    @contextmanager
    def _cursor(self, task: Task | None) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._translated(task):
            cursor = self._open(task)
            try:
                if task is not None:
                    task.check()
                yield cursor
            finally:
                self._release(cursor, task)
        if task is not None:
            task.check()

    @contextmanager
    def _translated(self, task: Task | None) -> Iterator[None]:
        try:
            yield
        except _FAULTS as error:
            if _kind(error) in ("INTERNAL", "FATAL"):
                self._close("the engine failed inside and was closed")
            raise translate(error, self._files, task) from error


class Batches:
    """The record batches of one running query, in order; closed at the end, by ``with`` or when dropped."""

    def __init__(
        self, engine: Engine, sql: str, parameters: Parameters, task: Task | None, batch_rows: int
    ) -> None:
        self._engine = engine
        self._task = task
        self._cursor: duckdb.DuckDBPyConnection | None = None
        with engine._translated(task):
            statement = _query(sql)
            self._cursor = engine._open(task)
            try:
                self._check()
                # A relation hands its rows on as they are made; a cursor that executes copies them all first.
                relation = self._cursor.sql(statement, params=dict(parameters or {}))
                self._reader = relation.to_arrow_reader(batch_rows)
            except BaseException:
                self.close()
                raise

    @property
    def schema(self) -> Schema:
        """The names and Arrow types of the columns."""
        return self._reader.schema

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RecordBatch:
        if self._cursor is None:
            raise StopIteration
        try:
            with self._engine._translated(self._task):
                self._check()
                batch = next(self._reader, None)
                self._check()
        except WorkbenchError:
            self.close()
            raise
        if batch is None:
            self.close()
            raise StopIteration
        return batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Ends the query where it is."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            self._engine._release(cursor, self._task)

    def _check(self) -> None:
        if self._task is not None:
            self._task.check()


def _connect(folders: Sequence[Path], limits: Limits) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "allow_persistent_secrets": False,
            "python_enable_replacements": False,
            "memory_limit": f"{limits.memory_bytes}B",
            "threads": limits.threads,
        },
    )
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET GLOBAL temp_directory = $folder", {"folder": str(spill_folder())})
    connection.execute("SET GLOBAL max_temp_directory_size = $size", {"size": f"{limits.spill_bytes}B"})
    connection.execute("SET allowed_configs = ['enable_progress_bar', 'enable_progress_bar_print']")
    # DuckDB compares what it is asked for with what it was given, letter by letter: a folder is given as it
    # was named and as it is, and matches nothing without the slash at its end.
    named = {path for folder in folders for path in (str(folder.absolute()), str(folder.resolve()))}
    allowed = sorted(path.rstrip("/") + "/" for path in named)
    connection.execute("SET allowed_directories = $folders", {"folders": allowed})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


_QUERIES = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_CHANGES = {
    duckdb.StatementType.CREATE,
    duckdb.StatementType.DROP,
    duckdb.StatementType.ALTER,
    duckdb.StatementType.INSERT,
    duckdb.StatementType.UPDATE,
    duckdb.StatementType.DELETE,
    duckdb.StatementType.COPY,
}


def _parse(sql: str) -> list[duckdb.Statement]:
    try:
        sql.encode()
        return duckdb.extract_statements(sql)
    except UnicodeEncodeError as error:
        raise QueryFailed(f"the text of a query is not Unicode: {_one_line(sql)}") from error
    except _FAULTS as error:
        raise translate(error) from error


def _query(sql: str) -> duckdb.Statement:
    statements = _parse(sql)
    if len(statements) != 1 or statements[0].type not in _QUERIES:
        raise QueryFailed(f"one SELECT is run here, not: {_one_line(sql)}")
    return statements[0]


def _copy_target(sql: str, parameters: Mapping[str, object]) -> Path | None:
    """The file a COPY writes, links followed; None for COPY … FROM. Raises where it is no plain literal."""
    raw = sql.encode()
    tokens = duckdb.tokenize(sql)
    ends = [offset for offset, _ in tokens[1:]] + [len(raw)]
    words = [
        raw[offset:end].decode().strip()
        for (offset, kind), end in zip(tokens, ends, strict=True)
        if kind is not duckdb.token_type.comment
    ]
    depth = 0
    for position, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        if depth == 0 and word.upper() == "FROM":
            return None
        if depth == 0 and word.upper() == "TO":
            return _target(words[position + 1 :], parameters)
    raise QueryFailed(f"COPY without a target: {_one_line(sql)}")


def _target(words: Sequence[str], parameters: Mapping[str, object]) -> Path:
    named = words[:1] == ["$"] and len(words) > 1
    value: object = None
    if named:
        value = parameters.get(words[1])
    elif words and len(words[0]) > 2 and words[0][0] == words[0][-1] == "'":
        value = words[0][1:-1].replace("''", "'")
    after = words[2:3] if named else words[1:2]
    if not isinstance(value, str) or after not in ([], ["("], [";"]):
        raise QueryFailed("the target of a COPY is one string or $name")
    return Path(value).resolve()


def _columns(batch: RecordBatch) -> Columns:
    # Loaded by DuckDB by now; a question that asks for no batches does not pay for it.
    from pyarrow import types

    arrays: Columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if column.null_count and types.is_integer(column.type):
            raise QueryFailed(f"the integer column {_one_line(name)} of a query holds NULL", "use coalesce()")
        arrays[name] = column.to_numpy(zero_copy_only=False)
    return arrays


_FAULTS = (duckdb.Error, OSError, RuntimeError, MemoryError, UnicodeError, ValueError)
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


# In reading order, the first that matches; kinds keep a value quoted in an error from passing for its words.
_FILE = ("IO", "Invalid Input", "")
_RULES = tuple(
    _Rule(*row)
    for row in (
        (("Binder", "Parser", "Catalog", "Syntax"), "", QueryFailed, "the query: {line}", None),
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
            NoData,
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
            NoData,
            "{path} is damaged: {line}",
            _DAMAGED_HINT,
        ),
        # Damage that only Parquet's own layers notice comes without a kind, its words about bytes.
        (("",), "", NoData, "{path} is damaged: {line}", _DAMAGED_HINT),
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
        return NoData(f"{path} is damaged: it holds bytes that are no text", _DAMAGED_HINT)
    kind, text = _kind(exc), str(exc)
    if kind in ("INTERNAL", "FATAL"):
        message = _one_line(f"the engine failed inside on {path}: {_first_line(text)}")
        return QueryFailed(message, "run it again; if it fails again, leave that file out")
    for rule in _RULES:
        if kind in rule.kinds and re.search(rule.words, text):
            message = rule.message.format(
                path=path, line=_first_line(text), holder=_holder(text), owner=_owner(exc, files)
            )
            return rule.error(_one_line(message), rule.hint)
    return QueryFailed(_first_line(text) or type(exc).__name__)


def _stopped(exc: Exception, task: Task | None) -> WorkbenchError | None:
    if task is not None and task.reason is not None:
        try:
            task.check()
        except WorkbenchError as stopped:
            return stopped
    text = str(exc)
    if "exceeded maximum execution time" in text and _kind(exc) == "INTERRUPT":
        return TimedOut("stopped: the time was up", "raise --timeout, or ask for a shorter range")
    if _kind(exc) == "INTERRUPT" or text == "Query interrupted":
        return Cancelled("cancelled")
    return None


def _kind(exc: BaseException) -> str:
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
    return "a data file" if location is None else _one_line(location)


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
    return _one_line(line)


def _one_line(text: str) -> str:
    """Text on one line of at most 500 characters, what would steer a terminal written as an escape."""
    head = text[:500]
    shown = "".join(c if c.isprintable() or c == "\u3000" else ascii(c)[1:-1] for c in head)
    return shown if len(text) <= 500 and len(shown) <= 500 else shown[:499] + "…"
