"""What is taken away from a screen: SQL, files, saved reports, saved people; and questions brought back."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queries import QUESTIONS
from queries.question import PeopleRequest
from workbench.session import piped

if TYPE_CHECKING:
    from queries.question import Result, Row
    from screens.base import Frame
    from workbench.runner import Task
    from workbench.session import Answer
    from workbench.tables import Table

MOST_NAME = 60
"""Characters of a file's name that is offered."""


# --- what is shown --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Taken:
    """The rows that leave: the marked ones, those a filter leaves, or all, in the order they are shown in."""

    table: Table
    numbers: tuple[int, ...] | None
    """The marked rows, as :meth:`Table.number` has them; None where none is marked."""

    @classmethod
    def of(cls, frame: Frame, answer: Answer) -> Taken | None:
        """What is chosen of an answer's rows on the screen; None where nothing is."""
        grid = frame.grid
        table = grid.table
        if table is None or not table.is_of(answer.table):
            return None
        marked = tuple(sorted(number for number in grid.marks))
        if not marked and table.sort is None and not table.filter_text:
            return None
        return cls(table, marked or None)

    def said(self) -> str:
        """How many, in words."""
        if self.numbers is not None:
            return f"{len(self.numbers):,} marked of {self.table.total:,}"
        return f"{len(self.table):,} of {self.table.total:,}" if self.table.filter_text else "as sorted"

    def rows(self) -> Sequence[Row]:
        """The rows, in the order shown."""
        if self.numbers is None:
            return list(self.table.rows())
        places = sorted(place for number in self.numbers if (place := self.table.place(number)) is not None)
        return [self.table.row(place) for place in places]


def whole(frame: Frame, answer: Answer, task: Task) -> Result:
    """An answer with all its rows, to be read at once, on the worker.

    The engine's tables behind rows that are not here yet may be those of another answer by now: it is asked again.
    """
    if answer.table.loaded == answer.table.total:
        return replace(answer.result, rows=list(answer.table.rows()))
    return frame.work(answer.request, task, False).result


def _chosen(frame: Frame, answer: Answer, taken: Taken | None, task: Task) -> Result:
    """The rows that leave. Raises UsageError where a filter or sort has seen only some of them."""
    if taken is None:
        return whole(frame, answer, task)
    if answer.table.loaded < answer.table.total and taken.numbers is None:
        from workbench.errors import UsageError

        raise UsageError(
            f"{answer.table.loaded:,} of {answer.table.total:,} rows are here: filter and sort are of these alone",
            "esc takes it away; the command line filters all of them",
        )
    return replace(answer.result, rows=taken.rows())


# --- SQL and files --------------------------------------------------------------------------------------------


def sql(frame: Frame) -> None:
    """Shows the SQL of the question, its own statements first; y copies all of it, ready to paste."""
    from workbench.widgets.popup import Panel

    request = frame.request
    if request is None:
        return

    def shown(script: tuple[str, str]) -> None:
        own, views = script
        text = f"{own}\n-- over these relations, which come first when pasted:\n\n{views}" if views else own
        frame.popup(Panel("SQL", text, copies=f"{views}\n{own}" if views else own))

    frame.aside(lambda task: frame.workbench.session.sql(request, task), shown, "writing SQL")


def export(frame: Frame) -> None:
    """Asks for a file and writes the rows shown, in the format that its name says, with the commands' writers."""
    answer = frame.answer
    if answer is None:
        frame.say("there is no answer yet")
        return
    taken = Taken.of(frame, answer)

    def check(text: str) -> str | None:
        from workbench import output
        from workbench.errors import WorkbenchError, in_a_line

        try:
            path = _path(text)
            output.format_of(path)
            output.check_destination(path, force=True, protected=answer.dataset.protected)
        except WorkbenchError as error:
            return in_a_line(error)
        return None

    def done(text: str) -> None:
        path = _path(text).absolute()

        def write(*, force: bool) -> None:
            def work(task: Task) -> str:
                return _write(_chosen(frame, answer, taken, task), answer, path, task, force=force)

            frame.aside(work, frame.say, f"writing {path}")

        _unless_there(frame, path, write)

    label = "write to" if taken is None else f"write {taken.said()} to"
    frame.prompt.ask(
        label, file_name(frame), check=check, done=done, hint=".csv .tsv .json .jsonl .md .parquet"
    )


def _path(text: str) -> Path:
    """A file as people name it."""
    from workbench.errors import UsageError

    try:
        return Path(text.strip()).expanduser()
    except RuntimeError:
        raise UsageError(f"{text.strip()}: nobody of that name has a home here") from None


def file_name(frame: Frame) -> str:
    """A name for a file of what a screen shows: letters, digits and hyphens."""
    plain = "-".join(re.findall(r"[\w.]+", frame.file_stem()))
    return f"{plain[:MOST_NAME] or 'rows'}.csv"


def _unless_there(frame: Frame, path: Path, write: Callable[..., None]) -> None:
    """Writes; where the file is there, asks before it is replaced."""
    from workbench.widgets.popup import Confirm

    # Not path.exists(): a name too long raises there, and a link to nowhere is in the way too.
    if os.path.lexists(path):
        question = Confirm(f"{path} exists. Replace it?", yes="replace", no="leave it")
        frame.app.push_screen(question, lambda yes: write(force=True) if yes else None)
    else:
        write(force=False)


