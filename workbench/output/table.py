"""Answers as tables for people: aligned columns, folded on a narrow terminal; or as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from textwrap import wrap
from typing import TYPE_CHECKING

from workbench.output import paging
from workbench.output.cells import align, cell
from workbench.output.paging import lines_above
from workbench.text import NULL, Align, clean, pad, width

if TYPE_CHECKING:
    from queries.question import Result, Row, Shown

GAP = 2
"""Cells between columns; one where that spares a fold."""
NO_ROWS = "(no rows)"
PROSE = 120
"""Cells a line of prose has where the paper has no edge."""

_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w)")


@dataclass(frozen=True, slots=True)
class Paper:
    """What a table is written on."""

    columns: int | None = None
    """Cells a line has; None where lines may be as long as they like."""
    bold: bool = False
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    cells: Sequence[str]
    align: Align
    kind: str
    names: bool = False

    @property
    def width(self) -> int:
        return max(map(width, (self.heading, *self.cells)))


def table(result: Result, rows: Iterable[Row], paper: Paper) -> Iterator[str]:
    """Lines of the table, every row and every column of the layout, then the rule in words.

    Where the lines would be wider than the paper, the columns that do not fit follow in a block of their own
    under the first, beginning with the columns that name the row.
    """
    fit = _fitting(paper.encoding)
    rows = list(rows)
    columns = [
        _Column(
            fit(clean(shown.heading)),
            [fit(cell(row, shown)) for row in rows],
            align(shown),
            shown.kind,
            shown.names,
        )
        for shown in layout_of(result)
    ]
    gap, blocks = _blocks(columns, paper.columns) if columns else (GAP, [])
    beside = None
    if result.page is not None:
        for line in lines_above(result.page, paper.columns or PROSE):
            yield fit(line) + "\n"
        yield "\n"
        beside = paging.beside(result.page, rows, paper.columns or PROSE)
    for number, block in enumerate(blocks):
        if number:
            yield "\n"
        # What stands beside the rows is said once, in the first block.
        yield from map(fit, _block(block, len(rows), paper.bold, gap, None if number else beside))
    if not rows:
        yield NO_ROWS + "\n"
    if result.rule:
        yield "\n"
        for line in result.rule.split("\n"):
            yield from (fit(part) + "\n" for part in wrap(clean(line), paper.columns or PROSE))


def markdown(result: Result, rows: Iterable[Row], encoding: str) -> Iterator[str]:
    """Lines of a pipe table with the cells of the table; nothing in the data is taken for Markdown."""
    fit = _fitting(encoding)
    layout = layout_of(result)
    if result.page is not None:
        first, last = paging.extra_columns(result.page)
        layout = (*first, *layout, *last)

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cells) + " |\n"

    def escape(text: str) -> str:
        return fit(_MARKDOWN.sub(r"\\\g<0>", text))

    if result.page is not None and result.page.lines:
        for label, text in result.page.lines:
            yield f"- {escape(clean(label))}: {escape(clean(text))}\n"
        yield "\n"
    yield line(escape(clean(shown.heading)) for shown in layout)
    yield line("---:" if align(shown) == "right" else "---" for shown in layout)
    for row in rows:
        told = row if result.page is None else paging.told_whole(result.page, row)
        yield line(escape(cell(told, shown)) for shown in layout)
    if result.rule:
        yield "\n" + escape(clean(" ".join(result.rule.split()))) + "\n"


def layout_of(result: Result) -> tuple[Shown, ...]:
    """The columns of a result as laid out, or every key of its rows where nothing is said."""
    if result.layout:
        return result.layout
    from queries.question import Shown

    first: Mapping[str, object] = next(iter(result.rows), {})
    sample = list(islice(result.rows, 100))
    return tuple(Shown(key, key, "number" if _numeric(key, sample) else "text") for key in first)


def _numeric(key: str, rows: Sequence[Row]) -> bool:
    values = [row.get(key) for row in rows]
    return any(value is not None for value in values) and all(
        value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values
    )


def _block(
    columns: Sequence[_Column],
    rows: int,
    bold: bool,
    gap: int,
    beside: Callable[[int], tuple[list[str], list[str]]] | None,
) -> Iterator[str]:
    widths = [column.width for column in columns]

    def line(cells: Iterable[str]) -> str:
        padded = (
            pad(text, cells_wide, column.align)
            for text, cells_wide, column in zip(cells, widths, columns, strict=True)
        )
        return (" " * gap).join(padded).rstrip(" ")

    header = line(column.heading for column in columns)
    yield f"\x1b[1m{header}\x1b[0m\n" if bold else f"{header}\n"
    for number in range(rows):
        before, after = ([], []) if beside is None else beside(number)
        yield from (text + "\n" for text in before)
        yield line(column.cells[number] for column in columns) + "\n"
        yield from (text + "\n" for text in after)


def _blocks(columns: Sequence[_Column], available: int | None) -> tuple[int, list[list[_Column]]]:
    """How many cells lie between columns, and which columns stand side by side."""
    if available is None or _wide(columns, GAP) <= available:
        return GAP, [list(columns)]
    if _wide(columns, 1) <= available:
        return 1, [list(columns)]
    names = _naming(columns)
    while names and _wide(names, 1) > available // 2:
        names.pop()
    # The first block has its columns in their order; each further one begins with those that name a row.
    blocks: list[list[_Column]] = [[]]
    for column in columns:
        own = len(blocks[-1]) - (len(names) if len(blocks) > 1 else 0)
        if own > 0 and _wide([*blocks[-1], column], 1) > available:
            blocks.append(names.copy())
        if len(blocks) == 1 or not any(column is name for name in names):
            blocks[-1].append(column)
    return (GAP if all(_wide(block, GAP) <= available for block in blocks) else 1), blocks


def _wide(columns: Sequence[_Column], gap: int) -> int:
    return sum(column.width for column in columns) + gap * (len(columns) - 1)


def _naming(columns: Sequence[_Column]) -> list[_Column]:
    """The columns that name a row, as marked; else the first, or a number and what it numbers."""
    marked = [column for column in columns if column.names]
    if marked:
        return marked
    numbered = len(columns) > 2 and columns[0].kind != "text" and columns[1].kind == "text"
    return list(columns[: 2 if numbered else 1])


def _fitting(encoding: str) -> Callable[[str], str]:
    """Text as an encoding can carry it: our own dashes in ASCII, what data holds as ``\\u`` escapes."""
    if encoding == "utf-8":
        return lambda text: text

    def fit(text: str) -> str:
        try:
            return text.encode(encoding).decode(encoding)
        except UnicodeEncodeError:
            plain = text.replace(NULL, "-").replace("…", "...")
            return "".join(map(_escaped, plain)) if not plain.isascii() else plain

    def _escaped(char: str) -> str:
        try:
            char.encode(encoding)
        except UnicodeEncodeError:
            code = ord(char)
            return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
        return char

    return fit
