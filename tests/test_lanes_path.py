"""A funnel from lanes is the funnel from files: every byte of it, and the people of every cell."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queries import funnel, funnel_fold
from queries.funnel import FunnelRequest, answer, request
from queries.funnel_table import cell_of
from queries.kernels.lanes import key
from queries.question import Columns, PeopleRequest, QuestionError, Result, Scope, Survey
from tests.driver import Command
from workbench.dataset import Dataset, opened
from workbench.lanes import LaneCache, lanes_sql
from workbench.output.documents import json_envelope
from workbench.runner import Task

START = 1_772_300_000_000
HOUR = 3_600_000
DAY = 24 * HOUR
EVENTS = ("view", "cart", "check", "order", "it's", "page")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files of events with many equal times, in no order, of people who share devices."""
    rng = random.Random(7)
    folder = tmp_path_factory.mktemp("shop")
    for part in range(2):
        rows = []
        for number in range(1500):
            person = rng.randrange(90)
            rows.append(
                {
                    "ts": START + rng.randrange(8 * 24) * HOUR + rng.choice((0, 0, 0, 1, 999)),
                    "event": rng.choice(EVENTS),
                    "event_id": f"{part}-{number}",
                    "user_id": f"u{person}" if rng.random() < 0.5 else None,
                    "anonymous_id": f"d{person if rng.random() < 0.95 else rng.randrange(90)}",
                    "session_id": f"s{person}-{rng.randrange(3)}",
                    "channel": rng.choice(["app", "web", None]),
                }
            )
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        columns["ts"] = pa.array(columns["ts"], pa.timestamp("ms", tz="UTC"))
        pq.write_table(pa.table(columns), folder / f"{part}.parquet")
    return folder


def open_shop(shop: Path, **scope: Any) -> Dataset:
    return opened(Scope(data=(str(shop),), **scope), Task(), threads=2)


@pytest.fixture(scope="module")
def kept(shop: Path) -> Iterator[Dataset]:
    """One dataset for many questions, its lanes made."""
    dataset = open_shop(shop)
    answer(request(EVENTS, "1d", dataset.scope), dataset)
    assert dataset.stats()["path"] == "lanes"
    yield dataset


def from_files(asked: FunnelRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Dataset, Result]:
    """The answer of a dataset that never has lanes."""
    dataset = opened(asked.scope, Task(), threads=2)
    with monkeypatch.context() as patch:
        patch.setattr(LaneCache, "of", lambda *_, **__: None)
        result = answer(asked, dataset)
    assert dataset.stats()["path"] == "files"
    return dataset, result


def people(dataset: Dataset, result: Result) -> dict[str, list[object]]:
    """The ids behind every cell."""
    cells = {cell_of(row, measure) for row in result.rows for measure in ("reached", "dropped", "open")}
    found: dict[str, list[object]] = {}
    for cell in sorted(cells):
        listed = dataset.people_of(result, PeopleRequest(result.request, cell))
        found[cell] = [(row["user"], row["kind"]) for row in listed.rows]
    return found


def document(result: Result) -> str:
    """The answer as JSON."""
    return "".join(json_envelope(result, result.rows, result.notes, ascii_only=False))


def assert_same(
    dataset: Dataset, asked: FunnelRequest, monkeypatch: pytest.MonkeyPatch, path: str = "lanes"
) -> Result:
    result = answer(asked, dataset)
    assert dataset.stats()["path"] == path
    fresh, expected = from_files(asked, monkeypatch)
    assert document(result) == document(expected)
    assert result.sql == expected.sql == funnel.statements(asked, dataset)
    assert people(dataset, result) == people(fresh, expected)
    return result


