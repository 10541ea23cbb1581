"""What a workspace is: its sources, their meaning, its rules, and where it is found."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from workbench.errors import NoData, UsageError

FILE_NAME = "workbench.toml"
SCHEMA = 1
"""The newest layout of ``workbench.toml`` this program reads."""

Kind = Literal["events", "items", "lines"]
TimeUnit = Literal["s", "ms", "us", "ns"]
MoneyUnit = Literal["major", "minor"]
DecimalMark = Literal[".", ","]
Rule = Literal["none", "event_id", "row"]
Build = Literal["auto", "never"]

_DECIMALS: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(
        (
            [
                "BIF",
                "CLP",
                "DJF",
                "GNF",
                "ISK",
                "JPY",
                "KMF",
                "KRW",
                "PYG",
                "RWF",
                "UGX",
                "UYI",
                "VND",
                "VUV",
                "XAF",
                "XOF",
                "XPF",
            ]
        ),
        0,
    )
    | dict.fromkeys((["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]), 3)
)
"""ISO 4217: the currencies whose minor unit is not a hundredth."""


@dataclass(frozen=True, slots=True)
class Take:
    """Where a canonical column comes from; exactly one of the fields is set."""

    names: tuple[str, ...] = ()
    """Columns or dotted paths into JSON and struct columns; of several the first that is not null."""
    constant: str | None = None
    file: bool = False
    """The name of the file or table, without its endings."""
    sql: str | None = None
    """An expression with ``{path}`` for columns: shipped shapes only."""


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """How times are written where the values alone don't say it."""

    unit: TimeUnit | None = None
    """Of times that are numbers."""
    pattern: str | None = None
    """A ``strptime`` pattern for times that are text."""


ANY_TIME = TimeFormat()
"""Nothing declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Files of one kind, and what their columns mean."""

    name: str
    patterns: tuple[str, ...]
    """Files, folders and globs; relative ones start at the workspace."""
    tables: tuple[str, ...] = ()
    """Of a DuckDB file: the tables and views meant; none: each of its tables."""
    kind: Kind = "events"
    shape: str | None = None
    """None: recognised from the columns, unless a map is given."""
    encoding: str | None = None
    """Of text files, as Python names it; None: UTF-8 or UTF-16, told from the bytes."""
    zone: str | None = None
    """Of times without one; None: the workspace's."""
    event: Take | None = None
    map: Mapping[str, Take] = field(default_factory=dict)
    """Canonical column → where it comes from."""
    time: TimeFormat = ANY_TIME
    money_unit: MoneyUnit | None = None
    """None: the shape's, else major."""
    money_decimal: DecimalMark = "."
    """Of amounts that are text; the other mark separates thousands."""

    @property
    def mapped(self) -> bool:
        """True where the user said what the columns mean."""
        return bool(self.map)


@dataclass(frozen=True, slots=True)
class Ids:
    """Kinds of ids in order of trust, and values that stand for nobody besides the usual ones."""

    trust: tuple[str, ...] = ()
    junk: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Money:
    """The currency of amounts and how many decimals its minor unit has."""

    currency: str = "CNY"
    decimals_by_currency: Mapping[str, int] = field(default_factory=dict)

    @property
    def decimals(self) -> int:
        """Decimals of the workspace's currency: as declared, else as ISO 4217 has it."""
        declared = self.decimals_by_currency.get(self.currency)
        return _DECIMALS.get(self.currency, 2) if declared is None else declared


@dataclass(frozen=True, slots=True)
class Sessions:
    """How events become sessions where the export has no session id."""

    gap: str = "30m"
    cut_on_campaign: bool = False


