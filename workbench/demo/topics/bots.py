"""A bot channel: machines that walk through the catalogue, faster than any thumb, and never buy."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workbench.demo import catalogue, days, rows, traffic
from workbench.demo.draws import Ints, below, derived, within
from workbench.demo.people import CITIES, WEB
from workbench.demo.rows import Lines, Rows
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.tables import device_ids
from workbench.demo.topics.base import Actors, Counted, Topic

_CHANNEL = traffic.CHANNEL_CODE["price_compare"]
_VIEWS = 10
_EVERY = 3
"""Days from one walk of a machine to the next."""
_STEP = 400
"""Milliseconds between two views; a person takes 800 at the least."""
_SOUGHT = 8
"""Views of the truth: seven steps of a machine last less than four seconds, of a person more than five."""


class Bots(Topic):
    """One machine in twenty thousand events, three at least but in the smallest shops."""

    name: ClassVar[str] = "bots"
    number: ClassVar[int] = 21
    machine: Ints

    def actors(self, first: int) -> Actors:
        """Machines in web browsers; none logs in."""
        self._word = self.stream(max(self.world.events // 20_000, min(self.world.events // 5_000, 3)))
        actors = Actors.of(first, len(self._word), platform=WEB, logged=0)
        self.machine = actors.person
        self._city = below(self.draw(self._word, 0), 0, len(CITIES))
        return actors

    def planted(self, day: int) -> list[tuple[Rows, Lines]]:
        """The walks of a day: at night, product after product."""
        index = np.arange(len(self.machine), dtype=np.int64)
        index = index[index % _EVERY == day % _EVERY]
        if not len(index):
            return []
        origin, place = within(np.full(len(index), 1 + _VIEWS, dtype=np.int64))
        walk = day // _EVERY
        word = derived(self.draw(self._word[index], 1), day)
        start = days.midnight(day) + 3 * 3_600_000 + below(word, 0, 2 * 3_600_000)
        jitter = below(derived(word[origin], place), 0, 100)
        product = (index[origin] * 337 + walk * _VIEWS + place - 1) % catalogue.PRODUCTS
        product = np.where(place == 0, -1, product)
        person = self.machine[index][origin]
        out = rows.blank(
            len(origin),
            {
                "ts": start[origin] + place * _STEP + jitter,
                "event": np.where(place == 0, rows.START, rows.VIEW),
                "person": person, "device": person * 2, "session": walk, "place": place, "channel": _CHANNEL,
                "platform": WEB, "city": self._city[index][origin], "product": product,
                "category": np.where(place == 0, -1, catalogue.category_of(product)),
                "price": np.where(place == 0, -1, catalogue.PRICE[product]),
            },
        )  # fmt: skip
        return [(out, rows.no_lines())]

    def truths(self, counted: Counted) -> list[Truth]:
        """Which devices they are, and that their channel brings nothing else."""
        views = " ".join(["--step product_view"] * _SOUGHT)
        machines = tuple(sorted(str(one) for one in device_ids(self.machine * 2).to_pylist()))
        return [
            Truth(
                "bots",
                "Devices look at eight products within five seconds, night after night: nobody's thumb does.",
                f"workbench funnel {views} --window 5s --users converted",
                ids=machines,
                decoys=(Decoy("bounces", "Visits of feed_ads are as short, and are people's."),),
            ),
            Truth(
                "bot-channel",
                "Whoever comes by price_compare only looks at products: no home page, no search, no cart.",
                "workbench funnel --step \"session_start: channel = 'price_compare'\" "
                '--step "home_view|list_view|search|add_to_cart|login" --window none',
                expected=(
                    Expect({"step": 1}, "users", len(machines)),
                    Expect({"step": 2}, "users", 0),
                ),
            ),
        ]
