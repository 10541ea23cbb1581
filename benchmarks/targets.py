"""Every operation of the target table against its peers, with what is met and what is missed.

    pip install '.[bench]'
    python benchmarks/targets.py /tmp/bench10m --events 10000000
    python benchmarks/targets.py /tmp/bench50m --events 50000000 --against /tmp/bench10m --markdown table.md

Makes the data where the folder holds none (``--demo``: the demo shop, else ``events_made.py``) and the peers' tables
beside it in ``peers/``. Contenders answer in alternating runs of one process, the first run of each not counted;
memory is that of a process of its own. ``--only`` names rows, separated by commas.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import Bench, Missing, Operation, Question
from events_made import Plan, make
from measuring import Found, workbench
from operations import OPERATIONS
from questions import MISSING, QUESTIONS
from written import markdown, told

Row = Question | Operation | Missing

ROWS: dict[str, Row] = {
    row.key: row
    # A store first: what comes after reads it.
    for row in (*OPERATIONS[:2], *QUESTIONS, *OPERATIONS[2:], *MISSING)
}


def main() -> None:
    options = _parser().parse_args()
    rows = _chosen(options.only)
    bench = Bench(options.folder.resolve(), options.threads, options.runs, with_memory=not options.no_memory)
    if options.alone:
        (row,) = rows
        assert isinstance(row, Question)
        row.alone(bench, options.alone)
        return
    _ready(bench, options.events, options.demo)
    if options.against:
        bench.against = Bench(options.against.resolve(), options.threads, options.runs)
        _ready(bench.against, options.events // 10, options.demo)
    print(_head(bench), flush=True)
    found: list[Found] = []
    for row in rows:
        found.append(_measured(row, bench))
        print(f"\n{told(found[-1])}", flush=True)
    if options.markdown:
        options.markdown.write_text(markdown(found, _head(bench)), "utf-8")


def _measured(row: Row, bench: Bench) -> Found:
    """The row, or what kept it from being measured; the others go on."""
    try:
        return row.measure(bench)
    except RuntimeError as error:
        bench.close()
        return Found(row.key, remarks=[f"failed: {error}"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=1_000_000, help="of data that are made")
    parser.add_argument("--demo", action="store_true", help="make the demo shop instead of plain events")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", metavar="ROWS", help=", ".join(ROWS))
    parser.add_argument("--against", type=Path, metavar="DIR", help="a smaller folder, for the scaling")
    parser.add_argument(
        "--no-memory", action="store_true", help="leave out the processes that measure memory"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table for the documentation")
    parser.add_argument("--alone", metavar="CONTENDER", help=argparse.SUPPRESS)
    return parser


def _chosen(only: str | None) -> list[Row]:
    if only is None:
        return list(ROWS.values())
    unknown = [key for key in only.split(",") if key not in ROWS]
    if unknown:
        sys.exit(f"no row {', '.join(unknown)}: one of {', '.join(ROWS)}")
    return [ROWS[key] for key in only.split(",")]


def _ready(bench: Bench, events: int, demo: bool) -> None:
    """Data, peers' tables and, where this version makes stores, a store."""
    if not (bench.folder / "workbench.toml").exists():
        print(f"making {events:,} events in {bench.folder}", flush=True)
        if demo:
            ended = workbench("demo", str(bench.folder), "--events", str(events), "--no-open")
            print(f"demo: {ended.seconds:.1f} s, largest resident memory {ended.peak >> 20:,} MB")
        else:
            make(bench.folder, Plan(events), workers=bench.threads)
    if not bench.prepared.is_made():
        print("making the peers' tables", flush=True)
        bench.prepared.make()
    if bench.ours.can_import:
        bench.ours.make_store()


def _head(bench: Bench) -> str:
    peers = ", ".join(f"{name} {_version(name)}" for name in ("duckdb", "chdb", "polars", "numpy"))
    return (
        f"{bench.events:,} events, {bench.threads} threads, {bench.runs} alternating runs after one that is not "
        f"counted; Python {platform.python_version()}, {peers}."
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except ModuleNotFoundError:
        return "absent"


if __name__ == "__main__":
    main()
