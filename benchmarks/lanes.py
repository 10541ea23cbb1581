"""A funnel over raw Parquet by each path: from files, from lanes, and the fold of lanes alone.

    workbench demo /tmp/shop10m --events 10000000 --no-open
    python benchmarks/lanes.py /tmp/shop10m/events

One process, one dataset opened and surveyed before anything is timed; files and lanes answer the same question in
turn. ``first`` is a question that makes its lanes, over a dataset whose lanes are dropped before each run. Printed:
seconds (min, median, max), the threads' processor seconds of the fold, what lanes take, and whether the answers agree.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from queries.funnel import answer, request
from queries.funnel_lanes import lane_funnel
from queries.funnel_select import select_of
from queries.kernels.lanes_fold import fold
from queries.question import Result, Scope
from queries.scope import Within
from workbench.dataset import Dataset, opened
from workbench.lanes import LaneCache
from workbench.runner import Task

STEPS = ("product_view", "add_to_cart", "checkout", "order_paid")
ASKED: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "4 steps, 7 d": (STEPS, {}),
    "entry first": (STEPS, {"entry": "first"}),
    "entry every": (STEPS, {"entry": "every"}),
    "ties strict": (STEPS, {"ties": "strict"}),
    "trend week": (STEPS, {"trend": "week"}),
    "optional step 2": (STEPS, {"optional": (2,)}),
    "excluded": (STEPS, {"exclude": ("remove_from_cart@2:4",)}),
    "any order": (STEPS, {"order": "any"}),
    "one event twice": (("product_view", "product_view", "order_paid"), {}),
    "5 large steps": (("session_start", "list_view", "product_view", "search", "search_click"), {}),
}


class NoLanes(LaneCache):
    """The cache of the files' path."""

    def of(self, *_: object, **__: object) -> None:
        """None."""


def timed(run: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds, processor seconds, and what came of it."""
    began, worked = time.perf_counter(), time.process_time()
    found = run()
    return time.perf_counter() - began, time.process_time() - worked, found


def spread(seconds: list[float]) -> str:
    return f"{min(seconds):.3f} {statistics.median(seconds):.3f} {max(seconds):.3f}"


def told(result: Result) -> tuple[object, ...]:
    return (result.rows, result.totals, result.notes, result.meta)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--unit", default="user")
    options = parser.parse_args()
    scope = Scope(data=(str(options.folder),), unit=options.unit)
    dataset = opened(scope, Task(), threads=options.threads)
    survey = dataset.survey()
    print(f"{survey.rows:,} events, {survey.people:,} of unit {options.unit}, {options.threads} threads")
    for name, (steps, rules) in ASKED.items():
        measure(name, dataset, steps, rules, options.runs)
    print(f"largest resident memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10:,} MB")


def measure(name: str, dataset: Dataset, steps: tuple[str, ...], rules: dict[str, Any], runs: int) -> None:
    most = dataset._limits.memory_bytes // 4
    asked = request(steps, "7d", dataset.scope, **rules)
    within = Within.of(asked.scope, dataset)
    funnel = lane_funnel(asked, within, select_of(asked, within, dataset).rule)
    assert funnel is not None
    first, files, lanes, kernel = [], [], [], []
    for _ in range(runs):
        dataset._lanes = NoLanes(0)
        files.append(timed(lambda: answer(asked, dataset)))
        dataset._lanes = LaneCache(most)
        first.append(timed(lambda: answer(asked, dataset)))
        lanes.append(timed(lambda: answer(asked, dataset)))
        arrays = dataset.lanes(funnel.names, {}, make=False)
        assert arrays is not None
        kernel.append(timed(partial(fold, arrays, funnel, threads=dataset.threads)))
        assert told(files[-1][2]) == told(first[-1][2]) == told(lanes[-1][2])
    keys = sum(map(len, arrays.keys.values()))
    print(
        f"{name:16} files {spread([one[0] for one in files])}   first {spread([one[0] for one in first])}   "
        f"lanes {spread([one[0] for one in lanes])}   fold {spread([one[0] for one in kernel])} "
        f"(processor {min(one[1] for one in kernel):.3f})   {keys:,} keys, {dataset.stats()['lanes_bytes']:,} bytes"
    )


if __name__ == "__main__":
    main()
