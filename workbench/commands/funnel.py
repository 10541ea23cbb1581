"""``workbench funnel``."""

from __future__ import annotations

from typing import Any

import click

from workbench.commands.asking import ask
from workbench.completing import complete_event
from workbench.options import breakdown_options, once, output_of, output_options, scope_of, scope_options


@click.command("funnel")
@click.option(
    "--step",
    "steps",
    multiple=True,
    metavar="STEP",
    shell_complete=complete_event,
    help='"EVENT[|EVENT…][: EXPR]"; once for each step, in order.',
)
@click.option(
    "--window", default="7d", show_default=True, metavar="SPAN", help="From step 1, inclusive; or none."
)
@once(
    "--users",
    "cell",
    metavar="CELL",
    help="The people of a cell: reached:K, dropped:K, open:K, converted, with @VALUE.",
)
@click.option("--step-window", multiple=True, metavar="I=SPAN", hidden=True)
@click.option("--order", default="ordered", type=click.Choice(["ordered", "strict", "any"]), hidden=True)
@click.option("--entry", default="any", type=click.Choice(["any", "first", "every"]), hidden=True)
@click.option("--ties", default="order", type=click.Choice(["order", "strict"]), hidden=True)
@click.option("--tolerance", metavar="SPAN", hidden=True)
@click.option("--exclude", multiple=True, metavar="EVENT[@I:J]", hidden=True)
@click.option("--exclusion", default="drop", type=click.Choice(["drop", "remove"]), hidden=True)
@click.option("--hold", metavar="PROPERTY", hidden=True)
@click.option("--optional", multiple=True, type=int, metavar="I", hidden=True)
@click.option("--range", "range", default="entry", type=click.Choice(["entry", "whole"]), hidden=True)
@click.option("--at", default="first", metavar="WHERE", hidden=True)
@click.option("--trend", type=click.Choice(["day", "week", "month"]), hidden=True)
@click.option("--since", "since_first", type=click.Choice(["first"]), hidden=True)
@click.option("--mature", is_flag=True, hidden=True)
@click.option("--as", "peer", metavar="PEER", hidden=True)
@scope_options
@breakdown_options
@output_options
def command(cell: str | None, steps: tuple[str, ...], window: str, **values: Any) -> None:
    """Where people drop out on the way through given steps, and who they are.

    Steps in order, other events allowed between; any step 1 may start; within the window, inclusive. Rates
    carry their 95 % intervals; who could still convert is counted as open, not dropped.

    \b
    Examples:
      workbench funnel --step product_view --step add_to_cart --step order_paid
      workbench funnel --step search --step "order_paid: amount > 100" --by channel --json
      workbench funnel --step add_to_cart --step order_paid --users dropped:1
    """
    from queries.funnel import request

    output = output_of(values)
    scope = scope_of(values)
    values["since"] = values.pop("since_first")
    ask(lambda: request(steps, window, scope, **values), output, cell=cell)
