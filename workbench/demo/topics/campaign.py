"""The spring gala: warm-up, peak and encore, and the dip that pays for it.

In the warm-up people fill carts and wait; at the peak they buy, and orders crowd just above ¥300, where ¥40 are
taken off; in the week after they buy less than before, though they come as often. Of two venues the main hall
converts better on each platform and worse on both together (Simpson): it stands where people buy less. A
product bought with another one is bought so more often than the best-seller (the decoy).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from workbench.demo import catalogue, days, rows
from workbench.demo.draws import CELLS, Bools, Ints, chance
from workbench.demo.ledger import device_key, followed, resolved
from workbench.demo.people import APP, MINI_PROGRAM, PLATFORMS
from workbench.demo.rows import Part
from workbench.demo.sessions import Units
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.tables import Column, named
from workbench.demo.topics.base import Counted, Topic, World, write_lines
from workbench.demo.topics.buying import at_home, may_pay
from workbench.demo.topics.gala_carts import ATTACHED, MAIN_PRODUCT, REDUCTION, THRESHOLD, fill
from workbench.demo.visits import CARTED, NOTHING, PAID, Visits
from workbench.demo.waves import Wave

VENUE = rows.declare_event("venue_view", "venue")
FULL_REDUCTION = rows.declare(catalogue.COUPONS, "FULL300")
VENUES = ("main_hall", "coupon_hall")
_MAIN, _COUPON = range(len(VENUES))
BEFORE, WARM_UP, PEAK, ENCORE, AFTER = ((7, 14), (14, 19), (19, 22), (22, 24), (24, 31))
"""First day and the day after the last: the week before, 15, 20 and 23 March, the week from 25 March."""
_PHASES = (("warm_up", WARM_UP), ("peak", PEAK), ("encore", ENCORE))
_WEIGHT = ((WARM_UP, 110), (PEAK, 250), (ENCORE, 170))
_TARGET = {"warm_up": 100, "peak": 90, "encore": 125}
"""Per cent of what was sold: the peak passes its target, the encore misses it."""
BAND = 1_500
"""Fen on either side of the threshold."""
_IN_MAIN_HALL = np.array((CELLS * 88 // 100, CELLS * 15 // 100), dtype=np.int64)
_BUYS = np.array(
    ((CELLS * 10 // 100, CELLS * 66 // 100), (CELLS * 3 // 100, CELLS * 42 // 100)), dtype=np.int64
)
"""Of members' visits at the peak, by venue and platform; half as many at the encore."""
_LARGE = 200_000


