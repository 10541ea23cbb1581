"""Makes a store, or brings it up to date with the files that were just listed.

See docs/store.md for the steps. Whatever stops an import before its manifest is in place leaves the store as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from glob import escape
from pathlib import Path

import numpy as np

from queries.quoting import quote_identifier, quote_literal
from workbench.engine import Engine
from workbench.runner import Task
from workbench.sources.relation import Relation
from workbench.sources.snapshot import SourceFiles
from workbench.store import runs
from workbench.store.folder import StoreFolder, Writing
from workbench.store.identity import COMBOS_FILE, PEOPLE_FILE, Relinked, relink, write_people
from workbench.store.incoming import AFFECTED, define_incoming
from workbench.store.laned import LaneParts, affected, with_lanes
from workbench.store.lookover import stored_files
from workbench.store.manifest import Manifest, Run, StoredFile
from workbench.store.merging import with_merged_runs
from workbench.store.plan import Plan, fits, planned, says_the_same, without_events
from workbench.store.sorting import Sorting
from workbench.store.wanted import wanted
from workbench.store.work import CHUNK_ROWS, Rules, Work

__all__ = ["CHUNK_ROWS", "MOST_RUNS", "Imported", "Rules", "bring_up_to_date"]

MOST_RUNS = 8
"""Past so many imports whose runs are read, the runs are merged."""
MOST_DEAD = 4
"""Where more than this part of the rows is dead, runs are merged."""
MOST_AGAIN = 2
"""Where more than this part of the rows would be read again, all of them are."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    manifest: Manifest
    new_files: int
    gone_files: int
    new_rows: int
    """Rows of the new files."""
    again: int
    """Rows that were in the store already and were sorted anew: of people whose identity changed."""
    affected: int
    """Those people."""
    is_whole: bool
    """Whether everything was read anew."""
    merged: bool
    seconds: float


def bring_up_to_date(
    store: StoreFolder,
    engine: Engine,
    task: Task,
    *,
    signature: str,
    relation: Relation,
    sources: Sequence[SourceFiles],
    rules: Rules,
    damaged: Mapping[str, str],
    check: Callable[[], None],
    anew: bool = False,
    wait: float = 0.0,
) -> Imported:
    """Brings a store up to date; the engine reads the files and may write below the store.

    ``damaged`` are files (identity → reason) that are set aside; ``check`` raises where a file changed while it was
    read; ``anew`` reads everything again. Raises :class:`Changed` where another import is running.
    """
    wishes = wanted(store.root)
    layout = runs.layout(relation.fixed, relation.columns, relation.ids, wishes)
    work = Work(engine, task, relation, sources, rules, signature, store, layout, damaged, wishes)
    began = time.monotonic()
    with store.writing(wait) as writing:
        before = None if anew else store.load()
        if before is not None and not fits(work, before):
            before = None
        done = _imported(work, writing, before, check)
    return replace(done, seconds=time.monotonic() - began)


def _imported(work: Work, writing: Writing, before: Manifest | None, check: Callable[[], None]) -> Imported:
    """All the steps."""
    plan = planned(work, before)
    if before is not None and not plan.new and not plan.gone and says_the_same(work, before):
        return _said(before, plan)
    if before is not None and plan.kept_rows * MOST_AGAIN < before.rows:
        before, plan = None, planned(work, None)
    folder = writing.new_generation()
    with ThreadPoolExecutor(1) as pool:
        linked, written = _identify(work, before, plan, folder, pool)
        again, moved = _again(work, before, plan, linked)
        if before is not None and again * MOST_AGAIN > before.rows:
            written.result()
            before, plan = None, planned(work, None)
            linked, written = _identify(work, None, plan, folder, pool)
            again, moved = _again(work, None, plan, linked)
        lanes = LaneParts(work, before, plan, linked.codes, folder)
        made = _sorted(work, before, plan, folder, linked, written, again, lanes)
        written.result()
    lanes.done()
    # What follows has no use for its memory.
    work.execute("DROP TABLE combos")
    files = stored_files(work, plan, made, folder)
    old = [] if before is None else _with_dead(work, before, folder)
    manifest = _manifest(work, before, folder, [*old, *made], files, linked)
    manifest = _with_span(work, before, plan, manifest, lanes.span)
    manifest = with_lanes(work, before, manifest, folder, lanes)
    merged = len({run.folder for run in manifest.runs}) > MOST_RUNS or (
        sum(run.dead_rows for run in manifest.runs) * MOST_DEAD > manifest.rows
    )
    if merged:
        manifest = with_merged_runs(work, manifest, folder)
    check()
    manifest = writing.commit(manifest)
    done = _said(manifest, plan)
    return replace(done, again=again, affected=moved, is_whole=before is None, merged=merged)


