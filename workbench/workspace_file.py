"""Turns the text of a ``workbench.toml`` or of a mapping file into checked values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from queries.question import QuestionError
from queries.ranges import parse_duration, zone
from queries.steps import parse_step
from workbench.sources.canonical import is_canonical, near_canonical
from workbench.toml_reader import Reader, Table, read_toml
from workbench.workspace import (
    ROLES,
    SCHEMA,
    Build,
    DecimalMark,
    Ids,
    Keeping,
    Kind,
    Money,
    MoneyUnit,
    Rule,
    Sessions,
    Source,
    Take,
    TimeFormat,
    TimeUnit,
    Valid,
    Workspace,
)

_TOP = ("schema", "timezone", "source", "roles", "ids", "money", "sessions", "dedup", "valid", "store")
_SOURCE = ("name", "path", "table", "kind", "shape", "encoding", "zone", "event", "map", "time", "money")

ENCODINGS = "as Python names it: gb18030 (Chinese Excel), latin-1, cp1252, shift_jis, utf-16"
"""The hint about an encoding nobody knows."""

_SOURCE_MONEY = ("unit", "decimal")

_UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


def read_workspace(path: Path, root: Path, cache: Path) -> Workspace:
    """The workspace a file describes; raises UsageError with file, line and column."""
    reader = Reader(path, read_toml(path))
    top = reader.top
    _check_schema(reader, top)
    top.only(_TOP)
    sources = tuple(_source(table) for table in top.tables("source"))
    if not sources:
        raise reader.error("no [[source]] in it", "one [[source]] with a path says which files to read", ())
    _check_names(reader, sources)
    return _settings(top, Workspace(root=root, cache=cache, sources=sources, file=root / path.name))


def with_mapping(workspace: Workspace, mapping: str) -> Workspace:
    """The workspace under a shape's name or a mapping file; raises UsageError as :func:`read_workspace`.

    A mapping file is a ``workbench.toml``, whose one source of events (or the one named behind ``#``) says what
    the columns mean, or has the keys of a source beside those of a workspace.
    """
    path, wanted = _named_source(mapping)
    if wanted is None and not path.suffix and not path.exists():
        return replace(
            workspace, sources=tuple(replace(source, shape=mapping) for source in workspace.sources)
        )
    reader = Reader(path, read_toml(path))
    _check_schema(reader, reader.top)
    if "source" in reader.top.values:
        reader.top.only(_TOP)
        return _settings(reader.top, _under(workspace, _one_source(reader, wanted)))
    if wanted is not None:
        raise reader.error("no [[source]] in it", f"leave #{wanted} out: the whole file is the mapping", ())
    keys = [key for key in (*_TOP, *_SOURCE) if key not in ("source", "name", "path", "table", "money")]
    reader.top.only([*keys, "money"])
    money = {key: reader.top.values[key] for key in ("money",) if key in reader.top.values}
    rules = Table(reader, {key: value for key, value in reader.top.values.items() if key not in money}, ())
    as_source = _meaning(rules, Source(name="", patterns=()))
    if money:
        table = reader.top.table("money")
        as_source = _amounts(table, as_source)
    return _settings(reader.top, _under(workspace, as_source), money_keys=_SOURCE_MONEY)


def _named_source(mapping: str) -> tuple[Path, str | None]:
    """The file of a mapping and the source asked for as ``FILE#NAME``; a file may have ``#`` in its own name."""
    file, mark, name = mapping.partition("#")
    if mark and file and name and not Path(mapping).exists():
        return Path(file), name
    return Path(mapping), None


def _one_source(reader: Reader, wanted: str | None) -> Source:
    """The source of a file whose mapping is meant."""
    sources = tuple(_source(table) for table in reader.top.tables("source"))
    _check_names(reader, sources)
    if wanted is not None:
        for source in sources:
            if source.name == wanted:
                return source
        names = ", ".join(source.name for source in sources)
        raise reader.error(f"no source is named {wanted}", f"its sources are: {names}", ())
    # Items complete the events of another source, so they are never what is meant unasked.
    meant = [source for source in sources if source.kind != "items"] or list(sources)
    if len(meant) == 1:
        return meant[0]
    if not meant:
        raise reader.error("no [[source]] in it", "one [[source]] says what the columns mean", ())
    names = ", ".join(source.name for source in meant)
    raise reader.error(
        f"several sources: {names}",
        f"say whose mapping is meant: --mapping {reader.path}#{meant[0].name}",
        (),
    )


def _under(workspace: Workspace, meaning: Source) -> Workspace:
    """The workspace's files, with the meaning of one source."""
    sources = tuple(
        replace(meaning, name=source.name, patterns=source.patterns, tables=source.tables)
        for source in workspace.sources
    )
    return replace(workspace, sources=sources)


def _source(table: Table) -> Source:
    table.only(_SOURCE)
    name = table.text("name", required=True) or ""
    patterns = table.texts("path", required=True)
    source = _meaning(table, Source(name=name, patterns=patterns, tables=table.texts("table")))
    if "money" in table.values:
        money = table.table("money")
        money.only(_SOURCE_MONEY)
        source = _amounts(money, source)
    return source


def _amounts(table: Table, source: Source) -> Source:
    """How amounts of a source are written."""
    return replace(
        source,
        money_unit=table.choice("unit", get_args(MoneyUnit)),
        money_decimal=table.choice("decimal", get_args(DecimalMark)) or ".",
    )


def _meaning(table: Table, source: Source) -> Source:
    """The part of a source that says what its columns mean."""
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
        encoding=_encoding(table),
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
    dedup, valid, store = top.table("dedup"), top.table("valid"), top.table("store")
    ids.only(("trust", "junk"))
    money.only(("currency", "decimals", *money_keys))
    sessions.only(("gap", "cut_on_campaign"))
    dedup.only(("rule",))
    valid.only(("from", "to"))
    store.only(("build", "quota"))
    return replace(
        workspace,
        timezone=_zone(top, "timezone") or "UTC",
        roles=_roles(top.table("roles")),
        ids=Ids(ids.texts("trust"), ids.texts("junk")),
        money=_money(money),
        sessions=Sessions(_gap(sessions), sessions.boolean("cut_on_campaign")),
        dedup=dedup.choice("rule", get_args(Rule)) or "none",
        valid=Valid(valid.moment("from"), valid.moment("to")),
        store=Keeping(store.choice("build", get_args(Build)) or "auto", _quota(store)),
    )


def _quota(table: Table) -> int:
    text = table.text("quota")
    if text is None:
        return Keeping().quota
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(KB|MB|GB|TB)", text.strip().upper(), re.ASCII)
    if found is None:
        raise table.error(f"{text} is no size", "quota", "write it like 500MB or 20GB")
    return round(float(found[1]) * _UNITS[found[2]])


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


def _encoding(table: Table) -> str | None:
    name = table.text("encoding")
    if name is not None and not is_encoding(name):
        raise table.error(f"unknown encoding {name}", "encoding", ENCODINGS)
    return name


def is_encoding(name: str) -> bool:
    """Whether Python knows an encoding of text under this name."""
    try:
        # Codecs such as base64 are none of text: only encode of a text tells.
        "".encode(name)
    except (LookupError, ValueError):
        return False
    return True


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
