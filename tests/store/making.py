"""Random small shops that change from import to import, and one question asked of the store and of the files."""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from queries import QUESTIONS
from queries.funnel_table import cell_of
from queries.question import PeopleRequest, QuestionError, Result, Scope
from queries.quoting import quote_identifier
from queries.saved import request_of
from workbench.dataset import Dataset
from workbench.limits import limits
from workbench.output.documents import json_envelope
from workbench.runner import Task
from workbench.store.folder import store_folder
from workbench.store.importing import Imported, Rules
from workbench.store.runs import ROW_BITS
from workbench.store.updating import update_store
from workbench.store.wanted import want
from workbench.survey import junk_ids, valid_times
from workbench.workspace import Workspace, load

Row = dict[str, Any]
Saved = Mapping[str, object]

START = 1_772_300_000_000
"""UTC ms, in the night of 28 February 2026."""
MINUTE = 60_000
HOUR = 60 * MINUTE
EVENTS = ("view", "cart", "order", "it's", "page", "", None)
USERS = (*(f"u{number}" for number in range(6)), "null", "0", " ", None, None, None, None)
PHONES = ("p0", "p1", "p2", "000-00", None, None, None, None)
DEVICES = (*(f"d{number}" for number in range(9)), "Unknown", "", None)
NEVER = 4_000_000_000_000
"""After tomorrow."""

_HOSTILE = (
    "value",
    "count",
    'a"b',
    "combo",
    "its_combo",
    "Stored",
    "key",
    "dead_person",
    "raw_events",
    "x y",
    "c0",
)
"""Properties named as the SQL's own helpers are."""

_BEYOND = (*_HOSTILE, "event_id")

TOML = """schema = 1
timezone = "Asia/Shanghai"
[ids]
junk = ["nobody"]
[[source]]
name = "shop"
path = "shop/*.parquet"
[source.map]
ts = "ts"
event = "event"
event_id = "event_id"
sequence = "seq"
user_id = "user_id"
"ids.phone" = "phone"
anonymous_id = "anonymous_id"
session_id = "session_id"
channel = "channel"
order_id = "order_id"
product_id = "product_id"
quantity = "quantity"
amount = "amount"
campaign = "campaign"
[[source]]
name = "web"
path = "web/*.csv"
[source.map]
ts = "at"
event = "what"
user_id = "user_id"
anonymous_id = "anonymous_id"
channel = "channel"
quantity = "quantity"
amount = "amount"
"""
TILLS = """[[source]]
name = "tills"
path = "tills/*.csv"
kind = "lines"
event = { constant = "order" }
[source.map]
ts = "paid"
user_id = "member"
order_id = "receipt"
product_id = "sku"
quantity = "pieces"
amount = "total"
"""
ROLES = '[roles]\nview = "view"\nadd = "cart"\norder = "order"\n'


def random_row(rng: random.Random) -> Row:
    """An event as an export may have it: few times, so that many are equal; some rows are set aside."""
    ts: int | None = START + rng.randrange(60) * HOUR + rng.choice((0, 0, 0, 1, 999))
    if rng.random() < 0.04:
        ts = rng.choice((None, 5, NEVER))
    user, device = rng.choice(USERS), rng.choice(DEVICES)
    if user is not None and rng.random() < 0.7:
        # Most people have devices of their own; the others make families of them.
        device = f"d{USERS.index(user)}"
    return {
        "ts": ts,
        "fine": rng.choice((0, 0, 1, 999_000)),
        "event": rng.choices(EVENTS, (6, 5, 4, 2, 3, 0.3, 0.3))[0],
        "event_id": f"e{rng.randrange(10**9)}",
        "seq": rng.choice((None, 1, 2, 3)),
        "user_id": user,
        "phone": rng.choice(PHONES),
        "anonymous_id": device,
        "session_id": rng.choice((None, "s1", "s2", "s3")),
        "channel": rng.choice((None, "app", "web", "it's")),
        "order_id": rng.choice((None, None, "o1", "o2", "o3", "o4")),
        "product_id": rng.choice((None, "a", "b", "c")),
        "quantity": rng.choice((None, 1, 2)),
        "amount": rng.choice((None, 1.5, 20.0, 33.37)),
        "campaign": rng.choice((None, None, "spring")),
    } | {name: rng.choice((None, "x", "y", "'")) for name in _HOSTILE}


