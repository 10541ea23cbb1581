"""``workbench explain``."""

from __future__ import annotations

from typing import Any

import click

from workbench.commands.asking import ask
from workbench.commands.funnel import funnel_of, funnel_options
from workbench.options import output_of, output_options

_DOORS = ("reason:", "next:")


@click.group("explain")
def command() -> None:
    """Why a person counts in a report as they do, or why the people of a cell stopped there.

    \b
    Examples:
      workbench explain funnel --step add_to_cart --step order_paid u0042
      workbench explain funnel --step add_to_cart --step order_paid --users dropped:1
    """


@command.command("funnel", short_help="A person of a funnel, or a cell of it.")
@funnel_options(
    click.option(
        "--users",
        "cells",
        multiple=True,
        metavar="CELL",
        help="Explain a cell instead: dropped:K or open:K; then reason:CODE or next:K:EVENT for its people.",
    )
)
@output_options
@click.argument("user", metavar="[USER]", required=False)
def explain_funnel(
    user: str | None, cells: tuple[str, ...], steps: tuple[str, ...], window: str, **values: Any
) -> None:
    """Why a person stands where the funnel counts them: what each event did, and the nearest miss.

    USER is any id of a person. With --users a whole cell is explained: each of its people has one reason, and
    what they did next is counted. The options are those of `workbench funnel`.

    \b
    Examples:
      workbench explain funnel --step add_to_cart --step order_paid u0042
      workbench explain funnel --step view --step order_paid --window 1h --users dropped:1
      workbench explain funnel --step view --step order_paid --users dropped:1 --users reason:after-window
    """
    output = output_of(values)
    make = funnel_of(steps, window, values)
    named = [cell for cell in cells if not cell.startswith(_DOORS)]
    doors = [cell for cell in cells if cell.startswith(_DOORS)]
    for found in (named, doors):
        if len(found) > 1:
            raise click.UsageError(f"--users names {len(found)} cells: {' and '.join(found)}")

    def request() -> Any:
        from queries.explain import ExplainRequest

        return ExplainRequest(funnel=make(), user=user, cell=named[0] if named else None)

    ask(request, output, cell=doors[0] if doors else None)
