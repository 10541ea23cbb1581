"""Holds `--who`: the people it chooses are those of a rule evaluated apart, and it chooses nothing else."""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from queries import rules
from queries.expression import LONGEST
from queries.funnel import answer, request
from queries.question import QuestionError, Scope
from tests.driver import Command, Ran
from tests.in_process import in_process
from tests.oracles.people_rules import (
    HOSTILE,
    HOUR,
    START,
    Event,
    people_of,
    random_events,
    random_rule,
)
from workbench.dataset import Dataset
from workbench.limits import limits
from workbench.runner import Task
from workbench.workspace import load

MAPPED = (
    "ts", "event", "user_id", "anonymous_id", "sequence", "channel", "amount", "quantity",
)  # fmt: skip
ZONES = ("UTC", "Asia/Shanghai", "America/New_York")


def written(folder: Path, events: list[Event], toml: str = "", name: str = "e.ndjson") -> Path:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(one, ensure_ascii=False) for one in events]
    (folder / "data" / name).write_text("\n".join(lines) + "\n", "utf-8")
    present = [one for one in MAPPED if one in events[0]]
    mapped = "".join(f'{one} = "{one}"\n' for one in present)
    (folder / "workbench.toml").write_text(
        'schema = 1\n[[source]]\nname = "e"\npath = "data"\n[source.time]\nunit = "ms"\n'
        f"[source.map]\n{mapped}{toml}"
    )
    return folder


def over(folder: Path, scope: Scope) -> Dataset:
    return Dataset(load(folder / "workbench.toml"), scope, Task(), limits(None, 1))


def chosen(dataset: Dataset, sql: str) -> set[str]:
    return {str(row[0]) for row in dataset.fetch(f"SELECT id FROM people WHERE person IN (\n{sql}\n)")}


# --- against the rule evaluated apart -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_who_is_chosen_equals_the_rule_evaluated_apart(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    events = random_events(rng, people=14, count=90)
    alike, raw, zone = seed % 2 == 1, seed == 4, ZONES[seed % 3]
    if alike:
        events += [dict(one) for one in rng.sample(events, 20)]
    written(tmp_path, events, '[dedup]\nrule = "row"\n' if alike else "")
    cut = START + 60 * HOUR if seed > 2 else None
    as_of = None if cut is None else "2026-03-08T08:00Z"
    dataset = over(tmp_path, Scope(tz=zone, as_of=as_of, unit="raw" if raw else "user"))
    survey = dataset.survey()
    people = people_of(events, as_of=cut, zone=zone, raw=raw, alike=alike)
    assert survey.people == len(people)
    assert survey.as_of == next(iter(people.values())).as_of
    ground = rules.Ground(dataset.schema, zone, survey.as_of)
    verdicts: dict[object, int] = {}
    for _ in range(30):
        rule = random_rule(rng)
        met = {name: rule.meaning(person) for name, person in people.items()}
        expected = {name for name, verdict in met.items() if verdict is True}
        assert chosen(dataset, rules.compile_rule(rule.text, ground)) == expected, rule.text
        for verdict in met.values():
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
    assert min(verdicts.get(verdict, 0) for verdict in (True, False, None)) > 5


def test_ranges_filters_and_units_do_not_change_who_is_chosen(tmp_path: Path) -> None:
    events = random_events(random.Random(11), people=14, count=90)
    written(tmp_path, events)
    people = people_of(events, as_of=None, zone="UTC", raw=False, alike=False)
    expected = {
        name for name, person in people.items() if sum(one["event"] == "B" for one in person.events) > 1
    }
    assert 0 < len(expected) < len(people)
    who = "did('B') > 1"
    # Scope → whether an event, at UTC ms, is in it; all of them written apart.
    scopes: list[tuple[Scope, Callable[[Event, int, int], bool]]] = [
        (Scope(who=who), lambda one, at, as_of: True),
        (
            Scope(who=who, since="2026-03-08", where="channel = 'x' AND event = 'A'"),
            lambda one, at, as_of: at >= 1_772_928_000_000 and one["channel"] == "x",
        ),
        (Scope(who=who, last="30h", unit="session"), lambda one, at, as_of: at > as_of - 30 * HOUR),
        (
            Scope(who=who, until="2026-03-06", unit="channel"),
            lambda one, at, as_of: at < 1_772_841_600_000 and one["channel"] is not None,
        ),
    ]
    for scope, is_inside in scopes:
        dataset = over(tmp_path, scope)
        as_of = dataset.survey().as_of or 0
        assert chosen(dataset, "SELECT person FROM chosen_people") == expected
        result = answer(request(["A"], "1h", scope), dataset)
        assert result.people is not None
        inside = {name for name, _ in dataset.ids_of(result.people.codes("reached:1"))}
        assert inside == {
            name
            for name in expected
            if any(
                one["event"] == "A" and is_inside(one, int(str(one["ts"])), as_of)
                for one in people[name].events
            )
        }
        assert inside


