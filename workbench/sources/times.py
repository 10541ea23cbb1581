"""Makes UTC milliseconds of whatever an export calls a time, and refuses to guess where values don't say it.

Measured on DuckDB 2.0: ``epoch_ms`` of finer times rounds, ``epoch_us`` doesn't, so milliseconds are floored
from microseconds here; casting text to TIMESTAMP drops an offset without a word, so only text that matches a
pattern without one is cast so; ``timezone()`` raises near the ends of its range, so it stands in ``TRY``.
A time that a change of clocks skipped is read with the offset before the change, one that it repeated as the
second of the two: what ICU does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.sources.duck_types import Typed, is_nothing, is_number, is_time, literal
from workbench.workspace import TimeFormat, TimeUnit

Form = Literal["nothing", "native", "zoned", "date", "naive", "aware", "mixed", "pattern", "epoch"]
UTC_NAMES = frozenset(("UTC", "Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu", "GMT", "Etc/GMT"))

_UNITS: tuple[TimeUnit, ...] = ("s", "ms", "us", "ns")
_PER_SECOND: dict[TimeUnit, int] = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
_UNIT_NAMES: dict[TimeUnit, str] = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}
_LOW, _HIGH = 946_684_800, 4_102_444_800
"""2000-01-01 and 2100-01-01 in seconds: within them the four units don't overlap."""

_DAY = r"\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_NAIVE = rf"{_DAY}([T ]\d{{1,2}}:\d\d(:[0-5]\d([.]\d+)?)?)?\s*"
_AWARE = rf"{_DAY}[T ]\d{{1,2}}:\d\d(:[0-5]\d([.]\d+)?)?(Z|[+-]\d\d(:?\d\d)?| UTC| GMT)\s*"
_DIGITS = r"\s*-?\d{9,19}([.]\d+)?\s*"
_WRITTEN = re.compile(
    r"\s*(\d{1,4})([./-])(\d{1,2})\2(\d{4}|\d{1,2})"
    r"(?:(,? +|T)(\d{1,2}):\d\d(:\d\d)?(?:( ?)([AaPp][Mm]))?)?\s*"
)
_FINER = r"[.,]\d{3}\d*[1-9]"


@dataclass(frozen=True, slots=True)
class TimePlan:
    """How one file's times become UTC milliseconds."""

    form: Form
    type: str
    zone: str = "UTC"
    """Of times without one."""
    unit: TimeUnit = "ms"
    fractions: bool = False
    """Numbers with a fraction."""
    pattern: str = ""
    fine: bool = False
    """Whether some time is finer than a millisecond."""
    offset_us: int | None = None
    """The zone's one offset over this century, where it has but one."""

    @property
    def naive(self) -> bool:
        """Whether the zone matters."""
        return self.form in ("native", "date", "naive", "mixed", "pattern")


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a column can't be read as times, and what to do."""

    reason: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """How times that are text seem to be written."""

    pattern: str
    """For ``strptime``."""
    ambiguous: bool
    """The values do not say whether the day or the month comes first."""


def guessed_format(values: Sequence[str]) -> Written | None:
    """The pattern of times such as ``01.10.2026 17:10:00`` and ``10/31/2026 9:05 PM``; None for most others.

    Nine of ten values have to be written alike. Where no value says it, the day is taken to come first, except
    with AM and PM.
    """
    found = [match for value in values if (match := _WRITTEN.fullmatch(value))]
    if not found or len(found) < 0.9 * len(values):
        return None
    ((whole, number),) = Counter(map(_form, found)).most_common(1)
    if not whole or number < 0.9 * len(values):
        return None
    date, rest = whole
    if "Y" in date[:2]:
        return Written(date + rest, ambiguous=False)
    alike = [match for match in found if _form(match) == whole]
    first, second = (max(int(match[place]) for match in alike) for place in (1, 3))
    if first > 12 and second > 12:
        return None
    open_ = first <= 12 and second <= 12
    month_first = second > 12 or (open_ and "%p" in rest)
    if month_first:
        date = f"%m{date[2]}%d{date[5:]}"
    return Written(date + rest, ambiguous=open_)


