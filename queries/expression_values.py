"""The nodes of an expression that are values: literals, arithmetic, choices, text, casts, parts of times.

Each function compiles the node that it is named after; which node that is says the table of the gate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queries.expression_compiler import Compiler
from queries.expression_terms import (
    NUMERIC,
    TIME_HINT,
    Kind,
    Term,
    as_condition,
    as_double,
    as_number,
    as_text,
    number_term,
)
from queries.expression_time import wall_clock
from queries.question import QuestionError
from queries.quoting import quote_literal
from queries.suggest import shown

if TYPE_CHECKING:
    from sqlglot.expressions.core import Expr

ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "div": "/", "mod": "%"}
TEXT_FUNCTIONS = {"lower": "lower", "upper": "upper"}
NUMBER_FUNCTIONS = {"abs": "abs", "floor": "floor", "ceil": "ceil"}
CHOICES = {"coalesce": "coalesce", "greatest": "greatest", "least": "least", "nullif": "nullif"}
_CASTS: dict[str, tuple[str, Kind]] = {
    **dict.fromkeys(("TEXT", "VARCHAR", "CHAR", "NVARCHAR"), ("VARCHAR", "text")),
    **dict.fromkeys(("INT", "BIGINT", "SMALLINT", "TINYINT"), ("BIGINT", "integer")),
    **dict.fromkeys(("DOUBLE", "FLOAT", "DECIMAL"), ("DOUBLE", "number")),
    "BOOLEAN": ("BOOLEAN", "boolean"),
}
_TIME_CASTS = frozenset({"DATE", "DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMPNTZ", "TIMESTAMPLTZ"})
TIME_PARTS = {
    **{
        name: name
        for name in ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "isodow")
    },
    "dayofmonth": "day",
    "dayofweek": "dow",
    "dow": "dow",
    "dayofweekiso": "isodow",
}


def literal(compiler: Compiler, node: Expr) -> Term:
    text = str(node.this)
    if node.args.get("is_string"):
        return Term(quote_literal(text), "text", literal=text)
    return number_term(text)


def constant(compiler: Compiler, node: Expr) -> Term:
    if node.key == "null":
        return Term("NULL", "null")
    return Term(quote_literal(bool(node.this)), "boolean")


def paren(compiler: Compiler, node: Expr) -> Term:
    return compiler.term(node.this)


def calculate(compiler: Compiler, node: Expr) -> Term:
    left, right = compiler.double(node.this), compiler.double(node.expression)
    if node.key in ("div", "mod"):
        right = f"nullif({right}, 0e0)"
    return Term(f"({left} {ARITHMETIC[node.key]} {right})", "number")


def negative(compiler: Compiler, node: Expr) -> Term:
    term = compiler.term(node.this)
    if term.kind in NUMERIC and term.literal is not None:
        return number_term(term.literal[1:] if term.literal.startswith("-") else f"-{term.literal}")
    return Term(f"(- {as_double(term)})", "number")


def case(compiler: Compiler, node: Expr) -> Term:
    branches = node.args["ifs"]
    tests = [compiler.term(branch.this) for branch in branches]
    head = ""
    if node.this is None:
        conditions = [as_condition(test) for test in tests]
    else:
        (subject, *conditions), _ = compiler.alike((compiler.term(node.this), *tests), False)
        head = f"{subject} "
    results = [compiler.term(branch.args["true"]) for branch in branches]
    return _branches(compiler, conditions, results, node.args.get("default"), head)


def if_else(compiler: Compiler, node: Expr) -> Term:
    condition = compiler.condition(node.this)
    return _branches(compiler, [condition], [compiler.term(node.args["true"])], node.args.get("false"))


def _branches(
    compiler: Compiler, conditions: list[str], results: list[Term], default: Expr | None, head: str = ""
) -> Term:
    rest = Term("NULL", "null") if default is None else compiler.term(default)
    (*values, last), kind = compiler.alike((*results, rest), False)
    cases = " ".join(f"WHEN {when} THEN {then}" for when, then in zip(conditions, values, strict=True))
    return Term(f"CASE {head}{cases} ELSE {last} END", kind, grows=any(t.grows for t in (*results, rest)))


def choose(compiler: Compiler, node: Expr) -> Term:
    others = [node.expression] if node.key == "nullif" else node.expressions
    terms = [compiler.term(item) for item in (node.this, *others)]
    values, kind = compiler.alike(terms, node.key in ("greatest", "least"))
    return Term(f"{CHOICES[node.key]}({', '.join(values)})", kind, grows=any(t.grows for t in terms))


def change(compiler: Compiler, node: Expr) -> Term:
    term = compiler.term(node.this)
    return Term(f"{TEXT_FUNCTIONS[node.key]}({as_text(term)})", "text", grows=term.grows)


def trim(compiler: Compiler, node: Expr) -> Term:
    term = compiler.term(node.this)
    function = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position")), "trim")
    letters = "" if node.expression is None else f", {compiler.text(node.expression)}"
    return Term(f"{function}({as_text(term)}{letters})", "text", grows=term.grows)


def length(compiler: Compiler, node: Expr) -> Term:
    return Term(f"length({compiler.text(node.this)})", "integer")


def substring(compiler: Compiler, node: Expr) -> Term:
    bounds = [node.args[name] for name in ("start", "length") if node.args.get(name) is not None]
    numbers = ", ".join(str(compiler.whole_number(bound, "of substr")) for bound in bounds)
    term = compiler.term(node.this)
    return Term(f"substr({as_text(term)}, {numbers})", "text", grows=term.grows)


def replace(compiler: Compiler, node: Expr) -> Term:
    term = compiler.term(node.this)
    search = compiler.text_literal(node.expression, "what replace looks for")
    replacement = node.args.get("replacement")
    by = "" if replacement is None else compiler.text_literal(replacement, "what replace puts there")
    grows = len(by) > len(search)
    if grows and term.grows:
        raise QuestionError("a replace that makes text longer inside another one", "use one of them")
    sql = f"replace({as_text(term)}, {quote_literal(search)}, {quote_literal(by)})"
    return Term(sql, "text", grows=grows or term.grows)


def concat(compiler: Compiler, node: Expr) -> Term:
    terms = [compiler.term(item) for item in node.expressions]
    if not terms:
        raise QuestionError("concat() needs something to join")
    values = ", ".join(as_text(term) for term in terms)
    return Term(f"concat({values})", "text", grows=any(term.grows for term in terms))


def join(compiler: Compiler, node: Expr) -> Term:
    left, right = compiler.term(node.this), compiler.term(node.expression)
    sql = f"({as_text(left)} || {as_text(right)})"
    return Term(sql, "text", grows=left.grows or right.grows)


def calculated(compiler: Compiler, node: Expr) -> Term:
    return Term(f"{NUMBER_FUNCTIONS[node.key]}({compiler.double(node.this)})", "number")


def rounded(compiler: Compiler, node: Expr) -> Term:
    digits = node.args.get("decimals")
    places = 0 if digits is None else compiler.whole_number(digits, "of round")
    return Term(f"round({compiler.double(node.this)}, {places})", "number")


def cast(compiler: Compiler, node: Expr) -> Term:
    to = node.args["to"]
    name = to.this.name if to.key == "datatype" and hasattr(to.this, "name") else "?"
    if name in _TIME_CASTS:
        moment = compiler.term(node.this)
        if moment.kind == "text" and moment.literal is not None:
            return Term(compiler.as_time(moment), "time")
        raise QuestionError(f"only a date or time in quotes can be a {name}", TIME_HINT)
    if name not in _CASTS or to.args.get("nested"):
        raise QuestionError(
            f"a cast to {shown(to.sql('duckdb'))} is not offered",
            "VARCHAR, BIGINT, DOUBLE, BOOLEAN, DATE and TIMESTAMP are",
        )
    target, kind = _CASTS[name]
    term = compiler.term(node.this)
    if term.kind == "time":
        raise QuestionError(f"a time cannot be a {target}", TIME_HINT)
    if kind == "text":
        return Term(as_text(term), "text", grows=term.grows)
    if kind == "number":
        source = term.sql if term.kind == "boolean" else as_number(term)
        return Term(f"TRY_CAST({source} AS DOUBLE)", "number")
    return Term(f"TRY_CAST({term.sql} AS {target})", kind)


def time_part(compiler: Compiler, node: Expr) -> Term:
    if node.key == "extract":
        part, source = str(node.this.name).lower(), compiler.term(node.expression)
    else:
        part, source = node.key, compiler.term(node.this)
    if part not in TIME_PARTS:
        raise QuestionError(f"the {shown(part)} of a time is not offered", f"{', '.join(TIME_PARTS)} are")
    if source.kind != "time" or not source.sql.startswith('"'):
        raise QuestionError(f"the {part} of what is no column of times", f"like {part}(ts)")
    local = wall_clock(source.sql, compiler.timezone)
    # Microseconds without a zone: the wall clock of the zone, so no engine's own zones are asked.
    return Term(f"extract({TIME_PARTS[part]} FROM make_timestamp({local} * 1000))", "integer")
