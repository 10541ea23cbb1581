"""A list of people: those in scope, or a saved list of them, with what they did and chosen properties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from queries import ranges, records
from queries.expression import value_term
from queries.lazy_rows import ColumnRows, Values
from queries.one_person import Sessioned
from queries.profile import orders_sql
from queries.question import (
    EVERYTHING,
    Note,
    PeopleRequest,
    QuestionError,
    Request,
    Result,
    Scope,
    Shown,
)
from queries.saved import SCOPE_KEYS, Saved
from queries.scope import Within, meta, out_of_range
from queries.suggest import hint, shown
from queries.timeline import major
from queries.visits import counted_sql, needs_order

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLUMNS = ("user", "kind", "first_seen", "last_seen", "events", "sessions", "orders", "amount")
_NONE = -(2**63)
"""Stands for NULL in a column of integers."""
_LAYOUT = (
    Shown("user", "user", names=True),
    Shown("kind", "id kind"),
    Shown("first_seen", "first seen", "time"),
    Shown("last_seen", "last seen", "time"),
    Shown("events", "events", "integer"),
    Shown("sessions", "sessions", "integer"),
    Shown("orders", "orders", "integer"),
    Shown("amount", "amount", "number"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersRequest:
    """Which people, which of their properties, in which order."""

    ids: str | None = None
    """A segment's name, a file of ids, or ``-``; None for everybody in scope."""
    show: tuple[str, ...] = ()
    sort: str | None = None
    descending: bool = False
    scope: Scope = EVERYTHING

    def __post_init__(self) -> None:
        if self.scope.by is not None:
            raise QuestionError("--by: a list of people is not broken down", "--show adds a property")
        if self.scope.unit not in ("user", "raw"):
            raise QuestionError(f"--unit {self.scope.unit}: a list of people knows user and raw")
        for place, name in enumerate(self.show):
            if name in COLUMNS or name in self.show[:place]:
                raise QuestionError(f"--show {shown(name)} is a column already")
        columns = (*COLUMNS, *self.show)
        if self.sort is not None and self.sort not in columns:
            near = hint(self.sort, columns) or f"it has {', '.join(columns)}"
            raise QuestionError(f"--sort {shown(self.sort)}: no such column", near)
        if self.descending and self.sort is None:
            raise QuestionError("--descending without --sort", "say by which column: --sort amount")

    @property
    def report(self) -> str:
        """The question's name in the registry."""
        return "users"

    def check_cell(self, cell: str) -> None:
        """A list of people has no cells."""
        raise QuestionError(f"--users {cell}: a list of people has no cells")

    def arguments(self) -> list[str]:
        """The equivalent command line after ``workbench``."""
        out = [self.report]
        out += [] if self.ids is None else ["--ids", self.ids]
        for name in self.show:
            out += ["--show", name]
        out += [] if self.sort is None else ["--sort", self.sort]
        return [*out, *["--descending"] * self.descending, *self.scope.arguments()]

    def to_dict(self) -> dict[str, object]:
        """Everything that defines the question, as JSON carries it."""
        own = {"ids": self.ids, "show": list(self.show), "sort": self.sort, "descending": self.descending}
        return {**own, **self.scope.to_dict()}


def from_dict(saved: Mapping[str, object]) -> UsersRequest:
    """The request that ``to_dict`` gave; raises :class:`QuestionError` for what is none."""
    found = Saved(saved, ("ids", "show", "sort", "descending", *SCOPE_KEYS))
    return UsersRequest(
        ids=found.text("ids"),
        show=found.texts("show"),
        sort=found.text("sort"),
        descending=found.flag("descending"),
        scope=found.scope(),
    )


def answer(request: UsersRequest, data: Sessioned) -> Result:
    """One row a person with an event in scope; every figure is of the events in scope."""
    within = Within.of(request.scope, data)
    asked: list[str] = []
    notes: list[Note] = []
    chosen = None
    if request.ids is not None:
        members = data.members(request.ids)
        chosen = members.codes.tolist()
        if members.unknown:
            text = f"{members.unknown:,} of {members.listed:,} ids of {request.ids} name nobody in the data"
            notes.append(Note("unknown-ids", text, "warning", members.unknown))
    listing = _Listing(request, data, within, asked, show=request.show, sort=_sort(request))
    return listing.result(chosen, notes)


def of_people(
    request: Request, data: Sessioned, within: Within, codes: Sequence[int], asked: list[str]
) -> Result:
    """These people as a list, the last seen first; what another question answers that finds several."""
    return _Listing(request, data, within, asked, show=(), sort="last_ts DESC").result(codes, [])


