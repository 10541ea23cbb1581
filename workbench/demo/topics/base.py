"""What a topic of the shop may do: bring columns, steer visits, change sessions, plant people, count, tell.

Everything a topic draws comes from :meth:`Topic.draw` or :meth:`Topic.stream`, whose numbers are its own: so
a topic changes nothing of another. What it decides may hang on the person, the visit and the day, never on
which people are simulated together: the size of a block must change no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from workbench.demo.draws import Bools, Ints, Words, derived, words
from workbench.demo.ledger import Ledger
from workbench.demo.people import People, State
from workbench.demo.rows import Lines, Part, Rows
from workbench.demo.sessions import Units
from workbench.demo.statements import Truth
from workbench.demo.tables import Column, device_ids, user_ids
from workbench.demo.visits import Visits
from workbench.demo.waves import Wave


@dataclass(frozen=True, slots=True)
class World:
    """What all topics see: the crowd, what changes of it from day to day, and what was asked for."""

    people: People
    """The crowd only; actors have higher numbers and no entry here."""
    state: State
    events: int
    seed: int
    dirty: bool = False


@dataclass(frozen=True, slots=True)
class Actors:
    """People a topic plants whole; an entry each, numbers in one run."""

    person: Ints
    platform: Ints
    """Of the first device, ``2·person``; a second one, ``2·person + 1``, is the app."""
    seen: Ints
    """Bit 0: the first device is used, bit 1: the second."""
    logged: Ints
    """The same bits, for devices they log in on."""

    @classmethod
    def of(cls, first: int, count: int, *, platform: int = 0, logged: int = 1) -> Actors:
        """``count`` people from number ``first`` on, on one device each."""
        person = first + np.arange(count, dtype=np.int64)
        ones = np.ones(count, dtype=np.int64)
        return cls(person, ones * platform, ones, ones * logged)


@dataclass(frozen=True, slots=True)
class Counted:
    """What is known when the shop has closed."""

    world: World
    ledger: Ledger
    logged: Bools
    """For each ``2·person + device``: whether that person ever logged in there; actors too."""
    seen: Bools
    """The same, for devices that were used at all."""
    family: Ints
    """People who share a device."""


class Topic:
    """One topic of the shop, made anew for each demo. Every hook may be left out."""

    name: ClassVar[str]
    number: ClassVar[int]
    """Its draws and ids outside sessions; see :mod:`workbench.demo.topics`."""
    columns: ClassVar[tuple[Column, ...]] = ()
    """Columns of the events that only this topic brings, in the order of the export."""
    roles: ClassVar[Mapping[str, str]] = {}
    """Further lines of ``[roles]`` in the workspace."""

    def __init__(self, world: World) -> None:
        """The crowd is there and nobody has come; traits in ``world.people`` may be changed in place."""
        self.world = world

    def draw(self, word: Words, number: int) -> Words:
        """This topic's draw of a number, 0 to 999, from a person's, a visit's or a unit's word."""
        return derived(word, 10_000 + 1_000 * self.number + number)

    def stream(self, count: int) -> Words:
        """Raw words for this topic's actors."""
        return words(self.world.seed, 100 + self.number, count)

    def outside(self, count: int | Ints) -> Ints:
        """``place`` of events outside sessions (``session`` −1): the n-th such event of a person, from 0."""
        return np.asarray(self.number * 200_000 + count, dtype=np.int64)

    def actors(self, first: int) -> Actors:
        """The people this topic plants, numbered from ``first`` on; called once, before the first day."""
        return Actors.of(first, 0)

    def weight(self, day: int) -> int:
        """How busy a day is, in per cent of its usual number of events."""
        return 100

    def come(self, day: int, person: Ints, cells: Ints) -> Ints:
        """Other chances of a visit on a day, in 2⁻²⁴; first visits come anyway."""
        return cells

    def steer(self, visits: Visits) -> Visits:
        """Visits before they are played, changed by ``dataclasses.replace``; order and people stay."""
        return visits

    def choose(self, visits: Visits, units: Units) -> None:
        """Sets ``units.product`` or ``units.term`` in place, before events are made of them."""

    def reduce(self, visits: Visits, total: Ints, coupon: Ints, discount: Ints) -> tuple[Ints, Ints]:
        """Other coupons (−1: none) and discounts in fen for the carts of the visits."""
        return coupon, discount

    def wave(self, wave: Wave) -> None:
        """Fills in columns and inserts events, before the wave is counted and written."""

    def returns(self, wave: Wave, cells: Ints) -> Ints:
        """Other chances, in 65536ths, that the order of each session of a wave is refunded."""
        return cells

    def planted(self, day: int) -> list[tuple[Rows, Lines]]:
        """Whole sessions that begin on a day, one after the other, or events outside sessions; with lines.

        Each part holds sessions or events outside them, not both.
        """
        return []

    def note(self, part: Part) -> None:
        """Counts rows as they will be written; called once for every row of the demo."""

    def sold(self, lines: Lines) -> None:
        """Counts order lines as they will be written; called once for every line, an order's together."""

    def truths(self, counted: Counted) -> list[Truth]:
        """What was planted, when the shop has closed."""
        return []

    def write(self, folder: Path, counted: Counted) -> None:
        """Writes side files into the demo's folder, when its events are written."""

    def workspace(self) -> list[str]:
        """Further lines of ``workbench.toml``: sources, rules."""
        return []


def names_of(person: Ints) -> tuple[str, ...]:
    """The ``user_id`` of people, in order."""
    return tuple(sorted(str(value) for value in user_ids(person).to_pylist()))


def names_of_resolved(people: Ints) -> tuple[str, ...]:
    """The ids of people as the identity rule sees them (``ledger.resolved``), in order: users, or devices."""
    person, anonymous = people >> 2, people & 3
    texts = [
        *user_ids(person[anonymous == 0]).to_pylist(),
        *device_ids((person * 2 + anonymous - 1)[anonymous > 0]).to_pylist(),
    ]
    return tuple(sorted(str(text) for text in texts))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """A text file of lines, UTF-8 with line feeds everywhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
