"""The lifecycle, counted again from the written rows: who left, who paused, who comes at night, profiles."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from statistics import mean

import pyarrow.parquet as pq

from tests.shop import Event, WrittenShop, shanghai

GONE, BACK = date(2026, 4, 16), date(2026, 5, 1)
CITIES = ("青岛", "宁波", "佛山")


def starts(shop: WrittenShop) -> list[Event]:
    return [e for e in shop.events if e["event"] == "session_start"]


def returning(shop: WrittenShop, since: date, until: date) -> dict[str, tuple[int, int]]:
    """By city: people seen before 16 April, and those of them seen again in a span."""
    before: dict[str, set[str]] = defaultdict(set)
    after: dict[str, set[str]] = defaultdict(set)
    for event in starts(shop):
        day = shanghai(event["ts"]).date()
        if day < GONE:
            before[event["city"]].add(event["person"])
        if since <= day < until:
            after[event["city"]].add(event["person"])
    return {city: (len(who), len(who & after[city])) for city, who in before.items()}


def test_people_of_three_cities_before_and_after(shop: WrittenShop) -> None:
    quiet = returning(shop, GONE, BACK)
    later = returning(shop, BACK, date(2026, 6, 1))
    for name, found in (("churned-city", later), ("quiet-cities", quiet)):
        for city in CITIES:
            for step in (1, 2):
                expected = shop.expected(name, "users", breakdown=city, step=step)
                assert expected == found[city][step - 1]


def test_the_pause_is_over_in_may_and_the_loss_is_not(shop_of: Callable[[int], WrittenShop]) -> None:
    quiet = returning(shop_of(200_000), GONE, BACK)
    later = returning(shop_of(200_000), BACK, date(2026, 6, 1))
    rate = {city: count / people for city, (people, count) in later.items()}
    usual = mean(share for city, share in rate.items() if city not in CITIES)
    assert later["青岛"][0] > 80
    assert rate["青岛"] < 0.15 * usual
    assert rate["宁波"] > 0.7 * usual
    pause = {city: count / people for city, (people, count) in quiet.items()}
    assert max(pause["青岛"], pause["宁波"]) < 0.1
    assert mean(share for city, share in pause.items() if city not in CITIES) > 0.15


def test_night_people_come_four_times_in_a_row_at_night(shop: WrittenShop) -> None:
    runs: Counter[str] = Counter()
    longest: Counter[str] = Counter()
    for event in starts(shop):
        user = event["user_id"]
        if user is None:
            continue
        hour = shanghai(event["ts"]).hour
        runs[user] = runs[user] + 1 if hour >= 22 or hour < 6 else 0
        longest[user] = max(longest[user], runs[user])
    found = sorted(user for user, run in longest.items() if run >= 4)
    truth = shop.truths["night-people"]
    assert found == truth["expected_ids"]
    assert len(found) > 4
    ages = {row["user_id"]: row["age"] for row in profiles(shop)}
    assert mean(ages[user] for user in found) + 5 < mean(ages.values())
    evening = truth["decoy"][0]["ids"]
    assert len(evening) > 4
    assert set(evening).isdisjoint(found)
    hours = [shanghai(e["ts"]).hour for e in starts(shop) if e["user_id"] in evening]
    assert sum(hour in (20, 21) for hour in hours) > 0.6 * len(hours)


def profiles(shop: WrittenShop) -> list[Event]:
    return pq.read_table(shop.folder / "profiles.parquet").to_pylist()


def test_profiles_of_everybody_who_logged_in(shop: WrittenShop) -> None:
    rows = profiles(shop)
    assert {row["user_id"] for row in rows} == {e["user_id"] for e in shop.events if e["user_id"]}
    assert len({row["user_id"] for row in rows}) == len(rows) > 400
    spent: dict[str, Decimal] = defaultdict(Decimal)
    city = {}
    for event in shop.events:
        if event["event"] == "order_paid":
            spent[event["user_id"]] += event["amount"]
        if event["event"] == "login":
            city[event["user_id"]] = event["city"]
    for row in rows:
        paid = spent[row["user_id"]]
        assert row["level"] == ("gold" if paid >= 1500 else "silver" if paid >= 300 else "bronze")
        assert 18 <= row["age"] <= 66
        assert row["city"] == city[row["user_id"]]
    levels = Counter(row["level"] for row in rows)
    for level, count in levels.items():
        assert shop.expected("profile-levels", "users", breakdown=level) == count > 5
    assert len(levels) == 3
    old = [row["level"] == "bronze" for row in rows if row["age"] >= 30]
    young = [row["level"] == "bronze" for row in rows if row["age"] < 30]
    assert abs(mean(old) - mean(young)) < 0.12
