"""Makes a store, or brings it up to date with the files that were just listed.

See docs/store.md for the steps. Whatever stops an import before its manifest is in place leaves the store as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from queries import people
from queries.kernels.lanes import PERSON_BITS, TIME_BITS
from queries.quoting import quote_identifier, quote_literal
from workbench.engine import Engine
from workbench.runner import Task
from workbench.sources.parts import ReadFile
from workbench.sources.relation import Relation
from workbench.sources.snapshot import SourceFiles
from workbench.store import lane_files, runs
from workbench.store.folder import StoreFolder, Writing
from workbench.store.identity import Relinked, relink
from workbench.store.manifest import Manifest, Run, StoredFile
from workbench.store.runs import Layout

Ints = NDArray[np.int64]

CHUNK_ROWS = 8_000_000
"""Rows that are sorted at once: what keeps an import within a gigabyte."""
MOST_RUNS = 8
MOST_DEAD = 4
"""Where more than this part of the rows is dead, runs are merged."""
MOST_AGAIN = 2
"""Where more than this part of the rows would be read again, all of them are."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides which rows are events of somebody, besides the relation itself."""

    junk: tuple[str, ...]
    valid: tuple[int, int]
    """UTC ms: from (inclusive), to (exclusive)."""
    time_bits: int = TIME_BITS
    person_bits: int = PERSON_BITS
    chunk_rows: int = CHUNK_ROWS


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


@dataclass(slots=True)
class _Plan:
    kept: list[tuple[StoredFile, ReadFile]] = field(default_factory=list)
    gone: list[StoredFile] = field(default_factory=list)
    new: list[ReadFile] = field(default_factory=list)


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
    with store.writing(wait) as writing:
        made = _Import(engine, task, relation, sources, rules, signature, store, writing, damaged, check)
        before = None if anew else store.load()
        return made.run(before)


