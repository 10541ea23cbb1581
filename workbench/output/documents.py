"""Answers as JSON: one object with everything, or one object a row."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from workbench import SEMANTICS_VERSION
from workbench.schemas import SCHEMA_VERSION
from workbench.values import Plain, plain, plain_row

if TYPE_CHECKING:
    from queries.question import Note, Request, Result, Row


def command_line(request: Request) -> str:
    """The command that asks the same question, quoted for a shell."""
    return shlex.join(["workbench", *request.arguments()])


def json_document(value: object, *, ascii_only: bool = False) -> str:
    """Any value as an indented JSON text with a newline at its end."""
    return json.dumps(plain(value), ensure_ascii=ascii_only, allow_nan=False, indent=2) + "\n"


def json_line(value: object, *, ascii_only: bool = False) -> str:
    """Any value as one line of JSON."""
    return json.dumps(plain(value), ensure_ascii=ascii_only, allow_nan=False) + "\n"


def json_lines(rows: Iterable[Row], *, ascii_only: bool) -> Iterator[str]:
    """One object a row."""
    for row in rows:
        yield json_line(row, ascii_only=ascii_only)


def json_envelope(
    result: Result, rows: Iterable[Row], notes: Sequence[Note], *, ascii_only: bool
) -> Iterator[str]:
    """The whole answer as one object, in pieces, so that its rows need not be in memory together.

    The text is what ``json.dumps(…, indent=2)`` gives for the object as a whole.
    """
    before: Mapping[str, object] = {
        "report": result.report,
        "schema_version": SCHEMA_VERSION,
        "semantics_version": SEMANTICS_VERSION,
        "request": result.request.to_dict(),
        "command": command_line(result.request),
    }
    after: Mapping[str, object] = {
        "totals": result.totals,
        "notes": [note.to_dict() for note in notes],
        "meta": result.meta,
    }
    yield json_document(before, ascii_only=ascii_only).removesuffix("\n}\n") + ',\n  "rows": ['
    separator = ""
    for row in rows:
        yield f"{separator}\n    {_nested(plain_row(row), ascii_only)}"
        separator = ","
    yield ("\n  ]," if separator else "],") + json_document(after, ascii_only=ascii_only).removeprefix("{")


def _nested(row: dict[str, Plain], ascii_only: bool) -> str:
    if any(isinstance(value, list | dict) for value in row.values()):
        text = json.dumps(row, ensure_ascii=ascii_only, allow_nan=False, indent=2)
        return text.replace("\n", "\n    ")
    if not row:
        return "{}"
    # Flat rows take the encoder written in C, which knows separators but no indentation: ten times as fast.
    text = json.dumps(row, ensure_ascii=ascii_only, allow_nan=False, separators=(",\n      ", ": "))
    return f"{{\n      {text[1:-1]}\n    }}"
