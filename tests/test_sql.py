"""Free SQL: what its tables hold, how its values come out, and what does not get through its gate."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest

from queries.question import QuestionError, Result, Scope
from tests.driver import Command
from workbench import runner, schemas
from workbench.dataset import Dataset, asked
from workbench.errors import Cancelled, QueryFailed
from workbench.runner import Task
from workbench.sql_console import SqlRequest, answer, statements

EVENTS = [
    ("2026-03-01T15:30:00Z", "view", "u1", "d1", None, {"slot": "top", "n": 1}),
    ("2026-03-01T16:30:00Z", "add", "u1", "d1", None, {"slot": "end", "n": 2}),
    ("2026-03-01T16:40:00.250Z", "paid", "u1", "d1", 12.35, {"slot": "end", "n": 3}),
    ("2026-03-02T10:00:00Z", "view", None, "d2", None, {}),
    ("2026-03-02T10:05:00Z", "paid", "u3", None, 100, {}),
    ("2026-03-02T12:00:00Z", "view", "u3", None, None, {}),
]
SECRET = "the-secret-of-another-file"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with data, a note beside it, and a file outside; the current folder is an empty one."""
    root = tmp_path_factory.mktemp("sql")
    (root / "data").mkdir()
    (root / "here").mkdir()
    keys = ("ts", "event", "user_id", "anonymous_id", "amount", "properties")
    lines = [json.dumps(dict(zip(keys, row, strict=True))) for row in EVENTS]
    (root / "data" / "e.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (root / "data" / "note.txt").write_text(SECRET, "utf-8")
    (root / "outside.csv").write_text(f"a\n{SECRET}\n", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(root / "home"))
        patch.setenv("XDG_CACHE_HOME", str(root / "home" / "cache"))
        patch.setenv("WORKBENCH_SPILL", str(root / "home" / "spill"))
        patch.chdir(root / "here")
        (root / "home").mkdir()
        yield root


@pytest.fixture(scope="module")
def dataset(place: Path) -> Dataset:
    scope = Scope(data=(str(place / "data"),), tz="Asia/Shanghai")
    opened, _ = asked(scope, Task(), lambda dataset: dataset.survey())
    return opened


def ask(dataset: Dataset, text: str, limit: int | None = None) -> Result:
    return answer(SqlRequest(text, dataset.scope), dataset, Task(), limit=limit)


def rows(dataset: Dataset, text: str) -> list[dict[str, object]]:
    return [dict(row) for row in ask(dataset, text).rows]


def one(dataset: Dataset, text: str) -> object:
    ((value,),) = [tuple(row.values()) for row in rows(dataset, text)]
    return value


def refused(dataset: Dataset, text: str) -> QueryFailed:
    with pytest.raises(QueryFailed) as caught:
        ask(dataset, text)
    return caught.value


# --- tables -------------------------------------------------------------------------------------------------


def test_events_have_people_local_times_and_major_units(dataset: Dataset) -> None:
    found = rows(dataset, 'SELECT person, "user", ts, event, amount FROM events ORDER BY ts LIMIT 3')
    assert [(row["person"], row["user"], row["event"]) for row in found] == [
        (0, "u1", "view"),
        (0, "u1", "add"),
        (0, "u1", "paid"),
    ]
    moment = found[2]["ts"]
    assert isinstance(moment, datetime)
    assert moment.isoformat() == "2026-03-02T00:40:00.250000+08:00"
    assert found[2]["amount"] == Decimal("12.35")
    assert found[0]["amount"] is None


def test_days_and_hours_are_those_of_the_zone(dataset: Dataset) -> None:
    text = "SELECT ts::DATE::VARCHAR AS day, count(*) AS n FROM events GROUP BY ALL ORDER BY ALL"
    assert rows(dataset, text) == [{"day": "2026-03-01", "n": 1}, {"day": "2026-03-02", "n": 5}]
    assert one(dataset, "SELECT count(*) FROM events WHERE ts >= '2026-03-02'") == 5
    assert one(dataset, "SELECT hour(min(ts)) FROM events") == 23


def test_sums_of_money_are_exact(dataset: Dataset) -> None:
    assert one(dataset, "SELECT sum(amount) FROM events") == Decimal("112.35")
    assert one(dataset, "SELECT sum(0.1::DECIMAL(3,1)) FROM range(10)") == Decimal("1.0")


def test_properties_are_json(dataset: Dataset) -> None:
    text = "SELECT properties->>'slot' AS slot, sum((properties->>'n')::INT) AS n FROM events GROUP BY 1 ORDER BY 1"
    assert rows(dataset, text) == [
        {"slot": "end", "n": 5},
        {"slot": "top", "n": 1},
        {"slot": None, "n": None},
    ]
    assert one(dataset, "SELECT properties FROM events ORDER BY ts LIMIT 1") == {"slot": "top", "n": 1}
    error = refused(dataset, "SELECT * FROM events WHERE properties.slot = 'end'")
    assert error.hint is not None
    assert "properties->>'key'" in error.hint


def test_people_and_sessions(dataset: Dataset) -> None:
    found = rows(
        dataset, 'SELECT person, "user", kind, events, last_seen - first_seen AS span FROM people ORDER BY 1'
    )
    assert found == [
        {"person": 0, "user": "u1", "kind": "user_id", "events": 3, "span": "01:10:00.25"},
        {"person": 1, "user": "u3", "kind": "user_id", "events": 2, "span": "01:55:00"},
        {"person": 2, "user": "d2", "kind": "anonymous_id", "events": 1, "span": "00:00:00"},
    ]
    text = 'SELECT session, "user", events FROM sessions ORDER BY session'
    assert rows(dataset, text) == [
        {"session": 0, "user": "u1", "events": 1},
        {"session": 1, "user": "u1", "events": 2},
        {"session": 2, "user": "d2", "events": 1},
        {"session": 3, "user": "u3", "events": 1},
        {"session": 4, "user": "u3", "events": 1},
    ]


def test_items_money_without_decimals_and_a_column_named_user(place: Path) -> None:
    folder = place / "shop"
    folder.mkdir()
    (folder / "workbench.toml").write_text(
        'schema = 1\n[money]\ncurrency = "JPY"\n[[source]]\nname = "e"\npath = "e.csv"\n'
        '[[source]]\nname = "i"\npath = "i.csv"\nkind = "items"\n',
        "utf-8",
    )
    (folder / "e.csv").write_text(
        "ts,event,user_id,order_id,amount,user\n2026-03-01T10:00:00Z,paid,u1,o1,1200,Anna\n", "utf-8"
    )
    (folder / "i.csv").write_text("order_id,product_id,quantity,amount\no1,p1,2,700\no1,p2,1,500\n", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        _, told = asked(
            Scope(),
            Task(),
            lambda opened: rows(
                opened,
                'SELECT e."user", p."user" AS id, e.amount, sum(i.amount) AS sold, sum(quantity) AS n\n'
                "FROM events e JOIN people p USING (person) JOIN items i USING (order_id) GROUP BY ALL",
            ),
        )
    assert told == [{"user": "Anna", "id": "u1", "amount": Decimal(1200), "sold": Decimal(1200), "n": 3}]


def test_times_keep_what_is_finer_than_a_millisecond(place: Path) -> None:
    file = place / "fine.csv"
    file.write_text("ts,event,user_id\n2026-03-01T10:00:00.123456Z,a,u1\n", "utf-8")
    _, told = asked(Scope(data=(str(file),)), Task(), lambda opened: rows(opened, "SELECT ts FROM events"))
    assert str(told[0]["ts"]) == "2026-03-01 10:00:00.123456+00:00"


def test_show_tables_and_describe(dataset: Dataset) -> None:
    for text in ("SHOW TABLES", "show all tables;", "SHOW TABLES -- all"):
        listed = rows(dataset, text)
        assert {row["table"] for row in listed} == {"events", "people", "sessions"}
        assert {"table": "events", "column": "ts", "type": "TIMESTAMP WITH TIME ZONE"} in listed
    described = rows(dataset, "DESCRIBE people")
    assert [row["column_name"] for row in described] == [
        "person",
        "user",
        "kind",
        "first_seen",
        "last_seen",
        "events",
    ]
    assert one(dataset, "SELECT count(*) FROM (SUMMARIZE events)") == len(rows(dataset, "DESCRIBE events"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM people SELECT count(*)", 3),
        ("SELECT count(*) FROM range(7)", 7),
        ("WITH a AS (SELECT 1 AS x UNION ALL SELECT 2) SELECT sum(x) FROM a", 3),
        ("WITH events AS (SELECT 1) SELECT count(*) FROM events", 1),
        (
            "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a WHERE n < 9) SELECT max(n) FROM a",
            9,
        ),
        ("VALUES (5)", 5),
        ("SELECT 1 -- the end", 1),
        (" ; SELECT 2 ; -- c", 2),
        ("SELECT length($$;$$ || ';') /* ; */ ;; -- ;", 2),
        (
            "SELECT count(*) FROM (PIVOT events ON event IN ('view', 'paid') USING count(*) GROUP BY person)",
            3,
        ),
        ("SELECT max(k) FROM (SELECT unnest([1, 4]) AS k)", 4),
        ("SELECT count(*) FROM EVENTS", 6),
        ('SELECT count(*) FROM json_each(\'{"a": 1, "b": 2}\')', 2),
    ],
)
def test_selects_in_many_forms(dataset: Dataset, text: str, expected: int) -> None:
    assert one(dataset, text) == expected


def test_the_order_of_a_text_is_kept(dataset: Dataset) -> None:
    assert [row["i"] for row in rows(dataset, "SELECT i FROM range(5000) t(i) ORDER BY hash(i)")] == [
        row["i"]
        for row in rows(dataset, "SELECT i FROM (SELECT i, hash(i) AS h FROM range(5000) t(i)) ORDER BY h")
    ]


def test_the_same_rows_in_every_run(place: Path) -> None:
    texts = "FROM people ORDER BY person", "FROM sessions ORDER BY session", "FROM events ORDER BY place"
    found = []
    for threads in (1, 4):
        scope = Scope(data=(str(place / "data"),))
        _, told = asked(scope, Task(), lambda opened: [rows(opened, text) for text in texts], threads=threads)
        found.append(told)
    assert found[0] == found[1]


# --- values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("170141183460469231731687303715884105727", 2**127 - 1),
        (f"{10**45 + 7}::BIGNUM", 10**45 + 7),
        ("'nan'::DOUBLE", None),
        ("1 / 0", None),
        ("INTERVAL '1 month 2 days'", "1 month 2 days"),
        ("{'a': [1, NULL]}", {"a": [1, None]}),
        ("MAP {'k': 1}", {"k": 1}),
        ("'ab'::BLOB", "6162"),
        ("'1010'::BIT", "1010"),
        ("TIME '24:00:00'", "00:00:00"),
        ("'10:00:00+02'::TIMETZ", "10:00:00+02"),
        ("TIMESTAMP '2026-01-02 03:04:05.5'", "2026-01-02T03:04:05.500000"),
        ("TIMESTAMP_NS '2026-01-02 03:04:05.123456789'", "2026-01-02T03:04:05.123456789"),
        ("TIMESTAMPTZ '2026-01-02 03:04:05+00'", "2026-01-02T11:04:05+08:00"),
        ("[TIMESTAMPTZ '2026-01-02 03:04:05+00']", ["2026-01-02T11:04:05+08:00"]),
        ("TIMESTAMPTZ 'infinity'", "infinity"),
        ("DATE '-infinity'", "-infinity"),
        ("DATE '0044-03-15 (BC)'", "a year that is not between 1 and 9999 (-735160 since 1970)"),
        ("'x'::ENUM('x', 'BIT')", "x"),
        ("union_value(a := 1)", {"a": 1}),
        ("{'h': 1::HUGEINT}", {"h": 1}),
        ("'[1, {\"a\": null}]'::JSON", [1, {"a": None}]),
        ("'2026-01-01'::VARIANT", "2026-01-01"),
        ("NULL", None),
        ("chr(27) || '[2J'", "\x1b[2J"),
    ],
)  # fmt: skip
def test_every_type_comes_out_whole(dataset: Dataset, sql: str, expected: object) -> None:
    from workbench.values import plain

    assert plain(one(dataset, f"SELECT {sql} AS v")) == expected


