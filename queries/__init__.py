"""What we ask: every question of the workbench, registered once.

Commands, completion, documentation and (with their screens) the palette read :data:`QUESTIONS`; adding a
question is a file beside this one and a line here. Nothing in this package opens files, prints, or knows
a command line or a screen.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rows:
    """How an answer's rows are matched with those of another answer of the report."""

    places: tuple[str, ...] = ()
    """Keys of the definition's own parts, as steps: a place that is not asked for has no numbers."""
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Keys that hold values of the data, with the request's keys that ask for them: a value without a row is
    nobody's, and values of two properties are not compared."""
    flags: tuple[str, ...] = ()
    """Keys that tell rows of several values apart where the values are null."""
    labels: tuple[str, ...] = ()
    """Keys that say what a row is about and do not name it."""
    measures: tuple[str, ...] = ()
    """What is compared; integers are counts, fractions are rates."""


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
    request: str = ""
    """``module:function`` that makes a request of what was saved of one."""
    needed: tuple[str, ...] = ()
    """The keys without which a saved request is none; of several, those that are given."""
    rows: Rows = Rows()
    """How its rows are told apart and what is counted in them."""


QUESTIONS: dict[str, Question] = {
    q.name: q
    for q in (
        Question(
            "overview",
            "queries.overview",
            "What is loaded, whether it can be believed, how business is, what to look at.",
            "o",
            request="queries.overview_request:from_dict",
        ),
        Question(
            "funnel",
            "queries.funnel",
            "Where people drop out on the way, and who they are.",
            "f",
            request="queries.funnel_request:from_dict",
            needed=("steps",),
            rows=Rows(
                places=("step",),
                values=(("breakdown", ("by",)), ("period", ("trend",)), ("cohort", ("compare", "as"))),
                flags=("is_total", "is_other"),
                labels=("event",),
                measures=("users", "rate_from_first", "rate_from_previous", "dropped", "open"),
            ),
        ),
        Question(
            "explain",
            "queries.explain",
            "Why a person counts in a funnel as they do, or why a cell's people stopped.",
            request="queries.explain:from_dict",
            needed=("steps",),
        ),
        Question(
            "events",
            "queries.catalogue",
            "Which events there are, how many, from whom, from when to when.",
            request="queries.catalogue:events_from_dict",
            rows=Rows(values=(("event", ()),), measures=("events", "users")),
        ),
        Question(
            "properties",
            "queries.catalogue",
            "Which properties events carry: filled, distinct, values.",
            request="queries.catalogue:properties_from_dict",
            rows=Rows(
                places=("property",),
                values=(("value", ("name",)),),
                flags=("is_other",),
                measures=("filled", "events", "users"),
            ),
        ),
        Question(
            "user",
            "queries.user",
            "One person: profile, and everything they did, in order.",
            "u",
            request="queries.user:from_dict",
            needed=("user", "find"),
        ),
        Question(
            "users",
            "queries.users",
            "People: all in scope, or a list, with what they did.",
            request="queries.users:from_dict",
        ),
        Question(
            "identity",
            "queries.identity",
            "How raw ids became people: what each kind of id decided.",
            request="queries.identity:from_dict",
            rows=Rows(places=("kind", "decision"), measures=("ids", "people", "events")),
        ),
        Question(
            "check",
            "queries.check",
            "Whether the data can be believed: what is wrong, whom it concerns, what to do.",
            "d",
            request="queries.check:from_dict",
            rows=Rows(places=("check",), labels=("severity",), measures=("rows", "users")),
        ),
    )
}
