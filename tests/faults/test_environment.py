"""The program where hosts differ: limits, no network, no environment, read-only folders, odd settings and clocks."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.driver import ROOT, Command, Ran

START = 1_772_300_000_000


def run_as(
    arguments: list[str],
    *,
    cwd: Path,
    env: dict[str, str],
    before: tuple[str, ...] = (),
    limit: Callable[[], None] | None = None,
) -> Ran:
    """The command with exactly this environment; ``before`` are words put before it, as ``unshare -n``."""
    ran = subprocess.run(
        [*before, sys.executable, "-m", "workbench", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        preexec_fn=limit,
        timeout=60,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace over one CSV file, with a name that is not ASCII."""
    folder = tmp_path / "shop"
    folder.mkdir()
    rows = "2026-03-01T10:00:00Z,浏览,u1\n2026-03-01T11:00:00Z,cart,u1\n"
    (folder / "e.csv").write_text("ts,event,user_id\n" + rows, "utf-8")
    (folder / "workbench.toml").write_text('schema = 1\n[[source]]\nname = "shop"\npath = "e.csv"\n')
    return folder


@pytest.fixture
def homes(tmp_path: Path) -> dict[str, str]:
    return {
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "home" / "cache"),
        "XDG_STATE_HOME": str(tmp_path / "home" / "state"),
        "PATH": os.environ["PATH"],
    }


ASKED = ["funnel", "--step", "浏览", "--step", "cart"]


# --- E: limits and network --------------------------------------------------------------------------------


def many_files(folder: Path, count: int) -> None:
    folder.mkdir()
    for place in range(count):
        stamp = pa.array([START + place], pa.timestamp("ms", tz="UTC"))
        table = {"ts": stamp, "event": ["view"], "user_id": [f"u{place}"]}
        pq.write_table(pa.table(table), folder / f"{place:03d}.parquet")


def test_fault_086_few_open_files_suffice_or_are_named(tmp_path: Path, homes: dict[str, str]) -> None:
    many_files(tmp_path / "d", 300)
    for most in (16, 64, 256):
        ran = run_as(
            ["events", "--data", "d", "--json"],
            cwd=tmp_path,
            env=homes,
            limit=lambda most=most: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)),  # type: ignore[misc]
        )
        if ran.code == 0:
            # Never fewer files than there are.
            assert ran.json["totals"] == {"events": 300, "users": 300}
        else:
            assert (ran.code, ran.out) == (1, "")
            error = json.loads(ran.err)["error"]
            assert "more files are open at once" in error["message"]
            assert "ulimit -n" in error["hint"]
    assert ran.code == 0, "256 open files are enough for any number"


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds on Linux")
@pytest.mark.parametrize("mebibytes", [300, 500, 1000])
def test_fault_086_too_little_address_space_is_one_clear_line(
    workspace: Path, homes: dict[str, str], mebibytes: int
) -> None:
    size = mebibytes << 20
    ran = run_as(
        ["events"],
        cwd=workspace,
        env=homes,
        limit=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
    )
    assert (ran.code, ran.out) == (1, "")
    said = [line for line in ran.err.splitlines() if line.startswith(("workbench:", "hint:"))]
    assert len(said) == 2, ran.err
    assert "memory" in said[0] or "library" in said[0]
    assert "ulimit -v" in said[1]
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--threads", "100000"), ("--threads", "0"), ("--memory", "9999TB"), ("--memory", "1KB")],
)
def test_fault_086_limits_past_all_measure_are_refused(
    workbench: Command, workspace: Path, option: str, value: str
) -> None:
    ran = workbench("events", option, value, "--json", cwd=workspace)
    assert (ran.code, ran.out) == (2, "")
    assert option in json.loads(ran.err)["error"]["message"]


