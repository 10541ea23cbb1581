"""The spring gala, counted again from the written rows of a shop of 200,000 events."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from tests.shop import DAY, Event, WrittenShop, named, shanghai

COLUMNS = [
    "event_id", "ts", "event", "user_id", "anonymous_id", "session_id", "channel", "platform", "product_id",
    "order_id", "amount", "discount", "coupon", "venue",
]  # fmt: skip
GALA = ("2026-03-20", "2026-03-24")
HALLS = ("main_hall", "coupon_hall")


@pytest.fixture(scope="module")
def large(shop_of: Callable[[int], WrittenShop]) -> WrittenShop:
    """The larger shop, with the columns these tests read."""
    shop = WrittenShop(shop_of(200_000).folder)
    shop.table = shop.table.select(COLUMNS)
    return shop


def day(event: Event) -> str:
    return shanghai(event["ts"]).date().isoformat()


def orders_between(shop: WrittenShop, first: str, last: str) -> list[Event]:
    return [e for e in shop.events if e["event"] == "order_paid" and first <= day(e) <= last]


def test_orders_by_day(large: WrittenShop) -> None:
    by_day = Counter(day(e) for e in large.events if e["event"] == "order_paid")
    sessions = Counter(day(e) for e in large.events if e["event"] == "session_start")
    expected = {e["row"]["period"]: e["value"] for e in large.truths["campaign-days"]["expected"]}
    assert len(expected) == 24
    assert expected == {one: by_day[one] for one in expected}

    def per_day(counts: Counter[str], first: int, last: int) -> float:
        return sum(counts[f"2026-03-{d:02d}"] for d in range(first, last + 1)) / (last - first + 1)

    before, warm_up, peak = per_day(by_day, 8, 14), per_day(by_day, 15, 19), per_day(by_day, 20, 22)
    encore, after = per_day(by_day, 23, 24), per_day(by_day, 25, 31)
    assert peak > 3 * before
    assert before < encore < peak
    assert warm_up < before
    assert after < 0.5 * before
    # The decoy: as many visits after as before.
    assert 0.9 < per_day(sessions, 25, 31) / per_day(sessions, 8, 14) < 1.3


def test_targets(large: WrittenShop) -> None:
    lines = list(csv.DictReader((large.folder / "targets.csv").open(encoding="utf-8")))
    assert [(line["phase"], line["metric"]) for line in lines] == [
        (phase, metric) for phase in ("warm_up", "peak", "encore") for metric in ("orders", "revenue")
    ]
    reached = {}
    for line in lines:
        own = orders_between(large, line["from"], line["to"])
        sold = len(own) if line["metric"] == "orders" else sum((e["amount"] for e in own), Decimal(0))
        row = {"phase": line["phase"], "metric": line["metric"]}
        target = Decimal(line["target"])
        assert large.expected("campaign-targets", "value", **row) == pytest.approx(float(sold), rel=1e-9)
        assert large.expected("campaign-targets", "target", **row) == pytest.approx(float(target), rel=1e-9)
        reached[line["phase"], line["metric"]] = float(sold / target)
        attained = large.expected("campaign-targets", "attainment", **row)
        assert attained == pytest.approx(float(sold / target), rel=1e-9)
    assert reached["peak", "revenue"] > 1.05
    assert reached["encore", "revenue"] < 0.9
    assert reached["warm_up", "revenue"] == pytest.approx(1, abs=0.01)


def test_carts_of_the_warm_up_come_back(large: WrittenShop) -> None:
    def warm(event: Event) -> bool:
        return event["event"] == "add_to_cart" and "2026-03-15" <= day(event) <= "2026-03-19"

    filled, bought = large.reaching([warm, "order_paid"], 8 * DAY)
    assert large.expected("campaign-carts-come-back", "users", step=1) == len(filled) > 50
    assert large.expected("campaign-carts-come-back", "users", step=2) == len(bought) > 15
    at_peak = {e["person"] for e in orders_between(large, "2026-03-20", "2026-03-22")}
    assert len(bought & at_peak) > 0.4 * len(bought)


def band(orders: list[Event], low: int) -> int:
    return sum(low <= e["amount"] + e["discount"] < low + 15 for e in orders)


def test_amounts_crowd_at_the_threshold(large: WrittenShop) -> None:
    gala = orders_between(large, *GALA)
    above, below = band(gala, 300), band(gala, 285)
    assert large.expected("campaign-threshold-above", "events") == above > 15
    assert large.expected("campaign-threshold-below", "events") == below
    assert above > 5 * max(below, 1)
    # The decoys: other days, other amounts.
    other = [e for e in orders_between(large, "2026-03-25", "2026-05-31") if e["coupon"] != "FULL300"]
    assert band(other, 300) < 2.5 * band(other, 285)
    assert band(gala, 400) < 0.5 * above
    full = [e for e in gala if e["amount"] + e["discount"] >= 300]
    reduced = [e for e in gala if e["coupon"] == "FULL300"]
    assert all(e in full and e["discount"] == 40 for e in reduced)
    # People who are planted whole follow their own scripts.
    assert len(reduced) > 0.9 * len(full)


def test_the_attached_product_and_not_the_best_seller(large: WrittenShop) -> None:
    def carts(second: str) -> tuple[int, int, int]:
        with_main, both, paid = set(), set(), set()
        for session, history in large.sessions.items():
            for event in history:
                if event["event"] == "add_to_cart" and event["product_id"] == "p0490":
                    if GALA[0] <= day(event) <= GALA[1]:
                        with_main.add(session)
                elif session in with_main and event["event"] == "add_to_cart":
                    if event["product_id"] == second:
                        both.add(session)
                elif session in both and event["event"] == "order_paid":
                    paid.add(session)
        return len(with_main), len(both), len(paid)

    counted = carts("p0526")
    for step, count in enumerate(counted, start=1):
        assert large.expected("campaign-attach-rate", "users", step=step) == count
    assert counted[0] > 15
    assert counted[1] > 0.1 * counted[0]
    adds = Counter(e["product_id"] for e in large.events if e["event"] == "add_to_cart")
    assert adds["p0000"] > adds["p0526"]
    assert carts("p0000")[1] < 0.4 * counted[1]


def venues(shop: WrittenShop, platforms: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    seen: Counter[str] = Counter()
    bought: Counter[str] = Counter()
    for history in shop.sessions.values():
        for event in history:
            if event["event"] == "venue_view" and event["platform"] in platforms:
                seen[event["venue"]] += 1
                bought[event["venue"]] += any(e["event"] == "order_paid" for e in history)
    return {hall: (seen[hall], bought[hall]) for hall in HALLS}


@pytest.mark.parametrize(
    ("name", "platforms", "better"),
    [
        ("campaign-venues", ("mini_program", "app"), "coupon_hall"),
        ("campaign-venues-mini-program", ("mini_program",), "main_hall"),
        ("campaign-venues-app", ("app",), "main_hall"),
    ],
)
def test_the_better_venue_looks_worse_on_both_platforms_together(
    large: WrittenShop, name: str, platforms: tuple[str, ...], better: str
) -> None:
    counts = venues(large, platforms)
    for hall, (seen, bought) in counts.items():
        assert large.expected(name, "users", breakdown=hall, step=1) == seen > 40
        assert large.expected(name, "users", breakdown=hall, step=2) == bought
    rate = {hall: bought / seen for hall, (seen, bought) in counts.items()}
    assert rate[better] > 1.25 * min(rate.values())


def test_a_venue_is_seen_once_a_session_and_only_during_the_gala(large: WrittenShop) -> None:
    views = [e for e in large.events if e["event"] == "venue_view"]
    assert len({e["session_id"] for e in views}) == len(views) > 500
    assert {e["platform"] for e in views} == {"mini_program", "app"}
    assert not {e["channel"] for e in views} & {"feed_ads", "content"}
    started = {history[0]["session_id"]: day(history[0]) for history in large.sessions.values()}
    # A second visit may begin after the last midnight.
    assert all(GALA[0] <= started[e["session_id"]] <= "2026-03-25" for e in views)
    assert all((e["venue"] is not None) == (e["event"] == "venue_view") for e in large.events)


def test_orders_with_the_reduction_still_add_up_to_their_lines(large: WrittenShop) -> None:
    lines: Counter[str] = Counter()
    for line in pq.read_table(large.folder / "items", columns=["order_id", "amount"]).to_pylist():
        lines[line["order_id"]] += line["amount"]
    reduced = [e for e in large.events if e["coupon"] == "FULL300" and e["event"] == "order_paid"]
    assert len(reduced) > 20
    assert all(lines[e["order_id"]] == e["amount"] for e in reduced)


def test_venue_is_a_step_like_any_other(large: WrittenShop) -> None:
    seen, _ = large.reaching([named("venue_view", venue="main_hall"), "order_paid"], DAY)
    assert len(seen) > 300
