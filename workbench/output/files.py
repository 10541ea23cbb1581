"""Files that are either there whole or not at all: how every export reaches the disk."""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.errors import QueryFailed, UsageError
from workbench.output.streams import Sink, reason

STALE_SECONDS = 3600
"""A ``.part`` file untouched for so long belongs to nobody any more."""

_NAME_BYTES = 180
# Leaves room for the process, the token and the ending below the usual limit of 255 bytes a name.


def check_destination(path: Path, *, force: bool = False, protected: Sequence[Path] = ()) -> Path:
    """The file that an export to ``path`` will write, links resolved; asked before the work begins.

    Raises UsageError when it exists (without ``force``), is a folder, lies in a ``protected`` folder (where
    the data is read from) or in a folder that does not exist.
    """
    target = Path(os.path.realpath(path))
    for folder in protected:
        if target.is_relative_to(os.path.realpath(folder)):
            raise UsageError(
                f"cannot write {path}: data is read from {folder}",
                "give --output a file outside the data folders",
            )
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        if not target.parent.is_dir():
            raise UsageError(f"cannot write {path}: there is no folder {target.parent}") from None
        return target
    except OSError as error:
        raise UsageError(f"cannot write {path}: {reason(error)}") from error
    if stat.S_ISDIR(mode):
        raise UsageError(f"cannot write {path}: it is a folder", "name a file in it")
    if stat.S_ISREG(mode) and not force:
        raise UsageError(f"{path} exists", "give --force to replace it")
    return target


@contextmanager
def atomic(path: Path, *, force: bool = False, protected: Sequence[Path] = ()) -> Iterator[Sink]:
    """A file to write bytes to that takes its place under ``path`` only when all went well.

    Until then what stood there stays; on any exception the unfinished file goes. The last of several writers
    wins, each whole. Devices and pipes are written directly. Raises UsageError as :func:`check_destination`
    does, QueryFailed when the disk is full or refuses.
    """
    target = check_destination(path, force=force, protected=protected)
    if target.exists() and not target.is_file():
        with _opening(path), target.open("wb") as device:
            sink = Sink(device, str(path))
            yield sink
            sink.flush()
        return
    _remove_stale(target)
    part = target.with_name(f"{_prefix(target)}{os.getpid()}.{secrets.token_hex(4)}.part")
    with _opening(path):
        # The system applies the umask to this mode; asking for the umask would set it for all threads.
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            sink = Sink(file, str(path))
            yield sink
            sink.flush()
            with _opening(path):
                os.fsync(file.fileno())
        with _opening(path):
            part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    _sync_folder(target.parent)


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise QueryFailed(f"cannot write {path}: {reason(error)}") from error


def _prefix(target: Path) -> str:
    name = os.fsencode(target.name)[:_NAME_BYTES]
    return f".{os.fsdecode(name)}."


def _remove_stale(target: Path) -> None:
    pattern = re.compile(re.escape(_prefix(target)) + r"\d+\.[0-9a-f]{8}\.part", re.DOTALL)
    oldest = time.time() - STALE_SECONDS
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < oldest:
                        Path(entry.path).unlink()


def _sync_folder(folder: Path) -> None:
    # Some file systems cannot sync a folder; the file itself is safe by then.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
