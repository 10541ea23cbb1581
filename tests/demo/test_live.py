"""Live streams, counted again from the written rows of a shop of 200,000 events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.shop import DAY, Event, WrittenShop, named, shanghai

COLUMNS = [
    "event_id", "ts", "event", "user_id", "anonymous_id", "session_id", "channel", "platform", "order_id",
    "amount", "refund_amount", "live_id", "host_id", "live_minute",
]  # fmt: skip
HOSTS = ("host_lin", "host_zhou")


@pytest.fixture(scope="module")
def large(shop_of: Callable[[int], WrittenShop]) -> WrittenShop:
    """The larger shop, with the columns these tests read."""
    shop = WrittenShop(shop_of(200_000).folder)
    shop.table = shop.table.select(COLUMNS)
    return shop


def refunded(shop: WrittenShop) -> dict[str, Event]:
    return {e["order_id"]: e for e in shop.events if e["event"] == "refund"}


def test_viewers_are_not_sales(large: WrittenShop) -> None:
    counts = {}
    for host in HOSTS:
        steps = [named("live_enter", host_id=host), named("order_paid", host_id=host)]
        viewers, buyers = large.reaching(steps, DAY)
        counts[host] = (len(viewers), len(buyers))
        for step, count in enumerate(counts[host], start=1):
            name = "live-viewers-and-buyers"
            assert large.expected(name, "users", breakdown=host, step=step) == count > 5
    (lin, lin_buys), (zhou, zhou_buys) = counts["host_lin"], counts["host_zhou"]
    assert lin > 1.5 * zhou
    assert zhou_buys > 1.2 * lin_buys


def test_what_lin_sells_comes_back(large: WrittenShop) -> None:
    back = refunded(large)
    rate = {}
    for host in HOSTS:
        sold = [e for e in large.events if e["event"] == "order_paid" and e["host_id"] == host]
        returned = [e for e in sold if e["order_id"] in back]
        assert large.expected("live-refunds", "users", breakdown=host, step=1) == len(sold)
        assert large.expected("live-refunds", "users", breakdown=host, step=2) == len(returned)
        rate[host] = len(returned) / len(sold)
        row = {"host_id": host}
        revenue, lost = (float(sum(e["amount"] for e in own)) for own in (sold, returned))
        assert large.expected("live-hosts", "orders", **row) == len(sold)
        assert large.expected("live-hosts", "revenue", **row) == pytest.approx(revenue, rel=1e-9)
        assert large.expected("live-hosts", "refunded", **row) == pytest.approx(lost, rel=1e-9)
    assert rate["host_lin"] > 0.25
    assert rate["host_zhou"] < 0.15


def test_the_minute_curve_jumps_at_the_draw(large: WrittenShop) -> None:
    curves = {
        host: Counter(
            e["live_minute"] for e in large.events if e["live_minute"] is not None and e["host_id"] == host
        )
        for host in HOSTS
    }
    lin, zhou = curves["host_lin"], curves["host_zhou"]
    expected = {int(e["row"]["value"]): e["value"] for e in large.truths["live-minute-curve"]["expected"]}
    assert expected == dict(lin)
    usual = sum(lin.values()) / len(lin)
    assert lin[60] > 4 * usual
    assert lin[64] < lin[60] / 3
    # The decoy: no jump, and longer stays.
    assert zhou[60] < 2.5 * sum(zhou.values()) / len(zhou)
    entered = Counter(e["host_id"] for e in large.events if e["event"] == "live_enter")
    assert sum(zhou.values()) / entered["host_zhou"] > 2 * sum(lin.values()) / entered["host_lin"]


def test_some_buy_only_after_zhou_s_stream(large: WrittenShop) -> None:
    rate = {}
    for host in HOSTS:
        steps = [named("live_enter", host_id=host), named("order_paid", host_id=None)]
        viewers, buyers = large.reaching(steps, 2 * DAY)
        name = f"live-afterwards-{host.removeprefix('host_')}"
        assert large.expected(name, "users", step=1) == len(viewers)
        assert large.expected(name, "users", step=2) == len(buyers)
        rate[host] = len(buyers) / len(viewers)
    assert rate["host_zhou"] > 2 * rate["host_lin"]
    assert rate["host_zhou"] > 0.03


def test_a_stream_is_watched_minute_by_minute_from_the_start_of_the_visit(large: WrittenShop) -> None:
    watched = [h for h in large.sessions.values() if any(e["event"] == "live_enter" for e in h)]
    assert len(watched) > 200
    for history in watched:
        stream = [e for e in history if e["event"] in ("live_enter", "live_watch")]
        behind = [e["event"] for e in history if e["event"] != "experiment_exposure"]
        minutes = ["live_watch"] * (len(stream) - 1)
        assert behind[: len(stream) + 1] == ["session_start", "live_enter", *minutes]
        assert len({(e["live_id"], e["host_id"]) for e in stream}) == 1
        for event in stream:
            at = shanghai(event["ts"])
            assert event["live_minute"] == (at.hour - 20) * 60 + at.minute < 120
            name = event["host_id"].removeprefix("host_")
            assert event["live_id"] == f"live-{at.date()}-{name}"
            assert at.weekday() == (4 if name == "lin" else 6)
        assert all(b["ts"] - a["ts"] == 60_000 for a, b in pairwise(stream))
        orders = [e for e in history if e["event"] == "order_paid"]
        assert all(e["live_id"] == stream[0]["live_id"] for e in orders)


def test_nothing_but_streams_and_their_orders_names_a_host(large: WrittenShop) -> None:
    own = {"live_enter", "live_watch", "order_paid"}
    named_host = [e for e in large.events if e["host_id"] is not None]
    assert {e["event"] for e in named_host} == own
    assert all((e["host_id"] is None) == (e["live_id"] is None) for e in large.events)
    live = {e["session_id"] for e in named_host if e["event"] == "live_enter"}
    assert {e["session_id"] for e in named_host} == live