def test_json_too_deep_to_write_stays_text(dataset: Dataset) -> None:
    assert one(dataset, "SELECT (repeat('[', 300) || repeat(']', 300))::JSON AS v") == "[" * 300 + "]" * 300


def test_columns_of_one_name_are_told_apart(dataset: Dataset) -> None:
    assert rows(dataset, 'SELECT 1 AS a, 2 AS a, 3 AS "A", 4 AS a_1') == [
        {"a": 1, "a_1": 2, "A_2": 3, "a_1_1": 4}
    ]
    joined = rows(dataset, "SELECT * FROM (SELECT 1 AS x) p JOIN (SELECT 1 AS x) q ON p.x = q.x")
    assert joined == [{"x": 1, "x_1": 1}]


def test_rows_are_read_as_often_as_needed(dataset: Dataset) -> None:
    result = ask(dataset, "SELECT i, i * 2 AS j FROM range(300000) t(i) ORDER BY i")
    assert len(result.rows) == 300_000
    assert sum(int(str(row["j"])) for row in result.rows) == 89_999_700_000
    assert result.rows[0] == {"i": 0, "j": 0}
    assert result.rows[299_998:] == [{"i": 299_998, "j": 599_996}, {"i": 299_999, "j": 599_998}]


def test_what_is_cut_is_said(dataset: Dataset) -> None:
    result = ask(dataset, "FROM range(11)", limit=10)
    assert (len(result.rows), result.totals["rows"]) == (10, 10)
    assert [note.code for note in result.notes if note.level == "warning"] == ["limit"]
    assert len(list(result.rows)) == 10
    assert not ask(dataset, "FROM range(10)", limit=10).notes
    assert len(ask(dataset, "FROM range(11)", limit=0).rows) == 0


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC" (line 1, column 1)', None),
        ("SELECT 1,\n  'é', evnt FROM events", "(line 2, column 8)", 'did you mean "event"'),
        ("SELECT e.amout FROM events e", 'column named "amout" (line 1, column 8)', '"amount"'),
        ("SELECT 1\nFROM evnts", 'no table "evnts" (line 2, column 6)', 'did you mean "events"?'),
        (
            "SELECT foo(1)",
            "Scalar Function with name foo does not exist! (line 1, column 8)",
            'did you mean "floor"?',
        ),
        ("SELECT event, count(*) FROM events", '"event" must appear in the GROUP BY clause', "either add it"),
        ("SELECT CAST(event AS INT) FROM events", "Could not convert string 'view' to INT32", None),
        ("-- é\nSELECT CAST(event AS INT)\nFROM events", "(line 2, column 8)", None),
        ("SELECT error('boom')", "the query: boom", None),
        ("SELECT regexp_matches(event, '(') FROM events", "missing )", None),
        ("", "nothing to run", "one SELECT"),
        ("-- nothing", "nothing to run", "one SELECT"),
        ("SELECT 1; SELECT 2", "2 statements", "one SELECT"),
        ("EXPLAIN SELECT 1", "EXPLAIN is not run here", "--explain"),
        ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN is not run here", "--explain"),
        ("PIVOT events ON event USING count(*)", "PIVOT without its values", "name them"),
        ("SELECT $1", "a parameter (line 1, column 8)", "value"),
        ("SELECT ?", "a parameter", "value"),
        ("SELECT '\0'", "NUL character", "chr(0)"),
        ("SELECT '\ud800'", "not Unicode", None),
        ("SELECT '" + "x" * 1_000_000 + "'", "1,000,009 bytes", "file"),
        ("SELECT /* open", "unterminated /* comment", None),
        ("SHOW DATABASES", "of SHOW there is SHOW TABLES", "DESCRIBE"),
    ],
)
def test_an_error_says_what_where_and_what_to_do(
    dataset: Dataset, text: str, message: str, hint: str | None
) -> None:
    error = refused(dataset, text)
    assert error.exit_code == 1
    assert message in error.message
    assert error.hint is None or "\n" not in error.hint
    assert hint is None or hint in str(error.hint)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT now()",
        "SELECT CURRENT_DATE",
        "SELECT current_timestamp",
        "SELECT Today()",
        "SELECT get_current_timestamp()",
        "SELECT [1].list_transform(lambda x: now())",
        "SELECT age(ts) FROM events",
        "SELECT uuidv7()",
        "SELECT * FROM events WHERE ts > ago(INTERVAL 1 DAY)",
        "SELECT CASE WHEN true THEN current_localtimestamp() END",
    ],
)
def test_the_clock_of_the_machine_is_in_no_answer(dataset: Dataset, text: str) -> None:
    error = refused(dataset, text)
    assert "clock" in error.message
    assert "max(ts)" in str(error.hint)


