"""The contenders that are not the workbench: ClickHouse, DuckDB, Polars and the scan that no engine can beat.

Readers of raw files link devices in the question, as anybody without a store must; the others read the tables of
``prepared.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from measuring import Contender, Levels
from prepared import Prepared, connected, owner_sql


@dataclass(frozen=True, slots=True)
class Funnel:
    """A funnel as every contender is asked it."""

    events: tuple[str, ...]
    conditions: tuple[str, ...]
    """By step, in words that the workbench, ClickHouse and DuckDB read alike; empty for none."""
    window_days: int = 7

    @property
    def window(self) -> int:
        """In milliseconds."""
        return self.window_days * 86_400_000

    @property
    def steps(self) -> tuple[str, ...]:
        """As the workbench reads them."""
        return tuple(
            f"{event}: {condition}" if condition else event
            for event, condition in zip(self.events, self.conditions, strict=True)
        )

    @property
    def matches(self) -> tuple[str, ...]:
        """As conditions in SQL."""
        return tuple(
            f"event = '{event}'" + (f" AND {condition}" if condition else "")
            for event, condition in zip(self.events, self.conditions, strict=True)
        )


def reached(levels: Sequence[tuple[int, int]], steps: int) -> Levels:
    """People who reached each step at least, from people by their level."""
    counts = [0] * (steps + 1)
    for level, count in levels:
        counts[level] += count
    return [sum(counts[step:]) for step in range(1, steps + 1)]


# --- ClickHouse ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClickHouse:
    """``windowFunnel`` over the raw files and over the prepared table, in one embedded session."""

    prepared: Prepared
    session: Any
    threads: int

    def _asking(self, sql: str, read: Callable[[str], Levels]) -> Callable[[], Callable[[], Levels]]:
        whole = f"{sql} SETTINGS max_threads = {self.threads}, join_use_nulls = 1"

        def run() -> Levels:
            return read(str(self.session.query(whole, "TSV")))

        return lambda: run

    def _funnel(self, source: str, person: str, ms: str, funnel: Funnel, by: str | None) -> str:
        steps = ", ".join(funnel.matches)
        level = f"windowFunnel({funnel.window})({ms}, {steps})"
        # A breakdown as its users would write it: the value of the first step 1, one more aggregate.
        value = f", argMinIf({by}, ts, {funnel.matches[0]}) AS value" if by else ""
        names = ", ".join(f"'{name}'" for name in dict.fromkeys(funnel.events))
        return (
            f"SELECT level, count() FROM (SELECT {person} AS who, {level} AS level{value} FROM {source} "
            f"WHERE event IN ({names}) GROUP BY who) GROUP BY {'value, level' if by else 'level'}"
        )

    def merge_tree(self, funnel: Funnel, by: str | None = None) -> Contender:
        """Over the table sorted by person and time."""
        sql = self._funnel("peers.sorted", "person", "toUInt64(ts)", funnel, by)
        return Contender(self._asking(sql, lambda text: _levels(text, len(funnel.events))))

    def raw(self, funnel: Funnel, by: str | None = None, *, linked: bool = True) -> Contender:
        """Over the Parquet files as they are; ``linked``: devices of one login belong to it."""
        files = f"file('{self.prepared.files}', Parquet)"
        ms = "toUInt64(toUnixTimestamp64Milli(ts))"
        owner, source, person = "", f"{files} AS e", "coalesce(user_id, anonymous_id)"
        if linked:
            owner = f"WITH owner AS ({owner_sql(files)}) "
            source = f"{files} AS e LEFT JOIN owner ON owner.anonymous_id = e.anonymous_id"
            person = "coalesce(user_id, owner.one, e.anonymous_id)"
        sql = owner + self._funnel(source, person, ms, funnel, by)
        return Contender(self._asking(sql, lambda text: _levels(text, len(funnel.events))))

    def timeline(self, person: int, rows: int) -> Levels:
        """The newest rows of a person from the sorted table; how many."""
        sql = f"SELECT * FROM peers.sorted WHERE person = {person} ORDER BY ts DESC LIMIT {rows}"
        return [
            len(str(self.session.query(f"{sql} SETTINGS max_threads = {self.threads}", "TSV")).splitlines())
        ]


def _levels(text: str, steps: int) -> Levels:
    pairs = [line.split("\t") for line in text.splitlines()]
    return reached([(int(level), int(count)) for level, count in pairs], steps)


# --- DuckDB -------------------------------------------------------------------------------------------------------


def scan(prepared: Prepared, threads: int) -> Contender:
    """The physical limit: person, time and event of every row are decoded and added up, from the native table."""
    con = connected(prepared.database, threads=threads)
    sql = "SELECT sum(person), sum(ts), sum(enum_code(event)) FROM sorted"
    return Contender(lambda: lambda: _ints(con.execute(sql).fetchone()), agrees=False)


def scan_files(prepared: Prepared, threads: int) -> Contender:
    """The same over the raw files: ids and names are texts there."""
    con = connected(None, threads=threads)
    sql = (
        "SELECT sum(strlen(coalesce(user_id, anonymous_id))), sum(epoch_ms(ts)), sum(strlen(event)) "
        f"FROM '{prepared.files}'"
    )
    return Contender(lambda: lambda: _ints(con.execute(sql).fetchone()), agrees=False)


def asof_chain(prepared: Prepared, funnel: Funnel, threads: int) -> Contender:
    """The best plain SQL known here: one ASOF join for each step, on person and time in one integer."""
    con = connected(prepared.database, threads=threads)
    parts = [
        "s1 AS (SELECT (person::BIGINT << 42) | ts AS key, ts AS entry, person FROM sorted "
        f"WHERE event = '{funnel.events[0]}')"
    ]
    for step, event in enumerate(funnel.events[1:], start=2):
        parts.append(
            f"s{step} AS (SELECT l.key, s.entry, l.person FROM "
            f"(SELECT (person::BIGINT << 42) | ts AS key, ts, person FROM sorted WHERE event = '{event}') l "
            f"ASOF JOIN s{step - 1} s ON l.key >= s.key "
            f"WHERE s.person = l.person AND l.ts - s.entry <= {funnel.window})"
        )
    counts = ", ".join(f"(SELECT count(DISTINCT person) FROM s{step})" for step in range(1, len(parts) + 1))
    sql = f"WITH {', '.join(parts)} SELECT {counts}"
    return Contender(lambda: lambda: _ints(con.execute(sql).fetchone()))


def _ints(row: Sequence[Any] | None) -> Levels:
    return [int(value) for value in row or ()]


# --- Polars -------------------------------------------------------------------------------------------------------


def polars_chain(prepared: Prepared, funnel: Funnel, threads: int) -> Contender:
    """A lazy chain of ASOF joins over the raw files, devices linked by a join; the streaming engine collects it."""
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as pl

    files = prepared.files

    def run() -> Levels:
        raw = pl.scan_parquet(files)
        one = pl.col("user_id").min()
        owner = (
            raw.filter(pl.col("user_id").is_not_null())
            .group_by("anonymous_id")
            .agg(one.alias("one"), (one == pl.col("user_id").max()).alias("single"))
            .filter(pl.col("single"))
            .select("anonymous_id", "one")
        )
        events = (
            raw.select("user_id", "anonymous_id", "ts", "event")
            .filter(pl.col("event").is_in(list(funnel.events)))
            .join(owner, on="anonymous_id", how="left")
            .select(
                pl.coalesce("user_id", "one", "anonymous_id").rank("dense").cast(pl.Int64).alias("person"),
                pl.col("ts").dt.epoch("ms").alias("ts"),
                "event",
            )
            .with_columns((pl.col("person") * (1 << 42) + pl.col("ts")).alias("key"))
            .collect()
        )
        return _chained(events, funnel)

    return Contender(lambda: run)


def _chained(events: Any, funnel: Funnel) -> Levels:
    import polars as pl

    found: Levels = []
    before: Any = None
    for event in funnel.events:
        lane = events.lazy().filter(pl.col("event") == event).select("key", "person", "ts").sort("key")
        if before is None:
            step = lane.with_columns(pl.col("ts").alias("entry"))
        else:
            step = (
                lane.join_asof(before.lazy(), on="key", suffix="_before")
                .filter(
                    (pl.col("person") == pl.col("person_before"))
                    & (pl.col("ts") - pl.col("entry") <= funnel.window)
                )
                .select("key", "person", "ts", "entry")
            )
        before = step.select("key", "person", "entry", "ts").collect()
        found.append(int(before["person"].n_unique()))
    return found
