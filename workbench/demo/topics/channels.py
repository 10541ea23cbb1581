"""Visits, orders, help given and money spent, by channel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from workbench.demo import days, traffic
from workbench.demo.draws import Bools, Ints
from workbench.demo.ledger import Orders, device_key, resolved
from workbench.demo.rows import Part
from workbench.demo.statements import Decoy, Expect, Truth, Value
from workbench.demo.topics.base import Counted, Topic, World, write_lines

_CHANNELS = len(traffic.CHANNELS)
_WATCHED = (traffic.CONTENT, traffic.FEED)
"""Channels whose every session is remembered, to tell which orders they are on the way to."""


class Channels(Topic):
    """What channels bring and cost."""

    name: ClassVar[str] = "channels"
    number: ClassVar[int] = 4

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._sessions = np.zeros(_CHANNELS, dtype=np.int64)
        self._tagged = np.zeros((days.DAYS, len(traffic.CAMPAIGNS)), dtype=np.int64)
        self._touches: dict[int, list[tuple[Ints, Ints]]] = {code: [] for code in _WATCHED}

    def note(self, part: Part) -> None:
        """Counts visits by channel, day and campaign."""
        out, first = part.rows, part.first
        channel, campaign = out.channel[first], out.campaign[first]
        self._sessions += np.bincount(channel[channel >= 0], minlength=_CHANNELS)
        day = (out.ts[first] - days.midnight(0)) // days.MS_DAY
        tagged = campaign >= 0
        np.add.at(self._tagged, (day[tagged], campaign[tagged]), 1)
        for code, touches in self._touches.items():
            which = first[channel == code]
            touches.append((device_key(out, which), out.ts[which]))

    def write(self, folder: Path, counted: Counted) -> None:
        """``costs.csv``: a line for each day and campaign with visits; yuan."""
        lines = ["date,channel,campaign,cost"]
        for day in range(days.DAYS):
            for campaign, name in enumerate(traffic.CAMPAIGNS):
                channel = traffic.CHANNELS[traffic.CAMPAIGN_CHANNEL[campaign]]
                fen = int(self._tagged[day, campaign]) * channel.fen
                if fen:
                    lines.append(f"{days.name(day)},{channel.name},{name},{fen // 100}.{fen % 100:02d}")
        write_lines(folder / "costs.csv", lines)

    def _spent(self) -> list[int]:
        """What each channel costs over all days, in fen."""
        visits = self._tagged.sum(axis=0)
        spent = [0] * _CHANNELS
        for campaign, code in enumerate(traffic.CAMPAIGN_CHANNEL):
            spent[code] += int(visits[campaign]) * traffic.CHANNELS[code].fen
        return spent

    def truths(self, counted: Counted) -> list[Truth]:
        """The crowded channel, the helper, and what was paid."""
        orders = counted.ledger.orders()
        told = orders.channel >= 0
        closed = np.bincount(orders.channel[told], minlength=_CHANNELS).tolist()
        revenue = np.zeros(_CHANNELS, dtype=np.int64)
        np.add.at(revenue, orders.channel[told], orders.amount[told])
        return [
            self._crowded(closed),
            self._helper(closed, orders, counted.logged),
            self._paid(closed, revenue.tolist()),
        ]

    def _crowded(self, closed: list[int]) -> Truth:
        counts = zip(traffic.CHANNELS, self._sessions.tolist(), closed, strict=True)
        return Truth(
            "many-visits-few-orders",
            "feed_ads brings more visits than any other paid channel and hardly an order.",
            "workbench funnel --unit session --by channel --step session_start --step order_paid",
            expected=tuple(
                Expect({"breakdown": channel.name, "step": step}, "users", count)
                for channel, sessions, orders in counts
                for step, count in ((1, sessions), (2, orders))
            ),
            decoys=(
                Decoy(
                    "affiliate",
                    "affiliate has fewer visits, and a larger share of them buys.",
                    row={"breakdown": "affiliate"},
                ),
            ),
        )

    def _helper(self, closed: list[int], orders: Orders, logged: Bools) -> Truth:
        lookback = 30 * days.MS_DAY
        return Truth(
            "assists-seldom-closes",
            "content seldom has the order, but is on the way to many.",
            "workbench attribution --conversion order_paid --dimension channel "
            "--model last --model participation --lookback 30d",
            expected=tuple(
                Expect({"value": traffic.CHANNELS[code].name, "model": model}, "conversions", count)
                for code in _WATCHED
                for model, count in (
                    ("last", closed[code]),
                    ("participation", self._orders_after(code, orders, lookback, logged)),
                )
            ),
            decoys=(
                Decoy(
                    "feed",
                    "feed_ads has more visits and closes as seldom, but is on the way to fewer orders.",
                    row={"value": "feed_ads"},
                ),
            ),
            waits="report attribution",
        )

    def _paid(self, closed: list[int], revenue: list[int]) -> Truth:
        costs: list[Expect] = []
        for channel, fen, orders, earned in zip(
            traffic.CHANNELS, self._spent(), closed, revenue, strict=True
        ):
            if fen:
                row: Mapping[str, Value] = {"value": channel.name, "model": "last"}
                costs.append(Expect(row, "cost", fen / 100))
                costs.append(Expect(row, "cpa", fen / 100 / orders if orders else None))
                costs.append(Expect(row, "revenue", earned / 100))
                costs.append(Expect(row, "roas", earned / fen))
        return Truth(
            "costs",
            "What each paid channel costs, in all and for an order it closes, and what comes back for a yuan.",
            "workbench attribution --conversion order_paid --dimension channel --model last --costs costs.csv",
            expected=tuple(costs),
            tolerance=1e-9,
            waits="report attribution",
        )

    def _orders_after(self, code: int, orders: Orders, lookback_ms: int, logged: Bools) -> int:
        """Orders that the same person had a session of a watched channel before; their own counts."""
        toucher = resolved(np.concatenate([key for key, _ in self._touches[code]]), logged)
        touched = np.concatenate([ts for _, ts in self._touches[code]])
        if not len(toucher):
            return 0
        base, span = days.midnight(0), days.DAYS * days.MS_DAY
        keys = np.sort(toucher * span + (touched - base))
        sought = orders.person * 4 * span + (orders.ts - base)
        before = np.searchsorted(keys, sought, side="right") - 1
        nearest = keys[np.maximum(before, 0)]
        same = (before >= 0) & (nearest // span == sought // span)
        return int((same & (sought - nearest <= lookback_ms)).sum())
