"""The user's wishes about the screens, from the environment and the settings file."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from queries.suggest import hint, shown
from workbench.errors import UsageError
from workbench.keys import settings_path
from workbench.toml_reader import Reader, read_toml

THEME = "textual-dark"
"""Without a wish."""


def theme(known: Collection[str], path: Path | None = None) -> str:
    """The theme wished for: ``WORKBENCH_THEME``, else ``theme`` of the settings, else our own choice.

    Raises UsageError for one that there is not. Without colour there is nothing to choose: a theme of the
    terminal's own colours would be black on black.
    """
    if os.environ.get("NO_COLOR"):
        return THEME
    wished = os.environ.get("WORKBENCH_THEME") or _written(path or settings_path())
    if wished is None:
        return THEME
    if wished not in known:
        raise UsageError(
            f"no theme is named {shown(wished)}",
            hint(wished, known) or f"there are {', '.join(sorted(known))}",
        )
    return wished


def _written(path: Path) -> str | None:
    if not path.is_file():
        return None
    return Reader(path, read_toml(path)).top.text("theme")
