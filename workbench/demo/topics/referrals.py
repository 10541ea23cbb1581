"""What opened links come to: who brought whom, how deep it goes, what it earns, and who cheats."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from workbench.demo import days
from workbench.demo.draws import Bools, Ints
from workbench.demo.ledger import resolved
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.topics.base import Counted, names_of

BEST, SELLER, THIRD, SHORT, FRIEND = range(5)
_KOC = ("花花的衣橱", "阿宁试物", "小满日常", "大米探店")
"""The paid ones, in that order."""
_FEE = (12_000, 8_000, 5_000, 9_000)
"""Yuan, for the whole time."""


@dataclass(frozen=True, slots=True)
class Referrals:
    """Every opened link, an entry each, and who was planted."""

    key: Ints
    """Who opened it, as ``2·person + device``."""
    referrer: Ints
    """Whose link it is."""
    new: Bools
    """Opened on a first visit: whoever it is was brought by it."""
    ts: Ints
    star: Ints
    """The five recruiters."""
    chain: Ints
    ring: Ints
    own: Ints

    def brought(self) -> Ints:
        """How many new people each of the five brought."""
        by = self.referrer[self.new]
        return np.bincount(by - self.star[0], minlength=len(self.star))[: len(self.star)].astype(np.int64)

    def _targets(self) -> list[int]:
        """New people each of the paid ones was to bring: all but one did."""
        return [
            max(count * 2 if star == SHORT else count * 3 // 4, 1)
            for star, count in enumerate(self.brought()[:FRIEND].tolist())
        ]

    def contracts(self) -> list[str]:
        """The lines of ``koc.csv``."""
        lines = ["user_id,name,fee,target_new_users"]
        for star, target in enumerate(self._targets()):
            lines.append(f"{self._name(star)},{_KOC[star]},{_FEE[star]},{target}")
        return lines

    def _name(self, star: int) -> str:
        return names_of(self.star[star : star + 1])[0]

    def truths(self, counted: Counted) -> list[Truth]:
        """Who recruits, who sells, how deep it goes, who falls short and who cheats."""
        circles = Decoy(
            "chain",
            "A chain of customers who open each other's links is not closed.",
            ids=names_of(self.chain),
        )
        return [
            self._few(),
            self._sellers(counted),
            Truth(
                "self-referrals",
                "Some people open their own link.",
                'workbench funnel --step "share_open: referrer_user_id = user_id" --users reached:1',
                ids=names_of(self.own),
                decoys=(
                    Decoy("ring", "Rings open each other's links, not their own.", ids=names_of(self.ring)),
                ),
            ),
            Truth(
                "referral-rings",
                "Rings of three open each other's links in a circle.",
                "workbench referrals --users rings",
                ids=names_of(self.ring),
                decoys=(circles,),
                waits="report referrals",
            ),
            self._tree(),
            self._koc(),
        ]

    def _few(self) -> Truth:
        brought = self.brought().tolist()
        return Truth(
            "few-recruiters",
            "Four people bring most of the new people who come by a link.",
            "workbench funnel --step session_start --step share_open --entry first --window 30m "
            "--by referrer_user_id --at step:2",
            expected=(
                Expect({"step": 2}, "users", int(self.new.sum())),
                *(
                    Expect({"breakdown": self._name(star), "step": 2}, "users", brought[star])
                    for star in range(FRIEND)
                ),
            ),
            decoys=(
                Decoy(
                    "old-friends",
                    "Most openings are of one more person's links, by customers: nobody new comes by them.",
                    row={"breakdown": self._name(FRIEND)},
                ),
            ),
        )

    def _sellers(self, counted: Counted) -> Truth:
        person, referrer, ts = resolved(self.key, counted.logged), self.referrer, self.ts
        orders = counted.ledger.orders().by_person()
        expected: list[Expect] = []
        for star in (BEST, SELLER, THIRD):
            own = referrer == self.star[star]
            bought = np.unique(person[own][_buys_within(orders.person, orders.ts, person[own], ts[own])])
            row = self._name(star)
            expected.append(Expect({"breakdown": row, "step": 1}, "users", len(np.unique(person[own]))))
            expected.append(Expect({"breakdown": row, "step": 2}, "users", len(bought)))
        return Truth(
            "recruiters-are-not-sellers",
            "The best recruiter's people hardly buy; the second brings fewer, who do.",
            "workbench funnel --step share_open --step order_paid --window 30d --by referrer_user_id",
            expected=tuple(expected),
            decoys=(
                Decoy(
                    "third",
                    "The third brings about as many as the seller, who buy as others do.",
                    row={"breakdown": self._name(THIRD)},
                ),
            ),
        )

    def _tree(self) -> Truth:
        key, referrer, new = self.key, self.referrer, self.new
        generation = _generations(key[new] >> 1, referrer[new])
        size = np.bincount(generation)[1:].tolist()
        expected = [Expect({}, "depth", len(size)), Expect({}, "new_users", sum(size))]
        expected += [Expect({}, "recruiters", len(np.unique(referrer[new])))]
        expected += [Expect({"generation": n + 1}, "people", count) for n, count in enumerate(size)]
        expected += [Expect({"generation": n + 1}, "k", b / a) for n, (a, b) in enumerate(pairwise(size))]
        return Truth(
            "referral-tree",
            "New people bring new people, four generations deep; k of a generation is how many each of it "
            "brings.",
            "workbench referrals",
            expected=tuple(expected),
            tolerance=1e-9,
            decoys=(
                Decoy(
                    "longer-chain",
                    "Below each tree two customers open links too, so the chain of links has six; they are not "
                    "new.",
                    ids=names_of(self.chain),
                ),
            ),
            waits="report referrals",
        )

    def _koc(self) -> Truth:
        brought, targets = self.brought().tolist(), self._targets()
        return Truth(
            "koc-below-target",
            f"{_KOC[SHORT]} was paid {_FEE[SHORT]} yuan and brought half of the new people agreed on.",
            "workbench referrals --targets koc.csv",
            expected=tuple(
                Expect({"referrer": self._name(star)}, key, value)
                for star in range(FRIEND)
                for key, value in (
                    ("new_users", brought[star]),
                    ("target", targets[star]),
                    ("cost_per_new_user", _FEE[star] / brought[star] if brought[star] else None),
                )
            ),
            tolerance=1e-9,
            decoys=(
                Decoy(
                    "third",
                    f"{_KOC[THIRD]} brings hardly more, for less, and has reached the target.",
                    row={"referrer": self._name(THIRD)},
                ),
            ),
            waits="report referrals",
        )


def _generations(child: Ints, referrer: Ints) -> Ints:
    """Of each new person: 1 for those whose referrer was brought by nobody, one more at each step down."""
    order = np.argsort(child)
    at = np.minimum(np.searchsorted(child[order], referrer), len(child) - 1)
    parent = order[at]
    brought = child[parent] == referrer
    generation = np.ones(len(child), dtype=np.int64)
    while True:
        lower = np.where(brought, generation[parent] + 1, 1)
        if (lower == generation).all():
            return generation
        generation = lower


def _buys_within(buyer: Ints, paid: Ints, person: Ints, ts: Ints) -> Bools:
    """Whether resolved people pay an order within thirty days after a moment each; orders by person and time."""
    base, span = days.midnight(0), days.DAYS * days.MS_DAY
    sought = person * span + (ts - base)
    orders = np.append(buyer * 4 * span + (paid - base), np.iinfo(np.int64).max)
    following = orders[np.searchsorted(orders, sought, side="left")]
    return np.asarray(
        (following // span == person) & (following - sought <= 30 * days.MS_DAY), dtype=np.bool_
    )
