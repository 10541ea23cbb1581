"""``--fail-if``: a small SQL-like condition over an answer, so that a script can stop at a number."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError
from workbench.values import Plain, plain

if TYPE_CHECKING:
    from sqlglot import exp

    from queries.question import Row

OPTION = "--fail-if"
TOTALS = "totals"
MAXIMUM = 2000
"""Characters of a condition: what is longer is no condition somebody wrote."""

_WHAT = (
    "compare a column (rate_from_first < 0.2) or a total (totals.users < 100), "
    "with and, or, not, in, between, is null"
)

_Number = int | float
_Evaluate = Callable[["exp.Expr", "_Scope"], Plain]
_Compare = Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class _Scope:
    row: Row
    totals: Mapping[str, object]


def met(
    expression: str, rows: Iterable[Row], totals: Mapping[str, object], columns: Sequence[str] | None = None
) -> Row | None:
    """The first row for which the condition is true, or None.

    Names are columns of the rows, ``totals.x`` reaches the totals. Anything compared with null is unknown,
    and unknown is not met. A condition on totals alone needs no row: met, it gives the first row or an empty
    one. Names are looked for in the first row and in ``columns``, which also serve where there is no row.
    Raises UsageError for what is no such condition, for unknown names and for text compared with numbers.
    """
    tree = _parse(expression)
    left = iter(rows)
    first: Row | None = next(left, None)
    asks_rows = False
    for path in _paths(tree):
        if path[0].lower() == TOTALS:
            _know(path[1:], totals, f"{TOTALS}.")
            continue
        asks_rows = True
        if columns is not None or first is not None:
            _know(path, dict.fromkeys([*(columns or ()), *(first or ())]), "")
    if not asks_rows:
        return (first or {}) if _truth(tree, _Scope(first or {}, totals)) else None
    candidates = () if first is None else chain((first,), left)
    return next((row for row in candidates if _truth(tree, _Scope(row, totals))), None)


def check_expression(expression: str) -> None:
    """Raises UsageError for what is no condition; asked before the work begins. Names are checked later."""
    _parse(expression)


def _parse(expression: str) -> exp.Expr:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import ParseError, SqlglotError

    if len(expression) > MAXIMUM:
        raise UsageError(f"{OPTION}: longer than {MAXIMUM:,} characters")
    try:
        tree = sqlglot.parse_one(expression, into=exp.Condition, read="duckdb")
        allowed = _evaluators()
        for node in tree.walk():
            if (type(node) not in allowed and not isinstance(node, exp.Identifier)) or _is_more(node):
                raise UsageError(f"{OPTION}: {node.key} is not part of a condition", _WHAT)
    except ParseError as error:
        where = error.errors[0] if error.errors else {}
        at = f" at character {where['col']}" if where.get("col") else ""
        raise UsageError(f"{OPTION}: cannot read {expression!r}{at}", _WHAT) from error
    except (SqlglotError, RecursionError) as error:
        raise UsageError(f"{OPTION}: cannot read {expression!r}", _WHAT) from error
    return tree


def _is_more(node: exp.Expr) -> bool:
    # Forms that share a node with allowed ones: ``x in y`` without a list, ``between symmetric``.
    return (node.key == "in" and not node.expressions) or bool(node.args.get("symmetric"))


def _truth(tree: exp.Expr, scope: _Scope) -> bool:
    try:
        return _boolean(_evaluate(tree, scope)) is True
    except RecursionError as error:
        raise UsageError(f"{OPTION}: nested too deeply") from error


def _paths(tree: exp.Expr) -> list[tuple[str, ...]]:
    from sqlglot import exp

    return [tuple(part.name for part in column.parts) for column in tree.find_all(exp.Column)]


def _know(path: tuple[str, ...], names: Mapping[str, object], before: str) -> None:
    """Refuses a name that is not there, saying which one was probably meant."""
    wanted = path[0] if path else ""
    if _key(names, wanted) is not None:
        return
    near = difflib.get_close_matches(wanted, [str(name) for name in names], n=1)
    if near:
        hint = f"did you mean {before}{near[0]}?"
    else:
        hint = f"there are {', '.join(before + str(name) for name in names)}; text stands in single quotes"
    raise UsageError(f"{OPTION}: unknown name {before}{wanted}", hint)


def _key(names: Mapping[str, object], wanted: str) -> str | None:
    if wanted in names:
        return wanted
    return next((name for name in names if name.lower() == wanted.lower()), None)


def _evaluate(node: exp.Expr, scope: _Scope) -> Plain:
    return _evaluators()[type(node)](node, scope)


def _column(node: exp.Expr, scope: _Scope) -> Plain:
    path = [part.name for part in node.parts]  # type: ignore[attr-defined]
    value: object = scope.row
    if path[0].lower() == TOTALS:
        value, path = scope.totals, path[1:]
    for name in path:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise UsageError(f"{OPTION}: nothing named {name} inside {node.sql()}")
        key = _key(value, name)
        value = None if key is None else value[key]
    found = plain(value)
    if isinstance(found, list | dict):
        raise UsageError(f"{OPTION}: {node.sql()} holds more than one value")
    return found


def _literal(node: exp.Expr, scope: _Scope) -> Plain:
    text: str = node.this
    if node.is_string:
        return text
    return int(text) if text.isdecimal() else float(text)


def _and(node: exp.Expr, scope: _Scope) -> Plain:
    sides = [_boolean(_evaluate(side, scope)) for side in (node.left, node.right)]  # type: ignore[attr-defined]
    return False if False in sides else None if None in sides else True


def _or(node: exp.Expr, scope: _Scope) -> Plain:
    sides = [_boolean(_evaluate(side, scope)) for side in (node.left, node.right)]  # type: ignore[attr-defined]
    return True if True in sides else None if None in sides else False


def _not(node: exp.Expr, scope: _Scope) -> Plain:
    value = _boolean(_evaluate(node.this, scope))
    return None if value is None else not value


def _is(node: exp.Expr, scope: _Scope) -> Plain:
    left, right = _evaluate(node.this, scope), _evaluate(node.expression, scope)
    if right is None:
        return left is None
    return _boolean(left) is _boolean(right)


def _in(node: exp.Expr, scope: _Scope) -> Plain:
    value = _evaluate(node.this, scope)
    found = [_compare(operator.eq, value, _evaluate(each, scope)) for each in node.expressions]
    return True if True in found else None if None in found else False


def _between(node: exp.Expr, scope: _Scope) -> Plain:
    value = _evaluate(node.this, scope)
    above = _compare(operator.ge, value, _evaluate(node.args["low"], scope))
    below = _compare(operator.le, value, _evaluate(node.args["high"], scope))
    return False if False in (above, below) else None if None in (above, below) else True


def _negative(node: exp.Expr, scope: _Scope) -> Plain:
    value = _number(_evaluate(node.this, scope))
    return None if value is None else -value


def _absolute(node: exp.Expr, scope: _Scope) -> Plain:
    value = _number(_evaluate(node.this, scope))
    return None if value is None else abs(value)


def _coalesce(node: exp.Expr, scope: _Scope) -> Plain:
    values = (_evaluate(each, scope) for each in (node.this, *node.expressions))
    return next((value for value in values if value is not None), None)


def _inside(node: exp.Expr, scope: _Scope) -> Plain:
    return _evaluate(node.this, scope)


def _comparison(compare: _Compare) -> _Evaluate:
    def evaluate(node: exp.Expr, scope: _Scope) -> Plain:
        return _compare(compare, _evaluate(node.this, scope), _evaluate(node.expression, scope))

    return evaluate


def _arithmetic(calculate: Callable[[_Number, _Number], _Number]) -> _Evaluate:
    def evaluate(node: exp.Expr, scope: _Scope) -> Plain:
        left, right = _number(_evaluate(node.this, scope)), _number(_evaluate(node.expression, scope))
        if left is None or right is None:
            return None
        try:
            return plain(calculate(left, right))
        except ZeroDivisionError:
            return None
        except OverflowError as error:
            raise UsageError(f"{OPTION}: {node.sql()} is too large a number") from error

    return evaluate


def _evaluators() -> Mapping[type[exp.Expr], _Evaluate]:
    """Everything a condition may hold: the allow list."""
    if not _EVALUATORS:
        from sqlglot import exp

        _EVALUATORS.update(
            {
                exp.Column: _column,
                exp.Literal: _literal,
                exp.Boolean: lambda node, scope: bool(node.this),
                exp.Null: lambda node, scope: None,
                exp.Paren: _inside,
                exp.And: _and,
                exp.Or: _or,
                exp.Not: _not,
                exp.Is: _is,
                exp.In: _in,
                exp.Between: _between,
                exp.Neg: _negative,
                exp.Abs: _absolute,
                exp.Coalesce: _coalesce,
                exp.EQ: _comparison(operator.eq),
                exp.NEQ: _comparison(operator.ne),
                exp.LT: _comparison(operator.lt),
                exp.LTE: _comparison(operator.le),
                exp.GT: _comparison(operator.gt),
                exp.GTE: _comparison(operator.ge),
                exp.Add: _arithmetic(operator.add),
                exp.Sub: _arithmetic(operator.sub),
                exp.Mul: _arithmetic(operator.mul),
                exp.Div: _arithmetic(operator.truediv),
            }
        )
    return _EVALUATORS


_EVALUATORS: dict[type[exp.Expr], _Evaluate] = {}


def _compare(compare: _Compare, left: Plain, right: Plain) -> bool | None:
    if left is None or right is None:
        return None
    if _sort(left) != _sort(right):
        raise UsageError(f"{OPTION}: cannot compare {_sort(left)} with {_sort(right)}")
    return compare(left, right)


def _sort(value: Plain) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "text" if isinstance(value, str) else "a number"


def _number(value: Plain) -> _Number | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise UsageError(f"{OPTION}: cannot calculate with {_sort(value)}")


def _boolean(value: Plain) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise UsageError(f"{OPTION}: {_sort(value)} where a condition is needed", _WHAT)
