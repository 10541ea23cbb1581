"""``workbench init``."""

from __future__ import annotations

from pathlib import Path

import click

from workbench import output, runner


@click.command("init")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--force", is_flag=True, help="Replace a workbench.toml that is there.")
@click.option("--dry-run", is_flag=True, help="Print the file instead of writing it.")
def command(paths: tuple[str, ...], force: bool, dry_run: bool) -> None:
    """Look at event files, find which column means what, and write workbench.toml in this folder.

    Says what it is sure of and what is missing; edit the file and it is yours.

    \b
    Examples:
      workbench init exports/
      workbench init exports/app/*.parquet tills.csv --dry-run
    """
    from workbench.sources.proposal import propose
    from workbench.workspace import FILE_NAME

    target = Path(FILE_NAME)
    if not dry_run:
        output.check_destination(target, force=force)
    proposal = runner.run(lambda task: propose(paths, task=task))
    output.write_text(proposal.toml_text, destination=None if dry_run else target, force=force)
