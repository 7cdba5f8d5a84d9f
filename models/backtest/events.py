"""A recording with levels as the rows that hftbacktest replays."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import UsageError
from data_contracts.recording import Recording

EVENT: Final = np.dtype(
    [
        ("ev", "u8"),
        ("exch_ts", "i8"),
        ("local_ts", "i8"),
        ("px", "f8"),
        ("qty", "f8"),
        ("order_id", "u8"),
        ("ival", "i8"),
        ("fval", "f8"),
    ],
    align=True,
)
"""hftbacktest's event_dtype."""

DEPTH, TRADE = 1, 2
_BUY, _SELL, _BOTH_SIDES_SEE = 1 << 29, 1 << 28, (1 << 31) | (1 << 30)


def local_times(recording: Recording, *, feed_latency_ns: int) -> NDArray[np.int64]:
    """Return when each event reached us on the exchange's clock, int64 (n,), never falling.

    The two clocks may differ by more than the latency, so that only its changes are known: the quickest event is taken
    to have been under way for `feed_latency_ns`.
    """
    events = recording.events
    under_way = events["receive_ns"] - events["event_ns"]
    return np.maximum.accumulate(events["event_ns"] + (under_way - under_way.min()) + feed_latency_ns)


def replayed(recording: Recording, *, feed_latency_ns: int) -> NDArray[Any]:
    """Return trades and changes of the ten best levels as EVENT, in the order they happened.

    A level that falls out of the ten is deleted: what is not seen is not there to be traded against.

    Raises:
        UsageError: the recording has no levels.
    """
    if recording.depth is None:
        raise UsageError(f"{recording.source}: expected levels of the book to backtest against, got the touch alone")
    tick, lot = float(recording.instrument.tick_size), float(recording.instrument.lot_size)
    events, local = recording.events, local_times(recording, feed_latency_ns=feed_latency_ns)
    parts = [_trades(events)]
    for side, (ticks, lots) in ((_BUY, (0, 1)), (_SELL, (2, 3))):
        parts.append(_changes(recording.depth[:, ticks], recording.depth[:, lots], side))
    row, order, kind, ticks_, lots_ = (np.concatenate(column) for column in zip(*parts, strict=True))
    sorted_ = np.lexsort((order, row))
    row = row[sorted_]
    made = np.zeros(len(row), dtype=EVENT)
    made["ev"] = kind[sorted_] | _BOTH_SIDES_SEE
    # An exchange's clock that steps back by a little would be refused.
    made["exch_ts"] = np.maximum.accumulate(events["event_ns"])[row]
    made["local_ts"] = local[row]
    made["px"] = np.round(ticks_[sorted_] * tick, 10)
    made["qty"] = np.round(lots_[sorted_] * lot, 10)
    return made


_Columns = tuple[NDArray[np.int64], ...]


def _trades(events: NDArray[Any]) -> _Columns:
    row = np.flatnonzero(events["trade_lots"] != 0)
    lots = events["trade_lots"][row]
    kind = TRADE | np.where(lots > 0, _BUY, _SELL)
    return row, np.zeros(len(row), dtype=np.int64), kind, events["trade_ticks"][row], np.abs(lots)


def _changes(ticks: NDArray[np.int64], lots: NDArray[np.int64], side: int) -> _Columns:
    """Return row, place in the row, kind, ticks and lots of every change between successive views of one side."""
    before_ticks = np.vstack([np.zeros((1, ticks.shape[1]), np.int64), ticks[:-1]])
    before_lots = np.vstack([np.zeros((1, lots.shape[1]), np.int64), lots[:-1]])
    moved = np.flatnonzero(((ticks != before_ticks) | (lots != before_lots)).any(axis=1))
    now, was = ticks[moved], before_ticks[moved]
    now_lots, was_lots = lots[moved], before_lots[moved]
    same = now[:, :, None] == was[:, None, :]  # level by level, ten by ten
    kept = (same & (was_lots[:, None, :] == now_lots[:, :, None])).any(axis=2)
    fresh_row, fresh_place = np.nonzero((now_lots > 0) & ~kept)
    gone_row, gone_place = np.nonzero((was_lots > 0) & ~same.any(axis=1))
    row = np.concatenate([moved[gone_row], moved[fresh_row]])
    place = np.concatenate([np.full(len(gone_row), 1), np.full(len(fresh_row), 2)])
    at = np.concatenate([was[gone_row, gone_place], now[fresh_row, fresh_place]])
    size = np.concatenate([np.zeros(len(gone_row), np.int64), now_lots[fresh_row, fresh_place]])
    return row, place, np.full(len(row), DEPTH | side), at, size
