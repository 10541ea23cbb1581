"""Import after import: files that come, change and go in any order, and a store that is that of the files."""

from __future__ import annotations

import itertools
import math
import os
import random
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from queries.question import Scope
from tests.store.making import (
    HOUR,
    ROLES,
    START,
    STEPS,
    TILLS,
    TOML,
    Row,
    Shop,
    assert_same,
    assert_sound,
    codes,
    compare,
    funnels,
    open_files,
    open_store,
    random_row,
    random_rows,
    segments,
    told,
)
from workbench import survey
from workbench.dataset import Dataset
from workbench.limits import limits
from workbench.runner import Task
from workbench.store import importing
from workbench.store.wanted import EVERY

WALKS = int(os.environ.get("WORKBENCH_STORE_WALKS", "3"))
"""Random histories of a store; raise it for a soak, with another seed."""
DAY = 24 * HOUR
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
    shop.want(*rng.choice(((), (EVERY,), ("x y", 'a"b', "combo"))))
    known: dict[str, int] = {}
    was_whole = True
    for _ in range(rng.randrange(3, 6)):
        did = ""
        for _ in range(rng.choice((1, 1, 2))):
            did += changed(shop, rng)
        imported = shop.update(chunk_rows=rng.choice((10, 40, 8_000_000)))
        was_whole = imported.is_whole
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
        assert_same(shop, [rng.choice(funnels()), ("users", {})])


# --- histories that were thought of ----------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A store of two sources, whose imports read only what changed."""
    monkeypatch.setattr(importing, "MOST_AGAIN", math.nan)
    monkeypatch.setattr(importing, "MOST_DEAD", 0)
    rng = random.Random(1)
    shop = Shop(tmp_path)
    segments(shop)
    shop.write("shop/5.parquet", random_rows(rng, 80))
    shop.write("web/5.csv", random_rows(rng, 20))
    shop.update(chunk_rows=40)
    return shop


def seen(hour: int, user: str | None, device: str | None, phone: str | None = None) -> Row:
    ids = {"user_id": user, "anonymous_id": device, "phone": phone}
    return {**random_row(random.Random(hour)), "ts": START + hour * HOUR, "event": "view", **ids}


def grown(shop: Shop, name: str, *rows: Row) -> None:
    """Imports one more file, and nothing else anew."""
    shop.write(f"shop/{name}.parquet", rows)
    assert not shop.update().is_whole
    assert_sound(shop)


def test_a_device_becomes_shared_and_is_one_persons_again(shop: Shop) -> None:
    grown(shop, "6", seen(1, None, "x"), seen(2, "a", "x"), seen(3, None, "x"))
    assert "02x" not in codes(shop)
    grown(shop, "7", seen(4, "b", "x"), seen(5, None, "x"))
    # An event that only those around it can name, before, between and behind them.
    for number, hour in enumerate((0, 2, 9)):
        grown(shop, f"4{number}", seen(hour, None, "x"))
    shop.remove("shop/7.parquet")
    shop.update()
    assert_sound(shop)
    shop.remove("shop/6.parquet")
    shop.update()
    assert_sound(shop)
    assert {"02x"} <= set(codes(shop)) and not {"00a", "00b"} & set(codes(shop))


def test_an_id_between_links_what_was_two_people(shop: Shop) -> None:
    grown(shop, "6", seen(1, None, "x"), seen(2, None, None, "y"))
    known = codes(shop)
    assert {"01y", "02x"} <= set(known)
    grown(shop, "7", seen(3, None, "x", "y"))
    assert codes(shop)["01y"] == known["01y"] and "02x" not in codes(shop)
    grown(shop, "8", seen(4, "a", None, "y"))
    assert not {"01y", "02x"} & set(codes(shop))
    shop.remove("shop/8.parquet")
    shop.update()
    assert_sound(shop)
    # Whoever comes back is somebody new: a code is given once.
    assert codes(shop)["01y"] not in known.values()


def test_a_question_that_is_open_answers_as_it_began(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [("funnel", {"steps": STEPS}), ("users", {}), *funnels()[1:9]]
    files = open_files(shop)
    expected = [told(files, *one) for one in asked]
    files.engine.close()
    held = open_store(shop)
    held.survey()
    asking = iter(zip(asked, expected, strict=True))

    class Interrupted(Task):
        """Asks a question whenever the import says how far it is."""

        def report(self, fraction: float | None, what: str) -> None:
            super().report(fraction, what)
            for question, answer in itertools.islice(asking, 1):
                compare(told(held, *question), answer, question)

    monkeypatch.setattr(importing, "MOST_RUNS", 1)
    rng = random.Random(2)
    for name in ("1", "9"):
        # Sorted before and behind the others: the places of all shift.
        shop.write(f"shop/{name}.parquet", random_rows(rng, 9))
        assert shop.update(Interrupted()).merged
    assert not list(asking)
    for question, answer in zip(asked, expected, strict=True):
        compare(told(held, *question), answer, question)
    held.engine.close()
    monkeypatch.undo()
    assert_sound(shop)


def test_a_time_after_tomorrow_comes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    row = {**seen(1, "late", "z"), "ts": int(now * 1000) + 5 * DAY}
    grown(shop, "6", row, seen(2, "soon", "z"))
    assert "00late" not in codes(shop)
    for days, is_there in ((1, False), (8, True)):
        clock = SimpleNamespace(time=lambda days=days: now + days * 86_400)
        monkeypatch.setattr(survey, "time", clock)
        dataset = Dataset(shop.workspace, Scope(), Task(), limits(None, 2))
        assert (dataset._stored is None) is is_there
        dataset.engine.close()
        imported = shop.update()
        assert imported.new_files == (1 if is_there else 0)
        assert_sound(shop)
        assert ("00late" in codes(shop)) is is_there


def test_a_file_of_the_same_size_and_time_is_another_file(shop: Shop) -> None:
    path = shop.folder / "web" / "5.csv"
    before, text = path.stat(), path.read_text("utf-8")
    assert "u1" in text
    path.write_text(text.replace("u1", "u7"), "utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    imported = shop.update()
    assert (imported.new_files, imported.gone_files) == (1, 1)
    assert_sound(shop)
    assert "00u7" in codes(shop)


def test_a_damaged_file_is_set_aside_until_it_is_whole(shop: Shop) -> None:
    rows = random_rows(random.Random(3), 400)
    shop.write("shop/6.parquet", rows)
    path = shop.folder / "shop" / "6.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    imported = shop.update()
    assert list(imported.manifest.damaged) and imported.manifest.damaged == open_damaged(shop)
    stored = open_store(shop)
    files = open_files(shop, damaged={path: next(iter(imported.manifest.damaged.values()))})
    for question in (("funnel", {"steps": STEPS}), ("users", {}), ("overview", {})):
        compare(told(stored, *question), told(files, *question), question)
    stored.engine.close()
    files.engine.close()
    shop.write("shop/6.parquet", rows)
    shop.update()
    assert_sound(shop)


def open_damaged(shop: Shop) -> dict[str, str]:
    """What an import of everything anew sets aside."""
    return dict(shop.update(anew=True).manifest.damaged)
