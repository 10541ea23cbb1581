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
from workbench.demo.people import PLATFORMS
from workbench.demo.shop import BLOCK, Shop
from workbench.demo.statements import Truth, toml_lines
from workbench.demo.topics.base import Counted, Topic, write_lines
from workbench.demo.topics.dirty import soil
from workbench.errors import QueryFailed, UsageError

SMALLEST = 5_000
LARGEST = 100_000_000
VERSION = 2
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
    dirty: bool = False,
) -> DemoSummary:
    """Writes a demo workspace into ``folder``: events, order lines, costs, products, truths, workbench.toml.

    ``events`` is met within 2 %. ``progress`` gets a fraction and the day at hand; ``check`` may raise to
    stop.
    ``block`` is how many people are simulated at once: it bounds memory and changes no row. ``dirty`` puts
    flaws into the data, and leaves of the truths those that hold in spite of them. Everything is
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
        summary = _simulate(Shop(staging, events, seed, block, dirty), folder, progress, check)
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
    shop: Shop, folder: Path, progress: Callable[[float, str], None], check: Callable[[], None]
) -> DemoSummary:
    def step(fraction: float, what: str) -> None:
        check()
        progress(fraction * 0.98, what)

    check()
    shop.run(step)
    check()
    counted = shop.counted()
    truths = shop.truths(counted)
    _write_people(shop.folder / "truth" / "people.parquet", shop, counted, check)
    tables.write(tables.product_table(), shop.folder / "products.parquet")
    for topic in shop.topics:
        topic.write(shop.folder, counted)
    events = shop.ledger.events
    if shop.dirty:
        truths, events = soil(shop.folder, shop.seed, truths, check)
    _write_truths(shop, truths, events)
    marker = {"demo": VERSION, "events": events, "requested": shop.events, "seed": shop.seed}
    marker |= {"dirty": True} if shop.dirty else {}
    write_lines(shop.folder / MARKER, [json.dumps(marker)])
    write_lines(shop.folder / _WORKSPACE, _workspace(shop.topics))
    return DemoSummary(
        folder=folder,
        events=events,
        orders=len(shop.ledger.orders().person),
        refunds=shop.ledger.refunds,
        sessions=shop.ledger.sessions,
        people=int(counted.seen.reshape(-1, 2).any(axis=1).sum()),
        first=shop.ledger.first,
        last=shop.ledger.last,
        truths=len(truths),
        seed=shop.seed,
        requested=shop.events,
        story=next(t.command for t in truths if t.name == "forced-login").removeprefix("workbench "),
    )


def _write_truths(shop: Shop, truths: list[Truth], events: int) -> None:
    header = [
        "# What this demo plants. `expected` names values of the command's JSON: the row where all of `row`",
        "# holds (`totals` when it is empty), and the key. `expected_ids` are the people it lists, exactly.",
        "schema = 1",
        f"version = {VERSION}",
        f"events = {events}",
        f"requested = {shop.events}",
        f"seed = {shop.seed}",
        f'from = "{days.name(0)}"',
        f'to = "{days.name(days.DAYS - 1)}"',
        f'timezone = "{days.ZONE}"',
    ]
    if shop.dirty:
        header += ["# Flaws are in the data: only what holds in spite of them stands here.", "dirty = true"]
    write_lines(shop.folder / "truths.toml", [*header, *toml_lines(truths)])


def _workspace(topics: list[Topic]) -> list[str]:
    roles = [f"{role} = {json.dumps(rule)}" for topic in topics for role, rule in topic.roles.items()]
    return [*_TOML.splitlines(), *roles, *(line for topic in topics for line in topic.workspace())]


def _write_people(path: Path, shop: Shop, counted: Counted, check: Callable[[], None]) -> None:
    """Who really used which device: a row for each person and device that came."""
    path.parent.mkdir(parents=True, exist_ok=True)
    platform = np.concatenate([shop.people.platform, *(actors.platform for actors in shop.actors)])
    family = np.zeros(len(platform), dtype=np.bool_)
    family[counted.family] = True
    used = np.flatnonzero(counted.seen).astype(np.int64)
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
                tables.user_ids(np.where(counted.logged[key], person, -1)),
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
