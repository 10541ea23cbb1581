"""Proposes a ``workbench.toml`` for files nobody described, and says what is sure, guessed or missing."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from queries.steps import Step
from workbench.errors import UsageError
from workbench.sources import guessing
from workbench.sources.canonical import COLUMNS, is_id, kind_of
from workbench.sources.duck_types import Typed, literal, quote
from workbench.sources.grouping import Sample, has_value
from workbench.sources.guessing import Guess, Look, UnreadTime
from workbench.sources.mapping import ORDER_EVENT, listed
from workbench.sources.shapes import OWN, ShapeTable, recognise, shape_named
from workbench.sources.snapshot import DataFile, SourceFiles
from workbench.sources.text_stream import DECLARE_ENCODING
from workbench.workspace import FILE_NAME, SCHEMA, from_paths, prepare_cache
from workbench.workspace_file import ENCODINGS, is_encoding

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
    encoding: str | None = None
    """Of text that is not UTF-8 or UTF-16."""


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
    pattern: str | None = None
    """How its times seem to be written, where they cannot be read without it."""
    decimal_comma: bool = False
    wanting: Sequence[str] = ()
    """What has to be said by hand."""


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
    encoding: str | None = None,
) -> Proposal:
    """Lists, probes and looks at files, and drafts a workspace in ``root`` (the current folder) over them.

    Text that is not UTF-8 is read in ``encoding``, without one in GB18030 where it is that. No
    ``workbench.toml`` is written. Raises NoData for paths with nothing to read, UsageError when no table holds
    events, with what each lacks, and for an encoding nobody knows.
    """
    from workbench.engine import Engine
    from workbench.sources.reading import snapshot
    from workbench.sources.reencoding import separated

    if encoding is not None and not is_encoding(encoding):
        raise UsageError(f"unknown encoding {encoding}", ENCODINGS)
    workspace = from_paths(paths)
    cache = prepare_cache(workspace)

    def read(name: str, patterns: Sequence[str], declared: str | None) -> SourceFiles:
        return snapshot(
            name,
            workspace.root,
            patterns,
            cache=cache,
            engine_for=lambda folders: Engine(folders, writable=[cache]),
            task=task,
            encoding=declared,
        )

    found = [
        part
        for source in workspace.sources
        for part in separated(read(source.name, source.patterns, None), partial(read, source.name), encoding)
    ]
    sources = [part.files for part in found]
    folders = sorted({folder for source in sources for folder in source.folders})
    with Engine(folders, files=[file.parquet for source in sources for file in source.files]) as engine:
        proposal = draft(
            sources,
            root or Path.cwd(),
            lambda sql: engine.fetch(sql, task=task),
            timezone,
            encodings=[part.encoding for part in found],
        )
    if encoding is not None and all(part.encoding is None for part in found):
        told = f"{encoding} is not written: every file that can be read is UTF-8, UTF-16 or no text"
        proposal = replace(proposal, guessed=(*proposal.guessed, told))
    return proposal


def draft(
    sources: Sequence[SourceFiles],
    root: Path,
    sample: Sample,
    timezone: str | None = None,
    *,
    encodings: Sequence[str | None] = (),
) -> Proposal:
    """The proposal over files that are listed and probed; ``sample`` runs SQL over them.

    ``encodings`` are those of the sources' files, None for UTF-8 and UTF-16. Raises UsageError when no table
    holds events, with what each lacks.
    """
    everywhere = {file.listed.path for source in sources for file in source.files}
    drafts = [
        _drafted(table, sample)
        for source, encoding in zip_longest(sources, encodings)
        for table in _tables(source, root, everywhere, encoding)
    ]
    _settle(drafts)
    aside = _set_aside(sources)
    active = [one for one in drafts if one.state == "active" and one.kind != "items"]
    if not active:
        raise _nothing(drafts, sources)
    naive = any(one.naive for one in active)
    return Proposal(
        toml_text=_text(drafts, aside, timezone or "UTC", asked=timezone is not None or not naive),
        sure=tuple(_told(drafts, sure=True)),
        guessed=tuple(_told(drafts, sure=False)),
        missing=tuple(_missing(active, naive and timezone is None)),
        left_out=(*(f"{d.table.name}: {d.reason}" for d in drafts if d.state != "active"), *aside),
    )


def _set_aside(sources: Sequence[SourceFiles]) -> list[str]:
    """Files that could not be read, those of one reason together."""
    names: dict[str, list[str]] = {}
    for source in sources:
        for item in source.set_aside:
            if item.state != "ignored":
                reason = item.reason.replace(
                    DECLARE_ENCODING, "name its encoding: workbench init --encoding NAME"
                )
                names.setdefault(reason, []).append(Path(item.path).name)
    return [f"{listed(files)}: {reason}" for reason, files in names.items()]


def _nothing(drafts: Sequence[_Draft], sources: Sequence[SourceFiles]) -> UsageError:
    """No events anywhere: what each table lacks, and which of them came nearest."""
    why = [f"{one.table.name}: {one.reason}" for one in drafts]
    why += _set_aside(sources)
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


def _tables(source: SourceFiles, root: Path, everywhere: Set[Path], encoding: str | None) -> list[_Table]:
    """Files of a source by their columns, in the order of the first of each; ``everywhere``: of all sources."""
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
        tables.append(_Table(name, _paths(files, everywhere, root), tuple(files), encoding=encoding))
    return tables


def _paths(files: Sequence[DataFile], everywhere: Set[Path], root: Path) -> tuple[str, ...]:
    """The files as paths from the workspace: the folder where all of a folder's files are of one kind."""
    own = {file.listed.path for file in files}
    others = everywhere - own
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
        return _shaped(table, known, sample)
    columns = [Typed(f"f.{quote(name)}", type_) for name, type_ in table.files[0].columns]
    (row,) = sample(guessing.looks_sql(columns, _scan(table)))
    seen = guessing.looks(columns, names, row)
    found = guessing.guesses(seen)
    unread = None
    if "ts" not in found:
        unread = guessing.unread_time(seen, {one.column for one in found.values()}, _scan(table), sample)
    if unread is not None:
        found = {"ts": Guess("ts", unread.column, False), **found}
    draft = _judged(table, seen, found, sample)
    own = {guess.column for guess in found.values()}
    draft.rest = [name for name in names if name not in own]
    draft.remarks = [
        f"{listed([guess.column])} is text with currency signs or thousands separators, read as amounts"
        for guess in found.values()
        if kind_of(guess.canonical) == "money" and seen[guess.column].written
    ]
    amounts = [guess.column for guess in found.values() if kind_of(guess.canonical) == "money"]
    amounts += [name for name in draft.rest if guessing.is_named("amount", name)]
    _judge_amounts(draft, [seen[name] for name in amounts])
    if unread is not None:
        _want_format(draft, unread)
    elif "ts" in found and draft.state != "left out":
        typed = dict(zip(names, columns, strict=True))
        look = guessing.time_look(found["ts"].column, typed, _scan(table), sample)
        draft.naive, draft.doubts = look.naive, look.doubts
    return draft


