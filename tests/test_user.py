"""One person's profile and timeline, against rules written apart over random exports, and the demo's 21:37 story."""

from __future__ import annotations

import json
import random
import tomllib
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from queries import one_person, person_reading, records, timeline
from queries.question import QuestionError, Result, Scope
from queries.user import UserRequest, answer, from_dict
from tests.driver import Command
from workbench import schemas
from workbench.dataset import Dataset
from workbench.demo import write_demo
from workbench.limits import limits
from workbench.output.table import Paper, markdown, table
from workbench.runner import Task
from workbench.text import width
from workbench.workspace import load

Event = dict[str, Any]
MINUTE = 60_000
START = 1_772_290_800_000
"""2026-02-28 15:00 UTC, an hour before midnight in Shanghai."""
ZONE = timezone(timedelta(hours=8))
ROLES = '[roles]\nadd = "add"\nremove = "remove"\norder = "order"\nrefund = "refund"\n'
COLUMNS = (
    "ts", "event", "user_id", "anonymous_id", "session_id", "channel", "category", "product_id", "quantity",
    "order_id", "amount", "refund_amount", "coupon", "campaign",
)  # fmt: skip


def workspace(
    folder: Path,
    events: list[Event],
    *,
    toml: str = ROLES,
    columns: tuple[str, ...] = COLUMNS,
    files: int = 1,
) -> Path:
    """Writes the events in their order, times in ms after the start, and a workspace over them."""
    (folder / "data").mkdir(parents=True)
    lines = [json.dumps({**event, "ts": START + event["ts"]}) for event in events]
    each = -(-len(lines) // files)
    for place in range(files):
        text = "\n".join(lines[place * each : (place + 1) * each]) + "\n"
        (folder / "data" / f"e{place}.ndjson").write_text(text)
    mapped = "".join(f'{name} = "{name}"\n' for name in columns)
    (folder / "workbench.toml").write_text(
        'schema = 1\ntimezone = "Asia/Shanghai"\n[[source]]\nname = "e"\npath = "data"\n'
        f'[source.time]\nunit = "ms"\n[source.map]\n{mapped}{toml}'
    )
    return folder


def over(folder: Path, scope: Scope | None = None) -> Dataset:
    return Dataset(load(folder / "workbench.toml"), scope or Scope(), Task(), limits(None, None))


def asked(dataset: Dataset, **request: Any) -> Result:
    return answer(UserRequest(scope=dataset.scope, **request), dataset)


def drawn(seed: int, count: int, *, sessions: bool) -> list[Event]:
    rng = random.Random(seed)
    events = []
    for _ in range(count):
        name = rng.choice(["view", "view", "add", "add", "remove", "order", "cart", "refund", "login"])
        product = rng.choice([None, "p1", "p2", "p3"])
        events.append(
            {
                "ts": rng.randrange(300) * 10 * MINUTE,
                "event": name,
                "user_id": rng.choice([None, None, "u1", "u2", "null"]),
                "anonymous_id": rng.choice([None, "d1", "d2", "d3", "tablet"]),
                "session_id": rng.choice([None, "s1", "s2", "s3"]) if sessions else None,
                "channel": rng.choice([None, "seo", "ads"]),
                "category": rng.choice([None, "shoes", "hats"]),
                "product_id": product,
                "quantity": rng.choice([None, None, 1, 2, 3]),
                "price": rng.choice([None, 9.99, 20.0]) if name == "add" else None,
                "order_id": rng.choice([None, "o1", "o2"]) if name == "order" else None,
                "amount": rng.choice([None, "12.34", "100"]) if name == "order" else None,
                "refund_amount": rng.choice([None, "5.50"]) if name == "refund" else None,
                "coupon": rng.choice([None, "SALE"]) if name == "order" else None,
                "cart_items": rng.choice([None, 0, 2]) if name == "cart" else None,
                "campaign": rng.choice([None, None, "c1", "c2"]),
            }
        )
    return [event for event in events if event["user_id"] not in (None, "null") or event["anonymous_id"]]


# --- the rules, written apart ---------------------------------------------------------------------------------


def people(events: list[Event]) -> dict[str, list[Event]]:
    """Each person's events in order, by the identity rule."""
    ordered = sorted(enumerate(events), key=lambda one: (one[1]["ts"], one[0]))
    ordered_events = [{**event, "row": row} for row, event in ordered]
    logins: dict[str, list[str]] = {}
    for event in ordered_events:
        user, device = used_user(event), event["anonymous_id"]
        if user and device and user not in logins.setdefault(device, []):
            logins[device].append(user)
    in_force: dict[str, str] = {}
    found: dict[str, list[Event]] = {}
    for event in ordered_events:
        user, device = used_user(event), event["anonymous_id"]
        if user and device:
            in_force[device] = user
        known = logins.get(device, [])
        person = user or (in_force.get(device, known[0]) if known else device)
        found.setdefault(person, []).append(event)
    return found


def used_user(event: Event) -> str | None:
    return None if event["user_id"] in (None, "null") else str(event["user_id"])


def sessions_of(events: list[Event], *, own: bool, gap: int, cut: bool) -> list[object]:
    """For each event a name of its session, None outside."""
    if own:
        return [
            (event["anonymous_id"] or event["user_id"], event["session_id"]) if event["session_id"] else None
            for event in events
        ]
    found: list[object] = []
    number, last, campaign = 0, None, None
    for event in events:
        another = cut and event["campaign"] and event["campaign"] != campaign
        if last is None or event["ts"] - last > gap or another:
            number += 1
        last, campaign = event["ts"], event["campaign"] or campaign
        found.append(number)
    return found


def carts(events: list[Event]) -> list[tuple[str | None, int, float | None]]:
    """After each event what it did to the cart, how many pieces are in it and what they are worth."""
    cart: dict[object, list[int | None]] = {}
    found = []
    for event in events:
        product, pieces, kind = event["product_id"], event["quantity"] or 1, None
        price = event["price"]
        if event["event"] == "add":
            held = cart.get(product)
            value = None if price is None else round(price * 100) * pieces
            if held is None:
                cart[product] = [pieces, value]
            else:
                total = None if held[1] is None or value is None else held[1] + value
                cart[product] = [held[0] + pieces, total]  # type: ignore[operator]
            kind = "added"
        elif event["event"] == "remove" and product in cart:
            count, value = cart.pop(product)
            taken = min(pieces, count)  # type: ignore[type-var]
            if taken < count:  # type: ignore[operator]
                left = None if value is None else value - value * taken // count  # type: ignore[operator]
                cart[product] = [count - taken, left]  # type: ignore[operator]
            kind = "removed"
        elif event["event"] == "order" and cart:
            if product is not None and product in cart:
                del cart[product]
            else:
                cart.clear()
            kind = "ordered"
        elif event["event"] not in ("add", "remove", "order") and event["cart_items"] == 0 and cart:
            cart.clear()
            kind = "lost"
        values = [value for _, value in cart.values()]
        worth = None if None in values else sum(values) / 100  # type: ignore[arg-type]
        found.append((kind, sum(count for count, _ in cart.values()), worth))  # type: ignore[misc]
    return found


def iso(ms: int) -> str:
    return (
        datetime.fromtimestamp((START + ms) / 1000, UTC).astimezone(ZONE).isoformat(timespec="milliseconds")
    )


def by_hand(events: list[Event], *, own: bool, gap: int = 30 * MINUTE, cut: bool = False) -> list[Event]:
    """A person's rows, oldest first."""
    names = sessions_of(events, own=own, gap=gap, cut=cut)
    began: dict[object, tuple[Any, ...]] = {}
    for name, event in zip(names, events, strict=True):
        if name is not None and name not in began:
            last = max(other["ts"] for other, its in zip(events, names, strict=True) if its == name)
            began[name] = (event["ts"], last, *(name if own else ("", "")))  # type: ignore[misc]
    number = {name: place for place, name in enumerate(sorted(began, key=lambda one: began[one]), 1)}
    rows: list[Event] = []
    before: Event | None = None
    for event, name, (kind, pieces, worth) in zip(events, names, carts(events), strict=True):
        used = used_user(event) or event["anonymous_id"]
        rows.append(
            {
                "ts": iso(event["ts"]),
                "event": event["event"],
                "session": None if name is None else number[name],
                "since_previous_seconds": None if before is None else (event["ts"] - before["ts"]) / 1000,
                "cart_change": kind,
                "cart_items": pieces,
                "cart_value": worth,
                "id_used": used,
                "id_changed": before is not None and (used_user(before) or before["anonymous_id"]) != used,
            }
        )
        before = event
    return rows


def arranged(rows: list[Event], *, oldest: bool, newest: bool) -> list[Event]:
    days: dict[str, list[Event]] = {}
    for row in rows:
        days.setdefault(row["ts"][:10], []).append(row)
    ordered = [days[day] for day in sorted(days, reverse=not oldest)]
    return [row for day in ordered for row in (day[::-1] if newest else day)]


def only(row: Any, keys: Any) -> Event:
    return {key: row[key] for key in keys}


# --- the answer against them ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "way"),
    [
        (0, "whole"),
        (1, "whole"),
        (2, "whole"),
        (3, "pages"),
        (4, "pages"),
        (5, "pages"),
        (4, "of all files"),
        (0, "many"),
        (1, "many"),
    ],
)
def test_every_timeline_is_the_one_made_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, way: str
) -> None:
    own = seed % 2 == 0
    events = drawn(seed, 40 if way == "many" else 90, sessions=own)
    if way != "whole":
        monkeypatch.setattr(person_reading, "WHOLE", 0)
        monkeypatch.setattr(timeline, "FIRST_STRETCH", 2)
        monkeypatch.setattr(timeline, "STRETCH", 5)
    if way == "of all files":
        monkeypatch.setattr(Dataset, "rows_of_files", lambda self, files: None)
    if way == "many":
        monkeypatch.setattr(one_person, "LIGHT", 3)
    dataset = over(workspace(tmp_path / "w", events, files=1 if way == "whole" else 4))
    found = people(events)
    assert set(found) <= {"u1", "u2", "d1", "d2", "d3", "tablet"}
    for name, mine in found.items():
        expected = by_hand(mine, own=own)
        for oldest, newest in ((False, False), (True, True)):
            got = asked(dataset, user=name, oldest=oldest, newest=newest)
            wanted = arranged(expected, oldest=oldest, newest=newest)
            assert [only(row, wanted[0]) for row in got.rows] == wanted
            assert len(got.rows) == len(mine)
        assert_profile(got, mine, expected)


