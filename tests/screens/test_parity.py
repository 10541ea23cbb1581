"""Every screen against the command it shows: the same rows, over random forms that are edited by keys."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import random
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual import events

from queries.funnel_table import cell_of
from queries.question import QuestionError, Request, Shown
from queries.saved import request_of
from screens.base import Frame
from tests.driver import Ran
from tests.in_process import in_process
from tests.screens.driver import Driver, driver
from tests.screens.forms import DEMO, HOSTILE, SEGMENT, Editor, Words, quick, random_funnel, write_hostile
from workbench import segments
from workbench.demo import write_demo
from workbench.history import recent
from workbench.output.cells import cell
from workbench.output.documents import command_line
from workbench.table_shown import whole
from workbench.text import width
from workbench.values import plain_row

FORMS = int(os.environ.get("WORKBENCH_PARITY_FORMS", "2"))
"""Random forms of each kind over each shop; raise it for a soak, with another seed."""
SEED = int(os.environ.get("WORKBENCH_PARITY_SEED", "0"))
PIPED = " | workbench users --ids -"
FORMATS = ("csv", "tsv", "json", "jsonl", "md", "parquet", "txt")
SIZE = (200, 60)
Row = dict[str, Any]


@dataclass
class Seen:
    """What a screen showed or refused, to be held against its command once the screens are closed."""

    what: str
    command: str
    rows: Sequence[Row] = ()
    columns: Sequence[Shown] = ()
    texts: Sequence[Sequence[str]] = ()
    refused: str | None = None
    """What the screen said where it had no answer."""
    file: Path | None = None
    """What ``w`` wrote."""
    report: str | None = None
    """The name under which ``W`` saved the question."""


@dataclass
class Book:
    """What was seen in one open program, and the differences found so far."""

    d: Driver
    rng: random.Random
    words: Words
    walk: str
    forms: int
    copied: list[str] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    form: str = ""
    """Which random form is in hand, for whoever reads of a difference."""

    def __post_init__(self) -> None:
        self.d.app._write = self._copied  # type: ignore[method-assign]

    def _copied(self, text: str) -> None:
        found = re.fullmatch("\x1b\\]52;c;(.*)\x07", text, re.DOTALL)
        if found is not None:
            self.copied.append(base64.b64decode(found[1]).decode())

    @property
    def frame(self) -> Any:
        """The screen in front."""
        return self.d.app.trail[-1]

    def expect(self, is_so: bool, *what: object) -> None:
        """Writes a difference down; the walk goes on, for one form may hold several."""
        if not is_so:
            told = " ".join(map(str, what))
            self.wrong.append(f"{self.form}: {told}")

    def watched(self, on_key: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        """A key that ends the program is a difference like any other, and the walk goes on."""

        def pressed(frame: Any, event: Any) -> None:
            try:
                on_key(frame, event)
            except Exception as error:  # noqa: BLE001 - whatever it is would have ended the program
                self.expect(False, "CRASH on", event.key, repr(error))

        return pressed

    @property
    def said(self) -> str:
        """The line that the screen says, where it is an error."""
        text, level = self.frame._said
        return str(text) if level == "error" else ""

    async def look(self) -> None:
        """Keeps what the screen in front shows."""
        frame = self.frame
        if frame.answer is None:
            self.seen.append(Seen(self.form, frame.command(), refused=self.said))
            return
        rows = [plain_row(row) for row in frame.answer.result.rows]
        table = frame.answer.table
        kept = [
            {key: plain_row(row)[key] for key in mine} for row, mine in zip(table.rows(), rows, strict=True)
        ]
        self.expect(kept == rows, "the table has other rows than the answer")
        texts = table.texts(0, len(table))
        self.seen.append(Seen(self.form, frame.command(), rows, table.columns, texts))
        if frame.grid.table is table and frame.question != "overview":
            await self.d.settled()
            self._drawn(texts)

    def _drawn(self, texts: Sequence[Sequence[str]]) -> None:
        """The first rows stand in the picture, one under the other, as far as their columns have room."""
        lines = iter(self.d.lines())
        for row in texts[: min(5, self.frame.grid.size.height - 2)] if self.frame.grid.cursor_row < 5 else ():
            for line in lines:
                at, inside = 0, True
                for text in row[:3]:
                    part = text if width(text) <= 12 else text[:4]
                    found = line.find(part, at)
                    inside &= found >= 0
                    at = max(found, 0) + len(part)
                if inside:
                    break
            else:
                self.expect(False, "not in the picture:", row)
                return

    async def copies(self) -> None:
        """``y`` copies the cell under the cursor, ``Y`` the command."""
        frame, d = self.frame, self.d
        row, shown = frame.grid.current_row(), frame.grid.cursor_column
        if row is None:
            return
        self.copied.clear()
        await quick(d, "y", "Y")
        cells = [text for text in (whole(row, shown), frame.command()) if text]
        self.expect(self.copied == cells, "copied", self.copied, "and not", cells)
        if shown.kind != "clock" and len(cells) == 2:
            bare = whole(row, shown).replace(" ", "")
            short = cell(row, shown).rstrip("…").replace(" ", "")
            self.expect(bare.startswith(short[:5]), "copied", bare, "shown", short)

    async def arranged(self) -> None:
        """Sorting and filtering show the same rows, all of them or those that hold the text."""
        frame, d, rng = self.frame, self.d, self.rng
        table = frame.grid.table
        if not len(table) or frame.question == "overview" or frame.pane == 0:
            return
        texts = table.texts(0, len(table))
        await quick(d, *["l"] * rng.randrange(4), "s")
        for _ in range(2):
            now = frame.grid.table
            numbers = [now.number(place) for place in range(len(now))]
            self.expect(sorted(numbers) == list(range(len(table))), "sorting lost rows")
            self.expect(
                now.texts(0, len(now)) == [texts[number] for number in numbers], "sorted rows changed"
            )
            await quick(d, "s")
        wanted = rng.choice(rng.choice(texts))[:4].strip() or "a"
        await quick(d, "f")
        await pasted(d, wanted)
        await quick(d, "enter")
        now = frame.grid.table
        numbers = [now.number(place) for place in range(len(now))]
        held = [n for n, row in enumerate(texts) if any(wanted.casefold() in text.casefold() for text in row)]
        self.expect(numbers == held, "rows that hold", repr(wanted), numbers, "and not", held)
        self.look_command_stays()
        await quick(d, "escape")
        self.expect(len(frame.grid.table) == len(table), "esc did not take the filter away")

    def look_command_stays(self) -> None:
        """The command gives all the rows, whatever is filtered."""
        if self.seen and self.frame.answer is not None:
            self.expect(self.frame.command() == self.seen[-1].command, "the command changed with the filter")

    def refused(self, wanted: Request | None) -> None:
        """The line is still open, with the reason: the command refuses too, where there is one."""
        if wanted is not None:
            self.seen.append(Seen(self.form, command_line(wanted), refused=self.frame.prompt._word))

    async def writes(self, folder: Path) -> None:
        """``w`` writes the answer to a file, ``W`` saves the question."""
        frame, d = self.frame, self.d
        if frame.answer is None:
            return
        number = f"{self.walk}-{len(self.seen)}"
        # What a cell's people are written to says of which question they are; the command knows a list of ids.
        formats = ("csv", "tsv", "jsonl") if frame.context else FORMATS
        file = Path(f"out-{number}.{self.rng.choice(formats)}")
        await quick(d, "w")
        await quick(d, "ctrl+e", "ctrl+u")
        await pasted(d, str(file))
        await quick(d, "enter")
        self.expect((folder / file).exists(), "w wrote nothing:", frame._said)
        if (folder / file).exists():
            self.seen[-1].file = file
        if frame.why_not("save_report") is None:
            name = f"kept-{number}"
            await quick(d, "W")
            await pasted(d, name)
            await quick(d, "enter")
            if frame.prompt.active:
                self.expect(False, "W refused", name, d.text())
                await quick(d, "escape")
            elif (folder / "reports" / f"{name}.toml").exists():
                self.seen[-1].report = name
            else:
                self.expect(False, "W wrote nothing:", frame._said)


async def pasted(d: Driver, text: str) -> None:
    """Pastes into the line that is open."""
    d.app.post_message(events.Paste(text))
    await quick(d)


# --- walks ------------------------------------------------------------------------------------------------------


async def funnels(book: Book, folder: Path) -> None:
    """Random funnels, edited, undone, and walked through: cells, their people, their timelines, why they stopped."""
    d, rng = book.d, book.rng
    for number in range(book.forms):
        request = random_funnel(rng, book.words)
        book.form = f"seed {SEED} funnel {number}: {command_line(request)}"
        d.app.open_screen("funnel", request)
        await d.settled()
        await book.look()
        frame = book.frame
        if frame.answer is None:
            continue
        editor, trail = Editor(d, rng, book.words), [frame.request]
        for _ in range(4):
            await edited(book, editor, trail)
        await undone(book, trail)
        await editor.to_table()
        await book.look()
        await beside(book)
        await book.writes(folder)
        await book.arranged()
        await book.copies()
        await doors(book, folder)
        if rng.random() < 0.4:
            await reopened(book, folder)


async def edited(book: Book, editor: Editor, trail: list[Request]) -> None:
    """One edit: the question is the one meant, or it stays and the screen says why."""
    frame, before, editor.did = book.frame, trail[-1], ""
    wanted = await editor.once()
    book.form = f"{book.form.split(' then')[0]} then{editor.did} on {command_line(before)}"
    if frame.prompt.active:
        book.refused(wanted)
        book.expect(frame.request == before, "refused and asked all the same")
        await quick(book.d, "escape")
    elif frame.request != before:
        now = command_line(frame.request)
        book.expect(frame.request == wanted, "asked", now, "and not", wanted and command_line(wanted))
        trail.append(frame.request)
        if book.rng.random() < 0.5:
            await book.look()
    elif wanted is not None and wanted != before:
        # Known only when asked: a property that is not there, a segment that nobody saved.
        book.expect(bool(book.said), "nothing was asked and nothing said; wanted", command_line(wanted))
        book.seen.append(Seen(book.form, command_line(wanted), refused=book.said))
    book.expect(
        frame.request == frame.answer.request, "the form says another question than the table answers"
    )


async def undone(book: Book, trail: list[Request]) -> None:
    """``u`` walks back over the questions, ``U`` forth again."""
    frame = book.frame
    for request in reversed(trail[:-1]):
        await quick(book.d, "u")
        book.expect(frame.request == request, "undo gave", command_line(frame.request))
    for request in trail[1:]:
        await quick(book.d, "U")
        book.expect(frame.request == request, "redo gave", command_line(frame.request))


async def beside(book: Book) -> None:
    """``v`` lays the values side by side: the same figures, a column a value; the question stays."""
    frame, request, rows = book.frame, book.frame.request, book.frame.answer.result.rows
    await quick(book.d, "v")
    if frame.looks == "sides":
        layout = {shown.key: shown for shown in frame.answer.table.columns}
        whole = [row for row in rows if row["period"] is None]
        # Single periods stand beside each other only where nothing else tells rows apart.
        is_apart = len(whole) > len(request.steps)
        wanted = sorted(side_figure(row, layout) for row in (whole if is_apart else rows))
        grid = frame.grid.table
        shown = [
            " ".join(text.split())
            for texts in grid.texts(0, len(grid))
            for column, text in zip(grid.columns, texts, strict=True)
            if column.key.startswith("side:")
        ]
        book.expect(sorted(shown) == wanted, "side by side other figures:", shown, wanted)
    elif frame.looks == "chart":
        await quick(book.d, "v")
    book.expect(frame.request == request, "v asked another question")


def side_figure(row: Any, layout: Any) -> str:
    """How many, the share of step 1 and its interval; how many alone where nobody came to step 1."""
    count, rate, interval = (
        cell(row, layout[key]) for key in ("users", "rate_from_first", "ci_from_first_low")
    )
    return count if row["rate_from_first"] is None else f"{count} {rate} % [{interval}]"


async def doors(book: Book, folder: Path) -> None:
    """The people of a random cell, one of them, and why the people of a cell stopped."""
    d, rng, frame, form = book.d, book.rng, book.frame, book.form
    table = frame.grid.table
    for _ in range(1 + book.forms // 4):
        await quick(
            d, "ctrl+home", "@", *["j"] * rng.randrange(min(len(table), 15)), *["l"] * rng.randrange(14)
        )
        door = frame.door()
        await d.press("E")
        if book.frame is not frame:
            book.form = f"{form} explain {door}"
            await book.look()
            await d.press("q")
        await d.press("enter")
        if book.frame is frame:
            book.expect(door is None, "enter opened nothing:", door, frame._said)
            continue
        people = book.frame
        book.form = f"{form} people {door}"
        await book.look()
        if people.answer is not None:
            if people.request.scope.unit == "user" and people.request.of.entry != "every":
                measure = door.cell.partition(":")[0]
                key = {"reached": "users"}.get(measure, measure)
                figures = [row[key] for row in frame.answer.result.rows if cell_of(row, measure) == door.cell]
                book.expect(
                    [len(people.answer.result.rows)] == figures, "not the people of the figure", figures
                )
            await book.writes(folder)
            await book.arranged()
            await book.copies()
            if len(people.answer.result.rows):
                await quick(d, "ctrl+home", *["j"] * rng.randrange(min(len(people.answer.result.rows), 8)))
                for key in ("E", "enter"):
                    await d.press(key)
                    book.form = f"{form} people {door} {key} {people.grid.current_row()['user']!r}"
                    if book.frame is not people:
                        await book.look()
                        book.expect(book.frame.answer is not None, "no timeline:", book.said)
                        await d.press("q")
        await d.press("q")
    book.form = form


async def reopened(book: Book, folder: Path) -> None:
    """``H`` lists what was asked, and asks it again."""
    asked = recent(folder / "workbench.toml")
    place = book.rng.randrange(min(len(asked), 6))
    await book.d.press("H", *["down"] * place, "enter")
    book.expect(
        book.frame.request == asked[place].request, "H opened another question than", asked[place].title
    )
    await book.look()


async def generic(book: Book, folder: Path) -> None:
    """The questions that share a screen, and the overview, with random words in their fields."""
    d = book.d
    names = ("events", "properties", "identity", "check", "users", "overview")
    for name in names if book.forms > 4 else book.rng.sample(names, 3):
        for number in range(1 + book.forms // 6):
            book.form = f"seed {SEED} {name} {number}:"
            d.app.open_screen(name, request_of(name, {}))
            await d.settled()
            for _ in range(3):
                await field_written(book)
            await quick(d, *(["tab"] if book.frame.pane == 0 else []))
            await book.look()
            await book.writes(folder)
            await book.arranged()
            await book.copies()


async def field_written(book: Book) -> None:
    """Writes something into a random field of the form."""
    d, rng, frame, words = book.d, book.rng, book.frame, book.words
    known = {
        "where": words.wheres, "who": words.whos, "unit": ("user", "raw", "session", "order", "channel"),
        "by": words.properties, "top": ("1", "3", "0", "x"), "name": words.properties, "show": words.properties,
        "sort": ("amount", "events", "last_seen", "nothing"), "descending": ("yes", "no"),
        "match": words.wheres, "find": words.wheres, "kind": ("user_id", "anonymous_id", "shoe"),
        "around": (words.ranges[0], f"{words.ranges[1]} 12:00"),
    }  # fmt: skip
    fields = [one.name for one in frame.form() if one.name in known]
    name = rng.choice(fields)
    text = rng.choice((*known[name], *words.wrong[:4], ""))
    saved, before = frame.request.to_dict(), frame.request
    editor = Editor(d, rng, words)
    await editor.to_form(name)
    await quick(d, "e")
    if not frame.prompt.active:
        await quick(d, "escape")
        return
    started = frame.prompt.value
    if name in ("where", "who", "match", "find"):
        book.expect(
            started == (saved[name] or ""), name, "begins with", repr(started), "and not", saved[name]
        )
    await editor.write(text)
    value: object = text.strip() or None
    if isinstance(saved[name], list):
        value = [text.strip()] if text.strip() else []
    elif isinstance(saved[name], bool):
        value = text == "yes"
    elif isinstance(saved[name], int):
        value = int(text) if text.isdecimal() else text
    try:
        wanted: Request | None = request_of(frame.question, {**saved, name: value})
    except QuestionError:
        wanted = None
    book.form = f"{book.form} {name}={text!r}"
    if frame.prompt.active:
        book.refused(wanted)
        await quick(d, "escape")
    elif frame.request != before:
        book.expect(frame.request == wanted, "asked", command_line(frame.request), "and not", wanted)
        await book.look()
    elif wanted is not None and wanted != before:
        book.expect(bool(book.said), "nothing was asked and nothing said; wanted", command_line(wanted))
        book.seen.append(Seen(book.form, command_line(wanted), refused=book.said))


async def timelines(book: Book, folder: Path) -> None:
    """People of the shop, with random events, conditions and orders."""
    d, rng, words = book.d, book.rng, book.words
    d.app.open_screen("users", request_of("users", {}))
    await d.settled()
    people = [plain_row(row) for row in book.frame.answer.result.rows]
    for number in range(book.forms):
        who = rng.choice(people)
        book.form = f"seed {SEED} user {number}: {who['user']!r}"
        d.app.open_screen("user", request_of("user", {"user": who["user"], "kind": who["kind"]}))
        await d.settled()
        await book.look()
        frame = book.frame
        if frame.answer is None:
            book.expect(False, "a listed person cannot be opened:", book.said)
            continue
        other = rng.choice(people)
        edits: list[tuple[str, str]] = [
            ("events", rng.choice(words.steps)), ("match", rng.choice((*words.wheres, *words.wrong))),
            ("around", rng.choice(words.ranges) + " 12:00"), ("who", f"-- {other['user']}"),
            ("who", f"--kind {other['kind']} {other['user']}"), ("who", rng.choice(words.wheres)),
        ]  # fmt: skip
        trail = [frame.request]
        for name, text in rng.sample(edits, 2):
            editor = Editor(d, rng, words)
            before = frame.request
            await editor.to_form(name)
            await quick(d, "e")
            await editor.write(text)
            book.form = f"{book.form} {name}={text!r}"
            if frame.prompt.active:
                await quick(d, "escape")
            elif frame.request != before:
                trail.append(frame.request)
                await book.look()
        await quick(d, *(["tab"] if frame.pane == 0 else []))
        for key in rng.sample(("O", "+", "+", "-", "X", "<", ">"), 2):
            before = frame.request
            await d.press(key)
            if frame.request != before:
                trail.append(frame.request)
                book.form = f"{book.form} {key}"
                await book.look()
        await undone(book, trail)
        await book.look()
        await book.writes(folder)
        await book.arranged()
        await book.copies()


# --- the commands -----------------------------------------------------------------------------------------------


Run = Callable[..., Ran]


def ask(run: Run, command: str, *more: str) -> Ran:
    """Runs a command as it stands, with a pipe between two where it has one; ``more`` goes to the last."""
    import shlex

    first, pipe, second = command.rpartition(PIPED)
    if not pipe:
        return run("", *shlex.split(command)[1:], *more)
    ids = run("", *shlex.split(first)[1:])
    if ids.code:
        return ids
    return run(ids.out, *shlex.split(PIPED + second)[2:], *more)


def against(run: Run, one: Seen, folder: Path, number: int) -> list[str]:
    """What a command does otherwise than the screen that showed it."""
    ran = ask(run, with_option(one.command, "--json"))
    if one.refused is not None:
        if ran.code == 0:
            return [f"{one.what}: the screen refuses ({one.refused}), the command answers: {one.command}"]
        said = one.refused.partition(";")[0].strip()
        return (
            []
            if said[:50] in ran.err
            else [f"{one.what}: the screen says {one.refused!r}, the command {ran.err!r}"]
        )
    if ran.code:
        return [f"{one.what}: the command fails: {one.command}: {ran.err}"]
    found = []
    rows = json.loads(ran.out)["rows"]
    if one.command.startswith("workbench check") and "--all" not in one.command:
        # As a table, which people read, it shows what was found; for programs it carries all.
        rows = [row for row in rows if row["status"] == "found"]
    if rows != json.loads(json.dumps(one.rows)):
        at = next(
            (n for n, (a, b) in enumerate(zip(rows, one.rows, strict=False)) if a != b),
            min(len(rows), len(one.rows)),
        )
        found.append(
            f"{one.what}: {len(rows)} rows of the command, {len(one.rows)} on the screen; row {at}:\n"
            f"  command {rows[at] if at < len(rows) else None}\n"
            f"  screen  {one.rows[at] if at < len(one.rows) else None}"
        )
    elif one.columns and not one.command.startswith("workbench overview"):
        texts = [[cell(row, shown) for shown in one.columns] for row in rows]
        if texts != [list(row) for row in one.texts]:
            at = next(n for n, (a, b) in enumerate(zip(texts, one.texts, strict=True)) if a != list(b))
            found.append(f"{one.what}: row {at} shows {one.texts[at]} and not {texts[at]}")
    if one.file is not None:
        again = f"again-{one.file}"
        ran = ask(run, with_option(one.command, "--output", again, "--force"))
        if ran.code:
            found.append(f"{one.what}: {one.command} --output {again}: {ran.err}")
        elif (folder / again).read_bytes() != (folder / one.file).read_bytes():
            found.append(
                f"{one.what}: w wrote another {one.file.suffix} than the command; {one.command}: "
                f"{folder / one.file} {folder / again}"
            )
    if one.report is not None:
        ran = run("", "run", one.report, "--json")
        if ran.code or json.loads(ran.out)["rows"] != rows:
            found.append(f"{one.what}: run {one.report} gives other rows: {ran.err or ran.out[:300]}")
    return found


def with_option(command: str, *more: str) -> str:
    """A command with options, which stand before the double dash of an id."""
    import shlex

    first, pipe, second = command.rpartition(PIPED)
    words = shlex.split(command if not pipe else "workbench users --ids -" + second)
    at = words.index("--") if "--" in words else len(words)
    last = shlex.join([*words[:at], *more, *words[at:]])
    return f"{first} | {last}" if pipe else last


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path], Run]:
    """Runs commands in a shop, with what stands on their standard input."""
    monkeypatch.delenv("TMUX", raising=False)
    plain = in_process(tmp_path / "home", monkeypatch, capsys)

    def of(folder: Path) -> Run:
        def command(stdin: str, *arguments: str) -> Ran:
            segments._standard_input.cache_clear()
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin.encode())))
            return plain(*arguments, cwd=folder)

        return command

    return of


@pytest.fixture(scope="module", params=["demo", "hostile"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Words]:
    """A small shop, and a hostile one."""
    folder = tmp_path_factory.mktemp("parity") / request.param
    if request.param == "demo":
        write_demo(folder, events=20_000)
    else:
        write_hostile(folder)
    (folder / "segments").mkdir(exist_ok=True)
    listed = "".join(
        f'"{user}",' for user in (["u98096765", "u41883707"] if request.param == "demo" else ["u1", "-u"])
    )
    (folder / "segments" / f"{SEGMENT}.toml").write_text(f"schema = 1\nids = [{listed}]\n", "utf-8")
    return folder, DEMO if request.param == "demo" else HOSTILE


@pytest.mark.parametrize("walk", [funnels, generic, timelines], ids=lambda walk: walk.__name__)
def test_a_screen_shows_what_its_command_answers(
    walk: Callable[[Book, Path], Awaitable[None]],
    shop: tuple[Path, Words],
    run: Callable[[Path], Run],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, words = shop
    # The hostile shop is the smaller one.
    forms = FORMS if words is HOSTILE else (FORMS + 1) // 2

    async def walked() -> Book:
        async with driver(folder, size=SIZE) as d:
            book = Book(
                d, random.Random(f"{SEED} {walk.__name__} {folder.name}"), words, walk.__name__, forms
            )
            monkeypatch.setattr(Frame, "on_key", book.watched(Frame.on_key))
            await walk(book, folder)
            return book

    book = asyncio.run(walked())
    wrong = list(book.wrong)
    asked: set[tuple[str, bool, Path | None]] = set()
    for number, one in enumerate(book.seen):
        key = one.command, one.refused is None, one.file
        if key not in asked:
            asked.add(key)
            wrong += against(run(folder), one, folder, number)
    print(f"{len(asked)} commands, {sum(len(one.rows) for one in book.seen)} rows")
    assert not wrong, "\n\n".join(wrong)


# --- found by the walks, each by itself ---------------------------------------------------------------------------

FUNNEL: Row = {
    "steps": ["view", "add", "pay"],
    "exclude": ["\"a;b\": channel = 'x; y'"],
    "where": "channel <> 'none'",
}
UNTOUCHED: list[tuple[str, Row]] = [
    ("funnel", {**FUNNEL, "optional": [2], "step_windows": {"2": "1h"}, "tolerance": "2s"}),
    ("users", {"where": "channel = 'none'", "who": "did('none') = 0", "show": ["odd name"]}),
    ("properties", {"where": "channel = 'none' or channel = 'yes'"}),
    ("user", {"user": "user = 'x'", "events": ["none", "a|b"], "match": "channel <> 'none'"}),
    ("user", {"user": "--kind"}),
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of a few people with hostile names."""
    return write_hostile(tmp_path_factory.mktemp("parity") / "few", people=30)


