"""Who stands elsewhere now than before: three lists of people set side by side by their ids, in bounded memory.

Codes of people differ between datasets, so people are matched by kind and id. Each list is spooled as Parquet and
joined by an engine of its own, which spills. Ids are linked as data arrive: a device counted by itself may later
belong to a user. Who before was counted under such an id is followed to the person it belongs to now; where several
come together in one person the deepest stands for it. The others leave by ``identity``, and so does an id whose events
are those of several people now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from queries.diff import SIDES
from queries.diff_request import Cell
from queries.lazy_rows import LazyRows
from queries.question import Row
from queries.quoting import quote_identifier, quote_literal
from workbench.engine import Engine
from workbench.errors import QueryFailed
from workbench.limits import Limits
from workbench.runner import Task

if TYPE_CHECKING:
    import pyarrow as pa

    from queries.question import Data

_STANDING, _LINKS = "standing", "now_links"

MOVES_SQL = """CREATE TABLE moves AS
WITH traced AS (  -- whoever stood there before, under the id they have now
  SELECT was.kind AS old_kind, was.id AS old_id, was.step,
    coalesce(nullif(link.now_kind, ''), was.kind) AS kind, coalesce(nullif(link.now_id, ''), was.id) AS id
  FROM before_standing AS was
  LEFT JOIN now_links AS link ON link.kind = was.kind AND link.id = was.id
), placed AS (
  SELECT *, row_number() OVER (
    PARTITION BY kind, id ORDER BY step DESC, old_kind = kind AND old_id = id DESC, old_kind DESC, old_id
  ) AS place
  FROM traced
), absorbed AS (
  SELECT old_kind AS kind, old_id AS id, step AS first, 0 AS last, 'identity' AS because
  FROM placed WHERE place > 1
), standing AS (
  SELECT kind, id, max(first) AS first, max(middle) AS middle, max(last) AS last
  FROM (
    SELECT kind, id, step AS first, 0 AS middle, 0 AS last FROM placed WHERE place = 1
    UNION ALL SELECT kind, id, 0, step, 0 FROM after_standing
    UNION ALL SELECT kind, id, 0, 0, step FROM now_standing
  )
  GROUP BY kind, id
), moved AS (
  SELECT standing.kind, standing.id, first, last,
    CASE
      WHEN first = middle THEN 'definition'
      WHEN middle <> last THEN 'both'
      WHEN last = 0 AND link.id IS NOT NULL THEN 'identity'
      ELSE 'data'
    END AS because
  FROM standing
  LEFT JOIN now_links AS link ON link.kind = standing.kind AND link.id = standing.id
  WHERE first <> last
)
SELECT * FROM moved UNION ALL SELECT * FROM absorbed"""


@dataclass(slots=True)
class Spool:
    """A folder of lists of people, one a side, written while its dataset is open."""

    folder: Path
    written: set[str] = field(default_factory=set)

    def standing(self, side: str, data: Data, people: NDArray[np.int64], steps: NDArray[np.int64]) -> None:
        """The people of an answer, by code, and the deepest step of each."""
        import pyarrow as pa

        level = np.zeros(int(people[-1]) + 1 if len(people) else 0, np.int16)
        level[people] = steps
        schema = pa.schema([("kind", pa.string()), ("id", pa.string()), ("step", pa.int16())])

        def batches() -> Iterator[pa.RecordBatch]:
            if not len(level):
                return
            for batch in data.stream(f"SELECT person, kind, id FROM people WHERE person < {len(level)}"):
                step = level[batch["person"]]
                there = step > 0
                columns = [pa.array(batch[name][there], pa.string()) for name in ("kind", "id")]
                yield pa.record_batch([*columns, pa.array(step[there])], schema=schema)

        self._write(f"{side}_{_STANDING}", schema, batches())

    def links(self, data: Data) -> None:
        """Ids that now belong to people of other ids and are no person by themselves."""
        import pyarrow as pa

        names = ("kind", "id", "now_kind", "now_id")
        schema = pa.schema([(name, pa.string()) for name in names])

        def batches() -> Iterator[pa.RecordBatch]:
            for kind in data.schema.ids:
                for batch in data.stream(links_sql(kind)):
                    columns = [pa.array(batch[name], pa.string()) for name in names]
                    yield pa.record_batch(columns, schema=schema)

        self._write(_LINKS, schema, batches())

    def _write(self, name: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        from pyarrow import parquet

        try:
            with parquet.ParquetWriter(self.folder / f"{name}.parquet", schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
        except OSError as error:
            raise QueryFailed(f"cannot write to the spill folder {self.folder.parent}: {error}") from error
        self.written.add(name)

    def joined(self, limits: Limits, task: Task) -> Moved:
        """Who moved; the folder may go afterwards. A side that was not written has nobody."""
        engine = Engine([self.folder], limits=limits)
        tables = {f"{side}_{_STANDING}": "0::SMALLINT AS step" for side in SIDES}
        tables[_LINKS] = "'' AS now_kind, '' AS now_id"
        for name, columns in tables.items():
            source = f"SELECT '' AS kind, '' AS id, {columns} LIMIT 0"
            if name in self.written:
                source = f"SELECT * FROM read_parquet({quote_literal(str(self.folder / f'{name}.parquet'))})"
            engine.execute(f"CREATE TABLE {name} AS {source}", task=task)
        engine.execute(MOVES_SQL, task=task)
        for name in tables:
            engine.execute(f"DROP TABLE {name}", task=task)
        return Moved(engine, task)


def links_sql(kind: str) -> str:
    """Ids of a kind that are no person, with the one person they belong to; empty texts where there are several."""
    column, word = quote_identifier(kind), quote_literal(kind)
    return f"""WITH linked AS (
  SELECT raw_people.{column} AS id, min(people.kind) AS now_kind, min(people.id) AS now_id,
    count(DISTINCT people.person) = 1 AS single,
    coalesce(bool_or(people.kind = {word} AND people.id = raw_people.{column}), FALSE) AS own
  FROM raw_people LEFT JOIN people ON people.person = raw_people.person
  WHERE raw_people.{column} IS NOT NULL
  GROUP BY raw_people.{column}
)
SELECT {word} AS kind, id, CASE WHEN single THEN now_kind ELSE '' END AS now_kind,
  CASE WHEN single THEN now_id ELSE '' END AS now_id
