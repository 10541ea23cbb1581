"""Writes the relation of canonical events over all files or over some, and says per file how it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from queries.question import Column, ColumnKind
from workbench.sources import times
from workbench.sources.canonical import FIXED, is_id, kind_of
from workbench.sources.duck_types import Typed, json_text, kind_of_type, literal, quote, text
from workbench.sources.grouping import (
    Build,
    Group,
    NumberedFile,
    companions_of,
    of_any_file,
    only,
    rows_of,
    stem,
    zone_of,
)
from workbench.sources.mapping import cast
from workbench.sources.snapshot import DataFile, Listed
from workbench.sources.taking import UNNESTED_NUMBER

SOURCE_INDEX = "source_index"
"""The fixed column with the place of an event's source in the workspace, from 0 (``source`` is canonical)."""

SQL_TYPES: Mapping[ColumnKind, str] = {
    "text": "VARCHAR",
    "json": "VARCHAR",
    "integer": "BIGINT",
    "money": "BIGINT",
    "time": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
}


_FIXED_TYPES: Mapping[str, str] = {
    "ts": "BIGINT",
    "ts_given": "BOOLEAN",
    "fine": "INTEGER",
    "sequence": "BIGINT",
    "place": "BIGINT",
    SOURCE_INDEX: "INTEGER",
    "event": "VARCHAR",
}


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that yields events, and how it is read."""

    ordinal: int
    """Its number over all sources: ``place >> 40`` of its rows."""
    source: str
    listed: Listed
    rows: int
    plan: str
    """A digest of everything beside the file that decides what canonical events its rows become.

    It changes with the mapping, zone, unit, encoding, a companion's file or a canonical column of the relation;
    not with other files of the source, nor with properties.
    """
    lines: bool
    """Its rows are lines of orders: they are grouped over all such files of their source."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The groups of files that yield events, and what is written over all or some of their files."""

    build: Build
    groups: tuple[Group, ...]
    columns: Mapping[str, Column]
    """What is yielded beyond the fixed columns."""
    has_fine: bool
    has_sequence: bool

    def sql(self, ordinals: Collection[int] | None = None) -> str:
        """The relation over the files of these numbers, over all without; no row where none is an event file.

        Raises ValueError for some, but not all of the files whose lines make the orders of a source.
        """
        events: list[str] = []
        lines: dict[int, list[str]] = {}
        for group in self._chosen(ordinals):
            select = _select(self.build, group, self.columns, self.has_fine, self.has_sequence)
            if group.plan.kind == "lines":
                lines.setdefault(group.index, []).append(select)
            else:
                events.append(select)
        if ordinals is not None and lines:
            self._check_whole(set(ordinals))
        orders = [self._orders(lines[index]) for index in sorted(lines)]
        return "\nUNION ALL\n".join([*events, *orders]) or self._nothing()

    def lost(self, ordinals: Collection[int]) -> str | None:
        """Counts values a cast could not read: rows of (ordinal BIGINT, name, count), counts above 0 alone.

        None where the types of these files leave nothing to count. Of line files each line counts.
        """
        parts = []
        for group in self._chosen(ordinals):
            if losses := _losses(self.build, group):
                parts.append(
                    f"SELECT {_ordinal(group.files)} AS ordinal, {_unnested(losses)} "
                    f"FROM {rows_of(self.build, group)} GROUP BY f.file_index"
                )
        rows = "\n  UNION ALL ".join(parts)
        return (
            f"SELECT ordinal, name, lost FROM (\n  {rows}\n)\nWHERE lost > 0 ORDER BY ALL" if parts else None
        )

    def files(self) -> tuple[ReadFile, ...]:
        """Every file that yields events, in order of numbers."""
        found = [file for group in self.groups for file in self._read(group)]
        return tuple(sorted(found, key=lambda file: file.ordinal))

    def _chosen(self, ordinals: Collection[int] | None) -> Iterator[Group]:
        wanted = None if ordinals is None else frozenset(ordinals)
        for group in self.groups:
            files = tuple(file for file in group.files if wanted is None or file.ordinal in wanted)
            if len(files) == len(group.files):
                yield group
            elif files:
                yield only(self.build, group, files)

    def _check_whole(self, wanted: Collection[int]) -> None:
        by_source: dict[str, set[int]] = {}
        for group in self.groups:
            if group.plan.kind == "lines":
                by_source.setdefault(group.source.name, set()).update(file.ordinal for file in group.files)
        for name, own in by_source.items():
            if own & set(wanted) and not own <= set(wanted):
                raise ValueError(
                    f"source {name}: orders made of lines have no part, ask for all its line files"
                )

    def _orders(self, lines: Sequence[str]) -> str:
        return _orders(lines, self.columns, self.has_fine, self.has_sequence)

    def _nothing(self) -> str:
        absent = {"fine"} if not self.has_fine else set()
        absent |= set() if self.has_sequence else {"sequence"}
        types = {name: type_ for name, type_ in _FIXED_TYPES.items() if name not in absent}
        types |= {name: SQL_TYPES[column.kind] for name, column in self.columns.items()}
        listing = ",\n  ".join(f"NULL::{type_} AS {quote(name)}" for name, type_ in types.items())
        return f"SELECT\n  {listing}\nWHERE false"

    # --- how a file is read -------------------------------------------------------------------------------

    def _read(self, group: Group) -> Iterator[ReadFile]:
        spelled: dict[tuple[str, ...], str] = {}
        for file in group.files:
            listed = file.data.listed
            names = tuple(name for name, _ in file.data.columns)
            if names not in spelled:
                spelled[names] = self._alike(group, file)
            own = (
                spelled[names],
                sorted(listed.partitions.items()),
                stem(listed),
                _staging(group, file.data),
            )
            lines = group.plan.kind == "lines"
            yield ReadFile(file.ordinal, group.source.name, listed, file.data.rows, _digest(own), lines)

    def _alike(self, group: Group, file: NumberedFile) -> str:
        """What files of one group have in common, as text: paths, numbers and hive values stand by name."""
        columns = {name: column for name, column in self.columns.items() if column.canonical}
        build = replace(
            self.build,
            companions={
                key: [NumberedFile(0, _nameless(one.data)) for one in files]
                for key, files in self.build.companions.items()
            },
        )
        own = of_any_file(build, group, NumberedFile(0, _nameless(file.data)))
        select = _select(build, own, columns, self.has_fine, self.has_sequence)
        if group.plan.kind == "lines":
            select = _orders([select], columns, self.has_fine, self.has_sequence)
        kinds = [(name, column.kind) for name, column in columns.items()]
        joined = [
            (one.data.listed.identity, "" if _as_listed(one.data) else one.data.parquet.name)
            for _, files in sorted(companions_of(self.build, group.plan).items())
            for one in files
        ]
        return json.dumps((select, kinds, joined))


