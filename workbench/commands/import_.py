"""``workbench import``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from workbench import diagnostics, output, runner
from workbench.options import data_options, engine_options, once, scope_of, seconds

if TYPE_CHECKING:
    from workbench.runner import Task
    from workbench.store.watching import Taken
    from workbench.workspace import Workspace

WATCH_EVERY = "10s"
_LEAST_LOOK = 0.2
_ETA_AFTER = 2.0
"""Seconds after which the rate says something."""
_STEPS = {
    "listing files": (0.0, 0.02),
    "reading": (0.02, 0.1),
    "import: who is who": (0.1, 0.3),
    "import: sorting": (0.3, 0.8),
    "import: what is no event": (0.8, 0.87),
    "import: lanes": (0.87, 0.97),
    "import: merging runs": (0.97, 1.0),
}
"""What an import says it is doing → from where to where that is of the whole, as it mostly goes."""


@click.command("import")
@click.option("--all", "anew", is_flag=True, help="Make the store anew, from every file.")
@click.option(
    "--watch",
    is_flag=False,
    flag_value=WATCH_EVERY,
    metavar="[SPAN]",
    help=f"Stay, look at the folders every SPAN ({WATCH_EVERY}), and take in what is new.",
)
@once("--wait", metavar="SPAN", help="Wait this long for another import to end; else exit 6 at once.")
@click.option("--json", "as_json", is_flag=True, help="What was done as JSON; with --watch a line an import.")
@click.option("--background", is_flag=True, hidden=True)
@data_options
@engine_options
def command(
    anew: bool, watch: str | None, wait: str | None, as_json: bool, background: bool, **values: Any
) -> None:
    """Make the store, or bring it up to date: a fast copy of the events, from which questions are answered.

    Numbers are the same without it. Only files that are new are read, and the people whose identity they change are
    sorted again. A workspace does this by itself, in the background, once a question was slow for want of it:
    `workbench cache` shows how it stands.

    \b
    Examples:
      workbench import
      workbench import --watch 30s
      workbench import --all --json
    """
    from workbench.workspace import chosen

    limits = {name: values.pop(name) for name in ("memory", "threads")}
    timeout = seconds(values.pop("timeout"))
    patience = _span("--wait", wait)
    scope = scope_of(values)
    workspace = chosen(scope.data, scope.mapping)
    if background:
        _in_background(workspace, limits)
        return
    if watch is not None:
        every = max(_span("--watch", watch), _LEAST_LOOK)
        _watch(workspace, every, patience, limits, timeout, anew=anew, as_json=as_json)
        return
    from workbench.store.telling import ImportRequest, as_result, as_text
    from workbench.store.watching import take_in

    taken = runner.run(
        lambda task: take_in(workspace, task, anew=anew, wait=patience, **limits),
        timeout_seconds=timeout,
        on_progress=_Progress(),
    )
    diagnostics.end_progress()
    if as_json:
        request = ImportRequest(scope, anew)
        output.write(as_result(taken, request, workspace), format="json", note=diagnostics.note)
    else:
        output.write_text(_clean(as_text(taken)))


def _in_background(workspace: Workspace, limits: dict[str, Any]) -> None:
    from workbench.store.background import build, step_back

    step_back()
    runner.run(lambda task: build(workspace, task, **limits))


def _watch(
    workspace: Workspace,
    every: float,
    patience: float,
    limits: dict[str, Any],
    timeout: float | None,
    *,
    anew: bool,
    as_json: bool,
) -> None:
    from queries import ranges
    from workbench.store.telling import as_line, late_sources, totals
    from workbench.store.watching import Watcher, take_in

    def tell(taken: Taken) -> None:
        diagnostics.end_progress()
        if not as_json:
            output.write_text(_clean(as_line(taken, workspace)))
            return
        manifest = taken.imported.manifest
        zone = ranges.zone(workspace.timezone)
        line = {
            "as_of": None if manifest.last is None else ranges.iso(manifest.last, zone),
            "late": list(late_sources(manifest, workspace)),
            **totals(taken),
        }
        output.write_text(output.json_line(line))

    def take(task: Task, is_first: bool) -> Taken:
        return take_in(workspace, task, anew=anew and is_first, wait=patience, **limits)

    watcher = Watcher(workspace, every, take, tell=tell, complain=diagnostics.error)
    runner.run(watcher.run, timeout_seconds=timeout, on_progress=_Progress())


class _Progress:
    """Draws how far an import is, with the time that is left once the rate is known; nothing between two."""

    def __init__(self) -> None:
        self._began: float | None = None
        self.progress: float | None = None
        self.engine_progress: float | None = None
        self.what = ""

    def __call__(self, task: Task) -> None:
        """Looks at the task; called from the watching thread."""
        if task.what in ("", "watching"):
            self._began = None
            return
        now = time.monotonic()
        if self._began is None:
            self._began = now
        self.what, self.progress = task.what, _share(task)
        past = now - self._began
        if self.progress and past > _ETA_AFTER:
            left = past * (1 - self.progress) / self.progress
            self.what += f", about {left:.0f} s left" if left >= 1 else ""
        diagnostics.progress(self)


def _share(task: Task) -> float | None:
    """How much of an import is done; None where what it is doing is none of its steps."""
    for step, (low, high) in _STEPS.items():
        if task.what.startswith(step):
            # One statement of a step may take most of it: then the engine knows better than the step.
            inner = max(task.progress or 0.0, (task.engine_progress or 0.0) if not task.progress else 0.0)
            return low + (high - low) * inner
    return None


def _span(name: str, text: str | None) -> float:
    """An option's span in seconds; 0 where it is not given."""
    from queries.question import QuestionError
    from queries.ranges import parse_duration
    from workbench.errors import UsageError

    if text is None:
        return 0.0
    try:
        milliseconds = parse_duration(text)
    except QuestionError as error:
        raise UsageError(f"{name}: {error.message}", error.hint) from error
    if milliseconds is None:
        raise UsageError(f"{name} {text}: a span ends", "write it like 30s or 5m")
    return milliseconds / 1000


def _clean(text: str) -> str:
    from workbench.text import clean

    return "\n".join(clean(line) for line in text.split("\n"))
