"""Reads segment files: lists of people, as `--users` writes them or as somebody else made them."""

from __future__ import annotations

import codecs
import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

from queries.suggest import hint
from workbench.errors import UsageError
from workbench.toml_reader import Reader, read_toml
from workbench.workspace import Workspace

FOLDER = "segments"
_ID_COLUMNS = ("user", "user_id", "id", "anonymous_id")
"""The columns of a list with a header that may name the person, the first there is."""
_KIND_OF = {"user_id": "user_id", "anonymous_id": "anonymous_id"}
_HOW = "a list has one id a line, or a header with a column user or user_id, or JSON lines with user"


@dataclass(frozen=True, slots=True)
class Listed:
    """Ids of a segment, with their kinds where the list says them; equally long."""

    ids: list[str]
    kinds: list[str | None]


def read_segment(workspace: Workspace, name: str) -> Listed:
    """The ids of ``segments/NAME.toml`` of the workspace, or of a file given by its path.

    Raises UsageError for a segment that is not there, cannot be read or holds no list.
    """
    path = Path(name).expanduser()
    if path.suffix or path.is_file():
        return _read(path)
    folder = workspace.root / FOLDER
    found = folder / f"{name}.toml"
    if found.is_file() and found.resolve().is_relative_to(folder.resolve()):
        return _read(found)
    known = sorted(file.stem for file in folder.glob("*.toml"))
    near = hint(name, known) or (f"it has {', '.join(known[:8])}" if known else _HOW)
    raise UsageError(f"no segment {name!r} in {folder}, and no file of that name", near)


def _read(path: Path) -> Listed:
    if path.suffix.lower() == ".toml":
        return _read_definition(path)
    text = _text(path)
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return _json_lines(path, text)
    if path.suffix.lower() in (".csv", ".tsv"):
        return _delimited(path, text, "\t" if path.suffix.lower() == ".tsv" else ",")
    ids = [line.strip() for line in text.splitlines() if line.strip()]
    return Listed(ids, [None] * len(ids))


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", _HOW) from None
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is no text in UTF-8", "save it as UTF-8") from None


def _read_definition(path: Path) -> Listed:
    top = Reader(path, read_toml(path)).top
    top.only(("schema", "name", "ids", "file", "rule"))
    if "schema" not in top.values:
        raise top.error("schema is missing", "schema", "write schema = 1")
    top.integer("schema", 1, 1)
    given = [key for key in ("ids", "file", "rule") if key in top.values]
    if len(given) != 1:
        raise top.error("a segment has one of ids, file and rule", given[0] if given else "ids")
    if given == ["rule"]:
        raise top.error(
            "segments by rule are not in this version yet", "rule", "list the people: ids or file"
        )
    if given == ["file"]:
        return _read(path.parent / (top.text("file", required=True) or ""))
    ids = list(top.texts("ids"))
    return Listed(ids, [None] * len(ids))


def _json_lines(path: Path, text: str) -> Listed:
    found = Listed([], [])
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise UsageError(f"{path}:{number}: is no JSON", _HOW) from None
        if isinstance(value, str):
            value = {"user": value}
        name = next((key for key in _ID_COLUMNS if isinstance(value, dict) and value.get(key)), None)
        if name is None:
            raise UsageError(f"{path}:{number}: names nobody", _HOW)
        kind = value.get("kind", _KIND_OF.get(name))
        found.ids.append(str(value[name]))
        found.kinds.append(None if kind is None else str(kind))
    return found


def _delimited(path: Path, text: str, separator: str) -> Listed:
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=separator, strict=True))
    except csv.Error as error:
        raise UsageError(f"{path}: cannot be read: {error}", _HOW) from None
    header = [name.strip() for name in rows[0]] if rows else []
    name = next((name for name in _ID_COLUMNS if name in header), None)
    if name is None:
        raise UsageError(f"{path}:1: has no column {' or '.join(_ID_COLUMNS[:2])}", _HOW)
    at, kind_at = header.index(name), header.index("kind") if "kind" in header else None
    listed = [row for row in rows[1:] if len(row) > at and row[at].strip()]
    kinds = [
        row[kind_at] if kind_at is not None and kind_at < len(row) else _KIND_OF.get(name) for row in listed
    ]
    return Listed([row[at].strip() for row in listed], kinds)
