"""The rows that an import sorts, as SQL: those of new files, and those of the store that are somebody else's now.

A row of a new file gets the store's own number of its file, its combination of raw ids, and its person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from queries import people
from queries.quoting import quote_identifier
from workbench.store import runs
from workbench.store.manifest import Manifest
from workbench.store.plan import Plan
from workbench.store.work import Work

AFFECTED = "(SELECT affected_person FROM affected_people)"

_MOST_HELD = 500_000
"""Up to so many rows that are sorted anew are held by the engine: they are read for each of their texts."""


def define_incoming(work: Work, before: Manifest | None, plan: Plan, *, shared: bool, again: int) -> bool:
    """Makes ``incoming``, and ``incoming_values`` with every text of its rows; whether there can be any rows.

    Of the engine it takes ``combos``, ``affected_people`` and, of a store before, ``alive``. ``shared``: time decides
    for some combination; ``again``: how many rows of the store are sorted anew.
    """
    if shared:
        _share(work, before, plan)
    names = ", ".join(map(quote_identifier, work.layout.names))
    rows, values = [], []
    if plan.new:
        rows.append(_new_rows(work, plan, shared=shared))
        values.append(f"SELECT {names} FROM (\n{work.relation.part(plan.ordinals)}\n)")
    if again:
        kind = "TABLE" if again <= _MOST_HELD else "VIEW"
        work.execute(
            f"CREATE {kind} again_rows AS\nSELECT * FROM alive WHERE person IN {AFFECTED}{_stays(plan)}"
        )
        rows.append(_old_rows(work, shared=shared))
        values.append(f"SELECT {names} FROM again_rows")
    if rows:
        work.define("incoming", rows)
        work.define("incoming_values", values)
    return bool(rows)


def _new_rows(work: Work, plan: Plan, *, shared: bool) -> str:
    """The valid events of new files, each with its combination and its person."""
    place = runs.renumbered(_listed(plan.numbers), "s.place")
    own = ", ".join(
        f"{place} AS place" if name == "place" else f"s.{quote_identifier(name)}"
        for name in work.layout.names
    )
    join = (
        f"LEFT JOIN shared_people ON shared_people.place =\n  CASE WHEN combos.person IS NULL THEN {place} END\n"
        if shared
        else ""
    )
    return f"SELECT combos.combo, {_person(shared)} AS person, {own}\n{_found(work, plan, join)}"


def _found(work: Work, plan: Plan, join: str = "") -> str:
    """FROM and WHERE of the valid rows ``s`` of new files, with ``combos``."""
    valid = "" if work.are_valid(plan.ordinals) else f"{work.valid('s')} AND "
    return (
        f"FROM (\n{work.relation.part(plan.ordinals)}\n) AS s\n"
        f"JOIN combos ON {people.joined_on(work.relation.ids, 's', 'combos')}\n{join}"
        f"WHERE {valid}combos.key IS NOT NULL"
    )


def _old_rows(work: Work, *, shared: bool) -> str:
    """The rows of the store that are sorted anew, each with the person it has now."""
    own = ", ".join(f"r.{quote_identifier(name)}" for name in work.layout.names)
    join = (
        "LEFT JOIN shared_people ON shared_people.place = CASE WHEN combos.person IS NULL THEN r.place END\n"
        if shared
        else ""
    )
    return (
        f"SELECT combos.combo, {_person(shared)} AS person, {own}\nFROM again_rows r\n"
        f"JOIN combos ON combos.combo = r.combo\n{join}"
    )


def _person(shared: bool) -> str:
    return "coalesce(combos.person, shared_people.person)" if shared else "combos.person"


def _stays(plan: Plan) -> str:
    """That a row of the store is of no file that is gone."""
    gone = runs.listed([file.number for file in plan.gone])
    return f"\nAND (place >> {runs.ROW_BITS}) NOT IN ({gone})" if gone else ""


def _listed(numbers: Mapping[int, int]) -> list[int]:
    """A mapping of numbers as a list; -1 where it has none."""
    return [numbers.get(place, -1) for place in range(max(numbers, default=-1) + 1)]


# --- what time decides ------------------------------------------------------------------------------------


def _share(work: Work, before: Manifest | None, plan: Plan) -> None:
    """Makes ``shared_people``: whose each incoming event is that time decides, by its place in the store."""
    kinds = [
        kind or 0
        for (kind,) in work.integers(
            "SELECT DISTINCT shared FROM combos WHERE shared IS NOT NULL ORDER BY shared"
        )
    ]
    order = [name for name in ("fine", "sequence", "place") if name in work.layout.names]
    ordinals = {number: ordinal for ordinal, number in plan.numbers.items()}
    ordinals |= {old.number: file.ordinal for old, file in plan.kept}
    rows = []
    if plan.new:
        columns = ", ".join(f"s.{name}" for name in ("ts", *order))
        rows.append(f"SELECT {columns}, combos.combo\n{_found(work, plan)}")
    if before is not None:
        rows.append(_around(plan, kinds, ordinals, order))
    numbers = {ordinal: number for number, ordinal in ordinals.items()}
    # Places are the listing's here, which is what orders equal times; they are the store's in its rows.
    place = runs.renumbered(_listed(numbers))
    settled = [_settled(kind, "\nUNION ALL\n".join(rows), order, place) for kind in kinds]
    work.execute("CREATE OR REPLACE TABLE shared_people AS\n" + "\nUNION ALL\n".join(settled))


def _around(plan: Plan, kinds: Sequence[int], ordinals: Mapping[int, int], order: Sequence[str]) -> str:
    """The rows of the store on ids that time decides: whoever was seen there decides, affected or not."""
    columns = ", ".join(
        f"{runs.renumbered(_listed(ordinals), 'r.place')} AS place" if name == "place" else f"r.{name}"
        for name in ("ts", *order)
    )
    carries = " OR ".join(f"c{kind} IN (SELECT c{kind} FROM combos WHERE shared = {kind})" for kind in kinds)
    return (
        f"SELECT {columns}, r.combo FROM alive r\n"
        f"WHERE r.combo IN (SELECT combo FROM combos WHERE {carries}){_stays(plan)}"
    )


def _settled(kind: int, rows: str, order: Sequence[str], place: str) -> str:
    """The events whose deciding id of a kind several people share, each with whoever was seen on it last."""
    window = f"PARTITION BY c{kind} ORDER BY ts, {', '.join(order)} ROWS BETWEEN UNBOUNDED PRECEDING"
    return (
        f"SELECT {place} AS place, coalesce(\n"
        f"    last_value(person IGNORE NULLS) OVER ({window} AND CURRENT ROW),\n"
        f"    first_value(person IGNORE NULLS) OVER ({window} AND UNBOUNDED FOLLOWING)\n  ) AS person\n"
        f"FROM (\n  SELECT i.*, combos.c{kind}, combos.person, combos.shared FROM (\n{rows}\n  ) AS i\n"
        f"  JOIN combos ON combos.combo = i.combo\n"
        f"  WHERE combos.c{kind} IN (SELECT c{kind} FROM combos WHERE shared = {kind})\n)\n"
        f"QUALIFY shared = {kind}"
    )
