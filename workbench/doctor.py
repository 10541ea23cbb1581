"""What a bug report, or a puzzled user, needs to know: versions, paths, limits, and whether the engine works here.

Every line is a finding with what to do about it. No line holds data, nor anything that may be a secret: of the
environment only what is named here, paths, sizes and counts.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

import platformdirs

from queries.question import EVERYTHING, Note, QuestionError, Result, Scope, Shown
from workbench import SEMANTICS_VERSION, __version__
from workbench.diagnosis import Finding, Status
from workbench.errors import WorkbenchError
from workbench.limits import SPILL_VARIABLE, limits, spill_folder
from workbench.runner import Task
from workbench.self_test import self_test
from workbench.workspace import Workspace, chosen

OURS = ("workbench", "queries", "screens")
"""Our packages: they share one parent, or another distribution has taken the place of one."""
_LIBRARIES: Mapping[str, tuple[str, str]] = {
    "duckdb": ("2.0", "2.1"),
    "pyarrow": ("18", ""),
    "numpy": ("2.0", "3"),
    "textual": ("8.2", "9"),
    "sqlglot": ("30", "31"),
    "click": ("8.2", "9"),
    "xxhash": ("3.4", ""),
}
"""Library → the versions it is made for: from, and before."""
_LITTLE_SPACE = 1 << 30
_FEW_FILES = 256


@dataclass(frozen=True, slots=True)
class DoctorRequest:
    """What is looked at: this machine, this user, and a workspace where there is one."""

    scope: Scope = EVERYTHING
    memory: str | None = None
    memory_from: str = "default"
    threads: int | None = None
    threads_from: str = "default"

    @property
    def report(self) -> str:
        """The report's name."""
        return "doctor"

    def check_cell(self, cell: str) -> None:
        """Findings have no cells with people."""
        raise QuestionError(f"--users {cell}: findings have no cells with people")

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        return ["doctor", *self.scope.arguments()]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question."""
        return {"data": list(self.scope.data)}


def examine(request: DoctorRequest, task: Task) -> Result:
    """Every finding, in reading order."""
    findings: list[Finding] = []
    workspace, told = _workspace(request)
    parts: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("versions", _versions),
        ("packages", _packages),
        ("terminal", _terminal),
        ("paths", lambda: _paths(workspace)),
        ("limits", lambda: _limits(request)),
        ("the engine", lambda: self_test(task)),
        ("sources", lambda: _sources(workspace, task)),
    )
    findings += told
    for what, part in parts:
        task.report(None, f"looking at {what}")
        task.check()
        findings += part()
    counts = {
        status: sum(one.status == status for one in findings) for status in ("ok", "warning", "problem")
    }
    meta = dict.fromkeys(("as_of", "timezone", "from", "to", "rows_in_scope", "users", "source"))
    bad = counts["problem"]
    notes = (
        () if not bad else (Note("problems", f"{bad} of {len(findings)} lines are problems", "warning", bad),)
    )
    return Result(
        report="doctor",
        request=request,
        rows=[one.row() for one in findings],
        totals=counts,
        notes=notes,
        meta={**meta, "timezone": "UTC" if workspace is None else workspace.timezone},
        layout=(
            Shown("status", "status"),
            Shown("topic", "topic"),
            Shown("check", "check", names=True),
            Shown("value", "value"),
            Shown("advice", "what to do", null=""),
        ),
    )


def _workspace(request: DoctorRequest) -> tuple[Workspace | None, list[Finding]]:
    """The workspace, and what keeps it from being read."""
    try:
        workspace = chosen(request.scope.data, request.scope.mapping)
    except WorkbenchError as error:
        status: Status = "warning" if error.exit_code == 3 else "problem"
        return None, [Finding("workspace", "workspace", error.message, status, error.hint)]
    name = "bare paths" if workspace.file is None else str(workspace.file)
    told = [Finding("workspace", "workspace", name)]
    told.append(Finding("workspace", "time zone", workspace.timezone))
    return workspace, told


# --- versions and packages --------------------------------------------------------------------------------


def _versions() -> Iterator[Finding]:
    yield Finding("versions", "workbench", __version__)
    yield Finding("versions", "semantics", SEMANTICS_VERSION)
    yield Finding("versions", "python", platform.python_version())
    yield Finding("versions", "system", f"{platform.system()} {platform.release()} {platform.machine()}")
    for name, (least, below) in _LIBRARIES.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding("versions", name, "not installed", "problem", "install the program anew")
            continue
        fits = _numbers(least) <= _numbers(version) and (not below or _numbers(version) < _numbers(below))
        if fits:
            yield Finding("versions", name, version)
        else:
            wanted = f"it is made for {least} and later" + (f", before {below}" if below else "")
            yield Finding("versions", name, version, "warning", wanted)


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, so that two can be compared."""
    found: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)


