"""What a question reads: a pinned list of probed files, and what was set aside, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Format = Literal["parquet", "csv", "json", "duckdb"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A regular file found under a source, not yet opened."""

    path: Path
    """Absolute, as reached from what the user named."""
    relative: str
    """Path inside its source, ``/`` between parts; files of a source are ordered by its bytes."""
    size: int
    mtime_ns: int
    inode: tuple[int, int]
    """Device and inode: the same file under two names is read once."""
    format: Format
    compression: str | None = None
    """``gzip``, ``zstd`` or None."""
    partitions: Mapping[str, str] = field(default_factory=dict)
    """Hive keys on the way to the file, as text."""
    ctime_ns: int = 0
    """Changes with every rewrite, also where size and mtime were put back."""
    target: Path | None = None
    """Where symbolic links on the way led, when there were any: what the engine must be given."""
    table: str | None = None
    """Of a DuckDB file: the one table or view of it that is meant, as ``table`` or ``schema.table``."""
    beside: str = ""
    """What pins a file that belongs to this one: a database's own log of changes."""

    @property
    def identity(self) -> str:
        """What pins the content for caches: path, size, times, inode, and which part of it is meant."""
        own = f"{self.path}\0{self.size}\0{self.mtime_ns}\0{self.ctime_ns}\0{self.inode}"
        return own if self.table is None else f"{own}\0{self.table}\0{self.beside}"

    @property
    def location(self) -> Path:
        """The file itself, past symbolic links."""
        return self.target or self.path


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file that is not read, and why."""

    path: str
    reason: str
    """One line without line breaks: ``empty file``, ``incomplete: no Parquet footer`` …"""
    state: Literal["bad", "not-ready", "ignored"] = "bad"
    """``not-ready``: probably being written; ``ignored``: no event file by its name or kind, not worth a warning."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that was probed and can be read as Parquet."""

    listed: Listed
    parquet: Path
    """What the engine reads: the file itself, or its staged copy in the cache."""
    rows: int
    columns: tuple[tuple[str, str], ...]
    """Name and DuckDB type name, in file order, nested types in full (``STRUCT(a VARCHAR, …)``)."""
    rejected: int = 0
    """Lines that staging could not read, counted."""
    rejected_examples: tuple[str, ...] = ()
    """A few of them as ``line 17: …``, without line breaks, at most 200 characters each."""
    millis: frozenset[str] = frozenset()
    """The columns of moments that are written in milliseconds."""


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """One source as listed and probed at one moment: what every statement of a question reads."""

    name: str
    files: tuple[DataFile, ...]
    set_aside: tuple[SetAside, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders the engine must be allowed to read."""
        return tuple(sorted({file.parquet.parent for file in self.files}))
