"""The demo proves itself: every planted truth is derived again from the written files, by other means."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.shop import WrittenShop
from workbench.demo import SMALLEST, write_demo
from workbench.demo.fingerprint import of_demo
from workbench.demo.topics import TOPICS
from workbench.errors import UsageError

EVENTS = 60_000
DAY = 86_400_000
HASH = "c7a1347ac18fe5c412f58a12cf1a22af-f3bff86991f533437c044939d6c8ec09"
"""Of 60,000 events with seed 7; a change makes the demo another shop: raise ``writing.VERSION`` with it."""
Event = dict[str, Any]
OUTSIDE = {"recall", "refund"}
"""Events that happen outside sessions, without a device."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("demo") / "shop"
    write_demo(target, events=EVENTS)
    return target


@pytest.fixture(scope="module")
def table(folder: Path) -> pa.Table:
    return pa.concat_tables(
        pq.ParquetFile(path).read() for path in sorted(folder.glob("events/**/*.parquet"))
    )


@pytest.fixture(scope="module")
def events(folder: Path) -> list[Event]:
    return WrittenShop(folder).events


@pytest.fixture(scope="module")
def truths(folder: Path) -> dict[str, dict[str, Any]]:
    return WrittenShop(folder).truths


def expected(truth: dict[str, Any], key: str, **row: object) -> Any:
    found = [e["value"] for e in truth["expected"] if e["row"] == row and e["key"] == key]
    assert len(found) == 1
    return found[0]


def by_person(events: list[Event]) -> dict[str, list[Event]]:
    out: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        out[event["person"]].append(event)
    return out


def by_session(events: list[Event]) -> dict[str, list[Event]]:
    out: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event["session_id"]:
            out[event["session_id"]].append(event)
    return out


def deepest(history: list[Event], steps: list[Any], window: int) -> int:
    """How far a person gets from any entry, each step as early as it can be: brute force."""
    best = 0
    for at, entry in enumerate(history):
        if not steps[0](entry):
            continue
        level = 1
        for event in history[at + 1 :]:
            if event["ts"] - entry["ts"] > window or level == len(steps):
                break
            level += steps[level](event)
        best = max(best, level)
    return best


def shanghai(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC) + timedelta(hours=8)


def named(name: str) -> Any:
    return lambda event: event["event"] == name


def test_the_same_rows_every_time(folder: Path) -> None:
    assert of_demo(folder) == HASH


