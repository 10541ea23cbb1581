"""Events as columns of integers, the form in which the simulator makes, sorts and counts them.

Text is made when a file is written (``tables``). −1 stands for null; money is in fen. The core's columns are
fields; what a topic brings stands in ``extra`` under the column's name, and where it is absent all is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from workbench.demo.draws import Bools, Ints

EVENTS = [
    "session_start", "home_view", "list_view", "search", "search_click", "product_view", "add_to_cart",
    "remove_from_cart", "view_cart", "coupon_apply", "login_prompt", "login", "checkout", "payment_failed",
    "order_paid", "refund", "share",
]  # fmt: skip
(
    START, HOME, LIST, SEARCH, CLICK, VIEW, ADD, REMOVE, CART, COUPON, PROMPT, LOGIN, CHECKOUT, FAILED, PAID,
    REFUND, SHARE,
) = range(len(EVENTS))  # fmt: skip
PAGES = ["home", "list", "search", "product", "cart", "coupon", "login", "checkout", "pay"]
_PAGE_OF = [0, 0, 1, 2, 2, 3, 3, 4, 4, 5, 6, 6, 7, 8, 8, -1, 3]
"""The page each event happens on; a refund happens in the back office."""
REASONS = ["checkout", "coupon", "bank_timeout", "balance", "size", "quality", "changed_mind"]
BY_CHECKOUT, BY_COUPON, TIMEOUT, BALANCE, SIZE, QUALITY, CHANGED = range(len(REASONS))


def declare(names: list[str], name: str) -> int:
    """Adds a name to one of the lists of names (reasons, pages, coupons …) as its module is loaded; its code."""
    if name not in names:
        names.append(name)
    return names.index(name)


def declare_event(name: str, page: str | None) -> int:
    """Adds an event that happens on a page, an old one or a new one, or off every page; its code."""
    if name in EVENTS:
        raise ValueError(f"{name} is declared twice")
    EVENTS.append(name)
    _PAGE_OF.append(-1 if page is None else declare(PAGES, page))
    return len(EVENTS) - 1


def page_of(event: Ints) -> Ints:
    """The page each event happens on, −1 for none."""
    return np.array(_PAGE_OF, dtype=np.int64)[event]


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
    extra: dict[str, Ints] = field(default_factory=dict, kw_only=True)
    """Columns that topics bring, by name; one that is absent is null everywhere."""

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, which: Ints | Bools) -> Rows:
        """Some of the rows, in the order asked."""
        extra = {name: column[which] for name, column in self.extra.items()}
        return Rows(*(getattr(self, name)[which] for name in CORE), extra=extra)

    def column(self, name: str) -> Ints:
        """A column by name, to be read or written in place: the core's, or a topic's, made if absent."""
        if name in CORE:
            column: Ints = getattr(self, name)
            return column
        if name not in self.extra:
            self.extra[name] = np.full(len(self), -1, dtype=np.int64)
        return self.extra[name]


CORE = tuple(f.name for f in fields(Rows) if f.name != "extra")


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


@dataclass(frozen=True, slots=True)
class Part:
    """Rows to be counted: whole sessions, one after the other, or events outside sessions."""

    rows: Rows
    first: Ints
    """Where in ``rows`` each session begins; empty outside sessions."""
    session: Ints
    """For each row the session (of this part) it is of; empty outside sessions."""

    def having(self, which: Bools) -> Bools:
        """For each session: whether one of its rows is among ``which``."""
        if not len(self.first):
            return np.zeros(0, dtype=np.bool_)
        return np.bincount(self.session[which], minlength=len(self.first)) > 0

    def does(self, event: int) -> Bools:
        """For each session: whether the event happens in it."""
        return self.having(self.rows.event == event)

    def follows(self, entry: Bools, then: Bools, window_ms: int) -> Bools:
        """For each session: whether a row of ``then`` comes behind one of ``entry``, within the time."""
        if not len(self.first):
            return np.zeros(0, dtype=np.bool_)
        latest = np.maximum.accumulate(np.where(entry, np.arange(len(entry)), -1))
        before = np.append(-1, latest[:-1])
        late = self.rows.ts - self.rows.ts[np.maximum(before, 0)]
        return self.having(then & (before >= self.first[self.session]) & (late <= window_ms))


def part_of(rows: Rows) -> Part:
    """The part that rows make: all of them in sessions, or none."""
    if len(rows) and rows.session[0] < 0:
        nothing = np.zeros(0, dtype=np.int64)
        return Part(rows, nothing, nothing)
    start = rows.place == 0
    return Part(rows, np.flatnonzero(start).astype(np.int64), np.cumsum(start) - 1)


def joined(parts: Sequence[Rows]) -> Rows:
    """All parts, one after the other; at least one."""
    names = dict.fromkeys(name for part in parts for name in part.extra)
    extra = {name: np.concatenate([_extra(part, name) for part in parts]) for name in names}
    return Rows(*(np.concatenate([getattr(p, name) for p in parts]) for name in CORE), extra=extra)


def _extra(part: Rows, name: str) -> Ints:
    column = part.extra.get(name)
    return np.full(len(part), -1, dtype=np.int64) if column is None else column


def joined_lines(parts: Sequence[Lines]) -> Lines:
    """All parts, one after the other; at least one."""
    return Lines(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Lines)))


def no_lines() -> Lines:
    """An empty list of order lines."""
    return Lines(*(np.zeros(0, dtype=np.int64) for _ in fields(Lines)))


def blank(count: int, columns: Mapping[str, int | Ints] | None = None) -> Rows:
    """``count`` rows of nulls, to be filled; ``columns`` are filled at once."""
    out = Rows(*(np.full(count, -1, dtype=np.int64) for _ in CORE))
    for name, value in (columns or {}).items():
        out.column(name)[:] = value
    return out
