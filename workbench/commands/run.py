"""``workbench run``."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from workbench.commands.asking import ask, ask_and_write
from workbench.options import OutputOptions, data_options, once, output_of, output_options

if TYPE_CHECKING:
    from queries.question import Note, Request
    from workbench.reports import SavedReport

TIMES = ("since", "until", "last", "as_of")


def complete_report(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the workspace's reports."""
    from workbench.errors import WorkbenchError
    from workbench.reports import names

    folder = None if ctx.parent is None else ctx.parent.params.get("folder")
    try:
        if isinstance(folder, Path):
            os.chdir(folder)
        known = names()
    except (WorkbenchError, OSError):
        return []
    # A name with a blank would come apart in the shell.
    return [CompletionItem(name) for name in known if name.startswith(incomplete) and " " not in name]


@click.command("run")
@click.argument("name", required=False, metavar="[NAME|FILE.toml]", shell_complete=complete_report)
@once(
    "--users", "cell", metavar="CELL", help="The people of a cell, as the report's own question names them."
)
@once("--from", "since", metavar="TIME", help="From this date or time on, in place of the saved range.")
@once("--to", "until", metavar="TIME", help="Before this time; a bare date takes in the day.")
@once("--last", metavar="SPAN", help="7d, 2w: calendar days up to as-of's day; 6h, 30m: rolling.")
@once("--as-of", metavar="TIME", help="Take this as now; default the newest valid event.")
@data_options
@output_options
def command(name: str | None, cell: str | None, **values: Any) -> None:
    """Ask a saved report again: by its name in the workspace, or by its file. Without a name, list them.

    --save NAME beside any question saves it. The answer is that of the question itself: every format, --users,
    --sql and --fail-if work. A range or --data given here goes before the saved one; the file stays as it is.

    \b
    Examples:
      workbench run
      workbench run weekly --json
      workbench run weekly --last 30d --users dropped:1
      workbench run reports/weekly.toml --fail-if "totals.conversion_rate < 0.05"
    """
    output = output_of(values)
    if "" in values["data"]:
        raise click.UsageError("--data is empty: an unset variable?")
    if name is None:
        given = [key for key, value in {**values, "users": cell}.items() if value]
        if given:
            raise click.UsageError(f"--{_OPTIONS.get(given[0], given[0])} needs the NAME of a report")
        _list(output)
    else:
        _run(name, cell, output, values)


_OPTIONS = {"since": "from", "until": "to", "as_of": "as-of"}


def _run(name: str, cell: str | None, output: OutputOptions, values: dict[str, Any]) -> None:
    from queries.question import PeopleRequest, QuestionError
    from workbench import reports
    from workbench.errors import UsageError

    report = reports.read(reports.locate(name))
    if not report.request.scope.data and not values["data"]:
        report, output = _at_home(report, output)
    notes = _notes(report)
    changed = any(values.values())
    request = _overridden(report.request, values)
    if cell is not None and isinstance(request, PeopleRequest):
        request = request.of
    try:
        ask(lambda: request, output, cell=cell, notes=notes)
    except UsageError as error:
        # What is wrong with the question is wrong in the file; with options beside it, nobody knows.
        if changed or cell is not None or not isinstance(error.__cause__, QuestionError):
            raise
        raise UsageError(f"{report.path}: {error.message}", error.hint) from error


def _overridden(request: Request, values: dict[str, Any]) -> Request:
    """The question with the range and data given here in place of the saved ones."""
    from queries.saved import rescoped

    scope = request.scope
    if any(values[key] is not None for key in ("since", "until", "last")):
        scope = replace(scope, since=None, until=None, last=None)
    if values["data"]:
        scope = replace(scope, data=tuple(values["data"]))
    given = {key: values[key] for key in (*TIMES, "mapping") if values[key] is not None}
    return rescoped(request, replace(scope, **given))


def _at_home(report: SavedReport, output: OutputOptions) -> tuple[SavedReport, OutputOptions]:
    """Goes to the workspace the report lies in, as ``-C`` would; what is written stays where it was asked for."""
    from workbench.reports import read
    from workbench.workspace import find

    home = find(report.path.absolute().parent)
    if home is None or home == find(Path.cwd()):
        return report, output
    path = report.path.absolute()
    if output.output is not None and str(output.output) != "-":
        output = replace(output, output=output.output.absolute())
    if output.save is not None and output.save.endswith(".toml"):
        output = replace(output, save=str(Path(output.save).expanduser().absolute()))
    os.chdir(home.parent)
    # Paths in it are named from the current folder.
    return read(path), output


def _notes(report: SavedReport) -> Sequence[Note]:
    """What to know before the numbers are set beside those of then."""
    from queries.question import Note
    from workbench import SEMANTICS_VERSION

    notes = []
    if report.semantics not in (None, SEMANTICS_VERSION):
        text = (
            f"saved under semantics {report.semantics}, asked under {SEMANTICS_VERSION}: "
            "the same data may give other numbers"
        )
        notes.append(Note("semantics-changed", text, "warning"))
    if report.path.stat().st_mode & stat.S_IWOTH:
        text = f"everybody on this machine may change {report.path}; `chmod o-w` ends that"
        notes.append(Note("report-writable", text, "warning"))
    return notes


def _list(output: OutputOptions) -> None:
    from workbench.report_list import listed

    if output.sql or output.save is not None:
        raise click.UsageError("--sql and --save need the NAME of a report")
    ask_and_write(lambda task: listed(), output)