def unit_name(unit: TimeUnit) -> str:
    """The unit in words."""
    return _UNIT_NAMES[unit]


def look(column: Typed, declared: TimeFormat) -> tuple[str, ...]:
    """The aggregates :func:`plan` wants to see, SQL over one file's rows; none where the type says all."""
    value = column.sql
    if is_time(column.type):
        if column.type in ("TIMESTAMP_S", "TIMESTAMP_MS"):
            return ()
        return (f"coalesce(bool_or({_native_us(column)} % 1000 <> 0), false)",)
    if is_number(column.type):
        counts = _unit_counts(f"CAST({value} AS DOUBLE)")
        fractions = (
            f"coalesce(bool_or({value} <> trunc({value})), false)" if not _whole(column.type) else "false"
        )
        return (f"count({value})", *counts, fractions, "NULL", *_finer_counts(f"CAST({value} AS DOUBLE)"))
    if column.type == "VARCHAR":
        if declared.pattern is not None:
            stamp = f"try_strptime({value}, {literal(declared.pattern)})"
            return (
                f"count(nullif({value}, ''))",
                f"count({stamp})",
                f"min({value}) FILTER ({stamp} IS NULL)",
            )
        given = f"nullif(trim({value}), '')"
        number = f"CASE WHEN regexp_full_match({value}, '{_DIGITS}') THEN TRY_CAST({value} AS DOUBLE) END"
        return (
            f"count({given})",
            f"count({number})",
            f"count(*) FILTER (regexp_full_match({value}, '{_NAIVE}'))",
            f"count(*) FILTER (regexp_full_match({value}, '{_AWARE}'))",
            f"coalesce(bool_or(regexp_matches({value}, '{_FINER}')), false)",
            f"count(TRY_CAST({_mended(value)} AS TIMESTAMPTZ))",
            f"min({given}) FILTER (TRY_CAST({_mended(value)} AS TIMESTAMPTZ) IS NULL)",
            *_unit_counts(number),
            *_finer_counts(number),
        )
    return ()


def plan(
    column: Typed,
    declared: TimeFormat,
    zone: str,
    seen: Sequence[object] | None,
    offset_us: int | None = None,
) -> TimePlan | Refused:
    """How to read a column, from its type, what the user declared and what :func:`look` found.

    ``seen`` None means that nobody may look: forms that hold for any text are taken, and numbers without a
    declared unit are refused. The zone is that of times without one.
    """
    if is_nothing(column.type):
        return TimePlan("nothing", column.type)
    if column.type == "DATE":
        return TimePlan("date", column.type, zone)
    if is_time(column.type):
        form: Form = (
            "native" if column.type.startswith("TIMESTAMP_") or column.type == "TIMESTAMP" else "zoned"
        )
        fine = bool(seen[0]) if seen else column.type not in ("TIMESTAMP_S", "TIMESTAMP_MS")
        return TimePlan(form, column.type, zone, fine=fine, offset_us=offset_us)
    if is_number(column.type):
        return _number_plan(column.type, declared, seen)
    if column.type == "VARCHAR":
        return _text_plan(declared, zone, seen)
    return Refused(f"its type is {column.type}, which is no time")


def milliseconds(plan_: TimePlan, value: str) -> str:
    """The SQL of UTC milliseconds, floored; NULL where a value is missing or no time."""
    if plan_.form == "nothing":
        return "NULL::BIGINT"
    if plan_.form == "epoch":
        return _epoch_ms(plan_, value)
    stamp = _stamp(plan_, value)
    if plan_.type in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS"):
        ns = f"epoch_ns({_zoned(plan_, stamp)})"
        return _floor(ns, 1_000_000)
    if plan_.form == "mixed":
        aware = f"TRY_CAST({_mended(value)} AS TIMESTAMPTZ)"
        plain = f"epoch_us({_zoned(plan_, f'TRY_CAST({_mended(value)} AS TIMESTAMP)')})"
        without_zone = f"regexp_full_match({_mended(value)}, '{_NAIVE}')"
        return _us_to_ms(f"CASE WHEN {without_zone} THEN {plain} ELSE epoch_us({aware}) END")
    if plan_.form in ("zoned", "aware"):
        return _us_to_ms(f"epoch_us({stamp})")
    slow = f"epoch_us({_zoned(plan_, stamp)})"
    if plan_.offset_us is None or plan_.form != "native" or plan_.zone in UTC_NAMES:
        return _us_to_ms(slow)
    within = f"{value} >= TIMESTAMP '2000-01-02' AND {value} < TIMESTAMP '2099-12-30'"
    return _us_to_ms(f"CASE WHEN {within} THEN epoch_us({value}) + ({plan_.offset_us}) ELSE {slow} END")


