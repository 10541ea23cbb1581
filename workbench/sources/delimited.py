"""CSV as it is found in exports: its dialect by rules of our own, bad lines named, good ones handed on.

DuckDB's own reader loses all lines up to the end of a block after a quote that is not closed, and reports
one; here only the line with the quote is lost. What goes on to the parser is known to be regular.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from workbench.sources.probing import Unreadable
from workbench.sources.text_stream import DECLARE_ENCODING, Rejects

MAX_RECORD_BYTES = 2_000_000
DELIMITERS = (b",", b";", b"\t", b"|")
SAMPLE_RECORDS = 1000

_WORDS = {b",": "comma", b";": "semicolon", b"\t": "tab"}
_VALUE = re.compile(
    r"[-+]?[\d.,]*\d[\d.,]*(e[-+]?\d+)?%?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?"
    r"|\d{1,2}:\d\d.*|true|false|null",
    re.IGNORECASE,
)
"""What a column is hardly called: a number, a date, a time of day, a boolean."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """How fields and records are written; the patterns are possessive, so they never go back."""

    delimiter: bytes
    quote: bytes = b'"'
    backslash: bool = False
    """Quotes inside quotes are written ``\\"``, not doubled."""

    def field(self) -> bytes:
        q, d = re.escape(self.quote), re.escape(self.delimiter)
        return b"(?:" + q + self.inside() + q + rb"|[^\r\n" + q + d + rb"][^\r\n" + d + b"]*+|)"

    def inside(self) -> bytes:
        q = re.escape(self.quote)
        escaped = rb"|\\[\s\S]" if self.backslash else b""
        plain = q + rb"\\" if self.backslash else q
        return b"(?:[^" + plain + b"]++" + escaped + b"|" + q + q + b")*+"

    def record(self, columns: int | None = None) -> bytes:
        """One record with its line break; of any number of columns without ``columns``."""
        times = b"*+" if columns is None else b"{%d}" % (columns - 1)
        return self.field() + b"(?:" + re.escape(self.delimiter) + self.field() + b")" + times + rb"\r?\n"

    def open_end(self) -> bytes:
        """A record whose end is not there yet: the text stops inside a quote, or before the line break."""
        q = re.escape(self.quote)
        last = self.field() + rb"\r?\Z|" + q + self.inside() + rb"\Z"
        return b"(?:" + self.field() + re.escape(self.delimiter) + b")*+(?:" + last + b")"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one file is written, and where its data begins."""

    grammar: Grammar
    columns: tuple[str, ...]
    skip: int
    """Bytes before the first record of data."""
    first_line: int
    """The number of the line where data begins, from 1."""
    notes: tuple[str, ...] = ()


def find_dialect(sample: bytes) -> Dialect:
    """The dialect of a file, from its beginning, which ends with a line break.

    Of ``, ; tab |`` it takes the delimiter under which most lines have as many columns as the first. Raises
    :class:`Unreadable` where none fits: a file is never read as one column because of that.
    """
    skip, declared = _separator_line(sample)
    while skip < len(sample) and sample[skip : skip + 1] in (b"\n", b"\r"):
        skip += 1
    if skip >= len(sample):
        raise Unreadable("no lines but empty ones")
    _check_text(sample)
    candidates = [declared] if declared else list(DELIMITERS)
    grammar, records = _best(sample, skip, candidates)
    names, header, notes = _names([split(record, grammar) for record in records])
    if len(names) == 1 and not declared:
        notes += ("read as one column: no comma, semicolon, tab or | separates its lines",)
    begin = skip + (len(records[0]) if header else 0)
    return Dialect(grammar, names, begin, 1 + sample.count(b"\n", 0, begin), notes)


def good_records(
    blocks: Iterable[bytes], dialect: Dialect, rejects: Rejects, line: int | None = None
) -> Iterator[bytes]:
    """Whole records of the right number of columns, many at a time; the others are counted by line.

    ``blocks`` begin where the data begins. After a bad record reading goes on at the next line.
    """
    scan = _Scan(dialect, rejects, dialect.first_line if line is None else line)
    pending: bytes | None = None
    for block in blocks:
        if pending is not None:
            yield from scan.take(pending, final=False)
        pending = block
    yield from scan.take(pending or b"", final=True)


class _Scan:
    """Where reading stands between two blocks."""

    def __init__(self, dialect: Dialect, rejects: Rejects, line: int) -> None:
        grammar, self.count = dialect.grammar, len(dialect.columns)
        record = grammar.record(self.count)
        self.run = re.compile(b"(?:" + record + rb"|\r?\n)*+")
        self.one = re.compile(record + rb"|\r?\n")
        self.any = re.compile(grammar.record())
        self.open = re.compile(grammar.open_end())
        self.grammar = grammar
        self.rejects = rejects
        self.line = line
        self.carry = b""
        self.skipping = False

    def take(self, block: bytes, final: bool) -> Iterator[bytes]:
        if self.skipping:
            end = block.find(b"\n")
            if end < 0 and not final:
                return
            self.skipping = False
            self.line += 1
            block = block[end + 1 :] if end >= 0 else b""
        text = self.carry + block
        if final and text and not text.endswith(b"\n"):
            text += b"\n"
        position = 0
        while position < len(text):
            match = self.run.match(text, position)
            end = position if match is None else match.end()
            if end > position:
                yield from self.vetted(text[position:end])
                position = end
            elif not final and self.unfinished(text, position):
                break
            else:
                position = self.reject(text, position)
        self.carry = text[position:]

    def unfinished(self, text: bytes, position: int) -> bool:
        """Whether more text could still complete the record."""
        if len(text) - position > MAX_RECORD_BYTES:
            return False
        if text.find(b"\n", position) < 0:
            return True
        return self.open.match(text, position) is not None

    def reject(self, text: bytes, position: int) -> int:
        end = text.find(b"\n", position)
        if end < 0:
            self.rejects.add(self.line, f"longer than {MAX_RECORD_BYTES} bytes")
            self.skipping = True
            return len(text)
        self.rejects.add(self.line, self.why(text[position : end + 1]))
        self.line += 1
        return end + 1

    def vetted(self, records: bytes) -> Iterator[bytes]:
        """Regular records without those that are too long or hold bytes that are no text."""
        if len(records) <= MAX_RECORD_BYTES and b"\0" not in records and _is_utf8(records):
            self.line += records.count(b"\n")
            yield records
            return
        kept = []
        for match in self.one.finditer(records):
            record = match[0]
            if len(record) <= MAX_RECORD_BYTES and b"\0" not in record and _is_utf8(record):
                kept.append(record)
            else:
                self.rejects.add(self.line, self.why(record))
            self.line += record.count(b"\n")
        if kept:
            yield b"".join(kept)

    def why(self, record: bytes) -> str:
        if len(record) > MAX_RECORD_BYTES:
            return f"longer than {MAX_RECORD_BYTES} bytes"
        if b"\0" in record:
            return "a NUL byte"
        if not _is_utf8(record):
            return f"not UTF-8: {DECLARE_ENCODING}"
        if self.any.fullmatch(record):
            return f"{_columns(len(split(record, self.grammar)))} where {self.count} are expected"
        if self.open.match(record):
            return "a quote that is not closed"
        if b"\r" in record.rstrip(b"\r\n") and self.grammar.quote not in record:
            return "a carriage return inside the line"
        return "text after a closing quote, or a quote that is not closed"


def split(record: bytes, grammar: Grammar) -> list[bytes]:
    """The fields of one record, quotes taken away."""
    q, body = grammar.quote, record.rstrip(b"\r\n") if not record.endswith(grammar.quote) else record
    fields, position, pattern = [], 0, re.compile(grammar.field())
    while True:
        match = pattern.match(body, position)
        text = match[0] if match else b""
        position += len(text)
        if len(text) >= 2 and text.startswith(q) and text.endswith(q):
            text = text[1:-1].replace(q + q, q)
            text = text.replace(b"\\" + q, q) if grammar.backslash else text
        fields.append(text)
        if body[position : position + 1] != grammar.delimiter:
            return fields
        position += 1


def _separator_line(sample: bytes) -> tuple[int, bytes | None]:
    """Excel's ``sep=;`` in the first line."""
    match = re.match(rb'"?sep=([^\r\n])"?\r?\n', sample, re.IGNORECASE)
    return (match.end(), match[1]) if match else (0, None)


