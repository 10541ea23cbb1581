"""What one person's events in memory add up to, as a profile says it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queries.person_events import CART, ORDER, REFUND, Events


@dataclass(frozen=True, slots=True)
class Figures:
    """Orders and what came back; money in minor units, None where no event says any."""

    orders: int | None
    amount: int | None
    refunds: int | None
    refunded: int | None
    cart_events: int | None


def order_figures(events: Events) -> Figures:
    """Orders count by their id, those without one each for itself."""
    bits = events.bits
    orders = _places(events, ORDER)
    ids = [events.of(place, "order_id") for place in orders]
    return Figures(
        orders=len({id for id in ids if id}) + sum(not id for id in ids),
        amount=_sum(events, orders, "amount"),
        refunds=int((bits & REFUND != 0).sum()),
        refunded=_sum(events, _places(events, REFUND), "refund_amount"),
        cart_events=int((bits & CART != 0).sum()),
    )


def first_channel(events: Events, first: int, last: int) -> str | None:
    """The channel said first from one time to another."""
    begin, end = np.searchsorted(events.ts, np.array([first, last + 1])).tolist()
    at = events.layout.places["channel"]
    found: list[tuple[list[tuple[bool, object]], str]] = []
    for row in events.rows[begin:end]:
        if found and row[0] != found[0][0][0][1]:
            break
        if row[at]:
            # Of one moment the one that is nowhere in an order is last.
            found.append(
                ([(value is None, value) for value in (row[0], *row[events.layout.order])], str(row[at]))
            )
    return min(found, key=lambda one: one[0])[1] if found else None


def _places(events: Events, bit: int) -> list[int]:
    return np.flatnonzero(events.bits & bit).tolist()


def _sum(events: Events, places: list[int], name: str) -> int | None:
    values = [int(str(value)) for place in places if (value := events.of(place, name)) is not None]
    return sum(values) if values else None
