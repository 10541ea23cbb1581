"""Pickers that change a question's scope, and the ways to another screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from queries.question import QuestionError, Request, Scope
from queries.saved import rescoped
from workbench.keys import Action

if TYPE_CHECKING:
    from screens.base import Frame
    from workbench.widgets.prompt import Completion

WHERE = Action("where", ("X",), "where", "Only events for which an expression is true")
WHO = Action("who", ("A",), "who", "Only people for whom a rule is true")

_RANGES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("all", "everything", {}),
    ("1d", "the last day", {"last": "1d"}),
    ("7d", "the last 7 days", {"last": "7d"}),
    ("14d", "the last 14 days", {"last": "14d"}),
    ("30d", "the last 30 days", {"last": "30d"}),
    ("24h", "the last 24 hours", {"last": "24h"}),
    ("1h", "the last hour", {"last": "1h"}),
)
"""Name, what it says, and what it sets."""


def range_text(scope: Scope | None) -> str:
    """The range as the title line tells it."""
    if scope is None:
        return ""
    if scope.last is not None:
        return f"last {scope.last}"
    if scope.since is None and scope.until is None:
        return "all time"
    return f"{scope.since or '…'} to {scope.until or '…'}"


def people_text(scope: Scope | None) -> str:
    """Whom a question is asked of, as the title line tells it."""
    if scope is None:
        return ""
    parts = [f"who {scope.who}"] if scope.who is not None else []
    parts += [f"where {scope.where}"] if scope.where is not None else []
    parts += [f"unit {scope.unit}"] if scope.unit != "user" else []
    return ", ".join(parts) or "everybody"


def rescope(frame: Frame, **changed: Any) -> str | None:
    """Asks the question over another scope; the line to show where it cannot be."""
    request = frame.request
    if request is None:
        return "nothing is asked yet"
    made = replace(request.scope, **changed)
    if not frame.context and not {"since", "until", "last"}.isdisjoint(changed):
        frame.workbench.remember_range(made)
    return frame.change(lambda: rescoped(request, made))


def in_the_range(request: Request, chosen: Scope) -> Request:
    """A question with the range that was chosen last, where it names none itself."""
    scope = request.scope
    if (scope.since, scope.until, scope.last) != (None, None, None):
        return request
    try:
        return rescoped(request, replace(scope, since=chosen.since, until=chosen.until, last=chosen.last))
    except QuestionError:
        # A question that knows no range, as whom the ids make.
        return request


def range_of(frame: Frame) -> None:
    """Lets a range be chosen or written."""
    from workbench.widgets.popup import Choice, Choose

    if frame.request is None:
        frame.say("nothing is asked yet")
        return
    now = range_text(frame.request.scope)
    choices = [Choice(name, said) for name, said, _ in _RANGES]
    choices.append(Choice("own", "from … to …", "dates or times, as 2026-03-01 2026-03-31"))
    choices.append(Choice("last", "the last …", "a span of your own, as 3w or 90m"))

    def chosen(name: str | None) -> None:
        if name is None:
            return
        if name == "own":
            _own_range(frame)
        elif name == "last":
            frame.prompt.ask(
                "the last", "", done=lambda _: None, hint="7d, 2w: days of the calendar; 6h, 90m: rolling",
                check=lambda text: rescope(frame, since=None, until=None, last=text.strip()),
            )  # fmt: skip
        else:
            values = next(values for known, _, values in _RANGES if known == name)
            told = rescope(frame, **{"since": None, "until": None, "last": None, **values})
            if told is not None:
                frame.say(told, "error")

    frame.app.push_screen(Choose(f"range (now {now})", choices), chosen)


def _own_range(frame: Frame) -> None:
    scope = frame.request.scope if frame.request is not None else Scope()

    def check(text: str) -> str | None:
        words = text.replace(" to ", " ").split()
        if len(words) > 2:
            return "two at most: from and to"
        since, until = ([*words, "", ""])[:2]
        return rescope(
            frame,
            last=None,
            since=None if since in ("", "…") else since,
            until=None if until in ("", "…") else until,
        )

    value = f"{scope.since or ''} {scope.until or ''}".strip()
    frame.prompt.ask(
        "from, to", value, check=check, done=lambda _: None, hint="2026-03-01 2026-03-31, or one alone"
    )


def breakdown(frame: Frame) -> None:
    """Lets the property be chosen that breaks the answer down."""
    if frame.request is None:
        frame.say("nothing is asked yet")
        return

    def check(text: str) -> str | None:
        name = text.strip()
        return rescope(frame, by=None if name == "none" else name) if name else None

    frame.prompt.ask(
        "break down by", "", complete=properties(frame), check=check, done=lambda _: None, names=True,
        hint=f"now {frame.request.scope.by or 'none'}; a property, or none",
    )  # fmt: skip


def where_of(frame: Frame) -> None:
    """Lets the filter of events be written."""
    _expression_of(frame, "where", "events for which this is true, as platform = 'app'; empty: all")


def who_of(frame: Frame) -> None:
    """Lets the rule over people be written."""
    _expression_of(frame, "who", "people for whom this is true, as did('order_paid') = 0; empty: everybody")


def _expression_of(frame: Frame, name: str, hint: str) -> None:
    """Lets a part of the scope be written that is an expression."""
    if frame.request is not None:
        frame.prompt.ask(
            name, getattr(frame.request.scope, name) or "", complete=last_word(properties(frame)),
            check=lambda text: rescope(frame, **{name: text.strip() or None}), done=lambda _: None, hint=hint,
        )  # fmt: skip


def unit_of(frame: Frame) -> None:
    """Lets the unit be chosen that is counted."""
    if frame.request is None:
        return
    units = ("user", "raw", "session", "order")
    frame.prompt.ask(
        "unit", "", complete=among([(unit, "") for unit in units]), done=lambda _: None,
        check=lambda text: rescope(frame, unit=text.strip()) if text.strip() else None,
        hint=f"now {frame.request.scope.unit}; user, raw, session, order or a property",
    )  # fmt: skip


def segments(frame: Frame) -> list[tuple[str, str]]:
    """The segments of the workspace, by name, with what each is."""
    file = frame.workbench.workspace
    if file is None:
        return []
    return [(path.stem, "segment") for path in sorted((file.parent / "segments").glob("*.toml"))]


def segment_of(
    frame: Frame, title: str, first: Sequence[tuple[str, str]], chosen: Callable[[str], None]
) -> None:
    """Lets a segment be chosen, or one of what stands before them."""
    from workbench.widgets.popup import Choice, Choose

    choices = [Choice(name, name, told) for name, told in (*first, *segments(frame))]

    def done(name: str | None) -> None:
        if name is not None:
            chosen(name)

    frame.app.push_screen(Choose(title, choices, filtering=len(choices) > 9), done)


# --- completion -----------------------------------------------------------------------------------------------


def among(known: Sequence[tuple[str, str]]) -> Callable[[str], list[Completion]]:
    """Completes one of some names: those that begin so first, then those that hold it."""

    def complete(text: str) -> list[Completion]:
        from workbench.widgets.prompt import Completion

        wanted = text.strip().casefold()
        begin = [one for one in known if one[0].casefold().startswith(wanted)]
        hold = [one for one in known if wanted in one[0].casefold() and one not in begin]
        return [Completion(name, detail) for name, detail in [*begin, *hold]]

    return complete


def properties(frame: Frame) -> Callable[[str], list[Completion]]:
    """Completes a property's name."""
    return among(_catalogue(frame)[1])


