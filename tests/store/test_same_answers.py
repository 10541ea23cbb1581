"""Every question says the same with the store as without it: rows, totals, notes, people, whatever the path."""

from __future__ import annotations

import functools
import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from queries.funnel import answer
from queries.kernels import lanes_fold
from queries.question import Scope
from tests.oracles.funnel import Event, funnel, random_users
from tests.queries.test_funnel_rules import asked, name_of, random_options, write
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
from workbench.dataset import Dataset
from workbench.limits import limits
from workbench.runner import Task
from workbench.store import importing
from workbench.store.importing import Rules
from workbench.store.updating import update_store
from workbench.store.wanted import EVERY
from workbench.survey import junk_ids, valid_times
from workbench.workspace import load

SHOPS = int(os.environ.get("WORKBENCH_STORE_SHOPS", "2"))
"""Random shops of which everything is asked; raise it for a soak, with another seed."""
RULES = int(os.environ.get("WORKBENCH_STORE_RULES", "6"))
"""Random funnels held to the oracle."""
SEED = int(os.environ.get("WORKBENCH_STORE_SEED", "0"))

FEW = 2
T = TypeVar("T")

SCOPES: tuple[dict[str, Any], ...] = (
    {"who": "did('order') > 0"},
    {"who": "\"channel\" = 'web' or did('cart') = 0"},
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


def mine(everything: Sequence[T], seed: int) -> Sequence[T]:
    """What one of a few shops is asked; of a soak's each is asked everything."""
    return everything if SHOPS > FEW else everything[seed % FEW :: FEW]


def random_shop(folder: Path, seed: int) -> Shop:
    """Several sources, and several runs: one import of small batches, one or two more after it."""
    rng = random.Random(seed)
    shop = Shop(
        folder,
        has_fine=seed % 2 == 0,
        has_sequence=seed % 3 != 1,
        is_bare=seed % 4 == 1,
        toml=TOML + (TILLS if seed % 3 == 0 else "") + ROLES,
    )
    segments(shop)
    # Some of the properties are kept in runs, the others are read from files.
    shop.want(*{0: ("value", "combo", "key", "c0", "x y"), 3: (EVERY,)}.get(seed % 4, ()))
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
    paths = assert_same(shop, mine([*OTHERS, *funnels()], seed))
    assert set(paths) >= {"lanes", "store"}
    assert paths.count("files") < len(paths) // 2


@pytest.mark.parametrize("seed", range(SEED, SEED + SHOPS))
def test_every_scope_says_the_same(seed: int, shops: Callable[[int], Shop]) -> None:
    rng = random.Random(seed)
    for scope in mine(SCOPES, seed):
        some: list[tuple[str, Saved]] = [("funnel", {"steps": STEPS}), rng.choice(funnels())]
        assert_same(shops(seed), [*some, *rng.sample(OTHERS, 2)], **scope)


@pytest.mark.parametrize("scope", FILES_ONLY)
def test_what_the_store_cannot_say_is_read_from_files(
    scope: dict[str, Any], shops: Callable[[int], Shop]
) -> None:
    shop = shops(SEED)
    dataset = Dataset(shop.workspace, Scope(**scope), Task(), limits(None, 2))
    other = open_files(shop, **scope)
    for question in (("funnel", {"steps": STEPS}), ("overview", {})):
        compare(told(dataset, *question), told(other, *question), question)
    assert dataset._stored is None
    dataset.engine.close()
    other.engine.close()


@pytest.mark.parametrize(("threads", "keys"), [(1, 1), (2, 12), (3, 40)])
def test_blocks_and_threads_change_nothing(
    threads: int, keys: int, shops: Callable[[int], Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = shops(SEED)
    monkeypatch.setattr(lanes_fold.fold, "__kwdefaults__", {"threads": 1, "block_keys": keys})
    stored, files = open_store(shop, threads), open_files(shop)
    lanes = 0
    for saved in random.Random(keys).sample(funnels(), 12):
        compare(told(stored, *saved), told(files, *saved), saved)
        lanes += stored.stats()["path"] == "lanes"
    assert lanes
    stored.engine.close()
    files.engine.close()


# --- against the oracle -----------------------------------------------------------------------------------------

ORACLE_TOML = 'schema = 1\n[[source]]\nname = "d"\npath = "d/*.parquet"\n'


@pytest.mark.parametrize("seed", range(SEED, SEED + RULES))
def test_funnels_of_a_store_equal_the_oracle(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MOST_AGAIN", math.nan)
    rng = random.Random(seed)
    options = random_options(rng)
    end = options.as_of or 0
    events = [event for mine in random_users(rng, options, users=12) for event in mine if event.ts <= end]
    # Somebody whose only event is the newest of all says until when there is data.
    events.append(Event(99, end, 10_000))
    names = sorted({name_of(event) for event in events})
    wanted = asked(options, names, tmp_path / "d", "colour" if seed % 3 else None)
    wanted = replace(wanted, scope=replace(wanted.scope, data=(), as_of=None))
    write(tmp_path / "d", events)
    (tmp_path / "workbench.toml").write_text(ORACLE_TOML, "utf-8")
    workspace = load(tmp_path)
    rules = Rules(junk_ids(workspace), valid_times(workspace), chunk_rows=30)
    # The second half comes by an import of its own.
    late = tmp_path / "b.parquet"
    (tmp_path / "d" / "b.parquet").rename(late)
    update_store(workspace, Task(), rules=rules)
    late.rename(tmp_path / "d" / "b.parquet")
    assert not update_store(workspace, Task(), rules=rules).is_whole
    dataset = Dataset(workspace, wanted.scope, Task(), limits(None, 2))
    result = answer(wanted, dataset)
    assert dataset.stats()["path"] in ("lanes", "store", "files")
    assert dataset._stored is not None
    oracle = funnel(events, options)
    total = [row for row in result.rows if row["is_total"]]
    assert [(row["users"], row["dropped"], row["open"], row["skipped"]) for row in total] == [
        (row.n, row.dropped, row.open, row.skipped) for row in oracle.rows
    ], options
    for value, expected in oracle.rows_by_value().items() if wanted.scope.by else ():
        mine = [row for row in result.rows if not row["is_total"] and row["breakdown"] == value]
        assert [(row["users"], row["dropped"], row["open"]) for row in mine] == [
            (row.n, row.dropped, row.open) for row in expected
        ], (options, value)
    dataset.engine.close()
