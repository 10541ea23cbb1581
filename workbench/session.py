"""The questions of an open program: one worker, one dataset for each scope, the newest question of a screen wins.

A screen hands in work and a callback; the work runs on the worker thread, the callback on the thread of the screens.
Datasets are kept, so that a second question over the same data costs no listing and no survey.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from queries import QUESTIONS
from workbench.live import StoreLook
from workbench.runner import GRACE_SECONDS, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from queries.question import PeopleRequest, Request, Result, Scope
    from workbench.dataset import Dataset
    from workbench.tables import Table

T = TypeVar("T")

MOST_KEPT = 4
"""Datasets kept: each holds the ids of its people."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What came of a job: its value, or the error that ended it."""

    value: T | None
    error: BaseException | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as a screen holds it."""

    request: Request
    result: Result
    table: Table
    dataset: Dataset
    """What it was asked of: the people behind its cells are its people."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The names that completion offers."""

    events: tuple[tuple[str, int], ...]
    """With their counts, the most frequent first."""
    properties: tuple[tuple[str, str], ...]
    """With their kinds."""


class Job(Generic[T]):
    """One piece of work of one owner."""

    def __init__(
        self, owner: Hashable, work: Callable[[Task], T], done: Callable[[Outcome[T]], None]
    ) -> None:
        self.owner, self.work, self.done = owner, work, done
        self.task = Task()
        self.ended = False
        """True once its outcome is on the way, or nobody waits for it any more."""
        self.forgotten = False
        """True once nobody waits for it, even where its outcome is on the way."""


