"""Imports killed at every step and at random moments: each leaves the old store or the new one, and right answers.

    python benchmarks/kill_import.py --times 200 --seed 1

A small workspace whose files come, go and change between rounds. In each round an import is killed with SIGKILL: at
the n-th step of those that touch the disk or the engine, or at a moment spread over the whole duration of an import.
Then a reader must meet the store of before or the new one, whole; a question must answer as the files do; the next
import must finish, with every row of every file once, and leave nothing behind.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from queries.funnel import answer, request
from queries.question import Scope
from workbench.dataset import Dataset
from workbench.engine import Engine
from workbench.limits import limits
from workbench.runner import Task
from workbench.store.folder import store_folder
from workbench.store.manifest import Manifest
from workbench.store.updating import update_store
from workbench.workspace import Workspace, load

START = 1_772_300_000_000
HOUR = 3_600_000
NAMES = ("view", "cart", "order")
MEMORY = "200MB"
STEPS = ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir")
"""Functions of ``os`` that are steps of an import, beside the statements of the engine."""
COMMITTED = "committed"
"""The first step after the n-th renaming of a file: once there is a new manifest."""
SAVED = ("manifest.json", "lock")

Row = dict[str, Any]


class Failed(Exception):
    """A killed import did harm."""


# --- the import that is killed ----------------------------------------------------------------------------


def imported(workspace: Workspace) -> Manifest:
    """Brings the store up to date, in one thread and little memory."""
    return update_store(workspace, Task(), memory=MEMORY, threads=1).manifest


def _hooked(board: int, at: int | None, only: str | None) -> None:
    """Counts the steps of this process onto a board, and ends it with SIGKILL before the n-th."""
    import numpy as np

    done = Counter[str]()

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            done[name] += 1
            done["all"] += 1
            os.pwrite(board, f"{done['all']} {name}".ljust(64).encode(), 0)
            is_it = name != "replace" if only == COMMITTED else only in (None, name)
            if is_it and at is not None and done["replace" if only == COMMITTED else only or "all"] == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return call

    for name in STEPS:
        setattr(os, name, wrap(name, getattr(os, name)))
    for name in ("execute", "fetch"):
        setattr(Engine, name, wrap(name, getattr(Engine, name)))
    np.save = wrap("save", np.save)


def serve() -> None:
    """Imports in forked children, as lines on stdin ask; this process has no threads that a fork would lose."""
    import workbench.store.lane_files

    assert workbench.store.lane_files
    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryFile() as board:
            print(json.dumps(_ended(asked, board.fileno())), flush=True)


def _ended(asked: dict[str, Any], board: int) -> dict[str, Any]:
    began = time.perf_counter()
    child = os.fork()
    if not child:
        code = 1
        try:
            _hooked(board, asked["at"], asked["only"])
            imported(load(Path(asked["folder"])))
            code = 0
        finally:
            os._exit(code)
    if asked["after"] is not None:
        time.sleep(asked["after"])
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    last = os.pread(board, 64, 0).decode().split()
    return {
        "killed": os.WIFSIGNALED(status),
        "failed": not os.WIFSIGNALED(status) and os.WEXITSTATUS(status) != 0,
        "seconds": time.perf_counter() - began,
        "steps": int(last[0]) if last else 0,
        "step": last[1] if last else "before the first",
    }


# --- the workspace ----------------------------------------------------------------------------------------


@dataclass
class Shop:
    """A workspace of small files, and what is in them."""

    folder: Path
    rng: random.Random
    rows: int = 60
    people: int = 400
    files: dict[str, list[Row]] = field(default_factory=dict)
    made: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "workbench.toml").write_text('[[source]]\nname = "e"\npath = "*.parquet"\n')
        for _ in range(4):
            self.add()

    @property
    def workspace(self) -> Workspace:
        return load(self.folder)

    def add(self) -> None:
        """One more file."""
        self._write(f"{self.made:05d}.parquet")
        self.made += 1

    def change(self) -> str:
        """Adds, takes away or replaces a file, sometimes several; says what."""
        kinds = ["add"] * 4 + ["replace"] * 2 + (["remove"] * 3 if len(self.files) > 4 else [])
        kind = "remove" if len(self.files) > 14 else self.rng.choice(kinds)
        if kind == "add":
            for _ in range(self.rng.choice((1, 1, 2))):
                self.add()
        elif kind == "replace":
            self._write(self.rng.choice(sorted(self.files)))
        else:
            name = self.rng.choice(sorted(self.files))
            (self.folder / name).unlink()
            del self.files[name]
        return kind

    def _write(self, name: str) -> None:
        rng = self.rng
        rows = []
        for _ in range(rng.randrange(self.rows // 2, self.rows * 2)):
            person = rng.randrange(self.people)
            device = person if rng.random() < 0.97 else rng.randrange(self.people)
            rows.append(
                {
                    "ts": START + rng.randrange(20 * 24) * HOUR + rng.choice((0, 0, 1)),
                    "event": rng.choice(NAMES),
                    "user_id": f"u{person}" if rng.random() < 0.3 else None,
                    "anonymous_id": f"d{device}" if rng.random() < 0.98 else None,
                    "channel": rng.choice(("app", "web", None)),
                }
            )
        self.put(name, rows)

    def put(self, name: str, rows: list[Row]) -> None:
        """Writes a file of these rows in place of what there is."""
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        columns["ts"] = pa.array(columns["ts"], pa.timestamp("ms", tz="UTC"))
        pq.write_table(pa.table(columns), self.folder / f".{name}")
        (self.folder / f".{name}").replace(self.folder / name)
        self.files[name] = rows

    def named(self) -> dict[str, int]:
        """Events of somebody by file."""
        return {
            name: sum(1 for row in rows if row["user_id"] or row["anonymous_id"])
            for name, rows in self.files.items()
        }


def asked(workspace: Workspace) -> tuple[Any, list[str]]:
    """Answers of several kinds, as far as they may not differ, and where they came from."""
    dataset = Dataset(workspace, Scope(), Task(), limits(MEMORY, 1))
    found: list[Any] = []
    paths: list[str] = []
    survey = dataset.survey()
    found.append((survey.rows, survey.people, survey.first, survey.last, survey.as_of))
    found.append([note.text for note in survey.notes])
    sql = "SELECT event, channel, count(*), count(DISTINCT person), sum(ts) FROM events GROUP BY ALL ORDER BY ALL"
    found.append(dataset.fetch(sql))
    people = (
        "SELECT kind, id, count(*), sum(ts) FROM events JOIN people USING (person) GROUP BY ALL ORDER BY ALL"
    )
    found.append(dataset.fetch(people))
    paths.append(str(dataset.stats()["path"]))
    for shape in (NAMES, ("view", "view")):
        result = answer(request(shape, "3d", dataset.scope), dataset)
        found.append((list(result.rows), dict(result.totals)))
        paths.append(str(dataset.stats()["path"]))
    dataset.engine.close()
    return found, paths


# --- what must hold after each kill -------------------------------------------------------------------------


class Soak:
    """Rounds of changed files, a killed import, and all that must hold afterwards."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.shop = Shop(folder / "shop", self.rng)
        self.empty = folder / "no cache"
        self.helper = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("changes", "killed at", "seen", "paths", "next import")
        }
        self.kills = 0
        imported(self.shop.workspace)
        self.before = dict(self.shop.named())

    def close(self) -> None:
        """Ends the helper."""
        assert self.helper.stdin is not None
        self.helper.stdin.close()
        self.helper.wait(10)

    def run(
        self, *, at: int | None = None, only: str | None = None, after: float | None = None
    ) -> dict[str, Any]:
        """An import in another process, killed before a step or after a time."""
        assert self.helper.stdin is not None and self.helper.stdout is not None
        order = {"folder": str(self.shop.folder), "at": at, "only": only, "after": after}
        self.helper.stdin.write(json.dumps(order) + "\n")
        self.helper.stdin.flush()
        ended: dict[str, Any] = json.loads(self.helper.stdout.readline())
        if ended["failed"]:
            raise Failed(f"the import failed: {order}")
        return ended

    def measured(self) -> tuple[int, float]:
        """Steps and seconds of an import that nobody kills; makes it of changed files."""
        self.shop.change()
        ended = self.run()
        self.check_done(self.shop.named())
        return ended["steps"], ended["seconds"]

    def round(self, *, at: int | None = None, only: str | None = None, after: float | None = None) -> bool:
        """One round; whether the import was killed before it ended."""
        self.counts["changes"][self.shop.change()] += 1
        ended = self.run(at=at, only=only, after=after)
        self.kills += ended["killed"]
        self.counts["killed at"][ended["step"] if ended["killed"] else "not: it had ended"] += 1
        now = self.shop.named()
        self.check_reader(now, must_be_new=not ended["killed"])
        plain = self.check_answers()
        merged = imported(self.shop.workspace)
        self.counts["next import"][f"{len(merged.runs)} runs"] += 1
        self.check_done(now, plain)
        return bool(ended["killed"])

    def check_reader(self, now: dict[str, int], *, must_be_new: bool) -> None:
        """The store is that of before or the new one, and whole."""
        reading = store_folder(self.shop.workspace).reading()
        if reading is None:
            raise Failed("there is no store after a killed import")
        with reading:
            if (broken := reading.damage()) is not None:
                raise Failed(f"{broken} is not whole")
            found = self.rows_of(reading.manifest)
            seen = "the new" if found == now else "the old" if found == self.before else "neither"
        self.counts["seen"][seen] += 1
        if seen == "neither" or (must_be_new and seen != "the new"):
            raise Failed(f"a reader sees {seen}: {found}, not {now}")

    def rows_of(self, manifest: Manifest) -> dict[str, int]:
        """Rows by file, as they lie in the runs and not as the manifest says."""
        root = store_folder(self.shop.workspace).root
        by_number: Counter[int] = Counter()
        for run in manifest.runs:
            dead = set() if run.dead is None else set(_codes(root / run.dead))
            table = pq.ParquetFile(root / run.folder / run.name).read(["person", "place"])
            people, places = table["person"].to_pylist(), table["place"].to_pylist()
            by_number.update(
                place >> 40 for person, place in zip(people, places, strict=True) if person not in dead
            )
            alive = {place for person, place in zip(people, places, strict=True) if person not in dead}
            if len(alive) != sum(person not in dead for person in people):
                raise Failed(f"{run.name} has a row twice")
        return {file.relative: by_number[file.number] for file in manifest.files}

    def check_answers(self, plain: Any = None, paths: Sequence[str] | None = None) -> Any:
        """What is answered with the store that is there is ``plain``, which is returned: what the files say.

        ``paths``: where the answers must come from.
        """
        workspace = self.shop.workspace
        found, came = asked(workspace)
        if plain is None:
            plain, from_files = asked(replace(workspace, cache=self.empty))
            if "store" in from_files:
                raise Failed("the files' answer came from a store")
        if found != plain:
            raise Failed(f"answers differ ({came}): {found} and {plain}")
        self.counts["paths"].update(came[:1])
        if paths is not None and came != list(paths):
            raise Failed(f"answers come from {came}")
        return plain

    def check_done(self, now: dict[str, int], plain: Any = None) -> None:
        """After an import that ended: every row once, answers from the store, and nothing left behind."""
        folder = store_folder(self.shop.workspace)
        with folder.reading() or _nothing() as reading:
            manifest = reading.manifest
            if (found := self.rows_of(manifest)) != now:
                raise Failed(f"after the next import: {found}, not {now}")
        self.check_answers(plain, ("store", "lanes", "lanes"))
        there = {path.name for path in folder.root.iterdir()}
        if there != manifest.folders | set(SAVED):
            raise Failed(f"left behind: {sorted(there - manifest.folders - set(SAVED))}")
        kept = {folder.root / path for path in manifest.sizes}
        for path in folder.root.rglob("*"):
            if path.is_file() and path not in kept and path.name not in (*SAVED, "lease", "seal.json"):
                raise Failed(f"left behind: {path}")
        self.before = now


