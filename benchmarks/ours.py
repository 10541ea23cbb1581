"""The workbench as a contender: its own Python interface where a session is open, its command line where it is not."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import Contender, Ended, Levels, workbench
from peers import Funnel

if TYPE_CHECKING:
    from queries.funnel_request import FunnelRequest
    from workbench.dataset import Dataset
    from workbench.session import Answer, Outcome, Session

PAGE = 200
"""Rows of a timeline that a screen shows at once."""


@dataclass(slots=True)
class Workbench:
    """The workspace of a folder, or its files alone, which have no store."""

    folder: Path
    threads: int
    path: str = ""
    """Where the newest answer came from: lanes, store or files."""

    def opened(self, *, files: bool = False, unit: str = "user") -> Dataset:
        """A dataset that was surveyed; ``files``: named by --data, so that no store is looked for."""
        from queries.question import Scope
        from workbench.dataset import opened
        from workbench.runner import Task

        data = (str(self.folder / "events"),) if files else ()
        with contextlib.chdir(self.folder):
            return opened(Scope(data=data, unit=unit), Task(), threads=self.threads)

    def ask(self, dataset: Dataset, funnel: Funnel, by: str | None = None) -> Levels:
        """How many reached each step."""
        from queries.funnel import answer

        result = answer(self.request(dataset, funnel, by), dataset)
        self.path = str(dataset.stats()["path"])
        return [int(str(row["users"])) for row in result.rows if row["is_total"] or by is None]

    def request(self, dataset: Dataset, funnel: Funnel, by: str | None = None) -> FunnelRequest:
        """The funnel as the workbench is asked."""
        from dataclasses import replace

        from queries.funnel import request

        return request(funnel.steps, f"{funnel.window_days}d", replace(dataset.scope, by=by))

    def open_funnel(self, funnel: Funnel, by: str | None = None) -> Contender:
        """A question in an open program; the dataset is another one each time, so that nothing is known yet."""

        def setup() -> Callable[[], Levels]:
            dataset = self.opened()
            dataset.survey()
            return lambda: self.ask(dataset, funnel, by)

        return Contender(setup, path=lambda: self.path)

    def first_funnel(self, funnel: Funnel, by: str | None = None) -> Contender:
        """The same where no question has read those properties of the store yet."""
        later = self.open_funnel(funnel, by)

        def setup() -> Callable[[], Levels]:
            for kept in self.stores.glob("*/columns"):
                shutil.rmtree(kept)
            return later.setup()

        return Contender(setup, path=lambda: self.path)

    def whole_funnel(self, funnel: Funnel) -> Contender:
        """The same from the listing on, as the command line asks it."""
        return Contender(
            lambda: lambda: self.ask(self.opened(), funnel),
            path=lambda: self.path,
        )

    def files_funnel(self, funnel: Funnel, unit: str = "user", by: str | None = None) -> Contender:
        """From the listing on, over the files alone: nothing is kept between runs."""
        return Contender(
            lambda: lambda: self.ask(self.opened(files=True, unit=unit), funnel, by),
            path=lambda: self.path,
        )

    def timeline(self, dataset: Dataset, person: str) -> Levels:
        """A person by an id, profile and the first rows; how many rows were read."""
        from queries.user import UserRequest, answer

        result = answer(UserRequest(user=person, scope=dataset.scope), dataset)
        self.path = str(dataset.stats()["path"])
        return [sum(1 for _ in islice(result.rows, PAGE))]

    # --- the store ------------------------------------------------------------------------------------------

    @property
    def can_import(self) -> bool:
        """Whether this version makes stores."""
        from workbench.cli import COMMANDS

        return "import" in COMMANDS

    @property
    def stores(self) -> Path:
        """Where the workspace keeps its stores."""
        from workbench.workspace import load

        return load(self.folder).cache / "store"

    @property
    def has_store(self) -> bool:
        """Whether there is one, of whatever listing."""
        return any(self.stores.glob("*/manifest.json"))

    def drop_store(self) -> None:
        """Takes every store of the workspace away."""
        shutil.rmtree(self.stores, ignore_errors=True)

    def make_store(self) -> Ended:
        """Makes the store, or brings it up to date, as its users do."""
        return workbench("-C", str(self.folder), "import")

    def store_bytes(self) -> int:
        """What the stores take on disk."""
        return sum(one.stat().st_size for one in self.stores.rglob("*") if one.is_file())


class OpenProgram:
    """The questions of an open program, asked the way a key press asks them."""

    def __init__(self, of: Workbench) -> None:
        from workbench.session import Session

        self._of = of
        self._session: Session = Session(lambda deliver: deliver(), threads=of.threads)

    def answered(self, request: FunnelRequest) -> Answer:
        """The answer with its table, once the worker gave it back."""
        arrived = threading.Event()
        outcomes: list[Outcome[Answer]] = []

        def done(outcome: Outcome[Answer]) -> None:
            outcomes.append(outcome)
            arrived.set()

        self._session.submit("benchmark", lambda task: self._session.answer(request, task), done)
        arrived.wait()
        (outcome,) = outcomes
        if outcome.value is None:
            raise RuntimeError(f"no answer: {outcome.error}")
        return outcome.value

    def close(self) -> None:
        """Ends the worker."""
        self._session.close()


def second_funnel(of: Workbench, first: Funnel, then: Funnel) -> Contender:
    """The second question of an open program, from the key press to the table that is drawn."""
    from queries.funnel import request
    from queries.question import Scope

    asked = [request(one.steps, f"{one.window_days}d", Scope()) for one in (first, then)]

    def setup() -> Callable[[], Levels]:
        with contextlib.chdir(of.folder):
            program = OpenProgram(of)
            program.answered(asked[0])

        def run() -> Levels:
            answer = program.answered(asked[1])
            of.path = str(answer.dataset.stats()["path"])
            program.close()
            return [int(str(row["users"])) for row in answer.result.rows]

        return run

    return Contender(setup, path=lambda: of.path)
