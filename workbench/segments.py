"""Segment files: rules over people, and lists of them as `--users` or somebody else wrote them; lists are saved too."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from queries.suggest import hint, shown
from workbench.errors import QueryFailed, UsageError
from workbench.one_line import one_line
from workbench.toml_reader import Reader, read_toml
from workbench.workspace import Workspace

FOLDER = "segments"
_LISTS = (".toml", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt")
_MOST_BYTES = 1 << 30
_NAME = re.compile(r"\w[\w .+-]*")
_MOST_NAME = 200
"""Bytes of a name: file systems take 255 with what is put behind it."""
_ID_COLUMNS = ("user", "user_id", "id", "anonymous_id")
"""The columns of a list with a header that may name the person, the first there is."""
_KIND_OF = {"user_id": "user_id", "anonymous_id": "anonymous_id"}
_HOW = "a list has one id a line, or a header with a column user or user_id, or JSON lines with user"


@dataclass(frozen=True, slots=True)
class Listed:
    """Ids of a segment, with their kinds where the list says them, equally long; or its rule."""

    ids: list[str]
    kinds: list[str | None]
    rule: str | None = None
    """A rule over people in place of a list."""

    def distinct(self) -> Listed:
        """Each id and kind once; a rule as it is."""
        if self.rule is not None:
            return self
        pairs = dict.fromkeys(zip(self.ids, self.kinds, strict=True))
        return Listed([name for name, _ in pairs], [kind for _, kind in pairs])


def destination(root: Path, name: str) -> Path:
    """The file under which a list of people will be saved as a segment of a workspace's folder.

    Raises UsageError for what is no name, and for one that is taken.
    """
    if not _NAME.fullmatch(name) or name != name.strip() or len(os.fsencode(name)) > _MOST_NAME:
        raise UsageError(f"{shown(name)} is no name for a segment", "letters, digits, blanks and . + - _")
    path = root / FOLDER / f"{name}.toml"
    for one in (path, path.with_suffix(".jsonl")):
        if os.path.lexists(one):
            raise UsageError(f"{one.relative_to(root)} exists", "give another name")
    return path


def save(root: Path, name: str, rows: Iterable[Mapping[str, object]], command: str) -> int:
    """Saves people, as rows with ``user`` and ``kind``, as a segment: a list, and the file that names it.

    Returns how many. Raises as :func:`destination`, QueryFailed where the disk refuses.
    """
    import tomlkit

    from workbench import output

    path = destination(root, name)
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise QueryFailed(f"cannot make {path.parent}: {error.strerror}") from error
    count = 0
    listing = path.with_suffix(".jsonl")
    with output.atomic(listing, force=False) as sink:
        for row in rows:
            sink.write(output.json_line({"user": row["user"], "kind": row["kind"]}).encode())
            count += 1
    document = tomlkit.document()
    document.add(tomlkit.comment(f"{count} people, as they were when this was saved:"))
    document.add(tomlkit.comment(one_line(command)))
    document.add("schema", tomlkit.item(1))
    document.add("file", tomlkit.item(listing.name))
    with output.atomic(path, force=False) as sink:
        sink.write(document.as_string().encode())
    return count


def read_segment(workspace: Workspace, name: str) -> Listed:
    """The ids of ``segments/NAME.toml`` of the workspace, of a file given by its path, or of ``-``.

    Raises UsageError for a segment that is not there, cannot be read or holds no list.
    """
    if name == "-":
        return _standard_input()
    folder = workspace.root / FOLDER
    try:
        path, found = Path(name), folder / f"{name}.toml"
        if path.suffix.lower() in _LISTS or os.sep in name:
            return _read(path)
        if found.is_file() and found.resolve().is_relative_to(folder.resolve()):
            return _read(found)
        if path.is_file():
            return _read(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"no segment {shown(name)}: {_reason(error)}", _HOW) from None
    known = sorted(file.stem for file in folder.glob("*.toml"))
    near = hint(name, known) or (f"it has {', '.join(known[:8])}" if known else _HOW)
    raise UsageError(f"no segment {shown(name)} in {folder}, and no file of that name", near)


@lru_cache(maxsize=1)
def _standard_input() -> Listed:
    """The list on standard input, told by how it begins; read once, since a question may be asked again."""
    path = Path("standard input")
    raw = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise UsageError(f"{path}: a list of more than {_MOST_BYTES >> 20} MiB", "split it")
    text = _decoded(path, raw)
    first = next((line for line in text.split("\n") if line.strip()), "")
    if first.lstrip().startswith(("{", '"')) and not first.rstrip().endswith(","):
        return _json_lines(path, text)
    for separator in (",", "\t"):
        if any(part.strip().strip('"') in _ID_COLUMNS for part in first.split(separator)):
            return _delimited(path, text, separator)
    return _plain(text)


def _read(path: Path) -> Listed:
    return _read_definition(path) if path.suffix.lower() == ".toml" else _read_list(path)


def _read_list(path: Path) -> Listed:
    text, ending = _text(path), path.suffix.lower()
    if ending == ".json":
        return _json_answer(path, text)
    if ending in (".jsonl", ".ndjson"):
        return _json_lines(path, text)
    if ending in (".csv", ".tsv"):
        return _delimited(path, text, "\t" if ending == ".tsv" else ",")
    return _plain(text)


def _plain(text: str) -> Listed:
    ids = [line.strip() for line in text.split("\n") if line.strip()]
    return Listed(ids, [None] * len(ids))


def _reason(error: OSError | ValueError) -> str:
    return str(error.strerror if isinstance(error, OSError) else error)


def _text(path: Path) -> str:
    try:
        # A pipe or a device may never end.
        if path.exists() and not path.is_file() and not path.is_dir():
            raise UsageError(f"{path}: is no file", _HOW)
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{path}: a list of more than {_MOST_BYTES >> 20} MiB", "split it")
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {_reason(error)}", _HOW) from None
    return _decoded(path, raw)


def _decoded(path: Path, raw: bytes) -> str:
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
        return Listed([], [], top.text("rule", required=True))
    if given == ["file"]:
        file = path.parent / (top.text("file", required=True) or "")
        if file.suffix.lower() == ".toml":
            raise top.error("a segment's file is a list, not another segment", "file", _HOW)
        return _read_list(file)
    ids = list(top.texts("ids"))
    return Listed(ids, [None] * len(ids))


def _json_answer(path: Path, text: str) -> Listed:
    """The people of a JSON answer, as ``--users … --json`` writes it, or of a plain array."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _json_lines(path, text)
    rows = value.get("rows") if isinstance(value, dict) and "user" not in value else value
    rows = rows if isinstance(rows, list) else [rows]
    return _named(path, ((number, row) for number, row in enumerate(rows, 1)))


