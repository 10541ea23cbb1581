"""The charts under the funnel's table: bars, times to convert, trend, and why other products' figures differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from textwrap import wrap
from typing import cast

from queries.funnel_request import FunnelRequest
from queries.peers import EVERY, PEERS, under_every
from queries.question import QuestionError, Result, Row, Shown
from queries.ranges import duration
from screens.funnel_rows import Group, Groups, called, counted, step_name, value_name
from workbench.charts import bar, histogram, lines
from workbench.glyphs import Glyphs
from workbench.output.cells import cell
from workbench.text import clean, clip, pad, width

BESIDE = 130
"""Cells from which two charts stand side by side."""
ROWS = 16
"""Lines that a histogram or trend takes at most, unless it is what is looked at."""
LEAST = 6
"""Lines under which a histogram or trend says nothing."""
WARNINGS = 3
"""Warnings told whole."""
_TIMES = (
    ("seconds_from_entry_p25", "25 %"),
    ("seconds_from_entry_median", "median"),
    ("seconds_from_entry_p75", "75 %"),
    ("seconds_from_entry_p90", "90 %"),
)


@dataclass(frozen=True, slots=True)
class View:
    """What charts are drawn of."""

    result: Result
    groups: Groups
    group: Group | None
    """Of the row in hand."""
    glyphs: Glyphs
    ascii_only: bool
    with_bars: bool = False
    """Whether bars are to stand here, because the table has no room for them."""
    is_large: bool = False
    """Whether the chart is what is looked at."""

    @property
    def request(self) -> FunnelRequest:
        """The question."""
        return cast("FunnelRequest", self.result.request)

    @property
    def layout(self) -> Mapping[str, Shown]:
        """The columns by key."""
        return {shown.key: shown for shown in self.result.layout}

    @property
    def rows(self) -> Sequence[Row]:
        """The rows of the group in hand, a row a step."""
        return () if self.group is None else self.groups.of(self.group)


def chart(view: View, cells: int, rows: int) -> list[str]:
    """As much as there is room for: warnings, why figures differ, bars, then the trend or the times to convert."""
    found: list[str] = []
    for block in (warnings(view, cells), differing(view, cells), bars(view, cells) if view.with_bars else []):
        apart = 1 if found and block else 0
        if len(found) + apart + len(block) <= rows:
            found += [""] * apart + block
    apart = 1 if found else 0
    room = rows - len(found) - apart
    room -= room > LEAST
    height = room if view.is_large else min(room, ROWS)
    below = _flexible(view, cells, height) if height >= LEAST else []
    found += [""] * (apart if below else 0) + below
    # A line of space from the table, where that costs nothing.
    return ["", *found] if found and len(found) < rows else found


def _flexible(view: View, cells: int, height: int) -> list[str]:
    """The trend or the histogram; both, or the histogram and the times behind it, where they fit side by side."""
    if cells < BESIDE:
        return trend(view, cells, height) or converting(view, cells, height)
    half = cells // 2 - 2
    left = trend(view, cells - half - 4, height)
    right = converting(view, half, height) if left else times(view, half, height)
    left = left or converting(view, cells - half - 4, height)
    return beside(left, right, cells - half) if left and right else left or right


def beside(left: Sequence[str], right: Sequence[str], begin: int) -> list[str]:
    """Two blocks side by side, the right one from a column on."""
    pairs = zip_longest(left, right, fillvalue="")
    return [f"{pad(clip(one, begin), begin)}{other}".rstrip() for one, other in pairs]


def bars(view: View, cells: int) -> list[str]:
    """The shares of step 1 that came to each step of the group in hand, and who may still come."""
    rows, layout = view.rows, view.layout
    if not rows or not rows[0]["users"]:
        return []
    names = [clean(step_name(row)) for row in rows]
    label = min(max(map(width, names)), cells // 3)
    room = cells - label - 9
    drawn = [
        f"{pad(clip(name, label), label)} {drawn_bar(view.groups, row, room, view.glyphs)} "
        f"{cell(row, layout['rate_from_first']):>5} %"
        for name, row in zip(names, rows, strict=True)
    ]
    waits = any(view.groups.waiting(row) for row in rows)
    return [
        _title("share of step 1", called(rows[0], layout), f"{view.glyphs.shade} may still come" if waits else ""),
        *drawn,
    ]  # fmt: skip


def drawn_bar(groups: Groups, row: Row, cells: int, glyphs: Glyphs) -> str:
    """The share of step 1 that came to a row's step, and, shaded, the share that may still come."""
    share = groups.share(row)
    if share is None:
        return " " * cells
    return bar(share, cells, glyphs, open_fraction=groups.waiting(row))


def differing(view: View, cells: int) -> list[str]:
    """For how many people another product's rule makes a difference, and why: a line a product."""
    request = view.request
    if request.peer is None:
        return []
    if request.peer != EVERY:
        told = [note.text for note in view.result.notes if note.code == "peer"]
        return [f"not our rule: {clip(clean(text), cells - 14)}" for text in told]
    counts = iter([note.count for note in view.result.notes if note.code == "peer"])
    label = max(map(width, PEERS))
    told = ["how many stand elsewhere than under our rule, and why (? tells it whole)"]
    for name, asked in under_every(request).items():
        is_refused = isinstance(asked, QuestionError)
        count = "–" if is_refused else f"{next(counts, 0):,}"
        why = asked.message if isinstance(asked, QuestionError) else PEERS[name].why
        told.append(f"{pad(name, label)}  {count:>7}  {why}")
    return [clip(clean(line), cells) for line in told]


