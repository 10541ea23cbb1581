"""What checks are made on: the events in scope under the names their SQL uses, and what is asked once for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from queries import ranges
from queries.checks import DAY, HOUR, Check, Severity
from queries.expression import compile_condition
from queries.material import Inspected
from queries.people import cleaned
from queries.question import Columns, Scope
from queries.quoting import quote_identifier, quote_literal
from queries.scope import Within
from queries.steps import parse_step

Ints = NDArray[np.int64]
ROLE = "role:"
MONEY = ("amount", "refund_amount", "discount", "margin")


MOST_NAMES, MOST_SLICES = 1_000, 20
"""So many event names and platforms are looked at by day, the most frequent ones."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; a count of 0 is clean."""

    count: int
    counted: str
    rows: int | None = None
    of: int | None = None
    users: int | None = None
    examples: tuple[str, ...] = ()
    offending: str | None = None
    """SQL that yields the ``person`` of each row found."""
    severity: Severity | None = None
    """Where it is not the check's own."""
    reason: str | None = None
    """Why the check could not be made after all."""


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Events by day, name and slice, as equally long columns; ``day`` counts days since 1970 in the zone."""

    day: Ints
    event: NDArray[np.object_]
    slice: NDArray[np.object_]
    rows: Ints
    people: Ints


class Asking:
    """One asking of the checks: SQL with its names filled in, every statement kept."""

    def __init__(self, data: Inspected, scope: Scope) -> None:
        self.data = data
        self.survey = data.survey()
        self.material = data.material()
        self.within = Within.of(scope, data)
        self.zone = ranges.zone(data.timezone)
        self.statements: list[str] = []
        self._scope = scope

    # --- what is there ------------------------------------------------------------------------------------

    def lacking(self, check: Check) -> str | None:
        """Why a check cannot be made, or None."""
        for need in check.needs:
            if not any(self._has(one) for one in need.split("|")):
                kind, _, role = need.partition(":")
                return (
                    f"no role {role}"
                    if role
                    else f"no {'' if kind == 'items' else 'column '}{need}".replace("|", ", ")
                )
        return None

    def _has(self, need: str) -> bool:
        if need == "items":
            return self.material.items
        if need.startswith(ROLE):
            return need.removeprefix(ROLE) in self.data.schema.roles
        return need in self.data.schema.columns

    # --- SQL ----------------------------------------------------------------------------------------------

    def sql(self, template: str) -> str:
        """A template with its names filled in; only the names it uses are worked out."""
        return template.format_map(_Names(self))

    def fetch(self, sql: str) -> list[tuple[object, ...]]:
        """A small answer, whole."""
        self.statements.append(sql)
        return self.data.fetch(sql)

    def stream(self, sql: str) -> list[Columns]:
        """The batches of an answer of some hundred thousand rows at most."""
        self.statements.append(sql)
        return list(self.data.stream(sql))

    def remember(self, name: str, sql: str) -> None:
        """Keeps an answer as a table for later SQL."""
        self.statements.append(f"CREATE OR REPLACE TEMP TABLE {name} AS\n{sql}")
        self.data.remember(name, sql)

    def role(self, name: str) -> str:
        """The condition under which an event has a role; FALSE for a role nobody named."""
        text = self.data.schema.roles.get(name)
        if text is None:
            return "FALSE"
        step = parse_step(text)
        names = " OR ".join(f"event = {quote_literal(event)}" for event in step.events)
        if step.condition is None:
            return f"({names})"
        condition = compile_condition(step.condition, self.data.schema, timezone=self.data.timezone).sql
        return f"(({names}) AND ({condition}))"

    # --- names of templates -------------------------------------------------------------------------------

    @cached_property
    def events(self) -> str:
        """The events in scope, as what follows FROM."""
        conditions = self.within.conditions()
        return f"(SELECT * FROM events WHERE {' AND '.join(conditions)})" if conditions else "events"

    @cached_property
    def dated(self) -> str:
        """The events in scope with their ``day`` in the zone."""
        return f"(SELECT *, {self.local_day} AS day FROM {self.events})"

    @cached_property
    def raw(self) -> str:
        """The rows in scope, those that are no valid event too: a row whose time says nothing is in every range."""
        low, high = self.material.valid
        inside = [one for one in self.within.conditions() if one.startswith("ts ")]
        if self._scope.as_of is not None and self.survey.as_of is not None:
            inside.append(f"ts <= {self.survey.as_of}")
        conditions = (
            [f"(ts IS NULL OR ts < {low} OR ts >= {high} OR ({' AND '.join(inside)}))"] if inside else []
        )
        conditions += [] if self.within.where is None else [f"({self.within.where})"]
        return (
            f"(SELECT * FROM source_events WHERE {' AND '.join(conditions)})"
            if conditions
            else "source_events"
        )

    @cached_property
    def low(self) -> str:
        """When valid times begin."""
        return str(self.material.valid[0])

    @cached_property
    def high(self) -> str:
        """When valid times end."""
        return str(self.material.valid[1])

    @cached_property
    def no_id(self) -> str:
        """True for a row without any id."""
        return " AND ".join(
            f"coalesce(trim({quote_identifier(name)}), '') = ''" for name in self.material.ids
        )

    @cached_property
    def junk_ctes(self) -> str:
        """One CTE for each kind of id: the texts among its values that are no id, blank ones left out."""
        return ", ".join(
            f"junk_{place} AS (\n  SELECT DISTINCT {quote_identifier(name)} AS id FROM {self.raw}\n"
            f"  WHERE trim({quote_identifier(name)}) <> ''\n)"
            for place, name in enumerate(self.material.ids)
        ) + "".join(
            f", bad_{place} AS (SELECT id FROM junk_{place} WHERE {cleaned('id', self.material.junk)} IS NULL)"
            for place in range(len(self.material.ids))
        )

    @cached_property
    def junk_condition(self) -> str:
        """True for a row with an id that is no id."""
        return " OR ".join(
            f"r.{quote_identifier(name)} IN (FROM bad_{place})"
            for place, name in enumerate(self.material.ids)
        )

    @cached_property
    def junk_detail(self) -> str:
        """The first such id of a row, with its kind."""
        cases = " ".join(
            f"WHEN r.{quote_identifier(name)} IN (FROM bad_{place}) "
            f"THEN {quote_literal(name + ' ')} || r.{quote_identifier(name)}"
            for place, name in enumerate(self.material.ids)
        )
        return f"CASE {cases} END"

    @cached_property
    def no_junk_user(self) -> str:
        """True for a ``user_id`` that is no junk."""
        return f"{cleaned('user_id', self.material.junk)} IS NOT NULL"

    @cached_property
    def no_junk_device(self) -> str:
        """True for an ``anonymous_id`` that is no junk."""
        return f"{cleaned('anonymous_id', self.material.junk)} IS NOT NULL"

    @cached_property
    def money(self) -> str:
        """True for a row with an amount."""
        there = [name for name in MONEY if name in self.data.schema.columns]
        return "(" + " OR ".join(f"{name} IS NOT NULL" for name in there) + ")"

    @cached_property
    def major(self) -> str:
        """An amount as text, in major units."""
        decimals = self.data.schema.money_decimals
        return f"CAST(CAST(amount AS DECIMAL(38, {decimals})) / {10**decimals} AS DECIMAL(38, {decimals}))::VARCHAR"

    @cached_property
    def event_key(self) -> str:
        """What tells copies of one event from another event."""
        return "coalesce(event_id, '') || ' ' || ts" if "event_id" in self.data.schema.columns else "ts"

    @cached_property
    def item_key(self) -> str:
        """What joins items and orders."""
        return "order_id" if "order_id" in self.data.schema.columns else "event_id"

    @cached_property
    def device(self) -> str:
        """What stands nearest to one clock."""
        return "anonymous_id" if "anonymous_id" in self.data.schema.columns else "NULL"

    @cached_property
    def export_order(self) -> str:
        """What orders a session's rows as they were sent."""
        return "sequence" if "sequence" in self.data.schema.order else "place"

    @cached_property
    def slice(self) -> str:
        """What divides the events into streams that come and go by themselves."""
        if "platform" in self.data.schema.columns:
            return "coalesce(platform, '')"
        return "CAST(source_index AS VARCHAR)"

    @cached_property
    def written_amounts(self) -> str:
        """Amounts that stand as text."""
        nothing = "SELECT NULL::BIGINT AS place, '' AS name, '' AS value LIMIT 0"
        return self.material.written_amounts or nothing

    @cached_property
    def fingerprint(self) -> str:
        """A row's content, all columns but those of its path: only compared among rows of one person and one time."""
        path = {name for file in self.material.files for name in file.path_columns}
        names = [name for name in self.data.schema.columns if name not in ("ts", *path)]
        names += [name for name in self.data.schema.order if name != "place"]
        return f"hash({', '.join(quote_identifier(name) for name in names)})"

    @cached_property
    def moment(self) -> str:
        """What two events of a person share when nothing but their place orders them."""
        return ", ".join(["person", "ts", *(name for name in self.data.schema.order if name != "place")])

    # --- the zone and the days ----------------------------------------------------------------------------

    @cached_property
    def local(self) -> str:
        """A time as ms of the zone's own clock, in SQL: the zone's offsets over the data's span."""
        if self.survey.first is None or self.survey.last is None:
            return "ts"
        changes: list[tuple[int, int]] = []
        day, last = ranges.day_of(self.survey.first, self.zone), ranges.day_of(self.survey.last, self.zone)
        while day <= last + timedelta(days=1):
            start = ranges.date_start(day, self.zone)
            offset = _offset(start, self.zone)
            if not changes or changes[-1][1] != offset:
                changes.append((_changed(start - DAY, start, self.zone) if changes else start, offset))
            day += timedelta(days=1)
        cases = [f"WHEN ts < {before} THEN {offset}" for (_, offset), (before, _) in pairwise(changes)]
        shift = f"CASE {' '.join(cases)} ELSE {changes[-1][1]} END" if cases else str(changes[-1][1])
        return f"(ts + {shift})"

    @cached_property
    def local_day(self) -> str:
        """Days since 1970 in the zone, in SQL."""
        return f"({self.local} // {DAY})"

    @cached_property
    def local_hour(self) -> str:
        """The hour of the zone's clock, in SQL."""
        return f"({self.local} // {HOUR} % 24)"

    @cached_property
    def days(self) -> DayCounts:
        """Events and their people by day, name and slice; rare names and slices are one, ``''``."""
        self.remember(
            "check_days",
            f"WITH people AS (\n  SELECT {self.local_day} AS day, event, {self.slice} AS slice, person,\n"
            f"    count(*) AS rows\n  FROM {self.events}\n  GROUP BY ALL\n)\n"
            "SELECT day, event, slice, CAST(sum(rows) AS BIGINT) AS rows, count(*) AS people\n"
            "FROM people\nGROUP BY ALL",
        )
        parts = self.stream(
            f"WITH names AS (\n  {_most('event', MOST_NAMES)}\n), slices AS (\n  {_most('slice', MOST_SLICES)}\n)\n"
            "SELECT day, CASE WHEN event IN (FROM names) THEN event ELSE '' END AS event,\n"
            "  CASE WHEN slice IN (FROM slices) THEN slice ELSE '' END AS slice,\n"
            "  CAST(sum(rows) AS BIGINT) AS rows, CAST(sum(people) AS BIGINT) AS people\n"
            "FROM check_days\nGROUP BY ALL ORDER BY ALL"
        )

        def column(name: str) -> NDArray[np.generic]:
            return np.concatenate([part[name] for part in parts]) if parts else np.empty(0, np.int64)

        return DayCounts(
            column("day").astype(np.int64),
            column("event").astype(object),
            column("slice").astype(object),
            column("rows").astype(np.int64),
            column("people").astype(np.int64),
        )

    @cached_property
    def known_slice(self) -> str:
        """The slice where it is one of the frequent ones, in SQL."""
        listed = ", ".join(quote_literal(one) for one in np.unique(self.days.slice.astype(str)).tolist())
        return f"CASE WHEN {self.slice} IN ({listed or 'NULL'}) THEN {self.slice} ELSE '' END"

    @cached_property
    def dense(self) -> tuple[int, int]:
        """The days that hold the data, both inclusive: a thousandth beyond two empty days is strayed."""
        days, places = np.unique(self.days.day, return_inverse=True)
        if not len(days):
            return 0, -1
        rows = np.bincount(places, self.days.rows)
        before, total = np.cumsum(rows) - rows, float(rows.sum())
        gaps = np.flatnonzero(np.diff(days) > 2) + 1
        low = max((int(gap) for gap in gaps if before[gap] * 1000 < total), default=0)
        high = min((int(gap) for gap in gaps if (total - before[gap]) * 1000 < total), default=len(days))
        return int(days[low]), int(days[high - 1])

    @cached_property
    def dense_from(self) -> str:
        """When the first of those days begins, UTC ms."""
        return str(self._start(self.dense[0]))

    @cached_property
    def dense_to(self) -> str:
        """When the last of those days ends, UTC ms."""
        return str(self._start(self.dense[1] + 1))

    def _start(self, day: int) -> int:
        return ranges.date_start(day_named(day), self.zone)

    # --- people -------------------------------------------------------------------------------------------

    def names_of(self, people: Sequence[int]) -> Mapping[int, str]:
        """Ids of some people by their codes."""
        if not people:
            return {}
        listed = ", ".join(str(one) for one in sorted(set(people)))
        found = self.data.fetch(
            f"SELECT person, min(id) FROM people WHERE person IN ({listed}) GROUP BY person"
        )
        return {int(str(person)): str(name) for person, name in found}


class _Names(dict[str, str]):
    """The names of a template, each worked out when it is used."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def __missing__(self, key: str) -> str:
        if key in ("order", "view", "search", "click", "refund"):
            return self._asking.role(key)
        return str(getattr(self._asking, key))


def _most(column: str, most: int) -> str:
    return f"SELECT {column} FROM check_days GROUP BY {column} ORDER BY sum(rows) DESC, {column} LIMIT {most}"


def day_named(day: int) -> date:
    """A day since 1970 as a date."""
    return date(1970, 1, 1) + timedelta(days=day)


def _offset(ms: int, zone: ZoneInfo) -> int:
    moment = ranges.iso(ms, zone)
    sign = -1 if moment[-6] == "-" else 1
    return sign * (int(moment[-5:-3]) * 60 + int(moment[-2:])) * 60_000


def _changed(low: int, high: int, zone: ZoneInfo) -> int:
    """The first ms between the two, the upper one included, that has the upper one's offset."""
    wanted = _offset(high, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(middle, zone) == wanted else (middle, high)
    return high
