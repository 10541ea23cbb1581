"""What the user screen holds: the person asked for, the answer's counts, the span looked into, marks and a funnel."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

from queries import activity, ranges
from queries.activity import Activity, Span
from queries.gutter import Key, Told
from queries.question import Request, Result, Row
from queries.saved import rescoped
from queries.user import UserRequest
from screens import user_moves as moves
from screens.base import Frame
from screens.user_funnel import Marks, funnel_of
from workbench.session import Answer
from workbench.widgets.activity import room_for

if TYPE_CHECKING:
    from queries.funnel_request import FunnelRequest
    from workbench.dataset import Dataset
    from workbench.runner import Task

MOVES = (
    "previous_session", "next_session", "previous_gap", "next_gap", "previous_match", "next_match", "matching",
)  # fmt: skip
LOOKS = ("nearer", "farther", "less", "more", "all_time")
TIMELINE = (*MOVES, *LOOKS, "mark_event", "make_funnel", "turn_days", "explain")
"""The actions that need a timeline."""
_NEED_ROWS = ("previous_gap", "next_gap", "previous_match", "next_match", "nearer", "less", "mark_event")
ALL_ROWS, FIRST_ROWS, MOST_ROWS = 20_000, 5_000, 200_000
"""A timeline of so many events is read whole; of a longer one the first, ten times as many at its end, up to most."""
Outer = tuple[str | None, str | None, str | None]
"""``--from``, ``--to`` and ``--last`` around a span."""


@dataclass(frozen=True, slots=True)
class Matches:
    """The events that a condition is true for."""

    text: str
    among: UserRequest
    """The timeline they were looked for in."""
    keys: frozenset[moves.Key]


class UserState(Frame):
    """The state of the screen, and what follows from it."""

    def __init__(self, request: Request | None = None, **context: object) -> None:
        super().__init__(request, **context)
        self.funnel = cast("FunnelRequest | None", context.get("funnel"))
        """The funnel that the timeline is read beside."""
        self.explained: Answer | None = None
        self.told_by_event: Mapping[Key, Told] = {}
        self.marks = Marks()
        self.view = "both"
        self.most = FIRST_ROWS
        """How many rows are read of a timeline that is not read whole."""
        self.land_last = False
        """Whether the cursor goes to the last event of the answer under way."""
        self._spans: dict[tuple[str | None, str | None], tuple[Span, Outer]] = {}
        """The spans looked into by their options, with the range around each."""
        self._quarters: tuple[activity.Quarter, ...] = ()
        self._drawn: Activity | None = None
        self.matches: Matches | None = None
        self._shown_of: object = None

    # --- asking -----------------------------------------------------------------------------------------------

    def ask(self, request: Request, *, remember: bool = True, anew: bool = False) -> None:
        """Asks; of another question's timeline the first rows."""
        if request != self.request:
            self.most = FIRST_ROWS
        super().ask(request, remember=remember, anew=anew)

    def work(self, request: Request, task: Task, anew: bool) -> Answer:
        """Asks, on the worker, with as many rows as are wanted now."""
        from queries.user import answer
        from workbench.tables import Table

        asked, most, began = cast("UserRequest", request), self.most, time.monotonic()

        def question(dataset: Dataset) -> tuple[Result, Table]:
            result = answer(asked, dataset)
            rows = result.rows if len(result.rows) <= ALL_ROWS else islice(result.rows, most)
            below = None if result.page is None else result.page.below
            return result, Table.of_rows(result.layout, rows, total=len(result.rows), remarks=below)

        dataset, (result, table) = self.workbench.session.over(asked.scope, task, question, anew=anew)
        return Answer(asked, result, table, dataset, time.monotonic() - began)

    @property
    def is_partial(self) -> bool:
        """Whether the timeline goes on behind the rows that are here."""
        return self.answer is not None and self.answer.table.loaded < self.answer.table.total

    def read_on(self) -> bool:
        """Reads more of a long timeline; False where there is no more, or no room."""
        if not self.is_partial or self.most >= MOST_ROWS or self.request is None:
            return False
        self.most = min(self.most * 10, MOST_ROWS)
        self.ask(self.request, remember=False)
        return True

    # --- the answer -------------------------------------------------------------------------------------------

    @property
    def asked(self) -> UserRequest | None:
        """What is asked."""
        request: Request | None = self.request
        return request if isinstance(request, UserRequest) else None

    @property
    def profile(self) -> Mapping[str, object] | None:
        """The profile of the person shown."""
        found = None if self.answer is None else self.answer.result.totals.get("profile")
        return found if isinstance(found, Mapping) else None

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
        profile = cast("Mapping[str, object] | None", totals.get("profile"))
        person = None if profile is None else (profile["kind"], profile["user"])
        if person != self._shown_of:
            self.marks, self.matches, self.explained, self.told_by_event = Marks(), None, None, {}
        self._shown_of = person
        self._quarters = activity.quarters(totals.get("activity"))
        if self.matches is not None and self.matches.among != self.whole:
            self.matches = None

    @property
    def whole(self) -> UserRequest | None:
        """The timeline without the span, in one order: what matches are looked for in."""
        asked = self.asked
        return None if asked is None else replace(self.without_span(asked), oldest=False, newest=False)

    def why_not_here(self, name: str) -> str | None:
        """Why an action of the timeline cannot be done now."""
        if self.answer is None or self.is_list:
            return "no timeline yet: enter opens a person" if self.is_list else "nobody is shown yet: e asks"
        if name == "all_time" and self.span is None:
            return "no day or hour is chosen"
        if name in ("farther", "more") and self.span is None:
            return "everything is in sight"
        if name == "make_funnel" and len(self.marks.rows) < 2:
            return "m marks two events first"
        if name == "explain" and self.beside is None:
            return "opened without a funnel; m marks two events of one"
        if name in _NEED_ROWS and not len(self.table or ()):
            return "no event is shown"
        if name in ("next_session", "previous_session") and not len(self.table or ()) and self.span is None:
            return "no event is shown"
        return None

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
    def zone(self) -> ZoneInfo:
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
        if row is None or self._drawn is None:
            return None
        return self._drawn.place_of(activity.moment(str(row["ts"])))

    def look(self, span: Span | None) -> None:
        """Asks for a span of the timeline; None: for all of the range there was."""
        asked = self.asked
        if asked is None:
            return
        outer = self.without_span(asked)
        if span is None:
            self.ask(outer)
            return
        scope = outer.scope
        since, until = activity.options(span, self.zone)
        self._spans[since, until] = span, (scope.since, scope.until, scope.last)
        self.ask(rescoped(outer, replace(scope, since=since, until=until, last=None)))

    def without_span(self, asked: UserRequest) -> UserRequest:
        """The question with the range it had before a span was looked into."""
        if self.span is None:
            return asked
        _, (since, until, last) = self._spans[asked.scope.since, asked.scope.until]
        return replace(asked, scope=replace(asked.scope, since=since, until=until, last=last))

    def in_range(self, ms: int) -> bool:
        """Whether a moment is in the range that the span was chosen in."""
        asked = self.asked
        if asked is None or self.answer is None:
            return False
        scope, as_of = self.without_span(asked).scope, self.answer.result.meta.get("as_of")
        known_to = None if as_of is None else activity.moment(str(as_of))
        within = ranges.resolve(scope.since, scope.until, scope.last, known_to, self.zone)
        return (within.start is None or within.start <= ms) and (within.end is None or ms < within.end)

    @property
    def beside(self) -> FunnelRequest | None:
        """The funnel to explain: the one beside the timeline, else that of two marked events."""
        if self.funnel is not None or len(self.marks.rows) < 2 or self.asked is None:
            return self.funnel
        return funnel_of(self.marks, self.without_span(self.asked).scope)
