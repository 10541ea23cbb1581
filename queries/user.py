"""One person: who they are and everything they did, in order, with sessions, cart and the identity in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from queries import activity, ranges
from queries.clock import Clock
from queries.expression import compile_condition
from queries.finding import Person, by_event, by_id, person_of
from queries.held_timeline import HeldTimeline
from queries.lazy_rows import LazyRows
from queries.one_person import OnePerson, Sessioned, one_person
from queries.passing import Passing
from queries.person_events import EVENT
from queries.person_reading import read_events, read_values, record_at
from queries.profile import Profile, Profiler
from queries.question import EVERYTHING, Note, Page, QuestionError, Result, Scope, Section, Shown
from queries.quoting import quote_literal
from queries.records import MOST_CART_EVENTS, Reader, Record
from queries.saved import SCOPE_KEYS, Saved
from queries.scope import Within, meta
from queries.seen import Bucket, Sessions
from queries.suggest import hint, shown
from queries.timeline import Fold, Order, Timeline
from queries.visits import Visits, needs_order

AROUND = 50
"""Events that ``--around`` shows: half before the moment, half from it on."""
_OWN_KEYS = ("user", "kind", "find", "events", "match", "around", "oldest", "newest")
_LAYOUT = (
    Shown("ts", "time", "clock", names=True),
    Shown("since_previous_seconds", "after", "seconds"),
    Shown("event", "event", cells=18),
    Shown("about", "about", cells=26),
    Shown("cart_items", "cart", "integer"),
    Shown("cart_value", "worth", "number"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRequest:
    """Whom to open, and what of their timeline to show."""

    user: str | None = None
    """Any id of theirs."""
    kind: str | None = None
    """The kind of that id, where it is of several."""
    find: str | None = None
    """A condition on an event of theirs, instead of an id."""
    events: tuple[str, ...] = ()
    match: str | None = None
    around: str | None = None
    oldest: bool = False
    """Days oldest first."""
    newest: bool = False
    """Events of a day newest first."""
    scope: Scope = EVERYTHING

    def __post_init__(self) -> None:
        if (self.user is None) == (self.find is None):
            both = "an id and --find name two" if self.user is not None else "whose timeline?"
            raise QuestionError(both, "workbench user ID, or workbench user --find \"order_id = 'o123'\"")
        if self.user is not None and not self.user.strip():
            raise QuestionError("the id is empty: an unset variable?")
        if self.kind is not None and self.user is None:
            raise QuestionError("--kind says what kind of id is given", "give the id, or leave --kind out")
        if self.scope.by is not None:
            raise QuestionError("--by: one person is not broken down", "leave --by out")
        if self.scope.who is not None and self.user is not None:
            raise QuestionError("--who: the id says who it is", "leave --who out, or give --find instead")
        if self.scope.unit not in ("user", "raw"):
            raise QuestionError(f"--unit {self.scope.unit}: a timeline knows user and raw")

    @property
    def report(self) -> str:
        """The question's name in the registry."""
        return "user"

    def check_cell(self, cell: str) -> None:
        """A timeline has no cells with people."""
        raise QuestionError(f"--users {cell}: a timeline has no cells with people")

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        out = [self.report]
        for option, value in (("--kind", self.kind), ("--find", self.find)):
            out += [] if value is None else [option, value]
        for name in self.events:
            out += ["--event", name]
        for option, value in (("--match", self.match), ("--around", self.around)):
            out += [] if value is None else [option, value]
        out += ["--oldest"] * self.oldest + ["--newest"] * self.newest
        out += self.scope.arguments()
        if self.user is None:
            return out
        return [*out, "--", self.user] if self.user.startswith("-") else [*out, self.user]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question, as JSON carries it."""
        own = {
            "user": self.user,
            "kind": self.kind,
            "find": self.find,
            "events": list(self.events),
            "match": self.match,
            "around": self.around,
            "oldest": self.oldest,
            "newest": self.newest,
        }
        return {**own, **self.scope.to_dict()}


def from_dict(saved: Mapping[str, object]) -> UserRequest:
    """The request that ``to_dict`` gave; raises :class:`QuestionError` for what is none."""
    found = Saved(saved, (*_OWN_KEYS, *SCOPE_KEYS))
    return UserRequest(
        user=found.text("user"),
        kind=found.text("kind"),
        find=found.text("find"),
        events=found.texts("events"),
        match=found.text("match"),
        around=found.text("around"),
        oldest=found.flag("oldest"),
        newest=found.flag("newest"),
        scope=found.scope(),
    )


def answer(request: UserRequest, data: Sessioned) -> Result:
    """The profile and the timeline of the one person named; of several with such an event, their list."""
    return _answer(request, data, [])


def _answer(request: UserRequest, data: Sessioned, asked: list[str]) -> Result:
    within = Within.of(request.scope, data)
    if request.find is not None:
        codes = by_event(request.find, data, within, asked)
        if len(codes) > 1:
            from queries.users import of_people

            return of_people(request, data, within, codes, asked)
        person = person_of(codes[0], data)
    else:
        person = by_id(str(request.user), request.kind, data, asked)
    return _Opened(request, data, within, person, asked).result()


def statements(request: UserRequest, data: Sessioned) -> tuple[str, ...]:
    """The SQL the question asks, in order; what is asked depends on whom it finds, so it is asked."""
    asked: list[str] = []
    # The statement of the rows is asked when the first one is read.
    next(iter(_answer(request, data, asked).rows), None)
    return tuple(asked)


class _Opened:
    """One person's answer in the making."""

    def __init__(
        self, request: UserRequest, data: Sessioned, within: Within, person: Person, asked: list[str]
    ) -> None:
        self._request, self._data, self._within, self._asked = request, data, within, asked
        self._zone = ranges.zone(data.timezone)
        self._clock = Clock(self._zone)
        self._one: OnePerson = one_person(person, data, within.where, asked)
        rule = data.session_rule()
        shown = self._shown()
        numbered = needs_order(rule, data)
        self._reader = Reader(self._one, data, " AND ".join(shown) or "TRUE", numbered=numbered, asked=asked)
        self._events = read_events(self._one, data, self._reader, asked)
        if request.around is not None:
            near = self._near(ranges.parse_start(request.around, self._zone, "--around"), shown)
            self._reader = self._reader.showing(" AND ".join([*shown, *near]))
        self._visits = Visits(self._one, self._events, data, asked)

    def result(self) -> Result:
        """The whole answer; rows are made as they are read."""
        data, request, reader = self._data, self._request, self._reader
        seen = self._visits.seen(reader.shown)
        sessions = self._visits.sessions(seen.buckets)
        profiler = Profiler(self._one, self._events, data, reader, self._asked)
        profile = profiler.profile(seen, sessions)
        has_cart, cart_notes = self._cart(profiler.cart_events)
        fold = Fold(sessions, self._zone, data.schema.money_decimals, has_cart=has_cart)
        order = Order(newest_days=not request.oldest, newest_events=request.newest)
        rows = self._rows(fold, sessions, seen.buckets, order)
        return Result(
            report=request.report,
            request=request,
            rows=rows,
            totals={
                "users": 1,
                "events": len(rows),
                "profile": profile.values,
                "ids": profile.ids,
                "sessions": self._listed(sessions),
                "session_gap_seconds": self._visits.rule.gap / 1000,
                "activity": activity.listed(seen.buckets, self._clock),
            },
            notes=(
                *data.survey().notes,
                Note("session-rule", f"sessions: {self._visits.rule}"),
                *profile.notes,
                *cart_notes,
                *self._nothing(seen.buckets, len(rows)),
            ),
            meta=meta(data, self._within, (len(rows), 1)),
            layout=_LAYOUT,
            rule=self._rule(),
            page=self._page(profile, sessions),
            sql=tuple(self._asked),
        )

    def _rows(self, fold: Fold, sessions: Sessions, buckets: Sequence[Bucket], order: Order) -> LazyRows:
        events, reader = self._events, self._reader
        if events is None:
            return Timeline(reader, fold, buckets, order, self._zone)
        gaps, place_of = self._visits.among_gaps, events.layout.order.stop - 1

        def record(place: int, values: tuple[object, ...] = ()) -> Record:
            return record_at(events, place, gaps.get(events.rows[place][place_of], 0), reader, values)

        def records(start: int, end: int) -> list[Record] | None:
            places = range(start, end)
            if events.layout.whole is not None:
                return [record(place) for place in places]
            values = read_values(self._one, events, start, end, self._data, reader, self._asked)
            if values is None:
                return None
            return [record(place, values[int(str(events.rows[place][place_of]))]) for place in places]

        numbers = self._visits.numbers(events, sessions)
        passing = Passing(events, numbers, record, has_cart=fold.cart is not None)
        return HeldTimeline(events, reader, fold, passing, records, order, self._zone)

    def _shown(self) -> list[str]:
        """The conditions, as SQL over the person's events, of those that are shown wherever one looks."""
        parts = Within(self._within.range, None).conditions()
        if self._request.events:
            parts.append(
                "(" + " OR ".join(f"event = {quote_literal(name)}" for name in self._request.events) + ")"
            )
        if self._request.match is not None:
            compiled = compile_condition(self._request.match, self._data.schema, timezone=self._data.timezone)
            parts.append(f"({compiled.sql})")
        return parts

    def _near(self, moment: int, parts: Sequence[str]) -> list[str]:
        """The times between which the events nearest to a moment lie."""
        half = AROUND // 2
        if self._events is not None:
            times = self._events.ts[self._events.shown]
            place = int(np.searchsorted(times, moment))
            before, after = times[max(0, place - half) : place], times[place : place + half]
            low = int(before[0]) if len(before) else moment
            high = int(after[-1]) if len(after) else moment
            self._events.show((self._events.ts >= low) & (self._events.ts <= high))
            return [f"ts >= {low}", f"ts <= {high}"]
        where = " AND ".join(["TRUE", *parts])
        sql = (
            f"SELECT (SELECT min(ts) FROM (SELECT ts FROM {self._one.base}\n"
            f"    WHERE {where} AND ts < {moment} ORDER BY ts DESC LIMIT {half})),\n"
            f"  (SELECT max(ts) FROM (SELECT ts FROM {self._one.base}\n"
            f"    WHERE {where} AND ts >= {moment} ORDER BY ts LIMIT {half}))"
        )
        self._asked.append(self._one.pasted(sql))
        ((first, last),) = self._data.fetch(sql)
        return [f"ts >= {moment if first is None else first}", f"ts <= {moment if last is None else last}"]

    def _cart(self, events: int) -> tuple[bool, list[Note]]:
        """Whether the cart is followed, and what is said about it."""
        reader = self._reader
        notes = reader.cart_notes()
        if not reader.has_cart or self._events is not None or events <= MOST_CART_EVENTS:
            return reader.has_cart, notes
        text = (
            f"the running cart is not followed: {events:,} events touch it, {MOST_CART_EVENTS:,} are the most"
        )
        return False, [Note("cart-not-followed", text, count=events)]

    def _listed(self, sessions: Sessions) -> list[dict[str, object]]:
        return [
            {
                "session": one.number,
                "session_id": one.id,
                "first_seen": self._clock.iso(one.first),
                "last_seen": self._clock.iso(one.last),
                "seconds": (one.last - one.first) / 1000,
                "events": one.events,
            }
            for one in sessions.all
        ]

    def _nothing(self, buckets: Sequence[Bucket], rows: int) -> list[Note]:
        """Why there is no row, where there is none."""
        if rows:
            return []
        events = sum(bucket.all.events for bucket in buckets)
        if not events:
            return [Note("no-events", "no event of this person passes --where", "warning")]
        near = None
        if self._request.events:
            names = self._names()
            if not set(names) & set(self._request.events):
                near = hint(self._request.events[0], names) or "they did " + ", ".join(map(shown, names[:5]))
        text = f"none of this person's {events:,} events is shown" + (f"; {near}" if near else "")
        return [Note("out-of-range", text, "warning")]

    def _names(self) -> list[str]:
        """The first thousand names of the person's events."""
        if self._events is not None:
            return sorted({str(row[EVENT]) for row in self._events.rows})[:1000]
        found = self._data.fetch(f"SELECT DISTINCT event FROM {self._one.base} ORDER BY event LIMIT 1000")
        return [str(name) for (name,) in found]

    def _rule(self) -> str:
        days = "oldest" if self._request.oldest else "newest"
        events = "newest" if self._request.newest else "oldest"
        return (
            f"days {days} first, events of a day {events} first; after: since the person's event before; "
            f"profile, cart and sessions are of all their events, shown or not; times in {self._data.timezone}"
        )

    def _page(self, profile: Profile, sessions: Sessions) -> Page:
        from queries.user_lines import day_heading, profile_lines, session_heading

        held = {one.number: one for one in sessions.all}
        return Page(
            lines=profile_lines(profile),
            sections=(
                Section("day", day_heading),
                Section("session", lambda number: session_heading(number, held, self._zone)),
            ),
            below="remarks",
        )
