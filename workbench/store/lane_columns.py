"""The values of properties in the order of lanes, made from a store's runs: a condition is then a mask over a lane."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from queries.kernels.lanes import key
from queries.kernels.ordering import Bools, Ints
from workbench.store.arrow_numbers import values_of, whole
from workbench.store.events import StoredEvents
from workbench.store.lane_codes import Coded, Codes, Gathered, LaneColumn, Piece
from workbench.store.lane_files import LaneIndex

BLOCK_KEYS = 1 << 18
"""Keys put in order at once: few enough for the cache."""

OWN = frozenset({"person", "ts", "event"})
"""What is read of a run for every lane: no property."""

Pair = tuple[str, str]
"""An event's name and a property's."""


def columns_of(
    stored: StoredEvents,
    pairs: Collection[Pair],
    *,
    threads: int,
    most_rows: int,
    check: Callable[[], None],
    block_keys: int = BLOCK_KEYS,
) -> dict[Pair, LaneColumn]:
    """The columns of some events from the runs, in as few passes as ``most_rows`` at once allow; not all can be had.

    Left out are properties of other types than text and numbers or with very many values, and lanes of more than
    ``most_rows`` keys. ``check`` raises where the question was cancelled; several threads call it.
    """
    lanes = stored.lanes()
    if lanes is None:
        return {}
    keys = lanes.of(sorted({event for event, _ in pairs})).keys
    found: dict[Pair, LaneColumn] = {}
    with ThreadPoolExecutor(threads) as pool:
        for some in _grouped(keys, most_rows):
            wanted = sorted({pair for pair in pairs if pair[0] in some})
            reading = _Reading(stored, lanes.index, wanted, check)
            parts = list(pool.map(reading.run, range(len(stored.manifest.runs))))
            for event in some:
                found |= _columns(reading, event, keys[event], parts, pool, block_keys)
    return found


def _grouped(keys: Mapping[str, Ints], most_rows: int) -> Iterator[list[str]]:
    """The names that one pass reads, of all that have events and not too many."""
    some: list[str] = []
    rows = 0
    for name, lane in keys.items():
        if not 0 < len(lane) <= most_rows:
            continue
        if some and rows + len(lane) > most_rows:
            yield some
            some, rows = [], 0
        some.append(name)
        rows += len(lane)
    if some:
        yield some


def _columns(
    reading: _Reading, event: str, lane: Ints, parts: Sequence[_Part], pool: Executor, block_keys: int
) -> dict[Pair, LaneColumn]:
    """The columns of one event, of what all runs have."""
    coded = {
        pair: one
        for pair in reading.pairs
        if pair[0] == event and (one := _coded(reading.gathered[pair], pair, parts)) is not None
    }
    rows = [some for part in parts for some in part.keys[event]]
    laid = _laid(lane, rows, [one.codes for one in coded.values()], pool, block_keys)
    return {
        pair: LaneColumn(codes, one.values, one.kind)
        for (pair, one), codes in zip(coded.items(), laid, strict=False)
    }


@dataclass(slots=True)
class _Part:
    """What one run has of the events asked for: of each row group that has any, in its order."""

    keys: dict[str, list[Ints]]
    columns: dict[Pair, list[Piece | None]]


def _coded(gathered: Gathered, pair: Pair, parts: Sequence[_Part]) -> Coded | None:
    return gathered.coded([piece for part in parts for piece in part.columns[pair]])


@dataclass(slots=True)
class _Reading:
    """One pass over the runs, a thread a run."""

    stored: StoredEvents
    index: LaneIndex
    pairs: Sequence[Pair]
    check: Callable[[], None]
    gathered: dict[Pair, Gathered] = field(init=False)

    def __post_init__(self) -> None:
        self.gathered = {pair: Gathered() for pair in self.pairs}

    def run(self, number: int) -> _Part:
        """The events of one run, of all names."""
        run = self.stored.manifest.runs[number]
        alive = self._alive(run.dead)
        part = _Part({event: [] for event, _ in self.pairs}, {pair: [] for pair in self.pairs})
        columns = sorted({column for _, column in self.pairs})
        path = self.stored.root / run.folder / run.name
        with pq.ParquetFile(path, read_dictionary=["event", *columns], pre_buffer=False) as file:
            for place in range(file.num_row_groups):
                self.check()
                if all(one.is_lost for one in self.gathered.values()):
                    break
                group = file.read_row_group(place, columns=[*OWN, *columns], use_threads=False)
                if set(group.column_names) < {*OWN, *columns}:
                    raise ValueError(f"{run.name} lacks columns")
                self._take(part, {name: whole(group[name]) for name in group.column_names}, alive)
        return part

    def _take(self, part: _Part, group: dict[str, pa.Array], alive: Bools | None) -> None:
        """Adds a row group."""
        people, times = values_of(group["person"]), values_of(group["ts"])
        for event, rows in _rows_of(group["event"], list(part.keys)):
            person = people[rows].astype(np.int64)
            if alive is not None:
                rows, person = rows[alive[person]], person[alive[person]]
            part.keys[event].append(key(person, times[rows], self.index.base, self.index.time_bits))
            for pair in self.pairs:
                if pair[0] == event:
                    part.columns[pair].append(self.gathered[pair].take(group[pair[1]], rows))

    def _alive(self, dead: str | None) -> Bools | None:
        """By code, whether a person's rows count; None where everybody's do."""
        if dead is None:
            return None
        alive = np.ones(self.stored.manifest.codes, bool)
        alive[np.load(self.stored.root / dead)] = False
        return alive


def _rows_of(event: pa.DictionaryArray, names: Sequence[str]) -> Iterator[tuple[str, Ints]]:
    """The rows of each name that a row group has any of."""
    codes = values_of(event.indices)
    places = {name: place for place, name in enumerate(event.dictionary.to_pylist())}
    for name in names:
        place = places.get(name)
        rows = np.empty(0, np.int64) if place is None else np.flatnonzero(codes == place)
        if len(rows):
            yield name, rows


def _laid(
    lane: Ints, keys: Sequence[Ints], columns: Sequence[Sequence[Codes]], pool: Executor, block_keys: int
) -> list[Codes]:
    """Columns in the order of their lane, from ascending pieces; none where these are not the lane's events.

    Events of one person and time have one key, so that any order among them is the lane's.
    """
    if sum(map(len, keys)) != len(lane):
        return []
    splits = np.unique(lane[block_keys::block_keys])
    bounds = [[0, *np.searchsorted(some, splits).tolist(), len(some)] for some in (lane, *keys)]
    laid = [np.empty(len(lane), pieces[0].dtype) for pieces in columns]

    def block(number: int) -> bool:
        (start, end), *ends = (bound[number : number + 2] for bound in bounds)
        used = [(place, slice(*one)) for place, one in enumerate(ends) if one[0] < one[1]]
        found = np.concatenate([keys[place][some] for place, some in used])
        order = np.argsort(found, kind="stable")
        if not np.array_equal(found[order], lane[start:end]):
            return False
        for out, pieces in zip(laid, columns, strict=True):
            out[start:end] = np.concatenate([pieces[place][some] for place, some in used])[order]
        return True

    return laid if all(pool.map(block, range(len(splits) + 1))) else []
