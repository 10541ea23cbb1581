"""The nearest miss: the smallest changes of a funnel's rule that would have taken one person further.

Nothing is claimed that was not counted: each change is folded over the person's events. A window, a step window
and a tolerance are the least millisecond that does it; where a longer one may do worse again (``every``, ``remove``,
``--mature``) and the distances between the person's events are more than :data:`MOST_TRIED`, one that does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from queries import ranges
from queries.funnel_request import FunnelRequest
from queries.kernels import funnel as kernel
from queries.kernels.ordering import Events
from queries.question import QuestionError

Ints = NDArray[np.int64]

MOST_TOLERANCE = 3_600_000
"""ms; what lies further back is another order, not the clock of another device."""
SHORT_TOLERANCE = 10_000
MOST_WRITTEN_OUT = 1000
"""Events of a person beyond which no change is tried whose every chain must be written out."""
MOST_TRIED = 400
"""Windows tried one by one, where a longer one may also do worse."""

_RANKS = {
    "ties": 0,
    "exclude": 3,
    "exclusion": 3,
    "mature": 4,
    "entry": 4,
    "range": 4,
    "from-to": 4,
    "hold": 4,
    "order-ordered": 4,
    "order-any": 7,
}


@dataclass(frozen=True, slots=True)
class Ground:
    """What a rule is asked against."""

    as_of: int
    within: ranges.Range
    running: Callable[[Ints], NDArray[np.bool_]]
    """Whether more may come of each unit (:meth:`queries.question.Data.running`)."""

    def rule(self, request: FunnelRequest) -> kernel.Rule:
        """A funnel's rule here."""
        return replace(request.rule(self.as_of, self.within.start, self.within.end), at="first")

    def folded(self, request: FunnelRequest, events: Events) -> kernel.Folded:
        """What counts of some events."""
        found = kernel.fold(events, self.rule(request))
        return replace(found, open=found.open & self.running(found.person))


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a person stands under a rule: the deepest of what counts of them."""

    level: int
    status: str
    """``none``, ``removed``, ``dropped``, ``open`` or ``converted``."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A change that takes a person further."""

    change: str
    """What is changed, kebab-case."""
    option: str
    """As the command line says it."""
    value: str | None
    outcome: Outcome
    rank: tuple[float, float]

    def to_dict(self) -> dict[str, object]:
        """The change as JSON carries it."""
        return {
            "change": self.change,
            "option": self.option,
            "value": self.value,
            "level": self.outcome.level,
            "status": self.outcome.status,
        }

    @property
    def text(self) -> str:
        """The change as one types it."""
        return self.option if self.value is None else f"{self.option} {self.value}"


def outcome(request: FunnelRequest, events: Events, ground: Ground) -> Outcome | None:
    """Where a person stands; None for a rule that cannot be asked. ``events`` are all of that person's."""
    rule = ground.rule(request)
    if kernel.refusals(rule, shared_events=bool(np.any(events.steps & (events.steps - 1)))):
        return None
    folded = ground.folded(request, events)
    if not len(folded.level):
        return Outcome(0, "removed" if len(folded.removed) else "none")
    deepest = int(folded.level.max())
    if deepest == rule.steps:
        return Outcome(deepest, "converted")
    return Outcome(deepest, "open" if folded.open[folded.level == deepest].any() else "dropped")


def short(ms: int) -> str:
    """A duration as ``--window`` reads it, exact, in units people read: ``7d3h``, ``1h1m``, ``2s5ms``."""
    if ms == 0:
        return "0s"
    parts = []
    for size, name in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")):
        count, ms = divmod(ms, size)
        parts += [f"{count}{name}"] if count else []
    return "".join(parts)


def misses(request: FunnelRequest, events: Events, ground: Ground) -> list[Miss]:
    """The changes that take a person further than now, the smallest first.

    First equal times and clocks a few seconds apart, then windows up to twice as long, one exclusion less, then
    whatever else starts or holds an entry, then longer windows, and any order last.
    """
    now = outcome(request, events, ground)
    if now is None or now.status == "converted" or not len(events.ts):
        return []
    tried = _Tried(request, events, ground, now.level)
    return sorted(tried.found(), key=lambda miss: (miss.rank, miss.option, miss.value or ""))


