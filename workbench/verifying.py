"""Whether the sources' files are still what they were: content hashes, remembered, and Parquet read to its end.

What a disk or a copy damages without a word keeps its name, size and time; only its content tells. The first
run remembers the xxHash (XXH3, 128 bits) of every file; later ones compare. A Parquet file whose content is new
is read to the end besides: every page decoded, its checksums and text checked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import xxhash

from queries.question import Note, QuestionError, Result, Row, Scope, Shown
from workbench.errors import Changed, NoData, WorkbenchError
from workbench.remembered import Memory, Seen
from workbench.runner import Task
from workbench.sources.listing import list_files, reason_of, shown, without_doubles
from workbench.sources.probing import FRESH_SECONDS, Moved, Unreadable, read_footer, verify
from workbench.sources.snapshot import DataFile, Listed, SetAside
from workbench.workspace import Workspace

State = Literal["unchanged", "new", "changed", "damaged", "unreadable", "moving", "gone"]
STATES: tuple[State, ...] = ("damaged", "unreadable", "changed", "moving", "gone", "new", "unchanged")
"""Worst first. ``damaged``: other content under the same size and time; ``unreadable``: cannot be read, or not to
its end; ``moving``: it changed while it was read."""
BAD: frozenset[State] = frozenset({"damaged", "unreadable"})

_BLOCK = 1 << 20
_ETA_AFTER = 2.0
"""Seconds after which the rate says something."""


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """Which files are looked at, and what becomes of the differences."""

    scope: Scope
    update: bool = False
    every: bool = False

    @property
    def report(self) -> str:
        """The report's name."""
        return "verify"

    def check_cell(self, cell: str) -> None:
        """A list of files has no cells with people."""
        raise QuestionError(f"--users {cell}: a list of files has no cells with people")

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        flags = [*(["--update"] if self.update else []), *(["--all"] if self.every else [])]
        return ["verify", *self.scope.arguments(), *flags]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question."""
        return {"data": list(self.scope.data), "update": self.update, "all": self.every}


@dataclass(frozen=True, slots=True)
class Found:
    """One file as it was found now; ``seen`` is None where it is not there, or could not be read."""

    path: str
    source: str
    state: State
    seen: Seen | None
    before: Seen | None
    reason: str | None = None

    def row(self) -> Row:
        """The file as a row of the answer."""
        size = self.seen or self.before
        return {
            "file": self.path,
            "source": self.source,
            "state": self.state,
            "size": None if size is None else size.size,
            "hash": None if self.seen is None else self.seen.hash,
            "remembered": None if self.before is None else self.before.hash,
            "reason": self.reason,
        }


def check(request: VerifyRequest, workspace: Workspace, task: Task) -> tuple[Result, tuple[Path, ...]]:
    """The answer, and what no export may touch: the files, and folders whose new files would become data.

    Compares every file of a workspace's sources with what is remembered of it, and remembers.

    New files are remembered at once; files that differ or are gone only with ``update``. Raises :class:`NoData`
    without a file, :class:`QueryFailed` where what is remembered cannot be read or kept.
    """
    memory = Memory.of(workspace)
    before = memory.read()
    first = before is None
    known = before or {}
    sources = list(_listed(workspace, task))
    progress = _Progress(task, sum(file.size for _, files, _ in sources for file in files))
    found: list[Found] = []
    for name, files, aside in sources:
        found += [_looked_at(file, name, workspace.root, known, progress) for file in files]
        found += _set_aside(name, aside, workspace.root, known)
    there = {one.path for one in found}
    found += [Found(path, "", "gone", None, seen) for path, seen in known.items() if path not in there]
    memory.write(_to_remember(found, update=request.update or first))
    named = {
        (workspace.root / pattern).resolve() for source in workspace.sources for pattern in source.patterns
    }
    paths = {
        file.path if file.path.resolve() in named else file.path.parent
        for _, files, _ in sources
        for file in files
    }
    result = _result(request, workspace, found, first)
    return replace(result, notes=(*result.notes, *_store_notes(workspace, task))), tuple(sorted(paths))


def _store_notes(workspace: Workspace, task: Task) -> Iterator[Note]:
    """What became of the workspace's store, every file of which is read: a damaged one is taken away."""
    # DuckDB and numpy come with it; files alone are verified without them.
    from workbench.store.events import find_store

    stored = find_store(workspace)
    if stored is None:
        return
    task.check()
    lost = stored.lost()
    if lost is not None:
        text = f"the store was damaged ({shown(lost)}) and is gone: the next import makes it anew"
        yield Note("store-damaged", text, "warning")


