"""What a question about the data itself sees beyond valid events: files, ids, what is no event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from queries.question import Data


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that is read."""

    source: str
    name: str
    path_columns: tuple[str, ...]
    """Columns that stand in its path and not in its rows."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a question about the data itself needs beyond valid events.

    Beside ``events`` and ``people`` its SQL may then read ``source_events``: every row of the export, valid or
    not, without ``person``, with ``ts_given`` (a time was there) and ``source_index``.
    """

    ids: tuple[str, ...]
    """The id columns, in order of trust."""
    junk: tuple[str, ...]
    """Words that are no id."""
    valid: tuple[int, int]
    """From when (inclusive) to when (exclusive) a time is believed, UTC ms."""
    files: tuple[SourceFile, ...]
    """By their number: a row's ``place`` is that times 2^40 and its own number in the file."""
    items: bool
    """Whether there is a relation ``items``."""
    written_amounts: str | None
    """SELECT of (place, name, value): amounts that stand as text where text is not plain, None without any."""


class Inspected(Data, Protocol):
    """Data that also says what it was made from."""

    def material(self) -> Material:
        """Files, ids and what is not valid. Raises as the survey does."""
        ...
