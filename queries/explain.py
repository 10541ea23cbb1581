"""Why somebody counts in a report as they do, or does not: one person event by event, or a whole cell by reasons.

The person's rows are told by :mod:`queries.explain_person`, the reasons of a cell's people are counted by
:mod:`queries.explain_reasons`, and what those people did next by :mod:`queries.explain_next`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from queries import explain_next, funnel, peers, statistics
from queries.explain_person import explained
from queries.explain_reasons import REASONS, Stopped, why
from queries.explain_select import Selection
from queries.funnel_request import PREVIOUS, FunnelRequest
from queries.funnel_request import from_dict as funnel_from_dict
from queries.funnel_table import parse_cell
from queries.question import Data, Note, QuestionError, Result, Row, Scope, Shown
from queries.saved import Saved
from queries.scope import Within, meta
from queries.suggest import hint, shown

Ints = NDArray[np.int64]

NOBODY, OTHER = "(none)", "(other)"
"""In a door: people after whom nothing came; people whose next event has no row."""
_THE_FUNNELS = Scope()
_CELL_LAYOUT = (
    Shown("kind", "", names=True),
    Shown("place", "#", "integer", null=""),
    Shown("name", "reason, or next event", names=True),
    Shown("text", "in words", null=""),
    Shown("users", "people", "integer"),
    Shown("share", "of cell", "rate"),
    Shown("seconds_median", "median after", "seconds", null=""),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainRequest:
    """A funnel, and whom to explain in it: one person by any id, or the people of a cell.

    Raises :class:`QuestionError` for both at once, for a cell that nobody stopped in, and for what shows several
    funnels side by side.
    """

    funnel: FunnelRequest
    user: str | None = None
    cell: str | None = None
    """``dropped:K`` or ``open:K``, with ``@VALUE`` where the funnel has such rows."""
    scope: Scope = _THE_FUNNELS
    """The funnel's own; another one given is given to the funnel too."""

    def __post_init__(self) -> None:
        if self.scope is _THE_FUNNELS:
            object.__setattr__(self, "scope", self.funnel.scope)
        else:
            object.__setattr__(self, "funnel", replace(self.funnel, scope=self.scope))
        if self.user is not None and self.cell is not None:
            raise QuestionError(
                "a person and a cell cannot be explained at once", "leave USER or --users out"
            )
        if self.user == "":
            raise QuestionError("USER is empty: an unset variable?")
        for option, given in (
            ("--as all", self.funnel.peer == peers.EVERY),
            ("--compare previous", self.funnel.compare == PREVIOUS),
        ):
            if given:
                raise QuestionError(f"{option}: one funnel is explained at a time", f"leave {option} out")
        if self.cell is not None:
            found = parse_cell(self.cell, len(self.funnel.steps))
            if found.measure not in ("dropped", "open") or found.step == len(self.funnel.steps):
                raise QuestionError(
                    f"--users {shown(self.cell)}: nobody stopped there",
                    "a cell is dropped:K or open:K, like dropped:1",
                )

    @property
    def report(self) -> str:
        """The question's name in the registry."""
        return "explain"

    @property
    def asked(self) -> FunnelRequest:
        """The funnel itself, under a peer's rule where one is named."""
        return self.funnel if self.funnel.peer is None else peers.under(self.funnel, self.funnel.peer)

    def check_cell(self, cell: str) -> None:
        """Raises :class:`QuestionError` for what is not ``reason:CODE`` or ``next:K:EVENT`` of a cell."""
        if self.cell is None:
            raise QuestionError(
                f"--users {shown(cell)}: reasons are those of a cell", "name it: --users dropped:1"
            )
        _parse_door(cell)

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        cell = [] if self.cell is None else ["--users", self.cell]
        # An id may look like an option.
        user = [] if self.user is None else ["--", self.user]
        return [self.report, *self.funnel.arguments(), *cell, *user]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question, as JSON carries it."""
        return {**self.funnel.to_dict(), "user": self.user, "cell": self.cell}


def from_dict(saved: Mapping[str, object]) -> ExplainRequest:
    """The request that ``to_dict`` gave; raises :class:`QuestionError` for what is none."""
    own = Saved({key: saved.get(key) for key in ("user", "cell")}, ("user", "cell"))
    rest = funnel_from_dict({key: value for key, value in saved.items() if key not in ("user", "cell")})
    return ExplainRequest(funnel=rest, user=own.text("user"), cell=own.text("cell"))


def answer(request: ExplainRequest, data: Data) -> Result:
    """Why one person, or why the people of a cell, stand where the funnel counts them."""
    if request.user is None and request.cell is None:
        raise QuestionError("nobody to explain", "give an id of a person, or a cell: --users dropped:1")
    return _of_cell(request, data) if request.user is None else _of_person(request, data)


def statements(request: ExplainRequest, data: Data) -> tuple[str, ...]:
    """The SQL the question asks of a cell, in order; of a person, that of the rows."""
    within = Within.of(request.scope, data)
    if request.user is not None:
        return Selection.of(request.asked, within, data, data.named(request.user).units).statements
    names, select = explain_next.statements(within, data)
    return (
        *funnel.statements(request.funnel, data),
        *Selection.of(request.asked, within, data).statements,
        f"CREATE OR REPLACE TABLE event_names AS\n{names}",
        select,
    )


def _of_person(request: ExplainRequest, data: Data) -> Result:
    survey = data.survey()
    within = Within.of(request.scope, data)
    found = explained(str(request.user), request.asked, within, data)
    return Result(
        report=request.report,
        request=request,
        rows=found.rows,
        totals=found.totals,
        notes=(*survey.notes, *_peer(request), *found.notes),
        meta=meta(data, within, within.counts(data)),
        layout=found.layout,
        rule=f"{request.asked}. Rows: each event the rule reads, and what it did to the entry it concerned",
        sql=statements(request, data),
    )


# --- cells ------------------------------------------------------------------------------------------------


def _of_cell(request: ExplainRequest, data: Data) -> Result:
    counted = funnel.answer(request.funnel, data)
    assert counted.people is not None
    cell = str(request.cell)
    people = counted.people.codes(cell)
    asked, within = request.asked, Within.of(request.scope, data)
    rule = asked.rule(data.survey().as_of or 0, within.range.start, within.range.end)
    level = parse_cell(cell, rule.steps).step
    selection = Selection.of(asked, within, data)
    stopped = why(selection, rule, level, people, data, shared=asked.shares_events)
    data.progress(None, "what they did next")
    after = explain_next.following(people, stopped.stopped, within, data)
    table = _Cell(request, level, stopped, after)
    rows = table.rows()
    return Result(
        report=request.report,
        request=request,
        rows=rows,
        totals=table.totals(rows),
        notes=(*counted.notes, *_why_open(cell)),
        meta=counted.meta,
        layout=_CELL_LAYOUT,
        rule=(
            f"people of {cell} of: {asked}. Each has the first reason that holds, asked in this order: "
            f"{', '.join(REASONS)}; next: their first events later than step {level}, median time since"
        ),
        people=table,
        sql=statements(request, data),
    )


def _peer(request: ExplainRequest) -> tuple[Note, ...]:
    peer = request.funnel.peer
    return () if peer is None else (Note("peer", peers.described(request.funnel, peer)),)


def _why_open(cell: str) -> tuple[Note, ...]:
    if not cell.startswith("open"):
        return ()
    return (Note("still-open", "these people may still go on: the reasons are those so far"),)


class _Cell:
    """A cell's reasons and next events as rows, and the way back from each to its people."""

    def __init__(
        self, request: ExplainRequest, level: int, stopped: Stopped, after: explain_next.Next
    ) -> None:
        self._request, self._level, self._stopped, self._after = request, level, stopped, after
        self._all = len(stopped.people)

    def rows(self) -> list[Row]:
        """Reasons by how many have them, then the next events at each place, with the rest and nobody."""
        return [
            *self._reasons(),
            *(row for place in range(1, explain_next.PLACES + 1) for row in self._next(place)),
        ]

    def _reasons(self) -> list[Row]:
        sizes = np.bincount(self._stopped.reason, minlength=len(REASONS)).tolist()
        found = sorted((-size, place) for place, size in enumerate(sizes) if size)
        names = list(REASONS)
        return [
            self._row("reason", None, names[place], self._words(names[place]), -size) for size, place in found
        ]

    def _words(self, reason: str) -> str:
        request = self._request.asked
        if request.order == "any":
            return REASONS[reason].format(step="a further step")
        following = range(self._level + 1, len(request.steps) + 1)
        step = next((one for one in following if one not in request.optional), self._level + 1)
        return REASONS[reason].format(step=f"step {step}, {request.steps[step - 1]}")

    def _next(self, place: int) -> list[Row]:
        ranked, rest, nothing = self._ranked(place)
        at = self._after.rank == place
        found: list[Row] = []
        for code, count in ranked:
            after = self._after.after[at & (self._after.event == code)]
            found.append(self._row("next", place, self._after.names[code], None, count, after))
        if rest:
            mine = at & ~np.isin(self._after.event, [code for code, _ in ranked])
            found.append(
                self._row("next", place, OTHER, None, int(mine.sum()), self._after.after[mine], is_other=True)
            )
        if nothing:
            found.append(self._row("next", place, NOBODY, "nothing more", nothing, is_none=True))
        return found

    def _ranked(self, place: int) -> tuple[list[tuple[int, int]], int, int]:
        """The most frequent events at a place with their people, people with another, people with none."""
        events = self._after.event[self._after.rank == place]
        sizes = np.bincount(events, minlength=len(self._after.names)).tolist()
        ranked = sorted((-size, code) for code, size in enumerate(sizes) if size)
        shown_rows = [(code, -size) for size, code in ranked[: self._request.scope.top]]
        return shown_rows, len(events) - sum(size for _, size in shown_rows), self._all - len(events)

    def _row(
        self,
        kind: str,
        place: int | None,
        name: str,
        text: str | None,
        users: int,
        after: Ints | None = None,
        *,
        is_other: bool = False,
        is_none: bool = False,
    ) -> Row:
        median = None if after is None else statistics.quantile_seconds(np.sort(after), 1, 2)
        return {
            "kind": kind,
            "place": place,
            "name": name,
            "is_other": is_other,
            "is_none": is_none,
            "text": text,
            "users": users,
            "share": users / self._all if self._all else None,
            "seconds_median": median,
        }

    def totals(self, rows: Sequence[Row]) -> dict[str, object]:
        """How many people the cell has; each has one reason."""
        return {
            "users": self._all,
            "cell": self._request.cell,
            "level": self._level,
            "reasons": {str(row["name"]): row["users"] for row in rows if row["kind"] == "reason"},
        }

    def codes(self, cell: str) -> Ints:
        """The people of ``reason:CODE`` or ``next:K:EVENT``, ascending."""
        kind, place, name = _parse_door(cell)
        people = self._stopped.people
        if kind == "reason":
            mine: Ints = people[self._stopped.reason == list(REASONS).index(name)]
            return mine
        at = self._after.rank == place
        ranked, _, _ = self._ranked(place)
        if name in self._after.names:
            chosen = at & (self._after.event == self._after.names.index(name))
        elif name == OTHER:
            chosen = at & ~np.isin(self._after.event, [code for code, _ in ranked])
        elif name == NOBODY:
            return np.delete(people, self._after.owner[at])
        else:
            raise QuestionError(
                f"--users {shown(cell)}: no event is named {shown(name)}", hint(name, self._after.names)
            )
        return np.sort(people[self._after.owner[chosen]])


def _parse_door(cell: str) -> tuple[str, int, str]:
    """``reason:CODE`` or ``next:K:EVENT`` as kind, place and name."""
    kind, _, rest = cell.partition(":")
    if kind == "reason":
        if rest not in REASONS:
            raise QuestionError(
                f"--users {shown(cell)} names no reason",
                hint(rest, REASONS) or f"one of {', '.join(REASONS)}",
            )
        return kind, 0, rest
    place, mark, name = rest.partition(":")
    if kind != "next" or not mark or place not in [str(one) for one in range(1, explain_next.PLACES + 1)]:
        raise QuestionError(f"--users {shown(cell)} names no row", "write reason:CODE or next:1:EVENT")
    return kind, int(place), name
