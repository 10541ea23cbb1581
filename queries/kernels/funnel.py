"""The funnel as a fold: each person's events in reading order → how far they came, when, and who is still open.

The method: carry, for each level, the *latest feasible entry* over the events read before. An event of
step k inherits the latest entry that reached level k−1 earlier, and keeps it when it lies inside the window.
A later entry dominates an earlier one, so one entry a level is exact. The carrying is done for a whole block
of people at once (:mod:`queries.kernels.levels`); a block is a run of whole people, so blocks can be folded in
any order, on any thread, and their results laid side by side. What no such pass folds exactly is read event
by event, for the people who need it only, block by block (:mod:`queries.kernels.ways`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from queries.kernels.block import Block, Counted, block_of, firsts, lasts, repeated_moments
from queries.kernels.ordering import BLOCK_EVENTS, Bools, Events, Ints, Packing, cut, reading_order
from queries.kernels.rule import Rule, refusals
from queries.kernels.ways import judge

__all__ = ["Folded", "Rule", "fold", "fold_packed", "merge", "refusals"]


@dataclass(frozen=True, slots=True)
class Folded:
    """One entry for each that counts: a person, under ``hold`` a person and a value, under ``every`` an attempt.

    Ascending by person, then held value, then entry: the fold's mergeable result.
    """

    person: Ints
    level: Ints
    """Deepest step reached, from 1; in any order how many."""
    open: Bools
    """Short of the last step, with a chain that events from *as of* on could take further."""
    reached: Ints
    """``(steps, entries)``: time of each step of the counted attempt, ms; −1 where not reached or left out."""
    value: Ints
    """The breakdown's code where the rule reads it; −1 for none."""
    strict_level: Ints
    """The level of the same entries were equal times not in order: 0 where no entry reaches anything, −1
    where the rule refuses the question."""
    tied_events: int
    """Matching events that share person and time with another."""
    skipped: Ints
    """Bit k−1 is set where step k was left out on the way to a later one."""
    first_entry: Ints
    """Time of the first step 1 in range, whichever entry counts, ms."""
    held: Ints
    """Code of the held value; −1 without one."""
    removed: Ints
    """People left out by an exclusion that removes, once for each held value; in no other field."""


def fold(events: Events, rule: Rule, *, threads: int = 1, block_events: int = BLOCK_EVENTS) -> Folded:
    """Folds events (any order) to what counts; the same whatever the order, blocks and threads.

    Raises ValueError for a rule that :func:`refusals` refuses.
    """
    shared = bool(rule.tolerance) and bool(np.any(events.steps & (events.steps - 1)))
    refused = refusals(rule, shared_events=shared)
    if refused:
        raise ValueError(refused)
    ordered = reading_order(events)

    def one(block: slice) -> Folded:
        return _fold_block(ordered.at(block), rule)

    return _fold_all(one, cut(ordered.person, block_events), rule, threads)


def fold_packed(
    packed: Ints, packing: Packing, rule: Rule, *, threads: int = 1, block_events: int = BLOCK_EVENTS
) -> Folded | None:
    """The same from packed events, which it sorts in place; None where only the export's order decides, or
    where the rule reads more than packed events hold."""
    refused = refusals(rule)
    if refused:
        raise ValueError(refused)
    values_kept = packing.every_value or not packing.value_bits or not rule.reads_every_value
    if not rule.packable or not values_kept:
        return None
    packed.sort()
    if not packing.settled(packed):
        return None

    def one(block: slice) -> Folded:
        return _fold_block(packing.unpack(packed[block]), rule)

    return _fold_all(one, packing.blocks(packed, block_events), rule, threads)


def _fold_all(one: Callable[[slice], Folded], blocks: Iterable[slice], rule: Rule, threads: int) -> Folded:
    if threads == 1:
        return merge([one(block) for block in blocks], rule.steps)
    with ThreadPoolExecutor(threads) as pool:
        return merge(list(pool.map(one, blocks)), rule.steps)


