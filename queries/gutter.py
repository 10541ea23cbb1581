"""What each event of a timeline was to a funnel: the step it matched and whether it counted, from an explained person.

An explained event is known by its time and name; events of one person that share both share what is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from queries.question import Row

_TAKEN = ("enters", "reaches")
_ENDS = ("excludes", "breaks")


@dataclass(frozen=True, slots=True)
class Told:
    """What one event did in a funnel."""

    steps: tuple[int, ...]
    """The steps it matches, ascending."""
    counted: int | None
    """The step it is in the attempt that counts; None where it is in none."""
    ended: bool
    """Whether it ended an entry: an exclusion, or another event under strict order."""
    reasons: tuple[str, ...]
    """What it did, in words: once for each entry it concerned."""


Key = tuple[str, str]
"""Time and name of an event, as rows carry them."""


def gutter(rows: Iterable[Row], totals: Mapping[str, object]) -> dict[Key, Told]:
    """By event of an explained person, what it did."""
    attempts = totals.get("attempts")
    times = [one["times"] for one in attempts] if isinstance(attempts, list) else []
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault((str(row["ts"]), str(row["event"])), []).append(row)
    return {key: _told(mine, times) for key, mine in found.items()}


def deepest(told: Mapping[Key, Told]) -> Key | None:
    """The event that counts as the furthest step, the first of several; None where none counts."""
    counted = [(-one.counted, key) for key, one in told.items() if one.counted is not None]
    return min(counted)[1] if counted else None


def _told(rows: list[Row], times: list[list[object]]) -> Told:
    steps: set[int] = set()
    counted: set[int] = set()
    for row in rows:
        matches = row["matches"]
        steps |= set(matches) if isinstance(matches, list) else set()
        step = 1 if row["effect"] == "enters" else row["step"]
        if row["effect"] in _TAKEN and isinstance(step, int):
            counted |= {step} if any(one[step - 1] == row["ts"] for one in times) else set()
    return Told(
        tuple(sorted(steps)),
        max(counted, default=None),
        any(row["effect"] in _ENDS for row in rows),
        tuple(dict.fromkeys(str(row["reason"]) for row in rows)),
    )
