"""Marks of the user screen, the funnel they make, and the funnel that a timeline is read beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from queries.gutter import deepest, gutter
from screens import user_moves as moves
from screens import user_text as texts
from screens.user_funnel import explaining, funnel_of
from screens.user_state import UserState
from workbench.session import Answer

if TYPE_CHECKING:
    from queries.funnel_request import FunnelRequest


class UserBeside(UserState):
    """What has to do with a funnel."""

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
            self.workbench.open_screen("funnel", funnel_of(self.marks, self.without_span(asked).scope))

    def do_reload(self) -> None:
        """Lists the files anew; the funnel is asked again too."""
        self.explained = None
        super().do_reload()

    def fetch_gutter(self) -> None:
        """Asks what each event was to the funnel, once for a person."""
        if self.funnel is not None and self.explained is None:
            self._explain(self.funnel, self._put_gutter)

    def _put_gutter(self, answer: Answer) -> None:
        self.explained = answer
        self.told_by_event = gutter(answer.result.rows, answer.result.totals)
        self.say("")
        self._land()
        self.grid.refresh()
        self.refresh_form()

    def _land(self) -> None:
        """Goes to the furthest step that counts, where the cursor was not moved yet."""
        key, table = deepest(self.told_by_event), self.table
        if key is None or table is None or self.grid.cursor_row:
            return
        place = moves.place_when(table, *key)
        if place is not None:
            self.grid.go_to(place)

    def do_explain(self) -> None:
        """Says why this person counts in the funnel as they do."""
        funnel = self.beside
        if funnel is not None and funnel is self.funnel and self.explained is not None:
            self._put_panel(self.explained)
        elif funnel is not None:
            self._explain(funnel, self._put_panel)

    def _put_panel(self, answer: Answer) -> None:
        from workbench.widgets.popup import Panel

        self.say("")
        self.popup(Panel(f"why: {self.title_text()}", texts.explain_text(answer.result)))

    def _explain(self, funnel: FunnelRequest, done: Callable[[Answer], None]) -> None:
        profile = self.profile
        if profile is not None:
            session = self.workbench.session
            self.aside(
                lambda task: session.answer(explaining(funnel, profile), task), done, "asking the funnel"
            )
