"""People who are planted whole, event by event: the cart lost at a forced login, and those who were luckier.

The lost ones fill a cart on a mini program from 21:37 without being logged in, open it at 21:54, type a
coupon at 21:55 and are sent to log in at 21:56. About three hours later they log in, find the cart empty, and
never come back. The patient ones (a decoy) walk the same way, find their cart kept, and pay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.demo import catalogue, days, orders, rows, traffic
from workbench.demo.draws import Ints, Words, below, bits, derived, picked, words
from workbench.demo.people import CITIES, MINI_PROGRAM
from workbench.demo.rows import Lines, Rows

_EARLIEST, _DAYS = 14, 70
"""Evenings from 15 March on, over ten weeks: long before the data ends."""
_M = 60
_BEFORE = (12 * 60 + 10) * _M
_NIGHT = (21 * 60) * _M


@dataclass(frozen=True, slots=True)
class _Moment:
    """One event of the script: session, seconds after midnight of the evening, seconds it may be later."""

    session: int
    at: int
    jitter: int
    event: int
    line: int = -1
    """Which of the three products."""
    cart: int = -1


_EVENING = (
    _Moment(0, _BEFORE - 86_400, 20, rows.START),
    _Moment(0, _BEFORE - 86_400 + 30, 40, rows.HOME),
    _Moment(0, _BEFORE - 86_400 + 120, 90, rows.VIEW, 0),
    _Moment(1, _NIGHT + 34 * _M, 25, rows.START),
    _Moment(1, _NIGHT + 34 * _M + 30, 25, rows.HOME),
    _Moment(1, _NIGHT + 35 * _M, 55, rows.LIST, 0),
    _Moment(1, _NIGHT + 36 * _M, 55, rows.VIEW, 0),
    _Moment(1, _NIGHT + 37 * _M, 55, rows.ADD, 0),
    _Moment(1, _NIGHT + 41 * _M, 55, rows.VIEW, 1),
    _Moment(1, _NIGHT + 43 * _M, 55, rows.ADD, 1),
    _Moment(1, _NIGHT + 47 * _M, 55, rows.VIEW, 2),
    _Moment(1, _NIGHT + 50 * _M, 55, rows.ADD, 2),
    _Moment(1, _NIGHT + 54 * _M, 55, rows.CART, cart=3),
    _Moment(1, _NIGHT + 55 * _M, 55, rows.COUPON),
    _Moment(1, _NIGHT + 56 * _M, 55, rows.PROMPT),
    _Moment(2, _NIGHT + 235 * _M, 119, rows.START),
    _Moment(2, _NIGHT + 237 * _M, 55, rows.LOGIN),
)
_EMPTY = (_Moment(2, _NIGHT + 238 * _M, 55, rows.CART, cart=0),)
_KEPT = (
    _Moment(2, _NIGHT + 238 * _M, 55, rows.CART, cart=3),
    _Moment(2, _NIGHT + 239 * _M, 55, rows.CHECKOUT, cart=3),
    _Moment(2, _NIGHT + 241 * _M, 55, rows.PAID),
)


@dataclass(frozen=True, slots=True)
class Planted:
    """The planted people, their events by the day a session starts, and the lines of their orders."""

    lost: Ints
    patient: Ints
    city: Ints
    """Of all of them, in the order of their numbers."""
    _rows: Rows
    _day: Ints
    _lines: Lines
    _line_day: Ints

    @property
    def person(self) -> Ints:
        """All planted people."""
        return np.concatenate([self.lost, self.patient])

    def of(self, day: int) -> tuple[Rows, Lines]:
        """The events of sessions that start on a day, session by session, and their order lines."""
        return self._rows.take(self._day == day), self._lines.take(self._line_day == day)


def plant(events: int, seed: int, first_person: int) -> Planted:
    """Plants one lost cart in eight thousand events, six at least, and half as many patient ones."""
    lost = min(max(events // 8_000, 6), 2_000)
    patient = lost // 2
    word = words(seed, 9, lost + patient)
    person = first_person + np.arange(lost + patient, dtype=np.int64)
    city = below(derived(word, 1), 0, len(CITIES))
    gone = _script(_EVENING + _EMPTY, person[:lost], city[:lost], word[:lost])
    paid = _script(_EVENING + _KEPT, person[lost:], city[lost:], word[lost:])
    out = rows.joined([gone, paid])
    start = out.ts[np.maximum.accumulate(np.where(out.place == 0, np.arange(len(out)), 0))]
    lines = _order_lines(person[lost:], word[lost:])
    order_day = _evening(word[lost:]) + 1
    return Planted(
        lost=person[:lost],
        patient=person[lost:],
        city=city,
        _rows=out,
        _day=(start - days.midnight(0)) // days.MS_DAY,
        _lines=lines,
        _line_day=np.repeat(order_day, 3),
    )


def _evening(word: Words) -> Ints:
    return _EARLIEST + below(derived(word, 0), 0, _DAYS)


def _products(word: Words) -> Ints:
    """Three products each: a row a person. The numbers differ by category, so no two are the same."""
    choice = derived(word, 2)
    first = picked(catalogue.POPULAR, choice, 0)
    return np.stack([first, (first + 1) % catalogue.PRODUCTS, (first + 2) % catalogue.PRODUCTS], axis=1)


def _script(moments: Sequence[_Moment], person: Ints, city: Ints, word: Words) -> Rows:
    product = _products(word)
    total = catalogue.PRICE[product].sum(axis=1)
    coupon = bits(derived(word, 3), 0) & 1
    discount = orders.discount_of(coupon, total)
    midnight = np.array([days.midnight(day) for day in _evening(word).tolist()], dtype=np.int64)
    channel = picked(traffic.KNOWN, derived(word, 4), 0)
    channel = np.where((channel == traffic.PUSH) | (channel == traffic.CONTENT), traffic.DIRECT, channel)
    campaign = np.where(traffic.CAMPAIGN_COUNT[channel] > 0, traffic.FIRST_CAMPAIGN[channel], -1)
    parts: list[Rows] = []
    places: dict[int, int] = {}
    logged = False
    for number, moment in enumerate(moments):
        out = rows.blank(len(person))
        late = below(derived(word, 20 + number), 0, moment.jitter * 1000)
        out.ts = midnight + moment.at * 1000 + late
        out.event[:], out.session[:] = moment.event, moment.session
        out.place[:] = places[moment.session] = places.get(moment.session, -1) + 1
        logged = logged or moment.event == rows.LOGIN
        out.person, out.device, out.city = person, person * 2, city
        out.user = person if logged else out.user
        out.channel, out.campaign = channel, campaign
        out.platform[:] = MINI_PROGRAM
        if moment.line >= 0:
            out.category = catalogue.category_of(product[:, moment.line])
        if moment.line >= 0 and moment.event != rows.LIST:
            out.product = product[:, moment.line]
            out.price = catalogue.PRICE[out.product]
        _detail(out, moment, coupon, total - discount, discount)
        parts.append(out)
    all_rows = rows.joined(parts)
    return all_rows.take(np.lexsort((all_rows.place, all_rows.session, all_rows.person)))


def _detail(out: Rows, moment: _Moment, coupon: Ints, due: Ints, discount: Ints) -> None:
    out.cart_items[:] = moment.cart
    if moment.event == rows.ADD:
        out.quantity[:] = 1
    if moment.event == rows.PROMPT:
        out.reason[:] = rows.BY_COUPON
    if moment.event in (rows.COUPON, rows.PAID):
        out.coupon = coupon
    if moment.event in (rows.CHECKOUT, rows.PAID):
        out.amount = due
    if moment.event == rows.PAID:
        out.order[:], out.quantity[:] = 0, 3
        out.discount = discount


def _order_lines(person: Ints, word: Words) -> Lines:
    product = _products(word)
    gross = catalogue.PRICE[product]
    total = gross.sum(axis=1)
    discount = orders.discount_of(bits(derived(word, 3), 0) & 1, total)
    order = np.repeat(np.arange(len(person), dtype=np.int64), 3)
    net = gross.ravel() - orders.share(order, gross.ravel(), discount, total)
    ones = np.ones(len(order), dtype=np.int64)
    last = len([m for m in _EVENING + _KEPT if m.session == 2]) - 1
    return Lines(
        person=np.repeat(person, 3),
        order=ones * 0,
        session=ones * 2,
        place=ones * last,
        product=product.ravel(),
        quantity=ones,
        amount=net,
        margin=net - catalogue.COST[product.ravel()],
    )
