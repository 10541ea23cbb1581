"""The events at hand, as a question sees them: one pinned listing, one engine, one survey.

:class:`Dataset` implements :class:`queries.question.Data`. It is opened for a scope, answers that scope's
questions, and is closed; nothing of it outlives the listing it was made from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from queries import people, ranges, rules, units
from queries.finding import Known
from queries.kernels.lane_values import Over, ValuedLane
from queries.kernels.lanes import Lanes, condition_of
from queries.material import Material, SourceFile
from queries.question import (
    Column,
    Columns,
    Members,
    Named,
    Note,
    PeopleRequest,
    QuestionError,
    Result,
    Schema,
    Scope,
    Shown,
    Survey,
)
from queries.quoting import quote_identifier
from queries.suggest import shown
from workbench import SEMANTICS_VERSION, __version__
from workbench.engine import Engine
from workbench.errors import Cancelled, Changed, Damaged, EngineDied, TimedOut, UsageError, WorkbenchError
from workbench.lanes import CodedBatch, LaneCache
from workbench.limits import Limits, limits
from workbench.people_rows import PeopleRows
from workbench.person_rows import PersonRows
from workbench.planner import IDS_SCHEMA, SCHEMA, SOURCE_EVENTS, Planner
from workbench.runner import Task
from workbench.segments import read_segment
from workbench.sources.probing import verify
from workbench.sources.reading import snapshot
from workbench.sources.relation import Relation, relation
from workbench.sources.snapshot import SetAside, SourceFiles
from workbench.store.events import StoredEvents, find_store
from workbench.store.folder import store_folder
from workbench.store.wanted import EVERY, want
from workbench.survey import Ground, define_sessions, junk_ids, make_survey, session_rule, valid_times
from workbench.weak import weakly
from workbench.workspace import Workspace, chosen

if TYPE_CHECKING:
    from workbench.lane_properties import LaneProperties
    from workbench.store.lane_files import OpenLanes

_BYTES_A_SELECTED_EVENT = 160
"""What an event costs in a fold at its worst: its columns, their sorted copies and the kernel's buffers."""

_LANES_SHARE = 4
"""Lanes may take this part of the memory limit, out of the half that is not the engine's."""

_BYTES_A_COLUMNS_EVENT = 40
"""What an event costs while columns of its lane are made: its key, its place, and a few values."""

_MOST_KEPT_ANSWERS = 256
_MOST_KEPT_ROWS = 1000
"""Answers as small as this are kept, so that a question asked again counts nothing again."""


T = TypeVar("T")


def asked(
    scope: Scope,
    task: Task,
    question: Callable[[Dataset], T],
    *,
    memory: str | None = None,
    threads: int | None = None,
    from_files: bool = False,
) -> tuple[Dataset, T]:
    """Opens a scope's dataset and asks it a question; answer and dataset belong together.

    ``from_files``: whatever store there is, none is read; SQL that is shown speaks of the files' people.

    Where files changed meanwhile it is asked once more over a new listing; where a file proves damaged only
    when its values are read, once more without that file; and where the store does, once more from the files.
    """
    damaged: dict[Path, str] = {}
    changed = False
    lost: str | None = None
    while True:
        dataset: Dataset | None = None
        try:
            dataset = opened(
                scope,
                task,
                memory=memory,
                threads=threads,
                damaged=damaged,
                lost_store=lost,
                from_files=from_files,
            )
            answer = question(dataset)
            dataset.check_unchanged()
            return dataset, answer
        except Changed:
            if changed:
                raise
            changed = True
        except (Damaged, EngineDied, ValueError, IndexError) as error:
            found_lost = None if dataset is None else dataset.find_lost_store()
            if found_lost is not None:
                lost = found_lost
                continue
            found = (
                dataset.find_damaged() if dataset is not None and isinstance(error, WorkbenchError) else {}
            )
            if not found:
                raise
            damaged |= found


