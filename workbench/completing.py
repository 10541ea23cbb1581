"""What a shell is offered on tab: names of the data at hand, and only such as a shell takes for nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from workbench.dataset import Dataset

SECONDS = 3.0
"""Longer than this nobody waits for a tab."""

# Names come from the data, and bash puts what it is offered on the command line as it is: a name with a
# dollar, a quote, a blank or a control character, or that looks like an option, is not offered at all.
_PLAIN = re.compile(r"[\w./][\w./-]*")


def complete_event(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Event names, the most frequent first, with their counts."""

    def names(dataset: Dataset) -> list[CompletionItem]:
        from queries.catalogue import event_counts

        return [CompletionItem(event, help=f"{count:,} events") for event, count in event_counts(dataset)]

    return _offered(ctx, names, incomplete)


def complete_property(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Property names, with their kinds."""

    def names(dataset: Dataset) -> list[CompletionItem]:
        return [CompletionItem(column.name, help=column.kind) for column in dataset.schema.columns.values()]

    return _offered(ctx, names, incomplete)


def _offered(
    ctx: click.Context, names: Callable[[Dataset], list[CompletionItem]], incomplete: str
) -> list[CompletionItem]:
    """What starts with the text so far; nothing where there is no data, since a shell has no place for errors."""
    from queries.question import QuestionError, Scope
    from workbench import runner
    from workbench.dataset import opened
    from workbench.errors import WorkbenchError

    folder = None if ctx.parent is None else ctx.parent.params.get("folder")
    scope = Scope(data=tuple(ctx.params.get("data") or ()), mapping=ctx.params.get("mapping"))
    try:
        if isinstance(folder, Path):
            os.chdir(folder)
        found = runner.run(lambda task: names(opened(scope, task)), timeout_seconds=SECONDS)
    except (WorkbenchError, QuestionError, OSError):
        return []
    return [item for item in found if item.value.startswith(incomplete) and _PLAIN.fullmatch(item.value)]
