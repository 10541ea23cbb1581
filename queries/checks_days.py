"""What days and hours show: an event that a day lacks, a sudden drop, files whose clock stands in another zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from queries.checks import EVERY, Check, Own
from queries.checks_ground import Asking, Finding, Ints, day_named
from queries.quoting import quote_literal

EXAMPLES = 5
LEAST_LOST, LEAST_DROPPED = 10, 50
"""A day is judged where so many people are usual: fewer come and go by chance."""
DROP = 0.5
SEEN = 0.9
"""An event is judged that is seen on so many of the days."""
WEEKS = 4
FIRST_DAYS = 3
SPREADS = 6
"""How many times the usual spread of its days a day must be off."""
LEAST_HOURS = 100
"""People by hour, summed, from which a profile of hours says something."""
FEW_UNITS = 5
"""So many profiles say how much they differ by nature."""
BETTER = 0.2

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gap:
    """One series on one day that has too few events."""

    day: int
    event: str | None
    slice: str | None
    found: int
    usual: float

    def __str__(self) -> str:
        what = "all events" if self.event is None else self.event
        where = "" if self.slice is None else f", {self.slice or '(other)'}"
        return f"{day_named(self.day)} {what}{where}: {self.found:,}, usually {self.usual:,.0f}"


def lost_days(asking: Asking) -> Finding:
    """Days without one event: there are no rows, what is counted are days."""
    return _finding([gap for gap in _gaps(asking) if not gap.found])


def sudden_drops(asking: Asking) -> Finding:
    """Days with far less of one event than is usual; rows are what is left of it."""
    gaps = [gap for gap in _gaps(asking) if gap.found]
    return _finding(gaps, sum(gap.found for gap in gaps))


def _finding(gaps: list[Gap], rows: int | None = None) -> Finding:
    worst = sorted(gaps, key=lambda gap: (gap.found - gap.usual, str(gap)))
    return Finding(len(gaps), "days", rows=rows, examples=tuple(map(str, worst[:EXAMPLES])))


def _gaps(asking: Asking) -> list[Gap]:
    """Series that have too few events on a day; of a series and its parts the whole alone."""
    first, last = asking.dense
    found: list[Gap] = []
    told: set[tuple[int, str | None, str | None]] = set()
    for by_event, by_slice in ((False, False), (True, False), (False, True), (True, True)):
        now = [
            Gap(first + place, event, part, int(rows[place]), usual)
            for event, part, rows, people in _series(asking, first, last - first + 1, by_event, by_slice)
            for place, usual in _low(rows, people)
        ]
        found += [
            gap
            for gap in now
            if not {(gap.day, None, None), (gap.day, gap.event, None), (gap.day, None, gap.slice)} & told
        ]
        told |= {(gap.day, gap.event, gap.slice) for gap in found}
    return found


def _series(
    asking: Asking, first: int, length: int, by_event: bool, by_slice: bool
) -> Iterator[tuple[str | None, str | None, Ints, Ints]]:
    """Events and people a day: of everything, of each event, of each slice, or of each event in each slice.

    People of several events are those of the event that has most: at least so many, nobody twice.
    """
    counts = asking.days
    inside = (counts.day >= first) & (counts.day < first + length)
    if length < 1 or not inside.any():
        return
    events, event = np.unique(counts.event[inside].astype(str), return_inverse=True)
    slices, part = np.unique(counts.slice[inside].astype(str), return_inverse=True)
    if by_slice and len(slices) < 2:
        return
    codes, places = np.unique(event * len(slices) + (part if by_slice else 0 * part), return_inverse=True)
    rows, people = np.zeros((2, len(codes), length), np.int64)
    at = (places, counts.day[inside] - first)
    np.add.at(rows, at, counts.rows[inside])
    np.add.at(people, at, counts.people[inside])
    for one in np.unique(codes if by_event else codes % len(slices)):
        name = str(events[one // len(slices)]) if by_event else None
        # What rare names have in common says nothing.
        if name == "":
            continue
        its = codes == one if by_event else codes % len(slices) == one
        own = str(slices[one % len(slices)]) if by_slice else None
        yield name, own, rows[its].sum(axis=0), people[its].max(axis=0)


def _low(rows: Ints, people: Ints) -> Iterator[tuple[int, float]]:
    """Places of days with too few events and people, and how many events are usual there."""
    # The first and the last day may be cut: never judged, never judged by.
    inner = rows[1:-1]
    if len(inner) < 5 or (inner > 0).mean() < SEEN or not (inner < DROP * inner.max()).any():
        return
    usual, low = _usual(inner.astype(np.float64))
    usual_people, few = _usual(people[1:-1].astype(np.float64))
    # On the first days, and on those before an event is seen at all, nothing says that it was more before.
    known = np.arange(len(inner)) >= max(FIRST_DAYS, int((inner > 0).argmax()))
    enough = usual_people >= np.where(inner, LEAST_DROPPED, LEAST_LOST)
    # Where no other day comes near it, an empty day needs no measure of how much the days differ.
    lost = (inner == 0) & (people[1:-1][inner > 0].min() >= LEAST_LOST)
    for place in np.flatnonzero((low & few | lost) & enough & known):
        yield int(place) + 1, float(usual[place])


def _usual(full: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """What is usual on each day of a series, and whether the day has far less."""
    before, before_least = _side(full)
    after, after_least = (side[::-1] for side in _side(full[::-1]))
    usual = np.fmin(before, after)
    off = np.log((full + 1) / (usual + 1))
    spread = 1.4826 * np.nanmedian(np.abs(off))
    low = (off < -SPREADS * spread) & (full < DROP * usual) & (full < np.fmin(before_least, after_least))
    return usual, low


def _side(full: Floats) -> tuple[Floats, Floats]:
    """Median and minimum of each day's same weekdays in the weeks before it; where there is none, of its nearest
    days, and NaN where these are fewer than :data:`FIRST_DAYS`.
    """
    weeks = np.full((WEEKS, len(full)), np.nan)
    for week in range(1, min(WEEKS, (len(full) - 1) // 7) + 1):
        weeks[week - 1, 7 * week :] = full[: -7 * week]
    median, least = np.full(len(full), np.nan), np.full(len(full), np.nan)
    median[7:], least[7:] = np.nanmedian(weeks[:, 7:], axis=0), np.nanmin(weeks[:, 7:], axis=0)
    for place in range(FIRST_DAYS, min(7, len(full))):
        near = full[max(0, place - 6) : place]
        median[place], least[place] = np.median(near), near.min()
    return median, least


# --- hours ------------------------------------------------------------------------------------------------


def mixed_zones(asking: Asking) -> Finding:
    """Files, sources, platforms or days whose hours are shifted against the others'; rows are their events."""
    keys, rows, people = _hours(asking)
    shifted = np.zeros(len(rows), bool)
    conditions: list[str] = []
    examples: list[str] = []
    for kind, column in keys.items():
        for unit, shift in _shifted(column, people, ~shifted):
            cells = column == unit
            conditions.append(_condition(asking, kind, unit))
            events = int(rows[cells & ~shifted].sum())
            shifted |= cells
            examples.append(
                f"{_named(asking, kind, unit)}: {events:,} events, {shift:+d} h against the others"
            )
    count = int(rows[shifted].sum())
    sql = f"SELECT person FROM {asking.events} WHERE {' OR '.join(conditions)}" if conditions else None
    return Finding(count, "rows", count, int(rows.sum()), None, tuple(examples[:EXAMPLES]), sql)