def random_rows(rng: random.Random, count: int) -> list[Row]:
    return [random_row(rng) for _ in range(count)]


@dataclass
class Shop:
    """A workspace in a folder, whose files come, change and go."""

    folder: Path
    has_fine: bool = True
    has_sequence: bool = True
    is_bare: bool = False
    """Whether it has only what runs keep: every statement can be answered from them."""
    toml: str = TOML + ROLES
    files: dict[str, list[Row]] = field(default_factory=dict)
    """What was written, by path inside the folder."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("shop", "web", "tills"):
            (self.folder / name).mkdir(exist_ok=True)
        if self.is_bare:
            self.toml = self.toml.replace('event_id = "event_id"\n', "")
        (self.folder / "workbench.toml").write_text(self.toml, "utf-8")

    @property
    def workspace(self) -> Workspace:
        return load(self.folder)

    def write(self, name: str, rows: Sequence[Row]) -> None:
        """Puts a file in place as one should: by renaming."""
        kind = name.partition("/")[0]
        write = {"shop": self._parquet, "web": self._web, "tills": _tills}[kind]
        path, made = self.folder / name, self.folder / f"{kind}.new"
        write(made, rows)
        os.replace(made, path)
        self.files[name] = list(rows)

    def want(self, *names: str) -> None:
        """Has the next import keep further columns."""
        want(store_folder(self.workspace).root, names)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()
        del self.files[name]

    def _parquet(self, path: Path, rows: Sequence[Row]) -> None:
        types = {"quantity": pa.int64(), "amount": pa.float64()}
        columns = {
            name: pa.array([row[name] for row in rows], types.get(name, pa.string()))
            for name in random_row(random.Random(0))
            if name not in ("ts", "fine", "seq") and not (self.is_bare and name in _BEYOND)
        }
        if not self.is_bare and len(rows) % 3 == 0:
            # A property of another kind from file to file.
            columns["x y"] = pa.array([row["x y"] and len(row["channel"] or "") for row in rows], pa.int64())
        if self.has_sequence:
            columns["seq"] = pa.array([row["seq"] for row in rows], pa.int64())
        unit, scale = ("ns", 1_000_000) if self.has_fine else ("ms", 1)
        times = [
            None if row["ts"] is None else row["ts"] * scale + (row["fine"] if self.has_fine else 0)
            for row in rows
        ]
        columns["ts"] = pa.array(times, pa.timestamp(unit, tz="UTC"))
        pq.write_table(pa.table(columns), path)

    def _web(self, path: Path, rows: Sequence[Row]) -> None:
        """CSV with values that cannot be read: times, numbers and amounts."""
        names = ["user_id", "anonymous_id", "channel", *([] if self.is_bare else ["count"])]
        read = [
            (
                "soon" if row["fine"] == 1 else _moment(row["ts"]),
                row["event"],
                "many" if row["campaign"] else row["quantity"],
                "much" if row["seq"] == 3 else row["amount"],
                *(row[name] for name in names),
            )
            for row in rows
        ]
        _csv(path, ",".join(["at", "what", "quantity", "amount", *names]), read)

    def update(
        self, task: Task | None = None, *, chunk_rows: int = 8_000_000, anew: bool = False
    ) -> Imported:
        """Brings the store up to date."""
        workspace = self.workspace
        rules = Rules(junk_ids(workspace), valid_times(workspace), chunk_rows=chunk_rows)
        return update_store(workspace, task or Task(), rules=rules, anew=anew, threads=2)


def _text(value: object) -> str:
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if any(char in text for char in ',"\n') else text


def _csv(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    lines = [header, *(",".join(map(_text, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _moment(ms: int | None) -> str:
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def _tills(path: Path, rows: Sequence[Row]) -> None:
    _csv(
        path,
        "paid,member,receipt,sku,pieces,total",
        [
            (
                _moment(row["ts"]),
                row["user_id"],
                row["order_id"],
                row["product_id"],
                "many" if row["campaign"] else row["quantity"],
                row["amount"],
            )
            for row in rows
        ],
    )


# --- asking ---------------------------------------------------------------------------------------------------


def open_store(shop: Shop, threads: int = 2, **scope: Any) -> Dataset:
    """The data as questions open it; its store must be the one that is read."""
    dataset = Dataset(shop.workspace, Scope(**scope), Task(), limits(None, threads))
    assert dataset._stored is not None, "the store is not that of the files"
    return dataset


def open_files(shop: Shop, damaged: Mapping[Path, str] = MappingProxyType({}), **scope: Any) -> Dataset:
    """The data without the store, and without lanes."""
    workspace = shop.workspace
    root = store_folder(workspace).root
    root.mkdir(parents=True, exist_ok=True)
    dataset = Dataset(workspace, Scope(**scope), Task(), limits(None, 2), damaged, importing=root)
    dataset._lanes.of = lambda *_, **__: None  # type: ignore[method-assign]
    return dataset


def ask(dataset: Dataset, report: str, saved: Saved) -> tuple[Result | None, str]:
    """An answer and its JSON, or the words of a refusal."""
    try:
        asked = request_of(report, {**dataset_scope(dataset), **saved})
        result = importlib.import_module(QUESTIONS[report].module).answer(asked, dataset)
        return result, "".join(json_envelope(result, result.rows, result.notes, ascii_only=False))
    except QuestionError as error:
        return None, f"{error.message} / {error.hint}"


def dataset_scope(dataset: Dataset) -> dict[str, object]:
    scope = dataset.scope.to_dict()
    return {key: value for key, value in scope.items() if value != Scope().to_dict()[key]}


def cells(result: Result) -> Iterator[str]:
    """Cells with people, and some that may have none."""
    for row in result.rows:
        if result.report == "funnel":
            if not row.get("difference"):
                yield from (cell_of(row, measure) for measure in ("reached", "dropped", "open"))
        elif result.report == "overview":
            yield from (f"{row.get('figure')}", f"{row.get('figure')}@previous")
        elif result.report == "identity":
            yield from (f"{decision}:{row.get('kind')}" for decision in ("person", "linked", "shared"))
        elif result.report == "check":
            yield str(row["check"])
        elif result.report == "explain":
            if row.get("kind") == "reason":
                yield f"reason:{row['name']}"
            elif row.get("kind") == "next":
                yield f"next:{row['place']}:{row['name']}"


def people(dataset: Dataset, result: Result) -> dict[str, object]:
    """The ids behind every cell, or the words of its refusal."""
    found: dict[str, object] = {}
    if result.people is None:
        return found
    for cell in sorted(set(cells(result))):
        try:
            listed = dataset.people_of(result, PeopleRequest(result.request, cell))
            found[cell] = [(row["user"], row["kind"]) for row in listed.rows]
        except QuestionError as error:
            found[cell] = error.message
    return found


@dataclass(frozen=True)
class Told:
    """Everything an answer says."""

    document: str
    sql: tuple[str, ...]
    people: Mapping[str, object]


def told(dataset: Dataset, report: str, saved: Saved) -> Told:
    result, document = ask(dataset, report, saved)
    if result is None:
        return Told(document, (), {})
    return Told(document, result.sql, people(dataset, result))


def assert_same(shop: Shop, questions: Sequence[tuple[str, Saved]], **scope: Any) -> list[str]:
    """Holds the store's answers to those of the files, with its lanes and without; the paths that were taken."""
    stored, files = open_store(shop, **scope), open_files(shop, **scope)
    paths = []
    try:
        for report, saved in questions:
            expected = told(files, report, saved)
            assert files.stats()["path"] == "files"
            # One dataset is asked many questions here; the path is to be that of this one.
            stored._read_files = stored._read_lanes = False
            compare(told(stored, report, saved), expected, (report, saved, scope))
            paths.append(str(stored.stats()["path"]))
            if paths[-1] == "lanes":
                with without_lanes(stored):
                    compare(told(stored, report, saved), expected, ("no lanes", report, saved, scope))
        compare_surveys(stored, files)
    finally:
        stored.engine.close()
        files.engine.close()
    return paths


