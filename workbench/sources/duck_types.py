"""Reads DuckDB's type names and reaches into nested columns: one path works on JSON text and structs."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from queries.question import ColumnKind
from workbench.workspace import DecimalMark

_INTEGERS = frozenset(["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"])
_WIDE = frozenset(["UBIGINT", "HUGEINT", "UHUGEINT"])
_TIMES = frozenset(
    (
        "TIMESTAMP",
        "TIMESTAMP_S",
        "TIMESTAMP_MS",
        "TIMESTAMP_NS",
        "TIMESTAMP WITH TIME ZONE",
        "TIMESTAMPTZ",
        "TIMESTAMPTZ_NS",
    )
)
_NOTHING = frozenset(('"NULL"', "NULL"))
_BRACKETS = r"(?:\[[\w$. -]+\])"
_PATH = re.compile(rf"[^.\[\]]*[^.\[\]\s]{_BRACKETS}*(\.[^.\[\]]*[^.\[\]\s]{_BRACKETS}*)*")
_FIELD = re.compile(r'\s*("(?:[^"]|"")*"|[^\s(),]+)\s+')


def quote(name: str) -> str:
    """A name as SQL writes it; safe for any text."""
    return '"' + name.replace("\0", "").replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it; safe for any text."""
    return "'" + text.replace("\0", "").replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Typed:
    """A SQL expression and the DuckDB type it has."""

    sql: str
    type: str


def is_nested(type_: str) -> bool:
    """Whether a type holds others: JSON counts."""
    return (
        type_ == "JSON" or type_.endswith("]") or type_.startswith(("STRUCT(", "MAP(", "UNION(", "VARIANT"))
    )


def is_integer(type_: str) -> bool:
    """Whether a type is a whole number, of any width."""
    return type_ in _INTEGERS or type_ in _WIDE


def is_number(type_: str) -> bool:
    """Whether a type is a number."""
    return is_integer(type_) or type_ in ("DOUBLE", "FLOAT") or type_.startswith("DECIMAL(")


def is_time(type_: str) -> bool:
    """Whether a type is a moment, with or without zone; a DATE is not."""
    return type_ in _TIMES


def is_nothing(type_: str) -> bool:
    """Whether a column's type says that it never held a value."""
    return type_ in _NOTHING


def kind_of_type(type_: str) -> ColumnKind | None:
    """The kind of a property; None for a column that never held a value."""
    if is_nothing(type_):
        return None
    if is_nested(type_):
        return "json"
    if is_time(type_):
        return "time"
    if type_ == "BOOLEAN":
        return "boolean"
    if type_ in _INTEGERS:
        return "integer"
    return "number" if is_number(type_) else "text"


def fields_of(type_: str) -> dict[str, str] | None:
    """Name → type of a struct's fields; None for any other type."""
    if not type_.startswith("STRUCT(") or not type_.endswith(")"):
        return None
    fields: dict[str, str] = {}
    for part in _split(type_[len("STRUCT(") : -1]):
        found = _FIELD.match(part)
        if found is None:
            return None
        name = found[1]
        if name.startswith('"'):
            name = name[1:-1].replace('""', '"')
        fields[name] = part[found.end() :].strip()
    return fields


def reach(column: Typed, path: Sequence[str]) -> Typed | None:
    """What lies under a column along a path; None where the type says that nothing does.

    JSON text gives VARCHAR, NULL where the text is not JSON or the path leads nowhere; a struct gives its
    field's own type. Names of fields are matched exactly, else without case. A step in brackets takes one
    element of a list: ``[0]`` the first, ``[name]`` the value of the record whose ``key`` is ``name``.
    """
    if not path:
        return column
    if _in_brackets(path[0]):
        return _element(column, path[0][1:-1], path[1:])
    if column.type in ("JSON", "VARCHAR"):
        cut = next((place for place, step in enumerate(path) if _in_brackets(step)), len(path))
        pointer = literal("".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path[:cut]))
        if cut == len(path):
            return Typed(f"TRY(json_extract_string({column.sql}, {pointer}))", "VARCHAR")
        return reach(Typed(f"TRY(json_extract({column.sql}, {pointer}))", "JSON"), path[cut:])
    if column.type.startswith("MAP("):
        parts = _split(column.type[len("MAP(") : -1])
        if len(parts) != 2 or parts[0].strip() != "VARCHAR":
            return None
        return reach(Typed(f"{column.sql}[{literal(path[0])}]", parts[1].strip()), path[1:])
    fields = fields_of(column.type)
    if fields is None:
        return None
    name = match(path[0], fields)
    if name is None:
        return None
    return reach(Typed(f"struct_extract({column.sql}, {literal(name)})", fields[name]), path[1:])


