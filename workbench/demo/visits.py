"""Which people come on a day and how their visit begins: device, channel, start, and how far it will go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from workbench.demo import days, traffic
from workbench.demo.draws import CELLS, Bools, Ints, Words, below, bits, chance, derived, picked
from workbench.demo.people import APP, BROKEN_VERSION, WEB, People, State, version_on

MOST_A_DAY = (1 << 24) * 4 // 5
"""Nobody comes on more than four days of five, in 2⁻²⁴."""
NOTHING, CARTED, CHECKED_OUT, FAILED, PAID = range(5)
"""How far a visit goes towards an order."""
_PAUSE = 31 * 60_000
"""Between two sessions of a person: more than the usual session gap of half an hour."""


@dataclass(frozen=True, slots=True)
class Visits:
    """Sessions about to be played; arrays of one entry a session, no person twice."""

    day: int
    person: Ints
    word: Words
    number: Ints
    """The person's session number."""
    device: Ints
    platform: Ints
    version: Ints
    """App version, −1 elsewhere."""
    channel: Ints
    campaign: Ints
    start: Ints
    """UTC ms."""
    known: Bools
    """Somebody is logged in on the device when the session starts."""
    signs_in: Bools
    """Logs in unasked right after the start."""
    goes: Ints
    """NOTHING … PAID."""
    bounces: Bools
    """Leaves after the first unit of browsing."""
    gone: Bools
    """Leaves at once: browses nothing."""

    def of(self, which: Bools | Ints) -> Visits:
        """Only some of them."""
        return Visits(self.day, *(getattr(self, f.name)[which] for f in fields(self)[1:]))


Steered = Callable[[int, Ints, Ints], Ints]
"""From a day, people and their chances of a visit (2⁻²⁴) to other chances."""


def comers(
    people: People, state: State, day: int, span: slice, rate: int, steered: Steered
) -> tuple[Ints, Words]:
    """The people of a block who visit on a day, with a word for the visit.

    ``rate`` turns a pace into a chance of visiting, in 2⁻²⁰ of 2⁻²⁴. A first visit is never steered away.
    """
    arrival, leaves = people.arrival[span], people.leaves[span]
    local = np.flatnonzero((arrival <= day) & (day < leaves))
    person = local + span.start
    word = derived(people.word[person], 100 + day)
    cells = people.pace[person] * rate >> 20
    cells = np.where(state.primed_until[person] >= day, cells * 4, cells)
    cells = steered(day, person, cells)
    cells = np.where(people.arrival[person] == day, 1 << 24, np.minimum(cells, MOST_A_DAY))
    comes = ((word >> 40).astype(np.int64) < cells) & (~people.family[person] | ((person ^ day) & 1 == 0))
    return person[comes], word[comes]


def first_visits(people: People, state: State, day: int, person: Ints, word: Words) -> Visits:
    """The main visit of a day; families come in the daytime, so that their sessions end the same day."""
    time = derived(word, 0)
    hour = picked(days.HOUR, time, 0)
    hour = np.where(people.family[person], 8 + hour // 2, hour)
    start = days.midnight(day) + hour * 3_600_000 + below(time, 16, 3_600_000)
    return _begun(people, state, day, person, word, np.maximum(start, state.free_from[person]))


def second_visits(people: People, state: State, day: int, first: Visits) -> Visits:
    """Some come back within hours, if the first visit took place (it left a time after its start)."""
    word = derived(first.word, 50)
    came = state.free_from[first.person] > first.start
    back = came & chance(word, 0, CELLS // 7) & ~people.family[first.person]
    person, word = first.person[back], word[back]
    start = state.free_from[person] + below(word, 16, 5 * 3_600_000)
    return _begun(people, state, day, person, word, start)


def _begun(people: People, state: State, day: int, person: Ints, word: Words, start: Ints) -> Visits:
    where, how = derived(word, 1), derived(word, 2)
    second = people.second[person] & chance(where, 0, CELLS // 2)
    platform = np.where(second, APP, people.platform[person])
    home = np.where(people.family[person], person & ~1, person)
    version = np.where(platform == APP, version_on(people, home, day), -1)
    channel = _channel(people, state, day, person, where, platform)
    campaigns = traffic.CAMPAIGN_COUNT[channel]
    campaign = traffic.FIRST_CAMPAIGN[channel] + bits(where, 32) % np.maximum(campaigns, 1)
    logged = state.logged[person] >> second & 1 == 1
    partner = people.family[person] & (state.logged[person ^ 1] & 1 == 1)
    signs_in = people.member[person] & ~logged & (state.visits[person] >= people.login_at[person])
    return Visits(
        day=day,
        person=person,
        word=word,
        number=state.visits[person],
        device=home * 2 + second,
        platform=platform,
        version=version,
        channel=channel,
        campaign=np.where(campaigns > 0, campaign, -1),
        start=start,
        known=logged | partner,
        signs_in=signs_in,
        goes=_goes(people, state, day, person, how, channel, platform, version),
        gone=np.zeros(len(person), dtype=np.bool_),
        bounces=(channel == traffic.FEED) & chance(derived(word, 3), 16, CELLS * 3 // 5),
    )


def _channel(people: People, state: State, day: int, person: Ints, word: Words, platform: Ints) -> Ints:
    primed = state.primed_until[person] >= day
    new = (state.visits[person] == 0) & (people.arrival[person] >= 0)
    known = np.where(primed, picked(traffic.PRIMED, word, 16), picked(traffic.KNOWN, word, 16))
    channel = np.where(new, people.brought_by[person], known)
    return np.where((channel == traffic.PUSH) & (platform != APP), traffic.DIRECT, channel)


def _goes(
    people: People,
    state: State,
    day: int,
    person: Ints,
    word: Words,
    channel: Ints,
    platform: Ints,
    version: Ints,
) -> Ints:
    eager = 9000 * traffic.EAGER[channel] * people.appetite[person] // 100
    eager = np.where(state.primed_until[person] >= day, eager * 4, eager)
    carts = chance(word, 0, np.minimum(eager, CELLS * 2 // 3))
    checks = chance(word, 16, np.where(platform == WEB, CELLS // 5, CELLS * 11 // 20))
    broken = version == BROKEN_VERSION
    pays = chance(word, 32, np.where(broken, CELLS // 4, CELLS * 21 // 25)) & people.member[person]
    fails = people.member[person] & (broken | chance(word, 48, CELLS // 2))
    return np.select(
        [~carts, ~checks, pays, fails], [NOTHING, CARTED, PAID, FAILED], default=CHECKED_OUT
    ).astype(np.int64)


def engaged(visits: Visits) -> Bools:
    """Visits that read the content they came by: it brings them back."""
    return np.asarray(
        (visits.channel == traffic.CONTENT) & chance(visits.word, 0, CELLS // 2), dtype=np.bool_
    )


def settle(people: People, state: State, visits: Visits, played: Bools, end: Ints, signed_in: Bools) -> None:
    """Writes down what the sessions that took place leave behind; ``end`` is each one's last moment."""
    person = visits.person[played]
    bit = np.int64(1) << (visits.device[played] & 1)
    state.visits[person] += 1
    state.free_from[person] = end[played] + _PAUSE
    state.seen[person] |= bit
    state.logged[person] |= np.where(signed_in[played], bit, 0)
    paid = visits.goes[played] == PAID
    state.orders[person] += paid
    reads = engaged(visits)[played]
    until = np.where(reads, visits.day + 7, state.primed_until[person])
    state.primed_until[person] = np.where(paid, -1, until)
