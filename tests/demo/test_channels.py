"""Channels: landing pages, a channel of one-time buyers, untagged visits and machines, from the written rows."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.shop import DAY, Event, WrittenShop, deepest, named, shanghai

HALF_HOUR = 30 * 60_000
PAGES = ("lucky-draw", "new-user", "spring", "classics")
BROWSING = ("home_view", "list_view", "search", "product_view")


def landed(shop: WrittenShop, second: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """By landing page: people who landed, and who then did one of some events within half an hour, on it."""
    counts = {}
    for page in PAGES:
        steps = [named("session_start"), lambda event: event["event"] in second]
        levels = [
            deepest([event for event in rows if event["landing_page"] == page], steps, HALF_HOUR)
            for rows in shop.people.values()
        ]
        counts[page] = (sum(level > 0 for level in levels), sum(level > 1 for level in levels))
    return counts


def test_a_bad_and_a_golden_landing_page(shop: WrittenShop) -> None:
    browse, buy = landed(shop, BROWSING), landed(shop, ("order_paid",))
    for name, counts in (("bad-landing-page", browse), ("golden-landing-page", buy)):
        for page, (first, second) in counts.items():
            assert shop.expected(name, "users", breakdown=page, step=1) == first > 50
            assert shop.expected(name, "users", breakdown=page, step=2) == second
    went_on = {page: second / first for page, (first, second) in browse.items()}
    bought = {page: second / first for page, (first, second) in buy.items()}
    assert went_on["lucky-draw"] < 0.25
    assert went_on["new-user"] == went_on["classics"] == 1
    assert bought["classics"] > 2 * bought["new-user"]
    assert bought["lucky-draw"] < bought["new-user"]
    assert browse["lucky-draw"][0] == max(first for first, _ in browse.values())
    assert browse["new-user"][0] > browse["classics"][0]


def test_a_session_has_one_landing_page_and_only_on_bought_clicks(shop: WrittenShop) -> None:
    for rows in shop.sessions.values():
        assert len({event["landing_page"] for event in rows}) == 1
        if rows[0]["landing_page"]:
            assert rows[0]["channel"] in ("paid_search", "affiliate")


def test_buyers_of_the_cheap_channel_never_return(shop: WrittenShop) -> None:
    orders = [event for event in shop.events if event["event"] == "order_paid"]
    firsts: dict[str, Event] = {}
    again: set[str] = set()
    for order in orders:
        if order["person"] in firsts:
            again.add(order["person"])
        firsts.setdefault(order["person"], order)
    by_channel = Counter(order["channel"] for order in firsts.values())
    returned = Counter(firsts[person]["channel"] for person in again)
    truth = shop.truths["cheap-and-gone"]
    assert {e["row"]["breakdown"] for e in truth["expected"]} == set(by_channel) - {None}
    for channel in set(by_channel) - {None}:
        assert shop.expected("cheap-and-gone", "users", breakdown=channel, step=1) == by_channel[channel]
        assert shop.expected("cheap-and-gone", "users", breakdown=channel, step=2) == returned[channel]
    assert by_channel["group_buy"] >= 8
    assert returned["group_buy"] == 0
    assert returned["paid_search"] > 0


def test_the_cheap_channel_has_the_lowest_cost_per_order(shop: WrittenShop) -> None:
    cpa = {
        entry["row"]["value"]: entry["value"]
        for entry in shop.truths["costs"]["expected"]
        if entry["key"] == "cpa" and entry["value"] != "null"
    }
    others = {name: value for name, value in cpa.items() if name not in ("group_buy", "push")}
    assert cpa["group_buy"] < 3
    assert all(value > 2 * cpa["group_buy"] for value in others.values())


def test_return_on_what_was_spent(shop: WrittenShop) -> None:
    with (shop.folder / "costs.csv").open(encoding="utf-8", newline="") as file:
        spent: Counter[str] = Counter()
        for line in csv.DictReader(file):
            spent[line["channel"]] += round(float(line["cost"]) * 100)
    earned: Counter[str] = Counter()
    for event in shop.events:
        if event["event"] == "order_paid":
            earned[event["channel"]] += round(event["amount"] * 100)
    assert len(spent) == 6
    for channel, fen in spent.items():
        values = {"value": channel, "model": "last"}
        assert shop.expected("costs", "revenue", **values) == pytest.approx(earned[channel] / 100)
        assert shop.expected("costs", "roas", **values) == pytest.approx(earned[channel] / fen)
    assert earned["group_buy"] / spent["group_buy"] > 4 * earned["feed_ads"] / spent["feed_ads"]


def test_untagged_visits_are_the_groups_of_two_weeks(shop: WrittenShop) -> None:
    untagged = [rows for rows in shop.sessions.values() if rows[0]["channel"] is None]
    days = {str(shanghai(rows[0]["ts"]).date()) for rows in untagged}
    assert min(days) >= "2026-04-10"
    assert max(days) <= "2026-04-23"
    orders = sum(event["event"] == "order_paid" for rows in untagged for event in rows)
    assert shop.expected("untagged", "events", event="session_start") == len(untagged) > 20
    assert shop.expected("untagged", "events", event="order_paid") == orders
    starts = [rows[0] for rows in shop.sessions.values() if rows[0]["channel"] == "weixin_group"]
    when = Counter(str(shanghai(start["ts"]).date()) for start in starts)
    inside = sum(count for day, count in when.items() if "2026-04-10" <= day <= "2026-04-23")
    before = sum(count for day, count in when.items() if "2026-03-27" <= day <= "2026-04-09")
    assert shop.expected("untagged-group", "events", event="session_start") == inside
    assert inside * 3 < before


def test_direct_traffic_is_no_more_while_the_groups_visits_are_untagged(
    shop_of: Callable[[int], WrittenShop],
) -> None:
    direct = Counter(
        str(shanghai(rows[0]["ts"]).date())
        for rows in shop_of(200_000).sessions.values()
        if rows[0]["channel"] == "direct"
    )
    inside = sum(count for day, count in direct.items() if "2026-04-10" <= day <= "2026-04-23")
    before = sum(count for day, count in direct.items() if "2026-03-27" <= day <= "2026-04-09")
    assert 0.8 < inside / before < 1.25


def test_machines_are_the_only_ones_so_fast(shop: WrittenShop) -> None:
    fast = {
        person
        for person, rows in shop.people.items()
        if deepest(rows, [named("product_view")] * 8, 5_000) == 8
    }
    assert sorted(fast) == shop.truths["bots"]["expected_ids"]
    assert len(fast) == 3
    for person in fast:
        rows = shop.people[person]
        assert {event["channel"] for event in rows} == {"price_compare"}
        assert {event["event"] for event in rows} == {"session_start", "product_view"}
        assert all(3 <= shanghai(event["ts"]).hour < 6 for event in rows)
        starts = [event["ts"] for event in rows if event["event"] == "session_start"]
        assert len(starts) >= 30
        assert all(2 * DAY < b - a < 4 * DAY for a, b in pairwise(starts))
    assert shop.expected("bot-channel", "users", step=1) == len(fast)
    assert shop.expected("bot-channel", "users", step=2) == 0
