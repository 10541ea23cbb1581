"""Lanes on disk against sorted lists of tuples: what is written, merged and opened is exactly the events."""

from __future__ import annotations

import json
import random
import resource
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.kernels.funnel import Folded
from queries.kernels.lanes import Funnel, Lanes
from queries.kernels.lanes_fold import fold
from queries.kernels.rule import Rule
from workbench.errors import Damaged
from workbench.store import lane_files
from workbench.store.lane_files import LaneIndex, OpenLanes, open_lanes, widths, write
from workbench.store.lane_merging import merge

DAY = 86_400_000
BASE = 20_000 * DAY
HOSTILE = ["", "\n", "a\nb", "'", '"; DROP TABLE events; --', "\\", "\x00", "😀", "😀\u200d", "é", "e\u0301", "\ud800",
           "�", "\uffff", "name", "Name", " name", "a" * 5000]  # fmt: skip
Event = tuple[int, int, str]
"""Person, time, name."""


def batches(
    events: Sequence[Event], names: Sequence[str], size: int, kind: type[Any] = np.int64
) -> Iterator[tuple[Any, Any, Any]]:
    place = {name: number for number, name in enumerate(names)}
    for start in range(0, len(events), size):
        some = events[start : start + size]
        yield (
            np.array([person for person, _, _ in some], kind),
            np.array([ts for _, ts, _ in some], np.int64),
            np.array([place[name] for _, _, name in some], kind),
        )


def written(
    folder: Path,
    events: Sequence[Event],
    names: Sequence[str] | None = None,
    *,
    base: int = BASE,
    time_bits: int = 36,
    person_bits: int = 27,
    size: int = 7,
) -> OpenLanes:
    folder.mkdir()
    names = list(dict.fromkeys(name for _, _, name in events)) if names is None else names
    counts = [sum(name == one for _, _, name in events) for one in names]
    index = write(
        folder,
        batches(events, names, size),
        names,
        counts,
        base,
        time_bits=time_bits,
        person_bits=person_bits,
    )
    lanes = open_lanes(folder)
    assert lanes.index == index
    return lanes


def content(lanes: OpenLanes) -> dict[str, list[tuple[int, int]]]:
    """Person and time by name, in the order of the file."""
    bits = lanes.index.time_bits
    keys = lanes.of(lanes.index.names).keys
    return {
        name: [((k >> bits), (k & ((1 << bits) - 1)) + lanes.index.base) for k in keys[name].tolist()]
        for name in lanes.index.names
    }


def expected(events: Sequence[Event]) -> dict[str, list[tuple[int, int]]]:
    found = defaultdict(list)
    for person, ts, name in events:
        found[name].append((person, ts))
    return {name: sorted(found[name]) for name in sorted(found)}


def drawn(chance: random.Random, names: Sequence[str], count: int, people: int = 12) -> list[Event]:
    # Few times, so that many keys are equal.
    return sorted(
        (chance.randrange(people), BASE + chance.choice([0, 1, 2, 5, DAY]), chance.choice(names))
        for _ in range(count)
    )


def exactly(lanes: OpenLanes, events: Sequence[Event]) -> None:
    found = content(lanes)
    assert found == expected(events)
    assert list(found) == sorted(found)
    assert lanes.bytes == 8 * len(events)
    assert tied(lanes) == shared(events)


def shared(events: Sequence[Event]) -> list[tuple[int, int]]:
    counts = Counter((person, ts) for person, ts, _ in events)
    return sorted(one for one, count in counts.items() if count > 1)


def tied(lanes: OpenLanes) -> list[tuple[int, int]]:
    assert lanes.ties is not None
    bits, base = lanes.index.time_bits, lanes.index.base
    return [((k >> bits), (k & ((1 << bits) - 1)) + base) for k in lanes.ties.tolist()]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("block", [1, 3, 1 << 18])
