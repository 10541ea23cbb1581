"""What leaves the program: every format against a golden file, every way a write can fail, and stderr.

``UPDATE_GOLDEN=1`` writes the golden files anew; read the difference before you keep it.
"""

from __future__ import annotations

import errno
import io
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import click
import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queries.question import Note, QuestionError, Result, Row, Scope, Shown
from workbench import output, schemas
from workbench.diagnostics import Diagnostics
from workbench.errors import ConditionMet, QueryFailed, UsageError
from workbench.output.cells import duration, number
from workbench.output.table import Paper, table

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]


SCOPE = Scope(by="channel", where="note = 'it''s \x1b[2J'")


@dataclass(frozen=True)
class Asked:
    """A question as far as a writer knows one."""

    scope: Scope = SCOPE

    def arguments(self) -> list[str]:
        return [
            "funnel",
            "--step",
            "product_view",
            "--step",
            "order_paid: amount > 100",
            *self.scope.arguments(),
        ]

    def to_dict(self) -> dict[str, object]:
        return {"steps": ["product_view", "order_paid: amount > 100"], **self.scope.to_dict()}


def step_row(step: int, event: str, breakdown: str | None, users: int, rate: float | None) -> Row:
    """A row of a funnel with the keys of the contract."""
    low, high = (None, None) if rate is None else (rate - 0.02, rate + 0.02)
    seconds = 192.4 if step > 1 else None
    return {
        "step": step,
        "event": event,
        "breakdown": breakdown,
        "period": None,
        "cohort": None,
        "is_total": breakdown is None,
        "is_other": False,
        "is_incomplete": False,
        "users": users,
        "rate_from_first": rate,
        "ci_from_first_low": low,
        "ci_from_first_high": high,
        "rate_from_previous": rate,
        "ci_from_previous_low": low,
        "ci_from_previous_high": high,
        "dropped": 7,
        "open": 0,
        "skipped": 0,
        "seconds_from_entry_median": seconds,
        "seconds_from_entry_p25": seconds,
        "seconds_from_entry_p75": seconds,
        "seconds_from_entry_p90": seconds,
        "seconds_from_previous_median": seconds,
    }


RESULT = Result(
    report="funnel",
    request=Asked(),
    rows=[
        step_row(1, "product_view", None, 12345, None),
        step_row(2, "order_paid", None, 5200, 0.421),
        step_row(1, "product_view", "微信 | \x1b[2J\n=cmd|' /C calc'!A0", 1200, 0.5),
        step_row(2, "order_paid", "=1+1", 30, 0.025),
    ],
    totals={
        "users": 12345,
        "converted": 5200,
        "conversion_rate": 0.421,
        "histogram": [{"from_seconds": 0, "to_seconds": 60, "users": 5200}],
    },
    notes=(
        Note("set-aside", "3 rows without a time", "warning", 3, sets_aside=True),
        Note("ties", "equal times"),
    ),
    meta={
        "as_of": "2026-06-30T23:59:59+08:00",
        "timezone": "Asia/Shanghai",
        "from": None,
        "to": None,
        "rows_in_scope": 99999,
        "users": 20000,
        "source": ["app"],
    },
    layout=(
        Shown("step", "#", "integer"),
        Shown("event", "step"),
        Shown("breakdown", "channel"),
        Shown("users", "n", "integer"),
        Shown("rate_from_first", "of step 1", "rate"),
        Shown("ci_from_first_low", "95 %", "interval", high="ci_from_first_high"),
        Shown("dropped", "dropped", "integer"),
        Shown("seconds_from_entry_median", "median", "seconds"),
        Shown("is_total", "total", "boolean"),
    ),
    rule="users in any order of events; window 7 d\nas of 2026-06-30",
)


def small(rows: Sequence[Row], **changes: object) -> Result:
    """A result with these rows and no layout."""
    return replace(RESULT, rows=rows, layout=(), rule="", notes=(), **changes)  # type: ignore[arg-type]