def events(frame: Frame) -> Callable[[str], list[Completion]]:
    """Completes an event's name, with how many there are."""
    return among(_catalogue(frame)[0])


def last_word(complete: Callable[[str], list[Completion]]) -> Callable[[str], list[Completion]]:
    """Completes the last word of an expression; nothing inside a text in quotes, or where no word has begun."""

    def completed(text: str) -> list[Completion]:
        from workbench.widgets.prompt import Completion

        start = len(text)
        while start and (text[start - 1].isalnum() or text[start - 1] in "_."):
            start -= 1
        if start == len(text) or text[:start].count("'") % 2:
            return []
        return [Completion(text[:start] + one.text, one.detail) for one in complete(text[start:])]

    return completed


def _catalogue(frame: Frame) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    scope = frame.request.scope if frame.request is not None else frame.workbench.scope
    found = frame.workbench.session.known_catalogue(scope)
    if found is None:
        return [], []
    return [(name, f"{count:,}") for name, count in found.events], list(found.properties)


# --- other screens ---------------------------------------------------------------------------------------------


def screens_of(frame: Frame) -> list[tuple[str, str, str]]:
    """Every screen: its name, the keys that open it, and what it answers."""
    from workbench.app import PINNED

    go = frame.keymap.key_of("go")
    found = []
    for name, letter, told in frame.workbench.available():
        keys = [str(PINNED.index(name))] if name in PINNED else []
        found.append((name, " ".join([*keys, *([f"{go} {letter}"] if letter else [])]), told))
    return found


def go(frame: Frame) -> None:
    """Shows the screens by their letters; the next key opens one, g goes to the first row."""
    from workbench.app import PINNED
    from workbench.widgets.go import TOP, GoTo

    def gone(name: str | None) -> None:
        if name == TOP:
            frame.do_top()
        elif name is not None:
            frame.workbench.open_screen(name)

    screens = [
        (name, letter, f"{PINNED.index(name)}  {told}" if name in PINNED else f"   {told}")
        for name, letter, told in frame.workbench.available()
    ]
    frame.app.push_screen(GoTo(screens, frame.keymap.key_of("go")), gone)


def open_pinned(frame: Frame, number: int) -> None:
    """Opens the screen of a digit."""
    from queries import QUESTIONS
    from workbench.app import PINNED

    name = PINNED[number] if number < len(PINNED) else ""
    if name in QUESTIONS:
        frame.workbench.open_screen(name)
    else:
        frame.say(f"{number}: {name} is not in this version yet" if name else f"{number} is free")
