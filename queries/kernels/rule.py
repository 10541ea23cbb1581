"""The rule of a funnel as the kernels read it, and which rules cannot stand together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

MOST_STEPS = 62
"""Steps and exclusions are bits of one integer."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One funnel's rule; the defaults are ordered steps, any entry, equal times in order. Times in ms."""

    steps: int
    window: int | None
    """From step 1, inclusive. None: no limit."""
    as_of: int
    """No event given lies after it."""
    entry_from: int | None = None
    entry_to: int | None = None
    """Step 1 counts inside ``[entry_from, entry_to)``."""
    order: Literal["ordered", "strict", "any"] = "ordered"
    entry: Literal["any", "first", "every"] = "any"
    step_windows: Mapping[int, int] = field(default_factory=dict)
    """Step → how long after the step before it in the chain it may come, inclusive."""
    ties: Literal["order", "strict"] = "order"
    tolerance: int = 0
    """How far before the step before it a step may lie."""
    exclusions: tuple[tuple[int, int], ...] = ()
    """``(I, J)`` for each bit of :attr:`~queries.kernels.ordering.Events.excludes`."""
    exclusion: Literal["drop", "remove"] = "drop"
    hold: bool = False
    """The unit is a person and one held value."""
    optional: frozenset[int] = frozenset()
    range: Literal["entry", "whole"] = "entry"
    at: str = "first"
    """Where the breakdown reads: ``first``, ``last``, ``step:N``, ``user-first``, ``user-last``."""

    @property
    def packable(self) -> bool:
        """Whether packed events hold all the rule reads: no held value, exclusion or event of no step."""
        return not (self.hold or self.exclusions or self.order == "strict" or self.at.startswith("user-"))

    @property
    def reads_every_value(self) -> bool:
        """Whether the breakdown reads events other than those of step 1."""
        return self.at != "first" or self.order == "any"

    @property
    def gap(self) -> int:
        """The least time from one step to the next, tolerance aside."""
        return int(self.ties == "strict")

    def next_steps(self, step: int) -> Iterator[int]:
        """The steps a chain may do after ``step``: the next one, and those behind optional ones."""
        for following in range(step + 1, self.steps + 1):
            yield following
            if following not in self.optional:
                return

    def spans(self, step: int) -> int:
        """The bits of the exclusions that forbid events while a chain stands at ``step``."""
        return sum(1 << bit for bit, (first, last) in enumerate(self.exclusions) if first <= step < last)

    def may_pass(self, step: int, ts: int, entry_ts: int, level: int) -> bool:
        """Whether events from *as of* on could take a chain, at ``step`` since ``ts``, past ``level``."""
        standing = {step}
        while standing:
            now = max(self.as_of, ts + self.gap)
            if self.window is not None and now - entry_ts > self.window:
                return False
            if self.range == "whole" and self.entry_to is not None and now >= self.entry_to:
                return False
            standing = {
                following
                for before in standing
                for following in self.next_steps(before)
                if now - ts <= self.step_windows.get(following, now - ts)
            }
            if any(following > level for following in standing):
                return True
            ts = now
        return False

    def is_running(self, step: int, ts: int, entry_ts: int, now: int) -> bool:
        """Whether a chain, at ``step`` since ``ts``, has a next step whose windows take in ``now``."""
        if self.window is not None and now - entry_ts > self.window:
            return False
        return any(
            now - ts <= self.step_windows.get(following, now - ts) for following in self.next_steps(step)
        )


def strictly(rule: Rule) -> Rule | None:
    """The rule under strictly increasing times; None where those are refused beside it."""
    return None if rule.tolerance or rule.order == "any" else replace(rule, ties="strict")


def refusals(rule: Rule, *, shared_events: bool = False) -> str | None:
    """Why a rule cannot be asked, in words, or None; ``shared_events``: some event matches two steps."""
    for wrong, why in (
        (not 1 <= rule.steps <= MOST_STEPS, f"a funnel has 1 to {MOST_STEPS} steps"),
        (_is_negative(rule), "a window or tolerance cannot be negative"),
        (
            not set(rule.step_windows) <= set(range(2, rule.steps + 1)),
            "a step window belongs to step 2 or a later one",
        ),
        (
            not rule.optional <= set(range(2, rule.steps)),
            "the first and the last step cannot be optional",
        ),
        (len(rule.exclusions) > MOST_STEPS, f"at most {MOST_STEPS} exclusions can be asked at once"),
        (
            not all(1 <= first < last <= rule.steps for first, last in rule.exclusions),
            "an exclusion reaches from a step to a later one",
        ),
        (not _is_place(rule.at, rule.steps), f"there is no {rule.at} to read the breakdown at"),
    ):
        if wrong:
            return why
    return _in_any_order(rule) if rule.order == "any" else _with_tolerance(rule, shared_events)


def _is_negative(rule: Rule) -> bool:
    return rule.tolerance < 0 or (rule.window or 0) < 0 or min(rule.step_windows.values(), default=0) < 0


def _is_place(at: str, steps: int) -> bool:
    if at in ("first", "last", "user-first", "user-last"):
        return True
    word, _, number = at.partition(":")
    return word == "step" and number.isascii() and number.isdigit() and 1 <= int(number) <= steps


def _in_any_order(rule: Rule) -> str | None:
    for given, name in (
        (rule.ties == "strict", "strictly increasing times"),
        (rule.tolerance, "a tolerance"),
        (rule.step_windows, "step windows"),
        (rule.optional, "optional steps"),
        (any(span != (1, rule.steps) for span in rule.exclusions), "an exclusion between two steps"),
    ):
        if given:
            return f"{name} cannot be asked of steps in any order"
    return None


def _with_tolerance(rule: Rule, shared_events: bool) -> str | None:
    if not rule.tolerance:
        return None
    for given, name in (
        (rule.ties == "strict", "strictly increasing times"),
        (rule.order == "strict", "strict order"),
        (shared_events, "an event that matches two steps"),
    ):
        if given:
            return f"a tolerance cannot stand beside {name}"
    return None
