"""Recordings with every field in use, made from a seed."""

from pathlib import Path

import numpy as np

from data_contracts.instrument import Instrument
from data_contracts.market_event import DEPTH_LEVELS, MARKET_EVENT
from data_contracts.recording import Recording

DAY_NS = 86_400_000_000_000
START_NS = 1_700_000_000_123_456_789


def recording(
    count: int = 500,
    *,
    symbol: str = "TEST:ab c,d=e",
    seed: int = 1,
    start_ns: int = START_NS,
    step_ns: int = 1_000,
    depth: bool = False,
) -> Recording:
    """Return events whose times repeat now and then, as real ones do, and whose numbers are as large as they get."""
    random = np.random.default_rng(seed)
    events = np.zeros(count, MARKET_EVENT)
    events["event_ns"] = start_ns + np.cumsum(random.integers(0, 3, count) * step_ns) * (np.arange(count) > 0)
    events["receive_ns"] = events["event_ns"] + random.integers(-5, 500, count)
    events["sequence"] = np.arange(count) + 2**40
    events["bid_ticks"] = 2**53 + 1 + random.integers(-5, 5, count)  # a float would lose it
    events["ask_ticks"] = events["bid_ticks"] + random.integers(0, 3, count)
    for name in ("bid_lots", "ask_lots"):
        events[name] = random.integers(-1, 100, count)
    events["trade_ticks"] = np.where(random.random(count) < 0.3, events["ask_ticks"], 0)
    events["trade_lots"] = np.where(events["trade_ticks"] > 0, random.integers(-9, 9, count), 0)
    events["flags"] = random.integers(0, 256, count)
    levels = random.integers(0, 2**60, (count, 4, DEPTH_LEVELS)) if depth else None
    instrument = Instrument(symbol=symbol, tick_size="0.01", lot_size="100", currency="USD", fee_bps=0.23)
    return Recording(instrument, events, Path("made.csv"), {"out_of_order": 3}, {"A": 7}, 2, levels)
