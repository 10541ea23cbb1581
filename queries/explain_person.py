"""One person and one funnel: what each event did, where they stopped, and what would have let them through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from queries import ranges
from queries.explain_misses import Ground, Miss, misses
from queries.explain_select import Selection
from queries.explain_words import Reason
from queries.funnel_fold import events_of, together
from queries.funnel_request import FunnelRequest
from queries.kernels import funnel as kernel
from queries.kernels.explain import Effect, trace
from queries.kernels.ordering import Events, reading_order
from queries.kernels.rule import Rule
from queries.kernels.sweep import UnitEvents
from queries.question import Data, Note, QuestionError, Row, Shown
from queries.scope import Within
from queries.suggest import shown

Ints = NDArray[np.int64]

MOST_EVENTS = 20_000
"""Of one person, told event by event."""
_TEXTS = ("event", "held", "session")
_INTEGERS = ("person", "ts", "steps", "excludes", "fine", "sequence", "place", "held_code")

LAYOUT = (
    Shown("ts", "time", "time", names=True),
    Shown("event", "event", names=True),
    Shown("matches", "matches"),
    Shown("effect", "effect"),
    Shown("entry", "entry", "time"),
    Shown("reason", "what it did"),
)
HELD = Shown("held", "held")


@dataclass(frozen=True, slots=True)
class Told:
    """A person's events in reading order, with their texts."""

    events: Events
    """Their ``value`` is each event's place."""
    texts: dict[str, list[str | None]]
    """By name, one an event."""

    @classmethod
    def of(cls, events: Events, texts: dict[str, list[str | None]]) -> Told:
        """Events as they come, brought into reading order with their texts."""
        ordered = reading_order(replace(events, value=np.arange(len(events.ts))))
        order = [] if ordered.value is None else ordered.value.tolist()
        return cls(
            replace(ordered, value=np.arange(len(order))),
            {key: [values[place] for place in order] for key, values in texts.items()},
        )


@dataclass(frozen=True, slots=True)
class Explained:
    """What is said of a person."""

    rows: list[Row]
    totals: dict[str, object]
    notes: tuple[Note, ...]
    layout: tuple[Shown, ...]


def explained(name: str, request: FunnelRequest, within: Within, data: Data) -> Explained:
    """Why a person counts, or does not; ``name`` is any of their ids.

    Raises :class:`QuestionError` for an id that nobody or several people have, and for more than
    :data:`MOST_EVENTS` events.
    """
    code, units = _found(name, data)
    ((kind, person),) = data.fetch(f"SELECT kind, id FROM people WHERE person = {code}")
    told = _read(name, Selection.of(request, within, data, units), data)
    ground = Ground(data.survey().as_of or 0, within.range, data.running)
    folded = ground.folded(request, told.events)
    zone = ranges.zone(data.timezone)
    rule = ground.rule(request)
    rows = effects(request, ground, told, folded, zone)
    near = misses(request, told.events, ground)
    standing = _standing(request, folded, told, zone)
    following = sum(1 << (step - 1) for step in rule.next_steps(int(str(standing["level"]))))
    reachable = request.order == "any" or bool(np.any(told.events.steps & following))
    totals = {
        "users": 1,
        "user": str(person),
        "kind": str(kind),
        "events": len(told.events.ts),
        **standing,
        "nearest_miss": near[0].to_dict() if near else None,
        "near_misses": [miss.to_dict() for miss in near],
    }
    layout = (
        LAYOUT if request.hold is None else (*LAYOUT[:3], replace(HELD, heading=request.hold), *LAYOUT[3:])
    )
    return Explained(rows, totals, _notes(request, standing, near, reachable=reachable), layout)


def effects(
    request: FunnelRequest, ground: Ground, told: Told, folded: kernel.Folded, zone: ZoneInfo
) -> list[Row]:
    """What each event did to each entry, as rows; ``folded`` is what counts of the person."""
    rule = ground.rule(request)
    return _Rows(request, rule, told, zone).rows(_starts(rule, told.events, folded))


