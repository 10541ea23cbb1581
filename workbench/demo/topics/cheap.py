"""A cheap channel whose buyers never return: ``group_buy`` sells once, at the lowest cost per order of all."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from workbench.demo import traffic
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.topics.base import Counted, Topic, World
from workbench.demo.visits import CHECKED_OUT, PAID, Visits

_CHANNEL = traffic.CHANNEL_CODE["group_buy"]


class Cheap(Topic):
    """Whom the channel brings stays for a day, and buys once at most."""

    name: ClassVar[str] = "cheap"
    number: ClassVar[int] = 22

    def __init__(self, world: World) -> None:
        super().__init__(world)
        people = world.people
        self._brought = (people.brought_by == _CHANNEL) & (people.arrival >= 0) & ~people.family
        people.leaves[self._brought] = people.arrival[self._brought] + 1

    def steer(self, visits: Visits) -> Visits:
        """A second order stops before it is paid."""
        again = self._brought[visits.person] & (self.world.state.orders[visits.person] > 0)
        return replace(visits, goes=np.where(again & (visits.goes == PAID), CHECKED_OUT, visits.goes))

    def truths(self, counted: Counted) -> list[Truth]:
        """Buyers by the channel of their first order, and those of them who buy again, ever."""
        orders = counted.ledger.orders().by_person()
        first = np.append(True, orders.person[1:] != orders.person[:-1])
        many = np.append(~first[1:], False)[first] if len(first) else first
        channel = orders.channel[first]
        expected = tuple(
            Expect({"breakdown": one.name, "step": step}, "users", int(which[channel == code].sum()))
            for code, one in enumerate(traffic.CHANNELS)
            if (channel == code).any()
            for step, which in ((1, np.ones(len(channel), dtype=np.bool_)), (2, many))
        )
        return [
            Truth(
                "cheap-and-gone",
                "group_buy has the lowest cost per order, and nobody whose first order it brought buys again.",
                "workbench funnel --step order_paid --step order_paid --window none --by channel",
                expected=expected,
                decoys=(
                    Decoy(
                        "paid-search",
                        "paid_search costs far more per order, and its buyers return.",
                        row={"breakdown": "paid_search"},
                    ),
                ),
            )
        ]