def finer(plan_: TimePlan, value: str) -> str:
    """The SQL of the nanoseconds below the millisecond, 0 where the export has none."""
    if not plan_.fine:
        return "0::INTEGER"
    if plan_.form == "epoch":
        us_or_ns = _epoch_fine(plan_, value)
        return f"CAST({us_or_ns} AS INTEGER)"
    if plan_.type in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS"):
        return f"CAST({_below(f'epoch_ns({value})', 1_000_000)} AS INTEGER)"
    if is_time(plan_.type):
        return f"CAST({_below(f'epoch_us({value})', 1000)} * 1000 AS INTEGER)"
    ns = f"epoch_ns(TRY_CAST({_mended(value)} AS TIMESTAMP_NS))"
    return f"CAST(coalesce({_below(ns, 1_000_000)}, 0) AS INTEGER)"


def written_sql(column: Typed) -> tuple[str, ...]:
    """Aggregates over text: values, those without a zone, bare dates, those that are no time, one of these.

    None of a column of another type.
    """
    if column.type != "VARCHAR":
        return ()
    value = column.sql
    is_given = f"trim({value}) <> ''"
    number = f"regexp_full_match({value}, '{_DIGITS}')"
    stamp = f"TRY_CAST({_mended(value)} AS TIMESTAMPTZ)"
    no_time = f"{is_given} AND NOT {number} AND {stamp} IS NULL"
    naive = f"{stamp} IS NOT NULL AND NOT {number} AND NOT regexp_full_match({_mended(value)}, '{_AWARE}')"
    return (
        f"count(*) FILTER ({is_given})",
        f"count(*) FILTER ({naive})",
        f"count(*) FILTER ({naive} AND NOT contains({value}, ':'))",
        f"count(*) FILTER ({no_time})",
        f"min({value}) FILTER ({no_time})",
    )


def given(column: Typed) -> str:
    """The SQL that says whether a raw value was there at all, empty text counting as missing."""
    if column.type == "VARCHAR":
        return f"coalesce(trim({column.sql}) <> '', false)"
    return f"({column.sql} IS NOT NULL)"


def one_offset_sql(zone: str) -> str:
    """The statement that yields the smallest and the largest offset (µs) of a zone over this century."""
    moved = f"epoch_us(timezone({literal(zone)}, t)) - epoch_us(t)"
    return (
        f"SELECT min({moved}), max({moved}) "
        "FROM range(TIMESTAMP '2000-01-01', TIMESTAMP '2100-01-01', INTERVAL 1 DAY) AS days(t)"
    )


def _number_plan(type_: str, declared: TimeFormat, seen: Sequence[object] | None) -> TimePlan | Refused:
    whole = _whole(type_)
    if seen is None:
        if declared.unit is None:
            return _no_unit("numbers")
        return TimePlan(
            "epoch", type_, unit=declared.unit, fractions=not whole, fine=declared.unit in ("us", "ns")
        )
    count, fractions = int(str(seen[0])), bool(seen[5])
    unit = _unit(declared, count, [int(str(value)) for value in seen[1:5]])
    if isinstance(unit, Refused):
        return unit
    return TimePlan("epoch", type_, unit=unit, fractions=fractions, fine=_is_fine(unit, fractions, seen[7:]))


