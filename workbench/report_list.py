"""The workspace's saved reports as an answer of its own: a row each, whatever cannot be read in the notes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from queries.question import (
    EVERYTHING,
    Note,
    PeopleRequest,
    QuestionError,
    Request,
    Result,
    Row,
    Scope,
    Shown,
)
from workbench import reports
from workbench.errors import NoData, UsageError
from workbench.runner import Task
from workbench.workspace import find, load

_LAYOUT = (
    Shown("name", "name", names=True),
    Shown("report", "report"),
    Shown("asks", "asks"),
    Shown("saved_at", "saved", "time"),
    Shown("title", "title", null=""),
)


@dataclass(frozen=True, slots=True)
class ReportsRequest:
    """Which reports there are."""

    @property
    def report(self) -> str:
        """The report's name."""
        return "reports"

    @property
    def scope(self) -> Scope:
        """None of its own."""
        return EVERYTHING

    def check_cell(self, cell: str) -> None:
        """A list of reports has no cells with people."""
        raise QuestionError(f"--users {cell}: a list of reports has no cells with people")

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        return ["run"]

    def to_dict(self) -> dict[str, object]:
        """Nothing defines it."""
        return {}


class _Nothing:
    """What a list is asked of: no data."""

    protected: tuple[Path, ...] = ()

    def serve(self, task: Task) -> None:
        """Nothing to cancel."""

    def stats(self) -> Mapping[str, object]:
        """Nothing to tell."""
        return {}


def listed() -> tuple[_Nothing, Result]:
    """A row a report, by name. Raises NoData outside of a workspace."""
    file = find(Path.cwd())
    if file is None:
        raise NoData(
            "no workspace here, so no list of reports",
            "name a report's file, or start in a workspace with -C",
        )
    rows: list[Row] = []
    notes: list[Note] = []
    for name in reports.names():
        path = file.parent / reports.FOLDER / (name + reports.ENDING)
        try:
            report = reports.read(path)
        except UsageError as error:
            notes.append(Note("report-unreadable", error.message, "warning"))
            continue
        rows.append(
            {
                "name": name,
                "report": report.request.report,
                "asks": short(report.request),
                "saved_at": report.saved_at,
                "title": report.title,
            }
        )
    if not rows and not notes:
        notes.append(Note("no-reports", "no report is saved yet: --save NAME beside a question saves it"))
    meta = dict.fromkeys(("as_of", "timezone", "from", "to", "rows_in_scope", "users", "source"))
    return _Nothing(), Result(
        report="reports",
        request=ReportsRequest(),
        rows=rows,
        totals={"reports": len(rows)},
        notes=tuple(notes),
        meta={**meta, "timezone": load(file).timezone},
        layout=_LAYOUT,
    )


def short(request: Request) -> str:
    """A question in one line: its steps, then every option that is not at its default."""
    asked = request.of if isinstance(request, PeopleRequest) else request
    steps = [str(step) for step in getattr(asked, "steps", ())]
    rest = request.arguments()[1 + 2 * len(steps) :]
    return "  ".join(part for part in (" → ".join(steps), shlex.join(rest)) if part)
