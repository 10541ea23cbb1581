"""Guesses which column of a table is which canonical column, from names, types and a look at the values."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from workbench.sources import duck_types, times
from workbench.sources.canonical import is_id, kind_of
from workbench.sources.duck_types import Typed, quote
from workbench.sources.grouping import Sample
from workbench.workspace import ANY_TIME

LOOKED_AT = 20_000
"""Rows of a table that are looked at; counts of repeated order ids are over these."""
MOST_TIMES = 2_000
"""Different texts of a column that are looked at for the form of a time."""
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
    written: float = 0.0
    """Share of the values that are amounts as people write them, and no plain numbers."""
    commas: int = 0
    """Values with two digits behind a decimal comma: 1.234,50 €."""
    against: int = 0
    """Amounts that cannot be read with a decimal comma and can be without."""
    continental: float = 0.0
    """Share of the values that are amounts where the comma is a decimal one."""

    @property
    def decimal_comma(self) -> bool:
        """Whether the values say without doubt that the comma is a decimal one."""
        return self.commas > 1 and not self.against


@dataclass(frozen=True, slots=True)
class UnreadTime:
    """A column of times that wants a format."""

    column: str
    example: str
    written: times.Written


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
    """The statement whose one row :func:`looks` reads: nine figures a column, after the number of rows."""
    terms = ["count(*)"]
    for column in columns:
        value = column.sql
        if duck_types.is_nested(column.type) or duck_types.is_nothing(column.type):
            terms += [f"count({value})", "0", "0", "0", "false", "0", "0", "0", "0"]
            continue
        number = f"TRY_CAST({duck_types.text(column)} AS DOUBLE)"
        terms += [f"count(nullif(CAST({value} AS VARCHAR), ''))", f"count(DISTINCT {value})", _times(column)]
        terms += [f"count({number})", f"coalesce(min({number}) < 0, false)", *_written(column, number)]
    return f"SELECT {', '.join(terms)} FROM (SELECT * FROM {scan} LIMIT {LOOKED_AT}) AS f"


def looks(columns: Sequence[Typed], names: Sequence[str], row: Sequence[object]) -> dict[str, Look]:
    """Column name → what was seen of it."""
    rows = int(str(row[0]))
    out = {}
    for place, (name, column) in enumerate(zip(names, columns, strict=True)):
        figures = row[1 + 9 * place : 10 + 9 * place]
        count, distinct, stamps, numbers = (int(str(value)) for value in figures[:4])
        written, commas, against, continental = (int(str(value)) for value in figures[5:])
        given = max(count, 1)
        out[name] = Look(
            name,
            column.type,
            rows,
            count,
            distinct,
            stamps / given,
            numbers / given,
            bool(figures[4]),
            written / given,
            commas,
            against,
            continental / given,
        )
    return out


def guesses(seen: Mapping[str, Look]) -> dict[str, Guess]:
    """Canonical name → guess; each column is taken once, whole names before last words."""
    out: dict[str, Guess] = {}
    used: set[str] = set()
    # A time that reads throughout goes before one with a better name that does not.
    for sure, least in ((True, 0.9), (False, 0.9), (True, 0.5), (False, 0.5)):
        for canonical, known in _names()["columns"].items():
            if canonical in out or (least < 0.9 and kind_of(canonical) != "time"):
                continue
            best = [
                (rank, place, name)
                for place, (name, look) in enumerate(seen.items())
                if name not in used and _fits(canonical, look, least)
                for rank in [_rank(plain(name), known, whole=sure)]
                if rank is not None
            ]
            if best:
                name = min(best)[2]
                out[canonical] = Guess(canonical, name, sure)
                used.add(name)
    return out


def is_named(canonical: str, column: str) -> bool:
    """Whether a column's whole name is one that exports use for a canonical column."""
    return _rank(plain(column), _names()["columns"].get(canonical, ()), whole=True) is not None


def unread_time(seen: Mapping[str, Look], taken: Set[str], scan: str, sample: Sample) -> UnreadTime | None:
    """The text column named as a time whose values are one in no form that is read unasked, with that form."""
    for name, look in seen.items():
        if look.type != "VARCHAR" or not look.count or name in taken or not is_named("ts", name):
            continue
        rows = f"(SELECT {quote(name)} AS v FROM {scan} LIMIT {LOOKED_AT})"
        found = sample(f"SELECT DISTINCT v FROM {rows} WHERE trim(v) <> '' ORDER BY v LIMIT {MOST_TIMES}")
        values = [str(value) for (value,) in found]
        written = times.guessed_format(values)
        if written is not None:
            return UnreadTime(name, values[0], written)
    return None


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


