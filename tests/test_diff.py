"""What moved between two answers: the split adds up, and those who moved are the ones an oracle finds."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from queries.diff import Answer, differences
from queries.diff_request import DiffRequest, parse_cell
from queries.diff_rows import compared
from queries.funnel import request
from queries.question import QuestionError, Scope
from queries.saved import rescoped
from tests.driver import ROOT, Command
from tests.in_process import in_process
from workbench import schemas
from workbench.answers import read_answer
from workbench.asking_again import Engines, _answer, ask_again
from workbench.dataset import asked
from workbench.errors import UsageError
from workbench.runner import Task

HEADER = "ts,event,user_id,anonymous_id\n"
FIRST = """2026-03-01T10:00:00Z,a,u1,
2026-03-01T11:00:00Z,b,u1,
2026-03-01T10:00:00Z,a,u2,
2026-03-01T20:00:00Z,b,u2,
2026-03-01T10:00:00Z,a,u3,
2026-03-02T23:00:00Z,a,u4,
2026-03-03T00:00:00Z,x,z,
"""
LATE = """2026-03-01T12:00:00Z,b,u3,
2026-03-02T01:00:00Z,a,u5,
"""
NEW = """2026-03-03T10:00:00Z,b,u4,
2026-03-04T00:00:00Z,a,u6,
2026-03-04T01:00:00Z,b,u6,
2026-03-04T00:00:00Z,a,u7,
2026-03-04T10:00:00Z,b,u7,
2026-03-05T00:00:00Z,x,z,
"""
SINCE = "2026-03-02T02:00:00Z,b,u5,\n"
STEPS = ("funnel", "--step", "a", "--step", "b")


def workspace(folder: Path, *parts: str) -> Path:
    """A workspace whose export holds the parts, a file each."""
    (folder / "exports").mkdir(parents=True, exist_ok=True)
    (folder / "workbench.toml").write_text('schema = 1\n[[source]]\nname = "app"\npath = "exports"\n')
    for number, part in enumerate(parts):
        (folder / "exports" / f"{number}.csv").write_text(HEADER + part)
    return folder


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A and B of an export that grew between them by late and by new events, B with a shorter window."""
    home = workspace(tmp_path_factory.mktemp("shop"), FIRST)
    ask = [sys.executable, "-m", "workbench", *STEPS, "--json", "--window"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(home), "XDG_CACHE_HOME": str(home)}
    found = {}
    for name, window, parts in (("A", "1d", [FIRST]), ("B", "3h", [FIRST, LATE, NEW])):
        workspace(home, *parts)
        run = subprocess.run(
            [*ask, window], cwd=home, env=environment, capture_output=True, check=True, text=True
        )
        found[name] = run.stdout
    return found


@pytest.fixture
def grown(answers: dict[str, str], tmp_path: Path) -> Path:
    """The workspace as it is after B, with both answers."""
    home = workspace(tmp_path / "shop", FIRST, LATE, NEW)
    for name, text in answers.items():
        (home / f"{name}.json").write_text(text)
    return home