def _said(manifest: Manifest, plan: Plan) -> Imported:
    """What an import did that sorted nothing."""
    return Imported(manifest, len(plan.new), len(plan.gone), plan.new_rows, 0, 0, False, False, 0.0)


# --- people -----------------------------------------------------------------------------------------------


def _identify(
    work: Work, before: Manifest | None, plan: Plan, folder: Path, pool: ThreadPoolExecutor
) -> tuple[Relinked, Future[None]]:
    """People of all events: ``combos``, ``people`` and ``touched`` in the engine, and on their way to the folder."""
    work.task.report(None, "import: who is who")
    recount = bool(plan.gone)
    ordinals = plan.ordinals
    if recount:
        ordinals += [file.ordinal for _, file in plan.kept]
    work.prove(ordinals)
    ids = ", ".join(quote_identifier(name) for name in work.relation.ids)
    where = "" if work.are_valid(ordinals) else f"\nWHERE {work.valid()}"
    linked = relink(
        work.engine,
        work.task,
        ids=work.relation.ids,
        junk=work.rules.junk,
        counted=f"SELECT {ids} FROM (\n{work.relation.part(ordinals)}\n){where}",
        old=None if before is None else work.store.root / before.combos,
        recount=recount,
        codes_before=0 if before is None else before.codes,
        combos_before=0 if before is None else before.combo_codes,
    )
    # What follows is done by one thread for a good part.
    return linked, pool.submit(write_people, work.engine, work.task, folder)


def _forget(work: Work, linked: Relinked) -> None:
    """Takes from the engine what sorting does not need, once it is in the folder: it would only take its memory."""
    work.execute("DROP TABLE people; DROP TABLE touched")
    if not linked.shared:
        ids = ", ".join(quote_identifier(name) for name in work.relation.ids)
        work.execute(
            f"CREATE OR REPLACE TABLE combos AS SELECT combo, {ids}, person, left(key, 0) AS key FROM combos"
        )


def _again(work: Work, before: Manifest | None, plan: Plan, linked: Relinked) -> tuple[int, int]:
    """Makes ``affected_people``, ``alive`` and ``again_people``, which is how many rows of whom each run loses.

    Returns how many rows of the store are sorted anew, and of how many people.
    """
    work.execute(
        "CREATE OR REPLACE TABLE affected_people AS SELECT unnest(CAST($codes AS BIGINT[])) AS affected_person",
        codes=linked.affected.tolist(),
    )
    if before is None:
        return 0, 0
    work.define_alive(before)
    if plan.gone:
        gone = runs.listed([file.number for file in plan.gone])
        work.execute(
            "INSERT INTO affected_people SELECT DISTINCT person FROM alive\n"
            f"WHERE (place >> {runs.ROW_BITS}) IN ({gone})\nAND person NOT IN {AFFECTED}"
        )
    parts = [
        f"SELECT {place} AS run, person FROM {_people_of(work, before, place)}"
        for place in range(len(before.runs))
    ]
    every = "\nUNION ALL ".join(parts or ["SELECT 0 AS run, 0 AS person LIMIT 0"])
    work.execute(
        "CREATE OR REPLACE TABLE again_people AS SELECT run, person, count(*) AS events\n"
        f"FROM (\n{every}\n) WHERE person IN {AFFECTED} GROUP BY ALL"
    )
    ((rows, moved),) = work.integers("SELECT sum(events), count(DISTINCT person) FROM again_people")
    return rows or 0, moved or 0


