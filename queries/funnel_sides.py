"""What stands beside a funnel – the period before, other products' rules – and what the reader should know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from queries import peers, ranges
from queries.funnel_groups import Cohort
from queries.funnel_request import CURRENT, OTHERS, PREVIOUS, FunnelRequest
from queries.funnel_table import FunnelTable
from queries.question import Data, Members, Note, QuestionError
from queries.scope import Within
from queries.suggest import hint

OURS = "workbench"
"""What our own rule is called beside those of peers."""


@dataclass(frozen=True, slots=True)
class Side:
    """One funnel to be folded: the question's, or another to set beside it."""

    cohort: str | None
    request: FunnelRequest
    within: Within


def sides_of(request: FunnelRequest, data: Data) -> list[Side]:
    """The funnels of a question: its own, beside it the period before or the same under peers' rules."""
    within = Within.of(request.scope, data)
    if request.peer == peers.EVERY:
        others = peers.under_every(request)
        return [
            Side(OURS, replace(request, peer=None), within),
            *(Side(name, one, within) for name, one in others.items() if isinstance(one, FunnelRequest)),
        ]
    asked = request if request.peer is None else peers.under(request, request.peer)
    if request.compare != PREVIOUS:
        return [Side(None, asked, within)]
    # Without a single event --last has no day to end with, and nobody was there before.
    is_empty = request.scope.last is not None and data.survey().as_of is None
    before = within.range if is_empty else ranges.before(within.range, ranges.zone(data.timezone))
    return [Side(CURRENT, asked, within), Side(PREVIOUS, asked, replace(within, range=before))]


def never_seen(request: FunnelRequest, data: Data, seen: int, people: int) -> list[Note]:
    """Names that no event has, with what they may have been meant to be, and steps that no event matched."""
    steps = [(f"step {place}", step) for place, step in enumerate(request.steps, 1)]
    steps += [("--exclude", one.step) for one in request.exclude]
    missing = [place for place in range(1, len(request.steps) + 1) if not seen >> (place - 1) & 1]
    if not people or not (missing or request.exclude or any(len(step.events) > 1 for _, step in steps)):
        return []
    known = [str(row[0]) for row in data.fetch("SELECT DISTINCT event FROM events")]
    unit = request.scope.unit
    of_unit = "" if unit in ("user", "raw") else f" with a value of {unit}"
    of_unit += "" if request.scope.who is None else " of these people"
    notes = []
    for where, step in steps:
        for name in step.events:
            if name not in known:
                near = hint(name, known)
                text = f"no event{of_unit} is named {name!r} ({where})" + (f"; {near}" if near else "")
                notes.append(Note("step-never-seen", text, "warning"))
    for place in missing:
        if any(name in known for name in request.steps[place - 1].events):
            text = f"step {place}, {request.steps[place - 1]}, matches no event in scope"
            notes.append(Note("step-never-seen", text, "warning"))
    return notes


def unlike(sides: Sequence[Side], cohorts: Sequence[Cohort], data: Data) -> list[Note]:
    """What stands in the way of comparing like with like: periods cut short, people still on their way."""
    notes = []
    survey, zone = data.survey(), ranges.zone(data.timezone)
    for cohort in cohorts[:1]:
        if cohort.periods is not None and cohort.periods.incomplete:
            cut = [cohort.periods.names[place] for place in sorted(cohort.periods.incomplete)]
            which = " and of ".join(cut)
            text = f"cut by the range or the end of the data: the {cohort.request.trend} of {which}"
            notes.append(Note("incomplete-period", text, count=len(cut)))
    if sides[-1].cohort != PREVIOUS or survey.first is None or survey.as_of is None:
        return notes
    current, before = sides[0].within.range, sides[-1].within.range
    if current.end is not None and current.end > survey.as_of + 1:
        text = f"the current period is not over: it ends at {ranges.iso(current.end, zone)}"
        notes.append(Note("incomplete-period", text, "warning"))
    if before.start is not None and before.start < survey.first:
        text = f"the previous period is not all in the data, which begin at {ranges.iso(survey.first, zone)}"
        notes.append(Note("incomplete-period", text, "warning"))
    still_open = int(cohorts[0].folded.open.sum())
    if still_open:
        text = f"{still_open:,} of the current period may still go on; --mature compares only who cannot"
        notes.append(Note("comparison-open", text, count=still_open))
    return notes


def unknown_ids(request: FunnelRequest, segment: Members | None) -> list[Note]:
    """Ids of a segment that are not in the data."""
    if segment is None or not segment.unknown:
        return []
    text = f"{segment.unknown:,} of the {segment.listed:,} ids of {request.compare} are nobody's in the data"
    return [Note("segment-ids-unknown", text, "warning", segment.unknown)]


def under_peers(request: FunnelRequest, sides: Sequence[Side], table: FunnelTable) -> list[Note]:
    """Why each peer's figures are not ours, and for how many people it makes a difference."""
    if request.peer is None:
        return []
    if request.peer != peers.EVERY:
        return [Note("peer", peers.described(request, request.peer))]
    notes = []
    cohorts = {side.cohort: place for place, side in enumerate(sides)}
    for name, asked in peers.under_every(request).items():
        if isinstance(asked, QuestionError):
            notes.append(Note("peer-not-asked", f"{name} is left out: {asked.message}", "warning"))
            continue
        count = table.standing_elsewhere(cohorts[name])
        people = "1 person stands" if count == 1 else f"{count:,} people stand"
        notes.append(Note("peer", f"{people} elsewhere under {peers.described(request, name)}", count=count))
    return notes


def rule_of(request: FunnelRequest, first: FunnelRequest) -> str:
    """The rule in words and what the columns are, as they stand under every answer.

    ``first`` is the funnel that was folded first: the one asked, or under a peer's rule.
    """
    where = {
        "first": "that of step 1 of the counted attempt",
        "last": "that of its last step reached",
        "user-first": "the person's first",
        "user-last": "the person's last",
    }.get(request.at, f"that of {request.at} of the counted attempt")
    breakdown = "" if request.scope.by is None else f"; {request.scope.by} is {where}"
    trend = "" if request.trend is None else f"; the {request.trend} is that of step 1 of the counted attempt"
    return (
        f"{first}. Columns: how many, % of step 1 and of the step before with 95 % intervals, "
        f"dropped and still open here, median time from the step before{breakdown}{trend}{_comparison(request)}"
    )


def _comparison(request: FunnelRequest) -> str:
    """How the sides are told apart and set against each other."""
    if request.peer is not None:
        whose = "each product's rule" if request.peer == peers.EVERY else f"{request.peer}'s rule"
        told = f"; {whose} as near as these options come, see the notes"
    else:
        told = ""
    if request.compare is None:
        return told
    sides = (
        "current is the range asked, previous the same length before it; who is in both counts in both"
        if request.compare == PREVIOUS
        else f"{request.compare} against {OTHERS}"
    )
    return (
        f"{told}; {sides}; difference of the rates from step 1 with Newcombe's 95 % interval of its own, "
        "p of two proportions, corrected over the rows (Benjamini–Hochberg)"
    )