def steps(path: str) -> list[str]:
    """The steps of a dotted path; brackets behind a name are steps of their own: ``a.b[0]`` → a, b, [0]."""
    if "[" not in path or _PATH.fullmatch(path) is None:
        return path.split(".")
    return re.findall(r"\[[^\[\]]+\]|[^.\[\]]+", path)


def _in_brackets(step: str) -> bool:
    return step.startswith("[") and step.endswith("]")


def elements(column: Typed) -> Typed | None:
    """A list column, a JSON array, or a list as BigQuery writes it to Parquet, as a DuckDB list; else None."""
    if column.type in ("JSON", "VARCHAR"):
        return Typed(f"TRY(json_extract({column.sql}, '$[*]'))", "JSON[]")
    if column.type.endswith("[]"):
        return column
    inner = (fields_of(column.type) or {}).get("list")
    if inner is None or not inner.endswith("[]") or len(fields_of(column.type) or {}) != 1:
        return None
    element = (fields_of(inner[:-2]) or {}).get("element")
    if element is None:
        return None
    inside = f"struct_extract({column.sql}, 'list')"
    return Typed(f"list_transform({inside}, lambda w: struct_extract(w, 'element'))", f"{element}[]")


def _element(column: Typed, which: str, rest: Sequence[str]) -> Typed | None:
    """What lies along the rest of a path under one element of a list."""
    listed = elements(column)
    if listed is None:
        return None
    kind = listed.type[:-2]
    if which.isdigit():
        return reach(Typed(f"({listed.sql})[{int(which) + 1}]", kind), rest)
    if kind == "JSON":
        named = f"list_filter({listed.sql}, lambda e: json_extract_string(e, '/key') = {literal(which)})"
        record = Typed("TRY(json_extract(e, '/value'))", "JSON")
    else:
        fields = fields_of(kind) or {}
        if not {"key", "value"} <= set(fields):
            return None
        named = f"list_filter({listed.sql}, lambda e: struct_extract(e, 'key') = {literal(which)})"
        record = Typed("struct_extract(e, 'value')", fields["value"])
    value = reach(record, rest) if rest else _one_value(record)
    if value is None:
        return None
    return Typed(f"list_transform({named}[:1], lambda e: {value.sql})[1]", value.type)


_VALUES = ("string_value", "int_value", "float_value", "double_value")


def _one_value(value: Typed) -> Typed:
    """The one of a record's typed values that is set, as text; a value without such fields as it is."""
    if value.type == "JSON":
        inner = [f"json_extract_string({value.sql}, '/{name}')" for name in _VALUES]
        plain = f"CASE WHEN json_type({value.sql}) <> 'OBJECT' THEN json_extract_string({value.sql}, '$') END"
        return Typed(f"coalesce({', '.join([*inner, plain])})", "VARCHAR")
    fields = fields_of(value.type) or {}
    there = [name for name in _VALUES if name in fields]
    if not there:
        return value
    texts = [text(Typed(f"struct_extract({value.sql}, '{name}')", fields[name])) for name in there]
    return Typed(f"coalesce({', '.join(texts)})", "VARCHAR")


def match(name: str, names: Collection[str]) -> str | None:
    """The name among others that is meant: the same, else the same without case."""
    if name in names:
        return name
    folded = name.casefold()
    return next((other for other in names if other.casefold() == folded), None)


def length(column: Typed) -> str:
    """The SQL for how many elements a list or JSON array has; NULL where it is none."""
    if column.type in ("JSON", "VARCHAR"):
        return f"TRY(CASE WHEN json_type({column.sql}) = 'ARRAY' THEN json_array_length({column.sql}) END)"
    listed = elements(column)
    return "NULL" if listed is None else f"len({listed.sql})"