def _hours(asking: Asking) -> tuple[Mapping[str, NDArray[np.generic]], Floats, Floats]:
    """Cells by file, source, slice and day: their keys, their events, their people in each of 24 hours.

    People, since a visit's events stand together: their number says nothing of how sure a profile is.
    """
    names = ("file", "source", "slice", "day")
    parts = asking.stream(
        "WITH people AS (\n"
        f"  SELECT place >> 40 AS file, source_index AS source, {asking.known_slice} AS slice,\n"
        f"    {asking.local_day} AS day, {asking.local_hour} AS hour, person, count(*) AS rows\n"
        f"  FROM {asking.events}\n  GROUP BY ALL\n)\n"
        "SELECT file, source, slice, day, hour, count(*) AS people, CAST(sum(rows) AS BIGINT) AS rows\n"
        "FROM people\nGROUP BY ALL ORDER BY ALL"
    )
    if not parts:
        return {}, np.empty(0), np.empty((0, 24))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    columns["slice"] = columns["slice"].astype(str)
    start = np.ones(len(columns["hour"]), bool)
    start[1:] = np.logical_or.reduce([columns[name][1:] != columns[name][:-1] for name in names])
    cell = np.cumsum(start) - 1
    people = np.zeros((int(start.sum()), 24))
    people[cell, columns["hour"].astype(np.int64)] = columns["people"]
    rows = np.bincount(cell, columns["rows"]).astype(np.float64)
    return {name: columns[name][start] for name in names}, rows, people


