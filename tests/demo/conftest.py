"""The shop that the topics' tests read, written once; larger ones where a truth needs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.shop import WrittenShop
from workbench.demo import write_demo

EVENTS = 60_000


@pytest.fixture(scope="session")
def shop_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], WrittenShop]:
    """A clean shop of a size, each size written once."""
    made: dict[int, WrittenShop] = {}
    root: Path = tmp_path_factory.mktemp("shops")

    def of(events: int) -> WrittenShop:
        if events not in made:
            write_demo(root / str(events), events=events)
            made[events] = WrittenShop(root / str(events))
        return made[events]

    return of


@pytest.fixture(scope="session")
def shop(shop_of: Callable[[int], WrittenShop]) -> WrittenShop:
    """The shop of 60,000 events, in which the truths that say no other size hold."""
    return shop_of(EVENTS)
