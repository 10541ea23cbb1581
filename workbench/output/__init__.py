"""The only writer of standard output and of exports: one result in, one format out.

Every format but the table is written as its rows are read; a file appears whole or not at all; nothing is
left out silently.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from workbench.errors import UsageError
from workbench.output.delimited import Formulas, columns_of, delimited
from workbench.output.documents import command_line, json_envelope, json_line, json_lines
from workbench.output.files import atomic, check_destination
from workbench.output.streams import (
    ClosedPipe,
    Sink,
    encoding_of_stdout,
    standard_output,
    stdout_is_terminal,
)
from workbench.output.table import Paper, markdown, table
from workbench.values import plain

if TYPE_CHECKING:
    from queries.question import Note, Result, Row

__all__ = [
    "FORMATS",
    "ClosedPipe",
    "Format",
    "Sink",
    "atomic",
    "check_destination",
    "command_line",
    "format_of",
    "json_line",
    "plain",
    "write",
    "write_text",
]

Format = Literal["table", "json", "jsonl", "csv", "tsv", "md", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)

_CHUNK = 1 << 16
_FOREIGN = (".xlsx", ".xls", ".ods", ".html", ".xml", ".yaml", ".feather", ".arrow", ".db", ".duckdb")
"""Endings of files that a table's text would not be."""
_ENDINGS: dict[str, Format] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".md": "md",
    ".parquet": "parquet",
}


def write(
    result: Result,
    *,
    format: Format = "table",
    destination: Path | None = None,
    force: bool = False,
    csv_safe: bool = False,
    limit: int | None = None,
    protected: Sequence[Path] = (),
    note: Callable[[Note], None] | None = None,
) -> None:
    """Writes an answer to standard output, or to ``destination`` (``-`` is standard output too).

    ``limit`` leaves out the rows after so many, and says so. ``note`` gets what the reader should know and
    the format has no place for: all notes, but for JSON only those of the writing itself. Raises UsageError
    for a destination that cannot be, QueryFailed when it cannot be written, ClosedPipe when the reader has
    gone; what reading the rows raises passes through.
    """
    place = _place(destination, force, protected)
    if format == "parquet" and place.terminal:
        raise UsageError("Parquet is not for a terminal", "give --output FILE, or pipe it on")
    cut = _cut(result, limit)
    rows = _limited(result.rows, limit) if cut else result.rows
    notes = (*result.notes, *cut)
    formulas = Formulas(disarm=csv_safe)
    with place.open() as sink:
        if format == "parquet":
            _write_parquet(result, rows, sink)
        else:
            encoding = place.encoding if format in ("table", "md") else "utf-8"
            _pour(_text(format, result, rows, notes, formulas, place), sink, encoding)
    if note is not None:
        for each in (*(cut if format == "json" else notes), *_formula_note(formulas)):
            note(each)


def format_of(path: Path) -> Format | None:
    """The format that a file's name asks for, None where it asks for none.

    Raises UsageError for a name that promises what nothing here writes.
    """
    ending = path.suffix.lower()
    if ending in _FOREIGN:
        raise UsageError(f"{path}: nothing here writes {ending}", "name it .csv, .json or .parquet")
    return _ENDINGS.get(ending)


def write_text(
    text: str, *, destination: Path | None = None, force: bool = False, protected: Sequence[Path] = ()
) -> None:
    """Writes text as it is (SQL, a script for a shell, settings), with a newline at its end.

    The text is ours or meant for a program: whoever puts data into it for people cleans it. Raises as
    :func:`write` does.
    """
    place = _place(destination, force, protected)
    with place.open() as sink:
        _pour([text if text.endswith("\n") else text + "\n"], sink, place.encoding)


@dataclass(frozen=True, slots=True)
class _Place:
    open: Callable[[], AbstractContextManager[Sink]]
    encoding: str
    terminal: bool

    @property
    def ascii_only(self) -> bool:
        return self.encoding != "utf-8"

    @property
    def paper(self) -> Paper:
        if not self.terminal:
            return Paper(encoding=self.encoding)
        bold = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") not in ("", "dumb")
        return Paper(shutil.get_terminal_size().columns, bold, self.encoding)


def _place(destination: Path | None, force: bool, protected: Sequence[Path]) -> _Place:
    if destination is None or str(destination) == "-":
        return _Place(standard_output, encoding_of_stdout(), stdout_is_terminal())
    return _Place(lambda: atomic(destination, force=force, protected=protected), "utf-8", False)


def _text(
    format: Format,
    result: Result,
    rows: Iterable[Row],
    notes: Sequence[Note],
    formulas: Formulas,
    place: _Place,
) -> Iterator[str]:
    if format == "json":
        return json_envelope(result, rows, notes, ascii_only=place.ascii_only)
    if format == "jsonl":
        return json_lines(rows, ascii_only=place.ascii_only)
    if format in ("csv", "tsv"):
        return delimited(
            rows, columns_of(result), delimiter="," if format == "csv" else "\t", formulas=formulas
        )
    if format == "md":
        return markdown(result, rows, place.encoding)
    return table(result, rows, place.paper)


def _write_parquet(result: Result, rows: Sequence[Row], sink: Sink) -> None:
    # pyarrow stays unloaded for every other format.
    from workbench.output.parquet import write_parquet

    write_parquet(result, rows, columns_of(result), sink)


def _pour(pieces: Iterable[str], sink: Sink, encoding: str) -> None:
    """Writes pieces of text in large chunks.

    What the encoding lacks becomes a backslash escape, which in JSON means the same character.
    """
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _CHUNK:
            sink.write("".join(waiting).encode(encoding, "backslashreplace"))
            waiting.clear()
            size = 0
    if waiting:
        sink.write("".join(waiting).encode(encoding, "backslashreplace"))


def _limited(rows: Sequence[Row], limit: int | None) -> Sequence[Row]:
    return list(islice(rows, limit))


def _cut(result: Result, limit: int | None) -> tuple[Note, ...]:
    if limit is None or len(result.rows) <= limit:
        return ()
    from queries.question import Note

    left_out = len(result.rows) - limit
    return (Note("limit", f"{limit:,} of {len(result.rows):,} rows, {left_out:,} left out", count=left_out),)


def _formula_note(formulas: Formulas) -> tuple[Note, ...]:
    if not formulas.cells:
        return ()
    # Here, not above: it brings numpy, which the help does without.
    from queries.question import Note

    cells = f"{formulas.cells:,} cell{'s' if formulas.cells > 1 else ''}"
    if formulas.disarm:
        return (Note("formula-cells", f"' put before {cells} a spreadsheet would run", count=formulas.cells),)
    text = f"{cells} a spreadsheet would run as a formula; --csv-safe puts ' before them"
    return (Note("formula-cells", text, "warning", formulas.cells),)