def test_what_is_written_is_what_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, block: int
) -> None:
    monkeypatch.setattr(lane_files, "_WRITTEN_KEYS", block)
    chance = random.Random(seed)
    names = chance.sample(HOSTILE, chance.randint(1, len(HOSTILE)))
    events = drawn(chance, names, chance.randint(0, 120))
    exactly(written(tmp_path / "lanes", events, names, size=chance.randint(1, 40)), events)


@pytest.mark.parametrize("block", [2, 1 << 18])
def test_runs_one_after_the_other_are_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(lane_files, "_WRITTEN_KEYS", block)
    chance = random.Random(5)
    events = [event for _ in range(3) for event in drawn(chance, ["b", "a", "c"], 50)]
    # One lane alone out of order, its last key before its first.
    events += [(900, BASE, "z"), (0, BASE, "z")]
    exactly(written(tmp_path / "lanes", events), events)


def test_runs_that_end_where_blocks_do_are_sorted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_files, "_WRITTEN_KEYS", 4)
    events = [(person, BASE, "a") for person in (5, 6, 7, 8, 1, 2, 3, 4)]
    exactly(written(tmp_path / "lanes", events), events)


def test_narrow_columns_and_empty_batches(tmp_path: Path) -> None:
    events = drawn(random.Random(1), ["a", "b"], 30, people=2000)
    names = ["b", "a"]
    counts = [sum(name == one for _, _, name in events) for one in names]
    none = np.empty(0, np.int32)
    stream = [(none, none, none), *batches(events, names, 4, np.int16), (none, none, none)]
    told: list[int] = []
    write(tmp_path, stream, names, counts, BASE, progress=told.append)
    exactly(open_lanes(tmp_path), events)
    assert told == [30]


def test_no_events_at_all(tmp_path: Path) -> None:
    lanes = written(tmp_path / "lanes", [], ["a", "b"])
    assert lanes.index == LaneIndex(BASE, 36, 27, (), (0,), ties=0)
    assert lanes.of(["a"]).keys["a"].tolist() == []
    (tmp_path / "merged").mkdir()
    assert merge(tmp_path / "merged", [lanes, lanes], [None, None], base=BASE).names == ()
    (tmp_path / "nothing").mkdir()
    assert merge(tmp_path / "nothing", [], [], base=BASE) == lanes.index


