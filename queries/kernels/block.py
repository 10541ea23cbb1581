"""Whole units' events in reading order, as the ways to fold them take them, and what any way hands back.

A unit is what counts once: a person, or under ``hold`` a person and a value. Events are named by their
*place* in the block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from queries.kernels.ordering import Bools, Events, Ints
from queries.kernels.rule import Rule

NEVER = int(np.iinfo(np.int64).max)
_MOST_KEY = 1 << 62


@dataclass(frozen=True, slots=True)
class Block:
    """Events of whole units, in reading order, one unit after the other."""

    unit: Ints
    """Numbers the units from 0."""
    units: int
    ts: Ints
    steps: Ints
    """Under ``range="whole"`` 0 outside the range: such an event can do no step."""
    excludes: Ints | None
    entering: Ints
    """Places of the events that may be step 1; in any order, of those that may be any step."""
    tied: Bools | None
    """Units with two events of equal time that match steps; None where there is none."""

    def only(self, units: Bools) -> tuple[Block, Ints]:
        """The block of some units, numbered anew, and the place each of its events had."""
        chosen = units[self.unit]
        kept = np.flatnonzero(chosen)
        moved = np.cumsum(chosen) - 1
        renumbered = np.cumsum(units) - 1
        block = Block(
            unit=renumbered[self.unit[kept]],
            units=int(units.sum()),
            ts=self.ts[kept],
            steps=self.steps[kept],
            excludes=None if self.excludes is None else self.excludes[kept],
            entering=moved[self.entering[chosen[self.entering]]],
            tied=None if self.tied is None else self.tied[units],
        )
        return block, kept

    def first_entries(self) -> Ints:
        """The first of :attr:`entering` of each unit that has one."""
        return self.entering[firsts(self.unit[self.entering])]

    def lane(self, step: int) -> Ints:
        """Places of the events that match a step."""
        return np.flatnonzero((self.steps & (1 << (step - 1))) != 0)

    def excluding(self, bits: int) -> Ints | None:
        """How many events before each place are of some exclusions; None where there are none of them."""
        if self.excludes is None or not bits:
            return None
        return np.concatenate(([0], np.cumsum((self.excludes & bits) != 0)))

    def ends(self) -> Ints:
        """For each unit the place behind its last event."""
        return np.searchsorted(self.unit, np.arange(self.units), side="right")

    def same_time(self, *, first: bool) -> Ints:
        """For each event the place of the first of its unit and time, or the place behind the last."""
        new = np.concatenate(
            ([True], (self.unit[1:] != self.unit[:-1]) | (self.ts[1:] != self.ts[:-1])),
        )
        if first:
            return np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))
        starts = np.append(np.flatnonzero(new), len(new))
        behind: Ints = starts[np.cumsum(new)]
        return behind

    def shifted(self, places: Ints, by: int, *, past: bool) -> Ints:
        """Where the unit's first event stands that is at ``ts + by`` or later, or with ``past`` later."""
        side: Literal["left", "right"] = "right" if past else "left"
        low, high = int(self.ts.min()), int(self.ts.max())
        width = high - low + 3
        by = max(min(by, width), -width)
        if (self.units + 1) * width + 2 * width < _MOST_KEY:
            key = self.unit * width + (self.ts - low + 1)
            wanted = np.clip(self.ts[places] - low + 1 + by, 0, width - 1)
            found: Ints = np.searchsorted(key, self.unit[places] * width + wanted, side=side)
            return found
        ends = self.ends()
        starts = np.concatenate(([0], ends[:-1]))
        found = np.empty(len(places), np.int64)
        for row, place in enumerate(places.tolist()):
            start, end = int(starts[self.unit[place]]), int(ends[self.unit[place]])
            wanted_ts = max(min(int(self.ts[place]) + by, high + 1), low - 1)
            found[row] = start + np.searchsorted(self.ts[start:end], wanted_ts, side=side)
        return found


@dataclass(frozen=True, slots=True)
class Counted:
    """What counts: one row a unit, or an attempt; by unit, then entry. Times are places of the block."""

    unit: Ints
    level: Ints
    places: Ints
    """``(steps, rows)``; −1 where a step was not reached or was left out."""
    skipped: Ints
    """Bit k−1 where step k was left out on the way to a later one."""
    open: Bools
    strict_level: Ints
    """−1 where strictly increasing times are refused beside the rule."""

    def moved(self, units: Ints, places: Ints) -> Counted:
        """The same in the numbers of the block this one was taken from."""
        there = np.where(self.places >= 0, places[self.places], -1) if len(places) else self.places
        return Counted(units[self.unit], self.level, there, self.skipped, self.open, self.strict_level)

    def rows(self, chosen: Bools | Ints) -> Counted:
        """Some of the rows."""
        return Counted(
            self.unit[chosen],
            self.level[chosen],
            self.places[:, chosen],
            self.skipped[chosen],
            self.open[chosen],
            self.strict_level[chosen],
        )


def together(parts: list[Counted], steps: int) -> Counted:
    """Rows of disjoint units as one, by unit."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        none = np.empty(0, np.int64)
        return Counted(none, none, np.empty((steps, 0), np.int64), none, none.astype(bool), none)
    whole = Counted(
        np.concatenate([part.unit for part in parts]),
        np.concatenate([part.level for part in parts]),
        np.concatenate([part.places for part in parts], axis=1),
        np.concatenate([part.skipped for part in parts]),
        np.concatenate([part.open for part in parts]),
        np.concatenate([part.strict_level for part in parts]),
    )
    return whole.rows(np.argsort(whole.unit, kind="stable"))


def block_of(events: Events, unit: Ints, rule: Rule) -> Block:
    """The block of events in reading order; ``unit`` numbers their units from 0, ascending."""
    steps = events.steps
    units = int(unit[-1]) + 1 if len(unit) else 0
    tied, again = None, repeated_moments(unit, events.ts, steps)
    if len(again):
        tied = np.zeros(units, bool)
        tied[unit[again]] = True
    inside = _in_range(events.ts, rule)
    if rule.range == "whole" and inside is not None:
        steps = np.where(inside, steps, 0)
    entering = steps != 0 if rule.order == "any" else (steps & 1) != 0
    if inside is not None:
        entering &= inside
    return Block(unit, units, events.ts, steps, events.excludes, np.flatnonzero(entering), tied)


def repeated_moments(unit: Ints, ts: Ints, steps: Ints) -> Ints:
    """Places of the events that match a step at the time of the one before them; those of no step come last."""
    again = np.flatnonzero(ts[1:] == ts[:-1]) + 1
    kept: Ints = again[(unit[again] == unit[again - 1]) & (steps[again] != 0)]
    return kept


def _in_range(ts: Ints, rule: Rule) -> Bools | None:
    """Whether times lie in the range of entries; None without one."""
    if rule.entry_from is None and rule.entry_to is None:
        return None
    inside = np.ones(len(ts), bool) if rule.entry_from is None else ts >= rule.entry_from
    return inside if rule.entry_to is None else inside & (ts < rule.entry_to)


def firsts(ascending: Ints) -> Ints:
    """Where each run of equal numbers begins."""
    return np.flatnonzero(np.concatenate(([True], ascending[1:] != ascending[:-1]))[: len(ascending)])


def lasts(ascending: Ints) -> Ints:
    """Where each run of equal numbers ends."""
    return np.flatnonzero(np.concatenate((ascending[1:] != ascending[:-1], [True]))[: len(ascending)])
