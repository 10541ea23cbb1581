"""Answers as CSV and TSV: every key of a row, the bytes of the data, RFC 4180 quoting."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.values import plain

if TYPE_CHECKING:
    from queries.question import Result, Row

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


@dataclass(slots=True)
class Formulas:
    """Text cells that a spreadsheet would run: begins with ``= + - @``, TAB or CR and is no number."""

    disarm: bool
    """Puts ``'`` before such a cell, as ``--csv-safe`` asks."""
    cells: int = 0

    def check(self, text: str) -> str:
        """The cell as it is written, counted when a spreadsheet would run it."""
        if not _FORMULA.match(text) or _NUMBER.fullmatch(text):
            return text
        self.cells += 1
        return "'" + text if self.disarm else text


class _Line:
    def write(self, line: str) -> str:
        return line


def delimited(
    rows: Iterable[Row], columns: Sequence[str], *, delimiter: str, formulas: Formulas
) -> Iterator[str]:
    """A header and one line a row, ``\\n`` at the end of each.

    Null is empty, booleans are ``true`` and ``false``, what is nested is JSON text. Raises ValueError for a
    row with a key that is not among the columns.
    """
    # With \r\n as its line end the writer quotes both characters inside cells.
    writer = csv.writer(_Line(), delimiter=delimiter, lineterminator="\r\n")
    known = set(columns)

    def line(cells: Iterable[object]) -> str:
        written: str = writer.writerow(cells)
        return written[:-2] + "\n"

    yield line(formulas.check(name) for name in columns)
    for row in rows:
        if not known.issuperset(row):
            raise ValueError(f"row with keys the header lacks: {sorted(set(row) - known)}")
        yield line(_cell(row.get(name), formulas) for name in columns)


def columns_of(result: Result) -> list[str]:
    """The keys of a result's rows in order; without a row, those its table would show.

    Rows in memory may differ in their keys; rows made as they are read take those of the first.
    """
    rows = result.rows
    if not rows:
        return list(dict.fromkeys(key for shown in result.layout for key in (shown.key, shown.high) if key))
    if isinstance(rows, list | tuple):
        return list(dict.fromkeys(key for row in rows for key in row))
    return list(rows[0])


def _cell(value: object, formulas: Formulas) -> object:
    value = plain(value)
    if isinstance(value, str):
        return formulas.check(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return value
