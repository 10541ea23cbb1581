"""One unit's chains under a tolerance with exclusions, or with optional steps and step windows, written out.

With a tolerance a step may be read before the step before it, so what an exclusion sees depends on more of a
chain than its last event: chains that agree in all that matters later are one state. The work grows with the
square of the events inside one window, and is done only for the units that need it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from queries.kernels.replay import Attempt
from queries.kernels.rule import Rule
from queries.kernels.sweep import UnitEvents

_NOT_BEGUN = -1


class _State(NamedTuple):
    """Chains from one entry that go on alike."""

    step: int
    place: int
    top: int
    """The last place of any of its events."""
    barriers: tuple[int, ...]
    """For each exclusion the next event that breaks the chain when it is passed; the number of events where
    none can any more."""
    used: frozenset[int]
    """Places of its events that could exclude."""


@dataclass(frozen=True, slots=True)
class _Chains:
    """All chains of one entry."""

    entry: int
    layers: list[dict[_State, list[_State]]]
    """By step from 0, its states and the states after each."""

    def states(self) -> Iterator[_State]:
        for layer in self.layers:
            yield from layer

    @property
    def level(self) -> int:
        return max(step for step, layer in enumerate(self.layers) if layer)

    @property
    def moment(self) -> int:
        return min(state.place for state in self.layers[self.level])


def replay_tolerant(unit: UnitEvents, rule: Rule) -> list[Attempt]:
    """What a unit counts as: one attempt, or under ``every`` each of them; none without an entry."""
    search = _Search(unit, rule)
    if not unit.entering:
        return []
    if rule.entry == "every":
        return [search.counted([chains]) for chains in search.attempts()]
    entering = unit.entering[:1] if rule.entry == "first" else unit.entering
    return [search.counted([search.chains(entry) for entry in entering])]


def is_hit_tolerant(unit: UnitEvents, rule: Rule, entry: int) -> bool:
    """As :func:`queries.kernels.replay.is_hit`."""
    states = list(_Search(unit, rule).chains(entry).states())
    for place in range(entry + 1, len(unit.ts)):
        if not unit.excludes[place]:
            continue
        before = [state for state in states if state.top < place]
        level = max(state.step for state in before)
        if not unit.excludes[place] & rule.spans(level):
            continue
        deeper = any(state.step > level and state.top <= place for state in states)
        if not deeper and any(
            rule.is_running(level, unit.ts[state.place], unit.ts[entry], unit.ts[place])
            for state in before
            if state.step == level
        ):
            return True
    return False


class _Search:
    """Writes out the chains of a unit's entries."""

    __slots__ = ("_excluding", "_places", "_rule", "_times", "_unit")

    def __init__(self, unit: UnitEvents, rule: Rule) -> None:
        self._unit, self._rule = unit, rule
        self._places: list[list[int]] = [[] for _ in range(rule.steps + 1)]
        for place, steps in enumerate(unit.steps):
            for step in steps:
                self._places[step].append(place)
        self._times = [[unit.ts[place] for place in places] for places in self._places]
        self._excluding = [
            [place for place, bits in enumerate(unit.excludes) if bits >> bit & 1]
            for bit in range(len(rule.exclusions))
        ]

    def chains(self, entry: int) -> _Chains:
        """All chains of one entry, the entry alone first."""
        layers: list[dict[_State, list[_State]]] = [{} for _ in range(self._rule.steps + 1)]
        begun = _State(1, entry, entry, (_NOT_BEGUN,) * len(self._excluding), frozenset())
        alone = self._extended(begun, 1, entry)
        assert alone is not None
        layers[1][alone] = []
        for layer in layers:
            for state, after in layer.items():
                for longer in self._longer(state, entry):
                    after.append(longer)
                    layers[longer.step].setdefault(longer, [])
        return _Chains(entry, layers)

    def attempts(self) -> list[_Chains]:
        """The chains of each attempt's entry."""
        found: list[_Chains] = []
        for entry in self._unit.entering:
            if not found or not self._is_live(found[-1], entry):
                found.append(self.chains(entry))
        return found

    def counted(self, candidates: list[_Chains]) -> Attempt:
        """The attempt that counts of some entries."""
        rule, ts = self._rule, self._unit.ts
        level = max(chains.level for chains in candidates)
        deepest = [chains for chains in candidates if chains.level == level]
        best = min(deepest, key=lambda chains: (chains.moment, -chains.entry))
        places = self._chain(best)
        may_pass = level < rule.steps and any(
            rule.may_pass(state.step, ts[state.place], ts[chains.entry], level)
            for chains in candidates
            for state in chains.states()
            if all(barrier in (_NOT_BEGUN, len(ts)) for barrier in state.barriers)
        )
        return Attempt(
            level=level,
            places=[places.get(step, -1) for step in range(1, rule.steps + 1)],
            skipped=sum(1 << (step - 1) for step in range(2, level) if step not in places),
            open=may_pass,
            strict_level=-1,
        )

    def _longer(self, state: _State, entry: int) -> Iterator[_State]:
        rule, ts = self._rule, self._unit.ts
        for step in rule.next_steps(state.step):
            times = self._times[step]
            limit = times[-1] if times else 0
            if rule.window is not None:
                limit = min(limit, ts[entry] + rule.window)
            if step in rule.step_windows:
                limit = min(limit, ts[state.place] + rule.step_windows[step])
            start = bisect_left(times, ts[state.place] - rule.tolerance)
            for place in self._places[step][start : bisect_right(times, limit)]:
                longer = self._extended(state, step, place)
                if longer is not None:
                    yield longer

    def _extended(self, state: _State, step: int, place: int) -> _State | None:
        """The chain with one more link; None where an excluding event lies in its way."""
        none = len(self._unit.ts)
        used = state.used | {place} if self._unit.excludes[place] else state.used
        barriers = []
        for (first, last), barrier, excluding in zip(
            self._rule.exclusions, state.barriers, self._excluding, strict=True
        ):
            if (barrier == _NOT_BEGUN and step >= first) or barrier == place:
                barrier = self._barrier(excluding, place, used)
            elif barrier != _NOT_BEGUN and barrier < place:
                return None
            barriers.append(none if step >= last else barrier)
        return _State(step, place, max(state.top, place), tuple(barriers), used)

    def _barrier(self, excluding: list[int], place: int, used: frozenset[int]) -> int:
        after = excluding[bisect_right(excluding, place) :]
        return next((ahead for ahead in after if ahead not in used), len(self._unit.ts))

    def _chain(self, chains: _Chains) -> dict[int, int]:
        """Step → place of the chain to the moment that does each step, and as early as it can."""
        level, moment = chains.level, chains.moment
        leads = {state for state in chains.layers[level] if state.place == moment}
        for layer in reversed(chains.layers[:level]):
            leads |= {state for state, after in layer.items() if not leads.isdisjoint(after)}
        (state,) = chains.layers[1]
        places = {1: state.place}
        while state.step < level:
            state = min(after for after in chains.layers[state.step][state] if after in leads)
            places[state.step] = state.place
        return places

    def _is_live(self, chains: _Chains, now: int) -> bool:
        """Whether an attempt still takes the event at ``now``, so that this starts none."""
        rule, ts = self._rule, self._unit.ts
        so_far = [state for state in chains.states() if state.top <= now]
        complete = [state.top for state in so_far if state.step == rule.steps]
        if complete:
            return min(complete) == now
        return any(
            rule.is_running(state.step, ts[state.place], ts[chains.entry], ts[now])
            and all(barrier == _NOT_BEGUN or barrier > now for barrier in state.barriers)
            for state in so_far
        )
