"""The engine's promises: what it may touch, how its errors read, how it stops, what it may use."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest

from workbench import limits as limits_module
from workbench.engine import Engine
from workbench.engine_errors import translate
from workbench.errors import (
    Cancelled,
    Changed,
    Damaged,
    EngineDied,
    NoData,
    QueryFailed,
    TimedOut,
    UsageError,
    WorkbenchError,
)
from workbench.limits import Limits, default_limits, limits, spill_folder
from workbench.runner import Task

ROOT = Path(__file__).parents[2]
HEAVY = "SELECT count(*) FROM range(30000000000) t(i) WHERE hash(i) % 1000 = 3"
SMALL = Limits(memory_bytes=100_000_000, threads=2, spill_bytes=50_000_000)
# A Parquet file of 335 bytes whose footer, one byte of it changed, trips an assertion of DuckDB 2.0.
TRIPS_AN_ASSERTION = (
    "c-n1H%WA_g5F865d`J&DtdPJ2A8O-*3F#v@9nz2w2>F1N+H$B#+CqbJ?Vt23`vF~<n6?nH+F9+6MuXOmn_B`|vK2`#BuPL3"
    "kP*&nD8w0=HKEBLdLa1UM8eoP^p*3?-qlaX=B0gorWh3GLW|Dj*Pu}j9r+wk(xj#;kWy?2Cd`SOYO6kr#Oh>tR40QSh4MmoJ"
    "cdarcnh<jH|q5w-^(r3qS#qJaj-y-|F5X8NXa5$Kv}NX`f8b-+K*%R{+6BYrnBiRD{J2!T;}EvO<lM5Zg*p<6yU%&?=^qr50"
    "{`RZ2"
)


@pytest.fixture(autouse=True)
def spill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_SPILL", str(tmp_path / "spill"))
    return tmp_path / "spill"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of ``data``, written once; each test gets copies, since some tests damage them."""
    folder = tmp_path_factory.mktemp("written")
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT i AS id, 'user' || i AS u, i * 1.5 AS m FROM range(20000) t(i)) "
            f"TO '{folder}/good.parquet' (COMPRESSION snappy)"
        )
        connection.execute(f"COPY (SELECT 'abc' AS id) TO '{folder}/text.parquet'")
        connection.execute(f"COPY (SELECT 1 AS other) TO '{folder}/other.parquet'")
    return folder


@pytest.fixture
def data(tmp_path: Path, written: Path) -> Path:
    folder = tmp_path / "data"
    shutil.copytree(written, folder)
    (tmp_path / "outside").mkdir()
    shutil.copy(written / "good.parquet", tmp_path / "outside" / "secret.parquet")
    return folder


@pytest.fixture
def engine(data: Path) -> Iterator[Engine]:
    with Engine([data], limits=SMALL) as opened:
        yield opened


def read(engine: Engine, *files: Path) -> list[tuple[object, ...]]:
    sql = "SELECT count(*), sum(id)::BIGINT, max(u), sum(m)::DOUBLE FROM read_parquet($files)"
    return engine.fetch(sql, {"files": [str(file) for file in files]})


# Answers.


def test_every_route_gives_the_same_numbers(engine: Engine, data: Path) -> None:
    sql = "SELECT id, m::DOUBLE AS m, u FROM read_parquet($f) WHERE id % $k = 0"
    parameters = {"f": [str(data / "good.parquet")], "k": 2}
    rows = engine.fetch(sql, parameters)
    assert len(rows) == 10_000
    assert rows[7] == (14, 21.0, "user14")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches = list(engine.stream(sql, parameters, batch_rows=3000))
        whole = engine.columns(sql, parameters)
        arrow = [batch.num_rows for batch in engine.arrow(sql, parameters)]
    assert sum(arrow) == 10_000
    assert max(len(batch["id"]) for batch in batches) <= 3000
    assert whole["id"].dtype == np.int64
    assert whole["m"].dtype == np.float64
    assert whole["u"].dtype == object
    assert list(zip(*(whole[name].tolist() for name in ("id", "m", "u")), strict=True)) == rows
    assert np.concatenate([batch["id"] for batch in batches]).tolist() == whole["id"].tolist()


