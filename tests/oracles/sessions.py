"""Sessions by definition: each person's events are read one by one, and what begins a session is asked of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One event, times in ms; ``campaign`` is empty where it has none."""

    person: int
    ts: int
    campaign: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    person: int
    events: tuple[int, ...]
    """Where they stand in what was given."""


def sessions(events: Sequence[Event], gap: int, *, cut_on_campaign: bool) -> list[Session]:
    """The sessions of events in reading order, by person, then time."""
    found: list[Session] = []
    for person in sorted({event.person for event in events}):
        mine = [place for place, event in enumerate(events) if event.person == person]
        current: list[int] = []
        came_by = ""
        for place in mine:
            event = events[place]
            silent = bool(current) and event.ts - events[current[-1]].ts > gap
            other = cut_on_campaign and event.campaign != "" and event.campaign != came_by
            if current and (silent or other):
                found.append(Session(person, tuple(current)))
                current = []
            current.append(place)
            came_by = event.campaign or came_by
        found.append(Session(person, tuple(current)))
    return found
