"""Faults of files: what is listed, what is set aside, and with which words."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.errors import NoData
from workbench.sources import listing, probing, reading
from workbench.sources.listing import list_files
from workbench.sources.probing import Moved, probe, verify
from workbench.sources.snapshot import Listed, SetAside, SourceFiles

TABLE = pa.table({"ts": pa.array([1, 2, 3], pa.timestamp("us")), "event": ["a", "b", "c"]})


def write(path: Path, table: pa.Table = TABLE, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return aged(path)


def aged(path: Path, seconds: float = 60) -> Path:
    """A file that nobody can take for one being written."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def spoiled(folder: Path, name: str, content: bytes) -> SetAside:
    """The one file set aside in a folder that also holds a good one."""
    write(folder / "good.parquet")
    (folder / name).write_bytes(content)
    aged(folder / name)
    source = snap(folder)
    assert [file.listed.relative for file in source.files] == ["good.parquet"]
    (item,) = source.set_aside
    assert item.path == str(folder / name)
    assert "\n" not in item.reason
    return item


def no_engine(_folders: Sequence[Path]) -> object:
    raise AssertionError("a source of Parquet alone needs no engine")


def snap(base: Path, *patterns: str, follow: bool = False) -> SourceFiles:
    return reading.snapshot(
        "shop", base, patterns or ["."], cache=base / "cache", engine_for=no_engine, follow=follow
    )


def names(files: Sequence[Listed]) -> list[str]:
    return [file.relative for file in files]


def whole(folder: Path) -> bytes:
    return taken(write(folder / "whole.bin"))


def taken(path: Path) -> bytes:
    content = path.read_bytes()
    path.unlink()
    return content


def test_fault_001_empty_parquet_is_set_aside(tmp_path: Path) -> None:
    assert spoiled(tmp_path, "x.parquet", b"") == SetAside(str(tmp_path / "x.parquet"), "empty file", "bad")


@pytest.mark.parametrize("content", [b"PAR", b"PAR1"])
def test_fault_002_a_few_bytes_are_incomplete(tmp_path: Path, content: bytes) -> None:
    assert spoiled(tmp_path, "x.parquet", content).reason == "incomplete: no Parquet footer"


@pytest.mark.parametrize("keep", [0.5, -1])
def test_fault_003_truncated_parquet_is_set_aside(tmp_path: Path, keep: float) -> None:
    content = whole(tmp_path)
    cut = content[:-1] if keep == -1 else content[: int(len(content) * keep)]
    item = spoiled(tmp_path, "x.parquet", cut)
    assert (item.reason, item.state) == ("incomplete: no Parquet footer", "bad")


def test_fault_004_missing_head_is_damage(tmp_path: Path) -> None:
    assert spoiled(tmp_path, "x.parquet", whole(tmp_path)[50:]).reason == "damaged: the beginning is missing"


def test_fault_004_footer_about_bytes_that_are_not_there(tmp_path: Path) -> None:
    content = taken(write(tmp_path / "long.bin", pa.table({"n": list(range(5000))})))
    item = spoiled(tmp_path, "x.parquet", b"PAR1" + content[5000:])
    assert item.reason == "damaged Parquet footer: it speaks of bytes that are not in the file"