def test_no_rows_keep_their_types(engine: Engine) -> None:
    sql = "SELECT i::INTEGER AS a, i / 2 AS b, i::VARCHAR AS c FROM range(5) t(i) WHERE i > 9"
    assert list(engine.stream(sql)) == []
    columns = engine.columns(sql)
    assert [(name, str(array.dtype), len(array)) for name, array in columns.items()] == [
        ("a", "int32", 0),
        ("b", "float64", 0),
        ("c", "object", 0),
    ]


def test_null_has_one_documented_form_per_type(engine: Engine) -> None:
    columns = engine.columns(
        "SELECT * FROM (VALUES (1.5::DOUBLE, 'x', true, TIMESTAMP '2026-01-01'), (NULL, NULL, NULL, NULL)) "
        "t(d, s, b, t)"
    )
    assert columns["d"][0] == 1.5
    assert np.isnan(columns["d"][1])
    assert columns["s"].tolist() == ["x", None]
    assert columns["b"].tolist() == [True, None]
    assert columns["t"][0] == np.datetime64("2026-01-01")
    assert np.isnat(columns["t"][1])
    with pytest.raises(QueryFailed, match="integer column n of a query holds NULL"):
        engine.columns("SELECT * FROM (VALUES (1), (NULL)) t(n)")


def test_views_and_tables_are_seen_by_later_queries(engine: Engine, data: Path) -> None:
    engine.execute(f"CREATE VIEW v AS SELECT id FROM read_parquet('{data}/good.parquet')")
    engine.execute("CREATE TABLE t AS SELECT id FROM v WHERE id < $n", {"n": 5})
    assert engine.fetch("SELECT count(*), sum(id)::BIGINT FROM t") == [(5, 10)]
    engine.execute("CREATE TABLE a AS SELECT 1 AS x; CREATE TABLE b AS SELECT x + 1 AS y FROM a")
    assert engine.fetch("SELECT y FROM b") == [(2,)]


def test_a_dropped_stream_frees_its_cursor(engine: Engine) -> None:
    stream = engine.stream("SELECT i FROM range(100000000) t(i)")
    assert next(stream)["i"][0] == 0
    assert engine._open_cursors == 1
    del stream
    assert engine._open_cursors == 0
    batches = engine.arrow("SELECT i FROM range(100000000) t(i)")
    assert batches.schema.names == ["i"]
    batches.close()
    assert engine._open_cursors == 0
    assert list(batches) == []


def test_an_error_late_in_a_stream_is_raised(engine: Engine) -> None:
    rows = 0
    with pytest.raises(QueryFailed, match="boom"):
        for batch in engine.stream(
            "SELECT CASE WHEN i = 2000000 THEN error('boom') END, i FROM range(3000000) t(i)"
        ):
            rows += len(batch["i"])
    assert engine._open_cursors == 0
    assert engine.fetch("SELECT 1") == [(1,)]