@pytest.mark.parametrize("unit", ["user", "raw", "session", "quantity"])
def test_the_people_of_every_cell_are_chosen_ones(tmp_path: Path, unit: str) -> None:
    events = random_events(random.Random(5), people=16, count=110)
    written(tmp_path, events)
    people = people_of(events, as_of=None, zone="UTC", raw=unit == "raw", alike=False)
    names = {name for name, person in people.items() if all(one["event"] != "C" for one in person.events)}
    assert 0 < len(names) < len(people)
    scope = Scope(who="did('C') = 0", unit=unit, by="properties.tag")
    dataset = over(tmp_path, scope)
    result = answer(request(["A", "B"], "2d", scope), dataset)
    assert result.people is not None
    seen = set()
    for row in result.rows:
        tag = "" if row["is_total"] else f"@{row['breakdown'] or '(none)'}"
        for what in ("reached", "dropped", "open"):
            if what == "reached" or row["step"] == 1:
                codes = result.people.codes(f"{what}:{row['step']}{tag}")
                found = {name for name, _ in dataset.ids_of(codes)}
                assert found <= names
                seen |= found
    assert seen == {
        name
        for name in names
        for one in people[name].events
        if one["event"] == "A" and (unit != "quantity" or one["quantity"] is not None)
    }


def test_a_comparison_divides_the_chosen_people(run: Callable[..., Ran], tmp_path: Path) -> None:
    listed = tmp_path / "listed.txt"
    listed.write_text("first_x\nlast_x\nhostile\n")
    ask = ("funnel", "--step", "B", "--compare", str(listed), "--who", "channel = 'x'")
    counts = [row["users"] for row in run(*ask, "--json").json["rows"]]
    assert counts == [2, 1, 1]
    assert run(*ask, "--users", "reached:1", "--jsonl").users == ["last_x", "never_a"]
    assert run(*ask, "--users", f"reached:1@{listed}", "--jsonl").users == ["last_x"]
    assert run(*ask, "--users", "reached:1@(others)", "--jsonl").users == ["never_a"]


# --- what a rule means ---------------------------------------------------------------------------------------

