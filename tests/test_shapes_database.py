"""A DuckDB file as a source: its tables in row order, read-only, and nothing beyond the file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from queries.funnel import answer, request
from queries.question import Scope
from workbench.dataset import Dataset, opened
from workbench.errors import Cancelled, Changed, NoData, UsageError
from workbench.limits import limits
from workbench.runner import Task
from workbench.sources.proposal import propose, write
from workbench.workspace import load

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "shapes"
BIG = "170141183460469231731687303715884105727"


@pytest.fixture(autouse=True)
def _apart(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.getbasetemp() / "home"
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "WORKBENCH_SPILL"):
        monkeypatch.setenv(name, str(home / name.lower()))


def shop(folder: Path, *statements: str) -> Path:
    """A database with our common events as a table of native types, and whatever else is said."""
    path = folder / "shop.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(
            "CREATE TABLE events AS SELECT CAST(ts AS TIMESTAMP) AS ts, event, user_id, anonymous_id, product_id, "
            "order_id, quantity::HUGEINT AS quantity, amount::DECIMAL(10, 2) AS amount "
            f"FROM read_csv('{FIXTURES}/common/events.csv', all_varchar = true)"
        )
        for statement in statements:
            con.execute(statement)
    return path


def workspace(folder: Path, *lines: str) -> Dataset:
    text = '[[source]]\nname = "db"\npath = "shop.duckdb"\n' + "\n".join(lines) + "\n"
    (folder / "workbench.toml").write_text(text, "utf-8")
    return Dataset(load(folder), Scope(), Task(), limits(None, None))


def data(path: Path) -> Dataset:
    return opened(Scope(data=(str(path),)), Task())


def counts(dataset: Dataset) -> list[int]:
    steps = ["product_view", "add_to_cart", "order_paid: amount > 100"]
    return [int(str(row["users"])) for row in answer(request(steps, "7d", Scope()), dataset).rows]


def test_a_table_is_read_like_any_file(tmp_path: Path) -> None:
    shop(tmp_path)
    before = sorted(os.listdir(tmp_path))
    dataset = workspace(tmp_path, 'table = "events"')
    assert counts(dataset) == [5, 3, 1]
    assert dataset.fetch("SELECT quantity, amount FROM source_events WHERE order_id = '9001'") == [
        (2, 15_050)
    ]
    assert dataset._sources[0].files[0].listed.relative == "shop.duckdb/events"
    assert sorted(set(os.listdir(tmp_path)) - {".workbench", "workbench.toml"}) == before


def test_a_named_database_gives_all_its_tables_and_leaves_out_what_is_no_events(tmp_path: Path) -> None:
    path = shop(
        tmp_path,
        "CREATE TABLE products AS SELECT '101' AS sku, 'tote' AS title",
        "CREATE VIEW v AS FROM events",
    )
    dataset = data(path)
    assert counts(dataset) == [5, 3, 1]
    assert [file.listed.table for file in dataset._sources[0].files] == ["events", "products"]
    assert [(aside.path, aside.state) for _, aside in dataset._relation.set_aside] == [
        ("shop.duckdb/products", "ignored")
    ]


def test_views_and_schemas_are_read_when_named(tmp_path: Path) -> None:
    shop(
        tmp_path,
        "CREATE SCHEMA raw",
        "CREATE TABLE raw.late AS SELECT * FROM events WHERE event = 'product_view'",
        "CREATE VIEW paid AS SELECT * FROM events WHERE event <> 'product_view'",
    )
    dataset = workspace(tmp_path, 'table = ["raw.late", "PAID"]')
    assert [file.listed.table for file in dataset._sources[0].files] == ["paid", "raw.late"]
    assert counts(dataset) == [5, 3, 1]


def test_the_table_s_name_can_be_the_event(tmp_path: Path) -> None:
    shop(
        tmp_path,
        "CREATE SCHEMA s",
        "CREATE TABLE s.visits AS SELECT TIMESTAMP '2024-03-05' AS at, 'x' AS who",
    )
    dataset = workspace(
        tmp_path,
        'table = "s.visits"',
        'event = { from = "file" }',
        "[source.map]",
        'ts = "at"',
        'user_id = "who"',
    )
    assert dataset.fetch("SELECT event, user_id FROM source_events") == [("visits", "x")]


def test_rows_keep_their_order(tmp_path: Path) -> None:
    shop(
        tmp_path,
        "CREATE TABLE many AS SELECT TIMESTAMP '2024-03-05' AS ts, 'e' AS event, (i * 7919) % 300000 AS user_id "
        "FROM range(300000) AS t(i)",
    )
    dataset = workspace(tmp_path, 'table = "many"')
    assert dataset.fetch(
        "SELECT count(*) FROM source_events WHERE user_id <> CAST((place * 7919) % 300000 AS VARCHAR)"
    ) == [(0,)]


def test_types_parquet_lacks_stay_what_they_say(tmp_path: Path) -> None:
    shop(
        tmp_path,
        "CREATE TYPE mood AS ENUM ('low', 'high')",
        "CREATE TABLE odd AS SELECT TIMESTAMP '2024-03-05' AS ts, 'high'::mood AS event, "
        f"{BIG}::HUGEINT AS user_id, INTERVAL 3 DAY AS span, "
        f"{{'big': {BIG}::HUGEINT}} AS nest, "
        "union_value(num := 5) AS either, uuid() AS id, [1, 2] AS l",
    )
    dataset = workspace(tmp_path, 'table = "odd"')
    assert dataset.fetch("SELECT event, user_id, span, either, l, nest FROM source_events") == [
        ("high", BIG, "3 days", '{"num":5}', "[1,2]", f'{{"big":{BIG}}}')
    ]


def test_a_table_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path) -> None:
    shop(tmp_path)
    with pytest.raises(UsageError) as caught:
        workspace(tmp_path, 'table = "evens"')
    assert "has no table evens" in caught.value.message
    assert "events" in str(caught.value.hint)


def test_a_table_needs_a_database(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "common" / "events.csv", tmp_path / "events.csv")
    (tmp_path / "workbench.toml").write_text(
        '[[source]]\nname = "a"\npath = "events.csv"\ntable = "events"\n'
    )
    with pytest.raises(UsageError, match="no DuckDB file"):
        Dataset(load(tmp_path), Scope(), Task(), limits(None, None))


def test_a_database_in_a_folder_is_left_alone_until_it_is_named(tmp_path: Path) -> None:
    shop(tmp_path)
    shutil.copy(FIXTURES / "common" / "events.csv", tmp_path / "events.csv")
    dataset = data(tmp_path)
    assert dataset.survey().rows == 12
    (aside,) = dataset._sources[0].set_aside
    assert (Path(aside.path).name, aside.state) == ("shop.duckdb", "ignored")


def test_init_writes_the_table(tmp_path: Path) -> None:
    path = shop(
        tmp_path,
        "CREATE TABLE clicks AS SELECT epoch_ms(ts) AS timestamp, event, user_id AS visitorid, product_id AS itemid, "
        "order_id AS transactionid FROM events WHERE user_id IS NOT NULL",
    )
    proposal = propose([path], root=tmp_path)
    assert 'table = "events"' in proposal.toml_text and 'table = "clicks"' in proposal.toml_text
    loaded = load(write(proposal, tmp_path))
    assert [(source.shape, source.tables, source.patterns) for source in loaded.sources] == [
        ("retailrocket", ("clicks",), ("shop.duckdb",)),
        ("workbench", ("events",), ("shop.duckdb",)),
    ]
    # Two of the clicks' visitors are known to it alone: it has no users.
    assert counts(Dataset(loaded, Scope(), Task(), limits(None, None)))[0] == 7


def test_a_view_reaches_nothing_beyond_the_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("ts,event,user_id\n2024-01-01,e,u\n")
    shop(tmp_path, f"CREATE VIEW out AS SELECT * FROM read_csv('{secret}')")
    with pytest.raises(NoData, match="no readable data") as caught:
        workspace(tmp_path, 'table = "out"')
    assert f"the engine may not touch {secret}" in str(caught.value.hint)


def test_a_changed_table_is_read_anew_and_an_unchanged_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shop(tmp_path)
    assert workspace(tmp_path, 'table = "events"').survey().rows == 12
    with monkeypatch.context() as patched:
        patched.setattr("workbench.sources.staging.table_to_parquet", None)
        assert workspace(tmp_path, 'table = "events"').survey().rows == 12
    with duckdb.connect(str(path)) as con:
        con.execute("DELETE FROM events WHERE user_id IS NULL")
    assert workspace(tmp_path, 'table = "events"').survey().rows == 8


def with_wal(folder: Path) -> Path:
    """A database whose newest row stands in its log alone, as a crash leaves it."""
    live = folder / "live"
    live.mkdir()
    path = shop(live)
    con = duckdb.connect(str(path))
    con.execute(
        "INSERT INTO events (ts, event, user_id) VALUES (TIMESTAMP '2024-03-05 11:00:00', 'product_view', 'u9')"
    )
    for name in ("shop.duckdb", "shop.duckdb.wal"):
        shutil.copy(live / name, folder / name)
    con.close()
    return folder / "shop.duckdb"


def test_fault_112_rows_in_a_wal_are_seen_and_the_files_are_left_as_they_are(tmp_path: Path) -> None:
    path = with_wal(tmp_path)
    wal = path.with_name("shop.duckdb.wal")
    kept = (path.read_bytes(), wal.read_bytes())
    dataset = data(path)
    assert counts(dataset) == [6, 3, 1]
    assert (path.read_bytes(), wal.read_bytes()) == kept
    assert any("changes in its .wal file" in note for note in dataset._sources[0].notes)


def test_fault_111_a_damaged_wal_gives_what_duckdb_keeps_and_a_note(tmp_path: Path) -> None:
    path = with_wal(tmp_path)
    assert data(path).survey().rows == 13
    wal = path.with_name("shop.duckdb.wal")
    whole = wal.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"x" * 60):
        wal.write_bytes(damaged)
        dataset = data(path)
        assert dataset.survey().rows == 12
        assert any("without a word" in note for note in dataset._sources[0].notes)


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "flipped"])
def test_fault_110_a_damaged_database_is_named(tmp_path: Path, damage: str) -> None:
    path = shop(tmp_path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    for place in range(3 * 4096, len(flipped), 997):
        flipped[place] ^= 255
    contents = {"empty": b"", "text": b"hello\n" * 900, "truncated": whole[:5000], "flipped": bytes(flipped)}
    path.write_bytes(contents[damage])
    os.utime(path, (1, 1))
    with pytest.raises(NoData) as caught:
        data(path)
    assert "shop.duckdb" in f"{caught.value.message} {caught.value.hint}"
    assert "\n" not in caught.value.message


def test_a_database_that_another_process_writes_to_is_busy(tmp_path: Path) -> None:
    path = shop(tmp_path)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb; c = duckdb.connect({str(path)!r}); print('held', flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(Changed, match="open in another process"):
            data(path)
    finally:
        holder.communicate(b"\n")
    assert data(path).survey().rows == 12


def test_cancel_reaches_the_copy(tmp_path: Path) -> None:
    path = shop(tmp_path)
    task = Task()
    task.cancel()
    with pytest.raises(Cancelled):
        opened(Scope(data=(str(path),)), task)


def test_tables_that_complete_others_are_named_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as con:
        for table in ("tracks", "identifies", "order_completed", "product_added", "product_viewed"):
            con.execute(f"CREATE TABLE {table} AS SELECT * FROM read_csv('{FIXTURES}/segment/{table}.csv')")
    proposal = propose([path], root=tmp_path)
    loaded = load(write(proposal, tmp_path))
    assert [(source.shape, source.tables) for source in loaded.sources] == [
        ("segment", ("identifies",)),
        ("segment", ("tracks", "order_completed", "product_added", "product_viewed")),
    ]
    dataset = Dataset(loaded, Scope(), Task(), limits(None, None))
    assert dataset.survey().rows == 12
    assert dataset.fetch("SELECT sum(amount) FROM source_events") == [(40_050,)]