def test_two_queries_at_once_on_one_engine(engine: Engine) -> None:
    answers: dict[int, object] = {}

    def ask(number: int) -> None:
        total = sum(int(batch["i"].sum()) for batch in engine.stream(f"SELECT i FROM range({number}) t(i)"))
        answers[number] = (
            total,
            engine.fetch("SELECT sum(i)::BIGINT FROM range($n) t(i)", {"n": number})[0][0],
        )

    threads = [threading.Thread(target=ask, args=(number,)) for number in (3_000_000, 4_000_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == {n: (n * (n - 1) // 2, n * (n - 1) // 2) for n in (3_000_000, 4_000_000)}


def test_a_closed_engine_says_so_and_stops_what_runs(data: Path) -> None:
    engine = Engine([data], limits=SMALL)
    timer = threading.Timer(0.2, engine.close)
    timer.start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        engine.fetch(HEAVY)
    assert time.monotonic() - started < 2
    timer.join()
    engine.close()
    with pytest.raises(QueryFailed, match="the engine was closed"):
        engine.fetch("SELECT 1")


# What it may touch.


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_parquet('{data}/../outside/secret.parquet')",
        "SELECT * FROM read_parquet('{outside}/secret.parquet')",
        "SELECT * FROM 'http://127.0.0.1:1/x.parquet'",
        "SELECT * FROM read_parquet('https://127.0.0.1:1/x.parquet')",
        "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    ],
)
def test_a_query_reads_the_folders_alone(engine: Engine, data: Path, sql: str) -> None:
    with pytest.raises(QueryFailed) as caught:
        engine.fetch(sql.format(data=data, outside=data.parent / "outside"))
    assert "may not touch" in caught.value.message


def test_a_link_out_of_a_folder_is_refused_and_a_linked_folder_is_not(data: Path) -> None:
    (data / "link.parquet").symlink_to(data.parent / "outside" / "secret.parquet")
    linked = data.parent / "linked"
    linked.symlink_to(data)
    for folder in (data, linked):
        with Engine([folder], limits=SMALL) as engine:
            assert read(engine, folder / "good.parquet")[0][0] == 20_000
            assert read(engine, data / "good.parquet")[0][0] == 20_000
            with pytest.raises(QueryFailed, match="may not touch"):
                read(engine, folder / "link.parquet")


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH '{outside}/a.db'",
        "ATTACH ':memory:' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 4",
        "RESET lock_configuration",
        "EXPORT DATABASE '{outside}/e'",
        "PRAGMA enable_profiling",
        "CALL pragma_version()",
        "CREATE TABLE t AS SELECT 1; ATTACH '{outside}/a.db'",
    ],
)
def test_statements_of_other_kinds_are_refused(engine: Engine, data: Path, sql: str) -> None:
    text = sql.format(outside=data.parent / "outside")
    for ask in (engine.execute, engine.fetch):
        with pytest.raises(QueryFailed, match=r"not run here|one SELECT is run here"):
            ask(text)
    assert sorted(path.name for path in (data.parent / "outside").iterdir()) == ["secret.parquet"]


@pytest.mark.parametrize(
    "sql", ["DROP VIEW v", "SELECT 1; SELECT 2", "", "COPY (SELECT 1) TO '{data}/x.csv'"]
)
def test_a_query_is_one_select(engine: Engine, data: Path, sql: str) -> None:
    for ask in (engine.fetch, engine.arrow, lambda text: list(engine.stream(text))):
        with pytest.raises(QueryFailed, match="one SELECT"):
            ask(sql.format(data=data))
    assert not (data / "x.csv").exists()


def test_below_the_gate_duckdb_itself_is_locked(engine: Engine, data: Path) -> None:
    cursor = engine._connection.cursor()
    outside = data.parent / "outside"
    for sql in (
        f"ATTACH '{outside}/a.db'",
        f"COPY (SELECT 1) TO '{outside}/x.csv'",
        "LOAD httpfs",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.PermissionException):
            cursor.execute(sql).fetchall()
    for sql in ("SET threads = 4", "SET enable_external_access = true", "SET GLOBAL memory_limit = '9GB'"):
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            cursor.execute(sql)
    with pytest.raises(duckdb.PermissionException):
        cursor.execute("SELECT * FROM glob($g)", {"g": f"{outside.parent}/spill/*/*"})
    cursor.close()


def test_python_variables_are_no_tables(engine: Engine) -> None:
    frame = {"a": np.arange(3)}
    assert len(frame) == 1
    with pytest.raises(QueryFailed, match="Table with name frame does not exist"):
        engine.fetch("SELECT * FROM frame")


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{data}/good.parquet'",
        "COPY (SELECT 1) TO '{outside}/x.parquet'",
        "COPY (SELECT ') TO ' AS x) TO '{data}/x.parquet' -- ) TO '{writable}/x.parquet'",
        "COPY (SELECT 1) TO '{writable}/../data/x.parquet'",
        "COPY (SELECT 1) TO ('{data}' || '/x.parquet')",
        "COPY (SELECT 1) TO $${data}/x.parquet$$",
        "COPY (SELECT 1) TO $target (FORMAT parquet)",
        "COPY (SELECT 1) TO '{writable}/link.parquet'",
    ],
)
def test_copy_writes_to_the_writable_folders_alone(data: Path, sql: str) -> None:
    writable, outside = data.parent / "writable", data.parent / "outside"
    writable.mkdir()
    (writable / "link.parquet").symlink_to(data / "good.parquet")
    before = {path: path.read_bytes() for path in data.parent.rglob("*.parquet")}
    parameters = {"target": f"{data}/x.parquet"} if "$target" in sql else None
    with (
        Engine([data], writable=[writable], limits=SMALL) as engine,
        pytest.raises(QueryFailed, match=r"may not write to|target of a COPY"),
    ):
        engine.execute(sql.format(data=data, outside=outside, writable=writable), parameters)
    assert {path: path.read_bytes() for path in data.parent.rglob("*.parquet")} == before


