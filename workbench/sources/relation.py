"""Writes the one SQL relation of canonical events over all files, and says what it had to decide."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from queries.question import Column, ColumnKind, Note
from workbench.errors import NoData
from workbench.sources import drift
from workbench.sources.canonical import COLUMNS, FIXED, ITEM_COLUMNS, is_id, kind_of
from workbench.sources.duck_types import kind_of_type, literal, quote
from workbench.sources.grouping import (
    Build,
    Group,
    NumberedFile,
    Sample,
    check_any,
    grouped,
    planned,
    rows_of,
    timed,
)
from workbench.sources.mapping import TablePlan, cast, listed
from workbench.sources.parts import SQL_TYPES, Parts, ReadFile, lost_sql, place
from workbench.sources.probing import bounds
from workbench.sources.shapes import shape_named
from workbench.sources.snapshot import DataFile, SetAside, SourceFiles
from workbench.workspace import Source, Workspace


@dataclass(frozen=True, slots=True)
class Certain:
    """Every row has a readable time and an event's name: proved by the files' footers, no row was read."""

    rows: int
    first: int
    last: int
    """UTC ms."""


@dataclass(frozen=True, slots=True)
class Relation:
    """The canonical events of a workspace as SQL: one row per raw row, invalid ones too.

    First come the fixed columns: ``ts`` BIGINT UTC ms, floored, NULL where missing or no time; ``ts_given``
    BOOLEAN, whether the raw value was there; ``fine`` INTEGER ns below the ms and ``sequence`` BIGINT where
    there is one; ``place`` BIGINT, the file's number over all sources times 2^40 plus the row's number;
    ``source_index`` INTEGER; ``event`` VARCHAR. Then ``columns``.
    """

    sql: str
    items_sql: str | None
    """``items(order_id, event_id, product_id, category, quantity, amount, margin)``."""
    columns: tuple[Column, ...]
    notes: tuple[Note, ...]
    sources: tuple[str, ...]
    has_fine: bool
    has_sequence: bool
    ids: tuple[str, ...]
    """The id columns there are, in order of trust."""
    roles: Mapping[str, str]
    """Role → step text: the workspace's, else the shapes'."""
    shapes: tuple[str, ...]
    """Shapes recognised or named, in order of sources."""
    money_decimals: int
    set_aside: tuple[tuple[str, SetAside], ...]
    """Source and file, told in ``notes`` already."""
    lost_sql: str | None
    """Counts values a cast could not read: rows of (source_index, column, count), counts above 0 alone."""
    written_sql: str | None
    """Amounts that stand as text, of CSV those that are no plain number: rows of (place, name, value)."""
    files: tuple[ReadFile, ...]
    """Every file that yields events, in order of ordinals."""
    parts: Parts = field(repr=False, compare=False)
    """What the statements over some files are written from."""

    @property
    def fixed(self) -> tuple[str, ...]:
        """The fixed columns it yields, in order."""
        absent = {"fine"} if not self.has_fine else set()
        absent |= set() if self.has_sequence else {"sequence"}
        return tuple(name for name in FIXED if name not in absent)

    def certain(self) -> Certain | None:
        """What the footers prove of all rows, where they do; reads one footer a file."""
        return _certain(self.parts.groups)

    def part(self, ordinals: Collection[int]) -> str:
        """SQL of the same relation over the files with these ordinals alone: same columns, same places.

        Ordinals of no event file add nothing. Raises ValueError for some, but not all of the files whose lines
        make the orders of a source.
        """
        return self.parts.sql(ordinals)

    def lost_part(self, ordinals: Collection[int]) -> str | None:
        """``lost_sql`` over the files with these ordinals: rows of (ordinal BIGINT, column, count)."""
        return self.parts.lost(ordinals)

    def certain_files(self, ordinals: Collection[int]) -> dict[int, Certain | None]:
        """What the footers prove of each of these files that yield events and have rows; None: nothing.

        Reads one footer a file, so it is asked for the files of which one needs to know.
        """
        wanted = frozenset(ordinals)
        return {
            file.ordinal: None if names is None else _proved(file.data, names)
            for group in self.parts.groups
            for names in [_provable(group)]
            for file in group.files
            if file.ordinal in wanted and file.data.rows
        }


def relation(workspace: Workspace, sources: Sequence[SourceFiles], sample: Sample | None = None) -> Relation:
    """The relation over the files of a workspace's sources, paired by name.

    ``sample`` looks into values: units of numeric times, how text writes times, whether times are finer than
    milliseconds. Without it nothing is guessed: numeric times need a declared unit. Raises NoData without a
    file, UsageError where no file can be read as events or a source's mapping fits none of its files.
    """
    build = Build(workspace, sample)
    by_name = {source.name: source for source in workspace.sources}
    pairs = [(index, by_name[files.name], files) for index, files in enumerate(sources)]
    if not any(files.files for files in sources):
        aside = [f"{PurePath(one.path).name}: {one.reason}" for f in sources for one in f.set_aside]
        more = f"; and {len(aside) - 3} more" if len(aside) > 3 else ""
        raise NoData(
            f"no readable data in {listed(_typed(workspace))}",
            f"set aside: {'; '.join(aside[:3])}{more}" if aside else None,
        )
    known: list[tuple[int, Source, NumberedFile, TablePlan]] = []
    ordinal = 0
    for index, source, files in pairs:
        ordered = sorted(
            files.files, key=lambda file: file.listed.relative.encode("utf-8", "surrogateescape")
        )
        numbered = [NumberedFile(ordinal + place, file) for place, file in enumerate(ordered)]
        ordinal += len(numbered)
        known += [(index, source, file, plan) for file, plan in planned(build, source, numbered)]
    groups = list(grouped(build, known))
    check_any(build, pairs, groups)
    parts = [part for group in groups for part in timed(build, group)]
    check_any(build, pairs, parts)
    return _written(build, pairs, parts)


def _typed(workspace: Workspace) -> list[str]:
    """The sources as the user named them: by name in a file, over bare paths as paths from here."""
    if workspace.file is not None:
        return [f"{source.name} ({', '.join(source.patterns)})" for source in workspace.sources]
    here = Path.cwd()
    paths = [PurePath(pattern) for source in workspace.sources for pattern in source.patterns]
    return [str(path.relative_to(here) if path.is_relative_to(here) else path) for path in paths]


# --- groups to SQL ----------------------------------------------------------------------------------------


def _written(
    build: Build, pairs: Sequence[tuple[int, Source, SourceFiles]], groups: Sequence[Group]
) -> Relation:
    events = [group for group in groups if group.plan.kind in ("events", "lines")]
    has_fine = any(plan.fine for group in events for name, plan in group.times.items() if name == "ts")
    has_sequence = any("sequence" in group.map.canonical for group in events)
    columns = _columns(events)
    # Nobody looks into values any more, and whoever could holds on to more than the relation.
    parts = Parts(replace(build, sample=None), tuple(events), columns, has_fine, has_sequence)
    for index, source, _ in pairs:
        if any(group.plan.kind == "lines" and group.index == index for group in events):
            text_ = (
                f"{source.name}: lines grouped by user and order id into orders: first time; amount, "
                "quantity, discount, margin and refund summed; conditions and breakdowns on other columns, "
                "such as product_id, see only the order's first line"
            )
            build.notes.append(Note("lines-grouped", text_, "warning"))
    for index, source, _ in pairs:
        alike: dict[object, list[tuple[str, DataFile]]] = {}
        for group in groups:
            table = group.plan.table
            # Tables that complete others have each their own columns.
            if group.index == index and not (table and table.completes):
                told = alike.setdefault((group.plan.kind, table and (table.shape, table.name)), [])
                told += [(file.name, file.data) for file in group.files]
        for seen in alike.values():
            build.notes += drift.notes(source.name, seen)
    decimals = build.workspace.money.decimals
    return Relation(
        sql=parts.sql(),
        items_sql=_items(build, groups),
        columns=tuple(columns.values()),
        notes=tuple(build.notes),
        sources=tuple(source.name for _, source, _ in pairs),
        has_fine=has_fine,
        has_sequence=has_sequence,
        ids=_trusted(build.workspace, columns),
        roles=_roles(build, events),
        shapes=tuple(dict.fromkeys(build.shapes)),
        money_decimals=decimals,
        set_aside=tuple(build.set_aside),
        lost_sql=lost_sql(build, events),
        written_sql=_written_amounts(build, events),
        files=parts.files(),
        parts=parts,
    )


def _columns(groups: Sequence[Group]) -> dict[str, Column]:
    """What is yielded beyond the fixed columns: canonical ones in order, then properties as seen."""
    present = {name for group in groups for name in group.map.canonical}
    others = sorted(name for name in present if name not in COLUMNS)
    ordered: list[str] = []
    for name in COLUMNS:
        if name in present and name not in FIXED:
            ordered.append(name)
        if name == "anonymous_id":
            ordered += others
    columns = {name: Column(name, kind_of(name)) for name in ordered}
    kinds: dict[str, ColumnKind | None] = {}
    names: dict[str, str] = {}
    for group in groups:
        for name, column in group.map.properties.items():
            known = names.setdefault(name.casefold(), name)
            kinds[known] = drift.wider(kinds.get(known), kind_of_type(column.type))
    return columns | {name: Column(name, kind or "text", canonical=False) for name, kind in kinds.items()}


def _items(build: Build, groups: Sequence[Group]) -> str | None:
    parts = []
    decimals = build.workspace.money.decimals
    for group in groups:
        own = (group.map,) if group.plan.kind in ("items", "lines") else ()
        declared = group.plan.table is not None and group.plan.table.items
        for items in group.map.items if declared else own:
            values = []
            for name in ITEM_COLUMNS:
                taken = items.canonical.get(name)
                value = (
                    f"NULL::{SQL_TYPES[kind_of(name)]}"
                    if taken is None
                    else cast(name, taken, group.plan, decimals)
                )
                values.append(f"{value} AS {name}")
            parts.append(f"SELECT {', '.join(values)}\nFROM {rows_of(build, group, items)}")
    return "\nUNION ALL\n".join(parts) or None


MOST_CERTAIN = 2_000
"""Past so many files the footers cost more to read again than a pass over two columns."""

_PER_MS = {"milliseconds": 1, "microseconds": 1_000, "nanoseconds": 1_000_000}


def _certain(groups: Sequence[Group]) -> Certain | None:
    """What is proved of all files together; the first that proves nothing ends it."""
    if sum(len(group.files) for group in groups) > MOST_CERTAIN:
        return None
    proved: list[Certain] = []
    for group in groups:
        names = _provable(group)
        if names is None:
            return None
        for file in group.files:
            if file.data.rows:
                one = _proved(file.data, names)
                if one is None:
                    return None
                proved.append(one)
    if not proved:
        return None
    rows = sum(one.rows for one in proved)
    return Certain(rows, min(one.first for one in proved), max(one.last for one in proved))


def _provable(group: Group) -> tuple[str, str] | None:
    """The columns of time and event: only aware native times and names that stand in the files as they are."""
    ts, event = group.map.canonical["ts"][0], group.map.canonical["event"][0]
    named = {f"f.{quote(name)}": name for name, _ in group.files[0].data.columns}
    if (
        group.plan.kind != "events"
        or group.map.rows is not None
        or group.map.where is not None
        or group.times["ts"].form != "zoned"
        or ts.sql not in named
        or event.sql not in named
        or event.type != "VARCHAR"
    ):
        return None
    return named[ts.sql], named[event.sql]


def _proved(file: DataFile, names: tuple[str, str]) -> Certain | None:
    """What the footer of a file with rows proves by the bounds of its time and event."""
    found = bounds(file, names)
    per_ms = _PER_MS.get(found[0].unit or "") if found else None
    if not found or per_ms is None or found[0].nulls or found[1].nulls or found[1].least == b"":
        return None
    first, last = (int(str(one)) // per_ms for one in (found[0].least, found[0].greatest))
    return Certain(file.rows, first, last)


def _written_amounts(build: Build, groups: Sequence[Group]) -> str | None:
    """Columns as they stand in the files alone: an expression of a mapping counts as text and may be a number."""
    parts = []
    for group in groups:
        own_place = place(group.files, group.map.rows is not None)
        named = {f"f.{quote(name)}" for name, _ in group.files[0].data.columns}
        plain = all(file.data.listed.format == "csv" for file in group.files)
        for name, taken in group.map.canonical.items():
            if kind_of(name) != "money":
                continue
            for one in taken:
                if one.type == "VARCHAR" and one.sql in named:
                    no_number = f" AND TRY_CAST({one.sql} AS DECIMAL(38, 9)) IS NULL" if plain else ""
                    parts.append(
                        f"SELECT {own_place} AS place, {literal(name)} AS name, {one.sql} AS value\n"
                        f"FROM {rows_of(build, group)}\nWHERE trim({one.sql}) <> ''{no_number}"
                    )
    return "\nUNION ALL\n".join(parts) or None


# --- what is said about it --------------------------------------------------------------------------------


def _trusted(workspace: Workspace, columns: Mapping[str, Column]) -> tuple[str, ...]:
    there = [name for name, column in columns.items() if column.canonical and is_id(name)]
    first = [name for name in workspace.ids.trust if name in there]
    # What a person types or logs in with says more than the device it is done on.
    usual = ["user_id", *sorted(name for name in there if name.startswith("ids.")), "anonymous_id"]
    return tuple(dict.fromkeys([*first, *(name for name in usual if name in there)]))


def _roles(build: Build, events: Sequence[Group]) -> dict[str, str]:
    """The workspace's roles over the shapes'; two shapes that name different bare events share the role.

    Orders made of lines are the orders where nobody says otherwise.
    """
    made = (group.plan.event for group in events if group.plan.kind == "lines")
    lines_event = next((take.constant for take in made if take is not None), None)
    roles: dict[str, str] = {}
    for name in dict.fromkeys(build.shapes):
        for role, step in shape_named(name).roles.items():
            known = roles.get(role)
            if known is None:
                roles[role] = step
            elif ":" not in known + step:
                roles[role] = "|".join(dict.fromkeys([*known.split("|"), *step.split("|")]))
    if lines_event is not None:
        roles.setdefault("order", lines_event)
    return roles | dict(build.workspace.roles)