def _write(result: Result, answer: Answer, path: Path, task: Task, *, force: bool) -> str:
    from workbench import output

    answer.dataset.serve(task)
    said: list[str] = []
    output.write(
        result,
        format=output.format_of(path) or "table",
        destination=path,
        force=force,
        protected=answer.dataset.protected,
        note=lambda note: said.append(note.text) if note.code == "formula-cells" else None,
    )
    rows = len(result.rows)
    return "; ".join([f"wrote {rows:,} row{'' if rows == 1 else 's'} to {path}", *said])


# --- reports and segments -------------------------------------------------------------------------------------


def save_report(frame: Frame) -> None:
    """Asks for a name and saves the question as a report of the workspace."""
    answer = frame.answer
    if answer is None or not QUESTIONS[answer.request.report].request:
        frame.say("this cannot be saved as a report")
        return

    def check(text: str) -> str | None:
        from workbench.errors import WorkbenchError, in_a_line
        from workbench.reports import destination

        try:
            destination(text.strip(), force=True)
        except WorkbenchError as error:
            return in_a_line(error)
        return None

    def done(text: str) -> None:
        from workbench.errors import WorkbenchError
        from workbench.reports import destination, save

        def write(*, force: bool) -> None:
            try:
                name = save(destination(text.strip(), force=force), answer.result, force=force)
            except WorkbenchError as error:
                frame.failed(error)
            else:
                again = shlex.join(["workbench", "run", name])
                frame.say(f"saved; {frame.keymap.key_of('open_report')} opens it, {again} asks it again")

        _unless_there(frame, destination(text.strip(), force=True), write)

    frame.prompt.ask("save as report", "", check=check, done=done, hint="a name: reports/NAME.toml")


def save_people(frame: Frame) -> None:
    """Asks for a name and saves people as a segment of the workspace: those listed, or those behind a figure."""
    answer, door, shown = frame.people_answer(), frame.door(), frame.answer
    root = frame.workbench.workspace
    if root is None:
        frame.say("a segment is kept in a workspace, and there is none here: w writes the list to a file")
        return
    if answer is None and (door is None or shown is None):
        frame.say("there are no people behind this")
        return
    taken = None if answer is None else Taken.of(frame, answer)

    def check(text: str) -> str | None:
        from workbench.errors import WorkbenchError, in_a_line
        from workbench.segments import destination

        try:
            destination(root.parent, text.strip())
        except WorkbenchError as error:
            return in_a_line(error)
        return None

    def done(text: str) -> None:
        from workbench.segments import save

        name = text.strip()

        def work(task: Any) -> str:
            if answer is not None:
                rows, command, dataset = (
                    _chosen(frame, answer, taken, task).rows,
                    frame.command(),
                    answer.dataset,
                )
            else:
                assert shown is not None
                assert door is not None
                request = PeopleRequest(shown.request, door.cell)
                people = frame.workbench.session.people(shown, request, task)
                rows, command, dataset = people.result.rows, piped(request), people.dataset
            dataset.serve(task)
            count = save(root.parent, name, rows, command)
            return f"saved {count:,} people as segment {name}; a funnel compares with it: c"

        frame.aside(work, frame.say, "saving people")

    whom = f"people {door.title}" if answer is None and door is not None else "these people"
    whom = whom if taken is None else f"{taken.said()} people"
    frame.prompt.ask(f"save {whom} as segment", "", check=check, done=done, hint="a name: segments/NAME.toml")


def open_report(frame: Frame) -> None:
    """Lists the saved reports of the workspace; enter asks one."""
    from workbench import reports
    from workbench.errors import WorkbenchError
    from workbench.report_list import short
    from workbench.widgets.popup import Choice, Choose

    choices = []
    for name in reports.names():
        try:
            report = reports.read(reports.locate(name))
        except WorkbenchError as error:
            choices.append(Choice(name, name, why_not=error.message))
        else:
            choices.append(Choice(name, f"{name}  {report.title or ''}".strip(), short(report.request)))

    def chosen(name: str | None) -> None:
        if name is not None:
            try:
                request = reports.read(reports.locate(name)).request
            except WorkbenchError as error:
                # It went away, or was changed, while the list was open.
                frame.failed(error)
                return
            _open(frame, request)

    empty = "no report is saved yet: W saves the question of a screen"
    frame.app.push_screen(Choose("saved reports", choices, filtering=True, empty=empty), chosen)


def history(frame: Frame) -> None:
    """Lists what was asked before; enter asks it again."""
    from workbench.history import recent
    from workbench.widgets.popup import Choice, Choose

    asked = recent(frame.workbench.workspace)
    choices = [
        Choice(str(place), f"{one.when[5:16].replace('T', ' ')}  {one.report}", one.title)
        for place, one in enumerate(asked)
    ]

    def chosen(place: str | None) -> None:
        if place is not None:
            _open(frame, asked[int(place)].request)

    frame.app.push_screen(Choose("history", choices, filtering=True, empty="nothing was asked yet"), chosen)


def _open(frame: Frame, request: Any) -> None:
    from queries.question import PeopleRequest

    if isinstance(request, PeopleRequest):
        frame.aside(
            lambda task: frame.workbench.session.answer(request.of, task),
            lambda of: frame.workbench.open_screen(
                "people", None, of=of, cell=request.cell, title=f"{request.cell} of {request.report}"
            ),
            "asking for the people",
        )
        return
    asked = request
    # The people of a cell are a screen of their own, though their question is that of a list of people.
    if asked.report == frame.question and (frame.request is None or type(frame.request) is type(asked)):
        frame.ask(asked)
    else:
        frame.workbench.open_screen(asked.report, asked)
