"""When clocks change: what native code needs to tell the time of day where an instrument trades."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_FIRST: Final = datetime(1990, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2050, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)


@lru_cache(maxsize=64)
def utc_offsets(time_zone: str) -> tuple[tuple[int, int], ...]:
    """Return from when on, ns UTC, local time is ahead of UTC by how many seconds; oldest first, 1990 to 2050.

    The first holds before as well, the last after.
    """
    zone = ZoneInfo(time_zone)
    changes, day = [(0, _offset_s(_FIRST, zone))], _FIRST
    while day < _LAST:
        after = day + _DAY
        if _offset_s(after, zone) != changes[-1][1]:
            at = _change(day, after, zone)
            changes.append((int(at.timestamp()) * 1_000_000_000, _offset_s(at, zone)))
        day = after
    return tuple(changes)


def _change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """Return the first second of another offset than at `low`."""
    before = _offset_s(low, zone)
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (middle, high) if _offset_s(middle, zone) == before else (low, middle)
    return high


def _offset_s(at: datetime, zone: ZoneInfo) -> int:
    offset = at.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
