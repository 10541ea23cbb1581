"""What each event of one unit did to each entry that was live then: the fold's own chains, told event by event.

An entry that stands nowhere a later one does not stand too is let go, as the fold lets it go: no more entries than
steps are ever live together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from queries.kernels.explain_chains import Chains, InAnyOrder, InOrder, Near, Tolerant
from queries.kernels.rule import Rule
from queries.kernels.sweep import Plan, UnitEvents
from queries.kernels.tolerant import Search

EFFECTS = (
    "enters",
    "reaches",
    "repeats",
    "excludes",
    "breaks",
    "after-window",
    "after-step-window",
    "equal-times",
    "not-yet",
    "outside-range",
    "not-first",
    "attempt-live",
    "no-entry",
    "blocked",
    "done",
)
"""What an event can do to an entry; from ``after-window`` on: nothing, and why."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one event did; places are those of the unit's events, −1 for none."""

    place: int
    code: str
    """One of :data:`EFFECTS`."""
    step: int = 0
    """The step that the event does, or would do; 0 for an event of no step."""
    entry: int = -1
    previous: int = -1
    """The event of the step before it in the chain."""
    before: int = 0
    """The number of that step; under ``not-yet`` the step that has to come first."""


def trace(
    unit: UnitEvents, rule: Rule, starts: Sequence[int], matched: Sequence[Sequence[int]]
) -> list[Effect]:
    """The effects of a unit's events, in reading order.

    ``starts`` are the places of the entries that count, ascending; ``matched`` are the steps of each event
    before the range took any away.
    """
    told = _Trace(unit, rule, starts, matched)
    for place in range(len(unit.ts)):
        told.take(place)
    return told.effects


