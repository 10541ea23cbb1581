"""``workbench verify``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.asking import ask_and_write, check_output
from workbench.options import data_options, output_of, output_options, scope_of

if TYPE_CHECKING:
    from queries.question import Result
    from workbench.runner import Task


@click.command("verify")
@click.option("--update", is_flag=True, help="Take every file as it is now for what it should be.")
@click.option("--all", "every", is_flag=True, help="List the files that are unchanged too.")
@data_options
@output_options
def command(update: bool, every: bool, **values: Any) -> None:
    """Find files whose content was damaged or changed since they were first seen.

    The first run remembers a hash of every file's content; later runs compare. Parquet files are read to their
    end. Other content under the same size and time is damage, and so is a file that cannot be read: exit 3.
    What else changed, came or went is told; --fail-if makes it exit 5.

    \b
    Examples:
      workbench verify
      workbench verify --json --fail-if "totals.changed > 0 or totals.gone > 0"
      workbench verify --update
    """
    from workbench.verifying import VerifyRequest, check, failure
    from workbench.workspace import chosen

    output = output_of(values)
    if output.sql or output.save is not None:
        raise click.UsageError("--sql and --save are for questions: there is no SQL in this")
    check_output(output)
    request = VerifyRequest(scope_of(values), update, every)
    workspace = chosen(request.scope.data, request.scope.mapping)
    answered: list[Result] = []

    def work(task: Task) -> tuple[_Files, Result]:
        result, protected = check(request, workspace, task)
        answered.append(result)
        return _Files(protected, result), result

    ask_and_write(work, output)
    failed = failure(answered[0])
    if failed is not None:
        raise failed


@dataclass(frozen=True, slots=True)
class _Files:
    """What the answer was made from: nothing is read on while it is written."""

    protected: tuple[Path, ...]
    result: Result

    def serve(self, task: Task) -> None:
        """Nothing to cancel."""

    def stats(self) -> Mapping[str, object]:
        """How much was looked at."""
        return {key: self.result.totals[key] for key in ("files", "bytes")}
