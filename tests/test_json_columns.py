"""Parquet columns of JSON with values that are none: never a failure, each counted as missing."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.driver import Command


@pytest.fixture
def malformed(tmp_path: Path) -> Path:
    texts = pa.array(['{"a": 1}', '{"a":', None, '{"a": 2}'])
    users = ["u1", "u2", "u3", "u4"]
    table = pa.table(
        {
            "ts": [f"2024-01-01T00:00:0{n}Z" for n in range(4)],
            "event": ["view"] * 4,
            "user_id": users,
            "props": pa.ExtensionArray.from_storage(pa.json_(pa.string()), texts),
        }
    )
    path = tmp_path / "data" / "e.parquet"
    path.parent.mkdir()
    pq.write_table(table, path)
    return path


def test_one_malformed_value_costs_that_value_alone(workbench: Command, malformed: Path) -> None:
    for _ in range(2):  # made, then found in the cache
        answer = workbench("events", "--data", str(malformed), "--format", "json").json
        assert "1 row has malformed JSON in props: such values count as missing" in str(answer["notes"])
        assert answer["totals"] == {"events": 4, "users": 4}
    assert workbench("properties", "--data", str(malformed)).code == 0
    steps = ("--step", "view: props.a = '1'", "--step", "view")
    ran = workbench("funnel", "--data", str(malformed), *steps, "--format", "json")
    assert ran.json["rows"][0]["users"] == 1


def test_sound_json_is_read_where_it_lies(workbench: Command, malformed: Path) -> None:
    table = pq.read_table(malformed).filter(pa.array([True, False, True, True]))
    pq.write_table(table, malformed)
    answer = workbench("events", "--data", str(malformed), "--format", "json").json
    assert "malformed" not in str(answer["notes"])