def _judge_amounts(draft: _Draft, looks: Sequence[Look]) -> None:
    """Whether the amounts that are text have a decimal comma: one mark holds for a source's every amount."""
    with_comma = [look for look in looks if look.commas]
    if not with_comma:
        return
    names = listed([look.name for look in with_comma])
    draft.decimal_comma = all(look.decimal_comma for look in with_comma) and not any(
        look.against for look in looks
    )
    if draft.decimal_comma:
        draft.remarks = [
            *(line for line in draft.remarks if not line.startswith(names)),
            f"{names} has a decimal comma",
        ]
    else:
        draft.wanting = (
            f'{names}: some amounts have a decimal comma (1.234,50): [source.money] decimal = "," reads them',
        )


def _want_format(draft: _Draft, unread: UnreadTime) -> None:
    """Tells the format of times that cannot be read without one."""
    draft.naive, draft.pattern = True, unread.written.pattern
    example = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in unread.example)[:60]
    doubt = f"{listed([unread.column])} needs a format under [source.time]: '{example}' looks like {draft.pattern}"
    if unread.written.ambiguous:
        doubt += ", or with %d and %m the other way: no value says which"
    draft.doubts = (doubt,)
    draft.wanting = (*draft.wanting, f"{listed([unread.column])} cannot be read until format is uncommented")


