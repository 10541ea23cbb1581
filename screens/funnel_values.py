"""The values of a property while a condition is written: read behind the screen, where that is quick."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from screens.funnel_completion import VALUES, Known, Wanted

if TYPE_CHECKING:
    from queries.question import Scope
    from screens.base import Frame
    from workbench.runner import Task
    from workbench.session import Job, Outcome

QUICK = 2_000_000
"""Events over which values are counted while somebody types."""
_TEXTS = ("text", "json")
"""Kinds whose values are worth a choice."""


class Values:
    """Called, it gives the values that are known, and has the others read: the open prompt shows them then."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._known: dict[tuple[Scope, Wanted], Known] = {}
        self._job: Job[Known] | None = None

    def __call__(self, wanted: Wanted) -> Known:
        """The values of a property, the most frequent first; none while they are not here."""
        from workbench.session import base_of

        request = self._frame.request
        if request is None:
            return ()
        key = (base_of(request.scope), wanted)
        if key not in self._known and self._is_quick(wanted, request.scope):
            self._known[key] = ()
            self._read(key)
        return self._known.get(key, ())

    def stop(self) -> None:
        """Gives up reading: a question is asked."""
        if self._job is not None:
            self._frame.workbench.session.cancel(self._job, quietly=True)
            self._job = None

    def _is_quick(self, wanted: Wanted, scope: Scope) -> bool:
        answer, found = self._frame.answer, self._frame.workbench.session.known_catalogue(scope)
        kinds = {} if found is None else dict(found.properties)
        events = answer.result.meta.get("rows_in_scope") if answer is not None else None
        return kinds.get(wanted.name) in _TEXTS and isinstance(events, int) and events <= QUICK

    def _read(self, key: tuple[Scope, Wanted]) -> None:
        scope, wanted = key

        def work(task: Task) -> Known:
            from queries.catalogue import PropertiesRequest, answer

            asked = PropertiesRequest(name=wanted.name, scope=replace(scope, where=wanted.where, top=VALUES))
            _, found = self._frame.workbench.session.over(scope, task, lambda data: answer(asked, data))
            return [
                (str(row["value"]), f"{row['events']:,}")
                for row in found.rows
                if row["value"] is not None and not row["is_other"]
            ]

        def ended(outcome: Outcome[Known]) -> None:
            self._job = None
            if outcome.value is None:
                return
            self._known[key] = outcome.value
            if self._frame.is_attached and self._frame.prompt.active:
                # Nothing is put in; what may come next is looked for anew.
                self._frame.prompt.paste("")

        self._job = self._frame.workbench.session.submit((self._frame, "values"), work, ended)
