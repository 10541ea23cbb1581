"""How contenders are measured: alternating runs in one process for time, a process of its own for memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Levels = list[int]
"""How many people reached each step, or any other whole numbers on which contenders must agree."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody who can answer a question."""

    setup: Callable[[], Callable[[], Levels]]
    """Made ready before each run, outside the time; what it gives is timed."""
    agrees: bool = True
    """False where it answers something smaller, as the scan does."""
    path: Callable[[], str] = str
    """Where the newest answer came from, of the workbench; empty for others."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds of some runs."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        """Minimum, median and maximum."""
        return " ".join(f"{one:.3f}" for one in (min(self.seconds), self.median, max(self.seconds)))


@dataclass(slots=True)
class Measured:
    """What came of a contender's runs."""

    spread: Spread
    levels: Levels
    path: str = ""
    agrees: bool = True
    peak: int = 0
    """Largest resident memory in bytes, of a process of its own."""
    private: int = 0
    """Its largest part that is no file's."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a target allows: a ratio of the first contender to another, or a figure of the row."""

    of: str
    """A contender's name, ``private`` or ``peak`` memory in bytes, or a figure's name."""
    at_most: float
    unit: str = "×"
    """``×`` for ratios; else the figure's: ``s``, ``GB``, ``ms`` …"""


@dataclass(slots=True)
class Found:
    """One row of the table."""

    name: str
    limits: Sequence[Limit] = ()
    faster: str = ""
    """What would make it faster."""
    measured: dict[str, Measured] = field(default_factory=dict)
    """By contender, the first of them the one that is judged."""
    figures: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    lacks_store: bool = False
    """Whether it is meant for a store and there was none."""

    def value(self, limit: Limit) -> float | None:
        """What a limit is about, in the limit's unit; None where it was not measured."""
        if limit.of in self.figures:
            return self.figures[limit.of]
        first = next(iter(self.measured.values()), None)
        if first is None:
            return None
        if limit.of == "seconds":
            return first.spread.median
        if limit.of in ("private", "peak"):
            size = first.private if limit.of == "private" else first.peak
            return size / 1e9 if size else None
        other = self.measured.get(limit.of)
        return None if other is None else first.spread.median / other.spread.median

    def verdict(self, limit: Limit) -> str:
        """Whether it is met."""
        value = self.value(limit)
        if value is None:
            return "not measured"
        met = "met" if value <= limit.at_most else "missed"
        return f"{met}, no store" if self.lacks_store else met


def alternating(contenders: Mapping[str, Contender], runs: int) -> dict[str, Measured]:
    """Each contender in turn, ``runs`` times after one that is not counted; all must agree with the first."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    levels: dict[str, Levels] = {}
    for turn in range(runs + 1):
        for name, one in contenders.items():
            run = one.setup()
            began = time.perf_counter()
            levels[name] = run()
            if turn:
                seconds[name].append(time.perf_counter() - began)
            del run
    ours = levels[next(iter(contenders))]
    return {
        name: Measured(
            Spread(tuple(seconds[name])),
            levels[name],
            path=one.path(),
            agrees=not one.agrees or levels[name] == ours,
        )
        for name, one in contenders.items()
    }


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended: how long it took and the most memory it held."""

    code: int
    seconds: float
    peak: int
    private: int
    out: str


def process(arguments: Sequence[str], *, folder: Path | None = None, watch: bool = True) -> Ended:
    """Runs a program to its end; with ``watch`` its private memory is read every few milliseconds."""
    began = time.perf_counter()
    with subprocess.Popen(
        arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_environment()
    ) as child:
        assert child.stdout is not None
        watcher = threading.Thread(target=_watch, args=(child.pid, most := [0, 0]), daemon=True)
        if watch:
            watcher.start()
        out = child.stdout.read()
        code = child.wait()
    seconds = time.perf_counter() - began
    return Ended(code, seconds, most[0], most[1], out.decode("utf-8", "replace"))


def _watch(pid: int, most: list[int]) -> None:
    """Raises ``most`` to the process's peak and private memory while it lives.

    Not ``ru_maxrss``: a child takes its parent's with it through ``exec``.
    """
    while sizes := _sizes(pid):
        most[0] = max(most[0], sizes["VmHWM"])
        most[1] = max(most[1], sizes["RssAnon"])
        time.sleep(0.004)


def _environment() -> Mapping[str, str]:
    """That of this process, with the tree of this benchmark before any installed version."""
    tree = str(Path(__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": tree}


def _sizes(pid: int) -> dict[str, int]:
    """Bytes of a process's memory, by the kernel's names; empty once it ended."""
    try:
        lines = [line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    except OSError:
        return {}
    sizes = {one[0].rstrip(":"): int(one[1]) << 10 for one in lines if one[-1] == "kB"}
    return sizes if "RssAnon" in sizes else {}


def memory_of(arguments: Sequence[str]) -> tuple[int, int]:
    """Peak and private memory of this program with ``arguments``."""
    ended = process([sys.executable, str(Path(__file__).with_name("targets.py")), *arguments])
    if ended.code:
        raise RuntimeError(f"{' '.join(arguments)}: {ended.out[-2000:]}")
    return ended.peak, ended.private


def workbench(*arguments: str, folder: Path | None = None, watch: bool = True) -> Ended:
    """Runs the workbench as its users do; raises where it fails."""
    ended = process([sys.executable, "-m", "workbench", *arguments], folder=folder, watch=watch)
    if ended.code:
        raise RuntimeError(f"workbench {' '.join(arguments)}: {ended.out[-2000:]}")
    return ended
