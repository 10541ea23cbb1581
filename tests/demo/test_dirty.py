"""The flaws of --dirty, found again in the written files by plain counting, and by the command."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.driver import Command
from tests.shop import Event, WrittenShop, shanghai
from workbench.demo import SMALLEST, write_demo

HOUR = 3_600_000
FLAWS = (
    "clock-skew", "duplicate-rows", "duplicate-event-ids", "lost-day", "junk-ids", "mixed-zones",
    "damaged-files", "drifted-columns",
)  # fmt: skip
JUNK = re.compile(r"undefined|null|[0-]+")


class DirtyShop(WrittenShop):
    """Reads what can be read, each file as its own types have it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.damaged: list[Path] = []
        self.layouts: dict[Path, tuple[tuple[str, str], ...]] = {}
        rows: list[Event] = []
        for path in sorted(folder.glob("events/**/*.parquet")):
            try:
                table = pq.ParquetFile(path).read()
            except pa.ArrowInvalid:
                self.damaged.append(path)
                continue
            self.layouts[path] = tuple((field.name, str(field.type)) for field in table.schema)
            naive = table.schema.field("ts").type.tz is None
            for name in ("ts", "received_ts"):
                table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.int64()))
            for row in table.to_pylist():
                # Without a zone a time is read in the workspace's, eight hours east.
                shift = 8 * HOUR if naive else 0
                row |= {"ts": row["ts"] - shift, "received_ts": row["received_ts"] - shift, "file": path}
                rows.append(row)
        rows.sort(key=lambda e: (e["ts"], e["event_id"]))
        self.rows = rows
        self._resolve()

    def _resolve(self) -> None:
        """Sets ``person``: the login, else the device's only one (a family's: the one in force), else the device."""
        logins: dict[str, list[str]] = defaultdict(list)
        in_force: dict[str, str] = {}
        ids = [(clean(e["anonymous_id"]), clean(e["user_id"])) for e in self.rows]
        for device, user in ids:
            if device and user and user not in logins[device]:
                logins[device].append(user)
        for event, (device, user) in zip(self.rows, ids, strict=True):
            if device and user:
                in_force[device] = user
            known = logins.get(device or "", [])
            event["person"] = user or (in_force.get(device or "", known[0]) if known else device)


def clean(one: str | None) -> str | None:
    return None if one is None or JUNK.fullmatch(one) else one


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> DirtyShop:
    folder = tmp_path_factory.mktemp("dirty") / "shop"
    write_demo(folder, events=60_000, dirty=True)
    return DirtyShop(folder)


def found(shop: DirtyShop, rows: list[Event]) -> tuple[int, int]:
    return len(rows), len({e["person"] for e in rows})


def expected(shop: DirtyShop, check: str) -> tuple[int, int]:
    name = f"dirty-{check}"
    return shop.expected(name, "rows", check=check), shop.expected(name, "users", check=check)


def test_the_command_finds_every_flaw_and_no_other(tmp_path: Path, workbench: Command) -> None:
    # From here on the hours of a day's file are sure enough to tell its zone.
    write_demo(tmp_path / "shop", events=200_000, dirty=True)
    truths = WrittenShop(tmp_path / "shop").truths
    told = {
        row["check"]: row for row in workbench("-C", str(tmp_path / "shop"), "check", "--json").json["rows"]
    }
    assert {name.removeprefix("dirty-") for name in truths if name.startswith("dirty-")} == set(FLAWS)
    for check in FLAWS:
        for one in truths[f"dirty-{check}"]["expected"]:
            assert one["row"] == {"check": check}
            assert told[check][one["key"]] == one["value"]
    # The bots of the clean shop may be found as well, and the junk ids as ids of many.
    also = {"bots", "shared-ids"}
    assert {check for check, row in told.items() if row["status"] == "found"} - also == set(FLAWS)


