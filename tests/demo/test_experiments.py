"""Experiments, counted again from the written rows of a shop of 200,000 events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import sqrt

import pytest

from tests.shop import DAY, WrittenShop, named, shanghai

COLUMNS = [
    "event_id", "ts", "event", "user_id", "anonymous_id", "session_id", "channel", "platform", "app_version",
    "amount", "discount", "coupon", "experiment", "variant",
]  # fmt: skip
ARMS = {"coupon_holdout": ("holdout", "coupon"), "checkout_aa": ("a", "b"), "checkout_v2": ("old", "new")}


@pytest.fixture(scope="module")
def large(shop_of: Callable[[int], WrittenShop]) -> WrittenShop:
    """The larger shop, with the columns these tests read."""
    shop = WrittenShop(shop_of(200_000).folder)
    shop.table = shop.table.select(COLUMNS)
    return shop


@pytest.fixture(scope="module")
def counts(large: WrittenShop) -> dict[str, list[tuple[int, int]]]:
    """By experiment, for both arms: people exposed, people who ordered within a day; held against the truths."""
    out = {}
    for experiment, arms in ARMS.items():
        out[experiment] = []
        for arm in arms:
            step = named("experiment_exposure", experiment=experiment, variant=arm)
            exposed, ordered = (len(people) for people in large.reaching([step, "order_paid"], DAY))
            name = f"experiment-{experiment.replace('_', '-')}"
            assert large.expected(name, "users", breakdown=arm, step=1) == exposed > 100
            assert large.expected(name, "users", breakdown=arm, step=2) == ordered > 10
            out[experiment].append((exposed, ordered))
    return out


def z_of(arms: list[tuple[int, int]]) -> float:
    """Of the two-proportion test."""
    (n, a), (m, b) = arms
    pooled = (a + b) / (n + m)
    return (b / m - a / n) / sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))


def z_of_sizes(arms: list[tuple[int, int]]) -> float:
    """Of the arms' sizes against half and half."""
    (n, _), (m, _) = arms
    return abs(n - m) / sqrt(n + m)


def test_the_coupon_lifts_orders_by_four_points(counts: dict[str, list[tuple[int, int]]]) -> None:
    (held, without), (shown, with_it) = counts["coupon_holdout"]
    assert with_it / shown - without / held == pytest.approx(0.04, abs=0.012)
    assert z_of(counts["coupon_holdout"]) > 2


def test_an_a_a_has_no_winner(counts: dict[str, list[tuple[int, int]]]) -> None:
    assert abs(z_of(counts["checkout_aa"])) < 2.5


def test_one_experiment_has_lost_people_of_one_arm_and_no_other(
    counts: dict[str, list[tuple[int, int]]],
) -> None:
    assert z_of_sizes(counts["checkout_v2"]) > 4
    assert z_of_sizes(counts["coupon_holdout"]) < 3
    assert z_of_sizes(counts["checkout_aa"]) < 3
    # What looks like a lift.
    (old, bought), (new, bought_new) = counts["checkout_v2"]
    assert bought_new / new > 1.2 * bought / old


def test_a_person_is_exposed_once_to_an_experiment_and_to_one_arm(large: WrittenShop) -> None:
    exposures = [e for e in large.events if e["event"] == "experiment_exposure"]
    assert len(exposures) > 1_500
    assert all((e["variant"] is not None) == (e["event"] == "experiment_exposure") for e in large.events)
    seen = Counter((e["person"], e["experiment"]) for e in exposures)
    assert max(seen.values()) == 1
    for event in exposures:
        assert event["variant"] in ARMS[event["experiment"]]
        assert "2026-04-04" <= shanghai(event["ts"]).date().isoformat() <= "2026-05-16"
        assert event["platform"] != "web"
        assert event["app_version"] != "5.2.0"
        assert event["channel"] not in ("feed_ads", "content")


def test_the_coupon_is_taken_off_in_the_visit_that_shows_it(large: WrittenShop) -> None:
    shown = {e["session_id"] for e in large.events if e["variant"] == "coupon"}
    used = [e for e in large.events if e["coupon"] == "CARE15" and e["event"] == "order_paid"]
    assert len(used) > 20
    assert {e["session_id"] for e in used} <= shown
    assert all(0 < e["discount"] <= 15 for e in used)
