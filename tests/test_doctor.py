"""What doctor finds, and what it never prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import pytest

from queries.question import Result, Scope
from tests.driver import Command
from workbench import __version__, doctor, schemas, self_test
from workbench.engine import Engine
from workbench.errors import QueryFailed
from workbench.limits import Limits
from workbench.runner import Task


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder and folders of its own for the user."""
    for name in ("CACHE", "STATE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("WORKBENCH_SPILL", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def examined(*data: str, **told: object) -> Result:
    return doctor.examine(doctor.DoctorRequest(Scope(data=data), **told), Task())  # type: ignore[arg-type]


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the self-test, which takes its time."""
    monkeypatch.setattr(doctor, "self_test", lambda task: iter(()))


def line(result: Result, check: str) -> dict[str, object]:
    (found,) = [dict(row) for row in result.rows if row["check"] == check]
    return found


def status(result: Result, check: str) -> object:
    return line(result, check)["status"]


def test_versions_paths_limits_and_the_engine(home: Path) -> None:
    found = examined()
    assert line(found, "workbench")["value"] == __version__
    assert line(found, "python")["value"] == ".".join(map(str, sys.version_info[:3]))
    assert line(found, "duckdb")["status"] == "ok"
    assert str(home / "state" / "workbench") in str(line(found, "user state")["value"])
    assert "not there yet" in str(line(found, "user state")["value"])
    for check in ("answers", "reads the data's folders", "reads nothing else", "spills to disk"):
        assert (status(found, check), line(found, check)["value"]) == ("ok", "yes")
    assert found.totals["problem"] == 0
    assert status(found, "workspace") == "warning", "no workspace here is no problem"


def test_the_sort_of_the_self_test_needs_the_disk(tmp_path: Path) -> None:
    with (
        Engine([tmp_path], limits=Limits(self_test.LITTLE_MEMORY, 1, 1 << 20)) as engine,
        pytest.raises(QueryFailed, match="spill"),
    ):
        engine.fetch(self_test.SORT)


def test_an_engine_that_cannot_spill_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    monkeypatch.setenv("WORKBENCH_SPILL", str(tmp_path / "file"))
    found = examined()
    assert (status(found, "spill"), status(found, "opens")) == ("problem", "problem")
    assert found.totals["problem"] == 2
    assert "WORKBENCH_SPILL" in str(line(found, "opens")["advice"])


@pytest.mark.usefixtures("no_engine")
def test_sources_are_counted_and_not_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.csv").write_text("ts,event,user_id\n2026-03-01T10:00:00Z,secretive,u1\n", "utf-8")
    (data / "b.parquet").write_bytes(b"PAR1 and no more")
    found = examined(str(data))
    told = line(found, "data")
    assert (told["status"], told["value"]) == ("warning", "1 csv, 1 parquet, 67 B")
    assert str(told["advice"]).startswith("1 set aside, the first: ")
    assert "secretive" not in str(list(found.rows))
    assert status(examined(str(data / "a.csv")), "data") == "ok"
    assert status(examined(str(tmp_path / "none")), "none") == "problem"


@pytest.mark.usefixtures("no_engine")
def test_a_workspace_that_cannot_be_read_is_a_problem(home: Path) -> None:
    (home / "here" / "workbench.toml").write_text("schema = 99\n", "utf-8")
    found = examined()
    assert status(found, "workspace") == "problem"


@pytest.mark.usefixtures("no_engine")
def test_limits_say_where_they_come_from() -> None:
    found = examined(memory="512MB", memory_from="environment", threads=3, threads_from="option")
    assert line(found, "memory")["value"] == "512 MB (WORKBENCH_MEMORY)"
    assert line(found, "threads")["value"] == "3 (--threads)"
    assert "default" in str(line(examined(), "memory")["value"])
    assert status(examined(memory="a lot"), "memory and threads") == "problem"


@pytest.mark.usefixtures("no_engine")
def test_packages_of_two_parents_are_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    (other / "impostor").mkdir(parents=True)
    (other / "impostor" / "__init__.py").write_text("", "utf-8")
    monkeypatch.syspath_prepend(str(other))
    monkeypatch.setattr(doctor, "OURS", ("workbench", "impostor"))
    found = line(examined(), "one parent")
    assert (found["status"], str(other) in str(found["value"])) == ("problem", True)


@pytest.mark.parametrize(
    ("version", "expected"),
    [("2.0.0", "ok"), ("2.0.9.dev1", "ok"), ("2.1.0", "warning"), ("1.5.5", "warning"), ("10.0", "warning")],
)
def test_fault_122_versions_outside_the_range_are_told(
    version: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.metadata, "version", lambda name: version if name == "duckdb" else "0")
    (found,) = [one for one in doctor._versions() if one.name == "duckdb"]
    assert found.status == expected


def test_a_library_that_is_missing_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise doctor.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "version", missing)
    assert {one.status for one in doctor._versions() if one.name in doctor._LIBRARIES} == {"problem"}


def test_the_ranges_are_those_the_package_asks_for() -> None:
    import re
    import tomllib

    project = tomllib.loads((Path(doctor.__file__).parents[1] / "pyproject.toml").read_text("utf-8"))[
        "project"
    ]
    asked = {}
    for wanted in project["dependencies"]:
        name, least, below = re.fullmatch(r"([a-z0-9_-]+)>=([\d.]+)(?:,<([\d.]+))?", wanted).groups()
        asked[name] = (least, below or "")
    for name, bounds in doctor._LIBRARIES.items():
        assert asked[name] == bounds, name


def test_terminals_that_screens_cannot_use_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    found = {one.name: one for one in doctor._terminal()}
    assert (found["TERM"].status, found["size"].status) == ("warning", "warning")
    assert found["colour"].value == "none: NO_COLOR is set"


def test_folders_say_owner_mode_and_space(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    found = doctor._folder("cache", folder)
    assert (found.status, "owner you, mode 0777" in found.value) == ("warning", True)
    assert " free)" in found.value
    folder.chmod(0o700)
    assert doctor._folder("cache", folder / "below").status == "ok"


def test_no_secret_of_the_environment_is_printed(workbench: Command, tmp_path: Path) -> None:
    secrets = {
        "AWS_SECRET_ACCESS_KEY": "hush-aws",
        "DATABASE_URL": "hush-url",
        "TMUX": "hush-tmux",
        "WORKBENCH_X": "hush",
    }
    ran = workbench("doctor", "--json", cwd=tmp_path, env=secrets)
    assert "hush" not in ran.out + ran.err
    answer = ran.json
    jsonschema.Draft202012Validator(schemas.load("doctor")).validate(answer)
    assert {row["value"] for row in answer["rows"] if row["check"] == "multiplexer"} == {"tmux"}


def test_a_problem_is_exit_1(workbench: Command, tmp_path: Path) -> None:
    ran = workbench("doctor", "--memory", "1", "--json", cwd=tmp_path)
    assert ran.code == 1
    assert json.loads(ran.out)["totals"]["problem"] == 1
    assert json.loads(ran.err.splitlines()[-1])["error"]["message"] == "1 problem found"
