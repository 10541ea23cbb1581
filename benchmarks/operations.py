"""Rows of the target table that are no race over one question: timelines, imports, growth, starting."""

from __future__ import annotations

import json
import math
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
from bench import Bench, Operation
from measuring import Found, Limit, Measured, Spread, alternating, process, workbench
from ours import PAGE, Workbench
from painting import painted
from prepared import connected
from questions import BARE

_PEOPLE = 100
_SMALL_EVENTS = 200_000


# --- one person ---------------------------------------------------------------------------------------------------


def timelines(bench: Bench) -> Found:
    """Profile and first page of people: half of them any, 4 in 10 by how active they are, 1 in 10 the most active."""
    chosen = _people(bench)
    dataset = bench.ours.opened()
    dataset.survey()
    of, clickhouse = bench.ours, bench.clickhouse
    for _, name in chosen[:3]:
        of.timeline(dataset, name)
    own, theirs, unlike = [], [], 0
    for code, name in chosen:
        ours = _timed(lambda name=name: of.timeline(dataset, name))  # type: ignore[misc]
        peer = _timed(lambda code=code: clickhouse.timeline(code, PAGE))  # type: ignore[misc]
        own.append(ours[0])
        theirs.append(peer[0])
        unlike += ours[1] != peer[1]
    bench.close()
    return Found(
        f"timeline of any of {len(chosen)} people, profile and first {PAGE} rows",
        (Limit("p95", 50, "ms"),),
        "runs whose row groups are cut at people, so that one group is read; no profile query of its own",
        {
            "workbench": Measured(Spread(tuple(own)), [], path=of.path),
            "MergeTree": Measured(Spread(tuple(theirs)), []),
        },
        {"p95": _percentile(own, 95) * 1000, "p95 of MergeTree": _percentile(theirs, 95) * 1000},
        [f"{unlike} of {len(chosen)} with another number of rows than MergeTree"] if unlike else [],
        lacks_store=not bench.ours.has_store,
    )


