"""Retention, counted again from the written rows: newcomers, their first week, and May."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date

from tests.shop import DAY, Event, WrittenShop, shanghai

APRIL, MAY = date(2026, 4, 1), date(2026, 5, 1)


def newcomers(shop: WrittenShop) -> dict[str, Event]:
    """The welcome of everybody who has one; nobody has two."""
    found = {e["person"]: e for e in shop.events if e["event"] == "welcome"}
    assert len(found) == sum(e["event"] == "welcome" for e in shop.events)
    return found


def cohort(shop: WrittenShop, event: str) -> list[tuple[str, bool, bool]]:
    """Newcomers of March: their channel, whether they did it within a week, whether they were seen in May."""
    out = []
    for person, welcome in newcomers(shop).items():
        if shanghai(welcome["ts"]).date() >= APRIL:
            continue
        rows = shop.people[person]
        did = [e["ts"] - welcome["ts"] for e in rows if e["event"] == event]
        assert all(0 < since <= 7 * DAY for since in did)
        stays = any(e["event"] == "session_start" and shanghai(e["ts"]).date() >= MAY for e in rows)
        out.append((welcome["channel"], bool(did), stays))
    return out


def test_the_numbers_of_doing_and_not_doing(shop: WrittenShop) -> None:
    for name, event in (("favorite", "favorite"), ("follow", "follow_shop")):
        people = cohort(shop, event)
        channels = {channel for channel, _, _ in people}
        assert len(channels) > 6
        for channel in (None, *channels):
            row = {} if channel is None else {"breakdown": channel}
            own = [(did, stays) for at, did, stays in people if channel in (None, at)]
            counts = (len(own), sum(did for did, _ in own), sum(did and stays for did, stays in own))
            for step, count in enumerate(counts, start=1):
                assert shop.expected(f"first-week-{name}", "users", step=step, **row) == count
            others = [stays for did, stays in own if not did]
            if others:
                for step, count in ((1, len(others)), (2, sum(others))):
                    assert shop.expected(f"first-week-no-{name}", "users", step=step, **row) == count


def staying(shop: WrittenShop, event: str, only: Callable[[str], bool]) -> tuple[float, float]:
    """Shares of those who stay: of those who do it, and of the others."""
    counts = Counter((did, stays) for channel, did, stays in cohort(shop, event) if only(channel))
    return tuple(counts[did, True] / (counts[did, True] + counts[did, False]) for did in (True, False))


def test_favorites_go_with_staying_in_each_kind_of_channel(
    shop_of: Callable[[int], WrittenShop],
) -> None:
    for only in (
        lambda channel: True,
        lambda channel: channel == "direct",
        lambda channel: channel not in ("organic_search", "feed_ads", "group_buy"),
    ):
        does, others = staying(shop_of(200_000), "favorite", only)
        assert does > 2.5 * others


def test_following_goes_with_staying_only_through_its_channel(
    shop_of: Callable[[int], WrittenShop],
) -> None:
    shop = shop_of(200_000)
    does, others = staying(shop, "follow_shop", lambda channel: True)
    assert does > 1.8 * others
    does, others = staying(shop, "follow_shop", lambda channel: channel == "organic_search")
    assert abs(does - others) < 0.12
    does, others = staying(
        shop, "follow_shop", lambda channel: channel not in ("organic_search", "feed_ads", "group_buy")
    )
    assert abs(does - others) < 0.12
    does, others = staying(shop, "favorite", lambda channel: channel == "organic_search")
    assert does > others + 0.2


def test_who_returns_on_which_day(shop: WrittenShop) -> None:
    last = date(2026, 5, 31)
    welcomed = {person: shanghai(e["ts"]).date() for person, e in newcomers(shop).items()}
    rates = []
    for day in (1, 7, 30):
        eligible = {person: at for person, at in welcomed.items() if (last - at).days >= day}
        returned = sum(
            any((shanghai(e["ts"]).date() - at).days == day and e["event"] == "session_start"
                for e in shop.people[person])
            for person, at in eligible.items()
        )  # fmt: skip
        assert shop.expected("retention-by-day", "eligible", day=day) == len(eligible)
        assert shop.expected("retention-by-day", "returned", day=day) == returned > 0
        rates.append(returned / len(eligible))
    assert rates[0] > rates[2]
