"""What is loaded, whether it can be believed, how business is, and what to look at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from queries import ranges
from queries.one_person import Sessioned
from queries.overview_figures import Counting, Counts, Spans, spans, value
from queries.overview_look import Look, looks
from queries.overview_request import FIGURES, Figure, OverviewRequest, parse_cell
from queries.question import Note, Page, QuestionError, Result, Row, Shown, Survey
from queries.scope import Within, meta, out_of_range

LATE = 3_600_000
"""A source that ends so many ms before the newest event of all is late."""

_LAYOUT = (
    Shown("figure", "figure", names=True),
    Shown("value", "value", "number"),
    Shown("unit", "unit"),
    Shown("previous", "before", "number"),
    Shown("change", "change", "rate"),
)
_RULE = (
    "every figure is of the events in scope; before is the period of the same length before the range, as far into "
    "it as the range is known; change is value / before - 1; a session counts where it has an event; conversion is "
    "people with an order / people; order_value is revenue / orders; no_result_rate is searches without a result / "
    "searches that say how many they had"
)


def answer(request: OverviewRequest, data: Sessioned) -> Result:
    """One row a key figure; what is loaded and what to look at in the totals. No check of the data is made."""
    survey = data.survey()
    within = Within.of(request.scope, data)
    asked: list[str] = []
    parts = spans(within.range, data)
    counting = Counting(data, within, parts, asked)
    now, before = counting.totals()
    by_day = counting.by_day()
    rows = [_row(figure, data, counting, parts, now, before, by_day) for figure in FIGURES]
    look = looks(
        request.scope, lambda scope: replace(request, scope=scope), data, within, parts, counting, asked
    )
    counts = (now["events"] or 0, now["people"] or 0)
    loaded = _loaded(data, asked)
    totals = {
        **loaded.to_dict(),
        "events": counts[0],
        "users": counts[1],
        **_days(data, parts),
        "look_at": [one.to_dict() for one in look],
    }
    return Result(
        report=request.report,
        request=request,
        rows=rows,
        totals=totals,
        notes=(*survey.notes, *_lacking(counting), *out_of_range(data, within, counts)),
        meta=meta(data, within, counts),
        layout=_LAYOUT,
        rule="\n".join((*(_told(one) for one in look), _RULE)),
        people=Behind(counting, parts, tuple(look)),
        page=_page(loaded, totals),
        sql=tuple(asked),
    )


def statements(request: OverviewRequest, data: Sessioned) -> tuple[str, ...]:
    """The SQL the question asks, in order."""
    return answer(request, data).sql


# --- rows ---------------------------------------------------------------------------------------------------


def _row(
    figure: Figure,
    data: Sessioned,
    counting: Counting,
    parts: Spans,
    now: Counts,
    before: Counts,
    by_day: Sequence[Counts],
) -> Row:
    decimals = data.schema.money_decimals
    is_known = counting.lacking(figure) is None
    own = value(figure, now, decimals) if is_known else None
    previous = value(figure, before, decimals) if is_known and parts.before is not None else None
    days = parts.days
    return {
        "figure": figure.name,
        "value": own,
        "unit": figure.unit,
        "previous": previous,
        "change": None if own is None or not previous else own / previous - 1,
        "daily": [value(figure, counts, decimals) for counts in by_day] if is_known else None,
        "is_incomplete": days is not None and len(days.names) - 1 in days.incomplete,
    }


def _lacking(counting: Counting) -> list[Note]:
    """The figures that cannot be told, by what the data lacks."""
    names: dict[str, list[str]] = {}
    for figure in FIGURES:
        reason = counting.lacking(figure)
        if reason is not None:
            names.setdefault(reason, []).append(figure.name)
    return [
        Note("not-available", f"{', '.join(figures)}: n/a, since {reason}")
        for reason, figures in names.items()
    ]


# --- what is loaded -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Source:
    """One source with its valid rows, those without an id too; times are UTC ms."""

    name: str
    files: int
    rows: int
    first: int | None
    last: int | None
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What there is, whatever the range."""

    sources: tuple[_Source, ...]
    survey: Survey
    raw_ids: int
    kinds: tuple[str, ...]
    session_rule: str
    zone: ZoneInfo

    def time(self, ms: int | None) -> str | None:
        """A moment as results carry it."""
        return None if ms is None else ranges.iso(ms, self.zone)

    def to_dict(self) -> dict[str, object]:
        """As totals carry it."""
        survey = self.survey
        return {
            "sources": [
                {
                    "name": one.name,
                    "files": one.files,
                    "rows": one.rows,
                    "first": self.time(one.first),
                    "last": self.time(one.last),
                    "is_late": one.is_late,
                }
                for one in self.sources
            ],
            "rows": survey.rows,
            "first": self.time(survey.first),
            "last": self.time(survey.last),
            "as_of": self.time(survey.as_of),
            "people": survey.people,
            "raw_ids": self.raw_ids,
            "id_kinds": list(self.kinds),
            "session_rule": self.session_rule,
            "warnings": sum(note.level == "warning" for note in survey.notes),
            "set_aside": sum(note.count or 0 for note in survey.notes if note.sets_aside),
        }


