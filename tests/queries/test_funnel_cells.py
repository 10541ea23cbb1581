"""The name of every cell gives back the people it counts, whatever values, periods and sides are called."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from queries.funnel import request
from queries.funnel_groups import Cohort
from queries.funnel_request import FunnelRequest
from queries.funnel_table import FunnelTable, cell_of
from queries.kernels.funnel import Folded
from queries.peers import PEERS
from queries.periods import Periods
from queries.question import Row, Scope

STEPS = 3
PERIODS = ("2026-03-02", "2026-03-09")
SIDES = {
    "previous": ("current", "previous"),
    "segment": (None, "keen", "(others)"),
    "peers": ("workbench", *PEERS),
}
HOSTILE = (
    "(none)", "(other)", "(all)", '"q"', '"', '""', "a@b", "@", "", "@previous", "none", "keen", "(others)",
    *PERIODS, "current", "previous", "workbench", "posthog", "2026-03-02@previous", "(none)@previous", "dropped:1",
    '"(none)"', '"a"@previous', "reached:1@x", "total", "支付", "a b",
)  # fmt: skip
"""Values of a breakdown that are also what other rows are called."""


def folded(rng: random.Random, entries: int, values: int) -> Folded:
    """Entries at random: some of one person, some without a value."""
    level = np.array([rng.randint(1, STEPS) for _ in range(entries)], np.int64)
    reached = np.full((STEPS, entries), -1, np.int64)
    for entry, deepest in enumerate(level):
        start = rng.randrange(14) * 86_400_000
        reached[: int(deepest), entry] = start + np.arange(int(deepest)) * 1000
    people = np.array(sorted(rng.randrange(entries) for _ in range(entries)), np.int64)
    return Folded(
        person=people,
        level=level,
        open=np.array([bool(deepest < STEPS and rng.random() < 0.4) for deepest in level], bool),
        reached=reached,
        value=np.array([rng.randrange(-1, values) for _ in range(entries)], np.int64),
        strict_level=level,
        tied_events=0,
        skipped=np.zeros(entries, np.int64),
        first_entry=reached[0],
        held=np.full(entries, -1, np.int64),
        removed=np.array([], np.int64),
    )


def cohorts(rng: random.Random, asked: FunnelRequest, sides: str | None, values: int) -> list[Cohort]:
    """The sides of a comparison as the funnel makes them: of their own entries, or parts of everybody's."""
    bounds = np.array([0, 7, 14], np.int64) * 86_400_000
    periods = Periods(PERIODS, bounds, frozenset()) if asked.trend else None
    names = SIDES[sides] if sides else (None,)
    made = []
    everybody = folded(rng, rng.randint(1, 40), values)
    whole = np.arange(len(everybody.level))
    inside = np.array([rng.random() < 0.5 for _ in whole], bool)
    parts = (whole, np.flatnonzero(inside), np.flatnonzero(~inside))
    for place, name in enumerate(names):
        if sides == "segment":
            made.append(Cohort(name, asked, everybody, parts[place], periods))
        else:
            own = everybody if not place else folded(rng, rng.randint(1, 40), values)
            made.append(Cohort(name, asked, own, np.arange(len(own.level)), periods))
    return made


def people(row: Row, measure: str, made: list[Cohort], values: list[str] | None, rows: list[Row]) -> set[int]:
    """Whom a row counts, entry by entry, from what the row says of itself."""
    (cohort,) = (one for one in made if one.name == row["cohort"])
    shown = {other["breakdown"] for other in rows if other["breakdown"] is not None}
    found, step = set(), int(str(row["step"]))
    for place in cohort.places:
        code = int(cohort.folded.value[place])
        value = None if values is None or code < 0 else values[code]
        if not row["is_total"]:
            is_mine = (
                value is not None and value not in shown if row["is_other"] else value == row["breakdown"]
            )
            if not is_mine:
                continue
        week = PERIODS[int(cohort.folded.reached[0, place]) // (7 * 86_400_000)]
        if row["period"] not in (None, week):
            continue
        level, is_open = int(cohort.folded.level[place]), bool(cohort.folded.open[place])
        counted = (
            level >= step
            if measure == "reached"
            else level == step < STEPS and is_open == (measure == "open")
        )
        if counted:
            found.add(int(cohort.folded.person[place]))
    return found


@settings(max_examples=250, deadline=None)
@given(
    st.integers(0, 1 << 30),
    st.one_of(st.none(), st.lists(st.sampled_from(HOSTILE), unique=True, max_size=8)),
    st.booleans(),
    st.sampled_from((None, *SIDES)),
    st.integers(1, 4),
)
@example(1, list(HOSTILE), True, "previous", 40)
@example(2, list(HOSTILE), True, "peers", 40)
@example(3, list(HOSTILE), True, "segment", 40)
@example(4, list(HOSTILE), False, None, 40)
@example(5, list(HOSTILE), True, None, 3)
@example(6, [""], False, None, 1)
def test_the_name_of_a_cell_gives_back_its_people(
    seed: int, values: list[str] | None, trend: bool, sides: str | None, top: int
) -> None:
    rng = random.Random(seed)
    scope = Scope(by=None if values is None else "channel", top=top)
    asked = request(["a", "b", "c"], "7d", scope, trend="week" if trend else None)
    listed = None if values is None else sorted(values)
    made = cohorts(rng, asked, sides, len(values or ()))
    table = FunnelTable(made, listed, (len(made) - 2, len(made) - 1) if sides == "segment" else None)
    rows = table.rows()
    named: dict[str, tuple[object, ...]] = {}
    for row in rows:
        for measure, figure in (("reached", "users"), ("dropped", "dropped"), ("open", "open")):
            cell = cell_of(row, measure)
            who = tuple(row[key] for key in ("breakdown", "is_total", "is_other", "period", "cohort"))
            assert named.setdefault(cell, who) == who, f"{cell} is {named[cell]} and {who}"
            found = set(table.codes(cell).tolist())
            assert found == people(row, measure, made, listed, rows), (cell, row)
            # Somebody may have several entries; without them a person is a figure.
            assert len(found) <= int(str(row[figure]))


@pytest.mark.parametrize("measure", ["reached", "dropped", "open"])
def test_a_total_is_named_by_its_step_alone(measure: str) -> None:
    made = cohorts(random.Random(1), request(["a", "b", "c"], "7d", Scope()), None, 0)
    rows = FunnelTable(made, None).rows()
    assert [cell_of(row, measure) for row in rows] == [f"{measure}:{step}" for step in (1, 2, 3)]