def _shaped(table: _Table, known: ShapeTable, sample: Sample) -> _Draft:
    if known.kind == "companion":
        return _Draft(table, "left out", "companion", known.shape, reason=known.note or "not events")
    roles = shape_named(known.shape).roles
    draft = _Draft(table, "active", known.kind, known.shape, roles=roles, shape_table=known)
    if known.shape == OWN:
        _look_at_texts(draft, sample)
    return draft


def _look_at_texts(draft: _Draft, sample: Sample) -> None:
    """Text of our own columns may be written in ways that have to be declared."""
    table = draft.table
    named = [
        (name, type_)
        for name, type_ in table.files[0].columns
        if type_ == "VARCHAR" and COLUMNS.get(name) in ("money", "time")
    ]
    if not named:
        return
    names, columns = [name for name, _ in named], [Typed(f"f.{quote(name)}", type_) for name, type_ in named]
    (row,) = sample(guessing.looks_sql(columns, _scan(table)))
    seen = guessing.looks(columns, names, row)
    _judge_amounts(draft, [look for name, look in seen.items() if COLUMNS[name] == "money"])
    if "ts" in seen and not seen["ts"].times:
        unread = guessing.unread_time({"ts": seen["ts"]}, frozenset(), _scan(table), sample)
        if unread is not None:
            _want_format(draft, unread)


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


def _text(drafts: Sequence[_Draft], aside: Sequence[str], timezone: str, *, asked: bool) -> str:
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
    if aside:
        lines += ["", *(f"# left out: {_comment(line)}" for line in aside)]
    return "\n".join([*lines, *_role_lines(drafts)]) + "\n"


def _source_lines(draft: _Draft, name: str) -> list[str]:
    paths = [toml_string(path) for path in draft.table.paths]
    lines = ["[[source]]", f"name = {toml_string(name)}"]
    lines.append(f"path = {paths[0]}" if len(paths) == 1 else f"path = [{', '.join(paths)}]")
    tables = [toml_string(table) for table in draft.table.tables]
    if tables:
        lines.append(f"table = {tables[0]}" if len(tables) == 1 else f"table = [{', '.join(tables)}]")
    if draft.table.encoding is not None:
        lines.append(f"encoding = {toml_string(draft.table.encoding)}")
    if draft.kind != "events":
        lines.append(f"kind = {toml_string(draft.kind)}")
    if draft.shape is not None:
        return [*lines, f"shape = {toml_string(draft.shape)}", *_written_lines(draft)]
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
    return lines + _written_lines(draft)


def _written_lines(draft: _Draft) -> list[str]:
    """How its texts are written."""
    lines = []
    if draft.pattern is not None:
        lines += [
            "[source.time]",
            f"# format = {toml_string(draft.pattern)}  # a guess: uncomment it if it is right",
        ]
    if draft.decimal_comma:
        lines += ["[source.money]", 'decimal = ","']
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
        if draft.table.encoding is not None and not sure:
            told.append(f"{draft.table.name}: read as {draft.table.encoding.upper()}")
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
    out += [f"{d.table.name}: {line}" for d in active for line in d.wanting]
    out += [f"{d.table.name}: not mapped, kept as properties: {listed(d.rest)}" for d in mapped if d.rest]
    return out
