"""Orders at the tills of three stores: a second source, in which a phone number is all that names a buyer.

Some buyers are members of the app too. No event says so, and no id joins the two: to the identity rule they
are two people each, until a table of profiles links them. Who they are stands in ``truth/tills.csv``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import numpy as np

from workbench.demo import days
from workbench.demo.draws import CELLS, Ints, below, bits, chance, derived, lomax, picked, table, within
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.tables import user_ids
from workbench.demo.topics.base import Counted, Topic, World, write_lines

EVENT = "till_order"
STORES = ("上海淮海路店", "杭州湖滨店", "成都太古里店")
_STORE = table((5, 3, 2))
_PURCHASES = table((55, 25, 12, 8))
_FEN = lomax(12_000, 1500, 1_900, 300_000)
_OPEN, _CLOSED = 10 * 3_600_000, 21 * 3_600_000
_PAGE = 10_000
_SPREAD = 100_000_000


def buyers(world: World) -> int:
    """How many phone numbers buy at a till."""
    return max(world.events // 400, 60)


class Tills(Topic):
    """One buyer at the tills in four hundred events, sixty at least."""

    name: ClassVar[str] = "tills"
    number: ClassVar[int] = 18
    buyer: Ints

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.word = self.stream(buyers(world))
        self.buyer, nth = within(picked(_PURCHASES, self.draw(self.word, 0), 0) + 1)
        self._order = derived(self.draw(self.word, 1)[self.buyer], nth)
        day = below(self._order, 0, days.DAYS)
        clock = _OPEN + below(derived(self._order, 0), 0, _CLOSED - _OPEN) // 1000 * 1000
        self._ts = days.midnight(0) + day * days.MS_DAY + clock

    def _paid_at(self, counted: Counted) -> Ints:
        """When each order is paid; the newest with the shop's last event, so that both sources end alike."""
        ts = self._ts.copy()
        ts[np.argmax(ts)] = counted.ledger.last // 1000 * 1000
        return ts

    def members(self, counted: Counted) -> Ints:
        """For each buyer the person of the crowd who logged in to the shop, or −1: one in three."""
        users = np.flatnonzero(counted.logged.reshape(-1, 2)[: self.world.people.count].any(axis=1))
        count = min(len(self.word) // 3, len(users))
        person = np.full(len(self.word), -1, dtype=np.int64)
        person[:count] = users[:: max(len(users) // max(count, 1), 1)][:count]
        return person

    def write(self, folder: Path, counted: Counted) -> None:
        """``tills/tills.csv``, times on the clock of Shanghai with its offset, and ``truth/tills.csv``."""
        write_lines(folder / "tills" / "tills.csv", self._lines(self._paid_at(counted)))
        mobile, person = _phones(np.arange(len(self.word), dtype=np.int64)), self.members(counted)
        known = np.flatnonzero(person >= 0)
        pairs = zip(known.tolist(), user_ids(person[known]).to_pylist(), strict=True)
        write_lines(
            folder / "truth" / "tills.csv",
            ["mobile,user_id", *(f"{mobile[number]},{user}" for number, user in pairs)],
        )

    def _lines(self, paid_at: Ints) -> Iterator[str]:
        yield "receipt,paid_at,store,mobile,pieces,total_cny"
        order = np.lexsort((self.buyer, paid_at))
        for start in range(0, len(order), _PAGE):
            which = order[start : start + _PAGE]
            word = derived(self._order[which], 1)
            columns = (
                which, paid_at[which], picked(_STORE, word, 0), self.buyer[which],
                1 + chance(word, 16, CELLS // 4), _FEN[bits(word, 32)],
            )  # fmt: skip
            phones = _phones(columns[3])
            for at, (receipt, ts, store, _, pieces, fen) in enumerate(
                zip(*(column.tolist() for column in columns), strict=True)
            ):
                clock = datetime.fromtimestamp(ts / 1000, UTC) + timedelta(hours=8)
                yield (
                    f"t{receipt:08d},{clock:%Y-%m-%dT%H:%M:%S}+08:00,{STORES[store]},{phones[at]},{pieces},"
                    f"{fen // 100}.{fen % 100:02d}"
                )

    def workspace(self) -> list[str]:
        """The second source, mapped by hand."""
        return [
            "",
            "[[source]]",
            'name = "tills"',
            'path = "tills/*.csv"',
            f'event = {{ constant = "{EVENT}" }}',
            "[source.map]",
            'ts = "paid_at"',
            'event_id = "receipt"',
            'order_id = "receipt"',
            '"ids.phone" = "mobile"',
            'quantity = "pieces"',
            'amount = "total_cny"',
        ]

    def truths(self, counted: Counted) -> list[Truth]:
        """Buyers by phone, their second orders, and that no event joins them to the shop."""
        paid_at = self._paid_at(counted)
        by_phone = np.lexsort((paid_at, self.buyer))
        buyer, ts = self.buyer[by_phone], paid_at[by_phone]
        again = (buyer[1:] == buyer[:-1]) & (ts[1:] - ts[:-1] <= 30 * days.MS_DAY)
        members = int((self.members(counted) >= 0).sum())
        both = Decoy(
            "members",
            f"{members} of them are users of the shop too (truth/tills.csv), which no event says: nobody "
            "may be guessed to be one.",
        )
        return [
            Truth(
                "till-orders",
                "So many orders are paid at a till, by so many phone numbers.",
                "workbench events",
                expected=(
                    Expect({"event": EVENT}, "events", len(ts)),
                    Expect({"event": EVENT}, "users", len(self.word)),
                ),
                decoys=(both,),
            ),
            Truth(
                "till-repurchase",
                "So many people buy at a till, and so many of them again there within 30 days.",
                f"workbench funnel --step {EVENT} --step {EVENT} --window 30d",
                expected=(
                    Expect({"step": 1}, "users", len(self.word)),
                    Expect({"step": 2}, "users", len(np.unique(buyer[1:][again]))),
                ),
            ),
            Truth(
                "till-islands",
                "By their ids nobody buys both in the shop and at a till.",
                f"workbench funnel --order any --step {EVENT} --step order_paid --window none",
                expected=(Expect({"step": 2}, "users", 0),),
                decoys=(both,),
            ),
        ]


def _phones(number: Ints) -> list[str]:
    """Eleven digits that no operator has given out: numbers beginning with 100."""
    return [f"100{one:08d}" for one in ((number * 60_662_149 + 41_000_003) % _SPREAD).tolist()]
