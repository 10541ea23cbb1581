"""The loop between home and list, found again event by event."""

from __future__ import annotations

from tests.shop import WrittenShop


def rounds(events: list[str]) -> int:
    """The most rounds of home and list, one straight after the other."""
    best = run = 0
    for at in range(len(events) - 1):
        run = run + 1 if events[at : at + 2] == ["home_view", "list_view"] else run
        best = max(best, run)
        if events[at] not in ("home_view", "list_view") or events[at] == events[at + 1]:
            run = 0
    return best


def test_the_loop_holds_the_planted_and_nobody_who_strolls(shop: WrittenShop) -> None:
    truth = shop.truths["loop"]
    found = {
        person
        for person, history in shop.people.items()
        if rounds([event["event"] for event in history]) >= 5
    }
    assert sorted(found) == truth["expected_ids"]
    assert len(found) == 6
    (decoy,) = truth["decoy"]
    assert len(decoy["ids"]) == 6
    assert not found & set(decoy["ids"])
    for person in decoy["ids"]:
        names = [event["event"] for event in shop.people[person]]
        assert names.count("home_view") == names.count("list_view") == names.count("product_view") == 6


def test_rounds_of_the_crowd_are_short(shop: WrittenShop) -> None:
    planted = set(shop.truths["loop"]["expected_ids"])
    others = [rounds([e["event"] for e in rows]) for p, rows in shop.people.items() if p not in planted]
    assert 1 <= max(others) <= 3


def test_who_is_lost_never_comes_back(shop: WrittenShop) -> None:
    for person in shop.truths["loop"]["expected_ids"]:
        history = shop.people[person]
        assert len({event["session_id"] for event in history}) == 1
        assert {event["category"] for event in history} == {None, "家电"}
        assert history[-1]["event"] == "list_view"
