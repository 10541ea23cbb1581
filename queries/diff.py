"""What moved between two answers to one question, split into data and definition so that the parts add up.

Between A and B lie three more answers, asked of the data at hand: A's question as of A (``before``), A's as of
B over B's data (``after``), B's as of B (``now``). B − A is then (before − A: data behind A that came late or
changed) + (after − before: new data) + (now − after: definition) + (B − now: data behind B that changed since).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from queries import QUESTIONS, ranges
from queries.diff_request import DiffRequest
from queries.diff_rows import compared, said
from queries.question import Note, QuestionError, Request, Result, Row, Shown
from queries.saved import rescoped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Part = Literal["data", "definition", "program"]

SIDES = ("before", "after", "now")
_OF_DATA = ("data", "mapping", "as_of")
"""Keys of a request that say what is read, not how it is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer as its JSON carries it."""

    report: str
    semantics: str
    request: Mapping[str, object]
    command: str
    rows: Sequence[Row]
    totals: Mapping[str, object]
    meta: Mapping[str, object]
    cut: bool = False
    """Whether rows were left out of it."""

    @property
    def as_of(self) -> int | None:
        """Its *as of* in UTC ms; None where there was no event. Raises :class:`QuestionError`."""
        text = self.meta.get("as_of")
        return None if text is None else ranges.parse_moment(str(text), ranges.zone("UTC"), "as_of")

    @property
    def timezone(self) -> str:
        """The zone of its days."""
        return str(self.meta.get("timezone"))


@dataclass(frozen=True, slots=True)
class Differs:
    """A key in which two answers differ other than in their numbers."""

    key: str
    a: object
    b: object
    part: Part

    def to_dict(self) -> dict[str, object]:
        """As JSON carries it."""
        return {"key": self.key, "a": self.a, "b": self.b, "part": self.part}

    def __str__(self) -> str:
        return f"{self.key}: {said(self.a)} → {said(self.b)}"


@dataclass(frozen=True, slots=True)
class Between:
    """The answers between A and B, asked of the data at hand."""

    before: Answer
    after: Answer
    now: Answer


@runtime_checkable
class Standing(Protocol):
    """People of an answer who each stand at a step."""

    def standing(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Codes, ascending and distinct, and the deepest step of each, from 1."""
        ...


class Movements(Protocol):
    """The people who stand elsewhere now than before."""

    def counts(self) -> Sequence[Row]:
        """One row a move: ``from``, ``to`` (null: not in the funnel), ``because``, ``users``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What re-asking found, or why there was none."""

    between: Between | None = None
    moved: Movements | None = None
    notes: tuple[Note, ...] = field(default=())


def differences(a: Answer, b: Answer) -> list[Differs]:
    """Every key of request, zone, *as of*, sources and program in which they differ."""
    pairs: dict[str, tuple[object, object, Part]] = {}
    for key in dict.fromkeys([*a.request, *b.request]):
        if key not in ("tz", "as_of"):
            part: Part = "data" if key in _OF_DATA else "definition"
            pairs[key] = (a.request.get(key), b.request.get(key), part)
    pairs["timezone"] = (a.timezone, b.timezone, "definition")
    pairs["as_of"] = (a.meta.get("as_of"), b.meta.get("as_of"), "data")
    pairs["source"] = (a.meta.get("source"), b.meta.get("source"), "data")
    pairs["semantics_version"] = (a.semantics, b.semantics, "program")
    return [Differs(key, left, right, part) for key, (left, right, part) in pairs.items() if left != right]


def to_ask(
    a: Answer, b: Answer, asked_a: Request, asked_b: Request
) -> tuple[Request | None, Request | None, Request]:
    """The requests between A and B; None for what was asked when there was no event yet.

    Equal requests need asking once; three equal ones need no asking, as nothing but the data behind them has
    changed. Raises :class:`QuestionError` where B has no *as of*.
    """
    if b.as_of is None:
        raise QuestionError("B was asked of no events: there is nothing to split")
    before = None if a.as_of is None else _pinned(asked_a, asked_a, a.as_of, a.timezone)
    return (
        before,
        _pinned(asked_a, asked_b, b.as_of, a.timezone),
        _pinned(asked_b, asked_b, b.as_of, b.timezone),
    )


def _pinned(request: Request, data_of: Request, as_of: int, timezone: str) -> Request:
    """A question over the data of another, as of a moment."""
    scope = replace(
        request.scope,
        data=data_of.scope.data,
        mapping=data_of.scope.mapping,
        as_of=ranges.iso(as_of, ranges.zone("UTC")),
        tz=timezone,
    )
    return rescoped(request, scope)


