"""Untagged traffic: for two weeks a link in the group lost its tags, and its visits came without a channel."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import numpy as np

from workbench.demo import days, rows, traffic
from workbench.demo.draws import CELLS, chance
from workbench.demo.rows import Part
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.topics.base import Counted, Topic, World
from workbench.demo.waves import Wave

FIRST, LAST = 40, 53
"""The days, both included; before and after them nothing is untagged."""
_GROUP = traffic.CHANNEL_CODE["weixin_group"]


class Untagged(Topic):
    """The group's visits of those days, but for families' and a few by an older link."""

    name: ClassVar[str] = "untagged"
    number: ClassVar[int] = 20

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._counts = np.zeros((2, 3), dtype=np.int64)
        """Untagged, and still tagged as the group's on those days: sessions, those with an order, orders."""

    def wave(self, wave: Wave) -> None:
        """Takes the channel off whole sessions."""
        if not FIRST <= wave.day <= LAST:
            return
        visits = wave.visits
        lost = (visits.channel == _GROUP) & ~self.world.people.family[visits.person]
        lost &= chance(self.draw(visits.word, 0), 0, CELLS * 9 // 10)
        wave.rows.channel = np.where(lost[wave.part().session], -1, wave.rows.channel)

    def note(self, part: Part) -> None:
        """Counts sessions without a channel, and the group's of the same days."""
        if not len(part.first):
            return
        out = part.rows
        when = (out.ts[part.first] - days.midnight(0)) // days.MS_DAY
        on_time = (when >= FIRST) & (when <= LAST)
        pays = part.does(rows.PAID)
        channel = out.channel[part.first]
        for row, which in enumerate((channel < 0, (channel == _GROUP) & on_time)):
            self._counts[row, :2] += (int(which.sum()), int((which & pays).sum()))

    def truths(self, counted: Counted) -> list[Truth]:
        """Sessions and orders nobody can be thanked for."""
        start, last = (days.FIRST + timedelta(days=day) for day in (FIRST, LAST))
        return [
            Truth(
                "untagged",
                f"From {start} to {last} visits come without a channel: a link in the group lost its tags.",
                'workbench events --where "channel IS NULL AND session_id IS NOT NULL"',
                expected=(
                    Expect({"event": "session_start"}, "events", int(self._counts[0, 0])),
                    Expect({"event": "order_paid"}, "events", int(self._counts[0, 1])),
                ),
                decoys=(
                    Decoy(
                        "back-office",
                        "Refunds and other events outside sessions have no channel either, and lost none.",
                    ),
                ),
            ),
            Truth(
                "untagged-group",
                "On the same days the group seems to have dried up.",
                f"workbench events --from {start} --to {last} --where \"channel = 'weixin_group'\"",
                expected=(Expect({"event": "session_start"}, "events", int(self._counts[1, 0])),),
                decoys=(Decoy("direct", "Direct visits go on as before.", row={"breakdown": "direct"}),),
            ),
        ]
