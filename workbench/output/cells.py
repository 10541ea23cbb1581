"""A value of an answer as people read it: rounded, with units, cleaned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from queries.ranges import duration
from workbench.text import NULL, Align, clean, clip
from workbench.values import Plain, plain

if TYPE_CHECKING:
    from queries.question import Shown

LIST, LISTED = 60, 28
"""Cells of a list of examples, and of one value in it; documents carry them whole."""

_RIGHT = frozenset({"integer", "rate", "percent", "interval", "seconds", "number", "exact"})


def align(shown: Shown) -> Align:
    """Numbers end together, text begins together."""
    return "right" if shown.kind in _RIGHT else "left"


def cell(row: Mapping[str, object], shown: Shown) -> str:
    """One cell of a table; null is an en dash.

    A value that is not of its column's kind is shown as the text it is.
    """
    marks = "".join(f" ({word})" for key, word in shown.marks if row.get(key))
    text = _value(row, shown)
    return (text if shown.cells is None else clip(text, shown.cells)) + marks


def _value(row: Mapping[str, object], shown: Shown) -> str:
    for key, word in shown.words:
        if row.get(key):
            return word
    value = plain(row.get(shown.key))
    if shown.kind == "interval":
        return _interval(value, plain(row.get(shown.high or "")))
    if value is None:
        return NULL if shown.null is None else shown.null
    if isinstance(value, bool):
        return "yes" if value else "no"
    if shown.kind == "exact":
        given = row.get(shown.key)
        return clean(f"{given:f}" if isinstance(given, Decimal) else value)
    if shown.kind == "json":
        return clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    if isinstance(value, list):
        return clip(", ".join(clip(clean(item), LISTED) for item in value), LIST)
    if shown.kind == "clock" and isinstance(value, str):
        return clean(value[11:19])
    if shown.kind == "time" and isinstance(value, str):
        return clean(value[:19].replace("T", " "))
    if shown.kind == "text" or not isinstance(value, int | float):
        return clean(value)
    if shown.kind == "percent":
        return _percent(value)
    if shown.kind == "rate":
        return f"{_percent(value)} %"
    if shown.kind == "seconds":
        return duration(value)
    return number(value)


def number(value: int | float) -> str:
    """Thousands separated; two decimals from one on, three digits below, where two decimals would lie."""
    if isinstance(value, int):
        return f"{value:,}"
    if value == 0 or 1 <= abs(value) < 1e15:
        return f"{value:,.2f}"
    return f"{value:.3g}"


def _interval(low: Plain, high: Plain) -> str:
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return NULL
    between = " to " if low < 0 or high < 0 else "–"
    return f"{_percent(low)}{between}{_percent(high)}"


def _percent(value: int | float) -> str:
    return f"{value * 100:,.1f}".replace("-0.0", "0.0")