def test_copy_to_a_writable_folder_with_a_hostile_name(data: Path) -> None:
    writable = data.parent / "writable 'x' 蔻驰"
    writable.mkdir()
    literal = str(writable / "a.parquet").replace("'", "''")
    with Engine([data], writable=[writable], limits=SMALL) as engine:
        engine.execute(
            f"COPY (SELECT '蔻驰 to' AS \"to\" FROM range(3)) TO '{literal}' (FORMAT parquet) -- done"
        )
        engine.execute(
            "COPY (SELECT $n AS n) TO $target (FORMAT parquet)", {"n": 7, "target": f"{writable}/b.parquet"}
        )
        rows = engine.fetch('SELECT "to" FROM read_parquet($f)', {"f": f"{writable}/a.parquet"})
        assert rows == [("蔻驰 to",)] * 3
        assert engine.fetch("SELECT n FROM read_parquet($f)", {"f": f"{writable}/b.parquet"}) == [(7,)]


def test_fault_075_a_hostile_value_is_a_value(engine: Engine) -> None:
    for value in ("'; DROP TABLE x; --", "$1", "?", "%", "_", "\\", "a\0b", "\x1b[31m", "蔻驰"):
        assert engine.fetch("SELECT $v", {"v": value}) == [(value,)]


@pytest.mark.parametrize("sql", ["SELECT '\ud800'", "SELECT $v"])
def test_a_lone_surrogate_is_one_line_of_words(engine: Engine, sql: str) -> None:
    with pytest.raises(QueryFailed) as caught:
        engine.fetch(sql, {"v": "\ud800"} if "$" in sql else None)
    assert caught.value.message.isprintable()
    assert "ud800" in caught.value.message


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", ""])
def test_fault_119_the_zone_of_the_host_changes_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        with Engine([data], limits=SMALL) as engine:
            assert engine.fetch(
                "SELECT current_setting('TimeZone'), epoch_ms('2026-03-01 00:00:00'::TIMESTAMPTZ), "
                "date_trunc('day', make_timestamptz(1772323200000000))::VARCHAR"
            ) == [("UTC", 1772323200000, "2026-03-01 00:00:00+00")]
    finally:
        monkeypatch.undo()
        time.tzset()


# How its errors read.


