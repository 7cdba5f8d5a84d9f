"""The deflated Sharpe ratio counts what was tried on the same market before, and the card says how that is known."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from data_contracts.manifest import Manifest, read_manifest
from data_contracts.recording import Recording
from market_data.reading import read_recordings
from market_data.simulator import simulate
from models.card import CARD_FILE
from pipelines.request import TrainRequest, changed
from pipelines.steps.trials import tried_before
from registry.memory import MemoryRegistry


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("itch") / "day.itch"
    simulate(path, seed=3, events=7000)
    return read_recordings(path)[0]


@pytest.fixture
def request_(mlflow_uri: str, tmp_path: Path) -> TrainRequest:
    return TrainRequest(
        model="first",
        families=("logistic",),
        trials=2,
        folds=2,
        seeds=1,
        mlflow_uri=mlflow_uri,
        experiment="trials",
        work=str(tmp_path),
    )


def trained(request: TrainRequest, part: Recording, why_not: str | None = None) -> tuple[Manifest, str]:
    from pipelines.flows import Given, train_flow

    folders = list[Path]()

    def gate(_family: str, folder: Path, _prepared: object) -> str | None:
        folders.append(folder)
        return why_not

    train_flow(request, Given(recordings=[part], registry=MemoryRegistry(), gate=gate))
    return read_manifest(folders[0]), (folders[0] / CARD_FILE).read_text()


def counted(manifest: Manifest) -> tuple[float | None, float | None]:
    return manifest.metrics["trials"].value, manifest.metrics["trials_before"].value


def test_every_study_on_the_same_instrument_and_time_counts_once(
    request_: TrainRequest, recording: Recording, mlflow_uri: str
) -> None:
    early, late = recording.part(0, 3500), recording.part(3500, 7000)
    first, card = trained(request_, early)
    assert counted(first) == (2, 0)
    assert "knows of none before it on this market" in card
    again, _ = trained(changed(request_, seeds=2), early)  # the same study, and another version
    assert counted(again) == (2, 0)
    other = changed(request_, model="second", horizon_ns=1_000_000_000, trials=3)
    second, card = trained(other, early, why_not="not better")  # refused, and tried all the same
    assert counted(second) == (5, 2)
    assert "3 of this run&#x27;s own studies, 2 of 1 earlier study on the same instrument" in card
    assert counted(trained(request_, late)[0]) == (2, 0)
    third, _ = trained(changed(request_, target="move", families=("ridge",)), recording)
    assert counted(third) == (9, 7)
    assert third.metrics["sharpe_bar"].value > first.metrics["sharpe_bar"].value  # type: ignore[operator]
    client = MlflowClient(mlflow_uri)
    experiment = client.get_experiment_by_name("trials")
    assert experiment is not None
    for run in client.search_runs([experiment.experiment_id]):
        client.delete_run(run.info.run_id)
    assert tried_before(request_, first.data, ()).trials == 7


def test_where_nothing_is_tracked_the_count_is_said_to_be_the_run_s_own(
    request_: TrainRequest, recording: Recording
) -> None:
    manifest, card = trained(changed(request_, mlflow_uri=None), recording.part(0, 3500))
    assert counted(manifest) == (2, 0)
    assert "runs are not tracked, so nothing is known of earlier ones" in card
