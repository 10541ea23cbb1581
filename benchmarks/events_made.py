"""Events of a made-up shop for benchmarks: any number of them, fast, and the same for a seed.

Daily Parquet files of people with Zipf activity (about 47 events each, the most active thousands), sessions of a
Markov chain over the demo's event names, devices with at most one login each. No person has two events at one time,
so that engines which read equal times differently must agree to the last person.

    python benchmarks/events_made.py /tmp/bench50m --events 50000000
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DAY_MS = 86_400_000
FIRST_DAY = datetime(2026, 3, 1, tzinfo=UTC)
EVENTS_A_PERSON = 47
_ACTIVITY = 0.9
"""Exponent of activity over rank; ranks are shifted so that the most active have thousands of events, not all."""

EVENTS = (
    *("page_view", "list_view", "search", "search_click", "product_view", "add_to_cart"),
    *("remove_from_cart", "view_cart", "checkout", "order_paid", "login", "share"),
)
PAGE, LIST, SEARCH, CLICK, VIEW, ADD, REMOVE, CART, CHECKOUT, ORDER, LOGIN, SHARE, END = range(13)
_NEXT: dict[int, dict[int, float]] = {
    PAGE: {PAGE: 0.12, LIST: 0.20, SEARCH: 0.22, VIEW: 0.28, LOGIN: 0.03},
    LIST: {LIST: 0.15, SEARCH: 0.10, VIEW: 0.55, PAGE: 0.05},
    SEARCH: {SEARCH: 0.12, CLICK: 0.62, LIST: 0.05, VIEW: 0.08},
    CLICK: {VIEW: 0.90, SEARCH: 0.06},
    VIEW: {PAGE: 0.10, LIST: 0.15, SEARCH: 0.12, VIEW: 0.30, ADD: 0.08, SHARE: 0.015},
    ADD: {CART: 0.30, VIEW: 0.35, SEARCH: 0.10, REMOVE: 0.05, CHECKOUT: 0.10},
    REMOVE: {CART: 0.40, VIEW: 0.30},
    CART: {CHECKOUT: 0.45, VIEW: 0.25, REMOVE: 0.05, LOGIN: 0.05},
    CHECKOUT: {ORDER: 0.60, LOGIN: 0.08, CART: 0.10},
    ORDER: {PAGE: 0.20, VIEW: 0.10},
    LOGIN: {PAGE: 0.40, CHECKOUT: 0.15, VIEW: 0.25},
    SHARE: {VIEW: 0.60},
}
"""What follows an event within a session; what is left to one ends it."""
_LONGEST_SESSION = 200

_CHANNELS = ("direct", "organic_search", "paid_search", "feed_ads", "content", "affiliate", "push")
_CHANNEL_SHARES = (0.40, 0.18, 0.14, 0.10, 0.09, 0.06, 0.03)
_PAID = np.array([False, False, True, True, False, True, False])
_PLATFORMS, _PLATFORM_SHARES = ("miniprogram", "app", "web"), (0.5, 0.3, 0.2)
_CATEGORIES = (
    "女装",
    "家居",
    "美妆",
    "零食",
    "运动鞋",
    "数码",
    "护肤",
    "箱包",
    "女鞋",
    "家电",
    "男装",
    "母婴",
)
_PRODUCTS, _TERMS, _CAMPAIGNS = 5_000, 2_000, 24
_OF_PRODUCT = (CLICK, VIEW, ADD, REMOVE, SHARE)
_LOGGED_IN, _SECOND_DEVICE = 55, 12
"""Per cent of people who ever log in, and of those who have two devices."""

_WORKSPACE = """# Events made for benchmarks by benchmarks/events_made.py.
schema = 1
timezone = "UTC"

[[source]]
name = "shop"
path = "events/*.parquet"

[roles]
search = "search"
click = "search_click"
view = "product_view"
add = "add_to_cart"
remove = "remove_from_cart"
checkout = "checkout"
order = "order_paid"
login = "login"
share = "share"
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many events over how many days, for one seed."""

    events: int
    days: int = 30
    seed: int = 7

    @property
    def people(self) -> int:
        """How many people there are to draw from; few of them never come."""
        return max(self.events // EVENTS_A_PERSON, 100)


def make(folder: Path, plan: Plan, *, workers: int = 2) -> None:
    """Writes ``events/DAY.parquet`` and, last, ``workbench.toml``; a finished folder is left as it is."""
    if (folder / "workbench.toml").exists():
        return
    (folder / "events").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        for _ in pool.map(_write_day, [folder] * plan.days, [plan] * plan.days, range(plan.days)):
            pass
    (folder / "workbench.toml").write_text(_WORKSPACE, "utf-8")


@dataclass(frozen=True, slots=True)
class _Population:
    """What all days share: activity of people, and the names of things."""

    activity: NDArray[np.float64]
    """Running sum of each person's share of the sessions."""
    has_login: Bools
    has_second: Bools


