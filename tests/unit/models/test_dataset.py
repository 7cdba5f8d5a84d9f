from pathlib import Path

import numpy as np
import pytest

from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, EventFlag
from data_contracts.recording import Recording
from market_data.feature_sets import feature_set
from models.dataset import build_dataset, spaced
from models.labels import LabelConfig, classify, half_spread_bps

SECOND = 1_000_000_000
INSTRUMENT = Instrument(symbol="TEST:ABC", tick_size="0.01", lot_size="1", currency="USD")


def walk(rows: int = 1500, seed: int = 0) -> Recording:
    generator = np.random.default_rng(seed)
    events = np.zeros(rows, dtype=MARKET_EVENT)
    events["event_ns"] = 1_600_000_000 * SECOND + np.cumsum(generator.integers(1, SECOND, rows))
    events["bid_ticks"] = 10_000 + np.cumsum(generator.integers(-1, 2, rows))
    events["ask_ticks"] = events["bid_ticks"] + generator.integers(1, 3, rows)
    events["bid_lots"], events["ask_lots"] = generator.integers(1, 50, (2, rows))
    return Recording(INSTRUMENT, events, Path("walk"), {})


def dataset(recording, **changes):
    asked = {"horizon_ns": 2 * SECOND, "entry_latency_ns": 1_000_000} | changes
    return build_dataset([recording], feature_set("touch_v1"), **asked)


def test_classes_need_more_than_the_threshold():
    assert classify(np.array([-0.6, -0.5, 0.0, 0.5, 0.6]), 0.5).tolist() == [0, 1, 1, 1, 2]


def test_half_spread_worked_by_hand():
    recording = walk(3)
    recording.events["bid_ticks"], recording.events["ask_ticks"] = 9_999, 10_001
    assert half_spread_bps([recording]) == pytest.approx(1.0)  # 1 tick of 10,000 is 1 bps


def test_future_beyond_the_horizon_changes_no_row():
    recording = walk()
    whole, _ = dataset(recording, label=LabelConfig(threshold_bps=0.5))
    cut = 1000
    last_seen = int(recording.events["event_ns"][cut])
    other = walk()
    other.events["bid_ticks"][cut + 1 :] += 500
    other.events["ask_ticks"][cut + 1 :] += 500
    changed, _ = dataset(other, label=LabelConfig(threshold_bps=0.5))
    settled = whole.event_ns + 2 * SECOND < last_seen
    assert settled.sum() > 500
    for column in ("features", "classes", "buy_pnl_bps", "sell_pnl_bps", "mid_move_bps"):
        np.testing.assert_array_equal(getattr(whole, column)[settled], getattr(changed, column)[settled])


def test_rows_without_a_mark_or_a_usable_touch_are_left_out_and_counted():
    recording = walk()
    recording.events["flags"][700:720] |= np.uint16(EventFlag.HALTED)
    rows, report = dataset(recording)
    halted = recording.events["event_ns"][700:720]
    assert not np.isin(rows.event_ns, halted).any()
    assert report.dropped > 0
    assert report.rows == len(rows)
    assert report.share_down + report.share_flat + report.share_up == pytest.approx(1.0)
    assert np.isfinite(rows.features).all()


def test_both_sides_together_lose_the_spread():
    rows, _ = dataset(walk())
    assert (rows.buy_pnl_bps + rows.sell_pnl_bps < 0).all()


def test_decisions_keep_their_interval():
    rows, _ = dataset(walk(), min_interval_ns=3 * SECOND)
    assert np.diff(rows.event_ns).min() >= 3 * SECOND
    assert spaced(np.array([0, 1, 2, 5, 6]), 3).tolist() == [0, 3]
    assert spaced(np.array([0, 0, 0]), 0).tolist() == [0, 1, 2]
