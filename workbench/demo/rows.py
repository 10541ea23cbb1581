"""Events as columns of integers, the form in which the simulator makes, sorts and counts them.

Text is made when a file is written (``tables``). −1 stands for null; money is in fen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from workbench.demo.draws import Bools, Ints

EVENTS = (
    "session_start", "home_view", "list_view", "search", "search_click", "product_view", "add_to_cart",
    "remove_from_cart", "view_cart", "coupon_apply", "login_prompt", "login", "checkout", "payment_failed",
    "order_paid", "refund", "share",
)  # fmt: skip
(
    START, HOME, LIST, SEARCH, CLICK, VIEW, ADD, REMOVE, CART, COUPON, PROMPT, LOGIN, CHECKOUT, FAILED, PAID,
    REFUND, SHARE,
) = range(len(EVENTS))  # fmt: skip
PAGES = ("home", "list", "search", "product", "cart", "coupon", "login", "checkout", "pay")
PAGE = np.array((0, 0, 1, 2, 2, 3, 3, 4, 4, 5, 6, 6, 7, 8, 8, -1, 3), dtype=np.int64)
"""The page each event happens on; a refund happens in the back office."""
REASONS = ("checkout", "coupon", "bank_timeout", "balance", "size", "quality", "changed_mind")
BY_CHECKOUT, BY_COUPON, TIMEOUT, BALANCE, SIZE, QUALITY, CHANGED = range(len(REASONS))


@dataclass(slots=True)
class Rows:
    """Events; every array equally long. One session's rows stand together, in order, until files are cut."""

    ts: Ints
    """UTC milliseconds."""
    event: Ints
    person: Ints
    """Who really did it; stays in the simulator."""
    user: Ints
    """Person whose login is in force, or −1."""
    device: Ints
    session: Ints
    """Number of the person's session, from 0; −1 outside sessions."""
    place: Ints
    """Place of the event in its session."""
    channel: Ints
    campaign: Ints
    platform: Ints
    version: Ints
    city: Ints
    product: Ints
    category: Ints
    price: Ints
    term: Ints
    source: Ints
    results: Ints
    query: Ints
    """Number of the search in its session."""
    position: Ints
    order: Ints
    """Number of the person's order, from 0."""
    quantity: Ints
    amount: Ints
    discount: Ints
    refund: Ints
    coupon: Ints
    reason: Ints
    cart_items: Ints

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, which: Ints | Bools) -> Rows:
        """Some of the rows, in the order asked."""
        return Rows(*(getattr(self, f.name)[which] for f in fields(self)))


@dataclass(slots=True)
class Lines:
    """What paid orders hold; every array equally long."""

    person: Ints
    order: Ints
    session: Ints
    place: Ints
    """The order's event: place in its session."""
    product: Ints
    quantity: Ints
    amount: Ints
    """After the line's share of the discount; lines add up to the order."""
    margin: Ints

    def __len__(self) -> int:
        return len(self.person)

    def take(self, which: Ints | Bools) -> Lines:
        """Some of the lines, in the order asked."""
        return Lines(*(getattr(self, f.name)[which] for f in fields(self)))


def joined(parts: Sequence[Rows]) -> Rows:
    """All parts, one after the other; at least one."""
    return Rows(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Rows)))


def joined_lines(parts: Sequence[Lines]) -> Lines:
    """All parts, one after the other; at least one."""
    return Lines(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Lines)))


def blank(count: int) -> Rows:
    """``count`` rows of nulls, to be filled."""
    return Rows(*(np.full(count, -1, dtype=np.int64) for _ in fields(Rows)))
