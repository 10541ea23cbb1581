"""What must hold between answers, whatever the numbers are: the same bytes again, parts that add up, and one
number by every way to ask for it."""

from __future__ import annotations

import csv as csv_module
import json
import os
import random
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queries.funnel import answer, request
from queries.question import QuestionError, Result, Row, Scope
from tests.driver import ROOT, Command
from tests.in_process import in_process
from workbench.dataset import Dataset
from workbench.limits import limits
from workbench.runner import Task
from workbench.workspace import load

Event = dict[str, Any]
START = 1_772_300_000_000
DAY = 86_400_000
NAMES = ("ts", "event", "event_id", "user_id", "anonymous_id", "session_id", "order_id", "channel", "amount")
COLUMNS = (*NAMES, "props")
CHANNELS = ("app", "web", "=1+1", "it's", '"q"', "$HOME", "(other)", "current", None)


def export(seed: int, rows: int = 240, days: int = 20) -> list[Event]:
    """Events at different times, of people who share devices, with missing and hostile values."""
    rng = random.Random(seed)
    out = []
    for number, ts in enumerate(sorted(rng.sample(range(days * DAY), rows))):
        person = rng.randrange(20)
        device = person if rng.random() < 0.9 else rng.randrange(20)
        out.append(
            {
                "ts": START + ts,
                "event": rng.choice(["view", "view", "cart", "order", "page"]),
                "event_id": f"e{number}",
                "user_id": f"u{person}" if rng.random() < 0.6 else None,
                "anonymous_id": f"d{device}",
                "session_id": f"s{ts // DAY}" if rng.random() < 0.95 else None,
                "order_id": rng.choice([None, None, f"o{rng.randrange(30)}"]),
                "channel": rng.choice(CHANNELS),
                "amount": rng.choice([None, "12.50", "-3.10", "100.00"]),
                "props": {"k": rng.choice(["x", "y", None]), "n": rng.randrange(3)},
            }
        )
    return out


def _parquet(path: Path, events: list[Event], group: int | None = None) -> None:
    columns = {
        name: pa.array([one[name] for one in events], pa.int64() if name == "ts" else pa.string())
        for name in NAMES
    }
    texts = pa.array([json.dumps(one["props"]) for one in events], pa.string())
    props = pa.ExtensionArray.from_storage(pa.json_(pa.string()), texts)
    pq.write_table(pa.table({**columns, "props": props}), path, row_group_size=group)


def _csv(path: Path, events: list[Event]) -> None:
    with path.open("w", newline="") as file:
        writer = csv_module.writer(file)
        writer.writerow(COLUMNS)
        for one in events:
            writer.writerow([*(one[name] for name in NAMES), json.dumps(one["props"])])


