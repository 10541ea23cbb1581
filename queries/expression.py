"""The gate between what people write as a condition and the SQL an engine reads: parse, check, compile.

``--where``, the conditions of steps and the expressions of a workspace pass here. A real SQL parser reads
them; only what the tables below list is let through, and SQL is written anew from the tree, so nothing of the
text reaches the engine except names and values quoted by the two functions of this module.

What differs from plain SQL, because it says what an analyst means:

- money is in major units; a time is compared with a date or date-time in the workspace's zone (a bare date is
  the start of that day);
- division by zero is NULL; arithmetic is in DOUBLE; what is no finite number is NULL;
- text and keys of JSON compared with a number are read as numbers, a number compared with text that is a
  number as well; but ids (``*_id``, ``id``, ``ids.*``) are text and compared as text;
- every cast is a TRY_CAST.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from queries import ranges
from queries.question import Column, QuestionError, Schema
from queries.suggest import hint, shown

if TYPE_CHECKING:
    from sqlglot.expressions.core import Expr
    from sqlglot.tokenizer_core import Token

LONGEST = 4_000
"""Characters of an expression."""
MOST_BRACKETS = 24
"""Brackets inside one another; the parser's own stack ends not far above."""
DEEPEST = 100
"""Operations inside one another."""

Kind = Literal["text", "id", "json", "integer", "number", "boolean", "time", "null"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL over the columns of ``events`` and the columns it reads."""

    sql: str
    columns: frozenset[str]


def quote_identifier(name: str) -> str:
    """A name as an SQL identifier; raises QuestionError for the empty name and for broken Unicode."""
    if not name:
        raise QuestionError("a column has an empty name", "rename it in the export, or leave it out")
    _check_unicode(name)
    return '"' + name.replace('"', '""') + '"'


def quote_literal(value: str | int | float | bool | None) -> str:
    """A value as an SQL literal; floats are DOUBLE. Raises QuestionError for broken Unicode, inf and NaN."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value) if value >= 0 else f"({value})"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise QuestionError(f"{value} is no number to compare with")
        text = repr(value)
        text = text if "e" in text else f"{text}e0"
        return text if math.copysign(1, value) > 0 else f"({text})"
    _check_unicode(value)
    return "'" + value.replace("'", "''") + "'"


def compile_condition(text: str, schema: Schema, timezone: str = "UTC") -> Compiled:
    """A condition over properties as SQL that is true, false or NULL; NULL counts as not met.

    ``timezone`` is the zone that dates and hours are read in. Raises QuestionError for everything that is not
    a condition over known properties.
    """
    compiler = _Compiler(schema, timezone)
    term = compiler.term(_parse(text))
    if term.kind not in ("boolean", "json"):
        what = "nothing" if term.kind == "null" else f"a {_WORDS[term.kind]}"
        raise QuestionError(
            f"{shown(text.strip())} is {what}, not a condition", "compare it, like amount > 0"
        )
    return Compiled(compiler.boolean(term), frozenset(compiler.columns))


def compile_value(text: str, schema: Schema, timezone: str = "UTC") -> Compiled:
    """A property, or an expression over properties, as SQL; the exact name of a column needs no quotes.

    Money comes in major units, a time as UTC milliseconds, a key of JSON as text. Raises QuestionError as
    :func:`compile_condition`.
    """
    compiler = _Compiler(schema, timezone)
    exact = schema.columns.get(text.strip())
    term = compiler.column(exact) if exact is not None else compiler.term(_parse(text))
    return Compiled(term.sql, frozenset(compiler.columns))


# --- parsing ----------------------------------------------------------------------------------------------


def _parse(text: str) -> Expr:
    """The tree of one expression; whatever the parser dislikes is one QuestionError."""
    if not text.strip():
        raise QuestionError("an empty expression", "write a condition, like channel = 'weixin'")
    if len(text) > LONGEST:
        raise QuestionError(f"an expression of {len(text):,} characters; {LONGEST:,} are the most")
    _check_unicode(text)
    if "\0" in text:
        raise QuestionError("an expression with a NUL character")
    from sqlglot import Dialect, exp
    from sqlglot.errors import ParseError, SqlglotError

    dialect = Dialect.get_or_raise("duckdb")
    try:
        tokens = dialect.tokenize(text)
        _check_tokens(tokens)
        trees = dialect.parser().parse_into(exp.Condition, tokens, text)
    except ParseError as error:
        raise _unreadable(text, error.errors[0] if error.errors else {}) from None
    except SqlglotError:
        raise QuestionError(f"cannot read {shown(text)}", "is a quote left open?") from None
    except RecursionError:
        raise _too_deep() from None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        # The parser answers some nonsense with errors of its own making.
        raise QuestionError(f"cannot read {shown(text)}", "write it as SQL: channel = 'weixin'") from None
    if len(trees) != 1 or trees[0] is None:
        raise QuestionError(f"cannot read {shown(text)}", "write one condition")
    _check_depth(trees[0])
    return trees[0]


def _check_tokens(tokens: Sequence[Token]) -> None:
    depth = 0
    for place, token in enumerate(tokens):
        if token.comments:
            raise QuestionError("a comment in an expression", "leave it out: nothing may hide in it")
        quoted = token.token_type.name in ("STRING", "IDENTIFIER")
        if not quoted and token.text in _REFUSED_TOKENS:
            raise QuestionError(
                f"{shown(token.text)} is not part of an expression", _REFUSED_TOKENS[token.text]
            )
        if not quoted and token.text in ("(", "[", "{"):
            depth += 1
            if depth > MOST_BRACKETS:
                raise _too_deep()
        elif not quoted and token.text in (")", "]", "}"):
            depth -= 1
        if (
            place == 0
            and not quoted
            and token.text.lower() == "if"
            and (len(tokens) == 1 or tokens[1].text != "(")
        ):
            raise QuestionError('"if" is a word of SQL', 'put the name in double quotes: "if"')
    if not tokens:
        raise QuestionError("an empty expression", "write a condition, like channel = 'weixin'")


_REFUSED_TOKENS = {
    ";": "write one condition; several are joined with AND or OR",
    "~": "write regexp_matches(text, 'pattern')",
    "!~": "write NOT regexp_matches(text, 'pattern')",
    "?": "values are written as they are: channel = 'weixin'",
    "$": "values are written as they are: channel = 'weixin'",
    "@": "values are written as they are: channel = 'weixin'",
}


def _check_depth(tree: Expr) -> None:
    """Refuses what is nested so deeply that compiling would end in the interpreter's stack."""
    waiting = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            raise _too_deep()
        for child in node.iter_expressions():
            chained = child.key == node.key and node.key in ("and", "or")
            waiting.append((child, depth if chained else depth + 1))


def _too_deep() -> QuestionError:
    return QuestionError(
        f"an expression nested too deeply; {MOST_BRACKETS} brackets inside one another are the most"
    )


def _unreadable(text: str, error: dict[str, object]) -> QuestionError:
    near = error.get("highlight")
    start = error.get("start_context")
    if not isinstance(near, str) or not isinstance(start, str) or not near:
        return QuestionError(f"cannot read {shown(text)}", _QUOTING)
    # The parser keeps only the last part of what stands before; what it names is found from there.
    found = text.find(start + near)
    where = f" (character {found + len(start) + 1})" if found >= 0 else ""
    return QuestionError(f"cannot read {shown(text)} at {shown(near)}{where}", _QUOTING)


_QUOTING = "text stands in single quotes, a name that is also a word of SQL in double quotes"


def _check_unicode(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise QuestionError(f"not valid Unicode: {shown(text)}") from None


# --- compiling --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Term:
    """A piece of SQL and how it compares: ``number`` is DOUBLE, ``json`` the text of a key, not yet typed."""

    sql: str
    kind: Kind
    literal: str | None = None
    """The text of a literal, so that the other side may decide what it is."""
    grows: bool = False
    """Holds a replacement that makes text longer; a second one inside it would multiply."""


_WORDS: dict[Kind, str] = {
    "text": "text",
    "id": "text",
    "json": "text",
    "integer": "number",
    "number": "number",
    "boolean": "condition",
    "time": "time",
    "null": "null",
}
_NUMERIC: frozenset[Kind] = frozenset({"integer", "number"})
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TRUTH = {"true": "TRUE", "false": "FALSE", "1": "TRUE", "0": "FALSE"}

_COMPARISONS = {
    "eq": ("=", False),
    "neq": ("<>", False),
    "gt": (">", True),
    "gte": (">=", True),
    "lt": ("<", True),
    "lte": ("<=", True),
    "nullsafeeq": ("IS NOT DISTINCT FROM", False),
    "nullsafeneq": ("IS DISTINCT FROM", False),
}
_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "div": "/", "mod": "%"}
_TEXT_FUNCTIONS = {"lower": "lower", "upper": "upper"}
_TEXT_TESTS = {"startswith": "starts_with", "endswith": "ends_with", "contains": "contains"}
_NUMBER_FUNCTIONS = {"abs": "abs", "floor": "floor", "ceil": "ceil"}
_CHOICES = {"coalesce": "coalesce", "greatest": "greatest", "least": "least", "nullif": "nullif"}
_CASTS: dict[str, tuple[str, Kind]] = {
    **dict.fromkeys(("TEXT", "VARCHAR", "CHAR", "NVARCHAR"), ("VARCHAR", "text")),
    **dict.fromkeys(("INT", "BIGINT", "SMALLINT", "TINYINT"), ("BIGINT", "integer")),
    **dict.fromkeys(("DOUBLE", "FLOAT", "DECIMAL"), ("DOUBLE", "number")),
    "BOOLEAN": ("BOOLEAN", "boolean"),
}
_TIME_CASTS = frozenset({"DATE", "DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMPNTZ", "TIMESTAMPLTZ"})
_TIME_PARTS = {
    **{
        name: name
        for name in ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "isodow")
    },
    "dayofmonth": "day",
    "dayofweek": "dow",
    "dow": "dow",
    "dayofweekiso": "isodow",
}
_FUNCTIONS = (
    "abs", "ceil", "coalesce", "concat", "contains", "dayofweek", "ends_with", "extract", "floor", "greatest",
    "hour", "if", "isodow", "least", "length", "lower", "ltrim", "minute", "month", "nullif", "quarter",
    "regexp_matches", "replace", "round", "rtrim", "second", "starts_with", "substr", "trim", "try_cast",
    "upper", "week", "year",
)  # fmt: skip


