"""What a store says of itself: the files it was made from and the files it consists of, as JSON read without trust."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from workbench import SEMANTICS_VERSION

if TYPE_CHECKING:
    from workbench.workspace import Workspace

FORMAT = 1
"""Changes whenever a store's files mean something else."""

MOST_FILES = 1 << 23
"""A place is a file's number times 2^40 and the row: numbers stay below this."""

FOLDER = re.compile(r"g[0-9]{6,18}")
"""The name of a generation folder."""

_T = TypeVar("_T")
_RELATIVE = re.compile(r"g[0-9]{6,18}(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")
_INSIDE = re.compile(r"g[0-9]{6,18}(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_TEXT = re.compile(rb'\{"format":([0-9]{1,9}),"check":"([0-9a-f]{32})","manifest":(.*)\}', re.DOTALL)
_BITS = 63
# What decides how people meet the events, or where the cache is, but not what the events are.
_NOT_SIGNED = frozenset({"root", "cache", "roles", "sessions", "store", "file"})


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file whose rows are in the store."""

    number: int
    """The store's own, never used again for another file."""
    source: str
    relative: str
    identity: str
    """What pinned its content when it was read."""
    plan: str
    """The digest of how it was read."""
    rows: int
    aside: Mapping[str, int]
    """Rows set aside by reason: ``without-time``, ``unreadable-time``, ``impossible-time``, ``without-event``,
    ``without-id``."""
    lost: Mapping[str, int]
    """Column → values that could not be read."""
    first: int | None
    """Of its valid rows, as ``last``: UTC milliseconds."""
    last: int | None
    future: int | None
    """The earliest time set aside as too late, UTC milliseconds: from then on the file must be read again."""


@dataclass(slots=True)
class Run:
    """Sorted rows in one Parquet file."""

    folder: str
    name: str
    rows: int
    dead: str | None
    """``gNNNNNN/dead-K.npy``: the codes of people whose rows in this run are void."""
    dead_rows: int


@dataclass(slots=True)
class Manifest:
    """Everything a reader has to know of a store before it opens any other file of it."""

    signature: str
    generation: int
    next_number: int
    columns: tuple[str, ...]
    """Of the runs, beyond the fixed ones."""
    kinds: tuple[str, ...]
    """Of those columns: a property may be of another kind with the next file."""
    wanted: tuple[str, ...]
    """The wishes for further columns that it meets, as far as there are such columns."""
    has_fine: bool
    has_sequence: bool
    ids: tuple[str, ...]
    files: tuple[StoredFile, ...]
    runs: tuple[Run, ...]
    combos: str
    people: str
    lanes: str | None
    """The folder of the lanes; None where there are none."""
    no_lanes: str | None
    """Why there are none."""
    rows: int
    people_count: int
    codes: int
    """One more than the greatest code that anybody ever had."""
    combo_codes: int
    """Likewise of combinations."""
    first: int | None
    """Of all valid rows, as ``last``: UTC milliseconds."""
    last: int | None
    other: Mapping[str, str]
    """Identity → source of listed files that yield no events."""
    damaged: Mapping[str, str]
    """Identity → reason."""
    sizes: Mapping[str, int]
    """Path inside the store → bytes, of every file it consists of."""
    made: str
    """UTC, ISO 8601."""

    @property
    def paths(self) -> frozenset[str]:
        """What it names besides ``sizes``: files, and the folder of the lanes, inside the store."""
        runs = {f"{run.folder}/{run.name}" for run in self.runs}
        dead = {run.dead for run in self.runs if run.dead is not None}
        return frozenset({self.combos, self.people, *runs, *dead, *([self.lanes] if self.lanes else [])})

    @property
    def folders(self) -> frozenset[str]:
        """The generation folders it names."""
        return frozenset(path.partition("/")[0] for path in (*self.paths, *self.sizes))

    def to_json(self) -> bytes:
        """The text that :func:`load` reads back to the same manifest, with a checksum of itself."""
        body = json.dumps(self, default=_members, ensure_ascii=False, separators=(",", ":"))
        # Names of files that are no UTF-8 are text with lone surrogates, which strict UTF-8 refuses.
        raw = body.encode("utf-8", "surrogatepass")
        return b'{"format":%d,"check":"%s","manifest":%s}' % (FORMAT, _check(raw).encode(), raw)


def load(raw: bytes) -> Manifest | None:
    """The manifest a text holds; None for any text that is not whole, of another format, or not consistent."""
    found = _TEXT.fullmatch(raw)
    if found is None or int(found[1]) != FORMAT or _check(found[3]).encode() != found[2]:
        return None
    try:
        manifest = _manifest(json.loads(found[3].decode("utf-8", "surrogatepass")))
    except (ValueError, RecursionError):
        return None
    return manifest if _consistent(manifest) else None


def signature(workspace: Workspace, version: str = SEMANTICS_VERSION) -> str:
    """A short hex digest of everything that decides how the rows of a workspace become events and people.

    Roles, sessions and the workspace's own place say nothing of that. ``version``: of the meaning of numbers.
    """
    said = {
        part.name: _plain(getattr(workspace, part.name))
        for part in fields(workspace)
        if part.name not in _NOT_SIGNED
    }
    text = json.dumps([FORMAT, version, sorted(said.items())])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _plain(value: object) -> object:
    """A setting as JSON in which no two different ones look alike; the order of mappings counts."""
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {"pairs": [[_plain(key), _plain(each)] for key, each in value.items()]}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, str | int | bool):
        return value
    raise TypeError(f"a setting of type {type(value).__name__} cannot be signed")


