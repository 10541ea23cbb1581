"""How the last import of a store went, kept beside its folder: so that nothing is tried or looked at in vain."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

State = Literal["began", "failed", "done"]
_MOST_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class Record:
    """One import: in the background where it began or failed, any where it is done."""

    state: State
    when: float
    """Seconds since 1970."""
    pid: int
    listing: str = ""
    """The digest of what was listed just before; empty where it is not done."""
    why: str = ""
    """Of one that failed, in a line."""


def path_of(root: Path) -> Path:
    """Where the record of a store lies; ``root`` is the store's folder, there or not."""
    return root.with_name(f"{root.name}.json")


def read(root: Path) -> Record | None:
    """The record of a store; None without one that can be read."""
    try:
        with path_of(root).open("rb") as file:
            said = json.loads(file.read(_MOST_BYTES))
        record = Record(
            said["state"],
            float(said["when"]),
            int(said["pid"]),
            str(said["listing"]),
            str(said["why"]),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return record if record.state in get_args(State) and 0 < record.pid < 1 << 31 else None


def write(root: Path, record: Record) -> None:
    """Keeps a record; a cache that cannot be written only makes others look again."""
    place = path_of(root)
    temporary = place.with_name(f"{place.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            temporary.write_text(json.dumps(asdict(record)), "utf-8")
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)


def forget(root: Path) -> None:
    """Takes the record of a store away."""
    with suppress(OSError):
        path_of(root).unlink(missing_ok=True)
