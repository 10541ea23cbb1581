"""What the screens cost on the line and in time, measured on the program in a terminal of its own.

Bytes and loaded modules are asserted; milliseconds are printed, and held only far above what they are.
"""

from __future__ import annotations

import random
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
import pytest

from tests.screens.pty_driver import _UNKNOWN_TO_PYTE, Terminal, environment, python
from workbench.demo import write_demo

EVENTS = 20_000
PATIENCE_SECONDS = 20.0
HEAVY = ("duckdb", "pyarrow", "numpy", "sqlglot", "plotext")
WATCHED = f"""
import sys, threading
log = open(sys.argv.pop(1), "w", buffering=1)
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r} and threading.current_thread() is threading.main_thread():
            log.write(name + "\\n")
sys.meta_path.insert(0, Watch())
from workbench.cli import main
main()
"""
SLOW = """
import time
from workbench.session import Session
real = Session.over
def over(self, scope, task, question, *, anew=False):
    found = real(self, scope, task, question, anew=anew)
    for step in range(25 if anew else 0):
        task.report(step / 25, "reading")
        time.sleep(0.1)
    return found
Session.over = over
from workbench.cli import main
main()
"""
WORKBENCH = "from workbench.cli import main; main()"
SCREENS = [("1", "funnel"), ("6", "users"), ("7", "check"), ("8", "events"), ("9", "identity")]
Test = Callable[[str], bool]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("budgets") / "shop"
    write_demo(folder, events=EVENTS)
    return folder


