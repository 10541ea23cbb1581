"""The command line as tests drive it: a process of its own, how it ended and what it wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        assert self.code == 0, self.err
        answer: dict[str, Any] = json.loads(self.out)
        return answer

    @property
    def users(self) -> list[str]:
        assert self.code == 0, self.err
        return [json.loads(line)["user"] for line in self.out.splitlines()]


Command = Callable[..., Ran]
