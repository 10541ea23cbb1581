"""What happens in a visit: browsing in small steps, a cart perhaps, and how it ends.

A session is a row of *units*, each a fixed run of events (``search → search_click → product_view``): the
start, perhaps a login, some browsing of heavy-tailed length, the units that fill the cart, and a closing one.
Sessions are spread into units and units into events without a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workbench.demo import catalogue, days, rows
from workbench.demo.draws import (
    CELLS,
    Bools,
    Ints,
    Words,
    bits,
    chance,
    derived,
    lomax,
    picked,
    table,
    within,
)
from workbench.demo.orders import Cart, Paid, Reduce, SessionLines, pay, quantity
from workbench.demo.people import People, State
from workbench.demo.rows import Rows
from workbench.demo.visits import CARTED, FAILED, NOTHING, PAID, Visits

_R = rows
_UNITS: tuple[tuple[int, tuple[int, ...]], ...] = (
    (0, (_R.START,)),
    (0, (_R.LOGIN,)),
    (14, (_R.HOME,)),
    (10, (_R.LIST,)),
    (22, (_R.LIST, _R.VIEW)),
    (26, (_R.VIEW,)),
    (8, (_R.SEARCH,)),
    (17, (_R.SEARCH, _R.CLICK, _R.VIEW)),
    (2, (_R.VIEW, _R.SHARE)),
    (2, (_R.CART,)),
    (0, (_R.VIEW, _R.ADD)),
    (0, (_R.SEARCH, _R.CLICK, _R.VIEW, _R.ADD)),
    (0, (_R.VIEW, _R.ADD, _R.REMOVE)),
    (0, (_R.CART,)),
    (0, (_R.CART, _R.CHECKOUT)),
    (0, (_R.CART, _R.PROMPT)),
    (0, (_R.CART, _R.CHECKOUT, _R.FAILED)),
    (0, (_R.CART, _R.PROMPT, _R.LOGIN, _R.CHECKOUT, _R.FAILED)),
    (0, (_R.CART, _R.CHECKOUT, _R.PAID)),
    (0, (_R.CART, _R.COUPON, _R.CHECKOUT, _R.PAID)),
    (0, (_R.CART, _R.CHECKOUT, _R.FAILED, _R.PAID)),
    (0, (_R.CART, _R.PROMPT, _R.LOGIN, _R.CHECKOUT, _R.PAID)),
    (0, (_R.CART, _R.COUPON, _R.PROMPT, _R.LOGIN, _R.CHECKOUT, _R.PAID)),
)
"""Each kind of unit: its weight while browsing, its events."""
(
    _START, _LOGIN, _HOME, _LIST, _LIST_VIEW, _VIEW, _MISS, _HIT, _SHARE, _PEEK, _ADD, _SEARCH_ADD,
    _ADD_REMOVE, _CLOSE_CART, _CLOSE_CHECKOUT, _CLOSE_PROMPT, _CLOSE_FAILED, _CLOSE_LOGIN_FAILED, _CLOSE_PAID,
    _CLOSE_COUPON, _CLOSE_RETRY, _CLOSE_LOGIN, _CLOSE_COUPON_LOGIN,
) = range(len(_UNITS))  # fmt: skip
_BROWSE = table([weight for weight, _ in _UNITS])
_SIZE = np.array([len(events) for _, events in _UNITS], dtype=np.int64)
_FIRST = np.cumsum(_SIZE) - _SIZE
_FLAT = np.array([event for _, events in _UNITS for event in events], dtype=np.int64)

_N = np.arange(1, 61, dtype=np.int64)
_LENGTH = table(10**12 // (_N * (_N + 1) + 6))
"""Browsing units of a visit: the chance of n falls about as 1/n², cut at 60."""
_ADDS = table((60, 24, 10, 4, 2))
_GAP = lomax(12_000, 2600, 800, 300_000)
"""Milliseconds between two events: median 12.8 s, at most five minutes."""


@dataclass(frozen=True, slots=True)
class Played:
    """The sessions of a wave as events, and what they leave behind."""

    rows: Rows
    lines: SessionLines
    paid: Paid
    """Like ``rows`` and ``lines``: of the kept sessions only."""
    kept: Bools
    """Sessions that end before the demo does; the others did not take place."""
    end: Ints
    """Last moment of each session, kept or not."""
    signed_in: Bools


@dataclass(frozen=True, slots=True)
class Units:
    """The units of a wave of sessions."""

    word: Words
    session: Ints
    kind: Ints
    filling: Bools
    """Belongs to the part in which the cart is filled."""
    closing: Bools
    product: Ints
    term: Ints

    @property
    def kept(self) -> Bools:
        """Units whose product is in the cart at the end, :attr:`pieces` of it."""
        return np.asarray((self.kind == _ADD) | (self.kind == _SEARCH_ADD), dtype=np.bool_)

    @property
    def searches(self) -> Bools:
        """Units that begin with a search."""
        return np.isin(self.kind, (_MISS, _HIT, _SEARCH_ADD))

    @property
    def clicks(self) -> Bools:
        """Units whose search is clicked."""
        return np.isin(self.kind, (_HIT, _SEARCH_ADD))

    @property
    def pieces(self) -> Ints:
        """How many pieces of the product a unit adds, if it adds any."""
        return quantity(self.word)


Choose = Callable[[Visits, Units], None]
"""May set products and terms of units in place."""


def play(people: People, state: State, visits: Visits, choose: Choose, reduce: Reduce) -> Played:
    """Plays the visits of a wave: events in order, session by session."""
    units = _units(people, visits)
    choose(visits, units)
    unit, step = within(_SIZE[units.kind])
    event = _FLAT[_FIRST[units.kind[unit]] + step]
    session = units.session[unit]
    sizes = np.bincount(session, minlength=len(visits.person)).astype(np.int64)
    first = np.cumsum(sizes) - sizes
    place = np.arange(len(event), dtype=np.int64) - first[session]
    word = derived(units.word[unit], step + 8)
    gap = np.where(place == 0, 0, _GAP[bits(word, 0)] + (bits(word, 16) & 1023))
    elapsed = np.cumsum(gap)
    ts = visits.start[session] + elapsed - elapsed[first][session]
    end = ts[first + sizes - 1]
    kept = end < days.END

    out = rows.blank(len(event))
    out.ts, out.event, out.place = ts, event, place
    out.person, out.device, out.session = (
        visits.person[session],
        visits.device[session],
        visits.number[session],
    )
    out.channel, out.campaign = visits.channel[session], visits.campaign[session]
    out.platform, out.version = visits.platform[session], visits.version[session]
    out.city = people.city[out.person]
    login_place = np.full(len(visits.person), 1 << 30, dtype=np.int64)
    logins = event == _R.LOGIN
    login_place[session[logins]] = place[logins]
    in_force = visits.known[session] | (place >= login_place[session])
    out.user = np.where(in_force, out.person, -1)
    _browsing(out, units, unit, word)
    cart = Cart(units.session, units.product, units.pieces).only(units.kept)
    paid, lines = pay(state, visits, cart, out, session, reduce)
    _carts(out, paid, units, unit, session)
    keep = kept[session]
    if not keep.all():
        out = out.take(keep)
        lines, paid = lines.of(kept), paid.of(kept)
    return Played(out, lines, paid, kept, end, login_place < 1 << 30)


def _units(people: People, visits: Visits) -> Units:
    shape = derived(visits.word, 3)
    length = picked(_LENGTH, shape, 0) + 1
    length = np.where(visits.gone, 0, np.where(visits.bounces, 1, length))
    adds = np.where(visits.goes == NOTHING, 0, picked(_ADDS, shape, 32) + 1)
    closer = _closer(visits, derived(visits.word, 4))
    signs = visits.signs_in.astype(np.int64)
    session, place = within(1 + signs + length + adds + (closer >= 0))
    word = derived(visits.word[session], place + 200)
    fill_from = (1 + signs + length)[session]
    close_at = fill_from + adds[session]
    filling = (place >= fill_from) & (place < close_at)
    closing = place == close_at
    opening = place < 1 + signs[session]

    kind = picked(_BROWSE, word, 0)
    fill = np.where(chance(word, 0, CELLS // 3), _SEARCH_ADD, _ADD)
    fill = np.where((place > fill_from) & chance(word, 16, CELLS // 7), _ADD_REMOVE, fill)
    kind = np.select([opening, filling, closing], [place, fill, closer[session]], default=kind)
    term = _terms(people, visits, session, word)
    searches = (kind == _HIT) | (kind == _SEARCH_ADD)
    missed = searches & (catalogue.TERM_RESULTS[term] == 0)
    kind = np.where(missed, np.where(filling, _ADD, _MISS), kind)
    searches &= ~missed
    choice = derived(word, 1)
    tasteful = chance(choice, 0, CELLS * 2 // 5)
    category = np.where(searches, catalogue.TERM_CATEGORY[term], people.taste[visits.person[session]])
    product = np.where(
        searches | tasteful,
        catalogue.in_category(category, choice, 16),
        picked(catalogue.POPULAR, choice, 16),
    )
    return Units(word, session, kind, filling, closing, product, term)


def _terms(people: People, visits: Visits, session: Ints, word: Words) -> Ints:
    usual = picked(catalogue.TERM, word, 32)
    brand = catalogue.FIRST_BRAND + picked(catalogue.BRAND, derived(word, 2), 0)
    wants = people.seeker[visits.person[session]] & chance(word, 48, CELLS // 2)
    return np.where(wants, brand, usual)


def _closer(visits: Visits, word: Words) -> Ints:
    """How the cart ends: the closing unit, or −1.

    A coupon that asks for a login is always followed by login and payment, and never offered on the last two
    days: who is asked by a coupon and does not pay is planted (``journeys``), nobody else.
    """
    coupon = chance(word, 0, CELLS // 4)
    logged = visits.known | visits.signs_in
    asks = ~logged & coupon & (visits.day < days.DAYS - 2)
    retried = logged & chance(word, 16, CELLS // 25)
    looks = chance(word, 32, CELLS * 3 // 5)
    goes = visits.goes
    paid = np.select(
        [asks, ~logged, retried, coupon],
        [_CLOSE_COUPON_LOGIN, _CLOSE_LOGIN, _CLOSE_RETRY, _CLOSE_COUPON],
        default=_CLOSE_PAID,
    )
    return np.select(
        [goes == NOTHING, goes == CARTED, goes == PAID, goes == FAILED],
        [-1, np.where(looks, _CLOSE_CART, -1), paid, np.where(logged, _CLOSE_FAILED, _CLOSE_LOGIN_FAILED)],
        default=np.where(logged, _CLOSE_CHECKOUT, _CLOSE_PROMPT),
    ).astype(np.int64)


_HAS_PRODUCT = np.isin(np.arange(len(rows.EVENTS)), (_R.CLICK, _R.VIEW, _R.ADD, _R.REMOVE, _R.SHARE))


def _browsing(out: Rows, units: Units, unit: Ints, word: Words) -> None:
    """Fills in products, categories and searches."""
    product = units.product[unit]
    has = _HAS_PRODUCT[out.event]
    out.product = np.where(has, product, -1)
    out.category = np.where(has | (out.event == _R.LIST), catalogue.category_of(product), -1)
    out.price = np.where(has, catalogue.PRICE[product], -1)
    out.quantity = np.where((out.event == _R.ADD) | (out.event == _R.REMOVE), quantity(units.word)[unit], -1)
    searches = out.event == _R.SEARCH
    out.term = np.where(searches, units.term[unit], -1)
    out.source = np.where(searches, picked(catalogue.SOURCE, word, 32), -1)
    out.results = np.where(searches, catalogue.TERM_RESULTS[units.term[unit]], -1)
    asked = np.cumsum(searches)
    before = (asked - searches)[np.flatnonzero(out.place == 0)]
    number = asked - np.repeat(before, np.diff(np.append(np.flatnonzero(out.place == 0), len(asked)))) - 1
    out.query = np.where(searches | (out.event == _R.CLICK), number, -1)
    out.position = np.where(out.event == _R.CLICK, 1 + (bits(word, 48) * bits(word, 48) * 20 >> 32), -1)


def _carts(out: Rows, paid: Paid, units: Units, unit: Ints, session: Ints) -> None:
    """Fills in what cart, coupon, checkout and payment events carry."""
    event = out.event
    shows_cart = (event == _R.CART) | (event == _R.CHECKOUT)
    out.cart_items = np.where(shows_cart, np.where(units.closing[unit], paid.count[session], 0), -1)
    coupon = np.where(paid.coupon[session] >= 0, paid.coupon[session], -1)
    out.coupon = np.where((event == _R.COUPON) | (event == _R.PAID), coupon, -1)
    due = paid.total[session] - paid.discount[session]
    out.amount = np.where((event == _R.PAID) | (event == _R.CHECKOUT) | (event == _R.FAILED), due, -1)
    is_order = event == _R.PAID
    out.order = np.where(is_order, paid.number[session], -1)
    out.discount = np.where(is_order, paid.discount[session], -1)
    out.quantity = np.where(is_order, paid.pieces[session], out.quantity)
    by_coupon = np.roll(event == _R.COUPON, 1)
    asked = np.where(by_coupon, _R.BY_COUPON, _R.BY_CHECKOUT)
    failed = np.where(chance(units.word[unit], 40, CELLS * 3 // 4), _R.TIMEOUT, _R.BALANCE)
    out.reason = np.select([event == _R.PROMPT, event == _R.FAILED], [asked, failed], default=-1).astype(
        np.int64
    )