def written(result: Result, capfdbinary: pytest.CaptureFixture[bytes], **options: object) -> str:
    """What a write puts on standard output."""
    output.write(result, **options)  # type: ignore[arg-type]
    return capfdbinary.readouterr().out.decode()


@pytest.mark.parametrize("format", ["table", "json", "jsonl", "csv", "tsv", "md"])
def test_every_format_is_its_golden_file(
    format: output.Format, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    golden = GOLDEN / f"funnel.{'txt' if format == 'table' else format}"
    output.write(RESULT, format=format, destination=tmp_path / "answer")
    answer = (tmp_path / "answer").read_bytes()
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_bytes(answer)
    assert answer.decode() == golden.read_bytes().decode()
    output.write(RESULT, format=format)
    assert capfdbinary.readouterr().out == answer


def test_the_golden_json_keeps_its_schema_and_says_its_command() -> None:
    answer = json.loads((GOLDEN / "funnel.json").read_bytes())
    jsonschema.Draft202012Validator(schemas.load("funnel")).validate(answer)
    assert list(answer) == [
        "report",
        "schema_version",
        "semantics_version",
        "request",
        "command",
        "rows",
        "totals",
        "notes",
        "meta",
    ]
    assert answer["command"].startswith(
        "workbench funnel --step product_view --step 'order_paid: amount > 100'"
    )
    assert answer["rows"][2] == RESULT.rows[2]


@pytest.mark.parametrize(
    "rows", [[], [{}], [{"a": 1, "b": [1, {"c": None}], "d": "x\ny", "e": {}}], list(RESULT.rows)]
)
def test_json_is_what_the_library_writes_for_the_whole(rows: list[Row], tmp_path: Path) -> None:
    output.write(small(rows), format="json", destination=tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
    assert json.loads(text)["rows"] == rows


def test_json_numbers_are_finite_and_integers_stay_integers(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    row = {
        "nan": float("nan"),
        "inf": np.float64("inf"),
        "zero": -0.0,
        "big": 2**80,
        "count": np.int64(7),
        "money": Decimal("12.50"),
        "whole": Decimal("12.00"),
        "flags": np.array([True, False]),
    }
    line = written(small([row]), capfdbinary, format="jsonl")
    assert line == (
        '{"nan": null, "inf": null, "zero": 0.0, "big": 1208925819614629174706176, "count": 7, '
        '"money": 12.5, "whole": 12, "flags": [true, false]}\n'
    )


def test_lone_surrogates_are_escaped_in_json(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    line = written(small([{"a": "x\ud800"}]), capfdbinary, format="jsonl")
    assert line == '{"a": "x\\ud800"}\n'
    assert json.loads(line) == {"a": "x\ud800"}


def test_fault_074_cells_a_spreadsheet_would_run_are_counted(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    cells = [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-x",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "-5.5",
        "+8613800000000",
        "a=b",
        "",
    ]
    rows: list[Row] = [{"text": cell, "number": -1.5} for cell in cells]
    notes: list[Note] = []
    text = written(small(rows), capfdbinary, format="csv", note=notes.append)
    assert text == (
        "text,number\n=cmd|' /C calc'!A0,-1.5\n+1+1,-1.5\n-x,-1.5\n@SUM(A1),-1.5\n\tx,-1.5\n\"\rx\",-1.5\n"
        "-5.5,-1.5\n+8613800000000,-1.5\na=b,-1.5\n,-1.5\n"
    )
    assert [(note.code, note.level, note.count) for note in notes] == [("formula-cells", "warning", 6)]
    safe = written(small(rows), capfdbinary, format="csv", csv_safe=True)
    assert safe.startswith(
        "text,number\n'=cmd|' /C calc'!A0,-1.5\n'+1+1,-1.5\n'-x,-1.5\n'@SUM(A1),-1.5\n'\tx,-1.5\n"
    )
    assert safe.endswith("\n-5.5,-1.5\n+8613800000000,-1.5\na=b,-1.5\n,-1.5\n")


def test_csv_quotes_as_rfc_4180_and_keeps_the_bytes(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    rows: list[Row] = [
        {"a": 'say "hi", ok', "b": "x\ny", "c": None, "d": True, "e": {"k": ["é"]}, "f": "\x1b[2J"},
        {"a": 1, "g": 2},
    ]
    assert written(small(rows), capfdbinary, format="csv") == (
        'a,b,c,d,e,f,g\n"say ""hi"", ok","x\ny",,true,"{""k"": [""é""]}",\x1b[2J,\n1,,,,,,2\n'
    )
    assert written(replace(RESULT, rows=[]), capfdbinary, format="tsv").split("\t")[4:7] == [
        "rate_from_first",
        "ci_from_first_low",
        "ci_from_first_high",
    ]


class Lazy(Sequence[Row]):
    """Rows made when they are read."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.made = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> Row:  # type: ignore[override]
        if not 0 <= place < self.count:
            raise IndexError(place)
        self.made += 1
        return {"user": f"u{place}", "kind": "raw"}


@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "parquet"])
def test_rows_are_written_as_they_are_read(
    format: output.Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Lazy(150_000)
    seen: list[int] = []
    write = output.Sink.write

    def counted(self: output.Sink, data: bytes) -> int:
        seen.append(rows.made)
        return write(self, data)

    monkeypatch.setattr(output.Sink, "write", counted)
    output.write(small(rows), format=format, destination=tmp_path / "a")
    assert any(rows.count // 4 < made - (made > rows.count) * rows.count < rows.count for made in seen)
    if format == "parquet":
        assert pq.read_table(tmp_path / "a").num_rows == rows.count


def test_limit_says_what_it_leaves_out(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    notes: list[Note] = []
    rows = Lazy(3456)
    assert written(small(rows), capfdbinary, format="jsonl", limit=2, note=notes.append).count("\n") == 2
    assert rows.made == 2
    assert [note.text for note in notes] == ["2 of 3,456 rows, 3,454 left out"]
    answer = json.loads(written(small(rows), capfdbinary, format="json", limit=1))
    assert answer["notes"] == [
        {"code": "limit", "level": "info", "count": 3455, "text": "1 of 3,456 rows, 3,455 left out"}
    ]


def test_notes_go_beside_every_format_but_json(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    notes: list[Note] = []
    written(RESULT, capfdbinary, format="json", note=notes.append)
    assert notes == []
    written(RESULT, capfdbinary, format="table", note=notes.append)
    assert notes == list(RESULT.notes)


def test_parquet_has_the_types_of_its_values(tmp_path: Path) -> None:
    rows: list[Row] = [
        {
            "n": 1,
            "x": 1,
            "big": 2**70,
            "t": "2026-01-01T00:00:00+08:00",
            "mixed": 1,
            "nested": {"a": 1},
            "none": None,
            "b": True,
            "s": "é\ud800",
        },
        {
            "n": None,
            "x": 0.5,
            "big": 1,
            "t": None,
            "mixed": "a",
            "nested": None,
            "none": None,
            "b": None,
            "s": "",
        },
    ]
    layout = (Shown("t", "time", "time"),)
    output.write(
        replace(RESULT, rows=rows, layout=layout), format="parquet", destination=tmp_path / "a.parquet"
    )
    read = pq.read_table(tmp_path / "a.parquet")
    assert [str(field.type) for field in read.schema] == [
        "int64",
        "double",
        "decimal128(38, 0)",
        "timestamp[us, tz=UTC]",
        "string",
        "string",
        "string",
        "bool",
        "string",
    ]
    first = read.to_pylist()[0]
    assert first["t"].isoformat() == "2025-12-31T16:00:00+00:00"
    assert (first["big"], first["mixed"], first["nested"], first["s"]) == (2**70, "1", '{"a": 1}', "é\\ud800")
    assert read.schema.metadata[b"workbench.command"].startswith(b"workbench funnel --step")


# Tables


def lines(
    result: Result, columns: int | None = None, bold: bool = False, encoding: str = "utf-8"
) -> list[str]:
    """The table's lines on such a paper."""
    return "".join(table(result, result.rows, Paper(columns, bold, encoding))).splitlines()


def test_a_wide_table_folds_and_drops_nothing() -> None:
    folded = lines(RESULT, columns=60)
    whole = lines(RESULT)
    blocks = "\n".join(folded).split("\n\n")
    assert len(blocks) == 2 + 1
    assert all(block.split("\n")[0].startswith(("# step", "#  step")) for block in blocks[:-1])
    words = {word for line in whole for word in line.split()}
    assert words == {word for line in folded for word in line.split()}


def test_a_column_wider_than_the_terminal_is_still_whole() -> None:
    folded = lines(small([{"name": "n" * 50, "text": "x" * 100}]), columns=40)
    assert folded == ["name", "n" * 50, "", "text", "x" * 100]


def test_the_header_is_bold_only_where_asked() -> None:
    assert lines(small([{"a": 1}]), bold=True) == ["\x1b[1ma\x1b[0m", "1"]
    assert lines(small([{"a": 1}])) == ["a", "1"]


def test_an_empty_table_says_so() -> None:
    assert lines(replace(RESULT, rows=[], rule=""))[1:] == ["(no rows)"]
    assert lines(small([])) == ["(no rows)"]


def test_fault_101_a_narrow_encoding_gets_escapes() -> None:
    assert lines(small([{"a": "é蔻–😀", "b": None}]), encoding="ascii") == [
        "a" + " " * 24 + "b",
        "\\u00e9\\u853b-\\U0001f600  -",
    ]
    assert lines(small([{"a": "é蔻"}]), encoding="iso8859-1") == ["a", "é\\u853b"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (0.04, "40ms"),
        (0.9996, "1s"),
        (4.2, "4.2s"),
        (59.96, "1m"),
        (192.4, "3m 12s"),
        (3599.6, "1h"),
        (7500, "2h 5m"),
        (86399, "1d"),
        (273600, "3d 4h"),
        (-5, "-5s"),
    ],
)
def test_seconds_are_shown_in_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234567, "1,234,567"), (1234.5, "1,234.50"), (0.01234, "0.0123"), (0.0, "0.00"), (1e300, "1e+300")],
)
def test_numbers_are_shown_with_separators(value: float, shown: str) -> None:
    assert number(value) == shown


# Files


def parts(folder: Path) -> list[str]:
    """What is left of unfinished files."""
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


def test_an_existing_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")
    with pytest.raises(UsageError) as raised:
        output.write(RESULT, format="csv", destination=target)
    assert "--force" in str(raised.value.hint)
    assert target.read_text() == "old"
    output.write(RESULT, format="csv", destination=target, force=True)
    assert target.read_text().startswith("step,event,")
    assert parts(tmp_path) == []


def test_a_file_gets_the_mode_of_the_umask_and_a_link_its_target(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "real" / "a.csv")
    old = os.umask(0o027)
    try:
        output.write(RESULT, format="csv", destination=link)
    finally:
        os.umask(old)
    assert link.is_symlink()
    assert (tmp_path / "real" / "a.csv").stat().st_mode & 0o777 == 0o640


def test_nothing_is_written_among_the_data(tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data" / "deep")
    for place in (
        tmp_path / "data" / "a.csv",
        tmp_path / "link" / "a.csv",
        tmp_path / "x" / ".." / "data" / "a.csv",
    ):
        with pytest.raises(UsageError, match="data is read from"):
            output.write(RESULT, format="csv", destination=place, force=True, protected=[tmp_path / "data"])
    assert [path.name for path in (tmp_path / "data").rglob("*")] == ["deep"]


def test_folders_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it is a folder"):
        output.check_destination(tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        output.check_destination(tmp_path / "no" / "a.csv")
    assert output.check_destination(tmp_path / "a.csv") == tmp_path / "a.csv"


def test_a_device_is_written_directly() -> None:
    output.write(RESULT, format="csv", destination=Path(os.devnull))
    assert not Path(os.devnull).is_file()


def test_fault_083_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(QueryFailed, match=r"cannot write .*a\.csv: no space left on device") as raised:
        output.write(RESULT, format="csv", destination=target, force=True)
    assert raised.value.exit_code == 1
    assert target.read_text() == "old"
    assert parts(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_fault_083_a_write_that_fails_is_named(format: output.Format) -> None:
    with pytest.raises(QueryFailed, match="cannot write /dev/full: no space left on device"):
        output.write(RESULT, format=format, destination=Path("/dev/full"))


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError, QueryFailed])
def test_fault_090_a_stopped_export_leaves_nothing(failure: type[BaseException], tmp_path: Path) -> None:
    class Failing(Lazy):
        def __getitem__(self, place: int) -> Row:  # type: ignore[override]
            if place == 90_000:
                raise failure("from the rows")
            return super().__getitem__(place)

    with pytest.raises(failure, match="from the rows"):
        output.write(small(Failing(100_000)), format="jsonl", destination=tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_fault_091_stale_parts_of_the_same_file_are_removed(tmp_path: Path) -> None:
    stale, fresh, other = (
        tmp_path / name
        for name in (".a.csv.12.00ff00ff.part", ".a.csv.13.00ff00ff.part", ".b.csv.12.00ff00ff.part")
    )
    for path in (stale, fresh, other):
        path.write_text("half")
    for path in (stale, other):
        os.utime(path, (time.time() - 3700,) * 2)
    output.write(RESULT, format="csv", destination=tmp_path / "a.csv")
    assert sorted(parts(tmp_path)) == [fresh.name, other.name]


def test_fault_118_the_last_of_two_writers_wins_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with output.atomic(target) as first, output.atomic(target) as second:
        first.write(b"first" * 1000)
        second.write(b"second")
    assert target.read_bytes() == b"first" * 1000
    assert parts(tmp_path) == []


def test_a_long_name_still_has_room_for_its_part(tmp_path: Path) -> None:
    output.write(RESULT, format="csv", destination=tmp_path / ("蔻" * 80 + ".csv"))
    assert [len(path.name) for path in tmp_path.iterdir()] == [84]


# Standard output of a process

DRIVER = """
import sys
from queries.question import Note, Result, Scope
from workbench import diagnostics, output
from workbench.errors import WorkbenchError

class Asked:
    scope = Scope()
    def arguments(self): return ["users"]
    def to_dict(self): return {}

rows = [{"user": f"蔻{n}", "kind": "é"} for n in range(int(sys.argv[2]))]
result = Result("users", Asked(), rows, {}, (Note("few", "equal – times", count=4),), {}, ())
try:
    output.write(result, format=sys.argv[1], note=diagnostics.note)
except WorkbenchError as error:
    diagnostics.error(error, as_json="as-json" in sys.argv)
    sys.exit(error.exit_code)
"""


def run(
    shell: str, format: str, rows: int, *more: str, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Runs the driver under a line of shell in which ``"$@"`` stands for it."""
    command = [
        "bash",
        "-c",
        f"set -o pipefail; {shell}",
        "bash",
        sys.executable,
        "-c",
        DRIVER,
        format,
        str(rows),
        *more,
    ]
    return subprocess.run(
        command, capture_output=True, cwd=ROOT, env={**os.environ, **environment}, timeout=60
    )


def test_fault_093_a_closed_pipe_ends_quietly() -> None:
    ended = run('"$@" | head -1', "csv", 200_000)
    assert (ended.returncode, ended.stdout, ended.stderr) == (141, b"user,kind\n", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(("format", "rows"), [("csv", 1), ("json", 100_000), ("parquet", 3)])
def test_fault_085_a_full_standard_output_is_one_line(format: str, rows: int) -> None:
    ended = run('"$@" > /dev/full', format, rows)
    assert (ended.returncode, ended.stderr) == (
        1,
        b"workbench: cannot write standard output: no space left on device\n",
    )


def test_fault_085_a_closed_standard_output_is_one_line() -> None:
    ended = run('"$@" >&-', "csv", 1, "as-json")
    assert ended.returncode == 1
    error = json.loads(ended.stderr)
    jsonschema.Draft202012Validator(schemas.load("error")).validate(error)
    assert error["error"]["message"] == "cannot write standard output: it is closed"


def test_a_closed_standard_error_changes_nothing() -> None:
    ended = run('"$@" 2>&-', "csv", 1)
    assert (ended.returncode, ended.stdout.decode()) == (0, "user,kind\n蔻0,é\n")


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("table", "user     kind\n\\u853b0  é\n".encode("latin-1")),
        ("md", "| user | kind |\n| --- | --- |\n| \\u853b0 | é |\n".encode("latin-1")),
        ("jsonl", b'{"user": "\\u853b0", "kind": "\\u00e9"}\n'),
        ("csv", "user,kind\n蔻0,é\n".encode()),
    ],
)
def test_fault_101_a_latin_1_standard_output_never_fails(format: str, expected: bytes) -> None:
    ended = run('"$@"', format, 1, PYTHONIOENCODING="latin-1")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, expected, b"- equal - times (4)\n")


def test_parquet_goes_through_a_pipe() -> None:
    ended = run('"$@" | cat', "parquet", 3)
    assert pq.read_table(pa.BufferReader(ended.stdout)).column("user").to_pylist() == ["蔻0", "蔻1", "蔻2"]


def on_terminal(format: str, **environment: str) -> tuple[int, str]:
    """Exit code and what a terminal of 20 columns gets."""
    ours, theirs = pty.openpty()
    settings = {**os.environ, "TERM": "xterm", "COLUMNS": "20", **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, format, "1"], stdout=theirs, stderr=theirs, cwd=ROOT, env=settings
    )
    os.close(theirs)
    received = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        received += piece
        if not piece:
            break
    os.close(ours)
    return process.wait(timeout=30), received.decode().replace("\r\n", "\n")


def test_a_terminal_gets_a_bold_header_unless_told_otherwise() -> None:
    environment = {"NO_COLOR": ""}
    assert on_terminal("table", **environment) == (
        0,
        "\x1b[1muser  kind\x1b[0m\n蔻0   é\n· equal – times (4)\n",
    )
    assert on_terminal("table", NO_COLOR="1")[1].startswith("user  kind\n")


def test_parquet_is_not_for_a_terminal() -> None:
    code, text = on_terminal("parquet")
    assert code == 2
    assert text == "workbench: Parquet is not for a terminal\nhint: give --output FILE, or pipe it on\n"


# Standard error


class Screen(io.StringIO):
    """A terminal that keeps what it gets."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@dataclass
class Work:
    """How far something is."""

    progress: float | None
    engine_progress: float | None
    what: str


def test_notes_have_a_mark_and_a_count_once() -> None:
    stream = io.StringIO()
    voice = Diagnostics(stream=stream)
    voice.note(Note("a", "1,234 rows set aside", "warning", 1234))
    voice.note(Note("b", "equal times \x1b[2J", "info", 1234))
    voice.note(Note("c", "nothing to count"))
    assert stream.getvalue() == "! 1,234 rows set aside\n· equal times ␛[2J (1,234)\n· nothing to count\n"


def test_errors_are_one_clear_line_and_a_hint() -> None:
    stream = io.StringIO()
    voice = Diagnostics(stream=stream)
    voice.error(QuestionError("no event \x1b]0;x\x07", "did you mean a?"))
    voice.error(ConditionMet("met"), as_json=True)
    voice.error(output.ClosedPipe())
    text, hint, document = stream.getvalue().splitlines()
    assert (text, hint) == ("workbench: no event ␛]0;x␇", "hint: did you mean a?")
    assert json.loads(document) == {
        "error": {"code": "fail-if", "message": "met", "hint": None, "exit_code": 5}
    }


def test_a_command_line_that_cannot_be_read_points_to_the_help() -> None:
    stream = io.StringIO()
    error = click.UsageError(
        "no \x1b such\noption", click.Context(click.Command("funnel"), info_name="funnel")
    )
    Diagnostics(stream).usage_error(error)
    assert stream.getvalue().splitlines() == [
        "workbench: no ␛ such option",
        "hint: funnel --help says what there is",
    ]
    Diagnostics(stream).usage_error(click.ClickException("two\nlines"), as_json=True)
    assert json.loads(stream.getvalue().splitlines()[-1])["error"]["message"] == "two lines"


def test_progress_is_one_line_at_most_four_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    times: Iterator[float] = iter([0.0, 0.1, 0.3, 0.4, 0.6])
    screen = Screen()
    voice = Diagnostics(stream=screen, clock=lambda: next(times))
    voice.progress(Work(0.1, None, "never"))
    voice.progress(Work(None, 0.42, "read\x1b"))
    voice.progress(Work(0.5, None, "never"))
    voice.progress(Work(None, None, "蔻" * 20))
    voice.note(Note("a", "done"))
    voice.end_progress()
    assert screen.getvalue() == f"\r\x1b[K 42%  read␛\r\x1b[K{'蔻' * 9}…\r\x1b[K· done\n"


def test_progress_is_silent_in_a_pipe_and_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    for stream in (io.StringIO(), Screen()):
        voice = Diagnostics(stream=stream, clock=iter([0.0, 9.0]).__next__)
        voice.progress(Work(0.1, None, "x"))
        assert stream.getvalue() == ""


def test_a_standard_error_that_fails_is_no_error() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "full")

    closed = io.StringIO()
    closed.close()
    for stream in (Full(), closed):
        voice = Diagnostics(stream=stream)
        voice.note(Note("a", "b"))
        voice.stats({"seconds": 0.1})
        voice.end_progress()


def test_stats_are_one_line_of_json() -> None:
    stream = io.StringIO()
    Diagnostics(stream=stream).stats({"rows": 5, "path": "蔻\n"})
    assert stream.getvalue() == '{"rows": 5, "path": "\\u853b\\n"}\n'


# Schemas


@pytest.mark.parametrize("name", ["envelope", "funnel", "events", "properties", "users", "error"])
def test_shipped_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schemas.load(name))
    assert name in schemas.names()


def test_the_funnel_schema_refuses_what_is_not_in_the_contract() -> None:
    validator = jsonschema.Draft202012Validator(schemas.load("funnel"))
    answer = json.loads((GOLDEN / "funnel.json").read_bytes())
    for path, value in ((("users",), 1.5), (("step",), 0), (("surprise",), 1), (("difference",), 0.1)):
        broken = json.loads(json.dumps(answer))
        broken["rows"][0][path[0]] = value
        assert not validator.is_valid(broken), path
    del answer["rows"][0]["open"]
    assert not validator.is_valid(answer)
    with pytest.raises(UsageError, match="no JSON Schema named"):
        schemas.load("../envelope")


def test_a_folded_table_loses_no_column_when_a_later_one_names_the_row(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    from workbench.output.table import Paper, table

    layout = (
        Shown("status", "status"),
        Shown("check", "check", names=True),
        Shown("one", "o" * 30),
        Shown("two", "t" * 30),
    )
    result = replace(small([{"status": "ok", "check": "ids", "one": "1", "two": "2"}]), layout=layout)
    lines = "".join(table(result, result.rows, Paper(50))).split("\n")
    assert lines[0].split() == ["status", "check", "o" * 30]
    assert [line.split() for line in lines[1:5]] == [
        ["ok", "ids", "1"],
        [],
        ["check", "t" * 30],
        ["ids", "2"],
    ]
