"""Faults of text: CSV and JSON become Parquet whole and in order; what cannot be read is counted by line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.engine import Engine
from workbench.errors import Cancelled, QueryFailed, UsageError
from workbench.limits import Limits
from workbench.runner import Task
from workbench.sources import delimited, json_staging, reading, staging
from workbench.sources.snapshot import DataFile, SourceFiles

LIMITS = Limits(memory_bytes=512 << 20, threads=2)


@pytest.fixture(autouse=True)
def _spill(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SPILL", str(tmp_path_factory.getbasetemp() / "spill"))


def snap(folder: Path, *patterns: str, encoding: str | None = None, task: Task | None = None) -> SourceFiles:
    cache = cache_of(folder)

    def engine_for(folders: Sequence[Path]) -> Engine:
        return Engine(folders, writable=[cache], limits=LIMITS)

    return reading.snapshot(
        "shop", folder, patterns or ["."], cache=cache, engine_for=engine_for, encoding=encoding, task=task
    )


def cache_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-cache")


def put(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    then = time.time() - 60
    os.utime(path, (then, then))
    return path


def only(folder: Path, name: str, content: bytes | str, **options: str) -> DataFile:
    put(folder / name, content)
    source = snap(folder, name, **options)
    assert source.set_aside == ()
    return source.files[0]


def refused(folder: Path, name: str, content: bytes | str, **options: str) -> str:
    put(folder / name, content)
    source = snap(folder, name, **options)
    assert source.files == ()
    (item,) = source.set_aside
    assert (item.path, item.state) == (str(folder / name), "bad")
    assert "\n" not in item.reason
    return item.reason


def rows(file: DataFile) -> list[tuple[object, ...]]:
    return duckdb.execute(
        "SELECT * EXCLUDE (file_row_number) FROM read_parquet($path, file_row_number = true) "
        "ORDER BY file_row_number",
        {"path": str(file.parquet)},
    ).fetchall()


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


# --- CSV -------------------------------------------------------------------------------------------------


def test_csv_columns_are_text_and_empty_is_null(tmp_path: Path) -> None:
    file = only(tmp_path, "x.csv", 'ts,event,note\n1,click,\n2,"",x\n007,"a ""b"", c","two\nlines"\n')
    assert file.columns == (("ts", "VARCHAR"), ("event", "VARCHAR"), ("note", "VARCHAR"))
    assert rows(file) == [("1", "click", None), ("2", None, "x"), ("007", 'a "b", c', "two\nlines")]
    assert (file.rows, file.rejected, file.rejected_examples) == (3, 0, ())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_fault_064_delimiter_is_found_by_its_columns(tmp_path: Path, delimiter: str) -> None:
    lines = ["ts|event|price".replace("|", delimiter)]
    lines += [delimiter.join((f"2026-01-01 10:00:0{n}", '"a,b;c|d\te"', "1")) for n in range(5)]
    file = only(tmp_path, "x.csv", "\n".join(lines))
    assert [name for name, _ in file.columns] == ["ts", "event", "price"]
    assert [row[1] for row in rows(file)] == ["a,b;c|d\te"] * 5


def test_fault_064_decimal_commas_do_not_win_over_semicolons(tmp_path: Path) -> None:
    file = only(tmp_path, "x.csv", "ts;price\n1;2,50\n2;3,75\n")
    assert rows(file) == [("1", "2,50"), ("2", "3,75")]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("utf-8-sig", None), ("utf-16", None), ("utf-16-le", None), ("utf-16-be", None), ("latin-1", "latin-1")],
)
def test_fault_064_encodings(tmp_path: Path, name: str, encoding: str | None) -> None:
    text = "ts,event,name\n" + "1,click,Zoé\n" * 50
    options = {} if encoding is None else {"encoding": encoding}
    file = only(tmp_path, "x.csv", text.encode(name), **options)
    assert file.columns[0] == ("ts", "VARCHAR")
    assert rows(file) == [("1", "click", "Zoé")] * 50


def test_fault_064_big_endian_mark(tmp_path: Path) -> None:
    file = only(tmp_path, "x.csv", b"\xfe\xff" + "a,b\n1,表\n".encode("utf-16-be"))
    assert rows(file) == [("1", "表")]


def test_fault_064_latin_1_is_never_guessed(tmp_path: Path) -> None:
    reason = refused(tmp_path, "x.csv", ("a,b\n" + "é,ü\n" * 9).encode("latin-1"))
    assert (
        reason
        == 'not UTF-8 (line 2): add encoding = "gb18030" (Chinese Excel) or "latin-1" to its [[source]]'
    )
    with pytest.raises(UsageError):
        snap(tmp_path, "x.csv", encoding="klingon")


@pytest.mark.parametrize("ends", [("\n",), ("\r\n",), ("\r",), ("\r\n", "\n")])
def test_fault_064_line_ends_may_mix(tmp_path: Path, ends: tuple[str, ...]) -> None:
    lines = ["ts,event", *(f"{n},e{n}" for n in range(9))]
    text = "".join(line + ends[n % len(ends)] for n, line in enumerate(lines))
    file = only(tmp_path, "x.csv", text)
    assert rows(file) == [(str(n), f"e{n}") for n in range(9)]
    assert (file.columns[1][0], file.rejected) == ("event", 0)


def test_fault_064_line_breaks_in_quotes_stay_as_they_are(tmp_path: Path) -> None:
    file = only(tmp_path, "x.csv", 'a,b\r\n1,"x\ny"\r\n2,"x\r\ny"\r\n')
    assert rows(file) == [("1", "x\ny"), ("2", "x\r\ny")]


def test_fault_064_ragged_lines_are_counted_by_line(tmp_path: Path) -> None:
    file = only(tmp_path, "x.csv", 'a,b,c\n1,2,3\n\n1,2\n4,"5\n5",6\n1,2,3,4\n7,8,9\n')
    assert rows(file) == [("1", "2", "3"), ("4", "5\n5", "6"), ("7", "8", "9")]
    assert file.rejected == 2
    assert file.rejected_examples == (
        "line 4: 2 columns where 3 are expected",
        "line 7: 4 columns where 3 are expected",
    )


def test_fault_064_open_quote_costs_one_line(tmp_path: Path) -> None:
    good = [f"{n},x{n},y" for n in range(5000)]
    file = only(tmp_path, "x.csv", "\n".join(["a,b,c", *good[:10], '10,"open,z', *good[10:]]))
    assert rows(file) == [(str(n), f"x{n}", "y") for n in range(5000)]
    assert (file.rejected, file.rejected_examples) == (1, ("line 12: a quote that is not closed",))


def test_fault_064_open_quote_that_meets_another(tmp_path: Path) -> None:
    file = only(tmp_path, "x.csv", 'a,b,c\n1,2,3\n1,"2,3\n4,5,6\n7,"8",9\n10,11,12\n')
    assert rows(file) == [("1", "2", "3"), ("4", "5", "6"), ("7", "8", "9"), ("10", "11", "12")]
    assert file.rejected_examples == ("line 3: a quote that is not closed",)


def test_fault_064_quote_inside_a_field_is_a_character(tmp_path: Path) -> None:
    file = only(tmp_path, "x.csv", 'a,b\n1,5" nail\n2,"x"y\n3,z\n')
    assert rows(file) == [("1", '5" nail'), ("3", "z")]
    assert file.rejected_examples == ("line 3: text after a closing quote, or a quote that is not closed",)


def test_fault_064_backslash_before_quotes(tmp_path: Path) -> None:
    file = only(tmp_path, "x.csv", 'a,b\n1,"say \\"hi\\", ok"\n2,"plain"\n')
    assert rows(file) == [("1", 'say "hi", ok'), ("2", "plain")]


def test_fault_064_single_quotes(tmp_path: Path) -> None:
    file = only(tmp_path, "x.csv", "a,b\n1,'x, y'\n2,'it''s'\n")
    assert rows(file) == [("1", "x, y"), ("2", "it's")]


def test_fault_064_nul_and_too_long_lines(tmp_path: Path) -> None:
    lines = [
        "a,b",
        "1,2",
        "1,\0",
        *["3,4"] * 20,
        "5," + "x" * 3_000_000,
        "6,7",
        '8,"' + "y" * 3_000_000,
        "9,10",
    ]
    file = only(tmp_path, "x.csv", "\n".join(lines))
    assert rows(file) == [("1", "2"), *[("3", "4")] * 20, ("6", "7"), ("9", "10")]
    assert file.rejected == 3
    assert file.rejected_examples == (
        "line 3: a NUL byte",
        "line 24: longer than 2000000 bytes",
        "line 26: longer than 2000000 bytes",
    )


@pytest.mark.parametrize("size", [1_999_990, 1_999_999, 2_000_005])
def test_fault_064_the_limit_of_a_record_does_not_depend_on_where_it_lies(tmp_path: Path, size: int) -> None:
    record = b"1," + b"x" * (size - 3) + b"\n"
    for before in (1, 1000, 150_000):
        file = only(tmp_path, f"x{before}.csv", b"a,b\n" + b"2,33333\n" * before + record)
        assert file.rows + file.rejected == before + 1
        assert file.rejected == (size > delimited.MAX_RECORD_BYTES)


def test_fault_063_invalid_utf8_is_rejected_by_line(tmp_path: Path) -> None:
    lines = [b"a,b", *(b"%d,x" % n for n in range(50))]
    lines[20] = b"19,\xff\xfe"
    file = only(tmp_path, "x.csv", b"\n".join(lines))
    assert [row[0] for row in rows(file)] == [str(n) for n in range(50) if n != 19]
    assert file.rejected_examples == (
        'line 21: not UTF-8: add encoding = "gb18030" (Chinese Excel) or "latin-1" to its [[source]]',
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            "report of may\n\na,b,c\n1,2,3\n4,5,6\n",
            "no delimiter of comma, semicolon, tab and | fits"
            ": the first line has 1 column by comma, most lines have 3",
        ),
        (
            "a b c\nthis, is prose\nand; so | is, this\n",
            "no delimiter of comma, semicolon, tab and | fits"
            ": the first line has 1 column by comma, most lines have 2",
        ),
        ("\n\n\n", "no lines but empty ones"),
        ("id,ID\n1,2\n", "columns that differ by case only: id, ID"),
        ("a,b\n1\n2\n", "no delimiter of comma, semicolon, tab and | fits"),
        (b"PAR1" + bytes(30), "Parquet, by its content: name it .parquet"),
        (
            gzip.compress(b"a,b\n1,2\n", mtime=0),
            "gzip, by its content: name it .csv.gz or .json.gz if it holds that",
        ),
    ],
)
def test_fault_064_never_read_as_something_it_is_not(
    tmp_path: Path, content: bytes | str, reason: str
) -> None:
    assert refused(tmp_path, "x.csv", content) == reason


def test_fault_064_one_column_is_said_aloud(tmp_path: Path) -> None:
    put(tmp_path / "x.csv", "term\nred bag\nblue bag\n")
    source = snap(tmp_path)
    assert rows(source.files[0]) == [("red bag",), ("blue bag",)]
    assert source.notes == ("x.csv: read as one column: no comma, semicolon, tab or | separates its lines",)


def test_fault_064_no_header(tmp_path: Path) -> None:
    put(tmp_path / "x.csv", "2026-01-01,click,u1\n2026-01-02,buy,u2\n")
    source = snap(tmp_path)
    assert [name for name, _ in source.files[0].columns] == ["column1", "column2", "column3"]
    assert source.files[0].rows == 2
    assert source.notes == ("x.csv: no header in the first line: columns are called column1 to column3",)


def test_fault_064_excel_says_its_separator(tmp_path: Path) -> None:
    file = only(tmp_path, "x.csv", "sep=;\r\na;b\r\n1;2\r\n")
    assert (rows(file), file.columns[0][0]) == ([("1", "2")], "a")


def test_fault_028_header_alone_is_no_rows(tmp_path: Path) -> None:
    file = only(tmp_path, "x.csv", "ts,event\n")
    assert (file.rows, file.columns) == (0, (("ts", "VARCHAR"), ("event", "VARCHAR")))


# --- JSON ------------------------------------------------------------------------------------------------


def test_json_columns_have_the_type_of_all_their_values(tmp_path: Path) -> None:
    lines = [
        '{"b": true, "i": 1, "d": 1, "s": "x", "o": {"k": [1, "é"]}, "m": 1, "n": null, "big": 1}',
        '{"b": null, "i": -9223372036854775808, "d": 2.5, "s": null, "o": null, "m": "1"}',
        '{"late": 7, "big": 123456789012345678901234567890, "i": 9223372036854775807, "d": 1e3}',
    ]
    file = only(tmp_path, "x.ndjson", "\n".join(lines))
    assert dict(file.columns) == {
        "b": "BOOLEAN",
        "i": "BIGINT",
        "d": "DOUBLE",
        "s": "VARCHAR",
        "o": "JSON",
        "m": "JSON",
        "n": "VARCHAR",
        "big": "VARCHAR",
        "late": "BIGINT",
    }
    assert rows(file) == [
        (True, 1, 1.0, "x", '{"k":[1,"é"]}', "1", None, "1", None),
        (None, -(2**63), 2.5, None, None, '"1"', None, None, None),
        (None, 2**63 - 1, 1000.0, None, None, None, None, "123456789012345678901234567890", 7),
    ]
    described = duckdb.execute("DESCRIBE FROM read_parquet($path)", {"path": str(file.parquet)}).fetchall()
    assert tuple((row[0], row[1]) for row in described) == file.columns


def test_json_integers_that_a_double_cannot_hold_stay_text(tmp_path: Path) -> None:
    file = only(tmp_path, "x.jsonl", '{"a": 9007199254740993}\n{"a": 0.5}\n{"a": 1e400}\n')
    assert file.columns == (("a", "JSON"),)
    assert rows(file) == [("9007199254740993",), ("0.5",), ("1e400",)]


def test_json_array_of_objects(tmp_path: Path) -> None:
    file = only(tmp_path, "x.json", '[{"a": 1},\n {"b": "x", "a": 2}, 3,\n {"a": 4}]\n')
    assert rows(file) == [(1, None), (2, "x"), (4, None)]
    assert file.rejected_examples == ("element 3: not a JSON object",)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", ['[{"a": "表"}, {"a": "é"}]', '{"a": "表"}\r\n\r\n{"a": "é"}'])
def test_json_encodings(tmp_path: Path, encoding: str, text: str) -> None:
    assert rows(only(tmp_path, "x.json", text.encode(encoding))) == [("表",), ("é",)]


def test_json_lines_that_do_not_parse_are_counted_by_line(tmp_path: Path) -> None:
    lines = [
        b'{"a": 1}',
        b"",
        b"{bad",
        b'{"a": "\xff"}',
        b"[1]",
        b'{"a": "\\ud800"}',
        b'{"a": 2} {"a": 3}',
        b'{"a": 4}',
    ]
    file = only(tmp_path, "x.ndjson", b"\r\n".join(lines))
    assert rows(file) == [(1,), (4,)]
    assert file.rejected == 5
    assert file.rejected_examples == (
        'line 4: not UTF-8: add encoding = "gb18030" (Chinese Excel) or "latin-1" to its [[source]]',
        "line 3: not valid JSON",
        "line 5: not a JSON object",
        "line 6: not valid JSON",
        "line 7: not valid JSON",
    )


def test_json_of_a_doubled_key_the_last_value_counts(tmp_path: Path) -> None:
    lines = ['{"a": 1, "b": {"x": 1}, "a": "last"}', '{"a": "one"}', '{"b": 1, "b": null}', '{"a": "end"}']
    file = only(tmp_path, "x.ndjson", "\n".join(lines))
    assert rows(file) == [("last", '{"x":1}'), ("one", None), (None, None), ("end", None)]


def test_json_odd_keys_are_columns(tmp_path: Path) -> None:
    keys = ['q"q', "a/b", "a~b", "$.x", "*", "表", "select", "x'; drop", "a.b", "0", "[0]"]
    file = only(tmp_path, "x.ndjson", json.dumps({key: number for number, key in enumerate(keys)}))
    assert [name for name, _ in file.columns] == keys
    assert rows(file) == [tuple(range(len(keys)))]


def test_json_keys_that_differ_by_case_are_named(tmp_path: Path) -> None:
    reason = refused(tmp_path, "x.ndjson", '{"userId": 1}\n{"userid": 2}\n')
    assert reason == "columns that differ by case only: userId, userid"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('[{"a": 1}, {"a": 2', "incomplete: the JSON array is not closed"),
        ('{\n  "a": 1,\n  "b": 2\n}\n', "not one JSON object per line, nor one array of objects"),
        ("{oops", "no JSON object with a key can be read: line 1: not valid JSON"),
        ("{}\n{}\n", "no JSON object with a key can be read"),
        ("[]", "no JSON object with a key can be read"),
        (" \n \n", "no JSON object with a key can be read"),
    ],
)
def test_json_of_which_nothing_can_be_read_is_set_aside(tmp_path: Path, content: str, reason: str) -> None:
    assert refused(tmp_path, "x.json", content) == reason


def test_json_damaged_array_is_set_aside(tmp_path: Path) -> None:
    assert refused(tmp_path, "x.json", '[{"a": 1}, {"a": }]').startswith("damaged JSON array: at ")


def test_json_too_long_line_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_staging, "MAX_OBJECT_BYTES", 1 << 20)
    lines = ['{"a": 1}', json.dumps({"a": "x" * (3 << 20)}), '{"a": 2}']
    file = only(tmp_path, "x.ndjson", "\n".join(lines))
    assert rows(file) == [(1,), (2,)]
    assert file.rejected_examples == ("line 2: longer than 1048576 bytes",)


# --- compression, cache, order ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.csv", "x.ndjson", "x.json"])
@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_truncated_compression_is_incomplete(tmp_path: Path, name: str, suffix: str) -> None:
    text = "a,b\n" + "".join(f"{n},{n * 7}\n" for n in range(20_000))
    if name != "x.csv":
        objects = [json.dumps({"a": n, "b": str(n * 7)}) for n in range(20_000)]
        text = "\n".join(objects) if name == "x.ndjson" else f"[{','.join(objects)}]"
    packed = gzip.compress(text.encode()) if suffix == "gz" else zstd(text.encode())
    codec = {"gz": "gzip", "zst": "zstd"}[suffix]
    for cut in (len(packed) // 2, len(packed) - 3):
        assert (
            refused(tmp_path, f"{name}.{suffix}", packed[:cut])
            == f"incomplete: the {codec} stream ends early"
        )
    assert only(tmp_path, f"{name}.{suffix}", packed).rows == 20_000
    assert refused(tmp_path, f"{name}.{suffix}", text).startswith(f"damaged {codec}")


def test_gzip_of_several_members(tmp_path: Path) -> None:
    packed = gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n")
    assert rows(only(tmp_path, "x.csv.gz", packed)) == [("1", "2"), ("3", "4")]


def test_staged_once_and_again_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    write = staging._write
    monkeypatch.setattr(staging, "_write", lambda *args: written.append(args[0].relative) or write(*args))
    put(tmp_path / "x.csv", "a,b\n1,2\n3\n")
    put(tmp_path / "y.ndjson", '{"a": 1}')
    first = snap(tmp_path)
    assert snap(tmp_path) == first
    assert written == ["x.csv", "y.ndjson"]
    assert first.files[0].rejected_examples == ("line 3: 1 column where 2 are expected",)
    put(tmp_path / "x.csv", "a,b\n5,6\n")
    assert rows(snap(tmp_path).files[0]) == [("5", "6")]
    assert written == ["x.csv", "y.ndjson", "x.csv"]


def test_what_is_bad_is_remembered_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = refused(tmp_path, "x.csv", "a,b\n1\n2\n")
    monkeypatch.setattr(staging, "_write", None)
    assert snap(tmp_path, "x.csv").set_aside[0].reason == reason


def test_a_damaged_copy_is_made_anew(tmp_path: Path) -> None:
    file = only(tmp_path, "x.csv", "a,b\n1,2\n")
    file.parquet.write_bytes(file.parquet.read_bytes()[:-5])
    assert rows(snap(tmp_path, "x.csv").files[0]) == [("1", "2")]


def test_nothing_but_the_copies_stays_in_the_cache(tmp_path: Path) -> None:
    put(tmp_path / "a.csv", "a,b\n1,2\n")
    put(tmp_path / "b.json.gz", gzip.compress(b'[{"a": 1, "a": 2}]'))
    put(tmp_path / "c.csv", "a,b\n1\n2\n")
    source = snap(tmp_path)
    left = {path.name for path in (cache_of(tmp_path) / "staged").iterdir()}
    assert {file.parquet.name for file in source.files} < left
    assert sorted(Path(name).suffix for name in left) == [".bad", ".parquet", ".parquet"]


def test_many_stagers_at_once_agree(tmp_path: Path) -> None:
    put(tmp_path / "x.csv", "a,b\n" + "".join(f"{n},x\n" for n in range(20_000)))
    put(tmp_path / "y.ndjson", "".join(f'{{"a": {n}}}\n' for n in range(2_000)))
    found: list[SourceFiles] = []
    threads = [threading.Thread(target=lambda: found.append(snap(tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(source == found[0] for source in found)
    assert [file.rows for file in found[0].files] == [20_000, 2_000]


def test_fault_013_text_that_grows_while_it_is_staged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path / "x.csv", "a,b\n1,2\n")
    blocks = staging.text_blocks

    def growing(*args: object) -> object:
        yield from blocks(*args)
        with path.open("a") as file:
            file.write("3,4\n")

    monkeypatch.setattr(staging, "text_blocks", growing)
    source = snap(tmp_path)
    assert (source.files, source.set_aside[0].state) == ((), "not-ready")
    monkeypatch.setattr(staging, "text_blocks", blocks)
    assert snap(tmp_path).files[0].rows == 3


def test_fault_082_cache_that_cannot_be_written(tmp_path: Path) -> None:
    put(tmp_path / "x.csv", "a,b\n1,2\n")
    put(cache_of(tmp_path), "a file where the folder should be")
    with pytest.raises(QueryFailed, match="cannot write to the cache"):
        snap(tmp_path, "x.csv")


@pytest.mark.parametrize("name", ["x.csv", "x.json"])
def test_cancelled_staging_leaves_nothing(tmp_path: Path, name: str) -> None:
    put(tmp_path / name, "a,b\n1,2\n" if name == "x.csv" else '{"a": 1}')
    task = Task()
    task.cancel()
    with pytest.raises(Cancelled):
        snap(tmp_path, name, task=task)
    assert list((cache_of(tmp_path) / "staged").iterdir()) == []


def test_order_holds_across_blocks_and_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (staging.csv_to_parquet.__globals__, json_staging.__dict__):
        monkeypatch.setitem(module, "PART_BYTES", 1 << 20)
    count = 150_000
    put(tmp_path / "a.csv", "n,text\n" + "".join(f'{n},"line\n{n}"\n' for n in range(count)))
    put(tmp_path / "b.ndjson", "".join(f'{{"n": {n}, "text": "line {n}"}}\n' for n in range(count)))
    put(tmp_path / "c.json", "[" + ",\n".join(f'{{"n": {n}}}' for n in range(count)) + "]")
    for file in snap(tmp_path).files:
        assert [int(str(row[0])) for row in rows(file)] == list(range(count)), file.listed.relative


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
CELLS = st.one_of(st.none(), TEXT.filter(bool), st.sampled_from(['"', "a,b", "x\r\ny", "\n", " ", "'", "\\"]))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12))
def test_rows_come_back_the_same_from_every_format(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str | None, str | None]]
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    # A column that is never empty tells the header from the data and the lines from blank ones.
    data = [(f"row {n}", *pair) for n, pair in enumerate(cells)]
    names = ["row_id", "first", "second"]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([names, *data])
    comma = out.getvalue().encode()
    lines = "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in data).encode()
    put(folder / "a.csv", comma)
    put(folder / "b.csv.gz", gzip.compress(comma))
    put(folder / "c.tsv.zst", zstd(comma))
    put(folder / "d.ndjson", lines)
    put(folder / "e.jsonl.gz", gzip.compress(lines))
    put(folder / "f.json.zst", zstd(b"[" + lines.replace(b"}\n{", b"},\n{") + b"]"))
    columns = [pa.array(values, pa.string()) for values in zip(*data, strict=True)]
    pq.write_table(pa.table(columns, names=names), folder / "g.parquet")
    source = snap(folder)
    assert (len(source.files), source.set_aside) == (7, ())
    for file in source.files:
        assert [name for name, _ in file.columns] == names, file.listed.relative
        assert rows(file) == data, file.listed.relative
        assert file.rejected == 0
