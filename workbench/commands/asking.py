"""From a request to the written answer: the one path every question's command takes."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from queries import QUESTIONS
from workbench import SEMANTICS_VERSION, __version__, diagnostics, output, runner
from workbench.errors import ConditionMet, NoData, UsageError
from workbench.options import Format, OutputOptions

if TYPE_CHECKING:
    from queries.question import Request, Result
    from workbench.dataset import Dataset


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
    from workbench.dataset import opened
    from workbench.failif import check_expression

    if options.fail_if is not None:
        check_expression(options.fail_if)
    if options.output is not None and str(options.output) != "-":
        output.check_destination(options.output, force=options.force)
    module = importlib.import_module(QUESTIONS[request.arguments()[0]].module)
    shown: list[Result] = []
    text: list[str] = []

    def work(task: runner.Task) -> Dataset:
        dataset = opened(request.scope, task, memory=options.memory, threads=options.threads)
        if options.sql:
            text.append(dataset.script(module.answer(request, dataset).sql))
        else:
            answered = module.answer(request, dataset)
            shown.append(answered if cell is None else dataset.people_of(answered, cell))
        return dataset

    dataset = runner.run(
        work, timeout_seconds=_seconds(options.timeout), on_progress=diagnostics.Progress().show
    )
    folders = dataset.source_folders
    if options.sql:
        output.write_text(text[0], destination=options.output, force=options.force, protected=folders)
    else:
        _deliver(shown[0], options, _format(options, cell), folders)
    if options.stats:
        diagnostics.stats(dataset.stats())


def _deliver(result: Result, options: OutputOptions, format: Format, folders: Sequence[Path]) -> None:
    aside = [note for note in result.notes if note.sets_aside]
    if options.strict and aside:
        raise NoData(f"--strict: {aside[0].text}", "without --strict it is left out and counted")
    output.write(
        result,
        format=format,
        destination=options.output,
        force=options.force,
        csv_safe=options.csv_safe,
        limit=options.limit,
        protected=folders,
        note=diagnostics.note,
    )
    if options.require_data and not any(result.totals.values()):
        raise NoData("no rows", "drop --require-data to take an empty answer as an answer")
    if options.fail_if is not None:
        from workbench.failif import met

        row = met(options.fail_if, result.rows, result.totals)
        if row is not None:
            raise ConditionMet(f"--fail-if {options.fail_if!r} is true", f"for {row}")


def _format(options: OutputOptions, cell: str | None) -> Format:
    return options.format or ("table" if cell is None else "jsonl")


def _seconds(timeout: str | None) -> float | None:
    if timeout is None:
        return None
    from queries.ranges import parse_duration

    milliseconds = parse_duration(timeout)
    return None if milliseconds is None else milliseconds / 1000
