"""The user screen: who somebody is, when they were active, and everything they did, with a funnel's steps beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.widgets import Static

from queries.question import Row
from screens import user_form as forms
from screens import user_text as texts
from screens.frame.form import Field
from screens.user_beside import UserBeside
from screens.user_edits import UserEdits
from screens.user_funnel import GUTTER, gutter_text, steps_text
from screens.user_moves import place_of
from screens.user_state import TIMELINE
from screens.user_walk import UserWalk
from workbench.keys import Action
from workbench.session import Answer
from workbench.text import clean, clip
from workbench.widgets.activity import ActivityChart
from workbench.widgets.grid import Extra, Grid

if TYPE_CHECKING:
    from rich.text import Text

TALL = 30
"""Rows from which the profile and the histogram get more of them."""
TIMELINE_ROWS = 9
"""Rows of the screen that stay beside a whole profile: frame and a few events."""
VIEWS = ("both", "profile", "table")
"""The profile in short with the histogram; the profile whole; the timeline alone."""


class UserScreen(UserEdits, UserWalk, UserBeside):
    """One person's timeline, or the people found to choose from."""

    question: ClassVar[str] = "user"
    hinted: ClassVar[tuple[str, ...]] = (
        "enter", "edit", "next_session", "nearer", "make_funnel", "explain", "view", "help",
    )  # fmt: skip
    local_actions: ClassVar[tuple[Action, ...]] = (
        Action("previous_session", (",",), "session before", "The first event of the session before"),
        Action("next_session", (".",), "next session", "The first event of the next session"),
        Action("previous_gap", ("(",), "silence before", "The event after the long silence before"),
        Action(
            "next_gap", (")",), "next silence", "The event after the next of the person's longest silences"
        ),
        Action("previous_match", ("{",), "match before", "The match before: of * or of the text looked for"),
        Action("next_match", ("}",), "next match", "The next match: of * or of the text looked for"),
        Action("matching", ("*",), "matching", "A condition whose matches { and } go to"),
        Action("nearer", ("+",), "nearer", "Look into the day, then the hour, of the event in hand"),
        Action("farther", ("-",), "farther", "Look out again: from an hour to its day, then to everything"),
        Action("all_time", ("X",), "all time", "No day or hour is chosen any more"),
        Action("mark_event", ("m",), "mark event", "Mark an event: the time between two, a funnel of two"),
        Action("make_funnel", ("F",), "funnel", "The funnel of the two marked events, on its screen"),
        Action("turn_days", ("O",), "order", "Days newest first, or oldest first"),
    )

    # --- form -------------------------------------------------------------------------------------------------

    def form(self) -> Sequence[Field]:
        """Whom, and what of their timeline."""
        asked = self.asked
        if asked is None:
            return (Field("who", "who", "nobody yet: e asks", self.edit_who),)
        order = forms.order_name(asked)
        return (
            Field("who", "who", forms.who_text(asked), self.edit_who),
            Field(
                "events",
                "events",
                forms.events_text(asked.events) or "all",
                self.edit_events,
                not asked.events,
            ),
            Field("match", "match", asked.match or "any", self.edit_match, asked.match is None),
            Field("around", "around", asked.around or "any time", self.edit_around, asked.around is None),
            Field("order", "order", forms.ORDERS[order][0], self.edit_order, order == "newest days"),
        )

    def short_form(self) -> Sequence[str]:
        """The question in a line; a second one for marked events and for the funnel beside the timeline."""
        glyphs = self.workbench.glyphs
        parts = [f"{field.label} {field.text}" for field in self.form() if not field.is_default]
        lines = [f" {glyphs.dot} ".join(parts)]
        beside = [self.marks.text(glyphs)]
        if self.funnel is not None:
            told = f": {texts.verdict(self.explained.result)}" if self.explained is not None else ""
            beside.append(f"funnel {steps_text(self.funnel.steps, glyphs)}{told}")
        return [*lines, f" {glyphs.dot} ".join(part for part in beside if part)]

    def title_text(self) -> str:
        """The person's own id, once known."""
        profile = self.profile
        return "user" if profile is None else f"user {profile['user']}"

    def begin(self) -> None:
        """Says how to begin, and asks for an id."""
        self.query_one("#activity").display = False
        self.grid.empty = ""
        self._profile_lines(list(texts.BEGIN))
        self.edit_who()

    # --- body -------------------------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """Profile, histogram, timeline."""
        yield Static(id="profile", markup=False)
        yield ActivityChart(id="activity")
        yield Grid(id="grid")

    def show(self, answer: Answer) -> None:
        """A timeline, or the people found."""
        held = self.held
        self.took(answer)
        if self.is_list:
            self.grid.show(answer.table, page=answer.result.page, keep_cursor=False)
        else:
            extra = Extra("gutter", "", 1 if self.funnel is None else GUTTER, self.gutter_cell, "ts")
            self.grid.show(answer.table, extras=(extra,), page=answer.result.page, keep_cursor=False)
            self._back_to(held)
            self.fetch_gutter()
        self.resized(answer)

    def _back_to(self, held: Row | None) -> None:
        """The event in hand before, where it is still there."""
        table = self.table
        if table is None or not len(table):
            return
        place = None if held is None else place_of(table, held)
        if place is None and self.land_last:
            place = len(table) - 1
        self.land_last = False
        if place is not None:
            self.grid.go_to(place)

    def gutter_cell(self, row: Row, _: int) -> Text:
        """The mark and the funnel's step of a row."""
        return gutter_text(row, self.told_by_event, self.marks, self.workbench.glyphs)

    def resized(self, answer: Answer) -> None:
        """Profile and histogram for this size."""
        cells, rows = self.app.size
        chart = self.query_one("#activity", ActivityChart)
        chart.display = self.view == "both" and not self.is_list
        chart.styles.height = 6 if rows >= TALL else 3 if self.has_class("short") else 4
        if self.is_list:
            count = len(answer.result.rows)
            self._profile_lines(
                [f"{count:,} people have such an event, the last seen first: enter opens one"]
            )
            return
        page = answer.result.page
        lines = () if page is None else page.lines
        if self.view == "profile":
            whole, glyphs = texts.whole_profile(lines), self.workbench.glyphs
            self._profile_lines(
                [texts.plain(clip(line, cells - 2), glyphs) for line in whole[: self._whole_rows]]
            )
        else:
            most = 0 if self.view == "table" else 5 if rows >= TALL else 1 if self.has_class("short") else 3
            self._profile_lines(texts.short_profile(lines, cells - 2, most, self.workbench.glyphs))
        if chart.display:
            chart.put(self.activity_for(cells), self.span_text, self.bin_in_hand)

    def _profile_lines(self, lines: Sequence[str]) -> None:
        from rich.text import Text

        profile = self.query_one("#profile", Static)
        profile.display = bool(lines)
        profile.update(
            Text("\n").join(Text(f" {clean(line)}", no_wrap=True, overflow="ellipsis") for line in lines)
        )

    def on_grid_moved(self) -> None:
        """The histogram's sign follows the cursor; at the end of what was read of a long timeline it reads on."""
        if self.answer is None:
            return
        if not self.is_list:
            self.query_one("#activity", ActivityChart).point(self.bin_in_hand)
        if self.is_partial and self.grid.cursor_row == self.answer.table.loaded - 1:
            self.read_on()

    def on_grid_picked(self) -> None:
        """A double click is enter."""
        self.perform("enter")

    # --- actions of every screen ------------------------------------------------------------------------------

    def why_not(self, name: str) -> str | None:
        """A person's own actions need a timeline."""
        if name in TIMELINE:
            return self.why_not_here(name)
        return super().why_not(name)

    def people_answer(self) -> Answer | None:
        """The people found, where there are several."""
        return self.answer if self.is_list else None

    def open_row(self) -> None:
        """The person chosen, or everything about an event."""
        row = self.grid.current_row()
        if row is None:
            return
        if self.is_list and self.asked is not None:
            asked = self.asked
            scope = replace(asked.scope, who=None)
            self.ask(replace(asked, find=None, user=str(row["user"]), kind=str(row["kind"]), scope=scope))
            return
        from workbench.widgets.popup import Panel

        told = self.told_by_event.get((str(row["ts"]), str(row["event"])))
        self.app.push_screen(Panel(f"{row['event']}", texts.event_text(row, told)))

    def do_view(self) -> None:
        """The histogram with a short profile, the profile whole, or the timeline alone."""
        self.view = VIEWS[(VIEWS.index(self.view) + 1) % len(VIEWS)]
        page = None if self.answer is None else self.answer.result.page
        if self.view == "profile" and page is not None and len(page.lines) > self._whole_rows:
            from workbench.widgets.popup import Panel

            self.view = "table"
            self.app.push_screen(Panel("profile", "\n".join(texts.whole_profile(page.lines))))
        if self.answer is not None:
            self.resized(self.answer)
        said = {"both": "profile and histogram", "profile": "the whole profile"}
        self.say(said.get(self.view, "timeline alone"))

    @property
    def _whole_rows(self) -> int:
        """The rows that a whole profile may take; a longer one is read in a box of its own."""
        return self.app.size.height - TIMELINE_ROWS

    def do_less(self) -> None:
        """Smaller bins."""
        self.do_nearer()

    def do_more(self) -> None:
        """Larger bins."""
        self.do_farther()


SCREEN = UserScreen
