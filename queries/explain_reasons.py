"""Why the people of a funnel's cell stopped, each for one reason, by folding their events under relaxed rules.

Whole pieces of people are folded at once, so that millions cost a handful of folds and no person is read alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from queries.explain_select import Selection
from queries.kernels import funnel as kernel
from queries.kernels.ordering import Events
from queries.kernels.rule import Rule
from queries.question import Data

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

CLOCK = 5_000
"""ms; what comes so little before its time is the clock of another device."""

REASONS: dict[str, str] = {
    "never": "never did {step}",
    "excluded": "met an exclusion on the way to {step}",
    "equal-times": "did {step} at the time of the step before, and times must increase",
    "moments-before": "did {step} up to 5 seconds before the step before",
    "other-between": "did something else between the step before and {step}",
    "after-step-window": "did {step} after the step's own window",
    "after-window": "did {step} after the window",
    "other-value": "did {step} with another value of the held property",
    "later-entry": "did {step} from an entry that does not count",
    "outside-range": "did {step} outside the range, or from there",
    "other-order": "did all steps to {step} inside the window, in another order",
    "only-before": "did {step} only earlier",
    "elsewhere": "got past it another time",
    "several": "did {step}, but no single change would have taken them further",
}
"""Each reason in the order it is asked, with its words: whoever has one is asked no other."""

Relaxed = tuple[str, Rule, Callable[[Events], Events]]
"""A reason, the rule that would let its people go on, and what is done to the events first."""


@dataclass(slots=True)
class Stopped:
    """The people of a cell: why each stopped, and when."""

    people: Ints
    """Codes, ascending."""
    reason: Ints
    """Places in :data:`REASONS`."""
    stopped: Ints
    """Time of the step they stopped at, ms; of several the last."""


def relaxed(rule: Rule, level: int, *, shared: bool) -> Iterator[Relaxed]:
    """The rules that give one thing up, in the order of :data:`REASONS`; those that cannot be asked left out."""

    def same(events: Events) -> Events:
        return events

    def unexcluded(events: Events) -> Events:
        return replace(events, excludes=None)

    free = replace(rule, exclusions=(), exclusion="drop")
    tolerant = replace(rule, tolerance=CLOCK)
    everywhere = replace(rule, entry_from=None, entry_to=None)
    possible: list[tuple[bool, str, Rule]] = [
        (bool(rule.exclusions), "excluded", free),
        (rule.ties == "strict", "equal-times", replace(rule, ties="order")),
        (rule.order == "ordered" and rule.tolerance < CLOCK, "moments-before", tolerant),
        (rule.order == "strict", "other-between", replace(rule, order="ordered")),
        (bool(rule.step_windows), "after-step-window", replace(rule, step_windows={})),
        (rule.window is not None, "after-window", replace(rule, window=None)),
        (rule.hold, "other-value", replace(rule, hold=False)),
        (rule.entry != "any", "later-entry", replace(rule, entry="any")),
        (rule.range == "whole", "outside-range", replace(rule, range="entry")),
        ((rule.entry_from, rule.entry_to) != (None, None), "outside-range", everywhere),
    ]
    for given, reason, changed in possible:
        if given and not kernel.refusals(changed, shared_events=shared):
            yield reason, changed, unexcluded if reason == "excluded" else same
    if rule.order != "any":
        wanted = [step for step in range(1, max(rule.next_steps(level)) + 1) if step not in rule.optional]
        yield "other-order", _in_any_order(rule, len(wanted)), lambda events: _only(events, wanted)


def _in_any_order(rule: Rule, steps: int) -> Rule:
    """All of the first steps inside the window, whatever else the rule says of their order."""
    return Rule(
        steps=steps,
        window=rule.window,
        as_of=rule.as_of,
        entry_from=rule.entry_from,
        entry_to=rule.entry_to,
        order="any",
        exclusions=tuple((1, steps) for _ in rule.exclusions) if steps > 1 else (),
        hold=rule.hold,
        range=rule.range,
    )


def _only(events: Events, steps: list[int]) -> Events:
    """The events with some steps only, numbered anew from 1."""
    masks = np.zeros(len(events.steps), np.int64)
    for number, step in enumerate(steps):
        masks |= (events.steps >> (step - 1) & 1) << number
    return replace(events, steps=masks)


def why(selection: Selection, rule: Rule, level: int, people: Ints, data: Data, *, shared: bool) -> Stopped:
    """Why each of some people stands at a level and no deeper."""
    rule = replace(rule, at="first")
    codes = data.survey().codes
    owner = data.owners(np.arange(codes, dtype=np.int64))
    place = np.full(int(max(owner.max(initial=-1), people.max(initial=-1))) + 2, -1, np.int64)
    place[people] = np.arange(len(people))
    of_unit = place[owner]
    found = Stopped(people, np.full(len(people), -1, np.int64), np.full(len(people), -1, np.int64))
    for events in selection.pieces(data, of_unit >= 0):
        piece = _Piece(events, rule, level, of_unit, data)
        piece.judge(shared=shared)
        found.reason[piece.people] = piece.reason
        found.stopped[piece.people] = piece.stopped
    return found


class _Piece:
    """The events of some of the people, whole; they are numbered from 0 here."""

    def __init__(self, events: Events, rule: Rule, level: int, of_unit: Ints, data: Data) -> None:
        self._events, self._rule, self._level, self._data = events, rule, level, data
        self._of_unit = of_unit
        self.people = np.unique(of_unit[events.person])
        """Their places among all."""
        self._whose = self._owner(events.person)
        self.reason = np.full(len(self.people), -1, np.int64)
        self.stopped = np.full(len(self.people), -1, np.int64)
        self._past = np.zeros(len(self.people), np.int64)

    def judge(self, *, shared: bool) -> None:
        """Gives each person the first reason that holds."""
        rule, level = self._rule, self._level
        now = kernel.fold(self._events, rule, threads=self._data.threads)
        self._past = self._counted(now, level + 1)
        at = now.level == level
        np.maximum.at(self.stopped, self._owner(now.person[at]), now.reached[level - 1, at])
        last = np.full(len(self.people), -1, np.int64)
        if rule.order != "any":
            last = self._last(sum(1 << (step - 1) for step in rule.next_steps(level)))
            self._say("never", last < 0)
        for reason, other, change in relaxed(rule, level, shared=shared):
            self._data.progress(None, f"people who would have gone on: {reason}")
            left = self.reason < 0
            if not left.any():
                return
            folded = kernel.fold(change(self._of(left)), other, threads=self._data.threads)
            if reason == "other-order":
                self._say(reason, (self._counted(folded, other.steps) > 0) & (self._past == 0))
            else:
                self._say(reason, left & (self._counted(folded, level + 1) > self._past))
        self._say("elsewhere", self._past > 0)
        if rule.order == "any":
            self._say("never", ~self._does_more(self.reason < 0))
        else:
            self._say("only-before", last < self.stopped)
        self._say("several", np.ones(len(self.people), bool))

    def _say(self, reason: str, who: Bools) -> None:
        self.reason[who & (self.reason < 0)] = list(REASONS).index(reason)

    def _owner(self, units: Ints) -> Ints:
        owner: Ints = np.searchsorted(self.people, self._of_unit[units])
        return owner

    def _of(self, who: Bools) -> Events:
        rows = np.flatnonzero(who[self._whose])
        events = self._events
        return replace(events.at(rows), ties=tuple(column[rows] for column in events.ties))

    def _counted(self, folded: kernel.Folded, level: int) -> Ints:
        """How much of each person counts at a level or deeper."""
        return np.bincount(self._owner(folded.person[folded.level >= level]), minlength=len(self.people))

    def _last(self, steps: int) -> Ints:
        """The time of each person's last event of some steps, −1 without one."""
        does = (self._events.steps & steps) != 0
        last = np.full(len(self.people), -1, np.int64)
        np.maximum.at(last, self._whose[does], self._events.ts[does])
        return last

    def _does_more(self, who: Bools) -> Bools:
        """In any order: who would fill more steps with everything given up at once."""
        rule = Rule(steps=self._rule.steps, window=None, as_of=self._rule.as_of, order="any")
        folded = kernel.fold(replace(self._of(who), excludes=None), rule, threads=self._data.threads)
        further: Bools = self._counted(folded, self._level + 1) > 0
        return further