class _Compiler:
    """Turns one checked tree into SQL, remembering the columns it reads."""

    def __init__(self, schema: Schema, timezone: str) -> None:
        self._schema = schema
        self._timezone = timezone
        self.columns: set[str] = set()

    def term(self, node: Expr) -> _Term:
        """The SQL of a node of a kind and with the arguments that the table lists; all else is refused."""
        known = _NODES.get(node.key)
        if known is None:
            raise _refusal(node)
        handler, arguments = known
        for name, value in node.args.items():
            if name in arguments or value is None or value is False or value == []:
                continue
            if name == "query":
                raise _refusal(value)
            raise QuestionError(f"{_said(node)} cannot have {shown(name)} here")
        return handler(self, node)

    def boolean(self, term: _Term) -> str:
        """A term as a condition."""
        if term.kind in ("boolean", "null"):
            return term.sql
        if term.kind == "json":
            return f"CASE {term.sql} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END"
        raise QuestionError(
            f"a {_WORDS[term.kind]} stands where a condition should", "compare it, like amount > 0"
        )

    # Names and values

    def column(self, column: Column) -> _Term:
        """A column as expressions see it."""
        self.columns.add(column.name)
        name = quote_identifier(column.name)
        match column.kind:
            case "money":
                decimals = self._schema.money_decimals
                major = f"CAST({name} AS DOUBLE)"
                return _Term(f"({major} / 1e{decimals})" if decimals else major, "number")
            case "number":
                return _Term(f"CAST({name} AS DOUBLE)", "number")
            case "integer" | "boolean" | "time":
                return _Term(name, column.kind)
            case "text":
                return _Term(name, "id" if _is_id(column.name) else "text")
            case "json":
                return _Term(name, "text")

    def _name(self, node: Expr) -> _Term:
        identifiers = _identifiers(node)
        parts = [str(part.this) for part in identifiers]
        whole = self._find(".".join(parts))
        if whole is not None:
            return self.column(whole)
        for length in range(len(parts) - 1, 0, -1):
            holder = self._find(".".join(parts[:length]))
            if holder is None:
                continue
            if holder.kind != "json":
                raise QuestionError(f"{shown(holder.name)} holds no {shown(parts[length])}: it is no JSON")
            self.columns.add(holder.name)
            return _json_key(holder.name, parts[length:])
        raise self._unknown(parts, identifiers[0])

    def _find(self, name: str) -> Column | None:
        columns = self._schema.columns
        if name in columns:
            return columns[name]
        same = [column for other, column in columns.items() if other.casefold() == name.casefold()]
        if len(same) > 1:
            names = " or ".join(shown(column.name) for column in same)
            raise QuestionError(f"property {shown(name)} is not unique", f"write {names} in double quotes")
        return same[0] if same else None

    def _unknown(self, parts: Sequence[str], first: Expr) -> QuestionError:
        name = ".".join(parts)
        start = first.meta.get("start")
        where = f" (character {start + 1})" if isinstance(start, int) else ""
        near = hint(name, self._schema.columns)
        holders = [
            column.name
            for column in self._schema.columns.values()
            if column.kind == "json" and column.name.isprintable()
        ]
        if near is None and len(parts) == 1 and name.isprintable() and len(name) <= 60:
            if first.args.get("quoted"):
                near = f"text stands in single quotes: {quote_literal(name)}"
            elif holders:
                near = f"a key of JSON is written {holders[0]}.{name}"
        return QuestionError(
            f"unknown property {shown(name)}{where}", near or "`workbench properties` lists what there is"
        )

    def _literal(self, node: Expr) -> _Term:
        text = str(node.this)
        if node.args.get("is_string"):
            return _Term(quote_literal(text), "text", literal=text)
        return _number(text)

    def _constant(self, node: Expr) -> _Term:
        if node.key == "null":
            return _Term("NULL", "null")
        return _Term(quote_literal(bool(node.this)), "boolean")

    # Conditions

    def _connect(self, node: Expr) -> _Term:
        sides: list[Expr] = []
        rest = node
        while rest.key == node.key:
            sides.append(rest.expression)
            rest = rest.this
        conditions = [self.boolean(self.term(side)) for side in (rest, *reversed(sides))]
        return _Term("(" + f" {node.key.upper()} ".join(conditions) + ")", "boolean")

    def _not(self, node: Expr) -> _Term:
        return _Term(f"(NOT {self.boolean(self.term(node.this))})", "boolean")

    def _compare(self, node: Expr) -> _Term:
        sign, ordering = _COMPARISONS[node.key]
        (left, right), _ = self._alike((self.term(node.this), self.term(node.expression)), ordering)
        return _Term(f"({left} {sign} {right})", "boolean")

    def _is(self, node: Expr) -> _Term:
        term = self.term(node.this)
        if node.expression.key == "null":
            return _Term(f"({term.sql} IS NULL)", "boolean")
        if node.expression.key == "boolean":
            return _Term(f"({self.boolean(term)} IS {self.term(node.expression).sql})", "boolean")
        raise QuestionError("IS stands before NULL, NOT NULL, TRUE, FALSE or DISTINCT FROM")

    def _in(self, node: Expr) -> _Term:
        items = node.expressions
        if not items:
            raise QuestionError(
                "IN needs a list of values in brackets", "like channel IN ('weixin', 'direct')"
            )
        (left, *values), _ = self._alike((self.term(node.this), *(self.term(item) for item in items)), False)
        return _Term(f"({left} IN ({', '.join(values)}))", "boolean")

    def _between(self, node: Expr) -> _Term:
        bounds = (self.term(node.this), self.term(node.args["low"]), self.term(node.args["high"]))
        (value, low, high), _ = self._alike(bounds, True)
        return _Term(f"({value} BETWEEN {low} AND {high})", "boolean")

    def _like(self, node: Expr, escape: str | None = None) -> _Term:
        pattern = self._text_literal(node.expression, "the pattern of LIKE")
        if (
            escape is not None
            and re.search(rf"^(?:[^{re.escape(escape)}]|{re.escape(escape)}.)*$", pattern, re.S) is None
        ):
            raise QuestionError(f"the pattern {shown(pattern)} ends with its escape character")
        sign = ("NOT " if node.args.get("negate") else "") + node.key.upper()
        tail = "" if escape is None else f" ESCAPE {quote_literal(escape)}"
        return _Term(f"({self._text(node.this)} {sign} {quote_literal(pattern)}{tail})", "boolean")

    def _escaped(self, node: Expr) -> _Term:
        inner = node.this
        escape = self._text_literal(node.expression, "ESCAPE")
        if inner.key not in ("like", "ilike") or len(escape) != 1 or not escape.isascii():
            raise QuestionError("ESCAPE takes one ASCII character, after LIKE or ILIKE")
        return self._like(inner, escape)

    def _text_test(self, node: Expr) -> _Term:
        sql = f"{_TEXT_TESTS[node.key]}({self._text(node.this)}, {self._text(node.expression)})"
        return _Term(sql, "boolean")

    def _matches(self, node: Expr) -> _Term:
        pattern = quote_literal(self._text_literal(node.expression, "the pattern of regexp_matches"))
        flag = node.args.get("flag")
        if flag is None:
            return _Term(f"regexp_matches({self._text(node.this)}, {pattern})", "boolean")
        flags = self._text_literal(flag, "the flags of regexp_matches")
        if not set(flags) <= set("cims"):
            raise QuestionError(f"unknown flags {shown(flags)}", "c, i, m and s are known")
        return _Term(f"regexp_matches({self._text(node.this)}, {pattern}, {quote_literal(flags)})", "boolean")

    # Values

    def _paren(self, node: Expr) -> _Term:
        return self.term(node.this)

    def _calculate(self, node: Expr) -> _Term:
        left, right = self._double(self.term(node.this)), self._double(self.term(node.expression))
        if node.key in ("div", "mod"):
            right = f"nullif({right}, 0e0)"
        return _Term(f"({left} {_ARITHMETIC[node.key]} {right})", "number")

    def _negative(self, node: Expr) -> _Term:
        term = self.term(node.this)
        if term.kind in _NUMERIC and term.literal is not None:
            return _number(term.literal[1:] if term.literal.startswith("-") else f"-{term.literal}")
        return _Term(f"(- {self._double(term)})", "number")

    def _case(self, node: Expr) -> _Term:
        branches = node.args["ifs"]
        tests = [self.term(branch.this) for branch in branches]
        head = ""
        if node.this is None:
            conditions = [self.boolean(test) for test in tests]
        else:
            (subject, *conditions), _ = self._alike((self.term(node.this), *tests), False)
            head = f"{subject} "
        results = [self.term(branch.args["true"]) for branch in branches]
        return self._branches(conditions, results, node.args.get("default"), head)

    def _if(self, node: Expr) -> _Term:
        condition = self.boolean(self.term(node.this))
        return self._branches([condition], [self.term(node.args["true"])], node.args.get("false"))

    def _branches(
        self, conditions: list[str], results: list[_Term], default: Expr | None, head: str = ""
    ) -> _Term:
        rest = _Term("NULL", "null") if default is None else self.term(default)
        (*values, last), kind = self._alike((*results, rest), False)
        cases = " ".join(f"WHEN {when} THEN {then}" for when, then in zip(conditions, values, strict=True))
        return _Term(
            f"CASE {head}{cases} ELSE {last} END", kind, grows=any(t.grows for t in (*results, rest))
        )

    def _choose(self, node: Expr) -> _Term:
        others = [node.expression] if node.key == "nullif" else node.expressions
        terms = [self.term(item) for item in (node.this, *others)]
        values, kind = self._alike(terms, node.key in ("greatest", "least"))
        return _Term(f"{_CHOICES[node.key]}({', '.join(values)})", kind, grows=any(t.grows for t in terms))

    def _change(self, node: Expr) -> _Term:
        term = self.term(node.this)
        return _Term(f"{_TEXT_FUNCTIONS[node.key]}({self._as_text(term)})", "text", grows=term.grows)

    def _trim(self, node: Expr) -> _Term:
        term = self.term(node.this)
        function = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position")), "trim")
        letters = "" if node.expression is None else f", {self._text(node.expression)}"
        return _Term(f"{function}({self._as_text(term)}{letters})", "text", grows=term.grows)

    def _length(self, node: Expr) -> _Term:
        return _Term(f"length({self._text(node.this)})", "integer")

    def _substring(self, node: Expr) -> _Term:
        bounds = [node.args[name] for name in ("start", "length") if node.args.get(name) is not None]
        numbers = ", ".join(str(self._small(bound, "of substr")) for bound in bounds)
        term = self.term(node.this)
        return _Term(f"substr({self._as_text(term)}, {numbers})", "text", grows=term.grows)

    def _replace(self, node: Expr) -> _Term:
        term = self.term(node.this)
        search = self._text_literal(node.expression, "what replace looks for")
        replacement = node.args.get("replacement")
        by = "" if replacement is None else self._text_literal(replacement, "what replace puts there")
        grows = len(by) > len(search)
        if grows and term.grows:
            raise QuestionError("a replace that makes text longer inside another one", "use one of them")
        sql = f"replace({self._as_text(term)}, {quote_literal(search)}, {quote_literal(by)})"
        return _Term(sql, "text", grows=grows or term.grows)

    def _concat(self, node: Expr) -> _Term:
        terms = [self.term(item) for item in node.expressions]
        if not terms:
            raise QuestionError("concat() needs something to join")
        values = ", ".join(self._as_text(term) for term in terms)
        return _Term(f"concat({values})", "text", grows=any(term.grows for term in terms))

    def _join(self, node: Expr) -> _Term:
        left, right = self.term(node.this), self.term(node.expression)
        sql = f"({self._as_text(left)} || {self._as_text(right)})"
        return _Term(sql, "text", grows=left.grows or right.grows)

    def _calculated(self, node: Expr) -> _Term:
        return _Term(f"{_NUMBER_FUNCTIONS[node.key]}({self._double(self.term(node.this))})", "number")

    def _round(self, node: Expr) -> _Term:
        digits = node.args.get("decimals")
        places = 0 if digits is None else self._small(digits, "of round")
        return _Term(f"round({self._double(self.term(node.this))}, {places})", "number")

    def _cast(self, node: Expr) -> _Term:
        to = node.args["to"]
        name = to.this.name if to.key == "datatype" and hasattr(to.this, "name") else "?"
        if name in _TIME_CASTS:
            moment = self.term(node.this)
            if moment.kind == "text" and moment.literal is not None:
                return _Term(self._as_time(moment), "time")
            raise QuestionError(f"only a date or time in quotes can be a {name}", _TIME_HINT)
        if name not in _CASTS or to.args.get("nested"):
            raise QuestionError(
                f"a cast to {shown(to.sql('duckdb'))} is not offered",
                "VARCHAR, BIGINT, DOUBLE, BOOLEAN, DATE and TIMESTAMP are",
            )
        target, kind = _CASTS[name]
        term = self.term(node.this)
        if term.kind == "time":
            raise QuestionError(f"a time cannot be a {target}", _TIME_HINT)
        if kind == "text":
            return _Term(self._as_text(term), "text", grows=term.grows)
        if kind == "number":
            source = term.sql if term.kind == "boolean" else self._as_number(term)
            return _Term(f"TRY_CAST({source} AS DOUBLE)", "number")
        return _Term(f"TRY_CAST({term.sql} AS {target})", kind)

    def _time_part(self, node: Expr) -> _Term:
        if node.key == "extract":
            part, source = str(node.this.name).lower(), self.term(node.expression)
        else:
            part, source = node.key, self.term(node.this)
        if part not in _TIME_PARTS:
            raise QuestionError(
                f"the {shown(part)} of a time is not offered", f"{', '.join(_TIME_PARTS)} are"
            )
        if source.kind != "time" or not source.sql.startswith('"'):
            raise QuestionError(f"the {part} of what is no column of times", f"like {part}(ts)")
        local = _local(source.sql, self._timezone)
        # Microseconds without a zone: the wall clock of the zone, so no engine's own zones are asked.
        return _Term(f"extract({_TIME_PARTS[part]} FROM make_timestamp({local} * 1000))", "integer")

    # How terms become alike

    def _alike(self, terms: Iterable[_Term], ordering: bool) -> tuple[list[str], Kind]:
        """Terms that meet in one operation, all as one kind."""
        terms = list(terms)
        kinds = {term.kind for term in terms} - {"null"}
        if "time" in kinds:
            return [self._as_time(term) for term in terms], "time"
        if "boolean" in kinds:
            if ordering:
                raise QuestionError("a condition is neither larger nor smaller", "compare it with = or <>")
            return [self._as_truth(term) for term in terms], "boolean"
        if "id" in kinds:
            if ordering and kinds & _NUMERIC:
                raise QuestionError("an id is text, and text has no order among numbers", _ID_HINT)
            return [self._as_text(term) for term in terms], "id"
        bare_keys = kinds == {"json"} and ordering and len(terms) > 1
        if kinds & _NUMERIC or bare_keys:
            kind: Kind = "integer" if kinds == {"integer"} else "number"
            return [self._as_number(term) for term in terms], kind
        if kinds == {"json"}:
            return [term.sql for term in terms], "json"
        return [self._as_text(term) for term in terms], "text" if kinds else "null"

    def _as_text(self, term: _Term) -> str:
        if term.kind in ("text", "id", "json", "null"):
            return term.sql
        if term.kind == "time":
            raise QuestionError("a time stands where text should", _TIME_HINT)
        if term.literal is not None:
            return quote_literal(term.literal)
        return f"CAST({term.sql} AS VARCHAR)"

    def _as_number(self, term: _Term) -> str:
        if term.kind in ("integer", "number", "null"):
            return term.sql
        if term.kind in ("boolean", "time"):
            raise QuestionError(f"a {_WORDS[term.kind]} stands where a number should")
        if term.literal is not None:
            if not _NUMBER.fullmatch(term.literal.strip()):
                raise QuestionError(f"{shown(term.literal)} is compared with a number and is none")
            return _number(term.literal.strip()).sql
        # Nested, not repeated: SQL that names its argument twice would double with every level.
        number = f"TRY_CAST({term.sql} AS DOUBLE)"
        for word in ("NaN", "Infinity", "-Infinity"):
            number = f"nullif({number}, CAST('{word}' AS DOUBLE))"
        return number

    def _double(self, term: _Term) -> str:
        number = self._as_number(term)
        if term.kind == "integer":
            if term.literal is not None:
                return quote_literal(float(term.literal))
            return f"CAST({number} AS DOUBLE)"
        if term.literal is not None:
            return quote_literal(float(term.literal.strip()))
        return f"CAST({number} AS DOUBLE)" if term.kind == "null" else number

    def _as_truth(self, term: _Term) -> str:
        if term.kind in ("boolean", "json", "null"):
            return self.boolean(term)
        if term.literal is not None:
            truth = _TRUTH.get(term.literal.strip().casefold())
            if truth is None:
                raise QuestionError(f"{shown(term.literal)} is compared with true or false and is neither")
            return truth
        if term.kind in ("text", "id"):
            return f"TRY_CAST({term.sql} AS BOOLEAN)"
        raise QuestionError(f"a {_WORDS[term.kind]} is compared with true or false")

    def _as_time(self, term: _Term) -> str:
        if term.kind in ("time", "null"):
            return term.sql
        if term.kind == "text" and term.literal is not None:
            return quote_literal(ranges.parse_start(term.literal, ranges.zone(self._timezone), "the time"))
        raise QuestionError(f"a time is compared with a {_WORDS[term.kind]}", _TIME_HINT)

    def _text(self, node: Expr) -> str:
        return self._as_text(self.term(node))

    def _text_literal(self, node: Expr, what: str) -> str:
        term = self.term(node)
        if term.kind != "text" or term.literal is None:
            raise QuestionError(f"{what} is a text in single quotes")
        return term.literal

    def _small(self, node: Expr, what: str) -> int:
        term = self.term(node)
        if term.kind != "integer" or term.literal is None or abs(int(term.literal)) > 1_000_000:
            raise QuestionError(f"a number {what} is a whole number, at most a million")
        return int(term.literal)


