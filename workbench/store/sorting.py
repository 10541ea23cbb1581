"""Sorts rows as they come into runs: in memory and in chunks, text as small numbers, so that little is moved.

The engine hands on a hash for text that repeats, which costs it once a value and not once a row; the hashes of all
values are known to differ before any of them stands for its value. Text that hardly repeats comes as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from queries.quoting import quote_identifier
from workbench.engine import Engine
from workbench.errors import Changed, QueryFailed
from workbench.runner import Task
from workbench.store.arrow_numbers import dtype_of, nulls_of, values_of
from workbench.store.chunk import AnyColumn, Chunk, Numbers, Objects
from workbench.store.manifest import Run
from workbench.store.runs import Layout

GROUP_ROWS = 122_880
"""Rows of a row group: what the engine reads at once."""

_SAMPLE = 200_000
_MOST_SAMPLED = 20_000
_MOST_VALUES = 80_000
"""Text with more values than this comes as it is."""
_WHOLE_TEXTS = 8_192
"""So few values stand in every row group, used there or not."""
_LANE_VALUES = 256
"""So few values may differ in 16 bits of their hashes."""
_LANES = 4
_BATCH_ROWS = 100_000
_MOST_BYTES = 170_000_000
"""What a chunk's columns take at most, whatever its rows are."""
_SHARED_ROWS = 200_000
"""From so many rows on a chunk is written by two threads."""
_ASCENDING = ("person", "ts", "place")
_PLAIN = (*_ASCENDING, "combo")
"""A dictionary makes them no smaller."""
_PACKED = ("ts", "place")
"""So encoded, they are hardly any smaller compressed."""
_PRUNING = ["person", "ts"]

Progress = Callable[[int], None]
Codes = NDArray[np.unsignedinteger[Any]]
Ints = NDArray[np.int64]
Rows = NDArray[np.intp]
"""Numbers of rows of a chunk."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """The events of a run that is about to be written."""

    names: list[str]
    """Of events, by code."""
    codes: Codes
    """Of the names of the chunk's rows."""
    counts: Ints
    """How many events of the run have each name."""
    first: int
    """No time is before it or after ``last``: UTC ms."""
    last: int