def _population(plan: Plan) -> _Population:
    rng = np.random.default_rng([plan.seed, 0])
    rank = rng.permutation(plan.people)
    weight = (rank + plan.people * 0.0005 + 1.0) ** -_ACTIVITY
    running = np.cumsum(weight)
    draw = rng.integers(0, 100, (2, plan.people))
    has_login = draw[0] < _LOGGED_IN
    return _Population(running / running[-1], has_login, has_login & (draw[1] < _SECOND_DEVICE))


def _transitions() -> tuple[NDArray[np.float64], float]:
    """Running sums of what follows each event, and the mean length of a session."""
    table = np.zeros((END, END + 1))
    for state, row in _NEXT.items():
        for following, share in row.items():
            table[state, following] = share
        table[state, END] = 1.0 - sum(row.values())
    visits = np.linalg.inv(np.eye(END) - table[:, :END])
    return np.cumsum(table, axis=1), float(visits[PAGE].sum())


@dataclass(frozen=True, slots=True)
class _Day:
    """The events of a day as integers, by time."""

    person: Ints
    session: Ints
    """Within the day."""
    state: Ints
    ms: Ints
    """Of the day."""
    logged: Bools
    """Whether the login is known."""


def _walk(rng: np.random.Generator, sessions: int) -> tuple[Ints, Ints]:
    """Session and state of every event, session by session, each from its first to its last."""
    running, _ = _transitions()
    alive, state = np.arange(sessions), np.full(sessions, PAGE)
    pieces: list[tuple[Ints, Ints]] = []
    for _ in range(_LONGEST_SESSION):
        pieces.append((alive, state))
        state = (rng.random(len(alive))[:, None] >= running[state]).sum(axis=1)
        on = state < END
        alive, state = alive[on], state[on]
        if not len(alive):
            break
    session = np.concatenate([one for one, _ in pieces])
    order = np.argsort(session, kind="stable")
    return session[order], np.concatenate([one for _, one in pieces])[order]


def _day_of(plan: Plan, population: _Population, day: int) -> _Day:
    rng = np.random.default_rng([plan.seed, 1, day])
    sessions = max(round(plan.events / plan.days / _transitions()[1]), 1)
    of_session = np.searchsorted(population.activity, rng.random(sessions), side="right")
    session, state = _walk(rng, sessions)
    person = of_session[session]
    state[(state == LOGIN) & ~population.has_login[person]] = PAGE
    starts = np.flatnonzero(np.diff(session, prepend=-1))
    gap = rng.exponential(25_000, len(session)).astype(np.int64) + 1
    ms = _within(gap, session, starts)
    length = np.append(ms[starts[1:] - 1], ms[-1])
    ms += (1_000 + rng.random(sessions) * (DAY_MS - 2_000 - length)).astype(np.int64)[session]
    known_from_start = (rng.random(sessions) < 0.75) & population.has_login[of_session]
    logged = known_from_start[session] | (_within((state == LOGIN).astype(np.int64), session, starts) > 0)
    # No two events of a person at one time: of equal ones the later ones move on by a millisecond.
    key = (person << 27) | ms
    order = np.argsort(key, kind="stable")
    place = np.arange(len(key))
    ms[order] = (np.maximum.accumulate(key[order] - place) + place) & ((1 << 27) - 1)
    order = np.argsort(ms, kind="stable")
    return _Day(person[order], session[order], state[order], ms[order], logged[order])


def _within(values: Ints, session: Ints, starts: Ints) -> Ints:
    """Running sums that begin anew with each session."""
    total = np.cumsum(values)
    before = total[starts] - values[starts]
    return total - before[session]


def _write_day(folder: Path, plan: Plan, day: int) -> None:
    population = _population(plan)
    found = _day_of(plan, population, day)
    rng = np.random.default_rng([plan.seed, 2, day])
    name = (FIRST_DAY + timedelta(days=day)).strftime("%Y-%m-%d")
    target = folder / "events" / f"{name}.parquet"
    part = target.with_suffix(".tmp")
    table = pa.table({**_ids(found, population, day), **_shop(found, day, rng)})
    pq.write_table(
        table, part, compression="zstd", compression_level=1, row_group_size=250_000, store_schema=False
    )
    part.rename(target)


