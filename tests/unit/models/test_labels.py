"""Every kind of label against a plain loop, and against the future."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.instrument import Instrument
from data_contracts.journal import MarkoutStatus
from data_contracts.market_event import MARKET_EVENT, UNUSABLE, EventFlag
from data_contracts.recording import Recording
from market_data.feature_sets import feature_set
from market_data.markouts import compute_markouts
from models.dataset import COLUMNS, build_dataset
from models.labels import LabelConfig
from models.marks import classes_of, horizon_ends, marks

SECOND = 1_000_000_000
INSTRUMENT = Instrument(
    symbol="TEST:ABC", tick_size="0.01", lot_size="1", currency="USD", fee_bps=0.3, stale_after_ns=4 * SECOND
)
CONFIGS = [
    LabelConfig(kind="mid_move", threshold_bps=1.0),
    LabelConfig(kind="smoothed_mid", threshold_bps=1.0),
    LabelConfig(kind="spread_aware", spreads=0.8),
    LabelConfig(kind="triple_barrier", spreads=0.8),
    LabelConfig(kind="markout", threshold_bps=0.2),
    LabelConfig(kind="mid_move", threshold_bps=1.0, horizon_events=3),
    LabelConfig(kind="smoothed_mid", threshold_bps=1.0, horizon_events=4),
    LabelConfig(kind="triple_barrier", spreads=0.8, horizon_events=5),
    LabelConfig(kind="markout", horizon_events=2),
]


def walk(rows: int, seed: int) -> Recording:
    generator = np.random.default_rng(seed)
    events = np.zeros(rows, dtype=MARKET_EVENT)
    gaps = generator.choice([0, 1, 2, 8], size=rows, p=[0.1, 0.5, 0.38, 0.02])
    events["event_ns"] = 1_600_000_000 * SECOND + np.cumsum(gaps) * SECOND // 2
    events["bid_ticks"] = 10_000 + np.cumsum(generator.integers(-2, 3, rows))
    events["ask_ticks"] = events["bid_ticks"] + generator.integers(1, 4, rows)
    events["bid_lots"], events["ask_lots"] = generator.integers(1, 50, (2, rows))
    events["flags"][generator.random(rows) < 0.05] |= np.uint16(EventFlag.HALTED)
    return Recording(INSTRUMENT, events, Path("walk"), {})


def plain(recording, row, config, horizon_ns, latency_ns):
    """The class of one decision as the words of LabelConfig have it; None where it has no mark."""
    events, times = recording.events, recording.events["event_ns"]
    mid = lambda event: (int(event["bid_ticks"]) + int(event["ask_ticks"])) / 2  # noqa: E731
    now, end = events[row], int(times[row]) + horizon_ns
    if config.horizon_events is not None:
        if row + config.horizon_events >= len(events):
            return None
        reach = times[row : row + config.horizon_events + 1]
        if any(b - a > INSTRUMENT.stale_after_ns for a, b in pairwise(reach)):
            return None
        end = int(reach[-1])
    end = max(end, int(times[row]) + latency_ns)
    if end >= times[-1]:
        return None
    standing = lambda at: [event for event in events if event["event_ns"] <= at][-1]  # noqa: E731
    entry, last = standing(int(times[row]) + latency_ns), standing(end)
    if end - last["event_ns"] > INSTRUMENT.stale_after_ns or any(e["flags"] & UNUSABLE for e in (entry, last)):
        return None
    move, spread = 1e4 * (mid(last) / mid(now) - 1), 1e4 * (int(now["ask_ticks"]) - int(now["bid_ticks"])) / mid(now)
    ahead = [e for e in events[row + 1 :] if e["event_ns"] <= end and not e["flags"] & UNUSABLE]
    if config.kind == "markout":
        buy = 1e4 * (mid(last) - int(entry["ask_ticks"])) / mid(entry) - INSTRUMENT.fee_bps
        sell = 1e4 * (int(entry["bid_ticks"]) - mid(last)) / mid(entry) - INSTRUMENT.fee_bps
        if max(buy, sell) <= (config.threshold_bps or 0.0):
            return 1
        return 2 if buy >= sell else 0
    if config.kind == "triple_barrier":
        for event in ahead:
            away = 1e4 * (mid(event) / mid(now) - 1)
            if abs(away) >= config.spreads * spread:
                return 2 if away > 0 else 0
        return 1
    limit = config.threshold_bps
    if config.kind == "smoothed_mid":
        move = 1e4 * (np.mean([mid(e) for e in ahead]) / mid(now) - 1) if ahead else 0.0
    if config.kind == "spread_aware":
        limit = config.spreads * spread
    return 2 if move > limit else 0 if move < -limit else 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(CONFIGS), st.integers(1, 6), st.integers(0, 2))
def test_every_kind_agrees_with_a_plain_loop(seed, config, horizon, latency):
    recording = walk(60, seed)
    when = {"horizon_ns": horizon * SECOND // 2 + 1, "latency_ns": latency * SECOND // 3}
    rows = np.flatnonzero((recording.events["flags"] & UNUSABLE) == 0)
    ends = horizon_ends(recording, rows, config, when["horizon_ns"])
    made = marks(recording, rows, ends, entry_latency_ns=when["latency_ns"])
    marked = made.status == MarkoutStatus.OK
    kept = type(made)(*(column[marked] for column in made))
    said = classes_of(recording, rows[marked], kept, config, config.threshold_bps or 0.0)
    expected = [plain(recording, int(row), config, **when) for row in rows]
    assert marked.tolist() == [each is not None for each in expected]
    assert said.tolist() == [each for each in expected if each is not None]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(0, 4))
def test_marks_of_a_horizon_in_time_are_those_that_the_live_engine_resolves(seed, horizon, latency):
    recording = walk(80, seed)
    horizon_ns, latency_ns = horizon * SECOND // 2, latency * SECOND // 2
    live = compute_markouts(recording, entry_latency_ns=latency_ns, horizon_ns=horizon_ns)
    rows = np.arange(len(recording))
    ends = horizon_ends(recording, rows, LabelConfig(), horizon_ns)
    made = marks(recording, rows, ends, entry_latency_ns=latency_ns)
    np.testing.assert_array_equal(made.status, live["status"])
    paid = (made.status == MarkoutStatus.OK) & ((recording.events["flags"] & UNUSABLE) == 0)
    for name in ("buy_pnl_bps", "sell_pnl_bps", "mid_move_bps"):
        np.testing.assert_allclose(getattr(made, name)[paid], live[name][paid], rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.kind}-{c.horizon_events}")
def test_nothing_after_the_stated_end_changes_a_row(config):
    asked = {"horizon_ns": 2 * SECOND, "entry_latency_ns": SECOND // 1000, "label": config}
    recording, other, cut = walk(1500, 1), walk(1500, 1), 1200
    other.events["bid_ticks"][cut:] += 500
    other.events["ask_ticks"][cut:] += 900
    whole, _ = build_dataset([recording], feature_set("touch_v1"), **asked)
    changed, _ = build_dataset([other], feature_set("touch_v1"), **asked)
    known = whole.end_ns < recording.events["event_ns"][cut]
    assert known.sum() > 500
    assert (whole.end_ns >= whole.event_ns).all()
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(whole, name)[known], getattr(changed, name)[: known.sum()])


def test_report_says_what_share_of_the_labels_pays():
    asked = {"horizon_ns": 2 * SECOND, "entry_latency_ns": 0}
    paying = build_dataset([walk(1500, 2)], feature_set("touch_v1"), label=LabelConfig(kind="markout"), **asked)[1]
    assert paying.share_labels_paying == 1.0
    assert paying.share_paying == pytest.approx(paying.share_up + paying.share_down)
    eager = LabelConfig(threshold_bps=0.0)
    rows, report = build_dataset([walk(1500, 2)], feature_set("touch_v1"), label=eager, **asked)
    named = rows.classes != 1
    won = np.where(rows.classes == 2, rows.buy_pnl_bps, rows.sell_pnl_bps)[named] > 0
    assert report.share_labels_paying == pytest.approx(won.mean())
    assert report.share_labels_paying < 1.0
    assert f"{report.share_labels_paying:.1%} of the moves labelled pay" in report.sentence()


def test_horizon_in_events_states_the_time_it_took():
    rows, report = build_dataset(
        [walk(1500, 3)],
        feature_set("touch_v1"),
        horizon_ns=99 * SECOND,
        entry_latency_ns=0,
        label=LabelConfig(horizon_events=4),
    )
    assert rows.horizon_ns == report.median_horizon_ns == int(np.median(rows.end_ns - rows.event_ns))
    assert rows.horizon_ns < 10 * SECOND
