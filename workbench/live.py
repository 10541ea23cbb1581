"""What comes in from outside while the program is open: files of the sources, and the store that was made of them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from workbench.errors import WorkbenchError
from workbench.keys import settings_path
from workbench.toml_reader import Reader, read_toml
from workbench.workspace import Workspace, chosen

if TYPE_CHECKING:
    from queries.question import Scope
    from workbench.dataset import Dataset
    from workbench.session import Answer

LOOK_SECONDS = 5.0
"""How often the sources are listed."""
MANY_FILES, MANY_SECONDS = 5_000, 30.0
"""Sources of more files are listed less often."""
STORE_SECONDS = 1.0
"""How often at most it is looked whether a store is there."""
MOST_WAITS = 12
"""Looks for which files that grow hold up those that do not."""
MOST_IMPORTS = 3
"""Imports that are waited for where each ends behind the files."""

State = tuple[int, ...]
Listing = Mapping[str, State]
"""Path → what pins its content: size, times, inode."""


class Background(Protocol):
    """The imports that run beside the program (``workbench/store/background.py``)."""

    LEAST_SECONDS: float

    def pays(self, dataset: Dataset) -> bool:
        """Whether a store would have made the newest answer faster by enough."""
        ...

    def start(self, workspace: Workspace) -> bool:
        """Starts one where it may; whether it did."""
        ...

    def state(self, workspace: Workspace) -> str:
        """``none``, ``building``, ``ready`` or ``stale``."""
        ...


def background() -> Background:
    """The imports beside the program, loaded with their first use."""
    import importlib
    from typing import cast

    return cast("Background", importlib.import_module("workbench.store.background"))


def is_wanted(path: Path | None = None) -> bool:
    """Whether new files are taken in while the program is open: ``WORKBENCH_LIVE``, else ``[live] refresh``.

    Raises UsageError for a setting that is neither true nor false.
    """
    wished = os.environ.get("WORKBENCH_LIVE", "").strip().lower()
    if wished:
        return wished not in ("off", "0", "no", "false")
    file = path or settings_path()
    if not file.is_file():
        return True
    table = Reader(file, read_toml(file)).top.table("live")
    return table.boolean("refresh") if "refresh" in table.values else True


# --- files ------------------------------------------------------------------------------------------------------


def listing(workspace: Workspace) -> Listing:
    """The data files of a workspace as the file system tells them; none of them is opened."""
    from workbench.errors import NoData
    from workbench.sources.listing import list_files

    found: dict[str, State] = {}
    for source in workspace.sources:
        for pattern in source.patterns:
            named = workspace.root / pattern
            if (state := state_of(named)) is not None and not named.is_dir():
                # Listed by its name alone, it would be opened where that does not tell what it is.
                found[str(named)] = state
                log = named.with_name(f"{named.name}.wal")
                found |= {str(log): state for state in [state_of(log)] if state is not None}
                continue
            with suppress(NoData):
                for file in list_files(workspace.root, pattern)[0]:
                    found[str(file.path)] = (file.size, file.mtime_ns, file.ctime_ns, *file.inode)
    return found


def state_of(path: Path) -> State | None:
    """What pins the content of a file; None where there is none to be seen."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino


class Settling:
    """Tells that a listing changed once the changed files are the same for two looks."""

    def __init__(self, first: Listing) -> None:
        self._known = self._last = first
        self._waits = 0

    def has_changed(self, now: Listing) -> bool:
        """Takes in the newest look; whether something came, changed or went, and is at rest.

        A file that grows holds up the others, though not for ever.
        """
        paths = (*now, *(path for path in self._known if path not in now))
        changed = [path for path in paths if now.get(path) != self._known.get(path)]
        resting = [path for path in changed if now.get(path) == self._last.get(path)]
        self._last = now
        if not changed:
            self._waits = 0
            return False
        if len(resting) < len(changed):
            self._waits += 1
            if not resting or self._waits < MOST_WAITS:
                return False
        self._waits = 0
        known = {**self._known, **{path: now[path] for path in resting if path in now}}
        self._known = {path: state for path, state in known.items() if path in now or path not in resting}
        return True


# --- the store --------------------------------------------------------------------------------------------------


def manifest_of(workspace: Workspace) -> Path:
    """The manifest of the store of a workspace; it need not be there."""
    from workbench.store.folder import store_folder

    return store_folder(workspace).root / "manifest.json"


class Storing:
    """Begins the store of what is asked, behind the program, after an answer that it would have made faster."""

    def __init__(self) -> None:
        self.begun = False
        """Whether one was begun."""
        self._answered: WeakSet[Dataset] = WeakSet()
        self._tried: WeakSet[Dataset] = WeakSet()

    def begin(self, answer: Answer) -> bool:
        """Whether it was begun with this answer; on the worker, right after it."""
        dataset, imports = answer.dataset, background()
        # The first one cost opening too, of which the others have the use.
        is_slow = dataset not in self._answered or answer.seconds > imports.LEAST_SECONDS
        self._answered.add(dataset)
        if self.begun or dataset in self._tried or not is_slow or not imports.pays(dataset):
            return False
        self._tried.add(dataset)
        self.begun = imports.start(dataset.workspace)
        return self.begun


