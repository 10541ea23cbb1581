"""The command line as scripts and cron jobs meet it: exit codes, signals, pipes, exports, what changes meanwhile."""

from __future__ import annotations

import json
import os
import pty
import resource
import select
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from tests.driver import ROOT, Command, Ran
from workbench.schemas import load

START = 1_772_300_000_000
MANY = 100_000
ASK = ("--step", "view", "--step", "cart")
SLOW = " OR ".join(f"page || search_term LIKE '%a%{letter}%a%9%_x%'" for letter in "abcdefghij0123456789")
"""A condition that takes seconds over the many terms, and holds for none."""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two events of each of 100,000 people, each with a search term of its own."""
    folder = tmp_path_factory.mktemp("many")
    table = {
        "ts": pa.array(START + 1000 * np.arange(2 * MANY), pa.timestamp("ms", tz="UTC")),
        "event": pa.array(["view", "cart"] * MANY),
        "user_id": pa.array([f"u{place // 2}" for place in range(2 * MANY)]),
        "search_term": pa.array([f"term {place}" for place in range(2 * MANY)]),
        "page": pa.DictionaryArray.from_arrays(np.zeros(2 * MANY, np.int8), ["abcdefghij" * 150]),
    }
    pq.write_table(pa.table(table), folder / "e.parquet")
    return folder


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two million events of one bot among a hundred people."""
    folder = tmp_path_factory.mktemp("bot")
    place = np.arange(2_000_000)
    names = pa.DictionaryArray.from_arrays((place % 4).astype(np.int8), ["view", "cart", "order", "other"])
    people = np.where(place % 50 == 0, 1 + (place // 50) % 100, 0).astype(np.int16)
    users = pa.DictionaryArray.from_arrays(people, ["bot", *[f"u{number}" for number in range(100)]])
    table = {
        "ts": pa.array(START + 1000 * place, pa.timestamp("ms", tz="UTC")),
        "event": names.cast(pa.string()),
        "user_id": users.cast(pa.string()),
    }
    pq.write_table(pa.table(table), folder / "e.parquet")
    return folder


@pytest.fixture
def few(csv: Callable[..., Path]) -> Path:
    return csv(
        [
            ("2026-03-01T10:00:00Z", "view", "u1", "搜索"),
            ("2026-03-01T11:00:00Z", "cart", "u1", "ads"),
            ("2026-03-01T11:00:00Z", "view", "u2", "ads"),
        ],
        header="ts,event,user_id,channel",
    )


@dataclass
class Started:
    """A command that runs, what it says on its terminal, and how much memory it took at its end."""

    process: subprocess.Popen[bytes]
    terminal: int
    said: bytes = b""

    def until(self, words: bytes, seconds: float = 30) -> None:
        """Waits until the progress line says so."""
        deadline = time.monotonic() + seconds
        while words not in self.said:
            assert time.monotonic() < deadline, self.said
            if select.select([self.terminal], [], [], 0.05)[0]:
                self.said += os.read(self.terminal, 65536)

    def end(self, seconds: float = 30) -> tuple[int, float]:
        """Exit code and the seconds it took from now."""
        began = time.monotonic()
        code = self.process.wait(seconds)
        took = time.monotonic() - began
        while select.select([self.terminal], [], [], 0.05)[0]:
            try:
                self.said += os.read(self.terminal, 65536)
            except OSError:
                break
        return code, took


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Starts a command whose standard error is a terminal, where it says how far it is."""
    started: list[Started] = []

    def run(*arguments: str, stdout: int = subprocess.DEVNULL) -> Started:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", f"{DEFAULT_SIGNALS}\nfrom workbench.cli import main; main()", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=theirs,
            cwd=tmp_path,
            env=surroundings(tmp_path, TERM="xterm", COLUMNS="100"),
        )
        os.close(theirs)
        started.append(Started(process, ours))
        return started[-1]

    yield run
    for one in started:
        one.process.kill()
        one.process.wait()
        os.close(one.terminal)


# Whatever runs the tests may have signals ignored, which a process inherits.
DEFAULT_SIGNALS = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""


def surroundings(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_STATE_HOME": str(home / "state")}
    return kept | places | {"PYTHONPATH": str(ROOT)} | more


def injected(home: Path, fault: str, *arguments: str) -> Ran:
    """Runs a command in a process where ``fault``, a piece of Python, was run first."""
    ran = subprocess.run(
        [sys.executable, "-c", f"{fault}\nfrom workbench.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        cwd=home,
        env=surroundings(home),
        timeout=60,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def error_of(ran: Ran) -> dict[str, object]:
    """The one JSON object on stderr, checked against its schema."""
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    told = json.loads(lines[0])
    Draft202012Validator(load("error")).validate(told)
    error: dict[str, object] = told["error"]
    return error


def parts(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


# --- exit codes and documents -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "word", "arguments"),
    [
        (1, "failed", ("events", "--data", "DATA", "--output", "/dev/full")),
        (2, "usage", ("funnel", "--data", "DATA", "--stepp", "view")),
        (2, "usage", ("fnnel",)),
        (2, "usage", ("funnel", "--data", "DATA", *ASK, "--where", "channel =")),
        (2, "usage", ("funnel", "--data", "DATA", *ASK, "--fail-if", "userz > 1")),
        (2, "usage", ("events", "--data", "DATA", "--limit", "-1")),
        (2, "usage", ("-C", "nowhere", "events")),
        (3, "no-data", ("events", "--data", "nothing-there")),
        (3, "no-data", ("events", "--data", "DATA", "--require-data", "--to", "2020-01-01")),
        (3, "no-data", ("events", "--data", "HOLED", "--strict")),
        (4, "timeout", ("events", "--data", "MANY", "--where", SLOW, "--timeout", "300ms")),
    ],
)
def test_every_failure_is_its_code_one_object_and_no_output(
    workbench: Command, few: Path, many: Path, code: int, word: str, arguments: Sequence[str]
) -> None:
    holed = few.with_name("holed.csv")
    holed.write_text("ts,event,user_id\n2026-03-01,view,u1\n,view,u2\n")
    places = {"DATA": str(few), "MANY": str(many), "HOLED": str(holed)}
    ran = workbench(*(places.get(word, word) for word in arguments), "--json")
    assert (ran.code, ran.out) == (code, "")
    error = error_of(ran)
    assert (error["code"], error["exit_code"]) == (word, code)


def test_exit_0_and_5_write_the_answer(workbench: Command, few: Path) -> None:
    asked = ("funnel", "--data", str(few), *ASK, "--json")
    plain = workbench(*asked)
    assert plain.code == 0
    met = workbench(*asked, "--fail-if", "totals.conversion_rate < 0.6")
    assert (met.code, met.out) == (5, plain.out)
    assert error_of(met)["code"] == "fail-if"
    assert workbench(*asked, "--fail-if", "totals.conversion_rate < 0.5").code == 0


def test_every_document_keeps_its_schema(workbench: Command, few: Path, tmp_path: Path) -> None:
    for report, arguments in {
        "funnel": ("funnel", *ASK, "--by", "channel", "--from", "2026-03-01", "--tz", "Asia/Shanghai"),
        "events": ("events", "--last", "1d"),
        "properties": ("properties", "channel", "--top", "1"),
        "users": ("funnel", *ASK, "--users", "dropped:1"),
    }.items():
        file = tmp_path / f"{report}.json"
        ran = workbench(*arguments, "--data", str(few), "--json", "--stats", "--output", str(file))
        assert (ran.code, ran.out) == (0, "")
        answer = json.loads(file.read_text())
        assert answer["report"] == report
        Draft202012Validator(load(report)).validate(answer)
        assert {"seconds", "versions", "rows_in_files"} <= set(json.loads(ran.err))


def test_notes_go_to_standard_error_and_data_alone_to_standard_output(workbench: Command, few: Path) -> None:
    ran = workbench("events", "--data", str(few), "--csv", "--limit", "1")
    assert ran.out.count("\n") == 2
    assert "1 of 2 rows" in ran.err


# --- what changes while it is read ------------------------------------------------------------------------

# The file is changed when the events are folded: after the listing, the people and the newest event were read.
CHANGE = """
import pathlib, queries.funnel as question
file = pathlib.Path("d/e.parquet")
whole = file.read_bytes()
fold, times = question._fold, [0]
def changed(*arguments, **settings):
    times[0] += 1
    {change}
    return fold(*arguments, **settings)
question._fold = changed
"""


def two_people(path: Path, second: str = "u2") -> Path:
    path.parent.mkdir(exist_ok=True)
    stamps = pa.array([START, START + 1000, START], pa.timestamp("ms", tz="UTC"))
    pq.write_table(
        pa.table({"ts": stamps, "event": ["view", "cart", "view"], "user_id": ["u1", "u1", second]}), path
    )
    return path


@pytest.mark.parametrize("name", ["e.parquet", "e[1]*.parquet"])
def test_fault_014_a_file_gone_while_it_is_read_is_listed_anew(tmp_path: Path, name: str) -> None:
    two_people(tmp_path / "d" / name)
    once = "times[0] > 1 or file.rename(file.with_name('f.parquet'))"
    fault = CHANGE.format(change=once).replace("e.parquet", name)
    ran = injected(tmp_path, fault, "funnel", "--data", "d", *ASK, "--json")
    assert [row["users"] for row in ran.json["rows"]] == [2, 1]


def test_fault_016_a_file_cut_while_it_is_read_is_named(tmp_path: Path) -> None:
    two_people(tmp_path / "d" / "e.parquet")
    cut = "file.write_bytes(whole[:200])"
    ran = injected(tmp_path, CHANGE.format(change=cut), "funnel", "--data", "d", *ASK, "--json")
    # What is left of it is no Parquet, and there is no other file.
    assert (ran.code, ran.out) == (3, "")
    assert "e.parquet: incomplete" in str(error_of(ran)["hint"])


def test_fault_015_a_file_renamed_over_is_never_mixed_with_its_successor(tmp_path: Path) -> None:
    two_people(tmp_path / "d" / "e.parquet")
    stamps = pa.array([START, START + 1000], pa.timestamp("ms", tz="UTC"))
    other = pa.table({"ts": stamps, "event": ["view", "cart"], "user_id": ["u9", "u9"]})
    pq.write_table(other, tmp_path / "other.parquet")
    once = "times[0] > 1 or pathlib.Path('other.parquet').rename(file)"
    ran = injected(tmp_path, CHANGE.format(change=once), "funnel", "--data", "d", *ASK, "--json")
    assert [row["users"] for row in ran.json["rows"]] == [1, 1]
    assert ran.json["meta"]["rows_in_scope"] == 2


def test_fault_016_a_file_that_keeps_changing_is_exit_6(tmp_path: Path) -> None:
    two_people(tmp_path / "d" / "e.parquet")
    always = "fresh = file.with_name('x.tmp'); fresh.write_bytes(whole); fresh.replace(file)"
    ran = injected(tmp_path, CHANGE.format(change=always), "funnel", "--data", "d", *ASK, "--json")
    assert (ran.code, ran.out) == (6, "")
    assert error_of(ran)["code"] == "busy"


def test_fault_016_an_answer_is_whole_although_a_file_goes_at_the_end(tmp_path: Path) -> None:
    two_people(tmp_path / "d" / "e.parquet")
    gone = "answer = fold(*arguments, **settings); file.unlink(); return answer"
    ran = injected(tmp_path, CHANGE.format(change=gone), "funnel", "--data", "d", *ASK, "--json")
    assert [row["users"] for row in ran.json["rows"]] == [2, 1]


# --- large answers in little memory -----------------------------------------------------------------------


# The peak since the process began; what getrusage says includes the memory of whoever started it.
PEAK = """
import pathlib, workbench.runner as runner
finish = runner.finish
def told(code):
    status = pathlib.Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    peak = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), "0")
    pathlib.Path("peak").write_text(peak)
    finish(code)
