"""The feature sets written out plainly: each value follows from the events before it by a sum over all of them.

Where native code carries decayed sums from event to event, this recomputes every sum from the session's start.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.feature_set import FeatureSet
from data_contracts.market_event import UNUSABLE, BookDepths, MarketEvents
from market_data.feature_sets import needs_depth, needs_leader, needs_sizes
from market_data.reference.depth_features import depth_columns
from market_data.reference.lead_lag_features import followed_bps, lead_lag_columns, leader_states
from market_data.reference.sessions import Rows, runs

Floats = NDArray[np.float64]


def reference_features(
    events: MarketEvents,
    feature_set: FeatureSet,
    *,
    depth: BookDepths | None = None,
    leader: MarketEvents | None = None,
    time_zone: str = "UTC",
    rows: Rows | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the matrix, shape (n, d), and whether each row may be acted on, shape (n,).

    Quadratic in n: for a few thousand events, or for some rows of more where no leader is read.

    Args:
        events: n, oldest first.
        feature_set: d features.
        depth: their levels, where the set reads them.
        leader: the leader's events, in order of time, where the set reads one.
        time_zone: where the instrument trades.
        rows: the events whose vectors are wanted, rising, each from all events before it; None: all of them.
    """
    wanted = np.arange(len(events)) if rows is None else rows
    if needs_depth(feature_set) or needs_leader(feature_set):
        return _by_session(events, feature_set, depth, leader, time_zone, wanted)
    matrix = np.zeros((len(wanted), len(feature_set.features)), dtype=np.float32)
    ready = np.zeros(len(wanted), dtype=bool)
    session, done = Session(feature_set), 0
    for place, row in enumerate(wanted):
        for event in events[done : row + 1]:
            if session.takes(event):
                session.take(event)
        done = row + 1
        if session.begun:
            matrix[place] = [getattr(session, name)() for name in feature_set.features]
        touch_usable = not int(events["flags"][row]) & int(UNUSABLE)
        ready[place] = session.warm and touch_usable and bool(np.isfinite(matrix[place]).all())
    return matrix, ready