_TIME_HINT = "compare a time with a date or time: ts >= '2026-03-01 10:00', or take its hour(ts)"
_ID_HINT = "write TRY_CAST(user_id AS BIGINT) > 100"

_Handler = Callable[[_Compiler, "Expr"], _Term]


def _nodes() -> dict[str, tuple[_Handler, frozenset[str]]]:
    """Every node of a tree that is let through: who compiles it, and which arguments it may have."""
    table: dict[str, tuple[_Handler, frozenset[str]]] = {}

    def let(handler: _Handler, arguments: str, *keys: str) -> None:
        table.update(dict.fromkeys(keys, (handler, frozenset(arguments.split()))))

    let(_Compiler._literal, "this is_string", "literal")
    let(_Compiler._constant, "this", "boolean", "null")
    let(_Compiler._name, "this table db catalog expression", "column", "dot")
    let(_Compiler._paren, "this", "paren")
    let(_Compiler._connect, "this expression", "and", "or")
    let(_Compiler._not, "this", "not")
    let(_Compiler._compare, "this expression", *_COMPARISONS)
    let(_Compiler._is, "this expression", "is")
    let(_Compiler._in, "this expressions", "in")
    let(_Compiler._between, "this low high", "between")
    let(_Compiler._like, "this expression negate", "like", "ilike")
    let(_Compiler._escaped, "this expression", "escape")
    let(_Compiler._text_test, "this expression", *_TEXT_TESTS)
    let(_Compiler._matches, "this expression flag", "regexplike")
    let(_Compiler._calculate, "this expression safe", *_ARITHMETIC)
    let(_Compiler._negative, "this", "neg")
    let(_Compiler._case, "this ifs default", "case")
    let(_Compiler._if, "this true false", "if")
    let(_Compiler._choose, "this expression expressions ignore_nulls", *_CHOICES)
    let(_Compiler._change, "this", *_TEXT_FUNCTIONS)
    let(_Compiler._trim, "this expression position", "trim")
    let(_Compiler._length, "this", "length")
    let(_Compiler._substring, "this start length", "substring")
    let(_Compiler._replace, "this expression replacement", "replace")
    let(_Compiler._concat, "expressions safe coalesce", "concat")
    let(_Compiler._join, "this expression safe", "dpipe")
    let(_Compiler._calculated, "this", *_NUMBER_FUNCTIONS)
    let(_Compiler._round, "this decimals", "round")
    let(_Compiler._cast, "this to safe", "cast", "trycast")
    let(_Compiler._time_part, "this expression", "extract", *_TIME_PARTS)
    return table


