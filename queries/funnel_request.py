"""The funnel as asked: steps, window and every option of its rule, checked before anything is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from queries import ranges
from queries.funnel_table import parse_cell
from queries.kernels.rule import Rule, refusals
from queries.periods import UNITS
from queries.question import EVERYTHING, QuestionError, Scope
from queries.saved import SCOPE_KEYS, Saved, reading
from queries.steps import Step, parse_step
from queries.suggest import hint

MOST_STEPS = 30
DAY = 86_400_000

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "order": ("ordered", "strict", "any"),
    "entry": ("any", "first", "every"),
    "ties": ("order", "strict"),
    "exclusion": ("drop", "remove"),
    "range": ("entry", "whole"),
    "since": ("entry", "first"),
}
_UNIT_WORDS: Mapping[str, str] = {
    "user": "people",
    "raw": "raw ids",
    "session": "sessions",
    "order": "orders",
}
PREVIOUS, CURRENT, OTHERS = "previous", "current", "(others)"
"""What a comparison calls its sides: the period before and the one asked, people outside a segment."""

_AT = re.compile(r"@(\d{1,3}):(\d{1,3})\s*$")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Events that may not come between step ``first`` and step ``last`` of a chain (None: step 1, the last)."""

    step: Step
    first: int | None = None
    last: int | None = None

    def __str__(self) -> str:
        """The text that parses to this exclusion again."""
        return str(self.step) if self.first is None else f"{self.step}@{self.first}:{self.last}"


