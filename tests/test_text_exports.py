"""Text as other programs write it: encodings that are declared, amounts with signs and separators."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.driver import Command
from workbench.engine import Engine
from workbench.errors import UsageError
from workbench.sources.duck_types import Typed, literal, money
from workbench.sources.reading import snapshot
from workbench.sources.relation import relation
from workbench.sources.snapshot import SourceFiles
from workbench.workspace import DecimalMark, Workspace, load

HEADER = 'schema = 1\n[[source]]\nname = "s"\npath = "*.csv"\n'


def opened(folder: Path, toml: str) -> tuple[Workspace, SourceFiles]:
    (folder / "workbench.toml").write_text(toml, "utf-8")
    workspace = load(folder)
    (source,) = workspace.sources
    found = snapshot(
        source.name,
        workspace.root,
        source.patterns,
        cache=workspace.cache,
        engine_for=lambda folders: Engine(folders, writable=[workspace.cache]),
        encoding=source.encoding,
    )
    return workspace, found


@pytest.mark.parametrize(("encoding", "city"), [("gb18030", "上海𠮷"), ("gbk", "上海"), ("latin-1", "Köln")])
def test_a_declared_encoding_is_read(tmp_path: Path, encoding: str, city: str) -> None:
    text = f"ts,event,user_id,city\n2024-01-01,view,u1,{city}\n"
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    _, found = opened(tmp_path, f'{HEADER}encoding = "{encoding}"\n')
    (file,) = found.files
    assert pq.read_table(file.parquet)["city"].to_pylist() == [city]


def test_text_nobody_declared_says_the_key(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("时间,事件,用户\n2024-01-01,浏览,甲\n".encode("gb18030"))
    _, found = opened(tmp_path, HEADER)
    assert [one.reason for one in found.set_aside] == [
        'not UTF-8 (line 1): add encoding = "gb18030" (Chinese Excel) or "latin-1" to its [[source]]'
    ]


@pytest.mark.parametrize("name", ["klingon", "base64", "nul\\u0000"])
def test_an_encoding_nobody_knows_is_named_by_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"toml:5.*unknown encoding") as caught:
        opened(tmp_path, f'{HEADER}encoding = "{name}"\n')
    assert "gb18030" in str(caught.value.hint)


AMOUNTS = [
    ("1234.5", 123450),
    ("¥1,234.50", 123450),
    ("1,234.50", 123450),
    ("$12", 1200),
    ("-￥12.5", -1250),
    ("€ -3", -300),
    ("12.00 CNY", 1200),
    ("rmb1,234,567", 123456700),
    ("£0.005", 1),
    ("1234,50", None),
    ("12,34", None),
    ("1,2345", None),
    ("$12$", None),
    ("free", None),
    ("12 12", None),
]


def cast(texts: list[str], mark: DecimalMark) -> list[object]:
    sql = money(Typed("t", "VARCHAR"), 2, minor=False, mark=mark)
    rows = ", ".join(f"({n}, {literal(one)})" for n, one in enumerate(texts))
    found = duckdb.sql(f"SELECT {sql} FROM (VALUES {rows}) AS v(n, t) ORDER BY n").fetchall()
    return [row[0] for row in found]


def test_amounts_are_read_as_people_write_them() -> None:
    assert cast([text for text, _ in AMOUNTS], ".") == [amount for _, amount in AMOUNTS]


def test_amounts_with_a_decimal_comma() -> None:
    texts = ["1234,50", "1.234,50 €", "1.234", "12", "1,234.50", "12.5"]
    assert cast(texts, ",") == [123450, 123450, 123400, 1200, None, None]


def test_the_decimal_mark_is_declared_by_source(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('ts,event,user_id,amount\n2024-01-01,pay,u1,"1.234,50"\n', "utf-8")
    for mark, expected in ((",", 123450), (".", None)):
        workspace, found = opened(tmp_path, f'{HEADER}[source.money]\ndecimal = "{mark}"\n')
        con = duckdb.connect()
        made = relation(workspace, [found], lambda sql, con=con: con.execute(sql).fetchall())
        assert con.execute(f"SELECT amount FROM ({made.sql})").fetchall() == [(expected,)]
        assert made.lost_sql is not None
        assert len(con.execute(made.lost_sql).fetchall()) == (expected is None)


def test_a_declared_encoding_is_read_by_questions(workbench: Command, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_bytes("ts,event,user_id\n2026-03-01T10:00:00Z,浏览,张三\n".encode("gb18030"))
    toml = 'schema = 1\n[[source]]\nname = "e"\npath = "e.csv"\n'
    (tmp_path / "workbench.toml").write_text(toml)
    assert 'encoding = "gb18030"' in workbench("events", cwd=tmp_path).err
    (tmp_path / "workbench.toml").write_text(toml + 'encoding = "gb18030"\n')
    answer = workbench("events", "--json", cwd=tmp_path).json
    assert [row["event"] for row in answer["rows"]] == ["浏览"]
