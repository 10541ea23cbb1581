"""Files that prove damaged only when they are read: set aside by name, the rest is answered."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.driver import Command

ASK = ("funnel", "--step", "view", "--step", "order", "--json")


def write(path: Path, person: str, rows: int = 20_000) -> None:
    table = pa.table(
        {
            "ts": pa.array([1_772_300_000_000 + i for i in range(rows)], pa.timestamp("ms", tz="UTC")),
            "event": ["view" if i % 2 else "order" for i in range(rows)],
            "user_id": [f"{person}{i // 2 % 50}" for i in range(rows)],
            "note": [f"{i * 7919 % 10007}" for i in range(rows)],
        }
    )
    pq.write_table(table, path, compression="snappy", use_dictionary=False)


def zero_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for start in range(len(data) // 20, len(data) * 9 // 10, 5000):
        data[start : start + 600] = bytes(600)
    path.write_bytes(data)


@pytest.mark.parametrize("where", ["first", "last"])
def test_fault_005_a_hole_in_the_middle_is_set_aside_by_name(
    workbench: Command, tmp_path: Path, where: str
) -> None:
    data = tmp_path / "d"
    data.mkdir()
    write(data / "a-first.parquet", "a")
    write(data / "z-last.parquet", "z")
    whole = workbench(*ASK, "--data", str(data)).json
    assert whole["rows"][0]["users"] == 100
    zero_the_middle(next(data.glob(f"*{where}*")))
    ran = workbench(*ASK, "--data", str(data))
    assert ran.json["rows"][0]["users"] == 50
    told = [note for note in ran.json["notes"] if note["code"] == "files-set-aside"]
    assert [(note["count"], f"{where}.parquet" in note["text"]) for note in told] == [(1, True)]
    assert workbench(*ASK, "--data", str(data), "--strict").code == 3


def test_fault_005_all_files_damaged_is_no_data(workbench: Command, tmp_path: Path) -> None:
    write(tmp_path / "only.parquet", "a")
    zero_the_middle(tmp_path / "only.parquet")
    ran = workbench(*ASK, "--data", str(tmp_path / "only.parquet"))
    assert ran.code == 3
    assert "only.parquet" in ran.err
    assert "Traceback" not in ran.err


def test_fault_062_text_that_is_not_utf8_is_a_bad_file(workbench: Command, tmp_path: Path) -> None:
    data = tmp_path / "d"
    data.mkdir()
    write(data / "good.parquet", "a")
    table = pa.table(
        {
            "ts": pa.array([1_772_300_000_000], pa.timestamp("ms", tz="UTC")),
            "event": ["view"],
            "user_id": pa.array([b"u\xff\xfe"], pa.binary()).view(pa.binary()).cast(pa.string(), safe=False),
            "note": ["x"],
        }
    )
    pq.write_table(table, data / "latin.parquet")
    ran = workbench(*ASK, "--data", str(data))
    assert ran.json["rows"][0]["users"] == 50
    assert "latin.parquet" in ran.json["notes"][0]["text"]
