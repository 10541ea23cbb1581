"""A funnel folded from lanes: the same result as :mod:`queries.kernels.funnel` gives of the same events.

Ordered steps that share no event are folded on the keys themselves (:mod:`queries.kernels.lanes_levels`); for other
rules each block's keys become the events that :mod:`queries.kernels.funnel` reads. Lanes carry no sequence. That is
no loss while events of equal person, time and first step are alike in all the rule reads of them; people who have
others are handed back unfolded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from queries.kernels import funnel
from queries.kernels.funnel import Folded, merge
from queries.kernels.lanes import TIME_BITS, Funnel, Lanes
from queries.kernels.lanes_levels import fold_steps
from queries.kernels.lanes_steps import Steps
from queries.kernels.ordering import Bools, Events, Ints, distinct
from queries.kernels.rule import Rule

BLOCK_KEYS = 1 << 18
"""Keys folded at once: few enough for the cache, enough that threads seldom wait for the interpreter."""
_DIRECT_KEYS = 2 * BLOCK_KEYS
"""The same where they are searched and no event is made of them."""


@dataclass(frozen=True, slots=True)
class LaneFold:
    """What a fold over lanes gives."""

    folded: Folded
    seen: int
    """The bits of the steps that some event matched."""
    unsettled: Ints
    """People, ascending, who are not in the fold: it takes the export's order to read their events."""


def is_supported(rule: Rule) -> bool:
    """Whether lanes of the events named hold all that a rule reads.

    Strict order reads every event of a person; held values and the breakdown lie in columns lanes have not.
    """
    return rule.order != "strict" and not rule.hold


def fold(lanes: Lanes, asked: Funnel, *, threads: int = 1, block_keys: int | None = None) -> LaneFold:
    """Folds lanes; the same whatever the blocks and threads. There is no breakdown: no entry has a value.

    Raises ValueError for a rule that :func:`is_supported` does not support or :func:`funnel.refusals` refuses.
    """
    named = [name for names in asked.steps for name in names]
    shares = len(set(named)) < len(named)
    refused = funnel.refusals(asked.rule, shared_events=shares)
    if refused or not is_supported(asked.rule):
        raise ValueError(refused or "lanes do not hold what this rule reads")
    names = asked.names
    arrays = [lanes.keys[name] for name in names]
    direct = _is_direct(asked.rule, shares)
    one = _by_step if direct else _by_event
    ties = [] if lanes.ties is None else [lanes.ties]

    def block(slices: tuple[slice, ...]) -> LaneFold:
        mine = {
            name: _within(array[part], lanes, asked)
            for name, array, part in zip(names, arrays, slices[: len(names)], strict=True)
        }
        shared = None if lanes.ties is None else lanes.ties[slices[-1]]
        return one(Lanes(lanes.base, mine, lanes.time_bits, shared), asked)

    blocks = cut([*arrays, *ties], lanes.time_bits, block_keys or (_DIRECT_KEYS if direct else BLOCK_KEYS))
    return _joined(_all(block, blocks, threads), asked.rule.steps)


def _is_direct(rule: Rule, shares: bool) -> bool:
    """Whether a rule is folded on the keys themselves."""
    special = rule.tolerance or rule.step_windows or rule.exclusions or rule.optional
    return rule.order == "ordered" and not special and not shares


