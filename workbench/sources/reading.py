"""From the patterns of one source to files that every statement of a question reads: list, probe, stage."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import NoData, UsageError
from workbench.sources.listing import list_files, shown, without_doubles
from workbench.sources.probing import Moved, Unreadable, probe, state_of
from workbench.sources.snapshot import DataFile, Listed, SetAside, SourceFiles

if TYPE_CHECKING:
    from workbench.engine import Task
    from workbench.sources.staging import EngineFor


def snapshot(
    name: str,
    base: Path,
    patterns: Sequence[str],
    *,
    cache: Path,
    engine_for: EngineFor,
    follow: bool = False,
    task: Task | None = None,
    encoding: str | None = None,
    tables: Sequence[str] = (),
) -> SourceFiles:
    """One source as it is at this moment: its files in order, those set aside by name, notes.

    ``engine_for`` is called for JSON alone, with the folders to read; its engine must be able to write below
    ``cache``. Text in an encoding other than UTF-8 and UTF-16 needs ``encoding``. Of a DuckDB file each of the
    ``tables`` is a file of the source, without names each of its tables. A file that vanishes or changes
    between listing and opening makes the source be listed once more. Raises :class:`NoData` when no pattern
    finds anything, UsageError for a table that is not there; when all that was found is set aside, ``files``
    is empty.
    """
    for last in (False, True):
        listed, aside, notes = _list(base, patterns, follow)
        if tables and not any(file.format == "duckdb" for file in listed):
            names = ", ".join(tables)
            raise UsageError(
                f"source {name}: table {names}, but no DuckDB file", "leave table out for other files"
            )
        try:
            good, bad = probe(
                [file for file in listed if file.format == "parquet"],
                last=last,
                progress=None if task is None else lambda _: task.check(),
            )
            good, malformed, said = _mend(good, cache, engine_for, task, last)
            texts = [file for file in listed if file.format != "parquet"]
            staged, unstaged, told = _stage(texts, cache, engine_for, task, encoding, last, tables)
        except Moved:
            continue
        files = sorted([*good, *staged], key=lambda file: file.listed.relative.encode())
        return SourceFiles(name, tuple(files), (*aside, *bad, *malformed, *unstaged), (*notes, *said, *told))
    raise AssertionError


def _list(
    base: Path, patterns: Sequence[str], follow: bool
) -> tuple[list[Listed], list[SetAside], list[str]]:
    found: list[Listed] = []
    aside: dict[str, SetAside] = {}
    missing: list[NoData] = []
    for pattern in patterns:
        try:
            files, skipped = list_files(base, pattern, follow=follow)
        except NoData as error:
            missing.append(error)
            continue
        found += files
        aside |= {item.path: item for item in skipped}
    if missing and len(missing) == len(patterns):
        raise missing[0]
    if len(patterns) > 1 and found:
        found = _from_common_folder(found)
    files, doubles = without_doubles(found)
    read = {shown(str(file.path)) for file in files}
    aside |= {item.path: item for item in doubles}
    kept = [item for path, item in aside.items() if path not in read]
    return files, kept, [error.message for error in missing]


def _from_common_folder(files: Sequence[Listed]) -> list[Listed]:
    """Several patterns have several folders: the order of their files is that below the one they share."""
    common = os.path.commonpath([file.path.parent for file in files])
    return [replace(file, relative=str(file.path.relative_to(common))) for file in files]


def _tables(listed: Listed, wanted: Sequence[str], task: Task | None) -> list[Listed]:
    from workbench.sources.database import tables_of

    return tables_of(listed, wanted, task)


def _mend(
    files: Sequence[DataFile], cache: Path, engine_for: EngineFor, task: Task | None, last: bool
) -> tuple[list[DataFile], list[SetAside], list[str]]:
    """The Parquet files with those in the place of which a copy without malformed JSON is read."""
    if not any("JSON" in type_ for file in files for _, type_ in file.columns):
        return list(files), [], []
    from workbench.sources.json_columns import has_json, mended
    from workbench.sources.staging import Staging

    staging = Staging(cache, engine_for, None, task)
    good: list[DataFile] = []
    aside: list[SetAside] = []
    told: list[str] = []
    folders = sorted({file.parquet.parent for file in files if has_json(file)})
    with engine_for([*folders, staging.folder]) as engine:
        for file in files:
            try:
                own, note = mended(file, staging, engine) if has_json(file) else (file, None)
            except Unreadable as error:
                aside.append(SetAside(shown(str(file.listed.path)), error.reason))
            except Moved:
                if not last:
                    raise
                aside.append(SetAside(shown(str(file.listed.path)), "changed while it was read", "not-ready"))
            else:
                good.append(own)
                told += [] if note is None else [f"{shown(file.listed.relative)}: {note}"]
    return good, aside, told


def _stage(
    texts: Sequence[Listed],
    cache: Path,
    engine_for: EngineFor,
    task: Task | None,
    encoding: str | None,
    last: bool,
    tables: Sequence[str],
) -> tuple[list[DataFile], list[SetAside], list[str]]:
    if not texts:
        return [], [], []
    # DuckDB's module comes with staging; a source of Parquet alone does without.
    from workbench.sources.staging import Staging, stage

    staging = Staging(cache, engine_for, encoding, task)
    good: list[DataFile] = []
    aside: list[SetAside] = []
    told: list[str] = []
    pending = deque(texts)
    while pending:
        listed = pending.popleft()
        if task is not None:
            task.report(1 - (len(pending) + 1) / len(texts), f"reading {shown(listed.relative)}")
        try:
            if listed.format == "duckdb" and listed.table is None:
                pending.extendleft(reversed(_tables(listed, tables, task)))
                continue
            file, notes = stage(listed, staging)
        except Unreadable as error:
            aside.append(SetAside(shown(str(listed.path)), error.reason, state_of(listed)))
        except Moved:
            if not last:
                raise
            aside.append(SetAside(shown(str(listed.path)), "changed while it was read", "not-ready"))
        else:
            good.append(file)
            told += [f"{shown(listed.relative)}: {note}" for note in notes]
    return good, aside, told
