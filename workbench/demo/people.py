"""Who comes to the shop: people with a taste, a pace, a first day and a last one, and their devices.

Each person visits by chance every day while still a customer, at a pace of their own; paces and lifetimes
are both heavy-tailed over people. That is the picture behind repeat buying models (see docs/demo.md).
A person's first device is number ``2·person``, a second one ``2·person + 1``; in a family the odd person
uses the even one's device.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.demo import traffic
from workbench.demo.days import DAYS
from workbench.demo.draws import (
    CELLS,
    Bools,
    Ints,
    Words,
    below,
    bits,
    chance,
    derived,
    lomax,
    picked,
    table,
    words,
)

EVENTS_PER_PERSON = 30
SMALL = 20_000
"""Events of a shop in which the planted people weigh."""
PLATFORMS = ("mini_program", "app", "web")
MINI_PROGRAM, APP, WEB = range(3)
VERSIONS = ("5.0.0", "5.1.0", "5.2.0", "5.2.1")
RELEASED = (-30, 20, 45, 68)
"""The day each version came out; people take up to twenty days to follow."""
BROKEN_VERSION = 2
CITIES = (
    ("上海", "上海", 60), ("北京", "北京", 56), ("广州", "广东", 44), ("深圳", "广东", 46),
    ("杭州", "浙江", 38), ("成都", "四川", 36), ("重庆", "重庆", 30), ("武汉", "湖北", 26),
    ("南京", "江苏", 25), ("苏州", "江苏", 25), ("西安", "陕西", 20), ("长沙", "湖南", 18),
    ("郑州", "河南", 17), ("青岛", "山东", 15), ("宁波", "浙江", 15), ("佛山", "广东", 14),
    ("合肥", "安徽", 13), ("厦门", "福建", 11), ("昆明", "云南", 9), ("哈尔滨", "黑龙江", 8),
)  # fmt: skip

_CITY = table([weight for _, _, weight in CITIES])
_PLATFORM = table((50, 30, 20))
_PACE = lomax(256, 1500, 64, 12_000)
"""Chance to visit on a day, in units the daily target turns into a rate."""
_STAY_NEW = lomax(16, 300, 2, 400)
_STAY_KNOWN = lomax(60, 300, 4, 400)
"""Days as a customer, for people whose first visit is in the data and for those who came before."""
_APPETITE = table((50, 35, 15))


@dataclass(frozen=True, slots=True)
class People:
    """Traits of the ordinary people, fixed at the start; arrays by person number."""

    word: Words
    arrival: Ints
    """The day of the first visit; −1: before the data begins."""
    brought_by: Ints
    """The channel of the first visit, for those whose first visit is in the data."""
    leaves: Ints
    """The day they are no customer any more."""
    pace: Ints
    platform: Ints
    """Of the first device."""
    second: Bools
    """Has the app beside the mini program."""
    family: Bools
    """Shares the even person's device; the even one visits on even days, the odd one on odd days."""
    member: Bools
    """Willing to log in."""
    login_at: Ints
    """Logs in unasked on the visit of this number on a device; 99: only when asked."""
    city: Ints
    taste: Ints
    """Favourite category."""
    appetite: Ints
    """Tenths of the usual readiness to fill a cart."""
    seeker: Bools
    """Wants the missing brand."""
    lag: Ints
    """Days until a new app version is installed."""

    @property
    def count(self) -> int:
        """How many people."""
        return len(self.word)


@dataclass(slots=True)
class State:
    """What changes from day to day; arrays by person number."""

    visits: Ints
    free_from: Ints
    """UTC ms before which no further session of theirs may start."""
    logged: Ints
    """Bit 0: logged in on the first device, bit 1: on the second."""
    seen: Ints
    """The same bits, for devices that were used at all."""
    orders: Ints
    primed_until: Ints
    """Until this day content they read brings them back."""

    @classmethod
    def new(cls, count: int) -> State:
        """Nobody has come yet."""
        visits, free_from, logged, seen, orders = np.zeros((5, count), dtype=np.int64)
        return cls(visits, free_from, logged, seen, orders, np.full(count, -1, dtype=np.int64))


def crowd(events: int, seed: int) -> People:
    """The ordinary people of a shop with this many events in three months."""
    # A small shop has proportionally more people who are planted whole: the others leave them room.
    each = EVENTS_PER_PERSON if events >= SMALL else EVENTS_PER_PERSON * 5 // 4
    count = max(events // each, 64) & ~1
    word = words(seed, 0, count)
    number = np.arange(count, dtype=np.int64)
    pair = derived(word[number & ~1], 7)
    family = chance(pair, 0, 440)
    home = np.where(family, number & ~1, number)
    time, trait, where = derived(word, 0), derived(word, 1), derived(word[home], 2)
    known = chance(time, 0, CELLS * 2 // 5)
    arrival = np.where(known, -1, below(time, 32, DAYS))
    brought_by = picked(traffic.NEW, derived(word, 6), 0)
    stay = np.where(known, _STAY_KNOWN[bits(time, 16)], _STAY_NEW[bits(time, 16)])
    stay = np.where(~known & (brought_by == traffic.FEED), np.minimum(stay // 4, 20) + 1, stay)
    platform = picked(_PLATFORM, where, 0)
    member = family | chance(trait, 0, CELLS * 11 // 20)
    eager = chance(trait, 16, CELLS // 2)
    return People(
        word=word,
        arrival=arrival,
        brought_by=brought_by,
        leaves=np.maximum(arrival, 0) + stay,
        pace=_PACE[bits(trait, 32)],
        platform=platform,
        second=(platform == MINI_PROGRAM) & ~family & chance(where, 16, CELLS // 5),
        family=family,
        member=member,
        login_at=np.where(family, 0, np.where(eager, below(derived(word, 4), 0, 5), 99)),
        city=picked(_CITY, where, 32),
        taste=below(derived(word, 3), 0, 12),
        appetite=np.array((3, 10, 25), dtype=np.int64)[picked(_APPETITE, trait, 48)],
        seeker=chance(derived(word, 3), 48, CELLS // 70),
        lag=below(derived(word, 5), 0, 20),
    )


def version_on(people: People, persons: Ints, day: int) -> Ints:
    """The app version each person has on a day."""
    newest = np.zeros(len(persons), dtype=np.int64)
    for code, released in enumerate(RELEASED[1:], start=1):
        newest[released + people.lag[persons] <= day] = code
    return newest