_CODES = re.compile(r"[\[(][0-9]+(?:, [0-9]+)*[\])]|[0-9]+(?= AS person)|(?<=person = )[0-9]+")


def compare(found: Told, expected: Told, what: object) -> None:
    assert found.document == expected.document, what
    assert found.people == expected.people, what
    if '"report": "user"' in found.document:
        # One person's events are found by other statements.
        return
    # Codes of people are the store's own.
    assert [_CODES.sub("N", sql) for sql in found.sql] == [_CODES.sub("N", sql) for sql in expected.sql], what


def compare_surveys(stored: Dataset, files: Dataset) -> None:
    assert _surveyed(stored) == _surveyed(files)


def _surveyed(dataset: Dataset) -> object:
    try:
        found = dataset.survey()
    except QuestionError as error:
        return error.message
    # Codes may have gaps.
    return replace(found, codes=0)


def everything(dataset: Dataset, names: Sequence[str]) -> list[tuple[object, ...]]:
    """Every event whole, with its person's id, and everybody."""
    dataset.survey()
    listed = ", ".join(f"e.{quote_identifier(name)}" for name in names)
    rows = dataset.fetch(f"SELECT p.key, {listed} FROM events e LEFT JOIN people p ON p.person = e.person")
    return sorted([*rows, *dataset.fetch("SELECT kind, id, key FROM people")], key=repr)


