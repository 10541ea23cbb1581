"""A hash over the rows of a demo, whatever files they are spread over and however those are compressed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

_SUM = (1 << 128) - 1


def of_rows(paths: Iterable[Path]) -> str:
    """32 hex digits: the sum, modulo 2¹²⁸, of each row's XXH3 hash; the same in whatever order rows come.

    A row is its values as text in the order of the columns, null told apart from empty. Meant for sizes up to
    a few million rows.
    """
    total = 0
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                total += sum(xxhash.xxh3_128_intdigest(line) for line in _lines(batch))
    return f"{total & _SUM:032x}"


def of_demo(folder: Path) -> str:
    """The hash of a demo's events and of its order lines, joined by a dash."""
    events = of_rows(sorted(folder.glob("events/**/*.parquet")))
    return f"{events}-{of_rows(sorted(folder.glob('items/*.parquet')))}"


def _lines(batch: pa.RecordBatch) -> list[bytes]:
    texts = [_text(column) for column in batch.columns]
    lines: list[bytes] = pc.binary_join_element_wise(*texts, "\x1f").cast(pa.binary()).to_pylist()
    return lines


def _text(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return pc.fill_null(column.cast(pa.string()), "\x00")
