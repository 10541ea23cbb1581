"""A funnel over raw Parquet, ours against ClickHouse on the same files, in alternating runs of one process.

    pip install '.[bench]'
    workbench demo /tmp/shop10m --events 10000000 --no-open
    python benchmarks/funnel_raw.py /tmp/shop10m/events

Three questions: raw ids (nobody linked), people (a device with exactly one login belongs to it), and people
broken down by channel. ClickHouse answers each with ``windowFunnel`` over ``file(…)``, for people with the
rule for devices of one login as a join (ours also follows devices that several people share). Every run of
ours lists, probes and surveys the files anew: there is no store and nothing is kept between runs. Printed:
seconds (min, median, max), the ratio of medians, and whether the levels agree (ClickHouse reads equal times
its own way, so with ties they may differ by a few).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from chdb.session import Session

from queries.funnel import answer, request
from queries.question import Scope
from workbench.dataset import opened
from workbench.runner import Task

STEPS = ("product_view", "add_to_cart", "checkout", "order_paid")
WINDOW_MS = 7 * 86_400_000


def ours(folder: Path, unit: str, by: str | None, threads: int) -> Callable[[], list[int]]:
    def run() -> list[int]:
        scope = Scope(data=(str(folder),), unit=unit, by=by)
        asked = request(STEPS, "7d", scope)
        result = answer(asked, opened(scope, Task(), threads=threads))
        return [int(str(row["users"])) for row in result.rows if row["is_total"]]

    return run


def clickhouse(folder: Path, unit: str, by: str | None, threads: int) -> Callable[[], list[int]]:
    session = Session()
    files = f"file('{folder}/**/*.parquet', Parquet)"
    names = ", ".join(f"'{step}'" for step in STEPS)
    funnel = (
        f"windowFunnel({WINDOW_MS})(toUInt64(toUnixTimestamp64Milli(ts)), "
        + ", ".join(f"event = '{step}'" for step in STEPS)
        + ")"
    )
    owner, person = "", "coalesce(user_id, anonymous_id)"
    source = f"{files} AS e"
    if unit == "user":
        owner = (
            f"WITH owner AS (SELECT anonymous_id, min(user_id) AS one FROM {files} "
            "WHERE user_id IS NOT NULL AND anonymous_id IS NOT NULL "
            "GROUP BY anonymous_id HAVING min(user_id) = max(user_id)) "
        )
        source = f"{files} AS e LEFT JOIN owner ON owner.anonymous_id = e.anonymous_id"
        person = "coalesce(user_id, owner.one, e.anonymous_id)"
    # The breakdown as these users would write it: the first step 1's value, one more aggregate.
    value = f", argMinIf({by}, ts, event = '{STEPS[0]}') AS value" if by else ""
    group = "value, level" if by else "level"
    sql = (
        f"{owner}SELECT level, count() FROM (SELECT {person} AS person, {funnel} AS level{value} FROM {source} "
        f"WHERE event IN ({names}) GROUP BY person) GROUP BY {group} "
        f"SETTINGS max_threads = {threads}, join_use_nulls = 1"
    )

    def run() -> list[int]:
        counts = [0] * (len(STEPS) + 1)
        for line in str(session.query(sql, "TSV")).splitlines():
            level, count = line.split("\t")
            counts[int(level)] += int(count)
        return [sum(counts[step:]) for step in range(1, len(counts))]

    return run


def timed(run: Callable[[], list[int]]) -> tuple[float, list[int]]:
    began = time.perf_counter()
    answered = run()
    return time.perf_counter() - began, answered


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    for name, unit, by in (
        ("raw ids", "raw", None),
        ("people", "user", None),
        ("people by channel", "user", "channel"),
    ):
        mine = ours(options.folder, unit, by, options.threads)
        peer = clickhouse(options.folder, unit, by, options.threads)
        timed(mine), timed(peer)
        pairs = [(timed(mine), timed(peer)) for _ in range(options.runs)]
        us, them = [a[0] for a, _ in pairs], [b[0] for _, b in pairs]
        ratio = statistics.median(us) / statistics.median(them)
        print(
            f"{name:18} workbench {min(us):.2f} {statistics.median(us):.2f} {max(us):.2f} s   "
            f"clickhouse {min(them):.2f} {statistics.median(them):.2f} {max(them):.2f} s   ratio {ratio:.2f}"
        )
        print(f"{'':18} levels {pairs[0][0][1]} against {pairs[0][1][1]}")


if __name__ == "__main__":
    main()
