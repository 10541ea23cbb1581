"""The overview against counting by hand: over random exports in several zones, the demo, and small cases by name."""

from __future__ import annotations

import json
import random
import shlex
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from jsonschema import Draft202012Validator

from queries.overview import answer
from queries.overview_figures import day_sql
from queries.overview_request import NAMES, OverviewRequest, from_dict
from queries.question import QuestionError, Result, Scope
from tests.driver import Command
from tests.in_process import in_process
from tests.shop import WrittenShop
from workbench import schemas
from workbench.dataset import Dataset
from workbench.demo import write_demo
from workbench.limits import limits
from workbench.runner import Task
from workbench.workspace import load

Event = dict[str, Any]
Figures = dict[str, Any]
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
MAPPED = (
    "ts", "event", "user_id", "session_id", "order_id", "amount", "refund_amount", "search_term", "result_count",
)  # fmt: skip
ROLES = '[roles]\norder = "order"\nrefund = "refund"\nsearch = "search"\n'


def drawn(seed: int, count: int, start: str, days: int, *, own: bool) -> list[Event]:
    """Random events over some days; of people who shop, in runs of a few minutes."""
    rng = random.Random(seed)
    begin = int(datetime.fromisoformat(start).timestamp() * 1000)
    out: list[Event] = []
    while len(out) < count:
        ts, user = begin + rng.randrange(days * DAY), rng.choice(["u1", "u2", "u3", "u4", None])
        for _ in range(rng.randrange(1, 6)):
            ts += rng.choice([MINUTE, 7 * MINUTE, 14 * MINUTE, 29 * MINUTE, 30 * MINUTE, 31 * MINUTE])
            event = rng.choice(["view", "view", "order", "refund", "search"])
            is_order, is_search = event == "order", event == "search"
            out.append(
                {
                    "ts": ts,
                    "event": event,
                    "user_id": user,
                    "session_id": rng.choice([None, "s1", f"s{ts // DAY}"]) if own else None,
                    "order_id": rng.choice([None, "", f"o{rng.randrange(40)}"]) if is_order else None,
                    "amount": rng.choice([None, "12.30", "7.05"]) if is_order or rng.random() < 0.2 else None,
                    "refund_amount": rng.choice([None, "3.10"]) if event == "refund" else None,
                    "result_count": rng.choice([None, 0, 0, 5]) if is_search else None,
                    "search_term": "shoe" if is_search else None,
                    "part": rng.choice(["a", "b"]),
                    "day": rng.choice([1, 2]),
                }
            )
    return out


def workspace(folder: Path, events: list[Event], zone: str = "UTC", roles: str = ROLES) -> Path:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "data" / "e.ndjson").write_text("".join(json.dumps(event) + "\n" for event in events))
    mapped = "".join(f'{name} = "{name}"\n' for name in MAPPED)
    (folder / "workbench.toml").write_text(
        f'schema = 1\ntimezone = "{zone}"\n[[source]]\nname = "e"\npath = "data"\n[source.time]\nunit = "ms"\n'
        f"[source.map]\n{mapped}{roles}"
    )
    return folder


def over(folder: Path, **scope: Any) -> Result:
    """The answer, over a dataset of its own."""
    asked = Scope(**scope)
    dataset = Dataset(load(folder / "workbench.toml"), asked, Task(), limits(None, None))
    return answer(OverviewRequest(scope=asked), dataset)


def by_figure(result: Result, key: str = "value") -> Figures:
    return {str(row["figure"]): row[key] for row in result.rows}


