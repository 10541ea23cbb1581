"""The funnel's options as the form has them: how each is written, chosen, stepped through, and kept when steps move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from queries.funnel_request import Exclusion, FunnelRequest, parse_exclusion
from queries.peers import EVERY, PEERS
from queries.ranges import format_duration, parse_duration
from workbench.glyphs import Glyphs
from workbench.text import clean, clip, width

WINDOWS = ("30m", "1h", "6h", "12h", "1d", "2d", "3d", "7d", "14d", "30d", "60d", "none")
"""What < and > go through."""
TRENDS = (None, "day", "week", "month")
NOTHING = "none"
"""How the form writes an option that is not given."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the form."""

    key: str
    """Its key in a saved request."""
    label: str
    meaning: str
    choices: tuple[str, ...] = ()
    """Its values, or the usual ones of many, in the order that < and > go through."""
    is_name: bool = False
    """A name of the data's or the workspace's: chosen anew, not mended."""

    @property
    def is_chosen(self) -> bool:
        """Whether an edit begins with nothing, because a value is chosen and not mended."""
        return self.is_name or bool(self.choices)


OPTIONS: Mapping[str, Option] = {
    option.key: option
    for option in (
        Option("window", "window", "from step 1, inclusive; or none", WINDOWS),
        Option("by", "by", "a property, or none", is_name=True),
        Option("compare", "compare", "the period before, or a segment", (NOTHING, "previous"), is_name=True),
        Option("trend", "trend", "rows by the period of step 1", (NOTHING, "day", "week", "month")),
        Option("as", "as", "another product's rule, or all", (NOTHING, EVERY, *PEERS)),
        Option("top", "top", "rows of a breakdown; the rest is (other)", ("1", "3", "5", "10", "20", "40")),
        Option("step_windows", "step windows", "as 2=1h 3=30m: at most so long after the step before"),
        Option(
            "order", "order", "others between allowed; each the very next; any order", ("ordered", "strict", "any")
        ),
        Option(
            "entry", "entry", "any step 1 may start; the first decides; each attempt counts", ("any", "first", "every")
        ),
        Option("ties", "ties", "equal times count as in order, or times must increase", ("order", "strict")),
        Option(
            "tolerance", "tolerance", "a step may lie so long before the step before", ("0s", "1s", "2s", "10s", "1m")
        ),
        Option("exclude", "exclude", "EVENT[: EXPR][@I:J]; several with ;"),
        Option("exclusion", "exclusion", "excluded people stay in step 1, or are left out", ("drop", "remove")),
        Option("hold", "hold", "a property that is equal over the whole chain, or none", is_name=True),
        Option("optional", "optional", "steps that may be left out, as 2 3"),
        Option("range", "range holds", "step 1 inside the range, or the whole chain", ("entry", "whole")),
        Option(
            "at", "value at", "where the breakdown is read; step:2 too", ("first", "last", "user-first", "user-last")
        ),
        Option("since", "times since", "the counted entry, or the first step 1", ("entry", "first")),
        Option("mature", "mature", "only entries whose window is over", ("no", "yes")),
        Option("where", "where", "events for which this is true, as platform = 'app'"),
        Option("who", "who", "people for whom this is true, as did('order_paid') = 0"),
        Option("unit", "unit", "what is counted; or a property", ("user", "raw", "session", "order")),
    )
}  # fmt: skip
"""In the order of the form: what shapes the picture first, then the finer points of the rule."""

_DEFAULTS: Mapping[str, object] = {
    "order": "ordered", "entry": "any", "ties": "order", "exclusion": "drop", "range": "entry", "at": "first",
    "since": "entry", "mature": False, "tolerance": "0s", "top": 10, "unit": "user",
}  # fmt: skip


def text_of(key: str, saved: Mapping[str, object]) -> str:
    """An option of a saved request as the form shows it."""
    value = saved[key]
    if key == "window":
        return str(value)
    if key == "step_windows":
        pairs = cast("Mapping[str, str]", value).items()
        return " ".join(f"{step}={span}" for step, span in pairs) or NOTHING
    if key == "exclude":
        return "; ".join(map(_listed, cast("Sequence[str]", value))) or NOTHING
    if key == "optional":
        return " ".join(map(str, cast("Sequence[int]", value))) or NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NOTHING if value is None else called(str(value))


def called(name: str) -> str:
    """A name as the form writes it: one that reads as nothing stands in quotes."""
    return f'"{name}"' if name == NOTHING else name


def value_of(key: str, text: str) -> object:
    """What is saved of an option written so; empty: its default. Raises ValueError for a number that is none."""
    bare = None if text in ("", NOTHING) else text
    if key == "window":
        return text or "7d"
    if key == "step_windows":
        pairs = (part.partition("=") for part in (bare or "").replace(",", " ").split())
        return {step: span for step, _, span in pairs}
    if key == "exclude":
        return [part for part in split(bare or "", ";") if part]
    if key == "optional":
        return [_number(part) for part in (bare or "").replace(",", " ").split()]
    if key == "top":
        return _number(text or "10")
    if key == "mature":
        if text not in ("", NOTHING, "no", "yes"):
            raise ValueError(f"{text}: yes or no is wanted")
        return text == "yes"
    if bare == called(NOTHING):
        return NOTHING
    return bare if bare is not None else _DEFAULTS.get(key)


