"""The edits of the user screen's form: whom, which of their events, around when, in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from screens import user_form as forms
from screens.frame import asking
from screens.frame.form import Form
from screens.user_state import UserState

if TYPE_CHECKING:
    from workbench.widgets.prompt import Completion


class UserEdits(UserState):
    """What changes the question."""

    def edit_who(self) -> None:
        """Asks whom to open: an id, or a condition on an event."""
        asked = self.asked

        def check(text: str) -> str | None:
            outer = self.workbench.everything if asked is None else self.without_span(asked).scope
            return self.change(
                lambda: forms.whom(text, None if asked is None else self.without_span(asked), outer)
            )

        self.prompt.ask(
            "who", "" if asked is None else forms.who_text(asked), check=check, done=lambda _: None,
            complete=forms.recent_people(self), next=lambda: self._edit("events"),
            hint=forms.WHO_HINT,
        )  # fmt: skip

    def edit_events(self) -> None:
        """Asks which events to show."""
        asked = self.asked
        if asked is not None:
            self.prompt.ask(
                "events", forms.events_text(asked.events), done=lambda _: None,
                complete=_last_name(asking.events(self)),
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

    def do_edit(self) -> None:
        """Edits the field in hand; from the timeline, whom it is of."""
        if self.pane:
            self._to_pane(0)
            self._edit("who")
        else:
            super().do_edit()

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


def _last_name(complete: Callable[[str], list[Completion]]) -> Callable[[str], list[Completion]]:
    """Completes the last of several names with ``|`` between."""

    def completed(text: str) -> list[Completion]:
        begun, bar, last = text.rpartition("|")
        return [replace(one, text=begun + bar + one.text) for one in complete(last)]

    return completed
