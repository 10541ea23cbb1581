"""Finds the files among those looked at that are text in another encoding than UTF-8, and reads them in it."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from workbench.errors import NoData
from workbench.sources.listing import list_files
from workbench.sources.probing import Moved, Unreadable
from workbench.sources.snapshot import DataFile, SourceFiles
from workbench.sources.text_stream import DECLARE_ENCODING, text_blocks

GB18030 = "gb18030"

_SAMPLE_BYTES = 4 << 20
_COMMON = 0.8
"""GB 2312 holds the characters of everyday Chinese; other text read as GB18030 yields rare ones."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Files of one source in one encoding; None: UTF-8 or UTF-16."""

    files: SourceFiles
    encoding: str | None = None


def is_gb18030(sample: bytes, *, whole: bool) -> bool:
    """Whether bytes that are not UTF-8 throughout are Chinese text in GB18030.

    All of the sample must decode, most of the characters that are not ASCII be everyday Chinese, and most of
    the lines that are not ASCII be no UTF-8, which a damaged file in UTF-8 still mostly is. ``whole``: the
    sample ends where the file ends, not within a character.
    """
    try:
        text = codecs.getincrementaldecoder(GB18030)().decode(sample, final=whole)
    except UnicodeDecodeError:
        return False
    beyond = [char for char in text if not char.isascii()]
    common = sum(_is_common(char) for char in beyond)
    if not any("\u4e00" <= char <= "\u9fff" for char in beyond) or common < _COMMON * len(beyond):
        return False
    return not _is_mostly_utf8(sample)


def separated(
    source: SourceFiles, read: Callable[[Sequence[str], str], SourceFiles], encoding: str | None
) -> list[Encoded]:
    """A source's files by their encoding: those in UTF-8, then those that are not, read in theirs.

    Theirs is ``encoding``, without one GB18030 where the bytes say so; other files stay as they are.
    ``read`` reads paths in an encoding. Raises nothing of its own.
    """
    doubtful = [path for path in _candidates(source) if _is_other_text(path, encoding)]
    if not doubtful:
        return [Encoded(source)]
    wanted = encoding or GB18030
    again = read(doubtful, wanted)
    gained = {str(file.listed.path) for file in again.files if not _worse(file, source)}
    failed = {item.path: item for item in again.set_aside}
    if not gained:
        return [Encoded(replace(source, set_aside=tuple(failed.get(i.path, i) for i in source.set_aside)))]
    kept = replace(
        source,
        files=tuple(file for file in source.files if str(file.listed.path) not in gained),
        set_aside=tuple(failed.get(i.path, i) for i in source.set_aside if i.path not in gained),
    )
    name = f"{source.name} {wanted}" if kept.files else source.name
    own = tuple(file for file in again.files if str(file.listed.path) in gained)
    return [Encoded(kept), Encoded(SourceFiles(name, own, notes=again.notes), wanted)]


def _candidates(source: SourceFiles) -> list[str]:
    """Paths of the files set aside for whatever reason, or read in part because of bytes that are not UTF-8."""
    aside = [item.path for item in source.set_aside if item.state != "ignored"]
    partly = [str(file.listed.path) for file in source.files if any(map(_says_so, file.rejected_examples))]
    return [*aside, *partly]


def _says_so(reason: str) -> bool:
    return DECLARE_ENCODING[:40] in reason


def _worse(file: DataFile, source: SourceFiles) -> bool:
    """Whether the file was read with fewer bad lines before."""
    before = [one.rejected for one in source.files if one.listed.path == file.listed.path]
    return bool(before) and file.rejected >= before[0]


def _is_other_text(path: str, encoding: str | None) -> bool:
    """Whether a file is CSV or JSON that is not UTF-8 and, where no encoding is named, is GB18030."""
    try:
        (listed,), _ = list_files(Path("/"), path, follow=True)
        if listed.format not in ("csv", "json"):
            return False
        # Declared as UTF-8 the bytes are handed on as they are, without compression.
        blocks = text_blocks(listed, "utf-8")
        sample = b"".join(islice(blocks, _SAMPLE_BYTES >> 20))
        whole = next(blocks, None) is None
    except (NoData, Moved, Unreadable, ValueError):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=whole)
    except UnicodeDecodeError:
        return not _is_mostly_utf8(sample) if encoding is not None else is_gb18030(sample, whole=whole)
    return False


def _is_common(char: str) -> bool:
    try:
        return len(char.encode("gb2312")) == 2
    except UnicodeEncodeError:
        return False


def _is_mostly_utf8(sample: bytes) -> bool:
    """Whether at least half of the lines that are not ASCII are UTF-8: then the rest is damage."""
    lines = [line for line in sample.split(b"\n") if not line.isascii()]
    return 2 * sum(_is_utf8(line) for line in lines) >= len(lines)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