@pytest.mark.parametrize(("report", "saved"), UNTOUCHED, ids=[name for name, _ in UNTOUCHED])
def test_a_field_that_is_left_as_it_stands_changes_nothing(hostile: Path, report: str, saved: Row) -> None:
    async def walked() -> None:
        async with driver(hostile, size=SIZE, start=report, request=request_of(report, saved)) as d:
            frame: Any = d.app.trail[-1]
            request = frame.request
            editor = Editor(d, random.Random(0), HOSTILE)
            for name in [field.name for field in frame.form()]:
                if report == "user" and name in ("order", "around"):
                    # A box to choose in; a line that offers the time of the event in hand.
                    continue
                await editor.to_form(name)
                await quick(d, "e", "enter")
                assert frame.request == request, f"{name}: {command_line(frame.request)}"
                assert not frame.prompt.active, f"{name}: {frame.prompt._word}"

    asyncio.run(walked())


@pytest.mark.parametrize("changed", [{"as": "all"}, {"compare": "previous", "last": "3d"}])
def test_a_person_of_several_funnels_is_explained_in_one_or_it_is_said_why_not(
    hostile: Path, changed: Row
) -> None:
    async def walked() -> None:
        request = request_of("funnel", {"steps": ["view", "add"], **changed})
        async with driver(hostile, size=SIZE, start="funnel", request=request) as d:
            await d.press("enter", "E")
            front: Any = d.app.trail[-1]
            assert front.question == "explain" or (front.question == "users" and front._said[0])

    asyncio.run(walked())


