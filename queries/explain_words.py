"""What an event did to an entry, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from queries import ranges
from queries.explain_misses import short
from queries.funnel_request import FunnelRequest
from queries.kernels.explain import Effect
from queries.kernels.rule import Rule
from queries.kernels.sweep import UnitEvents


@dataclass(frozen=True, slots=True)
class Reason:
    """An effect in words."""

    request: FunnelRequest
    rule: Rule
    unit: UnitEvents
    begins: Sequence[int]
    zone: ZoneInfo

    def of(self, effect: Effect) -> str:
        """One line, without the event's own name and time."""
        made: dict[str, Callable[[Effect], str]] = {
            "enters": self._enters,
            "reaches": self._reaches,
            "excludes": self._excludes,
            "after-window": self._after_window,
            "after-step-window": self._after_step_window,
            "not-yet": lambda one: f"step {one.step} ignored: step {one.before} not done yet",
            "outside-range": self._outside,
            "attempt-live": lambda one: f"step 1 ignored: the attempt of {self._at(one.entry)} is still live",
            "no-entry": self._no_entry,
            "done": lambda one: "ignored: the last step is done",
        }
        if effect.code in made:
            return made[effect.code](effect)
        return {
            "repeats": f"step {effect.step} again: done already, nothing changes",
            "breaks": f"another event than step {effect.before + 1}: breaks strict order",
            "equal-times": f"step {effect.step} ignored: at the time of step {effect.before}, and times must increase",
            "not-first": f"step {effect.step} ignored: only the first entry counts",
            "no-value": f"ignored: no value of {self.request.hold}",
            "blocked": f"step {effect.step} ignored: it lies behind an exclusion",
        }[effect.code]

    def _at(self, place: int) -> str:
        """The date and time of an event in the answer's zone."""
        if place < 0:
            return "before"
        return ranges.iso(self.unit.ts[place], self.zone)[:19].replace("T", " ")

    def _since(self, one: Effect, place: int) -> str:
        apart = self.unit.ts[one.place] - self.unit.ts[place]
        return f"{short(apart)} after" if apart >= 0 else f"{short(-apart)} before"

    def _enters(self, one: Effect) -> str:
        step = f"step {one.step}"
        if self.begins[0] >= one.place:
            return f"{step}: an entry"
        if self.rule.entry == "every":
            return f"{step}: a new attempt"
        if self.rule.order == "any":
            return f"{step}: a new entry too"
        return "repeats step 1: a new entry, later than the one before"

    def _reaches(self, one: Effect) -> str:
        if self.rule.order == "any":
            return f"{one.step} steps filled, {self._since(one, one.entry)} the entry"
        skipped = [
            step for step in range(one.before + 1, one.step) if one.before and step in self.rule.optional
        ]
        without = f", step {' and '.join(map(str, skipped))} left out" if skipped else ""
        return f"step {one.step}, {self._since(one, one.entry)} step 1{without}"

    def _excludes(self, one: Effect) -> str:
        bits = self.unit.excludes[one.place]
        names = [str(each.step) for bit, each in enumerate(self.request.exclude) if bits >> bit & 1]
        return f"excludes the entry of {self._at(one.entry)}, which stood at step {one.before}: {', '.join(names)}"

    def _after_window(self, one: Effect) -> str:
        what = "the entry" if self.rule.order == "any" else "step 1"
        which = "a further step" if self.rule.order == "any" else f"step {one.step}"
        return f"{which} ignored: {self._since(one, one.entry)} {what}, limit {short(self.rule.window or 0)}"

    def _after_step_window(self, one: Effect) -> str:
        limit = short(self.rule.step_windows[one.step])
        return f"step {one.step} ignored: {self._since(one, one.previous)} step {one.before}, limit {limit}"

    def _outside(self, one: Effect) -> str:
        if (
            self.request.mature
            and self.rule.entry_to is not None
            and self.unit.ts[one.place] >= self.rule.entry_to
        ):
            return f"step {one.step} ignored: outside the range, or its window is not over (--mature)"
        return f"step {one.step} ignored: outside the range"

    def _no_entry(self, one: Effect) -> str:
        held = f" with this {self.request.hold}" if self.request.hold is not None else ""
        return f"step {one.step} ignored: no live step 1 before it{held}"
