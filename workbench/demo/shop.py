"""Runs the shop day by day: people in blocks, events into daily files, everything counted on the way.

A day is simulated block of people by block of people, and each block's events of the day become one file:
memory holds one block of one day and a few numbers a person, whatever the size of the demo. What a visit
does hangs on the person and the day alone, so the block size changes how rows are spread over a day's files
and nothing else.

The number of events is steered: each day's chance of a visit is set from what is still missing to the day's
target, so the whole meets it and chance keeps its shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from workbench.demo import days, tables, visits
from workbench.demo.draws import Bools, Ints
from workbench.demo.ledger import Ledger
from workbench.demo.orders import Refunds, usual_returns
from workbench.demo.people import People, State, crowd
from workbench.demo.rows import Lines, Rows, joined, joined_lines, part_of
from workbench.demo.sessions import Units, play
from workbench.demo.statements import Truth
from workbench.demo.topics import TOPICS
from workbench.demo.topics.base import Actors, Counted, Topic, World
from workbench.demo.waves import Wave

BLOCK = 1 << 19
"""People of a block: about 200,000 events a day."""
_LINES_A_FILE = 250_000
_USUAL_SESSION = 8
"""Events of a session, assumed until there are some."""


@dataclass(slots=True)
class Shop:
    """A shop that is being simulated into a folder."""

    folder: Path
    events: int
    seed: int
    block: int = BLOCK
    dirty: bool = False
    people: People = field(init=False)
    state: State = field(init=False)
    topics: list[Topic] = field(init=False)
    actors: list[Actors] = field(init=False)
    ledger: Ledger = field(default_factory=Ledger)
    refunds: Refunds = field(default_factory=lambda: Refunds({}))
    _columns: list[tables.Column] = field(init=False)
    _carried: dict[int, Rows] = field(default_factory=dict)
    """By block: events of sessions that went past midnight."""
    _lines: list[Lines] = field(default_factory=list)
    _line_files: int = 0

    def __post_init__(self) -> None:
        self.people = crowd(self.events, self.seed)
        self.state = State.new(self.people.count)
        world = World(self.people, self.state, self.events, self.seed, self.dirty)
        self.topics = [topic(world) for topic in TOPICS]
        self.actors, first = [], self.people.count
        for topic in self.topics:
            actors = topic.actors(first)
            self.actors.append(actors)
            first += len(actors.person)
        self._columns = [column for topic in self.topics for column in topic.columns]

    @property
    def blocks(self) -> int:
        """How many blocks the people make."""
        return -(-self.people.count // self.block)

    def run(self, step: Callable[[float, str], None]) -> None:
        """Simulates every day; ``step(fraction, what)`` is called before each block and may raise."""
        paces, arrivals = _expected(self.people)
        goals = np.cumsum(self._weights())
        for day in range(days.DAYS):
            goal = self.events * int(goals[day]) // int(goals[-1])
            rate = self._rate(goal, int(paces[day]), int(arrivals[day]))
            for block in range(self.blocks):
                step((day + block / self.blocks) / days.DAYS, days.name(day))
                span = slice(block * self.block, min((block + 1) * self.block, self.people.count))
                self._block(day, block, span, rate)
            if sum(len(lines) for lines in self._lines) >= _LINES_A_FILE:
                self._write_lines()
        self._write_lines()

    def _weights(self) -> Ints:
        weights = days.weights()
        for topic in self.topics:
            weights = weights * np.array([topic.weight(day) for day in range(days.DAYS)]) // 100
        return weights

    def _rate(self, goal: int, paces: int, arrivals: int) -> int:
        """What turns a pace into a chance of visiting (2⁻²⁰ of 2⁻²⁴) so that the day reaches its goal.

        ``paces`` is the sum over those who may come, ``arrivals`` how many come for the first time.
        """
        played, sessions = self.ledger.events, self.ledger.sessions
        length = (played, sessions) if sessions >= 200 else (_USUAL_SESSION, 1)
        wanted = max((goal - played) * length[1] // length[0], 1)
        regular = max(wanted * 7 // 8 - arrivals, wanted // 20, 1)
        return (regular << 44) // max(paces, 1)

    def _block(self, day: int, block: int, span: slice, rate: int) -> None:
        parts = [self._carried.pop(block)] if block in self._carried else []
        came = visits.comers(self.people, self.state, day, span, rate, self._come)
        first = self._steered(visits.first_visits(self.people, self.state, day, *came))
        parts += self._wave(first)
        parts += self._wave(self._steered(visits.second_visits(self.people, self.state, day, first)))
        if block == 0:
            parts += self._planted(day)
        if not parts:
            return
        out = joined(parts)
        late = out.ts >= days.midnight(day + 1)
        if late.any():
            self._carried[block] = out.take(late)
            out = out.take(~late)
        if len(out):
            out = out.take(np.lexsort((out.place, out.person, out.ts)))
            path = self.folder / "events" / f"dt={days.name(day)}" / f"part-{block}.parquet"
            tables.write(tables.event_table(out, self._columns), path)

    def _come(self, day: int, person: Ints, cells: Ints) -> Ints:
        for topic in self.topics:
            cells = topic.come(day, person, cells)
        return cells

    def _steered(self, wave: visits.Visits) -> visits.Visits:
        for topic in self.topics:
            wave = topic.steer(wave)
        return wave

    def _choose(self, wave: visits.Visits, units: Units) -> None:
        for topic in self.topics:
            topic.choose(wave, units)

    def _reduce(self, wave: visits.Visits, total: Ints, coupon: Ints, discount: Ints) -> tuple[Ints, Ints]:
        for topic in self.topics:
            coupon, discount = topic.reduce(wave, total, coupon, discount)
        return coupon, discount

    def _wave(self, came: visits.Visits) -> list[Rows]:
        """Plays visits, lets the topics change the sessions, settles and counts them."""
        if not len(came.person):
            return []
        played = play(self.people, self.state, came, self._choose, self._reduce)
        if not len(played.rows):
            return []
        wave = Wave(came.of(played.kept), played.rows, played.lines.lines, played.lines.wave, played.paid)
        for topic in self.topics:
            topic.wave(wave)
        end = played.end.copy()
        end[played.kept] = wave.end()
        visits.settle(self.people, self.state, came, played.kept, end, played.signed_in)
        cells = usual_returns(wave.paid)
        for topic in self.topics:
            cells = topic.returns(wave, cells)
        self.refunds.plan(wave.day, wave.paid, cells)
        self._note(wave.rows)
        self._lines.append(wave.lines)
        return [wave.rows]

    def _planted(self, day: int) -> list[Rows]:
        """What topics plant on a day, and its refunds."""
        parts = self.refunds.of(day)
        for topic in self.topics:
            for part, lines in topic.planted(day):
                parts.append(part)
                self._lines.append(lines)
        for part in parts:
            self._note(part)
        return parts

    def _note(self, out: Rows) -> None:
        if not len(out):
            return
        part = part_of(out)
        self.ledger.note(part)
        for topic in self.topics:
            topic.note(part)

    def _write_lines(self) -> None:
        lines = joined_lines(self._lines) if self._lines else None
        if lines is not None and len(lines):
            path = self.folder / "items" / f"part-{self._line_files:03d}.parquet"
            tables.write(tables.line_table(lines), path)
            for topic in self.topics:
                topic.sold(lines)
            self._line_files += 1
        self._lines = []

    def logged(self) -> Bools:
        """For each ``2·person + device``: whether that person ever logged in there; actors too."""
        return _bits([self.state.logged, *(actors.logged for actors in self.actors)])

    def seen(self) -> Bools:
        """For each ``2·person + device``: whether that person ever used it; actors too."""
        return _bits([self.state.seen, *(actors.seen for actors in self.actors)])

    def counted(self) -> Counted:
        """What is known once every day is over."""
        family = np.flatnonzero(self.people.family).astype(np.int64)
        return Counted(self.topics[0].world, self.ledger, self.logged(), self.seen(), family)

    def truths(self, counted: Counted) -> list[Truth]:
        """Every planted truth, in the order they are written."""
        return [truth for topic in self.topics for truth in topic.truths(counted)]


def _bits(parts: list[Ints]) -> Bools:
    """The two low bits of each number, one after the other."""
    both = np.concatenate(parts)
    return np.asarray(np.stack([both & 1, both >> 1 & 1], axis=1).ravel() == 1, dtype=np.bool_)


def _expected(people: People) -> tuple[Ints, Ints]:
    """By day: the summed paces of those who may come again, and how many come for the first time."""
    start = np.clip(people.arrival + 1, 0, days.DAYS)
    stop = np.clip(people.leaves, 0, days.DAYS)
    weight = np.where(people.family, people.pace // 2, people.pace).astype(np.float64)
    change = np.bincount(start, weight, days.DAYS + 1) - np.bincount(stop, weight, days.DAYS + 1)
    new = np.bincount(people.arrival[people.arrival >= 0], minlength=days.DAYS)
    return np.cumsum(change).astype(np.int64)[: days.DAYS], new.astype(np.int64)
