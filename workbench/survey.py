"""The first look over a dataset: who is in it, from when to when, and what is no valid event, counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from queries import people, ranges, rules, units
from queries.expression import compile_value
from queries.question import Note, QuestionError, Schema, Scope, Survey
from queries.suggest import ask, did_you_mean, hint, shown
from workbench.sources.relation import Relation
from workbench.sources.snapshot import SourceFiles
from workbench.store.events import Footing, StoredEvents
from workbench.workspace import Workspace

LATE_MS = 3_600_000
"""A source whose newest event is further behind the newest of all is named."""
DAY_MS = 86_400_000
EARLIEST = "2000-01-01"


class Define(Protocol):
    """Makes a view or table, and keeps its SQL for whoever asks for it."""

    def __call__(self, kind: str, name: str, sql: str, *, made: bool = True) -> None:
        """``made`` False where the relation is there already, from the store."""
        ...


@dataclass(frozen=True, slots=True)
class Ground:
    """What a survey is made over; ``define`` makes a view or table, ``fetch`` asks, in one engine."""

    workspace: Workspace
    scope: Scope
    schema: Schema
    relation: Relation
    sources: tuple[SourceFiles, ...]
    zone: ZoneInfo
    """Of printed times and ``--as-of``."""
    define: Define
    fetch: Callable[[str], list[tuple[object, ...]]]
    progress: Callable[[float | None, str], None]
    stored: StoredEvents | None = None
    """The store of these files: its relations are made already."""

    @property
    def counts_people(self) -> bool:
        """Whether what is counted are people or raw ids, not something that belongs to them."""
        return self.scope.unit in ("user", "raw")

    @property
    def all_events(self) -> str:
        """The relation of all valid events with their person."""
        return "events" if self.counts_people and self.scope.who is None else "person_events"

    @property
    def people_events(self) -> str:
        """The events of the people in scope; what questions read, unless they count something else."""
        if self.counts_people:
            return "events"
        return self.all_events if self.scope.who is None else "chosen_events"


def make_survey(ground: Ground) -> Survey:
    """People, valid rows, as-of, and what was set aside; defines ``people`` and ``events`` on the way.

    Where the files' footers prove every row valid, no time is read; else times are read once more than ids.
    """
    if ground.scope.who is not None:
        # What cannot be asked is refused before anything is read.
        rules.compile_rule(ground.scope.who, _rule_ground(ground, None))
    low, high = valid_times(ground.workspace)
    as_of = None if ground.scope.as_of is None else ranges.parse_moment(ground.scope.as_of, ground.zone)
    before = high if as_of is None else min(high, as_of + 1)
    wanted = f"ts >= {low} AND ts < {before} AND event <> ''"
    if ground.stored is None:
        ground.progress(None, "reading all events once: people, newest event")
        known = ground.relation.certain() if ground.workspace.dedup == "none" else None
        if known is not None and (known.first < low or known.last >= before):
            known = None
        span = None if known is None else (known.rows, known.first, known.last)
        footing = _from_files(ground, None if known else wanted, span, before)
    else:
        footing = ground.stored.footing(ground.relation)
        _identify(ground, wanted if any(map(footing.aside.get, _INVALID)) else None)
    as_of = footing.last if as_of is None else as_of
    people_in, inside = footing.people, footing.rows
    chosen = people_in
    who_notes: list[Note] = []
    if ground.scope.who is not None:
        chosen, inside, who_notes = _choose(ground, ground.scope.who, as_of, people_in)
    unit_count, in_units, unit_notes = _units(ground, chosen, inside, as_of or 0)
    notes = [
        *_file_notes(ground),
        *ground.relation.notes,
        *(
            Note(code, words.format(count=count), "warning", count, sets_aside=True)
            for code, words in _ASIDE.items()
            if (count := footing.aside.get(code, 0))
        ),
        *_duplicates(ground),
        *_lost(ground, footing),
        *_late(ground, footing),
        *who_notes,
        *unit_notes,
    ]
    return Survey(
        rows=in_units,
        people=unit_count,
        codes=footing.codes if ground.counts_people else unit_count,
        first=footing.first,
        last=footing.last,
        as_of=as_of,
        notes=tuple(notes),
        sources=ground.relation.sources,
    )


def _from_files(ground: Ground, valid: str | None, span: tuple[int, int, int] | None, before: int) -> Footing:
    """What the files say of everything; ``span`` is rows, first and last where their footers prove them."""
    people_in, nameless = _identify(ground, valid)
    lost_sql = ground.relation.lost_sql
    found: tuple[int | None, ...] = span or _numbers(
        ground, f"SELECT count(*), min(ts), max(ts) FROM source_events WHERE {valid}"
    )
    # Only where some ids are junk does it take a join to leave their events out.
    rows, first, last = (
        _numbers(ground, f"SELECT count(*), min(ts), max(ts) FROM {ground.all_events}") if nameless else found
    )
    return Footing(
        people=people_in,
        codes=people_in,
        rows=rows or 0,
        first=first,
        last=last,
        aside=_set_aside(ground, before, found[0] or 0, rows or 0, all_valid=span is not None),
        lost=[
            (ground.relation.sources[int(str(place))], str(column), int(str(count)))
            for place, column, count in (ground.fetch(lost_sql) if lost_sql is not None else ())
        ],
        newest=_newest(ground, valid or "TRUE"),
    )


def _identify(ground: Ground, valid: str | None) -> tuple[int, int]:
    """Raw ids → people, as relations; how many people, and how many combinations of ids name nobody.

    Over a store they are there already, all but the relation of events.
    """
    ids = ground.relation.ids
    junk = junk_ids(ground.workspace)
    made = ground.stored is None
    ground.define("TABLE", "raw_ids", people.raw_ids_sql(ids, valid), made=made)
    ground.define("TABLE", "linked_ids", people.linked_sql(ids, junk, unit=ground.scope.unit), made=made)
    ground.define("TABLE", "people", people.people_sql(ids), made=made)
    ground.define("TABLE", "raw_people", people.raw_people_sql(ids), made=made)
    shared = [int(str(kind)) for (kind,) in ground.fetch(people.SHARED_SQL)]
    if shared:
        ground.define(
            "TABLE",
            "shared_events",
            people.shared_events_sql(ids, shared, ground.schema.order, valid),
            made=made,
        )
    ground.define("VIEW", ground.all_events, people.events_sql(ids, valid, shared=bool(shared)))
    if not made:
        return 0, 0
    (count,) = _numbers(ground, "SELECT count(*) FROM people")
    (nameless,) = _numbers(ground, people.NAMELESS_SQL)
    return count or 0, nameless or 0


def _choose(ground: Ground, rule: str, as_of: int | None, people_in: int) -> tuple[int, int, list[Note]]:
    """How many people a rule chooses, how many events they have, and of how many; defines their events."""
    against = _rule_ground(ground, as_of)
    ground.define("TABLE", "chosen_people", rules.compile_rule(rule, against, events=ground.all_events))
    ground.define(
        "VIEW",
        ground.people_events,
        f"SELECT * FROM {ground.all_events}\nWHERE person IN (SELECT person FROM chosen_people)",
    )
    (count,) = _numbers(ground, "SELECT count(*) FROM chosen_people")
    (inside,) = _numbers(ground, f"SELECT count(*) FROM {ground.people_events}")
    known = [str(name) for (name,) in ground.fetch(f"SELECT DISTINCT event FROM {ground.all_events}")]
    counted = "ids" if ground.scope.unit == "raw" else "people"
    notes = [Note("who", f"--who chooses {count or 0:,} of {people_in:,} {counted}", count=count or 0)]
    for name in rules.named_events(rule, against):
        if known and name not in known:
            near = hint(name, known)
            text = f"no event is named {shown(name)} (--who)" + (f"; {near}" if near else "")
            notes.append(Note("event-never-seen", text, "warning"))
    return count or 0, inside or 0, notes


def _rule_ground(ground: Ground, as_of: int | None) -> rules.Ground:
    return rules.Ground(ground.schema, str(ground.zone), as_of)


def _units(ground: Ground, people_in: int, rows: int, as_of: int) -> tuple[int, int, list[Note]]:
    """How many units there are, how many events they have, and what is said about it; defines ``events``."""
    unit = ground.scope.unit
    if ground.counts_people:
        return people_in, rows, []
    notes = []
    if unit == "session":
        notes.append(define_sessions(ground))
        statements = units.session_units(as_of - session_rule(ground.workspace, ground.scope).gap)
    else:
        near = did_you_mean(unit, ("user", "raw", "session", "order"))
        if (
            near
            and not any(unit.casefold() == name.casefold() for name in ground.schema.columns)
            and unit != "order"
        ):
            raise QuestionError(f"--unit {unit}", ask(near))
        name = "order_id" if unit == "order" else unit
        value = compile_value(name, ground.schema, timezone=str(ground.zone)).sql
        statements = units.value_units(ground.people_events, f"CAST({value} AS VARCHAR)")
    for statement in statements:
        ground.define(*statement)
    (count,) = _numbers(ground, "SELECT count(*) FROM units")
    (inside,) = _numbers(ground, "SELECT count(*) FROM events")
    if (inside or 0) < rows:
        text = f"{rows - (inside or 0):,} events have no {unit}: they count for none"
        notes.append(Note("without-unit", text, count=rows - (inside or 0)))
    return count or 0, inside or 0, notes


def define_sessions(ground: Ground) -> Note:
    """Defines ``sessions`` and ``session_events``; says by which rule."""
    base, has = ground.people_events, ground.schema.columns
    rule = session_rule(ground.workspace, ground.scope)
    own: list[int] = []
    if rule.own and "session_id" in has:
        own = [int(str(place)) for (place,) in ground.fetch(units.sources_with_sessions_sql(base))]
    for statement in units.session_statements(
        base, rule, ground.relation.ids, ground.schema.order, own, campaign="campaign" in has
    ):
        ground.define(*statement)
    return Note("session-rule", f"sessions: {rule}")


def session_rule(workspace: Workspace, scope: Scope) -> units.SessionRule:
    """How events become sessions: as asked, else as the workspace says."""
    gap = ranges.parse_duration(scope.session_gap or workspace.sessions.gap)
    if gap is None:
        raise QuestionError("--session-gap none: a session ends some time", "like --session-gap 30m")
    return units.SessionRule(gap, workspace.sessions.cut_on_campaign, own=scope.session_gap is None)


def junk_ids(workspace: Workspace) -> tuple[str, ...]:
    """Words that are no id: the usual ones and the workspace's."""
    return (*people.JUNK_IDS, *(word.strip().lower() for word in workspace.ids.junk))


