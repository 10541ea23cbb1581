"""The command line's front door: knows every command's name and imports only the one that is called."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from queries import QUESTIONS
from workbench import __version__

if TYPE_CHECKING:
    from workbench.errors import WorkbenchError

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("workbench.commands.demo", "Write a demo shop with planted truths, and say what to ask it."),
    "init": ("workbench.commands.init", "Look at files, find the mapping, write workbench.toml."),
    "open": ("workbench.commands.open", "Open the screens: over a workspace, or straight over files."),
    **{name: (f"workbench.commands.{name}", question.summary) for name, question in QUESTIONS.items()},
    "run": ("workbench.commands.run", "Ask a saved report again; without a name, list them."),
    "diff": ("workbench.commands.diff", "What moved between two answers: data, definition, people."),
    "sql": ("workbench.commands.sql", "Free SQL over events, items, people and sessions; read-only."),
    "import": ("workbench.commands.import_", "Make the store, or bring it up to date: questions get faster."),
    "cache": ("workbench.commands.cache", "What is stored beside the files, and how to delete it."),
    "verify": (
        "workbench.commands.verify",
        "Find files that were damaged or changed since they were first seen.",
    ),
    "doctor": ("workbench.commands.doctor", "Versions, paths, limits, and whether the engine works here."),
    "completion": ("workbench.commands.completion", "Print the completion script of a shell."),
}
"""Command → module that holds it as ``command``, and its line in the help."""

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that ``--help`` stays instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from queries.suggest import hint

            near = hint(args[0], COMMANDS)
            raise click.UsageError(f"no command {args[0]!r}" + (f"; {near}" if near else ""), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@click.version_option(__version__, "-V", "--version", prog_name="workbench")
@click.option(
    "-C",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Run as if started in DIR.",
)
@click.pass_context
def cli(ctx: click.Context, folder: Path | None) -> int:
    """Exact answers about a shop's events, and the people behind each number.

    Reads event exports (Parquet, CSV, JSON) where they lie: a workspace in this folder or its parents, or
    any files with --data. Alone, on a terminal, it opens the screens.

    \b
    First steps:
      workbench demo shop                 write a demo shop
      workbench -C shop events            what is in it
      workbench -C shop funnel --step product_view --step add_to_cart --step order_paid
    """
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise click.UsageError(f"-C {folder}: {error.strerror}", ctx) from error
    if ctx.invoked_subcommand is not None:
        return 0
    from workbench import terminal

    if terminal.present():
        from workbench.commands import open as screens

        return screens.on_terminal()
    click.echo(ctx.get_help())
    return 0


def main() -> NoReturn:
    """Runs the command line and ends the process with an exit code of the documented list."""
    # A reader that stops reading (`| head`) ends the program as it ends any other Unix tool: exit 141.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # Loading modules makes much and drops nothing: looking for garbage every 700 objects is a twentieth of a start.
    gc.set_threshold(20_000, 20, 20)
    from workbench import diagnostics, errors, runner
    from workbench.faults import log_fault

    as_json = _asks_json(sys.argv[1:])
    code = 0
    try:
        result = cli.main(prog_name="workbench", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        diagnostics.end_progress()
        code = 130
    except click.ClickException as error:
        diagnostics.usage_error(error, as_json=as_json)
        code = 2
    except errors.WorkbenchError as error:
        diagnostics.error(error, as_json=as_json)
        code = error.exit_code
    except OSError as error:
        if error.errno not in _CANNOT_WRITE or error.filename is not None:
            diagnostics.error(log_fault(error), as_json=as_json)
        # Else help or version, which click writes by itself: the flush at the end fails too, and says so.
        code = 1
    except (MemoryError, ImportError) as error:
        # A limit on the process's memory shows as either, whichever asks for more first.
        diagnostics.error(_no_room(error) or log_fault(error), as_json=as_json)
        code = 1
    except Exception as error:  # noqa: BLE001 - the outermost boundary: a fault of ours ends in one line too
        diagnostics.error(log_fault(error), as_json=as_json)
        code = 1
    runner.finish(code)


def _no_room(error: MemoryError | ImportError) -> WorkbenchError | None:
    """What keeps the program's libraries from memory; None for an import that fails by our own fault."""
    from workbench.errors import WorkbenchError

    if isinstance(error, MemoryError):
        return WorkbenchError("there is not enough memory", "see whether `ulimit -v` limits it")
    if not (error.path or "").endswith((".so", ".dylib", ".pyd")):
        return None
    return WorkbenchError(
        f"a library cannot be loaded: {error}",
        "see whether `ulimit -v` or `ulimit -n` limits it, or install the program anew",
    )


def _asks_json(arguments: list[str]) -> bool:
    """Whether the command line asks for JSON: read from the text, since options may not have parsed."""
    pairs = pairwise(arguments)
    return "--json" in arguments or "--format=json" in arguments or ("--format", "json") in pairs