def _packages() -> Iterator[Finding]:
    """Names as general as ours are names of others too: installed later, theirs take our place."""
    parents = {}
    for name in OURS:
        spec = util.find_spec(name)
        if spec is not None and spec.origin is not None:
            parents[name] = Path(spec.origin).resolve().parent.parent
    value = "; ".join(f"{name} in {parent}" for name, parent in parents.items())
    if len(set(parents.values())) == 1:
        yield Finding("packages", "one parent", str(parents["workbench"]))
    else:
        advice = (
            "another package has the name of one of ours: install in an environment of its own (pipx, venv)"
        )
        yield Finding("packages", "one parent", value, "problem", advice)


# --- terminal ---------------------------------------------------------------------------------------------


def _terminal() -> Iterator[Finding]:
    term = os.environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        advice = "screens need a terminal: set TERM, like xterm-256color"
        yield Finding("terminal", "TERM", term or "not set", "warning", advice)
    else:
        yield Finding("terminal", "TERM", term)
    program = " ".join(filter(None, (os.environ.get(f"TERM_PROGRAM{end}") for end in ("", "_VERSION"))))
    inside = [word for word in ("TMUX", "STY", "ZELLIJ") if os.environ.get(word)]
    names = {"TMUX": "tmux", "STY": "screen", "ZELLIJ": "zellij"}
    yield Finding("terminal", "program", program or "not said")
    yield Finding("terminal", "multiplexer", ", ".join(names[word] for word in inside) or "none")
    size = shutil.get_terminal_size()
    small = size.columns < 60 or size.lines < 15
    need = "screens need 60 columns and 15 lines" if small else None
    yield Finding("terminal", "size", f"{size.columns} × {size.lines}", "warning" if small else "ok", need)
    yield Finding("terminal", "colour", _colour(term))
    encoding = (getattr(sys.stdout, "encoding", None) or "none").lower()
    if encoding.replace("-", "") == "utf8":
        yield Finding("terminal", "encoding", encoding)
    else:
        advice = "what it lacks is written as an escape; set LC_ALL=C.UTF-8, or PYTHONUTF8=1"
        yield Finding("terminal", "encoding", encoding, "warning", advice)
    told = [f"{name}={os.environ[name]}" for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name)]
    yield Finding("terminal", "locale", ", ".join(told) or "not set")


def _colour(term: str) -> str:
    if os.environ.get("NO_COLOR"):
        return "none: NO_COLOR is set"
    if os.environ.get("COLORTERM", "") in ("truecolor", "24bit"):
        return "16 million"
    return "256" if "256" in term else "16, as TERM says"


# --- paths ------------------------------------------------------------------------------------------------


def _paths(workspace: Workspace | None) -> Iterator[Finding]:
    if workspace is not None:
        if workspace.file is not None:
            yield _folder("workspace", workspace.root, needed=False)
        yield _folder("cache", workspace.cache)
    for name, path in (
        ("user cache", platformdirs.user_cache_path("workbench", appauthor=False)),
        ("user state", platformdirs.user_state_path("workbench", appauthor=False)),
        ("user config", platformdirs.user_config_path("workbench", appauthor=False)),
    ):
        yield _folder(name, path, needed=name != "user config")
    try:
        yield _folder("spill", spill_folder())
    except WorkbenchError as error:
        yield Finding("paths", "spill", error.message, "problem", error.hint)


