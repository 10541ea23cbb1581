"""The runner's promises: signals, timeouts, answers and exit codes, tried on processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from workbench.errors import Cancelled, QueryFailed, TimedOut
from workbench.runner import HungUp, Interrupted, Task, Terminated, run

ROOT = Path(__file__).parents[2]

# A process as the command line makes it: work on a thread, codes from errors, `finish` at the end. SIGINT and
# SIGHUP get their usual handlers back, since whatever started the tests may have them ignored.
HEAD = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from workbench.errors import WorkbenchError
from workbench import runner
def main(work, **options):
    try:
        print(runner.run(work, **options))
        code = 0
    except WorkbenchError as error:
        print(type(error).__name__, error.message, file=sys.stderr)
        code = error.exit_code
    runner.finish(code)
def ready(task):
    os.write(2, b"ready\\n")
"""
HEAVY = """
from workbench.engine import Engine
def work(task):
    engine = Engine([])
    ready(task)
    return engine.fetch("SELECT count(*) FROM range(30000000000) t(i) WHERE hash(i) % 1000 = 3", None, task)
main(work)
"""
DEAF = """
runner.GRACE_SECONDS = {grace}
def work(task):
    ready(task)
    time.sleep(60)
main(work, timeout_seconds={timeout})
"""


def surroundings(**more: str) -> dict[str, str]:
    # Unbuffered, a write would fail where it is made and leave nothing for the end.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return kept | {"PYTHONPATH": str(ROOT)} | more


def start(program: str, tmp_path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=surroundings(WORKBENCH_SPILL=str(tmp_path)),
    )


def until_ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    assert process.stderr.readline() == b"ready\n"
    time.sleep(0.15)


def outcome(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes, float]:
    """Exit code, stdout, stderr and the seconds it took from now."""
    started = time.monotonic()
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err, time.monotonic() - started


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        pytest.param(signal.SIGINT, 130, b"Interrupted interrupted\n", id="fault_089_sigint"),
        pytest.param(signal.SIGTERM, 143, b"Terminated terminated\n", id="fault_090_sigterm"),
        pytest.param(signal.SIGHUP, 129, b"HungUp the terminal was closed\n", id="fault_090_sighup"),
    ],
)
def test_fault_089_090_a_signal_in_a_query_ends_it(
    tmp_path: Path, number: signal.Signals, code: int, words: bytes
) -> None:
    process = start(HEAVY, tmp_path)
    until_ready(process)
    process.send_signal(number)
    returned, out, err, seconds = outcome(process)
    assert (returned, out, err) == (code, b"", words)
    assert seconds < 1


def test_fault_089_work_that_does_not_stop_is_left_behind(tmp_path: Path) -> None:
    process = start(DEAF.format(grace=0.3, timeout=None), tmp_path)
    until_ready(process)
    process.send_signal(signal.SIGTERM)
    returned, out, err, seconds = outcome(process)
    assert (returned, out) == (143, b"")
    assert b"left behind" in err
    assert 0.25 < seconds < 1.5


