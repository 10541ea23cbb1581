"""``workbench diff``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.asking import ask_and_write, check_output
from workbench.options import OutputOptions, data_options, once, output_of, output_options, scope_of

if TYPE_CHECKING:
    from queries.diff_request import DiffRequest
    from queries.question import PeopleRequest, Result
    from workbench.asking_again import Again
    from workbench.runner import Task


@click.command("diff")
@click.argument("a", metavar="A.json")
@click.argument("b", metavar="B.json")
@once(
    "--users",
    "cell",
    metavar="WHICH",
    help="Who moved: moved, data, definition, both, identity, or FROM:TO like 2:3 or none:1.",
)
@click.option("--no-data", is_flag=True, help="Only what the files say: numbers and definitions, no parts.")
@data_options
@output_options
def command(a: str, b: str, cell: str | None, no_data: bool, **values: Any) -> None:
    """What moved between two answers of one report, A and B, as --json wrote them: split, and by whom.

    The difference of every number is split into what came of the data (late, new, changed since) and what of the
    definition, by asking again between the two; the parts add up. With --users, those who stand at another step
    now, a row each.

    \b
    Examples:
      workbench diff monday.json friday.json
      workbench diff monday.json friday.json --users definition --csv
      workbench diff monday.json friday.json --fail-if "measure = 'users' and difference < -100"
    """
    from queries.diff_request import DiffRequest
    from queries.question import PeopleRequest, QuestionError
    from workbench.errors import UsageError

    options = output_of(values)
    if options.sql or options.save is not None:
        option = "--sql" if options.sql else "--save"
        raise click.UsageError(f"{option} is for a question; diff compares two answers")
    request = DiffRequest(a=a, b=b, no_data=no_data, scope=scope_of(values))
    try:
        asked = None if cell is None else PeopleRequest(request, cell)
        check_output(options)
        ask_and_write(lambda task: _compare(request, asked, options, task), options)
    except QuestionError as error:
        raise UsageError(error.message, error.hint) from error


def _compare(
    request: DiffRequest, asked: PeopleRequest | None, options: OutputOptions, task: Task
) -> tuple[Again, Result]:
    from queries.diff import Found, result
    from queries.question import Note
    from workbench.answers import read_answer
    from workbench.asking_again import Again, Engines, ask_again, normal
    from workbench.errors import UsageError

    a, b = (normal(read_answer(file)) for file in (request.a, request.b))
    if a.report != b.report:
        raise UsageError(
            f"{request.a} is of {a.report}, {request.b} of {b.report}",
            "two answers of one report are compared",
        )
    again = Again(Found(notes=(Note("not-asked", "--no-data: the parts of the differences are not known"),)))
    if not request.no_data:
        engines = Engines(options.memory, options.threads)
        again = ask_again(a, b, request.scope, task, engines, needed=asked is not None)
    found = result(request, a, b, again.found)
    return again, found if asked is None else _people(asked, found, again)


def _people(asked: PeopleRequest, found: Result, again: Again) -> Result:
    """Those who moved, as a result of its own: one row a person."""
    from queries.diff_request import parse_cell
    from queries.question import QuestionError, Result, Row, Shown

    if again.found.moved is None:
        raise QuestionError(f"--users {asked.cell}: it is not known who moved", _why(again))
    rows: Sequence[Row] = [] if again.moved is None else again.moved.rows(parse_cell(asked.cell))
    return Result(
        report="users",
        request=asked,
        rows=rows,
        totals={"users": len(rows)},
        notes=found.notes,
        meta={**found.meta, "cell": asked.cell},
        layout=(
            Shown("user", "user"),
            Shown("kind", "id kind"),
            Shown("from", "from", "integer", null="not in"),
            Shown("to", "to", "integer", null="not in"),
            Shown("because", "because"),
        ),
        rule=f"who moved ({asked.cell}): the deepest step of then and of now. {found.rule}",
    )


_WHY = ("units-differ", "not-asked", "not-asked-again")
"""The notes that say why nobody knows who moved; others speak of the data."""


def _why(again: Again) -> str:
    why = [note.text for note in again.found.notes if note.code in _WHY]
    return why[0] if why else "the report counts no people"
