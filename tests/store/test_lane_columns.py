"""Columns of lanes: their values are those of the events, and what is kept of them on the disk is read whole or not."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.funnel import answer, request
from queries.kernels.ordering import Ints
from queries.question import Scope
from queries.quoting import quote_identifier
from tests.store.making import Shop, open_store, random_rows
from workbench import lane_properties
from workbench.dataset import Dataset
from workbench.errors import Damaged
from workbench.limits import limits
from workbench.runner import Task
from workbench.store import lane_codes
from workbench.store.kept_columns import FOLDER, KeptColumns
from workbench.store.lane_codes import NO_COLUMN, Gathered, LaneColumn, Value, joined
from workbench.store.lane_columns import columns_of

ENOUGH = 1 << 40


def checked() -> None:
    """A question that nobody cancels."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    """A store of two imports: several runs, somebody whose rows in one are dead, equal times."""
    rng = random.Random(3)
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.want("value", "x y")
    shop.write("web/5.csv", random_rows(rng, 20))
    lonely = {"phone": None, "anonymous_id": "d99", "event": "view"}
    rows = [*random_rows(rng, 200), *({**row, **lonely, "user_id": None} for row in random_rows(rng, 9))]
    shop.write("shop/0.parquet", rows)
    shop.update(chunk_rows=80)
    # Now it is known whose device that is.
    shop.write("shop/1.parquet", [{**random_rows(rng, 1)[0], **lonely, "user_id": "u99"}])
    shop.update(chunk_rows=80)
    dataset = open_store(shop)
    dataset.survey()
    assert dataset._stored is not None
    assert any(run.dead for run in dataset._stored.manifest.runs)
    yield dataset
    dataset.engine.close()


def values_of(column: LaneColumn) -> list[Value | None]:
    return [(None, *column.values)[code] for code in column.codes.tolist()]


@pytest.mark.parametrize(("threads", "block_keys", "most_rows"), [(1, 1 << 18, ENOUGH), (3, 5, 50)])
def test_columns_hold_the_values_of_their_events(
    stored: Dataset, threads: int, block_keys: int, most_rows: int
) -> None:
    store = stored._stored
    assert store is not None
    lanes = store.lanes()
    assert lanes is not None
    pairs = [(event, name) for event in lanes.index.names for name in store.manifest.columns]
    found = columns_of(
        store, pairs, threads=threads, most_rows=most_rows, check=checked, block_keys=block_keys
    )
    small = [name for name, keys in lanes.of(lanes.index.names).keys.items() if len(keys) <= most_rows]
    assert set(found) == {pair for pair in pairs if pair[0] in small}
    for (event, name), column in found.items():
        keys = lanes.of([event]).keys[event]
        mask = (1 << lanes.index.time_bits) - 1
        people, times = keys >> lanes.index.time_bits, (keys & mask) + lanes.index.base
        rows = zip(people.tolist(), times.tolist(), values_of(column), strict=True)
        expected = stored.fetch(
            f"SELECT person, ts, {quote_identifier(name)} FROM events WHERE event = $event", {"event": event}
        )
        assert sorted(rows, key=repr) == sorted(expected, key=repr)


TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=2)), max_size=8)
WHOLE = st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62), st.integers(0, 9)), max_size=8)
REAL = st.lists(st.one_of(st.none(), st.floats()), max_size=8)


@given(st.data(), st.sampled_from([(TEXTS, pa.string()), (WHOLE, pa.int64()), (REAL, pa.float64())]))
def test_codes_stand_for_the_values_of_all_pieces(
    data: st.DataObject, kind: tuple[st.SearchStrategy[list[Value | None]], pa.DataType]
) -> None:
    pieces = data.draw(st.lists(kind[0], min_size=1, max_size=3))
    gathered, found, expected = Gathered(), [], []
    for piece in pieces:
        column = pa.array(piece, kind[1])
        rows: Ints = np.array([place for place in range(len(piece)) if data.draw(st.booleans())], np.int64)
        found.append(gathered.take(column.dictionary_encode() if kind[1] == pa.string() else column, rows))
        expected += [piece[row] for row in rows.tolist()]
    coded = gathered.coded(found)
    assert coded is not None
    assert len({repr(value) for value in coded.values}) == len(coded.values)
    codes = np.concatenate(coded.codes)
    # Signs of zero and what is no number are told apart.
    assert [repr(value) for value in values_of(LaneColumn(codes, coded.values, coded.kind))] == [
        repr(value) for value in expected
    ]


def test_what_has_no_codes_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_codes, "MOST_TEXTS", 2)
    monkeypatch.setattr(lane_codes, "MOST_NUMBERS", 2)
    every = np.arange(3)
    few, many = pa.array(["a", "b", "a"]), pa.array(["a", "b", "c"])
    whole = pa.array([1, 2, 3])
    for columns in ([few.dictionary_encode(), many.dictionary_encode()], [whole], [pa.array([True] * 3)]):
        gathered = Gathered()
        assert gathered.coded([gathered.take(column, every) for column in columns]) is None


def test_columns_together_have_a_code_for_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    rows = [(rng.choice((None, "a", "b")), rng.choice((None, 1, 2, 3))) for _ in range(9)]
    texts, numbers = Gathered(), Gathered()
    every = np.arange(len(rows))
    one = texts.coded([texts.take(pa.array([row[0] for row in rows]).dictionary_encode(), every)])
    two = numbers.coded([numbers.take(pa.array([row[1] for row in rows], pa.int64()), every)])
    assert one is not None
    assert two is not None
    columns = {
        name: LaneColumn(coded.codes[0], coded.values, coded.kind) for name, coded in (("x", one), ("y", two))
    }
    table = joined(columns)
    assert table is not None
    assert table.count == len(set(rows)) < 12
    assert [(table.values["x"][code], table.values["y"][code]) for code in table.codes.tolist()] == rows
    monkeypatch.setattr(lane_codes, "_WIDE", 5)
    assert joined(columns) is None


# --- on the disk ------------------------------------------------------------------------------------------------

COLUMN = LaneColumn(np.array([0, 1, 2, 2], np.uint8), ("a", "\0ü"), "VARCHAR")
PAIR = ("it's", "x y")


@pytest.fixture
def kept(stored: Dataset, tmp_path: Path) -> KeptColumns:
    assert stored._stored is not None
    files = KeptColumns(stored._stored, ENOUGH)
    files._root = tmp_path
    return files


def test_a_kept_column_is_read_as_it_was(kept: KeptColumns) -> None:
    odd = LaneColumn(COLUMN.codes, (-0.0, math.nan, math.inf, 0.1), "DOUBLE")
    for column in (COLUMN, odd):
        assert kept.put(PAIR, column)
        found = kept.get(PAIR, 4)
        assert found is not None
        assert (repr(found.values), found.kind) == (repr(column.values), column.kind)
        assert found.codes.itemsize == 1
        assert found.codes.tolist() == [0, 1, 2, 2]
    assert kept.get(PAIR, 3) is kept.get(("it's", "x"), 4) is None
    kept.put(PAIR, NO_COLUMN)
    assert kept.get(PAIR, 4) is NO_COLUMN


def test_a_damaged_column_is_not_read(kept: KeptColumns) -> None:
    kept.put(PAIR, COLUMN)
    (path,) = kept._root.glob(f"{FOLDER}/*")
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert kept.get(PAIR, 4) is None
        path.write_bytes(whole[:place])
        assert kept.get(PAIR, 4) is None


def test_columns_never_grow_past_the_lanes_and_the_quota(kept: KeptColumns) -> None:
    assert kept.put(PAIR, COLUMN)
    stale = kept._root / FOLDER / "0-0.bin"
    stale.write_bytes(b"of another manifest")
    kept._most_bytes = 400
    for number in range(9):
        assert kept.put(("view", str(number)), COLUMN)
    assert not stale.exists()
    assert sum(path.stat().st_size for path in stale.parent.iterdir()) <= 400
    assert kept.get(("view", "8"), 4) is not None
    kept._quota = 10
    assert not kept.put(PAIR, COLUMN)


def test_a_question_leaves_columns_for_the_next_and_needs_none(
    stored: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> list[object]:
        dataset = Dataset(stored.workspace, stored.scope, Task(), limits(None, 2))
        rows = list(answer(asked, dataset).rows)
        dataset.engine.close()
        return [rows, dataset.stats()["path"]]

    asked = request(("view: quantity = 2", "cart"), "1d", Scope(by="channel"))
    assert stored._stored is not None
    folder = stored._stored.root / FOLDER
    first = told()
    assert first[1] == "lanes"
    assert len(list(folder.iterdir())) == 2
    with monkeypatch.context() as patch:
        patch.setattr(lane_properties, "columns_of", None)
        assert told() == first
    shutil.rmtree(folder)
    monkeypatch.setattr(KeptColumns, "put", lambda *_: False)
    assert told() == first
    assert not folder.exists()


@pytest.mark.parametrize("kept_bytes", [0, 900])
def test_a_run_damaged_meanwhile_is_named(kept_bytes: int, tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("web/5.csv", random_rows(random.Random(1), 9))
    shop.write("shop/0.parquet", random_rows(random.Random(2), 60))
    shop.update()
    dataset = open_store(shop)
    dataset.survey()
    assert dataset._stored is not None
    (run,) = dataset._stored.root.glob("g*/run-*.parquet")
    run.write_bytes(run.read_bytes()[:kept_bytes])
    with pytest.raises(Damaged, match=run.name):
        answer(request(("view: quantity = 2", "cart"), "1d", Scope()), dataset)
    dataset.engine.close()
