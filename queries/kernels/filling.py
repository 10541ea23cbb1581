"""Steps in any order where events match several steps or exclude too: which of them can fill steps together.

The sets of events that can do distinct steps are the independent sets of a transversal matroid (Edmonds and
Fulkerson 1965): an event that enlarges the largest set can always be added, and a set that must be in, here the
entry and every excluding event passed, can always be completed to a largest one.
"""

from __future__ import annotations

from queries.kernels.replay import Attempt
from queries.kernels.rule import Rule
from queries.kernels.sweep import UnitEvents


class _Filling:
    """Events assigned to distinct steps."""

    __slots__ = ("_by_step", "size")

    def __init__(self) -> None:
        self._by_step: dict[int, list[int]] = {}
        self.size = 0

    def add(self, steps: list[int]) -> bool:
        """Adds an event that matches some steps if all the events can then do distinct steps."""
        if not self._place(steps, set()):
            return False
        self.size += 1
        return True

    def _place(self, steps: list[int], tried: set[int]) -> bool:
        for step in steps:
            if step in tried:
                continue
            tried.add(step)
            moved = self._by_step.get(step)
            if moved is None or self._place(moved, tried):
                self._by_step[step] = steps
                return True
        return False


class Reading:
    """What the events from one entry's time on fill, event by event."""

    __slots__ = ("_largest", "_must", "_unit", "alive", "entry", "moments")

    def __init__(self, unit: UnitEvents, entry: int) -> None:
        self._unit, self.entry = unit, entry
        self._largest, self._must = _Filling(), _Filling()
        self._largest.add(unit.steps[entry])
        self._must.add(unit.steps[entry])
        for place in _tied_before(unit, entry):
            self._largest.add(unit.steps[place])
        self.moments = dict.fromkeys(range(1, self._largest.size + 1), entry)
        """Level → the place where it is first reached."""
        self.alive = True
        """Whether no excluding event broke every chain."""

    @property
    def level(self) -> int:
        return self._largest.size

    def take(self, place: int) -> bool:
        """Reads the next event inside the window; whether it takes the entry deeper."""
        steps = self._unit.steps[place]
        deeper = bool(steps) and self._largest.add(steps)
        if deeper:
            self.moments[self.level] = place
        if self._unit.excludes[place] and not (steps and self._must.add(steps)):
            self.alive = False
        return deeper


def replay_any(unit: UnitEvents, rule: Rule) -> list[Attempt]:
    """What a unit counts as: one attempt, or under ``every`` each of them; none without an entry."""
    if not unit.entering:
        return []
    if rule.entry == "every":
        return [_counted(unit, rule, [entry]) for entry in _starts(unit, rule)]
    return [_counted(unit, rule, unit.entering[:1] if rule.entry == "first" else unit.entering)]


def is_hit_any(unit: UnitEvents, rule: Rule, entry: int) -> bool:
    """Whether an excluding event inside the entry's window comes short of its last step and takes it no deeper."""
    reading = Reading(unit, entry)
    for place in range(entry + 1, _window_end(unit, rule, entry)):
        if reading.level == rule.steps:
            return False
        if not reading.take(place) and unit.excludes[place]:
            return True
    return False


def _tied_before(unit: UnitEvents, entry: int) -> range:
    start = entry
    while start and unit.ts[start - 1] == unit.ts[entry]:
        start -= 1
    return range(start, entry)


def _window_end(unit: UnitEvents, rule: Rule, entry: int) -> int:
    """The place behind the last event of the entry's window."""
    end = entry + 1
    while end < len(unit.ts) and (rule.window is None or unit.ts[end] - unit.ts[entry] <= rule.window):
        end += 1
    return end


def _read(unit: UnitEvents, rule: Rule, entry: int, most: int) -> Reading:
    """Reads an entry's window as far as it can still fill more steps."""
    reading = Reading(unit, entry)
    for place in range(entry + 1, len(unit.ts)):
        over = rule.window is not None and unit.ts[place] - unit.ts[entry] > rule.window
        if over or reading.level == most or not reading.alive:
            break
        reading.take(place)
    return reading


def _counted(unit: UnitEvents, rule: Rule, entries: list[int]) -> Attempt:
    everything = _Filling()
    for steps in unit.steps:
        if steps and everything.size < rule.steps:
            everything.add(steps)
    readings = [_read(unit, rule, entry, everything.size) for entry in entries]
    level = max(reading.level for reading in readings)
    best = min(
        (reading for reading in readings if reading.level == level),
        key=lambda reading: (reading.moments[level], -reading.entry),
    )
    places = [best.entry, *_others(unit, best.entry, best.moments[level])]
    return Attempt(
        level=level,
        places=[*places, *[-1] * (rule.steps - len(places))],
        skipped=0,
        open=level < rule.steps and any(_stands(unit, rule, entry) for entry in reversed(entries)),
        strict_level=-1,
    )


def _others(unit: UnitEvents, entry: int, moment: int) -> list[int]:
    """The earliest events that fill the most steps up to the moment beside the entry."""
    chosen = _Filling()
    chosen.add(unit.steps[entry])
    must = [place for place in range(entry + 1, moment) if unit.excludes[place]]
    for place in must:
        chosen.add(unit.steps[place])
    free = [*_tied_before(unit, entry), *range(entry + 1, moment + 1)]
    found = [
        place for place in free if place not in must and unit.steps[place] and chosen.add(unit.steps[place])
    ]
    return sorted([*must, *found])


def _stands(unit: UnitEvents, rule: Rule, entry: int) -> bool:
    """Whether an entry's window still runs at *as of* and no excluding event broke all its chains."""
    if not rule.may_pass(1, unit.ts[entry], unit.ts[entry], 1):
        return False
    must = _Filling()
    must.add(unit.steps[entry])
    return all(
        unit.steps[place] and must.add(unit.steps[place])
        for place in range(entry + 1, len(unit.ts))
        if unit.excludes[place]
    )


def _starts(unit: UnitEvents, rule: Rule) -> list[int]:
    """The entries that begin attempts."""
    found: list[int] = []
    over = 0
    for entry in unit.entering:
        if entry < over:
            continue
        found.append(entry)
        over = _over(unit, rule, entry)
    return found


def _over(unit: UnitEvents, rule: Rule, entry: int) -> int:
    """The first place at which an attempt takes no event any more."""
    reading = Reading(unit, entry)
    if reading.level == rule.steps:
        return entry + 1
    for place in range(entry + 1, len(unit.ts)):
        if rule.window is not None and unit.ts[place] - unit.ts[entry] > rule.window:
            return place
        reading.take(place)
        if reading.level == rule.steps:
            return place + 1
        if not reading.alive:
            return place
    return len(unit.ts)
