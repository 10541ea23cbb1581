"""Every screen against the command it shows: the same rows, over random forms that are edited by keys."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from queries.question import Request, Shown
from tests.driver import Command, Ran
from tests.in_process import in_process
from tests.screens.driver import Driver, driver
from tests.screens.forms import DEMO, HOSTILE, Editor, Words, random_funnel, write_hostile
from workbench.demo import write_demo
from workbench.output.cells import cell
from workbench.table_shown import whole
from workbench.values import plain_row

FORMS = int(os.environ.get("WORKBENCH_PARITY_FORMS", "6"))
"""Random funnels for each shop; raise it for a soak, with another seed."""
SEED = int(os.environ.get("WORKBENCH_PARITY_SEED", "0"))
PIPED = " | workbench users --ids -"


@dataclass
class Seen:
    """What a screen showed, to be held against its command once the screens are closed."""

    what: str
    command: str
    rows: list[dict[str, Any]]
    columns: Sequence[Shown]
    texts: list[list[str]]
    refused: str | None = None
    """Why the question was refused; None where it was answered."""
    file: Path | None = None
    """What ``w`` wrote."""
    report: str | None = None
    """The name that ``W`` saved under."""


def seen(frame: Any, what: str) -> Seen:
    """The rows of the grid in hand and of the answer, which are to be the same."""
    answer, table = frame.answer, frame.grid.table
    rows = [plain_row(row) for row in answer.result.rows]
    in_table = [plain_row(row) for row in table.rows()]
    if frame.looks_at_answer:
        assert [{key: row[key] for key in rows[0]} for row in in_table] == rows if rows else not in_table, what
    return Seen(what, frame.command(), rows, table.columns, table.texts(0, len(table)))
