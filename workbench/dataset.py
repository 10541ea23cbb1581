"""The events at hand, as a question sees them: one pinned listing, one engine, one survey.

:class:`Dataset` implements :class:`queries.question.Data`. It is opened for a scope, answers that scope's
questions, and is closed; nothing of it outlives the listing it was made from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar, overload
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from queries import people, ranges
from queries.funnel_table import parse_cell
from queries.question import Column, Columns, Note, QuestionError, Result, Row, Schema, Scope, Shown, Survey
from queries.quoting import quote_identifier
from workbench import SEMANTICS_VERSION, __version__
from workbench.engine import Engine
from workbench.errors import Changed, Damaged, EngineDied, NoData, UsageError
from workbench.limits import Limits, limits
from workbench.runner import Task
from workbench.sources.probing import verify
from workbench.sources.reading import snapshot
from workbench.sources.relation import relation
from workbench.sources.snapshot import SetAside, SourceFiles
from workbench.workspace import Workspace, find, from_paths, load

LATE_MS = 3_600_000
"""A source whose newest event is further behind the newest of all is named."""
DAY_MS = 86_400_000
EARLIEST = "2000-01-01"

_UNITS = ("user", "raw")
_BYTES_A_SELECTED_EVENT = 160
"""What an event costs in a fold at its worst: its columns, their sorted copies and the kernel's buffers."""


T = TypeVar("T")


def asked(
    scope: Scope,
    task: Task,
    question: Callable[[Dataset], T],
    *,
    memory: str | None = None,
    threads: int | None = None,
) -> tuple[Dataset, T]:
    """Opens a scope's dataset and asks it a question; answer and dataset belong together.

    Where files changed meanwhile it is asked once more over a new listing, and where a file proves damaged
    only when its values are read, once more without that file.
    """
    damaged: dict[Path, str] = {}
    changed = False
    while True:
        dataset = opened(scope, task, memory=memory, threads=threads, damaged=damaged)
        try:
            return dataset, question(dataset)
        except Changed:
            if changed:
                raise
            changed = True
        except (Damaged, EngineDied):
            found = dataset.find_damaged()
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
) -> Dataset:
    """The dataset of a scope: ``--data``, else the workspace of this folder or its parents.

    ``damaged`` files, with their reasons, are set aside. Raises :class:`NoData` with what to do when there is
    neither.
    """
    if scope.data:
        workspace = from_paths(scope.data, scope.mapping)
    else:
        file = find(Path.cwd())
        if file is None:
            raise NoData(
                "no workbench.toml in this folder or its parents",
                "name files with --data PATH, make a workspace with `workbench init PATH`, "
                "or try `workbench demo shop`",
            )
        workspace = load(file)
    return Dataset(workspace, scope, task, limits(memory, threads), damaged)