def of_cell(request: PeopleRequest, data: Sessioned, codes: NDArray[np.int64], rule: str) -> Result:
    """The people behind a cell of another answer as a list, all of them; every figure is of all their events.

    Not of the events in the answer's scope: of a period before, or of a filter, they may have none in it.
    """
    within = Within.of(everything_of(request.scope), data)
    result = _Listing(request, data, within, [], show=(), sort=None).result(codes.tolist(), [])
    told = f"people behind {request.cell} of: {rule}; every figure is of all their events"
    return replace(result, rule=told, meta={**result.meta, "cell": request.cell})


def everything_of(scope: Scope) -> Scope:
    """The same data and people, whatever the range, the filter and the unit counted."""
    unit = "raw" if scope.unit == "raw" else "user"
    return replace(scope, since=None, until=None, last=None, where=None, who=None, by=None, top=10, unit=unit)


def statements(request: UsersRequest, data: Sessioned) -> tuple[str, ...]:
    """The SQL the question asks, in order."""
    return answer(request, data).sql


def _sort(request: UsersRequest) -> str | None:
    if request.sort is None:
        return None
    direction = "DESC" if request.descending else "ASC"
    own = {"user": "id", "kind": "kind", "first_seen": "first_ts", "last_seen": "last_ts"}
    if request.sort in request.show:
        return f"shown_{request.show.index(request.sort)} {direction}"
    return f"{own.get(request.sort, request.sort)} {direction}"


