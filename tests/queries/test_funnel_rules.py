"""Every rule of the funnel through the front door (request, SQL, fold, table) against the brute-force oracle."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queries.funnel import answer, request
from queries.funnel_request import FunnelRequest
from queries.question import QuestionError, Scope
from queries.ranges import format_duration, iso, zone
from tests.oracles.funnel import Event, Options, funnel, random_users
from workbench.commands.funnel import command
from workbench.dataset import opened
from workbench.runner import Task

START = 1_772_300_000_000
MINUTE = 60_000
UTC = zone("UTC")


def random_options(rng: random.Random) -> Options:
    """Rules that may stand together, most of them default; times in ms from 0."""
    any_order = rng.random() < 0.2
    order = "any" if any_order else rng.choice(("ordered", "ordered", "strict"))
    tolerance = rng.choice((MINUTE, 6 * MINUTE)) if order == "ordered" and rng.random() < 0.25 else 0
    plain = any_order or tolerance
    return Options(
        steps=3,
        window=rng.choice((None, 20 * MINUTE, 60 * MINUTE)),
        order=order,
        entry=rng.choice(("any", "any", "first", "every")),
        ties="order" if plain else rng.choice(("order", "strict")),
        tolerance=tolerance,
        step_windows={} if any_order else rng.choice(({}, {2: 12 * MINUTE}, {3: 6 * MINUTE})),
        exclusions=rng.choice(((), (), ((1, 3),) if any_order else ((1, 2),), ((1, 3),))),
        exclusion=rng.choice(("drop", "remove")),
        hold=rng.random() < 0.15,
        optional=frozenset() if any_order else rng.choice((frozenset(), frozenset({2}))),
        range=rng.choice(("entry", "entry", "whole")),
        range_start=rng.choice((None, 6 * MINUTE)),
        range_end=rng.choice((None, 30 * MINUTE)),
        at=rng.choice(("first", "first", "last", "step:2", "user-first", "user-last")),
        as_of=rng.choice((40 * MINUTE, 90 * MINUTE)),
    )


def name_of(event: Event) -> str:
    return "e" + "".join(str(step) for step in sorted(event.steps))


def asked(
    options: Options,
    names: list[str],
    folder: Path,
    by: str | None,
    *,
    start: int = START,
    tz: str | None = None,
    **rules: object,
) -> FunnelRequest:
    """The request that asks these rules of what :func:`write` wrote with the same ``start``."""
    steps = ["|".join(name for name in names if str(step) in name) or f"none{step}" for step in (1, 2, 3)]

    def moment(ms: int | None) -> str | None:
        return None if ms is None else iso(start + ms, UTC)

    scope = Scope(
        data=(str(folder),),
        since=moment(options.range_start),
        until=moment(options.range_end),
        as_of=moment(options.as_of),
        tz=tz,
        by=by,
        top=100,
    )
    everything = "|".join(names)
    return request(
        steps,
        format_duration(options.window),
        scope,
        order=options.order,
        entry=options.entry,
        ties=options.ties,
        tolerance=format_duration(options.tolerance),
        step_window=tuple(f"{step}={format_duration(ms)}" for step, ms in options.step_windows.items()),
        exclude=tuple(
            f"{everything}: x{place} = true@{first}:{last}"
            for place, (first, last) in enumerate(options.exclusions)
        ),
        exclusion=options.exclusion if options.exclusions else "drop",
        hold="held" if options.hold else None,
        optional=tuple(options.optional),
        range=options.range,
        at=options.at,
        **rules,
    )


def write(folder: Path, events: list[Event], start: int = START) -> None:
    folder.mkdir()
    rows = sorted(events, key=lambda event: event.sequence)
    table = pa.table(
        {
            "ts": pa.array([start + event.ts for event in rows], pa.timestamp("ms", tz="UTC")),
            "event": [name_of(event) for event in rows],
            "user_id": [f"u{event.user}" for event in rows],
            "colour": pa.array([event.value for event in rows], pa.string()),
            "held": pa.array(
                [None if event.held is None else str(event.held) for event in rows], pa.string()
            ),
            "x0": [0 in event.excludes for event in rows],
        }
    )
    half = len(rows) // 2
    pq.write_table(table.slice(0, half), folder / "a.parquet")
    pq.write_table(table.slice(half), folder / "b.parquet")


@pytest.mark.parametrize("seed", range(10))
def test_rows_equal_the_oracle_under_random_rules(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for number in range(6):
        options = random_options(rng)
        people = list(random_users(rng, options, users=12))
        events = [event for mine in people for event in mine]
        names = sorted({name_of(event) for event in events})
        folder = tmp_path / str(number)
        write(folder, events)
        by = "colour" if rng.random() < 0.7 else None
        wanted = asked(options, names, folder, by)
        result = answer(wanted, opened(wanted.scope, Task()))
        known = [event for event in events if event.ts <= (options.as_of or 0)]
        oracle = funnel(known, options)
        total = [row for row in result.rows if row["is_total"]]
        assert [(row["users"], row["dropped"], row["open"], row["skipped"]) for row in total] == [
            (row.n, row.dropped, row.open, row.skipped) for row in oracle.rows
        ], options
        if by is None:
            continue
        for value, expected in oracle.rows_by_value().items():
            mine = [row for row in result.rows if not row["is_total"] and row["breakdown"] == value]
            assert [(row["users"], row["dropped"], row["open"]) for row in mine] == [
                (row.n, row.dropped, row.open) for row in expected
            ], (options, value)


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ({"order": "any", "ties": "strict"}, "strictly increasing"),
        ({"order": "any", "step_window": ("2=1h",)}, "window"),
        ({"order": "strict", "tolerance": "2s"}, "tolerance"),
        ({"ties": "strict", "tolerance": "2s"}, "tolerance"),
        ({"optional": (1,)}, "first and the last"),
        ({"optional": (3,)}, "first and the last"),
        ({"step_window": ("1=1h",)}, "step 2 or a later"),
        ({"exclude": ("x@2:2",)}, "later one"),
        ({"at": "step:9"}, "step:9"),
        ({"exclusion": "remove"}, "--exclude"),
        ({"trend": "year"}, "--trend year"),
    ],
)
def test_an_impossible_pair_is_refused_with_the_reason(rules: dict[str, object], why: str) -> None:
    with pytest.raises(QuestionError, match=why):
        request(["a", "b", "c"], "7d", Scope(), **rules)


def test_mature_needs_a_window() -> None:
    with pytest.raises(QuestionError, match="mature"):
        request(["a", "b"], "none", Scope(), mature=True)


def test_every_option_is_in_the_command_line_that_the_request_prints() -> None:
    wanted = request(
        ["a", "b: x > 1", "c"],
        "2d",
        Scope(by="channel"),
        entry="first",
        step_window=("2=1h", "3=30m"),
        tolerance="2s",
        exclude=('"odd@name"|d: y = 1@1:2', "z"),
        exclusion="remove",
        hold="cart_id",
        optional=(2,),
        range="whole",
        at="last",
        since="first",
        mature=True,
        trend="week",
        compare="previous",
    )
    context = click.Context(command, info_name="funnel")
    values, rest, _ = command.make_parser(context).parse_args(wanted.arguments()[1:])
    assert rest == []
    assert values["exclude"] == ['"odd@name"|d: y = 1@1:2', "z"]
    again = request(
        values["steps"],
        values["window"],
        Scope(by=values["by"][0]),
        entry=values["entry"],
        step_window=tuple(values["step_window"]),
        tolerance=values["tolerance"][0],
        exclude=tuple(values["exclude"]),
        exclusion=values["exclusion"],
        hold=values["hold"][0],
        optional=tuple(int(step) for step in values["optional"]),
        range=values["range"],
        at=values["at"],
        since=values["since_first"][0],
        mature=True,
        trend=values["trend"][0],
        compare=values["compare"][0],
    )
    assert again == wanted


def test_times_since_the_first_step_are_longer(tmp_path: Path) -> None:
    steps = ((0, 1), (30 * MINUTE, 1), (45 * MINUTE, 2))
    events = [Event(0, ts, place, frozenset({step})) for place, (ts, step) in enumerate(steps)]
    write(tmp_path / "d", [*events, replace(events[0], user=1)])
    times = []
    for since in ("entry", "first"):
        wanted = request(["e1", "e2"], "7d", Scope(data=(str(tmp_path / "d"),)), since=since)
        rows = answer(wanted, opened(wanted.scope, Task())).rows
        times.append(rows[1]["seconds_from_entry_median"])
    assert times == [15 * 60, 45 * 60]


def test_a_tolerance_reaches_ahead_of_the_range(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text(
        "ts,event,user_id\n"
        "2026-02-28T23:59:57Z,C,u\n2026-02-28T23:59:58Z,B,u\n2026-03-01T00:00:00Z,A,u\n"
        "2026-03-01T00:00:00Z,A,v\n2026-02-28T23:59:57Z,B,v\n"
    )
    scope = Scope(data=(str(path),), since="2026-03-01")
    result = answer(request(["A", "B", "C"], "7d", scope, tolerance="2s"), opened(scope, Task()))
    assert [row["users"] for row in result.rows] == [2, 1, 1]
