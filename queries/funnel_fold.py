"""From the funnel's selected events to the fold's result: from lanes where there are any, packed as they come where
that is exact, else whole, else person by person where they do not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from queries.kernels import funnel as kernel
from queries.kernels import lanes_fold
from queries.kernels.lane_values import ValuedLane, with_values, without
from queries.kernels.lanes import Funnel, Lanes
from queries.kernels.ordering import Events, Packing
from queries.question import Columns, Data

Ints = NDArray[np.int64]

PACKED_FACTOR = 4
"""A packed event costs at most a quarter of an unpacked one."""

MOST_UNSETTLED = 20_000
"""People whose events are read beside lanes; for more of them everything is."""


@dataclass(frozen=True, slots=True)
class FromLanes:
    """What takes the place of a select: lanes with the same events."""

    lanes: Lanes
    asked: Funnel
    valued: tuple[int, ValuedLane] | None
    """For a breakdown: the step, from 0, whose event has the value, and that step's events."""

    @property
    def values(self) -> list[str]:
        """The breakdown's values, ascending; the place of each is its code."""
        values = () if self.valued is None else self.valued[1].values
        return sorted({value for value in values if value is not None})


Values = Callable[[], Sequence[str]]
"""The breakdown's values by the codes that a select gives them; made when they are first asked for."""


TIES = {
    "fine": "e.fine",
    "sequence": "coalesce(e.sequence, -9223372036854775807) AS sequence",
    "place": "e.place",
}
"""What orders a person's events of equal time, most significant first; a missing sequence comes first."""


def fold_selected(
    data: Data, select: str, rule: kernel.Rule, *, packed: bool, values: int | None
) -> tuple[kernel.Folded, int]:
    """The fold over the events of a select, and the bits of the steps that any of them matched.

    The select yields ``person``, ``ts``, the one ``step`` (where ``packed``) or the ``steps`` mask, and as far
    as the rule reads them ``excludes``, ``breakdown_code`` (codes below ``values``), ``held_code`` and the
    columns of :data:`TIES`. Events are taken in any order while they fit the budget; past it they are read
    ordered by person (the engine sorts on disk) and folded piece by piece.
    """
    found = _fold_packed(data, select, rule, values) if packed else None
    if found is not None:
        return found
    batches: list[Events] = []
    held = 0
    for batch in data.stream(select):
        batches.append(events_of(batch))
        held += len(batches[-1].ts)
        if held > data.row_budget:
            break
    else:
        events = together(batches)
        return kernel.fold(events, rule, threads=data.threads), _seen(events)
    del batches
    parts: list[kernel.Folded] = []
    seen = 0
    for events in whole_people(data, select + "\nORDER BY e.person"):
        parts.append(kernel.fold(events, rule, threads=data.threads))
        seen |= _seen(events)
    return kernel.merge(parts, rule.steps), seen


def fold_lanes(
    data: Data, select: str, given: FromLanes, values: Values | None
) -> tuple[kernel.Folded, int] | None:
    """The same over lanes with the same events, by the codes of their own values; None where they do not do.

    The people whom lanes leave are read by the select, which gives ``values`` their codes.
    """
    if values is not None and given.valued is None:
        return None
    lanes, asked = given.lanes, given.asked
    found = lanes_fold.fold(lanes, asked, threads=data.threads)
    folded, ambiguous = found.folded, np.empty(0, np.int64)
    codes = {value: code for code, value in enumerate(given.values)}
    if given.valued is not None:
        folded, ambiguous = with_values(folded, lanes, given.valued[1], given.valued[0], codes.__getitem__)
    if len(found.unsettled) + len(ambiguous) > MOST_UNSETTLED:
        return None
    if len(found.unsettled):
        rest = _fold_people(data, select, asked, found.unsettled, values, codes)
        folded = kernel.merge([folded, rest], asked.rule.steps)
    if len(ambiguous):
        rest = _fold_people(data, select, asked, ambiguous, values, codes)
        # Their events were counted where equal times are; only whose value it is was not told.
        rest = replace(rest, tied_events=0, removed=rest.removed[:0])
        folded = kernel.merge([without(folded, ambiguous), rest], asked.rule.steps)
    return folded, found.seen


