"""Runs against sorted lists of tuples: every row comes out once, as it went in, by person and time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from queries.question import Column
from workbench.engine import Engine
from workbench.errors import Changed, QueryFailed
from workbench.runner import Task
from workbench.store import sorting
from workbench.store.arrow_numbers import array_of, nulls_of, values_of
from workbench.store.runs import Layout
from workbench.store.sorting import Sorting

LAYOUT = Layout(
    ("ts", "place", "source_index", "event"),
    (
        Column("channel", "text"),
        Column("amount", "money"),
        Column("note", "text", canonical=False),
        Column("ratio", "number", canonical=False),
        Column("is_new", "boolean", canonical=False),
    ),
)
TYPES = "person INTEGER, combo INTEGER, ts BIGINT, place BIGINT, source_index INTEGER, event VARCHAR"
TYPES += ", channel VARCHAR, amount BIGINT, note VARCHAR, ratio DOUBLE, is_new BOOLEAN"
Row = tuple[Any, ...]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "g000001").mkdir()
    with Engine([tmp_path], writable=[tmp_path]) as made:
        yield made


def fill(engine: Engine, rows: list[Row]) -> None:
    columns = ", ".join(f"unnest($c{place}) AS c{place}" for place in range(len(rows[0])))
    engine.execute(f"CREATE OR REPLACE TABLE incoming ({TYPES})")
    listed = {f"c{place}": list(column) for place, column in enumerate(zip(*rows, strict=True))}
    engine.execute(f"INSERT INTO incoming SELECT {columns}", listed)


def some_rows(seed: int, count: int, span: int, values: int) -> list[Row]:
    rng = random.Random(seed)
    texts = [None, "", "'", "ä\x00", *(f"value {place}" for place in range(values))]
    return [
        (
            rng.randrange(40),
            rng.randrange(90),
            rng.randrange(-span, span),
            (rng.randrange(5) << 40) + place,
            rng.randrange(2),
            f"event {rng.randrange(9)}",
            rng.choice(texts),
            rng.choice([None, 0, -(2**62), 2**62, place]),
            rng.choice([None, f"{place} only once"]),
            rng.choice([None, 0.5, -1e300]),
            rng.choice([None, True, False]),
        )
        for place in range(count)
    ]


def sort(engine: Engine, folder: Path, chunk_rows: int) -> list[list[Row]]:
    """The rows of every run that sorting makes, in the order of the file."""
    told: list[int] = []
    made = Sorting(engine, Task(), LAYOUT, folder / "g000001", chunk_rows)
    made.learn("incoming")
    runs = made.sort("incoming", "run", told.append)
    assert told == sorted(told)
    found = [
        duckdb.execute(f"SELECT * FROM read_parquet('{folder / run.folder / run.name}')").fetchall()
        for run in runs
    ]
    assert [len(rows) for rows in found] == [run.rows for run in runs]
    assert len({run.name for run in runs}) == len(runs)
    return found


def key(row: Row) -> Row:
    return tuple((value is not None, value) for value in row)


def check(found: list[list[Row]], rows: list[Row]) -> None:
    assert sorted((row for run in found for row in run), key=key) == sorted(rows, key=key)
    for run in found:
        assert [row[0:3:2] for row in run] == sorted(row[0:3:2] for row in run)


@pytest.mark.parametrize("span", [1_000, 2**62])
@pytest.mark.parametrize("chunk_rows", [1, 700, 3_000, 1_000_000])
def test_every_row_once_by_person_and_time(
    engine: Engine, tmp_path: Path, span: int, chunk_rows: int
) -> None:
    rows = some_rows(chunk_rows, 3_000 if chunk_rows > 1 else 20, span, 30)
    fill(engine, rows)
    found = sort(engine, tmp_path, chunk_rows)
    check(found, rows)
    assert len(found) == -(-len(rows) // chunk_rows)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_MOST_SAMPLED", 3),
        ("_MOST_VALUES", 3),
        ("_LANE_VALUES", 0),
        ("_WHOLE_TEXTS", 2),
        ("_MOST_BYTES", 9_000),
    ],
)
def test_every_way_that_text_can_go(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    rows = some_rows(3, 2_000, 50, 300)
    fill(engine, rows)
    monkeypatch.setattr(sorting, name, value)
    monkeypatch.setattr(sorting, "GROUP_ROWS", 130)
    check(sort(engine, tmp_path, 1_500), rows)


def test_two_threads_share_people(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = some_rows(5, 2_000, 50, 10)
    fill(engine, rows)
    monkeypatch.setattr(sorting, "_SHARED_ROWS", 100)
    found = sort(engine, tmp_path, 1_000_000)
    check(found, rows)
    low, high = ({row[0] for row in run} for run in found)
    assert max(low) < min(high)


def test_one_hash_for_two_values_is_no_code(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = some_rows(6, 500, 50, 10)
    fill(engine, rows)
    distinct = values_of
    monkeypatch.setattr(
        sorting,
        "values_of",
        lambda array: distinct(array) >> np.uint64(62) if array.type == pa.uint64() else distinct(array),
    )
    made = Sorting(engine, Task(), LAYOUT, tmp_path / "g000001", 1_000)
    made.learn("incoming")
    # Of so many values two share what is left of their hashes: they come as they are.
    assert made._values.keys() == set()
    monkeypatch.undo()
    check(sort(engine, tmp_path, 1_000), rows)


def test_a_text_that_was_not_learnt_is_a_change(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorting, "_LANE_VALUES", 0)
    fill(engine, some_rows(7, 50, 50, 3))
    made = Sorting(engine, Task(), LAYOUT, tmp_path / "g000001", 1_000)
    made.learn("incoming")
    fill(engine, [*some_rows(7, 50, 50, 3), (1, 1, 1, 1, 1, "another", None, None, None, None, None)])
    with pytest.raises(Changed):
        made.sort("incoming", "run", lambda rows: None)


def test_an_event_without_a_person_is_refused(engine: Engine, tmp_path: Path) -> None:
    fill(engine, [(None, 1, 1, 1, 1, "e", None, None, None, None, None)])
    with pytest.raises(QueryFailed, match="without a person"):
        sort(engine, tmp_path, 10)


def test_numbers_there_and_back() -> None:
    values = np.array([3, -1, 7, 9], np.int32)
    missing = np.array([False, True, False, True])
    array = array_of(values, missing)
    assert array.to_pylist() == [3, None, 7, None]
    assert nulls_of(array.slice(1, 2)).tolist() == [True, False]  # type: ignore[union-attr]
    assert values_of(array.slice(2, 2)).tolist()[0] == 7
    assert nulls_of(array_of(values)) is None
    with pytest.raises(TypeError):
        values_of(pa.array(["text"]))
