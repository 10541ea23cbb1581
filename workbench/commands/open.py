"""``workbench open``, and what ``workbench`` alone does on a terminal."""

from __future__ import annotations

import os
from pathlib import Path

import click

from workbench.errors import NoData, UsageError


# It is also called without the group, whose settings it would have else.
@click.command("open", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@click.option(
    "--mapping",
    metavar="FILE",
    help="A workbench.toml whose mapping the files take; FILE#NAME: of that source.",
)
@click.option("--ascii", "ascii_only", is_flag=True, default=None, help="Draw with plain ASCII signs.")
@click.option("--low-bandwidth", is_flag=True, help="For slow lines: 16 colours, no mouse.")
@click.option(
    "--memory", metavar="SIZE", envvar="WORKBENCH_MEMORY", help="Memory the engine may use, like 2GB."
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    envvar="WORKBENCH_THREADS",
    help="Threads it may use.",
)
def command(
    paths: tuple[str, ...],
    mapping: str | None,
    ascii_only: bool | None,
    low_bandwidth: bool,
    memory: str | None,
    threads: int | None,
) -> int:
    """Open the screens: over the workspace of this folder or its parents, another one, or straight over files.

    Needs a terminal. Without a workspace and without PATH it offers the demo and the data files it sees.

    \b
    Examples:
      workbench open
      workbench open exports/ tills.csv
      workbench open ~/shop/workbench.toml --low-bandwidth
    """
    from workbench import terminal

    # Whatever keeps the screens from opening is said before the terminal is touched.
    reason = terminal.unfit()
    if reason is not None:
        raise UsageError(reason, terminal.HINT)
    paths = _readable(paths, mapping)
    if memory is not None:
        from workbench.limits import limits

        limits(memory, threads)
    terminal.prepare(low_bandwidth=low_bandwidth)
    from workbench.loading import loading

    with loading():
        from workbench.app import WorkbenchApp

    app = WorkbenchApp(paths, mapping, ascii_only=ascii_only, memory=memory, threads=threads)
    return terminal.run(app, mouse=not low_bandwidth)


def on_terminal(*paths: str) -> int:
    """Opens the screens as ``workbench open`` does, for commands that end in them; returns the exit code."""
    code: int = command.main([*paths], prog_name="workbench open", standalone_mode=False)
    return code


def _readable(paths: tuple[str, ...], mapping: str | None) -> tuple[str, ...]:
    """The paths to open, none for a workspace, which is then the one of the current folder."""
    from workbench import workspace
    from workbench.sources.listing import list_files

    if "" in paths:
        raise UsageError("a PATH is empty: an unset variable?")
    if len(paths) == 1 and (folder := _workspace_folder(Path(paths[0]).expanduser())) is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise UsageError(f"{folder}: {error.strerror}") from error
        paths = ()
    if not paths:
        if mapping is not None:
            raise UsageError("--mapping is for files", "name them: workbench open PATH --mapping FILE")
        file = workspace.find(Path.cwd())
        if file is not None:
            workspace.load(file)
        return ()
    workspace.from_paths(paths, mapping)
    for path in paths:
        files, aside = list_files(Path.cwd(), str(Path(path).expanduser()))
        if not files:
            raise NoData(f"{aside[0].path} cannot be read: {aside[0].reason}", "see its owner and mode")
    return paths


def _workspace_folder(path: Path) -> Path | None:
    from workbench.workspace import FILE_NAME

    if path.name == FILE_NAME and path.is_file():
        return path.parent
    return path if path.is_dir() and (path / FILE_NAME).is_file() else None
