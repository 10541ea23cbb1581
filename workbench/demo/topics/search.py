"""Searching: what people want and miss, how they ask, and what searching has to do with buying.

Coach (蔻驰) is wanted and not sold; ``礼物`` finds plenty and is hardly clicked; a misspelt dress finds nothing
and is mostly asked again, contact lenses find nothing and are given up. Some type letter by letter, and each
letter is a search. ``单反相机`` is rare, and its searchers buy dear. In a survey people say what they came for:
those asked on a result page buy more than those asked on a list, because more of them came to buy; of equal
answers they buy alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from workbench.demo import catalogue, rows, traffic
from workbench.demo.chains import chained
from workbench.demo.draws import CELLS, Bools, Ints, Words, bits, chance, derived
from workbench.demo.ledger import Marks, device_key, resolved
from workbench.demo.rows import Part
from workbench.demo.sessions import Units
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.tables import Column, named
from workbench.demo.topics.base import Counted, Topic, World
from workbench.demo.topics.buying import may_pay
from workbench.demo.topics.search_rows import (
    DRESS,
    TYPED,
    TYPO,
    New,
    letters_of,
    renumber,
    rescued,
    sources,
)
from workbench.demo.visits import NOTHING, PAID, Visits
from workbench.demo.waves import Wave

SURVEY = rows.declare_event("visit_survey", None)
ANSWERS = ("buy", "look")
PLACES = ("search", "list")
_CODE = catalogue.TERM_CODE
_GIFT, _LENSES = _CODE["礼物"], _CODE["隐形眼镜"]
_CAMERA = _CODE["单反相机"]
_INSTEAD_OF_GIFT = _CODE["睫毛膏"]
CAMERAS = np.array((1126, 1174), dtype=np.int64)
"""Two of the dearest products, hardly ever met otherwise."""
_DEAR = 100_000
"""Fen; what an order with a camera comes to at least."""
_WINDOW = 30 * 60_000
_TWO_MINUTES = 120_000
_HALF_MINUTE = 30_000
_FIXED, _LOST, _RARE, _RUNS, _ASKED = 0, 3, 5, 7, 11
"""First of the marks of each funnel, a mark a step; of the survey two marks a place and answer."""


class Search(Topic):
    """What is searched, found and missed."""

    name: ClassVar[str] = "search"
    number: ClassVar[int] = 3
    columns: ClassVar[tuple[Column, ...]] = (named("answer", ANSWERS), named("asked_on", PLACES))

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._spelled = np.zeros(len(catalogue.MISSING_BRAND), dtype=np.int64)
        self._seekers: list[Ints] = []
        self._sources = np.zeros((len(catalogue.SOURCES), 2), dtype=np.int64)
        self._gifts = np.zeros(2, dtype=np.int64)
        self._typed = dict.fromkeys(TYPED, 0)
        self._marks = Marks()
        self._asked, self._invited = np.zeros((2, world.people.count), dtype=np.bool_)

    def steer(self, visits: Visits) -> Visits:
        """Invites some members to the survey, who come to buy or to look; whether they search hangs on neither."""
        people, word = self.world.people, self.draw(visits.word, 0)
        own = np.isin(visits.channel, (traffic.DIRECT, traffic.CHANNEL_CODE["organic_search"]))
        invited = own & may_pay(people, visits) & ~people.family[visits.person]
        invited &= ~self._asked[visits.person] & chance(word, 0, CELLS * 2 // 5)
        self._invited[visits.person] = invited
        pays = chance(word, 16, np.where(_came_to_buy(word), CELLS * 2 // 5, CELLS // 25))
        return replace(visits, goes=np.where(invited, np.where(pays, PAID, NOTHING), visits.goes))

    def choose(self, visits: Visits, units: Units) -> None:
        """Gifts are not clicked, cameras are bought, and what is typed by letters is searched once a visit."""
        word = derived(self.draw(units.word, 1), 0)
        clicked = units.clicks
        spared = chance(word, 0, CELLS // 16)
        units.term[clicked & (units.term == _GIFT) & ~spared] = _INSTEAD_OF_GIFT
        dear = clicked & units.filling & units.kept & (visits.goes[units.session] == PAID)
        units.term[dear & chance(word, 16, CELLS // 8)] = _CAMERA
        camera = clicked & (units.term == _CAMERA)
        units.product[camera] = CAMERAS[bits(word[camera], 32) % len(CAMERAS)]
        for text, (_, instead) in TYPED.items():
            which = np.flatnonzero(units.searches & (units.term == _CODE[text]))
            again = which[np.append(False, np.diff(units.session[which]) == 0)] if len(which) else which
            units.term[again] = _CODE[instead]

    def wave(self, wave: Wave) -> None:
        """Sources, runs of letters, better spellings, and the survey."""
        out, part = wave.rows, wave.part()
        search = np.flatnonzero(out.event == rows.SEARCH).astype(np.int64)
        word = derived(self.draw(wave.visits.word[part.session[search]], 2), out.place[search])
        sources(out, search, word)
        new = [*letters_of(out, search, word), *rescued(out, search, word), self._survey(wave, part, search)]
        after = np.concatenate([one.after for one in new])
        order = np.argsort(after, kind="stable")
        names = dict.fromkeys(name for one in new for name in one.columns)
        columns = {name: np.concatenate([one.column(name) for one in new])[order] for name in names}
        event, delay = columns.pop("event"), columns.pop("delay")
        wave.insert(after[order], event, delay, columns, push=True)
        renumber(wave)

    def _survey(self, wave: Wave, part: Part, search: Ints) -> New:
        """Asks on the first page of results, or else on the first list, before anything goes into the cart.

        Of those who searched, those who came to look are seldom asked.
        """
        out, visits = wave.rows, wave.visits
        add = np.flatnonzero(out.event == rows.ADD).astype(np.int64)
        by_search = out.event[add - 2] == rows.CLICK
        until = np.full(len(part.first), len(out), dtype=np.int64)
        np.minimum.at(until, part.session[add], np.where(by_search, add - 3, add - 1))
        place, at = (np.full(len(part.first), -1, dtype=np.int64) for _ in range(2))
        for code, which in reversed(list(enumerate((search, np.flatnonzero(out.event == rows.LIST))))):
            early = which[which < until[part.session[which]]][::-1]
            place[part.session[early]], at[part.session[early]] = code, early
        word = self.draw(visits.word, 0)
        buys = _came_to_buy(word)
        asked = self._invited[visits.person] & ~visits.bounces & (place >= 0)
        asked &= buys | (place > 0) | chance(word, 48, CELLS // 4)
        self._asked[visits.person] |= asked
        return New(
            at[asked],
            {
                "event": SURVEY,
                "delay": 2_000 + bits(word[asked], 0) // 16,
                "answer": np.where(buys, 0, 1)[asked],
                "asked_on": place[asked],
            },
        )

    def note(self, part: Part) -> None:
        """Counts searches, and marks who gets how far on each way."""
        out = part.rows
        brand = np.flatnonzero(out.term >= catalogue.FIRST_BRAND)
        spelling = out.term[brand] - catalogue.FIRST_BRAND
        self._spelled += np.bincount(spelling, minlength=len(self._spelled))
        self._seekers.append(np.unique(device_key(out, brand)))
        if not len(part.first):
            return
        searches, clicks = out.event == rows.SEARCH, out.event == rows.CLICK
        self._note_clicks(part, searches, clicks)
        self._mark(part, _FIXED, [out.term == TYPO, out.term == DRESS, clicks], _TWO_MINUTES)
        self._mark(part, _LOST, [out.term == _LENSES, clicks], _TWO_MINUTES)
        pays = out.event == rows.PAID
        self._mark(part, _RARE, [out.term == _CAMERA, pays & (out.amount > _DEAR)], _WINDOW)
        for number, (text, (letters, _)) in enumerate(TYPED.items()):
            whole = out.term == _CODE[text]
            self._typed[text] += int(whole.sum())
            self._mark(part, _RUNS + 2 * number, [out.term == _CODE[letters[0]], whole], _HALF_MINUTE)
        survey = out.event == SURVEY
        if survey.any():
            for number in range(len(PLACES) * len(ANSWERS)):
                place, answer = divmod(number, len(ANSWERS))
                own = survey & (out.column("asked_on") == place) & (out.column("answer") == answer)
                self._mark(part, _ASKED + 2 * number, [own, pays], _WINDOW)

    def _mark(self, part: Part, first: int, steps: Sequence[Bools], within: int) -> None:
        for level, begins in enumerate(chained(part, steps, within)):
            self._marks.add(device_key(part.rows, begins), first + level)

    def _note_clicks(self, part: Part, searches: Bools, clicks: Bools) -> None:
        """Counts queries by source, and those of the gift, and which of them were clicked."""
        out = part.rows
        search, click = np.flatnonzero(searches & (out.query >= 0)), np.flatnonzero(clicks)
        before = search[np.maximum(np.searchsorted(search, click) - 1, 0)] if len(search) else search
        click = click[: len(before)]
        own = (part.session[before] == part.session[click]) & (out.query[before] == out.query[click])
        clicked = np.unique(before[own & (out.ts[click] - out.ts[before] <= _WINDOW) & (before < click)])
        for column, which in enumerate((search, clicked)):
            source = out.source[which]
            self._sources[:, column] += np.bincount(source[source >= 0], minlength=len(self._sources))
            self._gifts[column] += int((out.term[which] == _GIFT).sum())

    def truths(self, counted: Counted) -> list[Truth]:
        """Gaps, sources, clicks, letters, rescues, the rare term, and the survey."""

        def steps(first: int, count: int) -> tuple[Expect, ...]:
            return tuple(
                Expect({"step": level + 1}, "users", self._marks.count(first + level, counted.logged))
                for level in range(count)
            )

        return [
            *self._brand(counted),
            *self._satisfaction(steps),
            *self._typing(steps),
            *self._asking(counted),
        ]

    def _brand(self, counted: Counted) -> list[Truth]:
        spellings = dict(zip(catalogue.MISSING_BRAND, self._spelled.tolist(), strict=True))
        latin = sum(count for text, count in spellings.items() if text.casefold() == "coach")
        quoted = ", ".join(f"'{text}'" for text in catalogue.MISSING_BRAND)
        searchers = len(np.unique(resolved(np.concatenate(self._seekers), counted.logged)))
        unknown = Decoy(
            "not-logged",
            "'Gucci' finds an unknown number of products: unknown is not zero.",
            row={"term": "gucci"},
        )
        couch = Decoy("couch", "'Couch' looks alike and finds sofas.", row={"term": "couch"})
        gaps = Truth(
            "missing-brand",
            "Coach (蔻驰, in four spellings) is searched and never found.",
            "workbench search --view gaps",
            expected=(
                Expect({"term": "coach"}, "searches", latin),
                Expect({"term": "coach"}, "no_result", latin),
                Expect({"term": "蔻驰"}, "searches", spellings["蔻驰"]),
                Expect({"term": "蔻驰"}, "no_result", spellings["蔻驰"]),
            ),
            decoys=(unknown, couch),
            waits="report search",
        )
        wanted = Truth(
            "missing-brand-searchers",
            "So many people searched it.",
            f'workbench funnel --step "search: search_term IN ({quoted}) AND result_count = 0" '
            "--step order_paid --window 7d",
            expected=(Expect({"step": 1}, "users", searchers),),
            decoys=(unknown, couch),
        )
        return [gaps, wanted]

    def _satisfaction(self, steps: _Steps) -> list[Truth]:
        """Who clicks what was found, and who gets past a search that found nothing."""
        clicked = "--step search_click --hold query_id --window 30m"
        return [
            Truth(
                "search-sources",
                "Searches are typed, or come from hot words, the history or suggestions; hot words are clicked "
                "least.",
                f"workbench funnel --step search {clicked} --by search_source",
                expected=tuple(
                    Expect({"breakdown": name, "step": step}, "users", int(self._sources[code, step - 1]))
                    for code, name in enumerate(catalogue.SOURCES)
                    for step in (1, 2)
                ),
                decoys=(
                    Decoy(
                        "suggestion",
                        "Suggestions are fewer and clicked as often as what is typed.",
                        row={"breakdown": "suggestion"},
                    ),
                ),
            ),
            Truth(
                "results-without-clicks",
                "礼物 (gifts) finds 160 products each time and is hardly ever clicked.",
                f"workbench funnel --step \"search: search_term = '礼物'\" {clicked}",
                expected=tuple(Expect({"step": n + 1}, "users", int(self._gifts[n])) for n in (0, 1)),
                decoys=(Decoy("desk-lamp", "台灯 is searched most of all and clicked like other terms."),),
            ),
            Truth(
                "refined-and-rescued",
                "连依裙 is misspelt and finds nothing; most ask again for 连衣裙 and click, within two minutes.",
                "workbench funnel --step \"search: search_term = '连依裙'\" "
                "--step \"search: search_term = '连衣裙'\" --step search_click --window 2m",
                expected=steps(_FIXED, 3),
                decoys=(
                    Decoy(
                        "contact-lenses",
                        "隐形眼镜 finds nothing either, and no other word for it does: see lost-search.",
                    ),
                ),
            ),
            Truth(
                "lost-search",
                "隐形眼镜 (contact lenses) finds nothing, and few click on anything in the next two minutes.",
                "workbench funnel --step \"search: search_term = '隐形眼镜'\" --step search_click --window 2m",
                expected=steps(_LOST, 2),
                decoys=(Decoy("misspelt", "连依裙 finds nothing either, and is rescued."),),
            ),
        ]

    def _typing(self, steps: _Steps) -> list[Truth]:
        """Runs of letters, and the rare term."""
        runs = [
            Truth(
                f"keystrokes-{number + 1}",
                f"{text} is often typed letter by letter, and every beginning is logged as a search: all who "
                f"search {letters[0]} search {text} within seconds.",
                f"workbench funnel --step \"search: search_term = '{letters[0]}'\" "
                f"--step \"search: search_term = '{text}'\" --window 30s",
                expected=steps(_RUNS + 2 * number, 2),
                decoys=(Decoy("couch", "Couch is one letter from Coach, and no beginning of it."),),
            )
            for number, (text, (letters, _)) in enumerate(TYPED.items())
        ]
        return [
            *runs,
            Truth(
                "keystroke-intents",
                "A run of letters is one wish: so many wishes, whatever the number of searches.",
                "workbench search --view terms",
                expected=tuple(
                    Expect({"term": text}, "intents", count) for text, count in self._typed.items()
                ),
                decoys=(Decoy("beginning", "空气 is nobody's wish.", row={"term": "空气"}),),
                waits="report search",
            ),
            Truth(
                "rare-valuable-term",
                "单反相机 (cameras) is searched by few, and most of them buy, for more than ¥1,000.",
                "workbench funnel --step \"search: search_term = '单反相机'\" "
                '--step "order_paid: amount > 1000" --window 30m',
                expected=steps(_RARE, 2),
                decoys=(
                    Decoy("desk-lamp", "台灯 is searched most of all, and seldom ends in such an order."),
                ),
            ),
        ]

    def _asking(self, counted: Counted) -> list[Truth]:
        """The survey: by place alone, and of equal answers."""
        count = [self._marks.count(_ASKED + n, counted.logged) for n in range(2 * len(PLACES) * len(ANSWERS))]
        of = np.array(count, dtype=np.int64).reshape(len(PLACES), len(ANSWERS), 2)
        only_intent = Decoy(
            "searching-sells",
            "Those asked on a result page buy more, but not because they searched: of equal answers they buy "
            "alike.",
            row={"breakdown": "search"},
        )

        def truth(name: str, sentence: str, step: str, users: Ints) -> Truth:
            return Truth(
                name,
                sentence,
                f'workbench funnel --step "{step}" --step order_paid --window 30m --by asked_on',
                expected=tuple(
                    Expect({"breakdown": place, "step": level + 1}, "users", int(users[code, level]))
                    for code, place in enumerate(PLACES)
                    for level in (0, 1)
                ),
                decoys=(only_intent,),
            )

        return [
            truth(
                "searchers-buy-more",
                "People asked what they came for buy more often where they were asked on a result page: more "
                "of them came to buy.",
                "visit_survey",
                of.sum(axis=1),
            ),
            *(
                truth(
                    f"searchers-came-to-{answer}",
                    f"Of those who say they came to {answer}, searchers buy as often as others.",
                    f"visit_survey: answer = '{answer}'",
                    of[:, code],
                )
                for code, answer in enumerate(ANSWERS)
            ),
        ]


_Steps = Callable[[int, int], tuple[Expect, ...]]
"""The people of each step of a funnel, from its first mark and their number."""


def _came_to_buy(word: Words) -> Bools:
    """What people invited to the survey say, from their visit's draw 0."""
    return chance(word, 32, CELLS * 2 // 5)
