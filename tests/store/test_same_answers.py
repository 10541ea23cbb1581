"""Every question says the same with the store as without it: rows, totals, notes, people, whatever the path."""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from queries.kernels import lanes_fold
from tests.store.making import (
    OTHERS,
    ROLES,
    STEPS,
    TILLS,
    TOML,
    Saved,
    Shop,
    assert_same,
    assert_sound,
    compare,
    funnels,
    open_files,
    open_store,
    random_rows,
    segments,
    told,
)

SHOPS = int(os.environ.get("WORKBENCH_STORE_SHOPS", "2"))
"""Random shops of which everything is asked; raise it for a soak, with another seed."""
SEED = int(os.environ.get("WORKBENCH_STORE_SEED", "0"))

SCOPES: tuple[dict[str, Any], ...] = (
    {"who": "did('order') > 0"},
    {"who": "\"value\" = 'x' or did('cart', last 1d) = 0"},
    {"who": "channel = 'app' and did('view') >= 1"},
    {"unit": "session"},
    {"unit": "session", "session_gap": "3h"},
    {"unit": "order"},
    {"unit": "channel"},
    {"unit": "count"},
    {"unit": "session", "who": "did('order') > 0"},
    {"tz": "America/New_York"},
)
FILES_ONLY: tuple[dict[str, Any], ...] = ({"unit": "raw"}, {"as_of": "2026-03-01T12:00:00Z"})


def random_shop(folder: Path, seed: int) -> Shop:
    """Several sources, and several runs: one import of small batches, one or two more after it."""
    rng = random.Random(seed)
    shop = Shop(
        folder,
        has_fine=seed % 2 == 0,
        has_sequence=seed % 3 != 1,
        toml=TOML + (TILLS if seed % 3 == 0 else "") + ROLES,
    )
    segments(shop)
    for number in range(3):
        shop.write(f"shop/{number}.parquet", random_rows(rng, 60))
        if number == 0:
            shop.write("web/5.csv", random_rows(rng, 40))
            if TILLS in shop.toml:
                shop.write("tills/5.csv", random_rows(rng, 20))
                shop.write("tills/4.csv", random_rows(rng, 20))
            shop.update(chunk_rows=60)
    shop.write("web/4.csv", random_rows(rng, 10))
    shop.update(chunk_rows=60)
    return shop


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Shop]:
    @functools.cache
    def made(seed: int) -> Shop:
        return random_shop(tmp_path_factory.mktemp("shop"), seed)

    return made


@pytest.mark.parametrize("seed", range(SEED, SEED + SHOPS))
def test_every_question_says_the_same(seed: int, shops: Callable[[int], Shop]) -> None:
    shop = shops(seed)
    assert_sound(shop)
    paths = assert_same(shop, [*OTHERS, *funnels()])
    assert set(paths) == {"lanes", "store", "files"}
    assert paths.count("files") < len(paths) // 2


@pytest.mark.parametrize("seed", range(SEED, SEED + SHOPS))
def test_every_scope_says_the_same(seed: int, shops: Callable[[int], Shop]) -> None:
    rng = random.Random(seed)
    for scope in SCOPES:
        asked: list[tuple[str, Saved]] = [("funnel", {"steps": STEPS}), *rng.sample(funnels(), 3)]
        asked += [(report, saved) for report, saved in rng.sample(OTHERS, 4)]
        assert_same(shops(seed), [(report, dict(saved)) for report, saved in asked], **scope)