def _check_text(sample: bytes) -> None:
    lines = sample.split(b"\n")[:SAMPLE_RECORDS]
    bad = [number for number, line in enumerate(lines, 1) if not _is_utf8(line)]
    if len(bad) * 10 > len(lines):
        raise Unreadable(f"not UTF-8 (line {bad[0]}): {DECLARE_ENCODING}")
    if sum(b"\0" in line for line in lines) * 10 > len(lines):
        raise Unreadable("not text: it holds NUL bytes")


def _best(sample: bytes, skip: int, delimiters: Sequence[bytes]) -> tuple[Grammar, list[bytes]]:
    best: tuple[float, int, Grammar, list[bytes]] | None = None
    shape = ""
    for delimiter in delimiters:
        grammar = _quoting(sample, skip, delimiter)
        records, bad = _records(sample, skip, grammar)
        if not records:
            continue
        counts = Counter(len(split(record, grammar)) for record in records)
        usual = max(counts, key=lambda count: (counts[count], count))
        first = len(split(records[0], grammar))
        share = counts[first] / (len(records) + bad)
        if usual != first and usual > 1:
            name = _WORDS.get(delimiter, delimiter.decode("utf-8", "replace"))
            shape = f": the first line has {_columns(first)} by {name}, most lines have {usual}"
        elif first > 1 and share >= 0.5 and (best is None or (share, first) > best[:2]):
            best = (share, first, grammar, records)
    if best is not None:
        return best[2], best[3]
    grammar = Grammar(delimiters[0])
    records, bad = _records(sample, skip, grammar)
    single = sum(not any(d in record for d in DELIMITERS) for record in records)
    if not records or bad or single * 10 < 9 * len(records):
        raise Unreadable(f"no delimiter of comma, semicolon, tab and | fits{shape}")
    return grammar, records