def _ids(found: _Day, population: _Population, day: int) -> dict[str, Any]:
    """Who, when and what: ids of a person and of the device used in the session."""
    second = population.has_second[found.person] & (found.session % 10 < 3)
    ts = int(FIRST_DAY.timestamp() * 1000) + day * DAY_MS + found.ms
    return {
        "ts": pa.array(ts).cast(pa.timestamp("ms", "UTC")),
        "event": _named(EVENTS, found.state),
        "user_id": _numbered("u", found.person + 10_000_000, found.logged),
        "anonymous_id": _numbered("a", found.person * 2 + second + 100_000_000),
        "session_id": _numbered("s", (day + 100) * 100_000_000 + found.session),
    }


def _shop(found: _Day, day: int, rng: np.random.Generator) -> dict[str, Any]:
    """What an event was about, by the kind of the event; channel and platform by session."""
    count, state = len(found.state), found.state
    sessions = int(found.session.max()) + 1
    channel = _drawn(rng, _CHANNEL_SHARES, sessions)[found.session]
    product = (rng.random(count) ** 2 * _PRODUCTS).astype(np.int64)
    has_product = np.isin(state, _OF_PRODUCT)
    has_amount = np.isin(state, (CHECKOUT, ORDER))
    results = rng.integers(0, 400, count)
    results[rng.random(count) < 0.06] = 0
    campaign = [f"c{number:02}" for number in range(_CAMPAIGNS)]
    return {
        "channel": _named(_CHANNELS, channel),
        "campaign": _named(campaign, rng.integers(0, _CAMPAIGNS, sessions)[found.session], _PAID[channel]),
        "platform": _named(_PLATFORMS, _drawn(rng, _PLATFORM_SHARES, sessions)[found.session]),
        "product_id": _named([f"p{number:05}" for number in range(_PRODUCTS)], product, has_product),
        "category": _named(_CATEGORIES, product % len(_CATEGORIES), has_product | (state == LIST)),
        "search_term": _named(
            [f"term {number}" for number in range(_TERMS)],
            (rng.random(count) ** 3 * _TERMS).astype(np.int64),
            (state == SEARCH) | (state == CLICK),
        ),
        "result_count": pa.array(results.astype(np.int32), mask=state != SEARCH),
        "amount": _money((rng.lognormal(4.6, 0.9, count) * 100).astype(np.int64), has_amount),
        "quantity": pa.array(rng.integers(1, 4, count).astype(np.int32), mask=state != ORDER),
        "order_id": _numbered("o", (day + 100) * 100_000_000 + np.arange(count), state == ORDER),
    }


def _drawn(rng: np.random.Generator, shares: Sequence[float], count: int) -> Ints:
    return np.searchsorted(np.cumsum(shares)[:-1], rng.random(count), side="right")


def _named(names: Sequence[str], codes: Ints, valid: Bools | None = None) -> Any:
    """Texts by code, NULL where not valid."""
    chosen = pa.array(codes.astype(np.int32), mask=None if valid is None else ~valid)
    return pa.DictionaryArray.from_arrays(chosen, pa.array(names, pa.string())).cast(pa.string())


def _numbered(letter: str, numbers: Ints, valid: Bools | None = None) -> Any:
    """Ids of a letter and a number, NULL where not valid."""
    import pyarrow.compute as pc

    text = pc.cast(pa.array(numbers, mask=None if valid is None else ~valid), pa.string())
    return pc.binary_join_element_wise(letter, text, "")


def _money(cents: Ints, valid: Bools) -> Any:
    """DECIMAL(12, 2): each value is the lower half of 128 bits."""
    halves = np.zeros((len(cents), 2), np.int64)
    halves[:, 0] = np.minimum(cents, 10**9)
    bits = pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    return pa.Array.from_buffers(pa.decimal128(12, 2), len(cents), [bits, pa.py_buffer(halves.tobytes())])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    began = time.perf_counter()
    plan = Plan(options.events, options.days, options.seed)
    make(options.folder, plan, workers=options.workers)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    print(f"{time.perf_counter() - began:.1f} s, largest resident memory of a worker {peak:,} MB")


if __name__ == "__main__":
    main()
