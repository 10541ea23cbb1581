"""``workbench init``."""

from __future__ import annotations

from pathlib import Path

import click

from workbench import diagnostics, output, runner
from workbench.text import clean


@click.command("init")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--force", is_flag=True, help="Replace a workbench.toml that is there.")
@click.option("--encoding", metavar="NAME", help="Of text files that are not UTF-8: gb18030, latin-1, …")
@click.option("--dry-run", is_flag=True, help="Print the file instead of writing it.")
def command(paths: tuple[str, ...], force: bool, encoding: str | None, dry_run: bool) -> None:
    """Look at event files, find which column means what, and write workbench.toml in this folder.

    Says what it is sure of and what is missing; edit the file and it is yours.

    \b
    Examples:
      workbench init exports/
      workbench init exports/app/*.parquet tills.csv --dry-run
    """
    from workbench.sources.proposal import Proposal, propose
    from workbench.workspace import FILE_NAME

    target = Path(FILE_NAME)
    if not dry_run:
        output.check_destination(target, force=force)
    proposal: Proposal = runner.run(
        lambda task: propose(paths, task=task, encoding=encoding), on_progress=diagnostics.progress
    )
    diagnostics.end_progress()
    if dry_run:
        output.write_text(proposal.toml_text)
        return
    output.write_text(proposal.toml_text, destination=target, force=force)
    told = [f"Wrote {target}.", ""]
    for heading, lines in (
        ("Sure", proposal.sure),
        ("Guessed: check these", proposal.guessed),
        ("Missing", proposal.missing),
        ("Left out", proposal.left_out),
    ):
        told += [f"{heading}:", *(f"  {clean(line)}" for line in lines), ""] if lines else []
    output.write_text("\n".join([*told, "Next:", "  workbench events"]))
