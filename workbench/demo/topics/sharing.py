"""Sharing: links that people open, who brings new ones by them, trees of known depth, and who cheats.

Four paid recruiters (KOC) bring most of the new people, one of them far fewer than was paid for. The best
recruiter's people hardly buy, the second's do. A fifth (the decoy) has the links that most people open, and all
of those are customers already. Trees of sixteen people each are four generations deep; two customers more open
links below each, so that the chain of opened links is longer than the tree of new people. Rings of three open
each other's links in a circle, and some people open their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from workbench.demo import catalogue, rows, scripts, traffic
from workbench.demo.draws import CELLS, Ints, Words, below, chance, picked, table
from workbench.demo.ledger import device_key
from workbench.demo.people import MINI_PROGRAM
from workbench.demo.rows import Lines, Part, Rows
from workbench.demo.scripts import Cast, Moment
from workbench.demo.statements import Truth
from workbench.demo.tables import Column, numbered, users
from workbench.demo.topics.base import Actors, Counted, Topic, World, write_lines
from workbench.demo.topics.lifecycle import anywhere
from workbench.demo.topics.referrals import BEST, FRIEND, SELLER, Referrals
from workbench.demo.waves import Wave

OPEN = rows.declare_event("share_open", "product")
_GROUP = traffic.CHANNEL_CODE["weixin_group"]
_LINKS = 16
"""Links of a person; who shares more often uses them again, in turn."""
_SPREAD = 100_000_000
_BROUGHT_BY = table((50, 20, 18, 12))
_RHYTHM, _POSTS = 24, 4
"""Days between two links of a recruiter, and how many there are; the first on the first day."""
_GENERATIONS = (1, 3, 6, 4, 2)
_PARENT = np.array((-1, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 10, 11, 14, 16), dtype=np.int64)
"""Of each place in a tree; the last two are customers, not new."""
_TREE = len(_PARENT)
_NEW_TO = sum(_GENERATIONS)
_PLAIN, _OPENED = (rows.VIEW,), (OPEN, rows.VIEW)
_SHARED = (rows.VIEW, rows.SHARE)
_EVENING = 20 * 3_600


class Sharing(Topic):
    """Everybody's shares get a link; those of planted people are opened by the crowd and by each other."""

    name: ClassVar[str] = "sharing"
    number: ClassVar[int] = 5
    columns: ClassVar[tuple[Column, ...]] = (numbered("share_id", "h"), users("referrer_user_id"))
    star: Ints

    def __init__(self, world: World) -> None:
        super().__init__(world)
        people = world.people
        trait = self.draw(people.word, 0)
        alone = ~people.family
        recruit = (people.brought_by == _GROUP) & (people.arrival >= 1) & alone
        self._by = np.where(recruit & chance(trait, 0, CELLS * 15 // 16), picked(_BROUGHT_BY, trait, 16), -1)
        self._friend = (people.arrival < 0) & alone & ~people.second & chance(trait, 32, CELLS * 3 // 5)
        # The best recruiter's people look around; the seller's came to buy.
        people.appetite[self._by == BEST] = 1
        people.appetite[self._by == SELLER] = 40
        people.member[self._by == SELLER] = True
        self._shares = np.zeros(people.count, dtype=np.int8)
        self._opens: list[tuple[Ints, ...]] = []

    def actors(self, first: int) -> Actors:
        """The five, the trees, the rings, and those who open their own links."""
        trees = max(self.world.events // 20_000, 1)
        rings = max(self.world.events // 40_000, min(self.world.events // 10_000, 2), 1)
        selves = max(self.world.events // 15_000, min(self.world.events // 5_000, 4))
        word = self.stream(5 + _TREE * trees + 3 * rings + selves)
        actors = Actors.of(first, len(word), platform=MINI_PROGRAM)
        self._product = picked(catalogue.POPULAR, self.draw(word, 1), 0)
        self._first = first
        self.star, tree, ring, self.own = np.split(actors.person, np.cumsum((5, _TREE * trees, 3 * rings)))
        self.ring, self.chain = ring, tree.reshape(-1, _TREE)[:, _NEW_TO:].ravel()
        parts = [self._stars(word), *self._trees(tree, word)]
        day = 3 + below(self.draw(word, 2), 0, 80)
        around = ring.reshape(-1, 3)
        day[ring - first] = np.repeat(day[around[:, 0] - first], 3)
        shared = _visit(0, 0, (rows.LOGIN, *_SHARED))
        for person, referrer in ((ring, np.roll(around, -1, axis=1).ravel()), (self.own, self.own)):
            opened = (_visit(n, n, _OPENED) for n in (1, 2))
            cast = self._cast(person, word, day, traffic.DIRECT)
            parts.append(self._play((*shared, *(one for visit in opened for one in visit)), cast, referrer))
        self._staged = scripts.staged(parts)
        return actors

    def _stars(self, word: Words) -> tuple[Rows, Lines]:
        moments: list[Moment] = []
        for post in range(_POSTS):
            did = (rows.LOGIN, *_SHARED) if post == 0 else _SHARED
            moments += _visit(post, post * _RHYTHM, did, post)
        cast = self._cast(self.star, word, np.zeros(len(word), dtype=np.int64), traffic.DIRECT)
        goods = np.stack([_posted(np.arange(5), post) for post in range(_POSTS)], axis=1)
        own = Cast(cast.person, cast.word, cast.day, goods, cast.channel, cast.city, cast.platform)
        return self._play(moments, own, self.star)

    def _trees(self, tree: Ints, word: Words) -> list[tuple[Rows, Lines]]:
        """Each generation comes one to six days after the one before."""
        place = np.arange(len(tree)) % _TREE
        root = tree - place
        referrer = np.where(place == 0, tree, root + _PARENT[place])
        later = 1 + below(self.draw(word, 3), 0, 6)[tree - self._first]
        day = 4 + below(self.draw(word, 2), 0, 36)[root - self._first]
        above = place.copy()
        while (above > 0).any():
            day = day + np.where(above > 0, later[tree - place + above - tree[0]], 0)
            above = np.where(above > 0, _PARENT[above], 0)
        every = np.zeros(len(word), dtype=np.int64)
        every[tree - self._first] = day
        shares, old = np.isin(place, _PARENT), place >= _NEW_TO
        before = _visit(0, -1, (rows.LOGIN, *_PLAIN))
        parts = []
        for which, moments in (
            (place == 0, _visit(0, 0, (rows.LOGIN, *_SHARED))),
            ((place > 0) & shares & ~old, _visit(0, 0, (OPEN, rows.VIEW, rows.LOGIN, rows.SHARE))),
            (~shares & ~old, _visit(0, 0, (OPEN, rows.VIEW, rows.LOGIN))),
            (old & shares, before + _visit(1, 0, (*_OPENED, rows.SHARE))),
            (old & ~shares, before + _visit(1, 0, _OPENED)),
        ):
            channel = np.where(place[which] == 0, traffic.DIRECT, _GROUP)
            parts.append(self._play(moments, self._cast(tree[which], word, every, channel), referrer[which]))
        return parts

    def _cast(self, person: Ints, word: Words, day: Ints, channel: int | Ints) -> Cast:
        which = person - self._first
        own = word[which]
        return Cast(
            person=person,
            word=own,
            day=day[which],
            product=self._product[which][:, None],
            channel=np.broadcast_to(channel, person.shape).astype(np.int64),
            city=anywhere(self.draw(own, 4)),
            platform=MINI_PROGRAM,
        )

    def _play(self, moments: Sequence[Moment], cast: Cast, referrer: Ints) -> tuple[Rows, Lines]:
        """The script with links filled in: a person's own on shares, the referrer's first one where opened."""
        out, lines = scripts.play(moments, cast)
        of = np.argsort(cast.person)[np.searchsorted(np.sort(cast.person), out.person)]
        shares, opens = np.flatnonzero(out.event == rows.SHARE), np.flatnonzero(out.event == OPEN)
        post = np.where(out.person[shares] <= self.star[-1], out.session[shares], 0)
        out.column("share_id")[shares] = link(out.person[shares], post)
        by = referrer[of[opens]]
        for name, value in _landing(by, np.zeros(len(by), dtype=np.int64), self._product[by - self._first]):
            out.column(name)[opens] = value
        return out, lines

    def planted(self, day: int) -> list[tuple[Rows, Lines]]:
        """Sessions of recruiters, trees and cheats."""
        return [self._staged.of(day)]

    def wave(self, wave: Wave) -> None:
        """Gives every share its link, and lets recruits and old friends come by one."""
        part, visits = wave.part(), wave.visits
        shares = np.flatnonzero(wave.rows.event == rows.SHARE)
        sharer = wave.rows.person[shares]
        fresh = np.append(True, sharer[1:] != sharer[:-1])[: len(shares)]
        begins = np.flatnonzero(fresh)
        nth = np.arange(len(shares)) - begins[np.cumsum(fresh) - 1] if len(shares) else shares
        wave.rows.column("share_id")[shares] = link(sharer, (self._shares[sharer] + nth) % _LINKS)
        np.add.at(self._shares, sharer, 1)
        self._shares %= _LINKS
        by = np.where(visits.number == 0, self._by[visits.person], -1)
        by = np.where(self._friend[visits.person] & (visits.number > 0), FRIEND, by)
        session = np.flatnonzero((visits.channel == _GROUP) & (by >= 0) & (wave.day > 0))
        who = by[session]
        post = np.full(len(session), min((wave.day - 1) // _RHYTHM, _POSTS - 1), dtype=np.int64)
        delay = 200 + below(self.draw(visits.word[session], 5), 0, 400)
        columns = dict(_landing(self.star[who], post, _posted(who, post)))
        wave.insert(part.first[session], OPEN, delay, columns)

    def note(self, part: Part) -> None:
        """Remembers the opened links."""
        which = np.flatnonzero(part.rows.event == OPEN)
        if len(which):
            out = part.rows
            known = out.column("referrer_user_id")[which]
            self._opens.append((device_key(out, which), known, out.session[which], out.ts[which]))

    def _referrals(self) -> Referrals:
        key, referrer, session, ts = (np.concatenate(column) for column in zip(*self._opens, strict=True))
        return Referrals(key, referrer, session == 0, ts, self.star, self.chain, self.ring, self.own)

    def write(self, folder: Path, counted: Counted) -> None:
        """``koc.csv``: who is paid to recruit, the fee in yuan, and the target."""
        write_lines(folder / "koc.csv", self._referrals().contracts())

    def truths(self, counted: Counted) -> list[Truth]:
        """Who recruits, who sells, how deep it goes, who falls short and who cheats."""
        return self._referrals().truths(counted)


def link(person: Ints, nth: Ints) -> Ints:
    """The number of a person's n-th link, from 0 to 15."""
    return (person * _LINKS + nth) * 37_139_213 % _SPREAD


def _posted(star: Ints, post: Ints | int) -> Ints:
    """The product behind a recruiter's link."""
    return np.asarray((star * 37 + np.asarray(post) * 113 + 5) % 240, dtype=np.int64)


def _landing(referrer: Ints, nth: Ints, product: Ints) -> list[tuple[str, Ints]]:
    """What an opened link carries."""
    columns: Mapping[str, Ints] = {
        "share_id": link(referrer, nth),
        "referrer_user_id": referrer,
        "product": product,
        "category": catalogue.category_of(product),
        "price": catalogue.PRICE[product],
    }
    return list(columns.items())


def _visit(session: int, day: int, did: Sequence[int], line: int = 0) -> tuple[Moment, ...]:
    """A short visit in the evening of a day, a minute or two from one event to the next."""
    start = day * 86_400 + _EVENING
    shows = (rows.VIEW, rows.SHARE)
    return tuple(
        Moment(session, start + 70 * nth, 55, event, line if event in shows else -1)
        for nth, event in enumerate((rows.START, *did))
    )
