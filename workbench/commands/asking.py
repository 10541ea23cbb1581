"""From a request to the written answer: the one path every question's command takes."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from queries import QUESTIONS
from workbench import diagnostics, output, runner
from workbench.errors import ConditionMet, NoData, UsageError
from workbench.options import OutputOptions, seconds

if TYPE_CHECKING:
    from queries.question import Note, Request, Result
    from workbench.dataset import Dataset
    from workbench.workspace import Workspace


class Asked(Protocol):
    """What an answer was asked of: it reads on while the answer is written."""

    def serve(self, task: runner.Task) -> None:
        """From now on this task cancels it."""
        ...

    @property
    def protected(self) -> tuple[Path, ...]:
        """What no export may touch."""
        ...

    def stats(self) -> Mapping[str, object]:
        """What ``--stats`` prints."""
        ...


def ask(
    make: Callable[[], Request],
    options: OutputOptions,
    *,
    cell: str | None = None,
    notes: Sequence[Note] = (),
) -> None:
    """Makes the request, asks it on a worker thread, and writes the answer.

    ``cell`` asks for the people of a cell instead of the table; ``notes`` go before those of the answer. Raises
    the errors of :mod:`workbench.errors`.
    """
    from queries.question import Note, PeopleRequest, QuestionError
    from workbench.dataset import asked
    from workbench.store import background

    built_for: list[Workspace] = []

    def question(dataset: Dataset) -> Result | str:
        answered = _answer(request, options, dataset, notes)
        if not options.sql and background.pays(dataset):
            built_for.append(dataset.workspace)
        return answered

    try:
        request = make()
        if cell is not None:
            request = PeopleRequest(request, cell)
        if options.save is not None and not QUESTIONS[request.report].request:
            raise UsageError(f"--save: {request.report} cannot be saved as a report")
        ask_and_write(
            lambda task: asked(
                request.scope,
                task,
                question,
                memory=options.memory,
                threads=options.threads,
                from_files=options.sql,
            ),
            options,
        )
    except QuestionError as error:
        raise UsageError(error.message, error.hint) from error
    # The answer is out: whatever becomes of the store changes nothing about it.
    if built_for and background.start(built_for[-1]) and _is_terminal():
        diagnostics.note(Note("store-building", background.TOLD))


def _is_terminal() -> bool:
    """Whether somebody reads what is said: lines that depend on time are none for logs and pipelines."""
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


def ask_and_write(work: Callable[[runner.Task], tuple[Asked, Result | str]], options: OutputOptions) -> None:
    """Does the work on a worker thread, with progress, and writes its answer as the options say."""
    if options.fail_if is not None:
        from workbench.failif import check_expression

        check_expression(options.fail_if)
    report = None
    if options.save is not None:
        from workbench.reports import destination

        if options.sql:
            raise UsageError("--save and --sql: what is not asked is not saved", "leave one of them out")
        report = destination(options.save, force=options.force)
    source, answered = runner.run(
        work, timeout_seconds=seconds(options.timeout), on_progress=diagnostics.progress
    )
    diagnostics.end_progress()

    def deliver(task: runner.Task) -> None:
        source.serve(task)
        if isinstance(answered, str):
            output.write_text(
                answered, destination=options.output, force=options.force, protected=source.protected
            )
        else:
            _deliver(answered, options, source.protected, report)

    try:
        runner.run(deliver)
    finally:
        if options.stats:
            diagnostics.stats(source.stats())


def check_output(options: OutputOptions, protected: Sequence[Path] = ()) -> None:
    """Refuses a destination that cannot be, before the work and not after it."""
    if options.output is not None and str(options.output) != "-":
        if options.format is None:
            output.format_of(options.output)
        output.check_destination(options.output, force=options.force, protected=protected)


def _answer(
    request: Request, options: OutputOptions, dataset: Dataset, notes: Sequence[Note]
) -> Result | str:
    from queries.question import PeopleRequest

    check_output(options, dataset.protected)
    module: Any = importlib.import_module(QUESTIONS[request.report].module)
    asked = request.of if isinstance(request, PeopleRequest) else request
    if options.sql:
        return dataset.script(module.statements(asked, dataset))
    answered: Result = module.answer(asked, dataset)
    answered = replace(answered, notes=(*notes, *answered.notes))
    return dataset.people_of(answered, request) if isinstance(request, PeopleRequest) else answered


def _deliver(result: Result, options: OutputOptions, protected: Sequence[Path], report: Path | None) -> None:
    aside = [note for note in result.notes if note.sets_aside]
    if options.strict and aside:
        raise NoData(f"--strict: {aside[0].text}", "without --strict it is left out and counted")
    if options.require_data and not result.totals.get("users", len(result.rows)):
        raise NoData(
            "--require-data: nobody in the answer", "without --require-data an empty answer is exit 0"
        )
    row = None
    if options.fail_if is not None:
        from workbench.failif import met

        # Before the answer is written: an expression that does not fit is an error without output.
        row = met(options.fail_if, result.rows, result.totals)
    if report is not None:
        _save(report, result, options)
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
        told = (
            "check",
            "step",
            "event",
            "breakdown",
            "cohort",
            "period",
            *re.findall(r"\w+", str(options.fail_if)),
        )
        shown = ", ".join(f"{key} {row[key]}" for key in dict.fromkeys(told) if row.get(key) is not None)
        raise ConditionMet(f"--fail-if {options.fail_if} is true for {shown or 'the totals'}")


def _save(report: Path, result: Result, options: OutputOptions) -> None:
    from queries.question import Note
    from workbench.reports import save

    name = save(report, result, force=options.force)
    diagnostics.note(
        Note("saved", f"saved as {report}; `{shlex.join(['workbench', 'run', name])}` asks it again")
    )


def _format(result: Result, options: OutputOptions) -> output.Format:
    """As asked; else as the file's name ends; else a table, and JSON lines for the people of a cell."""
    if options.format is not None:
        return options.format
    named = None if options.output is None else output.format_of(options.output)
    from queries.question import PeopleRequest

    return named or ("jsonl" if isinstance(result.request, PeopleRequest) else "table")
