"""``workbench properties``."""

from __future__ import annotations

from typing import Any

import click

from workbench.commands.asking import ask
from workbench.completing import complete_property
from workbench.options import output_of, output_options, scope_of, scope_options, top_option


@click.command("properties")
@click.argument("name", required=False, shell_complete=complete_property)
@scope_options
@top_option
@output_options
def command(name: str | None, **values: Any) -> None:
    """Which properties events carry: kind, how often filled, how many values; or the values of NAME.

    \b
    Examples:
      workbench properties
      workbench properties channel --top 20
      workbench properties search_term --where "result_count = 0"
    """
    from queries.catalogue import PropertiesRequest

    output = output_of(values)
    scope = scope_of(values)
    ask(lambda: PropertiesRequest(name=name, scope=scope), output)