def _nameless(file: DataFile) -> DataFile:
    return replace(file, parquet=Path("file"))


def _as_listed(file: DataFile) -> bool:
    return file.parquet == file.listed.location


def _staging(group: Group, file: DataFile) -> tuple[str, str] | None:
    """What decides how a file became Parquet, besides itself."""
    if _as_listed(file):
        return None
    # Whoever has a staged file has loaded the module.
    from workbench.sources.staging import STAGING_VERSION

    return STAGING_VERSION, group.source.encoding or ""


def _digest(said: object) -> str:
    return blake2b(json.dumps(said).encode(), digest_size=16).hexdigest()


# --- groups to SQL ----------------------------------------------------------------------------------------


def _select(
    build: Build, group: Group, columns: Mapping[str, Column], has_fine: bool, has_sequence: bool
) -> str:
    taken = group.map.canonical
    decimals = build.workspace.money.decimals
    ts = taken["ts"][0]
    plan = group.times["ts"]
    out = [f"{times.milliseconds(plan, ts.sql)} AS ts", f"{times.given(ts)} AS ts_given"]
    if has_fine:
        out.append(f"{times.finer(plan, ts.sql)} AS fine")
    if has_sequence:
        own = (
            cast("sequence", taken["sequence"], group.plan, decimals)
            if "sequence" in taken
            else "NULL::BIGINT"
        )
        out.append(f"{own} AS sequence")
    out += [
        f"{place(group.files, group.map.rows is not None)} AS place",
        f"{group.index}::INTEGER AS {SOURCE_INDEX}",
    ]
    out.append(f"{cast('event', taken['event'], group.plan, decimals)} AS event")
    properties = {name.casefold(): column for name, column in group.map.properties.items()}
    for name, column in columns.items():
        if not column.canonical:
            value = _property(properties.get(name.casefold()), column.kind, group, build)
        elif name not in taken:
            value = f"NULL::{SQL_TYPES[column.kind]}"
        elif column.kind == "time":
            value = times.milliseconds(group.times[name], taken[name][0].sql)
        else:
            value = cast(name, taken[name], group.plan, decimals)
        out.append(f"{value} AS {quote(name)}")
    listing = ",\n  ".join(out)
    return f"SELECT\n  {listing}\nFROM {rows_of(build, group)}"


def _property(column: Typed | None, kind: ColumnKind, group: Group, build: Build) -> str:
    if column is None or kind_of_type(column.type) is None:
        return f"NULL::{SQL_TYPES[kind]}"
    if kind == "time":
        plan = times.plan(column, group.plan.time, zone_of(build, group), None)
        return times.milliseconds(plan, column.sql) if isinstance(plan, times.TimePlan) else "NULL::BIGINT"
    if kind == "json":
        return json_text(column)
    if kind == "text":
        return text(column)
    if column.type in ("DOUBLE", "FLOAT"):
        # NaN is greater than everything to DuckDB, and -0.0 another value than 0.0: neither is meant.
        return f"CASE WHEN isfinite({column.sql}) THEN CAST({column.sql} AS DOUBLE) + 0.0::DOUBLE END"
    return column.sql if column.type == SQL_TYPES[kind] else f"CAST({column.sql} AS {SQL_TYPES[kind]})"


