"""What people do next, or did before: the paths from an anchor event, counted, with the people behind each.

An anchor is an event or page that is asked about. From each of its occurrences the next codes are read, as far as
the session and the window go: a *path*. Paths are counted in occurrences and in people, and so are the nodes and edges
that they share, as a Sankey diagram draws them; whose each occurrence is comes of the same pass. Everything is
of whole people: results of disjoint people add up (:func:`merge`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from queries.kernels.block import firsts, lasts
from queries.kernels.ordering import Bools, Ints, distinct

END = -1
"""The code behind a path's last: the session, or the window, was over. Looking before: it had just begun."""
OTHER = -2
"""The code of all that is not kept."""
ANCHOR = -3
"""The code of the occurrence itself, at step 0 of nodes and edges."""

_MOST_KEY = 1 << 62
_TABLE = 1 << 16
"""Keys below this, or below the number of rows, are ranked by a table and not by sorting."""


@dataclass(frozen=True, slots=True)
class PathRule:
    """Which occurrences are followed, and how."""

    anchors: frozenset[int]
    steps: int
    """How many codes a path has, 1 or more."""
    look: Literal["after", "before"] = "after"
    which: Literal["first", "every", "last"] = "every"
    """Of the occurrences in a session, or of a person where there are no sessions."""
    window: int | None = None
    """ms, inclusive, between the occurrence and whatever is on its path; None: no bound but the session's end."""
    collapse: bool = False
    """Whether events of one code in a row, no two further apart than the window, are one visit.

    A visit of an anchor is one occurrence; the window runs from its end looking after, from its beginning looking
    before.
    """
    kept: frozenset[int] | None = None
    """The codes that are told apart, besides the anchors; None: all."""
    others: Literal["other", "skip"] = "other"
    """What becomes of the rest: it is :data:`OTHER`, or as if it never happened."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many went through each node or edge; by step, most occurrences, codes."""

    step: Ints
    """0 for the anchor; of an edge the step it leads from."""
    codes: Ints
    """``(rows, 1)`` of a node, ``(rows, 2)`` of an edge: from, to."""
    occurrences: Ints
    people: Ints


@dataclass(frozen=True, slots=True)
class Paths:
    """The distinct paths, most occurrences first, then by codes; and what they add up to."""

    codes: Ints
    """``(paths, steps)``, nearest to the anchor first; behind :data:`END` there is nothing but it."""
    occurrences: Ints
    people: Ints
    nodes: Tally
    """Without :data:`END`. Row 0, where there is any: all occurrences and all people."""
    edges: Tally
    """Every node before the last step has as many occurrences as its edges, of which one may lead to :data:`END`."""
    person: Ints
    """Of each occurrence; by person, session, reading order."""
    place: Ints
    """Where its event stands among those given: the last of its visit looking after, the first looking before."""
    path: Ints
    """The row of its path."""


@dataclass(frozen=True, slots=True)
class _Visits:
    """What happened, without what is left out: one row an event, or a run of one code."""

    person: Ints
    scope: Ints
    """Rises where a person's session does, or a person begins."""
    code: Ints
    begin: Ints
    end: Ints
    place: Ints
    """Of the event that stands for it."""


def follow(
    person: Ints, ts: Ints, code: Ints, rule: PathRule, *, session: Ints | None = None, offset: int = 0
) -> Paths:
    """The paths of events that lie by person and, of each, in reading order.

    ``ts`` is in ms. An event of a negative ``code`` has none and is passed over. ``session`` numbers the sessions,
    each of one person, −1 for an event in none, which is passed over too; those of one person may overlap. Without
    it all of a person's events are one session. ``offset`` is the place of the first event. Of many events it is
    quickest, and smallest, in blocks of whole people, a million events or fewer each. Raises ValueError for
    paths without a step.
    """
    if rule.steps < 1:
        raise ValueError("a path has one step or more")
    visits = _visits(person, ts, code, rule, session)
    starts = _occurrences(visits, rule)
    columns = _next(visits, starts, rule)
    whose = visits.person[starts]
    path, one_of = _ranked(columns)
    codes = columns[:, one_of].T
    occurrences = np.bincount(path, minlength=len(codes))
    number = np.cumsum(_changes(whose)) - 1
    people = int(number[-1]) + 1 if len(number) else 0
    pairs = _distinct_pairs(path, number, people)
    counts = np.bincount(pairs[0], minlength=len(codes))
    nodes = [_tally(codes, step, 1, occurrences, pairs, people) for step in range(rule.steps + 1)]
    edges = [_tally(codes, step, 2, occurrences, pairs, people) for step in range(rule.steps)]
    return _sorted(
        Paths(
            codes,
            occurrences,
            counts,
            _summed(nodes),
            _summed(edges),
            whose,
            visits.place[starts] + offset,
            path,
        )
    )


