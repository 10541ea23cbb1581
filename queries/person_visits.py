"""Counts one person's events in memory as :mod:`queries.visits` has them counted where they are too many for it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from queries.person_events import SESSION, Events
from queries.seen import BUCKET, Bucket, Seen, Sessions, Span

Booleans = NDArray[np.bool_]
Named = tuple[list[tuple[str, str]], NDArray[np.int64]]
Own = list[tuple[int, int, int, str | None, str | None]]


def sources_seen(events: Events) -> tuple[set[int], set[int]]:
    """The sources there are, and those of which an event has a session's id."""
    has_id = np.fromiter((bool(row[SESSION]) for row in events.rows), np.bool_, len(events))
    return set(events.source.tolist()), set(events.source[has_id].tolist())


def seen(events: Events, own_sources: frozenset[int]) -> Seen:
    """Every event, counted by quarter of an hour and by id."""
    if not len(events):
        return Seen((), {})
    quarters = events.ts // BUCKET
    gapped = _spans(events, quarters, ~np.isin(events.source, sorted(own_sources)))
    said = np.zeros(len(events), np.bool_)
    if "channel" in events.layout.places:
        said = np.fromiter(map(bool, events.column("channel")), np.bool_, len(events))
    told = _spans(events, quarters, said)
    begins = np.flatnonzero(np.diff(quarters, prepend=-1))
    shown = np.add.reduceat(events.shown.astype(np.int64), begins).tolist()
    buckets = [
        Bucket(
            span,
            count,
            gapped.get(quarter),
            None if (one := told.get(quarter)) is None else (one.first, one.last),
        )
        for (quarter, span), count in zip(
            _spans(events, quarters, np.ones(len(events), np.bool_)).items(), shown, strict=True
        )
    ]
    return Seen(tuple(buckets), _ids(events))


def _spans(events: Events, quarters: NDArray[np.int64], chosen: Booleans) -> dict[int, Span]:
    """The chosen events by quarter, in order."""
    ts, its = events.ts[chosen], quarters[chosen]
    begins = np.flatnonzero(np.diff(its, prepend=-1))
    ends = np.append(begins[1:], len(its))
    found = zip(
        its[begins].tolist(),
        (ends - begins).tolist(),
        ts[begins].tolist(),
        ts[ends - 1].tolist() if len(begins) else [],
        strict=True,
    )
    return {quarter: Span(count, first, last) for quarter, count, first, last in found}


def _ids(events: Events) -> dict[tuple[int, str], Span]:
    """The ids there are, junk left out."""
    found: dict[tuple[int, str], Span] = {}
    each = events.combinations[1]
    for code, clean in enumerate(events.clean):
        times = events.ts[each == code]
        span = Span(len(times), int(times[0]), int(times[-1]))
        for place, id in enumerate(clean):
            if id is not None:
                found[place, id] = span if (place, id) not in found else found[place, id].with_(span)
    return found


def own_sessions(named: Named, events: Events) -> Own:
    """First, last, number of events, raw id and id of each session that the export names."""
    names, codes = named
    inside = np.flatnonzero(codes >= 0)
    its = codes[inside]
    first, last = np.empty(len(names), np.int64), np.empty(len(names), np.int64)
    # Events come in the order of time: of what is set twice, the later stays.
    first[its[::-1]], last[its] = events.ts[inside[::-1]], events.ts[inside]
    counts = np.bincount(its, minlength=len(names))
    spans = zip(first.tolist(), last.tolist(), counts.tolist(), names, strict=True)
    return [(begin, end, count, raw_id, name) for begin, end, count, (raw_id, name) in spans]


def named_sessions(events: Events, own_sources: frozenset[int]) -> Named:
    """Raw id and id of each session that the export names, and by event the place of its own, -1 for none."""
    found: dict[tuple[str, str], int] = {}
    codes = np.full(len(events), -1, np.int64)
    if own_sources:
        inside = np.isin(events.source, sorted(own_sources))
        raw = [str(one) for one in events.raw_ids]
        each = compress(zip(events.rows, events.combinations[1].tolist(), strict=True), inside.tolist())
        codes[inside] = [
            found.setdefault((raw[code], str(row[SESSION])), len(found)) if row[SESSION] else -1
            for row, code in each
        ]
    return list(found), codes


def session_numbers(
    named: Named, events: Events, sessions: Sessions, gaps: Mapping[object, int]
) -> NDArray[np.int64]:
    """The number of each event's session, 0 for none; ``gaps`` by place where events in order number them."""
    if sessions.numbered:
        place = events.layout.order.stop - 1
        among = np.fromiter((gaps.get(row[place], 0) for row in events.rows), np.int64, len(events))
    else:
        among = np.searchsorted(np.array(sessions.starts, np.int64), events.ts, "right").astype(np.int64)
    by_gap = np.array([0, *(one.number for one in sessions.by_gap)], np.int64)[among]
    names, codes = named
    by_id = np.array([*(sessions.by_id[name].number for name in names), 0], np.int64)[codes]
    return np.where(np.isin(events.source, sorted(sessions.own_sources)), by_id, by_gap)
