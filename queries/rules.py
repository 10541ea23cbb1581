"""Rules over people: who somebody is and what they did, as one condition, compiled to SQL over ``events``.

A rule is an expression (:mod:`queries.expression`) in which a property is the person's latest known value, and
behaviour is a function over all of the person's events:

- ``did('EVENT')``: how often; ``first_did('EVENT')``: when first, in the data;
- ``sequence('A', 'B', …, within => '7d')``: whether they did these in order, all within so long of the first;
- ``total_of('EVENT', 'PROPERTY')``, ``avg_of``, ``distinct_of``: sum, mean, number of different values.

EVENT is written as a funnel's step is: ``'EVENT[|EVENT…][: CONDITION]'``. All but ``sequence`` take ``last =>
'14d'``, ``since =>`` and ``until =>``, read as ``--last``, ``--from`` and ``--to`` are, ending at *as of*. For
somebody who never did it the counts are 0 and the other functions NULL, and a rule that is NULL is not met.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queries import expression, ranges
from queries import expression_names as names
from queries.expression_compiler import FUNCTIONS, Compiler
from queries.expression_terms import NUMERIC, WORDS, Term, as_condition, as_double
from queries.question import QuestionError, Schema
from queries.quoting import quote_identifier
from queries.steps import matches, parse_step
from queries.suggest import hint, shown

if TYPE_CHECKING:
    from sqlglot.expressions.core import Expr

_RANGE = ("last", "since", "until")
_EXAMPLE = "like did('order_paid', last => '30d') >= 2 AND channel = 'weixin'"
_CALL = "like did('order_paid', last => '30d')"
_MISSING = "coalesce(sequence, -9223372036854775807)"
"""A missing sequence comes first."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a rule is compiled against."""

    schema: Schema
    timezone: str
    as_of: int | None
    """UTC ms; relative ranges end with it."""


def compile_rule(text: str, ground: Ground, *, events: str = "events") -> str:
    """The people for whom the rule is true, as SQL over a relation of ``events``: ``person``.

    Raises QuestionError for everything that is not a condition over known properties and behaviour.
    """
    compiler, term = _compiled(text, ground)
    measured = "".join(f",\n    {sql} AS {name}" for sql, name in compiler.measures.items())
    people = f"  SELECT person{measured}\n  FROM {events}\n  GROUP BY person"
    parts = [f"measured AS (  -- one row a person\n{people}\n)"]
    joins = ""
    for number, steps_and_span in enumerate(compiler.sequences):
        found = _sequence_sql(events, *steps_and_span, compiler.schema.order)
        parts.append(f"sequence_{number} AS (\n{found}\n)")
        joins += f"LEFT JOIN sequence_{number} ON sequence_{number}.person = measured.person\n"
    return (
        "WITH "
        + ",\n".join(parts)
        + f"\nSELECT measured.person FROM measured\n{joins}WHERE {as_condition(term)}"
    )


def named_events(text: str, ground: Ground) -> tuple[str, ...]:
    """The names of events in a rule, each once, in the order they stand there; raises as compile_rule."""
    return tuple(_compiled(text, ground)[0].events)


def _compiled(text: str, ground: Ground) -> tuple[_RuleCompiler, Term]:
    compiler = _RuleCompiler(ground)
    term = compiler.term(expression.parse(text))
    if term.kind not in ("boolean", "json"):
        what = "nothing" if term.kind == "null" else _said(term)
        raise QuestionError(f"{shown(text.strip())} is {what}, not a rule", _EXAMPLE)
    return compiler, term


def _said(term: Term) -> str:
    word = WORDS[term.kind]
    return word if word == "text" else f"a {word}"


class _RuleCompiler(Compiler):
    """Compiles a rule, collecting what has to be measured of each person."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground.schema, ground.timezone, _NODES)
        self.ground = ground
        self.measures: dict[str, str] = {}
        """Aggregate → its name."""
        self.sequences: list[tuple[tuple[str, ...], int | None]] = []
        """Steps as conditions, and the longest time from the first to the last, ms."""
        self.events: dict[str, None] = {}
        """The names of events that are asked for."""

    def term(self, node: Expr) -> Term:
        """As the gate of expressions; of a function it does not have, what rules have instead."""
        if node.key not in _NODES:
            from sqlglot import exp

            if isinstance(node, exp.AggFunc):
                raise QuestionError(
                    f"{shown(node.sql_name().lower())} is no function of a rule", f"{_COUNTS}; {_CALL}"
                )
            asks = isinstance(node, exp.SubqueryPredicate) or node.key.startswith("current")
            if isinstance(node, exp.Func) and not asks:
                raise _unknown_function(node.sql_name().lower())
        return super().term(node)

    def matches(self, event: str) -> str:
        """The condition, as SQL, for an event to be one of ``EVENT[|EVENT…][: CONDITION]``."""
        step = parse_step(event)
        self.events.update(dict.fromkeys(step.events))
        return f"({matches(step, self.schema, self.timezone)})"

    def measure(self, sql: str) -> str:
        """The name of an aggregate, the same for the same."""
        return self.measures.setdefault(sql, quote_identifier(f"measure_{len(self.measures)}"))


def _latest(compiler: Compiler, node: Expr) -> Term:
    """A property as the person's latest known value."""
    assert isinstance(compiler, _RuleCompiler)
    term = names.named(compiler, node)
    # Two people's events are never compared, so the place in the export settles what times leave open.
    moment = ", ".join(_MISSING if name == "sequence" else name for name in ("ts", *compiler.schema.order))
    latest = f"arg_max({term.sql}, ({moment})) FILTER (WHERE {term.sql} IS NOT NULL)"
    return Term(compiler.measure(latest), term.kind)


