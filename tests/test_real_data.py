"""The two event sets from outside: opened with one command, each funnel equal to SQL written apart."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.driver import Command

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the sets from outside are not at hand")

UBI_STEPS = ("on_search", "item_click", "add_to_cart", "purchase")
DAY = 86_400_000


def users(answer: dict, **at: object) -> list[int]:
    return [
        row["users"]
        for row in answer["rows"]
        if all(row[key] == value for key, value in at.items()) and row["is_total"]
    ]


def ubi_levels(window_ms: int) -> list[int]:
    """Clients with a chain of each length, by self-joins over the JSON as it lies there."""
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE e AS SELECT client_id AS c, action_name AS a, timestamp AS t "
        "FROM read_ndjson(?, columns = {client_id: 'VARCHAR', action_name: 'VARCHAR', timestamp: 'BIGINT'})",
        [str(DATA / "ubi_chorus" / "ubi_events.jsonl.gz")],
    )
    counts = []
    for length in range(1, len(UBI_STEPS) + 1):
        joins = "".join(
            f" JOIN e e{i} ON e{i}.c = e0.c AND e{i}.a = '{UBI_STEPS[i]}' AND e{i}.t >= e{i - 1}.t "
            f"AND e{i}.t - e0.t <= {window_ms}"
            for i in range(1, length)
        )
        sql = f"SELECT count(DISTINCT e0.c) FROM e e0{joins} WHERE e0.a = '{UBI_STEPS[0]}'"
        counts.append(con.execute(sql).fetchall()[0][0])
    return counts


@pytest.mark.parametrize(("window", "window_ms"), [("7d", 7 * DAY), ("30s", 30_000), ("5s", 5_000)])
def test_ubi_chorus_opens_unasked_and_equals_sql(workbench: Command, window: str, window_ms: int) -> None:
    steps = [part for step in UBI_STEPS for part in ("--step", step)]
    answer = workbench(
        "funnel", "--data", str(DATA / "ubi_chorus"), *steps, "--window", window, "--json"
    ).json
    assert users(answer) == ubi_levels(window_ms)
    assert answer["rows"][0]["users"] > 200


def basket_pairs(within_days: int | None) -> list[int]:
    """Households with a basket, and with two baskets close enough, straight from the lines."""
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE b AS SELECT household_id h, basket_id b, min(transaction_timestamp) t "
        "FROM read_parquet(?) GROUP BY ALL",
        [str(DATA / "completejourney" / "transactions.parquet")],
    )
    limit = "" if within_days is None else f"AND y.t <= x.t + INTERVAL {within_days} DAY"
    first = con.execute("SELECT count(DISTINCT h) FROM b").fetchall()[0][0]
    second = con.execute(
        f"SELECT count(DISTINCT x.h) FROM b x JOIN b y ON y.h = x.h AND y.b <> x.b AND y.t >= x.t {limit}"
    ).fetchall()[0][0]
    return [first, second]


@pytest.mark.parametrize(("window", "days"), [("none", None), ("30d", 30), ("1d", 1)])
def test_completejourney_through_init_equals_sql(
    workbench: Command, tmp_path: Path, window: str, days: int | None
) -> None:
    made = workbench("init", str(DATA / "completejourney"), cwd=tmp_path)
    assert made.code == 0, made.err
    answer = workbench(
        "funnel", "--step", "order", "--step", "order", "--window", window, "--json", cwd=tmp_path
    ).json
    assert users(answer) == basket_pairs(days)


def test_completejourney_reads_its_orders_whole(workbench: Command, tmp_path: Path) -> None:
    workbench("init", str(DATA / "completejourney"), cwd=tmp_path)
    answer = workbench("events", "--json", cwd=tmp_path).json
    con = duckdb.connect()
    path = str(DATA / "completejourney" / "transactions.parquet")
    orders, households = con.execute(
        "SELECT count(DISTINCT (household_id, basket_id)), count(DISTINCT household_id) FROM read_parquet(?)",
        [path],
    ).fetchall()[0]
    assert [(row["event"], row["events"], row["users"]) for row in answer["rows"]] == [
        ("order", orders, households)
    ]
