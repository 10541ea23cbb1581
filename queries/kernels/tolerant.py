"""One unit's chains under a tolerance with exclusions, or with optional steps and step windows, written out.

With a tolerance a step may be read before the step before it, so what an exclusion sees depends on more of a
chain than its last event: chains that agree in all that matters later are one state. For each entry the work
grows with the square of the events inside its window, up to the next excluding event; it is done for one entry
at a time, and only for the units that need it.
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
    layers: list[dict[_State, None]]
    """By step from 0, its states in the order they were found."""

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
    search = Search(unit, rule)
    if not unit.entering:
        return []
    if rule.entry == "every":
        return [search.counted([entry]) for entry in search.starts()]
    return [search.counted(unit.entering[:1] if rule.entry == "first" else unit.entering)]


def all_hit_tolerant(unit: UnitEvents, rule: Rule, entries: list[int]) -> bool:
    """Whether :func:`queries.kernels.replay.is_hit` holds of each of some entries, the latest asked first."""
    search = Search(unit, rule)
    return all(_is_hit(unit, rule, search.chains(entry)) for entry in reversed(entries))


def _is_hit(unit: UnitEvents, rule: Rule, chains: _Chains) -> bool:
    states, entry = list(chains.states()), chains.entry
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


class Search:
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
        layers: list[dict[_State, None]] = [{} for _ in range(self._rule.steps + 1)]
        begun = _State(1, entry, entry, (_NOT_BEGUN,) * len(self._excluding), frozenset())
        alone = self._extended(begun, 1, entry)
        assert alone is not None
        layers[1][alone] = None
        for layer in layers:
            for state in layer:
                for longer in self._longer(state, entry):
                    layers[longer.step][longer] = None
        return _Chains(entry, layers)

    def starts(self) -> Iterator[int]:
        """The entries that begin attempts."""
        latest: _Chains | None = None
        for entry in self._unit.entering:
            if latest is None or not self._is_live(latest, entry):
                latest = self.chains(entry)
                yield entry

    def counted(self, entries: list[int]) -> Attempt:
        """The attempt that counts of some entries."""
        rule = self._rule
        best = None
        for entry in entries:
            chains = self.chains(entry)
            rank = (-chains.level, chains.moment, -entry)
            if best is None or rank < best[0]:
                best = rank, chains
        assert best is not None
        level, places = best[1].level, self._chain(best[1])
        may_pass = level < rule.steps and any(self._may_pass(entry, level) for entry in reversed(entries))
        return Attempt(
            level=level,
            places=[places.get(step, -1) for step in range(1, rule.steps + 1)],
            skipped=sum(1 << (step - 1) for step in range(2, level) if step not in places),
            open=may_pass,
            strict_level=-1,
        )

    def _may_pass(self, entry: int, level: int) -> bool:
        """Whether a chain of an entry still stands at *as of* and could go past a level."""
        rule, ts = self._rule, self._unit.ts
        if not rule.may_pass(rule.steps - 1, rule.as_of, ts[entry], rule.steps - 1):
            return False
        return any(
            rule.may_pass(state.step, ts[state.place], ts[entry], level)
            for state in self.chains(entry).states()
            if all(barrier in (_NOT_BEGUN, len(ts)) for barrier in state.barriers)
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
                if longer is None:
                    break
                yield longer

    def _extended(self, state: _State, step: int, place: int) -> _State | None:
        """The chain with one more link; None where an excluding event lies in its way to this or any later
        event of the step."""
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
        for position in range(bisect_right(excluding, place), len(excluding)):
            if excluding[position] not in used:
                return excluding[position]
        return len(self._unit.ts)

    def _chain(self, chains: _Chains) -> dict[int, int]:
        """Step → place of the chain to the moment that does each step, and as early as it can."""
        level, moment = chains.level, chains.moment
        leads = {state for state in chains.layers[level] if state.place == moment}
        after: dict[_State, _State] = {}
        for layer in reversed(chains.layers[:level]):
            for state in layer:
                onward = [longer for longer in self._longer(state, chains.entry) if longer in leads]
                if onward:
                    after[state] = min(onward)
            leads.update(state for state in layer if state in after)
        (state,) = chains.layers[1]
        places = {1: state.place}
        while state.step < level:
            state = after[state]
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