SHOP: list[Event] = [
    {"ts": START, "event": "A", "user_id": "first_x", "channel": "x", "amount": 33.37},
    {"ts": START + HOUR, "event": "B", "user_id": "first_x", "channel": "y", "amount": 33.36},
    {"ts": START, "event": "A", "user_id": "last_x", "channel": "y", "amount": 0.1},
    {"ts": START + HOUR, "event": "B", "user_id": "last_x", "channel": "x", "amount": 0.2},
    {"ts": START, "event": "B", "user_id": "never_a", "channel": "x", "amount": None},
    {"ts": START, "event": HOSTILE, "user_id": "hostile", "channel": None, "amount": None},
    {"ts": START, "event": "订单", "user_id": "café", "channel": None, "amount": None},
]
EVERYBODY = {"first_x", "last_x", "never_a", "hostile", "café"}
BOTH = {"first_x", "last_x"}
MEANS: list[tuple[str, set[str]]] = [
    ("did('A') = 0", EVERYBODY - BOTH),
    ("did('nobody did this') = 0", EVERYBODY),
    ("NOT did('A') > 0", EVERYBODY - BOTH),
    # Where a property is read: of the person, its latest known value; of an event, that event's own.
    ("channel = 'x' AND did('A') > 0", {"last_x"}),
    ("did('A: channel = ''x''') > 0", {"first_x"}),
    ("channel <> 'x'", {"first_x"}),
    ("channel IS NULL", {"hostile", "café"}),
    # The total of nothing is not 0.
    ("total_of('A|B', 'amount') < 50", {"last_x"}),
    ("coalesce(total_of('A|B', 'amount'), 0) < 50", EVERYBODY - {"first_x"}),
    ("total_of('A|B', 'amount') IN (66.73, 0.3)", BOTH),
    ("total_of('A|B', 'AMOUNT') = 0.3", {"last_x"}),
    ("avg_of('A|B', 'amount') = 0.15", {"last_x"}),
    ("distinct_of('A|B', 'channel') = 0", {"hostile", "café"}),
    ("first_did('A') IS NULL", EVERYBODY - BOTH),
    ("hour(first_did('B')) = 20", {"never_a"}),
    ("first_did('B') > first_did('A')", BOTH),
    ("did('A') / did('B') = 1", BOTH),
    ("sequence('A', 'B', within => '1h')", BOTH),
    ("sequence('A', 'B', within => '59m')", set()),
    ("sequence('A', 'A')", set()),
    ("sequence('A', 'B', within => 'none') = FALSE", EVERYBODY - BOTH),
    ("did('x'') OR 1=1 --') = 1", {"hostile"}),
    ("did('订单') = 1 AND user_id = 'café'", {"café"}),
    ("DID('A', LAST => '1w',) = 1", BOTH),
    ("\"did\"('\"A\"') = 1", BOTH),
    ("TRUE", EVERYBODY),
    ("FALSE", set()),
]  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("shop"), SHOP)


@pytest.fixture(scope="module")
def asked(shop: Path) -> Dataset:
    dataset = over(shop, Scope())
    dataset.survey()
    return dataset


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path
) -> Callable[..., Ran]:
    command = in_process(tmp_path, monkeypatch, capsys)
    return lambda *arguments: command(*arguments, cwd=shop)


def ground_of(dataset: Dataset) -> rules.Ground:
    return rules.Ground(dataset.schema, "UTC", dataset.survey().as_of)


@pytest.mark.parametrize(("text", "people"), MEANS, ids=[text for text, _ in MEANS])
def test_what_a_rule_means(asked: Dataset, text: str, people: set[str]) -> None:
    assert chosen(asked, rules.compile_rule(text, ground_of(asked))) == people


