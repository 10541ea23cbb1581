"""What `init` proposes for exports nobody described; every proposal must load and open."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from workbench.errors import UsageError
from workbench.sources import guessing
from workbench.sources.canonical import is_canonical
from workbench.sources.proposal import Proposal, draft, propose, toml_string, write
from workbench.sources.reencoding import is_gb18030
from workbench.sources.relation import Relation, relation
from workbench.sources.snapshot import DataFile, Listed, SourceFiles
from workbench.workspace import ROLES, Source, Take, Workspace, load

JOURNEY = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "completejourney"


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def listed(
    con: duckdb.DuckDBPyConnection, folder: Path, name: str = "s", pattern: str = "**/*.parquet"
) -> SourceFiles:
    files = []
    for path in sorted(folder.glob(pattern)):
        rows = con.execute(
            "DESCRIBE SELECT * FROM read_parquet($1, hive_partitioning = false)", [str(path)]
        ).fetchall()
        one = Listed(path, path.relative_to(folder).as_posix(), 1, 0, (0, 0), "parquet")
        files.append(DataFile(one, path, 0, tuple((row[0], row[1]) for row in rows)))
    return SourceFiles(name, tuple(files))


def put(con: duckdb.DuckDBPyConnection, path: Path, select: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    con.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")


def proposed(con: duckdb.DuckDBPyConnection, folder: Path) -> Proposal:
    return draft([listed(con, folder)], folder, lambda sql: con.execute(sql).fetchall())


def opened(con: duckdb.DuckDBPyConnection, folder: Path, proposal: Proposal) -> tuple[Workspace, Relation]:
    """The proposal written, loaded and opened, its sources listed anew."""
    workspace = load(write(proposal, folder, force=True))
    files = []
    for source in workspace.sources:
        parts = [
            listed(con, folder, pattern=str(Path(p).relative_to(folder)) if Path(p).is_absolute() else p)
            for p in source.patterns
        ]
        files.append(SourceFiles(source.name, tuple(file for part in parts for file in part.files)))
    made = relation(workspace, files, lambda sql: con.execute(sql).fetchall())
    con.execute(f"CREATE OR REPLACE VIEW source_events AS {made.sql}")
    return workspace, made


def columns(source: Source) -> Mapping[str, str]:
    return {name: take.names[0] for name, take in source.map.items()}


def test_the_list_of_names_knows_only_canonical_columns_and_roles() -> None:
    known = guessing._names()
    assert all(is_canonical(name) for name in known["columns"])
    assert set(known["roles"]) <= set(ROLES)
    for names in (*known["columns"].values(), *known["roles"].values()):
        assert [guessing.plain(name) for name in names] == list(names)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("userId", "user_id"),
        ("UserID", "user_id"),
        ("  Event Name ", "event_name"),
        ("utm-source", "utm_source"),
        ("用户ＩＤ", "用户id"),
        ("HTTPReferer", "http_referer"),
    ],
)
def test_names_are_compared_by_their_words(name: str, expected: str) -> None:
    assert guessing.plain(name) == expected


APP = (
    "SELECT 1704110400 + range AS eventTime, "
    "['search', 'view_item', 'add_to_cart', 'purchase'][range % 4 + 1] AS event_name, "
    "'u' || range % 7 AS customerId, 'd' || range % 9 AS device_id, 's' || range // 4 AS sessionId, "
    "'web' AS utm_source, "
    "'shoes' AS keyword, range * 1.5 AS total_price, 'p' || range AS sku, {'a': 1} AS extra FROM range(40)"
)


def test_an_english_export_of_events(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    for day in ("1", "2"):
        put(con, tmp_path / "app" / f"day{day}.parquet", APP)
    proposal = proposed(con, tmp_path)
    workspace, made = opened(con, tmp_path, proposal)
    (source,) = workspace.sources
    assert source.patterns == ("app/**/*.parquet",)
    assert source.event == Take(names=("event_name",))
    assert columns(source) == {
        "ts": "eventTime",
        "user_id": "customerId",
        "anonymous_id": "device_id",
        "session_id": "sessionId",
        "source": "utm_source",
        "product_id": "sku",
        "search_term": "keyword",
        "amount": "total_price",
    }
    assert workspace.roles == {
        "search": "search",
        "view": "view_item",
        "add": "add_to_cart",
        "order": "purchase",
    }
    assert con.execute("SELECT count(*), min(ts), max(amount) FROM source_events").fetchone() == (
        80,
        1_704_110_400_000,
        5850,
    )
    assert made.set_aside == ()
    assert proposal.missing == (
        "no channel: attribution has no channel",
        "s: not mapped, kept as properties: extra",
    )
    assert proposal.guessed == ()


def test_a_chinese_export_of_order_lines(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    put(
        con,
        tmp_path / "订单.parquet",
        """SELECT '会员' || range % 5 AS "会员编号", 'N' || range // 3 AS "订单号",
        '2024-01-0' || (range % 9 + 1) || ' 10:00:00' AS "支付时间", 'P' || range AS "商品编码",
        '鞋' AS "商品名称", '男装' AS "类目", range % 3 + 1 AS "数量", '12.50' AS "实付金额",
        '1390000' || range AS "手机号", '小程序' AS "平台" FROM range(30)""",
    )
    proposal = proposed(con, tmp_path)
    workspace, made = opened(con, tmp_path, proposal)
    (source,) = workspace.sources
    assert (source.name, source.kind, source.patterns) == ("订单", "lines", ("订单.parquet",))
    assert columns(source) == {
        "ts": "支付时间",
        "user_id": "会员编号",
        "product_id": "商品编码",
        "product_name": "商品名称",
        "category": "类目",
        "order_id": "订单号",
        "quantity": "数量",
        "amount": "实付金额",
        "platform": "平台",
        "ids.phone": "手机号",
    }
    assert con.execute("SELECT sum(amount) FROM source_events").fetchone() == (37_500,)
    assert made.roles == {"order": "order"}
    assert proposal.missing[0].startswith("times carry no zone")
    assert proposal.sure[-1] == (
        "订单, of each order's first line only: platform ← 平台, product_id ← 商品编码, "
        "product_name ← 商品名称, category ← 类目"
    )


def test_a_column_of_times_with_one_that_is_none(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    put(
        con,
        tmp_path / "a.parquet",
        "SELECT if(range = 3, 'soon', '2024-01-01T10:00:0' || range || '+08:00') AS ts, 'x' AS event, "
        "'u' AS uid FROM range(6)",
    )
    proposal = proposed(con, tmp_path)
    assert proposal.sure == ("a: event ← event, user_id ← uid",)
    assert proposal.guessed == ("a: ts ← ts", "a: 1 of 6 values is no time: 'soon'")
    assert """ts = "ts"  # 1 of 6 values is no time: 'soon'""" in proposal.toml_text
    assert not any("zone" in line for line in proposal.missing)
    assert len(opened(con, tmp_path, proposal)[0].sources) == 1


