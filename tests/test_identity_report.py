"""``workbench identity``: every figure counted by hand, and the people behind the rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.driver import Command

EVENTS = """ts,event,user_id,anonymous_id,phone
2026-03-01T10:00:00Z,view,,d1,
2026-03-01T10:01:00Z,login,u1,d1,
2026-03-01T10:02:00Z,view,u1,d2,
2026-03-01T10:03:00Z,view,,tablet,
2026-03-01T10:04:00Z,login,u1,tablet,
2026-03-01T10:05:00Z,view,,tablet,
2026-03-01T10:06:00Z,login,u2,tablet,
2026-03-01T10:07:00Z,view,,tablet,
2026-03-01T10:08:00Z,paid,,,139
2026-03-01T10:09:00Z,paid,u2,,139
2026-03-01T10:10:00Z,paid,,till,150
2026-03-01T10:11:00Z,view,null,0000,
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "e.csv").write_text(EVENTS)
    (tmp_path / "workbench.toml").write_text(
        'schema = 1\n[[source]]\nname = "e"\npath = "data"\n[source.map]\nts = "ts"\nevent = "event"\n'
        'user_id = "user_id"\nanonymous_id = "anonymous_id"\n"ids.phone" = "phone"\n'
    )
    return tmp_path


def test_every_figure_is_the_one_counted_by_hand(workbench: Command, shop: Path) -> None:
    answer = workbench("-C", str(shop), "identity", "--json").json
    found = {
        (row["kind"], row["decision"]): (row["ids"], row["people"], row["events"])
        for row in answer["rows"]
        if row["ids"]
    }
    assert found == {
        ("user_id", "person"): (2, 2, 5),
        ("ids.phone", "person"): (1, 1, 1),
        ("ids.phone", "linked"): (1, 1, 1),
        # d1 and d2 are u1's, the till the phone's: its event was decided by the phone.
        ("anonymous_id", "linked"): (3, 2, 1),
        ("anonymous_id", "shared"): (1, 2, 3),
    }
    totals = answer["totals"]
    assert sum(row["events"] for row in answer["rows"]) == answer["meta"]["rows_in_scope"] == 11
    assert (totals["ids"], totals["people"], totals["users"], totals["devices"]) == (8, 3, 2, 4)
    assert totals["devices_without_login"] == 0
    assert totals["devices_with_several_logins"] == 1
    assert totals["people_on_several_devices"] == 1
    assert totals["biggest"][0] == {"kind": "user_id", "user": "u1", "ids": 4}
    assert [note["count"] for note in answer["notes"] if note["code"] == "without-id"] == [1]


@pytest.mark.parametrize(
    ("cell", "people"),
    [
        ("shared:anonymous_id", ["u1", "u2"]),
        ("linked:anonymous_id", ["u1", "150"]),
        ("linked:ids.phone", ["u2"]),
        ("person:ids.phone", ["150"]),
        ("person:user_id", ["u1", "u2"]),
        ("shared:user_id", []),
    ],
)
def test_the_people_behind_a_row(workbench: Command, shop: Path, cell: str, people: list[str]) -> None:
    assert workbench("-C", str(shop), "identity", "--users", cell).users == people


def test_raw_ids_are_linked_to_nobody(workbench: Command, shop: Path) -> None:
    totals = workbench("-C", str(shop), "identity", "--unit", "raw", "--json").json["totals"]
    assert totals["people"] == 6
    assert totals["devices_with_several_logins"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--last", "7d"), "--last"),
        (("--unit", "session"), "--unit session"),
        (("--users", "all"), "names no cell"),
        (("--users", "shared:ids.fax"), "ids.fax"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    workbench: Command, shop: Path, arguments: tuple[str, ...], said: str
) -> None:
    ran = workbench("-C", str(shop), "identity", *arguments)
    assert ran.code == 2 and ran.out == "" and said in ran.err
