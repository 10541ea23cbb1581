"""Posts: one that everybody opens and nobody buys after, a quiet one that sells, and readers who stay.

Visits from the content channel begin with a post, and some others pass one in the shop. ``n0001`` is hot: opened
most, mostly skimmed, hardly an order. ``n0007`` is quiet: opened seldom, and often an order follows in the visit.
Those who come by content and read for a minute are back within a week far more often than those who skim (the
decoy: they come by the same channel).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workbench.demo import days, rows, tables, traffic
from workbench.demo.chains import chained
from workbench.demo.draws import CELLS, Ints, below, chance, picked, table
from workbench.demo.ledger import Marks, device_key
from workbench.demo.rows import Part
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.tables import Column
from workbench.demo.topics.base import Counted, Topic, World
from workbench.demo.visits import engaged
from workbench.demo.waves import Wave

OPENED = rows.declare_event("content_view", "content")
CLOSED = rows.declare_event("content_leave", "content")
POSTS = tuple(f"n{number:04d}" for number in range(1, 11))
HOT, QUIET = 0, 6
_IF_IDLE = table((700, 60, 70, 50, 40, 35, 30, 30, 25, 20))
_IF_READ = table((12, 60, 70, 50, 40, 35, 12, 30, 25, 20))
_IF_PAID = table((4, 30, 35, 25, 20, 18, 250, 15, 12, 10))
"""Which post, in visits that do not pay, in those that stay to read, and in those that pay."""
READ, SKIMMED = 60, 10
"""Seconds: read from the one on, skimmed below the other."""
_WINDOW = 30 * 60_000
_WEEK = 7 * days.MS_DAY
_OPEN, _BOUGHT, _STAYED = 0, len(POSTS), 2 * len(POSTS)
"""First of the marks of each kind. Of readers, and of skimmers, three: did so; came back to the same device; to
their other one."""
_LONG_AGO = -(1 << 60)


class Content(Topic):
    """What is read, and what comes of it."""

    name: ClassVar[str] = "content"
    number: ClassVar[int] = 8
    columns: ClassVar[tuple[Column, ...]] = (
        tables.named("content_id", POSTS),
        tables.counted("read_seconds"),
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._marks = Marks()
        self._opened = np.zeros(len(POSTS), dtype=np.int64)
        self._last = np.full((2, 2 * world.people.count), _LONG_AGO, dtype=np.int64)
        """When each device was last used to read, and to skim."""

    def wave(self, wave: Wave) -> None:
        """Opens and leaves a post right at the start of a visit, behind the login if there is one."""
        visits = wave.visits
        word = self.draw(visits.word, 0)
        by_content, reads, pays = visits.channel == traffic.CONTENT, engaged(visits), wave.paid.is_paid
        opens = by_content | chance(word, 0, np.where(pays, CELLS // 4, CELLS // 25))
        post = np.select(
            [pays, reads],
            [picked(_IF_PAID, word, 16), picked(_IF_READ, word, 16)],
            picked(_IF_IDLE, word, 16),
        )
        passing, skimming = 12 + below(word, 32, 30), 3 + below(word, 32, SKIMMED - 3)
        seconds = np.select([reads, by_content], [READ + below(word, 32, 150), skimming], passing)
        begins = wave.part().first
        last = len(wave.rows) - 1
        begins = begins + (wave.rows.event[np.minimum(begins + 1, last)] == rows.LOGIN)
        which = np.flatnonzero(opens)
        both = np.repeat(which, 2)
        leaving = np.arange(len(both)) % 2 == 1
        wave.insert(
            begins[both],
            np.where(leaving, CLOSED, OPENED),
            np.where(leaving, seconds[both] * 1_000, 900),
            {"content_id": post[both], "read_seconds": np.where(leaving, seconds[both], -1)},
            push=True,
        )

    def note(self, part: Part) -> None:
        """Marks who opened what and bought in the visit, and who read, skimmed, and came back within a week."""
        out = part.rows
        if not len(part.first):
            return
        opened = out.event == OPENED
        if opened.any():
            post = out.column("content_id")
            self._opened += np.bincount(post[opened], minlength=len(POSTS))
            for code in range(len(POSTS)):
                levels = chained(part, [opened & (post == code), out.event == rows.PAID], _WINDOW)
                for first, begins in zip((_OPEN, _BOUGHT), levels, strict=True):
                    self._marks.add(device_key(out, begins), first + code)
        starts = part.first[out.person[part.first] < self.world.people.count]
        closed = np.flatnonzero(out.event == CLOSED)
        seconds = out.column("read_seconds")[closed]
        for kind, which in enumerate((closed[seconds >= READ], closed[seconds < SKIMMED])):
            last, mark = self._last[kind], _STAYED + 3 * kind
            key, ts = device_key(out, starts), out.ts[starts]
            self._marks.add(key[ts - last[key] <= _WEEK], mark + 1)
            self._marks.add(key[ts - last[key ^ 1] <= _WEEK], mark + 2)
            key = device_key(out, which)
            self._marks.add(key, mark)
            last[key] = out.ts[which]

    def truths(self, counted: Counted) -> list[Truth]:
        """Readings by post, two posts and their orders, readers and skimmers."""
        usual = Decoy(
            "usual", "n0003 is opened a good deal and sells a little, like most.", row={"value": "n0003"}
        )
        readings = Truth(
            "posts-opened",
            "n0001 is opened most, by far.",
            "workbench properties content_id --where \"event = 'content_view'\"",
            expected=tuple(
                Expect({"value": name}, key, value)
                for code, name in enumerate(POSTS)
                for key, value in (
                    ("events", int(self._opened[code])),
                    ("users", self._marks.count(_OPEN + code, counted.logged)),
                )
            ),
            decoys=(usual,),
        )
        hot = "n0001 is opened by most people, and next to nobody buys in the visit."
        quiet = "n0007 is opened by few, and many of them buy in the visit."
        return [
            readings,
            self._sells("hot-post", hot, HOT, counted),
            self._sells("quiet-post", quiet, QUIET, counted),
            self._stays(
                "readers-stay", "Who reads a post for a minute is often back within a week.", 0, counted
            ),
            self._stays(
                "skimmers-leave",
                "Who skims a post, by the same channel as the readers, is back within a week far less often.",
                1,
                counted,
            ),
        ]

    def _sells(self, name: str, sentence: str, post: int, counted: Counted) -> Truth:
        return Truth(
            name,
            sentence,
            f"workbench funnel --step \"content_view: content_id = '{POSTS[post]}'\" --step order_paid --window 30m",
            expected=tuple(
                Expect({"step": step}, "users", self._marks.count(first + post, counted.logged))
                for step, first in ((1, _OPEN), (2, _BOUGHT))
            ),
            decoys=(Decoy("usual", "n0003 is neither hot nor quiet."),),
        )

    def _stays(self, name: str, sentence: str, kind: int, counted: Counted) -> Truth:
        first = _STAYED + 3 * kind
        same, other = (self._marks.people(first + n, counted.logged) for n in (1, 2))
        back = np.union1d(same, _on_both(other, counted))
        condition = f"read_seconds < {SKIMMED}" if kind else f"read_seconds >= {READ}"
        return Truth(
            name,
            sentence,
            f'workbench funnel --step "content_leave: {condition}" --step session_start --window 7d',
            expected=(
                Expect({"step": 1}, "users", self._marks.count(first, counted.logged)),
                Expect({"step": 2}, "users", len(back)),
            ),
            decoys=(
                Decoy("same-channel", "Readers and skimmers come by the same channel: it is not what stays."),
            ),
        )


def _on_both(person: Ints, counted: Counted) -> Ints:
    """Those of the resolved people (``ledger.resolved``) who are one person on both of their devices."""
    of = person[person % 4 == 0]
    both = counted.logged[of // 2] & counted.logged[of // 2 + 1]
    return np.asarray(of[both], dtype=np.int64)
