"""Conditions and values over properties, from a store's columns: no event is read for them a second time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from queries.kernels.lane_values import Over, ValuedLane, valued_lane
from queries.kernels.ordering import Bools, Ints
from queries.question import Columns
from queries.quoting import quote_identifier
from workbench.store.events import StoredEvents
from workbench.store.kept_columns import KeptColumns
from workbench.store.lane_codes import NO_COLUMN, Codes, LaneColumn, Table, joined
from workbench.store.lane_columns import OWN, Pair, columns_of

Ask = Callable[[str, Mapping[str, object]], Columns]
"""Answers a statement that reads no event."""

_PLACE = "lane_place"
_MOST_UNKEPT = 4


@dataclass(slots=True)
class LaneProperties:
    """The columns of one store, as a dataset asks for them. For one worker at a time."""

    stored: StoredEvents
    ask: Ask
    check: Callable[[], None]
    threads: int
    most_rows: int
    quota: int
    _unkept: dict[Pair, LaneColumn] = field(default_factory=dict)
    """Those for which there is no room on the disk."""
    _kept: KeptColumns = field(init=False)

    def __post_init__(self) -> None:
        self._kept = KeptColumns(self.stored, self.quota)

    def lanes(self, tests: Mapping[str, Over]) -> dict[str, Ints]:
        """By their names the lanes of conditions, as far as columns give them."""
        tables = self._tables([test for test in tests.values() if self._are_there(test)])
        having = {
            name: test
            for name, test in tests.items()
            if all((event, test.columns) in tables for event in test.events)
        }
        passing = [
            (name, self._lane(event), table.codes, self._passing(test, table))
            for name, test in having.items()
            for event in test.events
            if (table := tables[event, test.columns])
        ]
        with ThreadPoolExecutor(self.threads) as pool:
            met = list(pool.map(lambda one: one[1][_taken(one[3], one[2])], passing))
        parts = {
            name: [keys for (of, *_), keys in zip(passing, met, strict=True) if of == name] for name in having
        }
        return {
            name: some[0] if len(some) == 1 else np.sort(np.concatenate(some)) for name, some in parts.items()
        }

    def valued(self, value: Over, test: Over | None) -> ValuedLane | None:
        """The events of a step with a value, those alone that meet its condition; None where columns do not say."""
        asked = [value] if test is None else [value, test]
        tables = self._tables(asked) if all(map(self._are_there, asked)) else {}
        if not all((event, one.columns) in tables for one in asked for event in one.events):
            return None
        keys, codes = [], []
        texts: list[str | None] = []
        for event in value.events:
            lane, table = self._lane(event), tables[event, value.columns]
            own = table.codes
            if test is not None:
                tested = tables[event, test.columns]
                passes = _taken(self._passing(test, tested), tested.codes)
                lane, own = lane[passes], own[passes]
            keys.append(lane)
            # The values of each event's column come one after the other.
            codes.append(own if not texts else own.astype(np.int64) + len(texts))
            texts += self._of_values(value.sql, table)["found"].tolist()
        return (
            ValuedLane(keys[0], codes[0], tuple(texts)) if len(keys) == 1 else valued_lane(keys, codes, texts)
        )

    def _are_there(self, over: Over) -> bool:
        """Whether runs have every property an expression reads."""
        return set(over.columns) <= frozenset(self.stored.manifest.columns) - OWN

    def _tables(self, asked: Sequence[Over]) -> dict[tuple[str, tuple[str, ...]], Table]:
        """The values that expressions read, by event and properties, as far as there are columns of few enough."""
        wanted = {(event, one.columns) for one in asked for event in one.events}
        columns = self._columns(sorted({(event, name) for event, names in wanted for name in names}))
        found = {}
        for event, names in wanted:
            if all((event, name) in columns for name in names):
                table = joined({name: columns[event, name] for name in names})
                if table is not None:
                    found[event, names] = table
        return found

    def _columns(self, pairs: Sequence[Pair]) -> dict[Pair, LaneColumn]:
        """The columns of some events: those kept, and the others from the runs, which are kept from now on."""
        found: dict[Pair, LaneColumn] = {}
        small = [pair for pair in pairs if len(self._lane(pair[0])) <= self.most_rows]
        for pair in small:
            rows = len(self._lane(pair[0]))
            column = self._unkept.get(pair) or (self._kept.get(pair, rows) if rows else _NO_ROWS)
            if column is not None:
                found[pair] = column
        missing = [pair for pair in small if pair not in found]
        if missing:
            made = columns_of(
                self.stored, missing, threads=self.threads, most_rows=self.most_rows, check=self.check
            )
            for pair in missing:
                # That there is no column is kept too: nobody is to look for it again.
                found[pair] = made.get(pair, NO_COLUMN)
                if not self._kept.put(pair, found[pair]):
                    while len(self._unkept) >= _MOST_UNKEPT:
                        self._unkept.pop(next(iter(self._unkept)))
                    self._unkept[pair] = found[pair]
        return {pair: column for pair, column in found.items() if column is not NO_COLUMN}

    def _lane(self, event: str) -> Ints:
        lanes = self.stored.lanes()
        return np.empty(0, np.int64) if lanes is None else lanes.of([event]).keys[event]

    def _passing(self, test: Over, table: Table) -> Bools:
        """Which values meet a condition, by their codes."""
        met = f"CAST(coalesce({test.sql}, FALSE) AS TINYINT)"
        passing: Bools = self._of_values(met, table)["found"] != 0
        return passing

    def _of_values(self, sql: str, table: Table) -> Columns:
        """An expression of each code's values; the engine computes it, as it does of events."""
        place = _PLACE
        while place in map(str.casefold, table.values):
            place += "_"
        given = {f"values_{number}": list(values) for number, values in enumerate(table.values.values())}
        listed = ", ".join(
            f"unnest(CAST($values_{number} AS {table.kinds[name]}[])) AS {quote_identifier(name)}"
            for number, name in enumerate(table.values)
        )
        return self.ask(
            f"SELECT {sql} AS found FROM (SELECT {listed}, unnest(range($count)) AS {place}) ORDER BY {place}",
            {**given, "count": table.count},
        )


def _taken(passing: Bools, codes: Codes) -> Bools:
    """Whether each code's value passes."""
    if codes.itemsize > 1:
        wide: Bools = passing[codes]
        return wide
    # Bytes are translated several times as fast as numbers are looked up.
    table = np.zeros(256, bool)
    table[: len(passing)] = passing
    return np.frombuffer(codes.tobytes().translate(table.tobytes()), bool)


_NO_ROWS = LaneColumn(np.empty(0, np.uint8), (), "VARCHAR")
