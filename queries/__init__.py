"""What we ask: every question of the workbench, registered once.

Commands, completion, documentation and (with their screens) the palette read :data:`QUESTIONS`; adding a
question is a file beside this one and a line here. Nothing in this package opens files, prints, or knows
a command line or a screen.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """One entry of the registry, cheap to import: the heavy modules load when the question is asked."""

    name: str
    """The report's name: in JSON ``report``, on the command line, in the palette."""
    module: str
    """The module under ``queries`` that holds ``answer(request, data) -> Result``."""
    summary: str
    """One line, as help and palette print it."""
    key: str | None = None
    """The letter after ``g`` that opens its screen; unique, never ``g``."""


QUESTIONS: dict[str, Question] = {
    q.name: q
    for q in (
        Question("funnel", "queries.funnel", "Where people drop out on the way, and who they are.", "f"),
        Question(
            "events", "queries.catalogue", "Which events there are, how many, from whom, from when to when."
        ),
        Question(
            "properties", "queries.catalogue", "Which properties events carry: filled, distinct, values."
        ),
    )
}
