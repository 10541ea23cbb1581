"""The hostile shop in terminals of several kinds: what reaches them; rows 69, 71, 100 and 101 of the faults."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.screens import hostile
from tests.screens.pty_driver import Terminal, environment


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile.write(tmp_path_factory.mktemp("robust"))


def started(shop: Path, home: Path, **env: str) -> Terminal:
    home.mkdir(exist_ok=True)
    around = {name: value for name, value in environment(home, **env).items() if value}
    return Terminal([sys.executable, "-m", "workbench"], size=(100, 30), env=around, cwd=shop)


def walked(terminal: Terminal) -> list[str]:
    """From the overview to a person and back, and out."""
    shown = [terminal.wait_for("what to look at")]
    for keys, wanted in (
        ("gf", "time to convert"), ("\r", "people who reached"), ("\r", "session 1:"), ("p", "copies"), ("\x1b", ""),
        ("q", "people who reached"), ("o", "saved reports"), ("\x1b", ""), (":", "enter picks"), ("\x1b", ""),
        ("gd", "severity"),
        ("0", "what to look at"), ("=", ""),
    ):  # fmt: skip
        terminal.send(keys)
        terminal.read(0.2, 2)
        if wanted:
            shown.append(terminal.wait_for(wanted))
    terminal.send("Q")
    shown.append(terminal.wait_for("Quit workbench?"))
    terminal.send("y")
    assert terminal.ended() == 0
    assert terminal.is_as_before()
    return shown


def test_fault_069_071_nothing_of_the_data_works_on_the_terminal(shop: Path, tmp_path: Path) -> None:
    with started(shop, tmp_path / "home") as terminal:
        shown = walked(terminal)
        assert "PWNED" in "".join(shown)
        for bytes_ in hostile.FORBIDDEN:
            assert bytes_ not in terminal.sent, bytes_
        # The toolkit itself ends its name of the pointer with a bell.
        assert b"\x07" not in terminal.sent.replace(b"\x1b]22;default\x07", b"")
        assert "␛]0;PWNED␇".encode() in terminal.sent


@pytest.mark.parametrize(
    ("name", "env"),
    [
        ("no colour", {"NO_COLOR": "1"}),
        ("16 colours", {"TERM": "xterm", "COLORTERM": ""}),
        ("C locale", {"LC_ALL": "C", "LANG": ""}),
        ("POSIX", {"LC_ALL": "POSIX"}),
        ("latin-1 streams", {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_fault_100_101_the_same_picture_in_every_terminal(
    shop: Path, tmp_path: Path, name: str, env: dict[str, str]
) -> None:
    with started(shop, tmp_path / "home", **env) as terminal:
        terminal.wait_for("what to look at")
        terminal.send("gf")
        terminal.wait_for("time to convert")
        shown = terminal.wait_for("view → ␛[31mpay")
        assert "people who" not in shown
        terminal.send("\r")
        terminal.wait_for("下单了蔻驰")
        terminal.wait_for("people who")
        if name == "no colour":
            colours = set(re.findall(rb"38;2;(\d+);(\d+);(\d+)", terminal.sent))
            assert all(red == green == blue for red, green, blue in colours)
        if name == "16 colours":
            assert b"38;2;" not in terminal.sent
            assert b"38;5;" not in terminal.sent


@pytest.mark.parametrize(
    "env",
    [{"LC_ALL": "de_DE.ISO-8859-1"}, {"LC_ALL": "zh_CN.GB18030"}],
    ids=str,
)
def test_fault_101_a_terminal_of_another_encoding_gets_ascii_alone(
    shop: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    with started(shop, tmp_path / "home", **env) as terminal:
        terminal.wait_for("what to look at")
        terminal.send("gf")
        terminal.wait_for("time to convert")
        terminal.wait_for("view -> \\u241b[31mpay")
        # Bytes that are no UTF-8, as such a terminal sends them, are keys of nobody.
        terminal.send(b"\xe9\xc3")
        terminal.read(0.3, 1)
        terminal.send("Q")
        terminal.wait_for("Quit workbench?")
        terminal.send("y")
        assert terminal.ended() == 0
        assert all(byte < 0x80 for byte in terminal.sent), [byte for byte in terminal.sent if byte >= 0x80][
            :20
        ]
