"""Import after import: files that come, change and go in any order, and a store that is that of the files."""

from __future__ import annotations

import math
import os
import random
from pathlib import Path

import pytest

from tests.store.making import (
    ROLES,
    STEPS,
    TILLS,
    TOML,
    Shop,
    assert_same,
    assert_sound,
    codes,
    funnels,
    random_rows,
    segments,
)
from workbench.store import importing

WALKS = int(os.environ.get("WORKBENCH_STORE_WALKS", "6"))
"""Random histories of a store; raise it for a soak, with another seed."""
LOG = os.environ.get("ADVLOG")
SEED = int(os.environ.get("WORKBENCH_STORE_SEED", "0"))


def changed(shop: Shop, rng: random.Random) -> str:
    """One change to the files, as a night brings it."""
    there = sorted(shop.files)
    what = rng.choice(("new", "new", "new", "replaced", "removed", "renamed", "link", "nothing", "swapped"))
    if what in ("new", "link") or len(there) < 2:
        kind = rng.choice(("shop", "shop", "web", "tills" if TILLS in shop.toml else "web"))
        ending = "parquet" if kind == "shop" else "csv"
        # Between the others in the order of names, too.
        name = f"{kind}/{rng.randrange(1000):03}.{ending}"
        rows = random_rows(rng, rng.choice((0, 1, 3, 25)) if kind == "shop" else rng.choice((1, 3, 25)))
        if what == "link":
            rows = [{**row, "user_id": "u1", "anonymous_id": f"d{rng.randrange(9)}"} for row in rows[:2]]
        shop.write(name, rows or random_rows(rng, 1))
        return f"{what} {name}"
    # A source without any file is no data at all.
    several = [one for one in there if sum(each[:3] == one[:3] for each in there) > 1]
    if not several:
        return "nothing"
    name = rng.choice(several)
    rows = shop.files[name]
    if what == "replaced":
        shop.write(name, [*rng.sample(rows, len(rows) // 2), *random_rows(rng, 3)])
    elif what == "removed":
        shop.remove(name)
    elif what == "renamed":
        kind, _, rest = name.partition("/")
        os.rename(shop.folder / name, shop.folder / kind / f"z{rest}")
        shop.files[f"{kind}/z{rest}"] = shop.files.pop(name)
    elif what == "swapped":
        other = rng.choice([one for one in there if one.partition("/")[0] == name.partition("/")[0]])
        both = shop.files[name], shop.files[other]
        shop.write(name, both[1])
        shop.write(other, both[0])
    return f"{what} {name}"


def started(folder: Path, rng: random.Random) -> Shop:
    shop = Shop(
        folder,
        has_fine=rng.random() < 0.5,
        has_sequence=rng.random() < 0.5,
        toml=TOML + (TILLS if rng.random() < 0.4 else "") + ROLES,
    )
    segments(shop)
    for number in range(2):
        shop.write(f"shop/5{number}.parquet", random_rows(rng, 60))
    shop.write("web/500.csv", random_rows(rng, 20))
    if TILLS in shop.toml:
        shop.write("tills/500.csv", random_rows(rng, 10))
    return shop


@pytest.mark.parametrize("seed", range(SEED, SEED + WALKS))
def test_after_any_history_the_store_is_that_of_the_files(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(importing, "MOST_RUNS", rng.choice((1, 2, 8)))
    monkeypatch.setattr(importing, "MOST_DEAD", rng.choice((0, 4)))
    # What is not a number is neither more nor less than a share: then everything is never read again.
    monkeypatch.setattr(importing, "MOST_AGAIN", rng.choice((math.nan, math.nan, 2)))
    shop = started(tmp_path, rng)
    known: dict[str, int] = {}
    was_whole = True
    for _ in range(rng.randrange(3, 7)):
        did = ""
        for _ in range(rng.choice((1, 1, 2))):
            did += changed(shop, rng)
        imported = shop.update(chunk_rows=rng.choice((10, 40, 8_000_000)))
        was_whole = imported.is_whole
        if LOG: print(seed, did, imported.new_files, imported.gone_files, imported.again, imported.affected, imported.is_whole, imported.merged, len(imported.manifest.runs), file=open(LOG,"a"))
        assert_sound(shop)
        now = codes(shop)
        if not was_whole:
            assert {key: code for key, code in now.items() if key in known} == {
                key: code for key, code in known.items() if key in now
            }, did
            # No code is given to somebody else.
            others = {code for key, code in known.items() if key not in now}
            assert not others & set(now.values()), did
        known = now
        assert_same(shop, [rng.choice(funnels()), ("users", {}), ("funnel", {"steps": STEPS})])