@pytest.fixture
def inside(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """The command line in this process."""
    return in_process(tmp_path_factory.getbasetemp(), monkeypatch, capsys)


def parts_of(answer: Mapping[str, Any], measure: str = "users") -> dict[int, list[object]]:
    keys = ("a", "b", "difference", "data", "data_late", "data_new", "data_since", "definition")
    return {row["step"]: [row[key] for key in keys] for row in answer["rows"] if row["measure"] == measure}


def test_late_new_and_changed_window_are_told_apart_exactly(inside: Command, grown: Path) -> None:
    answer = inside("diff", "A.json", "B.json", "--json", cwd=grown).json
    assert parts_of(answer) == {1: [4, 7, 3, 3, 1, 2, 0, 0], 2: [2, 3, 1, 4, 1, 3, 0, -3]}
    assert answer["totals"]["moves"] == [
        {"from": None, "to": 1, "because": "both", "users": 1},
        {"from": None, "to": 2, "because": "data", "users": 1},
        {"from": 2, "to": 1, "because": "definition", "users": 1},
    ]
    found = {key: value for key, value in answer["totals"].items() if key.startswith("moved")}
    assert found == {
        "moved": 3,
        "moved_data": 1,
        "moved_definition": 1,
        "moved_both": 1,
        "moved_identity": 0,
    }
    differs = {one["key"]: (one["a"], one["b"], one["part"]) for one in answer["totals"]["differs"]}
    assert differs == {
        "window": ("1d", "3h", "definition"),
        "as_of": ("2026-03-03T00:00:00.000+00:00", "2026-03-05T00:00:00.000+00:00", "data"),
    }
    assert [note["code"] for note in answer["notes"]] == ["data-changed-behind"]
    assert (answer["meta"]["a"]["rows_in_scope"], answer["meta"]["b"]["rows_in_scope"]) == (7, 15)
    Draft202012Validator(schemas.load("diff")).validate(answer)


def test_rates_split_too(inside: Command, grown: Path) -> None:
    answer = inside("diff", "A.json", "B.json", "--json", cwd=grown).json
    a, b, difference, data, *_, definition = parts_of(answer, "rate_from_first")[2]
    assert (a, b, difference) == (2 / 4, 3 / 7, 3 / 7 - 2 / 4)
    assert data == pytest.approx(6 / 7 - 2 / 4)
    assert definition == pytest.approx(3 / 7 - 6 / 7)


def test_the_list_of_those_who_moved(inside: Command, grown: Path) -> None:
    def listed(which: str) -> list[tuple[object, ...]]:
        ran = inside("diff", "A.json", "B.json", "--users", which, cwd=grown)
        assert ran.code == 0, ran.err
        rows = [json.loads(line) for line in ran.out.splitlines()]
        assert all(row["kind"] == "user_id" for row in rows)
        return [(row["user"], row["from"], row["to"], row["because"]) for row in rows]

    everybody = [("u2", 2, 1, "definition"), ("u6", None, 2, "data"), ("u7", None, 1, "both")]
    assert listed("moved") == everybody
    assert listed("definition") == everybody[:1]
    assert listed("none:2") == everybody[1:2]
    assert listed("1:2") == []


def test_what_changed_behind_b_is_a_part_of_the_data(inside: Command, grown: Path) -> None:
    workspace(grown, FIRST, LATE, NEW, SINCE)
    answer = inside("diff", "A.json", "B.json", "--json", cwd=grown).json
    assert parts_of(answer) == {1: [4, 7, 3, 3, 1, 2, 0, 0], 2: [2, 3, 1, 4, 2, 3, -1, -3]}
    assert answer["totals"]["moved"] == 3


def test_an_equal_definition_needs_no_part_of_it(inside: Command, grown: Path) -> None:
    assert inside(*STEPS, "--window", "1d", "--json", "--output", "C.json", cwd=grown).code == 0
    answer = inside("diff", "A.json", "C.json", "--json", cwd=grown).json
    assert parts_of(answer) == {1: [4, 7, 3, 3, 1, 2, 0, 0], 2: [2, 6, 4, 4, 1, 3, 0, 0]}
    assert answer["totals"]["moved"] == answer["totals"]["moved_data"] == 3
    ran = inside("diff", "B.json", "C.json", "--json", "--stats", cwd=grown)
    assert parts_of(ran.json) == {1: [7, 7, 0, 0, 0, 0, 0, 0], 2: [3, 6, 3, 0, 0, 0, 0, 3]}
    # The same data as of the same moment: one dataset is enough.
    assert len(json.loads(ran.err.splitlines()[-1])["asked"]) == 1


def test_nothing_is_asked_where_only_the_data_behind_can_differ(inside: Command, tmp_path: Path) -> None:
    home = workspace(tmp_path / "shop", FIRST)
    inside(*STEPS, "--json", "--output", "A.json", cwd=home)
    workspace(home, FIRST, LATE)
    inside(*STEPS, "--json", "--output", "B.json", cwd=home)
    ran = inside("diff", "A.json", "B.json", "--json", "--stats", cwd=home)
    assert parts_of(ran.json) == {1: [4, 5, 1, 1, 1, 0, 0, 0], 2: [2, 3, 1, 1, 1, 0, 0, 0]}
    assert json.loads(ran.err.splitlines()[-1])["asked"] == []
    assert ran.json["totals"]["moved"] == 0
    assert [note["code"] for note in ran.json["notes"]] == ["data-changed-behind"]


def test_without_data_there_are_numbers_and_definitions_alone(inside: Command, grown: Path) -> None:
    without = inside("diff", "A.json", "B.json", "--no-data", "--json", cwd=grown).json
    (grown / "workbench.toml").unlink()
    gone = inside("diff", "A.json", "B.json", "--json", cwd=grown).json
    for answer, code in ((without, "not-asked"), (gone, "not-asked-again")):
        assert parts_of(answer) == {
            1: [4, 7, 3, None, None, None, None, None],
            2: [2, 3, 1, None, None, None, None, None],
        }
        assert answer["totals"]["moved"] is answer["totals"]["moves"] is None
        assert {one["key"] for one in answer["totals"]["differs"]} == {"window", "as_of"}
        assert [note["code"] for note in answer["notes"]] == [code]
        Draft202012Validator(schemas.load("diff")).validate(answer)
    ran = inside("diff", "A.json", "B.json", "--users", "moved", cwd=grown)
    assert (ran.code, ran.out) == (3, "")
    assert "no workbench.toml" in ran.err
    # Other data may be named.
    other = inside("diff", "A.json", "B.json", "--data", "exports", "--json", cwd=grown).json
    assert parts_of(other)[2] == [2, 3, 1, 4, 1, 3, 0, -3]


def test_the_export_of_another_day_is_data_and_no_definition(inside: Command, tmp_path: Path) -> None:
    for name, text in (("mon", FIRST), ("fri", FIRST + LATE + NEW)):
        (tmp_path / f"{name}.csv").write_text(HEADER + text)
        asked = (*STEPS, "--window", "1d", "--data", f"{name}.csv", "--json", "--output", f"{name}.json")
        assert inside(*asked, cwd=tmp_path).code == 0
    answer = inside("diff", "mon.json", "fri.json", "--json", cwd=tmp_path).json
    assert parts_of(answer) == {1: [4, 7, 3, 3, 0, 3, 0, 0], 2: [2, 6, 4, 4, 0, 4, 0, 0]}
    assert {one["part"] for one in answer["totals"]["differs"]} == {"data"}
    assert answer["totals"]["moved_data"] == answer["totals"]["moved"] == 5


def test_a_device_that_logs_in_is_followed_to_its_user(inside: Command, tmp_path: Path) -> None:
    first = """2026-03-01T10:00:00Z,a,,d1
2026-03-01T11:00:00Z,b,,d1
2026-03-01T10:00:00Z,a,,d2
2026-03-01T10:00:00Z,a,u9,
2026-03-01T11:00:00Z,b,u9,
2026-03-01T10:00:00Z,a,,d3
2026-03-01T11:00:00Z,b,,d3
"""
    # d1 becomes u8, who was nobody; d2 turns out to be u9; what d3 did counts for u6, who shares it with u7.
    then = """2026-03-02T10:00:00Z,login,u8,d1
2026-03-02T10:00:00Z,login,u9,d2
2026-03-02T10:00:00Z,login,u6,d3
2026-03-02T11:00:00Z,login,u7,d3
2026-03-02T12:00:00Z,a,,d3
"""
    home = workspace(tmp_path / "shop", first)
    inside(*STEPS, "--json", "--output", "A.json", cwd=home)
    workspace(home, first, then)
    inside(*STEPS, "--json", "--output", "B.json", cwd=home)
    answer = inside("diff", "A.json", "B.json", "--json", cwd=home).json
    assert parts_of(answer)[1][:3] == [4, 4, 0]
    assert parts_of(answer)[2][:3] == [3, 3, 0]
    ran = inside("diff", "A.json", "B.json", "--users", "moved", cwd=home)
    rows = [tuple(json.loads(line).values()) for line in ran.out.splitlines()]
    assert rows == [
        ("u6", "user_id", None, 2, "data"),
        ("u7", "user_id", None, 1, "data"),
        ("d2", "anonymous_id", 1, None, "identity"),
        ("d3", "anonymous_id", 2, None, "identity"),
    ]


# --- against an oracle -------------------------------------------------------------------------------------

Event = tuple[int, str, str | None, str | None]
HOUR = 3_600_000
START = 1_772_323_200_000


Person = tuple[str, str]
Move = tuple[int, int, str]


def owners_at(events: list[Event], as_of: int) -> dict[str, str]:
    """Device → its one user."""
    return {device: user for ts, _, user, device in events if ts <= as_of and user and device}


def moves(
    before: dict[Person, int], after: dict[Person, int], now: dict[Person, int], owners: dict[str, str]
) -> dict[Person, Move]:
    """Who moved, from which step to which, and why, 0 for not in the funnel."""
    found: dict[Person, Move] = {}
    first: dict[Person, int] = {}
    sources: dict[Person, list[Person]] = defaultdict(list)
    for kind, name in before:
        owned = kind == "anonymous_id" and name in owners
        sources[("user_id", owners[name]) if owned else (kind, name)].append((kind, name))
    for person, merged in sources.items():
        # Users come before devices, and those by name.
        merged.sort(key=lambda one: (-before[one], one[0] != "user_id", one[1]))
        first[person] = before[merged[0]]
        found |= {one: (before[one], 0, "identity") for one in merged[1:]}
    for person in {*first, *after, *now}:
        stood = (first.get(person, 0), after.get(person, 0), now.get(person, 0))
        if stood[0] != stood[2]:
            cause = "definition" if stood[0] == stood[1] else "data" if stood[1] == stood[2] else "both"
            found[person] = (stood[0], stood[2], cause)
    return found


def standing(events: list[Event], as_of: int, window: int) -> dict[Person, int]:
    """(kind, id) → deepest step of a, b, c within the window of some a; by brute force."""
    seen = [event for event in events if event[0] <= as_of]
    owners = owners_at(events, as_of)
    mine: dict[Person, list[tuple[int, str]]] = defaultdict(list)
    for ts, event, user, device in seen:
        if user is None and device is not None:
            user = owners.get(device)
        mine[("user_id", user) if user else ("anonymous_id", str(device))].append((ts, event))
    found = {}
    for person, theirs in mine.items():
        theirs.sort()
        deepest = 0
        for place, (start, event) in enumerate(theirs):
            if event == "a":
                level = 1
                for ts, following in theirs[place + 1 :]:
                    if ts <= start + window and following == "abc"[level]:
                        level += 1
                        if level == 3:
                            break
                deepest = max(deepest, level)
        if deepest:
            found[person] = deepest
    return found


@pytest.mark.parametrize("seed", range(5))
def test_split_and_moves_equal_the_oracle(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    # Distinct times, so that no rule for equal ones matters.
    times = rng.sample(range(72 * 60), 150)
    events: list[Event] = []
    for minute in times:
        # A device is nobody's or one user's, so that ids are linked and none is shared.
        device = rng.randrange(14)
        user = f"u{device % 8}" if device < 10 and rng.random() < 0.3 else None
        event = rng.choice("aabbc")
        events.append(
            (START + minute * 60_000, event, user, None if user and rng.random() < 0.4 else f"d{device}")
        )
    early = sorted(events)[:80]
    old = sorted(rng.sample(early, 65))
    window_a, window_b = 24 * HOUR, 5 * HOUR
    file = tmp_path / "e.csv"

    def written(rows: list[Event]) -> None:
        lines = [f"{ts},{event},{user or ''},{device or ''}" for ts, event, user, device in rows]
        file.write_text(HEADER + "\n".join(lines) + "\n")

    def answered(window: str) -> Answer:
        from queries.funnel import answer

        scope = Scope(data=(str(file),))
        made = request(("a", "b", "c"), window, scope)
        return asked(scope, Task(), lambda dataset: _answer(answer(made, dataset)))[1]

    written(old)
    a = answered("24h")
    written(events)
    b = answered("5h")
    again = ask_again(a, b, Scope(), Task(), Engines(None, None), needed=True)
    as_of_a, as_of_b = max(old)[0], max(events)[0]
    before, after, now = (
        standing(events, as_of_a, window_a),
        standing(events, as_of_b, window_a),
        standing(events, as_of_b, window_b),
    )
    then = standing(old, as_of_a, window_a)

    def reached(found: dict[tuple[str, str], int], step: int) -> int:
        return sum(level >= step for level in found.values())

    rows = compared(a, b, again.found.between, differences(a, b))
    for row in rows:
        if row["measure"] == "users":
            step = int(str(row["step"]))
            counts = [reached(one, step) for one in (then, before, after, now)]
            assert [row["a"], row["b"]] == [counts[0], counts[3]]
            assert [row["data_late"], row["data_new"], row["definition"], row["data_since"]] == [
                counts[1] - counts[0],
                counts[2] - counts[1],
                counts[3] - counts[2],
                0,
            ]
            assert row["difference"] == row["data"] + row["definition"]  # type: ignore[operator]
    assert again.moved is not None
    for step in (1, 2, 3):
        moved = sum(
            int(str(row["users"])) * (((row["to"] or 0) >= step) - ((row["from"] or 0) >= step))  # type: ignore[operator]
            for row in again.moved.counts()
        )
        assert moved == reached(now, step) - reached(before, step)
    listed = {(row["kind"], row["user"]): row for row in again.moved.rows(parse_cell("moved"))}
    assert len(listed) == len(again.moved.rows(parse_cell("moved"))) > 3
    expected = moves(before, after, now, owners_at(events, as_of_b))
    found = {key: (row["from"] or 0, row["to"] or 0, row["because"]) for key, row in listed.items()}
    assert found == expected


# --- rows that are not there -------------------------------------------------------------------------------


def funnel_answer(rows: list[dict[str, object]], **asks: object) -> Answer:
    return Answer(
        report="funnel",
        semantics="1",
        request={"steps": ["a", "b"], **asks},
        command="workbench funnel",
        rows=rows,
        totals={"users": 1},
        meta={"as_of": "2026-03-01T00:00:00.000+00:00", "timezone": "UTC"},
    )


def row(step: int, users: int, value: str | None = None, **more: object) -> dict[str, object]:
    names = {"step": step, "event": "ab"[step - 1], "breakdown": value, "period": None, "cohort": None}
    flags = {"is_total": value is None and not more, "is_other": False}
    return {**names, **flags, "users": users, **more}


def test_a_value_without_a_row_is_nobodys_unless_the_rest_hides_it() -> None:
    a = funnel_answer([row(1, 9), row(1, 9, "ads")], by="channel")
    b = funnel_answer([row(1, 12), row(1, 9, "ads"), row(1, 3, "mail")], by="channel")
    found = {one["breakdown"]: one["difference"] for one in compared(a, b, None, []) if not one["is_total"]}
    assert found == {"ads": 0, "mail": 3}
    hidden = funnel_answer([*a.rows, row(1, 2, None, is_other=True)], by="channel")
    found = {
        (one["breakdown"], one["is_other"]): (one["a"], one["difference"])
        for one in compared(hidden, b, None, [])
        if not one["is_total"]
    }
    assert found == {("ads", False): (9, 0), ("mail", False): (None, None), (None, True): (2, -2)}


def test_a_step_that_was_not_asked_has_no_number() -> None:
    a = funnel_answer([row(1, 9)], steps=["a"])
    b = funnel_answer([row(1, 9), row(2, 4)])
    differs = differences(a, b)
    found = {one["step"]: (one["a"], one["b"], one["difference"]) for one in compared(a, b, None, differs)}
    assert found == {1: (9, 9, 0), 2: (None, 4, None)}


def test_rows_by_two_properties_are_not_compared() -> None:
    a = funnel_answer([row(1, 9), row(1, 9, "ads")], by="channel")
    b = funnel_answer([row(1, 12), row(1, 12, "app")], by="platform")
    found = [(one["breakdown"], one["difference"]) for one in compared(a, b, None, differences(a, b))]
    assert found == [(None, 3)]


# --- faces and refusals ------------------------------------------------------------------------------------


def test_table_and_fail_if(workbench: Command, grown: Path) -> None:
    ran = workbench("diff", "A.json", "B.json", cwd=grown)
    lines = [line.split() for line in ran.out.splitlines()]
    assert lines[0] == ["#", "step", "measure", "a", "b", "difference", "data", "definition"]
    assert ["2", "b", "users", "2", "3", "1", "4", "-3"] in lines
    assert "window: 1d → 3h" in ran.out
    words = " ".join(ran.out.split())
    assert "Moved: 3 (1 by data, 1 by definition, 1 by both)" in words
    assert "not in → 2: 1 (data)" in words
    met = workbench(
        "diff", "A.json", "B.json", "--fail-if", "measure = 'users' and definition < 0", cwd=grown
    )
    assert met.code == 5
    assert "step 2" in met.err


def test_the_command_in_the_answer_gives_the_answer(inside: Command, grown: Path) -> None:
    ran = inside("diff", "A.json", "B.json", "--json", cwd=grown)
    assert ran.json["command"] == "workbench diff A.json B.json"
    assert ran.json["request"] == {
        "a": "A.json",
        "b": "B.json",
        "no_data": False,
        "data": [],
        "mapping": None,
    }
    assert inside("diff", "A.json", "B.json", "--json", cwd=grown).out == ran.out


def test_the_catalogue_is_compared_too(inside: Command, grown: Path) -> None:
    inside("events", "--json", "--output", "E.json", "--last", "1d", cwd=grown)
    inside("events", "--json", "--output", "F.json", cwd=grown)
    answer = inside("diff", "E.json", "F.json", "--json", cwd=grown).json
    found = {one["event"]: (one["a"], one["b"], one["definition"]) for one in answer["rows"][::2]}
    assert found == {"a": (0, 7, 7), "b": (0, 6, 6), "x": (1, 2, 1)}
    assert answer["totals"]["moved"] is None
    refused = inside("diff", "E.json", "F.json", "--users", "moved", cwd=grown)
    assert (refused.code, "counts no people" in refused.err) == (2, True)
    assert inside("diff", "A.json", "F.json", cwd=grown).code == 2


HOSTILE = {
    "empty": ("", "A.json:1:1"),
    "nothing": ("{}", "report is missing"),
    "lines": ('{"a": 1}\n{"a": 2}\n', "holds several values"),
    "list": ("[]", "not one JSON object"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "nan": ('{"a": NaN}', "NaN"),
    "huge": ('{"a": 1e999}', "too large"),
    "digits": ('{"a": ' + "9" * 5000 + "}", "A.json"),
    "error": ('{"error": {"code": "usage"}}', "is an error"),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_answer_is_refused_in_one_line(tmp_path: Path, text: tuple[str, str]) -> None:
    (tmp_path / "A.json").write_text(text[0])
    with pytest.raises(UsageError) as caught:
        read_answer(str(tmp_path / "A.json"))
    assert text[1] in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_files_that_are_not_there(inside: Command, grown: Path) -> None:
    ran = inside("diff", "A.json", "C.json", cwd=grown)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 2)
    assert "C.json: cannot be read" in ran.err
    for name in (str(grown), "a\0b"):
        with pytest.raises(UsageError):
            read_answer(name)


CHANGED: dict[str, tuple[dict[str, object], str]] = {
    "report": ({"report": "users"}, "not compared"),
    "schema": ({"schema_version": "2"}, "schema version"),
    "rows": ({"rows": [{"step": 1, "users": "many"}]}, "rows[0].users is no number"),
    "twice": ({"rows": [{"step": 1, "users": 1}, {"step": 1, "users": 2}]}, "name of a row before"),
    "nested": ({"rows": [{"step": {"a": 1}, "users": 1}]}, "no single value"),
    "as_of": ({"meta": {"as_of": "yesterday", "timezone": "UTC"}}, "neither a date nor a time"),
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_an_answer_with_wrong_values_is_refused(
    answers: dict[str, str], tmp_path: Path, change: tuple[dict[str, object], str]
) -> None:
    (tmp_path / "A.json").write_text(json.dumps({**json.loads(answers["A"]), **change[0]}))
    with pytest.raises(UsageError) as caught:
        read_answer(str(tmp_path / "A.json"))
    assert change[1] in caught.value.message


@pytest.mark.parametrize(
    "change",
    [
        {"steps": ["a: 1; DROP TABLE events"]},
        {"where": "read_text('/etc/passwd') = ''"},
        {"newer": True},
        {"unit": ["user"]},
    ],
)
def test_a_hostile_request_is_not_asked_and_said(
    inside: Command, grown: Path, change: dict[str, object]
) -> None:
    answer = json.loads((grown / "A.json").read_text())
    (grown / "A.json").write_text(json.dumps({**answer, "request": {**answer["request"], **change}}))
    found = inside("diff", "A.json", "B.json", "--json", cwd=grown).json
    assert parts_of(found)[2] == [2, 3, 1, None, None, None, None, None]
    assert "not-asked-again" in [note["code"] for note in found["notes"]]


def test_an_answer_of_another_program_says_so(inside: Command, grown: Path) -> None:
    answer = json.loads((grown / "A.json").read_text())
    (grown / "A.json").write_text(json.dumps({**answer, "semantics_version": "0"}))
    found = inside("diff", "A.json", "B.json", "--json", cwd=grown).json
    assert {"key": "semantics_version", "a": "0", "b": "1", "part": "program"} in found["totals"]["differs"]
    assert "semantics-changed" in [note["code"] for note in found["notes"]]


def test_options_that_are_not_for_it(inside: Command, grown: Path) -> None:
    for option in (["--sql"], ["--save", "x"], ["--users", "gone"], ["--users", "moved", "--no-data"]):
        ran = inside("diff", "A.json", "B.json", *option, cwd=grown)
        assert (ran.code, ran.out) == (2, ""), option


def test_cells_of_moves() -> None:
    assert parse_cell("2:none").move == (2, 0)
    assert parse_cell("definition").because == "definition"
    assert parse_cell("moved").because is None
    for bad in ("", "2", "2:", "a:b", "2:3:4", "moved "):
        with pytest.raises(QuestionError):
            parse_cell(bad)
    asked = DiffRequest(a="-a.json", b="b.json", no_data=True, scope=Scope(data=("x",)))
    assert asked.arguments() == ["diff", "./-a.json", "b.json", "--data", "x", "--no-data"]
    assert rescoped(asked, Scope()).scope == Scope()