def test_age_between_two_times_needs_no_clock(dataset: Dataset) -> None:
    assert one(dataset, "SELECT age(max(ts), min(ts))::VARCHAR FROM events") == "20:30:00"


# --- the gate -----------------------------------------------------------------------------------------------

PROBES = [
    "COPY (SELECT 1) TO '{here}/out.csv'",
    "COPY events TO '{data}/out.parquet'",
    "COPY (SELECT 1) TO '{data}/e.jsonl' (USE_TMP_FILE false)",
    "SELECT * FROM (COPY (SELECT 1) TO '{here}/out.csv')",
    "EXPORT DATABASE '{here}/out'",
    "ATTACH '{here}/out.duckdb' AS x",
    "ATTACH '{here}/out.duckdb' AS x; SELECT 1",
    "SELECT 1; ATTACH '{here}/out.duckdb' AS x",
    "CREATE TABLE t AS SELECT 1",
    "CREATE TABLE console.t AS SELECT 1",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE OR REPLACE VIEW console.events AS SELECT 1",
    "CREATE MACRO m() AS 1",
    "DROP VIEW events",
    "DELETE FROM people",
    "UPDATE people SET id = 'x'",
    "INSERT INTO people VALUES (1, 'a', 'b')",
    "TRUNCATE people",
    "WITH a AS (DELETE FROM main.people RETURNING *) SELECT * FROM a",
    "WITH a AS (INSERT INTO main.people VALUES (9, 'a', 'b') RETURNING *) SELECT * FROM a",
    "SELECT * FROM (WITH a AS (UPDATE main.people SET id = 'x' RETURNING *) SELECT * FROM a)",
    "SELECT * FROM query('DROP TABLE main.people')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('raw_ids')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "PRAGMA json_execute_serialized_sql('x')",
    "FROM read_text('{outside}')",
    "FROM read_text('{data}/note.txt')",
    "FROM read_blob('{data}/*')",
    "FROM read_csv('{outside}')",
    "FROM read_csv_auto('{data}/note.txt')",
    "FROM read_json('{data}/e.jsonl')",
    "FROM read_ndjson_objects('{data}/note.txt')",
    "FROM read_parquet('{data}/*.parquet')",
    "FROM parquet_schema('{data}/e.parquet')",
    "FROM sniff_csv('{outside}')",
    "FROM glob('{data}/*')",
    "FROM '{outside}'",
    "FROM \"{data}/note.txt\"",
    "SELECT * FROM (WITH \"{outside}\" AS (SELECT 1 AS a) SELECT * FROM \"{outside}\") x, \"{outside}\" y",
    "FROM 'http://127.0.0.1:9/x.csv'",
    "FROM 's3://bucket/x.parquet'",
    "SELECT (SELECT content FROM read_text('{outside}'))",
    "SELECT * FROM people WHERE EXISTS (FROM read_text('{outside}'))",
    "SELECT 1 ORDER BY (SELECT count(*) FROM read_text('{outside}'))",
    "SELECT list_transform([1], lambda x: (SELECT content FROM read_text('{outside}')))",
    "SUMMARIZE '{outside}'",
    "DESCRIBE FROM read_csv('{outside}')",
    "FROM duckdb_settings()",
    "FROM duckdb_secrets()",
    "FROM duckdb_logs",
    "FROM pragma_database_list",
    "FROM information_schema.tables",
    "FROM sqlite_master",
    "FROM main.raw_ids",
    "FROM system.main.duckdb_views",
    "SELECT * FROM pg_catalog.pg_class",
    "FROM enable_logging()",
    "FROM enable_profiling(save_location = '{here}/out.json')",
    "CALL enable_logging()",
    "FROM checkpoint()",
    "FROM force_checkpoint()",
    "SELECT write_log('x')",
    "SELECT sleep_ms(100000)",
    "SELECT pg_sleep(100)",
    "SET memory_limit = '100GB'",
    "SET GLOBAL enable_external_access = true",
    "SET TimeZone = 'UTC'",
    "RESET memory_limit",
    "PRAGMA enable_profiling",
    "LOAD httpfs",
    "INSTALL httpfs",
    "BEGIN; COMMIT",
    "COMMIT",
    "USE main",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "VACUUM",
    "CHECKPOINT",
    "CREATE SECRET s (TYPE s3)",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{here}/out.csv'",
    "SELECT 1) UNION ALL (SELECT 2",
    "SELECT 1) TO '{here}/out.csv' --",
    "SELECT 1; -- ) x; DROP TABLE main.people",
    "SELECT getenv('HOME')",
    "SELECT getvariable('x')",
    "SELECT current_setting('secret_directory')",
    "SELECT " + "(" * 1500 + "1" + ")" * 1500,
    "SELECT " + "+".join(["1"] * 20_000),
    "SELECT " + "+".join(["1"] * 900),
    "SELECT * FROM (" * 500 + "SELECT 1" + ")" * 500,
    "SELECT " + "[" * 900 + "]" * 900,
    "SELECT repeat('x', 100000000000)",
    "SELECT 1 /*",
    "SELECT 'x",
    "\x1b[2J",
    "SELECT count(*) FROM nextval('s')",
]  # fmt: skip
ANSWERED = {
    "SELECT 1; -- ) x; DROP TABLE main.people",
    "SELECT getvariable('x')",
    "SELECT current_setting('secret_directory')",
}


