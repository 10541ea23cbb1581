"""``workbench user``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from workbench.commands.asking import ask
from workbench.options import OutputOptions, once, output_of, output_options, scope_of, scope_options

PAGE = 200
"""Events of a table, which people read, where nobody says how many."""


@click.command("user")
@click.argument("user", required=False, metavar="[ID]")
@once("--kind", metavar="KIND", help="The kind of the id, like user_id, where it is of several.")
@once(
    "--find",
    metavar="EXPR",
    help="Whoever has an event for which this is true, like \"order_id = 'o123'\"; of several their list.",
)
@click.option("--event", "events", multiple=True, metavar="NAME", help="Show these events alone; repeatable.")
@once("--match", metavar="EXPR", help="Show the events alone for which this is true.")
@once("--around", metavar="TIME", help="Show the 50 events nearest to this time.")
@click.option("--oldest", is_flag=True, help="Days oldest first; else newest first.")
@click.option("--newest", is_flag=True, help="Events of a day newest first; else oldest first.")
@scope_options
@output_options
def command(**values: Any) -> None:
    """One person: profile, and everything they did in order, with sessions, cart and the identity in use.

    ID is any id linked to them: user, device, phone. A table shows the first 200 events unless --limit says
    otherwise; other formats carry all.

    \b
    Examples:
      workbench user u03204092
      workbench user u03204092 --around "2026-04-02 21:56" --json
      workbench user --find "order_id = 'o980637540000'"
      workbench user u03204092 --event add_to_cart --event order_paid --oldest --newest
      workbench user u03204092 --match "amount > 100" --last 30d --csv
    """
    from queries.user import UserRequest

    output = output_of(values)
    scope = scope_of(values)
    if output.limit is None and _is_read(output):
        output = replace(output, limit=PAGE)
    ask(lambda: UserRequest(scope=scope, **values), output)


def _is_read(output: OutputOptions) -> bool:
    """Whether the answer is a table, for people; every other format is for programs, which read all."""
    if output.format is not None:
        return output.format in ("table", "md")
    ending = "" if output.output is None else output.output.suffix.lower()
    return ending not in (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
