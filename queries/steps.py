"""A funnel's step as people write it: ``EVENT[|EVENT…][: EXPR]``."""

from __future__ import annotations

from dataclasses import dataclass

from queries.expression import compile_condition
from queries.question import QuestionError, Schema
from queries.quoting import quote_literal

_SPECIAL = frozenset('|:@"')


@dataclass(frozen=True, slots=True)
class Step:
    """Events that count as the step, all under one optional condition."""

    events: tuple[str, ...]
    condition: str | None = None

    def __str__(self) -> str:
        """The text that parses to this step again."""
        names = "|".join(_quoted(name) for name in self.events)
        return names if self.condition is None else f"{names}: {self.condition}"


def _quoted(name: str) -> str:
    if _SPECIAL.isdisjoint(name) and name == name.strip():
        return name
    return '"' + name.replace('"', '""') + '"'


def parse_step(text: str) -> Step:
    """Reads ``EVENT[|EVENT…][: EXPR]``; a name with ``|``, ``:`` or ``@`` stands in double quotes.

    Raises :class:`QuestionError` when a name is missing or a quote is not closed.
    """
    names: list[str] = []
    position, condition = 0, None
    while True:
        name, position = _name(text, position)
        if name in names:
            raise QuestionError(f"step {text!r} names the event {name!r} twice")
        names.append(name)
        if position == len(text):
            break
        separator = text[position]
        position += 1
        if separator == ":":
            condition = text[position:].strip()
            if not condition:
                raise QuestionError(
                    f"step {text!r} ends after the colon", "write a condition after it, or quote the name"
                )
            break
    return Step(tuple(names), condition)


def _name(text: str, start: int) -> tuple[str, int]:
    """One event name from ``start`` and the position of the separator behind it (or the end)."""
    position = start
    while position < len(text) and text[position] == " ":
        position += 1
    if position < len(text) and text[position] == '"':
        return _quoted_name(text, position)
    end = position
    while end < len(text) and text[end] not in "|:":
        end += 1
    name = text[position:end].strip()
    if not name:
        raise QuestionError(
            f"step {text!r} lacks an event name", 'write EVENT, EVENT|EVENT or "EVENT: CONDITION"'
        )
    return name, end


def _quoted_name(text: str, start: int) -> tuple[str, int]:
    name, position = "", start + 1
    while position < len(text):
        if text[position] != '"':
            name += text[position]
            position += 1
        elif text[position + 1 : position + 2] == '"':
            name += '"'
            position += 2
        else:
            break
    else:
        raise QuestionError(f"step {text!r} opens a quote and does not close it")
    position += 1
    while position < len(text) and text[position] == " ":
        position += 1
    if position < len(text) and text[position] not in "|:":
        raise QuestionError(f"step {text!r}: expected | or : after the quoted name")
    if not name:
        raise QuestionError(f"step {text!r} lacks an event name")
    return name, position


def matches(step: Step, schema: Schema, timezone: str) -> str:
    """The condition, as SQL over ``events``, for an event to count as the step."""
    named = " OR ".join(f"event = {quote_literal(name)}" for name in step.events)
    if step.condition is None:
        return named
    condition = compile_condition(step.condition, schema, timezone=timezone).sql
    return f"({named}) AND ({condition})"