class Line:
    """The program at the other end of a line, every byte of which is counted."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._taken = 0
        self._screen = pyte.Screen(*terminal.size)
        self._stream = pyte.ByteStream(self._screen)

    def resize(self, columns: int, rows: int) -> None:
        """Makes the window another size, and waits for the picture of it."""
        before = len(self.terminal.sent)
        self._screen.resize(rows, columns)
        self.terminal.resize(columns, rows)
        self.until(lambda _: len(self.terminal.sent) > before + 1_000)
        self.rest()

    def look(self) -> str:
        """The picture as it is now; only what came since the last look is drawn."""
        self.terminal.read(0.01, at_most=0.1)
        new, self._taken = self.terminal.sent[self._taken :], len(self.terminal.sent)
        self._stream.feed(_UNKNOWN_TO_PYTE.sub(b"", new))
        return "\n".join(row.rstrip() for row in self._screen.display)

    def until(self, true: Test, what: str = "it") -> float:
        """Waits for the wanted picture; how many seconds that took."""
        began = time.monotonic()
        while not true(shown := self.look()):
            assert time.monotonic() < began + PATIENCE_SECONDS, f"{what} never showed:\n{shown}"
        return time.monotonic() - began

    def rest(self, quiet: float = 0.12) -> None:
        """Waits until nothing more comes."""
        self.terminal.read(quiet)
        self.look()

    def cost(self, keys: str, true: Test) -> int:
        """The bytes that come after some keys, until the picture is the wanted one and nothing more comes."""
        before = len(self.terminal.sent)
        self.terminal.send(keys)
        self.until(true, f"what {keys!r} shows")
        self.rest()
        return len(self.terminal.sent) - before

    def seconds(self, keys: str, true: Test) -> float:
        """How long it takes until the picture is the wanted one."""
        self.terminal.send(keys)
        taken = self.until(true, f"what {keys!r} shows")
        self.rest()
        return taken


@contextmanager
def line(
    folder: Path, size: tuple[int, int] = (80, 24), *arguments: str, code: str = WORKBENCH
) -> Iterator[Line]:
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    command = python(code, *arguments)
    with Terminal(command, size=size, env=environment(home), cwd=folder) as terminal:
        one = Line(terminal)
        one.until(at_rest("overview"))
        one.rest(0.4)
        yield one


def at_rest(screen: str, what: str = "as of") -> Test:
    """Whether a screen is in front, its answer there and nothing running."""
    return lambda text: (
        text.lstrip().startswith(screen)
        and any(what in row for row in text.splitlines()[-3:])
        and "running" not in text
    )


def place(text: str) -> Test:
    """Whether the status line ends with a place among the rows."""
    return lambda shown: any(row.endswith(f" {text}") for row in shown.splitlines()[-3:])


def boxed(shown: str) -> bool:
    return "╭" in shown


def unboxed(shown: str) -> bool:
    return "╭" not in shown


def walk(one: Line) -> dict[str, int]:
    """What each kind of key costs; begins and ends on the overview."""
    return {
        "move: overview": one.cost("j", place("2/10")),
        "move: back": one.cost("k", place("1/10")),
        "popup: help": one.cost("?", boxed),
        "popup: help closes": one.cost("q", unboxed),
        "popup: commands": one.cost(":", boxed),
        "popup: commands close": one.cost("\x1b", unboxed),
        "screen: funnel": one.cost("1", at_rest("funnel")),
        "move: funnel": one.cost("j", place("2/4")),
        "move: funnel, back": one.cost("k", place("1/4")),
        "popup: range": one.cost("t", boxed),
        "popup: range closes": one.cost("\x1b", unboxed),
        "line: the form in hand": one.cost("\t", lambda shown: "▸" in shown),
        "line: another field": one.cost("j", lambda shown: "▸" in shown),
        "line: the table in hand": one.cost("\x1b", lambda shown: "▸" not in shown),
        "screen: users": one.cost("6", at_rest("users")),
        "move: users": one.cost("j", lambda shown: " 2/" in shown),
        "move: a mark": one.cost(" ", lambda shown: " 3/" in shown),
        "page: down": one.cost("\x1b[6~", lambda shown: " 3/" not in shown),
        "page: up": one.cost("\x1b[5~", lambda shown: " 3/" in shown),
        "move: users, back": one.cost("k", lambda shown: " 2/" in shown),
        "move: to the top": one.cost("k", lambda shown: " 1/" in shown),
        "popup: quit?": one.cost("Q", boxed),
        "popup: stays": one.cost("n", unboxed),
        "screen: overview": one.cost("0", at_rest("overview")),
    }


def assert_within_budgets(size: tuple[int, int], costs: dict[str, int]) -> None:
    for name, cost in costs.items():
        print(f"{size[0]}x{size[1]} {name:32} {cost:7,} B")
    area = size[0] * size[1] / 10_000
    budgets = {
        "start": 5_000 + 12_000 * area,
        "move": 230,
        "line": 1_500 + 4_000 * area,
        "page": 1_500 + 6_000 * area,
        "popup": 3_000 + 14_000 * area,
        "screen": 3_000 + 9_000 * area,
    }
    over = {name: cost for name, cost in costs.items() if not 0 < cost <= budgets[name.partition(":")[0]]}
    assert over == {}


def test_a_key_costs_no_more_than_its_budget(shop: Path) -> None:
    with line(shop, (80, 24)) as one:
        costs = {"start": len(one.terminal.sent), **walk(one)}
        assert_within_budgets((80, 24), costs)
        assert costs["popup: help"] < 10_000
        one.resize(200, 50)
        assert_within_budgets((200, 50), walk(one))


def test_for_slow_lines_a_key_costs_less(shop: Path) -> None:
    with line(shop, (80, 24), "open", "--low-bandwidth") as one:
        costs = {"start": len(one.terminal.sent), **walk(one)}
        sent = one.terminal.sent
    assert_within_budgets((80, 24), costs)
    assert max(cost for name, cost in costs.items() if name.startswith("move")) <= 160
    assert b"8;2;" not in sent


def test_a_screen_sends_nothing_at_rest_and_loads_nothing_heavy_where_it_draws(
    shop: Path, tmp_path: Path
) -> None:
    log = tmp_path / "imports"
    with line(shop, (80, 24), str(log), code=WATCHED) as one:
        for key, name in (*SCREENS, ("1", "funnel")):
            one.cost(key, at_rest(name))
            assert one.terminal.read(1.1, at_most=1.1) == b"", name
        for key in (":", "?", "t", "x"):
            one.cost(key, boxed)
            assert one.terminal.read(0.4, at_most=0.4) == b"", key
            one.cost("\x1b", unboxed)
    assert log.read_text().split() == []


def test_the_status_line_of_a_question_that_runs_sends_its_own_part_four_times_a_second(shop: Path) -> None:
    with line(shop, code=SLOW) as one:
        one.terminal.send("R")
        one.until(lambda shown: "running" in shown)
        one.terminal.read(0.3, at_most=0.3)
        began, updates = time.monotonic(), []
        while time.monotonic() < began + 1.5:
            if came := one.terminal.read(0.05, at_most=0.1):
                updates.append(len(came))
    seconds = time.monotonic() - began
    print(f"{len(updates)} updates in {seconds:.1f} s, {sum(updates)} B, the largest {max(updates)} B")
    assert 1 <= len(updates) <= 4 * seconds + 1
    # A screen's old answer goes on standing there; what is told changes by a few signs.
    assert max(updates) <= 200


def test_what_changed_leaves_the_picture_that_a_whole_paint_gives(shop: Path) -> None:
    chance = random.Random(11)
    keys = ["j", "k", "l", "h", "G", "0", "1", "6", "?", ":", "t", "q", "\x1b[B", "\t", "\x1b[6~", " ", "s"]
    with line(shop) as one:
        for _ in range(5):
            for key in chance.choices(keys, k=6):
                one.terminal.send(key)
                one.terminal.read(0.1)
            one.until(lambda shown: "running" not in shown)
            one.rest(0.4)
            before = picture(one.terminal)
            # Continued from outside, it draws everything anew.
            began = len(one.terminal.sent)
            one.terminal.signal(signal.SIGCONT)
            while len(one.terminal.sent) < began + 1_500:
                one.terminal.read(0.05)
            one.rest(0.4)
            assert picture(one.terminal) == before


def picture(terminal: Terminal) -> list[list[tuple[object, ...]]]:
    """The cells as an eye sees them: a blank has no colour of its own."""
    screen = pyte.Screen(*terminal.size)
    after = terminal.sent.rpartition(b"\x1b[?1049h")[2]
    pyte.ByteStream(screen).feed(_UNKNOWN_TO_PYTE.sub(b"", after))
    return [[_seen(screen.buffer[y][x]) for x in range(screen.columns)] for y in range(screen.lines)]


def _seen(cell: pyte.screens.Char) -> tuple[object, ...]:
    lined = cell.reverse or cell.underscore
    return (cell.data, cell.bg, lined, *(() if cell.data == " " and not lined else (cell.fg, cell.bold)))


def test_how_long_it_takes(shop: Path, record_property: Callable[[str, object], None]) -> None:
    home = shop.parent / "home"
    home.mkdir(exist_ok=True)
    times: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        times.setdefault(name, []).append(1000 * seconds)

    for _ in range(3):
        began = time.monotonic()
        with Terminal([sys.executable, "-m", "workbench"], env=environment(home), cwd=shop) as terminal:
            one = Line(terminal)
            one.until(lambda shown: "running" in shown)
            note("first paint", time.monotonic() - began)
            one.until(at_rest("overview"))
            note("first answer", time.monotonic() - began)
            one.rest()
            note("a popup", one.seconds("?", boxed))
            one.cost("q", unboxed)
            note("a screen, first", one.seconds("1", lambda shown: shown.lstrip().startswith("funnel")))
            one.until(at_rest("funnel"))
            note("a screen, again", one.seconds("0", at_rest("overview")))
            one.cost("1", at_rest("funnel"))
            note(
                "a funnel asked again",
                one.seconds("<", lambda shown: "window 3d" in shown and at_rest("funnel")(shown)),
            )
    limits = {
        "first paint": 2_000,
        "first answer": 15_000,
        "a popup": 400,
        "a screen, first": 400,
        "a screen, again": 400,
    }
    medians = {name: round(statistics.median(each)) for name, each in times.items()}
    for name, milliseconds in medians.items():
        record_property(name, milliseconds)
        print(f"{name:24} {milliseconds:6,} ms")
    assert [name for name, limit in limits.items() if medians[name] > limit] == []
