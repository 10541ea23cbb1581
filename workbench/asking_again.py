"""Asks between two answers what tells the data's part of a difference from the definition's."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from queries import QUESTIONS
from queries.diff import SIDES, Answer, Between, Found, Standing, to_ask
from queries.question import Note, QuestionError, Request, Result, Row, Scope
from queries.saved import request_of, rescoped
from workbench import SEMANTICS_VERSION
from workbench.dataset import Dataset, asked
from workbench.errors import Cancelled, Changed, TimedOut, WorkbenchError
from workbench.limits import limits, spill_folder
from workbench.moved import Moved, Spool
from workbench.output import command_line
from workbench.runner import Task
from workbench.values import plain, plain_row


@dataclass(slots=True)
class Again:
    """What was found by asking again, and what it was asked of."""

    found: Found
    moved: Moved | None = None
    protected: tuple[Path, ...] = ()
    told: list[Mapping[str, object]] = field(default_factory=list)

    def serve(self, task: Task) -> None:
        """From now on this task cancels what is read."""
        if self.moved is not None:
            self.moved.serve(task)

    def stats(self) -> dict[str, object]:
        """What ``--stats`` prints: that of each dataset asked."""
        return {"asked": self.told}


@dataclass(frozen=True, slots=True)
class Engines:
    """What the engines may take."""

    memory: str | None
    threads: int | None


def normal(answer: Answer) -> Answer:
    """The answer with its whole request, defaults said; as it is where this program does not know the request."""
    try:
        return replace(answer, request=request_of(answer.report, answer.request).to_dict())
    except QuestionError:
        return answer


def ask_again(a: Answer, b: Answer, over: Scope, task: Task, engines: Engines, *, needed: bool) -> Again:
    """Asks what lies between two answers, of ``over``'s data where it names some, else of their own.

    What cannot be asked is told in a note; with ``needed`` it is raised.
    """
    try:
        return _ask_again(a, b, over, task, engines)
    except (Cancelled, TimedOut, Changed):
        raise
    except (WorkbenchError, QuestionError) as error:
        if needed:
            raise
        text = f"not asked again, so the parts are not known: {error.message}"
        return Again(Found(notes=(Note("not-asked-again", text, "warning"),)))


def _ask_again(a: Answer, b: Answer, over: Scope, task: Task, engines: Engines) -> Again:
    requests = to_ask(a, b, *(_over(request_of(one.report, one.request), over) for one in (a, b)))
    if requests[0] == requests[1] == requests[2]:
        # Whoever stands elsewhere does so by data of which only the newer state is there.
        return Again(Found(moved=Nobody()))
    again = Again(Found())
    answers: dict[str, Answer] = {} if requests[0] is not None else {"before": a}
    sides = {side: request for side, request in zip(SIDES, requests, strict=True) if request is not None}
    notes: list[Note] = []
    # Beside the engine's own files, which live as briefly.
    with tempfile.TemporaryDirectory(prefix="moved-", dir=spill_folder()) as folder:
        spool = Spool(Path(folder))
        while len(answers) < len(SIDES):
            first = next(side for side in sides if side not in answers)
            place = _place(sides[first])
            group = {side: request for side, request in sides.items() if _place(request) == place}

            def work(dataset: Dataset, group: Mapping[str, Request] = group) -> list[Note]:
                return _ask_group(group, dataset, answers, spool)

            dataset, told = asked(
                sides[first].scope, task, work, memory=engines.memory, threads=engines.threads
            )
            again.protected += dataset.protected
            again.told.append(dataset.stats())
            if "now" in group:
                notes += told
            del dataset
        if len({request.scope.unit for request in sides.values()}) > 1:
            text = "A and B count other units: who moved cannot be told"
            notes.append(Note("units-differ", text, "warning"))
        elif "now_standing" in spool.written:
            again.moved = spool.joined(limits(engines.memory, engines.threads), task)
    again.found = Found(
        between=Between(answers["before"], answers["after"], answers["now"]),
        moved=again.moved,
        notes=tuple(notes),
    )
    return again


class Nobody:
    """Nobody moved."""

    def counts(self) -> Sequence[Row]:
        """No move."""
        return []


def _over(request: Request, over: Scope) -> Request:
    if not over.data:
        return request
    mapping = request.scope.mapping if over.mapping is None else over.mapping
    return rescoped(request, replace(request.scope, data=over.data, mapping=mapping))


def _place(request: Request) -> tuple[object, ...]:
    """What makes one dataset of several questions."""
    scope = request.scope
    return scope.data, scope.mapping, scope.as_of, scope.tz, scope.unit


def _ask_group(
    group: Mapping[str, Request], dataset: Dataset, answers: dict[str, Answer], spool: Spool
) -> list[Note]:
    """Asks one dataset for its sides; what of the newest side was set aside."""
    asked: list[tuple[Request, Result]] = []
    notes: list[Note] = []
    for side, request in group.items():
        result = next((found for equal, found in asked if equal == request), None)
        if result is None:
            module: Any = importlib.import_module(QUESTIONS[request.report].module)
            result = module.answer(request, dataset)
            asked.append((request, result))
        answers[side] = _answer(result)
        notes = [note for note in result.notes if note.sets_aside]
        if isinstance(result.people, Standing):
            spool.standing(side, dataset, *result.people.standing())
            if side == "now" and len(group) < len(SIDES):
                spool.links(dataset)
    return notes


def _answer(result: Result) -> Answer:
    return Answer(
        report=result.report,
        semantics=SEMANTICS_VERSION,
        request=result.request.to_dict(),
        command=command_line(result.request),
        rows=[plain_row(row) for row in result.rows],
        totals={key: plain(value) for key, value in result.totals.items()},
        meta={key: plain(value) for key, value in result.meta.items()},
    )
