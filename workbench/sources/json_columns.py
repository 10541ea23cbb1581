"""Parquet files with malformed JSON are read all the same: the engine refuses the file for one bad value."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from glob import escape
from pathlib import Path

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from workbench.engine import Engine
from workbench.errors import QueryFailed
from workbench.sources.duck_types import literal, quote
from workbench.sources.probing import Unreadable, read_footer
from workbench.sources.snapshot import DataFile
from workbench.sources.staging import Staging, check_unmoved

_COUNT = b"workbench_malformed"
_BATCH_ROWS = 65_536


def has_json(file: DataFile) -> bool:
    """Whether a file has a column of JSON, at the top or inside another."""
    return bool(_json_columns(file))


def mended(file: DataFile, staging: Staging, engine: Engine) -> tuple[DataFile, str | None]:
    """The file itself where all its JSON can be read, else a copy with the malformed values NULL, and a note.

    Every value is looked at once; the cache remembers the verdict. ``engine`` reads the file's folder and the
    cache. Raises :class:`Unreadable` for malformed JSON inside a struct or list, and :class:`Moved`.
    """
    place = staging.place(file.listed)
    sound = place.with_suffix(".sound")
    if sound.exists():
        return file, None
    if not place.exists():
        if _reads(engine, file.parquet, file, staging):
            _remember(sound)
            return file, None
        if any(type_ != "JSON" for name, type_ in _json_columns(file)):
            raise Unreadable(f"malformed JSON in {', '.join(name for name, _ in _json_columns(file))}")
        _write(file, staging, engine, place)
    footer = read_footer(place)
    count = int(footer.metadata.get(_COUNT, b"0"))
    names = ", ".join(name for name, _ in _json_columns(file))
    rows = "1 row has" if count == 1 else f"{count:,} rows have"
    note = f"{rows} malformed JSON in {names}: such values count as missing"
    return DataFile(file.listed, place, footer.rows, footer.columns, millis=footer.millis), note


def _json_columns(file: DataFile) -> list[tuple[str, str]]:
    # Names inside a nested type are quoted, its types are not.
    return [
        (name, type_)
        for name, type_ in file.columns
        if type_ == "JSON" or " JSON" in type_ or "JSON[" in type_
    ]


def _reads(engine: Engine, path: Path, file: DataFile, staging: Staging) -> bool:
    looks = ", ".join(f"max(length(CAST({quote(name)} AS VARCHAR)))" for name, _ in _json_columns(file))
    try:
        engine.fetch(f"SELECT {looks} FROM {_scan(path)}", task=staging.task)
    except QueryFailed as error:
        if "JSON" in f"{error.message} {error.hint}":
            return False
        raise
    return True


def _scan(path: Path) -> str:
    return f"read_parquet({literal(escape(str(path)))}, hive_partitioning = false)"


def _write(file: DataFile, staging: Staging, engine: Engine, place: Path) -> None:
    names = [name for name, _ in _json_columns(file)]
    staging.folder.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".work-", dir=staging.folder))
    try:
        _write_texts(file, names, work / "texts.parquet")
        bad = [
            {
                int(str(row[0]))
                for row in engine.fetch(_malformed(name, work / "texts.parquet"), task=staging.task)
            }
            for name in names
        ]
        target = work / "staged.parquet"
        _write_without(file, dict(zip(names, bad, strict=True)), target)
        if not _reads(engine, target, file, staging):
            raise Unreadable(f"malformed JSON in {', '.join(names)}")
        check_unmoved(file.listed)
        target.replace(place)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise Unreadable(f"malformed JSON in {', '.join(names)}: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _malformed(name: str, path: Path) -> str:
    own = quote(name)
    return f"SELECT file_row_number FROM {_scan(path)} WHERE {own} IS NOT NULL AND NOT json_valid({own})"


def _write_texts(file: DataFile, names: Sequence[str], target: Path) -> None:
    schema = pa.schema([(name, pa.string()) for name in names])
    with pq.ParquetFile(file.parquet) as source, pq.ParquetWriter(target, schema) as writer:
        for batch in source.iter_batches(_BATCH_ROWS, columns=list(names)):
            columns = [_text(batch.column(name)) for name in names]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def _text(column: pa.Array) -> pa.Array:
    return (column.storage if isinstance(column, pa.ExtensionArray) else column).cast(pa.string())


def _write_without(file: DataFile, bad: dict[str, set[int]], target: Path) -> None:
    """The file with the values of some rows NULL: column name → row numbers."""
    with pq.ParquetFile(file.parquet) as source:
        schema = source.schema_arrow
        for name in bad:
            schema = schema.set(schema.get_field_index(name), pa.field(name, pa.json_(pa.string())))
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            start = 0
            for batch in source.iter_batches(_BATCH_ROWS):
                columns = []
                for field in schema:
                    column = batch.column(field.name)
                    if field.name in bad:
                        gone = bad[field.name]
                        keep = pa.array([start + n not in gone for n in range(batch.num_rows)])
                        texts = pa.compute.if_else(keep, _text(column), pa.scalar(None, pa.string()))
                        column = pa.ExtensionArray.from_storage(field.type, texts)
                    columns.append(column)
                writer.write_batch(pa.record_batch(columns, schema=schema))
                start += batch.num_rows
            rows = len(set().union(*bad.values()))
            writer.add_key_value_metadata({_COUNT.decode(): str(rows)})


def _remember(verdict: Path) -> None:
    # Only a shortcut: a cache that cannot be written does not change the answer.
    try:
        verdict.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(verdict, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError:
        return