def warnings(view: View, cells: int) -> list[str]:
    """What the reader should know first, whole: the status line has room for its beginning alone."""
    told = [note.text for note in view.result.notes if note.level == "warning"]
    out: list[str] = []
    for text in told[:WARNINGS]:
        parts = wrap(clean(text), max(cells - 4, 1)) or [""]
        cut = f" {view.glyphs.more}" if len(parts) > 2 else ""
        out += [f"{view.glyphs.bad if not at else ' '} {part}" for at, part in enumerate(parts[:2])]
        out[-1] += cut
    left = len(told) - WARNINGS
    return [*out, f"  and {left} more: ? tells them"] if left > 0 else out


def converting(view: View, cells: int, rows: int) -> list[str]:
    """How long the conversions of the first group took, as a histogram."""
    totals = view.result.totals
    bins = cast("list[dict[str, int]]", totals.get("histogram") or [])
    if not bins or rows < LEAST:
        return []
    whole = view.groups.first()
    of = called(view.groups.of(whole)[0], view.layout) if whole is not None else ""
    median = totals.get("seconds_to_convert_median")
    count = sum(one["users"] for one in bins)
    title = _title(
        "time to convert", of, f"{count:,} {counted(view.request)}",
        "" if median is None else f"median {duration(cast('float', median))}",
    )  # fmt: skip
    labels = [duration(one["from_seconds"]) for one in bins]
    drawn = histogram([one["users"] for one in bins], labels, cells, rows - 1, view.glyphs)
    return [clip(title, cells), *drawn] if drawn else []


def times(view: View, cells: int, rows: int) -> list[str]:
    """How long those who came to each step had taken from step 1, in quarters: a table."""
    later = [row for row in view.rows if row["step"] != 1]
    if not later or len(later) + 2 > rows:
        return []
    since = "the first step 1" if view.request.since == "first" else "step 1"
    figures = [[_duration(row[key]) for key, _ in _TIMES] for row in later]
    sizes = [max(map(width, column)) for column in zip(*figures, [head for _, head in _TIMES], strict=True)]
    names = [clean(step_name(row)) for row in later]
    label = min(max(map(width, names)), max(cells - sum(sizes) - 2 * len(sizes), 8))

    def line(name: str, texts: Sequence[str]) -> str:
        told = "".join(f"  {pad(text, size, 'right')}" for text, size in zip(texts, sizes, strict=True))
        return clip(pad(clip(name, label), label) + told, cells)

    title = _title(f"time from {since}", called(later[0], view.layout))
    return [
        clip(title, cells),
        line("", [head for _, head in _TIMES]),
        *(line(name, texts) for name, texts in zip(names, figures, strict=True)),
    ]


def trend(view: View, cells: int, rows: int) -> list[str]:
    """The rate of the last step by period: of everybody, and of the value in hand, with their sides."""
    request = view.request
    if request.trend is None or rows < LEAST:
        return []
    held = view.rows[0] if view.rows else None
    of_value = None if held is None or held["is_total"] else (held["breakdown"], held["is_other"])
    last = [
        row
        for row in view.groups.rows
        if row["step"] == len(request.steps)
        and row["period"] is not None
        and (row["is_total"] or (row["breakdown"], row["is_other"]) == of_value)
    ]
    periods = sorted({str(row["period"]) for row in last})
    series: dict[str, list[float | None]] = {}
    for row in last:
        parts = [] if request.scope.by is None else [value_name(row)]
        name = " ".join([*parts, *([] if row["cohort"] is None else [str(row["cohort"])])]) or "(all)"
        rate = cast("float | None", row["rate_from_first"])
        values = series.setdefault(name, [None] * len(periods))
        values[periods.index(str(row["period"]))] = None if rate is None else 100 * rate
    cut = sorted({str(row["period"]) for row in last if row["is_incomplete"]})
    title = _title(
        f"{clip(clean(step_name(last[-1])), cells // 3)}, % of step 1 by {request.trend}" if last else "",
        "".join(series) if len(series) == 1 and request.scope.by else "",
        f"not whole: {', '.join(cut)}" if cut else "",
    )
    if len(periods) > 1:
        drawn = lines(series, periods, cells, rows - 1, view.ascii_only)
    else:
        drawn = [_of_one(name, values[0], cells, view.glyphs) for name, values in series.items()][: rows - 1]
    return [clip(title, cells), *drawn] if drawn else []


def _of_one(name: str, share: float | None, cells: int, glyphs: Glyphs) -> str:
    """A single period is no curve."""
    label = min(width(clean(name)), cells // 3)
    room = max(cells - label - 10, 1)
    text = "–" if share is None else f"{share:.1f} %"
    return f"{pad(clip(clean(name), label), label)} {bar((share or 0) / 100, room, glyphs)} {text:>7}"


def _title(what: str, *more: str) -> str:
    told = ", ".join(clean(part) for part in more if part)
    return f"{what}: {told}" if told else what


def _duration(value: object) -> str:
    return "–" if value is None else duration(cast("float", value))