def test_a_clean_shop_has_none_of_them(shop: WrittenShop, workbench: Command) -> None:
    rows = {row["check"]: row for row in workbench("-C", str(shop.folder), "check", "--json").json["rows"]}
    for check in FLAWS:
        assert rows[check]["status"] == "clean"
        assert shop.expected("data-health", "count", check=check) == 0
    assert "received_ts" not in shop.table.column_names


def test_skewed_clocks(dirty: DirtyShop, shop: WrittenShop) -> None:
    ahead = [e for e in dirty.rows if e["ts"] > e["received_ts"] + 300_000]
    assert expected(dirty, "clock-skew") == found(dirty, ahead)
    true = {e["event_id"]: e["ts"] for e in shop.events}
    assert {e["ts"] - true[e["event_id"]] for e in ahead} == {3 * HOUR}
    assert {e["platform"] for e in ahead} == {"app"}
    assert {shanghai(true[e["event_id"]]).month for e in ahead} <= {4, 5}
    # The decoy: in the week in another zone both clocks agree.
    assert all(0 < e["received_ts"] - e["ts"] <= 4_000 for e in dirty.rows if e["file"].stem == "backfill")


def test_a_batch_twice_and_views_sent_again(dirty: DirtyShop) -> None:
    seen: Counter[tuple[object, ...]] = Counter()
    ids: Counter[str] = Counter()
    rows, again = [], []
    for event in dirty.rows:
        key = tuple(value for name, value in event.items() if name != "file")
        if seen[key]:
            rows.append(event)
        if ids[event["event_id"]]:
            again.append(event)
        seen[key] += 1
        ids[event["event_id"]] += 1
    assert expected(dirty, "duplicate-rows") == found(dirty, rows)
    assert expected(dirty, "duplicate-event-ids") == found(dirty, again)
    assert max(ids.values()) == 2
    assert {(shanghai(e["received_ts"]).date().isoformat(), shanghai(e["received_ts"]).hour) for e in rows} == {
        ("2026-05-16", 14), ("2026-05-16", 15)
    }  # fmt: skip
    late = [e for e in again if e["event_id"] not in {one["event_id"] for one in rows}]
    assert len(late) > 5
    assert {(e["event"], shanghai(e["ts"]).date().isoformat()) for e in late} == {
        ("product_view", "2026-05-20")
    }


def test_a_day_without_an_event(dirty: DirtyShop, shop: WrittenShop) -> None:
    assert dirty.expected("dirty-lost-day", "count", check="lost-day") == 1
    by_day = Counter(shanghai(e["ts"]).date().isoformat() for e in dirty.rows if e["event"] == "list_view")
    # Days of March move with their zone; the others have all they had.
    before = Counter(shanghai(e["ts"]).date().isoformat() for e in shop.events if e["event"] == "list_view")
    assert before["2026-05-06"] > 20
    assert by_day["2026-05-06"] == 0
    assert all(by_day[day] > 0 for day in before if day != "2026-05-06")


def test_junk_ids(dirty: DirtyShop) -> None:
    def junk(one: str | None) -> bool:
        return one is not None and clean(one) is None

    rows = [e for e in dirty.rows if junk(e["user_id"]) or junk(e["anonymous_id"])]
    assert expected(dirty, "junk-ids") == found(dirty, rows)
    assert {e["user_id"] for e in rows if junk(e["user_id"])} == {"undefined"}
    assert {e["anonymous_id"] for e in rows if junk(e["anonymous_id"])} == {
        "null", "00000000-0000-0000-0000-000000000000"
    }  # fmt: skip
    assert {e["platform"] for e in rows} == {"web"}
    assert all(e["person"] for e in dirty.rows)


