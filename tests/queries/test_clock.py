"""Times written many at once are those written one by one."""

from __future__ import annotations

import random

import pytest

from queries import ranges
from queries.clock import Clock


@pytest.mark.parametrize(
    "zone", ["UTC", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe", "Africa/Monrovia"]
)
def test_a_clock_writes_what_iso_writes(zone: str) -> None:
    rng = random.Random(1)
    clock, tz = Clock(ranges.zone(zone)), ranges.zone(zone)
    moments = [rng.randrange(-100_000_000_000, 2_000_000_000_000) for _ in range(500)]
    for ms in [*moments, *(ms + 1 for ms in moments), *(ms // 900_000 * 900_000 for ms in moments)]:
        assert clock.iso(ms) == ranges.iso(ms, tz)
