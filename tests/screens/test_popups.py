"""The boxes over a screen, and what is made of the table of keys: palette, help, footer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from workbench.glyphs import ASCII, UNICODE, Glyphs
from workbench.keys import GLOBAL, Action, Keymap
from workbench.text import clean, width
from workbench.widgets.footer import MOST, Footer, fitting
from workbench.widgets.help import help_text
from workbench.widgets.palette import palette
from workbench.widgets.popup import Choice, Choose, Confirm, Panel, Popup
from workbench.widgets.wrapping import wrapped

HOSTILE = "[/red]\x1b]0;owned\x07[bold\u202egnp.exe\u200b\x9b31m\ud800 搜索🇨🇳"
PEERS = Action("peers", ("P",), "peers", "The same under other products' rules")


@dataclass
class Told:
    """A screen as far as palette, help and footer look at it."""

    keymap: Keymap = field(default_factory=lambda: Keymap((PEERS,)))
    question: str = "funnel"
    dead: dict[str, str] = field(default_factory=lambda: {"undo": "nothing to undo"})
    named: tuple[str, ...] = (
        "enter",
        "edit",
        "range",
        "peers",
        "copy_command",
        "undo",
        "palette",
        "run",
        "help",
    )

    def why_not(self, name: str) -> str | None:
        return self.dead.get(name)

    def hints(self) -> Sequence[str]:
        return self.named

    def typing(self) -> tuple[tuple[str, str, str], ...]:
        return ()

    def rule_text(self) -> str:
        return "A person converts once."


class Under(App[None]):
    """A program with a screen of text under the popup."""

    ENABLE_COMMAND_PALETTE = False
    CSS = "Static { height: 1fr; overflow: hidden; }"

    def __init__(self, glyphs: Glyphs = UNICODE, keymap: Keymap | None = None) -> None:
        super().__init__()
        self.glyphs = glyphs
        self.picked: list[object] = []
        self.copied: list[str] = []
        self.leaked: list[str] = []
        self.below = keymap

    def compose(self) -> ComposeResult:
        yield Static("\n".join(["under " * 40] * 60))
        yield Footer()

    def on_mount(self) -> None:
        if self.below is not None:
            screen: Screen[None] = Screen()
            screen.keymap = self.below  # type: ignore[attr-defined]
            self.push_screen(screen)

    def on_key(self, event: events.Key) -> None:
        self.leaked.append(event.key)

    def copy_text(self, text: str) -> str:
        self.copied.append(text)
        return "copied (tmux)"

    def grid(self) -> list[str]:
        strips = self.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    def box(self, corners: str = "╭╮╰") -> list[str]:
        """The lines of the popup, border and all."""
        lines = self.grid()
        top = next(at for at, line in enumerate(lines) if corners[0] in line)
        left = width(lines[top][: lines[top].index(corners[0])])
        right = width(lines[top][: lines[top].rindex(corners[1]) + 1])
        bottom = next(at for at in range(top + 1, len(lines)) if corners[2] in lines[at])
        return [_cut(line, left, right) for line in lines[top : bottom + 1]]


def _cut(line: str, left: int, right: int) -> str:
    at, out = 0, ""
    for char in line:
        if left <= at < right:
            out += char
        at += width(char)
    return out


Play = Callable[[Under, Pilot[None]], Awaitable[None]]


def run(
    popup: Popup[object],
    play: Play,
    size: tuple[int, int] = (80, 24),
    glyphs: Glyphs = UNICODE,
    keymap: Keymap | None = None,
) -> Under:
    app = Under(glyphs, keymap)

    async def go() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            app.push_screen(popup, app.picked.append)
            await pilot.pause()
            await play(app, pilot)
            await pilot.pause()

    asyncio.run(go())
    return app


def press(
    popup: object, *keys: str, size: tuple[int, int] = (80, 24), keymap: Keymap | None = None
) -> list[object]:
    """What came out of a popup after some keys; nothing where it is still there."""

    async def play(app: Under, pilot: Pilot[None]) -> None:
        await pilot.press(*keys)

    app = run(popup, play, size, keymap=keymap)  # type: ignore[arg-type]
    assert app.leaked == []
    return app.picked


def seen(popup: object, *keys: str, size: tuple[int, int] = (80, 24), glyphs: Glyphs = UNICODE) -> list[str]:
    """The box after some keys."""
    boxes: list[list[str]] = []

    async def play(app: Under, pilot: Pilot[None]) -> None:
        await pilot.press(*keys)
        await pilot.pause()
        boxes.append(app.box("++|" if glyphs is ASCII else "╭╮╰") if glyphs is UNICODE else app.grid())

    run(popup, play, size, glyphs)  # type: ignore[arg-type]
    return boxes[0]


def numbers(many: int, **more: bool) -> Choose:
    return Choose("numbers", [Choice(str(n), f"label {n}", f"detail {n}") for n in range(many)], **more)


# --- a list -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("enter",), "0"),
        (("j", "enter"), "1"),
        (("down", "down", "up", "enter"), "1"),
        (("j", "j", "k", "enter"), "1"),
        (("k", "enter"), "0"),
        (("G", "enter"), "99"),
        (("G", "j", "enter"), "99"),
        (("G", "g", "enter"), "0"),
        (("G", "g", "g", "enter"), "0"),
        (("end", "home", "j", "enter"), "1"),
        (("pagedown", "enter"), "18"),
        (("pagedown", "pageup", "enter"), "0"),
        (("ctrl+d", "enter"), "9"),
        (("ctrl+d", "ctrl+d", "ctrl+u", "enter"), "9"),
        (("tab", "enter"), "1"),
        (("ｊ", "Ｇ", "ｋ", "enter"), "98"),
        (("j", "escape"), None),
        (("j", "q"), None),
        (("ctrl+c",), None),
        (("ｑ",), None),
    ],
)
def test_keys_of_browse_move_and_pick(keys: tuple[str, ...], value: str | None) -> None:
    assert press(numbers(100), *keys) == [value]


def test_other_keys_do_nothing_and_reach_nothing() -> None:
    assert press(numbers(3), "x", "Q", "0", "f7", "?", "left", "m") == []


def test_keys_after_the_one_that_closes_are_dropped() -> None:
    async def play(app: Under, pilot: Pilot[None]) -> None:
        popup = app.screen
        for _ in range(3):
            popup.post_message(events.Key("enter", "\r"))
        await pilot.pause()
        assert app.screen is not popup

    assert run(numbers(3), play).picked == ["0"]


def test_the_users_own_keys_move_here_too() -> None:
    own = Keymap((), {"down": ("n",), "find_next": ("j",), "back": ("X",)})
    assert press(numbers(9), "n", "j", "n", "enter", keymap=own) == ["2"]
    assert press(numbers(9), "q", keymap=own) == []
    assert press(numbers(9), "X", keymap=own) == [None]


def test_the_cursor_begins_where_it_is_told() -> None:
    choices = [Choice(str(n), f"label {n}") for n in range(100)]
    assert press(Choose("t", choices, current="70"), "j", "enter") == ["71"]
    assert press(Choose("t", choices, current="none of them"), "enter") == ["0"]
    assert any("▸ label 70 " in line for line in seen(Choose("t", choices, current="70")))


def test_a_list_looks_like_one() -> None:
    box = seen(
        Choose("range", [Choice("7d", "the last 7 days"), Choice("all", "everything", "all there is")]), "j"
    )
    assert box == [
        "╭─ range ──────────────────────────╮",
        "│   the last 7 days                │",
        "│ ▸ everything       all there is  │",
        "│ enter picks · esc closes         │",
        "╰──────────────────────────────────╯",
    ]


def test_the_cursor_stays_in_sight() -> None:
    for keys in (("G",), ("G", "k", "k"), ("pagedown", "pagedown", "k"), ("G", "g", "j")):
        box = seen(numbers(100), *keys, size=(60, 15))
        assert sum("▸ label" in line for line in box) == 1


def test_a_long_list_says_where_one_is() -> None:
    assert "2/100" in seen(numbers(100), "j")[-2]
    assert "/" not in seen(numbers(3), "j")[-2]


def test_what_cannot_be_picked_says_why() -> None:
    choices = [Choice("a", "add", "adds", why_not="nothing is asked yet"), Choice("b", "back", "goes back")]
    assert press(Choose("t", choices), "enter") == []
    assert press(Choose("t", choices), "enter", "j", "enter") == ["b"]
    box = seen(Choose("t", choices))
    assert "▸ add   ! nothing is asked yet" in box[1]
    assert "! nothing is asked yet" in box[-2]
    assert "enter picks" in seen(Choose("t", choices), "j")[-2]


def test_an_empty_list_says_so() -> None:
    assert "no reports yet" in seen(Choose("reports", [], empty="no reports yet"))[1]
    assert press(Choose("reports", []), "enter", "j", "G", "ctrl+d", "enter") == []
    assert press(Choose("reports", [], filtering=True), "x", "enter", "escape") == [None]


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("9", "enter"), "9"),
        (("4", "2", "enter"), "42"),
        (("4", "2", "backspace", "down", "enter"), "14"),
        (("4", "2", "ctrl+u", "enter"), "0"),
        (("d", "e", "t", "space", "9", "9", "enter"), "99"),
        (("9", "9", "space", "x", "ctrl+w", "enter"), "99"),
        (("L", "A", "B", "９", "７", "enter"), None),
        (("ｌａｂｅｌ"[0], "ａ", "enter"), "0"),
        (("down", "tab", "ctrl+n", "shift+tab", "up", "ctrl+p", "ctrl+n", "enter"), "1"),
        (("z", "z", "enter", "backspace", "backspace", "enter"), "0"),
        (("q", "j", "escape"), None),
        (("ctrl+c",), None),
    ],
)
def test_typing_filters(keys: tuple[str, ...], value: str | None) -> None:
    picked = press(numbers(100, filtering=True), *keys)
    assert picked == ([] if keys[0] == "L" else [value])


def test_a_filter_looks_into_label_detail_and_value_nearest_first() -> None:
    choices = [
        Choice("a", "unrelated", "it is about sorting"),
        Choice("b", "re-sort"),
        Choice("c", "Sort", "by a column"),
        Choice("d", "order", key="sort"),
        Choice("sort", "by value"),
    ]
    box = seen(Choose("t", choices, filtering=True), *"sort")
    assert [line.strip("│ ▸").split("  ")[0].strip() for line in box[2:7]] == [
        "sort", "Sort", "re-sort", "unrelated", "by value",
    ]  # fmt: skip
    assert "/ sort" in box[1]
    assert "no line holds all of this" in seen(Choose("t", choices, filtering=True), *"sortx")[2]


def test_full_width_text_finds_half_width() -> None:
    assert press(
        Choose("t", [Choice("a", "add"), Choice("s", "Sort")], filtering=True), *"ｓｏ", "enter"
    ) == ["s"]


def test_a_paste_becomes_one_filter_line() -> None:
    async def play(app: Under, pilot: Pilot[None]) -> None:
        app.post_message(events.Paste("label\r\n\t42\n" + "\n" * 1_000_000))
        await pilot.pause()
        await pilot.press("enter")

    assert run(numbers(100, filtering=True), play).picked == ["42"]


def test_fault_103_a_paste_of_a_megabyte_does_not_hold_up() -> None:
    async def play(app: Under, pilot: Pilot[None]) -> None:
        app.post_message(events.Paste("x" * 1_000_000))
        await pilot.pause()
        assert "x" * 20 in app.box()[1]
        await pilot.press("ctrl+u", "enter")

    assert run(numbers(100, filtering=True), play, (90, 24)).picked == ["0"]


def test_a_click_picks_and_the_wheel_moves() -> None:
    async def click(app: Under, pilot: Pilot[None]) -> None:
        await pilot.click("_Body", offset=(4, 2))

    async def wheel(app: Under, pilot: Pilot[None]) -> None:
        assert isinstance(app.screen, Choose)
        body = app.screen.body
        body.post_message(events.MouseScrollDown(body, 1, 1, 0, 1, 0, False, False, False))
        await pilot.pause()
        await pilot.press("enter")

    assert run(numbers(9), click).picked == ["2"]
    assert run(numbers(9), wheel).picked == ["1"]


# --- a text -------------------------------------------------------------------------------------------------------

TEXT = "\n".join(f"line {n}" for n in range(1, 101))


@pytest.mark.parametrize(
    ("keys", "first", "place"),
    [
        ((), 1, "1-18 of 100"),
        (("j",), 2, "2-19 of 100"),
        (("j", "down", "k"), 2, "2-19 of 100"),
        (("G",), 83, "83-100 of 100"),
        (("G", "g"), 1, "1-18 of 100"),
        (("pagedown",), 19, "19-36 of 100"),
        (("space", "pageup"), 1, "1-18 of 100"),
        (("ctrl+d", "ctrl+d", "ctrl+u"), 10, "10-27 of 100"),
    ],
)
def test_a_panel_scrolls(keys: tuple[str, ...], first: int, place: str) -> None:
    box = seen(Panel("SQL", TEXT), *keys)
    assert f"line {first} " in box[1]
    assert place in box[-2]


@pytest.mark.parametrize("key", ["escape", "q", "ctrl+c", "enter"])
def test_a_panel_closes(key: str) -> None:
    assert press(Panel("SQL", TEXT), key) == [None]


def test_a_panel_copies_all_of_it_as_it_is() -> None:
    text = f"SELECT 1 -- {HOSTILE}\n\tFROM events"

    async def play(app: Under, pilot: Pilot[None]) -> None:
        await pilot.press("y")
        await pilot.pause()
        assert app.copied == [text]
        assert "copied (tmux)" in app.box()[-2]
        await pilot.press("q")

    assert run(Panel("SQL", text), play).picked == [None]  # type: ignore[arg-type]

    async def refused(app: Under, pilot: Pilot[None]) -> None:
        await pilot.press("y")
        await pilot.pause()
        assert app.copied == []
        assert "copies" not in app.box()[-2]

    run(Panel("people", text, copy=False), refused)  # type: ignore[arg-type]


def test_a_panel_folds_and_loses_nothing() -> None:
    text = "SELECT\n    " + ", ".join(f"column_{n}" for n in range(20)) + "\nFROM events"
    box = seen(Panel("SQL", text), size=(60, 24))
    shown = " ".join(line.strip("│ ") for line in box[1:-2])
    assert " ".join(text.split()) == " ".join(shown.split())
    assert box[2].startswith("│     column_0")
    assert box[3].startswith("│       column_")


# --- a question ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (("y",), True), (("Y",), True), (("ｙ",), True), (("n",), False), (("ｎ",), False), (("enter",), True),
        (("escape",), False), (("q",), False), (("ctrl+c",), False), (("l", "enter"), False),
        (("right", "left", "enter"), True), (("tab", "enter"), False), (("tab", "tab", "enter"), True),
        (("j", "k", "enter"), True),
    ],
)  # fmt: skip
def test_a_question_is_answered(keys: tuple[str, ...], answer: bool) -> None:
    assert press(Confirm("Quit?"), *keys) == [answer]


def test_the_answers_stay_in_sight_under_a_long_question() -> None:
    box = seen(Confirm("Replace the file? " * 100, "replace it", "keep it"), size=(60, 15))
    assert "▸ y replace it" in box[-2]
    assert "n keep it" in box[-2]
    assert "▸ n keep it" in seen(Confirm("Replace?", "replace it", "keep it"), "l")[-2]


# --- size, looks, hostile text ------------------------------------------------------------------------------------


def every(text: str) -> list[tuple[object, tuple[str, ...]]]:
    """Each kind of popup, with a text in every place that takes one."""
    choices = [Choice(text, text, text), Choice("b", text, text, why_not=text, key=text[:3])] * 30
    return [
        (Choose(text, choices, empty=text), ("j",)),
        (Choose(text, choices, filtering=True), ("j", "a")),
        (Choose(text, [], empty=text), ()),
        (Panel(text, f"{text}\n" * 40), ("j",)),
        (Confirm(f"{text}\n{text}" * 9, text, text), ("l",)),
    ]


def boxes(text: str, size: tuple[int, int]) -> list[list[str]]:
    """What each kind of popup looks like with that text."""
    found: list[list[str]] = []
    app = Under()

    async def go() -> None:
        async with app.run_test(size=size) as pilot:
            for popup, keys in every(text):
                app.push_screen(popup)
                await pilot.pause()
                await pilot.press(*keys)
                await pilot.pause()
                found.append(app.box())
                app.pop_screen()

    asyncio.run(go())
    return found


TEXTS = {
    "short": "short",
    "words": "a text with words " * 12,
    "chinese": "搜索词没有结果" * 30,
    "hostile": HOSTILE,
}


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (200, 50)], ids=str)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_box_is_whole_and_leaves_a_tenth(size: tuple[int, int], text: str) -> None:
    for box in boxes(text, size):
        cells = {width(line) for line in box}
        assert len(cells) == 1, box
        assert max(cells) <= size[0] * 0.9
        assert len(box) <= size[1] * 0.9
        assert all(line[0] in "╭│╰" and line[-1] in "╮│╯" for line in box)


def test_the_box_is_in_the_middle() -> None:
    async def play(app: Under, pilot: Pilot[None]) -> None:
        grid = app.grid()
        rows = [at for at, line in enumerate(grid) if any(corner in line for corner in "╭│╰")]
        line = grid[rows[0]]
        assert abs(rows[0] - (23 - rows[-1])) <= 1
        assert abs(line.index("╭") - (79 - line.index("╮"))) <= 1

    run(numbers(5), play)


def test_hostile_text_is_shown_and_does_nothing() -> None:
    for box in boxes(HOSTILE, (160, 50)):
        text = "\n".join(box)
        assert text.replace("\n", "").isprintable()
        assert "[/red]␛]0;owned␇[boldgnp.exe" in text


@given(st.text(max_size=40))
def test_wrapping_keeps_every_word(text: str) -> None:
    line = clean(text)
    for cells in (1, 2, 7, 40):
        lines = wrapped(line, cells)
        assert "".join(lines).replace(" ", "") == line.replace(" ", "")
        assert all(width(part) <= max(cells, 4) for part in lines)


def test_a_word_longer_than_the_line_is_broken_and_others_are_not() -> None:
    assert wrapped("aaaa bbbb cccc", 9) == ["aaaa bbbb", "cccc"]
    assert wrapped("    aaaa bbbb", 9) == ["    aaaa", "    bbbb"]
    assert wrapped("x" * 10, 4) == ["xxxx", "xxxx", "xx"]
    assert wrapped("搜索词没有结果", 5) == ["搜索", "词没", "有结", "果"]


def test_fault_098_any_size_is_survived() -> None:
    async def play(app: Under, pilot: Pilot[None]) -> None:
        for popup, _ in every("a text with words " * 12):
            app.push_screen(popup)
            for size in ((1, 1), (20, 5), (80, 24)):
                await pilot.resize_terminal(*size)
                await pilot.press("j")
            assert width(app.box()[0]) <= 72
            app.pop_screen()

    run(numbers(5), play)


def test_plain_signs_where_the_terminal_has_no_others() -> None:
    choices = [Choice("a", "add", "adds", why_not="not now"), Choice("b", "back", "goes back")]
    lines = seen(Choose("t", choices, filtering=True), "down", glyphs=ASCII)
    assert all(line.isascii() for line in lines)
    assert any("> back" in line for line in lines)


def test_a_move_draws_two_lines_and_the_last_one() -> None:
    drawn: list[int] = []

    async def play(app: Under, pilot: Pilot[None]) -> None:
        assert isinstance(app.screen, Choose)
        line = app.screen.line
        app.screen.line = lambda y: (drawn.append(y), line(y))[1]  # type: ignore[method-assign,func-returns-value]
        await pilot.press("j")
        await pilot.pause()

    run(numbers(100), play)
    assert sorted(drawn) == [0, 1, 18]


# --- palette, help, footer ----------------------------------------------------------------------------------------


def test_the_palette_lists_every_action_with_key_and_reason() -> None:
    told = Told()
    listed = {choice.value: choice for choice in palette(told)._all}
    assert set(listed) == {action.name for action in told.keymap.actions} - {"palette"}
    assert listed["peers"].key == "P"
    assert listed["top"].key == "g g"
    assert listed["undo"].why_not == "nothing to undo"
    assert listed["redo"].why_not is None
    assert [choice.value for choice in palette(told)._all][-1] == "undo"


def test_the_palette_gives_the_name_of_what_is_picked() -> None:
    assert press(palette(Told()), *"compare", "enter") == ["compare"]
    assert press(palette(Told()), *"products' r", "enter") == ["peers"]
    assert press(palette(Told()), *"undo the", "enter") == []
    assert press(palette(Told()), "?", "enter") == ["help"]
    assert press(palette(Told()), "enter") == ["peers"]


def test_the_palette_shows_all_of_a_help_that_does_not_fit() -> None:
    box = seen(palette(Told()), *"under the cursor", size=(60, 15))
    assert "The value under the cursor, or the screen's" in box[-2]


def test_help_tells_what_is_computed_and_every_live_key() -> None:
    told = Told(keymap=Keymap((PEERS,), {"filter": ("F",)}))
    text = help_text(told)
    lines = text.splitlines()
    assert lines[0] == "Where people drop out on the way, and who they are."
    assert "A person converts once." in lines
    for action in told.keymap.actions:
        if action.name.startswith("pin_") or action.name == "undo":
            continue
        assert any(
            line.split() == [*" ".join(told.keymap.keys_of(action.name)).split(), *action.help.split()]
            for line in lines
        ), action
    assert "  F  " in text
    assert any(line.split() == ["1-9", "Pinned", "screens"] for line in lines)
    assert "Undo the last change" not in text
    assert "1 more cannot be done now" in text
    assert lines.index("this screen") < lines.index("move") < lines.index("program")


def test_help_says_the_summary_once() -> None:
    told = Told()
    told.rule_text = lambda: "Where people drop out on the way, and who they are.\n\nThe rule."  # type: ignore[method-assign]
    assert help_text(told).count("Where people drop out") == 1
    assert help_text(Told(question="no such question")).startswith("A person converts once.")


def footer(told: Told, cells: int) -> str:
    lines: list[str] = []

    async def go() -> None:
        app = Under()
        async with app.run_test(size=(cells, 15)) as pilot:
            app.query_one(Footer).show(told)
            await pilot.pause()
            lines.append(app.grid()[14])

    asyncio.run(go())
    return lines[0].rstrip()


def test_the_footer_names_seven_keys_at_most() -> None:
    assert footer(Told(), 120) == (
        " enter open  e edit  t range  P peers  Y copy command  u undo  : commands"
    )
    assert len(Told().named) > MOST


def test_the_footer_leaves_out_from_the_end_but_help_last() -> None:
    told = Told(named=("enter", "edit", "range", "copy_command", "palette", "help"))
    assert footer(told, 120) == " enter open  e edit  t range  Y copy command  : commands  ? help"
    assert footer(told, 60) == " enter open  e edit  t range  Y copy command  ? help"
    assert footer(told, 22) == " enter open  ? help"
    assert footer(Told(named=()), 80) == ""


def test_the_footer_skips_names_that_are_no_action() -> None:
    assert footer(Told(named=("nothing", "help")), 80) == " ? help"


@given(st.lists(st.sampled_from([action.name for action in GLOBAL]), max_size=7), st.integers(0, 200))
def test_hints_fit_or_are_one(names: list[str], cells: int) -> None:
    keymap = Keymap()
    hints = tuple((name, keymap.key_of(name), name) for name in names)
    kept = fitting(hints, cells)
    assert len(kept) <= 1 or len("  ".join(f"{key} {label}" for _, key, label in kept)) <= cells
    assert list(hints[: len(kept)]) == kept or kept[-1][0] == "help"