runner.finish = told
"""


def measured(home: Path, *arguments: str) -> tuple[Ran, int]:
    """How a command ended, and the most memory it held, in MiB; 0 where the system does not say."""
    ran = injected(home, PEAK, *arguments)
    return ran, int((home / "peak").read_text()) >> 10


def test_fault_059_a_bot_of_millions_fits_a_small_memory(tmp_path: Path, bot: Path) -> None:
    asked = ("funnel", "--data", str(bot), "--step", "view", "--step", "cart", "--step", "order")
    ran, peak = measured(tmp_path, *asked, "--window", "10s", "--memory", "256MB", "--json")
    # The bot's order of every fourth second is never a person's: their event comes every 5,000 seconds.
    assert [row["users"] for row in ran.json["rows"]] == [51, 1, 1]
    assert ran.json["meta"]["rows_in_scope"] == 2_000_000
    assert peak < 700


def test_fault_060_a_breakdown_of_hundreds_of_thousands_of_values_adds_up(tmp_path: Path, many: Path) -> None:
    asked = ("funnel", "--data", str(many), *ASK, "--by", "search_term", "--top", "3")
    ran, peak = measured(tmp_path, *asked, "--memory", "256MB", "--json")
    rows = ran.json["rows"]
    assert len(rows) == 2 * (1 + 3 + 1)
    for step in (1, 2):
        at = [row for row in rows if row["step"] == step]
        total = [row["users"] for row in at if row["is_total"]]
        assert total == [MANY] == [sum(row["users"] for row in at if not row["is_total"])]
        assert [row["users"] for row in at if row["is_other"]] == [MANY - 3]
    assert peak < 700
    ran, peak = measured(
        tmp_path,
        "properties",
        "search_term",
        "--data",
        str(many),
        "--top",
        "3",
        "--memory",
        "256MB",
        "--json",
    )
    assert [row["events"] for row in ran.json["rows"]] == [1, 1, 1, 2 * MANY - 3]
    assert peak < 700


# --- faults of the program --------------------------------------------------------------------------------


def test_fault_080_097_a_fault_of_ours_is_one_line_and_its_file_holds_no_data(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("ts,event,user_id\n2026-03-01,view,alice@example.com\n")
    fault = """