def assert_profile(got: Result, mine: list[Event], rows: list[Event]) -> None:
    profile: Any = got.totals["profile"]
    orders = [event for event in mine if event["event"] == "order"]
    order_ids = {event["order_id"] for event in orders if event["order_id"]}
    assert profile["orders"] == len(order_ids) + sum(not event["order_id"] for event in orders)
    amounts = [float(event["amount"]) for event in orders if event["amount"]]
    expected = round(sum(amounts), 2) if amounts else None if orders else 0
    assert profile["amount"] == expected
    refunds = [event for event in mine if event["event"] == "refund"]
    assert profile["refunds"] == len(refunds)
    assert (profile["first_seen"], profile["last_seen"]) == (rows[0]["ts"], rows[-1]["ts"])
    assert profile["days"] == len({row["ts"][:10] for row in rows})
    assert profile["sessions"] == len({row["session"] for row in rows} - {None})
    categories = Counter(event["category"] for event in mine if event["category"])
    assert {one["category"]: one["events"] for one in profile["categories"]} == categories
    coupons = Counter(event["coupon"] for event in orders if event["coupon"])
    assert {one["coupon"]: one["orders"] for one in profile["coupons"]} == coupons
    ids: Any = got.totals["ids"]
    for kind, name in {(one["kind"], one["id"]) for one in ids}:
        seen = [iso(event["ts"]) for event in mine if event[kind] == name]
        (one,) = (one for one in ids if (one["kind"], one["id"]) == (kind, name))
        assert (one["first_seen"], one["last_seen"], one["events"]) == (seen[0], seen[-1], len(seen))
    listed = {event["anonymous_id"] for event in mine} - {None}
    assert {one["id"] for one in ids if one["kind"] == "anonymous_id"} == listed
    sessions: Any = got.totals["sessions"]
    inside = Counter(row["session"] for row in rows if row["session"])
    assert {one["session"]: one["events"] for one in sessions} == inside


