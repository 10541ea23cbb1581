"""Silent damage is found: what is remembered of files, and what is said when they differ."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queries.question import Result, Scope
from tests.driver import Command
from workbench import schemas
from workbench.errors import Cancelled, NoData, QueryFailed, WorkbenchError
from workbench.remembered import Memory
from workbench.runner import Task
from workbench.sources import probing
from workbench.verifying import VerifyRequest, check, failure
from workbench.workspace import chosen

OLD = 1_700_000_000 * 10**9
"""A time long past: nobody writes these files any more."""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three Parquet files and a CSV file, all old."""
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(3):
        rows = 20_000
        table = pa.table(
            {
                "ts": pa.array(range(OLD // 10**6, OLD // 10**6 + rows), pa.timestamp("ms")),
                "event": ["view"] * rows,
                "user_id": [f"u{number}-{i}" for i in range(rows)],
                "amount": [i * 1.5 for i in range(rows)],
            }
        )
        pq.write_table(table, folder / f"{number}.parquet", compression="snappy", use_dictionary=False)
    (folder / "t.csv").write_text("ts,event,user_id\n2026-03-01T10:00:00Z,a,u1\n", "utf-8")
    for path in folder.iterdir():
        os.utime(path, ns=(OLD, OLD))
    return folder


Verify = Callable[..., Result]


@pytest.fixture
def verify(data: Path) -> Verify:
    def run(*, update: bool = False, every: bool = False, path: Path = data) -> Result:
        scope = Scope(data=(str(path),))
        return check(VerifyRequest(scope, update, every), chosen(scope.data), Task())[0]

    return run


def states(result: Result) -> dict[str, str]:
    return {str(row["file"]): str(row["state"]) for row in result.rows}


def counts(result: Result) -> dict[str, object]:
    return {key: value for key, value in result.totals.items() if value and key not in ("bytes", "accepted")}


def overwrite(path: Path, at: int, content: bytes) -> None:
    """Changes bytes in place; size and time stay as they were."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)
    os.utime(path, ns=(OLD, OLD))


def test_the_first_run_remembers_and_the_second_is_silent(verify: Verify, data: Path) -> None:
    first = verify()
    assert counts(first) == {"files": 4, "new": 4}
    assert first.rows == []
    assert first.totals["bytes"] == sum(path.stat().st_size for path in data.iterdir())
    assert [note.code for note in first.notes] == ["remembered"]
    again = verify()
    assert counts(again) == {"files": 4, "unchanged": 4}
    assert (again.rows, again.notes, failure(again)) == ([], (), None)
    listed = verify(every=True)
    assert set(states(listed).values()) == {"unchanged"}
    assert listed.rows[0]["hash"] == listed.rows[0]["remembered"]


def test_the_hash_is_xxh3_of_128_bits(verify: Verify, data: Path) -> None:
    (data / "t.csv").write_bytes(b"a" * 3_000_000)
    row = next(row for row in verify(every=True).rows if row["file"] == "t.csv")
    # As `xxhsum -H2` prints it.
    import xxhash

    assert row["hash"] == xxhash.xxh128_hexdigest(b"a" * 3_000_000)
    assert row["size"] == 3_000_000


def test_fault_006_a_flipped_bit_is_damage(verify: Verify, data: Path) -> None:
    verify()
    path = data / "1.parquet"
    place = path.stat().st_size // 2
    overwrite(path, place, bytes([path.read_bytes()[place] ^ 1]))
    found = verify()
    assert states(found) == {"1.parquet": "damaged"}
    assert str(found.rows[0]["reason"]).startswith("other content under the same size and time")
    failed = failure(found)
    assert isinstance(failed, NoData)
    assert (failed.exit_code, failed.message) == (3, "1 damaged file")
    assert states(verify()) == {"1.parquet": "damaged"}, "it stays damaged until it is accepted or mended"


@pytest.mark.parametrize("remembered", [False, True])
def test_fault_005_a_hole_in_the_middle_is_found(verify: Verify, data: Path, remembered: bool) -> None:
    if remembered:
        verify()
    path = data / "2.parquet"
    whole = path.read_bytes()
    overwrite(path, len(whole) // 2, b"\0" * 4096)
    found = verify()
    state = "damaged" if remembered else "unreadable"
    assert states(found) == {"2.parquet": state}
    assert "damaged: " in str(found.rows[0]["reason"])
    assert failure(found) is not None
    again = verify()
    assert states(again) == {"2.parquet": state}, "what cannot be read is said every time"
    path.write_bytes(whole)
    os.utime(path, ns=(OLD, OLD))
    assert states(verify()) == ({} if remembered else {"2.parquet": "damaged"})


def test_fault_017_a_rewrite_under_the_same_size_and_time(verify: Verify, data: Path) -> None:
    verify()
    before = (data / "t.csv").stat()
    overwrite(data / "t.csv", 17, b"2026-03-02")
    after = (data / "t.csv").stat()
    assert (before.st_size, before.st_mtime_ns, before.st_ino) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ino,
    )
    assert states(verify()) == {"t.csv": "damaged"}


def test_new_changed_and_gone_are_told_and_are_no_damage(verify: Verify, data: Path) -> None:
    verify()
    with (data / "t.csv").open("a") as file:
        file.write("2026-03-01T11:00:00Z,b,u1\n")
    (data / "0.parquet").rename(data / "9.parquet")
    found = verify()
    assert states(found) == {"t.csv": "changed", "0.parquet": "gone", "9.parquet": "new"}
    assert failure(found) is None
    assert [note.code for note in found.notes] == ["not-accepted"]
    assert states(verify()) == {"t.csv": "changed", "0.parquet": "gone"}, "a new file is remembered at once"


def test_a_new_time_alone_changes_nothing(verify: Verify, data: Path) -> None:
    verify()
    os.utime(data / "t.csv", ns=(OLD + 10**9, OLD + 10**9))
    assert counts(verify()) == {"files": 4, "unchanged": 4}
    overwrite(data / "t.csv", 17, b"2026-03-02")
    os.utime(data / "t.csv", ns=(OLD + 10**9, OLD + 10**9))
    assert states(verify()) == {"t.csv": "damaged"}, "the new time was remembered"


def test_update_accepts_what_can_be_read(verify: Verify, data: Path) -> None:
    verify()
    overwrite(data / "t.csv", 17, b"2026-03-02")
    (data / "0.parquet").unlink()
    overwrite(data / "1.parquet", 40_000, b"\0" * 4096)
    accepted = verify(update=True)
    assert states(accepted) == {"t.csv": "damaged", "0.parquet": "gone", "1.parquet": "damaged"}
    assert failure(accepted) is None
    assert states(verify()) == {"1.parquet": "unreadable"}
    failed = failure(verify(update=True))
    assert failed is not None
    assert failed.message == "1 unreadable file"


def test_files_that_cannot_be_read_are_damage(verify: Verify, data: Path) -> None:
    verify()
    (data / "0.parquet").write_bytes(b"")
    os.utime(data / "0.parquet", ns=(OLD, OLD))
    found = verify()
    assert states(found) == {"0.parquet": "unreadable"}
    assert found.rows[0]["reason"] == "empty file"
    assert failure(found) is not None


def test_fault_087_an_error_of_the_disk_is_one_file(
    verify: Verify, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify()
    real = Path.open

    def failing(self: Path, *arguments: Any, **named: Any) -> Any:
        if self.name == "1.parquet":
            raise OSError(5, "Input/output error")
        return real(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", failing)
    found = verify()
    assert states(found) == {"1.parquet": "unreadable"}
    assert "input/output error" in str(found.rows[0]["reason"]).lower()
    monkeypatch.undo()


def test_a_file_that_is_being_written_is_no_damage(verify: Verify, data: Path) -> None:
    verify()
    whole = (data / "0.parquet").read_bytes()
    (data / "new.parquet").write_bytes(whole[: len(whole) // 2])
    found = verify()
    assert states(found) == {"new.parquet": "moving"}
    failed = failure(found)
    assert failed is not None
    assert failed.exit_code == 6
    (data / "new.parquet").write_bytes(whole)
    assert states(verify()) == {"new.parquet": "new"}


def test_only_content_that_is_new_is_decoded(
    verify: Verify, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = probing.verify

    def counted(file: probing.DataFile) -> str | None:
        read.append(file.parquet.name)
        return real(file)

    monkeypatch.setattr("workbench.verifying.verify", counted)
    verify()
    assert sorted(read) == ["0.parquet", "1.parquet", "2.parquet"]
    verify()
    assert len(read) == 3


def test_what_is_remembered_is_for_the_user_alone(verify: Verify, state: Path) -> None:
    verify()
    (file,) = (state / "workbench" / "verify").iterdir()
    assert file.parent.stat().st_mode & 0o077 == 0
    told = json.loads(file.read_text("utf-8"))
    assert sorted(told["files"]) == ["0.parquet", "1.parquet", "2.parquet", "t.csv"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"schema": 9, "files": {}}', '{"schema": 1, "files": {"a": {}}}']
)
def test_what_is_remembered_and_cannot_be_read_is_never_overwritten(
    verify: Verify, state: Path, content: str
) -> None:
    verify()
    (file,) = (state / "workbench" / "verify").iterdir()
    file.write_text(content, "utf-8")
    with pytest.raises(QueryFailed) as caught:
        verify()
    assert str(file) in str(caught.value.hint)
    assert file.read_text("utf-8") == content


def test_a_state_folder_that_cannot_be_written_is_an_error(verify: Verify, state: Path) -> None:
    state.write_text("a file", "utf-8")
    with pytest.raises(WorkbenchError, match="remember"):
        verify()


def test_each_workspace_has_its_own_memory(verify: Verify, data: Path) -> None:
    verify()
    assert counts(verify(path=data / "t.csv")) == {"files": 1, "new": 1}
    first, second = (chosen((str(path),)) for path in (data, data / "t.csv"))
    assert Memory.of(first).path != Memory.of(second).path


def test_it_stops_when_asked(data: Path) -> None:
    scope = Scope(data=(str(data),))
    task = Task()
    task.cancel()
    with pytest.raises(Cancelled):
        check(VerifyRequest(scope), chosen(scope.data), task)
    assert Memory.of(chosen(scope.data)).read() is None, "nothing half done is remembered"


def test_progress_says_the_file_and_how_far(data: Path) -> None:
    told: list[tuple[float | None, str]] = []

    class Told(Task):
        def report(self, fraction: float | None, what: str) -> None:
            told.append((fraction, what))

    scope = Scope(data=(str(data),))
    check(VerifyRequest(scope), chosen(scope.data), Told())
    fractions = [fraction for fraction, what in told if what.startswith("hashing")]
    assert fractions == sorted(fractions, key=lambda fraction: fraction or 0)
    assert fractions[-1] == 1.0
    assert (None, "reading 2.parquet to its end") in told


def test_the_time_that_is_left_is_said_once_the_rate_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench import verifying

    clock = iter((0.0, 1.0, 4.0, 100.0))
    monkeypatch.setattr(verifying.time, "monotonic", lambda: next(clock))
    task = Task.__new__(Task)
    told: list[str] = []
    monkeypatch.setattr(Task, "report", lambda self, fraction, what: told.append(f"{fraction:.2f} {what}"))
    monkeypatch.setattr(Task, "check", lambda self: None)
    took = verifying._Progress(task, 1000).taker("a.csv")
    for _ in range(3):
        took(200)
    assert told == [
        "0.20 hashing a.csv",
        "0.40 hashing a.csv, about 6 s left",
        "0.60 hashing a.csv, about 67 s left",
    ]


def test_the_command(workbench: Command, data: Path, tmp_path: Path) -> None:
    arguments = ("verify", "--data", str(data))
    first = workbench(*arguments)
    assert (first.code, first.out.splitlines()[1]) == (0, "(no rows)")
    assert first.out.splitlines()[-1].endswith("4 new")
    assert "4 files remembered" in first.err
    overwrite(data / "t.csv", 17, b"2026-03-02")
    (data / "0.parquet").unlink()
    ran = workbench(*arguments, "--json")
    assert ran.code == 3
    answer = json.loads(ran.out)
    jsonschema.Draft202012Validator(schemas.load("verify")).validate(answer)
    assert [(row["file"], row["state"]) for row in answer["rows"]] == [
        ("t.csv", "damaged"),
        ("0.parquet", "gone"),
    ]
    assert json.loads(ran.err.splitlines()[-1])["error"]["message"] == "1 damaged file"
    assert workbench(*arguments, "--fail-if", "totals.gone > 0").code == 5
    assert workbench(*arguments, "--update").code == 0
    assert workbench(*arguments).code == 0
    assert workbench(*arguments, "--output", str(data / "x.csv")).code == 2
    assert workbench(*arguments, "--csv", "--output", str(data / "1.parquet"), "--force").code == 2
    assert workbench("verify", cwd=tmp_path).code == 3
