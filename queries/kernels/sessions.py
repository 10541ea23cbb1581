"""Sessions by silence: where one ends and the next begins, of events that lie in reading order.

The rule is that of :mod:`queries.units`: a session begins with a person's first event, after a silence longer than
the gap, and, where campaigns cut, with an event whose campaign is another than the last one the person came by, or
the first. Nothing is looked up across people, so blocks of whole people give the same sessions as all at once: the
``offset`` of a block is the number of sessions before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queries.kernels.ordering import Bools, Ints


@dataclass(frozen=True, slots=True)
class Sessions:
    """The session of each event, in the order of the events."""

    begins: Bools
    """Whether the event is the first of its session."""
    number: Ints
    """The session, from the offset on without a hole: by person, then time."""


@dataclass(frozen=True, slots=True)
class Spans:
    """One row a session, by number; the first row is the session with the number of the offset."""

    person: Ints
    first: Ints
    """UTC ms of its first event."""
    last: Ints
    """UTC ms of its last event."""
    events: Ints


def sessions(person: Ints, ts: Ints, gap: int, *, campaign: Ints | None = None, offset: int = 0) -> Sessions:
    """The sessions of events that lie by person and, of each, in reading order.

    ``ts`` and ``gap`` are in ms; a silence of just the gap does not end a session. ``campaign`` holds codes, −1 for
    none, and is given only where another campaign cuts. ``offset`` is the number of the first session.
    """
    begins = np.ones(len(ts), bool)
    np.greater(ts[1:] - ts[:-1], gap, out=begins[1:])
    begins[1:] |= person[1:] != person[:-1]
    if campaign is not None:
        begins[_arrivals(person, campaign)] = True
    return _numbered(begins, offset)


def spans(person: Ints, ts: Ints, found: Sessions) -> Spans:
    """Whose each session is, when it was and how many events it has; the arrays are those ``found`` came of."""
    starts = np.flatnonzero(found.begins)
    ends = np.append(starts[1:], len(ts))[: len(starts)]
    return Spans(person[starts], ts[starts], ts[ends - 1], ends - starts)


def sessions_of_keys(
    keys: Ints, time_bits: int, base: int, gap: int, *, offset: int = 0
) -> tuple[Sessions, Spans]:
    """The same of ascending keys, person above ``time_bits`` bits of ms since ``base``; campaigns do not cut.

    Only what the keys stand for breaks a silence: for the sessions of the export they are those of all its events.
    """
    begins = np.ones(len(keys), bool)
    # Of one person two keys are as far apart as their times.
    np.greater(keys[1:] - keys[:-1], gap, out=begins[1:])
    begins[1:] |= (keys[1:] ^ keys[:-1]) >> time_bits != 0
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(keys))[: len(starts)]
    times = (1 << time_bits) - 1
    first, last = keys[starts], keys[ends - 1]
    there = Spans(first >> time_bits, (first & times) + base, (last & times) + base, ends - starts)
    return _numbered(begins, offset), there


def _arrivals(person: Ints, campaign: Ints) -> Ints:
    """Places of the events whose campaign differs from the person's last one before, or is the first."""
    named = np.flatnonzero(campaign >= 0)
    whose, which = person[named], campaign[named]
    new = np.ones(len(named), bool)
    new[1:] = (whose[1:] != whose[:-1]) | (which[1:] != which[:-1])
    return named[new]


def _numbered(begins: Bools, offset: int) -> Sessions:
    number = np.cumsum(begins, dtype=np.int64)
    number += offset - 1
    return Sessions(begins, number)
