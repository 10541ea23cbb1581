"""The demo's calendar: which days there are, how busy each is, and when people come.

All dates are fixed and past; a day is a day in Asia/Shanghai, which has been UTC+8 without summer time since
1991, so a day here is always 24 hours.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from workbench.demo.draws import Ints, table

ZONE = "Asia/Shanghai"
FIRST = date(2026, 3, 1)
DAYS = 92
"""1 March to 31 May 2026."""
MS_DAY = 86_400_000
_EPOCH = date(1970, 1, 1)
_EAST = 8 * 3_600_000

_WEEKDAY = (96, 94, 94, 95, 102, 112, 110)
"""Monday to Sunday; a mild weekend, growing by a fifth over the three months."""


def midnight(day: int) -> int:
    """The first moment of a day, UTC milliseconds; day ``DAYS`` is the end of the demo."""
    return ((FIRST - _EPOCH).days + day) * MS_DAY - _EAST


END = midnight(DAYS)


def name(day: int) -> str:
    """``2026-03-01`` for day 0."""
    return (FIRST + timedelta(days=day)).isoformat()


def weights() -> Ints:
    """How many events each day should have, in proportion."""
    return np.array(
        [_WEEKDAY[(FIRST + timedelta(days=d)).weekday()] * (460 + d) for d in range(DAYS)], dtype=np.int64
    )


HOUR = table((14, 8, 5, 3, 3, 5, 12, 22, 32, 40, 46, 46, 52, 46, 42, 42, 42, 42, 46, 58, 72, 78, 62, 34))
"""The hour a visit starts: quiet before dawn, a lunch hump, an evening peak."""