class _Trace:
    """One unit read event by event."""

    def __init__(
        self, unit: UnitEvents, rule: Rule, starts: Sequence[int], matched: Sequence[Sequence[int]]
    ) -> None:
        self._unit, self._rule, self._matched = unit, rule, matched
        self._starts = set(starts)
        self._plan = Plan(rule)
        self._search = Search(unit, rule) if rule.tolerance and any(unit.excludes) else None
        self._places: list[list[int]] = [[] for _ in range(rule.steps + 1)]
        for place, steps in enumerate(unit.steps):
            for step in steps:
                self._places[step].append(place)
        self._live: list[Chains] = []
        self._entered = self._done = False
        self.effects: list[Effect] = []

    def take(self, place: int) -> None:
        """Tells what an event did."""
        starts = place in self._starts
        if self._done and not (starts and self._rule.entry == "every"):
            if self._matched[place] or self._unit.excludes[place]:
                self.effects.append(Effect(place, "done", min(self._matched[place], default=0)))
            return
        self._supersede(self._unit.ts[place])
        told = len(self.effects)
        went = self._on_each(place)
        if starts:
            self._enter(place)
        elif not went:
            self._idle(place, told)

    def _on_each(self, place: int) -> bool:
        """What the event did to each live entry; whether it took one deeper."""
        went = False
        kept: list[Chains] = []
        for chains in self._live:
            effects, stays = self._on(chains, place)
            self.effects += effects
            deeper = [effect for effect in effects if effect.code == "reaches"]
            went |= bool(deeper)
            self._done |= any(effect.step == self._rule.steps for effect in deeper)
            if stays:
                kept.append(chains)
        self._live = [] if self._done else kept
        return went

    def _enter(self, place: int) -> None:
        if self._rule.entry == "every":
            self._live = []
        self._done = False
        self.effects.append(
            Effect(place, "enters", 1 if self._rule.order != "any" else min(self._matched[place]))
        )
        self._entered = True
        chains = self._chains(place)
        deepest = chains.level
        if deepest > 1:
            # Under a tolerance, and of equal times in any order, later steps may be read before the entry.
            self.effects.append(Effect(place, "reaches", deepest, place))
        self._done = deepest == self._rule.steps
        self._live = [] if self._done else [*self._live, chains]

    def _chains(self, entry: int) -> Chains:
        if self._rule.order == "any":
            return InAnyOrder(self._unit, entry)
        if self._search is not None:
            return Tolerant(self._search, self._rule, entry)
        if self._rule.tolerance:
            return Near(self._unit, self._plan, self._places, entry)
        return InOrder(self._unit, self._plan, entry)

    def _supersede(self, now: int) -> None:
        """Lets go of the entries that stand nowhere a later one does not, which an event at ``now`` may follow."""
        if len(self._live) < 2:
            return
        kept: list[Chains] = []
        later: list[set[int]] = []
        for chains in reversed(self._live):
            stands = set(chains.standing())
            if not any(stands <= other for other in later):
                kept.append(chains)
            later.append(stands if not self._rule.gap else set(chains.standing(now)))
        self._live = kept[::-1]

    def _idle(self, place: int, told: int) -> None:
        """Why an event that took no entry deeper is no entry either; nothing where more is told of it."""
        unit, rule, steps = self._unit, self._rule, self._matched[place]
        if not steps:
            return
        may_enter = rule.order == "any" or 1 in steps
        if may_enter and place not in unit.entering:
            self.effects.append(Effect(place, "outside-range", min(steps)))
        elif may_enter and rule.entry == "first":
            self.effects.append(Effect(place, "not-first", min(steps)))
        elif may_enter and rule.entry == "every":
            live = self._live[-1].entry if self._live else -1
            self.effects.append(Effect(place, "attempt-live", min(steps), live))
        elif len(self.effects) == told:
            self.effects.append(Effect(place, "no-entry", min(steps)))

    def _on(self, chains: Chains, place: int) -> tuple[list[Effect], bool]:
        """What an event did to one entry, and whether the entry stays live."""
        before = chains.standing()
        if not before:
            return [], False
        if self._rule.order == "any":
            return self._on_any(chains, before, place)
        unit, rule = self._unit, self._rule
        late = rule.window is not None and unit.ts[place] - unit.ts[chains.entry] > rule.window
        level = chains.level
        chains.take(place)
        after = chains.standing()
        reached = [step for step in after if step not in before]
        # Under a tolerance an exclusion read before may already have ended what is reached.
        reached += [chains.level] if chains.level > level else []
        wanted = [
            step
            for step in self._matched[place]
            if step not in before and any(step in self._plan.following[at] for at in before)
        ]
        effects: list[Effect] = []
        if reached:
            effects.append(self._link("reaches", max(reached), chains.entry, before, place))
        elif wanted:
            step = min(wanted)
            link = self._link("blocked", step, chains.entry, before, place)
            why = self._why(link, late)
            effects.append(Effect(place, why, step, chains.entry, link.previous, link.before))
        elif late:
            return [], bool(after)
        else:
            effects += self._unmoved(chains.entry, before, place)
        if late:
            return effects, False
        broken = [at for at in before if self._plan.spans[at] & unit.excludes[place]]
        if broken and not reached:
            effects.append(Effect(place, "excludes", 0, chains.entry, before[max(broken)], max(broken)))
        elif rule.order == "strict" and not after:
            at = max(before)
            effects.append(Effect(place, "breaks", 0, chains.entry, before[at], at))
        return effects, bool(after)

    def _on_any(self, chains: Chains, before: dict[int, int], place: int) -> tuple[list[Effect], bool]:
        unit, rule = self._unit, self._rule
        ((level, latest),) = before.items()
        late = rule.window is not None and unit.ts[place] - unit.ts[chains.entry] > rule.window
        chains.take(place)
        after = chains.standing()
        deeper = max(after, default=0)
        if deeper > level:
            code = "after-window" if late else "reaches"
            return [Effect(place, code, deeper, chains.entry, latest, level)], not late
        if not after and not late:
            return [Effect(place, "excludes", 0, chains.entry, latest, level)], False
        return [], bool(after)

    def _unmoved(self, entry: int, before: dict[int, int], place: int) -> list[Effect]:
        """Steps done already, or too early, of an event that an entry does not wait for."""
        later = [step for step in self._matched[place] if step > 1]
        if not later or self._rule.order == "strict":
            return []
        deepest = max(before)
        ahead = [step for step in later if step > deepest]
        if ahead:
            missing = max(self._plan.following[deepest])
            return [Effect(place, "not-yet", min(ahead), entry, before[deepest], missing)]
        return [Effect(place, "repeats", max(later), entry, before[deepest], deepest)]

    def _link(self, code: str, step: int, entry: int, before: dict[int, int], place: int) -> Effect:
        """A step with the one before it in the chain, the deepest that it may follow."""
        sources = [at for at in before if step in self._plan.following[at]]
        source = max(sources, default=0)
        return Effect(place, code, step, entry, before[source] if sources else -1, source)

    def _why(self, link: Effect, late: bool) -> str:
        """Why an event is not the next step of a chain that waits for it."""
        unit, rule = self._unit, self._rule
        if link.step not in unit.steps[link.place]:
            return "outside-range"
        if late:
            return "after-window"
        since = unit.ts[link.place] - unit.ts[link.previous]
        if since > rule.step_windows.get(link.step, since):
            return "after-step-window"
        return "equal-times" if since < rule.gap else "blocked"
