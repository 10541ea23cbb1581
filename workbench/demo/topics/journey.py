"""The cart lost at a forced login, those who were luckier, and those who go round between home and list.

The lost ones fill a cart on a mini program from 21:37 without being logged in, open it at 21:54, type a
coupon at 21:55 and are sent to log in at 21:56. About three hours later they log in, find the cart empty, and
never come back. The patient ones (a decoy) walk the same way, find their cart kept, and pay.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workbench.demo import catalogue, rows, scripts, traffic
from workbench.demo.draws import Ints, Words, below, bits, derived, picked
from workbench.demo.people import CITIES, MINI_PROGRAM
from workbench.demo.rows import Lines, Rows
from workbench.demo.scripts import Cast, Moment
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.topics.base import Actors, Counted, Topic, names_of

_EARLIEST, _DAYS = 14, 70
"""Evenings from 15 March on, over ten weeks: long before the data ends."""
_M = 60
_BEFORE = (12 * 60 + 10) * _M
_NIGHT = (21 * 60) * _M
_EVENING = (
    Moment(0, _BEFORE - 86_400, 20, rows.START),
    Moment(0, _BEFORE - 86_400 + 30, 40, rows.HOME),
    Moment(0, _BEFORE - 86_400 + 120, 90, rows.VIEW, 0),
    Moment(1, _NIGHT + 34 * _M, 25, rows.START),
    Moment(1, _NIGHT + 34 * _M + 30, 25, rows.HOME),
    Moment(1, _NIGHT + 35 * _M, 55, rows.LIST, 0),
    Moment(1, _NIGHT + 36 * _M, 55, rows.VIEW, 0),
    Moment(1, _NIGHT + 37 * _M, 55, rows.ADD, 0),
    Moment(1, _NIGHT + 41 * _M, 55, rows.VIEW, 1),
    Moment(1, _NIGHT + 43 * _M, 55, rows.ADD, 1),
    Moment(1, _NIGHT + 47 * _M, 55, rows.VIEW, 2),
    Moment(1, _NIGHT + 50 * _M, 55, rows.ADD, 2),
    Moment(1, _NIGHT + 54 * _M, 55, rows.CART),
    Moment(1, _NIGHT + 55 * _M, 55, rows.COUPON),
    Moment(1, _NIGHT + 56 * _M, 55, rows.PROMPT, sets={"reason": rows.BY_COUPON}),
    Moment(2, _NIGHT + 235 * _M, 119, rows.START),
    Moment(2, _NIGHT + 237 * _M, 55, rows.LOGIN),
)
_EMPTY = (Moment(2, _NIGHT + 238 * _M, 55, rows.CART, sets={"cart_items": 0}),)
_KEPT = (
    Moment(2, _NIGHT + 238 * _M, 55, rows.CART),
    Moment(2, _NIGHT + 239 * _M, 55, rows.CHECKOUT),
    Moment(2, _NIGHT + 241 * _M, 55, rows.PAID),
)


class Journey(Topic):
    """One lost cart in eight thousand events, six at least, and half as many patient people."""

    name: ClassVar[str] = "journey"
    number: ClassVar[int] = 1
    lost: Ints
    patient: Ints

    def actors(self, first: int) -> Actors:
        """The lost, then the patient."""
        count = min(max(self.world.events // 8_000, 6), 2_000)
        word = self.stream(count + count // 2)
        actors = Actors.of(first, len(word), platform=MINI_PROGRAM)
        self.lost, self.patient = actors.person[:count], actors.person[count:]
        cast = _cast(actors.person, word)
        is_lost = np.arange(len(word)) < count
        self._staged = scripts.staged(
            [
                scripts.play(_EVENING + _EMPTY, cast.only(is_lost)),
                scripts.play(_EVENING + _KEPT, cast.only(~is_lost)),
            ]
        )
        return actors

    def planted(self, day: int) -> list[tuple[Rows, Lines]]:
        """Their sessions."""
        return [self._staged.of(day)]

    def truths(self, counted: Counted) -> list[Truth]:
        """Who they are, and that nobody else stands there."""
        steps = (
            "--step add_to_cart --step view_cart --step coupon_apply "
            "--step \"login_prompt: reason = 'coupon'\" --step order_paid --window 1d"
        )
        patience = Decoy(
            "back-and-paid",
            "The same evening and the same login, but the cart was kept and is paid about three hours later.",
            ids=names_of(self.patient),
        )
        asked = Decoy(
            "asked-at-checkout",
            "Many are sent to log in by the checkout and leave: their prompt's reason is 'checkout'.",
        )
        people = Truth(
            "forced-login",
            "People fill a cart from 21:37, open it at 21:54, type a coupon at 21:55, are sent to log in at "
            "21:56, come back about three hours later to an empty cart, and are gone.",
            f"workbench funnel {steps} --users dropped:4",
            ids=names_of(self.lost),
            decoys=(patience, asked),
        )
        count = Truth(
            "forced-login-count",
            "All of them, and nobody else, stop between the login a coupon asks for and payment.",
            f"workbench funnel {steps}",
            expected=(Expect({"step": 4}, "dropped", len(self.lost)),),
            decoys=(patience,),
        )
        return [people, count]


def _cast(person: Ints, word: Words) -> Cast:
    """Evenings, three products each (of different categories, so no two are the same), a way in."""
    channel = picked(traffic.KNOWN, derived(word, 4), 0)
    channel = np.where((channel == traffic.PUSH) | (channel == traffic.CONTENT), traffic.DIRECT, channel)
    first = picked(catalogue.POPULAR, derived(word, 2), 0)
    return Cast(
        person=person,
        word=word,
        day=_EARLIEST + below(derived(word, 0), 0, _DAYS),
        product=np.stack([(first + n) % catalogue.PRODUCTS for n in range(3)], axis=1),
        channel=channel,
        city=below(derived(word, 1), 0, len(CITIES)),
        platform=MINI_PROGRAM,
        campaign=np.where(traffic.CAMPAIGN_COUNT[channel] > 0, traffic.FIRST_CAMPAIGN[channel], -1),
        coupon=bits(derived(word, 3), 0) & 1,
    )
