"""What an expression compares: pieces of SQL that know their kind, and how unlike kinds are made alike."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from queries import ranges
from queries.question import QuestionError
from queries.quoting import quote_literal
from queries.suggest import shown

Kind = Literal["text", "id", "json", "integer", "number", "boolean", "time", "null"]


@dataclass(frozen=True, slots=True)
class Term:
    """A piece of SQL and how it compares: ``number`` is DOUBLE, ``json`` the text of a key, not yet typed."""

    sql: str
    kind: Kind
    literal: str | None = None
    """The text of a literal, so that the other side may decide what it is."""
    grows: bool = False
    """Holds a replacement that makes text longer; a second one inside it would multiply."""


WORDS: dict[Kind, str] = {
    "text": "text",
    "id": "text",
    "json": "text",
    "integer": "number",
    "number": "number",
    "boolean": "condition",
    "time": "time",
    "null": "null",
}
NUMERIC: frozenset[Kind] = frozenset({"integer", "number"})
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TRUTH = {"true": "TRUE", "false": "FALSE", "1": "TRUE", "0": "FALSE"}

TIME_HINT = "compare a time with a date or time: ts >= '2026-03-01 10:00', or take its hour(ts)"
_ID_HINT = "write TRY_CAST(user_id AS BIGINT) > 100"


def number_term(text: str) -> Term:
    """A number as it was written: a BIGINT where it is one, else a DOUBLE."""
    if not _NUMBER.fullmatch(text):
        raise QuestionError(f"{shown(text)} is no number")
    if text.lstrip("+-").isdigit() and len(text) <= 20 and -(2**63) < int(text) < 2**63:
        return Term(quote_literal(int(text)), "integer", literal=text)
    value = float(text)
    if not math.isfinite(value):
        raise QuestionError(f"{shown(text)} is too large")
    return Term(quote_literal(value), "number", literal=text)


def alike(terms: Iterable[Term], ordering: bool, timezone: str) -> tuple[list[str], Kind]:
    """The SQL of terms that meet in one operation, all as one kind, and that kind.

    ``ordering`` says that they are compared by size; ``timezone`` is the zone of dates. This and what follows
    raise QuestionError where a term cannot be what it should.
    """
    terms = list(terms)
    kinds = {term.kind for term in terms} - {"null"}
    if "time" in kinds:
        return [as_time(term, timezone) for term in terms], "time"
    if "boolean" in kinds:
        if ordering:
            raise QuestionError("a condition is neither larger nor smaller", "compare it with = or <>")
        return [as_truth(term) for term in terms], "boolean"
    if "id" in kinds:
        if ordering and kinds & NUMERIC:
            raise QuestionError("an id is text, and text has no order among numbers", _ID_HINT)
        return [as_text(term) for term in terms], "id"
    bare_keys = kinds == {"json"} and ordering and len(terms) > 1
    if kinds & NUMERIC or bare_keys:
        kind: Kind = "integer" if kinds == {"integer"} else "number"
        return [as_number(term) for term in terms], kind
    if kinds == {"json"}:
        return [term.sql for term in terms], "json"
    return [as_text(term) for term in terms], "text" if kinds else "null"


def as_text(term: Term) -> str:
    """A term as text; a literal as it was written."""
    if term.kind in ("text", "id", "json", "null"):
        return term.sql
    if term.kind == "time":
        raise QuestionError("a time stands where text should", TIME_HINT)
    if term.literal is not None:
        return quote_literal(term.literal)
    return f"CAST({term.sql} AS VARCHAR)"


def as_number(term: Term) -> str:
    """A term as a BIGINT or a finite DOUBLE; text that is no number is NULL."""
    if term.kind in ("integer", "number", "null"):
        return term.sql
    if term.kind in ("boolean", "time"):
        raise QuestionError(f"a {WORDS[term.kind]} stands where a number should")
    if term.literal is not None:
        if not _NUMBER.fullmatch(term.literal.strip()):
            raise QuestionError(f"{shown(term.literal)} is compared with a number and is none")
        return number_term(term.literal.strip()).sql
    # Nested, not repeated: SQL that names its argument twice would double with every level.
    number = f"TRY_CAST({term.sql} AS DOUBLE)"
    for word in ("NaN", "Infinity", "-Infinity"):
        number = f"nullif({number}, CAST('{word}' AS DOUBLE))"
    return number


def as_double(term: Term) -> str:
    """A term as a finite DOUBLE, as arithmetic takes it."""
    number = as_number(term)
    if term.kind == "integer":
        if term.literal is not None:
            return quote_literal(float(term.literal))
        return f"CAST({number} AS DOUBLE)"
    if term.literal is not None:
        return quote_literal(float(term.literal.strip()))
    return f"CAST({number} AS DOUBLE)" if term.kind == "null" else number


def as_truth(term: Term) -> str:
    """A term as what is compared with a condition."""
    if term.kind in ("boolean", "json", "null"):
        return as_condition(term)
    if term.literal is not None:
        truth = _TRUTH.get(term.literal.strip().casefold())
        if truth is None:
            raise QuestionError(f"{shown(term.literal)} is compared with true or false and is neither")
        return truth
    if term.kind in ("text", "id"):
        return f"TRY_CAST({term.sql} AS BOOLEAN)"
    raise QuestionError(f"a {WORDS[term.kind]} is compared with true or false")


def as_time(term: Term, timezone: str) -> str:
    """A term as UTC ms; a date or time in quotes is read in the zone."""
    if term.kind in ("time", "null"):
        return term.sql
    if term.kind == "text" and term.literal is not None:
        return quote_literal(ranges.parse_start(term.literal, ranges.zone(timezone), "the time"))
    raise QuestionError(f"a time is compared with a {WORDS[term.kind]}", TIME_HINT)


def as_condition(term: Term) -> str:
    """A term as SQL that is true, false or NULL."""
    if term.kind in ("boolean", "null"):
        return term.sql
    if term.kind == "json":
        return f"CASE {term.sql} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END"
    raise QuestionError(
        f"a {WORDS[term.kind]} stands where a condition should", "compare it, like amount > 0"
    )