def cut(
    lanes: Sequence[Ints], time_bits: int = TIME_BITS, block_keys: int = BLOCK_KEYS
) -> Iterator[tuple[slice, ...]]:
    """Slices of all lanes for one run of people after the other, never through a person.

    A run has at most about ``block_keys`` keys in all lanes together, or one person more.
    """
    # Between two neighbouring samples lie fewer keys of each lane than its stride.
    stride = max(block_keys // (2 * max(len(lanes), 1)), 1)
    sampled = np.sort(np.concatenate([lane[::stride] >> time_bits for lane in lanes]))
    people = distinct(sampled[:: max(block_keys // (2 * stride), 1)])
    bounds = [
        np.concatenate(([0], np.searchsorted(lane, people[1:] << time_bits), [len(lane)])) for lane in lanes
    ]
    if len(people):
        for ends in pairwise(np.array(bounds).T.tolist()):
            yield tuple(slice(start, end) for start, end in zip(*ends, strict=True))


def _all(
    one: Callable[[tuple[slice, ...]], LaneFold], blocks: Iterable[tuple[slice, ...]], threads: int
) -> list[LaneFold]:
    if threads == 1:
        return [one(block) for block in blocks]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, blocks))


def _joined(parts: Sequence[LaneFold], steps: int) -> LaneFold:
    seen = 0
    for part in parts:
        seen |= part.seen
    unsettled = [part.unsettled for part in parts]
    return LaneFold(
        merge([part.folded for part in parts], steps),
        seen,
        np.concatenate(unsettled) if unsettled else np.empty(0, np.int64),
    )


def _within(keys: Ints, lanes: Lanes, asked: Funnel) -> Ints:
    """The keys whose events are there."""
    if asked.low is None and asked.high is None:
        return keys
    return keys[is_between(keys & ((1 << lanes.time_bits) - 1), lanes.base, asked.low, asked.high)]


def is_between(offsets: Ints, base: int, low: int | None, high: int | None) -> Bools:
    """Whether times lie in ``[low, high)``."""
    inside = np.ones(len(offsets), bool) if low is None else offsets >= low - base
    return inside if high is None else inside & (offsets < high - base)


def _by_step(block: Lanes, asked: Funnel) -> LaneFold:
    """Ordered steps that share no event."""
    keys = [_merged([block.keys[name] for name in names]) for names in asked.steps]
    folded = fold_steps(Steps(keys, block.base, block.time_bits, block.ties), asked.rule)
    seen = sum(1 << place for place, lane in enumerate(keys) if len(lane))
    return LaneFold(folded, seen, np.empty(0, np.int64))


def _merged(lanes: Sequence[Ints]) -> Ints:
    return lanes[0] if len(lanes) == 1 else np.sort(np.concatenate(lanes))


def _by_event(block: Lanes, asked: Funnel) -> LaneFold:
    """Any other rule: the events themselves, through the fold that reads them in order."""
    kinds: dict[tuple[int, int], Ints] = {}
    for name, keys in block.keys.items():
        bits = asked.bits(name)
        kinds[bits] = np.concatenate((kinds[bits], keys)) if bits in kinds else keys
    unsettled = _unsettled(kinds, block.time_bits)
    keys = np.concatenate(list(kinds.values()))
    sizes = [len(lane) for lane in kinds.values()]
    steps = np.repeat(np.array([bits for bits, _ in kinds], np.int64), sizes)
    excludes = np.repeat(np.array([bits for _, bits in kinds], np.int64), sizes)
    person = keys >> block.time_bits
    seen = int(np.bitwise_or.reduce(steps)) if len(steps) else 0
    events = Events(
        person,
        (keys & ((1 << block.time_bits) - 1)) + block.base,
        steps,
        excludes=excludes if asked.excludes else None,
    )
    if len(unsettled):
        events = events.at(~np.isin(person, unsettled))
    return LaneFold(funnel.fold(events, asked.rule, block_events=len(keys) + 1), seen, unsettled)


def _unsettled(kinds: Mapping[tuple[int, int], Ints], time_bits: int) -> Ints:
    """People with events of one time whose order is the export's, and tells.

    Among events of no step it tells nothing: none of them lies between two that do a step.
    """
    alike: dict[int, list[Ints]] = {}
    for (steps, _), keys in kinds.items():
        alike.setdefault(steps & -steps, []).append(keys)
    found = [np.empty(0, np.int64)]
    for first, lanes in alike.items():
        if first and len(lanes) > 1:
            keys = np.sort(np.concatenate([distinct(lane) for lane in lanes]))
            found.append(keys[1:][keys[1:] == keys[:-1]] >> time_bits)
    return distinct(np.concatenate(found))
