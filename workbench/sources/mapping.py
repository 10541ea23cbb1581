"""Finds for one file which column becomes which canonical column, or why the file can't be read as events."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from queries.question import ColumnKind
from workbench.sources import duck_types
from workbench.sources.canonical import COLUMNS, RESERVED, is_canonical, is_id, kind_of
from workbench.sources.duck_types import Typed, quote
from workbench.sources.shapes import OWN, HasValue, Shape, ShapeTable, TableKind, recognise, shape_named
from workbench.sources.snapshot import DataFile
from workbench.sources.taking import (
    ROW,
    UNNESTED,
    UNNESTED_NUMBER,
    FileMap,
    NotRead,
    first_of,
    items_of,
    render,
    taken,
    unnested,
)
from workbench.workspace import ANY_TIME, DecimalMark, MoneyUnit, Source, Take, TimeFormat

ORDER_EVENT = "order"
"""What an order made of lines is called unless the source says otherwise."""

LONGEST = 200
"""Characters of one name or reason that a message shows."""

ANY_ID = "any id (user_id, anonymous_id, ids.KIND)"


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What the columns of a kind of file mean: the user's word over a shape's."""

    kind: TableKind
    shape: str | None = None
    event: Take | None = None
    map: Mapping[str, Take] = field(default_factory=dict)
    time: TimeFormat = ANY_TIME
    zone: str | None = None
    """Of times without one, where the shape says it."""
    money_unit: MoneyUnit = "major"
    money_decimal: DecimalMark = "."
    table: ShapeTable | None = None


def table_plan(source: Source, columns: Sequence[str], has_value: HasValue | None = None) -> TablePlan | None:
    """What a file with these columns is under a source; None where nobody knows.

    ``has_value`` looks whether a column holds one of some texts, for shapes that ask.
    """
    if source.shape is not None:
        known = shape_named(source.shape)
        kinds = ("events", "lines") if source.kind == "events" else (source.kind,)
        wanted = [table for table in known.tables if table.kind in (*kinds, "companion", "items")]
        table = recognise(columns, wanted, has_value)
        if table is None and source.mapped:
            table = recognise(columns, known.tables) or _events_of(known)
        return None if table is None else _over(source, table)
    if source.mapped or source.event is not None or source.kind != "events":
        return _over(source, None)
    table = recognise(columns, has_value=has_value)
    return None if table is None else _over(source, table)


def assumed_plan(source: Source, sibling: TablePlan | None) -> TablePlan | None:
    """What a file nobody knows is measured against: its siblings' plan, else the shape named."""
    if sibling is not None:
        return sibling
    if source.shape is None:
        return None
    table = _events_of(shape_named(source.shape))
    return None if table is None else _over(source, table)


def _events_of(shape: Shape) -> ShapeTable | None:
    return next((one for one in shape.tables if one.kind in ("events", "lines")), None)


def map_file(
    file: DataFile,
    plan: TablePlan,
    alias: str,
    virtual: Mapping[str, Typed],
    file_name: str,
    companions: Mapping[str, Sequence[str]],
) -> FileMap | NotRead:
    """The columns of a file under a plan.

    ``alias`` names the scan in SQL; ``virtual`` are columns that stand in the path (hive keys), used where
    the file has none of that name; ``file_name`` is the SQL of the file's own name; ``companions`` lists what
    can be reached beside the file, by alias.
    """
    names = [name for name, _ in file.columns]
    if trouble := _unreadable(names):
        return trouble
    columns = {name: Typed(f"{alias}.{quote(name)}", type_) for name, type_ in file.columns if usable(name)}
    columns |= {name: one for name, one in virtual.items() if duck_types.match(name, columns) is None}
    table = plan.table
    rows = unnested(table.rows if table else None, columns, alias)
    if isinstance(rows, NotRead):
        return rows
    items = items_of(table, columns, alias, file_name, companions)
    used = {ROW}
    if rows is not None:
        used.add(rows.root)
        columns = {**columns, ROW: rows.element}
    takes = dict(plan.map)
    if plan.event is not None:
        takes["event"] = plan.event
    for name in columns:
        folded = name.casefold()
        wanted = folded if folded in COLUMNS else name
        if is_canonical(wanted) and wanted not in takes:
            takes[wanted] = Take(names=(name,))
    canonical: dict[str, tuple[Typed, ...]] = {}
    missing = []
    for name, take in takes.items():
        found = taken(take, columns, used, file_name, companions)
        if found:
            canonical[name] = first_of(found) if kind_of(name) == "time" else found
        elif take.sql is None:
            missing.append(name)
    if trouble := _incomplete(plan, canonical, missing, takes, columns):
        return trouble
    properties = _properties(columns, used, canonical)
    where = None if table is None or table.where is None else render(table.where, columns, companions)
    if rows is None:
        return FileMap(canonical, properties, None, where, items)
    properties |= {rows.root: rows.element}
    return FileMap(canonical, properties, rows.sql, where, items)


def cast(name: str, sources: Sequence[Typed], plan: TablePlan, decimals: int) -> str:
    """The SQL of a canonical column that is no time, in its one type."""
    kind = kind_of(name)
    parts = [_cast(kind, one, plan, decimals) for one in sources]
    return parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"