_NODES = _nodes()


def _refusal(node: Expr) -> QuestionError:
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
        listed = hint(name, _FUNCTIONS) or f"there are {', '.join(_FUNCTIONS)}"
        return QuestionError(f"unknown function {shown(name)}", listed)
    return QuestionError(f"{_said(node)} is not part of an expression", "compare properties with values")


def _said(node: Expr) -> str:
    """A node as a message names it."""
    return shown(node.key.upper())


def _identifiers(node: Expr) -> list[Expr]:
    """The parts of a dotted name, outermost first."""
    parts: list[Expr] = []
    while node.key == "dot":
        parts.insert(0, node.expression)
        node = node.this
    if node.key == "column":
        parts = [
            node.args[name] for name in ("catalog", "db", "table", "this") if node.args.get(name)
        ] + parts
    else:
        parts.insert(0, node)
    for part in parts:
        if part.key != "identifier":
            raise _refusal(part)
    return parts


def _is_id(name: str) -> bool:
    """Whether a name says that its values are ids: text, even where they look like numbers."""
    folded = name.casefold()
    return folded == "id" or folded.endswith("_id") or folded.startswith("ids.")


def _json_key(column: str, keys: Sequence[str]) -> _Term:
    """A key inside a column of JSON text, as text; NULL where the text is no JSON."""
    if any(key in ("", "*") for key in keys):
        # In a path a star means every key, and no key may be empty; a pointer takes both as they are.
        path = "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)
    else:
        escaped = (key.replace("\\", "\\\\").replace('"', '\\"') for key in keys)
        path = "$" + "".join(f'."{key}"' for key in escaped)
    name = quote_identifier(column)
    sql = f"CASE WHEN json_valid({name}) THEN json_extract_string({name}, {quote_literal(path)}) END"
    return _Term(sql, "id" if _is_id(keys[-1]) else "json")


