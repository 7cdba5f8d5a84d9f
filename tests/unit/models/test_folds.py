from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import UsageError
from models.folds import DAY_NS, purged, walk_forward, walk_forward_days

times = st.lists(st.integers(0, 5), min_size=60, max_size=200).map(lambda steps: np.cumsum(steps).astype(np.int64))


@settings(max_examples=60, deadline=None)
@given(times, st.integers(1, 20), st.integers(0, 20), st.integers(2, 4))
def test_no_label_window_or_embargo_of_training_reaches_the_test(event_ns, horizon_ns, embargo_ns, folds):
    try:
        made = walk_forward(event_ns, folds=folds, end_ns=event_ns + horizon_ns, embargo_ns=embargo_ns)
    except UsageError:
        return  # too short to purge; said so
    for fold in made:
        assert event_ns[fold.train].max() + horizon_ns + embargo_ns < event_ns[fold.test].min()


@settings(max_examples=40, deadline=None)
@given(times, st.integers(2, 4))
def test_tests_follow_each_other_without_overlap_and_training_grows(event_ns, folds):
    try:
        made = walk_forward(event_ns, folds=folds, end_ns=event_ns + 1, embargo_ns=0)
    except UsageError:
        return
    tested = np.concatenate([fold.test for fold in made])
    assert (np.diff(tested) == 1).all()
    assert tested[-1] == len(event_ns) - 1
    assert all(np.isin(a.train, b.train).all() for a, b in pairwise(made))


def test_rows_are_purged_by_event_time_not_by_count():
    # test starts at 100 ns; horizon 10 and embargo 5: windows from 85 ns on reach it.
    event_ns = np.array([0, 50, 84, 85, 99, 100, 110])
    assert purged(event_ns, 5, end_ns=event_ns + 10, embargo_ns=5).tolist() == [0, 1, 2]


def test_too_few_rows_are_refused():
    with pytest.raises(UsageError, match="too few"):
        walk_forward(np.arange(4), folds=4, end_ns=np.arange(4) + 10, embargo_ns=10)


def test_purge_follows_each_labels_own_end():
    event_ns = np.array([0, 10, 20, 30, 40])
    end_ns = np.array([5, 100, 25, 39, 50])  # the second one's label is open for long
    assert purged(event_ns, 4, end_ns=end_ns, embargo_ns=0).tolist() == [0, 2, 3]


def test_days_are_tested_one_by_one_on_all_days_before():
    event_ns = np.arange(40) * (DAY_NS // 10)  # four days of ten rows
    made = walk_forward_days(event_ns, first_days=2, end_ns=event_ns + 1, embargo_ns=DAY_NS // 10)
    assert [fold.test.tolist() for fold in made] == [list(range(20, 30)), list(range(30, 40))]
    assert [len(fold.train) for fold in made] == [19, 29]  # the last row of the day before falls to the embargo


def test_thin_days_are_learnt_from_only():
    event_ns = np.concatenate([np.arange(10), DAY_NS + np.arange(2), 2 * DAY_NS + np.arange(10)])
    made = walk_forward_days(event_ns, first_days=1, end_ns=event_ns, embargo_ns=0, min_rows=5)
    assert [fold.test.tolist() for fold in made] == [list(range(12, 22))]
    assert made[0].train.tolist() == list(range(12))


def test_no_day_left_to_test_is_refused():
    with pytest.raises(UsageError, match="more than 1 days with rows, got 1"):
        walk_forward_days(np.arange(4), first_days=1, end_ns=np.arange(4), embargo_ns=0)
