"""Reaches into a file's columns: paths, templates of shapes, and lists whose elements are rows of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.sources import duck_types
from workbench.sources.duck_types import Typed, literal, quote, reach
from workbench.sources.shapes import ShapeTable
from workbench.workspace import Take

ROW = "row"
"""What an element of a table's ``rows`` is called in paths."""
UNNESTED, UNNESTED_NUMBER = "unnested_row", "unnested_number"
"""The columns an unnested scan has beside the file's own."""

_PLACEHOLDER = re.compile(r"\{(length )?([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class FileMap:
    """The canonical columns and the properties of one file, as SQL over the file's columns."""

    canonical: Mapping[str, tuple[Typed, ...]]
    """Of several the first that is not null."""
    properties: Mapping[str, Typed]
    rows: str | None = None
    """The list whose elements are the rows, as SQL; None: the file's own rows."""
    where: str | None = None
    """The condition on rows, as SQL."""
    items: tuple[FileMap, ...] = ()
    """What the events of this file say of items."""


@dataclass(frozen=True, slots=True)
class NotRead:
    """Why a file is no event file, or can't be read as one."""

    reason: str
    hint: str | None = None
    unlike: bool = False
    """True where nothing says that it was meant to hold events."""


def render(template: str, columns: Mapping[str, Typed], companions: Mapping[str, Sequence[str]]) -> str:
    """A shape's expression with its ``{path}``, ``{length path}`` and ``{companion.name}`` as text."""

    def put(found: re.Match[str]) -> str:
        path = found[2].strip()
        head, _, rest = path.partition(".")
        if head in companions and duck_types.match(head, columns) is None:
            return f"{quote(head)}.{quote(rest)}" if rest in companions[head] else "NULL::VARCHAR"
        column = reached_at(path, columns)
        if column is None:
            return "NULL::VARCHAR"
        return f"CAST({duck_types.length(column[1])} AS VARCHAR)" if found[1] else duck_types.text(column[1])

    return _PLACEHOLDER.sub(put, template)


def taken(
    take: Take,
    columns: Mapping[str, Typed],
    used: set[str],
    file_name: str,
    companions: Mapping[str, Sequence[str]],
) -> tuple[Typed, ...]:
    """The columns a canonical one is taken from, empty where a file has none of them.

    Whole columns taken are added to ``used``; ``file_name`` and ``companions`` are as in ``map_file``.
    """
    if take.constant is not None:
        return (Typed(f"{literal(take.constant)}::VARCHAR", "VARCHAR"),)
    if take.file:
        return (Typed(file_name, "VARCHAR"),)
    if take.sql is not None:
        return (Typed(f"({render(take.sql, columns, companions)})", "VARCHAR"),)
    found = []
    for path in take.names:
        reached = reached_at(path, columns)
        if reached is not None:
            found.append(reached[1])
            if reached[1] is columns[reached[0]]:
                used.add(reached[0])
    return tuple(found)


def reached_at(path: str, columns: Mapping[str, Typed]) -> tuple[str, Typed] | None:
    """The column a path begins in and what it leads to; a column of that whole name goes first."""
    whole = duck_types.match(path, columns)
    if whole is not None:
        return whole, columns[whole]
    parts = duck_types.steps(path)
    for cut in range(len(parts) - 1, 0, -1):
        root = duck_types.match(".".join(parts[:cut]), columns)
        if root is not None:
            found = reach(columns[root], parts[cut:])
            return None if found is None else (root, found)
    return None


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows a table has where each of its own holds many."""

    sql: str
    """The list."""
    element: Typed
    root: str
    """The column that held the list."""


def unnested(path: str | None, columns: Mapping[str, Typed], alias: str) -> Rows | NotRead | None:
    """The rows behind a path to a list; None without a path."""
    if path is None:
        return None
    reached = reached_at(path, columns)
    listed_ = None if reached is None else duck_types.elements(reached[1])
    if reached is None or listed_ is None:
        return NotRead(f"no list {path}")
    return Rows(listed_.sql, Typed(f"{alias}.{quote(UNNESTED)}", listed_.type[:-2]), reached[0])


def items_of(
    table: ShapeTable | None,
    columns: Mapping[str, Typed],
    alias: str,
    file_name: str,
    companions: Mapping[str, Sequence[str]],
) -> tuple[FileMap, ...]:
    """What a table's own rows say of items; where a file lacks the list, nothing."""
    found = []
    for one in () if table is None else table.items:
        rows = unnested(one.rows, columns, alias)
        if isinstance(rows, NotRead):
            continue
        reached = columns if rows is None else {**columns, ROW: rows.element}
        parts = {name: taken(take, reached, set(), file_name, companions) for name, take in one.map.items()}
        where = None if one.where is None else render(one.where, reached, companions)
        canonical = {name: found_ for name, found_ in parts.items() if found_}
        found.append(FileMap(canonical, {}, None if rows is None else rows.sql, where))
    return tuple(found)


def first_of(times: tuple[Typed, ...]) -> tuple[Typed, ...]:
    """Several columns of moments of one type as one; of other types only the first can be read."""
    alike = [one.sql for one in times if one.type == times[0].type]
    return times if len(alike) == 1 else (Typed(f"coalesce({', '.join(alike)})", times[0].type),)
