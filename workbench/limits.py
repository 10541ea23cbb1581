"""What one process may take of a shared host: memory, threads, and the folder it spills to."""

from __future__ import annotations

import os
import re
import resource
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from workbench.errors import QueryFailed, UsageError
from workbench.one_line import one_line

SPILL_VARIABLE = "WORKBENCH_SPILL"

_GIB = 1 << 30
MOST_THREADS = 1024
"""The engine starts as many as it is told, which tens of thousands keep from ever answering."""
_LEAST_MEMORY = 64 << 20
_MOST_MEMORY = 1 << 50
_LEAST_ADDRESS_SPACE = 3 << 29
"""Under ``ulimit -v`` below this the engine fails for no memory, or crashes the process."""
_UNITS = {"": 1, "B": 1}
for _power, _letter in enumerate("KMGT", start=1):
    _UNITS |= {_letter: 1000**_power, f"{_letter}B": 1000**_power, f"{_letter}IB": 1024**_power}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process may take of a shared host."""

    memory_bytes: int
    threads: int
    spill_bytes: int = 16 * _GIB
    """What sorting and joining may write to disk when memory does not do."""


def default_limits() -> Limits:
    """A quarter of the control group's (or host's) memory, at most 4 GB; half its cores, but two of two."""
    cores = _cores()
    memory = min(_host_memory() // 4, 4_000_000_000)
    return Limits(max(memory, _LEAST_MEMORY), cores if cores <= 2 else max(cores // 2, 2))


def limits(memory: str | None, threads: int | None) -> Limits:
    """The default limits with ``--memory`` (``512MB``, ``2GiB``) and ``--threads`` in their place.

    Raises :class:`UsageError` for a size that cannot be read, under 64 MiB or over 1 PiB, or for threads out of range,
    :class:`QueryFailed` where the process itself is limited to less than the engine starts with.
    """
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if space != resource.RLIM_INFINITY and space < _LEAST_ADDRESS_SPACE:
        raise QueryFailed(
            f"this process may address {space >> 20:,} MB of memory; the engine needs "
            f"{_LEAST_ADDRESS_SPACE >> 20:,} MB",
            "raise the limit, as with `ulimit -v unlimited`",
        )
    default = default_limits()
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise UsageError(f"--threads {threads}: from 1 to {MOST_THREADS} can be used", "try --threads 2")
    return Limits(
        default.memory_bytes if memory is None else _parse_size(memory),
        default.threads if threads is None else threads,
    )


def _parse_size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([A-Za-z]*)", text.strip(), re.ASCII)
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise UsageError(f"--memory {one_line(text)}: not a size", "write it like 512MB or 2GB")
    size = int(float(match[1]) * unit)
    if size < _LEAST_MEMORY:
        raise UsageError(f"--memory {one_line(text)}: too little to work with", "give at least 64MiB")
    if size > _MOST_MEMORY:
        raise UsageError(f"--memory {one_line(text)}: more than any host has", "write it like 2GB")
    return size


def _cores() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for text in _control_group("cpu.max"):
        quota, _, period = text.partition(" ")
        if quota.isdecimal() and period.isdecimal():
            usable = min(usable, max(int(quota) // int(period), 1))
    return usable


def _host_memory() -> int:
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        memory = 8 * _GIB
    bounds = _control_group("memory.max", "memory/memory.limit_in_bytes")
    return min([memory, *(int(text) for text in bounds if text.isdecimal())])


def _control_group(name: str, first_version: str | None = None) -> list[str]:
    """What the process's control group and its parents say in the file ``name``; empty without one."""
    top = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    own = next((line[3:] for line in lines if line.startswith("0::")), "/")
    folder = top / own.lstrip("/")
    files = [parent / name for parent in (folder, *folder.parents) if parent.is_relative_to(top)]
    if first_version is not None:
        files.append(top / first_version)
    found = []
    for file in files:
        try:
            found.append(file.read_text().strip())
        except OSError:
            continue
    return found


def spill_folder() -> Path:
    """The user's folder for what does not fit into memory: absolute, made if need be, mode 0700, writable.

    One for all processes of a user, since DuckDB clears away what a killed process left in its folder.
    Raises :class:`WorkbenchError` that names the folder and the variable to change.
    """
    named = os.environ.get(SPILL_VARIABLE)
    cache = Path(platformdirs.user_cache_dir("workbench"))
    if named:
        folder = Path(named).expanduser().absolute() / f"workbench-{os.geteuid()}"
    elif cache.is_absolute():
        folder = cache / "spill"
    else:
        folder = Path(tempfile.gettempdir()) / f"workbench-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _claim(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise QueryFailed(
            f"cannot write to the spill folder {one_line(str(folder))}: {error.strerror or error}",
            f"set {SPILL_VARIABLE} to a folder you may write to",
        ) from error
    return folder.resolve()


def _claim(folder: Path) -> None:
    # In a shared place such as /tmp somebody else may have made the folder first, to read along.
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(1, "it is not a folder of yours")
    if stat.S_IMODE(status.st_mode) != 0o700:
        folder.chmod(0o700)
