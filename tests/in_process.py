"""The command line inside the test's own process, which spares starting one: for tests that ask often."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tests.driver import Command, Ran
from workbench import diagnostics
from workbench.cli import cli
from workbench.errors import WorkbenchError


def in_process(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs commands as the fixture ``workbench`` does, with ``home`` as the user's folder."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home))

    def run(*arguments: str, cwd: Path) -> Ran:
        monkeypatch.chdir(cwd)
        code = 0
        try:
            cli.main(arguments, standalone_mode=False)
        except click.ClickException as error:
            diagnostics.usage_error(error)
            code = 2
        except WorkbenchError as error:
            diagnostics.error(error)
            code = error.exit_code
        return Ran(code, *capsys.readouterr())

    return run
