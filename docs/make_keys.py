"""Writes docs/keys.md from the keys themselves; a test holds the two together: ``python docs/make_keys.py``."""

from __future__ import annotations

from pathlib import Path

from queries import QUESTIONS
from workbench.app import PINNED, screen_class
from workbench.keys import GLOBAL, GROUPS, Action, Keymap

PAGE = Path(__file__).with_name("keys.md")
HEAD = """# Keys

Two modes. In *Browse*, the start of every screen, each key is an action. In *Edit* the line at the bottom has the keys:
what is printable is typed, enter commits, esc reverts, tab takes a completion or else goes on to the next field.
Digits are screens, there are no counts. With a Chinese input method on, full-width forms mean their keys.

Any key can be another: `[keys]` in `config.toml` of the user's settings folder, as `copy_command = ["C"]`; `:` lists
the actions by name. This page is made by `docs/make_keys.py` from the program.
"""


def page() -> str:
    """The page, whole."""
    keys = Keymap()
    parts = [HEAD]
    for group in GROUPS:
        actions = [
            action for action in GLOBAL if action.group == group and not action.name.startswith("pin_")
        ]
        if actions:
            parts.append(f"## {group.capitalize()}\n\n{_table(actions, keys)}")
    parts.append("## Screens\n\n" + _screens())
    for name in QUESTIONS:
        local = screen_class(name).local_actions
        if local:
            parts.append(f"### {name.capitalize()}\n\n{_table(local, Keymap(local))}")
    return "\n".join(parts)


def _table(actions: tuple[Action, ...] | list[Action], keys: Keymap) -> str:
    lines = ["| key | action | |", "|---|---|---|"]
    for action in actions:
        shown = " ".join(_quoted(key) for key in keys.keys_of(action.name))
        lines.append(f"| {shown} | {action.name} | {action.help} |")
    return "\n".join(lines) + "\n"


def _quoted(key: str) -> str:
    # A bar would end the cell, a backtick the quotes.
    return "`` ` ``" if key == "`" else f"`{key}`".replace("|", "\\|")


def _screens() -> str:
    lines = ["| digit | after `g` | screen | |", "|---|---|---|---|"]
    for name, question in QUESTIONS.items():
        digit = f"`{PINNED.index(name)}`" if name in PINNED else ""
        letter = f"`{question.key}`" if question.key else ""
        lines.append(f"| {digit} | {letter} | {name} | {question.summary} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
