"""Whether the engine works on this machine: opened as questions open it, asked a few things, closed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.diagnosis import Finding
from workbench.errors import WorkbenchError
from workbench.limits import Limits
from workbench.runner import Task

if TYPE_CHECKING:
    from workbench.engine import Engine

LITTLE_MEMORY = 64 << 20
_ROWS = 400_000
SORT = (
    "SELECT count(*), max(number) FROM (SELECT row_number() OVER (ORDER BY hash(i), text) AS number "
    f"FROM (SELECT i, repeat(CAST(i AS VARCHAR), 40) AS text FROM range({_ROWS}) t(i)))"
)
"""More than the engine of the test has memory for."""


def self_test(task: Task) -> Iterator[Finding]:
    """Opens an engine as questions do: it answers, writes to disk what memory cannot hold, and stays locked in."""
    from workbench.engine import Engine

    with tempfile.TemporaryDirectory(prefix="workbench-doctor-") as outer:
        inside, outside = Path(outer, "inside"), Path(outer, "outside")
        for folder in (inside, outside):
            folder.mkdir()
            (folder / "word.txt").write_text("word", "utf-8")
        try:
            with Engine([inside], limits=Limits(LITTLE_MEMORY, 1, 2 << 30)) as engine:
                answer = engine.fetch("SELECT 6 * 7", task=task)
                yield _works("answers", answer == [(42,)], "reinstall duckdb")
                yield _reads(engine, inside / "word.txt", "reads the data's folders", may=True)
                yield _reads(engine, outside / "word.txt", "reads nothing else", may=False)
                yield _spills(engine, task)
        except WorkbenchError as error:
            yield Finding("engine", "opens", error.message, "problem", error.hint)


def _works(name: str, works: bool, advice: str) -> Finding:
    return Finding(
        "engine", name, "yes" if works else "no", "ok" if works else "problem", None if works else advice
    )


def _reads(engine: Engine, path: Path, name: str, *, may: bool) -> Finding:
    try:
        read = engine.fetch("SELECT content FROM read_text($path)", {"path": str(path)}) == [("word",)]
    except WorkbenchError:
        read = False
    return _works(name, read == may, "please report it: the engine's lock does not work here")


def _spills(engine: Engine, task: Task) -> Finding:
    try:
        ((rows, last),) = engine.fetch(SORT, task=task)
    except WorkbenchError as error:
        return Finding("engine", "spills to disk", error.message, "problem", error.hint)
    return _works("spills to disk", rows == last == _ROWS, "please report it")
