"""A wave: sessions that were played, open to the topics before they are counted and written.

A wave holds at most one session of a person. Inserted events keep the rules of the shop: a session's events
are in order, at most five minutes apart, never share a millisecond, and end before the demo does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.demo import days, rows
from workbench.demo.draws import Bools, Ints
from workbench.demo.orders import Paid
from workbench.demo.rows import Lines, Part, Rows
from workbench.demo.visits import Visits

LONGEST_GAP = 300_000
"""Milliseconds between two events of a session, at most."""
_ALIKE = ("person", "user", "device", "session", "channel", "campaign", "platform", "version", "city")
"""What an inserted event shares with the event before it."""
_OF_SESSION = ("landing_page",)
"""The same, of what topics write on every event of a session."""


@dataclass(slots=True)
class Wave:
    """Sessions that took place: ``visits`` and ``paid`` have an entry each, ``rows`` their events in order."""

    visits: Visits
    rows: Rows
    lines: Lines
    line_session: Ints
    """For each order line the session of this wave it is of."""
    paid: Paid

    @property
    def day(self) -> int:
        """The day on which the sessions begin."""
        return self.visits.day

    def part(self) -> Part:
        """The rows with the session of each; to be asked anew after an insertion."""
        return rows.part_of(self.rows)

    def end(self) -> Ints:
        """Last moment of each session."""
        last = np.append(np.flatnonzero(self.rows.place == 0)[1:], len(self.rows)) - 1
        return np.asarray(self.rows.ts[last], dtype=np.int64)

    def insert(
        self,
        after: Ints,
        event: int | Ints,
        delay: Ints,
        columns: Mapping[str, int | Ints] | None = None,
        push: bool = False,
    ) -> Bools:
        """Puts events behind rows of the wave; says which found room.

        ``after``: indices of rows, ascending; several behind one row stand in the order given. ``delay``:
        milliseconds behind the row or the inserted event before, 1 to 300,000. In the middle of a session
        they are squeezed into the gap that is there, unless ``push`` moves the rest of the session later.
        ``columns`` has numbers or an array like ``after``; who, where and from where are those of the row
        before, all else is null. Those behind one row come in together or not at all: not where the gap has
        too few milliseconds or the session would run past the end of the demo.
        """
        if not len(after):
            return np.zeros(0, dtype=np.bool_)
        moved, moment, fits = self._moments(after, np.clip(delay, 1, LONGEST_GAP), push)
        names = [*_ALIKE, *(name for name in _OF_SESSION if name in self.rows.extra)]
        alike = {name: self.rows.column(name)[after] for name in names}
        new = rows.blank(len(after), {**alike, "event": event, **(columns or {}), "ts": moment})
        self.rows.ts = self.rows.ts + moved
        order = np.argsort(
            np.concatenate([np.arange(len(self.rows)) * 2, after[fits] * 2 + 1]), kind="stable"
        )
        begins = np.concatenate([self.rows.place == 0, np.zeros(int(fits.sum()), dtype=np.bool_)])[order]
        self.rows = rows.joined([self.rows, new.take(fits)]).take(order)
        self._renumber(begins)
        return fits

    def _moments(self, after: Ints, delay: Ints, push: bool) -> tuple[Ints, Ints, Bools]:
        """How much later each row comes, when each inserted event does, and which of them fit."""
        ts, place = self.rows.ts, self.rows.place
        fresh = np.append(True, after[1:] != after[:-1])
        group = np.cumsum(fresh) - 1
        start = np.flatnonzero(fresh)
        row = after[start]
        size = np.diff(np.append(start, len(after)))
        elapsed = np.cumsum(delay)
        elapsed = elapsed - (elapsed - delay)[start][group]
        total = elapsed[start + size - 1]
        begins = np.flatnonzero(place == 0)
        last = np.append(begins[1:], len(ts)) - 1
        session = np.searchsorted(begins, row, side="right") - 1
        closes = row == last[session]
        gap = ts[np.minimum(row + 1, len(ts) - 1)] - ts[row]
        longer = total if push else np.where(closes, total, 0)
        latest = ts[last[session]] + _summed(session, longer, len(begins))[session]
        fits = (latest < days.END) & (closes | push | (gap > size))
        squeezed = ~closes & (total >= gap) & (not push)
        slot = np.arange(len(after)) - start[group] + 1
        step = np.where(squeezed[group], gap[group] * slot // (size[group] + 1), elapsed)
        if not push:
            return np.zeros(len(ts), dtype=np.int64), ts[after] + step, fits[group]
        late = np.zeros(len(ts) + 1, dtype=np.int64)
        late[row + 1] = np.where(fits & ~closes, total, 0)
        late = np.cumsum(late)[:-1]
        moved = late - np.repeat(late[begins], last - begins + 1)
        return moved, ts[after] + moved[after] + step, fits[group]

    def _renumber(self, begins: Bools) -> None:
        first = np.flatnonzero(begins)
        session = np.cumsum(begins) - 1
        self.rows.place = np.arange(len(begins), dtype=np.int64) - first[session]
        paying = self.rows.event == rows.PAID
        place = np.zeros(len(first), dtype=np.int64)
        place[session[paying]] = self.rows.place[paying]
        self.lines.place = place[self.line_session]


def _summed(group: Ints, value: Ints, count: int) -> Ints:
    return np.bincount(group, weights=value, minlength=count).astype(np.int64)
