"""What stands beside the columns of a table: lines above it, headings of its sections, texts under a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from workbench.text import clean, pad, width

if TYPE_CHECKING:
    from queries.question import Page, Row, Section, Shown

INDENT = "  "
_NOTHING = object()


def lines_above(page: Page, columns: int) -> Iterator[str]:
    """The lines of label and text, the texts under one another; a label said twice running is said once."""
    wide = max((width(clean(label)) for label, _ in page.lines), default=0)
    last = ""
    for label, text in page.lines:
        shown = "" if label == last else clean(label)
        last = label
        for number, part in enumerate(_wrapped(clean(text), columns - wide - 2)):
            yield f"{pad('' if number else shown, wide)}  {part}"


def beside(page: Page, rows: Sequence[Row], columns: int) -> Callable[[int], tuple[list[str], list[str]]]:
    """The lines before and after each row, by its number."""
    before: dict[int, list[str]] = {}
    held: list[object] = [_NOTHING] * len(page.sections)
    for number, row in enumerate(rows):
        values = [row.get(section.key) for section in page.sections]
        changed = next(
            (at for at, value in enumerate(values) if value != held[at] or held[at] is _NOTHING), None
        )
        if changed is not None:
            before[number] = _headings(page.sections, values, changed, columns)
        held = values

    def of(number: int) -> tuple[list[str], list[str]]:
        return before.get(number, []), _below(page.below, rows[number], columns)

    return of


def extra_columns(page: Page) -> tuple[tuple[Shown, ...], tuple[Shown, ...]]:
    """The same as columns, before and after a table's own, for a face without lines between its rows."""
    from queries.question import Shown

    first = tuple(Shown(section.key, section.key) for section in page.sections)
    return first, () if page.below is None else (Shown(page.below, page.below),)


def told_whole(page: Page, row: Row) -> Row:
    """A row with the texts under it as one text, for a cell that is not cut."""
    texts = row.get(page.below) if page.below is not None else None
    if not isinstance(texts, list | tuple):
        return row
    return {**row, str(page.below): "; ".join(map(str, texts))}


def _headings(sections: Sequence[Section], values: Sequence[object], changed: int, columns: int) -> list[str]:
    found = [""]
    for depth in range(changed, len(sections)):
        text = clean(sections[depth].heading(values[depth]))
        found += [INDENT * depth + part for part in _wrapped(text, columns - 2 * depth)]
    return found


def _below(key: str | None, row: Mapping[str, object], columns: int) -> list[str]:
    texts = row.get(key) if key is not None else None
    if not isinstance(texts, list | tuple):
        return []
    lead = INDENT * 2
    return [
        f"{lead}{'! ' if not number else INDENT}{part}"
        for text in texts
        for number, part in enumerate(_wrapped(clean(text), columns - len(lead) - 2))
    ]


def _wrapped(text: str, cells: int) -> list[str]:
    """Cleaned text in lines of about so many cells; wide characters count for two."""
    cells = max(cells, 20)
    wide = width(text)
    return wrap(text, cells if wide == len(text) else max(cells * len(text) // wide, 10)) or [""]