def _text_plan(declared: TimeFormat, zone: str, seen: Sequence[object] | None) -> TimePlan | Refused:
    if declared.pattern is not None:
        if seen and int(str(seen[0])) and not int(str(seen[1])):
            return Refused(f'no time in it matches the format: "{_short(seen[2])}"')
        return TimePlan("pattern", "VARCHAR", zone, pattern=declared.pattern, fine="%n" in declared.pattern)
    if seen is None:
        if declared.unit is not None:
            fine = declared.unit in ("us", "ns")
            return TimePlan("epoch", "VARCHAR", unit=declared.unit, fractions=True, fine=fine)
        return TimePlan("mixed", "VARCHAR", zone, fine=True)
    count, digits, naive, aware = (int(str(value)) for value in seen[:4])
    fine, parsed = bool(seen[4]), int(str(seen[5]))
    if declared.unit is not None and count and not digits:
        return Refused(
            "its times are text, and [source.time] unit is for numbers"
            + ("" if seen[6] is None else f': "{_short(seen[6])}"'),
            "leave unit out" if parsed else f"leave unit out; {_how_written(seen[6])}",
        )
    if declared.unit is not None or digits * 2 > count:
        unit = _unit(declared, digits, [int(str(value)) for value in seen[7:11]])
        if isinstance(unit, Refused):
            return unit
        return TimePlan("epoch", "VARCHAR", unit=unit, fractions=True, fine=_is_fine(unit, True, seen[11:]))
    if count and not parsed:
        return Refused(
            f'none of its times can be read: "{_short(seen[6])}"',
            _how_written(seen[6]),
        )
    if naive == count:
        return TimePlan("naive", "VARCHAR", zone, fine=fine)
    return TimePlan("aware" if aware == count else "mixed", "VARCHAR", zone, fine=fine)


def _how_written(example: object) -> str:
    """The hint about times that are text, with the example's own marks."""
    written = guessed_format([str(example)])
    pattern = "%d/%m/%Y %H:%M:%S" if written is None else written.pattern
    either = ", or with %d and %m the other way" if written is not None and written.ambiguous else ""
    return f'say how they are written: [source.time] format = "{pattern}"{either}'


def _form(match: re.Match[str]) -> tuple[str, str] | None:
    """The pattern of a date, with the day first where the year is not, and that of the time behind it."""
    first, mark, _, last, between, hour, seconds, space, half = match.groups()
    if len(first) == 4 and len(last) <= 2:
        date = f"%Y{mark}%m{mark}%d"
    elif len(first) <= 2 and len(last) in (2, 4):
        date = f"%d{mark}%m{mark}{'%Y' if len(last) == 4 else '%y'}"
    else:
        return None
    if hour is None:
        return date, ""
    clock = f"{'%H' if half is None else '%I'}:%M{':%S' if seconds else ''}"
    return date, f"{between}{clock}" + (f"{space}%p" if half else "")


def _unit(declared: TimeFormat, count: int, by_unit: Sequence[int]) -> TimeUnit | Refused:
    if declared.unit is not None:
        return declared.unit
    possible = [unit for unit, found in zip(_UNITS, by_unit, strict=True) if found]
    if len(possible) == 1:
        return possible[0]
    if not count:
        return "ms"
    if not possible:
        return _no_unit("numbers outside the years 2000 to 2100 in any unit")
    return _no_unit(" and ".join(_UNIT_NAMES[unit] for unit in possible) + " in one column")


def _no_unit(what: str) -> Refused:
    return Refused(f"times are {what}", 'say the unit: [source.time] unit = "s", "ms", "us" or "ns"')


def _is_fine(unit: TimeUnit, fractions: bool, seen: Sequence[object]) -> bool:
    if unit in ("us", "ns"):
        return bool(seen[0 if unit == "us" else 1])
    return fractions and bool(seen[2 if unit == "s" else 3])


def _unit_counts(value: str) -> tuple[str, ...]:
    return tuple(
        f"count(*) FILTER ({value} >= {_LOW * _PER_SECOND[unit]} AND {value} < {_HIGH * _PER_SECOND[unit]})"
        for unit in _UNITS
    )


