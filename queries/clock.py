"""Times of one zone as text, many at once: what is alike in a quarter of an hour is written once."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from queries import ranges
from queries.seen import BUCKET


class Clock:
    """Writes moments as :func:`queries.ranges.iso` does."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._quarters: dict[int, tuple[str, int, str]] = {}

    def iso(self, ms: int) -> str:
        """A moment (UTC ms) as ISO 8601 in the zone, always with milliseconds and offset."""
        quarter, rest = divmod(ms, BUCKET)
        known = self._quarters.get(quarter)
        if known is None:
            text = ranges.iso(quarter * BUCKET, self._zone)
            known = self._quarters[quarter] = text[:14], int(text[14:16]), text[16:]
        head, minute, tail = known
        # Before zones were whole quarters of an hour apart one of them began anywhere in an hour.
        if minute % 15 or tail[:7] != ":00.000":
            return ranges.iso(ms, self._zone)
        seconds, thousandths = divmod(rest, 1000)
        minutes, seconds = divmod(seconds, 60)
        return f"{head}{minute + minutes:02d}:{seconds:02d}.{thousandths:03d}{tail[7:]}"