def has(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run([*command, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not has("unshare", "-n"), reason="needs the right to make a network namespace")
def test_fault_088_no_network_is_needed(workspace: Path, homes: dict[str, str]) -> None:
    for arguments in (ASKED, ["events"], ["properties"]):
        with_network = run_as([*arguments, "--json"], cwd=workspace, env=homes)
        without = run_as([*arguments, "--json"], cwd=workspace, env=homes, before=("unshare", "-n"))
        assert without.code == 0, without.err
        assert without.out == with_network.out


def test_fault_088_no_connection_is_tried(workspace: Path, homes: dict[str, str]) -> None:
    # Python's own sockets, seen by its audit hook; the engine's are refused by its settings (other tests).
    hook = """
import sys
def seen(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        raise SystemExit(f"tried {event} {arguments}")
sys.addaudithook(seen)
from workbench.cli import main
main()
"""
    ran = subprocess.run(
        [sys.executable, "-c", hook, *ASKED],
        cwd=workspace,
        env={"PYTHONPATH": str(ROOT), **homes},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert "tried" not in ran.stderr


# --- F: no terminal, encodings, no environment ------------------------------------------------------------


def test_fault_099_without_a_terminal_there_is_help_and_no_escape(
    workspace: Path, homes: dict[str, str]
) -> None:
    for more in ({"TERM": "dumb"}, {"TERM": "xterm-256color", "FORCE_COLOR": "1"}):
        ran = run_as([], cwd=workspace, env={**homes, **more})
        assert ran.code == 0
        assert ran.out.startswith("Usage: workbench")
        assert "funnel" in ran.out
        assert "\x1b" not in ran.out + ran.err
        table = run_as(ASKED, cwd=workspace, env={**homes, **more})
        assert table.code == 0, table.err
        assert "\x1b" not in table.out + table.err


@pytest.mark.parametrize(
    ("more", "escaped"),
    [
        ({"LC_ALL": "C"}, False),
        ({"PYTHONIOENCODING": "latin-1"}, True),
        ({"PYTHONIOENCODING": "gbk"}, False),
    ],
    ids=["C", "latin-1", "gbk"],
)
def test_fault_101_any_encoding_of_the_terminal(
    workspace: Path, homes: dict[str, str], more: dict[str, str], escaped: bool
) -> None:
    environment = {**homes, **more}
    encoding = more.get("PYTHONIOENCODING", "utf-8")
    table = run_as(ASKED, cwd=workspace, env=environment)
    assert table.code == 0, table.err
    shown = table.out.encode("utf-8", "surrogateescape").decode(encoding)
    assert ("\\u6d4f\\u89c8" if escaped else "浏览") in shown
    as_json = run_as(["events", "--json"], cwd=workspace, env=environment)
    assert {row["event"] for row in as_json.json["rows"]} == {"浏览", "cart"}
    refused = run_as(["funnel", "--step", "浏览: 金额 > 1"], cwd=workspace, env=environment)
    assert (refused.code, refused.out) == (2, "")
    assert "Traceback" not in refused.err


@pytest.mark.parametrize("before", [(), ("env", "-i")], ids=["little", "nothing"])
def test_fault_102_an_empty_environment(workspace: Path, tmp_path: Path, before: tuple[str, ...]) -> None:
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{QUIET}",
        *ASKED,
        "--json",
    ]
    # Its home would be that of the account; only the folder for spilling and caches is given.
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    ran = subprocess.run(
        [*before, *command], cwd=workspace, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert [row["users"] for row in answer["rows"]] == [1, 1]
    assert answer["meta"]["timezone"] == "UTC"


QUIET = "from workbench.cli import main; main()"


# --- G: folders, settings, clocks, versions ---------------------------------------------------------------


@pytest.mark.skipif(not has("unshare", "-m"), reason="needs the right to mount a folder read-only")
def test_fault_109_a_read_only_workspace_has_its_cache_elsewhere(
    workspace: Path, homes: dict[str, str]
) -> None:
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd "$0" && exec "$@"'
    before = ("unshare", "-m", "sh", "-c", script, str(workspace))
    ran = run_as([*ASKED, "--json"], cwd=workspace, env=homes, before=before)
    assert [row["users"] for row in ran.json["rows"]] == [1, 1]
    assert sorted(path.name for path in workspace.iterdir()) == ["e.csv", "workbench.toml"]
    assert list(Path(homes["XDG_CACHE_HOME"]).rglob("staged/*.parquet"))
    init = run_as(["init", "e.csv", "--force"], cwd=workspace, env=homes, before=before)
    assert (init.code, init.out) == (1, "")
    assert "read-only" in init.err
    assert len(init.err.splitlines()) <= 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the mounted folder above tests it")
def test_fault_109_modes_444_and_555(workspace: Path, homes: dict[str, str]) -> None:
    (workspace / "workbench.toml").chmod(0o444)
    workspace.chmod(0o555)
    try:
        ran = run_as([*ASKED, "--json"], cwd=workspace, env=homes)
    finally:
        workspace.chmod(0o755)
    assert ran.code == 0, ran.err
    assert not (workspace / ".workbench").exists()


def test_fault_109_the_data_folder_is_never_written_to(
    workbench: Command, workspace: Path, tmp_path: Path
) -> None:
    data = tmp_path / "exports"
    data.mkdir()
    shutil.copy(workspace / "e.csv", data)
    before = data.stat().st_mtime_ns
    for arguments in (ASKED, ["events"], ["properties"]):
        assert workbench(*arguments, "--data", str(data)).code == 0
    assert [path.name for path in data.iterdir()] == ["e.csv"]
    assert data.stat().st_mtime_ns == before


GOOD = b'schema = 1\n[[source]]\nname = "a"\npath = "e.csv"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"schema = ", ":1:10:"),
        (b"schema = 1\nschema = 1\n", ":2:11:"),
        (b"", "[[source]]"),
        (b"\xef\xbb\xbf" + GOOD, ":1:1:"),
        (b"schema = 99\n", "99"),
        (b"\xff\xfe", "workbench.toml"),
        (GOOD + b'zon = "UTC"\n', "zon"),
        (GOOD + b'zone = "Asia/Shanghia"\n', "Asia/Shanghai"),
        (GOOD + b'[roles]\nsarch = "x"\n', "search"),
        (GOOD.replace(b"e.csv", b"\x1b[2J"), "workbench.toml"),
    ],
)
def test_fault_113_115_a_faulty_workspace_is_exit_2_with_its_place(
    workbench: Command, workspace: Path, text: bytes, words: str
) -> None:
    (workspace / "workbench.toml").write_bytes(text)
    ran = workbench("events", "--json", cwd=workspace)
    assert (ran.code, ran.out) == (2, "")
    error = json.loads(ran.err)["error"]
    said = f"{error['message']} {error['hint']}"
    assert words in said
    assert "workbench.toml" in said
    assert "\x1b" not in said


def test_fault_115_a_folder_in_the_place_of_the_file(workbench: Command, workspace: Path) -> None:
    (workspace / "workbench.toml").unlink()
    (workspace / "workbench.toml").mkdir()
    ran = workbench("events", "--json", cwd=workspace)
    assert (ran.code, ran.out) == (2, "")
    assert "folder" in ran.err


# A wall clock that goes back or forward by half a year at every look.
CLOCK = """
import itertools, time
true, jump = time.time, itertools.cycle([{jumps}])
time.time = lambda: true() + next(jump) * 180 * 86400
from workbench.cli import main
main()
"""


def test_fault_117_a_clock_that_jumps_changes_no_answer(workspace: Path, homes: dict[str, str]) -> None:
    outputs = set()
    for jumps in ("0", "1, -0.1, 2", "0.5, 0"):
        command = [sys.executable, "-c", CLOCK.format(jumps=jumps), *ASKED, "--last", "1d", "--json"]
        ran = subprocess.run(
            [*command, "--timeout", "30s"],
            cwd=workspace,
            env={"PYTHONPATH": str(ROOT), **homes},
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        outputs.add(ran.stdout)
    assert len(outputs) == 1
    assert json.loads(outputs.pop())["meta"]["as_of"] == "2026-03-01T11:00:00.000+00:00"


def test_fault_119_120_the_host_changes_no_byte(
    workspace: Path, homes: dict[str, str], tmp_path: Path
) -> None:
    outputs = set()
    for place, (zone, seed, locale) in enumerate(
        [("UTC", "0", "C.UTF-8"), ("Asia/Shanghai", "1", "C"), ("America/New_York", "2", "de_DE.UTF-8")]
    ):
        more = {"TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": locale, "COLUMNS": str(40 + place)}
        for arguments in (["properties", "--json"], [*ASKED, "--by", "event"]):
            ran = run_as(arguments, cwd=workspace, env={**homes, **more})
            assert ran.code == 0, ran.err
            outputs.add((arguments[0], ran.out))
    assert len(outputs) == 2


def test_fault_121_amounts_are_whole_minor_units_on_any_number_of_threads(
    workbench: Command, tmp_path: Path
) -> None:
    # A tenth that no float holds, 100,000 rows in ten row groups: compared as floats, 0.3 might be none of them.
    count = 100_000
    amounts = [((place * 7919) % 1000) / 10 for place in range(count)]
    table = {
        "ts": pa.array([START + place for place in range(count)], pa.timestamp("ms", tz="UTC")),
        "event": ["order"] * count,
        "user_id": [f"u{place % 1000}" for place in range(count)],
        "amount": amounts,
    }
    (tmp_path / "d").mkdir()
    pq.write_table(pa.table(table), tmp_path / "d" / "e.parquet", row_group_size=10_000)
    outputs = set()
    for threads in ("1", "2"):
        asked = (
            "funnel",
            "--step",
            "order: amount = 0.3",
            "--step",
            "order: amount >= 99.9",
            "--by",
            "amount",
        )
        ran = workbench(*asked, "--data", "d", "--threads", threads, "--json", cwd=tmp_path)
        assert ran.json["rows"][0]["users"] > 0
        outputs.add(ran.out)
    assert len(outputs) == 1


def test_fault_122_what_is_installed_lies_in_the_declared_ranges() -> None:
    from packaging.requirements import Requirement

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    requirements = [Requirement(text) for text in declared]
    for requirement in requirements:
        assert requirement.specifier.contains(version(requirement.name)), str(requirement)
    pinned = {"duckdb", "textual", "sqlglot", "click"}
    bounded = {one.name for one in requirements if any(part.operator == "<" for part in one.specifier)}
    assert pinned <= bounded
