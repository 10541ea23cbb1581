"""A planted truth as a value, and as ``truths.toml`` carries it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Value = str | int | float | None
HOLDS_FROM = 50_000
"""The smallest size at which a truth holds that says no other."""


@dataclass(frozen=True, slots=True)
class Expect:
    """One value of an answer: in the row where all of ``row`` holds (``totals`` for none), under ``key``."""

    row: Mapping[str, Value]
    key: str
    value: Value


@dataclass(frozen=True, slots=True)
class Decoy:
    """What looks like the truth and must not be found: people, or a row that does not stand out."""

    name: str
    sentence: str
    ids: tuple[str, ...] = ()
    row: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Truth:
    """A planted fact."""

    name: str
    sentence: str
    command: str
    expected: tuple[Expect, ...] = ()
    ids: tuple[str, ...] | None = None
    """The people the command must list, neither more nor fewer."""
    tolerance: float = 0
    """Relative; 0 where exact."""
    decoys: tuple[Decoy, ...] = ()
    smallest: int = HOLDS_FROM
    """The smallest ``--events`` at which it holds."""
    waits: str = ""
    """``report NAME`` or ``unit session`` where this version has not yet what the command needs."""

    @property
    def report(self) -> str:
        """The command's name."""
        return self.command.split()[1]


def _toml(value: Value) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return '"null"' if value is None else repr(value)


def _inline(table: Mapping[str, Value]) -> str:
    return (
        "{ " + ", ".join(f"{key} = {_toml(value)}" for key, value in table.items()) + " }" if table else "{}"
    )


def toml_lines(truths: Sequence[Truth]) -> list[str]:
    """The truths as ``truths.toml`` carries them; null is written ``"null"``, TOML having none."""
    out: list[str] = []
    for truth in truths:
        out += ["", "[[truth]]", f"id = {_toml(truth.name)}", f"sentence = {_toml(truth.sentence)}"]
        out += [f"command = {_toml(truth.command)}", f"report = {_toml(truth.report)}"]
        out += [f"tolerance = {_toml(truth.tolerance)}", f"smallest_events = {truth.smallest}"]
        if truth.waits:
            out.append(f"waits = {_toml(truth.waits)}")
        if truth.expected:
            out.append("expected = [")
            out += [
                f"  {{ row = {_inline(e.row)}, key = {_toml(e.key)}, value = {_toml(e.value)} }},"
                for e in truth.expected
            ]
            out.append("]")
        if truth.ids is not None:
            out += ["expected_ids = [", *(f"  {_toml(one)}," for one in truth.ids), "]"]
        for decoy in truth.decoys:
            out += ["[[truth.decoy]]", f"id = {_toml(decoy.name)}", f"sentence = {_toml(decoy.sentence)}"]
            if decoy.row:
                out.append(f"row = {_inline(decoy.row)}")
            if decoy.ids:
                out += ["ids = [", *(f"  {_toml(one)}," for one in decoy.ids), "]"]
    return out
