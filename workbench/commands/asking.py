"""From a request to the written answer: the one path every question's command takes."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queries import QUESTIONS
from workbench import diagnostics, output, runner
from workbench.errors import ConditionMet, NoData, UsageError
from workbench.options import OutputOptions, seconds

if TYPE_CHECKING:
    from queries.question import Request, Result
    from workbench.dataset import Dataset


def ask(make: Callable[[], Request], options: OutputOptions, *, cell: str | None = None) -> None:
    """Makes the request, asks it on a worker thread, and writes the answer.

    ``cell`` asks for the people of a cell instead of the table. Raises the errors of :mod:`workbench.errors`.
    """
    from queries.question import PeopleRequest, QuestionError

    try:
        request = make()
        _ask(request if cell is None else PeopleRequest(request, cell), options)
    except QuestionError as error:
        raise UsageError(error.message, error.hint) from error


def _ask(request: Request, options: OutputOptions) -> None:
    from workbench.dataset import asked

    if options.fail_if is not None:
        from workbench.failif import check_expression

        check_expression(options.fail_if)
    timeout = seconds(options.timeout)
    dataset, answered = runner.run(
        lambda task: asked(
            request.scope,
            task,
            lambda dataset: _answer(request, options, dataset),
            memory=options.memory,
            threads=options.threads,
        ),
        timeout_seconds=timeout,
        on_progress=diagnostics.progress,
    )
    diagnostics.end_progress()

    def deliver(task: runner.Task) -> None:
        dataset.serve(task)
        if isinstance(answered, str):
            output.write_text(
                answered, destination=options.output, force=options.force, protected=dataset.protected
            )
        else:
            _deliver(answered, options, dataset.protected)

    try:
        runner.run(deliver)
    finally:
        if options.stats:
            diagnostics.stats(dataset.stats())


def _answer(request: Request, options: OutputOptions, dataset: Dataset) -> Result | str:
    from queries.question import PeopleRequest

    if options.output is not None and str(options.output) != "-":
        # Before the work, not after it.
        output.check_destination(options.output, force=options.force, protected=dataset.protected)
    module: Any = importlib.import_module(QUESTIONS[request.report].module)
    asked = request.of if isinstance(request, PeopleRequest) else request
    if options.sql:
        return dataset.script(module.statements(asked, dataset))
    answered: Result = module.answer(asked, dataset)
    return dataset.people_of(answered, request) if isinstance(request, PeopleRequest) else answered


def _deliver(result: Result, options: OutputOptions, protected: Sequence[Path]) -> None:
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
        format=_format(result, options),
        destination=options.output,
        force=options.force,
        csv_safe=options.csv_safe,
        limit=options.limit,
        protected=protected,
        note=diagnostics.note,
    )
    if row is not None:
        told = ("step", "event", "breakdown", *re.findall(r"\w+", str(options.fail_if)))
        shown = ", ".join(f"{key} {row[key]}" for key in dict.fromkeys(told) if row.get(key) is not None)
        raise ConditionMet(f"--fail-if {options.fail_if} is true for {shown or 'the totals'}")


_ENDINGS: dict[str, output.Format] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".md": "md",
    ".parquet": "parquet",
}


def _format(result: Result, options: OutputOptions) -> output.Format:
    """As asked; else as the file's name ends; else a table, and JSON lines for a list of people."""
    if options.format is not None:
        return options.format
    named = None if options.output is None else _ENDINGS.get(options.output.suffix.lower())
    return named or ("jsonl" if result.report == "users" else "table")
