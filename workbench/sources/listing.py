"""Finds the files a user means, in one listing, before any of them is opened."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path
from urllib.parse import unquote

from workbench.errors import NoData
from workbench.sources.content import sniff
from workbench.sources.snapshot import Format, Listed, SetAside

_FORMATS: dict[str, Format] = {
    "parquet": "parquet",
    "pq": "parquet",
    "csv": "csv",
    "tsv": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
}
_COMPRESSIONS = {"gz": "gzip", "zst": "zstd", "zstd": "zstd"}
_UNFINISHED = (".tmp", ".part", ".crc", ".inprogress")
_DATABASES = (".duckdb", ".ddb", ".db")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
_MAGIC = re.compile(r"[*?\[]")
_KINDS = (
    (stat.S_ISDIR, "a folder, not a file"),
    (stat.S_ISFIFO, "a named pipe, not a regular file"),
    (stat.S_ISSOCK, "a socket, not a regular file"),
    (stat.S_ISCHR, "a device, not a regular file"),
    (stat.S_ISBLK, "a device, not a regular file"),
)
_ESCAPES = "symbolic link out of the source's folder: --follow reads it"


def list_files(base: Path, pattern: str, *, follow: bool = False) -> tuple[list[Listed], list[SetAside]]:
    """The regular files that ``pattern`` names, and what was met and is not read.

    ``pattern`` is relative to ``base`` or absolute: a file, a folder (with everything below it) or a glob of
    ``*``, ``?``, ``[…]`` and ``**``. A path that exists is taken as it stands, whatever characters it holds.
    Each inode appears once; files are sorted by the bytes of ``relative``. Symbolic links that leave the
    folder named are read only with ``follow``. Raises :class:`NoData` when there is nothing there.
    """
    whole = str(base / pattern)
    walk = _Walk(follow=follow, given=_steps(pattern))
    if "\0" in whole:
        raise NoData(f"no data at {shown(whole)}", "a path cannot hold a NUL character")
    if os.path.lexists(whole):
        hint = walk.named(Path(whole))
    elif blocked := _blocked(whole):
        walk.aside.append(blocked)
        hint = ""
    elif _MAGIC.search(pattern):
        root, rest = _split(base, pattern)
        walk.glob(root, rest)
        hint = "the pattern matches no data file; ** reaches into folders, a folder's name takes all below it"
    else:
        hint = f"check the path; relative paths start at {shown(str(base))}"
    files = walk.once()
    if not files and all(item.state == "ignored" for item in walk.aside):
        if walk.aside:
            hint = f"{len(walk.aside)} ignored there, such as {walk.aside[0].path}: {walk.aside[0].reason}"
        raise NoData(f"no data at {shown(whole)}", hint)
    return files, walk.aside


def shown(path: str) -> str:
    """A path as valid text: bytes that are not UTF-8 appear as ``\\xff``."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    relative: str
    """Empty for the root, else with a trailing ``/``."""
    real: str | None
    """Where it really is, when a symbolic link led here."""
    at: frozenset[int]
    """The parts of the pattern that an entry of this folder may match."""