def _loaded(data: Sessioned, asked: list[str]) -> _Loaded:
    ids = " + ".join(f"count(DISTINCT c{place})" for place in range(len(data.schema.ids)))
    sql = f"SELECT {ids} FROM linked_ids"
    asked.append(sql)
    ((raw_ids,),) = data.fetch(sql)
    return _Loaded(
        sources=_sources(data, asked),
        survey=data.survey(),
        raw_ids=int(str(raw_ids)),
        kinds=data.schema.ids,
        session_rule=str(data.session_rule()),
        zone=ranges.zone(data.timezone),
    )


def _sources(data: Sessioned, asked: list[str]) -> tuple[_Source, ...]:
    """Every source, whatever the range and the people in scope."""
    survey, material = data.survey(), data.material()
    low, high = material.valid
    end = high if survey.as_of is None else min(high, survey.as_of + 1)
    sql = (
        "SELECT source_index, count(*), min(ts), max(ts) FROM source_events\n"
        f"WHERE ts >= {low} AND ts < {end} AND event <> ''\nGROUP BY source_index ORDER BY source_index"
    )
    asked.append(sql)
    found = {int(str(place)): [int(str(one)) for one in rest] for place, *rest in data.fetch(sql)}
    newest = max((last for _, _, last in found.values()), default=0)
    files = [file.source for file in material.files]
    out = []
    for place, name in enumerate(survey.sources):
        if place in found:
            rows, first, last = found[place]
            out.append(_Source(name, files.count(name), rows, first, last, newest - last > LATE))
        else:
            out.append(_Source(name, files.count(name), 0, None, None))
    return tuple(out)


def _days(data: Sessioned, parts: Spans) -> dict[str, object]:
    """The days whose values are listed, and the period before."""
    zone, before = ranges.zone(data.timezone), parts.before or ranges.Range()
    return {
        "days": [] if parts.days is None else list(parts.days.names),
        "previous_from": None if before.start is None else ranges.iso(before.start, zone),
        "previous_to": None if before.end is None else ranges.iso(before.end, zone),
    }


# --- telling ------------------------------------------------------------------------------------------------


def _page(loaded: _Loaded, totals: Mapping[str, object]) -> Page:
    """What is loaded, above the figures."""
    survey = loaded.survey
    lines = [("source", _source_line(one, loaded)) for one in loaded.sources]
    lines += [
        ("as of", f"{_short(loaded.time(survey.as_of))} in {loaded.zone}"),
        ("people", f"{survey.people:,}, of {loaded.raw_ids:,} ids ({', '.join(loaded.kinds)})"),
        ("sessions", loaded.session_rule),
        ("health", _health(totals)),
    ]
    if totals["previous_from"] is not None:
        lines.append(("before", f"{_short(totals['previous_from'])} to {_short(totals['previous_to'])}"))
    return Page(lines=tuple(lines))


def _source_line(source: _Source, loaded: _Loaded) -> str:
    files = f"{source.files:,} file{'' if source.files == 1 else 's'}"
    if not source.rows:
        return f"{source.name}: {files}, no events"
    late = ", LATE" if source.is_late else ""
    span = f"{_short(loaded.time(source.first))} to {_short(loaded.time(source.last))}"
    return f"{source.name}: {files}, {source.rows:,} rows, {span}{late}"


def _health(totals: Mapping[str, object]) -> str:
    warnings, aside = totals["warnings"], totals["set_aside"]
    if not warnings:
        return "no warning on reading; `workbench check` looks closer"
    told = f"{warnings} warning{'' if warnings == 1 else 's'}"
    return f"{told}, {aside:,} set aside; `workbench check` looks closer"


def _short(time: object) -> str:
    return "n/a" if time is None else str(time)[:16].replace("T", " ")


def _told(look: Look) -> str:
    # On a line of its own a command is not broken at its hyphens.
    return f"look at: {look.what} ({look.why})\n  {look.command}"


# --- people -------------------------------------------------------------------------------------------------


class Behind:
    """The people behind each figure, and the questions behind what to look at."""

    def __init__(self, counting: Counting, parts: Spans, looks: tuple[Look, ...]) -> None:
        self._counting, self._parts = counting, parts
        self.looks = looks
        """As the totals list them."""

    def codes(self, cell: str) -> NDArray[np.int64]:
        """The people of a figure's events, ascending; of ``FIGURE@previous`` those of the period before.

        Raises :class:`QuestionError` for a figure that cannot be told, and for a period that is not covered.
        """
        figure, is_previous = parse_cell(cell)
        reason = self._counting.lacking(figure)
        if reason is not None:
            raise QuestionError(f"--users {cell}: {reason}")
        if is_previous and self._parts.before is None:
            raise QuestionError(
                f"--users {cell}: the data does not cover a period before", "give a range, like --last 7d"
            )
        return self._counting.people(figure, 0 if is_previous else 1)
