"""The order and the matches of an answer's rows, found by DuckDB over their Arrow columns.

The columns get names of our own, texts are bound, and only numbers of rows come back: nothing in the data or
in what a person types becomes SQL.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from workbench.table_rows import Rows
from workbench.text import clean

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from numpy.typing import NDArray

    from queries.question import Shown

_ENGINE = threading.Lock()

_TIMES = ("time", "clock")


def order(rows: Rows, key: str, descending: bool, *, is_time: bool) -> NDArray[np.int64]:
    """The numbers of all rows in the order of a column's values: stable, null last in both directions.

    Numbers sort as numbers, times by instant, text by code point; a column of several kinds has numbers
    before texts before the rest.
    """
    kind = rows.kind(key)
    if kind in (None, "nothing") or not len(rows):
        return _all(len(rows))
    if kind == "json" or (kind == "given" and _is_nested(rows, key)):
        return _mixed_order(rows, key, descending)
    way = "DESC" if descending else "ASC"
    terms = [f"{term} {way} NULLS LAST" for term in _terms(rows, key, is_time)]
    sql = f"SELECT number FROM answer ORDER BY c0 IS NULL, {', '.join(terms)}, number"
    return _numbers(rows, [key], sql)


def matches(rows: Rows, columns: Sequence[Shown], text: str, remarks: str | None = None) -> NDArray[np.bool_]:
    """Which rows show the text in any of the columns, or in the remarks under them, capitals or not."""
    import numpy as np

    from workbench.table_shown import shown_sql

    found = np.zeros(len(rows), np.bool_)
    if not len(rows):
        return found
    keys: list[str] = []
    conditions = []
    for shown in columns:
        sql = shown_sql(rows, shown, keys)
        if sql is None:
            found |= _matches_of_values(rows, shown, text)
        else:
            conditions.append(f"contains(lower({sql}), lower($text))")
    if conditions:
        sql = f"SELECT number FROM answer WHERE {' OR '.join(conditions)}"
        found[_numbers(rows, keys, sql, {"text": text})] = True
    if remarks is not None and remarks in rows.keys:
        asked = text.lower()
        for number, texts in listed(rows, remarks, None):
            found[number] |= any(asked in clean(one).lower() for one in texts)
    return found


def runs(rows: Rows, keys: Sequence[str], numbers: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """The places where any of the keys has another value than in the row before; the first is 0."""
    import numpy as np
    import pyarrow.compute as pc

    length = len(rows) if numbers is None else len(numbers)
    changed = np.zeros(length, np.bool_)
    changed[:1] = True
    for key in keys:
        if rows.kind(key) in (None, "nothing"):
            continue
        encoded = pc.dictionary_encode(rows.column(key), null_encoding="encode").combine_chunks()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        codes = codes if numbers is None else codes[numbers]
        changed[1:] |= codes[1:] != codes[:-1]
    return np.flatnonzero(changed)


def listed(rows: Rows, key: str, numbers: NDArray[np.int64] | None) -> Iterator[tuple[int, list[object]]]:
    """The places whose value under a key is a list that is not empty, with the lists; the rest is not read."""
    import numpy as np
    import pyarrow.compute as pc

    kind = rows.kind(key)
    if kind not in ("json", "given"):
        return
    column = rows.column(key)
    full = pc.not_equal(column, "[]") if kind == "json" else pc.is_valid(column)
    has = pc.fill_null(full, False).to_numpy()
    places = np.flatnonzero(has if numbers is None else has[numbers])
    for place in places.tolist():
        value = rows.value(int(place if numbers is None else numbers[place]), key)
        if isinstance(value, list) and value:
            yield place, value


def _terms(rows: Rows, key: str, is_time: bool) -> tuple[str, ...]:
    kind = rows.kind(key)
    if kind in ("numeric", "decimal"):
        # The double finds the place, the decimal tells neighbours apart that no double can.
        return "TRY_CAST(c0 AS DOUBLE)", "TRY_CAST(c0 AS DECIMAL(38, 10))"
    if kind == "text" and is_time:
        moment = "TRY_CAST(c0 AS TIMESTAMPTZ)"
        return moment, f"CASE WHEN {moment} IS NULL THEN c0 END"
    return ("c0",)


def _mixed_order(rows: Rows, key: str, descending: bool) -> NDArray[np.int64]:
    """As :func:`order`, for values that no column type holds: one Python object a row, for as long as it takes."""
    import json

    import numpy as np

    values = list(rows.values(key))
    ranked = []
    for number, value in enumerate(values):
        if isinstance(value, bool | int | float):
            ranked.append((0, value, "", number))
        elif value is not None:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            ranked.append((1 if isinstance(value, str) else 2, 0, text, number))
    # Python keeps the order of equal ones in reverse too.
    ranked.sort(key=lambda one: one[:3], reverse=descending)
    missing = [number for number, value in enumerate(values) if value is None]
    return np.array([*(one[3] for one in ranked), *missing], np.int64)


def _matches_of_values(rows: Rows, shown: Shown, text: str) -> NDArray[np.bool_]:
    """As :func:`matches`, for one column whose cells only Python can write; each distinct value once."""
    import numpy as np

    from workbench.table_shown import whole

    keys = [
        key for key in (shown.key, shown.high, *dict(shown.words), *dict(shown.marks)) if key in rows.keys
    ]
    asked = text.lower()
    known: dict[tuple[object, ...], bool] = {}
    found = np.zeros(len(rows), np.bool_)
    columns = [rows.values(str(key)) for key in keys]
    for number, values in enumerate(zip(*columns, strict=True)):
        held = tuple(map(repr, values))
        if held not in known:
            row = dict(zip(map(str, keys), values, strict=True))
            known[held] = asked in whole(row, shown).lower()
        found[number] = known[held]
    return found


def _is_nested(rows: Rows, key: str) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_nested(rows.column(key).type))


def _all(length: int) -> NDArray[np.int64]:
    import numpy as np

    return np.arange(length, dtype=np.int64)


def _numbers(
    rows: Rows, keys: Sequence[str], sql: str, parameters: dict[str, object] | None = None
) -> NDArray[np.int64]:
    """What a statement over ``answer`` (``number`` and the keys as c0, c1 …) gives as ``number``."""
    import numpy as np
    import pyarrow as pa

    columns = {f"c{index}": rows.column(key) for index, key in enumerate(keys)}
    answer = pa.table({"number": _all(len(rows)), **columns})
    with _ENGINE:
        cursor = _engine().cursor()
    try:
        cursor.execute("SET enable_progress_bar = false")
        cursor.register("answer", answer)
        numbers = cursor.execute(sql, parameters or {}).fetchnumpy()["number"]
    finally:
        cursor.close()
    return np.asarray(numbers, np.int64)


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    from workbench.engine import hardened
    from workbench.limits import default_limits

    return hardened(":memory:", [], default_limits())