def broken(data: Path, kind: str) -> Path:
    """A damaged file of one kind, made from the good one."""
    good = (data / "good.parquet").read_bytes()
    footer = int.from_bytes(good[-8:-4], "little")
    hole = bytearray(good)
    hole[2000:40_000] = bytes(38_000)
    garbage = bytearray(good)
    garbage[-8 - footer : -8] = bytes(255 - (i * 7) % 256 for i in range(footer))
    content = {
        "empty": b"",
        "three": b"PAR",
        "half": good[: len(good) // 2],
        "last": good[:-1],
        "csv": b"user,ts\na,1\n" * 50,
        "length": good[:-8] + (2**31 - 5).to_bytes(4, "little") + b"PAR1",
        "encrypted": b"PARE" + good[4:-4] + b"PARE",
        "headless": good[5000:],
        "hole": bytes(hole),
        "garbage": bytes(garbage),
    }[kind]
    file = data / f"{kind}.parquet"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("empty", "incomplete"),
        ("three", "incomplete"),
        ("half", "incomplete"),
        ("last", "incomplete"),
        ("csv", "incomplete (still being written?) or not Parquet"),
        ("length", "incomplete"),
        ("encrypted", "encrypted"),
        ("headless", "damaged"),
        ("hole", "damaged"),
        ("garbage", "damaged"),
    ],
)
def test_a_bad_file_is_named_with_exit_3(data: Path, kind: str, words: str) -> None:
    file = broken(data, kind)
    with Engine([data], limits=SMALL, files=[file]) as engine:
        streamed = "SELECT id, u FROM read_parquet($files)"
        for ask in (
            lambda: read(engine, file),
            lambda: list(engine.stream(streamed, {"files": [str(file)]})),
        ):
            with pytest.raises(NoData) as caught:
                ask()
            assert caught.value.exit_code == 3
            assert words in caught.value.message
            assert str(file) in caught.value.message
            assert caught.value.message.isprintable()
            assert caught.value.hint
        assert read(engine, data / "good.parquet")[0][0] == 20_000


def test_fault_018_no_files_is_no_data(engine: Engine, data: Path) -> None:
    with pytest.raises(NoData, match="no data files at") as caught:
        engine.fetch(f"SELECT * FROM read_parquet('{data}/none-*.parquet')")
    assert f"{data}/none-*.parquet" in caught.value.message


def test_drifted_types_and_missing_columns_name_file_and_column(engine: Engine, data: Path) -> None:
    good = data / "good.parquet"
    sql = "SELECT sum(id)::BIGINT FROM read_parquet($f)"
    with pytest.raises(NoData) as caught:
        engine.fetch(sql, {"f": [str(good), str(data / "text.parquet")]})
    assert f'"{data}/text.parquet"' in caught.value.message
    assert 'column "id" from type VARCHAR to BIGINT' in caught.value.message
    with pytest.raises(NoData) as caught:
        engine.fetch(sql, {"f": [str(good), str(data / "other.parquet")]})
    assert 'column "id"' in caught.value.message
    assert f"{data}/other.parquet" in caught.value.message


def test_fault_016_a_file_cut_while_it_is_read_is_busy_with_exit_6(engine: Engine, data: Path) -> None:
    file = data / "big.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT i, hash(i) AS h FROM range(3000000) t(i)) TO '{file}'")
    with pytest.raises(Changed) as caught:
        for number, _ in enumerate(engine.stream("SELECT i, h FROM read_parquet($f)", {"f": str(file)})):
            if number == 0:
                os.truncate(file, 1000)
    assert caught.value.exit_code == 6
    assert str(file) in caught.value.message


def test_fault_008_an_assertion_of_the_engine_closes_it(data: Path) -> None:
    file = data / "trips.parquet"
    file.write_bytes(zlib.decompress(base64.b85decode(TRIPS_AN_ASSERTION)))
    engine = Engine([data], limits=SMALL, files=[data / "good.parquet", file])
    with pytest.raises(QueryFailed) as caught:
        engine.fetch("SELECT count(*), sum(id), max(u) FROM read_parquet($f)", {"f": str(file)})
    assert caught.value.exit_code == 1
    assert "the engine failed inside" in caught.value.message
    assert "Stack Trace" not in caught.value.message
    assert "run it again" in str(caught.value.hint)
    with pytest.raises(QueryFailed, match="failed inside and was closed"):
        engine.fetch("SELECT 1")
    with Engine([data], limits=SMALL) as again:
        assert read(again, data / "good.parquet")[0][0] == 20_000


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC" (line 1, column 1)'),
        ("SELECT 1,\n  nosuch", "(line 2, column 3)"),
        ("SELECT * FROM nosuch", "Table with name nosuch does not exist! (line 1, column 15)"),
    ],
)
def test_an_error_of_the_text_says_where(engine: Engine, sql: str, words: str) -> None:
    with pytest.raises(QueryFailed) as caught:
        engine.fetch(sql)
    assert words in caught.value.message
    assert "\n" not in caught.value.message