class _Import:
    """One import; its steps share the engine's tables."""

    def __init__(
        self,
        engine: Engine,
        task: Task,
        relation: Relation,
        sources: Sequence[SourceFiles],
        rules: Rules,
        signature: str,
        store: StoreFolder,
        writing: Writing,
        damaged: Mapping[str, str],
        check: Callable[[], None],
    ) -> None:
        self._engine, self._task, self._relation, self._sources = engine, task, relation, sources
        self._rules, self._signature, self._store, self._writing = rules, signature, store, writing
        self._damaged, self._check = damaged, check
        self._layout: Layout = runs.layout(relation.fixed, relation.columns)
        self._low, self._high = rules.valid
        self._valid = f"ts >= {self._low} AND ts < {self._high} AND event <> ''"
        self._began = time.monotonic()
        self._rows_done = 0

    # --- the steps --------------------------------------------------------------------------------------------

    def run(self, before: Manifest | None) -> Imported:
        """All of it."""
        before = before if before is not None and self._fits(before) else None
        plan = self._plan(before)
        if before is not None and not plan.new and not plan.gone and self._is_told(before):
            return self._said(before, plan, 0, 0, is_whole=False, merged=False)
        if before is not None and _rows(file for file, _ in plan.kept) * MOST_AGAIN < before.rows:
            before, plan = None, self._plan(None)
        folder = self._writing.new_generation()
        linked = self._identify(before, plan, folder)
        again = self._again(before, plan, linked)
        if before is not None and again * MOST_AGAIN > before.rows:
            before, plan = None, self._plan(None)
            linked, again = self._identify(None, plan, folder), 0
        manifest = self._written(before, plan, folder, linked, again)
        merged = len(manifest.runs) > MOST_RUNS or (
            sum(run.dead_rows for run in manifest.runs) * MOST_DEAD > manifest.rows
        )
        if merged:
            manifest = self._merged(manifest, folder)
        self._check()
        manifest = self._writing.commit(manifest)
        return self._said(manifest, plan, again, len(linked.affected), is_whole=before is None, merged=merged)

    def _is_told(self, before: Manifest) -> bool:
        """Whether a manifest says the same of files that give no events."""
        return before.other == self._other() and before.damaged == self._damaged

    def _said(
        self, manifest: Manifest, plan: _Plan, again: int, affected: int, *, is_whole: bool, merged: bool
    ) -> Imported:
        return Imported(
            manifest,
            len(plan.new),
            len(plan.gone),
            sum(file.rows for file in plan.new),
            again,
            affected,
            is_whole,
            merged,
            time.monotonic() - self._began,
        )

    def _fits(self, before: Manifest) -> bool:
        """Whether new runs would have the same columns as the old ones."""
        return (
            before.signature == self._signature
            and before.columns == tuple(column.name for column in self._layout.kept)
            and before.ids == self._relation.ids
            and before.has_fine == self._relation.has_fine
            and before.has_sequence == self._relation.has_sequence
        )

    def _plan(self, before: Manifest | None) -> _Plan:
        """Which files stay, which go, and which are read."""
        plan = _Plan()
        # One file may be listed by two sources.
        known = {} if before is None else {(file.source, file.identity): file for file in before.files}
        for file in self._relation.files:
            old = known.get((file.source, file.listed.identity))
            is_known = old is not None and old.plan == file.plan
            if old is not None and is_known and (old.future is None or old.future >= self._high):
                plan.kept.append((old, file))
            else:
                plan.new.append(file)
        changed = {file.source for file in plan.new if file.lines}
        stay = {old.number for old, _ in plan.kept}
        changed |= {
            old.source
            for old in known.values()
            if old.number not in stay and old.source in self._line_sources
        }
        # Orders made of lines are made of all files of their source.
        again = [(old, file) for old, file in plan.kept if file.lines and file.source in changed]
        plan.new = sorted([*plan.new, *(file for _, file in again)], key=lambda file: file.ordinal)
        plan.kept = [pair for pair in plan.kept if pair not in again]
        stay = {old.number for old, _ in plan.kept}
        plan.gone = [old for old in known.values() if old.number not in stay]
        return plan

    @property
    def _line_sources(self) -> set[str]:
        return {file.source for file in self._relation.files if file.lines}

    def _other(self) -> dict[str, str]:
        """What was listed and gives no events, by identity."""
        read = {file.listed.identity for file in self._relation.files}
        return {
            file.listed.identity: source.name
            for source in self._sources
            for file in source.files
            if file.listed.identity not in read
        }

    # --- identity -------------------------------------------------------------------------------------------

    def _identify(self, before: Manifest | None, plan: _Plan, folder: Path) -> Relinked:
        """People of all events: ``combos``, ``people`` and ``touched`` in the engine and in the folder."""
        self._task.report(None, "import: who is who")
        recount = bool(plan.gone)
        ordinals = [file.ordinal for file in plan.new]
        if recount:
            ordinals += [file.ordinal for _, file in plan.kept]
        ids = ", ".join(quote_identifier(name) for name in self._relation.ids)
        counted = f"SELECT {ids} FROM (\n{self._relation.part(ordinals)}\n)\nWHERE {self._valid}"
        old = None if before is None else self._store.root / before.combos
        return relink(
            self._engine,
            self._task,
            ids=self._relation.ids,
            junk=self._rules.junk,
            counted=counted,
            old=old,
            recount=recount,
            folder=folder,
            codes_before=0 if before is None else before.codes,
            combos_before=0 if before is None else before.combo_codes,
        )

    def _again(self, before: Manifest | None, plan: _Plan, linked: Relinked) -> int:
        """Which people's rows of the store are sorted anew, as ``affected_people``; how many rows those are."""
        self._engine.execute(
            "CREATE OR REPLACE TABLE affected_people AS SELECT unnest(CAST($codes AS BIGINT[])) AS affected_person",
            {"codes": linked.affected.tolist()},
        )
        if before is None:
            return 0
        self._define_alive(before)
        if plan.gone:
            gone = runs.listed([file.number for file in plan.gone])
            self._execute(
                "INSERT INTO affected_people SELECT DISTINCT person FROM alive\n"
                f"WHERE (place >> {runs.ROW_BITS}) IN ({gone})\n"
                "AND person NOT IN (SELECT affected_person FROM affected_people)"
            )
        return self._count(
            "SELECT count(*) FROM alive WHERE person IN (SELECT affected_person FROM affected_people)"
        )

    def _define_alive(self, manifest: Manifest) -> None:
        """The rows of a store that are not void, as ``alive``."""
        stored = []
        for place, run in enumerate(manifest.runs):
            dead = None
            if run.dead is not None:
                dead = f"dead_{place}"
                codes = np.load(self._store.root / run.dead).tolist()
                self._engine.execute(runs.dead_table(dead), {"codes": codes})
            stored.append(runs.Stored(self._store.root / run.folder / run.name, dead))
        names = self._layout.names
        none = f"SELECT person, combo, {', '.join(map(quote_identifier, names))} FROM incoming LIMIT 0"
        self._execute(f"CREATE OR REPLACE VIEW alive AS\n{runs.rows_of(stored, names) if stored else none}")

    # --- rows -----------------------------------------------------------------------------------------------

    def _written(
        self, before: Manifest | None, plan: _Plan, folder: Path, linked: Relinked, again: int
    ) -> Manifest:
        first = 0 if before is None else before.next_number
        numbers = {file.ordinal: first + place for place, file in enumerate(plan.new)}
        if linked.shared:
            self._share(before, plan, numbers)
        made: list[Run] = []
        batches = self._batches(plan)
        total = max(sum(file.rows for file in plan.new) + again, 1)
        for place, ordinals in enumerate(batches):
            self._task.report(
                self._rows_done / total, f"import: sorting {self._rows_done:,} of {total:,} rows"
            )
            names = ", ".join(map(quote_identifier, self._layout.names))
            incoming, values = [], []
            if ordinals:
                incoming.append(self._new_rows(ordinals, numbers, linked.shared))
                values.append(f"SELECT {names} FROM (\n{self._relation.part(ordinals)}\n)")
            if place == 0 and again:
                incoming.append(self._old_rows(plan, linked.shared))
                values.append(
                    f"SELECT {names} FROM alive\n"
                    "WHERE person IN (SELECT affected_person FROM affected_people)"
                )
            if not incoming:
                continue
            target = folder / f"run-{place}.parquet"
            self._define("incoming", incoming)
            self._define("incoming_values", values)
            runs.write_run(
                self._engine, "incoming", self._layout, target, self._task, values="incoming_values"
            )
            rows = self._count(f"SELECT count(*) FROM read_parquet({_path(target)})")
            made.append(Run(folder.name, target.name, rows, None, 0))
            self._rows_done += sum(file.rows for file in plan.new if file.ordinal in ordinals)
        old = [] if before is None else self._with_dead(before, folder)
        files = self._files(plan, numbers, made, folder)
        return self._manifest(before, folder, [*old, *made], files, linked)

    def _batches(self, plan: _Plan) -> list[list[int]]:
        """Ordinals of new files in batches that are sorted at once; the lines of a source stay together."""
        units: dict[str | int, list[ReadFile]] = {}
        for file in plan.new:
            units.setdefault(file.source if file.lines else file.ordinal, []).append(file)
        listed = list(units.values())
        sizes = [(place, sum(file.rows for file in unit)) for place, unit in enumerate(listed)]
        batches = runs.chunks(sizes, self._rules.chunk_rows)
        return [[file.ordinal for place in batch for file in listed[place]] for batch in batches] or [[]]

    def _new_rows(self, ordinals: Sequence[int], numbers: Mapping[int, int], shared: bool) -> str:
        """The valid events of new files, each with its combination and its person, as SQL."""
        by_ordinal = [numbers.get(place, -1) for place in range(max(numbers) + 1)]
        own = ", ".join(
            f"{runs.renumbered(by_ordinal, 's.place')} AS place"
            if name == "place"
            else f"s.{quote_identifier(name)}"
            for name in self._layout.names
        )
        # By position, past the fixed columns' names, ids come from the relation.
        source = (
            f"SELECT combos.combo, {_person(shared)} AS person, {own}\n"
            f"FROM (\n{self._relation.part(ordinals)}\n) AS s\n"
            f"JOIN combos ON {people.joined_on(self._relation.ids, 's', 'combos')}\n"
        )
        if shared:
            source += (
                "LEFT JOIN shared_people ON shared_people.place =\n"
                f"  CASE WHEN combos.person IS NULL THEN {runs.renumbered(by_ordinal, 's.place')} END\n"
            )
        return f"{source}WHERE {_of('s', self._valid)} AND combos.key IS NOT NULL"

    def _old_rows(self, plan: _Plan, shared: bool) -> str:
        """The rows of the store that are sorted anew, each with the person it has now, as SQL."""
        own = ", ".join(f"r.{quote_identifier(name)}" for name in self._layout.names)
        join = (
            "LEFT JOIN shared_people ON shared_people.place = CASE WHEN combos.person IS NULL THEN r.place END\n"
            if shared
            else ""
        )
        gone = runs.listed([file.number for file in plan.gone])
        stays = f"\nAND (r.place >> {runs.ROW_BITS}) NOT IN ({gone})" if gone else ""
        return (
            f"SELECT combos.combo, {_person(shared)} AS person, {own}\nFROM alive r\n"
            f"JOIN combos ON combos.combo = r.combo\n{join}"
            f"WHERE r.person IN (SELECT affected_person FROM affected_people){stays}"
        )

    def _share(self, before: Manifest | None, plan: _Plan, numbers: Mapping[int, int]) -> None:
        """Whose each incoming event is that time decides, by its place: ``shared_people``."""
        parts = []
        found = self._fetch("SELECT DISTINCT shared FROM combos WHERE shared IS NOT NULL ORDER BY 1")
        kinds = [int(str(kind)) for (kind,) in found]
        order = [name for name in ("fine", "sequence", "place") if name in self._layout.names]
        wanted = ["ts", *order]
        listing = {number: ordinal for ordinal, number in numbers.items()}
        listing |= {old.number: file.ordinal for old, file in plan.kept}
        if plan.new:
            columns = ", ".join(f"s.{name}" for name in wanted)
            parts.append(
                f"SELECT {columns}, combos.combo FROM (\n"
                f"{self._relation.part([file.ordinal for file in plan.new])}\n) AS s\n"
                f"JOIN combos ON {people.joined_on(self._relation.ids, 's', 'combos')}\n"
                f"WHERE {_of('s', self._valid)} AND combos.key IS NOT NULL"
            )
        if before is not None:
            by_number = [listing.get(number, -1) for number in range(max(listing, default=-1) + 1)]
            columns = ", ".join(
                f"{runs.renumbered(by_number, 'r.place')} AS place" if name == "place" else f"r.{name}"
                for name in wanted
            )
            gone = runs.listed([file.number for file in plan.gone])
            stays = f"\nAND (r.place >> {runs.ROW_BITS}) NOT IN ({gone})" if gone else ""
            # Whoever was seen on such an id decides whose its events are, affected or not.
            carries = " OR ".join(
                f"c{kind} IN (SELECT c{kind} FROM combos WHERE shared = {kind})" for kind in kinds
            )
            parts.append(
                f"SELECT {columns}, r.combo FROM alive r\n"
                f"WHERE r.combo IN (SELECT combo FROM combos WHERE {carries}){stays}"
            )
        rows = "\nUNION ALL\n".join(parts)
        # Places are the listing's here, which is what orders equal times; they are the store's in its rows.
        by_ordinal = {ordinal: number for number, ordinal in listing.items()}
        store_place = runs.renumbered([by_ordinal.get(i, -1) for i in range(max(by_ordinal, default=-1) + 1)])
        settled = "\nUNION ALL\n".join(_settled(kind, rows, order, store_place) for kind in kinds)
        self._execute(f"CREATE OR REPLACE TABLE shared_people AS\n{settled}")

    def _with_dead(self, before: Manifest, folder: Path) -> list[Run]:
        """The old runs, each with the people of it whose rows a new run holds now."""
        dead = self._engine.columns("SELECT affected_person AS code FROM affected_people ORDER BY 1")["code"]
        codes = dead.astype(np.int64)
        if not len(codes):
            return list(before.runs)
        found = []
        for place, run in enumerate(before.runs):
            path = _path(self._store.root / run.folder / run.name)
            known = np.load(self._store.root / run.dead) if run.dead else np.empty(0, np.int64)
            rows = self._count(
                f"SELECT count(*) FROM read_parquet({path}) AS r\n"
                "WHERE r.person IN (SELECT affected_person FROM affected_people)"
                + (f" AND r.person NOT IN (SELECT dead_person FROM dead_{place})" if run.dead else "")
            )
            if rows:
                name = f"dead-{place}.npy"
                np.save(folder / name, np.union1d(known, codes))
                run = replace(run, dead=f"{folder.name}/{name}", dead_rows=run.dead_rows + rows)
            found.append(run)
        # A run of which nothing is left.
        return [run for run in found if run.dead_rows < run.rows]

    # --- what the manifest says -----------------------------------------------------------------------------

    def _files(
        self, plan: _Plan, numbers: Mapping[int, int], made: Sequence[Run], folder: Path
    ) -> list[StoredFile]:
        """All files in order of their numbers, the new ones with what was found in them."""
        ordinals = [file.ordinal for file in plan.new]
        found = self._looked_over(ordinals) if ordinals else {}
        lost: dict[int, dict[str, int]] = {}
        lost_sql = self._relation.lost_part(ordinals) if ordinals else None
        for ordinal, column, count in self._fetch(lost_sql) if lost_sql is not None else ():
            lost.setdefault(int(str(ordinal)), {})[str(column)] = int(str(count))
        named = self._named_rows(made, folder)
        new = []
        for file in plan.new:
            seen = found.get(file.ordinal, _NOTHING)
            aside = dict(seen.aside)
            aside["without-id"] = seen.valid - named.get(numbers[file.ordinal], 0)
            new.append(
                StoredFile(
                    number=numbers[file.ordinal],
                    source=file.source,
                    relative=file.listed.relative,
                    identity=file.listed.identity,
                    plan=file.plan,
                    rows=seen.rows,
                    aside={code: count for code, count in aside.items() if count},
                    lost=lost.get(file.ordinal, {}),
                    first=seen.first,
                    last=seen.last,
                    future=seen.future,
                )
            )
        return [*(old for old, _ in plan.kept), *new]

    def _looked_over(self, ordinals: Sequence[int]) -> dict[int, _Seen]:
        """What a survey says of rows, by file."""
        self._task.report(None, "import: what is no event")
        low, high = self._low, self._high
        valid = f"coalesce({self._valid}, FALSE)"
        sql = (
            f"SELECT place >> {runs.ROW_BITS}, count(*),\n"
            f"  count(*) FILTER (WHERE {valid}),\n"
            "  count(*) FILTER (WHERE ts IS NULL AND NOT ts_given),\n"
            "  count(*) FILTER (WHERE ts IS NULL AND ts_given),\n"
            f"  count(*) FILTER (WHERE ts < {low} OR ts >= {high}),\n"
            f"  count(*) FILTER (WHERE ts >= {low} AND ts < {high} AND coalesce(event, '') = ''),\n"
            f"  min(ts) FILTER (WHERE {valid}), max(ts) FILTER (WHERE {valid}),\n"
            f"  min(ts) FILTER (WHERE ts >= {high})\n"
            f"FROM (\n{self._relation.part(ordinals)}\n)\nGROUP BY 1"
        )
        found = {}
        for ordinal, *numbers in self._fetch(sql):
            rows, valid_rows, no_time, unreadable, impossible, nameless, *times = (
                None if number is None else int(str(number)) for number in numbers
            )
            aside = zip(_ASIDE, (no_time, unreadable, impossible, nameless), strict=True)
            found[int(str(ordinal))] = _Seen(
                rows or 0, valid_rows or 0, {code: count or 0 for code, count in aside}, *times
            )
        return found

    def _named_rows(self, made: Sequence[Run], folder: Path) -> dict[int, int]:
        """Rows of the new runs by the number of their file."""
        if not made:
            return {}
        paths = ", ".join(_path(folder / run.name) for run in made)
        rows = self._fetch(
            f"SELECT place >> {runs.ROW_BITS}, count(*) FROM read_parquet([{paths}]) GROUP BY 1"
        )
        return {int(str(number)): int(str(count)) for number, count in rows}

    def _manifest(
        self,
        before: Manifest | None,
        folder: Path,
        made: Sequence[Run],
        files: Sequence[StoredFile],
        linked: Relinked,
    ) -> Manifest:
        manifest = Manifest(
            signature=self._signature,
            generation=int(folder.name[1:]),
            next_number=max((file.number for file in files), default=-1) + 1,
            columns=tuple(column.name for column in self._layout.kept),
            has_fine=self._relation.has_fine,
            has_sequence=self._relation.has_sequence,
            ids=self._relation.ids,
            files=tuple(files),
            runs=tuple(made),
            combos=f"{folder.name}/combos.parquet",
            people=f"{folder.name}/people.parquet",
            lanes=None,
            no_lanes=None,
            rows=sum(run.rows - run.dead_rows for run in made),
            people_count=linked.people,
            codes=linked.codes,
            combo_codes=linked.combos,
            first=None,
            last=None,
            other=self._other(),
            damaged=dict(self._damaged),
            sizes={},
            made=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if before is not None:
            manifest = replace(manifest, next_number=max(manifest.next_number, before.next_number))
        self._define_alive(manifest)
        ((first, last),) = self._fetch("SELECT min(ts), max(ts) FROM alive")
        manifest = replace(
            manifest,
            first=None if first is None else int(str(first)),
            last=None if last is None else int(str(last)),
        )
        return self._laned(before, manifest, folder)

    # --- lanes ----------------------------------------------------------------------------------------------

    def _laned(self, before: Manifest | None, manifest: Manifest, folder: Path) -> Manifest:
        """The manifest with its lanes: the old ones without the affected people, and those of the new runs."""
        if manifest.first is None or manifest.last is None:
            return replace(manifest, no_lanes="there are no events")
        old = None
        if before is not None and before.lanes is not None:
            old = lane_files.open_lanes(self._store.root / before.lanes)
        if old is not None and old.index.holds(manifest.codes, manifest.first, manifest.last):
            widths: tuple[int, int, int] | None = (old.index.base, old.index.time_bits, old.index.person_bits)
        else:
            widths = lane_files.widths(
                manifest.codes,
                manifest.first,
                manifest.last,
                time_bits=self._rules.time_bits,
                person_bits=self._rules.person_bits,
            )
        if widths is None:
            days = (manifest.last - manifest.first) // 86_400_000
            return replace(
                manifest,
                no_lanes=f"{manifest.codes:,} people over {days:,} days are more than a lane's keys hold",
            )
        self._task.report(None, "import: lanes")
        base, time_bits, person_bits = widths
        sources = [run for run in manifest.runs if run.folder == folder.name]
        if before is not None and old is None:
            # Lanes that were refused before are made of everything.
            sources = list(manifest.runs)
        parts = []
        for place, run in enumerate(sources):
            own = folder / f"lanes-{place}"
            own.mkdir()
            self._lanes_of(run, own, base, time_bits, person_bits)
            parts.append(own)
        target = folder / "lanes"
        if old is None and len(parts) == 1:
            parts[0].rename(target)
        else:
            target.mkdir()
            opened = [lane_files.open_lanes(part) for part in parts]
            dead: list[Ints | None] = [None] * len(opened)
            if old is not None:
                codes = self._engine.columns("SELECT affected_person AS code FROM affected_people ORDER BY 1")
                opened, dead = [old, *opened], [codes["code"].astype(np.int64), *dead]
            lane_files.merge(target, opened, dead, base=base, time_bits=time_bits, person_bits=person_bits)
            del opened, old
            for part in parts:
                _remove(part)
        return replace(manifest, lanes=f"{folder.name}/{target.name}")

    def _lanes_of(self, run: Run, target: Path, base: int, time_bits: int, person_bits: int) -> None:
        """The lanes of one run."""
        path = f"read_parquet({_path(self._store.root / run.folder / run.name)})"
        where = ""
        if run.dead is not None:
            codes = np.load(self._store.root / run.dead).tolist()
            self._engine.execute(runs.dead_table("dead_of_run"), {"codes": codes})
            where = "WHERE person NOT IN (SELECT dead_person FROM dead_of_run)"
        counted = self._fetch(f"SELECT event, count(*) FROM {path} {where} GROUP BY 1 ORDER BY 1")
        self._execute("DROP TYPE IF EXISTS lane_name")
        self._execute(f"CREATE TYPE lane_name AS ENUM (SELECT DISTINCT event FROM {path} {where} ORDER BY 1)")
        sql = (
            "SELECT CAST(person AS BIGINT) AS person, ts, "
            f"CAST(enum_code(CAST(event AS lane_name)) AS BIGINT) AS code FROM {path} {where}"
        )
        batches = (
            (batch["person"].astype(np.int64), batch["ts"].astype(np.int64), batch["code"].astype(np.int64))
            for batch in self._engine.stream(sql, task=self._task)
        )
        lane_files.write(
            target,
            batches,
            [str(name) for name, _ in counted],
            [int(str(count)) for _, count in counted],
            base,
            time_bits=time_bits,
            person_bits=person_bits,
        )

    # --- merging --------------------------------------------------------------------------------------------

    def _merged(self, manifest: Manifest, folder: Path) -> Manifest:
        """The same rows in few runs: people by range, so that each range is sorted by itself."""
        self._define_alive(manifest)
        pieces = max(-(-manifest.rows // self._rules.chunk_rows), 1)
        bounds = (
            [
                int(str(bound))
                for (bound,) in self._fetch(
                    f"SELECT DISTINCT unnest(approx_quantile(person, {[place / pieces for place in range(1, pieces)]}))"
                    " FROM alive ORDER BY 1"
                )
            ]
            if pieces > 1
            else []
        )
        edges = [0, *bounds, manifest.codes]
        made = []
        for place, (low, high) in enumerate(pairwise(edges)):
            self._task.report(place / len(edges), "import: merging runs")
            self._execute(
                f"CREATE OR REPLACE VIEW incoming AS SELECT * FROM alive WHERE person >= {low} AND person < {high}"
            )
            target = folder / f"merged-{place}.parquet"
            runs.write_run(self._engine, "incoming", self._layout, target, self._task, values="alive")
            rows = self._count(f"SELECT count(*) FROM read_parquet({_path(target)})")
            if rows:
                made.append(Run(folder.name, target.name, rows, None, 0))
            else:
                target.unlink()
        kept = {run.name for run in made} | {"combos.parquet", "people.parquet", "lease"}
        for left in folder.iterdir():
            if left.is_file() and left.name not in kept:
                left.unlink()
        return replace(manifest, runs=tuple(made))

    # --- small things ---------------------------------------------------------------------------------------

    def _define(self, name: str, parts: Sequence[str]) -> None:
        self._execute(f"CREATE OR REPLACE VIEW {name} AS\n" + "\nUNION ALL\n".join(parts))

    def _execute(self, sql: str) -> None:
        self._engine.execute(sql, task=self._task)

    def _fetch(self, sql: str) -> list[tuple[object, ...]]:
        return self._engine.fetch(sql, task=self._task)

    def _count(self, sql: str) -> int:
        ((count,),) = self._fetch(sql)
        return int(str(count))


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


def _settled(kind: int, rows: str, order: Sequence[str], store_place: str) -> str:
    """The events whose deciding id of a kind several people share, each with whoever was seen on it last."""
    window = f"PARTITION BY c{kind} ORDER BY ts, {', '.join(order)} ROWS BETWEEN UNBOUNDED PRECEDING"
    return (
        f"SELECT {store_place} AS place, coalesce(\n"
        f"    last_value(person IGNORE NULLS) OVER ({window} AND CURRENT ROW),\n"
        f"    first_value(person IGNORE NULLS) OVER ({window} AND UNBOUNDED FOLLOWING)\n  ) AS person\n"
        f"FROM (\n  SELECT i.*, combos.c{kind}, combos.person, combos.shared FROM (\n{rows}\n  ) AS i\n"
        f"  JOIN combos ON combos.combo = i.combo\n"
        f"  WHERE combos.c{kind} IN (SELECT c{kind} FROM combos WHERE shared = {kind})\n)\n"
        f"QUALIFY shared = {kind}"
    )


def _person(shared: bool) -> str:
    return "coalesce(combos.person, shared_people.person)" if shared else "combos.person"


def _of(alias: str, valid: str) -> str:
    """The condition of valid rows over an alias."""
    return valid.replace("ts ", f"{alias}.ts ").replace("event ", f"{alias}.event ")


def _rows(files: Iterator[StoredFile]) -> int:
    return sum(file.rows for file in files)


def _path(path: Path) -> str:
    """A file of the store as the engine reads it."""
    from glob import escape

    return quote_literal(escape(str(path)))


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
