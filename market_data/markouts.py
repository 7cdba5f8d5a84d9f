"""Mark-outs of a whole recording, by the same native code that resolves live decisions."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.recording import Recording
from market_data.features import as_bytes
from native import _native

MARKOUT: Final = np.dtype([("buy_pnl_bps", "<f8"), ("sell_pnl_bps", "<f8"), ("mid_move_bps", "<f8"), ("status", "u1")])
"""status is data_contracts.journal.MarkoutStatus; the rest is 0 unless it is OK."""


def compute_markouts(recording: Recording, *, entry_latency_ns: int, horizon_ns: int) -> NDArray[Any]:
    """Return what buying and what selling at every event would have earned.

    With a = event_ns + entry_latency_ns and b = event_ns + horizon_ns, and a touch that stands until the next event:
    buy = 1e4 (mid at b - ask at a) / mid at a - fee_bps; sell = 1e4 (bid at a - mid at b) / mid at a - fee_bps;
    mid_move = 1e4 (mid at b - mid now) / mid now, without costs.

    Args:
        recording: n events, oldest first; fee and staleness limit are its instrument's.
        entry_latency_ns: from the event to the entry, 0 or more.
        horizon_ns: from the event to the mark, over 0.

    Returns:
        MARKOUT, shape (n,).

    Raises:
        UsageError: a negative latency, or a horizon that is not positive.
    """
    if entry_latency_ns < 0:
        raise UsageError(f"entry latency: expected 0 ns or more, got {entry_latency_ns}")
    if horizon_ns <= 0:
        raise UsageError(f"horizon: expected over 0 ns, got {horizon_ns}")
    values, status = _native.compute_markouts(
        as_bytes(recording.events),
        fee_bps=recording.instrument.fee_bps,
        stale_after_ns=recording.instrument.stale_after_ns,
        entry_latency_ns=entry_latency_ns,
        horizon_ns=horizon_ns,
    )
    outcomes = np.empty(len(recording), dtype=MARKOUT)
    outcomes["buy_pnl_bps"], outcomes["sell_pnl_bps"], outcomes["mid_move_bps"] = values.T
    outcomes["status"] = status
    return outcomes