def test_fault_005_hole_in_the_middle_is_found_by_verify(tmp_path: Path) -> None:
    table = pa.table({"event": [f"event {n}" for n in range(5000)]})
    path = write(tmp_path / "x.parquet", table, use_dictionary=False)
    (good,) = snap(tmp_path).files
    assert verify(good) is None
    content = bytearray(path.read_bytes())
    middle = slice(len(content) // 3, len(content) // 2)
    content[middle] = bytes(len(content[middle]))
    path.write_bytes(content)
    (hollow,) = snap(tmp_path).files
    assert hollow.rows == 5000
    assert str(verify(hollow)).startswith("damaged: ")


def test_fault_006_flipped_bit_is_found_by_verify_where_pages_have_checksums(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", write_page_checksum=True, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[content.index(b"a\x01\x00\x00\x00b")] ^= 1
    path.write_bytes(content)
    (file,) = snap(tmp_path).files
    assert "CRC" in str(verify(file))


def test_fault_007_garbage_in_the_footer(tmp_path: Path) -> None:
    content = bytearray(whole(tmp_path))
    length = int.from_bytes(content[-8:-4], "little")
    content[-8 - length : -8] = b"\xa5" * length
    assert spoiled(tmp_path, "x.parquet", bytes(content)).reason.startswith("damaged Parquet footer: ")


def test_fault_007_footer_longer_than_the_file(tmp_path: Path) -> None:
    content = whole(tmp_path)
    item = spoiled(tmp_path, "x.parquet", content[:-8] + b"\xff\xff\xff\x7f" + b"PAR1")
    assert item.reason == f"damaged: a footer of 2147483647 bytes in a file of {len(content)}"


def test_fault_009_column_name_that_is_no_text(tmp_path: Path) -> None:
    path = write(tmp_path / "source.bin", pa.table({"abcdefgh": [1]}), store_schema=False)
    content = taken(path).replace(b"abcdefgh", b"abcd\xff\xfegh")
    assert spoiled(tmp_path, "x.parquet", content).reason == "damaged Parquet footer: text that is not UTF-8"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"ts,event\n1,a\n", "CSV or other text, not Parquet: name it .csv"),
        (b'{"ts": 1}\n{"ts": 2}\n', "JSON, not Parquet: name it .json"),
        (b"\x1f\x8b\x08" + b"x" * 50, "gzip, by its content: name it .csv.gz or .json.gz if it holds that"),
        (b"PK\x03\x04" + b"x" * 50, "a ZIP archive: unpack it first"),
        (b"ORC" + b"\x00\x01" * 50, "ORC, by its content: convert it to Parquet"),
        (b"PARE" + b"\x00\x01" * 50 + b"PARE", "encrypted Parquet: write it without footer encryption"),
        (b"PAR1" + b"\x00\x01" * 50 + b"PARE", "encrypted Parquet: write it without footer encryption"),
        (bytes(100), "damaged: the beginning is zeros"),
        (b"\x01\x00\x02" * 50, "not a Parquet file"),
    ],
)
def test_fault_010_something_else_named_parquet(tmp_path: Path, content: bytes, reason: str) -> None:
    assert spoiled(tmp_path, "x.parquet", content).reason == reason


def test_fault_011_only_regular_files_are_opened(tmp_path: Path) -> None:
    write(tmp_path / "good.parquet")
    (tmp_path / "folder.parquet").mkdir()
    os.mkfifo(tmp_path / "pipe.parquet")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.parquet"))
        files, aside = list_files(tmp_path, "*.parquet")
    assert names(files) == ["good.parquet"]
    assert {Path(item.path).name: item.reason for item in aside} == {
        "folder.parquet": "a folder, not a file",
        "pipe.parquet": "a named pipe, not a regular file",
        "socket.parquet": "a socket, not a regular file",
    }


def test_fault_011_pipe_named_exactly(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.parquet")
    files, (item,) = list_files(tmp_path, "pipe.parquet")
    assert (files, item.reason) == ([], "a named pipe, not a regular file")


def test_fault_012_hidden_and_unfinished_names_are_ignored(tmp_path: Path) -> None:
    write(tmp_path / "good.parquet")
    hidden = (
        ".x.parquet",
        "_x.parquet",
        "x.parquet.tmp",
        "x.csv.part",
        "x.parquet.crc",
        "x.parquet.inprogress",
    )
    for name in (*hidden, "_temporary/x.parquet", ".git/x.parquet"):
        write(tmp_path / name)
    files, aside = list_files(tmp_path, ".")
    assert names(files) == ["good.parquet"]
    assert {Path(item.path).name for item in aside} == {*hidden, "_temporary", ".git"}
    assert {item.state for item in aside} == {"ignored"}


def test_fault_012_hidden_names_are_read_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "_x.parquet")
    write(tmp_path / "_dt=1/y.parquet")
    assert names(list_files(tmp_path, "_x.parquet")[0]) == ["_x.parquet"]
    assert names(list_files(tmp_path, "_*.parquet")[0]) == ["_x.parquet"]
    assert names(list_files(tmp_path, ".")[0]) == ["_dt=1/y.parquet"]


def test_fault_013_file_being_written_is_not_ready(tmp_path: Path) -> None:
    write(tmp_path / "good.parquet")
    half = tmp_path / "half.parquet"
    half.write_bytes(whole(tmp_path)[:200])
    assert [item.state for item in snap(tmp_path).set_aside] == ["not-ready"]
    aged(half)
    assert [item.state for item in snap(tmp_path).set_aside] == ["bad"]
    write(half)
    assert len(snap(tmp_path).files) == 2


