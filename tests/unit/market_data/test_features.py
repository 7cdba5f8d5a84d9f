"""Features: native code against the reference, and the laws that any feature obeys."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support.markets import LEADER, fitted, inputs_of, markets, mirrored, mirrored_levels, recording_of

from data_contracts.errors import UsageError
from data_contracts.market_event import MARKET_EVENT, NO_LOTS, EventFlag, MarketEvents
from market_data.feature_sets import FEATURE_SETS, QUOTES_V1, TOUCH_V1, feature_set
from market_data.features import as_bytes, compute_features, feature_engine
from market_data.reading import read_recordings
from market_data.reference.features import reference_features
from native import _native

TOLERANCE = {"rtol": 2e-5, "atol": 2e-5}  # float32 out; sums carried in another order
SETS = pytest.mark.parametrize("name", sorted(FEATURE_SETS))

EVEN = {
    "spread_ticks",
    "spread_ratio_30s",
    "volatility_5s_ticks",
    "volatility_30s_ticks",
    "volatility_120s_ticks",
    "direction_autocorrelation_30s",
    "log_gap_ms",
    "log_intensity",
    "log_intensity_5s",
    "log_trade_gap_ms",
    "log_session_s",
    "day_sin",
    "day_cos",
}
"""Features that a mirrored market leaves alone; all others change sign."""

SWAPPED = {
    "log_depth_slope_bid": "log_depth_slope_ask",
    "log_depth_slope_ask": "log_depth_slope_bid",
    "log_buy_intensity_5s": "log_sell_intensity_5s",
    "log_buy_intensity_30s": "log_sell_intensity_30s",
    "log_sell_intensity_5s": "log_buy_intensity_5s",
    "log_sell_intensity_30s": "log_buy_intensity_30s",
}
"""Features of one side, which become the other side's."""


def computed(name: str, events: MarketEvents, given: dict[str, Any]) -> tuple[Any, Any]:
    leader = [recording_of(given["leader"], symbol=LEADER)] if "leader" in given else []
    return compute_features(recording_of(events, given.get("depth")), fitted(name), leader)


@SETS
def test_python_and_native_definitions_of_a_set_are_the_same(name: str) -> None:
    ours, native = FEATURE_SETS[name], _native.FEATURE_SETS[name]
    assert list(ours.features) == native["features"]
    assert ours.warm_up_events == native["warm_up_events"]
    expected = {f"half_life_{position}_s": each for position, each in enumerate(native["half_lives_s"])}
    expected |= {"needs_sizes": float(native["needs_sizes"]), "session_gap_s": native["session_gap_s"]}
    if native["needs_depth"]:
        spreads, bins = _native.MICROPRICE_SHAPE
        expected |= {"needs_depth": 1.0, "microprice_spreads": float(spreads), "microprice_bins": float(bins)}
    if native["needs_leader"]:
        expected["needs_leader"] = 1.0
    assert ours.parameters == expected


def test_native_code_knows_no_other_set() -> None:
    assert set(_native.FEATURE_SETS) == set(FEATURE_SETS)
    with pytest.raises(ValueError, match="touch_v0"):
        _native.FeatureEngine("touch_v0")


def test_unknown_set_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match="expected one of depth_v1, lead_lag_v1, quotes_v1, touch_v1, got 'nope'"):
        feature_set("nope")


@SETS
@settings(max_examples=25, deadline=None)
@given(events=markets())
def test_native_features_equal_the_reference(name: str, events: MarketEvents) -> None:
    given = inputs_of(name, events)
    expected, expected_ready = reference_features(events, fitted(name), **given)
    matrix, ready = computed(name, events, given)
    assert_allclose(matrix, expected, **TOLERANCE)
    assert_array_equal(ready, expected_ready)


@SETS
@settings(max_examples=25, deadline=None)
@given(events=markets(), data=st.data())
def test_cutting_the_future_off_changes_nothing_before_the_cut(
    name: str, events: MarketEvents, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(events)))
    given = inputs_of(name, events)
    whole, ready = computed(name, events, given)
    known = {key: values[:cut] for key, values in given.items() if key == "depth"}
    if "leader" in given:  # of the leader, too, only what there was by then
        end_ns = events["event_ns"][cut - 1] if cut else 0
        known["leader"] = given["leader"][given["leader"]["event_ns"] < end_ns]
    part, part_ready = computed(name, events[:cut], known)
    assert part.tobytes() == whole[:cut].tobytes()
    assert_array_equal(part_ready, ready[:cut])


@SETS
@settings(max_examples=25, deadline=None)
@given(events=markets())
def test_one_event_at_a_time_gives_the_batch_bit_for_bit(name: str, events: MarketEvents) -> None:
    given = inputs_of(name, events)
    matrix, _ = computed(name, events, given)
    engine = feature_engine(fitted(name), recording_of(events).instrument)
    leader, led, streamed = given.get("leader", events[:0]), 0, []
    for row in range(len(events)):
        # At the same time the leader comes before or after, as chance has it.
        side = "left" if row % 2 else "right"
        until = int(np.searchsorted(leader["event_ns"], events["event_ns"][row], side=side))
        for position in range(led, until):
            engine.lead(as_bytes(leader[position : position + 1]))
        led = max(led, until)
        depth = given["depth"][row : row + 1] if "depth" in given else None
        streamed.append(engine.update(as_bytes(events[row : row + 1]), depth)[0])
    assert np.stack(streamed).tobytes() == matrix.tobytes()


@SETS
@settings(max_examples=25, deadline=None)
@given(events=markets())
def test_mirrored_market_flips_every_directed_feature(name: str, events: MarketEvents) -> None:
    if name == "lead_lag_v1":
        return  # in logs, a mirrored price is another market
    features, given = FEATURE_SETS[name], inputs_of(name, events)
    matrix, _ = computed(name, events, given)
    mirror, _ = computed(name, mirrored(events), {key: mirrored_levels(each) for key, each in given.items()})
    for position, feature in enumerate(features.features):
        if feature in ("bid_only_move_ticks", "ask_only_move_ticks"):
            continue  # these two change places as well
        if feature in SWAPPED:
            assert_allclose(mirror[:, features.features.index(SWAPPED[feature])], matrix[:, position], **TOLERANCE)
            continue
        sign = 1 if feature in EVEN else -1
        assert_allclose(mirror[:, position], sign * matrix[:, position], **TOLERANCE, err_msg=feature)
    if name == "quotes_v1":
        bid, ask = features.features.index("bid_only_move_ticks"), features.features.index("ask_only_move_ticks")
        assert_array_equal(mirror[:, bid], -matrix[:, ask])


@SETS
@settings(max_examples=10, deadline=None)
@given(events=markets(), shift_ns=st.integers(-(10**18), 10**18))
def test_shifted_clock_changes_nothing(name: str, events: MarketEvents, shift_ns: int) -> None:
    given = inputs_of(name, events)
    shifted, later = events.copy(), dict(given)
    shifted["event_ns"] += shift_ns
    if "leader" in given:
        later["leader"] = given["leader"].copy()
        later["leader"]["event_ns"] += shift_ns
    first, _ = computed(name, events, given)
    second, _ = computed(name, shifted, later)
    kept = [position for position, each in enumerate(FEATURE_SETS[name].features) if each not in ("day_sin", "day_cos")]
    assert first[:, kept].tobytes() == second[:, kept].tobytes()


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
