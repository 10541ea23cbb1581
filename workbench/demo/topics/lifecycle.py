"""Lifecycle: a city that has left, one that only paused, night people, and a table of profiles.

From 16 April on nobody of the crowd comes from 青岛 any more; 宁波 (the decoy) stays away for two weeks and
returns. Night people come from half past ten in the evening on; evening people (the decoy) come at eight or nine.
``profiles.parquet`` has age, city and level of all who ever logged in, for tags of four kinds: what people are
(age, city), how much they are worth (level, by what they spent), when they come (at night, younger ones), and what
they like (see ``regulars``: whether they wait for coupons).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from workbench.demo import days, rows, tables
from workbench.demo.draws import CELLS, Bools, Ints, Words, below, bits, lomax
from workbench.demo.ledger import Marks, device_key
from workbench.demo.people import CITIES
from workbench.demo.rows import Part
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.topics.base import Counted, Topic, World, names_of
from workbench.demo.visits import Visits

_NAMES = [name for name, _, _ in CITIES]
LEFT, PAUSED, USUAL = (_NAMES.index(name) for name in ("青岛", "宁波", "佛山"))
GONE_FROM = 46
"""16 April."""
_BACK_FROM = 61
"""1 May."""
_NIGHT_FROM = 22 * 60 + 30
"""Minutes after midnight."""
_EVENING_FROM = 20 * 60
_IN_A_ROW = 4
LEVELS = ("bronze", "silver", "gold")
_SILVER, _GOLD = 30_000, 150_000
"""Fen spent."""
_AGE = lomax(12, 6000, 18, 66)
_DAWN, _DUSK = 6, 22


class Lifecycle(Topic):
    """Who leaves, who pauses, who comes at night."""

    name: ClassVar[str] = "lifecycle"
    number: ClassVar[int] = 11

    def __init__(self, world: World) -> None:
        super().__init__(world)
        people = world.people
        alone = ~people.family
        habit = bits(self.draw(people.word, 0), 0)
        self._night = alone & (habit < CELLS // 45)
        self._evening = alone & (habit >= CELLS // 45) & (habit < CELLS * 2 // 45)
        often = self._night | self._evening
        people.member[often], people.login_at[often] = True, 0
        people.pace[often] = np.maximum(people.pace[often], 1_000)
        people.leaves[often] = np.maximum(people.leaves[often], people.arrival[often] + 40)
        leaves = alone & (people.city == LEFT)
        # Newcomers of later days come earlier, so that the shop has as many.
        earlier = np.where(leaves & (people.arrival >= GONE_FROM), people.arrival % GONE_FROM, people.arrival)
        until = people.leaves - people.arrival + earlier
        people.arrival[:] = earlier
        people.leaves[:] = np.where(leaves, np.minimum(until, GONE_FROM), people.leaves)
        self._pauses = alone & (people.city == PAUSED)
        self._marks = Marks()
        self._run, self._best, self._city = np.zeros((3, people.count), dtype=np.int8)

    def come(self, day: int, person: Ints, cells: Ints) -> Ints:
        """Nobody of the pausing city for two weeks, but for newcomers."""
        if not GONE_FROM <= day < _BACK_FROM:
            return cells
        return np.where(self._pauses[person], 0, cells)

    def steer(self, visits: Visits) -> Visits:
        """Night people come later, evening people too if they would have come in the daytime."""
        word, midnight = self.draw(visits.word, 1), days.midnight(visits.day)
        night = midnight + _NIGHT_FROM * 60_000 + below(word, 0, 80 * 60_000)
        evening = midnight + _EVENING_FROM * 60_000 + below(word, 0, 115 * 60_000)
        person = visits.person
        wanted = np.select(
            [self._night[person], self._evening[person]], [night, evening], default=visits.start
        )
        return replace(visits, start=np.maximum(visits.start, wanted))

    def note(self, part: Part) -> None:
        """Marks the cities' people by when they come, and counts visits in a row at night."""
        out, start = part.rows, part.first
        if not len(start):
            return
        for place, city in enumerate((LEFT, PAUSED, USUAL)):
            here = start[out.city[start] == city]
            key, ts = device_key(out, here), out.ts[here]
            self._marks.add(key[ts < days.midnight(GONE_FROM)], 3 * place)
            quiet = (ts >= days.midnight(GONE_FROM)) & (ts < days.midnight(_BACK_FROM))
            self._marks.add(key[quiet], 3 * place + 1)
            self._marks.add(key[ts >= days.midnight(_BACK_FROM)], 3 * place + 2)
        self._live_in(part)
        known = start[out.user[start] >= 0]
        while len(known):
            # Planted people may have several sessions in one part: their first ones first.
            person, which = np.unique(out.person[known], return_index=True)
            self._visit(person, out.ts[known[which]])
            known = np.delete(known, which)

    def _live_in(self, part: Part) -> None:
        """Notes the city of each login; makes room for planted people."""
        person = part.rows.person
        short = int(person.max()) + 1 - len(self._run)
        if short > 0:
            more = np.zeros(max(short, len(self._run) // 4), dtype=np.int8)
            self._run, self._best, self._city = (
                np.concatenate([one, more]) for one in (self._run, self._best, self._city)
            )
        login = np.flatnonzero(part.rows.event == rows.LOGIN)
        self._city[person[login]] = part.rows.city[login]

    def _visit(self, person: Ints, ts: Ints) -> None:
        """Visits, one each, by users who are logged in."""
        hour = (ts - days.midnight(0)) // 3_600_000 % 24
        at_night = (hour < _DAWN) | (hour >= _DUSK)
        self._run[person] = np.where(at_night, np.minimum(self._run[person] + 1, 100), 0)
        self._best[person] = np.maximum(self._best[person], self._run[person])

    def _profiles(self, counted: Counted) -> tuple[Ints, Ints, Ints, Ints]:
        """Everybody who logged in: person, age, city, level."""
        person = np.flatnonzero(counted.logged.reshape(-1, 2).any(axis=1)).astype(np.int64)
        orders = counted.ledger.orders()
        spent = np.bincount(orders.person, orders.amount, len(counted.logged) // 2).astype(np.int64)[person]
        level = (spent >= _SILVER).astype(np.int64) + (spent >= _GOLD)
        word = self.draw(person.astype(np.uint64) + (np.uint64(self.world.seed) << np.uint64(32)), 2)
        young = np.zeros(len(counted.logged) // 2, dtype=np.bool_)
        young[: len(self._night)] = self._night
        age = np.where(young[person], 18 + below(word, 16, 9), _AGE[bits(word, 0)])
        return person, age, self._city[person].astype(np.int64), level

    def write(self, folder: Path, counted: Counted) -> None:
        """``profiles.parquet``: ``user_id``, ``age``, ``city``, ``level``, a row for each login."""
        person, age, city, level = self._profiles(counted)
        table = pa.table(
            {
                "user_id": tables.user_ids(person),
                "age": tables.numbers(age),
                "city": tables.names(city, _NAMES),
                "level": tables.names(level, LEVELS),
            }
        )
        tables.write(table, folder / "profiles.parquet")

    def truths(self, counted: Counted) -> list[Truth]:
        """The city that left, the night people, and how many there are of each level."""
        night = "session_start: hour(ts) >= 22 OR hour(ts) < 6"
        steps = " ".join([f'--step "{night}"'] * _IN_A_ROW)
        people = np.flatnonzero(self._best >= _IN_A_ROW).astype(np.int64)
        size = np.bincount(self._profiles(counted)[3], minlength=len(LEVELS)).tolist()
        return [
            *self._cities(counted.logged),
            Truth(
                "night-people",
                f"These users came {_IN_A_ROW} times in a row between ten at night and six in the morning.",
                f'workbench funnel --where "user_id IS NOT NULL" {steps} --window none '
                '--exclude "session_start: hour(ts) >= 6 AND hour(ts) < 22" --users converted',
                ids=names_of(people),
                decoys=(
                    Decoy(
                        "evening-people",
                        "As many come at eight or nine in the evening, night after night.",
                        ids=names_of(self._early_birds(counted.logged)),
                    ),
                ),
            ),
            Truth(
                "profile-levels",
                "How many users are of each level; night people are 18 to 26 years old.",
                "workbench lifecycle --profiles profiles.parquet --by level",
                expected=tuple(
                    Expect({"breakdown": level}, "users", count)
                    for level, count in zip(LEVELS, size, strict=True)
                ),
                decoys=(Decoy("age", "Age says nothing about the level.", row={"breakdown": "bronze"}),),
                waits="report lifecycle",
            ),
        ]

    def _early_birds(self, logged: Bools) -> Ints:
        """Evening people who logged in and were never seen often at night."""
        users = logged[0 : 2 * len(self._evening) : 2] | logged[1 : 2 * len(self._evening) : 2]
        return np.flatnonzero(self._evening & users & (self._best[: len(users)] < _IN_A_ROW)).astype(np.int64)

    def _cities(self, logged: Bools) -> list[Truth]:
        def truth(name: str, sentence: str, later: int, steps: str) -> Truth:
            expected = []
            for place, city in enumerate((LEFT, PAUSED, USUAL)):
                before = self._marks.people(3 * place, logged)
                after = np.intersect1d(before, self._marks.people(3 * place + later, logged))
                for step, who in ((1, before), (2, after)):
                    expected.append(Expect({"breakdown": _NAMES[city], "step": step}, "users", len(who)))
            return Truth(
                name,
                sentence,
                f"workbench funnel --step \"session_start: ts < '2026-04-16'\" {steps} --window none "
                "--by city --top 30",
                expected=tuple(expected),
                decoys=(
                    Decoy(
                        "paused",
                        "宁波 is as quiet in the second half of April, and is back in May.",
                        row={"breakdown": _NAMES[PAUSED]},
                    ),
                ),
            )

        return [
            truth(
                "churned-city",
                "Hardly anybody of 青岛 has come since 16 April; of other cities' people as many as ever.",
                2,
                "--step \"session_start: ts >= '2026-05-01'\"",
            ),
            truth(
                "quiet-cities",
                "In the second half of April two cities are quiet, 青岛 and 宁波: one left, one paused.",
                1,
                "--step \"session_start: ts >= '2026-04-16' AND ts < '2026-05-01'\"",
            ),
        ]


def anywhere(word: Words) -> Ints:
    """A city for planted people who come after 16 April too: any but the one that left."""
    return (LEFT + 1 + below(word, 0, len(CITIES) - 1)) % len(CITIES)
