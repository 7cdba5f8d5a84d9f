"""Native features against the reference on the real recordings: same values, same bits as a stream."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.markets import fitted
from support.real_recordings import FEW, every, few

from data_contracts.recording import Recording
from market_data.feature_sets import feature_set
from market_data.features import as_bytes, compute_features, feature_engine
from market_data.reading import read_recordings
from market_data.reference.features import reference_features
from market_data.zones import utc_offsets

EVENTS = 260
"""More than the warm-up; the reference is quadratic."""

SAMPLED = 16
"""Rows of a whole recording at which the reference sums over all that came before."""


@pytest.fixture(scope="module")
def recordings(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    found = {}
    for name, day in few(test_data, tmp_path_factory.mktemp("heads")).items():
        usable = np.flatnonzero(day.events["flags"] == 0)
        start = int(usable[len(usable) // 3])
        found[name] = day.part(start, start + EVENTS)
    return found


def held(day: Recording, name: str, leader: Recording | None = None, rows: int | None = None) -> bool:
    """Compare all rows, or some; return whether any may be acted on."""
    features = feature_set(f"{name}={leader.instrument.symbol}") if leader else fitted(name)
    matrix, ready = compute_features(day, features, [leader] if leader else [])
    at = np.arange(len(day)) if rows is None else np.unique(np.linspace(0, len(day) - 1, rows).astype(int))
    expected, expected_ready = reference_features(
        day.events,
        features,
        depth=day.depth,
        leader=leader.events if leader else None,
        time_zone=day.instrument.time_zone,
        rows=at,
    )
    assert_array_equal(ready[at], expected_ready)
    # float32 out; and mids near 1e6 ticks less means of them.
    assert_allclose(matrix[at], expected, rtol=1e-4, atol=1e-4, err_msg=f"{day.source} {day.instrument.symbol} {name}")
    return bool(ready.any())


def streams_to_the_same_bits(day: Recording, name: str) -> None:
    features = fitted(name)
    matrix, _ = compute_features(day, features)
    engine = feature_engine(features, day.instrument)
    data = as_bytes(day.events).reshape(len(day), -1)
    levels = day.depth if name == "depth_v1" else None
    streamed = np.empty_like(matrix)
    for row in range(len(day)):
        streamed[row] = engine.update(data[row], None if levels is None else levels[row : row + 1])[0]
    assert streamed.tobytes() == matrix.tobytes()


def fed_by(day: Recording) -> list[str]:
    """Return the sets that the recording alone can feed."""
    return ["quotes_v1", *(["touch_v1"] if day.has_sizes else []), *(["depth_v1"] if day.depth is not None else [])]


@pytest.mark.parametrize("source", [*FEW, "binance", "shenzhen"])
def test_every_set_that_a_real_recording_can_feed_equals_the_reference(
    recordings: dict[str, Recording], source: str
) -> None:
    day = recordings[source]
    for name in fed_by(day):
        assert held(day, name)
        streams_to_the_same_bits(day, name)


@pytest.mark.long
def test_every_set_equals_the_reference_and_the_stream_on_every_real_recording_whole(
    test_data: Path, tmp_path: Path
) -> None:
    """Sums carried over up to a quarter of a million events, against sums made at once."""
    ready: dict[str, bool] = {}
    for day in every(test_data, tmp_path):
        for name in fed_by(day):
            acted = held(day, name, rows=SAMPLED)
            ready[day.instrument.symbol] = ready.get(day.instrument.symbol, False) or acted
            streams_to_the_same_bits(day, name)
    assert len(ready) >= 30
    # The quietest of Kraken's pairs have too few events for the warm-up.
    assert all(acted or symbol.startswith("KRAKEN:") for symbol, acted in ready.items())


@pytest.mark.parametrize("follower", ["oanda_eurusd", "oanda_xauusd"])
def test_one_venue_beside_another_equals_the_reference(test_data: Path, follower: str) -> None:
    folder = test_data / "fx-gold-ticks-201405"
    leader = read_recordings(folder / "fxcm_eurusd" / "20140504_quote.zip")[0]
    own = read_recordings(folder / follower / "20140504_quote.zip")[0]
    start_ns = int(max(own.events["event_ns"][0], leader.events["event_ns"][0])) + 3_600 * 10**9
    start = int(np.searchsorted(own.events["event_ns"], start_ns))
    day = own.part(start, start + 320)
    span = np.searchsorted(leader.events["event_ns"], day.events["event_ns"][[0, -1]])
    assert held(day, "lead_lag_v1", leader.part(max(0, int(span[0]) - 300), int(span[1])))


def test_clocks_change_where_the_zone_says_and_nowhere_else() -> None:
    assert utc_offsets("UTC") == ((0, 0),)
    assert len(utc_offsets("Asia/Shanghai")) == 5  # summer time of 1990 and 1991, and none since
    new_york = dict(utc_offsets("America/New_York"))
    assert new_york[1_710_054_000_000_000_000] == -4 * 3600  # 10 March 2024, 02:00 of winter time
    assert new_york[1_730_613_600_000_000_000] == -5 * 3600
    assert len(new_york) == 121
