"""A value of an answer as machines read it: the same plain types for every format."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime, time
from decimal import Decimal

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]

_AS_THEY_ARE = frozenset({str, int, bool, type(None)})


def plain(value: object) -> Plain:
    """A value in the types of JSON.

    Integers stay integers, not-a-number and infinities are null, minus zero is zero, a decimal is an integer
    where it is whole, times are ISO 8601, bytes are hexadecimal text, numpy's values are Python's.
    """
    if type(value) in _AS_THEY_ARE:
        return value  # type: ignore[return-value]
    if isinstance(value, float):
        return (float(value) + 0.0) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Sequence | Set):
        return [plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return _number(value)
    as_python = getattr(value, "tolist", None)
    return plain(as_python()) if callable(as_python) else str(value)


def _number(value: Decimal) -> int | float | None:
    if not value.is_finite():
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def plain_row(row: Mapping[str, object]) -> dict[str, Plain]:
    """A row with plain values, keys in the row's order."""
    return {key: plain(value) for key, value in row.items()}
