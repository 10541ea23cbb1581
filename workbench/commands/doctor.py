"""``workbench doctor``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from workbench.commands.asking import ask_and_write, check_output
from workbench.options import data_options, output_of, output_options, scope_of

if TYPE_CHECKING:
    from queries.question import Result
    from workbench.runner import Task


@click.command("doctor")
@data_options
@output_options
def command(**values: Any) -> None:
    """Versions, paths, limits and their origin, whether the engine works here, and which sources there are.

    Each line is ok, a warning, or a problem with what to do; a problem makes it exit 1. No data and no secret is
    printed, so the answer may go into a bug report.

    \b
    Examples:
      workbench doctor
      workbench doctor --json
    """
    from workbench.doctor import DoctorRequest, examine
    from workbench.errors import WorkbenchError

    ctx = click.get_current_context()
    output = output_of(values)
    if output.sql or output.save is not None:
        raise click.UsageError("--sql and --save are for questions: there is no SQL in this")
    check_output(output)
    request = DoctorRequest(
        scope_of(values), output.memory, _origin(ctx, "memory"), output.threads, _origin(ctx, "threads")
    )
    answered: list[Result] = []

    def work(task: Task) -> tuple[_Machine, Result]:
        answered.append(examine(request, task))
        return _Machine(), answered[0]

    ask_and_write(work, output)
    problems = answered[0].totals["problem"]
    if problems:
        raise WorkbenchError(
            f"{problems} problem{'' if problems == 1 else 's'} found", "see what to do above"
        )


def _origin(ctx: click.Context, name: str) -> str:
    source = ctx.get_parameter_source(name)
    told = {ParameterSource.COMMANDLINE: "option", ParameterSource.ENVIRONMENT: "environment"}
    return "default" if source is None else told.get(source, "default")


@dataclass(frozen=True, slots=True)
class _Machine:
    """What the answer is about: nothing is read on while it is written."""

    protected: tuple[Path, ...] = ()

    def serve(self, task: Task) -> None:
        """Nothing to cancel."""

    def stats(self) -> Mapping[str, object]:
        """Nothing to tell."""
        return {}
