"""Says how the files of a source differ in their columns, read from their footers alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from queries.question import ColumnKind, Note
from workbench.sources.duck_types import is_nothing, kind_of_type
from workbench.sources.mapping import listed, usable
from workbench.sources.snapshot import DataFile

Seen = tuple[str, DataFile]
"""A file's name inside its source, and the file."""


def wider(one: ColumnKind | None, other: ColumnKind | None) -> ColumnKind | None:
    """The kind that holds both; None is a column that never held a value."""
    if one is None or other is None or one == other:
        return one or other
    return "number" if {one, other} == {"integer", "number"} else "text"


def notes(source: str, seen: Sequence[Seen]) -> Iterator[Note]:
    """What a reader of the numbers should know of a source's files; nothing for files that are alike."""
    files = sorted(seen, key=lambda one: one[0].encode("utf-8", "surrogateescape"))
    columns = [{name.casefold(): type_ for name, type_ in file.columns} for _, file in files]
    if any(one != columns[0] for one in columns):
        names = [name for name, _ in files]
        order: dict[str, str] = {}
        for _, file in files:
            for name, _ in file.columns:
                order.setdefault(name.casefold(), name)
        for folded, name in order.items():
            yield from _presence(source, folded, name, names, columns)
            yield from _types(source, name, names, [one.get(folded) for one in columns])
    yield from _overridden(source, files)
    yield from _unusable(source, files)


def _unusable(source: str, files: Sequence[Seen]) -> Iterator[Note]:
    names = dict.fromkeys(name for _, file in files for name, _ in file.columns if not usable(name))
    if names:
        text = (
            f"{source}: column {listed([name or '(empty)' for name in names])} is left out: a name is of "
            "1 to 128 printable characters"
        )
        yield Note("column-left-out", text, "warning", len(names))


def _presence(
    source: str, folded: str, name: str, names: Sequence[str], columns: Sequence[Mapping[str, str]]
) -> Iterator[Note]:
    lack = [one for one, own in zip(names, columns, strict=True) if folded not in own]
    if lack and folded in columns[0]:
        text = f"{source}: column {listed([name])} is missing in {_files(lack)}: null there"
        yield Note("column-missing", text, "warning", len(lack))
    elif lack:
        have = [one for one, own in zip(names, columns, strict=True) if folded in own]
        text = f"{source}: column {listed([name])} is only in {_files(have)}"
        yield Note("column-extra", text, count=len(have))


def _types(source: str, name: str, names: Sequence[str], by_file: Sequence[str | None]) -> Iterator[Note]:
    types: dict[str, str] = {}
    for one, type_ in zip(names, by_file, strict=True):
        if type_ is not None and not is_nothing(type_):
            types.setdefault(type_, one)
    kinds = {kind_of_type(type_) for type_ in types}
    dates = "DATE" in types and "time" in kinds
    if len(kinds) < 2 and not dates and not _clocks(list(types)):
        return
    told = ", ".join(f"{type_[:40]} in {listed([one])}" for type_, one in list(types.items())[:4])
    widest: ColumnKind | None = None
    for kind in kinds:
        widest = wider(widest, kind)
    read = "time" if dates or _clocks(list(types)) else widest
    yield Note("column-widened", f"{source}: column {listed([name])} is {told}: read as {read}", "warning")


def _clocks(types: Sequence[str]) -> bool:
    """Whether some times carry a zone and some don't."""
    stamps = [type_ for type_ in types if type_.startswith("TIMESTAMP")]
    return len({"TZ" in type_ or "TIME ZONE" in type_ for type_ in stamps}) > 1


def _overridden(source: str, files: Sequence[Seen]) -> Iterator[Note]:
    keys: dict[str, list[str]] = {}
    for one, file in files:
        have = {name.casefold() for name, _ in file.columns} if file.listed.partitions else set()
        for key in file.listed.partitions:
            if key.casefold() in have:
                keys.setdefault(key, []).append(one)
    for key, names in keys.items():
        text = (
            f"{source}: {listed([key])} is a column and a folder's key; the column is read ({_files(names)})"
        )
        yield Note("partition-overridden", text, "warning", len(names))


def _files(names: Sequence[str]) -> str:
    return listed(names, 3)