class _Listing:
    """Makes the table of people and gives its rows."""

    def __init__(
        self,
        request: Request,
        data: Sessioned,
        within: Within,
        asked: list[str],
        *,
        show: Sequence[str],
        sort: str | None,
    ) -> None:
        self._request, self._data, self._within, self._asked = request, data, within, asked
        self._show, self._sort = show, sort
        self._roles = records.roles(data.schema, data.timezone)
        self._missing: dict[str, str] = {}
        self._terms = [value_term(name, data.schema, timezone=data.timezone) for name in show]

    def result(self, chosen: Sequence[int] | None, notes: Sequence[Note]) -> Result:
        """The list of these people, None for all, as far as they have an event in scope."""
        data = self._data
        if chosen is not None:
            data.remember(
                "chosen_users", "SELECT CAST(unnest($codes) AS INTEGER) AS person", {"codes": chosen}
            )
            listed = ", ".join(map(str, chosen))
            self._asked.append(
                f"CREATE OR REPLACE TABLE chosen_users AS\nSELECT unnest([{listed}]) AS person"
            )
        rule_note = Note("session-rule", f"sessions: {data.session_rule()}")
        sql = self._people_sql(chosen is not None)
        self._asked.append(f"CREATE OR REPLACE TABLE listed_users AS\n{sql}")
        data.remember("listed_users", sql)
        self._asked.append(self._rows_sql())
        ((count, events),) = data.fetch("SELECT count(*), coalesce(sum(events), 0) FROM listed_users")
        counts = int(str(events)), int(str(count))
        without = [] if chosen is None else _without(len(chosen) - counts[1])
        missing = [Note("not-available", f"{what} n/a: {why}") for what, why in self._missing.items()]
        return Result(
            report="users",
            request=self._request,
            rows=UserRows(self, counts[1]),
            totals={"users": counts[1], "events": counts[0]},
            notes=(
                *data.survey().notes, rule_note, *notes, *without, *missing,
                *out_of_range(data, self._within, counts),
            ),
            meta=meta(data, self._within, counts),
            layout=self._layout(),
            rule=(
                "people with an event in scope; every figure is of the events in scope, a property is the latest "
                f"known value; times in {data.timezone}"
            ),
            sql=tuple(self._asked),
        )  # fmt: skip

    def _layout(self) -> tuple[Shown, ...]:
        """The columns a table shows: what it is sorted by right behind the ids, where a narrow table still has it."""
        columns = (*_LAYOUT, *(Shown(name, name, cells=30) for name in self._show))
        sort = self._request.sort if isinstance(self._request, UsersRequest) else None
        return tuple(
            sorted(columns, key=lambda one: 0 if one.key in ("user", "kind") else 1 if one.key == sort else 2)
        )

    def _people_sql(self, is_chosen: bool) -> str:
        has = self._data.schema.columns
        conditions = self._within.conditions()
        inside = ["person IN (SELECT person FROM chosen_users)"] if is_chosen else []
        where = " AND ".join([*conditions, *inside]) or "TRUE"
        moment = ", ".join(
            "coalesce(sequence, -9223372036854775807)" if name == "sequence" else name
            for name in ("ts", *self._data.schema.order)
        )
        shown_values = "".join(
            f",\n  arg_max({term.sql}, ({moment})) FILTER (WHERE {term.sql} IS NOT NULL) AS shown_{place}"
            for place, term in enumerate(self._terms)
        )
        orders = amount = "NULL::BIGINT"
        if "order" not in self._roles:
            self._missing |= dict.fromkeys(("orders", "amount"), "the role order is not mapped")
        else:
            is_order = self._roles["order"]
            orders = orders_sql(is_order, "order_id" in has)
            if "amount" in has:
                amount = (
                    f"CASE WHEN count(*) FILTER (WHERE {is_order}) = 0 THEN 0 ELSE\n"
                    f"    CAST(sum(amount) FILTER (WHERE {is_order}) AS BIGINT) END"
                )
            else:
                self._missing["amount"] = "no column amount"
        rule = self._data.session_rule()
        if needs_order(rule, self._data):
            self._data.define_sessions()
            sessions = (
                "SELECT person, count(DISTINCT session_code) AS sessions FROM session_events\n"
                f"  WHERE {where} GROUP BY person"
            )
        else:
            inside_scope, chosen = (" AND ".join(parts) or "TRUE" for parts in (conditions, inside))
            sessions = counted_sql(rule, self._data, inside_scope, chosen)
        return (
            "WITH seen AS (\n"
            "  SELECT person, min(ts) AS first_ts, max(ts) AS last_ts, count(*) AS events,\n"
            f"  {orders} AS orders, {amount} AS amount{shown_values}\n"
            f"  FROM events WHERE {where} GROUP BY person\n"
            f"), visited AS (\n  {sessions}\n)\n"
            "SELECT people.id, people.kind, seen.*, coalesce(visited.sessions, 0) AS sessions\n"
            "FROM seen JOIN people ON people.person = seen.person\n"
            "LEFT JOIN visited ON visited.person = seen.person"
        )

    def _rows_sql(self) -> str:
        order = "" if self._sort is None else f"{self._sort} NULLS LAST, "
        shown_values = "".join(
            f", CAST(shown_{place} AS VARCHAR) AS shown_{place}" for place in range(len(self._show))
        )
        return (
            f"SELECT id, kind, first_ts, last_ts, events, sessions, coalesce(orders, {_NONE}) AS orders,\n"
            f"  coalesce(amount, {_NONE}) AS amount{shown_values}\n"
            f"FROM listed_users ORDER BY {order}kind DESC, id"
        )

    def columns(self) -> Iterator[dict[str, Values]]:
        """The rows in order, read batch by batch, a column a key."""
        # numpy stays off the way to the request.
        from queries.moments import iso_all

        zone = ranges.zone(self._data.timezone)
        decimals = self._data.schema.money_decimals
        for batch in self._data.stream(self._rows_sql()):
            columns: dict[str, Values] = {
                "user": batch["id"],
                "kind": batch["kind"],
                "first_seen": iso_all(batch["first_ts"].astype("int64"), zone),
                "last_seen": iso_all(batch["last_ts"].astype("int64"), zone),
                "events": batch["events"],
                "sessions": batch["sessions"],
                "orders": [None if one == _NONE else one for one in batch["orders"].tolist()],
                "amount": [
                    None if one == _NONE else major(one, decimals) for one in batch["amount"].tolist()
                ],
            }
            for place, (key, term) in enumerate(zip(self._show, self._terms, strict=True)):
                columns[key] = [_typed(one, term.kind, zone) for one in batch[f"shown_{place}"].tolist()]
            yield columns


class UserRows(ColumnRows):
    """One row a person, read when they are written: millions need no list."""

    def __init__(self, listing: _Listing, count: int) -> None:
        self._listing, self._count = listing, count

    def __len__(self) -> int:
        return self._count

    def columns(self) -> Iterator[dict[str, Values]]:
        """As the listing reads them."""
        return self._listing.columns()


def _typed(value: str | None, kind: str, zone: ZoneInfo) -> object:
    """A property's value as JSON carries it."""
    if value is None:
        return None
    if kind == "integer":
        return int(value)
    if kind == "number":
        return float(value)
    if kind == "boolean":
        return value == "true"
    return ranges.iso(int(value), zone) if kind == "time" else value


def _without(count: int) -> list[Note]:
    if not count:
        return []
    return [Note("no-events", f"{count:,} of the people listed have no event in scope", count=count)]
