"""What formats share: states of the touch, and which instrument is meant."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import InstrumentChoiceError
from data_contracts.market_event import BookDepths, EventFlag, MarketEvents


def touch_flags(events: MarketEvents) -> NDArray[Any]:
    """Return ONE_SIDED, CROSSED and LOCKED of each touch, shape (n,); a missing side's ticks are 0 or less."""
    bid, ask = events["bid_ticks"], events["ask_ticks"]
    one_sided = (bid <= 0) | (ask <= 0)
    flags = np.zeros(len(events), dtype=np.uint16)
    flags[one_sided] |= np.uint16(EventFlag.ONE_SIDED)
    flags[~one_sided & (bid > ask)] |= np.uint16(EventFlag.CROSSED)
    flags[~one_sided & (bid == ask)] |= np.uint16(EventFlag.LOCKED)
    return flags


def drop_backwards(events: MarketEvents) -> tuple[MarketEvents, int]:
    """Return the events without those whose time goes back, and how many those were."""
    kept, _, dropped = drop_backwards_with_depth(events, None)
    return kept, dropped


def drop_backwards_with_depth(
    events: MarketEvents, depth: BookDepths | None
) -> tuple[MarketEvents, BookDepths | None, int]:
    """Return the events without those whose time goes back, their levels, and how many were dropped."""
    backwards = events["event_ns"] < np.maximum.accumulate(events["event_ns"])
    dropped = int(backwards.sum())
    if not dropped:
        return events, depth, 0
    return events[~backwards], None if depth is None else depth[~backwards], dropped


def choose(source: Path, symbols: list[str], instrument: str | None) -> str:
    """Return the one symbol that is meant: VENUE:SYMBOL, or SYMBOL alone where that is unambiguous.

    Raises:
        InstrumentChoiceError: none or several fit; names the choices.
    """
    fitting = [each for each in symbols if instrument in (None, each, each.partition(":")[2])]
    if len(fitting) == 1:
        return fitting[0]
    raise InstrumentChoiceError(source, choices=tuple(symbols), got=instrument)
