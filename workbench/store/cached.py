"""What a workspace's cache holds, as an answer, and how it is deleted without taking anything from anybody's hands."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from queries.question import EVERYTHING, Page, QuestionError, Result, Row, Scope, Shown
from workbench.store import background, records
from workbench.store.folder import StoreFolder, remove, store_folder, stores
from workbench.store.manifest import Manifest
from workbench.store.telling import bytes_by_kind, counted, size_text
from workbench.store.watching import Difference, compare, first, listing
from workbench.workspace import Workspace

IN_USE = "kept: somebody reads or writes it"
_ABANDONED_SECONDS = 86_400
_LAYOUT = (
    Shown("kind", "kind"),
    Shown("name", "name", names=True),
    Shown("state", "state"),
    Shown("rows", "events", "integer"),
    Shown("bytes", "bytes", "integer"),
    Shown("used", "last used", "time"),
)


@dataclass(frozen=True, slots=True)
class CacheRequest:
    """What is looked at, or deleted."""

    scope: Scope = EVERYTHING
    clear: bool = False
    every: bool = False
    staged: bool = False

    @property
    def report(self) -> str:
        """The report's name."""
        return "cache"

    def check_cell(self, cell: str) -> None:
        """A cache has no cells with people."""
        raise QuestionError(f"--users {cell}: a cache has no cells with people")

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        flags = {"clear": self.clear, "--all": self.every, "--staged": self.staged}
        return ["cache", *(flag for flag, is_set in flags.items() if is_set), *self.scope.arguments()]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines it."""
        return {
            "data": list(self.scope.data),
            "clear": self.clear,
            "all": self.every,
            "staged": self.staged,
        }


def look(request: CacheRequest, workspace: Workspace) -> Result:
    """The stores of a workspace, the current one in detail, and the staged copies; reads no data."""
    folder = store_folder(workspace)
    manifest = folder.load()
    standing = background.state(workspace)
    difference = None if manifest is None else compare(listing(workspace), manifest, workspace.root)
    staged = _staged(workspace)
    rows = [
        _row(store, "current" if store.root == folder.root else "other settings")
        for store in stores(workspace.cache)
    ]
    rows += _staged_row(staged)
    why_not = background.why_not(workspace)
    totals: dict[str, object] = {
        "state": standing,
        "new_files": 0 if difference is None or standing == "ready" else len(difference.new),
        "gone_files": 0 if difference is None or standing == "ready" else len(difference.gone),
        **_numbers(manifest),
        "bytes": sum(int(str(row["bytes"])) for row in rows if row["kind"] == "store"),
        "staged_files": len(staged),
        "staged_bytes": sum(staged.values()),
        "quota": workspace.store.quota,
        "build": workspace.store.build,
        "not_built_because": why_not,
    }
    lines = [
        ("store", _standing(standing, difference)),
        *(() if manifest is None else _details(manifest, folder.root)),
        (
            "built by itself",
            "when a question shows that it pays" if why_not is None else f"not now: {why_not}",
        ),
        ("staged copies", f"{counted(len(staged), 'file')}, {size_text(sum(staged.values()))}"),
        ("folder", str(workspace.cache)),
    ]
    return _result(request, workspace, rows, totals, Page(lines=tuple(lines)))


def clear(request: CacheRequest, workspace: Workspace) -> Result:
    """Deletes the current store, or all of them, and with ``staged`` the staged copies; tells what stayed and why."""
    current = store_folder(workspace)
    rows: list[Row] = []
    for store in stores(workspace.cache):
        if not request.every and store.root != current.root:
            continue
        row = _row(store, "deleted")
        if remove(store.root):
            records.forget(store.root)
        else:
            row = {**row, "state": IN_USE}
        rows.append(row)
    # What it said of a store that is not there would only keep the next one from being built.
    if not current.root.exists() and not background.is_building(workspace):
        records.forget(current.root)
    if request.staged:
        rows += _clear_staged(workspace)
    gone = [row for row in rows if row["state"] == "deleted"]
    totals: dict[str, object] = {
        "deleted": len(gone),
        "kept": len(rows) - len(gone),
        "bytes": sum(int(str(row["bytes"])) for row in gone),
    }
    return _result(request, workspace, rows, totals, None)


def _result(
    request: CacheRequest,
    workspace: Workspace,
    rows: list[Row],
    totals: dict[str, object],
    page: Page | None,
) -> Result:
    meta = dict.fromkeys(("as_of", "from", "to", "rows_in_scope", "users"))
    return Result(
        report="cache",
        request=request,
        rows=rows,
        totals=totals,
        notes=(),
        meta={
            **meta,
            "timezone": workspace.timezone,
            "source": [source.name for source in workspace.sources],
        },
        layout=_LAYOUT,
        page=page,
    )


# --- stores -----------------------------------------------------------------------------------------------


def _row(store: StoreFolder, state: str) -> Row:
    manifest = store.load()
    if background.is_locked(store):
        state = "being written"
    elif manifest is None and state != "deleted":
        state = f"{state}, not readable"
    used = datetime.fromtimestamp(store.used(), UTC).isoformat(timespec="seconds")
    return {
        "kind": "store",
        "name": store.root.name,
        "state": state,
        "rows": None if manifest is None else manifest.rows,
        "bytes": store.size(),
        "used": used,
    }


def _numbers(manifest: Manifest | None) -> dict[str, object]:
    if manifest is None:
        names = ("made", "files", "runs", "rows", "void_rows", "users", "columns", "no_lanes")
        return {
            **dict.fromkeys(names),
            "lanes": False,
            **dict.fromkeys(("bytes_runs", "bytes_lanes", "bytes_people"), 0),
        }
    return {
        "made": manifest.made,
        "files": len(manifest.files),
        "runs": len(manifest.runs),
        "rows": manifest.rows,
        "void_rows": sum(run.dead_rows for run in manifest.runs),
        "users": manifest.people_count,
        "columns": list(manifest.columns),
        "no_lanes": manifest.no_lanes,
        "lanes": manifest.lanes is not None,
        **{f"bytes_{kind}": size for kind, size in bytes_by_kind(manifest).items()},
    }


def _standing(standing: background.State, difference: Difference | None) -> str:
    if standing == "none":
        return "none: questions read the files; `workbench import` makes one"
    if standing == "building":
        return "being built"
    if standing == "ready" or difference is None:
        return "up to date"
    told = [f"{counted(len(difference.new), 'file')} new ({first(difference.new)})"] if difference.new else []
    if difference.gone:
        told.append(f"{counted(len(difference.gone), 'file')} gone or changed ({first(difference.gone)})")
    return f"out of date: {', '.join(told) or 'times that were too late then are valid now'}"


def _details(manifest: Manifest, root: Path) -> Iterator[tuple[str, str]]:
    void = sum(run.dead_rows for run in manifest.runs)
    rows = counted(manifest.rows, "event") + (f" (and {counted(void, 'void row')})" if void else "")
    sizes = bytes_by_kind(manifest)
    yield "signature", root.name
    yield "made", manifest.made
    yield "of", f"{counted(len(manifest.files), 'file')}, in {counted(len(manifest.runs), 'run')}"
    yield "holds", f"{rows} of {counted(manifest.people_count, 'person', 'people')}"
    yield "lanes", "yes" if manifest.lanes is not None else f"none: {manifest.no_lanes}"
    yield "columns", ", ".join(manifest.columns) or "none"
    yield "size", ", ".join(f"{kind} {size_text(size)}" for kind, size in sizes.items())


# --- staged copies ----------------------------------------------------------------------------------------


def _staged(workspace: Workspace) -> dict[Path, int]:
    """Everything below the folder of staged copies, with its bytes."""
    found: dict[Path, int] = {}
    with suppress(OSError), os.scandir(workspace.cache / "staged") as entries:
        for entry in entries:
            with suppress(OSError):
                found[Path(entry.path)] = (
                    StoreFolder(Path(entry.path)).size()
                    if entry.is_dir(follow_symlinks=False)
                    else entry.stat(follow_symlinks=False).st_size
                )
    return found


def _staged_row(staged: dict[Path, int]) -> list[Row]:
    if not staged:
        return []
    times = [_changed(path) for path in staged]
    used = None if 0.0 in times else datetime.fromtimestamp(max(times), UTC).isoformat(timespec="seconds")
    return [
        {
            "kind": "staged",
            "name": "staged",
            "state": "copies of CSV, JSON and DuckDB files",
            "rows": None,
            "bytes": sum(staged.values()),
            "used": used,
        }
    ]


def _clear_staged(workspace: Workspace) -> list[Row]:
    staged = _staged(workspace)
    # While an import runs, copies are read that nobody has open at every moment.
    is_busy = any(background.is_locked(store) for store in stores(workspace.cache)) or background.is_building(
        workspace
    )
    in_use = set(staged) if is_busy else _open_files(workspace.cache / "staged")
    gone: dict[Path, int] = {}
    for path, size in staged.items():
        is_work = path.name.startswith(".work-") and time.time() - _changed(path) < _ABANDONED_SECONDS
        if is_work or path in in_use:
            continue
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            gone[path] = size
    kept = {path: size for path, size in staged.items() if path not in gone}
    return [
        {**row, "state": state, "name": counted(len(paths), "file")}
        for paths, state in ((gone, "deleted"), (kept, IN_USE))
        for row in _staged_row(paths)
    ]


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _open_files(folder: Path) -> set[Path]:
    """Files and work folders below a folder that some process of ours has open, where the system tells."""
    found: set[Path] = set()
    real = folder.resolve()
    with suppress(OSError):
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                for link in (process / "fd").iterdir():
                    with suppress(OSError):
                        target = link.readlink()
                        if target.is_relative_to(real) and target != real:
                            found.add(folder / target.relative_to(real).parts[0])
    return found