def is_default(key: str, saved: Mapping[str, object]) -> bool:
    """Whether an option says nothing that is worth a word; the window always is."""
    value = saved[key]
    return value in (None, [], {}) or value == _DEFAULTS.get(key)


def stepped(key: str, now: str, step: int, more: Sequence[str] = ()) -> str | None:
    """The choice after (1) or before (-1) the one there is; None where there is none that way.

    A window, tolerance or number between two choices goes on to the next one. ``more`` are choices of the workspace.
    """
    choices = (*OPTIONS[key].choices, *more)
    if now in choices:
        place = choices.index(now) + step
        return choices[place] if 0 <= place < len(choices) else None
    sizes = [_size(key, choice) for choice in choices]
    size = _size(key, now)
    if size is None or None in sizes:
        return choices[0] if choices else None
    known = cast("list[float]", sizes)
    beyond = [choice for choice, other in zip(choices, known, strict=True) if (other - size) * step > 0]
    return None if not beyond else beyond[0] if step > 0 else beyond[-1]


def _size(key: str, text: str) -> float | None:
    if key in ("window", "tolerance"):
        milliseconds = parse_duration(text)
        return float("inf") if milliseconds is None else milliseconds
    return float(text) if key == "top" else None


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text}: a number is wanted") from None


def told(request: FunnelRequest, cells: int, lines: int, glyphs: Glyphs) -> list[str]:
    """The way in a line, then what is not as usual in at most so many."""
    saved = request.to_dict()
    chain = f" {glyphs.then} ".join(str(step) for step in request.steps)
    parts = [
        f"{option.label} {text_of(key, saved)}"
        for key, option in OPTIONS.items()
        if key == "window" or not is_default(key, saved)
    ]
    return [chain, *packed(parts, cells, lines, glyphs)]


def packed(parts: Sequence[str], cells: int, lines: int, glyphs: Glyphs) -> list[str]:
    """Parts side by side in at most so many lines; the last line says how many had no room."""
    out: list[str] = []
    for place, part in enumerate(map(clean, parts)):
        beside = f"{out[-1]}  {part}" if out else part
        left = len(parts) - place
        rest = f"  {glyphs.more} +{left}" if len(out) == lines else ""
        after = f"  {glyphs.more} +{left - 1}" if len(out) == lines and left > 1 else ""
        if out and width(beside) + width(after) <= cells:
            out[-1] = beside
        elif len(out) < lines:
            out.append(clip(part, cells))
        else:
            out[-1] = clip(out[-1], cells - width(rest)) + rest
            break
    return out


# --- steps that move -------------------------------------------------------------------------------------------


def rearranged(
    request: FunnelRequest, steps: Sequence[str], order: Sequence[int | None]
) -> tuple[dict[str, object], list[str]]:
    """The saved request of other steps, its options following the steps they are of; and what that left out.

    ``order`` gives for each new step the place that it had, from 0, or None for a new one.
    """
    place = {old + 1: new for new, old in enumerate(order, 1) if old is not None}
    count, lost = len(steps), list[str]()
    optional = [place[step] for step in request.optional if 1 < place.get(step, 0) < count]
    lost += [f"optional {step}" for step in request.optional if not 1 < place.get(step, 0) < count]
    windows: dict[str, str] = {}
    for step, span in sorted(request.step_windows.items()):
        if place.get(step, 0) > 1:
            windows[str(place[step])] = format_duration(span)
        else:
            lost.append(f"step window {step}={format_duration(span)}")
    exclude: list[str] = []
    for one in request.exclude:
        moved = _moved(one, place, count)
        if moved is None:
            lost.append(f"exclude {one}")
        else:
            exclude.append(str(moved))
    at = request.at
    if at.startswith("step:"):
        found = place.get(int(at[5:]))
        at = "first" if found is None else f"step:{found}"
        lost += [] if found is not None else [f"value at {request.at}"]
    changed: dict[str, object] = {
        "optional": sorted(optional),
        "step_windows": windows,
        "exclude": exclude,
        "at": at,
    }
    if not exclude and request.exclusion != "drop":
        changed["exclusion"] = "drop"
    return {**request.to_dict(), **changed, "steps": list(steps)}, lost


def _moved(one: Exclusion, place: Mapping[int, int], count: int) -> Exclusion | None:
    if one.first is None or one.last is None:
        return one if count > 1 else None
    first, last = place.get(one.first), place.get(one.last)
    if first is None or last is None:
        return None
    return replace(one, first=min(first, last), last=max(first, last))


# --- lists with quotes -----------------------------------------------------------------------------------------


def split(text: str, separator: str) -> list[str]:
    """The parts of a list of steps, a separator inside quotes being none; without the space around them."""
    parts, quote, begin, in_condition = [], "", 0, False
    for place, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char == '"' or (char == "'" and in_condition):
            quote = char
        elif char == separator:
            parts.append(text[begin:place].strip())
            begin, in_condition = place + 1, False
        elif char == ":":
            in_condition = True
    return [*parts, text[begin:].strip()]


def _listed(exclusion: str) -> str:
    """An exclusion as one of a list: a name that would be cut in two, or read as nothing, stands in quotes."""
    if split(exclusion, ";") == [exclusion] and exclusion != NOTHING:
        return exclusion
    one = parse_exclusion(exclusion)
    names = "|".join('"' + name.replace('"', '""') + '"' for name in one.step.events)
    rule = "" if one.step.condition is None else f": {one.step.condition}"
    return f"{names}{rule}" + ("" if one.first is None else f"@{one.first}:{one.last}")