def test_fault_013_file_that_grows_is_not_ready(tmp_path: Path) -> None:
    content = whole(tmp_path)
    half = tmp_path / "half.parquet"
    half.write_bytes(content[:200])
    aged(half)
    (listed,), _ = list_files(tmp_path, "half.parquet")
    half.write_bytes(content[:300])
    aged(half)
    with pytest.raises(Moved):
        probe([listed])
    assert probe([listed], last=True)[1] == [SetAside(str(half), "changed while it was read", "not-ready")]


def test_fault_014_file_gone_between_list_and_open_is_listed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.parquet")
    gone = write(tmp_path / "b.parquet")
    calls = []

    def listing_then_loss(base: Path, pattern: str, *, follow: bool = False) -> object:
        found = list_files(base, pattern, follow=follow)
        calls.append(pattern)
        gone.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(reading, "list_files", listing_then_loss)
    source = snap(tmp_path)
    assert [file.listed.relative for file in source.files] == ["a.parquet"]
    assert (len(calls), source.set_aside) == (2, ())


def test_fault_014_file_that_keeps_vanishing_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.parquet")
    b = write(tmp_path / "b.parquet")
    found = list_files(tmp_path, ".")
    b.unlink()
    monkeypatch.setattr(reading, "list_files", lambda *_args, **_options: found)
    source = snap(tmp_path)
    assert [file.listed.relative for file in source.files] == ["a.parquet"]
    assert source.set_aside == (SetAside(str(b), "changed while it was read", "not-ready"),)