def _json_lines(path: Path, text: str) -> Listed:
    def values() -> Iterator[tuple[int, object]]:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except (ValueError, RecursionError):
                    raise UsageError(f"{path}:{number}: is no JSON", _HOW) from None

    return _named(path, values())


def _named(path: Path, values: Iterable[tuple[int, object]]) -> Listed:
    """The ids of JSON values: texts, or objects with a text or number under ``user``, with its kind."""
    found = Listed([], [])
    for number, value in values:
        row = value if isinstance(value, dict) else {"user": value} if isinstance(value, str) else {}
        name = next((key for key in _ID_COLUMNS if row.get(key) not in (None, "")), None)
        given, kind = (row[name], row.get("kind") or _KIND_OF.get(name)) if name else (None, None)
        if isinstance(given, bool) or not isinstance(given, str | int) or not isinstance(kind, str | None):
            raise UsageError(f"{path}:{number}: names nobody", _HOW)
        try:
            str(given).encode()
        except UnicodeEncodeError:
            raise UsageError(f"{path}:{number}: an id with half a character", _HOW) from None
        found.ids.append(str(given))
        found.kinds.append(kind)
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
    # As they stand: blanks around an id are part of it in the data too.
    listed = [row for row in rows[1:] if len(row) > at and row[at]]
    kinds = [
        (row[kind_at] if kind_at is not None and kind_at < len(row) else "") or _KIND_OF.get(name)
        for row in listed
    ]
    return Listed([row[at] for row in listed], kinds)
