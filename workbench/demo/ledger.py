"""Counts what the simulator plants while it plants it, so that every truth has its exact value.

The ledger reads the rows of whole sessions before they are cut into daily files. It knows who really did
what; a person as the identity rule sees them (:func:`resolved`) is settled at the end, when it is known
which devices were ever logged in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from workbench.demo import catalogue, days, rows, traffic
from workbench.demo.draws import Bools, Ints
from workbench.demo.people import PLATFORMS, VERSIONS
from workbench.demo.rows import EVENTS, Rows

_CHANNELS = len(traffic.CHANNELS)
WATCHED = (traffic.CONTENT, traffic.FEED)
"""Channels whose every session is remembered, to tell which orders they are on the way to."""


def _zeros(*shape: int) -> Ints:
    return np.zeros(shape, dtype=np.int64)


@dataclass(slots=True)
class Ledger:
    """What was planted so far."""

    by_event: Ints = field(default_factory=lambda: _zeros(len(EVENTS)))
    sessions: Ints = field(default_factory=lambda: _zeros(_CHANNELS))
    orders: Ints = field(default_factory=lambda: _zeros(_CHANNELS))
    revenue: Ints = field(default_factory=lambda: _zeros(_CHANNELS))
    """Fen, before refunds."""
    campaign_visits: Ints = field(default_factory=lambda: _zeros(days.DAYS, len(traffic.CAMPAIGNS)))
    platform_sessions: Ints = field(default_factory=lambda: _zeros(len(PLATFORMS), 2))
    """Sessions that add to the cart, that check out."""
    version_sessions: Ints = field(default_factory=lambda: _zeros(len(VERSIONS), 2))
    """Sessions that check out, that pay."""
    brand_searches: Ints = field(default_factory=lambda: _zeros(len(catalogue.MISSING_BRAND)))
    refunds: int = 0
    refunded: int = 0
    first: int = days.END
    last: int = 0
    _brand: list[Ints] = field(default_factory=list)
    _buyers: list[Ints] = field(default_factory=list)
    _bought: list[Ints] = field(default_factory=list)
    _touched: dict[int, list[tuple[Ints, Ints]]] = field(default_factory=dict)

    @property
    def events(self) -> int:
        """All events so far."""
        return int(self.by_event.sum())

    @property
    def visits(self) -> int:
        """All sessions so far."""
        return int(self.sessions.sum())

    def note(self, part: Rows) -> None:
        """Counts the rows of whole sessions, or of refunds."""
        if not len(part):
            return
        self.by_event += np.bincount(part.event, minlength=len(EVENTS))
        self.first = min(self.first, int(part.ts.min()))
        self.last = max(self.last, int(part.ts.max()))
        refund = part.event == rows.REFUND
        self.refunds += int(refund.sum())
        self.refunded += int(part.refund[refund].sum())
        if (part.session >= 0).any():
            self._sessions(part)
            self._orders(part)
            self._searches(part)

    def _sessions(self, part: Rows) -> None:
        start = part.place == 0
        first = np.flatnonzero(start)
        session = np.cumsum(start) - 1
        channel, campaign = part.channel[first], part.campaign[first]
        self.sessions += np.bincount(channel, minlength=_CHANNELS)
        day = (part.ts[first] - days.midnight(0)) // days.MS_DAY
        tagged = campaign >= 0
        np.add.at(self.campaign_visits, (day[tagged], campaign[tagged]), 1)

        def having(event: int) -> Bools:
            return np.bincount(session[part.event == event], minlength=len(first)) > 0

        adds, checks, pays = having(rows.ADD), having(rows.CHECKOUT), having(rows.PAID)
        platform, version = part.platform[first], part.version[first]
        for column, which in enumerate((adds, adds & checks)):
            self.platform_sessions[:, column] += np.bincount(platform[which], minlength=len(PLATFORMS))
        on_app = version >= 0
        for column, which in enumerate((checks & on_app, checks & pays & on_app)):
            self.version_sessions[:, column] += np.bincount(version[which], minlength=len(VERSIONS))
        for code in WATCHED:
            touches = first[channel == code]
            self._touched.setdefault(code, []).append((_key(part, touches), part.ts[touches]))

    def _orders(self, part: Rows) -> None:
        paid = np.flatnonzero(part.event == rows.PAID)
        channel = part.channel[paid]
        self.orders += np.bincount(channel, minlength=_CHANNELS)
        np.add.at(self.revenue, channel, part.amount[paid])
        self._buyers.append(part.person[paid])
        self._bought.append(part.ts[paid])

    def _searches(self, part: Rows) -> None:
        brand = np.flatnonzero(part.term >= catalogue.FIRST_BRAND)
        self.brand_searches += np.bincount(
            part.term[brand] - catalogue.FIRST_BRAND, minlength=len(catalogue.MISSING_BRAND)
        )
        self._brand.append(np.unique(_key(part, brand)))

    def brand_searchers(self, logged: Bools) -> int:
        """People, as the identity rule sees them, who searched the missing brand."""
        return len(np.unique(resolved(np.concatenate(self._brand), logged)))

    def repeat_buyers(self, within_ms: int) -> tuple[int, int]:
        """People who bought, and those of them who bought again within the time."""
        buyer, ts = np.concatenate(self._buyers), np.concatenate(self._bought)
        order = np.lexsort((ts, buyer))
        buyer, ts = buyer[order], ts[order]
        again = (buyer[1:] == buyer[:-1]) & (ts[1:] - ts[:-1] <= within_ms)
        return len(np.unique(buyer)), len(np.unique(buyer[1:][again]))

    def orders_after(self, channel: int, lookback_ms: int, logged: Bools) -> int:
        """Orders that the same person had a session of a watched channel before; their own counts."""
        parts = self._touched.get(channel, [])
        toucher = resolved(np.concatenate([key for key, _ in parts]), logged)
        touched = np.concatenate([ts for _, ts in parts])
        if not len(toucher):
            return 0
        base, span = days.midnight(0), days.DAYS * days.MS_DAY
        keys = np.sort(toucher * span + (touched - base))
        sought = np.concatenate(self._buyers) * 4 * span + (np.concatenate(self._bought) - base)
        before = np.searchsorted(keys, sought, side="right") - 1
        nearest = keys[np.maximum(before, 0)]
        same = (before >= 0) & (nearest // span == sought // span)
        return int((same & (sought - nearest <= lookback_ms)).sum())


def _key(part: Rows, which: Ints) -> Ints:
    """Person and which of their devices: what :func:`resolved` reads."""
    return part.person[which] * 2 + (part.device[which] & 1)


def resolved(key: Ints, logged: Bools) -> Ints:
    """The person the identity rule sees: ``4·person`` where the device was ever logged in, else the device.

    ``logged`` says for each key (``2·person + device``) whether that person ever logged in there. Exact
    because a device used by one person has at most one login, and on a family's device nothing but the start
    of its very first session, right before a login, is anonymous.
    """
    person, device = key >> 1, key & 1
    return np.where(logged[key], person * 4, person * 4 + 1 + device)
