"""Runs on disk: which columns they have, how rows are sorted into one, and how several read as one relation.

Text that repeats is sorted as a small number: each batch gets enumerations of its own, which the file does not keep.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from queries.question import Column
from queries.quoting import quote_identifier, quote_literal
from workbench.engine import Engine
from workbench.runner import Task

KEPT = (
    "session_id",
    "channel",
    "source",
    "medium",
    "campaign",
    "platform",
    "product_id",
    "category",
    "search_term",
    "result_count",
    "order_id",
    "quantity",
    "amount",
    "refund_amount",
    "coupon",
    "slot",
    "content_id",
    "live_id",
    "share_id",
    "variant",
)
"""The columns that analyses read most, of those that are there."""

ROW_BITS = 40
"""Of a place: the row; the bits above are the file's number."""

_MOST_DISTINCT = 20_000
"""Text with more values than this is sorted as it is."""
_SAMPLE = 200_000
_WRITTEN = "FORMAT parquet, COMPRESSION lz4_raw, PARQUET_VERSION v2, ROW_GROUP_SIZE 122880"


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a store's runs."""

    fixed: tuple[str, ...]
    """``ts``, ``fine`` and ``sequence`` where there are any, ``place``, ``source_index``, ``event``."""
    kept: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of an event's columns in their order, without the person's and the combination's."""
        return (*self.fixed, *(column.name for column in self.kept))

    @property
    def texts(self) -> tuple[str, ...]:
        """Those that hold text."""
        return ("event", *(column.name for column in self.kept if column.kind in ("text", "json")))


def layout(fixed: Sequence[str], columns: Sequence[Column]) -> Layout:
    """The columns that runs keep of a relation's."""
    return Layout(
        tuple(name for name in fixed if name != "ts_given"),
        tuple(column for column in columns if column.canonical and column.name in KEPT),
    )


def enumerated(engine: Engine, rows: str, texts: Sequence[str], task: Task) -> dict[str, str]:
    """Makes an enumeration of each text column with few values; column → SQL type.

    ``rows`` is a relation with every value.
    """
    counts = ", ".join(f"approx_count_distinct({quote_identifier(name)})" for name in texts)
    ((*few,),) = engine.fetch(f"SELECT {counts} FROM (SELECT * FROM {rows} LIMIT {_SAMPLE})", task=task)
    types: dict[str, str] = {}
    for place, (name, distinct) in enumerate(zip(texts, few, strict=True)):
        if int(str(distinct)) > _MOST_DISTINCT:
            continue
        own = quote_identifier(name)
        engine.execute(
            f"CREATE OR REPLACE TABLE text_values AS SELECT DISTINCT {own} AS value FROM {rows}", task=task
        )
        known = "SELECT value FROM text_values WHERE value IS NOT NULL"
        ((count,),) = engine.fetch(f"SELECT count(*) FROM (\n{known}\n)", task=task)
        if not 0 < int(str(count)) <= 4 * _MOST_DISTINCT:
            continue
        engine.execute(f"DROP TYPE IF EXISTS text_{place}", task=task)
        engine.execute(f"CREATE TYPE text_{place} AS ENUM (\n{known}\nORDER BY 1\n)", task=task)
        types[name] = f"text_{place}"
    return types


def write_run(engine: Engine, rows: str, columns: Layout, target: Path, task: Task, *, values: str) -> None:
    """Sorts a relation of rows with ``person`` and ``combo`` by person and time into a file.

    ``values`` is a relation with every text of theirs, and maybe more, that is quicker to look through.
    """
    types = enumerated(engine, values, columns.texts, task)
    listed = ", ".join(
        f"CAST({own} AS {types[name]}) AS {own}" if name in types else own
        for name, own in ((name, quote_identifier(name)) for name in columns.names)
    )
    engine.execute(
        f"COPY (SELECT person, combo, {listed} FROM {rows} ORDER BY person, ts) "
        f"TO {quote_literal(str(target))} ({_WRITTEN})",
        task=task,
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """A run as it is read."""

    path: Path
    dead: str | None
    """The table with the codes of its dead people."""


def rows_of(runs: Sequence[Stored], names: Sequence[str]) -> str:
    """The rows of runs that are not void, with ``person`` and ``combo``, as SQL."""
    listed = ", ".join(("person", "combo", *(quote_identifier(name) for name in names)))
    whole = [quote_literal(escape(str(run.path))) for run in runs if run.dead is None]
    parts = [f"SELECT {listed} FROM read_parquet([{', '.join(whole)}])"] if whole else []
    parts += [
        f"SELECT {listed} FROM read_parquet({quote_literal(escape(str(run.path)))}) AS run\n"
        f"ANTI JOIN {run.dead} AS dead ON dead.dead_person = run.person"
        for run in runs
        if run.dead is not None
    ]
    return "\nUNION ALL\n".join(parts)


def dead_table(name: str) -> str:
    """The statement that makes a table of dead people; bind ``codes``."""
    return f"CREATE OR REPLACE TABLE {name} AS SELECT unnest($codes) AS dead_person"


def renumbered(numbers: Sequence[int], place: str = "place") -> str:
    """A place with another number of its file, as SQL: ``numbers`` by the number it has."""
    if list(numbers) == list(range(len(numbers))):
        return place
    listed = ", ".join(f"{number}::BIGINT" for number in numbers)
    return (
        f"((list_extract([{listed}], ({place} >> {ROW_BITS}) + 1) << {ROW_BITS}) "
        f"| ({place} & {(1 << ROW_BITS) - 1}))"
    )


def chunks(sizes: Sequence[tuple[int, int]], most: int) -> Iterator[list[int]]:
    """Files (number and rows) in their order, in batches of at most ``most`` rows or of one file."""
    batch: list[int] = []
    held = 0
    for number, rows in sizes:
        if batch and held + rows > most:
            yield batch
            batch, held = [], 0
        batch.append(number)
        held += rows
    if batch:
        yield batch


def listed(values: Collection[int]) -> str:
    """Integers as the inside of an SQL list."""
    return ", ".join(str(value) for value in sorted(values))