def everything(root: Path) -> dict[str, str]:
    """Every file below a folder with a digest of its content."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("number", range(len(PROBES)))
def test_fault_077_probes_write_nothing_and_read_nothing_outside(
    dataset: Dataset, place: Path, number: int
) -> None:
    names = {"{here}": place / "here", "{data}": place / "data", "{outside}": place / "outside.csv"}
    text = PROBES[number]
    for name, path in names.items():
        text = text.replace(name, str(path))
    before = everything(place)
    try:
        told = str(runner.run(lambda task: rows(dataset, text), timeout_seconds=20))
        assert PROBES[number] in ANSWERED
    except QueryFailed as error:
        told = f"{error.message} {error.hint}"
        assert PROBES[number] not in ANSWERED
    assert SECRET not in told
    assert everything(place) == before
    assert one(dataset, "SELECT count(*) FROM people") == 3


def test_fault_077_the_engine_itself_keeps_to_the_data(dataset: Dataset, place: Path) -> None:
    """Behind the gate: the same cursor, given what the gate refuses."""
    for text, message in (
        (f"SELECT * FROM read_text('{place / 'outside.csv'}')", "may not touch"),
        ("SET threads = 9", "locked"),
        ("CREATE TABLE console.t AS SELECT 1", "read-only"),
        ("DELETE FROM main.people", "read-only"),
        (f"COPY (SELECT 1) TO '{place / 'here' / 'out.csv'}'", "may not touch"),
    ):
        with pytest.raises(QueryFailed, match=message), dataset.engine.reading("console", "UTC") as cursor:
            cursor.execute(text).fetchall()
    assert list((place / "here").iterdir()) == []


def test_a_query_is_stopped_by_the_clock_and_by_hand(dataset: Dataset) -> None:
    from workbench.errors import TimedOut

    endless = "SELECT count(*) FROM range(100000000000) t(i) WHERE hash(i) % 1000 = 3"
    with pytest.raises(TimedOut):
        runner.run(
            lambda task: answer(SqlRequest(endless, dataset.scope), dataset, task, limit=None),
            timeout_seconds=0.3,
        )
    task = Task()
    task.cancel()
    with pytest.raises(Cancelled):
        answer(SqlRequest(endless, dataset.scope), dataset, task, limit=None)
    assert one(dataset, "SELECT 1") == 1


def test_an_answer_larger_than_its_room_is_an_error(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench import sql_console
    from workbench.limits import Limits

    monkeypatch.setattr(sql_console, "default_limits", lambda: Limits(1 << 30, 1, 1 << 20))
    with pytest.raises(QueryFailed, match="more than 1 MB"):
        ask(dataset, "SELECT i, i + 1, i + 2 FROM range(1000000) t(i)")


def test_fault_005_a_file_that_proves_damaged_is_set_aside(place: Path) -> None:
    import pyarrow as pa

    folder = place / "holes"
    folder.mkdir()
    for number in range(2):
        columns = {
            "ts": pa.array(range(1_700_000_000_000, 1_700_000_020_000), pa.timestamp("ms")),
            "event": ["view"] * 20_000,
            "user_id": [f"u{i}" for i in range(20_000)],
            "note": [f"n{i * 7919}" for i in range(20_000)],
        }
        pq.write_table(
            pa.table(columns), folder / f"{number}.parquet", compression="snappy", use_dictionary=False
        )
    with (folder / "1.parquet").open("r+b") as file:
        # Near the end lie the pages of the last column, which no survey reads.
        file.seek(-60_000, os.SEEK_END)
        file.write(b"\0" * 8192)
    _, result = asked(
        Scope(data=(str(folder),)), Task(), lambda opened: ask(opened, "SELECT count(note) AS n FROM events")
    )
    assert list(result.rows) == [{"n": 20_000}]
    assert [note.code for note in result.notes if note.sets_aside] == ["files-set-aside"]


def test_only_people_and_raw_ids_are_persons(place: Path) -> None:
    scope = Scope(data=(str(place / "data"),), unit="session")
    with pytest.raises(QuestionError, match="--unit session"):
        asked(scope, Task(), lambda dataset: ask(dataset, "SELECT 1"))


def test_the_script_runs_elsewhere(dataset: Dataset) -> None:
    import duckdb

    text = "SELECT count(*), sum(amount) FROM events"
    script = dataset.script(statements(SqlRequest(text, dataset.scope), dataset))
    with duckdb.connect() as connection:
        for statement in duckdb.extract_statements(script):
            found = connection.execute(statement).fetchall()
    assert found == [(6, Decimal("112.35"))]


# --- the command --------------------------------------------------------------------------------------------


def test_every_format_through_the_one_writer(workbench: Command, place: Path, tmp_path: Path) -> None:
    data = str(place / "data")
    text = "SELECT event, min(ts) AS first, sum(amount) AS paid, list(n ORDER BY n) AS ns FROM " \
        "(SELECT *, person AS n FROM events) GROUP BY ALL ORDER BY 1 LIMIT 2"  # fmt: skip
    found = workbench("sql", "--data", data, "--tz", "Asia/Shanghai", text, "--json").json
    jsonschema.Draft202012Validator(schemas.load("sql")).validate(found)
    assert found["rows"] == [
        {"event": "add", "first": "2026-03-02T00:30:00+08:00", "paid": None, "ns": [0]},
        {"event": "paid", "first": "2026-03-02T00:40:00.250000+08:00", "paid": 112.35, "ns": [0, 1]},
    ]
    assert found["meta"]["columns"][2] == {"name": "paid", "type": "DECIMAL(38,2)"}
    assert found["meta"]["rows_in_scope"] == 6
    written = workbench("sql", "--data", data, text, "--csv").out
    assert written.splitlines()[2] == 'paid,2026-03-01T16:40:00.250000+00:00,112.35,"[0, 1]"'
    shown = workbench("sql", "--data", data, text).out.splitlines()
    assert shown[0].split() == ["event", "first", "paid", "ns"]
    assert shown[2].split() == ["paid", "2026-03-01", "16:40:00", "112.35", "[0,", "1]"]
    file = tmp_path / "a.parquet"
    assert workbench("sql", "--data", data, text, "--output", str(file)).code == 0
    table = pq.read_table(file)
    assert str(table.schema.field("first").type) == "timestamp[us, tz=UTC]"
    assert table["event"].to_pylist() == ["add", "paid"]


def test_where_the_text_comes_from(workbench: Command, place: Path, tmp_path: Path) -> None:
    data = str(place / "data")
    file = tmp_path / "q.sql"
    file.write_text("\ufeffSELECT 41 + 1 AS n -- é\n", "utf-8")
    assert workbench("sql", "--data", data, "--file", str(file), "--csv").out == "n\n42\n"
    assert workbench("sql", "--data", data, "-", "--csv", stdin="SELECT 7 AS n;").out == "n\n7\n"
    assert workbench("sql", "--data", data).code == 2
    assert workbench("sql", "--data", data, "SELECT 1", "--file", str(file)).code == 2
    file.write_bytes(b"SELECT '\xff'")
    ran = workbench("sql", "--data", data, "--file", str(file))
    assert (ran.code, "not UTF-8 at byte 8" in ran.err) == (2, True)
    assert workbench("sql", "--data", data, "SELECT 1", "--save", "x").code == 2


def test_a_table_is_cut_and_other_formats_are_not(workbench: Command, place: Path) -> None:
    data = str(place / "data")
    ran = workbench("sql", "--data", data, "SELECT i FROM range(1500) t(i)")
    assert len(ran.out.splitlines()) == 1001
    assert "! the first 1,000 rows" in ran.err
    assert (
        len(workbench("sql", "--data", data, "SELECT i FROM range(1500) t(i)", "--jsonl").out.splitlines())
        == 1500
    )
    ran = workbench("sql", "--data", data, "FROM range(9)", "--limit", "2", "--json")
    assert [note["code"] for note in ran.json["notes"]] == ["limit"]
    assert len(ran.json["rows"]) == 2


def test_errors_plans_and_conditions(workbench: Command, place: Path) -> None:
    data = str(place / "data")
    ran = workbench("sql", "--data", data, "SELECT evnt FROM events", "--json")
    assert (ran.code, ran.out) == (1, "")
    error = json.loads(ran.err)["error"]
    assert error["message"].endswith("(line 1, column 8)")
    assert error["hint"].startswith('did you mean "event"')
    plan = workbench("sql", "--data", data, "SELECT count(*) FROM range(3)", "--explain", "--json").json
    jsonschema.Draft202012Validator(schemas.load("sql")).validate(plan)
    assert any("RANGE" in row["plan"].upper() for row in plan["rows"])
    assert workbench("sql", "--data", data, "SELECT 3 AS n", "--fail-if", "n > 2").code == 5
    assert workbench("sql", "--data", data, "SELECT 3 AS n", "--require-data").code == 0
    assert workbench("sql", "--data", data, "SELECT 3 AS n WHERE false", "--require-data").code == 3
    assert os.listdir(place / "here") == []
