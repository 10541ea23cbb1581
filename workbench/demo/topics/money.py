"""Buying again, and giving back."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workbench.demo import days
from workbench.demo.ledger import Orders
from workbench.demo.statements import Expect, Truth
from workbench.demo.topics.base import Counted, Topic


class Money(Topic):
    """Repurchase and refunds, of all orders."""

    name: ClassVar[str] = "money"
    number: ClassVar[int] = 15

    def truths(self, counted: Counted) -> list[Truth]:
        """People who buy again within 30 days; orders that come back."""
        orders = counted.ledger.orders()
        buyers, again = _repeat_buyers(orders, 30 * days.MS_DAY)
        return [
            Truth(
                "repurchase",
                "So many people buy, and so many of them again within 30 days.",
                "workbench funnel --step order_paid --step order_paid --window 30d",
                expected=(Expect({"step": 1}, "users", buyers), Expect({"step": 2}, "users", again)),
            ),
            Truth(
                "refunds",
                "So many orders are refunded, each in full, three to twelve days later.",
                "workbench funnel --hold order_id --step order_paid --step refund --window 30d",
                expected=(
                    Expect({"step": 1}, "users", len(orders.person)),
                    Expect({"step": 2}, "users", counted.ledger.refunds),
                ),
            ),
        ]


def _repeat_buyers(orders: Orders, within_ms: int) -> tuple[int, int]:
    """People who bought, and those of them who bought again within the time."""
    own = orders.by_person()
    again = (own.person[1:] == own.person[:-1]) & (own.ts[1:] - own.ts[:-1] <= within_ms)
    return len(np.unique(own.person)), len(np.unique(own.person[1:][again]))