def parse_exclusion(text: str) -> Exclusion:
    """Reads ``EVENT[|EVENT…][: EXPR][@I:J]``; a name that ends so itself stands in double quotes."""
    found = _AT.search(text)
    if found is None:
        return Exclusion(parse_step(text))
    return Exclusion(parse_step(text[: found.start()]), int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelRequest:
    """A funnel, whole: validated when made, so that a request that exists can be asked.

    Raises :class:`QuestionError` for impossible steps, for options that cannot stand together (with the
    reason) and for what is not built yet. Durations are milliseconds.
    """

    steps: tuple[Step, ...]
    window: int | None = 7 * DAY
    """From step 1, inclusive; None for no limit."""
    scope: Scope = EVERYTHING
    step_windows: Mapping[int, int] = field(default_factory=dict)
    order: str = "ordered"
    entry: str = "any"
    ties: str = "order"
    tolerance: int = 0
    exclude: tuple[Exclusion, ...] = ()
    exclusion: str = "drop"
    hold: str | None = None
    optional: tuple[int, ...] = ()
    range: str = "entry"
    at: str = "first"
    since: str = "entry"
    """Times run from the counted entry, or from the first step 1 in range."""
    mature: bool = False
    trend: str | None = None
    """Rows by ``day``, ``week`` or ``month`` of the counted attempt's step 1."""
    compare: str | None = None
    """``previous``, or the people of a segment file against all others."""
    peer: str | None = None
    """Another product whose rule decides who counts, or ``all`` of them side by side."""

    def __post_init__(self) -> None:
        if not self.steps:
            raise QuestionError("a funnel needs a step", "add --step EVENT, once for each step")
        if len(self.steps) > MOST_STEPS:
            raise QuestionError(f"{len(self.steps)} steps; at most {MOST_STEPS} can be asked at once")
        if self.trend is not None and self.trend not in UNITS:
            raise QuestionError(f"--trend {self.trend}", f"one of {', '.join(UNITS)}")
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise QuestionError(
                    f"--{name} {value}", hint(value, choices) or f"one of {', '.join(choices)}"
                )
        if self.mature and self.window is None:
            raise QuestionError("--mature waits for the window's end", "give a --window")
        if self.exclusion == "remove" and not self.exclude:
            raise QuestionError("--exclusion remove needs an --exclude")
        refused = refusals(self.rule(0), shared_events=self.shares_events)
        if refused:
            raise QuestionError(refused)
        if self.peer is not None:
            # Peers' rules are made of requests, so they can only be known when this one is.
            from queries.peers import check

            check(self)

    @property
    def shares_events(self) -> bool:
        """Whether one event may match two steps."""
        names = [name for step in self.steps for name in step.events]
        return len(set(names)) < len(names)

    def rule(self, as_of: int, entry_from: int | None = None, entry_to: int | None = None) -> Rule:
        """The rule as the kernel reads it, for step 1 inside ``[entry_from, entry_to)``."""
        if self.mature and self.window is not None:
            latest = as_of - self.window
            entry_to = latest if entry_to is None else min(entry_to, latest)
        last = len(self.steps)
        # The values are checked against their choices above; a type cannot say so.
        return Rule(
            steps=last,
            window=self.window,
            as_of=as_of,
            entry_from=entry_from,
            entry_to=entry_to,
            order=self.order,  # type: ignore[arg-type]
            entry=self.entry,  # type: ignore[arg-type]
            step_windows=self.step_windows,
            ties=self.ties,  # type: ignore[arg-type]
            tolerance=self.tolerance,
            exclusions=tuple((one.first or 1, one.last or last) for one in self.exclude),
            exclusion=self.exclusion,  # type: ignore[arg-type]
            hold=self.hold is not None,
            optional=frozenset(self.optional),
            range=self.range,  # type: ignore[arg-type]
            at=self.at,
        )

    @property
    def report(self) -> str:
        """The question's name in the registry."""
        return "funnel"

    def check_cell(self, cell: str) -> None:
        """Raises :class:`QuestionError` for a cell that a funnel of these steps cannot have."""
        parse_cell(cell, len(self.steps))

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        out = [self.report]
        for step in self.steps:
            out += ["--step", str(step)]
        for option, value in self._options().items():
            for one in cast("list[str]", value if isinstance(value, list) else [value]):
                out += [option] if one == "" else [option, one]
        return out + self.scope.arguments()

    def _options(self) -> dict[str, str | list[str]]:
        """The options that are not at their defaults, as texts; an empty text is a flag."""
        span = ranges.format_duration
        said: dict[str, tuple[bool, str | list[str]]] = {
            "--window": (self.window != 7 * DAY, span(self.window)),
            "--step-window": (True, [f"{step}={span(ms)}" for step, ms in sorted(self.step_windows.items())]),
            "--order": (self.order != "ordered", self.order),
            "--entry": (self.entry != "any", self.entry),
            "--ties": (self.ties != "order", self.ties),
            "--tolerance": (self.tolerance != 0, span(self.tolerance)),
            "--exclude": (True, [str(one) for one in self.exclude]),
            "--exclusion": (self.exclusion != "drop", self.exclusion),
            "--hold": (self.hold is not None, str(self.hold)),
            "--optional": (True, [str(step) for step in self.optional]),
            "--range": (self.range != "entry", self.range),
            "--at": (self.at != "first", self.at),
            "--since": (self.since != "entry", self.since),
            "--mature": (self.mature, ""),
            "--trend": (self.trend is not None, str(self.trend)),
            "--compare": (self.compare is not None, str(self.compare)),
            "--as": (self.peer is not None, str(self.peer)),
        }
        return {option: value for option, (given, value) in said.items() if given}

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the funnel, as JSON carries it: durations and steps as they are written."""
        span = ranges.format_duration
        return {
            "steps": [str(step) for step in self.steps],
            "window": span(self.window),
            "step_windows": {str(step): span(ms) for step, ms in sorted(self.step_windows.items())},
            "order": self.order,
            "entry": self.entry,
            "ties": self.ties,
            "tolerance": span(self.tolerance),
            "exclude": [str(one) for one in self.exclude],
            "exclusion": self.exclusion,
            "hold": self.hold,
            "optional": list(self.optional),
            "range": self.range,
            "at": self.at,
            "since": self.since,
            "mature": self.mature,
            "trend": self.trend,
            "compare": self.compare,
            "as": self.peer,
            **self.scope.to_dict(),
        }

    def __str__(self) -> str:
        """The rule in words, as it stands under every answer."""
        span = ranges.format_duration
        unit = _UNIT_WORDS.get(self.scope.unit, f"values of {self.scope.unit}")
        if self.entry == "every":
            unit = f"attempts of {unit}"
        if self.hold is not None:
            unit += f" with one {self.hold} throughout"
        order = {
            "ordered": "steps in order, other events between allowed",
            "strict": "steps in order, each the next event of all",
            "any": "steps in any order",
        }[self.order]
        entry = {
            "any": "any step 1 in range may start",
            "first": "the first step 1 in range decides",
            "every": "a step 1 starts an attempt where none is live",
        }[self.entry]
        parts = [
            unit,
            order,
            "no window" if self.window is None else f"within {span(self.window)} of step 1, inclusive",
            *(
                f"step {k} within {span(ms)} of the step before"
                for k, ms in sorted(self.step_windows.items())
            ),
            entry,
            "times must increase" if self.ties == "strict" else "equal times count as in order",
        ]
        parts += [f"a step may lie {span(self.tolerance)} before the step before"] if self.tolerance else []
        parts += [f"without {one} between" for one in self.exclude]
        parts += ["who is excluded is left out"] if self.exclusion == "remove" else []
        parts += [f"step {step} may be left out" for step in self.optional]
        parts += ["the whole chain inside the range"] if self.range == "whole" else []
        parts += ["only entries whose window is over"] if self.mature else []
        parts += ["times since the first step 1"] if self.since == "first" else []
        return "; ".join(parts)


def request(steps: Sequence[str], window: str, scope: Scope, **rules: object) -> FunnelRequest:
    """A request from texts as people write them; ``rules`` are options by their names on the command line."""
    given = {name: value for name, value in rules.items() if value not in (None, ())}
    made: dict[str, object] = {}
    for name, value in given.items():
        if name == "step_window":
            made["step_windows"] = dict(_step_window(str(text)) for text in cast("tuple[str, ...]", value))
        elif name == "tolerance":
            made[name] = ranges.parse_duration(str(value)) or 0
        elif name == "exclude":
            made[name] = tuple(parse_exclusion(str(text)) for text in cast("tuple[str, ...]", value))
        else:
            made[name] = value
    return FunnelRequest(
        steps=tuple(parse_step(step) for step in steps),
        window=ranges.parse_duration(window),
        scope=scope,
        **made,  # type: ignore[arg-type]
    )


def _step_window(text: str) -> tuple[int, int]:
    step, mark, span = text.partition("=")
    milliseconds = ranges.parse_duration(span) if mark else None
    if not step.strip().isdecimal() or milliseconds is None:
        raise QuestionError(f"--step-window {text!r} says no step or no span", "like --step-window 2=1h")
    return int(step), milliseconds


_SAVED = (
    *("steps", "window", "step_windows", "order", "entry", "ties", "tolerance", "exclude", "exclusion"),
    *("hold", "optional", "range", "at", "since", "mature", "trend", "compare", "as"),
)


def from_dict(saved: Mapping[str, object]) -> FunnelRequest:
    """The request that ``to_dict`` gave, absent keys at their defaults, through the readers of the options.

    Raises :class:`QuestionError` for unknown keys and for values that are none.
    """
    found = Saved(saved, (*_SAVED, *SCOPE_KEYS))
    steps, window, exclude = found.texts("steps"), found.text("window") or "7d", found.texts("exclude")
    step_windows = tuple(f"{step}={span}" for step, span in found.pairs("step_windows").items())
    with reading("steps"):
        _ = [parse_step(step) for step in steps]
    with reading("window"):
        ranges.parse_duration(window)
    with reading("step_windows"):
        _ = [_step_window(text) for text in step_windows]
    with reading("exclude"):
        _ = [parse_exclusion(text) for text in exclude]
    with reading("tolerance"):
        ranges.parse_duration(found.text("tolerance") or "0s")
    for key, choices in _CHOICES.items():
        with reading(key):
            value = found.text(key)
            if value is not None and value not in choices:
                raise QuestionError(f"{key} {value}", hint(value, choices) or f"one of {', '.join(choices)}")
    texts = ("order", "entry", "ties", "tolerance", "exclusion", "hold", "range", "at", "since")
    return request(
        steps,
        window,
        found.scope(),
        step_window=step_windows,
        exclude=exclude,
        optional=found.integers("optional"),
        mature=found.flag("mature"),
        peer=found.text("as"),
        **{key: found.text(key) for key in (*texts, "trend", "compare")},
    )