@pytest.mark.parametrize(("gap", "cut"), [("10m", False), (None, True), ("45m", False)])
def test_sessions_by_gap_and_campaign_are_those_made_by_hand(
    tmp_path: Path, gap: str | None, cut: bool
) -> None:
    events = drawn(99, 120, sessions=True)
    toml = f"{ROLES}[sessions]\ncut_on_campaign = {str(cut).lower()}\n"
    if gap is None:
        events = [{**event, "session_id": None} for event in events]
    dataset = over(workspace(tmp_path / "w", events, toml=toml), Scope(session_gap=gap))
    for name, mine in people(events).items():
        ms = {"10m": 10, "45m": 45, None: 30}[gap] * MINUTE
        wanted = [row["session"] for row in by_hand(mine, own=False, gap=ms, cut=cut)]
        assert [row["session"] for row in asked(dataset, user=name, oldest=True).rows] == wanted


def test_a_range_an_event_or_a_condition_hides_rows_and_changes_none(tmp_path: Path) -> None:
    events = drawn(5, 120, sessions=False)
    folder = workspace(tmp_path / "w", events)
    whole = {row["ts"]: row for row in asked(over(folder), user="u1").rows if row["event"] == "add"}
    dataset = over(folder, Scope(since="2026-03-01"))
    adds = asked(dataset, user="u1", events=("add",), match="price > 10")
    mine = people(events)["u1"]
    wanted = [
        e for e in mine if e["event"] == "add" and (e["price"] or 0) > 10 and iso(e["ts"]) >= "2026-03-01"
    ]
    assert len(adds.rows) == len(wanted) > 0
    assert all(
        whole[str(row["ts"])]["since_previous_seconds"] == row["since_previous_seconds"] for row in adds.rows
    )
    assert adds.totals["profile"] == asked(over(folder), user="u1").totals["profile"]