def test_a_week_in_another_zone(dirty: DirtyShop, shop: WrittenShop) -> None:
    rows = [e for e in dirty.rows if dict(dirty.layouts[e["file"]])["ts"] == "timestamp[ms]"]
    assert expected(dirty, "mixed-zones") == found(dirty, rows)
    true = {e["event_id"]: e["ts"] for e in shop.events}
    assert {true[e["event_id"]] - e["ts"] for e in rows} == {8 * HOUR}
    days = Counter(shanghai(true[e["event_id"]]).date().isoformat() for e in rows)
    assert sorted(days) == [f"2026-03-{day:02d}" for day in range(6, 13)]
    # Nothing is lost on the way.
    week = [e for e in shop.events if shanghai(e["ts"]).date().isoformat() in days]
    assert 0.97 * len(week) < len(rows) <= len(week)


def test_a_half_written_file_and_drifted_columns(dirty: DirtyShop) -> None:
    assert [path.parent.name for path in dirty.damaged] == ["dt=2026-05-12"]
    assert dirty.expected("dirty-damaged-files", "count", check="damaged-files") == 1
    again = dirty.damaged[0]
    whole = again.with_name(again.name.replace("-again", "")).read_bytes()
    assert again.read_bytes() == whole[: len(whole) // 2]
    drifted = [path for path, layout in dirty.layouts.items() if "city_name" in dict(layout)]
    assert [path.parent.name for path in drifted] == [f"dt=2026-05-{day}" for day in range(25, 32)]
    for path, layout in dirty.layouts.items():
        assert ("city" in dict(layout)) == (path not in drifted)
        assert (dict(layout)["price"] == "string") == (path in drifted)
    expected_count = 2 * len(drifted) + len({"price", "ts", "received_ts"})
    assert dirty.expected("dirty-drifted-columns", "count", check="drifted-columns") == expected_count


def test_all_rows_but_the_lost_ones_are_there(dirty: DirtyShop, shop: WrittenShop) -> None:
    lost = {
        e["event_id"]
        for e in shop.events
        if e["event"] == "list_view" and shanghai(e["ts"]).date().isoformat() == "2026-05-06"
    }
    assert {e["event_id"] for e in dirty.rows} == {e["event_id"] for e in shop.events} - lost
    marker = json.loads((dirty.folder / ".workbench-demo.json").read_text(encoding="utf-8"))
    assert marker["dirty"] is True
    assert marker["events"] == len(dirty.rows)


def test_the_forced_login_holds_in_spite_of_all(
    dirty: DirtyShop, shop: WrittenShop, workbench: Command
) -> None:
    kept = {name for name in dirty.truths if not name.startswith("dirty-")}
    assert kept == {"forced-login", "forced-login-count"}
    truth = dirty.truths["forced-login"]
    assert truth["expected_ids"] == shop.truths["forced-login"]["expected_ids"]
    steps = ["add_to_cart", "view_cart", "coupon_apply", "login_prompt: reason = 'coupon'", "order_paid"]
    asked = [part for step in steps for part in ("--step", step)]
    ran = workbench("-C", str(dirty.folder), "funnel", *asked, "--window", "1d", "--users", "dropped:4")
    assert ran.users == truth["expected_ids"]


def test_flaws_do_not_hang_on_the_block_size(tmp_path: Path) -> None:
    shops = []
    for block in (1 << 19, 84):
        write_demo(tmp_path / str(block), events=SMALLEST, seed=3, block=block, dirty=True)
        shops.append(DirtyShop(tmp_path / str(block)))
    contents = [
        sorted(str([v for k, v in sorted(e.items()) if k != "file"]) for e in one.rows) for one in shops
    ]
    assert contents[0] == contents[1]
    assert len(shops[1].layouts) > 1.5 * len(shops[0].layouts)
    for name in shops[0].truths:
        # How many files drift does hang on it.
        if name != "dirty-drifted-columns":
            assert shops[0].truths[name] == shops[1].truths[name]


def test_the_command_writes_it(tmp_path: Path, workbench: Command) -> None:
    ran = workbench("demo", str(tmp_path / "d"), "--events", str(SMALLEST), "--dirty", "--no-open")
    assert ran.code == 0
    assert f"workbench -C {tmp_path / 'd'} check" in ran.out
    assert "dirty = true" in (tmp_path / "d" / "truths.toml").read_text(encoding="utf-8")
