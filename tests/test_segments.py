"""Lists of people: every form of a segment file, whom its ids name, and files that mean harm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from queries.funnel import answer, request
from queries.question import Members, PeopleRequest, QuestionError, Result, Row, Scope
from workbench.dataset import opened
from workbench.errors import UsageError
from workbench.runner import Task
from workbench.segments import Listed, read_segment
from workbench.workspace import Workspace, load

EVENTS: list[dict[str, str | None]] = [
    # Who views and orders, who only views; the device `phone` is anna's, `tablet` is used by anna and ben.
    {"ts": "2026-03-01T10:00:00Z", "event": "view", "user_id": "anna", "anonymous_id": "phone"},
    {"ts": "2026-03-01T10:01:00Z", "event": "order", "user_id": "anna", "anonymous_id": "tablet"},
    {"ts": "2026-03-01T10:02:00Z", "event": "view", "user_id": "ben", "anonymous_id": "tablet"},
    {"ts": "2026-03-01T10:03:00Z", "event": "view", "user_id": "carl", "anonymous_id": "null"},
    {"ts": "2026-03-01T10:04:00Z", "event": "order", "user_id": "carl", "anonymous_id": None},
    {"ts": "2026-03-01T10:05:00Z", "event": "view", "user_id": "dora", "anonymous_id": "0000"},
    {"ts": "2026-03-01T10:06:00Z", "event": "view", "user_id": None, "anonymous_id": "lone"},
    {"ts": "2026-03-01T10:07:00Z", "event": "view", "user_id": None, "anonymous_id": "phone"},
    {"ts": "2026-03-01T10:08:00Z", "event": "view", "user_id": "null", "anonymous_id": "0000"},
]
EVERYBODY = {"anna", "ben", "carl", "dora", "lone"}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of these events, which is also the folder one stands in."""
    return workspace(tmp_path / "shop", EVENTS, monkeypatch)


def workspace(folder: Path, events: list[dict[str, str | None]], monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "segments").mkdir()
    lines = [json.dumps(event, ensure_ascii=False) for event in events]
    (folder / "data" / "e.ndjson").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "workbench.toml").write_text('schema = 1\n[[source]]\nname = "e"\npath = "data/*.ndjson"\n')
    monkeypatch.chdir(folder)
    return folder


def space(folder: Path) -> Workspace:
    return load(folder / "workbench.toml")


def listed(folder: Path, name: str) -> Listed:
    return read_segment(space(folder), name)


def members(name: str, unit: str = "user") -> tuple[set[str], Members]:
    """Ids of the people a segment names, and what else is known of it."""
    dataset = opened(Scope(unit=unit), Task())
    found = dataset.members(name)
    assert found.codes.tolist() == sorted(set(found.codes.tolist()))
    return {name for name, _ in dataset.ids_of(found.codes)}, found


def compared(name: str, **scope: str) -> Result:
    asking = request(["view", "order"], "1d", Scope(**scope), compare=name)  # type: ignore[arg-type]
    return answer(asking, opened(asking.scope, Task()))


def sizes(result: Result) -> dict[object, list[object]]:
    found: dict[object, list[object]] = {}
    for row in result.rows:
        found.setdefault(row["cohort"], []).append(row["users"])
    return found


def refusal(name: str, folder: Path) -> UsageError:
    """The error for a segment: one line with a name in it, no traceback of another kind."""
    with pytest.raises(UsageError) as raised:
        listed(folder, name)
    assert "\n" not in raised.value.message.strip()
    return raised.value


# --- forms --------------------------------------------------------------------------------------------------

