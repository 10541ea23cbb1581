"""Chains grown event by event, for the rules that no pass over a whole block folds exactly.

Each level keeps the chains that stand at it, as the place of their last event and their latest entry; of two
chains the one that is no later in either is dropped. The work is linear in the events, but in Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from queries.kernels.block import NEVER
from queries.kernels.rule import Rule, strictly

Link = tuple[int, int]
"""A step and the place of the event that does it."""


@dataclass(frozen=True, slots=True)
class UnitEvents:
    """One unit's events in reading order."""

    ts: list[int]
    steps: list[list[int]]
    """The steps each event matches, the last first."""
    excludes: list[int]
    entering: list[int]
    tied: bool


class Plan:
    """What a rule says of each step, worked out once for all units."""

    __slots__ = ("following", "rule", "sources", "spans", "stricter", "windows")

    def __init__(self, rule: Rule) -> None:
        steps = range(rule.steps + 1)
        self.rule = rule
        self.following = [list(rule.next_steps(step)) for step in steps]
        self.sources = [[before for before in steps[1:] if step in self.following[before]] for step in steps]
        self.spans = [rule.spans(step) for step in steps]
        self.windows = [rule.step_windows.get(step, NEVER) for step in steps]
        stricter = strictly(rule)
        self.stricter: Plan | None = None
        if stricter is not None:
            self.stricter = self if rule.ties == "strict" else Plan(stricter)

    def is_running(self, step: int, ts: int, entry_ts: int, now: int) -> bool:
        """Whether a chain, at ``step`` since ``ts``, has a next step whose windows take in ``now``."""
        if self.rule.window is not None and now - entry_ts > self.rule.window:
            return False
        return any(now - ts <= self.windows[following] for following in self.following[step])


class Sweep:
    """The chains of some entries, grown event by event."""

    __slots__ = (
        "_fresh",
        "_fresh_ts",
        "_gap",
        "_latest",
        "_plan",
        "_stale",
        "_strict",
        "_unit",
        "first",
        "level",
    )

    def __init__(self, unit: UnitEvents, plan: Plan) -> None:
        self._unit, self._plan = unit, plan
        self._strict, self._gap = plan.rule.order == "strict", plan.rule.gap
        self._stale: list[list[Link]] = [[] for _ in plan.spans]
        """By level, chains as (place, entry) that may be followed or, in strict order, only still run."""
        self._fresh: list[tuple[int, int, int]] = []
        """Chains as (step, place, entry) that only later times, or in strict order the next event, follow."""
        self._fresh_ts = 0
        self._latest = [-1] * len(plan.spans)
        self.level = 0
        """The deepest level so far."""
        self.first: list[Link] = [(-1, -1)] * len(plan.spans)
        """By level, the place where it is first reached and the latest entry that does so."""

    def latest(self, step: int) -> int:
        """The latest place at which a chain did a step."""
        return self._latest[step]

    def take(self, place: int, enters: bool) -> None:
        """Reads the next event."""
        unit, strict = self._unit, self._strict
        if not strict and self._fresh and unit.ts[place] > self._fresh_ts:
            self._settle(self._fresh)
        grown: list[tuple[int, int, int]] = []
        followed: set[int] = set()
        for step in unit.steps[place]:
            entry = self._entry(step, place, followed) if step > 1 else (place if enters else -1)
            if entry >= 0:
                grown.append((step, place, entry))
                if self._latest[step] < 0:
                    self.first[step] = (place, entry)
                    self.level = max(self.level, step)
                self._latest[step] = place
        if strict:
            self._settle([chain for chain in self._fresh if chain[0] not in followed])
        if unit.excludes[place]:
            self._exclude(unit.excludes[place])
        if strict or self._gap:
            self._fresh += grown
            self._fresh_ts = unit.ts[place]
        else:
            self._settle(grown)

    def standing(self) -> Iterator[tuple[int, int, int]]:
        """Chains as (step, place, entry) that no exclusion broke."""
        yield from self._fresh
        for step, chains in enumerate(self._stale):
            yield from ((step, place, entry) for place, entry in chains)

    def is_running(self, now: int) -> bool:
        """Whether the windows of some standing chain take in a time."""
        ts, plan = self._unit.ts, self._plan
        return any(plan.is_running(step, ts[place], ts[entry], now) for step, place, entry in self.standing())

    def _entry(self, step: int, place: int, followed: set[int]) -> int:
        """The latest entry of the chains that this event may follow as ``step``; −1 without one."""
        ts, gap, window = self._unit.ts, self._gap, self._plan.rule.window
        now, own = ts[place], self._plan.windows[step]
        latest = -1
        for source in self._plan.sources[step]:
            chains = self._stale[source]
            if self._strict:
                chains = [(last, entry) for at, last, entry in self._fresh if at == source]
            for last, entry in chains:
                if gap <= now - ts[last] <= own:
                    if window is None or now - ts[entry] <= window:
                        followed.add(source)
                        latest = max(latest, entry)
                    break
        return latest

    def _settle(self, fresh: list[tuple[int, int, int]]) -> None:
        """Chains may be followed from now on; those no later in place or entry are dropped."""
        for step, place, entry in fresh:
            chains = self._stale[step]
            while chains and (chains[-1][1] <= entry or self._strict):
                chains.pop()
            chains.append((place, entry))
        self._fresh = []

    def _exclude(self, bits: int) -> None:
        self._fresh = [chain for chain in self._fresh if not self._plan.spans[chain[0]] & bits]
        for step, spans in enumerate(self._plan.spans):
            if spans & bits:
                self._stale[step].clear()
