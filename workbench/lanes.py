"""The lanes of an open dataset: made from one pass over the events asked for, kept while memory allows.

A pass costs no more than the events' own question from the files, and spares every later one its reading.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from queries.kernels.lane_values import ValuedLane, valued_lane
from queries.kernels.lanes import PERSON_BITS, TIME_BITS, Lanes, condition_of, fits, key
from queries.question import Columns, Survey
from queries.quoting import quote_literal

Ints = NDArray[np.int64]
Stream = Callable[[str], Iterator[Columns]]
Give = Callable[[Sequence[str]], Mapping[str, Ints]]
"""Lanes by name, as far as they can be had without reading events."""


@dataclass(frozen=True, slots=True)
class CodedBatch:
    """Some events with the text of a value each."""

    person: Ints
    ts: Ints
    codes: Ints
    """Places among the texts; −1 for none."""
    texts: Sequence[str]


CodedStream = Callable[[str], Iterator[CodedBatch]]


class LaneCache:
    """Lanes by event name, the ones asked for least recently dropped first. For one worker at a time.

    What is cached is only ever replaced whole: a pass that is interrupted leaves nothing behind.
    """

    def __init__(
        self, most_bytes: int, *, time_bits: int = TIME_BITS, person_bits: int = PERSON_BITS
    ) -> None:
        self._most_keys = most_bytes // 8
        self._time_bits, self._person_bits = time_bits, person_bits
        self._base: int | None = None
        self._lanes: OrderedDict[str, Ints] = OrderedDict()
        self._valued: OrderedDict[tuple[str, str], ValuedLane] = OrderedDict()
        self._asked: set[str] = set()
        self._too_many: set[frozenset[str]] = set()

    def align(self, base: int, time_bits: int, person_bits: int) -> None:
        """From now on keys are such as these, so that they fold beside others; what was made otherwise goes."""
        wanted = base, time_bits, person_bits
        if wanted != (self._base, self._time_bits, self._person_bits):
            self._lanes.clear()
            self._valued.clear()
            self._base, self._time_bits, self._person_bits = wanted

    @property
    def bytes(self) -> int:
        """What the lanes take."""
        return 8 * sum(map(len, self._lanes.values())) + self._valued_bytes

    @property
    def _valued_bytes(self) -> int:
        return sum(lane.keys.nbytes + lane.codes.nbytes for lane in self._valued.values())

    def of(
        self,
        names: Sequence[str],
        survey: Survey,
        stream: Stream,
        *,
        make: bool,
        give: Give | None = None,
    ) -> Lanes | None:
        """The lanes of some events; None where they do not fit, or are not there and not to be made.

        ``make``: whether missing lanes pay already the first time they are asked for. ``give`` is asked for missing
        lanes before any event is read for them.
        """
        if not names or survey.first is None or survey.last is None:
            return None
        base = survey.first if self._base is None else self._base
        fitting = self._fits(survey.codes, base, survey.last)
        if not fitting or frozenset(names) in self._too_many:
            return None
        missing = [name for name in names if name not in self._lanes]
        if missing and not make and not self._asked.issuperset(missing):
            self._asked.update(missing)
            return None
        if missing and not self._make(missing, names, survey, stream, give):
            return None
        for name in names:
            self._lanes.move_to_end(name)
        return Lanes(base, {name: self._lanes[name] for name in names}, self._time_bits)

    def valued(self, match: str, value: str, survey: Survey, coded: CodedStream) -> ValuedLane | None:
        """The events of a condition with a property's value; None where they are too many or too wide."""
        base = survey.first if self._base is None else self._base
        if base is None or survey.last is None or not self._fits(survey.codes, base, survey.last):
            return None
        made = self._valued.get((match, value))
        if made is None:
            made = self._read_valued(match, value, base, coded)
            if made is None:
                return None
            self._valued[match, value] = made
        self._valued.move_to_end((match, value))
        while len(self._valued) > 1 and self.bytes > 8 * self._most_keys:
            self._valued.popitem(last=False)
        return made

    def _read_valued(self, match: str, value: str, base: int, coded: CodedStream) -> ValuedLane | None:
        keys: list[Ints] = []
        codes: list[Ints] = []
        # None of the values comes first.
        code_of: dict[str | None, int] = {None: 0}
        for batch in coded(valued_sql(match, value)):
            keys.append(key(batch.person, batch.ts, base, self._time_bits))
            own = [code_of.setdefault(text, len(code_of)) for text in batch.texts]
            codes.append(np.array([*own, 0], np.int64)[batch.codes])
            if 2 * sum(map(len, keys)) > self._most_keys:
                return None
        return valued_lane(keys, codes, list(code_of))

    def _fits(self, codes: int, first: int, last: int) -> bool:
        return fits(codes, first, last, time_bits=self._time_bits, person_bits=self._person_bits)

    def _make(
        self, missing: Sequence[str], names: Sequence[str], survey: Survey, stream: Stream, give: Give | None
    ) -> bool:
        """Makes the missing lanes and makes room for them; whether they fit beside the others asked for."""
        needed = sum(len(self._lanes[name]) for name in names if name in self._lanes)
        base = survey.first or 0 if self._base is None else self._base
        given = {} if give is None else give(missing)
        needed += sum(map(len, given.values()))
        rest = [name for name in missing if name not in given]
        read = self._read(rest, base, stream, self._most_keys - needed) if needed <= self._most_keys else None
        if read is None:
            self._too_many.add(frozenset(names))
            return False
        made = {**given, **read}
        kept = OrderedDict(self._lanes)
        for name in self._lanes:
            if sum(map(len, kept.values())) + sum(map(len, made.values())) <= self._most_keys:
                break
            if name not in names:
                del kept[name]
        kept.update(made)
        self._lanes = kept
        return True

    def _read(
        self, names: Sequence[str], base: int, stream: Stream, most_keys: int
    ) -> Mapping[str, Ints] | None:
        """The lanes of events, of all names at once; None where they are more than ``most_keys`` or too wide."""
        bare = [name for name in names if condition_of(name) is None]
        # An event may meet several conditions: each is read by itself.
        selects = [bare] if bare else []
        selects += [[name] for name in names if condition_of(name) is not None]
        lanes: dict[str, Ints] = {}
        for selected in selects:
            made = self._select(selected, base, stream, most_keys - sum(map(len, lanes.values())))
            if made is None:
                return None
            lanes |= made
        return lanes

    def _select(
        self, names: Sequence[str], base: int, stream: Stream, most_keys: int
    ) -> Mapping[str, Ints] | None:
        """The lanes of names or of one condition, from one select."""
        pieces: list[list[Ints]] = [[] for _ in names]
        count = 0
        for batch in stream(lanes_sql(names)):
            person, ts, lane = (batch[name].astype(np.int64) for name in ("person", "ts", "lane"))
            count += len(ts)
            if count > most_keys:
                return None
            if not len(ts):
                continue
            # A time outside the survey's would be another person's.
            if ts.min() < base or not self._fits(int(person.max()) + 1, base, int(ts.max())):
                return None
            _split(key(person, ts, base, self._time_bits), lane, pieces)
        lanes = {}
        for name, parts in zip(names, pieces, strict=True):
            lanes[name] = np.concatenate(parts) if parts else np.empty(0, np.int64)
            parts.clear()
            lanes[name].sort()
        return lanes


def _split(keys: Ints, lane: Ints, pieces: Sequence[list[Ints]]) -> None:
    """Lays the keys of each lane to its pieces."""
    order = np.argsort(lane.astype(np.min_scalar_type(len(pieces))), kind="stable")
    ends = np.cumsum(np.bincount(lane, minlength=len(pieces)))
    for place, part in enumerate(np.split(keys[order], ends[:-1])):
        if len(part):
            pieces[place].append(part)


def valued_sql(match: str, value: str) -> str:
    """Person, time and value of every event of a condition."""
    return f"SELECT e.person, e.ts, {value} AS lane_value\nFROM events e\nWHERE {match}"


def lanes_sql(names: Sequence[str]) -> str:
    """Person, time and number of the name, or of the one condition, of every event of some."""
    named = [condition_of(name) or f"event = {quote_literal(name)}" for name in names]
    cases = " ".join(f"WHEN {match} THEN {place}" for place, match in enumerate(named))
    return f"SELECT e.person, e.ts, CASE {cases} END AS lane\nFROM events e\nWHERE {' OR '.join(named)}"
