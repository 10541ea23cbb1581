"""Lists of people against counting by hand over random exports, from a saved list, a pipe, and in every format."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from queries.question import QuestionError, Result, Scope
from queries.users import UsersRequest, answer, from_dict
from tests.driver import Command
from workbench import schemas
from workbench.dataset import Dataset
from workbench.limits import limits
from workbench.runner import Task
from workbench.workspace import load

Event = dict[str, Any]
MINUTE = 60_000
START = 1_772_290_800_000
NAMES = ("ts", "event", "user_id", "session_id", "order_id", "amount", "channel", "sequence")


def drawn(seed: int, count: int, *, own: bool) -> list[Event]:
    rng = random.Random(seed)
    return [
        {
            "ts": START + rng.randrange(240) * 5 * MINUTE,
            "event": rng.choice(["view", "view", "order"]),
            "user_id": rng.choice(["u1", "u2", "u3", "u10"]),
            "session_id": rng.choice([None, "s1", "s2"]) if own else None,
            "order_id": rng.choice([None, "o1", "o2"]),
            "amount": rng.choice([None, "12.30", "7"]),
            "channel": rng.choice([None, "seo", "ads"]),
            "sequence": rng.choice([None, 1, 2]),
            "age": rng.choice([None, 20, 30]),
            "score": rng.choice([None, 0.5, 2.25]),
        }
        for _ in range(count)
    ]


def workspace(folder: Path, events: list[Event], roles: str = '[roles]\norder = "order"\n') -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "e.ndjson").write_text("".join(json.dumps(event) + "\n" for event in events))
    mapped = "".join(f'{name} = "{name}"\n' for name in NAMES)
    (folder / "workbench.toml").write_text(
        'schema = 1\n[[source]]\nname = "e"\npath = "data"\n[source.time]\nunit = "ms"\n'
        f"[source.map]\n{mapped}{roles}"
    )
    return folder


def over(folder: Path, scope: Scope | None = None) -> Dataset:
    return Dataset(load(folder / "workbench.toml"), scope or Scope(), Task(), limits(None, None))


def asked(dataset: Dataset, **request: Any) -> Result:
    return answer(UsersRequest(scope=dataset.scope, **request), dataset)


def latest(events: list[Event], name: str) -> object:
    known = [(e["ts"], e["sequence"] or -1, e["row"], e[name]) for e in events if e[name] is not None]
    return max(known)[3] if known else None


def sessions(events: list[Event], own: bool, gap: int) -> dict[int, object]:
    """Row → session, of one person's events."""
    if own:
        return {e["row"]: e["session_id"] for e in events if e["session_id"]}
    found: dict[int, object] = {}
    number, last = 0, None
    for event in sorted(events, key=lambda e: e["ts"]):
        number += last is None or event["ts"] - last > gap * MINUTE
        last = event["ts"]
        found[event["row"]] = number
    return found


@pytest.mark.parametrize("seed", range(8))
def test_every_figure_is_the_one_counted_by_hand(tmp_path: Path, seed: int) -> None:
    own, gap = seed % 2 == 0, {1: "25m", 3: "10m", 7: "5m"}.get(seed)
    events = [{**event, "row": row} for row, event in enumerate(drawn(seed, 70, own=own))]
    since, where = (None, None) if seed < 4 else ("2026-03-01T02:00", "coalesce(channel, '') <> 'ads'")
    low = 1_772_330_400_000
    dataset = over(workspace(tmp_path / "w", events), Scope(since=since, where=where, session_gap=gap))
    got = {row["user"]: dict(row) for row in asked(dataset, show=("channel", "age", "score")).rows}
    expected = {}
    for name in sorted({event["user_id"] for event in events}):
        everything = [event for event in events if event["user_id"] == name]
        numbers = sessions(everything, own, int((gap or "30m")[:-1]))
        mine = [
            event
            for event in everything
            if (since is None or event["ts"] >= low) and (where is None or event["channel"] != "ads")
        ]
        if not mine:
            continue
        orders = [event for event in mine if event["event"] == "order"]
        amounts = [float(event["amount"]) for event in orders if event["amount"]]
        expected[name] = {
            "user": name,
            "kind": "user_id",
            "first_seen": min(event["ts"] for event in mine),
            "last_seen": max(event["ts"] for event in mine),
            "events": len(mine),
            "sessions": len({numbers[event["row"]] for event in mine if event["row"] in numbers}),
            "orders": len({e["order_id"] for e in orders if e["order_id"]})
            + sum(not e["order_id"] for e in orders),
            "amount": round(sum(amounts), 2) if amounts else None if orders else 0,
            "channel": latest(mine, "channel"),
            "age": latest(mine, "age"),
            "score": latest(mine, "score"),
        }
    from datetime import UTC, datetime

    for row in expected.values():
        for key in ("first_seen", "last_seen"):
            moment = datetime.fromtimestamp(row[key] / 1000, UTC)
            row[key] = moment.isoformat(timespec="milliseconds")
    assert got == expected


