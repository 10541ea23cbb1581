"""What topics build on: events put into sessions, scripts that are played, facts counted about people."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from workbench.demo import catalogue, days, rows, scripts
from workbench.demo.draws import Ints
from workbench.demo.ledger import Marks
from workbench.demo.orders import Paid
from workbench.demo.rows import Lines, Rows
from workbench.demo.visits import Visits
from workbench.demo.waves import Wave

START = days.midnight(3)


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def wave_of(*sessions: list[tuple[int, int]], start: int = START) -> Wave:
    """A wave of sessions, each a list of (milliseconds from its start, event), a person each."""
    count = sum(map(len, sessions))
    out = rows.blank(count)
    person = [number for number, session in enumerate(sessions) for _ in session]
    out.person = ints(*person)
    out.user = out.person + 100
    out.ts = ints(*(start + at for session in sessions for at, _ in session))
    out.event = ints(*(event for session in sessions for _, event in session))
    out.place = ints(*(place for session in sessions for place in range(len(session))))
    out.session[:] = 4
    paid = [number for number, session in enumerate(sessions) if (session[-1][1] == rows.PAID)]
    lines = Lines(*(ints(*paid) for _ in range(8)))
    lines.place = ints(*(len(sessions[number]) - 1 for number in paid))
    nothing = {f.name: ints() for f in fields(Visits)}
    visits = Visits(**{**nothing, "day": 3})  # type: ignore[arg-type]
    closed = Paid(**{f.name: ints() for f in fields(Paid)})  # type: ignore[arg-type]
    return Wave(visits, out, lines, ints(*paid), closed)


def timeline(out: Rows) -> list[tuple[int, int, int, int]]:
    return list(
        zip(
            out.person.tolist(),
            out.place.tolist(),
            (out.ts - START).tolist(),
            out.event.tolist(),
            strict=True,
        )
    )


def test_insertion_squeezes_into_the_gap_and_moves_the_order_line() -> None:
    wave = wave_of(
        [(0, rows.START), (1_000, rows.HOME), (2_000, rows.PAID)],
        [(0, rows.START), (700, rows.HOME)],
    )
    fits = wave.insert(ints(1, 1, 4), ints(20, 21, 22), ints(100, 5_000, 400), {"position": ints(7, 8, 9)})
    assert fits.tolist() == [True, True, True]
    assert timeline(wave.rows) == [
        (0, 0, 0, rows.START),
        (0, 1, 1_000, rows.HOME),
        (0, 2, 1_333, 20),
        (0, 3, 1_666, 21),
        (0, 4, 2_000, rows.PAID),
        (1, 0, 0, rows.START),
        (1, 1, 700, rows.HOME),
        (1, 2, 1_100, 22),
    ]
    assert wave.lines.place.tolist() == [4]
    assert wave.rows.position.tolist() == [-1, -1, 7, 8, -1, -1, -1, 9]
    assert wave.rows.user.tolist() == [100] * 5 + [101] * 3
    assert (wave.end() - START).tolist() == [2_000, 1_100]


def test_insertion_with_push_moves_the_rest_of_the_session_alone() -> None:
    wave = wave_of(
        [(0, rows.START), (1_000, rows.HOME), (2_000, rows.PAID)],
        [(0, rows.START), (700, rows.HOME)],
    )
    assert wave.insert(ints(0, 1), 20, ints(60_000, 5_000), {"slot": 3}, push=True).tolist() == [True, True]
    assert timeline(wave.rows) == [
        (0, 0, 0, rows.START),
        (0, 1, 60_000, 20),
        (0, 2, 61_000, rows.HOME),
        (0, 3, 66_000, 20),
        (0, 4, 67_000, rows.PAID),
        (1, 0, 0, rows.START),
        (1, 1, 700, rows.HOME),
    ]
    assert wave.rows.extra["slot"].tolist() == [-1, 3, -1, 3, -1, -1, -1]


@pytest.mark.parametrize("push", [False, True])
def test_what_does_not_fit_stays_out_as_a_whole(push: bool) -> None:
    late = days.END - START - 1_000
    wave = wave_of([(late, rows.START), (late + 2, rows.HOME)])
    before = timeline(wave.rows)
    fits = wave.insert(ints(0, 0, 1), ints(20, 21, 22), ints(1, 1_500, 2_000), push=push)
    assert not fits.any()
    assert timeline(wave.rows) == before


def test_a_script_keeps_its_cart_its_money_and_its_login() -> None:
    product = ints(5, 18)
    cast = scripts.Cast(
        person=ints(70), word=np.array([9], dtype=np.uint64), day=ints(3), product=product[None, :],
        channel=ints(0), city=ints(2), platform=0, coupon=ints(1),
    )  # fmt: skip
    moments = [
        scripts.Moment(0, 0, 0, rows.START),
        scripts.Moment(0, 10, 0, rows.ADD, 0),
        scripts.Moment(0, 20, 0, rows.ADD, 1),
        scripts.Moment(0, 30, 0, rows.CART),
        scripts.Moment(0, 40, 0, rows.LOGIN),
        scripts.Moment(0, 50, 0, rows.COUPON),
        scripts.Moment(0, 60, 0, rows.PAID),
        scripts.Moment(1, 90_000, 0, rows.START),
        scripts.Moment(1, 90_010, 0, rows.CART, sets={"position": 4}),
    ]
    staged = scripts.staged([scripts.play(moments, cast)])
    out, lines = staged.of(3)
    total = int(catalogue.PRICE[product].sum())
    assert out.event.tolist() == [moment.event for moment in moments[:7]]
    assert (out.ts - START).tolist() == [at * 1_000 for at in range(0, 70, 10)]
    assert out.user.tolist() == [-1] * 4 + [70] * 3
    assert out.cart_items[3] == 2
    assert (int(out.amount[6]), int(out.discount[6])) == (total - total // 10, total // 10)
    assert lines.product.tolist() == product.tolist()
    assert int(lines.amount.sum()) == int(out.amount[6])
    assert lines.place.tolist() == [6, 6]
    later, none = staged.of(4)
    assert later.event.tolist() == [rows.START, rows.CART]
    assert later.position.tolist() == [-1, 4]
    assert (later.cart_items[1], len(none)) == (0, 0)
    assert len(staged.of(5)[0]) == 0


def test_what_follows_within_a_time_stays_in_its_session() -> None:
    out = wave_of(
        [(0, 1), (5_000, 2), (9_000, 1), (9_500, 3)],
        [(0, 3), (100, 1)],
        [(0, 1), (40_000, 3)],
    ).rows
    part = rows.part_of(out)
    entry, then = out.event == 1, out.event == 3
    assert part.follows(entry, then, 500).tolist() == [True, False, False]
    assert part.follows(entry, then, 499).tolist() == [False, False, False]
    assert part.follows(entry, then, 40_000).tolist() == [True, False, True]
    assert part.does(2).tolist() == [True, False, False]


def test_marks_count_people_as_the_identity_rule_sees_them() -> None:
    logged = np.array([True, True, False, False, False, True])
    marks = Marks()
    marks.add(ints(0, 1, 2, 3, 5), 31)
    marks.add(ints(2), ints(0))
    # One person logged in on both devices, one anonymous on two, one logged in on the second.
    assert marks.people(31, logged).tolist() == [0, 5, 6, 8]
    assert marks.count(0, logged) == 1
    assert marks.count(1, logged) == 0
