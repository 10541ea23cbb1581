"""Events of many people → the order in which each person's are read: by time, then first step, then sequence.

Two ways to the same order. Where every event matches one step, person, time, step and breakdown value pack
into one integer and one sort of integers is all (:class:`Packing`). Elsewhere equal times are settled by the
first step each event matches and by the export's order (:func:`reading_order`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

BLOCK_EVENTS = 1 << 17
"""Events folded at once: small enough for the processor's cache."""

_MOST_BITS = 62


@dataclass(frozen=True, slots=True)
class Events:
    """The events a rule reads, as equally long arrays.

    ``steps`` has bit k−1 set where the event matches step k; 0 is an event of no step, needed only where a
    rule looks at those (strict order, exclusions, a person's first or last value). ``ties`` are the columns
    that order a person's events of equal time and equal first step, most significant first. ``value`` is the
    code of the breakdown's value, −1 for none. ``excludes`` has bit i set where the event is one of the
    rule's exclusion i. ``held`` is the code of the value held constant, −1 for none.
    """

    person: Ints
    ts: Ints
    steps: Ints
    ties: tuple[Ints, ...] = ()
    value: Ints | None = None
    excludes: Ints | None = None
    held: Ints | None = None

    def at(self, rows: Ints | Bools | slice) -> Events:
        """Some of the events; ``ties``, which only the order needs, left behind."""
        return Events(
            self.person[rows],
            self.ts[rows],
            self.steps[rows],
            value=None if self.value is None else self.value[rows],
            excludes=None if self.excludes is None else self.excludes[rows],
            held=None if self.held is None else self.held[rows],
        )


@dataclass(frozen=True, slots=True)
class Packing:
    """Where person, time, step and value of an event lie in one integer, most significant first.

    Packed integers in ascending order are events in reading order, as long as each matches one step. Nothing
    is lost but the export's order, and that counts only where two events of equal person, time and step
    differ in value: :meth:`settled` says whether any do.
    """

    base: int
    """The earliest time, ms."""
    time_bits: int
    step_bits: int
    value_bits: int
    every_value: bool = False
    """Whether the values of later steps are kept too, not only those of step 1."""

    @classmethod
    def fitting(
        cls, people: int, first: int, last: int, steps: int, values: int | None, *, every_value: bool = False
    ) -> Packing | None:
        """The packing for codes below ``people``, times in [first, last], and codes below ``values`` (None:
        no breakdown); None where 62 bits do not hold them."""
        packing = cls(
            base=first,
            time_bits=max(last - first, 0).bit_length(),
            step_bits=max(steps - 1, 1).bit_length(),
            value_bits=0 if values is None else values.bit_length(),
            every_value=every_value,
        )
        return packing if people.bit_length() + packing.person_shift <= _MOST_BITS else None

    @property
    def person_shift(self) -> int:
        """Bits below the person's."""
        return self.time_bits + self.step_bits + self.value_bits

    def pack(self, person: Ints, ts: Ints, step: Ints, value: Ints | None = None) -> Ints:
        """Events as integers, in their order; ``step`` is the number of the one step each matches, from 1."""
        packed = (person << self.time_bits) | (ts - self.base)
        packed <<= self.step_bits
        packed |= step - 1
        if self.value_bits and value is not None:
            packed <<= self.value_bits
            packed |= value + 1 if self.every_value else np.where(step == 1, value + 1, 0)
        return packed

    def unpack(self, packed: Ints) -> Events:
        """The events behind packed integers."""
        value = None
        if self.value_bits:
            value = (packed & ((1 << self.value_bits) - 1)) - 1
            packed = packed >> self.value_bits
        steps = np.left_shift(1, packed & ((1 << self.step_bits) - 1))
        packed = packed >> self.step_bits
        return Events(
            packed >> self.time_bits,
            (packed & ((1 << self.time_bits) - 1)) + self.base,
            steps,
            value=value,
        )

    def settled(self, ascending: Ints) -> bool:
        """Whether no two events share person, time and step and differ in a value that is kept."""
        if not self.value_bits:
            return True
        place = ascending >> self.value_bits
        return not np.any((place[1:] == place[:-1]) & (ascending[1:] != ascending[:-1]))

    def blocks(self, ascending: Ints, block_events: int = BLOCK_EVENTS) -> Iterator[slice]:
        """Slices of about ``block_events`` events, never through a person."""
        start = 0
        while start < len(ascending):
            end = min(start + block_events, len(ascending))
            if end < len(ascending):
                next_person = (int(ascending[end - 1]) >> self.person_shift) + 1
                end = int(np.searchsorted(ascending, next_person << self.person_shift))
            yield slice(start, end)
            start = end


def distinct(values: Ints) -> Ints:
    """Each value once, ascending; by sorting, which is a hundred times quicker here than the library's hash table."""
    ordered = np.sort(values)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))] if len(ordered) else ordered


def first_step(steps: Ints) -> Ints:
    """The lowest set bit of each mask: what orders events of equal time; those of no step come last."""
    return np.where(steps == 0, np.iinfo(np.int64).max, steps & -steps)


def reading_order(events: Events) -> Events:
    """The events by person, time, first step matched, then ``ties``.

    One sort of packed person and time where they fit, and only runs of equal person and time are sorted again.
    """
    if len(events.ts) == 0:
        return events
    base = int(events.ts.min())
    time_bits = (int(events.ts.max()) - base).bit_length()
    if time_bits + int(events.person.max()).bit_length() <= _MOST_BITS:
        key = (events.person << time_bits) | (events.ts - base)
        order = np.argsort(key)
        key = key[order]
        same = key[1:] == key[:-1]
    else:
        order = np.lexsort((events.ts, events.person))
        person, ts = events.person[order], events.ts[order]
        same = (person[1:] == person[:-1]) & (ts[1:] == ts[:-1])
    if same.any():
        order = _settle_ties(events, order, same)
    return events.at(order)


def _settle_ties(events: Events, order: Ints, same: Bools) -> Ints:
    """Sorts each run of equal person and time by first step matched, then by ``ties``."""
    tied = np.concatenate(([False], same)) | np.concatenate((same, [False]))
    places = np.flatnonzero(tied)
    run = np.concatenate(([0], np.cumsum(~same)))[places]
    rows = order[places]
    keys = [column[rows] for column in reversed(events.ties)]
    settled = np.lexsort((*keys, first_step(events.steps[rows]), run))
    order = order.copy()
    order[places] = rows[settled]
    return order


def cut(person: Ints, block_events: int = BLOCK_EVENTS) -> Iterator[slice]:
    """Slices of about ``block_events`` events over an ascending ``person``, never through a person."""
    start = 0
    while start < len(person):
        end = min(start + block_events, len(person))
        if end < len(person):
            end = int(np.searchsorted(person, person[end - 1], side="right"))
        yield slice(start, end)
        start = end