def test_where_takes_events_out_before_anything_is_counted(tmp_path: Path) -> None:
    events = drawn(6, 120, sessions=False)
    dataset = over(workspace(tmp_path / "w", events), Scope(where="event <> 'view'"))
    mine = [event for event in people(events)["u1"] if event["event"] != "view"]
    wanted = by_hand(mine, own=False)
    got = asked(dataset, user="u1", oldest=True)
    assert [only(row, wanted[0]) for row in got.rows] == wanted
    assert got.totals["profile"]["events"] == len(mine)  # type: ignore[index]


def test_around_shows_the_events_nearest_to_a_time(tmp_path: Path) -> None:
    events = [
        {"ts": place * MINUTE, "event": "view", "user_id": "u", "anonymous_id": "d"} for place in range(200)
    ]
    dataset = over(workspace(tmp_path / "w", events, columns=COLUMNS[:4]))
    rows = list(asked(dataset, user="u", around="2026-03-01 00:30", oldest=True).rows)
    assert [row["ts"] for row in rows] == [iso(place * MINUTE) for place in range(65, 115)]
    early = asked(dataset, user="u", around="2026-02-01", oldest=True).rows
    assert [row["ts"] for row in early] == [iso(place * MINUTE) for place in range(25)]


# --- whom an id names -----------------------------------------------------------------------------------------


