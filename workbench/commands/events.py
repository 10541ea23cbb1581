"""``workbench events``."""

from __future__ import annotations

from typing import Any

import click

from workbench.commands.asking import ask
from workbench.options import output_of, output_options, scope_of, scope_options


@click.command("events")
@scope_options
@output_options
def command(**values: Any) -> None:
    """Which events there are, how many, from how many people, from when to when.

    \b
    Examples:
      workbench events
      workbench events --last 7d --where "platform = 'app'" --csv
    """
    from queries.catalogue import EventsRequest

    output = output_of(values)
    scope = scope_of(values)
    ask(lambda: EventsRequest(scope=scope), output)
