"""Reads answers back from their JSON files, checked by hand: they may come from anybody."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

from queries import QUESTIONS
from queries.diff import Answer
from queries.question import QuestionError
from queries.suggest import shown
from workbench.errors import UsageError
from workbench.schemas import SCHEMA_VERSION

MOST_BYTES = 200_000_000
"""Of a file: what is larger is no table of an analysis."""
_HINT = "an answer is what a question writes with --json, like `workbench funnel … --json --output A.json`"
_TEXTS = ("report", "schema_version", "semantics_version", "command")


def read_answer(name: str) -> Answer:
    """The answer in a JSON file; raises UsageError that names file and key for anything that is none."""
    value = _load(name)

    def error(message: str, hint: str = _HINT) -> UsageError:
        return UsageError(f"{name}: {message}", hint)

    if not isinstance(value, dict):
        raise error("is no answer: not one JSON object")
    if "error" in value and "rows" not in value:
        raise error("is an error, not an answer")
    for key in _TEXTS:
        if not isinstance(value.get(key), str):
            raise error(f"is no answer: {key} is missing or no text")
    if value["schema_version"] != SCHEMA_VERSION:
        there = shown(value["schema_version"])
        raise error(f"has schema version {there}; this program reads {SCHEMA_VERSION}", "ask it again")
    report = value["report"]
    if report not in QUESTIONS or not QUESTIONS[report].rows.measures:
        hint = "ask the question itself, not for a list" if report == "users" else _HINT
        raise error(f"is of the report {shown(report)}, which is not compared", hint)
    for key in ("request", "totals", "meta"):
        if not isinstance(value.get(key), dict):
            raise error(f"is no answer: {key} is missing or no object")
    for key in ("rows", "notes"):
        if not isinstance(value.get(key), list) or not all(isinstance(one, dict) for one in value[key]):
            raise error(f"is no answer: {key} is missing or no list of objects")
    answer = Answer(
        report=report,
        semantics=value["semantics_version"],
        request=value["request"],
        command=value["command"],
        rows=value["rows"],
        totals=value["totals"],
        meta=value["meta"],
        cut=any(note.get("code") == "limit" for note in value["notes"]),
    )
    try:
        _ = answer.as_of
    except QuestionError as fault:
        raise error(f"meta.{fault.message}") from None
    _check_rows(answer, error)
    return answer


def _check_rows(answer: Answer, error: Callable[[str], UsageError]) -> None:
    told = QUESTIONS[answer.report].rows
    keys = (*told.places, *(key for key, _ in told.values), *told.flags)
    seen: set[tuple[object, ...]] = set()
    for number, row in enumerate(answer.rows):
        for key in keys:
            if isinstance(row.get(key), list | dict):
                raise error(f"rows[{number}].{key} is no single value")
        for key in told.measures:
            value = row.get(key)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise error(f"rows[{number}].{key} is no number")
        name = tuple(row.get(key) for key in keys)
        if name in seen:
            raise error(f"rows[{number}] has the name of a row before it")
        seen.add(name)


def _load(name: str) -> object:
    try:
        with Path(name).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {(error.strerror or 'no file').lower()}", _HINT) from None
    except ValueError:
        raise UsageError(f"{shown(name)}: no such file", _HINT) from None
    if len(raw) > MOST_BYTES:
        raise UsageError(f"{name}: larger than {MOST_BYTES // 1_000_000} MB", _HINT)
    try:
        return json.loads(raw, parse_constant=_no_number, parse_float=_number)
    except RecursionError:
        raise UsageError(f"{name}: nested too deeply", _HINT) from None
    except UnicodeDecodeError:
        raise UsageError(f"{name}: is no text", _HINT) from None
    except json.JSONDecodeError as error:
        what = (
            "holds several values; one JSON object is an answer" if error.msg == "Extra data" else error.msg
        )
        raise UsageError(f"{name}:{error.lineno}:{error.colno}: {what}", _HINT) from None
    except ValueError as error:
        raise UsageError(f"{name}: {error}", _HINT) from None


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("holds a number that is too large")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"holds {text}, which is no number in JSON")
