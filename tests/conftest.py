"""What many tests use: the command line as a process of its own, and small exports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.driver import ROOT, Command, Ran

# Nothing builds or watches behind the back of a test; those of the store and of live data say so themselves.
os.environ.setdefault("WORKBENCH_STORE", "off")
os.environ.setdefault("WORKBENCH_LIVE", "off")


@pytest.fixture
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Runs ``workbench`` with arguments; ``cwd`` and ``env`` as in :func:`subprocess.run`."""
    home = tmp_path_factory.mktemp("home")

    def run(*arguments: str, cwd: Path = home, env: dict[str, str] | None = None, stdin: str = "") -> Ran:
        environment = {
            **os.environ,
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_STATE_HOME": str(home / "state"),
            "PYTHONPATH": str(ROOT),
            **(env or {}),
        }
        ran = subprocess.run(
            [sys.executable, "-m", "workbench", *arguments],
            cwd=cwd,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=100,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    return run


@pytest.fixture
def csv(tmp_path: Path) -> Callable[[Sequence[Sequence[object]]], Path]:
    """Writes events (time, event, user, more…) to a CSV file of our own shape."""

    def write(
        rows: Sequence[Sequence[object]], header: str = "ts,event,user_id", name: str = "e.csv"
    ) -> Path:
        path = tmp_path / "data" / name
        path.parent.mkdir(exist_ok=True)
        lines = [",".join("" if value is None else str(value) for value in row) for row in rows]
        path.write_text("\n".join([header, *lines]) + "\n", "utf-8")
        return path

    return write
