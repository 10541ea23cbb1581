"""``workbench check``: a clean export is silent, and every flaw planted in a damaged one is found, counted exactly."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queries import checks_days
from queries.check import CHECKS, IDS, CheckRequest, answer
from queries.question import QuestionError, Scope
from tests.driver import Command, Ran
from workbench import schemas
from workbench.dataset import asked
from workbench.runner import Task

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
START = 1_772_294_400_000
"""2026-03-01 00:00 in Shanghai, in UTC ms."""
DAYS, SESSIONS = 28, 60
ZONE = 8 * HOUR
HOURS = (9, 10, 11, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 20, 20, 20, 20, 21, 21)
"""When sessions begin: a day with a peak."""
STEPS = (
    "search",
    "search_click",
    "product_view",
    "product_view",
    "product_view",
    "add_to_cart",
    "order_paid",
    "refund",
)

Event = dict[str, Any]
WORKSPACE = """schema = 1
timezone = "Asia/Shanghai"
[[source]]
name = "shop"
path = "events/*.parquet"
[[source]]
name = "items"
kind = "items"
path = "items/*.parquet"
[roles]
search = "search"
click = "search_click"
view = "product_view"
order = "order_paid"
refund = "refund"
"""
TYPES = {
    "event_id": pa.string(),
    "ts": pa.timestamp("ms", tz="UTC"),
    "received_ts": pa.timestamp("ms", tz="UTC"),
    "event": pa.string(),
    "user_id": pa.string(),
    "anonymous_id": pa.string(),
    "session_id": pa.string(),
    "platform": pa.string(),
    "query_id": pa.string(),
    "order_id": pa.string(),
    "amount": pa.decimal128(12, 2),
    "currency": pa.string(),
    "referrer_user_id": pa.string(),
}


@dataclass
class Export:
    """A small shop: every day 60 sessions of 8 events, by 400 people in turn."""

    days: list[list[Event]] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    text_amounts: set[int] = field(default_factory=set)

    def write(self, folder: Path) -> Path:
        """A workspace: a file a day, one of items."""
        (folder / "events").mkdir(parents=True)
        (folder / "items").mkdir()
        (folder / "workbench.toml").write_text(WORKSPACE, "utf-8")
        for day, events in enumerate(self.days):
            types = TYPES | ({"amount": pa.string()} if day in self.text_amounts else {})
            columns = {
                name: pa.array(
                    [
                        str(one[name]) if kind == pa.string() and one.get(name) is not None else one.get(name)
                        for one in events
                    ],
                    kind,
                )
                for name, kind in types.items()
            }
            pq.write_table(pa.table(columns), folder / "events" / f"day-{day:02d}.parquet")
        table = {"order_id": self.items, "product_id": ["p1"] * len(self.items)}
        pq.write_table(pa.table(table), folder / "items" / "items.parquet")
        return folder


def made(**given: Any) -> Event:
    """An event with what every event has."""
    return {"platform": "app", "received_ts": given["ts"] and given["ts"] + 2 * SECOND, **given}


def session(day: int, place: int) -> list[Event]:
    """A visit from search to order and refund."""
    person = (day * SESSIONS + place) % 400
    begins = START + day * DAY + HOURS[place % len(HOURS)] * HOUR + place * 17 * SECOND
    name = f"{day:02d}{place:02d}"
    events = []
    for step, event in enumerate(STEPS):
        one = made(
            ts=begins + step * 31 * SECOND + (place * 7 + step * step * 13) % 29 * SECOND,
            event=event,
            event_id=f"e{name}{step}",
            user_id=f"u{person}",
            anonymous_id=f"d{person}",
            session_id=f"s{name}",
            platform="web" if person % 2 else "app",
        )
        if event in ("search", "search_click"):
            one["query_id"] = f"q{name}"
        if event in ("order_paid", "refund"):
            one["order_id"] = f"o{name}"
        if event == "order_paid":
            one |= {"amount": Decimal("99.90"), "currency": "CNY"}
        if event == "search" and place % 5 == 0:
            one["referrer_user_id"] = f"u{(person + 1) % 400}"
        events.append(one)
    return events


def clean() -> Export:
    """Nothing wrong."""
    days = [[event for place in range(SESSIONS) for event in session(day, place)] for day in range(DAYS)]
    return Export(
        days, [event["order_id"] for day in days for event in day if event["event"] == "order_paid"]
    )


def at(day: int, hour: float) -> int:
    """A moment of a day in the zone."""
    return START + day * DAY + int(hour * HOUR)


def of(events: Sequence[Event], name: str) -> list[Event]:
    """The events of one name."""
    return [event for event in events if event["event"] == name]


def spoil_ids(export: Export) -> dict[str, tuple[int | None, int | None]]:
    """Rows without ids, ids that are none, ids of many."""
    day = export.days[1]
    for place in range(7):
        day.append(
            made(ts=at(1, 12) + place * MINUTE, event="list_view", user_id="  " if place % 2 else None)
        )
    for place in range(5):
        day.append(
            made(
                ts=at(1, 13) + place * MINUTE,
                event="list_view",
                user_id=["undefined", "NULL", "00000000"][place % 3],
                anonymous_id=f"j{place}",
            )
        )
    for place in range(4):
        day.append(
            made(ts=at(1, 14) + place * MINUTE, event="list_view", user_id="null", anonymous_id="0000-0000")
        )
    for place in range(101):
        day.append(
            made(
                ts=at(1, 15) + place * MINUTE + place * place % 47 * SECOND,
                event="list_view",
                user_id="shared",
                anonymous_id=f"x{place}",
            )
        )
    return {"missing-ids": (7, None), "junk-ids": (9, 5), "shared-ids": (101, 1)}


def spoil_times(export: Export) -> dict[str, tuple[int | None, int | None]]:
    """No name, no time, times of other centuries, clocks ahead and behind, a few days of their own."""
    day = export.days[2]
    day += [made(ts=at(2, 12) + place, event="", user_id=f"u{place}") for place in range(3)]
    day += [made(ts=None, event="list_view", user_id=f"u{place}") for place in range(4)]
    day += [
        made(ts=ts, event="list_view", user_id="u5") for ts in (0, 1, 4_070_908_800_000, 4_070_908_900_000, 5)
    ]
    for place in range(6):
        ts = at(2, 16) + place * HOUR // 3
        day.append({**made(ts=ts, event="list_view", user_id=f"u{place}"), "received_ts": ts - 10 * MINUTE})
    for place in range(8):
        ts = at(2, 8) + place * HOUR // 4
        behind = made(ts=ts, event="list_view", user_id="slow", anonymous_id="slow")
        day.append({**behind, "received_ts": ts + 3 * HOUR + place * MINUTE})
    # A batch sent late is no clock: one moment of receipt for all of it.
    for place in range(8):
        late = made(ts=at(2, 9) + place * MINUTE, event="list_view", user_id="batch", anonymous_id="batch")
        day.append({**late, "received_ts": at(2, 15)})
    day += [made(ts=at(-10, 12 + place), event="list_view", user_id="u7") for place in range(2)]
    return {
        "missing-events": (3, None),
        "missing-times": (4, None),
        "impossible-times": (5, None),
        "clock-skew": (14, 7),
        "stray-times": (2, 1),
    }


def spoil_rows(export: Export) -> dict[str, tuple[int | None, int | None]]:
    """A batch twice, event ids used again, equal times, a session of days, a robot."""
    export.days[4] += [dict(event) for event in export.days[4][:11]]
    for place, event in enumerate(of(export.days[5], "add_to_cart")[:5]):
        event["event_id"] = export.days[6][place]["event_id"]
    for day in (7, 8, 9):
        for place in range(30):
            events = export.days[day][place * 8 : place * 8 + 8]
            events[3]["ts"] = events[2]["ts"]
            events[3]["received_ts"] = events[2]["received_ts"]
    export.days[9].append(made(ts=at(9, 10), event="list_view", user_id="u1", session_id="endless"))
    export.days[10].append(made(ts=at(10, 16), event="list_view", user_id="u1", session_id="endless"))
    bot = [made(ts=at(11, 3) + place * 2 * SECOND, event="list_view", user_id="bot") for place in range(60)]
    export.days[11] += bot
    export.days[12] += [
        made(ts=at(12, 1) + place * place * 37, event="list_view", user_id="flood") for place in range(600)
    ]
    return {
        "duplicate-rows": (11, 2),
        "duplicate-event-ids": (16, 3),
        "ties": (180, 90),
        "long-sessions": (2, 1),
        "bots": (660, 2),
    }


def spoil_days(export: Export) -> dict[str, tuple[int | None, int | None]]:
    """A day without add_to_cart, a day of few views, a file of two days in UTC."""
    export.days[14] = [event for event in export.days[14] if event["event"] != "add_to_cart"]
    views = of(export.days[15], "product_view")
    for event in views[40:]:
        export.days[15].remove(event)
    export.days[20] += export.days[21]
    export.days[21] = []
    for event in export.days[20]:
        event["ts"] -= ZONE
        event["received_ts"] -= ZONE
    return {"lost-day": (None, None), "sudden-drop": (40, None), "mixed-zones": (960, 120)}


def spoil_shop(export: Export) -> dict[str, tuple[int | None, int | None]]:
    """Orders of nobody who looked, order ids again, money, and what belongs to nothing."""
    day = export.days[22]
    for place in range(100):
        ts = at(22, 9) + place * 7 * MINUTE + place * place % 60 * SECOND
        order = made(ts=ts, event="order_paid", event_id=f"blind{place}", user_id=f"blind{place}")
        day.append({**order, "order_id": f"blind{place}", "amount": Decimal("10.00"), "currency": "CNY"})
    for place, event in enumerate(of(export.days[23], "order_paid")[:3]):
        event["order_id"] = of(export.days[24], "order_paid")[place]["order_id"]
    for event in of(export.days[24], "order_paid")[10:14]:
        event["currency"] = "usd"
    for event in of(export.days[24], "order_paid")[20:22]:
        event["amount"] = Decimal("-5.00")
    for place, event in enumerate(of(export.days[25], "refund")[:2]):
        event["order_id"] = None if place else "nowhere"
    for event in of(export.days[25], "search_click")[:3]:
        event["query_id"] = "nowhere"
    for event in of(export.days[25], "search")[:4]:
        event["referrer_user_id"] = "nobody"
    export.items += ["lost"] * 5
    export.text_amounts.add(26)
    return {
        "orders-without-views": (100, 100),
        "repeated-order-ids": (3, 3),
        "mixed-currencies": (4, 4),
        "negative-amounts": (2, 2),
        "orphan-refunds": (5, 5),
        "orphan-clicks": (3, 3),
        "orphan-referrers": (4, 4),
        "orphan-items": (8, None),
        "amounts-as-text": (60, 60),
        "drifted-columns": (None, None),
        "damaged-files": (None, None),
    }


SPOIL: tuple[Callable[[Export], dict[str, tuple[int | None, int | None]]], ...] = (
    spoil_days,
    spoil_ids,
    spoil_times,
    spoil_rows,
    spoil_shop,
)


@pytest.fixture(scope="module")
def damaged(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict[str, tuple[int | None, int | None]]]:
    """An export with every flaw, and how many rows and people each has."""
    export = clean()
    planted = {check: counts for spoil in SPOIL for check, counts in spoil(export).items()}
    folder = export.write(tmp_path_factory.mktemp("damaged") / "shop")
    whole = (folder / "events" / "day-03.parquet").read_bytes()
    half = folder / "events" / "half.parquet"
    half.write_bytes(whole[: len(whole) // 2])
    os.utime(half, (1_700_000_000, 1_700_000_000))
    return folder, planted


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export without a flaw."""
    return clean().write(tmp_path_factory.mktemp("sound") / "shop")