def merge(parts: Sequence[Paths], steps: int) -> Paths:
    """The paths of disjoint people, each found with paths of ``steps``, as those of all; people in turn."""
    none = np.empty(0, np.int64)
    codes = np.concatenate([np.empty((0, steps), np.int64), *(part.codes for part in parts)])
    rank, one_of = _ranked(codes.T)
    before = np.cumsum([0, *(len(part.codes) for part in parts)])
    path = [rank[part.path + at] for part, at in zip(parts, before[:-1], strict=True)]
    return _sorted(
        Paths(
            codes[one_of],
            _sums(rank, np.concatenate([none, *(part.occurrences for part in parts)]), len(one_of)),
            _sums(rank, np.concatenate([none, *(part.people for part in parts)]), len(one_of)),
            _summed([_no_tally(1), *(part.nodes for part in parts)]),
            _summed([_no_tally(2), *(part.edges for part in parts)]),
            np.concatenate([none, *(part.person for part in parts)]),
            np.concatenate([none, *(part.place for part in parts)]),
            np.concatenate([none, *path]),
        )
    )


def behind(paths: Paths, codes: Sequence[int | None]) -> tuple[Ints, Ints]:
    """The person and place of each occurrence whose path begins with some codes; None is any code.

    ``(a, b)`` is a prefix, ``(None, b)`` the node b at step 2, ``(None, b, c)`` the edge from it to c.
    Raises ValueError where paths are not that long.
    """
    if len(codes) > paths.codes.shape[1]:
        raise ValueError(f"paths have {paths.codes.shape[1]} steps")
    meant = np.ones(len(paths.codes), bool)
    for step, code in enumerate(codes):
        if code is not None:
            meant &= paths.codes[:, step] == code
    rows = meant[paths.path]
    return paths.person[rows], paths.place[rows]


def _visits(person: Ints, ts: Ints, code: Ints, rule: PathRule, session: Ints | None) -> _Visits:
    """What a rule sees of the events, session by session."""
    there, code = _seen(code, rule)
    if session is not None:
        there &= session >= 0
    place = np.flatnonzero(there)
    if session is not None and _overlap(person[place], session[place]):
        place = place[np.lexsort((session[place], person[place]))]
    person, ts, code = person[place], ts[place], code[place]
    new = _changes(person)
    if session is not None:
        new |= _changes(session[place])
    scope = np.cumsum(new, dtype=np.int64)
    if not rule.collapse:
        return _Visits(person, scope, code, ts, ts, place)
    new |= _changes(code)
    if rule.window is not None:
        new[1:] |= ts[1:] - ts[:-1] > rule.window
    start = np.flatnonzero(new)
    end = np.append(start[1:], len(new))[: len(start)] - 1
    stands = end if rule.look == "after" else start
    return _Visits(person[start], scope[start], code[start], ts[start], ts[end], place[stands])


def _seen(code: Ints, rule: PathRule) -> tuple[Bools, Ints]:
    """Which events a rule sees, and as what."""
    there = code >= 0
    if rule.kept is None:
        return there, code
    told = np.isin(code, np.array(sorted(rule.kept | rule.anchors), np.int64))
    if rule.others == "skip":
        return there & told, code
    return there, np.where(told, code, OTHER)


def _overlap(person: Ints, session: Ints) -> bool:
    """Whether sessions of one person do not lie one behind the other."""
    return bool(np.any((session[1:] < session[:-1]) & (person[1:] == person[:-1])))


def _occurrences(visits: _Visits, rule: PathRule) -> Ints:
    """The visits that paths lead from."""
    found = np.flatnonzero(np.isin(visits.code, np.array(sorted(rule.anchors), np.int64)))
    if rule.which == "every":
        return found
    scope = visits.scope[found]
    return found[firsts(scope) if rule.which == "first" else lasts(scope)]


