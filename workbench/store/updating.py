"""Brings the store of a workspace up to date: opens its data as every question does, and imports it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from queries.question import Scope
from workbench.dataset import Dataset
from workbench.errors import Changed, Damaged, EngineDied, UsageError
from workbench.limits import limits
from workbench.runner import Task
from workbench.store.folder import store_folder
from workbench.store.importing import Imported, Rules, bring_up_to_date
from workbench.store.manifest import signature
from workbench.survey import junk_ids, valid_times
from workbench.workspace import Workspace, prepare_cache

MOST_MEMORY = 700_000_000
"""What the engine of an import takes at most, unless told otherwise: a gigabyte in all."""


def update_store(
    workspace: Workspace,
    task: Task,
    *,
    memory: str | None = None,
    threads: int | None = None,
    anew: bool = False,
    wait: float = 0.0,
    rules: Rules | None = None,
) -> Imported:
    """Makes the store of a workspace or brings it up to date with the files as they are now.

    ``wait``: seconds to wait for another import. A file that proves damaged is set aside and told in the manifest.
    Raises :class:`UsageError` under a rule for duplicates, :class:`Changed` where another import runs or files keep
    changing, and what every question raises.
    """
    if workspace.dedup != "none":
        raise UsageError(
            f'[dedup] rule = "{workspace.dedup}": a store holds every row',
            "questions read the files, as they do without a store",
        )
    damaged: dict[Path, tuple[str, str]] = {}
    has_changed = False
    while True:
        dataset = None
        try:
            prepare_cache(workspace)
            folder = store_folder(workspace)
            folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            own = limits(memory, threads)
            if memory is None:
                own = replace(own, memory_bytes=min(own.memory_bytes, MOST_MEMORY))
            dataset = Dataset(workspace, Scope(), task, own, _reasons(damaged), importing=folder.root)
            return bring_up_to_date(
                folder,
                dataset.engine,
                task,
                signature=signature(workspace),
                relation=dataset.relation,
                sources=dataset.sources,
                rules=rules or Rules(junk_ids(workspace), valid_times(workspace)),
                damaged=dict(damaged.values()),
                anew=anew,
                wait=wait,
                check=dataset.check_unchanged,
            )
        except Changed:
            if has_changed:
                raise
            has_changed = True
        except (Damaged, EngineDied):
            found = {} if dataset is None else _identified(dataset)
            if not found:
                raise
            damaged |= found
        finally:
            if dataset is not None:
                dataset.engine.close()


def _identified(dataset: Dataset) -> dict[Path, tuple[str, str]]:
    """The damaged files of a dataset with what pins their content, and the reasons."""
    found = dataset.find_damaged()
    return {
        file.parquet: (file.listed.identity, found[file.parquet])
        for source in dataset.sources
        for file in source.files
        if file.parquet in found
    }


def _reasons(damaged: dict[Path, tuple[str, str]]) -> dict[Path, str]:
    return {path: reason for path, (_, reason) in damaged.items()}
