"""What every decision of a recording came to: its mark-out and its class, and when both were known.

Vectorised over a whole recording, for any end of the horizon; where the horizon is a time, the mark-outs are those of
market_data.markouts, which the live engine resolves.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.journal import MarkoutStatus
from data_contracts.market_event import UNUSABLE
from data_contracts.recording import Recording
from models.labels import DOWN, FLAT, UP, LabelConfig, classify, classify_markouts

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


class Marks(NamedTuple):
    """Of n decisions, one at each chosen event; all but `status` and `end_ns` mean something only where status is OK.

    buy = 1e4 (mid at end - ask at entry) / mid at entry - fee; sell = 1e4 (bid at entry - mid at end) / mid at entry -
    fee; mid_move = 1e4 (mid at end - mid now) / mid now; exit_half_spread = 1e4 half the spread at end / mid at entry,
    what leaving at the touch costs beyond the mark.
    """

    end_ns: Times
    status: NDArray[np.uint8]
    buy_pnl_bps: Floats
    sell_pnl_bps: Floats
    mid_move_bps: Floats
    exit_half_spread_bps: Floats


def horizon_ends(recording: Recording, rows: NDArray[np.intp], config: LabelConfig, horizon_ns: int) -> Times:
    """Return when the horizon of a decision at each of `rows` ends, int64 (n,); -1 where the recording ends before.

    A horizon in events does not reach across a silence longer than the instrument's staleness limit.
    """
    times = recording.events["event_ns"]
    if config.horizon_events is None:
        return times[rows] + horizon_ns
    last = rows + config.horizon_events
    inside = last < len(times)
    last = np.minimum(last, len(times) - 1)
    silent = np.concatenate([[0], np.cumsum(np.diff(times) > recording.instrument.stale_after_ns)])
    return np.where(inside & (silent[last] == silent[rows]), times[last], -1)


def marks(recording: Recording, rows: NDArray[np.intp], end_ns: Times, *, entry_latency_ns: int) -> Marks:
    """Return what buying and selling at each of `rows` (n,) came to, marked at `end_ns` (n,) or at entry if later.

    A touch stands until the next event. What may still come at the recording's last instant is not known, so that a
    mark at or after it is NEVER.
    """
    events, times = recording.events, recording.events["event_ns"]
    entry_at = times[rows] + entry_latency_ns
    mark_at = np.maximum(entry_at, end_ns)
    never = (end_ns < 0) | (mark_at >= times[-1])
    entry = np.searchsorted(times, entry_at, side="right") - 1
    mark = np.searchsorted(times, mark_at, side="right") - 1
    bid, ask = events["bid_ticks"].astype(np.float64), events["ask_ticks"].astype(np.float64)
    usable = ((events["flags"] & UNUSABLE) == 0) & (bid > 0) & (ask > 0)
    mid = 0.5 * (bid + ask)
    stale = mark_at - times[mark] > recording.instrument.stale_after_ns
    status = np.select(
        [never, ~usable[entry], stale, ~usable[mark]],
        [MarkoutStatus.NEVER, MarkoutStatus.ENTRY_UNUSABLE, MarkoutStatus.STALE, MarkoutStatus.MARK_UNUSABLE],
        MarkoutStatus.OK,
    ).astype(np.uint8)
    fee = recording.instrument.fee_bps
    with np.errstate(divide="ignore", invalid="ignore"):  # rows whose status is not OK may have no price
        buy = 1e4 * (mid[mark] - ask[entry]) / mid[entry] - fee
        sell = 1e4 * (bid[entry] - mid[mark]) / mid[entry] - fee
        move = 1e4 * (mid[mark] - mid[rows]) / mid[rows]
        leaving = 1e4 * 0.5 * (ask[mark] - bid[mark]) / mid[entry]
    return Marks(mark_at, status, buy, sell, move, leaving)


def classes_of(
    recording: Recording, rows: NDArray[np.intp], made: Marks, config: LabelConfig, threshold_bps: float
) -> NDArray[np.int8]:
    """Return the class of each of `rows` (n,), whose marks are all OK; nothing after their `end_ns` is looked at."""
    if config.kind == "markout":
        return classify_markouts(made.buy_pnl_bps, made.sell_pnl_bps, threshold_bps)
    if config.kind == "mid_move":
        return classify(made.mid_move_bps, threshold_bps)
    if config.kind == "smoothed_mid":
        return classify(_mean_moves(recording, rows, made.end_ns), threshold_bps)
    spreads = config.spreads * spreads_bps(recording, rows)
    if config.kind == "spread_aware":
        return classify(made.mid_move_bps, spreads)
    return _first_barrier(recording, rows, made.end_ns, spreads)


def spreads_bps(recording: Recording, rows: NDArray[np.intp]) -> Floats:
    """Return the spread at each of `rows` in bps of mid, shape (n,)."""
    events = recording.events[rows]
    bid, ask = events["bid_ticks"].astype(np.float64), events["ask_ticks"].astype(np.float64)
    return 2e4 * (ask - bid) / (ask + bid)


def _mean_moves(recording: Recording, rows: NDArray[np.intp], end_ns: Times) -> Floats:
    mids, usable = _mids(recording)
    last = np.searchsorted(recording.events["event_ns"], end_ns, side="right") - 1
    # Summed as distances from the first mid, so that the running sum keeps its last digits.
    base = mids[usable][0] if usable.any() else 0.0
    running = np.cumsum(np.where(usable, mids - base, 0.0))
    count = np.cumsum(usable)
    seen: NDArray[np.int64] = count[last] - count[rows]
    total = running[last] - running[rows]
    mean = np.divide(total, seen, out=mids[rows] - base, where=seen > 0) + base
    moves: Floats = 1e4 * (mean - mids[rows]) / mids[rows]
    return moves


def _first_barrier(
    recording: Recording, rows: NDArray[np.intp], end_ns: Times, distance_bps: Floats
) -> NDArray[np.int8]:
    mids, usable = _mids(recording)
    last = np.searchsorted(recording.events["event_ns"], end_ns, side="right") - 1
    classes = np.full(len(rows), FLAT, dtype=np.int8)
    open_rows, step = np.flatnonzero(last > rows), 0
    while open_rows.size:
        step += 1
        at, start = rows[open_rows] + step, mids[rows[open_rows]]
        move = 1e4 * (mids[at] - start) / start
        reached = usable[at] & (move != 0) & (np.abs(move) >= distance_bps[open_rows])
        classes[open_rows[reached]] = np.where(move[reached] > 0, UP, DOWN)
        open_rows = open_rows[~reached & (at < last[open_rows])]
    return classes


def _mids(recording: Recording) -> tuple[Floats, NDArray[np.bool_]]:
    events = recording.events
    bid, ask = events["bid_ticks"].astype(np.float64), events["ask_ticks"].astype(np.float64)
    return 0.5 * (bid + ask), ((events["flags"] & UNUSABLE) == 0) & (bid > 0) & (ask > 0)
