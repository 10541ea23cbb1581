"""``workbench completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from workbench import output


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of SHELL: commands, options, event and property names of the data at hand.

    \b
    Examples:
      workbench completion bash >> ~/.bashrc
      workbench completion zsh >> ~/.zshrc
      workbench completion fish > ~/.config/fish/completions/workbench.fish
    """
    from workbench.cli import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    # Not through source(): that asks the shell for its version, which the script's reader may not have.
    script = kind(cli, {}, "workbench", "_WORKBENCH_COMPLETE")
    output.write_text(script.source_template % script.source_vars())