def test_the_block_size_changes_no_row(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    write_demo(whole, events=10_000, seed=3)
    write_demo(parts, events=10_000, seed=3, block=100)
    assert len(list(parts.glob("events/*/*.parquet"))) > 2 * len(list(whole.glob("events/*/*.parquet")))
    assert of_demo(parts) == of_demo(whole)
    for name in ("truths.toml", "costs.csv"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    assert pq.read_table(parts / "truth/people.parquet") == pq.read_table(whole / "truth/people.parquet")


def test_another_seed_is_another_shop(tmp_path: Path, folder: Path) -> None:
    write_demo(tmp_path / "x", events=SMALLEST, seed=1)
    write_demo(tmp_path / "y", events=SMALLEST, seed=2)
    assert of_demo(tmp_path / "x") != of_demo(tmp_path / "y")


@pytest.mark.parametrize(("size", "seed"), [(SMALLEST, 1), (SMALLEST, 7), (30_000, 5), (100_000, 7)])
def test_the_number_of_events_is_met_within_two_per_cent(tmp_path: Path, size: int, seed: int) -> None:
    summary = write_demo(tmp_path / "d", events=size, seed=seed)
    rows = sum(pq.ParquetFile(p).metadata.num_rows for p in (tmp_path / "d").glob("events/*/*.parquet"))
    assert rows == summary.events
    assert abs(rows - size) <= size * 0.02


def test_columns_and_types(table: pa.Table) -> None:
    schema = {field.name: str(field.type) for field in table.schema}
    assert schema["ts"] == "timestamp[ms, tz=UTC]"
    money = {name for name, kind in schema.items() if kind == "decimal128(12, 2)"}
    assert money >= {"price", "amount", "discount", "refund_amount"}
    numbers = {name for name, kind in schema.items() if kind == "int32"}
    assert numbers >= {"result_count", "position", "cart_items", "quantity"}
    assert set(schema.values()) == {"timestamp[ms, tz=UTC]", "decimal128(12, 2)", "int32", "string"}
    # The core's 31, then what each topic brings.
    assert len(schema) == 31 + sum(len(topic.columns) for topic in TOPICS)


def test_required_columns_are_filled_and_event_ids_unique(events: list[Event]) -> None:
    assert all(e["event_id"] and e["ts"] and e["event"] for e in events)
    assert all(e["user_id"] or e["anonymous_id"] for e in events)
    assert len({e["event_id"] for e in events}) == len(events)
    for event in events:
        in_session = bool(event["session_id"])
        assert bool(event["anonymous_id"]) == bool(event["platform"]) == in_session
        assert in_session or event["event"] in OUTSIDE
        # Some sessions have lost their channel.
        assert in_session or event["channel"] is None
        assert (event["app_version"] is not None) == (event["platform"] == "app")
        assert (event["order_id"] is not None) == (event["event"] in ("order_paid", "refund"))
        assert (event["query_id"] is not None) == (event["event"] in ("search", "search_click"))


def test_files_hold_their_own_day_in_order(folder: Path) -> None:
    paths = sorted(folder.glob("events/**/*.parquet"))
    names = {path.parent.name for path in paths}
    assert names == {f"dt={date(2026, 3, 1) + timedelta(days=d)}" for d in range(92)}
    for path in paths:
        ts = pq.ParquetFile(path).read(columns=["ts"])["ts"].cast(pa.int64()).to_pylist()
        assert ts == sorted(ts)
        for moment in (ts[0], ts[-1]):
            assert path.parent.name == f"dt={shanghai(moment).date()}"


def test_sessions_start_with_their_start_and_never_overlap_on_a_device(events: list[Event]) -> None:
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for rows in by_session(events).values():
        assert [e["event"] for e in rows].count("session_start") == 1
        assert rows[0]["event"] == "session_start"
        assert len({(e["anonymous_id"], e["channel"], e["platform"], e["app_version"]) for e in rows}) == 1
        times = [e["ts"] for e in rows]
        assert all(0 < b - a < 30 * 60_000 for a, b in pairwise(times))
        spans[rows[0]["anonymous_id"]].append((times[0], times[-1]))
    assert sum(map(len, spans.values())) > 4_000
    for device in spans.values():
        device.sort()
        assert all(b[0] > a[1] for a, b in pairwise(device))


def test_a_login_is_in_force_from_its_event_on(events: list[Event]) -> None:
    in_force: dict[str, set[str]] = defaultdict(set)
    for event in events:
        device, user = event["anonymous_id"], event["user_id"]
        if event["event"] == "login":
            in_force[device].add(user)
        elif device and user is None:
            assert not in_force[device]
        assert not (event["event"] == "order_paid" and user is None)


def test_orders_add_up_to_their_lines_and_their_checkout(folder: Path, events: list[Event]) -> None:
    lines: dict[str, list[Event]] = defaultdict(list)
    for line in pq.read_table(folder / "items").to_pylist():
        lines[line["order_id"]].append(line)
    orders = {e["order_id"]: e for e in events if e["event"] == "order_paid"}
    assert len(orders) > 80
    assert orders.keys() == lines.keys()
    products = {row["product_id"]: row for row in pq.read_table(folder / "products.parquet").to_pylist()}
    for order_id, order in orders.items():
        held = lines[order_id]
        assert sum(line["amount"] for line in held) == order["amount"] > 0
        assert sum(line["quantity"] for line in held) == order["quantity"]
        gross = sum(products[line["product_id"]]["price"] * line["quantity"] for line in held)
        assert gross - order["discount"] == order["amount"]
        assert (order["coupon"] is not None) == (order["discount"] > 0)
        for line in held:
            assert line["event_id"] == order["event_id"]
            cost = products[line["product_id"]]["cost"] * line["quantity"]
            assert line["margin"] == line["amount"] - cost
            assert line["category"] == products[line["product_id"]]["category"]


def test_event_counts(events: list[Event], truths: dict[str, dict[str, Any]]) -> None:
    counts = Counter(e["event"] for e in events)
    assert len(truths["events"]["expected"]) == len(counts) > 17
    for entry in truths["events"]["expected"]:
        assert counts[entry["row"]["event"]] == entry["value"]


def forced_login_cell(events: list[Event]) -> set[str]:
    steps = [
        named("add_to_cart"),
        named("view_cart"),
        named("coupon_apply"),
        lambda e: e["event"] == "login_prompt" and e["reason"] == "coupon",
        named("order_paid"),
    ]
    return {person for person, rows in by_person(events).items() if deepest(rows, steps, DAY) == 4}


def test_the_forced_login_cell_holds_the_planted_people_and_nobody_else(
    events: list[Event], truths: dict[str, dict[str, Any]]
) -> None:
    found = forced_login_cell(events)
    assert sorted(found) == truths["forced-login"]["expected_ids"]
    assert len(found) == expected(truths["forced-login-count"], "dropped", step=4) == 7
    decoys = {decoy["id"]: decoy for decoy in truths["forced-login"]["decoy"]}
    patient = set(decoys["back-and-paid"]["ids"])
    assert len(patient) == 3
    assert not patient & found
    assert patient <= {e["user_id"] for e in events if e["event"] == "order_paid"}
    asked = [e for e in events if e["event"] == "login_prompt" and e["reason"] == "checkout"]
    assert len({e["person"] for e in asked}) > 50


def test_the_forced_login_evening_goes_by_the_clock(
    events: list[Event], truths: dict[str, dict[str, Any]]
) -> None:
    histories = by_person(events)
    for person in truths["forced-login"]["expected_ids"]:
        rows = histories[person]
        at = {
            e["event"]: datetime.fromtimestamp(e["ts"] / 1000, UTC) + timedelta(hours=8) for e in rows[::-1]
        }
        add, cart = at["add_to_cart"], at["view_cart"]
        coupon, prompt = at["coupon_apply"], at["login_prompt"]
        assert [(t.hour, t.minute) for t in (add, cart, coupon, prompt)] == [
            (21, 37),
            (21, 54),
            (21, 55),
            (21, 56),
        ]
        assert timedelta(hours=2, minutes=55) < at["login"] - prompt < timedelta(hours=3, minutes=10)
        assert (rows[-1]["event"], rows[-1]["cart_items"]) == ("view_cart", 0)
        assert all(e["user_id"] is None for e in rows if e["ts"] < rows[-2]["ts"])
        assert len({e["anonymous_id"] for e in rows}) == 1


def test_the_missing_brand(events: list[Event], truths: dict[str, dict[str, Any]]) -> None:
    searches = [e for e in events if e["event"] == "search"]
    brand = [e for e in searches if e["search_term"].casefold() in ("coach", "蔻驰")]
    assert {e["search_term"] for e in brand} == {"Coach", "coach", "COACH", "蔻驰"}
    assert {e["result_count"] for e in brand} == {0}
    for term in ("coach", "蔻驰"):
        count = sum(e["search_term"].casefold() == term for e in brand)
        assert expected(truths["missing-brand"], "searches", term=term) == count > 10
        assert expected(truths["missing-brand"], "no_result", term=term) == count
    people = {e["person"] for e in brand}
    assert expected(truths["missing-brand-searchers"], "users", step=1) == len(people) > 5
    assert {e["result_count"] for e in searches if e["search_term"] == "Gucci"} == {None}
    assert {e["result_count"] for e in searches if e["search_term"] == "Couch"} == {6}


def test_sessions_and_orders_by_channel(events: list[Event], truths: dict[str, dict[str, Any]]) -> None:
    truth = truths["many-visits-few-orders"]
    sessions: Counter[str] = Counter()
    orders: Counter[str] = Counter()
    for rows in by_session(events).values():
        sessions[rows[0]["channel"]] += 1
        orders[rows[0]["channel"]] += any(e["event"] == "order_paid" for e in rows)
    assert len(sessions) == 11
    for channel in sessions.keys() - {None}:
        assert expected(truth, "users", breakdown=channel, step=1) == sessions[channel]
        assert expected(truth, "users", breakdown=channel, step=2) == orders[channel]
    paid = ("paid_search", "content", "push", "affiliate")
    assert all(sessions["feed_ads"] > sessions[name] for name in paid)
    assert orders["feed_ads"] * sessions["direct"] * 4 < orders["direct"] * sessions["feed_ads"]
    assert orders["affiliate"] * sessions["feed_ads"] > 2 * orders["feed_ads"] * sessions["affiliate"]


def test_content_assists_and_seldom_closes(events: list[Event], truths: dict[str, dict[str, Any]]) -> None:
    truth = truths["assists-seldom-closes"]
    counts: dict[tuple[str, str], int] = Counter()
    for rows in by_person(events).values():
        touches: dict[str, tuple[int, str]] = {}
        for event in rows:
            if event["session_id"]:
                touches.setdefault(event["session_id"], (event["ts"], event["channel"]))
        for order in (e for e in rows if e["event"] == "order_paid"):
            path = [t for t in touches.values() if 0 <= order["ts"] - t[0] <= 30 * DAY]
            counts["last", max(path)[1]] += 1
            for channel in {channel for _, channel in path}:
                counts["participation", channel] += 1
    for channel in ("content", "feed_ads"):
        for model in ("last", "participation"):
            value = expected(truth, "conversions", value=channel, model=model)
            assert value == counts[model, channel]
    assert counts["participation", "content"] > 10 * counts["last", "content"]
    assert counts["participation", "content"] > counts["participation", "feed_ads"]


def test_costs(folder: Path, events: list[Event], truths: dict[str, dict[str, Any]]) -> None:
    fen = {"paid_search": 180, "feed_ads": 45, "content": 30, "push": 2, "affiliate": 120, "group_buy": 15}
    starts: Counter[tuple[str, str, str]] = Counter()
    orders: Counter[str] = Counter()
    for event in events:
        if event["event"] == "session_start" and event["channel"] in fen:
            starts[str(shanghai(event["ts"]).date()), event["channel"], event["campaign"]] += 1
        orders[event["channel"]] += event["event"] == "order_paid"
    with (folder / "costs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    written = {(r["date"], r["channel"], r["campaign"]): Decimal(r["cost"]) for r in rows}
    assert len(written) == len(rows)
    assert written == {key: Decimal(n * fen[key[1]]) / 100 for key, n in starts.items()}
    for channel in fen:
        total = float(sum(cost for key, cost in written.items() if key[1] == channel))
        assert expected(truths["costs"], "cost", value=channel, model="last") == pytest.approx(total)
        cpa = expected(truths["costs"], "cpa", value=channel, model="last")
        assert cpa == (pytest.approx(total / orders[channel]) if orders[channel] else "null")


def test_repurchase(events: list[Event], truths: dict[str, dict[str, Any]]) -> None:
    levels = Counter(
        deepest(rows, [named("order_paid")] * 2, 30 * DAY) for rows in by_person(events).values()
    )
    assert expected(truths["repurchase"], "users", step=1) == levels[1] + levels[2]
    assert expected(truths["repurchase"], "users", step=2) == levels[2] > 5


def test_refunds_follow_their_order_in_full(events: list[Event], truths: dict[str, dict[str, Any]]) -> None:
    orders = {e["order_id"]: e for e in events if e["event"] == "order_paid"}
    refunds = [e for e in events if e["event"] == "refund"]
    assert len({e["order_id"] for e in refunds}) == len(refunds) > 3
    for refund in refunds:
        order = orders[refund["order_id"]]
        assert refund["refund_amount"] == order["amount"]
        assert refund["user_id"] == order["user_id"]
        assert 2 * DAY < refund["ts"] - order["ts"] < 14 * DAY
    assert expected(truths["refunds"], "users", step=1) == len(orders)
    assert expected(truths["refunds"], "users", step=2) == len(refunds)


def test_carts_lost_on_the_web_and_payments_on_one_version(
    events: list[Event], truths: dict[str, dict[str, Any]]
) -> None:
    platforms: Counter[tuple[str, int]] = Counter()
    versions: Counter[tuple[str, int]] = Counter()
    for rows in by_session(events).values():
        names = {e["event"] for e in rows}
        platform, version = rows[0]["platform"], rows[0]["app_version"]
        platforms[platform, 1] += "add_to_cart" in names
        platforms[platform, 2] += {"add_to_cart", "checkout"} <= names
        versions[version, 1] += "checkout" in names
        versions[version, 2] += {"checkout", "order_paid"} <= names
    for platform in ("mini_program", "app", "web"):
        for step in (1, 2):
            value = expected(truths["cart-loss-web"], "users", breakdown=platform, step=step)
            assert value == platforms[platform, step]
    for version in ("5.0.0", "5.1.0", "5.2.0", "5.2.1"):
        for step in (1, 2):
            value = expected(truths["payment-failure"], "users", breakdown=version, step=step)
            assert value == versions[version, step]
    assert platforms["web", 2] / platforms["web", 1] < 0.7 * platforms["app", 2] / platforms["app", 1]
    assert versions["5.2.0", 2] * 3 < versions["5.2.0", 1] * 2
    assert versions["5.2.1", 2] * 4 > versions["5.2.1", 1] * 3


def test_identity(folder: Path, events: list[Event], truths: dict[str, dict[str, Any]]) -> None:
    users: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event["anonymous_id"]:
            users[event["anonymous_id"]] |= {event["user_id"]} - {None}
    truth = truths["identity"]
    devices_of: Counter[str] = Counter(user for known in users.values() for user in known)
    assert expected(truth, "devices") == len(users)
    assert expected(truth, "users") == len(devices_of)
    assert expected(truth, "devices_without_login") == sum(not known for known in users.values())
    assert (
        expected(truth, "devices_with_several_logins") == sum(len(known) > 1 for known in users.values()) > 0
    )
    assert expected(truth, "people_on_several_devices") == sum(n > 1 for n in devices_of.values()) > 0
    with (folder / "tills/tills.csv").open(encoding="utf-8", newline="") as file:
        phones = {row["mobile"] for row in csv.DictReader(file)}
    assert expected(truth, "people") == len({event["person"] for event in events}) + len(phones)
    written = pq.read_table(folder / "truth/people.parquet").to_pylist()
    assert {row["anonymous_id"] for row in written} == users.keys()
    for row in written:
        assert row["user_id"] is None or row["user_id"] in users[row["anonymous_id"]]
    assert {(r["anonymous_id"], r["user_id"]) for r in written if r["user_id"]} == {
        (device, user) for device, known in users.items() for user in known
    }


def test_shapes_of_real_shops(events: list[Event]) -> None:
    lengths = sorted(len(rows) for rows in by_session(events).values())
    median, longest = lengths[len(lengths) // 2], lengths[-1]
    assert 3 <= median <= 9
    assert longest > 10 * median
    views = Counter(e["product_id"] for e in events if e["event"] == "product_view")
    ranked = sorted(views.values(), reverse=True)
    assert sum(ranked[:120]) > 0.4 * sum(ranked)
    assert len(ranked) > 1_000


def test_every_truth_says_how_to_find_it(truths: dict[str, dict[str, Any]]) -> None:
    assert len(truths) > 13
    for truth in truths.values():
        assert truth["command"].startswith(f"workbench {truth['report']}")
        assert ("expected" in truth) or ("expected_ids" in truth)
        assert SMALLEST <= truth["smallest_events"] <= 1_000_000


def test_an_earlier_demo_is_replaced_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    target = tmp_path / "shop"
    write_demo(target, events=SMALLEST, seed=1)
    (target / "segments").mkdir()
    (target / "segments" / "mine.toml").write_text("x = 1\n", encoding="utf-8")
    (target / "events" / "dt=2026-03-01" / "part-9.parquet").write_bytes(b"old")
    write_demo(target, events=SMALLEST, seed=2)
    assert (target / "segments" / "mine.toml").read_text(encoding="utf-8") == "x = 1\n"
    assert not (target / "events" / "dt=2026-03-01" / "part-9.parquet").exists()
    assert not list(target.glob(".writing-*"))


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        write_demo(tmp_path, events=SMALLEST)
    assert refused.value.hint is not None
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(UsageError):
        write_demo(tmp_path / "thesis.txt", events=SMALLEST)


@pytest.mark.parametrize("size", [0, SMALLEST - 1, 100_000_001])
def test_a_size_out_of_bounds_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(UsageError):
        write_demo(tmp_path / "d", events=size)
    assert not (tmp_path / "d").exists()


class Stop(Exception):
    """What a cancelled run raises."""


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 40:
            raise Stop

    with pytest.raises(Stop):
        write_demo(tmp_path / "d", events=SMALLEST, check=check)
    assert not (tmp_path / "d").exists()


def test_an_interrupted_run_keeps_the_earlier_demo(tmp_path: Path) -> None:
    target = tmp_path / "d"
    write_demo(target, events=SMALLEST, seed=1)
    before = of_demo(target)

    def check() -> None:
        raise Stop

    with pytest.raises(Stop):
        write_demo(target, events=SMALLEST, seed=2, check=check)
    assert of_demo(target) == before
    assert (target / "workbench.toml").exists()


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    left = tmp_path / "d" / ".writing-1-abcd" / "events"
    left.mkdir(parents=True)
    write_demo(tmp_path / "d", events=SMALLEST)
    assert not list((tmp_path / "d").glob(".writing-*"))
    assert (tmp_path / "d" / "workbench.toml").exists()


def test_progress_runs_from_nothing_to_done(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    write_demo(tmp_path / "d", events=SMALLEST, progress=lambda part, what: told.append((part, what)))
    assert told[0] == (0.0, "2026-03-01")
    assert told[-1] == (1.0, "done")
    assert [part for part, _ in told] == sorted(part for part, _ in told)
