"""CSV to Parquet: every column text, in the order of the lines, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.sources.delimited import Dialect, find_dialect, good_records
from workbench.sources.parquet_types import check_names
from workbench.sources.probing import Unreadable
from workbench.sources.text_stream import Rejects

PART_BYTES = 16 << 20
"""What is parsed at once, and so becomes a row group."""


def csv_to_parquet(
    blocks: Iterator[bytes], target: Path, describe: Callable[[Rejects, tuple[str, ...]], dict[str, str]]
) -> None:
    """Writes the records of a CSV file to ``target``, all columns VARCHAR; an empty field is NULL.

    ``describe`` makes the file's own key-value pairs from what was rejected and what is to be told. Raises
    :class:`Unreadable` when no line can be read; a header without lines is a file of no rows.
    """
    first = _sample(blocks)
    if first is None:
        raise Unreadable("no text in it")
    if b"\n" not in first and b"\r" in first:
        first, blocks = first.replace(b"\r", b"\n"), (block.replace(b"\r", b"\n") for block in blocks)
    whole = first[: first.rfind(b"\n") + 1] or first + b"\n"
    dialect = find_dialect(whole)
    check_names(dialect.columns)
    rejects, rows = Rejects(), 0
    schema = pa.schema([(name, pa.string()) for name in dialect.columns])
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for part in _parts(good_records(chain([first[dialect.skip :]], blocks), dialect, rejects)):
            table = _parse(part, dialect, schema)
            rows += table.num_rows
            writer.write_table(table, row_group_size=max(table.num_rows, 1))
        writer.add_key_value_metadata(describe(rejects, dialect.notes))
    if rows == 0 and rejects.count:
        raise Unreadable(f"no line can be read: {rejects.examples[0]}")


def _sample(blocks: Iterator[bytes]) -> bytes | None:
    # The dialect is found before reading begins, so its notes and names are known to the writer.
    for block in blocks:
        if block:
            return block
    return None


def _parts(pieces: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= PART_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _parse(part: bytes, dialect: Dialect, schema: pa.Schema) -> pa.Table:
    # Imported late: who finds a staged copy never parses.
    from pyarrow import csv

    grammar = dialect.grammar
    try:
        return csv.read_csv(
            pa.BufferReader(part),
            read_options=csv.ReadOptions(column_names=schema.names, block_size=len(part) + 1),
            parse_options=csv.ParseOptions(
                delimiter=grammar.delimiter.decode(),
                quote_char=grammar.quote.decode(),
                escape_char="\\" if grammar.backslash else False,
                newlines_in_values=True,
            ),
            convert_options=csv.ConvertOptions(
                column_types=schema, null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        raise Unreadable(f"cannot be parsed: {error}") from error