FORMS: dict[str, str] = {
    "a.txt": "anna\r\n\n  ben  \ncarl",
    "b": "anna\nben\ncarl\n",
    "c.csv": "user\nanna\nben\ncarl\n",
    "d.csv": 'name,user_id\n"A, a",anna\n,ben\nx,carl\n,\n',
    "e.csv": "user,kind\nanna,user_id\nben,user_id\ncarl,user_id\n",
    "f.tsv": "kind\tuser\nuser_id\tanna\nuser_id\tben\nuser_id\tcarl\n",
    "g.jsonl": '{"user": "anna", "kind": "user_id"}\n\n{"user": "ben", "kind": "user_id"}\n{"user": "carl"}\n',
    "h.ndjson": '"anna"\n"ben"\n{"user_id": "carl"}\n',
    "i.csv": "\ufeffuser\r\nanna\r\nben\r\ncarl\r\n",
    "j.toml": 'schema = 1\nids = ["anna", "ben", "carl"]\n',
    "k.toml": 'schema = 1\nname = "Three"\nfile = "c.csv"\n',
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_list_has_the_same_ids(shop: Path, name: str) -> None:
    for form, text in FORMS.items():
        (shop / form).write_bytes(text.encode())
    assert sorted(listed(shop, name).ids) == ["anna", "ben", "carl"]


def test_every_form_of_a_list_names_the_same_people(shop: Path) -> None:
    dataset = opened(Scope(), Task())
    for form, text in FORMS.items():
        (shop / form).write_bytes(text.encode())
    for form in FORMS:
        found = dataset.members(form)
        assert {name for name, _ in dataset.ids_of(found.codes)} == {"anna", "ben", "carl"}, form
        assert (found.listed, found.unknown) == (3, 0)


def test_a_list_in_utf_16_as_spreadsheets_save_it(shop: Path) -> None:
    (shop / "s.csv").write_bytes("user\r\nanna\r\n".encode("utf-16"))
    assert listed(shop, "s.csv").ids == ["anna"]


def test_a_name_is_a_file_of_the_folder_segments(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop / "segments" / "vip.toml").write_text('schema = 1\nids = ["anna", "dora"]\n')
    (shop / "segments" / "list.toml").write_text('schema = 1\nfile = "list.csv"\n')
    (shop / "segments" / "list.csv").write_text("user\nben\n")
    assert members("vip")[0] == {"anna", "dora"}
    # The file stands beside its definition, wherever one stands oneself.
    monkeypatch.chdir(shop / "data")
    assert members("list")[0] == {"ben"}
    result = compared("vip")
    assert sizes(result) == {None: [5, 2], "vip": [2, 1], "(others)": [3, 1]}


def test_a_name_with_a_point_is_a_name(shop: Path) -> None:
    (shop / "segments" / "spring.2026.toml").write_text('schema = 1\nids = ["anna"]\n')
    assert listed(shop, "spring.2026").ids == ["anna"]


def test_a_segment_without_anybody_leaves_all_to_the_others(shop: Path) -> None:
    (shop / "segments" / "none.toml").write_text("schema = 1\nids = []\n")
    (shop / "head.csv").write_text("user,kind\n")
    for name in ("none", "head.csv"):
        assert sizes(compared(name)) == {None: [5, 2], name: [0, 0], "(others)": [5, 2]}


def test_a_segment_of_everybody_leaves_no_others(shop: Path) -> None:
    (shop / "all.txt").write_text("\n".join(EVERYBODY))
    result = compared("all.txt")
    assert sizes(result) == {None: [5, 2], "all.txt": [5, 2], "(others)": [0, 0]}
    assert [row["difference"] for row in result.rows] == [None] * 6


# --- whom ids name ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "people", "unknown"),
    [
        (["anna"], {"anna"}, 0),
        # A device of one person names that person; one that several use, none of them.
        (["phone"], {"anna"}, 0),
        (["tablet"], set(), 1),
        (["lone"], {"lone"}, 0),
        (["null", "0000", "NULL", "00-00", "undefined"], set(), 5),
        (["ghost", "ANNA", "ann"], set(), 3),
        (["anna", "phone"], {"anna"}, 0),
        (["lone", "ghost", "ben", "tablet"], {"lone", "ben"}, 2),
    ],
)
def test_whom_an_id_names(shop: Path, ids: list[str], people: set[str], unknown: int) -> None:
    (shop / "s.txt").write_text("\n".join(ids))
    found, known = members("s.txt")
    assert found == people
    assert (known.listed, known.unknown) == (len(ids), unknown)


