"""How a name or a value enters SQL: quoted by one of these two functions, or bound by the engine."""

from __future__ import annotations

import math

from queries.question import QuestionError
from queries.suggest import shown


def quote_identifier(name: str) -> str:
    """A name as an SQL identifier; raises QuestionError for the empty name and for broken Unicode."""
    if not name:
        raise QuestionError("a column has an empty name", "rename it in the export, or leave it out")
    check_unicode(name)
    return '"' + name.replace('"', '""') + '"'


def quote_literal(value: str | int | float | bool | None) -> str:
    """A value as an SQL literal; floats are DOUBLE. Raises QuestionError for broken Unicode, inf and NaN."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value) if value >= 0 else f"({value})"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise QuestionError(f"{value} is no number to compare with")
        text = repr(value)
        text = text if "e" in text else f"{text}e0"
        return text if math.copysign(1, value) > 0 else f"({text})"
    check_unicode(value)
    return "'" + value.replace("'", "''") + "'"


def check_unicode(text: str) -> None:
    """Raises QuestionError for text with half a surrogate pair, which no engine takes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise QuestionError(f"not valid Unicode: {shown(text)}") from None