def assert_sound(shop: Shop) -> None:
    """Holds the events of the store, its lanes and its books to the files."""
    stored, files = open_store(shop), open_files(shop)
    try:
        compare_surveys(stored, files)
        store = stored._stored
        assert store is not None
        manifest = store.manifest
        kept = [*(name for name in stored.relation.fixed if name != "ts_given"), *manifest.columns]
        for names in (kept, [*kept, *manifest.ids]):
            assert everything(stored, names) == everything(files, names)
        assert stored.stats()["path"] == "store"
        counted = stored.fetch(f"SELECT place >> {ROW_BITS}, count(*) FROM runs.stored GROUP BY 1")
        per_file = {int(str(number)): count for number, count in counted}
        for file in manifest.files:
            assert per_file.pop(file.number, 0) == file.rows - sum(file.aside.values()), file
        assert per_file == {}
        assert manifest.rows == sum(run.rows - run.dead_rows for run in manifest.runs)
        assert_lanes(stored)
    finally:
        stored.engine.close()
        files.engine.close()


def assert_lanes(stored: Dataset) -> None:
    """Holds the lanes of all events to the events."""
    store = stored._stored
    assert store is not None
    lanes = store.lanes()
    expected: dict[str, list[tuple[object, ...]]] = {name: [] for name in EVENTS if name}
    for name, person, ts in stored.fetch("SELECT event, person, ts FROM events ORDER BY ALL"):
        expected[str(name)].append((person, ts))
    if lanes is None:
        assert store.manifest.no_lanes
        return
    counts = Counter((person, ts) for rows in expected.values() for person, ts in rows)
    shared = sorted(one for one, count in counts.items() if count > 1)
    bits, base = lanes.index.time_bits, lanes.index.base
    assert lanes.ties is not None
    assert [(key >> bits, (key & ((1 << bits) - 1)) + base) for key in lanes.ties.tolist()] == shared
    for name, rows in expected.items():
        found = lanes.of([name])
        assert found is not None
        keys = found.keys[name].tolist()
        mask = (1 << found.time_bits) - 1
        assert [(key >> found.time_bits, (key & mask) + found.base) for key in keys] == rows


def codes(shop: Shop) -> dict[str, int]:
    """The code of everybody by key."""
    stored = open_store(shop)
    try:
        stored.survey()
        return {str(key): int(str(code)) for key, code in stored.fetch("SELECT key, person FROM people")}
    finally:
        stored.engine.close()


@contextlib.contextmanager
def without_lanes(dataset: Dataset) -> Iterator[None]:
    dataset.lanes = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        del dataset.lanes


# --- questions ------------------------------------------------------------------------------------------------

