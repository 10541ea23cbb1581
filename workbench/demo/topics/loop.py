"""People who go round and round between home and an empty list, and those who only seem to.

The lost ones open the list of appliances, which stays empty for them, go back to the home page, and try again
six times, one straight after the other. The strolling ones (a decoy) go to home and list as often, and look at
something each time.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workbench.demo import catalogue, rows, scripts, traffic
from workbench.demo.draws import Ints, below
from workbench.demo.ledger import Marks, device_key
from workbench.demo.people import CITIES, WEB
from workbench.demo.rows import Lines, Part, Rows
from workbench.demo.scripts import Cast, Moment
from workbench.demo.statements import Decoy, Truth
from workbench.demo.topics.base import Actors, Counted, Topic, World, names_of_resolved

_ROUNDS = 6
_SOUGHT = 5
"""Rounds of the truth: so many that nobody of the crowd goes round so often by chance."""
_NOON = 12 * 3600
_APPLIANCES = catalogue.CATEGORIES.index("家电")


class Loop(Topic):
    """One lost person in ten thousand events, five at least, and as many who stroll."""

    name: ClassVar[str] = "loop"
    number: ClassVar[int] = 17
    lost: Ints
    strolling: Ints

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._marks = Marks()

    def actors(self, first: int) -> Actors:
        """The lost, then the strolling; nobody logs in."""
        count = min(max(self.world.events // 10_000, 5), 2_000)
        word = self.stream(2 * count)
        actors = Actors.of(first, 2 * count, platform=WEB, logged=0)
        self.lost, self.strolling = actors.person[:count], actors.person[count:]
        shelf = below(self.draw(word, 0), 0, catalogue.PER_CATEGORY)
        cast = Cast(
            person=actors.person,
            word=word,
            day=below(self.draw(word, 1), 0, 90),
            product=(shelf * len(catalogue.CATEGORIES) + _APPLIANCES)[:, None],
            channel=np.full(len(word), traffic.DIRECT, dtype=np.int64),
            city=below(self.draw(word, 2), 0, len(CITIES)),
            platform=WEB,
        )
        lost = np.arange(len(word)) < count
        self._staged = scripts.staged(
            [
                scripts.play(_rounds(stroll=False), cast.only(lost)),
                scripts.play(_rounds(stroll=True), cast.only(~lost)),
            ]
        )
        return actors

    def planted(self, day: int) -> list[tuple[Rows, Lines]]:
        """Their sessions."""
        return [self._staged.of(day)]

    def note(self, part: Part) -> None:
        """Marks who goes round often enough, event after event; a session's start ends a round."""
        out = part.rows
        at = np.flatnonzero(out.event == rows.HOME)
        at = at[at + 2 * _SOUGHT <= len(out)]
        for step in range(1, 2 * _SOUGHT):
            at = at[out.event[at + step] == (rows.HOME, rows.LIST)[step % 2]]
        self._marks.add(device_key(out, at), 0)

    def truths(self, counted: Counted) -> list[Truth]:
        """Who goes round."""
        steps = " ".join(["--step home_view --step list_view"] * _SOUGHT)
        return [
            Truth(
                "loop",
                "People open an empty list, go back home, and try again, five times and more in a row.",
                f"workbench funnel --order strict {steps} --window 30m --users converted",
                ids=names_of_resolved(self._marks.people(0, counted.logged)),
                decoys=(
                    Decoy(
                        "strolling",
                        "As many homes and lists, but each time a product is looked at.",
                        ids=names_of_resolved(self.strolling * 4 + 1),
                    ),
                ),
            )
        ]


def _rounds(stroll: bool) -> tuple[Moment, ...]:
    moments = [Moment(0, _NOON, 20, rows.START)]
    for number in range(_ROUNDS):
        at = _NOON + 60 + 120 * number
        moments.append(Moment(0, at, 15, rows.HOME))
        moments.append(Moment(0, at + 20, 15, rows.LIST, 0))
        if stroll:
            moments.append(Moment(0, at + 40, 15, rows.VIEW, 0))
    return tuple(moments)
