"""``workbench overview``."""

from __future__ import annotations

from typing import Any

import click

from workbench.commands.asking import ask
from workbench.options import once, output_of, output_options, scope_of, scope_options


@click.command("overview")
@once(
    "--users",
    "cell",
    metavar="FIGURE",
    help="The people behind a figure, like conversion; FIGURE@previous: those of the period before.",
)
@scope_options
@output_options
def command(cell: str | None, **values: Any) -> None:
    """What is loaded, whether it can be believed, how business is, and what to look at first.

    Key figures of the range beside those of the period before it, by day in JSON; each thing to look at comes with
    the command that shows it. No check of the data is made: that is what `workbench check` does.

    \b
    Examples:
      workbench overview
      workbench overview --last 7d
      workbench overview --last 7d --json
      workbench overview --users orders
      workbench overview --last 7d --fail-if "figure = 'orders' and change < -0.3"
    """
    from queries.overview_request import OverviewRequest

    output = output_of(values)
    scope = scope_of(values)
    ask(lambda: OverviewRequest(scope=scope), output, cell=cell)
