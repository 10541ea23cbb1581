"""The peers' tables, made once beside the data in ``peers/``.

One table of events with their person (a device of one login belongs to it), sorted by person and time, as DuckDB's
native table (person, time, event) and as ClickHouse's MergeTree (what questions read).
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_READ = (
    *("session_id", "channel", "campaign", "platform", "product_id", "category", "search_term"),
    *("result_count", "amount", "quantity", "order_id"),
)
"""What the prepared MergeTree keeps beside person, time and event."""
_LOW = ("event", "channel", "campaign", "platform", "category")
"""Columns of few values."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Where the peers' tables lie, and the files they were made from."""

    folder: Path
    files: str
    """A glob of the raw files."""

    @classmethod
    def of(cls, data: Path) -> Prepared:
        """That of a workspace made by ``make_events`` or by ``workbench demo``."""
        return cls(data / "peers", str(data / "events" / "**" / "*.parquet"))

    @property
    def database(self) -> Path:
        """DuckDB's table ``sorted``."""
        return self.folder / "sorted.duckdb"

    @property
    def clickhouse(self) -> Path:
        """ClickHouse's folder, with the table ``sorted``."""
        return self.folder / "clickhouse"

    @property
    def mark(self) -> Path:
        """Says that all is there, and of which files."""
        return self.folder / "made.json"

    def is_made(self) -> bool:
        """Whether the tables are there and of these files."""
        return self.mark.exists() and json.loads(self.mark.read_text()) == self._identity()

    def _identity(self) -> list[list[object]]:
        found = sorted((self.folder.parent / "events").rglob("*.parquet"))
        return [[one.name, one.stat().st_size, one.stat().st_mtime_ns] for one in found]

    def make(self) -> None:
        """Makes the tables anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        sorted_file = self.folder / "sorted.parquet"
        self._sort(sorted_file)
        self._load(sorted_file)
        sorted_file.unlink()
        self.mark.write_text(json.dumps(self._identity()))

    def _sort(self, target: Path) -> None:
        con = connected(self.database, threads=os.cpu_count() or 1, writable=True)
        con.execute(f"SET memory_limit = '6GB'; SET temp_directory = '{self.folder / 'spill'}'")
        con.execute(f"CREATE TEMP TABLE owner AS {owner_sql(self.files)}")
        columns = ", ".join(f"e.{name}" for name in _READ)
        con.execute(
            f"CREATE TEMP TABLE ids AS SELECT id, row_number() OVER (ORDER BY hash(id), id) - 1 AS person "
            f"FROM (SELECT DISTINCT {_person('e')} AS id FROM '{self.files}' e LEFT JOIN owner USING (anonymous_id))"
        )
        con.execute(
            f"COPY (SELECT CAST(person AS UINTEGER) AS person, ids.id AS id, epoch_ms(e.ts) AS ts, e.event, {columns} "
            f"FROM '{self.files}' e LEFT JOIN owner USING (anonymous_id) JOIN ids ON ids.id = {_person('e')} "
            f"ORDER BY person, ts) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
        )
        names = ", ".join(
            f"'{name}'" for (name,) in con.execute(f"SELECT DISTINCT event FROM '{target}'").fetchall()
        )
        con.execute(f"CREATE TYPE event_name AS ENUM ({names})")
        con.execute(
            "CREATE TABLE sorted AS SELECT CAST(person AS INTEGER) AS person, ts, "
            f"CAST(event AS event_name) AS event FROM '{target}' ORDER BY person, ts"
        )
        con.execute(
            "CREATE TABLE people AS SELECT person, any_value(id) AS id, count(*) AS events "
            f"FROM '{target}' GROUP BY person"
        )
        con.close()

    def _load(self, source: Path) -> None:
        session = self.session()
        low = ", ".join(f"CAST({name} AS LowCardinality(Nullable(String))) AS {name}" for name in _LOW[1:])
        plain = ", ".join(name for name in _READ if name not in _LOW)
        session.query("CREATE DATABASE IF NOT EXISTS peers ENGINE = Atomic")
        session.query(
            "CREATE TABLE peers.sorted ENGINE = MergeTree ORDER BY (person, ts) SETTINGS allow_nullable_key = 1 AS "
            "SELECT assumeNotNull(person) AS person, assumeNotNull(id) AS id, assumeNotNull(ts) AS ts, "
            f"CAST(assumeNotNull(event) AS LowCardinality(String)) AS event, {low}, {plain} "
            f"FROM file('{source}', Parquet)"
        )
        session.query("OPTIMIZE TABLE peers.sorted FINAL")
        session.close()

    def session(self) -> Any:
        """ClickHouse's session (chdb, which has no types) over its folder; one at a time."""
        chdb: Any = importlib.import_module("chdb.session")
        return chdb.Session(str(self.clickhouse))


def connected(path: Path | None, *, threads: int, writable: bool = False) -> DuckDBPyConnection:
    """DuckDB over a file or in memory, silent."""
    import duckdb

    con = duckdb.connect(
        ":memory:" if path is None else str(path), read_only=path is not None and not writable
    )
    con.execute(f"SET threads = {threads}; SET enable_progress_bar = false")
    return con


def owner_sql(source: str) -> str:
    """Each device with exactly one login, with it; both engines read this."""
    table = source if source.startswith("file(") else f"'{source}'"
    return (
        f"SELECT anonymous_id, min(user_id) AS one FROM {table} "
        "WHERE user_id IS NOT NULL AND anonymous_id IS NOT NULL "
        "GROUP BY anonymous_id HAVING min(user_id) = max(user_id)"
    )


def _person(alias: str) -> str:
    return f"coalesce({alias}.user_id, owner.one, {alias}.anonymous_id)"
