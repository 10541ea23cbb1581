"""Home slots: what the home page shows and who clicks it.

``flash_sale`` is clicked by many who hardly buy, ``brand_zone`` by few who do. ``new_arrivals`` (the decoy) has
many clicks because it mostly stands first: at the first position every slot but those two does as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from workbench.demo import rows
from workbench.demo.draws import Ints, chance, derived, picked, table, within
from workbench.demo.ledger import Marks, device_key
from workbench.demo.rows import Part
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.tables import Column, named
from workbench.demo.topics.base import Counted, Topic, World
from workbench.demo.waves import Wave

EXPOSURE = rows.declare_event("slot_exposure", "home")
CLICK = rows.declare_event("slot_click", "home")
SLOTS = ("new_arrivals", "flash_sale", "live_entry", "brand_zone")
_NEW, _FLASH, _LIVE, _BRAND = range(len(SLOTS))
_USUAL = np.array((_NEW, _FLASH, _LIVE, _BRAND), dtype=np.int64)
"""Which slot stands at each position; on every other day one of the others is on top, in turn."""
_SEEN = table((45, 30, 15, 10))
"""How far down the home page is seen."""
_BY_POSITION = np.array((9_000, 4_500, 2_600, 1_600), dtype=np.int64)
"""Chance of a click in 65536ths."""
_IF_IDLE = np.array((100, 280, 100, 40), dtype=np.int64)
_IF_PAID = np.array((100, 30, 100, 2_000), dtype=np.int64)
"""Per cent of that, by slot, in visits that do not pay and in those that do."""
_WINDOW = 30 * 60_000
"""Shorter than what lies between two sessions of a person."""
_SHOWN, _CLICKED, _BOUGHT, _ON_TOP, _TOP_CLICKED = range(0, 20, 4)
"""First of the marks of each kind; plus the slot."""


class Slots(Topic):
    """The first home view of a visit shows slots from the top; one of them may be clicked."""

    name: ClassVar[str] = "slots"
    number: ClassVar[int] = 6
    columns: ClassVar[tuple[Column, ...]] = (named("slot", SLOTS),)
    roles: ClassVar[Mapping[str, str]] = {"exposure": "slot_exposure"}

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._marks = Marks()

    def wave(self, wave: Wave) -> None:
        """Inserts exposures behind the first home view of each session, and a click behind some."""
        part = wave.part()
        home = np.flatnonzero(wave.rows.event == rows.HOME)
        session, which = np.unique(part.session[home], return_index=True)
        home = home[which]
        word = self.draw(wave.visits.word[session], 0)
        seen = picked(_SEEN, word, 0) + 1
        origin, position = within(seen)
        slot = np.roll(_USUAL, wave.day // 2 % 3 + 1 if wave.day % 2 else 0)[position]
        pays = wave.paid.is_paid[session][origin]
        cells = _BY_POSITION[position] * np.where(pays, _IF_PAID[slot], _IF_IDLE[slot]) // 100
        clicked = chance(derived(word[origin], position), 0, cells)
        clicked &= np.cumsum(clicked) - (np.cumsum(clicked) - clicked)[_starts(seen)][origin] == 1
        # An exposure each, and behind the last of them the click: the slot of the only clicked one.
        click = np.full(len(home), -1, dtype=np.int64)
        click[origin[clicked]] = np.flatnonzero(clicked)
        clicks = click[click >= 0]
        after = np.concatenate([home[origin], home[origin[clicks]]])
        order = np.argsort(after, kind="stable")
        wave.insert(
            after[order],
            np.repeat((EXPOSURE, CLICK), (len(origin), len(clicks)))[order],
            np.repeat((60, 1_500), (len(origin), len(clicks)))[order],
            {
                "slot": np.concatenate([slot, slot[clicks]])[order],
                "position": np.concatenate([position, position[clicks]])[order] + 1,
            },
        )

    def note(self, part: Part) -> None:
        """Marks who was shown, who clicked, and who bought in the same visit."""
        out = part.rows
        pays = part.follows(out.event == CLICK, out.event == rows.PAID, _WINDOW)
        for event, kinds in ((EXPOSURE, (_SHOWN, _ON_TOP)), (CLICK, (_CLICKED, _TOP_CLICKED))):
            which = np.flatnonzero(out.event == event)
            key, slot = device_key(out, which), out.column("slot")[which]
            top = out.position[which] == 1
            self._marks.add(key, kinds[0] + slot)
            self._marks.add(key[top], kinds[1] + slot[top])
            if event == CLICK and len(which):
                bought = pays[part.session[which]]
                self._marks.add(key[bought], _BOUGHT + slot[bought])

    def truths(self, counted: Counted) -> list[Truth]:
        """Clicks and money by slot, and clicks at equal position."""

        def expect(first: int, second: int) -> tuple[Expect, ...]:
            return tuple(
                Expect(
                    {"breakdown": name, "step": step}, "users", self._marks.count(kind + slot, counted.logged)
                )
                for slot, name in enumerate(SLOTS)
                for step, kind in ((1, first), (2, second))
            )

        rule = "--step slot_click --window 30m --hold slot --by slot"
        by_position = Decoy(
            "new-arrivals",
            "new_arrivals has many clicks because it mostly stands first; at the first position live_entry "
            "is clicked as often.",
            row={"breakdown": "new_arrivals"},
        )
        return [
            Truth(
                "slot-clicks",
                "How many people each home slot was shown to, and how many clicked it.",
                f"workbench funnel --step slot_exposure {rule}",
                expected=expect(_SHOWN, _CLICKED),
            ),
            Truth(
                "slot-clicks-on-top",
                "Where each slot stands first, flash_sale is clicked far more than the others, which are alike "
                "but for brand_zone.",
                f'workbench funnel --step "slot_exposure: position = 1" {rule}',
                expected=expect(_ON_TOP, _TOP_CLICKED),
                decoys=(by_position,),
            ),
            *(self._money(slot, counted) for slot in (_FLASH, _BRAND)),
        ]

    def _money(self, slot: int, counted: Counted) -> Truth:
        sentence = {
            _FLASH: "flash_sale has the most clicks for its place, and hardly anybody buys in the visit.",
            _BRAND: "brand_zone has few clicks, and a large part of those people buys in the visit.",
        }[slot]
        clicked, bought = (self._marks.count(kind + slot, counted.logged) for kind in (_CLICKED, _BOUGHT))
        return Truth(
            f"slot-revenue-{SLOTS[slot].replace('_', '-')}",
            sentence,
            f"workbench funnel --step \"slot_click: slot = '{SLOTS[slot]}'\" --step order_paid --window 30m",
            expected=(Expect({"step": 1}, "users", clicked), Expect({"step": 2}, "users", bought)),
            decoys=(Decoy("live-entry", "live_entry is clicked like others and sells like others."),),
        )


def _starts(group: Ints) -> Ints:
    """Where each group begins."""
    return np.cumsum(group) - group
