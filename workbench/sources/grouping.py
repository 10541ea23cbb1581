"""Puts the files of a workspace into groups that one scan reads alike, and sets aside what can't be read."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from queries.question import Note
from workbench.errors import UsageError
from workbench.sources import times
from workbench.sources.duck_types import Typed, literal, quote
from workbench.sources.mapping import TablePlan, assumed_plan, listed, map_file, table_plan
from workbench.sources.shapes import HasValue
from workbench.sources.snapshot import DataFile, Listed, SetAside, SourceFiles
from workbench.sources.taking import UNNESTED, UNNESTED_NUMBER, FileMap, NotRead, render
from workbench.workspace import Source, Workspace

Sample = Callable[[str], list[tuple[object, ...]]]
"""Runs a small SQL over the files and gives back its rows."""


@dataclass(frozen=True, slots=True)
class NumberedFile:
    ordinal: int
    data: DataFile

    @property
    def name(self) -> str:
        return self.data.listed.relative


@dataclass(frozen=True, slots=True)
class Group:
    """Files that one scan reads alike."""

    index: int
    source: Source
    plan: TablePlan
    files: tuple[NumberedFile, ...]
    map: FileMap
    times: Mapping[str, times.TimePlan] = field(default_factory=dict)


@dataclass(slots=True)
class Build:
    """What is gathered on the way from files to SQL."""

    workspace: Workspace
    sample: Sample | None
    notes: list[Note] = field(default_factory=list)
    set_aside: list[tuple[str, SetAside]] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    refusals: dict[str, list[NotRead]] = field(default_factory=dict)
    companions: dict[tuple[str, str], list[NumberedFile]] = field(default_factory=dict)
    companion_plans: dict[tuple[str, str], TablePlan] = field(default_factory=dict)
    offsets: dict[str, int | None] = field(default_factory=dict)

    def refuse(self, source: Source, file: DataFile, why: NotRead | times.Refused) -> None:
        """Sets a file aside with its reason."""
        unlike = isinstance(why, NotRead) and why.unlike
        reason = f"not events: {why.reason}" if unlike else why.reason
        self.set_aside.append(
            (source.name, SetAside(file.listed.relative, reason, "ignored" if unlike else "bad"))
        )
        told = f"{source.name}: {listed([file.listed.relative])} set aside: {reason}"
        hint = f" ({why.hint})" if why.hint and not unlike else ""
        level: Note = (
            Note("not-events", told)
            if unlike
            else Note("file-refused", told + hint, "warning", 1, sets_aside=True)
        )
        self.notes.append(level)
        as_not_read = why if isinstance(why, NotRead) else NotRead(why.reason, why.hint)
        self.refusals.setdefault(source.name, []).append(as_not_read)


def planned(
    build: Build, source: Source, files: Sequence[NumberedFile]
) -> Iterator[tuple[NumberedFile, TablePlan]]:
    by_columns: dict[tuple[str, ...], TablePlan | None] = {}
    plans = []
    for file in files:
        names = tuple(_all_names(file.data))
        if names not in by_columns:
            by_columns[names] = table_plan(source, names, has_value(build.sample, file.data))
        plans.append(by_columns[names])
    sibling = next((plan for plan in plans if plan is not None and plan.kind in ("events", "lines")), None)
    there = {(plan.shape, plan.table.name) for plan in plans if plan is not None and plan.table is not None}
    for file, plan in zip(files, plans, strict=True):
        plan = plan or assumed_plan(source, sibling)
        table = None if plan is None else plan.table
        if plan and table and table.completes and (plan.shape, table.completes) in there:
            if table.items:
                yield file, replace(plan, kind="items")
            plan = replace(plan, kind="companion")
        if plan is None:
            columns = f"its columns are: {listed([name for name, _ in file.data.columns])}"
            build.refuse(source, file.data, NotRead("no known shape", columns, unlike=True))
        elif plan.kind == "companion":
            _keep_companion(build, source, file, plan)
        else:
            yield file, plan


def has_value(sample: Sample | None, file: DataFile) -> HasValue | None:
    """Looks into a file for shapes that ask whether a column, or a path into one, holds a value."""
    if sample is None:
        return None

    def look(path: str, texts: tuple[str, ...]) -> bool:
        value = render(f"{{{path}}}", _typed(file), {})
        wanted = f"IN ({', '.join(literal(one) for one in texts)})" if texts else "IS NOT NULL"
        rows_of = f"{scan([NumberedFile(0, file)])} AS f"
        return bool(sample(f"SELECT 1 FROM {rows_of} WHERE {value} {wanted} LIMIT 1"))

    return look


def _keep_companion(build: Build, source: Source, file: NumberedFile, plan: TablePlan) -> None:
    if plan.table is None or plan.table.companion is None or plan.shape is None:
        return
    key = (plan.shape, plan.table.companion.alias)
    build.companions.setdefault(key, []).append(file)
    build.companion_plans[key] = plan
    note = plan.table.note or "not events"
    build.notes.append(Note("companion", f"{source.name}: {listed([file.name])} holds {note}"))


def grouped(build: Build, known: Sequence[tuple[int, Source, NumberedFile, TablePlan]]) -> Iterator[Group]:
    """Files of one source with the same plan and the same columns, however ordered."""
    alike: dict[tuple[object, ...], list[NumberedFile]] = {}
    about: dict[tuple[object, ...], tuple[int, Source, TablePlan]] = {}
    for index, source, file, plan in known:
        table = None if plan.table is None else (plan.table.shape, plan.table.name, plan.table.columns)
        columns = tuple(sorted((name.casefold(), type_) for name, type_ in file.data.columns))
        key: tuple[object, ...] = (
            index,
            plan.kind,
            table,
            columns,
            tuple(sorted(file.data.listed.partitions)),
        )
        alike.setdefault(key, []).append(file)
        about.setdefault(key, (index, source, plan))
    for layout, files in alike.items():
        index, source, plan = about[layout]
        mapped = _mapped(build, plan, files)
        if isinstance(mapped, NotRead):
            for file in files:
                build.refuse(source, file.data, mapped)
        else:
            if plan.shape is not None:
                build.shapes.append(plan.shape)
            if mapped.where is not None and plan.table is not None and plan.table.note is not None:
                note = Note("rows-not-events", f"{source.name}: {plan.table.note}")
                build.notes += [] if note in build.notes else [note]
            yield Group(index, source, plan, tuple(files), mapped)


def _mapped(
    build: Build, plan: TablePlan, files: Sequence[NumberedFile], like: DataFile | None = None
) -> FileMap | NotRead:
    """The map of some files, as ``like`` spells their columns, else as the first does."""
    keys = files[0].data.listed.partitions
    beside = {key: _per_file([file.data.listed.partitions.get(key, "") for file in files]) for key in keys}
    stems = _per_file([stem(file.data.listed) for file in files])
    return _map(build, plan, like or files[0].data, beside, stems)


def _map(
    build: Build, plan: TablePlan, file: DataFile, beside: Mapping[str, str], stems: str
) -> FileMap | NotRead:
    virtual = {key: Typed(sql, "VARCHAR") for key, sql in beside.items()}
    companions = {
        alias: tuple(build.companion_plans[plan.shape or "", alias].table.companion.select)  # type: ignore[union-attr]
        for alias in companions_of(build, plan)
    }
    return map_file(file, plan, "f", virtual, stems, companions)


def companions_of(build: Build, plan: TablePlan) -> dict[str, list[NumberedFile]]:
    """The files that complete those of a plan, by alias."""
    return {alias: files for (shape, alias), files in build.companions.items() if shape == plan.shape}


def only(build: Build, group: Group, files: tuple[NumberedFile, ...]) -> Group:
    """A group with some of its files alone, which are read just as they are among all."""
    # Another file may spell a column otherwise, and with it the name it is known by.
    mapped = _mapped(build, group.plan, files, group.files[0].data)
    return replace(group, files=files, map=group.map if isinstance(mapped, NotRead) else mapped)


def of_any_file(build: Build, group: Group, file: NumberedFile) -> Group:
    """A group as it reads a file like this one, where what stands beside the file is called by name.

    Its SQL says how the file is read and can't be run.
    """
    beside = {key: f"partition({literal(key)})" for key in file.data.listed.partitions}
    for data in (file.data, group.files[0].data):
        mapped = _map(build, group.plan, data, beside, "stem()")
        if not isinstance(mapped, NotRead) and mapped.canonical.keys() == group.map.canonical.keys():
            return replace(group, files=(file,), map=mapped)
    raise AssertionError


def _all_names(file: DataFile) -> list[str]:
    return [*(name for name, _ in file.columns), *file.listed.partitions]


def stem(listed: Listed) -> str:
    """The name of a file or table, without its endings."""
    if listed.table is not None:
        return listed.table.rpartition(".")[2]
    return listed.relative.rsplit("/", 1)[-1].split(".", 1)[0]


def _per_file(values: Sequence[str]) -> str:
    """A text that stands beside the file, not in it, as SQL over ``file_index``."""
    if len(set(values)) == 1:
        return f"{literal(values[0])}::VARCHAR"
    return (
        f"list_extract([{', '.join(literal(value) for value in values)}], CAST(f.file_index AS BIGINT) + 1)"
    )


def timed(build: Build, group: Group) -> Iterator[Group]:
    """A group with the plans of its time columns; split where files of one layout write times otherwise."""
    if group.plan.kind == "items":
        yield group
        return
    zone = zone_of(build, group)
    columns = {
        name: group.map.canonical[name][0] for name in ("ts", "received_ts") if name in group.map.canonical
    }
    seen = _look(build, group, columns)
    alike: dict[tuple[times.TimePlan, ...], list[NumberedFile]] = {}
    for place, file in enumerate(group.files):
        plans: list[times.TimePlan] = []
        for name, column in columns.items():
            found = None if seen is None else seen.get((place, name), None)
            plan = times.plan(column, group.plan.time, zone, found, _offset(build, column, zone))
            if isinstance(plan, times.Refused) and name != "ts":
                plan = times.TimePlan("nothing", column.type)
            if isinstance(plan, times.Refused):
                build.refuse(
                    group.source, file.data, replace(plan, reason=f"{_told(group, name)}: {plan.reason}")
                )
                break
            plans.append(plan)
        else:
            alike.setdefault(tuple(plans), []).append(file)
    for key, files in alike.items():
        part = replace(group, files=tuple(files), times=dict(zip(columns, key, strict=True)))
        if len(files) != len(group.files):
            mapped = _mapped(build, group.plan, files)
            part = replace(part, map=group.map if isinstance(mapped, NotRead) else mapped)
        _time_notes(build, part)
        yield part


def _look(
    build: Build, group: Group, columns: Mapping[str, Typed]
) -> dict[tuple[int, str], tuple[object, ...]] | None:
    if build.sample is None:
        return None
    wanted = {
        name: ("false",) if _whole(group, column) else times.look(column, group.plan.time)
        for name, column in columns.items()
    }
    terms = [term for terms in wanted.values() for term in terms]
    if all(term == "false" for term in terms):
        return {
            (n, name): tuple(False for _ in own)
            for n in range(len(group.files))
            for name, own in wanted.items()
        }
    sql = f"SELECT CAST(f.file_index AS BIGINT), {', '.join(terms)} FROM {rows_of(build, group)} GROUP BY 1"
    rows = {int(str(row[0])): row[1:] for row in build.sample(sql)}
    nothing = tuple(0 for _ in terms)
    seen: dict[tuple[int, str], tuple[object, ...]] = {}
    for place in range(len(group.files)):
        row, start = rows.get(place, nothing), 0
        for name, own in wanted.items():
            seen[place, name] = tuple(row[start : start + len(own)])
            start += len(own)
    return seen


def _whole(group: Group, column: Typed) -> bool:
    """Whether the footers say that a column of moments was written in milliseconds: then nobody need look."""
    names = [name.casefold() for name, _ in group.files[0].data.columns if column.sql == f"f.{quote(name)}"]
    if not names:
        return False
    return all(names[0] in map(str.casefold, file.data.millis) for file in group.files)


def _offset(build: Build, column: Typed, zone: str) -> int | None:
    """The one offset of a zone over this century, where it has but one and somebody may look."""
    naive = column.type.startswith("TIMESTAMP") and "TIME ZONE" not in column.type
    if build.sample is None or zone in times.UTC_NAMES or not naive:
        return None
    if zone not in build.offsets:
        ((low, high),) = build.sample(times.one_offset_sql(zone))
        build.offsets[zone] = int(str(low)) if low == high else None
    return build.offsets[zone]


def _told(group: Group, name: str) -> str:
    take = group.plan.map.get(name)
    return f"{name} ({take.names[0]})" if take and take.names and take.names[0] != name else name


def _time_notes(build: Build, group: Group) -> None:
    plan = group.times["ts"]
    name = group.source.name
    if plan.form == "epoch" and group.plan.time.unit is None:
        unit = times.unit_name(plan.unit)
        note = Note(
            "time-unit",
            f"{name}: {_told(group, 'ts')} holds numbers, read as {unit} since 1970 by their size",
        )
    elif plan.naive and group.plan.zone is not None and group.source.zone is None:
        return
    elif plan.naive and plan.zone not in times.UTC_NAMES:
        note = Note("time-zone", f"{name}: times without a zone are read in {plan.zone}")
    elif plan.naive and group.source.zone is None and build.workspace.file is None:
        note = Note("time-zone", f"{name}: times without a zone are read as UTC")
    else:
        return
    if note not in build.notes:
        build.notes.append(note)


def zone_of(build: Build, group: Group) -> str:
    """The zone of a group's times without one: the source's, the shape's, the workspace's."""
    return group.source.zone or group.plan.zone or build.workspace.timezone


def rows_of(build: Build, group: Group, items: FileMap | None = None) -> str:
    """What stands behind FROM for a group's rows, or for what it says of items: alias ``f``, joins, WHERE."""
    own = items or group.map
    rows = f"{scan(group.files)} AS f"
    if own.rows is not None:
        rows = (
            f"(SELECT f.file_index, f.file_row_number, f.*, unnest({own.rows}) AS {UNNESTED}, "
            f"generate_subscripts({own.rows}, 1) AS {UNNESTED_NUMBER} FROM {rows}) AS f"
        )
    where = "" if own.where is None else f"\nWHERE {own.where}"
    return f"{rows}{join(build, group)}{where}"


