"""The one normalised market event, as native code lays it out (native/contracts/market_event.hpp)."""

from enum import IntFlag
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

NO_LOTS: Final = -1
"""Lots of a feed that gives no sizes."""


class EventFlag(IntFlag):
    """States of the touch that forbid acting on it."""

    ONE_SIDED = 1
    CROSSED = 2
    LOCKED = 4
    HALTED = 8
    GAP = 16
    AUCTION = 32
    RESYNC = 64
    STALE = 128


UNUSABLE: Final = (
    EventFlag.ONE_SIDED
    | EventFlag.CROSSED
    | EventFlag.HALTED
    | EventFlag.GAP
    | EventFlag.AUCTION
    | EventFlag.RESYNC
    | EventFlag.STALE
)
"""Flags on which the platform abstains."""

MARKET_EVENT: Final = np.dtype(
    [
        ("event_ns", "<i8"),
        ("receive_ns", "<i8"),
        ("sequence", "<u8"),
        ("bid_ticks", "<i8"),
        ("bid_lots", "<i8"),
        ("ask_ticks", "<i8"),
        ("ask_lots", "<i8"),
        ("trade_ticks", "<i8"),
        ("trade_lots", "<i8"),
        ("instrument", "<u4"),
        ("flags", "<u2"),
        ("reserved", "<u2"),
    ]
)
"""80 bytes an event: the touch right after it, and what traded in it."""

DEPTH_LEVELS: Final = 10
"""Levels of a side that a recording keeps, where it keeps any."""

MarketEvents = NDArray[Any]
"""Structured array of MARKET_EVENT, shape (n,), oldest first."""

BookDepths = NDArray[np.int64]
"""The best levels right after each event, shape (n, 4, DEPTH_LEVELS), best first, little-endian.

Along the second axis bid ticks, bid lots, ask ticks, ask lots; a level that is not there has 0 in both.
"""

DEEP_EVENT: Final = np.dtype([("event", MARKET_EVENT), ("levels", "<i8", (4, DEPTH_LEVELS))])
"""400 bytes an event with its levels, as feeds and buses carry them where they carry levels."""


def packed(events: MarketEvents, depth: BookDepths | None) -> NDArray[np.uint8]:
    """Return the events as they travel, a row each, shape (n, 80), or (n, 400) with their levels."""
    rows = np.ascontiguousarray(events).view(np.uint8).reshape(len(events), MARKET_EVENT.itemsize)
    if depth is None:
        return rows
    levels = np.ascontiguousarray(depth).view(np.uint8).reshape(len(events), DEEP_EVENT["levels"].itemsize)
    return np.concatenate([rows, levels], axis=1)
