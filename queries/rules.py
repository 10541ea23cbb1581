"""Rules over people: who somebody is and what they did, as one condition, compiled to SQL over ``events``.

A rule is an expression (:mod:`queries.expression`) in which a property is the person's latest known value, and
behaviour is a function over all of the person's events:

- ``did('EVENT')``: how often; ``first_did('EVENT')``: when first, in the data;
- ``sequence('A', 'B', …, within => '7d')``: whether they did these in order, all within so long of the first;
- ``total_of('EVENT', 'PROPERTY')``, ``avg_of``, ``distinct_of``: sum, mean, number of different values.

EVENT is written as a funnel's step is: ``'EVENT[|EVENT…][: CONDITION]'``. All but ``sequence`` take ``last =>
'14d'``, ``since =>`` and ``until =>``, read as ``--last``, ``--from`` and ``--to`` are, ending at *as of*. Somebody
who never did it counts 0; the other functions are NULL then, and a rule that is NULL is not met.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queries import expression, ranges
from queries import expression_names as names
from queries.expression_compiler import Compiler
from queries.expression_terms import NUMERIC, WORDS, Term, as_condition
from queries.question import QuestionError, Schema
from queries.steps import matches, parse_step
from queries.suggest import hint, shown

if TYPE_CHECKING:
    from sqlglot.expressions.core import Expr

_RANGE = ("last", "since", "until")
_EXAMPLE = "like did('order_paid', last => '30d') >= 2 AND channel = 'weixin'"


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
    compiler = _RuleCompiler(ground)
    term = compiler.term(expression.parse(text))
    if term.kind not in ("boolean", "json"):
        what = "nothing" if term.kind == "null" else f"a {WORDS[term.kind]}"
        raise QuestionError(f"{shown(text.strip())} is {what}, not a rule", _EXAMPLE)
    measured = "".join(f",\n    {sql} AS {name}" for sql, name in compiler.measures.items())
    people = f"  SELECT person{measured}\n  FROM {events}\n  GROUP BY person"
    parts = [f"measured AS (  -- one row a person\n{people}\n)"]
    joins = ""
    for number, sequence in enumerate(compiler.sequences):
        parts.append(f"sequence_{number} AS (\n{sequence(events)}\n)")
        joins += f"LEFT JOIN sequence_{number} ON sequence_{number}.person = measured.person\n"
    return (
        "WITH "
        + ",\n".join(parts)
        + f"\nSELECT measured.person FROM measured\n{joins}WHERE {as_condition(term)}"
    )


class _RuleCompiler(Compiler):
    """Compiles a rule, collecting what has to be measured of each person."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground.schema, ground.timezone, _NODES)
        self.ground = ground
        self.measures: dict[str, str] = {}
        """Aggregate → its name."""
        self.sequences: list[Callable[[str], str]] = []

    def measure(self, sql: str) -> str:
        """The name of an aggregate, the same for the same."""
        return self.measures.setdefault(sql, f"measure_{len(self.measures)}")


def _latest(compiler: Compiler, node: Expr) -> Term:
    """A property as the person's latest known value."""
    assert isinstance(compiler, _RuleCompiler)
    term = names.named(compiler, node)
    # Two people's events are never compared, so the place in the export settles what times leave open.
    moment = ", ".join(
        "coalesce(sequence, -9223372036854775807)" if name == "sequence" else name
        for name in ("ts", *compiler.schema.order)
    )
    latest = f"arg_max({term.sql}, ({moment})) FILTER (WHERE {term.sql} IS NOT NULL)"
    return Term(compiler.measure(latest), term.kind)


def _behaviour(compiler: Compiler, node: Expr) -> Term:
    """A function over what a person did."""
    assert isinstance(compiler, _RuleCompiler)
    name = str(node.this).lower() if isinstance(node.this, str) else ""
    known = _FUNCTIONS.get(name)
    if known is None:
        near = hint(name, _FUNCTIONS) or f"there are {', '.join(_FUNCTIONS)}, and the functions of --where"
        raise QuestionError(f"unknown function {shown(name)} in a rule", near)
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
                raise QuestionError(f"{name}() is given {key} twice")
            named[key] = compiler.text_literal(argument.expression, f"{key} of {name}()")
        elif named:
            raise QuestionError(f"{name}(): {' and '.join(named)} stands behind the names")
        else:
            positional.append(compiler.text_literal(argument, f"what {name}() is about"))
    if not texts[0] <= len(positional) <= texts[1]:
        raise QuestionError(f"{name}() takes {_TAKES[name]}", _EXAMPLE)
    return function(compiler, positional, named)


