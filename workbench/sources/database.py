"""A user's DuckDB file as a source: opened read-only for a moment, each table copied once to Parquet, in row order."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb

from queries.suggest import ask, did_you_mean
from workbench.engine import hardened
from workbench.engine_errors import FAULTS, translate
from workbench.errors import Cancelled, Changed, TimedOut, UsageError
from workbench.limits import default_limits
from workbench.runner import Task
from workbench.sources.duck_types import is_nested, literal, quote
from workbench.sources.listing import shown
from workbench.sources.probing import Moved, Unreadable
from workbench.sources.snapshot import Listed

_MAIN = "main"
_one_at_a_time = threading.Lock()
"""Threads that open a file at once share one instance of it in DuckDB, whose settings are locked by the first."""
_NOT_PARQUET = re.compile(r"\b(U?HUGEINT|BIT|BIGNUM|VARINT|UNION|VARIANT|GEOMETRY|INTERVAL)\b")
"""Types that Parquet lacks, or would round."""
_TO_TELL = re.compile(r"open in another process|memory|disk is full|spill")
"""Failures that are not the file's fault."""

_TABLES = """
    SELECT schema_name, table_name, false AS is_view FROM duckdb_tables()
    WHERE NOT internal AND database_name = current_database()
    UNION ALL
    SELECT schema_name, view_name, true FROM duckdb_views()
    WHERE NOT internal AND database_name = current_database()
    ORDER BY ALL"""


def tables_of(listed: Listed, wanted: Sequence[str], task: Task | None = None) -> list[Listed]:
    """The tables of a DuckDB file as files of their own: those wanted, views too, or without names all tables.

    A name is that of a table of the schema ``main``, or ``schema.table``. Raises UsageError for a name that is
    not there, :class:`Unreadable` for what DuckDB cannot open, Changed for a file another process writes to.
    """
    stamp = _wal_stamp(listed)
    with _opened(listed, None, task) as con:
        rows = [(str(row[0]), str(row[1]), bool(row[2])) for row in con.execute(_TABLES).fetchall()]
    names = {_name(schema, table): is_view for schema, table, is_view in rows}
    if wanted:
        chosen = [_found(listed, name, names) for name in dict.fromkeys(wanted)]
    else:
        chosen = [name for name, is_view in names.items() if not is_view]
    if not chosen:
        raise Unreadable("a DuckDB file without tables")
    return [
        replace(listed, relative=f"{listed.relative}/{name}", table=name, beside=stamp) for name in chosen
    ]


def wal_note(listed: Listed) -> str | None:
    """What to tell of a file with changes that its database has not taken in yet."""
    if not listed.beside:
        return None
    return (
        "read with the changes in its .wal file; where that file is damaged DuckDB leaves out the rest of it "
        "without a word: a CHECKPOINT by its owner makes sure"
    )


def table_to_parquet(listed: Listed, target: Path, pairs: Mapping[str, str], task: Task | None) -> None:
    """Writes one table to ``target`` in the order of its rows, with ``pairs`` as the file's own.

    Types that Parquet lacks become text. Raises as :func:`tables_of`, and :class:`Moved` when the file changed.
    """
    if listed.table is None:
        raise AssertionError
    schema, _, table = listed.table.rpartition(".")
    source = f"{quote(schema or _MAIN)}.{quote(table)}"
    with _opened(listed, target.parent, task) as con:
        columns = con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        chosen = ", ".join(_column(str(row[0]), str(row[1])) for row in columns)
        said = ", ".join(f"{key}: {literal(value)}" for key, value in pairs.items())
        con.execute(
            f"COPY (SELECT {chosen} FROM {source}) TO $target "
            f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{said}}})",
            {"target": str(target)},
        ).fetchall()
    if _wal_stamp(listed) != listed.beside:
        raise Moved(listed.path)


def _column(name: str, type_: str) -> str:
    if not _NOT_PARQUET.search(type_):
        return quote(name)
    value = f"to_json({quote(name)})" if is_nested(type_) else f"CAST({quote(name)} AS VARCHAR)"
    return f"{value} AS {quote(name)}"


def _name(schema: str, table: str) -> str:
    return table if schema == _MAIN else f"{schema}.{table}"


def _found(listed: Listed, wanted: str, names: Mapping[str, bool]) -> str:
    folded = wanted.removeprefix(f"{_MAIN}.").casefold()
    found = next((name for name in names if name.casefold() == folded), None)
    if found is None:
        near = did_you_mean(wanted, names)
        hint = ask(near) if near else f"its tables: {', '.join(names) or 'none'}"
        raise UsageError(f"{shown(str(listed.path))} has no table {wanted}", hint)
    return found


@contextmanager
def _opened(listed: Listed, folder: Path | None, task: Task | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection that reaches nothing but the file itself, and writes to ``folder`` alone.

    A view of the file could name other files: they are as closed to it as to every query.
    """
    try:
        with _one_at_a_time:
            con = _connect(listed.location, folder)
            if task is not None:
                task.register(con)
            try:
                yield con
            finally:
                if task is not None:
                    task.release(con)
                con.close()
    except FAULTS as error:
        failure = translate(error, [listed.path], task)
        if isinstance(failure, Cancelled | TimedOut) or _TO_TELL.search(failure.message):
            raise failure from error
        if isinstance(failure, Changed) and _moved(listed):
            raise Moved(listed.path) from error
        why = "it is incomplete" if isinstance(failure, Changed) else failure.message
        raise Unreadable(f"DuckDB cannot read it: {why}") from error
    if task is not None:
        task.check()


def _connect(path: Path, folder: Path | None) -> duckdb.DuckDBPyConnection:
    connection = hardened(str(path), [] if folder is None else [folder], default_limits(), read_only=True)
    connection.execute("SET enable_progress_bar = true")
    connection.execute("SET enable_progress_bar_print = false")
    return connection


def _moved(listed: Listed) -> bool:
    try:
        now = listed.location.stat()
    except OSError:
        return True
    return (now.st_size, now.st_mtime_ns, now.st_ino) != (listed.size, listed.mtime_ns, listed.inode[1])


def _wal_stamp(listed: Listed) -> str:
    """What pins the changes beside a database; empty where there are none."""
    try:
        status = listed.location.with_name(f"{listed.location.name}.wal").stat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
