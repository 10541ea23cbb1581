"""Ways through a timeline: into a day and an hour and out again, along sessions, silences and matches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from queries import activity
from queries.question import Row
from queries.ranges import duration
from screens import user_moves as moves
from screens.frame import asking, finding
from screens.user_state import FIRST_ROWS, Matches, UserState


class UserWalk(UserState):
    """What moves the cursor and the span."""

    def do_nearer(self) -> None:
        """Looks into the day, then the hour, of the event in hand."""
        row, span = self.held, self.span
        if row is None:
            return
        if span is not None and span.unit == "hour":
            self.say("an hour's minutes are the nearest; - goes back")
            return
        self.look(activity.nearer(span, activity.moment(str(row["ts"])), self.zone))

    def do_farther(self) -> None:
        """Looks out again."""
        self.look(activity.farther(self.span, self.zone))

    def do_all_time(self) -> None:
        """Takes the span away."""
        self.look(None)

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
            if at is not None and self.in_range(at):
                self.land_last = step < 0
                self.look(activity.moved(span, at, self.zone))
                return
        self._ended("no further session in sight" if step > 0 else "no session before in sight", step)

    def _ended(self, text: str, step: int) -> None:
        """Says that there is nothing further; of a long timeline more is read first."""
        if step > 0 and self.read_on():
            return
        self.say(text)

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

        def found(row: Row) -> None:
            seconds = float(str(row["since_previous_seconds"]))
            longer = sum(one > seconds for one in known)
            told = "the longest" if not longer else f"number {longer + 1} by length"
            self.say(f"silence of {duration(seconds)} before this, {told} of {max(len(known), longer + 1):,}")

        none = f"no further silence of {duration(least)} or more in sight"
        self._seek(step, lambda row: moves.is_silence(row, least), none, found)

    def _seek(
        self, step: int, wanted: Callable[[Row], bool], none: str, found: Callable[[Row], None] | None = None
    ) -> None:
        """Goes to the next row for which something is true; in a long timeline the worker looks for it."""
        table, start = self.table, self.grid.cursor_row
        if table is None:
            return

        def done(place: int | None) -> None:
            if place is None:
                self._ended(none, step)
                return
            self.grid.go_to(place)
            self.say("")
            if found is not None:
                found(table.row(place))

        if len(table) <= FIRST_ROWS:
            done(moves.next_row(table, start, step, wanted))
        else:
            self.aside(lambda task: moves.next_row(table, start, step, wanted), done, "looking")

    def do_next_match(self) -> None:
        """Goes to the next match."""
        self._match(1)

    def do_previous_match(self) -> None:
        """Goes to the match before."""
        self._match(-1)

    def _match(self, step: int) -> None:
        if self.matches is not None:
            self._seek(step, self._is_match, f"no further match of {self.matches.text}")
            return
        now, told = finding.sought(self), self.told_by_event
        if now is not None and now.text is not None:
            finding.again(self, step)
        elif told:
            none = "no further event of the funnel in sight"
            self._seek(step, lambda row: (row["ts"], row["event"]) in told, none)
        else:
            self.do_matching()

    def do_matching(self) -> None:
        """Asks for a condition; its matches are what the cursor can go to."""
        whole = self.whole
        if whole is None:
            return

        def done(text: str) -> None:
            wanted = text.strip()
            if not wanted:
                self.matches = None
                return
            both = wanted if whole.match is None else f"({whole.match}) AND ({wanted})"
            session = self.workbench.session
            self.aside(
                lambda task: moves.keys_of(session.answer(replace(whole, match=both), task).table.rows()),
                lambda keys: self._found(Matches(wanted, whole, keys)),
                "looking for matches",
            )

        self.prompt.ask(
            "go to", "" if self.matches is None else self.matches.text, done=done,
            complete=asking.last_word(asking.properties(self)),
            hint="events for which this is true, as amount > 100; { and } go to them; empty: none",
        )  # fmt: skip

    def _found(self, found: Matches) -> None:
        self.matches = found
        row = self.held
        if row is None or not found.keys:
            self.say(f"no event matches {found.text}")
            return
        self.say(f"{len(found.keys):,} match; {{ and }} go on")

    def _is_match(self, row: Row) -> bool:
        return self.matches is not None and moves.key_of(row) in self.matches.keys
