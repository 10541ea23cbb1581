"""Tables: values come back as they were; order, filter and search hold over all rows, whatever the rows hold."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from queries.lazy_rows import ColumnRows, Values
from queries.question import Row, Shown
from workbench.output.cells import cell
from workbench.tables import Table


def shown(*keys: str, kind: Any = "text") -> list[Shown]:
    return [Shown(key, key, kind) for key in keys]


def column(table: Table, key: str) -> list[object]:
    return [row[key] for row in table.rows()]


def in_order(kind: Any, values: list[object], *, descending: bool = False) -> list[object]:
    rows = [{"v": value, "at": at} for at, value in enumerate(values)]
    return column(Table.of_rows(shown("v", kind=kind), rows).sorted("v", descending), "v")


# --- values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        [1, None, -3],
        [2**63, 1, None, -(2**70)],
        [1.5, None, 0.1 + 0.2],
        [1, 2.5, 3, None, 2**80],
        [True, None, False],
        ["a", None, "日本", "", "a\x00b", "\x1b[2J"],
        ["\ud800 half", "whole", "é"],
        [{"a": [1, None, {"b": "中"}]}, None, {}],
        [["x", "y"], [], None],
        [None, None],
        ["1", 1, 1.0, True, None, ["1"]],
        [Decimal("1.50"), Decimal("1.5"), None, Decimal("123456789012345678901234567890.12")],
    ],
)
def test_values_come_back_as_they_were(values: list[object]) -> None:
    table = Table.of_rows(shown("v"), [{"v": value} for value in values])
    back = column(table, "v")
    assert list(map(repr, back)) == list(map(repr, values))


def test_values_are_plain_and_keys_are_those_of_all_rows() -> None:
    rows: list[Row] = [{"b": float("nan"), "a": -0.0}, {"b": 1.0, "a": 2.0, "c": (1, 2)}]
    table = Table.of_rows(shown("a"), rows)
    assert table.keys == ("b", "a", "c")
    assert table.row(0) == {"a": 0.0, "b": None, "c": None}
    assert str(table.row(0)["a"]) == "0.0"
    assert table.row(1)["c"] == [1, 2]


def test_kinds_that_change_late_change_nothing_before() -> None:
    values: list[object] = [*range(20_000), 0.5, "word", None]
    table = Table.of_rows(shown("v"), ({"v": value} for value in values))
    assert column(table, "v") == values
    assert [type(value) for value in column(table, "v")] == [type(value) for value in values]


def test_texts_are_the_cells_of_tables() -> None:
    columns = [
        Shown("name", "name", cells=5),
        Shown("rate", "rate", "rate"),
        Shown("low", "between", "interval", high="high"),
        Shown("n", "n", "integer", words=(("other", "Other"),), marks=(("open", "open"),)),
    ]
    rows = [
        {
            "name": "a long\x1b name",
            "rate": 0.5,
            "low": 0.1,
            "high": 0.2,
            "n": 5,
            "other": False,
            "open": True,
        },
        {"name": None, "rate": None, "low": None, "high": None, "n": 5, "other": True, "open": None},
    ]
    expected = [[cell(row, one) for one in columns] for row in rows]
    assert Table.of_rows(columns, rows).texts(0, 99) == expected
    assert expected[0][3] == "5 (open)"


def test_a_place_that_is_not_there_is_an_error() -> None:
    table = Table.of_rows(shown("v"), [{"v": 1}])
    for place in (1, -1):
        with pytest.raises(IndexError):
            table.row(place)


# --- order --------------------------------------------------------------------------------------------------


def test_numbers_sort_as_numbers_and_null_is_last_both_ways() -> None:
    assert in_order("integer", [10, None, 9, -1]) == [-1, 9, 10, None]
    assert in_order("integer", [10, None, 9, -1], descending=True) == [10, 9, -1, None]
    assert in_order("number", [1.5, None, 1, 10, 0.5], descending=True) == [10, 1.5, 1, 0.5, None]
    large = [2**63 + 1, 2**63, None, 5]
    assert in_order("integer", large) == [5, 2**63, 2**63 + 1, None]
    decimals = [Decimal("10.01"), Decimal("9.5"), None, Decimal("10.010000001")]
    assert in_order("exact", decimals) == [decimals[1], decimals[0], decimals[3], None]


def test_text_sorts_by_code_point() -> None:
    assert in_order("text", ["b", "B", "é", "a", "中", "10", "9", None, "\U0001f600", "￥"]) == [
        *("10", "9", "B", "a", "b", "é", "中", "￥", "\U0001f600", None)
    ]


def test_times_sort_by_instant_across_a_change_of_offset() -> None:
    before, after = "2026-10-25T02:30:00.000+02:00", "2026-10-25T02:10:00.000+01:00"
    assert in_order("time", [after, "no time", before, None]) == [before, after, "no time", None]
    assert in_order("time", [after, "no time", before, None], descending=True) == [
        after,
        before,
        "no time",
        None,
    ]


def test_values_of_several_kinds_have_an_order() -> None:
    assert in_order("json", ["b", 2, None, ["x"], "a", 1.5]) == [1.5, 2, "a", "b", ["x"], None]
    assert in_order("json", ["b", 2, None, ["x"]], descending=True) == [["x"], "b", 2, None]


@pytest.mark.parametrize(
    "values", [[1, 2, None], ["x", "y", None], [1, "x", None], [Decimal(1), Decimal(2), None]]
)
@pytest.mark.parametrize("descending", [False, True])
def test_equal_values_keep_their_order(values: list[object], descending: bool) -> None:
    chance = random.Random(5)
    rows: list[Row] = [{"v": chance.choice(values), "at": at} for at in range(500)]
    seen = list(Table.of_rows(shown("v"), rows).sorted("v", descending).rows())
    for value in values:
        places = [row["at"] for row in seen if row["v"] == value]
        assert places == sorted(places, key=int)  # type: ignore[call-overload]
        assert len(places) > 50


def test_sorting_by_a_key_nobody_has_changes_nothing() -> None:
    table = Table.of_rows(shown("v", "empty"), [{"v": 2, "empty": None}, {"v": 1, "empty": None}])
    assert column(table.sorted("nobody"), "v") == [2, 1]
    assert column(table.sorted("empty", True), "v") == [2, 1]


def test_the_third_sort_is_the_order_of_the_answer() -> None:
    table = Table.of_rows(shown("v"), [{"v": 2}, {"v": 1}])
    assert column(table.sorted("v").sorted("v", True), "v") == [2, 1]
    assert table.sorted("v").sorted(None) is table


# --- filter and find ------------------------------------------------------------------------------------------


def people(count: int = 100) -> Table:
    rows = [
        {"name": f"User {at}", "n": at * 1000, "city": ["Köln", "上海", None][at % 3]} for at in range(count)
    ]
    return Table.of_rows([Shown("name", "name"), Shown("n", "n", "integer"), Shown("city", "city")], rows)


def test_filter_keeps_rows_that_show_the_text_capitals_or_not() -> None:
    table = people()
    assert column(table.filtered("user 9"), "name") == ["User 9", *(f"User 9{digit}" for digit in range(10))]
    assert len(table.filtered("上海")) == 33
    assert len(table.filtered("KÖLN")) == 34
    assert column(table.filtered("12,000"), "name") == ["User 12"]
    assert (len(table.filtered("nobody")), table.filtered("nobody").total) == (0, 100)
    assert table.filtered("") is table


def test_sort_and_filter_hold_together_in_any_order() -> None:
    table = people()
    one = table.sorted("n", True).filtered("上海")
    other = table.filtered("上海").sorted("n", True)
    assert (
        column(one, "n") == column(other, "n") == sorted((at * 1000 for at in range(1, 100, 3)), reverse=True)
    )
    assert column(one.filtered("user 1"), "name")[:2] == ["User 19", "User 18"]
    assert column(one.sorted(None), "n") == list(range(1000, 100_000, 3000))
    assert (one.number(0), one.place(97), one.place(0)) == (97, 0, None)


def test_find_goes_on_round_the_other_end() -> None:
    table = people()
    assert table.find("user 5", 0) == 5
    assert table.find("user 5", 6) == 50
    assert table.find("user 5", 60) == 5
    assert table.find("user 5", 100) == 5
    assert table.find("user 5", 49, -1) == 5
    assert table.find("user 5", 4, -1) == 59
    assert table.find("user 5", -1, -1) == 59
    assert table.find("nobody", 0) is None
    assert table.sorted("n", True).find("user 5", 0) == 40
    assert table.found("user 5") == 11


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE answer; --", "100%", "a_b", "back\\slash", "$text", "?", '"', "[/red]"]
)
def test_fault_075_texts_are_found_as_they_are(text: str) -> None:
    rows = [{"v": "100 x"}, {"v": "axb"}, {"v": f"is {text} here"}, {"v": "backslash"}]
    table = Table.of_rows(shown("v"), rows)
    assert [table.filtered(text).number(place) for place in range(len(table.filtered(text)))] == [2]
    assert table.find(text.upper(), 0) == 2


@pytest.mark.parametrize(
    "key", ['a"; DROP TABLE answer; --', "", "select", "c0", "number", "a\x00b", "x" * 5000, "列"]
)
def test_any_key_can_be_sorted_and_searched(key: str) -> None:
    rows = [{key: "b", key.upper() + "2": 1}, {key: "a", key.upper() + "2": 2}]
    table = Table.of_rows(shown(key), rows)
    assert column(table.sorted(key), key) == ["a", "b"]
    assert table.find("A", 0) == 1


def test_keys_that_differ_in_capitals_alone_are_two() -> None:
    table = Table.of_rows(shown("a", "A"), [{"a": 1, "A": 2}, {"a": 2, "A": 1}])
    assert column(table.sorted("A"), "a") == [2, 1]


def every_kind(count: int) -> tuple[list[Shown], list[Row]]:
    chance = random.Random(11)

    def maybe(value: object) -> object:
        return None if chance.random() < 0.1 else value

    columns = [
        Shown("text", "t", words=(("word", "All"),), marks=(("mark", "open"),)),
        Shown("cut", "t", cells=6),
        Shown("whole", "n", "integer", null="never"),
        Shown("number", "n", "number"),
        Shown("rate", "r", "rate"),
        Shown("percent", "p", "percent"),
        Shown("seconds", "s", "seconds"),
        Shown("whole_seconds", "s", "seconds"),
        Shown("ts", "ts", "time"),
        Shown("ts", "clock", "clock"),
        Shown("flag", "f", "boolean"),
        Shown("flag", "f", "text"),
        Shown("low", "i", "interval", high="rate"),
        Shown("mixed", "m", "number"),
        Shown("list", "l"),
        Shown("json", "j", "json"),
        Shown("exact", "e", "exact"),
        Shown("number", "as text"),
        Shown("absent", "a", null="nothing"),
    ]
    seconds = [0.0, 0.0004, 0.9996, 0.5, 59.95, 59.949, 3599.5, 3600, 86399, 86400, 1e7, -5.25, 0.0125, 2.25]
    rows: list[Row] = []
    for at in range(count):
        rows.append(
            {
                "text": maybe(chance.choice(["Straße", "ÉTÉ", "上海", "plain", "a_b%"]) + str(at)),
                "word": chance.random() < 0.1,
                "mark": maybe(chance.random() < 0.3),
                "cut": maybe("a long text " + str(at)),
                "whole": maybe(chance.randrange(-(10**7), 10**7)),
                "number": maybe(
                    chance.choice([0.0, 0.125, 1e-9, 1e20, 12.345, -7.005, 2.675, 1e15, 999.995])
                ),
                "rate": maybe(chance.choice([chance.random(), 0.0005, 0.9995, -0.0001, 0.12345, 11.0])),
                "percent": maybe(chance.choice([chance.random(), 0.0, -0.5, 0.0015, 1])),
                "seconds": maybe(chance.choice([*seconds, chance.random() * 10 ** chance.randrange(7)])),
                "whole_seconds": maybe(chance.randrange(10 ** chance.randrange(1, 8))),
                "ts": maybe(f"2026-0{at % 9 + 1}-11T0{at % 10}:15:0{at % 7}.000+08:00"),
                "flag": maybe(chance.random() < 0.5),
                "low": maybe(chance.random()),
                "mixed": maybe(chance.choice([1, 1.5, 2_000])),
                "list": maybe([["A", "b"], [], ["c" * 40, 1]][at % 3]),
                "json": maybe({"k": "中"}),
                "exact": maybe(Decimal(at) / 8),
            }
        )
    return columns, rows


def test_search_finds_exactly_what_cells_show() -> None:
    columns, rows = every_kind(120)
    for one in columns:
        table = Table.of_rows([one], rows)
        uncut = replace(one, cells=None)
        told = [cell(row, uncut).lower() for row in rows]
        for text in dict.fromkeys(told):
            found = table.filtered(text) if text else table
            numbers = [found.number(place) for place in range(len(found))]
            assert numbers == [at for at, each in enumerate(told) if text in each], (one.key, one.kind, text)


# --- one answer in several tables ---------------------------------------------------------------------------------


def test_more_rows_come_under_the_same_sort_and_filter() -> None:
    table = Table.of_rows(shown("v"), [{"v": "b1"}, {"v": "c"}], total=5).sorted("v", True).filtered("b")
    more = table.extended([{"v": "b2", "late": {"x": 1}}, {"v": None, "late": None}])
    assert column(more, "v") == ["b2", "b1"]
    assert (more.loaded, more.total, len(table)) == (4, 5, 1)
    assert more.sorted(None).filtered("").row(2) == {"v": "b2", "late": {"x": 1}}
    assert column(more.sorted(None).filtered(""), "late") == [None, None, {"x": 1}, None]
    assert more.extended([]).total == 5


def test_a_table_of_no_rows_can_do_everything() -> None:
    table = Table.of_rows(shown("v"), [])
    assert (len(table), table.total, table.texts(0, 10), table.keys) == (0, 0, [], ("v",))
    assert len(table.sorted("v").filtered("x")) == 0
    assert table.find("x", 0) is None
    assert list(table.key_runs("v")) == []
    assert column(table.extended([{"v": 1}]).sorted("v"), "v") == [1]


def test_runs_begin_where_a_key_changes() -> None:
    rows = [
        {"day": day, "session": session}
        for day, session in ((1, None), (1, None), (1, 2), (2, 2), (2, 2), (None, 2))
    ]
    table = Table.of_rows(shown("day"), rows)
    assert list(table.key_runs("day")) == [0, 3, 5]
    assert list(table.key_runs("day", "session")) == [0, 2, 3, 5]
    assert list(table.sorted("session").key_runs("session")) == [0, 4]
    assert list(table.key_runs("nobody")) == [0]


def test_lists_are_told_with_their_places() -> None:
    rows: list[Row] = [{"r": []}, {"r": ["a"]}, {"r": None}, {"r": ["b", "c"]}]
    table = Table.of_rows(shown("r"), rows)
    assert list(table.lists("r")) == [(1, ["a"]), (3, ["b", "c"])]
    assert list(table.filtered("b").lists("r")) == [(0, ["b", "c"])]


def test_arrow_data_is_taken_as_it_is() -> None:
    import pyarrow as pa

    data = pa.table(
        {
            "n": pa.array([3, None, 1], pa.int32()),
            "s": pa.array(["x", "y", None]).dictionary_encode(),
            "l": pa.array([[1], [], None], pa.list_(pa.int64())),
            "t": pa.array([1_500, None, 0], pa.timestamp("ns", tz="UTC")),
            "d": pa.array([Decimal("1.50"), None, Decimal("0.25")], pa.decimal128(9, 2)),
            "f": pa.array([float("nan"), 2.0, 1.0]),
        }
    )
    table = Table.of_arrow(shown(*data.column_names), data)
    assert table.row(0) == {
        **{"n": 3, "s": "x", "l": [1], "d": Decimal("1.50"), "f": None},
        "t": "1970-01-01T00:00:00.000001+00:00",
    }
    assert column(table.sorted("n"), "n") == [1, 3, None]
    assert column(table.sorted("s", True), "s") == ["y", "x", None]
    assert column(table.sorted("l"), "l") == [[1], [], None]
    assert column(table.sorted("f", True), "f") == [2.0, 1.0, None]
    assert column(table.filtered("Y"), "n") == [None]


def test_a_million_rows_sort_and_filter_in_about_a_second_and_share_their_data() -> None:
    import pyarrow as pa

    count = 1_000_000
    chance = random.Random(3)
    pool = [f"user-{at:06}" for at in range(50_000)]
    data = pa.table(
        {
            "name": chance.choices(pool, k=count),
            "n": [chance.randrange(10**9) for _ in range(count)],
            "rate": [chance.random() for _ in range(count)],
        }
    )
    table = Table.of_arrow(
        [Shown("name", "name"), Shown("n", "n", "integer"), Shown("rate", "r", "rate")], data
    )
    before = pa.total_allocated_bytes()
    spent = []
    for key in ("name", "n", "rate"):
        start = time.perf_counter()
        table = table.sorted(key, True)
        spent.append(time.perf_counter() - start)
        assert table.texts(0, 1) and len(table) == count
    start = time.perf_counter()
    found = table.filtered("USER-04999")
    spent.append(time.perf_counter() - start)
    assert len(found) == sum(name.startswith("user-04999") for name in data.column("name").to_pylist())
    print(f"sort by text, integer, number; filter: {[round(one, 2) for one in spent]} s")
    assert max(spent) < 5, "seconds, on a machine that others share"
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_importing_tables_loads_nothing_heavy() -> None:
    code = (
        "import sys, workbench.tables; print([m for m in ('duckdb','pyarrow','numpy') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_what_stands_under_a_row_is_found_with_it() -> None:
    rows = [{"event": "a", "below": []}, {"event": "b", "below": ["cart lost: 3 pieces"]}, {"event": "c"}]
    table = Table.of_rows([Shown("event", "event")], rows, remarks="below")
    assert table.find("CART LOST", 0) == 1
    assert [row["event"] for row in table.filtered("pieces").rows()] == ["b"]
    assert Table.of_rows([Shown("event", "event")], rows).find("cart lost", 0) is None


def test_rows_that_come_as_columns_are_the_rows_they_stand_for() -> None:
    import numpy as np

    class Listed(ColumnRows):
        def __len__(self) -> int:
            return 4

        def columns(self) -> Iterator[dict[str, Values]]:
            for low in (0, 2):
                yield {
                    "user": np.array(["a", "大", None, "\ud800"], object)[low : low + 2],
                    "events": np.array([1, 2, 3, 2**40])[low : low + 2],
                    "amount": [0.5, None, 3, None][low : low + 2],
                }

    rows = Listed()
    table = Table.of_rows([Shown("user", "user"), Shown("events", "events", "integer")], rows)
    assert list(table.rows()) == list(rows) == list(Table.of_rows(table.columns, list(rows)).rows())
    assert [row["events"] for row in table.sorted("events", True).rows()] == [2**40, 3, 2, 1]
