"""The direction of imports, and what each way in may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "queries": {"workbench", "screens", "click", "textual", "duckdb", "rich"},
    "workbench": {"screens"},
    "screens": {"duckdb"},
}
"""Package → what none of its modules may import; the app alone opens screens, by name."""
APP = ROOT / "workbench" / "app.py"
"""The one module below the screens that knows them."""
ONE_DOOR = {"plotext": "workbench/charts.py"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


MODULES = sorted(path for package in FORBIDDEN for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downstairs(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    allowed = {"screens"} if path == APP else set()
    assert imported(path) & FORBIDDEN[package] <= allowed


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_module_a_library(path: Path) -> None:
    for library, door in ONE_DOOR.items():
        assert library not in imported(path) or str(path.relative_to(ROOT)) == door


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sorted(sys.modules)), file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    return {name.split(".")[0] for name in run.stderr.splitlines()}


HEAVY = {"duckdb", "textual", "pyarrow", "numpy", "sqlglot", "plotext", "rich", "hypothesis"}


@pytest.mark.parametrize("arguments", [["--help"], ["funnel", "--help"], ["demo", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "from workbench.cli import cli\n"
        f"try:\n    cli.main({arguments!r}, prog_name='workbench', standalone_mode=False)\n"
        "except SystemExit:\n    pass"
    )
    assert loaded_by(code) & HEAVY == set()


def test_a_question_loads_no_textual(tmp_path: Path) -> None:
    data = tmp_path / "e.csv"
    data.write_text("ts,event,user_id\n2026-03-01T10:00:00Z,a,u1\n2026-03-01T10:05:00Z,b,u1\n")
    code = (
        "from workbench.cli import cli\n"
        f"cli.main(['funnel', '--data', {str(data)!r}, '--step', 'a', '--step', 'b', '--json'], "
        "prog_name='workbench', standalone_mode=False)"
    )
    loaded = loaded_by(code)
    assert "duckdb" in loaded
    assert loaded & {"textual", "rich", "plotext"} == set()