def _folder(name: str, path: Path, *, needed: bool = True) -> Finding:
    """Owner, mode, space and whether it can be written; of one that is not there yet those of its parent."""
    there = next((folder for folder in (path, *path.parents) if folder.exists()), path)
    try:
        status = there.stat()
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding("paths", name, f"{path}: {error.strerror}", "problem", "see who may look at it")
    own = "you" if status.st_uid == os.geteuid() else f"uid {status.st_uid}"
    where = "" if there == path else f" not there yet; {there}"
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    value = f"{path}{where} (owner {own}, mode {mode}, {_size(free)} free)"
    if not os.access(there, os.W_OK | os.X_OK):
        if not needed:
            return Finding("paths", name, f"{value}, read only")
        return Finding("paths", name, value, "problem", "it cannot be written: see owner and mode")
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        return Finding("paths", name, value, "warning", "everybody may write there; `chmod o-w` ends that")
    if needed and free < _LITTLE_SPACE:
        return Finding(
            "paths", name, value, "warning", "little space is left for what does not fit into memory"
        )
    return Finding("paths", name, value)


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:,.0f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


# --- limits -----------------------------------------------------------------------------------------------


def _limits(request: DoctorRequest) -> Iterator[Finding]:
    try:
        found = limits(request.memory, request.threads)
    except WorkbenchError as error:
        yield Finding("limits", "memory and threads", error.message, "problem", error.hint)
        return
    rules = {"memory": "a quarter of what there is, at most 4 GB", "threads": "half the cores, two at least"}
    for name, value, origin in (
        ("memory", _size(found.memory_bytes), request.memory_from),
        ("threads", str(found.threads), request.threads_from),
    ):
        said = {"option": f"--{name}", "environment": f"WORKBENCH_{name.upper()}"}.get(origin)
        yield Finding("limits", name, f"{value} ({said or f'default: {rules[name]}'})")
    origin = SPILL_VARIABLE if os.environ.get(SPILL_VARIABLE) else "default"
    yield Finding("limits", "spill space", f"{_size(found.spill_bytes)} at most (folder: {origin})")
    yield Finding("limits", "cores", str(os.cpu_count()))
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = files != resource.RLIM_INFINITY and files < _FEW_FILES
    advice = "`ulimit -n 1024` lets it read exports of many files" if few else None
    yield Finding("limits", "open files", _limit(files), "warning" if few else "ok", advice)
    yield Finding("limits", "address space", _limit(resource.getrlimit(resource.RLIMIT_AS)[0]))


def _limit(value: int) -> str:
    return "unlimited" if value == resource.RLIM_INFINITY else f"{value:,}"


# --- sources ----------------------------------------------------------------------------------------------


def _sources(workspace: Workspace | None, task: Task) -> Iterator[Finding]:
    """Which files there are; the data itself is not read, footers of Parquet alone."""
    if workspace is None:
        return
    from workbench.sources.listing import list_files
    from workbench.sources.probing import Moved, probe

    for source in workspace.sources:
        files, aside = [], []
        try:
            for pattern in source.patterns:
                task.check()
                found, skipped = list_files(workspace.root, pattern)
                files += found
                aside += [one.reason for one in skipped if one.state != "ignored"]
            good, bad = probe([file for file in files if file.format == "parquet"], last=True)
            aside += [one.reason for one in bad]
        except (WorkbenchError, Moved) as error:
            told = error if isinstance(error, WorkbenchError) else None
            yield Finding("sources", source.name, str(error), "problem", None if told is None else told.hint)
            continue
        kinds = ", ".join(
            f"{sum(file.format == kind for file in files):,} {kind}"
            for kind in sorted({f.format for f in files})
        )
        size = _size(sum(file.size for file in files))
        value = f"{kinds or 'no files'}, {size}" + (
            f", {sum(f.rows for f in good):,} rows in Parquet" if good else ""
        )
        if aside:
            advice = f"{len(aside):,} set aside, the first: {aside[0]}"
            yield Finding("sources", source.name, value, "warning", advice)
        else:
            yield Finding("sources", source.name, value)