def _members(value: object) -> object:
    """What JSON has no word for: a record's fields by name, and mappings that are no dict."""
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    raise TypeError(f"a manifest holds no {type(value).__name__}")


def _check(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


# --- reading without trust --------------------------------------------------------------------------------


class _Wrong(ValueError):
    """A value that no manifest has."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong
    return value


def _whole(value: object) -> int:
    if type(value) is not int or value.bit_length() > _BITS:
        raise _Wrong
    return value


def _count(value: object) -> int:
    number = _whole(value)
    if number < 0:
        raise _Wrong
    return number


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Wrong
    return value


def _matching(pattern: re.Pattern[str]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if pattern.fullmatch(text := _text(value)) is None:
            raise _Wrong
        return text

    return read


def _maybe(read: Callable[[object], _T]) -> Callable[[object], _T | None]:
    return lambda value: None if value is None else read(value)


def _several(read: Callable[[object], _T]) -> Callable[[object], tuple[_T, ...]]:
    def items(value: object) -> tuple[_T, ...]:
        if not isinstance(value, list):
            raise _Wrong
        return tuple(map(read, value))

    return items


def _mapping(read: Callable[[object], _T], key: Callable[[object], str] = _text) -> Callable[[object], Any]:
    def pairs(value: object) -> dict[str, _T]:
        if not isinstance(value, dict):
            raise _Wrong
        return {key(name): read(each) for name, each in value.items()}

    return pairs


def _record(
    kind: Callable[..., _T], reads: Mapping[str, Callable[[object], object]]
) -> Callable[[object], _T]:
    def record(value: object) -> _T:
        if not isinstance(value, dict) or value.keys() != reads.keys():
            raise _Wrong
        return kind(**{name: read(value[name]) for name, read in reads.items()})

    return record


_file = _record(
    StoredFile,
    {
        "number": _count,
        "source": _text,
        "relative": _text,
        "identity": _text,
        "plan": _text,
        "rows": _count,
        "aside": _mapping(_count),
        "lost": _mapping(_count),
        "first": _maybe(_whole),
        "last": _maybe(_whole),
        "future": _maybe(_whole),
    },
)
_run = _record(
    Run,
    {
        "folder": _matching(FOLDER),
        "name": _matching(_NAME),
        "rows": _count,
        "dead": _maybe(_matching(_RELATIVE)),
        "dead_rows": _count,
    },
)
_manifest = _record(
    Manifest,
    {
        "signature": _matching(_NAME),
        "generation": _count,
        "next_number": _count,
        "columns": _several(_text),
        "kinds": _several(_text),
        "wanted": _several(_text),
        "has_fine": _flag,
        "has_sequence": _flag,
        "ids": _several(_text),
        "files": _several(_file),
        "runs": _several(_run),
        "combos": _matching(_RELATIVE),
        "people": _matching(_RELATIVE),
        "lanes": _maybe(_matching(_INSIDE)),
        "no_lanes": _maybe(_text),
        "rows": _count,
        "people_count": _count,
        "codes": _count,
        "combo_codes": _count,
        "first": _maybe(_whole),
        "last": _maybe(_whole),
        "other": _mapping(_text),
        "damaged": _mapping(_text),
        "sizes": _mapping(_count, _matching(_RELATIVE)),
        "made": _text,
    },
)


def _consistent(manifest: Manifest) -> bool:
    """Whether every file it names has a size, and every number belongs to one file."""
    numbers = {file.number for file in manifest.files}
    named = manifest.paths - {manifest.lanes}
    return (
        len(numbers) == len(manifest.files)
        and len(manifest.kinds) == len(manifest.columns)
        and max(numbers, default=-1) < manifest.next_number <= MOST_FILES
        and all(run.dead_rows <= run.rows for run in manifest.runs)
        and named <= manifest.sizes.keys()
        and (manifest.lanes is None or any(_below(path, manifest.lanes) for path in manifest.sizes))
    )


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