class Dataset:
    """Everything a scope's questions read, listed once and surveyed once."""

    def __init__(
        self,
        workspace: Workspace,
        scope: Scope,
        task: Task,
        limits: Limits,
        damaged: Mapping[Path, str] = MappingProxyType({}),
    ) -> None:
        if scope.unit not in _UNITS:
            raise QuestionError(
                f"--unit {scope.unit} is not in this version yet", f"it has: {', '.join(_UNITS)}"
            )
        self.workspace = workspace
        self.scope = scope
        self._task = task
        self._limits = limits
        self._started = time.monotonic()
        self._timings: dict[str, float] = {}
        self._zone = ranges.zone(scope.tz or workspace.timezone)
        self._sources = tuple(_without(files, damaged) for files in self._list())
        self._engine = self._new_engine()
        self._relation = relation(workspace, self._sources, self.fetch)
        self._schema = Schema(
            columns={
                column.name: column
                for column in (Column("ts", "time"), Column("event", "text"), *self._relation.columns)
            },
            money_decimals=self._relation.money_decimals,
            roles=self._relation.roles,
            order=tuple(name for name in ("fine", "sequence", "place") if name in self._relation.fixed),
        )
        self._script: list[str] = []
        self._define("VIEW", "source_events", self._deduplicated())
        if self._relation.items_sql is not None:
            self._define("VIEW", "items", self._relation.items_sql)
        self._surveyed: Survey | None = None
        self._rows_read = 0

    # --- opening ------------------------------------------------------------------------------------------

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
            )
            for source in self.workspace.sources
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

    def _new_engine(self) -> Engine:
        folders = {folder for source in self._sources for folder in source.folders}
        files = [file.parquet for source in self._sources for file in source.files]
        return Engine(sorted(folders), limits=self._limits, files=files)

    def _deduplicated(self) -> str:
        """The relation under the workspace's rule for duplicates; of equal rows the first in the export stays."""
        rule, sql = self.workspace.dedup, self._relation.sql
        if rule == "none":
            return sql
        columns = [name for name in self._column_names() if name not in ("place", "source_index")]
        if rule == "event_id":
            if "event_id" not in columns:
                raise UsageError('[dedup] rule = "event_id": no source maps event_id', 'map it, or use "row"')
            columns = ["event_id"]
        alike = ", ".join(quote_identifier(name) for name in columns)
        keep = "event_id IS NULL OR " if rule == "event_id" else ""
        return (
            f"SELECT * FROM (\n{sql}\n)\n"
            f"QUALIFY {keep}row_number() OVER (PARTITION BY {alike} ORDER BY place) = 1"
        )

    def _column_names(self) -> list[str]:
        return [*self._relation.fixed, *(column.name for column in self._relation.columns)]

    def _define(self, kind: str, name: str, sql: str) -> None:
        """A relation of the in-memory catalog, kept for ``--sql`` in the order it was made."""
        statement = f"CREATE OR REPLACE {kind} {name} AS\n{sql}"
        self._engine.execute(statement, task=self._task)
        self._script.append(statement)

    # --- survey -------------------------------------------------------------------------------------------

    def survey(self) -> Survey:
        """One pass over everything valid: people, as-of, what was set aside. Made at the first call."""
        if self._surveyed is None:
            self._surveyed = self._make_survey()
        return self._surveyed

    def _make_survey(self) -> Survey:
        began = time.monotonic()
        ids = self._relation.ids
        low, high = self._valid_times()
        as_of = None if self.scope.as_of is None else ranges.parse_moment(self.scope.as_of, self._zone)
        before = high if as_of is None else min(high, as_of + 1)
        known = self._relation.certain
        if known is not None and (
            known.first < low or known.last >= before or self.workspace.dedup != "none"
        ):
            known = None
        valid = None if known is not None else f"ts >= {low} AND ts < {before} AND event <> ''"
        self.progress(None, "reading all events once: people, newest event")
        self._define("TABLE", "raw_ids", people.raw_ids_sql(ids, valid))
        junk = (*people.JUNK_IDS, *(word.strip().lower() for word in self.workspace.ids.junk))
        self._define("TABLE", "linked_ids", people.linked_sql(ids, junk, unit=self.scope.unit))
        self._define("TABLE", "people", people.PEOPLE_SQL)
        self._define("TABLE", "raw_people", people.raw_people_sql(ids))
        self._define("VIEW", "events", people.events_sql(ids, valid))
        units, nameless = self._numbers("SELECT count(*) FROM people"), self._numbers(people.NAMELESS_SQL)
        with_time: list[int | None] = [known.rows, known.first, known.last] if known is not None else []
        if known is None:
            with_time = self._numbers(f"SELECT count(*), min(ts), max(ts) FROM source_events WHERE {valid}")
        # Only where some ids are junk does it take a join to leave their events out.
        rows, first, last = (
            self._numbers("SELECT count(*), min(ts), max(ts) FROM events") if nameless[0] else with_time
        )
        notes = [
            *self._file_notes(),
            *self._relation.notes,
            *self._set_aside(low, high, with_time[0] or 0, rows or 0, all_valid=known is not None),
            *self._duplicates(),
            *self._lost(),
            *self._late(valid or "TRUE"),
        ]
        self._timings["survey_seconds"] = time.monotonic() - began
        return Survey(
            rows=rows or 0,
            people=units[0] or 0,
            first=first,
            last=last,
            as_of=last if as_of is None or last is None else as_of,
            notes=tuple(notes),
            sources=self._relation.sources,
        )

    def _numbers(self, sql: str) -> list[int | None]:
        """One row of integers."""
        row = self._engine.fetch(sql, task=self._task)[0]
        return [None if value is None else int(str(value)) for value in row]

    def _valid_times(self) -> tuple[int, int]:
        valid = self.workspace.valid
        low = _moment(valid.since or EARLIEST, self._zone)
        if valid.until is not None:
            high = ranges.resolve(None, valid.until, None, None, self._zone).end
            return low, low if high is None else high
        # The one place the wall clock is read: times after tomorrow are faults of a clock, not events.
        return low, int(time.time() * 1000) + DAY_MS

    def _set_aside(
        self, low: int, high: int, with_time: int, kept: int, *, all_valid: bool
    ) -> Iterator[Note]:
        """Rows that are no valid events, by reason; each row under the first that holds."""
        counts = {"without-id": with_time - kept}
        if not all_valid and self._numbers("SELECT count(*) FROM source_events")[0] != with_time:
            found = self._numbers(
                "SELECT count(*) FILTER (WHERE ts IS NULL AND NOT ts_given), "
                "count(*) FILTER (WHERE ts IS NULL AND ts_given), "
                f"count(*) FILTER (WHERE ts < {low} OR ts >= {high}), "
                f"count(*) FILTER (WHERE ts >= {low} AND ts < {high} AND coalesce(event, '') = '') "
                "FROM source_events"
            )
            names = ("without-time", "unreadable-time", "impossible-time", "without-event")
            counts = {name: count or 0 for name, count in zip(names, found, strict=True)} | counts
        for code, count in counts.items():
            if count:
                yield Note(code, _ASIDE[code].format(count=count), "warning", count, sets_aside=True)

    def _duplicates(self) -> Iterator[Note]:
        """How many rows the workspace's rule for duplicates left out: asked for, so no fault of the data."""
        if self.workspace.dedup == "none":
            return
        rows = self._numbers(f"SELECT count(*) FROM (\n{self._relation.sql}\n)")[0] or 0
        twice = rows - (self._numbers("SELECT count(*) FROM source_events")[0] or 0)
        if twice:
            text = f'{twice:,} duplicates left out: [dedup] rule = "{self.workspace.dedup}"'
            yield Note("duplicates", text, count=twice)

    def _lost(self) -> Iterator[Note]:
        """Values that could not be read as what their column is; they count as missing."""
        if self._relation.lost_sql is None:
            return
        for place, column, count in self._engine.fetch(self._relation.lost_sql, task=self._task):
            name = self._relation.sources[int(str(place))]
            text = f"{int(str(count)):,} values of {column} in {name} cannot be read and count as missing"
            yield Note("unreadable-values", text, "warning", int(str(count)))

    def _late(self, valid: str) -> Iterator[Note]:
        """Sources whose newest event lags behind the newest of all."""
        if len(self._relation.sources) < 2:
            return
        newest = {
            str(self._relation.sources[place]): last
            for place, last in self._engine.fetch(
                f"SELECT source_index, max(ts) FROM source_events WHERE {valid} GROUP BY ALL ORDER BY ALL",
                task=self._task,
            )
            if isinstance(place, int) and isinstance(last, int)
        }
        for name, last in newest.items():
            behind = max(newest.values()) - last
            if behind > LATE_MS:
                text = f"source {name} ends {ranges.iso(last, self._zone)}, {_ago(behind)} before the newest event"
                yield Note("late-source", text, "warning")

    def _file_notes(self) -> Iterator[Note]:
        for source in self._sources:
            told = [aside for aside in source.set_aside if aside.state != "ignored"]
            if told:
                names = "; ".join(f"{Path(aside.path).name}: {aside.reason}" for aside in told[:5])
                more = f"; and {len(told) - 5} more" if len(told) > 5 else ""
                files = "file" if len(told) == 1 else "files"
                text = f"{len(told)} {files} of {source.name} set aside: {names}{more}"
                yield Note("files-set-aside", text, "warning", len(told), sets_aside=True)
            rejected = sum(file.rejected for file in source.files)
            if rejected:
                examples = [
                    f"{file.listed.path.name} {example}"
                    for file in source.files
                    for example in file.rejected_examples
                ]
                text = f"{rejected:,} lines of {source.name} could not be read: {'; '.join(examples[:3])}"
                yield Note("lines-rejected", text, "warning", rejected, sets_aside=True)
            for text in source.notes:
                yield Note("source", text)

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
        """Half of the memory limit, in selected events; the other half is the engine's."""
        return self._limits.memory_bytes // 2 // _BYTES_A_SELECTED_EVENT

    def stream(self, sql: str, parameters: Mapping[str, object] | None = None) -> Iterator[Columns]:
        """Batches of a query, in no order unless the SQL gives one."""
        for batch in self._engine.stream(sql, parameters, self._task):
            self._rows_read += len(next(iter(batch.values()), ()))
            yield batch

    def fetch(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[object, ...]]:
        """A small answer, whole."""
        return self._engine.fetch(sql, parameters, self._task)

    def remember(self, name: str, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Keeps a query's answer as a table for later SQL of the same question."""
        self._engine.execute(
            f"CREATE OR REPLACE TABLE {quote_identifier(name)} AS\n{sql}", parameters, self._task
        )

    def progress(self, fraction: float | None, what: str) -> None:
        """Says how far the question is; raises when it was cancelled or ran out of time."""
        self._task.report(fraction, what)
        self._task.check()

    # --- for the faces --------------------------------------------------------------------------------------

    def serve(self, task: Task) -> None:
        """From now on this task cancels what the dataset does."""
        self._task = task

    @property
    def source_folders(self) -> tuple[Path, ...]:
        """Folders the data lies in: no export goes there."""
        folders = {file.listed.path.parent for source in self._sources for file in source.files}
        return tuple(sorted(folders))

    def script(self, statements: Sequence[str]) -> str:
        """All SQL of a question, from the files to its rows, ready to paste into DuckDB."""
        return "\n\n".join(f"{statement};" for statement in (*self._script, *statements)) + "\n"

    def people_of(self, result: Result, cell: str) -> Result:
        """The people behind a cell of a result, as a result of its own: one row a person."""
        if result.people is None:
            raise QuestionError(f"--users: {result.report} has no cells with people")
        codes = result.people.codes(parse_cell(cell))
        return Result(
            report="users",
            request=result.request,
            rows=PeopleRows(self, codes),
            totals={"users": len(codes)},
            notes=result.notes,
            meta={**result.meta, "cell": cell},
            layout=(Shown("user", "user"), Shown("kind", "id kind")),
            rule=f"people behind {cell} of: {result.rule}",
            sql=result.sql,
        )

    def ids_of(self, codes: NDArray[np.int64]) -> Iterator[tuple[str, str]]:
        """Id and kind of people, in the order of their ids."""
        wanted = np.zeros(int(codes[-1]) + 1 if len(codes) else 0, bool)
        wanted[codes] = True
        sql = f"SELECT person, id, kind FROM people WHERE person < {len(wanted)} ORDER BY kind DESC, id"
        for batch in self._engine.stream(sql, task=self._task):
            chosen = wanted[batch["person"].astype(np.int64)]
            yield from zip(batch["id"][chosen].tolist(), batch["kind"][chosen].tolist(), strict=True)

    def stats(self) -> dict[str, object]:
        """What ``--stats`` prints: whatever may differ between runs of the same question."""
        import duckdb

        return {
            "seconds": round(time.monotonic() - self._started, 4),
            **{name: round(seconds, 4) for name, seconds in self._timings.items()},
            "path": "files",
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


class PeopleRows(Sequence[Row]):
    """Rows of people, their ids read when they are written: millions need no list."""

    def __init__(self, dataset: Dataset, codes: NDArray[np.int64]) -> None:
        self._dataset = dataset
        self._codes = codes

    def __len__(self) -> int:
        return len(self._codes)

    def __iter__(self) -> Iterator[Row]:
        for name, kind in self._dataset.ids_of(self._codes):
            yield {"user": name, "kind": kind}

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        return list(self)[index]


_ASIDE = {
    "without-time": "{count:,} rows without a time set aside",
    "unreadable-time": "{count:,} rows whose time cannot be read set aside",
    "impossible-time": "{count:,} rows set aside: their time is before 2000 or after tomorrow (or outside [valid])",
    "without-event": "{count:,} rows without an event name set aside",
    "without-id": "{count:,} events without an id of anybody set aside: they count for no person",
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


def _moment(text: str, zone: ZoneInfo) -> int:
    """The lower bound of valid times in UTC ms."""
    bound = ranges.resolve(text, None, None, None, zone).start
    return 0 if bound is None else bound


def _ago(ms: int) -> str:
    """A lag in words: whole days past two days, else hours."""
    hours = ms // 3_600_000
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours" if hours > 1 else "an hour"