STEPS = ("view", "cart", "check")
ASKED: dict[str, tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]] = {
    "plain": (STEPS, {}, {}),
    "no window": (STEPS, {"window": "none"}, {}),
    "first": (STEPS, {"entry": "first"}, {}),
    "every": (STEPS, {"entry": "every"}, {}),
    "increasing": (STEPS, {"ties": "strict"}, {}),
    "range": (STEPS, {}, {"since": "2026-03-02", "until": "2026-03-05"}),
    "whole": (STEPS, {"range": "whole"}, {"since": "2026-03-02", "until": "2026-03-05"}),
    "mature": (STEPS, {"mature": True}, {}),
    "since first": (STEPS, {"since": "first"}, {}),
    "trend": (STEPS, {"trend": "day"}, {"tz": "Asia/Shanghai"}),
    "previous": (STEPS, {"compare": "previous"}, {"last": "3d"}),
    "peers": (STEPS, {"peer": "all"}, {}),
    "alternatives": (("view|it's", "cart|page", "order"), {}, {}),
    "one event twice": (("view", "cart", "view"), {}, {}),
    "shared": (("view|cart", "cart", "check"), {}, {}),
    "any order": (STEPS, {"order": "any"}, {}),
    "excluded": (STEPS, {"exclude": ("page@1:2", "order")}, {}),
    "removed": (STEPS, {"exclude": ("page",), "exclusion": "remove"}, {}),
    "optional": (STEPS, {"optional": (2,)}, {}),
    "step window": (STEPS, {"step_window": ("2=3h",)}, {}),
    "tolerance": (STEPS, {"tolerance": "2h"}, {"since": "2026-03-02", "until": "2026-03-05"}),
    "never seen": (("view", "carts|cart", "nothing"), {}, {}),
    "one step": (("view",), {"entry": "every"}, {}),
    "breakdown": (STEPS, {}, {"by": "channel"}),
    "breakdown of every": (STEPS, {"entry": "every"}, {"by": "channel", "top": 2}),
    "breakdown of a step": (STEPS, {"at": "step:2"}, {"by": "channel", "last": "4d"}),
    "breakdown of shared events": (("view|cart", "cart", "check"), {}, {"by": "channel"}),
    "breakdown, trend": (STEPS, {"trend": "day"}, {"by": "channel", "tz": "Asia/Shanghai"}),
    "breakdown by a number": (STEPS, {"optional": (2,)}, {"by": "session_id"}),
    "breakdown compared": (STEPS, {"compare": "previous"}, {"by": "channel", "last": "3d"}),
    "a condition": (("view: channel = 'app'", "cart"), {}, {}),
    "conditions": (("view", "cart: channel = 'web'", "order|check: channel <> 'app'"), {"order": "any"}, {}),
    "a condition nobody meets": (("view", "cart: channel = 'nowhere'"), {}, {}),
    "a condition of an exclusion": (STEPS, {"exclude": ("page: channel = 'web'",)}, {}),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_later_funnel_comes_from_lanes_and_equals_that_from_files(
    name: str, shop: Path, kept: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, rules, scope = ASKED[name]
    # What is not in the dataset's own scope is the question's.
    dataset = open_shop(shop, tz=scope["tz"]) if "tz" in scope else kept
    given = {"window": "1d", **rules}
    asked = request(steps, given.pop("window"), replace(kept.scope, **scope), **given)
    result = assert_same(dataset, asked, monkeypatch)
    assert result.totals["entered"]


@pytest.mark.parametrize(
    "scope", [{"unit": "session"}, {"unit": "raw"}, {"who": "did('order') > 2"}, {"as_of": "2026-03-04"}]
)
def test_whatever_is_counted(scope: dict[str, Any], shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_shop(shop, **scope)
    asked = request(STEPS, "6h", dataset.scope)
    for _ in range(2):
        assert_same(dataset, asked, monkeypatch)


@pytest.mark.parametrize(
    ("steps", "rules", "scope"),
    [
        (("view: channel = 'app'", "view"), {}, {}),
        (STEPS, {}, {"where": "channel = 'app'"}),
        (STEPS, {"at": "user-first"}, {"by": "channel"}),
        (STEPS, {"at": "last"}, {"by": "channel"}),
        (STEPS, {"order": "any"}, {"by": "channel"}),
        (STEPS, {"order": "strict"}, {}),
        (STEPS, {"hold": "channel"}, {}),
        (STEPS, {"exclude": ("cart: channel = 'web'",)}, {}),
    ],
)
def test_what_lanes_do_not_hold_is_read_from_files(
    steps: tuple[str, ...],
    rules: dict[str, Any],
    scope: dict[str, Any],
    kept: Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert_same(kept, request(steps, "1d", replace(kept.scope, **scope), **rules), monkeypatch, "files")


def test_people_whose_order_lanes_do_not_know_are_read_from_files(
    kept: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    whole = funnel_fold.fold_selected

    def counted(*arguments: Any, **settings: Any) -> Any:
        folded, seen = whole(*arguments, **settings)
        read.append(len(np.unique(folded.person)))
        return folded, seen

    monkeypatch.setattr(funnel_fold, "fold_selected", counted)
    asked = request(("view|cart", "cart", "check"), "1d", kept.scope)
    everybody = answer(asked, kept).totals["users"]
    # The patched one is called for those people alone.
    assert len(read) == 1
    assert 0 < read[0] < int(str(everybody))
    # Past the bound everything is read.
    monkeypatch.setattr(funnel_fold, "MOST_UNSETTLED", 0)
    assert answer(asked, kept).totals["users"] == everybody
    assert len(read) == 1


def reading(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that read events, from now on."""
    asked: list[str] = []
    engine = dataset.engine
    stream, fetch = engine.stream, engine.fetch
    monkeypatch.setattr(
        engine, "stream", lambda sql, *rest, **named: (asked.append(sql), stream(sql, *rest, **named))[1]
    )
    monkeypatch.setattr(engine, "fetch", lambda sql, *rest: (asked.append(sql), fetch(sql, *rest))[1])
    return asked


def test_a_second_funnel_reads_nothing(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_shop(shop)
    asked = request(("view", "cart|page", "check"), "1d", replace(dataset.scope, last="4d"))
    answer(request(asked_names := ("view", "cart", "page", "check"), "1d", dataset.scope), dataset)
    answer(asked, dataset)
    read = reading(dataset, monkeypatch)
    for window in ("1h", "2d", "none"):
        answer(request(asked_names[::-1], window, dataset.scope), dataset)
        answer(request(("view", "cart|page", "check"), window, asked.scope), dataset)
    assert read == []


def test_a_small_answer_is_kept_until_a_relation_is_made_anew(kept: Dataset) -> None:
    for value in (1, 2):
        kept.remember("made", f"SELECT {value} AS one")
        for _ in range(2):
            assert kept.fetch("SELECT one FROM made") == [(value,)]
    # Whoever changes an answer in hand changes no other.
    kept.fetch("SELECT one FROM made").clear()
    assert kept.fetch("SELECT one FROM made") == [(2,)]


def test_a_range_is_read_from_files_until_its_events_are_asked_again(shop: Path) -> None:
    dataset = open_shop(shop)
    paths = []
    for days in ("2d", "3d", "2d"):
        answer(request(STEPS, "1d", replace(dataset.scope, last=days)), dataset)
        paths.append(dataset.stats()["path"])
    assert paths == ["files", "lanes", "lanes"]


def test_stats_say_where_the_events_came_from(workbench: Command, shop: Path) -> None:
    steps = [word for step in STEPS for word in ("--step", step)]
    for more, path in (((), "lanes"), (("--where", "channel = 'app'"), "files"), (("--last", "2d"), "files")):
        ran = workbench("funnel", "--data", str(shop), *steps, *more, "--stats", "--json")
        assert json.loads(ran.err.splitlines()[-1])["path"] == path


# --- the cache --------------------------------------------------------------------------------------------------


def survey(last: int = 99, codes: int = 4) -> Survey:
    return Survey(8, codes, codes, 0, last, last, (), ())


def batches(rows: list[tuple[int, int, int]], asked: list[str] | None = None) -> Any:
    def stream(sql: str) -> Iterator[Columns]:
        if asked is not None:
            asked.append(sql)
        for part in (rows[:2], rows[2:]):
            columns = np.array(part, np.int64).reshape(-1, 3).T
            yield dict(zip(("person", "ts", "lane"), columns, strict=True))

    return stream


ROWS = [(2, 9, 0), (1, 5, 1), (1, 7, 0), (0, 3, 1), (2, 1, 0)]


def test_lanes_are_ascending_by_person_and_time() -> None:
    cache = LaneCache(1 << 20)
    lanes = cache.of(["a", "b", "c"], survey(), batches(ROWS), make=True)
    assert lanes is not None
    a = key(np.array([1, 2, 2]), np.array([7, 1, 9]), 0)
    assert {name: keys.tolist() for name, keys in lanes.keys.items()} == {
        "a": a.tolist(),
        "b": key(np.array([0, 1]), np.array([3, 5]), 0).tolist(),
        "c": [],
    }
    assert cache.bytes == 40


def test_lanes_asked_for_least_recently_are_dropped_first() -> None:
    cache = LaneCache(8 * 7)
    asked: list[str] = []
    one = [(0, 1, 0), (1, 2, 0), (2, 3, 0)]
    for name in ("a", "b", "a", "c", "a", "b"):
        assert cache.of([name], survey(), batches(one, asked), make=True) is not None
    assert asked == [lanes_sql([name]) for name in ("a", "b", "c", "b")]
    assert cache.bytes <= 8 * 7


def test_lanes_past_the_memory_are_not_made_and_not_tried_again() -> None:
    cache = LaneCache(8 * 4)
    asked: list[str] = []
    for _ in range(2):
        assert cache.of(["a", "b"], survey(), batches(ROWS, asked), make=True) is None
    assert (len(asked), cache.bytes) == (1, 0)


@pytest.mark.parametrize(
    ("last", "codes", "rows", "is_in"),
    [
        (7, 3, ROWS[3:4], True),
        (8, 3, ROWS[3:4], False),
        (7, 4, ROWS[3:4], False),
        # What the survey did not say is not folded either.
        (7, 3, [(0, 8, 0)], False),
        (7, 3, [(4, 1, 0)], False),
        (7, 3, [(0, -1, 0)], False),
    ],
)
def test_what_is_too_wide_for_lanes_is_read_from_files(
    last: int, codes: int, rows: list[tuple[int, int, int]], is_in: bool
) -> None:
    cache = LaneCache(1 << 20, time_bits=3, person_bits=2)
    assert (cache.of(["a", "b"], survey(last, codes), batches(rows), make=True) is not None) is is_in


def test_a_dataset_too_wide_for_lanes_answers_from_files(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_shop(shop)
    dataset._lanes = LaneCache(1 << 20, person_bits=3)
    asked = request(STEPS, "1d", dataset.scope)
    for _ in range(2):
        assert_same(dataset, asked, monkeypatch, "files")


def test_a_pass_that_is_stopped_leaves_nothing_behind() -> None:
    def broken(sql: str) -> Iterator[Columns]:
        yield from batches(ROWS)(sql)
        raise QuestionError("stopped")

    cache = LaneCache(1 << 20)
    with pytest.raises(QuestionError):
        cache.of(["a", "b"], survey(), broken, make=True)
    assert cache.bytes == 0
    assert cache.of(["a", "b"], survey(), batches(ROWS), make=True) is not None


def test_names_are_quoted_in_the_select() -> None:
    assert "'it''s'" in lanes_sql(["it's"])
