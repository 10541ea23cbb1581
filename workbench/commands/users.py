"""``workbench users``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from workbench.commands.asking import ask
from workbench.commands.user import _is_read
from workbench.completing import complete_property
from workbench.options import once, output_of, output_options, scope_of, scope_options

PAGE = 1_000
"""People of a table, which people read, where nobody says how many."""


@click.command("users")
@once("--ids", metavar="FILE|NAME|-", help="Only these people: a list of ids, a segment, or standard input.")
@click.option(
    "--show",
    multiple=True,
    metavar="PROPERTY",
    shell_complete=complete_property,
    help="Their latest known value of a property; repeatable.",
)
@once("--sort", metavar="COLUMN", help="By this column, like amount; default kind and id.")
@click.option("--descending", is_flag=True, help="Largest first.")
@scope_options
@output_options
def command(**values: Any) -> None:
    """People with first and last seen, events, sessions, orders, amount and properties: all in scope, or a list.

    A list has one id a line, or a header with a column user, or JSON lines as --users of any report writes them.
    A table shows the first 1,000 people unless --limit says otherwise; other formats carry all.

    \b
    Examples:
      workbench users --sort amount --descending --limit 20 --show city --show channel
      workbench users --who "did('order_paid') = 0" --csv --output never.csv
      workbench funnel --step add_to_cart --step order_paid --users dropped:1 | workbench users --ids -
    """
    from queries.users import UsersRequest

    output = output_of(values)
    scope = scope_of(values)
    if output.limit is None and _is_read(output):
        output = replace(output, limit=PAGE)
    ask(lambda: UsersRequest(scope=scope, **values), output)
