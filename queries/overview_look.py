"""What to look at first: what the survey warns of, a day that is not over, and the largest changes of an event."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from queries import ranges
from queries.catalogue import EventsRequest
from queries.check import CheckRequest
from queries.checks import FILES, Notes
from queries.funnel_request import FunnelRequest
from queries.one_person import Sessioned
from queries.overview_figures import Counting, Spans, day_sql
from queries.overview_request import FIGURES
from queries.periods import Periods
from queries.question import Note, Request, Scope
from queries.scope import Within
from queries.steps import Step
from queries.suggest import shown

LEAST = 50
"""An event is judged that has so many on one of two days."""
CHANGE = 0.3
"""A change of so much at least, as a fraction of the larger day's …"""
SPREADS = 4.0
"""… and of so many times what chance makes of two such days."""
MOST_NAMES = 1_000
MOST_WARNINGS = 6
HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Look:
    """One thing to look at."""

    kind: str
    """``data``, ``role``, ``day`` or ``change``."""
    what: str
    why: str
    request: Request
    """The question that shows it."""

    @property
    def command(self) -> str:
        """The same as a command line."""
        return shlex.join(["workbench", *self.request.arguments()])

    def to_dict(self) -> dict[str, object]:
        """As JSON carries it."""
        return {"kind": self.kind, "what": self.what, "why": self.why, "command": self.command}


@dataclass(frozen=True, slots=True)
class Change:
    """An event on a day and on the day before."""

    event: str
    place: int
    """Of the later day."""
    before: int
    after: int

    @property
    def size(self) -> float:
        """How far it moved, up or down alike."""
        return abs(math.log((self.after + 1) / (self.before + 1)))

    @property
    def is_told(self) -> bool:
        """Whether it is more than chance and small numbers make."""
        moved, largest = abs(self.after - self.before), max(self.before, self.after)
        chance = math.sqrt(self.before + self.after)
        return largest >= LEAST and moved >= CHANGE * largest and moved > SPREADS * chance


def looks(
    scope: Scope,
    again: Callable[[Scope], Request],
    data: Sessioned,
    within: Within,
    spans: Spans,
    counting: Counting,
    asked: list[str],
) -> list[Look]:
    """What to look at, what bends every number first; ``again`` makes the overview of another scope."""
    found = list(_warnings(scope, data.survey().notes))
    found += _roles(scope, counting)
    if spans.days is not None:
        found += _running_day(scope, again, data, within, spans.days)
        found += _changes(scope, data, within, spans.days, asked)
    return found


def _warnings(scope: Scope, notes: Sequence[Note]) -> Iterator[Look]:
    """What the survey warns of, what it left out first."""
    told = sorted((note for note in notes if note.level == "warning"), key=lambda note: not note.sets_aside)
    # Reading is of everything there is, whatever the range and the people.
    over = replace(scope, since=None, until=None, last=None, where=None, who=None)
    for note in told[:MOST_WARNINGS]:
        check, advice = _CHECKS.get(note.code, (None, "numbers may be bent by it"))
        only = () if check is None else (check,)
        yield Look("data", note.text, advice, CheckRequest(only=only, scope=over))
    if len(told) > MOST_WARNINGS:
        rest = len(told) - MOST_WARNINGS
        what = f"{rest} more warning{'' if rest == 1 else 's'}"
        yield Look("data", what, "numbers may be bent by them", CheckRequest(scope=over))


def _roles(scope: Scope, counting: Counting) -> Iterator[Look]:
    """Figures that cannot be told, by what is missing."""
    lacking: dict[str, list[str]] = {}
    for figure in FIGURES:
        reason = counting.lacking(figure)
        if reason is not None and reason.startswith("the role"):
            lacking.setdefault(reason, []).append(figure.name)
    for reason, names in lacking.items():
        why = f"{', '.join(names)} cannot be told: name the event under [roles] in workbench.toml"
        yield Look("role", reason, why, EventsRequest(scope=scope))