def _quoting(sample: bytes, skip: int, delimiter: bytes) -> Grammar:
    plain = Grammar(delimiter)
    if b'\\"' in sample:
        escaped = Grammar(delimiter, backslash=True)
        if _records(sample, skip, escaped)[1] < _records(sample, skip, plain)[1]:
            return escaped
    if b'"' not in sample and b"'" in sample:
        single = Grammar(delimiter, quote=b"'")
        records, bad = _records(sample, skip, single)
        d = re.escape(delimiter)
        quoted = re.compile(rb"(?:\A|" + d + rb")'(?:[^']|'')*+'(?=" + d + rb"|\r?\n)")
        if not bad and len(records) > 1 and all(quoted.search(record) for record in records[1:]):
            return single
    return plain


def _records(sample: bytes, skip: int, grammar: Grammar) -> tuple[list[bytes], int]:
    """The first records of a sample without empty lines, and how many lines were none."""
    pattern, records, bad, position = re.compile(grammar.record()), list[bytes](), 0, skip
    while position < len(sample) and len(records) + bad < SAMPLE_RECORDS:
        match = pattern.match(sample, position)
        if match is None:
            # A record that the end of the sample cut in two is no fault of the file.
            end = sample.find(b"\n", position)
            bad, position = bad + 1, len(sample) if end < 0 else end + 1
        else:
            position = match.end()
            if match[0].strip(b"\r\n"):
                records.append(match[0])
    return records, bad


def _names(rows: Sequence[Sequence[bytes]]) -> tuple[tuple[str, ...], bool, tuple[str, ...]]:
    """Column names, whether the first row is a header, and what to tell about it."""
    if not all(_is_utf8(field) for field in rows[0]):
        raise Unreadable(f"not UTF-8 (line 1): {DECLARE_ENCODING}")
    first = [field.decode().strip() for field in rows[0]]
    numbered = tuple(f"column{number}" for number in range(1, len(first) + 1))
    if not _is_header(first, rows):
        note = f"no header in the first line: columns are called column1 to column{len(first)}"
        return numbered, False, (note,)
    return tuple(name or number for name, number in zip(first, numbered, strict=True)), True, ()


def _is_header(first: Sequence[str], rows: Sequence[Sequence[bytes]]) -> bool:
    if any(name and _VALUE.fullmatch(name) for name in first) or not any(first):
        return False
    others = [row for row in rows[1:] if row != rows[0] and len(row) == len(first)]
    again = sum(any(row[index] == rows[0][index] for row in others) for index in range(len(first)))
    return again * 2 < len(first)


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