@dataclass(frozen=True, slots=True)
class Valid:
    """The window of believable times, as text; None: the program's own bound."""

    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Keeping:
    """When a store is built without being asked for, and how much all stores may take."""

    build: Build = "auto"
    quota: int = 20_000_000_000
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A folder, its sources and the rules that hold for all of them."""

    root: Path
    cache: Path
    """Where staged copies and stores go; may be deleted at any time. Made by :func:`prepare_cache`."""
    sources: tuple[Source, ...]
    timezone: str = "UTC"
    roles: Mapping[str, str] = field(default_factory=dict)
    """Role → step text; goes before what shapes say."""
    ids: Ids = Ids()
    money: Money = Money()
    sessions: Sessions = Sessions()
    dedup: Rule = "none"
    valid: Valid = Valid()
    store: Keeping = Keeping()
    file: Path | None = None
    """The ``workbench.toml`` it was read from; None over bare paths."""


ROLES = (
    "search",
    "click",
    "view",
    "add",
    "remove",
    "checkout",
    "order",
    "refund",
    "login",
    "share",
    "exposure",
    "touch",
)


def find(start: Path) -> Path | None:
    """The nearest ``workbench.toml`` in a folder or its parents; None without one.

    Raises UsageError for one in a parent that belongs to somebody else: its author could choose what is read.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        path = folder / FILE_NAME
        try:
            owner = path.stat().st_uid
        except OSError:
            continue
        if folder != start and hasattr(os, "getuid") and owner not in (os.getuid(), 0):
            raise UsageError(
                f"{path} belongs to another user and is not opened from a folder below it",
                f"say so if you trust it: -C {folder}",
            )
        return path
    return None


def load(path: Path) -> Workspace:
    """The workspace of a ``workbench.toml`` or of the folder that holds one.

    Raises UsageError with file, line and column for anything that can't be read as one.
    """
    from workbench.workspace_file import read_workspace

    if path.is_dir() and path.name != FILE_NAME:
        path = path / FILE_NAME
    root = _absolute(path).parent
    return read_workspace(path, root, _cache(root, inside=True))


def from_paths(paths: Sequence[str | Path], mapping: str | None = None) -> Workspace:
    """A workspace over files, folders and globs: what ``--data`` names, from the current folder.

    Each folder or glob is a source; single files of one folder are a source together. ``mapping`` is a
    shape's name, or a TOML file with the keys of a ``[[source]]`` beside those of a workspace. Raises NoData
    without a path, UsageError for a mapping that can't be read.
    """
    if not paths:
        raise NoData("no data was named", "name files or a folder: --data PATH")
    groups: dict[Path, list[str]] = {}
    for path in paths:
        text = str(_absolute(Path(path).expanduser()))
        key = Path(text).parent if Path(text).is_file() else Path(text)
        groups.setdefault(key, []).append(text)
    names = _distinct_names(list(groups))
    sources = tuple(
        Source(name=name, patterns=tuple(dict.fromkeys(patterns)))
        for name, patterns in zip(names, groups.values(), strict=True)
    )
    root = Path(os.path.commonpath([_folder(path) for path in groups]))
    workspace = Workspace(root=root, cache=_cache(root, inside=False), sources=sources)
    if mapping is None:
        return workspace
    from workbench.workspace_file import with_mapping

    return with_mapping(workspace, mapping)


def chosen(data: Sequence[str], mapping: str | None = None) -> Workspace:
    """What a command is asked of: the paths of ``--data``, else the workspace of this folder or its parents.

    Raises NoData with what to do when there is neither.
    """
    if data:
        return from_paths(data, mapping)
    file = find(Path.cwd())
    if file is None:
        raise NoData(
            "no workbench.toml in this folder or its parents",
            "name files with --data PATH, make a workspace with `workbench init PATH`, "
            "or try `workbench demo shop`",
        )
    return load(file)


def prepare_cache(workspace: Workspace) -> Path:
    """Makes the cache folder, hidden from git, and returns it; may raise OSError."""
    workspace.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    ignore = workspace.cache / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", "utf-8")
    return workspace.cache


def _distinct_names(paths: Sequence[Path]) -> list[str]:
    names: list[str] = []
    for path in paths:
        parts = [
            part for part in path.parts if not any(char in part for char in "*?[") and part != path.anchor
        ]
        base = parts[-1] if parts else "data"
        name, number = base, 2
        while name in names:
            name, number = f"{base} {number}", number + 1
        names.append(name)
    return names


def _absolute(path: Path) -> Path:
    """The path from the root, symbolic links kept: files are named as the user named them."""
    return Path(os.path.normpath(Path.cwd() / path))


def _folder(path: Path) -> Path:
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def _cache(root: Path, *, inside: bool) -> Path:
    hidden = root / ".workbench"
    if inside and os.access(hidden if hidden.exists() else root, os.W_OK):
        return hidden
    from platformdirs import user_cache_path

    key = hashlib.blake2b(os.fsencode(root), digest_size=8).hexdigest()
    return user_cache_path("workbench", appauthor=False) / "workspaces" / key
