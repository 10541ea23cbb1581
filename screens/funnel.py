"""The Funnel screen: steps edited in place, bars with their intervals, breakdowns side by side, and the people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from queries.funnel_request import CURRENT, PREVIOUS, FunnelRequest, from_dict
from queries.funnel_sides import OURS
from queries.funnel_table import cell_of
from queries.peers import EVERY
from queries.question import QuestionError, Request, Row, Scope
from queries.saved import rescoped
from screens import funnel_completion as completion
from screens.base import Door, Frame
from screens.frame import asking
from screens.frame.form import Field, Form
from screens.funnel_chart import View, chart, drawn_bar
from screens.funnel_options import (
    NOTHING,
    OPTIONS,
    TRENDS,
    WINDOWS,
    called,
    is_default,
    rearranged,
    stepped,
    text_of,
    told,
    value_of,
)
from screens.funnel_rows import Group, Groups, group_of, measure_of, phrase
from screens.funnel_sides import Sides
from screens.funnel_values import Values
from workbench.errors import in_a_line
from workbench.keys import Action
from workbench.session import Answer
from workbench.tables import Table
from workbench.text import clean, width
from workbench.widgets.footer import Footer
from workbench.widgets.grid import Extra, Grid

if TYPE_CHECKING:
    from workbench.widgets.prompt import Completion

__all__ = ["SCREEN", "TRENDS", "WINDOWS", "FunnelScreen"]

BAR = (12, 60)
"""Cells of a bar in the table: at least and at most; where there is less room bars stand below."""
BAR_OF_MANY = 32
"""The most where rows are of several groups."""
MEASURED = 200
"""Rows that say how wide the table is."""
ROOMY = 30
"""Rows of a terminal that has room for form and chart at once."""
CHART = 11
"""Lines that a long table leaves to the chart."""
_STEP = "step:"


class FunnelScreen(Frame):
    """Where people drop out, and who they are."""

    question = "funnel"
    local_actions = (
        Action(
            "peers", ("P",), "peers", "The same funnel under other products' rules; v sets them side by side"
        ),
        Action("trend", ("T",), "trend", "Rows by day, week, month of step 1, or none"),
        Action("where", ("X",), "where", "Only events for which an expression is true"),
        Action("who", ("A",), "who", "Only people for whom a rule is true"),
    )
    hinted: ClassVar[tuple[str, ...]] = ("enter", "add", "less", "breakdown", "compare", "range", "help")

    def __init__(self, request: Request | None = None, **context: object) -> None:
        super().__init__(request, **context)
        self.looks = "table"
        """``table`` with bars; ``sides``: the groups side by side; ``chart``: the chart is larger."""
        self._groups = Groups(())
        self._sides: Sides | None = None
        self._values = Values(self)
        self._lost: list[str] = []
        """Options that the last change of steps left out."""
        self._drawn: tuple[str, ...] | None = None
        """The chart as it stands."""
        self._height = "1fr"
        self._table: Table | None = None
        """The table as it was sorted and filtered before it went side by side."""

    @property
    def asked(self) -> FunnelRequest | None:
        """The funnel that is asked."""
        return cast("FunnelRequest | None", self.request)

    def body(self) -> ComposeResult:
        """The table, and a chart under it."""
        yield Grid(id="grid")
        below = Static(id="chart", markup=False)
        below.display = False
        yield below

    def begin(self) -> None:
        """Offers a funnel of the roles that the data has; without any, the first step is asked for."""

        def work(task: object) -> FunnelRequest | None:
            from workbench.runner import Task

            scope = self.workbench.scope
            _, made = self.workbench.session.over(
                scope, cast("Task", task), lambda data: _of_roles(data.schema.roles, scope)
            )
            return made

        def done(request: FunnelRequest | None) -> None:
            if request is None:
                self.grid.empty = "a adds the first step"
                self.fetch_names()
                self.do_add()
            else:
                self.ask(request, remember=False)

        self.aside(work, done, "looking at the data")

    # --- the form ---------------------------------------------------------------------------------------------

    def form(self) -> Sequence[Field]:
        """The steps, then every option."""
        request = self.asked
        if request is None:
            return [Field(f"{_STEP}0", "step 1", "", self.do_add)]
        saved = request.to_dict()
        steps = [
            Field(f"{_STEP}{place}", f"step {place + 1}", str(step), partial(self._edit_step, place))
            for place, step in enumerate(request.steps)
        ]
        options = [
            Field(
                key,
                option.label,
                text_of(key, saved),
                partial(self._edit_option, key),
                is_default(key, saved),
            )
            for key, option in OPTIONS.items()
        ]
        return [*steps, *options]

    def short_form(self) -> Sequence[str]:
        """The way, and what is not as usual."""
        if self.asked is None:
            return ["no step yet: a adds one"]
        cells, rows = self.app.size
        return told(self.asked, cells - 2, 1 if rows < 20 else 2 if rows < 40 else 3, self.workbench.glyphs)

    def _edit_step(self, place: int) -> None:
        if self.asked is None:
            return
        steps = [str(step) for step in self.asked.steps]

        def check(text: str) -> str | None:
            return self._with_steps([*steps[:place], text, *steps[place + 1 :]], list(range(len(steps))))

        self._ask_step(f"step {place + 1}", steps[place], check)

    def do_add(self) -> None:
        """Adds a step behind the one in hand."""
        steps = [] if self.asked is None else [str(step) for step in self.asked.steps]
        place = self._step_in_hand()
        at = len(steps) if place is None else place + 1

        def check(text: str) -> str | None:
            old = list(range(len(steps)))
            wrong = self._with_steps([*steps[:at], text, *steps[at:]], [*old[:at], None, *old[at:]])
            if wrong is None and self.pane == 0:
                self.query_one("#form", Form).place = at
            return wrong

        self._ask_step(f"step {at + 1}", "", check)

    def _ask_step(self, label: str, value: str, check: Callable[[str], str | None]) -> None:
        self.prompt.ask(
            label, value, complete=lambda text: completion.step(text, *self._known()), check=check,
            done=lambda _: None, hint="EVENT, EVENT|EVENT, or EVENT: condition",
        )  # fmt: skip

    def _known(self) -> tuple[completion.Known, completion.Known, completion.Values]:
        """The events and properties there are, and where to get a property's values."""
        scope = self.request.scope if self.request is not None else self.workbench.scope
        found = self.workbench.session.known_catalogue(scope)
        if found is None:
            return (), (), self._values
        return [(name, f"{count:,}") for name, count in found.events], found.properties, self._values

    def do_delete(self) -> None:
        """Deletes the step in hand, or puts the option back to its default."""
        field = self._field()
        if field is not None and not field.name.startswith(_STEP):
            self._said_if(self._with_option(field.name, ""))
            return
        self._rearranged(lambda order, at: order[:at] + order[at + 1 :])

    def do_duplicate(self) -> None:
        """Puts the step in hand there twice."""
        place, request = self._step_in_hand(), self.asked
        if place is None or request is None:
            self.say("no step is in hand")
            return
        steps, old = [str(step) for step in request.steps], list(range(len(request.steps)))
        at = place + 1
        self._said_if(
            self._with_steps([*steps[:at], steps[place], *steps[at:]], [*old[:at], None, *old[at:]])
        )

    def do_move_down(self) -> None:
        """Moves the step in hand down."""
        self._moved(1)

    def do_move_up(self) -> None:
        """Moves the step in hand up."""
        self._moved(-1)

    def _moved(self, step: int) -> None:
        place = self._step_in_hand()
        count = 0 if self.asked is None else len(self.asked.steps)
        if place is None or not 0 <= place + step < count:
            self.say("there is no step to change places with")
            return

        def swapped(order: list[int], at: int) -> list[int]:
            order[at], order[at + step] = order[at + step], order[at]
            return order

        self._rearranged(swapped)
        if self.pane == 0:
            self.query_one("#form", Form).move(step)
        else:
            self.grid.move(step, 0)

    def _rearranged(self, change: Callable[[list[int], int], list[int]]) -> None:
        place, request = self._step_in_hand(), self.asked
        if request is None or place is None:
            self.say("no step is in hand")
            return
        order = change(list(range(len(request.steps))), place)
        self._said_if(self._with_steps([str(request.steps[old]) for old in order], order))

    def _field(self) -> Field | None:
        """The field in hand, while the form is."""
        return self.query_one("#form", Form).current() if self.pane == 0 else None

    def _step_in_hand(self) -> int | None:
        """The place of the step under the cursor, in the form or in the table."""
        if self.pane == 0:
            field = self._field()
            is_step = field is not None and field.name.startswith(_STEP)
            return int(field.name[len(_STEP) :]) if field is not None and is_step else None
        row = self.grid.current_row()
        return None if row is None else int(str(row["step"])) - 1

    def _with_steps(self, steps: Sequence[str], order: Sequence[int | None]) -> str | None:
        """Asks the funnel of other steps; ``order``: where each of them was."""
        if not steps:
            return "a funnel needs a step"
        if not all(step.strip() for step in steps):
            return "a step needs an event's name; esc leaves it"
        if self.asked is None:
            return self.change(lambda: self.workbench.scoped(from_dict({"steps": list(steps)})))
        saved, lost = rearranged(self.asked, steps, order)
        wrong = self.change(lambda: from_dict(saved))
        self._lost = lost if wrong is None else []
        return wrong

    def _edit_option(self, key: str) -> None:
        if self.asked is None:
            return
        option, now = OPTIONS[key], text_of(key, self.asked.to_dict())

        def check(text: str) -> str | None:
            return None if option.is_chosen and not text.strip() else self._with_option(key, text.strip())

        self.prompt.ask(
            option.label, "" if option.is_chosen or now == NOTHING else now, complete=self._completing(key),
            check=check, done=lambda _: None, next=self._next_field if self.pane == 0 else None,
            hint=f"now {now}; {option.meaning}" if option.is_chosen else f"{option.meaning}; empty: {NOTHING}",
        )  # fmt: skip

    def _completing(self, key: str) -> Callable[[str], list[Completion]] | None:
        """Ways to go on with an option while it is written."""
        choices = [(choice, "") for choice in OPTIONS[key].choices]
        properties = list(self._known()[1])
        if key in ("by", "hold"):
            choices = [(NOTHING, ""), *((called(name), kind) for name, kind in properties)]
        elif key == "compare":
            choices = [(NOTHING, ""), ("previous", "the period before"), *asking.segments(self)]
        elif key == "at" and self.asked is not None:
            choices += [(f"step:{place}", "") for place in range(1, len(self.asked.steps) + 1)]
        elif key == "unit":
            choices += properties
        elif key == "where":
            return lambda text: completion.condition(text, *self._known()[1:])
        elif key == "who":
            return lambda text: completion.rule(text, *self._known())
        elif key == "exclude":
            return lambda text: completion.exclusions(text, *self._known())
        return asking.among(choices) if choices else None

    def _next_field(self) -> None:
        form = self.query_one("#form", Form)
        form.move(1)
        field = form.current()
        if field is not None and field.edit is not None:
            field.edit()

    def _with_option(self, key: str, text: str) -> str | None:
        request = self.asked
        if request is None:
            return "add a step first"
        try:
            value = value_of(key, text)
        except ValueError as error:
            return str(error)
        return self.change(lambda: from_dict({**request.to_dict(), key: value}))

    def _said_if(self, wrong: str | None) -> None:
        if wrong is not None:
            self.say(wrong, "error")

    # --- keys of its own ----------------------------------------------------------------------------------------

    def why_not(self, name: str) -> str | None:
        """What needs steps says so."""
        if name in _OF_STEPS and self.asked is None:
            return "add a step first: a"
        if name == "sort" and self.looks == "sides":
            return "side by side the steps stand in their order; v shows the table"
        return super().why_not(name)

    def hints(self) -> Sequence[str]:
        """The keys that are worth the most where the cursor stands."""
        names = list(self.hinted)
        if self._sides is not None and self._sides.are_several:
            names[names.index("less")] = "view"
        if self.pane and self._stopped() is not None:
            names[names.index("range")] = "explain"
        return [name for name in names if self.why_not(name) is None]

    def do_peers(self) -> None:
        """Shows the funnel under all other rules, or under ours alone again."""
        if self.asked is not None:
            self._said_if(self._with_option("as", NOTHING if self.asked.peer is not None else EVERY))

    def do_trend(self) -> None:
        """Goes on to the next period of the trend."""
        if self.asked is not None:
            following = TRENDS[(TRENDS.index(self.asked.trend) + 1) % len(TRENDS)]
            self._said_if(self._with_option("trend", following or NOTHING))

    def do_compare(self) -> None:
        """Lets the other side of a comparison be chosen: the period before, or a segment."""
        asking.segment_of(
            self,
            "compare with",
            [(NOTHING, "nothing"), ("previous", "the period before; wants a range")],
            lambda name: self._said_if(self._with_option("compare", name)),
        )

    def do_where(self) -> None:
        """Lets the filter of events be written."""
        self._edit_option("where")

    def do_who(self) -> None:
        """Lets the rule over people be written."""
        self._edit_option("who")

    def do_less(self) -> None:
        """The field in hand, else the window, down."""
        self._stepped(-1)

    def do_more(self) -> None:
        """The field in hand, else the window, up."""
        self._stepped(1)

    def _stepped(self, step: int) -> None:
        request, field = self.asked, self._field()
        key = field.name if field is not None and not field.name.startswith(_STEP) else "window"
        if request is None:
            return
        if not OPTIONS[key].choices:
            self.say("this field is edited with e")
            return
        more = [name for name, _ in asking.segments(self)] if key == "compare" else []
        now = text_of(key, request.to_dict())
        found = stepped(key, now, step, more)
        if found is None:
            self.say(f"{OPTIONS[key].label} {now}: no further that way")
        else:
            self._said_if(self._with_option(key, found))

    def do_view(self) -> None:
        """Table with bars, groups side by side, a larger chart."""
        has_sides = self._sides is not None and self._sides.are_several
        ways = ("table", "sides", "chart") if has_sides else ("table", "chart")
        was, table = self.looks, self.grid.table
        self.looks = ways[(ways.index(was) + 1) % len(ways)] if was in ways else "table"
        if was != "sides":
            self._table = table
        if self.answer is not None:
            # What was sorted and filtered stays so.
            kept = self._table if self._table is not None and self._table.is_of(self.answer.table) else None
            self._put(self.answer, kept or self.answer.table)
        self.say({"table": "table", "sides": "side by side", "chart": "chart"}[self.looks])

    def do_explain(self) -> None:
        """Why the people of the cell stopped."""
        row, request = self._stopped(), self.asked
        if row is None or request is None or self.grid.cursor_key is None:
            self.say("E explains who stopped: put the cursor on a figure under dropped or open")
            return
        from queries.explain import ExplainRequest

        try:
            funnel, of = _alone(request, row)
            asked = ExplainRequest(funnel=funnel, cell=cell_of(of, self.grid.cursor_key))
        except QuestionError as error:
            self.say(in_a_line(error))
        else:
            self.workbench.open_screen("explain", asked)

    def _stopped(self) -> Row | None:
        """The row whose figure of people who stopped is under the cursor."""
        is_one = self.looks != "sides" and self.grid.cursor_key in ("dropped", "open")
        return self.grid.current_row() if is_one else None

    # --- the answer -------------------------------------------------------------------------------------------

    def ask(self, request: Request, *, remember: bool = True, anew: bool = False) -> None:
        """Asks a question; looking for a property's values does not keep it waiting."""
        self._values.stop()
        super().ask(request, remember=remember, anew=anew)

    def failed(self, error: BaseException) -> None:
        """What wants a range says which key gives one."""
        super().failed(error)
        if isinstance(error, QuestionError) and "--last" in (error.hint or ""):
            self.say(f"{error.message}; t: a range", "error")

    def show(self, answer: Answer) -> None:
        """Rows with bars, or side by side, and a chart where there is room."""
        self._groups = Groups(answer.result.rows)
        self._sides = Sides(self._groups, answer.result.layout) if answer.result.rows else None
        if self.looks == "sides" and not (self._sides is not None and self._sides.are_several):
            self.looks = "table"
        self._put(answer, answer.table)
        if self._lost:
            self.say(f"left out: {', '.join(self._lost)}; u undoes", "error")
            self._lost = []

    def _put(self, answer: Answer, table: Table) -> None:
        if self.looks == "sides" and self._sides is not None:
            self.grid.show(Table.of_rows(self._sides.columns, self._sides.rows))
        else:
            self.grid.show(table, extras=self._bars(answer))
        self._draw_chart(answer)

    def _bars(self, answer: Answer) -> tuple[Extra, ...]:
        """The column of bars, where the table has room for one."""
        cells = self._bar_cells(answer)
        if not cells:
            return ()
        waits = f"{self.workbench.glyphs.shade} may still come" if self._groups.any_waiting else ""
        return (Extra("bar", waits if width(waits) <= cells else "", cells, self._bar, before="users"),)

    def _bar_cells(self, answer: Answer) -> int:
        """The room that the other columns leave to bars; none where it is too little for one."""
        columns = [[clean(shown.heading) for shown in answer.table.columns]]
        columns += answer.table.texts(0, min(len(answer.table), MEASURED))
        taken = sum(max(map(width, texts)) + 2 for texts in zip(*columns, strict=True))
        most = BAR[1] if len(self._groups.all) < 2 else BAR_OF_MANY
        room = min(self.app.size.width - taken - 4, most)
        return room if room >= BAR[0] else 0

    def _bar(self, row: Row, cells: int) -> Text:
        drawn = drawn_bar(self._groups, row, cells, self.workbench.glyphs)
        return Text(drawn, style=self.workbench.colour("accent"))

    def refresh_form(self) -> None:
        """The chart makes room for the form."""
        super().refresh_form()
        if self.answer is not None:
            self._draw_chart(self.answer)

    def resized(self, answer: Answer) -> None:
        """Bars and chart take the new room; what is sorted and filtered stays so."""
        if self.looks != "sides" and self.grid.table is not None:
            self.grid.show(self.grid.table, extras=self._bars(answer))
        self._draw_chart(answer)

    def on_grid_moved(self) -> None:
        """Charts are those of the row in hand; the footer has the keys of the column."""
        if self.answer is not None:
            self._draw_chart(self.answer)
        self.query_one("#footer", Footer).show(self)

    def _draw_chart(self, answer: Answer) -> None:
        cells, rows = self.app.size
        lines: list[str] = []
        if self.pane or rows >= ROOMY:
            lines = chart(self._view(answer), cells - 2, self._chart_rows())
        drawn = tuple(f" {clean(line)}".rstrip() for line in lines)
        if drawn != self._drawn:
            self._drawn = drawn
            widget = self.query_one("#chart", Static)
            widget.display = bool(drawn)
            widget.update(Text("\n".join(drawn), no_wrap=True))
        self._stand(len(drawn))

    def _view(self, answer: Answer) -> View:
        is_of_trend = cast("FunnelRequest", answer.request).trend is not None
        return View(
            answer.result,
            self._groups,
            self._group_in_hand(),
            self.workbench.glyphs,
            self.workbench.ascii_only,
            with_bars=self.looks != "sides" and not is_of_trend and not self._bar_cells(answer),
            is_large=self.looks == "chart",
        )

    def _stand(self, charted: int) -> None:
        """A short table is as high as it is, so that the chart stands right below it; a long one takes what is left."""
        rows = self._table_rows
        is_short = bool(charted) and rows <= self._body_rows - charted
        height = f"{rows}" if is_short else "1fr"
        if self._height != height:
            self._height = height
            self.query_one("#grid", Grid).styles.height = height

    def _chart_rows(self) -> int:
        """The lines that a chart may take beside the table."""
        body = self._body_rows
        return body - min(self._table_rows, 5 if self.looks == "chart" else max(body - CHART, 5))

    @property
    def _table_rows(self) -> int:
        """The lines of the whole table, its headings included."""
        return (0 if self.grid.table is None else len(self.grid.table)) + 1

    @property
    def _body_rows(self) -> int:
        """The lines that title, form, status and footer leave."""
        rows = self.app.size.height
        form = 0 if self.zoomed else len(self.short_form())
        if self.pane == 0:
            form = min(len(self.form()), max(rows // 2 - 1, 3))
        return rows - 3 - form

    def _group_in_hand(self) -> Group | None:
        """The group under the cursor, else the first."""
        row = self._row_in_hand()
        return self._groups.first() if row is None else group_of(row)

    def _row_in_hand(self) -> Row | None:
        """The row of the answer that the cell under the cursor shows."""
        row, key = self.grid.current_row(), self.grid.cursor_key
        if row is None or key is None:
            return None
        if "is_total" in row:
            return row
        return None if self._sides is None else self._sides.row_of(key, int(str(row["step"])))

    # --- doors ------------------------------------------------------------------------------------------------

    def door(self) -> Door | None:
        """The people of the cell under the cursor."""
        row, answer = self._row_in_hand(), self.answer
        measure = measure_of(self.grid.cursor_key or "")
        if row is None or answer is None or measure is None:
            return None
        return Door(cell_of(row, measure), phrase(row, measure, cast("FunnelRequest", answer.request)))

    def open_row(self) -> None:
        """Says why there are no people to open."""
        if self.grid.current_row() is not None:
            self.say("who left the step out is not listed: enter under n shows who passed it")


SCREEN = FunnelScreen

_OF_STEPS = frozenset(
    ("peers", "trend", "less", "more", "compare", "breakdown", "range", "where", "who", "view", "explain")
)
"""Actions that need a funnel."""


def _of_roles(roles: Mapping[str, str], scope: Scope) -> FunnelRequest | None:
    """A funnel of the roles there are: view, add, order."""
    steps = (
        [str(roles[role]) for role in ("view", "add", "checkout", "order") if role in roles]
        if isinstance(roles, dict)
        else []
    )
    if not steps:
        return None
    try:
        return cast("FunnelRequest", rescoped(from_dict({"steps": steps}), scope))
    except QuestionError:
        return None


def _alone(request: FunnelRequest, row: Row) -> tuple[FunnelRequest, Row]:
    """The one funnel that a row is of, and the row as it stands there; as asked where that cannot be told apart."""
    side = row["cohort"]
    if request.peer == EVERY and side is not None:
        return replace(request, peer=None if side == OURS else str(side)), {**row, "cohort": None}
    if request.compare == PREVIOUS and side == CURRENT:
        return replace(request, compare=None), {**row, "cohort": None}
    return request, row
