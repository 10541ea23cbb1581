"""How many events of each name there are."""

from __future__ import annotations

from typing import ClassVar

from workbench.demo.rows import EVENTS
from workbench.demo.statements import Expect, Truth
from workbench.demo.topics.base import Counted, Topic


class CatalogueOfEvents(Topic):
    """What every other topic adds up to."""

    name: ClassVar[str] = "events"
    number: ClassVar[int] = 0

    def truths(self, counted: Counted) -> list[Truth]:
        """How often each event happens; those outside the shop's own export are their topic's."""
        counts = dict(zip(EVENTS, counted.ledger.by_event.tolist(), strict=True))
        return [
            Truth(
                "events",
                "Every event of the shop, and how many of each.",
                "workbench events",
                expected=tuple(
                    Expect({"event": name}, "events", count) for name, count in counts.items() if count
                ),
            )
        ]