def _behaviour(compiler: Compiler, node: Expr) -> Term:
    """A function over what a person did."""
    assert isinstance(compiler, _RuleCompiler)
    name = node.name.lower()
    known = _FUNCTIONS.get(name)
    if known is None:
        raise _unknown_function(name)
    function, texts, options = known
    positional: list[str] = []
    named: dict[str, str] = {}
    for argument in node.expressions:
        if argument.key == "kwarg":
            key = argument.this.name.lower()
            if key not in options:
                raise QuestionError(
                    f"{name}() has no {shown(key)}", hint(key, options) or f"it has {', '.join(options)}"
                )
            if key in named:
                raise QuestionError(f"{name}() is given {key} twice", "give it once")
            named[key] = _text(argument.expression, f"{key} of {name}()")
        elif named:
            raise QuestionError(f"{name}(): what has a name, like {next(iter(named))}, comes last", _CALL)
        else:
            positional.append(_text(argument, f"what {name}() is about"))
    if not texts[0] <= len(positional) <= texts[1]:
        raise QuestionError(f"{name}() takes {_TAKES[name]}", _HOW.get(name, _CALL))
    try:
        return function(compiler, positional, named)
    except QuestionError as error:
        raise QuestionError(f"{name}(): {_renamed(error.message)}", _renamed(error.hint or _CALL)) from None


def _text(node: Expr, what: str) -> str:
    """A text in single quotes; nothing is worked out, so a rule says itself what it looks for."""
    if node.key != "literal" or not node.args.get("is_string"):
        raise QuestionError(f"{what} is a text in single quotes", _CALL)
    return str(node.this)


def _renamed(text: str) -> str:
    """What readers of ranges say of a command's options, said of a function's."""
    for option, name in (("--from", "since"), ("--to", "until"), ("--last", "last")):
        text = text.replace(option, name)
    return text


def _unknown_function(name: str) -> QuestionError:
    near = hint(name, (*_FUNCTIONS, *FUNCTIONS))
    return QuestionError(
        f"unknown function {shown(name)} in a rule",
        near or f"there are {', '.join(_FUNCTIONS)}, and the functions of --where",
    )


def _events(compiler: _RuleCompiler, event: str, named: Mapping[str, str]) -> str:
    """The condition for the events a function is about."""
    ground = compiler.ground
    found = ranges.resolve(
        named.get("since"), named.get("until"), named.get("last"), ground.as_of, ranges.zone(ground.timezone)
    )
    conditions = [compiler.matches(event)]
    conditions += [] if found.start is None else [f"ts >= {found.start}"]
    conditions += [] if found.end is None else [f"ts < {found.end}"]
    return " AND ".join(conditions)


def _did(compiler: _RuleCompiler, positional: Sequence[str], named: Mapping[str, str]) -> Term:
    where = _events(compiler, positional[0], named)
    return Term(compiler.measure(f"count(*) FILTER (WHERE {where})"), "integer")


def _first_did(compiler: _RuleCompiler, positional: Sequence[str], named: Mapping[str, str]) -> Term:
    where = _events(compiler, positional[0], named)
    return Term(compiler.measure(f"min(ts) FILTER (WHERE {where})"), "time")


def _value_of(compiler: _RuleCompiler, text: str) -> Term:
    """A property of the events themselves, not the latest one."""
    return expression.value_term(text, compiler.schema, compiler.timezone)


def _added(*, mean: bool) -> _Function:
    def added(compiler: _RuleCompiler, positional: Sequence[str], named: Mapping[str, str]) -> Term:
        term = _value_of(compiler, positional[1])
        if term.kind not in (*NUMERIC, "json"):
            raise QuestionError(f"{shown(positional[1])} is {_said(term)}, not a number", _HOW["total_of"])
        where = _events(compiler, positional[0], named)
        money = _money(compiler, term)
        if money is None and term.kind != "integer":
            # Sorted, since a sum of DOUBLEs depends on the order in which they are added.
            number = as_double(term)
            values = f"list({number}) FILTER (WHERE {where} AND {number} IS NOT NULL)"
            sum_sql, count = f"list_sum(list_sort({values}))", f"len({values})"
        else:
            number, scale = (term.sql, "1e0") if money is None else money
            sum_sql = f"CAST(sum({number}) FILTER (WHERE {where}) AS DOUBLE)"
            count = f"(count({number}) FILTER (WHERE {where}) * {scale})"
            sum_sql, count = (sum_sql, count) if mean else (f"({sum_sql} / {scale})", count)
        return Term(compiler.measure(f"({sum_sql} / {count})" if mean else sum_sql), "number")

    return added