def _events(compiler: _RuleCompiler, event: str, named: Mapping[str, str]) -> str:
    """The condition for the events a function is about."""
    ground = compiler.ground
    found = ranges.resolve(
        named.get("since"), named.get("until"), named.get("last"), ground.as_of, ranges.zone(ground.timezone)
    )
    conditions = [f"({matches(parse_step(event), ground.schema, ground.timezone)})"]
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


def _added(aggregate: str) -> Callable[[_RuleCompiler, Sequence[str], Mapping[str, str]], Term]:
    def added(compiler: _RuleCompiler, positional: Sequence[str], named: Mapping[str, str]) -> Term:
        term = _value_of(compiler, positional[1])
        if term.kind not in (*NUMERIC, "json"):
            raise QuestionError(f"{shown(positional[1])} is a {WORDS[term.kind]}, not a number")
        where = _events(compiler, positional[0], named)
        number = f"TRY_CAST({term.sql} AS DOUBLE)"
        return Term(compiler.measure(f"{aggregate}({number}) FILTER (WHERE {where})"), "number")

    return added


def _distinct_of(compiler: _RuleCompiler, positional: Sequence[str], named: Mapping[str, str]) -> Term:
    term = _value_of(compiler, positional[1])
    where = _events(compiler, positional[0], named)
    return Term(compiler.measure(f"count(DISTINCT {term.sql}) FILTER (WHERE {where})"), "integer")


def _sequence(compiler: _RuleCompiler, positional: Sequence[str], named: Mapping[str, str]) -> Term:
    span = ranges.parse_duration(named["within"]) if "within" in named else None
    steps = [
        matches(parse_step(text), compiler.ground.schema, compiler.ground.timezone) for text in positional
    ]
    number = len(compiler.sequences)
    order = compiler.schema.order
    compiler.sequences.append(lambda events: _sequence_sql(events, steps, span, order))
    return Term(f"coalesce(sequence_{number}.found, FALSE)", "boolean")


def _sequence_sql(events: str, steps: Sequence[str], span: int | None, order: Sequence[str]) -> str:
    """People who did the steps in order: each step takes the latest first step that reached the one before.

    A later first step dominates an earlier one, so one a step is exact; equal times are in the order of steps.
    """
    first = "CASE " + " ".join(f"WHEN {step} THEN {place}" for place, step in enumerate(steps)) + " END"
    ties = ", ".join(order)
    does = ", ".join(f"({step}) AS does_{place}" for place, step in enumerate(steps))
    window = (
        f"PARTITION BY person ORDER BY ts, {first}, {ties} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    )
    wanted = " OR ".join(f"({step})" for step in steps)
    sql = f"  SELECT *, {does}, CASE WHEN ({steps[0]}) THEN ts END AS entry_0\n  FROM {events} WHERE {wanted}"
    for place in range(1, len(steps)):
        inside = "" if span is None else f" AND ts - entered_{place} <= {span}"
        sql = (
            f"  SELECT *, CASE WHEN does_{place}{inside} THEN entered_{place} END AS entry_{place}\n"
            f"  FROM (\n    SELECT *, max(entry_{place - 1}) OVER ({window}) AS entered_{place}\n"
            f"    FROM (\n{sql}\n)\n  )"
        )
    last = f"entry_{len(steps) - 1}"
    return f"  SELECT person, TRUE AS found FROM (\n{sql}\n  )\n  WHERE {last} IS NOT NULL GROUP BY person"


_FUNCTIONS: Mapping[
    str,
    tuple[
        Callable[[_RuleCompiler, Sequence[str], Mapping[str, str]], Term], tuple[int, int], tuple[str, ...]
    ],
] = {
    "did": (_did, (1, 1), _RANGE),
    "first_did": (_first_did, (1, 1), _RANGE),
    "sequence": (_sequence, (2, 10), ("within",)),
    "total_of": (_added("sum"), (2, 2), _RANGE),
    "avg_of": (_added("avg"), (2, 2), _RANGE),
    "distinct_of": (_distinct_of, (2, 2), _RANGE),
}
"""Each function, how many texts it takes, and its options."""
_TAKES = {
    "did": "an event",
    "first_did": "an event",
    "sequence": "two to ten events",
    **dict.fromkeys(("total_of", "avg_of", "distinct_of"), "an event and a property"),
}
_NODES = {
    **expression.NODES,
    **{
        key: (_latest, frozenset({"this", "table", "db", "catalog", "expression"}))
        for key in ("column", "dot")
    },
    "anonymous": (_behaviour, frozenset({"this", "expressions"})),
}
