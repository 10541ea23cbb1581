"""Runs on disk: which columns they have, and how several read as one relation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from queries.question import Column
from queries.quoting import quote_identifier, quote_literal
from workbench.store.wanted import EVERY

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


def layout(
    fixed: Sequence[str], columns: Sequence[Column], ids: Collection[str], wanted: Collection[str] = ()
) -> Layout:
    """The columns that runs keep of a relation's: the usual ones, and those that questions missed.

    The raw ``ids`` lie beside the runs.
    """
    return Layout(
        tuple(name for name in fixed if name != "ts_given"),
        tuple(
            column
            for column in columns
            if column.name not in ids
            # Runs have a column of that name of their own: who asks for the property reads the files.
            and column.name.casefold() != "combo"
            and ((column.canonical and column.name in KEPT) or column.name in wanted or EVERY in wanted)
        ),
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


def listed(values: Collection[int]) -> str:
    """Integers as the inside of an SQL list."""
    return ", ".join(str(value) for value in sorted(values))