@pytest.mark.parametrize("date", ["'2024-01-01'", "DATE '2024-01-01'"])
@pytest.mark.parametrize("clock", ["'10:30:00'", "TIME '10:30:00'"])
def test_a_date_beside_a_time_of_day_is_said(
    tmp_path: Path, con: duckdb.DuckDBPyConnection, date: str, clock: str
) -> None:
    put(
        con,
        tmp_path / "a.parquet",
        f"""SELECT {date} AS "日期", {clock} AS "时间", 'x' AS "事件", 'u' AS "用户" """,
    )
    proposal = proposed(con, tmp_path)
    assert proposal.sure == ("a: event ← 事件, user_id ← 用户",)
    assert proposal.guessed == (
        "a: ts ← 日期",
        "a: 日期 has no time of day; 时间 looks like one: all events are at midnight",
    )


@pytest.mark.parametrize(
    ("stamp", "naive"),
    [
        ("1704110400", False),
        ("'1704110400123'", False),
        ("'2024-01-01 10:00:00 +0800'", False),
        ("TIMESTAMPTZ '2024-01-01 10:00:00+00'", False),
        ("'2024-01-01 10:00'", True),
        ("TIMESTAMP '2024-01-01 10:00:00'", True),
    ],
)
def test_only_times_without_a_zone_are_said_to_be(
    tmp_path: Path, con: duckdb.DuckDBPyConnection, stamp: str, naive: bool
) -> None:
    put(con, tmp_path / "a.parquet", f"SELECT {stamp} AS ts, 'x' AS event, 'u' AS uid")
    assert any("no zone" in line for line in proposed(con, tmp_path).missing) is naive


