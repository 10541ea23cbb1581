"""Raw ids → people: the SQL against a rule written apart, on random exports, and what junk ids must not do."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queries.question import Scope
from tests.driver import Command
from workbench.dataset import opened
from workbench.runner import Task

BASE = "2026-03-01T10:00:{:02d}Z"


def people_by_hand(events: list[tuple[str | None, str | None]]) -> dict[int, tuple[str, str] | None]:
    """Row → person, from the rule as it is written: sole login of a device, else the id itself."""
    junk = {"", "null", "0", "000-00", "undefined", "-1"}

    def clean(name: str | None) -> str | None:
        return None if name is None or name.strip().lower() in junk else name

    logins: dict[str, set[str]] = defaultdict(set)
    for user, device in events:
        if clean(user) and clean(device):
            logins[device].add(user)  # type: ignore[index, arg-type]
    answer: dict[int, tuple[str, str] | None] = {}
    for row, (raw_user, raw_device) in enumerate(events):
        user, device = clean(raw_user), clean(raw_device)
        if user:
            answer[row] = ("user_id", user)
        elif device and len(logins[device]) == 1:
            answer[row] = ("user_id", next(iter(logins[device])))
        else:
            answer[row] = ("anonymous_id", device) if device else None
    return answer


users = st.sampled_from([None, "u1", "u2", "u3", "NULL", "0", "undefined"])
devices = st.sampled_from([None, "d1", "d2", "d3", "u1", "000-00", "-1"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(st.tuples(users, devices), min_size=1, max_size=14))
def test_people_equal_the_rule_written_apart(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str | None, str | None]]
) -> None:
    path = tmp_path_factory.mktemp("ids") / "e.ndjson"
    lines = [
        json.dumps({"ts": BASE.format(row), "event": f"row{row}", "user_id": user, "anonymous_id": device})
        for row, (user, device) in enumerate([*events, ("u9", "d9")])
    ]
    path.write_text("\n".join(lines) + "\n")
    dataset = opened(Scope(data=(str(path),)), Task())
    survey = dataset.survey()
    got = {
        int(str(event)[3:]): (str(kind), str(name))
        for event, kind, name in dataset.fetch(
            "SELECT event, kind, id FROM events JOIN people USING (person)"
        )
    }
    expected = {row: person for row, person in people_by_hand([*events, ("u9", "d9")]).items() if person}
    assert got == expected
    assert survey.people == len(set(expected.values()))
    assert survey.rows == len(expected)
    nameless = len(events) + 1 - len(expected)
    counted = [note.count for note in survey.notes if note.code == "without-id"]
    assert counted == ([nameless] if nameless else [])


def test_an_event_before_the_login_counts_for_the_person(workbench: Command, tmp_path: Path) -> None:
    path = tmp_path / "d" / "e.csv"
    path.parent.mkdir()
    path.write_text(
        "ts,event,user_id,anonymous_id\n"
        "2026-03-01T10:00:00Z,view,,phone-1\n"
        "2026-03-01T10:05:00Z,login,anna,phone-1\n"
        "2026-03-01T10:06:00Z,order,anna,phone-1\n"
        "2026-03-01T11:00:00Z,view,,tablet\n"
        "2026-03-01T11:01:00Z,login,anna,tablet\n"
        "2026-03-01T11:02:00Z,login,ben,tablet\n"
    )
    asked = ("funnel", "--data", str(path), "--step", "view", "--step", "order")
    answer = workbench(*asked, "--json").json
    # anna (by phone-1, backwards) and the tablet that two people use, which stays nobody's.
    assert [row["users"] for row in answer["rows"]] == [2, 1]
    assert workbench(*asked, "--users", "converted").users == ["anna"]
    assert workbench(*asked, "--users", "reached:1").users == ["anna", "tablet"]
    raw = workbench(*asked, "--unit", "raw", "--json").json
    assert [row["users"] for row in raw["rows"]] == [2, 0]


def test_junk_is_junk_with_blanks_and_in_any_case_and_nothing_else_is(
    workbench: Command, tmp_path: Path
) -> None:
    junk = [
        "",
        " ",
        "null\t",
        "NULL",
        "\u00a0undefined",
        "0",
        "0000",
        "0.0",
        "00000000-0000-0000-0000-000000000000",
        "-1",
    ]
    real = ["10", "-10", "0a", "nullable", "u.1", "n/ab", "(null", "000-1"]
    path = tmp_path / "d" / "e.ndjson"
    path.parent.mkdir()
    path.write_text(
        "".join(
            json.dumps({"ts": BASE.format(10), "event": "a", "user_id": name}) + "\n"
            for name in [*junk, *real, "TEST"]
        )
    )
    (tmp_path / "workbench.toml").write_text(
        'schema = 1\n[[source]]\nname = "e"\npath = "d"\n[ids]\njunk = ["test"]\n'
    )
    ran = workbench("funnel", "--step", "a", "--users", "reached:1", cwd=tmp_path)
    assert ran.users == sorted(real)