def _number(text: str) -> _Term:
    """A number as it was written: a BIGINT where it is one, else a DOUBLE."""
    if not _NUMBER.fullmatch(text):
        raise QuestionError(f"{shown(text)} is no number")
    if text.lstrip("+-").isdigit() and len(text) <= 20 and -(2**63) < int(text) < 2**63:
        return _Term(quote_literal(int(text)), "integer", literal=text)
    value = float(text)
    if not math.isfinite(value):
        raise QuestionError(f"{shown(text)} is too large")
    return _Term(quote_literal(value), "number", literal=text)


# --- the wall clock ---------------------------------------------------------------------------------------

_CLOCK_FROM, _CLOCK_TO = 946_684_800, 2_556_144_000
"""2000 to 2051, in seconds: where hours and days of the zone are known; NULL outside."""
_WEEK = 7 * 86_400


def _local(ms: str, timezone: str) -> str:
    """SQL for the wall clock of the zone, in ms, of SQL for UTC ms: a branch a change of the clocks."""
    changes = _offsets(timezone)
    inside = f"{ms} >= {_CLOCK_FROM * 1000} AND {ms} < {_CLOCK_TO * 1000}"
    if len(changes) == 1:
        return f"CASE WHEN {inside} THEN {ms} + {changes[0][1]} END"
    branches = " ".join(
        f"WHEN {ms} < {until * 1000} THEN {ms} + {offset}"
        for (_, offset), (until, _) in zip(changes, [*changes[1:], (_CLOCK_TO, 0)], strict=True)
    )
    return f"CASE WHEN {ms} < {_CLOCK_FROM * 1000} THEN NULL {branches} END"


@lru_cache(maxsize=8)
def _offsets(timezone: str) -> tuple[tuple[int, int], ...]:
    """From which second on (UTC) the zone is how many ms ahead of UTC, ascending."""
    from datetime import UTC, datetime, timedelta

    tz = ranges.zone(timezone)

    def ahead(second: int) -> int:
        offset = datetime.fromtimestamp(second, UTC).astimezone(tz).utcoffset()
        return 0 if offset is None else offset // timedelta(milliseconds=1)

    found = [(_CLOCK_FROM, ahead(_CLOCK_FROM))]
    # No zone has changed its clocks twice within a week since 2000.
    for week in range(_CLOCK_FROM + _WEEK, _CLOCK_TO + _WEEK, _WEEK):
        after = min(week, _CLOCK_TO)
        if ahead(after) == found[-1][1]:
            continue
        low, high = max(after - _WEEK, _CLOCK_FROM), after
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if ahead(middle) == found[-1][1] else (low, middle)
        found.append((high, ahead(high)))
    return tuple(found)