STEPS = ["view", "cart", "order"]
FUNNELS: tuple[Saved, ...] = (
    {},
    {"window": "none"},
    {"entry": "first"},
    {"entry": "every"},
    {"order": "any"},
    {"order": "strict"},
    {"ties": "strict"},
    {"step_windows": {"2": "3h"}},
    {"tolerance": "2h", "from": "2026-03-01", "to": "2026-03-02"},
    {"optional": [2]},
    {"exclude": ["page@1:2", "it's"]},
    {"exclude": ["page"], "exclusion": "remove"},
    {"exclude": ["page: channel = 'web'"]},
    {"hold": "session_id"},
    {"hold": "value"},
    {"by": "channel"},
    {"by": "count", "at": "last"},
    {"by": 'a"b', "at": "user-first"},
    {"by": "person"},
    {"by": "user_id", "top": 3},
    {"by": "channel", "trend": "day", "at": "step:2"},
    {"where": "channel = 'app'"},
    {"where": '"value" = \'x\' or "count" is null'},
    {"where": "anonymous_id like 'd%'"},
    {"where": "\"combo\" = 'x'"},
    {"compare": "previous", "last": "1d"},
    {"compare": "listed"},
    {"compare": "ruled"},
    {"trend": "day"},
    {"trend": "week", "mature": True, "window": "12h"},
    {"since": "first"},
    {"range": "whole", "from": "2026-03-01", "to": "2026-03-02"},
    {"as": "all"},
    {"steps": ["view: channel = 'app'", "cart|it's", "order: amount > 2"]},
    {
        "steps": [
            "view",
            "cart|it's: quantity = 2 or quantity is null",
            "order: amount > 2 or channel > 'b'",
        ],
        "by": "amount",
        "at": "step:2",
    },
    {"steps": ["view|cart", "cart", "order"]},
    {"steps": ["view", "cart", "view"]},
    {"steps": ["it's", "page", "nothing"]},
    {"steps": ["page"], "entry": "every"},
    {"tz": "America/New_York", "trend": "day"},
)
OTHERS: tuple[tuple[str, Saved], ...] = (
    ("overview", {}),
    ("overview", {"last": "1d"}),
    ("overview", {"from": "2026-03-01", "to": "2026-03-01"}),
    ("users", {}),
    ("users", {"sort": "events", "descending": True}),
    ("users", {"show": ["channel", "value", "amount_"], "sort": "user"}),
    ("users", {"show": ["channel", "value", "ids.phone"]}),
    ("users", {"ids": "listed"}),
    ("users", {"where": "\"count\" = 'x'"}),
    ("user", {"user": "u1"}),
    ("user", {"user": "d3"}),
    ("user", {"user": "p1"}),
    ("user", {"user": "nobody"}),
    ("user", {"find": "order_id = 'o1'", "oldest": True}),
    ("identity", {}),
    ("events", {}),
    ("events", {"by": "channel"}),
    ("events", {"by": "x y", "last": "1d"}),
    ("properties", {}),
    ("properties", {"name": "value"}),
    ("properties", {"name": "channel"}),
    ("properties", {"name": "user_id"}),
    ("check", {}),
    ("check", {"all": True}),
    ("explain", {"steps": STEPS, "user": "u1"}),
    ("explain", {"steps": STEPS, "user": "d2", "window": "1d"}),
    ("explain", {"steps": STEPS, "cell": "dropped:1"}),
    ("explain", {"steps": STEPS, "cell": "dropped:2", "exclude": ["page"]}),
)


def funnels() -> list[tuple[str, Saved]]:
    return [("funnel", {"steps": STEPS, "window": "1d", **rules}) for rules in FUNNELS]


def segments(shop: Shop) -> None:
    """A list of ids of every kind, and a rule."""
    folder = shop.folder / "segments"
    folder.mkdir(exist_ok=True)
    ids = '["u1", "u2", "d3", "p1", "d7", "nobody", "not there", "0"]'
    (folder / "listed.toml").write_text(f"schema = 1\nids = {ids}\n", "utf-8")
    (folder / "ruled.toml").write_text("schema = 1\nrule = \"did('order') > 1\"\n", "utf-8")
