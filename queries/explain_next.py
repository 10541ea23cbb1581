"""What people did after the step they stopped at: the next events of each, counted in one pass over the events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from queries.funnel_fold import TIES
from queries.question import Data
from queries.scope import Within

Ints = NDArray[np.int64]

PLACES = 3
"""How many next events of each person are kept."""
_HELD = 1 << 20
"""Events held before all but the first of each person are let go."""


@dataclass(frozen=True, slots=True)
class Next:
    """The first events after a moment of each person; equally long, by person, then in order."""

    owner: Ints
    """Places among the people asked for."""
    rank: Ints
    """1 for the next event, 2 for the one after it …"""
    event: Ints
    """Codes into :attr:`names`."""
    after: Ints
    """ms since the moment."""
    names: list[str]


def statements(within: Within, data: Data) -> tuple[str, str]:
    """The table of event names with their codes, and the select of events in scope."""
    where = "" if within.where is None else f"\nWHERE ({within.where})"
    names = (
        "SELECT row_number() OVER (ORDER BY event) - 1 AS event_code, event AS event_name\n"
        f"FROM (SELECT DISTINCT event FROM events{where})"
    )
    ties = ", ".join(TIES[name] for name in data.schema.order)
    select = (
        f"SELECT e.person, e.ts, event_names.event_code, {ties}\n"
        f"FROM events e\nJOIN event_names ON event_names.event_name = e.event{where}"
    )
    return names, select


def following(people: Ints, since: Ints, within: Within, data: Data) -> Next:
    """The first :data:`PLACES` events of each person later than a moment of theirs, ms; a person's other units
    count too."""
    names, select = statements(within, data)
    data.remember("event_names", names)
    listed = [str(name) for (name,) in data.fetch("SELECT event_name FROM event_names ORDER BY event_code")]
    owner = data.owners(np.arange(data.survey().codes, dtype=np.int64))
    place = np.full(int(max(owner.max(initial=-1), people.max(initial=-1))) + 2, -1, np.int64)
    place[people] = np.arange(len(people))
    of_unit = place[owner]
    parts: list[Ints] = []
    held = 0
    for batch in data.stream(select):
        columns = [np.asarray(batch[name]).astype(np.int64, copy=False) for name in batch]
        mine = of_unit[columns[0]]
        kept = np.flatnonzero(mine >= 0)
        kept = kept[columns[1][kept] > since[mine[kept]]]
        if not len(kept):
            continue
        parts.append(np.stack([mine[kept], *(column[kept] for column in columns[1:])]))
        held += len(kept)
        if held > _HELD + PLACES * len(people):
            parts = [_first(np.concatenate(parts, axis=1))[0]]
            held = parts[0].shape[1]
    if not parts:
        none = np.empty(0, np.int64)
        return Next(none, none, none, none, listed)
    rows, rank = _first(np.concatenate(parts, axis=1))
    return Next(rows[0], rank, rows[2], rows[1] - since[rows[0]], listed)


def _first(rows: Ints) -> tuple[Ints, Ints]:
    """The first events of each person, ordered, with their ranks from 1; ``rows`` are person, ts, event, ties."""
    rows = rows[:, np.lexsort((*rows[:2:-1], rows[1], rows[0]))]
    begins = np.flatnonzero(np.concatenate(([True], rows[0, 1:] != rows[0, :-1])))
    runs = np.diff(np.append(begins, rows.shape[1]))
    rank = np.arange(rows.shape[1]) - np.repeat(begins, runs) + 1
    kept = rank <= PLACES
    return rows[:, kept], rank[kept]
