"""Knows the exports of other tools by their columns: each is a data file, so adding one takes no Python."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal, cast

from queries.suggest import ask, did_you_mean
from workbench.errors import UsageError
from workbench.workspace import ANY_TIME, MoneyUnit, Take, TimeFormat, TimeUnit

HasValue = Callable[[str, tuple[str, ...]], bool]
"""Whether a column of a file, or a path into one, holds one of some texts; any value at all for no texts."""

TableKind = Literal["events", "items", "lines", "companion"]


@dataclass(frozen=True, slots=True)
class Companion:
    """A table beside the events that completes them: joined on one key, one row a key."""

    alias: str
    key: str
    """Its key column; joined to ``event_key`` of the events, both as text."""
    event_key: str
    select: Mapping[str, str]
    """Name → ``sql`` template; events reach it as ``{alias.name}``."""


@dataclass(frozen=True, slots=True)
class ShapeItems:
    """Rows of an events table that hold what orders hold."""

    map: Mapping[str, Take]
    rows: str | None = None
    """As in :class:`ShapeTable`; None: one row an event."""
    where: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeTable:
    """One kind of file of an export: how to know it and what its columns mean."""

    shape: str
    kind: TableKind
    columns: tuple[str, ...]
    """All of these must be there; ``*`` stands for anything."""
    any_of: tuple[tuple[str, ...], ...] = ()
    """Of each group at least one must be there."""
    without: tuple[str, ...] = ()
    """None of these may be there."""
    only: tuple[str, ...] = ()
    """Every column must be one of these, where any is named."""
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column or path → texts of which one must occur; without texts, some value must."""
    event: Take | None = None
    map: Mapping[str, Take] = field(default_factory=dict)
    time: TimeFormat = ANY_TIME
    zone: str | None = None
    """Of times without one, where the export's own format says it."""
    money_unit: MoneyUnit | None = None
    rows: str | None = None
    """A list in each row whose elements are the events; they are reached as ``row``."""
    where: str | None = None
    """A condition that rows must meet; others are no events."""
    items: tuple[ShapeItems, ...] = ()
    companion: Companion | None = None
    name: str | None = None
    completes: str | None = None
    """The name of a table beside which this one is a companion, not events."""
    note: str | None = None
    """What a user of such a file should know."""

    @property
    def tests(self) -> int:
        """How many things recognition asks for: of two that fit, the one that asks more is meant."""
        return len(self.columns) + len(self.any_of) + len(self.values) + bool(self.only)

    def fits(self, columns: Sequence[str]) -> bool:
        """Whether a file with these columns can be one, its values aside; case makes no difference."""
        have = [column.casefold() for column in columns]

        def there(pattern: str) -> bool:
            return bool(fnmatch.filter(have, pattern.casefold()))

        asked = [name if there(name) else name.partition(".")[0] for name in self.values]
        return (
            all(there(pattern) for pattern in (*self.columns, *asked))
            and all(any(there(pattern) for pattern in group) for group in self.any_of)
            and not any(there(pattern) for pattern in self.without)
            and (not self.only or all(self._named(name) for name in have))
        )

    def _named(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern.casefold()) for pattern in self.only)


@dataclass(frozen=True, slots=True)
class Shape:
    """An export we know: its tables and which event is which."""

    name: str
    title: str
    version: str
    tables: tuple[ShapeTable, ...]
    roles: Mapping[str, str]


@cache
def shapes() -> Mapping[str, Shape]:
    """Every shipped shape by name, in order of names."""
    folder = files("workbench.sources").joinpath("shape_files")
    found = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name
    )
    read = [read_shape(entry.read_text("utf-8")) for entry in found]
    return {shape.name: shape for shape in read}


def shape_named(name: str) -> Shape:
    """The shape of a name; raises UsageError with the nearest names."""
    known = shapes()
    if name not in known:
        near = did_you_mean(name, known)
        raise UsageError(
            f"no shape is named {name}", ask(near) if near else f"known shapes: {', '.join(known)}"
        )
    return known[name]