class Session:
    """Runs jobs one after the other; all methods but the work itself are called on the thread of the screens."""

    def __init__(
        self,
        deliver: Callable[[Callable[[], None]], object],
        *,
        memory: str | None = None,
        threads: int | None = None,
    ) -> None:
        self._deliver = deliver
        self._memory, self._threads = memory, threads
        self._kept: OrderedDict[Scope, Dataset] = OrderedDict()
        self._served: WeakSet[Dataset] = WeakSet()
        """That of an answer whose people were asked for last: it may be kept no longer."""
        self._catalogues: dict[Scope, Catalogue] = {}
        self._looks: WeakKeyDictionary[Dataset, tuple[int, StoreLook]] = WeakKeyDictionary()
        """Of each dataset opened: how often files had come in before, and the store since."""
        self._renewals = 0
        self.opened = 0
        """How many datasets were opened."""
        self.opening_seconds = 0.0
        """What the newest answer cost for which one was."""
        self._waiting: deque[Job[Any]] = deque()
        self._running: Job[Any] | None = None
        self._coming: set[Job[Any]] = set()
        """Those whose outcome is on its way to the thread of the screens."""
        self._left: WeakSet[Dataset] = WeakSet()
        """The datasets that work which was left behind may still be using."""
        self._change = threading.Condition()
        self._closed = False
        self._generation = 0
        self._loaded = False
        self._start()

    # --- jobs -----------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        with self._change:
            return self._running is None and not self._waiting

    def submit(
        self, owner: Hashable, work: Callable[[Task], T], done: Callable[[Outcome[T]], None]
    ) -> Job[T]:
        """Queues work; what the same owner handed in before is cancelled or forgotten."""
        job = Job(owner, work, done)
        with self._change:
            running = () if self._running is None else (self._running,)
            for old in (*self._waiting, *running, *self._coming):
                if old.owner == owner:
                    self.cancel(old, quietly=True)
            if self._closed:
                job.ended = True
                return job
            self._waiting.append(job)
            self._change.notify_all()
        return job

    def cancel(self, job: Job[Any], *, quietly: bool = False) -> None:
        """Stops a job; its outcome is an error unless ``quietly``, when nobody hears of it any more."""
        with self._change:
            job.forgotten = job.forgotten or quietly
            if job in self._waiting:
                self._waiting.remove(job)
                self._finish(job, Outcome(None, _cancelled(), 0.0))
            if job is not self._running:
                return
        job.task.cancel()
        timer = threading.Timer(GRACE_SECONDS, self._leave, (job,))
        timer.daemon = True
        timer.start()

    def renew(self) -> None:
        """Files came in: what was opened before answers no further question."""
        self._renewals += 1

    def close(self) -> None:
        """Interrupts whatever runs; nothing is delivered any more."""
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._coming.clear()
            running = self._running
            self._change.notify_all()
        if running is not None:
            running.task.cancel()

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._work, args=(self._generation,), name="workbench-session", daemon=True
        )
        thread.start()

    def _work(self, generation: int) -> None:
        while True:
            with self._change:
                while not self._waiting and not self._closed and generation == self._generation:
                    self._change.wait()
                if self._closed or generation != self._generation:
                    return
                job = self._running = self._waiting.popleft()
            began = time.monotonic()
            value, error = None, None
            try:
                job.task.check()
                value = job.work(job.task)
            except BaseException as caught:  # noqa: BLE001 - carried to the screen that asked, and shown there
                error = caught
            with self._change:
                if generation == self._generation:
                    self._running = None
                self._finish(job, Outcome(value, error, time.monotonic() - began))
            # The next job must not keep this one's answer alive.
            del job, value, error

    def _finish(self, job: Job[T], outcome: Outcome[T]) -> None:
        if job.ended:
            return
        job.ended = True
        if job.forgotten or self._closed:
            return
        self._coming.add(job)
        # The loop of the screens may have ended in the meantime.
        with suppress(RuntimeError):
            self._deliver(lambda: self._arrive(job, outcome))

    def _arrive(self, job: Job[T], outcome: Outcome[T]) -> None:
        """On the thread of the screens, where the owner may have asked anew since the outcome set out."""
        with self._change:
            self._coming.discard(job)
            if job.forgotten or self._closed:
                return
        job.done(outcome)

    def _leave(self, job: Job[Any]) -> None:
        """Leaves a job behind that did not stop: a new worker and new datasets take over."""
        with self._change:
            if self._running is not job or self._closed:
                return
            self._generation += 1
            self._running = None
            self._left.update([*self._kept.values(), *self._served])
            # Another object: what was left behind goes on with the old one.
            self._kept = OrderedDict()
            self._finish(job, Outcome(None, _cancelled(), GRACE_SECONDS))
            self._change.notify_all()
        self._start()

    # --- questions, on the worker -----------------------------------------------------------------------------

    def over(
        self, scope: Scope, task: Task, question: Callable[[Dataset], T], *, anew: bool = False
    ) -> tuple[Dataset, T]:
        """Asks the kept dataset of a scope, or a new one where there is reason to list the files again.

        Reasons: files changed or came in, a store of those listed is there by now, or ``anew`` says so.
        """
        if not self._loaded:
            self._load()
        from workbench.dataset import asked
        from workbench.errors import Changed, Damaged, EngineDied

        key, datasets = base_of(scope), self._kept
        # In this order: work that was left behind has been cancelled, and gets no hold of what took over.
        task.check()
        kept = None if anew else datasets.get(key)
        if kept is not None and self._is_outdated(kept):
            datasets.pop(key, None)
            kept = None
        if kept is not None:
            kept.serve(task)
            try:
                kept.check_unchanged()
                kept.begin()
                found = question(kept)
                kept.check_unchanged()
            except (Changed, Damaged, EngineDied, ValueError, IndexError):
                # The last two are what a kernel makes of lanes that a disk damaged: asked anew, that is found out.
                datasets.pop(key, None)
            else:
                datasets.move_to_end(key)
                return kept, found
        # Looked at before: what comes while it is opened may be in it or not.
        look, began = (self._renewals, StoreLook(key)), time.monotonic()
        dataset, found = asked(key, task, question, memory=self._memory, threads=self._threads)
        task.check()
        self.opened, self.opening_seconds = self.opened + 1, time.monotonic() - began
        self._looks[dataset] = look
        self._catalogues.pop(key, None)
        datasets[key] = dataset
        while len(datasets) > MOST_KEPT:
            dropped, _ = datasets.popitem(last=False)
            self._catalogues.pop(dropped, None)
        return dataset, found

    def _is_outdated(self, dataset: Dataset) -> bool:
        looked = self._looks.get(dataset)
        return looked is not None and (looked[0] < self._renewals or looked[1].has_come(dataset))

    def _load(self) -> None:
        from workbench.loading import loading

        with loading():
            for name in (
                "duckdb",
                "pyarrow",
                "pyarrow.compute",
                "numpy",
                "workbench.dataset",
                "workbench.tables",
            ):
                importlib.import_module(name)
        self._loaded = True

    def answer(self, request: Request, task: Task, *, anew: bool = False) -> Answer:
        """Asks a question whole, with its rows as a table."""
        began = time.monotonic()
        module: Any = importlib.import_module(QUESTIONS[request.report].module)

        def ask(dataset: Dataset) -> tuple[Result, Table]:
            result: Result = module.answer(request, dataset)
            return result, _table(result)

        dataset, (result, table) = self.over(request.scope, task, ask, anew=anew)
        return Answer(request, result, table, dataset, time.monotonic() - began)

    def people(self, of: Answer, request: PeopleRequest, task: Task) -> Answer:
        """The people behind a cell of an answer, with everything they did.

        Where its files changed since, or its dataset can serve no more, the answer is asked anew first.
        """
        from workbench.errors import Changed, Damaged, EngineDied

        began = time.monotonic()
        if of.dataset not in self._left:
            try:
                return self._people(of, request, task, began)
            except (Changed, Damaged, EngineDied):
                self._drop(of.dataset)
        return self._people(self.answer(of.request, task, anew=True), request, task, began)

    def _people(self, of: Answer, request: PeopleRequest, task: Task, began: float) -> Answer:
        from queries.users import everything_of, of_cell

        task.check()
        if of.result.people is None:
            raise _no_people(request)
        dataset = of.dataset
        self._served = WeakSet((dataset,))
        dataset.serve(task)
        dataset.check_unchanged()
        codes = of.result.people.codes(request.cell)
        if of.request.scope.unit in ("user", "raw"):
            result = of_cell(request, dataset, codes, of.result.rule)
            table = _table(result)
        else:
            # Its events are those of sessions, orders or values: those of people are another dataset's.
            names = set(dataset.ids_of(codes))

            def listed(data: Dataset) -> tuple[Result, Table]:
                found = of_cell(request, data, _codes_of(names, data), of.result.rule)
                return found, _table(found)

            dataset, (result, table) = self.over(everything_of(request.scope), task, listed)
        of.dataset.check_unchanged()
        return Answer(request, result, table, dataset, time.monotonic() - began)

    def _drop(self, dataset: Dataset) -> None:
        """Keeps a dataset no longer."""
        datasets = self._kept
        for key in [key for key, one in datasets.items() if one is dataset]:
            datasets.pop(key, None)

    def sql(self, request: Request, task: Task) -> tuple[str, str]:
        """The SQL of a question: its own statements, and the relations they read, which come first when pasted."""
        from queries.question import PeopleRequest

        asked = request.of if isinstance(request, PeopleRequest) else request
        module: Any = importlib.import_module(QUESTIONS[asked.report].module)

        def written(dataset: Dataset) -> tuple[str, str]:
            own = "\n\n".join(f"{statement};" for statement in module.statements(asked, dataset))
            return own + "\n", dataset.script(())

        # The codes of people in a statement are those of what it reads: a store's are of no use to who pastes it.
        _, found = self.over(
            asked.scope, task, lambda dataset: None if dataset.has_store else written(dataset)
        )
        if found is not None:
            return found
        from workbench.dataset import asked as ask_anew

        base, memory, threads = base_of(asked.scope), self._memory, self._threads
        return ask_anew(base, task, written, memory=memory, threads=threads, from_files=True)[1]

    def known_catalogue(self, scope: Scope) -> Catalogue | None:
        """The names of a scope's data, once they were read."""
        return self._catalogues.get(base_of(scope))

    def catalogue(self, scope: Scope, task: Task) -> Catalogue:
        """Event names with their counts, and properties with their kinds."""

        def read(dataset: Dataset) -> Catalogue:
            from queries.catalogue import event_counts

            kinds = [(column.name, column.kind) for column in dataset.schema.columns.values()]
            return Catalogue(tuple(event_counts(dataset)), tuple((str(a), str(b)) for a, b in kinds))

        _, found = self.over(scope, task, read)
        task.check()
        self._catalogues[base_of(scope)] = found
        return found