def _people_of(work: Work, before: Manifest, place: int) -> str:
    """The people of the rows of a run that are not void, as SQL; ``alive`` is made."""
    run = before.runs[place]
    rows = f"read_parquet({quote_literal(escape(str(work.path(run.folder, run.name))))}) AS run"
    return rows if run.dead is None else f"{rows} ANTI JOIN dead_{place} ON dead_person = run.person"


# --- runs -------------------------------------------------------------------------------------------------


def _sorted(
    work: Work,
    before: Manifest | None,
    plan: Plan,
    folder: Path,
    linked: Relinked,
    written: Future[None],
    again: int,
    lanes: LaneParts,
) -> list[Run]:
    """The new runs: rows of the new files, and of the store those that are sorted anew."""
    if not define_incoming(work, before, plan, shared=linked.shared, again=again):
        return []
    total = max(plan.new_rows + again, 1)

    def report(done: int) -> None:
        work.task.report(done / total, f"import: sorting {done:,} of {total:,} rows")

    report(0)
    sorting = Sorting(work.engine, work.task, work.layout, folder, work.rules.chunk_rows, lanes.listen)
    sorting.learn("incoming_values")
    written.result()
    _forget(work, linked)
    return sorting.sort("incoming", "run", report)


def _with_dead(work: Work, before: Manifest, folder: Path) -> list[Run]:
    """The old runs, each with the people of it whose rows a new run holds now; not those that have no rows left."""
    codes = affected(work)
    if not len(codes):
        return list(before.runs)
    lost: dict[int | None, int | None] = {}
    for place, rows in work.integers("SELECT run, sum(events) FROM again_people GROUP BY run"):
        lost[place] = rows
    found = []
    for place, run in enumerate(before.runs):
        known = np.load(work.store.root / run.dead) if run.dead else np.empty(0, np.int64)
        gone = lost.get(place) or 0
        if gone:
            name = f"dead-{place}.npy"
            np.save(folder / name, np.union1d(known, codes))
            run = replace(run, dead=f"{folder.name}/{name}", dead_rows=run.dead_rows + gone)
        found.append(run)
    return [run for run in found if run.dead_rows < run.rows]


# --- the manifest -----------------------------------------------------------------------------------------


def _manifest(
    work: Work,
    before: Manifest | None,
    folder: Path,
    made: Sequence[Run],
    files: Sequence[StoredFile],
    linked: Relinked,
) -> Manifest:
    """The manifest but for the lanes and the times of the events."""
    relation = work.relation
    highest = max((file.number for file in files), default=-1) + 1
    return Manifest(
        signature=work.signature,
        generation=int(folder.name[1:]),
        next_number=highest if before is None else max(highest, before.next_number),
        columns=tuple(column.name for column in work.layout.kept),
        kinds=tuple(column.kind for column in work.layout.kept),
        wanted=tuple(sorted(work.wishes)),
        has_fine=relation.has_fine,
        has_sequence=relation.has_sequence,
        ids=relation.ids,
        files=tuple(files),
        runs=tuple(made),
        combos=f"{folder.name}/{COMBOS_FILE}",
        people=f"{folder.name}/{PEOPLE_FILE}",
        lanes=None,
        no_lanes=None,
        rows=sum(run.rows - run.dead_rows for run in made),
        people_count=linked.people,
        codes=linked.codes,
        combo_codes=linked.combos,
        first=None,
        last=None,
        other=without_events(work),
        damaged=dict(work.damaged),
        sizes={},
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _with_span(
    work: Work, before: Manifest | None, plan: Plan, manifest: Manifest, span: tuple[int, int] | None
) -> Manifest:
    """The manifest with the first and the last time of its events; ``span`` has those of the new runs."""
    if before is not None and plan.gone:
        work.define_alive(manifest)
        ((first, last),) = work.integers("SELECT min(ts), max(ts) FROM alive")
        return replace(manifest, first=first, last=last)
    # Whatever an old run lost, a new one has.
    known = () if before is None else (before.first, before.last)
    times = [time for time in (*known, *(span or ())) if time is not None]
    return replace(manifest, first=min(times, default=None), last=max(times, default=None))
