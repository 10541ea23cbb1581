"""The Overview screen: what is loaded, how business is, and what to look at, each figure and remark a door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from queries.overview_request import OverviewRequest
from queries.question import Page, Request, Row, Shown
from queries.saved import rescoped
from screens.base import Door, Frame
from screens.frame import asking
from screens.frame.form import Field
from workbench.charts import sparkline
from workbench.glyphs import Glyphs
from workbench.output.cells import number
from workbench.session import Answer
from workbench.tables import Table
from workbench.text import clean, clip
from workbench.widgets.grid import Extra, Grid

if TYPE_CHECKING:
    from queries.overview import Behind
    from workbench.runner import Task

RANGES = ("1d", "7d", "14d", "30d", None)
"""What < and > go through; None is everything."""
MOST_TICKS, LEAST_TICKS = 31, 7
LOOK = 2
"""The pane of what to look at."""
_PREVIOUS = ("shown_before", "shown_change")
_LOOK_COLUMNS = (Shown("what", "what to look at", names=True),)


class OverviewScreen(Frame):
    """What is loaded, how business is, what to look at."""

    question = "overview"
    hinted: ClassVar[tuple[str, ...]] = ("enter", "range", "more", "next_pane", "go", "palette", "help")
    local_actions = (asking.WHERE, asking.WHO)
    DEFAULT_CSS = """
    OverviewScreen #loaded { height: 3; }
    OverviewScreen #grid { height: 11; margin: 1 0 0 0; }
    OverviewScreen #look { height: 1fr; }
    OverviewScreen.wide #look { margin: 1 0 0 0; }
    OverviewScreen.short #loaded { height: 1; }
    OverviewScreen.short #grid { height: 1fr; margin: 0; }
    OverviewScreen.short #look { height: 4; margin: 0; }
    """

    def first_request(self) -> Request | None:
        """Everything there is."""
        return OverviewRequest(scope=self.workbench.scope)

    def body(self) -> ComposeResult:
        """What is loaded, the figures, what to look at."""
        yield Static(id="loaded", markup=False)
        yield Grid(id="grid")
        yield Grid(id="look", empty="")

    def __init__(self, request: Request | None = None, **context: object) -> None:
        super().__init__(request, **context)
        self._looks: Table | None = None

    # --- the form -------------------------------------------------------------------------------------------

    def form(self) -> Sequence[Field]:
        """Which events of which people."""
        if self.request is None:
            return ()
        scope = self.request.scope
        return [
            Field(
                "range", "range", asking.range_text(scope), lambda: asking.range_of(self), scope.last is None
            ),
            Field(
                "where", "where", scope.where or "all events", lambda: asking.where_of(self), not scope.where
            ),
            Field("who", "who", scope.who or "everybody", lambda: asking.who_of(self), not scope.who),
            Field("unit", "unit", scope.unit, lambda: asking.unit_of(self), scope.unit == "user"),
        ]

    def short_form(self) -> Sequence[str]:
        """The title says the range and whom it is of."""
        return ()

    def why_not(self, name: str) -> str | None:
        """Figures of several units are neither sorted nor broken down."""
        if name == "breakdown":
            return "the overview is not broken down: a funnel is"
        if name == "compare":
            return "a range stands beside the period before it: > chooses one"
        if name == "sort" and self.pane != LOOK:
            return "these figures have no order: each has its own unit"
        if name == "enter" and self.pane == LOOK and not len(self.table or ()):
            return "there is nothing to look at"
        return super().why_not(name)

    def rule_text(self) -> str:
        """What is computed, and what the sign beside the days means."""
        sign = self.workbench.glyphs.open
        return f"{super().rule_text()}\n\n{sign} beside the days: the last one is not over, or not wholly asked for"

    def do_less(self) -> None:
        """A shorter range."""
        self._range(-1)

    def do_more(self) -> None:
        """A longer range."""
        self._range(1)

    def _range(self, step: int) -> None:
        if self.request is None:
            return
        scope = self.request.scope
        is_own = scope.since is not None or scope.until is not None or scope.last not in RANGES
        at = len(RANGES) - 1 if is_own else RANGES.index(scope.last)
        # Past everything comes the shortest: whoever looks at all of it reaches the last day with one key.
        last = RANGES[(at + step) % len(RANGES)]
        told = asking.rescope(self, since=None, until=None, last=last)
        if told is not None:
            self.say(told, "error")

    # --- the answer -----------------------------------------------------------------------------------------

    def work(self, request: Request, task: Task, anew: bool) -> Answer:
        """The figures as a table of texts, made on the worker: each has a unit of its own."""
        answer = super().work(request, task, anew)
        return replace(answer, table=_figures(answer, self.workbench.glyphs))

    def show(self, answer: Answer) -> None:
        """Puts lines, figures and remarks into their places."""
        self._draw_loaded(answer)
        self._draw_figures(answer)
        looks = [
            {**look, "reasons": [look["why"]]} for look in cast("list[Row]", answer.result.totals["look_at"])
        ]
        self._looks = Table.of_rows(_LOOK_COLUMNS, looks)
        self._draw_looks()

    def resized(self, answer: Answer) -> None:
        """Lines and sparklines take the new room."""
        self._draw_loaded(answer)
        self._draw_figures(answer)
        self._draw_looks()

    def _draw_looks(self) -> None:
        """The reasons stand under the remarks where all of them have room."""
        if self._looks is not None:
            grid = self.query_one("#look", Grid)
            has_room = 2 * len(self._looks) < grid.size.height
            grid.show(self._looks, page=Page(below="reasons") if has_room else None)

    def _draw_figures(self, answer: Answer) -> None:
        self.query_one("#grid", Grid).show(answer.table, extras=self._extras(answer))

    def _extras(self, answer: Answer) -> tuple[Extra, ...]:
        days = cast("list[str]", answer.result.totals["days"])
        taken = sum(_wide(answer.table, shown) + 2 for shown in answer.table.columns)
        ticks = min(len(days), MOST_TICKS, self.app.size.width - taken - 2)
        if ticks < min(LEAST_TICKS, len(days)) or len(days) < 2:
            return ()
        running = f" {self.workbench.glyphs.open}" if answer.result.rows[0]["is_incomplete"] else ""
        heading = f"{days[-ticks][5:]} to {days[-1][5:]}{running}"
        if len(heading) > ticks:
            heading = f"{ticks} days{running}"

        def daily(row: Row, cells: int) -> Text:
            values = cast("list[float | None] | None", row["daily"])
            drawn = "" if values is None else sparkline(values[-ticks:], cells, self.workbench.glyphs)
            return Text(drawn, style=self.workbench.colour("accent"))

        return (Extra("daily", heading, max(ticks, len(heading)), daily, keep=True),)

    def _draw_loaded(self, answer: Answer) -> None:
        lines = _loaded(answer.result.totals, answer.result.meta, self.workbench.glyphs)
        if self.has_class("short"):
            lines = lines[-1:]
        room = self.app.size.width - 2
        more = self.workbench.glyphs.more
        texts = [Text(f" {clip(clean(line), room).replace('…', more)}") for line in lines]
        self.query_one("#loaded", Static).update(Text("\n").join(texts))

    # --- doors ----------------------------------------------------------------------------------------------

    def door(self) -> Door | None:
        """The people behind a figure of the range."""
        row = self.grid.current_row()
        if self.pane == LOOK or row is None or row["value"] is None or self.grid.cursor_key in _PREVIOUS:
            return None
        return Door(str(row["figure"]), str(row["figure"]))

    def open_row(self) -> None:
        """The question that shows what to look at; behind what was before, the people of then."""
        request, row = self._look(), self.grid.current_row()
        if request is not None:
            self.workbench.open_screen(request.report, request)
        elif row is not None and row["previous"] is not None:
            self._open_before(str(row["figure"]))
        elif row is not None:
            self.say(self._missing(str(row["figure"])))

    def _missing(self, figure: str) -> str:
        """Why a figure has no value."""
        notes = () if self.answer is None else self.answer.result.notes
        for note in notes:
            figures, _, reason = note.text.partition(": n/a, since ")
            if note.code == "not-available" and figure in figures.split(", "):
                return f"{figure}: {reason}"
        return f"{figure}: there is nothing in scope to make it of"

    def _open_before(self, figure: str) -> None:
        """Opens the people of the period before, with what they did then."""
        if self.answer is None:
            return
        totals, asked = self.answer.result.totals, self.answer.request
        since, until = str(totals["previous_from"]), str(totals["previous_to"])
        request = rescoped(asked, replace(asked.scope, since=since, until=until, last=None))

        def opened(answer: Answer) -> None:
            if not self.is_in_front:
                # Something else is looked at by now.
                return
            self.workbench.open_screen("people", None, of=answer, cell=figure, title=f"{figure} before")

        self.aside(
            lambda task: self.workbench.session.answer(request, task), opened, "asking for the period before"
        )

    def command(self) -> str:
        """The command line of the answer, or of what to look at."""
        row = self.grid.current_row() if self.pane == LOOK else None
        return super().command() if row is None else str(row["command"])

    def _look(self) -> Request | None:
        grid = self.grid
        if self.pane != LOOK or self.answer is None or grid.table is None or not len(grid.table):
            return None
        behind = cast("Behind", self.answer.result.people)
        return behind.looks[grid.table.number(grid.cursor_row)].request

    def say_empty(self, text: str) -> None:
        """What to look at says that there is nothing only once there is an answer."""
        super().say_empty(text)
        if self.answer is not None and self.answer.result.totals["events"]:
            self.query_one("#look", Grid).empty = "nothing stands out; check (g d) looks closer"

    def told(self, answer: Answer) -> list[str]:
        """Beside what to look at stands the command that shows it."""
        return [self.command()] if self._look() is not None else super().told(answer)


SCREEN = OverviewScreen


def _figures(answer: Answer, glyphs: Glyphs) -> Table:
    """The figures with their values as texts; the period before only where there is one."""
    columns = [Shown("figure", "figure", names=True), Shown("shown_value", "value", "exact")]
    if answer.result.totals["previous_from"] is not None:
        columns += [Shown("shown_before", "before", "exact"), Shown("shown_change", "change", "exact")]
    rows = [
        {
            **row,
            "shown_value": _text(row["value"], row["unit"]),
            "shown_before": _text(row["previous"], row["unit"]),
            "shown_change": _change(row["change"], glyphs),
        }
        for row in answer.result.rows
    ]
    return Table.of_rows(columns, rows)


def _text(value: object, unit: object) -> str | None:
    if not isinstance(value, int | float):
        return None
    return f"{value * 100:.1f} %" if unit == "rate" else number(value)


def _change(change: object, glyphs: Glyphs) -> str | None:
    if not isinstance(change, int | float):
        return None
    sign = glyphs.up if change > 0 else glyphs.down if change < 0 else " "
    return f"{sign} {abs(change) * 100:,.1f} %"


def _wide(table: Table, shown: Shown) -> int:
    texts = table.texts(0, len(table))
    place = table.columns.index(shown)
    return max(len(shown.heading), *(len(text[place]) for text in texts))


def _loaded(totals: Mapping[str, Any], meta: Mapping[str, object], glyphs: Glyphs) -> list[str]:
    """Sources, span, people, and last whether it can be believed."""
    dot = f" {glyphs.dot} "
    sources = dot.join(
        f"{one['name']} "
        + (f"{one['rows']:,} rows, " if one["rows"] else "")
        + f"{one['files']:,} file{'' if one['files'] == 1 else 's'}"
        + (f" {glyphs.bad} ends {_short(one['last'])}" if one["is_late"] else "")
        for one in totals["sources"]
    )
    span = f"{_short(totals['first'])} to {_short(totals['last'])}{dot}as of {_short(totals['as_of'])}"
    people = f"{totals['people']:,} people of {totals['raw_ids']:,} ids"
    if totals["warnings"]:
        told = f"{totals['warnings']} warning{'' if totals['warnings'] == 1 else 's'}"
        health = f"{glyphs.bad} {told}, {totals['set_aside']:,} set aside"
    else:
        health = f"{glyphs.ok} no warning on reading"
    return [sources, f"{span}{dot}{meta['timezone']}", f"{people}{dot}{health}"]


def _short(time: object) -> str:
    return "n/a" if time is None else str(time)[:16].replace("T", " ")
