"""Writes a demo workspace whole or not at all, and says what is in it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.demo import days, tables
from workbench.demo.costs import cost_lines
from workbench.demo.people import PLATFORMS
from workbench.demo.shop import BLOCK, Shop
from workbench.demo.statements import toml_lines
from workbench.demo.truths import Counted, all_truths
from workbench.errors import QueryFailed, UsageError

SMALLEST = 5_000
LARGEST = 100_000_000
VERSION = 1
"""Of the rows: the same version, size and seed give the same rows."""
MARKER = ".workbench-demo.json"
_STAGING = ".writing-"
_WORKSPACE = "workbench.toml"

_TOML = """\
# A demo shop, made by `workbench demo`: simulated people, made-up products. What is planted in it stands in
# truths.toml; truth/ is for checking answers and is no source.
schema = 1
timezone = "Asia/Shanghai"

[[source]]
name = "shop"
path = "events/**/*.parquet"

[[source]]
name = "items"
kind = "items"
path = "items/*.parquet"

[roles]
search = "search"
click = "search_click"
view = "product_view"
add = "add_to_cart"
remove = "remove_from_cart"
checkout = "checkout"
order = "order_paid"
refund = "refund"
login = "login"
share = "share"
"""


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """What was written."""

    folder: Path
    events: int
    orders: int
    refunds: int
    sessions: int
    people: int
    """Simulated people who came at least once."""
    first: int
    """UTC ms of the first event."""
    last: int
    truths: int
    seed: int
    requested: int
    story: str
    """What to type after ``workbench -C DIR`` to find the cart lost at a forced login."""


def _silent(fraction: float, what: str) -> None:
    """Progress nobody watches."""


def _unhindered() -> None:
    """A check that lets everything pass."""


def write_demo(
    folder: Path,
    *,
    events: int = 200_000,
    seed: int = 7,
    progress: Callable[[float, str], None] = _silent,
    check: Callable[[], None] = _unhindered,
    block: int = BLOCK,
) -> DemoSummary:
    """Writes a demo workspace into ``folder``: events, order lines, costs, products, truths, workbench.toml.

    ``events`` is met within 2 %. ``progress`` gets a fraction and the day at hand; ``check`` may raise to
    stop.
    ``block`` is how many people are simulated at once: it bounds memory and changes no row. Everything is
    made in a hidden folder inside and moved into place at the end, ``workbench.toml`` last; files that the
    demo did not write stay.

    Raises UsageError for a size out of bounds or a folder with other things in it, QueryFailed when the disk
    refuses.
    """
    if not SMALLEST <= events <= LARGEST:
        raise UsageError(
            f"--events {events}: a demo has {SMALLEST:,} to {LARGEST:,} events", "try --events 200000"
        )
    if not 0 <= seed < 1 << 32:
        raise UsageError(f"seed {seed}: a seed is a whole number from 0 to 4294967295")
    _refuse_foreign(folder)
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(f"{_STAGING}*"):
            shutil.rmtree(stale)
        staging = folder / f"{_STAGING}{os.getpid()}-{secrets.token_hex(4)}"
        staging.mkdir()
    except OSError as error:
        raise QueryFailed(
            f"{folder}: cannot write here: {error.strerror}", "choose another folder"
        ) from error
    try:
        summary = _simulate(staging, folder, events, seed, block, progress, check)
        _move_in(staging, folder)
    except OSError as error:
        message = f"{folder}: the demo could not be written: {error.strerror or error}"
        raise QueryFailed(message, "free disk space, or fewer --events") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if made and not any(folder.iterdir()):
            folder.rmdir()
    progress(1.0, "done")
    return summary


def _refuse_foreign(folder: Path) -> None:
    """Raises unless the folder is absent, empty, an earlier demo, or what an interrupted one left."""
    hint = "choose an empty folder, or one that `workbench demo` made"
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: not a folder", hint)
    try:
        entries = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror}", hint) from error
    foreign = {name for name in entries if not name.startswith(_STAGING)}
    if foreign and MARKER not in foreign:
        raise UsageError(f"{folder}: holds other files ({len(foreign)}), so no demo is written there", hint)


def _simulate(
    staging: Path,
    folder: Path,
    events: int,
    seed: int,
    block: int,
    progress: Callable[[float, str], None],
    check: Callable[[], None],
) -> DemoSummary:
    def step(fraction: float, what: str) -> None:
        check()
        progress(fraction * 0.98, what)

    check()
    shop = Shop(staging, events, seed, block)
    shop.run(step)
    check()
    seen, logged = shop.seen(), shop.logged()
    family = np.flatnonzero(shop.people.family).astype(np.int64)
    counted = Counted(shop.ledger, shop.planted, logged, seen, family)
    truths = all_truths(counted)
    _write_people(staging / "truth" / "people.parquet", shop, check)
    tables.write(tables.product_table(), staging / "products.parquet")
    header = [
        "# What this demo plants. `expected` names values of the command's JSON: the row where all of `row`",
        "# holds (`totals` when it is empty), and the key. `expected_ids` are the people it lists, exactly.",
        "schema = 1",
        f"version = {VERSION}",
        f"events = {shop.ledger.events}",
        f"requested = {events}",
        f"seed = {seed}",
        f'from = "{days.name(0)}"',
        f'to = "{days.name(days.DAYS - 1)}"',
        f'timezone = "{days.ZONE}"',
    ]
    _write_text(staging / "truths.toml", [*header, *toml_lines(truths)])
    _write_text(staging / "costs.csv", cost_lines(shop.ledger))
    marker = {"demo": VERSION, "events": shop.ledger.events, "requested": events, "seed": seed}
    _write_text(staging / MARKER, [json.dumps(marker)])
    (staging / _WORKSPACE).write_text(_TOML, encoding="utf-8", newline="\n")
    return DemoSummary(
        folder=folder,
        events=shop.ledger.events,
        orders=int(shop.ledger.orders.sum()),
        refunds=shop.ledger.refunds,
        sessions=shop.ledger.visits,
        people=int(seen.reshape(-1, 2).any(axis=1).sum()),
        first=shop.ledger.first,
        last=shop.ledger.last,
        truths=len(truths),
        seed=seed,
        requested=events,
        story=next(t.command for t in truths if t.name == "forced-login").removeprefix("workbench "),
    )


def _write_text(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _write_people(path: Path, shop: Shop, check: Callable[[], None]) -> None:
    """Who really used which device: a row for each person and device that came."""
    path.parent.mkdir(parents=True, exist_ok=True)
    people, planted = shop.people, shop.planted
    platform = np.concatenate([people.platform, np.zeros(len(planted.person), dtype=np.int64)])
    family = np.concatenate([people.family, np.zeros(len(planted.person), dtype=np.bool_)])
    logged = shop.logged()
    used = np.flatnonzero(shop.seen()).astype(np.int64)
    schema = pa.schema(
        [("person", pa.int32()), ("anonymous_id", pa.string()), ("user_id", pa.string()),
         ("platform", pa.string()), ("family", pa.bool_())]
    )  # fmt: skip
    with pq.ParquetWriter(path, schema, compression="zstd", store_schema=False) as writer:
        for start in range(0, len(used), BLOCK):
            check()
            key = used[start : start + BLOCK]
            person, second = key >> 1, key & 1
            home = np.where(family[person], person & ~1, person)
            names = pa.DictionaryArray.from_arrays(
                pa.array(np.where(second == 1, 1, platform[home]).astype(np.int32)), pa.array(list(PLATFORMS))
            )
            columns = [
                pa.array(person.astype(np.int32)),
                tables.device_ids(home * 2 + second),
                tables.user_ids(np.where(logged[key], person, -1)),
                names.dictionary_decode(),
                pa.array(family[person]),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _move_in(staging: Path, folder: Path) -> None:
    """Puts the finished entries in place of earlier ones, the workspace file first out and last in."""
    (folder / _WORKSPACE).unlink(missing_ok=True)
    names = sorted(entry.name for entry in staging.iterdir())
    for name in [MARKER, *(n for n in names if n not in (MARKER, _WORKSPACE)), _WORKSPACE]:
        target = folder / name
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        (staging / name).replace(target)