def text(column: Typed) -> str:
    """The SQL for a value as VARCHAR; whole floats lose their ``.0``, JSON text its quotes."""
    if column.type == "VARCHAR":
        return column.sql
    if column.type in ("DOUBLE", "FLOAT"):
        whole = f"CASE WHEN {column.sql} = trunc({column.sql}) THEN TRY_CAST({column.sql} AS BIGINT) END"
        return f"coalesce(CAST({whole} AS VARCHAR), CAST({column.sql} AS VARCHAR))"
    if column.type == "JSON":
        return f"coalesce(TRY(json_extract_string({column.sql}, '$')), CAST({column.sql} AS VARCHAR))"
    if is_nested(column.type):
        return json_text(column)
    return f"CAST({column.sql} AS VARCHAR)"


def json_text(column: Typed) -> str:
    """The SQL for a nested value as JSON text."""
    if column.type in ("JSON", "VARCHAR"):
        return f"CAST({column.sql} AS VARCHAR)"
    return f"CAST(to_json({column.sql}) AS VARCHAR)"


def integer(column: Typed) -> str:
    """The SQL for a value as BIGINT, half away from zero; NULL where it is no number of that size."""
    if column.type == "BIGINT":
        return column.sql
    if column.type in ("DOUBLE", "FLOAT"):
        return f"TRY_CAST(round({column.sql}) AS BIGINT)"
    if is_number(column.type) or column.type in ("VARCHAR", "BOOLEAN"):
        return f"TRY_CAST({column.sql} AS BIGINT)"
    return f"TRY_CAST({text(column)} AS BIGINT)"


_CURRENCY = r"(?:[¥￥$€£]|CNY|RMB|USD)"


def written_amount(text_: str, mark: DecimalMark = ".") -> str:
    """The SQL for an amount as people write it, as a plain number's text; NULL where it is none.

    One currency sign before or behind is left out, and the separators of thousands where they stand in groups
    of three.
    """
    thousands, point = (",", r"\.") if mark == "." else (r"\.", ",")
    body = rf"(?:[0-9]{{1,3}}(?:{thousands}[0-9]{{3}})+|[0-9]+)(?:{point}[0-9]*)?"
    before, behind = rf"[-+]?\s*{_CURRENCY}?\s*{body}", rf"[-+]?{body}\s*{_CURRENCY}"
    pattern = literal(rf"(?i)\s*(?:{before}|{behind}|{_CURRENCY}\s*[-+]{body})\s*")
    digits = f"regexp_replace({text_}, {literal(f'[^0-9{mark}+-]')}, '', 'g')"
    plain = digits if mark == "." else f"replace({digits}, ',', '.')"
    return f"CASE WHEN regexp_full_match({text_}, {pattern}) THEN {plain} END"


def money(column: Typed, decimals: int, *, minor: bool, mark: DecimalMark = ".") -> str:
    """The SQL for an amount as BIGINT minor units, half away from zero; NULL where it is none.

    ``minor`` says that the values are minor units already, ``mark`` what stands before the decimals of text.
    A float is read as the decimal it prints as, up to
    four digits below the minor unit, so that 1.005 is a half and not a little less.
    """
    scale = 0 if minor else decimals
    factor = 10**scale
    if column.type in ("DOUBLE", "FLOAT"):
        scaled = f"CAST({column.sql} AS DOUBLE) * {factor}::DOUBLE"
        return f"TRY_CAST(round(round({scaled}, 4)) AS BIGINT)"
    if is_number(column.type):
        return f"TRY_CAST(TRY_CAST({column.sql} AS DECIMAL(24, {scale})) * {factor} AS BIGINT)"
    value = text(column)
    # An expression of a shape counts as text and may be a number.
    as_text = f"CAST({value} AS VARCHAR)"
    number = f"TRY_CAST({written_amount(as_text, mark)} AS DECIMAL(24, {scale}))"
    if mark == ".":
        # Most text holds plain numbers: only the rest is taken apart.
        number = f"coalesce(TRY_CAST({value} AS DECIMAL(24, {scale})), {number})"
    return f"TRY_CAST({number} * {factor} AS BIGINT)"


def _split(text_: str) -> list[str]:
    """The parts between top-level commas."""
    parts, depth, start, quoted = [], 0, 0, False
    for index, char in enumerate(text_):
        if char == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text_[start:index])
            start = index + 1
    return [*parts, text_[start:]]