def by_check(ran: Ran) -> dict[str, dict[str, Any]]:
    return {row["check"]: row for row in ran.json["rows"]}


def fits_the_schema(ran: Ran) -> None:
    answer = ran.json
    jsonschema.validate(answer, schemas.load("check"))
    assert [row["check"] for row in answer["rows"]] == list(IDS)
    severities = [row["severity"] for row in answer["rows"]]
    assert answer["totals"] | {"events": 0, "users": 0} == {
        "errors": severities.count("error"),
        "warnings": severities.count("warning"),
        "infos": severities.count("info"),
        "checks": len(IDS),
        "clean": severities.count(None),
        "not_applicable": 0,
        "events": 0,
        "users": 0,
    }


def checked(*data: Path, only: Sequence[str] = (), **scope: Any) -> dict[str, dict[str, Any]]:
    """All checks of some files, or of the workspace in this folder, by their ids; asked in this process."""
    given = Scope(data=tuple(map(str, data)), **scope)
    request = CheckRequest(only=tuple(only), all=True, scope=given)
    _, result = asked(given, Task(), lambda dataset: answer(request, dataset))
    return {str(row["check"]): dict(row) for row in result.rows}


def test_a_clean_export_is_silent(workbench: Command, sound: Path) -> None:
    ran = workbench("check", cwd=sound)
    assert ran.code == 0
    assert ran.err == ""
    assert "(no rows)" in ran.out
    assert f"{len(IDS)} checks: 0 found something, {len(IDS)} clean, 0 not applicable" in ran.out
    assert (
        workbench("check", "--fail-if", "totals.errors + totals.warnings + totals.infos > 0", cwd=sound).code
        == 0
    )


