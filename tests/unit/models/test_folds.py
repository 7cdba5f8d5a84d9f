from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import UsageError
from models.folds import purged, walk_forward

times = st.lists(st.integers(0, 5), min_size=60, max_size=200).map(lambda steps: np.cumsum(steps).astype(np.int64))


@settings(max_examples=60, deadline=None)
@given(times, st.integers(1, 20), st.integers(0, 20), st.integers(2, 4))
def test_no_label_window_or_embargo_of_training_reaches_the_test(event_ns, horizon_ns, embargo_ns, folds):
    try:
        made = walk_forward(event_ns, folds=folds, horizon_ns=horizon_ns, embargo_ns=embargo_ns)
    except UsageError:
        return  # too short to purge; said so
    for fold in made:
        assert event_ns[fold.train].max() + horizon_ns + embargo_ns < event_ns[fold.test].min()


@settings(max_examples=40, deadline=None)
@given(times, st.integers(2, 4))
def test_tests_follow_each_other_without_overlap_and_training_grows(event_ns, folds):
    try:
        made = walk_forward(event_ns, folds=folds, horizon_ns=1, embargo_ns=0)
    except UsageError:
        return
    tested = np.concatenate([fold.test for fold in made])
    assert (np.diff(tested) == 1).all()
    assert tested[-1] == len(event_ns) - 1
    assert all(np.isin(a.train, b.train).all() for a, b in pairwise(made))


def test_rows_are_purged_by_event_time_not_by_count():
    # test starts at 100 ns; horizon 10 and embargo 5: windows from 85 ns on reach it.
    event_ns = np.array([0, 50, 84, 85, 99, 100, 110])
    assert purged(event_ns, 5, horizon_ns=10, embargo_ns=5).tolist() == [0, 1, 2]


def test_too_few_rows_are_refused():
    with pytest.raises(UsageError, match="too few"):
        walk_forward(np.arange(4), folds=4, horizon_ns=10, embargo_ns=10)