def test_a_hundred_thousand_names(tmp_path: Path) -> None:
    count = 100_000
    rng = np.random.default_rng(2)
    code = np.concatenate([rng.permutation(count), rng.integers(0, count, 50_000)])
    person = np.arange(len(code)) // 10
    ts = BASE + np.arange(len(code))
    names = [f"event {number:06d}" for number in range(count)]
    (tmp_path / "one").mkdir()
    write(tmp_path / "one", [(person, ts, code)], names, np.bincount(code).tolist(), BASE)
    lanes = open_lanes(tmp_path / "one")
    order = np.lexsort((ts, person, code))
    assert (lanes.keys == ((person << 36) | (ts - BASE))[order]).all()
    assert lanes.index.names == tuple(names)
    assert lanes.index.starts == (0, *np.cumsum(np.bincount(code)).tolist())
    dead = np.arange(0, len(code) // 10, 3)
    (tmp_path / "two").mkdir()
    merge(tmp_path / "two", [lanes, lanes], [dead, np.arange(5000)], base=BASE)
    kept = np.concatenate([order[person[order] % 3 != 0], order[person[order] >= 5000]])
    kept = kept[np.lexsort((ts[kept], person[kept], code[kept]))]
    again = open_lanes(tmp_path / "two")
    assert (again.keys == ((person << 36) | (ts - BASE))[kept]).all()
    assert again.index.names == tuple(names[number] for number in np.unique(code[kept]))
    assert again.index.starts[1:] == tuple(np.cumsum(np.unique(code[kept], return_counts=True)[1]).tolist())


REFUSED = {
    "more": ([(1, BASE, "a"), (1, BASE, "a")], [1, 0], "more events"),
    "others": ([(1, BASE, "a")], [0, 1], "more events"),
    "fewer": ([(1, BASE, "a")], [1, 1], "fewer events"),
    "none": ([], [1, 0], "fewer events"),
    "early": ([(1, BASE - 1, "a")], [1, 0], "time"),
    "late": ([(1, BASE + 16, "a")], [1, 0], "time"),
    "wide": ([(8, BASE, "a")], [1, 0], "person"),
    "negative": ([(-1, BASE, "a")], [1, 0], "person"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_events_than_announced_are_refused(tmp_path: Path, case: str) -> None:
    events, counts, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        write(tmp_path, batches(events, ["a", "b"], 1), ["a", "b"], counts, BASE, time_bits=4, person_bits=3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [-1, 2])
def test_unknown_numbers_of_names_are_refused(tmp_path: Path, code: int) -> None:
    one = np.array([1])
    with pytest.raises(ValueError, match="announced"):
        write(tmp_path, [(one, one + BASE, np.array([code]))], ["a", "b"], [1, 1], BASE)
    with pytest.raises(ValueError, match="length"):
        write(tmp_path, [(one, one + BASE, np.array([0, 0]))], ["a", "b"], [1, 1], BASE)
    with pytest.raises(ValueError, match="twice"):
        write(tmp_path, [], ["a", "a"], [1, 1], BASE)
    assert list(tmp_path.iterdir()) == []


def test_the_widest_keys_are_held(tmp_path: Path) -> None:
    events = [(0, BASE, "a"), (7, BASE + 15, "a")]
    exactly(written(tmp_path / "small", events, time_bits=4, person_bits=3), events)
    events = [(0, BASE, "a"), ((1 << 27) - 1, BASE + (1 << 36) - 1, "a")]
    lanes = written(tmp_path / "large", events)
    exactly(lanes, events)
    (tmp_path / "merged").mkdir()
    merge(
        tmp_path / "merged",
        [lanes, lanes],
        [np.array([0]), np.array([(1 << 27) - 1])],
        base=BASE,
        block_keys=1,
    )
    exactly(open_lanes(tmp_path / "merged"), events)


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    events = drawn(random.Random(4), ["a", "b"], 100)
    counts = [sum(name == one for _, _, name in events) for one in ("a", "b")]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write(tmp_path, batches(events, ["a", "b"], 7), ["a", "b"], counts, BASE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_the_dead_are_left_out_from_their_first_key_to_their_last(tmp_path: Path) -> None:
    events = [(person, BASE + ts, "a") for person in (3, 4, 5) for ts in (0, 1, 14, 15, 15) for _ in range(5)]
    lanes = written(tmp_path / "lanes", events, time_bits=4, person_bits=3)
    for person in (3, 4, 5, 6):
        folder = tmp_path / f"without {person}"
        folder.mkdir()
        merge(folder, [lanes], [np.array([person])], base=BASE, time_bits=4, person_bits=3)
        exactly(open_lanes(folder), [event for event in events if event[0] != person])


def test_blocks_of_parts_with_other_bases_end_with_a_person(tmp_path: Path) -> None:
    later = [(person, BASE + ts, "a") for person in range(9) for ts in (0, 4)]
    earlier = [(person, BASE + ts, "a") for person in range(9) for ts in (-5, -1, 0, 9)]
    parts = [
        written(tmp_path / "later", later),
        written(tmp_path / "earlier", earlier, base=BASE - 5, time_bits=20),
    ]
    (tmp_path / "merged").mkdir()
    merge(tmp_path / "merged", parts, [None, None], base=BASE - 100, block_keys=1)
    exactly(open_lanes(tmp_path / "merged"), later + earlier)


def test_memory_is_bounded_by_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_files, "_WRITTEN_KEYS", 1 << 12)
    count = 1_000_000
    size = 1 << 12

    def stream() -> Iterator[tuple[Any, Any, Any]]:
        for start in range(0, count, size):
            place = np.arange(start, min(start + size, count))
            yield place // 5, place + BASE, place % 2

    def peak(work: Callable[[], LaneIndex]) -> int:
        tracemalloc.start()
        try:
            assert work().starts == (0, count // 2, count)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    names, counts = ["a", "b"], [count // 2, count // 2]
    assert peak(lambda: write(tmp_path / "one", stream(), names, counts, BASE)) < 8 * count * 5 / 4
    lanes = open_lanes(tmp_path / "one")
    halves = np.arange(0, count // 5, 2), np.arange(1, count // 5, 2)
    merging = peak(lambda: merge(tmp_path / "two", [lanes, lanes], halves, base=BASE, block_keys=size))
    assert merging < 8 * count / 4
    assert (open_lanes(tmp_path / "two").keys == lanes.keys).all()


def test_what_stops_a_write_leaves_nothing(tmp_path: Path) -> None:
    def stops(done: int) -> None:
        raise KeyboardInterrupt

    events = [(1, BASE, "a")]
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, batches(events, ["a"], 1), ["a"], [1], BASE, progress=stops)
    lanes = written(tmp_path / "lanes", events)
    (tmp_path / "merged").mkdir()
    with pytest.raises(KeyboardInterrupt):
        merge(tmp_path / "merged", [lanes], [None], base=BASE, progress=stops)
    assert list((tmp_path / "merged").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_lanes_that_are_there_are_never_written_again(tmp_path: Path) -> None:
    events = [(1, BASE, "a")]
    lanes = written(tmp_path / "lanes", events)
    with pytest.raises(FileExistsError):
        merge(tmp_path / "lanes", [lanes], [None], base=BASE)
    with pytest.raises(FileExistsError):
        write(tmp_path / "lanes", [], [], [], BASE)
    exactly(open_lanes(tmp_path / "lanes"), events)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("block", [1, 4, 30, 1 << 18])
def test_merged_is_the_union_without_the_dead(tmp_path: Path, seed: int, block: int) -> None:
    chance = random.Random(seed)
    parts, dead_of, kept = [], [], []
    for number in range(chance.randint(1, 4)):
        names = chance.sample(HOSTILE, chance.choice([1, 2, len(HOSTILE)]))
        people = chance.choice([1, 3, 40, 5000])
        events = drawn(chance, names, chance.randint(0, 150), people)
        dead = sorted(chance.sample(range(people + 2), chance.choice([0, 1, (people + 2) // 3, people])))
        # Parts with other bases and other bits than the result.
        other: dict[str, Any] = (
            {"base": BASE - 3, "time_bits": 28, "person_bits": 14} if chance.random() < 0.4 else {}
        )
        parts.append(written(tmp_path / str(number), events, **other))
        if chance.random() < 0.1:
            # As stores of before have them.
            parts[-1] = replace(parts[-1], ties=None)
        dead_of.append(None if chance.random() < 0.3 else np.array(dead, np.int64))
        gone = set() if dead_of[-1] is None else set(dead)
        kept += [event for event in events if event[0] not in gone]
    target: dict[str, Any] = chance.choice(
        [
            {"base": BASE},
            {"base": BASE - 9, "time_bits": 30, "person_bits": 13},
            {"base": BASE, "time_bits": 40, "person_bits": 20},
        ]
    )
    (tmp_path / "merged").mkdir()
    told: list[int] = []
    index = merge(tmp_path / "merged", parts, dead_of, block_keys=block, progress=told.append, **target)
    merged = open_lanes(tmp_path / "merged")
    assert merged.index == index
    assert (index.base, index.time_bits) == (target["base"], target.get("time_bits", 36))
    assert told == sorted(told)
    assert told[-1:] in ([], [sum(len(part.keys) for part in parts)])
    exactly(merged, kept)


@pytest.mark.parametrize("seed", range(20))
def test_ties_of_a_day_and_of_all_before_it(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)

    def some(count: int, low: int, high: int) -> list[Event]:
        drawn = [
            (chance.randrange(9), BASE + chance.randint(low, high), chance.choice("ab")) for _ in range(count)
        ]
        return sorted(drawn)

    late = chance.choice([0, 1, 40, 200])
    days = [
        some(chance.choice([20, 900]), 0, 200),
        some(chance.choice([8, 30, 300]), 200 - late, 260),
        some(9, 201, 999),
    ]
    parts = [written(tmp_path / str(number), day) for number, day in enumerate(days)]
    dead = np.array(sorted(chance.sample(range(9), 4)))
    (tmp_path / "merged").mkdir()
    merge(tmp_path / "merged", parts, [dead, None, None], base=BASE)
    exactly(
        open_lanes(tmp_path / "merged"),
        [event for event in days[0] if event[0] not in dead] + days[1] + days[2],
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_merge(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("lanes")
    one = st.tuples(st.integers(0, 6), st.integers(BASE, BASE + 3), st.sampled_from(["", "a", "b", "c"]))
    runs = data.draw(st.lists(st.lists(one, max_size=25), min_size=1, max_size=3))
    gone = [data.draw(st.sets(st.integers(0, 7))) for _ in runs]
    parts = [written(folder / str(number), events) for number, events in enumerate(runs)]
    dead_of = [np.array(sorted(people), np.int64) for people in gone]
    (folder / "merged").mkdir()
    merge(folder / "merged", parts, dead_of, base=BASE, block_keys=data.draw(st.integers(1, 20)))
    kept = [
        event for events, people in zip(runs, gone, strict=True) for event in events if event[0] not in people
    ]
    exactly(open_lanes(folder / "merged"), kept)


@pytest.mark.parametrize(
    "target",
    [
        {"base": BASE + 1},
        {"base": BASE, "time_bits": 26},
        {"base": BASE, "person_bits": 3},
        {"base": BASE, "time_bits": 40, "person_bits": 3},
    ],
)
@pytest.mark.parametrize("block", [1, 1 << 18])
def test_keys_that_the_result_cannot_hold_are_refused(
    tmp_path: Path, target: dict[str, Any], block: int
) -> None:
    lanes = written(tmp_path / "lanes", [(1, BASE, "a"), (8, BASE + DAY, "a"), (3, BASE + 1, "b")])
    (tmp_path / "merged").mkdir()
    with pytest.raises(ValueError, match=r"event|person"):
        merge(tmp_path / "merged", [lanes], [None], block_keys=block, **target)
    assert list((tmp_path / "merged").iterdir()) == []


@pytest.mark.parametrize(("time_bits", "person_bits"), [(37, 27), (0, 27), (36, 0), (-1, 63)])
def test_impossible_widths_are_refused(tmp_path: Path, time_bits: int, person_bits: int) -> None:
    bits: dict[str, Any] = {"time_bits": time_bits, "person_bits": person_bits}
    with pytest.raises(ValueError, match="wide"):
        write(tmp_path, [], [], [], BASE, **bits)
    with pytest.raises(ValueError, match="wide"):
        merge(tmp_path, [], [], base=BASE, **bits)
    assert list(tmp_path.iterdir()) == []


def test_one_list_of_dead_people_a_part(tmp_path: Path) -> None:
    lanes = written(tmp_path / "lanes", [(1, BASE, "a")])
    (tmp_path / "merged").mkdir()
    with pytest.raises(ValueError):
        merge(tmp_path / "merged", [lanes, lanes], [None], base=BASE)


def test_lanes_asked_for(tmp_path: Path) -> None:
    events = [(1, BASE + 2, "b"), (1, BASE + 3, "d"), (2, BASE, "b")]
    lanes = written(tmp_path / "lanes", events, time_bits=40, person_bits=20)
    found = lanes.of(["d", "", "b", "c", "e", "a"])
    assert (found.base, found.time_bits) == (BASE, 40)
    assert {name: keys.tolist() for name, keys in found.keys.items()} == {
        "d": [(1 << 40) + 3],
        "": [],
        "b": [(1 << 40) + 2, 2 << 40],
        "c": [],
        "e": [],
        "a": [],
    }
    assert all(type(keys) is np.ndarray and keys.dtype == np.int64 for keys in found.keys.values())
    with pytest.raises(ValueError):
        found.keys["b"][0] = 1


def test_lanes_stay_readable_when_their_folder_is_deleted(tmp_path: Path) -> None:
    events = [(1, BASE, "a"), (2, BASE, "a")]
    lanes = written(tmp_path / "lanes", events)
    for path in (tmp_path / "lanes").iterdir():
        path.unlink()
    exactly(lanes, events)


def spoiled(**changed: object) -> str:
    index = {"base": BASE, "time_bits": 36, "person_bits": 27, "names": ["a", "b"], "starts": [0, 1, 3]}
    return json.dumps({**index, **changed})


DAMAGED = {
    "no json": "",
    "half of it": spoiled()[:-9],
    "not text": "\xff",
    "deep": "[" * 100_000,
    "a list": "[]",
    "nothing": "{}",
    "more": spoiled(more=1),
    "a float": spoiled(starts=[0, 1.0, 3]),
    "a truth": spoiled(starts=[0, True, 3]),
    "a text": spoiled(base="0"),
    "a number": spoiled(names=["a", 1]),
    "no list": spoiled(names=None),
    "a start too few": spoiled(starts=[0, 3]),
    "no start": spoiled(names=[], starts=[]),
    "late start": spoiled(starts=[1, 2, 3]),
    "empty lane": spoiled(starts=[0, 3, 3]),
    "backwards": spoiled(starts=[0, 4, 3]),
    "out of order": spoiled(names=["b", "a"]),
    "twice": spoiled(names=["a", "a"]),
    "too wide": spoiled(time_bits=37),
    "no bits": spoiled(time_bits=0),
    "another size": spoiled(starts=[0, 1, 4]),
    "more ties": spoiled(ties=2),
    "half a tie": spoiled(ties=1.0),
}


def damaged(folder: Path) -> None:
    with pytest.raises(Damaged) as told:
        open_lanes(folder)
    assert str(folder) in told.value.message
    assert "\n" not in told.value.message
    assert len(told.value.message) < 300
    assert told.value.hint


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_index_is_told(tmp_path: Path, case: str) -> None:
    events = [(1, BASE, "a"), (1, BASE, "b"), (2, BASE, "b")]
    written(tmp_path / "lanes", events)
    (tmp_path / "lanes" / "lanes.json").write_text(spoiled())
    # So do stores of before look: nobody looked for their ties.
    assert open_lanes(tmp_path / "lanes").ties is None
    (tmp_path / "lanes" / "lanes.json").write_text(spoiled(ties=1))
    exactly(open_lanes(tmp_path / "lanes"), events)
    (tmp_path / "lanes" / "lanes.json").write_text(DAMAGED[case], "latin-1")
    damaged(tmp_path / "lanes")


@pytest.mark.parametrize("size", [0, 8, 23, 25, 32])
def test_keys_cut_off_are_told(tmp_path: Path, size: int) -> None:
    written(tmp_path / "lanes", [(1, BASE, "a"), (1, BASE, "b"), (2, BASE, "b")])
    path = tmp_path / "lanes" / "lanes.bin"
    assert path.stat().st_size == 24
    path.write_bytes((path.read_bytes() + bytes(8))[:size])
    damaged(tmp_path / "lanes")


@pytest.mark.parametrize("name", ["lanes.bin", "lanes.json", "ties.bin"])
def test_missing_files_are_told(tmp_path: Path, name: str) -> None:
    written(tmp_path / "lanes", [(1, BASE, "a"), (1, BASE, "b")])
    (tmp_path / "lanes" / name).unlink()
    damaged(tmp_path / "lanes")


def test_the_usual_widths() -> None:
    assert widths(1000, BASE + 5, BASE + 90 * DAY) == (BASE, 36, 27)
    assert widths(1000, -1, 0) == (-DAY, 36, 27)
    assert widths((1 << 27) - 1, BASE + 5, BASE + (1 << 36) - 1) == (BASE, 36, 27)
    # Ten years; a bit to grow.
    assert widths(1000, BASE + 5, BASE + 3650 * DAY) == (BASE, 40, 23)
    # Two hundred million people in half a year.
    assert widths(200_000_000, BASE, BASE + 180 * DAY) == (BASE, 35, 28)
    assert widths(1 << 36, BASE, BASE + 180 * DAY) is None


@pytest.mark.parametrize(("time_bits", "person_bits"), [(4, 3), (2, 5)])
def test_widths_of_few_bits(monkeypatch: pytest.MonkeyPatch, time_bits: int, person_bits: int) -> None:
    monkeypatch.setattr(lane_files, "_DAY_MS", 4)
    total = time_bits + person_bits
    seen = set()
    for codes in range(1, 80):
        for first in range(4):
            for last in range(first, 140):
                found = widths(codes, first, last, time_bits=time_bits, person_bits=person_bits)
                holding = [
                    bits for bits in range(1, total) if last < 1 << bits and codes < 1 << (total - bits)
                ]
                if found is None:
                    assert not holding
                    seen.add("refused")
                    continue
                assert found[0] == 0
                assert sum(found[1:]) == total
                assert found[1] in holding
                if time_bits in holding:
                    assert found[1] == time_bits
                else:
                    # Room for twice the span, where there is any.
                    assert found[1] == min(holding[0] + 1, holding[-1])
                    seen.add("room" if len(holding) > 1 else "full")
    assert seen == {"refused", "room", "full"}


def test_what_an_index_holds() -> None:
    index = LaneIndex(100, 4, 3, (), (0,))
    assert index.holds(7, 100, 115)
    assert not index.holds(8, 100, 115)
    assert not index.holds(7, 99, 115)
    assert not index.holds(7, 100, 116)


STEPS: dict[str, Any] = {"steps": 3, "as_of": BASE + 4000}
RULES = {
    "no window": Rule(window=None, **STEPS),
    "window": Rule(window=700, **STEPS),
    "window wider than the keys": Rule(window=1 << 50, **STEPS),
    "strict ties": Rule(window=700, ties="strict", **STEPS),
    "first": Rule(window=700, entry="first", **STEPS),
    "every": Rule(window=700, entry="every", **STEPS),
    "every, wide": Rule(window=1 << 50, entry="every", **STEPS),
    "any order": Rule(window=700, order="any", **STEPS),
    "tolerance": Rule(window=700, tolerance=20, **STEPS),
    "whole range": Rule(window=700, range="whole", entry_from=BASE + 500, entry_to=BASE + 3000, **STEPS),
}


@pytest.mark.parametrize("name", RULES)
def test_a_funnel_is_the_same_whatever_the_bits_and_base(tmp_path: Path, name: str) -> None:
    chance = random.Random(name)
    people = [*range(60), (1 << 14) - 2]
    events = sorted(
        (chance.choice(people), BASE + chance.randrange(4000) // 10 * 10, chance.choice("abc"))
        for _ in range(2000)
    )
    asked = Funnel(RULES[name], (("a",), ("b",), ("c",)), low=BASE + 5, high=BASE + 3800)
    shapes = [(BASE, 36, 27), (BASE, 12, 14), (BASE - 50_000, 49, 14), (BASE - 90 * DAY, 48, 15)]
    told = []
    for number, (base, time_bits, person_bits) in enumerate(shapes):
        lanes = written(
            tmp_path / f"{number}", events, base=base, time_bits=time_bits, person_bits=person_bits
        )
        told.append(rows(lanes.of("abc"), asked))
    assert any(level == 3 for level in told[0][1].tolist())
    for others in told[1:]:
        for one, other in zip(told[0], others, strict=True):
            assert np.array_equal(one, other)


def rows(lanes: Lanes, asked: Funnel) -> tuple[Any, ...]:
    made = fold(lanes, asked, block_keys=200)
    order = np.lexsort((made.folded.reached[0], made.folded.person))
    folded: Folded = made.folded
    per_entry = (folded.level, folded.open, folded.strict_level, folded.person, folded.first_entry)
    return (
        folded.person[order],
        *(column[order] for column in per_entry),
        folded.reached[:, order],
        folded.tied_events,
        made.seen,
        made.unsettled,
    )
