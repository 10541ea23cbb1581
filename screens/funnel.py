"""The Funnel screen: steps edited in place, bars with their intervals, breakdowns side by side, and the people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from queries.funnel_groups import NONE, OTHER
from queries.funnel_request import FunnelRequest, from_dict
from queries.funnel_table import cell_of
from queries.peers import PEERS
from queries.question import QuestionError, Request, Row, Scope, Shown
from queries.saved import rescoped
from screens.base import Door, Frame
from screens.frame import asking
from screens.frame.form import Field, Form
from workbench.charts import bar, histogram, lines
from workbench.keys import Action
from workbench.output.cells import cell, duration
from workbench.session import Answer
from workbench.tables import Table
from workbench.text import clean, pad, width
from workbench.widgets.grid import Extra, Grid

if TYPE_CHECKING:
    from workbench.widgets.prompt import Completion

WINDOWS = ("30m", "1h", "6h", "12h", "1d", "2d", "3d", "7d", "14d", "30d", "60d", "none")
"""What < and > go through."""
TRENDS = (None, "day", "week", "month")
BAR = 24
"""Cells of a bar in the table."""
BARS_BESIDE = 110
"""Cells of a terminal whose table has bars in it; under a table of fewer they stand below."""
ROOMY = 30
"""Rows of a terminal that has room for form and chart at once."""
CHART_ROWS = 8
"""Lines a histogram or trend may take."""
_MEASURES = {"dropped": "dropped", "open": "open"}
"""Columns whose people are not those who reached the step."""
_DOORS = (
    "users",
    "rate_from_first",
    "ci_from_first_low",
    "rate_from_previous",
    "ci_from_previous_low",
    "bar",
    "event",
)

_OPTIONS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("window", "window", "from step 1, inclusive; or none", WINDOWS),
    ("step_windows", "step windows", "as 2=1h 3=30m: at most so long after the step before", ()),
    ("order", "order", "others between allowed; each the very next; any order", ("ordered", "strict", "any")),
    ("entry", "entry", "any step 1 may start; the first decides; each attempt counts", ("any", "first", "every")),
    ("ties", "ties", "equal times count as in order, or times must increase", ("order", "strict")),
    ("tolerance", "tolerance", "a step may lie so long before the step before, as 2s", ()),
    ("exclude", "exclude", "EVENT[: EXPR][@I:J]; several with ;", ()),
    ("exclusion", "exclusion", "excluded people stay in step 1, or are left out", ("drop", "remove")),
    ("hold", "hold", "a property that is equal over the whole chain", ()),
    ("optional", "optional", "steps that may be left out, as 2 3", ()),
    ("range", "range holds", "step 1 inside the range, or the whole chain", ("entry", "whole")),
    ("at", "value at", "where the breakdown reads", ("first", "last", "user-first", "user-last")),
    ("since", "times since", "the counted entry, or the first step 1", ("entry", "first")),
    ("mature", "mature", "only entries whose window is over", ("no", "yes")),
    ("trend", "trend", "rows by the period of step 1", ("none", "day", "week", "month")),
    ("compare", "compare", "the period before, or a segment", ()),
    ("as", "as", "another product's rule, or all", ("none", "all", *PEERS)),
    ("by", "by", "a property", ()),
    ("top", "top", "rows of a breakdown", ()),
    ("where", "where", "events for which this is true", ()),
    ("who", "who", "people for whom this is true", ()),
    ("unit", "unit", "what is counted", ("user", "raw", "session", "order")),
)  # fmt: skip
"""Key of the request as saved, label, what it means, and its choices where they are few."""
_NAMES = ("by", "hold", "compare")
"""Options that are a name of the data's or the workspace's."""
_DEFAULTS: dict[str, object] = {
    "order": "ordered", "entry": "any", "ties": "order", "exclusion": "drop", "range": "entry", "at": "first",
    "since": "entry", "mature": False, "tolerance": "0s", "top": 10, "unit": "user",
}  # fmt: skip


class FunnelScreen(Frame):
    """Where people drop out, and who they are."""

    question = "funnel"
    local_actions = (
        Action("peers", ("P",), "peers", "The same funnel under other products' rules, side by side"),
        Action("trend", ("T",), "trend", "Rows by day, week, month of step 1, or none"),
        Action("where", ("X",), "where", "Only events for which an expression is true"),
        Action("who", ("A",), "who", "Only people for whom a rule is true"),
    )
    hinted: ClassVar[tuple[str, ...]] = ("enter", "add", "less", "breakdown", "compare", "range", "help")

    def __init__(self, request: Request | None = None, **context: object) -> None:
        super().__init__(request, **context)
        self.looks = "table"
        """``table`` with bars; ``sides``: the breakdown's values side by side; ``chart``: the chart is larger."""
        self._rows: list[Row] = []
        self._drawn_group: tuple[object, ...] | None = None
        """Whose bars stand under the table."""

    @property
    def asked(self) -> FunnelRequest | None:
        """The funnel that is asked."""
        return cast("FunnelRequest | None", self.request)

    def body(self) -> ComposeResult:
        """The table, and a chart under it."""
        yield Grid(id="grid")
        yield Static(id="chart", markup=False)

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
            return [Field("step:0", "step 1", "", self.do_add)]
        saved = request.to_dict()
        steps = [
            Field(f"step:{place}", f"step {place + 1}", str(step), partial(self._edit_step, place))
            for place, step in enumerate(request.steps)
        ]
        return [
            *steps,
            *(
                Field(
                    name,
                    label,
                    _text(name, saved),
                    partial(self._edit_option, name),
                    _is_default(name, saved),
                )
                for name, label, _, _ in _OPTIONS
            ),
        ]

    def short_form(self) -> Sequence[str]:
        """The way, and what is not as usual."""
        request = self.asked
        if request is None:
            return ["no step yet: a adds one"]
        then = f" {self.workbench.glyphs.then} "
        fields = [field for field in self.form() if not field.name.startswith("step:")]
        told = [
            f"{field.label} {field.text}"
            for field in fields
            if field.name == "window" or not field.is_default
        ]
        return [then.join(str(step) for step in request.steps), "  ".join(told)]

    def _edit_step(self, place: int) -> None:
        request = self.asked
        if request is None:
            return
        steps = [str(step) for step in request.steps]

        def check(text: str) -> str | None:
            return self._with_steps([*steps[:place], text, *steps[place + 1 :]])

        self._ask_step(f"step {place + 1}", steps[place], check)

    def do_add(self) -> None:
        """Adds a step behind the one in hand."""
        steps = [] if self.asked is None else [str(step) for step in self.asked.steps]
        place = self._step_in_hand()
        at = len(steps) if place is None else place + 1

        def check(text: str) -> str | None:
            told = self._with_steps([*steps[:at], text, *steps[at:]])
            if told is None and self.pane == 0:
                self.query_one("#form", Form).place = at
            return told

        self._ask_step(f"step {at + 1}", "", check)

    def _ask_step(self, label: str, value: str, check: Callable[[str], str | None]) -> None:
        self.prompt.ask(
            label, value, complete=self._complete_step, check=check, done=lambda _: None,
            hint="EVENT, EVENT|EVENT, or EVENT: condition",
        )  # fmt: skip

    def _complete_step(self, text: str) -> list[Completion]:
        if ":" in text:
            return asking.last_word(asking.properties(self))(text)
        head, mark, last = text.rpartition("|")
        from workbench.widgets.prompt import Completion

        return [Completion(f"{head}{mark}{one.text}", one.detail) for one in asking.events(self)(last)]

    def do_delete(self) -> None:
        """Deletes the step in hand, or puts the option back to its default."""
        field = self.query_one("#form", Form).current() if self.pane == 0 else None
        if field is not None and not field.name.startswith("step:"):
            self._told(self._with_option(field.name, ""))
            return
        self._rearranged(lambda steps, at: steps[:at] + steps[at + 1 :])

    def do_duplicate(self) -> None:
        """Puts the step in hand there twice."""
        self._rearranged(lambda steps, at: [*steps[: at + 1], *steps[at:]])

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

        def swapped(steps: list[str], at: int) -> list[str]:
            steps[at], steps[at + step] = steps[at + step], steps[at]
            return steps

        self._rearranged(swapped)
        if self.pane == 0:
            self.query_one("#form", Form).move(step)
        else:
            self.grid.move(step, 0)

    def _rearranged(self, change: Callable[[list[str], int], list[str]]) -> None:
        place = self._step_in_hand()
        if self.asked is None or place is None:
            self.say("no step is in hand")
            return
        self._told(self._with_steps(change([str(step) for step in self.asked.steps], place)))

    def _step_in_hand(self) -> int | None:
        """The place of the step under the cursor, in the form or in the table."""
        if self.pane == 0:
            field = self.query_one("#form", Form).current()
            return int(field.name[5:]) if field is not None and field.name.startswith("step:") else None
        row = self.grid.current_row()
        return None if row is None or self.looks == "sides" else int(str(row["step"])) - 1

    def _with_steps(self, steps: Sequence[str]) -> str | None:
        saved = {} if self.asked is None else self.asked.to_dict()
        if not steps:
            return "a funnel needs a step"
        return self.change(
            lambda: self._scoped(from_dict({**_kept(saved, len(steps)), "steps": list(steps)}))
        )

    def _scoped(self, request: FunnelRequest) -> Request:
        return self.workbench.scoped(request)

    def _edit_option(self, name: str) -> None:
        _, label, meaning, choices = next(one for one in _OPTIONS if one[0] == name)
        if self.asked is None:
            return
        complete = asking.among([(choice, "") for choice in choices]) if choices else None
        if name in ("by", "hold"):
            complete = asking.properties(self)
        elif name in ("where", "who"):
            complete = asking.last_word(asking.properties(self))
        elif name == "exclude":
            complete = self._complete_step
        elif name == "compare":
            complete = asking.among([("previous", "the period before"), *asking.segments(self)])
        value = _text(name, self.asked.to_dict())
        # A name or choice is chosen anew, not mended; anything longer is edited as it stands.
        is_name = bool(choices) or name in _NAMES

        def check(text: str) -> str | None:
            return None if is_name and not text.strip() else self._with_option(name, text.strip())

        self.prompt.ask(
            label, "" if is_name or value == "none" else value, complete=complete, check=check, done=lambda _: None,
            hint=f"now {value}; {meaning}" if is_name else meaning, next=self._next_field,
        )  # fmt: skip

    def _next_field(self) -> None:
        form = self.query_one("#form", Form)
        form.move(1)
        field = form.current()
        if field is not None and field.edit is not None:
            field.edit()

    def _with_option(self, name: str, text: str) -> str | None:
        request = self.asked
        if request is None:
            return "add a step first"
        try:
            value = _value(name, text)
        except ValueError:
            return f"{text}: a number is wanted"
        return self.change(lambda: from_dict({**request.to_dict(), name: value}))

    def _told(self, why: str | None) -> None:
        if why is not None:
            self.say(why, "error")

    # --- keys of its own ----------------------------------------------------------------------------------------

    def why_not(self, name: str) -> str | None:
        """What needs steps says so."""
        options = (
            "peers",
            "trend",
            "less",
            "more",
            "compare",
            "breakdown",
            "range",
            "where",
            "who",
            "view",
            "explain",
        )
        if name in options and self.asked is None:
            return "add a step first: a"
        return super().why_not(name)

    def do_peers(self) -> None:
        """Shows the funnel under all other rules, or under ours alone again."""
        if self.asked is not None:
            self._told(self._with_option("as", "none" if self.asked.peer is not None else "all"))

    def do_trend(self) -> None:
        """Goes on to the next period of the trend."""
        if self.asked is not None:
            following = TRENDS[(TRENDS.index(self.asked.trend) + 1) % len(TRENDS)]
            self._told(self._with_option("trend", following or "none"))

    def do_compare(self) -> None:
        """Lets the other side of a comparison be chosen: the period before, or a segment."""
        asking.segment_of(
            self,
            "compare with",
            [("none", "nothing"), ("previous", "the period before; wants a range")],
            lambda name: self._told(self._with_option("compare", name)),
        )

    def do_where(self) -> None:
        """Lets the filter of events be written."""
        asking.where_of(self)

    def do_who(self) -> None:
        """Lets the rule over people be written."""
        asking.who_of(self)

    def do_less(self) -> None:
        """The field in hand, else the window, down."""
        self._stepped(-1)

    def do_more(self) -> None:
        """The field in hand, else the window, up."""
        self._stepped(1)

    def _stepped(self, step: int) -> None:
        request = self.asked
        field = self.query_one("#form", Form).current() if self.pane == 0 else None
        name = field.name if field is not None and not field.name.startswith("step:") else "window"
        choices = next(one[3] for one in _OPTIONS if one[0] == name)
        if request is None or not choices:
            self.say("this field is edited with e")
            return
        now = _text(name, request.to_dict())
        place = choices.index(now) if now in choices else _nearest(now, choices)
        place = min(max(place + step, 0), len(choices) - 1)
        if choices[place] != now:
            self._told(self._with_option(name, choices[place]))

    def do_view(self) -> None:
        """Table with bars, breakdown side by side, a larger chart."""
        ways = ("table", "sides", "chart") if self._has_sides() else ("table", "chart")
        self.looks = ways[(ways.index(self.looks) + 1) % len(ways)] if self.looks in ways else "table"
        if self.answer is not None:
            self.show(self.answer)
        self.say({"table": "table", "sides": "side by side", "chart": "chart"}[self.looks])

    def _has_sides(self) -> bool:
        return any(row["breakdown"] is not None or row["cohort"] is not None for row in self._rows)

    def do_explain(self) -> None:
        """Why the people of the cell stopped."""
        door, request = self.door(), self.asked
        if door is None or request is None or not door.cell.startswith("dropped:"):
            self.say("E explains who dropped: put the cursor on a figure under dropped")
            return
        from queries.explain import ExplainRequest

        self.workbench.open_screen("explain", ExplainRequest(funnel=request, cell=door.cell))

    # --- the answer -------------------------------------------------------------------------------------------

    def show(self, answer: Answer) -> None:
        """Rows with bars, or side by side, and a chart where there is room."""
        self._rows = [dict(row) for row in answer.result.rows]
        if self.looks == "sides" and not self._has_sides():
            self.looks = "table"
        if self.looks == "sides":
            columns, rows = _side_by_side(self._rows, answer)
            self.grid.show(Table.of_rows(columns, rows))
        else:
            extras = (Extra("bar", "", BAR, self._bar, before="users"),) if self._has_bars_beside else ()
            self.grid.show(answer.table, extras=extras)
        self._draw_chart(answer)

    def refresh_form(self) -> None:
        """The chart makes room for the form."""
        super().refresh_form()
        if self.answer is not None:
            self._draw_chart(self.answer)

    def resized(self, answer: Answer) -> None:
        """Bars and chart take the new room."""
        self.show(answer)

    def _bar(self, row: Row, cells: int) -> Text:
        """The share of step 1, and, shaded, whoever may still come."""
        share = cast("float | None", row["rate_from_first"])
        if share is None:
            return Text("")
        mine = [one for one in self._rows if _group(one) == _group(row)]
        entered = int(str(mine[0]["users"]))
        waiting = sum(int(str(one["open"])) for one in mine if int(str(one["step"])) < int(str(row["step"])))
        drawn = bar(share, cells, self.workbench.glyphs, open_fraction=waiting / entered if entered else 0.0)
        return Text(drawn, style=self.workbench.colour("accent"))

    @property
    def _has_bars_beside(self) -> bool:
        """Whether the table has room for bars."""
        return self.app.size.width >= BARS_BESIDE

    def _bar_lines(self, answer: Answer, cells: int) -> list[str]:
        """Bars of the first rows under each other, where the table has no room for them."""
        layout = {shown.key: shown for shown in answer.result.layout}
        rows = [row for row in self._rows if _group(row) == self._group_in_hand()]
        names = [cell(row, layout["event"]) for row in rows]
        label = min(max(map(width, names)), cells // 3)
        room = cells - label - 10
        drawn = [
            f"{pad(name, label)} {self._bar(row, room).plain} {cell(row, layout['rate_from_first']):>5} %"
            for name, row in zip(names, rows, strict=True)
        ]
        return [_said(rows[0], layout), *drawn]

    def _group_in_hand(self) -> tuple[object, ...]:
        """The group of the row under the cursor, else the first."""
        row = self.grid.current_row()
        found = self._rows[0] if row is None or "is_total" not in row else row
        return _group(found)

    def on_grid_moved(self) -> None:
        """Bars under the table are those of the row in hand."""
        if self._rows and self.answer is not None and self._drawn_group != self._group_in_hand():
            self._draw_chart(self.answer)

    def _draw_chart(self, answer: Answer) -> None:
        chart = self.query_one("#chart", Static)
        cells, rows = self.app.size.width - 2, self.app.size.height
        taken = 5 if self.looks == "chart" else min(len(self._rows) + 1, max(rows - 16, 5))
        text = [] if self.pane == 0 and rows < ROOMY else self._chart_lines(answer, cells, rows - 5 - taken)
        chart.display = bool(text)
        chart.update(Text("\n".join(f" {clean(line)}" for line in text), no_wrap=True))

    def _chart_lines(self, answer: Answer, cells: int, rows: int) -> list[str]:
        """Bars where the table has none, then the trend or the times to convert, as far as there is room."""
        request = cast("FunnelRequest", answer.request)
        self._drawn_group = self._group_in_hand()
        found: list[str] = []
        if not self._has_bars_beside and self.looks != "sides" and self._rows and not request.trend:
            bars = self._bar_lines(answer, cells)
            found = bars if len(bars) + 1 <= rows else []
        room = rows - len(found) - 2
        if room < 4:
            return found
        height = room if self.looks == "chart" else min(room, CHART_ROWS)
        if request.trend is not None:
            title = f"converted of step 1, % by {request.trend}"
            return [*found, "", title, *self._trend_lines(request, cells, height)]
        bins = cast("list[dict[str, int]]", answer.result.totals.get("histogram") or [])
        if not bins:
            return found
        median = answer.result.totals.get("seconds_to_convert_median")
        told = "" if median is None else f", median {duration(cast('float', median))}"
        title = f"time to convert: {sum(one['users'] for one in bins):,} people{told}"
        labels = [duration(one["from_seconds"]) for one in bins]
        counts = [one["users"] for one in bins]
        return [*found, "", title, *histogram(counts, labels, cells, height, self.workbench.glyphs)]

    def _trend_lines(self, request: FunnelRequest, cells: int, rows: int) -> list[str]:
        """The rate of the last step by period: of everybody, and of the value in hand with its cohorts."""
        value = self._value_in_hand()
        last = [
            row
            for row in self._rows
            if row["step"] == len(request.steps)
            and row["period"] is not None
            and (row["is_total"] or (row["breakdown"], row["is_other"]) == value)
        ]
        periods = sorted({str(row["period"]) for row in last})
        series: dict[str, list[float | None]] = {}
        for row in last:
            parts = [] if request.scope.by is None else [_value_text(row)]
            name = " ".join([*parts, *([] if row["cohort"] is None else [str(row["cohort"])])]) or "(all)"
            rate = cast("float | None", row["rate_from_first"])
            values = series.setdefault(name, [None] * len(periods))
            values[periods.index(str(row["period"]))] = None if rate is None else 100 * rate
        if not periods:
            return []
        return lines(series, periods, cells, rows, self.workbench.ascii_only)

    def _value_in_hand(self) -> tuple[object, object] | None:
        row = self.grid.current_row()
        if row is None or row.get("is_total", True):
            return None
        return row["breakdown"], row["is_other"]

    # --- doors ------------------------------------------------------------------------------------------------

    def door(self) -> Door | None:
        """The people of the cell under the cursor."""
        row, key = self.grid.current_row(), self.grid.cursor_key
        if row is None or key is None or self.answer is None:
            return None
        if self.looks == "sides":
            return self._side_door(row, key)
        measure = _MEASURES.get(key, "reached")
        name = cell_of(row, measure)
        return Door(name, f"{self._phrase(row, measure)}")

    def _side_door(self, row: Row, key: str) -> Door | None:
        if not key.startswith("side:"):
            return None
        place = int(key.split(":")[1])
        sides = list(dict.fromkeys(map(_group, self._rows)))
        found = next(one for one in self._rows if _group(one) == sides[place] and one["step"] == row["step"])
        return Door(cell_of(found, "reached"), self._phrase(found, "reached"))

    def _phrase(self, row: Row, measure: str) -> str:
        what = {"reached": "who reached", "dropped": "who dropped after", "open": "who may still go on from"}[
            measure
        ]
        rest = [str(row[key]) for key in ("breakdown", "period", "cohort") if row[key] is not None]
        event = "" if row["event"] is None else f" {row['event']}"
        return f"{what} step {row['step']}{event}" + (f" ({', '.join(rest)})" if rest else "")


SCREEN = FunnelScreen


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


def _group(row: Row) -> tuple[object, ...]:
    return tuple(row[key] for key in ("breakdown", "is_total", "is_other", "period", "cohort"))


def _said(row: Row, layout: Mapping[str, Shown]) -> str:
    """Which rows bars are of; empty where there is but one kind."""
    return " ".join(cell(row, layout[key]) for key in ("breakdown", "period", "cohort") if key in layout)


def _value_text(row: Row) -> str:
    if row["is_total"]:
        return "(all)"
    return OTHER if row["is_other"] else NONE if row["breakdown"] is None else str(row["breakdown"])


def _kept(saved: dict[str, object], steps: int) -> dict[str, object]:
    """A saved request without the options of steps that are no longer there."""
    kept = dict(saved)
    optional = cast("list[int]", kept.get("optional") or [])
    kept["optional"] = [step for step in optional if step < steps]
    windows = cast("dict[str, str]", kept.get("step_windows") or {})
    kept["step_windows"] = {step: span for step, span in windows.items() if int(step) <= steps}
    return kept


def _text(name: str, saved: dict[str, object]) -> str:
    """An option as the form shows it."""
    value = saved[name]
    if name == "step_windows":
        return " ".join(f"{step}={span}" for step, span in cast("dict[str, str]", value).items()) or "none"
    if name == "exclude":
        return "; ".join(cast("list[str]", value)) or "none"
    if name == "optional":
        return " ".join(map(str, cast("list[int]", value))) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _value(name: str, text: str) -> object:
    """What is saved of an option written so; ValueError for a number that is none."""
    bare = None if text in ("", "none") else text
    if name == "window":
        return text or "7d"
    if name == "step_windows":
        pairs = (part.partition("=") for part in (bare or "").split())
        return {step: span for step, _, span in pairs}
    if name == "exclude":
        return [part.strip() for part in (bare or "").split(";") if part.strip()]
    if name == "optional":
        return [int(part) for part in (bare or "").replace(",", " ").split()]
    if name == "top":
        return int(text or 10)
    if name == "mature":
        return text == "yes"
    return bare if bare is not None else _DEFAULTS.get(name)


def _is_default(name: str, saved: dict[str, object]) -> bool:
    value = saved[name]
    return value in (None, [], {}) or value == _DEFAULTS.get(name)


def _nearest(now: str, choices: Sequence[str]) -> int:
    """The place of the choice that comes next to a window between them."""
    from queries.ranges import parse_duration

    milliseconds = parse_duration(now)
    spans = [parse_duration(one) for one in choices]
    if milliseconds is None:
        return len(choices) - 1
    return min(range(len(choices)), key=lambda at: abs((spans[at] or 1 << 60) - milliseconds))


def _side_by_side(rows: Sequence[Row], answer: Answer) -> tuple[list[Shown], list[dict[str, object]]]:
    """A row a step, a column a value: how many, the share of step 1 and its interval."""
    sides = list(dict.fromkeys(map(_group, rows)))
    by_place = {(_group(row), row["step"]): row for row in rows}
    layout = {shown.key: shown for shown in answer.result.layout}
    columns = [layout["step"], layout["event"]]
    for place, side in enumerate(sides):
        row = by_place[side, 1]
        columns.append(Shown(f"side:{place}", _said(row, layout) or "(all)", "exact"))
    made: list[dict[str, object]] = []
    for step in dict.fromkeys(row["step"] for row in rows):
        line: dict[str, object] = {"step": step, "event": by_place[sides[0], step]["event"]}
        for place, side in enumerate(sides):
            line[f"side:{place}"] = _figure(by_place.get((side, step)), layout)
        made.append(line)
    return columns, made


def _figure(row: Row | None, layout: dict[str, Shown]) -> str | None:
    if row is None:
        return None
    count, rate, interval = (
        cell(row, layout[key]) for key in ("users", "rate_from_first", "ci_from_first_low")
    )
    return f"{count}  {rate} % [{interval}]"
