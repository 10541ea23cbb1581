"""Saved reports: what is asked again is what was saved, and a file from anybody passes the same gates."""

from __future__ import annotations

import json
import os
import shlex
import stat
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from queries.catalogue import EventsRequest, PropertiesRequest
from queries.funnel import FunnelRequest, request
from queries.question import PeopleRequest, QuestionError, Request, Result, Scope
from queries.saved import request_of, to_save
from queries.steps import Step
from tests.driver import Command
from tests.in_process import in_process
from workbench import schemas
from workbench.commands.run import complete_report
from workbench.errors import UsageError
from workbench.reports import read, save

EVENTS = """ts,event,user_id,channel
2026-03-01T10:00:00Z,a,u1,ads
2026-03-01T11:00:00Z,b,u1,ads
2026-03-02T10:00:00Z,a,u2,mail
2026-03-03T10:00:00Z,a,u3,ads
2026-03-03T11:00:00Z,b,u3,ads
"""
ASK = ("funnel", "--step", "a", "--step", "b: channel = 'ads'", "--window", "1d", "--step-window", "2=5h")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace with one export."""
    home = tmp_path / "shop"
    (home / "exports").mkdir(parents=True)
    (home / "exports" / "e.csv").write_text(EVENTS)
    (home / "workbench.toml").write_text('schema = 1\n[[source]]\nname = "app"\npath = "exports"\n')
    return home


@pytest.fixture
def inside(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """The command line in this process."""
    return in_process(tmp_path_factory.getbasetemp(), monkeypatch, capsys)


def report(folder: Path, text: str, name: str = "r", head: str = 'schema = 1\nreport = "funnel"\n') -> Path:
    (folder / "reports").mkdir(exist_ok=True)
    path = folder / "reports" / f"{name}.toml"
    path.write_text(head + text)
    return path


STEPS = '[request]\nsteps = ["a", "b"]\n'

# --- saving and asking again -------------------------------------------------------------------------------


def test_run_answers_what_the_saved_question_answers_byte_for_byte(workbench: Command, shop: Path) -> None:
    asked = workbench(*ASK, "--by", "channel", "--json", "--save", "weekly", cwd=shop)
    file = shop / "reports" / "weekly.toml"
    assert "workbench run weekly" in asked.err
    before = file.read_bytes()
    again = workbench("run", "weekly", "--json", cwd=shop)
    assert (again.code, again.out) == (0, asked.out)
    assert again.json["command"].startswith("workbench funnel --step a ")
    assert workbench("run", "reports/weekly.toml", "--users", "dropped:1", cwd=shop).users == ["u2"]
    assert workbench("run", "weekly", "--users", "converted@ads", cwd=shop).users == ["u1", "u3"]
    assert (
        workbench("run", "weekly", "--sql", cwd=shop).out
        == workbench(*ASK, "--by", "channel", "--sql", cwd=shop).out
    )
    assert workbench("run", "weekly", "--fail-if", "totals.converted < 3", cwd=shop).code == 5
    assert file.read_bytes() == before


def test_the_file_holds_what_differs_from_the_defaults_and_its_provenance(
    inside: Command, shop: Path
) -> None:
    assert inside(*ASK, "--save", "weekly", cwd=shop).code == 0
    saved = tomllib.loads((shop / "reports" / "weekly.toml").read_text())
    assert saved["request"] == {
        "steps": ["a", "b: channel = 'ads'"],
        "window": "1d",
        "step_windows": {"2": "5h"},
    }
    assert (saved["schema"], saved["report"]) == (1, "funnel")
    told = saved["provenance"]
    assert isinstance(told.pop("saved_at"), datetime)
    assert told.pop("totals")["converted"] == 2
    assert told == {
        "workbench": "0.1.0",
        "semantics": "1",
        "command": shlex.join(["workbench", *ASK]),
        "as_of": "2026-03-03T11:00:00.000+00:00",
        "timezone": "UTC",
        "rows_in_scope": 5,
        "users": 3,
        "sources": ["app"],
    }


def test_a_list_of_people_and_the_catalogue_are_saved_too(inside: Command, shop: Path) -> None:
    assert inside(*ASK, "--users", "open:1", "--save", "left", cwd=shop).users == []
    assert tomllib.loads((shop / "reports" / "left.toml").read_text())["request"]["users"] == "open:1"
    assert inside("run", "left", cwd=shop).users == []
    assert inside("run", "left", "--users", "reached:2", cwd=shop).users == ["u1", "u3"]
    asked = inside("properties", "channel", "--top", "1", "--save", "渠道 1", "--json", cwd=shop)
    assert tomllib.loads((shop / "reports" / "渠道 1.toml").read_text("utf-8"))["request"] == {
        "name": "channel",
        "top": 1,
    }
    assert inside("run", "渠道 1", "--json", cwd=shop).out == asked.out


def test_a_range_given_goes_before_the_saved_one(inside: Command, shop: Path) -> None:
    inside(*ASK, "--from", "2026-03-01", "--to", "2026-03-01", "--save", "first", cwd=shop)
    assert inside("run", "first", "--json", cwd=shop).json["totals"]["users"] == 1
    last = inside("run", "first", "--last", "2d", "--json", cwd=shop).json
    assert (last["request"]["from"], last["request"]["to"], last["request"]["last"]) == (None, None, "2d")
    assert last["totals"]["users"] == 2
    since = inside("run", "first", "--from", "2026-03-02", "--as-of", "2026-03-02", "--json", cwd=shop).json
    assert (since["request"]["to"], since["totals"]["users"]) == (None, 1)


def test_paths_are_relative_to_the_file(inside: Command, tmp_path: Path, shop: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    asked = (*ASK[:5], "--data", "shop/exports")
    assert inside(*asked, "--save", "x/r.toml", cwd=tmp_path).code == 0
    assert tomllib.loads((tmp_path / "x" / "r.toml").read_text())["request"]["data"] == ["../shop/exports"]
    answer = inside("run", "../r.toml", "--json", cwd=tmp_path / "x" / "y").json
    assert (answer["totals"]["users"], answer["request"]["data"]) == (3, ["../../shop/exports"])
    other = tmp_path / "other.csv"
    other.write_text(EVENTS.splitlines()[0] + "\n2026-03-01T10:00:00Z,a,u1,ads\n")
    named = inside("run", "x/r.toml", "--data", "other.csv", "--json", cwd=tmp_path).json
    assert named["totals"]["users"] == 1
    absolute = (*ASK[:5], "--data", str(other), "--save", "z.toml")
    assert inside(*absolute, cwd=tmp_path).code == 0
    assert tomllib.loads((tmp_path / "z.toml").read_text())["request"]["data"] == [str(other)]


def test_a_report_asks_the_workspace_it_lies_in(inside: Command, tmp_path: Path, shop: Path) -> None:
    report(shop, STEPS)
    out = tmp_path / "out.json"
    assert inside("run", "shop/reports/r.toml", "--output", "out.json", cwd=tmp_path).code == 0
    assert json.loads(out.read_text())["totals"]["users"] == 3


def test_an_existing_report_is_replaced_by_force_alone_and_keeps_its_title(
    inside: Command, shop: Path
) -> None:
    path = report(shop, STEPS, head='schema = 1\nreport = "funnel"\ntitle = "Monday\'s"\n')
    before = path.read_bytes()
    refused = inside(*ASK, "--save", "r", cwd=shop)
    assert (refused.code, refused.out, path.read_bytes()) == (2, "", before)
    assert "--force" in refused.err
    assert inside(*ASK, "--save", "r", "--force", cwd=shop).code == 0
    assert read(path).title == "Monday's"
    assert read(path).request.to_dict()["window"] == "1d"


def test_force_replaces_nothing_but_a_report(inside: Command, shop: Path) -> None:
    newer = report(shop, STEPS, head='schema = 2\nreport = "funnel"\n')
    for name in ("r", "./workbench.toml"):
        before = (newer.read_bytes(), (shop / "workbench.toml").read_bytes())
        ran = inside(*ASK, "--save", name, "--force", cwd=shop)
        assert (ran.code, "is not a report this program can replace" in ran.err) == (2, True)
        assert (newer.read_bytes(), (shop / "workbench.toml").read_bytes()) == before


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "-x", "x ", "a\nb", "x" * 300])
def test_what_is_no_name_is_refused(shop: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.reports import destination

    monkeypatch.chdir(shop)
    with pytest.raises(UsageError, match="is no name"):
        destination(name, force=True)
    assert not (shop / "reports").exists()


def test_nothing_is_saved_without_an_answer(inside: Command, shop: Path, tmp_path: Path) -> None:
    assert inside(*ASK, "--sql", "--save", "r", cwd=shop).code == 2
    (shop / "exports" / "bad.csv").write_text("PAR1")
    assert inside(*ASK, "--strict", "--save", "r", cwd=shop).code == 3
    assert not (shop / "reports").exists()
    assert inside(*ASK, "--fail-if", "step = 1", "--save", "r", cwd=shop).code == 5
    assert (shop / "reports" / "r.toml").is_file()
    outside = inside(*ASK, "--data", "shop/exports", "--save", "r", cwd=tmp_path)
    assert (outside.code, "--save ./r.toml" in outside.err) == (2, True)


# --- the list ----------------------------------------------------------------------------------------------


def test_without_a_name_the_reports_are_listed(inside: Command, shop: Path) -> None:
    assert inside(*ASK, "--save", "weekly", cwd=shop).code == 0
    report(shop, "", "daily", head='schema = 1\nreport = "events"\ntitle = "What came in"\n')
    report(shop, "[request", "broken")
    answer = inside("run", "--json", cwd=shop).json
    Draft202012Validator(schemas.load("reports")).validate(answer)
    rows = [(row["name"], row["report"], row["asks"], row["title"]) for row in answer["rows"]]
    assert rows == [
        ("daily", "events", "", "What came in"),
        ("weekly", "funnel", "a → b: channel = 'ads'  --window 1d --step-window 2=5h", None),
    ]
    assert [note["code"] for note in answer["notes"]] == ["report-unreadable"]
    assert answer["notes"][0]["text"].startswith(f"{shop}/reports/broken.toml:")
    assert inside("run", cwd=shop).out.splitlines()[0].split() == [
        "name",
        "report",
        "asks",
        "saved",
        "title",
    ]
    assert inside("run", "--last", "7d", cwd=shop).code == 2


def test_names_are_completed_and_near_ones_offered(
    inside: Command, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("weekly", "week end", "daily"):
        report(shop, STEPS, name)
    ran = inside("run", "wekly", cwd=shop)
    assert (ran.code, 'did you mean "weekly"?' in ran.err) == (2, True)
    ran = inside("run", "weekly.toml", cwd=shop)
    assert (ran.code, 'did you mean "weekly"' in ran.err) == (2, True)
    monkeypatch.chdir(shop)
    context = click.Context(click.Command("run"))
    found = complete_report(context, click.Argument(["name"]), "w")
    assert [item.value for item in found] == ["weekly"]


# --- files from anybody ------------------------------------------------------------------------------------

UNKNOWN = {
    "top": ('titel = "x"\n' + STEPS, "3:1", "unknown key titel", "title"),
    "request": (STEPS + 'windw = "1d"\n', "5:1", 'unknown key "windw"', "window"),
    "report": ('[request]\nsteps = ["a"]\n', "2:1", "report can't be funel", "funnel"),
}


@pytest.mark.parametrize("case", UNKNOWN.values(), ids=UNKNOWN)
def test_fault_114_unknown_keys_are_refused_where_they_stand(
    tmp_path: Path, case: tuple[str, str, str, str]
) -> None:
    text, place, message, meant = case
    head = 'schema = 1\nreport = "funel"\n' if "funel" in message else 'schema = 1\nreport = "funnel"\n'
    path = report(tmp_path, text, head=head)
    before = path.read_bytes()
    with pytest.raises(UsageError) as caught:
        read(path)
    assert caught.value.message == f"{path}:{place}: {message}"
    assert caught.value.hint == f'did you mean "{meant}"?'
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (
            'schema = 2\nreport = "funnel"\nshape = "of later"\n',
            "written for schema 2; this program reads up to 1",
        ),
        ('schema = 0\nreport = "funnel"\n', "schema must be a whole number from 1 to 1"),
        ('report = "funnel"\n', "schema is missing"),
        ("schema = 1\n", "is no saved report"),
        ('schema = "1"\nreport = "funnel"\n', "schema must be a whole number"),
    ],
)
def test_fault_114_other_layouts_are_refused(tmp_path: Path, head: str, said: str) -> None:
    path = report(tmp_path, STEPS, head=head)
    with pytest.raises(UsageError, match=said):
        read(path)


def test_fault_114_what_provenance_holds_is_kept_whatever_it_is(inside: Command, shop: Path) -> None:
    path = report(shop, STEPS + '[provenance]\nsemantics = "0"\nsaved_at = 7\nby = ["me"]\n')
    before = path.read_bytes()
    answer = inside("run", "r", "--json", cwd=shop).json
    assert answer["notes"][0]["code"] == "semantics-changed"
    assert path.read_bytes() == before
    assert read(path).provenance == {"semantics": "0", "saved_at": 7, "by": ["me"]}
    assert read(path).saved_at is None


MALFORMED = {
    "empty": (b"", ":1:1: is no saved report"),
    "bom": (b"\xef\xbb\xbfschema = 1\n", ":1:1: starts with a byte order mark"),
    "binary": (b"schema = 1\n\xff\n", ":2:1: is not UTF-8"),
    "twice": (b"schema = 1\nschema = 1\n", ":2:"),
    "deep": (b"schema = 1\nx = " + b"[" * 50_000, "nested too deeply"),
    "request": (b'schema = 1\nreport = "funnel"\nrequest = 5\n', ":3:1: request must be a table"),
    "large": (b"#" * 1_000_001, "too large"),
}


@pytest.mark.parametrize("case", MALFORMED.values(), ids=MALFORMED)
def test_fault_115_malformed_reports_are_one_line_each(tmp_path: Path, case: tuple[bytes, str]) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(case[0])
    with pytest.raises(UsageError) as caught:
        read(path)
    assert case[1] in caught.value.message
    assert "\n" not in caught.value.message


WRONG = {
    "steps": ("[request]\nsteps = [1]\n", 4, "steps must be a list of texts"),
    "no steps": ('[request]\nwindow = "1d"\n', 3, "a funnel needs a step"),
    "step": ('[request]\nsteps = ["a:"]\n', 4, "ends after the colon"),
    "window": (STEPS + 'window = "1x"\n', 5, "no duration"),
    "order": (STEPS + 'order = "strct"\n', 5, "order strct"),
    "top": (STEPS + "top = 0\n", 5, "top must be a whole number from 1 on"),
    "mature": (STEPS + "mature = 1\n", 5, "mature must be true or false"),
    "optional": (STEPS + 'optional = ["2"]\n', 5, "optional must be a list of whole numbers"),
    "exclude": (STEPS + 'exclude = ["@1:2"]\n', 5, "lacks an event name"),
    "step_windows": (STEPS + "[request.step_windows]\n2 = 5\n", 5, "step_windows must be a table of texts"),
    "where": (STEPS + "where = true\n", 5, "where must be text"),
    "users": (STEPS + 'users = "reached:9"\n', 5, "the funnel has steps 1 to 2"),
    "pair": (STEPS + 'exclusion = "remove"\n', 3, "needs an --exclude"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_fault_115_wrong_values_are_named_where_they_stand(
    tmp_path: Path, case: tuple[str, int, str]
) -> None:
    path = report(tmp_path, case[0])
    with pytest.raises(UsageError) as caught:
        read(path)
    assert caught.value.message.startswith(f"{path}:{case[1]}:1: ")
    assert case[2] in caught.value.message


def test_fault_115_what_is_no_file(inside: Command, shop: Path) -> None:
    (shop / "reports" / "x.toml").mkdir(parents=True)
    for name, said in (
        ("x", "no report named"),
        ("reports/x.toml", "is a folder"),
        ("y.toml", "no such file"),
    ):
        ran = inside("run", name, cwd=shop)
        assert (ran.code, said in ran.err, len(ran.err.splitlines()) <= 2) == (2, True, True), ran.err


def test_fault_116_a_report_that_everybody_may_change_is_told(inside: Command, shop: Path) -> None:
    path = report(shop, STEPS)
    path.chmod(0o644)
    assert "report-writable" not in inside("run", "r", "--json", cwd=shop).out
    path.chmod(path.stat().st_mode | stat.S_IWOTH)
    answer = inside("run", "r", "--json", cwd=shop).json
    assert answer["notes"][0]["code"] == "report-writable"


def test_fault_116_a_saved_report_is_as_private_as_the_umask_says(inside: Command, shop: Path) -> None:
    before = os.umask(0o077)
    try:
        assert inside(*ASK, "--save", "mine", cwd=shop).code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((shop / "reports" / "mine.toml").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (STEPS + "where = \"read_text('/etc/passwd') = ''\"\n", "r.toml: "),
        (STEPS + 'where = "1 = 1; DROP TABLE events"\n', "r.toml: "),
        (STEPS + 'by = "channel\\" FROM read_csv(\'x\') --"\n', "r.toml: "),
        ('[request]\nsteps = ["a: (SELECT 1) = 1"]\n', "r.toml: "),
    ],
)
def test_no_sql_of_a_report_passes_the_gate(inside: Command, shop: Path, text: str, said: str) -> None:
    path = report(shop, text)
    ran = inside("run", "r", cwd=shop)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"workbench: {path}: ")
    assert len(ran.err.splitlines()) <= 2


def test_an_event_name_of_a_report_is_text_and_no_sql(inside: Command, shop: Path) -> None:
    report(shop, """[request]\nsteps = ["a", "x'); DROP TABLE events; --"]\n""")
    answer = inside("run", "r", "--json", cwd=shop).json
    assert [row["users"] for row in answer["rows"]] == [3, 0]


# --- what is saved is what is read -------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12).filter(
    lambda text: bool(text.strip())
)


def saved_and_read(folder: Path, asked: Request) -> Request:
    result = Result(
        report=asked.report, request=asked, rows=(), totals={"users": 1}, notes=(), meta={}, layout=()
    )
    path = folder / "r.toml"
    save(path, result, force=path.exists())
    return read(path).request


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(words, min_size=1, max_size=3, unique=True),
    condition=st.none() | words,
    by=st.none() | words,
    window=st.none() | st.integers(0, 10**9),
)
def test_any_text_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str],
    condition: str | None,
    by: str | None,
    window: int | None,
) -> None:
    steps = tuple(Step((name,), None if condition is None else condition.strip() or None) for name in names)
    try:
        asked = FunnelRequest(steps=steps, window=window, scope=Scope(by=by, where=condition))
        wanted = request_of("funnel", asked.to_dict())
    except QuestionError:
        return
    assert wanted == asked
    assert saved_and_read(tmp_path_factory.mktemp("r"), asked) == asked


EVERY: list[Request] = [
    EventsRequest(),
    EventsRequest(scope=Scope(since="2026-01-01", until="2026-02-01T10:00", tz="Asia/Shanghai", unit="raw")),
    PropertiesRequest(name="-x.y", scope=Scope(top=3, where="a = 'b' -- \\ \"")),
    request(
        ("a|b: x > 1", '"a|b"', "c"),
        "none",
        Scope(last="7d", as_of="2026-03-01", by="channel", mapping="posthog"),
        step_window=("2=1h", "3=30m"),
        exclude=("z", "y: q = 1@1:2"),
        exclusion="remove",
        optional=(2,),
        at="last",
        trend="week",
    ),
    request(("a", "b"), "2h", Scope(), entry="first", ties="strict", hold="p", range="whole", since="first"),
    request(("a", "b"), "2h", Scope(), order="any", mature=True, compare="previous"),
    PeopleRequest(request(("a", "b"), "7d", Scope()), "dropped:1@x"),
]


@pytest.mark.parametrize("asked", EVERY, ids=range(len(EVERY)))
def test_every_option_comes_back(tmp_path: Path, asked: Request) -> None:
    assert saved_and_read(tmp_path, asked) == asked
    assert request_of(asked.report, asked.to_dict()) == asked


def test_only_what_differs_is_saved() -> None:
    assert to_save(EventsRequest()) == {}
    assert to_save(request(("a",), "7d", Scope())) == {"steps": ["a"]}


def test_bytes_that_are_no_text_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no text"):
        saved_and_read(tmp_path, EventsRequest(scope=Scope(data=("\udcff.csv",))))
    assert list(tmp_path.iterdir()) == []


def test_dates_may_be_written_as_dates(tmp_path: Path) -> None:
    path = report(tmp_path, STEPS + "from = 2026-03-01\nto = 2026-03-02T10:00:00+08:00\n")
    scope = read(path).request.scope
    assert (scope.since, scope.until) == ("2026-03-01", "2026-03-02T10:00:00+08:00")


def test_every_key_of_a_request_can_be_saved() -> None:
    known: dict[str, Any] = {
        "funnel": request(("a",), "7d", Scope()),
        "events": EventsRequest(),
        "properties": PropertiesRequest(),
    }
    for name, asked in known.items():
        assert request_of(name, asked.to_dict()) == asked