Group = tuple[NDArray[np.int32], Ints, Codes]
"""Person, time and code of the name of some events."""
Listener = Callable[[Run, Ordered, Iterator[Group]], None]
"""Told of each run, and given its events by person and time, which it must take; of two at once."""


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of one text column, by code; the greatest code may stand for NULL."""

    hashes: NDArray[np.uint64]
    """Ascending."""
    codes: Codes
    """Of each hash."""
    texts: pa.Array
    lane: int | None = None
    """Which 16 bits of the hashes differ between all values, where some do."""
    by_lane: Codes | None = None
    """The code for each of what those bits can be."""


class Sorting:
    """What sorts the rows of one import into runs of one folder."""

    def __init__(
        self,
        engine: Engine,
        task: Task,
        layout: Layout,
        folder: Path,
        chunk_rows: int,
        listener: Listener | None = None,
    ) -> None:
        self._listener = listener
        self._engine, self._task, self._layout = engine, task, layout
        self._folder, self._chunk_rows = folder, chunk_rows
        self._names = ("person", "combo", *layout.names)
        self._values: dict[str, _Values] = {}

    def learn(self, values: str) -> None:
        """Looks through the texts of a relation that has every one of the rows', and maybe more."""
        texts = self._layout.texts
        counts = ", ".join(f"approx_count_distinct({quote_identifier(name)})" for name in texts)
        ((*few,),) = self._engine.fetch(
            f"SELECT {counts} FROM (SELECT * FROM {values} LIMIT {_SAMPLE})", task=self._task
        )
        for name, sampled in zip(texts, few, strict=True):
            if int(str(sampled)) <= _MOST_SAMPLED:
                found = self._distinct(name, values)
                if found is not None:
                    self._values[name] = found

    def sort(self, rows: str, prefix: str, progress: Progress) -> list[Run]:
        """The runs of a relation with ``person``, ``combo`` and the layout's columns, by person and time.

        Their files are named after ``prefix``; ``progress`` is told how many rows are done. Raises
        :class:`Changed` for a text that was not learnt.
        """
        sql = f"SELECT {', '.join(map(self._selected, self._names))} FROM {rows}"
        made: list[Run] = []
        done = 0
        chunk = Chunk()
        with self._engine.arrow(sql, None, self._task, _BATCH_ROWS) as batches:
            for batch in batches:
                if batch.column(0).null_count:
                    raise QueryFailed("an event without a person", "import again, with everything read anew")
                start = 0
                while start < batch.num_rows:
                    piece = batch.slice(start, self._chunk_rows - chunk.rows)
                    self._take(chunk, piece)
                    start += piece.num_rows
                    if chunk.rows == self._chunk_rows or chunk.size > _MOST_BYTES:
                        made += self._written(chunk, prefix, len(made))
                        chunk.clear()
                done += batch.num_rows
                progress(done)
        return [*made, *self._written(chunk, prefix, len(made))] if chunk.rows else made

    # --- text -----------------------------------------------------------------------------------------------

    def _distinct(self, name: str, rows: str) -> _Values | None:
        """The values of a text column; None where there are many, or two have one hash."""
        sql = (
            f"SELECT value, hash(value) AS hash FROM (SELECT DISTINCT {quote_identifier(name)} AS value "
            f"FROM {rows} LIMIT {_MOST_VALUES + 1})"
        )
        with self._engine.arrow(sql, None, self._task) as batches:
            table = pa.Table.from_batches(list(batches), batches.schema)
        hashes = (
            values_of(pa.concat_arrays(table["hash"].chunks)) if table.num_rows else np.empty(0, np.uint64)
        )
        order = np.argsort(hashes)
        if len(hashes) > _MOST_VALUES or (np.diff(hashes[order]) == 0).any():
            return None
        texts = table["value"].combine_chunks()
        is_null = nulls_of(texts)
        codes = np.empty(len(hashes), np.min_scalar_type(len(hashes)))
        codes[:] = np.arange(len(hashes))
        if is_null is not None:
            # NULL has the greatest code.
            codes[np.argsort(is_null, kind="stable")] = np.arange(len(hashes))
        return _with_lane(_Values(hashes[order], codes[order], texts.drop_null()))

    def _selected(self, name: str) -> str:
        own = quote_identifier(name)
        return f"hash({own}) AS {own}" if name in self._values else own

    def _take(self, chunk: Chunk, batch: pa.RecordBatch) -> None:
        """Adds a batch, the hashes of its texts as codes."""
        if not chunk.columns:
            chunk.columns = {
                name: self._column(name, kind)
                for name, kind in zip(self._names, batch.schema.types, strict=True)
            }
        for name, column in zip(self._names, batch.columns, strict=True):
            target, known = chunk.columns[name], self._values.get(name)
            if isinstance(target, Objects):
                chunk.size += target.add(column)
            elif known is not None:
                chunk.size += target.add(_coded(column, known))
            else:
                chunk.size += target.add(values_of(column), nulls_of(column))
        chunk.rows += batch.num_rows

    def _column(self, name: str, kind: pa.DataType) -> AnyColumn:
        known = self._values.get(name)
        if known is not None:
            has_null = len(known.texts) < len(known.hashes)
            null = len(known.texts) if has_null else None
            return Numbers(known.codes.dtype, self._chunk_rows, null)
        dtype = dtype_of(kind)
        return Objects() if dtype is None else Numbers(dtype, self._chunk_rows)

    # --- rows -----------------------------------------------------------------------------------------------

    def _written(self, chunk: Chunk, prefix: str, first: int) -> list[Run]:
        """The chunk as runs: its people in two halves, where that is worth it."""
        rows, columns = chunk.rows, chunk.columns
        for column in columns.values():
            column.close()
        person, ts = _whole(columns["person"]), _whole(columns["ts"])
        order = _by_person_and_time(person, ts)
        cut = int(np.searchsorted(person, person[order[rows // 2]], sorter=order))
        halves = [order[:cut], order[cut:]] if rows >= _SHARED_ROWS and 0 < cut < rows else [order]
        runs = [
            Run(self._folder.name, f"{prefix}-{first + place}.parquet", len(half), None, 0)
            for place, half in enumerate(halves)
        ]
        told = None if self._listener is None else self._told(columns)
        with ThreadPoolExecutor(min(len(halves), os.cpu_count() or 1)) as pool:
            # All are waited for, whatever happens to one.
            list(pool.map(lambda *one: self._write(columns, told, *one), runs, halves))
        return runs

    def _told(self, columns: dict[str, AnyColumn]) -> Ordered:
        """What is told of the runs of a chunk, before their rows."""
        events, ts = columns["event"], _whole(columns["ts"])
        if isinstance(events, Objects):
            names, codes = events.encoded()
        else:
            names, codes = self._values["event"].texts.to_pylist(), events.whole()
        return Ordered(names, codes, np.zeros(len(names), np.int64), int(ts.min()), int(ts.max()))

    def _write(self, columns: dict[str, AnyColumn], told: Ordered | None, run: Run, order: Rows) -> None:
        """One file of the rows with these numbers, in this order; the listener takes them as they are written."""
        groups = self._groups(run, columns, order)
        if told is None or self._listener is None:
            for _ in groups:
                pass
            return
        codes, counts = told.codes, told.counts.copy()
        for start in range(0, len(order), GROUP_ROWS):
            counts += np.bincount(codes[order[start : start + GROUP_ROWS]], minlength=len(counts))
        named = ((values_of(person), values_of(ts), codes[some]) for some, person, ts in groups)
        self._listener(run, replace(told, counts=counts), named)

    def _groups(
        self, run: Run, columns: dict[str, AnyColumn], order: Rows
    ) -> Iterator[tuple[Rows, pa.Array, pa.Array]]:
        """Writes a file of the rows with these numbers in this order, a group at once: number, person and time."""
        none = order[:0]
        schema = pa.schema([(name, self._gathered(name, columns[name], none).type) for name in self._names])
        dictionaries = [name for name in self._names if name not in _PLAIN]
        person, ts = self._names.index("person"), self._names.index("ts")
        with pq.ParquetWriter(
            self._folder / run.name,
            schema,
            compression={name: "none" if name in _PACKED else "lz4" for name in self._names},
            use_dictionary=dictionaries,
            column_encoding=dict.fromkeys(_ASCENDING, "DELTA_BINARY_PACKED"),
            write_statistics=_PRUNING,
            store_schema=False,
        ) as writer:
            for start in range(0, len(order), GROUP_ROWS):
                self._task.check()
                some = order[start : start + GROUP_ROWS]
                arrays = [self._gathered(name, columns[name], some) for name in self._names]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
                yield some, arrays[person], arrays[ts]

    def _gathered(self, name: str, column: AnyColumn, some: Rows) -> pa.Array:
        """Some rows of a column, codes as the texts they stand for."""
        known = self._values.get(name)
        if known is None or isinstance(column, Objects):
            return column.take(some)
        codes = column.take(some)
        if len(known.texts) <= _WHOLE_TEXTS:
            return pa.DictionaryArray.from_arrays(codes, known.texts)
        used = codes.dictionary_encode()
        return pa.DictionaryArray.from_arrays(used.indices, known.texts.take(used.dictionary))


def _whole(column: AnyColumn) -> NDArray[Any]:
    """All values of a column of numbers."""
    if isinstance(column, Objects):
        raise TypeError("a column of numbers is none")
    return column.whole()


def _with_lane(known: _Values) -> _Values:
    """The same with a table of codes, where there are so few values that one of 16 bits may do."""
    if not 0 < len(known.hashes) <= _LANE_VALUES:
        return known
    for lane, bits in enumerate(known.hashes.view(np.uint16).reshape(-1, _LANES).T):
        if len(np.unique(bits)) == len(bits):
            table = np.zeros(1 << 16, known.codes.dtype)
            table[bits] = known.codes
            return replace(known, lane=lane, by_lane=table)
    return known


def _coded(column: pa.Array, known: _Values) -> Codes:
    """The codes of hashes; Changed where one is of no known value, or another code where nobody looks."""
    if known.lane is not None and known.by_lane is not None:
        hashes = values_of(column).view(np.uint16)
        # A file that changed since its values were learnt is found out before the store is used.
        few: Codes = known.by_lane[hashes[known.lane :: _LANES]]
        return few
    seen = column.dictionary_encode()
    hashes = values_of(seen.dictionary)
    places = np.minimum(np.searchsorted(known.hashes, hashes), max(len(known.hashes) - 1, 0))
    if not len(known.hashes) or (known.hashes[places] != hashes).any():
        raise Changed("a file changed while it was read", "run it again")
    codes: Codes = known.codes[places][values_of(seen.indices)]
    return codes


def _by_person_and_time(person: NDArray[np.int32], ts: NDArray[np.int64]) -> NDArray[np.intp]:
    """The order of rows by person and time."""
    first = int(ts.min())
    bits = (int(ts.max()) - first).bit_length()
    if bits + int(person.max()).bit_length() > 63:
        return np.lexsort((ts, person))
    # In place: a chunk's keys are a good part of what an import holds.
    keys = person.astype(np.int64)
    keys <<= bits
    keys += ts
    keys -= first
    return np.argsort(keys)
