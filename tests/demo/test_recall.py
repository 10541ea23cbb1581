"""The recall, counted again from the written rows: who was written to, who was held out, who came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.shop import DAY, Event, WrittenShop


def messages(shop: WrittenShop, name: str) -> list[Event]:
    return [e for e in shop.events if e["event"] == "recall" and e["recall_name"] == name]


def came(shop: WrittenShop, message: Event) -> bool:
    since = (e["ts"] - message["ts"] for e in shop.people[message["person"]] if e["event"] == "session_start")
    return any(0 <= passed <= 7 * DAY for passed in since)


def counts(shop: WrittenShop, name: str) -> dict[str, tuple[int, int]]:
    sent: Counter[str] = Counter()
    back: Counter[str] = Counter()
    for message in messages(shop, name):
        sent[message["recall_group"]] += 1
        back[message["recall_group"]] += came(shop, message)
    return {group: (sent[group], back[group]) for group in ("sent", "held_out")}


@pytest.mark.parametrize("name", ["comeback", "thanks"])
def test_who_comes_within_a_week(shop: WrittenShop, name: str) -> None:
    for group, (people, back) in counts(shop, name).items():
        assert shop.expected(f"recall-{name}", "users", breakdown=group, step=1) == people > 15
        assert shop.expected(f"recall-{name}", "users", breakdown=group, step=2) == back > 0


def test_the_recall_has_a_lift_and_the_thanks_have_none(shop_of: Callable[[int], WrittenShop]) -> None:
    rates = {
        name: {group: back / people for group, (people, back) in counts(shop_of(200_000), name).items()}
        for name in ("comeback", "thanks")
    }
    assert 0.15 < rates["comeback"]["sent"] - rates["comeback"]["held_out"] < 0.32
    assert rates["comeback"]["held_out"] < 0.12
    # The thanks look better still, until they are held against those who got none.
    assert rates["thanks"]["sent"] > rates["comeback"]["sent"]
    assert abs(rates["thanks"]["sent"] - rates["thanks"]["held_out"]) < 0.13


def test_messages_go_to_users_who_were_gone_or_had_just_come(shop: WrittenShop) -> None:
    for name in ("comeback", "thanks"):
        found = messages(shop, name)
        assert len({e["user_id"] for e in found}) == len(found)
        for message in found:
            assert message["session_id"] is None
            assert message["anonymous_id"] is None
            visits = [
                message["ts"] - e["ts"]
                for e in shop.people[message["person"]]
                if e["event"] == "session_start" and e["ts"] < message["ts"]
            ]
            if name == "comeback":
                assert min(visits) > 20 * DAY
            else:
                assert min(visits) < 7 * DAY
