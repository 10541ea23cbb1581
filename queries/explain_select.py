"""The events that explain a funnel: every one its rule could have read, in range or not, for some people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from queries.expression import compile_value
from queries.funnel_fold import TIES, events_of, together, whole_people
from queries.funnel_request import FunnelRequest
from queries.funnel_select import bits, numbered
from queries.kernels.ordering import Events
from queries.question import Data
from queries.scope import Within
from queries.steps import matches

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SELECTED = "-- One row for each event the rule could read, in range or not."


@dataclass(frozen=True, slots=True)
class Selection:
    """The select of a funnel's events without its range, and the table it joins."""

    select: str
    table: str | None
    """The held property's values and their codes, as a statement."""

    @classmethod
    def of(cls, request: FunnelRequest, within: Within, data: Data, units: Ints | None = None) -> Selection:
        """``units``: only theirs, with ``event``, ``held`` and ``session`` as texts beside the integers."""
        schema = data.schema
        steps = [matches(step, schema, data.timezone) for step in request.steps]
        excludes = [matches(one.step, schema, data.timezone) for one in request.exclude]
        columns = ["e.person", "e.ts", f"{bits(steps)} AS steps"]
        columns += [f"{bits(excludes)} AS excludes"] if excludes else []
        columns += [TIES[name] for name in schema.order]
        filters = [] if within.where is None else [f"({within.where})"]
        if request.order != "strict":
            filters.append("(" + " OR ".join(f"({match})" for match in (*steps, *excludes)) + ")")
        if units is not None:
            filters.append(f"person IN ({', '.join(str(int(unit)) for unit in units) or '-1'})")
            columns.append("e.event")
            session = "session_id" if "session_id" in schema.columns else "NULL"
            columns.append(f"CAST({session} AS VARCHAR) AS session")
        where = "\nWHERE " + "\n  AND ".join(filters) if filters else ""
        source, table = "events e", None
        if request.hold is not None:
            value = f"CAST({compile_value(request.hold, schema, timezone=data.timezone).sql} AS VARCHAR)"
            table = numbered("held", value, where)
            source += f"\nLEFT JOIN held_values ON held_values.held_value = {value}"
            columns.append("coalesce(held_values.held_code, -1) AS held_code")
        if units is not None:
            held = "NULL" if table is None else "held_values.held_value"
            columns.append(f"CAST({held} AS VARCHAR) AS held")
        return cls("SELECT " + ", ".join(columns) + f"\nFROM {source}{where}", table)

    @property
    def statements(self) -> tuple[str, ...]:
        """The SQL in the order it is asked."""
        made = () if self.table is None else (f"CREATE OR REPLACE TABLE held_values AS\n{self.table}",)
        return (*made, f"{_SELECTED}\n{self.select}")

    def prepare(self, data: Data) -> None:
        """Makes the table that the select joins."""
        if self.table is not None:
            data.remember("held_values", self.table)

    def pieces(self, data: Data, chosen: Bools) -> Iterator[Events]:
        """The events of the chosen units, whole units at a time.

        All at once while they fit the budget; past it they are read ordered by unit, the engine sorting on disk.
        """
        self.prepare(data)
        batches: list[Events] = []
        held = 0
        for batch in data.stream(self.select):
            batches.append(_kept(events_of(batch), chosen))
            held += len(batches[-1].ts)
            if held > data.row_budget:
                break
        else:
            yield together(batches)
            return
        del batches
        for events in whole_people(data, self.select + "\nORDER BY e.person"):
            kept = _kept(events, chosen)
            if len(kept.ts):
                yield kept


def _kept(events: Events, chosen: Bools) -> Events:
    rows = np.flatnonzero(chosen[events.person])
    kept = events.at(rows)
    return Events(
        kept.person,
        kept.ts,
        kept.steps,
        tuple(column[rows] for column in events.ties),
        kept.value,
        kept.excludes,
        kept.held,
    )
