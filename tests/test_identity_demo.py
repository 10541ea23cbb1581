"""The demo's people as the program finds them are the simulator's own."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from queries.question import Scope
from workbench.dataset import Dataset
from workbench.demo import write_demo
from workbench.limits import limits
from workbench.runner import Task
from workbench.workspace import load


def test_the_people_are_the_simulators_own(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    write_demo(folder, events=200_000)
    dataset = Dataset(load(folder / "workbench.toml"), Scope(), Task(), limits(None, None))
    dataset.survey()
    # truth/people.parquet: which simulated person used which device, and the login used there.
    used = pq.read_table(folder / "truth" / "people.parquet").to_pylist()
    devices: dict[str, set[str]] = {}
    for row in used:
        devices.setdefault(row["anonymous_id"], set()).add(row["user_id"] or row["anonymous_id"])
    logins = {name: {user for user in users if user != name} for name, users in devices.items()}
    # Somebody who never logs in is a person for each device; on a shared one whoever logs in there has it.
    expected = {user for users in logins.values() for user in users}
    expected |= {name for name, users in logins.items() if not users}
    found = dataset.fetch("SELECT kind, id FROM people WHERE kind IN ('user_id', 'anonymous_id')")
    assert {str(name) for _, name in found} == expected
    # Every event of a device counts for one of the people who really used it.
    whose = dataset.fetch(
        "SELECT DISTINCT anonymous_id, id FROM events JOIN people USING (person) WHERE anonymous_id IS NOT NULL"
    )
    assert len(whose) > 500
    for device, person in whose:
        assert person in (logins[str(device)] or {device})
    several = [name for name, users in logins.items() if len(users) > 1]
    assert several
