"""A family taught the move itself, from rows to the folder of a version that serving decides on in bps."""

from pathlib import Path

import numpy as np
import pytest

from data_contracts.manifest import read_golden, verify_files
from market_data.reading import read_recordings
from market_data.simulator import simulate
from models.families import family
from pipelines.request import TrainRequest
from pipelines.steps.compress import compress
from pipelines.steps.dataset import Prepared, prepare
from pipelines.steps.fit import fit
from pipelines.steps.tune import tune
from pipelines.steps.version import build_version

REQUEST = TrainRequest(model="moves", families=("ridge",), folds=2, trials=2, target="move")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    path = tmp_path_factory.mktemp("itch") / "day.itch"
    simulate(path, seed=3, events=4000)
    return prepare(read_recordings(path), REQUEST)


def test_version_of_expected_moves_is_decided_on_in_bps(prepared: Prepared, tmp_path: Path) -> None:
    fitted = fit(family("ridge"), family("ridge").default(), prepared, seed=1, target="move")
    small = compress(fitted, prepared, seed=1)
    assert small.report is None
    manifest = build_version(tmp_path / "v", fitted, small, prepared, {}, REQUEST)
    assert verify_files(tmp_path / "v") == manifest
    assert (manifest.rule.kind, manifest.outputs) == ("expected_bps", 1)
    assert {len(row) for row in read_golden(tmp_path / "v").outputs} == {1}
    assert manifest.metrics["information_coefficient"].value is not None
    assert manifest.metrics["log_loss"].value is None
    assert "the expected move in bps" in (tmp_path / "v" / "model_card.html").read_text()


def test_study_of_moves_looks_for_the_least_squared_error(prepared: Prepared) -> None:
    done = tune(family("xgboost"), prepared, trials=2, seed=1, target="move")
    rows, errors = prepared.learn, []
    for fold in prepared.folds:
        model = family("xgboost").fit(rows.features[fold.train], rows.mid_move_bps[fold.train], done.config, 1)
        errors.append(np.mean((model.scores(rows.features[fold.test])[:, 0] - rows.mid_move_bps[fold.test]) ** 2))
    assert done.loss == pytest.approx(float(np.mean(errors)))
    assert [each["trial"] for each in done.trials] == [0, 1]