def _found(name: str, data: Data) -> tuple[int, Ints]:
    """The code of the person whom an id names, and their units."""
    named = data.named(name)
    if not len(named.people):
        raise QuestionError(
            f"nobody in the data has the id {shown(name)}", "any id of a person will do, as exported"
        )
    if len(named.people) > 1:
        codes = ", ".join(str(int(code)) for code in named.people[:5])
        rows = data.fetch(f"SELECT kind, id FROM people WHERE person IN ({codes}) ORDER BY kind DESC, id")
        more = len(named.people) - len(rows)
        listed = ", ".join(shown(str(one)) for _, one in rows) + (f" and {more:,} more" if more > 0 else "")
        raise QuestionError(
            f"{len(named.people):,} people share the id {shown(name)}", f"ask for one of {listed}"
        )
    return int(named.people[0]), named.units


def _read(name: str, selection: Selection, data: Data) -> Told:
    selection.prepare(data)
    batches: list[Events] = []
    texts: dict[str, list[str | None]] = {key: [] for key in _TEXTS}
    count = 0
    for batch in data.stream(selection.select):
        batches.append(events_of({key: batch[key] for key in _INTEGERS if key in batch}))
        for key in _TEXTS:
            texts[key] += batch[key].tolist()
        count += len(batches[-1].ts)
        if count > MOST_EVENTS:
            raise QuestionError(
                f"{shown(name)} has more than {MOST_EVENTS:,} events of this funnel",
                "leave some out with --where",
            )
    return Told.of(together(batches), texts)


def _starts(rule: Rule, events: Events, folded: kernel.Folded) -> set[int] | None:
    """Under ``every`` the places of the entries that begin attempts; None elsewhere."""
    if rule.entry != "every":
        return None
    if rule.exclusion == "remove":
        folded = kernel.fold(events, replace(rule, exclusion="drop"))
    return set(folded.value.tolist())


# --- rows -------------------------------------------------------------------------------------------------


class _Rows:
    """Effects as rows, in the order of the events."""

    def __init__(self, request: FunnelRequest, rule: Rule, told: Told, zone: ZoneInfo) -> None:
        self._request, self._rule, self._told, self._zone = request, rule, told, zone
        self._ts = told.events.ts.tolist()
        self._matched = [_bits(mask) for mask in told.events.steps.tolist()]
        masks = told.events.excludes
        self._excludes = [0] * len(self._ts) if masks is None else masks.tolist()

    def rows(self, starts: set[int] | None) -> list[Row]:
        """A row for each event and entry it concerned; ``starts`` as :func:`_starts` gives them."""
        found: list[tuple[int, int, Row]] = []
        for places in self._units():
            unit = self._unit(places)
            begins = unit.entering if starts is None else [at for at in unit.entering if places[at] in starts]
            if self._rule.entry == "first":
                begins = begins[:1]
            matched = [self._matched[place] for place in places]
            for number, effect in enumerate(trace(unit, self._rule, begins, matched)):
                found.append((places[effect.place], number, self._row(effect, places, unit, begins)))
        if self._request.hold is not None:
            found += [(place, 0, self._unheld(place)) for place in self._valueless()]
        return [row for _, _, row in sorted(found, key=lambda one: one[:2])]

    def _units(self) -> Iterator[list[int]]:
        """The places of the events of each unit."""
        events = self._told.events
        keys: dict[tuple[int, int], list[int]] = {}
        held = (
            np.zeros(len(self._ts), np.int64) if events.held is None or not self._rule.hold else events.held
        )
        for place, key in enumerate(zip(events.person.tolist(), held.tolist(), strict=True)):
            if key[1] >= 0:
                keys.setdefault(key, []).append(place)
        yield from keys.values()

    def _valueless(self) -> Iterator[int]:
        held = self._told.events.held
        for place, code in enumerate([] if held is None else held.tolist()):
            if code < 0 and self._matched[place]:
                yield place

    def _unit(self, places: Sequence[int]) -> UnitEvents:
        rule, ts = self._rule, [self._ts[place] for place in places]
        inside = [
            (rule.entry_from is None or at >= rule.entry_from)
            and (rule.entry_to is None or at < rule.entry_to)
            for at in ts
        ]
        matched = [self._matched[place] for place in places]
        steps = [
            [] if rule.range == "whole" and not within else mine
            for mine, within in zip(matched, inside, strict=True)
        ]
        entering = [
            at
            for at, mine in enumerate(steps)
            if inside[at] and (bool(mine) if rule.order == "any" else 1 in mine)
        ]
        return UnitEvents(ts, steps, [self._excludes[place] for place in places], entering, tied=False)

    def _row(self, effect: Effect, places: Sequence[int], unit: UnitEvents, begins: Sequence[int]) -> Row:
        at, texts = places[effect.place], self._told.texts
        now = unit.ts[effect.place]
        entry = None if effect.entry < 0 else unit.ts[effect.entry]
        previous = None if effect.previous < 0 else unit.ts[effect.previous]
        if effect.code == "enters":
            entry = now
        limit = {
            "after-window": self._rule.window,
            "after-step-window": self._rule.step_windows.get(effect.step),
        }
        allowed = limit.get(effect.code)
        return {
            "ts": ranges.iso(now, self._zone),
            "event": texts["event"][at],
            "session": texts["session"][at],
            "held": texts["held"][at],
            "matches": sorted(self._matched[at]),
            "excludes": [str(self._request.exclude[bit]) for bit in range(len(self._request.exclude))
                         if self._excludes[at] >> bit & 1],
            "effect": effect.code,
            "step": effect.step or None,
            "entry": None if entry is None else ranges.iso(entry, self._zone),
            "reason": Reason(self._request, self._rule, unit, begins, self._zone).of(effect),
            "limit_seconds": None if allowed is None else allowed / 1000,
            "since_entry_seconds": None if entry is None else (now - entry) / 1000,
            "since_previous_seconds": None if previous is None else (now - previous) / 1000,
        }  # fmt: skip

    def _unheld(self, place: int) -> Row:
        unit = UnitEvents([self._ts[place]], [self._matched[place]], [self._excludes[place]], [], tied=False)
        row = dict(self._row(Effect(0, "no-value", min(self._matched[place])), [place], unit, []))
        return row


