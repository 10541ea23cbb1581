"""The JSON Schemas of what the program writes, one file a report: the contract scripts rely on."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from workbench.errors import UsageError

SCHEMA_VERSION = "1"
"""Changes whenever a script that reads the JSON may have to."""

_FOLDER = Path(__file__).parent
_ENDING = ".schema.json"


@cache
def names() -> tuple[str, ...]:
    """The reports that have a schema, with ``envelope`` (what all share) and ``error``."""
    return tuple(sorted(path.name.removesuffix(_ENDING) for path in _FOLDER.glob("*" + _ENDING)))


def load(report: str) -> dict[str, object]:
    """The JSON Schema (draft 2020-12) of a report's JSON, the envelope it refers to bundled in.

    Raises UsageError for a report that has none.
    """
    if report not in names():
        raise UsageError(f"there is no JSON Schema named {report!r}", f"there are {', '.join(names())}")
    schema = _read(report)
    if report not in ("envelope", "error"):
        schema["$defs"] = {"envelope": _read("envelope")}
    return schema


def _read(name: str) -> dict[str, object]:
    schema: dict[str, object] = json.loads((_FOLDER / (name + _ENDING)).read_text(encoding="utf-8"))
    return schema
