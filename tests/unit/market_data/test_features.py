"""Features: native code against the reference, and the laws that any feature obeys."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from data_contracts.errors import UsageError
from data_contracts.instrument import Instrument
from data_contracts.market_event import MARKET_EVENT, NO_LOTS, EventFlag, MarketEvents
from data_contracts.recording import Recording
from market_data.feature_sets import FEATURE_SETS, QUOTES_V1, TOUCH_V1, feature_set
from market_data.features import as_bytes, compute_features
from market_data.reading import read_recordings
from market_data.reference.features import reference_features
from native import _native

TOLERANCE = {"rtol": 2e-5, "atol": 2e-5}  # float32 out; sums carried in another order
SETS = pytest.mark.parametrize("name", sorted(FEATURE_SETS))
MIRROR_SUM = 20_000  # a mirrored price is this less the price

EVEN = {
    "spread_ticks",
    "spread_ratio_30s",
    "volatility_5s_ticks",
    "volatility_30s_ticks",
    "volatility_120s_ticks",
    "direction_autocorrelation_30s",
    "log_gap_ms",
    "log_intensity",
}
"""Features that a mirrored market leaves alone; all others change sign."""


def recording_of(events: MarketEvents) -> Recording:
    instrument = Instrument(symbol="TEST:X", tick_size="0.01", lot_size="1", currency="USD")
    return Recording(instrument=instrument, events=events, source=Path("made"), skipped={})


@st.composite
def markets(draw: st.DrawFn, *, flagged: bool = True) -> MarketEvents:
    """A few hundred random events with repeated times, a long silence, trades, and some unusable touches."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 300))
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


def mirrored(events: MarketEvents) -> MarketEvents:
    mirror = events.copy()
    mirror["bid_ticks"], mirror["ask_ticks"] = MIRROR_SUM - events["ask_ticks"], MIRROR_SUM - events["bid_ticks"]
    mirror["bid_lots"], mirror["ask_lots"] = events["ask_lots"], events["bid_lots"]
    mirror["trade_lots"] = -events["trade_lots"]
    mirror["trade_ticks"] = np.where(events["trade_ticks"] != 0, MIRROR_SUM - events["trade_ticks"], 0)
    return mirror


@SETS
def test_python_and_native_definitions_of_a_set_are_the_same(name: str) -> None:
    ours, native = FEATURE_SETS[name], _native.FEATURE_SETS[name]
    assert list(ours.features) == native["features"]
    assert ours.warm_up_events == native["warm_up_events"]
    expected = {f"half_life_{position}_s": each for position, each in enumerate(native["half_lives_s"])}
    expected |= {"needs_sizes": float(native["needs_sizes"]), "session_gap_s": native["session_gap_s"]}
    assert ours.parameters == expected


def test_native_code_knows_no_other_set() -> None:
    assert set(_native.FEATURE_SETS) == set(FEATURE_SETS)
    with pytest.raises(ValueError, match="touch_v0"):
        _native.FeatureEngine("touch_v0")


def test_unknown_set_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match="expected one of quotes_v1, touch_v1, got 'nope'"):
        feature_set("nope")


@SETS
@settings(max_examples=25, deadline=None)
@given(events=markets())
def test_native_features_equal_the_reference(name: str, events: MarketEvents) -> None:
    expected, expected_ready = reference_features(events, FEATURE_SETS[name])
    matrix, ready = compute_features(recording_of(events), FEATURE_SETS[name])
    assert_allclose(matrix, expected, **TOLERANCE)
    assert_array_equal(ready, expected_ready)


@SETS
@settings(max_examples=25, deadline=None)
@given(events=markets(), data=st.data())
def test_cutting_the_future_off_changes_nothing_before_the_cut(
    name: str, events: MarketEvents, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(events)))
    whole, ready = compute_features(recording_of(events), FEATURE_SETS[name])
    part, part_ready = compute_features(recording_of(events[:cut]), FEATURE_SETS[name])
    assert part.tobytes() == whole[:cut].tobytes()
    assert_array_equal(part_ready, ready[:cut])