def _bits(mask: int) -> list[int]:
    """The steps of a mask, the last first, as the kernels read them."""
    return [step for step in range(mask.bit_length(), 0, -1) if mask >> (step - 1) & 1]


# --- where they stand -------------------------------------------------------------------------------------


def _standing(request: FunnelRequest, folded: kernel.Folded, told: Told, zone: ZoneInfo) -> dict[str, object]:
    """Level, status and times of what counts of a person, the deepest first in all but the list."""
    last = len(request.steps)
    attempts: list[dict[str, object]] = []
    for place, level in enumerate(folded.level.tolist()):
        times = folded.reached[:, place].tolist()
        is_open = bool(folded.open[place])
        attempts.append(
            {
                "level": level,
                "status": "converted" if level == last else "open" if is_open else "dropped",
                "held": told.texts["held"][int(folded.value[place])],
                "times": [None if ms < 0 else ranges.iso(ms, zone) for ms in times],
                "seconds_from_entry": [None if ms < 0 else max(ms - times[0], 0) / 1000 for ms in times],
            }
        )
    best = max(attempts, key=lambda one: (int(str(one["level"])), one["status"] == "open"), default=None)
    nothing = "removed" if len(folded.removed) else "none"
    return {
        "steps": last,
        "level": 0 if best is None else best["level"],
        "status": nothing if best is None else best["status"],
        "open": best is not None and best["status"] == "open",
        "attempt": best,
        "attempts": attempts,
    }


def _notes(
    request: FunnelRequest, standing: dict[str, object], near: Sequence[Miss], *, reachable: bool
) -> tuple[Note, ...]:
    """Where they stopped, and the nearest miss; ``reachable``: they did a step that comes next, some time."""
    level, status, last = int(str(standing["level"])), standing["status"], len(request.steps)
    if status == "none":
        text = "does not count: no step 1 in the range"
    elif status == "removed":
        text = "left out: an exclusion meets every entry (--exclusion remove)"
    elif status == "converted":
        text = f"converted: all {last} steps"
    else:
        step = "" if request.order == "any" else f", {request.steps[level - 1]}"
        text = f"stands at step {level} of {last}{step}: {status}"
    notes = [Note("standing", text, count=level)]
    if near:
        there = "converted" if near[0].outcome.status == "converted" else f"at step {near[0].outcome.level}"
        others = f"; also {', '.join(miss.text for miss in near[1:4])}" if near[1:] else ""
        notes.append(Note("nearest-miss", f"with {near[0].text} they would be {there}{others}"))
    elif status != "converted":
        why = "" if reachable else f": step {level + 1} is not among their events"
        notes.append(
            Note("nearest-miss", f"no single change of the rule was found that takes them further{why}")
        )
    return tuple(notes)