def _over(source: Source, table: ShapeTable | None) -> TablePlan:
    if table is None:
        event = source.event
        if source.kind == "lines" and event is None and "event" not in source.map:
            event = Take(constant=ORDER_EVENT)
        money_unit = source.money_unit or "major"
        return TablePlan(
            source.kind,
            None,
            event,
            source.map,
            source.time,
            money_unit=money_unit,
            money_decimal=source.money_decimal,
        )
    time = source.time if source.time != ANY_TIME else table.time
    return TablePlan(
        table.kind,
        table.shape,
        source.event or table.event or (Take(constant=ORDER_EVENT) if table.kind == "lines" else None),
        {**table.map, **source.map},
        time,
        table.zone,
        source.money_unit or table.money_unit or "major",
        source.money_decimal,
        replace(table),
    )


def _unreadable(names: Sequence[str]) -> NotRead | None:
    folded: dict[str, str] = {}
    for name in names:
        other = folded.setdefault(name.casefold(), name)
        if other is not name and other.casefold() == name.casefold():
            return NotRead(f"columns {other} and {name} differ by case alone", "rename one of them")
        if name.casefold() in ("file_index", "file_row_number", UNNESTED, UNNESTED_NUMBER):
            return NotRead(f"it has a column {name}, a name the reader needs", "rename the column")
    return None


def usable(name: str) -> bool:
    """Whether a column of this name can be asked for: not empty, at most 128 characters, all printable."""
    return bool(name) and len(name) <= 128 and name.isprintable()


def _incomplete(
    plan: TablePlan,
    canonical: Mapping[str, object],
    missing: Sequence[str],
    takes: Mapping[str, Take],
    columns: Mapping[str, Typed],
) -> NotRead | None:
    if plan.kind == "companion" or (plan.kind == "items" and plan.table is not None and plan.table.items):
        return None
    if plan.kind == "items":
        lacks = [] if {"order_id", "event_id"} & set(canonical) else ["order_id"]
        lacks += [] if "product_id" in canonical else ["product_id"]
    else:
        lacks = [name for name in ("ts", "event") if name not in canonical]
        lacks += ["order_id"] if plan.kind == "lines" and "order_id" not in canonical else []
        lacks += [] if any(is_id(name) for name in canonical) else [ANY_ID]
    for name in missing:
        wanted = next(iter(takes[name].names), name)
        if is_id(name) and _alike(wanted, columns) is not None:
            lacks.append(name)
    if not lacks:
        return None
    return _lacking(lacks, takes, columns, plan)


def _lacking(
    lacks: Sequence[str], takes: Mapping[str, Take], columns: Mapping[str, Typed], plan: TablePlan
) -> NotRead:
    told, hints = [], []
    wanted = {name: takes[name].names[0] if name in takes and takes[name].names else name for name in lacks}
    for name, column in wanted.items():
        told.append(name if column == name else f"{name} (column {column})")
    if ANY_ID in wanted:
        wanted |= {name: take.names[0] for name, take in takes.items() if is_id(name) and take.names}
        wanted |= {name: name for name in ("user_id", "anonymous_id") if name not in takes}
    for name, column in wanted.items():
        if other := _alike(column, columns):
            hints.append(f'map both if they are the same: {name} = ["{column}", "{other}"]')
    ids = [name for name in takes if is_id(name)]
    unlike = {"ts", "event"} <= set(lacks) or (plan.shape == OWN and "ts" in lacks and not ids)
    hint = hints[0] if hints else f"its columns are: {listed(list(columns))}"
    return NotRead(f"no column for {', '.join(told)}", hint, unlike)


def _alike(wanted: str, columns: Mapping[str, Typed]) -> str | None:
    """A column whose name is another spelling of the wanted one."""

    def plain(name: str) -> str:
        return re.sub(r"[\W_]+", "", name).casefold()

    return next((name for name in columns if plain(name) == plain(wanted) and name != wanted), None)


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names as a message lists them: on one line, as many as fit, each whole up to 200 characters."""
    shown: list[str] = []
    for name in names[:most]:
        one = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
        shown.append(one if len(one) <= LONGEST else f"{one[: LONGEST - 1]}…")
        if sum(map(len, shown)) > 2 * LONGEST:
            break
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def _properties(
    columns: Mapping[str, Typed], used: set[str], canonical: Mapping[str, object]
) -> dict[str, Typed]:
    properties: dict[str, Typed] = {}
    others = {name.casefold() for name in (*columns, *canonical)}
    for name, column in columns.items():
        if name in used:
            continue
        own = name
        if name.casefold() in RESERVED or is_canonical(name.casefold()) or name in canonical:
            # A column may have the longer name already.
            while own.casefold() in others or own.casefold() in RESERVED or is_canonical(own.casefold()):
                own += "_raw"
            others.add(own.casefold())
        properties[own] = column
    return properties


def _cast(kind: ColumnKind, column: Typed, plan: TablePlan, decimals: int) -> str:
    if duck_types.is_nothing(column.type):
        return "NULL::VARCHAR" if kind == "text" else "NULL::BIGINT"
    if kind == "money":
        return duck_types.money(column, decimals, minor=plan.money_unit == "minor", mark=plan.money_decimal)
    if kind == "integer":
        return duck_types.integer(column)
    return duck_types.text(column)
