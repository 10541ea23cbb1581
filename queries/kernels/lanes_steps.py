"""The events of a funnel's steps as sorted keys, and how one finds one's way in them: by person, time and range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from queries.kernels.ordering import Bools, Ints, distinct
from queries.kernels.rule import Rule

_SORTED_FOR_ONE = 4
"""Keys that are sorted in the time that it takes to search for one."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The keys of each step's events, ascending: ``person << time_bits | milliseconds since base``."""

    keys: Sequence[Ints]
    base: int
    time_bits: int
    ties: Ints | None = None
    """Keys, ascending and distinct, among which are all that two or more of the events share. None: not known."""

    def person(self, keys: Ints) -> Ints:
        """The people of keys."""
        return keys >> self.time_bits

    def time(self, keys: Ints) -> Ints:
        """The times of keys, ms."""
        return (keys & ((1 << self.time_bits) - 1)) + self.base

    def is_same(self, keys: Ints, others: Ints) -> Bools:
        """Whether keys are of the same people as others; −1 is nobody's."""
        # As an unsigned number what differs in its sign is greater than any key.
        same: Bools = (keys ^ others).view(np.uint64) < np.uint64(1 << self.time_bits)
        return same

    def firsts(self, keys: Ints) -> Ints:
        """Where each person's keys begin."""
        begins = np.ones(len(keys), bool)
        np.greater_equal(keys[1:] ^ keys[:-1], 1 << self.time_bits, out=begins[1:])
        return begins.nonzero()[0]

    def of(self, people: Ints) -> Steps:
        """The events of some people, ascending."""
        return replace(self, keys=[self.keys_of(keys, people) for keys in self.keys])

    def keys_of(self, keys: Ints, people: Ints) -> Ints:
        """Those of ascending keys that are of some people, ascending."""
        start = np.searchsorted(keys, people << self.time_bits)
        end = np.searchsorted(keys, (people << self.time_bits) | ((1 << self.time_bits) - 1), side="right")
        length = end - start
        behind = np.cumsum(length)
        places: Ints = np.repeat(start - behind + length, length) + np.arange(length.sum())
        return keys[places]

    def inside(self, keys: Ints, rule: Rule) -> Ints:
        """The keys in the rule's range."""
        if rule.entry_from is None and rule.entry_to is None:
            return keys
        time = self.time(keys)
        kept = np.ones(len(keys), bool)
        if rule.entry_from is not None:
            kept &= time >= rule.entry_from
        if rule.entry_to is not None:
            kept &= time < rule.entry_to
        return keys[kept]

    def equal_times(self) -> tuple[int, Ints]:
        """How many events share person and time with another, and whose they are, ascending."""
        if self.ties is not None and not len(self.ties):
            return 0, self.ties
        # Searching for a key in a lane costs as much as sorting a few.
        searched = _SORTED_FOR_ONE * len(self.keys) * (0 if self.ties is None else len(self.ties))
        if self.ties is not None and searched <= sum(map(len, self.keys)):
            count = np.zeros(len(self.ties), np.int64)
            for keys in self.keys:
                count += np.searchsorted(keys, self.ties, side="right") - np.searchsorted(keys, self.ties)
            shared = count > 1
            return int(count[shared].sum()), distinct(self.person(self.ties[shared]))
        keys = np.sort(np.concatenate(self.keys))
        again = keys[1:] == keys[:-1]
        # Each run counts the events that equal the one before, and the first of them.
        begins = again & ~np.concatenate(([False], again[:-1]))[: len(again)]
        people = distinct(self.person(keys[1:][again]))
        return int(again.sum() + begins.sum()), people
