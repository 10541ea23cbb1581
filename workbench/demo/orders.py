"""From carts to money: totals, coupons, lines with margins, and the refunds that follow days later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from workbench.demo import catalogue, days, rows
from workbench.demo.draws import CELLS, Bools, Ints, Words, below, bits, chance, derived, picked, table
from workbench.demo.people import State
from workbench.demo.rows import Lines, Rows
from workbench.demo.visits import Visits

_WHY = table((3, 2, 3))


@dataclass(frozen=True, slots=True)
class Paid:
    """The cart of each session of a wave, paid or not; arrays of one entry a session."""

    is_paid: Bools
    number: Ints
    """The person's order number."""
    total: Ints
    """Fen, before discount."""
    discount: Ints
    coupon: Ints
    count: Ints
    """Lines in the cart."""
    pieces: Ints
    first_product: Ints
    """Product of the first line, −1 for an empty cart."""
    person: Ints
    word: Words

    def of(self, which: Bools) -> Paid:
        """Only some sessions."""
        return Paid(*(getattr(self, f.name)[which] for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Cart:
    """What is in the carts of a wave when they close: an entry for each line, sessions in order."""

    session: Ints
    product: Ints
    pieces: Ints

    def only(self, which: Bools) -> Cart:
        """Some of the lines."""
        return Cart(self.session[which], self.product[which], self.pieces[which])


@dataclass(frozen=True, slots=True)
class SessionLines:
    """Order lines with the session (in its wave) each is of."""

    lines: Lines
    wave: Ints

    def of(self, kept: Bools) -> SessionLines:
        """Only the lines of kept sessions, which are numbered anew."""
        keep = kept[self.wave]
        return SessionLines(self.lines.take(keep), (np.cumsum(kept) - 1)[self.wave[keep]])


Reduce = Callable[[Visits, Ints, Ints, Ints], tuple[Ints, Ints]]
"""From visits, cart totals, coupons and discounts to other coupons and discounts."""


def pay(
    state: State, visits: Visits, cart: Cart, out: Rows, event_session: Ints, reduce: Reduce
) -> tuple[Paid, SessionLines]:
    """Adds up every session's cart and writes the lines of those that were paid.

    ``out`` holds the wave's events so far, ``event_session`` the session (in its wave) of each.
    """
    count = len(visits.person)
    session, product, pieces = cart.session, cart.product, cart.pieces
    gross = catalogue.PRICE[product] * pieces
    total = _sum(session, gross, count)
    is_paid = np.zeros(count, dtype=np.bool_)
    pay_place = np.zeros(count, dtype=np.int64)
    paying = out.event == rows.PAID
    is_paid[event_session[paying]] = True
    pay_place[event_session[paying]] = out.place[paying]
    with_coupon = np.zeros(count, dtype=np.bool_)
    with_coupon[event_session[out.event == rows.COUPON]] = True
    word = derived(visits.word, 5)
    coupon = np.where(with_coupon, bits(word, 0) & 1, -1)
    coupon, discount = reduce(visits, total, coupon, discount_of(coupon, total))
    first = np.full(count, -1, dtype=np.int64)
    first[session[::-1]] = product[::-1]
    paid = Paid(
        is_paid=is_paid,
        number=np.where(is_paid, state.orders[visits.person], -1),
        total=total,
        discount=discount,
        coupon=coupon,
        count=np.bincount(session, minlength=count).astype(np.int64),
        pieces=_sum(session, pieces, count),
        first_product=first,
        person=visits.person,
        word=word,
    )
    held = is_paid[session]
    session, product, pieces, gross = session[held], product[held], pieces[held], gross[held]
    net = gross - share(session, gross, discount, total)
    lines = Lines(
        person=visits.person[session],
        order=paid.number[session],
        session=visits.number[session],
        place=pay_place[session],
        product=product,
        quantity=pieces,
        amount=net,
        margin=net - catalogue.COST[product] * pieces,
    )
    return paid, SessionLines(lines, session)


def quantity(word: Words) -> Ints:
    """Pieces of a line: mostly one."""
    return 1 + chance(word, 48, CELLS // 8).astype(np.int64) + chance(word, 56, 12).astype(np.int64)


def discount_of(coupon: Ints, total: Ints) -> Ints:
    """What each coupon takes off a total, in fen."""
    fixed = np.where(total >= 9_900, 2_000, np.minimum(500, total // 2))
    return np.select([coupon == 0, coupon == 1], [fixed, total // 10], default=0).astype(np.int64)


def share(order: Ints, gross: Ints, discount: Ints, total: Ints) -> Ints:
    """Each line's part of its order's discount: in proportion, rounded down, the rest on the first line."""
    part = discount[order] * gross // np.maximum(total[order], 1)
    rest = discount - _sum(order, part, len(discount))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = order[1:] != order[:-1]
    return part + np.where(first, rest[order], 0)


def _sum(group: Ints, value: Ints, count: int) -> Ints:
    """Sums by group; exact, since sums stay far below 2⁵³."""
    return np.bincount(group, weights=value, minlength=count).astype(np.int64)


def usual_returns(paid: Paid) -> Ints:
    """How many of 65536 orders come back, by the category of the first line."""
    return catalogue.REFUND_CELLS[catalogue.category_of(paid.first_product)]


@dataclass(slots=True)
class Refunds:
    """Refunds that will be made: day by day, the events as they will be written."""

    due: dict[int, list[Rows]]

    def plan(self, day: int, paid: Paid, cells: Ints) -> None:
        """Decides which orders of a day come back, three to twelve days later and inside the demo.

        ``cells`` is each order's chance, in 65536ths; see :func:`usual_returns`.
        """
        word = derived(paid.word, 1)
        back = np.flatnonzero(paid.is_paid & chance(word, 0, cells))
        when = day + 3 + below(word[back], 16, 10)
        for due in np.unique(when[when < days.DAYS]).tolist():
            which = back[when == due]
            self.due.setdefault(due, []).append(_refunds(due, paid, which, derived(word[which], 0)))

    def of(self, day: int) -> list[Rows]:
        """The refunds of a day, which are then forgotten."""
        return self.due.pop(day, [])


def _refunds(day: int, paid: Paid, which: Ints, word: Words) -> Rows:
    out = rows.blank(len(which))
    out.ts = days.midnight(day) + 10 * 3_600_000 + below(word, 0, 9 * 3_600_000)
    out.event[:] = rows.REFUND
    out.person, out.user = paid.person[which], paid.person[which]
    out.order = paid.number[which]
    out.refund = paid.total[which] - paid.discount[which]
    out.product = paid.first_product[which]
    out.category = catalogue.category_of(out.product)
    out.reason = rows.SIZE + picked(_WHY, word, 48)
    return out
