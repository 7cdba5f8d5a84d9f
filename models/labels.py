"""Classes to learn: where mid stands one horizon of event time after the decision."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from data_contracts.market_event import UNUSABLE
from data_contracts.recording import Recording

DOWN, FLAT, UP = 0, 1, 2
"""Columns of every score matrix, in this order."""


class LabelReport(Struct, frozen=True, kw_only=True):
    """What the labels look like before anything is learnt."""

    rows: int
    dropped: int
    """Decisions without a usable mark one horizon on."""
    threshold_bps: float
    share_down: float
    share_flat: float
    share_up: float
    share_paying: float
    """Rows where buying or selling would have earned more than the spread and the fees cost."""


def classify(mid_move_bps: NDArray[np.float64], threshold_bps: float) -> NDArray[np.int8]:
    """Return 0 down, 1 flat, 2 up, shape (n,): a move has to exceed the threshold, equal is flat."""
    return (FLAT + (mid_move_bps > threshold_bps) - (mid_move_bps < -threshold_bps)).astype(np.int8)


def half_spread_bps(recordings: Sequence[Recording]) -> float:
    """Return half the median spread over all usable events, in bps of mid; 0 where there is none."""
    shares = []
    for recording in recordings:
        events = recording.events[(recording.events["flags"] & UNUSABLE) == 0]
        bid, ask = events["bid_ticks"].astype(np.float64), events["ask_ticks"].astype(np.float64)
        shares.append(1e4 * (ask - bid) / (ask + bid))
    spreads = np.concatenate(shares) if shares else np.zeros(0)
    return float(np.median(spreads)) if spreads.size else 0.0


def report_labels(
    classes: NDArray[np.int8],
    buy_pnl_bps: NDArray[np.float64],
    sell_pnl_bps: NDArray[np.float64],
    *,
    threshold_bps: float,
    offered: int,
) -> LabelReport:
    """Return the class balance and the share of rows that pay, of `offered` decisions."""
    rows = max(len(classes), 1)
    counts = np.bincount(classes, minlength=3)
    paying = int(np.count_nonzero(np.maximum(buy_pnl_bps, sell_pnl_bps) > 0))
    return LabelReport(
        rows=len(classes),
        dropped=offered - len(classes),
        threshold_bps=threshold_bps,
        share_down=float(counts[DOWN] / rows),
        share_flat=float(counts[FLAT] / rows),
        share_up=float(counts[UP] / rows),
        share_paying=paying / rows,
    )
