"""One hardened in-memory DuckDB for every front door: it reads the folders it was given and nothing else.

The connection has no extensions, no network, no view of Python's variables and a locked configuration; it
reads the given folders alone and lives in UTC. Each query runs on a cursor of its own, so threads may ask at
once; no lock is held while DuckDB executes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import duckdb
import numpy as np
from numpy.typing import NDArray

from workbench.engine_errors import FAULTS, kind_of, translate
from workbench.engine_statements import CHANGES, copy_target, parse, parse_query
from workbench.errors import QueryFailed, WorkbenchError
from workbench.limits import Limits, default_limits, spill_folder
from workbench.one_line import one_line
from workbench.runner import Task

if TYPE_CHECKING:
    from pyarrow import Array, RecordBatch, Schema

__all__ = ["Batches", "Engine", "Task"]

Parameters = Mapping[str, object] | None
Columns = dict[str, NDArray[np.generic]]

BATCH_ROWS = 1 << 18
MOST_IDLE = 4
"""Cursors kept for the next statement: a new one costs as much as a small question."""

_OF_A_CURSOR = ("enable_progress_bar", "enable_progress_bar_print", "schema", "TimeZone", "errors_as_json")
"""What stays settable for one cursor when everything is locked: no statement of a query can set anything."""


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
        self._idle: dict[str | None, list[duckdb.DuckDBPyConnection]] = {}
        """By the schema in which they look names up first."""
        self._closed: str | None = None
        try:
            self._connection = hardened(":memory:", [*folders, *writable], limits or default_limits())
        except FAULTS as error:
            raise translate(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fetch(
        self, sql: str, parameters: Parameters = None, task: Task | None = None, schema: str | None = None
    ) -> list[tuple[object, ...]]:
        """A small answer, whole; names are looked up in ``schema`` first, where one is given."""
        with self._cursor(task, reused=True, schema=schema) as cursor:
            return cursor.execute(parse_query(sql), dict(parameters or {})).fetchall()

    def arrow(
        self,
        sql: str,
        parameters: Parameters = None,
        task: Task | None = None,
        batch_rows: int = BATCH_ROWS,
        schema: str | None = None,
    ) -> Batches:
        """An answer of any size as Arrow record batches of at most ``batch_rows`` rows, as they come."""
        return Batches(self, sql, parameters, task, batch_rows, schema)

    def stream(
        self,
        sql: str,
        parameters: Parameters = None,
        task: Task | None = None,
        batch_rows: int = BATCH_ROWS,
        schema: str | None = None,
    ) -> Iterator[Columns]:
        """An answer of any size as numpy columns, in bounded memory; no batch at all for no rows.

        Numbers without NULL come in their own dtype, without a copy and so read-only. NULL in floating
        point is NaN, in times NaT; text is an object array of ``str`` and ``None``, and so is any other type
        (a boolean with NULL: True, False, None). An integer column with NULL raises :class:`QueryFailed`,
        since numpy has no honest form for it: say ``coalesce``. ``sum()`` of integers is HUGEINT: cast it.
        """
        with self.arrow(sql, parameters, task, batch_rows, schema) as batches:
            for batch in batches:
                yield _columns(batch)

    def columns(self, sql: str, parameters: Parameters = None, task: Task | None = None) -> Columns:
        """An answer known to fit, whole, in the form of :meth:`stream`; empty arrays for no rows."""
        with self.arrow(sql, parameters, task) as batches:
            parts = [_columns(batch) for batch in batches]
            names = batches.schema.names
            empty = {} if parts else _columns(batches.schema.empty_table())
        return empty or {name: np.concatenate([part[name] for part in parts]) for name in names}

    def execute(
        self, sql: str, parameters: Parameters = None, task: Task | None = None, schema: str | None = None
    ) -> None:
        """Runs statements that change the in-memory catalog, or ``COPY (…) TO`` a file under ``writable``.

        Views and tables are seen by every later query. With ``parameters`` there is one statement. Raises
        :class:`QueryFailed` for any other kind of statement, and for a target outside the writable folders.
        """
        for statement in parse(sql):
            if statement.type not in CHANGES:
                raise QueryFailed(f"a statement of this kind is not run here: {one_line(statement.query)}")
            if statement.type is duckdb.StatementType.COPY:
                self._check_target(statement.query, parameters)
            with self._cursor(task, reused=True, schema=schema) as cursor:
                # The answer is drained: an error may come as late as the last row.
                cursor.execute(statement, dict(parameters or {})).fetchall()

    @contextmanager
    def reading(
        self, schema: str, timezone: str, task: Task | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own for SQL that others wrote, inside a transaction that can only read.

        Names are looked up in ``schema`` first, times are those of the zone; errors come as DuckDB's JSON. What
        it raises is translated as for every query.
        """
        with self._cursor(task) as cursor:
            cursor.execute("SET schema = $name", {"name": schema})
            cursor.execute("SET TimeZone = $name", {"name": timezone})
            cursor.execute("SET errors_as_json = true")
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            yield cursor

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
                for idle in self._idle.values():
                    while idle:
                        idle.pop().close()
                self._connection.close()

    def _check_target(self, sql: str, parameters: Parameters) -> None:
        target = copy_target(sql, parameters or {})
        if target is not None and not any(target.is_relative_to(folder) for folder in self._writable):
            raise QueryFailed(f"the engine may not write to {one_line(str(target))}")

    def _open(self, task: Task | None, schema: str | None = None) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._closed is not None:
                raise QueryFailed(self._closed, "run it again")
            idle = self._idle.get(schema)
            cursor = idle.pop() if idle else self._new_cursor(schema)
            self._open_cursors += 1
        self._all.register(cursor)
        if task is not None:
            task.register(cursor)
        return cursor

    def _new_cursor(self, schema: str | None) -> duckdb.DuckDBPyConnection:
        cursor = self._connection.cursor()
        if schema is not None:
            cursor.execute("SET schema = $name", {"name": schema})
        # Both are settings of a cursor alone. Without the first there is no progress to ask for, and
        # without the second DuckDB draws its own bar on stdout after two seconds.
        cursor.execute("SET enable_progress_bar = true")
        cursor.execute("SET enable_progress_bar_print = false")
        return cursor

    def _release(
        self,
        cursor: duckdb.DuckDBPyConnection,
        task: Task | None,
        *,
        keep: bool = False,
        schema: str | None = None,
    ) -> None:
        # Out of the lists first: nobody may interrupt a cursor that is closed, or another's by now.
        if task is not None:
            task.release(cursor)
        self._all.release(cursor)
        with self._lock:
            self._open_cursors -= 1
            idle = self._idle.setdefault(schema, [])
            kept = keep and self._closed is None and len(idle) < MOST_IDLE
            if kept:
                idle.append(cursor)
        if not kept:
            cursor.close()
        self._let_go()

    @contextmanager
    def _cursor(
        self, task: Task | None, *, reused: bool = False, schema: str | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for one statement; ``reused`` is for one that leaves nothing behind on it."""
        with self._translated(task):
            cursor = self._open(task, schema)
            done = False
            try:
                if task is not None:
                    task.check()
                yield cursor
                done = True
            finally:
                self._release(cursor, task, keep=reused and done, schema=schema)
        if task is not None:
            task.check()

    @contextmanager
    def _translated(self, task: Task | None) -> Iterator[None]:
        try:
            yield
        except FAULTS as error:
            if kind_of(error) in ("INTERNAL", "FATAL"):
                self._close("the engine failed inside and was closed")
            raise translate(error, self._files, task) from error


class Batches:
    """The record batches of one running query, in order; closed at the end, by ``with`` or when dropped."""

    def __init__(
        self,
        engine: Engine,
        sql: str,
        parameters: Parameters,
        task: Task | None,
        batch_rows: int,
        schema: str | None = None,
    ) -> None:
        self._engine = engine
        self._task = task
        self._cursor: duckdb.DuckDBPyConnection | None = None
        with engine._translated(task):
            statement = parse_query(sql)
            self._cursor = engine._open(task, schema)
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


def hardened(
    database: str, folders: Sequence[Path], limits: Limits, *, read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    """A connection that touches ``folders`` and nothing else, inside its limits, its settings locked.

    No extensions, no network, no view of Python's variables, UTC; a cursor's progress may still be set.
    """
    connection = duckdb.connect(
        database,
        read_only=read_only,
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
    try:
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        # Each statement opens the files anew: their footers are kept, and read again where a file changed.
        connection.execute("SET GLOBAL parquet_metadata_cache = true")
        # What it keeps of files is of remote ones alone; asking it costs local ones a tenth of a scan.
        connection.execute("SET GLOBAL enable_external_file_cache = false")
        connection.execute("SET GLOBAL temp_directory = $folder", {"folder": str(spill_folder())})
        connection.execute("SET GLOBAL max_temp_directory_size = $size", {"size": f"{limits.spill_bytes}B"})
        connection.execute("SET allowed_configs = $names", {"names": list(_OF_A_CURSOR)})
        # DuckDB compares what it is asked for with what it was given, letter by letter: a folder is given as it
        # was named and as it is, and matches nothing without the slash at its end. Statements name files with
        # glob characters escaped, and so it must find their folders too.
        named = {str(path) for folder in folders for path in (folder.absolute(), folder.resolve())}
        allowed = sorted(path.rstrip("/") + "/" for path in named | {escape(path) for path in named})
        connection.execute("SET allowed_directories = $folders", {"folders": allowed})
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except BaseException:
        connection.close()
        raise
    return connection


def _columns(batch: RecordBatch) -> Columns:
    # Loaded by DuckDB by now; a question that asks for no batches does not pay for it.
    from pyarrow import types

    arrays: Columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if column.null_count and types.is_integer(column.type):
            raise QueryFailed(f"the integer column {one_line(name)} of a query holds NULL", "use coalesce()")
        # to_numpy() would load pandas wherever it is installed: a sixth of a second, for nothing.
        whole = types.is_integer(column.type) and len(column)
        arrays[name] = _integers(column) if whole else column.to_numpy(zero_copy_only=False)
    return arrays


def _integers(column: Array) -> NDArray[np.generic]:
    from pyarrow import types

    sign = "i" if types.is_signed_integer(column.type) else "u"
    array = np.frombuffer(column.buffers()[1], f"{sign}{column.type.bit_width // 8}")
    return array[column.offset : column.offset + len(column)]
