"""depth_v1 written out plainly: every value from sums over all events of its session up to it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from data_contracts.feature_set import FeatureSet
from data_contracts.market_event import BookDepths
from market_data.feature_sets import MICROPRICE
from market_data.reference.sessions import Floats, Run

FLOW_LEVELS = 5


def depth_columns(run: Run, features: FeatureSet, time_zone: str) -> dict[str, Floats]:
    """Return every feature at each event of one session, shape (n,), by name."""
    if run.depth is None:
        raise ValueError("depth: expected levels, got none")
    return {**_shape(run, run.depth, features), **_flow(run, run.depth), **_trades(run), **_clock(run, time_zone)}


def _shape(run: Run, depth: BookDepths, features: FeatureSet) -> dict[str, Floats]:
    events = run.events
    bid, ask = events["bid_lots"].astype(float), events["ask_lots"].astype(float)
    spread = (events["ask_ticks"] - events["bid_ticks"]).astype(float)
    queue = _ratio(bid - ask, bid + ask)
    slopes = [_slope(depth[:, position], depth[:, position + 1], run.mid) for position in (0, 2)]
    found = {
        "spread_ticks": spread,
        "queue_imbalance": queue,
        "weighted_mid_offset_ticks": 0.5 * spread * queue,
        "microprice_offset_ticks": _microprice(spread, bid, ask, features),
        "log_depth_slope_bid": np.log1p(slopes[0]),
        "log_depth_slope_ask": np.log1p(slopes[1]),
        "depth_slope_imbalance": _ratio(slopes[0] - slopes[1], slopes[0] + slopes[1]),
    }
    for levels in (3, 5, 10):
        bids, asks = (depth[:, side, :levels].sum(axis=1).astype(float) for side in (1, 3))
        found[f"depth_imbalance_{levels}"] = _ratio(bids - asks, bids + asks)
    return found


def _slope(ticks: NDArray[np.int64], lots: NDArray[np.int64], mid: Floats) -> Floats:
    """Least squares through the mid of cumulative lots against distance in ticks, of the levels that there are."""
    there = np.cumprod(lots > 0, axis=1).astype(bool)
    distance = np.where(there, np.abs(ticks - mid[:, None]), 0.0)
    cumulative = np.cumsum(np.where(there, lots, 0), axis=1)
    return _ratio((distance * cumulative).sum(axis=1), (distance**2).sum(axis=1))


def _microprice(spread: Floats, bid: Floats, ask: Floats, features: FeatureSet) -> Floats:
    """The fitted table at the spread, between the middles of the imbalance's bins in proportion."""
    spreads, bins = (int(features.parameters[f"microprice_{name}"]) for name in ("spreads", "bins"))
    table = np.array(features.tables[MICROPRICE]).reshape(spreads, bins)
    middles = (np.arange(bins) + 0.5) / bins
    rows = np.clip(spread, 1, spreads).astype(int) - 1
    pairs = zip(rows, bid, ask, strict=True)
    return np.array([np.interp(b / (b + a), middles, table[row]) if b + a > 0 else 0.0 for row, b, a in pairs])


def _flow(run: Run, depth: BookDepths) -> dict[str, Floats]:
    levels = [
        _side(depth[:, 0, level], depth[:, 1, level], 1) - _side(depth[:, 2, level], depth[:, 3, level], -1)
        for level in range(FLOW_LEVELS)
    ]
    lots = 0.5 * (depth[:, 1, :FLOW_LEVELS] + depth[:, 3, :FLOW_LEVELS]).mean(axis=1)
    found = {}
    for seconds in (1, 5, 30):
        mean_lots = run.decayed(lots, seconds) / run.decayed(np.ones(len(lots)), seconds)
        found[f"order_flow_levels_{seconds}s"] = _ratio(run.decayed(np.mean(levels, axis=0), seconds), mean_lots)
        if seconds == 5:
            for number, flow in enumerate(levels, start=1):
                found[f"order_flow_L{number}_5s"] = _ratio(run.decayed(flow, seconds), mean_lots)
    return found


def _side(ticks: NDArray[np.int64], lots: NDArray[np.int64], sign: int) -> Floats:
    """Cont, Cucuringu & Zhang (2023): what each change of one level adds; one that is not there is behind any other."""
    price = np.where(lots > 0, sign * ticks, -np.inf)
    flow = lots[1:] * (price[1:] >= price[:-1]) - lots[:-1] * (price[1:] <= price[:-1])
    return np.concatenate([[0.0], flow])


def _trades(run: Run) -> dict[str, Floats]:
    signed = run.events["trade_lots"].astype(float)
    found = {}
    for seconds in (1, 5, 30):
        net = run.decayed(signed, seconds)
        found[f"trade_imbalance_{seconds}s"] = net / (run.decayed(np.abs(signed), seconds) + 1.0)
        if seconds > 1:
            found[f"log_signed_volume_{seconds}s"] = np.sign(net) * np.log1p(np.abs(net))
            found[f"log_buy_intensity_{seconds}s"] = _log_rate(run, signed > 0, seconds)
            found[f"log_sell_intensity_{seconds}s"] = _log_rate(run, signed < 0, seconds)
    found["log_intensity_5s"] = _log_rate(run, np.ones(len(signed), dtype=bool), 5)
    last = np.maximum.accumulate(np.where(run.events["trade_ticks"] != 0, run.time_s, 0.0))
    found["log_trade_gap_ms"] = np.log1p((run.time_s - last) * 1e3)
    return found


def _log_rate(run: Run, counted: NDArray[np.bool_], half_life_s: float) -> Floats:
    return np.asarray(np.log1p(run.decayed(counted.astype(float), half_life_s) * np.log(2) / half_life_s))


def _clock(run: Run, time_zone: str) -> dict[str, Floats]:
    mid = run.mid
    squares = np.diff(mid, prepend=mid[:1]) ** 2
    found = {f"mid_minus_mean_{seconds}s": mid - run.mean(mid, seconds) for seconds in (1, 5, 30)}
    found |= {f"volatility_{seconds}s_ticks": np.sqrt(run.decayed(squares, seconds)) for seconds in (5, 30, 120)}
    angle = 2 * np.pi * np.array([_day_share(int(event_ns), time_zone) for event_ns in run.events["event_ns"]])
    return found | {
        "log_gap_ms": np.log1p(run.gap_s * 1e3),
        "log_session_s": np.log1p(run.time_s),
        "day_sin": np.sin(angle),
        "day_cos": np.cos(angle),
    }


def _day_share(event_ns: int, time_zone: str) -> float:
    at = datetime.fromtimestamp(event_ns // 1_000_000_000, UTC).astimezone(ZoneInfo(time_zone))
    return (at.hour * 3600 + at.minute * 60 + at.second + event_ns % 1_000_000_000 * 1e-9) / 86_400


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return above / below, 0 where there is nothing below."""
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