def test_fault_089_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    process = start(DEAF.format(grace=30, timeout=None), tmp_path)
    until_ready(process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    returned, out, _, seconds = outcome(process)
    assert (returned, out) == (143, b"")
    assert seconds < 0.5


def test_fault_090_one_wish_sent_twice_is_one_wish(tmp_path: Path) -> None:
    process = start(HEAVY, tmp_path)
    until_ready(process)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert outcome(process)[:3] == (143, b"", b"Terminated terminated\n")


def test_a_timeout_that_is_not_heeded_exits_4(tmp_path: Path) -> None:
    process = start(DEAF.format(grace=0.1, timeout=0.1), tmp_path)
    returned, out, err, _ = outcome(process)
    assert (returned, out) == (4, b"")
    assert b"left behind" in err


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    program = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
def work(task):
    os.kill(os.getpid(), signal.SIGHUP)
    time.sleep(0.15)
    task.check()
    return "went on"
main(work)
"""
    assert outcome(start(program, tmp_path))[:3] == (0, b"went on\n", b"")


def test_the_runner_imports_no_engine(tmp_path: Path) -> None:
    program = "print(sorted({'duckdb', 'numpy', 'pyarrow', 'textual', 'click'} & set(sys.modules)))"
    assert outcome(start(program, tmp_path))[:3] == (0, b"[]\n", b"")


def test_fault_093_a_closed_pipe_is_141(tmp_path: Path) -> None:
    process = start("sys.stdin.read(1); main(lambda task: 'x' * 100)", tmp_path)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    returned, _, err, _ = outcome(process)
    assert (returned, err) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(("code", "expected"), [(0, 1), (3, 3)])
def test_fault_085_a_full_stdout_is_one_line(code: int, expected: int) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", f"from workbench.runner import finish; print('x'); finish({code})"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=surroundings(),
            timeout=30,
        )
    assert done.returncode == expected
    assert done.stderr == b"workbench: could not write the answer: No space left on device\n"


def test_finish_writes_everything_and_waits_for_no_thread(tmp_path: Path) -> None:
    program = """
import threading
threading.Thread(target=time.sleep, args=(60,)).start()
print("x" * 300000)
runner.finish(5)
"""
    returned, out, err, seconds = outcome(start(program, tmp_path))
    assert (returned, out, err) == (5, b"x" * 300_000 + b"\n", b"")
    assert seconds < 10


def test_finish_without_streams(tmp_path: Path) -> None:
    program = "sys.stdout = sys.stderr = None\nrunner.finish(3)"
    assert outcome(start(program, tmp_path))[:3] == (3, b"", b"")


def test_an_answer_comes_back_and_handlers_too() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    where: list[threading.Thread] = []

    def work(task: Task) -> int:
        where.append(threading.current_thread())
        return 42

    assert run(work) == 42
    assert where[0] is not threading.current_thread()
    assert where[0].daemon
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_an_answer_of_none_is_an_answer() -> None:
    assert run(lambda task: None) is None


def test_what_the_work_raises_is_raised() -> None:
    error = QueryFailed("no")

    def work(task: Task) -> None:
        raise error

    with pytest.raises(QueryFailed) as caught:
        run(work)
    assert caught.value is error


def test_a_timeout_cancels_the_work_by_its_task() -> None:
    def work(task: Task) -> None:
        while True:
            task.check()
            time.sleep(0.01)

    started = time.monotonic()
    with pytest.raises(TimedOut, match=r"stopped after 0\.2 s") as caught:
        run(work, timeout_seconds=0.2)
    assert caught.value.exit_code == 4
    assert 0.2 <= time.monotonic() - started < 1


def test_a_signal_to_this_process_cancels_and_the_handler_is_given_back() -> None:
    def work(task: Task) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            task.check()
            time.sleep(0.01)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) as caught:
        run(work)
    assert isinstance(caught.value, Cancelled)
    assert (caught.value.exit_code, caught.value.signal_number) == (143, signal.SIGTERM)
    assert isinstance(caught.value.__cause__, Cancelled)
    assert signal.getsignal(signal.SIGTERM) is before


def test_each_signal_has_its_exit_code() -> None:
    assert [(kind.exit_code, kind.signal_number) for kind in (Interrupted, Terminated, HungUp)] == [
        (130, signal.SIGINT),
        (143, signal.SIGTERM),
        (129, signal.SIGHUP),
    ]


def test_it_works_on_another_thread_and_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work(task: Task) -> str:
        seen.append(signal.getsignal(signal.SIGINT) is before)
        return "answer"

    thread = threading.Thread(target=lambda: seen.append(run(work)))
    thread.start()
    thread.join(5)
    assert seen == [True, "answer"]


def test_progress_is_watched_on_the_calling_thread() -> None:
    seen: list[tuple[float, str, bool]] = []
    looked = threading.Semaphore(0)

    def work(task: Task) -> None:
        for step in range(4):
            task.report(step / 4, f"step {step}")
            while (step / 4, f"step {step}", True) not in seen:
                assert looked.acquire(timeout=5)

    def look(task: Task) -> None:
        if task.progress is not None:
            seen.append((task.progress, task.what, threading.current_thread() is here))
        looked.release()

    here = threading.current_thread()
    run(work, on_progress=look)
    assert {(step / 4, f"step {step}", True) for step in range(4)} <= set(seen)
    assert [fraction for fraction, _, _ in seen] == sorted(fraction for fraction, _, _ in seen)


def test_a_watcher_that_fails_stops_the_work() -> None:
    stopped = threading.Event()

    def work(task: Task) -> None:
        try:
            while True:
                task.check()
                time.sleep(0.01)
        finally:
            stopped.set()

    def look(task: Task) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run(work, on_progress=look)
    assert stopped.wait(2)
