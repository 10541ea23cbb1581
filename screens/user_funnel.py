"""What a funnel has to do with one person's timeline: the steps in its gutter, and a funnel of two marked events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.text import Text

from queries import activity
from queries.gutter import Key, Told
from queries.question import QuestionError, Row, Scope
from queries.ranges import duration
from queries.steps import Step
from screens.user_moves import key_of
from workbench.glyphs import Glyphs
from workbench.text import clean, clip

if TYPE_CHECKING:
    from queries.explain import ExplainRequest
    from queries.funnel_request import FunnelRequest

SECOND, HOUR, DAY = 1000, 3_600_000, 86_400_000
WINDOWS = (
    60 * SECOND, 300 * SECOND, 600 * SECOND, 1_800 * SECOND, HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR,
    DAY, 2 * DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 60 * DAY, 90 * DAY,
)  # fmt: skip
"""The windows a funnel of two marked events gets: the least that covers them; past the last whole days."""
GUTTER = 4
"""Cells beside the timeline."""


@dataclass(frozen=True, slots=True)
class Marks:
    """At most two events of a person, the earlier one first."""

    rows: tuple[Row, ...] = ()

    def toggled(self, row: Row) -> Marks:
        """With an event more, or without it; of three the one marked last and the new one stay."""
        if self.holds(row):
            return Marks(tuple(one for one in self.rows if key_of(one) != key_of(row)))
        return Marks((*self.rows[-1:], row))

    def holds(self, row: Row) -> bool:
        """Whether an event is marked."""
        return any(one["ts"] == row["ts"] and key_of(one) == key_of(row) for one in self.rows)

    @property
    def in_order(self) -> tuple[Row, ...]:
        """By time."""
        return tuple(sorted(self.rows, key=lambda row: activity.moment(str(row["ts"]))))

    @property
    def apart(self) -> int | None:
        """ms between the two."""
        if len(self.rows) < 2:
            return None
        first, last = self.in_order
        return activity.moment(str(last["ts"])) - activity.moment(str(first["ts"]))

    def text(self, glyphs: Glyphs) -> str:
        """What is marked, in a line."""
        named = [
            f"{clip(clean(row['event']), 24)} {str(row['ts'])[5:19].replace('T', ' ')}"
            for row in self.in_order
        ]
        if not named:
            return ""
        line = f"{glyphs.mark} {f' {glyphs.then} '.join(named)}"
        return line if self.apart is None else f"{line}: {duration(self.apart / 1000)}"


def window_over(ms: int) -> int:
    """The least window of the usual ones that covers a time; past the longest, whole days."""
    return next((one for one in WINDOWS if one >= ms), -(-ms // DAY) * DAY)


def funnel_of(marks: Marks, scope: Scope) -> FunnelRequest:
    """The funnel from the earlier marked event to the later one, within a window that covers the time between."""
    from queries.funnel_request import FunnelRequest

    first, last = marks.in_order
    return FunnelRequest(
        steps=(Step((str(first["event"]),)), Step((str(last["event"]),))),
        window=window_over(marks.apart or 0),
        scope=replace(scope, unit="user", who=None, by=None, session_gap=None),
    )


def explaining(funnel: FunnelRequest, profile: Mapping[str, object]) -> ExplainRequest:
    """The question why a person counts in a funnel as they do; of several funnels side by side, the one itself."""
    from queries.explain import ExplainRequest

    whom = f"{profile['kind']}:{profile['user']}"
    try:
        return ExplainRequest(funnel=funnel, user=whom)
    except QuestionError:
        return ExplainRequest(funnel=replace(funnel, peer=None, compare=None), user=whom)


def gutter_text(row: Row, told: Mapping[Key, Told], marks: Marks, glyphs: Glyphs) -> Text:
    """The gutter of a row: a mark, and the step it matched with a sign of whether it counted."""
    mark = glyphs.mark if marks.holds(row) else " "
    one = told.get((str(row["ts"]), str(row["event"])))
    return Text(f"{mark}{'' if one is None else step_text(one, glyphs)}", no_wrap=True)


def step_text(one: Told, glyphs: Glyphs) -> str:
    """``2✓`` for a step that counts, ``2·`` for one that does not, ``!`` for what ends an entry."""
    if one.counted is not None:
        return f"{one.counted}{glyphs.ok}"
    if one.ended:
        return f"{one.steps[0] if one.steps else ''}{glyphs.bad}"
    return f"{one.steps[0]}{glyphs.dot}" if one.steps else ""


def steps_text(steps: Sequence[Step], glyphs: Glyphs) -> str:
    """The steps of a funnel in a line."""
    return f" {glyphs.then} ".join(str(step) for step in steps)
