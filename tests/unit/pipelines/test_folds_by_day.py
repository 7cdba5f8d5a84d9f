"""Rows of several days folded where days begin, and refused where there is one day alone."""

from dataclasses import replace

import numpy as np
import pytest

from data_contracts.errors import UsageError
from data_contracts.recording import Recording
from market_data.reading import read_recordings
from market_data.simulator import simulate
from models.folds import DAY_NS
from pipelines.identity import rows_key
from pipelines.request import TrainRequest, changed
from pipelines.steps.dataset import prepare

REQUEST = TrainRequest(model="m", folds=3, folds_by="day", held_out_share=0.1)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("itch") / "day.itch"
    simulate(path, seed=3, events=2000)
    return read_recordings(path)[0]


def later(recording: Recording, days: int) -> Recording:
    events = recording.events.copy()
    for name in ("event_ns", "receive_ns"):
        events[name] += days * DAY_NS
    return replace(recording, events=events)


def test_every_fold_begins_with_a_day(day: Recording) -> None:
    made = prepare([day, later(day, 1), later(day, 4)], REQUEST)
    rows = made.learn.event_ns
    first = day.events["event_ns"][0]
    assert [(rows[fold.test[0]] - first) // DAY_NS for fold in made.folds] == [1, 4]
    for fold in made.folds:
        assert rows[fold.test[0]] - rows[fold.test[0] - 1] > DAY_NS // 2
        assert made.learn.end_ns[fold.train].max() < rows[fold.test].min()
    by_rows = prepare([day, later(day, 1), later(day, 4)], changed(REQUEST, folds_by="rows"))
    assert len(by_rows.folds) == 3
    assert np.array_equal(by_rows.learn.event_ns, rows)


def test_one_day_is_refused_and_the_choice_is_part_of_the_key(day: Recording) -> None:
    with pytest.raises(UsageError, match="folds by day: expected at least 2 days before the rows held out, got 1"):
        prepare([day], REQUEST)
    assert rows_key([day], REQUEST) != rows_key([day], changed(REQUEST, folds_by="rows"))