def test_every_planted_flaw_is_found_with_its_counts(workbench: Command, damaged: Any) -> None:
    folder, planted = damaged
    ran = workbench("check", "--json", cwd=folder)
    fits_the_schema(ran)
    found = by_check(ran)
    assert {
        check: (row["rows"], row["users"]) for check, row in found.items() if row["status"] == "found"
    } == planted
    assert {check for check, row in found.items() if row["status"] == "n/a"} == set()
    assert found["lost-day"]["examples"] == ["2026-03-15 add_to_cart: 0, usually 60"]
    assert found["sudden-drop"]["examples"] == ["2026-03-16 product_view: 40, usually 180"]
    assert found["mixed-zones"]["examples"] == ["day-20.parquet: 960 events, -8 h against the others"]
    assert found["clock-skew"]["examples"][0] == "list_view 2026-03-03 16:00:00 u0 ahead 10 min"
    assert found["junk-ids"]["examples"][0] == "list_view 2026-03-02 13:00:00 user_id undefined"
    assert found["orphan-items"]["examples"][:1] == ["lost"]
    assert found["negative-amounts"]["examples"][0].endswith(" -5.00")
    assert found["amounts-as-text"]["examples"][0] == "amount 99.90"
    assert found["damaged-files"]["count"] == 1
    assert found["damaged-files"]["examples"][0].startswith("1 file of shop set aside: half.parquet: ")
    assert found["drifted-columns"]["examples"][0].startswith(
        "shop: column amount is DECIMAL(12,2) in day-00"
    )


