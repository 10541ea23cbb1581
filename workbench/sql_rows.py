"""An answer of free SQL as rows of a result: spooled to disk once, read as often as a format needs."""

from __future__ import annotations

import json
import mmap
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from queries.lazy_rows import LazyRows
from queries.question import Row
from queries.quoting import quote_identifier
from workbench.errors import QueryFailed
from workbench.limits import spill_folder

if TYPE_CHECKING:
    from workbench.runner import Task

_FOREIGN = re.compile(
    r"\b(U?HUGEINT|BIGNUM|BIT|BLOB|TIME WITH TIME ZONE|TIMESTAMP_NS|INTERVAL|MAP|UNION|VARIANT)\b"
)
"""Types that Arrow lacks, or gives to Python in a form of its own."""
_NESTED = re.compile(r"(\]|^(STRUCT|MAP|UNION)\b.*\))$", re.DOTALL)
_INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
_NUMBERS = _INTEGERS | {"HUGEINT", "UHUGEINT", "BIGNUM", "FLOAT", "DOUBLE"}
_DEEPEST_JSON = 100


@dataclass(frozen=True, slots=True)
class Answered:
    """One column of an answer: its name, unique among them, and DuckDB's type."""

    name: str
    type: str

    @property
    def is_number(self) -> bool:
        """Whether it reads from the right."""
        return self.type in _NUMBERS or self.type.startswith("DECIMAL(")

    @property
    def is_nested(self) -> bool:
        """Whether its values are read as JSON."""
        return self.type == "JSON" or _NESTED.search(self.type) is not None

    @property
    def is_moment(self) -> bool:
        """Whether its values are times with an offset."""
        return self.type == "TIMESTAMP WITH TIME ZONE"


def columns(described: Sequence[Sequence[object]]) -> tuple[Answered, ...]:
    """The columns that DESCRIBE lists of a sub-query: there a name that comes twice has a number behind it."""
    return tuple(Answered(str(row[0]), str(row[1])) for row in described)


def selected(answered: Sequence[Answered]) -> str:
    """The select list that gives every column in a type Python reads exactly; all of them where they are so."""
    if not any(_FOREIGN.search(column.type) for column in answered):
        return "*"
    return ", ".join(_plain(column) for column in answered)


def _plain(column: Answered) -> str:
    name = quote_identifier(column.name)
    if not _FOREIGN.search(column.type) or column.type.startswith("ENUM("):
        return name
    if column.type == "BLOB":
        return name
    if _NESTED.search(column.type):
        return f"to_json({name}) AS {name}"
    if column.type == "TIMESTAMP_NS":
        return f"replace(CAST({name} AS VARCHAR), ' ', 'T') AS {name}"
    return f"CAST({name} AS VARCHAR) AS {name}"


class Spool(LazyRows):
    """Rows in a file that has no name any more: nothing of them stays behind, however the process ends."""

    def __init__(
        self, answered: Sequence[Answered], reader: pa.RecordBatchReader, most_bytes: int, task: Task
    ) -> None:
        self._names = [column.name for column in answered]
        self._readers = [_reader(column) for column in answered]
        self._rows = 0
        with tempfile.TemporaryFile(dir=spill_folder()) as file:
            with pa.ipc.new_stream(file, reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)
                    self._rows += batch.num_rows
                    task.report(None, f"{self._rows:,} rows")
                    task.check()
                    if file.tell() > most_bytes:
                        raise QueryFailed(
                            f"the answer takes more than {most_bytes >> 20:,} MB on disk, after {self._rows:,} rows",
                            "give --limit N, or ask for less",
                        )
            file.flush()
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[Row]:
        left = self._rows
        for batch in pa.ipc.open_stream(pa.py_buffer(self._map)):
            if left <= 0:
                return
            batch = batch.slice(0, left)
            left -= batch.num_rows
            values = [read(column) for read, column in zip(self._readers, batch.columns, strict=True)]
            for row in zip(*values, strict=True):
                yield dict(zip(self._names, row, strict=True))

    def cut(self, count: int) -> Spool:
        """The first rows alone."""
        self._rows = min(self._rows, count)
        return self


Reader = Callable[[pa.Array], list[object]]


def _reader(column: Answered) -> Reader:
    """How a column's values are read from Arrow."""
    if column.type in ("HUGEINT", "UHUGEINT", "BIGNUM"):
        return lambda array: [None if text is None else int(text) for text in array.to_pylist()]
    if column.type == "JSON" or (_FOREIGN.search(column.type) and _NESTED.search(column.type)):
        return lambda array: [None if text is None else _json(text) for text in array.to_pylist()]
    if column.type.startswith(("TIMESTAMP", "DATE")) and not _NESTED.search(column.type):
        return _times
    return _values


def _json(text: str) -> object:
    """JSON as what it holds; as its text where it is none, or too deep for those who write it."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > _DEEPEST_JSON:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _values(array: pa.Array) -> list[object]:
    try:
        listed: list[object] = array.to_pylist()
    except (OverflowError, ValueError):
        # A time inside a list that Python has no year for.
        listed = [None if not one.is_valid else str(one) for one in array]
    return listed


def _times(array: pa.Array) -> list[object]:
    try:
        listed: list[object] = array.to_pylist()
    except (OverflowError, ValueError):
        listed = [_time(one) for one in array]
    return listed


def _time(value: pa.Scalar) -> object:
    """A time as Python's; the infinite ones, and those of years without four digits, as text."""
    if not value.is_valid:
        return None
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        most = 2**31 - 1 if pa.types.is_date32(value.type) else 2**63 - 1
        words = {most: "infinity", -most: "-infinity"}
        return words.get(value.value) or f"a year that is not between 1 and 9999 ({value.value} since 1970)"