def test_rows_are_sorted_by_a_column_with_what_is_missing_last(tmp_path: Path) -> None:
    dataset = over(workspace(tmp_path / "w", drawn(3, 60, own=False)))
    plain = [row["user"] for row in asked(dataset).rows]
    assert plain == ["u1", "u10", "u2", "u3"]
    for column in ("events", "amount", "age", "last_seen", "user"):
        for descending in (False, True):
            rows = asked(dataset, show=("age",), sort=column, descending=descending).rows
            values = [row[column] for row in rows if row[column] is not None]
            assert values == sorted(values, reverse=descending)  # type: ignore[type-var]
            assert [row[column] for row in rows][: len(values)] == values


def test_a_list_names_people_and_says_whom_it_does_not_find(workbench: Command, tmp_path: Path) -> None:
    folder = workspace(tmp_path / "w", drawn(4, 60, own=False))
    (folder / "segments").mkdir()
    (folder / "segments" / "vip.toml").write_text('schema = 1\nids = ["u3", "u1", "gone"]\n')
    ran = workbench("-C", str(folder), "users", "--ids", "vip", "--json")
    found = ran.json
    Draft202012Validator(schemas.load("users")).validate(found)
    assert [row["user"] for row in found["rows"]] == ["u1", "u3"]
    assert [note["count"] for note in found["notes"] if note["code"] == "unknown-ids"] == [1]
    assert found["command"] == "workbench users --ids vip"


@pytest.mark.parametrize(
    "text",
    [
        "u3\nu1\n",
        '{"user": "u3", "kind": "user_id"}\n{"user": "u1"}\n',
        "user,city\nu3,x\nu1,y\n",
        '"u3"\n"u1"\n',
    ],
)
def test_standard_input_takes_lines_json_and_csv(workbench: Command, tmp_path: Path, text: str) -> None:
    folder = workspace(tmp_path / "w", drawn(4, 60, own=False))
    ran = workbench("-C", str(folder), "users", "--ids", "-", "--jsonl", stdin=text)
    assert ran.users == ["u1", "u3"]


def test_the_people_of_a_cell_go_on_into_a_list(workbench: Command, tmp_path: Path) -> None:
    events = drawn(4, 60, own=False)
    folder = workspace(tmp_path / "w", events)
    cell = workbench("-C", str(folder), "funnel", "--step", "order", "--users", "reached:1")
    listed = workbench("-C", str(folder), "users", "--ids", "-", "--csv", stdin=cell.out)
    rows = list(csv.DictReader(io.StringIO(listed.out)))
    assert [row["user"] for row in rows] == sorted({e["user_id"] for e in events if e["event"] == "order"})
    assert list(rows[0]) == [
        "user",
        "kind",
        "first_seen",
        "last_seen",
        "events",
        "sessions",
        "orders",
        "amount",
    ]
    as_json = workbench("-C", str(folder), "funnel", "--step", "order", "--users", "reached:1", "--json").json
    Draft202012Validator(schemas.load("users")).validate(as_json)


def test_what_is_cut_is_said_and_a_rule_chooses(workbench: Command, tmp_path: Path) -> None:
    folder = workspace(tmp_path / "w", drawn(5, 60, own=False))
    ran = workbench("-C", str(folder), "users", "--limit", "1", "--sort", "events", "--descending")
    assert "1 of 4 rows, 3 left out" in ran.err
    assert ran.out.splitlines()[0].split() == [
        "user", "id", "kind", "events", "first", "seen", "last", "seen", "sessions", "orders", "amount",
    ]  # fmt: skip


def test_an_export_without_orders_says_so(tmp_path: Path) -> None:
    got = asked(over(workspace(tmp_path / "w", drawn(6, 30, own=False), roles="")))
    assert {(row["orders"], row["amount"]) for row in got.rows} == {(None, None)}
    told = [note.text for note in got.notes if note.code == "not-available"]
    assert told == ["orders n/a: the role order is not mapped", "amount n/a: the role order is not mapped"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sort": "evnts"}, "--sort"),
        ({"descending": True}, "--descending"),
        ({"show": ("events",)}, "--show"),
        ({"scope": Scope(by="channel")}, "--by"),
        ({"scope": Scope(unit="order")}, "--unit"),
    ],
)
def test_what_cannot_be_asked_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(QuestionError, match=said):
        UsersRequest(**given)


def test_a_request_says_itself() -> None:
    request = UsersRequest(ids="vip", show=("city",), sort="city", descending=True, scope=Scope(last="7d"))
    assert from_dict(request.to_dict()) == request
    assert request.arguments() == [
        "users", "--ids", "vip", "--show", "city", "--sort", "city", "--descending", "--last", "7d",
    ]  # fmt: skip


def test_rows_are_read_as_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        {**drawn(0, 1, own=False)[0], "user_id": f"u{number:05}", "ts": START + number}
        for number in range(20_000)
    ]
    dataset = over(workspace(tmp_path / "w", events))
    batches: list[int] = []
    real = Dataset.stream

    def counted(self: Dataset, *given: Any) -> Any:
        for batch in real(self, *given):
            batches.append(len(next(iter(batch.values()))))
            yield batch

    monkeypatch.setattr(Dataset, "stream", counted)
    got = asked(dataset)
    assert (len(got.rows), got.totals["users"], batches) == (20_000, 20_000, [])
    assert got.rows[0]["user"] == "u00000"
    assert next(iter(got.rows))["events"] == 1
