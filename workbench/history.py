"""What was asked, workspace by workspace, so that an answer seen once is found again.

A file in the user's state folder for each workspace, a line of JSON a question, oldest first. Lines are only
appended, so that two sessions do not take each other's away; now and then the oldest go.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_state_path

from queries.question import QuestionError
from queries.saved import request_of, savable
from workbench.output.streams import reason
from workbench.text import clean

if TYPE_CHECKING:
    from queries.question import Request

KEPT = 500
"""Different questions kept of a workspace, the newest."""
SPARE = 250
"""Lines beyond them before the file is written anew."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it was asked last."""

    when: str
    """ISO 8601, UTC, to the second."""
    report: str
    title: str
    """In one line, as data: to be cleaned where it is shown."""
    request: Request


@dataclass(frozen=True, slots=True)
class Past:
    """What was asked of a workspace, newest first, each question once."""

    asked: list[Asked]
    unreadable: int = 0
    """Lines that are no question that could be asked now: damaged, or of another version."""
    problem: str | None = None
    """Why nothing can be read, in a line."""


def remember(workspace: Path | None, request: Request, *, now: datetime | None = None) -> str | None:
    """Adds a question to what was asked; None when it went well, else a line that says why it did not.

    What no saved request can be made of is left out.
    """
    if request.report not in savable():
        return None
    # Imported late: with it come the readers of report files.
    from workbench.report_list import short

    line = {
        "when": (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"),
        "report": request.report,
        "title": short(request),
        "request": request.to_dict(),
    }
    path = _path(workspace)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = _append(path, json.dumps(line).encode() + b"\n")
        if lines > KEPT + SPARE:
            _rewrite(path)
    except OSError as error:
        return f"not remembered: {clean(path.parent)}: {clean(reason(error))}"
    return None


def past(workspace: Path | None) -> Past:
    """What was asked of a workspace, with what could not be read of it."""
    path = _path(workspace)
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return Past([])
    except OSError as error:
        return Past([], problem=f"what was asked cannot be read: {clean(path)}: {clean(reason(error))}")
    asked: dict[str, Asked] = {}
    unreadable = 0
    for line in reversed(lines):
        one = _asked(line)
        if one is not None:
            asked.setdefault(_question(line), one)
        elif line.strip():
            unreadable += 1
    return Past(list(asked.values())[:KEPT], unreadable)


def recent(workspace: Path | None) -> list[Asked]:
    """What was asked of a workspace, newest first, each question once; what cannot be read is skipped."""
    return past(workspace).asked


def _path(workspace: Path | None) -> Path:
    """Without a workspace the folder we are in takes its place: the questions' paths begin there."""
    try:
        root = os.path.realpath(workspace) if workspace is not None else os.fspath(Path.cwd())
    except FileNotFoundError:
        root = ""
    key = hashlib.blake2b(root.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    return user_state_path("workbench", appauthor=False) / "history" / f"{key}.jsonl"


def _append(path: Path, line: bytes) -> int:
    """Adds a line with one write; returns how many lines there are then."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        before = file.read()
        # What was cut off in the middle of a line must not take this one with it.
        file.write(line if before.endswith(b"\n") or not before else b"\n" + line)
    return before.count(b"\n") + 1


def _rewrite(path: Path) -> None:
    newest: dict[str, bytes] = {}
    for line in reversed(path.read_bytes().splitlines()):
        newest.setdefault(_question(line), line)
    kept = list(newest.values())[:KEPT]
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        whole = Path(file.name)
        try:
            file.write(b"".join(line + b"\n" for line in reversed(kept)))
            file.flush()
            whole.replace(path)
        except OSError:
            with suppress(OSError):
                whole.unlink()
            raise


def _question(line: bytes) -> str:
    """What two lines have in common that ask the same."""
    try:
        value = json.loads(line)
        return json.dumps([value["report"], value["request"]], sort_keys=True)
    except (ValueError, RecursionError, LookupError, TypeError):
        return repr(line)


def _asked(line: bytes) -> Asked | None:
    try:
        value = json.loads(line)
        when, report, title, request = (value[key] for key in ("when", "report", "title", "request"))
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    if not all(isinstance(text, str) for text in (when, report, title)) or not isinstance(request, dict):
        return None
    try:
        return Asked(when, report, title, request_of(report, request))
    except QuestionError:
        return None
