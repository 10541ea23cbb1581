"""What is remembered of a workspace's files between runs, in the user's state folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_state_path

from workbench.errors import QueryFailed
from workbench.output import atomic
from workbench.sources.listing import reason_of, shown
from workbench.workspace import Workspace

SCHEMA = 1
"""The layout of what is remembered."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of a file."""

    hash: str
    """XXH3, 128 bits, hexadecimal."""
    size: int
    mtime_ns: int
    whole: bool = True
    """False for a Parquet file that could not be read to its end."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The file in the user's state folder with what is remembered of one workspace's files."""

    path: Path
    root: str

    @classmethod
    def of(cls, workspace: Workspace) -> Memory:
        """That of a workspace; over bare paths that of these very paths."""
        parts = [os.fspath(workspace.root)]
        if workspace.file is None:
            parts += sorted(pattern for source in workspace.sources for pattern in source.patterns)
        key = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        return cls(user_state_path("workbench", appauthor=False) / "verify" / f"{key}.json", shown(parts[0]))

    def read(self) -> dict[str, Seen] | None:
        """What is remembered by file; None for nothing yet. Raises :class:`QueryFailed` for what is no memory."""
        try:
            value = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._unreadable(reason_of(error) if isinstance(error, OSError) else "no JSON") from error
        if (
            not isinstance(value, dict)
            or value.get("schema") != SCHEMA
            or not isinstance(value.get("files"), dict)
        ):
            raise self._unreadable("not of this version of workbench")
        try:
            return {
                str(path): Seen(str(one["hash"]), int(one["size"]), int(one["mtime_ns"]), bool(one["whole"]))
                for path, one in value["files"].items()
            }
        except (KeyError, TypeError, ValueError) as error:
            raise self._unreadable("an entry of it cannot be read") from error

    def write(self, files: Mapping[str, Seen]) -> None:
        """Takes the place of what was remembered, whole or not at all; for this user's eyes."""
        told = {
            path: {"hash": seen.hash, "size": seen.size, "mtime_ns": seen.mtime_ns, "whole": seen.whole}
            for path, seen in sorted(files.items())
        }
        text = json.dumps({"schema": SCHEMA, "root": self.root, "files": told}, indent=1)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with atomic(self.path, force=True) as sink:
                sink.write(text.encode())
        except OSError as error:
            raise QueryFailed(
                f"cannot remember in {self.path.parent}: {reason_of(error)}",
                "set XDG_STATE_HOME to a folder of yours",
            ) from error

    def _unreadable(self, why: str) -> QueryFailed:
        return QueryFailed(
            f"what is remembered of these files cannot be read: {why}", f"move {self.path} away to begin anew"
        )
