"""Native features against the reference on every real recording there is: same values, whatever the market."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.markets import fitted

from data_contracts.recording import Recording
from market_data.feature_sets import feature_set
from market_data.features import compute_features
from market_data.reading import read_recordings
from market_data.reference.features import reference_features
from market_data.zones import utc_offsets

EVENTS = 260
"""More than the warm-up; the reference is quadratic."""

SOURCES = {
    "cffex": ("cffex-if-ticks-202101", None),
    "gold": ("fx-gold-ticks-201405/oanda_xauusd/20140504_quote.zip", None),
    "euro-fxcm": ("fx-gold-ticks-201405/fxcm_eurusd/20140504_quote.zip", None),
    "euro-oanda": ("fx-gold-ticks-201405/oanda_eurusd/20140504_quote.zip", None),
    "lobster": ("lobster-aapl-l10-head", None),
    "shanghai-601825": ("sse-l3-20230711", "601825.SH"),
}


@pytest.fixture(scope="module")
def recordings(test_data: Path) -> dict[str, Recording]:
    found = {}
    for name, (path, instrument) in SOURCES.items():
        day = read_recordings(test_data / path, instrument=instrument, depth=True)[0]
        usable = np.flatnonzero(day.events["flags"] == 0)
        start = int(usable[len(usable) // 3])
        found[name] = day.part(start, start + EVENTS)
    return found


def held(day: Recording, name: str, leader: Recording | None = None) -> None:
    features = feature_set(f"{name}={leader.instrument.symbol}") if leader else fitted(name)
    matrix, ready = compute_features(day, features, [leader] if leader else [])
    expected, expected_ready = reference_features(
        day.events,
        features,
        depth=day.depth,
        leader=leader.events if leader else None,
        time_zone=day.instrument.time_zone,
    )
    assert ready.any()
    assert_array_equal(ready, expected_ready)
    # float32 out; and mids near 1e6 ticks less means of them.
    assert_allclose(matrix, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("source", SOURCES)
def test_every_set_that_a_real_recording_can_feed_equals_the_reference(
    recordings: dict[str, Recording], source: str
) -> None:
    day = recordings[source]
    held(day, "quotes_v1")
    if day.has_sizes:
        held(day, "touch_v1")
    if day.depth is not None:
        held(day, "depth_v1")


@pytest.mark.parametrize("follower", ["oanda_eurusd", "oanda_xauusd"])
def test_one_venue_beside_another_equals_the_reference(test_data: Path, follower: str) -> None:
    folder = test_data / "fx-gold-ticks-201405"
    leader = read_recordings(folder / "fxcm_eurusd" / "20140504_quote.zip")[0]
    own = read_recordings(folder / follower / "20140504_quote.zip")[0]
    start_ns = int(max(own.events["event_ns"][0], leader.events["event_ns"][0])) + 3_600 * 10**9
    start = int(np.searchsorted(own.events["event_ns"], start_ns))
    day = own.part(start, start + 320)
    span = np.searchsorted(leader.events["event_ns"], day.events["event_ns"][[0, -1]])
    held(day, "lead_lag_v1", leader.part(max(0, int(span[0]) - 300), int(span[1])))


def test_clocks_change_where_the_zone_says_and_nowhere_else() -> None:
    assert utc_offsets("UTC") == ((0, 0),)
    assert len(utc_offsets("Asia/Shanghai")) == 5  # summer time of 1990 and 1991, and none since
    new_york = dict(utc_offsets("America/New_York"))
    assert new_york[1_710_054_000_000_000_000] == -4 * 3600  # 10 March 2024, 02:00 of winter time
    assert new_york[1_730_613_600_000_000_000] == -5 * 3600
    assert len(new_york) == 121
