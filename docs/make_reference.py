"""Writes the README's command reference from the commands themselves; a test holds the two together.

python docs/make_reference.py
"""

from __future__ import annotations

from pathlib import Path

import click

from workbench.cli import COMMANDS, cli

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- reference: made by docs/make_reference.py -->", "<!-- /reference -->"


def reference() -> str:
    """Every command's help as it prints, at 100 columns."""
    parts = []
    names = cli.context_settings["help_option_names"]
    context = click.Context(
        cli, info_name="workbench", max_content_width=100, terminal_width=100, help_option_names=names
    )
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        inner = click.Context(
            command, info_name=name, parent=context, max_content_width=100, terminal_width=100
        )
        parts.append(f"### workbench {name}\n\n```text\n{command.get_help(inner)}\n```\n")
    return "\n".join(parts)


def with_reference(text: str) -> str:
    """The README's text with the reference of now in its place."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(with_reference(README.read_text("utf-8")), "utf-8")
