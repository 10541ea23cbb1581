"""Guesses which column of a table is which canonical column, from names, types and a look at the values."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from workbench.sources import duck_types, times
from workbench.sources.canonical import is_id, kind_of
from workbench.sources.duck_types import Typed, quote
from workbench.workspace import ANY_TIME

LOOKED_AT = 20_000
"""Rows of a table that are looked at; counts of repeated order ids are over these."""
MOST_EVENTS = 300
"""A column with more texts than this is no event's name."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the first rows of one column show."""

    name: str
    type: str
    rows: int
    count: int
    """Values that are there."""
    distinct: int
    times: float
    """Share of the values that can be times."""
    numbers: float
    """Share of the values that are numbers."""
    below_zero: bool


@dataclass(frozen=True, slots=True)
class Guess:
    """A column taken for a canonical one."""

    canonical: str
    column: str
    sure: bool
    """The whole name is one we know; else only its last words are."""


@cache
def _names() -> Mapping[str, Mapping[str, Sequence[str]]]:
    text = files("workbench.sources").joinpath("column_names.toml").read_text("utf-8")
    return tomllib.loads(text)


def plain(name: str) -> str:
    """A name as the list of names spells it: words in lower case joined by ``_``."""
    folded = unicodedata.normalize("NFKC", name).strip()
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", folded)
    return re.sub(r"[\W_]+", "_", words).strip("_").casefold()


def looks_sql(columns: Sequence[Typed], scan: str) -> str:
    """The statement whose one row :func:`looks` reads: five figures a column, after the number of rows."""
    terms = ["count(*)"]
    for column in columns:
        value = column.sql
        if duck_types.is_nested(column.type) or duck_types.is_nothing(column.type):
            terms += [f"count({value})", "0", "0", "0", "false"]
            continue
        number = f"TRY_CAST({duck_types.text(column)} AS DOUBLE)"
        terms += [f"count(nullif(CAST({value} AS VARCHAR), ''))", f"count(DISTINCT {value})", _times(column)]
        terms += [f"count({number})", f"coalesce(min({number}) < 0, false)"]
    return f"SELECT {', '.join(terms)} FROM (SELECT * FROM {scan} LIMIT {LOOKED_AT}) AS f"


def looks(columns: Sequence[Typed], names: Sequence[str], row: Sequence[object]) -> dict[str, Look]:
    """Column name → what was seen of it."""
    rows = int(str(row[0]))
    out = {}
    for place, (name, column) in enumerate(zip(names, columns, strict=True)):
        count, distinct, stamps, numbers = (int(str(value)) for value in row[1 + 5 * place : 5 + 5 * place])
        given = max(count, 1)
        below = bool(row[5 + 5 * place])
        out[name] = Look(name, column.type, rows, count, distinct, stamps / given, numbers / given, below)
    return out


def guesses(seen: Mapping[str, Look]) -> dict[str, Guess]:
    """Canonical name → guess; each column is taken once, whole names before last words."""
    out: dict[str, Guess] = {}
    used: set[str] = set()
    for sure in (True, False):
        for canonical, known in _names()["columns"].items():
            if canonical in out:
                continue
            best = [
                (rank, place, name)
                for place, (name, look) in enumerate(seen.items())
                if name not in used and _fits(canonical, look)
                for rank in [_rank(plain(name), known, whole=sure)]
                if rank is not None
            ]
            if best:
                name = min(best)[2]
                out[canonical] = Guess(canonical, name, sure)
                used.add(name)
    return out


def roles(events: Sequence[str]) -> dict[str, str]:
    """Role → event name, from the names that occur."""
    by_plain: dict[str, str] = {}
    for event in events:
        by_plain.setdefault(plain(event), event)
    out = {}
    for role, known in _names()["roles"].items():
        found = next((by_plain[name] for name in known if name in by_plain), None)
        if found is not None:
            out[role] = found
    return out


def _rank(name: str, known: Sequence[str], *, whole: bool) -> int | None:
    """The place of a name in the list; if not whole, by its last words (in Chinese, by what it holds)."""
    if whole:
        bare = name.replace("_", "")
        return next(
            (n for n, word in enumerate(known) if name == word or bare == word.replace("_", "")), None
        )
    return next(
        (
            n
            for n, word in enumerate(known)
            if len(word) > 1 and (name.endswith("_" + word) or (not word.isascii() and word in name))
        ),
        None,
    )


def _fits(canonical: str, look: Look) -> bool:
    """Whether a column's type and values can be the canonical column's."""
    if duck_types.is_nested(look.type):
        return False
    kind = kind_of(canonical)
    is_time = duck_types.is_time(look.type) or look.type == "DATE"
    if kind == "time":
        return look.count > 0 and look.times > 0.9
    if is_time:
        return False
    if canonical == "event":
        return look.type == "VARCHAR" and 0 < look.distinct <= MOST_EVENTS and look.numbers < 0.5
    if kind in ("money", "integer"):
        return look.count == 0 or look.numbers > 0.9
    if is_id(canonical) or canonical.endswith("_id"):
        return look.type not in ("BOOLEAN",) and look.count > 0
    return True


def _times(column: Typed) -> str:
    """How many values can be times; numbers count where one unit puts them between 2000 and 2100."""
    if duck_types.is_time(column.type) or column.type == "DATE":
        return f"count({column.sql})"
    seen = times.look(column, ANY_TIME)
    if duck_types.is_number(column.type):
        return f"greatest({', '.join(seen[1:5])})"
    if column.type == "VARCHAR":
        return f"greatest({seen[5]}, {', '.join(seen[7:11])})"
    return "0"


def event_names_sql(column: str, scan: str) -> str:
    """The statement that lists the event names of a table, most frequent first."""
    return (
        f"SELECT CAST({quote(column)} AS VARCHAR) FROM {scan} WHERE {quote(column)} IS NOT NULL "
        f"GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {MOST_EVENTS}"
    )