def _people(bench: Bench) -> list[tuple[int, str]]:
    """The people asked for, codes of the peers with an id; the same ones each time."""
    con = connected(bench.prepared.database, threads=bench.threads)
    (any_of, by_activity, top) = (
        con.execute(f"SELECT person, id FROM people ORDER BY {order} LIMIT {count}").fetchall()
        for order, count in (
            ("hash(person)", _PEOPLE // 2),
            ("-ln((hash(person, 1) % 1000003 + 1) / 1000004) / events", _PEOPLE * 4 // 10),
            ("events DESC, person", _PEOPLE // 10),
        )
    )
    con.close()
    return [*any_of, *by_activity, *top]


def _timed(run: Callable[[], list[int]]) -> tuple[float, list[int]]:
    began = time.perf_counter()
    found = run()
    return time.perf_counter() - began, found


def _percentile(values: Sequence[float], of_hundred: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[of_hundred - 1]


# --- the store ----------------------------------------------------------------------------------------------------


def imports(bench: Bench) -> Found:
    """A store from nothing, in processes as its users run them."""
    limits = (Limit("seconds per million", 0.5, "s"), Limit("peak", 1.0, "GB"))
    found = Found("import", limits, "the narrow sort; identity of all raw ids")
    of = bench.ours
    if not of.can_import:
        found.remarks.append("no store: this version has no `workbench import`")
        return found
    ended = []
    for _ in range(min(bench.runs, 3)):
        of.drop_store()
        ended.append(of.make_store())
    found.measured["workbench"] = Measured(
        Spread(tuple(one.seconds for one in ended)),
        [],
        peak=max(one.peak for one in ended),
        private=max(one.private for one in ended),
    )
    median = found.measured["workbench"].spread.median
    found.figures["seconds per million"] = median / bench.events * 1e6
    found.figures["bytes per event on disk"] = of.store_bytes() / bench.events
    return found


def new_day(bench: Bench) -> Found:
    """The newest day comes to a store of the others: its cost against its share of a whole import."""
    limits = (Limit("times its share", 2),)
    found = Found(
        "import of a new day",
        limits,
        "starting the program; ids of all people written again; rows read whole",
    )
    if not bench.ours.can_import:
        found.remarks.append("no store: this version has no `workbench import`")
        return found
    days = sorted((bench.folder / "events").iterdir())
    with tempfile.TemporaryDirectory(dir=bench.folder.parent, prefix="trial-") as name:
        trial = Path(name) / "shop"
        shutil.copytree(bench.folder, trial, ignore=shutil.ignore_patterns("peers", ".workbench", "small"))
        newest = trial / "events" / days[-1].name
        aside = Path(name) / days[-1].name
        newest.rename(aside)
        of = Workbench(trial, bench.threads)
        of.make_store()
        aside.rename(newest)
        day, nothing = workbench("-C", str(trial), "import", "--json"), of.make_store()
        of.drop_store()
        whole = of.make_store()
    said, _ = json.JSONDecoder().raw_decode(day.out[day.out.index("{") :])
    rows, again = (said["totals"][name] for name in ("new_rows", "rows_sorted_again"))
    share = (rows + again) / bench.events
    found.remarks.append(
        f"{rows:,} rows of the day, {again:,} of {said['totals']['people_changed']:,} people whose identity it changed"
    )
    found.figures |= {
        "seconds": day.seconds,
        "seconds of a whole import": whole.seconds,
        "seconds with nothing new": nothing.seconds,
        "share": share,
        "times its share": day.seconds / (whole.seconds * share),
        "peak MB": day.peak / 1e6,
    }
    return found


def _rows(path: Path) -> int:
    """Rows of a file, or of all files in a folder."""
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    return sum(pq.ParquetFile(one).metadata.num_rows for one in files)


# --- growth -------------------------------------------------------------------------------------------------------


def growth(bench: Bench) -> Found:
    """The exponent of time over events, between two sizes."""
    limits = (Limit("exponent of the funnel", 1.05, ""), Limit("exponent of the import", 1.05, ""))
    found = Found("scaling", limits, "blocks that stay in cache whatever the size")
    small = bench.against
    if small is None:
        found.remarks.append("not measured: give a smaller folder with --against")
        return found
    found.lacks_store = not (bench.ours.has_store and small.ours.has_store)
    measured = alternating(
        {"workbench": bench.ours.open_funnel(BARE), "smaller": small.ours.open_funnel(BARE)}, bench.runs
    )
    for one in measured.values():
        one.agrees = True
    found.measured = measured
    grown = math.log(bench.events / small.events)
    times = [one.spread.median for one in measured.values()]
    found.figures["exponent of the funnel"] = math.log(times[0] / times[1]) / grown
    if bench.ours.can_import:
        seconds = []
        for size in (bench, small):
            size.ours.drop_store()
            seconds.append(size.ours.make_store().seconds)
        found.figures["exponent of the import"] = math.log(seconds[0] / seconds[1]) / grown
    found.remarks.append(f"{small.events:,} to {bench.events:,} events")
    return found


# --- starting -----------------------------------------------------------------------------------------------------


def starting(bench: Bench) -> Found:
    """The command line from nothing: its help, and a small question over the default demo."""
    limits = (
        Limit("--help", 100, "ms"),
        Limit("small question, files", 400, "ms"),
        Limit("small question, store", 400, "ms"),
        Limit("first paint", 500, "ms"),
        Limit("screen switch", 100, "ms"),
    )
    found = Found("cold start", limits, "imports: numpy, duckdb and pyarrow are half of it")
    shop = bench.folder / "small"
    if not (shop / "workbench.toml").exists():
        workbench("demo", str(shop), "--events", str(_SMALL_EVENTS), "--no-open")
    of = Workbench(shop, bench.threads)
    funnel = ("funnel", "--step", "product_view", "--step", "order_paid")
    # Files that are named have no store, whatever the workspace has.
    bare = (*funnel, "--data", str(shop / "events"))
    question = ("-C", str(shop), *funnel)
    runs = max(bench.runs, 5) * 2
    found.figures["bare python"] = _started(
        runs, lambda: process([sys.executable, "-c", ""], watch=False).seconds
    )
    found.figures["--help"] = _started(runs, lambda: workbench("--help", watch=False).seconds)
    found.figures["small question, files"] = _started(runs, lambda: workbench(*bare, watch=False).seconds)
    if of.can_import:
        of.make_store()
        found.figures["small question, store"] = _started(
            runs, lambda: workbench(*question, watch=False).seconds
        )
    first, switch = zip(*(painted(shop) for _ in range(max(bench.runs, 5))), strict=True)
    found.figures["first paint"] = statistics.median(first) * 1000
    found.figures["screen switch"] = statistics.median(switch) * 1000
    return found


def _started(runs: int, run: Callable[[], float]) -> float:
    """The median in milliseconds, after one run that is not counted."""
    run()
    return statistics.median(run() for _ in range(runs)) * 1000


OPERATIONS = (
    Operation("import", imports),
    Operation("new-day", new_day),
    Operation("timeline", timelines),
    Operation("scaling", growth),
    Operation("start", starting),
)
