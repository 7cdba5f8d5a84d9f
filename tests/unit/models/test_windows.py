"""Windows hold the newest usable vectors of one session, whatever stands between them."""

import numpy as np
import pytest
from test_dataset import SECOND, dataset, walk

from data_contracts.market_event import EventFlag
from market_data.feature_sets import feature_set
from market_data.features import compute_features
from models.windows import Windows, run_lengths


def test_lengths_of_runs_worked_by_hand():
    good = np.array([1, 1, 0, 1, 1, 1, 0, 0, 1], dtype=bool)
    assert run_lengths(good).tolist() == [1, 2, 0, 1, 2, 3, 0, 0, 1]


def test_windows_are_views_until_they_are_laid_out():
    vectors = np.arange(20, dtype=np.float32).reshape(10, 2)
    windows = Windows(vectors, np.array([2, 5, 9]), 3)
    assert windows.shape == (3, 3, 2)
    np.testing.assert_array_equal(np.asarray(windows)[1], vectors[3:6])
    np.testing.assert_array_equal(np.asarray(windows[[2, 0]]), np.stack([vectors[7:10], vectors[0:3]]))
    np.testing.assert_array_equal(np.concatenate(list(windows.batches(2))), np.asarray(windows))


@pytest.mark.parametrize("window", [2, 16])
def test_rows_look_back_on_one_session_only_over_events_that_count(window: int):
    recording = walk()
    recording.events["event_ns"][800:] += 8 * 3600 * SECOND
    recording.events["flags"][[300, 301, 900]] = int(EventFlag.HALTED)
    rows, _ = dataset(recording, window=window)
    seen = np.asarray(rows.seen_through(window).features)
    features, ready = compute_features(recording, feature_set("touch_v1"))
    times = recording.events["event_ns"]
    assert len(rows) < len(dataset(recording)[0])
    for index, moment in enumerate(rows.event_ns):
        last = int(np.searchsorted(times, moment))
        first = 800 if last >= 800 else 0
        counted = [at for at in range(first, last + 1) if ready[at]][-window:]
        assert len(counted) == window
        np.testing.assert_array_equal(seen[index], features[counted])
    np.testing.assert_array_equal(rows.seen_through(1).features, rows.features)