def _fold_people(
    data: Data, select: str, asked: Funnel, people: Ints, values: Values | None, codes: Mapping[str, int]
) -> kernel.Folded:
    """The fold over the events of some people, with other codes of its values."""
    theirs = select + "\n  AND e.person IN (SELECT person FROM unsettled_people)"
    named = None if values is None else values()
    # What is made after it may take the place of what was there.
    data.remember("unsettled_people", "SELECT unnest($people) AS person", {"people": people.tolist()})
    count = None if named is None else len(named)
    folded, _ = fold_selected(data, theirs, asked.rule, packed=False, values=count)
    own = np.array([*(codes.get(value, -1) for value in named or ()), -1], np.int64)
    return replace(folded, value=own[folded.value])


def _fold_packed(
    data: Data, select: str, rule: kernel.Rule, values: int | None
) -> tuple[kernel.Folded, int] | None:
    """The fold over events packed as they come; None where the export's order counts or they do not fit."""
    survey = data.survey()
    if survey.first is None or survey.last is None:
        return None
    packing = Packing.fitting(
        survey.codes, survey.first, survey.last, rule.steps, values, every_value=rule.reads_every_value
    )
    if packing is None:
        return None
    pieces: list[Ints] = []
    held = seen = 0
    for batch in data.stream(select):
        columns = _integers(batch)
        pieces.append(
            packing.pack(columns["person"], columns["ts"], columns["step"], columns.get("breakdown_code"))
        )
        seen |= sum(1 << int(step) - 1 for step in np.flatnonzero(np.bincount(columns["step"])))
        held += len(columns["ts"])
        if held > data.row_budget * PACKED_FACTOR:
            return None
    together = np.concatenate(pieces) if pieces else np.empty(0, np.int64)
    pieces.clear()
    folded = kernel.fold_packed(together, packing, rule, threads=data.threads)
    return None if folded is None else (folded, seen)


def whole_people(data: Data, sql: str) -> Iterator[Events]:
    """Batches of a query ordered by person, recut so that no person is in two."""
    rest: list[Events] = []
    for batch in data.stream(sql):
        events = events_of(batch)
        last = int(np.searchsorted(events.person, events.person[-1], side="left"))
        if last:
            yield together([*rest, _part(events, slice(0, last))])
            rest = []
        elif rest and rest[-1].person[-1] != events.person[0]:
            yield together(rest)
            rest = []
        rest.append(_part(events, slice(last, None)))
    if rest:
        yield together(rest)


def _part(events: Events, rows: slice) -> Events:
    def cut(column: Ints | None) -> Ints | None:
        return None if column is None else column[rows]

    return Events(
        events.person[rows],
        events.ts[rows],
        events.steps[rows],
        tuple(column[rows] for column in events.ties),
        cut(events.value),
        cut(events.excludes),
        cut(events.held),
    )


def _seen(events: Events) -> int:
    """The bits of all steps that some event matched."""
    return int(np.bitwise_or.reduce(events.steps)) if len(events.steps) else 0


def _integers(batch: Columns) -> dict[str, Ints]:
    return {name: np.asarray(column).astype(np.int64, copy=False) for name, column in batch.items()}


def events_of(batch: Columns) -> Events:
    """A batch of a funnel's select as the kernels take events."""
    columns = _integers(batch)
    return Events(
        columns["person"],
        columns["ts"],
        columns["steps"] if "steps" in columns else np.left_shift(1, columns["step"] - 1),
        tuple(columns[name] for name in TIES if name in columns),
        columns.get("breakdown_code"),
        columns.get("excludes"),
        columns.get("held_code"),
    )


def together(batches: Sequence[Events]) -> Events:
    """Several batches as one."""
    if not batches:
        none = np.empty(0, np.int64)
        return Events(none, none, none)

    def joined(columns: Sequence[Ints | None]) -> Ints | None:
        there = [column for column in columns if column is not None]
        return np.concatenate(there) if there else None

    return Events(
        np.concatenate([batch.person for batch in batches]),
        np.concatenate([batch.ts for batch in batches]),
        np.concatenate([batch.steps for batch in batches]),
        tuple(np.concatenate(columns) for columns in zip(*(batch.ties for batch in batches), strict=True)),
        joined([batch.value for batch in batches]),
        joined([batch.excludes for batch in batches]),
        joined([batch.held for batch in batches]),
    )
