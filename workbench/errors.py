"""The errors a user meets, each with its exit code: one clear line and a hint, never a traceback."""

from __future__ import annotations

from typing import ClassVar, Protocol


class WorkbenchError(Exception):
    """A failure with a message for the user: what, where; ``hint`` says what to do."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "failed"
    """The stable word scripts find under ``error.code`` in JSON."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class QueryFailed(WorkbenchError):
    """The engine, the disk or the text of a query failed."""


class UsageError(WorkbenchError):
    """Wrong options, configuration or expression."""

    exit_code = 2
    code = "usage"


class NoData(WorkbenchError):
    """No data, none readable, or something set aside under ``--strict``."""

    exit_code = 3
    code = "no-data"


class Damaged(NoData):
    """A data file turned out to be damaged while it was read; without it there may still be an answer."""


class EngineDied(QueryFailed):
    """The engine failed inside, on some file, and was closed."""


class TimedOut(WorkbenchError):
    """``--timeout`` ran out."""

    exit_code = 4
    code = "timeout"


class ConditionMet(WorkbenchError):
    """``--fail-if`` was true for a row."""

    exit_code = 5
    code = "fail-if"


class Changed(WorkbenchError):
    """Data changed while it was read, or somebody else holds a lock: try again."""

    exit_code = 6
    code = "busy"


class Cancelled(WorkbenchError):
    """Interrupted by the user."""

    exit_code = 130
    code = "cancelled"


class Told(Protocol):
    """What every error for a user has."""

    message: str
    hint: str | None


def in_a_line(error: Told) -> str:
    """An error with its hint, for a face that has one line."""
    return error.message if error.hint is None else f"{error.message}; {error.hint}"
