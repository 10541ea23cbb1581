"""Sessions and other units: the SQL against rules written apart, on random exports, and through the funnel."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queries.funnel import answer, request
from queries.question import QuestionError, Scope
from tests.driver import Command
from workbench.dataset import Dataset, opened
from workbench.limits import limits
from workbench.runner import Task
from workbench.workspace import load

MINUTE = 60_000
START = 1_772_300_000_000
GAP = 30 * MINUTE


def written(folder: Path, events: list[dict[str, object]], toml: str = "") -> None:
    (folder / "data").mkdir(parents=True)
    lines = [json.dumps({**event, "ts": START + int(str(event["ts"]))}) for event in events]
    (folder / "data" / "e.ndjson").write_text("\n".join(lines) + "\n")
    mapped = "".join(
        f'{name} = "{name}"\n' for name in ("ts", "event", "user_id", "session_id", "campaign", "order_id")
    )
    (folder / "workbench.toml").write_text(
        'schema = 1\n[[source]]\nname = "e"\npath = "data"\n[source.time]\nunit = "ms"\n'
        f"[source.map]\n{mapped}{toml}"
    )


def over(folder: Path, scope: Scope) -> Dataset:
    return Dataset(load(folder / "workbench.toml"), scope, Task(), limits(None, None))


def by_gap(events: list[dict[str, object]], gap: int, cut: bool) -> dict[int, tuple[str, int]]:
    """Row → person and number of their session, from the rule as it is written."""
    found: dict[int, tuple[str, int]] = {}
    for person in {str(event["user_id"]) for event in events}:
        mine = [row for row, event in enumerate(events) if event["user_id"] == person]
        mine.sort(key=lambda row: (events[row]["ts"], row))
        number, campaign, last = 0, None, None
        for row in mine:
            ts, own = int(str(events[row]["ts"])), events[row]["campaign"]
            another = cut and own is not None and own != campaign
            if last is None or ts - last > gap or another:
                number += 1
            campaign, last = own or campaign, ts
            found[row] = (person, number)
    return found


event = st.fixed_dictionaries(
    {
        "ts": st.integers(0, 40).map(lambda place: place * 10 * MINUTE),
        "event": st.sampled_from(["view", "add", "order"]),
        "user_id": st.sampled_from(["u1", "u2", "u3"]),
        "session_id": st.sampled_from([None, "s1", "s2"]),
        "campaign": st.sampled_from([None, None, "c1", "c2"]),
        "order_id": st.sampled_from([None, "o1", "o2"]),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(event, min_size=1, max_size=14), own=st.booleans(), cut=st.booleans())
def test_sessions_equal_the_rule_written_apart(
    tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, object]], own: bool, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("sessions") / "w"
    written(folder, events, f"[sessions]\ncut_on_campaign = {str(cut).lower()}\n")
    dataset = over(folder, Scope(unit="session", session_gap=None if own else "30m"))
    survey = dataset.survey()
    got: dict[object, set[int]] = defaultdict(set)
    for place, unit in dataset.fetch("SELECT place, person FROM events"):
        got[unit].add(int(str(place)) & 0xFFFFFFFF)
    if own and any(one["session_id"] for one in events):
        named = {
            row: (one["user_id"], one["session_id"]) for row, one in enumerate(events) if one["session_id"]
        }
    else:
        named = dict(by_gap(events, GAP, cut))  # type: ignore[arg-type]
    expected: dict[object, set[int]] = defaultdict(set)
    for row, name in named.items():
        expected[name].add(row)
    assert sorted(map(sorted, got.values())) == sorted(map(sorted, expected.values()))
    assert survey.people == len(expected)
    assert survey.rows == len(named)
    outside = [note.count for note in survey.notes if note.code == "without-unit"]
    assert outside == ([len(events) - len(named)] if len(named) < len(events) else [])


@pytest.mark.parametrize("seed", range(4))
def test_a_funnel_of_sessions_and_of_orders_counts_each_and_lists_people(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    events: list[dict[str, object]] = [
        {
            "ts": rng.randrange(400) * MINUTE,
            "event": rng.choice(["view", "order"]),
            "user_id": f"u{rng.randrange(6)}",
            "session_id": None,
            "campaign": None,
            "order_id": rng.choice([None, "o1", "o2"]),
        }
        for _ in range(80)
    ]
    written(tmp_path / "w", events)
    last = max(int(str(one["ts"])) for one in events)

    def asked(unit: str) -> tuple[list[int], int, set[str], int]:
        scope = Scope(unit=unit)
        dataset = over(tmp_path / "w", scope)
        result = answer(request(["view", "order"], "7d", scope), dataset)
        assert result.people is not None
        people = {name for name, _ in dataset.ids_of(result.people.codes("converted"))}
        rows = [int(str(row["users"])) for row in result.rows]
        assert result.totals["users"] == len(result.people.codes("reached:1"))
        return rows, int(str(result.rows[0]["open"])), people, int(str(result.totals["users"]))

    def by_hand(units: dict[int, object]) -> tuple[list[int], set[str], dict[object, int], int]:
        level: dict[object, int] = {}
        newest: dict[object, int] = {}
        for row in sorted(units, key=lambda row: (events[row]["ts"], events[row]["event"] != "view", row)):
            unit, name = units[row], events[row]["event"]
            newest[unit] = int(str(events[row]["ts"]))
            if name == "view":
                level[unit] = max(level.get(unit, 0), 1)
            elif level.get(unit):
                level[unit] = 2
        converted = {str(unit[0]) for unit, deepest in level.items() if deepest == 2}  # type: ignore[index]
        entered = {str(unit[0]) for unit in level}  # type: ignore[index]
        return [len(level), sum(v == 2 for v in level.values())], converted, newest | {}, len(entered)

    sessions = by_gap(events, GAP, cut=False)
    rows, converted, newest, entered = by_hand(dict(sessions))
    got, still_open, people, users = asked("session")
    assert (got, people, users) == (rows, converted, entered)
    running = {unit for unit, ts in newest.items() if last - ts <= GAP}
    assert still_open <= len(running)
    orders = {row: (one["user_id"], one["order_id"]) for row, one in enumerate(events) if one["order_id"]}
    rows, converted, _, entered = by_hand(dict(orders))
    got, _, people, users = asked("order")
    assert (got, people, users) == (rows, converted, entered)


def test_the_rule_in_force_is_said_and_a_unit_nobody_knows_is_refused(
    workbench: Command, tmp_path: Path
) -> None:
    written(
        tmp_path / "w",
        [{"ts": 0, "event": "view", "user_id": "u", "session_id": "s", "campaign": None, "order_id": None}],
    )
    ask = ("-C", str(tmp_path / "w"), "funnel", "--step", "view", "--unit")
    said = workbench(*ask, "session", "--json").json["notes"]
    assert [note["text"] for note in said if note["code"] == "session-rule"] == [
        "sessions: the export's where it has ids, else one ends after more than 30m of nothing"
    ]
    refused = workbench(*ask, "sesion")
    assert refused.code == 2 and "sesion" in refused.err
    gap = workbench(*ask, "session", "--session-gap", "none")
    assert gap.code == 2 and gap.err.count("\n") <= 2
    with pytest.raises(QuestionError):
        opened(Scope(data=(str(tmp_path / "w" / "data"),), unit="colour"), Task()).survey()