def _fits(canonical: str, look: Look, least: float) -> bool:
    """Whether a column's type and values can be the canonical column's; of a time, ``least`` of the values."""
    if duck_types.is_nested(look.type):
        return False
    kind = kind_of(canonical)
    is_time = duck_types.is_time(look.type) or look.type == "DATE"
    if kind == "time":
        return look.count > 0 and look.times > least
    if is_time:
        return False
    if canonical == "event":
        return look.type == "VARCHAR" and 0 < look.distinct <= MOST_EVENTS and look.numbers < 0.5
    if kind == "money":
        readable = look.numbers + look.written > 0.9 or (look.decimal_comma and look.continental > 0.9)
        return look.count == 0 or readable
    if kind == "integer":
        return look.count == 0 or look.numbers > 0.9
    if is_id(canonical) or canonical.endswith("_id"):
        return look.type not in ("BOOLEAN",) and look.count > 0
    return True


def _written(column: Typed, number: str) -> tuple[str, ...]:
    """Amounts that are no plain numbers, decimal commas, amounts that speak against these, amounts with them."""
    if column.type != "VARCHAR":
        return ("0", "0", "0", "0")
    amount = f"TRY_CAST({duck_types.written_amount(column.sql)} AS DOUBLE)"
    comma = duck_types.written_amount(column.sql, ",")
    return (
        f"count({amount}) FILTER (WHERE {number} IS NULL)",
        f"count({comma}) FILTER (WHERE regexp_matches({column.sql}, ',[0-9]{{2}}[^0-9]*$'))",
        f"count(coalesce({number}, {amount})) FILTER (WHERE ({comma}) IS NULL)",
        f"count({comma})",
    )


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


@dataclass(frozen=True, slots=True)
class TimeLook:
    """What a closer look at the column of times shows."""

    naive: bool
    """Some moments carry no zone."""
    doubts: tuple[str, ...]
    """What its reader should know, as clauses."""


def time_look(name: str, columns: Mapping[str, Typed], scan: str, sample: Sample) -> TimeLook:
    """Looks for values of a time column that are none, and for a time of day in a column beside it."""
    column = columns[name]
    clocks = [other for other, one in columns.items() if other != name and _may_be_clock(one)]
    terms = times.written_sql(column) or ("count(*)", "0", "0", "0", "NULL")
    terms += tuple(_clock(columns[other]) for other in clocks)
    rows = f"(SELECT * FROM {scan} LIMIT {LOOKED_AT}) AS f"
    ((count, naive, dates, bad, example, *found),) = sample(f"SELECT {', '.join(terms)} FROM {rows}")
    doubts = []
    values, wrong = int(str(count)), int(str(bad))
    if wrong:
        verb = "is" if wrong == 1 else "are"
        shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(example))[:60]
        doubts.append(f"{wrong:,} of {values:,} values {verb} no time: '{shown}'")
    bare = column.type == "DATE" or (values > wrong and int(str(dates)) == values - wrong)
    clock = next((other for other, share in zip(clocks, found, strict=True) if share), None)
    if bare and clock is not None:
        doubts.append(f"{name} has no time of day; {clock} looks like one: all events are at midnight")
    is_naive = column.type in ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
    return TimeLook(is_naive or int(str(naive)) > 0, tuple(doubts))


def _may_be_clock(column: Typed) -> bool:
    return column.type == "VARCHAR" or column.type.startswith("TIME ") or column.type in ("TIME", "TIME_NS")


def _clock(column: Typed) -> str:
    """Whether nine of ten values are a time of day."""
    if column.type != "VARCHAR":
        return f"count({column.sql}) > 0"
    clock = r"\s*[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?\s*"
    hits = f"count(*) FILTER (regexp_full_match({column.sql}, '{clock}'))"
    return f"{hits} > 0 AND {hits} >= 0.9 * count(nullif({column.sql}, ''))"


def event_names_sql(column: str, scan: str) -> str:
    """The statement that lists the event names of a table, most frequent first."""
    return (
        f"SELECT CAST({quote(column)} AS VARCHAR) FROM {scan} WHERE {quote(column)} IS NOT NULL "
        f"GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {MOST_EVENTS}"
    )
