"""Which column, or key of JSON inside a column, a name in an expression stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from queries.expression_compiler import Compiler, refusal
from queries.expression_terms import Term
from queries.question import Column, QuestionError
from queries.quoting import quote_identifier, quote_literal
from queries.suggest import hint, shown

if TYPE_CHECKING:
    from sqlglot.expressions.core import Expr


def column_term(compiler: Compiler, column: Column) -> Term:
    """A column as expressions see it."""
    compiler.columns.add(column.name)
    name = quote_identifier(column.name)
    match column.kind:
        case "money":
            decimals = compiler.schema.money_decimals
            major = f"CAST({name} AS DOUBLE)"
            return Term(f"({major} / 1e{decimals})" if decimals else major, "number")
        case "number":
            return Term(f"CAST({name} AS DOUBLE)", "number")
        case "integer" | "boolean" | "time":
            return Term(name, column.kind)
        case "text":
            return Term(name, "id" if _is_id(column.name) else "text")
        case "json":
            return Term(name, "text")


def named(compiler: Compiler, node: Expr) -> Term:
    """The column that a plain or dotted name means, or the key inside a column of JSON."""
    identifiers = _identifiers(node)
    parts = [str(part.this) for part in identifiers]
    whole = _find(compiler, ".".join(parts))
    if whole is not None:
        return column_term(compiler, whole)
    for length in range(len(parts) - 1, 0, -1):
        holder = _find(compiler, ".".join(parts[:length]))
        if holder is None:
            continue
        if holder.kind != "json":
            raise QuestionError(f"{shown(holder.name)} holds no {shown(parts[length])}: it is no JSON")
        compiler.columns.add(holder.name)
        return _json_key(holder.name, parts[length:])
    raise _unknown(compiler, parts, identifiers[0])


def _find(compiler: Compiler, name: str) -> Column | None:
    columns = compiler.schema.columns
    if name in columns:
        return columns[name]
    same = [column for other, column in columns.items() if other.casefold() == name.casefold()]
    if len(same) > 1:
        names = " or ".join(shown(column.name) for column in same)
        raise QuestionError(f"property {shown(name)} is not unique", f"write {names} in double quotes")
    return same[0] if same else None


def _unknown(compiler: Compiler, parts: Sequence[str], first: Expr) -> QuestionError:
    name = ".".join(parts)
    start = first.meta.get("start")
    where = f" (character {start + 1})" if isinstance(start, int) else ""
    near = hint(name, compiler.schema.columns)
    holders = [
        column.name
        for column in compiler.schema.columns.values()
        if column.kind == "json" and column.name.isprintable()
    ]
    if len(parts) == 1 and name.isprintable() and len(name) <= 60:
        if first.args.get("quoted"):
            near = f"text stands in single quotes: {quote_literal(name)}"
        elif near is not None:
            near += f" Text stands in single quotes: {quote_literal(name)}"
        elif holders:
            near = f"a key of JSON is written {holders[0]}.{name}"
    return QuestionError(
        f"unknown property {shown(name)}{where}", near or "`workbench properties` lists what there is"
    )


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
            raise refusal(part)
    return parts


def _is_id(name: str) -> bool:
    """Whether a name says that its values are ids: text, even where they look like numbers."""
    folded = name.casefold()
    return folded == "id" or folded.endswith("_id") or folded.startswith("ids.")


def _json_key(column: str, keys: Sequence[str]) -> Term:
    """A key inside a column of JSON text, as text; NULL where the text is no JSON."""
    if any(key in ("", "*") for key in keys):
        # In a path a star means every key, and no key may be empty; a pointer takes both as they are.
        path = "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)
    else:
        escaped = (key.replace("\\", "\\\\").replace('"', '\\"') for key in keys)
        path = "$" + "".join(f'."{key}"' for key in escaped)
    name = quote_identifier(column)
    sql = f"CASE WHEN json_valid({name}) THEN json_extract_string({name}, {quote_literal(path)}) END"
    return Term(sql, "id" if _is_id(keys[-1]) else "json")
