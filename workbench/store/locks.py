"""Locks between processes, and files that are on the disk when they are said to be: what the store stands on."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from workbench.errors import QueryFailed

LOCK = "lock"
"""The file in a store that its one writer locks."""
ABANDONED_SECONDS = 86_400
"""Where locks do not work, only what nobody touched for so long is taken for left behind."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def try_lock(file: FileIO, how: int) -> bool | None:
    """Whether the lock was had at once; None where the file system has no locks."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def store_lock(root: Path, wait: float, *, make: bool) -> FileIO | None:
    """The lock of a store's one writer; None where somebody else has it for longer than ``wait`` seconds.

    ``make``: with the folders on the way to it. May raise OSError.
    """
    deadline = time.monotonic() + wait
    while True:
        if make:
            _make(root)
        with suppress(FileNotFoundError):
            lock = opened(root / LOCK, os.O_RDWR | os.O_CREAT)
            got = try_lock(lock, fcntl.LOCK_EX)
            # Somebody may have deleted the store, and another begun it anew, before the lock was had.
            if got is not False and is_same(lock, root / LOCK):
                # Whoever only deletes must not look as if the store had been used.
                if make:
                    _sign(lock)
                return lock
            lock.close()
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.02)


def _make(root: Path) -> None:
    for folder in (root.parent, root):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.is_symlink():
        raise OSError(errno.ELOOP, "it is a link", str(root))


def _sign(lock: FileIO) -> None:
    # Only for the message to others.
    with suppress(OSError):
        lock.truncate(0)
        os.pwrite(lock.fileno(), b"%d\n" % os.getpid(), 0)


def holder(path: Path) -> str:
    """Who has the lock, for the end of a sentence; empty where that is not known."""
    try:
        with opened(path, os.O_RDONLY) as file:
            said = re.fullmatch(rb"([0-9]{1,10})\n", file.read(16) or b"")
    except OSError:
        return ""
    return "" if said is None else f": process {int(said[1])}"


def opened(path: Path, flags: int) -> FileIO:
    """A regular file, never a link, and without waiting for the other end of a pipe."""
    number = os.open(path, flags | _SAFE, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return FileIO(number, "r+" if flags & os.O_RDWR else "r")
    except BaseException:
        os.close(number)
        raise


def is_same(file: FileIO, path: Path) -> bool:
    """Whether a name still means the open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except OSError:
        return False


def is_old(path: Path) -> bool:
    """Whether nobody touched it for so long that it was left behind."""
    try:
        return time.time() - path.lstat().st_mtime > ABANDONED_SECONDS
    except OSError:
        return False


def close_all(files: Sequence[FileIO]) -> None:
    """Closes files, and with them their locks."""
    for file in files:
        file.close()


# --- the disk ---------------------------------------------------------------------------------------------


def put(path: Path, raw: bytes) -> None:
    """Writes a file whole or not at all; may raise OSError."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def sync_tree(root: Path) -> None:
    """Has a folder and all below it on the disk; may raise OSError."""

    def refuse(error: OSError) -> None:
        raise error

    for folder, _, names in os.walk(root, topdown=False, onerror=refuse):
        for name in names:
            _sync(Path(folder, name), os.O_RDONLY)
        sync_folder(Path(folder))


def sync_folder(folder: Path) -> None:
    """Has a folder's list of names on the disk; may raise OSError."""
    try:
        _sync(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        # Some file systems have nothing to write of a folder, and say so.
        if error.errno != errno.EINVAL:
            raise


def _sync(path: Path, flags: int) -> None:
    number = os.open(path, flags | _SAFE)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def in_words(root: Path) -> Iterator[None]:
    """Failures of the disk while a store is written, as :class:`QueryFailed`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise QueryFailed(
                f"the disk is full: {root}; the store is as it was", "free some space"
            ) from error
        why = (error.strerror or str(error)).lower()
        raise QueryFailed(
            f"cannot write the store {root}: {why}", "every question works without it"
        ) from error


def is_of_disk(error: OSError, root: Path) -> bool:
    """Whether a failure is of the disk below a folder, and not of some file that was read meanwhile."""
    named = error.filename if isinstance(error.filename, str | os.PathLike) else None
    return error.errno in _FULL or (named is not None and Path(named).is_relative_to(root))
