"""Reads ``workbench.toml``, so that everything below it sees checked values and never a raw table."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from queries.question import QuestionError
from queries.ranges import parse_duration, zone
from queries.steps import parse_step
from workbench.errors import NoData, UsageError
from workbench.toml_reader import Reader, Table, read_toml

FILE_NAME = "workbench.toml"
SCHEMA = 1
"""The newest layout of ``workbench.toml`` this program reads."""

Kind = Literal["events", "items", "lines"]
TimeUnit = Literal["s", "ms", "us", "ns"]
MoneyUnit = Literal["major", "minor"]
Rule = Literal["none", "event_id", "row"]

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
    kind: Kind = "events"
    shape: str | None = None
    """None: recognised from the columns, unless a map is given."""
    zone: str | None = None
    """Of times without one; None: the workspace's."""
    event: Take | None = None
    map: Mapping[str, Take] = field(default_factory=dict)
    """Canonical column → where it comes from."""
    time: TimeFormat = ANY_TIME
    money_unit: MoneyUnit | None = None
    """None: the shape's, else major."""

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
_TOP = ("schema", "timezone", "source", "roles", "ids", "money", "sessions", "dedup", "valid")
_SOURCE = ("name", "path", "kind", "shape", "zone", "event", "map", "time", "money")


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
    if path.is_dir() and path.name != FILE_NAME:
        path = path / FILE_NAME
    root = _absolute(path).parent
    reader = Reader(path, read_toml(path))
    top = reader.top
    _check_schema(reader, top)
    top.only(_TOP)
    sources = tuple(_source(table) for table in top.tables("source"))
    if not sources:
        raise reader.error("no [[source]] in it", "one [[source]] with a path says which files to read", ())
    _check_names(reader, sources)
    return _settings(
        top, Workspace(root=root, cache=_cache(root, inside=True), sources=sources, file=root / path.name)
    )


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
    return workspace if mapping is None else _with_mapping(workspace, mapping)


def prepare_cache(workspace: Workspace) -> Path:
    """Makes the cache folder, hidden from git, and returns it; may raise OSError."""
    workspace.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    ignore = workspace.cache / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", "utf-8")
    return workspace.cache


def _with_mapping(workspace: Workspace, mapping: str) -> Workspace:
    path = Path(mapping)
    if not path.suffix and not path.exists():
        return replace(
            workspace, sources=tuple(replace(source, shape=mapping) for source in workspace.sources)
        )
    reader = Reader(path, read_toml(path))
    _check_schema(reader, reader.top)
    keys = [key for key in (*_TOP, *_SOURCE) if key not in ("source", "name", "path", "money")]
    reader.top.only([*keys, "money"])
    money = {key: reader.top.values[key] for key in ("money",) if key in reader.top.values}
    rules = Table(reader, {key: value for key, value in reader.top.values.items() if key not in money}, ())
    as_source = _meaning(rules, Source(name="", patterns=()))
    if money:
        table = reader.top.table("money")
        as_source = replace(as_source, money_unit=table.choice("unit", get_args(MoneyUnit)))
    sources = tuple(
        replace(as_source, name=source.name, patterns=source.patterns) for source in workspace.sources
    )
    return _settings(reader.top, replace(workspace, sources=sources), money_keys=("unit",))


def _source(table: Table) -> Source:
    table.only(_SOURCE)
    name = table.text("name", required=True) or ""
    patterns = table.texts("path", required=True)
    source = _meaning(table, Source(name=name, patterns=patterns))
    if "money" in table.values:
        money = table.table("money")
        money.only(("unit",))
        source = replace(source, money_unit=money.choice("unit", get_args(MoneyUnit)))
    return source


