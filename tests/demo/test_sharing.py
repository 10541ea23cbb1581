"""Sharing, counted again from the written rows: plain dictionaries of who opened whose link."""

from __future__ import annotations

import csv
from collections import Counter

from tests.shop import DAY, Event, WrittenShop


def opens(shop: WrittenShop) -> list[Event]:
    return [e for e in shop.events if e["event"] == "share_open"]


def brought(shop: WrittenShop) -> dict[str, str]:
    """New people and who brought them: those whose very first visit opens a link."""
    out = {}
    for person, rows in shop.people.items():
        first = (
            next(e["session_id"] for e in rows if e["event"] == "session_start")
            if rows[0]["session_id"]
            else ""
        )
        for event in rows:
            if event["event"] == "share_open" and event["session_id"] == first:
                out[person] = event["referrer_user_id"]
    return out


def koc(shop: WrittenShop) -> list[dict[str, str]]:
    with (shop.folder / "koc.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def old_friend(shop: WrittenShop) -> str:
    (decoy,) = shop.truths["few-recruiters"]["decoy"]
    return str(decoy["row"]["breakdown"])


def test_links_are_shared_before_they_are_opened_and_belong_to_their_sharer(shop: WrittenShop) -> None:
    shared: dict[str, tuple[int, str, str]] = {}
    for event in shop.events:
        assert (event["share_id"] is not None) == (event["event"] in ("share", "share_open"))
        assert (event["referrer_user_id"] is not None) == (event["event"] == "share_open")
        if event["event"] == "share":
            shared.setdefault(event["share_id"], (event["ts"], event["person"], event["product_id"]))
    assert len(shared) > 100
    found = opens(shop)
    assert len(found) > 200
    for event in found:
        ts, sharer, product = shared[event["share_id"]]
        assert ts < event["ts"]
        assert sharer == event["referrer_user_id"]
        assert product == event["product_id"]


def test_few_people_bring_most_of_the_new_ones(shop: WrittenShop) -> None:
    by = Counter(brought(shop).values())
    assert shop.expected("few-recruiters", "users", step=2) == by.total() > 80
    paid = [row["user_id"] for row in koc(shop)]
    for user in paid:
        assert shop.expected("few-recruiters", "users", breakdown=user, step=2) == by[user] > 5
    assert {user for user, _ in by.most_common(4)} == set(paid)
    assert by[paid[0]] > 1.5 * by[paid[1]]
    assert sum(by[user] for user in paid) > 0.6 * by.total()
    assert len(by) > 7 * len(paid)


def test_most_opened_links_bring_nobody_new(shop: WrittenShop) -> None:
    opened = Counter(event["referrer_user_id"] for event in opens(shop))
    friend = old_friend(shop)
    assert opened.most_common(1)[0][0] == friend
    assert friend not in brought(shop).values()


def test_the_best_recruiter_is_not_the_best_seller(shop: WrittenShop) -> None:
    users = [row["user_id"] for row in koc(shop)]
    came: dict[str, set[str]] = {user: set() for user in users}
    bought: dict[str, set[str]] = {user: set() for user in users}
    for person, rows in shop.people.items():
        orders = [e["ts"] for e in rows if e["event"] == "order_paid"]
        for event in rows:
            if event["event"] == "share_open" and event["referrer_user_id"] in came:
                came[event["referrer_user_id"]].add(person)
                if any(0 <= ts - event["ts"] <= 30 * DAY for ts in orders):
                    bought[event["referrer_user_id"]].add(person)
    for user in users[:3]:
        assert shop.expected("recruiters-are-not-sellers", "users", breakdown=user, step=1) == len(came[user])
        assert shop.expected("recruiters-are-not-sellers", "users", breakdown=user, step=2) == len(
            bought[user]
        )
    best, seller, third, _ = users
    assert len(came[best]) > 1.5 * len(came[seller])
    assert len(bought[seller]) > 3 * len(bought[best])
    assert len(bought[seller]) > 0.2 * len(came[seller])
    assert len(bought[third]) < 0.2 * len(came[third])


def test_the_tree_is_four_generations_deep(shop: WrittenShop) -> None:
    parent = brought(shop)

    def generation(person: str) -> int:
        return 1 + generation(parent[person]) if person in parent else 0

    size = Counter(generation(person) for person in parent)
    assert shop.expected("referral-tree", "depth") == max(size) == 4
    assert shop.expected("referral-tree", "new_users") == len(parent)
    assert shop.expected("referral-tree", "recruiters") == len(set(parent.values()))
    for number in (1, 2, 3, 4):
        assert shop.expected("referral-tree", "people", generation=number) == size[number]
    for number in (1, 2, 3):
        assert shop.expected("referral-tree", "k", generation=number) == size[number + 1] / size[number]
    assert size[3] / size[2] == 4 / 6
    assert size[4] / size[3] == 1 / 2


def test_chains_of_opened_links_are_longer_than_the_tree(shop: WrittenShop) -> None:
    parent = {e["person"]: e["referrer_user_id"] for e in opens(shop)}
    chain = shop.truths["referral-rings"]["decoy"][0]["ids"]

    def length(person: str, seen: frozenset[str] = frozenset()) -> int:
        if person not in parent or person in seen:
            return 0
        return 1 + length(parent[person], seen | {person})

    assert max(length(person) for person in chain) == 6
    assert set(chain).isdisjoint(brought(shop))


def test_rings_are_closed_and_nobody_else_stands_in_one(shop: WrittenShop) -> None:
    links = {(e["person"], e["referrer_user_id"]) for e in opens(shop)}
    opened: dict[str, set[str]] = {}
    for person, referrer in links:
        opened.setdefault(person, set()).add(referrer)
    circles = {
        a for a, b in links for c in opened.get(b, ()) if len({a, b, c}) == 3 and a in opened.get(c, ())
    }
    assert sorted(circles) == shop.truths["referral-rings"]["expected_ids"]
    assert len(circles) == 6
    assert circles.isdisjoint(shop.truths["referral-rings"]["decoy"][0]["ids"])


def test_own_links(shop: WrittenShop) -> None:
    own = {e["person"] for e in opens(shop) if e["user_id"] == e["referrer_user_id"]}
    assert sorted(own) == shop.truths["self-referrals"]["expected_ids"]
    assert len(own) == 4
    assert own.isdisjoint(shop.truths["self-referrals"]["decoy"][0]["ids"])


def test_one_paid_recruiter_is_below_target(shop: WrittenShop) -> None:
    by = Counter(brought(shop).values())
    rows = koc(shop)
    assert len(rows) == 4
    short = []
    for row in rows:
        user, fee, target = row["user_id"], int(row["fee"]), int(row["target_new_users"])
        expected = {key: shop.expected("koc-below-target", key, referrer=user) for key in
                    ("new_users", "target", "cost_per_new_user")}  # fmt: skip
        assert expected == {"new_users": by[user], "target": target, "cost_per_new_user": fee / by[user]}
        short += [row["name"]] * (by[user] < target)
    assert short == ["大米探店"]
    assert short[0] in shop.truths["koc-below-target"]["sentence"]