@dataclass(slots=True)
class _Walk:
    """One walk over the folders of one pattern; ``found`` and ``aside`` are what it brings back."""

    follow: bool
    given: Sequence[str]
    """The steps the user wrote; hive keys count from there."""
    found: list[Listed] = field(default_factory=list)
    aside: list[SetAside] = field(default_factory=list)
    parts: Sequence[re.Pattern[str] | None] = ()
    """The pattern below the root; None is ``**``."""
    hidden: bool = False
    """A part of the pattern asks for names that begin with ``.`` or ``_``."""
    real_root: str = ""

    def named(self, path: Path) -> str:
        """Takes in a path that exists; returns the hint for the case that nothing is there."""
        self.real_root = os.path.realpath(path)
        try:
            status = path.stat()
        except OSError as error:
            self.skip(str(path), _link_reason(error) if path.is_symlink() else reason_of(error))
            return ""
        if stat.S_ISDIR(status.st_mode):
            self.parts = (None,)
            self.walk(_Folder(str(path), "", None, frozenset({0})))
            return "the folder holds no Parquet, CSV or JSON file"
        self.given = self.given[:-1]
        self.file(str(path), path.name, status, self.real_root if path.is_symlink() else None, exact=True)
        return ""

    def glob(self, root: str, rest: Sequence[str]) -> None:
        """Takes in what the parts of a pattern match below ``root``."""
        self.given = self.given[: len(self.given) - len(rest)]
        self.parts = [None if part == "**" else re.compile(translate(part)) for part in rest]
        self.hidden = any(part.startswith((".", "_")) for part in rest)
        self.real_root = os.path.realpath(root)
        self.walk(_Folder(root, "", None, self.closed({0})))

    def closed(self, at: set[int]) -> frozenset[int]:
        """``**`` also stands for no folder at all."""
        for position in sorted(at):
            while position < len(self.parts) - 1 and self.parts[position] is None:
                position += 1
                at.add(position)
        return frozenset(at)

    def walk(self, root: _Folder) -> None:
        # Links come last, so that what can be reached without them is named without them.
        pending, linked = deque([root]), deque[_Folder]()
        seen: set[tuple[int, int, frozenset[int]]] = set()
        while pending or linked:
            folder = pending.popleft() if pending else linked.popleft()
            try:
                status = Path(folder.path).stat()
                with os.scandir(folder.path) as entries:
                    names = sorted(entries, key=lambda entry: os.fsencode(entry.name))
            except OSError as error:
                self.skip(folder.path, f"folder cannot be read: {reason_of(error)}")
                continue
            mark = (status.st_dev, status.st_ino, folder.at)
            if mark in seen:
                continue
            seen.add(mark)
            for entry in names:
                below = self.entry(folder, entry)
                if below is not None:
                    (linked if below.real else pending).append(below)

    def entry(self, folder: _Folder, entry: os.DirEntry[str]) -> _Folder | None:
        """Takes in one entry of a folder; returns the folder to go on in, if it is one."""
        name = entry.name
        matching = [p for p in folder.at if (part := self.parts[p]) is None or part.match(name)]
        if not matching:
            return None
        takes = len(self.parts) - 1 in matching
        if not name.isascii() and not _is_text(name):
            self.skip(entry.path, "the name is not UTF-8: rename it")
            return None
        if name.startswith((".", "_")) and "=" not in name and not self.hidden:
            self.skip(entry.path, "hidden by its name", "ignored")
            return None
        real = None if folder.real is None else f"{folder.real}/{name}"
        link = entry.is_symlink()
        if link:
            real = os.path.realpath(entry.path)
        try:
            status = entry.stat()
        except OSError as error:
            if link or not isinstance(error, FileNotFoundError):
                self.skip(entry.path, _link_reason(error) if link else reason_of(error))
            return None
        if link and not self.follow and not self.inside(real):
            self.skip(entry.path, _ESCAPES)
            return None
        if stat.S_ISDIR(status.st_mode):
            further = {p if self.parts[p] is None else p + 1 for p in matching}
            at = self.closed({p for p in further if p < len(self.parts)})
            if at:
                return _Folder(entry.path, f"{folder.relative}{name}/", real, at)
            if _format(name)[0]:
                self.skip(entry.path, "a folder, not a file", "ignored")
        elif takes:
            self.file(entry.path, folder.relative + name, status, real)
        return None

    def inside(self, real: str | None) -> bool:
        root = self.real_root.rstrip("/") + "/"
        return real is not None and (real + "/").startswith(root)

    def file(
        self, path: str, relative: str, status: os.stat_result, target: str | None, exact: bool = False
    ) -> None:
        """Takes in one file, or says why not."""
        name = relative.rpartition("/")[2]
        lower = name.lower()
        kind: tuple[Format | None, str | None] = _format(name)
        if not stat.S_ISREG(status.st_mode):
            reason = next((words for test, words in _KINDS if test(status.st_mode)), "not a regular file")
            return self.skip(path, reason)
        if not _is_text(path):
            return self.skip(path, "the name is not UTF-8: rename it")
        if not exact and lower.endswith(_UNFINISHED):
            return self.skip(path, "unfinished by its name", "ignored")
        if lower.endswith(_DATABASES) and not exact:
            return self.skip(path, "a database: it is read when it is named itself", "ignored")
        if kind[0] is None and not exact:
            return self.skip(path, "no data file by its extension", "ignored")
        if status.st_size == 0:
            return self.skip(path, "empty file")
        if kind[0] is None:
            try:
                sniffed = sniff(Path(path))
            except OSError as error:
                return self.skip(path, reason_of(error))
            if isinstance(sniffed, str):
                return self.skip(path, sniffed)
            if lower.endswith(_DATABASES) and sniffed[0] != "duckdb":
                return self.skip(path, "no DuckDB file, by its content")
            kind = sniffed
        self.found.append(self.listed(path, relative, status, target, *kind))
        return None

    def listed(
        self,
        path: str,
        relative: str,
        status: os.stat_result,
        target: str | None,
        kind: Format | None,
        compression: str | None,
    ) -> Listed:
        assert kind is not None
        return Listed(
            path=Path(path),
            relative=relative,
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            inode=(status.st_dev, status.st_ino),
            format=kind,
            compression=compression,
            partitions=_partitions([*self.given, *relative.split("/")[:-1]]),
            ctime_ns=status.st_ctime_ns,
            target=None if target is None else Path(target),
        )

    def skip(self, path: str, reason: str, state: str = "bad") -> None:
        self.aside.append(SetAside(shown(path), reason, "ignored" if state == "ignored" else "bad"))

    def once(self) -> list[Listed]:
        """The files, each inode once, by its plainest name; sorted by the bytes of ``relative``."""
        files, doubles = without_doubles(self.found)
        self.aside += doubles
        return files


