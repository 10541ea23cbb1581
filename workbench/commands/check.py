"""``workbench check``."""

from __future__ import annotations

from typing import Any

import click

from workbench.commands.asking import ask
from workbench.options import OutputOptions, once, output_of, output_options, scope_of, scope_options


@click.command("check")
@click.option(
    "--only", multiple=True, metavar="CHECK", help="Only this check, like duplicate-rows; repeatable."
)
@click.option(
    "--all", "every", is_flag=True, help="Clean checks and those that cannot be made too, in tables as well."
)
@once("--users", "cell", metavar="CHECK", help="The people behind what a check found.")
@scope_options
@output_options
def command(cell: str | None, only: tuple[str, ...], every: bool, **values: Any) -> None:
    """Whether the data can be believed: ids, times, duplicates, lost days, money, orphans, damaged files.

    A table shows what was found, with what it bends and what to do; every other format carries all checks. Exit
    0 whatever is found: --fail-if says what is a failure.

    \b
    Examples:
      workbench check
      workbench check --all
      workbench check --fail-if "severity = 'error'"
      workbench check --fail-if "totals.errors + totals.warnings > 0" --json
      workbench check --users bots
    """
    from queries.check import CheckRequest

    output = output_of(values)
    scope = scope_of(values)
    ask(lambda: CheckRequest(only=only, all=every or _is_data(output), scope=scope), output, cell=cell)


def _is_data(output: OutputOptions) -> bool:
    """Whether the answer is written for programs, which read every row."""
    if output.format is not None:
        return output.format not in ("table", "md")
    ending = "" if output.output is None else output.output.suffix.lower()
    return ending in (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
