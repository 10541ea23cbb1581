"""What a cell shows, said in SQL, so that a search over a million rows finds what a reader sees.

Follows :func:`workbench.output.cells.cell`; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from queries.quoting import quote_literal
from workbench.output.cells import cell
from workbench.table_rows import Kind, Rows
from workbench.text import NULL

if TYPE_CHECKING:
    from queries.question import Shown


def whole(row: Mapping[str, object], shown: Shown) -> str:
    """A cell's text, not cut to the column's cells."""
    return cell(row, shown if shown.cells is None else replace(shown, cells=None))


def shown_sql(rows: Rows, shown: Shown, keys: list[str]) -> str | None:
    """The text of a column's cells as SQL over columns c0, c1 …; what it reads is added to ``keys``.

    None where only Python can write the cell.
    """
    if shown.kind in ("interval", "json", "exact") or not _plain_flags(rows, shown):
        return None
    value = _value_sql(rows, shown, keys)
    if value is None:
        return None
    for key, word in reversed(shown.words):
        if (flag := _flag(rows, key, keys)) is not None:
            value = f"CASE WHEN {flag} THEN {quote_literal(word)} ELSE {value} END"
    for key, word in shown.marks:
        if (flag := _flag(rows, key, keys)) is not None:
            value = f"({value} || CASE WHEN {flag} THEN {quote_literal(f' ({word})')} ELSE '' END)"
    return value


def _plain_flags(rows: Rows, shown: Shown) -> bool:
    told = {key for key, _ in (*shown.words, *shown.marks)}
    return all(rows.kind(key) in (None, "nothing", "boolean") for key in told)


def _flag(rows: Rows, key: str, keys: list[str]) -> str | None:
    return None if rows.kind(key) in (None, "nothing") else f"coalesce({_name(key, keys)}, false)"


def _name(key: str, keys: list[str]) -> str:
    if key not in keys:
        keys.append(key)
    return f"c{keys.index(key)}"


def _value_sql(rows: Rows, shown: Shown, keys: list[str]) -> str | None:
    kind = rows.kind(shown.key)
    null = quote_literal(NULL if shown.null is None else shown.null)
    if kind in (None, "nothing"):
        return null
    if kind in ("numeric", "decimal", "json", "given"):
        return None
    text = _text_sql(_name(shown.key, keys), kind, shown.kind)
    return f"coalesce({text}, {null})"


def _text_sql(name: str, kind: Kind | None, shown: str) -> str:
    if kind == "boolean":
        return f"CASE {name} WHEN true THEN 'yes' WHEN false THEN 'no' END"
    if kind == "text":
        if shown == "time":
            return f"replace({name}[:19], 'T', ' ')"
        return f"{name}[12:19]" if shown == "clock" else name
    if shown == "text":
        return f"CAST({name} AS VARCHAR)"
    if shown == "percent":
        return _percent(name)
    if shown == "rate":
        return f"({_percent(name)} || ' %')"
    if shown == "seconds":
        return _duration(name)
    if kind == "integer":
        return f"format('{{:,}}', {name})"
    return (
        f"CASE WHEN {name} = 0 OR (abs({name}) >= 1 AND abs({name}) < 1e15) THEN format('{{:,.2f}}', {name}) "
        f"ELSE format('{{:.3g}}', {name}) END"
    )


def _percent(name: str) -> str:
    return f"replace(format('{{:,.1f}}', {name} * 100.0), '-0.0', '0.0')"


def _duration(name: str) -> str:
    size = f"abs({name}::DOUBLE)"
    tenths = f"round_even({size} * 10, 0)::BIGINT"
    return (
        f"(CASE WHEN {name} < 0 THEN '-' ELSE '' END || CASE "
        f"WHEN {size} > 0 AND {size} < 1 AND round_even({size} * 1000, 0) < 1000 "
        f"THEN round_even({size} * 1000, 0)::BIGINT || 'ms' "
        f"WHEN {tenths} < 600 AND {tenths} % 10 = 0 THEN ({tenths} // 10) || 's' "
        f"WHEN {tenths} < 600 THEN format('{{:.1f}}s', {tenths} / 10.0) "
        f"WHEN round_even({size}, 0) < 3600 THEN {_two(f'round_even({size}, 0)::BIGINT', 60, 'm', 's')} "
        f"WHEN round_even({size} / 60, 0) < 1440 THEN {_two(f'round_even({size} / 60, 0)::BIGINT', 60, 'h', 'm')} "
        f"ELSE {_two(f'round_even({size} / 3600, 0)::BIGINT', 24, 'd', 'h')} END)"
    )


def _two(value: str, size: int, large: str, small: str) -> str:
    return (
        f"(format('{{:,}}', {value} // {size}) || '{large}' || "
        f"CASE WHEN {value} % {size} = 0 THEN '' ELSE ' ' || ({value} % {size}) || '{small}' END)"
    )