def without_doubles(files: Iterable[Listed]) -> tuple[list[Listed], list[SetAside]]:
    """Each inode once, named without symbolic links where possible, sorted by the bytes of ``relative``."""
    first: dict[tuple[int, int], Listed] = {}
    doubles: list[SetAside] = []
    for file in sorted(files, key=lambda file: (file.target is not None, file.relative.encode())):
        # Some network file systems number no inodes.
        key = file.inode if file.inode[1] else (-1, len(first))
        kept = first.setdefault(key, file)
        if kept is not file and kept.path != file.path:
            same = " ".join(shown(kept.relative).split())
            doubles.append(SetAside(shown(str(file.path)), f"the same file as {same}", "ignored"))
    return sorted(first.values(), key=lambda file: file.relative.encode()), doubles


def reason_of(error: OSError) -> str:
    """The system's words for an error, without the path."""
    return (error.strerror or type(error).__name__).lower()


def _link_reason(error: OSError) -> str:
    return "symbolic links in a circle" if error.errno == errno.ELOOP else "symbolic link to nothing"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _format(name: str) -> tuple[Format | None, str | None]:
    stem, _, extension = name.lower().rpartition(".")
    compression = _COMPRESSIONS.get(extension)
    if compression is not None:
        extension = stem.rpartition(".")[2]
    return _FORMATS.get(extension), compression


def _partitions(steps: Iterable[str]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for step in steps:
        key, equals, value = step.partition("=")
        if key and equals and value != _HIVE_NULL:
            keys[unquote(key)] = unquote(value)
    return keys


def _steps(path: str) -> list[str]:
    return [step for step in path.split("/") if step not in ("", ".")]


def _blocked(path: str) -> SetAside | None:
    """The reason a path cannot be looked at, when that is all that hides it."""
    try:
        os.lstat(path)
    except PermissionError as error:
        return SetAside(shown(path), f"a folder on the way cannot be read: {reason_of(error)}")
    except OSError:
        pass
    return None


def _split(base: Path, pattern: str) -> tuple[str, list[str]]:
    """The folder where a glob starts and the parts below it; parts that exist as they stand are no glob."""
    root = Path("/") if pattern.startswith("/") else base
    steps = _steps(pattern)
    for index, step in enumerate(steps):
        if _MAGIC.search(step) and not os.path.lexists(root / step):
            return str(root), steps[index:]
        root = root / step
    return str(root), []