class Campaign(Topic):
    """Ten days in March and the week after."""

    name: ClassVar[str] = "campaign"
    number: ClassVar[int] = 9
    columns: ClassVar[tuple[Column, ...]] = (named("venue", VENUES),)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._waits = np.zeros(world.people.count, dtype=np.bool_)
        self._venues = np.zeros((2, len(PLATFORMS), len(VENUES)), dtype=np.int64)
        self._attached = np.zeros(3, dtype=np.int64)
        self._bands = np.zeros(2, dtype=np.int64)
        self._added: list[tuple[Ints, Ints]] = []

    def weight(self, day: int) -> int:
        """More visits in every phase, most at the peak; the week after is as busy as usual."""
        return next((weight for span, weight in _WEIGHT if _in(day, span)), 100)

    def come(self, day: int, person: Ints, cells: Ints) -> Ints:
        """Who left a full cart in the warm-up comes back at the peak."""
        return np.where(self._waits[person], cells * 3, cells) if _in(day, PEAK) else cells

    def steer(self, visits: Visits) -> Visits:
        """Waiting in the warm-up, buying at the peak and at the encore, buying less in the week after."""
        word, goes = self.draw(visits.word, 0), visits.goes
        if _in(visits.day, WARM_UP):
            waits = (goes == PAID) & chance(word, 0, CELLS * 3 // 5)
            fills = (goes == NOTHING) & at_home(visits) & chance(word, 16, CELLS // 14)
            goes = np.where(waits | fills, CARTED, goes)
        elif _in(visits.day, AFTER):
            goes = np.where((goes == PAID) & chance(word, 0, CELLS * 3 // 4), NOTHING, goes)
        elif self._open(visits.day):
            venue = self._venue(visits)
            cells = _BUYS[venue, np.minimum(visits.platform, APP)] // (1 if _in(visits.day, PEAK) else 2)
            cells = cells + np.where(self._waits[visits.person], CELLS // 10, 0)
            goes = np.where(may_pay(self.world.people, visits) & chance(word, 0, cells), PAID, goes)
        return replace(visits, goes=goes)

    def choose(self, visits: Visits, units: Units) -> None:
        """The attached product, and a last line that brings an order just over the threshold."""
        if self._open(visits.day):
            fill(units, visits.goes == PAID, self.draw(visits.word, 1))

    def reduce(self, visits: Visits, total: Ints, coupon: Ints, discount: Ints) -> tuple[Ints, Ints]:
        """¥40 off from ¥300, instead of any other coupon."""
        if not self._open(visits.day):
            return coupon, discount
        full = total >= THRESHOLD
        return np.where(full, FULL_REDUCTION, coupon), np.where(full, REDUCTION, discount)

    def wave(self, wave: Wave) -> None:
        """Inserts the view of a venue behind the start; remembers who waits with a full cart."""
        if _in(wave.day, WARM_UP):
            waits = wave.part().does(rows.ADD) & ~wave.paid.is_paid
            self._waits[wave.visits.person[waits]] = True
        if not self._open(wave.day):
            return
        which = np.flatnonzero(at_home(wave.visits))
        delay = np.full(len(which), 900, dtype=np.int64)
        venue = self._venue(wave.visits)[which]
        wave.insert(wave.part().first[which], VENUE, delay, {"venue": venue})

    def note(self, part: Part) -> None:
        """Counts sessions by venue, orders at the threshold, sessions with the attached product."""
        out = part.rows
        seen = np.flatnonzero(out.event == VENUE)
        if len(seen):
            own = (out.platform[seen], out.column("venue")[seen])
            np.add.at(self._venues[0], own, 1)
            np.add.at(self._venues[1], own, part.does(rows.PAID)[part.session[seen]])
        on_sale = _between(out.ts, PEAK[0], ENCORE[1])
        paid = on_sale & (out.event == rows.PAID)
        total = (out.amount + out.discount)[paid]
        above = (total >= THRESHOLD) & (total < THRESHOLD + BAND)
        below = (total >= THRESHOLD - BAND) & (total < THRESHOLD)
        self._bands += (int(above.sum()), int(below.sum()))
        adds = out.event == rows.ADD
        warm = np.flatnonzero(adds & _between(out.ts, *WARM_UP))
        if len(warm):
            self._added.append((device_key(out, warm), out.ts[warm]))
        main = np.flatnonzero(adds & on_sale & (out.product == MAIN_PRODUCT))
        if len(main):
            self._note_attached(part, main, np.flatnonzero(adds & (out.product == ATTACHED)))

    def _note_attached(self, part: Part, main: Ints, attached: Ints) -> None:
        session, which = np.unique(part.session[main], return_index=True)
        earliest = np.full(len(part.first), len(part.rows), dtype=np.int64)
        earliest[session] = main[which]
        later = attached[attached > earliest[part.session[attached]]]
        both = np.unique(part.session[later])
        self._attached += (len(session), len(both), int(part.does(rows.PAID)[both].sum()))

    def _open(self, day: int) -> bool:
        return PEAK[0] <= day < ENCORE[1]

    def _venue(self, visits: Visits) -> Ints:
        cells = _IN_MAIN_HALL[np.minimum(visits.platform, APP)]
        return np.where(chance(self.draw(visits.word, 2), 0, cells), _MAIN, _COUPON)

    def _sold(self, counted: Counted) -> list[tuple[str, str, tuple[int, int], int, int]]:
        """By phase and metric: what was sold (orders; fen), and the target."""
        orders = counted.ledger.orders()
        out = []
        for phase, span in _PHASES:
            which = _between(orders.ts, *span)
            for metric, sold in (("orders", int(which.sum())), ("revenue", int(orders.amount[which].sum()))):
                out.append((phase, metric, span, sold, max(sold * _TARGET[phase] // 100, 1)))
        return out

    def write(self, folder: Path, counted: Counted) -> None:
        """``targets.csv``: orders and revenue (yuan) wanted of each phase."""
        lines = ["campaign,phase,from,to,metric,target"]
        for phase, metric, (first, end), _, target in self._sold(counted):
            wanted = f"{target}" if metric == "orders" else f"{target // 100}.{target % 100:02d}"
            lines.append(f"spring_gala,{phase},{days.name(first)},{days.name(end - 1)},{metric},{wanted}")
        write_lines(folder / "targets.csv", lines)

    def truths(self, counted: Counted) -> list[Truth]:
        """The gala day by day, against its targets, at its threshold, in its venues."""
        return [
            self._by_day(counted),
            self._targets(counted),
            self._came_back(counted),
            *self._threshold(),
            self._attach_rate(),
            *self._by_venue(),
        ]

    def _by_day(self, counted: Counted) -> Truth:
        day = (counted.ledger.orders().ts - days.midnight(0)) // days.MS_DAY
        orders = np.bincount(day, minlength=days.DAYS).tolist()
        return Truth(
            "campaign-days",
            "Orders by day from the week before the gala to the week after: few in the warm-up, a peak from 20 to "
            "22 March, an encore, and in the week after fewer than in the week before.",
            "workbench funnel --hold order_id --step order_paid --step refund --window 30d --trend day "
            f"--from {days.name(BEFORE[0])} --to {days.name(AFTER[1] - 1)}",
            expected=tuple(
                Expect({"period": days.name(d), "step": 1}, "users", orders[d])
                for d in range(BEFORE[0], AFTER[1])
            ),
            decoys=(
                Decoy(
                    "visits-after",
                    "The dip is no lack of visitors: the week after has as many sessions as the week before.",
                ),
            ),
            smallest=_LARGE,
        )

    def _targets(self, counted: Counted) -> Truth:
        expected: list[Expect] = []
        for phase, metric, _, sold, target in self._sold(counted):
            row = {"phase": phase, "metric": metric}
            scale = 1 if metric == "orders" else 100
            expected.append(Expect(row, "value", sold / scale))
            expected.append(Expect(row, "target", target / scale))
            expected.append(Expect(row, "attainment", sold / target))
        return Truth(
            "campaign-targets",
            "The peak passes its target by a tenth, the encore misses it by a fifth.",
            "workbench campaign --name spring_gala --targets targets.csv",
            expected=tuple(expected),
            tolerance=1e-9,
            decoys=(Decoy("warm-up", "The warm-up just meets its target.", row={"phase": "warm_up"}),),
            waits="report campaign",
        )

    def _came_back(self, counted: Counted) -> Truth:
        if self._added:
            key, ts = (np.concatenate(column) for column in zip(*self._added, strict=True))
        else:
            key = ts = np.zeros(0, dtype=np.int64)
        person = resolved(key, counted.logged)
        orders = counted.ledger.orders()
        bought = followed(person, ts, orders.person * 4, orders.ts, 8 * days.MS_DAY)
        return Truth(
            "campaign-carts-come-back",
            "People who fill a cart in the warm-up, and those of them who have bought eight days later.",
            "workbench funnel --step add_to_cart --step order_paid --window 8d "
            f"--from {days.name(WARM_UP[0])} --to {days.name(WARM_UP[1] - 1)}",
            expected=(
                Expect({"step": 1}, "users", len(np.unique(person))),
                Expect({"step": 2}, "users", len(np.unique(orders.person[bought]))),
            ),
            smallest=_LARGE,
        )

    def _threshold(self) -> list[Truth]:
        def orders(name: str, low: int, high: int, count: int, sentence: str) -> Truth:
            return Truth(
                f"campaign-threshold-{name}",
                sentence,
                f"workbench events --where \"event = 'order_paid' AND amount + discount >= {low // 100} "
                f'AND amount + discount < {high // 100}" '
                f"--from {days.name(PEAK[0])} --to {days.name(ENCORE[1] - 1)}",
                expected=(Expect({}, "events", count),),
                decoys=(
                    Decoy("other-days", "On other days orders fall off smoothly from ¥285 to ¥315."),
                    Decoy("at-400", "At ¥400, where nothing is taken off, there is no edge."),
                ),
                smallest=_LARGE,
            )

        above, below = self._bands.tolist()
        edge = THRESHOLD
        return [
            orders(
                "above", edge, edge + BAND, above, "Orders of the gala crowd from ¥300 on, before reduction."
            ),
            orders("below", edge - BAND, edge, below, "Just below ¥300 there are hardly any."),
        ]

    def _attach_rate(self) -> Truth:
        return Truth(
            "campaign-attach-rate",
            f"Carts of the gala with p{MAIN_PRODUCT:04d}, those that p{ATTACHED:04d} is added to as well, and the "
            "orders of these.",
            f"workbench funnel --hold session_id --step \"add_to_cart: product_id = 'p{MAIN_PRODUCT:04d}'\" "
            f"--step \"add_to_cart: product_id = 'p{ATTACHED:04d}'\" --step order_paid --window 1d "
            f"--from {days.name(PEAK[0])} --to {days.name(ENCORE[1] - 1)}",
            expected=tuple(
                Expect({"step": n}, "users", count)
                for n, count in enumerate(self._attached.tolist(), start=1)
            ),
            decoys=(Decoy("best-seller", "The best-seller p0000 is hardly ever added to them."),),
            smallest=_LARGE,
        )

    def _by_venue(self) -> list[Truth]:
        def truth(name: str, sentence: str, platforms: list[int], where: str) -> Truth:
            seen, bought = self._venues[:, platforms].sum(axis=1).tolist()
            return Truth(
                name,
                sentence,
                "workbench funnel --hold session_id --step venue_view --step order_paid --window 1d --by venue"
                + where,
                expected=tuple(
                    Expect({"breakdown": venue, "step": step}, "users", counts[code])
                    for code, venue in enumerate(VENUES)
                    for step, counts in ((1, seen), (2, bought))
                ),
                decoys=()
                if where
                else (
                    Decoy(
                        "better-hall", "coupon_hall is not the better one.", row={"breakdown": "coupon_hall"}
                    ),
                ),
                smallest=_LARGE,
            )

        return [
            truth(
                "campaign-venues",
                "On both platforms together sessions in the coupon hall buy more often than in the main hall …",
                [MINI_PROGRAM, APP],
                "",
            ),
            *(
                truth(
                    f"campaign-venues-{PLATFORMS[code].replace('_', '-')}",
                    f"… and on {PLATFORMS[code]} the main hall does better: it mostly stands in the mini program, "
                    "where people buy less.",
                    [code],
                    f" --where \"platform = '{PLATFORMS[code]}'\"",
                )
                for code in (MINI_PROGRAM, APP)
            ),
        ]


def _in(day: int, span: tuple[int, int]) -> bool:
    return span[0] <= day < span[1]


def _between(ts: Ints, first: int, end: int) -> Bools:
    """Times from the midnight a day begins with to the midnight before another."""
    return np.asarray((ts >= days.midnight(first)) & (ts < days.midnight(end)), dtype=np.bool_)
