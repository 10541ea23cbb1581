"""Decides where a statement reads its events: from the store's runs where they have every column it names.

Both give the relation ``events`` with the same rows and codes of people; they differ in what they cost. A statement
of which it is not certain that the runs will do reads the files.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from queries.question import Column

SCHEMA = "runs"
"""The schema whose ``events`` reads the store, as the one of the main schema reads the files."""
IDS_SCHEMA = "runs_ids"
"""The same with the raw ids, which lie beside the runs."""

_TEXT = re.compile(r"'(?:[^']|'')*'")
_REMARK = re.compile(r"--[^\n]*")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_WORD = re.compile(r"\w+")
# A star that stands for columns, neither a count's nor a factor's; with a name, those of that relation.
_STAR = re.compile(r"(?:\bSELECT|\bDISTINCT|,|(\w+)\s*\.)\s*\*", re.IGNORECASE)
_PART = re.compile(r"[()]|\bFROM\b\s*(\()?", re.IGNORECASE)


SOURCE_EVENTS = "source_events"
"""Every row of the files: where all are events, the runs have them too, but for columns that nobody names."""
_OF_FILES = {"ts_given", "columns"}
"""Words of statements that read the files whatever columns the runs have."""


class Planner:
    """The way of every statement over one store; relations made later are told to it."""

    def __init__(
        self, fixed: Collection[str], ids: Collection[str], columns: Sequence[Column], kept: Collection[str]
    ) -> None:
        """``columns`` are all that the files have beyond the ``fixed`` ones, ``kept`` those of the runs."""
        there = {*fixed, *kept, *ids, "person"} - {"ts_given"}
        missing = [column for column in columns if column.name not in there]
        # The name of a property stands in quotes wherever it stands.
        self._missing = {column.name.casefold(): column.name for column in missing}
        self._missing_words = {column.name.casefold() for column in missing if column.canonical}
        self._ids = {name.casefold() for name in ids}
        self.is_whole = not missing
        """Whether the runs have every column that the files have."""
        self._relations: dict[str, set[str]] = {SCHEMA: set(), IDS_SCHEMA: set()}

    def know(self, relation: str, schema: str) -> None:
        """A relation of events that a schema has."""
        self._relations[schema].add(relation)

    def reads_events(self, sql: str) -> bool:
        """Whether a statement names a relation of events."""
        return bool(set(_WORD.findall(_bare(sql))) & {SOURCE_EVENTS, *self._relations[IDS_SCHEMA]})

    def schema(self, sql: str) -> str | None:
        """The schema a statement is asked in; None for that of the files."""
        bare = _bare(sql)
        found = self._carrying(bare)
        if found is not None and any(not _is_of_query(star, bare) for star in _STAR.finditer(bare)):
            return IDS_SCHEMA if self.is_whole and SOURCE_EVENTS not in _names(bare)[1] else None
        return found

    def carries(self, sql: str, schema: str) -> bool:
        """Whether a relation can be defined in a schema; a star in it stands for that schema's columns."""
        bare = _bare(sql)
        found = None if SOURCE_EVENTS in _names(bare)[1] else self._carrying(bare)
        return found is not None and (found == SCHEMA or schema == IDS_SCHEMA)

    def missed(self, sql: str) -> set[str]:
        """The columns for which a statement over events reads the files."""
        quoted, words = _names(_bare(sql))
        return {
            self._missing[name] for name in (quoted & self._missing.keys()) | (words & self._missing_words)
        }

    def _carrying(self, bare: str) -> str | None:
        quoted, words = _names(bare)
        if quoted & self._missing.keys() or words & self._missing_words or words & _OF_FILES:
            return None
        if SOURCE_EVENTS in words and SOURCE_EVENTS not in self._relations[SCHEMA]:
            return None
        schema = IDS_SCHEMA if (quoted | words) & self._ids else SCHEMA
        return schema if words & self._relations[schema] else None


def _names(bare: str) -> tuple[set[str], set[str]]:
    """The names in quotes, and all other words, without case."""
    quoted = {name.replace('""', '"').casefold() for name in _QUOTED.findall(bare)}
    return quoted, {word.casefold() for word in _WORD.findall(_QUOTED.sub(" ", bare))}


def _bare(sql: str) -> str:
    """A statement without texts and remarks."""
    return _REMARK.sub(" ", _TEXT.sub("''", sql))


def _is_of_query(star: re.Match[str], bare: str) -> bool:
    """Whether a star stands for the columns of a query in the same statement, which is looked at itself."""
    if star[1] is not None:
        return re.search(rf"\b{re.escape(star[1])}\s+AS\s*\(", bare) is not None
    depth = 0
    for part in _PART.finditer(bare, star.end()):
        if part[0] in "()":
            depth += 1 if part[0] == "(" else -1
            if depth < 0:
                return False
        elif depth == 0:
            return part[1] is not None
        elif part[1] is not None:
            depth += 1
    return False