def _by_session(
    events: MarketEvents,
    feature_set: FeatureSet,
    depth: BookDepths | None,
    leader: MarketEvents | None,
    time_zone: str,
    wanted: Rows,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    gap_s, least = feature_set.parameters["session_gap_s"], feature_set.warm_up_events
    matrix = np.zeros((len(events), len(feature_set.features)), dtype=np.float32)
    warm, taken = np.zeros(len(events), dtype=bool), np.full(len(events), -1)
    own = runs(events, depth, sizes=needs_sizes(feature_set), session_gap_s=gap_s)
    for run in own:
        taken[run.rows] = run.rows
    last = np.maximum.accumulate(taken)  # what is not taken repeats the last vector, zeros before the first
    own = [replace(run, asked=np.isin(run.rows, last[wanted])) for run in own]
    states = leader_states(events[:0] if leader is None else leader, gap_s)
    followed = followed_bps(states, own)
    for run in own:
        led: NDArray[np.bool_] = np.ones(len(run.rows), dtype=bool)
        if needs_leader(feature_set):
            columns, led = lead_lag_columns(run, states, followed, least)
        else:
            columns = depth_columns(run, feature_set, time_zone)
        matrix[run.rows] = np.stack([columns[name] for name in feature_set.features], axis=1)
        warm[run.rows] = (np.arange(1, len(run.rows) + 1) >= least) & led
    source = last[wanted]
    matrix, warm = np.where(source[:, None] >= 0, matrix[source], np.float32(0)), (source >= 0) & warm[source]
    return matrix, warm & ((events["flags"][wanted] & UNUSABLE) == 0) & np.isfinite(matrix).all(axis=1)


class Session:
    """The usable events since the last long silence, and every feature of the newest; named as the features are."""

    def __init__(self, feature_set: FeatureSet) -> None:
        self._set = feature_set
        self._needs_sizes = needs_sizes(feature_set)
        self._clear()

    def _clear(self) -> None:
        self._rows: list[tuple[float, ...]] = []  # bid, ask, bid lots, ask lots, signed traded lots
        self._times_s: list[float] = []
        self._clock_ns: int | None = None
        self._last_trade = 0.0
        self._gap_s = 0.0
        self._held: tuple[Floats, ...] = ()

    @property
    def begun(self) -> bool:
        """Whether any event was taken."""
        return bool(self._rows)

    @property
    def warm(self) -> bool:
        """Whether enough events were seen."""
        return len(self._rows) >= self._set.warm_up_events

    def takes(self, event: Any) -> bool:  # noqa: ANN401  a numpy record
        """Whether the event's touch can be used."""
        if int(event["flags"]) & int(UNUSABLE):
            return False
        return not self._needs_sizes or (event["bid_lots"] >= 0 and event["ask_lots"] >= 0)

    def take(self, event: Any) -> None:  # noqa: ANN401
        """Add the event; a long silence forgets those before it."""
        now_ns = int(event["event_ns"])
        gap_s = 0.0 if self._clock_ns is None else max(0, now_ns - self._clock_ns) * 1e-9
        if gap_s > self._set.parameters["session_gap_s"]:
            self._clear()
            gap_s = 0.0
        self._clock_ns = now_ns if self._clock_ns is None else max(self._clock_ns, now_ns)
        self._gap_s = gap_s
        self._times_s.append((self._times_s[-1] if self._times_s else 0.0) + gap_s)
        names = ("bid_ticks", "ask_ticks", "bid_lots", "ask_lots", "trade_lots")
        self._rows.append(tuple(float(event[name]) for name in names))
        if event["trade_ticks"] != 0:
            self._last_trade = float(event["trade_ticks"])
        self._held = ()

    def _columns(self) -> tuple[Floats, ...]:
        """Return bid, ask, bid lots, ask lots, signed traded lots and age in seconds of all events."""
        if not self._held:
            times_s = np.array(self._times_s)
            self._held = (*np.array(self._rows).T, times_s[-1] - times_s)
        return self._held

    def _weights(self, half_life_s: float) -> Floats:
        *_, age_s = self._columns()
        return np.asarray(np.exp2(-age_s / half_life_s))

    def _decayed(self, values: Floats, half_life_s: float) -> float:
        return float(np.sum(self._weights(half_life_s) * values))

    def _mids(self) -> Floats:
        bid, ask, *_ = self._columns()
        return 0.5 * (bid + ask)

    def _moves(self) -> Floats:
        mids = self._mids()
        return np.diff(mids, prepend=mids[:1])

    def _mean_mid(self, half_life_s: float) -> float:
        """Mean of the mid over all past time, weighted by 2^(-age / half-life); before the start stood the first."""
        mids, weights = self._mids(), self._weights(half_life_s)
        # The mid set at event i stands until event i + 1 and so has the weight that falls between their ages.
        stood = np.diff(weights)
        return float(np.sum(stood * mids[:-1]) + weights[0] * mids[0])

    def _order_flow(self, half_life_s: float) -> float:
        bid, ask, bid_lots, ask_lots, *_ = self._columns()
        flow = _side_flow(bid, bid_lots) - _side_flow(-ask, ask_lots)
        weights = self._weights(half_life_s)
        depth = float(np.sum(weights * 0.5 * (bid_lots + ask_lots)) / np.sum(weights))
        return float(np.sum(weights * flow)) / depth if depth > 0 else 0.0

    def _trade_imbalance(self, half_life_s: float) -> float:
        *_, traded, _ = self._columns()
        return self._decayed(traded, half_life_s) / (self._decayed(np.abs(traded), half_life_s) + 1.0)

    def _volatility(self, half_life_s: float) -> float:
        return math.sqrt(self._decayed(self._moves() ** 2, half_life_s))

    def _move_back(self, events: int) -> float:
        moves = self._moves()
        return float(moves[-events]) if len(moves) >= events else 0.0

    def spread_ticks(self) -> float:
        """Ask less bid."""
        bid, ask, *_ = self._columns()
        return float(ask[-1] - bid[-1])

    def queue_imbalance(self) -> float:
        """(bid lots - ask lots) / their sum; 0 where both are 0."""
        _, _, bid_lots, ask_lots, _ = self._rows[-1]
        return (bid_lots - ask_lots) / (bid_lots + ask_lots) if bid_lots + ask_lots > 0 else 0.0

    def weighted_mid_offset_ticks(self) -> float:
        """(bid x ask lots + ask x bid lots) / lots, less the mid."""
        bid, ask, bid_lots, ask_lots, _ = self._rows[-1]
        if bid_lots + ask_lots <= 0:
            return 0.0
        return (bid * ask_lots + ask * bid_lots) / (bid_lots + ask_lots) - 0.5 * (bid + ask)

    def order_flow_1s(self) -> float:  # noqa: D102  named by the feature set, as all that follow
        return self._order_flow(1.0)

    def order_flow_5s(self) -> float:  # noqa: D102
        return self._order_flow(5.0)

    def order_flow_30s(self) -> float:  # noqa: D102
        return self._order_flow(30.0)

    def trade_imbalance_1s(self) -> float:  # noqa: D102
        return self._trade_imbalance(1.0)

    def trade_imbalance_5s(self) -> float:  # noqa: D102
        return self._trade_imbalance(5.0)

    def trade_imbalance_30s(self) -> float:  # noqa: D102
        return self._trade_imbalance(30.0)

    def mid_minus_mean_1s(self) -> float:  # noqa: D102
        return float(self._mids()[-1]) - self._mean_mid(1.0)

    def mid_minus_mean_5s(self) -> float:  # noqa: D102
        return float(self._mids()[-1]) - self._mean_mid(5.0)

    def mid_minus_mean_30s(self) -> float:  # noqa: D102
        return float(self._mids()[-1]) - self._mean_mid(30.0)

    def mid_minus_mean_120s(self) -> float:  # noqa: D102
        return float(self._mids()[-1]) - self._mean_mid(120.0)

    def volatility_5s_ticks(self) -> float:  # noqa: D102
        return self._volatility(5.0)

    def volatility_30s_ticks(self) -> float:  # noqa: D102
        return self._volatility(30.0)

    def volatility_120s_ticks(self) -> float:  # noqa: D102
        return self._volatility(120.0)

    def last_trade_offset_ticks(self) -> float:
        """Last trade less the mid; 0 before the first trade."""
        return self._last_trade - float(self._mids()[-1]) if self._last_trade else 0.0

    def log_gap_ms(self) -> float:  # noqa: D102
        return math.log1p(self._gap_s * 1e3)

    def log_intensity(self) -> float:  # noqa: D102
        return math.log1p(float(np.sum(self._weights(5.0))) * math.log(2) / 5.0)

    def spread_ratio_30s(self) -> float:
        """Spread over its decayed mean; 1 where that mean is not positive."""
        bid, ask, *_ = self._columns()
        weights = self._weights(30.0)
        mean = float(np.sum(weights * (ask - bid)) / np.sum(weights))
        return float(ask[-1] - bid[-1]) / mean if mean > 0 else 1.0

    def mid_move_1_ticks(self) -> float:  # noqa: D102
        return self._move_back(1)

    def mid_move_2_ticks(self) -> float:  # noqa: D102
        return self._move_back(2)

    def mid_move_3_ticks(self) -> float:  # noqa: D102
        return self._move_back(3)

    def direction_autocorrelation_30s(self) -> float:
        """Decayed sum of products of successive moves over the decayed sum of squares; 0 where nothing moved."""
        moves = self._moves()
        products = moves * np.concatenate([[0.0], moves[:-1]])
        squares = self._decayed(moves**2, 30.0)
        return self._decayed(products, 30.0) / squares if squares > 0 else 0.0

    def bid_only_move_ticks(self) -> float:
        """The bid's last move where the ask stood still."""
        bid_move, ask_move = self._last_moves()
        return bid_move if ask_move == 0 else 0.0

    def ask_only_move_ticks(self) -> float:
        """The ask's last move where the bid stood still."""
        bid_move, ask_move = self._last_moves()
        return ask_move if bid_move == 0 else 0.0

    def _last_moves(self) -> tuple[float, float]:
        if len(self._rows) < 2:
            return 0.0, 0.0
        (bid_before, ask_before, *_), (bid, ask, *_) = self._rows[-2:]
        return bid - bid_before, ask - ask_before


def _side_flow(prices: Floats, lots: Floats) -> Floats:
    """Cont, Kukanov & Stoikov (2014): buying pressure that each change of one side adds; asks come negated."""
    step = np.diff(prices)
    flow = lots[1:] * (step >= 0) - lots[:-1] * (step <= 0)
    return np.concatenate([[0.0], flow])