def result(request: DiffRequest, a: Answer, b: Answer, found: Found) -> Result:
    """The table of what moved, its totals and notes; what cannot be known is null."""
    differs = differences(a, b)
    rows = compared(a, b, found.between, differs)
    counts = None if found.moved is None else found.moved.counts()
    return Result(
        report="diff",
        request=request,
        rows=rows,
        totals=_totals(b, differs, counts),
        notes=(*_notes(a, b, rows, differs), *found.notes),
        meta={**{key: b.meta.get(key) for key in _META}, "report": b.report, "a": _told(a), "b": _told(b)},
        layout=_layout(b.report, rows),
        rule=_rule(a, b, differs, counts),
    )


# --- totals, notes, words -----------------------------------------------------------------------------------

_META = ("as_of", "timezone", "from", "to", "rows_in_scope", "users", "source")
CAUSES = ("data", "definition", "both", "identity")


def _told(answer: Answer) -> dict[str, object]:
    return {
        "command": answer.command,
        "semantics_version": answer.semantics,
        **{key: answer.meta.get(key) for key in _META},
    }


def _totals(b: Answer, differs: Sequence[Differs], counts: Sequence[Row] | None) -> dict[str, object]:
    found: dict[str, object] = {"users": b.totals.get("users")}
    found["moved"] = None if counts is None else _sum(counts)
    for cause in CAUSES:
        found[f"moved_{cause}"] = None if counts is None else _sum(r for r in counts if r["because"] == cause)
    found["moves"] = None if counts is None else list(counts)
    found["differs"] = [one.to_dict() for one in differs]
    return found


def _sum(counts: Iterable[Row]) -> int:
    return sum(int(str(row["users"])) for row in counts)


def _notes(a: Answer, b: Answer, rows: Sequence[Row], differs: Sequence[Differs]) -> list[Note]:
    notes = []
    if a.semantics != b.semantics:
        text = (
            f"A was counted by semantics {a.semantics}, B by {b.semantics}: "
            "what the program counts otherwise is in the part of the data"
        )
        notes.append(Note("semantics-changed", text, "warning"))
    asked = [one for one in differs if any(one.key in asks for _, asks in QUESTIONS[b.report].rows.values)]
    for one in asked:
        text = f"rows by {one.key} are not compared, as it differs: {said(one.a)} → {said(one.b)}"
        notes.append(Note("not-comparable", text))
    if a.cut or b.cut:
        text = "an answer was cut by --limit: what it left out is not known"
        notes.append(Note("rows-missing", text, "warning"))
    behind = sum(1 for row in rows if row["data_late"] or row["data_since"])
    if behind:
        text = (
            f"{behind:,} numbers moved by data that came late or changed behind an answer: "
            "who that moved cannot be told, as the data of then are gone"
        )
        notes.append(Note("data-changed-behind", text, count=behind))
    return notes


def _layout(report: str, rows: Sequence[Row]) -> tuple[Shown, ...]:
    told = QUESTIONS[report].rows
    flags = set(told.flags)
    words = tuple(
        (key, word) for key, word in (("is_total", "(all)"), ("is_other", "(other)")) if key in flags
    )
    shown = [Shown(key, "#" if key == "step" else key, "integer" if key == "step" else "text", names=True)
             for key in told.places]  # fmt: skip
    shown += [Shown(label, "step" if label == "event" else label, names=True) for label in told.labels]
    for place, (key, _) in enumerate(told.values):
        by_value = any(not row.get("is_total", True) for row in rows) if place == 0 else False
        if by_value or any(row.get(key) is not None for row in rows):
            null = "(none)" if place == 0 else "(all)"
            shown.append(Shown(key, key, names=True, words=words if place == 0 else (), null=null))
    numbers = [Shown(key, key, "number") for key in ("a", "b", "difference", "data", "definition")]
    return (*shown, Shown("measure", "measure", names=True), *numbers)


def _rule(a: Answer, b: Answer, differs: Sequence[Differs], counts: Sequence[Row] | None) -> str:
    lines = [
        f"{b.report}, A as of {said(a.meta.get('as_of'))} and B as of {said(b.meta.get('as_of'))}; difference "
        "is B − A, of it what came of the data and what of the definition; – where that is not known"
    ]
    told = [str(one) for one in differs if one.key != "as_of"]
    lines.append("Differs: " + "; ".join(told) if told else "The same definition.")
    if counts is not None:
        lines.append(_moves(counts))
    return "\n".join(lines)


def _moves(counts: Sequence[Row]) -> str:
    if not counts:
        return "Nobody stands elsewhere."
    causes = [
        f"{number:,} by {cause}"
        for cause in CAUSES
        if (number := _sum(row for row in counts if row["because"] == cause))
    ]
    largest = sorted(counts, key=lambda row: -int(str(row["users"])))[:6]
    moves = [
        f"{_step(row['from'])} → {_step(row['to'])}: {row['users']:,} ({row['because']})" for row in largest
    ]
    more = "; …" if len(counts) > len(largest) else ""
    return f"Moved: {_sum(counts):,} ({', '.join(causes)}). From step to step: {'; '.join(moves)}{more}"


def _step(step: object) -> str:
    return "not in" if step is None else str(step)
