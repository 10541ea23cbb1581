"""Categories and products, counted again from the written rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from tests.shop import DAY, Event, WrittenShop, named, shanghai

HALF_HOUR = 30 * 60_000
BEST, BACK, STAR, MAIN, EXTRA, DEAL = "p1013", "p1140", "p1184", "p1029", "p1101", "p1129"
CATEGORIES = (
    "女装",
    "男装",
    "女鞋",
    "运动鞋",
    "箱包",
    "美妆",
    "护肤",
    "零食",
    "母婴",
    "家居",
    "数码",
    "家电",
)


@pytest.fixture(scope="module")
def lines(shop: WrittenShop) -> list[Event]:
    rows: list[Event] = pq.read_table(shop.folder / "items").to_pylist()
    return rows


def added(product: str) -> object:
    return named("add_to_cart", product_id=product)


def interest(shop: WrittenShop) -> dict[str, tuple[int, int]]:
    """By category: people who looked, and who put something of it into a cart within half an hour."""
    out = {}
    for category in CATEGORIES:
        steps = [named("product_view", category=category), named("add_to_cart", category=category)]
        seen, carted = shop.reaching(steps, HALF_HOUR)
        out[category] = (len(seen), len(carted))
    return out


def test_interest_by_category(shop: WrittenShop) -> None:
    counts = interest(shop)
    for category, (seen, carted) in counts.items():
        assert shop.expected("category-interest", "users", breakdown=category, step=1) == seen > 100
        assert shop.expected("category-interest", "users", breakdown=category, step=2) == carted > 10
    rate = {category: carted / seen for category, (seen, carted) in counts.items()}
    assert max(counts, key=lambda c: counts[c][0]) == "数码"
    assert min(counts, key=lambda c: counts[c][0]) == "母婴"
    usual = [rate[c] for c in CATEGORIES if c not in ("数码", "零食", "母婴")]
    assert rate["数码"] < 0.7 * min(usual)
    assert rate["零食"] > 1.5 * sum(usual) / len(usual)
    assert rate["母婴"] > 1.5 * sum(usual) / len(usual)
    # The decoy: many look, and nothing stands out.
    assert counts["女装"][0] > 1.2 * counts["母婴"][0]
    assert 0.5 < rate["女装"] / (sum(usual) / len(usual)) < 2


def test_exposure_by_category(shop: WrittenShop) -> None:
    lists = Counter(e["category"] for e in shop.events if e["event"] == "list_view")
    for category in CATEGORIES:
        assert shop.expected("category-exposure", "events", value=category) == lists[category]
    assert lists["母婴"] * 2 < min(n for c, n in lists.items() if c != "母婴")
    assert max(lists, key=lambda c: lists[c]) == "数码"


def test_margin_by_category(shop: WrittenShop, lines: list[Event]) -> None:
    revenue: dict[str, Decimal] = defaultdict(Decimal)
    margin: dict[str, Decimal] = defaultdict(Decimal)
    for line in lines:
        revenue[line["category"]] += line["amount"]
        margin[line["category"]] += line["margin"]
    for category in revenue:
        row = {"breakdown": category}
        assert shop.expected("category-margin", "revenue", **row) == float(revenue[category])
        assert shop.expected("category-margin", "margin", **row) == float(margin[category])
    rate = {category: margin[category] / revenue[category] for category in revenue}
    assert rate["护肤"] == max(rate.values())
    assert rate["护肤"] > 2 * rate["数码"]
    assert {c for c, value in rate.items() if value < Decimal("0.2")} == {"数码", "家电"}


def test_the_best_seller(shop: WrittenShop, lines: list[Event]) -> None:
    carts = Counter(e["product_id"] for e in shop.events if e["event"] == "add_to_cart")
    (first, count), (_, second) = carts.most_common(2)
    assert first == BEST
    assert shop.expected("best-seller", "events", value=BEST) == count > 1.3 * second
    own = [line for line in lines if line["product_id"] == BEST]
    of = {"breakdown": BEST}
    assert shop.expected("best-seller-orders", "orders", **of) == len({line["order_id"] for line in own})
    assert shop.expected("best-seller-orders", "quantity", **of) == sum(line["quantity"] for line in own)
    assert shop.expected("best-seller-orders", "revenue", **of) == float(sum(o["amount"] for o in own))
    assert shop.expected("best-seller-orders", "margin", **of) == float(sum(o["margin"] for o in own))
    orders = Counter(line["product_id"] for line in lines)
    assert orders.most_common(1)[0][0] == BEST
    # The decoy: looked at most, bought like others.
    views = Counter(e["product_id"] for e in shop.events if e["event"] == "product_view")
    assert views["p0009"] > views[BEST]
    assert carts["p0009"] * 2 < carts[BEST]


def test_the_long_tail(shop: WrittenShop) -> None:
    views = Counter(e["product_id"] for e in shop.events if e["event"] == "product_view")
    tail = sum(count for _, count in views.most_common()[100:])
    assert shop.expected("long-tail", "events", value="null") == tail
    total = sum(views.values())
    assert len(views) > 1_000
    assert 0.4 < tail / total < 0.8
    assert views.most_common(1)[0][1] < 0.1 * total


def test_the_star_few_have_seen(shop: WrittenShop) -> None:
    seen, carted = shop.reaching([named("product_view", product_id=STAR), added(STAR)], HALF_HOUR)
    assert shop.expected("future-star", "users", step=1) == len(seen) < 100
    assert shop.expected("future-star", "users", step=2) == len(carted) > 10
    assert len(carted) > 0.3 * len(seen)
    looked, taken = shop.reaching([named("product_view", product_id="p0009"), added("p0009")], HALF_HOUR)
    assert len(looked) > 2 * len(seen)
    assert len(taken) < 0.1 * len(looked)


@pytest.mark.parametrize(("name", "day"), [("stock-out-day", "2026-05-06"), ("back-in-stock", "2026-05-07")])
def test_the_day_without_stock(shop: WrittenShop, name: str, day: str) -> None:
    def on_day(event: Event) -> bool:
        looks = event["event"] == "product_view" and event["product_id"] == DEAL
        return looks and str(shanghai(event["ts"]).date()) == day

    seen, carted = shop.reaching([on_day, added(DEAL)], HALF_HOUR)
    assert shop.expected(name, "users", step=1) == len(seen) > 5
    assert shop.expected(name, "users", step=2) == len(carted)
    assert not carted if name == "stock-out-day" else len(carted) > 3


def test_nothing_out_of_stock_is_put_into_a_cart(shop: WrittenShop) -> None:
    for event in shop.events:
        if event["event"] == "add_to_cart" and event["product_id"] == DEAL:
            assert str(shanghai(event["ts"]).date()) != "2026-05-06"


def test_one_product_comes_back(shop: WrittenShop, lines: list[Event]) -> None:
    back = named("refund", product_id=BACK)
    carted, ordered, refunded = shop.reaching([added(BACK), "order_paid", back], 14 * DAY)
    for step, people in enumerate((carted, ordered, refunded), start=1):
        assert shop.expected("returned-too-often", "users", step=step) == len(people)
    assert len(refunded) > 0.4 * len(ordered) > 2

    def refund_rate(product: str) -> float:
        orders = {line["order_id"] for line in lines if line["product_id"] == product}
        own = {e["order_id"] for e in shop.events if e["event"] == "refund" and e["product_id"] == product}
        return len(own & orders) / len(orders)

    assert refund_rate(BACK) > 3 * refund_rate(BEST)
    assert refund_rate(BEST) < 0.2


def test_two_products_are_bought_together(shop: WrittenShop, lines: list[Event]) -> None:
    main, both, paid = shop.reaching([added(MAIN), added(EXTRA), "order_paid"], HALF_HOUR)
    for step, people in enumerate((main, both, paid), start=1):
        assert shop.expected("bought-together", "users", step=step) == len(people) > 5
    assert len(both) > 0.5 * len(main)
    orders: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        orders[line["product_id"]].add(line["order_id"])
    together = len(orders[MAIN] & orders[EXTRA])
    row = {"product_id": MAIN, "with_product_id": EXTRA}
    assert shop.expected("pairs", "orders", **row) == together > 5
    # The decoy: the best-seller is in far more orders, and with this one hardly more than by chance.
    assert len(orders[BEST]) > len(orders[EXTRA])
    assert len(orders[MAIN] & orders[BEST]) * 4 < together
