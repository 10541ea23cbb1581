"""Regulars: people who buy a category again in its own rhythm, and who do or do not care for coupons.

零食 is bought again after about 10 days, 护肤 after about 30; 家居 (the decoy) is bought again as often, at no
rhythm. Before each order a coupon is offered: some never take one and buy all the same, others (decoys) never
buy without it, or take every second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from workbench.demo import catalogue, rows, scripts, traffic
from workbench.demo.draws import CELLS, Ints, Words, below, chance
from workbench.demo.people import MINI_PROGRAM
from workbench.demo.rows import Lines, Part, Rows
from workbench.demo.scripts import Cast, Moment
from workbench.demo.statements import Decoy, Expect, Truth, Value
from workbench.demo.tables import Column, named
from workbench.demo.topics.base import Actors, Counted, Topic, World, names_of
from workbench.demo.topics.lifecycle import anywhere
from workbench.demo.waves import Wave

OFFER = rows.declare_event("coupon_offer", "home")
_CATEGORIES = tuple(catalogue.CATEGORIES.index(name) for name in ("零食", "护肤", "家居"))
_GAPS = np.array(((9, 10, 10, 11, 11), (28, 29, 30, 31, 32), (2, 6, 16, 29, 38)), dtype=np.int64)
"""Days from order to order, by category; the five in turn."""
_LATEST = np.array((68, 26, 14), dtype=np.int64)
"""Last day of the first order, so that the third fits."""
_ORDERS = 3
_NEVER, _ALWAYS, _SOMETIMES = range(3)
_HABITS = {_NEVER: (), _ALWAYS: (0, 1, 2), _SOMETIMES: (1,)}
"""Which of the three orders take the coupon."""
_SPRING = 0
"""Of ``catalogue.COUPONS``."""


class Regulars(Topic):
    """Five people a category in all but the smallest shops; and offers to the crowd's visitors who never log in."""

    name: ClassVar[str] = "regulars"
    number: ClassVar[int] = 23
    columns: ClassVar[tuple[Column, ...]] = (named("order_category", catalogue.CATEGORIES),)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._orders: list[tuple[Ints, ...]] = []

    def actors(self, first: int) -> Actors:
        """By category, habits in turn."""
        each = max(self.world.events // 12_000, min(self.world.events // 2_500, 5))
        word = self.stream(len(_CATEGORIES) * each)
        actors = Actors.of(first, len(word), platform=MINI_PROGRAM)
        number = np.arange(len(word), dtype=np.int64)
        self._person, self._kind, self._habit = actors.person, number // each, number % each % len(_HABITS)
        cast = self._cast(word)
        category = np.array(_CATEGORIES, dtype=np.int64)[self._kind]
        parts = []
        for habit, taken in _HABITS.items():
            which = self._habit == habit
            parts.append(scripts.play(_visits(taken, category[which]), cast.only(which)))
        self._staged = scripts.staged(parts)
        return actors

    def _cast(self, word: Words) -> Cast:
        count = len(word)
        category = np.array(_CATEGORIES, dtype=np.int64)[self._kind]
        goods = [
            below(self.draw(word, 1 + n), 0, 25) * len(catalogue.CATEGORIES) + category
            for n in range(_ORDERS)
        ]
        number = np.arange(count, dtype=np.int64)
        gap = [_GAPS[self._kind, (number + 2 * n) % 5] * (n > 0) for n in range(_ORDERS)]
        hour = np.stack([below(self.draw(word, 20 + n), 0, 11 * 3_600) for n in range(_ORDERS)], axis=1)
        start = (self.draw(word, 0) >> np.uint64(33)).astype(np.int64) % (_LATEST[self._kind] + 1)
        return Cast(
            person=self._person,
            word=word,
            day=start,
            product=np.stack(goods, axis=1),
            channel=np.full(count, traffic.DIRECT, dtype=np.int64),
            city=anywhere(self.draw(word, 30)),
            platform=MINI_PROGRAM,
            coupon=np.full(count, _SPRING, dtype=np.int64),
            later=np.cumsum(np.stack(gap, axis=1), axis=1) * 86_400 + hour,
        )

    def planted(self, day: int) -> list[tuple[Rows, Lines]]:
        """Their visits, each with an order."""
        return [self._staged.of(day)]

    def wave(self, wave: Wave) -> None:
        """Files every order under its first line's category; offers a coupon to some who never log in."""
        part = wave.part()
        paid = np.flatnonzero(wave.rows.event == rows.PAID)
        category = catalogue.category_of(wave.paid.first_product[part.session[paid]])
        wave.rows.column("order_category")[paid] = category
        home = np.flatnonzero(wave.rows.event == rows.HOME)
        session, which = np.unique(part.session[home], return_index=True)
        word = self.draw(wave.visits.word[session], 40)
        offered = ~self.world.people.member[wave.visits.person[session]] & chance(word, 0, CELLS // 4)
        after = home[which][offered]
        wave.insert(after, OFFER, 200 + below(word[offered], 16, 300), {"coupon": _SPRING})

    def note(self, part: Part) -> None:
        """Remembers orders with their category."""
        out = part.rows
        paid = np.flatnonzero(out.event == rows.PAID)
        paid = paid[out.column("order_category")[paid] >= 0]
        if len(paid):
            self._orders.append((out.person[paid], out.column("order_category")[paid], out.ts[paid]))

    def truths(self, counted: Counted) -> list[Truth]:
        """Gaps by category, and who buys with or without coupons."""
        return [self._rhythm(), self._indifferent()]

    def _rhythm(self) -> Truth:
        person, category, ts = (np.concatenate(column) for column in zip(*self._orders, strict=True))
        order = np.lexsort((ts, category, person))
        person, category, ts = person[order], category[order], ts[order]
        fresh = np.append(True, (person[1:] != person[:-1]) | (category[1:] != category[:-1]))
        first = np.flatnonzero(fresh[:-1] & ~fresh[1:])
        expected: list[Expect] = []
        for code in _CATEGORIES:
            own = first[category[first] == code]
            gap = np.sort(ts[own + 1] - ts[own])
            row: Mapping[str, Value] = {"breakdown": catalogue.CATEGORIES[code], "step": 2}
            expected.append(Expect(row, "users", len(gap)))
            for part in (25, 50, 75):
                key = "median" if part == 50 else f"p{part}"
                expected.append(Expect(row, f"seconds_from_entry_{key}", _quantile(gap, part)))
        return Truth(
            "repurchase-gaps",
            "零食 is bought again after about 10 days, 护肤 after about 30.",
            "workbench funnel --step order_paid --step order_paid --hold order_category --window none "
            "--by order_category --top 12",
            expected=tuple(expected),
            tolerance=1e-9,
            decoys=(
                Decoy(
                    "no-rhythm",
                    "家居 is bought again by as many, anything from two days to five weeks later.",
                    row={"breakdown": "家居"},
                ),
            ),
        )

    def _indifferent(self) -> Truth:
        steps = ' --step coupon_offer --step "order_paid: coupon IS NULL"' * 2
        return Truth(
            "indifferent-to-coupons",
            "These people are offered coupons, never take one, and buy all the same.",
            f"workbench funnel{steps} --window none "
            '--exclude "order_paid: coupon IS NOT NULL" --users converted',
            ids=names_of(self._person[self._habit == _NEVER]),
            decoys=(
                Decoy(
                    "waits-for-coupons",
                    "These buy as often, and never without the coupon.",
                    ids=names_of(self._person[self._habit == _ALWAYS]),
                ),
                Decoy(
                    "every-second",
                    "These take a coupon now and then.",
                    ids=names_of(self._person[self._habit == _SOMETIMES]),
                ),
            ),
        )


def _visits(taken: tuple[int, ...], category: Ints) -> tuple[Moment, ...]:
    """Three visits, each with an offer and an order; the coupon on some of them."""
    out: list[Moment] = []
    known: Mapping[int, Mapping[str, int | Ints]] = {
        OFFER: {"coupon": _SPRING},
        rows.PAID: {"order_category": category},
    }
    for visit in range(_ORDERS):
        login = (rows.LOGIN,) if visit == 0 else ()
        coupon = (rows.COUPON,) if visit in taken else ()
        did = (rows.START, *login, rows.HOME, OFFER, rows.VIEW, rows.ADD, *coupon, rows.CHECKOUT, rows.PAID)
        for nth, event in enumerate(did):
            sets: Mapping[str, int | Ints] = known.get(event, {})
            line = visit if event in (rows.VIEW, rows.ADD) else -1
            out.append(Moment(visit, 10 * 3_600 + 75 * nth, 60, event, line, sets))
    return tuple(out)


def _quantile(ordered: Ints, percent: int) -> float | None:
    """In seconds, of ascending milliseconds: linear between neighbours; None of nothing."""
    if not len(ordered):
        return None
    whole, rest = divmod((len(ordered) - 1) * percent, 100)
    low, high = int(ordered[whole]), int(ordered[min(whole + 1, len(ordered) - 1)])
    return (low + (high - low) * rest / 100) / 1000
