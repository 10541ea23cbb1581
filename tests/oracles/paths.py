"""Paths by definition: from every anchor event the person's other events are gone through one by one.

Looking before is looking after in a mirror: the session is read from its end and time runs backwards.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

END, OTHER, ANCHOR = -1, -2, -3


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``code`` or ``session`` −1 is none."""

    person: int
    ts: int
    code: int
    session: int


@dataclass(frozen=True, slots=True)
class Options:
    anchors: frozenset[int]
    steps: int
    look: str = "after"
    which: str = "every"
    window: int | None = None
    collapse: bool = False
    kept: frozenset[int] | None = None
    others: str = "other"


@dataclass(frozen=True, slots=True)
class Followed:
    """One occurrence of the anchor, the place of its event, and its path."""

    person: int
    place: int
    path: tuple[int, ...]


def followed(events: Sequence[Event], options: Options) -> list[Followed]:
    """Every occurrence that is followed, by person, session, reading order."""
    scopes: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
    for place, event in enumerate(events):
        label = _label(event.code, options)
        if label is not None and event.session != -1:
            scopes[event.person, event.session].append((place, event.ts, label))
    found = []
    for (person, _), scope in sorted(scopes.items()):
        found += [Followed(person, place, path) for place, path in _of_scope(scope, options)]
    return found


def _label(code: int, options: Options) -> int | None:
    if code < 0:
        return None
    if options.kept is None or code in options.kept or code in options.anchors:
        return code
    return OTHER if options.others == "other" else None


def _of_scope(scope: list[tuple[int, int, int]], options: Options) -> list[tuple[int, tuple[int, ...]]]:
    if options.look == "before":
        scope = [(place, -ts, label) for place, ts, label in reversed(scope)]
    occurrences = {}
    for at, (place, ts, label) in enumerate(scope):
        if label not in options.anchors:
            continue
        near = [
            (code, when)
            for _, when, code in scope[at + 1 :]
            if options.window is None or when - ts <= options.window
        ]
        if options.collapse and near and near[0][0] == label:
            continue  # The visit goes on: its last event is the occurrence.
        path: list[int] = []
        last = label
        for code, _ in near:
            if not (options.collapse and code == last):
                path.append(code)
            last = code
        occurrences[place] = tuple((path + [END] * options.steps)[: options.steps])
    places = sorted(occurrences)
    chosen = {"every": places, "first": places[:1], "last": places[-1:]}[options.which]
    return [(place, occurrences[place]) for place in chosen]


def counted(rows: Sequence[tuple[Hashable, int]]) -> dict[Hashable, tuple[int, int]]:
    """Of each key how often it is there and of how many people; ``rows`` are key and person."""
    times = Counter(key for key, _ in rows)
    whose = defaultdict(set)
    for key, person in rows:
        whose[key].add(person)
    return {key: (count, len(whose[key])) for key, count in times.items()}


def nodes(found: Sequence[Followed]) -> dict[Hashable, tuple[int, int]]:
    """By step and code, the anchor at step 0."""
    return counted(
        [
            ((step, code), one.person)
            for one in found
            for step, code in enumerate((ANCHOR, *one.path))
            if code != END
        ]
    )


def edges(found: Sequence[Followed]) -> dict[Hashable, tuple[int, int]]:
    """By step, from and to."""
    return counted(
        [
            ((step, source, target), one.person)
            for one in found
            for step, (source, target) in enumerate(zip((ANCHOR, *one.path), one.path, strict=False))
            if source != END
        ]
    )
