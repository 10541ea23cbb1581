"""The frame of every screen: keys, form, asking, the old answer while a new one runs, doors, and what is taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Static

from queries import QUESTIONS
from queries.question import PeopleRequest, QuestionError, Request
from screens.frame import asking, finding, taking
from screens.frame.form import Field, Form
from workbench.errors import Cancelled, WorkbenchError, in_a_line
from workbench.keys import Action, Keymap, load_remapped
from workbench.live import news
from workbench.session import Answer, Job, Outcome
from workbench.text import clean, clip, width
from workbench.widgets.footer import Footer
from workbench.widgets.grid import Grid
from workbench.widgets.prompt import Prompt

if TYPE_CHECKING:
    from workbench.app import WorkbenchApp
    from workbench.tables import Table

LEAST = (60, 15)
"""Cells and rows under which a screen only says how large it must be."""
NARROW, SHORT = 100, 20
_PIN = "pin_"
TOLD_SECONDS = 0.25
"""How often the status line tells how far a question is."""


@dataclass(frozen=True, slots=True)
class Door:
    """The people behind a figure."""

    cell: str
    """As ``--users`` names it."""
    title: str


class Frame(Screen[None], inherit_bindings=False):
    """What all screens share; a screen adds its form, its widgets and its own actions."""

    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = ""
    question: ClassVar[str] = ""
    """Its name in :data:`queries.QUESTIONS`."""
    local_actions: ClassVar[tuple[Action, ...]] = ()
    hinted: ClassVar[tuple[str, ...]] = ("enter", "edit", "range", "copy_command", "palette", "help")
    """The actions the footer names, the most useful first."""

    def __init__(self, request: Request | None = None, **context: object) -> None:
        super().__init__()
        self.request: Request | None = request
        self.context = context
        self.answer: Answer | None = None
        self.keymap = Keymap(self.local_actions, load_remapped())
        self.past: list[Request] = []
        self.future: list[Request] = []
        self.pane = 0
        """Which pane the keys move in: 0 the form, from 1 on the grids in their order."""
        self.zoomed = False
        self._job: Job[Answer] | None = None
        self._others: list[Job[Any]] = []
        """What runs or waits beside the question: a sort, an export."""
        self._sound: tuple[tuple[Request, ...], tuple[Request, ...]] = ((), ())
        """Past and future as they were when the answer came."""
        self._said: tuple[str, str] = ("", "info")
        self._opened = False
        self._edited = False
        """Whether what is asked came from the prompt: where it fails, the prompt has it again."""
        self.is_behind = False
        """Whether files came in since it asked: it asks again once nothing is in the way."""
        self._quiet = False
        """Whether what is asked is what was asked before, because files came in."""
        self.trouble: str | None = None
        """Why the last question has no answer, whole."""
        self._in_status: dict[str, Text] = {}
        """The parts of the status line as they stand."""

    # --- what a screen says of itself --------------------------------------------------------------------------

    def first_request(self) -> Request | None:
        """What it asks when opened with nothing; None: it shows how to begin."""
        return None

    def form(self) -> Sequence[Field]:
        """The question as fields, one a line."""
        return ()

    def short_form(self) -> Sequence[str]:
        """The question in a line or two, while the form is not in hand."""
        return [f"{field.label} {field.text}" for field in self.form()]

    def body(self) -> ComposeResult:
        """Its widgets: one grid at least."""
        yield Grid(id="grid")

    def show(self, answer: Answer) -> None:
        """Puts an answer into its widgets."""
        self.grid.show(answer.table, page=answer.result.page)

    def door(self) -> Door | None:
        """The people behind the figure under the cursor, None where there are none."""
        return None

    def open_row(self) -> None:
        """What enter does where no people are behind the figure: the details of the row."""
        self.do_details()

    def why_not(self, name: str) -> str | None:
        """Why an action cannot be done now; None where it can."""
        if name in ("export", "save_report", "sql", "copy_command", "run") and self.request is None:
            return "nothing is asked yet"
        if name in ("copy_cell", "details", "sort", "filter", "find", "find_next", "find_previous", "mark"):
            return None if len(self.table or ()) else "there is no row"
        if name == "save_people" and self.people_answer() is None and self.door() is None:
            return "there are no people behind this"
        if name == "undo" and not self.past:
            return "nothing to undo"
        if name == "redo" and not self.future:
            return "nothing to redo"
        if not name.startswith(_PIN) and not hasattr(self, f"do_{name}"):
            return "not on this screen"
        return None

    def hints(self) -> Sequence[str]:
        """The actions the footer names."""
        return [name for name in self.hinted if self.why_not(name) is None]

    def typing(self) -> tuple[tuple[str, str, str], ...]:
        """What the footer says instead while something is typed: name, key and label."""
        if not self.prompt.active:
            return ()
        return (
            ("enter", "enter", "take it"),
            ("next_pane", "tab", "complete, next"),
            ("down", "up/down", "choose"),
            ("escape", "esc", "leave it"),
        )

    def on_prompt_turned(self) -> None:
        """The footer tells the keys of the line; a chart makes room for it."""
        self.set_class(self.prompt.active, "prompting")
        self.query_one("#footer", Footer).show(self)
        self.catch_up()

    def rule_text(self) -> str:
        """What is computed here, as help tells it."""
        summary = QUESTIONS[self.question].summary if self.question in QUESTIONS else ""
        return summary if self.answer is None else f"{summary}\n\n{self.answer.result.rule}"

    def notes_text(self) -> str:
        """What went wrong last, and the notes of the answer, a line each."""
        bad = self.workbench.glyphs.bad
        notes = self.answer.result.notes if self.answer is not None else ()
        lines = [f"{bad if note.level == 'warning' else '-'} {note.text}" for note in notes]
        return "\n".join([*([f"{bad} {self.trouble}"] if self.trouble else []), *lines])

    def command(self) -> str:
        """The command line that gives what the screen shows."""
        from workbench.output.documents import command_line

        return "" if self.request is None else command_line(self.request)

    def title_text(self) -> str:
        """The screen's name in the title line."""
        return self.question

    def file_stem(self) -> str:
        """What a file of the rows is called."""
        return self.title_text()

    def people_answer(self) -> Answer | None:
        """The answer whose rows are people, where there is one: what is saved as a segment."""
        return None

    # --- layout -----------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """The frame around the screen's body."""
        # Before there are widgets: each change of a class afterwards looks all of their styles up again.
        self._fit()
        yield Static(id="title", markup=False)
        yield Form(id="form")
        with Vertical(id="body"):
            yield from self.body()
        yield Prompt(id="prompt")
        with Horizontal(id="status"):
            yield Static(id="told", markup=False)
            yield Static(id="place", markup=False)
        yield Footer(id="footer")
        yield Static(f"the terminal is too small: {LEAST[0]}x{LEAST[1]} at least", id="small", markup=False)

    @property
    def workbench(self) -> WorkbenchApp:
        """The program."""
        return cast("WorkbenchApp", self.app)

    @property
    def prompt(self) -> Prompt:
        """The one input line."""
        return self.query_one("#prompt", Prompt)

    def grids(self) -> list[Grid]:
        """The grids that can be walked into, in their order."""
        return [
            grid for grid in self.query(Grid).results(Grid) if grid.display and not grid.has_class("away")
        ]

    @property
    def grid(self) -> Grid:
        """The grid of the pane in hand; the first one while the form is."""
        grids = self.grids()
        return grids[min(max(self.pane - 1, 0), len(grids) - 1)]

    @property
    def table(self) -> Table | None:
        """The rows of the grid in hand."""
        return self.grid.table

    def on_mount(self) -> None:
        """Asks what it was opened with."""
        self._ticker = self.set_interval(TOLD_SECONDS, self._tick, pause=True)
        self.pane = 1
        self._mark_pane()
        if self.request is None:
            self.request = self.first_request()
            if self.request is not None and not self.context:
                self.request = asking.in_the_range(self.request, self.workbench.scope)
        if self.request is not None:
            self.request = self.workbench.scoped(self.request)
        self._opened = True
        self.refresh_form()
        # Not before the first paint: asking loads the engine, which takes as long.
        self.call_after_refresh(self._first)

    def _first(self) -> None:
        if self.request is None:
            self.begin()
        else:
            self.ask(self.request, remember=False)

    def begin(self) -> None:
        """Shows how to begin, where there is nothing to ask yet."""
        self.say("e edits the question")

    def leave(self) -> None:
        """Stops what it asked: nobody will look at it."""
        for job in self._jobs:
            self.workbench.session.cancel(job, quietly=True)
        self._job, self._others = None, []

    @property
    def _jobs(self) -> list[Job[Any]]:
        """What runs or waits, the question first."""
        return [*([] if self._job is None else [self._job]), *self._others]

    @property
    def is_in_front(self) -> bool:
        """Whether it is looked at, with nothing on top."""
        return self.is_attached and self.app.screen is self

    def on_resize(self, event: events.Resize) -> None:
        """Narrow, short and too small are classes of the screen."""
        self._fit()
        if self._opened:
            self.call_after_refresh(self._redraw)

    def on_screen_resume(self) -> None:
        """Back in front: lines that depend on the size are drawn anew."""
        if self._opened:
            self._redraw()
            self.catch_up()

    def _redraw(self) -> None:
        self.refresh_form()
        if self.answer is not None:
            self.resized(self.answer)

    def resized(self, answer: Answer) -> None:
        """Lays the answer out for another size; most screens need nothing."""

    def _fit(self) -> None:
        cells, rows = self.app.size
        self.set_class(cells < NARROW, "narrow")
        self.set_class(cells >= NARROW, "wide")
        self.set_class(rows < SHORT, "short")
        self.set_class(cells < LEAST[0] or rows < LEAST[1], "too-small")

    def refresh_form(self) -> None:
        """Draws title, form, status and footer anew."""
        self._draw_title()
        form = self.query_one("#form", Form)
        form.put(self.form(), self.short_form(), active=self.pane == 0)
        self._draw_status()
        self.query_one("#footer", Footer).show(self)

    def _draw_title(self) -> None:
        scope = None if self.request is None else self.request.scope
        where = self.workbench.workspace
        name = (
            ", ".join(scope.data) if scope is not None and scope.data else where.parent.name if where else ""
        )
        parts = [self.title_text(), name, asking.range_text(scope), asking.people_text(scope)]
        text = f" {self.workbench.glyphs.dot} ".join(clean(part) for part in parts if part)
        cells = self.app.size.width
        self.query_one("#title", Static).update(Text(clip(f" {text}", cells), no_wrap=True, end=""))

    # --- keys -------------------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """The one place where a key becomes an action."""
        event.prevent_default()
        event.stop()
        if self.app.screen is not self:
            # Typed after the key that opened what lies on top: it is meant for that.
            self.app.screen.post_message(events.Key(event.key, event.character))
            return
        character = event.character if event.is_printable else None
        # The prompt has the focus already, but the key may have been on its way before.
        if self.prompt.active and self.prompt.take(event.key, character):
            return
        action = self.keymap.action(event.key, character)
        if action is not None:
            self.perform(action.name)
        elif character is not None:
            self.say(f"{character} means nothing here; {self.keymap.key_of('help')} lists the keys")

    def perform(self, name: str) -> None:
        """Does an action, or says why it cannot be done."""
        why = self.why_not(name)
        if why is not None:
            self.say(f"{self.keymap.key_of(name)}: {why}")
            return
        self._said = ("", "info")
        try:
            if name.startswith(_PIN):
                asking.open_pinned(self, int(name.removeprefix(_PIN)))
            else:
                getattr(self, f"do_{name}")()
        except (QuestionError, WorkbenchError) as error:
            self.say(in_a_line(error), "error")
        self._draw_status()
        self.catch_up()

    def do_down(self) -> None:
        """Moves down."""
        self._move(1, 0)

    def do_up(self) -> None:
        """Moves up."""
        self._move(-1, 0)

    def do_left(self) -> None:
        """Moves left."""
        self._move(0, -1)

    def do_right(self) -> None:
        """Moves right."""
        self._move(0, 1)

    def _move(self, rows: int, columns: int) -> None:
        if self.pane == 0:
            self.query_one("#form", Form).move(rows)
        else:
            self.grid.move(rows, columns)

    def do_top(self) -> None:
        """Goes to the first row."""
        self.grid.top()

    def do_bottom(self) -> None:
        """Goes to the last row."""
        self.grid.bottom()

    def do_page_down(self) -> None:
        """Goes a page down."""
        self.grid.page(1)

    def do_page_up(self) -> None:
        """Goes a page up."""
        self.grid.page(-1)

    def do_half_down(self) -> None:
        """Goes half a page down."""
        self.grid.half(1)

    def do_half_up(self) -> None:
        """Goes half a page up."""
        self.grid.half(-1)

    def do_line_start(self) -> None:
        """Goes to the first column."""
        self.grid.line_start()

    def do_line_end(self) -> None:
        """Goes to the last column."""
        self.grid.line_end()

    def do_next_pane(self) -> None:
        """Goes to the next pane."""
        self._to_pane((self.pane + 1) % (len(self.grids()) + 1))

    def do_previous_pane(self) -> None:
        """Goes to the pane before."""
        self._to_pane((self.pane - 1) % (len(self.grids()) + 1))

    def _to_pane(self, pane: int) -> None:
        self.pane = pane if pane or self.form() else 1
        self._mark_pane()
        self.refresh_form()

    def _mark_pane(self) -> None:
        """One cursor alone is the one that moves."""
        for number, grid in enumerate(self.grids(), 1):
            grid.in_hand = number == self.pane

    def do_enter(self) -> None:
        """Opens what is behind the figure, or edits the field."""
        if self.pane == 0:
            self.do_edit()
            return
        door = self.door()
        if door is not None and self.answer is not None:
            self.workbench.open_screen("people", None, of=self.answer, cell=door.cell, title=door.title)
        else:
            self.open_row()

    def do_escape(self) -> None:
        """Takes one layer away: the running question, the find, the filter, the marks."""
        if self._jobs:
            self.do_cancel()
        elif self.pane == 0:
            self._to_pane(1)
        elif not finding.peel(self):
            self.say("")

    def do_cancel(self) -> None:
        """Cancels what runs."""
        if not self._jobs:
            self.say("nothing runs; q goes back, Q quits")
        for job in self._jobs:
            self.say("cancelling")
            self.workbench.session.cancel(job)

    def do_back(self) -> None:
        """Goes back to the screen before; at the first one it asks whether to quit."""
        if not self.workbench.back():
            self.do_quit()

    def do_quit(self) -> None:
        """Quits, having asked."""
        from workbench.widgets.popup import Confirm

        self.app.push_screen(Confirm("Quit workbench?"), lambda yes: self.app.exit() if yes else None)

    def do_suspend(self) -> None:
        """Gives the terminal back to the shell until ``fg``."""
        self.app.action_suspend_process()

    def do_overview(self) -> None:
        """Opens the overview."""
        self.workbench.open_screen("overview")

    def do_go(self) -> None:
        """Opens the list of screens by letter."""
        asking.go(self)

    def do_palette(self) -> None:
        """Opens the list of every action."""
        from workbench.widgets.palette import SCREEN, palette

        def chosen(name: str | None) -> None:
            if name is None:
                return
            if name.startswith(SCREEN):
                self.workbench.open_screen(name.removeprefix(SCREEN))
            else:
                self.perform(name)

        self.app.push_screen(palette(self, asking.screens_of(self)), chosen)

    def do_help(self) -> None:
        """Says what is computed here and what the keys do."""
        from workbench.widgets.help import help_text
        from workbench.widgets.popup import Panel

        notes = self.notes_text()
        text = f"notes\n{notes}\n\n{help_text(self)}" if notes else help_text(self)
        self.app.push_screen(Panel(f"help: {self.title_text()}", text))

    def do_theme(self) -> None:
        """Goes on to the next theme."""
        from workbench.keys import settings_path

        name = self.workbench.next_theme()
        self.say(f'{name}; theme = "{name}" in {settings_path()} keeps it')

    def do_zoom(self) -> None:
        """Gives the whole screen to the pane in hand, or all their places back."""
        self.zoomed = not self.zoomed
        self.set_class(self.zoomed, "zoomed")
        kept = self.grid
        for part in self.query_one("#body").children:
            part.set_class(self.zoomed and part is not kept, "away")
        self.say(f"this pane alone; {self.keymap.key_of('zoom')} shows all" if self.zoomed else "")

    # --- the form ---------------------------------------------------------------------------------------------

    def do_edit(self) -> None:
        """Edits the field in hand."""
        if self.pane != 0:
            self._to_pane(0)
            return
        field = self.query_one("#form", Form).current()
        if field is None or field.edit is None:
            self.say("nothing to edit here")
        else:
            field.edit()

    def do_undo(self) -> None:
        """Asks the question before."""
        if self.past and self.request is not None:
            self.future.append(self.request)
            self.ask(self.past.pop(), remember=False)

    def do_redo(self) -> None:
        """Asks the question that was undone."""
        if self.future and self.request is not None:
            self.past.append(self.request)
            self.ask(self.future.pop(), remember=False)

    def change(self, make: Callable[[], Request]) -> str | None:
        """Asks another question; the line to show where it is none, and nothing changes."""
        try:
            made = make()
        except QuestionError as error:
            return in_a_line(error)
        if made != self.request:
            self.ask(made)
            self._edited = self.prompt.active
        return None

    def do_range(self) -> None:
        """Asks for another range of time."""
        asking.range_of(self)

    def do_breakdown(self) -> None:
        """Asks what to break down by."""
        asking.breakdown(self)

    def do_where(self) -> None:
        """Lets the filter of events be written."""
        asking.where_of(self)

    def do_who(self) -> None:
        """Lets the rule over people be written."""
        asking.who_of(self)

    def do_filter(self) -> None:
        """Shows only rows that hold a text."""
        finding.filter_rows(self)

    def do_find(self) -> None:
        """Goes to the next row that holds a text."""
        finding.find(self)

    def do_find_next(self) -> None:
        """Goes to the next find."""
        finding.again(self, 1)

    def do_find_previous(self) -> None:
        """Goes to the find before."""
        finding.again(self, -1)

    def do_sort(self) -> None:
        """Sorts by the column under the cursor: descending, ascending, not."""
        finding.sort(self)

    def do_mark(self) -> None:
        """Marks the row and goes down."""
        self.grid.toggle_mark()
        self.grid.move(1, 0)

    def do_details(self) -> None:
        """Shows everything a row holds."""
        finding.details(self)

    # --- taking away ------------------------------------------------------------------------------------------

    def do_copy_cell(self) -> None:
        """Copies the cell under the cursor."""
        self.workbench.copy_text(self.grid.cell_text())

    def do_copy_command(self) -> None:
        """Copies the command line that gives the same rows."""
        self.workbench.copy_text(self.command())

    def do_sql(self) -> None:
        """Shows the SQL."""
        taking.sql(self)

    def do_export(self) -> None:
        """Writes the answer to a file."""
        taking.export(self)

    def do_save_report(self) -> None:
        """Saves the question as a report of the workspace."""
        taking.save_report(self)

    def do_save_people(self) -> None:
        """Saves the people as a segment of the workspace."""
        taking.save_people(self)

    def do_open_report(self) -> None:
        """Opens a saved report."""
        taking.open_report(self)

    def do_history(self) -> None:
        """Opens what was asked before."""
        taking.history(self)

    # --- asking -----------------------------------------------------------------------------------------------

    def do_run(self) -> None:
        """Asks again."""
        if self.request is not None:
            self.ask(self.request, remember=False)

    def do_reload(self) -> None:
        """Draws everything and lists the files anew, and asks again."""
        self.workbench.redraw()
        if self.request is not None:
            self.ask(self.request, remember=False, anew=True)

    def ask(self, request: Request, *, remember: bool = True, anew: bool = False) -> None:
        """Asks a question; the answer there is stays, dimmed, until the new one is here."""
        if remember and self.request is not None and request != self.request:
            self.past.append(self.request)
            self.future.clear()
        self.request = request
        self._edited = self._quiet = False
        # The people of another answer are those of what it was asked of, unless it is asked again too.
        self.is_behind = self.is_behind and isinstance(request, PeopleRequest) and not anew
        if self.answer is None:
            self.say_empty("reading")
        self._job = self.workbench.session.submit(
            (self, "answer"), lambda task: self.work(request, task, anew), self._answered
        )
        self._busy(True)
        self.refresh_form()

    def fall_behind(self) -> None:
        """Files came in: asks again, at once or when nothing is in the way any more."""
        self.is_behind = True
        self.catch_up()

    def catch_up(self) -> None:
        """Asks again quietly where files came in; what the user is at goes first.

        That is a question or a sort that runs, a line being typed, a box on top, rows that are marked.
        """
        if not self.is_behind or not self._opened or not self.is_in_front or self.prompt.active:
            return
        if self.request is None or self._jobs or any(grid.marks for grid in self.grids()):
            return
        self.ask(self.request, remember=False, anew=isinstance(self.request, PeopleRequest))
        self._quiet = True

    def work(self, request: Request, task: Any, anew: bool) -> Answer:
        """Asks, on the worker; a screen whose answer is made otherwise says how."""
        return self.workbench.session.answer(request, task, anew=anew)

    def _answered(self, outcome: Outcome[Answer]) -> None:
        self._job = None
        self._busy(False)
        if not self.is_attached:
            return
        before, quiet = self.answer, self._quiet
        arranged = finding.arranged(self) if quiet else None
        if outcome.value is not None:
            self.answer = outcome.value
            self._sound = (tuple(self.past), tuple(self.future))
            self.trouble = None
            self._said = self._said if quiet else ("", "info")
            self.say_empty(self.empty_text(outcome.value))
            self.show(outcome.value)
            if quiet:
                finding.arrange_again(self, arranged, self._tell_news(before, outcome.value))
            else:
                self._remember(outcome.value)
            self.workbench.answered(outcome.value)
        elif outcome.error is not None:
            self._back_to_the_answer()
            self.failed(outcome.error)
        self.refresh_form()
        self.fetch_names()
        self.catch_up()

    def _tell_news(self, before: Answer | None, answer: Answer) -> str:
        """Says what came with the files; the line said."""
        told = news(before, answer)
        if told:
            self.say(f" {self.workbench.glyphs.dot} ".join([*told, *self._warning(answer)]))
        return self._said[0]

    def _back_to_the_answer(self) -> None:
        """The form says what the table shows: a question without an answer waits for redo."""
        if self.answer is not None and self.request is not None and self.request != self.answer.request:
            past, future = self._sound
            self.past, self.future = [*past], [*(one for one in future if one != self.request), self.request]
            self.request = self.answer.request

    def _remember(self, answer: Answer) -> None:
        from workbench.history import remember

        if self.question in QUESTIONS and QUESTIONS[self.question].request:
            remember(self.workbench.workspace, answer.request)

    def failed(self, error: BaseException) -> None:
        """Says what went wrong; the old answer stays."""
        if isinstance(error, Cancelled):
            self.say("cancelled; the answer before stays" if self.answer is not None else "cancelled")
            return
        if not isinstance(error, WorkbenchError | QuestionError):
            from workbench.faults import log_fault

            error = log_fault(error)
        self.trouble = in_a_line(error)
        self.say(self.trouble, "error")
        if self._edited and self.app.screen is self:
            self.prompt.again(self.trouble)
        if self.answer is None:
            self.say_empty(self.trouble)

    def say_empty(self, text: str) -> None:
        """Says in the place of rows why there are none."""
        for place, grid in enumerate(self.grids()):
            grid.empty = "" if place else text

    def empty_text(self, answer: Answer) -> str:
        """What an answer without rows means."""
        told = [note.text for note in answer.result.notes if note.level == "warning"]
        return "; ".join(["no rows", *told[:1]])

    def fetch_names(self) -> None:
        """Reads the names that completion offers, once the first answer is here."""
        if self.request is None or self.workbench.session.known_catalogue(self.request.scope) is not None:
            return
        scope = self.request.scope
        self.workbench.session.submit(
            "names", lambda task: self.workbench.session.catalogue(scope, task), lambda outcome: None
        )

    def aside(self, work: Callable[[Any], Any], done: Callable[[Any], None], what: str) -> None:
        """Does some other work on the worker: its value goes to ``done``, its error to the status line."""

        def ended(outcome: Outcome[Any]) -> None:
            self._others.remove(job)
            if not self.is_attached:
                return
            self._busy(bool(self._jobs))
            if outcome.error is not None:
                self.failed(outcome.error)
            else:
                self._said = ("", "info")
                done(outcome.value)
            self._draw_status()
            self.catch_up()

        self.say(what)
        job = self.workbench.session.submit((self, what), work, ended)
        # The one that it took the place of is heard of no more.
        self._others = [*(one for one in self._others if one.owner != job.owner), job]
        self._busy(True)

    def popup(self, panel: Screen[None]) -> None:
        """Shows something to read on top, unless something else is looked at by now."""
        if self.is_in_front:
            self.app.push_screen(panel)

    def _busy(self, runs: bool) -> None:
        for grid in self.query(Grid).results(Grid):
            grid.stale = self._job is not None
        if runs:
            self._ticker.resume()
        else:
            self._ticker.pause()

    # --- status -----------------------------------------------------------------------------------------------

    def say(self, text: str, level: str = "info") -> None:
        """One line in the status, until the next action."""
        self._said = (text, level)
        if self.is_attached and self._opened:
            self._draw_status()

    def _tick(self) -> None:
        self._draw_status()

    def _draw_status(self) -> None:
        text, level = self._said
        job = next(iter(self._jobs), None)
        parts: list[str] = []
        if job is not None:
            task = job.task
            fraction = task.progress if task.progress is not None else task.engine_progress
            share = "" if fraction is None else f" {fraction:.0%}"
            parts = [f"running{share}", f"{task.elapsed:.1f} s", task.what, "esc cancels"]
        elif text:
            parts = [f"{self.workbench.glyphs.bad} {text}" if level == "error" else text]
        elif self.answer is not None:
            parts = self.told(self.answer)
        dot = self.workbench.glyphs.dot
        cells = self.app.size.width
        line = f" {dot} ".join(clean(part) for part in parts if part)
        style = "bold" if level == "error" and job is None else ""
        right = finding.place_text(self)
        room = max(cells - width(right) - 2, 0)
        told, place = (
            Text(f" {clip(line, room)}", style, no_wrap=True, end=""),
            Text(right, no_wrap=True, end=""),
        )
        # Each part by itself: a move of the cursor sends its own place alone.
        for id, drawn in (("#told", told), ("#place", place)):
            if self._in_status.get(id) != drawn:
                self._in_status[id] = drawn
                self.query_one(id, Static).update(drawn)

    def told(self, answer: Answer) -> list[str]:
        """What the status line says of an answer at rest."""
        result = answer.result
        as_of = result.meta.get("as_of")
        warning = self._warning(answer)
        rows, state = counted(answer.table.total, "row"), finding.state_text(self)
        if answer.table.loaded < answer.table.total:
            # A sort or a filter has seen these alone.
            rows = f"{answer.table.loaded:,} of {rows}"
            state = f"{state} (of {rows})" if state else ""
        return [
            state or rows,
            f"{answer.seconds:.2f} s",
            f"as of {str(as_of)[:16].replace('T', ' ')}" if as_of else "",
            *(warning or ([counted(len(result.notes), "note")] if result.notes else [])),
        ]

    def _warning(self, answer: Answer) -> list[str]:
        """The first warning of an answer; that a source is late goes before what is wrong with single rows."""
        warnings = [note for note in answer.result.notes if note.level == "warning"]
        warnings.sort(key=lambda note: note.code != "late-source")
        return [f"{self.workbench.glyphs.bad} {note.text}" for note in warnings[:1]]


def counted(count: int, what: str) -> str:
    """A number of things in words."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
