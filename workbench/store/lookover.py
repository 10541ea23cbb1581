"""What the manifest says of each new file: its rows, those set aside and why, and its times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from queries.quoting import quote_literal
from workbench.sources.parts import ReadFile
from workbench.store import runs
from workbench.store.manifest import Run, StoredFile
from workbench.store.plan import Plan
from workbench.store.work import Work

_ASIDE = ("without-time", "unreadable-time", "impossible-time", "without-event")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a survey says of a file's rows."""

    rows: int
    valid: int
    aside: Mapping[str, int]
    first: int | None
    last: int | None
    future: int | None


_NOTHING = _Seen(0, 0, {}, None, None, None)


def stored_files(work: Work, plan: Plan, made: Sequence[Run], folder: Path) -> list[StoredFile]:
    """All files in order of their numbers, the new ones with what was found in them and in their runs."""
    work.task.report(None, "import: what is no event")
    seen = {file.ordinal: _looked_over(work, file) for file in plan.new}
    unproved = [ordinal for ordinal, one in seen.items() if one is None]
    found = _surveyed(work, unproved) if unproved else {}
    found |= {ordinal: one for ordinal, one in seen.items() if one is not None}
    lost: dict[int, dict[str, int]] = {}
    lost_sql = work.relation.lost_part(plan.ordinals) if plan.new else None
    for ordinal, column, count in work.fetch(lost_sql) if lost_sql is not None else ():
        lost.setdefault(int(str(ordinal)), {})[str(column)] = int(str(count))
    named = _named_rows(work, made, folder)
    numbers = plan.numbers
    new = [
        _stored(
            file,
            numbers[file.ordinal],
            found.get(file.ordinal, _NOTHING),
            named.get(numbers[file.ordinal], 0),
            lost.get(file.ordinal, {}),
        )
        for file in plan.new
    ]
    return [*(old for old, _ in plan.kept), *new]


def _stored(file: ReadFile, number: int, seen: _Seen, named: int, lost: Mapping[str, int]) -> StoredFile:
    """What is kept of a new file; ``named`` are its rows in the runs."""
    aside = {**seen.aside, "without-id": seen.valid - named}
    return StoredFile(
        number=number,
        source=file.source,
        relative=file.listed.relative,
        identity=file.listed.identity,
        plan=file.plan,
        rows=seen.rows,
        aside={code: count for code, count in aside.items() if count},
        lost=lost,
        first=seen.first,
        last=seen.last,
        future=seen.future,
    )


def _looked_over(work: Work, file: ReadFile) -> _Seen | None:
    """What the footer of a file proves; None where its rows must be read."""
    proof = work.proof(file.ordinal)
    return None if proof is None else _Seen(proof.rows, proof.rows, {}, proof.first, proof.last, None)


def _surveyed(work: Work, ordinals: Sequence[int]) -> dict[int, _Seen]:
    """What the rows of files say, by ordinal."""
    low, high = work.rules.valid
    valid = f"coalesce({work.valid()}, FALSE)"
    rows = work.integers(
        f"SELECT place >> {runs.ROW_BITS}, count(*),\n"
        f"  count(*) FILTER (WHERE {valid}),\n"
        "  count(*) FILTER (WHERE ts IS NULL AND NOT ts_given),\n"
        "  count(*) FILTER (WHERE ts IS NULL AND ts_given),\n"
        f"  count(*) FILTER (WHERE ts < {low} OR ts >= {high}),\n"
        f"  count(*) FILTER (WHERE ts >= {low} AND ts < {high} AND coalesce(event, '') = ''),\n"
        f"  min(ts) FILTER (WHERE {valid}), max(ts) FILTER (WHERE {valid}),\n"
        f"  min(ts) FILTER (WHERE ts >= {high})\n"
        f"FROM (\n{work.relation.part(ordinals)}\n)\nGROUP BY 1"
    )
    return {
        ordinal or 0: _Seen(
            count or 0,
            valid_rows or 0,
            {code: one or 0 for code, one in zip(_ASIDE, aside, strict=True)},
            first,
            last,
            future,
        )
        for ordinal, count, valid_rows, *aside, first, last, future in rows
    }


def _named_rows(work: Work, made: Sequence[Run], folder: Path) -> dict[int, int]:
    """Rows of the new runs by the number of their file."""
    if not made:
        return {}
    paths = ", ".join(quote_literal(escape(str(folder / run.name))) for run in made)
    rows = work.integers(f"SELECT place >> {runs.ROW_BITS}, count(*) FROM read_parquet([{paths}]) GROUP BY 1")
    return {number or 0: count or 0 for number, count in rows}
