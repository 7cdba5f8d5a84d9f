"""Mark-outs written out plainly: look the two touches up, and do the arithmetic."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.journal import MarkoutStatus
from data_contracts.market_event import UNUSABLE
from data_contracts.recording import Recording
from market_data.markouts import MARKOUT


def reference_markouts(recording: Recording, *, entry_latency_ns: int, horizon_ns: int) -> NDArray[Any]:
    """Return what market_data.markouts.compute_markouts promises, one decision at a time."""
    events, instrument = recording.events, recording.instrument
    outcomes = np.zeros(len(events), dtype=MARKOUT)
    times = events["event_ns"]
    for row, now_ns in enumerate(times):
        entry_at = now_ns + entry_latency_ns
        mark_at = max(entry_at, now_ns + horizon_ns)
        if mark_at >= times[-1]:  # what else may come at that very instant is not known yet
            outcomes[row]["status"] = MarkoutStatus.NEVER
            continue
        entry = events[np.searchsorted(times, entry_at, side="right") - 1]
        mark = events[np.searchsorted(times, mark_at, side="right") - 1]
        if not _usable(entry):
            outcomes[row]["status"] = MarkoutStatus.ENTRY_UNUSABLE
        elif mark_at - mark["event_ns"] > instrument.stale_after_ns:
            outcomes[row]["status"] = MarkoutStatus.STALE
        elif not _usable(mark):
            outcomes[row]["status"] = MarkoutStatus.MARK_UNUSABLE
        else:
            outcomes[row] = _paid(events[row], entry, mark, fee_bps=instrument.fee_bps)
    return outcomes


def _paid(decision: Any, entry: Any, mark: Any, *, fee_bps: float) -> tuple[float, float, float, int]:  # noqa: ANN401
    mid_entry, mid_mark = _mid(entry), _mid(mark)
    buy = 1e4 * (mid_mark - entry["ask_ticks"]) / mid_entry - fee_bps
    sell = 1e4 * (entry["bid_ticks"] - mid_mark) / mid_entry - fee_bps
    move = 1e4 * (mid_mark - _mid(decision)) / _mid(decision) if _usable(decision) else 0.0
    return buy, sell, move, int(MarkoutStatus.OK)


def _usable(event: Any) -> bool:  # noqa: ANN401
    return not int(event["flags"]) & int(UNUSABLE) and event["bid_ticks"] > 0 and event["ask_ticks"] > 0


def _mid(event: Any) -> float:  # noqa: ANN401
    return 0.5 * (float(event["bid_ticks"]) + float(event["ask_ticks"]))