def test_amounts_with_signs_are_recognised_and_said(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    put(
        con,
        tmp_path / "a.parquet",
        "SELECT TIMESTAMP '2024-01-01' AS ts, 'x' AS event, 'u' AS uid, '¥1,234.50' AS \"金额\" FROM range(3)",
    )
    proposal = proposed(con, tmp_path)
    assert "a: 金额 is text with currency signs or thousands separators, read as amounts" in proposal.sure
    opened(con, tmp_path, proposal)
    assert con.execute("SELECT sum(amount) FROM source_events").fetchone() == (370_350,)


def test_the_roles_of_a_shape_survive_another_source(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    put(
        con,
        tmp_path / "ubi_events.parquet",
        "SELECT 'on_search' AS action_name, 'c' AS client_id, 'q' AS query_id, 1717527762025 AS timestamp",
    )
    put(
        con,
        tmp_path / "app.parquet",
        "SELECT TIMESTAMPTZ '2024-01-01 00:00:00+00' AS ts, n AS event, 'u' AS uid "
        "FROM (VALUES ('site_search'), ('buy')) AS t(n)",
    )
    workspace, made = opened(con, tmp_path, proposed(con, tmp_path))
    assert len(workspace.sources) == 2
    assert made.roles["search"] == "on_search|site_search"
    assert made.roles["order"].endswith("buy")


def test_the_nearest_table_is_named_where_none_is_usable(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    put(con, tmp_path / "products.parquet", "SELECT 'p1' AS sku")
    put(con, tmp_path / "log.parquet", "SELECT 'x' AS event, 'u1' AS user_id, 'noon' AS at")
    with pytest.raises(UsageError) as caught:
        proposed(con, tmp_path)
    hint = str(caught.value.hint)
    assert hint.startswith("nearest is log: no time, but event ← event, user_id ← user_id; events need")


def test_a_guess_is_marked_as_one(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    put(
        con,
        tmp_path / "a.parquet",
        "SELECT TIMESTAMPTZ '2024-01-01 00:00:00+00' AS app_event_time, 'x' AS main_event, "
        "range AS shop_user_id FROM range(3)",
    )
    proposal = proposed(con, tmp_path)
    assert 'user_id = "shop_user_id"  # a guess' in proposal.toml_text
    assert proposal.guessed == ("a: ts ← app_event_time, event ← main_event, user_id ← shop_user_id",)
    assert not any("zone" in line for line in proposal.missing)


def test_names_alone_do_not_make_a_time(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    put(
        con,
        tmp_path / "a.parquet",
        "SELECT 'noon' AS time, TIMESTAMP '2024-01-01' AS created_at, 'x' AS event, 1 AS uid",
    )
    workspace, _ = opened(con, tmp_path, proposed(con, tmp_path))
    assert columns(workspace.sources[0])["ts"] == "created_at"


def test_tables_that_are_no_events_are_left_out_with_the_reason(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    put(con, tmp_path / "app.parquet", APP)
    put(con, tmp_path / "products.parquet", "SELECT 'p1' AS sku, 'shoe' AS product_name")
    put(con, tmp_path / "users.parquet", "SELECT 'u1' AS customer_id, 30 AS age")
    proposal = proposed(con, tmp_path)
    assert proposal.left_out == (
        "products: no time and no id of a person (columns: sku, product_name)",
        "users: no time (columns: customer_id, age)",
    )
    assert "# left out: products: no time and no id of a person" in proposal.toml_text
    assert [source.name for source in opened(con, tmp_path, proposal)[0].sources] == ["app"]


def test_one_table_per_event_takes_its_name(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    for name in ("pageViews", "orders"):
        put(
            con,
            tmp_path / f"{name}.parquet",
            f"SELECT TIMESTAMP '2024-01-01' AS ts, 'u' AS user_id, 1 AS {name}_n",
        )
    workspace, _ = opened(con, tmp_path, proposed(con, tmp_path))
    assert sorted(str(source.event and source.event.constant) for source in workspace.sources) == [
        "orders",
        "page_views",
    ]


def test_order_lines_beside_orders_are_items(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    put(
        con,
        tmp_path / "events.parquet",
        "SELECT TIMESTAMP '2024-01-01' AS time, 'paid' AS event, 'u' AS uid, 'o1' AS order_no",
    )
    put(con, tmp_path / "lines.parquet", "SELECT 'o1' AS order_no, 'p1' AS goods_id, 2 AS qty, 9.5 AS price")
    workspace, made = opened(con, tmp_path, proposed(con, tmp_path))
    assert [(source.name, source.kind) for source in workspace.sources] == [
        ("events", "events"),
        ("lines", "items"),
    ]
    assert made.items_sql is not None
    assert con.execute(made.items_sql).fetchall() == [("o1", None, "p1", None, 2, 950, None)]


def test_a_known_shape_is_named_and_its_companion_read_with_it(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    put(
        con,
        tmp_path / "ubi_events.parquet",
        "SELECT 'on_search' AS action_name, 'c' AS client_id, 'q' AS query_id, 1717527762025 AS timestamp",
    )
    put(
        con,
        tmp_path / "ubi_queries.parquet",
        "SELECT 'q' AS query_id, 'bag' AS user_query, ['a'] AS query_response_object_ids",
    )
    workspace, made = opened(con, tmp_path, proposed(con, tmp_path))
    (source,) = workspace.sources
    assert (source.shape, source.patterns) == (
        "opensearch_ubi",
        ("ubi_events.parquet", "ubi_queries.parquet"),
    )
    assert con.execute("SELECT search_term, result_count FROM source_events").fetchall() == [("bag", 1)]
    assert made.roles["search"] == "on_search"


def test_no_events_at_all_says_what_each_file_lacks(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    put(con, tmp_path / "products.parquet", "SELECT 'p1' AS sku")
    with pytest.raises(UsageError, match="products: no time and no id of a person") as caught:
        proposed(con, tmp_path)
    assert caught.value.exit_code == 2


def test_hostile_names_are_written_as_text(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    hostile = 'user"\\\n[x]\x1b id'
    quoted = '"' + hostile.replace('"', '""') + '"'
    event = 'pay|now: "x"'
    put(
        con,
        tmp_path / "a.parquet",
        f"SELECT TIMESTAMP '2024-01-01' AS ts, '{event}' AS event, 1 AS uid, 2 AS {quoted}",
    )
    workspace, _ = opened(con, tmp_path, proposed(con, tmp_path))
    assert columns(workspace.sources[0]) == {"ts": "ts", "user_id": "uid"}
    assert toml_string('a"\\\n\x7f\ud800鞋') == '"a\\"\\\\\\u000a\\u007f\N{REPLACEMENT CHARACTER}鞋"'


def test_a_workspace_is_not_replaced_unasked(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    put(con, tmp_path / "app.parquet", APP)
    proposal = proposed(con, tmp_path)
    path = write(proposal, tmp_path)
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists and is not replaced"):
        write(proposal, tmp_path)
    assert path.read_text() == "mine"
    write(proposal, tmp_path, force=True)
    assert path.read_text() == proposal.toml_text
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".part")] == []


def test_paths_are_listed_probed_and_staged_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "till.csv").write_text(
        "event_time,event,kunde_id,uid\n2024-01-01T10:00:00+08:00,paid,1,u1\n2024-01-02T10:00:00+08:00,paid,1,u2\n"
    )
    proposal = propose(["till.csv"])
    assert 'path = "till.csv"' in proposal.toml_text
    assert proposal.left_out == ()


HEADER = "时间,事件,会员编号,金额\n"


def lines(month: int, name: str = "会员") -> str:
    return "".join(
        f"2024-{month:02d}-{day:02d} 10:00:00,{'浏览' if day % 2 else '下单'},{name}{day % 4},{day}.50\n"
        for day in range(1, 20)
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that commands run in."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = tmp_path / "exports"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def init(*arguments: str) -> str:
    """What ``init`` prints, standard error included."""
    from workbench.commands.init import command

    made = CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    assert made.exit_code == 0
    return made.output


def test_a_file_of_the_same_layout_in_gb18030_becomes_a_source_of_its_own(folder: Path) -> None:
    (folder / "sep.csv").write_text(HEADER + lines(9), "utf-8")
    (folder / "oct.csv").write_text(HEADER + lines(10), "gb18030")
    told = init(".")
    assert "  oct: read as GB18030\n" in told
    assert "Left out" not in told
    sources = load(folder).sources
    assert [(one.name, one.patterns, one.encoding) for one in sources] == [
        ("sep", ("sep.csv",), None),
        ("oct", ("oct.csv",), "gb18030"),
    ]
    assert columns(sources[0]) == columns(sources[1])


def test_several_files_of_each_encoding_are_told_apart_by_name(folder: Path) -> None:
    for month in (7, 8):
        (folder / f"u{month}.csv").write_text(HEADER + lines(month), "utf-8")
        (folder / f"g{month}.csv").write_text(HEADER + lines(month), "gb18030")
    write(propose(["."]), folder)
    assert [(one.name, one.patterns, one.encoding) for one in load(folder).sources] == [
        ("exports", ("u7.csv", "u8.csv"), None),
        ("exports gb18030", ("g7.csv", "g8.csv"), "gb18030"),
    ]


def test_gb18030_alone_is_read(folder: Path) -> None:
    (folder / "oct.csv").write_text(HEADER + lines(10), "gb18030")
    proposal = propose(["."])
    assert 'path = "oct.csv"\nencoding = "gb18030"\n' in proposal.toml_text
    assert proposal.guessed == ("oct: read as GB18030",)
    assert proposal.left_out == ()


def test_compressed_json_in_gb18030_is_read(folder: Path) -> None:
    row = '{"time": "2024-01-01 10:00", "event": "下单", "user_id": "会员一"}\n'
    (folder / "a.jsonl.gz").write_bytes(gzip.compress((row * 3).encode("gb18030")))
    (folder / "b.json").write_bytes(f"[{row.strip()}]".encode("gb18030"))
    write(propose(["."]), folder)
    assert [(one.patterns, one.encoding) for one in load(folder).sources] == [
        (("**/*.json", "**/*.jsonl.gz"), "gb18030")
    ]


def test_a_file_read_in_part_is_read_whole_in_gb18030(folder: Path) -> None:
    plain_lines = "".join(f"2024-01-{day % 28 + 1:02d} 10:00:00,buy,u{day}\n" for day in range(300))
    (folder / "a.csv").write_text(
        "time,event,user_id\n" + plain_lines + "2024-02-01 10:00:00,下单,u1\n", "gb18030"
    )
    assert 'encoding = "gb18030"' in propose(["a.csv"]).toml_text


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("会员,浏览\n", "gb18030", True),
        ("Müller,gekauft\nÄpfel,für Öl\n", "latin-1", False),
        ("会員ログイン、カート\n", "shift_jis", False),
    ],
)
def test_only_chinese_text_is_taken_for_gb18030(text: str, encoding: str, expected: bool) -> None:
    assert is_gb18030(text.encode(encoding) * 5, whole=True) is expected


def test_utf8_with_a_damaged_line_is_not_taken_for_gb18030() -> None:
    good = "会员,浏览\n".encode()
    assert not is_gb18030(good * 4 + "会员\n".encode("gb18030"), whole=True)
    assert not is_gb18030("会员".encode("gb18030")[:-1], whole=True)
    assert is_gb18030("会员".encode("gb18030")[:-1], whole=False)


def test_every_file_set_aside_is_named_on_the_screen_and_in_the_file(folder: Path) -> None:
    (folder / "a.csv").write_text(HEADER + lines(9), "utf-8")
    (folder / "b.csv").write_text(HEADER + "2024-09-01 10:00", "utf-8")
    (folder / "c.csv").touch()
    (folder / "d.csv").touch()
    reason = "b.csv: no line can be read: line 2: 1 column where 4 are expected"
    told = init(".")
    assert f"Left out:\n  c.csv, d.csv: empty file\n  {reason}\n" in told
    text = (folder / "workbench.toml").read_text("utf-8")
    assert f"# left out: {reason}\n" in text
    assert "# left out: c.csv, d.csv: empty file\n" in text
    assert [source.patterns for source in load(folder).sources] == [("a.csv",)]


def test_another_encoding_is_named_to_init(folder: Path) -> None:
    (folder / "a.csv").write_text(
        "".join(["time,event,user_id\n", *(f"2024-01-0{n} 10:00,gekauft,Müller{n}\n" for n in range(1, 9))]),
        "latin-1",
    )
    with pytest.raises(UsageError, match=r"not UTF-8.*name its encoding: workbench init --encoding NAME"):
        propose(["."])
    assert "  a: read as LATIN-1\n" in init(".", "--encoding", "latin-1")
    assert [source.encoding for source in load(folder).sources] == ["latin-1"]
    with pytest.raises(UsageError, match="unknown encoding nonsense"):
        propose(["."], encoding="nonsense")


def test_a_damaged_line_does_not_change_the_encoding_of_a_file(folder: Path) -> None:
    damaged = "2024-09-20 10:00:00,浏览,会员,1.0\n".encode("gb18030")
    (folder / "a.csv").write_bytes((HEADER + lines(9)).encode() + damaged)
    assert "encoding" not in propose(["."], encoding="latin-1").toml_text
    assert "encoding" not in propose(["."]).toml_text


def test_an_encoding_that_no_file_needs_is_said_to_be_left_out(folder: Path) -> None:
    (folder / "a.csv").write_text(HEADER + lines(9), "utf-8")
    proposal = propose(["."], encoding="gb18030")
    assert "encoding" not in proposal.toml_text
    assert proposal.guessed[-1].startswith("gb18030 is not written")


AMOUNTS = "SELECT TIMESTAMP '2024-01-01' AS {ts}, 'x' AS event, 'u' AS {user}, a AS amount FROM (VALUES {values}) t(a)"


@pytest.mark.parametrize(("ts", "user"), [("ts", "user_id"), ("paid_at", "uid")])
def test_a_decimal_comma_is_declared_where_the_values_say_so(
    tmp_path: Path, con: duckdb.DuckDBPyConnection, ts: str, user: str
) -> None:
    put(
        con,
        tmp_path / "a.parquet",
        AMOUNTS.format(ts=ts, user=user, values="('1.234,50 €'), ('12,00 €'), ('7 €')"),
    )
    proposal = proposed(con, tmp_path)
    workspace, _ = opened(con, tmp_path, proposal)
    assert workspace.sources[0].money_decimal == ","
    assert "a: amount has a decimal comma" in proposal.sure
    assert con.execute("SELECT sum(amount) FROM source_events").fetchone() == (125_350,)


@pytest.mark.parametrize("values", ["('1.234,50'), ('7')", "('12,50'), ('13,50'), ('14.5')"])
def test_a_decimal_comma_in_doubt_is_asked_for(
    tmp_path: Path, con: duckdb.DuckDBPyConnection, values: str
) -> None:
    put(con, tmp_path / "a.parquet", AMOUNTS.format(ts="paid_at", user="uid", values=values))
    proposal = proposed(con, tmp_path)
    assert "decimal" not in proposal.toml_text
    assert (
        'a: amount: some amounts have a decimal comma (1.234,50): [source.money] decimal = "," reads them'
        in proposal.missing
    )


@pytest.mark.parametrize(("amount", "hinted"), [("1.234,50 €", True), ("12 or so", False)])
def test_amounts_that_cannot_be_read_are_told_with_what_would_read_them(
    folder: Path, amount: str, hinted: bool
) -> None:
    from workbench.commands.events import command

    (folder / "a.csv").write_text(f'ts,event,user_id,amount\n2024-01-01T10:00:00Z,paid,u1,"{amount}"\n')
    (folder / "workbench.toml").write_text('[[source]]\nname = "a"\npath = "a.csv"\n')
    told = " ".join(CliRunner().invoke(command, [], catch_exceptions=False).output.split())
    assert "1 values of amount in a cannot be read and count as missing" in told
    assert ('missing: [source.money] decimal = "," reads 1.234,50' in told) is hinted


def test_thousands_are_no_decimals(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    values = "('1,234'), ('12,500'), ('1,000,000')"
    put(con, tmp_path / "a.parquet", AMOUNTS.format(ts="paid_at", user="uid", values=values))
    proposal = proposed(con, tmp_path)
    assert "decimal" not in proposal.toml_text
    assert not any("decimal" in line for line in proposal.missing)


@pytest.mark.parametrize(
    ("name", "values", "pattern", "is_open"),
    [
        ("time", ("01.10.2024 17:10:00", "02.10.2024 07:10:00"), "%d.%m.%Y %H:%M:%S", True),
        ("date", ("31.10.2024 17:10", "02.10.2024 07:10"), "%d.%m.%Y %H:%M", False),
        ("when", ("10/31/2024 9:05 PM", "10/02/2024 9:05 AM"), "%m/%d/%Y %I:%M %p", False),
        ("when", ("10/11/2024 9:05 PM", "10/02/2024 9:05 AM"), "%m/%d/%Y %I:%M %p", True),
    ],
)
def test_times_that_need_a_format_are_mapped_with_one_to_uncomment(
    tmp_path: Path,
    con: duckdb.DuckDBPyConnection,
    name: str,
    values: tuple[str, ...],
    pattern: str,
    is_open: bool,
) -> None:
    stamps = ", ".join(f"('{value}')" for value in values)
    select = f"SELECT s AS \"{name}\", 'x' AS event, 'u' AS uid FROM (VALUES {stamps}) t(s)"
    put(con, tmp_path / "a.parquet", select)
    proposal = proposed(con, tmp_path)
    assert f'\n[source.time]\n# format = "{pattern}"' in proposal.toml_text
    assert f"a: {name} cannot be read until format is uncommented" in proposal.missing
    assert proposal.guessed[0] == f"a: ts ← {name}"
    assert f"looks like {pattern}" in proposal.guessed[1]
    assert ("the other way: no value says which" in proposal.guessed[1]) is is_open
    settled = replace(proposal, toml_text=proposal.toml_text.replace("# format", "format"))
    opened(con, tmp_path, settled)
    assert con.execute("SELECT count(ts) FROM source_events").fetchone() == (len(values),)


def test_our_own_columns_are_looked_at_for_times_too(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    put(con, tmp_path / "a.parquet", "SELECT '31.10.2024 17:10' AS ts, 'x' AS event, 'u' AS user_id")
    proposal = proposed(con, tmp_path)
    assert 'shape = "workbench"\n[source.time]\n# format = "%d.%m.%Y %H:%M"' in proposal.toml_text
    assert "a: ts cannot be read until format is uncommented" in proposal.missing


@pytest.mark.parametrize(
    ("stamp", "time", "message", "hint"),
    [
        (
            "'01.10.2024 17:10:00'",
            "",
            "none of its times can be read",
            'format = "%d.%m.%Y %H:%M:%S", or with %d and %m the other way',
        ),
        (
            "'2024-10-01 17:10:00'",
            'unit = "ms"',
            "its times are text, and .source.time. unit is for numbers$",
            "leave unit out",
        ),
        (
            "'31.10.2024 17:10'",
            'unit = "ms"',
            'unit is for numbers: "31.10.2024 17:10"',
            'leave unit out; say how they are written: [source.time] format = "%d.%m.%Y %H:%M"',
        ),
    ],
)
def test_times_that_do_not_fit_what_is_declared_are_refused(
    tmp_path: Path, con: duckdb.DuckDBPyConnection, stamp: str, time: str, message: str, hint: str
) -> None:
    put(con, tmp_path / "a.parquet", f"SELECT {stamp} AS at, 'x' AS event, 'u' AS uid")
    text = (
        '[[source]]\nname = "a"\npath = "a.parquet"\n[source.map]\nts = "at"\nevent = "event"\n'
        f'user_id = "uid"\n[source.time]\n{time}\n'
    )
    with pytest.raises(UsageError, match=message) as caught:
        opened(con, tmp_path, Proposal(text, (), (), (), ()))
    assert str(caught.value.hint).endswith(hint)


@pytest.mark.skipif(not JOURNEY.is_dir(), reason="the outside data set is not here")
def test_the_complete_journey_is_understood(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    proposal = draft([listed(con, JOURNEY)], tmp_path, lambda sql: con.execute(sql).fetchall())
    workspace = load(write(proposal, tmp_path))
    (source,) = workspace.sources
    assert (source.name, source.kind, source.event) == ("transactions", "lines", Take(constant="order"))
    assert columns(source) == {
        "ts": "transaction_timestamp",
        "user_id": "household_id",
        "product_id": "product_id",
        "order_id": "basket_id",
        "quantity": "quantity",
        "amount": "sales_value",
    }
    assert workspace.roles == {"order": "order"}
    assert [line.split(":")[0] for line in proposal.left_out] == [
        "campaign_descriptions",
        "campaigns",
        "coupon_redemptions",
        "demographics",
        "products",
    ]
    files = SourceFiles("transactions", listed(con, JOURNEY, pattern="transactions.parquet").files)
    made = relation(workspace, [files], lambda sql: con.execute(sql).fetchall())
    found = con.execute(
        f"SELECT count(*), count(DISTINCT user_id), sum(amount), min(ts) FROM ({made.sql})"
    ).fetchone()
    assert found == (33_186, 500, 92_274_604, 1_483_276_962_000)