def test_a_value_in_an_error_does_not_pass_for_its_words(engine: Engine) -> None:
    for words in ("No space left on device", "No files found that match", "Permission denied"):
        for sql in ("SELECT CAST($v AS INTEGER)", f'SELECT "{words}"'):
            with pytest.raises(QueryFailed) as caught:
                engine.fetch(sql, {"v": words} if "$" in sql else None)
            assert words in caught.value.message
            assert type(caught.value) is QueryFailed


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            duckdb.IOException('IO Error: Cannot open file "/x/a.parquet": Permission denied'),
            NoData,
            "/x/a.parquet",
        ),
        (
            duckdb.IOException('IO Error: Cannot open file "/x/a": No such file or directory'),
            Changed,
            "/x/a changed",
        ),
        (
            duckdb.IOException('IO Error: Could not read enough bytes from file "/x/a": attempted'),
            Changed,
            "/x/a",
        ),
        (
            duckdb.IOException('IO Error: Could not write file "/s/duckdb_temp": No space left on device'),
            QueryFailed,
            "the disk is full: /s/duckdb_temp",
        ),
        (
            duckdb.IOException(
                'IO Error: Async write failed for range [offset=0]: {"exception_type":"IO","errno":"28"}'
            ),
            QueryFailed,
            "the disk is full",
        ),
        (
            duckdb.IOException(
                'IO Error: Could not set lock on file "/w.db": Conflicting lock is held in python (PID 4711)'
            ),
            Changed,
            "/w.db is open in another process (PID 4711)",
        ),
        (
            duckdb.InvalidInputException(
                "Invalid Input Error: Invalid string encoding found in Parquet file"
            ),
            Damaged,
            "damaged",
        ),
        (duckdb.Error("TProtocolException: Invalid data"), Damaged, "a data file is damaged"),
        (duckdb.Error("Corrupt database file: computed checksum 1 does not match"), Damaged, "damaged"),
        (
            duckdb.ConnectionException("Connection Error: Can't open with a different configuration"),
            QueryFailed,
            "opened twice",
        ),
        (
            duckdb.OutOfMemoryException("Out of Memory Error: could not allocate block"),
            QueryFailed,
            "more memory",
        ),
        (duckdb.InterruptException("INTERRUPT Error: Interrupted!"), Cancelled, "cancelled"),
        (
            duckdb.InterruptException("INTERRUPT Error: Query exceeded maximum execution time"),
            TimedOut,
            "the time was up",
        ),
        (RuntimeError("Query interrupted"), Cancelled, "cancelled"),
        (RuntimeError("std::bad_cast"), QueryFailed, "std::bad_cast"),
        (MemoryError(), QueryFailed, "more memory than there is"),
        (duckdb.InternalException("INTERNAL Error: cast\n\nStack Trace:\n0x1"), EngineDied, "failed inside"),
        (
            duckdb.FatalException("FATAL Error: Failed: database has been invalidated"),
            EngineDied,
            "failed inside",
        ),
        (OSError(28, "No space left on device", "/o/x.part"), QueryFailed, "the disk is full: /o/x.part"),
        (OSError("INTERRUPT Error: Interrupted!"), Cancelled, "cancelled"),
        (OSError('IO Error: Could not read enough bytes from file "/x/a": b'), Changed, "/x/a"),
    ],
)
def test_the_error_map(error: Exception, kind: type[WorkbenchError], words: str) -> None:
    translated = translate(error)
    assert type(translated) is kind
    assert words in translated.message


def test_fault_009_an_error_text_that_is_no_text(tmp_path: Path) -> None:
    error = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    translated = translate(error, [tmp_path / "x.parquet"])
    assert type(translated) is Damaged
    assert str(tmp_path / "x.parquet") in translated.message


def test_an_error_text_is_one_harmless_line_of_500_characters() -> None:
    text = "Conversion Error: \x1b]0;title\x07 \u202e蔻驰\u3000" + "x" * 3_000_000 + "\nsecond line"
    message = translate(duckdb.ConversionException(text)).message
    assert message.startswith("\\x1b]0;title\\x07 \\u202e蔻驰\u3000xxx")
    assert len(message) == 500
    assert message.endswith("…")
    hostile = Path("/d/\x1b[31m'a\"b\n.parquet")
    damaged = translate(
        duckdb.Error(f"Prefetch registered for bytes outside file: {hostile}, attempted"), [hostile]
    )
    assert damaged.message.startswith("/d/\\x1b[31m'a\"b\\n.parquet is damaged")


