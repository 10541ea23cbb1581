"""Text for the clipboard of the person at the terminal, who may sit at the far end of an SSH connection.

No program of this machine reaches that clipboard; the terminal does. tmux drops what passes through it unless
told otherwise, but hands on what it is given itself.
"""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_state_path

from workbench.output.streams import reason
from workbench.text import clean

MAXIMUM = 74_994
"""Bytes of base64 that terminals take; of more they take nothing, and say nothing."""
PATIENCE = 2
"""Seconds for tmux."""


def copy(text: str, write: Callable[[str], None]) -> str:
    """Copies text, and says in words where it went.

    ``write`` sends a sequence to the terminal. What the terminal would not take becomes a file in the user's
    state folder. Characters that UTF-8 does not have become question marks.
    """
    data = text.encode("utf-8", "replace")
    if not data:
        return "nothing to copy"
    if os.environ.get("TMUX") and _tmux(data):
        return "copied (tmux)"
    encoded = b64encode(data)
    if len(encoded) > MAXIMUM:
        return f"too long for the terminal: {_file(data)}"
    write(f"\x1b]52;c;{encoded.decode('ascii')}\x07")
    return "copied"


def _tmux(data: bytes) -> bool:
    """Whether tmux took it; one before 3.2 does not know how to hand it on."""
    try:
        run = subprocess.run(
            ["tmux", "load-buffer", "-w", "-"],
            input=data,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0


def _file(data: bytes) -> str:
    path: Path = user_state_path("workbench", appauthor=False) / "copied.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Taken away first: what stands there may be readable by others, or lead elsewhere.
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        return f"and {clean(path)} cannot be written: {clean(reason(error))}"
    return f"written to {clean(path)}"