@SETS
@settings(max_examples=25, deadline=None)
@given(events=markets())
def test_one_event_at_a_time_gives_the_batch_bit_for_bit(name: str, events: MarketEvents) -> None:
    matrix, _ = compute_features(recording_of(events), FEATURE_SETS[name])
    engine = _native.FeatureEngine(name)
    streamed = [engine.update(as_bytes(events[row : row + 1]))[0] for row in range(len(events))]
    assert np.stack(streamed).tobytes() == matrix.tobytes()


@SETS
@settings(max_examples=25, deadline=None)
@given(events=markets())
def test_mirrored_market_flips_every_directed_feature(name: str, events: MarketEvents) -> None:
    features = FEATURE_SETS[name]
    matrix, _ = compute_features(recording_of(events), features)
    mirror, _ = compute_features(recording_of(mirrored(events)), features)
    for position, feature in enumerate(features.features):
        if feature in ("bid_only_move_ticks", "ask_only_move_ticks"):
            continue  # these two change places as well
        sign = 1 if feature in EVEN else -1
        assert_allclose(mirror[:, position], sign * matrix[:, position], **TOLERANCE, err_msg=feature)
    if name == "quotes_v1":
        bid, ask = features.features.index("bid_only_move_ticks"), features.features.index("ask_only_move_ticks")
        assert_array_equal(mirror[:, bid], -matrix[:, ask])


@SETS
@settings(max_examples=10, deadline=None)
@given(events=markets(), shift_ns=st.integers(-(10**18), 10**18))
def test_shifted_clock_changes_nothing(name: str, events: MarketEvents, shift_ns: int) -> None:
    shifted = events.copy()
    shifted["event_ns"] += shift_ns
    first, _ = compute_features(recording_of(events), FEATURE_SETS[name])
    second, _ = compute_features(recording_of(shifted), FEATURE_SETS[name])
    assert first.tobytes() == second.tobytes()


def test_recording_without_sizes_is_refused_by_a_set_that_needs_them() -> None:
    events = np.zeros(3, dtype=MARKET_EVENT)
    events["bid_lots"] = events["ask_lots"] = NO_LOTS
    with pytest.raises(UsageError, match="touch_v1: expected sizes at the touch, TEST:X gives none"):
        compute_features(recording_of(events), TOUCH_V1)


def test_no_event_gives_an_empty_matrix() -> None:
    matrix, ready = compute_features(recording_of(np.zeros(0, dtype=MARKET_EVENT)), TOUCH_V1)
    assert matrix.shape == (0, 16)
    assert ready.shape == (0,)


def test_unusable_event_is_never_ready_and_repeats_the_last_vector() -> None:
    events = np.zeros(250, dtype=MARKET_EVENT)
    events["event_ns"] = np.arange(250) * 10**8
    events["bid_ticks"] = 100 + np.arange(250) % 3
    events["ask_ticks"] = events["bid_ticks"] + 1
    events["bid_lots"] = events["ask_lots"] = 5
    events["flags"][220] = EventFlag.CROSSED
    matrix, ready = compute_features(recording_of(events), TOUCH_V1)
    assert not ready[220]
    assert ready[219]
    assert_array_equal(matrix[220], matrix[219])
    assert int(ready.argmax()) == TOUCH_V1.warm_up_events - 1


@pytest.mark.parametrize("start", [0, 14_000])
def test_native_features_equal_the_reference_on_index_futures(test_data: Path, start: int) -> None:
    day = read_recordings(test_data / "cffex-if-ticks-202101")[0].part(start, start + 500)
    assert_allclose(compute_features(day, TOUCH_V1)[0], reference_features(day.events, TOUCH_V1)[0], **TOLERANCE)


@pytest.mark.parametrize("folder", ["oanda_xauusd", "fxcm_eurusd"])
def test_native_features_equal_the_reference_on_quotes(test_data: Path, folder: str) -> None:
    day = read_recordings(test_data / "fx-gold-ticks-201405" / folder / "20140504_quote.zip")[0].part(500, 1000)
    expected = reference_features(day.events, QUOTES_V1)[0]
    assert_allclose(compute_features(day, QUOTES_V1)[0], expected, rtol=1e-4, atol=1e-4)  # mids near 1e6 ticks
