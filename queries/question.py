"""What every question and every answer has in common.

A *request* is frozen and says the whole question: it prints as a command line, goes into the JSON, and
hashes. ``answer(request, data)`` of the question's module turns it into a :class:`Result`, asking
:class:`Data` for rows. A result carries the table, its totals, its notes and the way from each cell to the
people behind it; faces (tables, JSON, screens) only show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from queries.kernels.lane_values import Over, ValuedLane
    from queries.kernels.lanes import Lanes

Scalar = str | int | float | bool | None
Row = Mapping[str, object]
Level = Literal["info", "warning"]


class QuestionError(Exception):
    """A question that cannot be asked so: bad option, unknown name, impossible pair.

    ``message`` is one line saying what and where; ``hint`` one line saying what to do.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Note:
    """Something the reader of a number should know, counted."""

    code: str
    """Stable, kebab-case; scripts match on it."""
    text: str
    level: Level = "info"
    count: int | None = None
    sets_aside: bool = False
    """True where data was left out of the answer: what ``--strict`` refuses."""

    def to_dict(self) -> dict[str, object]:
        """The note as JSON carries it."""
        return {"code": self.code, "level": self.level, "count": self.count, "text": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What every question shares: which data, which time, which people. Text as given; resolved when asked."""

    data: tuple[str, ...] = ()
    mapping: str | None = None
    since: str | None = None
    """``--from``: a date or time, inclusive."""
    until: str | None = None
    """``--to``: exclusive; a bare date takes in the whole day."""
    last: str | None = None
    as_of: str | None = None
    tz: str | None = None
    where: str | None = None
    """A condition on events."""
    who: str | None = None
    """A rule over people (:mod:`queries.rules`): only their events count."""
    by: str | None = None
    top: int = 10
    unit: str = "user"
    session_gap: str | None = None
    """Sessions end after this long a silence, whatever ids the export has; None: the workspace's rule."""

    def arguments(self) -> list[str]:
        """The scope as command-line arguments, defaults left out."""
        out: list[str] = []
        for path in self.data:
            out += ["--data", path]
        for option, value in (
            ("--mapping", self.mapping),
            ("--from", self.since),
            ("--to", self.until),
            ("--last", self.last),
            ("--as-of", self.as_of),
            ("--tz", self.tz),
            ("--where", self.where),
            ("--who", self.who),
            ("--by", self.by),
            ("--session-gap", self.session_gap),
        ):
            if value is not None:
                out += [option, value]
        if self.top != 10:
            out += ["--top", str(self.top)]
        if self.unit != "user":
            out += ["--unit", self.unit]
        return out

    def to_dict(self) -> dict[str, object]:
        """The scope as JSON carries it: option names with underscores."""
        return {
            "data": list(self.data),
            "mapping": self.mapping,
            "from": self.since,
            "to": self.until,
            "last": self.last,
            "as_of": self.as_of,
            "tz": self.tz,
            "where": self.where,
            "who": self.who,
            "by": self.by,
            "top": self.top,
            "unit": self.unit,
            "session_gap": self.session_gap,
        }


class Request(Protocol):
    """What every request can do; each question has its own frozen dataclass."""

    @property
    def scope(self) -> Scope: ...

    @property
    def report(self) -> str:
        """The question's name in the registry."""
        ...

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``, report name first."""
        ...

    def check_cell(self, cell: str) -> None:
        """Raises :class:`QuestionError` for what no answer can have as a cell with people."""
        ...

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question, as JSON carries it."""
        ...


@dataclass(frozen=True, slots=True)
class PeopleRequest:
    """The people behind one cell of another question's answer."""

    of: Request
    cell: str

    def __post_init__(self) -> None:
        self.of.check_cell(self.cell)

    @property
    def report(self) -> str:
        """The question's own: it is asked for the cell."""
        return self.of.report

    def check_cell(self, cell: str) -> None:
        """A list of people has no cells."""
        raise QuestionError(f"--users {cell}: a list of people has no cells")

    @property
    def scope(self) -> Scope:
        """The question's own."""
        return self.of.scope

    def arguments(self) -> list[str]:
        """The question's command line, with the cell."""
        return [*self.of.arguments(), "--users", self.cell]

    def to_dict(self) -> dict[str, object]:
        """What defines the question, with the cell."""
        return {**self.of.to_dict(), "users": self.cell}


ColumnKind = Literal["text", "integer", "number", "boolean", "time", "money", "json"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the canonical events: name and kind.

    ``time`` is BIGINT UTC milliseconds, ``money`` BIGINT minor units; a ``json`` column is JSON text.
    """

    name: str
    kind: ColumnKind
    canonical: bool = True
    """False for a property that is in the export but not in the canonical list."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What the events at hand carry."""

    columns: Mapping[str, Column]
    money_decimals: int = 2
    roles: Mapping[str, str] = field(default_factory=dict)
    """Role → step text (``EVENT[|EVENT][: EXPR]``)."""
    ids: tuple[str, ...] = ("user_id",)
    """The id columns there are, in order of trust."""
    order: tuple[str, ...] = ("place",)
    """The columns that order a person's events of equal time, most significant first: of ``fine``,
    ``sequence``, ``place`` those there are."""


@dataclass(frozen=True, slots=True)
class Survey:
    """One pass over everything that is there, before any range or filter. Times are UTC milliseconds."""

    rows: int
    """Valid events."""
    people: int
    """Units (people, raw ids …) in scope with a valid event."""
    codes: int
    """More than the code of any of them."""
    first: int | None
    last: int | None
    as_of: int | None
    """The newest valid event, or the request's ``--as-of``."""
    notes: tuple[Note, ...]
    """What was set aside, what is late."""
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Members:
    """The people whom a segment's list names."""

    codes: NDArray[np.int64]
    """Ascending, distinct."""
    listed: int
    """How many ids the list has."""
    unknown: int
    """How many of them nobody in the data has."""


@dataclass(frozen=True, slots=True)
class Named:
    """Whom one id names."""

    people: NDArray[np.int64]
    """Codes, ascending: one's; several people's where they share the id; none's where nobody has it."""
    units: NDArray[np.int64]
    """What is counted of them: themselves, or their sessions, orders, values. Ascending."""


EVERYTHING = Scope()
"""All events, all people: the scope of a question that names none."""

Columns = Mapping[str, "NDArray[np.generic]"]
"""One batch: equally long numpy arrays by column name."""


class Data(Protocol):
    """The rows a question may ask for; an engine implements it.

    SQL handed to it reads two relations and nothing else: ``events``, the valid events inside ``as_of``
    with the canonical columns present (``ts`` BIGINT ms UTC; ``fine`` INTEGER ns below the ms where times
    are finer; ``sequence`` BIGINT where mapped; ``place`` BIGINT, the row's place in the export) and
    ``person`` INTEGER, the code of the unit; and ``people``: ``person``, ``kind``, ``id``.
    """

    @property
    def schema(self) -> Schema: ...

    @property
    def timezone(self) -> str: ...

    def survey(self) -> Survey:
        """Rows, people, as-of and what was set aside. Computed once per snapshot."""
        ...

    def stream(self, sql: str, parameters: Mapping[str, object] | None = None) -> Iterator[Columns]:
        """Batches of a query in no order unless the SQL gives one."""
        ...

    def fetch(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[object, ...]]:
        """A small answer, whole."""
        ...

    def remember(self, name: str, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Keeps a query's answer as a temporary relation ``name`` for later SQL of the same question."""
        ...

    def lanes(self, events: Sequence[str], tests: Mapping[str, Over], *, make: bool) -> Lanes | None:
        """The lanes of all valid events of some names or conditions, for a fold without reading; None without any.

        ``tests``: by their names the conditions that read properties. ``make``: missing lanes pay at once, as the
        question reads as much anyway; else when asked for again.
        """
        ...

    def valued_lane(
        self, match: str, value: str, over: Over | None = None, test: Over | None = None
    ) -> ValuedLane | None:
        """The events that meet a condition, by person and time, with a property's value; both as SQL.

        ``over`` is the value where it reads properties of events of some names, ``test`` the condition where there is
        one beyond their names; without ``over`` that is not known.
        Their keys are such as those of the lanes last given; None where there were none or memory does not do.
        """
        ...

    def owners(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        """The code of the person of each unit: itself, where people or raw ids are counted."""
        ...

    def running(self, units: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether more may come of each unit: not of a session that is over."""
        ...

    def members(self, segment: str) -> Members:
        """The people of a segment file.

        Raises an error of the program for a file that is not there or cannot be read.
        """
        ...

    def named(self, name: str) -> Named:
        """Whom an id of any kind names, as ``ID`` or ``KIND:ID``."""
        ...

    def progress(self, fraction: float | None, what: str) -> None:
        """Says how far the question is; raises when it was cancelled or ran out of time."""
        ...

    @property
    def threads(self) -> int:
        """How many threads a fold may use."""
        ...

    @property
    def row_budget(self) -> int:
        """How many selected events a fold may hold at once before it must read them in order."""
        ...


@dataclass(frozen=True, slots=True)
class Shown:
    """One column of a result as a face lays it out; the value itself is never changed."""

    key: str
    heading: str
    kind: Literal[
        "text",
        "integer",
        "rate",
        "percent",
        "interval",
        "seconds",
        "time",
        "clock",
        "number",
        "boolean",
        "exact",
        "json",
    ] = "text"
    """``clock`` is the time of day of a time; ``rate`` and ``percent`` are fractions, and a percent's heading says
    the sign, its cells do not."""
    high: str | None = None
    """For an interval: the key of its upper end."""
    words: tuple[tuple[str, str], ...] = ()
    """Keys and words: the first key that is true in a row puts its word in the value's place."""
    marks: tuple[tuple[str, str], ...] = ()
    """Keys and words: the word of each key that is true in a row stands beside the value, in brackets."""
    null: str | None = None
    """The word for a missing value, where it is more than not known."""
    names: bool = False
    """True for the columns that name a row: a face too narrow for all columns repeats them."""
    cells: int | None = None
    """The cells a value may take in a table; a longer one is cut there, and whole everywhere else."""


@dataclass(frozen=True, slots=True)
class Section:
    """Rows in a run that are alike in a key stand under a heading of their own."""

    key: str
    heading: Callable[[object], str]
    """The heading, from the value."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a table says beside its columns; every other face has it in the rows and totals."""

    lines: tuple[tuple[str, str], ...] = ()
    """Label and text of the lines above the table."""
    sections: tuple[Section, ...] = ()
    """Outermost first."""
    below: str | None = None
    """The key of texts that stand under their row."""


class People(Protocol):
    """The way back from a cell to the people counted in it."""

    def codes(self, cell: str) -> NDArray[np.int64]:
        """Codes of the people of a cell as ``--users`` names it, ascending, distinct.

        Raises :class:`QuestionError` for a cell the result does not have.
        """
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """An answer: rows with full precision, totals, notes, meta, and the people behind it."""

    report: str
    request: Request
    rows: Sequence[Row]
    totals: Mapping[str, object]
    notes: tuple[Note, ...]
    meta: Mapping[str, object]
    layout: tuple[Shown, ...]
    """The columns a table shows, in order; JSON and CSV carry every key of a row."""
    rule: str = ""
    """The rule in words, as tables print it under the answer."""
    people: People | None = None
    page: Page | None = None
    """What a table says beside its columns."""
    sql: tuple[str, ...] = ()
    """The statements that were asked, in order, ready to paste."""
