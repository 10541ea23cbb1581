"""Many moments as text at once, by the same rule as one: :func:`queries.ranges.iso`."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from queries.ranges import iso

QUARTER = 900_000
"""ms; since 1972 no zone has changed its offset but at a multiple of it."""
_FIRST = 63_072_000_000
"""1972 in UTC ms; moments before it are written one by one."""
_LAST = 253_402_214_400_000
"""The last day of the year 9999."""


def iso_all(ms: NDArray[np.int64], tz: ZoneInfo) -> list[str]:
    """Moments (UTC ms) as ISO 8601 in the zone; raises OverflowError outside the years 1 to 9999."""
    if not len(ms):
        return []
    if int(ms.min()) < _FIRST or int(ms.max()) > _LAST:
        return [iso(one, tz) for one in ms.tolist()]
    quarters, places = np.unique(ms // QUARTER, return_inverse=True)
    suffixes = [iso(one * QUARTER, tz)[23:] for one in quarters.tolist()]
    offsets = np.array([_milliseconds(one) for one in suffixes], np.int64)[places]
    local = np.datetime_as_string((ms + offsets).astype("datetime64[ms]"), unit="ms")
    texts: list[str] = np.char.add(local, np.array(suffixes)[places]).tolist()
    return texts


def _milliseconds(offset: str) -> int:
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    size = (60 * hours + minutes) * 60_000
    return -size if offset[0] == "-" else size
