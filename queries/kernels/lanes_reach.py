"""How far each person comes in ordered steps, and since when: by looking only where that is decided.

*Ahead* of an event is the earliest one that can be its next step, *behind* it the latest entry from which a chain
comes to it. The first event of a step that has its entry in the window is the one that counts. Where a step has few
events, what is behind each of them is found at once; where it has many, only those are asked that are ahead of
some entry: of a person's first one as a rule, else of the next. The numbers are the same whichever is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from queries.kernels.lanes_steps import Steps
from queries.kernels.ordering import Bools, Ints
from queries.kernels.rule import Rule

Side = Literal["left", "right"]

FEW_EVENTS = 3
"""Events of a step for each person that has an entry: up to so many, all of them are looked at."""
_LEAST_COST = 500
"""Searches that take as long as asking for them."""


@dataclass(frozen=True, slots=True)
class Reach:
    """By person with an entry, ascending; keys."""

    person: Ints
    level: Ints
    """The deepest step that any entry reaches."""
    entry: Ints
    """The latest entry of the first chain that comes there."""
    last: Ints
    """The event in which that chain ends."""

    def settle(self, rows: Ints, level: int, entry: Ints, last: Ints) -> None:
        """Sets how far some people come."""
        self.level[rows] = level
        self.entry[rows] = entry
        self.last[rows] = last


@dataclass(frozen=True, slots=True)
class Chains:
    """Chains of events from some entries on."""

    events: Steps
    rule: Rule
    entries: Ints
    begins: Ints
    """Where each person's entries begin."""
    known: dict[int, Ints]
    """By step: what is behind each of its events, where that was asked of all of them."""

    @property
    def first(self) -> Ints:
        """The first entry of each person."""
        return self.entries[self.begins]

    @property
    def last(self) -> Ints:
        """The last entry of each person."""
        ends: Ints = np.append(self.begins[1:], len(self.entries))[: len(self.begins)]
        return self.entries[ends - 1]

    def lane(self, step: int) -> Ints:
        """The keys of a step's events; of step 1, the entries."""
        return self.entries if step == 1 else self.events.keys[step - 1]

    def behind(self, step: int, keys: Ints) -> Ints:
        """The latest entry behind each of some events of a step, both ascending; windows aside.

        It may be another person's, or −1, where there is none. No earlier event of the step has a later one, so
        that of the latest event of the step before is the one, in time or not.
        """
        side: Side = "left" if self.rule.gap else "right"
        for before in range(step - 1, 0, -1):
            lane = self.lane(before)
            if not len(lane):
                return np.full(len(keys), -1, np.int64)
            found = lane.searchsorted(keys, side) - 1
            keys = self.known.get(before, lane)[found]
            keys[: found.searchsorted(0)] = -1
            if before in self.known:
                break
        return keys

    def ahead(self, step: int, keys: Ints) -> tuple[Ints, Ints]:
        """The first event of a step that each of ascending keys of the step before can go on to, and which have one."""
        return _next(self.events, self.lane(step), keys, "right" if self.rule.gap else "left")

    def next_entry(self, keys: Ints) -> tuple[Ints, Ints]:
        """The first entry of the same person behind each of ascending keys, and which have one."""
        return _next(self.events, self.entries, keys, "right")

    def latest(self, step: int, start: Ints, until: int) -> tuple[Ints, Ints]:
        """Which of some people have an event of a step up to an offset, and the latest such event of each.

        ``start``: the people's keys at offset 0.
        """
        lane = self.lane(step)
        found = lane.searchsorted(start + until, "right") - 1
        kept = (found >= 0).nonzero()[0]
        keys = lane[found[kept]]
        same = self.events.is_same(keys, start[kept])
        return kept[same], keys[same]

    def in_time(self, keys: Ints, entry: Ints) -> Bools:
        """Whether events lie in the window of entries of the same people."""
        return np.ones(len(keys), bool) if self.rule.window is None else keys - entry <= self.rule.window


def _next(events: Steps, lane: Ints, keys: Ints, side: Side) -> tuple[Ints, Ints]:
    if not len(lane):
        return lane[:0], np.empty(0, np.int64)
    # Behind the last event of all there is none.
    keys = keys[: keys.searchsorted(lane[-1], "left" if side == "right" else "right")]
    there = lane[lane.searchsorted(keys, side)]
    kept = events.is_same(there, keys).nonzero()[0]
    return there[kept], kept


