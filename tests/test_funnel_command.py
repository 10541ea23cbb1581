"""The funnel through the front door: numbers, people, reconciliation, determinism, refusals."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from queries.funnel import FunnelRequest, request
from queries.question import QuestionError, Scope
from tests.driver import Command
from tests.oracles.funnel import Event, Options, funnel

START = 1_772_300_000_000
STEPS = ("view", "cart", "order")
CHANNELS = ("ads", "mail", None, "we chat", "direct")


def random_events(seed: int, people: int = 60) -> list[dict[str, object]]:
    rng = random.Random(seed)
    rows = []
    for person in range(people):
        for _ in range(rng.randint(1, 9)):
            rows.append(
                {
                    "ts": START + rng.randrange(40) * 3_600_000,
                    "event": rng.choice((*STEPS, "other")),
                    "user_id": f"u{person:03d}",
                    "channel": rng.choice(CHANNELS),
                    "amount": rng.randrange(0, 500) / 100,
                }
            )
    return rows


def write_parquet(folder: Path, rows: list[dict[str, object]], files: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    schema = pa.schema(
        {
            "ts": pa.timestamp("ms", tz="UTC"),
            "event": pa.string(),
            "user_id": pa.string(),
            "channel": pa.string(),
            "amount": pa.float64(),
        }
    )
    size = -(-len(rows) // files)
    for number in range(files):
        part = rows[number * size : (number + 1) * size]
        table = pa.table({name: [row[name] for row in part] for name in schema.names}, schema=schema)
        pq.write_table(table, folder / f"part-{number:02d}.parquet")
    return folder


def as_oracle(rows: list[dict[str, object]], condition: Callable[[dict[str, object]], bool]) -> list[Event]:
    events = []
    for place, row in enumerate(rows):
        steps = {
            number
            for number, step in enumerate(STEPS, 1)
            if row["event"] == step and (step != "order" or condition(row))
        }
        user = int(str(row["user_id"])[1:])
        events.append(Event(user, int(str(row["ts"])), place, frozenset(steps), value=row["channel"]))
    return events


ASK = ("--step", "view", "--step", "cart", "--step", "order: amount > 1", "--window", "6h")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rows_equal_the_oracle_with_condition_and_breakdown(
    workbench: Command, tmp_path: Path, seed: int
) -> None:
    rows = random_events(seed)
    folder = write_parquet(tmp_path / "e", rows, files=3)
    as_of = max(int(str(row["ts"])) for row in rows)
    options = Options(steps=3, window=6 * 3_600_000, as_of=as_of)
    oracle = funnel(as_oracle(rows, lambda row: float(str(row["amount"])) > 1), options)
    answer = workbench("funnel", "--data", str(folder), *ASK, "--by", "channel", "--json").json
    got = [(row["users"], row["dropped"], row["open"]) for row in answer["rows"] if row["is_total"]]
    assert got == [(row.n, row.dropped, row.open) for row in oracle.rows]
    for value, expected in oracle.rows_by_value().items():
        mine = [
            (row["users"], row["dropped"], row["open"])
            for row in answer["rows"]
            if not row["is_total"] and not row["is_other"] and row["breakdown"] == value
        ]
        assert mine == [(row.n, row.dropped, row.open) for row in expected]


def test_every_sum_adds_up_with_other_and_none(workbench: Command, tmp_path: Path) -> None:
    folder = write_parquet(tmp_path / "e", random_events(4))
    answer = workbench("funnel", "--data", str(folder), *ASK, "--by", "channel", "--top", "2", "--json").json
    total = [row for row in answer["rows"] if row["is_total"]]
    parts = [row for row in answer["rows"] if not row["is_total"]]
    assert any(row["is_other"] for row in parts)
    for key in ("users", "dropped", "open"):
        for row in total:
            assert row[key] == sum(part[key] for part in parts if part["step"] == row["step"])
    for row, after in pairwise(total):
        assert row["users"] == row["dropped"] + row["open"] + after["users"]
    assert (total[-1]["dropped"], total[-1]["open"]) == (0, 0)


def test_people_behind_every_cell_are_as_many_as_the_cell_says(workbench: Command, tmp_path: Path) -> None:
    folder = write_parquet(tmp_path / "e", random_events(5))
    asked = ("funnel", "--data", str(folder), *ASK, "--by", "channel", "--top", "2")
    rows = workbench(*asked, "--json").json["rows"]
    seen: set[str] = set()
    for row in rows:
        if row["is_total"]:
            dropped = workbench(*asked, "--users", f"dropped:{row['step']}").users
            still_open = workbench(*asked, "--users", f"open:{row['step']}").users
            assert (len(dropped), len(still_open)) == (row["dropped"], row["open"])
            assert seen.isdisjoint(dropped)
            seen |= {*dropped, *still_open}
    first = rows[0]["users"]
    assert len(seen) + len(workbench(*asked, "--users", "converted").users) == first
    for name, flag in (("@(other)", "is_other"), ("@(none)", None), ("@we chat", None)):
        wanted = [
            row["users"]
            for row in rows
            if row["step"] == 1
            and not row["is_total"]
            and (row["is_other"] if flag else not row["is_other"])
            and (flag or row["breakdown"] == (None if name == "@(none)" else "we chat"))
        ]
        if wanted:
            assert len(workbench(*asked, "--users", f"reached:1{name}").users) == wanted[0]


def test_fault_120_same_bytes_whatever_files_threads_and_hash_seed(
    workbench: Command, tmp_path: Path
) -> None:
    rows = random_events(6, people=200)
    write_parquet(tmp_path / "one", rows)
    write_parquet(tmp_path / "many", rows, files=7)
    answers = set()
    for place, (threads, seed) in enumerate([("1", "0"), ("2", "1"), ("2", "77")]):
        for source in ("one", "many"):
            data = tmp_path / f"run{place}{source}" / "e"
            shutil.copytree(tmp_path / source, data)
            ran = workbench(
                "funnel", "--data", "e", *ASK, "--by", "channel", "--json", "--threads", threads,
                cwd=data.parent, env={"PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo" if place else "UTC"},
            )  # fmt: skip
            answers.add(ran.out)
    assert len(answers) == 1


def test_fault_051_rows_out_of_order_give_the_same_answer(workbench: Command, tmp_path: Path) -> None:
    rows = random_events(7)
    # Times apart, so that no tie lets the export's order count.
    for place, row in enumerate(rows):
        row["ts"] = int(str(row["ts"])) + place
    shuffled = rows[:]
    random.Random(1).shuffle(shuffled)
    write_parquet(tmp_path / "a", rows, files=2)
    write_parquet(tmp_path / "b", shuffled, files=3)
    first = workbench("funnel", "--data", "a", *ASK, "--by", "channel", "--json", cwd=tmp_path).json
    second = workbench("funnel", "--data", "b", *ASK, "--by", "channel", "--json", cwd=tmp_path).json
    assert first["rows"] == second["rows"]


def test_fold_in_pieces_gives_the_same_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from queries.funnel import answer
    from workbench.dataset import Dataset, opened
    from workbench.runner import Task

    folder = write_parquet(tmp_path / "e", random_events(8, people=300))
    scope = Scope(data=(str(folder),), by="channel")
    asked = request(["view", "cart", "order"], "6h", scope)
    whole = answer(asked, opened(scope, Task()))
    monkeypatch.setattr(Dataset, "row_budget", 10)
    pieces = answer(asked, opened(scope, Task()))
    assert pieces.rows == whole.rows
    assert pieces.totals == whole.totals
    assert pieces.notes == whole.notes


def test_json_keeps_its_schema(workbench: Command, tmp_path: Path) -> None:
    from workbench.schemas import load

    folder = write_parquet(tmp_path / "e", random_events(9))
    for report, arguments in {
        "funnel": ("funnel", *ASK, "--by", "channel"),
        "events": ("events",),
        "properties": ("properties",),
        "users": ("funnel", *ASK, "--users", "reached:1"),
    }.items():
        answer = workbench(*arguments, "--data", str(folder), "--json").json
        assert answer["report"] == report
        Draft202012Validator(load(report)).validate(answer)


def test_the_printed_command_gives_the_same_answer(workbench: Command, tmp_path: Path) -> None:
    import shlex

    write_parquet(tmp_path / "my data", random_events(10))
    asked = ("funnel", "--data", "my data", *ASK, "--by", "channel", "--where", "amount >= 0.5", "--json")
    first = workbench(*asked, cwd=tmp_path).json
    program, *arguments = shlex.split(first["command"])
    assert program == "workbench"
    again = workbench(*arguments, "--json", cwd=tmp_path).json
    assert again == first


def test_sql_can_be_pasted_and_gives_the_events_of_the_funnel(workbench: Command, tmp_path: Path) -> None:
    import duckdb

    rows = random_events(11)
    folder = write_parquet(tmp_path / "e", rows)
    script = workbench("funnel", "--data", str(folder), *ASK, "--sql")
    assert script.code == 0, script.err
    con = duckdb.connect()
    *before, last = [statement for statement in script.out.split(";\n") if statement.strip()]
    for statement in before:
        con.execute(statement)
    expected = sum(1 for event in as_oracle(rows, lambda row: float(str(row["amount"])) > 1) if event.steps)
    assert len(con.execute(last).fetchall()) == expected


def test_fault_066_an_empty_answer_is_no_failure(workbench: Command, tmp_path: Path) -> None:
    folder = write_parquet(tmp_path / "e", random_events(12))
    answer = workbench("funnel", "--data", str(folder), "--step", "vieuw", "--step", "cart", "--json")
    assert [row["users"] for row in answer.json["rows"]] == [0, 0]
    assert answer.json["rows"][1]["rate_from_first"] is None
    assert answer.json["totals"]["conversion_rate"] is None
    told = [note for note in answer.json["notes"] if note["code"] == "step-never-seen"]
    assert 'did you mean "view"?' in told[0]["text"]
    assert workbench("funnel", "--data", str(folder), "--step", "vieuw", "--require-data").code == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "needs a step"),
        (("--step", "view", "--optional", "1"), 2, "first and the last step"),
        (("--step", "view", "--exclude", "cart@1:9"), 2, "later one"),
        (("--step", "view", "--trend", "year"), 2, "--trend"),
        (("--step", "view", "--compare", "previous"), 2, "--last 7d"),
        (("--step", "view", "--compare", "vip"), 2, 'no segment "vip"'),
        (("--step", "view", "--as", "mixpannel"), 2, "--as"),
        (("--step", "view", "--mature", "--window", "none"), 2, "--mature"),
        (("--step", "view", "--segment", "vip"), 2, "--segment"),
        (("--step", "view", "--unit", "planet"), 2, 'unknown property "planet"'),
        (("--step", "view", "--window", "7 parsecs"), 2, "7 parsecs"),
        (("--step", "view", "--by", "chanel"), 2, 'did you mean "channel"?'),
        (("--step", "view", "--where", "amount >"), 2, "amount >"),
        (("--step", "view: amount"), 2, "amount"),
        (("--step", "view", "--users", "lost:1"), 2, "lost:1"),
        (("--step", "view", "--users", "dropped:7"), 2, "steps 1 to 1"),
        (("--step", "view", "--tz", "Asia/Shanghia"), 2, "Asia/Shanghai"),
        (("--step", "view", "--fail-if", "userz > 1"), 2, "userz"),
        (("--step", "view", "--fail-if", "users > 1"), 5, "users > 1"),
        (("--step", "view", "--from", "2026-03-09", "--to", "2026-03-01"), 2, "2026-03-09"),
        (("--step", "view", "--timeout", "soon"), 2, "soon"),
        (("--step", "view", "--memory", "plenty"), 2, "plenty"),
    ],
)
def test_a_refusal_is_one_clear_line(
    workbench: Command, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    folder = write_parquet(tmp_path / "e", random_events(13, people=30))
    ran = workbench("funnel", "--data", str(folder), *arguments)
    assert ran.code == code, ran.err
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert len(ran.err.splitlines()) <= 3
    as_json = workbench("funnel", "--data", str(folder), *arguments, "--json")
    error = json.loads(as_json.err.splitlines()[-1])["error"]
    assert error["exit_code"] == code == as_json.code


def test_no_data_says_what_to_do(workbench: Command, tmp_path: Path) -> None:
    ran = workbench("funnel", "--step", "a", cwd=tmp_path)
    assert ran.code == 3
    assert "--data" in ran.err
    assert "workbench demo" in ran.err
    assert workbench("funnel", "--step", "a", "--data", "nothing/here", cwd=tmp_path).code == 3


def test_a_request_prints_as_the_command_that_makes_it() -> None:
    scope = Scope(data=("a b",), since="2026-03-01", where="x = 'y'", by="channel", top=3, unit="raw")
    asked = request(['"a|b"|c: amount > 1', "d"], "90m", scope)
    assert asked.arguments() == [
        "funnel", "--step", '"a|b"|c: amount > 1', "--step", "d", "--window", "90m", "--data", "a b",
        "--from", "2026-03-01", "--where", "x = 'y'", "--by", "channel", "--top", "3", "--unit", "raw",
    ]  # fmt: skip


def test_a_request_without_steps_or_with_too_many_cannot_be_made() -> None:
    with pytest.raises(QuestionError, match="needs a step"):
        FunnelRequest(steps=())
    with pytest.raises(QuestionError, match="at most 30"):
        request([f"s{i}" for i in range(31)], "7d", Scope())


def test_a_pattern_the_shell_has_unfolded_is_explained(workbench: Command, tmp_path: Path) -> None:
    ran = workbench("events", "--data", "a.parquet", "b.parquet", cwd=tmp_path)
    assert ran.code == 2
    assert "quote a pattern" in ran.err


def test_an_option_given_twice_is_refused_and_filters_add_up(workbench: Command, tmp_path: Path) -> None:
    folder = write_parquet(tmp_path / "e", random_events(14))
    asked = ("events", "--data", str(folder), "--json")
    assert "given 2 times" in workbench(*asked, "--last", "1d", "--last", "2d").err
    both = workbench(*asked, "--where", "channel = 'ads' OR channel = 'mail'", "--where", "amount > 2").json
    one = workbench(*asked, "--where", "(channel = 'ads' OR channel = 'mail') AND amount > 2").json
    assert both["rows"] == one["rows"]
    assert both["totals"]["events"] > 0


def test_the_files_ending_names_the_format(workbench: Command, tmp_path: Path) -> None:
    folder = write_parquet(tmp_path / "e", random_events(15))
    target = tmp_path / "out.csv"
    assert workbench("events", "--data", str(folder), "--output", str(target)).code == 0
    assert target.read_text().splitlines()[0].startswith("event,role,events")
    inside = workbench("events", "--data", str(folder), "--output", str(folder / "x.csv"))
    assert inside.code == 2
    one = folder / "part-00.parquet"
    beside = workbench("events", "--data", str(one), "--output", str(folder / "x.csv"))
    assert beside.code == 0, beside.err
    assert workbench("events", "--data", str(one), "--output", str(one), "--force").code == 2
    assert one.read_bytes()[:4] == b"PAR1"


def test_a_breakdown_without_values_still_adds_up(workbench: Command, tmp_path: Path) -> None:
    rows = [{**row, "channel": None} for row in random_events(16)]
    folder = write_parquet(tmp_path / "e", rows)
    asked = ("funnel", "--data", str(folder), *ASK, "--by", "channel")
    answer = workbench(*asked, "--json").json
    parts = [row for row in answer["rows"] if not row["is_total"]]
    assert [row["users"] for row in parts] == [row["users"] for row in answer["rows"] if row["is_total"]]
    assert len(workbench(*asked, "--users", "reached:1@(none)").users) == parts[0]["users"]


def test_a_value_that_looks_like_our_words_is_named_in_quotes(workbench: Command, tmp_path: Path) -> None:
    rows = [
        {**row, "channel": {"ads": "(none)", "mail": "(other)"}.get(str(row["channel"]), row["channel"])}
        for row in random_events(17)
    ]
    folder = write_parquet(tmp_path / "e", rows)
    asked = ("funnel", "--data", str(folder), *ASK, "--by", "channel")
    answer = workbench(*asked, "--json").json
    counted = {
        row["breakdown"]: row["users"] for row in answer["rows"] if row["step"] == 1 and not row["is_total"]
    }
    assert len(workbench(*asked, "--users", 'reached:1@"(none)"').users) == counted["(none)"]
    assert len(workbench(*asked, "--users", "reached:1@(none)").users) == counted[None]


def test_people_of_a_cell_say_the_command_that_lists_them(workbench: Command, tmp_path: Path) -> None:
    import shlex

    folder = write_parquet(tmp_path / "e", random_events(18))
    first = workbench("funnel", "--data", str(folder), *ASK, "--users", "reached:2", "--json").json
    again = workbench(*shlex.split(first["command"])[1:], "--json").json
    assert again == first
    assert first["request"]["users"] == "reached:2"


def test_fault_050_duplicates_by_rule(workbench: Command, tmp_path: Path) -> None:
    data = tmp_path / "w"
    (data / "d").mkdir(parents=True)
    (data / "d" / "e.csv").write_text(
        "ts,event,user_id,event_id\n"
        ",a,u1,e1\n"
        "2026-03-01T10:00:00Z,a,u1,e1\n"
        "2026-03-01T10:00:00Z,a,u1,e1\n"
        "2026-03-01T10:01:00Z,b,u1,\n"
        "2026-03-01T10:02:00Z,b,u1,\n"
    )
    for rule, expected in {
        "none": {"a": 2, "b": 2},
        "event_id": {"a": 1, "b": 2},
        "row": {"a": 1, "b": 2},
    }.items():
        (data / "workbench.toml").write_text(
            f'schema = 1\n[[source]]\nname = "e"\npath = "d/e.csv"\n[dedup]\nrule = "{rule}"\n'
        )
        answer = workbench("events", "--json", cwd=data).json
        assert {row["event"]: row["events"] for row in answer["rows"]} == expected


def test_the_zone_asked_for_does_not_change_what_is_valid(workbench: Command, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("ts,event,user_id\n" + "2026-03-01T10:00:00Z,a,u1\n" * 3)
    (tmp_path / "workbench.toml").write_text(
        'schema = 1\ntimezone = "Asia/Shanghai"\n[[source]]\nname = "e"\npath = "e.csv"\n'
        '[valid]\nfrom = "2026-03-01T18:00:00"\n'
    )
    for zone in ("Asia/Shanghai", "America/Los_Angeles"):
        assert workbench("events", "--tz", zone, "--json", cwd=tmp_path).json["totals"]["events"] == 3


def test_fault_049_an_event_without_a_time_is_set_aside_and_counted(
    workbench: Command, tmp_path: Path
) -> None:
    rows = random_events(19)
    for row in rows[::5]:
        row["ts"] = None
    answer = workbench("events", "--data", str(write_parquet(tmp_path / "e", rows)), "--json").json
    assert answer["totals"]["events"] == len(rows) - len(rows[::5])
    counted = [note["count"] for note in answer["notes"] if note["code"] == "without-time"]
    assert counted == [len(rows[::5])]
    assert workbench("events", "--data", str(tmp_path / "e"), "--strict").code == 3
