"""What may come next while a step, an exclusion or a condition is written: events, properties, values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from queries.quoting import quote_literal
from queries.steps import Step
from screens.funnel_options import split
from workbench.widgets.prompt import Completion

Known = Sequence[tuple[str, str]]
"""Names with a word about each."""
VALUES = 50
"""Values of a property that are offered, the most frequent."""

_NAME = r'(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<bare>[^\W\d][\w.]*))'
_BEFORE_VALUE = re.compile(
    _NAME + r"\s*(?:=|<>|!=|(?P<in>\bin\s*\(\s*(?:'(?:[^']|'')*'\s*,\s*)*))\s*(?P<begun>'(?:[^']|'')*|)$",
    re.IGNORECASE,
)
_BEFORE_EVENT = re.compile(r"\b(?:first_)?did\s*\(\s*(?P<begun>'(?:[^']|'')*)$", re.IGNORECASE)
_WORD = re.compile(r'(?:"[^"]*|[\w.]+)$')
_PLAIN = re.compile(r"[^\W\d]\w*(?:\.\w+)*")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The values of a property, in some events, that an expression goes on with."""

    name: str
    events: tuple[str, ...] = ()
    """Empty: in all of them."""

    @property
    def where(self) -> str | None:
        """The condition on events."""
        return f"event in ({', '.join(map(quote_literal, self.events))})" if self.events else None


Values = Callable[[Wanted], Known]
"""The values there are, as far as they are known by now."""


def step(text: str, events: Known, properties: Known, values: Values) -> list[Completion]:
    """Ways to go on with ``EVENT[|EVENT…][: EXPR]``."""
    head, mark, rule = _cut(text)
    if mark:
        names = tuple(_unquoted(name) for name in split(head, "|") if name)
        return [_behind(head + mark, one) for one in condition(rule, properties, values, names)]
    parts = split(head, "|")
    begun, before = parts[-1], "|".join(parts[:-1]) + ("|" if len(parts) > 1 else "")
    written = [(str(Step((name,))), detail) for name, detail in events]
    wanted = begun.strip('"').casefold()
    first = [one for one in written if one[0].strip('"').casefold().startswith(wanted)]
    rest = [one for one in written if wanted in one[0].casefold() and one not in first]
    return [Completion(before + name, detail) for name, detail in [*first, *rest]]


def exclusions(text: str, events: Known, properties: Known, values: Values) -> list[Completion]:
    """Ways to go on with a list of exclusions: with its last one."""
    parts = split(text, ";")
    before = "; ".join(parts[:-1]) + ("; " if len(parts) > 1 else "")
    return [_behind(before, one) for one in step(parts[-1], events, properties, values)]


def condition(text: str, properties: Known, values: Values, events: tuple[str, ...] = ()) -> list[Completion]:
    """Ways to go on with an expression: a value behind a comparison, else a property's name."""
    found = _BEFORE_VALUE.search(text)
    if found is not None and not _in_text(text[: found.start()]):
        name = found["bare"] or (found["quoted"] or "").replace('""', '"')
        return _values(text, found["begun"], values(Wanted(name, events)))
    begun = _WORD.search(text)
    if begun is None or _in_text(text[: begun.start()]):
        return []
    wanted, before = begun[0].lstrip('"').casefold(), text[: begun.start()]
    first = [one for one in properties if one[0].casefold().startswith(wanted)]
    rest = [one for one in properties if wanted in one[0].casefold() and one not in first]
    return [Completion(before + _property(name), detail) for name, detail in [*first, *rest]]


def rule(text: str, events: Known, properties: Known, values: Values) -> list[Completion]:
    """Ways to go on with a rule over people: an event inside ``did('``, else as in a condition."""
    found = _BEFORE_EVENT.search(text)
    if found is not None and not _in_text(text[: found.start()]):
        return _values(text, found["begun"], events)
    return condition(text, properties, values)


def _values(text: str, begun: str, known: Known) -> list[Completion]:
    wanted = begun[1:].replace("''", "'").casefold()
    before = text[: len(text) - len(begun)]
    return [
        Completion(before + quote_literal(value), detail)
        for value, detail in known
        if value.casefold().startswith(wanted)
    ]


def _cut(text: str) -> tuple[str, str, str]:
    """The names, the colon behind them, and the condition."""
    quoted = False
    for place, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif char == ":" and not quoted:
            return text[:place], ":", text[place + 1 :]
    return text, "", ""


def _behind(before: str, one: Completion) -> Completion:
    return Completion(before + one.text, one.detail)


def _unquoted(name: str) -> str:
    bare = name.strip()
    return bare[1:-1].replace('""', '"') if len(bare) > 1 and bare[0] == bare[-1] == '"' else bare


def _property(name: str) -> str:
    """A property as an expression names it."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _in_text(text: str) -> bool:
    return text.count("'") % 2 == 1