def test_fail_if_by_severity_and_by_totals(workbench: Command, damaged: Any) -> None:
    folder, _ = damaged
    some = ("--only", "bots", "--only", "lost-day")
    for condition in ("severity = 'error'", "totals.errors > 0", "\"check\" = 'bots' AND rows > 600"):
        assert workbench("check", *some, "--fail-if", condition, cwd=folder).code == 5, condition
    assert workbench("check", "--only", "bots", "--fail-if", "severity = 'error'", cwd=folder).code == 0


def people(workbench: Command, folder: Path, check: str) -> list[str]:
    return workbench("check", "--only", check, "--users", check, cwd=folder).users


def test_the_people_behind_a_check(workbench: Command, damaged: Any) -> None:
    folder, planted = damaged
    assert people(workbench, folder, "bots") == ["bot", "flood"]
    assert people(workbench, folder, "negative-amounts") == ["u260", "u261"]
    assert len(people(workbench, folder, "ties")) == planted["ties"][1]
    assert people(workbench, folder, "late-sources") == []
    refused = workbench("check", "--only", "lost-day", "--users", "lost-day", cwd=folder)
    assert (refused.code, refused.out) == (2, "")
    assert "it finds days, which are nobody's" in refused.err


def test_a_check_that_there_is_not() -> None:
    with pytest.raises(QuestionError, match="--only lost-days: there is no such check") as told:
        CheckRequest(only=("lost-days",))
    assert told.value.hint == 'did you mean "lost-day"?'
    with pytest.raises(QuestionError, match="--users bots: the check is not among --only"):
        CheckRequest(only=("lost-day",)).check_cell("bots")


def test_only_some_checks_in_a_range(workbench: Command, damaged: Any) -> None:
    folder, _ = damaged
    ran = workbench(
        "check", "--only", "bots", "--only", "negative-amounts", "--to", "2026-03-12", "--json", cwd=folder
    )
    found = by_check(ran)
    assert list(found) == ["bots", "negative-amounts"]
    assert (found["bots"]["rows"], found["negative-amounts"]["status"]) == (60, "clean")