def _running_day(
    scope: Scope, again: Callable[[Scope], Request], data: Sessioned, within: Within, days: Periods
) -> Iterator[Look]:
    """The newest day, where more than an hour of it is still to come."""
    as_of, zone = data.survey().as_of, ranges.zone(data.timezone)
    last = len(days.names) - 1
    if as_of is None or last not in days.incomplete or as_of + HOUR >= days.bounds[-1]:
        return
    if as_of < days.bounds[last] or (within.range.end is not None and within.range.end <= as_of + 1):
        return
    start = within.range.start
    if start is not None and start >= days.bounds[last]:
        return
    day_before = ranges.day_of(int(days.bounds[last]) - 1, zone).isoformat()
    since = None if start is None else ranges.iso(start, zone)
    if start is not None and ranges.day_start(start, zone) == start:
        since = ranges.day_of(start, zone).isoformat()
    yield Look(
        "day",
        f"{days.names[last]} is known up to {ranges.iso(as_of, zone)[11:16]}",
        "its figures are lower than a whole day's: leave it out to compare days",
        again(replace(scope, since=since, until=day_before, last=None)),
    )


def _changes(
    scope: Scope, data: Sessioned, within: Within, days: Periods, asked: list[str]
) -> Iterator[Look]:
    """The largest change of an event on the newest whole day, and on all whole days listed."""
    whole = [place for place in range(len(days.names)) if place not in days.incomplete]
    if len(whole) < 2:
        return
    sql = _days_sql(within, days)
    asked.append(sql)
    counts: dict[str, dict[int, int]] = {}
    for event, day, rows in data.fetch(sql):
        counts.setdefault(str(event), {})[int(str(day))] = int(str(rows))
    changes = [
        Change(event, place, own.get(place - 1, 0), own.get(place, 0))
        for event, own in counts.items()
        for place in whole
        if place - 1 in whole
    ]
    told = sorted((one for one in changes if one.is_told), key=lambda one: (-one.size, -one.place, one.event))
    newest = next((one for one in told if one.place == whole[-1]), None)
    if newest is not None:
        yield _change(scope, days, newest, "the largest change of an event on the newest whole day")
    if told and told[0] is not newest:
        yield _change(scope, days, told[0], f"the largest change of an event in these {len(days.names)} days")


def _days_sql(within: Within, days: Periods) -> str:
    """Events by day of the names that some day has many of."""
    bounds = days.bounds.tolist()
    conditions = [f"ts >= {bounds[0]}", f"ts < {bounds[-1]}"]
    conditions += Within(within.range, within.where).conditions()
    return (
        f"WITH by_day AS (\n  SELECT event, {day_sql(bounds)} AS day, count(*) AS events\n"
        f"  FROM events WHERE {' AND '.join(conditions)}\n  GROUP BY 1, 2\n"
        "), frequent AS (\n  SELECT event FROM by_day GROUP BY event\n"
        f"  HAVING max(events) >= {LEAST} ORDER BY sum(events) DESC, event LIMIT {MOST_NAMES}\n)\n"
        "SELECT event, day, events FROM by_day WHERE event IN (SELECT event FROM frequent) ORDER BY event, day"
    )


def _change(scope: Scope, days: Periods, change: Change, why: str) -> Look:
    """A change in words, with the event's days as a funnel of one step that counts every event."""
    day, before = days.names[change.place], days.names[change.place - 1]
    moved = "rose" if change.after > change.before else "fell"
    share = "" if not change.before else f" by {abs(change.after / change.before - 1) * 100:,.0f} %"
    over = replace(scope, since=days.names[0], until=days.names[-1], last=None)
    step = Step((change.event,))
    return Look(
        "change",
        f"{shown(change.event)} {moved}{share} on {day}: {change.after:,}, {change.before:,} on {before}",
        why,
        FunnelRequest(steps=(step,), window=None, entry="every", trend="day", scope=over),
    )


_CHECKS: dict[str, tuple[str | None, str]] = {
    **{
        code: (check.id, check.advice)
        for check in FILES
        if isinstance(check.ask, Notes)
        for code in check.ask.codes
    },
    "without-time": ("missing-times", "they are in no number: the export lost the time"),
    "unreadable-time": (
        "unreadable-times",
        "they are in no number: say how times are written, [source.time]",
    ),
    "impossible-time": (
        "impossible-times",
        "they are in no number: a device's clock or a wrong unit, usually",
    ),
    "without-event": ("missing-events", "they are in no number: the export lost the name"),
    "without-id": ("missing-ids", "they are nobody's: no figure of people has them"),
    "unreadable-values": ("unreadable-values", "they count as missing: say how they are written"),
}
"""By a note's code: the check that shows its rows, and what it means or what to do."""
