"""A written demo as tests read it: plain events with their person, the truths, and counting by brute force."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

DAY = 86_400_000
Event = dict[str, Any]
Step = Callable[[Event], bool]


@dataclass
class WrittenShop:
    """A demo's folder, read once."""

    folder: Path

    @cached_property
    def table(self) -> pa.Table:
        """All events of the shop's own export, as written."""
        return pa.concat_tables(
            pq.ParquetFile(path).read() for path in sorted(self.folder.glob("events/**/*.parquet"))
        )

    @cached_property
    def events(self) -> list[Event]:
        """All events by time, ``ts`` in UTC ms, each with its ``person`` by the identity rule."""
        table = self.table
        rows: list[Event] = table.set_column(1, "ts", table["ts"].cast(pa.int64())).to_pylist()
        rows.sort(key=lambda e: (e["ts"], e["event_id"]))
        logins: dict[str, list[str]] = defaultdict(list)
        for event in rows:
            device, user = event["anonymous_id"], event["user_id"]
            if device and user and user not in logins[device]:
                logins[device].append(user)
        in_force: dict[str, str] = {}
        for event in rows:
            device, user = event["anonymous_id"], event["user_id"]
            if user and device:
                in_force[device] = user
            known = logins.get(device, [])
            event["person"] = user or (in_force.get(device, known[0]) if known else device)
        return rows

    @cached_property
    def truths(self) -> dict[str, dict[str, Any]]:
        """The planted truths by id."""
        written = tomllib.loads((self.folder / "truths.toml").read_text(encoding="utf-8"))
        return {truth["id"]: truth for truth in written["truth"]}

    @cached_property
    def sessions(self) -> dict[str, list[Event]]:
        """Events by session id, in order."""
        return grouped((e for e in self.events if e["session_id"]), "session_id")

    @cached_property
    def people(self) -> dict[str, list[Event]]:
        """Events by person, in order."""
        return grouped(self.events, "person")

    def expected(self, name: str, key: str, **row: object) -> Any:
        """The one value that a truth expects in a row."""
        found = [e["value"] for e in self.truths[name]["expected"] if e["row"] == row and e["key"] == key]
        assert len(found) == 1
        return found[0]

    def reaching(self, steps: Sequence[Step | str], window: int | None) -> list[set[str]]:
        """The people who get at least to each step, from any entry: brute force."""
        tests = [named(step) if isinstance(step, str) else step for step in steps]
        levels = {person: deepest(rows, tests, window) for person, rows in self.people.items()}
        return [{p for p, level in levels.items() if level > at} for at in range(len(tests))]


def grouped(events: Iterable[Event], key: str) -> dict[str, list[Event]]:
    """Events by the value under a key, in the order they come."""
    out: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        out[event[key]].append(event)
    return out


def named(name: str, **values: object) -> Step:
    """Whether an event has a name, and these values."""
    return lambda event: event["event"] == name and all(event[k] == v for k, v in values.items())


def deepest(history: list[Event], steps: Sequence[Step], window: int | None) -> int:
    """How far a person gets from any entry, each step as early as it can be: brute force."""
    best = 0
    for at, entry in enumerate(history):
        if not steps[0](entry):
            continue
        level = 1
        for event in history[at + 1 :]:
            if level == len(steps) or (window is not None and event["ts"] - entry["ts"] > window):
                break
            level += steps[level](event)
        best = max(best, level)
        if best == len(steps):
            break
    return best


def shanghai(ms: int) -> datetime:
    """The moment on a clock in Shanghai."""
    return datetime.fromtimestamp(ms / 1000, UTC) + timedelta(hours=8)
