"""Random markets for laws that hold in any: events, levels beside them, and a leader."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from hypothesis import strategies as st

from data_contracts.feature_set import FeatureSet
from data_contracts.instrument import Instrument
from data_contracts.market_event import DEPTH_LEVELS, MARKET_EVENT, BookDepths, EventFlag, MarketEvents
from data_contracts.recording import Recording
from market_data.feature_sets import FEATURE_SETS, MICROPRICE, needs_depth, needs_leader, table_size

MIRROR_SUM = 20_000
"""A mirrored price is this less the price."""

LEADER = "TEST:L"


def recording_of(
    events: MarketEvents, depth: BookDepths | None = None, *, symbol: str = "TEST:X", time_zone: str = "UTC"
) -> Recording:
    instrument = Instrument(symbol=symbol, tick_size="0.01", lot_size="1", currency="USD", time_zone=time_zone)
    return Recording(instrument=instrument, events=events, source=Path("made"), skipped={}, depth=depth)


def fitted(name: str) -> FeatureSet:
    """Return the set with a made-up microprice or leader where it takes one."""
    features = FEATURE_SETS[name]
    if needs_depth(features):
        bins = int(features.parameters["microprice_bins"])
        half = np.linspace(-0.9, -0.1, bins // 2) * np.arange(1, table_size(features) // bins + 1)[:, None]
        table = np.concatenate([half, -half[:, ::-1]], axis=1)
        return msgspec.structs.replace(features, tables={MICROPRICE: tuple(table.ravel().tolist())})
    return msgspec.structs.replace(features, leader=LEADER) if needs_leader(features) else features


@st.composite
def markets(draw: st.DrawFn, *, flagged: bool = True, most: int = 300) -> MarketEvents:
    """A few hundred random events with repeated times, a long silence, trades, and some unusable touches."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, most))
    events = np.zeros(count, dtype=MARKET_EVENT)
    steps = rng.integers(0, draw(st.sampled_from([3, 10**6, 3 * 10**9])), count)
    steps[rng.random(count) < 0.003] = 700 * 10**9
    events["event_ns"] = 1_600_000_000_000_000_000 + np.cumsum(steps)
    events["sequence"] = np.arange(count)
    events["bid_ticks"] = 10_000 + np.cumsum(rng.integers(-2, 3, count))
    events["ask_ticks"] = events["bid_ticks"] + rng.integers(0, 4, count)
    events["bid_lots"], events["ask_lots"] = rng.integers(0, 50, (2, count))
    traded = rng.random(count) < 0.3
    events["trade_ticks"][traded] = events["bid_ticks"][traded]
    events["trade_lots"][traded] = rng.integers(-9, 10, traded.sum())
    if flagged:
        events["flags"] = np.where(rng.random(count) < 0.05, rng.choice([int(flag) for flag in EventFlag], count), 0)
    return events


def levels_of(events: MarketEvents, seed: int) -> BookDepths:
    """Return made-up levels whose first is the touch; deeper ones are missing now and then."""
    rng = np.random.default_rng(seed)
    count = len(events)
    depth = np.zeros((count, 4, DEPTH_LEVELS), dtype=np.int64)
    for position, side, away in ((0, "bid", -1), (2, "ask", 1)):
        steps = rng.integers(1, 4, (count, DEPTH_LEVELS))
        steps[:, 0] = 0
        depth[:, position] = events[f"{side}_ticks"][:, None] + away * np.cumsum(steps, axis=1)
        depth[:, position + 1] = rng.integers(1, 50, (count, DEPTH_LEVELS))
        depth[:, position + 1, 0] = events[f"{side}_lots"]
        missing = np.arange(DEPTH_LEVELS) >= rng.integers(1, 2 * DEPTH_LEVELS, count)[:, None]
        for which in (position, position + 1):
            depth[:, which][missing | (depth[:, position + 1] == 0)] = 0
    return depth


def leader_of(events: MarketEvents, seed: int) -> MarketEvents:
    """Return a leader's events around those, many at the very same times."""
    rng = np.random.default_rng(seed)
    times = np.sort(np.concatenate([events["event_ns"], events["event_ns"] + rng.integers(0, 10**9, len(events))]))
    kept = times[rng.random(len(times)) < 0.7]
    leader = np.zeros(len(kept), dtype=MARKET_EVENT)
    leader["event_ns"] = kept
    leader["bid_ticks"] = 5_000 + np.cumsum(rng.integers(-2, 3, len(kept)))
    leader["ask_ticks"] = leader["bid_ticks"] + rng.integers(1, 3, len(kept))
    leader["flags"] = np.where(rng.random(len(kept)) < 0.05, int(EventFlag.CROSSED), 0)
    return leader


def inputs_of(name: str, events: MarketEvents) -> dict[str, Any]:
    """Return the levels and the leader's events that the set of that name reads beside events."""
    features = FEATURE_SETS[name]
    given: dict[str, Any] = {}
    if needs_depth(features):
        given["depth"] = levels_of(events, len(events))
    if needs_leader(features):
        given["leader"] = leader_of(events, len(events))
    return given


def mirrored(events: MarketEvents) -> MarketEvents:
    mirror = events.copy()
    mirror["bid_ticks"], mirror["ask_ticks"] = MIRROR_SUM - events["ask_ticks"], MIRROR_SUM - events["bid_ticks"]
    mirror["bid_lots"], mirror["ask_lots"] = events["ask_lots"], events["bid_lots"]
    mirror["trade_lots"] = -events["trade_lots"]
    mirror["trade_ticks"] = np.where(events["trade_ticks"] != 0, MIRROR_SUM - events["trade_ticks"], 0)
    return mirror


def mirrored_levels(depth: BookDepths) -> BookDepths:
    mirror = depth[:, [2, 3, 0, 1]].copy()
    for position in (0, 2):
        mirror[:, position] = np.where(mirror[:, position + 1] > 0, MIRROR_SUM - mirror[:, position], 0)
    return mirror
