"""Who may touch a store's files and when: whole generations for readers, one writer, and nothing left behind.

A generation folder is held by a shared ``flock`` on its ``lease``: by its readers, and by its writer until a
manifest names it. Whoever cleans needs that lock alone, and looks at the manifest again once it has it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from workbench.errors import Changed, QueryFailed
from workbench.store import manifest as texts
from workbench.store.locks import (
    ABANDONED_SECONDS,
    LOCK,
    close_all,
    holder,
    in_words,
    is_of_disk,
    is_old,
    is_same,
    opened,
    put,
    store_lock,
    sync_folder,
    sync_tree,
    try_lock,
)
from workbench.store.manifest import FOLDER, Manifest, signature
from workbench.store.seals import LEASE as _LEASE
from workbench.store.seals import SEAL, broken_hash, broken_mark, seal

if TYPE_CHECKING:
    from workbench.workspace import Workspace

RETIRE_SECONDS = 7 * 86_400
"""A store of another signature is kept for so long after its last use."""

_MANIFEST = "manifest.json"
_NEW = ".new-"
_SIGNATURE = re.compile("[0-9a-f]+")
_TOUCH_SECONDS = 3_600
_PATIENCE = 2.0
_GRACE = 0.2
# Somebody who deletes holds a lock for moments: no reason to turn away a writer or a reader.


class Reading:
    """A whole generation of a store: its files stay until this is closed, whatever is imported meanwhile."""

    def __init__(self, folder: StoreFolder, manifest: Manifest, raw: bytes, leases: Sequence[FileIO]) -> None:
        self.folder = folder
        self.manifest = manifest
        self._raw = raw
        self._leases = list(leases)

    def path(self, relative: str) -> Path:
        """Where a file of the manifest is."""
        return self.folder.root / relative

    def damage(self) -> str | None:
        """Which file is not what was written, after reading all of them; None where all are."""
        return broken_mark(self.folder.root, self.manifest.sizes) or broken_hash(
            self.folder.root, self.manifest.sizes
        )

    def give_up(self) -> None:
        """Takes a damaged store away, so that the next import makes it anew; one that followed it stays.

        Where another import runs or the disk refuses, it stays too: whoever reads it finds the same.
        """
        with suppress(Changed, QueryFailed, OSError), self.folder.writing() as writing:
            if self.folder._raw() == self._raw:
                writing.drop()

    def close(self) -> None:
        """Gives the files back, and deletes those that only this reader kept; harmless when called again."""
        leases, self._leases = self._leases, []
        close_all(leases)
        if leases:
            self.folder.clean(unless=self._raw)

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class StoreFolder:
    """The store of one signature, ``cache/store/SIGNATURE``; it need not be there yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def load(self) -> Manifest | None:
        """The manifest, if all it names is there to the byte; of files that may go the next moment.

        It reads everything: what an import builds upon must not carry damage on.
        """
        try:
            manifest = self._parsed(self._raw())
        except OSError:
            return None
        if manifest is None or not self._whole(manifest):
            return None
        return manifest if broken_hash(self.root, manifest.sizes) is None else None

    def reading(self) -> Reading | None:
        """The store as it is now, held; None where there is none that can be used.

        Where a lease cannot be had (a folder without one, a file system without locks), it is read without.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                raw = self._raw()
                manifest = self._parsed(raw)
                if raw is None or manifest is None:
                    return None
                leases = self._held(manifest)
                if leases is not None:
                    if self._raw() == raw:
                        return self._begun(manifest, raw, leases)
                    close_all(leases)
            except OSError:
                return None
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)

    def writing(self, wait: float = 0) -> Writing:
        """The right to change the store, taken by ``with``; ``wait``: seconds to wait for another import.

        Entering raises :class:`Changed` while another import runs, :class:`QueryFailed` when the disk refuses.
        """
        return Writing(self, wait)

    def clean(self, unless: bytes | None = None) -> None:
        """Deletes generations that the manifest does not name and nobody holds; never fails.

        ``unless``: the manifest's text under which there is nothing to clean.
        """
        with suppress(OSError):
            if unless is None or self._raw() != unless:
                self._clean(alone=False)

    def size(self) -> int:
        """Bytes of all its files."""
        total = 0
        for folder, _, names in os.walk(self.root):
            for name in names:
                with suppress(OSError):
                    total += Path(folder, name).lstat().st_size
        return total

    def used(self) -> float:
        """When it was last written or, to the hour, read: seconds since 1970; 0 where it is not there."""
        times = [0.0]
        for path in (self.root, self.root / LOCK, self.root / _MANIFEST):
            with suppress(OSError):
                times.append(path.lstat().st_mtime)
        return max(times)

    def measured(self, manifest: Manifest) -> dict[str, int]:
        """The sizes of all files a manifest names, those in the folder of its lanes too; may raise OSError."""
        sizes: dict[str, int] = {}
        for relative in sorted(manifest.paths):
            path = self.root / relative
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if not file.is_dir():
                    sizes[file.relative_to(self.root).as_posix()] = file.lstat().st_size
        return sizes

    # --- the manifest ---

    def _raw(self) -> bytes | None:
        """The text of the manifest, None where there is none."""
        if self.root.is_symlink():
            return None
        try:
            with opened(self.root / _MANIFEST, os.O_RDONLY) as file:
                return file.readall()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _parsed(self, raw: bytes | None) -> Manifest | None:
        manifest = None if raw is None else texts.load(raw)
        return manifest if manifest is not None and manifest.signature == self.root.name else None

    def _whole(self, manifest: Manifest) -> bool:
        """Whether nobody touched a named file since; links are none of ours."""
        try:
            folders = {Path(*Path(path).parts[:depth]) for path in manifest.sizes for depth in _depths(path)}
            are_folders = all(stat.S_ISDIR((self.root / folder).lstat().st_mode) for folder in folders)
        except OSError:
            return False
        return are_folders and broken_mark(self.root, manifest.sizes) is None

    def _named(self) -> frozenset[str]:
        manifest = self._parsed(self._raw())
        return frozenset() if manifest is None else manifest.folders

    # --- leases ---

    def _held(self, manifest: Manifest) -> list[FileIO] | None:
        """A shared lock on every folder where there can be one; None where one is being deleted."""
        leases: list[FileIO] = []
        for name in sorted(manifest.folders):
            try:
                leases.append(opened(self.root / name / _LEASE, os.O_RDONLY))
            except OSError:
                continue
            if try_lock(leases[-1], fcntl.LOCK_SH) is False:
                close_all(leases)
                return None
        return leases

    def _begun(self, manifest: Manifest, raw: bytes, leases: Sequence[FileIO]) -> Reading | None:
        if not self._whole(manifest):
            close_all(leases)
            return None
        with suppress(OSError):
            if time.time() - self.used() > _TOUCH_SECONDS:
                os.utime(self.root / LOCK, follow_symlinks=False)
        return Reading(self, manifest, raw, leases)

    # --- cleaning ---

    def _generations(self) -> list[str]:
        if self.root.is_symlink():
            return []
        with os.scandir(self.root) as entries:
            return sorted(
                entry.name
                for entry in entries
                if FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            )

    def _clean(self, *, alone: bool) -> None:
        """``alone``: the caller has the store's lock, so that a folder without a lease is nobody's."""
        manifest = self._parsed(self._raw())
        named = frozenset[str]() if manifest is None else manifest.folders
        for name in self._generations():
            if manifest is not None and name in named:
                # What cannot go now is of no harm.
                with suppress(OSError):
                    self._trim_generation(name, manifest)
            else:
                self._clean_generation(name, alone=alone)

    def _trim_generation(self, name: str, manifest: Manifest) -> None:
        """Deletes what only older manifests named in a folder of which a run is still read."""
        place = self.root / name
        kept = {path.split("/")[1] for path in manifest.sizes if path.startswith(f"{name}/")} | {_LEASE, SEAL}
        left = [path for path in place.iterdir() if path.name not in kept]
        if not left:
            return
        with opened(place / _LEASE, os.O_RDWR) as lease:
            # Whoever reads by an older manifest holds the folder; whoever begins now reads by this one.
            if try_lock(lease, fcntl.LOCK_EX) is not True or self._parsed(self._raw()) != manifest:
                return
            for path in left:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def _clean_generation(self, name: str, *, alone: bool) -> None:
        place = self.root / name
        try:
            lease = opened(place / _LEASE, os.O_RDWR)
        except FileNotFoundError:
            if alone:
                shutil.rmtree(place, ignore_errors=True)
            return
        except OSError:
            return
        with lease:
            got = try_lock(lease, fcntl.LOCK_EX)
            if got is False or (got is None and not is_old(place)):
                return
            # The name may have come to mean another folder, or been committed, before the lock was had.
            if is_same(lease, place / _LEASE) and name not in self._named():
                shutil.rmtree(place, ignore_errors=True)


class Writing:
    """The right to change a store, from ``with`` to its end; for one thread."""

    def __init__(self, folder: StoreFolder, wait: float) -> None:
        self.folder = folder
        self._wait = wait
        self._lock: FileIO | None = None
        self._alone = False
        self._new: dict[Path, FileIO] = {}

    def __enter__(self) -> Writing:
        root = self.folder.root
        with in_words(root):
            self._lock = store_lock(root, max(self._wait, _GRACE), make=True)
        if self._lock is None:
            raise Changed(
                f"another import is running{holder(root / LOCK)}",
                "wait until it is done; questions are answered meanwhile",
            )
        # Where there are no locks it is had all the same, and others may be at work.
        self._alone = try_lock(self._lock, fcntl.LOCK_EX) is True
        try:
            with in_words(root):
                self._sweep()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()
        if isinstance(value, OSError) and is_of_disk(value, self.folder.root):
            with in_words(self.folder.root):
                raise value

    def new_generation(self) -> Path:
        """A new folder for files, private, above all others in number; it goes unless a commit names it."""
        root = self.folder.root
        with in_words(root):
            # A folder must never be seen under its name before it is held: it would be cleaned away.
            work = root / f"{_NEW}{os.getpid()}-{time.monotonic_ns()}"
            work.mkdir(mode=0o700)
            lease = opened(work / _LEASE, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            try:
                try_lock(lease, fcntl.LOCK_SH)
                place = root / f"g{self._highest() + 1:06d}"
                work.rename(place)
            except BaseException:
                lease.close()
                raise
            self._new[place] = lease
        return place

    def commit(self, manifest: Manifest) -> Manifest:
        """Makes a manifest the store's, all it names safe on the disk before; then cleans.

        Without sizes they are measured. Returns what was written. Raises ValueError for a manifest that
        could not be read back, :class:`QueryFailed` when the disk refuses; the store is then as it was.
        """
        root = self.folder.root
        with in_words(root):
            if not manifest.sizes:
                manifest = replace(manifest, sizes=self.folder.measured(manifest))
            raw = manifest.to_json()
            if self.folder._parsed(raw) != manifest:
                raise ValueError("a manifest that could not be read back")
            for place in self._new:
                # Times are settled only when all is written.
                sync_tree(place)
                seal(place)
                sync_folder(place)
            if not self.folder._whole(manifest):
                raise QueryFailed(f"a file of the store {root} is missing or not as it was", "run it again")
            sync_folder(root)
            put(root / _MANIFEST, raw)
            sync_folder(root)
        close_all(list(self._new.values()))
        self._new.clear()
        with suppress(OSError):
            self.folder._clean(alone=self._alone)
        return manifest

    def drop(self) -> None:
        """Takes the manifest away: there is no store until the next commit."""
        with in_words(self.folder.root):
            (self.folder.root / _MANIFEST).unlink(missing_ok=True)
            sync_folder(self.folder.root)

    def _highest(self) -> int:
        # Above the manifest's too: a number that ever named files is not given to others while it is known.
        manifest = self.folder._parsed(self.folder._raw())
        known = (
            [] if manifest is None else [manifest.generation, *(int(each[1:]) for each in manifest.folders)]
        )
        there = [int(path.name[1:]) for path in self.folder.root.iterdir() if FOLDER.fullmatch(path.name)]
        return max([0, *known, *there])

    def _sweep(self) -> None:
        """Takes away what killed imports left."""
        root = self.folder.root
        for path in [*root.glob(f"{_NEW}*"), *root.glob("*.tmp")]:
            if not self._alone and not is_old(path):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        self.folder._clean(alone=self._alone)

    def _release(self) -> None:
        uncommitted = list(self._new.values())
        self._new.clear()
        close_all(uncommitted)
        if uncommitted:
            with suppress(OSError):
                self.folder._clean(alone=self._alone)
        if self._lock is not None:
            self._lock.close()
            self._lock = None


# --- several stores ---------------------------------------------------------------------------------------


def store_folder(workspace: Workspace) -> StoreFolder:
    """Where the store of a workspace lies, made or not."""
    return StoreFolder(workspace.cache / "store" / signature(workspace))


def stores(cache: Path) -> list[StoreFolder]:
    """All stores of a cache, whatever their signature, by name."""
    try:
        with os.scandir(cache / "store") as entries:
            names = sorted(
                entry.name
                for entry in entries
                if _SIGNATURE.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return []
    return [StoreFolder(cache / "store" / name) for name in names]


def retire(cache: Path, keep: str, quota: int | None = None) -> tuple[str, ...]:
    """Deletes stores of signatures other than ``keep`` that were not used for a week or do not fit.

    ``quota``: bytes for all stores of the cache together; the longest unused go first, and ``keep`` stays in
    any case, as do stores that somebody reads or writes. Returns the signatures that went.
    """
    others = [store for store in stores(cache) if store.root.name != keep]
    total = StoreFolder(cache / "store" / keep).size()
    gone = []
    for store in sorted(others, key=lambda each: each.used(), reverse=True):
        size = store.size()
        unused = time.time() - store.used() > RETIRE_SECONDS
        too_many = quota is not None and total + size > quota
        if (unused or too_many) and remove(store.root):
            gone.append(store.root.name)
        else:
            total += size
    return tuple(gone)


def remove(root: Path) -> bool:
    """Deletes a store whole; False, and all of it stays, where somebody reads or writes it or it cannot be."""
    folder = StoreFolder(root)
    if root.is_symlink() or not root.is_dir():
        return not root.exists()
    held: list[FileIO] = []
    try:
        lock = store_lock(root, 0, make=False)
        if lock is None:
            return False
        held.append(lock)
        for name in folder._generations():
            with suppress(FileNotFoundError):
                held.append(opened(root / name / _LEASE, os.O_RDWR))
        got = [try_lock(each, fcntl.LOCK_EX) for each in held]
        if False in got or (None in got and time.time() - folder.used() < ABANDONED_SECONDS):
            return False
        _remove_all(root)
    except OSError:
        return False
    finally:
        close_all(held)
    return not root.exists()


def _remove_all(root: Path) -> None:
    # The manifest first, so that nobody begins to read; the lock last, so that nobody begins to write.
    (root / _MANIFEST).unlink(missing_ok=True)
    for path in root.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LOCK:
            path.unlink(missing_ok=True)
    (root / LOCK).unlink(missing_ok=True)
    root.rmdir()


def _depths(path: str) -> range:
    return range(1, path.count("/") + 1)