def test_amounts_and_other_numbers_add_up_alike_in_any_order_of_the_rows(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows: list[Event] = [
        {"ts": START + place, "event": "A", "user_id": "u", "amount": 0.1, "score": rng.random() * 10**power}
        for place, power in enumerate(rng.choices(range(9), k=300))
    ]
    sums = set()
    for turn in range(3):
        rng.shuffle(rows)
        for part in range(3):
            written(tmp_path / str(turn), rows[part * 100 : part * 100 + 100], name=f"{part}.ndjson")
        dataset = over(tmp_path / str(turn), Scope())
        ground = ground_of(dataset)
        assert chosen(dataset, rules.compile_rule("total_of('A', 'amount') = 30", ground)) == {"u"}
        assert chosen(dataset, rules.compile_rule("avg_of('A', 'amount') = 0.1", ground)) == {"u"}
        sql = rules.compile_rule("total_of('A', 'score') > avg_of('A', 'score')", ground)
        measured = sql[: sql.index("\nSELECT measured.person")]
        sums.add(repr(dataset.fetch(f"{measured}\nSELECT * EXCLUDE (person) FROM measured")))
    assert len(sums) == 1


def test_a_missing_sequence_comes_first(tmp_path: Path) -> None:
    rows: list[Event] = [
        {"ts": START, "event": "A", "user_id": "u", "sequence": 1, "channel": "late"},
        {"ts": START, "event": "A", "user_id": "u", "sequence": None, "channel": "early"},
    ]
    dataset = over(written(tmp_path, rows), Scope())
    ground = ground_of(dataset)
    assert chosen(dataset, rules.compile_rule("channel = 'late'", ground)) == {"u"}
    # Both events match step 1, so only their sequence orders them.
    for last, found in (("late", {"u"}), ("early", set())):
        sql = rules.compile_rule(f"sequence('A', 'A: channel = ''{last}''')", ground)
        assert chosen(dataset, sql) == found


def test_the_size_is_printed_and_is_what_every_report_counts(run: Callable[..., Ran]) -> None:
    sizes = []
    for rule in ("channel = 'x'", "NOT (channel = 'x')", "(channel = 'x') IS NULL"):
        said = set()
        for report in (("events",), ("properties",), ("properties", "channel"), ("funnel", "--step", "B")):
            found = run(*report, "--who", rule, "--json").json
            said.add(found["meta"]["users"])
            (note,) = (note for note in found["notes"] if note["code"] == "who")
            assert note["text"] == f"--who chooses {found['meta']['users']} of 5 people"
            assert note["count"] == found["meta"]["users"]
        sizes += said
    assert sizes == [2, 1, 2]


def test_an_event_that_nobody_did_is_told_with_the_nearest_name(run: Callable[..., Ran]) -> None:
    ran = run("events", "--who", "did('a: channel = ''x''') = 0 AND did('B') >= 0", "--json")
    assert [(n["level"], n["text"]) for n in ran.json["notes"] if n["code"] == "event-never-seen"] == [
        ("warning", 'no event is named "a" (--who); did you mean "A"?')
    ]
    assert ran.json["meta"]["users"] == 5


def test_identity_is_over_everybody(run: Callable[..., Ran]) -> None:
    ran = run("identity", "--who", "did('A') > 0")
    assert ran.code == 2
    assert "--who: people are made from everything" in ran.err


# --- the gate ------------------------------------------------------------------------------------------------

# Rule → a part of the message, a part of the hint.
REFUSED: list[tuple[str, str, str]] = [
    ("", "empty", "weixin"),
    ("did('A')", "is a number, not a rule", "did("),
    ("first_did('A')", "is a time, not a rule", "did("),
    ("channel", "is text, not a rule", "did("),
    ("NULL", "is nothing, not a rule", "did("),
    ("did('A') > 0 AND chanel = 'x'", 'unknown property "chanel" (character 18)', '"channel"'),
    ("did('A: chanel = 1') > 0", 'did(): unknown property "chanel"', '"channel"'),
    ("didd('A') > 0", 'unknown function "didd" in a rule', 'did you mean "did"'),
    ("count(*) > 0", '"count" is no function of a rule', "rules have did"),
    ("sum(amount) > 0", '"sum" is no function of a rule', "total_of"),
    ("count(DISTINCT channel) > 0", '"count" is no function of a rule', "distinct_of"),
    ("list(channel) = 'x'", "function", "did"),
    ("did('A') OVER () > 1", "window function", "an expression"),
    ("did('A') FILTER (WHERE TRUE) > 1", "not part of an expression", "compare"),
    ("EXISTS(SELECT 1)", "subquery", "compare"),
    ("channel IN (SELECT 'x')", "subquery", "compare"),
    ("did((SELECT 'A')) > 0", "text in single quotes", "did("),
    ("did('A', last => (SELECT '1d')) > 0", "text in single quotes", "did("),
    ("SELECT 1", "cannot read", "quotes"),
    ("did('A') > 0; DROP TABLE events", '";"', "one condition"),
    ("did('A') > 0 UNION SELECT 1", "cannot read", "quotes"),
    ("did('A') > 0 -- and so on", "comment", "leave it out"),
    ("did('A') /* or */ > 0", "comment", "leave it out"),
    ("did('A: channel = ''x'' -- y') > 0", "did(): a comment", "leave it out"),
    ("did('A: channel IN (SELECT 1)') > 0", "did(): a subquery", "compare"),
    ("did('A: did(''B'') > 0') > 0", 'did(): unknown function "did"', "coalesce"),
    ("read_csv('/etc/passwd') > 0", 'unknown function "read_csv" in a rule', "did"),
    ("now() > ts", 'unknown function "now" in a rule', "did"),
    ("ts > current_timestamp", "clock", "write the date"),
    ("getenv('HOME') = 'x'", 'unknown function "getenv"', "did"),
    ("did() > 0", "did() takes an event", "did("),
    ("did('A', 'B') > 0", "did() takes an event", "last =>"),
    ("did(last => '7d') > 0", "did() takes an event", "did("),
    ("did(A) > 0", "what did() is about is a text in single quotes", "did('"),
    ('did("A") > 0', "what did() is about is a text in single quotes", "did('"),
    ("did(NULL) > 0", "text in single quotes", "did("),
    ("did(1) > 0", "text in single quotes", "did("),
    ("did('A' || 'B') > 0", "text in single quotes", "did("),
    ("did(lower('A')) > 0", "text in single quotes", "did("),
    ("did(DISTINCT 'A') > 0", "text in single quotes", "did("),
    ("did(*) > 0", "text in single quotes", "did("),
    ("did(['A']) > 0", "text in single quotes", "did("),
    ("did(x -> x) > 0", "text in single quotes", "did("),
    ("did($$A$$) > 0", "text in single quotes", "did("),
    ("did(?) > 0", '"?"', "as they are"),
    ("did($1) > 0", '"$"', "as they are"),
    ("did('') > 0", "lacks an event name", "EVENT"),
    ("did('A:') > 0", "ends after the colon", "condition"),
    ("did('A|A') > 0", "twice", "did("),
    ("did('\"A') > 0", "does not close it", "did("),
    ("did('A', lsat => '7d') > 0", 'did() has no "lsat"', '"last"'),
    ("did('A', within => '7d') > 0", 'did() has no "within"', "last, since, until"),
    ("did('A', last = '7d') > 0", "text in single quotes", "last =>"),
    ("did('A', last := '7d') > 0", "text in single quotes", "last =>"),
    ("did('A', last => 7) > 0", "last of did() is a text in single quotes", "'30d'"),
    ("did('A', last => '7x') > 0", "did(): no duration", "7d"),
    ("did('A', last => '0d') > 0", "holds nothing", "7d"),
    ("did('A', last => '7d', last => '8d') > 0", "given last twice", "once"),
    ("did(last => '7d', 'A') > 0", "comes last", "did('order_paid', last"),
    ("did('A', last => '7d', since => '2026-01-01') > 0", "did(): last and since or until", "one of them"),
    ("did('A', since => 'soon') > 0", 'did(): since "soon"', "2026-03-01"),
    ("did('A', until => '2026-02-30') > 0", 'did(): until "2026-02-30": no such date', "day"),
    ("did('A', since => '2026-03-02', until => '2026-03-01') > 0", "is not before", "since"),
    ("sequence('A')", "sequence() takes two to ten events", "sequence("),
    (f"sequence({', '.join(['$A$'] * 11)})".replace("$", "'"), "two to ten", "sequence("),
    ("sequence('A', 'B', last => '7d')", 'no "last"', "within"),
    ("sequence('A', 'B', within => 'soon')", "sequence(): no duration", "7d"),
    ("sequence('A', 'B') > 1", "neither larger nor smaller", "="),
    ("total_of('A') > 0", "an event and a property", "total_of("),
    ("total_of('A', amount) > 0", "text in single quotes", "did("),
    ("total_of('A', 'amuont') > 0", 'total_of(): unknown property "amuont"', '"amount"'),
    ("total_of('A', 'channel') > 0", 'total_of(): "channel" is text, not a number', "amount"),
    ("avg_of('A', 'ts') > 0", "is a time, not a number", "amount"),
    ("avg_of('A', 'amount > 1') > 0", "is a condition, not a number", "amount"),
    ("total_of('A', 'did(''A'')') > 0", 'unknown function "did"', "there are"),
    ("distinct_of('A', 'sum(amount)') > 0", "adds up events", "one event"),
    ("did('A') > 'x'", "compared with a number and is none", ""),
    ("did('A') = TRUE", "compared with true or false", ""),
    ("first_did('A') > 5", "time is compared with a number", "2026-03-01"),
    ("did('A').x > 0", "unknown function", "there are"),
    ("measure_0 > 0 AND did('A') > 0", 'unknown property "measure_0"', "properties"),
    ("measured.person = 0", "unknown property", "properties"),
    ("person = 0", 'unknown property "person"', "properties"),
    ("did('\0') > 0", "NUL", ""),
    ("did('\udcff') > 0", "not valid Unicode", ""),
    ("did('A') > 0 AND channel = 'x", "cannot read", "quote"),
    ("(" * 25 + "did('A') > 0" + ")" * 25, "nested too deeply", ""),
    ("NOT " * 200 + "did('A') > 0", "nested too deeply", ""),
    ("did('" + "x" * LONGEST + "') > 0", "characters", ""),
    ("\x1b[2J = did('A')", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message", "hint"), REFUSED, ids=[repr(one[0])[:50] for one in REFUSED])
def test_what_is_refused_says_why_in_one_line(asked: Dataset, text: str, message: str, hint: str) -> None:
    with pytest.raises(QuestionError) as caught:
        rules.compile_rule(text, ground_of(asked))
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    for line in (caught.value.message, caught.value.hint or ""):
        assert line.isprintable() and len(line) < 500


@pytest.mark.parametrize("text", ["count(*) > 0", "did('A', last => '7x') = 0", "channel IN (SELECT 'x')"])
def test_a_rule_that_is_refused_ends_with_two_before_any_event_is_read(
    run: Callable[..., Ran], shop: Path, text: str
) -> None:
    for report in (("events",), ("funnel", "--step", "A")):
        ran = run(*report, "--who", text)
        assert (ran.code, ran.out) == (2, "")
        message, hint = ran.err.splitlines()
        assert message.startswith("workbench: ") and hint.startswith("hint: ")
    dataset = over(shop, Scope(who=text))
    opened = dataset.script([])
    with pytest.raises(QuestionError):
        dataset.survey()
    assert dataset.script([]) == opened


def test_two_rules_are_refused(run: Callable[..., Ran]) -> None:
    ran = run("events", "--who", "did('A') > 0", "--who", "did('B') > 0")
    assert ran.code == 2
    assert "--who is given 2 times" in ran.err


def test_the_longest_rules_are_answered(asked: Dataset) -> None:
    text = " OR ".join(f"did('A', last => '{hours}h') > {hours}" for hours in range(1, 124))
    assert LONGEST - 100 < len(text) <= LONGEST
    assert chosen(asked, rules.compile_rule(text, ground_of(asked))) == set()
    steps = ", ".join(["'A|B'"] * 10)
    many = " OR ".join(f"sequence({steps}, within => '{hours}h')" for hours in range(1, 11))
    assert chosen(asked, rules.compile_rule(f"{many} OR did('A') = 1", ground_of(asked))) == BOTH


# --- asked again ---------------------------------------------------------------------------------------------

AGAIN = (
    "did('x'') OR 1=1 --') = 0 AND NOT did('订单', last => '2d') > 0",
    "channel = 'x'\n  OR did('A: channel = ''x''', since => '2026-03-01') > 0",
    "-did('A') < 0",
)


@pytest.mark.parametrize("rule", AGAIN)
def test_the_printed_command_and_the_saved_report_ask_the_same(run: Callable[..., Ran], rule: str) -> None:
    first = run("funnel", "--step", "A", "--step", "B", "--who", rule, "--save", "again", "--force", "--json")
    assert first.json["request"]["who"] == rule
    words = shlex.split(first.json["command"])
    assert words[:2] == ["workbench", "funnel"]
    assert run(*words[1:], "--json").out == first.out
    assert run("run", "again", "--json").out == first.out
    people = run("run", "again", "--users", "reached:1", "--jsonl").users
    assert people == run(*words[1:], "--users", "reached:1", "--jsonl").users
    assert len(people) == first.json["totals"]["users"] > 0


def test_the_printed_command_survives_a_shell(workbench: Command, shop: Path) -> None:
    first = workbench("events", "--who", AGAIN[1], "--json", cwd=shop).json
    script = "import sys; sys.stdout.write(chr(0).join(sys.argv[1:]))"
    program = f"{shlex.quote(sys.executable)} -c {shlex.quote(script)}"
    line = first["command"].replace("workbench", program, 1)
    words = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout.split("\0")
    assert words == ["events", "--who", AGAIN[1]]
    assert workbench(*words, "--json", cwd=shop).json == first
