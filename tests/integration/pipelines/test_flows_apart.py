"""ingest, validate, tune, compress and publish by themselves; training takes up what they did."""

import json
from pathlib import Path

import numpy as np
import optuna
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from data_contracts.errors import QuarantinedError, UsageError
from data_contracts.market_event import EventFlag
from data_contracts.recording import Recording
from market_data.reading import read_recordings
from market_data.simulator import simulate
from market_data.stores.parquet_archive import ParquetArchive
from registry.mlflow_registry import MlflowRegistry
from ringcraft.cli import ringcraft

MODEL = "apart"
OPTIONS = ("--model", MODEL, "--family", "logistic", "--trials", "3", "--horizon-s", "2", "--fast", "--json")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("itch") / "day.itch50"
    simulate(path, seed=3, events=4000)
    return path


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


def said(command: str, source: Path, work: Path, mlflow_uri: str, *more: str) -> dict[str, object]:
    """Run a command in this process, which keeps its Prefect server; return the JSON that it answers."""
    arguments = [command, str(source), *OPTIONS, "--work", str(work), *more]
    done = CliRunner().invoke(ringcraft, arguments, env={"RINGCRAFT_MLFLOW__URI": mlflow_uri})
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def runs(mlflow_uri: str, name: str) -> list[str]:
    client = MlflowClient(mlflow_uri)
    found = client.get_experiment_by_name("ringcraft")
    everything = client.search_runs([found.experiment_id]) if found else []
    return [run.info.run_id for run in everything if run.info.run_name == name]


def test_ingest_archives_what_keeps_its_contract_once(source: Path, tmp_path: Path) -> None:
    from pipelines.data_flows import IngestRequest, ingest_flow

    request = IngestRequest(source=str(source), archive=str(tmp_path / "archive"), work=str(tmp_path))
    (first,), (again,) = ingest_flow(request), ingest_flow(request)
    assert (first.new, again.new) == (True, False)
    (kept,) = ParquetArchive(tmp_path / "archive").read(first.instrument)
    (read,) = read_recordings(source)
    assert kept.fingerprint == read.fingerprint
    events = read.events.copy()
    events["flags"][: len(events) // 2] |= np.uint16(EventFlag.CROSSED)
    ParquetArchive(tmp_path / "crossed").write(Recording(read.instrument, events, Path("crossed"), {}))
    broken = IngestRequest(source=str(tmp_path / "crossed"), archive=str(tmp_path / "none"), work=str(tmp_path))
    with pytest.raises(QuarantinedError, match="bid above ask"):
        ingest_flow(broken)
    assert not (tmp_path / "none").exists()


def test_validation_leaves_its_reports_in_mlflow_and_learns_nothing(
    source: Path, work: Path, mlflow_uri: str, tmp_path: Path
) -> None:
    from pipelines.data_flows import validate_flow
    from pipelines.request import TrainRequest

    reports = validate_flow(TrainRequest(model=MODEL, source=str(source), mlflow_uri=mlflow_uri, work=str(work)))
    assert len(reports) == 4
    assert all(report.met for report in reports)
    (run,) = runs(mlflow_uri, f"validate {MODEL} contracts")
    client = MlflowClient(mlflow_uri)
    kept = {Path(file.path).name for file in client.list_artifacts(run, "evidence")}
    assert kept == {*(f"contract_{number}.html" for number in range(4)), "data_docs"}
    docs = Path(client.download_artifacts(run, "evidence/data_docs", str(tmp_path)))
    pages = [page.read_text() for page in docs.glob("validations/**/*.html")]
    assert len(pages) == 4
    assert all("Succeeded" in page for page in pages)
    assert "ge-failed-icon" not in (docs / "index.html").read_text()
    assert MODEL not in MlflowRegistry(mlflow_uri).models()


def test_tune_leaves_study_and_front_and_goes_on_where_it_was(
    source: Path, work: Path, mlflow_uri: str, tmp_path: Path
) -> None:
    storage = f"sqlite:///{tmp_path / 'own.sqlite'}"
    more = ("--objectives", "loss,size", "--storage", storage)
    found = said("tune", source, work, mlflow_uri, *more)["logistic"]
    assert len(found["trials"]) == 3
    assert {"loss", "bytes", "best"} <= found["trials"][0].keys()
    (name,) = optuna.get_all_study_names(storage)
    assert len(optuna.load_study(study_name=name, storage=storage).trials) == 3
    (run,) = runs(mlflow_uri, f"tune {MODEL} logistic")
    kept = {Path(file.path).name for file in MlflowClient(mlflow_uri).list_artifacts(run, "evidence")}
    assert kept >= {"study.json", "study_front.png", "study_history.png"}
    assert said("tune", source, work, mlflow_uri, *more)["logistic"] == found


def test_what_compress_left_is_published_once_and_training_takes_it_up(
    source: Path, work: Path, mlflow_uri: str
) -> None:
    from pipelines.flows import Given
    from pipelines.publishing import publish_flow

    registry = MlflowRegistry(mlflow_uri)
    given = Given(registry=registry)
    made = said("compress", source, work, mlflow_uri)["logistic"]
    assert MODEL not in registry.models()
    (run,) = runs(mlflow_uri, f"compress {MODEL} logistic")
    folder = Path(made["folder"])
    (done,) = publish_flow(str(folder.parent), MODEL, given, mlflow_uri, "challenger")
    assert (done.version, done.new, done.family) == (1, True, "logistic")
    assert registry.aliases(MODEL) == {"challenger": 1}
    assert registry.version(MODEL, 1).run_id == run
    assert not publish_flow(str(folder), MODEL, given, mlflow_uri)[0].new
    (version,) = said("train", source, work, mlflow_uri)["versions"]
    assert (version["version"], version["new"], version["run_id"]) == (1, False, run)
    assert runs(mlflow_uri, f"train {MODEL} logistic") == [run]
    with pytest.raises(UsageError, match="expected a version of other"):
        publish_flow(str(folder), "other", given, mlflow_uri)


def test_objective_that_nobody_knows_is_refused(source: Path) -> None:
    done = CliRunner().invoke(ringcraft, ["tune", str(source), *OPTIONS, "--objective", "fame"])
    assert done.exit_code == 2
    assert "expected some of loss, pnl, latency, size, got 'fame'" in " ".join(done.output.split())
