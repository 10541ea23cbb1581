"""One person: who they are and everything they did, in order, with sessions, cart and the identity in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from queries import activity, ranges
from queries.expression import compile_condition
from queries.finding import Person, by_event, by_id, person_of
from queries.one_person import OnePerson, Sessioned, one_person
from queries.profile import Profile, Profiler
from queries.question import EVERYTHING, Note, Page, QuestionError, Result, Scope, Section, Shown
from queries.quoting import quote_literal
from queries.records import MOST_CART_EVENTS, Reader
from queries.saved import SCOPE_KEYS, Saved
from queries.scope import Within, meta
from queries.suggest import hint, shown
from queries.timeline import Fold, Order, Timeline
from queries.visits import Bucket, Sessions, Visits

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
        self._one: OnePerson = one_person(person, data, within.where, asked)
        self._visits = Visits(self._one, data, asked)

    def result(self) -> Result:
        """The whole answer; rows are made as they are read."""
        data, request = self._data, self._request
        shown_events = self._shown()
        reader = Reader(self._one, data, shown_events, numbered=self._visits.needs_order, asked=self._asked)
        seen = self._visits.seen(shown_events)
        sessions = self._visits.sessions(seen.buckets)
        profiler = Profiler(self._one, data, reader, self._asked)
        profile = profiler.profile(seen, sessions)
        has_cart, cart_notes = self._cart(reader, int(str(profiler.cart_events)))
        fold = Fold(sessions, self._zone, data.schema.money_decimals, has_cart=has_cart)
        order = Order(newest_days=not request.oldest, newest_events=request.newest)
        rows = Timeline(reader, fold, seen.buckets, order, self._zone)
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
                "activity": activity.listed(seen.buckets, self._zone),
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

    def _shown(self) -> str:
        """The events of the timeline that are shown, as SQL over the person's events."""
        parts = Within(self._within.range, None).conditions()
        if self._request.events:
            parts.append(
                "(" + " OR ".join(f"event = {quote_literal(name)}" for name in self._request.events) + ")"
            )
        if self._request.match is not None:
            compiled = compile_condition(self._request.match, self._data.schema, timezone=self._data.timezone)
            parts.append(f"({compiled.sql})")
        if self._request.around is not None:
            parts += self._near(ranges.parse_start(self._request.around, self._zone, "--around"), parts)
        return " AND ".join(parts) or "TRUE"

    def _near(self, moment: int, parts: Sequence[str]) -> list[str]:
        """The times between which the events nearest to a moment lie."""
        where = " AND ".join(["TRUE", *parts])
        half = AROUND // 2
        sql = (
            f"SELECT (SELECT min(ts) FROM (SELECT ts FROM {self._one.base}\n"
            f"    WHERE {where} AND ts < {moment} ORDER BY ts DESC LIMIT {half})),\n"
            f"  (SELECT max(ts) FROM (SELECT ts FROM {self._one.base}\n"
            f"    WHERE {where} AND ts >= {moment} ORDER BY ts LIMIT {half}))"
        )
        self._asked.append(sql)
        ((low, high),) = self._data.fetch(sql)
        return [f"ts >= {moment if low is None else low}", f"ts <= {moment if high is None else high}"]

    def _cart(self, reader: Reader, events: int) -> tuple[bool, list[Note]]:
        """Whether the cart is followed, and what is said about it."""
        notes = reader.cart_notes()
        if not reader.has_cart or self._one.is_light or events <= MOST_CART_EVENTS:
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
                "first_seen": ranges.iso(one.first, self._zone),
                "last_seen": ranges.iso(one.last, self._zone),
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
            found = self._data.fetch(f"SELECT DISTINCT event FROM {self._one.base} ORDER BY event LIMIT 1000")
            names = [str(name) for (name,) in found]
            if not set(names) & set(self._request.events):
                near = hint(self._request.events[0], names) or "they did " + ", ".join(map(shown, names[:5]))
        text = f"none of this person's {events:,} events is shown" + (f"; {near}" if near else "")
        return [Note("out-of-range", text, "warning")]

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