def failure(result: Result) -> WorkbenchError | None:
    """What makes an answer a failure, if anything: files damaged without a word, not readable, or moving."""
    states = ("unreadable",) if result.totals["accepted"] else ("damaged", "unreadable")
    counts = [(state, int(str(result.totals[state]))) for state in states]
    told = ", ".join(f"{count:,} {state}" for state, count in counts if count)
    if not told and result.totals["moving"]:
        return Changed("files changed while they were read", "run it again")
    if not told:
        return None
    files = "file" if sum(count for _, count in counts) == 1 else "files"
    return NoData(
        f"{told} {files}", "copy them again from where they came; --update takes them as they are now"
    )


# --- listing ----------------------------------------------------------------------------------------------


def _listed(workspace: Workspace, task: Task) -> Iterator[tuple[str, list[Listed], list[SetAside]]]:
    """Each source with its files and what was met beside them; a file of two sources belongs to the first."""
    missing: list[NoData] = []
    taken: set[tuple[int, int]] = set()
    for source in workspace.sources:
        files: list[Listed] = []
        aside: list[SetAside] = []
        for pattern in source.patterns:
            task.check()
            try:
                more, skipped = list_files(workspace.root, pattern)
            except NoData as error:
                missing.append(error)
                continue
            files += more
            aside += [one for one in skipped if one.state != "ignored"]
        own = [file for file in without_doubles(files)[0] if file.inode not in taken]
        taken |= {file.inode for file in own}
        yield source.name, own, aside
    if not taken and missing:
        raise missing[0]


def _name(path: Path, root: Path) -> str:
    """A file as the answer names it: below the workspace from there, else from the root."""
    return shown(str(path.relative_to(root) if path.is_relative_to(root) else path))


def _set_aside(
    source: str, aside: Sequence[SetAside], root: Path, known: Mapping[str, Seen]
) -> Iterator[Found]:
    """What is there and cannot be looked at."""
    for one in aside:
        path = _name(Path(one.path), root)
        state: State = "moving" if _fresh(Path(one.path)) else "unreadable"
        yield Found(path, source, state, None, known.get(path), one.reason)


# --- one file ---------------------------------------------------------------------------------------------


def _looked_at(
    file: Listed, source: str, root: Path, known: Mapping[str, Seen], progress: _Progress
) -> Found:
    path = _name(file.path, root)
    before = known.get(path)
    try:
        digest = _hash(file.location, progress.taker(path))
        now = file.location.stat()
    except FileNotFoundError:
        return Found(path, source, "gone" if before else "moving", None, before, "gone while it was read")
    except OSError as error:
        return Found(path, source, "unreadable", None, before, reason_of(error))
    if (now.st_size, now.st_mtime_ns, now.st_ino) != (file.size, file.mtime_ns, file.inode[1]):
        return Found(path, source, "moving", None, before, "changed while it was read: ask again")
    fault = None
    if file.format == "parquet" and (before is None or digest != before.hash or not before.whole):
        progress.task.report(None, f"reading {path} to its end")
        fault = _read_through(file)
    if fault is not None and before is None and _fresh(file.location):
        return Found(path, source, "moving", None, None, f"still being written? {fault}")
    seen = Seen(digest, file.size, file.mtime_ns, whole=fault is None)
    return Found(path, source, *_judged(seen, before, fault))