def test_a_kind_says_which_id_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[dict[str, str | None]] = [
        {"ts": "2026-03-01T10:00:00Z", "event": "view", "user_id": "7", "anonymous_id": None},
        {"ts": "2026-03-01T10:00:00Z", "event": "view", "user_id": "eva", "anonymous_id": "7"},
    ]
    folder = workspace(tmp_path / "w", events, monkeypatch)
    for text, people in {
        "user\n7\n": {"7", "eva"},
        "user,kind\n7,user_id\n": {"7"},
        "user,kind\n7,anonymous_id\n": {"eva"},
        "user,kind\n7,\n": {"7", "eva"},
        "user_id\n7\n": {"7"},
        "anonymous_id\n7\n": {"eva"},
        "user,kind\n7,phone_number\n": set(),
    }.items():
        (folder / "s.csv").write_text(text)
        assert members("s.csv")[0] == people, text


def test_raw_ids_name_only_themselves(shop: Path) -> None:
    (shop / "s.txt").write_text("lone\ntablet\nanna\n")
    people, _ = members("s.txt", unit="raw")
    assert {"lone", "anna"} <= people <= {"lone", "anna", "tablet"}
    assert "ben" not in people


def test_an_id_listed_twice_counts_once(shop: Path) -> None:
    (shop / "s.txt").write_text("anna\n" * 3 + "phone\n" * 2 + "ghost\n" * 4)
    result = compared("s.txt")
    assert sizes(result) == {None: [5, 2], "s.txt": [1, 1], "(others)": [4, 1]}
    (note,) = [note for note in result.notes if note.code == "segment-ids-unknown"]
    assert note.count == 1


def test_unknown_ids_are_counted_in_a_note(shop: Path) -> None:
    (shop / "s.txt").write_text("anna\nghost\nnull\nnobody\n")
    (note,) = [note for note in compared("s.txt").notes if note.code == "segment-ids-unknown"]
    assert (note.level, note.count) == ("warning", 3)
    assert note.text == "3 of the 4 ids of s.txt are nobody's in the data"
    (shop / "s.txt").write_text("anna\n")
    assert "segment-ids-unknown" not in [note.code for note in compared("s.txt").notes]


ODD = [
    "1",
    "007",
    "a,b",
    'q"q',
    "é",
    "e\u0301",
    "微信",
    "=1+1",
    "x" * 300,
    "a b",
    "a'b",
    "%s",
    "NaN1",
    "#1",
    "-5",
]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "tsv", "txt"])
def test_ids_are_kept_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    events: list[dict[str, str | None]] = [
        {"ts": "2026-03-01T10:00:00Z", "event": "view", "user_id": name, "anonymous_id": None} for name in ODD
    ]
    folder = workspace(tmp_path / "w", events, monkeypatch)
    if ending == "txt":
        (folder / "x.txt").write_text("\n".join(ODD), "utf-8")
    else:
        written(folder / f"x.{ending}", "reached:1", ending)
    people, found = members(f"x.{ending}")
    assert (people, found.listed, found.unknown) == (set(ODD), len(ODD), 0)


def written(path: Path, cell: str, ending: str) -> list[Row]:
    """Writes the people of a cell as `--users` does."""
    from workbench import output

    asking = request(["view", "order"], "1d", Scope())
    dataset = opened(Scope(), Task())
    result = dataset.people_of(answer(asking, dataset), PeopleRequest(asking, cell))
    output.write(result, format=ending, destination=path)  # type: ignore[arg-type]
    return list(result.rows)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "tsv"])
@pytest.mark.parametrize(
    "names",
    [
        (" before", "after ", "\u3000wide"),
        ("line\u2028end", "next\u0085line"),
        ("tab\there", "next\nline", "return\rhere", "unit\x1fend", "a\x00b", 'quote"', ","),
    ],
    ids=("blanks", "ends of lines", "controls"),
)
def test_what_users_writes_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, names: tuple[str, ...]
) -> None:
    events: list[dict[str, str | None]] = [
        {"ts": "2026-03-01T10:00:00Z", "event": "view", "user_id": who, "anonymous_id": None}
        for who in (*names, "plain")
    ]
    folder = workspace(tmp_path / "w", events, monkeypatch)
    rows = written(folder / f"x.{ending}", "reached:1", ending)
    people, found = members(f"x.{ending}")
    assert people == {str(row["user"]) for row in rows}
    assert (len(people), found.unknown) == (len(names) + 1, 0)


# --- files that mean harm -----------------------------------------------------------------------------------

