"""The form of one person's timeline: texts as people write them into a request, and a request as texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from queries.question import QuestionError, Scope
from queries.steps import Step, parse_step
from queries.user import UserRequest

if TYPE_CHECKING:
    from screens.base import Frame
    from workbench.widgets.prompt import Completion

ORDERS: dict[str, tuple[str, bool, bool]] = {
    "newest days": ("days newest first, each from its beginning", False, False),
    "oldest days": ("days oldest first: one long story", True, False),
    "newest events": ("everything newest first", False, True),
    "days turned": ("days oldest first, each from its end", True, True),
}
"""Name → what it says, ``--oldest``, ``--newest``."""
WHO_HINT = "an id, or order_id = 'o123'; --kind KIND ID where several share one"
_SIGNS = re.compile(r"[=<>]|\b(?:is|in|like|ilike|between)\b", re.IGNORECASE)


def is_condition(text: str) -> bool:
    """Whether a text reads as a condition on an event and not as an id."""
    if _SIGNS.search(text) is None:
        return False
    from queries.expression import parse

    try:
        parse(text)
    except QuestionError:
        return False
    return True


def whom(text: str, before: UserRequest | None, scope: Scope) -> UserRequest:
    """The request for whomever a text names; what is shown of the timeline stays as it was.

    ``--kind KIND ID`` says of which kind an id is, ``-- ID`` that it is one though it reads as a condition.
    Raises QuestionError for a text that names nobody.
    """
    wanted, kind, find = text.strip(), None, None
    if wanted.startswith("--kind"):
        parts = wanted.split(None, 2)
        if len(parts) < 3:
            raise QuestionError("--kind says what kind of id is given", "--kind anonymous_id d42")
        kind, wanted = parts[1], parts[2]
    elif wanted.startswith("-- "):
        wanted = wanted[3:].strip()
    elif is_condition(wanted):
        find = wanted
    own = replace(scope, by=None, unit=scope.unit if scope.unit == "raw" else "user")
    own = own if find is not None else replace(own, who=None)
    who = {"user": None if find else wanted, "kind": kind, "find": find, "scope": own}
    if before is None:
        return UserRequest(**who)  # type: ignore[arg-type]
    return replace(before, **who)  # type: ignore[arg-type]


def who_text(request: UserRequest) -> str:
    """Whom a request names, as :func:`whom` reads it."""
    if request.find is not None:
        return request.find
    name = str(request.user)
    if request.kind is not None:
        return f"--kind {request.kind} {name}"
    return f"-- {name}" if name.startswith("-") or is_condition(name) else name


def events_of(text: str) -> tuple[str, ...]:
    """The names of events in ``EVENT[|EVENT…]``; none for an empty text. Raises QuestionError."""
    if not text.strip():
        return ()
    step = parse_step(text)
    if step.condition is not None:
        raise QuestionError("names of events alone", "a condition goes into match")
    return step.events


def events_text(names: tuple[str, ...]) -> str:
    """Names as :func:`events_of` reads them."""
    return str(Step(names)) if names else ""


def order_name(request: UserRequest) -> str:
    """The name of the order in force."""
    return next(
        name
        for name, (_, oldest, newest) in ORDERS.items()
        if (oldest, newest) == (request.oldest, request.newest)
    )


def recent_people(frame: Frame) -> Callable[[str], list[Completion]]:
    """Completes with the people opened before, the last one first."""
    from workbench.history import recent
    from workbench.widgets.prompt import Completion

    found: dict[str, str] = {}
    for one in recent(frame.workbench.workspace):
        if isinstance(one.request, UserRequest):
            found.setdefault(who_text(one.request), one.when)

    def complete(text: str) -> list[Completion]:
        wanted = text.strip().casefold()
        return [
            Completion(name, when)
            for name, when in found.items()
            if name.casefold().startswith(wanted) and name != text
        ]

    return complete
