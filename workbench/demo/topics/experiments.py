"""Three experiments: a coupon that lifts orders by four points, an A/A, and one that loses people of one arm.

``coupon_holdout`` shows half of the people a coupon and withholds it from the others. ``checkout_aa`` shows both
arms the same. ``checkout_v2`` changes nothing either, but many of its new arm's visits that would not buy are
not logged (they crash first): the arms are unequal, and the new one seems to sell more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from workbench.demo import catalogue, days, rows
from workbench.demo.draws import CELLS, Bools, Ints, chance
from workbench.demo.ledger import Orders
from workbench.demo.people import BROKEN_VERSION
from workbench.demo.rows import Part
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.tables import Column, named
from workbench.demo.topics.base import Counted, Topic, World
from workbench.demo.topics.buying import at_home, may_pay
from workbench.demo.visits import NOTHING, PAID, Visits
from workbench.demo.waves import Wave

EXPOSURE = rows.declare_event("experiment_exposure", None)
CARE = rows.declare(catalogue.COUPONS, "CARE15")
_CARE_OFF = 1_500
"""Fen, half of the order at most."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """Two arms, each with half of the people it is open to."""

    name: str
    arms: tuple[str, str]
    open_to: int
    """Of 65536 people."""
    sentence: str


EXPERIMENTS = (
    Experiment(
        "coupon_holdout",
        ("holdout", "coupon"),
        CELLS,
        "Of those who are shown the coupon four in a hundred more order within a day than of those held out.",
    ),
    Experiment("checkout_aa", ("a", "b"), CELLS // 2, "An A/A: both arms are the same, and order alike."),
    Experiment(
        "checkout_v2",
        ("old", "new"),
        CELLS // 2,
        "The new arm should have half of the people and has far fewer: whatever it seems to sell more is worth "
        "nothing.",
    ),
)
_HOLDOUT, _AA, _MISMATCH = range(len(EXPERIMENTS))
ARMS = tuple(arm for experiment in EXPERIMENTS for arm in experiment.arms)
FROM, UNTIL = 34, 76
"""4 April to 15 May."""
_LIFT = CELLS * 4 // 100
_MEMBERS = 55
"""Per cent of people who may be led to buy at all; see ``people.crowd``."""
_LOST = CELLS * 2 // 5
_LARGE = 200_000


class Experiments(Topic):
    """The first fit visit in six weeks exposes a person, once to each experiment it is open to."""

    name: ClassVar[str] = "experiments"
    number: ClassVar[int] = 13
    columns: ClassVar[tuple[Column, ...]] = (
        named("experiment", tuple(experiment.name for experiment in EXPERIMENTS)),
        named("variant", ARMS),
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        shape = (len(EXPERIMENTS), world.people.count)
        self._exposed = np.full(shape, -1, dtype=np.int64)
        """When, UTC ms."""
        self._device = np.zeros(shape, dtype=np.int8)
        word = world.people.word
        self._open = np.stack([chance(self.draw(word, n), 0, e.open_to) for n, e in enumerate(EXPERIMENTS)])
        self._arm = np.stack([chance(self.draw(word, n), 16, CELLS // 2) for n in range(len(EXPERIMENTS))])
        self._missed = np.zeros(world.people.count, dtype=np.bool_)
        """Whose first fit visit was not logged."""
        self._bought = np.zeros(world.people.count, dtype=np.bool_)
        """Who was exposed to the coupon or held out, and ordered within a day."""
        self._day, self._led = -1, _LIFT

    def come(self, day: int, person: Ints, cells: Ints) -> Ints:
        """Nobody comes otherwise; but each day begins with how far the lift is from four points."""
        if day != self._day:
            self._day, self._led = day, self._needed(day)
        return cells

    def _needed(self, day: int) -> int:
        """Of how many in 65536 the coupon must make buyers today, for the lift to come back to four points."""
        seen = self._exposed[_HOLDOUT] >= 0
        rates = []
        for arm in (self._arm[_HOLDOUT], ~self._arm[_HOLDOUT]):
            exposed = int((seen & arm).sum())
            rates.append(int((self._bought & arm).sum()) * CELLS // max(exposed, 1))
        short = _LIFT - (rates[0] - rates[1])
        return min(max(_LIFT + short * max(day - FROM, 0) // 2, 0), CELLS // 2)

    def _fit(self, visits: Visits) -> Bools:
        if not FROM <= visits.day < UNTIL:
            return np.zeros(len(visits.person), dtype=np.bool_)
        own = at_home(visits) & (visits.version != BROKEN_VERSION)
        return np.asarray(own & ~self.world.people.family[visits.person], dtype=np.bool_)

    def _new(self, visits: Visits, number: int) -> Bools:
        """Visits that expose their person to an experiment, logged or not."""
        person = visits.person
        own = self._fit(visits) & self._open[number, person] & (self._exposed[number, person] < 0)
        return np.asarray(own & ~self._missed[person] if number == _MISMATCH else own, dtype=np.bool_)

    def _shown_coupon(self, visits: Visits) -> Bools:
        return np.asarray(self._new(visits, _HOLDOUT) & self._arm[_HOLDOUT, visits.person], dtype=np.bool_)

    def steer(self, visits: Visits) -> Visits:
        """The coupon makes some buy who would not."""
        led = self._shown_coupon(visits) & may_pay(self.world.people, visits)
        led &= chance(self.draw(visits.word, 10), 0, self._led * 100 // _MEMBERS)
        return replace(visits, goes=np.where(led, PAID, visits.goes))

    def reduce(self, visits: Visits, total: Ints, coupon: Ints, discount: Ints) -> tuple[Ints, Ints]:
        """It takes ¥15 off, where no other coupon does."""
        shown = self._shown_coupon(visits) & (coupon < 0) & (total > 0)
        off = np.minimum(_CARE_OFF, total // 2)
        return np.where(shown, CARE, coupon), np.where(shown, off, discount)

    def wave(self, wave: Wave) -> None:
        """Inserts exposures behind the start, and forgets some of one arm."""
        visits = wave.visits
        if not FROM <= visits.day < UNTIL:
            return
        sessions: list[Ints] = []
        for each in range(len(EXPERIMENTS)):
            new = self._new(visits, each)
            if each == _MISMATCH:
                lost = new & self._arm[each, visits.person] & (visits.goes == NOTHING)
                lost &= chance(self.draw(visits.word, 11), 0, _LOST)
                self._missed[visits.person[lost]] = True
                new &= ~lost
            sessions.append(np.flatnonzero(new))
        at = np.concatenate(sessions)
        number = np.repeat(np.arange(len(sessions)), [len(one) for one in sessions])
        order = np.argsort(at, kind="stable")
        at, number = at[order], number[order]
        arm = number * 2 + self._arm[number, visits.person[at]]
        first = wave.part().first
        wave.insert(first[at], EXPOSURE, np.full(len(at), 150), {"experiment": number, "variant": arm})
        self._remember(wave.part())

    def _remember(self, part: Part) -> None:
        which = np.flatnonzero(part.rows.event == EXPOSURE)
        own = (part.rows.column("experiment")[which], part.rows.person[which])
        self._exposed[own] = part.rows.ts[which]
        self._device[own] = part.rows.device[which] & 1

    def note(self, part: Part) -> None:
        """Remembers who ordered within a day of the first experiment."""
        paid = np.flatnonzero(part.rows.event == rows.PAID)
        paid = paid[part.rows.person[paid] < len(self._bought)]
        person = part.rows.person[paid]
        since = self._exposed[_HOLDOUT, person]
        soon = (since >= 0) & (part.rows.ts[paid] > since) & (part.rows.ts[paid] - since <= days.MS_DAY)
        self._bought[person[soon]] = True

    def truths(self, counted: Counted) -> list[Truth]:
        """Who was exposed to what, and ordered within a day."""
        orders = counted.ledger.orders()
        return [
            Truth(
                f"experiment-{experiment.name.replace('_', '-')}",
                experiment.sentence,
                f"workbench funnel --step \"experiment_exposure: experiment = '{experiment.name}'\" "
                "--step order_paid --window 1d --by variant",
                expected=self._by_arm(number, orders, counted),
                decoys=_DECOYS[number],
                smallest=_LARGE,
            )
            for number, experiment in enumerate(EXPERIMENTS)
        ]

    def _by_arm(self, number: int, orders: Orders, counted: Counted) -> tuple[Expect, ...]:
        exposed = self._exposed[number]
        crowd = orders.person < len(exposed)
        person, ts = orders.person[crowd], orders.ts[crowd]
        since = exposed[person]
        soon = (since >= 0) & (ts > since) & (ts - since <= days.MS_DAY)
        # Who never logs in on the device of the exposure is another person there.
        soon &= counted.logged[person * 2 + self._device[number, person]]
        buyers = np.zeros(len(exposed), dtype=np.bool_)
        buyers[person[soon]] = True
        return tuple(
            Expect({"breakdown": name, "step": step}, "users", int((which & own).sum()))
            for name, own in zip(
                EXPERIMENTS[number].arms, (~self._arm[number], self._arm[number]), strict=True
            )
            for step, which in ((1, exposed >= 0), (2, buyers))
        )


_DECOYS: tuple[tuple[Decoy, ...], ...] = (
    (Decoy("alike", "The arms are of one size: no mismatch here."),),
    (Decoy("winner", "Neither arm wins: what differs is chance.", row={"breakdown": "b"}),),
    (
        Decoy(
            "lift", "The new arm's higher rate is no lift: its losers are missing.", row={"breakdown": "new"}
        ),
    ),
)
