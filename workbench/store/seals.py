"""What pins the files of a generation: marks that any later write changes, and hashes for what only a disk does.

A seal is written once, when all the other files of its folder are on the disk. Marks cost a ``stat`` each and are
looked at whenever a store is opened; hashes cost reading everything, and settle whether a failure is the store's.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import xxhash

SEAL = "seal.json"
LEASE = "lease"

_BLOCK = 1 << 20
_Mark = tuple[int, int, int, int]
"""Size, times of content and of change in ns, inode."""


def seal(folder: Path) -> None:
    """Seals all files of a folder as they are now, and has that on the disk; may raise OSError."""
    said = {
        file.relative_to(folder).as_posix(): [*_mark(file.lstat()), _hash(file)]
        for file in sorted(_files(folder))
    }
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(folder / SEAL, flags, 0o600), "wb") as file:
        file.write(json.dumps(said, separators=(",", ":")).encode("ascii"))
        file.flush()
        os.fsync(file.fileno())


def broken_mark(root: Path, sizes: Mapping[str, int]) -> str | None:
    """Which of some files (path below ``root`` → size) is not the one that was sealed; None where all are."""
    seals: dict[str, dict[str, object]] = {}
    for path, size in sizes.items():
        folder, _, inside = path.partition("/")
        try:
            if folder not in seals:
                seals[folder] = _read(root / folder)
            found = (root / path).lstat()
        except (OSError, ValueError, RecursionError):
            return path
        said = seals[folder].get(inside)
        mark = _mark(found)
        if not stat.S_ISREG(found.st_mode) or not isinstance(said, list) or said[:4] != list(mark):
            return path
        if mark[0] != size:
            return path
    return None


def broken_hash(root: Path, sizes: Mapping[str, int]) -> str | None:
    """Which of some files holds other bytes than were sealed, or cannot be read; None where none does."""
    for path in sizes:
        folder, _, inside = path.partition("/")
        try:
            said = _read(root / folder).get(inside)
            if not isinstance(said, list) or said[4:] != [_hash(root / path)]:
                return path
        except (OSError, ValueError, RecursionError):
            return path
    return None


def _read(folder: Path) -> dict[str, object]:
    said = json.loads((folder / SEAL).read_bytes())
    if not isinstance(said, dict):
        raise ValueError(f"{SEAL} holds no names")
    return said


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place, name)
            if file.parent != folder or name not in (SEAL, LEASE):
                yield file


def _mark(found: os.stat_result) -> _Mark:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _hash(file: Path) -> str:
    digest = xxhash.xxh3_128()
    with file.open("rb", buffering=0) as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
