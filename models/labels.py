"""Classes to learn: what is called down, flat and up, and when that is known."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from data_contracts.market_event import UNUSABLE
from data_contracts.recording import Recording

DOWN, FLAT, UP = 0, 1, 2
"""Columns of every score matrix, in this order."""

LabelKind = Literal["mid_move", "smoothed_mid", "spread_aware", "triple_barrier", "markout"]


class LabelConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a decision's class is made.

    Kinds, for a decision at t whose horizon ends at e:
    mid_move: mid at e against mid at t, beyond the threshold.
    smoothed_mid: mean mid of the usable events in (t, e] against mid at t, beyond the threshold (Ntakaris et al. 2018).
        Not against the mean of the past, as some have it: that is half known at t and flatters every model.
    spread_aware: mid at e against mid at t, beyond so many `spreads` as they stand at t.
    triple_barrier: the first of two barriers, `spreads` away from mid at t, that a mid in (t, e] reaches; flat where
        none does (López de Prado 2018, ch. 3).
    markout: the side whose mark-out, net of spread and fees, exceeds the threshold; flat where neither does.
    """

    kind: LabelKind = "mid_move"
    horizon_events: Annotated[int, Meta(ge=1)] | None = None
    """The horizon ends with so many further events; None: after the request's horizon of event time."""
    threshold_bps: Annotated[float, Meta(ge=0)] | None = None
    """None: half the median spread of the recordings; for markout 0."""
    spreads: Annotated[float, Meta(gt=0)] = 1.0


class LabelReport(Struct, frozen=True, kw_only=True):
    """What the labels look like before anything is learnt."""

    rows: int
    dropped: int
    """Decisions without a usable mark one horizon on."""
    threshold_bps: float
    """In the median, where it follows the spread."""
    share_down: float
    share_flat: float
    share_up: float
    share_paying: float
    """Rows where buying or selling would have earned more than the spread and the fees cost."""
    share_labels_paying: float
    """Of the rows labelled down or up, those where that side's mark-out covers the spread and the fees."""
    kind: LabelKind = "mid_move"
    horizon_events: int | None = None
    median_horizon_ns: int = 0
    """From decision to the end of the horizon, event time."""

    def sentence(self) -> str:
        """Return the report in words."""
        reach = f"{self.median_horizon_ns / 1e9:.3g} s"
        if self.horizon_events is not None:
            reach = f"{self.horizon_events} events (in the median {reach})"
        return (
            f"labels ({self.kind}, {reach} on, {self.threshold_bps:.3g} bps): {self.rows:,} rows, {self.dropped:,} "
            f"dropped, {self.share_down:.1%} down, {self.share_flat:.1%} flat, {self.share_up:.1%} up; "
            f"{self.share_labels_paying:.1%} of the moves labelled pay the spread and fees, "
            f"in {self.share_paying:.1%} of all rows one side does"
        )


def classify(mid_move_bps: NDArray[np.float64], threshold_bps: float | NDArray[np.float64]) -> NDArray[np.int8]:
    """Return 0 down, 1 flat, 2 up, shape (n,): a move has to exceed the threshold, equal is flat."""
    return (FLAT + (mid_move_bps > threshold_bps) - (mid_move_bps < -threshold_bps)).astype(np.int8)


def classify_markouts(
    buy_pnl_bps: NDArray[np.float64], sell_pnl_bps: NDArray[np.float64], threshold_bps: float
) -> NDArray[np.int8]:
    """Return 2 where buying earns more than the threshold, 0 where selling does, else 1; the better if both do."""
    best = np.maximum(buy_pnl_bps, sell_pnl_bps)
    side = np.where(buy_pnl_bps >= sell_pnl_bps, UP, DOWN)
    return np.where(best > threshold_bps, side, FLAT).astype(np.int8)


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
    config: LabelConfig,
    threshold_bps: float,
    offered: int,
    reach_ns: NDArray[np.int64],
) -> LabelReport:
    """Return the class balance and the share of rows that pay, of `offered` decisions.

    Args:
        classes: (n,), as are the mark-outs.
        buy_pnl_bps: net of spread and fees.
        sell_pnl_bps: net of spread and fees.
        config: that made the classes.
        threshold_bps: that was used.
        offered: decisions before those without a mark were dropped.
        reach_ns: from decision to the end of its horizon, (n,).
    """
    rows = max(len(classes), 1)
    counts = np.bincount(classes, minlength=3)
    paying = int(np.count_nonzero(np.maximum(buy_pnl_bps, sell_pnl_bps) > 0))
    named = np.where(classes == UP, buy_pnl_bps, sell_pnl_bps)[classes != FLAT]
    return LabelReport(
        rows=len(classes),
        dropped=offered - len(classes),
        threshold_bps=threshold_bps,
        share_down=float(counts[DOWN] / rows),
        share_flat=float(counts[FLAT] / rows),
        share_up=float(counts[UP] / rows),
        share_paying=paying / rows,
        share_labels_paying=float(np.mean(named > 0)) if named.size else 0.0,
        kind=config.kind,
        horizon_events=config.horizon_events,
        median_horizon_ns=int(np.median(reach_ns)) if len(reach_ns) else 0,
    )