import queries.catalogue as question
def answer(request, data):
    secret = data.fetch("SELECT user_id FROM source_events")[0][0]
    raise KeyError(secret + "\\x1b[2J")
question.answer = answer
"""
    ran = injected(tmp_path, fault, "events", "--data", "e.csv", "--json")
    assert (ran.code, ran.out) == (1, "")
    assert "alice" not in ran.err
    assert "KeyError" in str(error_of(ran)["message"])
    file = tmp_path / "state" / "workbench" / "last-fault.txt"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written = file.read_text()
    assert "in answer" in written
    assert "alice" not in written


# --- exports ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_fault_083_a_disk_that_takes_no_more_keeps_the_old_file(
    tmp_path: Path, many: Path, format: str
) -> None:
    target = tmp_path / "out" / "answer"
    target.parent.mkdir()
    target.write_text("old")
    arguments = ("funnel", "--data", str(many), *ASK, "--users", "converted", "--format", format)
    ran = subprocess.run(
        [sys.executable, "-m", "workbench", *arguments, "--output", str(target), "--force"],
        capture_output=True,
        text=True,
        env=surroundings(tmp_path),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "cannot write" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert (target.read_text(), parts(target.parent)) == ("old", [])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_fault_083_085_a_full_device_and_a_closed_output_are_one_line(tmp_path: Path, few: Path) -> None:
    for arguments, shell in (
        (("events", "--json"), "> /dev/full"),
        (("events",), ">&-"),
        (("--help",), "> /dev/full"),
        (("completion", "bash"), "> /dev/full"),
    ):
        data = ("--data", str(few)) if arguments[0] == "events" else ()
        command = [sys.executable, "-m", "workbench", *arguments, *data]
        ran = subprocess.run(
            ["sh", "-c", f'exec "$@" {shell}', "sh", *command],
            capture_output=True,
            text=True,
            env=surroundings(tmp_path),
        )
        assert (ran.returncode, ran.stdout) == (1, ""), arguments
        assert "Traceback" not in ran.stderr
        assert 1 <= len(ran.stderr.splitlines()) <= 2, ran.stderr


def test_fault_118_of_two_exports_to_one_file_either_is_whole(tmp_path: Path, many: Path) -> None:
    target = tmp_path / "people.csv"
    command = [
        sys.executable, "-m", "workbench", "funnel", "--data", str(many), *ASK, "--users", "converted", "--csv",
        "--output", str(target), "--force",
    ]  # fmt: skip
    both = [subprocess.Popen(command, env=surroundings(tmp_path)) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    lines = target.read_text().splitlines()
    assert (len(lines), lines[0]) == (MANY + 1, "user,kind")
    assert parts(tmp_path) == []


def test_an_export_goes_nowhere_near_the_data_and_replaces_nothing_unasked(
    workbench: Command, few: Path, tmp_path: Path
) -> None:
    before = few.read_text()
    link = tmp_path / "link.csv"
    link.symlink_to(few)
    for data, target in ((few, few), (few, link), (few.parent, few.parent / "new.csv")):
        ran = workbench("events", "--data", str(data), "--csv", "--output", str(target), "--force")
        assert (ran.code, ran.out) == (2, "")
        assert "data is read" in ran.err
    assert few.read_text() == before
    assert [path.name for path in few.parent.iterdir()] == ["e.csv"]
    (tmp_path / "old.csv").write_text("old")
    ran = workbench("events", "--data", str(few), "--output", str(tmp_path / "old.csv"))
    assert (ran.code, (tmp_path / "old.csv").read_text()) == (2, "old")
    assert "--force" in ran.err


# --- signals and pipes ------------------------------------------------------------------------------------

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_fault_089_090_a_signal_in_a_query_ends_the_command(
    start: Callable[..., Started], many: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    target = tmp_path / "answer.json"
    target.write_text("old")
    command = start(
        "events", "--data", str(many), "--where", SLOW, "--json", "--output", str(target), "--force"
    )
    command.until(b"reading all events once")
    time.sleep(0.4)
    command.process.send_signal(number)
    ended, took = command.end()
    assert ended == code
    assert took < 3.5
    assert (target.read_text(), parts(tmp_path)) == ("old", [])
    assert b"Traceback" not in command.said
    assert b'"exit_code": %d' % code in command.said


@pytest.mark.parametrize(("number", "code"), [*SIGNALS, (signal.SIGKILL, -9)])
def test_fault_090_091_a_signal_in_an_export_leaves_the_old_file(
    start: Callable[..., Started], many: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    target = tmp_path / "people.jsonl"
    target.write_text("old")
    asked = ("funnel", "--data", str(many), *ASK, "--users", "converted", "--output", str(target), "--force")
    command = start(*asked)
    deadline = time.monotonic() + 30
    while not parts(tmp_path):
        assert time.monotonic() < deadline
    command.process.send_signal(number)
    ended, took = command.end()
    assert ended == code
    assert took < 3.5
    assert target.read_text() == "old"
    if number is not signal.SIGKILL:
        assert parts(tmp_path) == []
        return
    (left,) = parts(tmp_path)
    long_ago = time.time() - 4000
    os.utime(tmp_path / left, (long_ago, long_ago))
    assert start(*asked).end()[0] == 0
    assert parts(tmp_path) == []
    assert len(target.read_text().splitlines()) == MANY


def test_fault_089_a_timeout_stops_the_same_query(workbench: Command, many: Path) -> None:
    began = time.monotonic()
    ran = workbench("events", "--data", str(many), "--where", SLOW, "--timeout", "200ms")
    assert (ran.code, ran.out) == (4, "")
    assert "0.2 s" in ran.err
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("format", ["jsonl", "table"])
def test_fault_093_a_reader_that_stops_ends_it_quietly(tmp_path: Path, many: Path, format: str) -> None:
    asked = ("funnel", "--data", str(many), *ASK, "--users", "converted", "--format", format)
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", *asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=surroundings(tmp_path),
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=30)
    # Ended by the signal itself, which a shell reports as 141.
    assert process.returncode in (-signal.SIGPIPE, 141)
    assert err == b""


def test_fault_086_a_blocked_reader_does_not_keep_a_terminated_command(tmp_path: Path, many: Path) -> None:
    asked = ("funnel", "--data", str(many), *ASK, "--users", "converted")
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", *asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=surroundings(tmp_path),
    )
    assert process.stdout is not None
    assert process.stdout.read(1) == b"{"
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert process.wait(20) == 143
    assert time.monotonic() - began < 5
    process.stdout.close()


def test_two_commands_may_stage_the_same_files_at_once(tmp_path: Path, few: Path) -> None:
    command = [sys.executable, "-m", "workbench", "events", "--data", str(few), "--json"]
    outputs: list[bytes] = []

    def run() -> None:
        outputs.append(subprocess.run(command, capture_output=True, env=surroundings(tmp_path)).stdout)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(outputs)) == 1
    assert json.loads(outputs[0])["totals"] == {"events": 3, "users": 2}