class StoreLook:
    """Whether a store of a dataset's own listing came to be after the dataset was opened."""

    def __init__(self, scope: Scope) -> None:
        """Made before the dataset of the scope is opened."""
        self._manifest: Path | None = None
        if scope.as_of is None and scope.unit != "raw":
            # What is wrong with the workspace is said by whoever opens it.
            with suppress(WorkbenchError):
                workspace = chosen(scope.data, scope.mapping)
                self._manifest = manifest_of(workspace) if workspace.dedup == "none" else None
        self._mark = None if self._manifest is None else state_of(self._manifest)
        self._next = time.monotonic() + STORE_SECONDS

    def has_come(self, dataset: Dataset) -> bool:
        """Whether it is there now; looked at as often as a store can matter, and read only where it is another."""
        now = time.monotonic()
        if self._manifest is None or now < self._next:
            return False
        self._next = now + STORE_SECONDS
        mark = state_of(self._manifest)
        if mark is None or mark == self._mark:
            return False
        self._mark = mark
        from workbench.store.events import find_store
        from workbench.survey import valid_times

        stored = find_store(dataset.workspace)
        until = valid_times(dataset.workspace)[1]
        return stored is not None and stored.is_of(dataset.sources, dataset.relation, until)


# --- watching ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Import:
    """An import that is waited for."""

    mark: State | None
    """The manifest's before it."""
    ask_again: float
    """When it is looked at next whether it still runs."""
    count: int = 1


class Watcher:
    """Lists the sources of what is open from time to time, on a thread of its own that sleeps in between.

    ``tell`` is called on that thread: True once a store of the new files is there, False where the files
    themselves are to be read. ``fault`` is told what ended the watching.
    """

    def __init__(
        self,
        scope: Callable[[], Scope],
        tell: Callable[[bool], None],
        fault: Callable[[BaseException], None],
        imports: Callable[[], Background] = background,
    ) -> None:
        self._scope, self._tell, self._fault, self._imports = scope, tell, fault, imports
        self._ended = threading.Event()
        self._workspace: Workspace | None = None
        self._settling: Settling | None = None
        self._files = 0
        self._import: _Import | None = None
        self._next_look = 0.0

    def start(self) -> None:
        """Begins to watch."""
        threading.Thread(target=self._run, name="workbench-live", daemon=True).start()

    def stop(self) -> None:
        """Nothing is told any more."""
        self._ended.set()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self.step()
                self._ended.wait(self._pause())
        except Exception as error:  # noqa: BLE001 - the boundary of the thread: a trace would tear the screen
            self._fault(error)

    def _pause(self) -> float:
        until = max(self._next_look - time.monotonic(), 0.01)
        return until if self._import is None else min(until, STORE_SECONDS)

    def step(self) -> None:
        """Looks at whatever is due."""
        if time.monotonic() >= self._next_look:
            # A folder that went away or settings half written: the next look may find them whole.
            with suppress(WorkbenchError, OSError):
                self._look()
            seconds = MANY_SECONDS if self._files > MANY_FILES else LOOK_SECONDS
            self._next_look = time.monotonic() + seconds
        if self._import is not None and self._workspace is not None:
            self._look_after(self._import, self._workspace)

    def _look(self) -> None:
        scope = self._scope()
        workspace = chosen(scope.data, scope.mapping)
        found = listing(workspace)
        self._files = len(found)
        if self._settling is None or workspace != self._workspace:
            self._settling, self._workspace, self._import = Settling(found), workspace, None
        elif self._settling.has_changed(found):
            self._take_in(workspace)

    def _take_in(self, workspace: Workspace) -> None:
        """Brings the store up to date where there is one or will be, else says that there are files."""
        mark = state_of(manifest_of(workspace))
        imports = self._imports()
        is_building = imports.state(workspace) == "building"
        if is_building or (mark is not None and imports.start(workspace)):
            self._import = _Import(mark, time.monotonic() + LOOK_SECONDS)
        else:
            self._tell(False)

    def _look_after(self, waited: _Import, workspace: Workspace) -> None:
        mark = state_of(manifest_of(workspace))
        if mark is not None and mark != waited.mark:
            # More files came meanwhile, or it had listed them before the last ones came.
            is_behind = self._imports().state(workspace) == "stale"
            if is_behind and waited.count < MOST_IMPORTS and self._imports().start(workspace):
                self._import = _Import(mark, time.monotonic() + LOOK_SECONDS, waited.count + 1)
            else:
                self._import = None
                self._tell(not is_behind)
        elif time.monotonic() >= waited.ask_again:
            waited.ask_again = time.monotonic() + LOOK_SECONDS
            if self._imports().state(workspace) != "building":
                self._import = None
                self._tell(False)


# --- in words ---------------------------------------------------------------------------------------------------


def news(before: Answer | None, after: Answer) -> list[str]:
    """What an answer has that the one before had not: files, events, and up to when; empty where it is nothing."""
    if before is None or before.dataset is after.dataset:
        return []
    old, new = _files_of(before), _files_of(after)
    came, gone = len(new.keys() - old.keys()), len(old.keys() - new.keys())
    changed = sum(old[path] != state for path, state in new.items() if path in old)
    parts = [
        f"{sign}{count:,} {'file' if count == 1 else 'files'}{what}"
        for sign, count, what in (("+", came, ""), ("-", gone, ""), ("", changed, " changed"))
        if count
    ]
    events = _events_of(after) - _events_of(before)
    if events:
        parts.append(f"{events:+,} event{'' if abs(events) == 1 else 's'}")
    as_of, was = (str(one.result.meta.get("as_of") or "") for one in (after, before))
    if parts and as_of:
        parts.append(f"as of {as_of[11:16] if as_of[:10] == was[:10] else as_of[:16].replace('T', ' ')}")
    return [", ".join(parts)] if parts else []


def _files_of(answer: Answer) -> dict[tuple[str, str], str]:
    return {
        (source.name, str(file.listed.path)): file.listed.identity
        for source in answer.dataset.sources
        for file in source.files
    }


def _events_of(answer: Answer) -> int:
    """The events of everybody asked about, of all times; 0 where nobody counted them."""
    # Where a scope was looked at, the survey was made: this reads nothing.
    return 0 if answer.result.meta.get("rows_in_scope") is None else answer.dataset.survey().rows
