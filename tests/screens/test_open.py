"""``workbench`` and ``workbench open`` in a terminal of their own, and where there is none."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.driver import ROOT, Command
from tests.screens.pty_driver import Terminal, environment, python

Csv = Callable[[Sequence[Sequence[object]]], Path]
ROWS = [("2026-03-01T10:00:00Z", "view", "u1"), ("2026-03-01T10:05:00Z", "order", "u1")]
HEAVY = {"duckdb", "pyarrow", "numpy", "sqlglot", "plotext"}
HINT = "hint: the command line answers the same questions: `workbench --help` lists them"
WATCHED = f"""
import sys, threading
log = open(sys.argv.pop(1), "w", buffering=1)
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in {HEAVY!r}:
            main = threading.current_thread() is threading.main_thread()
            log.write(f"{{name}} {{'main' if main else 'worker'}}\\n")
sys.meta_path.insert(0, Watch())
from workbench.cli import main
main()
"""
BUSY = """
import sys
from workbench.session import Session
def engine(self, scope, task, question, *, anew=False):
    from workbench.engine import Engine
    with Engine([]) as made:
        made.fetch("SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b", None, task)
def stuck(self, scope, task, question, *, anew=False):
    import time
    time.sleep(60)
def broken(self, scope, task, question, *, anew=False):
    raise ValueError("value-of-a-person")
Session.over = {"engine": engine, "stuck": stuck, "broken": broken}[sys.argv.pop(1)]
from workbench.cli import main
main()
"""


@pytest.fixture
def shop(csv: Csv, tmp_path: Path) -> Path:
    """A folder with a workspace over two events."""
    csv(ROWS)
    (tmp_path / "workbench.toml").write_text('schema = 1\n[[source]]\nname = "s"\npath = "data/*.csv"\n')
    return tmp_path


@pytest.fixture
def screens(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts the program in a terminal; arguments as on the command line."""
    home = tmp_path / ".home"
    home.mkdir()
    opened: list[Terminal] = []

    def start(*arguments: str, cwd: Path, code: str | None = None, **more: object) -> Terminal:
        env = environment(home, **more.pop("env", {}))  # type: ignore[arg-type]
        command = [sys.executable, "-m", "workbench"] if code is None else python(code)
        opened.append(Terminal([*command, *arguments], cwd=cwd, env=env, **more))  # type: ignore[arg-type]
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.__exit__(None, None, None)


Start = Callable[..., Terminal]


