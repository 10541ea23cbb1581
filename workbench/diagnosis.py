"""One line of what ``workbench doctor`` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line."""

    topic: str
    name: str
    value: str
    status: Status = "ok"
    advice: str | None = None

    def row(self) -> dict[str, object]:
        """The finding as a row of the answer."""
        return {
            "topic": self.topic,
            "check": self.name,
            "status": self.status,
            "value": self.value,
            "advice": self.advice,
        }
