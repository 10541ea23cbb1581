"""Lanes: for each event name one ascending array of person and time; their shape, and what is asked of them.

A key is ``person << time_bits | milliseconds since a base``. Who makes lanes and where they lie is no business
of those who fold them (:mod:`queries.kernels.lanes_fold`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from queries.kernels.ordering import Ints
from queries.kernels.rule import Rule

TIME_BITS = 36
"""795 days."""
PERSON_BITS = 27
"""134 million codes, less one."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """The lanes of some event names or conditions; where they lie, in memory or mapped, is their maker's business."""

    base: int
    """The time of offset 0, ms."""
    keys: Mapping[str, Ints]
    """By event name or :func:`condition`, ascending; one that no event has is an empty lane."""
    time_bits: int = TIME_BITS
    ties: Ints | None = None
    """Keys, ascending and distinct, among which are all that two or more events of these lanes share; None where
    that is not known."""


@dataclass(frozen=True, slots=True)
class Funnel:
    """A funnel of event names and conditions; no event is in two of its lanes."""

    rule: Rule
    steps: tuple[tuple[str, ...], ...]
    excludes: tuple[tuple[str, ...], ...] = ()
    low: int | None = None
    high: int | None = None
    """Only events with times in ``[low, high)`` are there."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every event name, once."""
        return tuple(dict.fromkeys(name for some in (*self.steps, *self.excludes) for name in some))

    def bits(self, name: str) -> tuple[int, int]:
        """The steps and the exclusions that an event of a name matches."""
        return (
            sum(1 << place for place, names in enumerate(self.steps) if name in names),
            sum(1 << place for place, names in enumerate(self.excludes) if name in names),
        )


_CONDITION = "\0"


def condition(sql: str) -> str:
    """The name of the lane of all events that meet a condition, as SQL over ``events``."""
    return _CONDITION + sql


def condition_of(name: str) -> str | None:
    """The condition of a lane; None for that of an event name."""
    return name[len(_CONDITION) :] if name.startswith(_CONDITION) else None


def fits(
    codes: int, first: int, last: int, *, time_bits: int = TIME_BITS, person_bits: int = PERSON_BITS
) -> bool:
    """Whether keys hold codes below ``codes`` and times in ``[first, last]``.

    The last code stays free, so that no key and a window add up to more than an int64.
    """
    return codes < 1 << person_bits and last - first < 1 << time_bits


def key(person: Ints, ts: Ints, base: int, time_bits: int = TIME_BITS) -> Ints:
    """Events as keys, in their order."""
    return (person << time_bits) | (ts - base)
