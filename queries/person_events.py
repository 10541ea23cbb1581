"""One person's events in memory, in order: the few columns of which the profile, the sessions and every state come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from queries.finding import Known

KEPT, SHOWN, ORDER, REFUND, CART = (1 << bit for bit in range(5))
"""Bits of what an event is: of the person and in scope, shown, an order, a refund, one that touches the cart."""

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the columns of a row stand that may be there or not: time, event, source, session, bits and role do."""

    order: slice
    """Those that order events of equal time."""
    ids: slice
    """The raw ids, in order of trust."""
    places: Mapping[str, int]
    """Of a column by its name, and of ``price`` and ``size``."""
    whole: int | None
    """From where on every column stands, where they do."""


TS, EVENT, SOURCE, SESSION, BITS, ROLE = range(6)


class Events:
    """The events of one person; every array has one entry an event."""

    def __init__(self, rows: Sequence[Row], layout: Layout, known: Sequence[Known]) -> None:
        """``rows`` in reading order, those out of scope among them; ``known`` are all combinations they have."""
        self.layout = layout
        bits = _integers(rows, BITS)
        kept = bits & KEPT != 0
        self.rows = rows if kept.all() else list(compress(rows, kept.tolist()))
        self.bits = bits[kept]
        self.ts = _integers(self.rows, TS)
        self.source = _integers(self.rows, SOURCE)
        self.shown = self.bits & SHOWN != 0
        self._clean = {one.raw: one.clean for one in known}

    def show(self, only: NDArray[np.bool_]) -> None:
        """Hides the others."""
        self.shown &= only

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[object]:
        """The values of a column that there is."""
        place = self.layout.places[name]
        return [row[place] for row in self.rows]

    def told(self, place: int, names: Sequence[str]) -> list[object]:
        """Some values of one event; None where there is no such column."""
        row, places = self.rows[place], self.layout.places
        return [row[places[name]] if name in places else None for name in names]

    def of(self, place: int, name: str) -> object:
        """The value of one event; None where there is no such column."""
        at = self.layout.places.get(name)
        return None if at is None else self.rows[place][at]

    def counts(self, name: str, bit: int = KEPT) -> list[tuple[str, int]]:
        """The values of a text column and how many events of a kind have them; most first, equal ones by name."""
        chosen = (self.bits & bit != 0).tolist()
        found = Counter(compress(self.column(name), chosen))
        return sorted(
            ((str(value), count) for value, count in found.items() if value),
            key=lambda one: (-one[1], one[0]),
        )

    # --- ids ------------------------------------------------------------------------------------------------

    @cached_property
    def combinations(self) -> tuple[list[tuple[object, ...]], NDArray[np.int64]]:
        """The combinations of raw ids there are, and the place of each event's."""
        codes: dict[tuple[object, ...], int] = {}
        ids = self.layout.ids
        places = [codes.setdefault(row[ids], len(codes)) for row in self.rows]
        return list(codes), np.array(places, np.int64)

    @cached_property
    def used(self) -> list[tuple[int | None, str | None]]:
        """The kind's place and the id in use, by combination."""
        return [
            next(((place, id) for place, id in enumerate(clean) if id is not None), (None, None))
            for clean in self.clean
        ]

    @cached_property
    def clean(self) -> list[tuple[str | None, ...]]:
        """The ids without junk, by combination."""
        return [self._clean[raw] for raw in self.combinations[0]]  # type: ignore[index]

    @cached_property
    def raw_ids(self) -> list[object]:
        """The raw id that tells two sessions of one number apart, by combination."""
        return [next((id for id in reversed(raw) if id is not None), None) for raw in self.combinations[0]]

    @cached_property
    def id_changes(self) -> NDArray[np.bool_]:
        """Where another id comes into use."""
        found: dict[tuple[int | None, str | None], int] = {}
        codes = np.array([found.setdefault(one, len(found)) for one in self.used], np.int64)
        each = codes[self.combinations[1]]
        return np.concatenate([np.ones(min(1, len(each)), np.bool_), each[1:] != each[:-1]])


def _integers(rows: Sequence[Row], place: int) -> NDArray[np.int64]:
    return np.fromiter((row[place] for row in rows), np.int64, len(rows))
