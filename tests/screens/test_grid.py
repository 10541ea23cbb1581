"""The grid as a person sees it: plain-text grids of the screen, the cursor, and what a move costs on the wire."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import random
import select
import struct
import sys
import termios
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from textual.app import App, ComposeResult

from queries.question import Page, Row, Section, Shown
from workbench.glyphs import ASCII
from workbench.tables import Table
from workbench.text import width
from workbench.widgets.grid import Extra, Grid

ROOT = Path(__file__).resolve().parents[2]
HEADER = 1


class Alone(App[None]):
    """A grid and nothing else."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def compose(self) -> ComposeResult:
        yield Grid(empty="no one yet\nf shows all")

    @property
    def grid(self) -> Grid:
        return self.query_one(Grid)

    def on_grid_moved(self, message: Grid.Moved) -> None:
        self.said.append(f"moved {message.grid.cursor_row} {message.grid.cursor_key}")

    def on_grid_picked(self, message: Grid.Picked) -> None:
        self.said.append(f"picked {message.grid.cursor_row} {message.grid.cursor_key}")

    def lines(self) -> list[str]:
        strips = self.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    def cursor(self) -> list[tuple[int, str]]:
        """The lines and texts drawn in reverse."""
        return [
            (y, segment.text)
            for y, strip in enumerate(self.screen._compositor.render_strips())
            for segment in strip
            if segment.style is not None and segment.style.reverse
        ]


