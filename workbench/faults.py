"""What becomes of a fault of the program itself: one line for the user, a log without data for us."""

from __future__ import annotations

import os

from workbench import __version__
from workbench.errors import WorkbenchError


def log_fault(error: BaseException) -> WorkbenchError:
    """A fault of the program: its traceback goes to a file, without values, which may be people's data."""
    import traceback

    from platformdirs import user_state_path

    folder = user_state_path("workbench", appauthor=False)
    file = folder / "last-fault.txt"
    message = f"this is a fault of workbench: {type(error).__name__}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as log:
            log.writelines(
                [f"workbench {__version__}\n", *traceback.format_tb(error.__traceback__), message, "\n"]
            )
    except OSError:
        return WorkbenchError(message, "please report it")
    return WorkbenchError(message, f"please report it with {file}; it holds no data")