def test_what_is_missing_makes_a_check_not_applicable(workbench: Command, csv: Any) -> None:
    path = csv([["2026-03-01T10:00:00Z", "view", "u1"]])
    found = checked(path)
    assert found["duplicate-event-ids"]["reason"] == "no column event_id"
    assert found["orphan-refunds"]["reason"] == "no column order_id"
    assert found["amounts-as-text"]["reason"] == "no column amount, discount, margin, refund_amount"
    assert found["orphan-items"]["reason"] == "no items"
    assert found["clock-skew"]["reason"] == "no column received_ts"
    refused = workbench("check", "--data", str(path), "--users", "orphan-items")
    assert refused.code == 2
    assert "not applicable: no items" in refused.err


def test_a_clock_that_jumps_inside_a_session_without_a_time_of_receipt(workbench: Command, csv: Any) -> None:
    rows = [
        [f"2026-03-{day:02d}T10:{place:02d}:{step:02d}Z", "view", f"u{place}", f"s{day}-{place}"]
        for day in range(1, 11)
        for place in range(20)
        for step in range(3)
    ]
    rows[62][0] = "2026-03-02T04:00:02Z"
    found = checked(csv(rows, "ts,event,user_id,session_id"))
    assert (found["clock-skew"]["rows"], found["clock-skew"]["users"]) == (3, 1)
    # Where more of them stand in no order, the order of the export says nothing about clocks.
    for place in (122, 182):
        rows[place][0] = rows[place][0].replace("T10", "T04")
    found = checked(csv(rows, "ts,event,user_id,session_id", "jumbled.csv"))
    assert found["clock-skew"]["status"] == "clean"


# --- days and hours, series by series ----------------------------------------------------------------------


def low(series: Sequence[int]) -> list[tuple[int, float]]:
    return list(checks_days._low(np.array(series), np.array(series)))


def test_a_growing_series_and_a_new_one_are_no_drop() -> None:
    assert low([round(100 * 1.1**day) for day in range(40)]) == []
    assert low([0] * 10 + [200] * 10) == []
    assert low([0] * 2 + [200] * 28) == []
    assert low([200] * 2 + [0] * 2 + [200] * 28) == []
    assert low([200] * 10 + [0] * 10) == []


def test_a_week_has_its_own_days() -> None:
    week = [900, 900, 900, 900, 900, 100, 100]
    assert low(week * 6) == []
    lost = week * 6
    lost[16] = 0
    lost[19] = 30
    assert low(lost) == [(16, 900.0), (19, 100.0)]


def test_a_series_that_varies_much_drops_only_far() -> None:
    varied = [60, 200, 90, 150, 70, 220, 110, 180, 65, 130] * 4
    assert low(varied) == []
    varied[20] = 0
    assert [place for place, _ in low(varied)] == [20]


def test_the_first_and_the_last_day_may_be_cut() -> None:
    assert low([3] + [500] * 20 + [3]) == []


def test_an_event_of_some_days_is_not_missed_on_others() -> None:
    assert low([0, 0, 300, 0, 300, 300, 0] * 5) == []


def profile(peak: int) -> np.ndarray:
    hours = np.arange(24)
    return np.round(100 * np.exp(-(((hours - peak + 12) % 24 - 12) ** 2) / 8))


def shifted(profiles: Sequence[np.ndarray]) -> list[tuple[object, int]]:
    table = np.array(profiles)
    return checks_days._shifted(np.arange(len(table)), table, np.ones(len(table), bool))


def test_a_profile_of_hours_is_found_shifted() -> None:
    assert shifted([profile(20)] * 9 + [profile(12)]) == [(9, -8)]
    assert shifted([profile(20)] * 9 + [profile(4)]) == [(9, 8)]
    assert shifted([profile(20)] * 9 + [profile(21)]) == []
    assert shifted([profile(20)] * 9 + [np.full(24, 50.0)]) == []
    assert shifted([profile(20)] * 9 + [profile(12) / 10]) == []
    assert shifted([profile(20)] * 5 + [profile(12)] * 5) == []
    assert shifted([3 * profile(20), profile(12)]) == [(1, -8)]


# --- rows of the list of faults ----------------------------------------------------------------------------


