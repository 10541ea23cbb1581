"""Retention: what newcomers do in their first week, and who is still there two months later.

Who saves a favourite in the first week stays, whichever channel they came by. Following the shop (the decoy)
goes with staying over all newcomers, but only because those who come by organic search both follow and stay
more: among the people of one channel, followers stay no more than others.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workbench.demo import days, rows, traffic
from workbench.demo.draws import CELLS, Bools, Ints, chance
from workbench.demo.ledger import Marks, device_key, resolved
from workbench.demo.rows import Part
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.topics.base import Counted, Topic, World
from workbench.demo.waves import Wave

WELCOME = rows.declare_event("welcome", "home")
FAVORITE = rows.declare_event("favorite", "product")
FOLLOW = rows.declare_event("follow_shop", "home")
_ORGANIC, _GROUP_BUY = traffic.CHANNEL_CODE["organic_search"], traffic.CHANNEL_CODE["group_buy"]
_FIRST_WEEK = 5
"""Days after the first on which they are done, so that they are within seven days of the welcome."""
_JOINED_BY, _SEEN_FROM = 31, 61
"""Newcomers of March; seen again in May."""
_RETURN_DAYS = (1, 7, 30)
_NEW, _FAVORS, _FOLLOWS, _STAYS = range(4)
_RETURNS = range(4, 4 + len(_RETURN_DAYS))
_RULE = "--window none --by channel"
_WELCOME = "--step \"welcome: ts < '2026-04-01'\""
_STAY = "--step \"session_start: ts >= '2026-05-01'\""


class Retention(Topic):
    """Newcomers are welcomed on their first visit; some favour a product or follow the shop in the first week."""

    name: ClassVar[str] = "retention"
    number: ClassVar[int] = 12

    def __init__(self, world: World) -> None:
        super().__init__(world)
        people = world.people
        trait, habit = self.draw(people.word, 0), self.draw(people.word, 1)
        self._is_new = (people.arrival >= 0) & ~people.family
        lasting = self._is_new & (people.brought_by != traffic.FEED) & (people.brought_by != _GROUP_BUY)
        keen = lasting & chance(trait, 0, CELLS // 4)
        organic = people.brought_by == _ORGANIC
        stays = keen | (lasting & organic & chance(trait, 16, CELLS * 2 // 5))
        people.leaves[stays] = np.maximum(people.leaves[stays], people.arrival[stays] + days.DAYS)
        people.pace[stays] = np.maximum(people.pace[stays], 1_500)
        favors = chance(habit, 0, np.where(keen, CELLS * 9 // 10, CELLS // 20))
        follows = chance(habit, 16, np.where(organic, CELLS * 13 // 20, CELLS // 16))
        self._wants = {FAVORITE: self._is_new & favors, FOLLOW: self._is_new & follows}
        self._marks = Marks()
        self._channel = np.full(2 * people.count, -1, dtype=np.int8)
        self._joined = np.full(people.count, -1, dtype=np.int8)
        self._device = np.zeros(people.count, dtype=np.int8)
        """Day and device of the welcome."""

    def wave(self, wave: Wave) -> None:
        """Inserts the welcome behind the first start, and what is done in the first week behind a view."""
        part, visits = wave.part(), wave.visits
        event, person = wave.rows.event, visits.person
        first = part.first[self._is_new[person] & (visits.number == 0)]
        week = self._is_new[person] & (wave.day - self.world.people.arrival[person] <= _FIRST_WEEK)
        after, inserted = [first], [np.full(len(first), WELCOME, dtype=np.int64)]
        for what, wants in self._wants.items():
            where = np.flatnonzero((event == rows.VIEW) | ((event == rows.HOME) & (what == FOLLOW)))
            session, which = np.unique(part.session[where], return_index=True)
            where = where[which][(week & wants[person])[session]]
            after.append(where)
            inserted.append(np.full(len(where), what, dtype=np.int64))
        behind, what_event = np.concatenate(after), np.concatenate(inserted)
        order = np.argsort(behind, kind="stable")
        behind, what_event = behind[order], what_event[order]
        who = wave.rows.person[behind]
        goods = {
            name: np.where(what_event == FAVORITE, wave.rows.column(name)[behind], -1)
            for name in ("product", "category", "price")
        }
        delay = np.where(what_event == WELCOME, 150, 700).astype(np.int64)
        fits = wave.insert(behind, what_event, delay, goods)
        for what, wants in self._wants.items():
            wants[who[fits & (what_event == what)]] = False

    def note(self, part: Part) -> None:
        """Marks newcomers of March, what they did, and who is seen on later days."""
        out = part.rows
        own = out.person < self.world.people.count
        day = (out.ts - days.midnight(0)) // days.MS_DAY
        welcome = np.flatnonzero(own & (out.event == WELCOME))
        key = device_key(out, welcome)
        self._joined[out.person[welcome]], self._device[out.person[welcome]] = day[welcome], key & 1
        self._channel[key] = out.channel[welcome]
        self._marks.add(key[day[welcome] < _JOINED_BY], _NEW)
        for event, mark in ((FAVORITE, _FAVORS), (FOLLOW, _FOLLOWS)):
            self._marks.add(device_key(out, out.event == event), mark)
        start = np.flatnonzero(own & (out.event == rows.START))
        key, since = device_key(out, start), day[start] - self._joined[out.person[start]]
        self._marks.add(key[day[start] >= _SEEN_FROM], _STAYS)
        joined = self._joined[out.person[start]] >= 0
        for days_later, mark in zip(_RETURN_DAYS, _RETURNS, strict=True):
            self._marks.add(key[joined & (since == days_later)], mark)

    def truths(self, counted: Counted) -> list[Truth]:
        """What goes with staying, what only seems to, and how many return on which day."""
        new, favors, follows, stays = (
            self._marks.people(mark, counted.logged) for mark in (_NEW, _FAVORS, _FOLLOWS, _STAYS)
        )
        channel = self._channel_of(new, counted.logged)
        stay = np.isin(new, stays)
        out = []
        for what, event, who, sentence in (
            (
                "favorite",
                "favorite",
                np.isin(new, favors),
                "Newcomers who save a favourite in the first week",
            ),
            ("follow", "follow_shop", np.isin(new, follows), "Newcomers who follow the shop"),
        ):
            decoy = Decoy(
                "follow-through-channel",
                "Following goes with staying only because organic_search brings people who do both.",
                row={"breakdown": "organic_search"},
            )
            told = {
                "favorite": " stay far more often than the others, in every channel that keeps anybody.",
                "follow": " seem to stay more often, but in no channel of its own they do.",
            }[what]
            out += [
                Truth(
                    f"first-week-{what}",
                    sentence + told,
                    f"workbench funnel {_WELCOME} --step {event} {_STAY} --step-window 2=7d {_RULE}",
                    expected=_by_channel(channel, (np.ones_like(who), who, who & stay)),
                    decoys=(decoy,),
                ),
                Truth(
                    f"first-week-no-{what}",
                    f"How many of the newcomers stay who do not: the others of first-week-{what}.",
                    f"workbench funnel {_WELCOME} {_STAY} --exclude {event} --exclusion remove {_RULE}",
                    expected=_by_channel(channel, (~who, ~who & stay)),
                    decoys=(decoy,),
                ),
            ]
        return [*out, self._returning(counted)]

    def _channel_of(self, person: Ints, logged: Bools) -> Ints:
        """The channel of the welcome of resolved people."""
        key = np.flatnonzero(self._channel >= 0).astype(np.int64)
        known = resolved(key, logged)
        order = np.argsort(known)
        return self._channel[key[order[np.searchsorted(known[order], person)]]].astype(np.int64)

    def _returning(self, counted: Counted) -> Truth:
        new = np.flatnonzero(self._joined >= 0).astype(np.int64)
        person, joined = resolved(2 * new + self._device[new], counted.logged), self._joined[new]
        expected: list[Expect] = []
        for day, mark in zip(_RETURN_DAYS, _RETURNS, strict=True):
            back = np.isin(person, self._marks.people(mark, counted.logged))
            eligible = joined + day < days.DAYS
            expected.append(Expect({"day": day}, "eligible", int(eligible.sum())))
            expected.append(Expect({"day": day}, "returned", int((back & eligible).sum())))
        return Truth(
            "retention-by-day",
            "How many newcomers visit on the first, the seventh and the thirtieth day after their first.",
            "workbench retention --start welcome --return session_start",
            expected=tuple(expected),
            decoys=(
                Decoy("not-yet", "Newcomers whose day has not come yet are not eligible, and are not lost."),
            ),
            waits="report retention",
        )


def _by_channel(channel: Ints, steps: tuple[Bools, ...]) -> tuple[Expect, ...]:
    """A funnel's steps for everybody, and for each channel that brought a newcomer; the biggest channels."""
    size = np.bincount(channel[steps[0]], minlength=len(traffic.CHANNELS))
    shown = [code for code in np.argsort(-size, kind="stable").tolist() if size[code]]
    return tuple(
        [Expect({"step": n + 1}, "users", int(which.sum())) for n, which in enumerate(steps)]
        + [
            Expect({"breakdown": traffic.CHANNELS[code].name, "step": n + 1}, "users",
                   int(which[channel == code].sum()))
            for code in shown
            for n, which in enumerate(steps)
        ]
    )  # fmt: skip
