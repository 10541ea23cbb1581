"""The chains of one entry alone, grown event by event, so that what each event did to them can be told.

They are grown by the code that counts: :class:`~queries.kernels.sweep.Sweep`, in any order
:class:`~queries.kernels.filling.Reading`, under a tolerance with exclusions :class:`~queries.kernels.tolerant.Search`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Protocol

from queries.kernels.filling import Reading
from queries.kernels.rule import Rule
from queries.kernels.sweep import Plan, Sweep, UnitEvents
from queries.kernels.tolerant import Search


class Chains(Protocol):
    """The chains of one entry, as far as events were read."""

    entry: int

    @property
    def level(self) -> int:
        """The deepest step so far, whether or not a chain still stands there."""
        ...

    def take(self, place: int) -> None:
        """Reads the next event."""
        ...

    def standing(self, before: int | None = None) -> dict[int, int]:
        """Steps at which a chain stands that events may follow, each with the place of its latest event.

        ``before``: only chains whose last event has an earlier time, ms.
        """
        ...


class InOrder:
    """Ordered and strict chains without a tolerance."""

    __slots__ = ("_at", "_strict", "_sweep", "_ts", "entry")

    def __init__(self, unit: UnitEvents, plan: Plan, entry: int) -> None:
        self.entry = self._at = entry
        self._strict, self._ts = plan.rule.order == "strict", unit.ts
        self._sweep = Sweep(unit, plan)
        self._sweep.take(entry, True)

    @property
    def level(self) -> int:
        return self._sweep.level

    def take(self, place: int) -> None:
        self._sweep.take(place, False)
        self._at = place

    def standing(self, before: int | None = None) -> dict[int, int]:
        found: dict[int, int] = {}
        for step, place, _ in self._sweep.standing():
            if before is not None and self._ts[place] >= before:
                continue
            if not self._strict or place == self._at:
                found[step] = max(found.get(step, -1), place)
        return found


class Near:
    """Chains whose steps may lie a little before the step before them, where nothing excludes.

    Of each step it keeps every event that some chain does; a new one may make events read before it, inside the
    tolerance, the next step.
    """

    __slots__ = ("_at", "_done", "_places", "_plan", "_unit", "entry")

    def __init__(self, unit: UnitEvents, plan: Plan, places: Sequence[Sequence[int]], entry: int) -> None:
        self.entry = self._at = entry
        self._unit, self._plan, self._places = unit, plan, places
        self._done: list[list[tuple[int, int]]] = [[] for _ in plan.spans]
        self._do(1, entry)

    @property
    def level(self) -> int:
        return max(self.standing())

    def take(self, place: int) -> None:
        self._at = place
        for step in self._unit.steps[place]:
            if step > 1:
                self._try(step, place)

    def standing(self, before: int | None = None) -> dict[int, int]:
        return {step: done[-1][1] for step, done in enumerate(self._done) if done}

    def _try(self, step: int, place: int) -> None:
        ts, rule = self._unit.ts, self._plan.rule
        now = ts[place]
        if rule.window is not None and now - ts[self.entry] > rule.window:
            return
        for source in self._plan.sources[step]:
            done = self._done[source]
            first = bisect_left(done, (now - self._plan.windows[step], -1))
            if first < len(done) and done[first][0] <= now + rule.tolerance:
                self._do(step, place)
                return

    def _do(self, step: int, place: int) -> None:
        now = self._unit.ts[place]
        link = (now, place)
        at = bisect_left(self._done[step], link)
        if self._done[step][at : at + 1] == [link]:
            return
        self._done[step].insert(at, link)
        for following in self._plan.following[step]:
            there = self._places[following]
            first = bisect_left(there, now - self._plan.rule.tolerance, key=self._unit.ts.__getitem__)
            for later in there[first : bisect_right(there, self._at)]:
                self._try(following, later)


class Tolerant:
    """The same beside exclusions: every chain written out."""

    __slots__ = ("_at", "_states", "_steps", "entry")

    def __init__(self, search: Search, rule: Rule, entry: int) -> None:
        self.entry = self._at = entry
        self._steps = rule.steps
        self._states = list(search.chains(entry).states())

    @property
    def level(self) -> int:
        return max(state.step for state in self._states if state.top <= self._at)

    def take(self, place: int) -> None:
        self._at = place

    def standing(self, before: int | None = None) -> dict[int, int]:
        found: dict[int, int] = {}
        for state in self._states:
            unbroken = all(barrier < 0 or barrier > self._at for barrier in state.barriers)
            if state.top <= self._at and (unbroken or state.step == self._steps):
                found[state.step] = max(found.get(state.step, -1), state.place)
        return found


class InAnyOrder:
    """Steps filled in any order; a chain stands at how many it fills."""

    __slots__ = ("_at", "_reading", "entry")

    def __init__(self, unit: UnitEvents, entry: int) -> None:
        self.entry = self._at = entry
        self._reading = Reading(unit, entry)

    @property
    def level(self) -> int:
        return self._reading.level

    def take(self, place: int) -> None:
        if self._reading.take(place):
            self._at = place

    def standing(self, before: int | None = None) -> dict[int, int]:
        return {self._reading.level: self._at} if self._reading.alive else {}
