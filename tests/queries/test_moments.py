"""Moments written together are those written one by one, in zones with every kind of offset."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.moments import iso_all
from queries.ranges import iso

ZONES = (
    "UTC",
    "Asia/Shanghai",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
)


@pytest.mark.parametrize("name", ZONES)
@given(st.lists(st.integers(-10_000_000_000, 250_000_000_000_000), max_size=40))
def test_together_they_are_as_one_by_one(name: str, ms: list[int]) -> None:
    zone = ZoneInfo(name)
    assert iso_all(np.array(ms, np.int64), zone) == [iso(one, zone) for one in ms]


@pytest.mark.parametrize("name", ZONES)
def test_the_changes_of_the_clocks_of_many_years(name: str) -> None:
    zone = ZoneInfo(name)
    # Every minute around the hours in which clocks change, of twenty years.
    hours = np.arange(946_684_800_000, 1_577_836_800_000, 3_600_000)
    offsets = np.array([iso(one, zone)[23:] for one in hours.tolist()])
    changes = hours[1:][offsets[1:] != offsets[:-1]]
    ms = np.array(
        [one + 60_000 * minute - 7 for one in changes.tolist() for minute in range(-61, 61)], np.int64
    )
    assert iso_all(ms, zone) == [iso(one, zone) for one in ms.tolist()]
