"""The actions of the user screen: edits of its form, spans, moves, marks, and the funnel beside the timeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from queries import activity, ranges
from queries.activity import Activity, Span
from queries.gutter import Key, Told, gutter
from queries.question import Request, Row
from queries.saved import rescoped
from queries.user import UserRequest
from screens import user_form as forms
from screens import user_moves as moves
from screens import user_text as texts
from screens.frame import asking, finding
from screens.frame.form import Form
from screens.user_funnel import Marks, explaining, funnel_of
from workbench.output.cells import duration
from workbench.session import Answer
from workbench.widgets.activity import room_for

if TYPE_CHECKING:
    from queries.funnel_request import FunnelRequest
    from screens.base import Frame

    _Base = Frame
else:
    _Base = object

MOVES = (
    "previous_session", "next_session", "previous_gap", "next_gap", "previous_match", "next_match", "matching",
)  # fmt: skip
TIMELINE = (
    *MOVES,
    "nearer",
    "farther",
    "less",
    "more",
    "all_time",
    "mark_event",
    "make_funnel",
    "turn_days",
    "explain",
)
"""The actions that need a timeline."""
Outer = tuple[str | None, str | None, str | None]
"""``--from``, ``--to`` and ``--last`` around a span."""


class UserActions(_Base):
    """What the keys of the user screen do; mixed into it."""

    def __init__(self, request: Request | None = None, **context: object) -> None:
        funnel = context.get("funnel")
        if request is not None and request.report == "explain":
            # An explained person comes with the funnel.
            funnel, request = getattr(request, "funnel", funnel), _opened(request)
        super().__init__(request, **context)
        self.funnel = cast("FunnelRequest | None", funnel)
        """The funnel that the timeline is read beside."""
        self.explained: Answer | None = None
        self.told_by_event: Mapping[Key, Told] = {}
        self.marks = Marks()
        self.view = "both"
        self.land_last = False
        """Whether the cursor goes to the last event of the answer under way."""
        self._spans: dict[tuple[str | None, str | None], tuple[Span, Outer]] = {}
        """The spans looked into by their options, with the range around each."""
        self._quarters: tuple[activity.Quarter, ...] = ()
        self._drawn: Activity | None = None
        self._matches: tuple[str, frozenset[moves.Key]] | None = None
        self._shown_of: object = None

    # --- the answer -------------------------------------------------------------------------------------------

    @property
    def asked(self) -> UserRequest | None:
        """What is asked."""
        raise NotImplementedError

    @property
    def is_list(self) -> bool:
        """Whether several people were found."""
        return self.answer is not None and self.answer.result.report != "user"

    @property
    def held(self) -> Row | None:
        """The event in hand."""
        return None if self._shown_of is None or not len(self.table or ()) else self.grid.current_row()

    def took(self, answer: Answer) -> None:
        """Reads what the moves need of an answer; another person begins afresh."""
        totals = answer.result.totals
        person = totals.get("profile") and (dict(cast("Mapping[str, object]", totals["profile"]))["user"])
        if person != self._shown_of:
            self.marks, self._matches, self.explained, self.told_by_event = Marks(), None, None, {}
        self._shown_of = person
        self._quarters = activity.quarters(totals.get("activity"))
        if self._matches is not None:
            self._matches = None

    def why_not_here(self, name: str) -> str | None:
        """Why an action of the timeline cannot be done now."""
        if self.answer is None or self.is_list:
            return (
                "there is no timeline: enter opens a person"
                if self.is_list
                else "nobody is shown yet: e asks"
            )
        if name == "all_time" and self.span is None:
            return "no day or hour is chosen"
        if name in ("farther", "more") and self.span is None:
            return "everything is in sight"
        if name == "make_funnel" and len(self.marks.rows) < 2:
            return "m marks two events first"
        if name == "explain" and self._funnel is None:
            return "opened without a funnel; m marks two events of one"
        if name not in ("all_time", "farther", "more", "turn_days", "explain") and not len(self.table or ()):
            return "no event is shown"
        return None

    # --- form -------------------------------------------------------------------------------------------------

    def edit_who(self) -> None:
        """Asks whom to open: an id, or a condition on an event."""
        asked = self.asked

        def check(text: str) -> str | None:
            outer = self.workbench.scope if asked is None else self._without_span(asked).scope
            return self.change(
                lambda: forms.whom(text, None if asked is None else self._without_span(asked), outer)
            )

        self.prompt.ask(
            "who", "" if asked is None else forms.who_text(asked), check=check, done=lambda _: None,
            complete=lambda text: forms.recent_people(self, text), next=lambda: self._edit("events"),
            hint=forms.WHO_HINT,
        )  # fmt: skip

    def edit_events(self) -> None:
        """Asks which events to show."""
        asked = self.asked
        if asked is not None:
            known = asking.events(self)

            def complete(text: str) -> list[object]:
                begun, _, last = text.rpartition("|")
                head = f"{begun}|" if begun else ""
                return [replace(one, text=head + one.text) for one in known(last)]

            self.prompt.ask(
                "events", forms.events_text(asked.events), complete=complete, done=lambda _: None,  # type: ignore[arg-type]
                check=lambda text: self.change(lambda: replace(asked, events=forms.events_of(text))),
                next=lambda: self._edit("match"), previous=lambda: self._edit("who"),
                hint="EVENT, or EVENT|EVENT: only these are shown; empty: all",
            )  # fmt: skip

    def edit_match(self) -> None:
        """Asks for a condition on the events shown."""
        asked = self.asked
        if asked is not None:
            self.prompt.ask(
                "match", asked.match or "", done=lambda _: None,
                complete=asking.last_word(asking.properties(self)),
                check=lambda text: self.change(lambda: replace(asked, match=text.strip() or None)),
                next=lambda: self._edit("around"), previous=lambda: self._edit("events"),
                hint="only events for which this is true, as amount > 100; empty: all",
            )  # fmt: skip

    def edit_around(self) -> None:
        """Asks for a time around which to show events; the event in hand's is offered."""
        asked = self.asked
        if asked is not None:
            row = self.held
            now = "" if row is None else str(row["ts"])[:19].replace("T", " ")
            self.prompt.ask(
                "around", asked.around or now, done=lambda _: None,
                check=lambda text: self.change(lambda: replace(asked, around=text.strip() or None)),
                next=lambda: self._edit("order"), previous=lambda: self._edit("match"),
                hint="the 25 events before a time and the 25 from it on; empty: all",
            )  # fmt: skip

    def edit_order(self) -> None:
        """Lets one of the orders be chosen."""
        from workbench.widgets.popup import Choice, Choose

        asked = self.asked
        if asked is not None:
            choices = [Choice(name, name, said) for name, (said, _, _) in forms.ORDERS.items()]

            def chosen(name: str | None) -> None:
                if name is not None:
                    _, oldest, newest = forms.ORDERS[name]
                    self.change(lambda: replace(asked, oldest=oldest, newest=newest))

            self.app.push_screen(Choose("order", choices), chosen)

    def _edit(self, name: str) -> None:
        if self.pane == 0:
            self.query_one("#form", Form).go_to(name)
        getattr(self, f"edit_{name}")()

    def do_add(self) -> None:
        """Asks for another person; on the field of events, for one more of them."""
        field = self.query_one("#form", Form).current() if self.pane == 0 else None
        self._edit("who" if field is None else field.name)

    def do_delete(self) -> None:
        """Empties the field in hand."""
        field = self.query_one("#form", Form).current() if self.pane == 0 else None
        asked = self.asked
        empty: dict[str, dict[str, object]] = {
            "events": {"events": ()}, "match": {"match": None}, "around": {"around": None},
            "order": {"oldest": False, "newest": False},
        }  # fmt: skip
        if asked is None or field is None or field.name not in empty:
            self.say("tab goes to the form; there d empties a field")
            return
        self.change(lambda: replace(asked, **empty[field.name]))  # type: ignore[arg-type]

    def do_turn_days(self) -> None:
        """Turns the days."""
        asked = self.asked
        if asked is not None:
            self.change(lambda: replace(asked, oldest=not asked.oldest))

    # --- spans ------------------------------------------------------------------------------------------------

    @property
    def span(self) -> Span | None:
        """The day or hour looked into."""
        asked = self.asked
        if asked is None or asked.scope.last is not None:
            return None
        found = self._spans.get((asked.scope.since, asked.scope.until))
        return None if found is None else found[0]

    @property
    def span_text(self) -> str:
        """The span in words, or the days there are."""
        span = self.span
        if span is not None:
            return activity.named(span, self.zone)
        if not self._quarters:
            return ""
        ends = (
            ranges.day_of(one.start, self.zone).isoformat() for one in (self._quarters[0], self._quarters[-1])
        )
        return " to ".join(dict.fromkeys(ends))

    @property
    def zone(self) -> ranges.ZoneInfo:
        """The zone of the answer's days."""
        return ranges.zone("UTC" if self.answer is None else str(self.answer.result.meta["timezone"]))

    def activity_for(self, cells: int) -> Activity:
        """The histogram of the span in force."""
        span, zone = self.span, self.zone
        if span is None:
            self._drawn = activity.overview(self._quarters, zone, room_for(cells, 9_999))
            if len(self._drawn.bins) == 1:
                only = self._drawn.bins[0]
                self._drawn = activity.of_day(self._quarters, Span("day", only.start, only.end), zone)
        elif span.unit == "day":
            self._drawn = activity.of_day(self._quarters, span, zone)
        else:
            table = self.table
            rows = () if table is None else table.rows()
            self._drawn = activity.of_hour([activity.moment(str(row["ts"])) for row in rows], span, zone)
        return self._drawn

    @property
    def bin_in_hand(self) -> int | None:
        """The bin of the event in hand."""
        row = self.held
        return (
            None
            if row is None or self._drawn is None
            else self._drawn.place_of(activity.moment(str(row["ts"])))
        )

    def do_nearer(self) -> None:
        """Looks into the day, then the hour, of the event in hand."""
        row, span = self.held, self.span
        if row is None:
            return
        if span is not None and span.unit == "hour":
            self.say("an hour's minutes are the nearest; - goes back")
            return
        self._look(activity.nearer(span, activity.moment(str(row["ts"])), self.zone))

    def do_farther(self) -> None:
        """Looks out again."""
        self._look(activity.farther(self.span, self.zone))

    def do_all_time(self) -> None:
        """Takes the span away."""
        self._look(None)

    def _look(self, span: Span | None) -> None:
        asked = self.asked
        if asked is None:
            return
        outer = self._without_span(asked)
        if span is None:
            self.ask(outer)
            return
        scope = outer.scope
        since, until = activity.options(span, self.zone)
        self._spans[since, until] = span, (scope.since, scope.until, scope.last)
        self.ask(rescoped(outer, replace(scope, since=since, until=until, last=None)))

    def _without_span(self, asked: UserRequest) -> UserRequest:
        """The question with the range it had before a span was looked into."""
        if self.span is None:
            return asked
        _, (since, until, last) = self._spans[asked.scope.since, asked.scope.until]
        return replace(asked, scope=replace(asked.scope, since=since, until=until, last=last))

    # --- moves ------------------------------------------------------------------------------------------------

    def do_next_session(self) -> None:
        """Goes to the next session in sight; past the last one in a span, to the span that holds the next."""
        self._session(1)

    def do_previous_session(self) -> None:
        """Goes to the session before."""
        self._session(-1)

    def _session(self, step: int) -> None:
        table, span, asked = self.table, self.span, self.asked
        place = None if table is None else moves.next_session(table, self.grid.cursor_row, step)
        if place is not None:
            self.grid.go_to(place)
            return
        if span is not None and asked is not None:
            later = (step > 0) == asked.oldest
            at = moves.session_beyond(self._sessions, span, later=later)
            if at is not None:
                self.land_last = step < 0
                self._look(activity.moved(span, at, self.zone))
                return
        self.say("no further session in sight" if step > 0 else "no session before in sight")

    @property
    def _sessions(self) -> Sequence[Mapping[str, object]]:
        found = None if self.answer is None else self.answer.result.totals.get("sessions")
        return found if isinstance(found, list) else ()

    def do_next_gap(self) -> None:
        """Goes to the event after the next long silence."""
        self._gap(1)

    def do_previous_gap(self) -> None:
        """Goes to the event after the long silence before."""
        self._gap(-1)

    def _gap(self, step: int) -> None:
        assert self.answer is not None
        gap = float(str(self.answer.result.totals["session_gap_seconds"]))
        known = activity.silences(self._sessions, gap)
        least = activity.long_silence(known, gap)
        row = self._move(step, lambda row: moves.is_silence(row, least))
        if row is not None:
            seconds = float(str(row["since_previous_seconds"]))
            longer = sum(one > seconds for one in known)
            told = "the longest" if not longer else f"number {longer + 1} by length"
            self.say(f"silence of {duration(seconds)} before this, {told} of {max(len(known), longer + 1):,}")
        else:
            self.say(f"no further silence of {duration(least)} or more in sight")

    def _move(self, step: int, wanted: Callable[[Row], bool]) -> Row | None:
        table = self.table
        place = None if table is None else moves.next_row(table, self.grid.cursor_row, step, wanted)
        if place is None or table is None:
            return None
        self.grid.go_to(place)
        return table.row(place)

    def do_next_match(self) -> None:
        """Goes to the next match."""
        self._match(1)

    def do_previous_match(self) -> None:
        """Goes to the match before."""
        self._match(-1)

    def _match(self, step: int) -> None:
        if self._matches is not None:
            text, keys = self._matches
            if self._move(step, lambda row: moves.key_of(row) in keys) is None:
                self.say(f"no further match of {text}")
            return
        now = finding.sought(self)
        if now is not None and now.text is not None:
            finding.again(self, step)
        else:
            self.do_matching()

    def do_matching(self) -> None:
        """Asks for a condition; its matches are what the cursor can go to."""
        asked = self.asked
        if asked is None:
            return

        def done(text: str) -> None:
            wanted = text.strip()
            if not wanted:
                self._matches = None
                return
            both = wanted if asked.match is None else f"({asked.match}) AND ({wanted})"
            request = replace(asked, match=both)
            session = self.workbench.session
            self.aside(
                lambda task: moves.keys_of(session.answer(request, task).table.rows()),
                lambda keys: self._found(wanted, keys),
                "looking for matches",
            )

        self.prompt.ask(
            "go to", "" if self._matches is None else self._matches[0], done=done,
            complete=asking.last_word(asking.properties(self)),
            hint="events for which this is true, as amount > 100; { and } go to them; empty: none",
        )  # fmt: skip

    def _found(self, text: str, keys: frozenset[moves.Key]) -> None:
        self._matches = text, keys
        table = self.table
        if not keys or table is None:
            self.say(f"no event in sight matches {text}")
            return
        if moves.key_of(table.row(self.grid.cursor_row)) not in keys:
            self._move(1, lambda row: moves.key_of(row) in keys) or self._move(
                -1, lambda row: moves.key_of(row) in keys
            )
        self.say(f"{len(keys):,} match; {{ and }} go on")

    # --- marks and funnels ------------------------------------------------------------------------------------

    def do_mark_event(self) -> None:
        """Marks the event in hand, or takes its mark away."""
        row = self.held
        if row is not None:
            self.marks = self.marks.toggled(row)
            self.grid.refresh()
            self.refresh_form()

    def do_make_funnel(self) -> None:
        """Opens the funnel of the two marked events."""
        asked = self.asked
        if asked is not None:
            self.workbench.open_screen("funnel", funnel_of(self.marks, self._without_span(asked).scope))

    @property
    def _funnel(self) -> FunnelRequest | None:
        """The funnel to explain: the one beside the timeline, else that of two marked events."""
        if self.funnel is not None or len(self.marks.rows) < 2 or self.asked is None:
            return self.funnel
        return funnel_of(self.marks, self._without_span(self.asked).scope)

    def fetch_gutter(self) -> None:
        """Asks what each event was to the funnel, once for a person."""
        if self.funnel is not None and self.explained is None:
            self._explain(self.funnel, self._put_gutter)

    def _put_gutter(self, answer: Answer) -> None:
        self.explained = answer
        self.told_by_event = gutter(answer.result.rows, answer.result.totals)
        self.say("")
        self.grid.refresh()
        self.refresh_form()

    def do_explain(self) -> None:
        """Says why this person counts in the funnel as they do."""
        funnel = self._funnel
        if funnel is not None and funnel is self.funnel and self.explained is not None:
            self._put_panel(self.explained)
        elif funnel is not None:
            self._explain(funnel, self._put_panel)

    def _put_panel(self, answer: Answer) -> None:
        from workbench.widgets.popup import Panel

        self.say("")
        self.app.push_screen(Panel(f"why: {self.title_text()}", texts.explain_text(answer.result)))

    def _explain(self, funnel: FunnelRequest, done: Callable[[Answer], None]) -> None:
        totals = {} if self.answer is None else self.answer.result.totals
        profile = cast("Mapping[str, object]", totals.get("profile") or {})
        if profile:
            session = self.workbench.session
            self.aside(
                lambda task: session.answer(explaining(funnel, profile), task), done, "asking the funnel"
            )


def _opened(request: Request) -> Request:
    """The timeline of the person whom an explained funnel names."""
    return UserRequest(
        user=str(getattr(request, "user", "")), scope=replace(request.scope, by=None, who=None)
    )
