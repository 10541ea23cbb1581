"""What lies in a workspace's folders against what its store was made of: only listed, no file is read for it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import NoData, TimedOut, WorkbenchError
from workbench.sources.listing import list_files, shown, without_doubles
from workbench.store import records
from workbench.store.folder import retire, store_folder
from workbench.store.locks import in_words, is_of_disk
from workbench.store.manifest import Manifest
from workbench.store.wanted import wanted

if TYPE_CHECKING:
    from workbench.runner import Task
    from workbench.sources.snapshot import Listed
    from workbench.store.importing import Imported
    from workbench.workspace import Workspace

LONGEST_PAUSE = 600.0
"""Seconds after which a watcher at most tries again what failed and did not change."""
_STEP = 0.25
"""Seconds after which a watcher at most sees that it is to end."""
_OWN_PARTS = 5
"""Parts of an identity that are the file's own; behind them stand the table and the log of a database."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a workspace at one moment, by what pins their content."""

    files: Mapping[str, str]
    """Key → path, as text to be shown."""
    size: int
    """Bytes."""

    @property
    def digest(self) -> str:
        """The same for the same files, unchanged."""
        text = "\0\0".join(sorted(self.files)).encode("utf-8", "surrogateescape")
        return hashlib.blake2b(text, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Difference:
    """What came and what went, by path; a changed file is in both."""

    new: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def changed(self) -> tuple[str, ...]:
        """Those that are there still, with another content."""
        return tuple(path for path in self.gone if path in set(self.new))


def listing(workspace: Workspace) -> Listing:
    """Every file that the sources name now; patterns that find nothing give none."""
    files: dict[str, str] = {}
    size = 0
    for source in workspace.sources:
        found: list[Listed] = []
        for pattern in source.patterns:
            try:
                found += list_files(workspace.root, pattern)[0]
            except NoData:
                continue
        for file in without_doubles(found)[0]:
            key = _key(file)
            if key not in files:
                files[key] = _name(str(file.path), workspace.root)
                size += file.size
    return Listing(files, size)


def compare(now: Listing, manifest: Manifest, root: Path) -> Difference:
    """The files that a store was not made of, and those it was made of that are not there."""
    identities = (*(file.identity for file in manifest.files), *manifest.other, *manifest.damaged)
    known = {_plain(identity): identity for identity in identities}
    return Difference(
        tuple(sorted(path for key, path in now.files.items() if key not in known)),
        tuple(sorted({_path(one, root) for key, one in known.items() if key not in now.files})),
    )


def between(before: Manifest | None, after: Manifest, root: Path) -> Difference:
    """What an import took in and what it let go; without a store before, everything is new."""
    old = {} if before is None else {file.identity: file for file in before.files}
    new = {file.identity: file for file in after.files}
    return Difference(
        tuple(sorted({_path(one, root) for one in new if one not in old})),
        tuple(sorted({_path(one, root) for one in old if one not in new})),
    )


def is_current(workspace: Workspace, manifest: Manifest, now: Listing) -> bool:
    """Whether an import would find nothing to do, as far as a listing tells.

    A file that an import has looked at and found unreadable is no reason to look again.
    """
    too_late = [file.future for file in manifest.files if file.future is not None]
    if too_late:
        # Imported late: with it come libraries that most listings do without.
        from workbench.survey import valid_times

        if min(too_late) < valid_times(workspace)[1]:
            return False
    root = store_folder(workspace).root
    if not wanted(root) <= set(manifest.wanted):
        return False
    record = records.read(root)
    if record is not None and record.state == "done" and record.listing == now.digest:
        return True
    difference = compare(now, manifest, workspace.root)
    return not difference.new and not difference.gone


def _key(file: Listed) -> str:
    if file.format != "duckdb":
        return file.identity
    log = file.location.with_name(f"{file.location.name}.wal")
    try:
        status = log.stat()
    except OSError:
        return f"{file.identity}\0"
    return f"{file.identity}\0{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _plain(identity: str) -> str:
    """An identity without the name of a table: a listing knows no tables."""
    parts = identity.split("\0")
    return "\0".join((*parts[:_OWN_PARTS], *([parts[-1]] if len(parts) > _OWN_PARTS else [])))


def _path(identity: str, root: Path) -> str:
    return _name(identity.partition("\0")[0], root)


def _name(path: str, root: Path) -> str:
    """A file below the workspace from there, else from the root."""
    return shown(str(Path(path).relative_to(root) if Path(path).is_relative_to(root) else path))


# --- taking in --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Taken:
    """An import with what it changed by name, and the stores that went for it."""

    imported: Imported
    difference: Difference
    damaged: Mapping[str, str]
    """Path → reason, of the files in which an import came upon damage."""
    unread: tuple[str, ...]
    """Files that were listed and are not in the store besides: not readable, or not whole yet."""
    retired: tuple[str, ...]

    @property
    def is_news(self) -> bool:
        """Whether the store is another one than before."""
        return bool(self.imported.new_files or self.imported.gone_files or self.imported.is_whole)


def take_in(
    workspace: Workspace,
    task: Task,
    *,
    memory: str | None = None,
    threads: int | None = None,
    anew: bool = False,
    wait: float = 0.0,
) -> Taken:
    """Brings the store up to date, remembers of which listing it is, and lets old stores go.

    Raises what :func:`workbench.store.updating.update_store` does.
    """
    from workbench.store.updating import update_store

    task.report(None, "listing files")
    folder = store_folder(workspace)
    seen = listing(workspace)
    before = folder.load()
    try:
        imported = update_store(workspace, task, memory=memory, threads=threads, anew=anew, wait=wait)
    except OSError as error:
        if not is_of_disk(error, workspace.cache):
            raise
        with in_words(folder.root):
            raise
    records.write(folder.root, records.Record("done", time.time(), os.getpid(), seen.digest))
    retired = retire(workspace.cache, folder.root.name, workspace.store.quota)
    for name in retired:
        records.forget(folder.root.with_name(name))
    manifest = imported.manifest
    return Taken(
        imported,
        between(before, manifest, workspace.root),
        {_path(identity, workspace.root): reason for identity, reason in manifest.damaged.items()},
        compare(seen, manifest, workspace.root).new,
        retired,
    )


# --- watching ---------------------------------------------------------------------------------------------


class Watcher:
    """Takes in what comes and goes for as long as it runs; between two looks it sleeps."""

    def __init__(
        self,
        workspace: Workspace,
        every: float,
        take: Callable[[Task, bool], Taken],
        *,
        tell: Callable[[Taken], None],
        complain: Callable[[WorkbenchError], None],
    ) -> None:
        """``every``: seconds between two looks. ``take`` is told whether it is the first time."""
        self._workspace, self._every = workspace, every
        self._take, self._tell, self._complain = take, tell, complain
        self._complained: str | None = None
        self._again = 0.0
        self._pause = every

    def run(self, task: Task) -> None:
        """Ends when the task is cancelled, by :class:`Cancelled`; what fails is told once and tried again later."""
        looked = taken = ""
        is_first = is_untried = True
        while True:
            before, looked = looked, self._look()
            is_still = looked == before
            if not is_still:
                self._again, self._pause = 0.0, self._every
            is_due = is_still and time.monotonic() >= self._again
            if looked != taken and (is_untried or is_due):
                is_untried = False
                if self._took(task, is_first):
                    taken, is_first = looked, False
            self._sleep(task)

    def _look(self) -> str:
        now = listing(self._workspace)
        # Events that were too early become valid at midnight, though no file changes.
        return f"{now.digest} {time.time() // 86_400:.0f}"

    def _took(self, task: Task, is_first: bool) -> bool:
        try:
            taken = self._take(task, is_first)
        except WorkbenchError as error:
            # The task's own end comes as this too.
            task.check()
            if isinstance(error, TimedOut):
                raise
            if self._complained != error.message:
                self._complain(error)
            self._complained = error.message
            # What failed goes another way only over other files, or after some time.
            self._again = time.monotonic() + self._pause
            self._pause = min(self._pause * 2, max(LONGEST_PAUSE, self._every))
            return False
        self._complained, self._again, self._pause = None, 0.0, self._every
        self._tell(taken)
        return True

    def _sleep(self, task: Task) -> None:
        task.report(None, "watching")
        until = time.monotonic() + self._every
        while (left := until - time.monotonic()) > 0:
            task.check()
            time.sleep(min(left, _STEP))
        task.check()


def first(paths: Sequence[str], most: int = 5) -> str:
    """Paths for a line, with how many more there are."""
    more = f" and {len(paths) - most:,} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more
