"""The breakdown of entries that lanes gave: the value of the event that does a step, found by person and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from queries.kernels.funnel import Folded
from queries.kernels.lanes import Lanes
from queries.kernels.ordering import Bools, Ints, distinct

Codes = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Over:
    """An expression over properties, and the names of the events of which it is asked."""

    events: tuple[str, ...]
    columns: tuple[str, ...]
    """Those it reads, at least one, ascending."""
    sql: str


@dataclass(frozen=True, slots=True)
class ValuedLane:
    """Events by person and time, each with the code of a property's value."""

    keys: Ints
    """Ascending, as those of the lanes beside it."""
    codes: Codes
    """Places among the values."""
    values: tuple[str | None, ...]
    """By code, maybe more than once; None for none."""


def with_values(
    folded: Folded, lanes: Lanes, valued: ValuedLane, step: int, code_of: Callable[[str], int]
) -> tuple[Folded, Ints]:
    """Entries with the value of their event of a step (from 0), and the people, ascending, with whom it takes more.

    Those have several events of the step at that time, of different values: the export's order tells which
    one counts. ``code_of`` gives the breakdown's code of a value.
    """
    own = np.array([-1 if value is None else code_of(value) for value in valued.values], np.int64)
    done = np.flatnonzero(folded.reached[step] >= 0)
    keys = (folded.person[done] << lanes.time_bits) | (folded.reached[step][done] - lanes.base)
    first = np.searchsorted(valued.keys, keys)
    value = np.full(len(folded.person), -1, np.int64)
    value[done] = own[valued.codes[first]]
    behind = first + 1
    again = np.flatnonzero(behind < len(valued.keys))
    again = again[valued.keys[behind[again]] == keys[again]]
    unlike = again[_differs(valued, own, first[again])]
    return replace(folded, value=value), distinct(folded.person[done[unlike]])


def _differs(valued: ValuedLane, own: Ints, first: Ints) -> Bools:
    """Whether events of one person and time, from ``first`` on, have different values."""
    count = np.searchsorted(valued.keys, valued.keys[first], side="right") - first
    starts = np.cumsum(count) - count
    every = np.repeat(first - starts, count) + np.arange(count.sum())
    unlike = own[valued.codes[every]] != np.repeat(own[valued.codes[first]], count)
    differs: Bools = np.zeros(len(first), bool)
    differs[np.repeat(np.arange(len(first)), count)[unlike]] = True
    return differs


def without(folded: Folded, people: Ints) -> Folded:
    """The fold without the entries of some people; what is counted of all events stays."""
    kept = ~np.isin(folded.person, people)
    of_entries = {
        one.name: getattr(folded, one.name)[kept]
        for one in fields(folded)
        if one.name not in ("reached", "tied_events", "removed")
    }
    return replace(folded, reached=folded.reached[:, kept], **of_entries)


def valued_lane(keys: Sequence[Ints], codes: Sequence[Codes], values: Sequence[str | None]) -> ValuedLane:
    """A lane of batches in any order."""
    whole = keys[0] if len(keys) == 1 else np.concatenate([np.empty(0, np.int64), *keys])
    code = codes[0] if len(codes) == 1 else np.concatenate([np.empty(0, np.int64), *codes])
    if not (whole[1:] >= whole[:-1]).all():
        order = np.argsort(whole, kind="stable")
        whole, code = whole[order], code[order]
    return ValuedLane(whole, code, tuple(values))
