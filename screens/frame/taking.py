"""What is taken away from a screen: SQL, files, saved reports, saved people; and questions brought back."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queries import QUESTIONS
from queries.question import PeopleRequest
from workbench.session import piped

if TYPE_CHECKING:
    from queries.question import Result
    from screens.base import Frame
    from workbench.runner import Task
    from workbench.session import Answer


def sql(frame: Frame) -> None:
    """Shows the SQL of the question, ready to paste."""
    from workbench.widgets.popup import Panel

    request = frame.request
    if request is not None:
        frame.aside(
            lambda task: frame.workbench.session.sql(request, task),
            lambda text: frame.popup(Panel("SQL (y copies)", text)),
            "writing SQL",
        )


def export(frame: Frame) -> None:
    """Asks for a file and writes the answer, in the format that its name says, with the writers of the commands."""
    answer = frame.answer
    if answer is None:
        frame.say("there is no answer yet")
        return

    def check(text: str) -> str | None:
        from workbench import output
        from workbench.errors import WorkbenchError

        path = Path(text.strip()).expanduser()
        try:
            output.format_of(path)
            output.check_destination(path, force=False, protected=answer.dataset.protected)
        except WorkbenchError as error:
            return error.message if error.hint is None else f"{error.message}; {error.hint}"
        return None

    def done(text: str) -> None:
        path = Path(text.strip()).expanduser()
        frame.aside(
            lambda task: _write(whole(frame, answer, task), answer, path, task), frame.say, f"writing {path}"
        )

    name = f"{frame.title_text()}.csv"
    frame.prompt.ask("write to", name, check=check, done=done, hint=".csv .tsv .json .jsonl .md .parquet")


def whole(frame: Frame, answer: Answer, task: Task) -> Result:
    """An answer with all its rows, to be read at once, on the worker.

    The engine's tables behind rows that are not here yet may be those of another answer by now: it is asked again.
    """
    if answer.table.loaded == answer.table.total:
        return replace(answer.result, rows=list(answer.table.rows()))
    return frame.work(answer.request, task, False).result


def _write(result: Result, answer: Answer, path: Path, task: Task) -> str:
    from workbench import output

    answer.dataset.serve(task)
    said: list[str] = []
    output.write(
        result,
        format=output.format_of(path) or "table",
        destination=path,
        protected=answer.dataset.protected,
        note=lambda note: said.append(note.text) if note.code == "formula-cells" else None,
    )
    rows = len(result.rows)
    return "; ".join([f"wrote {rows:,} row{'' if rows == 1 else 's'} to {path}", *said])


def save_report(frame: Frame) -> None:
    """Asks for a name and saves the question as a report of the workspace."""
    answer = frame.answer
    if answer is None or not QUESTIONS[answer.request.report].request:
        frame.say("this cannot be saved as a report")
        return

    def check(text: str) -> str | None:
        from workbench.errors import WorkbenchError
        from workbench.reports import destination

        try:
            destination(text.strip(), force=False)
        except WorkbenchError as error:
            return error.message if error.hint is None else f"{error.message}; {error.hint}"
        return None

    def done(text: str) -> None:
        from workbench.reports import destination, save

        name = save(destination(text.strip(), force=False), answer.result, force=False)
        frame.say(f"saved; {shlex.join(['workbench', 'run', name])} asks it again")

    frame.prompt.ask("save as report", "", check=check, done=done, hint="a name: reports/NAME.toml")


def save_people(frame: Frame) -> None:
    """Asks for a name and saves the people shown as a segment of the workspace: a list of ids."""
    answer, door, shown = frame.people_answer(), frame.door(), frame.answer
    root = frame.workbench.workspace
    if root is None:
        frame.say("a segment is kept in a workspace, and there is none here: w writes the list to a file")
        return
    if answer is None and (door is None or shown is None):
        frame.say("there are no people behind this")
        return

    def check(text: str) -> str | None:
        from workbench.errors import WorkbenchError
        from workbench.segments import destination

        try:
            destination(root.parent, text.strip())
        except WorkbenchError as error:
            return error.message if error.hint is None else f"{error.message}; {error.hint}"
        return None

    def done(text: str) -> None:
        from workbench.segments import save

        def work(task: Any) -> str:
            people, command = answer, frame.command()
            if people is None and door is not None and shown is not None:
                request = PeopleRequest(shown.request, door.cell)
                people, command = frame.workbench.session.people(shown, request, task), piped(request)
                rows = people.result.rows
            else:
                assert people is not None
                rows = whole(frame, people, task).rows
            people.dataset.serve(task)
            name = text.strip()
            count = save(root.parent, name, rows, command)
            return f"saved {count:,} people as {name}; --compare {name} and users --ids {name} take it"

        frame.aside(work, frame.say, "saving people")

    whom = "these people" if door is None else f"people {door.title}"
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
            request = reports.read(reports.locate(name)).request
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

    asked = request.of if isinstance(request, PeopleRequest) else request
    if asked.report == frame.question:
        frame.ask(asked)
    else:
        frame.workbench.open_screen(asked.report, asked)