def _numbers(ground: Ground, sql: str) -> tuple[int | None, ...]:
    """One row of integers."""
    (row,) = ground.fetch(sql)
    return tuple(None if value is None else int(str(value)) for value in row)


def valid_times(workspace: Workspace) -> tuple[int, int]:
    """From when (inclusive) to when (exclusive) a time is believed, in UTC ms; read in the workspace's zone."""
    zone = ranges.zone(workspace.timezone)
    valid = workspace.valid
    low = ranges.resolve(valid.since or EARLIEST, None, None, None, zone).start
    high = None if valid.until is None else ranges.resolve(None, valid.until, None, None, zone).end
    if high is None:
        # The one place the wall clock is read: times after tomorrow are a clock's fault, not events. Whole
        # days, so that the same question asks the same SQL all day.
        high = (int(time.time() * 1000) // DAY_MS + 2) * DAY_MS
    return low or 0, high


def _set_aside(ground: Ground, before: int, with_time: int, kept: int, *, all_valid: bool) -> dict[str, int]:
    """Rows that are no valid events, by reason; each row under the first that holds.

    What lies at ``before`` or later, behind *as of*, is not there yet.
    """
    low, high = valid_times(ground.workspace)
    counts = {"without-id": with_time - kept}
    if not all_valid and _numbers(ground, "SELECT count(*) FROM source_events")[0] != with_time:
        found = _numbers(
            ground,
            "SELECT count(*) FILTER (WHERE ts IS NULL AND NOT ts_given), "
            "count(*) FILTER (WHERE ts IS NULL AND ts_given), "
            f"count(*) FILTER (WHERE ts < {low} OR ts >= {high}), "
            f"count(*) FILTER (WHERE ts >= {low} AND ts < {before} AND coalesce(event, '') = '') "
            "FROM source_events",
        )
        counts |= {name: count or 0 for name, count in zip(_INVALID, found, strict=True)}
    return counts


def _duplicates(ground: Ground) -> Iterator[Note]:
    """How many rows the workspace's rule for duplicates left out: asked for, so no fault of the data."""
    if ground.workspace.dedup == "none":
        return
    rows = _numbers(ground, f"SELECT count(*) FROM (\n{ground.relation.sql}\n)")[0] or 0
    twice = rows - (_numbers(ground, "SELECT count(*) FROM source_events")[0] or 0)
    if twice:
        text = f'{twice:,} duplicates left out: [dedup] rule = "{ground.workspace.dedup}"'
        yield Note("duplicates", text, count=twice)


def _lost(ground: Ground, footing: Footing) -> Iterator[Note]:
    """Values that could not be read as what their column is; they count as missing."""
    with_comma = _with_decimal_comma(ground) if footing.lost else set()
    without_mark = {one.name for one in ground.workspace.sources if one.money_decimal == "."}
    for name, column, count in footing.lost:
        text = f"{count:,} values of {column} in {name} cannot be read and count as missing"
        if column in with_comma and name in without_mark:
            text += ': [source.money] decimal = "," reads 1.234,50'
        yield Note("unreadable-values", text, "warning", count)


def _with_decimal_comma(ground: Ground) -> set[object]:
    """Amounts of which some value that is text has two digits behind a comma."""
    if ground.relation.written_sql is None:
        return set()
    some = "regexp_matches(value, ',[0-9]{2}[^0-9]*$')"
    found = ground.fetch(f"SELECT DISTINCT name FROM (\n{ground.relation.written_sql}\n) WHERE {some}")
    return {name for (name,) in found}


def _newest(ground: Ground, valid: str) -> dict[str, int]:
    """The newest valid event of each source; empty where there is but one."""
    if not _has_several(ground):
        return {}
    return {
        ground.relation.sources[place]: last
        for place, last in ground.fetch(
            f"SELECT source_index, max(ts) FROM source_events WHERE {valid} GROUP BY ALL ORDER BY ALL",
        )
        if isinstance(place, int) and isinstance(last, int)
    }


def _has_several(ground: Ground) -> bool:
    return sum(source.kind != "items" for source in ground.workspace.sources) > 1


def _late(ground: Ground, footing: Footing) -> Iterator[Note]:
    """Sources whose newest event lags behind the newest of all."""
    newest = footing.newest if _has_several(ground) else {}
    for name, last in newest.items():
        behind = max(newest.values()) - last
        if behind > LATE_MS:
            text = (
                f"source {name} ends {ranges.iso(last, ground.zone)}, {_ago(behind)} before the newest event"
            )
            yield Note("late-source", text, "warning")


def _file_notes(ground: Ground) -> Iterator[Note]:
    for source in ground.sources:
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


_INVALID = ("without-time", "unreadable-time", "impossible-time", "without-event")
"""Why a row is no event, whoever did it."""
_ASIDE = {
    "without-time": "{count:,} rows without a time set aside",
    "unreadable-time": "{count:,} rows whose time cannot be read set aside",
    "impossible-time": "{count:,} rows set aside: their time is before 2000 or after tomorrow (or outside [valid])",
    "without-event": "{count:,} rows without an event name set aside",
    "without-id": "{count:,} events without an id of anybody set aside: they count for no person",
}


def _ago(ms: int) -> str:
    """A lag in words: whole days past two days, else hours."""
    hours = ms // 3_600_000
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours" if hours > 1 else "an hour"