def on_grid(do: Callable[[Alone, Any], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> None:
    async def run() -> None:
        app = Alone()
        async with app.run_test(size=size) as pilot:
            await do(app, pilot)

    asyncio.run(run())


def numbered(count: int = 100, columns: int = 3) -> Table:
    rows: list[Row] = [
        {"name": f"row {at}", **{f"c{n}": at * n for n in range(1, columns)}} for at in range(count)
    ]
    return Table.of_rows(
        [Shown("name", "name"), *(Shown(f"c{n}", f"column {n}", "integer") for n in range(1, columns))], rows
    )


# --- what is drawn ----------------------------------------------------------------------------------------------


def test_columns_are_as_wide_as_what_they_show_and_numbers_end_together() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        rows = [{"event": "view", "n": 123456, "r": 0.5}, {"event": "加入购物车", "n": 7, "r": None}]
        columns = [Shown("event", "event"), Shown("n", "people", "integer"), Shown("r", "rate", "rate")]
        app.grid.show(Table.of_rows(columns, rows))
        await pilot.pause()
        assert [line.rstrip() for line in app.lines()[:4]] == [
            " event        people    rate",
            " view        123,456  50.0 %",
            " 加入购物车        7       –",
            "",
        ]
        assert {width(line) for line in app.lines()} == {60}

    on_grid(do, (60, 15))


def test_long_texts_are_cut_at_their_cells_or_at_forty_until_there_is_room() -> None:
    rows = [{"a": "x" * 100, "b": "y" * 100, "c": "z"}]
    columns = [Shown("a", "a", cells=10), Shown("b", "b"), Shown("c", "c")]

    def shown(cells: int) -> str:
        lines = []

        async def do(app: Alone, pilot: Any) -> None:
            app.grid.show(Table.of_rows(columns, rows))
            await pilot.pause()
            lines.append(app.lines()[1].rstrip())

        on_grid(do, (cells, 15))
        return lines[0]

    assert shown(60) == f" {'x' * 9}…  {'y' * 43}…  z"
    assert shown(160) == f" {'x' * 9}…  {'y' * 100}  z"


def test_columns_grow_with_what_comes_into_sight_and_only_with_that() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        rows = [{"v": "short", "w": 1} for _ in range(5000)]
        rows[4000] = {"v": "a much longer text", "w": 1}
        app.grid.show(Table.of_rows([Shown("v", "v"), Shown("w", "w", "integer")], rows))
        await pilot.pause()
        assert app.lines()[1].rstrip() == " short  1"
        app.grid.go_to(4000)
        await pilot.pause()
        assert " a much longer text  1" in [line.rstrip() for line in app.lines()]
        assert f" {'short':<18}  1" in [line.rstrip() for line in app.lines()]

    on_grid(do)


def test_sections_and_remarks_stand_between_the_rows_and_are_passed_over() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        rows: list[Row] = [
            {"v": "a", "day": 1, "s": 1, "said": ["once"]},
            {"v": "b", "day": 1, "s": 2, "said": []},
            {"v": "c", "day": 2, "s": 2, "said": ["one", "two " * 20]},
        ]
        page = Page(
            sections=(Section("day", lambda day: f"day {day}\x1b"), Section("s", lambda s: f"session {s}")),
            below="said",
        )
        table = Table.of_rows([Shown("v", "v"), Shown("s", "s", "integer")], rows)
        app.grid.show(table, page=page)
        await pilot.pause()
        expected = [
            " v  s",
            " day 1␛",
            "   session 1",
            " a  1",
            "    ! once",
            "   session 2",
            " b  2",
            " day 2␛",
            "   session 2",
            " c  2",
            "    ! one",
            "    ! two two two two two two two two two two two two two",
            "      two two two two two two two",
        ]
        assert [line.rstrip() for line in app.lines()[:13]] == expected
        assert app.cursor() == [(3, "a")]
        app.grid.move(1, 0)
        app.grid.move(1, 0)
        await pilot.pause()
        assert app.cursor() == [(9, "c")]
        # Under another order the runs mean nothing, and remarks stay with their rows.
        app.grid.rearrange(table.sorted("v", True))
        await pilot.pause()
        assert [line.rstrip() for line in app.lines()[:3]] == [" v ▼  s", " c    2", "    ! one"]

    on_grid(do, (60, 15))


def test_a_first_row_shows_its_headings_and_a_last_one_its_remarks() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        rows: list[Row] = [{"v": at, "day": at // 3, "said": [f"remark {at}"]} for at in range(90)]
        page = Page(sections=(Section("day", lambda day: f"day {day}"),), below="said")
        app.grid.show(Table.of_rows([Shown("v", "v", "integer")], rows), page=page)
        app.grid.bottom()
        await pilot.pause()
        assert app.lines()[-1].rstrip() == "    ! remark 89"
        app.grid.top()
        await pilot.pause()
        assert app.lines()[1].rstrip() == " day 0"
        for step in (1, 1, 1, -1, -1, -1):
            app.grid.page(step)
            await pilot.pause()
            assert len(app.cursor()) == 1
        assert app.grid.cursor_row == 0

    on_grid(do, (60, 15))


def test_extras_are_drawn_by_the_screen_and_go_before_a_column_does() -> None:
    def bar(row: Row, cells: int) -> Text:
        return Text("#" * int(cells * float(str(row["r"]))) + "\x1b[/red]"[:1])

    async def do(app: Alone, pilot: Any) -> None:
        rows: list[Row] = [{"name": "x" * 30, "r": 0.5}, {"name": "y", "r": 3.0}]
        columns = [Shown("name", "name"), Shown("r", "rate", "rate")]
        extra = Extra("bar", "bar", 8, bar, before="r")
        app.grid.show(Table.of_rows(columns, rows), extras=[extra])
        await pilot.pause()
        assert [line.rstrip() for line in app.lines()[:3]] == [
            f" {'name':<30}  bar          rate",
            f" {'x' * 30}  ####␛      50.0 %",
            f" {'y':<30}  #######…  300.0 %",
        ]
        app.grid.line_end()
        assert app.grid.cursor_key == "r"
        app.grid.move(0, -1)
        assert app.grid.cursor_key == "name"
        await pilot.resize_terminal(44, 15)
        await pilot.pause()
        assert app.lines()[1].rstrip() == f" {'x' * 30}   50.0 %"

    on_grid(do)


def test_empty_tables_say_what_the_screen_has_to_say() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        await pilot.pause()
        assert [line.rstrip() for line in app.lines()[:2]] == [" no one yet", " f shows all"]
        app.grid.show(Table.of_rows([Shown("v", "[/red]v")], []))
        app.grid.empty = "[/x] nobody\x1b[2J"
        await pilot.pause()
        assert [line.rstrip() for line in app.lines()[:4]] == [" [/red]v", "", " [/x] nobody␛[2J", ""]
        for act in (app.grid.bottom, app.grid.top, app.grid.line_end, app.grid.toggle_mark):
            act()
        app.grid.page(1)
        app.grid.move(1, 1)
        assert (app.grid.current_row(), app.grid.cell_text(), app.grid.cursor_row) == (None, "", 0)
        app.grid.show(Table.of_rows([], []))
        app.grid.move(1, 1)
        await pilot.pause()
        assert app.lines()[0].rstrip() == " [/x] nobody␛[2J"

    on_grid(do, (60, 15))


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (200, 50), (1, 1), (3, 40), (10, 2)])
def test_any_table_is_drawn_in_its_cells_at_any_size(size: tuple[int, int]) -> None:
    async def do(app: Alone, pilot: Any) -> None:
        hostile = [
            "\x1b]0;x\x07",
            "[/red]",
            "a\nb\tc",
            "\u202ereversed",
            "👩\u200d👩\u200d👧",
            "🇩🇪",
            "é" * 50,
            "한글",
            "\ud800",
        ]
        rows: list[Row] = [
            {
                **{f"c{n}": hostile[(at + n) % 9] for n in range(12)},
                "say": [hostile[at % 9] * 9],
                "day": at // 9,
            }
            for at in range(90)
        ]
        columns = [Shown(f"c{n}", hostile[n % 9], names=n < 3) for n in range(12)]
        page = Page(sections=(Section("day", lambda day: hostile[int(str(day)) % 9]),), below="say")
        app.grid.show(Table.of_rows(columns, rows), page=page)
        for act in (
            lambda: None,
            app.grid.line_end,
            app.grid.bottom,
            lambda: app.grid.page(-1),
            app.grid.top,
        ):
            act()
            await pilot.pause()
            for line in app.lines():
                assert width(line) == size[0], line
                assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in line)

    on_grid(do, size)


def test_fault_072_wide_and_joined_characters_leave_columns_aligned() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        texts = ["加入购物车", "👩\u200d👩\u200d👧", "🇩🇪", "z̷͈̈́a̵l̶g̴o̸", "ᄒ\u1161\u11ab", "e\u0301", "plain"]
        rows: list[Row] = [{"t": text, "n": 1} for text in texts]
        app.grid.show(Table.of_rows([Shown("t", "t"), Shown("n", "n", "integer")], rows))
        await pilot.pause()
        ends = {width(line.rstrip()) for line in app.lines()[1:8]}
        assert len(ends) == 1

    on_grid(do)


def test_fault_069_control_characters_are_seen_and_do_nothing() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        rows: list[Row] = [{"t": "\x1b[2J\x1b]52;c;aGk=\x07\x9b1m\x08\r\x7f"}]
        app.grid.show(Table.of_rows([Shown("t", "t")], rows))
        await pilot.pause()
        assert app.lines()[1].rstrip() == " ␛[2J␛]52;c;aGk=␇\ufffd1m␈␍␡"

    on_grid(do)


def test_plain_signs_where_the_terminal_has_no_others() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        app.glyphs = ASCII  # type: ignore[attr-defined]
        table = Table.of_rows([Shown("t", "t", cells=4), Shown("n", "n")], [{"t": "too long", "n": None}])
        app.grid.show(table.sorted("t", True))
        app.grid.toggle_mark()
        await pilot.pause()
        assert [line.rstrip() for line in app.lines()[:2]] == [" t v   n", "*too~  -"]

    on_grid(do)


# --- the cursor ---------------------------------------------------------------------------------------------------


def test_the_cursor_is_one_cell_in_reverse_and_stops_at_the_edges() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        app.grid.show(numbered(3))
        await pilot.pause()
        seen = []
        for rows, columns in ((0, 0), (1, 1), (5, 5), (-9, -9)):
            app.grid.move(rows, columns)
            await pilot.pause()
            seen.append(app.cursor())
        assert seen == [[(1, "row 0")], [(2, "       1")], [(3, "       4")], [(1, "row 0")]]
        assert app.said == [f"moved {place}" for place in ("0 name", "1 c1", "2 c2", "0 name")]

    on_grid(do)


def test_pages_halves_and_ends() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        grid = app.grid
        grid.show(numbered(100))
        await pilot.pause()
        places = []
        for act in (
            *(lambda: grid.page(1), lambda: grid.half(1), lambda: grid.page(-1), grid.bottom),
            *(
                lambda: grid.page(1),
                lambda: grid.page(-1),
                lambda: grid.go_to(50, "c2"),
                grid.line_start,
                grid.top,
            ),
        ):
            act()
            await pilot.pause()
            assert len(app.cursor()) == 1
            places.append((grid.cursor_row, grid.cursor_key))
        assert places == [
            *((14, "name"), (21, "name"), (7, "name"), (99, "name")),
            *((99, "name"), (85, "name"), (50, "c2"), (50, "name"), (0, "name")),
        ]

    on_grid(do, (60, 15))


def test_columns_follow_the_cursor_and_those_that_name_the_row_stay() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        app.grid.show(numbered(20, columns=12))
        await pilot.pause()
        assert app.lines()[0] == f"{' name   column 1 column 2 column 3 column 4 column 5':<59}…"
        app.grid.line_end()
        await pilot.pause()
        assert app.lines()[0].rstrip() == "…name   column 7 column 8 column 9 column 10 column 11"
        app.grid.move(0, -5)
        await pilot.pause()
        assert app.lines()[0] == f"{'…name   column 6 column 7 column 8 column 9 column 10':<59}…"
        app.grid.line_start()
        await pilot.pause()
        assert app.lines()[0].startswith(" name   column 1")

    on_grid(do, (60, 15))


def test_a_column_wider_than_the_screen_is_still_reached() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        rows: list[Row] = [{"a": "a" * 30, "b": "b" * 90, "c": "c" * 90}]
        app.grid.show(Table.of_rows([Shown(key, key) for key in "abc"], rows))
        for key in "abc":
            app.grid.go_to(0, key)
            await pilot.pause()
            [(_, text)] = app.cursor()
            assert text.startswith(key * 10)

    on_grid(do, (60, 15))


def test_a_new_table_keeps_the_cursor_where_it_means_the_same() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        grid, table = app.grid, numbered(100)
        grid.show(table)
        grid.go_to(42, "c2")
        grid.rearrange(table.filtered("row 4"))
        assert (grid.current_row() or {})["name"] == "row 42"
        grid.rearrange(table.sorted("c1", True))
        assert (grid.cursor_row, grid.cursor_key) == (3, "c2")
        grid.show(numbered(2))
        assert (grid.cursor_row, grid.cursor_key) == (1, "c2")
        grid.show(numbered(50), keep_cursor=False)
        assert (grid.cursor_row, grid.cursor_key) == (0, "name")

    on_grid(do)


def test_marks_stay_with_their_rows() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        grid, table = app.grid, numbered(5)
        grid.show(table)
        for _ in range(2):
            grid.toggle_mark()
            grid.move(1, 0)
        grid.rearrange(table.sorted("c1", True))
        await pilot.pause()
        assert [line[:6] for line in app.lines()[1:6]] == [" row 4", " row 3", " row 2", "●row 1", "●row 0"]
        grid.rearrange(table.filtered("row 4"))
        assert [row["name"] for row in grid.marked_rows()] == ["row 0", "row 1"]
        grid.clear_marks()
        assert grid.marked_rows() == []
        grid.toggle_mark()
        grid.show(numbered(5))
        assert grid.marks == set()

    on_grid(do)


def test_a_stale_grid_is_dim_and_its_cursor_moves_and_one_at_rest_is_underlined() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        app.grid.show(numbered(5))
        app.grid.stale = True
        app.grid.move(1, 0)
        await pilot.pause()
        strip = app.grid.render_line(1)
        assert all(segment.style and segment.style.dim for segment in strip)
        assert app.cursor() == [(2, "row 1")]
        app.grid.stale = False
        app.grid.in_hand = False
        await pilot.pause()
        assert app.cursor() == []
        underlined = [part.text for part in app.grid.render_line(2) if part.style and part.style.underline]
        assert underlined == ["row 1"]

    on_grid(do)


def test_the_cell_under_the_cursor_is_told_whole() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        app.grid.show(Table.of_rows([Shown("t", "t", cells=5)], [{"t": "a long text", "more": [1]}]))
        assert app.grid.cell_text() == "a long text"
        assert app.grid.current_row() == {"t": "a long text", "more": [1]}

    on_grid(do)


def test_the_mouse_moves_the_cursor_picks_and_turns_the_page() -> None:
    async def do(app: Alone, pilot: Any) -> None:
        app.grid.show(numbered(100))
        await pilot.pause()
        await pilot.click(Grid, offset=(12, 4))
        assert app.said[-1] == "moved 3 c1"
        await pilot.click(Grid, offset=(12, 4), times=2)
        assert app.said[-1] == "picked 3 c1"
        await pilot.click(Grid, offset=(12, 0))
        assert app.said[-1] == "picked 3 c1"
        await pilot._post_mouse_events([_scroll()], Grid, offset=(5, 5))
        await pilot.pause()
        assert not app.lines()[1].startswith(" row 0")
        assert app.grid.cursor_row == 3

    on_grid(do, (60, 15))


def _scroll() -> Any:
    from textual.events import MouseScrollDown

    return MouseScrollDown


# --- size and cost ------------------------------------------------------------------------------------------------


def test_a_million_rows_are_painted_at_once_and_their_end_is_as_near() -> None:
    import pyarrow as pa

    count = 1_000_000
    data = pa.table({"n": range(count), **{f"c{k}": pa.array(range(k, count + k)) for k in range(12)}})
    table = Table.of_arrow([Shown(name, name, "integer") for name in data.column_names], data)

    async def do(app: Alone, pilot: Any) -> None:
        await pilot.pause()
        spent = []
        for act in (lambda: app.grid.show(table), app.grid.bottom, lambda: app.grid.page(-1), app.grid.top):
            start = time.perf_counter()
            act()
            app.screen._compositor.render_strips()
            spent.append(time.perf_counter() - start)
        app.grid.bottom()
        assert app.lines()[-1].split()[0] == "999,999"
        print(f"show, bottom, page, top: {[round(1000 * one) for one in spent]} ms")
        assert max(spent) < 0.5

    on_grid(do, (200, 50))


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from queries.question import Shown
from workbench.tables import Table
from workbench.widgets.grid import Grid
from workbench.widgets.sent import SendsChanges
keys = [Shown("n", "n", "integer", names=True)]
keys += [Shown(f"c{at}", f"column {at}", "text" if at % 2 else "number") for at in range(1, 16)]
row = lambda n: {f"c{at}": f"数 {n} of {at}" if at % 2 else n * at * 1.5 for at in range(1, 16)}
rows = [{"n": n, **row(n)} for n in range(2000)]
class Program(SendsChanges):
    ENABLE_COMMAND_PALETTE = False
    def compose(self):
        yield Grid()
    def on_mount(self):
        self.query_one(Grid).show(Table.of_rows(keys, rows))
    def on_key(self, event):
        grid = self.query_one(Grid)
        acts = {"j": lambda: grid.move(1, 0), "k": lambda: grid.move(-1, 0), "l": lambda: grid.move(0, 1),
                "h": lambda: grid.move(0, -1), "d": lambda: grid.page(1), "u": lambda: grid.page(-1),
                "G": grid.bottom, "g": grid.top, "e": grid.line_end, "a": grid.line_start, "m": grid.toggle_mark,
                "z": self.redraw, "q": self.exit}
        acts.get(event.character, lambda: None)()
Program().run()
"""


class Terminal:
    """A program in a terminal of its own: what it sends for each key."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.all = b""

    def read(self, quiet: float, first: float | None = None) -> bytes:
        """Everything that comes until nothing has for so many seconds; ``first`` is how long it may take to begin."""
        out = b""
        while select.select([self._handle], [], [], first if first and not out else quiet)[0]:
            try:
                data = os.read(self._handle, 65536)
            except OSError:
                break
            if not data:
                break
            out += data
        self.all += out
        return out

    def press(self, key: str) -> bytes:
        """What a key makes it send, that makes it send something."""
        os.write(self._handle, key.encode())
        return self.read(0.1, 5.0)


@contextmanager
def terminal(columns: int, lines: int) -> Iterator[Terminal]:
    process, handle = pty.fork()
    if process == 0:
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "TEXTUAL_ANIMATIONS": "none",
        }
        # What a runner of tests exports would freeze the size and the looks.
        for name in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR", "TEXTUAL_COLOR_SYSTEM"):
            environment.pop(name, None)
        os.execve(sys.executable, [sys.executable, "-c", PROGRAM, str(ROOT)], environment)
    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    one = Terminal(handle)
    try:
        deadline = time.monotonic() + 20
        while b"column 1" not in one.all and time.monotonic() < deadline:
            one.read(0.2)
        one.read(0.5)
        yield one
    finally:
        os.write(handle, b"q")
        one.read(0.1, 1.0)
        os.close(handle)
        os.waitpid(process, 0)


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 50)])
def test_a_move_costs_a_fifth_of_a_kilobyte_a_page_little_and_rest_nothing(columns: int, lines: int) -> None:
    with terminal(columns, lines) as one:
        moves = {key: len(one.press(key)) for key in ("j", "k", "l", "m")}
        one.press("e")
        at_the_edge = {key: len(one.press(key)) for key in ("j", "k", "h")}
        pages = {key: len(one.press(key)) for key in ("d", "u", "G", "g")}
        os.write(one._handle, b"?")
        idle = len(one.read(1.5))
    print(f"{columns}×{lines}: moves {moves}, last column {at_the_edge}, pages {pages}")
    assert all(0 < size <= 200 for size in (*moves.values(), *at_the_edge.values()))
    assert all(0 < size <= 27_000 * columns * lines / 10_000 + 2_000 for size in pages.values())
    assert idle == 0


def test_what_is_sent_for_moves_leaves_the_screen_as_a_whole_paint_would() -> None:
    pyte = pytest.importorskip("pyte")

    chance = random.Random(7)
    screen = pyte.Screen(100, 20)
    stream = pyte.ByteStream(screen)

    def looks() -> list[list[tuple[str, bool]]]:
        return [
            [(screen.buffer[y][x].data, bool(screen.buffer[y][x].reverse)) for x in range(100)]
            for y in range(20)
        ]

    with terminal(100, 20) as one:
        stream.feed(one.all)
        for _ in range(6):
            for _ in range(12):
                os.write(one._handle, chance.choice("jjjkllhmdueaGg").encode())
            # The mark's cell and the cursor's touch: one run of changed cells.
            os.write(one._handle, b"aj")
            stream.feed(one.read(0.2, 5.0))
            os.write(one._handle, b"mk")
            # Long enough that a busy machine has sent it all.
            stream.feed(one.read(0.9, 8.0))
            after_moves = looks()
            os.write(one._handle, b"z")
            stream.feed(one.read(0.9, 8.0))
            assert after_moves == looks()
        assert sum(reverse for line in looks() for _, reverse in line) > 0
