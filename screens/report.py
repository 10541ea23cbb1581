"""The screen of every question that has none of its own: its answer as a table, its request as a form."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from queries import QUESTIONS
from queries.check import CheckRequest
from queries.question import QuestionError, Request, Scope
from queries.quoting import quote_literal
from screens.base import Door, Frame
from screens.frame import asking
from screens.frame.form import Field
from screens.people import open_person
from workbench.session import Answer

_NAMES = ("data", "mapping", "from", "to", "last", "as_of", "tz", "session_gap")
"""Parts of a request that have keys of their own, or stay as they are."""


class ReportScreen(Frame):
    """One question's answer as a table."""

    local_actions = (asking.WHERE, asking.WHO)

    @classmethod
    def of(cls, name: str) -> type[ReportScreen]:
        """The screen of a question."""
        return type(f"{name.title()}Screen", (cls,), {"question": name})

    def first_request(self) -> Request | None:
        """The question with nothing said, where it can be asked so."""
        question = QUESTIONS[self.question]
        if question.needed:
            return None
        try:
            return self._made({})
        except QuestionError:
            return None

    def ask(self, request: Request, *, remember: bool = True, anew: bool = False) -> None:
        """Asks; of the checks all that were made, as their command answers to programs."""
        if isinstance(request, CheckRequest) and not request.all:
            request = replace(request, all=True)
        super().ask(request, remember=remember, anew=anew)

    def _made(self, saved: dict[str, object]) -> Request:
        module, _, function = QUESTIONS[self.question].request.partition(":")
        made: Request = getattr(importlib.import_module(module), function)(saved)
        return self.workbench.scoped(made)

    def form(self) -> Sequence[Field]:
        """Every part of the request that its command has an option for."""
        if self.request is None:
            return ()
        without = {*_NAMES, *({"by", "top"} - self._options())}
        return [
            Field(
                name,
                name.replace("_", " "),
                _text(value),
                self._editor(name),
                _text(value) in ("", "none", "no"),
            )
            for name, value in self.request.to_dict().items()
            if name not in without
        ]

    def _options(self) -> set[str]:
        """The names of the command's options."""
        from workbench.cli import COMMANDS

        command = importlib.import_module(COMMANDS[self.question][0]).command
        return {str(parameter.name) for parameter in command.params}

    def why_not(self, name: str) -> str | None:
        """What the command has no option for cannot be asked here either."""
        if name == "breakdown" and "by" not in self._options():
            return f"{self.question} is not broken down: a funnel is"
        return super().why_not(name)

    def short_form(self) -> Sequence[str]:
        """What is not as usual."""
        fields = self.form()
        if self.request is None:
            return [QUESTIONS[self.question].summary]
        usual = {"unit": "user", "top": "10"}
        said = [field for field in fields if not field.is_default and field.text != usual.get(field.name)]
        return [
            "  ".join(f"{field.label} {field.text}" for field in said) or QUESTIONS[self.question].summary
        ]

    def _editor(self, name: str) -> Any:
        return lambda: self._edit(name)

    def _edit(self, name: str) -> None:
        if self.request is None:
            return
        saved = self.request.to_dict()
        complete = asking.last_word(asking.properties(self)) if name in ("where", "who", "match") else None
        if name in ("by", "show", "name"):
            complete = asking.properties(self)
        self.prompt.ask(
            name.replace("_", " "), "" if saved[name] is None else _text(saved[name]), complete=complete,
            check=lambda text: self.change(lambda: self._made({**saved, name: _value(saved[name], text)})),
            done=lambda _: None,
        )  # fmt: skip

    def door(self) -> Door | None:
        """The people with what a check found."""
        row = self.grid.current_row()
        if self.question != "check" or row is None or not row["users"]:
            return None
        return Door(str(row["check"]), f"with {row['check']}")

    def empty_text(self, answer: Answer) -> str:
        """A check that finds nothing has looked."""
        checks = answer.result.totals.get("checks")
        if self.question == "check" and isinstance(checks, int):
            return f"nothing found in {checks} checks"
        return super().empty_text(answer)

    def people_answer(self) -> Answer | None:
        """Rows that name people can be saved as a segment."""
        return self.answer if self.question == "users" else None

    def open_row(self) -> None:
        """A person's timeline where the row is a person, the people of an event, else everything the row holds."""
        row = self.grid.current_row()
        if row is not None and "user" in row and "kind" in row:
            open_person(self, row, self.request)
        elif row is not None and self.question == "events" and self.request is not None:
            self.workbench.open_screen("users", _people_of_event(str(row["event"]), self.request.scope))
        else:
            self.do_details()


SCREEN = ReportScreen


def _people_of_event(event: str, scope: Scope) -> Request:
    """Everybody with such an event in the scope: as many as the row counts."""
    from queries.users import UsersRequest

    condition = f"event = {quote_literal(event)}"
    where = condition if scope.where is None else f"({scope.where}) AND {condition}"
    unit = scope.unit if scope.unit == "raw" else "user"
    return UsersRequest(scope=replace(scope, where=where, unit=unit))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value))
    return "none" if value is None else str(value)


def _value(before: object, text: str) -> object:
    if isinstance(before, bool):
        return text.strip().lower() in ("yes", "y", "true", "1")
    if isinstance(before, list | tuple):
        return [part.strip() for part in text.split(";") if part.strip()]
    if isinstance(before, int):
        return int(text) if text.strip().isdecimal() else text
    return text.strip() or None
