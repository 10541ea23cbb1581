"""Categories and products: what is looked at, what is bought, what it earns, and what comes back.

数码 (digital) draws the most people, who hardly put any of it into a cart, at a low margin; 护肤 (skin care) has
the highest margin; 零食 (snacks) is what lookers buy; 母婴 (baby) is shown seldom and bought often for that.
Single products: a best-seller over a long tail, a star that few have seen, a day without stock, one that comes
back, and two that are bought together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from workbench.demo import catalogue, days, rows
from workbench.demo.chains import chained
from workbench.demo.draws import CELLS, Bools, Ints, chance, picked, table
from workbench.demo.ledger import Marks, device_key, resolved
from workbench.demo.rows import Lines, Part
from workbench.demo.sessions import Units
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.topics.base import Counted, Topic, World
from workbench.demo.topics.buying import at_home
from workbench.demo.visits import CARTED, NOTHING, Visits
from workbench.demo.waves import Wave

_CATEGORIES = len(catalogue.CATEGORIES)
_SKIN, _SNACKS, _BABY, _DIGITAL = (catalogue.CATEGORIES.index(c) for c in ("护肤", "零食", "母婴", "数码"))
BEST, BACK, STAR, MAIN, EXTRA, DEAL = 1013, 1140, 1184, 1029, 1101, 1129
"""The best-seller, what comes back, the star few have seen, the pair, and what is out of stock one day. All
stand far down in their categories, so that hardly anybody but the planted meets them."""
_FIRST_LINE = table((64, 14, 8, 5, 2, 2))
_LINES = np.array((-1, BEST, BACK, STAR, MAIN, EXTRA), dtype=np.int64)
"""What the first thing in a cart often is."""
OUT_OF_STOCK = 66
"""6 May; the deal runs from the day before to the day after."""
_BACK_CELLS = CELLS * 7 // 10
_TAIL_FROM = 100
_WINDOW = 30 * 60_000
_FORTNIGHT = 14 * days.MS_DAY
_SEEN, _ADDED = 0, _CATEGORIES
"""First of the marks of categories."""
_STARRED, _OUT, _IN, _PAIRED = 0, 2, 4, 6
"""First of the marks of products, a mark a step."""


class Products(Topic):
    """What is in the shop, and how it does."""

    name: ClassVar[str] = "products"
    number: ClassVar[int] = 7

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._categories, self._marks = Marks(), Marks()
        self._listed = np.zeros(_CATEGORIES, dtype=np.int64)
        self._viewed, self._added, self._refunded = np.zeros((3, catalogue.PRODUCTS), dtype=np.int64)
        self._sold = np.zeros((4, catalogue.PRODUCTS), dtype=np.int64)
        self._pairs = 0
        self._back_adds: list[tuple[Ints, Ints]] = []
        self._back_refunds: list[tuple[Ints, Ints]] = []

    def steer(self, visits: Visits) -> Visits:
        """On the days of the deal on which it can be had, more visits fill a cart."""
        if abs(visits.day - OUT_OF_STOCK) != 1:
            return visits
        tempted = at_home(visits) & (visits.goes == NOTHING)
        tempted &= chance(self.draw(visits.word, 3), 0, CELLS // 3)
        return replace(visits, goes=np.where(tempted, CARTED, visits.goes))

    def choose(self, visits: Visits, units: Units) -> None:
        """Tilts what is looked at and what is bought; a search keeps its own products."""
        word = self.draw(units.word, 0)
        category = catalogue.category_of(units.product)
        free = ~units.searches
        looked, bought = free & ~units.filling & ~units.closing, free & units.filling
        to_digital = chance(word, 0, np.where(category == _BABY, CELLS * 3 // 4, CELLS // 7))
        to_snacks = chance(word, 0, np.where(category == _DIGITAL, CELLS * 3 // 4, CELLS // 7))
        to_baby = ~to_snacks & chance(word, 16, CELLS // 12)
        other = np.select([looked & to_digital, bought & to_snacks, bought & to_baby],
                          [_DIGITAL, _SNACKS, _BABY], default=category)  # fmt: skip
        units.product[:] += other - category
        units.product[looked & chance(word, 32, CELLS // 600)] = STAR
        self._plant(visits, units, bought & units.kept)
        self._deal(visits, units, looked, bought & units.kept)

    def _plant(self, visits: Visits, units: Units, bought: Bools) -> None:
        """Puts planted products first into carts, and pairs into carts with two things."""
        kept = np.flatnonzero(units.kept).astype(np.int64)
        session, at = np.unique(units.session[kept], return_index=True)
        first = kept[at]
        word = self.draw(visits.word[session], 1)
        planted = _LINES[picked(_FIRST_LINE, word, 0)]
        second = kept[np.minimum(at + 1, len(kept) - 1)]
        pairs = bought[first] & bought[second] & (units.session[second] == session) & (second > first)
        pairs &= (planted < 0) & chance(word, 16, CELLS * 2 // 5)
        planted = np.where(pairs, MAIN, planted)
        sets = bought[first] & (planted >= 0)
        units.product[first[sets]] = planted[sets]
        units.product[second[pairs]] = EXTRA

    def _deal(self, visits: Visits, units: Units, looked: Bools, bought: Bools) -> None:
        """For three days many look at the deal; on the second nobody can put it into a cart."""
        if abs(visits.day - OUT_OF_STOCK) > 1:
            return
        word = self.draw(units.word, 2)
        units.product[looked & chance(word, 0, CELLS // 5) | bought & chance(word, 0, CELLS * 3 // 4)] = DEAL
        hours = 3 * 3_600_000
        late = visits.start[units.session] + hours >= days.midnight(OUT_OF_STOCK)
        gone = late & (visits.start[units.session] < days.midnight(OUT_OF_STOCK + 1))
        units.product[gone & units.filling & (units.product == DEAL)] += _CATEGORIES

    def returns(self, wave: Wave, cells: Ints) -> Ints:
        """One product comes back far too often."""
        return np.where(wave.paid.first_product == BACK, _BACK_CELLS, cells)

    def note(self, part: Part) -> None:
        """Counts products, and marks who looked at a category or a product and went on."""
        out = part.rows
        views, adds = out.event == rows.VIEW, out.event == rows.ADD
        for counts, which in ((self._viewed, views), (self._added, adds), (self._refunded, _refunded(part))):
            counts += np.bincount(out.product[which & (out.product >= 0)], minlength=len(counts))
        listed = out.category[(out.event == rows.LIST) & (out.category >= 0)]
        self._listed += np.bincount(listed, minlength=_CATEGORIES)
        back = np.flatnonzero(_refunded(part) & (out.product == BACK))
        self._back_refunds.append((out.person[back] * 4, out.ts[back]))
        if not len(part.first):
            return
        back = np.flatnonzero(adds & (out.product == BACK))
        self._back_adds.append((device_key(out, back), out.ts[back]))
        self._note_categories(part, views, adds)

        def mark(first: int, steps: list[Bools]) -> None:
            for level, begins in enumerate(chained(part, steps, _WINDOW)):
                self._marks.add(device_key(out, begins), first + level)

        mark(_STARRED, [views & (out.product == STAR), adds & (out.product == STAR)])
        main, extra = (adds & (out.product == product) for product in (MAIN, EXTRA))
        mark(_PAIRED, [main, extra, out.event == rows.PAID])
        for first, day in ((_OUT, OUT_OF_STOCK), (_IN, OUT_OF_STOCK + 1)):
            on_day = (out.ts >= days.midnight(day)) & (out.ts < days.midnight(day + 1))
            if on_day.any():
                mark(first, [on_day & views & (out.product == DEAL), adds & (out.product == DEAL)])

    def _note_categories(self, part: Part, views: Bools, adds: Bools) -> None:
        """Who looked at a category, and who put something of it into a cart within half an hour."""
        out = part.rows
        seen = np.flatnonzero(views & (out.category >= 0))
        self._categories.add(device_key(out, seen), _SEEN + out.category[seen])
        added = np.flatnonzero(adds & (out.category >= 0))
        at_once = views[added - 1] & (out.category[added - 1] == out.category[added])
        self._categories.add(device_key(out, added[at_once]), _ADDED + out.category[added[at_once]])
        for category in np.unique(out.category[added[~at_once]]).tolist():
            own = out.category == category
            begins = chained(part, [views & own, adds & own], _WINDOW)[1]
            self._categories.add(device_key(out, begins), _ADDED + category)

    def sold(self, lines: Lines) -> None:
        """Adds up orders, pieces, money and margin by product, and counts orders of the pair."""
        for total, value in zip(
            self._sold, (np.ones_like(lines.product), lines.quantity, lines.amount, lines.margin), strict=True
        ):
            np.add.at(total, lines.product, value)
        order = lines.person << 16 | lines.order
        self._pairs += len(np.intersect1d(order[lines.product == MAIN], order[lines.product == EXTRA]))

    def truths(self, counted: Counted) -> list[Truth]:
        """Categories, then single products."""
        return [*self._kinds(counted), *self._top_and_tail(), *self._single(counted), self._returned(counted)]

    def _kinds(self, counted: Counted) -> list[Truth]:
        def people(first: int) -> list[int]:
            return [self._categories.count(first + code, counted.logged) for code in range(_CATEGORIES)]

        seen, added = people(_SEEN), people(_ADDED)
        amount, margin = (_by_category(values) for values in self._sold[2:])
        usual = Decoy(
            "womens-wear",
            "女装 is looked at by many as well, and put into carts like other categories.",
            row={"breakdown": "女装"},
        )
        return [
            Truth(
                "category-interest",
                "数码 draws the most people and hardly gets into a cart, 零食 does most often; 母婴 has the fewest "
                "people and does far more often than the rest.",
                "workbench funnel --step product_view --step add_to_cart --hold category --by category --top 12 "
                "--window 30m",
                expected=tuple(
                    Expect({"breakdown": name, "step": step}, "users", count[code])
                    for code, name in enumerate(catalogue.CATEGORIES)
                    for step, count in ((1, seen), (2, added))
                ),
                decoys=(usual,),
            ),
            Truth(
                "category-exposure",
                "母婴 is the category shown least, in lists too: its few lookers are no sign of little interest.",
                "workbench properties category --where \"event = 'list_view'\" --top 12",
                expected=tuple(
                    Expect({"value": name}, "events", int(self._listed[code]))
                    for code, name in enumerate(catalogue.CATEGORIES)
                ),
                decoys=(Decoy("digital", "数码 is shown most and bought least.", row={"value": "数码"}),),
            ),
            Truth(
                "category-margin",
                "护肤 keeps the largest part of its money (before refunds), 家电 and 数码 by far the smallest.",
                "workbench products --by category",
                expected=tuple(
                    Expect({"breakdown": name}, key, int(value[code]) / 100)
                    for code, name in enumerate(catalogue.CATEGORIES)
                    for key, value in (("revenue", amount), ("margin", margin))
                    if value[code]
                ),
                decoys=(usual,),
                waits="report products",
            ),
        ]

    def _top_and_tail(self) -> list[Truth]:
        pieces = tuple(
            Expect({"breakdown": product_id(BEST)}, key, value)
            for key, value in (
                ("orders", int(self._sold[0, BEST])),
                ("quantity", int(self._sold[1, BEST])),
                ("revenue", int(self._sold[2, BEST]) / 100),
                ("margin", int(self._sold[3, BEST]) / 100),
            )
        )
        tail = int(self._viewed.sum() - np.sort(self._viewed)[-_TAIL_FROM:].sum())
        return [
            Truth(
                "best-seller",
                f"{product_id(BEST)} is put into more carts than any other product.",
                "workbench properties product_id --where \"event = 'add_to_cart'\"",
                expected=(Expect({"value": product_id(BEST)}, "events", int(self._added[BEST])),),
                decoys=(
                    Decoy(
                        "lamp",
                        "p0009 is among those looked at most, and no best-seller.",
                        row={"value": "p0009"},
                    ),
                ),
            ),
            Truth(
                "best-seller-orders",
                f"{product_id(BEST)} is in more orders than any other product.",
                "workbench products --by product_id",
                expected=pieces,
                waits="report products",
            ),
            Truth(
                "long-tail",
                f"A large part of all views goes to products beyond the {_TAIL_FROM} most viewed.",
                f"workbench properties product_id --where \"event = 'product_view'\" --top {_TAIL_FROM}",
                expected=(Expect({"value": None}, "events", tail),),
                decoys=(Decoy("head", "No single product has more than a few per cent of the views."),),
            ),
        ]

    def _single(self, counted: Counted) -> list[Truth]:
        def steps(first: int, count: int) -> tuple[Expect, ...]:
            return tuple(
                Expect({"step": level + 1}, "users", self._marks.count(first + level, counted.logged))
                for level in range(count)
            )

        def added(product: int) -> str:
            of = f"product_id = '{product_id(product)}'"
            return f'workbench funnel --step "product_view: {of}" --step "add_to_cart: {of}" --window 30m'

        def on(day: int) -> str:
            return f"{added(DEAL)} --from {days.name(day)} --to {days.name(day)}"

        pair = " ".join(f"--step \"add_to_cart: product_id = '{product_id(one)}'\"" for one in (MAIN, EXTRA))
        with_best = Decoy(
            "with-best-seller",
            f"{product_id(BEST)} is in carts with everything, as it is in so many.",
            row={"product_id": product_id(MAIN), "with_product_id": product_id(BEST)},
        )
        return [
            Truth(
                "future-star",
                f"{product_id(STAR)} is seen by few, and most of them put it into the cart.",
                added(STAR),
                expected=steps(_STARRED, 2),
                decoys=(Decoy("best-seller", f"{product_id(BEST)} is no secret: most carts have it."),),
            ),
            Truth(
                "stock-out-day",
                f"{product_id(DEAL)} is out of stock on {days.name(OUT_OF_STOCK)}: many look, and nobody can put "
                "it into the cart.",
                on(OUT_OF_STOCK),
                expected=steps(_OUT, 2),
                decoys=(Decoy("day-after", f"The day after it sells again: {on(OUT_OF_STOCK + 1)}"),),
            ),
            Truth(
                "back-in-stock",
                f"{product_id(DEAL)} sells on {days.name(OUT_OF_STOCK + 1)}, with as many lookers.",
                on(OUT_OF_STOCK + 1),
                expected=steps(_IN, 2),
            ),
            Truth(
                "bought-together",
                f"{product_id(MAIN)} goes into carts with {product_id(EXTRA)}.",
                f"workbench funnel {pair} --step order_paid --window 30m",
                expected=steps(_PAIRED, 3),
                decoys=(with_best,),
            ),
            Truth(
                "pairs",
                f"{product_id(MAIN)} and {product_id(EXTRA)} are in so many orders together.",
                "workbench products --view pairs",
                expected=(
                    Expect(
                        {"product_id": product_id(MAIN), "with_product_id": product_id(EXTRA)},
                        "orders",
                        self._pairs,
                    ),
                ),
                decoys=(with_best,),
                waits="report products",
            ),
        ]

    def _returned(self, counted: Counted) -> Truth:
        """From the cart to the order to the refund, over a fortnight: sessions do not bound this one."""
        adds, refunds = (_by_time(parts) for parts in (self._back_adds, self._back_refunds))
        orders = counted.ledger.orders()
        added = _moments(resolved(adds[0], counted.logged), adds[1])
        level = [added, _moments(orders.person * 4, orders.ts), _moments(*refunds)]
        people = [np.unique(added >> _BITS)]
        begins, at = added, added
        for moments in level[1:]:
            found = _next(np.sort(moments), at)
            timely = (found >> _BITS == begins >> _BITS) & (found - begins <= _FORTNIGHT)
            begins, at = begins[timely], found[timely]
            people.append(np.unique(begins >> _BITS))
        of = f"product_id = '{product_id(BACK)}'"
        return Truth(
            "returned-too-often",
            f"{product_id(BACK)} comes back: most of its buyers are refunded.",
            f'workbench funnel --step "add_to_cart: {of}" --step order_paid --step "refund: {of}" --window 14d',
            expected=tuple(Expect({"step": n + 1}, "users", len(who)) for n, who in enumerate(people)),
            decoys=(
                Decoy("best-seller", f"{product_id(BEST)} is bought more often, and comes back like others."),
            ),
        )


_BITS = 34
"""Of the milliseconds since the first day, which take 33."""


def product_id(product: int) -> str:
    """As the export has it."""
    return f"p{product:04d}"


def _by_category(value: Ints) -> Ints:
    """Sums over products; product ``rank · categories + category``."""
    return np.asarray(value.reshape(-1, _CATEGORIES).sum(axis=0), dtype=np.int64)


def _by_time(parts: list[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    return np.concatenate([who for who, _ in parts]), np.concatenate([ts for _, ts in parts])


def _moments(who: Ints, ts: Ints) -> Ints:
    """Person and time in one number, by which both sort."""
    return who << _BITS | (ts - days.midnight(0))


def _next(moments: Ints, at: Ints) -> Ints:
    """The first of the moments, ascending, at or after each; of whoever it is, −1 for none."""
    place = np.searchsorted(moments, at, side="left")
    return np.append(moments, -1)[place]


def _refunded(part: Part) -> Bools:
    return np.asarray(part.rows.event == rows.REFUND, dtype=np.bool_)
