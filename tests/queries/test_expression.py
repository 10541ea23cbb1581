"""Holds the gate: what passes is compiled to SQL that means what was written, all else is one clear line."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from queries import ranges
from queries.expression import LONGEST, MOST_BRACKETS, compile_condition, compile_value
from queries.question import Column, ColumnKind, QuestionError, Schema
from queries.quoting import quote_identifier, quote_literal

KINDS: dict[str, ColumnKind] = {
    "ts": "time",
    "received_ts": "time",
    "event": "text",
    "user_id": "text",
    "ids.phone": "text",
    "channel": "text",
    "product_name": "text",
    "City": "text",
    "amount": "money",
    "quantity": "integer",
    "score": "number",
    "vip": "boolean",
    "properties": "json",
    'a"b': "text",
    "select": "text",
    "x';--": "text",
    "表": "text",
}
SCHEMA = Schema({name: Column(name, kind) for name, kind in KINDS.items()})
TYPES = {"time": "BIGINT", "money": "BIGINT", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}
JSON = (
    '{"price": 120.5, "price usd": "7", "a": {"b": 1, "n": null}, "flag": true, "off": false, "名": "表",'
    ' "q\\"q": 1, "user_id": 123, "low": 9, "high": 10, "word": "x", "*": "star", "a.b": "dotted"}'
)
ROW: dict[str, object] = {
    "ts": 1_772_330_400_000,  # 2026-03-01T10:00+08:00, a Sunday
    "received_ts": None,
    "event": "order_paid",
    "user_id": "00123",
    "ids.phone": "123",
    "channel": "weixin",
    "product_name": "100%_a\\b",
    "City": "Köln",
    "amount": 1999,
    "quantity": 3,
    "score": 0.5,
    "vip": True,
    "properties": JSON,
    'a"b': "1",
    "select": "2",
    "x';--": "3",
    "表": "4",
}


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    columns = ", ".join(f"{quote_identifier(n)} {TYPES.get(k, 'VARCHAR')}" for n, k in KINDS.items())
    connection.execute(f"CREATE TABLE events ({columns})")
    connection.execute(f"INSERT INTO events VALUES ({', '.join('?' * len(ROW))})", list(ROW.values()))
    yield connection
    connection.close()


def value_of(engine: duckdb.DuckDBPyConnection, sql: str) -> object:
    row = engine.execute(f"SELECT {sql} FROM events").fetchone()
    assert row is not None
    return row[0]


# Condition → what it is for the one row above, read in Asia/Shanghai.
HOLDS: list[tuple[str, bool | None]] = [
    ("channel = 'weixin'", True),
    ("CHANNEL = 'weixin' AND Event <> 'x'", True),
    ("channel = 'weixin' OR vip AND quantity = 9", True),
    ("(channel = 'weixin' OR vip) AND quantity = 9", False),
    ("NOT channel = 'x'", True),
    ("city = 'Köln'", True),
    ("channel IN ('a', 'weixin', 'b', 'c', 'd')", True),
    ("channel NOT IN ('a', NULL)", None),
    ("quantity BETWEEN 3 AND 3", True),
    ("quantity NOT BETWEEN 3 AND 3", False),
    ("channel LIKE 'wei%'", True),
    ("channel LIKE 'WEI%'", False),
    ("channel ILIKE 'WEI%'", True),
    ("channel NOT LIKE 'wei%'", False),
    ("channel NOT ILIKE 'WEI%'", False),
    ("product_name LIKE '100!%!_a\\b' ESCAPE '!'", True),
    ("channel LIKE 'wei!_in' ESCAPE '!'", False),
    ("received_ts IS NULL", True),
    ("received_ts IS NOT NULL", False),
    ("received_ts = '2026-03-01'", None),
    ("channel IS DISTINCT FROM NULL", True),
    ("received_ts IS NOT DISTINCT FROM NULL", True),
    ("vip IS TRUE AND vip IS NOT FALSE", True),
    # Money is in major units, and decimals compare exactly.
    ("amount = 19.99", True),
    ("amount > 19.99", False),
    ("amount >= 19.99 AND amount < 20", True),
    ("amount = '19.99'", True),
    ("round(amount) = 20 AND floor(amount) = 19 AND ceil(amount) = 20", True),
    ("round(amount, 1) = 20.0", True),
    # Arithmetic
    ("quantity * 2 + 1 = 7", True),
    ("quantity / 2 = 1.5", True),
    ("quantity % 2 = 1", True),
    ("-quantity = -3 AND - -3 = quantity", True),
    ("quantity / 0 IS NULL", True),
    ("quantity % 0 > 1", None),
    ("quantity * 9223372036854775807 > 1", True),
    ("abs(-9223372036854775807 - 1) > 1", True),
    ("quantity = 3.0 AND quantity < 99999999999999999999999999", True),
    ("score = .5 AND score = 5e-1 AND score < 1_000", True),
    # Kinds that meet
    ("quantity = '3'", True),
    ("vip = 'true' AND vip = 1 AND vip = TRUE", True),
    ("vip = 'False'", False),
    ("user_id = 123", False),
    ("user_id = '00123'", True),
    ("user_id = 00123", True),
    ("ids.phone = 123", True),
    ("\"ids.phone\" = 123", True),
    ("TRY_CAST(user_id AS BIGINT) > 100", True),
    ("channel = 5", None),
    ("\"select\" = 2 AND \"select\" < 10", True),
    ("CAST(channel AS BIGINT) IS NULL", True),
    ("channel::varchar = 'weixin'", True),
    # Times, in the zone
    ("ts = '2026-03-01 10:00'", True),
    ("ts = TIMESTAMP '2026-03-01 10:00:00'", True),
    ("ts = '2026-03-01T02:00Z'", True),
    ("ts >= '2026-03-01' AND ts < DATE '2026-03-02'", True),
    ("ts BETWEEN '2026-03-01' AND '2026-03-01'", False),
    ("ts > received_ts", None),
    ("hour(ts) = 10 AND EXTRACT(hour FROM ts) = 10", True),
    ("dayofweek(ts) = 0 AND isodow(ts) = 7", True),
    ("year(ts) = 2026 AND month(ts) = 3 AND day(ts) = 1 AND minute(ts) = 0 AND quarter(ts) = 1", True),
    # JSON
    ("properties.price > 100", True),
    ("properties.price = 120.5", True),
    ("properties.\"price usd\" = 7", True),
    ("properties.\"price usd\" = '7'", True),
    ("properties.a.b = 1", True),
    ("properties.\"a.b\" = 'dotted'", True),
    ("properties.a.n IS NULL AND properties.missing IS NULL", True),
    ("properties.名 = '表'", True),
    ("properties.\"q\"\"q\" = 1", True),
    ("properties.\"*\" = 'star'", True),
    ("properties.flag", True),
    ("NOT properties.off", True),
    ("properties.word", None),
    ("properties.flag = true AND properties.off = 'false'", True),
    ("properties.user_id = 123", True),
    ("properties.low < properties.high", True),
    ("properties.word > 1", None),
    ("properties.Price IS NULL", True),
    ("coalesce(properties.missing, 0) = 0", True),
    ("properties LIKE '%usd%'", True),
    # Functions
    ("lower('ABC') = 'abc' AND upper(channel) = 'WEIXIN'", True),
    ("trim('  x ') = 'x' AND ltrim('xxa', 'x') = 'a' AND trim(BOTH 'x' FROM 'xax') = 'a'", True),
    ("length(\"表\") = 1 AND length('表x') = 2", True),
    ("substr(channel, 1, 3) = 'wei' AND substring(channel FROM 4) = 'xin'", True),
    ("replace(channel, 'wei', 'x') = 'xxin' AND replace(channel, 'wei') IS NOT NULL", True),
    ("concat(channel, NULL, 1) = 'weixin1' AND channel || '-' || quantity = 'weixin-3'", True),
    ("channel || NULL IS NULL", True),
    ("starts_with(channel, 'wei') AND ends_with(channel, 'xin') AND contains(product_name, '%_')", True),
    ("regexp_matches(channel, '^WEI', 'i')", True),
    ("coalesce(NULL, channel) = 'weixin' AND nullif(channel, 'weixin') IS NULL", True),
    ("greatest(quantity, 5) = 5 AND least(quantity, NULL, 2.5) = 2.5", True),
    ("CASE WHEN vip THEN 'a' ELSE 'b' END = 'a'", True),
    ("CASE channel WHEN 'x' THEN 1 WHEN 'weixin' THEN 2 END = 2", True),
    ("if(vip, 1, 2) = 1", True),
    ("TRUE", True),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), HOLDS, ids=[text for text, _ in HOLDS])
def test_what_passes_means_what_it_says(
    engine: duckdb.DuckDBPyConnection, text: str, expected: bool | None
) -> None:
    assert value_of(engine, compile_condition(text, SCHEMA, "Asia/Shanghai").sql) is expected


# Condition → a part of the message, a part of the hint.
REFUSED: list[tuple[str, str, str]] = [
    ("", "empty", "weixin"),
    (" \n ", "empty", "weixin"),
    ("chanel = 'x'", 'unknown property "chanel" (character 1)', 'did you mean "channel"?'),
    ("vip AND qantity > 1", 'unknown property "qantity" (character 9)', '"quantity"'),
    ('channel = "weixin"', 'unknown property "weixin"', "single quotes: 'weixin'"),
    ("zzzzzz = 1", 'unknown property "zzzzzz"', "properties.zzzzzz"),
    ("channel.x = 1", 'holds no "x"', ""),
    ("amount", "is a number, not a condition", "amount > 0"),
    ("channel", "not a condition", "amount > 0"),
    ("'true'", "not a condition", ""),
    ("NULL", "nothing, not a condition", ""),
    ("channel AND vip", "where a condition should", ""),
    ("count(*) > 1", "adds up events", "one event"),
    ("sum(amount) > 1", "adds up events", ""),
    ("sum(amount) OVER () > 1", "window function", ""),
    ("channel IN (SELECT 1)", "subquery", ""),
    ("EXISTS(SELECT 1)", "subquery", ""),
    ("(SELECT 1) = 1", "subquery", ""),
    ("channel = ANY(['a'])", "subquery", ""),
    ("1 = 1 UNION SELECT 2", "cannot read", ""),
    ("SELECT 1", "cannot read", ""),
    ("PRAGMA version", "cannot read", ""),
    ("channel = 'x'; DROP TABLE events", '";"', "one condition"),
    ("channel = ?", '"?"', "as they are"),
    ("channel = $1", '"$"', "as they are"),
    ("channel = :name", "parameter", ""),
    ("channel = @name", '"@"', ""),
    ("* = 1", "", ""),
    ("properties.* = 1", "* stands for no property", ""),
    ("channel = 'x' -- and so on", "comment", ""),
    ("channel /* or */ = 'x'", "comment", ""),
    ("list_filter([1], lambda x: x > 1)", "", ""),
    ("read_text('/etc/passwd') = 'x'", 'unknown function "read_text"', ""),
    ("lowr(channel) = 'x'", 'unknown function "lowr"', '"lower"'),
    ("random() > 0.5", "", ""),
    ("now() > ts", 'unknown function "now"', ""),
    ("ts > current_timestamp", "clock", "write the date"),
    ("ts > current_date", "clock", ""),
    ("repeat('x', 1000000000) = 'x'", "unknown function", ""),
    ("channel = 'a' COLLATE nocase", "collate", ""),
    ("channel ~ 'x'", '"~"', "regexp_matches"),
    ("channel SIMILAR TO 'x'", "not part of an expression", ""),
    ("channel LIKE event", "pattern of LIKE", ""),
    ("channel LIKE 'a!' ESCAPE '!'", "ends with its escape", ""),
    ("channel LIKE 'a' ESCAPE 'ab'", "one ASCII character", ""),
    ("regexp_matches(channel, event)", "pattern of regexp_matches", ""),
    ("regexp_matches(channel, 'a', 'g')", "unknown flags", ""),
    ("channel IN ()", "list of values", ""),
    ("(channel, event) = ('a', 'b')", "not part of an expression", ""),
    ("[1] = [1]", "array", ""),
    ("properties[0] = 1", "not part of an expression", ""),
    ("properties -> 'a' = 1", "", ""),
    ("quantity ** 2 = 9", "", ""),
    ("quantity = 'x'", "compared with a number and is none", ""),
    ("'nan' > 1", "compared with a number and is none", ""),
    ("vip = 'x'", "neither", ""),
    ("\x1b[2J = 1", "", ""),
    ("vip > FALSE", "neither larger nor smaller", ""),
    ("user_id > 5", "no order among numbers", "TRY_CAST"),
    ("ts > 5", "time is compared with a number", "2026-03-01"),
    ("ts = channel", "time is compared with a text", ""),
    ("ts > 'yesterday'", "neither a date nor a time", "2026-03-01"),
    ("ts + 1 > 5", "time stands where a number should", ""),
    ("lower(ts) = 'x'", "time stands where text should", ""),
    ("ts::date = '2026-03-01'", "only a date or time in quotes", ""),
    ("hour(channel) = 1", "no column of times", "hour(ts)"),
    ("extract(epoch FROM ts) = 1", "not offered", "hour"),
    ("channel::blob = 'x'", "not offered", "VARCHAR"),
    ("channel::integer[] = 'x'", "not offered", ""),
    ("amount > 1e999", "too large", ""),
    ("substr(channel, quantity) = 'x'", "whole number", ""),
    ("substr(channel, 5000000000) = 'x'", "at most a million", ""),
    ("replace(replace(channel, 'a', 'bb'), 'b', 'aa') = 'x'", "inside another", ""),
    ("channel = 'x", "cannot read", "quote"),
    ('"channel = 1', "cannot read", "quote"),
    ("channel = = 'x'", "cannot read", ""),
    ("channel 'x'", "cannot read", ""),
    ("if = 'x'", '"if" is a word of SQL', "double quotes"),
    ("select = '2'", "cannot read", "double quotes"),
    ("channel = 'a\0b'", "NUL", ""),
    ("channel = '\udcff'", "not valid Unicode", ""),
    ('"" = 1', "", ""),
    ("x" * (LONGEST + 1), "4,001 characters", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message", "hint"), REFUSED, ids=[repr(case[0])[:40] for case in REFUSED])
def test_what_is_refused_says_why_in_one_line(text: str, message: str, hint: str) -> None:
    with pytest.raises(QuestionError) as caught:
        compile_condition(text, SCHEMA, "Asia/Shanghai")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    for line in (caught.value.message, caught.value.hint or ""):
        assert line.isprintable() and len(line) < 400


def test_names_that_differ_by_case_alone_are_written_exactly() -> None:
    schema = Schema({name: Column(name, "text") for name in ("Seen", "seen")})
    assert compile_condition("seen = 'x'", schema).columns == {"seen"}
    assert compile_condition("Seen = 'x'", schema).columns == {"Seen"}
    with pytest.raises(QuestionError, match="not unique") as caught:
        compile_condition("SEEN = 'x'", schema)
    assert caught.value.hint == 'write "Seen" or "seen" in double quotes'


def test_columns_read_are_named() -> None:
    compiled = compile_condition("CHANNEL = 'x' AND properties.a.b = 1 OR amount > quantity", SCHEMA)
    assert compiled.columns == {"channel", "properties", "amount", "quantity"}


def test_sql_is_readable() -> None:
    assert compile_condition("amount > 19.99 AND channel = 'weixin'", SCHEMA).sql == (
        """(((CAST("amount" AS DOUBLE) / 1e2) > 19.99e0) AND ("channel" = 'weixin'))"""
    )


def test_money_without_decimals_is_whole() -> None:
    yen = Schema({"amount": Column("amount", "money")}, money_decimals=0)
    assert compile_condition("amount > 5", yen).sql == '(CAST("amount" AS DOUBLE) > 5)'


@given(st.integers(-(10**13), 10**13))
@settings(max_examples=200)
def test_money_equals_its_own_decimal_text(minor: int) -> None:
    # The SQL's arithmetic in Python: both are IEEE doubles, and division is correctly rounded.
    text = f"{'-' if minor < 0 else ''}{abs(minor) // 100}.{abs(minor) % 100:02}"
    assert float(minor) / 1e2 == float(text)


def test_values_are_compiled_for_breakdowns(engine: duckdb.DuckDBPyConnection) -> None:
    assert value_of(engine, compile_value("channel", SCHEMA).sql) == "weixin"
    assert value_of(engine, compile_value("x';--", SCHEMA).sql) == "3"
    assert value_of(engine, compile_value("amount", SCHEMA).sql) == 19.99
    assert value_of(engine, compile_value('properties."price usd"', SCHEMA).sql) == "7"
    assert value_of(engine, compile_value("quantity * 2", SCHEMA).sql) == 6.0
    with pytest.raises(QuestionError, match="unknown property"):
        compile_value("chanel", SCHEMA)


def test_json_that_is_none_is_null(engine: duckdb.DuckDBPyConnection) -> None:
    sql = compile_condition("properties.a = 1", SCHEMA).sql
    rows = engine.execute(
        f"SELECT {sql} FROM (VALUES ('{{bad'), (''), ('[1]'), ('3'), ('null'), ('{{\"a\":1}}')) t(properties)"
    ).fetchall()
    assert rows == [(None,), (None,), (None,), (None,), (None,), (True,)]


@pytest.mark.parametrize("word", ["nan", "inf", "-inf", "Infinity", "1e999"])
def test_text_that_is_no_finite_number_is_null(engine: duckdb.DuckDBPyConnection, word: str) -> None:
    sql = compile_condition("channel > 1 OR channel <= 1", SCHEMA).sql
    assert engine.execute(f"SELECT {sql} FROM (SELECT ? AS channel)", [word]).fetchall() == [(None,)]


HOSTILE = [
    "'; drop table events; --", "$1", "?", "%", "_", "\\", "\\'", "''", '"', "a\nb", "a\r\nb", "\x1b[2J",
    "/* x */", "-- x", "{{x}}", "{% x %}", "$$x$$", " ", "表", "\U0001f469\u200d\U0001f467", "\xe9",
    "e\u0301", "\u202e", "\ufeff", "\x85", "\x07",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
def test_fault_075_hostile_values_match_themselves_alone(
    engine: duckdb.DuckDBPyConnection, value: str
) -> None:
    rows = [(other,) for other in HOSTILE]
    engine.execute("CREATE OR REPLACE TEMP TABLE names (product_name VARCHAR)")
    engine.executemany("INSERT INTO names VALUES (?)", rows)
    escaped = value.replace("'", "''")
    pattern = value.replace("!", "!!").replace("%", "!%").replace("_", "!_").replace("'", "''")
    for text in (
        f"product_name = '{escaped}'",
        f"product_name IN ('{escaped}', 'nobody')",
        f"product_name LIKE '{pattern}' ESCAPE '!'",
    ):
        sql = compile_condition(text, SCHEMA).sql
        assert engine.execute(f"SELECT product_name FROM names WHERE {sql}").fetchall() == [(value,)]
    assert engine.execute("SELECT count(*) FROM events").fetchone() == (1,)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=300, deadline=None)
def test_fault_075_any_text_matches_exactly_itself(value: str) -> None:
    text = "product_name = '" + value.replace("'", "''") + "'"
    assert compile_condition(text, SCHEMA).sql == f'("product_name" = {quote_literal(value)})'


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=200, deadline=None)
def test_fault_075_quoted_text_comes_back_from_the_engine(value: str) -> None:
    assert duckdb.execute(f"SELECT {quote_literal(value)}").fetchone() == (value,)


@pytest.mark.parametrize("name", ['a"b', "select", "x';--", "表"])
def test_fault_076_hostile_column_names_are_quoted(engine: duckdb.DuckDBPyConnection, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    assert value_of(engine, compile_condition(f"{quoted} = '{ROW[name]}'", SCHEMA).sql) is True
    assert value_of(engine, quote_identifier(name)) == ROW[name]


def test_fault_076_the_empty_name_is_refused() -> None:
    with pytest.raises(QuestionError, match="empty name"):
        quote_identifier("")
    with pytest.raises(QuestionError, match="not valid Unicode"):
        quote_identifier("\udcff")


def test_fault_078_patterns_run_in_linear_time(engine: duckdb.DuckDBPyConnection) -> None:
    sql = compile_condition("regexp_matches(product_name, '^(a+)+$')", SCHEMA).sql
    start = time.monotonic()
    found = engine.execute(f"SELECT {sql} FROM (SELECT repeat('a', 200000) || 'b' AS product_name)")
    assert found.fetchall() == [(False,)]
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "text",
    [
        "(" * 1_000_000,
        "(" * 2_000,
        "(" * (MOST_BRACKETS + 1) + "vip" + ")" * (MOST_BRACKETS + 1),
        "NOT " * 990 + "vip",
        "lower(" * 600,
        "CASE WHEN " * 390,
        "[" * 3_000,
        "{" * 3_000,
        "- " * 1_990 + "1 = 1",
        "quantity" + "+1" * 1_900 + " = 1",
    ],
)
def test_fault_079_deep_nesting_is_one_clear_line(text: str) -> None:
    start = time.monotonic()
    with pytest.raises(QuestionError, match=r"nested too deeply|characters|cannot read"):
        compile_condition(text, SCHEMA)
    assert time.monotonic() - start < 2


def test_fault_079_brackets_up_to_the_limit_pass(engine: duckdb.DuckDBPyConnection) -> None:
    for opening, closing in (("(", ")"), ("lower(", ")")):
        text = opening * MOST_BRACKETS + "channel" + closing * MOST_BRACKETS + " = 'weixin'"
        assert value_of(engine, compile_condition(text, SCHEMA).sql) is True


def test_fault_079_long_chains_pass(engine: duckdb.DuckDBPyConnection) -> None:
    chain = " OR ".join(["quantity=1"] * 270 + ["quantity=3"])
    assert value_of(engine, compile_condition(chain, SCHEMA).sql) is True


@pytest.mark.parametrize(
    "text",
    [
        "lower(abs(" * 11 + "channel" + "))" * 11 + " = 'x'",
        "CASE " * 20 + "channel" + " WHEN 'a' THEN 'b' WHEN 'c' THEN 'd' END" * 20 + " = 'x'",
        " || ".join(["channel + 1"] * 90) + " = 'x'",
        " + ".join(["hour(ts)"] * 90) + " > 1",
    ],
)
def test_fault_079_sql_does_not_grow_out_of_proportion(text: str) -> None:
    sql = compile_condition(text, SCHEMA, "UTC").sql
    assert len(sql) < 100 * len(text)


WORDS = """
channel vip quantity properties ts amount 'x' '2026-01-01' 1 1.5 null true ( ) [ ] { } , . ; : :: = <> < > + -
* / % || and or not in is like ilike escape between case when then else end cast( as int) date timestamp ~ ! ^
interval select from where exists( lower( coalesce( if( extract( hour distinct over filter ? $1 @ # & | -- /*
*/ " ' ` $$ e' x' -> ->> => lambda any( all( unnest( struct map( with pivot union values set group by order
"""


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join)))
@settings(max_examples=1500, deadline=None)
@example("if = 1")
@example("a.b.c.d.e(1).f")
@example("cast(1 as")
@example("{{ x }}")
@example("channel is distinct from")
def test_any_text_compiles_or_is_a_question_error(text: str) -> None:
    seen: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = seen.append  # type: ignore[method-assign]
    logging.getLogger("sqlglot").addHandler(handler)
    try:
        sql = compile_condition(text, SCHEMA, "Europe/Berlin").sql
    except QuestionError as error:
        assert error.message.isprintable() and (error.hint or "x").isprintable()
    else:
        columns = ", ".join(
            f"CAST(NULL AS {TYPES.get(kind, 'VARCHAR')}) AS {quote_identifier(name)}"
            for name, kind in KINDS.items()
        )
        duckdb.execute(f"SELECT {sql} FROM (SELECT {columns})").fetchall()
    finally:
        logging.getLogger("sqlglot").removeHandler(handler)
    assert seen == []


ATOMS = st.sampled_from(["a", "b", "c", "1", "2", "0"])
NUMBERS = st.recursive(
    ATOMS,
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(
        lambda t: f"{t[0]} {t[1]} {t[2]}"
    ),
    max_leaves=4,
)
COMPARISONS = st.one_of(
    st.tuples(NUMBERS, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), NUMBERS).map(" ".join),
    st.tuples(ATOMS, st.sampled_from(["IS NULL", "IS NOT NULL", "IN (1, 2)", "NOT IN (0, 1)"])).map(" ".join),
    st.tuples(ATOMS, NUMBERS, NUMBERS).map(lambda t: f"{t[0]} BETWEEN {t[1]} AND {t[2]}"),
    st.tuples(ATOMS, NUMBERS).map(lambda t: f"{t[0]} IS DISTINCT FROM {t[1]}"),
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        inner.map(lambda text: f"NOT {text}"),
        inner.map(lambda text: f"({text})"),
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(" ".join),
    ),
    max_leaves=5,
)


@given(CONDITIONS)
@settings(max_examples=250, deadline=None)
def test_plain_conditions_mean_what_the_engine_means(text: str) -> None:
    schema = Schema({name: Column(name, "integer") for name in "abc"})
    some = {"a": "(0), (1), (2), (NULL)", "b": "(1), (3)", "c": "(0), (NULL)"}
    rows = ", ".join(f"(VALUES {values}) AS {name}_({name})" for name, values in some.items())
    sql = compile_condition(text, schema).sql
    ours = duckdb.execute(f"SELECT a, b, c, {sql} AS met FROM {rows} ORDER BY ALL").fetchall()
    theirs = duckdb.execute(f"SELECT a, b, c, {text} AS met FROM {rows} ORDER BY ALL").fetchall()
    assert ours == theirs


ZONES = ["UTC", "Asia/Shanghai", "Asia/Kolkata", "Europe/Berlin", "America/New_York", "America/St_Johns"]


@pytest.mark.parametrize("name", ZONES)
def test_fault_055_hours_and_days_are_those_of_the_zone(name: str) -> None:
    tz = ranges.zone(name)
    moments = list(range(946_684_800_000, 2_524_608_000_000, 86_400_000 * 17 + 5_023_999))
    moments += [
        ranges.parse_start(day, tz) + hour * 3_600_000
        for day in ("2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01")
        for hour in range(26)
    ]
    schema = Schema({"ts": Column("ts", "time")})
    parts = [
        compile_value(f"{part}(ts)", schema, name).sql for part in ("year", "month", "day", "hour", "isodow")
    ]
    values = ", ".join(f"({ms})" for ms in moments)
    found = duckdb.execute(f"SELECT ts, {', '.join(parts)} FROM (VALUES {values}) t(ts)").fetchall()
    for ms, *seen in found:
        local = ranges.iso(ms, tz)
        weekday = ranges.datetime.fromisoformat(local).isoweekday()
        assert seen == [int(local[:4]), int(local[5:7]), int(local[8:10]), int(local[11:13]), weekday]


def test_fault_055_hours_outside_the_known_years_are_null() -> None:
    sql = compile_value("hour(ts)", Schema({"ts": Column("ts", "time")}), "Europe/Berlin").sql
    ends = "(VALUES (-9223372036854775807), (9223372036854775807), (NULL)) t(ts)"
    assert duckdb.execute(f"SELECT {sql} FROM {ends}").fetchall() == [(None,)] * 3


def test_literals_of_every_kind() -> None:
    written = [quote_literal(value) for value in (None, True, False, 5, -5, 2.5, -2.5, "it's")]
    assert written == ["NULL", "TRUE", "FALSE", "5", "(-5)", "2.5e0", "(-2.5e0)", "'it''s'"]
    for value in (float("nan"), float("inf")):
        with pytest.raises(QuestionError):
            quote_literal(value)


def test_the_parser_is_not_imported_until_it_is_needed() -> None:
    program = "import sys, queries.expression; sys.exit('sqlglot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
