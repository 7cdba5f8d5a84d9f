"""Rows of sets that were fitted or read a leader: nothing that the fit has seen is learnt from or judged on."""

from pathlib import Path

import msgspec
import pytest

from data_contracts.errors import UsageError
from data_contracts.recording import Recording
from market_data.feature_sets import DEPTH_V1
from market_data.microprice import fit
from market_data.reading import read_recordings
from market_data.simulator import simulate
from pipelines.request import TrainRequest
from pipelines.steps.dataset import prepare


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("tape") / "ring.itch"
    simulate(path, seed=6, seconds=1_800)
    return read_recordings(path, depth=True)[0]


def test_rows_begin_after_what_the_set_was_fitted_on(day: Recording, tmp_path: Path) -> None:
    fitted = fit([day.part(0, len(day) // 3)], DEPTH_V1)
    path = tmp_path / "depth.json"
    path.write_bytes(msgspec.json.encode(fitted))
    prepared = prepare([day], TrainRequest(model="m", feature_set=str(path), folds=2))
    assert prepared.features == fitted
    assert prepared.learn.features.shape[1] == 39
    assert min(prepared.learn.event_ns.min(), prepared.held_out.event_ns.min()) > fitted.fitted_until_ns
    assert prepared.ranges[0].first_event_ns > fitted.fitted_until_ns
    with pytest.raises(UsageError, match="expected events after those it was fitted on, got none"):
        prepare([day.part(0, len(day) // 4)], TrainRequest(model="m", feature_set=str(path)))


def test_set_that_was_not_fitted_is_not_learnt_from(day: Recording) -> None:
    with pytest.raises(UsageError, match="ringcraft fit-features makes it"):
        prepare([day], TrainRequest(model="m", feature_set="depth_v1"))


def test_leader_is_read_beside_what_is_learnt(day: Recording) -> None:
    request = TrainRequest(
        model="m", feature_set=f"lead_lag_v1={day.instrument.symbol}", leader=str(day.source), folds=2
    )
    prepared = prepare([day], request)
    assert prepared.learn.features.shape[1] == 14
    assert prepared.learn.features[:, prepared.features.features.index("leader_move_5s_bps")].any()
