"""Posts and their readers, counted again from the written rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.shop import DAY, Event, WrittenShop, named

HALF_HOUR = 30 * 60_000
POSTS = tuple(f"n{number:04d}" for number in range(1, 11))
HOT, QUIET, USUAL = "n0001", "n0007", "n0003"


def left(read: Callable[[int], bool]) -> Callable[[Event], bool]:
    return lambda event: event["event"] == "content_leave" and read(event["read_seconds"])


def bought(shop: WrittenShop, post: str) -> tuple[int, int]:
    """People who opened a post, and who bought within half an hour."""
    opened, paid = shop.reaching([named("content_view", content_id=post), "order_paid"], HALF_HOUR)
    return len(opened), len(paid)


def test_readings_by_post(shop: WrittenShop) -> None:
    events: Counter[str] = Counter()
    people: dict[str, set[str]] = defaultdict(set)
    for event in shop.events:
        if event["event"] == "content_view":
            events[event["content_id"]] += 1
            people[event["content_id"]].add(event["person"])
    assert set(events) == set(POSTS)
    for post in POSTS:
        assert shop.expected("posts-opened", "events", value=post) == events[post]
        assert shop.expected("posts-opened", "users", value=post) == len(people[post])
    assert events[HOT] > 2 * max(count for post, count in events.items() if post != HOT)


def test_the_hot_post_does_not_sell_and_the_quiet_one_does(shop: WrittenShop) -> None:
    counts = {post: bought(shop, post) for post in POSTS}
    for name, post in (("hot-post", HOT), ("quiet-post", QUIET)):
        for step in (1, 2):
            assert shop.expected(name, "users", step=step) == counts[post][step - 1]
    rate = {post: paid / opened for post, (opened, paid) in counts.items()}
    assert counts[HOT][0] > 3 * counts[QUIET][0]
    assert rate[HOT] < 0.03
    assert rate[QUIET] > 0.3
    assert rate[HOT] <= rate[USUAL] < 0.5 * rate[QUIET]


def test_readers_stay_and_skimmers_of_the_same_channel_do_not(shop: WrittenShop) -> None:
    rate = {}
    for name, step in (
        ("readers-stay", left(lambda seconds: seconds >= 60)),
        ("skimmers-leave", left(lambda seconds: seconds < 10)),
    ):
        did, back = shop.reaching([step, "session_start"], 7 * DAY)
        assert shop.expected(name, "users", step=1) == len(did) > 100
        assert shop.expected(name, "users", step=2) == len(back)
        rate[name] = len(back) / len(did)
        assert {e["channel"] for e in shop.events if step(e)} == {"content"}
    assert rate["readers-stay"] > 1.3 * rate["skimmers-leave"]


def test_a_post_is_left_after_the_seconds_it_says(shop: WrittenShop) -> None:
    for rows in shop.sessions.values():
        for before, event in pairwise(rows):
            if event["event"] == "content_leave":
                assert before["event"] == "content_view"
                assert before["content_id"] == event["content_id"]
                assert event["ts"] - before["ts"] == event["read_seconds"] * 1000 < 300_000
    opened = Counter(e["event"] for e in shop.events)
    assert opened["content_view"] == opened["content_leave"] > 300


@pytest.mark.parametrize("events", [10_000])
def test_every_visit_by_content_begins_with_a_post(
    shop_of: Callable[[int], WrittenShop], events: int
) -> None:
    visits = [rows for rows in shop_of(events).sessions.values() if rows[0]["channel"] == "content"]
    with_post = sum(any(e["event"] == "content_view" for e in rows[:3]) for rows in visits)
    assert with_post > 0.95 * len(visits) > 40