def _finer_counts(value: str) -> tuple[str, ...]:
    """Whether something is finer than a millisecond if the unit were µs, ns, s, ms."""
    whole = f"TRY_CAST({value} AS HUGEINT)"
    return (
        f"coalesce(bool_or({whole} % 1000 <> 0), false)",
        f"coalesce(bool_or({whole} % 1000000 <> 0), false)",
        f"coalesce(bool_or(TRY_CAST(round({value} * 1000000) AS HUGEINT) % 1000 <> 0), false)",
        f"coalesce(bool_or(TRY_CAST(round({value} * 1000) AS HUGEINT) % 1000 <> 0), false)",
    )


def _stamp(plan_: TimePlan, value: str) -> str:
    if plan_.form == "date":
        return f"TRY_CAST({value} AS TIMESTAMP)"
    if plan_.form == "naive":
        return f"TRY_CAST({value} AS TIMESTAMP)"
    if plan_.form == "aware":
        return f"TRY_CAST({value} AS TIMESTAMPTZ)"
    if plan_.form == "pattern":
        return f"try_strptime({value}, {literal(plan_.pattern)})"
    if plan_.type in ("TIMESTAMP_S", "TIMESTAMP_MS"):
        return f"CAST({value} AS TIMESTAMP)"
    return value


def _zoned(plan_: TimePlan, stamp: str) -> str:
    aware = plan_.form in ("zoned", "aware") or (plan_.form == "pattern" and "%z" in plan_.pattern)
    if aware or plan_.zone in UTC_NAMES:
        return stamp
    return f"TRY(timezone({literal(plan_.zone)}, {stamp}))"


def _mended(value: str) -> str:
    """Text as DuckDB reads it: leap seconds held back, no space before an offset, capital ``Z``, no comma."""
    held = f"regexp_replace({value}, ':60([.,]\\d*)?', ':59.999999')"
    joined = f"regexp_replace({held}, '\\s+([+-]\\d)', '\\1')"
    return f"replace(regexp_replace(trim({joined}), 'z$', 'Z'), ',', '.')"


def _native_us(column: Typed) -> str:
    """A moment as a number with at least microseconds in it, in steps of which 1000 matter."""
    if column.type in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS"):
        return f"(epoch_ns({column.sql}) % 1000000 <> 0)::INTEGER"
    return f"epoch_us({column.sql})"


def _us_to_ms(us: str) -> str:
    """Floored milliseconds: doubles hold microseconds exactly until the year 2255."""
    return f"CAST(floor({us} / 1000) AS BIGINT)"


def _floor(value: str, divisor: int) -> str:
    return f"CASE WHEN {value} < 0 THEN ({value} + 1) // {divisor} - 1 ELSE {value} // {divisor} END"


def _below(value: str, divisor: int) -> str:
    return f"((({value} % {divisor}) + {divisor}) % {divisor})"


def _epoch_number(plan_: TimePlan, value: str) -> tuple[str, TimeUnit]:
    """A whole number and its unit; fractions become microseconds."""
    if plan_.fractions and plan_.unit in ("s", "ms"):
        factor = 1_000_000 if plan_.unit == "s" else 1000
        return f"TRY_CAST(round(TRY_CAST({value} AS DOUBLE) * {factor}) AS BIGINT)", "us"
    if plan_.fractions and plan_.type != "VARCHAR":
        return f"TRY_CAST(floor({value}) AS BIGINT)", plan_.unit
    return f"TRY_CAST({value} AS BIGINT)", plan_.unit


def _epoch_ms(plan_: TimePlan, value: str) -> str:
    number, unit = _epoch_number(plan_, value)
    if unit == "ms":
        return number
    if unit == "s":
        limit = 10**14
        return f"CASE WHEN {number} BETWEEN -{limit} AND {limit} THEN {number} * 1000 END"
    return _floor(number, 1000 if unit == "us" else 1_000_000)


def _epoch_fine(plan_: TimePlan, value: str) -> str:
    number, unit = _epoch_number(plan_, value)
    return f"{_below(number, 1000)} * 1000" if unit == "us" else _below(number, 1_000_000)


def _whole(type_: str) -> bool:
    return is_number(type_) and type_ not in ("DOUBLE", "FLOAT") and not type_.startswith("DECIMAL(")


def _short(value: object) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(value)[:40])
