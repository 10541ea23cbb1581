"""What the first bytes of a file say it is, whatever its name says."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from workbench.sources.snapshot import Format

HEAD_BYTES = 65536

_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"PARE", "encrypted Parquet: write it without footer encryption"),
    (b"\x1f\x8b", "gzip, by its content: name it .csv.gz or .json.gz if it holds that"),
    (b"\x28\xb5\x2f\xfd", "zstd, by its content: name it .csv.zst or .json.zst if it holds that"),
    (b"PK\x03\x04", "a ZIP archive: unpack it first"),
    (b"ORC", "ORC, by its content: convert it to Parquet"),
    (b"Obj\x01", "Avro, by its content: convert it to Parquet"),
    (b"ARROW1", "an Arrow file: convert it to Parquet"),
    (b"SQLite format 3\0", "an SQLite database: export its tables as Parquet or CSV"),
)


def is_database(head: bytes) -> bool:
    """Whether a file is a DuckDB database."""
    return head[8:12] == b"DUCK"


def foreign(head: bytes) -> str | None:
    """The kind of a binary file that is not read, with what to do about it; None when it is none of those."""
    if is_database(head):
        return "a DuckDB file, by its content: name it .duckdb"
    return next((kind for magic, kind in _KINDS if head.startswith(magic)), None)


def text_kind(head: bytes) -> str | None:
    """``JSON`` or ``CSV or other text`` for what looks like text, else None."""
    if not head or (b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff"))):
        return None
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return "JSON" if start.startswith((b"{", b"[")) else "CSV or other text"


def sniff(path: Path) -> tuple[Format, str | None] | str:
    """Format and compression of a file without a telling extension, or one line why it is none.

    Reads at most 64 KiB. Raises OSError when the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"PAR1"):
        return "parquet", None
    if is_database(head):
        return "duckdb", None
    compression = None
    if head.startswith(b"\x1f\x8b"):
        compression, head = "gzip", _gunzip(head)
    elif head.startswith(b"\x28\xb5\x2f\xfd"):
        compression, head = "zstd", _unzstd(path)
    kind = text_kind(head)
    if kind is None:
        return foreign(head) or "unknown kind of file: neither Parquet nor text"
    # UTF-16 puts a zero byte beside every bracket.
    start = head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")
    return ("json" if start.startswith((b"{", b"[")) else "csv"), compression


def _gunzip(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
    except (zlib.error, gzip.BadGzipFile):
        return b""


def _unzstd(path: Path) -> bytes:
    import pyarrow as pa

    try:
        with pa.input_stream(str(path), compression="zstd") as stream:
            return bytes(stream.read(HEAD_BYTES))
    except OSError:
        return b""