def parquet(folder: Path, name: str, columns: dict[str, Any], count: int = 3) -> Path:
    folder.mkdir(exist_ok=True)
    given = {
        "ts": pa.array([at(0, 12) + place * MINUTE for place in range(count)], pa.timestamp("ms", tz="UTC")),
        "event": ["view"] * count,
        "user_id": [f"u{place}" for place in range(count)],
    }
    table = {key: value for key, value in (given | columns).items() if value is not None}
    pq.write_table(pa.table(table), folder / name)
    return folder


def test_faults_031_032_036_columns_that_differ_between_files(workbench: Command, tmp_path: Path) -> None:
    data = parquet(tmp_path / "d", "a.parquet", {"page": ["x"] * 3})
    parquet(data, "b.parquet", {"user_id": [1, 2, 3]})
    row = checked(data)["drifted-columns"]
    assert (row["status"], row["severity"], row["count"]) == ("found", "warning", 2)
    assert row["examples"][0].startswith("d: column user_id is VARCHAR in a.parquet, BIGINT in b.parquet")
    assert row["examples"][1] == "d: column page is missing in b.parquet: null there"
    more = parquet(tmp_path / "more", "a.parquet", {})
    parquet(more, "b.parquet", {"page": ["x"] * 3})
    row = checked(more)["drifted-columns"]
    assert (row["status"], row["severity"]) == ("found", "info")


def test_fault_033_a_renamed_id_is_drift(workbench: Command, tmp_path: Path) -> None:
    data = parquet(tmp_path / "d", "a.parquet", {})
    parquet(data, "b.parquet", {"user_id": None, "userId": ["u1", "u2", "u3"]})
    row = checked(data)["drifted-columns"]
    assert (row["status"], row["count"]) == ("found", 1)
    assert "b.parquet set aside" in row["examples"][0]


TILL = "ts,event,user_id,amount"


def test_fault_042_amounts_that_are_written_or_unreadable(workbench: Command, csv: Any) -> None:
    amounts = ["12.50", '"1,299.00"', "¥99", "abc", "", "-3"]
    rows = [[f"2026-03-01T10:0{place}:00Z", "order", f"u{place}", one] for place, one in enumerate(amounts)]
    found = checked(csv(rows, TILL))
    assert (found["amounts-as-text"]["rows"], found["amounts-as-text"]["users"]) == (3, 3)
    assert found["amounts-as-text"]["examples"] == ["amount 1,299.00", "amount ¥99", "amount abc"]
    assert (found["unreadable-values"]["count"], found["unreadable-values"]["severity"]) == (1, "error")
    assert found["negative-amounts"]["rows"] == 1


def test_faults_048_049_053_rows_without_id_or_time(workbench: Command, csv: Any) -> None:
    rows = [
        ["2026-03-01T10:00:00Z", "view", "u1"],
        ["2026-03-01T10:00:00Z", "view", ""],
        ["", "view", "u1"],
        ["yesterday", "view", "u1"],
        ["1970-01-01T00:00:00Z", "view", "u1"],
        ["9999-01-01T00:00:00Z", "view", "u1"],
    ]
    found = checked(csv(rows))
    counts = {check: row["rows"] for check, row in found.items() if row["status"] == "found"}
    assert counts == {"missing-ids": 1, "missing-times": 1, "unreadable-times": 1, "impossible-times": 2}
    assert found["impossible-times"]["users"] is None


def test_fault_050_duplicates_are_counted_and_gone_under_a_rule(
    workbench: Command, csv: Any, tmp_path: Path
) -> None:
    rows = [["2026-03-01T10:00:00Z", "view", "u1", "e1"]] * 3 + [["2026-03-01T11:00:00Z", "view", "u1", "e1"]]
    data = csv(rows, "ts,event,user_id,event_id")
    found = checked(data)
    assert (found["duplicate-rows"]["rows"], found["duplicate-event-ids"]["rows"]) == (2, 3)
    assert found["ties"]["status"] == "clean"
    settings = f'schema = 1\n[[source]]\nname = "a"\npath = "{data}"\n[dedup]\nrule = "event_id"\n'
    (tmp_path / "workbench.toml").write_text(settings, "utf-8")
    found = by_check(workbench("check", "--json", cwd=tmp_path))
    assert (found["duplicate-rows"]["rows"], found["duplicate-event-ids"]["rows"]) == (0, 0)


