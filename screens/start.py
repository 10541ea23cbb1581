"""The first start, where no workspace is in reach: what can be opened, and the few keys that are enough to begin."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from screens.base import Frame
from workbench.glyphs import Glyphs
from workbench.text import clean, clip, pad, width

if TYPE_CHECKING:
    from workbench.keys import Keymap
    from workbench.nearby import Nearby
    from workbench.tables import Table

DEMO = "workbench-demo"
DEMO_EVENTS = 200_000
MOST_OFFERED = 50

_POSSIBLE = frozenset(
    [
        "down",
        "up",
        "top",
        "bottom",
        "page_down",
        "page_up",
        "half_down",
        "half_up",
        "enter",
        "escape",
        "cancel",
        "back",
        "quit",
        "suspend",
        "palette",
        "help",
        "reload",
    ]
)
_LESSONS = (
    (("down", "up"), "down and up; the arrow keys too"),
    (("enter",), "open; on a figure: the people behind it"),
    (("back",), "back; esc closes what lies on top"),
    (("help",), "what is computed here, and the keys"),
    (("palette",), "every action by name"),
)
"""The actions that are enough to begin, and what they do."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that can be opened."""

    label: str
    detail: str
    open: Callable[[], None]


class StartScreen(Frame):
    """Offers the demo and the data files that are here."""

    question = ""
    hinted: ClassVar[tuple[str, ...]] = ("enter", "palette", "help", "quit")

    def __init__(self, request: None = None, **context: object) -> None:
        super().__init__(request, **context)
        self.offers: list[Offer] = [self._demo()]
        self.place = 0
        self.here = Path.cwd()
        self.tried: set[str] = set()
        """The actions done so far: what they teach is ticked off."""
        self._looked = False

    # --- the frame's questions --------------------------------------------------------------------------------

    def title_text(self) -> str:
        """The screen's name in the title line."""
        return "start"

    def rule_text(self) -> str:
        """What can be done here."""
        return (
            "Nothing is computed yet: choose what to open. The demo is a made-up shop with planted truths; data files "
            "are read where they lie. A workspace, made by `workbench init PATH`, keeps what columns mean, reports "
            "and segments, and is opened by `workbench` in its folder."
        )

    def why_not(self, name: str) -> str | None:
        """Only what helps to choose can be done."""
        return None if name in _POSSIBLE else "nothing is open yet: enter opens what the cursor is on"

    @property
    def table(self) -> Table | None:
        """There are no rows."""
        return None

    def body(self) -> ComposeResult:
        """The offers and the lessons."""
        yield Picture(id="start")

    def begin(self) -> None:
        """Looks for data files, once the screen is there."""
        here = Path.cwd()

        def look(task: Any) -> list[Nearby]:
            from workbench.nearby import nearby

            return nearby(here)

        self.aside(look, self._found, "looking for data files")

    def refresh_form(self) -> None:
        """Draws everything anew."""
        super().refresh_form()
        self._draw_offers()

    # --- keys -------------------------------------------------------------------------------------------------

    def perform(self, name: str) -> None:
        """Does an action; the lesson that it belongs to is ticked off."""
        self.tried.add(name)
        super().perform(name)
        self._draw_offers()

    def _move(self, rows: int, columns: int) -> None:
        self.place = min(max(self.place + rows, 0), len(self.offers) - 1)

    def do_top(self) -> None:
        """Goes to the first offer."""
        self.place = 0

    def do_bottom(self) -> None:
        """Goes to the last offer."""
        self.place = len(self.offers) - 1

    do_page_up = do_half_up = do_top
    do_page_down = do_half_down = do_bottom

    def do_enter(self) -> None:
        """Opens what the cursor is on."""
        if not self._jobs:
            self.offers[self.place].open()

    def do_escape(self) -> None:
        """Stops what runs."""
        if self._jobs:
            self.do_cancel()

    def do_reload(self) -> None:
        """Looks for data files anew."""
        self.begin()

    # --- offers -----------------------------------------------------------------------------------------------

    def _demo(self) -> Offer:
        there = Path(DEMO, "workbench.toml").exists()
        detail = "as it was written" if there else f"a made-up shop, {DEMO_EVENTS:,} events; goes to {DEMO}/"
        return Offer("the demo shop", detail, self._open_demo if there else self._write_demo)

    def _write_demo(self) -> None:
        folder = Path.cwd() / DEMO

        def write(task: Any) -> None:
            from workbench.demo import write_demo

            write_demo(folder, events=DEMO_EVENTS, progress=task.report, check=task.check)

        self.aside(write, lambda _: self._open_demo(), "writing the demo shop")

    def _open_demo(self) -> None:
        self._open_workspace(DEMO)

    def _open_workspace(self, folder: str) -> None:
        try:
            os.chdir(folder)
        except OSError as error:
            self.say(f"{folder}: {error.strerror}", "error")
            return
        self._go_on()

    def _open_files(self, path: str) -> None:
        app = self.workbench
        app.scope = replace(app.scope, data=(path,))
        self._go_on()

    def _go_on(self) -> None:
        self.workbench.open_screen("overview")

    def on_screen_resume(self) -> None:
        """Back from what was opened: it is let go, and all begins anew."""
        super().on_screen_resume()
        if self._opened and (Path.cwd() != self.here or self.workbench.scope.data):
            os.chdir(self.here)
            self.workbench.start_over()

    def _found(self, found: Sequence[Nearby]) -> None:
        self._looked = True
        # What is a workspace already is what somebody works with; the demo's own folder is offered as the demo.
        others = [each for each in found if not each.workspace or each.path != f"{DEMO}/"]
        others.sort(key=lambda each: not each.workspace)
        self.offers = [self._demo(), *(self._files(each) for each in others[:MOST_OFFERED])]
        self.place = min(self.place, len(self.offers) - 1)
        more = len(found) - MOST_OFFERED
        self.say(f"{more:,} more here: workbench open PATH" if more > 0 else "")
        self._draw_offers()

    def _files(self, found: Nearby) -> Offer:
        opened = self._open_workspace if found.workspace else self._open_files
        return Offer(found.path, found.told(), lambda: opened(found.path))

    def _draw_offers(self) -> None:
        cells, rows = self.app.size
        here = Path.cwd()
        drawn = picture(
            f"what shall be opened? No workspace in {here} or its parents",
            self.offers,
            self.place,
            lessons(self.keymap, self.tried, self.workbench.glyphs),
            cells=cells,
            rows=rows - 3,
            glyphs=self.workbench.glyphs,
            none_found=self._looked,
        )
        self.query_one("#start", Picture).put(drawn)