def scan(files: Sequence[NumberedFile]) -> str:
    paths = ", ".join(literal(glob.escape(str(file.data.parquet))) for file in files)
    return f"read_parquet([{paths}], hive_partitioning = false)"


def join(build: Build, group: Group) -> str:
    """The joins to the companions of a group's shape: one row a key, the first in the export."""
    out = ""
    for (shape, alias), files in build.companions.items():
        plan = build.companion_plans[shape, alias]
        if shape != group.plan.shape or plan.table is None or plan.table.companion is None:
            continue
        companion = plan.table.companion
        event_key = render(f"{{{companion.event_key}}}", _typed(group.files[0].data), {})
        parts = []
        for number, file in enumerate(files):
            own = _typed(file.data)
            values = [f"{render(sql, own, {})} AS {quote(name)}" for name, sql in companion.select.items()]
            key = render(f"{{{companion.key}}}", own, {})
            parts.append(
                f"SELECT {key} AS companion_key, ({number}::BIGINT << 40) | f.file_row_number AS place, "
                f"{', '.join(values)} FROM {scan([file])} AS f"
            )
        firsts = ", ".join(f"arg_min({quote(name)}, place) AS {quote(name)}" for name in companion.select)
        rows = "\n    UNION ALL ".join(parts)
        out += (
            f"\nLEFT JOIN (\n    SELECT companion_key, {firsts}\n    FROM ({rows})\n"
            f"    GROUP BY companion_key\n) AS {quote(alias)} ON {quote(alias)}.companion_key = {event_key}"
        )
    return out


def _typed(file: DataFile) -> dict[str, Typed]:
    return {name: Typed(f"f.{quote(name)}", type_) for name, type_ in file.columns}


def check_any(
    build: Build, pairs: Sequence[tuple[int, Source, SourceFiles]], groups: Sequence[Group]
) -> None:
    """Raises where nothing is left to read, or where what the user said fits none of a source's files."""
    good = {group.index for group in groups}
    for index, source, files in pairs:
        said = source.mapped or source.shape is not None or source.event is not None
        refused = build.refusals.get(source.name, [])
        if index in good or not files.files or not refused or not said:
            continue
        why = refused[0]
        raise UsageError(f"source {source.name}: {why.reason}", why.hint)
    if any(group.plan.kind != "items" for group in groups):
        return
    for refused in build.refusals.values():
        for why in refused:
            if not why.unlike:
                raise UsageError(f"no file can be read as events: {why.reason}", why.hint)
    columns = next((why.hint for refused in build.refusals.values() for why in refused if why.hint), None)
    raise UsageError(
        "no file has a shape we know" + (f"; {columns}" if columns else ""),
        "workbench init PATH finds out which column means what and writes a workbench.toml",
    )