def _meaning(table: Table, source: Source) -> Source:
    """The part of a source that says what its columns mean."""
    from workbench.sources.canonical import is_canonical, near_canonical

    entries = table.table("map")
    takes: dict[str, Take] = {}
    for key in entries.values:
        if not is_canonical(key):
            raise entries.error(f"{key} is no canonical column", key, near_canonical(key))
        takes[key] = _take(entries, key)
    event = takes.pop("event", None)
    if "event" in table.values:
        if event is not None:
            raise table.error("event is given twice", "event", "keep either event or map.event")
        event = _take(table, "event")
    time = table.table("time")
    time.only(("unit", "format"))
    return replace(
        source,
        kind=table.choice("kind", get_args(Kind)) or "events",
        shape=table.text("shape"),
        zone=_zone(table, "zone"),
        event=event,
        map=takes,
        time=TimeFormat(time.choice("unit", get_args(TimeUnit)), time.text("format")),
    )


def _take(table: Table, key: str) -> Take:
    value = table.values[key]
    if not isinstance(value, dict):
        return Take(names=table.texts(key))
    inner = table.table(key)
    inner.only(("constant", "from", "expression"))
    if "expression" in value:
        raise inner.error("expressions in a map are not read yet", "expression", "name a column or a path")
    if "constant" in value:
        constant = value["constant"]
        if not isinstance(constant, str | int | float) or isinstance(constant, bool):
            raise inner.error("a constant is text or a number", "constant")
        return Take(constant=str(constant))
    if inner.choice("from", ("file",)) is None:
        raise table.error(
            f"{key} says nothing", key, 'write a column\'s name, { constant = "…" } or { from = "file" }'
        )
    return Take(file=True)


def _settings(top: Table, workspace: Workspace, money_keys: Sequence[str] = ()) -> Workspace:
    ids, money, sessions = top.table("ids"), top.table("money"), top.table("sessions")
    dedup, valid = top.table("dedup"), top.table("valid")
    ids.only(("trust", "junk"))
    money.only(("currency", "decimals", *money_keys))
    sessions.only(("gap", "cut_on_campaign"))
    dedup.only(("rule",))
    valid.only(("from", "to"))
    return replace(
        workspace,
        timezone=_zone(top, "timezone") or "UTC",
        roles=_roles(top.table("roles")),
        ids=Ids(ids.texts("trust"), ids.texts("junk")),
        money=_money(money),
        sessions=Sessions(_gap(sessions), sessions.boolean("cut_on_campaign")),
        dedup=dedup.choice("rule", get_args(Rule)) or "none",
        valid=Valid(valid.moment("from"), valid.moment("to")),
    )


def _money(table: Table) -> Money:
    decimals = table.table("decimals")
    wanted = {key.upper(): decimals.integer(key, 0, 6) for key in decimals.values}
    return Money((table.text("currency") or "CNY").upper(), wanted)


def _gap(table: Table) -> str:
    gap = table.text("gap") or "30m"
    try:
        parse_duration(gap)
    except QuestionError as error:
        raise table.error(error.message, "gap", error.hint) from None
    return gap


def _roles(table: Table) -> dict[str, str]:
    table.only(ROLES)
    roles = {key: table.text(key) or "" for key in table.values}
    for role, text in roles.items():
        try:
            parse_step(text)
        except QuestionError as error:
            raise table.error(error.message, role, error.hint) from None
    return roles


def _zone(table: Table, key: str) -> str | None:
    name = table.text(key)
    if name is not None:
        try:
            zone(name)
        except QuestionError as error:
            raise table.error(error.message, key, error.hint) from None
    return name


def _check_schema(reader: Reader, top: Table) -> None:
    version = top.values.get("schema", SCHEMA)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise top.error("schema is a whole number from 1", "schema")
    if version > SCHEMA:
        raise top.error(
            f"written for schema {version}; this program reads up to {SCHEMA}",
            "schema",
            "use a newer workbench for this workspace",
        )


def _check_names(reader: Reader, sources: Sequence[Source]) -> None:
    seen: set[str] = set()
    for index, source in enumerate(sources):
        if source.name in seen:
            raise reader.error(
                f"two sources are named {source.name}", "give each its own name", ("source", index, "name")
            )
        seen.add(source.name)


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