@pytest.fixture
def family(tmp_path: Path) -> Path:
    rows: list[tuple[int, str, str | None, str | None]] = [
        (0, "view", None, "d1"),
        (1, "login", "u1", "d1"),
        (2, "view", "u1", "tablet"),
        (3, "view", "u2", "tablet"),
        (4, "view", None, "lone"),
        (5, "view", "42", "d4"),
        (6, "view", "u5", "42"),
        (7, "view", "-x", None),
    ]
    events = [dict(zip(COLUMNS[:4], row, strict=True)) for row in rows]
    return workspace(tmp_path / "w", events, columns=COLUMNS[:4])


@pytest.mark.parametrize(
    ("id", "kind", "person"),
    [
        ("u1", None, "u1"),
        ("d1", None, "u1"),
        ("lone", None, "lone"),
        ("42", None, "42"),
        ("42", "anonymous_id", "u5"),
        ("-x", None, "-x"),
    ],
)
def test_an_id_of_any_kind_opens_its_person(family: Path, id: str, kind: str | None, person: str) -> None:
    got = asked(over(family), user=id, kind=kind)
    assert got.totals["profile"]["user"] == person  # type: ignore[index]
    assert from_dict(got.request.to_dict()) == got.request


def test_an_id_that_several_share_lists_them(workbench: Command, family: Path) -> None:
    ran = workbench("-C", str(family), "user", "tablet")
    assert (ran.code, ran.out) == (2, "")
    assert '"tablet" names 2 people: "u1" (user_id), "u2" (user_id)' in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody",), 'nobody in the data has the id "nobody"'),
        (("U1",), 'did you mean "u1"'),
        (("null",), "junk"),
        ((), "whose timeline"),
        (("u1", "--find", "event = 'view'"), "name two"),
        (("u1", "--kind", "fax"), "it has user_id, anonymous_id"),
        (("u1", "--unit", "session"), "--unit session"),
        (("u1", "--who", "did('view') > 0"), "--who"),
        (("--find", "event = 'gone'"), "nobody has an event"),
        (("u1", "--around", "noon"), "--around"),
        (("u1", "--match", "colour = 1"), "colour"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_a_hint(
    family: Path, arguments: tuple[str, ...], said: str
) -> None:
    from click.testing import CliRunner

    from workbench.cli import cli
    from workbench.errors import WorkbenchError

    ran = CliRunner().invoke(cli, ["-C", str(family), "user", *arguments])
    assert isinstance(ran.exception, WorkbenchError | SystemExit)
    told = ran.output
    if isinstance(ran.exception, WorkbenchError):
        assert ran.exception.exit_code == 2
        told = f"{ran.exception.message} {ran.exception.hint}"
    assert said in told


def test_a_property_opens_the_one_it_names_and_lists_several(family: Path) -> None:
    one = asked(over(family), find="event = 'login'")
    assert (one.report, one.totals["profile"]["user"]) == ("user", "u1")  # type: ignore[index]
    several = asked(over(family), find="anonymous_id = 'tablet'")
    assert several.report == "users"
    assert [row["user"] for row in several.rows] == ["u2", "u1"]
    assert [row["events"] for row in several.rows] == [1, 3]


# --- what is not known, faces, faults -------------------------------------------------------------------------


def test_what_the_export_cannot_tell_is_null_and_named(tmp_path: Path) -> None:
    events = [{"ts": 0, "event": "view", "user_id": "u"}, {"ts": MINUTE, "event": "add", "user_id": "u"}]
    got = asked(over(workspace(tmp_path / "w", events, toml="", columns=COLUMNS[:3])), user="u")
    profile: Any = got.totals["profile"]
    unknown = (
        "devices",
        "channel_first",
        "orders",
        "amount",
        "refunds",
        "refund_amount",
        "categories",
        "coupons",
    )
    assert [profile[name] for name in unknown] == [None] * 8
    told = " ".join(note.text for note in got.notes if note.code == "not-available")
    for name in ("orders n/a: the role order", "no column anonymous_id", "no column channel", "role add"):
        assert name in told
    assert {row["cart_items"] for row in got.rows} == {None}


def test_every_format_carries_every_event_and_json_keeps_its_schema(
    workbench: Command, tmp_path: Path
) -> None:
    events = drawn(8, 120, sessions=True)
    folder = workspace(tmp_path / "w", events)
    mine = people(events)["u1"]
    found = workbench("-C", str(folder), "user", "u1", "--json").json
    Draft202012Validator(schemas.load("user")).validate(found)
    assert len(found["rows"]) == len(mine) == found["totals"]["events"]
    assert found["command"] == "workbench user u1"
    lines = workbench("-C", str(folder), "user", "u1", "--jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == found["rows"]
    cut = workbench("-C", str(folder), "user", "u1", "--limit", "3")
    assert f"3 of {len(mine)} rows, {len(mine) - 3} left out" in cut.err
    target = tmp_path / "out.parquet"
    assert workbench("-C", str(folder), "user", "u1", "--output", str(target)).code == 0
    import pyarrow.parquet as pq

    assert pq.read_table(target)["event"].to_pylist() == [row["event"] for row in found["rows"]]


def test_a_table_stands_in_eighty_columns_and_hostile_values_do_nothing(tmp_path: Path) -> None:
    events = drawn(9, 60, sessions=True)
    for event in events:
        event["channel"], event["product_id"] = "\x1b]0;x\x07[red]", "衣服" * 40
    got = asked(over(workspace(tmp_path / "w", events)), user="u1")
    lines = "".join(table(got, got.rows, Paper(columns=80))).splitlines()
    assert max(map(width, lines)) <= 80
    assert not any("\x1b" in line or "\x07" in line for line in lines)
    assert lines[0].startswith("person") and "u1 (user_id)" in lines[0]
    headings = [line for line in lines if line.startswith("2026-")]
    days = {str(row["day"]) for row in got.rows}
    assert [line[:10] for line in headings] == sorted(days, reverse=True)
    assert sum(line.startswith("    ! identity") for line in lines) == sum(
        bool(row["id_changed"]) for row in got.rows
    )


def test_fault_061_a_huge_value_is_cut_for_display_and_whole_in_json(
    workbench: Command, tmp_path: Path
) -> None:
    huge = "x" * 300_000
    events = [{"ts": 0, "event": "view", "user_id": "u", "note": huge, "anonymous_id": "d"}]
    folder = workspace(tmp_path / "w", events, columns=COLUMNS[:4])
    assert len(workbench("-C", str(folder), "user", "u").out) < 3_000
    assert workbench("-C", str(folder), "user", "u", "--json").json["rows"][0]["properties"]["note"] == huge


def test_fault_059_the_first_page_of_a_bot_comes_without_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = 400_000
    folder = workspace(tmp_path / "w", [], toml=ROLES)
    (folder / "data" / "e0.ndjson").unlink()
    times = pa.array([(START + place * 2_000) * 1000 for place in range(count)], pa.timestamp("us", "UTC"))
    names = pa.array(["add" if place % 1_000 == 7 else "view" for place in range(count)])
    same = pa.array(["bot"] * count)
    pq.write_table(pa.table({"ts": times, "event": names, "user_id": same}), folder / "data" / "e.parquet")
    text = (folder / "workbench.toml").read_text()
    mapped = "".join(f'{name} = "{name}"\n' for name in COLUMNS[:3])
    head = text.split("[source.time]")[0]
    (folder / "workbench.toml").write_text(f"{head}[source.map]\n{mapped}{ROLES}")
    dataset = over(folder)
    made: list[int] = []
    real = records.Reader.record
    monkeypatch.setattr(
        records.Reader,
        "record",
        lambda *given: made.append(1) or real(*given),  # type: ignore[func-returns-value]
    )
    got = asked(dataset, user="bot")
    page = list(islice(got.rows, 200))
    assert len(got.rows) == count
    assert len(page) == 200
    # The newest day begins with its first event; before it lie those of the days before, adds among them.
    first = int((datetime.fromisoformat(str(page[0]["ts"])).timestamp() * 1000 - START) // 2_000)
    assert str(page[0]["ts"])[11:19] == "00:00:00"
    assert page[0]["since_previous_seconds"] == 2.0
    assert page[0]["cart_items"] == len([place for place in range(first + 1) if place % 1_000 == 7])
    assert len(made) < timeline.FIRST_STRETCH + count // 1_000 + 200
    assert got.totals["profile"]["events"] == count  # type: ignore[index]


def test_the_evening_of_2137_reads_out_of_a_timeline(tmp_path: Path) -> None:
    write_demo(tmp_path / "shop", events=50_000)
    truths = tomllib.loads((tmp_path / "shop" / "truths.toml").read_text("utf-8"))["truth"]
    (truth,) = (one for one in truths if one["id"] == "forced-login")
    dataset = over(tmp_path / "shop")
    for name in truth["expected_ids"][:3]:
        rows = list(asked(dataset, user=name, oldest=True).rows)
        (lost,) = (row for row in rows if row["cart_change"] == "lost")
        told: Any = lost["cart_lost"]
        assert (told["last_known"][11:16], told["last_known_event"]) == ("21:54", "view_cart")
        assert (told["left"][11:16], told["left_event"]) == ("21:56", "login_prompt")
        assert told["id_after"] == name != told["id_before"]
        login = next(row for row in rows if row["event"] == "login")
        assert login["id_changed"] and told["id_changed_at"] == login["ts"]
        assert len(lost["cart_changed"]) == 3  # type: ignore[arg-type]
        assert lost["cart_items"] == 0
        first = next(row for row in rows if row["cart_change"] == "added")
        assert str(first["ts"])[11:16] == "21:37"
        before = rows[rows.index(login)]
        assert before["cart_items"] == 3
        worth = sum(line["value"] for line in lost["cart_changed"])  # type: ignore[attr-defined]
        assert before["cart_value"] == pytest.approx(worth)


def test_requests_are_refused_before_anything_is_read() -> None:
    for given in (
        {"user": " "},
        {"find": "a = 1", "kind": "user_id"},
        {"user": "u", "scope": Scope(by="channel")},
    ):
        with pytest.raises(QuestionError):
            UserRequest(**given)  # type: ignore[arg-type]


def test_a_timeline_is_saved_and_asked_again(workbench: Command, family: Path) -> None:
    whole = workbench("-C", str(family), "user", "u1", "--newest", "--json", "--save", "evening").json
    assert workbench("-C", str(family), "run", "evening", "--json").json["rows"] == whole["rows"]
    found = workbench("-C", str(family), "user", "--find", "event = 'login'", "--json", "--save", "who").json
    assert workbench("-C", str(family), "run", "who", "--json").json["totals"] == found["totals"]


def test_raw_ids_are_people_of_their_own(family: Path) -> None:
    dataset = over(family, Scope(unit="raw"))
    assert [row["event"] for row in asked(dataset, user="d1").rows] == ["view"]
    assert [row["event"] for row in asked(dataset, user="u1", oldest=True).rows] == ["login", "view"]


def test_markdown_carries_the_profile_the_sections_and_what_is_under_a_row(family: Path) -> None:
    got = asked(over(family), user="u1", oldest=True)
    text = "".join(markdown(got, got.rows, "utf-8"))
    assert text.startswith("- person: u1 (user_id)\n")
    assert "| day | session | time |" in text
    assert "| 2026-02-28 | 1 | 23:00:00 | – | view |" in text
    assert "identity: anonymous_id d1 → user_id u1 |" in text
