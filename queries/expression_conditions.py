"""The nodes of an expression that are true or false: comparisons, tests of text, AND, OR and NOT.

Each function compiles the node that it is named after; which node that is says the table of the gate.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from queries.expression_compiler import Compiler
from queries.expression_terms import Term, as_condition
from queries.question import QuestionError
from queries.quoting import quote_literal
from queries.suggest import shown

if TYPE_CHECKING:
    from sqlglot.expressions.core import Expr

COMPARISONS = {
    "eq": ("=", False),
    "neq": ("<>", False),
    "gt": (">", True),
    "gte": (">=", True),
    "lt": ("<", True),
    "lte": ("<=", True),
    "nullsafeeq": ("IS NOT DISTINCT FROM", False),
    "nullsafeneq": ("IS DISTINCT FROM", False),
}
TEXT_TESTS = {"startswith": "starts_with", "endswith": "ends_with", "contains": "contains"}


def connect(compiler: Compiler, node: Expr) -> Term:
    sides: list[Expr] = []
    rest = node
    while rest.key == node.key:
        sides.append(rest.expression)
        rest = rest.this
    conditions = [compiler.condition(side) for side in (rest, *reversed(sides))]
    return Term("(" + f" {node.key.upper()} ".join(conditions) + ")", "boolean")


def negation(compiler: Compiler, node: Expr) -> Term:
    return Term(f"(NOT {compiler.condition(node.this)})", "boolean")


def compare(compiler: Compiler, node: Expr) -> Term:
    sign, ordering = COMPARISONS[node.key]
    (left, right), _ = compiler.alike((compiler.term(node.this), compiler.term(node.expression)), ordering)
    return Term(f"({left} {sign} {right})", "boolean")


def is_test(compiler: Compiler, node: Expr) -> Term:
    term = compiler.term(node.this)
    if node.expression.key == "null":
        return Term(f"({term.sql} IS NULL)", "boolean")
    if node.expression.key == "boolean":
        return Term(f"({as_condition(term)} IS {compiler.term(node.expression).sql})", "boolean")
    raise QuestionError("IS stands before NULL, NOT NULL, TRUE, FALSE or DISTINCT FROM")


def in_list(compiler: Compiler, node: Expr) -> Term:
    items = node.expressions
    if not items:
        raise QuestionError("IN needs a list of values in brackets", "like channel IN ('weixin', 'direct')")
    (left, *values), _ = compiler.alike(
        (compiler.term(node.this), *(compiler.term(item) for item in items)), False
    )
    return Term(f"({left} IN ({', '.join(values)}))", "boolean")


def between(compiler: Compiler, node: Expr) -> Term:
    bounds = (compiler.term(node.this), compiler.term(node.args["low"]), compiler.term(node.args["high"]))
    (value, low, high), _ = compiler.alike(bounds, True)
    return Term(f"({value} BETWEEN {low} AND {high})", "boolean")


def like(compiler: Compiler, node: Expr, escape: str | None = None) -> Term:
    pattern = compiler.text_literal(node.expression, "the pattern of LIKE")
    if (
        escape is not None
        and re.search(rf"^(?:[^{re.escape(escape)}]|{re.escape(escape)}.)*$", pattern, re.S) is None
    ):
        raise QuestionError(f"the pattern {shown(pattern)} ends with its escape character")
    sign = ("NOT " if node.args.get("negate") else "") + node.key.upper()
    tail = "" if escape is None else f" ESCAPE {quote_literal(escape)}"
    return Term(f"({compiler.text(node.this)} {sign} {quote_literal(pattern)}{tail})", "boolean")


def escaped(compiler: Compiler, node: Expr) -> Term:
    inner = node.this
    escape = compiler.text_literal(node.expression, "ESCAPE")
    if inner.key not in ("like", "ilike") or len(escape) != 1 or not escape.isascii():
        raise QuestionError("ESCAPE takes one ASCII character, after LIKE or ILIKE")
    return like(compiler, inner, escape)


def text_test(compiler: Compiler, node: Expr) -> Term:
    sql = f"{TEXT_TESTS[node.key]}({compiler.text(node.this)}, {compiler.text(node.expression)})"
    return Term(sql, "boolean")


def matches(compiler: Compiler, node: Expr) -> Term:
    pattern = quote_literal(compiler.text_literal(node.expression, "the pattern of regexp_matches"))
    flag = node.args.get("flag")
    if flag is None:
        return Term(f"regexp_matches({compiler.text(node.this)}, {pattern})", "boolean")
    flags = compiler.text_literal(flag, "the flags of regexp_matches")
    if not set(flags) <= set("cims"):
        raise QuestionError(f"unknown flags {shown(flags)}", "c, i, m and s are known")
    return Term(f"regexp_matches({compiler.text(node.this)}, {pattern}, {quote_literal(flags)})", "boolean")