# --- the oracle ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Oracle:
    """Every figure counted one event at a time."""

    events: list[Event]
    """Those of somebody, up to as-of."""
    gap: int = 30 * MINUTE

    def sessions(self) -> dict[int, object]:
        """By the event's place: its session, where it has one."""
        if any(event["session_id"] for event in self.events):
            return {
                place: (event["user_id"], event["session_id"])
                for place, event in enumerate(self.events)
                if event["session_id"]
            }
        found: dict[int, object] = {}
        histories: dict[str, list[int]] = defaultdict(list)
        for place in sorted(range(len(self.events)), key=lambda at: self.events[at]["ts"]):
            histories[self.events[place]["user_id"]].append(place)
        for user, places in histories.items():
            number = 0
            found[places[0]] = (user, 0)
            for before, place in pairwise(places):
                number += self.events[place]["ts"] - self.events[before]["ts"] > self.gap
                found[place] = (user, number)
        return found

    def figures(self, inside: Any) -> Figures:
        sessions = self.sessions()
        chosen = [(place, event) for place, event in enumerate(self.events) if inside(event)]
        mine = [event for _, event in chosen]
        orders = [event for event in mine if event["event"] == "order"]
        refunds = [event["refund_amount"] for event in mine if event["event"] == "refund"]
        searches = [event for event in mine if event["event"] == "search"]
        told = [event for event in searches if event["result_count"] is not None]
        number = len({one["order_id"] for one in orders if one["order_id"]})
        number += sum(not one["order_id"] for one in orders)
        people = {event["user_id"] for event in mine}
        revenue = _sum([one["amount"] for one in orders])
        return {
            "events": len(mine),
            "people": len(people),
            "sessions": len({sessions[place] for place, _ in chosen if place in sessions}),
            "conversion": _over(len({one["user_id"] for one in orders}), len(people)),
            "orders": number,
            "revenue": revenue,
            "order_value": None if revenue is None else _over(revenue, number),
            "refunds": _sum(refunds),
            "searches": len(searches),
            "no_result_rate": _over(sum(one["result_count"] == 0 for one in told), len(told)),
        }


def _sum(amounts: list[str | None]) -> float | None:
    known = [round(float(one) * 100) for one in amounts if one is not None]
    return sum(known) / 100 if known or not amounts else None


