"""Charts as lines of plain text: bars exact to an eighth of a cell, and curves, which alone need a plotting library.

Nothing here has a colour or moves: whoever shows a chart styles it. A sign in a chart means what it shows:
a value above zero is never drawn as nothing, and only the whole fills its room.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise
from threading import Lock

from workbench.glyphs import Glyphs
from workbench.text import NULL, clean, clip, pad, width

Value = int | float | None
Format = Callable[[float], str]
_Run = tuple[str, list[float], list[float]]
"""A sign and the points it is drawn through, without a gap."""

_MARKERS = ("•", "×", "+", "○", "△")
_PLAIN_MARKERS = ("*", "x", "+", "o", "#")
_GUTTER = 12
"""Cells that the figures beside a chart may take."""

_LEAST = (8, 2)
"""Cells of the smallest canvas in which a curve is one."""

# The library draws on one figure of the process.
_drawing = Lock()


def figure(value: float) -> str:
    """A number on an axis: whole with separators from a thousand on, else three digits."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def bar(fraction: float | Fraction, cells: int, glyphs: Glyphs, *, open_fraction: float = 0.0) -> str:
    """A bar from the left, and the part that is still open shaded after it, in exactly so many cells.

    Its length in eighths of a cell (in cells, in plain signs) is ``fraction`` times all of them, half to even;
    at least one for a value above zero, all of them only from one on. The shade takes whole cells.
    """
    each = len(glyphs.blocks)
    solid = _length(fraction, cells * each)
    whole, rest = divmod(solid, each)
    drawn = glyphs.blocks[-1] * whole + (glyphs.blocks[rest - 1] if rest else "")
    if open_fraction > 0:
        until = _length(max(fraction, 0.0) + open_fraction, cells)
        drawn += glyphs.shade * (max(until, min(len(drawn) + 1, cells)) - len(drawn))
    return drawn.ljust(max(cells, 0))


def sparkline(values: Sequence[Value], cells: int, glyphs: Glyphs) -> str:
    """A row of ticks, each as high as its value beside the highest; a space for a missing one.

    The lowest tick is zero (or the lowest value below it), the highest the highest value alone. More values
    than cells: each tick is the highest of its share of them.
    """
    shares = [_highest(share) for share in _shares(values, cells)]
    known = [value for value in shares if value is not None]
    low, high = min([0, *known]), max([0, *known])
    signs = []
    for value in shares:
        if value is None:
            signs.append(" ")
        else:
            of = 0 if high == low else (Fraction(value) - Fraction(low)) / (Fraction(high) - Fraction(low))
            signs.append(glyphs.ticks[_length(of, len(glyphs.ticks) - 1)])
    return "".join(signs)