def _next(visits: _Visits, starts: Ints, rule: PathRule) -> Ints:
    """The codes on the path of each occurrence, ``(steps, occurrences)``."""
    columns = np.full((rule.steps, len(starts)), END, np.int64)
    rows, at = np.arange(len(starts)), starts
    for column in columns:
        to = at + 1 if rule.look == "after" else at - 1
        inside = (to >= 0) & (to < len(visits.code))
        rows, to = rows[inside], to[inside]
        origin = starts[rows]
        reached = visits.scope[to] == visits.scope[origin]
        if rule.window is not None:
            after = rule.look == "after"
            away = visits.begin[to] - visits.end[origin] if after else visits.begin[origin] - visits.end[to]
            reached &= away <= rule.window
        rows, at = rows[reached], to[reached]
        column[rows] = visits.code[at]
    return columns


def _changes(values: Ints) -> Bools:
    """Whether each value differs from the one before; the first does."""
    new = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return new


def _ranked(columns: Ints) -> tuple[Ints, Ints]:
    """The rank of each row among the distinct ones, by the first column, then the next; and a row of each rank.

    ``columns`` is ``(width, rows)``.
    """
    rows = columns.shape[1]
    key, span = np.zeros(rows, np.int64), 1
    for column in columns if rows else ():
        low = int(column.min())
        width = int(column.max()) - low + 1
        if span * width > _MOST_KEY:
            key, span = _dense(key, span)
        if span * width > _MOST_KEY:
            column, width = _dense(column, _MOST_KEY)
            low = 0
        key = key * width + (column - low)
        span *= width
    rank, ranks = _dense(key, span)
    one_of = np.empty(ranks, np.int64)
    one_of[rank] = np.arange(rows)
    return rank, one_of


def _dense(values: Ints, span: int) -> tuple[Ints, int]:
    """The rank of each value among the distinct ones, and how many those are; ``span`` is above them all."""
    if span <= max(_TABLE, len(values)):
        there = np.zeros(span, bool)
        there[values] = True
        rank = np.cumsum(there) - 1
        return rank[values], int(there.sum())
    ordered = distinct(values)
    return np.searchsorted(ordered, values), len(ordered)


def _distinct_pairs(group: Ints, person: Ints, people: int) -> tuple[Ints, Ints]:
    """Each pair of a group and a person, numbered below ``people``, once; by group."""
    pairs = distinct(group * people + person)
    # As a product, for a remainder costs a second division.
    of = pairs // max(people, 1)
    return of, pairs - of * people


def _tally(
    codes: Ints, step: int, width: int, occurrences: Ints, pairs: tuple[Ints, Ints], people: int
) -> Tally:
    """The nodes at a step, or with a width of 2 the edges from it; ``pairs`` are of path and person."""
    padded = np.column_stack((np.full(len(codes), ANCHOR), codes))[:, step : step + width]
    on = padded[:, 0] != END
    chosen = np.flatnonzero(on)
    group, one_of = _ranked(padded[chosen].T)
    group_of = np.full(len(codes), -1)
    group_of[chosen] = group
    through = on[pairs[0]]
    whose = _distinct_pairs(group_of[pairs[0][through]], pairs[1][through], people)[0]
    return Tally(
        np.full(len(one_of), step),
        padded[chosen][one_of],
        _sums(group, occurrences[chosen], len(one_of)),
        np.bincount(whose, minlength=len(one_of)),
    )


def _no_tally(width: int) -> Tally:
    none = np.empty(0, np.int64)
    return Tally(none, np.empty((0, width), np.int64), none, none)


def _summed(parts: Sequence[Tally]) -> Tally:
    """Tallies of disjoint people, or steps, as one."""
    step = np.concatenate([part.step for part in parts])
    codes = np.concatenate([part.codes for part in parts])
    rank, one_of = _ranked(np.column_stack((step, codes)).T)
    occurrences = _sums(rank, np.concatenate([part.occurrences for part in parts]), len(one_of))
    people = _sums(rank, np.concatenate([part.people for part in parts]), len(one_of))
    order = np.lexsort((-occurrences, step[one_of]))
    return Tally(step[one_of][order], codes[one_of][order], occurrences[order], people[order])


def _sums(group: Ints, values: Ints, groups: int) -> Ints:
    sums = np.zeros(groups, np.int64)
    np.add.at(sums, group, values)
    return sums


def _sorted(paths: Paths) -> Paths:
    """The same, most occurrences first; the paths lie by codes."""
    order = np.argsort(-paths.occurrences, kind="stable")
    moved = np.empty(len(order), np.int64)
    moved[order] = np.arange(len(order))
    return Paths(
        paths.codes[order],
        paths.occurrences[order],
        paths.people[order],
        paths.nodes,
        paths.edges,
        paths.person,
        paths.place,
        moved[paths.path],
    )
