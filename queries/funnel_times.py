"""How long the counted attempts of a funnel took: exact quantiles of the times to each step, and a histogram."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from queries import statistics
from queries.funnel_groups import Cohort

Ints = NDArray[np.int64]

HISTOGRAM_BINS = 20
_NICE_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_FROM_ENTRY = {
    "seconds_from_entry_median": (1, 2),
    "seconds_from_entry_p25": (1, 4),
    "seconds_from_entry_p75": (3, 4),
    "seconds_from_entry_p90": (9, 10),
}
_FROM_PREVIOUS = {"seconds_from_previous_median": (1, 2)}


def times_of_steps(cohort: Cohort, rows: Ints | slice) -> Iterator[dict[str, float | None]]:
    """For each step quantiles of the times of the attempts, of some entries, that did it, in seconds; none of step 1.

    From the entry (or the first step 1 in range), and from the step done before: those left out are passed over.
    """
    reached, request = cohort.folded.reached, cohort.request
    before = reached[0, rows]
    start = before if request.since == "entry" else _start(cohort)[rows]
    # Else a later step may be done where this one is not.
    narrows = not request.optional and request.order != "any"
    yield dict.fromkeys((*_FROM_ENTRY, *_FROM_PREVIOUS))
    for of_step in reached[1:]:
        at = of_step[rows]
        done = (at >= 0).nonzero()[0]
        now = at[done]
        from_entry = _spans(start[done], now)
        from_previous = from_entry if before is start else _spans(before[done], now)
        yield _quantiles(from_entry, _FROM_ENTRY) | _quantiles(from_previous, _FROM_PREVIOUS)
        if narrows:
            rows = done if isinstance(rows, slice) else rows[done]
            start, before = start[done], now
        else:
            before = np.where(at >= 0, at, before)


def times_to_convert(cohort: Cohort, places: Ints) -> Ints:
    """From the entry (or the first step 1 in range) to the last step of entries that did it, ms, ascending."""
    return np.sort(_spans(_start(cohort)[places], cohort.folded.reached[-1, places]))


def _start(cohort: Cohort) -> Ints:
    """When the times of each entry begin."""
    return cohort.folded.first_entry if cohort.request.since == "first" else cohort.folded.reached[0]


def _spans(start: Ints, end: Ints) -> Ints:
    """ms from one event to another; a step that a tolerance lets come before the other counts as at once."""
    spans: Ints = end - start
    return np.maximum(spans, 0, out=spans)


def _quantiles(spans: Ints, asked: dict[str, tuple[int, int]]) -> dict[str, float | None]:
    """Quantiles in seconds; puts the spans that they are read of in their places, which is less than sorting all."""
    if len(spans):
        below = [(len(spans) - 1) * numerator // denominator for numerator, denominator in asked.values()]
        _place(spans, sorted({*below, *(min(place + 1, len(spans) - 1) for place in below)}))
    return {name: statistics.quantile_seconds(spans, *quantile) for name, quantile in asked.items()}


def _place(values: Ints, places: list[int]) -> None:
    """Moves values so that at some places, ascending, stand those that would stand there in order."""
    if not places:
        return
    # One place at a time is what the library is quick at.
    middle = len(places) // 2
    at = places[middle]
    values.partition(at)
    _place(values[:at], places[:middle])
    _place(values[at + 1 :], [place - at - 1 for place in places[middle + 1 :]])


def histogram(milliseconds: Ints) -> list[dict[str, int]]:
    """Equal bins of a round width over ascending times; ``[from, to)`` in seconds, people counted.

    The width is the smallest round one that needs at most :data:`HISTOGRAM_BINS` bins, whole days past a day.
    """
    if not len(milliseconds):
        return []
    longest = int(milliseconds[-1]) // 1000 + 1
    width = next((w for w in _NICE_SECONDS if w * HISTOGRAM_BINS >= longest), 0)
    if not width:
        width = -(-longest // (HISTOGRAM_BINS * 86400)) * 86400
    counts = np.bincount(milliseconds // (1000 * width))
    return [
        {"from_seconds": place * width, "to_seconds": (place + 1) * width, "users": int(count)}
        for place, count in enumerate(counts)
    ]
