"""People who are planted whole: a script says, moment by moment, what each of its cast does.

A script is a tuple of :class:`Moment`, in order; a :class:`Cast` says who plays it, on which day, with which
products. The cart, the amounts, the order lines and who is logged in follow from the moments themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.demo import catalogue, days, orders, rows
from workbench.demo.draws import Bools, Ints, Words, below, derived
from workbench.demo.rows import Lines, Rows

_DRAW = 20
"""First of the draws by which moments are late."""
_SHOWS_PRODUCT = (rows.CLICK, rows.VIEW, rows.ADD, rows.REMOVE, rows.SHARE)


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of a script."""

    session: int
    """Of each person, from 0, without gaps; begins with ``rows.START``."""
    at: int
    """Seconds after midnight of the person's day; may be before it or on a later day."""
    jitter: int
    """Seconds it may be later; the next moment of the session must be at least this much after."""
    event: int
    line: int = -1
    """Which of the cast's products."""
    sets: Mapping[str, int | Ints] = field(default_factory=dict)
    """Columns by name, the topic's own too: a number, or an array of one entry a person."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays a script; arrays of one entry a person."""

    person: Ints
    word: Words
    """A raw word each, from the topic's stream; draws 20 and up are taken by the moments."""
    day: Ints
    """0 is the first day of the demo."""
    product: Ints
    """A row a person, a column for each ``line``; every line is one piece."""
    channel: Ints
    city: Ints
    platform: int
    campaign: Ints | int = -1
    version: Ints | int = -1
    """App version, −1 elsewhere."""
    coupon: Ints | int = -1
    """What is typed at ``coupon_apply`` and taken off the order."""
    later: Ints | int = 0
    """Seconds by which sessions are later than the moments say: a row a person, a column a session."""

    def only(self, which: Bools | Ints) -> Cast:
        """Some of the people."""

        def part(value: Ints | int) -> Ints | int:
            return value if isinstance(value, int) else value[which]

        return Cast(
            self.person[which], self.word[which], self.day[which], self.product[which], self.channel[which],
            self.city[which], self.platform, part(self.campaign), part(self.version), part(self.coupon),
            part(self.later),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Staged:
    """Planted sessions and order lines, to be asked for day by day."""

    rows: Rows
    lines: Lines
    _row_day: Ints
    _line_day: Ints

    def of(self, day: int) -> tuple[Rows, Lines]:
        """The events of sessions that start on a day, session by session, and their order lines."""
        rows_of = slice(*np.searchsorted(self._row_day, (day, day + 1)).tolist())
        lines_of = slice(*np.searchsorted(self._line_day, (day, day + 1)).tolist())
        which = np.arange(len(self.rows), dtype=np.int64)[rows_of]
        return self.rows.take(which), self.lines.take(np.arange(len(self.lines), dtype=np.int64)[lines_of])


def staged(parts: Sequence[tuple[Rows, Lines]]) -> Staged:
    """Sessions and lines of several scripts, by the day each session starts."""
    out, lines = rows.joined([part for part, _ in parts]), rows.joined_lines([own for _, own in parts])
    out = out.take(np.lexsort((out.place, out.session, out.person)))
    begins = np.flatnonzero(out.place == 0)
    day = (out.ts[begins] - days.midnight(0)) // days.MS_DAY
    row_day = np.repeat(day, np.diff(np.append(begins, len(out))))
    by_session = {
        (person, session): when
        for person, session, when in zip(
            out.person[begins].tolist(), out.session[begins].tolist(), day.tolist(), strict=True
        )
    }
    pairs = zip(lines.person.tolist(), lines.session.tolist(), strict=True)
    line_day = np.array([by_session[pair] for pair in pairs], dtype=np.int64)
    rows_by, lines_by = np.argsort(row_day, kind="stable"), np.argsort(line_day, kind="stable")
    return Staged(out.take(rows_by), lines.take(lines_by), row_day[rows_by], line_day[lines_by])


def play(moments: Sequence[Moment], cast: Cast) -> tuple[Rows, Lines]:
    """The events and order lines of everybody in a cast who plays the moments."""
    midnight = np.array([days.midnight(day) for day in cast.day.tolist()], dtype=np.int64)
    parts: list[Rows] = []
    lines: list[Lines] = [rows.no_lines()]
    places: dict[int, int] = {}
    running = _Running()
    for number, moment in enumerate(moments):
        place = places[moment.session] = places.get(moment.session, -1) + 1
        late = below(derived(cast.word, _DRAW + number), 0, moment.jitter * 1000)
        if not isinstance(cast.later, int):
            late = late + cast.later[:, moment.session] * 1000
        running.logged = running.logged or moment.event == rows.LOGIN
        out = rows.blank(
            len(cast.person),
            {
                "ts": midnight + moment.at * 1000 + late, "event": moment.event, "session": moment.session,
                "place": place, "person": cast.person, "device": cast.person * 2, "city": cast.city,
                "user": cast.person if running.logged else -1, "channel": cast.channel,
                "campaign": cast.campaign, "platform": cast.platform, "version": cast.version,
            },
        )  # fmt: skip
        _goods(out, moment, cast)
        lines += running.money(out, moment, cast)
        for name, value in moment.sets.items():
            out.column(name)[:] = value
        parts.append(out)
    return rows.joined(parts), rows.joined_lines(lines)


def _goods(out: Rows, moment: Moment, cast: Cast) -> None:
    if moment.line < 0:
        return
    product = cast.product[:, moment.line]
    out.category = catalogue.category_of(product)
    if moment.event in _SHOWS_PRODUCT:
        out.product, out.price = product, catalogue.PRICE[product]
    if moment.event in (rows.ADD, rows.REMOVE):
        out.quantity[:] = 1


@dataclass(slots=True)
class _Running:
    """What a script has come to: who is logged in, what is in the cart, which order is next."""

    logged: bool = False
    cart: list[int] = field(default_factory=list)
    coupon: bool = False
    orders: int = 0

    def money(self, out: Rows, moment: Moment, cast: Cast) -> list[Lines]:
        """Fills in cart, coupon and amounts; the lines of the order, if it is one."""
        event = moment.event
        if event == rows.ADD:
            self.cart.append(moment.line)
        if event == rows.REMOVE:
            self.cart.remove(moment.line)
        self.coupon = self.coupon or event == rows.COUPON
        coupon = np.full(len(out), -1, dtype=np.int64)
        if self.coupon:
            coupon[:] = cast.coupon
        if event in (rows.COUPON, rows.PAID):
            out.coupon = coupon
        if event in (rows.CART, rows.CHECKOUT):
            out.cart_items[:] = len(self.cart)
        if event not in (rows.CHECKOUT, rows.FAILED, rows.PAID):
            return []
        product = cast.product[:, self.cart]
        total = catalogue.PRICE[product].sum(axis=1)
        discount = orders.discount_of(coupon, total)
        out.amount = total - discount
        if event != rows.PAID:
            return []
        out.order[:], out.quantity[:], out.discount = self.orders, len(self.cart), discount
        lines = _lines(out, product, discount, total)
        self.orders, self.cart, self.coupon = self.orders + 1, [], False
        return [lines]


def _lines(out: Rows, product: Ints, discount: Ints, total: Ints) -> Lines:
    count = product.shape[1]
    order = np.repeat(np.arange(len(out), dtype=np.int64), count)
    gross = catalogue.PRICE[product].ravel()
    net = gross - orders.share(order, gross, discount, total)
    return Lines(
        person=out.person[order],
        order=out.order[order],
        session=out.session[order],
        place=out.place[order],
        product=product.ravel(),
        quantity=np.ones(len(order), dtype=np.int64),
        amount=net,
        margin=net - catalogue.COST[product].ravel(),
    )