def test_fault_052_ties_are_those_that_nothing_but_the_place_orders(workbench: Command, csv: Any) -> None:
    rows = [["2026-03-01T10:00:00Z", f"e{place}", "u1", place] for place in range(12)]
    found = checked(csv(rows, "ts,event,user_id,step"))
    assert (found["ties"]["rows"], found["ties"]["users"], found["ties"]["severity"]) == (12, 1, "info")
    ordered = csv(rows, "ts,event,user_id,sequence", "sequence.csv")
    assert checked(ordered)["ties"]["rows"] == 0


def test_fault_055_days_of_23_and_25_hours_are_no_drop(workbench: Command, csv: Any) -> None:
    # An event every 10 minutes over the change of the clocks in Berlin, 29 March 2026.
    rows = [
        [
            f"{np.datetime64('2026-03-16T00:00') + np.timedelta64(10 * place, 'm')}:00Z",
            "view",
            f"u{place % 500}",
        ]
        for place in range(26 * 144)
    ]
    answer = workbench("check", "--data", str(csv(rows)), "--tz", "Europe/Berlin", "--json").json
    assert answer["totals"]["errors"] + answer["totals"]["warnings"] == 0


def test_fault_063_lines_that_cannot_be_read(tmp_path: Path) -> None:
    line = '{"ts": "2026-03-01T10:00:00Z", "event": "view", "user_id": "u1"}\n'
    (tmp_path / "e.jsonl").write_text(line * 3 + '{"ts": "2026-03\n' + line, "utf-8")
    found = checked(tmp_path / "e.jsonl")
    assert (found["rejected-lines"]["count"], found["rejected-lines"]["severity"]) == (1, "error")
    assert "line 4" in found["rejected-lines"]["examples"][0]


def test_fault_065_mixed_currencies_and_negative_amounts(workbench: Command, csv: Any) -> None:
    rows = [
        [f"2026-03-01T10:00:0{place}Z", "order", f"u{place}", amount, currency]
        for place, (amount, currency) in enumerate(
            [(5, "CNY"), (6, "cny"), (7, "USD"), (-8, ""), ("", "EUR")]
        )
    ]
    found = checked(csv(rows, f"{TILL},currency"))
    assert (found["mixed-currencies"]["rows"], found["mixed-currencies"]["of"]) == (1, 3)
    assert found["negative-amounts"]["rows"] == 1


def test_fault_075_hostile_values_stay_values(workbench: Command, csv: Any) -> None:
    rows = [
        [f"2026-03-0{1 + place % 9}T10:00:00Z", "'; drop table x; --", "{place}", "{events}"]
        for place in range(9)
    ]
    ran = workbench(
        "check",
        "--data",
        str(csv(rows, "ts,event,user_id,platform")),
        "--where",
        "platform = '{raw}'",
        "--json",
    )
    assert ran.json["totals"]["errors"] == 0
    assert checked(csv(rows, "ts,event,user_id,platform"))


def test_late_sources_are_named(csv: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    csv([["2026-03-01T10:00:00Z", "view", "u1"]], name="early.csv")
    csv([["2026-03-01T20:00:00Z", "view", "u1"]], name="late.csv")
    sources = "".join(
        f'[[source]]\nname = "{name}"\npath = "data/{name}.csv"\n' for name in ("early", "late")
    )
    (tmp_path / "workbench.toml").write_text(f"schema = 1\n{sources}", "utf-8")
    monkeypatch.chdir(tmp_path)
    row = checked()["late-sources"]
    assert (row["status"], row["count"]) == ("found", 1)
    assert row["examples"][0].startswith("source early ends 2026-03-01T10:00:00")


def test_every_check_says_what_it_bends_and_what_to_do() -> None:
    reports = {"events", "funnel", "users", "user", "attribution", "search", "segment"}
    for check in CHECKS:
        assert set(check.bends) <= reports and check.bends
        assert check.rule and check.advice and not check.advice.endswith(".")


def test_the_sql_is_told_and_the_saved_question_is_the_same(workbench: Command, sound: Path) -> None:
    told = workbench("check", "--only", "duplicate-rows", "--sql", cwd=sound)
    assert told.code == 0
    assert "check_equal_times" in told.out
    answer = workbench("check", "--only", "ties", "--json", cwd=sound).json
    assert answer["request"]["only"] == ["ties"]
    assert answer["command"] == "workbench check --only ties --all"
    assert json.loads(workbench("check", "--only", "ties", "--jsonl", cwd=sound).out)["check"] == "ties"