HARM: dict[str, bytes] = {
    "empty.csv": b"",
    "blank.csv": b"\n\n",
    "headless.csv": b"anna\nben\n",
    "binary.csv": bytes(range(256)),
    "binary.txt": b"\xff\xfe\x00\xd8" + bytes(range(128, 256)),
    "quote.csv": b'user\n"anna\n',
    "field.csv": b"user\n" + b"x" * 200_000 + b"\n",
    "nonsense.jsonl": b"{]\n",
    "list.jsonl": b'["anna"]\n',
    "number.jsonl": b"17\n",
    "null.jsonl": b"null\n",
    "nobody.jsonl": b'{"name": "anna"}\n',
    "deep.jsonl": b"[" * 200_000 + b"]" * 200_000,
    "deep.json": b'{"user":' * 100_000,
    "digits.jsonl": b'{"user": ' + b"9" * 10_000 + b"}\n",
    "inside.jsonl": b'{"user": {"$ne": null}}\n',
    "array.jsonl": b'{"user": ["anna", "ben"]}\n',
    "yes.jsonl": b'{"user": true}\n',
    "surrogate.jsonl": b'{"user": "\\ud800"}\n',
    "bad.toml": b"schema = \n",
    "binary.toml": bytes(range(256)),
    "deep.toml": b"schema = 1\nids = " + b"[" * 100_000,
    "none.toml": b"schema = 1\n",
    "schema.toml": b'ids = ["anna"]\n',
    "later.toml": b'schema = 2\nids = ["anna"]\n',
    "both.toml": b'schema = 1\nids = ["anna"]\nfile = "a.csv"\n',
    "numbers.toml": b"schema = 1\nids = [1, 2]\n",
    "table.toml": b'schema = 1\nids = {a = "anna"}\n',
    "true.toml": b"schema = true\nids = []\n",
    "file.toml": b"schema = 1\nfile = 7\n",
    "gone.toml": b'schema = 1\nfile = "gone.csv"\n',
    "folder.toml": b'schema = 1\nfile = "."\n',
    "self.toml": b'schema = 1\nfile = "self.toml"\n',
    "typo.toml": b'schema = 1\nid = ["anna"]\n',
    "nul.toml": b'schema = 1\nfile = "a\\u0000.csv"\n',
}


@pytest.mark.parametrize("name", HARM)
def test_a_file_that_is_no_list_is_one_clear_line(shop: Path, name: str) -> None:
    (shop / name).write_bytes(HARM[name])
    error = refusal(str(shop / name), shop)
    assert str(shop) in error.message
    assert len(error.message) < 1000


@pytest.mark.parametrize(
    ("rule", "people"),
    [
        ("did('order') > 0", {"anna", "carl"}),
        ("did('order') = 0", {"ben", "dora", "lone"}),
        ("did('view') >= 2", {"anna"}),
        ("sequence('view', 'order')", {"anna", "carl"}),
        ("did('refund') > 0", set()),
    ],
)
@pytest.mark.parametrize("unit", ["user", "session"])
def test_a_segment_by_rule_names_whom_the_rule_chooses(
    shop: Path, rule: str, people: set[str], unit: str
) -> None:
    (shop / "segments" / "rule.toml").write_text(f"schema = 1\nrule = {json.dumps(rule)}\n")
    found, about = members("rule")
    assert (found, about.listed, about.unknown) == (people, len(people), 0)
    # Everybody is asked, whoever else the question is about.
    result = compared("rule", unit=unit, who="did('view') > 0")
    rows = [row for row in result.rows if row["step"] == 1]
    by_cohort = {row["cohort"]: row["users"] for row in rows}
    assert by_cohort[None] == 5
    assert by_cohort["rule"] == len(people)
    assert by_cohort["(others)"] == 5 - len(people)


@pytest.mark.parametrize("rule", ["did order", "colour = 'x'", "count(*) > 1", "amount", " "])
def test_a_rule_that_is_none_is_one_clear_line(shop: Path, rule: str) -> None:
    (shop / "segments" / "rule.toml").write_text(f"schema = 1\nrule = {json.dumps(rule)}\n")
    with pytest.raises((QuestionError, UsageError)) as caught:
        opened(Scope(), Task()).members("rule")
    assert "rule" in caught.value.message and "\n" not in caught.value.message
