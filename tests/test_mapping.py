"""The relation over files: times, casts, drift, place, lines, and what it says about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.errors import NoData, UsageError
from workbench.sources.mapping import listed
from workbench.sources.parquet_types import millis_of
from workbench.sources.relation import Relation, relation
from workbench.sources.snapshot import DataFile, Listed, SetAside, SourceFiles
from workbench.workspace import Money, Source, Take, TimeFormat, Workspace

Con = duckdb.DuckDBPyConnection
SHANGHAI = "Asia/Shanghai"


@pytest.fixture
def con() -> Con:
    return duckdb.connect()


class Shop:
    """A folder of small Parquet files and the relation over them."""

    def __init__(self, folder: Path, con: Con) -> None:
        self.folder = folder
        self.con = con

    def sql(self, name: str, select: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.con.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")

    def table(self, name: str, table: pa.Table) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, self.folder / name)

    def files(self, name: str = "s", pattern: str = "**/*.parquet") -> SourceFiles:
        found = []
        for path in sorted(self.folder.glob(pattern), reverse=True):
            described = self.con.execute(
                "DESCRIBE SELECT * FROM read_parquet($1, hive_partitioning = false)", [glob_safe(path)]
            ).fetchall()
            relative = path.relative_to(self.folder).as_posix()
            keys = dict(part.split("=", 1) for part in relative.split("/")[:-1] if "=" in part)
            listed = Listed(path, relative, path.stat().st_size, 0, (0, 0), "parquet", None, keys)
            columns = tuple((row[0], row[1]) for row in described)
            millis = millis_of(pq.ParquetFile(path).schema)
            found.append(DataFile(listed, path, 0, columns, millis=millis))
        return SourceFiles(name, tuple(found))

    def relation(self, *sources: Source, look: bool = True, **rules: object) -> Relation:
        sources = sources or (Source(name="s", patterns=("x",)),)
        workspace = Workspace(root=self.folder, cache=self.folder / "c", sources=sources, **rules)  # type: ignore[arg-type]
        files = [
            self.files(source.name, source.patterns[0] if "*" in source.patterns[0] else "**/*.parquet")
            for source in sources
        ]
        made = relation(workspace, files, (lambda sql: self.con.execute(sql).fetchall()) if look else None)
        self.con.execute(f"CREATE OR REPLACE VIEW source_events AS {made.sql}")
        return made

    def column(self, name: str) -> list[object]:
        return [
            row[0] for row in self.con.execute(f"SELECT {name} FROM source_events ORDER BY place").fetchall()
        ]


def glob_safe(path: Path) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in str(path))


@pytest.fixture
def shop(tmp_path: Path, con: Con) -> Shop:
    return Shop(tmp_path, con)


def source(**changes: object) -> Source:
    return replace(Source(name="s", patterns=("x",)), **changes)  # type: ignore[arg-type]


def takes(**names: str | tuple[str, ...]) -> Mapping[str, Take]:
    return {key: Take(names=(name,) if isinstance(name, str) else name) for key, name in names.items()}


def codes(made: Relation) -> list[str]:
    return [note.code for note in made.notes]


def note(made: Relation, code: str) -> str:
    (found,) = [note.text for note in made.notes if note.code == code]
    return found


def events(ts: str, more: str = "") -> str:
    return f"SELECT {ts} AS ts, 'view' AS event, 'u1' AS user_id{more}"


# --- times ------------------------------------------------------------------------------------------------

NOON = 1_704_110_400_000  # 2024-01-01 12:00 UTC


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("TIMESTAMP '2024-01-01 20:00:00'", NOON),
        ("TIMESTAMP_S '2024-01-01 20:00:00'", NOON),
        ("TIMESTAMP_MS '2024-01-01 20:00:00.123'", NOON + 123),
        ("TIMESTAMP '2024-01-01 20:00:00.123999'", NOON + 123),
        ("TIMESTAMP_NS '2024-01-01 20:00:00.123999999'", NOON + 123),
        ("TIMESTAMPTZ '2024-01-01 12:00:00+00'", NOON),
        ("TIMESTAMPTZ '2024-01-01 21:00:00.0009+09'", NOON),
        ("DATE '2024-01-01'", NOON - 20 * 3_600_000),
        ("'2024-01-01T20:00:00'", NOON),
        ("'2024-01-01 20:00:00.123999'", NOON + 123),
        ("'2024/1/1 20:00'", NOON),
        ("'2024-01-01'", NOON - 20 * 3_600_000),
        ("'2024-01-01T12:00:00Z'", NOON),
        ("'2024-01-01T17:30:00.123+05:30'", NOON + 123),
        ("'2024-01-01T17:30:00+0530'", NOON),
        ("'2024-01-01 13:00:00+01'", NOON),
        ("'2024-01-01 13:00:00 +0100'", NOON),
        ("'2024-01-01T12:00:00z'", NOON),
        ("'2024-01-01 20:00:00,123'", NOON + 123),
        ("1704110400", NOON),
        ("1704110400123", NOON + 123),
        ("1704110400123999", NOON + 123),
        ("1704110400123999999", NOON + 123),
        ("1704110400.123999::DOUBLE", NOON + 123),
        ("1704110400.123999::DECIMAL(18, 6)", NOON + 123),
        ("'1704110400'", NOON),
        ("'1704110400123'", NOON + 123),
        ("'1704110400.123'", NOON + 123),
    ],
)
@pytest.mark.parametrize("look", [True, False])
def test_a_time_becomes_utc_milliseconds(shop: Shop, written: str, expected: int, look: bool) -> None:
    shop.sql("a.parquet", events(written))
    if not look and written[0].isdigit():
        with pytest.raises(UsageError, match="times are numbers"):
            shop.relation(look=False, timezone=SHANGHAI)
        return
    shop.relation(timezone=SHANGHAI, look=look)
    digits = written.strip("'").replace(".", "").isdigit()
    assert shop.column("ts") == [None if digits and not look else expected]
    assert shop.column("ts_given") == [True]


@pytest.mark.parametrize(
    "written",
    [
        "TIMESTAMP '1969-12-31 23:59:59.999500'",
        "TIMESTAMP_NS '1969-12-31 23:59:59.999999999'",
        "TIMESTAMPTZ '1969-12-31 23:59:59.9999+00'",
    ],
)
def test_times_before_1970_are_floored_too(shop: Shop, written: str) -> None:
    shop.sql("a.parquet", events(written))
    assert shop.relation().has_fine
    assert shop.column("ts") == [-1]


def test_the_source_zone_goes_before_the_workspace_zone(shop: Shop) -> None:
    shop.sql("a.parquet", events("TIMESTAMP '2024-01-01 12:00:00'"))
    shop.relation(source(zone="Asia/Kolkata"), timezone=SHANGHAI)
    assert shop.column("ts") == [NOON - int(5.5 * 3_600_000)]


def test_the_session_zone_of_the_engine_makes_no_difference(shop: Shop) -> None:
    shop.sql("a.parquet", events("'2024-01-01 20:00:00'") + " UNION ALL " + events("'2024-01-01T12:00:00Z'"))
    shop.con.execute("SET TimeZone = 'America/New_York'")
    shop.relation(timezone=SHANGHAI)
    assert shop.column("ts") == [NOON, NOON]


def test_fault_037_naive_and_aware_times_in_two_files(shop: Shop) -> None:
    shop.sql("a.parquet", events("TIMESTAMP '2024-01-01 20:00:00'"))
    shop.sql("b.parquet", events("TIMESTAMPTZ '2024-01-01 12:00:00+00'"))
    made = shop.relation(timezone=SHANGHAI)
    assert shop.column("ts") == [NOON, NOON]
    assert "read in Asia/Shanghai" in note(made, "time-zone")
    assert "column-widened" in codes(made)


def test_fault_038_bad_time_text_is_null_and_known_to_be_given(shop: Shop) -> None:
    shop.sql("a.parquet", events("unnest(['2024-01-01T12:00:00Z', 'soon', '', NULL, '2024-02-30 10:00:00'])"))
    shop.relation()
    assert shop.column("ts") == [NOON, None, None, None, None]
    assert shop.column("ts_given") == [True, True, False, False, True]


def test_fault_038_a_file_without_one_readable_time_is_set_aside_with_a_sample(shop: Shop) -> None:
    shop.sql("a.parquet", events("'2024-01-01T12:00:00Z'"))
    shop.sql("b.parquet", events("'1 janvier'"))
    made = shop.relation()
    assert shop.column("ts") == [NOON]
    assert 'none of its times can be read: "1 janvier"' in note(made, "file-refused")
    assert [(name, aside.path, aside.state) for name, aside in made.set_aside] == [("s", "b.parquet", "bad")]


def test_a_declared_pattern_reads_text(shop: Shop) -> None:
    shop.sql("a.parquet", events("unnest(['01/01/2024 20:00', 'x'])"))
    shop.relation(source(time=TimeFormat(pattern="%d/%m/%Y %H:%M")), timezone=SHANGHAI)
    assert shop.column("ts") == [NOON, None]


def test_fault_039_the_unit_of_numbers_is_said(shop: Shop) -> None:
    shop.sql("a.parquet", events("unnest([0, 1704110400123])"))
    made = shop.relation()
    assert shop.column("ts") == [0, NOON + 123]
    assert "read as milliseconds" in note(made, "time-unit")


def test_fault_039_files_in_different_units_are_each_read_in_their_own(shop: Shop) -> None:
    shop.sql("a.parquet", events("1704110400"))
    shop.sql("b.parquet", events("1704110400123"))
    made = shop.relation()
    assert shop.column("ts") == [NOON, NOON + 123]
    assert codes(made).count("time-unit") == 2


@pytest.mark.parametrize("values", ["1704110400, 1704110400123", "17, 18"])
def test_fault_039_numbers_that_say_no_unit_are_refused(shop: Shop, values: str) -> None:
    shop.sql("a.parquet", events(f"unnest([{values}])"))
    with pytest.raises(UsageError) as caught:
        shop.relation()
    assert "ts: times are" in caught.value.message
    assert caught.value.hint is not None and "[source.time] unit" in caught.value.hint


def test_fault_039_a_declared_unit_is_not_questioned(shop: Shop) -> None:
    shop.sql("a.parquet", events("unnest([17, NULL, 9223372036854775807])"))
    made = shop.relation(source(time=TimeFormat(unit="s")))
    assert shop.column("ts") == [17_000, None, None]
    assert "time-unit" not in codes(made)


def test_fault_040_date_first_timestamp_later(shop: Shop) -> None:
    shop.sql("a.parquet", events("DATE '2024-01-01'"))
    shop.sql("b.parquet", events("TIMESTAMP '2024-01-01 12:00:00'"))
    made = shop.relation()
    assert shop.column("ts") == [NOON - 12 * 3_600_000, NOON]
    assert "read as time" in note(made, "column-widened")


@pytest.mark.parametrize(
    ("written", "fine"),
    [
        ("TIMESTAMP_NS '2024-01-01 12:00:00.123456789'", 456_789),
        ("TIMESTAMP '2024-01-01 12:00:00.123456'", 456_000),
        ("'2024-01-01T12:00:00.123456789Z'", 456_789),
        ("1704110400123456", 456_000),
        ("1704110400123456789", 456_789),
    ],
)
def test_fault_041_finer_times_are_floored_and_keep_their_rest(shop: Shop, written: str, fine: int) -> None:
    shop.sql("a.parquet", events(written))
    shop.sql("b.parquet", events("TIMESTAMP_MS '2024-01-01 12:00:00.5'"))
    assert shop.relation().has_fine
    assert shop.column("ts") == [NOON + 123, NOON + 500]
    assert shop.column("fine") == [fine, 0]


def test_footers_that_say_milliseconds_spare_the_look(shop: Shop) -> None:
    column = pa.array([NOON], pa.timestamp("ms", tz="UTC"))
    shop.table("a.parquet", pa.table({"ts": column, "event": ["e"], "user_id": ["u"]}))
    asked: list[str] = []

    def sample(sql: str) -> list[tuple[object, ...]]:
        asked.append(sql)
        return shop.con.execute(sql).fetchall()

    workspace = Workspace(root=shop.folder, cache=shop.folder, sources=(source(),))
    assert not relation(workspace, [shop.files()], sample).has_fine
    assert all("bool_or" not in sql for sql in asked)


@pytest.mark.parametrize("written", ["TIMESTAMP '2024-01-01 12:00:00.123'", "'2024-01-01 12:00:00.123000'"])
def test_whole_milliseconds_have_no_finer_part(shop: Shop, written: str) -> None:
    shop.sql("a.parquet", events(written))
    assert not shop.relation().has_fine
    assert "fine" not in shop.relation().fixed


@pytest.mark.parametrize("zone", ["UTC", SHANGHAI, "America/New_York"])
def test_fault_053_times_past_all_calendars_raise_nothing(shop: Shop, zone: str) -> None:
    far = (
        "['infinity', '-infinity', '294247-01-10 04:00:54', '9999-12-31', "
        "'0044-03-15 (BC)', '290309-12-22 (BC)']"
    )
    shop.sql("a.parquet", f"SELECT unnest({far})::TIMESTAMP AS ts, 'view' AS event, 'u' AS user_id")
    shop.sql("b.parquet", f"SELECT unnest({far}) AS ts, 'view' AS event, 'u' AS user_id")
    shop.relation(timezone=zone)
    kept = [value for value in shop.column("ts") if value is not None]
    assert all(value < 0 or value > 4_102_444_800_000 for value in kept)  # type: ignore[operator]
    assert shop.column("ts")[:2] == [None, None]


def test_fault_054_an_offset_in_text_is_never_dropped(shop: Shop) -> None:
    shop.sql(
        "a.parquet",
        events("unnest(['2024-01-01T10:00:00+05:30', '2024-01-01 10:00:00', '2024-01-01 10:00:00 +0530'])"),
    )
    shop.relation()
    assert shop.column("ts") == [1_704_083_400_000, 1_704_103_200_000, 1_704_083_400_000]


def test_fault_055_gap_and_overlap_of_a_change_of_clocks(shop: Shop) -> None:
    shop.sql(
        "a.parquet",
        events("unnest(['2026-03-08 02:30:00', '2026-11-01 01:30:00', '2026-11-01 03:00:00'])::TIMESTAMP"),
    )
    shop.relation(timezone="America/New_York")
    assert shop.column("ts") == [1_772_955_000_000, 1_793_514_600_000 + 0, 1_793_520_000_000]


@pytest.mark.parametrize("text", ["2016-12-31T23:59:60Z", "2016-12-31 23:59:60", "2016-12-31T23:59:60.5Z"])
def test_fault_056_a_leap_second_is_held_back(shop: Shop, text: str) -> None:
    shop.sql("a.parquet", events(f"unnest(['{text}', '2024-01-01 12:00:00'])"))
    shop.relation()
    assert shop.column("ts") == [1_483_228_799_999, NOON]


def test_fault_056_29_february(shop: Shop) -> None:
    shop.sql("a.parquet", events("'2024-02-29 00:00:00'"))
    shop.relation()
    assert shop.column("ts") == [1_709_164_800_000]


def test_a_zone_with_one_offset_agrees_with_the_engine_far_from_now(shop: Shop) -> None:
    shop.sql(
        "a.parquet",
        events("unnest(['1988-07-01', '1999-12-31', '2000-01-02', '2099-12-29', '2101-01-01'])::TIMESTAMP"),
    )
    shop.relation(timezone=SHANGHAI)
    expected = shop.con.execute(
        "SELECT epoch_us(timezone('Asia/Shanghai', t)) // 1000 FROM "
        "(SELECT unnest(['1988-07-01', '1999-12-31', '2000-01-02', '2099-12-29', '2101-01-01'])"
        "::TIMESTAMP AS t)"
    ).fetchall()
    assert shop.column("ts") == [row[0] for row in expected]


def test_received_time_is_a_time_too(shop: Shop) -> None:
    shop.sql("a.parquet", events("TIMESTAMP '2024-01-01'", ", 1704110400 AS received_ts"))
    made = shop.relation()
    assert shop.column("received_ts") == [NOON]
    assert next(column.kind for column in made.columns if column.name == "received_ts") == "time"


# --- drift ------------------------------------------------------------------------------------------------

TS = "TIMESTAMP '2024-01-01'"


def test_fault_030_a_column_goes_before_the_folder_of_its_name(shop: Shop) -> None:
    shop.sql("dt=2024-01-01/a.parquet", events(TS, ", 'inside' AS dt"))
    shop.sql("dt=2024-01-02/b.parquet", events(TS))
    made = shop.relation()
    assert shop.column("dt") == ["inside", "2024-01-02"]
    assert "the column is read (dt=2024-01-01/a.parquet)" in note(made, "partition-overridden")


def test_hive_keys_are_properties_and_can_be_mapped(shop: Shop) -> None:
    for day in ("01", "02"):
        shop.sql(f"dt=2024-01-{day}/event=click/a.parquet", f"SELECT {TS} AS ts, 'u' AS user_id")
    made = shop.relation(source(map=takes(ts="ts", event="event")))
    assert shop.column("event") == ["click", "click"]
    assert shop.column("dt") == ["2024-01-01", "2024-01-02"]
    assert [column.name for column in made.columns] == ["user_id", "dt"]


def test_fault_031_a_missing_column_is_null_and_named(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS, ", 'web' AS channel"))
    shop.sql("b.parquet", events(TS))
    made = shop.relation()
    assert shop.column("channel") == ["web", None]
    assert note(made, "column-missing") == "s: column channel is missing in b.parquet: null there"


def test_fault_032_a_later_column_is_there_and_noted(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS))
    shop.sql("b.parquet", events(TS, ", 7 AS stars"))
    made = shop.relation()
    assert shop.column("stars") == [None, 7]
    assert note(made, "column-extra") == "s: column stars is only in b.parquet"


def test_fault_033_a_renamed_id_refuses_the_file(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS))
    shop.sql("b.parquet", f"SELECT {TS} AS ts, 'view' AS event, 'u2' AS userId")
    made = shop.relation()
    assert shop.column("user_id") == ["u1"]
    assert 'map both if they are the same: user_id = ["user_id", "userId"]' in note(made, "file-refused")
    assert [n.sets_aside for n in made.notes if n.code == "file-refused"] == [True]


def test_fault_033_a_renamed_id_beside_another_id_refuses_the_file(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS, ", 'd' AS anonymous_id"))
    shop.sql("b.parquet", f"SELECT {TS} AS ts, 'view' AS event, 'u2' AS userId, 'd' AS anonymous_id")
    mapped = source(map=takes(ts="ts", event="event", user_id="user_id", anonymous_id="anonymous_id"))
    made = shop.relation(mapped)
    assert [aside.path for _, aside in made.set_aside] == ["b.parquet"]


def test_fault_033_an_alias_takes_both(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS))
    shop.sql("b.parquet", f"SELECT {TS} AS ts, 'view' AS event, 'u2' AS userId")
    shop.relation(source(map=takes(ts="ts", event="event", user_id=("user_id", "userId"))))
    assert shop.column("user_id") == ["u1", "u2"]


def test_fault_034_case_makes_no_difference(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS, ", 1 AS Stars"))
    shop.sql("b.parquet", f"SELECT {TS} AS TS, 'view' AS Event, 'u2' AS USER_ID, 2 AS stars")
    made = shop.relation()
    assert shop.column("user_id") == ["u1", "u2"]
    assert shop.column("stars") == [1, 2]
    assert not {"column-missing", "column-extra"} & set(codes(made))


def test_fault_035_the_order_of_columns_makes_no_difference(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS, ", 'a' AS channel"))
    shop.sql("b.parquet", f"SELECT 'b' AS channel, 'u2' AS user_id, 'view' AS event, {TS} AS ts")
    made = shop.relation()
    assert shop.column("channel") == ["a", "b"]
    assert made.sql.count("read_parquet") == 1


def test_fault_036_ids_are_text_in_every_file(shop: Shop) -> None:
    shop.sql("a.parquet", f"SELECT {TS} AS ts, 'view' AS event, 123 AS user_id")
    shop.sql("b.parquet", f"SELECT {TS} AS ts, 'view' AS event, '00123' AS user_id")
    shop.sql("c.parquet", f"SELECT {TS} AS ts, 'view' AS event, 123.0::DOUBLE AS user_id")
    made = shop.relation()
    assert shop.column("user_id") == ["123", "00123", "123"]
    assert "user_id is INTEGER in a.parquet, VARCHAR in b.parquet" in note(made, "column-widened")


def test_fault_044_a_column_of_nulls_takes_any_type(shop: Shop) -> None:
    shop.table(
        "a.parquet",
        pa.table(
            {"ts": [1704110400], "event": ["e"], "user_id": ["u"], "n": pa.nulls(1), "amount": pa.nulls(1)}
        ),
    )
    shop.table(
        "b.parquet",
        pa.table({"ts": [1704110400], "event": ["e"], "user_id": ["u"], "n": [5], "amount": [1.5]}),
    )
    made = shop.relation()
    assert shop.column("n") == [None, 5]
    assert shop.column("amount") == [None, 150]
    assert "column-widened" not in codes(made)


def test_fault_045_struct_drift_loses_no_field(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS, ", {'a': 1, 'b': [1, 2]} AS props"))
    shop.sql("b.parquet", events(TS, ", {'a': 2, 'c': 'x'} AS props"))
    made = shop.relation()
    assert shop.column("props") == ['{"a":1,"b":[1,2]}', '{"a":2,"c":"x"}']
    assert next(column.kind for column in made.columns if column.name == "props") == "json"


def test_fault_046_a_mapping_that_fits_no_file_names_the_columns(shop: Shop) -> None:
    shop.sql("a.parquet", "SELECT 1 AS zeit, 'x' AS was, 'u' AS user_id")
    with pytest.raises(UsageError) as caught:
        shop.relation(source(map=takes(ts="time", event="was")))
    assert caught.value.message == "source s: no column for ts (column time)"
    assert caught.value.hint == "its columns are: zeit, was, user_id"


def test_a_folder_of_no_known_shape_points_to_init(shop: Shop) -> None:
    shop.sql("a.parquet", "SELECT 1 AS zeit, 'x' AS was")
    with pytest.raises(UsageError) as caught:
        shop.relation()
    assert "zeit, was" in caught.value.message
    assert "workbench init" in str(caught.value.hint)


def test_no_file_is_no_data(shop: Shop) -> None:
    with pytest.raises(NoData):
        shop.relation()


def test_fault_047_names_that_differ_by_case_alone_refuse_the_file(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS))
    shop.table(
        "b.parquet", pa.table({"ts": [1704110400], "event": ["e"], "user_id": ["u"], "User_ID": ["v"]})
    )
    files = shop.files()
    b = next(file for file in files.files if file.listed.relative == "b.parquet")
    raw = tuple((name, "VARCHAR") for name in ("ts", "event", "user_id", "User_ID"))
    kept = tuple(replace(file, columns=raw) if file is b else file for file in files.files)
    workspace = Workspace(root=shop.folder, cache=shop.folder, sources=(source(),))
    made = relation(workspace, [replace(files, files=kept)], lambda sql: shop.con.execute(sql).fetchall())
    assert "columns user_id and User_ID differ by case alone" in note(made, "file-refused")


def test_fault_076_hostile_column_names_are_quoted(shop: Shop) -> None:
    names = ['a"b', "select", "x';--", "表", "per cent%"]
    shop.table(
        "a.parquet",
        pa.table(
            {"ts": [1704110400], "event": ["e"], "user_id": ["u"]} | {n: [n] for n in names} | {"a\nb": ["x"]}
        ),
    )
    made = shop.relation()
    assert [column.name for column in made.columns if not column.canonical] == names
    assert shop.con.execute('SELECT "a""b", "select", "x\';--", "表" FROM source_events').fetchone() == tuple(
        names[:4]
    )


def test_a_property_never_shadows_a_canonical_or_fixed_column(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS, ", 'p' AS place, 9 AS total, 'x' AS amount, 'q' AS person"))
    made = shop.relation(source(map=takes(ts="ts", event="event", amount="total")))
    assert shop.column("amount") == [900]
    assert [column.name for column in made.columns] == [
        "user_id",
        "amount",
        "place_raw",
        "amount_raw",
        "person_raw",
    ]


def test_no_property_is_lost_to_the_name_of_another(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS, ", 1 AS place_raw, 2 AS place, 3 AS PLACE_RAW_RAW"))
    made = shop.relation()
    names = [column.name for column in made.columns if not column.canonical]
    assert names == ["place_raw", "place_raw_raw_raw", "PLACE_RAW_RAW"]
    assert shop.con.execute(f"SELECT {', '.join(names)} FROM source_events").fetchone() == (1, 2, 3)


# --- values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("12.345::DECIMAL(10, 3)", 1235),
        ("-12.345::DECIMAL(10, 3)", -1235),
        ("1.005::DOUBLE", 101),
        ("-1.005::DOUBLE", -101),
        ("0.285::DOUBLE", 29),
        ("19.99::FLOAT", 1999),
        ("'12.345'", 1235),
        ("' 7 '", 700),
        ("'abc'", None),
        ("''", None),
        ("'nan'", None),
        ("'NaN'::DOUBLE", None),
        ("'inf'::DOUBLE", None),
        ("-0.0::DOUBLE", 0),
        ("1e300::DOUBLE", None),
        ("7", 700),
        ("170141183460469231731687303715884105727::HUGEINT", None),
        ("99999999999999999999999999999999999.99::DECIMAL(38, 2)", None),
        ("NULL::DOUBLE", None),
        ("true", None),
    ],
)
def test_fault_042_065_money_is_minor_units_half_away_from_zero(
    shop: Shop, written: str, expected: int | None
) -> None:
    shop.sql("a.parquet", events(TS, f", {written} AS amount"))
    shop.relation()
    if written == "true":
        assert shop.con.execute("SELECT typeof(amount) FROM source_events").fetchall() == [("BIGINT",)]
    else:
        assert shop.column("amount") == [expected]


def test_fault_042_the_same_price_of_three_types_is_one_number_and_the_bad_one_is_counted(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS, ", 1.005::DECIMAL(9, 3) AS amount"))
    shop.sql("b.parquet", events(TS, ", 1.005::DOUBLE AS amount"))
    shop.sql("c.parquet", events(TS, ", unnest(['1.005', 'abc', '']) AS amount"))
    made = shop.relation()
    assert shop.column("amount") == [101, 101, 101, None, None]
    assert made.lost_sql is not None
    assert shop.con.execute(made.lost_sql).fetchall() == [(0, "amount", 1)]


def test_fault_043_decimals_of_other_widths_are_read_alike(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS, ", 1.5::DECIMAL(3, 1) AS amount"))
    shop.sql("b.parquet", events(TS, ", 12345678901234.56::DECIMAL(18, 2) AS amount"))
    shop.relation()
    assert shop.column("amount") == [150, 1_234_567_890_123_456]


@pytest.mark.parametrize(
    ("currency", "expected"), [("CNY", 1235), ("JPY", 12), ("KWD", 12345), ("XYZ", 1235)]
)
def test_decimals_follow_the_currency(shop: Shop, currency: str, expected: int) -> None:
    shop.sql("a.parquet", events(TS, ", '12.345' AS amount"))
    made = shop.relation(money=Money(currency))
    assert shop.column("amount") == [expected]
    assert made.money_decimals == {"CNY": 2, "JPY": 0, "KWD": 3, "XYZ": 2}[currency]


def test_money_in_minor_units_stays(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS, ", 1999 AS amount"))
    shop.relation(source(money_unit="minor"))
    assert shop.column("amount") == [1999]


@pytest.mark.parametrize(
    ("written", "expected"),
    [("'3'", 3), ("'x'", None), ("2.5::DOUBLE", 3), ("3::UBIGINT", 3), ("NULL", None)],
)
def test_counts_are_whole_numbers(shop: Shop, written: str, expected: int | None) -> None:
    shop.sql("a.parquet", events(TS, f", {written} AS quantity"))
    shop.relation()
    assert shop.column("quantity") == [expected]


def test_properties_keep_their_kind(shop: Shop) -> None:
    shop.sql(
        "a.parquet",
        events(
            TS,
            ", 1 AS i, 1.5::DECIMAL(4, 2) AS d, true AS b, DATE '2024-02-29' AS day, [1, 2] AS l, "
            "TIMESTAMP '2024-01-01 12:00' AS t, 's' AS s, 18446744073709551615::UBIGINT AS big",
        ),
    )
    made = shop.relation()
    kinds = {column.name: column.kind for column in made.columns if not column.canonical}
    assert kinds == {
        "i": "integer",
        "d": "number",
        "b": "boolean",
        "day": "text",
        "l": "json",
        "t": "time",
        "s": "text",
        "big": "number",
    }
    assert shop.con.execute("SELECT i, d, b, day, l, t, s FROM source_events").fetchone() == (
        1,
        1.5,
        True,
        "2024-02-29",
        "[1,2]",
        NOON,
        "s",
    )


def test_property_types_that_differ_are_widened_and_said(shop: Shop) -> None:
    shop.sql("a.parquet", events(TS, ", 1 AS n, 1 AS m"))
    shop.sql("b.parquet", events(TS, ", 1.5::DOUBLE AS n, 'x' AS m"))
    made = shop.relation()
    assert shop.column("n") == [1.0, 1.5]
    assert shop.column("m") == ["1", "x"]
    assert [note.text.rsplit(" ", 1)[1] for note in made.notes if note.code == "column-widened"] == [
        "number",
        "text",
    ]


def test_a_path_reaches_into_json_text_and_structs_alike(shop: Shop) -> None:
    shop.sql("a.parquet", f"SELECT {TS} AS ts, {{'name': 'click', 'who': {{'id': 7}}}} AS body")
    shop.sql("b.parquet", f"""SELECT {TS} AS ts, '{{"name": "click", "who": {{"id": "8"}}}}'::JSON AS body""")
    shop.sql("c.parquet", f"SELECT {TS} AS ts, unnest(['no json', '[]', NULL]) AS body")
    shop.sql("d.parquet", f"SELECT {TS} AS ts, {{'other': 1}} AS body")
    made = shop.relation(source(map=takes(ts="ts", event="body.name", user_id="body.who.id")))
    assert shop.column("user_id") == ["7", "8", None, None, None]
    assert [aside.path for _, aside in made.set_aside] == ["d.parquet"]


def test_a_constant_and_the_name_of_the_file_as_event(shop: Shop) -> None:
    for name in ("Order Paid.parquet", "it's.v2.parquet"):
        shop.table(name, pa.table({"ts": [1704110400], "user_id": ["u"]}))
    shop.relation(source(event=Take(file=True), map={"channel": Take(constant="till's")}))
    assert shop.column("event") == ["Order Paid", "it's"]
    assert shop.column("channel") == ["till's", "till's"]


def test_ids_stand_in_order_of_trust(shop: Shop) -> None:
    from workbench.workspace import Ids

    shop.sql("a.parquet", events(TS, """, 'd' AS anonymous_id, '139' AS "ids.phone", 'o' AS "ids.openid" """))
    assert shop.relation().ids == ("user_id", "ids.openid", "ids.phone", "anonymous_id")
    assert shop.relation(ids=Ids(trust=("ids.phone", "user_id", "ids.none"))).ids[:2] == (
        "ids.phone",
        "user_id",
    )


# --- place, pushdown, lines --------------------------------------------------------------------------------


def test_place_counts_files_by_bytes_over_all_sources_and_rows(shop: Shop) -> None:
    for name in ("a/b.parquet", "a/B.parquet", "a/é.parquet", "a/c[1]*.parquet"):
        shop.sql(name, f"SELECT {TS} AS ts, 'view' AS event, '{name}' || range AS user_id FROM range(2)")
    shop.sql("z/x.parquet", f"SELECT {TS} AS ts, 'view' AS event, 'x' AS user_id, 1 AS more")
    first, second = source(patterns=("a/*.parquet",)), source(name="t", patterns=("z/*.parquet",))
    made = shop.relation(first, second)
    found = shop.con.execute(
        "SELECT place >> 40, place & 1099511627775, source_index, user_id FROM source_events ORDER BY place"
    ).fetchall()
    names = ["a/B.parquet", "a/b.parquet", "a/c[1]*.parquet", "a/é.parquet"]
    expected = [(f, r, 0, f"{name}{r}") for f, name in enumerate(names) for r in range(2)]
    assert found == [*expected, (4, 0, 1, "x")]
    assert made.sources == ("s", "t")


def test_place_survives_a_file_of_other_columns_between(shop: Shop) -> None:
    for name, more in (("a", ""), ("b", ", 1 AS more"), ("c", "")):
        shop.sql(f"{name}.parquet", events(TS, more).replace("'u1'", f"'{name}'"))
    shop.relation()
    assert shop.con.execute("SELECT place >> 40, user_id FROM source_events ORDER BY 1").fetchall() == [
        (0, "a"),
        (1, "b"),
        (2, "c"),
    ]
    assert shop.con.execute("SELECT place >> 40 FROM source_events WHERE user_id = 'c'").fetchall() == [(2,)]


def plan_of(con: Con, sql: str) -> str:
    return "\n".join(row[1] for row in con.execute(f"EXPLAIN {sql}").fetchall())


def test_filters_and_columns_reach_the_reader(shop: Shop) -> None:
    buy = events(TS, ", 1.5 AS amount, 'wide' AS wide").replace("view", "buy")
    shop.sql("a.parquet", events(TS, ", 1.5 AS amount, 'wide' AS wide") + " UNION ALL " + buy)
    shop.sql("b.parquet", events(TS, ", 2 AS later") + f" UNION ALL SELECT {TS}, 'buy', 'u2', 2")
    shop.relation(timezone=SHANGHAI)
    plan = plan_of(shop.con, "SELECT ts, user_id FROM source_events WHERE event = 'view'")
    assert plan.count("Filters: event = 'view'") == 2
    assert "wide" not in plan and "amount" not in plan and "Join" not in plan
    bare = plan_of(shop.con, "SELECT count(*) FROM source_events WHERE event = 'view'")
    assert "epoch_us" not in bare and "user_id" not in bare


LINES = (
    "SELECT * FROM (VALUES ('h1', 'b1', TIMESTAMP '2024-01-01 12:00:01', 'p1', 1, 2.50, 'web', 0.5), "
    "('h1', 'b1', TIMESTAMP '2024-01-01 12:00:00', 'p2', 3, 7.25, 'app', 0.0), "
    "('h2', 'b1', TIMESTAMP '2024-01-01 12:00:00', 'p1', 1, 1.00, NULL, NULL), "
    "('h2', NULL, TIMESTAMP '2024-01-01 12:00:00', 'p1', 1, 1.00, NULL, NULL), "
    "('h2', NULL, TIMESTAMP '2024-01-01 12:00:00', 'p1', NULL, NULL, NULL, NULL)) "
    "AS t(user_id, order_id, ts, product_id, quantity, amount, channel, discount)"
)


def test_lines_become_one_event_per_user_and_order(shop: Shop) -> None:
    shop.sql("a.parquet", LINES)
    made = shop.relation(source(kind="lines"))
    found = shop.con.execute(
        "SELECT user_id, order_id, ts, event, quantity, amount, channel, discount, place "
        "FROM source_events ORDER BY place"
    ).fetchall()
    assert found == [
        ("h1", "b1", NOON, "order", 4, 975, "web", 50, 0),
        ("h2", "b1", NOON, "order", 1, 100, None, None, 2),
        ("h2", None, NOON, "order", 1, 100, None, None, 3),
        ("h2", None, NOON, "order", None, None, None, None, 4),
    ]
    assert made.items_sql is not None
    assert shop.con.execute(made.items_sql).fetchall()[1] == ("b1", None, "p2", None, 3, 725, None)
    assert "lines grouped by user and order id" in note(made, "lines-grouped")
    assert made.roles == {"order": "order"}


def test_lines_without_a_time_are_no_part_of_an_order(shop: Shop) -> None:
    shop.sql(
        "a.parquet",
        "SELECT * FROM (VALUES ('u', 'o1', '2024-01-01 12:00:00', NULL, 1.00), "
        "('u', 'o1', '2024-01-01 12:00:01', 'p2', 2.00), ('u', 'o1', 'soon', 'p3', 4.00), "
        "('u', 'o1', NULL, 'p4', 8.00)) AS t(user_id, order_id, ts, product_id, amount)",
    )
    made = shop.relation(source(kind="lines"), timezone="UTC")
    found = shop.con.execute(
        "SELECT ts, ts_given, product_id, amount FROM source_events ORDER BY place"
    ).fetchall()
    # The order's first line names no product, and so doesn't the order.
    assert found == [(NOON, True, None, 300), (None, True, "p3", 400), (None, False, "p4", 800)]
    (told,) = [one for one in made.notes if one.code == "lines-grouped"]
    assert told.level == "warning"
    assert "see only the order's first line" in told.text


def test_lines_take_the_name_they_are_given_and_keep_the_finer_part(shop: Shop) -> None:
    shop.sql("a.parquet", LINES.replace("12:00:00'", "12:00:00.000007'"))
    made = shop.relation(source(kind="lines", event=Take(constant="till")), timezone="UTC")
    assert made.has_fine
    assert shop.con.execute("SELECT DISTINCT event, ts, fine FROM source_events").fetchall() == [
        ("till", NOON, 7000)
    ]


def test_items_of_a_source_of_their_own(shop: Shop) -> None:
    shop.sql("e/a.parquet", events(TS, ", 'o1' AS order_id"))
    shop.sql("i/a.parquet", "SELECT 'o1' AS nr, 'p1' AS sku, 2 AS quantity, 3.5 AS amount")
    items = source(
        name="items", patterns=("i/*.parquet",), kind="items", map=takes(order_id="nr", product_id="sku")
    )
    made = shop.relation(source(patterns=("e/*.parquet",)), items)
    assert made.items_sql is not None
    assert shop.con.execute(made.items_sql).fetchall() == [("o1", None, "p1", None, 2, 350, None)]
    assert len(shop.column("event")) == 1


def test_lines_without_an_order_id_are_refused(shop: Shop) -> None:
    shop.sql("a.parquet", f"SELECT {TS} AS ts, 'u' AS user_id, 1 AS amount")
    with pytest.raises(UsageError, match="no column for order_id"):
        shop.relation(source(kind="lines"))


def test_the_sql_is_the_same_whatever_order_files_were_listed_in(shop: Shop) -> None:
    for name in ("a", "b", "c"):
        shop.sql(f"{name}.parquet", events(TS))
    files = shop.files()
    workspace = Workspace(root=shop.folder, cache=shop.folder, sources=(source(),))

    def made(ordered: Sequence[DataFile]) -> str:
        return relation(workspace, [SourceFiles("s", tuple(ordered))]).sql

    assert made(files.files) == made(files.files[::-1])


def test_no_data_names_what_was_typed_and_reasons_come_whole(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop.folder)
    reason = "columns that differ by case only: " + "a" * 60 + ", " + "A" * 60
    aside = SourceFiles("s", (), (SetAside(str(shop.folder / "x.csv"), reason),))
    sources = (source(patterns=(str(shop.folder / "x*.csv"),)),)
    bare = Workspace(root=shop.folder, cache=shop.folder, sources=sources)
    with pytest.raises(NoData) as caught:
        relation(bare, [aside])
    assert (caught.value.message, caught.value.hint) == (
        "no readable data in x*.csv",
        f"set aside: x.csv: {reason}",
    )
    with pytest.raises(NoData, match=r"no readable data in s \(.*x\*\.csv\)"):
        relation(replace(bare, file=shop.folder / "workbench.toml"), [aside])


def test_a_list_in_a_message_is_cut_between_its_items() -> None:
    assert (
        listed(["a" * 150, "b" * 200, "c" * 199, "d"]) == f"{'a' * 150}, {'b' * 200}, {'c' * 199} and 1 more"
    )
    assert listed(["x" * 201]) == "x" * 199 + "…"
    assert listed([str(n) for n in range(14)]).endswith("11 and 2 more")
