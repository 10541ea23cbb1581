"""The program on a terminal: opens screens by the name of their question, and keeps what all of them share."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import BindingType
from textual.filter import LineFilter
from textual.screen import ModalScreen

from queries import QUESTIONS
from queries.question import Request, Scope
from workbench.errors import UsageError, in_a_line
from workbench.glyphs import glyphs, reads_utf8, wants_ascii
from workbench.keys import Keymap, load_remapped
from workbench.live import Storing, Watcher, is_wanted
from workbench.session import Answer, Outcome, Session
from workbench.settings import theme
from workbench.text import ESCAPES
from workbench.widgets.plain_signs import PlainSigns
from workbench.widgets.sent import SendsChanges

if TYPE_CHECKING:
    from screens.base import Frame

PINNED = (
    "overview",
    "funnel",
    "user",
    "attribution",
    "search",
    "segments",
    "users",
    "check",
    "events",
    "identity",
)
"""What the digits open, from 0; a question that is not built yet leaves its digit free."""
TAKEN_SECONDS = 0.5
"""How long a key waits for the one before at most."""
REFRESHED_SECONDS, FIRST_SECONDS = 1.0, 3.0
"""Where the files have to be read for it, screens ask again by themselves if that took no longer last time.

The first time has the program to load and text to stage as well.
"""
MOST_OPEN = 24
"""Screens on the way back; the oldest ones behind are let go."""


class WorkbenchApp(SendsChanges, inherit_bindings=False):
    """The frame around all screens."""

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = []
    TITLE = "workbench"

    def __init__(
        self,
        paths: Sequence[str] = (),
        mapping: str | None = None,
        *,
        ascii_only: bool | None = None,
        memory: str | None = None,
        threads: int | None = None,
        start: str | None = None,
        request: Request | None = None,
    ) -> None:
        super().__init__()
        self.scope = Scope(data=tuple(paths), mapping=mapping)
        """What every question of this run begins with."""
        self.ascii_only = wants_ascii(ascii_only)
        self.glyphs = glyphs(self.ascii_only)
        # Every task of the program begins with what is set here.
        ESCAPES.set(self.ascii_only and not reads_utf8())
        self._plain = [PlainSigns(strict=ESCAPES.get())] if self.ascii_only else []
        self.session = Session(self._deliver, memory=memory, threads=threads)
        self.trail: list[Frame] = []
        """The screens from the first to the one in front."""
        self._homes: dict[str, Frame] = {}
        self._start, self._request = start, request
        self._numbers = 0
        self._watcher: Watcher | None = None
        self._storing = Storing()

    def _deliver(self, call: Callable[[], None]) -> None:
        # Thread-safe, and nobody waits: the worker goes on with its next job.
        self.call_later(call)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every line passes before it is sent: in ASCII mode our signs get their plain form."""
        return [*super().get_line_filters(), *self._plain]

    async def on_event(self, event: events.Event) -> None:
        """Hands a key on, and the next one only when it was taken: that one is for whatever this one opens.

        Over a slow line several keys arrive at once, as ``g f``.
        """
        is_typed = isinstance(event, events.Key | events.Paste) and not event.is_forwarded
        if is_typed and not self.screen_stack:
            # Typed while the program ends: there is no screen left to take it.
            return
        target = (self.focused or self.screen) if is_typed else None
        await super().on_event(event)
        taken = asyncio.Event()
        if target is not None and target.call_later(taken.set):
            with suppress(TimeoutError):
                await asyncio.wait_for(taken.wait(), TAKEN_SECONDS)

    def on_mount(self) -> None:
        """Opens the first screen."""
        from workbench.terminal import guard

        guard(self)
        self.theme = theme(self.available_themes)
        self.open_screen(self._start or ("overview" if self.has_data else "start"), self._request)
        self.call_after_refresh(self._warm_up)
        if is_wanted():
            self._watcher = Watcher(
                lambda: self.scope,
                lambda stored: self._deliver(lambda: self._came_in(stored)),
                lambda error: self._deliver(lambda: self._watched_last(error)),
            )
            self._watcher.start()

    def _warm_up(self) -> None:
        """Loads every screen behind the first question, so that none costs its imports when it is opened."""

        def ended(outcome: Outcome[None]) -> None:
            if isinstance(outcome.error, UsageError):
                self.say(in_a_line(outcome.error), "error")

        self.session.submit("screens", lambda task: load_screens(), ended)

    def on_unmount(self) -> None:
        """Interrupts what still runs: nothing may hold the process."""
        self.session.close()
        if self._watcher is not None:
            self._watcher.stop()

    # --- what comes in from outside -------------------------------------------------------------------------

    def _came_in(self, stored: bool) -> None:
        """Files came in: every screen asks again when it is looked at, unless that would keep the user waiting."""
        most = REFRESHED_SECONDS if self.session.opened > 1 else FIRST_SECONDS
        if not stored and self.session.opening_seconds > most:
            self.say(f"new files: {self.keymap.key_of('reload')} asks again")
            return
        self.session.renew()
        for frame in dict.fromkeys([*self._homes.values(), *self.trail]):
            frame.fall_behind()

    def _watched_last(self, error: BaseException) -> None:
        from workbench.faults import log_fault

        self.say(in_a_line(log_fault(error)), "error")

    def answered(self, answer: Answer) -> None:
        """An answer came: where reading the files pays no longer, their fast copy is begun behind."""
        if self._storing.begun:
            return

        def ended(outcome: Outcome[bool]) -> None:
            if outcome.value:
                self.say("making the store (a fast copy) behind; `workbench cache` shows it")

        self.session.submit("store", lambda task: self._storing.begin(answer), ended)

    @property
    def workspace(self) -> Path | None:
        """The file of the workspace that is open, None where files were named."""
        from workbench.workspace import find

        try:
            return None if self.scope.data else find(Path.cwd())
        except FileNotFoundError:
            # The folder we are in was removed.
            return None

    @property
    def has_data(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self.scope.data) or self.workspace is not None

    @property
    def keymap(self) -> Keymap:
        """The keys of the screen in front: popups go by them too."""
        return self.trail[-1].keymap if self.trail else Keymap()

    # --- screens --------------------------------------------------------------------------------------------

    def open_screen(self, name: str, request: Request | None = None, **context: object) -> None:
        """Brings a question's screen to the front: the one there is, or with a request or context a new one."""
        frame = self._homes.get(name) if request is None and not context else None
        if frame is None:
            try:
                frame = screen_class(name)(request, **context)
            except UsageError as error:
                # Its keys collide with the user's; the others still work.
                if not self.trail:
                    raise
                self.say(in_a_line(error), "error")
                return
            if request is None and not context:
                self._homes[name] = frame
        if frame in self.trail:
            self.trail.remove(frame)
        self.trail.append(frame)
        while len(self.trail) > MOST_OPEN:
            self._let_go(self.trail.pop(0))
        self._to_front(frame)

    def back(self) -> bool:
        """Goes to the screen before; False at the first one."""
        if len(self.trail) < 2:
            return False
        left = self.trail.pop()
        self._to_front(self.trail[-1])
        self._let_go(left)
        return True

    def start_over(self) -> None:
        """Lets go of what was opened: another workspace may be chosen."""
        self.scope = Scope()
        homes, self._homes = list(self._homes.values()), {}
        for frame in homes:
            if frame in self.trail:
                continue
            self._let_go(frame)

    def _to_front(self, frame: Frame) -> None:
        if not self.is_screen_installed(frame):
            self._numbers += 1
            self.install_screen(frame, f"frame-{self._numbers}")
            if len(self.screen_stack) < 2:
                self.push_screen(frame)
                return
        while isinstance(self.screen, ModalScreen):
            # Nothing lies on top of what is opened; switching would take the box for the screen below it.
            self.pop_screen()
        if self.screen is not frame:
            self.switch_screen(frame)

    def _let_go(self, frame: Frame) -> None:
        """Frees a screen that no way leads back to."""
        if frame in self._homes.values() or frame in self.trail:
            return
        frame.leave()
        if self.is_screen_installed(frame):
            self.call_later(self._remove, frame)

    async def _remove(self, frame: Frame) -> None:
        self.uninstall_screen(frame)
        if frame.is_running and frame not in self.screen_stack:
            await frame.remove()

    def available(self) -> list[tuple[str, str, str]]:
        """Every screen: its name, the letter after g (none: empty) and what it answers."""
        return [
            (name, question.key or "", question.summary)
            for name, question in QUESTIONS.items()
            if name != "explain"
        ]

    def next_theme(self) -> str:
        """Goes on to the next theme; its name."""
        names = sorted(name for name in self.available_themes if not name.startswith("ansi"))
        self.theme = names[(names.index(self.theme) + 1) % len(names) if self.theme in names else 0]
        return self.theme

    def colour(self, name: str) -> str:
        """A colour of the theme, as a style; empty where there is to be none."""
        return "" if self.no_color else self.theme_variables.get(name, "")

    # --- shared ---------------------------------------------------------------------------------------------

    def copy_text(self, text: str) -> str:
        """Copies to the clipboard of the terminal, and says how it went."""
        from workbench.clipboard import copy

        told = copy(text, self._write)
        self.say(told)
        return told

    def _write(self, text: str) -> None:
        if self._driver is not None:
            self._driver.write(text)

    def say(self, text: str, level: str = "info") -> None:
        """One line in the status of the screen in front."""
        if self.trail:
            self.trail[-1].say(text, level)

    def scoped(self, request: Request) -> Request:
        """A request over what this run was opened on, where it names no data itself."""
        from queries.saved import rescoped

        scope = request.scope
        if scope.data or not self.scope.data:
            return request
        return rescoped(request, replace(scope, data=self.scope.data, mapping=self.scope.mapping))

    @property
    def everything(self) -> Scope:
        """The scope without the range chosen: a person's timeline is of all time."""
        return replace(self.scope, since=None, until=None, last=None)

    def remember_range(self, scope: Scope) -> None:
        """The range chosen last: screens that are opened for the first time begin with it."""
        self.scope = replace(self.scope, since=scope.since, until=scope.until, last=scope.last)


def load_screens() -> None:
    """Imports every screen and holds the user's keys against them all.

    Raises UsageError for keys that collide and for actions that no screen has.
    """
    screens = [screen_class(name) for name in QUESTIONS]
    known = {action.name for screen in screens for action in screen.local_actions}
    remapped = load_remapped(known)
    for screen in screens:
        Keymap(screen.local_actions, remapped)


def screen_class(name: str) -> type[Frame]:
    """The class of a screen: the last one of its module that is a frame; questions without one share a screen."""
    module = name if importlib.util.find_spec(f"screens.{name}") is not None else "report"
    found = importlib.import_module(f"screens.{module}").SCREEN
    made: type[Frame] = found.of(name) if module == "report" else found
    return made
