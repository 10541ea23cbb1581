"""Two hosts who sell live: viewers are not sales, sales are not money kept, and some buy only afterwards.

Lin draws the most viewers, a crowd of them at 21:00 when there is a draw and hardly longer; few buy and much of
it comes back. Zhou has half as many viewers, sells more, keeps it, and brings people back in the two days after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from workbench.demo import days, rows
from workbench.demo.draws import CELLS, Bools, Ints, below, chance, picked, table, within
from workbench.demo.ledger import Marks, device_key, followed, resolved
from workbench.demo.rows import Part
from workbench.demo.statements import Decoy, Expect, Truth
from workbench.demo.tables import Column, counted, named
from workbench.demo.topics.base import Counted, Topic, World
from workbench.demo.topics.buying import at_home, may_pay
from workbench.demo.visits import PAID, Visits
from workbench.demo.waves import Wave

ENTER = rows.declare_event("live_enter", "live")
WATCH = rows.declare_event("live_watch", "live")
HOSTS = ("host_lin", "host_zhou")
LIN, ZHOU = range(len(HOSTS))
DAYS_OF = ((33, 40, 47, 54, 61, 68), (35, 42, 49, 56, 63, 70))
"""Fridays from 3 April, Sundays from 5 April."""
STREAMS = tuple((day, host) for host, own in enumerate(DAYS_OF) for day in own)
LIVE_IDS = tuple(f"live-{days.name(day)}-{HOSTS[host].removeprefix('host_')}" for day, host in STREAMS)
_STREAM_ON = np.full(days.DAYS, -1, dtype=np.int64)
_STREAM_ON[[day for day, _ in STREAMS]] = range(len(STREAMS))
BEGINS, MINUTES = 20 * 3_600_000, 120
"""From 20:00, in milliseconds after midnight; two hours."""
_MINUTE = 60_000
DRAW = 60
"""The minute of Lin's draw."""
_MINUTES = np.arange(MINUTES, dtype=np.int64)
_COMES_AT = (
    table(np.where((_MINUTES >= DRAW - 1) & (_MINUTES <= DRAW), 160, np.where(_MINUTES < 15, 12, 5))),
    table(np.where(_MINUTES < 15, 12, 6)),
)
_STAYS = (table((30, 25, 15, 10, 7, 5, 3, 2, 2, 1)), table(np.repeat((12, 8, 5, 3), 5)))
"""Further minutes, by host."""
_JOINS, _WEIGHT = (CELLS * 2 // 5, CELLS // 5), (120, 110)
_BUYS = np.array((CELLS * 6 // 100, CELLS * 70 // 100), dtype=np.int64)
_RETURNED = np.array((CELLS * 60 // 100, CELLS * 3 // 100), dtype=np.int64)
_ENTERS_AFTER = 1_200
_AFTER_DAYS = 2
_LARGE = 200_000
_VIEWED, _BOUGHT = 0, 2
"""First of the marks of each kind; plus the host."""


class Live(Topic):
    """Twelve evenings, two hours each."""

    name: ClassVar[str] = "live"
    number: ClassVar[int] = 10
    columns: ClassVar[tuple[Column, ...]] = (
        named("live_id", LIVE_IDS),
        named("host_id", HOSTS),
        counted("live_minute"),
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._marks = Marks()
        self._convinced_until = np.full(world.people.count, -1, dtype=np.int64)
        self._curve = np.zeros((len(HOSTS), MINUTES), dtype=np.int64)
        self._entered: list[tuple[Ints, Ints, Ints]] = []
        self._sold: list[tuple[Ints, Ints, Ints, Ints]] = []
        self._refunded: list[tuple[Ints, Ints]] = []

    def weight(self, day: int) -> int:
        """Streams bring more visits."""
        stream = int(_STREAM_ON[day])
        return 100 if stream < 0 else _WEIGHT[STREAMS[stream][1]]

    def come(self, day: int, person: Ints, cells: Ints) -> Ints:
        """Zhou's viewers who have not bought yet come back."""
        return np.where(self._convinced_until[person] >= day, cells * 12, cells)

    def steer(self, visits: Visits) -> Visits:
        """Some wait for the stream and buy there; some of Zhou's buy within two days."""
        goes, start, word = visits.goes, visits.start, self.draw(visits.word, 0)
        able = may_pay(self.world.people, visits)
        convinced = able & (self._convinced_until[visits.person] >= visits.day)
        goes = np.where(convinced & chance(word, 0, CELLS * 7 // 10), PAID, goes)
        stream = int(_STREAM_ON[visits.day])
        if stream >= 0:
            target = self._target(visits)
            joins = at_home(visits) & ~self.world.people.family[visits.person] & (start <= target)
            joins &= chance(word, 16, _JOINS[STREAMS[stream][1]])
            start = np.where(joins, target, start)
            goes = np.where(joins & able & chance(word, 32, _BUYS[STREAMS[stream][1]]), PAID, goes)
        return replace(visits, goes=goes, start=start)

    def _target(self, visits: Visits) -> Ints:
        """When each would join the stream of the day."""
        word = self.draw(visits.word, 1)
        minute = picked(_COMES_AT[STREAMS[int(_STREAM_ON[visits.day])][1]], word, 0)
        begins = days.midnight(visits.day) + BEGINS
        return begins + minute * _MINUTE + below(word, 32, _MINUTE - _ENTERS_AFTER)

    def _watches(self, visits: Visits) -> Bools:
        """Which visits are spent at the stream of the day; known by the moment they begin."""
        if _STREAM_ON[visits.day] < 0:
            return np.zeros(len(visits.person), dtype=np.bool_)
        return np.asarray(visits.start == self._target(visits), dtype=np.bool_)

    def wave(self, wave: Wave) -> None:
        """Inserts the stream behind the start, a row a minute, and writes its host on the order."""
        watches = self._watches(wave.visits)
        session = np.flatnonzero(watches)
        if not len(session):
            return
        stream = int(_STREAM_ON[wave.day])
        host = STREAMS[stream][1]
        minute = (wave.visits.start[session] - days.midnight(wave.day) - BEGINS) // _MINUTE
        stays = picked(_STAYS[host], self.draw(wave.visits.word[session], 2), 0)
        at_draw = (host == LIN) & (np.abs(minute - DRAW) <= 1)
        stays = np.minimum(np.where(at_draw, np.minimum(stays, 1), stays), MINUTES - 1 - minute)
        origin, step = within(stays + 1)
        wave.insert(
            wave.part().first[session][origin],
            np.where(step == 0, ENTER, WATCH),
            np.where(step == 0, _ENTERS_AFTER, _MINUTE),
            {"live_id": stream, "host_id": host, "live_minute": minute[origin] + step},
            push=True,
        )
        part = wave.part()
        sold = np.flatnonzero((part.rows.event == rows.PAID) & watches[part.session])
        wave.rows.column("live_id")[sold] = stream
        wave.rows.column("host_id")[sold] = host
        if host == ZHOU:
            hesitates = watches & ~wave.paid.is_paid
            self._convinced_until[wave.visits.person[hesitates]] = wave.day + _AFTER_DAYS

    def returns(self, wave: Wave, cells: Ints) -> Ints:
        """Much of what Lin sells comes back."""
        if _STREAM_ON[wave.day] < 0:
            return cells
        host = STREAMS[int(_STREAM_ON[wave.day])][1]
        return np.where(self._watches(wave.visits), _RETURNED[host], cells)

    def note(self, part: Part) -> None:
        """Counts viewers, minutes, orders and refunds."""
        out = part.rows
        back = np.flatnonzero(out.event == rows.REFUND)
        if len(back):
            self._refunded.append((out.person[back], out.order[back]))
        if "host_id" not in out.extra:
            return
        host, minute = out.column("host_id"), out.column("live_minute")
        there = minute >= 0
        np.add.at(self._curve, (host[there], minute[there]), 1)
        enters = np.flatnonzero(out.event == ENTER)
        key = device_key(out, enters)
        self._marks.add(key, _VIEWED + host[enters])
        self._entered.append((key, out.ts[enters], host[enters]))
        sold = np.flatnonzero((out.event == rows.PAID) & (host >= 0))
        self._marks.add(device_key(out, sold), _BOUGHT + host[sold])
        self._sold.append((out.person[sold], out.order[sold], host[sold], out.amount[sold]))

    def truths(self, counted: Counted) -> list[Truth]:
        """Viewers, sales, refunds, the minute curve, what is bought afterwards."""
        person, order, host, amount = _columns(self._sold, 4)
        refunded = np.isin(_order_key(person, order), _order_key(*_columns(self._refunded, 2)))
        return [
            self._viewers(counted),
            _refunds(host, refunded),
            self._by_minute(),
            *self._afterwards(counted, _order_key(person, order)),
            self._report(counted, host, amount, refunded),
        ]

    def _viewers(self, counted: Counted) -> Truth:
        return Truth(
            "live-viewers-and-buyers",
            "Lin has far more viewers than Zhou, and Zhou more buyers.",
            "workbench funnel --hold host_id --step live_enter --step order_paid --window 1d --by host_id",
            expected=tuple(
                Expect(
                    {"breakdown": name, "step": step}, "users", self._marks.count(kind + host, counted.logged)
                )
                for host, name in enumerate(HOSTS)
                for step, kind in ((1, _VIEWED), (2, _BOUGHT))
            ),
            decoys=(Decoy("most-viewers", "The most viewers are no sales.", row={"breakdown": HOSTS[LIN]}),),
            smallest=_LARGE,
        )

    def _by_minute(self) -> Truth:
        minutes = enumerate(self._curve[LIN].tolist())
        return Truth(
            "live-minute-curve",
            "Lin's streams minute by minute, from 20:00: a jump at minute 60, when there is a draw, and gone again two "
            "minutes later.",
            f"workbench properties live_minute --where \"host_id = '{HOSTS[LIN]}'\" --top {MINUTES}",
            expected=tuple(
                Expect({"value": str(minute)}, "events", count) for minute, count in minutes if count
            ),
            decoys=(Decoy("zhou", "Zhou has no draw and no jump; his viewers stay longer."),),
            smallest=_LARGE,
        )

    def _afterwards(self, counted: Counted, live_orders: Ints) -> list[Truth]:
        key, ts, host = _columns(self._entered, 3)
        viewer = resolved(key, counted.logged)
        orders = counted.ledger.orders()
        other = ~np.isin(_order_key(orders.person, orders.number), live_orders)
        out = []
        for code, sentence in (
            (ZHOU, "Many of Zhou's viewers buy in the two days after the stream …"),
            (LIN, "… Lin's do not."),
        ):
            own = host == code
            bought = followed(viewer[own], ts[own], orders.person * 4, orders.ts, _AFTER_DAYS * days.MS_DAY)
            out.append(
                Truth(
                    f"live-afterwards-{HOSTS[code].removeprefix('host_')}",
                    sentence,
                    f"workbench funnel --step \"live_enter: host_id = '{HOSTS[code]}'\" "
                    '--step "order_paid: host_id IS NULL" --window 2d',
                    expected=(
                        Expect({"step": 1}, "users", len(np.unique(viewer[own]))),
                        Expect({"step": 2}, "users", len(np.unique(orders.person[bought & other]))),
                    ),
                    smallest=_LARGE,
                )
            )
        return out

    def _report(self, counted: Counted, host: Ints, amount: Ints, refunded: Bools) -> Truth:
        expected: list[Expect] = []
        for code, name in enumerate(HOSTS):
            row, own = {"host_id": name}, host == code
            expected += [
                Expect(row, "viewers", self._marks.count(_VIEWED + code, counted.logged)),
                Expect(row, "orders", int(own.sum())),
                Expect(row, "revenue", int(amount[own].sum()) / 100),
                Expect(row, "refunded", int(amount[own & refunded].sum()) / 100),
            ]
        return Truth(
            "live-hosts",
            "What is left of each host's sales once refunds are off.",
            "workbench live --by host_id",
            expected=tuple(expected),
            tolerance=1e-9,
            smallest=_LARGE,
            waits="report live",
        )


def _refunds(host: Ints, refunded: Bools) -> Truth:
    return Truth(
        "live-refunds",
        "Of what Lin sells about half comes back, of what Zhou sells hardly anything.",
        'workbench funnel --hold order_id --step "order_paid: host_id IS NOT NULL" --step refund --window 30d '
        "--by host_id",
        expected=tuple(
            Expect({"breakdown": name, "step": step}, "users", int(which.sum()))
            for code, name in enumerate(HOSTS)
            for step, which in ((1, host == code), (2, (host == code) & refunded))
        ),
        smallest=_LARGE,
    )


def _columns(parts: Sequence[tuple[Ints, ...]], count: int) -> list[Ints]:
    """Parts of several columns each as one array a column."""
    if not parts:
        return [np.zeros(0, dtype=np.int64) for _ in range(count)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _order_key(person: Ints, order: Ints) -> Ints:
    return person * 10_000 + order
