"""Walks the tree of an expression and has its SQL written anew, refusing every node that is not listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from queries import expression_terms
from queries.expression_terms import Kind, Term, as_condition, as_double, as_text
from queries.question import QuestionError, Schema
from queries.suggest import hint, shown

if TYPE_CHECKING:
    from sqlglot.expressions.core import Expr

Handler = Callable[["Compiler", "Expr"], Term]
Nodes = Mapping[str, tuple[Handler, frozenset[str]]]
"""Every kind of node that is let through: who compiles it, and which arguments it may have."""

FUNCTIONS = (
    "abs", "ceil", "coalesce", "concat", "contains", "dayofweek", "ends_with", "extract", "floor", "greatest",
    "hour", "if", "isodow", "least", "length", "lower", "ltrim", "minute", "month", "nullif", "quarter",
    "regexp_matches", "replace", "round", "rtrim", "second", "starts_with", "substr", "trim", "try_cast",
    "upper", "week", "year",
)  # fmt: skip


class Compiler:
    """Turns one checked tree into SQL, remembering the columns it reads.

    ``schema`` says which columns there are, ``timezone`` is the zone of dates and hours, ``nodes`` lists what
    is let through. Its methods raise QuestionError for everything else.
    """

    def __init__(self, schema: Schema, timezone: str, nodes: Nodes) -> None:
        self.schema = schema
        self.timezone = timezone
        self.columns: set[str] = set()
        self._nodes = nodes

    def term(self, node: Expr) -> Term:
        """The SQL of a node of a kind and with the arguments that are listed; all else is refused."""
        known = self._nodes.get(node.key)
        if known is None:
            raise refusal(node)
        handler, arguments = known
        for name, value in node.args.items():
            if name in arguments or value is None or value is False or value == []:
                continue
            if name == "query":
                raise refusal(value)
            raise QuestionError(f"{_said(node)} cannot have {shown(name)} here")
        return handler(self, node)

    def condition(self, node: Expr) -> str:
        """A node as a condition."""
        return as_condition(self.term(node))

    def text(self, node: Expr) -> str:
        """A node as text."""
        return as_text(self.term(node))

    def double(self, node: Expr) -> str:
        """A node as a DOUBLE."""
        return as_double(self.term(node))

    def alike(self, terms: Iterable[Term], ordering: bool) -> tuple[list[str], Kind]:
        """Terms that meet in one operation, all as one kind."""
        return expression_terms.alike(terms, ordering, self.timezone)

    def as_time(self, term: Term) -> str:
        """A term as a time."""
        return expression_terms.as_time(term, self.timezone)

    def text_literal(self, node: Expr, what: str) -> str:
        """The text of a node that must be a text in single quotes."""
        term = self.term(node)
        if term.kind != "text" or term.literal is None:
            raise QuestionError(f"{what} is a text in single quotes")
        return term.literal

    def whole_number(self, node: Expr, what: str) -> int:
        """The value of a node that must be a whole number, at most a million."""
        term = self.term(node)
        if term.kind != "integer" or term.literal is None or abs(int(term.literal)) > 1_000_000:
            raise QuestionError(f"a number {what} is a whole number, at most a million")
        return int(term.literal)


def refusal(node: Expr) -> QuestionError:
    """Why a node is not let through, in the words of who wrote it."""
    from sqlglot import exp

    if isinstance(node, (exp.Query, exp.Subquery, exp.Exists, exp.Any, exp.All)):
        return QuestionError("a subquery in an expression", "compare properties with values")
    if isinstance(node, exp.Window):
        return QuestionError("a window function in an expression", "an expression reads one event")
    if isinstance(node, exp.Star):
        return QuestionError("* stands for no property", "name the property")
    if node.key in ("placeholder", "parameter", "sessionparameter", "positionalcolumn"):
        return QuestionError("a parameter in an expression", "write the value: channel = 'weixin'")
    if node.key.startswith("current"):
        return QuestionError("an expression does not read the clock", "write the date: ts >= '2026-03-01'")
    if isinstance(node, exp.AggFunc):
        return QuestionError(f"{_said(node)} adds up events", "an expression reads one event")
    if isinstance(node, exp.Func):
        name = node.name if isinstance(node, exp.Anonymous) else node.sql_name().lower()
        listed = hint(name, FUNCTIONS) or f"there are {', '.join(FUNCTIONS)}"
        return QuestionError(f"unknown function {shown(name)}", listed)
    return QuestionError(f"{_said(node)} is not part of an expression", "compare properties with values")


def _said(node: Expr) -> str:
    """A node as a message names it."""
    return shown(node.key.upper())
