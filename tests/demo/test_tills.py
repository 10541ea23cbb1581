"""Orders at the tills, counted again from the CSV file."""

from __future__ import annotations

import csv
import tomllib
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from tests.shop import WrittenShop, grouped


@pytest.fixture(scope="module")
def receipts(shop: WrittenShop) -> list[dict[str, str]]:
    with (shop.folder / "tills/tills.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_till_orders_and_who_buys_again(shop: WrittenShop, receipts: list[dict[str, str]]) -> None:
    own = grouped(receipts, "mobile")
    assert len({row["receipt"] for row in receipts}) == len(receipts)
    assert shop.expected("till-orders", "events", event="till_order") == len(receipts)
    assert shop.expected("till-orders", "users", event="till_order") == len(own) == 150
    again = 0
    for rows in own.values():
        times = sorted(datetime.fromisoformat(row["paid_at"]) for row in rows)
        again += any(b - a <= timedelta(days=30) for a, b in pairwise(times))
    assert shop.expected("till-repurchase", "users", step=1) == len(own)
    assert shop.expected("till-repurchase", "users", step=2) == again > 20


def test_tills_are_open_in_the_daytime_of_the_demo(shop: WrittenShop, receipts: list[dict[str, str]]) -> None:
    times = [datetime.fromisoformat(row["paid_at"]) for row in receipts]
    assert times == sorted(times)
    assert {time.month for time in times} == {3, 4, 5}
    assert all(10 <= time.hour < 21 for time in times[:-1])
    # The last is paid while the shop's last event happens, so that neither source is behind.
    assert int(times[-1].timestamp()) == shop.events[-1]["ts"] // 1000
    assert all(0 < float(row["total_cny"]) <= 3_000 and row["pieces"] in "12" for row in receipts)


def test_no_id_joins_tills_and_shop_though_some_are_the_same_people(
    shop: WrittenShop, receipts: list[dict[str, str]]
) -> None:
    with (shop.folder / "truth/tills.csv").open(encoding="utf-8", newline="") as file:
        links = list(csv.DictReader(file))
    users = {event["user_id"] for event in shop.events} - {None}
    phones = {row["mobile"] for row in receipts}
    assert len(links) == 50
    assert len({row["user_id"] for row in links}) == len(links)
    assert {row["user_id"] for row in links} <= users
    assert {row["mobile"] for row in links} <= phones
    written = {str(value) for event in shop.events for value in event.values()}
    assert not phones & written
    assert shop.expected("till-islands", "users", step=2) == 0


def test_the_workspace_maps_the_second_source(shop: WrittenShop) -> None:
    workspace = tomllib.loads((shop.folder / "workbench.toml").read_text(encoding="utf-8"))
    (tills,) = [source for source in workspace["source"] if source["name"] == "tills"]
    assert tills["map"]["ids.phone"] == "mobile"
    assert tills["event"] == {"constant": "till_order"}