def merge(parts: list[Folded], steps: int) -> Folded:
    """Lays results of disjoint people side by side, ascending by person."""
    if not parts:
        none = np.empty(0, np.int64)
        times = np.empty((steps, 0), np.int64)
        return Folded(none, none, none.astype(bool), times, none, none, 0, none, none, none, none)
    person = np.concatenate([part.person for part in parts])
    order: Ints | slice = slice(None)
    if not (person[1:] >= person[:-1]).all():
        order = np.argsort(person, kind="stable")

    def joined(name: str) -> Ints:
        columns = [getattr(part, name) for part in parts]
        whole = _repeated(columns, len(person))
        return np.concatenate(columns)[order] if whole is None else whole

    level = joined("level")
    as_strict = all(part.strict_level is part.level for part in parts)
    return Folded(
        person=person[order],
        level=level,
        open=joined("open").astype(bool, copy=False),
        reached=np.concatenate([part.reached for part in parts], axis=1)[:, order],
        value=joined("value"),
        strict_level=level if as_strict else joined("strict_level"),
        tied_events=sum(part.tied_events for part in parts),
        skipped=joined("skipped"),
        first_entry=joined("first_entry"),
        held=joined("held"),
        removed=np.sort(np.concatenate([part.removed for part in parts])),
    )


def _repeated(columns: list[Ints], length: int) -> Ints | None:
    """Columns laid side by side, where each holds one number and all the same one; it takes no memory."""
    columns = [column for column in columns if len(column)]
    if not columns or any(column.strides != (0,) or column[0] != columns[0][0] for column in columns):
        return None
    return np.broadcast_to(columns[0][:1], (length,))


def _fold_block(events: Events, rule: Rule) -> Folded:
    tied_events = _tied_events(events)
    whole_people = events
    if rule.hold:
        events, unit = _by_held_value(events)
    else:
        unit = _numbered(events.person)
    block = block_of(events, unit, rule)
    counted, removed = judge(block, rule)
    entry = counted.places[0]
    first_entry = np.zeros(block.units, np.int64)
    entries = block.first_entries()
    first_entry[unit[entries]] = events.ts[entries]
    of_unit = events.person[firsts(unit)]
    return Folded(
        person=events.person[entry],
        level=counted.level,
        open=counted.open,
        reached=_times(events.ts, counted, rule.steps),
        value=_values(events, whole_people, block, counted, rule),
        strict_level=counted.strict_level,
        tied_events=tied_events,
        skipped=counted.skipped,
        first_entry=first_entry[counted.unit],
        held=events.held[entry] if rule.hold and events.held is not None else np.full(len(entry), -1),
        removed=of_unit[removed],
    )


def _numbered(ascending: Ints) -> Ints:
    """Equal neighbours numbered from 0."""
    return np.cumsum(np.concatenate(([True], ascending[1:] != ascending[:-1]))[: len(ascending)]) - 1


def _by_held_value(events: Events) -> tuple[Events, Ints]:
    """The events that have a held value, by person and value, and the number of each one's unit."""
    held = np.full(len(events.ts), -1) if events.held is None else events.held
    kept = np.flatnonzero(held >= 0)
    kept = kept[np.lexsort((held[kept], events.person[kept]))]
    events = events.at(kept)
    new = (events.person[1:] != events.person[:-1]) | (held[kept][1:] != held[kept][:-1])
    return events, np.cumsum(np.concatenate(([True], new))[: len(kept)]) - 1


def _tied_events(events: Events) -> int:
    """How many matching events share person and time with another."""
    again = repeated_moments(events.person, events.ts, events.steps)
    # Each run counts its repeated events and the one they repeat.
    return len(again) + int((np.diff(again, prepend=-1) != 1).sum() if len(again) else 0)


def _times(ts: Ints, counted: Counted, steps: int) -> Ints:
    times = np.full((steps, len(counted.unit)), -1, np.int64)
    for step in range(steps):
        done = np.flatnonzero(counted.places[step] >= 0)
        times[step, done] = ts[counted.places[step, done]]
    return times


def _values(events: Events, whole_people: Events, block: Block, counted: Counted, rule: Rule) -> Ints:
    """The breakdown's code of each entry, read where the rule says."""
    rows = np.arange(len(counted.unit))
    values = np.full(len(rows), -1, np.int64)
    if events.value is None or whole_people.value is None:
        return values
    if rule.at.startswith("user-"):
        known = whole_people.at(whole_people.value >= 0)
        person = known.person
        chosen = firsts(person) if rule.at == "user-first" else lasts(person)
        mine = events.person[counted.places[0]]
        found = np.searchsorted(person[chosen], mine)
        there = np.flatnonzero(found < len(chosen))
        there = there[person[chosen][found[there]] == mine[there]]
        assert known.value is not None
        values[there] = known.value[chosen[found[there]]]
        return values
    if rule.at == "last":
        places = counted.places[counted.level - 1, rows]
    else:
        places = counted.places[0 if rule.at == "first" else int(rule.at.removeprefix("step:")) - 1]
    done = places >= 0
    values[done] = events.value[places[done]]
    return values
