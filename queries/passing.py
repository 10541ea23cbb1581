"""The state of a timeline before any event of a person, found without giving every event before it a row.

Only events that touch the cart, and those with which another id comes into use, change more of the state than where
the event before was and where a session was left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from queries.person_events import CART, EVENT, Events
from queries.records import Record
from queries.timeline import Fold


class Passing:
    """The way of one person's events past a fold."""

    def __init__(
        self, events: Events, sessions: NDArray[np.int64], record: Callable[[int], Record], *, has_cart: bool
    ) -> None:
        """``sessions`` has the number of each event's session, ``record`` reads the event of a place."""
        self._events, self._sessions, self._record = events, sessions, record
        matters = events.id_changes | (events.bits & CART != 0) if has_cart else events.id_changes
        self._matters = np.flatnonzero(matters)
        self._done = 0
        """The events before this place are behind the fold."""

    def states(self, fold: Fold, starts: Sequence[int]) -> list[Fold]:
        """The state before each of some places, ascending; ``fold`` is the one before all."""
        found: list[Fold] = []
        waiting = self._matters.tolist()[::-1]
        for start in starts:
            while waiting and waiting[-1] < start:
                place = waiting.pop()
                self._go(fold, place)
                fold.pass_by(self._record(place))
                self._done = place + 1
            self._go(fold, start)
            found.append(fold.copy())
        return found

    def _go(self, fold: Fold, to: int) -> None:
        """Past events that change nothing else, up to a place."""
        if to == self._done:
            return
        session = fold.watched
        left = None
        if session is not None:
            there = np.flatnonzero(self._sessions[self._done : to] == session)
            if len(there):
                place = self._done + int(there[-1])
                left = int(self._events.ts[place]), str(self._events.rows[place][EVENT])
        fold.skip(int(self._events.ts[to - 1]), left)
        self._done = to
