"""The README says what is true: its reference is the commands' own, its commands are those that CI runs."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

from tests.driver import Command

ROOT = Path(__file__).resolve().parents[2]


def test_reference_is_the_commands_own_help() -> None:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (ROOT / "README.md").read_text("utf-8")
    assert module.with_reference(text) == text, "run: python docs/make_reference.py"


def test_the_page_of_keys_is_the_programs_own() -> None:
    spec = importlib.util.spec_from_file_location("make_keys", ROOT / "docs" / "make_keys.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text("utf-8") == module.page(), "run: python docs/make_keys.py"


def test_one_command_to_try_and_one_to_test() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for marker in ("<!-- try-command -->", "<!-- test-command -->"):
        block = text.split(marker, 1)[1].split("```", 2)[1]
        lines = [line for line in block.splitlines() if line.startswith("python3 ")]
        assert len(lines) == 1


def test_every_linked_page_is_there() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_project_names_nothing_of_the_workplace() -> None:
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    word = "sha" + "red/"
    for name in files:
        path = ROOT / name
        if not path.is_file() or path.suffix in (".parquet", ".png") or name.startswith("tests/"):
            continue
        text = path.read_text("utf-8", errors="replace")
        assert f"../{word}" not in text, name
        assert not re.search(r"(?<![\w.])/(?:work|farm|root|home)/\w", text), name


def test_the_shown_answer_is_what_the_command_prints(workbench: Command, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    block = text.split("```console\n", 1)[1].split("```", 1)[0]
    first, shown = block.split("\n", 1)
    assert workbench("demo", "shop", "--no-open", cwd=tmp_path).code == 0
    assert workbench(*first.removeprefix("$ workbench ").split(), cwd=tmp_path).out == shown
