"""Regulars, counted again from the written rows: gaps between orders, and coupons taken or left."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from statistics import quantiles

import pyarrow.parquet as pq
import pytest

from tests.shop import DAY, Event, WrittenShop, deepest, named


def gaps(shop: WrittenShop) -> dict[str, list[int]]:
    """By category: milliseconds from everybody's first order of it to the second."""
    times: dict[tuple[str, str], list[int]] = defaultdict(list)
    for event in shop.events:
        if event["order_category"] is not None:
            assert event["event"] == "order_paid"
            times[event["person"], event["order_category"]].append(event["ts"])
    out: dict[str, list[int]] = defaultdict(list)
    for (_, category), found in times.items():
        if len(found) > 1:
            out[category].append(found[1] - found[0])
    return out


def test_gaps_by_category(shop: WrittenShop) -> None:
    found = gaps(shop)
    for category in ("零食", "护肤", "家居"):
        own = found[category]
        assert shop.expected("repurchase-gaps", "users", breakdown=category, step=2) == len(own) >= 5
        for key, value in zip(("p25", "median", "p75"), quantiles(own, n=4, method="inclusive"), strict=True):
            seconds = shop.expected(
                "repurchase-gaps", f"seconds_from_entry_{key}", breakdown=category, step=2
            )
            assert seconds == pytest.approx(value / 1000, rel=1e-9)


def test_two_categories_have_a_rhythm_and_one_has_none(shop: WrittenShop) -> None:
    spread = {}
    for category, own in gaps(shop).items():
        if category in ("零食", "护肤", "家居"):
            low, middle, high = (value / DAY for value in quantiles(own, n=4, method="inclusive"))
            spread[category] = (high - low) / middle
            if category != "家居":
                assert middle == pytest.approx({"零食": 10, "护肤": 30}[category], abs=2)
    assert spread["零食"] < 0.4
    assert spread["护肤"] < 0.4
    assert spread["家居"] > 0.6


def test_the_category_of_an_order_is_that_of_its_first_line(shop: WrittenShop) -> None:
    held: dict[str, set[str]] = defaultdict(set)
    for line in pq.ParquetDataset(shop.folder / "items").read().to_pylist():
        held[line["order_id"]].add(line["category"])
    filed = [e for e in shop.events if e["order_category"]]
    assert len(filed) > 100
    for event in filed:
        assert event["order_category"] in held[event["order_id"]]


def takes_coupons(rows: list[Event]) -> list[bool]:
    return [e["coupon"] is not None for e in rows if e["event"] == "order_paid"]


def indifferent(rows: list[Event]) -> bool:
    """An offer, an order at the full price, an offer, an order at the full price; none with a coupon between."""
    full_price = named("order_paid", coupon=None)
    stretch: list[Event] = []
    for event in rows:
        if event["event"] == "order_paid" and event["coupon"] is not None:
            stretch = []
        stretch.append(event)
        if full_price(event) and deepest(stretch, [named("coupon_offer"), full_price] * 2, None) == 4:
            return True
    return False


def test_some_are_offered_coupons_and_never_take_one(shop: WrittenShop) -> None:
    truth = shop.truths["indifferent-to-coupons"]
    found = sorted(person for person, rows in shop.people.items() if indifferent(rows))
    assert found == truth["expected_ids"]
    assert len(found) == 6
    for person in found:
        assert takes_coupons(shop.people[person]) == [False] * 3
    waits, every_second = (decoy["ids"] for decoy in truth["decoy"])
    assert len(waits) == 6
    for person in waits:
        assert takes_coupons(shop.people[person]) == [True] * 3
    assert len(every_second) == 3
    for person in every_second:
        assert takes_coupons(shop.people[person]) == [False, True, False]


def test_offers_stand_behind_a_home_view_and_are_made_to_others_too(shop: WrittenShop) -> None:
    offered = set()
    for rows in shop.sessions.values():
        for before, event in pairwise(rows):
            if event["event"] == "coupon_offer":
                assert before["event"] in ("home_view", "slot_exposure", "coupon_offer", "follow_shop")
                assert event["coupon"] == "SPRING20"
                offered.add(event["person"])
    assert len(offered) > 5 * 15
