"""The command line's front door: knows every command's name and imports only the one that is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import click

from queries import QUESTIONS
from workbench import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("workbench.commands.demo", "Write a demo shop with planted truths, and say what to ask it."),
    "init": ("workbench.commands.init", "Look at files, find the mapping, write workbench.toml."),
    **{name: (f"workbench.commands.{name}", question.summary) for name, question in QUESTIONS.items()},
    "completion": ("workbench.commands.completion", "Print the completion script of a shell."),
}
"""Command → module that holds it as ``command``, and its line in the help."""


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
def cli(ctx: click.Context, folder: Path | None) -> None:
    """Exact answers about a shop's events, and the people behind each number.

    Reads event exports (Parquet, CSV, JSON) where they lie: a workspace in this folder or its parents, or
    any files with --data.

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
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> NoReturn:
    """Runs the command line and ends the process with an exit code of the documented list."""
    # A reader that stops reading (`| head`) ends the program as it ends any other Unix tool: exit 141.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    from workbench import runner
    from workbench.diagnostics import Diagnostics
    from workbench.errors import UsageError, WorkbenchError

    told = Diagnostics(as_json=_asks_json(sys.argv[1:]))
    code = 0
    try:
        result = cli.main(prog_name="workbench", standalone_mode=False, obj=told)
        code = result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        told.end_progress()
        code = 130
    except click.ClickException as error:
        code = told.error(UsageError(error.format_message(), _usage_hint(error)))
    except WorkbenchError as error:
        code = told.error(error)
    runner.finish(code)


def _usage_hint(error: click.ClickException) -> str | None:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return None if context is None else f"{context.command_path} --help"


def _asks_json(arguments: list[str]) -> bool:
    """Whether the command line asks for JSON: read from the text, since options may not have parsed."""
    pairs = zip(arguments, arguments[1:], strict=False)
    return "--json" in arguments or "--format=json" in arguments or ("--format", "json") in pairs
