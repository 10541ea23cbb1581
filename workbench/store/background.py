"""Builds the store of a workspace unasked, once a question has shown that it pays, and says how it stands."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workbench.errors import Changed, WorkbenchError
from workbench.store import records
from workbench.store.folder import StoreFolder, store_folder
from workbench.store.locks import LOCK, opened, try_lock
from workbench.store.watching import is_current, listing, take_in

if TYPE_CHECKING:
    from subprocess import Popen

    from workbench.dataset import Dataset
    from workbench.runner import Task
    from workbench.workspace import Workspace

State = Literal["none", "building", "ready", "stale"]

SWITCH = "WORKBENCH_STORE"
"""The environment variable that keeps stores from being built unasked, where it is ``off``."""
LEAST_ROWS = 1_000_000
LEAST_SECONDS = 1.0
"""A question over as many rows, or that took longer, was slow enough to be worth a store."""
TOLD = (
    "a store is being built in the background: from then on questions are answered faster, with the same numbers; "
    '`workbench cache` shows it, [store] build = "never" in workbench.toml ends that'
)
"""Said once it has begun, to somebody at a terminal."""
REST_SECONDS = 3_600
"""After a build in the background failed, none begins for so long."""
_LOST_SECONDS = 86_400
"""A process of that number is another one by then."""
_ROOM = 2
"""Times the files' size that must be free on the disk."""
_PROGRAM = "import sys; sys.path.append(sys.argv.pop(1)); from workbench.cli import main; main()"
_NICE = 19

_children: dict[str, Popen[bytes]] = {}
"""By the workspace's folder, what this process started: it must be asked after, or it stays as a zombie."""


def pays(dataset: Dataset) -> bool:
    """Whether a store would have made the question just asked faster, by enough to be worth building one.

    Lanes pay after one funnel, the rest after three questions: whatever reads a million rows is asked again.
    """
    if dataset.scope.as_of is not None or dataset.scope.unit == "raw":
        return False
    stats = dataset.stats()
    # Lanes in memory were made from the files just now.
    if stats["path"] != "files" and not stats["lanes_bytes"]:
        return False
    rows, seconds = int(str(stats["rows_in_files"])), float(str(stats["seconds"]))
    return rows >= LEAST_ROWS or seconds > LEAST_SECONDS


def start(workspace: Workspace) -> bool:
    """Starts an import in a process of its own, which outlives this one; False where nothing is to be started.

    Costs a listing of the files. Never fails.
    """
    try:
        return why_not(workspace) is None and _spawn(workspace)
    except (OSError, WorkbenchError):
        return False


def state(workspace: Workspace) -> State:
    """How the store of a workspace stands to the files as they are now: costs a listing, reads no data."""
    if is_building(workspace):
        return "building"
    manifest = None if workspace.dedup != "none" else store_folder(workspace).load()
    if manifest is None:
        return "none"
    return "ready" if is_current(workspace, manifest, listing(workspace)) else "stale"


def why_not(workspace: Workspace) -> str | None:
    """Why no store is built in the background now, in words; None where one may be."""
    if os.environ.get(SWITCH, "").lower() == "off":
        return f"{SWITCH} is off"
    if workspace.file is None:
        return "there is no workbench.toml"
    if workspace.store.build == "never":
        return '[store] build = "never"'
    if workspace.dedup != "none":
        return f'[dedup] rule = "{workspace.dedup}" needs every row'
    there = next(
        place
        for place in (store_folder(workspace).root, workspace.cache, *workspace.cache.parents)
        if place.exists()
    )
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} cannot be written"
    if is_building(workspace):
        return "it is being built"
    return _rested(workspace) or _room(workspace, there)


def _rested(workspace: Workspace) -> str | None:
    record = records.read(store_folder(workspace).root)
    if record is None or record.state == "done" or not 0 <= time.time() - record.when < REST_SECONDS:
        return None
    return f"the last time it failed: {record.why or 'it was ended'}"


def _room(workspace: Workspace, there: Path) -> str | None:
    now = listing(workspace)
    manifest = store_folder(workspace).load()
    if manifest is not None and is_current(workspace, manifest, now):
        return "it is up to date"
    if now.size > workspace.store.quota:
        return "it may take more than [store] quota"
    if shutil.disk_usage(there).free < now.size * _ROOM:
        return "the disk has too little room"
    return None


def is_building(workspace: Workspace) -> bool:
    """Whether an import of this store is running, or just begins."""
    child = _children.get(str(workspace.root))
    if child is not None and child.poll() is None:
        return True
    _children.pop(str(workspace.root), None)
    folder = store_folder(workspace)
    if is_locked(folder):
        return True
    record = records.read(folder.root)
    return record is not None and record.state == "began" and _lives(record)


def is_locked(folder: StoreFolder) -> bool:
    """Whether somebody writes to a store at this moment."""
    try:
        with opened(folder.root / LOCK, os.O_RDONLY) as lock:
            return try_lock(lock, fcntl.LOCK_SH) is False
    except OSError:
        return False


def _lives(record: records.Record) -> bool:
    if record.pid == os.getpid() or not 0 <= time.time() - record.when < _LOST_SECONDS:
        return False
    try:
        os.kill(record.pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


# --- the process ------------------------------------------------------------------------------------------


def _spawn(workspace: Workspace) -> bool:
    import subprocess

    if not sys.executable:
        return False
    # Without -P a module of the folder we are in would be imported before those of the same name elsewhere.
    ours = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-P", "-c", _PROGRAM, str(ours), "-C", str(workspace.root), "import"]
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if Path(path).is_absolute()),
    }
    _children[str(workspace.root)] = subprocess.Popen(
        [*command, "--background"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return True


def step_back() -> None:
    """Has the system run this process, and the threads it starts from now on, when nobody else wants to."""
    import subprocess

    with suppress(OSError):
        os.nice(_NICE)
    ionice = shutil.which("ionice")
    if ionice is not None:
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                [ionice, "-c", "3", "-p", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=5,
                check=False,
            )


def build(workspace: Workspace, task: Task, *, memory: str | None, threads: int | None) -> None:
    """The import that such a process makes; one that another import is ahead of does nothing.

    What keeps it is remembered, so that it is not tried again at once. Raises what an import raises.
    """
    from workbench.limits import limits

    folder = store_folder(workspace)
    if is_building(workspace):
        return
    own = os.getpid()
    records.write(folder.root, records.Record("began", time.time(), own))
    try:
        half = max(limits(memory, None).threads // 2, 1)
        take_in(workspace, task, memory=memory, threads=threads or half)
    except WorkbenchError as error:
        if isinstance(error, Changed) and is_locked(folder):
            records.forget(folder.root)
            return
        records.write(folder.root, records.Record("failed", time.time(), own, why=error.message))
        raise
