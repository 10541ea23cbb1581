"""What is sent is what changed, and leaves the terminal as the whole picture would."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pyte
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from workbench.widgets.sent import Shown

WIDTH, HEIGHT = 40, 6
TEXTS = ("ab", " ", "    ", "漏斗", "e\u0301t\u0301", "▄█", "a b  c", "字", "·", "0123456789")
STYLES = [
    None,
    *(
        Style(color=colour, bgcolor=ground, bold=bold, reverse=reverse)
        for colour in ("red", "#102030")
        for ground in (None, "blue")
        for bold in (False, True)
        for reverse in (False, True)
    ),
]


def whole(strips: Sequence[Strip]) -> LayoutUpdate:
    return LayoutUpdate([[strip] for strip in strips], Region(0, 0, WIDTH, len(strips)))


def some_line(chance: random.Random) -> Strip:
    segments = [Segment(chance.choice(TEXTS), chance.choice(STYLES)) for _ in range(chance.randrange(1, 14))]
    # Behind a full line pyte puts a sign without width on the next one.
    return Strip(segments).adjust_cell_length(WIDTH - 1, chance.choice(STYLES)).adjust_cell_length(WIDTH)


class Screen:
    """A terminal that is told what changes."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, text: str) -> Screen:
        self._stream.feed(text.encode())
        return self

    def seen(self) -> list[list[tuple[object, ...]]]:
        """The cells as an eye sees them: a blank has no colour of its own."""
        rows = (self._screen.buffer[y] for y in range(HEIGHT))
        return [[seen(row[x]) for x in range(WIDTH)] for row in rows]


def seen(cell: pyte.screens.Char) -> tuple[object, ...]:
    lined = cell.reverse or cell.underscore or cell.strikethrough
    is_blank = cell.data == " " and not lined
    return (cell.data, cell.bg, lined, *(() if is_blank else (cell.fg, cell.bold)))


def test_pictures_one_after_another_end_as_the_last_alone_would() -> None:
    chance = random.Random(5)
    shown, terminal = Shown(), Screen()
    lines = [some_line(chance) for _ in range(HEIGHT)]
    for _ in range(300):
        for _ in range(chance.randrange(3)):
            lines[chance.randrange(HEIGHT)] = some_line(chance)
        terminal.feed(shown.changes(whole(lines), ColorSystem.TRUECOLOR))
        alone = Screen().feed(Shown().changes(whole(lines), ColorSystem.TRUECOLOR))
        assert terminal.seen() == alone.seen()


def test_a_picture_that_is_there_is_not_sent_again() -> None:
    shown = Shown()
    lines = [some_line(random.Random(y)) for y in range(HEIGHT)]
    assert shown.changes(whole(lines), ColorSystem.TRUECOLOR)
    assert shown.changes(whole(lines), ColorSystem.TRUECOLOR) == ""
    shown.forget()
    assert shown.changes(whole(lines), ColorSystem.TRUECOLOR)


def test_a_box_that_comes_and_goes_over_wide_signs_sends_no_more_than_itself() -> None:
    shown, terminal = Shown(), Screen()
    below = [Strip([Segment("漏斗分析" * 5)]) for _ in range(HEIGHT)]
    box = [
        Strip([Segment("漏斗分析漏斗分 "), Segment("│ box │"), Segment("析漏斗分析漏斗分析")])
        if 1 < y < 4
        else line
        for y, line in enumerate(below)
    ]  # fmt: skip
    before = terminal.feed(shown.changes(whole(below), ColorSystem.TRUECOLOR)).seen()
    opened = shown.changes(whole(box), ColorSystem.TRUECOLOR)
    closed = shown.changes(whole(below), ColorSystem.TRUECOLOR)
    assert "│ box │" in opened and "漏斗分析漏斗分" not in opened
    assert (
        terminal.feed(opened).seen()
        == Screen().feed(Shown().changes(whole(box), ColorSystem.TRUECOLOR)).seen()
    )
    assert terminal.feed(closed).seen() == before


def test_of_a_line_only_the_cells_that_changed_go_out() -> None:
    shown = Shown()
    line = "x" * WIDTH
    shown.changes(whole([Strip([Segment(line)])]), ColorSystem.TRUECOLOR)
    changed = Strip([Segment(line[:30] + "y" + line[31:])])
    update = ChopsUpdate([{0: changed}], [(0, 0, WIDTH)], [[WIDTH]])
    assert shown.changes(update, ColorSystem.TRUECOLOR) == "\x1b[1;31Hy"


def test_a_part_of_a_line_is_taken_as_far_as_it_goes() -> None:
    shown, terminal = Shown(), Screen()
    terminal.feed(shown.changes(whole([Strip([Segment("a" * WIDTH)])]), ColorSystem.TRUECOLOR))
    left, right = Strip([Segment("漏斗" * 5)]), Strip([Segment("b" * 20)])
    update = ChopsUpdate([{0: left, 20: right}], [(0, 0, 7), (0, 25, 30)], [[20, WIDTH]])
    terminal.feed(shown.changes(update, ColorSystem.TRUECOLOR))
    text = "".join(str(cell[0]) for cell in terminal.seen()[0])
    assert text == "漏斗漏" + "a" * 14 + "b" * 10 + "a" * 10


def test_a_colour_that_no_blank_shows_is_not_sent() -> None:
    shown = Shown()
    red, green = Style(color="red", bgcolor="blue"), Style(color="green", bgcolor="blue")
    shown.changes(whole([Strip([Segment(" " * WIDTH, red)])]), ColorSystem.TRUECOLOR)
    assert not shown.changes(whole([Strip([Segment(" " * WIDTH, green)])]), ColorSystem.TRUECOLOR)
    lined = whole([Strip([Segment(" " * WIDTH, green + Style(reverse=True))])])
    assert shown.changes(lined, ColorSystem.TRUECOLOR)


def test_a_look_is_named_once_for_words_and_the_blanks_between_them() -> None:
    words = Strip([Segment("  two words  of it ".ljust(WIDTH), Style(color="red", bgcolor="blue"))])
    sent = Shown().changes(whole([words]), ColorSystem.STANDARD)
    assert sent == "\x1b[1;1H\x1b[0;31;44m" + "  two words  of it ".ljust(WIDTH) + "\x1b[0m"