def opened(
    scope: Scope,
    task: Task,
    *,
    memory: str | None = None,
    threads: int | None = None,
    damaged: Mapping[Path, str] = MappingProxyType({}),
    lost_store: str | None = None,
    from_files: bool = False,
) -> Dataset:
    """The dataset of a scope: ``--data``, else the workspace of this folder or its parents.

    ``damaged`` files, with their reasons, are set aside; ``lost_store`` is the file for which no store is read,
    which a note says. Raises :class:`NoData` with what to do when there is
    neither.
    """
    workspace = chosen(scope.data, scope.mapping)
    return Dataset(
        workspace,
        scope,
        task,
        limits(memory, threads),
        damaged,
        lost_store=lost_store,
        from_files=from_files,
    )


class Dataset:
    """Everything a scope's questions read, listed once and surveyed once."""

    def __init__(
        self,
        workspace: Workspace,
        scope: Scope,
        task: Task,
        limits: Limits,
        damaged: Mapping[Path, str] = MappingProxyType({}),
        *,
        importing: Path | None = None,
        lost_store: str | None = None,
        from_files: bool = False,
    ) -> None:
        """``importing`` is the folder of the store that is about to be made of it: then none is read.

        Nor where ``lost_store`` names the file of it that is damaged.
        """
        self.workspace = workspace
        self.scope = scope
        # Refused at once, not only where sessions are counted.
        session_rule(workspace, scope)
        self._task = task
        self._limits = limits
        self._started = time.monotonic()
        self._timings: dict[str, float] = {}
        self._lanes = LaneCache(limits.memory_bytes // _LANES_SHARE)
        self._properties: LaneProperties | None = None
        self._answers: dict[str, list[tuple[object, ...]]] = {}
        self._remembered: dict[str, str] = {}
        """The tables that questions made, with their SQL: what is there already is not made again."""
        self._zone = ranges.zone(scope.tz or workspace.timezone)
        self._planner: Planner | None = None
        self._person_rows: PersonRows | None = None
        self._read_files = self._read_lanes = False
        """Where the newest question found its events, other than in the store."""
        self._lost_store = lost_store
        no_store = from_files or importing is not None or lost_store is not None
        self._stored = None if no_store else self._possible_store()
        self._sources = tuple(_without(files, self._known_damage(files, damaged)) for files in self._list())
        self._engine = self._new_engine(importing)
        self._relation = relation(workspace, self._sources, self.fetch)
        if self._stored is not None and not self._stored.is_of(
            self._sources, self._relation, valid_times(workspace)[1]
        ):
            self._stored = None
        self._schema = Schema(
            columns={
                column.name: column
                for column in (Column("ts", "time"), Column("event", "text"), *self._relation.columns)
            },
            money_decimals=self._relation.money_decimals,
            roles=self._relation.roles,
            ids=self._relation.ids,
            order=tuple(name for name in ("fine", "sequence", "place") if name in self._relation.fixed),
        )
        self._script: list[str] = []
        self._define("VIEW", "source_events", self._deduplicated())
        if self._relation.items_sql is not None:
            self._define("VIEW", "items", self._relation.items_sql)
        self._surveyed: Survey | None = None
        self._of_units: tuple[NDArray[np.int64], NDArray[np.bool_]] | None = None
        self._rows_read = 0

    # --- opening ------------------------------------------------------------------------------------------

    def _possible_store(self) -> StoredEvents | None:
        """The store of the workspace, where this scope's answers can be had of one."""
        if self.scope.as_of is not None or self.scope.unit == "raw" or self.workspace.dedup != "none":
            return None
        return find_store(self.workspace)

    def _known_damage(self, files: SourceFiles, damaged: Mapping[Path, str]) -> Mapping[Path, str]:
        """The damaged files of a source, those too that an import came upon."""
        known = {} if self._stored is None else self._stored.manifest.damaged
        return {
            **damaged,
            **{
                file.parquet: known[file.listed.identity]
                for file in files.files
                if file.listed.identity in known
            },
        }

    def _list(self) -> tuple[SourceFiles, ...]:
        self._task.report(None, "listing files")
        cache = self.workspace.cache
        return tuple(
            snapshot(
                source.name,
                self.workspace.root,
                source.patterns,
                cache=cache,
                engine_for=lambda folders: Engine(folders, writable=[cache], limits=self._limits),
                task=self._task,
                tables=source.tables,
                encoding=source.encoding,
            )
            for source in self.workspace.sources
        )

    def check_unchanged(self) -> None:
        """Raises :class:`Changed` where another file took the place of one that was read.

        Each statement opens the files anew, so an answer over such a file may be of both. A file that is gone
        was there for every statement.
        """
        for source in self._sources:
            for file in source.files:
                listed = file.listed
                if file.parquet != listed.location:
                    continue
                with suppress(FileNotFoundError):
                    now = file.parquet.stat()
                    seen = (now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino)
                    if seen != (listed.size, listed.mtime_ns, listed.ctime_ns, listed.inode[1]):
                        raise Changed(
                            f"{listed.path} changed while it was read",
                            "run it again; files should be put in place by renaming, between questions",
                        )

    def find_damaged(self) -> dict[Path, str]:
        """Reads every file to its end: those that cannot be, with the reason."""
        found: dict[Path, str] = {}
        for source in self._sources:
            for file in source.files:
                self.progress(None, f"looking for damage in {file.listed.path.name}")
                reason = verify(file)
                if reason is not None:
                    found[file.parquet] = reason
        return found

    def find_lost_store(self) -> str | None:
        """Reads the store to its end: the file of it that is damaged, for which it is taken away; None otherwise."""
        if self._stored is not None and self._lost_store is None:
            self.progress(None, "looking for damage in the store")
            self._lost_store = self._stored.lost()
        return None if self._stored is None else self._lost_store

    @contextmanager
    def _over_store(self) -> Iterator[None]:
        """Raises :class:`Damaged` for a failure that damage of the store explains."""
        try:
            yield
        except (Cancelled, TimedOut, UsageError):
            raise
        except (WorkbenchError, OSError, ValueError, EOFError) as error:
            path = self.find_lost_store()
            if path is None:
                raise
            raise Damaged(f"the store is damaged: {path}", "run it again: the files are read") from error

    def _new_engine(self, importing: Path | None) -> Engine:
        folders = {folder for source in self._sources for folder in source.folders}
        files = [file.parquet for source in self._sources for file in source.files]
        if self._stored is not None:
            folders.add(self._stored.root)
        writable = () if importing is None else (importing,)
        return Engine(sorted(folders), limits=self._limits, files=files, writable=writable)

    def _deduplicated(self) -> str:
        """The relation under the workspace's rule for duplicates; of equal rows the first valid one stays."""
        rule, sql = self.workspace.dedup, self._relation.sql
        if rule == "none":
            return sql
        columns = [name for name in self._column_names() if name not in ("place", "source_index")]
        if rule == "event_id":
            if "event_id" not in columns:
                raise UsageError('[dedup] rule = "event_id": no source maps event_id', 'map it, or use "row"')
            columns = ["event_id"]
        low, high = valid_times(self.workspace)
        alike = ", ".join(quote_identifier(name) for name in columns)
        invalid = f"coalesce(ts < {low} OR ts >= {high} OR event = '', TRUE)"
        keep = "coalesce(event_id, '') = '' OR " if rule == "event_id" else ""
        return (
            f"SELECT * FROM (\n{sql}\n)\n"
            f"QUALIFY {keep}row_number() OVER (PARTITION BY {alike} ORDER BY {invalid}, place) = 1"
        )

    def _column_names(self) -> list[str]:
        return [*self._relation.fixed, *(column.name for column in self._relation.columns)]

    def _define(self, kind: str, name: str, sql: str, *, made: bool = True) -> None:
        """A relation of the in-memory catalog, kept for ``--sql`` in the order it was made.

        ``made`` False where it is there already: the store's, which the statement would make from the files.
        """
        statement = f"CREATE OR REPLACE {kind} {name} AS\n{sql}"
        self._script.append(statement)
        if not made:
            return
        self._answers.clear()
        self._remembered.clear()
        if kind == "TABLE":
            self._make_table(name, sql)
            return
        self._engine.execute(statement, task=self._task)
        if self._planner is not None:
            self._define_over_runs(name, sql)

    def _define_over_runs(self, name: str, sql: str) -> None:
        """The same relation over the store's runs, where it can be."""
        assert self._planner is not None and self._stored is not None
        for schema in (SCHEMA, IDS_SCHEMA):
            if name == self._ground().all_events:
                own: str | None = self._stored.events_sql(self._relation, ids=schema == IDS_SCHEMA)
            else:
                own = sql if self._planner.carries(sql, schema) else None
            if own is not None:
                self._planner.know(name, schema)
                self._engine.execute(
                    f"CREATE OR REPLACE VIEW {schema}.{name} AS\n{own}", task=self._task, schema=schema
                )
        if name == self._ground().all_events and self._stored.has_every_row:
            for schema in (SCHEMA, IDS_SCHEMA):
                self._planner.know(SOURCE_EVENTS, schema)
                self._engine.execute(
                    f"CREATE OR REPLACE VIEW {schema}.{SOURCE_EVENTS} AS\n"
                    f"SELECT * EXCLUDE (person) FROM {schema}.{name}",
                    task=self._task,
                )

    def _make_of_store(self, statement: str) -> None:
        """Something in memory that only the store's own statements read."""
        with self._over_store():
            self._engine.execute(statement, task=self._task)

    def _make_table(self, name: str, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """A table of a query's answer, wherever that reads events."""
        with self._over_store():
            self._engine.execute(
                f"CREATE OR REPLACE TABLE main.{quote_identifier(name)} AS\n{sql}",
                parameters,
                self._task,
                self._way(sql),
            )

    def _way(self, sql: str) -> str | None:
        """The schema in which a statement finds its events."""
        if self._planner is None:
            self._read_files = True
            return None
        schema = self._planner.schema(sql)
        if schema is None and self._planner.reads_events(sql):
            self._read_files = True
            self._want(self._planner.missed(sql))
        return schema

    def _want(self, columns: Collection[str]) -> None:
        """Remembers columns that the next import is to keep, where a store is of use to this scope."""
        if columns and self.workspace.dedup == "none":
            want(store_folder(self.workspace).root, columns)

    # --- survey -------------------------------------------------------------------------------------------

    def survey(self) -> Survey:
        """One pass over everything valid: people, as-of, what was set aside. Made at the first call."""
        if self._surveyed is None:
            with self._over_store():
                self._surveyed = self._make_survey()
        return self._surveyed

    def _make_survey(self) -> Survey:
        began = time.monotonic()
        if self._stored is not None:
            for statement, parameters in self._stored.relations(self._relation):
                self._engine.execute(statement, parameters, self._task)
            self._person_rows = PersonRows(
                self._stored, self._relation, weakly(self._make_of_store), weakly(self.fetch)
            )
            self._planner = Planner(
                self._relation.fixed,
                self._relation.ids,
                self._relation.columns,
                self._stored.manifest.columns,
            )
        survey = make_survey(self._ground())
        if self._lost_store is not None:
            text = f"the store is damaged and was left out: {self._lost_store}; the files were read"
            survey = replace(survey, notes=(*survey.notes, Note("store-damaged", text, "warning")))
        self._timings["survey_seconds"] = time.monotonic() - began
        # What opening asked is no question's.
        self._read_files = False
        return survey

    def _ground(self) -> Ground:
        return Ground(
            workspace=self.workspace,
            scope=self.scope,
            schema=self._schema,
            relation=self._relation,
            sources=self._sources,
            zone=self._zone,
            define=self._define,
            fetch=self.fetch,
            progress=self.progress,
            stored=self._stored,
        )

    # --- what questions ask (queries.question.Data) ---------------------------------------------------------

    @property
    def schema(self) -> Schema:
        """The canonical columns present, every other property, and the roles."""
        return self._schema

    @property
    def timezone(self) -> str:
        """The zone of days and printed times."""
        return self.scope.tz or self.workspace.timezone

    @property
    def threads(self) -> int:
        """How many threads a fold may use."""
        return self._limits.threads

    @property
    def row_budget(self) -> int:
        """Half of the memory limit less what lanes take, in selected events; the other half is the engine's."""
        return (self._limits.memory_bytes // 2 - self._lanes.bytes) // _BYTES_A_SELECTED_EVENT

    def stream(self, sql: str, parameters: Mapping[str, object] | None = None) -> Iterator[Columns]:
        """Batches of a query, in no order unless the SQL gives one."""
        with self._over_store():
            for batch in self._engine.stream(sql, parameters, self._task, schema=self._way(sql)):
                self._rows_read += len(next(iter(batch.values()), ()))
                yield batch

    def fetch(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[object, ...]]:
        """A small answer, whole; the same one until a relation is made anew."""
        kept = None if parameters else self._answers.get(sql)
        if kept is not None:
            return list(kept)
        with self._over_store():
            found = self._engine.fetch(sql, parameters, self._task, self._way(sql))
        if not parameters and len(found) <= _MOST_KEPT_ROWS and len(self._answers) < _MOST_KEPT_ANSWERS:
            self._answers[sql] = list(found)
        return found

    def remember(self, name: str, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Keeps a query's answer as a table for later SQL of the same question."""
        if self._remembered.get(name) == sql and not parameters:
            return
        # Whatever was made of the table that it takes the place of is to be made anew too.
        self._remembered.clear()
        self._answers.clear()
        self._make_table(name, sql, parameters)
        if not parameters:
            self._remembered[name] = sql

    def lanes(self, events: Sequence[str], tests: Mapping[str, Over], *, make: bool) -> Lanes | None:
        """The lanes of some events: the store's, those kept, or new ones where that pays and they fit."""
        survey = self.survey()
        self._read_files = False
        found = self._stored_lanes(events, tests) or self._lanes.of(events, survey, self.stream, make=make)
        self._read_lanes = found is not None
        return found

    def valued_lane(
        self, match: str, value: str, over: Over | None = None, test: Over | None = None
    ) -> ValuedLane | None:
        """The events that meet a condition, by person and time, with a property's value; both as SQL."""
        properties = self._lane_properties()
        if properties is not None and over is not None:
            with self._over_store():
                found = properties.valued(over, test)
            if found is not None:
                return found
        return self._lanes.valued(match, value, self.survey(), self._coded)

    def _coded(self, sql: str) -> Iterator[CodedBatch]:
        """Batches of a query of person, time and ``lane_value``, a text."""
        from workbench.store.arrow_numbers import nulls_of, values_of

        with self._over_store(), self._engine.arrow(sql, None, self._task, schema=self._way(sql)) as batches:
            for batch in batches:
                self._rows_read += batch.num_rows
                value = batch.column("lane_value").dictionary_encode()
                codes = values_of(value.indices).astype(np.int64)
                missing = nulls_of(value.indices)
                if missing is not None:
                    codes[missing] = -1
                person, ts = (values_of(batch.column(name)).astype(np.int64) for name in ("person", "ts"))
                yield CodedBatch(person, ts, codes, value.dictionary.to_pylist())

    def _open_lanes(self) -> OpenLanes | None:
        """The lanes of the store, where it has those of the events in scope."""
        if self._stored is None or self.scope.who is not None or self.scope.unit != "user":
            return None
        with self._over_store():
            return self._stored.lanes()

    def _lane_properties(self) -> LaneProperties | None:
        """What the store knows of properties in the order of its lanes."""
        if self._properties is None and self._open_lanes() is not None:
            from workbench.lane_properties import LaneProperties

            assert self._stored is not None
            self._properties = LaneProperties(
                self._stored,
                weakly(self._values),
                weakly(self._check),
                self._limits.threads,
                self._limits.memory_bytes // _LANES_SHARE // _BYTES_A_COLUMNS_EVENT,
                self.workspace.store.quota,
            )
        return self._properties

    def _values(self, sql: str, parameters: Mapping[str, object]) -> Columns:
        """An answer of a statement that reads no event."""
        return self._engine.columns(sql, parameters, self._task)

    def _check(self) -> None:
        """Raises where the question was cancelled."""
        self._task.check()

    def _stored_lanes(self, events: Sequence[str], tests: Mapping[str, Over]) -> Lanes | None:
        """The lanes of the store, where it has any of the events in scope, beside those of conditions."""
        stored = self._open_lanes()
        if stored is None or not events:
            return None
        index = stored.index
        self._lanes.align(index.base, index.time_bits, index.person_bits)
        found = stored.of(name for name in events if condition_of(name) is None)
        conditions = [name for name in events if condition_of(name) is not None]
        if not conditions:
            return found
        # What sorted runs say of one condition costs less than the select they spare.
        made = self._lanes.of(
            conditions, self.survey(), self.stream, make=True, give=lambda names: self._given(names, tests)
        )
        return None if made is None else replace(found, keys={**found.keys, **made.keys})

    def _given(self, names: Sequence[str], tests: Mapping[str, Over]) -> Mapping[str, NDArray[np.int64]]:
        """The lanes of conditions, as far as the store's columns give them."""
        properties = self._lane_properties()
        if properties is None:
            return {}
        with self._over_store():
            return properties.lanes({name: tests[name] for name in names if name in tests})

    def owners(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        """The code of the person of each unit: itself, where people or raw ids are counted."""
        if self.scope.unit in ("user", "raw"):
            return units
        return self._units()[0][units]

    def running(self, units: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether more may come of each unit: not of a session that is over."""
        if self.scope.unit in ("user", "raw"):
            return np.ones(len(units), np.bool_)
        return self._units()[1][units]

    def _units(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """By unit its owner, and whether more may come of it."""
        if self._of_units is None:
            count = self.survey().people
            owner, running = np.zeros(count, np.int64), np.zeros(count, np.bool_)
            for batch in self.stream("SELECT unit, owner, running FROM units"):
                places = batch["unit"].astype(np.int64)
                owner[places] = batch["owner"]
                running[places] = batch["running"]
            # Kept only when it is whole: what is cancelled midway is read again.
            self._of_units = owner, running
        return self._of_units

    def members(self, segment: str) -> Members:
        """The people of a segment file: by any of their ids, or by its rule."""
        self.survey()
        listed = read_segment(self.workspace, segment).distinct()
        if listed.rule is not None:
            chosen = self._people_in(self._rule_sql(segment, listed.rule))
            return Members(chosen, len(chosen), 0)
        self.remember(
            "segment_ids",
            "SELECT unnest($ids) AS id, unnest($kinds) AS kind, unnest(range($count)) AS listed",
            {"ids": listed.ids, "kinds": listed.kinds, "count": len(listed.ids)},
        )
        self.remember("segment_members", people.members_sql(self._relation.ids, junk_ids(self.workspace)))
        ((known,),) = self.fetch("SELECT count(DISTINCT listed) FROM segment_members")
        codes = self._people_in("SELECT DISTINCT person FROM segment_members")
        return Members(codes, len(listed.ids), len(listed.ids) - int(str(known)))

    def _rule_sql(self, segment: str, rule: str) -> str:
        """The people a segment's rule chooses among everybody in the data, as SQL."""
        ground = rules.Ground(self._schema, self.timezone, self.survey().as_of)
        try:
            return rules.compile_rule(rule, ground, events=self._ground().all_events)
        except QuestionError as error:
            raise QuestionError(f"segment {shown(segment)}: {error.message}", error.hint) from None

    def _people_in(self, sql: str) -> NDArray[np.int64]:
        """The codes of a query's people, ascending."""
        parts = [batch["person"].astype(np.int64) for batch in self.stream(sql)]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)

    def named(self, name: str) -> Named:
        """Whom an id of any kind names, as ``ID`` or ``KIND:ID``; an id of one's own goes before a shared one."""
        self.survey()
        kind, mark, rest = name.partition(":")
        for asked, of_kind in ((name, None), (rest, kind)):
            if of_kind is not None and not (mark and of_kind in self._relation.ids):
                continue
            self.remember(
                "segment_ids",
                "SELECT $id AS id, CAST($kind AS VARCHAR) AS kind, 0 AS listed",
                {"id": asked, "kind": of_kind},
            )
            found = self.fetch(people.named_sql(self._relation.ids, junk_ids(self.workspace)))
            own = sorted({int(str(code)) for code, is_own in found if is_own})
            codes = own or sorted({int(str(code)) for code, _ in found})
            if codes:
                return Named(np.array(codes, np.int64), self._units_of(codes))
        return Named(np.empty(0, np.int64), np.empty(0, np.int64))

    def _units_of(self, codes: Sequence[int]) -> NDArray[np.int64]:
        if self.scope.unit in ("user", "raw"):
            return np.array(codes, np.int64)
        listed = ", ".join(str(code) for code in codes)
        found = self.fetch(f"SELECT unit FROM units WHERE owner IN ({listed}) ORDER BY unit")
        return np.array([int(str(unit)) for (unit,) in found], np.int64)

    def material(self) -> Material:
        """What the events were made from (:class:`queries.material.Inspected`)."""
        ordered = [
            SourceFile(source.name, file.listed.relative, tuple(file.listed.partitions))
            for source in self._sources
            for file in sorted(
                source.files, key=lambda one: one.listed.relative.encode("utf-8", "surrogateescape")
            )
        ]
        return Material(
            ids=self._relation.ids,
            junk=junk_ids(self.workspace),
            valid=valid_times(self.workspace),
            files=tuple(ordered),
            items=self._relation.items_sql is not None,
            written_amounts=self._relation.written_sql,
        )

    def progress(self, fraction: float | None, what: str) -> None:
        """Says how far the question is; raises when it was cancelled or ran out of time."""
        self._task.report(fraction, what)
        self._task.check()

    # --- for the faces --------------------------------------------------------------------------------------

    @property
    def has_store(self) -> bool:
        """Whether it reads a store of these files."""
        return self._stored is not None

    def begin(self) -> None:
        """Another question begins: what the one before read is its own."""
        self._read_files = self._read_lanes = False

    def serve(self, task: Task) -> None:
        """From now on this task cancels what the dataset does."""
        self._task = task

    @property
    def relation(self) -> Relation:
        """The canonical events as SQL over the files."""
        return self._relation

    @property
    def sources(self) -> tuple[SourceFiles, ...]:
        """What was listed."""
        return self._sources

    @property
    def engine(self) -> Engine:
        """The engine of this listing, for SQL that is no question's."""
        return self._engine

    @property
    def has_items(self) -> bool:
        """Whether the relation ``items`` is there."""
        return self._relation.items_sql is not None

    def session_rule(self) -> units.SessionRule:
        """How events become sessions: as asked, else as the workspace says."""
        return session_rule(self.workspace, self.scope)

    @property
    def by_person(self) -> str | None:
        """The relation of everybody's events in which one person's are found without reading the others'."""
        self.survey()
        if self._planner is not None and self._planner.is_whole:
            return self._ground().all_events
        self._want({EVERY})
        return None

    def rows_of_files(self, files: frozenset[int]) -> str | None:
        """``source_events`` of some files alone, by their numbers in ``place``, to stand after FROM.

        None where it takes the others to know their rows: duplicates, orders made of lines.
        """
        if self.workspace.dedup != "none":
            return None
        try:
            return f"(\n{self._relation.part(files)}\n)"
        except ValueError:
            return None

    def neighbours(self, id: str) -> Sequence[Known] | None:
        """The combinations of the people on whose events an id stands, and all that carry an id of theirs.

        None where ``linked_ids`` is to be asked.
        """
        self.survey()
        return None if self._person_rows is None else self._person_rows.neighbours(id)

    def events_of(self, person: int, known: Sequence[Known]) -> str:
        """One person's part of ``by_person``, to stand after FROM; ``known`` has all their combinations."""
        assert self._person_rows is not None
        return self._person_rows.events(person, known)

    def define_sessions(self) -> Note:
        """Makes the relation ``sessions``, which no question has made yet; says by which rule."""
        self.survey()
        return define_sessions(self._ground())

    @property
    def protected(self) -> tuple[Path, ...]:
        """What no export may touch: the data files, and the folders whose new files would become data."""
        found: set[Path] = set()
        for source, files in zip(self.workspace.sources, self._sources, strict=True):
            named = {(self.workspace.root / pattern).resolve() for pattern in source.patterns}
            for file in files.files:
                path = file.listed.path
                found.add(path if path.resolve() in named else path.parent)
        return tuple(sorted(found))

    def script(self, statements: Sequence[str]) -> str:
        """All SQL of a question, from the files to its rows, ready to paste into DuckDB."""
        return "\n\n".join(f"{statement};" for statement in (*self._script, *statements)) + "\n"

    def people_of(self, result: Result, request: PeopleRequest) -> Result:
        """The people behind a cell of a result, as a result of its own: one row a person."""
        if result.people is None:
            raise QuestionError(f"--users: {result.report} has no cells with people")
        codes = result.people.codes(request.cell)
        return Result(
            report="users",
            request=request,
            rows=PeopleRows(self.ids_of, codes),
            totals={"users": len(codes)},
            notes=(*result.notes, *(() if len(codes) else (Note("nobody", f"0 people in {request.cell}"),))),
            meta={**result.meta, "cell": request.cell},
            layout=(Shown("user", "user"), Shown("kind", "id kind")),
            rule=f"people behind {request.cell} of: {result.rule}",
            sql=result.sql,
        )

    def ids_of(self, codes: NDArray[np.int64]) -> Iterator[tuple[str, str]]:
        """Id and kind of people, users first, in the order of their ids."""
        wanted = np.zeros(int(codes[-1]) + 1 if len(codes) else 0, bool)
        wanted[codes] = True
        sql = f"SELECT person, id, kind FROM people WHERE person < {len(wanted)} ORDER BY kind DESC, id"
        with self._over_store():
            for batch in self._engine.stream(sql, task=self._task):
                chosen = wanted[batch["person"].astype(np.int64)]
                yield from zip(batch["id"][chosen].tolist(), batch["kind"][chosen].tolist(), strict=True)

    def _path(self) -> str:
        """Where the newest question found its events."""
        if self._read_lanes:
            return "lanes"
        return "files" if self._stored is None or self._read_files else "store"

    def stats(self) -> dict[str, object]:
        """What ``--stats`` prints: whatever may differ between runs of the same question."""
        import duckdb

        return {
            "seconds": round(time.monotonic() - self._started, 4),
            **{name: round(seconds, 4) for name, seconds in self._timings.items()},
            "path": self._path(),
            "lanes_bytes": self._lanes.bytes,
            "files": sum(len(source.files) for source in self._sources),
            "rows_in_files": sum(file.rows for source in self._sources for file in source.files),
            "rows_selected": self._rows_read,
            "threads": self._limits.threads,
            "memory_bytes": self._limits.memory_bytes,
            "versions": {
                "workbench": __version__,
                "semantics": SEMANTICS_VERSION,
                "duckdb": duckdb.__version__,
            },
        }


def _without(files: SourceFiles, damaged: Mapping[Path, str]) -> SourceFiles:
    """A source without the files that proved damaged; they are set aside with their reasons."""
    aside = [
        SetAside(file.listed.relative, damaged[file.parquet])
        for file in files.files
        if file.parquet in damaged
    ]
    kept = tuple(file for file in files.files if file.parquet not in damaged)
    return replace(files, files=kept, set_aside=(*files.set_aside, *aside))