def _money(compiler: _RuleCompiler, term: Term) -> tuple[str, str] | None:
    """A column of money as its minor units and how many make a major one: they add up exactly."""
    for column in compiler.schema.columns.values():
        if column.kind == "money" and names.column_term(compiler, column).sql == term.sql:
            return quote_identifier(column.name), f"1e{compiler.schema.money_decimals}"
    return None


def _distinct_of(compiler: _RuleCompiler, positional: Sequence[str], named: Mapping[str, str]) -> Term:
    term = _value_of(compiler, positional[1])
    where = _events(compiler, positional[0], named)
    return Term(compiler.measure(f"count(DISTINCT {term.sql}) FILTER (WHERE {where})"), "integer")


def _sequence(compiler: _RuleCompiler, positional: Sequence[str], named: Mapping[str, str]) -> Term:
    span = ranges.parse_duration(named["within"]) if "within" in named else None
    wanted = tuple(compiler.matches(text) for text in positional), span
    if wanted not in compiler.sequences:
        compiler.sequences.append(wanted)
    return Term(f"coalesce(sequence_{compiler.sequences.index(wanted)}.found, FALSE)", "boolean")


def _sequence_sql(events: str, steps: Sequence[str], span: int | None, order: Sequence[str]) -> str:
    """People who did the steps in order: each step takes the latest first step that reached the one before.

    A later first step dominates an earlier one, so one a step is exact; equal times are in the order of steps.
    """
    first = "CASE " + " ".join(f"WHEN {step} THEN {place}" for place, step in enumerate(steps)) + " END"
    ties = ", ".join(order)
    kept = ", ".join(f"{_MISSING} AS sequence" if name == "sequence" else name for name in order)
    does = ", ".join(f"{step} AS does_{place}" for place, step in enumerate(steps))
    window = (
        f"PARTITION BY person ORDER BY ts, first_step, {ties}"
        " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    )
    # Named one by one: a property may be called as these are.
    sql = (
        f"  SELECT person, ts, {kept}, {first} AS first_step,\n    {does},\n"
        f"    CASE WHEN {steps[0]} THEN ts END AS entry_0\n"
        f"  FROM {events} WHERE {' OR '.join(steps)}"
    )
    for place in range(1, len(steps)):
        inside = "" if span is None else f" AND ts - entered_{place} <= {span}"
        sql = (
            f"  SELECT *, CASE WHEN does_{place}{inside} THEN entered_{place} END AS entry_{place}\n"
            f"  FROM (\n    SELECT *, max(entry_{place - 1}) OVER ({window}) AS entered_{place}\n"
            f"    FROM (\n{sql}\n)\n  )"
        )
    last = f"entry_{len(steps) - 1}"
    return f"  SELECT person, TRUE AS found FROM (\n{sql}\n  )\n  WHERE {last} IS NOT NULL GROUP BY person"


_Function = Callable[[_RuleCompiler, Sequence[str], Mapping[str, str]], Term]
_FUNCTIONS: Mapping[str, tuple[_Function, tuple[int, int], tuple[str, ...]]] = {
    "did": (_did, (1, 1), _RANGE),
    "first_did": (_first_did, (1, 1), _RANGE),
    "sequence": (_sequence, (2, 10), ("within",)),
    "total_of": (_added(mean=False), (2, 2), _RANGE),
    "avg_of": (_added(mean=True), (2, 2), _RANGE),
    "distinct_of": (_distinct_of, (2, 2), _RANGE),
}
"""Each function, how many texts it takes, and its options."""
_TAKES = {
    "did": "an event",
    "first_did": "an event",
    "sequence": "two to ten events",
    **dict.fromkeys(("total_of", "avg_of", "distinct_of"), "an event and a property"),
}
_HOW = {
    "sequence": "like sequence('add_to_cart', 'order_paid', within => '7d')",
    **dict.fromkeys(
        ("total_of", "avg_of", "distinct_of"), "like total_of('order_paid', 'amount', last => '90d') > 500"
    ),
}
_COUNTS = f"rules have {', '.join(_FUNCTIONS)}"
_NODES = {
    **expression.NODES,
    **{
        key: (_latest, frozenset({"this", "table", "db", "catalog", "expression"}))
        for key in ("column", "dot")
    },
    "anonymous": (_behaviour, frozenset({"this", "expressions"})),
}
