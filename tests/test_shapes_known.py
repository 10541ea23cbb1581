"""The exports of other tools: each fixture tells the common events in its tool's form, and must read the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from queries.funnel import answer, request
from queries.question import Scope
from workbench.dataset import Dataset, opened
from workbench.errors import UsageError
from workbench.limits import limits
from workbench.runner import Task
from workbench.sources import duck_types
from workbench.sources.proposal import propose, write
from workbench.sources.shapes import recognise
from workbench.workspace import load

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "shapes"

SHAPES = (
    *("amplitude", "ga4_bigquery", "growingio", "matomo", "mixpanel", "posthog", "rees46", "retailrocket"),
    *("segment", "sensors", "snowplow"),
)
WITHOUT_AMOUNTS = ("retailrocket",)
WITHOUT_ORDERS = ("rees46",)
WITH_ITEMS = ("ga4_bigquery", "retailrocket", "segment", "snowplow")
STEPS = ("view", "add", "order")

Told = tuple[int, str, int, str, str | None, int | None]
"""Time, role, person by first appearance, product, order, amount in minor units."""


@pytest.fixture(autouse=True)
def _apart(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.getbasetemp() / "home"
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "WORKBENCH_SPILL"):
        monkeypatch.setenv(name, str(home / name.lower()))


def data(*paths: Path) -> Dataset:
    return opened(Scope(data=tuple(str(path) for path in paths)), Task())


def told(dataset: Dataset) -> list[Told]:
    """The events with a role among the steps, in order of time, whatever the export calls them."""
    roles = {name: role for role in STEPS for name in dataset.schema.roles[role].split("|")}
    there = {column.name for column in dataset._relation.columns}
    names = [name if name in there else f"NULL AS {name}" for name in ("product_id", "order_id", "amount")]
    ids = [f'"{name}"' for name in dataset._relation.ids]
    rows = dataset.fetch(
        f"SELECT ts, event, {', '.join([*names, *ids])} FROM source_events ORDER BY ts, place"
    )
    people = merged([row[5:] for row in rows])
    seen: dict[int, int] = {}
    out: list[Told] = []
    for row, person in zip(rows, people, strict=True):
        role = roles.get(str(row[1]))
        if role is not None:
            out.append((row[0], role, seen.setdefault(person, len(seen) + 1), *row[2:5]))  # type: ignore[arg-type]
    return out


def merged(ids: Sequence[tuple[object, ...]]) -> list[int]:
    """Rows that share an id of a kind, directly or through others, are one person."""
    groups: list[set[tuple[int, object]]] = []
    for row in ids:
        own = {(kind, value) for kind, value in enumerate(row) if value is not None}
        alike = [group for group in groups if group & own]
        groups = [group for group in groups if not group & own] + [own.union(*alike)]
    return [
        next(
            place
            for place, group in enumerate(groups)
            if any((k, v) in group for k, v in enumerate(row) if v is not None)
        )
        for row in ids
    ]


def counts(dataset: Dataset, order: str | None = "amount > 100") -> list[int]:
    """How many people reach each step."""
    roles = dataset.schema.roles
    last = roles["order"] if order is None else f"{roles['order']}: {order}"
    result = answer(request([roles["view"], roles["add"], last], "7d", Scope()), dataset)
    return [int(str(row["users"])) for row in result.rows]


@pytest.fixture(scope="module")
def common() -> list[Told]:
    return told(data(FIXTURES / "common"))


def test_the_common_events_are_what_the_others_are_measured_by(common: list[Told]) -> None:
    assert [event[1:] for event in common] == [
        ("view", 1, "101", None, None),
        ("view", 2, "101", None, None),
        ("add", 1, "101", None, None),
        ("add", 2, "102", None, None),
        ("view", 3, "101", None, None),
        ("add", 3, "101", None, None),
        ("order", 4, "102", "9004", 20_000),
        ("order", 1, "101", "9001", 15_050),
        ("order", 2, "102", "9002", 5_000),
        ("view", 4, "102", None, None),
        ("view", 5, "102", None, None),
    ]
    assert counts(data(FIXTURES / "common")) == [5, 3, 1]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_export_is_known_and_reads_as_the_common_events(shape: str, common: list[Told]) -> None:
    dataset = data(FIXTURES / shape)
    assert dataset._relation.shapes[0] == shape
    assert set(dataset._relation.shapes) == {shape}
    warned = {note.code for note in dataset._relation.notes if note.level == "warning"}
    assert warned <= {"lines-grouped"}
    assert told(dataset) == [
        (
            *event[:4],
            None if shape in WITHOUT_ORDERS else event[4],
            None if shape in WITHOUT_AMOUNTS else event[5],
        )
        for event in common
    ]
    if shape in WITHOUT_AMOUNTS:
        assert counts(dataset, None) == [5, 3, 2]
    else:
        assert counts(dataset) == [5, 3, 1]
        assert counts(dataset, None) == [5, 3, 2]
    assert dataset.survey().people == 5


@pytest.mark.parametrize("shape", SHAPES)
def test_init_names_the_shape_unasked(shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = propose([FIXTURES / shape], root=tmp_path)
    assert (proposal.guessed, proposal.missing) == ((), ())
    workspace = load(write(proposal, tmp_path))
    assert {source.shape for source in workspace.sources} == {shape}
    monkeypatch.chdir(tmp_path)
    last = None if shape in WITHOUT_AMOUNTS else "amount > 100"
    assert counts(opened(Scope(), Task()), last) == [5, 3, 2 if last is None else 1]


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in WITHOUT_ORDERS])
def test_orders_hold_items_where_the_export_tells_them(shape: str) -> None:
    dataset = data(FIXTURES / shape)
    sql = dataset._relation.items_sql
    if shape not in WITH_ITEMS:
        assert sql is None or dataset.fetch(sql) == []
        return
    rows = dataset.fetch("SELECT order_id, product_id, quantity, amount FROM items ORDER BY order_id")
    amounts = [15_050, 5_000, 20_000] if shape not in WITHOUT_AMOUNTS else [None] * 3
    quantities = [2, 1, 1] if shape not in WITHOUT_AMOUNTS else [None] * 3
    products = ["101", "102", "102"]
    assert rows == list(zip(["9001", "9002", "9004"], products, quantities, amounts, strict=True))


@pytest.mark.parametrize("lists", ["lists", "BigQuery's lists"])
def test_ga4_parquet_is_read_as_its_json(tmp_path: Path, common: list[Told], lists: str) -> None:
    source = FIXTURES / "ga4_bigquery" / "events_20240305.json"
    wide = "STRUCT(string_value VARCHAR, int_value BIGINT, float_value DOUBLE, double_value DOUBLE)"
    item = "STRUCT(item_id VARCHAR, item_name VARCHAR, item_category VARCHAR, quantity BIGINT, item_revenue DOUBLE)"
    types = {
        "event_timestamp": "BIGINT",
        "event_name": "VARCHAR",
        "event_params": f"STRUCT(key VARCHAR, value {wide})[]",
        "user_id": "VARCHAR",
        "user_pseudo_id": "VARCHAR",
        "device": "STRUCT(category VARCHAR)",
        "collected_traffic_source": "STRUCT(manual_source VARCHAR)",
        "ecommerce": "STRUCT(transaction_id VARCHAR, purchase_revenue DOUBLE)",
        "items": f"{item}[]",
    }
    columns = ", ".join(f"{name}: '{type_}'" for name, type_ in types.items())
    chosen = "*"
    if lists != "lists":
        wrapped = "{{'list': list_transform({0}, lambda x: {{'element': x}})}} AS {0}"
        chosen = f"* REPLACE ({wrapped.format('event_params')}, {wrapped.format('items')})"
    target = tmp_path / "events_20240305.parquet"
    duckdb.execute(
        f"COPY (SELECT {chosen} FROM read_json('{source}', columns = {{{columns}}})) TO '{target}' (FORMAT parquet)"
    )
    dataset = data(target)
    assert told(dataset) == common
    assert dataset.fetch(
        "SELECT DISTINCT session_id, source, device, url FROM source_events WHERE anonymous_id = 'd1' ORDER BY ALL"
    )[0] == ("1709632801", "newsletter", "mobile", "https://shop.example/add")
    assert dataset.fetch("SELECT order_id, amount FROM items ORDER BY 1")[0] == ("9001", 15_050)
    assert counts(dataset) == [5, 3, 1]


def test_ga4_keeps_what_is_finer_than_a_millisecond_and_the_order_within_a_batch() -> None:
    dataset = data(FIXTURES / "ga4_bigquery")
    assert dataset._relation.has_fine and dataset._relation.has_sequence
    assert dataset.fetch("SELECT min(fine), max(fine), min(sequence), max(sequence) FROM source_events") == [
        (250_000, 250_000, 100_001, 100_012)
    ]


def test_identity_events_join_device_and_user() -> None:
    for shape in ("posthog", "sensors", "segment"):
        dataset = data(FIXTURES / shape)
        login = dataset.schema.roles["login"].split("|")
        listed = ", ".join(f"'{name}'" for name in login)
        rows = dataset.fetch(
            f"SELECT user_id, anonymous_id FROM source_events WHERE event IN ({listed}) ORDER BY ts"
        )
        assert rows == [("u1", "d1")], shape


def test_sensors_profiles_are_no_events_and_said() -> None:
    dataset = data(FIXTURES / "sensors")
    assert dataset.fetch("SELECT count(*) FROM source_events") == [(12,)]
    assert [note.text for note in dataset._relation.notes if note.code == "rows-not-events"] == [
        "sensors: records of users and items (profile_set, item_set and others) are no events and are left out"
    ]


def test_segment_tables_of_one_event_are_events_where_there_are_no_tracks(
    tmp_path: Path, common: list[Told]
) -> None:
    for name in ("product_viewed", "product_added", "order_completed", "identifies"):
        (tmp_path / f"{name}.csv").write_bytes((FIXTURES / "segment" / f"{name}.csv").read_bytes())
    dataset = data(tmp_path)
    assert told(dataset) == common
    assert dataset.fetch("SELECT order_id, product_id, amount FROM items ORDER BY 1")[0] == (
        "9001",
        "101",
        15_050,
    )
    assert [note.code for note in dataset._relation.notes if note.code == "companion"] == []


def test_amplitude_and_matomo_tell_sessions_and_campaigns() -> None:
    amplitude = data(FIXTURES / "amplitude")
    assert amplitude.fetch(
        "SELECT DISTINCT anonymous_id, session_id, source FROM source_events WHERE anonymous_id IN ('d1', 'd5') "
        "ORDER BY 1"
    ) == [("d1", "1709632800001", "newsletter"), ("d5", None, None)]
    matomo = data(FIXTURES / "matomo")
    assert matomo.fetch(
        "SELECT DISTINCT session_id, medium, campaign FROM source_events WHERE user_id IN ('u1', 'u2') ORDER BY 1"
    ) == [("501", "campaign", "spring"), ("502", "direct", None)]
    assert matomo.fetch("SELECT count(*), count(DISTINCT place) FROM source_events") == [(12, 12)]
    assert matomo.fetch("SELECT event FROM source_events WHERE session_id = '501' ORDER BY place") == [
        ("productView",),
        ("goal",),
        ("add_to_cart",),
        ("ecommerceOrder",),
    ]


def test_times_without_a_zone_are_the_export_s_not_the_workspace_s(tmp_path: Path) -> None:
    (tmp_path / "workbench.toml").write_text(
        f'timezone = "Asia/Shanghai"\n[[source]]\nname = "a"\npath = "{FIXTURES}/amplitude"\n'
        f'[[source]]\nname = "b"\npath = "{FIXTURES}/snowplow"\nzone = "Asia/Tokyo"\n',
        "utf-8",
    )
    workspace = load(tmp_path)
    dataset = Dataset(workspace, Scope(), Task(), limits(None, None))
    assert dataset.fetch("SELECT source_index, min(ts) FROM source_events GROUP BY 1 ORDER BY 1") == [
        (0, 1_709_632_800_000),
        (1, 1_709_632_800_000 - 9 * 3_600_000),
    ]


def test_sources_of_several_shapes_answer_together(tmp_path: Path) -> None:
    names = ("posthog", "rees46", "mixpanel", "matomo", "retailrocket", "ga4_bigquery")
    listed = "".join(f'[[source]]\nname = "{name}"\npath = "{FIXTURES}/{name}"\n' for name in names)
    own = f'[[source]]\nname = "own"\npath = "{FIXTURES}/common/events.csv"\n[source.map]\nts = "ts"\n'
    (tmp_path / "workbench.toml").write_text(listed + own, "utf-8")
    dataset = Dataset(load(tmp_path), Scope(), Task(), limits(None, None))
    assert dataset._relation.shapes == names
    assert dataset.schema.roles["order"].split("|") == [
        *("Order Completed", "order_completed", "purchase", "ecommerceOrder", "transaction")
    ]
    # d1 to d5 and u1 to u4 are the same people in four of them; Matomo shares its users, three numbers their own.
    rows = dataset.fetch("SELECT source_index, count(*) FROM source_events GROUP BY 1 ORDER BY 1")
    assert rows == [(0, 12), (1, 11), (2, 12), (3, 12), (4, 11), (5, 12), (6, 12)]
    # u1 to u4 and d3, d5 of Matomo's visitors, five of REES46, five of RetailRocket, d1 to d5 of the others.
    assert counts(dataset) == [17, 10, 2]


def test_a_path_in_brackets_reaches_one_element() -> None:
    con = duckdb.connect()
    con.execute(
        'CREATE TABLE t AS SELECT \'{"a": [{"key": "k", "value": {"int_value": "5"}}, '
        "{\"key\": \"s\", \"value\": \"plain\"}]}' AS j, [{'key': 'k', 'value': 'v'}] AS r, ['x', 'y'] AS l"
    )
    types = {"j": "VARCHAR", "r": "STRUCT(key VARCHAR, value VARCHAR)[]", "l": "VARCHAR[]"}

    def at(path: str) -> object:
        steps = duck_types.steps(path)
        found = duck_types.reach(duck_types.Typed(steps[0], types[steps[0]]), steps[1:])
        assert found is not None
        return con.execute(f"SELECT {found.sql} FROM t").fetchall()[0][0]

    assert (at("j.a[k]"), at("j.a[s]"), at("j.a[none]")) == ("5", "plain", None)
    assert (at("j.a[1].key"), at("j.a[7].key")) == ("s", None)
    assert (at("r[k]"), at("l[1]"), at("l[2]")) == ("v", "y", None)
    assert duck_types.steps("p.Item [SKU].x") == ["p", "Item [SKU]", "x"]
    assert duck_types.steps("p.[Amplitude] Page Path") == ["p", "[Amplitude] Page Path"]


SEGMENT = "id received_at sent_at original_timestamp timestamp anonymous_id user_id context_page_url"


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (f"{SEGMENT} event event_text context_ip uuid_ts", ("segment", "tracks")),
        (f"{SEGMENT} event event_text video_id", ("segment", "event")),
        (f"{SEGMENT} url path title name", ("segment", "pages")),
        (f"{SEGMENT} email plan", ("segment", "identifies")),
        (f"{SEGMENT} group_id", None),
        (
            "visitUserId sessionId time sendTime eventName eventNumber eventVariable loginUserId",
            ("growingio", "raw"),
        ),
        ("event properties", ("mixpanel", None)),
        ("event properties other", None),
        ("timestamp itemid property value", None),
        ("gio_id birthday", None),
    ],
)
def test_columns_tell_the_tables_of_a_shape_apart(
    columns: str, expected: tuple[str, str | None] | None
) -> None:
    table = recognise(columns.split())
    assert (None if table is None else (table.shape, table.name)) == expected


def test_event_and_properties_alone_are_mixpanel_s_only_with_its_values_inside(tmp_path: Path) -> None:
    lines = (FIXTURES / "mixpanel" / "export.jsonl").read_text("utf-8")
    (tmp_path / "other.jsonl").write_text(lines.replace('"distinct_id"', '"who"'), "utf-8")
    with pytest.raises(UsageError, match="no file has a shape we know"):
        data(tmp_path)


def test_growingio_s_raw_export_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "custom_event.csv").write_text(
        "visitUserId,sessionId,time,sendTime,domain,page,eventName,eventNumber,eventVariable,loginUserId\n"
        "d1,s1,1709632800000,1709632801000,shop.example,/p,paySuccess,1,"
        '"{""orderId"": ""9"", ""payAmount"": ""12.5""}",u1\n',
        "utf-8",
    )
    dataset = data(tmp_path)
    assert dataset.fetch(
        "SELECT ts, event, user_id, anonymous_id, session_id, page, order_id, amount FROM source_events"
    ) == [(1_709_632_800_000, "paySuccess", "u1", "d1", "s1", "/p", "9", 1250)]


def test_lines_of_one_transaction_are_one_order(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "timestamp,visitorid,event,itemid,transactionid\n1709632800000,1,view,7,\n"
        "1709632800000,1,view,8,\n1709632900000,1,transaction,7,50\n1709632900000,1,transaction,8,50\n",
        "utf-8",
    )
    dataset = data(tmp_path)
    assert dataset.fetch("SELECT event, product_id, order_id FROM source_events ORDER BY place") == [
        ("view", "7", None),
        ("view", "8", None),
        ("transaction", "7", "50"),
    ]
    assert dataset.fetch("SELECT order_id, product_id FROM items ORDER BY ALL") == [("50", "7"), ("50", "8")]


def test_a_purchase_of_several_items_names_none_of_them_as_its_product(tmp_path: Path) -> None:
    lines = (FIXTURES / "ga4_bigquery" / "events_20240305.json").read_text("utf-8").splitlines()
    event = json.loads(next(line for line in lines if '"9001"' in line))
    event["items"].append({**event["items"][0], "item_id": "103", "item_revenue": 1.005})
    (tmp_path / "events_20240305.json").write_text(json.dumps(event) + "\n", "utf-8")
    dataset = data(tmp_path)
    assert dataset.fetch("SELECT order_id, product_id, amount FROM source_events") == [("9001", None, 15_050)]
    assert dataset.fetch("SELECT product_id, amount FROM items ORDER BY 1") == [("101", 15_050), ("103", 101)]