FROM linked WHERE NOT own"""


class Moved:
    """The people who stand elsewhere, kept in an engine until they are read."""

    def __init__(self, engine: Engine, task: Task) -> None:
        self._engine = engine
        self._task = task

    def serve(self, task: Task) -> None:
        """From now on this task cancels what is read."""
        self._task = task

    def counts(self) -> list[Row]:
        """One row a move: ``from``, ``to`` (null: not in the funnel), ``because``, ``users``."""
        found = self._engine.fetch(
            "SELECT first, last, because, count(*) FROM moves GROUP BY ALL ORDER BY ALL", task=self._task
        )
        return [
            {"from": first or None, "to": last or None, "because": because, "users": users}
            for first, last, because, users in found
        ]

    def rows(self, cell: Cell) -> MovedRows:
        """Some of them, one row a person."""
        if cell.move is not None:
            condition = f"first = {cell.move[0]} AND last = {cell.move[1]}"
        else:
            condition = "TRUE" if cell.because is None else f"because = {quote_literal(cell.because)}"
        return MovedRows(self, condition)

    def count(self, condition: str) -> int:
        """How many there are."""
        ((number,),) = self._engine.fetch(f"SELECT count(*) FROM moves WHERE {condition}", task=self._task)
        return int(str(number))

    def people(self, condition: str) -> Iterator[Row]:
        """Users first, in the order of their ids."""
        sql = f"SELECT id, kind, first, last, because FROM moves WHERE {condition} ORDER BY kind DESC, id"
        for batch in self._engine.stream(sql, task=self._task):
            columns = [batch[name].tolist() for name in ("id", "kind", "first", "last", "because")]
            for name, kind, first, last, because in zip(*columns, strict=True):
                yield {
                    "user": name,
                    "kind": kind,
                    "from": first or None,
                    "to": last or None,
                    "because": because,
                }


class MovedRows(LazyRows):
    """One row a person who moved, read when it is written."""

    def __init__(self, moved: Moved, condition: str) -> None:
        self._moved = moved
        self._condition = condition
        self._count = moved.count(condition)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Row]:
        return self._moved.people(self._condition)
