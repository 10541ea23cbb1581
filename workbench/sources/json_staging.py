"""JSON to Parquet: top-level keys become columns, typed by all their values; DuckDB does the reading.

The text goes to a Parquet file of raw lines first. So later passes read what the first one saw, a line number
is a row number, and compressed text is unpacked once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.engine import Engine, Task
from workbench.errors import QueryFailed
from workbench.sources.csv_staging import PART_BYTES
from workbench.sources.parquet_types import check_names
from workbench.sources.probing import Unreadable
from workbench.sources.text_stream import DECLARE_ENCODING, EXAMPLES, Rejects

MAX_OBJECT_BYTES = 16 << 20
MAX_KEYS = 1000

# One bit for each kind of value: a column's bits together say its type.
_BOOLEAN, _INTEGER, _WIDE, _FLOAT, _STRING, _NESTED, _LONG = 1, 2, 4, 8, 16, 32, 64
"""``_LONG``: beyond the integers a double holds exactly; ``_WIDE``: beyond 64 bits."""

_KINDS = """
    SELECT file_row_number AS n, text,
           CASE WHEN text IS NULL THEN 'rejected'
                WHEN trim(text, chr(32) || chr(9) || chr(10) || chr(13)) = '' THEN 'blank'
                WHEN NOT json_valid(text) THEN 'invalid'
                WHEN json_type(text) <> 'OBJECT' THEN 'other'
                ELSE 'object' END AS kind
    FROM read_parquet($raw, file_row_number = true)"""
_OBJECTS = f"SELECT n, CASE WHEN kind = 'object' THEN text END AS object FROM ({_KINDS})"
_ALL_OBJECTS = "SELECT file_row_number AS n, text AS object FROM read_parquet($raw, file_row_number = true)"
_KEYS = f"""
    lists AS (SELECT json_keys(object) AS names, min(n) AS n
              FROM objects WHERE object IS NOT NULL GROUP BY names),
    each_key AS (SELECT n, len(names) > len(list_distinct(names)) AS doubled,
                        unnest(names) AS name, generate_subscripts(names, 1) AS place FROM lists)
    SELECT name, arg_min(place, n) AS first_place, min(n) AS first_n, bool_or(doubled) AS doubled
    FROM each_key GROUP BY name ORDER BY first_n, first_place LIMIT {MAX_KEYS + 1}"""
_REPAIR = f"""
    COPY (
        WITH kinds AS ({_KINDS}),
        keys AS (SELECT n, text, json_keys(CASE WHEN kind = 'object' THEN text END) AS names FROM kinds),
        doubled AS (SELECT n, text FROM keys WHERE len(names) > len(list_distinct(names))),
        pairs AS (SELECT n, key, last(value ORDER BY id) AS value, min(id) AS place
                  FROM doubled, json_each(doubled.text) GROUP BY n, key),
        members AS (SELECT n, place, CAST(to_json(key) AS VARCHAR) AS name,
                           coalesce(CAST(value AS VARCHAR), 'null') AS value
                    FROM pairs),
        repaired AS (SELECT n, chr(123) || string_agg(name || ':' || value, ',' ORDER BY place)
                               || chr(125) AS text
                     FROM members GROUP BY n)
        SELECT coalesce(repaired.text, kinds.text) AS text
        FROM kinds LEFT JOIN repaired USING (n) ORDER BY n
    ) TO $target (FORMAT parquet)"""
_ELEMENTS = """
    COPY (SELECT CAST(json AS VARCHAR) AS text
          FROM read_json_objects($source, format = 'array', maximum_object_size = $limit)
    ) TO $target (FORMAT parquet)"""


@dataclass(frozen=True, slots=True)
class Reader:
    """What the steps share: the engine, the handle for cancel, a folder for what is in between."""

    engine: Engine
    folder: Path
    task: Task | None = None

    def rows(self, sql: str, **parameters: object) -> list[tuple[object, ...]]:
        return self.engine.fetch(sql, parameters, self.task)

    def run(self, sql: str, **parameters: object) -> None:
        self.engine.execute(sql, parameters, self.task)


def is_array(first: bytes) -> bool:
    """Whether a text begins like one JSON array rather than one object a line."""
    return first.lstrip().startswith(b"[")


def lines_to_raw(blocks: Iterator[bytes], raw: Path, rejects: Rejects) -> None:
    """One row a line, blank ones too; NULL for a line that is too long or no UTF-8, which is counted."""
    schema = pa.schema([("text", pa.large_string())])
    with pq.ParquetWriter(raw, schema, compression="snappy", use_dictionary=False) as writer:
        held: list[pa.Array] = []
        size = 0
        for array in _lines(blocks, rejects):
            held.append(array)
            size += array.nbytes
            if size >= PART_BYTES:
                writer.write_table(pa.table([pa.chunked_array(held)], schema=schema))
                held, size = [], 0
        if held:
            writer.write_table(pa.table([pa.chunked_array(held)], schema=schema))


def array_to_raw(reader: Reader, source: Path, raw: Path) -> None:
    """One row an element of the JSON array that a UTF-8 file holds."""
    try:
        reader.run(_ELEMENTS, source=str(source), limit=MAX_OBJECT_BYTES, target=str(raw))
    except QueryFailed as error:
        fault = re.search(r"Malformed JSON.*?, at (.*)|.*maximum_object_size.*", error.message)
        if fault is None:
            raise
        if not _ends_with_bracket(source):
            raise Unreadable("incomplete: the JSON array is not closed") from error
        raise Unreadable(f"damaged JSON array: at {fault[1] or 'an object that is too large'}") from error


def raw_to_parquet(
    reader: Reader,
    raw: Path,
    target: Path,
    rejects: Rejects,
    describe: Callable[[Rejects, tuple[str, ...]], dict[str, str]],
) -> None:
    """Writes the objects of the raw lines to ``target``, in order; of a doubled key the last value counts.

    A column is BOOLEAN, BIGINT, DOUBLE or VARCHAR where all its values are such, else JSON text; integers
    beyond 64 bits stay text. Raises :class:`Unreadable` when no line holds an object.
    """
    # Looking at the kind of each line costs as much as reading it; most files hold objects alone.
    objects = _ALL_OBJECTS if _count_rejects(reader, raw, rejects) else _OBJECTS
    found = reader.rows(f"WITH objects AS ({objects}), {_KEYS}", raw=_path(raw))
    keys = [str(row[0]) for row in found]
    if len(keys) > MAX_KEYS:
        raise Unreadable(f"more than {MAX_KEYS} different keys at the top level of its objects")
    if not keys:
        why = f": {rejects.examples[0]}" if rejects.examples else ""
        raise Unreadable(f"no JSON object with a key can be read{why}")
    names = [key or f"column{number}" for number, key in enumerate(keys, 1)]
    check_names(names)
    if any(row[3] for row in found):
        repaired = reader.folder / "repaired.parquet"
        reader.run(_REPAIR, raw=_path(raw), target=str(repaired))
        raw = repaired
    kinds = _kinds_of(reader, raw, keys, objects)
    columns = _columns(names, kinds)
    pairs = ", ".join(f"{key}: {_literal(value)}" for key, value in describe(rejects, ()).items())
    reader.run(
        f"""
        COPY (
            WITH objects AS ({objects}),
            taken AS (SELECT json_extract_string(object, $paths) AS s, json_extract(object, $nested) AS j
                      FROM objects WHERE object IS NOT NULL)
            SELECT {columns} FROM taken
        ) TO $target (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{pairs}}})""",
        raw=_path(raw),
        paths=[_pointer(key) for key in keys],
        nested=[_pointer(key) for key, kind in zip(keys, kinds, strict=True) if _is_json(kind)] or [""],
        target=str(target),
    )


def _count_rejects(reader: Reader, raw: Path, rejects: Rejects) -> bool:
    """Counts what is no object; whether there is nothing but objects."""
    words = {"invalid": "not valid JSON", "other": "not a JSON object"}
    counted = reader.rows(f"SELECT kind, count(*) FROM ({_KINDS}) GROUP BY kind", raw=_path(raw))
    counts = {str(kind): int(str(count)) for kind, count in counted}
    bad = sum(counts.get(kind, 0) for kind in words)
    if set(counts) == {"object"}:
        return True
    first = f"SELECT n, kind FROM ({_KINDS}) WHERE kind IN ('invalid', 'other') ORDER BY n LIMIT {EXAMPLES}"
    examples = reader.rows(first, raw=_path(raw))
    if not counts.get("object") and rejects.unit == "line" and bad > 1:
        raise Unreadable("not one JSON object per line, nor one array of objects")
    for n, kind in examples:
        rejects.add(int(str(n)) + 1, words[str(kind)])
    rejects.count += bad - len(examples)
    return False


def _kinds_of(reader: Reader, raw: Path, keys: list[str], objects: str) -> list[int]:
    """The kinds of the values of each key, as bits."""
    bits = ", ".join(
        f"""coalesce(bit_or(CASE t[{i}]
            WHEN 'BOOLEAN' THEN {_BOOLEAN} WHEN 'VARCHAR' THEN {_STRING}
            WHEN 'OBJECT' THEN {_NESTED} WHEN 'ARRAY' THEN {_NESTED}
            WHEN 'BIGINT' THEN {_integer(i)} WHEN 'UBIGINT' THEN {_integer(i)}
            WHEN 'DOUBLE' THEN CASE
                WHEN regexp_full_match(s[{i}], '-?[0-9]+') THEN {_WIDE}
                WHEN NOT regexp_matches(s[{i}], '[0-9]') THEN {_FLOAT}
                WHEN isfinite(TRY_CAST(s[{i}] AS DOUBLE)) THEN {_FLOAT} ELSE {_NESTED} END
            ELSE 0 END), 0)"""
        for i in range(1, len(keys) + 1)
    )
    sql = f"""
        WITH objects AS ({objects}),
        taken AS (SELECT json_type(object, $paths) AS t, json_extract_string(object, $paths) AS s
                  FROM objects WHERE object IS NOT NULL)
        SELECT {bits} FROM taken"""
    row = reader.rows(sql, raw=_path(raw), paths=[_pointer(key) for key in keys])[0]
    return [int(str(value)) for value in row]


def _integer(i: int) -> str:
    return (
        f"CASE WHEN TRY_CAST(s[{i}] AS BIGINT) BETWEEN {-(2**53)} AND {2**53} THEN {_INTEGER} "
        f"WHEN TRY_CAST(s[{i}] AS BIGINT) IS NOT NULL THEN {_LONG} ELSE {_WIDE} END"
    )


def _columns(names: list[str], kinds: list[int]) -> str:
    parts = []
    nested = 0
    for i, (name, kind) in enumerate(zip(names, kinds, strict=True), 1):
        value = f"s[{i}]"
        if kind == _BOOLEAN:
            value = f"CAST(s[{i}] AS BOOLEAN)"
        elif _is_json(kind):
            nested += 1
            value = f"CASE WHEN CAST(j[{nested}] AS VARCHAR) <> 'null' THEN j[{nested}] END"
        elif kind and not kind & ~(_INTEGER | _LONG):
            value = f"CAST(s[{i}] AS BIGINT)"
        elif kind & _FLOAT:
            value = f"CAST(s[{i}] AS DOUBLE)"
        parts.append(f'{value} AS "{name.replace(chr(34), chr(34) * 2)}"')
    return ", ".join(parts)


def _is_json(kind: int) -> bool:
    """Whether no type of its own can hold all values of a column."""
    if kind in (0, _BOOLEAN, _STRING):
        return False
    whole = not kind & ~(_INTEGER | _LONG | _WIDE)
    return not whole and bool(kind & ~(_INTEGER | _FLOAT))


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _path(raw: Path) -> str:
    # The cache may lie in a folder whose name is a pattern.
    return re.sub(r"([*?\[])", r"[\1]", str(raw))


def _ends_with_bracket(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return file.read().rstrip().endswith(b"]")


def _lines(blocks: Iterator[bytes], rejects: Rejects) -> Iterator[pa.Array]:
    carry, skipping, line = b"", False, 1
    for block in blocks:
        if skipping:
            end = block.find(b"\n")
            if end < 0:
                continue
            yield pa.nulls(1, pa.large_string())
            skipping, line, block = False, line + 1, block[end + 1 :]
        text = carry + block
        cut = text.rfind(b"\n") + 1
        if cut:
            yield _split(text[:cut], line, rejects)
            line += text.count(b"\n", 0, cut)
        carry = text[cut:]
        if len(carry) > MAX_OBJECT_BYTES:
            rejects.add(line, f"longer than {MAX_OBJECT_BYTES} bytes")
            carry, skipping = b"", True
    if carry:
        yield _split(carry + b"\n", line, rejects)


def _split(text: bytes, line: int, rejects: Rejects) -> pa.Array:
    """The lines of a text, each with its line break, which JSON takes for a space."""
    try:
        text.decode()
    except UnicodeDecodeError:
        lines: list[str | None] = []
        for number, one in enumerate(text.split(b"\n")[:-1], line):
            try:
                lines.append(one.decode())
            except UnicodeDecodeError:
                rejects.add(number, f"not UTF-8: {DECLARE_ENCODING}")
                lines.append(None)
        return pa.array(lines, pa.large_string())
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == 10) + 1
    offsets = np.concatenate(([0], ends)).astype(np.int64)
    return pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text))