def reach(
    events: Steps, rule: Rule, entries: Ints, *, few: float = FEW_EVENTS, searches: int | None = None
) -> tuple[Reach, Chains]:
    """How far people come, any of the entries counting; the same whatever ``few`` and ``searches`` are.

    ``searches``: for how many keys is searched, entry by entry, before all events of the people left are looked at
    instead. None: half as many as there are events, so that it never takes much longer than that alone.
    """
    chains = Chains(events, rule, entries, events.firsts(entries), {})
    first = chains.first
    found = Reach(events.person(first), np.ones(len(first), np.int64), first.copy(), first.copy())
    for step in range(2, rule.steps + 1):
        if len(chains.lane(step)) <= few * len(first):
            chains.known[step] = chains.behind(step, chains.lane(step))
    waiting = np.ones(len(first), bool)
    arrivals: list[tuple[Ints, Ints]] = []
    left = sum(map(len, events.keys)) // 2 if searches is None else searches
    for step in range(rule.steps, 1, -1):
        if step in chains.known:
            _settle_all(chains, found, waiting, step)
            continue
        arrivals = arrivals or list(_arrivals(chains, first, waiting, step))
        rows, keys = arrivals[step - 2]
        asked = waiting[rows].nonzero()[0]
        left = _settle_some(chains, found, waiting, step, (rows[asked], keys[asked]), left)
    return found, chains


def _arrivals(chains: Chains, first: Ints, waiting: Bools, last: int) -> Iterator[tuple[Ints, Ints]]:
    """For each step from 2 to the last one: which of those who wait come there from their first entry, and when."""
    rows = waiting.nonzero()[0]
    keys = first[rows]
    for step in range(2, last + 1):
        keys, kept = chains.ahead(step, keys)
        rows = rows[kept]
        yield rows, keys


def _settle_all(chains: Chains, found: Reach, waiting: Bools, step: int) -> None:
    """Settles who comes to a step, from what is behind all of its events."""
    lane, behind = chains.lane(step), chains.known[step]
    kept = (chains.events.is_same(behind, lane) & chains.in_time(lane, behind)).nonzero()[0]
    kept = kept[chains.events.firsts(lane[kept])]
    rows = found.person.searchsorted(chains.events.person(lane[kept]))
    asked = waiting[rows]
    rows, kept = rows[asked], kept[asked]
    found.settle(rows, step, behind[kept], lane[kept])
    waiting[rows] = False


def _settle_some(
    chains: Chains, found: Reach, waiting: Bools, step: int, arrived: tuple[Ints, Ints], searches: int
) -> int:
    """Settles who comes to a step, entry by entry; how many searches are left then.

    ``arrived``: whom the first entry takes there, and when.
    """
    rows, keys = arrived
    while len(rows):
        searches -= max(len(rows), _LEAST_COST) * (2 * step - 1)
        if searches < 0:
            _settle_whole(chains, found, waiting, rows)
            break
        entry = chains.behind(step, keys)
        in_time = chains.in_time(keys, entry)
        done = rows[in_time]
        found.settle(done, step, entry[in_time], keys[in_time])
        waiting[done] = False
        rows = rows[~in_time]
        keys, kept = chains.next_entry(entry[~in_time])
        for following in range(2, step + 1):
            rows = rows[kept]
            keys, kept = chains.ahead(following, keys)
        rows = rows[kept]
    return searches


def _settle_whole(chains: Chains, found: Reach, waiting: Bools, rows: Ints) -> None:
    """Settles some people by looking at all their events."""
    people = found.person[rows]
    entries = chains.events.keys_of(chains.entries, people)
    whole = reach_of_all(chains.events.of(people), chains.rule, entries)
    found.level[rows], found.entry[rows], found.last[rows] = whole.level, whole.entry, whole.last
    waiting[rows] = False


def reach_of_all(events: Steps, rule: Rule, entries: Ints) -> Reach:
    """The same, by looking at every event: its latest entry is handed on from step to step where it is in time."""
    first = entries[events.firsts(entries)]
    found = Reach(events.person(first), np.ones(len(first), np.int64), first.copy(), first.copy())
    keys = entry = entries
    for step in range(2, rule.steps + 1):
        here = events.keys[step - 1]
        if not len(keys) or not len(here):
            break
        place = keys.searchsorted(here, "left" if rule.gap else "right") - 1
        latest = entry[place]
        kept = (place >= 0) & events.is_same(latest, here)
        if rule.window is not None:
            kept &= here - latest <= rule.window
        keys, entry = here[kept], latest[kept]
        begin = events.firsts(keys)
        rows = found.person.searchsorted(events.person(keys[begin]))
        found.settle(rows, step, entry[begin], keys[begin])
    return found