@pytest.mark.parametrize(
    "arguments", [(), ("open",), ("open", "{shop}"), ("open", "{shop}/workbench.toml"), ("-C", "{shop}")]
)
def test_it_opens_the_workspace(
    screens: Start, shop: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    elsewhere = tmp_path / ".home"
    given = [each.format(shop=shop) for each in arguments]
    terminal = screens(*given, cwd=elsewhere if "{shop}" in "".join(arguments) else shop)
    shown = terminal.wait_for(shop.name)
    assert shown.splitlines()[0].startswith(" overview")
    terminal.send("Q")
    terminal.wait_for("Quit")
    terminal.send("y")
    assert terminal.ended() == 0
    assert terminal.is_as_before()


def test_it_opens_straight_over_files(screens: Start, csv: Csv, tmp_path: Path) -> None:
    csv(ROWS)
    terminal = screens("open", "data/e.csv", cwd=tmp_path)
    assert terminal.wait_for("data/e.csv").splitlines()[0].startswith(" overview")


def test_without_a_workspace_it_offers_what_there_is(screens: Start, csv: Csv, tmp_path: Path) -> None:
    csv(ROWS)
    terminal = screens(cwd=tmp_path)
    terminal.wait_for("data/")
    terminal.wait_for("the demo shop")


def test_the_demo_opens_on_a_terminal(screens: Start, tmp_path: Path) -> None:
    terminal = screens("demo", "shop", "--events", "5000", cwd=tmp_path)
    assert terminal.wait_for("shop").splitlines()[0]
    terminal.wait_until(lambda shown: shown.startswith(" overview"))
    terminal.send("Q")
    terminal.wait_for("Quit")
    terminal.send("y")
    assert terminal.ended() == 0
    assert "workbench -C shop funnel" in terminal.text()


def test_the_demo_is_only_written_when_asked_so(screens: Start, tmp_path: Path) -> None:
    terminal = screens("demo", "shop", "--events", "5000", "--no-open", cwd=tmp_path)
    assert terminal.ended(30) == 0
    assert b"\x1b[?1049h" not in terminal.sent
    assert "workbench -C shop funnel" in terminal.text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("open", "nowhere.csv"), 3, "no data at"),
        (("open", "data", "nowhere.csv"), 3, "no data at"),
        (("open", "empty"), 3, "no data at"),
        (("open", "junk.bin"), 3, "junk.bin"),
        (("open", ""), 2, "empty"),
        (("open", "--mapping", "x"), 2, "--mapping"),
        (("open", "data", "--mapping", "nowhere.toml"), 2, "nowhere.toml"),
        (("open", "broken"), 2, "workbench.toml"),
        (("open", "data", "--memory", "lots"), 2, "lots"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_opened_is_said_before_the_screen(
    screens: Start, csv: Csv, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    csv(ROWS)
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk.bin").write_bytes(b"\x00\x01\x02" * 50)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "workbench.toml").write_text("schema = \n")
    terminal = screens(*arguments, cwd=tmp_path, size=(300, 24))
    assert terminal.ended() == code
    assert b"\x1b[?" not in terminal.sent
    first, *rest = terminal.text().splitlines()
    assert first.startswith("workbench: ") and said in first
    assert all(line.startswith("hint: ") for line in rest) and len(rest) <= 1


def test_fault_098_sizes_that_are_too_small_and_a_storm_of_them(screens: Start, tmp_path: Path) -> None:
    terminal = screens(cwd=tmp_path)
    terminal.wait_for("no data files")
    before = terminal.wait_for("Q quit")
    for columns, rows in [(20, 5), (1, 1), (500, 200), (60, 14), (2, 300), (300, 2), (59, 40), (80, 24)]:
        terminal.resize(columns, rows)
        terminal.read(0.01)
    terminal.resize(40, 10)
    terminal.wait_for("too small: 60x15")
    terminal.resize(80, 24)
    terminal.wait_until(lambda shown: shown == before, what="the screen as it was")
    terminal.send("j")
    terminal.wait_for("✓ j k")


@pytest.mark.parametrize("term", ["dumb", "unknown", "", None])
def test_fault_099_a_terminal_that_understands_nothing(screens: Start, shop: Path, term: str | None) -> None:
    env = ["env", *([f"TERM={term}"] if term is not None else ["-u", "TERM"])]
    command = [*env, sys.executable, "-m", "workbench"]
    for arguments in ((), ("open",)):
        with Terminal([*command, *arguments], cwd=shop, env=environment(shop), size=(120, 24)) as terminal:
            assert terminal.ended() == 2
            told = term or "empty"
            assert terminal.sent.decode().split("\r\n") == [
                f"workbench: screens need a terminal that TERM names, and it is {told}",
                HINT,
                "",
            ]


@pytest.mark.parametrize(("name", "called"), [("stdin", "input"), ("stdout", "output"), ("stderr", "error")])
def test_fault_099_a_stream_that_is_no_terminal(screens: Start, shop: Path, name: str, called: str) -> None:
    with (shop / "stream").open("w+") as stream:
        terminal = screens("open", cwd=shop, streams={name: stream}, size=(120, 24))
        assert terminal.ended() == 2
        said = terminal.text() if name != "stderr" else (shop / "stream").read_text().strip()
        assert said.splitlines() == [
            f"workbench: screens need a terminal, and standard {called} is none",
            HINT,
        ]
        assert b"\x1b" not in terminal.sent


def test_fault_099_closed_streams(shop: Path) -> None:
    for redirection in ("<&-", ">&-", "2>&-"):
        command = f"exec {sys.executable} -m workbench open {redirection}"
        with Terminal(["sh", "-c", command], cwd=shop, env=environment(shop)) as terminal:
            assert terminal.ended() == 2
            assert b"\x1b" not in terminal.sent


def test_without_a_terminal_alone_prints_help(workbench: Command, shop: Path) -> None:
    ran = workbench(cwd=shop)
    assert ran.code == 0
    assert ran.out.startswith("Usage: workbench") and ran.err == ""
    assert workbench("--help", cwd=shop).out == ran.out


@pytest.mark.parametrize(
    "env",
    [{"NO_COLOR": "1"}, {"TERM": "xterm", "COLORTERM": ""}, {"TERM": "vt100", "COLORTERM": ""}],
    ids=str,
)
def test_fault_100_nothing_is_said_by_colour_alone(
    screens: Start, csv: Csv, tmp_path: Path, env: dict[str, str]
) -> None:
    csv(ROWS)
    terminal = screens(cwd=tmp_path, env=env)
    terminal.wait_for("data/")
    terminal.send("j")
    is_plain = env.get("TERM") == "vt100"
    shown = terminal.wait_for("ok j k" if is_plain else "✓ j k")
    assert re.search(r"^ > data/" if is_plain else r"^ ▸ data/", shown, re.MULTILINE)
    if "NO_COLOR" in env:
        # Grey is no colour: red, green and blue are alike.
        colours = re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", terminal.sent)
        assert all(len(set(each)) == 1 for each in colours)


def test_fault_101_a_terminal_of_another_encoding_gets_plain_signs(screens: Start, tmp_path: Path) -> None:
    terminal = screens("open", "--ascii", cwd=tmp_path)
    assert terminal.wait_for("the demo shop").isascii()


def test_fault_105_all_of_it_without_a_mouse(screens: Start, csv: Csv, tmp_path: Path) -> None:
    csv(ROWS)
    terminal = screens("open", "--low-bandwidth", cwd=tmp_path)
    terminal.wait_for("data/")
    assert not terminal.modes() & {1000, 1002, 1003, 1006, 1015}
    terminal.send("j")
    terminal.wait_for("✓ j k")
    terminal.send("?")
    terminal.wait_for("help: start")
    terminal.send("\x1b")
    terminal.wait_until(lambda shown: "help: start" not in shown)
    terminal.send("\r")
    terminal.wait_until(lambda shown: shown.startswith(" overview"))


@pytest.mark.parametrize("work", ["engine", "stuck"])
@pytest.mark.parametrize("way", ["Q", "signal"])
def test_quitting_while_a_question_runs(screens: Start, shop: Path, work: str, way: str) -> None:
    terminal = screens(work, cwd=shop, code=BUSY)
    terminal.wait_for("running")
    terminal.read(0.5, at_most=0.5)
    if way == "Q":
        terminal.send("Q")
        terminal.wait_for("Quit")
    began = time.monotonic()
    if way == "Q":
        terminal.send("y")
    else:
        terminal.signal(signal.SIGTERM)
    assert terminal.ended() == (0 if way == "Q" else 143)
    assert time.monotonic() - began < 1
    assert terminal.is_as_before()


@pytest.mark.parametrize("ignored", [False, True], ids=["hang-up", "nohup"])
def test_fault_095_a_dropped_line_while_a_question_runs(screens: Start, shop: Path, ignored: bool) -> None:
    def nohup() -> None:
        if ignored:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    terminal = screens("engine", cwd=shop, code=BUSY, before=nohup)
    terminal.wait_for("running")
    terminal.hang_up()
    assert terminal.process.wait(2) == 129


def test_fault_097_a_fault_on_the_worker_leaves_the_screens_alive(screens: Start, shop: Path) -> None:
    terminal = screens("broken", cwd=shop, code=BUSY, size=(200, 24))
    terminal.wait_for("this is a fault of workbench: ValueError")
    terminal.send("?")
    terminal.wait_for("help: overview")
    assert b"value-of-a-person" not in terminal.sent


@pytest.mark.parametrize("over", ["start", "workspace"])
def test_nothing_heavy_on_the_way_to_the_first_paint(
    screens: Start, shop: Path, tmp_path: Path, over: str, record_property: Callable[[str, object], None]
) -> None:
    log = tmp_path / ".home" / "imports"
    folder, mark = (shop, b"overview") if over == "workspace" else (tmp_path / ".home", b"the demo shop")
    if over == "start":
        (shop / "workbench.toml").unlink()
    began = time.monotonic()
    terminal = screens(str(log), cwd=folder, code=WATCHED)
    while mark not in terminal.sent and time.monotonic() < began + 20:
        terminal.read(0.005)
    milliseconds = round(1000 * (time.monotonic() - began))
    record_property("first_paint_ms", milliseconds)
    print(f"first paint after {milliseconds} ms")
    terminal.read(1.0)
    loaded = [line.split() for line in log.read_text().splitlines()]
    # What draws the picture loads none of it; the worker does, for the question it asks.
    assert [name for name, thread in loaded if thread == "main"] == []
    assert ("duckdb" in {name for name, _ in loaded}) is (over == "workspace")


def test_help_knows_the_screens_without_loading_them() -> None:
    code = (
        "import sys\n"
        "from workbench.cli import cli\n"
        "cli.main(['open', '--help'], standalone_mode=False)\n"
        "print({'textual', 'rich', 'duckdb', 'numpy'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout.startswith("Usage: ")
    assert ran.stdout.splitlines()[-1] == "set()"
