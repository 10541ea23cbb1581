"""The gate between what people write as a condition and the SQL an engine reads: parse, check, compile.

``--where``, the conditions of steps and the expressions of a workspace pass here. A real SQL parser reads
them; only what the table at the end lists is let through, and SQL is written anew from the tree, so nothing
of the text reaches the engine except names and values quoted by :mod:`queries.quoting`.

What differs from plain SQL, because it says what an analyst means:

- money is in major units; a time is compared with a date or date-time in the workspace's zone (a bare date is
  the start of that day);
- division by zero is NULL; arithmetic is in DOUBLE; what is no finite number is NULL;
- text and keys of JSON compared with a number are read as numbers, a number compared with text that is a
  number as well; but ids (``*_id``, ``id``, ``ids.*``) are text and compared as text;
- every cast is a TRY_CAST.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queries import expression_conditions as conditions
from queries import expression_names as names
from queries import expression_values as values
from queries.expression_compiler import Compiler, Handler, Nodes
from queries.expression_terms import WORDS, Term, as_condition
from queries.question import QuestionError, Schema
from queries.quoting import check_unicode
from queries.suggest import shown

if TYPE_CHECKING:
    from sqlglot.expressions.core import Expr
    from sqlglot.tokenizer_core import Token

LONGEST = 4_000
"""Characters of an expression."""
MOST_BRACKETS = 24
"""Brackets inside one another; the parser's own stack ends not far above."""
DEEPEST = 100
"""Operations inside one another."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL over the columns of ``events`` and the columns it reads."""

    sql: str
    columns: frozenset[str]


def compile_condition(text: str, schema: Schema, timezone: str = "UTC") -> Compiled:
    """A condition over properties as SQL that is true, false or NULL; NULL counts as not met.

    ``timezone`` is the zone that dates and hours are read in. Raises QuestionError for everything that is not
    a condition over known properties.
    """
    compiler = Compiler(schema, timezone, NODES)
    term = compiler.term(parse(text))
    if term.kind not in ("boolean", "json"):
        what = "nothing" if term.kind == "null" else f"a {WORDS[term.kind]}"
        raise QuestionError(
            f"{shown(text.strip())} is {what}, not a condition", "compare it, like amount > 0"
        )
    return Compiled(as_condition(term), frozenset(compiler.columns))


def compile_value(text: str, schema: Schema, timezone: str = "UTC") -> Compiled:
    """A property, or an expression over properties, as SQL; the exact name of a column needs no quotes.

    Money comes in major units, a time as UTC milliseconds, a key of JSON as text. Raises QuestionError as
    :func:`compile_condition`.
    """
    compiler = Compiler(schema, timezone, NODES)
    term = _value(text, compiler)
    return Compiled(term.sql, frozenset(compiler.columns))


def value_term(text: str, schema: Schema, timezone: str = "UTC") -> Term:
    """The same as :func:`compile_value`, with its kind."""
    return _value(text, Compiler(schema, timezone, NODES))


def _value(text: str, compiler: Compiler) -> Term:
    exact = compiler.schema.columns.get(text.strip())
    return names.column_term(compiler, exact) if exact is not None else compiler.term(parse(text))


def parse(text: str) -> Expr:
    """The tree of one expression; whatever the parser dislikes is one QuestionError."""
    if not text.strip():
        raise QuestionError("an empty expression", "write a condition, like channel = 'weixin'")
    if len(text) > LONGEST:
        raise QuestionError(f"an expression of {len(text):,} characters; {LONGEST:,} are the most")
    check_unicode(text)
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


def _nodes() -> Nodes:
    """Every node of a tree that is let through: who compiles it, and which arguments it may have."""
    table: dict[str, tuple[Handler, frozenset[str]]] = {}

    def let(handler: Handler, arguments: str, *keys: str) -> None:
        table.update(dict.fromkeys(keys, (handler, frozenset(arguments.split()))))

    let(values.literal, "this is_string", "literal")
    let(values.constant, "this", "boolean", "null")
    let(names.named, "this table db catalog expression", "column", "dot")
    let(values.paren, "this", "paren")
    let(conditions.connect, "this expression", "and", "or")
    let(conditions.negation, "this", "not")
    let(conditions.compare, "this expression", *conditions.COMPARISONS)
    let(conditions.is_test, "this expression", "is")
    let(conditions.in_list, "this expressions", "in")
    let(conditions.between, "this low high", "between")
    let(conditions.like, "this expression negate", "like", "ilike")
    let(conditions.escaped, "this expression", "escape")
    let(conditions.text_test, "this expression", *conditions.TEXT_TESTS)
    let(conditions.matches, "this expression flag", "regexplike")
    let(values.calculate, "this expression safe", *values.ARITHMETIC)
    let(values.negative, "this", "neg")
    let(values.case, "this ifs default", "case")
    let(values.if_else, "this true false", "if")
    let(values.choose, "this expression expressions ignore_nulls", *values.CHOICES)
    let(values.change, "this", *values.TEXT_FUNCTIONS)
    let(values.trim, "this expression position", "trim")
    let(values.length, "this", "length")
    let(values.substring, "this start length", "substring")
    let(values.replace, "this expression replacement", "replace")
    let(values.concat, "expressions safe coalesce", "concat")
    let(values.join, "this expression safe", "dpipe")
    let(values.calculated, "this", *values.NUMBER_FUNCTIONS)
    let(values.rounded, "this decimals", "round")
    let(values.cast, "this to safe", "cast", "trycast")
    let(values.time_part, "this expression", "extract", *values.TIME_PARTS)
    return table


NODES = _nodes()
"""What is let through, by the parser's names."""
