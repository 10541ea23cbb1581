"""Odd and hostile values through the command line: what is counted, what is left out, what is shown."""

from __future__ import annotations

import csv as csv_module
import io
import json
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.driver import Command, Ran
from workbench import cli, runner

START = 1_772_300_000_000
"""2026-02-28T17:33:20Z, in ms."""

HOSTILE = (
    "\x1b[2J",
    "\x1b]52;c;aGk=\x07",
    "\x1b]8;;http://x\x1b\\x",
    "\x9b2J",
    "a\bb\rc\td\x7f",
    "[red]x[/red]",
    "[@click=app.quit]q",
    "[bold",
    "\\[",
    "\u202eabc\u2066",
    "z\u200b\u200dw\ufeff",
    "\U000e0041t\ufe0f",
    "👨‍👩‍👧",
    "🇨🇳",
    "蔻驰",
    "z\u0321\u0335\u0352\u0358",
    "\u1112\u1161\u11ab",
    "\uffff\ue000",
    "=cmd|'/c calc'!A0",
    "+SUM(1)",
    "-2+3",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "'; drop table x; --",
    "$1",
    "?",
    "100%",
    "_",
    "\\",
    "line\nbreak",
    '"quoted"',
    "{a}",
    "NULL",
)
"""Values of rows 69 to 75: terminal controls, markup, direction marks, widths, no characters, formulas, SQL."""

COLUMNS = ('a"b', "select", "x';--", "表", "[bold", "=1+1", "$1", "a.b", "Ts_2")


