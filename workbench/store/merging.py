"""Makes few runs of many, from the store itself: people by range, so that each range is sorted by itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from workbench.store.manifest import Manifest, Run
from workbench.store.sorting import Sorting
from workbench.store.work import Work


def with_merged_runs(work: Work, manifest: Manifest, folder: Path) -> Manifest:
    """The manifest with all rows that are not void in new runs of a folder; what that leaves of old ones goes."""
    work.define_alive(manifest)
    edges = _edges(work, manifest)
    made: list[Run] = []
    sorting = Sorting(work.engine, work.task, work.layout, folder, work.rules.chunk_rows)
    sorting.learn("alive")
    done = 0

    def report(rows: int) -> None:
        fraction = (done + rows) / max(manifest.rows, 1)
        work.task.report(fraction, f"import: merging {done + rows:,} of {manifest.rows:,} rows")

    for place, (low, high) in enumerate(pairwise(edges)):
        rows = f"(SELECT * FROM alive WHERE person >= {low} AND person < {high})"
        made += sorting.sort(rows, f"merged-{place}", report)
        done = sum(run.rows for run in made)
    used = {name for path in (manifest.combos, manifest.people) for name in [Path(path).name]}
    for left in folder.iterdir():
        if left.is_file() and left.name not in {run.name for run in made} | used | {"lease"}:
            left.unlink()
    return replace(manifest, runs=tuple(made))


def _edges(work: Work, manifest: Manifest) -> list[int]:
    """The codes at which ranges of people begin, and the end."""
    pieces = max(-(-manifest.rows // work.rules.chunk_rows), 1)
    if pieces == 1:
        return [0, manifest.codes]
    wanted = [place / pieces for place in range(1, pieces)]
    bounds = work.integers(
        f"SELECT DISTINCT unnest(approx_quantile(person, {wanted})) AS bound FROM alive ORDER BY bound"
    )
    inside = [bound for (bound,) in bounds if bound is not None and 0 < bound < manifest.codes]
    return [0, *inside, manifest.codes]