def histogram(
    counts: Sequence[int | float], labels: Sequence[str], cells: int, rows: int, glyphs: Glyphs
) -> list[str]:
    """Upright columns over an axis with a label under each that has room: at most ``rows`` lines of ``cells``.

    A column's height goes as a bar's length does, the highest being full. More columns than cells: neighbours
    are added up. Empty without counts, or where two lines of axis and one of columns do not fit.
    """
    high = rows - 2
    gutter = 1
    while counts:
        room = cells - gutter
        if room < 1 or high < 1:
            break
        together = -(-len(counts) // room)
        sums = [sum(max(one, 0) for one in share) for share in _in(counts, together)]
        top = figure(max(sums))
        if width(top) < gutter:
            return _columns(sums, labels[::together], top, gutter, room, high, glyphs)
        gutter = width(top) + 1
    return []


def bars_across(
    labels: Sequence[str],
    values: Sequence[Value],
    cells: int,
    glyphs: Glyphs,
    *,
    texts: Sequence[str] | None = None,
) -> list[str]:
    """A line a value: label, bar beside the highest value's, and the value (``texts`` instead, where given)."""
    known = [_known(value) for value in values]
    names = [clean(label) for label in labels]
    shown = (
        [clean(text) for text in texts]
        if texts
        else [NULL if value is None else figure(value) for value in known]
    )
    name = min(max(map(width, names), default=0), cells // 3)
    number = min(max(map(width, shown), default=0), cells // 3)
    room = max(cells - name - number - 2, 0)
    high = max((value for value in known if value is not None), default=0)
    out = []
    for label, value, text in zip(names, known, shown, strict=True):
        of = Fraction(value) / Fraction(high) if value is not None and value > 0 else Fraction(0)
        out.append(f"{pad(label, name)} {bar(of, room, glyphs)} {pad(text, number, 'right')}")
    return out


def lines(
    series: Mapping[str, Sequence[Value]],
    x_labels: Sequence[str],
    cells: int,
    rows: int,
    ascii_only: bool,
    *,
    format: Format = figure,
) -> list[str]:
    """Curves over one axis, broken where a value is missing: at most ``rows`` lines of at most ``cells``.

    Several have a sign each, named in the first line. The axis begins at zero, or at the lowest value below
    it. Empty without a value, or where the room is too small to see anything.
    """
    known = {name: [_known(value) for value in values] for name, values in series.items()}
    signs = _signs(list(known), ascii_only)
    runs = [
        (signs[name], [float(at) for at, _ in run], [float(value) for _, value in run if value is not None])
        for name, values in reversed(known.items())
        for present, group in groupby(enumerate(values), lambda pair: pair[1] is not None)
        if present
        for run in [list(group)]
    ]
    ys = [y for _, _, run in runs for y in run]
    names = "  ".join(f"{sign} {clean(name)}" for name, sign in signs.items())
    legend = [clip(names, cells)] if len(signs) > 1 else []
    longest = max(map(len, known.values()), default=0)
    frame = _Frame.of((0, max(longest - 1, 1)), ys, cells, rows - len(legend), format, ascii_only)
    if frame is None:
        return []
    drawn = _canvas(frame, runs, joined=True)
    labels = [(frame.column(at), label) for at, label in enumerate(x_labels[:longest])]
    return legend + frame.around(drawn, labels)


def scatter(
    xs: Sequence[Value],
    ys: Sequence[Value],
    cells: int,
    rows: int,
    ascii_only: bool,
    *,
    format_x: Format = figure,
    format_y: Format = figure,
) -> list[str]:
    """A point for each pair that has both, over both axes; sizes as in :func:`lines`."""
    pairs = [(_known(x), _known(y)) for x, y in zip(xs, ys, strict=True)]
    points = [(float(x), float(y)) for x, y in pairs if x is not None and y is not None]
    across = [x for x, _ in points]
    low, high = (min(across, default=0.0), max(across, default=0.0))
    limits = (low, high if high > low else low + 1)
    frame = _Frame.of(limits, [y for _, y in points], cells, rows, format_y, ascii_only)
    if frame is None:
        return []
    drawn = _canvas(frame, [("*" if ascii_only else "•", across, [y for _, y in points])], joined=False)
    end = clean(format_x(high))
    labels = [(0, format_x(low)), (max(frame.wide - width(end), 0), end)] if high > low else [(0, end)]
    return frame.around(drawn, labels)


def _columns(
    sums: Sequence[int | float],
    labels: Sequence[str],
    top: str,
    gutter: int,
    room: int,
    high: int,
    glyphs: Glyphs,
) -> list[str]:
    step = room // len(sums)
    thick = max(1, step - 1)
    each = len(glyphs.blocks) if len(glyphs.blocks) == len(glyphs.ticks) else 1
    heights = [_length(Fraction(one) / Fraction(max(sums) or 1), high * each) for one in sums]
    out = []
    for row in range(high):
        below = (high - 1 - row) * each
        line = "".join((_part(height - below, each, glyphs) * thick).ljust(step) for height in heights)
        out.append(f"{top if row == 0 else '':>{gutter - 1}} {line}".rstrip())
    out.append(f"{0:>{gutter - 1}} " + glyphs.lines * (step * len(sums)))
    starts = [(at * step, label) for at, label in enumerate(labels[: len(sums)])]
    out.append((" " * gutter + _labels(starts, room)).rstrip())
    return out


def _length(of: float | Fraction, units: int) -> int:
    """A share of so many units: half to even, one at least for what is above zero, all only for the whole."""
    if units < 1 or of != of or of <= 0:
        return 0
    if of >= 1:
        return units
    return max(1, min(round(Fraction(of) * units), units - 1))


def _known(value: Value) -> Value:
    return value if value is not None and math.isfinite(value) else None


def _in(values: Sequence[int | float], size: int) -> Iterable[Sequence[int | float]]:
    return (values[at : at + size] for at in range(0, len(values), size))


def _shares(values: Sequence[Value], cells: int) -> list[Sequence[Value]]:
    count = len(values)
    if count <= cells:
        return [[value] for value in values]
    return [values[at * count // cells : (at + 1) * count // cells] for at in range(max(cells, 0))]


def _highest(values: Sequence[Value]) -> Value:
    return max((value for each in values if (value := _known(each)) is not None), default=None)


def _part(units: int, each: int, glyphs: Glyphs) -> str:
    """The cell of a column that has so many units from this cell's foot on."""
    if units <= 0:
        return " "
    return glyphs.blocks[-1] if units >= each else glyphs.ticks[units - 1]


def _labels(starts: Sequence[tuple[int, str]], cells: int) -> str:
    """Labels in a line, each from its column on: as many as fit at even steps, and the last where it still does."""
    texts = [
        (start, text) for start, label in starts if (text := clean(label)) and start + width(text) <= cells
    ]
    for step in range(max(1, len(texts) // max(cells, 1)), len(texts) + 1):
        chosen = texts[::step]
        if all(start + width(text) < after for (start, text), (after, _) in pairwise(chosen)):
            line = ""
            for start, text in chosen:
                line += " " * (start - width(line)) + text
            return _with_last(line, *starts[-1], cells)
    return ""


def _with_last(line: str, start: int, label: str, cells: int) -> str:
    text = clean(label)
    at = min(start, cells - width(text))
    return line + " " * (at - width(line)) + text if at > width(line) else line


def _signs(names: Sequence[str], ascii_only: bool) -> dict[str, str]:
    if len(names) == 1:
        return {names[0]: "*" if ascii_only else "braille"}
    signs = (*(_PLAIN_MARKERS if ascii_only else _MARKERS), *string.ascii_lowercase, *string.ascii_uppercase)
    return {name: signs[at % len(signs)] for at, name in enumerate(names)}


@dataclass(frozen=True, slots=True)
class _Frame:
    """The axes around a canvas of ``wide`` by ``high`` cells, and what their ends stand for."""

    across: tuple[float, float]
    up: tuple[float, float]
    wide: int
    high: int
    ends: tuple[str, str]
    """The figures of ``up``."""
    ascii_only: bool

    @classmethod
    def of(
        cls,
        across: tuple[float, float],
        ys: Sequence[float],
        cells: int,
        rows: int,
        format: Format,
        ascii_only: bool,
    ) -> _Frame | None:
        """The axes that hold these values from zero on; None without one, or without room."""
        if not ys:
            return None
        low, high = min(0.0, *ys), max(0.0, *ys)
        high = high if high > low else low + 1
        ends = (clip(clean(format(low)), _GUTTER), clip(clean(format(high)), _GUTTER))
        wide = cells - max(map(width, ends)) - 2
        if wide < _LEAST[0] or rows - 2 < _LEAST[1]:
            return None
        return cls(across, (low, high), wide, rows - 2, ends, ascii_only)

    def column(self, x: float) -> int:
        """Where on the canvas ``x`` is."""
        return round(_between(x, self.across) * (self.wide - 1))

    def around(self, drawn: Sequence[str], labels: Sequence[tuple[int, str]]) -> list[str]:
        """The canvas with figures and axes, and labels from their columns on."""
        side, corner, line = "|+-" if self.ascii_only else "│└─"
        gutter = max(map(width, self.ends))
        beside = {0: self.ends[1], self.high - 1: self.ends[0]}
        out = [
            f"{pad(beside.get(row, ''), gutter, 'right')} {side}{text}".rstrip()
            for row, text in enumerate(drawn)
        ]
        out.append(" " * (gutter + 1) + corner + line * self.wide)
        out.append((" " * (gutter + 2) + _labels(labels, self.wide)).rstrip())
        return out


def _between(value: float, ends: tuple[float, float]) -> float:
    # Halves, because the distance of two numbers can be more than any number.
    distance = ends[1] / 2 - ends[0] / 2
    return (value / 2 - ends[0] / 2) / distance if distance else 0.0


def _canvas(frame: _Frame, runs: Sequence[_Run], *, joined: bool) -> list[str]:
    import plotext

    with _drawing:
        # It would make the figure as small as the terminal that it believes to be in.
        plotext.terminal.limit(False, False)
        canvas = plotext.figure
        canvas.clear()
        canvas.axes(False)
        canvas.legend(False)
        canvas.ruler([0, 1], [0, 1]).frequency(0).lim(0, 1)
        canvas.plot_size(frame.wide, frame.high)
        for sign, xs, ys in runs:
            across = [_between(x, frame.across) for x in xs]
            up = [_between(y, frame.up) for y in ys]
            canvas.draw(canvas.signal(across, up, marker=sign).lines(joined))
        text: str = canvas.build().string(colorless=True)
        canvas.clear()
    return text.splitlines()[: frame.high]