class _Tried:
    """A person's events under changed rules."""

    def __init__(self, request: FunnelRequest, events: Events, ground: Ground, level: int) -> None:
        self._request, self._events, self._ground, self._level = request, events, ground, level
        self._span = int(events.ts.max() - events.ts.min())

    def found(self) -> Iterator[Miss]:
        yield from self._switches()
        yield from self._exclusions()
        yield from self._spans()

    def _further(self, request: FunnelRequest, events: Events | None = None) -> Outcome | None:
        """The outcome of a change, None where it takes the person no further."""
        written_out = request.exclude or request.step_windows or request.entry == "every"
        if request.tolerance and written_out and len(self._events.ts) > MOST_WRITTEN_OUT:
            return None
        found = outcome(request, self._events if events is None else events, self._ground)
        return found if found is not None and found.level > self._level else None

    def _changed(self, **fields: object) -> FunnelRequest | None:
        try:
            return replace(self._request, **fields)  # type: ignore[arg-type]
        except QuestionError:
            return None

    def _switches(self) -> Iterator[Miss]:
        """Rules that are one way or another."""
        asked = self._request
        for given, change, option, value, fields in (
            (asked.ties == "strict", "ties", "--ties", "order", {"ties": "order"}),
            (asked.exclusion == "remove", "exclusion", "--exclusion", "drop", {"exclusion": "drop"}),
            (asked.mature, "mature", "without --mature", None, {"mature": False}),
            (asked.entry != "any", "entry", "--entry", "any", {"entry": "any"}),
            (asked.range == "whole", "range", "--range", "entry", {"range": "entry"}),
            (asked.hold is not None, "hold", "without --hold", None, {"hold": None}),
            (asked.order == "strict", "order-ordered", "--order", "ordered", {"order": "ordered"}),
            (asked.order != "any", "order-any", "--order", "any", {"order": "any"}),
        ):
            request = self._changed(**fields) if given else None
            found = None if request is None else self._further(request)
            if found is not None:
                yield Miss(change.partition("-")[0], option, value, found, (_RANKS[change], 0))
        if self._ground.within != ranges.Range():
            found = outcome(asked, self._events, replace(self._ground, within=ranges.Range()))
            if found is not None and found.level > self._level:
                yield Miss("from-to", "without --from, --to and --last", None, found, (_RANKS["from-to"], 0))

    def _exclusions(self) -> Iterator[Miss]:
        """One exclusion less; where no one is enough, none at all."""
        asked, masks = self._request.exclude, self._events.excludes
        if not asked or masks is None:
            return
        alone = False
        for place, one in enumerate(asked):
            rest = (*asked[:place], *asked[place + 1 :])
            kept = (masks & ((1 << place) - 1)) | (masks >> (place + 1) << place)
            request = self._changed(exclude=rest, exclusion=self._request.exclusion if rest else "drop")
            found = None if request is None else self._further(request, replace(self._events, excludes=kept))
            if found is not None:
                alone = True
                yield Miss("exclude", "without --exclude", str(one), found, (_RANKS["exclude"], place))
        request = self._changed(exclude=(), exclusion="drop")
        if not alone and len(asked) > 1 and request is not None:
            found = self._further(request, replace(self._events, excludes=None))
            if found is not None:
                yield Miss("exclude", "without any --exclude", None, found, (_RANKS["exclude"], len(asked)))

    def _spans(self) -> Iterator[Miss]:
        """The least window, step windows and tolerance."""
        asked = self._request
        if asked.window is not None:
            found = self._least(asked.window, self._span, lambda ms: {"window": ms})
            if found is not None:
                ms, reached = found
                yield Miss("window", "--window", short(ms), reached, _longer(asked.window, ms))
        for step, limit in sorted(asked.step_windows.items()):
            windows = dict(asked.step_windows)
            found = self._least(
                limit,
                self._span,
                lambda ms, at=step, rest=windows: {"step_windows": rest | {at: ms}},  # type: ignore[misc]
            )
            if found is not None:
                ms, reached = found
                yield Miss("step-window", "--step-window", f"{step}={short(ms)}", reached, _longer(limit, ms))
        found = self._least(asked.tolerance, min(self._span, MOST_TOLERANCE), lambda ms: {"tolerance": ms})
        if found is not None:
            ms, reached = found
            rank = (1 if ms <= SHORT_TOLERANCE else 6, float(ms))
            yield Miss("tolerance", "--tolerance", short(ms), reached, rank)

    def _least(
        self, low: int, high: int, fields: Callable[[int], dict[str, object]]
    ) -> tuple[int, Outcome] | None:
        """The least milliseconds above ``low`` that take the person further."""

        def at(ms: int) -> Outcome | None:
            request = self._changed(**fields(ms))
            return None if request is None else self._further(request)

        asked = self._request
        if high <= low:
            return None
        differences = self._differences(low, high)
        if differences is not None and (
            asked.entry == "every" or asked.exclusion == "remove" or asked.mature
        ):
            # A longer window can end an attempt later, remove somebody, or take an entry away.
            for ms in differences:
                found = at(ms)
                if found is not None:
                    return ms, found
            return None
        best = at(high)
        if best is None:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            found = at(middle)
            if found is None:
                low = middle
            else:
                high, best = middle, found
        return high, best

    def _differences(self, low: int, high: int) -> list[int] | None:
        """The distances between events at which a rule's answer can change; None where they are too many."""
        ts = np.unique(self._events.ts)
        if len(ts) > MOST_TRIED:
            return None
        apart = np.unique(ts[:, None] - ts[None, :])
        wanted = apart[(apart > low) & (apart <= high)]
        return None if len(wanted) > MOST_TRIED else wanted.tolist()


def _longer(before: int, after: int) -> tuple[float, float]:
    """The rank of a longer window: by how many times it is as long."""
    times = after / before if before else float("inf")
    return (2 if times <= 2 else 5), times
