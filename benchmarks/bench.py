"""What every row of a benchmark shares: the data, the workbench over it, its peers, how often to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measuring import Contender, Found, Limit, alternating, memory_of
from ours import Workbench
from peers import ClickHouse
from prepared import Prepared


@dataclass(slots=True)
class Bench:
    """The data of one folder and everybody who is asked about it."""

    folder: Path
    threads: int
    runs: int
    against: Bench | None = None
    """The same over a smaller folder, for how time grows."""
    with_memory: bool = True
    _session: Any = field(default=None, repr=False)
    _events: int = 0

    @property
    def ours(self) -> Workbench:
        """The workbench over it."""
        return Workbench(self.folder, self.threads)

    @property
    def prepared(self) -> Prepared:
        """The peers' tables of it."""
        return Prepared.of(self.folder)

    @property
    def events(self) -> int:
        """How many there are, from the files' footers."""
        if not self._events:
            import pyarrow.parquet as pq

            files = (self.folder / "events").rglob("*.parquet")
            self._events = sum(pq.ParquetFile(one).metadata.num_rows for one in files)
        return self._events

    @property
    def clickhouse(self) -> ClickHouse:
        """ClickHouse over the files and its own table; opened once, for one process at a time."""
        if self._session is None:
            self._session = self.prepared.session()
        return ClickHouse(self.prepared, self._session, self.threads)

    def close(self) -> None:
        """Lets other processes open ClickHouse's folder."""
        if self._session is not None:
            self._session.close()
            self._session = None


@dataclass(frozen=True, slots=True)
class Question:
    """A row in which all answer the same question."""

    key: str
    name: str
    contenders: Mapping[str, Callable[[Bench], Contender]]
    """The one that is judged first."""
    limits: tuple[Limit, ...] = ()
    faster: str = ""
    in_store: bool = True

    def memory(self, bench: Bench) -> dict[str, tuple[int, int]]:
        """Peak and private memory by contender, each in a process of its own."""
        bench.close()
        found: dict[str, tuple[int, int]] = {}
        for name in self.contenders:
            arguments = [
                str(bench.folder),
                "--threads",
                str(bench.threads),
                "--only",
                self.key,
                "--alone",
                name,
            ]
            found[name] = memory_of(arguments)
        return found

    def alone(self, bench: Bench, name: str) -> None:
        """One run of one contender, for the process that is watched."""
        self.contenders[name](bench).setup()()
        bench.close()

    def measure(self, bench: Bench) -> Found:
        """Memory first, then time in alternating runs."""
        memory = self.memory(bench) if bench.with_memory else {}
        contenders = {name: make(bench) for name, make in self.contenders.items()}
        found = Found(
            self.name,
            self.limits,
            self.faster,
            alternating(contenders, bench.runs),
            lacks_store=self.in_store and not bench.ours.has_store,
        )
        for name, (peak, private) in memory.items():
            found.measured[name].peak, found.measured[name].private = peak, private
        bench.close()
        return found


@dataclass(frozen=True, slots=True)
class Operation:
    """A row that is measured in its own way."""

    key: str
    measure: Callable[[Bench], Found]


@dataclass(frozen=True, slots=True)
class Missing:
    """A row of a report that is not there."""

    key: str
    name: str

    def measure(self, bench: Bench) -> Found:
        """Says so."""
        return Found(self.name, remarks=["joins with its report"])
