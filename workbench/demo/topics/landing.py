"""Landing pages of bought clicks: a bad one that people leave at once, and a golden one that sells.

Bought clicks of ``paid_search`` and ``affiliate`` land on one of four pages. ``lucky-draw`` gets the most visits
and almost all of them end there; ``classics`` gets few and turns many into orders. ``new-user`` (the decoy) is
visited more than ``classics``, and neither bad nor golden.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from workbench.demo import rows, traffic
from workbench.demo.draws import CELLS, Ints, chance, picked, table
from workbench.demo.ledger import Marks, device_key
from workbench.demo.rows import Part
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.tables import Column, named
from workbench.demo.topics.base import Counted, Topic, World
from workbench.demo.visits import NOTHING, PAID, Visits
from workbench.demo.waves import Wave

PAGES = ("lucky-draw", "new-user", "spring", "classics")
_BAD, _USUAL, _SPRING, _GOLDEN = range(len(PAGES))
_PAGE = table((40, 25, 15, 20))
_CHANNELS = tuple(traffic.CHANNEL_CODE[name] for name in ("paid_search", "affiliate"))
_BROWSING = (rows.HOME, rows.LIST, rows.SEARCH, rows.VIEW)
_WINDOW = 30 * 60_000
"""Shorter than what lies between two sessions of a person."""
_LANDED, _BROWSED, _BOUGHT = range(0, 3 * len(PAGES), len(PAGES))
"""First of the marks of each kind; plus the page."""


class Landing(Topic):
    """Where bought clicks land; families' devices are left alone, as they share their first moment."""

    name: ClassVar[str] = "landing"
    number: ClassVar[int] = 19
    columns: ClassVar[tuple[Column, ...]] = (named("landing_page", PAGES),)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._marks = Marks()

    def _page(self, visits: Visits) -> Ints:
        """The landing page of each visit, −1 for none."""
        bought = np.isin(visits.channel, _CHANNELS) & ~self.world.people.family[visits.person]
        return np.where(bought, picked(_PAGE, self.draw(visits.word, 0), 0), -1)

    def steer(self, visits: Visits) -> Visits:
        """The bad page ends visits, the golden one sells to members of the shop."""
        page, word = self._page(visits), self.draw(visits.word, 1)
        bad = (page == _BAD) & chance(word, 0, CELLS * 9 // 10)
        member = self.world.people.member[visits.person]
        golden = (page == _GOLDEN) & member & (visits.goes == NOTHING) & chance(word, 16, CELLS // 2)
        return replace(
            visits,
            goes=np.where(bad, NOTHING, np.where(golden, PAID, visits.goes)),
            signs_in=visits.signs_in & ~bad,
            gone=visits.gone | bad,
        )

    def wave(self, wave: Wave) -> None:
        """Every event of a session carries the page it began on."""
        session = wave.part().session
        wave.rows.column("landing_page")[:] = self._page(wave.visits)[session]

    def note(self, part: Part) -> None:
        """Marks who landed where, who went on from there, and who bought in the visit."""
        page = part.rows.extra.get("landing_page")
        if page is None or not len(part.first):
            return
        page = page[part.first]
        start, event = part.rows.place == 0, part.rows.event
        browses = part.follows(start, np.isin(event, _BROWSING), _WINDOW)
        buys = part.follows(start, event == rows.PAID, _WINDOW)
        for kind, which in ((_LANDED, True), (_BROWSED, browses), (_BOUGHT, buys)):
            of = (page >= 0) & which
            self._marks.add(device_key(part.rows, part.first[of]), kind + page[of])

    def truths(self, counted: Counted) -> list[Truth]:
        """Who goes on from each page, and who buys."""

        def expect(second: int) -> tuple[Expect, ...]:
            return tuple(
                Expect(
                    {"breakdown": name, "step": step}, "users", self._marks.count(kind + page, counted.logged)
                )
                for page, name in enumerate(PAGES)
                for step, kind in ((1, _LANDED), (2, second))
            )

        rule = "--window 30m --hold landing_page --by landing_page"
        usual = Decoy(
            "new-user",
            "new-user is visited as much, and people neither leave it at once nor buy often.",
            row={"breakdown": "new-user"},
        )
        return [
            Truth(
                "bad-landing-page",
                "Most people who land on lucky-draw, the page with the most visits, do nothing there.",
                'workbench funnel --step session_start --step "home_view|list_view|search|product_view" '
                + rule,
                expected=expect(_BROWSED),
                decoys=(usual,),
            ),
            Truth(
                "golden-landing-page",
                "classics turns far more of its visitors into buyers than any other landing page.",
                f"workbench funnel --step session_start --step order_paid {rule}",
                expected=expect(_BOUGHT),
                decoys=(usual,),
            ),
        ]