def written(folder: Path, events: list[Event], layout: str = "parquet") -> Path:
    """A workspace that holds the events in one of several layouts, not in the order of their times."""
    data = folder / "data"
    data.mkdir(parents=True)
    mixed = list(events)
    random.Random(len(layout)).shuffle(mixed)
    if layout == "parquet":
        _parquet(data / "a.parquet", mixed)
    elif layout == "groups":
        for part in range(3):
            _parquet(data / f"{3 - part}.parquet", mixed[part::3], 13)
    elif layout == "csv":
        _csv(data / "a.csv", mixed)
    else:
        for name, part in (("a", mixed[:70]), ("b", mixed[70:])):
            (data / f"{name}.ndjson").write_text("".join(json.dumps(one) + "\n" for one in part))
    mapped = "".join(f'{name} = "{name}"\n' for name in NAMES if name != "channel")
    (folder / "workbench.toml").write_text(
        'schema = 1\n[[source]]\nname = "e"\npath = "data"\n[source.time]\nunit = "ms"\n'
        f'[source.map]\n{mapped}[roles]\norder = "order"\n'
    )
    (folder / "some.txt").write_text("".join(f"u{number}\n" for number in range(0, 20, 3)))
    return folder


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return export(1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> Path:
    """The events as Parquet."""
    return written(tmp_path_factory.mktemp("shop") / "w", events)


@pytest.fixture
def ask(
    tmp_path_factory: pytest.TempPathFactory,
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Runs a command in the test's process, in the shop unless ``cwd`` says elsewhere."""
    run = in_process(tmp_path_factory.getbasetemp() / "home", monkeypatch, capsys)
    return lambda *arguments, cwd=shop: run(*arguments, cwd=cwd)


def over(folder: Path, scope: Scope) -> Dataset:
    return Dataset(load(folder / "workbench.toml"), scope, Task(), limits(None, None))


FUNNEL = ("funnel", "--step", "view", "--step", "cart", "--step", "order")
RANGE = ("--from", "2026-03-08", "--to", "2026-03-14")
QUESTIONS: dict[str, tuple[str, ...]] = {
    "trend": (
        *(*FUNNEL, "--by", "channel", "--top", "2"),
        *("--trend", "week", "--compare", "previous", *RANGE),
    ),
    "peers": (*FUNNEL, "--as", "all", *RANGE),
    "segment": (*FUNNEL, "--compare", "some.txt", "--trend", "day", "--tz", "America/New_York"),
    "attempts": (*FUNNEL, "--entry", "every", "--exclude", "page", "--by", "channel", "--at", "last"),
    "strict": (*FUNNEL, "--order", "strict", "--hold", "channel", "--window", "none"),
    "session": (*FUNNEL, "--unit", "session", "--by", "channel"),
    "gap": (*FUNNEL, "--unit", "session", "--session-gap", "3h", "--trend", "month"),
    "order": (*FUNNEL, "--unit", "order", "--compare", "previous", *RANGE),
    "who": (*FUNNEL, "--who", "did('cart', last => '10d') >= 2 AND channel <> 'app'", "--by", "user_id"),
    "people": (*FUNNEL, "--compare", "previous", *RANGE, "--users", "reached:1@previous"),
    "events": ("events", "--who", "sequence('view', 'cart', within => '1d')"),
    "identity": ("identity",),
    "check": ("check", "--all"),
    "properties": ("properties",),
    "sql": ("sql", "SELECT * EXCLUDE (place, props) FROM events ORDER BY ts"),
    "sessions": ("sql", "FROM sessions ORDER BY session"),
}


# --- the same bytes again -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory, shop: Path, events: list[Event]) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("layouts")
    return {name: written(folder / name, events, name) for name in ("groups", "csv", "ndjson")}


def _comparable(name: str, text: str) -> str:
    """The answer without what is said of the files: check gives the first rows of the export and their types."""
    if name not in ("check", "properties"):
        return text
    found = json.loads(text)
    if name == "check":
        found["rows"] = [
            row | {"examples": None} for row in found["rows"] if row["check"] != "amounts-as-text"
        ]
        found["totals"] = None
    else:
        # Only Parquet and JSON tell a JSON column from text.
        found["rows"] = [row for row in found["rows"] if not str(row["property"]).startswith("props")]
    return json.dumps(found)


@pytest.mark.parametrize(
    "name", [name for name in QUESTIONS if name not in ("gap", "order", "people", "sql")]
)
def test_fault_120_same_bytes_for_any_layout_threads_and_memory(
    ask: Command, layouts: dict[str, Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked = (*QUESTIONS[name], "--json")
    first = ask(*asked)
    assert first.json["rows"]
    expected = _comparable(name, first.out)
    assert _comparable(name, ask(*asked, "--threads", "1", cwd=layouts["groups"]).out) == expected
    assert (
        _comparable(name, ask(*asked, "--threads", "2", "--memory", "128MB", cwd=layouts["ndjson"]).out)
        == expected
    )
    # Whatever does not fit is folded person by person.
    monkeypatch.setattr(Dataset, "row_budget", property(lambda _: 8))
    assert _comparable(name, ask(*asked, cwd=layouts["csv"]).out) == expected


def test_fault_120_same_bytes_under_any_hash_seed(shop: Path, layouts: dict[str, Path], ask: Command) -> None:
    asked = [[*QUESTIONS[name], "--json"] for name in ("trend", "session", "identity")]
    code = (
        "import sys, json\nfrom workbench.cli import cli\n"
        "for one in json.loads(sys.argv[1]):\n    cli.main(one, standalone_mode=False)\n"
    )
    outputs = []
    for seed, folder in (("1", shop), ("4242", layouts["groups"])):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        outputs.append(
            subprocess.run(
                [sys.executable, "-c", code, json.dumps(asked)],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=100,
                check=True,
            ).stdout
        )
    assert outputs[0] == outputs[1] == "".join(ask(*one).out for one in asked)


# --- parts add up -------------------------------------------------------------------------------------------

Block = tuple[object, object, bool, bool, object]
"""Cohort, period, whether of all values, whether Other, value."""
COUNTS = ("users", "dropped", "open", "skipped")


def _blocks(result: Result) -> dict[Block, list[Row]]:
    found: dict[Block, list[Row]] = defaultdict(list)
    for row in result.rows:
        whole, other = bool(row["is_total"]), bool(row["is_other"])
        found[row["cohort"], row["period"], whole, other, row["breakdown"]].append(row)
    return found


def _cell(block: Block) -> str:
    cohort, period, whole, other, value = block
    named = [] if whole else ["(other)" if other else "(none)" if value is None else f'"{value}"']
    return "".join(f"@{part}" for part in (*named, period, cohort) if part is not None)


def _sums(rows: Iterator[list[Row]]) -> list[list[int]]:
    sums = [[0] * len(COUNTS) for _ in range(3)]
    for block in rows:
        for place, row in enumerate(block):
            sums[place] = [total + int(str(row[key])) for total, key in zip(sums[place], COUNTS, strict=True)]
    return sums


def _random_scope(rng: random.Random) -> Scope:
    given: dict[str, Any] = {
        "by": rng.choice([None, "channel", "channel", "props.k", "user_id", "anonymous_id", "event_id"]),
        "unit": rng.choice(["user", "user", "raw", "session", "order", "channel", "props.k", "user_id"]),
        "top": rng.choice([1, 2, 10]),
        "tz": rng.choice([None, "Asia/Shanghai", "Australia/Lord_Howe"]),
        "as_of": rng.choice([None, None, "2026-03-12T10:00:00Z"]),
        "where": rng.choice([None, None, "channel <> 'app'"]),
        "who": rng.choice([None, None, "did('cart') >= 2"]),
        "session_gap": rng.choice([None, None, "3h"]),
    }
    return Scope(since="2026-03-06", until="2026-03-13", **given)


def _random_rules(rng: random.Random, by: str | None) -> dict[str, Any]:
    exclude = rng.choice([(), (), ("page",)])
    return {
        "trend": rng.choice([None, "day", "week", "month"]),
        "compare": rng.choice([None, "previous", "some.txt"]),
        "peer": rng.choice([None, None, None, "all"]),
        "entry": rng.choice(["any", "any", "first", "every"]),
        "order": rng.choice(["ordered", "ordered", "strict", "any"]),
        "hold": rng.choice([None, None, None, "channel"]),
        "exclude": exclude,
        "exclusion": rng.choice(["drop", "remove"]) if exclude else "drop",
        "optional": rng.choice([(), (), (2,)]),
        "at": rng.choice(["first", "last", "user-first", "user-last"]) if by else "first",
        "range": rng.choice(["entry", "entry", "whole"]),
        "mature": rng.random() < 0.1,
    }


@pytest.mark.parametrize("seed", range(3))
def test_rows_parts_people_and_totals_reconcile(
    shop: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    monkeypatch.chdir(shop)
    asked = 0
    while asked < 5:
        scope = _random_scope(rng)
        rules = _random_rules(rng, scope.by)
        window = rng.choice(["7d", "1d", "none"])
        try:
            question = request(["view", "cart", "order"], window, scope, **rules)
        except QuestionError:
            continue
        result = answer(question, over(shop, scope))
        asked += 1
        _reconciles(result, people=scope.unit in ("user", "raw") and question.entry != "every")


def _reconciles(result: Result, *, people: bool) -> None:
    told = shlex.join(result.request.arguments())
    blocks = _blocks(result)
    assert result.people is not None
    of_cell: dict[tuple[Block, str], set[int]] = {}
    hold = "--hold" in result.request.arguments()
    for block, rows in blocks.items():
        assert [row["step"] for row in rows] == [1, 2, 3], told
        for row, after in pairwise([*rows, {"users": 0}]):
            step = int(str(row["step"]))
            converted = row["users"] if step == 3 else 0
            assert row["users"] == row["dropped"] + row["open"] + after["users"] + converted, told  # type: ignore[operator]
            for measure, key in (("reached", "users"), ("dropped", "dropped"), ("open", "open")):
                codes = result.people.codes(f"{measure}:{step}{_cell(block)}").tolist()
                of_cell[block, f"{measure}:{step}"] = set(codes)
                assert len(codes) == row[key] if people and not hold else len(codes) <= row[key], told  # type: ignore[operator]
                assert bool(codes) == bool(row[key]), told
    for block, rows in blocks.items():
        cohort, period, whole, _, _ = block
        by = [one for one in blocks if one[:2] == (cohort, period) and not one[2]]
        trend = [one for one in blocks if (one[0], *one[2:]) == (cohort, *block[2:]) and one[1] is not None]
        for parts in (by if whole else [], trend if period is None else []):
            if parts:
                assert _sums(blocks[one] for one in parts) == _sums(iter([rows])), told
                union = set().union(*(of_cell[one, "reached:2"] for one in parts))
                assert union == of_cell[block, "reached:2"], told
        if ("some.txt", *block[1:]) in blocks and cohort is None:
            sides = [(side, *block[1:]) for side in ("some.txt", "(others)")]
            assert _sums(blocks[one] for one in sides) == _sums(iter([rows])), told
    first: Block = (result.rows[0]["cohort"], None, True, False, None)
    totals = result.totals
    assert totals["entered"] == blocks[first][0]["users"], told
    assert totals["converted"] == blocks[first][2]["users"], told
    for key in ("dropped", "open"):
        assert totals[key] == sum(int(str(row[key])) for row in blocks[first]), told
    assert totals["users"] == len(of_cell[first, "reached:1"]), told
    bins: list[dict[str, int]] = totals["histogram"]  # type: ignore[assignment]
    assert sum(one["users"] for one in bins) == totals["converted"], told


# --- one number, every way to ask for it ----------------------------------------------------------------------


def _row(answered: dict[str, Any], **wanted: object) -> dict[str, Any]:
    (found,) = (row for row in answered["rows"] if all(row[key] == value for key, value in wanted.items()))
    return dict(found)


@pytest.mark.parametrize("options", [(), ("--unit", "raw"), ("--as-of", "2026-03-10T07:00:00Z")])
def test_events_funnel_sql_identity_and_check_count_the_same(ask: Command, options: tuple[str, ...]) -> None:
    ((people, rows),) = _sql(ask, "SELECT count(DISTINCT person), count(*) FROM events", *options)
    by_event = _sql(ask, "SELECT event, count(*), count(DISTINCT person) FROM events GROUP BY 1", *options)
    listed = ask("events", *options, "--json").json
    assert listed["totals"] == {"events": rows, "users": people}
    assert {(row["event"], row["events"], row["users"]) for row in listed["rows"]} == set(by_event)
    identity = ask("identity", *options, "--json").json
    assert identity["totals"]["people"] == people
    assert sum(row["events"] for row in identity["rows"]) == rows
    check = ask("check", "--all", *options, "--json").json
    assert (check["totals"]["events"], check["totals"]["users"]) == (rows, people)
    written = _sql(
        ask, "SELECT count(amount), count(DISTINCT person) FROM events WHERE amount > -99", *options
    )
    found = _row(check, check="amounts-as-text")
    assert [(found["rows"], found["users"])] == written and found["share"] == 1
    negative = _sql(ask, "SELECT count(*), count(DISTINCT person) FROM events WHERE amount < 0", *options)
    found = _row(check, check="negative-amounts")
    assert [(found["count"], found["users"])] == negative
    repeated = _sql(
        ask,
        "SELECT count(*) - count(DISTINCT order_id) FROM events WHERE event = 'order' AND order_id <> ''",
        *options,
    )
    assert [(_row(check, check="repeated-order-ids")["count"],)] == repeated
    (carts,) = (row for row in by_event if row[0] == "cart")
    one_step = ("funnel", "--step", "cart", "--window", "none", *options, "--json")
    assert _row(ask(*one_step, "--entry", "every").json, step=1)["users"] == carts[1]
    assert _row(ask(*one_step).json, step=1)["users"] == carts[2]


def _sql(ask: Command, text: str, *options: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in ask("sql", text, *options, "--json").json["rows"]]


def test_sessions_orders_and_values_are_counted_as_sql_counts_them(ask: Command) -> None:
    for options in ((), ("--session-gap", "3h")):
        ((sessions, held, owners),) = _sql(
            ask, "SELECT count(*), sum(events), count(DISTINCT person) FROM sessions", *options
        )
        listed = ask("events", "--unit", "session", *options, "--json").json["totals"]
        assert listed == {"events": held, "users": sessions}
        any_event = ("funnel", "--step", "view|cart|order|page", "--window", "none", "--unit", "session")
        totals = ask(*any_event, *options, "--json").json["totals"]
        assert (totals["entered"], totals["users"]) == (sessions, owners)
    for unit, value in (("order", "order_id"), ("channel", "channel"), ("props.k", "props->>'k'")):
        ((pairs, held),) = _sql(
            ask,
            f"SELECT count(DISTINCT (person, {value})), count(*) FROM events "
            f"WHERE nullif({value}, '') IS NOT NULL",
        )
        listed = ask("events", "--unit", unit, "--json").json["totals"]
        assert listed == {"events": held, "users": pairs}


def test_a_rule_chooses_whom_sql_and_a_list_of_people_choose(ask: Command, shop: Path) -> None:
    rule = "did('cart') >= 2 AND total_of('order', 'amount') > 10"
    chosen = _sql(
        ask,
        'SELECT "user" FROM events GROUP BY person, "user" HAVING count(*) FILTER (event = \'cart\') >= 2 '
        "AND sum(amount) FILTER (event = 'order') > 10 ORDER BY 1",
    )
    ((everybody,),) = _sql(ask, "SELECT count(*) FROM people")
    assert 0 < len(chosen) < everybody
    entered = ("funnel", "--step", "view|cart|order|page", "--window", "none", "--who", rule)
    assert sorted(ask(*entered, "--users", "reached:1").users) == [name for (name,) in chosen]
    notes = ask("events", "--who", rule, "--json").json["notes"]
    assert any(f"{len(chosen)} of {everybody}" in note["text"] for note in notes), notes
    (shop / "chosen.txt").write_text("".join(f"{name}\n" for (name,) in chosen))
    by_rule = ask(*FUNNEL, "--who", rule, "--by", "channel", "--json").json["rows"]
    by_list = ask(*FUNNEL, "--compare", "chosen.txt", "--by", "channel", "--top", "99", "--json").json["rows"]
    listed = [row for row in by_list if row["cohort"] == "chosen.txt" and row["users"]]
    assert _plain(row for row in by_rule if row["users"]) == _plain(listed)


def _plain(rows: Any) -> list[dict[str, Any]]:
    """Rows without what a comparison adds, in the order of their names."""
    added = ("cohort", "difference", "difference_low", "difference_high", "p_value", "verdict")
    out = [{key: value for key, value in row.items() if key not in added} for row in rows]
    return sorted(
        out, key=lambda row: (str(row["breakdown"]), row["is_total"], str(row["period"]), row["step"])
    )


@pytest.mark.parametrize("name", ["segment", "session", "who", "identity", "check"])
def test_as_of_gives_what_the_export_cut_there_gives(
    ask: Command, tmp_path: Path, events: list[Event], name: str
) -> None:
    moment = events[150]["ts"]
    cut = written(tmp_path / "cut", [one for one in events if one["ts"] <= moment])
    then = ask(*QUESTIONS[name], "--as-of", _iso(moment), "--json").json
    alone = ask(*QUESTIONS[name], "--json", cwd=cut).json
    # Examples are the first ones of an export, and these two are not in one order.
    rows, cut_rows = ([row | {"examples": None} for row in one["rows"]] for one in (then, alone))
    assert rows == cut_rows and rows
    assert then["totals"] == alone["totals"]


def _iso(milliseconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def test_disjoint_filters_and_ranges_add_up(ask: Command) -> None:
    def attempts(*options: str) -> int:
        asked = ("funnel", "--step", "cart", "--window", "none", "--entry", "every", *options, "--json")
        return int(ask(*asked).json["totals"]["entered"])

    everything = attempts()
    conditions = ("amount > 50", "amount <= 50", "amount IS NULL")
    assert sum(attempts("--where", one) for one in conditions) == everything
    ranges = (
        ("--to", "2026-03-05"),
        ("--from", "2026-03-06", "--to", "2026-03-09"),
        ("--from", "2026-03-10"),
    )
    assert sum(attempts(*one, "--tz", "America/New_York") for one in ranges) == everything
    rules = ("did('order') >= 2", "NOT (did('order') >= 2)")
    assert sum(attempts("--who", one) for one in rules) == everything


def test_a_trend_over_a_change_of_clocks_counts_as_sql_does(ask: Command) -> None:
    zone = ("--tz", "America/New_York")
    by_day = dict(
        _sql(ask, "SELECT ts::DATE AS day, count(*) FROM events WHERE event = 'view' GROUP BY 1", *zone)
    )
    asked = ("funnel", "--step", "view", "--window", "none", "--entry", "every", "--trend", "day", *zone)
    rows = [row for row in ask(*asked, "--json").json["rows"] if row["period"] is not None]
    assert {row["period"]: row["users"] for row in rows if row["users"]} == by_day
    days = [row["period"] for row in rows]
    assert "2026-03-08" in days and days == sorted(set(days)) and len(days) >= 20


# --- sides --------------------------------------------------------------------------------------------------


def _sides(ask: Command, segment: str, *options: str) -> tuple[list[Row], list[Row]]:
    rows = ask(*FUNNEL, "--compare", segment, *options, "--json").json["rows"]
    return [row for row in rows if row["cohort"] == segment], [
        row for row in rows if row["cohort"] == "(others)"
    ]


def test_swapped_sides_negate_the_difference(ask: Command, shop: Path) -> None:
    everybody = [name for (name,) in _sql(ask, 'SELECT "user" FROM people ORDER BY 1')]
    half = everybody[::2]
    for name, ids in (("half", half), ("rest", [one for one in everybody if one not in half])):
        (shop / f"{name}.txt").write_text("".join(f"{one}\n" for one in ids))
    options = ("--by", "channel", "--trend", "week")
    half_rows, others = _sides(ask, "half.txt", *options)
    rest_rows, half_again = _sides(ask, "rest.txt", *options)
    assert _plain(half_rows) == _plain(half_again) and _plain(others) == _plain(rest_rows)
    words = {"higher": "lower", "lower": "higher", "not distinguishable": "not distinguishable", None: None}
    known = 0
    for one, other in zip(half_rows, rest_rows, strict=True):
        assert other["p_value"] == one["p_value"]
        assert other["verdict"] == words[one["verdict"]]  # type: ignore[index]
        if one["difference"] is None:
            assert other["difference"] is None
            continue
        known += 1
        assert other["difference"] == -one["difference"]  # type: ignore[operator]
        assert other["difference_low"] == pytest.approx(-one["difference_high"])  # type: ignore[operator]
    assert known > 4


def test_a_side_of_everybody_and_a_side_of_nobody(ask: Command, shop: Path) -> None:
    everybody = [name for (name,) in _sql(ask, 'SELECT "user" FROM people')]
    (shop / "all.txt").write_text("".join(f"{one}\n" for one in everybody))
    (shop / "nobody.txt").write_text("nobody at all\n")
    alone = _plain(ask(*FUNNEL, "--by", "channel", "--json").json["rows"])
    inside, outside = _sides(ask, "all.txt", "--by", "channel")
    assert _plain(inside) == alone and {row["users"] for row in outside} == {0}
    nobody, others = _sides(ask, "nobody.txt", "--by", "channel")
    assert _plain(others) == alone and {row["users"] for row in nobody} == {0}
    for row in (*inside, *nobody):
        assert (row["difference"], row["p_value"], row["verdict"]) == (None, None, None)


def test_equal_sides_differ_by_exactly_nothing(ask: Command, tmp_path: Path, events: list[Event]) -> None:
    twins = [
        one | {"user_id": one["user_id"] and f"t{one['user_id']}", "anonymous_id": f"t{one['anonymous_id']}"}
        for one in events
    ]
    folder = written(tmp_path / "twins", [*events, *twins])
    ids = {str(one[kind]) for one in twins for kind in ("user_id", "anonymous_id") if one[kind]}
    (folder / "twins.txt").write_text("".join(f"{one}\n" for one in sorted(ids)))
    answered = ask(
        *FUNNEL, "--compare", "twins.txt", "--by", "channel", "--trend", "week", "--json", cwd=folder
    )
    sides: dict[str, list[Row]] = defaultdict(list)
    for row in answered.json["rows"]:
        sides[row["cohort"]].append(row)
    assert _plain(sides["twins.txt"]) == _plain(sides["(others)"])
    told = {
        (row["difference"], row["p_value"], row["verdict"])
        for row in sides["twins.txt"]
        if row["step"] != 1 and sides["twins.txt"]
    }
    assert told == {(0.0, 1.0, "not distinguishable"), (None, None, None)}


def test_each_side_is_the_funnel_asked_alone(ask: Command) -> None:
    compared = ask(*FUNNEL, "--compare", "previous", *RANGE, "--json").json["rows"]
    for cohort, dates in (("current", RANGE), ("previous", ("--from", "2026-03-01", "--to", "2026-03-07"))):
        side = [row for row in compared if row["cohort"] == cohort]
        assert _plain(side) == _plain(ask(*FUNNEL, *dates, "--json").json["rows"])
    every = ask(*FUNNEL, "--as", "all", *RANGE, "--json").json["rows"]
    products = {row["cohort"] for row in every}
    assert {"workbench", "mixpanel", "posthog", "clickhouse"} <= products
    for product in products:
        options = () if product == "workbench" else ("--as", product)
        side = [row for row in every if row["cohort"] == product]
        assert _plain(side) == _plain(ask(*FUNNEL, *options, *RANGE, "--json").json["rows"])


def test_diff_negates_when_swapped_and_its_parts_add_up(ask: Command, tmp_path: Path) -> None:
    for name, options in (
        ("a", ("--as-of", "2026-03-12T00:00:00Z")),
        ("b", ("--window", "1d", "--where", "channel <> 'app'")),
    ):
        (tmp_path / f"{name}.json").write_text(ask(*FUNNEL, *options, "--json").out)
    a, b = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    asked = ask("diff", a, b, "--json")
    assert ask("diff", a, b, "--json", "--threads", "1", "--memory", "128MB").out == asked.out
    forth, back = asked.json["rows"], ask("diff", b, a, "--json").json["rows"]
    assert len(forth) == len(back) > 10
    for one, other in zip(forth, back, strict=True):
        assert (one["a"], one["b"]) == (other["b"], other["a"])
        if one["difference"] is None:
            continue
        assert other["difference"] == -one["difference"]
        assert one["data"] + one["definition"] == pytest.approx(one["difference"])
        assert one["data_late"] + one["data_new"] + one["data_since"] == pytest.approx(one["data"])
    same = ask("diff", a, a, "--json").json["rows"]
    assert {row["difference"] for row in same} <= {0, None}
    people = ask("diff", a, b, "--users", "moved", "--json").json["rows"]
    assert people and len({row["user"] for row in people}) == len(people)


# --- the printed command ------------------------------------------------------------------------------------


def _random_question(rng: random.Random) -> list[str]:
    def maybe(share: float, *options: str) -> list[str]:
        return list(options) if rng.random() < share else []

    steps = ["view", "cart: channel = 'it''s'", "order|page", '"view": amount > 3', "-e", " cart "]
    out = ["funnel"]
    for step in rng.sample(steps, rng.randint(2, 3)):
        out += ["--step", step]
    for share, option, choices in (
        (0.3, "--window", ["1d", "90m", "none"]),
        (0.4, "--trend", ["day", "week", "month"]),
        (0.5, "--compare", ["previous", "some.txt", "./it's some.txt"]),
        (0.2, "--as", ["all", "posthog", "clickhouse"]),
        (0.5, "--by", ["channel", '"channel"', "props.k", "user_id"]),
        (0.3, "--top", ["1", "3"]),
        (0.2, "--entry", ["first", "every"]),
        (0.2, "--exclude", ["page", "page: channel = '$HOME'@1:2"]),
        (0.1, "--order", ["any", "strict"]),
        (0.4, "--unit", ["raw", "session", "order", "channel", "props.k"]),
        (0.2, "--session-gap", ["10m", "90s"]),
        (0.3, "--where", ["channel <> '$HOME'", "channel = 'it''s' OR amount > 3"]),
        (0.3, "--who", ["did('view: channel = ''it''''s''') >= 1", "did('cart', last => '9d') < 3"]),
        (0.2, "--tz", ["Asia/Shanghai"]),
        (0.2, "--data", ["data", "./data/*.parquet"]),
    ):
        out += maybe(share, option, rng.choice(choices))
    return [*out, *RANGE, *maybe(0.2, "--users", rng.choice(["reached:1", "dropped:1", "converted"]))]


@pytest.fixture
def odd_names(shop: Path) -> None:
    (shop / "it's some.txt").write_text("u1\nu2\n")


@pytest.mark.usefixtures("odd_names")
@pytest.mark.parametrize("seed", range(2))
def test_the_printed_command_gives_the_same_bytes(ask: Command, seed: int) -> None:
    rng = random.Random(seed)
    same = 0
    while same < 3:
        asked = ask(*_random_question(rng), "--json")
        if asked.code == 2:
            continue
        program, *arguments = shlex.split(asked.json["command"])
        assert program == "workbench"
        assert ask(*arguments, "--json").out == asked.out
        same += 1


@pytest.mark.usefixtures("odd_names")
def test_the_printed_command_goes_through_a_shell(ask: Command, shop: Path) -> None:
    options = (
        "--compare",
        "./it's some.txt",
        "--who",
        "channel <> '$HOME' AND did('cart: channel = ''a\\b''') = 0",
    )
    asked = ask(*FUNNEL, *options, "--by", '"channel"', *RANGE, "--json")
    line = f"{shlex.quote(sys.executable)} -m {asked.json['command']} --json"
    ran = subprocess.run(
        ["sh", "-c", line],
        cwd=shop,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert ran.stdout == asked.out


# --- faces --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trend", "check"])
def test_every_face_has_the_rows_of_the_json(ask: Command, tmp_path: Path, name: str) -> None:
    asked = QUESTIONS[name]
    answered = ask(*asked, "--json")
    rows = answered.json["rows"]
    assert [json.loads(line) for line in ask(*asked, "--format", "jsonl").out.splitlines()] == rows
    cells = list(csv_module.reader(ask(*asked, "--csv", "--csv-safe").out.splitlines()))
    assert cells[0] == list(rows[0]) and len(cells) == len(rows) + 1
    risky = [cell for row in cells for cell in row if cell[:1] in ("=", "+", "-", "@") and not _number(cell)]
    assert risky == []
    file = tmp_path / "a.parquet"
    assert ask(*asked, "--output", str(file)).code == 0
    table = pq.read_table(file)
    assert table.column_names == list(rows[0])
    for key in rows[0]:
        if all(row[key] is None or isinstance(row[key], (int, float)) for row in rows):
            assert table.column(key).to_pylist() == [row[key] for row in rows]
    limited = ask(*asked, "--limit", "1", "--json").json
    assert limited["rows"] == rows[:1]
    key = next((k for k, v in rows[0].items() if isinstance(v, int) and not isinstance(v, bool)), None)
    if key is not None:
        failed = ask(*asked, "--fail-if", f"{key} = {rows[0][key]}", "--json")
        assert (failed.code, failed.out) == (5, answered.out)
        assert ask(*asked, "--fail-if", f"{key} < -1", "--json").code == 0


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


# --- names ----------------------------------------------------------------------------------------------------


OWN = ("owner", "unit", "value", "running", "kind", "id", "number", "events", "numbered", "e")


def test_a_property_may_be_called_as_the_programs_own_columns(
    ask: Command, tmp_path: Path, events: list[Event]
) -> None:
    lines = []
    for one in events[:80]:
        base = {"ts": _iso(one["ts"]), "event": one["event"], "user_id": one["user_id"] or "u0"}
        lines.append(json.dumps(base | dict.fromkeys(("plain", "held_code", *OWN), one["channel"])) + "\n")
    (tmp_path / "e.ndjson").write_text("".join(lines))

    def asked(*arguments: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = ask(*arguments, "--data", "e.ndjson", "--json", cwd=tmp_path).json[
            "rows"
        ]
        return rows

    listed = ", ".join(f'count(DISTINCT "{name}") AS "{name}"' for name in ("plain", *OWN))
    (counts,) = asked("sql", f"SELECT {listed} FROM events")
    assert set(counts.values()) == {len(CHANNELS) - 1}
    funnel = ("funnel", "--step", "view", "--step", "cart")
    plain = asked(*funnel, "--unit", "plain", "--by", "plain", "--hold", "plain")
    assert len(plain) > 10
    for name in ("owner", "unit", "value", "running", "e"):
        assert asked(*funnel, "--unit", name, "--by", name, "--hold", name) == plain
    # A name that the reader itself needs is there with something behind it.
    assert asked(*funnel, "--hold", "held_code_raw") == asked(*funnel, "--hold", "plain")


@pytest.mark.parametrize("count", [0, 1])
def test_nobody_or_one_event_is_an_answer(
    ask: Command, tmp_path: Path, events: list[Event], count: int
) -> None:
    folder = written(tmp_path / "few", [one | {"user_id": "u0"} for one in events[:count]])
    last = (*FUNNEL, "--compare", "previous", "--last", "7d", "--trend", "day")
    for asked in (*(QUESTIONS[name] for name in ("trend", "gap", "who", "check")), last):
        ran = ask(*asked, "--json", cwd=folder)
        assert ran.code == 0, (asked, ran.err)
        for row in ran.json["rows"]:
            assert row.get("users") in (0, 1, None), asked


def test_amounts_as_text_are_found_where_there_is_a_discount_alone(ask: Command, tmp_path: Path) -> None:
    rows = [
        {"ts": _iso(START + n), "event": "view", "user_id": f"u{n}", "discount": "1.50"} for n in range(3)
    ]
    rows += [rows[0] | {"ts": _iso(START + DAY), "refund_amount": "2"}]
    (tmp_path / "e.ndjson").write_text("".join(json.dumps(one) + "\n" for one in rows))
    asked = ("check", "--all", "--data", "e.ndjson", "--json")
    found = _row(ask(*asked, cwd=tmp_path).json, check="amounts-as-text")
    assert (found["count"], found["of"], found["users"]) == (4, 4, 3)
    found = _row(ask(*asked, "--to", "2026-02-28", cwd=tmp_path).json, check="amounts-as-text")
    assert (found["count"], found["of"], found["users"]) == (3, 3, 3)


def test_diff_says_why_nobody_knows_who_moved(ask: Command, tmp_path: Path) -> None:
    nameless = [
        {"ts": _iso(START + n), "event": name, "user_id": "u"} for n, name in enumerate(("view", "cart", ""))
    ]
    (tmp_path / "e.ndjson").write_text("".join(json.dumps(one) + "\n" for one in nameless))
    for name, options in (("a", ()), ("b", ("--unit", "session"))):
        answered = ask(*FUNNEL, *options, "--data", "e.ndjson", "--json", cwd=tmp_path)
        (tmp_path / f"{name}.json").write_text(answered.out)
    ran = ask("diff", "a.json", "b.json", "--users", "moved", cwd=tmp_path)
    assert ran.code == 2 and "A and B count other units" in ran.err


def test_rows_without_an_event_after_as_of_are_not_there_yet(ask: Command, tmp_path: Path) -> None:
    rows = [
        {"ts": _iso(START + n), "event": name, "user_id": "u"}
        for n, name in enumerate(("view", "", "cart", ""))
    ]
    (tmp_path / "e.ndjson").write_text("".join(json.dumps(one) + "\n" for one in rows))
    for as_of, count in ((START + 2, 1), (START + 3, 2)):
        answered = ask("events", "--data", "e.ndjson", "--as-of", _iso(as_of), "--json", cwd=tmp_path).json
        assert [note["count"] for note in answered["notes"] if note["code"] == "without-event"] == [count]


def test_an_hour_of_a_breakdown_is_the_zones_in_every_question(ask: Command) -> None:
    zone = ("--tz", "Asia/Shanghai")
    hours = dict(
        _sql(ask, "SELECT hour(ts)::VARCHAR, count(*) FROM events WHERE event = 'view' GROUP BY 1", *zone)
    )
    one_step = ("funnel", "--step", "view", "--window", "none", "--entry", "every", *zone)
    rows = ask(*one_step, "--by", "hour(ts)", "--top", "24", "--json").json["rows"]
    assert {row["breakdown"]: row["users"] for row in rows if not row["is_total"]} == hours
    listed = ask("properties", "hour(ts)", "--top", "24", "--where", "event = 'view'", *zone, "--json")
    assert {row["value"]: row["events"] for row in listed.json["rows"]} == hours
    # Held over a chain of one event, the value is counted once a person.
    pairs = "SELECT count(DISTINCT (person, hour(ts))) FROM events WHERE event = 'view'"
    held = ask("funnel", "--step", "view", "--window", "none", "--hold", "hour(ts)", *zone, "--json")
    assert [(held.json["totals"]["entered"],)] == _sql(ask, pairs, *zone)
    counted = ask("events", "--unit", "hour(ts)", "--where", "event = 'view'", *zone, "--json").json
    assert [(counted["totals"]["users"],)] == _sql(ask, pairs, *zone)