def recognise(
    columns: Sequence[str],
    among: Sequence[ShapeTable] | None = None,
    has_value: HasValue | None = None,
) -> ShapeTable | None:
    """The table a file with these columns is, or None.

    Of several that fit, the one that asks for most is taken; our own shape, which asks for little, last.
    ``has_value`` looks whether a column holds one of some texts.
    """
    tables = [table for shape in shapes().values() for table in shape.tables] if among is None else among
    fitting = [table for table in tables if table.fits(columns)]
    fitting.sort(key=lambda table: (table.shape == OWN, -table.tests))
    for table in fitting:
        if has_value is None or all(has_value(column, texts) for column, texts in table.values.items()):
            return table
    return None


OWN = "workbench"


def read_shape(text: str) -> Shape:
    """A shape from its file's text; raises KeyError, TypeError or ValueError for one not well made."""
    raw = tomllib.loads(text)
    name = str(raw["name"])
    tables = tuple(_table(name, entry) for entry in raw["table"])
    return Shape(name, str(raw["title"]), str(raw["version"]), tables, _texts(raw.get("roles", {})))


def _table(shape: str, raw: Mapping[str, object]) -> ShapeTable:
    _only(shape, raw, _TABLE)
    kind = cast(TableKind, raw["kind"])
    takes = {key: _take(value) for key, value in _mapping(raw.get("map")).items()}
    time, money = _texts(raw.get("time", {})), _texts(raw.get("money", {}))
    return ShapeTable(
        shape=shape,
        kind=kind,
        columns=_list(raw["columns"]),
        any_of=tuple(_list(group) for group in cast(list[object], raw.get("any", []))),
        without=_list(raw.get("without", [])),
        only=_list(raw.get("only", [])),
        values={key: _list(value) for key, value in _mapping(raw.get("values")).items()},
        event=_take(raw["event"]) if "event" in raw else takes.pop("event", None),
        map=takes,
        time=TimeFormat(cast("TimeUnit | None", time.get("unit")), time.get("format")),
        zone=time.get("zone"),
        money_unit=cast("MoneyUnit | None", money.get("unit")),
        rows=_text(raw.get("rows")),
        where=_text(raw.get("where")),
        items=tuple(_items(shape, _mapping(one)) for one in cast(list[object], raw.get("items", []))),
        companion=_companion(_mapping(raw.get("companion"))) if "companion" in raw else None,
        name=_text(raw.get("name")),
        completes=_text(raw.get("completes")),
        note=_text(raw.get("note")),
    )


_TABLE = (
    *("name", "kind", "columns", "any", "without", "only", "values", "event", "map", "time", "money"),
    *("rows", "where", "items", "companion", "completes", "note"),
)


def _items(shape: str, raw: Mapping[str, object]) -> ShapeItems:
    _only(shape, raw, ("rows", "where", "map"))
    takes = {key: _take(value) for key, value in _mapping(raw["map"]).items()}
    return ShapeItems(takes, _text(raw.get("rows")), _text(raw.get("where")))


def _only(shape: str, raw: Mapping[str, object], known: Sequence[str]) -> None:
    if unknown := set(raw) - set(known):
        raise ValueError(f"shape {shape}: unknown key {min(unknown)}")


def _take(value: object) -> Take:
    if isinstance(value, str):
        return Take(names=(value,))
    if isinstance(value, list):
        return Take(names=_list(value))
    table = _mapping(value)
    if "sql" in table:
        return Take(sql=str(table["sql"]))
    if table.get("from") == "file":
        return Take(file=True)
    return Take(constant=str(table["constant"]))


def _companion(raw: Mapping[str, object]) -> Companion:
    return Companion(str(raw["alias"]), str(raw["key"]), str(raw["event_key"]), _texts(raw["select"]))


def _mapping(value: object) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"a table is wanted, not {value!r}")
    return value


def _texts(value: object) -> dict[str, str]:
    return {key: str(item) for key, item in _mapping(value).items()}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _list(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(item) for item in cast(list[object], value))
