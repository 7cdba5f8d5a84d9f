from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import UsageError
from models.folds import DAY_NS, day_starts, purged, walk_forward, walk_forward_days

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


HOUR_NS = DAY_NS // 24
GAP_NS = 600_000_000_000
sessions = st.lists(
    st.tuples(st.integers(11, 30 * 60), st.lists(st.integers(0, 599), min_size=1, max_size=30)),
    min_size=1,
    max_size=12,
)
"""Minutes of silence before each session, and the seconds between its rows."""


@settings(max_examples=200, deadline=None)
@given(sessions, st.integers(1, 4), st.integers(1, 3 * HOUR_NS), st.integers(0, HOUR_NS))
def test_folds_by_day_begin_with_a_session_and_learn_from_what_had_ended(kept, folds, horizon_ns, embargo_ns):
    steps = [(minutes * 60 if not row else wait) for minutes, waits in kept for row, wait in enumerate([0, *waits])]
    event_ns = np.cumsum(steps).astype(np.int64) * 1_000_000_000
    starts = day_starts(event_ns, GAP_NS)
    begins = {row for row in range(1, len(event_ns)) if event_ns[row] - event_ns[row - 1] > GAP_NS}
    assert begins >= set(starts.tolist())  # no session here lasts a day, so none is cut
    begun = event_ns[sorted({0, *begins})] // DAY_NS
    assert len(starts) == len(np.unique(begun)) - 1
    try:
        made = walk_forward(event_ns, folds=folds, end_ns=event_ns + horizon_ns, embargo_ns=embargo_ns, starts=starts)
    except UsageError:
        return
    assert len(made) == min(folds, len(starts))
    tested = np.concatenate([fold.test for fold in made])
    assert (np.diff(tested) == 1).all()
    assert tested[-1] == len(event_ns) - 1
    for fold in made:
        assert fold.test[0] in starts
        assert event_ns[fold.train].max() + horizon_ns + embargo_ns < event_ns[fold.test].min()


def test_market_that_never_closes_is_cut_at_midnight_and_a_night_session_is_not():
    around = np.arange(0, 3 * DAY_NS, HOUR_NS // 12)
    assert day_starts(around, GAP_NS).tolist() == [288, 576]
    night = np.arange(20 * HOUR_NS, 29 * HOUR_NS, HOUR_NS // 12)  # 20:00 to 05:00, twice
    both = np.concatenate([night, night + DAY_NS])
    assert day_starts(both, GAP_NS).tolist() == [len(night)]


def test_blocks_of_days_are_as_even_as_days_allow():
    event_ns = np.concatenate([day * DAY_NS + np.arange(rows) for day, rows in enumerate([10, 90, 50, 50, 100])])
    starts = day_starts(event_ns, GAP_NS)
    made = walk_forward(event_ns, folds=2, end_ns=event_ns, embargo_ns=0, starts=starts)
    assert [fold.test[0] for fold in made] == [100, 200]
    made = walk_forward(event_ns, folds=9, end_ns=event_ns, embargo_ns=0, starts=starts)
    assert [fold.test[0] for fold in made] == starts.tolist() == [10, 100, 150, 200]
