"""Proposes a ``workbench.toml`` for files nobody described, and says what is sure, guessed or missing."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from queries.steps import Step
from workbench.errors import UsageError
from workbench.sources import guessing
from workbench.sources.canonical import is_id, kind_of
from workbench.sources.duck_types import Typed, literal, quote
from workbench.sources.grouping import Sample, has_value
from workbench.sources.guessing import Guess, Look
from workbench.sources.mapping import ORDER_EVENT, listed
from workbench.sources.shapes import ShapeTable, recognise, shape_named
from workbench.sources.snapshot import DataFile, SourceFiles
from workbench.workspace import FILE_NAME, SCHEMA, from_paths, prepare_cache

if TYPE_CHECKING:
    from workbench.runner import Task

State = Literal["active", "offered", "left out"]


_NUMBERED = re.compile(r"(part|data|file|export)?[-_\d]*")
"""Names of files that say nothing of what is in them."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The text of a ``workbench.toml`` and what its reader should check."""

    toml_text: str
    sure: tuple[str, ...]
    guessed: tuple[str, ...]
    missing: tuple[str, ...]
    left_out: tuple[str, ...]
    """Tables that are no events, each with the reason."""

    @property
    def usable(self) -> bool:
        """Whether some source of it holds events."""
        return bool(self.toml_text)


@dataclass(frozen=True, slots=True)
class _Table:
    """Files with the same columns."""

    name: str
    paths: tuple[str, ...]
    files: tuple[DataFile, ...]
    tables: tuple[str, ...] = ()
    """Of a DuckDB file."""


@dataclass(slots=True)
class _Draft:
    """What one table becomes."""

    table: _Table
    state: State
    kind: str = "events"
    shape: str | None = None
    shape_table: ShapeTable | None = None
    constant: str | None = None
    map: Mapping[str, Guess] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    naive: bool = False
    doubts: Sequence[str] = ()
    """What is to be checked about its times."""
    remarks: Sequence[str] = ()
    rest: Sequence[str] = ()
    """Columns that mean nothing canonical."""


_WANTED: Mapping[str, str] = {
    "session_id": "sessions are cut by gaps",
    "channel": "attribution has no channel",
    "search_term": "no search report",
    "product_id": "nothing by product",
    "amount": "no revenue",
}


def propose(
    paths: Sequence[str | Path],
    *,
    task: Task | None = None,
    root: Path | None = None,
    timezone: str | None = None,
) -> Proposal:
    """Lists, probes and looks at files, and drafts a workspace in ``root`` (the current folder) over them.

    No ``workbench.toml`` is written. Raises NoData for paths with nothing to read, UsageError when no table
    holds events, with what each lacks.
    """
    from workbench.engine import Engine
    from workbench.sources.reading import snapshot

    workspace = from_paths(paths)
    cache = prepare_cache(workspace)
    sources = [
        snapshot(
            source.name,
            workspace.root,
            source.patterns,
            cache=cache,
            engine_for=lambda folders: Engine(folders, writable=[cache]),
            task=task,
            encoding=source.encoding,
            tables=source.tables,
        )
        for source in workspace.sources
    ]
    folders = sorted({folder for source in sources for folder in source.folders})
    with Engine(folders, files=[file.parquet for source in sources for file in source.files]) as engine:
        return draft(sources, root or Path.cwd(), lambda sql: engine.fetch(sql, task=task), timezone)


def draft(
    sources: Sequence[SourceFiles], root: Path, sample: Sample, timezone: str | None = None
) -> Proposal:
    """The proposal over files that are listed and probed; ``sample`` runs SQL over them.

    Raises UsageError when no table holds events, with what each lacks.
    """
    drafts = [_drafted(table, sample) for source in sources for table in _tables(source, root)]
    _settle(drafts)
    active = [one for one in drafts if one.state == "active" and one.kind != "items"]
    if not active:
        raise _nothing(drafts, sources)
    naive = any(one.naive for one in active)
    return Proposal(
        toml_text=_text(drafts, timezone or "UTC", asked=timezone is not None or not naive),
        sure=tuple(_told(drafts, sure=True)),
        guessed=tuple(_told(drafts, sure=False)),
        missing=tuple(_missing(active, naive and timezone is None)),
        left_out=tuple(f"{d.table.name}: {d.reason}" for d in drafts if d.state != "active"),
    )