def test_a_last_step_has_nobody_who_dropped_to_explain(hostile: Path) -> None:
    async def walked() -> None:
        request = request_of("funnel", {"steps": ["view", "add"]})
        async with driver(hostile, size=SIZE, start="funnel", request=request) as d:
            frame: Any = d.app.trail[-1]
            while frame.grid.cursor_key != "dropped":
                await quick(d, "l")
            await d.press("j", "E")
            assert d.app.trail[-1] is frame
            assert frame._said[0]

    asyncio.run(walked())


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        (("g", "f"), "funnel None"),
        (("t", "j", "j", "enter"), "overview 7d"),
        (("6", "t", "j", "enter"), "users 1d"),
    ],
)
def test_keys_that_come_at_once_reach_whatever_is_in_front(
    hostile: Path, keys: tuple[str, ...], wanted: str
) -> None:
    async def walked() -> None:
        async with driver(hostile, size=SIZE) as d:
            await quick(d, *keys)
            await d.settled()
            front: Any = d.app.trail[-1]
            assert f"{front.question} {front.request.scope.last}" == wanted

    asyncio.run(walked())


def test_what_is_said_of_a_step_goes_with_the_step(hostile: Path) -> None:
    async def walked() -> None:
        saved = {"steps": ["view", "add", "none", "pay"], "optional": [3], "step_windows": {"4": "1h"}}
        async with driver(hostile, size=SIZE, start="funnel", request=request_of("funnel", saved)) as d:
            frame: Any = d.app.trail[-1]
            await d.press("d")
            after = {"steps": ["add", "none", "pay"], "optional": [2], "step_windows": {"3": "1h"}}
            assert frame.request == request_of("funnel", after)

    asyncio.run(walked())