def _shifted(
    unit_of: NDArray[np.generic], people: Floats, open_: NDArray[np.bool_]
) -> list[tuple[object, int]]:
    """Units whose profile is the others' when moved by 2 hours or more; of two alone, the smaller one."""
    units, places = np.unique(unit_of[open_], return_inverse=True)
    table = np.zeros((len(units), 24))
    np.add.at(table, places, people[open_])
    large = np.flatnonzero(table.sum(axis=1) >= LEAST_HOURS)
    if len(units) < 2 or not len(large):
        return []
    fits = np.array([_fits(table[place], table.sum(axis=0) - table[place]) for place in large])
    best = fits.argmax(axis=1)
    shift = np.where(best <= 12, best, best - 24)
    unmoved, moved = fits[:, 0], fits.max(axis=1)
    sizes = table[large].sum(axis=1)
    odd = (np.abs(shift) >= 2) & (moved - unmoved >= BETTER) & (table.sum() - sizes >= LEAST_HOURS)
    if len(large) < FEW_UNITS:
        odd &= moved >= 0.95
    else:
        middle = float(np.median(unmoved))
        spread = max(0.01, 1.4826 * float(np.median(np.abs(unmoved - middle))))
        odd &= (unmoved < middle - SPREADS * spread) & (moved >= middle - 2 * spread)
    found = np.flatnonzero(odd)
    if len(units) == 2 and len(found) == 2:
        found = found[[int(sizes.argmin())]]
    elif 2 * sizes[found].sum() >= table.sum():
        # Where half or more are shifted against the rest, nobody can say which of them are right.
        return []
    return [(units[large[one]], int(shift[one])) for one in found]


def _fits(own: Floats, others: Floats) -> Floats:
    """How alike two profiles are (cosine) with the one moved back by 0 to 23 hours."""
    return np.array([_cosine(np.roll(own, -hours), others) for hours in range(24)])


def _cosine(one: Floats, other: Floats) -> float:
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / size if size else 0.0


def _condition(asking: Asking, kind: str, unit: object) -> str:
    column = {
        "file": "place >> 40",
        "source": "source_index",
        "slice": asking.known_slice,
        "day": asking.local_day,
    }
    return f"{column[kind]} = {quote_literal(str(unit)) if kind == 'slice' else int(str(unit))}"


def _named(asking: Asking, kind: str, unit: object) -> str:
    if kind == "file":
        return asking.material.files[int(str(unit))].name
    if kind == "source":
        return f"source {asking.survey.sources[int(str(unit))]}"
    return f"platform {unit}" if kind == "slice" else str(day_named(int(str(unit))))


_USUAL = (
    f"usual is the lower of the medians of the same weekday in the {WEEKS} weeks before and after (else of the 6 "
    f"nearest days, {FIRST_DAYS} or more), of what {SEEN:.0%} of the days have; by event and by platform (else "
    f"source); below each of those days and further off than {SPREADS} times the spread of all days, in events and "
    f"in people, or empty, where no other day has fewer than {LEAST_LOST} people; the first {FIRST_DAYS + 1} days "
    "and the last are not judged"
)

DAYS = (
    Check(
        "lost-day",
        "error",
        f"a day without an event which {LEAST_LOST} people or more usually have; {_USUAL}",
        EVERY,
        "it was not sent or not loaded that day: load it again, or leave the day out with --from and --to",
        Own(lost_days, "days"),
    ),
    Check(
        "sudden-drop",
        "warning",
        f"a day with less than {DROP:.0%} of an event's usual number, where {LEAST_DROPPED} people or more are usual; "
        f"{_USUAL}",
        EVERY,
        "a part was not sent or not loaded, or a release broke the event: ask whoever ships it",
        Own(sudden_drops, "days"),
    ),
    Check(
        "mixed-zones",
        "error",
        "a file, source, platform or day whose people over the 24 hours are those of all others only when moved by 2 "
        f"hours or more: the cosine is then {BETTER} better, no worse than that of its like (of fewer than "
        f"{FEW_UNITS}: 0.95), and unmoved {SPREADS} times their spread below it; of {LEAST_HOURS} people by hour and "
        "more",
        ("funnel", "events", "user", "attribution"),
        "its times were written in another zone: declare zone for its [[source]] in workbench.toml",
        Own(mixed_zones),
    ),
)
"""What days and hours show beside their neighbours."""
