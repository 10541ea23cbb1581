"""Shapes: data files alone recognise exports; OpenSearch UBI end to end."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest

from queries.steps import parse_step
from workbench.errors import UsageError
from workbench.sources.canonical import ITEM_COLUMNS, is_canonical
from workbench.sources.relation import Relation, relation
from workbench.sources.shapes import read_shape, recognise, shape_named, shapes
from workbench.sources.snapshot import DataFile, Listed, SourceFiles
from workbench.workspace import ROLES, from_paths

ROOT = Path(__file__).resolve().parents[1]
FIXTURE = ROOT / "fixtures" / "shapes" / "opensearch_ubi"
CHORUS = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "ubi_chorus"

UBI_EVENTS = {
    "action_name": "VARCHAR",
    "client_id": "VARCHAR",
    "query_id": "VARCHAR",
    "message": "VARCHAR",
    "message_type": "VARCHAR",
    "timestamp": "BIGINT",
    "event_attributes": "JSON",
    "application": "VARCHAR",
}
UBI_QUERIES = {
    "query_id": "VARCHAR",
    "user_query": "VARCHAR",
    "query_response_object_ids": "JSON",
    "timestamp": "BIGINT",
}


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def staged(
    con: duckdb.DuckDBPyConnection, source: Path, target: Path, columns: dict[str, str] | None
) -> DataFile:
    """A JSON file as Parquet: nested values as JSON text, or as DuckDB sees them."""
    typed = (
        ""
        if columns is None
        else ", columns = {" + ", ".join(f"{k}: '{v}'" for k, v in columns.items()) + "}"
    )
    con.execute(f"COPY (SELECT * FROM read_json('{source}'{typed})) TO '{target}' (FORMAT parquet)")
    rows = con.execute("DESCRIBE SELECT * FROM read_parquet($1)", [str(target)]).fetchall()
    listed = Listed(source, source.name, 1, 0, (0, 0), "json")
    return DataFile(listed, target, 0, tuple((row[0], row[1]) for row in rows))


def opened(con: duckdb.DuckDBPyConnection, files_: list[DataFile]) -> Relation:
    workspace = from_paths([file.listed.path for file in files_])
    made = relation(
        workspace,
        [SourceFiles(workspace.sources[0].name, tuple(files_))],
        lambda sql: con.execute(sql).fetchall(),
    )
    con.execute(f"CREATE OR REPLACE VIEW source_events AS {made.sql}")
    return made


def test_every_shipped_shape_is_well_made() -> None:
    assert list(shapes()) == [
        *("amplitude", "ga4_bigquery", "growingio", "matomo", "mixpanel", "opensearch_ubi", "posthog"),
        *("rees46", "retailrocket", "segment", "sensors", "snowplow", "workbench"),
    ]
    shipped = [entry.name for entry in files("workbench.sources").joinpath("shape_files").iterdir()]
    for shape in shapes().values():
        assert f"{shape.name}.toml" in shipped
        assert set(shape.roles) <= set(ROLES)
        assert all(is_canonical(name) for table in shape.tables for name in table.map)
        assert all(parse_step(step).events for step in shape.roles.values())
        for items in (items for table in shape.tables for items in table.items):
            assert set(items.map) <= set(ITEM_COLUMNS)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("ts event user_id", ("workbench", "events")),
        ("TS Event Anonymous_ID amount", ("workbench", "events")),
        ("ts event ids.phone", ("workbench", "events")),
        ("order_id product_id quantity", ("workbench", "items")),
        ("action_name client_id query_id timestamp", ("opensearch_ubi", "events")),
        ("action_name client_id timestamp event_attributes", ("opensearch_ubi", "events")),
        (
            "query_id user_query query_response_object_ids client_id timestamp",
            ("opensearch_ubi", "companion"),
        ),
        ("ts event", None),
        ("timestamp name id", None),
        ("product_id brand", None),
    ],
)
def test_columns_say_the_shape(columns: str, expected: tuple[str, str] | None) -> None:
    table = recognise(columns.split())
    assert (None if table is None else (table.shape, table.kind)) == expected


def test_a_new_shape_takes_no_python() -> None:
    shape = read_shape(
        """
        name = "tills"
        title = "Tills"
        version = "3"
        [[table]]
        kind = "lines"
        columns = ["bon", "kunde", "zeit"]
        any = [["artikel", "ware"]]
        without = ["storno"]
        values = { art = ["V"] }
        [table.map]
        ts = "zeit"
        user_id = "kunde"
        order_id = ["bon", "bonnr"]
        channel = { constant = "till" }
        [table.time]
        unit = "s"
        [roles]
        order = "order"
        """
    )
    (table,) = shape.tables
    assert table.fits(["Bon", "Kunde", "Zeit", "Ware", "Art"])
    assert not table.fits(["bon", "kunde", "zeit", "ware"])
    assert not table.fits(["bon", "kunde", "zeit", "ware", "art", "storno"])
    assert (
        recognise(["bon", "kunde", "zeit", "ware", "art"], [table], lambda column, texts: texts == ("X",))
        is None
    )
    assert (
        recognise(["bon", "kunde", "zeit", "ware", "art"], [table], lambda column, texts: texts == ("V",))
        is table
    )
    assert table.map["order_id"].names == ("bon", "bonnr")
    assert (table.time.unit, table.map["channel"].constant) == ("s", "till")


def test_a_shape_with_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown key colums"):
        read_shape(
            'name = "x"\ntitle = "x"\nversion = "1"\n[[table]]\nkind = "events"\ncolumns = []\ncolums = []\n'
        )


def test_an_unknown_shape_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        shape_named("opensearch-ubi")
    assert "opensearch_ubi" in str(caught.value.hint)


@pytest.mark.parametrize("nested", ["json text", "structs"])
def test_opensearch_ubi_is_read_unasked(tmp_path: Path, con: duckdb.DuckDBPyConnection, nested: str) -> None:
    text = nested == "json text"
    events = staged(con, FIXTURE / "ubi_events.jsonl", tmp_path / "e.parquet", UBI_EVENTS if text else None)
    queries = staged(
        con, FIXTURE / "ubi_queries.jsonl", tmp_path / "q.parquet", UBI_QUERIES if text else None
    )
    made = opened(con, [events, queries])
    found = con.execute(
        "SELECT ts, event, anonymous_id, session_id, query_id, search_term, result_count, product_id, "
        "position, order_id, amount, margin FROM source_events ORDER BY place"
    ).fetchall()
    start = 1_717_527_762_000
    assert found == [
        (start, "on_search", "c1", "s1", "q1", "handbag", 0, None, None, None, None, None),
        (start + 4000, "on_search", "c1", "s1", "q2", "bag", 2, None, None, None, None, None),
        (start + 9000, "item_click", "c1", "s1", "q2", None, None, "p7", 1, None, None, None),
        (start + 9500, "brand_filter", "c1", "s1", "q2", None, None, None, 3, None, None, None),
        (start + 12000, "add_to_cart", "c1", "s1", "q2", None, None, "p7", 1, None, None, None),
        (start + 20000, "purchase", "c1", "s1", "q2", None, None, "p7", 1, "t1", 1999, 300),
        (start + 30000, "on_search", "c2", "s2", "q3", "lamp", None, None, None, None, None, None),
    ]
    assert made.roles == {
        "search": "on_search",
        "click": "item_click",
        "add": "add_to_cart",
        "order": "purchase",
    }
    assert made.ids == ("anonymous_id",)
    assert [note.code for note in made.notes if note.sets_aside] == []
    assert [note.code for note in made.notes] == ["companion"]
    assert {column.name: column.kind for column in made.columns}["event_attributes"] == "json"


def test_opensearch_ubi_without_its_queries_still_opens(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    events = staged(con, FIXTURE / "ubi_events.jsonl", tmp_path / "e.parquet", UBI_EVENTS)
    made = opened(con, [events])
    terms = con.execute(
        "SELECT search_term, result_count FROM source_events WHERE event = 'on_search' ORDER BY place"
    ).fetchall()
    assert terms == [("handbag", 0), (None, None), (None, None)]
    assert "JOIN" not in made.sql


def test_a_query_told_twice_doubles_no_event(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    lines = (FIXTURE / "ubi_queries.jsonl").read_text()
    twice = tmp_path / "ubi_queries.jsonl"
    twice.write_text(lines + lines.replace('"bag"', '"other"'))
    events = staged(con, FIXTURE / "ubi_events.jsonl", tmp_path / "e.parquet", UBI_EVENTS)
    queries = staged(con, twice, tmp_path / "q.parquet", UBI_QUERIES)
    workspace = from_paths([FIXTURE])
    made = relation(
        workspace,
        [SourceFiles(workspace.sources[0].name, (events, queries))],
        lambda sql: con.execute(sql).fetchall(),
    )
    assert con.execute(f"SELECT count(*) FROM ({made.sql})").fetchone() == (7,)


def test_queries_alone_are_no_events(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    queries = staged(con, FIXTURE / "ubi_queries.jsonl", tmp_path / "q.parquet", UBI_QUERIES)
    with pytest.raises(UsageError, match="no file has a shape we know"):
        opened(con, [queries])


def test_a_table_of_products_beside_events_is_left_out_politely(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    events = staged(con, FIXTURE / "ubi_events.jsonl", tmp_path / "e.parquet", UBI_EVENTS)
    products = tmp_path / "products.jsonl"
    products.write_text(json.dumps({"product_id": "p7", "brand": "b"}) + "\n")
    made = opened(con, [events, staged(con, products, tmp_path / "p.parquet", None)])
    assert con.execute("SELECT count(*) FROM source_events").fetchone() == (7,)
    assert [(aside.path, aside.state) for _, aside in made.set_aside] == [("products.jsonl", "ignored")]
    assert not any(note.sets_aside for note in made.notes)


@pytest.mark.skipif(not CHORUS.is_dir(), reason="the outside data set is not here")
def test_the_chorus_export_is_read_whole(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    events = staged(con, CHORUS / "ubi_events.jsonl.gz", tmp_path / "e.parquet", UBI_EVENTS)
    queries = staged(con, CHORUS / "ubi_queries.jsonl.gz", tmp_path / "q.parquet", UBI_QUERIES)
    made = opened(con, [events, queries])
    counts = dict(con.execute("SELECT event, count(*) FROM source_events GROUP BY event").fetchall())
    assert sum(counts.values()) == 26_828
    assert (counts["on_search"], counts["item_click"], counts["add_to_cart"], counts["purchase"]) == (
        5357,
        832,
        425,
        414,
    )
    assert con.execute(
        "SELECT count(DISTINCT anonymous_id), count(DISTINCT session_id), count(search_term), "
        "count(result_count), count(product_id) FILTER (event = 'item_click'), count(amount), count(ts) "
        "FROM source_events"
    ).fetchone() == (280, 996, 5357, 5357, 832, 414, 26_828)
    assert made.lost_sql is not None and con.execute(made.lost_sql).fetchall() == []


def test_values_decide_where_columns_do_not(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    from workbench.sources import grouping

    con.execute(f"COPY (SELECT 'V' AS Art) TO '{tmp_path}/a.parquet' (FORMAT parquet)")
    path = tmp_path / "a.parquet"
    file = DataFile(Listed(path, "a.parquet", 1, 0, (0, 0), "parquet"), path, 1, (("Art", "VARCHAR"),))
    build = grouping.Build(from_paths([tmp_path]), lambda sql: con.execute(sql).fetchall())  # type: ignore[arg-type]
    look = grouping.has_value(build.sample, file)
    assert look is not None
    assert (look("art", ("X", "V")), look("art", ("X",))) == (True, False)