def _over(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def local_day(ms: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(ms / 1000, zone).date()


def same(found: Figures, expected: Figures) -> None:
    assert set(found) == set(expected)
    for name, number in expected.items():
        assert found[name] == (number if number is None else pytest.approx(number, abs=1e-12)), name


ZONES = ("UTC", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe")


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("zone_name", ZONES)
def test_every_figure_of_a_range_and_of_each_day_is_the_one_counted_by_hand(
    tmp_path: Path, zone_name: str, own: bool
) -> None:
    # Clocks change on 8 March in New York and on 5 April on Lord Howe, there by half an hour.
    start = "2026-02-20T00:00:00+00:00" if zone_name != "Australia/Lord_Howe" else "2026-03-20T00:00:00+00:00"
    events = drawn(len(zone_name) + own, 900, start, 40, own=own)
    folder, zone = workspace(tmp_path, events, zone_name), ZoneInfo(zone_name)
    as_of = max(event["ts"] for event in events if event["user_id"]) - 5 * DAY - 1234567
    known = [event for event in events if event["user_id"] and event["ts"] <= as_of]
    oracle, newest = Oracle(known), local_day(as_of, zone)
    moment = datetime.fromtimestamp(as_of / 1000, ZoneInfo("UTC")).isoformat(timespec="milliseconds")
    for length in (1, 7, 16):
        result = over(folder, last=f"{length}d", as_of=moment)
        first = newest - timedelta(days=length - 1)
        days = [first + timedelta(days=n) for n in range(length)]
        bounds = [midnight(day, zone) for day in (*days, newest + timedelta(days=1))]
        same(by_figure(result), oracle.figures(lambda e, low=bounds[0]: e["ts"] >= low))
        assert result.totals["days"] == [day.isoformat() for day in days]
        daily = by_figure(result, "daily")
        for place, (low, high) in enumerate(pairwise(bounds)):
            expected = oracle.figures(lambda e, low=low, high=high: low <= e["ts"] < high)
            same({name: values[place] for name, values in daily.items()}, expected)
        # The day before the range that the running day is set against is as far on as that one.
        begins = midnight(first - timedelta(days=length), zone)
        ends = midnight(newest - timedelta(days=length), zone) + as_of + 1 - midnight(newest, zone)
        ends = min(ends, midnight(newest - timedelta(days=length - 1), zone))
        before = oracle.figures(lambda e, low=begins, high=ends: low <= e["ts"] < high)
        same(by_figure(result, "previous"), before)
        now = by_figure(result)
        changes = {
            name: None if now[name] is None or not before[name] else now[name] / before[name] - 1
            for name in now
        }
        same(by_figure(result, "change"), changes)


def test_everything_without_a_range_has_no_period_before_and_lists_the_newest_31_days(tmp_path: Path) -> None:
    events = drawn(3, 500, "2026-01-01T00:00:00+00:00", 60, own=True)
    result = over(workspace(tmp_path, events))
    oracle = Oracle([event for event in events if event["user_id"]])
    same(by_figure(result), oracle.figures(lambda event: True))
    assert set(by_figure(result, "previous").values()) == {None} == set(by_figure(result, "change").values())
    newest = local_day(max(event["ts"] for event in oracle.events), ZoneInfo("UTC"))
    assert result.totals["days"] == [(newest - timedelta(days=n)).isoformat() for n in range(30, -1, -1)]
    assert all(len(row["daily"]) == 31 and row["is_incomplete"] for row in result.rows)  # type: ignore[arg-type]


@pytest.mark.parametrize("own", [True, False])
def test_a_range_by_hours_is_set_against_as_many_hours_before(tmp_path: Path, own: bool) -> None:
    events = drawn(8, 1500, "2026-03-01T12:00:00+00:00", 3, own=own)
    result = over(workspace(tmp_path, events), last="5h")
    assert len(result.totals["days"]) == 1  # type: ignore[arg-type]
    oracle = Oracle([event for event in events if event["user_id"]])
    end = max(event["ts"] for event in oracle.events) + 1
    expected = oracle.figures(lambda e: e["ts"] >= end - 5 * HOUR)
    same(by_figure(result), expected)
    # The hours before it, of the same day, are not the day's.
    same({name: values[0] for name, values in by_figure(result, "daily").items()}, expected)
    same(
        by_figure(result, "previous"),
        oracle.figures(lambda e: end - 10 * HOUR <= e["ts"] < end - 5 * HOUR),
    )


def test_filters_rules_and_a_gap_of_ones_own_are_those_of_every_question(tmp_path: Path) -> None:
    events = drawn(5, 700, "2026-03-01T00:00:00+00:00", 20, own=True)
    folder = workspace(tmp_path, events)
    mine = [event for event in events if event["user_id"]]
    # Columns called like what the SQL makes must not be taken for it.
    found = over(folder, where="part = 'a' AND day = 1")
    same(by_figure(found), Oracle(mine).figures(lambda e: e["part"] == "a" and e["day"] == 1))
    of = Oracle([event for event in mine if event["user_id"] in ("u1", "u2")])
    chosen = over(folder, who="user_id = 'u1' OR user_id = 'u2'")
    same(by_figure(chosen), of.figures(lambda e: True))
    by_gap = Oracle([event | {"session_id": None} for event in mine], 10 * MINUTE)
    for gap, oracle in (("10m", by_gap), ("30m", Oracle(by_gap.events))):
        low, high = (midnight(date(2026, 3, day), ZoneInfo("UTC")) for day in (9, 11))
        result = over(folder, session_gap=gap, since="2026-03-09", until="2026-03-10", where="part = 'b'")
        expected = oracle.figures(lambda e, low=low, high=high: low <= e["ts"] < high and e["part"] == "b")
        same(by_figure(result), expected)


def test_a_day_is_found_by_the_bounds_whatever_the_clocks_do() -> None:
    for zone_name, first in (("America/New_York", date(2026, 10, 30)), ("Pacific/Apia", date(2011, 12, 27))):
        zone = ZoneInfo(zone_name)
        bounds = [midnight(first + timedelta(days=n), zone) for n in range(7)]
        sql = day_sql(bounds)
        for place, (low, high) in enumerate(pairwise(bounds)):
            for ms in {low, (low + high) // 2, high - 1} if high > low else ():
                assert duckdb.execute(f"SELECT {sql} FROM (SELECT {ms} AS ts)").fetchall() == [(place,)]
        outside = [bounds[0] - 1, bounds[-1]]
        assert duckdb.execute(f"SELECT {sql} FROM (SELECT unnest({outside}) AS ts)").fetchall() == [
            (-1,),
            (-1,),
        ]


# --- the demo -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> WrittenShop:
    folder = tmp_path_factory.mktemp("shop")
    write_demo(folder, events=20_000)
    return WrittenShop(folder)


def test_the_demo_counted_by_brute_force(shop: WrittenShop) -> None:
    result = over(shop.folder, last="14d", where="event <> 'till_order'")
    zone = ZoneInfo("Asia/Shanghai")
    newest = local_day(max(event["ts"] for event in shop.events), zone)
    low = midnight(newest - timedelta(days=13), zone)
    mine = [event for event in shop.events if event["ts"] >= low]
    orders = [event for event in mine if event["event"] == "order_paid"]
    searches = [event for event in mine if event["event"] == "search"]
    people = {event["person"] for event in mine}
    found = by_figure(result)
    assert found["events"] == len(mine) and found["people"] == len(people)
    assert found["sessions"] == len(
        {(event["anonymous_id"], event["session_id"]) for event in mine if event["session_id"]}
    )
    assert found["orders"] == len(orders) > 0
    assert found["revenue"] == pytest.approx(sum(float(event["amount"]) for event in orders))
    assert found["conversion"] == len({event["person"] for event in orders}) / len(people)
    assert found["searches"] == len(searches)
    told = [event["result_count"] for event in searches if event["result_count"] is not None]
    assert found["no_result_rate"] == told.count(0) / len(told)
    assert found["refunds"] == pytest.approx(
        sum(float(event["refund_amount"]) for event in mine if event["event"] == "refund")
    )
    by_day = [0] * 14
    for event in mine:
        by_day[(local_day(event["ts"], zone) - local_day(low, zone)).days] += 1
    assert by_figure(result, "daily")["events"] == by_day


def test_what_is_loaded_is_what_other_questions_say(
    shop: WrittenShop,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = in_process(tmp_path_factory.getbasetemp() / "home", monkeypatch, capsys)

    def ask(*arguments: str) -> Any:
        return run(*arguments, "--json", cwd=shop.folder).json

    overview = ask("overview")
    Draft202012Validator(schemas.load("overview")).validate(overview)
    totals, meta = overview["totals"], overview["meta"]
    sources = {one["name"]: one for one in totals["sources"]}
    assert sources["shop"]["rows"] == len(shop.events)
    assert sources["shop"]["files"] == len(list(shop.folder.glob("events/**/*.parquet")))
    assert sources["items"]["rows"] == 0 and sources["tills"]["files"] == 1
    assert sum(one["rows"] for one in totals["sources"]) == totals["rows"] == totals["events"]
    identity = ask("identity")["totals"]
    assert (totals["raw_ids"], totals["people"]) == (identity["ids"], identity["people"])
    assert totals["as_of"] == meta["as_of"] == totals["last"]
    users = ask("users")
    assert sum(row["sessions"] for row in users["rows"]) == overview["rows"][2]["value"]
    assert sum(row["orders"] for row in users["rows"]) == overview["rows"][4]["value"]
    assert not any(one["is_late"] for one in totals["sources"])
    assert [look for look in totals["look_at"] if look["kind"] != "change"] == []


def test_every_command_to_look_at_can_be_asked_and_shows_it(
    shop: WrittenShop,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = in_process(tmp_path_factory.getbasetemp() / "home", monkeypatch, capsys)
    overview = run("overview", "--as-of", "2026-05-20T15:00", "--json", cwd=shop.folder).json
    looks = overview["totals"]["look_at"]
    # The tills write less often than once an hour.
    assert [look["kind"] for look in looks] == ["data", "day", "change"]
    assert looks[1]["what"] == "2026-05-20 is known up to 15:00"
    for look in looks:
        _, *arguments = shlex.split(look["command"])
        told = run(*arguments, "--json", cwd=shop.folder).json
        if look["kind"] == "data":
            assert [row["check"] for row in told["rows"] if row["status"] == "found"] == ["late-sources"]
        elif look["kind"] == "day":
            assert told["totals"]["days"][-1] == "2026-05-19" and not told["rows"][0]["is_incomplete"]
        else:
            event, day = look["what"].split('"')[1], look["what"].split(" on ")[1][:10]
            by_day = {row["period"]: row["users"] for row in told["rows"] if row["period"] is not None}
            counted = sum(
                one["event"] == event and local_day(one["ts"], ZoneInfo("Asia/Shanghai")).isoformat() == day
                for one in shop.events
            )
            assert by_day[day] == counted and f": {counted:,}, " in look["what"]


# --- cases by name ------------------------------------------------------------------------------------------


def made(day: int, hour: int, event: str, user: str | None, **more: Any) -> Event:
    ts = int(datetime(2026, 3, day, hour, tzinfo=ZoneInfo("UTC")).timestamp() * 1000)
    return dict.fromkeys(MAPPED) | {"ts": ts, "event": event, "user_id": user} | more


def test_roles_that_are_not_mapped_are_null_and_said(tmp_path: Path) -> None:
    folder = workspace(tmp_path, [made(1, 1, "view", "u1"), made(2, 1, "order", "u1")], roles="")
    result = over(folder)
    found = by_figure(result)
    assert (found["events"], found["people"], found["sessions"]) == (2, 1, 2)
    assert all(found[name] is None for name in NAMES[3:])
    assert by_figure(result, "daily")["orders"] is None
    notes = [note.text for note in result.notes if note.code == "not-available"]
    assert any("role order" in text and "conversion" in text for text in notes)
    looks = [look for look in result.totals["look_at"] if look["kind"] == "role"]  # type: ignore[attr-defined]
    assert [look["what"] for look in looks] == [
        f"the role {one} is not mapped" for one in ("order", "refund", "search")
    ]


def test_a_column_that_is_missing_is_said(workbench: Command, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("ts,event,user_id\n2026-03-01T00:00:00Z,paid,u1\n")
    (tmp_path / "workbench.toml").write_text(
        'schema = 1\n[[source]]\nname = "e"\npath = "e.csv"\n[roles]\norder = "paid"\n'
    )
    told = workbench("overview", "--json", cwd=tmp_path).json
    values = {row["figure"]: row["value"] for row in told["rows"]}
    assert (values["orders"], values["conversion"], values["revenue"], values["order_value"]) == (
        1,
        1,
        None,
        None,
    )
    assert any(
        "revenue, order_value: n/a, since there is no column amount" in one["text"] for one in told["notes"]
    )


def test_the_data_must_reach_back_to_the_beginning_of_the_period_before(tmp_path: Path) -> None:
    events = [made(day, hour, "view", f"u{hour}") for day in range(1, 15) for hour in (9, 21)]
    folder = workspace(tmp_path, events)
    covered = over(folder, last="7d")
    # As of 21:00 on the 14th the 7th counts up to 21:00, its last event with it.
    assert by_figure(covered, "previous")["events"] == 14
    assert covered.totals["previous_from"] == "2026-03-01T00:00:00.000+00:00"
    assert covered.totals["previous_to"] == "2026-03-07T21:00:00.001+00:00"
    assert by_figure(over(folder, last="8d"), "previous")["events"] is None
    at_noon = over(folder, last="7d", as_of="2026-03-14T12:00")
    assert (by_figure(at_noon)["events"], by_figure(at_noon, "previous")["events"]) == (13, 13)
    from_on = over(folder, since="2026-03-08", as_of="2026-03-14T12:00")
    assert from_on.rows == at_noon.rows
    # By the hour, the first event is where the data begins.
    assert (
        by_figure(over(folder, since="2026-03-01T13:00", until="2026-03-01T17:00"), "previous")["events"] == 1
    )
    assert (
        by_figure(over(folder, since="2026-03-01T12:00", until="2026-03-01T17:00"), "previous")["events"]
        is None
    )


def test_ranges_without_an_event(tmp_path: Path) -> None:
    folder = workspace(tmp_path, [made(10, 1, "order", "u1", amount="5"), made(11, 1, "view", "u1")])
    for scope in ({"since": "2027-01-01"}, {"until": "2026-01-01"}, {"where": "event = 'none'"}):
        result = over(folder, **scope)
        found = by_figure(result)
        assert (found["events"], found["revenue"], found["conversion"]) == (0, 0, None)
        assert result.totals["users"] == 0
    assert over(folder, since="2027-01-01").totals["days"] == []
    assert over(folder, until="2026-01-01").totals["days"] == []
    # A range that begins before the data lists the days there are.
    assert over(folder, since="1990-01-01").totals["days"] == ["2026-03-10", "2026-03-11"]
    nobody = over(workspace(tmp_path / "nobody", [made(1, 1, "view", None)]))
    assert by_figure(nobody)["events"] == 0 and nobody.totals["days"] == []


def test_what_was_set_aside_is_the_first_thing_to_look_at(tmp_path: Path) -> None:
    events = [made(1, 1, "view", "u1"), made(1, 2, "view", None), made(1, 3, "", "u1")]
    result = over(workspace(tmp_path, events))
    looks: Any = result.totals["look_at"]
    assert [look["command"] for look in looks[:2]] == [
        "workbench check --only missing-events",
        "workbench check --only missing-ids",
    ]
    assert (result.totals["set_aside"], result.totals["warnings"]) == (2, 2)


def test_a_source_that_ends_early_is_late(tmp_path: Path) -> None:
    for name, hour in (("a", 12), ("b", 10)):
        (tmp_path / f"{name}.csv").write_text(f"ts,event,user_id\n2026-03-01T{hour}:00:00Z,view,u1\n")
    (tmp_path / "workbench.toml").write_text(
        "schema = 1\n" + "".join(f'[[source]]\nname = "{one}"\npath = "{one}.csv"\n' for one in "ab")
    )
    result = over(tmp_path, who="user_id = 'nobody'")
    sources: Any = result.totals["sources"]
    assert [(one["name"], one["is_late"], one["rows"]) for one in sources] == [
        ("a", False, 1),
        ("b", True, 1),
    ]
    looks: Any = result.totals["look_at"]
    assert looks[0]["command"] == "workbench check --only late-sources"


def test_changes_of_an_event_that_are_more_than_chance(tmp_path: Path) -> None:
    daily = {
        "steady": [100, 110, 95, 105, 102],
        "falling": [200, 210, 190, 60, 60],
        "odd: name": [80, 80, 80, 80, 300],
        "rare": [1, 20, 1, 20, 1],
        "running": [60, 60, 60, 60, 60],
    }
    events = [
        made(day, number % 20, name, f"u{number}")
        for name, counts in daily.items()
        for day, count in enumerate(counts, 1)
        for number in range(count)
    ]
    # The newest day is not over and never judged.
    events += [made(6, 1, "running", "u1")]
    looks: Any = over(workspace(tmp_path, events)).totals["look_at"]
    changes = [look for look in looks if look["kind"] == "change"]
    assert [look["what"] for look in changes] == [
        '"odd: name" rose by 275 % on 2026-03-05: 300, 80 on 2026-03-04',
    ]
    assert shlex.split(changes[0]["command"])[2:4] == ["--step", '"odd: name"']
    earlier: Any = over(workspace(tmp_path / "b", events), until="2026-03-04").totals["look_at"]
    assert [look["what"].split()[0] for look in earlier if look["kind"] == "change"] == ['"falling"']
    nothing: Any = over(workspace(tmp_path / "c", events), until="2026-03-03").totals["look_at"]
    assert [look for look in nothing if look["kind"] == "change"] == []


def test_the_people_behind_a_figure(workbench: Command, tmp_path: Path) -> None:
    events = [
        *(made(1, 1, "view", user) for user in ("u1", "u2", "u3", "u4")),
        made(1, 2, "order", "u1"), made(1, 2, "refund", "u2"),
        made(2, 1, "search", "u3", result_count=0), made(2, 1, "search", "u4", result_count=1),
        made(2, 23, "order", "u4"),
    ]  # fmt: skip
    folder = str(workspace(tmp_path, events))

    def users(cell: str, *more: str) -> list[str]:
        return workbench("-C", folder, "overview", "--users", cell, *more).users

    assert users("people") == users("events") == ["u1", "u2", "u3", "u4"]
    assert users("conversion") == users("orders") == ["u1", "u4"]
    assert users("refunds") == ["u2"]
    assert (users("searches"), users("no_result_rate")) == (["u3", "u4"], ["u3"])
    assert users("orders", "--last", "1d") == ["u4"]
    assert users("orders@previous", "--last", "1d") == ["u1"]
    refused = workbench("-C", folder, "overview", "--users", "orders@previous")
    assert refused.code == 2 and "--last 7d" in refused.err
    unknown = workbench("-C", folder, "overview", "--users", "order")
    assert unknown.code == 2 and "orders" in unknown.err


def test_as_of_gives_what_the_export_cut_there_gives(tmp_path: Path) -> None:
    events = drawn(12, 400, "2026-03-01T00:00:00+00:00", 30, own=False)
    moment = sorted(event["ts"] for event in events if event["user_id"])[200]
    told = datetime.fromtimestamp(moment / 1000, ZoneInfo("UTC")).isoformat(timespec="milliseconds")
    cut = workspace(tmp_path / "cut", [event for event in events if event["ts"] <= moment])
    then, alone = over(workspace(tmp_path / "all", events), as_of=told, last="7d"), over(cut, last="7d")
    assert then.rows == alone.rows
    assert {**then.totals, "look_at": None} == {**alone.totals, "look_at": None}


def test_the_table_says_what_is_loaded_and_what_to_look_at(workbench: Command, tmp_path: Path) -> None:
    events = [made(day, 1, "order", f"u{day}", amount="12.50") for day in range(1, 15)]
    ran = workbench(
        "-C", str(workspace(tmp_path, [*events, made(3, 1, "", "u1")])), "overview", "--last", "7d"
    )
    lines = ran.out.splitlines()
    assert lines[0] == "source    e: 1 file, 14 rows, 2026-03-01 01:00 to 2026-03-14 01:00"
    assert "health    1 warning, 1 set aside; `workbench check` looks closer" in lines
    assert [line.split() for line in lines if line.startswith("revenue")] == [
        ["revenue", "87.50", "money", "87.50", "0.0", "%"]
    ]
    assert "  workbench check --only missing-events" in lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--unit", "session"), "--unit session"),
        (("--users", "all"), "names no figure"),
        (("--where", "colour = 'x'"), "colour"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    workbench: Command, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    ran = workbench("-C", str(workspace(tmp_path, [made(1, 1, "view", "u1")])), "overview", *arguments)
    assert ran.code == 2 and ran.out == "" and said in ran.err


def test_a_request_is_what_was_saved_of_it() -> None:
    asked = OverviewRequest(scope=Scope(last="7d", tz="Asia/Shanghai", unit="raw"))
    assert from_dict(asked.to_dict()) == asked
    assert asked.arguments() == ["overview", "--last", "7d", "--tz", "Asia/Shanghai", "--unit", "raw"]
    with pytest.raises(QuestionError, match="--by"):
        OverviewRequest(scope=Scope(by="channel"))
