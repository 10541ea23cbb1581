"""Requests from what was saved of them (a report file, the ``request`` of a JSON answer), past the usual gates.

Whoever wrote the file may be anybody: every key is known or refused, every value has its type, and texts go
through the same readers as those of the command line.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import cast

from queries import QUESTIONS
from queries.question import EVERYTHING, PeopleRequest, QuestionError, Request, Scope
from queries.suggest import ask, did_you_mean, shown

USERS = "users"
"""The key that makes a list of people of a question: the cell."""
SCOPE_KEYS = tuple(EVERYTHING.to_dict())
_FIELDS = {"from": "since", "to": "until"}
"""Keys of the scope that are words of Python, and the fields they fill."""


class SavedError(QuestionError):
    """A saved request that cannot be asked; ``key`` names the value at fault, None where it is the whole."""

    def __init__(self, key: str | None, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.key = key


class Saved:
    """A saved request read key by key; what is absent or null has its default.

    Raises :class:`SavedError` for a key that is not among the ``known`` ones and for a value of another type.
    """

    def __init__(self, values: Mapping[str, object], known: Sequence[str]) -> None:
        for key in values:
            if key not in known:
                near = did_you_mean(key, known)
                raise SavedError(
                    key, f"unknown key {shown(key)}", ask(near) if near else f"it has: {', '.join(known)}"
                )
        self._values = {key: value for key, value in values.items() if value is not None}

    def text(self, key: str) -> str | None:
        """A text that is not empty, or None."""
        value = self._values.get(key)
        if value is not None and not (isinstance(value, str) and value.strip()):
            raise SavedError(key, f"{key} must be text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty where the key is missing; one text is a list of one."""
        value = self._values.get(key, [])
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(one, str) and one.strip() for one in texts):
            raise SavedError(key, f"{key} must be a list of texts")
        return tuple(texts)

    def integer(self, key: str) -> int | None:
        """A whole number from 1 on, or None."""
        value = self._values.get(key)
        if value is not None and (not _whole(value) or cast(int, value) < 1):
            raise SavedError(key, f"{key} must be a whole number from 1 on")
        return cast("int | None", value)

    def integers(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers, empty where the key is missing."""
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(_whole(one) for one in value):
            raise SavedError(key, f"{key} must be a list of whole numbers")
        return tuple(value)

    def flag(self, key: str) -> bool:
        """True or false; false where the key is missing."""
        value = self._values.get(key, False)
        if not isinstance(value, bool):
            raise SavedError(key, f"{key} must be true or false")
        return value

    def pairs(self, key: str) -> dict[str, str]:
        """A table of texts by name, empty where the key is missing."""
        value = self._values.get(key, {})
        if not isinstance(value, dict) or not all(
            isinstance(part, str) for pair in value.items() for part in pair
        ):
            raise SavedError(key, f'{key} must be a table of texts, like {{ "2" = "1h" }}')
        return value

    def scope(self) -> Scope:
        """Which data, which time, which people."""
        found: dict[str, object] = {}
        defaults = {field.name: field.default for field in fields(Scope)}
        for key in SCOPE_KEYS:
            if key not in self._values:
                continue
            name = _FIELDS.get(key, key)
            read: Callable[[str], object] = self.text
            if isinstance(defaults[name], bool):
                read = self.flag
            elif isinstance(defaults[name], tuple):
                read = self.texts
            elif isinstance(defaults[name], int):
                read = self.integer
            found[name] = read(key)
        return Scope(**found)  # type: ignore[arg-type]


@contextmanager
def reading(key: str) -> Iterator[None]:
    """Gives an error of a reader of texts the key whose text it read."""
    try:
        yield
    except SavedError:
        raise
    except QuestionError as error:
        raise SavedError(key, error.message, error.hint) from error


def savable() -> tuple[str, ...]:
    """The reports whose requests can be saved."""
    return tuple(name for name, question in QUESTIONS.items() if question.request)


def request_of(report: str, saved: Mapping[str, object]) -> Request:
    """The request of a report; with the key ``users``, that of the people of a cell.

    Raises :class:`SavedError`, or :class:`QuestionError` for values that cannot stand together.
    """
    known = savable()
    if report not in known:
        near = did_you_mean(report, known)
        hint = ask(near) if near else f"one of {', '.join(known)}"
        raise SavedError(None, f"no report that can be saved: {shown(report)}", hint)
    module, _, name = QUESTIONS[report].request.partition(":")
    make: Callable[[Mapping[str, object]], Request] = getattr(importlib.import_module(module), name)
    request = make({key: value for key, value in saved.items() if key != USERS})
    cell = Saved({USERS: saved.get(USERS)}, (USERS,)).text(USERS)
    if cell is None:
        return request
    with reading(USERS):
        return PeopleRequest(request, cell)


def to_save(request: Request) -> dict[str, object]:
    """What of a request differs from its defaults: :func:`request_of` makes the request of it again."""
    saved = request.to_dict()
    needed = {key: saved[key] for key in QUESTIONS[request.report].needed}
    defaults = request_of(request.report, needed).to_dict()
    return {
        key: value
        for key, value in saved.items()
        if (key in needed and value is not None) or value != defaults.get(key)
    }


def rescoped(request: Request, scope: Scope) -> Request:
    """The same question over another scope."""
    if isinstance(request, PeopleRequest):
        return PeopleRequest(rescoped(request.of, scope), request.cell)
    changed: Request = replace(request, scope=scope)  # type: ignore[type-var]
    return changed


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
