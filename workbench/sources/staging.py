"""CSV and JSON become Parquet once, in the order of their rows, in the cache; later questions reuse it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import xxhash

from workbench.engine import Engine, Task
from workbench.errors import QueryFailed
from workbench.sources.csv_staging import csv_to_parquet
from workbench.sources.database import table_to_parquet, wal_note
from workbench.sources.json_staging import Reader, array_to_raw, is_array, lines_to_raw, raw_to_parquet
from workbench.sources.parquet_types import BadColumns
from workbench.sources.probing import Moved, Unreadable, read_footer
from workbench.sources.snapshot import DataFile, Listed
from workbench.sources.text_stream import Rejects, is_plain, text_blocks

STAGING_VERSION = "1"
"""Changes whenever the same file would be staged to other rows, columns or types."""

EngineFor = Callable[[Sequence[Path]], Engine]

_PAIRS = "workbench"
_ABANDONED_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Staging:
    """Where and how files are staged: the cache, how to get an engine, the declared encoding."""

    cache: Path
    engine_for: EngineFor
    """An engine that reads the given folders and writes below ``cache``."""
    encoding: str | None = None
    task: Task | None = None

    @property
    def folder(self) -> Path:
        return self.cache / "staged"

    def place(self, listed: Listed) -> Path:
        """The staged copy of this very content; it need not be there yet."""
        said = f"{STAGING_VERSION}\0{self.encoding}\0{listed.format}\0{listed.compression}\0{listed.identity}"
        return self.folder / f"{xxhash.xxh3_128_hexdigest(said.encode('utf-8', 'surrogateescape'))}.parquet"


def stage(listed: Listed, staging: Staging) -> tuple[DataFile, tuple[str, ...]]:
    """The file as Parquet, staged now or before, and what is to be told about it.

    Written beside its place and renamed, so other processes see all of it or nothing. Raises
    :class:`Unreadable` for a file of which nothing can be read (remembered in the cache too), :class:`Moved`
    for one that changed meanwhile, :class:`QueryFailed` when the cache cannot be written.
    """
    place = staging.place(listed)
    found = _staged(place, listed)
    if found is not None:
        return found
    verdict = place.with_suffix(".bad")
    try:
        raise Unreadable(verdict.read_text("utf-8"))
    except OSError:
        pass
    try:
        _write(listed, staging, place)
    except Unreadable as error:
        check_unmoved(listed)
        _write_verdict(verdict, error.reason)
        raise
    except OSError as error:
        raise _disk(error, staging.folder) from error
    found = _staged(place, listed)
    if found is None:
        raise QueryFailed(f"the cache {staging.folder} lost a file just written", "run it again")
    return found


def _staged(place: Path, listed: Listed) -> tuple[DataFile, tuple[str, ...]] | None:
    """What is staged there, if it is whole."""
    try:
        footer = read_footer(place)
        said = json.loads(footer.metadata[_PAIRS.encode()])
        file = DataFile(
            listed,
            place,
            footer.rows,
            footer.columns,
            int(said["rejected"]),
            tuple(said["examples"]),
            footer.millis,
        )
        return file, tuple(said["notes"])
    except (Moved, Unreadable, KeyError, ValueError):
        return None


def _write(listed: Listed, staging: Staging, place: Path) -> None:
    staging.folder.mkdir(parents=True, exist_ok=True)
    _sweep(staging.folder)
    work = Path(tempfile.mkdtemp(prefix=".work-", dir=staging.folder))
    try:
        target = work / "staged.parquet"
        if listed.format == "duckdb":
            note = wal_note(listed)
            pairs = _describe(Rejects(), () if note is None else (note,))
            table_to_parquet(listed, target, pairs, staging.task)
        elif listed.format == "csv":
            csv_to_parquet(_watched(listed, staging), target, _describe)
        else:
            _write_json(listed, staging, work, target)
        check_unmoved(listed)
        _sync(target)
        target.replace(place)
    except BadColumns as error:
        raise Unreadable(str(error)) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_json(listed: Listed, staging: Staging, work: Path, target: Path) -> None:
    blocks = _watched(listed, staging)
    first = next((block for block in blocks if block.strip()), b"")
    array, raw = is_array(first), work / "raw.parquet"
    rejects = Rejects("element" if array else "line")
    plain = array and is_plain(listed, staging.encoding)
    source = listed.location if plain else work / "array.json"
    if array and not plain:
        with source.open("wb") as file:
            file.writelines(chain([first], blocks))
    elif not array:
        lines_to_raw(chain([first], blocks), raw, rejects)
    with staging.engine_for([staging.folder, source.parent]) as engine:
        reader = Reader(engine, work, staging.task)
        if array:
            array_to_raw(reader, source, raw)
        raw_to_parquet(reader, raw, target, rejects, _describe)


def _watched(listed: Listed, staging: Staging) -> Iterator[bytes]:
    for block in text_blocks(listed, staging.encoding):
        if staging.task is not None:
            staging.task.check()
        yield block


def _describe(rejects: Rejects, notes: tuple[str, ...]) -> dict[str, str]:
    said = {"rejected": rejects.count, "examples": rejects.examples, "notes": notes}
    return {_PAIRS: json.dumps(said)}


def check_unmoved(listed: Listed) -> None:
    """Raises :class:`Moved` where the file is no longer the one that was listed."""
    try:
        now = listed.location.stat()
    except OSError as error:
        raise Moved(listed.path) from error
    if (now.st_size, now.st_mtime_ns, now.st_ino) != (listed.size, listed.mtime_ns, listed.inode[1]):
        raise Moved(listed.path)


def _write_verdict(verdict: Path, reason: str) -> None:
    # Only a shortcut: a cache that cannot be written does not change the answer.
    temporary = verdict.with_suffix(f".{os.getpid()}.{time.monotonic_ns()}.tmp")
    try:
        temporary.write_text(reason, "utf-8")
        temporary.replace(verdict)
    except OSError:
        temporary.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Takes away what killed processes left more than a day ago."""
    for work in folder.glob(".work-*"):
        try:
            old = time.time() - work.stat().st_mtime > _ABANDONED_SECONDS
        except OSError:
            continue
        if old:
            shutil.rmtree(work, ignore_errors=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _disk(error: OSError, folder: Path) -> QueryFailed:
    if error.errno == errno.ENOSPC:
        return QueryFailed(f"the disk is full: {folder}; nothing was changed", "free some space")
    why = (error.strerror or str(error)).lower()
    return QueryFailed(f"cannot write to the cache {folder}: {why}", "name another cache folder")
