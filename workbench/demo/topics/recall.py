"""Recall: a message to people who have not come for three weeks, half of them held out, with a known lift.

The message brings back about a quarter of those it is sent to; a few of the others come by themselves. An
earlier message thanked people who came in the last days (the decoy): many of them return within a week, and just
as many of those it was not sent to.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workbench.demo import days, rows
from workbench.demo.draws import CELLS, Ints, below, bits
from workbench.demo.ledger import Marks, device_key
from workbench.demo.rows import Lines, Part, Rows
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.tables import Column, named
from workbench.demo.topics.base import Actors, Counted, Topic, World
from workbench.demo.topics.lifecycle import LEFT
from workbench.demo.waves import Wave

RECALL = rows.declare_event("recall", None)
_NAMES = ("thanks", "comeback")
_GROUPS = ("sent", "held_out")
_THANKS, _COMEBACK = range(2)
_SENT, _HELD = range(2)
_DAY = (43, 65)
"""13 April and 5 May."""
_RECENT, _DORMANT = 6, 21
"""Days since the last visit: at most, at least."""
_RESPONDS = np.array((CELLS * 3 // 10, CELLS // 25), dtype=np.int64)
"""Who comes back to the second message, by group."""
_STAYS = 9
"""Days for which somebody who is back remains a customer at least."""
_WEEK = 7 * days.MS_DAY


class Recall(Topic):
    """Two lists of users, each cut in two by chance."""

    name: ClassVar[str] = "recall"
    number: ClassVar[int] = 24
    columns: ClassVar[tuple[Column, ...]] = (named("recall_name", _NAMES), named("recall_group", _GROUPS))

    def __init__(self, world: World) -> None:
        super().__init__(world)
        count = world.people.count
        self._last = np.full(count, -1, dtype=np.int8)
        """Day of the last visit."""
        self._list = np.full((len(_NAMES), count), -1, dtype=np.int8)
        """Group on each list."""
        self._back = np.full(count, -1, dtype=np.int8)
        """The day somebody comes back."""
        self._drawn = 0
        """How many lists there are already."""
        self._marks = Marks()

    def come(self, day: int, person: Ints, cells: Ints) -> Ints:
        """Draws up a list before anybody comes that day; who was recalled comes back on a day of their own."""
        for name, when in enumerate(_DAY):
            if day == when and name == self._drawn:
                self._drawn += 1
                self._choose(name, day)
        if day == _DAY[_COMEBACK]:
            return np.where(self._list[_COMEBACK, person] >= 0, 0, cells)
        return np.where(self._back[person] == day, 1 << 24, cells)

    def _choose(self, name: int, day: int) -> None:
        people = self.world.people
        word = self.draw(people.word, name)
        users = (self.world.state.logged > 0) & ~people.family & (self._last >= 0) & (people.city != LEFT)
        if name == _THANKS:
            chosen = users & (self._last >= day - _RECENT)
        else:
            chosen = users & (self._last <= day - _DORMANT)
        self._list[name] = np.where(chosen, (bits(word, 48) & 1).astype(np.int8), -1)
        if name == _COMEBACK:
            group = np.maximum(self._list[name], 0)
            back = chosen & (bits(word, 32) < _RESPONDS[group])
            when = day + 1 + below(self.draw(people.word, 5), 0, 5)
            self._back[back] = when[back]
            people.leaves[back] = np.maximum(people.leaves[back], when[back] + _STAYS)

    def _sent_at(self, name: int, person: Ints) -> Ints:
        """Between ten and noon."""
        start = days.midnight(_DAY[name]) + 10 * 3_600_000
        return start + below(self.draw(self.world.people.word[person], 10 + name), 0, 2 * 3_600_000)

    def wave(self, wave: Wave) -> None:
        """Remembers who came."""
        self._last[wave.visits.person] = wave.day

    def planted(self, day: int) -> list[tuple[Rows, Lines]]:
        """An event for everybody on a list, sent to or held out."""
        if day not in _DAY:
            return []
        name = _DAY.index(day)
        person = np.flatnonzero(self._list[name] >= 0).astype(np.int64)
        columns: dict[str, int | Ints] = {
            "ts": self._sent_at(name, person), "event": RECALL, "person": person, "user": person,
            "place": self.outside(name), "recall_name": name,
            "recall_group": self._list[name, person].astype(np.int64),
        }  # fmt: skip
        return [(rows.blank(len(person), columns), rows.no_lines())]

    def note(self, part: Part) -> None:
        """Marks who comes within a week of a message."""
        out = part.rows
        start = part.first[out.person[part.first] < self.world.people.count]
        for name, day in enumerate(_DAY):
            near = start[(out.ts[start] >= days.midnight(day)) & (out.ts[start] < days.midnight(day + 9))]
            near = near[self._list[name, out.person[near]] >= 0]
            since = out.ts[near] - self._sent_at(name, out.person[near])
            near = near[(since >= 0) & (since <= _WEEK)]
            self._marks.add(device_key(out, near), 2 * name + self._list[name, out.person[near]])

    def actors(self, first: int) -> Actors:
        """Nobody is planted: the lists hold people of the crowd."""
        return Actors.of(first, 0)

    def truths(self, counted: Counted) -> list[Truth]:
        """The lift of the message, and a message without one."""
        thanked = Decoy(
            "thanks",
            "The thanks were sent to people who were coming anyway: many return, sent to or not.",
        )
        sentences = (
            "Of the people who are thanked many come within a week, and just as many of those held out.",
            "The message brings back about a quarter of those it is sent to; of those held out hardly anybody.",
        )
        return [
            Truth(
                f"recall-{_NAMES[name]}",
                sentences[name],
                f"workbench funnel --step \"recall: recall_name = '{_NAMES[name]}'\" --step session_start "
                "--window 7d --by recall_group",
                expected=tuple(
                    Expect({"breakdown": label, "step": step}, "users", count)
                    for group, label in enumerate(_GROUPS)
                    for step, count in enumerate(self._counts(name, group, counted), start=1)
                ),
                decoys=(thanked,) if name == _COMEBACK else (),
            )
            for name in (_COMEBACK, _THANKS)
        ]

    def _counts(self, name: int, group: int, counted: Counted) -> tuple[int, int]:
        """How many are in a group, and how many of them come within a week, as themselves."""
        own = self._list[name] == group
        back = self._marks.people(2 * name + group, counted.logged)
        logged_in = back[back % 4 == 0] // 4
        return int(own.sum()), int(own[logged_in].sum())
