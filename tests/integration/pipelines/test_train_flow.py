"""The whole flow, with Prefect, a real MLflow server and simulated market data."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from data_contracts.errors import ModelError, QuarantinedError, UsageError
from data_contracts.manifest import verify_files
from data_contracts.market_event import EventFlag
from data_contracts.recording import Recording
from market_data.reading import read_recordings
from market_data.simulator import simulate
from pipelines.request import TrainRequest
from registry.memory import MemoryRegistry


@pytest.fixture(scope="module")
def flows():
    from pipelines import flows

    return flows


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Recording:
    path = tmp_path_factory.mktemp("itch") / "day.itch"
    simulate(path, seed=3, events=7000)
    return read_recordings(path)[0]


@pytest.fixture(scope="module")
def trained(flows, recording, mlflow_uri, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    request = TrainRequest(model="flow-test", trials=2, folds=2, train_share=0.8, mlflow_uri=mlflow_uri, work=str(work))
    return flows.train_flow(request, flows.Given(recordings=[recording]))


def test_both_families_are_published_with_verified_files(trained, mlflow_uri, tmp_path):
    from registry.mlflow_registry import MlflowRegistry

    registry = MlflowRegistry(mlflow_uri)
    assert [made.family for made in trained.versions] == ["xgboost", "mlp"]
    for made in trained.versions:
        folder = tmp_path / made.family
        registry.fetch("flow-test", made.version, folder)
        manifest = verify_files(folder)
        assert manifest.family == made.family
        assert (folder / "model_card.html").stat().st_size > 10_000
        assert registry.version("flow-test", made.version).run_id == made.run_id


def test_metrics_come_with_intervals_and_baselines(trained):
    for made in trained.versions:
        mcc = made.metrics["mcc"]
        assert mcc.low <= mcc.value <= mcc.high
        assert set(made.baselines) == {"majority", "logistic", "ridge", "rule"}
        assert made.baselines["majority"]["mcc"].value == 0


def test_planted_edge_is_found_beyond_chance(trained):
    assert all(made.metrics["information_coefficient"].low > 0 for made in trained.versions)


def test_compression_never_passes_its_margin(trained):
    for made in trained.versions:
        done = made.compression
        assert done.compressed_bytes < done.original_bytes or not done.steps
        assert done.difference_high <= done.margin or not done.not_inferior


def test_run_holds_parameters_metrics_study_and_contract(trained, mlflow_uri):
    from mlflow import MlflowClient

    client = MlflowClient(mlflow_uri)
    run = client.get_run(trained.versions[0].run_id)
    assert run.info.run_name == "train flow-test xgboost"
    assert run.info.status == "FINISHED"
    assert run.data.params["horizon_ns"] == "2000000000"
    assert "net_pnl_bps_low" in run.data.metrics
    assert run.data.metrics["seeds_mcc_low"] <= run.data.metrics["seeds_mcc_mean"] <= run.data.metrics["seeds_mcc_high"]
    assert "seeds_walk_forward_log_loss_low" in run.data.metrics
    kept = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "evidence")}
    assert kept >= {"study.json", "contract_0.html", "config.json", "compression_trials.json"}


def test_what_comes_after_the_training_share_is_unseen(trained, recording):
    later = recording.events["event_ns"] > trained.trained_until_ns
    assert later.mean() == pytest.approx(0.2, abs=0.01)


def test_result_can_be_written_as_json(trained):
    assert msgspec.json.decode(msgspec.json.encode(trained))["model"] == "flow-test"


def test_broken_recording_is_quarantined_before_anything_is_learnt(flows, recording, tmp_path):
    events = recording.events.copy()
    events["flags"][: len(events) // 2] |= np.uint16(EventFlag.CROSSED)
    broken = Recording(recording.instrument, events, Path("broken.itch"), {})
    registry = MemoryRegistry()
    with pytest.raises(QuarantinedError, match="bid above ask"):
        flows.train_flow(
            TrainRequest(model="m", work=str(tmp_path)), flows.Given(recordings=[broken], registry=registry)
        )
    assert (tmp_path / "quarantine" / "broken.itch" / "report.md").is_file()
    assert registry.models() == []


def test_without_registry_or_address_the_flow_says_what_is_missing(flows, recording):
    with pytest.raises(UsageError, match="mlflow_uri"):
        flows.train_flow(TrainRequest(model="m"), flows.Given(recordings=[recording]))


def test_thin_recording_is_refused_with_its_count(flows, recording, tmp_path):
    short = recording.part(0, 1200)
    request = TrainRequest(model="m", train_share=0.3, work=str(tmp_path))
    with pytest.raises(UsageError, match="at least 500 rows"):
        flows.train_flow(request, flows.Given(recordings=[short], registry=MemoryRegistry()))
    assert np.isfinite(short.events["event_ns"]).all()


def test_same_run_again_recomputes_nothing_and_publishes_nothing_new(flows, recording, trained, mlflow_uri, tmp_path):
    from registry.mlflow_registry import MlflowRegistry

    before = MlflowRegistry(mlflow_uri).versions("flow-test")
    request = TrainRequest(
        model="flow-test", trials=2, folds=2, train_share=0.8, mlflow_uri=mlflow_uri, work=str(tmp_path)
    )
    again = flows.train_flow(request, flows.Given(recordings=[recording]))
    assert [(made.version, made.new, made.run_id) for made in again.versions] == [
        (made.version, False, made.run_id) for made in trained.versions
    ]
    assert MlflowRegistry(mlflow_uri).versions("flow-test") == before
    kept = ("rows", "baselines", "tune mlp", "fit mlp", "compress mlp")
    assert sum(again.seconds[step] for step in kept) < sum(trained.seconds[step] for step in kept) / 4


def test_refusal_of_what_is_published_leaves_its_run_alone(flows, recording, trained, mlflow_uri, tmp_path):
    from mlflow import MlflowClient

    request = TrainRequest(
        model="flow-test", trials=2, folds=2, train_share=0.8, mlflow_uri=mlflow_uri, work=str(tmp_path)
    )
    again = flows.train_flow(request, flows.Given(recordings=[recording], gate=lambda *_: "not better"))
    assert set(again.refused) == {"xgboost", "mlp"}
    run = MlflowClient(mlflow_uri).get_run(trained.versions[0].run_id)
    assert run.info.run_name == "train flow-test xgboost"


def test_version_is_made_again_bit_for_bit_and_other_data_are_refused(flows, recording, trained, mlflow_uri, tmp_path):
    from pipelines.reproduce import reproduce_flow
    from registry.mlflow_registry import MlflowRegistry

    registry = MlflowRegistry(mlflow_uri)
    for made in trained.versions:
        done = reproduce_flow(made.model_uri, str(tmp_path), flows.Given(registry=registry, recordings=[recording]))
        assert done.same
        assert done.same_code
    other = recording.part(0, len(recording) - 1)
    with pytest.raises(ModelError, match="made from other data: recording 1 of 1: expected"):
        reproduce_flow(made.model_uri, str(tmp_path), flows.Given(registry=registry, recordings=[other]))