def _nothing(drafts: Sequence[_Draft], sources: Sequence[SourceFiles]) -> UsageError:
    """No events anywhere: what each table lacks, and which of them came nearest."""
    why = [f"{one.table.name}: {one.reason}" for one in drafts]
    why += [f"{Path(one.path).name}: {one.reason}" for files in sources for one in files.set_aside]
    told = "; ".join(why[:4])
    hint = "events need a time, an id and a name; write [source.map] by hand if the names are unusual"
    nearest = max(drafts, key=_nearness, default=None)
    if nearest is not None and _nearness(nearest):
        pairs = ", ".join(f"{guess.canonical} ← {listed([guess.column])}" for guess in nearest.map.values())
        lacks = nearest.reason.partition(" (columns:")[0]
        hint = f"nearest is {nearest.table.name}: {lacks}, but {pairs}; {hint}"
    return UsageError(f"no file looks like events: {told}" if told else "no file looks like events", hint)


def _nearness(draft: _Draft) -> tuple[int, int] | tuple[()]:
    found = draft.map
    needed = ("ts" in found) + ("event" in found) + any(is_id(name) for name in found)
    return (needed, len(found)) if found else ()


def write(proposal: Proposal, folder: Path, *, force: bool = False) -> Path:
    """Writes the proposal's ``workbench.toml``, whole or not at all, and returns its path.

    Raises UsageError where one stands already and ``force`` is not given; may raise OSError.
    """
    path = folder / FILE_NAME
    if path.exists() and not force:
        raise UsageError(f"{path} exists and is not replaced", "--force replaces it")
    part = folder / f".{FILE_NAME}.{os.getpid()}.part"
    try:
        part.write_text(proposal.toml_text, "utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


# --- tables ---------------------------------------------------------------------------------------------


def _tables(source: SourceFiles, root: Path) -> list[_Table]:
    """Files of a source by their columns, in the order of the first of each."""
    alike: dict[tuple[str | None, frozenset[str]], list[DataFile]] = {}
    for file in source.files:
        columns = frozenset(name.casefold() for name, _ in file.columns)
        alike.setdefault((file.listed.table, columns), []).append(file)
    tables = []
    for (table, _), files in alike.items():
        if table is not None:
            paths = tuple(dict.fromkeys(_relative(file.listed.path, root) for file in files))
            tables.append(_Table(table, paths, tuple(files), (table,)))
            continue
        stem = files[0].listed.relative.rsplit("/", 1)[-1].split(".", 1)[0]
        own = len(alike) > 1 or (len(files) == 1 and not _NUMBERED.fullmatch(stem))
        name = stem if own else source.name
        tables.append(_Table(name, _paths(files, source, root), tuple(files)))
    return tables


def _paths(files: Sequence[DataFile], source: SourceFiles, root: Path) -> tuple[str, ...]:
    """The files as paths from the workspace: the folder where all of a folder's files are of one kind."""
    own = {file.listed.path for file in files}
    others = {file.listed.path for file in source.files} - own
    if len(own) > 1:
        common = Path(os.path.commonpath([path.parent for path in own]))
        if not any(path.is_relative_to(common) for path in others):
            endings = sorted(
                {
                    "".join(path.suffixes[-2:]) if path.suffix in (".gz", ".zst") else path.suffix
                    for path in own
                }
            )
            below = glob.escape(_relative(common, root)).removeprefix("./")
            base = "" if below == "." else f"{below}/"
            return tuple(f"{base}**/*{ending}" for ending in endings)
    return tuple(_relative(path, root) for path in sorted(own))


def _relative(path: Path, root: Path) -> str:
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return str(path)


def _scan(table: _Table) -> str:
    paths = ", ".join(literal(glob.escape(str(file.parquet))) for file in table.files)
    return f"read_parquet([{paths}], hive_partitioning = false, union_by_name = true)"


def _drafted(table: _Table, sample: Sample) -> _Draft:
    names = [name for name, _ in table.files[0].columns]
    known = recognise(names, has_value=has_value(sample, table.files[0]))
    if known is not None:
        return _shaped(table, known)
    columns = [Typed(f"f.{quote(name)}", type_) for name, type_ in table.files[0].columns]
    (row,) = sample(guessing.looks_sql(columns, _scan(table)))
    seen = guessing.looks(columns, names, row)
    found = guessing.guesses(seen)
    draft = _judged(table, seen, found, sample)
    own = {guess.column for guess in found.values()}
    draft.rest = [name for name in names if name not in own]
    draft.remarks = [
        f"{listed([guess.column])} is text with currency signs or thousands separators, read as amounts"
        for guess in found.values()
        if kind_of(guess.canonical) == "money" and seen[guess.column].written
    ]
    if "ts" in found and draft.state != "left out":
        typed = dict(zip(names, columns, strict=True))
        look = guessing.time_look(found["ts"].column, typed, _scan(table), sample)
        draft.naive, draft.doubts = look.naive, look.doubts
    return draft


def _shaped(table: _Table, known: ShapeTable) -> _Draft:
    if known.kind == "companion":
        return _Draft(table, "left out", "companion", known.shape, reason=known.note or "not events")
    roles = shape_named(known.shape).roles
    return _Draft(table, "active", known.kind, known.shape, roles=roles, shape_table=known)


def _judged(table: _Table, seen: Mapping[str, Look], found: dict[str, Guess], sample: Sample) -> _Draft:
    ids = [name for name in found if is_id(name)]
    draft = _Draft(table, "active", map=found)
    if "ts" not in found or not ids:
        lacks = [
            word
            for word, there in (("no time", "ts" in found), ("no id of a person", bool(ids)))
            if not there
        ]
        draft.state, draft.reason = "left out", f"{' and '.join(lacks)} (columns: {listed(list(seen))})"
        if "order_id" in found and "product_id" in found and "ts" not in found:
            draft.kind = "items"
        return draft
    if "event" in found:
        rows = sample(guessing.event_names_sql(found["event"].column, _scan(table)))
        draft.roles = guessing.roles([str(name[0]) for name in rows])
        return draft
    if "order_id" in found and "product_id" in found:
        order = seen[found["order_id"].column]
        if order.distinct < order.count:
            draft.kind, draft.constant = "lines", ORDER_EVENT
            draft.roles = {"order": ORDER_EVENT}
            return draft
    draft.state, draft.constant = "offered", guessing.plain(table.name) or "event"
    draft.reason = f"a time and an id but no event name: offered as event {draft.constant}, commented out"
    return draft


def _settle(drafts: list[_Draft]) -> None:
    """Decides what depends on the other tables.

    Offers become sources where nothing better is there, items need orders beside them, and files that
    complete a shape's events are read with them.
    """
    active = [draft for draft in drafts if draft.state == "active" and draft.kind != "items"]
    if not active:
        active = [draft for draft in drafts if draft.state == "offered"]
        for draft in active:
            draft.state = "active"
    _beside(drafts, active)
    for companion in [draft for draft in drafts if draft.kind == "companion"]:
        completed = companion.shape_table and companion.shape_table.completes
        for draft in active:
            own = draft.shape_table and draft.shape_table.name
            if draft.shape == companion.shape and draft.kind != "companion" and completed in (None, own):
                draft.table = replace(
                    draft.table,
                    paths=tuple(dict.fromkeys((*draft.table.paths, *companion.table.paths))),
                    tables=(*draft.table.tables, *companion.table.tables),
                )
    orders = any("order_id" in draft.map or draft.shape is not None for draft in active)
    for draft in drafts:
        if draft.kind == "items" and draft.state == "left out" and orders:
            draft.state = "active"


def _beside(drafts: Sequence[_Draft], active: Sequence[_Draft]) -> None:
    """Tables that are companions beside another of their shape's tables become such."""
    there = {(draft.shape, draft.shape_table.name) for draft in active if draft.shape_table is not None}
    for draft in drafts:
        table = draft.shape_table
        if table is not None and table.completes and (draft.shape, table.completes) in there:
            draft.state, draft.kind = "left out", "companion"
            draft.reason = table.note or "read with the events it completes"


# --- text ---------------------------------------------------------------------------------------------------


def _text(drafts: Sequence[_Draft], timezone: str, *, asked: bool) -> str:
    zone = "" if asked else "  # assumed: times here carry no zone"
    lines = [
        "# Proposed by `workbench init`: check what is marked as a guess, then look at `workbench events`.",
        f"schema = {SCHEMA}",
        f"timezone = {toml_string(timezone)}{zone}",
    ]
    names: set[str] = set()
    for draft in drafts:
        name, number = draft.table.name or "data", 2
        while name in names:
            name, number = f"{draft.table.name} {number}", number + 1
        names.add(name)
        if draft.state == "active":
            lines += ["", *_source_lines(draft, name)]
        elif draft.state == "offered":
            lines += [
                "",
                f"# {_comment(draft.reason)}",
                *(f"# {line}" for line in _source_lines(draft, name)),
            ]
        elif draft.kind != "companion":
            lines += ["", f"# left out: {_comment(draft.table.name)}: {_comment(draft.reason)}"]
    return "\n".join([*lines, *_role_lines(drafts)]) + "\n"


def _source_lines(draft: _Draft, name: str) -> list[str]:
    paths = [toml_string(path) for path in draft.table.paths]
    lines = ["[[source]]", f"name = {toml_string(name)}"]
    lines.append(f"path = {paths[0]}" if len(paths) == 1 else f"path = [{', '.join(paths)}]")
    tables = [toml_string(table) for table in draft.table.tables]
    if tables:
        lines.append(f"table = {tables[0]}" if len(tables) == 1 else f"table = [{', '.join(tables)}]")
    if draft.kind != "events":
        lines.append(f"kind = {toml_string(draft.kind)}")
    if draft.shape is not None:
        return [*lines, f"shape = {toml_string(draft.shape)}"]
    if draft.constant is not None:
        lines.append(f"event = {{ constant = {toml_string(draft.constant)} }}")
    lines.append("[source.map]")
    for canonical, guess in draft.map.items():
        key = canonical if canonical.isidentifier() else toml_string(canonical)
        doubts = draft.doubts if canonical == "ts" else ()
        remark = "; ".join([*([] if guess.sure else ["a guess"]), *doubts])
        lines.append(f"{key} = {toml_string(guess.column)}" + (f"  # {_comment(remark)}" if remark else ""))
    if draft.rest:
        lines.append(f"# properties, as they are: {_comment(listed(draft.rest, len(draft.rest)))}")
    return lines


def _role_lines(drafts: Sequence[_Draft]) -> list[str]:
    roles: dict[str, str] = {}
    for draft in drafts:
        if draft.state == "active" and draft.shape is None:
            for role, event in draft.roles.items():
                roles.setdefault(role, event)
    if not roles:
        return []
    shapes = dict.fromkeys(d.shape for d in drafts if d.state == "active" and d.shape is not None)
    lines = ["", "[roles]"]
    for role, event in roles.items():
        own = str(Step((event,)))
        known = [shape_named(name).roles[role] for name in shapes if role in shape_named(name).roles]
        # What is written here replaces what the shapes say, so it has to hold that too.
        if any(":" in step for step in known):
            lines.append(f"# {role} = {_comment(toml_string(own))}  # would replace {_comment(known[0])}")
        else:
            events = dict.fromkeys(one for step in [*known, own] for one in step.split("|"))
            step = "|".join(events) if known else own
            lines.append(f"{role} = {toml_string(step)}")
    return lines


def toml_string(text: str) -> str:
    """A text as TOML's basic string; lone surrogates are replaced, since a TOML file can't hold them."""
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char < " " or char == "\x7f" or "\x80" <= char < "\xa0":
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append("\N{REPLACEMENT CHARACTER}" if "\ud800" <= char <= "\udfff" else char)
    return '"' + "".join(out) + '"'


def _comment(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _told(drafts: Sequence[_Draft], *, sure: bool) -> list[str]:
    told = []
    for draft in drafts:
        if draft.state != "active":
            continue
        if draft.shape is not None and sure:
            told.append(f"{draft.table.name}: {shape_named(draft.shape).title} ({draft.kind})")
        if draft.kind == "lines" and sure:
            told.append(f"{draft.table.name}: order lines; each order id becomes one event {draft.constant}")
        pairs: list[str] = []
        first_lines: list[str] = []
        for guess in draft.map.values():
            pair = f"{guess.canonical} ← {listed([guess.column])}"
            if (guess.sure and not (guess.canonical == "ts" and draft.doubts)) is sure:
                (first_lines if _of_first_line(draft, guess.canonical) else pairs).append(pair)
        if pairs:
            told.append(f"{draft.table.name}: {', '.join(pairs)}")
        if first_lines:
            told.append(f"{draft.table.name}, of each order's first line only: {', '.join(first_lines)}")
        told += [f"{draft.table.name}: {line}" for line in (draft.remarks if sure else draft.doubts)]
    return told


def _of_first_line(draft: _Draft, canonical: str) -> bool:
    summed = kind_of(canonical) == "money" or canonical in ("ts", "event", "order_id", "quantity")
    return draft.kind == "lines" and not summed and not is_id(canonical)


def _missing(active: Sequence[_Draft], naive: bool) -> list[str]:
    out = (
        ["times carry no zone: read as UTC until timezone (or a source's zone) says otherwise"]
        if naive
        else []
    )
    mapped = [draft for draft in active if draft.shape is None]
    if mapped and len(mapped) == len(active):
        there = {name for draft in mapped for name in draft.map}
        out += [f"no {name}: {effect}" for name, effect in _WANTED.items() if name not in there]
    out += [f"{d.table.name}: not mapped, kept as properties: {listed(d.rest)}" for d in mapped if d.rest]
    return out
