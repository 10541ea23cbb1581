"""Counts what is planted while it is planted: what the steering needs and what several topics share.

The ledger reads the rows of whole sessions before they are cut into daily files. It knows who really did
what; a person as the identity rule sees them (:func:`resolved`) is settled at the end, when it is known
which devices were ever logged in. What one topic alone needs, it counts itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from workbench.demo import days, rows
from workbench.demo.draws import Bools, Ints
from workbench.demo.rows import EVENTS, Part, Rows


@dataclass(frozen=True, slots=True)
class Orders:
    """Every order of the shop; arrays of one entry an order, as they were noted."""

    person: Ints
    number: Ints
    """The person's order number."""
    ts: Ints
    channel: Ints
    amount: Ints
    """Fen, after discount, before refunds."""

    def by_person(self) -> Orders:
        """By person and time."""
        order = np.lexsort((self.ts, self.person))
        return Orders(
            self.person[order], self.number[order], self.ts[order], self.channel[order], self.amount[order]
        )


@dataclass(slots=True)
class Ledger:
    """What was planted so far."""

    by_event: Ints = field(default_factory=lambda: np.zeros(len(EVENTS), dtype=np.int64))
    sessions: int = 0
    refunds: int = 0
    first: int = days.END
    last: int = 0
    _orders: list[tuple[Ints, ...]] = field(default_factory=list)

    @property
    def events(self) -> int:
        """All events so far."""
        return int(self.by_event.sum())

    def note(self, part: Part) -> None:
        """Counts the rows of whole sessions, or of events outside them."""
        out = part.rows
        self.by_event += np.bincount(out.event, minlength=len(EVENTS))
        self.first = min(self.first, int(out.ts.min()))
        self.last = max(self.last, int(out.ts.max()))
        self.refunds += int((out.event == rows.REFUND).sum())
        self.sessions += len(part.first)
        paid = np.flatnonzero(out.event == rows.PAID)
        if len(paid):
            self._orders.append(tuple(out.column(name)[paid] for name in _ORDER_COLUMNS))

    def orders(self) -> Orders:
        """All orders so far."""
        if not self._orders:
            return Orders(*(np.zeros(0, dtype=np.int64) for _ in _ORDER_COLUMNS))
        return Orders(*(np.concatenate(columns) for columns in zip(*self._orders, strict=True)))


_ORDER_COLUMNS = ("person", "order", "ts", "channel", "amount")


def device_key(part: Rows, which: Ints | Bools) -> Ints:
    """Person and which of their devices, ``2·person + device``: what :func:`resolved` reads."""
    return part.person[which] * 2 + (part.device[which] & 1)


def resolved(key: Ints, logged: Bools) -> Ints:
    """The person the identity rule sees: ``4·person`` where the device was ever logged in, else the device.

    ``logged`` says for each key (``2·person + device``) whether that person ever logged in there. Exact
    because a device used by one person has at most one login, and on a family's device nothing but the start
    of its very first session, right before a login, is anonymous.
    """
    person, device = key >> 1, key & 1
    return np.where(logged[key], person * 4, person * 4 + 1 + device)


def followed(person: Ints, ts: Ints, then_person: Ints, then: Ints, within_ms: int) -> Bools:
    """For each later moment: whether the same person has an earlier one, at most so long before.

    People as :func:`resolved` numbers them, times in UTC ms inside the demo; any order.
    """
    if not len(person):
        return np.zeros(len(then), dtype=np.bool_)
    base, span = days.midnight(0), days.DAYS * days.MS_DAY
    keys = np.sort(person * span + (ts - base))
    sought = then_person * span + (then - base)
    nearest = keys[np.maximum(np.searchsorted(keys, sought) - 1, 0)]
    near = (nearest < sought) & (nearest // span == then_person) & (sought - nearest <= within_ms)
    return np.asarray(near, dtype=np.bool_)


class Marks:
    """Up to thirty-two yes-or-no facts of everybody, counted in the end as the identity rule sees people.

    Four bytes a device: what a topic uses to count people without remembering events.
    """

    def __init__(self) -> None:
        self._bits = np.zeros(0, dtype=np.uint32)

    def add(self, key: Ints, mark: int | Ints) -> None:
        """Marks devices (:func:`device_key`) with a number from 0 to 31, or one for each."""
        if len(key) and int(key.max()) >= len(self._bits):
            room = np.zeros(max(int(key.max()) + 1, 2 * len(self._bits)), dtype=np.uint32)
            room[: len(self._bits)] = self._bits
            self._bits = room
        bit = np.left_shift(np.int64(1), np.broadcast_to(mark, key.shape)).astype(np.uint32)
        np.bitwise_or.at(self._bits, key, bit)

    def people(self, mark: int, logged: Bools) -> Ints:
        """The resolved people (:func:`resolved`) with a mark, ascending."""
        return np.unique(resolved(np.flatnonzero(self._bits >> mark & 1).astype(np.int64), logged))

    def count(self, mark: int, logged: Bools) -> int:
        """How many people have a mark."""
        return len(self.people(mark, logged))
