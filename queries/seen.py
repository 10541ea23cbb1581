"""What is counted of one person's events: quarters of an hour, ids, sessions."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

BUCKET = 900_000
"""ms; days of every zone begin at a multiple of it."""


@dataclass(frozen=True, slots=True)
class Span:
    """How many events, from when to when; UTC ms."""

    events: int
    first: int
    last: int

    def with_(self, other: Span) -> Span:
        """Both together."""
        return Span(self.events + other.events, min(self.first, other.first), max(self.last, other.last))


@dataclass(frozen=True, slots=True)
class Bucket:
    """The events of a quarter of an hour; times are UTC ms."""

    all: Span
    shown: int
    """Of the events, those a timeline shows."""
    gapped: Span | None
    """The events whose session ends by a gap."""
    channel: tuple[int, int] | None
    """The first and the last time a channel is said."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One person's events, counted once."""

    buckets: tuple[Bucket, ...]
    """In order."""
    ids: dict[tuple[int, str], Span]
    """By the place of the kind in the order of trust and the id, junk left out."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session; ``id`` is the export's, None where a gap ends it."""

    number: int
    """From 1, by when they began."""
    raw_id: str | None
    id: str | None
    first: int
    last: int
    events: int


@dataclass(frozen=True, slots=True)
class Sessions:
    """A person's sessions and the way from an event to its own."""

    all: tuple[Session, ...]
    own_sources: frozenset[int]
    by_id: dict[tuple[str, str], Session]
    by_gap: tuple[Session, ...]
    """In order."""
    starts: tuple[int, ...]
    numbered: bool
    """Whether an event's place among those by gap comes with it; else its time tells."""

    def of(self, source: int, raw_id: object, id: object, ts: int, number: int) -> Session | None:
        """The session of an event; None for one without an id in a source that has them."""
        if source in self.own_sources:
            return self.by_id.get((str(raw_id), str(id))) if id else None
        place = number if self.numbered else bisect_right(self.starts, ts)
        return self.by_gap[place - 1] if place else None