def _table(result: Result) -> Table:
    from workbench.tables import Table

    rows = result.rows
    below = None if result.page is None else result.page.below
    return Table.of_rows(result.layout, rows, total=len(rows), remarks=below)


def _codes_of(names: set[tuple[str, str]], data: Dataset) -> NDArray[np.int64]:
    """The codes of people by their ids: no two datasets number them alike."""
    import numpy as np

    data.survey()
    found: list[int] = []
    for batch in data.stream("SELECT person, id, kind FROM people"):
        columns = (batch[name].tolist() for name in ("person", "id", "kind"))
        found += [person for person, *name in zip(*columns, strict=True) if tuple(name) in names]
    return np.sort(np.array(found, np.int64))


def base_of(scope: Scope) -> Scope:
    """The part of a scope that a dataset is made for: all but what a question itself selects by."""
    return replace(scope, since=None, until=None, last=None, where=None, by=None, top=10)


def piped(request: PeopleRequest, more: Sequence[str] = ()) -> str:
    """The command line that lists the people behind a cell as a screen shows them."""
    import shlex

    from queries.users import everything_of

    scope = everything_of(request.scope).arguments()
    asks = shlex.join(["workbench", *request.arguments()])
    return f"{asks} | {shlex.join(['workbench', 'users', '--ids', '-', *scope, *more])}"


def _cancelled() -> BaseException:
    from workbench.errors import Cancelled

    return Cancelled("cancelled")


def _no_people(request: Request) -> BaseException:
    from queries.question import QuestionError

    return QuestionError(f"{request.report} has no cells with people")
