"""Raw ids → people: the SQL against a rule written apart, on random exports, and what junk ids must not do."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queries.question import Scope
from tests.driver import Command
from workbench.dataset import opened
from workbench.runner import Task

BASE = "2026-03-01T10:00:{:02d}Z"


KINDS = ("user_id", "ids.phone", "anonymous_id")
"""In order of trust."""
JUNK = {"", "null", "0", "000-00", "undefined", "-1"}
Ids = tuple[str | None, str | None, str | None]
Person = tuple[str, str]


def people_by_hand(events: list[Ids]) -> dict[int, Person]:
    """Row → person, event by event in their order, from the rule as it is written."""

    def clean(event: Ids) -> list[Person]:
        return [
            (kind, name)
            for kind, name in zip(KINDS, event, strict=True)
            if name is not None and name.strip().lower() not in JUNK
        ]

    def more_trusted(event: Ids, own: Person) -> Person | None:
        """Who an event says uses an id: its most trusted id, where that is a more trusted one and settled."""
        first = clean(event)[0]
        return None if first == own or own not in clean(event) else settled(first)

    def users(own: Person) -> list[Person]:
        return [person for event in events if (person := more_trusted(event, own) if clean(event) else None)]

    def settled(own: Person) -> Person | None:
        found = set(users(own))
        return own if not found else found.pop() if len(found) == 1 else None

    answer: dict[int, Person] = {}
    for row, event in enumerate(events):
        if not clean(event):
            continue
        own = clean(event)[0]
        person = settled(own)
        if person is None:
            seen = [more_trusted(other, own) if clean(other) else None for other in events]
            before = [one for one in seen[: row + 1] if one]
            person = before[-1] if before else next(one for one in seen if one)
        answer[row] = person
    return answer


users = st.sampled_from([None, None, "u1", "u2", "u3", "NULL", "0", "undefined"])
phones = st.sampled_from([None, None, "p1", "p2", "u1", ""])
devices = st.sampled_from([None, "d1", "d2", "d3", "u1", "p1", "000-00", "-1"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(st.tuples(users, phones, devices), min_size=1, max_size=16), shuffled=st.randoms())
def test_people_equal_the_rule_written_apart(
    tmp_path_factory: pytest.TempPathFactory, events: list[Ids], shuffled: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("ids")
    events = [*events, ("u9", "p9", "d9")]
    lines = [
        json.dumps({"ts": BASE.format(row), "event": f"row{row}", **dict(zip(KINDS, event, strict=True))})
        for row, event in enumerate(events)
    ]
    # The rows' order in the file says nothing where times differ.
    shuffled.shuffle(lines)
    (folder / "e.ndjson").write_text("\n".join(lines) + "\n")
    dataset = opened(Scope(data=(str(folder),)), Task())
    survey = dataset.survey()
    got = {
        int(str(event)[3:]): (str(kind), str(name))
        for event, kind, name in dataset.fetch(
            "SELECT event, kind, id FROM events JOIN people USING (person)"
        )
    }
    expected = people_by_hand(events)
    assert got == expected
    assert survey.people == len(set(expected.values()))
    assert survey.rows == len(expected)
    nameless = len(events) - len(expected)
    counted = [note.count for note in survey.notes if note.code == "without-id"]
    assert counted == ([nameless] if nameless else [])


def test_events_of_one_time_take_the_login_before_them_in_the_export(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text(
        "ts,event,user_id,anonymous_id\n"
        "2026-03-01T10:00:00Z,first,,d\n"
        "2026-03-01T10:00:00Z,login,anna,d\n"
        "2026-03-01T10:00:00Z,second,,d\n"
        "2026-03-01T10:00:00Z,login,ben,d\n"
        "2026-03-01T10:00:00Z,third,,d\n"
    )
    dataset = opened(Scope(data=(str(path),)), Task())
    dataset.survey()
    found = dataset.fetch("SELECT event, id FROM events JOIN people USING (person) WHERE event <> 'login'")
    assert dict(found) == {"first": "anna", "second": "anna", "third": "ben"}


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
    # By phone-1, backwards; and on the tablet that two people use, as its first login.
    assert [row["users"] for row in answer["rows"]] == [1, 1]
    assert workbench(*asked, "--users", "reached:1").users == ["anna"]
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
