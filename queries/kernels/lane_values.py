"""The breakdown of entries that lanes gave: the value of the event that does a step, found by person and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from queries.kernels.funnel import Folded
from queries.kernels.lanes import Lanes
from queries.kernels.ordering import Bools, Ints


@dataclass(frozen=True, slots=True)
class ValuedLane:
    """Events by person and time, each with the code of a property's value."""

    keys: Ints
    """Ascending, as those of the lanes beside it."""
    codes: Ints
    """−1 for none."""
    values: tuple[str, ...]
    """By code."""


def with_values(
    folded: Folded, lanes: Lanes, valued: ValuedLane, step: int, code_of: Callable[[str], int]
) -> tuple[Folded, Ints]:
    """Entries with the value of their event of a step (from 0), and the people, ascending, with whom it takes more.

    Those have several events of the step at that time, of different values: the export's order tells which
    one counts. ``code_of`` gives the breakdown's code of a value.
    """
    own = np.array([*(code_of(value) for value in valued.values), -1], np.int64)
    done = np.flatnonzero(folded.reached[step] >= 0)
    keys = (folded.person[done] << lanes.time_bits) | (folded.reached[step][done] - lanes.base)
    first = np.searchsorted(valued.keys, keys)
    codes = own[valued.codes]
    value = np.full(len(folded.person), -1, np.int64)
    value[done] = codes[first]
    behind = first + 1
    again = np.flatnonzero(behind < len(valued.keys))
    again = again[valued.keys[behind[again]] == keys[again]]
    unlike = again[_differs(valued.keys, codes, first[again])]
    return replace(folded, value=value), np.unique(folded.person[done[unlike]])


def _differs(keys: Ints, codes: Ints, first: Ints) -> Bools:
    """Whether events of one person and time, from ``first`` on, have different values."""
    end = np.searchsorted(keys, keys[first], side="right")
    # How often the value changes from one event to the next, up to each event.
    changes = np.concatenate(([0], np.cumsum(codes[1:] != codes[:-1])))
    differs: Bools = changes[end - 1] != changes[first]
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


def valued_lane(keys: Sequence[Ints], codes: Sequence[Ints], values: Sequence[str]) -> ValuedLane:
    """A lane of batches in any order."""
    whole = np.concatenate(keys) if keys else np.empty(0, np.int64)
    code = np.concatenate(codes) if codes else np.empty(0, np.int64)
    if not (whole[1:] >= whole[:-1]).all():
        order = np.argsort(whole, kind="stable")
        whole, code = whole[order], code[order]
    return ValuedLane(whole, code, tuple(values))
