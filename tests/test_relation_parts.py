"""The relation over some of its files: the same rows with the same places, and a digest of how each is read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from workbench.engine import Engine
from workbench.sources.duck_types import literal
from workbench.sources.reading import snapshot
from workbench.sources.relation import Certain, Relation, relation
from workbench.workspace import load

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "shapes"
HEAD = "schema = 1\n"
SOURCE = '[[source]]\nname = "s"\npath = "s"\n'
NOON = 1_704_110_400_000  # 2024-01-01 12:00 UTC

Con = duckdb.DuckDBPyConnection
Row = tuple[object, ...]


@pytest.fixture
def con() -> Con:
    return duckdb.connect()


@dataclass(frozen=True)
class Shop:
    """A workspace of small files, opened as every question opens it."""

    folder: Path
    con: Con

    def parquet(self, name: str, select: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.con.execute(f"COPY ({select}) TO {literal(str(path))} (FORMAT parquet)")

    def write(self, name: str, content: str, encoding: str = "utf-8") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding)

    def copy(self, fixture: str, name: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FIXTURES / fixture, self.folder / name)

    def opened(self, toml: str = SOURCE) -> Relation:
        (self.folder / "workbench.toml").write_text(HEAD + toml, "utf-8")
        workspace = load(self.folder)
        found = [
            snapshot(
                source.name,
                workspace.root,
                source.patterns,
                cache=workspace.cache,
                engine_for=lambda folders: Engine(folders, writable=[workspace.cache]),
                encoding=source.encoding,
            )
            for source in workspace.sources
        ]
        return relation(workspace, found, lambda sql: self.con.execute(sql).fetchall())

    def rows(self, sql: str) -> list[Row]:
        """In order of places; text sorts what shares one."""
        return sorted(self.con.execute(sql).fetchall(), key=lambda row: list(map(repr, row)))

    def types(self, sql: str) -> list[tuple[str, str]]:
        return [(row[0], row[1]) for row in self.con.execute(f"DESCRIBE {sql}").fetchall()]


@pytest.fixture
def shop(tmp_path: Path, con: Con, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    (tmp_path / "w").mkdir()
    return Shop(tmp_path / "w", con)


def events(ts: str, more: str = "", rows: int = 3) -> str:
    return f"SELECT {ts} AS ts, 'view' AS event, 'u' || n AS user_id{more} FROM range({rows}) AS t(n)"


STAMP = "TIMESTAMPTZ '2024-01-01 12:00:00+00' + INTERVAL (n) SECOND"


# --- workspaces -------------------------------------------------------------------------------------------


def hive(shop: Shop) -> str:
    """Keys and names that stand beside the file, two layouts, one column spelled in two ways."""
    shop.parquet("s/day=1/b.parquet", events(STAMP, ", n * 1.5 AS amount"))
    shop.parquet("s/day=2/a.parquet", events(STAMP, ", n * 2.5 AS AMOUNT"))
    shop.parquet("s/day=3/it's.parquet", events(STAMP, ", n * 1.5 AS amount, 'x' || n AS more"))
    shop.parquet("s/day=3/none.parquet", events(STAMP, ", n * 1.5 AS amount", rows=0))
    return f'{SOURCE}[source.map]\nchannel = "day"\ncampaign = {{ from = "file" }}\n'


def two_sources(shop: Shop) -> str:
    """Staged text beside Parquet, amounts nobody can read, ids and columns that only one has."""
    shop.write("t/a.csv", "ts,event,user_id,amount\n2024-01-01,pay,甲,1.5\n2024-01-02,pay,u1,much\n")
    shop.write(
        "t/b.csv", "ts,event,user_id,amount\n2024-01-03,pay,u3,?\n2024-01-03,pay,u3,!\nsoon,pay,u4,1\n"
    )
    lines = [
        {"ts": f"2024-01-0{n}T00:00:00.5Z", "event": "hit", "anonymous_id": n, "deep": [n]} for n in (1, 2)
    ]
    shop.write("t/c.jsonl", "\n".join(map(json.dumps, lines)))
    shop.parquet("s/a.parquet", events(STAMP, ", n AS sequence, n AS quantity"))
    return f'{SOURCE}[[source]]\nname = "t"\npath = "t"\n'


def clocks(shop: Shop) -> str:
    """Times of one layout, written in three units: one group becomes several."""
    for name, unit in (("a", 1), ("b", 1000), ("c", 1), ("d", 1_000_000)):
        shop.parquet(f"s/{name}.parquet", events(f"1704110400::BIGINT * {unit} + n", f", '{name}' AS mark"))
    return f'{SOURCE}[source.map]\ncampaign = {{ from = "file" }}\n'


def completed(shop: Shop) -> str:
    """Events that queries beside them complete."""
    whole = (FIXTURES / "opensearch_ubi" / "ubi_events.jsonl").read_text("utf-8").splitlines()
    shop.write("s/a.jsonl", "\n".join(whole[:3]))
    shop.write("s/b.jsonl", "\n".join(whole[3:]))
    shop.copy("opensearch_ubi/ubi_queries.jsonl", "s/c.jsonl")
    return SOURCE


def nested(shop: Shop) -> str:
    """Rows that hold a list of events each."""
    shop.copy("matomo/visits.json", "s/a.json")
    shop.copy("matomo/visits.json", "s/b.json")
    return SOURCE


WORKSPACES = (hive, two_sources, clocks, completed, nested)


def subsets(ordinals: Sequence[int]) -> Iterable[tuple[int, ...]]:
    return chain.from_iterable(combinations(ordinals, size) for size in range(len(ordinals) + 1))


# --- part -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made_of", WORKSPACES)
def test_a_part_has_the_rows_of_its_files_with_their_places(
    shop: Shop, made_of: Callable[[Shop], str]
) -> None:
    made = shop.opened(made_of(shop))
    place = made.fixed.index("place")
    whole, types = shop.rows(made.sql), shop.types(made.sql)
    ordinals = [file.ordinal for file in made.files]
    assert {row[place] >> 40 for row in whole} <= set(ordinals)  # type: ignore[operator]
    for chosen in subsets(ordinals):
        part = made.part(chosen)
        assert shop.rows(part) == [row for row in whole if row[place] >> 40 in chosen]  # type: ignore[operator]
        assert shop.types(part) == types
    assert made.part(ordinals) == made.sql
    assert made.part([*ordinals, 999]) == made.sql
    assert shop.rows(made.part([999])) == []


@pytest.mark.parametrize("made_of", WORKSPACES)
def test_files_are_all_that_yield_events_with_their_numbers(
    shop: Shop, made_of: Callable[[Shop], str]
) -> None:
    made = shop.opened(made_of(shop))
    place = made.fixed.index("place")
    counted: dict[int, set[object]] = {file.ordinal: set() for file in made.files}
    for row in shop.rows(made.sql):
        counted[row[place] >> 40].add((row[place] & (1 << 40) - 1) >> (14 if made_of is nested else 0))  # type: ignore[operator]
    assert [file.ordinal for file in made.files] == sorted(counted)
    assert {file.ordinal: file.rows for file in made.files} == {n: len(own) for n, own in counted.items()}
    assert not any(file.lines for file in made.files)


def test_files_name_their_source_and_their_own_number(shop: Shop) -> None:
    made = shop.opened(two_sources(shop))
    assert [(file.ordinal, file.source, file.listed.relative, file.rows) for file in made.files] == [
        (0, "s", "a.parquet", 3),
        (1, "t", "a.csv", 2),
        (2, "t", "b.csv", 3),
        (3, "t", "c.jsonl", 2),
    ]


def test_what_completes_events_is_no_file_of_them_and_joined_in_each_part(shop: Shop) -> None:
    made = shop.opened(completed(shop))
    assert [file.listed.relative for file in made.files] == ["a.jsonl", "b.jsonl"]
    terms = shop.con.execute(
        f"SELECT search_term FROM ({made.part([0])}) WHERE search_term IS NOT NULL ORDER BY place"
    ).fetchall()
    assert terms == [("handbag",), ("bag",)]


def test_a_part_keeps_a_column_that_its_files_spell_otherwise(shop: Shop) -> None:
    shop.parquet("s/a.parquet", events(STAMP, ", 'a' AS \"ids.Mail\""))
    shop.parquet("s/b.parquet", events(STAMP, ", 'b' AS \"ids.mail\""))
    made = shop.opened()
    assert made.ids == ("user_id", "ids.Mail")
    for ordinal, mail in enumerate("ab"):
        found = shop.con.execute(f'SELECT DISTINCT "ids.Mail" FROM ({made.part([ordinal])})').fetchall()
        assert found == [(mail,)]


# --- lines ------------------------------------------------------------------------------------------------


def line(order: str, amount: float, ts: str = STAMP) -> str:
    return (
        f"SELECT {ts} AS ts, 'u' AS user_id, '{order}' AS order_id, {amount} AS amount FROM range(1) AS t(n)"
    )


def with_lines(shop: Shop) -> str:
    shop.parquet("s/a.parquet", events(STAMP))
    shop.parquet("s/b.parquet", events(STAMP))
    shop.parquet("l/a.parquet", line("o1", 1.5))
    shop.parquet("l/b.parquet", line("o1", 2) + " UNION ALL " + line("o2", 4))
    shop.parquet("l/c.parquet", line("o2", 8, "1704110400"))
    return f'{SOURCE}[[source]]\nname = "l"\npath = "l"\nkind = "lines"\n'


def test_orders_of_lines_are_read_over_all_their_files_or_not_at_all(shop: Shop) -> None:
    made = shop.opened(with_lines(shop))
    assert [(file.source, file.ordinal, file.lines) for file in made.files] == [
        ("s", 0, False),
        ("s", 1, False),
        ("l", 2, True),
        ("l", 3, True),
        ("l", 4, True),
    ]
    place = made.fixed.index("place")
    whole = shop.rows(made.sql)
    for chosen in subsets(range(5)):
        own = {2, 3, 4} & set(chosen)
        if own and own != {2, 3, 4}:
            with pytest.raises(ValueError, match="source l: orders made of lines"):
                made.part(chosen)
        else:
            expected = [row for row in whole if row[place] >> 40 in chosen]  # type: ignore[operator]
            assert shop.rows(made.part(chosen)) == expected
    orders = shop.con.execute(f"SELECT order_id, amount FROM ({made.part({2, 3, 4})}) ORDER BY 1").fetchall()
    assert orders == [("o1", 350), ("o2", 1200)]


# --- lost -------------------------------------------------------------------------------------------------


def test_lost_values_are_told_by_file(shop: Shop) -> None:
    made = shop.opened(two_sources(shop))
    assert made.lost_sql is not None
    assert shop.con.execute(made.lost_sql).fetchall() == [(1, "amount", 3)]
    expected = {1: ("amount", 1), 2: ("amount", 2)}
    for chosen in subsets(range(4)):
        sql = made.lost_part(chosen)
        found = [] if sql is None else shop.con.execute(sql).fetchall()
        assert found == [(ordinal, *expected[ordinal]) for ordinal in chosen if ordinal in expected]
    assert made.lost_part([0]) is None
    assert shop.types(made.lost_part([2]) or "")[0] == ("ordinal", "BIGINT")
    assert [type_ for _, type_ in shop.types(made.lost_part([2]) or "")] == ["BIGINT", "VARCHAR", "BIGINT"]


def test_lost_values_of_lines_are_told_of_any_of_their_files(shop: Shop) -> None:
    shop.parquet("l/a.parquet", line("o1", 1).replace("1 AS amount", "'?' AS amount"))
    shop.parquet("l/b.parquet", line("o1", 1).replace("1 AS amount", "'!' AS amount"))
    made = shop.opened('[[source]]\nname = "l"\npath = "l"\nkind = "lines"\n')
    assert shop.con.execute(made.lost_part([1]) or "").fetchall() == [(1, "amount", 1)]


# --- digests ----------------------------------------------------------------------------------------------


def plans(made: Relation) -> dict[str, str]:
    return {f"{file.source}/{file.listed.relative}": file.plan for file in made.files}


@pytest.mark.parametrize("made_of", [*WORKSPACES, with_lines])
def test_the_same_files_are_read_the_same_again(shop: Shop, made_of: Callable[[Shop], str]) -> None:
    toml = made_of(shop)
    assert plans(shop.opened(toml)) == plans(shop.opened(toml))


def test_what_stands_beside_a_file_is_part_of_how_it_is_read(shop: Shop) -> None:
    shop.parquet("s/day=1/a.parquet", events(STAMP))
    shop.parquet("s/day=1/b.parquet", events(STAMP))
    shop.parquet("s/day=2/a.parquet", events(STAMP))
    shop.parquet("s/day=2/x/a.parquet", events(STAMP))
    found = plans(shop.opened())
    assert len(set(found.values())) == 3
    assert found["s/day=2/a.parquet"] == found["s/day=2/x/a.parquet"]


@pytest.mark.parametrize("name", ["0.parquet", "zz.parquet", "day=9/a.parquet"])
@pytest.mark.parametrize(
    "more",
    ["", ", n AS property", ", 'x' AS AMOUNT_TOO", ", n * 1.0::DOUBLE AS amount", ", 'x' || n AS AMOUNT"],
)
def test_another_file_does_not_change_how_the_others_are_read(shop: Shop, name: str, more: str) -> None:
    toml = f'{SOURCE}[source.map]\ncampaign = {{ from = "file" }}\n'
    shop.parquet("s/a.parquet", events(STAMP, ", n * 1.5 AS amount, 7 AS property"))
    shop.parquet("s/b.parquet", events("'2024-01-01 12:00:0' || n", ", n || '.5' AS amount"))
    before = plans(shop.opened(toml))
    shop.parquet(f"s/{name}", events(STAMP, more))
    after = plans(shop.opened(toml))
    assert len(after) == 3
    assert {file: after[file] for file in before} == before


def test_a_file_that_spells_columns_otherwise_and_comes_first_changes_nothing(shop: Shop) -> None:
    shop.parquet("s/b.parquet", events(STAMP, ", n AS quantity"))
    before = plans(shop.opened())
    shop.parquet("s/a.parquet", events(STAMP, ", n AS QUANTITY").replace("AS ts", "AS TS"))
    after = plans(shop.opened())
    assert after["s/b.parquet"] == before["s/b.parquet"]


def test_a_property_that_becomes_wider_is_no_other_way_to_read_the_events(shop: Shop) -> None:
    shop.parquet("s/a.parquet", events(STAMP, ", n AS size"))
    before = plans(shop.opened())
    shop.parquet("s/b.parquet", events(STAMP, ", 'big' AS size"))
    assert plans(shop.opened())["s/a.parquet"] == before["s/a.parquet"]


def _base(shop: Shop) -> str:
    shop.parquet(
        "s/a.parquet", events("TIMESTAMP '2024-01-01 12:00:00'", ", '1' AS amount, 'c' AS place_of, 'd' AS b")
    )
    shop.parquet("s/n.parquet", events("1704110400 + n", ", '1' AS amount, 'c' AS place_of, 'd' AS b"))
    shop.write("s/t.csv", "ts,event,user_id,amount\n1704110400,view,K\u00f6ln,1\n", "latin-1")
    return f'{SOURCE}encoding = "latin-1"\n'


PARQUET, NUMBERS, CSV = "s/a.parquet", "s/n.parquet", "s/t.csv"
EVERY = {PARQUET, NUMBERS, CSV}


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ("", set()),
        ('[source.map]\nreferrer = "b"\n', EVERY),
        ('[source.event]\nconstant = "x"\n', EVERY),
        ('zone = "Asia/Shanghai"\n', {PARQUET}),
        ('[source.time]\nunit = "ms"\n', {NUMBERS, CSV}),
        ('[source.money]\nunit = "minor"\n', EVERY),
        ('[source.money]\ndecimal = ","\n', EVERY),
        ('[money]\ncurrency = "JPY"\n', EVERY),
    ],
)
def test_what_the_user_says_changes_how_files_are_read(shop: Shop, change: str, changed: set[str]) -> None:
    toml = _base(shop)
    before = plans(shop.opened(toml))
    after = plans(shop.opened(toml + change))
    assert before.keys() == after.keys() == EVERY
    assert {file for file in EVERY if before[file] != after[file]} == changed


def test_another_encoding_is_another_way_to_read_text_alone(shop: Shop) -> None:
    toml = _base(shop)
    before, after = plans(shop.opened(toml)), plans(shop.opened(toml.replace("latin-1", "cp1252")))
    assert {file for file in EVERY if before[file] != after[file]} == {CSV}


def test_another_expression_of_the_map_changes_the_digest(shop: Shop) -> None:
    shop.parquet("s/a.parquet", events(STAMP, ", 'a' AS a, 'b' AS b"))
    found = {
        plans(shop.opened(f"{SOURCE}[source.map]\nchannel = {take}\n"))["s/a.parquet"]
        for take in (
            '"a"',
            '"b"',
            '["a", "b"]',
            '{ constant = "a" }',
            '{ constant = "stem()" }',
            '{ from = "file" }',
        )
    }
    assert len(found) == 6


@pytest.mark.parametrize("more", [", 'x' AS coupon", ", n AS sequence", ", 'm' AS \"ids.mail\""])
def test_another_canonical_column_is_another_relation(shop: Shop, more: str) -> None:
    shop.parquet("s/a.parquet", events(STAMP))
    before = plans(shop.opened())["s/a.parquet"]
    shop.parquet("s/b.parquet", events(STAMP, more))
    assert plans(shop.opened())["s/a.parquet"] != before


def test_times_finer_than_any_before_are_another_relation(shop: Shop) -> None:
    shop.parquet("s/a.parquet", events(STAMP))
    before = plans(shop.opened())["s/a.parquet"]
    shop.parquet("s/b.parquet", events(f"{STAMP} + INTERVAL 7 MICROSECOND"))
    made = shop.opened()
    assert made.has_fine
    assert plans(made)["s/a.parquet"] != before


def test_a_changed_or_another_file_that_completes_events_changes_their_digests(shop: Shop) -> None:
    toml = completed(shop)
    first = plans(shop.opened(toml))
    queries = (FIXTURES / "opensearch_ubi" / "ubi_queries.jsonl").read_text("utf-8")
    shop.write("s/c.jsonl", queries.replace('"bag"', '"sack"'))
    second = plans(shop.opened(toml))
    shop.write("s/d.jsonl", queries.replace('"q1"', '"q9"'))
    third = plans(shop.opened(toml))
    (shop.folder / "s" / "c.jsonl").unlink()
    (shop.folder / "s" / "d.jsonl").unlink()
    without = plans(shop.opened(toml))
    assert set(first) == {"s/a.jsonl", "s/b.jsonl"}
    for file in first:
        assert len({one[file] for one in (first, second, third, without)}) == 4


def test_a_parquet_file_that_completes_events_counts_as_it_was_listed(shop: Shop) -> None:
    ubi = FIXTURES / "opensearch_ubi"
    shop.parquet("s/a.parquet", f"SELECT * FROM read_json({literal(str(ubi / 'ubi_events.jsonl'))})")
    queries = f"SELECT * FROM read_json({literal(str(ubi / 'ubi_queries.jsonl'))})"
    shop.parquet("s/q.parquet", queries)
    before = plans(shop.opened())
    assert plans(shop.opened()) == before
    shop.parquet("s/q.parquet", f"{queries} WHERE user_query <> 'bag'")
    after = plans(shop.opened())
    assert before.keys() == after.keys() == {"s/a.parquet"}
    assert before != after


def test_a_digest_does_not_know_where_the_workspace_lies(shop: Shop, tmp_path: Path) -> None:
    toml = two_sources(shop)
    before = plans(shop.opened(toml))
    shop.folder.rename(tmp_path / "moved")
    assert plans(Shop(tmp_path / "moved", shop.con).opened(toml)) == before


# --- certain ----------------------------------------------------------------------------------------------


def test_footers_prove_each_file_by_itself(shop: Shop) -> None:
    stamp = "TIMESTAMPTZ '2024-01-01 12:00:00+00' + INTERVAL (n) HOUR"
    shop.parquet("s/a.parquet", events(stamp))
    shop.parquet("s/b.parquet", events(stamp, ", 'x' AS more", rows=5))
    shop.parquet("s/none.parquet", events(stamp, rows=0))
    made = shop.opened()
    hour = 3_600_000
    proved = {0: Certain(3, NOON, NOON + 2 * hour), 1: Certain(5, NOON, NOON + 4 * hour)}
    assert made.certain_files(range(3)) == proved
    assert made.certain_files([1]) == {1: proved[1]}
    assert made.certain() == Certain(8, NOON, NOON + 4 * hour)
    table = pq.read_table(shop.folder / "s" / "a.parquet").slice(0, 2)
    nameless = table.set_column(1, "event", [["view", None]])
    pq.write_table(nameless, shop.folder / "s" / "a.parquet")
    shop.parquet("s/c.parquet", events("'2024-01-01T12:00:00Z'"))
    made = shop.opened()
    assert made.certain_files(range(4)) == {0: None, 1: proved[1], 2: None}
    assert made.certain() is None