UNNESTED_BITS = 14
"""Of a place's row, where a row holds many events: those past 2^14 of one row share the last place."""


def place(files: Sequence[NumberedFile], unnested: bool) -> str:
    """The SQL of a row's place: its file's number times 2^40, and the row."""
    if unnested:
        within = f"least(f.{UNNESTED_NUMBER}, {(1 << UNNESTED_BITS) - 1})"
        return f"({_ordinal(files)} << 40) | (f.file_row_number << {UNNESTED_BITS}) | {within}"
    return f"({_ordinal(files)} << 40) | f.file_row_number"


def _ordinal(files: Sequence[NumberedFile]) -> str:
    first = files[0].ordinal
    number = "CAST(f.file_index AS BIGINT)"
    if [file.ordinal for file in files] == list(range(first, first + len(files))):
        return f"({number} + {first})"
    return f"list_extract([{', '.join(f'{file.ordinal}::BIGINT' for file in files)}], {number} + 1)"


def _orders(lines: Sequence[str], columns: Mapping[str, Column], has_fine: bool, has_sequence: bool) -> str:
    """One event per user and order id; a line without an order id or a time is an event of its own.

    So a line whose time is missing or can't be read is counted and set aside like any event without one.
    """
    ids = [name for name in columns if columns[name].canonical and is_id(name)]
    out = ["min(ts) AS ts", "bool_or(ts_given) AS ts_given"]
    out += ["arg_min(fine, row(ts, fine)) AS fine"] if has_fine else []
    out += ["arg_min_null(sequence, place) AS sequence"] if has_sequence else []
    out += ["min(place) AS place", f"min({SOURCE_INDEX}) AS {SOURCE_INDEX}"]
    out.append("arg_min_null(event, place) AS event")
    for name, column in columns.items():
        own = quote(name)
        if name == ids[0] or name == "order_id":
            out.append(own)
        elif column.canonical and (column.kind == "money" or name == "quantity"):
            out.append(f"TRY_CAST(sum({own}) AS BIGINT) AS {own}")
        else:
            out.append(f"arg_min_null({own}, place) AS {own}")
    rows = "\nUNION ALL\n".join(lines)
    alone = "CASE WHEN order_id IS NULL OR ts IS NULL THEN place END"
    listing = ",\n  ".join(out)
    return f"SELECT\n  {listing}\nFROM (\n{rows}\n)\nGROUP BY {quote(ids[0])}, order_id, {alone}"


def lost_sql(build: Build, groups: Sequence[Group]) -> str | None:
    """Values that a cast could not read, over whole groups: rows of (source_index, name, count)."""
    parts = []
    for group in groups:
        if losses := _losses(build, group):
            parts.append(
                f"SELECT {group.index} AS {SOURCE_INDEX}, {_unnested(losses)} FROM {rows_of(build, group)}"
            )
    if not parts:
        return None
    rows = "\n  UNION ALL ".join(parts)
    counts = f"SELECT {SOURCE_INDEX}, name, CAST(sum(lost) AS BIGINT) FROM (\n  {rows}\n)"
    return f"{counts}\nGROUP BY ALL HAVING sum(lost) > 0 ORDER BY ALL"


def _losses(build: Build, group: Group) -> dict[str, str]:
    """Column → the aggregate that counts what its cast loses, where it can lose anything."""
    decimals = build.workspace.money.decimals
    return {
        name: f"count(*) FILTER (({' OR '.join(times.given(one) for one in taken)}) "
        f"AND {cast(name, taken, group.plan, decimals)} IS NULL)"
        for name, taken in group.map.canonical.items()
        if name not in FIXED and kind_of(name) in ("money", "integer") and not _always_fits(name, taken)
    }


def _unnested(losses: Mapping[str, str]) -> str:
    names = ", ".join(literal(name) for name in losses)
    return f"unnest([{names}]) AS name, unnest([{', '.join(losses.values())}]) AS lost"


_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


def _always_fits(name: str, taken: Sequence[Typed]) -> bool:
    """Whether no value of these types can be lost on the way to a column's BIGINT, so that none need counting."""
    if kind_of(name) == "integer":
        return all(one.type in _WHOLE for one in taken)
    decimals = [_DECIMAL.fullmatch(one.type) for one in taken]
    # Fifteen digits before the point leave room for every currency's minor unit in a BIGINT.
    return all(match is not None and int(match[1]) - int(match[2]) <= 15 for match in decimals)
