"""The data files a folder holds, found in bounded time: what a first start offers to open."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import NoData
from workbench.sources.listing import list_files
from workbench.workspace import FILE_NAME

if TYPE_CHECKING:
    from workbench.sources.snapshot import Listed

_DEPTH = 4
"""Levels of folders that are looked into."""
_ENTRIES = 5_000
"""A folder with more entries is taken for something else than an export somebody has just put here."""
_SECONDS = 0.5
_NAMES = {"parquet": "Parquet", "csv": "CSV", "json": "JSON", "duckdb": "DuckDB"}


@dataclass(frozen=True, slots=True)
class Nearby:
    """A file, or a folder with files below it, that can be opened."""

    path: str
    """Relative to the folder looked into; a folder's ends with ``/``."""
    files: int
    bytes: int
    formats: tuple[str, ...]
    """As people name them, the most frequent first."""
    whole: bool
    """False where there was no time to look at everything below."""
    workspace: bool = False
    """Whether it is a folder with a ``workbench.toml``: opened as what that says."""

    def told(self) -> str:
        """How much it is, and of what."""
        if self.workspace:
            return "workspace"
        if not self.files:
            return "not looked into: there is too much here"
        count = (
            "" if not self.path.endswith("/") else f"{self.files:,} file{'' if self.files == 1 else 's'}, "
        )
        more = "" if self.whole else " or more"
        return f"{count}{' and '.join(self.formats)}, {size(self.bytes)}{more}"


def nearby(folder: Path, *, seconds: float = _SECONDS) -> list[Nearby]:
    """Files of the folder itself, then its folders that hold any; each by name. Unreadable ones are left out."""
    until = time.monotonic() + seconds
    found = [Nearby(file.path.name, 1, file.size, (_NAMES[file.format],), True) for file in _files(folder)]
    for name in _folders(folder):
        if (folder / name / FILE_NAME).is_file():
            found.append(Nearby(f"{name}/", 0, 0, (), True, workspace=True))
            continue
        files, whole = _below(folder / name, until)
        if files or not whole:
            formats = Counter(_NAMES[file.format] for file in files).most_common()
            total = sum(file.size for file in files)
            found.append(Nearby(f"{name}/", len(files), total, tuple(each for each, _ in formats), whole))
    return found


def size(count: int) -> str:
    """Bytes as people read them."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:,.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def _below(folder: Path, until: float) -> tuple[list[Listed], bool]:
    files: list[Listed] = []
    pending = [(folder, 1)]
    while pending:
        if time.monotonic() > until:
            return files, False
        here, depth = pending.pop()
        files += _files(here)
        if depth < _DEPTH:
            pending += [(here / name, depth + 1) for name in _folders(here)]
    return files, True


def _files(folder: Path) -> list[Listed]:
    if _is_crowded(folder):
        return []
    try:
        # One level: the listing's own rules say what a data file is, and nobody asked for what is below.
        return list_files(folder, "*")[0]
    except (NoData, OSError):
        return []


def _folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in _entries(folder) if _is_folder(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith((".", "_")) and entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_crowded(folder: Path) -> bool:
    return sum(1 for _ in _entries(folder)) > _ENTRIES


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from islice(entries, _ENTRIES + 1)
    except OSError:
        return
