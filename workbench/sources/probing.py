"""Opens the footer of each Parquet file once, and says of each file whether it can be read or why not."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.sources.content import HEAD_BYTES, foreign, text_kind
from workbench.sources.listing import reason_of, shown
from workbench.sources.parquet_types import BadColumns, columns_of, millis_of
from workbench.sources.snapshot import DataFile, Listed, SetAside

FRESH_SECONDS = 2.0
"""A file changed less than this ago that cannot be read is taken for one that is being written."""

_MAGIC = b"PAR1"
Columns = tuple[tuple[str, str], ...]
_DAMAGE = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)
"""What pyarrow raises on damaged bytes; UnicodeDecodeError is a ValueError."""


class Unreadable(Exception):
    """A file that is set aside; ``reason`` is one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = " ".join(reason.split())[:300]


class Moved(Exception):
    """A file is gone, or is another one than was listed: list again."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path


@dataclass(frozen=True, slots=True)
class Footer:
    """What the footer of a readable Parquet file says."""

    rows: int
    columns: tuple[tuple[str, str], ...]
    metadata: Mapping[bytes, bytes] = field(default_factory=dict)
    """The file's own key-value pairs."""
    millis: frozenset[str] = frozenset()
    """The columns of moments that are written in milliseconds."""


_remembered: dict[str, Footer | str] = {}
"""By ``Listed.identity``: the footer, or why the file is bad. What may still be written is not kept."""
_metadata: dict[str, pq.FileMetaData] = {}
"""What bounds are asked of next, by ``Listed.identity``; of few files, since it is large."""
_MOST_METADATA, _MOST_CHUNKS = 256, 4096
_schemas: list[tuple[object, Columns, frozenset[str]]] = []
"""The files of an export share a few schemas; comparing costs a hundredth of naming the types anew."""


def probe(
    files: Iterable[Listed],
    *,
    last: bool = False,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[DataFile], list[SetAside]]:
    """Footers of the listed Parquet files: those that can be read, and those set aside with the reason.

    Raises :class:`Moved` when a file is not the one that was listed; with ``last``, such a file is set aside
    as ``not-ready``. ``progress`` is called with the number of files done, now and then.
    """
    good: list[DataFile] = []
    aside: list[SetAside] = []
    for number, listed in enumerate(files):
        if progress is not None and number % 256 == 0:
            progress(number)
        try:
            footer = _footer(listed)
        except Unreadable as error:
            aside.append(SetAside(shown(str(listed.path)), error.reason, state_of(listed)))
        except Moved:
            if not last:
                raise
            aside.append(SetAside(shown(str(listed.path)), "changed while it was read", "not-ready"))
        else:
            good.append(DataFile(listed, listed.location, footer.rows, footer.columns, millis=footer.millis))
    return good, aside


def state_of(listed: Listed) -> Literal["bad", "not-ready"]:
    """``not-ready`` for a file that changed less than two seconds ago, or changed since it was listed."""
    try:
        now = listed.location.stat()
    except OSError:
        return "not-ready"
    age = abs(time.time_ns() - now.st_mtime_ns) / 1e9
    return "not-ready" if now.st_size != listed.size or age < FRESH_SECONDS else "bad"


def _footer(listed: Listed) -> Footer:
    known = _remembered.get(listed.identity)
    if known is None:
        try:
            known = read_footer(listed.location, listed)
        except Unreadable as error:
            if state_of(listed) == "bad":
                _remembered[listed.identity] = error.reason
            raise
        _remembered[listed.identity] = known
    if isinstance(known, str):
        raise Unreadable(known)
    return known


def read_footer(path: Path, listed: Listed | None = None) -> Footer:
    """The footer of one Parquet file.

    Raises :class:`Unreadable`, and :class:`Moved` when the file is gone or is no longer the ``listed`` one.
    """
    try:
        head, tail, size = _ends(path, listed)
    except FileNotFoundError:
        raise Moved(path) from None
    except OSError as error:
        raise Unreadable(f"cannot be read: {reason_of(error)}") from error
    if not head.startswith(_MAGIC):
        raise Unreadable(_what_it_is(head, tail, size))
    if tail[-4:] == b"PARE":
        raise Unreadable(foreign(b"PARE") or "")
    if size < 12 or tail[-4:] != _MAGIC:
        raise Unreadable("incomplete: no Parquet footer")
    length = int.from_bytes(tail[-8:-4], "little")
    if length > size - 12:
        raise Unreadable(f"damaged: a footer of {length} bytes in a file of {size}")
    try:
        if length + 8 > len(tail):
            with path.open("rb") as file:
                file.seek(size - length - 8)
                tail = file.read()
        metadata = pq.read_metadata(pa.BufferReader(tail))
        _check_bounds(metadata, size - length - 8)
        chunks = metadata.num_columns * metadata.num_row_groups
        if listed is not None and len(_metadata) < _MOST_METADATA and chunks < _MOST_CHUNKS:
            _metadata[listed.identity] = metadata
        columns, millis = _columns(metadata.schema)
        return Footer(metadata.num_rows, columns, metadata.metadata or {}, millis)
    except BadColumns as error:
        raise Unreadable(str(error)) from error
    except _DAMAGE as error:
        raise Unreadable(f"damaged Parquet footer: {_first_line(error)}") from error