def _judged(
    seen: Seen, before: Seen | None, fault: str | None
) -> tuple[State, Seen, Seen | None, str | None]:
    if before is not None and seen.hash != before.hash:
        same = (seen.size, seen.mtime_ns) == (before.size, before.mtime_ns)
        if same:
            why = "other content under the same size and time"
            return "damaged", seen, before, f"{why}; {fault}" if fault else why
        if fault is None:
            what = "size" if seen.size != before.size else "time"
            return "changed", seen, before, f"other content and {what}"
    if fault is not None:
        return "unreadable", seen, before, fault
    return ("new" if before is None else "unchanged"), seen, before, None


def _fresh(path: Path) -> bool:
    """Whether a file is so young that somebody may still be writing it."""
    try:
        return abs(time.time_ns() - path.stat().st_mtime_ns) < FRESH_SECONDS * 1e9
    except OSError:
        return False


def _hash(path: Path, took: Callable[[int], None]) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            took(len(block))
    return digest.hexdigest()


def _read_through(file: Listed) -> str | None:
    """Why a Parquet file cannot be read to its end, None where it can."""
    try:
        footer = read_footer(file.location)
    except Unreadable as error:
        return error.reason
    except Moved:
        return "gone while it was read"
    return verify(DataFile(file, file.location, footer.rows, footer.columns))


class _Progress:
    """How far the hashing is, with the time that is left once the rate is known."""

    def __init__(self, task: Task, total: int) -> None:
        self.task = task
        self._total = max(total, 1)
        self._done = 0
        self._began = time.monotonic()

    def taker(self, path: str) -> Callable[[int], None]:
        """What is told of each block of a file; raises when the task was cancelled."""

        def took(size: int) -> None:
            self._done += size
            past = time.monotonic() - self._began
            left = past * (self._total - self._done) / self._done
            eta = f", about {left:.0f} s left" if past > _ETA_AFTER and left >= 1 else ""
            self.task.report(self._done / self._total, f"hashing {path}{eta}")
            self.task.check()

        return took


def _to_remember(found: Sequence[Found], *, update: bool) -> dict[str, Seen]:
    """What the next run compares with: new files as they are, others as before unless they are accepted."""
    kept: dict[str, Seen] = {}
    for one in found:
        seen = one.seen if update or one.before is None or one.state == "unchanged" else one.before
        if one.state == "gone" and update:
            continue
        seen = seen or one.before
        if seen is not None:
            kept[one.path] = seen
    return kept


# --- the answer -------------------------------------------------------------------------------------------


def _result(request: VerifyRequest, workspace: Workspace, found: Sequence[Found], first: bool) -> Result:
    rank = {state: place for place, state in enumerate(STATES)}
    ordered = sorted(found, key=lambda one: (rank[one.state], one.path))
    # At first sight every file is new, which says nothing of any of them.
    quiet = {"unchanged", "new"} if first else {"unchanged"}
    rows = [one.row() for one in ordered if request.every or one.state not in quiet]
    counts: dict[State, int] = {state: sum(one.state == state for one in found) for state in STATES}
    size = sum(one.seen.size for one in found if one.seen is not None)
    notes = []
    if first and found:
        text = f"{counts['new']:,} files remembered; from now on a change of their content is found"
        notes.append(Note("remembered", text, count=counts["new"]))
    elif counts["changed"] + counts["gone"] + counts["damaged"] and not request.update:
        notes.append(Note("not-accepted", "what changed is told until --update accepts it"))
    told = ", ".join(f"{counts[state]:,} {state}" for state in reversed(STATES) if counts[state])
    meta = dict.fromkeys(("as_of", "from", "to", "rows_in_scope", "users"))
    return Result(
        report="verify",
        request=request,
        rows=rows,
        totals={
            "files": len(found),
            "bytes": size,
            "accepted": request.update,
            **{str(state): count for state, count in counts.items()},
        },
        notes=tuple(notes),
        meta={
            **meta,
            "timezone": workspace.timezone,
            "source": [source.name for source in workspace.sources],
        },
        layout=(
            Shown("state", "state"),
            Shown("file", "file", names=True),
            Shown("source", "source"),
            Shown("size", "bytes", "integer"),
            Shown("reason", "why", null=""),
        ),
        rule=f"{len(found):,} files, {size:,} bytes: {told or 'nothing'}",
    )