def test_fault_017_rewrite_with_same_size_and_time_has_another_identity(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet")
    (before,), _ = list_files(tmp_path, "x.parquet")
    content, then = path.read_bytes(), path.stat().st_mtime_ns
    time.sleep(0.02)
    path.write_bytes(content)
    os.utime(path, ns=(then, then))
    (after,), _ = list_files(tmp_path, "x.parquet")
    assert (after.size, after.mtime_ns, after.inode) == (before.size, before.mtime_ns, before.inode)
    assert after.identity != before.identity


@pytest.mark.parametrize("pattern", ["empty", "*.parquet", "nothing", "empty/x.parquet", "a\0b"])
def test_fault_018_nothing_there(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoData, match=r"^no data at ") as caught:
        list_files(tmp_path, pattern)
    assert caught.value.hint
    assert caught.value.exit_code == 3


def test_fault_018_folder_of_other_files_says_what_was_ignored(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("read me")
    with pytest.raises(NoData) as caught:
        list_files(tmp_path, ".")
    assert caught.value.hint is not None
    assert "README.md: no data file by its extension" in caught.value.hint


def test_fault_018_one_of_two_patterns_finds_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet")
    source = snap(tmp_path, "a.parquet", "b.parquet")
    assert len(source.files) == 1
    assert source.notes == (f"no data at {tmp_path / 'b.parquet'}",)


def test_fault_020_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "open/a.parquet")
    write(tmp_path / "shut/b.parquet")
    scandir = os.scandir

    def guarded(path: str) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(listing, "os", SimpleNamespace(**{**vars(os), "scandir": guarded}))
    files, aside = list_files(tmp_path, ".")
    assert names(files) == ["open/a.parquet"]
    reason = "folder cannot be read: permission denied"
    assert aside == [SetAside(str(tmp_path / "shut"), reason, "bad")]
    assert list_files(tmp_path, "shut") == ([], [SetAside(str(tmp_path / "shut"), reason, "bad")])


def test_fault_020_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.parquet")

    def refused(*_args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(probing, "os", SimpleNamespace(**{**vars(os), "open": refused}))
    (item,) = snap(tmp_path).set_aside
    assert item == SetAside(str(path), "cannot be read: permission denied", "bad")


def test_fault_021_dangling_link(tmp_path: Path) -> None:
    write(tmp_path / "good.parquet")
    (tmp_path / "x.parquet").symlink_to(tmp_path / "nowhere.parquet")
    files, aside = list_files(tmp_path, ".")
    assert names(files) == ["good.parquet"]
    assert aside == [SetAside(str(tmp_path / "x.parquet"), "symbolic link to nothing", "bad")]


@pytest.mark.parametrize("pattern", [".", "**/*.parquet", "*/*/*.parquet"])
def test_fault_022_link_loops_end(tmp_path: Path, pattern: str) -> None:
    write(tmp_path / "a/b/x.parquet")
    (tmp_path / "a/b/up").symlink_to(tmp_path / "a")
    (tmp_path / "a/self").symlink_to(tmp_path / "a/self")
    files, _ = list_files(tmp_path, pattern)
    assert names(files) == ["a/b/x.parquet"]


def test_fault_023_links_out_of_the_folder_need_follow(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere/x.parquet")
    write(tmp_path / "data/own.parquet")
    (tmp_path / "data/file.parquet").symlink_to(tmp_path / "elsewhere/x.parquet")
    (tmp_path / "data/folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/inside.parquet").symlink_to(tmp_path / "data/own.parquet")
    files, aside = list_files(tmp_path, "data")
    assert names(files) == ["own.parquet"]
    assert {Path(item.path).name: item.state for item in aside} == {
        "file.parquet": "bad",
        "folder": "bad",
        "inside.parquet": "ignored",
    }
    source = snap(tmp_path, "data", follow=True)
    assert [file.listed.relative for file in source.files] == ["file.parquet", "own.parquet"]
    assert source.files[0].parquet == tmp_path / "elsewhere/x.parquet"
    assert source.folders == (tmp_path / "data", tmp_path / "elsewhere")


def test_fault_023_a_link_the_user_names_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere/x.parquet")
    (tmp_path / "data").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "one.parquet").symlink_to(tmp_path / "elsewhere/x.parquet")
    assert names(list_files(tmp_path, "data")[0]) == ["x.parquet"]
    assert snap(tmp_path, "one.parquet").files[0].parquet == tmp_path / "elsewhere/x.parquet"


HOSTILE = [
    "a b",
    "it's",
    'q"q',
    "a;b",
    "100%",
    "two\nlines",
    "{a,b}",
    "~",
    "\x1b[2J",
    "-rf",
    "表",
    "x=y=z",
    "\\",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_fault_024_odd_names_work(tmp_path: Path, name: str) -> None:
    write(tmp_path / name / f"{name}.parquet")
    for pattern in (f"{name}/{name}.parquet", name, "*/*.parquet", str(tmp_path / name)):
        (file,) = snap(tmp_path, pattern).files
        assert file.rows == 3
        assert file.listed.path == tmp_path / name / f"{name}.parquet"


def test_fault_025_pattern_characters_in_a_name_mean_themselves(tmp_path: Path) -> None:
    write(tmp_path / "st*r.parquet")
    write(tmp_path / "star.parquet")
    write(tmp_path / "[a]/x?.parquet")
    write(tmp_path / "a/xy.parquet")
    assert names(list_files(tmp_path, "st*r.parquet")[0]) == ["st*r.parquet"]
    assert names(list_files(tmp_path, "[a]/x?.parquet")[0]) == ["x?.parquet"]
    assert names(list_files(tmp_path, "[a]/*.parquet")[0]) == ["x?.parquet"]
    assert names(list_files(tmp_path, "st?r.parquet")[0]) == ["st*r.parquet", "star.parquet"]


def test_fault_026_name_that_is_no_text(tmp_path: Path) -> None:
    write(tmp_path / "good.parquet")
    (tmp_path / os.fsdecode(b"x\xff.parquet")).write_bytes(whole(tmp_path))
    files, aside = list_files(tmp_path, ".")
    assert names(files) == ["good.parquet"]
    assert aside == [SetAside(f"{tmp_path}/x\\xff.parquet", "the name is not UTF-8: rename it", "bad")]


def test_fault_027_ten_thousand_files(tmp_path: Path) -> None:
    content = write(tmp_path / "0.parquet").read_bytes()
    for number in range(1, 10_000):
        (tmp_path / f"{number}.parquet").write_bytes(content)
    began = time.perf_counter()
    files, aside = list_files(tmp_path, ".")
    good, bad = probe(files)
    seconds = time.perf_counter() - began
    assert (len(good), aside, bad) == (10_000, [], [])
    assert sum(file.rows for file in good) == 30_000
    # 1.2 s alone; the bound allows for a busy machine.
    assert seconds < 3 * max(1, os.getloadavg()[0])


def test_fault_027_an_unchanged_file_is_probed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "x.parquet")
    opened = []
    read_footer = probing.read_footer
    monkeypatch.setattr(
        probing, "read_footer", lambda path, listed=None: opened.append(path) or read_footer(path, listed)
    )
    for _ in range(3):
        assert snap(tmp_path).files[0].rows == 3
    assert len(opened) == 1
    write(tmp_path / "x.parquet", TABLE.slice(1))
    assert snap(tmp_path).files[0].rows == 2


def test_fault_028_no_rows_are_fine(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", TABLE.slice(0, 0))
    (file,) = snap(tmp_path).files
    assert (file.rows, file.columns) == (0, (("ts", "TIMESTAMP"), ("event", "VARCHAR")))


def test_fault_029_two_patterns_and_a_hard_link_are_one_file(tmp_path: Path) -> None:
    write(tmp_path / "a/x.parquet")
    os.link(tmp_path / "a/x.parquet", tmp_path / "b.parquet")
    source = snap(tmp_path, "a", "**/*.parquet", "a/x.parquet")
    assert [file.listed.path for file in source.files] == [tmp_path / "a/x.parquet"]
    assert source.set_aside == (
        SetAside(str(tmp_path / "b.parquet"), "the same file as a/x.parquet", "ignored"),
    )


def test_fault_030_hive_keys_at_any_depth(tmp_path: Path) -> None:
    write(tmp_path / "dt=2026-01-01/a.parquet")
    write(tmp_path / "dt=2026-01-02/city=S%C3%A3o%20Paulo/b.parquet")
    write(tmp_path / "dt=__HIVE_DEFAULT_PARTITION__/c=d.parquet")
    write(tmp_path / "d.parquet")
    files, _ = list_files(tmp_path, ".")
    assert [dict(file.partitions) for file in files] == [
        {},
        {"dt": "2026-01-01"},
        {"dt": "2026-01-02", "city": "São Paulo"},
        {},
    ]
    for pattern in ("dt=2026-01-01", "dt=2026-01-01/a.parquet", "dt=2026-01-01/*", "dt=*-01-01/*.parquet"):
        assert list_files(tmp_path, pattern)[0][0].partitions == {"dt": "2026-01-01"}, pattern


def test_fault_031_and_032_each_file_tells_its_own_columns(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet")
    write(tmp_path / "b.parquet", pa.table({"event": ["x"], "extra": [1.5]}))
    first, second = snap(tmp_path).files
    assert first.columns == (("ts", "TIMESTAMP"), ("event", "VARCHAR"))
    assert second.columns == (("event", "VARCHAR"), ("extra", "DOUBLE"))


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (["user_id", "User_ID"], "columns that differ by case only: user_id, User_ID"),
        (["a", "a"], "two columns of the same name: a"),
        (["a", ""], "a column without a name"),
    ],
)
def test_fault_047_columns_nobody_can_tell_apart(tmp_path: Path, columns: list[str], reason: str) -> None:
    source = write(tmp_path / "source.bin", pa.table([pa.array([1])] * 2, names=columns))
    assert spoiled(tmp_path, "x.parquet", taken(source)).reason == reason


def test_fault_062_text_in_parquet_that_is_not_utf8(tmp_path: Path) -> None:
    raw = pa.array([b"ok", b"\xff\xfe"], pa.binary())
    text = pa.StringArray.from_buffers(2, raw.buffers()[1], raw.buffers()[2])
    write(tmp_path / "x.parquet", pa.table({"event": text}))
    (file,) = snap(tmp_path).files
    assert "UTF8" in str(verify(file))


def test_files_are_sorted_by_bytes_whatever_the_folder_says(tmp_path: Path) -> None:
    order = ["A.parquet", "a.parquet", "b/z.parquet", "b0.parquet", "z.parquet", "é.parquet", "表.parquet"]
    for name in reversed(order):
        write(tmp_path / name)
    assert names(list_files(tmp_path, ".")[0]) == order


def test_extensions_tell_format_and_compression(tmp_path: Path) -> None:
    known = {
        "a.csv": ("csv", None),
        "b.CSV.GZ": ("csv", "gzip"),
        "c.tsv.zst": ("csv", "zstd"),
        "d.json": ("json", None),
        "e.jsonl.gz": ("json", "gzip"),
        "f.ndjson.zstd": ("json", "zstd"),
        "g.pq": ("parquet", None),
        "h.snappy.parquet": ("parquet", None),
    }
    for name in (*known, "notes.txt", "x.duckdb", "y.db", "photo.png", "noextension", "z.gz"):
        (tmp_path / name).write_bytes(b"x")
    files, aside = list_files(tmp_path, ".")
    assert {file.relative: (file.format, file.compression) for file in files} == known
    assert {item.state for item in aside} == {"ignored"}
    assert len(aside) == 6


def test_a_file_named_exactly_is_known_by_its_content(tmp_path: Path) -> None:
    import gzip

    contents = {
        "one.dat": write(tmp_path / "one.bin").read_bytes(),
        "two": b' \n{"a": 1}\n',
        "three.log": b"ts,event\n1,a\n",
        "four": gzip.compress(b'[{"a": 1}]'),
        "five.txt": "\ufeffa\tb\n".encode("utf-16-le"),
    }
    kinds = {}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        (file,), _ = list_files(tmp_path, name)
        kinds[name] = (file.format, file.compression)
    assert kinds == {
        "one.dat": ("parquet", None),
        "two": ("json", None),
        "three.log": ("csv", None),
        "four": ("json", "gzip"),
        "five.txt": ("csv", None),
    }
    (tmp_path / "six").write_bytes(b"\x00\x01\x02" * 20)
    assert list_files(tmp_path, "six")[1][0].reason == "unknown kind of file: neither Parquet nor text"
    (tmp_path / "shop.duckdb").write_bytes(b"12345678DUCK")
    (file,), _ = list_files(tmp_path, "shop.duckdb")
    assert (file.format, file.compression) == ("duckdb", None)


def test_double_star_reaches_any_depth_and_star_one(tmp_path: Path) -> None:
    for name in ("x.parquet", "a/x.parquet", "a/b/x.parquet", "a/b/y.csv"):
        write(tmp_path / name)
    assert names(list_files(tmp_path, "**/*.parquet")[0]) == ["a/b/x.parquet", "a/x.parquet", "x.parquet"]
    assert names(list_files(tmp_path, "*/x.parquet")[0]) == ["a/x.parquet"]
    assert names(list_files(tmp_path, "a/**")[0]) == ["b/x.parquet", "b/y.csv", "x.parquet"]
    assert names(list_files(tmp_path, "**/b/*")[0]) == ["a/b/x.parquet", "a/b/y.csv"]
    assert names(list_files(tmp_path, str(tmp_path / "a/*/[x-z].[!p]*"))[0]) == ["b/y.csv"]


def test_column_types_are_duckdbs_own_without_asking_it(tmp_path: Path) -> None:
    inner = pa.struct([("key", pa.string()), ("value", pa.struct([("int_value", pa.int64())]))])
    kinds = [
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.large_string(), pa.binary()),
        *(pa.date32(), pa.time32("ms"), pa.time64("us"), pa.time64("ns"), pa.duration("ms"), pa.null()),
        *(pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")),
        *(pa.decimal128(10, 2), pa.decimal128(38, 5), pa.decimal256(50, 5), pa.uuid(), pa.json_()),
        *(pa.dictionary(pa.int32(), pa.string()), pa.list_(pa.int64()), pa.list_(pa.int32(), 3)),
        *(inner, pa.list_(inner), pa.map_(pa.string(), pa.list_(pa.decimal128(5, 1)))),
    ]
    path = tmp_path / "x.parquet"
    write(path, pa.table([pa.nulls(1, kind) for kind in kinds], names=[f"c{n}" for n in range(len(kinds))]))
    described = duckdb.execute("DESCRIBE FROM read_parquet($path)", {"path": str(path)}).fetchall()
    ((file,), _) = probe(list_files(tmp_path, ".")[0])
    plain = [(name, kind.replace('"int_value"', "int_value")) for name, kind in file.columns]
    assert plain == [(row[0], row[1]) for row in described]
    assert (
        dict(file.columns)[f"c{len(kinds) - 2}"]
        == 'STRUCT("key" VARCHAR, "value" STRUCT("int_value" BIGINT))[]'
    )


def test_deprecated_timestamps_are_named_as_duckdb_reads_them(tmp_path: Path) -> None:
    write(
        tmp_path / "x.parquet",
        pa.table({"ts": pa.nulls(1, pa.timestamp("ns"))}),
        use_deprecated_int96_timestamps=True,
    )
    assert snap(tmp_path).files[0].columns == (("ts", "TIMESTAMP"),)
