"""``workbench identity``."""

from __future__ import annotations

from typing import Any

import click

from workbench.commands.asking import ask
from workbench.options import once, output_of, output_options, scope_of, scope_options


@click.command("identity")
@once(
    "--users",
    "cell",
    metavar="CELL",
    help="The people behind a row: person:KIND, linked:KIND or shared:KIND, like shared:anonymous_id.",
)
@scope_options
@output_options
def command(cell: str | None, **values: Any) -> None:
    """How raw ids became people: what each kind of id decided, and which ids several people share.

    \b
    Examples:
      workbench identity
      workbench identity --users shared:anonymous_id
      workbench identity --unit raw --json
    """
    from queries.identity import IdentityRequest

    output = output_of(values)
    scope = scope_of(values)
    ask(lambda: IdentityRequest(scope=scope), output, cell=cell)
