"""``workbench cache``."""

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


@click.command("cache")
@click.argument("action", required=False, type=click.Choice(["clear"]), metavar="[clear]")
@click.option("--all", "every", is_flag=True, help="With clear: the stores of other settings too.")
@click.option("--staged", is_flag=True, help="With clear: the staged copies of CSV and JSON files too.")
@data_options
@output_options
def command(action: str | None, every: bool, staged: bool, **values: Any) -> None:
    """What is stored beside the files: whether the store is up to date, what it holds, and its size.

    `workbench cache clear` deletes the store: only time is lost. What somebody reads or writes stays, and is told:
    exit 6.

    \b
    Examples:
      workbench cache
      workbench cache --json
      workbench cache clear --all --staged
    """
    from workbench.errors import Changed
    from workbench.store.cached import CacheRequest, clear, look
    from workbench.workspace import chosen

    output = output_of(values)
    if output.sql or output.save is not None:
        raise click.UsageError("--sql and --save are for questions: there is no SQL in this")
    if action is None and (every or staged):
        raise click.UsageError(f"--{'all' if every else 'staged'} is for clear: workbench cache clear")
    check_output(output)
    request = CacheRequest(scope_of(values), action == "clear", every, staged)
    workspace = chosen(request.scope.data, request.scope.mapping)
    answered: list[Result] = []

    def work(_task: Task) -> tuple[_Folder, Result]:
        answered.append((clear if request.clear else look)(request, workspace))
        return _Folder((workspace.cache,)), answered[0]

    ask_and_write(work, output)
    kept = answered[0].totals.get("kept")
    if kept:
        raise Changed(
            "not everything was deleted: somebody reads or writes it", "try again when they are done"
        )


@dataclass(frozen=True, slots=True)
class _Folder:
    """What the answer is about: nothing is read on while it is written."""

    protected: tuple[Path, ...]

    def serve(self, task: Task) -> None:
        """Nothing to cancel."""

    def stats(self) -> Mapping[str, object]:
        """Nothing to tell."""
        return {}
