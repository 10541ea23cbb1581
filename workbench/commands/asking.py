"""From a request to the written answer: the one path every question's command takes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from queries import QUESTIONS
from workbench import diagnostics, output, runner
from workbench.errors import ConditionMet, NoData, UsageError, WorkbenchError
from workbench.options import OutputOptions, seconds

if TYPE_CHECKING:
    from queries.question import Request, Result
    from workbench.dataset import Dataset

COMPLETION_SECONDS = 5.0


def ask(make: Callable[[], Request], options: OutputOptions, *, cell: str | None = None) -> None:
    """Makes the request, asks it on a worker thread, and writes the answer.

    ``cell`` asks for the people of a cell instead of the table. Raises the errors of :mod:`workbench.errors`.
    """
    from queries.question import QuestionError

    try:
        _ask(make(), options, cell)
    except QuestionError as error:
        raise UsageError(error.message, error.hint) from error


def _ask(request: Request, options: OutputOptions, cell: str | None) -> None:
    _check(options, cell)
    timeout = seconds(options.timeout)

    def answer(task: runner.Task) -> tuple[Dataset, Result | str]:
        from workbench.dataset import asked

        return asked(
            request.scope,
            task,
            lambda dataset: _answer(request, options, cell, dataset),
            memory=options.memory,
            threads=options.threads,
        )

    dataset, answered = runner.run(answer, timeout_seconds=timeout, on_progress=diagnostics.progress)
    diagnostics.end_progress()

    def deliver(task: runner.Task) -> None:
        dataset.serve(task)
        if isinstance(answered, str):
            place = {"destination": options.output, "force": options.force}
            output.write_text(answered, **place, protected=dataset.source_folders)  # type: ignore[arg-type]
        else:
            _deliver(answered, options, cell, dataset.source_folders)

    try:
        runner.run(deliver)
    finally:
        if options.stats:
            diagnostics.stats(dataset.stats())


def _check(options: OutputOptions, cell: str | None) -> None:
    """What can be refused before any work is done."""
    if options.fail_if is not None:
        from workbench.failif import check_expression

        check_expression(options.fail_if)
    if cell is not None:
        from queries.funnel_table import parse_cell

        parse_cell(cell)
    if options.output is not None and str(options.output) != "-":
        output.check_destination(options.output, force=options.force)


def _answer(request: Request, options: OutputOptions, cell: str | None, dataset: Dataset) -> Result | str:
    module: Any = importlib.import_module(QUESTIONS[request.arguments()[0]].module)
    if options.sql:
        return dataset.script(module.statements(request, dataset))
    answered: Result = module.answer(request, dataset)
    return answered if cell is None else dataset.people_of(answered, cell)


def _deliver(result: Result, options: OutputOptions, cell: str | None, folders: Sequence[Path]) -> None:
    aside = [note for note in result.notes if note.sets_aside]
    if options.strict and aside:
        raise NoData(f"--strict: {aside[0].text}", "without --strict it is left out and counted")
    if options.require_data and not result.totals.get("users"):
        raise NoData(
            "--require-data: nobody in the answer", "without --require-data an empty answer is exit 0"
        )
    row = None
    if options.fail_if is not None:
        from workbench.failif import met

        # Before the answer is written: an expression that does not fit is an error without output.
        row = met(options.fail_if, result.rows, result.totals)
    output.write(
        result,
        format=options.format or ("table" if cell is None else "jsonl"),
        destination=options.output,
        force=options.force,
        csv_safe=options.csv_safe,
        limit=options.limit,
        protected=folders,
        note=diagnostics.note,
    )
    if row is not None:
        shown = ", ".join(f"{key} {value}" for key, value in list(row.items())[:3])
        raise ConditionMet(f"--fail-if {options.fail_if} is true for {shown or 'the totals'}")


# --- completion -------------------------------------------------------------------------------------------


def complete_event(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Event names of the data at hand, the most frequent first, with their counts."""
    from queries import catalogue

    def names(dataset: Dataset) -> list[CompletionItem]:
        rows = catalogue.answer(catalogue.EventsRequest(scope=dataset.scope), dataset).rows
        return [CompletionItem(str(row["event"]), help=f"{row['events']:,} events") for row in rows]

    return _completed(ctx, names, incomplete)


def complete_property(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Property names of the data at hand, with their kinds."""

    def names(dataset: Dataset) -> list[CompletionItem]:
        columns = dataset.schema.columns.values()
        return [CompletionItem(column.name, help=column.kind) for column in columns]

    return _completed(ctx, names, incomplete)


def _completed(
    ctx: click.Context, names: Callable[[Dataset], list[CompletionItem]], incomplete: str
) -> list[CompletionItem]:
    """What starts with the text so far; nothing where there is no data, since a shell waits for no errors."""
    from queries.question import QuestionError, Scope
    from workbench.dataset import opened

    scope = Scope(data=tuple(ctx.params.get("data") or ()), mapping=ctx.params.get("mapping"))
    try:
        found = names(opened(scope, runner.Task(COMPLETION_SECONDS)))
    except (WorkbenchError, QuestionError):
        return []
    return [item for item in found if item.value.startswith(incomplete)]