def write(path: Path, columns: dict[str, object], count: int) -> Path:
    """A Parquet file with a second between events and a user of its own for each, where not said otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    given: dict[str, object] = {
        "ts": pa.array([START + 1000 * place for place in range(count)], pa.timestamp("ms", tz="UTC")),
        "event": ["view"] * count,
        "user_id": [f"u{place}" for place in range(count)],
        **columns,
    }
    pq.write_table(pa.table(given), path)
    return path


def notes(answer: dict[str, Any]) -> dict[str, int | None]:
    return {note["code"]: note["count"] for note in answer["notes"]}


def shown_rows(ran: Ran) -> list[dict[str, str]]:
    assert ran.code == 0, ran.err
    return list(csv_module.DictReader(io.StringIO(ran.out, newline="")))


def quoted(name: str) -> str:
    """An event's name as a step that means exactly it."""
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture
def here(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> Iterator[Command]:
    """The whole command line in this process: many values are asked, and a process each would take long."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home" / "state"))

    def finish(code: int) -> NoReturn:
        raise SystemExit(code)

    monkeypatch.setattr(runner, "finish", finish)

    def run(*arguments: str, cwd: Path = tmp_path) -> Ran:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["workbench", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfdbinary.readouterr()
        return Ran(int(str(ended.value.code)), out.decode(), err.decode())

    before = signal.getsignal(signal.SIGPIPE)
    yield run
    signal.signal(signal.SIGPIPE, before)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    count = len(HOSTILE)
    columns: dict[str, object] = {"event": HOSTILE, "note": HOSTILE, "pad": ["v"] * count}
    columns |= {name: [f"in {name}"] * count for name in COLUMNS}
    return write(tmp_path_factory.mktemp("hostile") / "e.parquet", columns, count)


# --- C: rows that are no events, and counts ---------------------------------------------------------------


def test_fault_048_049_rows_without_id_time_or_name_are_counted(
    here: Command, csv: Callable[..., Path]
) -> None:
    moment = "2026-03-01T10:00:00Z"
    path = csv(
        [
            (moment, "view", "u1"),
            (moment, "cart", "u1"),
            (moment, "view", ""),
            (moment, "view", "  "),
            (moment, "view", "null"),
            (moment, "view", "0000-0000"),
            ("", "view", "u2"),
            ("soon", "view", "u3"),
            (moment, "", "u4"),
        ]
    )
    answer = here("funnel", "--data", str(path), "--step", "view", "--step", "cart", "--json").json
    assert [row["users"] for row in answer["rows"]] == [1, 1]
    aside = {"without-id": 4, "without-time": 1, "unreadable-time": 1, "without-event": 1}
    assert {code: count for code, count in notes(answer).items() if code.startswith(("w", "u"))} == aside
    assert (answer["meta"]["rows_in_scope"], answer["meta"]["users"]) == (2, 1)
    strict = here("events", "--data", str(path), "--strict", "--json")
    assert (strict.code, strict.out) == (3, "")
    assert "--strict" in json.loads(strict.err)["error"]["message"]


def test_fault_050_duplicates_go_by_the_rule_and_are_counted(here: Command, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(
        "ts,event,user_id,event_id,channel\n"
        + "2026-03-01T10:00:00Z,view,u1,e1,a\n" * 2
        + "2026-03-01T10:00:00Z,view,u1,e1,b\n"
        + "2026-03-01T10:00:00Z,view,u1,,a\n" * 2
    )
    found = {}
    for rule in ("none", "event_id", "row"):
        text = f'schema = 1\n[[source]]\nname = "a"\npath = "e.csv"\n[dedup]\nrule = "{rule}"\n'
        (tmp_path / "workbench.toml").write_text(text)
        answer = here("properties", "channel", "--strict", "--json", cwd=tmp_path).json
        found[rule] = (
            {row["value"]: row["events"] for row in answer["rows"]},
            notes(answer).get("duplicates", 0),
        )
    assert found == {
        "none": ({"a": 4, "b": 1}, 0),
        "event_id": ({"a": 3}, 2),
        "row": ({"a": 2, "b": 1}, 2),
    }


def test_fault_050_a_rule_without_its_column_is_refused(here: Command, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("ts,event,user_id\n2026-03-01,view,u1\n")
    text = 'schema = 1\n[[source]]\nname = "a"\npath = "e.csv"\n[dedup]\nrule = "event_id"\n'
    (tmp_path / "workbench.toml").write_text(text)
    ran = here("events", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "event_id" in ran.err


def test_fault_052_ties_follow_the_export_whatever_files_and_threads(here: Command, tmp_path: Path) -> None:
    moment = pa.array([START] * 3, pa.timestamp("ms", tz="UTC"))
    rows: dict[str, object] = {"ts": moment, "user_id": ["u"] * 3}
    rows |= {"event": ["view", "view", "cart"], "channel": ["b", "a", "c"]}
    write(tmp_path / "one" / "e.parquet", rows, 3)
    whole = pa.table(rows)
    (tmp_path / "split").mkdir()
    for place in range(3):
        pq.write_table(whole.slice(place, 1), tmp_path / "split" / f"{place}.parquet")
    (tmp_path / "turned").mkdir()
    pq.write_table(whole.take([1, 0, 2]), tmp_path / "turned" / "e.parquet")
    found = []
    for folder, threads in (("one", "1"), ("split", "2"), ("turned", "2")):
        asked = ("--step", "view", "--step", "cart", "--by", "channel", "--threads", threads, "--json")
        rows_ = here("funnel", "--data", str(tmp_path / folder), *asked).json["rows"]
        found.append([(row["breakdown"], row["users"]) for row in rows_ if not row["is_total"]])
    # The counted entry is the latest that converts: of equal times the later in the export.
    assert found == [[("a", 1), ("a", 1)], [("a", 1), ("a", 1)], [("b", 1), ("b", 1)]]


# --- C: times ---------------------------------------------------------------------------------------------


def test_fault_053_impossible_times_are_counted_and_change_nothing(
    here: Command, csv: Callable[..., Path], tmp_path: Path
) -> None:
    times = {
        "good": ["2026-03-01T10:00:00Z", "2026-03-01T18:00:01+08:00"],
        "impossible": [
            "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0044-03-15T00:00:00Z", "44-03-15 (BC)",
            "294246-01-01T00:00:00Z",
        ],
        "unreadable": ["infinity", "-infinity", "2026-13-45"],
    }  # fmt: skip
    path = csv([(text, "view", f"u{text}") for kind in times.values() for text in kind])
    answer = here("events", "--data", str(path), "--json").json
    counted = notes(answer)
    assert counted["impossible-time"] == 5
    assert counted["unreadable-time"] == 3
    assert answer["meta"]["as_of"] == "2026-03-01T10:00:01.000+00:00"
    assert (answer["rows"][0]["events"], answer["totals"]["users"]) == (2, 2)

    extremes = [START * 1000, 0, 253_402_300_799_000_000, 2**63 - 1, -(2**63) + 1, -62 * 10**15]
    stamps = pa.array(np.array(extremes, "i8"), pa.timestamp("us", tz="UTC"))
    native = write(tmp_path / "native.parquet", {"ts": stamps}, len(extremes))
    answer = here("events", "--data", str(native), "--json").json
    counted = notes(answer)
    assert answer["rows"][0]["events"] == 1
    assert (counted.get("impossible-time") or 0) + (counted.get("unreadable-time") or 0) == 5
    assert answer["meta"]["as_of"] == "2026-02-28T17:33:20.000+00:00"


def test_fault_053_now_can_be_given(here: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "e.parquet", {}, 100)
    answer = here(
        "funnel", "--data", str(path), "--step", "view", "--as-of", "2026-02-28T17:34:20Z", "--last", "1m",
        "--json",
    )  # fmt: skip
    assert answer.json["meta"]["as_of"] == "2026-02-28T17:34:20.000+00:00"
    # A rolling minute that takes in as-of: 17:33:21 to 17:34:20, an event a second.
    assert answer.json["rows"][0]["users"] == 60


def test_fault_054_055_057_offsets_and_days_of_the_zone(here: Command, csv: Callable[..., Path]) -> None:
    # New York's clocks go from 02:00 to 01:00 on 2025-11-02: 01:30 comes twice, the day has 25 hours.
    path = csv(
        [
            ("2025-11-02T01:30:00-04:00", "first", "u1"),
            ("2025-11-02T01:30:00-05:00", "second", "u2"),
            ("2025-11-02T00:00:00-04:00", "midnight", "u3"),
            ("2025-11-02T23:59:59-05:00", "last", "u4"),
            ("2025-11-03T00:00:00-05:00", "after", "u5"),
        ]
    )

    def events(*arguments: str) -> dict[str, str]:
        rows = here("events", "--data", str(path), *arguments, "--json").json["rows"]
        return {row["event"]: row["first_seen"] for row in rows}

    day = ("--from", "2025-11-02", "--to", "2025-11-02")
    assert events(*day, "--tz", "America/New_York") == {
        "midnight": "2025-11-02T00:00:00.000-04:00",
        "first": "2025-11-02T01:30:00.000-04:00",
        "second": "2025-11-02T01:30:00.000-05:00",
        "last": "2025-11-02T23:59:59.000-05:00",
    }
    # Half an hour past the hour: Kolkata's day of the 2nd ends at 18:30Z.
    assert set(events(*day, "--tz", "Asia/Kolkata")) == {"midnight", "first", "second"}


def test_fault_056_leap_day_and_leap_second(here: Command, csv: Callable[..., Path]) -> None:
    path = csv(
        [
            ("2024-02-29T23:59:59Z", "leap", "u1"),
            ("2023-02-29T00:00:00Z", "no such day", "u2"),
            ("2016-12-31T23:59:60Z", "leap second", "u3"),
        ]
    )
    answer = here("events", "--data", str(path), "--json").json
    assert {row["event"]: row["first_seen"] for row in answer["rows"]} == {
        "leap": "2024-02-29T23:59:59.000+00:00",
        "leap second": "2016-12-31T23:59:59.999+00:00",
    }
    assert notes(answer)["unreadable-time"] == 1


# --- C: sizes ---------------------------------------------------------------------------------------------


def test_fault_061_long_values_are_cut_in_tables_alone(here: Command, tmp_path: Path) -> None:
    long = "搜" * 5_000 + "end"
    path = write(tmp_path / "e.parquet", {"search_term": [long, "short"], "event": [long, "view"]}, 2)
    exported = shown_rows(here("properties", "search_term", "--data", str(path), "--csv"))
    assert {row["value"] for row in exported} == {long, "short"}
    table = here("properties", "search_term", "--data", str(path))
    assert "… (5,003 characters)" in table.out
    assert long not in table.out
    names = here("events", "--data", str(path), "--json").json
    assert {row["event"] for row in names["rows"]} == {long, "view"}


def test_fault_061_a_value_of_megabytes_passes_whole(here: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "e.parquet", {"search_term": ["x" * 20_000_000, "short"]}, 2)
    ran = here("properties", "search_term", "--data", str(path), "--json", "--memory", "512MB")
    assert max(len(row["value"]) for row in ran.json["rows"]) == 20_000_000
    ran = here("properties", "search_term", "--data", str(path))
    assert "(20,000,000 characters)" in ran.out
    assert len(ran.out) < 50_000


# --- C: numbers -------------------------------------------------------------------------------------------


def test_fault_065_067_amounts_that_are_no_amounts_are_null_and_counted(
    here: Command, tmp_path: Path
) -> None:
    values = [1.0, -0.0, float("nan"), float("inf"), -float("inf"), -5.0, 1e300, 9e16, None]
    path = write(tmp_path / "e.parquet", {"amount": values, "score": values}, len(values))

    def people(condition: str) -> int:
        ran = here("funnel", "--data", str(path), "--step", f"view: {condition}", "--json")
        answer = ran.json
        # NaN, both infinities, and what no integer of minor units holds.
        assert notes(answer)["unreadable-values"] == 4
        users: int = answer["rows"][0]["users"]
        return users

    found = [people(text) for text in ("amount > 0", "amount = 0", "amount < 0", "amount IS NULL")]
    assert found == [2, 1, 1, 5]
    assert people("amount / 0 > 0") == 0
    # A property that is a plain float keeps 1e300, but neither NaN nor infinity.
    assert [people(text) for text in ("score > 0", "score = score", "score IS NULL")] == [3, 5, 4]

    by_score = here("properties", "score", "--data", str(path), "--json").json["rows"]
    values_ = {row["value"]: row["events"] for row in by_score}
    assert values_ == {"1.0": 1, "0.0": 1, "-5.0": 1, "1e+300": 1, "9e+16": 1, None: 4}


def test_fault_066_nothing_in_scope_is_no_failure(here: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "e.parquet", {"channel": ["a"] * 3}, 3)
    none = ("--data", str(path), "--from", "2020-01-01", "--to", "2020-01-02", "--json")
    events = here("events", *none).json
    assert (events["rows"], events["totals"]) == ([], {"events": 0, "users": 0})
    rows = {row["property"]: row for row in here("properties", *none).json["rows"]}
    assert rows["channel"]["filled_rate"] is None
    assert rows["channel"]["examples"] == []
    assert here("properties", "channel", *none).json["rows"] == []
    table = here("events", *none[:-1])
    assert (table.code, "(no rows)" in table.out) == (0, True)


def test_fault_068_names_that_look_alike_are_told_apart_everywhere(here: Command, tmp_path: Path) -> None:
    composed, apart = unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")
    names = [composed, apart, "Cart", "cart", "cart ", "cart"]
    path = write(tmp_path / "e.parquet", {"event": names}, len(names))
    rows = here("events", "--data", str(path), "--json").json["rows"]
    assert {row["event"]: row["events"] for row in rows} == {
        composed: 1, apart: 1, "Cart": 1, "cart": 2, "cart ": 1,
    }  # fmt: skip
    for name, users in ((composed, 1), (apart, 1), ("Cart", 1), ("cart", 2), ("cart ", 1)):
        ran = here("funnel", "--data", str(path), "--step", quoted(name), "--json")
        assert ran.json["rows"][0]["users"] == users, name


# --- D: hostile text --------------------------------------------------------------------------------------


def acts_on_a_terminal(text: str) -> set[str]:
    """Characters that no table may hold; a newline ends a line."""
    return {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn")} - {"\n"}


@pytest.mark.parametrize("format", ["table", "md"])
def test_fault_069_to_073_no_value_reaches_a_terminal_raw(here: Command, hostile: Path, format: str) -> None:
    for arguments in (
        ("events",),
        ("properties",),
        ("properties", "note", "--top", "99"),
        ("funnel", "--step", "|".join(map(quoted, HOSTILE[:9])), "--by", "note", "--top", "99"),
    ):
        ran = here(*arguments, "--data", str(hostile), "--format", format)
        assert ran.code == 0, ran.err
        assert acts_on_a_terminal(ran.out + ran.err) == set()
        assert "␛[2J" in ran.out or format == "md"


def test_fault_070_072_tables_stay_aligned_and_markup_is_literal(here: Command, hostile: Path) -> None:
    from workbench.text import width

    ran = here("properties", "note", "--data", str(hostile), "--top", "99")
    lines = ran.out.split("\n\n")[0].splitlines()
    # The last column, a time, has one width, so aligned lines are equally wide.
    assert {width(line) for line in lines[1:]} == {width(lines[1])}
    assert len(lines) == len(HOSTILE) + 1
    for markup in ("[red]x[/red]", "[@click=app.quit]q", "[bold", "\\["):
        assert markup in ran.out


@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "tsv"])
def test_fault_074_data_formats_keep_every_character(here: Command, hostile: Path, format: str) -> None:
    ran = here("properties", "note", "--data", str(hostile), "--top", "99", "--format", format)
    assert ran.code == 0, ran.err
    if format == "json":
        values = [row["value"] for row in json.loads(ran.out)["rows"]]
    elif format == "jsonl":
        values = [json.loads(line)["value"] for line in ran.out.split("\n")[:-1]]
    else:
        delimiter = "," if format == "csv" else "\t"
        reader = csv_module.DictReader(io.StringIO(ran.out, newline=""), delimiter=delimiter)
        values = [row["value"] for row in reader]
    assert sorted(values) == sorted(HOSTILE)


def test_fault_074_formulas_are_counted_and_disarmed_on_request(here: Command, hostile: Path) -> None:
    asked = ("properties", "note", "--data", str(hostile), "--top", "99", "--csv")
    plain = here(*asked)
    assert "6 cells a spreadsheet would run" in plain.err
    assert "\n" not in plain.err.strip()
    safe = {row["value"] for row in shown_rows(here(*asked, "--csv-safe"))}
    assert {"'=cmd|'/c calc'!A0", "'+SUM(1)", "'-2+3", "'@SUM(A1)", "'\tx"} <= safe
    assert {"$1", "100%", "[bold"} <= safe


def test_fault_075_every_value_is_matched_as_itself_alone(here: Command, hostile: Path) -> None:
    # One funnel whose steps are all hostile names, each with its value in the condition: each step has
    # one user of its own, so only the first is reached; the SQL that runs holds every value.
    for start in range(0, len(HOSTILE), 12):
        part = HOSTILE[start : start + 12]
        for value in part[:1]:
            condition = "note = '" + value.replace("'", "''") + "'"
            ran = here(
                "funnel", "--data", str(hostile), "--step", f"{quoted(value)}: {condition}", "--where",
                f"{condition} AND note <> 'x'", "--json",
            )  # fmt: skip
            assert ran.json["rows"][0]["users"] == 1, repr(value)
        either = " OR ".join("note = '" + value.replace("'", "''") + "'" for value in part)
        ran = here("events", "--data", str(hostile), "--where", either, "--json")
        assert {row["event"] for row in ran.json["rows"]} == set(part)
        step = "|".join(map(quoted, part))
        rows = here("funnel", "--data", str(hostile), "--step", step, "--users", "converted").users
        assert len(rows) == len(part)


def test_fault_075_a_hostile_breakdown_is_asked_back_by_value(here: Command, hostile: Path) -> None:
    asked = ("funnel", "--data", str(hostile), "--step", "|".join(map(quoted, HOSTILE)), "--by", "note")
    for place in (0, 4, 24, 30):
        users = here(*asked, "--top", "99", "--users", f"reached:1@{HOSTILE[place]}").users
        assert users == [f"u{place}"]


def test_fault_076_any_column_name_can_be_asked_for(here: Command, hostile: Path) -> None:
    listed = {row["property"] for row in here("properties", "--data", str(hostile), "--json").json["rows"]}
    assert set(COLUMNS) <= listed
    where = " AND ".join(f"{quoted(name)} = 'in {name}'".replace("in x';--", "in x'';--") for name in COLUMNS)
    ran = here("events", "--data", str(hostile), "--where", where, "--json")
    assert ran.json["totals"]["events"] == len(HOSTILE)
    for name in ('a"b', "x';--", "select"):
        for spelling in (name, quoted(name)):
            rows = here("properties", spelling, "--data", str(hostile), "--json").json["rows"]
            assert [row["value"] for row in rows] == [f"in {name}"]


def test_fault_076_columns_nobody_can_name_are_left_out_by_name(here: Command, tmp_path: Path) -> None:
    columns: dict[str, object] = {"\x1b[31mred": ["b"], "n" * 129: ["c"], "pad": ["d"]}
    path = write(tmp_path / "e.parquet", columns, 1)
    answer = here("properties", "--data", str(path), "--json").json
    assert [row["property"] for row in answer["rows"]] == ["ts", "event", "user_id", "pad"]
    told = [note for note in answer["notes"] if note["code"] == "column-left-out"]
    assert [note["count"] for note in told] == [2]
    assert "\x1b" not in here("properties", "--data", str(path)).err
    nameless = write(tmp_path / "nameless.parquet", {"": ["a"]}, 1)
    refused = here("properties", "--data", str(nameless))
    assert (refused.code, refused.out) == (3, "")
    assert "nameless.parquet: a column without a name" in refused.err


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_fault_069_075_a_shell_is_offered_no_name_it_would_run(
    here: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    # A shell puts a completion on its line as it is.
    names = [
        "view",
        "add_to-cart.2",
        "搜索",
        "$(touch x)",
        "`id`",
        "a b",
        "x\nplain",
        "\x1b[2J",
        "-rf",
        "it's",
    ]
    path = write(tmp_path / "e.parquet", {"event": names}, len(names))
    monkeypatch.setenv("_WORKBENCH_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", f"workbench funnel --data {path} --step ")
    monkeypatch.setenv("COMP_CWORD", "5")
    offered = here().out.replace("1 events\n", "").replace("plain,", "").replace("plain\n", "").split()
    assert sorted(offered) == ["add_to-cart.2", "view", "搜索"]


@pytest.mark.parametrize(
    "name", ["\x1b[2Jx.csv", "[red].csv", "=1+1.csv", "a;b'c\"d%.csv", "\u202efdp.csv", "-x.csv"]
)
def test_fault_024_069_names_of_files_are_cleaned_where_they_are_shown(
    here: Command, tmp_path: Path, name: str
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / name).write_text("ts,event,user_id\n2026-03-01,view,u1\nsoon\n")
    answer = here("events", "--data", "d", cwd=tmp_path)
    assert answer.code == 0, answer.err
    assert acts_on_a_terminal(answer.out + answer.err) == set()
    assert "1 line" in answer.err
    (tmp_path / "d" / name).write_text("a,b\n1,2\n")
    refused = here("events", "--data", "d", "--json", cwd=tmp_path)
    assert (refused.code, refused.out) in ((2, ""), (3, ""))
    assert acts_on_a_terminal(json.loads(refused.err)["error"]["message"]) == set()


def test_fault_078_patterns_of_conditions_take_linear_time(here: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "e.parquet", {"note": ["a" * 50_000 + "!"] * 200}, 200)
    slow = "%a" * 60 + "%b"
    ran = here("events", "--data", str(path), "--where", f"note LIKE '{slow}'", "--timeout", "20s", "--json")
    assert ran.json["rows"] == []


def test_fault_067_integers_past_64_bits_stay_apart(here: Command, csv: Callable[..., Path]) -> None:
    wide = [2**63 - 1, 2**63, 2**64, 10**30, -(2**63)]
    moment = "2026-03-01T10:00:00Z"
    path = csv([(moment, "view", number, number) for number in wide], header="ts,event,user_id,code")
    rows = here("properties", "code", "--data", str(path), "--json").json["rows"]
    assert sorted(row["value"] for row in rows) == sorted(map(str, wide))
    ran = here("funnel", "--data", str(path), "--step", "view", "--users", "reached:1")
    assert sorted(ran.users) == sorted(map(str, wide))
