"""The People screen: who is behind a figure, with what they did, each a door to their timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from queries.question import PeopleRequest, Request
from screens.base import Door, Frame
from screens.frame.form import Field
from workbench.session import Answer, piped

if TYPE_CHECKING:
    from workbench.runner import Task


class PeopleScreen(Frame):
    """The people behind a cell of another answer; opened by enter on a figure."""

    question = "users"
    hinted = ("enter", "sort", "filter", "save_people", "export", "copy_command", "back", "help")

    def first_request(self) -> Request | None:
        """The cell it was opened for."""
        return PeopleRequest(self._of.request, str(self.context["cell"]))

    @property
    def _of(self) -> Answer:
        return cast("Answer", self.context["of"])

    def title_text(self) -> str:
        """Which people."""
        return f"people {self.context['title']}"

    def file_stem(self) -> str:
        """The cell's name."""
        return f"{self._of.request.report} {self.context['cell']}"

    def form(self) -> Sequence[Field]:
        """The question they are counted in."""
        return ()

    def short_form(self) -> Sequence[str]:
        """The cell, and the question it is of."""
        from workbench.report_list import short

        return [f"{self.context['cell']} of {self._of.request.report}: {short(self._of.request)}"]

    def command(self) -> str:
        """The command line that lists them."""
        return piped(cast("PeopleRequest", self.request))

    def why_not(self, name: str) -> str | None:
        """The question itself is changed on its own screen."""
        if name in ("range", "breakdown", "edit", "undo", "redo", "save_report"):
            return "the question behind these people is changed on its screen: q goes back"
        return super().why_not(name)

    def people_answer(self) -> Answer | None:
        """These."""
        return self.answer

    def work(self, request: Request, task: Task, anew: bool) -> Answer:
        """Asked of the dataset that counted them; anew: the question is asked again first."""
        of = self.workbench.session.answer(self._of.request, task, anew=True) if anew else self._of
        if anew:
            self.context["of"] = of
        return self.workbench.session.people(of, cast("PeopleRequest", request), task)

    def door(self) -> Door | None:
        """Behind a person is their timeline."""
        return None

    def do_explain(self) -> None:
        """Why the person under the cursor counts in the funnel as they do."""
        from queries.explain import ExplainRequest
        from queries.funnel_request import FunnelRequest

        row, of = self.grid.current_row(), self._of.request
        if row is not None and isinstance(of, FunnelRequest):
            self.workbench.open_screen("explain", ExplainRequest(funnel=of, user=str(row["user"])))
        else:
            self.say("only a funnel is explained")

    def open_row(self) -> None:
        """Opens the timeline of the person, with the steps of the funnel beside it."""
        open_person(self, self.grid.current_row(), self._of.request)


def open_person(frame: Frame, row: Any, of: Request | None) -> None:
    """Opens the User screen on the person of a row with ``user`` and ``kind``."""
    from queries.funnel_request import FunnelRequest
    from queries.question import Scope
    from queries.user import UserRequest

    if row is None:
        return
    scope = of.scope if of is not None else frame.workbench.everything
    unit = scope.unit if scope.unit == "raw" else "user"
    kept = Scope(
        data=scope.data,
        mapping=scope.mapping,
        as_of=scope.as_of,
        tz=scope.tz,
        session_gap=scope.session_gap,
        unit=unit,
    )
    request = UserRequest(user=str(row["user"]), kind=str(row["kind"]), scope=kept)
    funnel = of if isinstance(of, FunnelRequest) else None
    if funnel is None:
        frame.workbench.open_screen("user", request)
    else:
        frame.workbench.open_screen("user", request, funnel=funnel)


SCREEN = PeopleScreen