class Picture(Widget, inherit_bindings=False):
    """Lines of text, of which only those that changed are sent."""

    DEFAULT_CSS = "Picture { height: 1fr; }"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._shown: list[Text] = []

    def put(self, lines: list[Text]) -> None:
        """Shows these lines."""
        before, self._shown = self._shown, lines
        for place in range(max(len(before), len(lines))):
            if before[place : place + 1] != lines[place : place + 1]:
                self.refresh(Region(0, place, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """One row of the picture."""
        cells = self.size.width
        if y >= len(self._shown):
            return Strip.blank(cells, self.rich_style)
        segments = self._shown[y].render(self.app.console)
        return Strip(segments).adjust_cell_length(cells).apply_style(self.rich_style)


SCREEN = StartScreen


def lessons(keymap: Keymap, tried: Iterable[str], glyphs: Glyphs) -> list[tuple[str, str, str]]:
    """A tick where it was tried, the key, what it does."""
    done = set(tried)
    return [
        (
            glyphs.ok if done & set(names) else "",
            " ".join(keymap.key_of(name) for name in names),
            words,
        )
        for names, words in _LESSONS
    ]


def picture(
    heading: str,
    offers: Sequence[Offer],
    place: int,
    taught: Sequence[tuple[str, str, str]],
    *,
    cells: int,
    rows: int,
    glyphs: Glyphs,
    none_found: bool,
) -> list[Text]:
    """The offers around the cursor, and below them the lessons, in so many cells and rows."""
    head = [Text(_fit(f" {clean(heading)}", cells, glyphs), "bold"), Text("")]
    foot = [
        Text(""),
        Text(" five keys to begin with", "bold"),
        *(_lesson(each, glyphs, cells) for each in taught),
    ]
    if none_found and len(offers) == 1:
        foot.insert(0, Text(_fit("   no data files here: workbench open PATH opens others", cells, glyphs)))
    room = max(rows - len(head) - len(foot), 1)
    first = min(max(place - room // 2, 0), max(len(offers) - room, 0))
    labels = min(max(width(clean(offer.label)) for offer in offers), cells // 2)
    shown = [
        _offer(offer, labels, cells, glyphs, in_hand=number == place)
        for number, offer in enumerate(offers[first : first + room], first)
    ]
    return [*head, *shown, *foot]


def _offer(offer: Offer, labels: int, cells: int, glyphs: Glyphs, *, in_hand: bool) -> Text:
    point = glyphs.point if in_hand else " " * width(glyphs.point)
    label = pad(_fit(clean(offer.label), labels, glyphs), labels)
    detail = _fit(clean(offer.detail), cells - labels - width(point) - 4, glyphs)
    return Text.assemble(f" {point} ", (label, "reverse" if in_hand else ""), f"  {detail}")


def _lesson(lesson: tuple[str, str, str], glyphs: Glyphs, cells: int) -> Text:
    tick, key, words = lesson
    return Text(_fit(f" {tick:<{width(glyphs.ok)}} {key:<6} {words}", cells, glyphs))


def _fit(text: str, cells: int, glyphs: Glyphs) -> str:
    return text if width(text) <= cells else clip(text, cells)[:-1] + glyphs.more[: max(cells, 0)]