# Limits and spill.


def test_fault_081_a_memory_limit_leaves_the_engine_usable(engine: Engine) -> None:
    sql = (
        "SELECT count(*) FROM (SELECT row_number() OVER (ORDER BY hash(i), s) AS r FROM "
        "(SELECT i, repeat('x', 100) || i AS s FROM range(20000000) t(i))) WHERE r < 0"
    )
    for ask in (lambda: engine.fetch(sql), lambda: list(engine.stream(sql))):
        with pytest.raises(QueryFailed, match="needs more memory") as caught:
            ask()
        assert "--memory" in str(caught.value.hint)
        assert engine.fetch("SELECT 41 + 1") == [(42,)]


def test_fault_082_an_unusable_spill_folder_is_named_at_the_start(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data.parent / "file").write_text("a file, no folder")
    monkeypatch.setenv("WORKBENCH_SPILL", str(data.parent / "file" / "spill"))
    with pytest.raises(QueryFailed) as caught:
        Engine([data], limits=SMALL)
    assert str(data.parent / "file" / "spill") in caught.value.message
    assert "WORKBENCH_SPILL" in str(caught.value.hint)


def test_fault_082_a_spill_folder_of_somebody_else_is_not_used(
    spill: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill_folder()
    somebody = os.geteuid() + 1
    monkeypatch.setattr(limits_module.os, "geteuid", lambda: somebody)
    (spill / f"workbench-{os.geteuid()}").mkdir()
    with pytest.raises(QueryFailed, match="not a folder of yours"):
        spill_folder()


def test_the_spill_folder_is_absolute_private_and_made(spill: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = spill_folder()
    assert folder == spill / f"workbench-{os.geteuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    assert spill_folder().stat().st_mode & 0o777 == 0o700
    monkeypatch.delenv("WORKBENCH_SPILL")
    monkeypatch.setenv("XDG_CACHE_HOME", str(spill.parent / "cache"))
    monkeypatch.setenv("HOME", str(spill.parent))
    assert spill_folder().is_relative_to(spill.parent)
    assert spill_folder().name == "spill"


def test_spilling_works_behind_the_lock_and_within_its_limit(data: Path) -> None:
    sql = "SELECT i, repeat('x', 60) || i FROM range(1500000) t(i) ORDER BY hash(i) LIMIT 1 OFFSET 1499999"
    with Engine([data], limits=Limits(70_000_000, 2, 2_000_000_000)) as engine:
        assert len(engine.fetch(sql)) == 1
    with (
        Engine([data], limits=Limits(70_000_000, 2, 1_000_000)) as engine,
        pytest.raises(QueryFailed, match="spill space"),
    ):
        engine.fetch(sql)


def test_limits_are_read_and_checked() -> None:
    assert limits("512MB", 3) == Limits(512_000_000, 3, default_limits().spill_bytes)
    assert limits("1.5 GiB", None).memory_bytes == 3 << 29
    assert limits("100000000", None).memory_bytes == 100_000_000
    assert limits(None, None) == default_limits()
    assert 64 << 20 <= default_limits().memory_bytes <= 4_000_000_000
    assert 1 <= default_limits().threads <= (os.cpu_count() or 1)
    for text in ("much", "", "-1GB", "1PB", "10MB", "１GB", "\x1b[2J"):
        with pytest.raises(UsageError) as caught:
            limits(text, None)
        assert caught.value.message.isprintable()
    with pytest.raises(UsageError, match="--threads 0"):
        limits(None, 0)


def test_the_limits_reach_duckdb(engine: Engine, spill: Path) -> None:
    settings = ("threads", "memory_limit", "temp_directory")
    sql = "SELECT " + ", ".join(f"current_setting('{name}')" for name in settings)
    assert engine.fetch(sql) == [(2, "95.3 MiB", str(spill / f"workbench-{os.geteuid()}"))]


# Cancel and progress.


@pytest.mark.parametrize("route", ["fetch", "stream", "arrow", "columns", "execute"])
def test_a_cancel_from_another_thread_stops_a_heavy_query(engine: Engine, route: str) -> None:
    task = Task()
    at = []

    def cancel() -> None:
        at.append(time.monotonic())
        task.cancel()

    threading.Timer(0.1, cancel).start()
    with pytest.raises(Cancelled) as caught:
        if route == "execute":
            engine.execute(f"CREATE TABLE t AS {HEAVY}", None, task)
        else:
            answer = getattr(engine, route)(HEAVY, None, task)
            list(answer)
    assert time.monotonic() - at[0] < 0.5
    assert caught.value.exit_code == 130
    assert engine._open_cursors == 0
    assert engine.fetch("SELECT 1") == [(1,)]


def test_a_cancel_before_the_start_is_not_lost(engine: Engine) -> None:
    task = Task()
    task.cancel()
    for ask in (engine.fetch, engine.arrow, engine.columns, lambda *a: list(engine.stream(*a))):
        started = time.monotonic()
        with pytest.raises(Cancelled):
            ask(HEAVY, None, task)
        assert time.monotonic() - started < 0.5
    assert engine._open_cursors == 0


def test_a_cancel_at_the_very_start_is_not_lost(engine: Engine) -> None:
    for number in range(25):
        task = Task()
        threading.Timer(number * 0.0004, task.cancel).start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            engine.fetch(HEAVY, None, task)
        assert time.monotonic() - started < 1


def test_a_cancel_between_two_batches_ends_the_stream(engine: Engine) -> None:
    task = Task()
    seen = 0
    with pytest.raises(Cancelled):
        for _ in engine.stream("SELECT i FROM range(100000000) t(i)", None, task):
            seen += 1
            if seen == 2:
                task.cancel()
    assert seen == 2


def test_the_task_says_whether_it_was_a_timeout(engine: Engine) -> None:
    task = Task(timeout_seconds=0.2)
    threading.Timer(0.2, task.cancel, ["timeout"]).start()
    with pytest.raises(TimedOut, match=r"after 0\.2 s") as caught:
        engine.fetch(HEAVY, None, task)
    assert caught.value.exit_code == 4
    task.cancel("cancelled")
    assert task.reason == "timeout"


def test_interrupt_all_stops_queries_and_leaves_the_engine(engine: Engine) -> None:
    threading.Timer(0.3, engine.interrupt_all).start()
    with pytest.raises(Cancelled):
        engine.fetch(HEAVY)
    assert engine.fetch("SELECT 1") == [(1,)]


def test_progress_is_said_and_nothing_is_drawn(tmp_path: Path) -> None:
    # `python -c` on purpose: there DuckDB takes itself for interactive and draws its bar after 2 s.
    program = """
import sys
from workbench.engine import Engine
from workbench.errors import TimedOut
from workbench.runner import run
seen = []
def look(task):
    if task.engine_progress is not None: seen.append(task.engine_progress)
sql = "SELECT count(*) FROM range(3000000000) t(i) WHERE hash(i) % 1000 = 3"
try:
    run(lambda task: Engine([]).fetch(sql, None, task), timeout_seconds=2.5, on_progress=look)
except TimedOut: pass
assert seen and all(0 <= x <= 1 for x in seen) and seen[-1] > seen[0], seen
assert seen == sorted(seen), seen
"""
    environment = os.environ | {"WORKBENCH_SPILL": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    assert b"Traceback" not in done.stderr


def test_a_task_keeps_what_was_reported() -> None:
    task = Task()
    assert (task.progress, task.what, task.engine_progress) == (None, "", None)
    task.report(0.25, "reading")
    assert (task.progress, task.what) == (0.25, "reading")
    task.report(7, "folding")
    assert task.progress == 1.0
    task.report(None, "waiting")
    assert task.progress is None
    assert 0 <= task.elapsed < 5
    task.check()
