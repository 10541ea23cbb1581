"""Turns a TOML file into values of known types, naming file, line and column where something is wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from queries.suggest import ask, did_you_mean
from workbench.errors import UsageError

Place = tuple[str | int, ...]
"""The way to a value: keys, and indexes of arrays of tables."""
_Word = TypeVar("_Word", bound=str)
_AT = re.compile(r"^(.*?)\s*\(at (?:line (\d+), column (\d+)|end of document)\)$", re.DOTALL)
_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_MAX_BYTES = 1_000_000


def read_toml(path: Path) -> str:
    """The text of a TOML file; raises UsageError when it can't be read, or starts with a byte order mark."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path}: too large to be settings", "more than 1 MB")
        raw = path.read_bytes()
    except IsADirectoryError:
        raise UsageError(f"{path}: is a folder, not a file") from None
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}", "check its owner and mode") from None
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise UsageError(f"{path}:1:1: starts with a byte order mark", "save it as UTF-8 without one")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise UsageError(f"{path}:{line}:{column}: is not UTF-8", "save it as UTF-8") from None


class Reader:
    """One parsed file and the way from a value back to its line."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise self._syntax(str(error)) from None
        except RecursionError:
            raise UsageError(f"{path}:1:1: nested too deeply") from None
        self.top = Table(self, values, ())

    def error(self, message: str, hint: str | None, place: Place) -> UsageError:
        """The error about a value, with file, line and column."""
        line, column = self._locate(place)
        return UsageError(f"{self.path}:{line}:{column}: {message}", hint)

    def _syntax(self, message: str) -> UsageError:
        found = _AT.match(message)
        if found is None:
            return UsageError(f"{self.path}:1:1: {message}")
        line = int(found[2] or max(len(self.lines), 1))
        column = int(found[3] or (len(self.lines[-1]) + 1 if self.lines else 1))
        return UsageError(f"{self.path}:{line}:{column}: {found[1]}")

    def _locate(self, place: Place) -> tuple[int, int]:
        """Line and column of a value, or of the nearest table around it."""
        tables = [part for part in place if isinstance(part, str)]
        counts: dict[str, int] = {}
        current: Place = ()
        best = (0, 1, 1)
        for number, line in enumerate(self.lines, 1):
            header = _HEADER.match(line)
            if header:
                current = self._entered(header, counts)
                if current and place[: len(current)] == current and len(current) > best[0]:
                    best = (len(current), number, line.index("[") + 1)
                continue
            if place[: len(current)] != current:
                continue
            for key in _keys_of(line):
                depth = len(current) + len(key)
                if place[len(current) : depth] == key and depth > best[0]:
                    best = (depth, number, len(line) - len(line.lstrip()) + 1)
        return (best[1], best[2]) if tables else (1, 1)

    def _entered(self, header: re.Match[str], counts: dict[str, int]) -> Place:
        parts = _split_key(header[2])
        name = ".".join(parts)
        if header[1] == "[[":
            counts[name] = counts.get(name, -1) + 1
        place: list[str | int] = []
        for index, part in enumerate(parts):
            place.append(part)
            prefix = ".".join(parts[: index + 1])
            if prefix in counts:
                place.append(counts[prefix])
        return tuple(place)


def _split_key(text: str) -> list[str]:
    return [
        part[1:-1] if part[0] in "\"'" else part for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.\s]+", text)
    ]


def _keys_of(line: str) -> list[Place]:
    found = re.match(r"\s*((?:\"[^\"]*\"|'[^']*'|[\w.-])+)\s*=", line)
    return [tuple(_split_key(found[1]))] if found else []


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the file; every reading checks the type and raises UsageError at the value's place."""

    reader: Reader
    values: Mapping[str, object]
    place: Place

    def error(self, message: str, key: str, hint: str | None = None) -> UsageError:
        """The error about one key of the table."""
        return self.reader.error(message, hint, (*self.place, key))

    def only(self, known: Sequence[str]) -> None:
        """Refuses keys that are not known, with the nearest known one."""
        for key in self.values:
            if key not in known:
                near = did_you_mean(key, known)
                raise self.error(
                    f"unknown key {key}", key, ask(near) if near else f"known keys: {', '.join(known)}"
                )

    def text(self, key: str, *, required: bool = False) -> str | None:
        """A non-empty text, or None where the key is missing."""
        if key not in self.values:
            if required:
                raise self.error(f"{key} is missing", key)
            return None
        value = self.values[key]
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{key} must be text", key)
        return value

    def texts(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """One text or a list of texts."""
        value = self.values.get(key)
        if (
            isinstance(value, list)
            and value
            and all(isinstance(item, str) and item.strip() for item in value)
        ):
            return tuple(value)
        if isinstance(value, list) and not value and not required:
            return ()
        if value is not None and not isinstance(value, str):
            raise self.error(f"{key} must be text or a list of texts", key)
        text = self.text(key, required=required)
        return () if text is None else (text,)

    def boolean(self, key: str) -> bool:
        """True or false; false where the key is missing."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.error(f"{key} must be true or false", key)
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        """A whole number between two bounds, both allowed."""
        value = self.values[key]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(f"{key} must be a whole number from {low} to {high}", key)
        return value

    def choice(self, key: str, words: Sequence[_Word]) -> _Word | None:
        """One of some words, or None where the key is missing."""
        text = self.text(key)
        if text is None:
            return None
        for word in words:
            if word == text:
                return word
        near = did_you_mean(text, words)
        raise self.error(
            f"{key} can't be {text}", key, ask(near) if near else f"it is one of: {', '.join(words)}"
        )

    def moment(self, key: str) -> str | None:
        """A date or time, written as TOML's own or as text."""
        value = self.values.get(key)
        if isinstance(value, date | datetime):
            return value.isoformat()
        return self.text(key)

    def table(self, key: str) -> Table:
        """A table inside this one; empty where the key is missing."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.error(f"{key} must be a table", key)
        return Table(self.reader, value, (*self.place, key))

    def tables(self, key: str) -> list[Table]:
        """An array of tables; empty where the key is missing."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(f"{key} must be an array of tables: [[{key}]]", key)
        return [Table(self.reader, item, (*self.place, key, index)) for index, item in enumerate(value)]