def _codes(path: Path) -> list[int]:
    import numpy as np

    codes: list[int] = np.load(path).tolist()
    return codes


def _nothing() -> Any:
    raise Failed("there is no store after an import")


def soak(folder: Path, times: int, seed: int) -> Soak:
    """Kills that many imports: at moments, at steps of each kind, and at steps all the way through."""
    one = Soak(folder, seed)
    try:
        steps, seconds = one.measured()
        for number in count():
            if one.kills >= times:
                break
            if number % 4 == 0:
                one.round(after=one.rng.uniform(0, seconds))
            elif number % 8 == 1:
                # The end, too: from the manifest's renaming on the store is the new one.
                one.round(at=1, only=one.rng.choice((COMMITTED, "replace", "rename")))
            elif number % 8 == 5:
                one.round(at=one.rng.choice((1, 2, 3, 5)), only=one.rng.choice(("unlink", "rmdir", "save")))
            elif number % 4 == 2:
                one.round(at=1 + number // 4 % 13, only="fsync")
            else:
                # Steps evenly over the whole import, whatever the number of kills.
                one.round(at=1 + (number * steps // max(times, 1)) % steps)
    finally:
        one.close()
    return one


def main() -> None:
    """Runs the soak and prints what was killed where and seen afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    folder = Path(tempfile.mkdtemp(prefix="kill-import-"))
    began = time.perf_counter()
    try:
        one = soak(folder, options.times, options.seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{one.kills} imports killed in {time.perf_counter() - began:.0f} s, seed {options.seed}")
    for what, counts in one.counts.items():
        print(f"{what}: " + ", ".join(f"{name} {count}" for name, count in counts.most_common()))


if __name__ == "__main__":
    main()
