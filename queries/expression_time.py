"""The wall clock of a zone as SQL: the changes of its clocks are worked out here, not by an engine."""

from __future__ import annotations

from functools import lru_cache

from queries import ranges

_CLOCK_FROM, _CLOCK_TO = 946_684_800, 2_556_144_000
"""2000 to 2051, in seconds: where hours and days of the zone are known; NULL outside."""
_WEEK = 7 * 86_400


def wall_clock(ms: str, timezone: str) -> str:
    """SQL for the wall clock of the zone, in ms, of SQL for UTC ms: a branch a change of the clocks."""
    changes = _offsets(timezone)
    inside = f"{ms} >= {_CLOCK_FROM * 1000} AND {ms} < {_CLOCK_TO * 1000}"
    if len(changes) == 1:
        return f"CASE WHEN {inside} THEN {ms} + {changes[0][1]} END"
    branches = " ".join(
        f"WHEN {ms} < {until * 1000} THEN {ms} + {offset}"
        for (_, offset), (until, _) in zip(changes, [*changes[1:], (_CLOCK_TO, 0)], strict=True)
    )
    return f"CASE WHEN {ms} < {_CLOCK_FROM * 1000} THEN NULL {branches} END"


@lru_cache(maxsize=8)
def _offsets(timezone: str) -> tuple[tuple[int, int], ...]:
    """From which second on (UTC) the zone is how many ms ahead of UTC, ascending."""
    from datetime import UTC, datetime, timedelta

    tz = ranges.zone(timezone)

    def ahead(second: int) -> int:
        offset = datetime.fromtimestamp(second, UTC).astimezone(tz).utcoffset()
        return 0 if offset is None else offset // timedelta(milliseconds=1)

    found = [(_CLOCK_FROM, ahead(_CLOCK_FROM))]
    # No zone has changed its clocks twice within a week since 2000.
    for week in range(_CLOCK_FROM + _WEEK, _CLOCK_TO + _WEEK, _WEEK):
        after = min(week, _CLOCK_TO)
        if ahead(after) == found[-1][1]:
            continue
        low, high = max(after - _WEEK, _CLOCK_FROM), after
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if ahead(middle) == found[-1][1] else (low, middle)
        found.append((high, ahead(high)))
    return tuple(found)
