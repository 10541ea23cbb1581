"""A text file, whatever its compression and encoding, as blocks of UTF-8 bytes in bounded memory."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import pyarrow as pa

from workbench.errors import UsageError
from workbench.sources.content import foreign
from workbench.sources.listing import reason_of
from workbench.sources.probing import Moved, Unreadable
from workbench.sources.snapshot import Listed

BLOCK_BYTES = 1 << 20
EXAMPLES = 5
DECLARE_ENCODING = 'add encoding = "gb18030" (Chinese Excel) or "latin-1" to its [[source]]'

_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)


@dataclass(slots=True)
class Rejects:
    """Lines that could not be read: all counted, a few kept as ``line 17: …``."""

    unit: str = "line"
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, number: int, reason: str) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(" ".join(f"{self.unit} {number}: {reason}".split())[:200])


def text_blocks(listed: Listed, encoding: str | None = None) -> Iterator[bytes]:
    """The text of a file as UTF-8 without byte order mark, in blocks of about 1 MiB that may cut characters.

    UTF-8, and UTF-16 with or without mark, are recognised; any other encoding has to be declared. UTF-8 is
    handed on unchecked. Raises :class:`Unreadable` for a damaged or incomplete file, :class:`Moved` for one
    that is gone, :class:`UsageError` for an encoding nobody knows.
    """
    blocks = _bytes(listed)
    first = next(blocks, b"")
    if listed.compression is None and (kind := _foreign(first)):
        raise Unreadable(kind)
    found = encoding or _encoding(first)
    try:
        decoder = codecs.getincrementaldecoder(found)()
        is_utf8 = codecs.lookup(found).name == "utf-8"
    except LookupError as error:
        raise UsageError(f"unknown encoding {found}", "try utf-8, utf-16, gb18030 or latin-1") from error
    if is_utf8 or found == "utf-8-sig":
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from blocks
        return
    try:
        yield decoder.decode(first).removeprefix("\ufeff").encode()
        for block in blocks:
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise Unreadable(f"text that is not {found}: {error}") from error


def is_plain(listed: Listed, encoding: str | None = None) -> bool:
    """Whether the file is UTF-8 without compression or mark: an engine may read it as it is."""
    if listed.compression is not None or encoding not in (None, "utf-8"):
        return False
    return _encoding(next(_bytes(listed), b"")) == "utf-8"


def _foreign(head: bytes) -> str | None:
    if head.startswith(b"PAR1"):
        return "Parquet, by its content: name it .parquet"
    return foreign(head)


def _encoding(head: bytes) -> str:
    for mark, name in _MARKS:
        if head.startswith(mark):
            if name == "utf-32":
                raise Unreadable("UTF-32 text: write it as UTF-8")
            return name
    # Latin letters in UTF-16 have a zero in every other byte.
    sample = head[:4096]
    pairs = len(sample) // 2
    if pairs and sample[1::2].count(0) > 0.4 * pairs and sample[::2].count(0) < 0.1 * pairs:
        return "utf-16-le"
    if pairs and sample[::2].count(0) > 0.4 * pairs and sample[1::2].count(0) < 0.1 * pairs:
        return "utf-16-be"
    return "utf-8"


def _bytes(listed: Listed) -> Iterator[bytes]:
    try:
        with _opened(listed) as stream:
            while block := stream.read(BLOCK_BYTES):
                yield block
    except FileNotFoundError:
        raise Moved(listed.path) from None
    except OSError as error:
        if error.errno is not None or listed.compression is None:
            raise Unreadable(f"cannot be read: {reason_of(error)}") from error
        if "runcated" in str(error):
            raise Unreadable(f"incomplete: the {listed.compression} stream ends early") from error
        raise Unreadable(f"damaged {listed.compression}: {error}") from error


def _opened(listed: Listed) -> BinaryIO:
    if listed.compression is None:
        return listed.location.open("rb")
    stream: BinaryIO = pa.input_stream(str(listed.location), compression=listed.compression)
    return stream
