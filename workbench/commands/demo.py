"""``workbench demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench import diagnostics, output, runner
from workbench.options import seconds


@click.command("demo")
@click.argument(
    "folder", default="workbench-demo", type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]"
)
@click.option(
    "--events",
    type=click.IntRange(min=5_000, max=100_000_000),
    default=200_000,
    show_default=True,
    metavar="N",
    help="About how many events; up to 100 million.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**32 - 1),
    default=7,
    show_default=True,
    metavar="N",
    help="Another seed, another shop.",
)
@click.option(
    "--dirty", is_flag=True, help="With flaws for check to find: clocks, duplicates, a lost day, junk ids …"
)
@click.option("--no-open", is_flag=True, help="Only write it; do not open it.")
@click.option("--timeout", metavar="SPAN", help="Give up after this long, like 5m; exit 4.")
def command(
    folder: Path, events: int, seed: int, dirty: bool, no_open: bool, timeout: str | None, **values: Any
) -> int:
    """Write a demo shop to DIR: three months of events of a made-up shop, with truths to be found.

    On a terminal it is opened then; what to ask it is printed either way.

    The same rows on every machine. What is planted, and the command that finds it, stands in truths.toml.

    \b
    Examples:
      workbench demo shop
      workbench demo big --events 10000000
      workbench demo messy --dirty
    """
    from workbench.demo import write_demo

    summary = runner.run(
        lambda task: write_demo(
            folder, events=events, seed=seed, progress=task.report, check=task.check, dirty=dirty
        ),
        timeout_seconds=seconds(timeout),
        on_progress=diagnostics.progress,
    )
    diagnostics.end_progress()
    output.write_text(_told(folder, summary, dirty))
    from workbench import terminal

    if no_open or terminal.unfit() is not None:
        return 0
    from workbench.commands import open as screens

    return screens.on_terminal(str(folder))


def _told(folder: Path, summary: Any, dirty: bool) -> str:
    check = f"  workbench -C {folder} check\n" if dirty else ""
    return f"""{summary.events:,} events of {summary.people:,} simulated people in {folder}

Next:
{check}  workbench -C {folder} events
  workbench -C {folder} funnel --step product_view --step add_to_cart --step order_paid --by channel
  workbench -C {folder} {summary.story}
"""
