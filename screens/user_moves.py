"""Where the cursor of a timeline goes: sessions, silences, matches, and back to an event in another answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from queries import activity
from queries.question import Row

if TYPE_CHECKING:
    from workbench.tables import Table

Key = tuple[str, str, str]
"""An event's time, name and properties."""


def key_of(row: Row) -> Key:
    """What tells an event from others of the person; two that are alike in all of it are told as one."""
    held = json.dumps(row.get("properties"), sort_keys=True, default=str)
    return str(row["ts"]), str(row["event"]), held


def keys_of(rows: Iterable[Row]) -> frozenset[Key]:
    """The events of some rows."""
    return frozenset(map(key_of, rows))


def next_session(table: Table, place: int, step: int) -> int | None:
    """The first row of the next session in sight, or of the one before, as they stand in the table."""
    starts = [int(one) for one in table.key_runs("session")]
    if step > 0:
        return next((one for one in starts if one > place), None)
    return next((one for one in reversed(starts) if one < place), None)


def next_row(table: Table, place: int, step: int, wanted: Callable[[Row], bool]) -> int | None:
    """The next row for which something is true, without going round."""
    at = place + step
    while 0 <= at < len(table):
        if wanted(table.row(at)):
            return at
        at += step
    return None


def is_silence(row: Row, seconds: float) -> bool:
    """Whether an event ended a silence of at least so many seconds."""
    since = row.get("since_previous_seconds")
    return isinstance(since, int | float) and since >= seconds


def place_of(table: Table, sought: Row) -> int | None:
    """Where an event stands in a table; only rows of its day are read."""
    key = key_of(sought)
    starts = [int(one) for one in table.key_runs("day")]
    for start, end in zip(starts, [*starts[1:], len(table)], strict=True):
        if table.row(start)["day"] != sought["day"]:
            continue
        for at, row in enumerate(table.rows(start, end), start):
            if row["ts"] == sought["ts"] and key_of(row) == key:
                return at
    return None


def place_when(table: Table, ts: str, event: str) -> int | None:
    """Where the first event of a time and name stands; only rows of its day are read."""
    starts = [int(one) for one in table.key_runs("day")]
    for start, end in zip(starts, [*starts[1:], len(table)], strict=True):
        if table.row(start)["day"] == ts[:10]:
            for at, row in enumerate(table.rows(start, end), start):
                if (row["ts"], row["event"]) == (ts, event):
                    return at
    return None


def session_beyond(
    sessions: Iterable[Mapping[str, object]], span: activity.Span, *, later: bool
) -> int | None:
    """When the nearest session outside a span has its nearest event; UTC ms."""
    if later:
        firsts = [activity.moment(str(one["first_seen"])) for one in sessions]
        return min((ms for ms in firsts if ms >= span.end), default=None)
    lasts = [activity.moment(str(one["last_seen"])) for one in sessions]
    return max((ms for ms in lasts if ms < span.start), default=None)