def _ends(path: Path, listed: Listed | None) -> tuple[bytes, bytes, int]:
    # One try more: network file systems fail once after a server's restart.
    for attempt in (1, 2):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                status = os.fstat(descriptor)
                if listed is not None and (status.st_size, status.st_ino) != (listed.size, listed.inode[1]):
                    raise Moved(path)
                size = status.st_size
                tail = os.pread(descriptor, HEAD_BYTES, max(0, size - HEAD_BYTES))
                head = os.pread(descriptor, 4, 0)
                if head != _MAGIC:
                    head = os.pread(descriptor, HEAD_BYTES, 0)
                return head, tail, size
            finally:
                os.close(descriptor)
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            if attempt == 2:
                raise
    raise AssertionError


def _what_it_is(head: bytes, tail: bytes, size: int) -> str:
    if size < len(_MAGIC) and _MAGIC.startswith(head):
        return "incomplete: no Parquet footer"
    if kind := foreign(head):
        return kind
    if not head.strip(b"\0"):
        return "damaged: the beginning is zeros"
    if tail[-4:] == _MAGIC:
        return "damaged: the beginning is missing"
    if kind := text_kind(head):
        return f"{kind}, not Parquet: name it {'.json' if kind == 'JSON' else '.csv'}"
    return "not a Parquet file"


def _check_bounds(metadata: pq.FileMetaData, end: int) -> None:
    """A footer that speaks of bytes the file does not have belongs to a file that lost some."""
    if metadata.num_columns == 0:
        raise BadColumns("a Parquet file without columns")
    if metadata.num_rows < 0:
        raise ValueError("a negative number of rows")
    groups = metadata.num_row_groups
    for number in {0, groups - 1} if groups else ():
        group = metadata.row_group(number)
        for index in {0, group.num_columns - 1}:
            chunk = group.column(index)
            start = chunk.dictionary_page_offset
            start = chunk.data_page_offset if start is None else min(start, chunk.data_page_offset)
            if start < 0 or start + chunk.total_compressed_size > end:
                raise ValueError("it speaks of bytes that are not in the file")


def _columns(schema: pq.ParquetSchema) -> tuple[Columns, frozenset[str]]:
    """All columns, and those of moments in milliseconds."""
    for known, columns, millis in reversed(_schemas):
        if schema.equals(known):
            return columns, millis
    named, whole = columns_of(schema), millis_of(schema)
    _schemas.append((schema, named, whole))
    del _schemas[:-64]
    return named, whole


def _first_line(error: BaseException) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "text that is not UTF-8"
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the footer says of one column's values, all row groups together."""

    least: object
    greatest: object
    """Raw: integers in the column's own unit, text as bytes; of text both may be cut, towards the outside."""
    nulls: int
    unit: str | None
    """Of a time: ``milliseconds``, ``microseconds``, ``nanoseconds``."""


def bounds(file: DataFile, names: Sequence[str]) -> list[Bounds] | None:
    """The bounds of top-level columns of a file with rows; None where its footer does not state them all."""
    own = file.parquet == file.listed.location
    try:
        known = _metadata.pop(file.listed.identity, None) if own else None
        metadata = known or pq.read_metadata(file.parquet)
    except _DAMAGE:
        return None
    places = {metadata.schema.column(place).path: place for place in range(metadata.num_columns)}
    found: list[Bounds] = []
    for name in names:
        place = places.get(name)
        if place is None:
            return None
        groups = [metadata.row_group(n).column(place).statistics for n in range(metadata.num_row_groups)]
        if not groups or any(not one or not one.has_min_max or not one.has_null_count for one in groups):
            return None
        kind = json.loads(metadata.schema.column(place).logical_type.to_json())
        least, greatest = min(one.min_raw for one in groups), max(one.max_raw for one in groups)
        found.append(Bounds(least, greatest, sum(one.null_count for one in groups), kind.get("timeUnit")))
    return found


def verify(file: DataFile) -> str | None:
    """Reads every value of a file; one line saying what is damaged, None when all is well.

    The footer cannot tell a hole in the middle, a bad checksum or text that is not UTF-8.
    """
    try:
        with pq.ParquetFile(file.parquet, page_checksum_verification=True) as parquet:
            rows = 0
            for batch in parquet.iter_batches(65536):
                batch.validate(full=True)
                rows += batch.num_rows
    except _DAMAGE as error:
        return f"damaged: {_first_line(error)}"
    return None if rows == file.rows else f"damaged: {rows} rows where the footer says {file.rows}"
